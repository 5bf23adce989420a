//! The annotated function, read as far as the signature.
//!
//! The body stays raw tokens: a half-typed one still reaches the compiler and the editor as it is.

use proc_macro2::{Group, TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Ident, Result, Signature, Token, Visibility};

use crate::validate;

/// A function, a method, or a trait's method without a body.
pub(crate) struct Function {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
    /// With its braces; `None` where a semicolon stands.
    pub(crate) body: Option<Body>,
}

/// What stands between the braces.
pub(crate) struct Body {
    /// The attributes that open the body (`#![allow(..)]`) and go for all of the function.
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) block: Group,
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Function> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility = input.parse()?;
        if !opens_function(input) {
            let keyword = input.fork().call(Ident::parse_any).ok();
            let error = validate::not_a_function(keyword.as_ref(), input.span());
            input.parse::<TokenStream>()?;
            return Err(error);
        }
        let signature = input.parse()?;
        let body = if input.peek(Token![;]) {
            input.parse::<Token![;]>()?;
            None
        } else {
            Some(input.parse()?)
        };
        Ok(Function {
            attributes,
            visibility,
            signature,
            body,
        })
    }
}

impl Parse for Body {
    fn parse(input: ParseStream<'_>) -> Result<Body> {
        let content;
        let braces = syn::braced!(content in input);
        let attributes = content.call(Attribute::parse_inner)?;
        let mut block = Group::new(proc_macro2::Delimiter::Brace, content.parse()?);
        // The braces keep their place, so that "expected `T`, found `()`" points at the body.
        block.set_span(braces.span.join());
        Ok(Body { attributes, block })
    }
}

/// Whether what follows the visibility is a function: `fn` after nothing but qualifiers.
fn opens_function(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    loop {
        if ahead.peek(Token![fn]) {
            return true;
        }
        let qualifier = ahead.peek(Token![const])
            || ahead.peek(Token![async])
            || ahead.peek(Token![unsafe])
            || ahead.peek(Token![extern])
            || ahead.peek(syn::Lit);
        if !qualifier || ahead.parse::<TokenTree>().is_err() {
            return false;
        }
    }
}
