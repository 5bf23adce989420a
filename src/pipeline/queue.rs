//! The bounded hand-off from the agent's threads to the writer: never waits, counts what has no place.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;

use super::{Health, Loss};
use crate::sink::Ended;

/// What all waiting drafts may hold together: a queue of prompts must not eat the agent's memory.
const MAX_BYTES: usize = 256 * 1024 * 1024;

/// Drafts below this are not weighed: a full queue of them takes 64 MiB.
const HEAVY_BYTES: usize = 4096;

/// How many drafts that are lost and missed are told to the sinks between two ticks.
const LOST: usize = 1024;

/// Drafts on their way to the writer, and the orders it gets.
#[derive(Debug)]
pub(crate) struct Queue<D> {
    drafts: ArrayQueue<D>,
    /// Where those wait that would be missed, when the queue is full: the store shows them, or their
    /// run, as running. They are few, and may wait for a lock.
    missed: Mutex<VecDeque<D>>,
    has_missed: AtomicBool,
    /// Those of them that are lost all the same, for sinks that wait for their end.
    lost: ArrayQueue<D>,
    heavy_bytes: AtomicUsize,
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

impl<D: Ended> Queue<D> {
    pub(crate) fn new(capacity: usize, health: Arc<Health>) -> Self {
        Queue {
            drafts: ArrayQueue::new(capacity.max(1)),
            missed: Mutex::default(),
            has_missed: AtomicBool::new(false),
            lost: ArrayQueue::new(LOST),
            heavy_bytes: AtomicUsize::new(0),
            health,
            is_closed: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            asked: AtomicU64::new(0),
            done: Mutex::new(0),
            answered: Condvar::new(),
            writer: OnceLock::new(),
        }
    }

    /// How many drafts may wait.
    pub(crate) fn capacity(&self) -> usize {
        self.drafts.capacity()
    }

    /// Hands over a span that ended. Never waits. Gives the draft back where it is lost.
    #[inline]
    pub(crate) fn push(&self, draft: D) -> Result<(), D> {
        self.health.captured();
        let Err((draft, loss)) = self.offer(draft) else {
            return Ok(());
        };
        self.health.dropped(loss, 1);
        if draft.is_missed() {
            return self.lost.push(draft);
        }
        Err(draft)
    }

    /// Hands over word that a stored span is to be taken out again; it counts as nothing captured.
    pub(crate) fn push_withdrawal(&self, draft: D) {
        let _ = self.offer(draft);
    }

    #[inline]
    fn offer(&self, draft: D) -> Result<(), (D, Loss)> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err((draft, Loss::AfterShutdown));
        }
        let bytes = draft.bytes();
        if bytes >= HEAVY_BYTES
            && self.heavy_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > MAX_BYTES
        {
            self.heavy_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err((draft, Loss::TooLarge));
        }
        if let Err(draft) = self.drafts.push(draft) {
            return self.keep_missed(draft).map_err(|draft| {
                self.weigh_off(bytes);
                (draft, Loss::QueueFull)
            });
        }
        // Waking costs a system call, so it is done at one filling only: the writer polls besides.
        if self.drafts.len() == self.drafts.capacity() / 2 {
            self.wake();
        }
        Ok(())
    }

    #[cold]
    fn keep_missed(&self, draft: D) -> Result<(), D> {
        if !draft.is_missed() {
            return Err(draft);
        }
        let mut missed = locked(&self.missed);
        if missed.len() >= self.drafts.capacity() {
            return Err(draft);
        }
        missed.push_back(draft);
        self.has_missed.store(true, Ordering::Release);
        Ok(())
    }

    /// The next draft, for the writer.
    pub(super) fn pop(&self) -> Option<D> {
        let draft = self.drafts.pop().or_else(|| self.pop_missed())?;
        self.weigh_off(draft.bytes());
        Some(draft)
    }

    /// Those that are lost and missed.
    pub(super) fn take_lost(&self) -> Vec<D> {
        std::iter::from_fn(|| self.lost.pop()).take(LOST).collect()
    }

    fn pop_missed(&self) -> Option<D> {
        if !self.has_missed.load(Ordering::Acquire) {
            return None;
        }
        let mut missed = locked(&self.missed);
        let draft = missed.pop_front();
        self.has_missed.store(!missed.is_empty(), Ordering::Release);
        draft
    }

    fn weigh_off(&self, bytes: usize) {
        if bytes >= HEAVY_BYTES {
            self.heavy_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// How many drafts wait.
    pub(crate) fn depth(&self) -> usize {
        let missed = if self.has_missed.load(Ordering::Acquire) {
            locked(&self.missed).len()
        } else {
            0
        };
        self.drafts.len() + missed
    }

    /// Asks the writer to write all that is queued by now, and waits until it has.
    ///
    /// Returns whether it did so in time.
    pub(crate) fn flush(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let ticket = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
        self.wake();
        let mut done = locked(&self.done);
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

    /// No more drafts; what is queued gets its last chance.
    pub(crate) fn seal(&self) {
        self.is_closed.store(true, Ordering::Release);
    }

    /// No more drafts; the writer ends once all that is queued is written.
    pub(crate) fn close(&self) {
        self.seal();
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

    /// Whether somebody waits for this flush.
    pub(super) fn is_awaited(&self, ticket: u64) -> bool {
        *locked(&self.done) < ticket
    }

    /// Tells those who wait that flushes up to this one are done.
    pub(super) fn answer(&self, ticket: u64) {
        let mut done = locked(&self.done);
        if *done < ticket {
            *done = ticket;
            self.answered.notify_all();
        }
    }

    pub(super) fn is_sealed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
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

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
