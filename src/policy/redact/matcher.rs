//! Looks at one place of a text whether a vendor's key stands there, whole or cut off.

use super::anchors::Rule;
use super::kinds::{Grip, Test};
use super::letters::score;
use super::value::{
    is_base64_pair, is_given, is_placeholder, is_random_hex, is_scheme, is_stub, looks_random,
    surely_random,
};
use super::work;

/// How far behind its literal a pattern that begins before it is looked for.
const REACH: usize = 256;

/// The most that is looked at of what was cut off, where it is no one run of letters.
const WIDE: usize = 512;

/// What is behind the literal has to be as long as this to be looked at, and a key that was cut off too.
const LEAST: usize = 8;

/// Behind a literal of its own and of the right length, a word less probable than this is no word.
const LIKELY: i32 = -4;

/// With a word before it, it has to be drawn by chance without doubt.
const GLUED: i32 = -10;

/// What is there: nothing, a secret, or a reason to withhold the text.
pub(super) enum Found {
    Nothing,
    /// Looked at up to here, and no secret.
    Passed(usize),
    Secret(usize, usize),
    Failed,
}

/// Whether the kind's secret stands where its literal was found.
pub(super) fn look(text: &str, rule: &Rule, start: usize, end: usize) -> Found {
    let kind = rule.kind;
    match kind.grip {
        Grip::Strong | Grip::Weak => {
            let literal = text.get(start..end).unwrap_or_default();
            let is_strong = kind.grip == Grip::Strong;
            // A literal is spelled as in the table; the automaton does not tell cases apart.
            if !kind.anchors.contains(&literal) {
                return Found::Nothing;
            }
            if !begins_word(text, start, is_strong) {
                return glued(text, rule, start, end);
            }
            let run = end + run_length(text, end);
            // Where dashes and letters end early, signs of base64 may be a part of it.
            let rest = if run - end < LEAST {
                end + wide_length(text, end)
            } else {
                run
            };
            work::did(rest - start);
            if rest - end < LEAST {
                return Found::Nothing;
            }
            let Some(pattern) = rule.pattern() else {
                return Found::Failed;
            };
            let whole = pattern
                .find(&text[start..])
                .map(|found| start + found.end());
            // A key goes on as long as its letters do: formats grow.
            match whole {
                Some(stop) if is_strong => {
                    let stop = stop.max(trimmed(text, end, run));
                    if is_stub(&text[end..stop]) {
                        return Found::Passed(stop);
                    }
                    Found::Secret(start, stop)
                }
                Some(stop) if ends_word(text, stop) && is_key(kind.test, &text[end..stop]) => {
                    Found::Secret(start, stop)
                }
                _ if is_strong && is_remains(&text[end..rest]) => {
                    Found::Secret(start, trimmed(text, end, rest))
                }
                _ if !is_strong && is_cut(text, run) && surely_random(&text[end..run]) => {
                    Found::Secret(start, run)
                }
                _ => Found::Passed(rest),
            }
        }
        Grip::Within(back) => within(text, rule, start.saturating_sub(back), end),
        Grip::Around => around(text, rule, start),
    }
}

/// A key to which the word before it was glued, as where two pieces of a text met: all of it has to be there, and its
/// beginning must be like nothing within a word.
fn glued(text: &str, rule: &Rule, start: usize, end: usize) -> Found {
    let literal = text.get(start..end).unwrap_or_default();
    let before = start.checked_sub(1).map(|before| text.as_bytes()[before]);
    let is_apart = before.is_some_and(|byte| byte.is_ascii_lowercase())
        && literal.bytes().all(|byte| byte.is_ascii_uppercase());
    if literal.len() < 4 || !(is_apart || literal.ends_with(['_', '-'])) {
        return Found::Nothing;
    }
    let Some(pattern) = rule.pattern() else {
        return Found::Failed;
    };
    work::did(LEAST);
    let Some(whole) = pattern.find(&text[start..]) else {
        return Found::Nothing;
    };
    work::did(whole.len());
    let stop = start + whole.end();
    let body = &text[end..stop];
    if is_random_hex(body) || score(body) < GLUED {
        Found::Secret(
            start,
            stop.max(trimmed(text, end, end + run_length(text, end))),
        )
    } else {
        Found::Nothing
    }
}

fn within(text: &str, rule: &Rule, from: usize, end: usize) -> Found {
    let Some(pattern) = rule.pattern() else {
        return Found::Failed;
    };
    let from = (from..=end).find(|place| text.is_char_boundary(*place));
    let to = (end..=text.len().min(end + REACH)).rev();
    let to = to.into_iter().find(|place| text.is_char_boundary(*place));
    let (Some(from), Some(to)) = (from, to) else {
        return Found::Nothing;
    };
    // The letter of an escape is no part of the word behind it.
    let escapes = [r"\n", r"\r", r"\t"].iter();
    let escape = escapes
        .filter_map(|escape| text[from..end].rfind(escape))
        .max();
    let from = escape.map_or(from, |escape| from + escape + 2);
    work::did(to - from);
    let found = pattern.captures(&text[from..to]);
    let secret = found
        .as_ref()
        .and_then(|found| found.get(1).or_else(|| found.get(0)));
    let reaches = found
        .as_ref()
        .and_then(|found| found.get(0))
        .is_some_and(|whole| from + whole.end() >= end);
    match secret {
        Some(secret) if reaches => {
            let stop = from + secret.end();
            // The window may have cut it.
            let rest = if stop == to {
                run_length(text, stop)
            } else {
                0
            };
            Found::Secret(from + secret.start(), stop + rest)
        }
        _ => Found::Nothing,
    }
}

fn around(text: &str, rule: &Rule, start: usize) -> Found {
    let Some(pattern) = rule.pattern() else {
        return Found::Failed;
    };
    // A word that goes on before the literal is another one, where the pattern says that it begins one.
    let begins = rule.kind.pattern.trim_start_matches("(?i)");
    if begins.starts_with(r"\b") && !begins_word(text, start, false) {
        return Found::Nothing;
    }
    let Some(found) = pattern.captures(&text[start..]) else {
        work::did(1);
        return Found::Nothing;
    };
    work::did(found.get(0).map_or(1, |found| found.len()));
    let Some(secret) = found.get(1).or_else(|| found.get(0)) else {
        return Found::Nothing;
    };
    let word = secret.as_str();
    let passes = match rule.kind.test {
        Test::Any => true,
        Test::Random => looks_random(word),
        Test::Credential => !is_placeholder(word) && !is_scheme(word) && is_given(word),
        Test::Given => !is_placeholder(word),
        Test::Pair => is_base64_pair(word),
        Test::Userinfo => looks_random(word) && surely_random(word),
    };
    let (first, last) = (start + secret.start(), start + secret.end());
    if passes {
        Found::Secret(first, last)
    } else {
        Found::Passed(start + 1)
    }
}

fn is_key(test: Test, body: &str) -> bool {
    match test {
        Test::Given => !is_stub(body),
        _ => is_random_hex(body) || score(body) < LIKELY,
    }
}

/// Whether what is left of a key that was cut off still is one.
fn is_remains(body: &str) -> bool {
    !is_stub(body) && looks_random(body)
}

/// Whether somebody has cut the text here.
fn is_cut(text: &str, end: usize) -> bool {
    let rest = text.get(end..).unwrap_or_default();
    rest.is_empty()
        || rest.starts_with('…')
        || rest.starts_with("...")
        || rest.starts_with("\\u2026")
}

/// Whether no word goes on before this place. The letter of an escape, the digits of a percent code and an underscore
/// are no part of the word behind them.
fn begins_word(text: &str, start: usize, may_follow_dash: bool) -> bool {
    let bytes = text.as_bytes();
    let before = |back: usize| {
        start
            .checked_sub(back)
            .and_then(|place| bytes.get(place))
            .copied()
    };
    match before(1) {
        Some(b'-' | b'.' | b'_') => may_follow_dash,
        Some(byte) if byte.is_ascii_alphanumeric() => {
            (matches!(byte, b'n' | b'r' | b't' | b'b' | b'f') && before(2) == Some(b'\\'))
                || (byte.is_ascii_hexdigit()
                    && before(2).is_some_and(|byte| byte.is_ascii_hexdigit())
                    && before(3) == Some(b'%'))
                || (byte.is_ascii_digit() || byte == b'm') && is_after_colour(&bytes[..start])
        }
        _ => true,
    }
}

/// Whether the bytes end in a terminal's colour, `ESC [ 31 m`.
fn is_after_colour(bytes: &[u8]) -> bool {
    let Some(rest) = bytes.strip_suffix(b"m") else {
        return false;
    };
    let digits = rest.iter().rev().take(12);
    let length = digits
        .take_while(|byte| byte.is_ascii_digit() || **byte == b';')
        .count();
    rest[..rest.len() - length].ends_with(b"[")
}

fn ends_word(text: &str, end: usize) -> bool {
    !text
        .as_bytes()
        .get(end)
        .is_some_and(u8::is_ascii_alphanumeric)
}

/// The letters that keys consist of.
fn run_length(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes().get(start..).unwrap_or_default();
    bytes
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        .count()
}

/// The same with the signs that base64 and tokens of several parts have.
fn wide_length(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes().get(start..).unwrap_or_default();
    bytes
        .iter()
        .take(WIDE)
        .take_while(|byte| byte.is_ascii_alphanumeric() || b"_-+/=.$|".contains(byte))
        .count()
}

/// Where a run ends without the signs behind it, which belong to the sentence.
fn trimmed(text: &str, start: usize, end: usize) -> usize {
    let body = text.get(start..end).unwrap_or_default();
    start + body.trim_end_matches(['-', '_', '.', '/', '$', '|']).len()
}
