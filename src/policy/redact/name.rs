//! Judges by a name whether its value is a secret: `DB_PASSWORD` is, `max_tokens` and `password_file` are not.

/// Words in which a name may tell of a secret; what the name means is decided word by word.
pub(super) const NEEDLE: &str = r#"(?i)connection string|(?:seed|recovery) phrase|pass|pwd|pw[ \\"']{0,4}[:=]|secret|credential|token|key|auth|sig|jwt|hmac|session|sid|conn_?str|connectionstring|mnemonic"#;

/// What a name says of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Telling {
    /// It is a secret.
    Secret,
    /// It is one if it is given as a value, `pass=x`, and not as a word of prose.
    Assigned,
    /// It is one if it looks like chance; with `digests`, a digest or a UUID is one too.
    Random {
        digests: bool,
    },
    Nothing,
}

/// Judges a name: `DB_PASSWORD`, `apiKey`, `x-amz-signature`.
pub(super) fn telling(name: &str) -> Telling {
    let words = words(name);
    let Some(last) = words.last().map(String::as_str) else {
        return Telling::Nothing;
    };
    if has(ABOUT_WORDS, last) {
        return Telling::Nothing;
    }
    let is_secret = |word: &String| {
        has(SECRET_WORDS, word)
            || SECRET_ENDINGS
                .split('|')
                .any(|ending| word.ends_with(ending))
    };
    let is_pair = |pair: &[String]| has(SECRET_PAIRS, &pair.join(" "));
    if words.iter().any(is_secret) || words.windows(2).any(is_pair) {
        return Telling::Secret;
    }
    if words.iter().any(|word| has(HARMLESS_WORDS, word)) {
        return Telling::Nothing;
    }
    match last {
        "pass" | "pw" => Telling::Assigned,
        "key" | "session" | "sid" => Telling::Random { digests: false },
        "token" | "auth" | "sig" | "signature" | "jwt" | "hmac" => {
            Telling::Random { digests: true }
        }
        _ => Telling::Nothing,
    }
}

fn has(list: &str, word: &str) -> bool {
    list.split('|').any(|listed| listed == word)
}

/// The words of a name in lower case; a new capital begins a new word.
fn words(name: &str) -> Vec<String> {
    let bytes = name.as_bytes();
    let mut words: Vec<String> = Vec::new();
    let mut inside = false;
    for (index, byte) in bytes.iter().enumerate() {
        let before = index.checked_sub(1).map(|before| bytes[before]);
        let next_is_lower = bytes.get(index + 1).is_some_and(u8::is_ascii_lowercase);
        let begins = byte.is_ascii_uppercase()
            && before.is_some_and(|before| {
                before.is_ascii_lowercase() || (before.is_ascii_uppercase() && next_is_lower)
            });
        let was_inside = inside;
        inside = byte.is_ascii_alphanumeric();
        if !inside {
            continue;
        }
        if !was_inside || begins {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(char::from(byte.to_ascii_lowercase()));
        }
    }
    words
}

/// A word anywhere in a name that makes its value a secret.
const SECRET_WORDS: &str = "password|passwords|passwd|passphrase|passcode|pwd|secret|secrets|credential|credentials|\
    apikey|apitoken|authtoken|accesstoken|refreshtoken|clientsecret|privatekey|secretkey|accesskey|connectionstring|\
    connstr|mnemonic";

/// An ending that makes a word one of those above: `PGPASSWORD`, `dbpasswd`.
const SECRET_ENDINGS: &str = "password|passwd|passphrase|apikey|secret|secretkey|accesskey";

/// Two words that make a secret together.
const SECRET_PAIRS: &str = "api key|api keys|access key|private key|auth key|authorization key|master key|\
    encryption key|signing key|service key|subscription key|account key|shared key|storage key|admin key|license key|\
    api token|access token|auth token|refresh token|id token|bearer token|session token|security token|csrf token|\
    xsrf token|bot token|connection string|conn string|conn str|seed phrase|recovery phrase";

/// A last word that turns a name of a secret into one of something about it.
const ABOUT_WORDS: &str = "length|len|count|size|type|hint|field|name|names|id|ids|url|uri|path|file|policy|reset|\
    changed|expires|expiry|expiration|expired|ttl|age|format|header|min|max|limit|enabled|required|valid|invalid|env|\
    var|label|prompt|version|arn|manager|store|provider|usage|index|endpoint|strength|at|ref|regex|pattern|detected|\
    found|error";

/// A word that says of a token or key that it is one of text or of a list.
const HARMLESS_WORDS: &str = "page|next|prev|previous|continuation|cursor|eos|bos|pad|unk|mask|stop|start|end|special|\
    max|min|total|prompt|completion|input|output|public|cache|primary|foreign|sort|partition|idempotency|object|row";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_word_by_word() {
        let cases = [
            ("password", Telling::Secret),
            ("PGPASSWORD", Telling::Secret),
            ("dbPassword", Telling::Secret),
            ("api_key", Telling::Secret),
            ("X-Api-Key", Telling::Secret),
            ("OPENAI_APIKEY", Telling::Secret),
            ("AccountKey", Telling::Secret),
            ("aws_secret_access_key", Telling::Secret),
            ("DB_PASS", Telling::Assigned),
            ("token", Telling::Random { digests: true }),
            ("X-Amz-Signature", Telling::Random { digests: true }),
            ("key", Telling::Random { digests: false }),
            ("api_key_id", Telling::Nothing),
            ("password_file", Telling::Nothing),
            ("max_tokens", Telling::Nothing),
            ("next_page_token", Telling::Nothing),
            ("public_key", Telling::Nothing),
            ("author", Telling::Nothing),
            ("secretary", Telling::Nothing),
            ("passes", Telling::Nothing),
            ("", Telling::Nothing),
            ("--", Telling::Nothing),
        ];
        for (name, expected) in cases {
            assert_eq!(telling(name), expected, "{name}");
        }
    }
}
