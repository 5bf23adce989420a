//! Finds secrets whose name is a value itself: `{"name": "password", "value": "x"}`, `("password", "x")`.

use super::Span;
use super::assignment::Name;
use super::mark;
use super::name::{self, Telling};
use super::value::{is_digest, is_identifier, is_placeholder, looks_random};
use super::written::{Written, blank_end, quote_at, quoted, space_end};

/// How far from the name its value is looked for.
const REACH: usize = 256;

/// Looks around a name in quotes, or one behind `name:`, for the value that it names.
pub(super) fn look<'a>(name: &Name<'a>, spans: &mut Vec<Span<'a>>) {
    let bytes = name.text.as_bytes();
    let Some(quote) = quote_at(bytes, name.end) else {
        return yaml(name, spans);
    };
    let level = quote - name.end;
    // The name is the whole string.
    let opens = name.start.checked_sub(level + 1);
    let is_string = opens.is_some_and(|open| bytes.get(open + level) == bytes.get(quote));
    let Some(open) = opens.filter(|_| is_string) else {
        return;
    };
    let telling = name::telling(name.as_str());
    if telling == Telling::Nothing {
        return;
    }
    let before = name.text.get(..open).unwrap_or_default();
    let key = label_before(before);
    let value = match key {
        Some(key) if is_label(key) => {
            let inner = element(name, quote + 1);
            let value = inner.or_else(|| behind(name, quote + 1));
            value.or_else(|| ahead(name, open - label_offset(before)))
        }
        Some(_) => None,
        None if before.ends_with("variable ") => {
            let brace = space_end(bytes, quote + 1);
            let opens = bytes.get(brace) == Some(&b'{');
            opens.then(|| behind(name, brace + 1)).flatten()
        }
        None => tuple(name, before, quote + 1),
    };
    if let Some(value) = value {
        push(name, telling, value, key.is_some(), spans);
    }
}

/// Keeps what cannot be a secret.
fn push<'a>(
    name: &Name<'a>,
    telling: Telling,
    value: Written,
    is_labelled: bool,
    spans: &mut Vec<Span<'a>>,
) {
    let text = value.of(name.text);
    let is_secret = match telling {
        Telling::Secret | Telling::Assigned => {
            // A list of names is no list of pairs.
            (is_labelled || !is_identifier(text) && !text.contains(' ') && looks_given(text))
                && !(is_identifier(text) && name::telling(text) != Telling::Nothing)
        }
        Telling::Random { digests } => looks_random(text) && (digests || !is_digest(text)),
        Telling::Nothing => false,
    };
    if is_secret && !is_placeholder(text) {
        spans.push(Span {
            start: value.start,
            end: value.end,
            quote: "",
            kind: mark::Kind::Secret,
        });
    }
}

fn looks_given(text: &str) -> bool {
    let has = |test: fn(&u8) -> bool| text.as_bytes().iter().any(test);
    has(u8::is_ascii_alphabetic)
        && (has(u8::is_ascii_digit) || text.contains(['!', '@', '#', '$', '%', '&', '*', '+']))
}

/// The word before a string's opening quote, where a colon or an equals sign stands between them.
fn label_before(before: &str) -> Option<&str> {
    let rest = before.trim_end_matches([' ', '\t']);
    let rest = rest.strip_suffix(':').or_else(|| rest.strip_suffix('='))?;
    let rest = rest.trim_end_matches([' ', '"', '\'', '\\']);
    let bytes = rest.bytes().rev().take(24);
    let length = bytes.take_while(u8::is_ascii_alphabetic).count();
    rest.get(rest.len() - length..)
}

/// How many bytes the label and its sign take before the string.
fn label_offset(before: &str) -> usize {
    let sign = before.rfind([':', '=']).unwrap_or(before.len());
    let rest = before[..sign].trim_end_matches([' ', '"', '\'', '\\']);
    let length = rest.bytes().rev().take(24);
    let length = length.take_while(u8::is_ascii_alphabetic).count();
    let start = before[..rest.len() - length].trim_end_matches(['"', '\'', '\\']);
    before.len() - start.len()
}

fn is_label(key: &str) -> bool {
    LABELS
        .split('|')
        .any(|label| label.eq_ignore_ascii_case(key))
}

/// `<property name="password">x</property>`.
fn element(name: &Name<'_>, from: usize) -> Option<Written> {
    let rest = name.text.get(from..)?.strip_prefix('>')?;
    let end = rest.bytes().take(REACH).position(|byte| byte == b'<')?;
    let is_text = end > 0 && rest[end..].starts_with("</");
    is_text.then_some(Written {
        start: from + 1,
        end: from + 1 + end,
        is_quoted: true,
    })
}

/// `, "value": "x"` behind the name.
fn behind(name: &Name<'_>, from: usize) -> Option<Written> {
    let bytes = name.text.as_bytes();
    let mut place = space_end(bytes, from);
    let limit = from + REACH;
    // Other members may stand between the two.
    while place < limit {
        if matches!(bytes.get(place), Some(b',')) {
            place = space_end(bytes, place + 1);
        }
        let key_start = quote_at(bytes, place).map_or(place, |quote| quote + 1);
        let length = bytes.get(key_start..)?.iter().take(24);
        let length = length
            .take_while(|byte| byte.is_ascii_alphabetic() || **byte == b'_')
            .count();
        let key = name.text.get(key_start..key_start + length)?;
        let sign =
            quote_at(bytes, key_start + length).map_or(key_start + length, |quote| quote + 1);
        let sign = blank_end(bytes, sign);
        if key.is_empty() || !matches!(bytes.get(sign), Some(b':' | b'=')) {
            return None;
        }
        let start = space_end(bytes, sign + 1);
        let quote = quote_at(bytes, start)?;
        let value = quoted(bytes, start, quote);
        if VALUES
            .split('|')
            .any(|known| known.eq_ignore_ascii_case(key))
        {
            return (value.end > value.start).then_some(value);
        }
        place = space_end(bytes, value.end + (quote - start) + 1);
    }
    None
}

/// `"value": "x",` before the name's own label.
fn ahead(name: &Name<'_>, label: usize) -> Option<Written> {
    let bytes = name.text.as_bytes();
    let before = name.text.get(..label)?.trim_end_matches([' ', '\n', '\t']);
    let before = before.strip_suffix(',').unwrap_or(before).trim_end();
    let close = before.len().checked_sub(1)?;
    if !matches!(bytes.get(close), Some(b'"' | b'\'')) {
        return None;
    }
    // The quote that opens it is found by reading from each key called `value` near before.
    let mut from = close.saturating_sub(4 * REACH);
    while !name.text.is_char_boundary(from) {
        from += 1;
    }
    let near = name.text.get(from..close)?;
    let key = ["value", "Value"]
        .iter()
        .filter_map(|key| near.rfind(key))
        .max()?;
    let sign = from + key + "value".len();
    let sign = quote_at(bytes, sign).map_or(sign, |quote| quote + 1);
    let sign = blank_end(bytes, sign);
    if !matches!(bytes.get(sign), Some(b':' | b'=')) {
        return None;
    }
    let start = blank_end(bytes, sign + 1);
    let quote = quote_at(bytes, start)?;
    let value = quoted(bytes, start, quote);
    (value.end + (quote - start) == close && value.end > value.start).then_some(value)
}

/// `["password", "x"]`, `("password", "x")`, `.header("x-api-key", "x")`.
fn tuple(name: &Name<'_>, before: &str, from: usize) -> Option<Written> {
    let bytes = name.text.as_bytes();
    let before = before.trim_end_matches([' ', '\n', '\t', '\\', 'b']);
    if !before.ends_with(['(', '[']) || bytes.get(from) != Some(&b',') {
        return None;
    }
    let start = space_end(bytes, from + 1);
    let start = if bytes.get(start) == Some(&b'b') {
        start + 1
    } else {
        start
    };
    let quote = quote_at(bytes, start)?;
    let value = quoted(bytes, start, quote);
    let after = space_end(bytes, value.end + (quote - start) + 1);
    let is_last = matches!(bytes.get(after), Some(b')' | b']'))
        || (bytes.get(after) == Some(&b',')
            && matches!(bytes.get(space_end(bytes, after + 1)), Some(b')' | b']')));
    (is_last && value.end > value.start).then_some(value)
}

/// `auth=("bob", "x")`: the second of the two.
pub(super) fn credentials(text: &str, from: usize) -> Option<Span<'_>> {
    let bytes = text.as_bytes();
    let open = space_end(bytes, from);
    if bytes.get(open) != Some(&b'(') {
        return None;
    }
    let start = space_end(bytes, open + 1);
    let quote = quote_at(bytes, start)?;
    let user = quoted(bytes, start, quote);
    let comma = space_end(bytes, user.end + (quote - start) + 1);
    if bytes.get(comma) != Some(&b',') {
        return None;
    }
    let start = space_end(bytes, comma + 1);
    let quote = quote_at(bytes, start)?;
    let value = quoted(bytes, start, quote);
    let is_given = value.end > value.start && !is_placeholder(value.of(text));
    is_given.then(|| Span::secret(value.start, value.end))
}

/// `- name: DB_PASSWORD` and in the next line `value: x`.
fn yaml<'a>(name: &Name<'a>, spans: &mut Vec<Span<'a>>) {
    let before = name.before(40).trim_end_matches([' ', '\t']);
    let Some(before) = before.strip_suffix(':') else {
        return;
    };
    let length = before
        .bytes()
        .rev()
        .take_while(u8::is_ascii_alphabetic)
        .count();
    if !is_label(&before[before.len() - length..]) {
        return;
    }
    let telling = name::telling(name.as_str());
    let bytes = name.text.as_bytes();
    let next = space_end(bytes, name.end);
    let rest = name.text.get(next..).unwrap_or_default();
    let Some(key) = ["value:", "Value:"]
        .iter()
        .find(|key| rest.starts_with(**key))
    else {
        return;
    };
    let start = blank_end(bytes, next + key.len());
    let value = if let Some(quote) = quote_at(bytes, start) {
        quoted(bytes, start, quote)
    } else {
        let rest = name.text.get(start..).unwrap_or_default();
        let end = rest.find(['\n', '\r', '\\', '"']).unwrap_or(rest.len());
        Written {
            start,
            end: start + rest[..end].trim_end().len(),
            is_quoted: false,
        }
    };
    if value.end > value.start && telling != Telling::Nothing {
        push(name, telling, value, true, spans);
    }
}

/// What a name stands under.
const LABELS: &str = "name|key|field|header|headername|variable|var|property|parameter|param|id|k|attribute|option|env|label|parametername|secretname";

/// What a value stands under.
const VALUES: &str = "value|val|v|content|default|defaultvalue|default_value|data|text|secret|string_value|stringvalue|parametervalue";
