//! Writes the annotated function anew: a span, a call around the body, and what to look at after it.
//!
//! This folder alone quotes. The code it writes names the hermes crate through its `__private`
//! module and otherwise nothing but `::core` and `::std`, so no import of the user's can bend it.

mod returned;
mod span;

use proc_macro2::{Group, Span, TokenStream};
use quote::quote;
use syn::{Ident, Result, ReturnType, Type};

use crate::args::{Args, Sigil, Value};
use crate::function::{Body, Function};
use crate::future::{self, Shape};
use crate::keywords::{Becomes, Kind};
use crate::validate;

/// The function as the attribute makes it. After a mistake it stays as it was, beside the error,
/// so that one mistake gives one message.
pub(crate) fn function(
    fixed: Option<Kind>,
    arguments: TokenStream,
    item: &TokenStream,
) -> TokenStream {
    match annotate(fixed, arguments, item.clone()) {
        Ok(annotated) => annotated,
        Err(error) => {
            let error = error.into_compile_error();
            // What only the arguments use is no mistake of its own.
            quote!(#error #[allow(unused_variables)] #item)
        }
    }
}

fn annotate(fixed: Option<Kind>, arguments: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let function: Function = syn::parse2(item)?;
    let args = Args::parse(fixed, arguments)?;
    let body = validate::check(&args, &function)?;
    let names = Names::of(&args);
    let call = names.call(&args, &function.signature.ident);
    let work = names.work(&args, &function, body);
    let Function {
        attributes,
        visibility,
        signature,
        ..
    } = &function;
    let inner = &body.attributes;
    Ok(quote! {
        #(#attributes)*
        #visibility #signature {
            #(#inner)*
            #call
            #work
        }
    })
}

/// The names an expansion uses. The variables are hygienic: the body cannot see them.
struct Names {
    /// `::hermes::__private`, or where the user says that is.
    h: TokenStream,
    span: Ident,
    call: Ident,
    out: Ident,
}

impl Names {
    fn of(args: &Args) -> Names {
        let variable = |name| Ident::new(name, Span::mixed_site());
        let h = if let Some(Value::Path(hermes)) = args.value(Becomes::Crate) {
            quote!(#hermes::__private)
        } else {
            quote!(::hermes::__private)
        };
        Names {
            h,
            span: variable("__span"),
            call: variable("__call"),
            out: variable("__out"),
        }
    }

    /// The statement that opens the span and tells the call what is known before the body runs.
    fn call(&self, args: &Args, function: &Ident) -> TokenStream {
        let Names { h, span, call, .. } = self;
        let probes = args.given.iter().any(|given| {
            let probed = matches!(given.value, Value::Expr(Sigil::Value, _));
            let lowered = given.row.becomes;
            probed
                && matches!(
                    lowered,
                    Becomes::Field(_) | Becomes::Content(_) | Becomes::Request
                )
        });
        let import = probes.then(|| quote!(use #h::probe::*;));
        let open = self.placed_span(args, function);
        let follows = args.expr(Becomes::FollowsFrom).map(|causes| {
            quote! {
                if !#span.is_disabled() {
                    use #h::parentage::*;
                    for __cause in #causes {
                        #h::follow(&#span, (&&#h::Parentage::new(__cause)).hermes_parent());
                    }
                }
            }
        });
        let flag = |name| args.given.iter().any(|given| given.key == name);
        let (result, response) = (flag("result"), flag("response"));
        let contents = args.given.iter().filter_map(|given| self.content(given));
        quote! {
            let #call = {
                #import
                let #span = #open;
                #follows
                let #call = #h::Call::new(#span, #h::Returns { result: #result, response: #response });
                #(#contents)*
                #call
            };
        }
    }

    /// The body inside the call.
    fn work(&self, args: &Args, function: &Function, body: &Body) -> TokenStream {
        let Names { h, call, .. } = self;
        let block = &body.block;
        let output = match &function.signature.output {
            ReturnType::Type(_, output) => future::inferred(output),
            ReturnType::Default => syn::parse_quote!(()),
        };
        let streaming = args
            .find(Becomes::Stream)
            .and_then(|_| future::streaming(&function.signature));
        if let Some(streaming) = streaming {
            return self.stream(&streaming, function, &output, body);
        }
        let observe = self.observe(args);
        match future::shape(&function.signature) {
            // The closure has the function's own return type, which leads inference and coercion
            // inside the body as the signature did.
            Shape::Value => quote!(#h::run(#call, move || -> #output #block, #observe)),
            Shape::Async => {
                let block = leading(&output, block);
                quote!(#h::watch(#call, async move #block, #observe).await)
            }
            Shape::Future => {
                let future = once(&output, block);
                quote!(#h::watch(#call, #future, #observe))
            }
            Shape::Boxed => {
                let future = once(&output, block);
                quote!(::std::boxed::Box::pin(#h::watch(#call, #future, #observe)))
            }
        }
    }
}

/// An `async` block cannot state what it returns. A branch that is never taken does: `?`, `return`
/// and closures in the body then infer their types as they did from the signature.
fn leading(output: &Type, block: &Group) -> Group {
    let edge = (!matches!(output, Type::Infer(_))).then(|| {
        quote! {
            if let ::core::option::Option::Some(__never) = ::core::option::Option::None::<#output> {
                return __never;
            }
        }
    });
    let content = block.stream();
    let mut leading = Group::new(block.delimiter(), quote!(#edge #content));
    leading.set_span(block.span());
    leading
}

/// Runs the body of a function that returns a future. Only a closure handed to a function that asks
/// for `FnOnce` may return what it borrows from a captured `&mut self`, hence no immediate call.
fn once(output: &Type, block: &Group) -> TokenStream {
    quote! {
        {
            fn __once<F: ::core::ops::FnOnce() -> T, T>(body: F) -> T {
                body()
            }
            __once(move || -> #output #block)
        }
    }
}
