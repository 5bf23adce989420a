//! Spans that are over, kept to be used again: in the steady state a new span allocates nothing.

use std::sync::Arc;

use crossbeam_queue::ArrayQueue;

use super::open::OpenSpan;

/// How many spare spans outlast a quiet moment. A burst may leave as many as the queue holds.
const SPARE_AT_REST: usize = 256;

/// Spare spans.
#[derive(Debug)]
pub(super) struct Pool(ArrayQueue<Arc<OpenSpan>>);

impl Pool {
    /// Holds as many spans as may be on their way to the writer.
    pub(super) fn new(capacity: usize) -> Self {
        Pool(ArrayQueue::new(capacity.max(1)))
    }

    /// A span that nobody else holds, as it was left; `None`: make one.
    pub(super) fn take(&self) -> Option<Arc<OpenSpan>> {
        self.0.pop()
    }

    /// Takes a span back, unless a child or a handle still holds it.
    pub(super) fn put(&self, mut open: Arc<OpenSpan>) {
        if let Some(unshared) = Arc::get_mut(&mut open) {
            unshared.clear();
            let _ = self.0.push(open);
        }
    }

    /// Gives memory back after a burst.
    pub(super) fn shrink(&self) {
        while self.0.len() > SPARE_AT_REST && self.0.pop().is_some() {}
    }
}
