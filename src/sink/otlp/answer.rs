//! What an answer over HTTP means for the spans, as the OTLP specification has it.

use std::time::{Duration, SystemTime};

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};

use super::line::Verdict;
use super::partial_success;

/// What came of a request.
#[derive(Debug)]
pub(super) enum Answer {
    /// The collector has the spans.
    Taken,
    /// It has them but for so many, which it will never take.
    Rejected { spans: usize, why: String },
    /// It has none of them.
    Failed { why: String, verdict: Verdict },
}

impl Answer {
    /// Reads an answer. `asked` is how long the collector wants to be left alone.
    pub(super) fn of(
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        asked: Option<Duration>,
    ) -> Self {
        let told = |verdict| Answer::Failed {
            why: format!("the collector answered {status}"),
            verdict,
        };
        match status {
            StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT => told(Verdict::Away(asked)),
            StatusCode::PAYLOAD_TOO_LARGE => told(Verdict::TooLarge),
            // The specification lets nothing else be tried again.
            _ if !status.is_success() => told(Verdict::Final),
            // Nobody who understood the spans answers so, and to send them there again would be no
            // use: it is not to count as delivered.
            _ if is_page(headers) => Answer::Failed {
                why: format!("a web page answered {status}; it is no collector"),
                verdict: Verdict::Final,
            },
            _ => match partial_success::rejected(body) {
                Some((spans, why)) => Answer::Rejected {
                    spans,
                    why: format!("the collector rejected {spans} of them: {why:?}"),
                },
                None => Answer::Taken,
            },
        }
    }

    /// The pause after which the same request may succeed, `usual` or longer; `None`: it never will.
    pub(super) fn passes_after(&self, usual: Duration) -> Option<Duration> {
        match self {
            Answer::Failed {
                verdict: Verdict::Away(asked),
                ..
            } => Some(asked.map_or(usual, |asked| asked.max(usual))),
            Answer::Failed {
                verdict: Verdict::Unclear,
                ..
            } => Some(usual),
            _ => None,
        }
    }
}

/// How long the collector wants to be left alone: seconds, or a date.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let said = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = said.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(said).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

fn is_page(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| {
        kind.trim_start()
            .to_ascii_lowercase()
            .starts_with("text/html")
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use http::header::{CONTENT_TYPE, RETRY_AFTER};
    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::{Answer, retry_after};
    use crate::sink::otlp::line::Verdict;

    fn verdict(status: u16) -> Option<Verdict> {
        let status = StatusCode::from_u16(status).unwrap();
        match Answer::of(status, &HeaderMap::new(), b"", None) {
            Answer::Failed { why, verdict } => {
                assert!(why.contains(status.as_str()), "{why}");
                Some(verdict)
            }
            Answer::Taken => None,
            other @ Answer::Rejected { .. } => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_the_specification_lets_be_tried_again_is_tried_again() {
        for status in [429, 502, 503, 504] {
            assert_eq!(verdict(status), Some(Verdict::Away(None)), "{status}");
        }
        for status in [301, 400, 401, 403, 404, 408, 500, 501] {
            assert_eq!(verdict(status), Some(Verdict::Final), "{status}");
        }
        assert_eq!(verdict(413), Some(Verdict::TooLarge));
        assert_eq!(verdict(200), None);
        assert_eq!(verdict(202), None);
    }

    #[test]
    fn a_web_page_is_no_collector() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; x=y"));
        let answer = Answer::of(StatusCode::OK, &headers, b"<html>", None);
        assert!(
            matches!(answer, Answer::Failed { why, verdict: Verdict::Final } if why.contains("web page"))
        );
    }

    #[test]
    fn a_pause_is_asked_for_in_seconds_or_by_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        let asked = |said| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(said));
            retry_after(&headers, now).map(|pause| pause.as_secs())
        };
        assert_eq!(asked(" 120 "), Some(120));
        assert_eq!(asked("Sun, 06 Nov 1994 08:50:07 GMT"), Some(30));
        assert_eq!(asked("Sun, 06 Nov 1994 08:49:07 GMT"), Some(0));
        assert_eq!(asked("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }
}
