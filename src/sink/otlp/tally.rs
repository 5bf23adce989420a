//! The account of the spans handed to the exporter: each one ends as delivered, lost or withdrawn, once.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::ExportCounter;

/// Why spans were not exported, as the counters name it.
pub(super) mod reason {
    pub(in super::super) const QUEUE_FULL: &str = "otlp_queue_full";
    pub(in super::super) const SHUTDOWN: &str = "otlp_shutdown";
    pub(in super::super) const PANIC: &str = "otlp_panic";
    pub(in super::super) const REJECTED: &str = "otlp_rejected";
    pub(in super::super) const HTTP: &str = "otlp_http";
    #[cfg(feature = "otlp-grpc")]
    pub(in super::super) const GRPC: &str = "otlp_grpc";
}

/// Far enough below zero that no span on its way brings the count back.
const CLOSED: i64 = i64::MIN / 2;

/// Counts spans from the end of the span to the answer of the collector.
#[derive(Debug)]
pub(super) struct Tally {
    counter: Arc<dyn ExportCounter>,
    capacity: i64,
    /// Spans under way; below zero once closed, so that one number decides who counts a span.
    open: AtomicI64,
    /// Spans whose fate is known, for flushes to wait on. Changes together with `open`, so that a
    /// flush sees each span on one side or the other.
    settled: Mutex<u64>,
    failed: AtomicU64,
    is_closing: AtomicBool,
    has_been_full: AtomicBool,
    last_trouble: Mutex<String>,
}

impl Tally {
    /// Lets at most `capacity` spans be under way at once.
    pub(super) fn new(counter: Arc<dyn ExportCounter>, capacity: usize) -> Self {
        Tally {
            counter,
            capacity: i64::try_from(capacity).unwrap_or(i64::MAX),
            open: AtomicI64::new(0),
            settled: Mutex::new(0),
            failed: AtomicU64::new(0),
            is_closing: AtomicBool::new(false),
            has_been_full: AtomicBool::new(false),
            last_trouble: Mutex::new(String::new()),
        }
    }

    /// Takes one span in; false: there is no room for it, and it is counted as lost.
    pub(super) fn admit(&self) -> bool {
        let under_way = self.open.fetch_add(1, Ordering::AcqRel);
        if (0..self.capacity).contains(&under_way) {
            return true;
        }
        self.open.fetch_sub(1, Ordering::AcqRel);
        if under_way < 0 {
            self.came_late();
        } else {
            self.counter.lost(reason::QUEUE_FULL, 1);
            self.failed.fetch_add(1, Ordering::Relaxed);
            if !self.has_been_full.swap(true, Ordering::Relaxed) {
                self.trouble(
                    reason::QUEUE_FULL,
                    format!(
                        "{} spans are on their way out already (OTEL_BSP_MAX_QUEUE_SIZE); \
                         others are not exported, they stay in the local store",
                        self.capacity
                    ),
                );
            }
        }
        false
    }

    /// Spans that every way out took.
    pub(super) fn delivered(&self, spans: usize) {
        if self.settle(spans) {
            self.counter.exported(count(spans));
        }
    }

    /// Spans that some way out did not take.
    pub(super) fn lost(&self, reason: &'static str, spans: usize) {
        if self.settle(spans) {
            self.failed.fetch_add(count(spans), Ordering::Relaxed);
            self.counter.lost(reason, count(spans));
        }
    }

    /// Spans that were not meant to leave.
    pub(super) fn withdrawn(&self, spans: usize) {
        self.settle(spans);
    }

    /// A span that ended after the shutdown.
    pub(super) fn came_late(&self) {
        self.counter.lost(reason::SHUTDOWN, 1);
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
        !self.is_closing.load(Ordering::Relaxed)
    }

    /// Whether the shutdown is over and nothing waits for the exporter any more.
    pub(super) fn is_closed(&self) -> bool {
        self.open.load(Ordering::Acquire) < 0
    }

    /// From here on spans that end are too late.
    pub(super) fn start_closing(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
    }

    /// Counts whatever is still under way as lost and gives the number; what the exporter says of
    /// these spans later is not counted again.
    pub(super) fn close(&self) -> u64 {
        let abandoned = u64::try_from(self.open.swap(CLOSED, Ordering::AcqRel)).unwrap_or(0);
        if abandoned > 0 {
            self.counter.lost(reason::SHUTDOWN, abandoned);
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

    use super::super::ExportCounter;
    use super::{Tally, reason};

    #[derive(Debug, Default)]
    struct Counted(Mutex<BTreeMap<&'static str, u64>>);

    impl ExportCounter for Counted {
        fn exported(&self, spans: u64) {
            *self.0.lock().unwrap().entry("exported").or_default() += spans;
        }
        fn lost(&self, reason: &'static str, spans: u64) {
            *self.0.lock().unwrap().entry(reason).or_default() += spans;
        }
        fn trouble(&self, kind: &'static str, _: &str) {
            *self
                .0
                .lock()
                .unwrap()
                .entry(if kind == reason::QUEUE_FULL {
                    "told"
                } else {
                    kind
                })
                .or_default() += 1;
        }
    }

    #[test]
    fn every_span_is_counted_once() {
        let counted = Arc::new(Counted::default());
        let tally = Tally::new(Arc::clone(&counted) as Arc<dyn ExportCounter>, 4);
        let admitted = (0..6).filter(|_| tally.admit()).count();
        assert_eq!(admitted, 4);
        let target = tally.flush_target();
        tally.delivered(1);
        tally.lost(reason::HTTP, 1);
        tally.withdrawn(1);
        assert!(!tally.has_reached(target));
        assert_eq!(tally.close(), 1);
        assert_eq!(tally.close(), 0);
        // The exporter was still at it, and a span ends after all.
        tally.delivered(1);
        assert!(!tally.admit());
        let expected = [
            ("exported", 1),
            (reason::HTTP, 1),
            (reason::QUEUE_FULL, 2),
            (reason::SHUTDOWN, 2),
            ("told", 1),
        ];
        assert_eq!(*counted.0.lock().unwrap(), BTreeMap::from(expected));
    }
}
