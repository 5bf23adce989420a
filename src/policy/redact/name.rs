//! Judges by a name whether its value is a secret: `DB_PASSWORD` is, `max_tokens` and `password_file` are not.

use super::list::List;

/// Words in which a name may tell of a secret; what the name means is decided word by word. Those that many other words
/// hold come with what parts a name from its value.
#[rustfmt::skip]
pub(super) static ANCHORS: &[&str] = &[
    "pass", "pwd", "pw=", "pw:", "pw\"", "pw'", "pw\\", "pw =", "pw :", "secret", "credential", "creds", "token", "key", "auth",
    "sig=", "sig\"", "sig'", "sig:", "sig\\", "sig%", "signature", "jwt", "hmac", "session", "sid=", "sid\"", "sid'", "sid:", "sid\\",
    "phpsessid", "connstr", "conn_str", "connectionstring", "connection string", "connection_string", "mnemonic",
    "psk", "seed phrase", "recovery phrase", "seed_phrase", "recovery_phrase", "xsrf",
];

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
    let words = Words::of(name);
    let Some(last) = words.last() else {
        return Telling::Nothing;
    };
    if ABOUT_WORDS.has(last) {
        return Telling::Nothing;
    }
    let is_secret = |word: &str| {
        SECRET_WORDS.has(word) || SECRET_ENDINGS.iter().any(|ending| word.ends_with(*ending))
    };
    if words.all().any(is_secret) || words.pairs().any(|pair| SECRET_PAIRS.has(pair)) {
        return Telling::Secret;
    }
    if words.all().any(|word| HARMLESS_WORDS.has(word)) {
        return Telling::Nothing;
    }
    match last {
        "pass" | "pw" => Telling::Assigned,
        "key" | "keys" | "session" | "sid" | "sessionid" | "jsessionid" | "phpsessid" => {
            Telling::Random { digests: false }
        }
        "token" | "tokens" | "auth" | "sig" | "signature" | "jwt" | "hmac" | "csrftoken"
        | "xsrf" => Telling::Random { digests: true },
        _ => Telling::Nothing,
    }
}

/// Whether a name says that its value only identifies something: no chance in it is a secret then.
pub(super) fn is_identity(name: &str) -> bool {
    let words = Words::of(name);
    words
        .last()
        .is_some_and(|last| ABOUT_WORDS.has(last) || IDENTITY_WORDS.has(last))
        || words
            .all()
            .any(|word| DIGEST_WORDS.has(word) || HARMLESS_WORDS.has(word))
}

/// Whether a name within a secret's object is about who it belongs to.
pub(super) fn is_about(name: &str) -> bool {
    let words = Words::of(name);
    words
        .last()
        .is_some_and(|last| ABOUT_WORDS.has(last) || IDENTITY_WORDS.has(last))
}

/// Whether a name is that of a header which carries who somebody is: `http.request.header.authorization`.
pub(super) fn is_credential_header(name: &str) -> bool {
    let words = Words::of(name);
    matches!(words.last(), Some("authorization" | "cookie" | "cookies"))
}

/// The longest name that is looked at; what is longer is no name.
pub(super) const MOST_BYTES: usize = 96;

/// The words of a name in lower case, parted by blanks; a new capital begins a new word.
struct Words {
    letters: [u8; 2 * MOST_BYTES],
    length: usize,
}

impl Words {
    fn of(name: &str) -> Self {
        let mut words = Words {
            letters: [0; 2 * MOST_BYTES],
            length: 0,
        };
        let bytes = name.as_bytes();
        // The end of a name tells most.
        let bytes = &bytes[bytes.len().saturating_sub(MOST_BYTES)..];
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
            if words.length > 0 && (!was_inside || begins) {
                words.push(b' ');
            }
            words.push(byte.to_ascii_lowercase());
        }
        words
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.letters.get_mut(self.length) {
            *place = byte;
            self.length += 1;
        }
    }

    fn as_str(&self) -> &str {
        let letters = self.letters.get(..self.length).unwrap_or_default();
        std::str::from_utf8(letters).unwrap_or_default()
    }

    fn all(&self) -> impl Iterator<Item = &str> {
        self.as_str().split(' ').filter(|word| !word.is_empty())
    }

    fn last(&self) -> Option<&str> {
        self.all().last()
    }

    /// Each word with the one behind it.
    fn pairs(&self) -> impl Iterator<Item = &str> {
        let text = self.as_str();
        let starts = std::iter::once(0).chain(text.match_indices(' ').map(|(at, _)| at + 1));
        starts.filter_map(move |start| {
            let rest = text.get(start..)?;
            let first = rest.find(' ')?;
            let second = rest.get(first + 1..)?.find(' ');
            Some(second.map_or(rest, |second| &rest[..first + 1 + second]))
        })
    }
}

/// A word anywhere in a name that makes its value a secret.
static SECRET_WORDS: List = List::of(
    "password|passwords|passwd|passphrase|passcode|pwd|secret|secrets|credential|credentials|creds|\
    apikey|apikeys|apitoken|authtoken|accesstoken|refreshtoken|clientsecret|privatekey|secretkey|accesskey|authkey|connectionstring|\
    connstr|mnemonic|passkey|psk|passwort|bearertoken|accountkey|sharedkey|sharedaccesskey|encryptionkey|signingkey",
);

/// An ending that makes a word one of those above: `PGPASSWORD`, `dbpasswd`.
const SECRET_ENDINGS: [&str; 9] = [
    "password",
    "passwd",
    "passphrase",
    "apikey",
    "secret",
    "secretkey",
    "accesskey",
    "secrettoken",
    "authtoken",
];

/// Two words that make a secret together.
static SECRET_PAIRS: List = List::of(
    "api key|api keys|access key|private key|private keys|auth key|authorization key|master key|\
    encryption key|signing key|service key|subscription key|account key|shared key|storage key|admin key|license key|\
    licence key|deploy key|access keys|app key|application key|bot key|session key|hmac key|jwt key|function key|host key|\
    functions key|preshared key|psk key|api token|api tokens|access token|access tokens|auth token|refresh token|id token|bearer token|\
    session token|security token|csrf token|xsrf token|bot token|private token|deploy token|user token|oauth token|\
    app token|admin token|root token|vault token|personal token|service token|registration token|reset token|job token|\
    client token|connection string|conn string|conn str|seed phrase|recovery phrase|secret key|session secret",
);

/// A last word that turns a name of a secret into one of something about it.
static ABOUT_WORDS: List = List::of(
    "length|len|count|size|type|types|hint|field|fields|name|names|id|ids|url|uri|urls|path|paths|file|files|\
    filename|dir|policy|reset|changed|expires|expiry|expiration|expired|ttl|age|format|header|headers|min|max|limit|enabled|required|\
    valid|invalid|env|var|vars|label|prompt|version|arn|manager|store|storage|provider|usage|index|endpoint|strength|at|ref|refs|\
    regex|pattern|patterns|detected|found|error|errors|validator|validators|hasher|hashers|form|forms|widget|view|views|template|\
    templates|backend|backends|class|classes|model|func|function|method|callback|handler|middleware|context|test|tests|help|\
    text|message|messages|msg|title|description|strategy|generator|encoder|encoding|rule|rules|requirements|score|duration|seconds|\
    minutes|days|hours|rotation|source|mode|kind|status|state|scope|scopes|host|port|protocol|algorithm|alg|curve|bits|\
    bytes|issuer|audience|subject|owner|group|role|region|bucket|column|table|order|mapping|parser|service|\
    server|client|app|apps|page|doc|docs|link|button|icon|option|options|settings|config|schema|location|created|updated|deleted|\
    used|timeout|window|attempts|history|rounds|iterations|engine|mount|request|requests|response|responses|result|results|exception|\
    is|set|check|checks|checker|flow|grant|support|number|num",
);

/// A last word of what identifies, and is no secret by itself.
static IDENTITY_WORDS: List = List::of(
    "user|username|login|email|mail|account|tenant|project|organization|organisation|org|uuid|guid|sha|sha1|\
    sha256|sha512|md5|hash|digest|checksum|integrity|etag|commit|revision|rev|oid|tree|parent|blob|trace|span|cursor|nonce|fingerprint|thumbprint|\
    serial|offset|checkpoint|request|run|thread|resolved|image|tag|branch|date|time|timestamp|mappings",
);

/// A word anywhere in a name that makes chance in its value a digest.
static DIGEST_WORDS: List = List::of(
    "sha|sha1|sha256|sha384|sha512|md5|digest|checksum|integrity|etag|commit|fingerprint|uuid|guid|traceparent|tracestate",
);

/// A word that says of a token or key that it is one of text or of a list.
static HARMLESS_WORDS: List = List::of(
    "page|next|prev|previous|continuation|cursor|eos|bos|pad|unk|mask|stop|start|end|special|\
    max|min|total|prompt|completion|input|output|public|cache|cached|primary|foreign|sort|partition|idempotency|object|row|\
    reasoning|dedup|dedupe|tokenizer|translation|publishable|anon|hash|etag|thinking|thought",
);

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
