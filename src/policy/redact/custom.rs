//! The user's own patterns: read once, with one clear message for one that cannot be used.

use std::fmt;

use regex::{Regex, RegexBuilder};

use super::{Span, mark};
use crate::error::{Error, ErrorKind};

/// The largest program that a pattern may become, in bytes.
const MOST_BYTES: usize = 1 << 20;

/// A pattern of the user's.
#[derive(Clone, Debug)]
pub(crate) struct Custom {
    pattern: Regex,
}

/// Why a pattern cannot be used.
#[derive(Debug)]
enum Refused {
    Unreadable(regex::Error),
    /// It matches where nothing is, so it would be found between any two letters.
    Empty,
}

impl Custom {
    pub(crate) fn new(pattern: &str) -> Result<Self, Error> {
        Self::read(pattern).map_err(|why| {
            let message = format!("the redaction pattern {pattern:?} cannot be used: {why}");
            Error::new(ErrorKind::InvalidInput, message)
        })
    }

    fn read(pattern: &str) -> Result<Self, Refused> {
        let pattern = RegexBuilder::new(pattern)
            .size_limit(MOST_BYTES)
            .build()
            .map_err(Refused::Unreadable)?;
        if pattern.is_match("") {
            return Err(Refused::Empty);
        }
        Ok(Custom { pattern })
    }

    /// Where it matches; marks that stand already are not looked into.
    pub(super) fn find(&self, text: &str, spans: &mut Vec<Span<'_>>) {
        let mut place = 0;
        for mark in mark::all(text).chain(std::iter::once(text.len()..text.len())) {
            let between = text.get(place..mark.start).unwrap_or_default();
            for found in self.pattern.captures_iter(between) {
                let Some(secret) = found.get(1).or_else(|| found.get(0)) else {
                    continue;
                };
                if !secret.is_empty() {
                    spans.push(Span::secret(place + secret.start(), place + secret.end()));
                }
            }
            place = mark.end;
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Unreadable(regex::Error::CompiledTooBig(limit)) => {
                write!(f, "it becomes larger than {limit} bytes")
            }
            // The reason alone; the pattern itself, drawn over several lines, is said already.
            Refused::Unreadable(error) => {
                let text = error.to_string();
                let reason = text.lines().last().unwrap_or_default();
                f.write_str(reason.trim_start_matches("error: "))
            }
            Refused::Empty => f.write_str("it matches the empty text"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Redactor;

    #[test]
    fn a_pattern_takes_its_group_or_all_it_matches() {
        let redactor = Redactor::new()
            .pattern(r"ACME-\d{4}")
            .and_then(|redactor| redactor.pattern(r"badge (\w+)"))
            .unwrap();
        let clean = redactor.redact("ACME-1234, badge blue, ACME-99");
        assert!(
            clean.starts_with("[secret:") && clean.contains("badge [secret:"),
            "{clean}"
        );
        assert!(clean.ends_with("ACME-99"), "{clean}");
        assert_eq!(redactor.redact(&clean), clean);
    }

    #[test]
    fn marks_are_never_matched() {
        let redactor = Redactor::new().pattern("secret|[a-f0-9]{4}").unwrap();
        let clean = redactor.redact("a secret and beef").into_owned();
        assert_eq!(redactor.redact(&clean), clean);
        assert!(!clean.contains("beef"), "{clean}");
    }

    #[test]
    fn a_bad_pattern_is_told_in_one_line() {
        for (pattern, why) in [
            ("(", "unclosed group"),
            ("a*", "the empty text"),
            (r"\w{5000}{50}", "larger than"),
            (r"(?=x)", "look-around"),
        ] {
            let error = Redactor::new().pattern(pattern).unwrap_err().to_string();
            assert!(
                error.contains(why) && error.contains("redaction pattern"),
                "{error}"
            );
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }
}
