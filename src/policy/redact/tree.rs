//! Finds secrets in what stands under a telling name: in lists, objects and indented lines.

use super::Span;
use super::assignment::Name;
use super::letters::score;
use super::mark;
use super::name::{self, Telling};
use super::sign::Sign;
use super::value::{is_code, is_digest, is_identifier, is_placeholder, is_stub, looks_random};
use super::work;
use super::written::{Written, blank_end, quote_at, quoted, space_end};

/// The longest list or object that is looked through.
const MOST_BYTES: usize = 256 * 1024;
/// As many lines are looked at under a name.
const MOST_LINES: usize = 64;
/// So many small numbers in a row are the bytes of a text.
const LEAST_NUMBERS: usize = 6;

/// Up to where lists and objects were looked through, so that one in another is not looked through again.
#[derive(Debug, Default)]
pub(super) struct Walked {
    secret: usize,
    random: usize,
}

/// Looks through what stands under the name; false where it is no list, object or block.
pub(super) fn look<'a>(
    name: &Name<'a>,
    sign: &Sign<'a>,
    telling: Telling,
    spans: &mut Vec<Span<'a>>,
    walked: &mut Walked,
) -> bool {
    let bytes = name.text.as_bytes();
    let mut tree = Tree {
        text: name.text,
        telling,
        level: sign.quote.len().saturating_sub(1),
        quote: sign.quote,
        spans,
    };
    let is_secret = telling == Telling::Secret;
    let start = opening(name.text, space_end(bytes, sign.end));
    let opens = match bytes.get(start) {
        Some(b'{') => !matches!(bytes.get(start + 1), Some(b'{' | b'%')),
        Some(b'[') => mark::at(name.text, start).is_none(),
        _ => false,
    };
    let is_block = sign.byte == b':' && sign.quote.is_empty() && !opens;
    if !opens && !is_block {
        return false;
    }
    let seen = if is_secret {
        walked.secret
    } else {
        walked.random.max(walked.secret)
    };
    if opens && start < seen {
        return true;
    }
    let end = if opens {
        Some(tree.brackets(start))
    } else if sign.start < seen {
        None
    } else {
        tree.lines(name, sign)
    };
    if let Some(end) = end {
        let walked = if is_secret {
            &mut walked.secret
        } else {
            &mut walked.random
        };
        *walked = end.max(*walked);
    }
    end.is_some()
}

/// Behind the name of a structure: `Credentials { ... }`.
fn opening(text: &str, start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let length = rest.bytes().take(64);
    let length = length
        .take_while(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'(' | b'!' | b'[')
        })
        .count();
    let behind = blank_end(text.as_bytes(), start + length);
    let is_structure = rest.starts_with(|first: char| first.is_ascii_uppercase())
        && text.as_bytes().get(behind) == Some(&b'{');
    if is_structure { behind } else { start }
}

struct Tree<'a, 's> {
    text: &'a str,
    telling: Telling,
    /// Backslashes before the quotes around it.
    level: usize,
    quote: &'a str,
    spans: &'s mut Vec<Span<'a>>,
}

impl<'a> Tree<'a, '_> {
    /// Reads from an opening bracket to the one that closes it, or as far as the text goes; returns where that is.
    fn brackets(&mut self, start: usize) -> usize {
        let bytes = self.text.as_bytes();
        let limit = bytes.len().min(start + MOST_BYTES);
        let (mut place, mut depth) = (start, 0_usize);
        let mut key: Option<&'a str> = None;
        let mut numbers = Numbers::default();
        while place < limit {
            let byte = bytes[place];
            work::did(1);
            if let Some(quote) = quote_at(bytes, place) {
                if quote - place < self.level {
                    return place;
                }
                let value = quoted(bytes, place, quote);
                let next = value.end + (quote - place) + 1;
                if let Some(sign) = key_sign(bytes, next) {
                    key = self.text.get(value.start..value.end);
                    place = sign;
                } else {
                    self.leaf(key, value);
                    place = next.max(place + 1);
                }
                continue;
            }
            match byte {
                b'[' | b'{' | b'(' => {
                    if let Some(end) = mark::at(self.text, place) {
                        place = end;
                        continue;
                    }
                    depth += 1;
                    numbers = Numbers::default();
                }
                b']' | b'}' | b')' => {
                    self.bytes_of_text(&numbers);
                    numbers = Numbers::default();
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        return place + 1;
                    }
                }
                b',' | b' ' | b'\t' | b'\n' | b'\r' | b':' | b'=' | b'>' | b'<' => {}
                _ => {
                    let end = place + bare_length(&bytes[place..limit]);
                    if let Some(sign) = key_sign(bytes, end) {
                        key = self.text.get(place..end);
                        place = sign;
                    } else {
                        self.bare(key, place, end, &mut numbers);
                        place = end.max(place + 1);
                    }
                    continue;
                }
            }
            place += 1;
        }
        limit
    }

    fn leaf(&mut self, key: Option<&str>, value: Written) {
        if value.end > value.start && self.is_secret(key, value.of(self.text)) {
            self.push(value.start, value.end, "");
        }
    }

    fn bare(&mut self, key: Option<&str>, start: usize, end: usize, numbers: &mut Numbers) {
        let Some(word) = self.text.get(start..end).filter(|word| !word.is_empty()) else {
            return;
        };
        if word.bytes().all(|byte| byte.is_ascii_digit()) {
            numbers.add(start, end);
            let is_about = key.is_some_and(name::is_about);
            if word.len() >= 4 && self.telling == Telling::Secret && !is_about {
                self.push(start, end, self.quote);
            }
        } else if !is_code(word)
            && !is_identifier(word)
            && self.is_secret(key, word)
            && looks_random(word)
        {
            self.push(start, end, self.quote);
        }
    }

    fn bytes_of_text(&mut self, numbers: &Numbers) {
        if numbers.count >= LEAST_NUMBERS && self.telling == Telling::Secret {
            self.push(numbers.start, numbers.end, self.quote);
        }
    }

    /// Reads the lines that are further in than the name's; returns where they end.
    fn lines(&mut self, name: &Name<'a>, sign: &Sign<'_>) -> Option<usize> {
        let rest = self.text.get(sign.end..)?;
        let next = self
            .text
            .as_bytes()
            .get(blank_end(self.text.as_bytes(), sign.end))?;
        if !matches!(next, b'\n' | b'\r' | b'\\' | b'|' | b'>') {
            return None;
        }
        // A head of a few bytes: no long line is read to its end for nothing.
        let mut to = rest.len().min(16);
        while !rest.is_char_boundary(to) {
            to -= 1;
        }
        let (first, _) = line(&rest[..to]);
        work::did(first.len());
        let is_text = matches!(first.trim(), "|" | "|-" | "|+" | ">" | ">-" | ">+");
        if !(first.trim().is_empty() || is_text) || first.len() == to {
            return None;
        }
        let indent = indent_of(name)?;
        let mut place = sign.end + line(rest).1;
        for _ in 0..MOST_LINES {
            let rest = self.text.get(place..)?;
            let (content, next) = line(rest);
            work::did(content.len());
            let inner = content.trim_start_matches(' ');
            let is_item = inner.starts_with("- ");
            let depth = content.len() - inner.len();
            if !inner.trim().is_empty() && (depth < indent || (depth == indent && !is_item)) {
                break;
            }
            if !inner.trim().is_empty() {
                self.line(place + depth, inner, is_text);
            }
            if next == 0 || content.ends_with('"') {
                break;
            }
            place += next;
        }
        Some(place)
    }

    /// `key: value`, `- value`, or a line of a text.
    fn line(&mut self, start: usize, content: &'a str, is_text: bool) {
        let content = content.trim_end();
        let item = content.strip_prefix("- ").unwrap_or(content);
        let start = start + content.len() - item.len();
        let (key, value) = match item.split_once(": ") {
            Some((key, value)) if !is_text && !key.contains(' ') => (Some(key), value),
            _ if !is_text && item.ends_with(':') => return,
            _ => (None, item),
        };
        let start = start + item.len() - value.len();
        let trimmed = value.trim_start();
        let start = start + value.len() - trimmed.len();
        let value = match quote_at(self.text.as_bytes(), start) {
            Some(quote) => quoted(self.text.as_bytes(), start, quote),
            None => Written {
                start,
                end: start
                    + trimmed
                        .split(" #")
                        .next()
                        .unwrap_or(trimmed)
                        .trim_end()
                        .len(),
                is_quoted: false,
            },
        };
        let text = value.of(self.text);
        let is_list_of_names = key.is_none()
            && !is_text
            && score(text) > 0
            && !text.bytes().any(|byte| byte.is_ascii_digit());
        if is_list_of_names
            || (!value.is_quoted && (is_code(text) || text.starts_with(['{', '[', '&', '*', '!'])))
        {
            return;
        }
        self.leaf(key, value);
    }

    fn is_secret(&self, key: Option<&str>, text: &str) -> bool {
        if is_placeholder(text) || is_stub(text) || key.is_some_and(name::is_about) {
            return false;
        }
        let is_name = is_identifier(text)
            && (name::telling(text) != Telling::Nothing || (key.is_none() && text.contains('_')));
        match self.telling {
            Telling::Secret => {
                let is_words = key.is_none()
                    && text.contains(['-', '.', '/', ' '])
                    && !text.bytes().any(|byte| byte.is_ascii_digit())
                    && score(text) > 0;
                let is_sentence = text.contains(' ') && text.ends_with(['.', ':', '?', '!']);
                let is_expression = is_code(text) && score(text) > 0;
                !(is_name || is_words || is_sentence || is_expression)
            }
            Telling::Random { digests } => {
                looks_random(text)
                    && (digests || !is_digest(text))
                    && score(text) < 0
                    && !text.contains(' ')
            }
            Telling::Assigned | Telling::Nothing => false,
        }
    }

    fn push(&mut self, start: usize, end: usize, quote: &'a str) {
        self.spans.push(Span {
            start,
            end,
            quote,
            kind: mark::Kind::Secret,
        });
    }
}

/// Numbers in a row that may be the bytes of a text.
#[derive(Default)]
struct Numbers {
    start: usize,
    end: usize,
    count: usize,
}

impl Numbers {
    fn add(&mut self, start: usize, end: usize) {
        if self.count == 0 {
            self.start = start;
        }
        self.end = end;
        self.count += 1;
    }
}

/// Where a value begins if a sign stands here that makes a key of what is before.
fn key_sign(bytes: &[u8], end: usize) -> Option<usize> {
    let next = blank_end(bytes, end);
    match (bytes.get(next)?, bytes.get(next + 1)) {
        (b':', Some(b':')) => None,
        (b':' | b'=', _) => Some(next + 1),
        _ => None,
    }
}

fn bare_length(bytes: &[u8]) -> usize {
    let mut length = 0;
    while let Some(byte) = bytes.get(length) {
        if b",]}) \t\r\n\"'`:=([{\\<>".contains(byte) {
            break;
        }
        length += 1;
    }
    // A backslash and what it escapes.
    if length == 0 && bytes.first() == Some(&b'\\') {
        return bytes.len().min(2);
    }
    length
}

/// A line of a text, or of one that is a string with escaped line ends; and how far the next one is, 0 for none.
fn line(rest: &str) -> (&str, usize) {
    let bytes = rest.as_bytes();
    let mut place = 0;
    while let Some(byte) = bytes.get(place) {
        match byte {
            b'\n' => return (&rest[..place], place + 1),
            b'\\' => {
                let escapes = bytes[place..]
                    .iter()
                    .take_while(|byte| **byte == b'\\')
                    .count();
                if bytes.get(place + escapes) == Some(&b'n') {
                    return (&rest[..place], place + escapes + 1);
                }
                place += escapes;
            }
            _ => {}
        }
        place += 1;
    }
    (rest, 0)
}

/// How far in a line begins whose first word is the name.
fn indent_of(name: &Name<'_>) -> Option<usize> {
    let before = name.before(80);
    let start = before.rfind('\n').map(|at| at + 1);
    let escaped = before.rfind("\\n").map(|at| at + 2);
    // A string in JSON begins a line as well.
    let opened = before.ends_with('"').then_some(before.len());
    let start = start.max(escaped).max(opened);
    let begun = start.unwrap_or(0);
    let blank = &before[begun..];
    let inner = blank.trim_start_matches([' ', '-', '"', '\'']);
    let is_start = start.is_some() || before.len() == name.start;
    (is_start && inner.is_empty()).then(|| blank.trim_end_matches(['"', '\'']).len())
}
