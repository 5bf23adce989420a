//! Finds secrets by the name they are assigned to, in whatever notation: JSON inside JSON, code, URLs, command lines.
//!
//! The value is read by hand, for the quote that closes it is the one with as many backslashes as the one that opened
//! it; so the document around keeps its structure.

use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};

use super::name::{self, Telling};
use super::value::{is_code, is_digest, is_placeholder, is_short_number, looks_random};
use super::{Span, is_token_at};

/// The longest name that is looked at; what is longer is no name.
const NAME_BYTES: usize = 96;

/// JSON inside JSON five times over; each time doubles the backslashes before a quote.
const MOST_ESCAPES: usize = 31;

static NAMES: LazyLock<Option<Regex>> =
    LazyLock::new(|| RegexBuilder::new(name::NEEDLE).unicode(false).build().ok());

/// Finds `NAME=value`, `name: value`, `"name": "value"`, `--name value`; `None` where it cannot search.
pub(super) fn find<'a>(text: &'a str, spans: &mut Vec<Span<'a>>) -> Option<()> {
    let mut done = 0;
    for hit in NAMES.as_ref()?.find_iter(text) {
        if hit.start() < done {
            continue;
        }
        let name = Name::around(text, hit.start(), hit.end());
        if let Some(span) = name.and_then(|name| name.secret()) {
            done = span.end;
            spans.push(span);
        }
    }
    Some(())
}

/// A name in a text, with everything around it.
#[derive(Clone, Copy)]
struct Name<'a> {
    text: &'a str,
    start: usize,
    end: usize,
}

/// What parts a name from its value.
struct Sign<'a> {
    byte: u8,
    /// The quote that closed the name.
    quote: &'a str,
    /// Where the value may begin.
    end: usize,
}

/// A value and how it is written.
#[derive(Clone, Copy)]
struct Written {
    start: usize,
    end: usize,
    is_quoted: bool,
}

impl<'a> Name<'a> {
    /// The whole name around a word of it.
    fn around(text: &'a str, start: usize, end: usize) -> Option<Self> {
        let bytes = text.as_bytes();
        let is_part =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        // The needle may have taken the separator along, or have a space inside it.
        let hit = &text[start..end];
        let hit = hit
            .split(['\\', '"', '\'', ':', '='])
            .next()
            .unwrap_or(hit)
            .trim_end();
        let end = start + hit.len();
        let after = bytes[end..]
            .iter()
            .take(NAME_BYTES)
            .take_while(|byte| is_part(byte))
            .count();
        let before = bytes[..start]
            .iter()
            .rev()
            .take(NAME_BYTES)
            .take_while(|byte| is_part(byte))
            .count();
        if after == NAME_BYTES || before == NAME_BYTES {
            return None;
        }
        let mut name = Name {
            text,
            start: start - before,
            end: end + after,
        };
        if name.byte_before() == Some(b'\\')
            && before > 0
            && matches!(bytes[name.start], b'n' | b'r' | b't')
        {
            // The letter belongs to an escaped line end before the name.
            name.start += 1;
        }
        if name.is_one_of(&["key", "token"]) && name.byte_before() == Some(b' ') {
            // "API key: ..." is a name of two words.
            let before = bytes[..name.start - 1].iter().rev();
            name.start -= 1 + before
                .take(16)
                .take_while(|byte| byte.is_ascii_alphanumeric())
                .count();
        }
        // A token of an earlier pass is no name with a value.
        let bracket = name.start.checked_sub(1);
        (!bracket.is_some_and(|bracket| is_token_at(text, bracket))).then_some(name)
    }

    fn as_str(&self) -> &'a str {
        self.text.get(self.start..self.end).unwrap_or_default()
    }

    fn is_one_of(&self, words: &[&str]) -> bool {
        words
            .iter()
            .any(|word| self.as_str().eq_ignore_ascii_case(word))
    }

    fn ends_with(&self, ending: &str) -> bool {
        let name = self.as_str();
        let start = name.len().checked_sub(ending.len());
        start
            .and_then(|start| name.get(start..))
            .is_some_and(|end| end.eq_ignore_ascii_case(ending))
    }

    fn byte_before(&self) -> Option<u8> {
        self.start
            .checked_sub(1)
            .map(|index| self.text.as_bytes()[index])
    }

    /// The place of the secret that the name names.
    fn secret(&self) -> Option<Span<'a>> {
        let Sign {
            byte: sign,
            quote,
            end,
        } = self.sign()?;
        let telling = name::telling(self.as_str());
        if telling == Telling::Nothing {
            return None;
        }
        let mut value = self.value(end, sign)?;
        let written = |value: Written| self.text.get(value.start..value.end).unwrap_or_default();
        if sign == b':' && !value.is_quoted && is_placeholder(written(value)) {
            // `password: str = "..."`: what follows the colon is the type.
            let rest = self.text[value.end..].trim_start_matches([' ', '\t']);
            value = self.value(self.text.len() - rest.strip_prefix('=')?.len(), b'=')?;
        }
        let text = written(value);
        let is_secret = match telling {
            Telling::Secret => value.is_quoted || !is_short_number(text),
            Telling::Assigned => {
                !is_short_number(text) && self.is_assigned(sign, quote, end, value)
            }
            Telling::Random { digests } => looks_random(text) && (digests || !is_digest(text)),
            Telling::Nothing => false,
        };
        // A list or an object is looked into, not replaced; and code is not what it returns.
        let is_tree = text.starts_with(['[', '{']);
        let is_call = self.text[value.end..].starts_with('(') || is_code(text);
        if !is_secret || is_placeholder(text) || (!value.is_quoted && (is_tree || is_call)) {
            return None;
        }
        let is_json_number = !value.is_quoted && sign == b':';
        Some(Span {
            start: value.start,
            end: value.end,
            quote: if is_json_number { quote } else { "" },
        })
    }

    /// "All tests pass: ..." and "pass ==" are prose; `pass=x`, `"pass": "x"` and `DB_PASS: x` are not.
    fn is_assigned(&self, sign: u8, quote: &str, end: usize, value: Written) -> bool {
        let written = self.text.get(self.end..end).unwrap_or_default();
        let is_environment = !self.as_str().bytes().any(|byte| byte.is_ascii_lowercase());
        match sign {
            b'=' => written == "=" || (value.is_quoted && !written.ends_with("==")),
            b'>' => true,
            _ => {
                (value.is_quoted && !quote.is_empty())
                    || (is_environment && self.as_str().contains('_'))
            }
        }
    }

    fn sign(&self) -> Option<Sign<'a>> {
        let bytes = self.text.as_bytes();
        let at = |index: usize| bytes.get(index).copied();
        let closed = quote_at(bytes, self.end).map_or(self.end, |quote| quote + 1);
        let quote = self.text.get(self.end..closed)?;
        // `os.environ["API_KEY"] = ...`
        let closed = if at(closed) == Some(b']') {
            closed + 1
        } else {
            closed
        };
        let next = blank_end(bytes, closed);
        let found = |byte: u8, length: usize| {
            Some(Sign {
                byte,
                quote,
                end: next + length,
            })
        };
        let is_flag = self.as_str().starts_with("--") && next > closed;
        match at(next)? {
            b':' if at(next + 1) == Some(b'=') => found(b'=', 2),
            b':' if at(next + 1) != Some(b':') => found(b':', 1),
            b'=' if matches!(at(next + 1), Some(b'=' | b'>')) => found(b'=', 2),
            b'=' => found(b'=', 1),
            b'%' if self.text[next..].starts_with("%3D")
                || self.text[next..].starts_with("%3d") =>
            {
                found(b'=', 3)
            }
            // An element of XML.
            b'>' if self.byte_before() == Some(b'<') => found(b'>', 1),
            b'-' if is_flag => None,
            _ if is_flag => found(b'=', 0),
            // SQL: `WITH PASSWORD 'x'`.
            b'\'' if next > closed && self.ends_with("password") => found(b'=', 0),
            _ => None,
        }
    }

    fn value(&self, behind: usize, sign: u8) -> Option<Written> {
        let bytes = self.text.as_bytes();
        let mut start = blank_end(bytes, behind);
        // Strings of some languages have a letter before their quote.
        let has_letter = bytes
            .get(start)
            .is_some_and(|byte| b"bBrRuUfF".contains(byte));
        if has_letter && quote_at(bytes, start + 1) == Some(start + 1) {
            start += 1;
        }
        let value = match quote_at(bytes, start) {
            Some(quote) => quoted_value(bytes, start, quote),
            None => Written {
                start,
                end: start + self.bare_length(start, sign),
                is_quoted: false,
            },
        };
        (value.end > value.start).then_some(value)
    }

    fn bare_length(&self, start: usize, sign: u8) -> usize {
        let bytes = self.text.as_bytes().get(start..).unwrap_or_default();
        // Alone on a line of an environment file, signs are a part of the value.
        let is_line =
            sign == b'=' && self.text.get(self.end..start) == Some("=") && self.begins_line();
        let is_phrase = self.ends_with("phrase") || self.ends_with("mnemonic");
        let mut length = 0;
        while let Some(byte) = bytes.get(length) {
            let next = bytes.get(length + 1);
            let ends = match byte {
                b'\r' | b'\n' | b'"' | b'\'' | b'`' | b'<' => true,
                b' ' | b'\t' => !is_phrase,
                // `&str` begins with what parts queries.
                b'&' => !is_line && length > 0,
                b',' | b';' | b'>' | b')' | b'}' | b']' | b'|' | b'(' => !is_line,
                b'\\' => matches!(next, None | Some(b'n' | b'r' | b't' | b'"' | b'\'' | b'u')),
                _ => false,
            };
            if ends {
                break;
            }
            // A backslash and what it escapes stay together, so that JSON stays JSON.
            length += if *byte == b'\\' && next.is_some_and(u8::is_ascii) {
                2
            } else {
                1
            };
        }
        length
    }

    fn begins_line(&self) -> bool {
        let blank = [' ', '\t'];
        let before = self
            .text
            .get(..self.start)
            .unwrap_or_default()
            .trim_end_matches(blank);
        let before = before
            .strip_suffix("export")
            .map_or(before, |rest| rest.trim_end_matches(blank));
        before.is_empty() || before.ends_with('\n') || before.ends_with("\\n")
    }
}

/// Where the quote is that begins at `start`, behind the backslashes which a string inside a string has.
fn quote_at(bytes: &[u8], start: usize) -> Option<usize> {
    let escapes = bytes
        .get(start..)?
        .iter()
        .take(MOST_ESCAPES)
        .take_while(|byte| **byte == b'\\')
        .count();
    let quote = start + escapes;
    matches!(bytes.get(quote), Some(b'"' | b'\'')).then_some(quote)
}

fn blank_end(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    start
        + rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count()
}

/// The value behind an opening quote, up to the quote that closes it, the end of the line or of the text.
fn quoted_value(bytes: &[u8], start: usize, quote: usize) -> Written {
    let (level, sign) = (quote - start, bytes[quote]);
    // Three quotes open a string of several lines; to skip two of them is enough.
    let three = bytes
        .get(quote..quote + 3)
        .is_some_and(|three| three.iter().all(|byte| *byte == sign));
    let start = if level == 0 && three {
        quote + 3
    } else {
        quote + 1
    };
    let mut escapes = 0;
    for (index, byte) in bytes.iter().enumerate().skip(start) {
        match byte {
            b'\\' => escapes += 1,
            b'\n' | b'\r' => {
                return Written {
                    start,
                    end: index,
                    is_quoted: true,
                };
            }
            // With n backslashes before the opening quote, a closing one has n too, and a multiple of 2(n + 1) more where
            // the value ends in backslashes; with fewer it closes the string around.
            _ if *byte == sign && (escapes < level || escapes % (2 * (level + 1)) == level) => {
                return Written {
                    start,
                    end: index - escapes.min(level),
                    is_quoted: true,
                };
            }
            _ => escapes = 0,
        }
    }
    Written {
        start,
        end: bytes.len(),
        is_quoted: true,
    }
}
