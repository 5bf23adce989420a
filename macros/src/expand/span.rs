//! The span that an expansion opens, and what it is told before the body runs: fields, and what must not be one.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Expr, Ident};

use super::Names;
use crate::args::{Args, Given, Sigil, Value};
use crate::keywords::{Absent, Becomes, Keyword, Kind};

impl Names {
    /// The span where the attribute says. A parent may be of another process, which `tracing` cannot be
    /// told: it is attached while the span is made.
    pub(super) fn placed_span(&self, args: &Args, function: &Ident) -> TokenStream {
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
    pub(super) fn content(&self, given: &Given) -> Option<TokenStream> {
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
