//! Judges by a value alone whether it can be a secret: placeholders, words, numbers and digests are none.

use super::{TOKEN, TOKEN_BYTES, is_token_at};

/// Whether a value says that there is none, or where it comes from.
pub(super) fn is_placeholder(value: &str) -> bool {
    let word = value
        .trim()
        .trim_end_matches(['.', ',', ';', ':', '!', '?']);
    let is_wrapped =
        |(open, close): &(&str, &str)| value.starts_with(open) && value.ends_with(close);
    let is_variable = |name: &str| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    PLACEHOLDERS
        .split('|')
        .any(|placeholder| word.eq_ignore_ascii_case(placeholder))
        || word
            .bytes()
            .all(|byte| matches!(byte, b'*' | b'x' | b'X' | b'.' | b'-' | b'_'))
        || WRAPPERS.iter().any(is_wrapped)
        || value.strip_prefix('$').is_some_and(is_variable)
}

/// Whether a bare value is code that fetches the secret from elsewhere.
pub(super) fn is_code(value: &str) -> bool {
    let is_call = value.ends_with(')') && value.contains('(');
    is_call
        || CODE_BEGINNINGS
            .split('|')
            .any(|code| value.starts_with(code))
}

/// The first word of an authorization header, which says how the credential behind it is to be read.
pub(super) fn is_scheme(value: &str) -> bool {
    SCHEMES
        .split('|')
        .any(|scheme| value.eq_ignore_ascii_case(scheme))
}

/// Whether letters and digits are mixed as words and numbers are not.
pub(super) fn looks_random(value: &str) -> bool {
    let mut mixed = 0;
    let mut rest = value;
    // What an earlier pass put there is no chance of the value's own.
    while let Some(start) = rest.find(TOKEN).filter(|start| is_token_at(rest, *start)) {
        mixed += mixed_bytes(&rest[..start]);
        rest = &rest[start + TOKEN_BYTES..];
    }
    mixed + mixed_bytes(rest) >= 8
}

/// How many bytes stand in runs that mix letters and digits, or are longer than words are.
fn mixed_bytes(text: &str) -> usize {
    let runs = text.split(|letter: char| !letter.is_ascii_alphanumeric());
    let mixed = runs.filter(|run| {
        let digits = run.bytes().filter(u8::is_ascii_digit).count();
        (run.len() >= 3 && digits > 0 && digits < run.len())
            || (run.len() >= 20 && digits < run.len())
    });
    mixed.map(str::len).sum()
}

/// A UUID, or a digest, commit or trace id in hexadecimal.
pub(super) fn is_digest(value: &str) -> bool {
    let hex = value.bytes().filter(u8::is_ascii_hexdigit).count();
    let dashes = value.bytes().filter(|byte| *byte == b'-').count();
    hex + dashes == value.len() && (dashes == 0 || (dashes == 4 && hex == 32))
}

/// A count rather than a secret.
pub(super) fn is_short_number(value: &str) -> bool {
    value.len() < 4 && value.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether this is `user:password` as HTTP's basic scheme sends it.
pub(super) fn is_base64_pair(value: &str) -> bool {
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
        bits = ((bits << 6) | u32::from(digit)) & 0xffff;
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

/// Values that are no secrets: nothing, types, and what prose says after a colon.
const PLACEHOLDERS: &str = "null|none|nil|true|false|undefined|empty|unset|set|unknown|missing|required|optional|\
    redacted|hidden|masked|str|string|&str|bytes|int|bool|boolean|number|text|varchar|option|any|object|secretstr|\
    optional[str]|option<string>|the|a|an|is|must|should|not|and|or|for|to|in|of|with|this|that|your|my|was|has|\
    invalid|incorrect|expired|wrong|changed|ok|yes|no|self|await|new|prompt|ask|n/a";

/// What encloses a name that is to be replaced by a value.
const WRAPPERS: [(&str, &str); 7] = [
    ("<", ">"),
    ("${", "}"),
    ("{{", "}}"),
    ("$(", ")"),
    ("%(", ")s"),
    ("[", "]"),
    ("{", "}"),
];

/// Beginnings of values that are code which fetches the secret from elsewhere.
const CODE_BEGINNINGS: &str = "os.|process.env|env.|env::|std::|self.|this.|config.|settings.|args.|options.|opts.|\
    params.|request.|secrets.|vars.|import.meta";

const SCHEMES: &str = "bearer|basic|token|bot|apikey|negotiate|ntlm|digest|aws4-hmac-sha256";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_told_from_words() {
        for value in ["aB3dE5fG7hJ9", "0a1b2c3d4e5f", "abcdefghijklmnopqrstuvwxyz"] {
            assert!(looks_random(value), "{value}");
        }
        for value in [
            "learn-something-long-name",
            "home",
            "12345678901234567890123",
            "v2-2024-05-13",
            "[secret:1f2b] x [secret:1f2b]",
        ] {
            assert!(!looks_random(value), "{value}");
        }
    }

    #[test]
    fn placeholders() {
        for value in [
            "",
            "null",
            "None",
            "***",
            "xxxx",
            "<your key>",
            "${KEY}",
            "$KEY",
            "{{ key }}",
            "required.",
            "...",
        ] {
            assert!(is_placeholder(value), "{value}");
        }
        for value in ["hunter2", "$ecret!", "$2b$12$abc", "xyz", "nullable"] {
            assert!(!is_placeholder(value), "{value}");
        }
    }

    #[test]
    fn pairs_in_base64() {
        assert!(
            is_base64_pair("dXNlcjpwYXNz")
                && is_base64_pair("YTpi")
                && is_base64_pair("dXNlcjpwYXM=")
        );
        assert!(
            !is_base64_pair("JavaScript")
                && !is_base64_pair("authentication")
                && !is_base64_pair("")
        );
    }
}
