//! Finds the class of a failure in its status code, its error's type name and its text.
//!
//! Names and texts are compared word by word, never letter by letter: `author/name` is no `auth`, `65003` no `503`, and
//! a text that generates a limit limits no rate. `CamelCase` counts as several words, so one table serves both.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::ErrorClass;

/// The class of a failure: from the status code, then the error's type, then the message.
pub(crate) fn classify(status: Option<u16>, error_type: Option<&str>, message: &str) -> ErrorClass {
    let name = telling(error_type.map(str::trim).unwrap_or_default());
    let stated = ErrorClass::from_name(name).filter(|class| *class != ErrorClass::Unknown);
    // OpenTelemetry's HTTP spans put the status code into `error.type`.
    let status = status.or_else(|| name.parse().ok());
    let evidence = status
        .and_then(of_status)
        .or_else(|| stated.map(Evidence::Clear))
        .or_else(|| of_type(name))
        .or_else(|| status_in(message).and_then(of_status));
    match evidence {
        Some(Evidence::Clear(class)) => class,
        Some(Evidence::Refused) => {
            // A type like `APIStatusError` knows less than the status its text tells.
            let told = status.map_or_else(|| status_in(message).and_then(of_status), |_| None);
            if let Some(Evidence::Clear(class)) = told {
                return class;
            }
            let explained = |class: &ErrorClass| explains_refusal(*class);
            let reason = TYPES.find(name).filter(explained);
            let reason = reason.or_else(|| MESSAGES.find(message).filter(explained));
            reason.unwrap_or(ErrorClass::ProviderError)
        }
        None => MESSAGES.find(message).unwrap_or(ErrorClass::Unknown),
    }
}

/// The part of an error's type that tells something: of a Rust path its last name, for modules and
/// crates are called `auth` and `network` whatever fails in them; and not `ApiError`, which in Rust
/// is what wraps every failure of a client, a timeout and a refused key alike.
fn telling(name: &str) -> &str {
    match name.rsplit_once("::") {
        Some((_, "ApiError" | "APIError")) => "",
        Some((_, last)) => last,
        None => name,
    }
}

/// The HTTP error status that a text speaks of: `HTTP 429`, `status: 503`, `429 Too Many Requests`.
///
/// A number alone is not enough, save where the text begins with it as SDKs' texts do.
pub(crate) fn status_in(message: &str) -> Option<u16> {
    let words = words(message);
    (0..words.len()).find_map(|index| {
        let status = words[index].number(message)?;
        (400..=599).contains(&status).then_some(())?;
        says_status(message, &words, index, status).then_some(status)
    })
}

/// What a status or a type says.
#[derive(Clone, Copy)]
enum Evidence {
    Clear(ErrorClass),
    /// The provider refused the request; the reason is told elsewhere.
    Refused,
}

fn of_status(status: u16) -> Option<Evidence> {
    let class = match status {
        401 | 403 | 407 => ErrorClass::Auth,
        // The last four are proxies' words for an upstream that did not answer in time.
        408 | 504 | 522 | 524 | 598 => ErrorClass::ProviderTimeout,
        413 => ErrorClass::ContextOverflow,
        429 => ErrorClass::RateLimit,
        // Nginx: the client went away.
        499 => ErrorClass::Cancelled,
        400..=499 => return Some(Evidence::Refused),
        500..=599 => ErrorClass::ProviderError,
        _ => return None,
    };
    Some(Evidence::Clear(class))
}

fn of_type(name: &str) -> Option<Evidence> {
    let class = TYPES.find(name)?;
    Some(if class == ErrorClass::ProviderError {
        Evidence::Refused
    } else {
        Evidence::Clear(class)
    })
}

/// What a refused request (400, `invalid_request_error`) may turn out to be.
fn explains_refusal(class: ErrorClass) -> bool {
    matches!(
        class,
        ErrorClass::ContextOverflow | ErrorClass::Auth | ErrorClass::RateLimit
    )
}

/// Rows in the order they count; `|` parts the phrases, and a phrase is a run of whole words.
type Rows = [(ErrorClass, &'static str)];

/// What an error's type is called, by Rust crates, provider SDKs, gRPC and the providers' own `error.type`.
static TYPES: LazyLock<Table> = LazyLock::new(|| {
    Table::of(&[
        (
            ErrorClass::RateLimit,
            "rate limit|ratelimit|rate limited|too many requests|throttling|throttled|quota|\
         resource exhausted|usage limit|overquota",
        ),
        (
            ErrorClass::ContextOverflow,
            "context window|context length|context overflow|context size|request too large|\
         payload too large|content too large|entity too large|prompt too long",
        ),
        (
            ErrorClass::Auth,
            "authentication|auth|authorization|unauthorized|unauthorised|unauthenticated|\
         forbidden|permission|access denied|credential|credentials|invalid api key|\
         api key|token expired",
        ),
        (
            ErrorClass::ProviderTimeout,
            "timeout|time out|timed out|timedout|deadline exceeded|elapsed",
        ),
        (
            ErrorClass::Network,
            "connection|connect|dns|network|socket|tls|ssl|unreachable|broken pipe|\
         remote protocol|not connected|addr not available",
        ),
        (
            ErrorClass::Cancelled,
            "cancelled|canceled|cancellation|aborted|abort|keyboard interrupt",
        ),
        (
            ErrorClass::ProviderError,
            "internal server|server error|service unavailable|unavailable|bad gateway|\
         overloaded|api error|api status|bad request|invalid request|invalid argument|\
         unprocessable|provider error|http status",
        ),
    ])
});

/// What error texts say.
static MESSAGES: LazyLock<Table> = LazyLock::new(|| {
    Table::of(&[
        // A file that may not be read is no matter of credentials, though it says "permission denied" as well.
        (ErrorClass::Unknown, "os error 13|os error 1|errno 13"),
        (
            ErrorClass::RateLimit,
            "rate limit|rate limits|rate limited|rate limiting|ratelimit|ratelimited|\
         too many requests|quota exceeded|exceeded your current quota|\
         exceeded your quota|insufficient quota|resource exhausted|\
         resource has been exhausted|throttled|throttling|tokens per min|\
         tokens per minute|requests per min|requests per minute|usage limit|\
         please wait before trying again",
        ),
        (
            ErrorClass::ContextOverflow,
            "context length|context window|context size|context limit|maximum context|\
         max context|context overflow|prompt is too long|prompt too long|\
         input is too long|input too long|maximum prompt length|too many tokens|\
         token count exceeds|number of tokens exceeds|maximum number of tokens|\
         exceeds the maximum number of tokens|reduce the length of|request too large|\
         payload too large|content too large|entity too large",
        ),
        (
            ErrorClass::Auth,
            "unauthorized|unauthorised|unauthenticated|authentication|not authorized|\
         not authenticated|authorization failed|forbidden|permission denied|\
         access denied|invalid api key|incorrect api key|api key not valid|\
         api key is invalid|api key is missing|missing api key|no api key|\
         invalid x api key|api key expired|api key has expired|api key not found|\
         invalid token|expired token|token expired|token has expired|token is expired|\
         invalid credentials|invalid credential|no credentials|missing credentials",
        ),
        (
            ErrorClass::ProviderTimeout,
            "timed out|timeout|time out|timedout|etimedout|deadline exceeded|\
         deadline has elapsed|took too long|did not respond in time",
        ),
        (
            ErrorClass::Network,
            "connection refused|connection reset|connection closed|connection aborted|\
         connection error|connection failed|connection lost|connection terminated|\
         connection was|closed connection|connect error|trying to connect|\
         failed to connect|could not connect|cannot connect|couldn t connect|\
         can t connect|unable to connect|econnrefused|econnreset|econnaborted|enotfound|\
         eai again|ehostunreach|enetunreach|epipe|broken pipe|dns error|dns|\
         name or service not known|name resolution|failed to lookup address|no such host|\
         getaddrinfo|nodename nor servname|network error|network is unreachable|\
         network unreachable|host unreachable|host is unreachable|no route to host|\
         error sending request|socket hang up|fetch failed|ssl error|tls handshake|\
         handshake failure|certificate verify failed|invalid peer certificate|\
         server disconnected|incomplete message|unexpected eof",
        ),
        (
            ErrorClass::Cancelled,
            "cancelled|canceled|was aborted|request aborted|aborted by|user aborted|\
         interrupted by user|keyboard interrupt",
        ),
        (
            ErrorClass::ProviderError,
            "internal server error|server error|server had an error|service unavailable|\
         bad gateway|overloaded|at capacity|temporarily unavailable|\
         currently unavailable|upstream error|bad request|invalid request|\
         unprocessable entity|invalid argument|model not found",
        ),
    ])
});

/// Phrases by their first word, so that a long text costs one look for each of its words.
struct Table(HashMap<&'static str, Vec<(usize, ErrorClass, &'static str)>>);

impl Table {
    fn of(rows: &'static Rows) -> Self {
        let mut table: HashMap<_, Vec<_>> = HashMap::new();
        for (rank, (class, phrases)) in rows.iter().enumerate() {
            for phrase in phrases.split('|') {
                let first = phrase.split(' ').next().unwrap_or_default();
                table.entry(first).or_default().push((rank, *class, phrase));
            }
        }
        Self(table)
    }

    /// The class of the first row that has a phrase in the text.
    fn find(&self, text: &str) -> Option<ErrorClass> {
        let words = words(text);
        let mut first = String::new();
        let mut best: Option<(usize, ErrorClass)> = None;
        for (index, word) in words.iter().enumerate() {
            first.clear();
            first.extend(
                word.of(text)
                    .chars()
                    .map(|letter| letter.to_ascii_lowercase()),
            );
            for (rank, class, phrase) in self.0.get(first.as_str()).into_iter().flatten() {
                let is_better = best.is_none_or(|(known, _)| *rank < known);
                if is_better && says(text, &words[index..], phrase) {
                    best = Some((*rank, *class));
                }
            }
        }
        best.map(|(_, class)| class)
    }
}

/// Whether the words begin with one of the phrases.
fn says(text: &str, words: &[Word], phrases: &str) -> bool {
    phrases.split('|').any(|phrase| {
        let mut words = words.iter();
        phrase.split(' ').all(|wanted| {
            words
                .next()
                .is_some_and(|word| word.of(text).eq_ignore_ascii_case(wanted))
        })
    })
}

/// A run of letters and digits, by its place; a new capital begins a new word.
#[derive(Clone, Copy)]
struct Word {
    start: usize,
    end: usize,
}

impl Word {
    fn of(self, text: &str) -> &str {
        text.get(self.start..self.end).unwrap_or_default()
    }

    /// A number of its own: not a part of `1,429`, `429.5`, `v429` or `#429`.
    fn number(self, text: &str) -> Option<u16> {
        let number = self.of(text).parse().ok()?;
        let bytes = text.as_bytes();
        let before = self.start.checked_sub(1).map(|index| bytes[index]);
        let after = |offset: usize| bytes.get(self.end + offset).copied();
        let attached = before.is_some_and(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b',' | b'#' | b'$' | b'-' | b'/')
        });
        let goes_on = after(0).is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'%')
            || (matches!(after(0), Some(b'.' | b','))
                && after(1).is_some_and(|byte| byte.is_ascii_digit()));
        (!attached && !goes_on).then_some(number)
    }
}

/// The words of a text, of its beginning where it is very long: an error says what it is in its first lines.
fn words(text: &str) -> Vec<Word> {
    const MOST_WORDS: usize = 1_024;
    let bytes = text.as_bytes();
    let (mut list, mut start) = (Vec::new(), None);
    for (index, byte) in bytes.iter().enumerate() {
        if !byte.is_ascii_alphanumeric() {
            list.extend(start.take().map(|start| Word { start, end: index }));
        } else if start.is_none() {
            start = Some(index);
        } else if begins_word(bytes, index) {
            list.extend(start.replace(index).map(|start| Word { start, end: index }));
        }
        if list.len() >= MOST_WORDS {
            return list;
        }
    }
    list.extend(start.map(|start| Word {
        start,
        end: bytes.len(),
    }));
    list
}

/// `rateLimit` and `APIError` have two words each.
fn begins_word(bytes: &[u8], index: usize) -> bool {
    let after_lower = bytes[index - 1].is_ascii_lowercase();
    let before_lower = bytes.get(index + 1).is_some_and(u8::is_ascii_lowercase);
    bytes[index].is_ascii_uppercase()
        && (after_lower || (bytes[index - 1].is_ascii_uppercase() && before_lower))
}

/// Words before a number that make it a status.
const NAMED: &str = "http|https|http 1 0|http 1 1|http 2|http 3|status|status code|http code|error code|\
     response code|err code";
/// Words before a number that make it a status unless something is counted with it.
const ANSWERED: &str = "error|got|got a|got an|returned|returned a|returned an|returns|received|received a|\
     received an|response|failed with|replied with|responded with";
/// Words after a number that say it is not a count of them.
const GOING_ON: &str = "from|for|on|by|at|in|after|when|while|status|error|errors|response|and";
/// Words before a number that make it something else than a status.
const OTHERWISE: &str = "exit|exit status|exit code|exited with|exited with status|exited with code|return code|\
     line|port|id|pid|process|page|row|item|issue|of";
/// The words that go with a status in HTTP.
const REASONS: [(u16, &str); 15] = [
    (400, "bad request"),
    (401, "unauthorized|unauthorised"),
    (402, "payment required"),
    (403, "forbidden"),
    (404, "not found"),
    (408, "request timeout"),
    (409, "conflict"),
    (
        413,
        "payload too large|request entity too large|content too large",
    ),
    (422, "unprocessable"),
    (429, "too many requests"),
    (500, "internal server error"),
    (502, "bad gateway"),
    (503, "service unavailable|service temporarily unavailable"),
    (504, "gateway timeout|gateway time out"),
    (529, "overloaded|site is overloaded"),
];

/// Whether the number at `index` is given as a status, by what stands around it.
fn says_status(text: &str, words: &[Word], index: usize, status: u16) -> bool {
    let after = &words[index + 1..];
    let (head, tail) = (&text[..words[index].start], &text[words[index].end..]);
    let preceded = |phrases: &str| {
        phrases.split('|').any(|phrase| {
            let length = phrase.split(' ').count();
            index >= length && says(text, &words[index - length..index], phrase)
        })
    };
    if REASONS
        .iter()
        .any(|(code, reason)| *code == status && says(text, after, reason))
    {
        return true;
    }
    if preceded(OTHERWISE) {
        return false;
    }
    let json = head.trim_end();
    if preceded(NAMED) || json.ends_with("\"code\":") || json.ends_with("'code':") {
        return true;
    }
    // "500 items" counts; "500" at the end, before a sign or before a preposition does not.
    let stands = !tail.starts_with(' ')
        || tail.starts_with(" -")
        || after.is_empty()
        || says(text, after, GOING_ON);
    // SDKs' texts begin with the status: "429 You exceeded ...", "503: upstream ...".
    let begins = !head.chars().any(char::is_alphanumeric);
    let sentence = tail
        .trim_start()
        .starts_with(|first: char| first.is_ascii_uppercase() || first == '{');
    // Nothing is counted to 429 as often as a client is told to slow down.
    stands && (preceded(ANSWERED) || begins || status == 429) || begins && sentence
}

#[cfg(test)]
mod tests {
    use super::*;
    use ErrorClass::{
        Auth, Cancelled, ContextOverflow, Network, ProviderError, ProviderTimeout, RateLimit,
        Unknown,
    };

    #[test]
    fn of_a_rust_path_the_last_name_counts() {
        for (name, class) in [
            ("my_agent::auth::Failure", Unknown),
            ("my_agent::ApiError", Unknown),
            ("tokio::time::error::Elapsed", ProviderTimeout),
            ("client::network::RateLimitError", RateLimit),
        ] {
            assert_eq!(classify(None, Some(name), ""), class, "{name}");
        }
    }

    #[test]
    fn the_status_comes_first() {
        let cases = [
            (401, Auth),
            (403, Auth),
            (407, Auth),
            (408, ProviderTimeout),
            (504, ProviderTimeout),
            (524, ProviderTimeout),
            (413, ContextOverflow),
            (429, RateLimit),
            (499, Cancelled),
            (400, ProviderError),
            (404, ProviderError),
            (422, ProviderError),
            (500, ProviderError),
            (502, ProviderError),
            (503, ProviderError),
            (529, ProviderError),
        ];
        for (status, expected) in cases {
            assert_eq!(classify(Some(status), None, ""), expected, "{status}");
        }
        assert_eq!(
            classify(Some(503), Some("RateLimitError"), "timed out"),
            ProviderError
        );
        for no_error in [0, 200, 302, 700] {
            assert_eq!(
                classify(Some(no_error), None, "connection reset by peer"),
                Network,
                "{no_error}"
            );
        }
    }

    #[test]
    fn a_refused_request_tells_why() {
        let cases = [
            (
                Some(400),
                None,
                "This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.",
                ContextOverflow,
            ),
            (
                Some(400),
                Some("invalid_request_error"),
                "prompt is too long: 210000 tokens > 200000 maximum",
                ContextOverflow,
            ),
            (
                Some(400),
                Some("context_length_exceeded"),
                "",
                ContextOverflow,
            ),
            (
                Some(400),
                Some("INVALID_ARGUMENT"),
                "API key not valid. Please pass a valid API key.",
                Auth,
            ),
            (
                Some(400),
                Some("ThrottlingException"),
                "Too many tokens, please wait before trying again.",
                RateLimit,
            ),
            (
                Some(400),
                None,
                "Unknown parameter: 'timeout'.",
                ProviderError,
            ),
            (
                None,
                Some("BadRequestError"),
                "Error code: 400 - {'error': {'message': 'input is too long', 'code': 'context_length_exceeded'}}",
                ContextOverflow,
            ),
            (
                None,
                Some("BadRequestError"),
                "Error code: 400 - {'error': {'message': 'no such field'}}",
                ProviderError,
            ),
            (
                None,
                Some("APIStatusError"),
                "Error code: 504 - upstream",
                ProviderTimeout,
            ),
            (None, Some("InternalServerError"), "", ProviderError),
        ];
        for (status, name, message, expected) in cases {
            assert_eq!(
                classify(status, name, message),
                expected,
                "{name:?} {message}"
            );
        }
    }

    #[test]
    fn type_names() {
        let cases = [
            ("TimeoutError", ProviderTimeout),
            ("APITimeoutError", ProviderTimeout),
            ("ConnectTimeout", ProviderTimeout),
            ("tokio::time::error::Elapsed", ProviderTimeout),
            ("DEADLINE_EXCEEDED", ProviderTimeout),
            ("TimedOut", ProviderTimeout),
            ("RateLimitError", RateLimit),
            ("rate_limit_error", RateLimit),
            ("TooManyRequests", RateLimit),
            ("insufficient_quota", RateLimit),
            ("RESOURCE_EXHAUSTED", RateLimit),
            ("ThrottlingException", RateLimit),
            ("AuthenticationError", Auth),
            ("PermissionDeniedError", Auth),
            ("permission_error", Auth),
            ("Unauthorized", Auth),
            ("invalid_api_key", Auth),
            ("APIConnectionError", Network),
            ("ConnectionRefused", Network),
            ("ConnectionAborted", Network),
            ("BrokenPipe", Network),
            ("DnsError", Network),
            ("ContextWindowExceededError", ContextOverflow),
            ("request_too_large", ContextOverflow),
            ("InternalServerError", ProviderError),
            ("ServiceUnavailable", ProviderError),
            ("BadGateway", ProviderError),
            ("overloaded_error", ProviderError),
            ("api_error", ProviderError),
            ("UNAVAILABLE", ProviderError),
            ("CancelledError", Cancelled),
            ("AbortError", Cancelled),
            ("KeyboardInterrupt", Cancelled),
            ("429", RateLimit),
            ("503", ProviderError),
            ("context_overflow", ContextOverflow),
            ("provider_timeout", ProviderTimeout),
            ("AuthorNotFound", Unknown),
            ("unknown", Unknown),
            ("_OTHER", Unknown),
            ("", Unknown),
            ("alloc::string::String", Unknown),
            ("reqwest::Error", Unknown),
            ("std::io::Error", Unknown),
            ("Authoring", Unknown),
            ("my::GenerateLimitError", Unknown),
        ];
        for (name, expected) in cases {
            assert_eq!(classify(None, Some(name), ""), expected, "{name}");
        }
    }

    #[test]
    fn messages() {
        let cases = [
            ("Error code: 429 - rate limited, retry later", RateLimit),
            ("429 Too Many Requests", RateLimit),
            ("HTTP 429", RateLimit),
            ("429", RateLimit),
            ("upstream replied (429)", RateLimit),
            (
                "429 You exceeded your current quota, please check your plan",
                RateLimit,
            ),
            (
                "Rate limit reached for gpt-4 in organization org-x on tokens per min (TPM)",
                RateLimit,
            ),
            ("Request timed out.", ProviderTimeout),
            ("the operation timed out after 30s", ProviderTimeout),
            ("deadline has elapsed", ProviderTimeout),
            (
                "error sending request for url (http://x/): connection refused",
                Network,
            ),
            (
                "tcp connect error: Connection refused (os error 111)",
                Network,
            ),
            ("dns error: failed to lookup address information", Network),
            ("status: 503", ProviderError),
            ("server returned 502", ProviderError),
            ("HTTP/1.1 504 Gateway Timeout", ProviderTimeout),
            ("Overloaded", ProviderError),
            ("Incorrect API key provided: sk-...", Auth),
            (
                "HTTP status client error (401 Unauthorized) for url (https://api.x.com/v1)",
                Auth,
            ),
            (
                "This model's maximum context length is 128000 tokens",
                ContextOverflow,
            ),
            ("context canceled", Cancelled),
            ("RateLimitError: slow", RateLimit),
            (
                "{\"error\":{\"code\":429,\"status\":\"RESOURCE_EXHAUSTED\"}}",
                RateLimit,
            ),
            // Words that only look alike.
            ("could not find repository author/project", Unknown),
            ("authored by the authority", Unknown),
            ("row 65003 is broken", Unknown),
            ("read 65003 bytes of 1,429", Unknown),
            ("could not generate a limit for the plot", Unknown),
            ("failed to generate within the limit", Unknown),
            ("the moderate limit was kept, separate limits too", Unknown),
            ("expected 500 items", Unknown),
            ("500 items could not be read", Unknown),
            ("line 429 is too short", Unknown),
            ("see issue #429", Unknown),
            ("process exited with exit code 429", Unknown),
            ("exit status: 503", Unknown),
            ("took 429ms", Unknown),
            ("ratio 0.429", Unknown),
            ("port 5003", Unknown),
            ("Permission denied (os error 13)", Unknown),
            ("the forbiddenness of timeouts2", Unknown),
            ("no such file or directory", Unknown),
            ("", Unknown),
        ];
        for (message, expected) in cases {
            assert_eq!(classify(None, None, message), expected, "{message}");
        }
    }

    #[test]
    fn statuses_in_texts() {
        let cases = [
            ("HTTP 429", Some(429)),
            ("status: 503", Some(503)),
            ("status=500", Some(500)),
            ("status_code=502,", Some(502)),
            ("statusCode: 529", Some(529)),
            ("Error code: 400 - {}", Some(400)),
            ("HTTP/2 503", Some(503)),
            ("HTTP/1.1 413 x", Some(413)),
            ("503 Service Unavailable", Some(503)),
            ("got a 502 from upstream", Some(502)),
            ("[503] no", Some(503)),
            ("500: oops", Some(500)),
            ("status: 200", None),
            ("65003", None),
            ("503ms", None),
            ("took 1,503 tokens", None),
            ("version 5.0.429", None),
            ("in 500 ways", None),
            ("exit status 503", None),
            ("é 503 è", None),
            ("", None),
            ("429,000 tokens", None),
        ];
        for (message, expected) in cases {
            assert_eq!(status_in(message), expected, "{message}");
        }
    }

    #[test]
    fn odd_texts_do_no_harm() {
        for text in [
            "é",
            "\u{1F600}429",
            "A",
            "Aa",
            "aA",
            "AAa",
            "99999999999999999999",
            "HTTP",
            "\0",
        ] {
            classify(None, Some(text), text);
            status_in(text);
        }
        let long = "word ".repeat(100_000);
        assert_eq!(classify(None, None, &long), Unknown);
    }
}
