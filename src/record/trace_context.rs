//! Where another process stands in a trace, as plain data: what travels with a request or a command.

use super::{SpanId, TraceId};

/// A place in a trace, as it travels from one process to another: the W3C
/// [trace context](https://www.w3.org/TR/trace-context/) and
/// [baggage](https://www.w3.org/TR/baggage/) of a span.
///
/// It comes from [`propagation::extract`](crate::propagation::extract) or
/// [`propagation::current`](crate::propagation::current). One that names no span is empty: as a parent
/// it changes nothing.
///
/// ```
/// use hermes::propagation::TraceContext;
/// use hermes::{SpanId, TraceId};
///
/// let trace = TraceId::from_hex("4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
/// let span = SpanId::from_hex("00f067aa0ba902b7").unwrap();
/// let context = TraceContext::new(trace, span);
/// assert_eq!(
///     context.traceparent().as_deref(),
///     Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
/// );
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TraceContext {
    span: Option<(TraceId, SpanId)>,
    is_sampled: bool,
    trace_state: String,
    baggage: Baggage,
}

impl TraceContext {
    /// The context of this span of this trace, sampled.
    #[must_use]
    pub fn new(trace_id: TraceId, span_id: SpanId) -> Self {
        TraceContext {
            span: Some((trace_id, span_id)),
            is_sampled: true,
            ..TraceContext::default()
        }
    }

    /// The same context, with this word on whether its trace is exported.
    #[must_use]
    pub fn sampled(mut self, is_sampled: bool) -> Self {
        self.is_sampled = is_sampled;
        self
    }

    /// The same context with other baggage.
    #[must_use]
    pub fn with_baggage(mut self, baggage: Baggage) -> Self {
        self.baggage = baggage;
        self
    }

    /// The list of a `tracestate` that was looked at.
    pub(crate) fn with_trace_state(mut self, trace_state: String) -> Self {
        self.trace_state = trace_state;
        self
    }

    /// The trace; `None` where the context names no span.
    #[must_use]
    pub fn trace_id(&self) -> Option<TraceId> {
        self.span.map(|(trace_id, _)| trace_id)
    }

    /// The span; `None` where the context names none.
    #[must_use]
    pub fn span_id(&self) -> Option<SpanId> {
        self.span.map(|(_, span_id)| span_id)
    }

    pub(crate) fn span(&self) -> Option<(TraceId, SpanId)> {
        self.span
    }

    /// Whether who began the trace wants it exported. With OTLP the sampler asks for it; what is kept
    /// on this machine does not depend on it.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.is_sampled
    }

    /// The `tracestate`, handed on as it came; empty where there is none.
    #[must_use]
    pub fn trace_state(&self) -> &str {
        &self.trace_state
    }

    /// What travels along.
    #[must_use]
    pub fn baggage(&self) -> &Baggage {
        &self.baggage
    }

    pub(crate) fn baggage_mut(&mut self) -> &mut Baggage {
        &mut self.baggage
    }

    /// Whether it names no span.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.span.is_none()
    }

    /// The value of the `traceparent` header; `None` where the context names no span.
    #[must_use]
    pub fn traceparent(&self) -> Option<String> {
        let (trace_id, span_id) = self.span?;
        let flags = u8::from(self.is_sampled);
        Some(format!("00-{trace_id}-{span_id}-{flags:02x}"))
    }
}

/// Named values that travel with a trace from process to process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baggage(Vec<BaggageEntry>);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BaggageEntry {
    pub(crate) key: String,
    /// Decoded.
    pub(crate) value: String,
    /// What stands behind the value, handed on as it came.
    pub(crate) properties: String,
}

impl Baggage {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let entry = self.0.iter().find(|entry| entry.key == key)?;
        Some(&entry.value)
    }

    /// Every key and its value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|entry| (entry.key.as_str(), entry.value.as_str()))
    }

    /// Whether nothing travels along.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn entries(&self) -> &[BaggageEntry] {
        &self.0
    }

    /// Adds an entry; the last of a key stays.
    pub(crate) fn put(&mut self, entry: BaggageEntry) {
        self.0.retain(|known| known.key != entry.key);
        self.0.push(entry);
    }
}
