//! Finds what parts a name from its value: `=`, `:`, `=>`, `%3D`, a tag's end, a blank behind a flag, the word "is".

use super::assignment::Name;
use super::name::{self, Telling};
use super::work;
use super::written::{blank_end, quote_at};

/// What parts a name from its value.
#[derive(Debug)]
pub(super) struct Sign<'a> {
    pub(super) byte: u8,
    /// The quote that closed the name.
    pub(super) quote: &'a str,
    pub(super) start: usize,
    /// Where the value may begin.
    pub(super) end: usize,
}

/// The sign behind a name, if one is there.
pub(super) fn find_sign<'a>(name: &Name<'a>) -> Option<Sign<'a>> {
    let bytes = name.text.as_bytes();
    let at = |index: usize| bytes.get(index).copied();
    let closed = quote_at(bytes, name.end).map_or(name.end, |quote| quote + 1);
    let quote = name.text.get(name.end..closed)?;
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
            start: next,
            end: next + length,
        })
    };
    let rest = name.text.get(next..)?;
    let is_flag = name.as_str().starts_with("--");
    match at(next)? {
        b':' if at(next + 1) == Some(b'=') => found(b'=', 2),
        b':' if at(next + 1) != Some(b':') => found(b':', 1),
        b'=' if rest.starts_with("===") => found(b'=', 3),
        b'=' if matches!(at(next + 1), Some(b'=' | b'>')) => found(b'=', 2),
        b'=' => found(b'=', 1),
        b'%' if rest.starts_with("%3D") || rest.starts_with("%3d") => found(b'=', 3),
        b'\\' if has_code(rest, "3d") => found(b'=', escape_length(rest)),
        b'\\' if has_code(rest, "3a") => found(b':', escape_length(rest)),
        b'&' if rest.starts_with("&#61;") => found(b'=', 5),
        // An element of XML, with attributes or without.
        b'>' if name.byte_before() == Some(b'<') => found(b'>', 1),
        // One of many arguments: `["--password", "x"]`.
        b',' if is_flag && !quote.is_empty() => found(b',', 1),
        b'-' if is_flag && quote.is_empty() => None,
        _ if is_flag && next > closed && quote.is_empty() => found(b' ', 0),
        _ if name.byte_before() == Some(b'<') && next > closed => attributes(name, rest, next),
        // SQL: `WITH PASSWORD 'x'`.
        b'\'' if next > closed && name.ends_with("password") => found(b'=', 0),
        _ if next > closed && quote.is_empty() => words(name, rest, next),
        _ => None,
    }
}

/// Whether the text begins with an escaped character, `\u003d`, behind however many backslashes.
fn has_code(rest: &str, code: &str) -> bool {
    let rest = rest.trim_start_matches('\\');
    rest.get(..5)
        .is_some_and(|five| five.starts_with("u00") && five[3..].eq_ignore_ascii_case(code))
}

fn escape_length(rest: &str) -> usize {
    rest.len() - rest.trim_start_matches('\\').len() + 5
}

/// `<password type="plain">x</password>`.
fn attributes<'a>(name: &Name<'a>, rest: &'a str, next: usize) -> Option<Sign<'a>> {
    let end = rest.bytes().take(160).position(|byte| byte == b'>')?;
    let is_open = !rest[..end].contains(['<', '\n']) && !rest[..end].ends_with('/');
    let closing = format!("</{}", name.as_str());
    let is_element = rest.get(end..).is_some_and(|rest| {
        let mut to = rest.len().min(4_096);
        while !rest.is_char_boundary(to) {
            to -= 1;
        }
        work::did(to);
        rest[..to].contains(&closing)
    });
    (is_open && is_element).then_some(Sign {
        byte: b'>',
        quote: "",
        start: next,
        end: next + end + 1,
    })
}

/// A blank, or a word of prose: `machine x login y password z`, `ENV API_KEY x`, "the password is x".
fn words<'a>(name: &Name<'a>, rest: &str, next: usize) -> Option<Sign<'a>> {
    let sign = |length: usize| {
        Some(Sign {
            byte: b' ',
            quote: "",
            start: next,
            end: next + length,
        })
    };
    for word in ["is set to ", "set to ", "is: ", "is ", "was ", "to "] {
        if let Some(value) = rest.strip_prefix(word) {
            return is_told(value).then(|| sign(word.len())).flatten();
        }
    }
    let before = name.before(48);
    let is_command = COMMANDS.iter().any(|command| before.ends_with(command));
    let is_netrc = name.is_one_of(&["password"]) && before.contains("login ");
    let is_directive = name.is_one_of(&["requirepass", "masterauth"]);
    let is_config = name.begins_line() && name::telling(name.as_str()) == Telling::Secret && {
        // A line of two words: `db_password  hunter2`.
        let line = rest.split(['\n', '\r']).next().unwrap_or(rest);
        name.as_str().contains('_') && !line.trim_end().contains(' ') && is_told(line)
    };
    (is_command || is_netrc || is_directive || is_config)
        .then(|| sign(0))
        .flatten()
}

/// Whether what prose tells is a secret and no word of the sentence: it is quoted, or mixes letters with digits or signs.
fn is_told(value: &str) -> bool {
    if value.starts_with(['"', '\'', '`', '\\']) {
        return true;
    }
    let end = value.find([' ', '\n', '\t', '"', '\\', '\'']);
    let word =
        value[..end.unwrap_or(value.len())].trim_end_matches(['.', ',', ';', ':', '!', '?', ')']);
    let has = |test: fn(&u8) -> bool| word.as_bytes().iter().any(test);
    let mixes = has(u8::is_ascii_alphabetic)
        && (has(u8::is_ascii_digit)
            || word.contains(['!', '@', '#', '$', '%', '^', '&', '*', '+']));
    word.len() >= 5 && mixes && !word.contains(['(', '/', '<', '['])
}

/// What stands before a name whose value follows behind a blank.
const COMMANDS: [&str; 8] = [
    "ENV ",
    "ARG ",
    "setx ",
    "configure set ",
    "config set ",
    "setenv ",
    "default.",
    "confirm ",
];
