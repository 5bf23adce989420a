//! Judges by a value alone whether it can be a secret: placeholders, words, numbers and digests are none.

use super::letters::score;
use super::list::List;
use super::mark;
use super::name::{Telling, telling};

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
            && (name.len() < 4 || score(name) > -6)
    };
    PLACEHOLDERS.has_any_case(word)
        || is_stub(word)
        || WRAPPERS.iter().any(is_wrapped)
        || value.starts_with("${")
        || value.strip_prefix('$').is_some_and(is_variable)
        || value.strip_prefix("$env:").is_some_and(is_variable)
        || (value.starts_with('%') && value.len() > 2 && value.ends_with('%'))
        || mark::is_whole(value)
}

/// Whether it only shows where a key would be: `xxxx`, `****`, `...`, `your-key-here`, `REDACTED`.
pub(super) fn is_stub(word: &str) -> bool {
    let bytes = word.as_bytes();
    let filler = |byte: &u8| matches!(byte, b'*' | b'x' | b'X' | b'.' | b'-' | b'_' | b'#' | b'0');
    if word.is_empty()
        || bytes.iter().all(filler)
        || word.chars().all(|sign| "•●…*.x".contains(sign))
    {
        return true;
    }
    let is_same = bytes.len() >= 4 && bytes.iter().all(|byte| *byte == bytes[0]);
    let is_padded = bytes.windows(5).any(|five| {
        five.iter()
            .all(|byte| matches!(byte, b'*' | b'x' | b'X' | b'.'))
    });
    if is_same || is_padded {
        return true;
    }
    let small = word
        .get(..word.len().min(64))
        .unwrap_or_default()
        .to_ascii_lowercase();
    let heads = [
        "redacted",
        "placeholder",
        "change_me",
        "insert",
        "replace",
        "example_",
        "enter_",
        "enter-",
    ];
    // What was drawn by chance may begin so as well.
    (heads.iter().any(|stub| small.starts_with(stub))
        || STUBS.split('|').any(|stub| small.contains(stub)))
        && score(word) > -6
}

/// Whether it is more than the beginning of a form.
pub(super) fn is_given(value: &str) -> bool {
    value.len() >= 3 && !value.bytes().all(|byte| !byte.is_ascii_alphanumeric())
}

/// Whether a bare value is code that fetches the secret from elsewhere.
pub(super) fn is_code(value: &str) -> bool {
    let is_call = value.ends_with(')') && value.contains('(');
    let is_index = value.ends_with(']') && value.contains('[');
    is_call
        || is_index
        || CODE_BEGINNINGS
            .split('|')
            .any(|code| value.starts_with(code))
        || is_path_of_names(value)
}

/// `user.password`, `settings.SECRET_KEY`, `Foo::BAR`, `obj->field`: names and nothing but.
fn is_path_of_names(value: &str) -> bool {
    let mut parts = value
        .split("::")
        .flat_map(|part| part.split(['.', '-', '>']));
    let is_name = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
    };
    (value.contains('.') || value.contains("::") || value.contains("->"))
        && parts.all(|part| part.is_empty() || is_name(part))
        && score(value) > -4
}

/// Letters and underscores alone, as names of variables are, and no secret drawn by chance.
pub(super) fn is_identifier(value: &str) -> bool {
    let trimmed = value.trim_end_matches(|last: char| last.is_ascii_digit());
    // `password2` is a name, `hunter2` is not.
    let name = if telling(trimmed) == Telling::Nothing {
        value
    } else {
        trimmed
    };
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && (name.len() < 8 || score(name) > -8)
}

/// The first word of an authorization header, which says how the credential behind it is to be read.
pub(super) fn is_scheme(value: &str) -> bool {
    SCHEMES.has_any_case(value)
}

/// Whether letters and digits are mixed as words and numbers are not. Of what stands under a telling name, that is
/// enough.
pub(super) fn looks_random(value: &str) -> bool {
    let mut mixed = 0;
    let mut rest = value;
    // What an earlier pass put there is no chance of the value's own.
    while let Some(found) = mark::first(rest) {
        mixed += mixed_bytes(&rest[..found.start]);
        rest = &rest[found.end..];
    }
    mixed + mixed_bytes(rest) >= 8
}

/// How many bytes stand in runs that mix letters and digits, or are no words.
fn mixed_bytes(text: &str) -> usize {
    let runs = text.split(|letter: char| !letter.is_ascii_alphanumeric());
    let mixed = runs.filter(|run| {
        let digits = run.bytes().filter(u8::is_ascii_digit).count();
        (run.len() >= 3 && digits > 0 && digits < run.len())
            || (run.len() >= 8 && digits < run.len() && score(run) < -6)
            || (run.len() >= 20
                && digits < run.len()
                && !run.bytes().all(|byte| byte.is_ascii_lowercase()))
            || (run.len() >= 20 && digits < run.len() && score(run) < 4)
    });
    mixed.map(str::len).sum()
}

/// Whether it was drawn by chance, whatever stands around it.
pub(super) fn surely_random(value: &str) -> bool {
    value.len() >= 8 && (is_random_hex(value) || score(value) < -10)
}

/// Hexadecimal digits as chance mixes them, and no number, date or pattern.
pub(super) fn is_random_hex(value: &str) -> bool {
    let bytes = value.as_bytes();
    if bytes.len() < 16 || !bytes.iter().all(u8::is_ascii_hexdigit) {
        return false;
    }
    let mut seen = [false; 16];
    for byte in bytes {
        seen[char::from(*byte).to_digit(16).unwrap_or(0) as usize % 16] = true;
    }
    let kinds = seen.iter().filter(|is_seen| **is_seen).count();
    let turns = bytes
        .windows(2)
        .filter(|pair| pair[0].is_ascii_digit() != pair[1].is_ascii_digit());
    kinds >= 8 && turns.count() * 6 >= bytes.len()
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
static PLACEHOLDERS: List = List::of(
    "null|none|nil|true|false|undefined|empty|unset|set|unknown|missing|required|optional|\
    hidden|masked|str|string|&str|&'static str|bytes|int|integer|float|number|bool|boolean|text|varchar|char|option|any|object|secretstr|\
    optional[str]|option<string>|secretstring|list|dict|array|map|tuple|date|uuid|email|the|a|an|is|are|must|should|not|and|or|for|to|in|of|\
    with|this|that|your|my|was|has|it|if|on|at|by|as|be|no|from|when|which|will|can|\
    invalid|incorrect|expired|wrong|changed|ok|yes|self|await|new|prompt|ask|n/a|todo|tbd|fixme|sensitive|fake|bearer|basic|inherit|default|default_value|\
    password|passwd|secret|token|api_key|apikey|enabled|disabled|exists|found|private|public|present|absent|revoked|valid|redacted|unspecified|\
    key|value|name|username|user|admin_password|auto|generated|auto-generated|encrypted|plaintext|plain|env|file|keyring|prompted|stdin|vault",
);

/// Words in what stands for a key that is to be put there.
const STUBS: &str = "your_|your-|_here|-here|yourkey|yourapikey|yourtoken|yourpassword|yoursecret|my-api-key|my_api_key|placeholder|redacted|dummy-key|changethis|\
    replace-me|replace_me|replaceme|insert-|insert_|<|not-needed|not_needed";

/// What encloses a name that is to be replaced by a value.
const WRAPPERS: [(&str, &str); 9] = [
    ("<", ">"),
    ("&lt;", "&gt;"),
    ("${", "}"),
    ("{{", "}}"),
    ("$(", ")"),
    ("%(", ")s"),
    ("[", "]"),
    ("{", "}"),
    ("@", "@"),
];

/// Beginnings of values that are code which fetches the secret from elsewhere.
const CODE_BEGINNINGS: &str = "os.|process.env|env.|env::|env!|std::|self.|this.|config.|settings.|args.|options.|opts.|\
    params.|request.|secrets.|vars.|import.meta|data.|var.|local.|module.|lambda|ENV[|env(|arn:aws|op://|vault:|file:|\
    keyring:|ssm:|projects/";

static SCHEMES: List = List::of(
    "bearer|basic|token|bot|apikey|negotiate|ntlm|digest|aws4-hmac-sha256|key|splunk|ssws|api-key",
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_told_from_words() {
        for value in ["aB3dE5fG7hJ9", "0a1b2c3d4e5f", "qzxjwvkbqpfgxzjwqvkx"] {
            assert!(looks_random(value), "{value}");
        }
        for value in [
            "learn-something-long-name",
            "home",
            "12345678901234567890123",
            "v2-2024-05-13",
            "[secret:1f2b] x [secret:1f2b]",
            "internationalization",
        ] {
            assert!(!looks_random(value), "{value}");
        }
    }

    #[test]
    fn hexadecimal_chance_is_told_from_numbers_and_patterns() {
        assert!(is_random_hex("9f86d081884c7d659a2feaa0c55ad015"));
        for value in [
            "12345678901234567890123456789012",
            "deadbeefdeadbeefdeadbeefdeadbeef",
            "00000000000000000000000000000000",
            "20240513120000",
        ] {
            assert!(!is_random_hex(value), "{value}");
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
            "your-api-key",
            "YOUR_TOKEN_HERE",
            "%TOKEN%",
            "[REDACTED]",
            "sk-xxxxxxxxxxxx",
            "${{ secrets.TOKEN }}",
            "[secret:ab12]",
            "••••••",
            "@password@",
        ] {
            assert!(is_placeholder(value), "{value}");
        }
        for value in [
            "hunter2",
            "$ecret!",
            "$2b$12$abc",
            "xyz",
            "nullable",
            "yourmother7",
        ] {
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
