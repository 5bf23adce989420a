//! One request and its answer: the span that describes them, and how they turned out.

use std::sync::Arc;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, Method};
use serde_json::Value;
use tracing::{Span, dispatcher};

use super::endpoint::{Endpoints, Recognized};
use super::opening::{Head, Place, open_span};
use super::retry::Request;
use super::scope::Scope;
use crate::capture::{Capture, Core, OpenSpan};
use crate::propagation::{Baggage, TraceContext, inject_context};
use crate::record::{ErrorClass, classify};
use crate::semconv::{Fact, Kind};
use crate::span::{Call, ModelResponse, Returns, StreamedResponse, state_response};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A call to a model that is under way.
#[derive(Debug)]
pub(super) struct Exchange {
    call: Call,
    role: Role,
    answer: StreamedResponse,
    is_streaming: bool,
    /// Whether the body is of a kind that can be read.
    is_readable: bool,
    status: Option<u16>,
    retry: Option<(Request, i64)>,
    is_over: bool,
}

/// What the exchange is to its span.
#[derive(Debug)]
enum Role {
    /// The span is there for it alone.
    Owner,
    /// The span is that of others, who say how it ended.
    Guest {
        /// Whether it goes on inside an exchange that the same span describes.
        is_inside: bool,
        /// Keeps the span open.
        _around: Span,
    },
}

impl Exchange {
    /// Begins the exchange of a request, if it is a call to a model; `body` is `None` where it could not be read.
    pub(super) fn begin(
        endpoints: &Endpoints,
        head: Head<'_>,
        body: Option<&[u8]>,
    ) -> Option<Self> {
        if head.method != Method::POST {
            return None;
        }
        let place = Place::of(head);
        let readable = body.filter(|_| is_plain(head.headers));
        let json = readable.and_then(|body| serde_json::from_slice::<Value>(body).ok());
        // A body that was read and is no JSON is none that a model would take.
        if readable.is_some() && json.is_none() {
            return None;
        }
        let found = endpoints.recognize(&place.host, head.uri.path(), json.as_ref())?;
        let around = nearest();
        let filled = around
            .as_ref()
            .and_then(|(core, open)| fill(core, open, found.kind));
        let mut exchange = if let Some((call, attempts, is_inside)) = filled {
            let role = Role::Guest {
                is_inside,
                _around: Span::current(),
            };
            let exchange = Exchange::new(call, role);
            exchange.count(attempts);
            exchange
        } else {
            let span = open_span(&found, &place);
            if span.is_disabled() {
                return None;
            }
            let returns = Returns {
                result: false,
                response: false,
            };
            let mut exchange = Exchange::new(Call::new(span, returns), Role::Owner);
            if let Some(open) = exchange.call.open() {
                open.begin_exchange(false);
            }
            let place = around.map(|(_, open)| open.ids());
            let request = body.map(|body| Request::new(place, head.uri, body));
            exchange.retry = request.map(|request| (request, request.attempts()));
            exchange.count(exchange.retry.map_or(0, |(_, attempts)| attempts));
            exchange
        };
        exchange.is_streaming = found.is_streaming;
        exchange.call.request(|| json);
        exchange.state(found, &place);
        Some(exchange)
    }

    fn new(call: Call, role: Role) -> Self {
        let answer = if call.keeps_content() {
            StreamedResponse::new()
        } else {
            StreamedResponse::without_content()
        };
        Exchange {
            call,
            role,
            answer,
            is_streaming: false,
            is_readable: false,
            status: None,
            retry: None,
            is_over: false,
        }
    }

    /// States what the place of the request says, where nobody has stated it.
    fn state(&self, found: Recognized, place: &Place) {
        let Some(open) = self.call.open() else { return };
        open.set_all(|notes| {
            if let Some(model) = found.model {
                notes.set_default(Fact::RequestModel, model);
            }
            if !found.provider.is_empty() {
                notes.set_default(Fact::Provider, found.provider.into_owned());
            }
            if found.is_streaming {
                notes.set_default(Fact::Stream, true);
            }
            if let Some(base) = &place.base {
                notes.set_default(Fact::BaseUrl, format!("{base}{}", found.base_path));
            }
            if !place.host.is_empty() {
                notes.set_default(Fact::ServerAddress, place.host.clone());
            }
            if let Some(port) = place.port {
                notes.set_default(Fact::ServerPort, port);
            }
        });
    }

    fn count(&self, attempts: i64) {
        if attempts > 0
            && let Some(open) = self.call.open()
        {
            open.set(Fact::RetryCount, attempts);
        }
    }

    /// In what the request is sent and its answer awaited.
    pub(super) fn scope(&self) -> Scope {
        // A guest's call has none: it is inside its span already.
        let span = self.call.span().clone();
        let key = self.call.open().map(|open| Arc::as_ptr(open).addr());
        Scope { span, key }
    }

    /// Tells the other side in which span it is called.
    pub(super) fn inject(&self, endpoints: &Endpoints, headers: &mut HeaderMap) {
        if !endpoints.sends_traceparent() || headers.contains_key(TRACEPARENT) {
            return;
        }
        let span = match self.role {
            Role::Owner => self.call.span().clone(),
            Role::Guest { .. } => Span::current(),
        };
        // The ids are those of the exported span from the first time that it is entered.
        span.in_scope(|| {});
        if let Some(context) = TraceContext::of(&span) {
            // Baggage is for one's own services; a provider has no business with it.
            inject_context(&context.with_baggage(Baggage::default()), headers);
        }
    }

    /// The head of the answer is here.
    pub(super) fn answered(&mut self, status: u16, headers: &HeaderMap) {
        self.status = Some(status);
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let kind = text(CONTENT_TYPE).unwrap_or("").to_ascii_lowercase();
        let is_stream = ["event-stream", "ndjson", "jsonl", "amazon.eventstream"]
            .iter()
            .any(|known| kind.contains(known));
        let is_text = kind.is_empty() || kind.starts_with("text/") || kind.contains("json");
        self.is_readable = is_plain(headers) && (is_stream || is_text);
        if status >= 400 {
            self.answer.is_refused();
        }
        self.is_streaming = status < 400 && (is_stream || self.is_streaming);
    }

    /// The next bytes of the answer.
    pub(super) fn read(&mut self, bytes: &[u8]) {
        if !self.is_readable || self.is_over {
            return;
        }
        let before = self.answer.chunk_count();
        self.answer.push_bytes(bytes);
        let is_first = before == 0 && self.answer.chunk_count() > 0;
        if is_first
            && self.is_streaming
            && let Some(open) = self.call.open()
        {
            let elapsed = open.elapsed_s();
            open.set_all(|notes| {
                notes.set(Fact::Stream, true);
                notes.set_default(Fact::TimeToFirstChunk, elapsed);
            });
        }
    }

    /// The answer has ended as it should.
    pub(super) fn ended(&mut self) {
        self.answer.end_of_bytes();
        let reads_stream = self.is_streaming && self.is_readable;
        // Every stream says that it is over, so one that just ends was cut somewhere on its way.
        let is_cut = reads_stream && self.answer.chunk_count() > 0 && !self.answer.is_complete();
        let failure = self.failure().or_else(|| {
            is_cut.then(|| Failure {
                class: ErrorClass::Network,
                message: Some("the stream ended before the answer did".to_owned()),
            })
        });
        self.end(failure);
    }

    /// The transport failed: no answer came, or not all of it.
    pub(super) fn failed(&mut self, class: Option<ErrorClass>, message: String) {
        let class = class.unwrap_or_else(|| match classify(None, None, &message) {
            // Whatever a transport fails of has to do with the network.
            ErrorClass::Unknown => ErrorClass::Network,
            class => class,
        });
        // A refusal is told by its status, however its body was lost.
        let failure = self.failure().unwrap_or(Failure {
            class,
            message: Some(message),
        });
        self.end(Some(failure));
    }

    /// Nobody reads on.
    fn dropped(&mut self) {
        let failure = self.failure();
        if failure.is_some() || self.answer.is_complete() {
            return self.end(failure);
        }
        self.is_over = true;
        state_response(&self.call, &self.answer);
        self.end_exchange(Some(ErrorClass::Cancelled));
        if let Role::Owner = self.role {
            self.call.cancelled();
        }
    }

    /// The failure that the status tells, or the body.
    fn failure(&self) -> Option<Failure> {
        let told = self.answer.error();
        let status = self.status.filter(|status| *status >= 400);
        if told.is_none() && status.is_none() {
            return None;
        }
        let mut error = told.unwrap_or_default();
        error.status = status.or(error.status);
        Some(Failure {
            class: error.class(),
            message: error
                .message
                .or_else(|| status.map(|status| format!("HTTP status {status}"))),
        })
    }

    fn end(&mut self, failure: Option<Failure>) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        state_response(&self.call, &self.answer);
        self.end_exchange(failure.as_ref().map(|failure| failure.class));
        if let Role::Guest { .. } = self.role {
            return;
        }
        match failure {
            Some(Failure { class, message }) => {
                if let Some(open) = self.call.open() {
                    open.set_found_class(class);
                }
                self.call.failed(|| None, || message);
            }
            None => self.call.returned(|| None),
        }
    }

    fn end_exchange(&self, failure: Option<ErrorClass>) {
        if let Some(open) = self.call.open() {
            let is_inside = matches!(
                self.role,
                Role::Guest {
                    is_inside: true,
                    ..
                }
            );
            open.end_exchange(is_inside, failure);
        }
        if let Some((request, attempts)) = self.retry {
            match failure {
                Some(_) => request.failed(attempts + 1),
                None => request.answered(),
            }
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.is_over {
            self.dropped();
        }
    }
}

struct Failure {
    class: ErrorClass,
    message: Option<String>,
}

/// Whether a body is what its bytes say, and not compressed.
fn is_plain(headers: &HeaderMap) -> bool {
    let coding = headers.get(CONTENT_ENCODING);
    coding.is_none_or(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

fn nearest() -> Option<(Arc<Core>, Arc<OpenSpan>)> {
    dispatcher::get_default(|dispatch| {
        let capture = dispatch.downcast_ref::<Capture>()?;
        let current = dispatch.current_span();
        let open = capture.find_nearest(dispatch, current.id()?)?;
        Some((Arc::clone(capture.core()), open))
    })
}

/// The call that a span around describes already, if it is of this kind and has no answer yet. Steps between do not count:
/// they are parts of it.
fn fill(core: &Arc<Core>, open: &Arc<OpenSpan>, kind: Kind) -> Option<(Call, i64, bool)> {
    let around = open
        .chain()
        .find(|open| open.kind().is_some_and(|kind| kind != Kind::Step))?;
    if around.kind() != Some(kind) {
        return None;
    }
    let is_inside = Scope::is_inside(Arc::as_ptr(around).addr());
    let attempts = around.begin_exchange(is_inside)?;
    let call = Call::filling(Arc::clone(core), Arc::clone(around));
    Some((call, attempts, is_inside))
}
