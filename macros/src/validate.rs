//! Every refusal: the words of each error, the token it stands at, and what to write instead.

use proc_macro2::Span;
use syn::ext::IdentExt as _;
use syn::parse::ParseStream;
use syn::spanned::Spanned as _;
use syn::{Error, Expr, Ident, Lit, LitStr, Path, Result, ReturnType, Signature, Token, Type};

use crate::args::Args;
use crate::function::{Body, Function};
use crate::future;
use crate::keywords::{Absent, Becomes, KEYWORDS, Kind, PROFILES};

/// What users of tracing's `instrument` write by habit.
const HABITS: &[&str] = &["skip", "skip_all", "err", "ret"];

/// Holds the arguments against the function they stand on.
pub(crate) fn check<'a>(args: &Args, function: &'a Function) -> Result<&'a Body> {
    let word = args.kind.profile().word;
    let signature = &function.signature;
    let Some(body) = &function.body else {
        let message = "there is no body to record here; \
                       put the attribute on the methods that implement this one";
        return Err(Error::new(signature.ident.span(), message));
    };
    if let Some(constness) = &signature.constness {
        let message = "a `const fn` runs before there is anything to record it; \
                       remove `const`, or annotate the function that calls it";
        return Err(Error::new(constness.span(), message));
    }
    if let Some(variadic) = &signature.variadic {
        let message = "a variadic function cannot be recorded; annotate the function that calls it";
        return Err(Error::new(variadic.span(), message));
    }
    if let ReturnType::Type(_, output) = &signature.output
        && let Type::Never(never) = &**output
    {
        let message = "a function that never returns has no end to record; \
                       annotate the functions it calls";
        return Err(Error::new(never.span(), message));
    }
    for row in args.kind.keywords() {
        if row.absent == Absent::Required && args.find(row.becomes).is_none() {
            let name = row.name;
            let message = format!("`{word}` needs `{name} = ...`: the {word}'s own {name}");
            return Err(Error::new(Span::call_site(), message));
        }
    }
    if let Some(stream) = args.find(Becomes::Stream) {
        check_stream(args, &stream.key, signature)?;
    }
    match args.find(Becomes::Flag) {
        Some(flag) if matches!(signature.output, ReturnType::Default) => {
            let key = &flag.key;
            let message = format!(
                "`{key}` keeps what the function returns, and this one returns nothing; \
                 remove it, or call `hermes::current().output(..)` in the body",
            );
            Err(Error::new(key.span(), message))
        }
        _ => Ok(body),
    }
}

/// Holds `stream` against what the function returns.
fn check_stream(args: &Args, stream: &Ident, signature: &Signature) -> Result<()> {
    if let Some(flag) = args.find(Becomes::Flag) {
        let name = flag.row.name;
        let message = format!(
            "`{name}` reads what the function returns, and with `stream` that is read item by item; \
             remove `{name}`",
        );
        return Err(Error::new(flag.key.span(), message));
    }
    if future::streaming(signature).is_some() {
        return Ok(());
    }
    let message = "`stream` is for a function that returns a stream: `impl Stream<..>`, \
                   `Pin<Box<dyn Stream<..>>>`, `BoxStream<..>`, or a `Result` of one of them";
    let at = match &signature.output {
        ReturnType::Default => stream.span(),
        ReturnType::Type(_, output) => output.span(),
    };
    Err(Error::new(at, message))
}

/// The attribute stands on something that is not a function.
pub(crate) fn not_a_function(keyword: Option<&Ident>, at: Span) -> Error {
    let instead = match keyword.map(Ident::to_string).as_deref() {
        Some("impl") => "annotate the methods inside the `impl` block, one by one",
        Some("trait") => "annotate the methods that have a body, one by one",
        Some("mod") => "annotate the functions inside the module, one by one",
        Some("struct" | "enum" | "union") => "annotate the methods of the type",
        _ => "annotate the function that does the work",
    };
    Error::new(at, format!("only a function can be recorded; {instead}"))
}

/// The name of the next argument.
pub(crate) fn key(input: ParseStream<'_>) -> Result<Ident> {
    if input.peek(Token![%]) || input.peek(Token![?]) {
        let message = "`%` and `?` stand before the value: write `key = %value` or `key = ?value`";
        return Err(input.error(message));
    }
    if input.peek(LitStr) {
        let message =
            "a string alone says nothing here; to name the span write `span_name = \"...\"`";
        return Err(input.error(message));
    }
    let Ok(key) = input.call(Ident::parse_any) else {
        return Err(input.error("expected the name of an argument, as in `key = value`"));
    };
    Ok(key)
}

/// What follows an argument: the end, or a comma.
pub(crate) fn comma(input: ParseStream<'_>) -> Result<()> {
    if input.is_empty() || input.peek(Token![,]) {
        Ok(())
    } else {
        Err(input.error("a comma is missing before this"))
    }
}

pub(crate) fn unknown_keyword(key: &Ident, kind: Kind) -> Error {
    let word = kind.profile().word;
    let spelled = key.to_string();
    if let Some(error) = habit(key, kind) {
        return error;
    }
    let others = PROFILES
        .iter()
        .filter(|other| other.kind.keywords().any(|row| key == row.name));
    let others: Vec<_> = others.map(|other| other.word).collect();
    let hint = if spelled == "name" {
        "; to name the span write `span_name = \"...\"`".to_owned()
    } else if !others.is_empty() {
        format!("; it belongs to {}", list(&others))
    } else if let Some(close) = closest(&spelled, kind.keywords().map(|row| row.name)) {
        format!("; did you mean `{close}`?")
    } else {
        String::new()
    };
    let taken = arguments(kind);
    Error::new(
        key.span(),
        format!("`{key}` is not an argument of `{word}`{hint}\n{taken}"),
    )
}

pub(crate) fn unknown_kind(word: &Ident) -> Error {
    if let Some(error) = habit(word, Kind::Step) {
        return error;
    }
    let kinds: Vec<_> = PROFILES.iter().map(|profile| profile.word).collect();
    let owner = PROFILES
        .iter()
        .find(|profile| profile.kind.keywords().any(|row| word == row.name));
    let hint = if let Some(owner) = owner {
        let owner = owner.word;
        format!("; it is an argument, and the kind comes first: `instrument({owner}, {word})`")
    } else if let Some(close) = closest(&word.to_string(), kinds.iter().copied()) {
        format!("; did you mean `{close}`?")
    } else {
        String::new()
    };
    let kinds = list(&kinds);
    Error::new(
        word.span(),
        format!("`{word}` is not a kind{hint}\nthe kinds are {kinds}"),
    )
}

/// A kind where an argument was expected.
pub(crate) fn misplaced_kind(
    key: &Ident,
    second: Kind,
    kind: Kind,
    short_form: Option<Kind>,
) -> Error {
    let word = kind.profile().word;
    let message = if short_form.is_some() {
        format!("`#[hermes::{word}]` says the kind already; remove `{key}`")
    } else if second == kind {
        format!("the kind is given twice; remove this `{key}`")
    } else {
        format!(
            "`{key}` is a kind, and a span has one, which comes first: \
             `#[hermes::instrument({key}, ...)]`",
        )
    };
    Error::new(key.span(), message)
}

pub(crate) fn duplicate(key: &Ident) -> Error {
    Error::new(
        key.span(),
        format!("`{key}` is given twice; keep one of them"),
    )
}

pub(crate) fn missing_value(key: &Ident) -> Error {
    let example = match key.to_string().as_str() {
        "span_name" | "target" => "\"...\"",
        "level" => "\"info\"",
        "crate" => "path::to::hermes",
        _ => "...",
    };
    Error::new(
        key.span(),
        format!("`{key}` needs a value: write `{key} = {example}`"),
    )
}

pub(crate) fn flag(key: &Ident, input: ParseStream<'_>) -> Result<()> {
    if input.peek(Token![=]) || input.peek(syn::token::Paren) {
        let message = format!(
            "`{key}` takes no value: it stands for what the function returns; write `{key}` alone",
        );
        return Err(input.error(message));
    }
    Ok(())
}

pub(crate) fn fields_without_parentheses(key: &Ident) -> Error {
    let message = "`fields` takes its list in parentheses, as in tracing: `fields(key = value)`";
    Error::new(key.span(), message)
}

/// The `=` between a key and its value.
pub(crate) fn equals(key: &Ident, input: ParseStream<'_>) -> Result<()> {
    if input.peek(syn::token::Paren) {
        let message = format!("`{key}` takes its value after `=`: write `{key} = ...`");
        return Err(input.error(message));
    }
    if !input.peek(Token![=]) {
        return comma(input);
    }
    input.parse::<Token![=]>()?;
    if input.is_empty() || input.peek(Token![,]) {
        return Err(missing_value(key));
    }
    Ok(())
}

/// The expression after `=`.
pub(crate) fn value(key: &Ident, input: ParseStream<'_>) -> Result<Expr> {
    if input.is_empty() || input.peek(Token![,]) {
        return Err(missing_value(key));
    }
    input.parse()
}

pub(crate) fn no_sigil(key: &Ident, input: ParseStream<'_>) -> Result<()> {
    if input.peek(Token![%]) || input.peek(Token![?]) {
        let message = format!("`{key}` takes the value itself, not its text: write `{key} = ...`");
        return Err(input.error(message));
    }
    Ok(())
}

pub(crate) fn span_name(value: Expr) -> Result<LitStr> {
    let Expr::Lit(syn::ExprLit {
        lit: Lit::Str(name),
        ..
    }) = value
    else {
        let message = "a span's name is fixed at compile time, so it is a string literal; \
                       what varies belongs into `fields(...)`";
        return Err(Error::new(value.span(), message));
    };
    if name.value().is_empty() {
        let message = "a span needs a name; leave `span_name` out for the kind's own";
        return Err(Error::new(name.span(), message));
    }
    Ok(name)
}

pub(crate) fn crate_path(input: ParseStream<'_>) -> Result<Path> {
    let at = input.span();
    input.call(Path::parse_mod_style).map_err(|_| {
        Error::new(
            at,
            "`crate` takes a path, not quoted: write `crate = path::to::hermes`",
        )
    })
}

pub(crate) fn level(value: &Lit) -> Error {
    let message = "not a level; write \"trace\", \"debug\", \"info\", \"warn\" or \"error\", \
                   a number from 1 (trace) to 5 (error), or a `tracing::Level`";
    Error::new(value.span(), message)
}

fn habit(key: &Ident, kind: Kind) -> Option<Error> {
    let habit = *HABITS.iter().find(|habit| key == *habit)?;
    let flag = kind.keywords().find(|row| row.becomes == Becomes::Flag);
    let reason = match (habit, flag) {
        ("err", _) => "errors are recorded by themselves".to_owned(),
        ("ret", Some(flag)) => format!("write `{}` to keep what the function returns", flag.name),
        ("ret", None) => format!("a {} keeps no returned value", kind.profile().word),
        _ => "arguments are never recorded unless they are named".to_owned(),
    };
    Some(Error::new(
        key.span(),
        format!("`{key}` is not needed here: {reason}"),
    ))
}

/// The arguments a kind takes, for the lines below an error.
fn arguments(kind: Kind) -> String {
    let word = kind.profile().word;
    let own: Vec<_> = kind
        .keywords()
        .filter(|row| !row.is_common())
        .map(|row| row.name)
        .collect();
    let common: Vec<_> = KEYWORDS
        .iter()
        .filter(|row| row.is_common())
        .map(|row| row.name)
        .collect();
    let own = if own.is_empty() {
        "nothing of its own".to_owned()
    } else {
        list(&own)
    };
    format!("`{word}` takes {own}\nevery kind takes {}", list(&common))
}

fn list(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// The candidate a slip of the finger away: a third of the letters may differ, one at least.
fn closest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).max(1);
    let scored = candidates.map(|candidate| (distance(word, candidate), candidate));
    let (_, candidate) = scored.filter(|(steps, _)| *steps <= allowed).min()?;
    Some(candidate)
}

/// How many letters are to be added, removed, changed or swapped with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut rows: Vec<Vec<usize>> = vec![(0..=to.len()).collect()];
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let changed = usize::from(from[i - 1] != to[j - 1]);
            let mut steps = (rows[i - 1][j] + 1)
                .min(row[j - 1] + 1)
                .min(rows[i - 1][j - 1] + changed);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                steps = steps.min(rows[i - 2][j - 2] + 1);
            }
            row.push(steps);
        }
        rows.push(row);
    }
    rows[from.len()][to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_of_neighbours_is_one_step() {
        assert_eq!(distance("modle", "model"), 1);
        assert_eq!(distance("", "id"), 2);
        assert_eq!(distance("query", "query"), 0);
    }

    #[test]
    fn every_keyword_is_found_again_with_a_letter_missing() {
        for row in KEYWORDS.iter().filter(|row| row.name.len() > 2) {
            let slip = &row.name[..row.name.len() - 1];
            let names = row.kinds[0].keywords().map(|row| row.name);
            assert_eq!(closest(slip, names), Some(row.name), "{slip}");
        }
    }

    #[test]
    fn nothing_is_suggested_for_a_word_of_its_own() {
        assert_eq!(
            closest("temperature", Kind::Chat.keywords().map(|row| row.name)),
            None
        );
    }

    #[test]
    fn habits_are_not_keywords() {
        for habit in HABITS {
            assert!(KEYWORDS.iter().all(|row| row.name != *habit), "{habit}");
        }
    }
}
