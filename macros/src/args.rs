//! Reads the arguments of an attribute by the table of keywords.

use proc_macro2::{TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::parse::discouraged::Speculative as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Expr, Ident, Lit, LitStr, Path, Token, token};

use crate::keywords::{Becomes, Keyword, Kind};
use crate::validate;

/// The arguments as written.
pub(crate) struct Args {
    pub(crate) kind: Kind,
    pub(crate) given: Vec<Given>,
}

/// One argument as written.
pub(crate) struct Given {
    pub(crate) row: &'static Keyword,
    pub(crate) key: Ident,
    pub(crate) value: Value,
}

/// The value of an argument.
pub(crate) enum Value {
    /// A bare word.
    None,
    Expr(Sigil, Expr),
    Text(LitStr),
    /// The name of one of tracing's levels, upper-case.
    Level(&'static str),
    Tokens(TokenStream),
    Path(Path),
}

/// How a value is turned into a field, as in tracing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sigil {
    Value,
    Display,
    Debug,
}

impl Args {
    /// Reads the arguments of a short form, or, when no kind is fixed, those of `instrument`.
    ///
    /// Every mistake is reported at once, each at its own token.
    pub(crate) fn parse(fixed: Option<Kind>, tokens: TokenStream) -> syn::Result<Args> {
        (|input: ParseStream<'_>| parse_args(fixed, input)).parse2(tokens)
    }

    /// The argument that was given for a row of this lowering.
    pub(crate) fn find(&self, becomes: Becomes) -> Option<&Given> {
        self.given.iter().find(|given| given.row.becomes == becomes)
    }

    pub(crate) fn value(&self, becomes: Becomes) -> Option<&Value> {
        self.find(becomes).map(|given| &given.value)
    }

    /// The value of an argument that takes an expression.
    pub(crate) fn expr(&self, becomes: Becomes) -> Option<&Expr> {
        match self.value(becomes) {
            Some(Value::Expr(_, value)) => Some(value),
            _ => None,
        }
    }
}

fn parse_args(fixed: Option<Kind>, input: ParseStream<'_>) -> syn::Result<Args> {
    let kind = match fixed {
        Some(kind) => kind,
        None => parse_kind(input)?,
    };
    let mut args = Args {
        kind,
        given: Vec::new(),
    };
    let mut errors = None;
    while !input.is_empty() {
        let parsed = parse_argument(&args, fixed, input).and_then(|given| {
            args.given.push(given);
            validate::comma(input)
        });
        if let Err(error) = parsed {
            match &mut errors {
                None => errors = Some(error),
                Some(errors) => errors.combine(error),
            }
            skip_argument(input)?;
        }
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
    }
    errors.map_or(Ok(args), Err)
}

/// The first bare word of `instrument` is the kind; without one it is a step.
fn parse_kind(input: ParseStream<'_>) -> syn::Result<Kind> {
    let ahead = input.fork();
    let Ok(word) = ahead.call(Ident::parse_any) else {
        return Ok(Kind::Step);
    };
    if !(ahead.is_empty() || ahead.peek(Token![,])) {
        return Ok(Kind::Step);
    }
    let Some(kind) = Kind::named(&word) else {
        return Err(validate::unknown_kind(&word));
    };
    input.call(Ident::parse_any)?;
    input.parse::<Option<Token![,]>>()?;
    Ok(kind)
}

fn parse_argument(args: &Args, fixed: Option<Kind>, input: ParseStream<'_>) -> syn::Result<Given> {
    let key = validate::key(input)?;
    let Some(row) = args.kind.keywords().find(|row| key == row.name) else {
        let bare = input.is_empty() || input.peek(Token![,]);
        return Err(match Kind::named(&key).filter(|_| bare) {
            Some(second) => validate::misplaced_kind(&key, second, args.kind, fixed),
            None => validate::unknown_keyword(&key, args.kind),
        });
    };
    if args.given.iter().any(|given| given.key == key) {
        return Err(validate::duplicate(&key));
    }
    let value = parse_value(row, &key, input)?;
    Ok(Given { row, key, value })
}

fn parse_value(row: &Keyword, key: &Ident, input: ParseStream<'_>) -> syn::Result<Value> {
    if matches!(row.becomes, Becomes::Flag | Becomes::Stream) {
        return validate::flag(key, input).map(|()| Value::None);
    }
    if row.becomes == Becomes::Fields {
        if !input.peek(token::Paren) {
            return Err(validate::fields_without_parentheses(key));
        }
        let content;
        syn::parenthesized!(content in input);
        return content.parse().map(Value::Tokens);
    }
    if input.is_empty() || input.peek(Token![,]) {
        if row.is_common() {
            return Err(validate::missing_value(key));
        }
        // As in tracing, a bare name stands for the variable of that name.
        return syn::parse2(TokenTree::from(key.clone()).into())
            .map(|variable| Value::Expr(Sigil::Value, variable));
    }
    validate::equals(key, input)?;
    match row.becomes {
        Becomes::SpanName => validate::span_name(input.parse()?).map(Value::Text),
        Becomes::Level => parse_level(input),
        Becomes::Crate => validate::crate_path(input).map(Value::Path),
        Becomes::Field(_) | Becomes::Content(_) | Becomes::Url => {
            let sigil = parse_sigil(input)?;
            validate::value(key, input).map(|value| Value::Expr(sigil, value))
        }
        _ => {
            validate::no_sigil(key, input)?;
            validate::value(key, input).map(|value| Value::Expr(Sigil::Value, value))
        }
    }
}

/// `"info"`, tracing's numbers from 1 (trace) to 5 (error), or an expression for a `Level`.
fn parse_level(input: ParseStream<'_>) -> syn::Result<Value> {
    const LEVELS: [&str; 5] = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR"];
    let Ok(literal) = input.fork().parse() else {
        return input.parse().map(|level| Value::Expr(Sigil::Value, level));
    };
    input.parse::<Lit>()?;
    let index = match &literal {
        Lit::Str(name) => {
            let name = name.value();
            LEVELS
                .iter()
                .position(|level| level.eq_ignore_ascii_case(&name))
        }
        Lit::Int(number) => number
            .base10_parse()
            .ok()
            .and_then(|number: usize| number.checked_sub(1)),
        _ => None,
    };
    let level = index.and_then(|index| LEVELS.get(index));
    level
        .map(|level| Value::Level(level))
        .ok_or_else(|| validate::level(&literal))
}

/// Leaves the rest of an argument that was refused already, so that it is not reported twice.
fn skip_argument(input: ParseStream<'_>) -> syn::Result<()> {
    let ahead = input.fork();
    if ahead.parse::<Token![=]>().is_ok() {
        let _sigil = parse_sigil(&ahead)?;
        // Parsed as an expression where it is one: `a::<B, C>()` has a comma of its own.
        if ahead.parse::<Expr>().is_ok() {
            input.advance_to(&ahead);
        }
    }
    while !input.is_empty() && !input.peek(Token![,]) {
        input.parse::<TokenTree>()?;
    }
    Ok(())
}

fn parse_sigil(input: ParseStream<'_>) -> syn::Result<Sigil> {
    if input.parse::<Option<Token![%]>>()?.is_some() {
        Ok(Sigil::Display)
    } else if input.parse::<Option<Token![?]>>()?.is_some() {
        Ok(Sigil::Debug)
    } else {
        Ok(Sigil::Value)
    }
}
