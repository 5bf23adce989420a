//! Finds secrets by the name they are assigned to, in whatever notation: JSON inside JSON, code, URLs, command lines.

use super::Span;
use super::chosen::Place;
use super::name::{self, Telling};
use super::sign::{Sign, find_sign};
use super::value::{
    is_base64_pair, is_code, is_digest, is_identifier, is_placeholder, is_random_hex,
    is_short_number, looks_random,
};
use super::written::{GLANCE, Written, blank_end, quote_at, read};
use super::{letters, mark, pair, tree};

/// A name in a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name<'a> {
    pub(super) text: &'a str,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// How far a text has been looked at, so that no part of it is looked at often.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Names before this place are done with.
    pub(super) done: usize,
    pub(super) walked: tree::Walked,
}

/// Finds `NAME=value`, `name: value`, `"name": "value"`, `--name value` and the like around a word of the name.
pub(super) fn look<'a>(
    text: &'a str,
    start: usize,
    end: usize,
    spans: &mut Vec<Span<'a>>,
    progress: &mut Progress,
) {
    let Some(name) = Name::around(text, start, end) else {
        return;
    };
    progress.done = name.end;
    let Some(sign) = find_sign(&name) else {
        pair::look(&name, spans);
        return;
    };
    let telling = name::telling(name.as_str());
    if telling == Telling::Nothing {
        return;
    }
    let found = spans.len();
    let is_tree = telling != Telling::Assigned
        && tree::look(&name, &sign, telling, spans, &mut progress.walked);
    if !is_tree {
        name.assigned(&sign, telling, spans);
    }
    let last = spans.get(found..).and_then(<[Span<'_>]>::last);
    progress.done = last.map_or(name.end, |last| last.end.max(name.end));
}

impl<'a> Name<'a> {
    /// The whole name around a word of it.
    fn around(text: &'a str, start: usize, end: usize) -> Option<Self> {
        let bytes = text.as_bytes();
        let is_part =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        // The literal may have taken the sign along, or have a space inside it.
        let hit = text.get(start..end)?;
        let hit = hit
            .split(['\\', '"', '\'', ':', '=', '%'])
            .next()
            .unwrap_or(hit)
            .trim_end();
        let end = start + hit.len();
        let after = bytes[end..]
            .iter()
            .take(name::MOST_BYTES)
            .take_while(|byte| is_part(byte))
            .count();
        // Most words of prose end here.
        if after == name::MOST_BYTES || !may_be_named(bytes, end + after) {
            return None;
        }
        let before = bytes[..start]
            .iter()
            .rev()
            .take(name::MOST_BYTES)
            .take_while(|byte| is_part(byte))
            .count();
        if before == name::MOST_BYTES {
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
        if name.is_one_of(&["key", "keys", "token"]) && name.byte_before() == Some(b' ') {
            // "API key: ..." is a name of two words.
            let before = bytes[..name.start - 1].iter().rev();
            name.start -= 1 + before
                .take(16)
                .take_while(|byte| byte.is_ascii_alphanumeric())
                .count();
        }
        // A mark of an earlier pass is no name with a value.
        let bracket = name.start.checked_sub(1);
        let is_mark = bracket.is_some_and(|bracket| mark::at(text, bracket).is_some());
        (!is_mark).then_some(name)
    }

    pub(super) fn as_str(&self) -> &'a str {
        self.text.get(self.start..self.end).unwrap_or_default()
    }

    pub(super) fn is_one_of(&self, words: &[&str]) -> bool {
        words
            .iter()
            .any(|word| self.as_str().eq_ignore_ascii_case(word))
    }

    pub(super) fn ends_with(&self, ending: &str) -> bool {
        let name = self.as_str();
        let start = name.len().checked_sub(ending.len());
        start
            .and_then(|start| name.get(start..))
            .is_some_and(|end| end.eq_ignore_ascii_case(ending))
    }

    pub(super) fn byte_before(&self) -> Option<u8> {
        self.start
            .checked_sub(1)
            .map(|index| self.text.as_bytes()[index])
    }

    pub(super) fn before(&self, bytes: usize) -> &'a str {
        let mut from = self.start.saturating_sub(bytes);
        while !self.text.is_char_boundary(from) {
            from += 1;
        }
        self.text.get(from..self.start).unwrap_or_default()
    }

    /// The places of the secrets that the name names.
    fn assigned(&self, sign: &Sign<'a>, telling: Telling, spans: &mut Vec<Span<'a>>) {
        if self.ends_with("auth") && sign.byte == b'=' {
            spans.extend(pair::credentials(self.text, sign.end));
        }
        let Some(mut value) = read(self, sign, GLANCE) else {
            return;
        };
        let mut parted = Sign { ..*sign };
        if sign.byte == b':' && !value.is_quoted && is_type(self.text, value) {
            // `password: str = "..."`: what follows the colon is the type.
            let rest = self.text[value.end..].trim_start_matches([' ', '\t', '>', ']']);
            let Some(rest) = rest.strip_prefix('=') else {
                return;
            };
            let after = Sign {
                byte: b'=',
                quote: sign.quote,
                start: self.text.len() - rest.len() - 1,
                end: self.text.len() - rest.len(),
            };
            let Some(behind) = read(self, &after, GLANCE) else {
                return;
            };
            if !behind.is_quoted {
                return;
            }
            value = behind;
            parted = after;
        }
        if self.is_secret(sign, telling, value) {
            let value = read(self, &parted, usize::MAX).unwrap_or(value);
            let is_json_number = !value.is_quoted && sign.byte == b':';
            spans.push(Span {
                start: value.start,
                end: value.end,
                quote: if is_json_number { sign.quote } else { "" },
                kind: mark::Kind::Secret,
            });
        }
    }

    fn is_secret(&self, sign: &Sign<'_>, telling: Telling, value: Written) -> bool {
        let text = value.of(self.text);
        if is_placeholder(text) || text.is_empty() {
            return false;
        }
        if !value.is_quoted && self.is_code(sign, value) {
            return false;
        }
        // The name of another variable is no secret, and neither is what is shown to people.
        let names_another =
            is_identifier(text) && text.len() > 3 && name::telling(text) != Telling::Nothing;
        match telling {
            Telling::Secret if value.is_quoted => !names_another && !self.is_sentence(text),
            Telling::Secret => !is_short_number(text) && !names_another,
            Telling::Assigned => {
                !is_short_number(text) && !names_another && self.is_assigned(sign, value)
            }
            Telling::Random { digests } => {
                let is_chance = looks_random(text)
                    && (letters::score(text) < 0
                        || is_random_hex(text)
                        || value.is_quoted
                        || sign.byte == b'>')
                    && !text.contains(' ');
                let place = self.place(sign);
                let digests = digests || place != Place::Anywhere;
                (is_chance && (digests || !is_digest(text)) && !self.is_content(text))
                    || (self.ends_with("auth") && is_base64_pair(text))
                    || self.is_credential(place, sign, value)
            }
            Telling::Nothing => false,
        }
    }

    /// A signature of a model's thinking is as long as a text, and no key.
    fn is_content(&self, value: &str) -> bool {
        self.is_one_of(&["signature"]) && value.len() > 128
    }

    /// What is shown to people under the name: "Enter your password.", "This field is required."
    fn is_sentence(&self, value: &str) -> bool {
        if !value.contains(' ') || self.is_phrase() {
            return false;
        }
        let ends = value.trim_end().ends_with(['.', '?', '!', ':', '…']);
        let mut words = value.split(' ');
        let says = words.any(|word| {
            SENTENCE_WORDS
                .split('|')
                .any(|known| known.eq_ignore_ascii_case(word))
        });
        ends || says
    }

    pub(super) fn is_phrase(&self) -> bool {
        self.ends_with("phrase") || self.ends_with("mnemonic")
    }

    /// Whether a value without quotes is an expression, which says where the secret is and not what it is.
    fn is_code(&self, sign: &Sign<'_>, value: Written) -> bool {
        let (text, behind) = (value.of(self.text), &self.text[value.end..]);
        if text.starts_with(['[', '{', '(']) || behind.starts_with('(') || is_code(text) {
            return true;
        }
        if !is_identifier(text) {
            return false;
        }
        // `f(password=pwd)` and `{password: pwd}` pass on what they were given; `PASSWORD=hunter` alone on its line does
        // not, and neither does `password: hunter`.
        let parted = self.text.get(self.end..value.start).unwrap_or_default();
        let is_spaced = sign.byte == b'=' && parted.contains(' ');
        let ends_line = behind.is_empty() || behind.starts_with(['\n', '\r', '"', '\'', '\\', '<']);
        let ends_word = ends_line || behind.starts_with(['&', ' ', ';']);
        let is_capital = text.starts_with(|first: char| first.is_ascii_uppercase());
        let is_flag = self.as_str().starts_with('-');
        match sign.byte {
            _ if is_flag => false,
            b'=' if is_spaced => true,
            b':' if is_capital && text.bytes().skip(1).any(|byte| byte.is_ascii_lowercase()) => {
                true
            }
            b',' => true,
            b':' => !ends_line || text.contains('_'),
            _ => {
                !ends_word
                    || text.contains('_')
                    || behind.starts_with(" =")
                    || behind.starts_with(" |")
            }
        }
    }

    /// "All tests pass: ..." and "pass ==" are prose; `pass=x`, `"pass": "x"` and `DB_PASS: x` are not.
    fn is_assigned(&self, sign: &Sign<'_>, value: Written) -> bool {
        let written = self.text.get(self.end..sign.end).unwrap_or_default();
        let is_environment = !self.as_str().bytes().any(|byte| byte.is_ascii_lowercase());
        let has_part = self.as_str().contains(['_', '-']);
        match sign.byte {
            b'=' => written == "=" || (value.is_quoted && !written.ends_with("==")),
            b'>' | b' ' | b',' => true,
            _ => {
                (value.is_quoted && (!sign.quote.is_empty() || is_no_word(value.of(self.text))))
                    || (has_part && (is_environment || value.is_quoted))
                    || (self.begins_line()
                        && !is_identifier(value.of(self.text))
                        && !self.text[value.end..].starts_with(' '))
            }
        }
    }

    pub(super) fn begins_line(&self) -> bool {
        let blank = [' ', '\t'];
        let before = self.before(64).trim_end_matches(blank);
        let before = ["export", "set", "setx", "ENV", "ARG"]
            .iter()
            .find_map(|word| before.strip_suffix(word))
            .map_or(before, |rest| rest.trim_end_matches(blank));
        before.is_empty() || before.ends_with('\n') || before.ends_with("\\n")
    }
}

/// One word with a digit or a sign in it.
fn is_no_word(text: &str) -> bool {
    !text.contains(' ')
        && text.contains(|sign: char| sign.is_ascii_digit() || "!@#$%^&*+".contains(sign))
}

/// Whether a sign may stand here that parts a name from its value. Asked of every word, so it looks at a byte or two.
fn may_be_named(bytes: &[u8], end: usize) -> bool {
    match bytes.get(end) {
        Some(
            b':' | b'=' | b'"' | b'\'' | b'`' | b'\\' | b'%' | b'>' | b']' | b'&' | b')' | b'\t'
            | b'\n' | b'\r',
        ) => true,
        Some(b' ') => match bytes.get(end + 1) {
            Some(b':' | b'=' | b'\'' | b'"' | b'i' | b'w' | b't' | b'-' | b' ' | b'`') => true,
            // A flag, a line of netrc or of a Dockerfile.
            Some(byte) => byte.is_ascii_graphic(),
            None => false,
        },
        _ => false,
    }
}

/// `&str`, `Option<String>`, `str`: what stands between a colon and an equals sign.
fn is_type(text: &str, value: Written) -> bool {
    let written = value.of(text);
    let behind = text[value.end..].trim_start_matches([' ', '>', ']']);
    is_placeholder(written)
        || (behind.starts_with('=') && !behind.starts_with("==") && {
            let start = blank_end(text.as_bytes(), text.len() - behind.len() + 1);
            quote_at(text.as_bytes(), start).is_some() || text[start..].starts_with(['b', 'r'])
        })
}

/// Words of which sentences are made, and secrets hardly ever.
const SENTENCE_WORDS: &str = "the|a|an|is|are|your|for|to|must|not|required|please|enter|field|this|of|was|has|have|cannot|should|will|with|new|old|confirm";
