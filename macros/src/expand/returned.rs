//! What an expansion reads of the value that the function returns, or of the items of the stream that it does.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Type;

use super::{Names, leading, once};
use crate::args::Args;
use crate::function::{Body, Function};
use crate::future::{self, Boxing, Shape, Streaming};
use crate::keywords::Kind;

impl Names {
    /// The body of a function whose span goes on with the stream that it returns: a second hand on the call goes
    /// with the stream, and the first one hears of the function's own failure alone.
    pub(super) fn stream(
        &self,
        streaming: &Streaming,
        function: &Function,
        output: &Type,
        body: &Body,
    ) -> TokenStream {
        let Names { h, call, out, .. } = self;
        let variable = |name| Ident::new(name, Span::mixed_site());
        let (rest, stream, error) = (
            variable("__rest"),
            variable("__stream"),
            variable("__error"),
        );
        let block = &body.block;
        let read = self.read_item();
        let known = if let Some(item) = &streaming.item {
            quote!(#h::stream_of::<_, #item>(#stream))
        } else {
            quote!(#stream)
        };
        let traced = quote!(#h::traced(#rest, #known, #read));
        let traced = match streaming.boxing {
            Boxing::Bare => traced,
            Boxing::Box => quote!(::std::boxed::Box::new(#traced)),
            Boxing::Pin => quote!(::std::boxed::Box::pin(#traced)),
        };
        let (observe, handed_out) = if streaming.is_in_result {
            let observe = quote! {
                |#call, #out| {
                    use #h::probe::*;
                    if let ::core::result::Result::Err(#error) = #out {
                        #call.failed(
                            || (&&&&#h::Probe(#error)).hermes_type_name(),
                            || (&&&&&&#h::Probe(#error)).hermes_message(),
                        );
                    }
                }
            };
            let handed_out = quote! {
                match #out {
                    ::core::result::Result::Ok(#stream) => ::core::result::Result::Ok(#traced),
                    ::core::result::Result::Err(#error) => ::core::result::Result::Err(#error),
                }
            };
            (observe, handed_out)
        } else {
            (quote!(|_, _| {}), quote!({ let #stream = #out; #traced }))
        };
        let again = quote!(let #rest = #call.again(););
        match future::shape(&function.signature) {
            Shape::Value => quote! {
                #again
                let #out = #h::run(#call, move || -> #output #block, #observe);
                #handed_out
            },
            Shape::Async => {
                let block = leading(output, block);
                quote! {
                    #again
                    let #out = #h::watch(#call, async move #block, #observe).await;
                    #handed_out
                }
            }
            shape @ (Shape::Future | Shape::Boxed) => {
                let watched = variable("__watched");
                let made = once(output, block);
                let (made, handed_out) = match &streaming.awaited {
                    Some(awaited) => (
                        quote!(#h::future_of::<_, #awaited>(#made)),
                        // Names the type, so that a box is coerced to that of its trait here.
                        quote!(let #out: #awaited = #handed_out; #out),
                    ),
                    None => (made, handed_out),
                };
                let work = quote! {
                    async move {
                        let #out = #watched.await;
                        #handed_out
                    }
                };
                let work = if shape == Shape::Boxed {
                    quote!(::std::boxed::Box::pin(#work))
                } else {
                    work
                };
                quote! {
                    #again
                    let #watched = #h::watch(#call, #made, #observe);
                    #work
                }
            }
        }
    }

    /// What tells of an item of the stream, whatever its type turns out to be.
    fn read_item(&self) -> TokenStream {
        let h = &self.h;
        let variable = |name| Ident::new(name, Span::mixed_site());
        let (item, seen, error) = (variable("__item"), variable("__seen"), variable("__error"));
        quote! {
            |#item, #seen| {
                use #h::probe::*;
                match (&&#h::Probe(#item)).hermes_split() {
                    ::core::result::Result::Ok(#item) => (&&&&&#h::Probe(#item)).hermes_read_into(#seen),
                    ::core::result::Result::Err(#error) => #seen.error_of(
                        || (&&&&#h::Probe(#error)).hermes_type_name(),
                        || (&&&&&&#h::Probe(#error)).hermes_message(),
                    ),
                }
            }
        }
    }

    /// What is to be read from the returned value, whatever its type turns out to be.
    pub(super) fn observe(&self, args: &Args) -> TokenStream {
        let Names { h, call, out, .. } = self;
        let flag = |name| args.given.iter().any(|given| given.key == name);
        let value = Ident::new("__value", Span::mixed_site());
        let error = Ident::new("__error", Span::mixed_site());
        let content = |fact: &str| {
            let fact = format_ident!("{fact}");
            quote!(#call.content(#h::Fact::#fact, || (&&&&#h::Probe(#value)).hermes_to_content());)
        };
        let (is_turn, is_tool) = (args.kind == Kind::Turn, args.kind == Kind::Tool);
        let flagged = args.given.iter().find(|given| given.key == "response");
        let response = flagged.map(|given| {
            if is_turn {
                content("AssistantResponse")
            } else {
                // A type that cannot be read is a mistake of the word that asks for it.
                let word = given.key.span();
                let mut value = value.clone();
                value.set_span(value.span().located_at(word));
                quote_spanned!(word=> #h::response(#call, #value);)
            }
        });
        let result =
            flag("result").then(|| content(if is_tool { "ToolResult" } else { "Documents" }));
        let verdict = if is_tool {
            quote!((&&&&#h::Probe(#value)).hermes_verdict())
        } else {
            quote!(::core::option::Option::None)
        };
        quote! {
            |#call, #out| {
                use #h::probe::*;
                match (&&#h::Probe(#out)).hermes_split() {
                    ::core::result::Result::Ok(#value) => {
                        #response
                        #result
                        #call.returned(|| #verdict);
                    }
                    ::core::result::Result::Err(#error) => #call.failed(
                        || (&&&&#h::Probe(#error)).hermes_type_name(),
                        || (&&&&&&#h::Probe(#error)).hermes_message(),
                    ),
                }
            }
        }
    }
}
