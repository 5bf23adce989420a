//! What is over and may be used again: in the steady state a span allocates nothing.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crossbeam_queue::ArrayQueue;

use super::draft::{Draft, Waiting};
use super::open::OpenSpan;

/// Objects of open spans that are kept for every thread. They come back when their span ends, so there
/// are about as many as spans are open at once.
const SPARE_SPANS: usize = 1024;
/// Of these, what each thread has at hand: taken without a word to other threads.
const AT_HAND: usize = 16;

thread_local! {
    /// The objects that this thread used last. They are of no program or layer in particular.
    static SPANS: RefCell<Vec<Arc<OpenSpan>>> = const { RefCell::new(Vec::new()) };
}
/// How many spare drafts outlast a quiet time. A burst may leave as many as the queue holds, which
/// take five megabytes.
const DRAFTS_AT_REST: usize = 256;
/// How many quiet ticks of the writer make a quiet time: about half a minute. Bursts that follow each
/// other within that find what the former left.
const QUIET_TICKS: u32 = 120;

/// Spare objects.
#[derive(Debug)]
pub(super) struct Pool {
    spans: ArrayQueue<Arc<OpenSpan>>,
    drafts: ArrayQueue<Box<Draft>>,
    quiet_ticks: AtomicU32,
}

impl Pool {
    /// Holds as many drafts as may be on their way to the writer.
    pub(super) fn new(drafts: usize) -> Self {
        Pool {
            spans: ArrayQueue::new(SPARE_SPANS),
            drafts: ArrayQueue::new(drafts.max(1)),
            quiet_ticks: AtomicU32::new(0),
        }
    }

    /// An object that nobody else holds; `None`: make one.
    #[inline]
    pub(super) fn span(&self) -> Option<Arc<OpenSpan>> {
        let at_hand = SPANS.try_with(|spans| spans.try_borrow_mut().ok()?.pop());
        at_hand.ok().flatten().or_else(|| self.spans.pop())
    }

    /// Takes an object back, unless a child, a draft or a handle still holds it.
    #[inline]
    pub(super) fn put_span(&self, mut open: Arc<OpenSpan>) {
        if let Some(unshared) = Arc::get_mut(&mut open) {
            unshared.clear();
            self.put_cleared(open);
        }
    }

    /// Takes an object back that nobody else holds and that has forgotten its span.
    #[inline]
    pub(super) fn put_cleared(&self, open: Arc<OpenSpan>) {
        let left = SPANS.try_with(|spans| match spans.try_borrow_mut() {
            Ok(mut spans) if spans.len() < AT_HAND => {
                spans.push(open);
                None
            }
            _ => Some(open),
        });
        if let Ok(Some(open)) = left {
            let _ = self.spans.push(open);
        }
    }

    /// A draft for the end of this span.
    #[inline]
    pub(super) fn draft(&self, open: &OpenSpan) -> Box<Draft> {
        self.drafts
            .pop()
            .unwrap_or_else(|| Box::new(Draft::blank(open)))
    }

    /// Takes a draft back, and the parent that it held.
    pub(super) fn put_draft(&self, waiting: Waiting) {
        let (parent, draft) = match waiting {
            Waiting::Own(mut draft) => (draft.clear(), Some(draft)),
            Waiting::Shared(draft) => (
                Arc::into_inner(draft).and_then(|mut draft| draft.clear()),
                None,
            ),
        };
        if let Some(parent) = parent {
            self.put_span(parent);
        }
        if let Some(draft) = draft {
            let _ = self.drafts.push(draft);
        }
    }

    /// Counts the ticks at which nothing was to be written, and gives memory back after many.
    pub(super) fn tick(&self, is_quiet: bool) {
        if !is_quiet {
            self.quiet_ticks.store(0, Ordering::Relaxed);
            return;
        }
        if self.quiet_ticks.fetch_add(1, Ordering::Relaxed) >= QUIET_TICKS {
            while self.drafts.len() > DRAFTS_AT_REST && self.drafts.pop().is_some() {}
        }
    }
}
