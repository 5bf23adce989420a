//! Traces across processes: the context of a span in and out of headers, environments and messages.
//!
//! What is sent are the W3C [trace context](https://www.w3.org/TR/trace-context/) and
//! [baggage](https://www.w3.org/TR/baggage/), which every tracing system reads. What comes in and is
//! wrong is as good as not there: nothing here fails.
//!
//! All of it works with and without OTLP. Where spans are exported, the exported span has the remote
//! parent as well, and the sampler hears whether the other side samples.
//!
//! ```
//! use hermes::propagation;
//! use http::HeaderMap;
//!
//! #[hermes::chat(model = "gpt-4o")]
//! fn ask() -> HeaderMap {
//!     let mut headers = HeaderMap::new();
//!     propagation::inject(&mut headers); // `traceparent` and what goes with it
//!     headers
//! }
//!
//! fn serve(headers: &HeaderMap) {
//!     let _remote = propagation::attach(headers);
//!     work(); // its span is a child of the caller's
//! }
//!
//! #[hermes::tool]
//! fn work() {}
//! # serve(&ask());
//! ```

mod baggage;
mod carrier;
mod environment;
mod guard;
mod message;
mod traceparent;

use tracing::{Span, dispatcher};

pub use carrier::{Extract, Inject};
pub use environment::{extract_env, inject_env};
pub use guard::{Attached, InRemote, attach, in_remote};
pub use message::{extract_meta, inject_meta};

use crate::capture::{Attachment, Capture};
use crate::record::BaggageEntry;
pub use crate::record::{Baggage, TraceContext};

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
const BAGGAGE: &str = "baggage";

/// Writes the context of the code that runs into a carrier: HTTP headers, the `_meta` of MCP, a map.
///
/// The parent of what happens on the other side is the innermost span that is kept or exported; where
/// there is none, a context that is attached is handed on. Without either the carrier stays as it is.
///
/// ```
/// #[hermes::tool]
/// fn fetch() {
///     let mut headers = http::HeaderMap::new();
///     hermes::propagation::inject(&mut headers);
///     // send the request
/// }
/// # fetch();
/// ```
pub fn inject(carrier: &mut (impl Inject + ?Sized)) {
    if let Some(context) = current() {
        inject_context(&context, carrier);
    }
}

/// Writes a context into a carrier. Baggage that stands there stays where the context has none.
pub fn inject_context(context: &TraceContext, carrier: &mut (impl Inject + ?Sized)) {
    if let Some(traceparent) = context.traceparent() {
        carrier.set(TRACEPARENT, Some(traceparent));
        let state = Some(context.trace_state().to_owned());
        carrier.set(TRACESTATE, state.filter(|state| !state.is_empty()));
    }
    // Baggage is a standard of its own, and needs no trace to travel with.
    if let Some(baggage) = baggage::write(context.baggage()) {
        carrier.set(BAGGAGE, Some(baggage));
    }
}

/// Reads a context out of a carrier: HTTP headers, the `_meta` of MCP, a map. Empty where there is
/// none, or none that W3C would take.
#[must_use]
pub fn extract(carrier: &(impl Extract + ?Sized)) -> TraceContext {
    if let Some(whole) = carrier.whole() {
        return whole.clone();
    }
    let baggage = carrier.values_of(BAGGAGE);
    let baggage = baggage::read(baggage.iter().map(AsRef::as_ref));
    let context = match carrier.values_of(TRACEPARENT).as_slice() {
        [one] => traceparent::read(one),
        // Nobody knows which of several is meant.
        _ => None,
    };
    let Some(context) = context else {
        return TraceContext::default().with_baggage(baggage);
    };
    let states = carrier.values_of(TRACESTATE);
    let state = traceparent::read_state(states.iter().map(AsRef::as_ref));
    context.with_trace_state(state).with_baggage(baggage)
}

/// The context of the code that runs, as another process would be told of it; `None` where there is
/// neither a span nor an attached context.
#[must_use]
pub fn current() -> Option<TraceContext> {
    let of_span = dispatcher::get_default(|dispatch| {
        let current = dispatch.current_span();
        if let Some(nearer) = Attachment::current().and_then(|last| last.below(current.id())) {
            return Some(nearer.as_ref().clone());
        }
        let capture = dispatch.downcast_ref::<Capture>()?;
        capture.context(dispatch, current.id()?)
    });
    of_span.or_else(|| {
        let attached = Attachment::current()?;
        let context = attached.context().as_ref().clone();
        Some(context).filter(|context| !context.is_empty() || !context.baggage().is_empty())
    })
}

impl TraceContext {
    /// The context of a span, or of the nearest around it that is kept or exported; `None` without a
    /// Hermes layer.
    #[must_use]
    pub fn of(span: &Span) -> Option<TraceContext> {
        span.with_subscriber(|(id, dispatch)| {
            let capture = dispatch.downcast_ref::<Capture>()?;
            capture.context(dispatch, id)
        })
        .flatten()
    }
}

impl TraceContext {
    /// Says that a span follows from the one of this context: a link, in the store and on OTLP.
    pub fn link_to(&self, span: &Span) {
        let Some(linked) = self.span() else { return };
        span.with_subscriber(|(id, dispatch)| {
            let capture = dispatch.downcast_ref::<Capture>();
            if let Some(open) = capture.and_then(|capture| capture.find(id)) {
                open.link(linked);
            }
        });
    }
}

impl Baggage {
    /// The same baggage with one entry more; a key that is no token of HTTP is left out.
    ///
    /// ```
    /// use hermes::propagation::Baggage;
    ///
    /// let baggage = Baggage::default().with("tenant", "blue & green");
    /// assert_eq!(baggage.get("tenant"), Some("blue & green"));
    /// ```
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let (key, value) = (key.into(), value.into());
        if baggage::is_token(&key) {
            self.put(BaggageEntry {
                key,
                value,
                properties: String::new(),
            });
        }
        self
    }
}
