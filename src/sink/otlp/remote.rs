//! Contexts of other processes as OpenTelemetry has them: attached to a thread, or stated of a span.

use std::str::FromStr;

use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use opentelemetry::{Context, ContextGuard};

use crate::record::{self, TraceContext};

/// What was attached to this thread, until it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    _guard: Option<ContextGuard>,
}

/// What this thread has attached, to be attached to others.
#[derive(Clone, Debug)]
pub(crate) struct Surrounding(Context);

/// Makes a remote span the parent of the spans that this thread starts next.
pub(crate) fn hold(context: &TraceContext) -> Held {
    let span = span_context(context);
    let attach = |span| Context::current().with_remote_span_context(span).attach();
    Held {
        _guard: span.map(attach),
    }
}

impl Surrounding {
    /// What is attached to this thread.
    pub(crate) fn current() -> Self {
        Surrounding(Context::current())
    }

    /// Attaches it to this thread.
    pub(crate) fn hold(&self) -> Held {
        Held {
            _guard: Some(self.0.clone().attach()),
        }
    }
}

/// The remote span that this thread is next to, if it is in none of its own.
pub(super) fn remote() -> Option<TraceContext> {
    let context = Context::current();
    let span = context.span();
    let span = span.span_context();
    span.is_remote().then(|| of(span)).flatten()
}

/// What another process is told of a span.
pub(super) fn of(span: &SpanContext) -> Option<TraceContext> {
    let trace_id = record::TraceId::from_bytes(span.trace_id().to_bytes())?;
    let span_id = record::SpanId::from_bytes(span.span_id().to_bytes())?;
    let context = TraceContext::new(trace_id, span_id);
    Some(
        context
            .sampled(span.is_sampled())
            .with_trace_state(span.trace_state().header()),
    )
}

fn span_context(context: &TraceContext) -> Option<SpanContext> {
    let (trace_id, span_id) = context.span()?;
    let flags = TraceFlags::default().with_sampled(context.is_sampled());
    // What W3C allows and OpenTelemetry does not is left out.
    let state = TraceState::from_str(context.trace_state()).unwrap_or_default();
    Some(SpanContext::new(
        TraceId::from_bytes(trace_id.to_bytes()),
        SpanId::from_bytes(span_id.to_bytes()),
        flags,
        true,
        state,
    ))
}

#[cfg(test)]
mod tests {
    use super::{hold, of, remote, span_context};
    use crate::record::{SpanId, TraceContext, TraceId};

    fn context() -> TraceContext {
        let trace = TraceId::from_bytes([7; 16]).unwrap();
        let span = SpanId::from_bytes([9; 8]).unwrap();
        TraceContext::new(trace, span)
            .sampled(false)
            .with_trace_state("a=1,b=2".to_owned())
    }

    #[test]
    fn contexts_come_back_as_they_went() {
        assert_eq!(of(&span_context(&context()).unwrap()), Some(context()));
        assert_eq!(span_context(&TraceContext::default()), None);
    }

    #[test]
    fn what_is_held_is_seen_until_it_is_let_go() {
        assert_eq!(remote(), None);
        let held = hold(&context());
        assert_eq!(remote(), Some(context()));
        drop(held);
        assert_eq!(remote(), None);
    }
}
