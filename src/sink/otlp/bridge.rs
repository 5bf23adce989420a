//! The door between capture and OpenTelemetry: ids while a span runs, its end when it closes.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, TraceContextExt};
use tracing::Dispatch;
use tracing::span::Id;
use tracing_opentelemetry::get_otel_context;

use super::finished::Finished;
use super::remote;
use super::tally::{Door, Tally};
use crate::record::{SpanId, TraceContext, TraceId};
use crate::sink::{Ended, Wire, WireIds};

/// [`Wire`] by way of the `tracing-opentelemetry` layer that stands behind capture.
#[derive(Debug)]
pub(super) struct Bridge {
    finished: Arc<Finished>,
    tally: Arc<Tally>,
}

impl Bridge {
    pub(super) fn new(finished: Arc<Finished>, tally: Arc<Tally>) -> Self {
        Bridge { finished, tally }
    }
}

impl Wire for Bridge {
    fn ids(&self, id: &Id, dispatch: &Dispatch) -> Option<WireIds> {
        wire_ids(get_otel_context(id, dispatch)?.span().span_context())
    }

    fn end(&self, id: &Id, dispatch: &Dispatch, end_ns: i64, draft: Arc<dyn Ended>) {
        let Some(context) = get_otel_context(id, dispatch) else {
            self.tally.stays(draft.span_id());
            return;
        };
        let span = context.span();
        let span_context = span.span_context();
        // Nobody would take the draft of a span that is not exported out again.
        if span_context.is_sampled()
            && span.is_recording()
            && let Some(ids) = wire_ids(span_context)
        {
            if self.tally.is_open() {
                // Before the end, which may hand the span to the exporter at once.
                self.finished.put(ids.span_id, draft);
            } else {
                self.tally.turned_away(Door::Closed, Some(draft.span_id()));
            }
        } else if span_context.is_valid() && !span_context.is_sampled() {
            self.tally.sampled_out(1);
        } else {
            self.tally.stays(draft.span_id());
        }
        span.end_with_timestamp(system_time(end_ns));
    }

    fn withdraw(&self, span: SpanId, parent: Option<SpanId>) {
        self.finished.withdraw(span, parent);
    }

    fn context(&self, id: &Id, dispatch: &Dispatch) -> Option<TraceContext> {
        remote::of(get_otel_context(id, dispatch)?.span().span_context())
    }

    fn remote(&self) -> Option<TraceContext> {
        remote::remote()
    }

    fn reinstate(&self, span: SpanId) {
        self.finished.reinstate(span);
    }

    fn is_suppressed(&self) -> bool {
        Context::is_current_telemetry_suppressed()
    }
}

/// The time that many nanoseconds after the Unix epoch.
pub(super) fn system_time(unix_ns: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_nanos(u64::try_from(unix_ns).unwrap_or(0))
}

/// Nanoseconds since the Unix epoch.
pub(super) fn unix_ns(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// A span id of OpenTelemetry as ours; `None` where it is all zero.
pub(super) fn span_id(id: opentelemetry::trace::SpanId) -> Option<SpanId> {
    SpanId::from_bytes(id.to_bytes())
}

/// After shutdown and under suppression the ids are all zero, which is no id.
fn wire_ids(context: &SpanContext) -> Option<WireIds> {
    Some(WireIds {
        trace_id: TraceId::from_bytes(context.trace_id().to_bytes())?,
        span_id: span_id(context.span_id())?,
        is_sampled: context.is_sampled(),
    })
}
