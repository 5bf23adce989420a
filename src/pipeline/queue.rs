//! The bounded hand-off from the agent's threads to the writer: never waits, counts what has no place.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;

use super::{Health, Home, Loss};
use crate::sink::Ended;

/// What all waiting drafts may hold together: a queue of prompts must not eat the agent's memory.
const MAX_BYTES: usize = 256 * 1024 * 1024;

/// Drafts below this are not weighed: a full queue of them takes 64 MiB.
const HEAVY_BYTES: usize = 4096;

/// Drafts on their way to the writer, and the orders it gets.
#[derive(Debug)]
pub(crate) struct Queue<D> {
    drafts: ArrayQueue<D>,
    /// Where spans wait that the store shows as running, when the queue is full: lost, they would
    /// run there for ever. They have run for a while, so they are few, and may wait for a lock.
    shown: Mutex<VecDeque<D>>,
    has_shown: AtomicBool,
    heavy_bytes: AtomicUsize,
    health: Arc<Health>,
    home: Home,
    is_closed: AtomicBool,
    /// The writer has taken its last draft.
    is_over: AtomicBool,
    stop: AtomicBool,
    /// Flushes asked for; the writer answers with the number it has done.
    asked: AtomicU64,
    done: Mutex<u64>,
    answered: Condvar,
    /// The writer's thread, to be woken by orders and by a queue that is half full.
    writer: OnceLock<Thread>,
}

impl<D: Ended> Queue<D> {
    pub(crate) fn new(capacity: usize, health: Arc<Health>, home: Home) -> Self {
        Queue {
            drafts: ArrayQueue::new(capacity.max(1)),
            shown: Mutex::default(),
            has_shown: AtomicBool::new(false),
            heavy_bytes: AtomicUsize::new(0),
            health,
            home,
            is_closed: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
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
        self.offer(draft).map_err(|(draft, loss)| {
            self.health.dropped(loss, 1);
            draft
        })
    }

    /// Hands over word that a stored span is to be taken out again; it counts as nothing captured.
    pub(crate) fn push_withdrawal(&self, draft: D) {
        let _ = self.offer(draft);
    }

    #[inline]
    fn offer(&self, draft: D) -> Result<(), (D, Loss)> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err((draft, self.why_closed()));
        }
        let bytes = draft.bytes();
        if bytes >= HEAVY_BYTES
            && self.heavy_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > MAX_BYTES
        {
            self.heavy_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err((draft, Loss::TooLarge));
        }
        let is_full = match self.drafts.push(draft) {
            Ok(()) => false,
            Err(draft) => {
                if let Err(draft) = self.keep_shown(draft) {
                    self.weigh_off(bytes);
                    return Err((draft, Loss::QueueFull));
                }
                true
            }
        };
        // The writer says that it is over, then looks for drafts a last time; here a draft is put in
        // the queue, and then it is looked whether the writer is over. In the one order of all that
        // is `SeqCst`, to which the queue's own steps belong, one of the two finds the draft.
        if self.is_over.load(Ordering::SeqCst) {
            self.discard();
        }
        // Waking costs a system call, so it is done at one filling only: the writer polls besides.
        if !is_full && self.drafts.len() == self.drafts.capacity() / 2 {
            self.wake();
        }
        Ok(())
    }

    #[cold]
    fn keep_shown(&self, draft: D) -> Result<(), D> {
        if !draft.is_announced() {
            return Err(draft);
        }
        let mut shown = locked(&self.shown);
        if shown.len() >= self.drafts.capacity() {
            return Err(draft);
        }
        shown.push_back(draft);
        self.has_shown.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// The next draft, for the writer.
    pub(super) fn pop(&self) -> Option<D> {
        let draft = self.drafts.pop().or_else(|| self.pop_shown())?;
        self.weigh_off(draft.bytes());
        Some(draft)
    }

    fn pop_shown(&self) -> Option<D> {
        if !self.has_shown.load(Ordering::SeqCst) {
            return None;
        }
        let mut shown = locked(&self.shown);
        let draft = shown.pop_front();
        self.has_shown.store(!shown.is_empty(), Ordering::SeqCst);
        draft
    }

    /// Counts what nobody writes any more.
    #[cold]
    fn discard(&self) {
        while let Some(draft) = self.pop() {
            if !draft.is_withdrawn() {
                self.health.dropped(Loss::AfterShutdown, 1);
            }
        }
    }

    #[cold]
    fn why_closed(&self) -> Loss {
        if self.home.is_known_to_be_left() {
            Loss::AfterFork
        } else {
            Loss::AfterShutdown
        }
    }

    fn weigh_off(&self, bytes: usize) {
        if bytes >= HEAVY_BYTES {
            self.heavy_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// How many drafts wait.
    pub(crate) fn depth(&self) -> usize {
        let shown = if self.has_shown.load(Ordering::Acquire) {
            locked(&self.shown).len()
        } else {
            0
        };
        self.drafts.len() + shown
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

    /// No more drafts; the writer ends once all that is queued is written.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.stop.store(true, Ordering::Release);
        self.wake();
    }

    /// There is no writer: nothing is taken, and nobody waits.
    pub(crate) fn abandon(&self) {
        self.close();
        self.end();
        self.answer(u64::MAX);
    }

    /// The writer takes no more drafts: what is in the queue or still comes is lost.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.discard();
    }

    /// Whether this process is a copy of the one with the writer. If so, nothing is taken any more.
    ///
    /// What is in the queue stays there: a thread that the copy does not have may have been about to
    /// put something in, and whoever took that out would wait for it for ever.
    pub(crate) fn is_in_fork(&self) -> bool {
        let is_left = self.home.is_left();
        if is_left {
            self.is_closed.store(true, Ordering::Release);
        }
        is_left
    }

    /// Flushes asked for so far. Read before the queue is drained, answered after it was written.
    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Acquire)
    }

    /// Tells those who wait that flushes up to this one are done.
    pub(super) fn answer(&self, ticket: u64) {
        let mut done = locked(&self.done);
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

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
