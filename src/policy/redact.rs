//! Finds secrets in a text and puts tokens in their place, the same token for the same secret.
//!
//! Clean text costs one pass of one automaton, which says what is worth a closer look. What is found is collected first
//! and replaced at once, so rules neither see nor spoil each other's work, and a value keeps its quotes.

use std::borrow::Cow;
use std::fmt;
use std::hash::Hasher;
use std::sync::{LazyLock, OnceLock};

use regex::{Regex, RegexSet, RegexSetBuilder};
use siphasher::sip::SipHasher13;

use super::patterns::{
    CODE_BEGINNINGS, KEY_NEEDLE, NAME_NEEDLE, PLACEHOLDERS, SHAPES, Telling, Test, telling,
};

/// What stands for a text that could not be searched: the raw text never does.
const UNAVAILABLE: &str = "[redaction-unavailable]";
/// How a token begins, and how long it is: `[secret:ab12]`.
const TOKEN: &str = "[secret:";
const TOKEN_BYTES: usize = 13;
/// The longest name that is looked at; what is longer is no name.
const NAME_BYTES: usize = 96;

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

    /// The text with a token in place of each secret. Cut the text afterwards, never before.
    pub(crate) fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let Some(needles) = NEEDLES.as_ref() else {
            return Cow::Borrowed(UNAVAILABLE);
        };
        let found = needles.matches(text);
        if !found.matched_any() {
            return Cow::Borrowed(text);
        }
        let mut spans = Vec::new();
        for rule in &found {
            let searched = match rule.checked_sub(SHAPES.len()) {
                None => shaped(text, rule, &mut spans),
                Some(0) => named(text, &mut spans),
                Some(_) => {
                    private_keys(text, &mut spans);
                    Some(())
                }
            };
            if searched.is_none() {
                return Cow::Borrowed(UNAVAILABLE);
            }
        }
        if spans.is_empty() {
            Cow::Borrowed(text)
        } else {
            self.replaced(text, spans)
        }
    }

    fn replaced<'a>(&self, text: &'a str, mut spans: Vec<Span<'a>>) -> Cow<'a, str> {
        // The tokens of an earlier pass stay, unless they are a part of something larger.
        let tokens = text
            .match_indices(TOKEN)
            .filter(|(start, _)| is_token_at(text, *start));
        spans.extend(tokens.map(|(start, _)| Span {
            start,
            end: start + TOKEN_BYTES,
            quote: "",
        }));
        spans.sort_unstable_by_key(|span| (span.start, std::cmp::Reverse(span.end)));
        let (mut clean, mut done) = (String::with_capacity(text.len()), 0);
        let mut spans = spans.into_iter().peekable();
        while let Some(mut span) = spans.next() {
            while let Some(next) = spans.next_if(|next| next.start < span.end) {
                span.end = span.end.max(next.end);
            }
            let (Some(before), Some(secret)) =
                (text.get(done..span.start), text.get(span.start..span.end))
            else {
                return Cow::Borrowed(UNAVAILABLE);
            };
            clean.push_str(before);
            if secret.len() == TOKEN_BYTES && is_token_at(text, span.start) {
                clean.push_str(secret);
            } else {
                clean.push_str(span.quote);
                clean.push_str(&self.token(secret));
                clean.push_str(span.quote);
            }
            done = span.end;
        }
        clean.push_str(text.get(done..).unwrap_or(UNAVAILABLE));
        Cow::Owned(clean)
    }

    fn token(&self, secret: &str) -> String {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write(secret.as_bytes());
        format!("{TOKEN}{:04x}]", hasher.finish() & 0xffff)
    }
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
        .chain([NAME_NEEDLE, KEY_NEEDLE]);
    RegexSetBuilder::new(needles).unicode(false).build().ok()
});

static NAMES: LazyLock<Option<Regex>> = LazyLock::new(|| {
    regex::RegexBuilder::new(NAME_NEEDLE)
        .unicode(false)
        .build()
        .ok()
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

fn shaped(text: &str, rule: usize, spans: &mut Vec<Span<'_>>) -> Option<()> {
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

/// Finds the values of names that tell of a secret: `NAME=value`, `name: value`, `"name": "value"`, `--name value`.
fn named<'a>(text: &'a str, spans: &mut Vec<Span<'a>>) -> Option<()> {
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

/// A name in a text, and what stands behind it.
#[derive(Clone, Copy)]
struct Name<'a> {
    text: &'a str,
    start: usize,
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
        // The needle may have taken the separator along.
        let end = start
            + bytes[start..end]
                .iter()
                .take_while(|byte| is_part(byte) || **byte == b' ')
                .count();
        let end = end
            - bytes[start..end]
                .iter()
                .rev()
                .take_while(|byte| **byte == b' ')
                .count();
        let after = bytes[end..]
            .iter()
            .take(NAME_BYTES + 1)
            .take_while(|byte| is_part(byte))
            .count();
        let before = bytes[..start]
            .iter()
            .rev()
            .take(NAME_BYTES + 1)
            .take_while(|byte| is_part(byte))
            .count();
        if after > NAME_BYTES || before > NAME_BYTES {
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
        if matches!(name.as_str().to_ascii_lowercase().as_str(), "key" | "token")
            && name.byte_before() == Some(b' ')
        {
            // "API key: ..." is a name of two words.
            let word = bytes[..name.start - 1]
                .iter()
                .rev()
                .take(16)
                .take_while(|byte| byte.is_ascii_alphanumeric());
            name.start -= 1 + word.count();
        }
        // A token of an earlier pass is no name with a value.
        let is_token = name
            .start
            .checked_sub(1)
            .is_some_and(|bracket| is_token_at(text, bracket));
        (!is_token).then_some(name)
    }

    fn as_str(&self) -> &'a str {
        self.text.get(self.start..self.end).unwrap_or_default()
    }

    fn byte_before(&self) -> Option<u8> {
        self.start
            .checked_sub(1)
            .map(|index| self.text.as_bytes()[index])
    }

    /// The place of the secret that the name names.
    fn secret(&self) -> Option<Span<'a>> {
        let (sign, quote, behind) = self.sign()?;
        let telling = telling(self.as_str());
        if telling == Telling::Nothing {
            return None;
        }
        let mut value = self.value(behind, sign)?;
        let written = |value: Written| self.text.get(value.start..value.end).unwrap_or_default();
        if sign == b':' && !value.is_quoted && is_placeholder(written(value)) {
            // `password: str = "..."`: what follows the colon is the type.
            let rest = self.text[value.end..].trim_start_matches([' ', '\t']);
            let after_type = rest.strip_prefix('=')?;
            value = self.value(self.text.len() - after_type.len(), b'=')?;
        }
        let text = written(value);
        let is_secret = match telling {
            Telling::Secret => !is_short_number(text) || value.is_quoted,
            Telling::Assigned => (sign == b'=' || value.is_quoted) && !is_short_number(text),
            Telling::Random { digests } => looks_random(text) && (digests || !is_digest(text)),
            Telling::Nothing => false,
        };
        let is_code = !value.is_quoted
            && (self.text[value.end..].starts_with('(')
                || CODE_BEGINNINGS.iter().any(|code| text.starts_with(code)));
        // A list or an object is looked into, not replaced.
        let is_tree = !value.is_quoted && text.starts_with(['[', '{']);
        if !is_secret || is_code || is_tree || is_placeholder(text) {
            return None;
        }
        let is_json_number = !value.is_quoted && sign == b':' && !quote.is_empty();
        Some(Span {
            start: value.start,
            end: value.end,
            quote: if is_json_number { quote } else { "" },
        })
    }

    /// The sign between name and value, the quote that closed the name, and where the value may begin.
    fn sign(&self) -> Option<(u8, &'a str, usize)> {
        let bytes = self.text.as_bytes();
        let at = |index: usize| bytes.get(index).copied();
        let quoted = quote_at(bytes, self.end).map_or(self.end, |quote| quote + 1);
        let quote = self.text.get(self.end..quoted)?;
        let closed = if at(quoted) == Some(b']') {
            quoted + 1
        } else {
            quoted
        };
        let next = blank_end(bytes, closed);
        let is_flag = self.as_str().starts_with("--") && next > closed;
        match at(next)? {
            b':' if at(next + 1) == Some(b'=') => Some((b'=', quote, next + 2)),
            b':' if at(next + 1) != Some(b':') => Some((b':', quote, next + 1)),
            b'=' if matches!(at(next + 1), Some(b'=' | b'>')) => Some((b'=', quote, next + 2)),
            b'=' => Some((b'=', quote, next + 1)),
            b'%' if self.text[next..].starts_with("%3D")
                || self.text[next..].starts_with("%3d") =>
            {
                Some((b'=', quote, next + 3))
            }
            // An element of XML.
            b'>' if self.byte_before() == Some(b'<') => Some((b'>', quote, next + 1)),
            b'-' if is_flag => None,
            _ if is_flag => Some((b'=', quote, next)),
            // SQL: `WITH PASSWORD 'x'`.
            b'\'' if next > closed && quote.is_empty() => Some((b'=', quote, next)),
            _ => None,
        }
    }

    fn value(&self, behind: usize, sign: u8) -> Option<Written> {
        let bytes = self.text.as_bytes();
        let mut start = blank_end(bytes, behind);
        // Strings of some languages have a letter before their quote.
        if bytes
            .get(start)
            .is_some_and(|byte| b"bBrRuUfF".contains(byte))
            && quote_at(bytes, start + 1) == Some(start + 1)
        {
            start += 1;
        }
        if let Some(quote) = quote_at(bytes, start) {
            return Some(quoted_value(bytes, start, quote)).filter(|value| value.end > value.start);
        }
        let end = start + self.bare_length(start, sign);
        Some(Written {
            start,
            end,
            is_quoted: false,
        })
        .filter(|_| end > start)
    }

    fn bare_length(&self, start: usize, sign: u8) -> usize {
        let bytes = self.text.as_bytes().get(start..).unwrap_or_default();
        // Alone on a line of an environment file, signs are a part of the value.
        let is_line = sign == b'=' && self.begins_line();
        let name = self.as_str().to_ascii_lowercase();
        let is_phrase = ["phrase", "mnemonic"]
            .iter()
            .any(|ending| name.ends_with(ending));
        let mut length = 0;
        while let Some(byte) = bytes.get(length) {
            let ends = match byte {
                b'\r' | b'\n' | b'"' | b'\'' | b'`' | b'<' => true,
                b' ' | b'\t' => !is_phrase,
                b',' | b';' | b'&' | b'>' | b')' | b'}' | b']' | b'|' | b'(' => !is_line,
                b'\\' => matches!(
                    bytes.get(length + 1),
                    None | Some(b'n' | b'r' | b't' | b'"' | b'\'' | b'u')
                ),
                _ => false,
            };
            if ends {
                break;
            }
            // A backslash and what it escapes stay together, so that JSON stays JSON.
            length += if *byte == b'\\' && bytes.get(length + 1).is_some_and(u8::is_ascii) {
                2
            } else {
                1
            };
        }
        length
    }

    fn begins_line(&self) -> bool {
        let before = self
            .text
            .get(..self.start)
            .unwrap_or_default()
            .trim_end_matches([' ', '\t']);
        let before = before
            .strip_suffix("export")
            .map_or(before, |rest| rest.trim_end_matches([' ', '\t']));
        before.is_empty() || before.ends_with('\n') || before.ends_with("\\n")
    }
}

/// Where the quote is that begins at `start`, behind the backslashes which a string inside a string has.
fn quote_at(bytes: &[u8], start: usize) -> Option<usize> {
    let escapes = bytes
        .get(start..)?
        .iter()
        .take(16)
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
    let triple = level == 0
        && bytes
            .get(quote..quote + 3)
            .is_some_and(|three| three.iter().all(|byte| *byte == sign));
    let start = if triple { quote + 3 } else { quote + 1 };
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

fn private_keys(text: &str, spans: &mut Vec<Span<'_>>) {
    const MARK: &str = "-----";
    let mut done = 0;
    for (start, begin) in text.match_indices(KEY_NEEDLE) {
        let label = &text[start + begin.len()..];
        let Some(length) = label.bytes().take(64).position(|byte| byte == b'-') else {
            continue;
        };
        if start < done
            || !label[..length].contains("PRIVATE KEY")
            || !label[length..].starts_with(MARK)
        {
            continue;
        }
        let body = start + begin.len() + length + MARK.len();
        done = body + key_length(&text[body..]);
        spans.push(Span {
            start,
            end: done,
            quote: "",
        });
    }
}

/// How far the body of a private key goes: to its end mark, or as far as it looks like one where it was cut off.
fn key_length(body: &str) -> usize {
    const END: &str = "-----END ";
    let bytes = body.as_bytes();
    let mut walked = 0;
    while let Some(byte) = bytes.get(walked) {
        let next = bytes.get(walked + 1);
        match byte {
            b'-' if body[walked..].starts_with(END) => {
                let label = &bytes[walked + END.len()..];
                let mark = label.windows(5).take(64).position(|five| five == b"-----");
                return walked + END.len() + mark.map_or(0, |length| length + 5);
            }
            b'-' if body[walked..].starts_with("-----") => break,
            b'+' | b'/' | b'=' | b'-' | b':' | b',' | b'.' | b' ' | b'\t' | b'\r' | b'\n' => {}
            b'\\' if matches!(next, Some(b'n' | b'r' | b't' | b'\\' | b'/')) => {}
            byte if byte.is_ascii_alphanumeric() => {}
            _ => break,
        }
        walked += 1;
    }
    // No end mark: whole lines without a space and headers are the key's, words after a space are its if they are long.
    let (mut kept, mut offset) = (0, 0);
    for line in body[..walked].split_inclusive(['\n', '\\']) {
        let text = line.trim_end_matches(['\n', '\r', '\\', ' ']);
        if text.contains(' ') && !text.contains(':') {
            let long = text
                .split_inclusive(' ')
                .take_while(|word| word.len() > 16)
                .map(str::len)
                .sum::<usize>();
            let long = text[..long].trim_end().len();
            return if long > 0 { offset + long } else { kept };
        }
        if !text.is_empty() {
            kept = offset + text.len();
        }
        offset += line.len();
    }
    kept
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

/// Whether a value says that there is none, or where it comes from.
fn is_placeholder(value: &str) -> bool {
    let trimmed = value
        .trim()
        .trim_end_matches(['.', ',', ';', ':', '!', '?']);
    let wrapped = [
        ("<", ">"),
        ("${", "}"),
        ("{{", "}}"),
        ("$(", ")"),
        ("%(", ")s"),
        ("[", "]"),
        ("{", "}"),
    ];
    trimmed.is_empty()
        || PLACEHOLDERS
            .iter()
            .any(|word| trimmed.eq_ignore_ascii_case(word))
        || trimmed
            .bytes()
            .all(|byte| matches!(byte, b'*' | b'x' | b'X' | b'.' | b'-' | b'_'))
        || wrapped.iter().any(|(open, close)| {
            value.starts_with(open) && (value.ends_with(close) || value.len() == open.len())
        })
        || value.strip_prefix('$').is_some_and(|name| {
            name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        })
}

fn is_scheme(value: &str) -> bool {
    [
        "bearer",
        "basic",
        "token",
        "bot",
        "apikey",
        "negotiate",
        "ntlm",
        "digest",
        "aws4-hmac-sha256",
    ]
    .iter()
    .any(|scheme| value.eq_ignore_ascii_case(scheme))
}

/// Whether letters and digits are mixed as words and numbers are not.
fn looks_random(value: &str) -> bool {
    let mut mixed = 0;
    for run in value.split(|letter: char| !letter.is_ascii_alphanumeric()) {
        let digits = run.bytes().filter(u8::is_ascii_digit).count();
        if run.len() >= 20 {
            return true;
        }
        if run.len() >= 3 && digits > 0 && digits < run.len() {
            mixed += run.len();
        }
    }
    mixed >= 8
}

/// A UUID, or a digest, commit or trace id in hexadecimal.
fn is_digest(value: &str) -> bool {
    let hex = value.bytes().filter(u8::is_ascii_hexdigit).count();
    let dashes = value.bytes().filter(|byte| *byte == b'-').count();
    hex + dashes == value.len() && (dashes == 0 || (dashes == 4 && hex == 32))
}

fn is_short_number(value: &str) -> bool {
    value.len() < 4 && value.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether this is `user:password` as HTTP's basic scheme sends it.
fn is_base64_pair(value: &str) -> bool {
    let (mut bits, mut held, mut has_colon) = (0_u32, 0, false);
    for byte in value.bytes().take_while(|byte| *byte != b'=') {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return false,
        };
        bits = (bits << 6 | u32::from(digit)) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            let decoded = (bits >> held) & 0xff;
            if decoded < 0x20 || decoded == 0x7f {
                return false;
            }
            has_colon |= decoded == u32::from(b':');
        }
    }
    has_colon
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redact(text: &str) -> String {
        Redactor::new([7; 16]).redact(text).into_owned()
    }

    /// The text with every token in the same form, for tables.
    fn plain(text: &str) -> String {
        let clean = redact(text);
        let mut plain = String::new();
        let mut rest = clean.as_str();
        while let Some(start) = rest.find(TOKEN).filter(|start| is_token_at(rest, *start)) {
            plain.push_str(&rest[..start]);
            plain.push('§');
            rest = &rest[start + TOKEN_BYTES..];
        }
        plain.push_str(rest);
        assert_eq!(redact(&clean), clean, "not idempotent: {text}");
        plain
    }

    fn check(cases: &[(&str, &str)]) {
        for (text, expected) in cases {
            assert_eq!(plain(text), *expected, "{text}");
        }
    }

    #[test]
    fn every_pattern_compiles_and_follows_its_needle() {
        assert!(NEEDLES.is_some() && NAMES.is_some());
        for rule in 0..SHAPES.len() {
            assert!(pattern(rule).is_some(), "{}", SHAPES[rule].pattern);
        }
    }

    /// Made up here, letter by letter, so that no scanner takes this file for a leak.
    fn made_up(prefix: &str, alphabet: &str, length: usize) -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        let body = (0..length).map(|index| letters[(index * 7 + index / 3) % letters.len()]);
        format!("{prefix}{}", body.collect::<String>())
    }

    #[test]
    fn vendors_keys() {
        const ALNUM: &str = "aB3dE5fG7hJ9kL2mN4pQ6rS8tV1wX0yZ";
        const HEX: &str = "0a1b2c3d4e5f6789";
        let keys = [
            ("sk-ant-api03-", ALNUM, 90),
            ("sk-proj-", ALNUM, 60),
            ("sk-svcacct-", ALNUM, 60),
            ("sk-", ALNUM, 48),
            ("sk-or-v1-", HEX, 64),
            ("gsk_", ALNUM, 52),
            ("xai-", ALNUM, 80),
            ("hf_", ALNUM, 34),
            ("r8_", ALNUM, 37),
            ("tvly-dev-", ALNUM, 32),
            ("pplx-", ALNUM, 48),
            ("nvapi-", ALNUM, 64),
            ("fw_", ALNUM, 24),
            ("jina_", ALNUM, 60),
            ("lsv2_pt_", ALNUM, 40),
            ("pcsk_", ALNUM, 60),
            ("e2b_", HEX, 40),
            ("AIza", ALNUM, 35),
            ("AQ.Ab8", ALNUM, 40),
            ("ya29.", ALNUM, 60),
            ("GOCSPX-", ALNUM, 28),
            ("dop_v1_", HEX, 64),
            ("dapi", HEX, 32),
            ("hvs.", ALNUM, 24),
            ("ghp_", ALNUM, 36),
            ("gho_", ALNUM, 36),
            ("ghu_", ALNUM, 36),
            ("ghs_", ALNUM, 36),
            ("ghr_", ALNUM, 36),
            ("github_pat_", ALNUM, 82),
            ("glpat-", ALNUM, 20),
            ("npm_", ALNUM, 36),
            ("pypi-", ALNUM, 120),
            ("dckr_pat_", ALNUM, 27),
            ("glsa_", ALNUM, 32),
            ("xoxb-", "1234567890-aBcD", 40),
            ("xoxp-", ALNUM, 40),
            ("xapp-1-", ALNUM, 40),
            ("key-", HEX, 32),
            ("sk_live_", ALNUM, 24),
            ("rk_live_", ALNUM, 24),
            ("whsec_", ALNUM, 32),
            ("shpat_", HEX, 32),
            ("SK", HEX, 32),
            ("ntn_", ALNUM, 40),
            ("figd_", ALNUM, 40),
            ("lin_api_", ALNUM, 40),
            ("AKIA", "ABCDEFGH2345", 16),
            ("ASIA", "ABCDEFGH2345", 16),
            ("tskey-auth-", ALNUM, 30),
            ("sntrys_", ALNUM, 60),
        ];
        for (prefix, alphabet, length) in keys {
            let mut key = made_up(prefix, alphabet, length);
            if prefix == "glsa_" {
                key.push_str("_0a1b2c3d");
            }
            check(&[
                (&format!("use {key} now"), "use § now"),
                (&key, "§"),
                (&format!("(\"{key}\")"), "(\"§\")"),
            ]);
            check(&[(
                &format!(r#"{{"out":"line\n{key}\n"}}"#),
                r#"{"out":"line\n§\n"}"#,
            )]);
            check(&[(&format!("?x=%20{key}&y=1"), "?x=%20§&y=1")]);
        }
        let sendgrid = format!("SG.{}.{}", made_up("", ALNUM, 22), made_up("", ALNUM, 43));
        let telegram = made_up("123456789:AA", ALNUM, 33);
        let slack = format!(
            "https://hooks.slack.com/services/T00000000/B00000000/{}",
            made_up("", ALNUM, 24)
        );
        let discord = format!(
            "https://discord.com/api/webhooks/123456789012345678/{}",
            made_up("", ALNUM, 68)
        );
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
        check(&[
            (&sendgrid, "§"),
            (&telegram, "§"),
            (&slack, "https://hooks.slack.com/services/§"),
            (
                &discord,
                "https://discord.com/api/webhooks/123456789012345678/§",
            ),
            (&format!("jwt {jwt}."), "jwt §."),
            (&jwt[..60], "§"),
        ]);
    }

    #[test]
    fn names_and_values() {
        check(&[
            ("password=hunter2", "password=§"),
            ("password = hunter2", "password = §"),
            ("Password: hunter2, user: bob", "Password: §, user: bob"),
            ("PGPASSWORD=hunter2 psql", "PGPASSWORD=§ psql"),
            ("export FOO_API_KEY=abc,def;ghi", "export FOO_API_KEY=§"),
            ("A=1\nDB_PASS=x&y\nB=2", "A=1\nDB_PASS=§\nB=2"),
            (
                "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                "aws_secret_access_key = §",
            ),
            (
                r#"{"password":"hunter2","n":1}"#,
                r#"{"password":"§","n":1}"#,
            ),
            (
                r#"{"password": "a\"b\\", "n": 1}"#,
                r#"{"password": "§", "n": 1}"#,
            ),
            (
                r#"{"password": 123456, "n": 1}"#,
                r#"{"password": "§", "n": 1}"#,
            ),
            (
                r#"{"a":"{\"api_key\":\"zz top\",\"b\":1}"}"#,
                r#"{"a":"{\"api_key\":\"§\",\"b\":1}"}"#,
            ),
            (
                r#"{"a":"{\"b\":\"{\\\"secret\\\":\\\"x\\\\\\\"y\\\"}\"}"}"#,
                r#"{"a":"{\"b\":\"{\\\"secret\\\":\\\"§\\\"}\"}"}"#,
            ),
            (
                r#"{"a":"{\"secret\": 12345}"}"#,
                r#"{"a":"{\"secret\": \"§\"}"}"#,
            ),
            (
                r#"{"cmd":"TOKEN=1 PASSWORD=abc\nls"}"#,
                r#"{"cmd":"TOKEN=1 PASSWORD=§\nls"}"#,
            ),
            (
                r#"{"out":"line\napi_key=abc123\n"}"#,
                r#"{"out":"line\napi_key=§\n"}"#,
            ),
            (
                "{'client_secret': 'abc', 'x': 1}",
                "{'client_secret': '§', 'x': 1}",
            ),
            ("clientSecret: 'abc'", "clientSecret: '§'"),
            ("x-api-key: abc123", "x-api-key: §"),
            ("API key: abc123", "API key: §"),
            (
                "your Access Token is set; access token = abc",
                "your Access Token is set; access token = §",
            ),
            ("--password hunter2 --user bob", "--password § --user bob"),
            ("--api-key=abc --verbose", "--api-key=§ --verbose"),
            ("--password --user bob", "--password --user bob"),
            ("?api_key=abc&x=1", "?api_key=§&x=1"),
            ("&sig=aB3%2BdE5fG7hJ9kL2mN4%3D&se=2024", "&sig=§&se=2024"),
            (
                "X-Amz-Signature=0a1b2c3d4e5f67890a1b2c3d4e5f6789",
                "X-Amz-Signature=§",
            ),
            (
                "AccountName=me;AccountKey=aB3dE5fG7hJ9kL2m==;Suffix=x",
                "AccountName=me;AccountKey=§;Suffix=x",
            ),
            (
                "Server=db;User Id=sa;Password=p4ss;Encrypt=true",
                "Server=db;User Id=sa;Password=§;Encrypt=true",
            ),
            (
                r#""connectionString": "Server=db;Password=p4ss""#,
                r#""connectionString": "§""#,
            ),
            ("<password>hunter2</password>", "<password>§</password>"),
            ("password: str = \"hunter2\"", "password: str = \"§\""),
            (
                "let password: &str = \"hunter2\";",
                "let password: &str = \"§\";",
            ),
            (
                "os.environ[\"API_KEY\"] = \"abc\"",
                "os.environ[\"API_KEY\"] = \"§\"",
            ),
            (":password => 'abc'", ":password => '§'"),
            ("if password == b'abc':", "if password == b'§':"),
            (
                "ALTER USER bob WITH PASSWORD 'abc'",
                "ALTER USER bob WITH PASSWORD '§'",
            ),
            (
                "seed phrase: correct horse battery staple",
                "seed phrase: §",
            ),
            ("token: aB3dE5fG7hJ9", "token: §"),
            ("{\"pass\": \"abc\"}", "{\"pass\": \"§\"}"),
            ("password=\"cut off here", "password=\"§"),
            ("{\"password\": \"cut off here", "{\"password\": \"§"),
        ]);
    }

    #[test]
    fn headers_urls_and_commands() {
        check(&[
            (
                "Authorization: Bearer abc.def-123",
                "Authorization: Bearer §",
            ),
            (
                "-H \"Authorization: Bearer abc\" https://x",
                "-H \"Authorization: Bearer §\" https://x",
            ),
            (
                r#"{"authorization":"Basic dXNlcjpwYXNz"}"#,
                r#"{"authorization":"Basic §"}"#,
            ),
            (
                r#"{"h":"{\"Authorization\": \"Bearer abc\"}"}"#,
                r#"{"h":"{\"Authorization\": \"Bearer §\"}"}"#,
            ),
            ("Authorization: abcdef", "Authorization: §"),
            (
                "Authorization: AWS4-HMAC-SHA256 Credential=AK/2024, Signature=0a1b",
                "Authorization: AWS4-HMAC-SHA256 §",
            ),
            ("sent Bearer aB3dE5fG7hJ9kL2m", "sent Bearer §"),
            ("Basic dXNlcjpwYXNz", "Basic §"),
            (
                "Cookie: session=abc; theme=dark\nHost: x",
                "Cookie: §\nHost: x",
            ),
            (
                r#"{"Set-Cookie": "id=a3fWa; Max-Age=1", "x": 1}"#,
                r#"{"Set-Cookie": "§", "x": 1}"#,
            ),
            (
                "postgres://bob:p@ss@db:5432/x",
                "postgres://bob:§@db:5432/x",
            ),
            ("redis://:pw@host", "redis://:§@host"),
            (
                r#"{"u":"https:\/\/bob:pw@host\/"}"#,
                r#"{"u":"https:\/\/bob:§@host\/"}"#,
            ),
            (
                "https://aB3dE5fG7hJ9kL2mN4pQ@github.com/x",
                "https://§@github.com/x",
            ),
            ("mysql -u root -phunter2 db", "mysql -u root -p§ db"),
            (
                "curl -s -u bob:hunter2 https://x",
                "curl -s -u bob:§ https://x",
            ),
            ("sshpass -p hunter2 ssh x", "sshpass -p § ssh x"),
            ("redis-cli -h x -a hunter2 ping", "redis-cli -h x -a § ping"),
            (
                "docker login -u bob -p hunter2 r.io",
                "docker login -u bob -p § r.io",
            ),
            (
                "CREATE USER a IDENTIFIED BY 'hunter2'",
                "CREATE USER a IDENTIFIED BY '§'",
            ),
        ]);
    }

    #[test]
    fn private_keys_in_every_form() {
        const LINE: &str = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
        let (begin, end) = (
            "-----BEGIN RSA PRIVATE KEY-----",
            "-----END RSA PRIVATE KEY-----",
        );
        check(&[
            (&format!("a\n{begin}\n{LINE}\n{LINE}\n{end}\nb"), "a\n§\nb"),
            (
                &format!(r#"{{"k":"{begin}\n{LINE}\n{end}\n","x":1}}"#),
                r#"{"k":"§\n","x":1}"#,
            ),
            (
                &format!(r#"{{"k":"{begin}\n{LINE}\nMIIcut","x":1}}"#),
                r#"{"k":"§","x":1}"#,
            ),
            (&format!("{begin} {LINE} {LINE} {end} b"), "§ b"),
            (&format!("{begin}\n{LINE}\n{LINE}"), "§"),
            (
                &format!(
                    "{begin}\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A\n\n{LINE}\nMII\nand some prose"
                ),
                "§\nand some prose",
            ),
            (
                "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
                "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
            ),
        ]);
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "",
            "hello world",
            "built 1234567 rows at 1700000000",
            "commit 3f2a9c1d4e5b6a7f8091a2b3c4d5e6f708192a3b",
            "trace 0af7651916cd43dd8448eb211c80319c",
            "id 550e8400-e29b-41d4-a716-446655440000",
            "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "max_tokens: 500, total_tokens=1234",
            "\"usage\": {\"prompt_tokens\": 12, \"completion_tokens\": 3}",
            "author: John",
            "authority=none",
            "the secretary: Ann",
            "keyboard: us",
            "monkey=abc123def456ghi",
            "password: null",
            "\"password\": null",
            "\"password\": true",
            "password: str",
            "password: Option<String>",
            "api_key=os.environ[\"OPENAI_API_KEY\"]",
            "api_key = get_key()",
            "password=${DB_PASSWORD}",
            "token=$TOKEN",
            "password: <your password>",
            "PASSWORD=***",
            "password_length = 12",
            "secret_name: db",
            "\"secrets\": [1, 2]",
            "PWD_CHANGED_AT=2024",
            "Secret::new(x)",
            "passed: 12, failed: 3",
            "Pass: test_x",
            "key: value",
            "key=home",
            "cache key: 3f2a9c1d4e5b6a7f8091a2b3c4d5e6f708192a3b",
            "next_page_token=aB3dE5fG7hJ9kL2m",
            "session_id: 0af7651916cd43dd8448eb211c80319c",
            "token: the",
            "[secret:ab12]",
            "x [secret:ab12]: y",
            "password=[secret:ab12]",
            "Authorization: Bearer [secret:ab12]",
            "postgres://u:[secret:ab12]@h",
            "Authorization: Bearer $TOKEN",
            "Authorization: Bearer <token>",
            "basic authentication",
            "Basic JavaScript course",
            "bearer of bad news",
            "task-force-of-something-long",
            "scikit sk-learn-something-long-name",
            "a cookie: tasty",
            "http://host:80/path@x",
            "git@github.com:a/b.git",
            "ssh://git@github.com/a/b",
            "https://x.y/a?key=home&b=1",
            "https://docs.rs/regex/latest/regex/#syntax",
            "mysql --port 3306 -h db",
            "/usr/lib/python3.11/secrets.py",
            "from secrets import token_hex",
            "fn token(&self) -> Token {",
            "tokens: Vec<Token>,",
            "assert key in d",
            "sig = inspect",
        ] {
            assert_eq!(redact(text), text);
            assert!(
                matches!(Redactor::new([0; 16]).redact(text), Cow::Borrowed(_))
                    || text.contains('['),
                "{text}"
            );
        }
    }

    #[test]
    fn the_same_secret_gets_the_same_token_of_its_key() {
        let clean = redact(
            "password=hunter2 and {\"secret\": \"hunter2\"} and --token hunter2 PGPASSWORD=other",
        );
        let tokens: Vec<&str> = clean
            .match_indices(TOKEN)
            .map(|(start, _)| &clean[start..start + TOKEN_BYTES])
            .collect();
        assert_eq!(tokens[0], tokens[1]);
        assert_ne!(tokens[0], *tokens.last().unwrap());
        assert_eq!(redact("password=hunter2"), redact("password=hunter2"));
        assert_ne!(
            redact("password=hunter2"),
            Redactor::new([8; 16]).redact("password=hunter2")
        );
        assert!(!format!("{:?}", Redactor::new([42; 16])).contains("42"));
    }

    #[test]
    fn json_stays_json() {
        let inner = serde_json::json!({"password": "a\"b\\c\nd", "n": 1, "token": 123_456_789, "key": ["x"], "auth": null});
        let mut value = serde_json::json!({"api_key": "q\\", "nested": inner});
        for _ in 0..4 {
            let text = value.to_string();
            let clean = redact(&text);
            let parsed: Result<serde_json::Value, _> = serde_json::from_str(&clean);
            assert!(parsed.is_ok(), "{text}\n{clean}");
            assert!(!clean.contains("a\\\"b"), "{clean}");
            assert_eq!(redact(&clean), clean);
            value = serde_json::json!({"args": text, "cmd": "curl -u a:b\\ \"x\""});
        }
    }

    #[test]
    fn odd_texts_do_no_harm() {
        let pieces = [
            "password",
            "=",
            ":",
            "\"",
            "\\",
            "'",
            "é",
            " ",
            "\n",
            "[secret:ab12]",
            "sk-",
            "-----BEGIN PRIVATE KEY-----",
            "://",
            "@",
            "%3D",
            "key",
            "--",
            "{",
            "😀",
            "Bearer ",
            "x9",
        ];
        let mut seed = 1_u64;
        for _ in 0..20_000 {
            let mut text = String::new();
            for _ in 0..12 {
                seed = seed
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                text.push_str(pieces[(seed >> 33) as usize % pieces.len()]);
            }
            let clean = redact(&text);
            assert_eq!(redact(&clean), clean, "{text}");
        }
    }
}
