//! Writes the annotated function anew: a span, a call around the body, and what to look at after it.
//!
//! The only file that quotes. The code it writes names the hermes crate through its `__private`
//! module and otherwise nothing but `::core` and `::std`, so no import of the user's can bend it.

use proc_macro2::{Group, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Expr, Ident, Result, ReturnType, Type};

use crate::args::{Absent, Args, Becomes, Given, Keyword, Kind, Sigil, Value};
use crate::function::{Body, Function};
use crate::future::{self, Boxing, Shape, Streaming};
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

    /// The span where the attribute says. A parent may be of another process, which `tracing` cannot be
    /// told: it is attached while the span is made.
    fn placed_span(&self, args: &Args, function: &Ident) -> TokenStream {
        let h = &self.h;
        let Some(parent) = args.expr(Becomes::Parent) else {
            return self.span(args, function, None);
        };
        if is_none(parent) {
            return self.span(args, function, Some(quote!(#parent)));
        }
        let [id, remote, below, made] = ["__id", "__remote", "__below", "__made"]
            .map(|name| Ident::new(name, Span::mixed_site()));
        let at = generated(parent);
        let stated = quote_spanned!(at=> (&&#h::Parentage::new(#parent)).hermes_parent());
        let local = self.span(args, function, Some(quote!(#id)));
        let attached = self.span(args, function, None);
        quote! {
            match { use #h::parentage::*; #stated } {
                #h::Parent::Local(#id) => #local,
                #h::Parent::Remote(#remote) => {
                    let #below = #h::below(&#remote);
                    let #made = #attached;
                    ::core::mem::drop(#below);
                    #made
                }
            }
        }
    }

    /// The span itself, all of its values inside tracing's macro: a disabled span evaluates none.
    fn span(&self, args: &Args, function: &Ident, parent: Option<TokenStream>) -> TokenStream {
        let h = &self.h;
        let profile = args.kind.profile();
        let target = args
            .expr(Becomes::Target)
            .map(|target| quote!(target: #target,));
        let parent = parent.map(|parent| quote!(parent: #parent,));
        let level = match args.value(Becomes::Level) {
            Some(Value::Expr(_, level)) => quote!(#level),
            Some(Value::Level(name)) => self.level(name),
            _ => self.level("INFO"),
        };
        let name = match args.value(Becomes::SpanName) {
            Some(Value::Text(name)) => name.value(),
            _ => format!("hermes.{}", profile.word),
        };
        let mut fields = vec![
            self.literal("SPAN_KIND", profile.span_kind),
            self.literal("OTEL_KIND", profile.otel_kind),
        ];
        fields.extend(
            profile
                .operation
                .map(|operation| self.literal("OPERATION", operation)),
        );
        if args.kind == Kind::Step {
            fields.push(self.literal("FUNCTION_NAME", &function.unraw().to_string()));
        }
        for row in args.kind.keywords() {
            match args.given.iter().find(|given| given.row.name == row.name) {
                Some(Given {
                    value: Value::Expr(sigil, value),
                    ..
                }) => {
                    fields.extend(self.given(row, *sigil, value));
                }
                _ => fields.extend(self.absent(row, function)),
            }
        }
        let late = ["OTEL_STATUS_CODE", "ERROR_TYPE"];
        fields.extend(
            late.iter()
                .chain(profile.late)
                .map(|constant| self.empty(constant)),
        );
        let own = match args.value(Becomes::Fields) {
            Some(Value::Tokens(own)) => Some(own),
            _ => None,
        };
        quote!(#h::tracing::span!(#target #parent #level, #name, #(#fields,)* #own))
    }

    /// The fields of an argument that was given.
    fn given(&self, row: &Keyword, sigil: Sigil, value: &Expr) -> Vec<TokenStream> {
        let h = &self.h;
        match row.becomes {
            Becomes::Field(constant) => {
                let name = self.field(constant);
                let value = match sigil {
                    Sigil::Display => quote!(%#value),
                    Sigil::Debug => quote!(?#value),
                    Sigil::Value => {
                        let field = self.probe(value, "hermes_to_field");
                        quote!(#field.as_value())
                    }
                };
                vec![quote!(#name = #value)]
            }
            Becomes::Url => {
                let url = self.url(sigil, value);
                let (address, port) = (self.field("SERVER_ADDRESS"), self.field("SERVER_PORT"));
                vec![
                    quote!(#address = #h::server_address(#url)),
                    quote!(#port = #h::server_port(#url)),
                ]
            }
            _ => Vec::new(),
        }
    }

    /// The fields of an argument that was not given.
    fn absent(&self, row: &Keyword, function: &Ident) -> Vec<TokenStream> {
        let constants = match row.becomes {
            Becomes::Field(constant) => vec![constant],
            Becomes::Url => vec!["SERVER_ADDRESS", "SERVER_PORT"],
            _ => Vec::new(),
        };
        let field = |constant: &str| match row.absent {
            Absent::FunctionName => self.literal(constant, &function.unraw().to_string()),
            Absent::Literal(value) => self.literal(constant, value),
            Absent::Late | Absent::Required | Absent::Nothing => self.empty(constant),
        };
        constants.into_iter().map(field).collect()
    }

    /// The statement that hands over what must not be a field.
    fn content(&self, given: &Given) -> Option<TokenStream> {
        let Names { h, call, .. } = self;
        let Value::Expr(sigil, value) = &given.value else {
            return None;
        };
        match given.row.becomes {
            Becomes::Content(fact) => {
                let fact = format_ident!("{fact}");
                let text = match sigil {
                    Sigil::Value => self.probe(value, "hermes_to_content"),
                    Sigil::Display | Sigil::Debug => self.text(*sigil, value),
                };
                Some(quote!(#call.content(#h::Fact::#fact, || #text);))
            }
            Becomes::Url => {
                let url = self.url(*sigil, value);
                Some(quote!(#call.base_url(|| #h::format!("{}", #url));))
            }
            Becomes::Request => {
                let json = self.probe(value, "hermes_to_json");
                Some(quote!(#call.request(|| #json);))
            }
            _ => None,
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

    /// The body of a function whose span goes on with the stream that it returns: a second hand on the call goes
    /// with the stream, and the first one hears of the function's own failure alone.
    fn stream(
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
    fn observe(&self, args: &Args) -> TokenStream {
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

    /// Asks a value for the best it can say of itself: the more references a trait of the library
    /// is implemented behind, the later method lookup gets there.
    fn probe(&self, value: &Expr, method: &str) -> TokenStream {
        let h = &self.h;
        let span = generated(value);
        let method = Ident::new(method, span);
        quote_spanned!(span=> (&&&&#h::Probe(&(#value))).#method())
    }

    fn text(&self, sigil: Sigil, value: &Expr) -> TokenStream {
        let h = &self.h;
        let pattern = if sigil == Sigil::Debug { "{:?}" } else { "{}" };
        quote_spanned!(generated(value)=> #h::format!(#pattern, #value))
    }

    fn url(&self, sigil: Sigil, value: &Expr) -> TokenStream {
        let h = &self.h;
        let span = generated(value);
        let text = match sigil {
            Sigil::Value => quote_spanned!(span=> (#value)),
            Sigil::Display | Sigil::Debug => self.text(sigil, value),
        };
        quote_spanned!(span=> #h::text(&#text))
    }

    fn field(&self, constant: &str) -> TokenStream {
        let h = &self.h;
        let constant = format_ident!("{constant}");
        quote!({ #h::field::#constant })
    }

    fn literal(&self, constant: &str, value: &str) -> TokenStream {
        let name = self.field(constant);
        quote!(#name = #value)
    }

    fn level(&self, name: &str) -> TokenStream {
        let h = &self.h;
        let name = format_ident!("{name}");
        quote!(#h::tracing::Level::#name)
    }

    fn empty(&self, constant: &str) -> TokenStream {
        let h = &self.h;
        let name = self.field(constant);
        quote!(#name = #h::tracing::field::Empty)
    }
}

/// Whether an expression is the word `None`, whose type only `tracing` can tell.
fn is_none(value: &Expr) -> bool {
    matches!(value, Expr::Path(path) if path.path.is_ident("None"))
}

/// Where the user's expression stands, for errors about its type, but known as generated, for lints.
fn generated(value: &Expr) -> Span {
    Span::call_site().located_at(value.span())
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
