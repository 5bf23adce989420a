//! Reads a value as it is written: in quotes of any depth, in a wrapper, or bare.
//!
//! The value is read by hand, for the quote that closes it is the one with as many backslashes as the one that opened
//! it; so the document around keeps its structure.

use super::assignment::Name;
use super::sign::Sign;
use super::work;

/// JSON inside JSON five times over; each time doubles the backslashes before a quote.
const MOST_ESCAPES: usize = 31;

/// The longest wrapper around a value.
const WRAPPER_BYTES: usize = 40;

/// A value and how it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) is_quoted: bool,
}

impl Written {
    pub(super) fn of(self, text: &str) -> &str {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

/// So much of a value is looked at to judge it; all of it is read when it is a secret.
pub(super) const GLANCE: usize = 512;

/// The value behind a sign, up to so many bytes of it.
pub(super) fn read(name: &Name<'_>, sign: &Sign<'_>, limit: usize) -> Option<Written> {
    let bytes = name.text.as_bytes();
    let mut start = blank_end(bytes, sign.end);
    if matches!(sign.byte, b':' | b'>' | b',') && (!sign.quote.is_empty() || sign.byte == b'>') {
        start = space_end(bytes, start);
    }
    start = unwrapped(name.text, start);
    let value = match quote_at(bytes, start) {
        Some(quote) => quoted_to(bytes, start, quote, limit),
        None => Written {
            start,
            end: start + bare_length(name, sign, start, limit),
            is_quoted: false,
        },
    };
    let end = (value.end..=name.text.len()).find(|end| name.text.is_char_boundary(*end))?;
    (end > value.start).then_some(Written { end, ..value })
}

/// Where a value begins behind the letters and calls around it: `b"x"`, `Some("x")`, `String::from("x")`.
fn unwrapped(text: &str, mut start: usize) -> usize {
    for _ in 0..3 {
        let rest = text.get(start..).unwrap_or_default();
        let length = rest
            .bytes()
            .take(WRAPPER_BYTES)
            .take_while(|byte| {
                byte.is_ascii_alphanumeric()
                    || matches!(byte, b':' | b'_' | b'.' | b'&' | b'[' | b']' | b'@' | b'#')
            })
            .count();
        if rest.as_bytes().get(length) == Some(&b'(') {
            let callee = rest[..length].trim_start_matches('&');
            let callee = callee.rsplit([':', '.']).next().unwrap_or(callee);
            let behind = space_end(text.as_bytes(), start + length + 1);
            let is_wrapper = WRAPPERS.split('|').any(|known| known == callee)
                || (callee == "from" && rest.starts_with("String::"));
            if is_wrapper {
                start = behind;
                continue;
            }
        }
        // Strings of some languages have letters before their quote.
        let is_prefix = (1..=3).contains(&length)
            && rest[..length]
                .bytes()
                .all(|byte| b"bBrRuUfF@#&".contains(&byte));
        if is_prefix && quote_at(text.as_bytes(), start + length) == Some(start + length) {
            return start + length;
        }
        break;
    }
    start
}

fn bare_length(name: &Name<'_>, sign: &Sign<'_>, start: usize, limit: usize) -> usize {
    let bytes = name.text.as_bytes().get(start..).unwrap_or_default();
    // Alone on a line of an environment file, signs are a part of the value.
    let is_line =
        sign.byte == b'=' && name.text.get(name.end..start) == Some("=") && name.begins_line();
    let is_phrase = name.is_phrase();
    let is_told = sign.byte == b' ';
    let mut length = 0;
    while let Some(byte) = bytes.get(length).filter(|_| length < limit) {
        let next = bytes.get(length + 1);
        let ends = match byte {
            b'\r' | b'\n' | b'"' | b'\'' | b'`' | b'<' => true,
            b' ' | b'\t' => !is_phrase,
            // `&str` begins with what parts queries.
            b'&' => !is_line && !is_told && length > 0,
            b',' | b';' | b'>' | b')' | b'}' | b']' | b'|' | b'(' => !is_line,
            b'\\' => matches!(
                next,
                None | Some(b'n' | b'r' | b't' | b'"' | b'\'' | b'u' | b'\\')
            ),
            b'.' if is_told => !next.is_some_and(u8::is_ascii_alphanumeric),
            _ => false,
        };
        if ends {
            break;
        }
        work::did(1);
        // A backslash and what it escapes stay together, so that JSON stays JSON.
        length += if *byte == b'\\' && next.is_some_and(u8::is_ascii) {
            2
        } else {
            1
        };
    }
    length
}

/// Where the quote is that begins at `start`, behind the backslashes which a string inside a string has.
pub(super) fn quote_at(bytes: &[u8], start: usize) -> Option<usize> {
    let escapes = bytes
        .get(start..)?
        .iter()
        .take(MOST_ESCAPES)
        .take_while(|byte| **byte == b'\\')
        .count();
    let quote = start + escapes;
    matches!(bytes.get(quote), Some(b'"' | b'\'' | b'`')).then_some(quote)
}

pub(super) fn blank_end(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    start
        + rest
            .iter()
            .take_while(|byte| matches!(byte, b' ' | b'\t'))
            .count()
}

/// Behind blanks and line ends, also those that are escaped in a string.
pub(super) fn space_end(bytes: &[u8], mut start: usize) -> usize {
    loop {
        match bytes.get(start) {
            Some(b' ' | b'\t' | b'\n' | b'\r') => start += 1,
            Some(b'\\') => {
                let escapes = bytes[start..]
                    .iter()
                    .take(MOST_ESCAPES)
                    .take_while(|byte| **byte == b'\\')
                    .count();
                match bytes.get(start + escapes) {
                    Some(b'n' | b'r' | b't') => start += escapes + 1,
                    _ => return start,
                }
            }
            _ => return start,
        }
    }
}

/// The value behind an opening quote, up to the quote that closes it, the end of the line or of the text.
pub(super) fn quoted(bytes: &[u8], start: usize, quote: usize) -> Written {
    quoted_to(bytes, start, quote, usize::MAX)
}

fn quoted_to(bytes: &[u8], start: usize, quote: usize, limit: usize) -> Written {
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
    let written = |end: usize| Written {
        start,
        end,
        is_quoted: true,
    };
    let mut escapes = 0;
    for (index, byte) in bytes.iter().enumerate().skip(start).take(limit) {
        work::did(1);
        match byte {
            b'\\' => escapes += 1,
            b'\n' | b'\r' => return written(index),
            // With n backslashes before the opening quote, a closing one has n too, and a multiple of 2(n + 1) more where
            // the value ends in backslashes; with fewer it closes the string around.
            _ if *byte == sign && (escapes < level || escapes % (2 * (level + 1)) == level) => {
                return written(index - escapes.min(level));
            }
            // The string around ends, so this one was cut off.
            b'"' if level > 0 && escapes < level => return written(index - escapes),
            _ => escapes = 0,
        }
    }
    // Not within an escape.
    written(
        bytes
            .len()
            .min(start.saturating_add(limit))
            .max(start + escapes)
            - escapes,
    )
}

/// Calls that hold a value and do nothing to it.
const WRAPPERS: &str = "Some|Ok|Secret|SecretString|SecretStr|SecretBox|Zeroizing|Borrowed|Owned|str|bytes|Bytes|Password|ApiKey|Token|\
    Sensitive|SecretValue|String|from_str|byte|Redacted|Opaque|Value|StringValue|quote|repr|Just|fromJson|SecureString|HeaderValue|from_static|to_string";
