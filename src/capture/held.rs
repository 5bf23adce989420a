//! What a span's handle asks of the layer: ids before anybody enters the span, and its end before `tracing` closes it.

use std::sync::Arc;

use super::layer::Capture;
use super::open::OpenSpan;

impl Capture {
    /// Asks for the ids of a span that nobody may ever enter, so that they are known from its start.
    pub(crate) fn settle_ids(&self, open: &OpenSpan) {
        if let Some((wire, dispatch)) = self.core().wire() {
            self.learn_ids_around(open, wire.as_ref(), &dispatch);
            if !open.is_final() {
                self.learn_ids(open, wire.as_ref(), &dispatch);
            }
        }
    }

    /// Ends a span while its handle lives, at the stated time or now. `tracing` will close it when the
    /// last handle and the last child are gone; until then spans are still placed under it.
    pub(crate) fn end(&self, open: &Arc<OpenSpan>, end_ns: Option<i64>) {
        self.conclude(&open.origin.tracing_id, Arc::clone(open), end_ns);
        // Nothing is left to be shown of it.
        open.set_announced();
    }
}
