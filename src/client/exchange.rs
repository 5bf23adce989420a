//! One request and its answer: the span that describes them, and how they turned out.

use std::sync::Arc;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use serde_json::Value;
use tracing::{Span, dispatcher, info_span};

use super::endpoint::{Endpoints, Recognized};
use super::retry::Request;
use super::scope::Scope;
use crate::capture::{Capture, Core, OpenSpan};
use crate::record::{ErrorClass, classify};
use crate::semconv::{Fact, Kind, field};
use crate::span::{
    Call, ModelResponse, Returns, StreamedResponse, server_address, server_port, state_response,
};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What is known of a request before it is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) method: &'a Method,
    /// Absolute, or the path alone.
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
}

/// A call to a model that is under way.
#[derive(Debug)]
pub(super) struct Exchange {
    call: Call,
    /// Whether the span is that of others, who say how it ended.
    is_filling: bool,
    /// Whether it goes on inside an exchange that the same span describes.
    is_inside: bool,
    /// What keeps the span open that is filled.
    around: Span,
    answer: StreamedResponse,
    is_streaming: bool,
    /// Whether the body is of a kind that can be read.
    is_readable: bool,
    status: Option<u16>,
    retry: Option<(Request, i64)>,
    sends_traceparent: bool,
    is_over: bool,
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
        let json = body.and_then(|body| serde_json::from_slice::<Value>(body).ok());
        // A body that was read and is no JSON is none that a model would take.
        if body.is_some() && json.is_none() {
            return None;
        }
        let found = endpoints.recognize(&place.host, head.uri.path(), json.as_ref())?;
        let around = nearest();
        let filled = around
            .as_ref()
            .and_then(|(core, open)| fill(core, open, found.kind));
        let mut exchange = match filled {
            Some((call, attempts, is_inside)) => {
                let mut exchange = Exchange::new(call);
                exchange.is_filling = true;
                exchange.is_inside = is_inside;
                exchange.around = Span::current();
                exchange.count(attempts);
                exchange
            }
            None => {
                let span = open_span(&found, &place);
                if span.is_disabled() {
                    return None;
                }
                let returns = Returns {
                    result: false,
                    response: false,
                };
                let mut exchange = Exchange::new(Call::new(span, returns));
                if let Some(open) = exchange.call.open() {
                    open.begin_exchange(false);
                }
                let place = around.map(|(_, open)| open.ids());
                let request = body.map(|body| Request::new(place, head.uri, body));
                exchange.retry = request.map(|request| (request, request.attempts()));
                exchange.count(exchange.retry.map_or(0, |(_, attempts)| attempts));
                exchange
            }
        };
        exchange.sends_traceparent =
            endpoints.sends_traceparent() && !head.headers.contains_key(TRACEPARENT);
        exchange.is_streaming = found.is_streaming;
        exchange.call.request(|| json);
        exchange.state(found, &place);
        Some(exchange)
    }

    fn new(call: Call) -> Self {
        let answer = if call.keeps_content() {
            StreamedResponse::new()
        } else {
            StreamedResponse::without_content()
        };
        Exchange {
            call,
            is_filling: false,
            is_inside: false,
            around: Span::none(),
            answer,
            is_streaming: false,
            is_readable: false,
            status: None,
            retry: None,
            sends_traceparent: false,
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
        let span = if self.is_filling {
            Span::none()
        } else {
            self.call.span().clone()
        };
        let key = self.call.open().map(|open| Arc::as_ptr(open).addr());
        Scope { span, key }
    }

    /// Tells the other side in which span it is called.
    pub(super) fn inject(&self, headers: &mut HeaderMap) {
        if !self.sends_traceparent {
            return;
        }
        // The ids are those of the exported span from the first time that it is entered.
        self.call.span().in_scope(|| {});
        let Some(open) = self.call.open() else { return };
        let (trace_id, span_id) = open.ids();
        let traceparent = format!("00-{trace_id}-{span_id}-01");
        if let Ok(value) = HeaderValue::try_from(traceparent) {
            headers.insert(TRACEPARENT, value);
        }
    }

    /// The head of the answer is here.
    pub(super) fn answered(&mut self, status: u16, headers: &HeaderMap) {
        self.status = Some(status);
        let text = |name| {
            headers
                .get(name)
                .and_then(|value: &HeaderValue| value.to_str().ok())
        };
        let kind = text(CONTENT_TYPE).unwrap_or("").to_ascii_lowercase();
        let is_stream = ["event-stream", "ndjson", "jsonl", "amazon.eventstream"]
            .iter()
            .any(|known| kind.contains(known));
        let is_plain = text(CONTENT_ENCODING).is_none_or(|coding| coding == "identity");
        let is_text = kind.is_empty() || kind.starts_with("text/") || kind.contains("json");
        self.is_readable = is_plain && (is_stream || is_text);
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
        if !self.is_filling {
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
        if self.is_filling {
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
            open.end_exchange(self.is_inside, failure);
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

/// Where a request goes.
struct Place {
    host: String,
    port: Option<i64>,
    /// Scheme and authority.
    base: Option<String>,
}

impl Place {
    fn of(head: Head<'_>) -> Self {
        let uri = head.uri;
        // A client on a bare connection sends the path alone, and the host in a header.
        let authority = match uri.authority() {
            Some(authority) => authority.as_str(),
            None => head
                .headers
                .get(HOST)
                .map_or("", |host| host.to_str().unwrap_or("")),
        };
        let url = match uri.scheme_str() {
            Some(scheme) => format!("{scheme}://{authority}"),
            None => authority.to_owned(),
        };
        Place {
            host: server_address(&url).unwrap_or("").to_ascii_lowercase(),
            port: server_port(&url),
            base: uri.scheme_str().map(|_| crate::span::without_secrets(&url)),
        }
    }
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

macro_rules! span_of {
    ($kind:expr, $name:literal, $found:expr, $place:expr $(, $late:ident)*) => {
        info_span!(
            target: "hermes::client",
            $name,
            { field::SPAN_KIND } = $kind.span_kind(),
            { field::OTEL_KIND } = "client",
            { field::OPERATION } = $kind.operation(),
            { field::PROVIDER } = Some(&*$found.provider).filter(|name| !name.is_empty()),
            { field::REQUEST_MODEL } = $found.model.as_deref(),
            { field::SERVER_ADDRESS } = Some(&*$place.host).filter(|host| !host.is_empty()),
            { field::SERVER_PORT } = $place.port,
            { field::RESPONSE_MODEL } = tracing::field::Empty,
            { field::RESPONSE_ID } = tracing::field::Empty,
            { field::INPUT_TOKENS } = tracing::field::Empty,
            $({ field::$late } = tracing::field::Empty,)*
            { field::OTEL_STATUS_CODE } = tracing::field::Empty,
            { field::ERROR_TYPE } = tracing::field::Empty,
        )
    };
}

fn open_span(found: &Recognized, place: &Place) -> Span {
    match found.kind {
        Kind::Embedding => span_of!(Kind::Embedding, "hermes.embedding", found, place),
        Kind::Reranker => span_of!(Kind::Reranker, "hermes.reranker", found, place),
        _ => span_of!(
            Kind::Chat,
            "hermes.chat",
            found,
            place,
            FINISH_REASONS,
            OUTPUT_TOKENS,
            CACHE_READ_TOKENS,
            CACHE_WRITE_TOKENS,
            REASONING_TOKENS,
            TIME_TO_FIRST_CHUNK,
            COST_USD
        ),
    }
}
