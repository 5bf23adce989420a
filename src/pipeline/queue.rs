//! The bounded hand-off from the agent's threads to the writer: never waits, counts what has no place.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;

use super::{Health, Loss};
use crate::record::SpanRecord;

/// How many lost records are told to the sinks between two ticks.
const LOST: usize = 1024;

/// Records on their way to the writer, and the orders it gets.
#[derive(Debug)]
pub(crate) struct Queue {
    records: ArrayQueue<Arc<SpanRecord>>,
    /// Some of the records that had no place, for sinks that wait for the end of what they know.
    lost: ArrayQueue<Arc<SpanRecord>>,
    health: Arc<Health>,
    is_closed: AtomicBool,
    stop: AtomicBool,
    /// Flushes asked for; the writer answers with the number it has done.
    asked: AtomicU64,
    done: Mutex<u64>,
    answered: Condvar,
    /// The writer's thread, to be woken by orders and by a queue that is half full.
    writer: OnceLock<Thread>,
}

impl Queue {
    pub(crate) fn new(capacity: usize, health: Arc<Health>) -> Self {
        Queue {
            records: ArrayQueue::new(capacity.max(1)),
            lost: ArrayQueue::new(LOST),
            health,
            is_closed: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            asked: AtomicU64::new(0),
            done: Mutex::new(0),
            answered: Condvar::new(),
            writer: OnceLock::new(),
        }
    }

    /// Hands over the record of a span that ended. Never waits.
    pub(crate) fn push(&self, record: Arc<SpanRecord>) {
        self.health.captured();
        if self.is_closed.load(Ordering::Acquire) {
            self.health.dropped(Loss::AfterShutdown, 1);
            return;
        }
        self.offer(record, true);
    }

    /// Hands over word that a stored span is to be taken out again; it counts as nothing captured.
    pub(crate) fn push_withdrawal(&self, record: Arc<SpanRecord>) {
        if !self.is_closed.load(Ordering::Acquire) {
            self.offer(record, false);
        }
    }

    fn offer(&self, record: Arc<SpanRecord>, counts: bool) {
        if let Err(record) = self.records.push(record) {
            if counts {
                self.health.dropped(Loss::QueueFull, 1);
                let _ = self.lost.push(record);
            }
            return;
        }
        // Waking costs a system call, so it is done at one filling only: the writer polls besides.
        if self.records.len() == self.records.capacity() / 2 {
            self.wake();
        }
    }

    /// The next record, for the writer.
    pub(super) fn pop(&self) -> Option<Arc<SpanRecord>> {
        self.records.pop()
    }

    /// Records that had no place.
    pub(super) fn pop_lost(&self) -> Vec<Arc<SpanRecord>> {
        std::iter::from_fn(|| self.lost.pop()).take(LOST).collect()
    }

    /// How many records wait.
    pub(crate) fn depth(&self) -> usize {
        self.records.len()
    }

    /// Asks the writer to write all that is queued by now, and waits until it has.
    ///
    /// Returns whether it did so in time.
    pub(crate) fn flush(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let ticket = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
        self.wake();
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        while *done < ticket {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            done = self
                .answered
                .wait_timeout(done, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }

    /// No more records; the writer ends once all that is queued is written.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.stop.store(true, Ordering::Release);
        self.wake();
    }

    /// There is no writer: nothing is taken, and nobody waits.
    pub(crate) fn abandon(&self) {
        self.close();
        self.answer(u64::MAX);
    }

    /// Flushes asked for so far. Read before the queue is drained, answered after it was written.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Acquire)
    }

    /// Tells those who wait that flushes up to this one are done.
    pub(super) fn answer(&self, ticket: u64) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        if *done < ticket {
            *done = ticket;
            self.answered.notify_all();
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// The writer says which thread it runs on.
    pub(super) fn attend(&self, writer: Thread) {
        let _ = self.writer.set(writer);
    }

    fn wake(&self) {
        if let Some(writer) = self.writer.get() {
            writer.unpark();
        }
    }
}
