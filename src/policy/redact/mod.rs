//! Finds secrets in a text and puts tokens in their place, the same token for the same secret.
//!
//! An identifier costs a look at its letters, other clean text one pass of one automaton, which says what is worth a
//! closer look. What is found is collected first and replaced at once, so rules neither see nor spoil each other's work,
//! and a value keeps its quotes.

mod assignment;
mod mark;
mod name;
mod private_key;
#[cfg(test)]
mod tests;
mod value;

use std::borrow::Cow;
use std::cmp::Reverse;
use std::fmt;
use std::hash::Hasher;
use std::sync::{LazyLock, OnceLock};

use regex::{Regex, RegexSet, RegexSetBuilder};
use siphasher::sip::SipHasher13;

use super::patterns::{SHAPES, Test};
use value::{is_base64_pair, is_placeholder, is_scheme, looks_random};

/// What stands for a text that could not be searched: the raw text never does.
const UNAVAILABLE: &str = "[redaction-unavailable]";
/// How a token begins, and how long it is: `[secret:ab12]`.
const TOKEN: &str = "[secret:";
const TOKEN_BYTES: usize = 13;
/// A text still not clean after these was made to be so.
const MOST_PASSES: usize = 4;

/// Replaces secrets; the key makes tokens comparable within one store and meaningless outside it.
pub(crate) struct Redactor {
    key: [u8; 16],
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Redactor {
    pub(crate) fn new(key: [u8; 16]) -> Self {
        Self { key }
    }

    /// The text with a token in place of each secret; borrowed where it stays as it is. Cut the text afterwards, never
    /// before.
    pub(crate) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !mark::is_in(text) {
            return Cow::Borrowed(text);
        }
        self.search(text)
    }

    fn search<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let mut clean = Cow::Borrowed(text);
        // A token may stand where a space kept two values apart; the passes after the first see to that, and to it that
        // redacting twice is redacting once. Clean text has one pass, and hardly any has three.
        for _ in 0..MOST_PASSES {
            match self.pass(&clean) {
                Pass::Clean => break,
                Pass::Redacted(text) => clean = Cow::Owned(text),
                Pass::Failed => return Cow::Owned(UNAVAILABLE.to_owned()),
            }
        }
        clean
    }

    fn pass(&self, text: &str) -> Pass {
        let Some(needles) = NEEDLES.as_ref() else {
            return Pass::Failed;
        };
        let found = needles.matches(text);
        let mut spans = Vec::new();
        for rule in &found {
            let searched = match rule.checked_sub(SHAPES.len()) {
                None => find_shape(text, rule, &mut spans),
                Some(0) => assignment::find(text, &mut spans),
                Some(_) => {
                    private_key::find(text, &mut spans);
                    Some(())
                }
            };
            if searched.is_none() {
                return Pass::Failed;
            }
        }
        if spans.is_empty() {
            Pass::Clean
        } else {
            self.replace(text, spans).unwrap_or(Pass::Failed)
        }
    }

    fn replace<'a>(&self, text: &'a str, mut spans: Vec<Span<'a>>) -> Option<Pass> {
        // The tokens of an earlier pass stay, unless they are a part of something larger.
        let tokens = text
            .match_indices(TOKEN)
            .filter(|(start, _)| is_token_at(text, *start));
        spans.extend(tokens.map(|(start, _)| Span {
            start,
            end: start + TOKEN_BYTES,
            quote: "",
        }));
        spans.sort_unstable_by_key(|span| (span.start, Reverse(span.end)));
        let (mut clean, mut done, mut is_clean) = (String::with_capacity(text.len()), 0, true);
        let mut spans = spans.into_iter().peekable();
        while let Some(mut span) = spans.next() {
            while let Some(next) = spans.next_if(|next| next.start < span.end) {
                span.end = span.end.max(next.end);
            }
            let secret = text.get(span.start..span.end)?;
            clean.push_str(text.get(done..span.start)?);
            if secret.len() == TOKEN_BYTES && is_token_at(text, span.start) {
                clean.push_str(secret);
            } else {
                clean.push_str(span.quote);
                clean.push_str(&self.token(secret));
                clean.push_str(span.quote);
                is_clean = false;
            }
            done = span.end;
        }
        clean.push_str(text.get(done..)?);
        Some(if is_clean {
            Pass::Clean
        } else {
            Pass::Redacted(clean)
        })
    }

    fn token(&self, secret: &str) -> String {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        // The same secret is written with more backslashes in JSON inside JSON; its token stays the same.
        for part in secret.split('\\') {
            hasher.write(part.as_bytes());
        }
        format!("{TOKEN}{:04x}]", hasher.finish() & 0xffff)
    }
}

/// What one search of the text came to.
enum Pass {
    Clean,
    Redacted(String),
    Failed,
}

/// A secret's place; the quotes are those that a bare JSON number needs when a token takes its place.
struct Span<'a> {
    start: usize,
    end: usize,
    quote: &'a str,
}

/// One needle for each shape, then the names', then the private keys'.
static NEEDLES: LazyLock<Option<RegexSet>> = LazyLock::new(|| {
    let needles = SHAPES
        .iter()
        .map(|shape| shape.needle)
        .chain([name::NEEDLE, private_key::NEEDLE]);
    RegexSetBuilder::new(needles).unicode(false).build().ok()
});

/// The shapes' patterns, each made when its needle is first met: most programs meet few.
static PATTERNS: [OnceLock<Option<Regex>>; SHAPES.len()] =
    [const { OnceLock::new() }; SHAPES.len()];

fn pattern(rule: usize) -> Option<&'static Regex> {
    let compile = || {
        let shape = SHAPES.get(rule)?;
        // Words are words of ASCII here: that is what keys consist of, and it is what the fast engines can do.
        let ascii = shape
            .pattern
            .replace(r"\b", r"(?-u:\b)")
            .replace(r"\d", "[0-9]");
        let whole = if shape.is_word {
            // The letter of an escape and the digits of a percent code are no part of the word behind them.
            format!(r"(?:(?-u:\b)|_|\\[nrtbf]|%[0-9A-Fa-f]{{2}})({ascii})")
        } else {
            ascii
        };
        Regex::new(&whole).ok()
    };
    PATTERNS.get(rule)?.get_or_init(compile).as_ref()
}

fn find_shape(text: &str, rule: usize, spans: &mut Vec<Span<'_>>) -> Option<()> {
    let (regex, shape) = (pattern(rule)?, SHAPES.get(rule)?);
    for found in regex.captures_iter(text) {
        let Some(secret) = found.get(1).or_else(|| found.get(0)) else {
            continue;
        };
        let passes = match shape.test {
            Test::Any => true,
            Test::Random => looks_random(secret.as_str()),
            Test::Credential => !is_placeholder(secret.as_str()) && !is_scheme(secret.as_str()),
            Test::Pair => is_base64_pair(secret.as_str()),
        };
        if passes {
            spans.push(Span {
                start: secret.start(),
                end: secret.end(),
                quote: "",
            });
        }
    }
    Some(())
}

fn is_token_at(text: &str, start: usize) -> bool {
    let token = text.as_bytes().get(start..start + TOKEN_BYTES);
    token.is_some_and(|token| {
        token.starts_with(TOKEN.as_bytes())
            && token.ends_with(b"]")
            && token[TOKEN.len()..TOKEN_BYTES - 1]
                .iter()
                .all(u8::is_ascii_hexdigit)
    })
}
