//! What stands around an event that becomes a log record: the ids it bears, and whose span it is in.

use std::sync::Arc;

use tracing::{Dispatch, Event};

use crate::capture::open::Ids;
use crate::capture::{Capture, OpenSpan};
use crate::record::{SpanId, TraceId};

/// The place of an event.
#[derive(Debug, Default)]
pub(super) struct Around {
    /// The trace and the span, as the store and OTLP have them.
    pub(super) ids: Option<(TraceId, SpanId)>,
    /// Whether the span is exported.
    pub(super) is_sampled: bool,
    /// The nearest span that capture sees.
    pub(super) inside: Option<Arc<OpenSpan>>,
}

impl Around {
    /// Looks around an event, in the subscriber that it went to.
    pub(super) fn of(event: &Event<'_>, dispatch: &Dispatch) -> Self {
        let Some(capture) = dispatch.downcast_ref::<Capture>() else {
            return Around::default();
        };
        if event.is_root() {
            return Around::default();
        }
        let current = dispatch.current_span();
        let spans = capture.with_ancestors(dispatch, event.parent().or(current.id()));
        let ids: Option<Ids> = capture.ids_of_line(dispatch, event.parent());
        Around {
            ids: ids.map(|ids| (ids.trace_id, ids.span_id)),
            is_sampled: ids.is_some_and(|ids| ids.is_sampled),
            inside: spans.iter().find_map(|id| capture.find(id)),
        }
    }
}
