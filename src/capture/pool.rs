//! What is over and may be used again: in the steady state a span allocates nothing.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

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
    /// The draft that this thread fills next, on its way from memory.
    static NEXT: Cell<Option<Box<Draft>>> = const { Cell::new(None) };
}
/// How many spare drafts outlast a quiet time. A burst may leave as many as the queue holds, which
/// take five megabytes.
const DRAFTS_AT_REST: usize = 256;
/// How many drafts agents' threads had to make for each that the writer's puts by: so the next burst,
/// which may be a little larger or meet a slower writer, finds enough.
const MADE_FOR_ONE_MORE: usize = 4;
/// How many quiet ticks of the writer make a quiet time: about half a minute. Bursts that follow each
/// other within that find what the former left.
const QUIET_TICKS: u32 = 120;

/// Spare drafts for two readers. Made anew for each span they were a kilobyte that one thread took
/// and another freed: the system gave that memory and took it back with every burst.
pub(super) type Sheets = ArrayQueue<Arc<Draft>>;

/// Spare objects.
#[derive(Debug)]
pub(super) struct Pool {
    spans: ArrayQueue<Arc<OpenSpan>>,
    drafts: ArrayQueue<Box<Draft>>,
    /// Where there are no others: taken in turns with them, they would only be more memory to go through.
    put_by: ArrayQueue<Box<Draft>>,
    sheets: Arc<Sheets>,
    /// Drafts that agents' threads had to make, and for which the writer's has put none by yet.
    made: AtomicUsize,
    quiet_ticks: AtomicU32,
}

impl Pool {
    /// Holds as many drafts as may be on their way to the writer.
    pub(super) fn new(drafts: usize) -> Self {
        Pool {
            spans: ArrayQueue::new(SPARE_SPANS),
            drafts: ArrayQueue::new(drafts.max(1)),
            put_by: ArrayQueue::new(drafts.div_ceil(MADE_FOR_ONE_MORE).max(1)),
            sheets: Arc::new(ArrayQueue::new(drafts.max(1))),
            made: AtomicUsize::new(0),
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
        let next = NEXT.try_with(Cell::take).ok().flatten();
        next.or_else(|| self.drafts.pop())
            .unwrap_or_else(|| self.new_draft(open))
    }

    /// Sends for the draft that this thread fills next. Called at the start of a span: at its end the
    /// draft's memory is there, where to wait for it took 100 ns, a sixth of a span.
    #[inline]
    pub(super) fn send_for_draft(&self) {
        let _ = NEXT.try_with(|next| {
            if let Some(draft) = next.take().or_else(|| self.drafts.pop()) {
                draft.send_for();
                next.set(Some(draft));
            }
        });
    }

    #[cold]
    fn new_draft(&self, open: &OpenSpan) -> Box<Draft> {
        self.put_by.pop().unwrap_or_else(|| {
            self.made.fetch_add(1, Ordering::Relaxed);
            Box::new(Draft::blank(open))
        })
    }

    /// The same draft for two readers.
    #[inline]
    pub(super) fn share(&self, mut draft: Box<Draft>) -> Arc<Draft> {
        let spare = self.sheets.pop();
        let mut sheet = spare.unwrap_or_else(|| draft.sheet(Arc::downgrade(&self.sheets)));
        // Nobody reads a spare one.
        let Some(own) = Arc::get_mut(&mut sheet) else {
            return Arc::new(*draft);
        };
        own.take_over(&mut draft);
        let _ = self.drafts.push(draft);
        sheet
    }

    /// Takes a draft back, and the parent that it held.
    pub(super) fn put_draft(&self, waiting: Waiting) {
        let (parent, draft) = match waiting {
            Waiting::Own(mut draft) => (draft.clear(), Some(draft)),
            Waiting::Shared(draft) => (draft.put_back(), None),
        };
        if let Some(mut parent) = parent
            && let Some(unshared) = Arc::get_mut(&mut parent)
        {
            // Not at this thread's hand, which as a rule is the writer's and starts no spans.
            unshared.clear();
            let _ = self.spans.push(parent);
        }
        if let Some(draft) = draft {
            if self.made.load(Ordering::Relaxed) >= MADE_FOR_ONE_MORE {
                self.made.fetch_sub(MADE_FOR_ONE_MORE, Ordering::Relaxed);
                let _ = self.put_by.push(Box::new(draft.another()));
            }
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
            while self.put_by.pop().is_some() {}
            while self.sheets.len() > DRAFTS_AT_REST && self.sheets.pop().is_some() {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::thread;

    use tracing::span::Id;
    use tracing::{Level, Metadata, callsite::DefaultCallsite, metadata};

    use super::{Draft, MADE_FOR_ONE_MORE, OpenSpan, Pool, QUIET_TICKS, Waiting};
    use crate::capture::callsite::Shape;
    use crate::sink::Ended;

    fn open() -> Arc<OpenSpan> {
        static METADATA: Metadata<'static> = metadata! {
            name: "hermes.turn",
            target: "test",
            level: Level::INFO,
            fields: &[],
            callsite: &CALLSITE,
            kind: tracing::metadata::Kind::SPAN,
        };
        static CALLSITE: DefaultCallsite = DefaultCallsite::new(&METADATA);
        Arc::new(OpenSpan::vacant(Shape::of(&METADATA), &Id::from_u64(1)))
    }

    #[test]
    fn a_parent_that_a_draft_held_comes_back_to_the_threads_that_start_spans() {
        let (pool, parent) = (Pool::new(4), open());
        let place = Arc::as_ptr(&parent) as usize;
        let mut draft = pool.draft(&parent);
        draft.parent = Some(parent);
        thread::scope(|scope| {
            let writer = scope.spawn(|| pool.put_draft(Waiting::Own(draft)));
            writer.join().unwrap();
            let agent = scope.spawn(|| pool.span().map(|open| Arc::as_ptr(&open) as usize));
            assert_eq!(agent.join().unwrap(), Some(place));
        });
    }

    #[test]
    fn the_draft_that_a_thread_has_sent_for_is_the_one_it_fills() {
        let (pool, open) = (Pool::new(4), open());
        pool.send_for_draft();
        let drafts = [pool.draft(&open), pool.draft(&open)];
        let places = drafts
            .each_ref()
            .map(|draft| std::ptr::from_ref(draft.as_ref()).addr());
        for draft in drafts {
            pool.put_draft(Waiting::Own(draft));
        }
        pool.send_for_draft();
        // Sent for once, however many spans start before the first one ends.
        pool.send_for_draft();
        assert_eq!(pool.drafts.len(), 1);
        let next = pool.draft(&open);
        assert_eq!(std::ptr::from_ref(next.as_ref()).addr(), places[0]);
        assert!(pool.drafts.pop().is_some() && pool.made.load(Ordering::Relaxed) == 2);
    }

    #[test]
    fn a_burst_that_is_a_little_larger_than_the_last_finds_drafts() {
        let (pool, open) = (Pool::new(64), open());
        let burst = |size| -> Vec<_> { (0..size).map(|_| pool.draft(&open)).collect() };
        for draft in burst(8 * MADE_FOR_ONE_MORE) {
            pool.put_draft(Waiting::Own(draft));
        }
        let larger = burst(8 * MADE_FOR_ONE_MORE + 8);
        assert_eq!(pool.made.load(Ordering::Relaxed), 0, "none had to be made");
        drop(larger);
        drop(burst(1));
        assert_eq!(pool.made.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_sheet_comes_back_from_whichever_reader_is_the_last() {
        let (pool, open) = (Pool::new(4), open());
        let first = pool.share(pool.draft(&open));
        let place = Arc::as_ptr(&first).addr();
        let exporter: Arc<dyn Ended> = Arc::<Draft>::clone(&first);
        pool.put_draft(Waiting::Shared(first));
        assert!(pool.sheets.is_empty(), "it is still read");
        exporter.release();
        let second = pool.share(pool.draft(&open));
        assert_eq!(Arc::as_ptr(&second).addr(), place);
        let exporter: Arc<dyn Ended> = Arc::<Draft>::clone(&second);
        exporter.release();
        pool.put_draft(Waiting::Shared(second));
        assert_eq!(pool.sheets.len(), 1);
    }

    #[test]
    fn what_was_put_by_is_given_back_after_a_quiet_time() {
        let (pool, open) = (Pool::new(64), open());
        let burst: Vec<_> = (0..16).map(|_| pool.draft(&open)).collect();
        for draft in burst {
            pool.put_draft(Waiting::Own(draft));
        }
        assert!(!pool.put_by.is_empty());
        (0..=QUIET_TICKS).for_each(|_| pool.tick(true));
        assert!(pool.put_by.is_empty() && pool.drafts.len() == 16);
    }
}
