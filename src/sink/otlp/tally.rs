//! The account of the spans handed to the exporter: each one ends as delivered, owed, lost or
//! withdrawn, once.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::closing::Closing;
use crate::record::SpanId;
use crate::sink::backlog::NOT_IN_TIME;
use crate::sink::{Backlog, ExportCounter};

/// Why spans were not exported, as the counters name it.
pub(super) mod reason {
    pub(in super::super) const QUEUE_FULL: &str = "otlp_queue_full";
    pub(in super::super) const SHUTDOWN: &str = super::NOT_IN_TIME;
    /// The collector cannot be reached, and is not asked before it is time.
    pub(in super::super) const AWAY: &str = "otlp_away";
    /// It waited in the store for the decision of its trace, and is not there.
    pub(in super::super) const HELD: &str = "otlp_held";
    /// The span is not in the store any more.
    pub(in super::super) const PRUNED: &str = "otlp_pruned";
    /// The collector took others and never this one.
    pub(in super::super) const UNDELIVERABLE: &str = "otlp_undeliverable";
    pub(in super::super) const PANIC: &str = "otlp_panic";
    pub(in super::super) const REJECTED: &str = "otlp_rejected";
    pub(in super::super) const HTTP: &str = "otlp_http";
    #[cfg(feature = "otlp-grpc")]
    pub(in super::super) const GRPC: &str = "otlp_grpc";
}

/// Every way out.
const ALL: u8 = u8::MAX;

/// What becomes of spans that are not delivered now, in words.
pub(super) const LATER: &str = "are kept in the local store and sent later";
pub(super) const NEVER: &str = "are not exported, they stay in the local store";

/// Whether a span that ends may go to the exporter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    Open,
    Full,
    Closed,
}

/// Far enough below zero that no span on its way brings the count back.
const CLOSED: i64 = i64::MIN / 2;

/// Counts spans from the end of the span to the answer of the collector.
#[derive(Debug)]
pub(super) struct Tally {
    counter: Arc<dyn ExportCounter>,
    backlog: Arc<Backlog>,
    closing: Arc<Closing>,
    capacity: i64,
    /// Spans under way; below zero once closed, so that one number decides who counts a span.
    open: AtomicI64,
    /// Spans whose fate is known, for flushes to wait on. Changes together with `open`, so that a
    /// flush sees each span on one side or the other.
    settled: Mutex<u64>,
    failed: AtomicU64,
    has_been_full: AtomicBool,
    last_trouble: Mutex<String>,
}

impl Tally {
    /// Lets at most `capacity` spans be under way at once.
    pub(super) fn new(
        counter: Arc<dyn ExportCounter>,
        backlog: Arc<Backlog>,
        closing: Arc<Closing>,
        capacity: usize,
    ) -> Self {
        Tally {
            counter,
            backlog,
            closing,
            capacity: i64::try_from(capacity).unwrap_or(i64::MAX),
            open: AtomicI64::new(0),
            settled: Mutex::new(0),
            failed: AtomicU64::new(0),
            has_been_full: AtomicBool::new(false),
            last_trouble: Mutex::new(String::new()),
        }
    }

    /// Takes one span in, unless there is no room for it or it is too late.
    pub(super) fn admit(&self) -> Door {
        let under_way = self.open.fetch_add(1, Ordering::AcqRel);
        if (0..self.capacity).contains(&under_way) {
            return Door::Open;
        }
        self.open.fetch_sub(1, Ordering::AcqRel);
        if under_way < 0 {
            Door::Closed
        } else {
            Door::Full
        }
    }

    /// A span was not taken in. One of ours is sent from the store later.
    pub(super) fn turned_away(&self, door: Door, ours: Option<SpanId>) {
        let reason = match door {
            Door::Open => return,
            Door::Full => reason::QUEUE_FULL,
            Door::Closed => reason::SHUTDOWN,
        };
        if door == Door::Closed && ours.is_some() && self.backlog.keeps_undecided() {
            // The store has it as undecided, and a later process decides.
            return;
        }
        let is_kept = self.owe(ours.as_slice(), ALL, reason) > 0;
        if !is_kept {
            self.counter.lost(reason, 1);
        }
        if door == Door::Full {
            self.failed.fetch_add(1, Ordering::Relaxed);
            if !self.has_been_full.swap(true, Ordering::Relaxed) {
                let what = if is_kept { LATER } else { NEVER };
                self.trouble(
                    reason,
                    format!(
                        "{} spans are on their way out already (OTEL_BSP_MAX_QUEUE_SIZE); others {what}",
                        self.capacity
                    ),
                );
            }
        }
    }

    /// A batch that every way out took; `ours` are those of it that the store may hold.
    pub(super) fn delivered(&self, spans: usize, ours: &[SpanId]) {
        self.backlog.settled(ours);
        if self.settle(spans) {
            self.counter.exported(count(spans));
        }
    }

    /// A batch of which so many spans will never be taken.
    pub(super) fn lost(&self, spans: usize, ours: &[SpanId], reason: &'static str, lost: usize) {
        self.backlog.settled(ours);
        if self.settle(spans) {
            let lost = lost.min(spans);
            self.failed.fetch_add(count(lost), Ordering::Relaxed);
            self.counter.lost(reason, count(lost));
            if lost < spans {
                self.counter.exported(count(spans - lost));
            }
        }
    }

    /// A batch that these ways out did not take yet. Spans of others are not in the store, and lost.
    pub(super) fn owed(&self, spans: usize, ours: &[SpanId], exits: u8, reason: &'static str) {
        if self.settle(spans) {
            self.failed.fetch_add(count(spans), Ordering::Relaxed);
            let lost = spans.saturating_sub(self.owe(ours, exits, reason));
            if lost > 0 {
                self.counter.lost(reason, count(lost));
            }
        }
    }

    /// Whether what is not delivered is sent again later.
    pub(super) fn is_kept(&self) -> bool {
        self.backlog.is_kept()
    }

    /// Spans of a batch that are not sent now: a flush does not wait for them.
    pub(super) fn held_back(&self, spans: usize) {
        self.settle(spans);
    }

    /// Spans that had been held back are under way again.
    pub(super) fn let_in(&self, spans: usize) {
        let spans = i64::try_from(spans).unwrap_or(i64::MAX);
        let more = |open: i64| (open >= 0).then(|| open.saturating_add(spans));
        let _ = self
            .open
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
    }

    /// Spans whose trace leaves, and that are about to be sent.
    pub(super) fn leave_now(&self, ours: impl IntoIterator<Item = SpanId>) {
        self.backlog.leave_now(ours);
    }

    /// Spans that tail rules keep at home; the store owes those that are ours to nobody.
    pub(super) fn stays_at_home(&self, spans: usize, ours: &[SpanId]) {
        self.backlog.settled(ours);
        if spans > 0 {
            self.sampled_out(spans);
        }
    }

    /// Spans whose trace leaves, and that only the store has.
    pub(super) fn leaves_from_store(&self, ours: &[SpanId]) {
        let lost = ours.len() - self.owe(ours, ALL, reason::HELD);
        if lost > 0 {
            self.counter.lost(reason::HELD, count(lost));
        }
    }

    /// Spans that sampling keeps at home.
    pub(super) fn sampled_out(&self, spans: usize) {
        self.counter.sampled_out(count(spans));
    }

    /// A span of ours that is not exported: OTel has none of it, or ended it before.
    pub(super) fn stays(&self, span: SpanId) {
        self.backlog.settled(&[span]);
    }

    /// How many spans are between their end and the collector's answer.
    pub(super) fn under_way(&self) -> usize {
        usize::try_from(self.open.load(Ordering::Acquire)).unwrap_or(0)
    }

    fn owe(&self, ours: &[SpanId], exits: u8, reason: &'static str) -> usize {
        let known = self.backlog.terms().map_or(0, |terms| terms.exits);
        if ours.is_empty() || exits & known == 0 {
            return 0;
        }
        self.backlog.owe(ours, exits & known, reason)
    }

    /// Spans that were not meant to leave.
    pub(super) fn withdrawn(&self, spans: usize) {
        self.settle(spans);
    }

    /// Says what went wrong, once per kind, and remembers it for the next flush.
    pub(super) fn trouble(&self, kind: &'static str, message: String) {
        self.counter.trouble(kind, &message);
        *locked(&self.last_trouble) = message;
    }

    /// What went wrong last.
    pub(super) fn last_trouble(&self) -> String {
        locked(&self.last_trouble).clone()
    }

    /// How many spans have failed so far.
    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// How many spans must be settled for those now under way to be among them.
    pub(super) fn flush_target(&self) -> u64 {
        let settled = locked(&self.settled);
        let open = u64::try_from(self.open.load(Ordering::Acquire)).unwrap_or(0);
        settled.saturating_add(open)
    }

    /// Whether that many spans are settled.
    pub(super) fn has_reached(&self, target: u64) -> bool {
        *locked(&self.settled) >= target
    }

    /// Whether spans that end now are exported.
    pub(super) fn is_open(&self) -> bool {
        !self.closing.is_set()
    }

    /// Whether the shutdown is over and nothing waits for the exporter any more.
    pub(super) fn is_closed(&self) -> bool {
        self.open.load(Ordering::Acquire) < 0
    }

    /// From here on spans that end are too late.
    pub(super) fn start_closing(&self) {
        self.closing.set();
        self.backlog.nudge();
    }

    /// Gives up whatever is still under way and gives the number; what the exporter says of these spans
    /// later is not counted again. Those in the store are sent by a later process.
    pub(super) fn close(&self) -> u64 {
        let abandoned = u64::try_from(self.open.swap(CLOSED, Ordering::AcqRel)).unwrap_or(0);
        let lost = self.backlog.abandon(abandoned);
        if lost > 0 {
            self.counter.lost(reason::SHUTDOWN, lost);
        }
        abandoned
    }

    fn settle(&self, spans: usize) -> bool {
        let spans = i64::try_from(spans).unwrap_or(i64::MAX);
        let mut settled = locked(&self.settled);
        let is_ours = self
            .open
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |open| {
                (open >= spans).then_some(open - spans)
            })
            .is_ok();
        if is_ours {
            *settled += spans.unsigned_abs();
        }
        is_ours
    }
}

fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

fn count(spans: usize) -> u64 {
    u64::try_from(spans).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    use super::super::closing::Closing;
    use super::{Door, Tally, reason};
    use crate::record::SpanId;
    use crate::sink::ExportCounter;
    use crate::sink::backlog::{Backlog, Fate, Terms};

    #[derive(Debug, Default)]
    struct Counted(Mutex<BTreeMap<&'static str, u64>>);

    impl Counted {
        fn add(&self, what: &'static str, spans: u64) {
            *self.0.lock().unwrap().entry(what).or_default() += spans;
        }
    }

    impl ExportCounter for Counted {
        fn exported(&self, spans: u64) {
            self.add("exported", spans);
        }
        fn lost(&self, reason: &'static str, spans: u64) {
            self.add(reason, spans);
        }
        fn trouble(&self, kind: &'static str, _: &str) {
            let is_full = kind == reason::QUEUE_FULL;
            self.add(if is_full { "told" } else { kind }, 1);
        }
    }

    fn tally(capacity: usize) -> (Tally, Arc<Counted>, Arc<Backlog>) {
        let counted = Arc::new(Counted::default());
        let told = Arc::clone(&counted) as Arc<dyn ExportCounter>;
        let backlog = Arc::new(Backlog::new(Arc::clone(&told)));
        let closing = Arc::new(Closing::default());
        let tally = Tally::new(told, Arc::clone(&backlog), closing, capacity);
        (tally, counted, backlog)
    }

    fn kept(backlog: &Backlog) {
        backlog.open(Terms {
            exits: 1,
            may_carry_content: false,
            are_judged: false,
        });
        backlog.attend("store".into(), 1);
    }

    #[test]
    fn every_span_is_counted_once() {
        let (tally, counted, _) = tally(4);
        for _ in 0..6 {
            let door = tally.admit();
            tally.turned_away(door, None);
        }
        let target = tally.flush_target();
        tally.delivered(1, &[]);
        tally.lost(1, &[], reason::HTTP, 1);
        tally.withdrawn(1);
        assert!(!tally.has_reached(target));
        assert_eq!(tally.close(), 1);
        assert_eq!(tally.close(), 0);
        // The exporter was still at it, and a span ends after all.
        tally.delivered(1, &[]);
        tally.turned_away(tally.admit(), None);
        let expected = [
            ("exported", 1),
            (reason::HTTP, 1),
            (reason::QUEUE_FULL, 2),
            (reason::SHUTDOWN, 2),
            ("told", 1),
        ];
        assert_eq!(*counted.0.lock().unwrap(), BTreeMap::from(expected));
    }

    #[test]
    fn with_a_store_what_is_ours_is_owed_and_what_is_not_is_lost() {
        let (tally, counted, backlog) = tally(3);
        kept(&backlog);
        let ours = [SpanId::generate(), SpanId::generate()];
        for _ in 0..3 {
            assert_eq!(tally.admit(), Door::Open);
        }
        let full = SpanId::generate();
        tally.turned_away(tally.admit(), Some(full));
        tally.owed(3, &ours, 1, reason::HTTP);
        assert_eq!(backlog.pending(), 3);
        let expected = [(reason::HTTP, 1), ("told", 1)];
        assert_eq!(*counted.0.lock().unwrap(), BTreeMap::from(expected));
        let word = backlog.collect();
        assert_eq!(word.len(), 3);
        let fate = Fate::Owed {
            exits: 1,
            reason: reason::QUEUE_FULL,
        };
        assert_eq!(word[0], (full, fate));
    }

    #[test]
    fn what_is_given_up_at_the_end_is_lost_unless_it_is_stored() {
        let (tally, counted, backlog) = tally(8);
        kept(&backlog);
        for _ in 0..5 {
            assert_eq!(tally.admit(), Door::Open);
        }
        assert_eq!(tally.close(), 5);
        assert!(counted.0.lock().unwrap().is_empty(), "not known yet");
        backlog.leave(3);
        assert_eq!(backlog.pending(), 3);
        let expected = [(reason::SHUTDOWN, 2)];
        assert_eq!(*counted.0.lock().unwrap(), BTreeMap::from(expected));
    }
}
