//! The ids that a span has on OTLP: asked for when OTel knows them, and those of the spans around it.

use tracing::Dispatch;
use tracing::span::Id;

use super::layer::Capture;
use super::open::{Ids, OpenSpan};
use crate::record::SpanId;
use crate::sink::Wire;

impl Capture {
    /// Learns the OTel ids of a span; without OTel the span's own are final.
    ///
    /// Two threads may do it at once and learn the same.
    pub(super) fn learn_ids(&self, open: &OpenSpan, wire: &dyn Wire, dispatch: &Dispatch) {
        let own = open.origin.own_ids;
        let ids = match wire.ids(&open.origin.tracing_id, dispatch) {
            Some(ids) => Ids {
                trace_id: ids.trace_id,
                span_id: ids.span_id,
                is_sampled: ids.is_sampled,
            },
            // Not on OTLP: the span keeps an id of its own, in the trace of its parent.
            None => Ids {
                trace_id: open
                    .origin
                    .parent
                    .as_ref()
                    .map_or(own.trace_id, |parent| parent.ids().0),
                ..own
            },
        };
        let _ = open.final_ids.set(ids);
        if open.state().is_hidden() {
            let parent = self.wire_parent(open, wire, dispatch);
            wire.withdraw(ids.span_id, parent.or(open.kept_parent()));
        }
    }

    /// A parent that was never entered learns its ids when its first child ends.
    pub(super) fn learn_ids_around(&self, open: &OpenSpan, wire: &dyn Wire, dispatch: &Dispatch) {
        if open.ancestors().all(|ancestor| ancestor.is_final()) {
            return;
        }
        let around: Vec<_> = open.ancestors().cloned().collect();
        // Outermost first: a span that OTel does not have takes the trace of its parent.
        for open in around.iter().rev().filter(|open| !open.is_final()) {
            self.learn_ids(open, wire, dispatch);
        }
    }

    /// The parent on OTLP: the nearest span around this one that OTel has, whoever made it.
    pub(super) fn wire_parent(
        &self,
        open: &OpenSpan,
        wire: &dyn Wire,
        dispatch: &Dispatch,
    ) -> Option<SpanId> {
        if open.origin.is_next_to_parent
            && let Some(parent) = &open.origin.parent
            && !(parent.may_be_part() && parent.is_part())
            && let Some(ids) = parent.final_ids.get()
            // Hermes's own id: OTel does not have the parent.
            && ids.span_id != parent.origin.own_ids.span_id
        {
            return Some(ids.span_id);
        }
        if let Some(remote) = &open.origin.remote {
            return self.parent_below(remote, open, wire, dispatch);
        }
        let is_part = |id: &&Id| self.find(id).is_some_and(|open| open.is_part());
        self.around(&open.origin.tracing_id, dispatch)
            .iter()
            .filter(|id| !is_part(id))
            .find_map(|id| wire.ids(id, dispatch))
            .map(|ids| ids.span_id)
    }
}
