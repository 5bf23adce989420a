//! The entrance for log records: bounded, never waited for, and every one that is lost is counted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;
use opentelemetry::Context;

use super::line::LogLine;

/// What may wait for the collector, whatever the number of records.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// The most records for which room is made, whatever the environment says: it is made at once.
const MOST_LINES: usize = 1 << 17;
/// With what waited already, it took more memory than is meant for all.
const TOO_LARGE: &str = "too_large";

/// Between the agent's threads and the one that sends.
#[derive(Debug)]
pub(crate) struct LogQueue {
    lines: ArrayQueue<LogLine>,
    /// Places that are taken: by what waits, and by what is being read.
    taken: AtomicUsize,
    bytes: AtomicUsize,
    /// Events that got a place.
    accepted: AtomicU64,
    full: AtomicU64,
    late: AtomicU64,
    /// Events of a copy of the process, which has no thread that sends.
    forked: AtomicU64,
    is_sealed: AtomicBool,
    batch: usize,
    state: Mutex<State>,
    /// Both sides wait on it: the thread for work, a flush for the thread.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_wanted: bool,
    /// Tries so far that failed for the time being.
    failures: u64,
    /// The thread leaves the collector alone, and is not to be hurried.
    is_held: bool,
    phase: Phase,
    exported: u64,
    lost: BTreeMap<&'static str, u64>,
}

/// How far the thread has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Sending,
    /// It has ended.
    Done,
    /// Nobody waits for it any more: the counts are final.
    Closed,
}

/// What became of the events so far.
#[derive(Debug, Default)]
pub(crate) struct LogCounts {
    pub(crate) captured: u64,
    pub(crate) exported: u64,
    pub(crate) in_flight: u64,
    pub(crate) dropped: BTreeMap<&'static str, u64>,
}

/// A place in the queue, given back where nothing comes to stand in it.
#[derive(Debug)]
pub(crate) struct Place<'q> {
    queue: &'q LogQueue,
    is_filled: bool,
}

impl LogQueue {
    /// As the environment sets the sizes for every OpenTelemetry SDK: `OTEL_BLRP_MAX_QUEUE_SIZE` (2,048,
    /// at most 131,072) and `OTEL_BLRP_MAX_EXPORT_BATCH_SIZE` (512).
    pub(super) fn from_env() -> Self {
        let capacity = setting("OTEL_BLRP_MAX_QUEUE_SIZE", 2048).min(MOST_LINES);
        let batch = setting("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", 512);
        Self::new(capacity, batch.min(capacity))
    }

    fn new(capacity: usize, batch: usize) -> Self {
        LogQueue {
            lines: ArrayQueue::new(capacity),
            taken: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            accepted: AtomicU64::new(0),
            full: AtomicU64::new(0),
            late: AtomicU64::new(0),
            forked: AtomicU64::new(0),
            is_sealed: AtomicBool::new(false),
            batch,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Whether what happens here is an export's own doing.
    pub(crate) fn is_suppressed() -> bool {
        Context::is_current_telemetry_suppressed()
    }

    /// An event happened in a copy of the process: a thread that is not there may hold any lock for ever.
    pub(crate) fn lose_after_fork(&self) {
        self.forked.fetch_add(1, Ordering::Relaxed);
    }

    /// A place for an event, asked for before anything of it is read.
    pub(crate) fn reserve(&self) -> Option<Place<'_>> {
        if self.is_sealed() {
            self.late.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        if self.taken.fetch_add(1, Ordering::AcqRel) >= self.lines.capacity() {
            self.taken.fetch_sub(1, Ordering::AcqRel);
            self.full.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        self.accepted.fetch_add(1, Ordering::AcqRel);
        Some(Place {
            queue: self,
            is_filled: false,
        })
    }

    /// Waits for a batch, for somebody who wants one, and no longer than `delay`.
    pub(super) fn wait(&self, delay: Duration) {
        let state = self.state();
        let waited = self.changed.wait_timeout_while(state, delay, |state| {
            !state.is_wanted && !self.is_sealed() && self.lines.len() < self.batch
        });
        waited.unwrap_or_else(PoisonError::into_inner).0.is_wanted = false;
    }

    /// The next batch; empty where nothing waits.
    pub(super) fn take(&self) -> Vec<LogLine> {
        let mut lines = Vec::new();
        while lines.len() < self.batch
            && let Some(line) = self.lines.pop()
        {
            self.bytes.fetch_sub(line.bytes(), Ordering::Relaxed);
            self.taken.fetch_sub(1, Ordering::AcqRel);
            lines.push(line);
        }
        lines
    }

    /// Counts what became of a batch: how many of it are lost, and why.
    pub(super) fn settle(&self, lines: usize, lost: Option<(&'static str, usize)>) {
        let (lines, mut state) = (count(lines), self.state());
        if state.phase == Phase::Closed {
            return;
        }
        let mut taken = lines;
        if let Some((reason, lost)) = lost {
            let lost = count(lost).min(lines);
            taken -= lost;
            *state.lost.entry(reason).or_default() += lost;
        }
        state.exported += taken;
        drop(state);
        self.changed.notify_all();
    }

    /// A try failed that is to be made again: waits until then. Where it costs next to nothing, whoever
    /// flushes has it made at once.
    pub(super) fn rest(&self, pause: Duration, is_cheap: bool) {
        let mut state = self.state();
        state.failures += 1;
        state.is_held = !is_cheap;
        state.is_wanted = false;
        self.changed.notify_all();
        let waited = self.changed.wait_timeout_while(state, pause, |state| {
            !(self.is_sealed() || (is_cheap && state.is_wanted))
        });
        waited.unwrap_or_else(PoisonError::into_inner).0.is_held = false;
    }

    /// Whether events have found no room.
    pub(super) fn was_full(&self) -> bool {
        self.full.load(Ordering::Relaxed) > 0 || self.state().lost.contains_key(TOO_LARGE)
    }

    /// Has what waits sent soon, without waiting for it.
    pub(super) fn nudge(&self) {
        self.state().is_wanted = true;
        self.changed.notify_all();
    }

    /// Waits until all that was accepted is settled, or a collector cannot take it now; `Ok` where it is
    /// settled.
    pub(super) fn flush(&self, timeout: Duration) -> Result<(), String> {
        let target = self.accepted.load(Ordering::Acquire);
        // Read first: the try that is under way may be the one that fails.
        let failures = self.state().failures;
        self.nudge();
        self.wait_until(timeout, |state| {
            state.phase == Phase::Closed
                || state.settled() >= target
                || state.is_held
                || state.failures > failures
        });
        if self.state().settled() < target {
            return Err("not all log records were exported in time".to_owned());
        }
        Ok(())
    }

    /// Takes nothing more; the thread sends what is there and ends.
    pub(super) fn seal(&self) {
        // Under the lock, so that the thread does not miss it between looking and waiting.
        let state = self.state();
        self.is_sealed.store(true, Ordering::Release);
        drop(state);
        self.changed.notify_all();
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.is_sealed.load(Ordering::Acquire)
    }

    /// The thread has ended.
    pub(super) fn done(&self) {
        let mut state = self.state();
        if state.phase == Phase::Sending {
            state.phase = Phase::Done;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Waits for the thread; what it has not sent by then counts as lost from here on.
    pub(super) fn close(&self, timeout: Duration) {
        self.wait_until(timeout, |state| state.phase != Phase::Sending);
        self.state().phase = Phase::Closed;
    }

    /// The counts at this moment.
    pub(super) fn counts(&self) -> LogCounts {
        let state = self.state();
        let (mut dropped, settled) = (state.lost.clone(), state.settled());
        let accepted = self.accepted.load(Ordering::Acquire);
        let [full, late] = [&self.full, &self.late].map(|count| count.load(Ordering::Relaxed));
        let mut in_flight = accepted.saturating_sub(settled);
        let left = if state.phase == Phase::Closed {
            std::mem::take(&mut in_flight)
        } else {
            0
        };
        for (reason, lost) in [
            ("queue_full", full),
            ("after_shutdown", late),
            ("not_in_time", left),
        ] {
            if lost > 0 {
                *dropped.entry(reason).or_default() += lost;
            }
        }
        LogCounts {
            captured: accepted + full + late,
            exported: state.exported,
            in_flight,
            dropped,
        }
    }

    /// The counts as a copy of the process has them.
    pub(super) fn counts_of_fork(&self) -> LogCounts {
        let captured = self.forked.load(Ordering::Relaxed);
        LogCounts {
            captured,
            dropped: BTreeMap::from_iter((captured > 0).then_some(("after_fork", captured))),
            ..LogCounts::default()
        }
    }

    fn wait_until(&self, timeout: Duration, done: impl Fn(&State) -> bool) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.state();
        while !done(&state) {
            let left =
                deadline.map_or(timeout, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Of what was accepted, how much is out of the house or lost.
    fn settled(&self) -> u64 {
        self.exported + self.lost.values().sum::<u64>()
    }
}

impl Place<'_> {
    /// Hands the event over.
    pub(crate) fn fill(mut self, line: LogLine) {
        let (queue, bytes) = (self.queue, line.bytes());
        if queue.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > MOST_BYTES {
            queue.bytes.fetch_sub(bytes, Ordering::Relaxed);
            queue.taken.fetch_sub(1, Ordering::AcqRel);
            queue.settle(1, Some((TOO_LARGE, 1)));
            self.is_filled = true;
            return;
        }
        // A place was free, so there is room.
        if queue.lines.push(line).is_ok() {
            self.is_filled = true;
        }
        // Waking costs a system call, so not every line does it; the thread looks by itself besides.
        if queue.lines.len().is_multiple_of(queue.batch) {
            queue.changed.notify_all();
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.is_filled {
            // The value that was to be formatted panicked; that is between it and the program.
            self.queue.taken.fetch_sub(1, Ordering::AcqRel);
            self.queue.settle(1, Some(("panic", 1)));
        }
    }
}

/// A positive number of the environment.
pub(super) fn setting(name: &str, default: usize) -> usize {
    let set = std::env::var(name).ok();
    let set = set.and_then(|value| value.trim().parse().ok());
    set.filter(|number: &usize| *number > 0).unwrap_or(default)
}

fn count(lines: usize) -> u64 {
    u64::try_from(lines).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::time::{Duration, SystemTime};

    use tracing::Level;

    use super::{LogLine, LogQueue, MOST_BYTES};

    fn line(message: String) -> LogLine {
        LogLine {
            time: SystemTime::now(),
            level: Level::INFO,
            target: Cow::Borrowed("t"),
            name: None,
            ids: None,
            is_sampled: false,
            message: Some(message),
            fields: Vec::new(),
            is_clean: false,
        }
    }

    #[test]
    fn what_finds_no_place_is_counted_and_everything_adds_up() {
        let queue = LogQueue::new(2, 1);
        for _ in 0..3 {
            if let Some(place) = queue.reserve() {
                place.fill(line("m".to_owned()));
            }
        }
        assert_eq!(queue.take().len(), 1);
        queue.settle(1, None);
        drop(queue.reserve());
        queue.seal();
        assert!(queue.reserve().is_none());
        assert!(queue.flush(Duration::ZERO).is_err());
        let counts = queue.counts();
        assert_eq!(
            (counts.captured, counts.exported, counts.in_flight),
            (5, 1, 1)
        );
        queue.close(Duration::ZERO);
        let counts = queue.counts();
        let dropped: Vec<_> = counts.dropped.into_iter().collect();
        assert_eq!(
            dropped,
            [
                ("after_shutdown", 1),
                ("not_in_time", 1),
                ("panic", 1),
                ("queue_full", 1)
            ]
        );
        assert_eq!(counts.in_flight, 0);
    }

    #[test]
    fn long_messages_take_the_room_of_many() {
        let queue = LogQueue::new(8, 8);
        let half = || line("x".repeat(MOST_BYTES / 2 - 1024));
        for _ in 0..3 {
            queue.reserve().unwrap().fill(half());
        }
        let counts = queue.counts();
        assert_eq!((counts.captured, counts.in_flight), (3, 2));
        assert_eq!(counts.dropped["too_large"], 1);
        assert_eq!(queue.take().len(), 2);
        queue.settle(2, None);
        queue.reserve().unwrap().fill(half());
        assert_eq!(queue.counts().in_flight, 1);
    }

    #[test]
    fn a_flush_waits_for_no_collector_that_is_left_alone() {
        let queue = LogQueue::new(8, 8);
        queue.reserve().unwrap().fill(line("m".to_owned()));
        std::thread::scope(|scope| {
            scope.spawn(|| queue.rest(Duration::from_secs(60), false));
            while !queue.state().is_held {
                std::thread::yield_now();
            }
            assert!(queue.flush(Duration::from_secs(60)).is_err());
            queue.seal();
        });
        assert!(!queue.state().is_held);
    }

    #[test]
    fn a_copy_of_the_process_counts_its_own_alone() {
        let queue = LogQueue::new(2, 1);
        queue.reserve().unwrap().fill(line("m".to_owned()));
        queue.lose_after_fork();
        let counts = queue.counts_of_fork();
        assert_eq!((counts.captured, counts.in_flight), (1, 0));
        assert_eq!(counts.dropped["after_fork"], 1);
    }
}
