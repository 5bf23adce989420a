//! The bounded hand-off from the agent's threads to the writer: never waits, counts what has no place.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;

use super::happenings::Happenings;
use super::{Health, Home, Loss};
use crate::record::Happening;
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
    pub(crate) happenings: Happenings,
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
            missed: Mutex::default(),
            has_missed: AtomicBool::new(false),
            lost: ArrayQueue::new(LOST),
            heavy_bytes: AtomicUsize::new(0),
            happenings: Happenings::default(),
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

    /// Hands over an event, which is no span.
    pub(crate) fn happened(&self, happening: Happening) {
        let is_closed = self.is_in_fork() || self.is_closed.load(Ordering::Acquire);
        let closed = is_closed.then(|| self.why_closed());
        self.happenings.push(happening, closed);
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
                if let Err(draft) = self.keep_missed(draft) {
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
    fn keep_missed(&self, draft: D) -> Result<(), D> {
        if !draft.is_missed() {
            return Err(draft);
        }
        let mut missed = locked(&self.missed);
        if missed.len() >= self.drafts.capacity() {
            return Err(draft);
        }
        missed.push_back(draft);
        self.has_missed.store(true, Ordering::SeqCst);
        Ok(())
    }

    /// The next draft, for the writer.
    pub(super) fn pop(&self) -> Option<D> {
        let Some(draft) = self.drafts.pop() else {
            return self.pop_missed();
        };
        self.weigh_off(draft.bytes());
        Some(draft)
    }

    /// Those that are lost and missed.
    pub(super) fn take_lost(&self) -> Vec<D> {
        std::iter::from_fn(|| self.lost.pop()).take(LOST).collect()
    }

    /// The next of those that would be missed, before all others.
    pub(super) fn pop_missed(&self) -> Option<D> {
        if !self.has_missed.load(Ordering::SeqCst) {
            return None;
        }
        let mut missed = locked(&self.missed);
        let draft = missed.pop_front()?;
        self.has_missed.store(!missed.is_empty(), Ordering::SeqCst);
        drop(missed);
        self.weigh_off(draft.bytes());
        Some(draft)
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
        self.drafts.len() + self.missed()
    }

    /// How many of them would be missed.
    pub(super) fn missed(&self) -> usize {
        if self.has_missed.load(Ordering::Acquire) {
            locked(&self.missed).len()
        } else {
            0
        }
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
        self.end();
        self.answer(u64::MAX);
    }

    /// The writer takes no more drafts: what is in the queue or still comes is lost.
    pub(super) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.discard();
        self.happenings.end();
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

/// Not with loom: the queue's own steps are crossbeam's, which loom does not see, and a model without
/// them would prove nothing of the order that [`Queue::end`] relies on. So one step after the other is
/// compared with a model that anybody can read, the one race that matters is played by hand, and
/// threads do the rest.
#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, VecDeque};
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};
    use std::thread;

    use proptest::prelude::*;

    use super::{HEAVY_BYTES, MAX_BYTES, Queue};
    use crate::diagnostic::Diagnostics;
    use crate::pipeline::{Health, Home};
    use crate::record::{SpanId, SpanRecord};
    use crate::sink::Ended;

    /// A draft that is but a number.
    #[derive(Debug, Default)]
    struct Item {
        number: u64,
        is_missed: bool,
        is_withdrawn: bool,
        bytes: usize,
        /// What happens between the gate and the queue, where the draft is weighed.
        meanwhile: Meanwhile,
    }

    #[derive(Default)]
    struct Meanwhile(Mutex<Option<Box<dyn FnOnce() + Send>>>);

    impl std::fmt::Debug for Meanwhile {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Meanwhile")
        }
    }

    impl Ended for Item {
        fn record(&self) -> Arc<SpanRecord> {
            panic!("nobody asks for it here")
        }

        fn is_missed(&self) -> bool {
            self.is_missed
        }

        fn span_id(&self) -> SpanId {
            SpanId::generate()
        }

        fn is_withdrawn(&self) -> bool {
            self.is_withdrawn
        }

        fn bytes(&self) -> usize {
            let meanwhile = self.meanwhile.0.lock().unwrap().take();
            if let Some(meanwhile) = meanwhile {
                meanwhile();
            }
            self.bytes
        }
    }

    fn queue(capacity: usize) -> (Arc<Queue<Item>>, Arc<Health>) {
        let health = Arc::new(Health::default());
        let home = Home::here(Arc::new(Diagnostics::default()));
        let queue = Queue::new(capacity, Arc::clone(&health), home);
        (Arc::new(queue), health)
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push { is_missed: bool, bytes: usize },
        Withdraw,
        Pop,
        Close,
        End,
    }

    fn step() -> impl Strategy<Value = Step> {
        let bytes = prop_oneof![
            4 => Just(0),
            1 => Just(HEAVY_BYTES),
            1 => Just(MAX_BYTES / 2),
            1 => Just(MAX_BYTES),
        ];
        prop_oneof![
            12 => (any::<bool>(), bytes)
                .prop_map(|(is_missed, bytes)| Step::Push { is_missed, bytes }),
            2 => Just(Step::Withdraw),
            8 => Just(Step::Pop),
            1 => Just(Step::Close),
            1 => Just(Step::End),
        ]
    }

    /// What the queue is to do, in the simplest words.
    #[derive(Default)]
    struct Model {
        capacity: usize,
        drafts: VecDeque<(u64, usize, bool)>,
        shown: VecDeque<(u64, usize, bool)>,
        is_closed: bool,
        captured: u64,
        lost: BTreeMap<&'static str, u64>,
    }

    impl Model {
        fn heavy(&self) -> usize {
            let all = self.drafts.iter().chain(&self.shown);
            all.map(|(_, bytes, _)| bytes)
                .filter(|bytes| **bytes >= HEAVY_BYTES)
                .sum()
        }

        fn offer(&mut self, item: &Item) -> Option<&'static str> {
            let draft = (item.number, item.bytes, item.is_withdrawn);
            if self.is_closed {
                return Some("after_shutdown");
            }
            if item.bytes >= HEAVY_BYTES && self.heavy() + item.bytes > MAX_BYTES {
                return Some("too_large");
            }
            if self.drafts.len() < self.capacity {
                self.drafts.push_back(draft);
            } else if item.is_missed && self.shown.len() < self.capacity {
                self.shown.push_back(draft);
            } else {
                return Some("queue_full");
            }
            None
        }

        fn pop(&mut self) -> Option<(u64, usize, bool)> {
            self.drafts.pop_front().or_else(|| self.shown.pop_front())
        }

        fn count(&mut self, reason: &'static str) {
            *self.lost.entry(reason).or_default() += 1;
        }
    }

    proptest! {
        #[test]
        fn it_does_as_its_model_does(
            capacity in 1_usize..5,
            steps in prop::collection::vec(step(), 1..120),
        ) {
            let (queue, health) = queue(capacity);
            let mut model = Model { capacity, ..Model::default() };
            for (number, step) in (0..).zip(steps) {
                match step {
                    Step::Push { is_missed, bytes } => {
                        let item = Item { number, is_missed, bytes, ..Item::default() };
                        let loss = model.offer(&item);
                        model.captured += 1;
                        if let Some(reason) = loss {
                            model.count(reason);
                        }
                        let back = queue.push(item).err().map(|item| item.number);
                        // One that is missed is kept for the sinks to hear of.
                        prop_assert_eq!(back, loss.filter(|_| !is_missed).map(|_| number));
                    }
                    Step::Withdraw => {
                        let withdrawal = || Item { number, is_withdrawn: true, ..Item::default() };
                        model.offer(&withdrawal());
                        queue.push_withdrawal(withdrawal());
                    }
                    Step::Pop => {
                        let popped = queue.pop().map(|item| item.number);
                        prop_assert_eq!(popped, model.pop().map(|draft| draft.0));
                    }
                    Step::Close => {
                        model.is_closed = true;
                        queue.close();
                    }
                    Step::End => {
                        model.is_closed = true;
                        queue.close();
                        queue.end();
                        while let Some((_, _, is_withdrawn)) = model.pop() {
                            if !is_withdrawn {
                                model.count("after_shutdown");
                            }
                        }
                    }
                }
                prop_assert_eq!(queue.depth(), model.drafts.len() + model.shown.len());
                prop_assert_eq!(queue.heavy_bytes.load(Ordering::Relaxed), model.heavy());
                let losses: BTreeMap<_, _> = health.losses().into_iter().collect();
                prop_assert_eq!(&losses, &model.lost);
                prop_assert_eq!(health.stats(0).captured, model.captured);
            }
        }
    }

    #[test]
    fn a_draft_that_comes_in_after_the_writers_last_look_is_counted() {
        for is_full in [false, true] {
            let (queue, health) = queue(1);
            let ending = Arc::clone(&queue);
            let meanwhile = move || {
                ending.close();
                ending.end();
                if is_full {
                    // By another that is late: this one then waits among those that are shown.
                    ending.health.captured();
                    ending.drafts.push(Item::default()).unwrap();
                }
            };
            let late = Item {
                is_missed: true,
                meanwhile: Meanwhile(Mutex::new(Some(Box::new(meanwhile)))),
                ..Item::default()
            };
            let _ = queue.push(late);
            assert_eq!(queue.depth(), 0);
            let captured = 1 + u64::from(is_full);
            assert_eq!(health.losses(), [("after_shutdown", captured)]);
            assert_eq!(health.stats(0).captured, captured);
        }
    }

    #[test]
    fn an_abandoned_queue_takes_nothing_and_lets_nobody_wait() {
        let (queue, health) = queue(4);
        queue.abandon();
        assert!(queue.push(Item::default()).is_err());
        assert!(queue.flush(std::time::Duration::MAX / 4));
        assert_eq!(health.losses(), [("after_shutdown", 1)]);
    }

    #[test]
    fn threads_that_push_while_it_ends_lose_nothing_uncounted() {
        const EACH: u64 = if cfg!(miri) { 50 } else { 2_000 };
        for _ in 0..if cfg!(miri) { 2 } else { 50 } {
            let (queue, health) = queue(8);
            let (popped, pushed) = (AtomicU64::new(0), AtomicU64::new(0));
            let is_over = AtomicBool::new(false);
            let mut seen = Vec::new();
            thread::scope(|scope| {
                for thread in 0..3 {
                    let (queue, pushed) = (&queue, &pushed);
                    scope.spawn(move || {
                        for number in 0..EACH {
                            let item = Item {
                                number: thread << 32 | number,
                                is_missed: number % 3 == 0,
                                bytes: usize::from(number % 5 == 0) * HEAVY_BYTES,
                                ..Item::default()
                            };
                            pushed.fetch_add(1, Ordering::Relaxed);
                            let _ = queue.push(item);
                        }
                    });
                }
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        let stats = health.stats(queue.depth());
                        let lost: u64 = stats.dropped.values().sum();
                        assert_eq!(stats.captured, stats.written + lost + stats.in_flight);
                    }
                });
                while pushed.load(Ordering::Relaxed) < 2 * EACH {
                    if let Some(item) = queue.pop() {
                        seen.push(item.number);
                        popped.fetch_add(1, Ordering::Relaxed);
                        health.written(1);
                    }
                }
                queue.close();
                queue.end();
                is_over.store(true, Ordering::Relaxed);
            });
            let stats = health.stats(queue.depth());
            assert_eq!((stats.captured, stats.queue_depth), (3 * EACH, 0));
            assert_eq!(stats.in_flight, 0, "{stats:?}");
            assert_eq!(queue.heavy_bytes.load(Ordering::Relaxed), 0);
            let count = seen.len();
            seen.sort_unstable();
            seen.dedup();
            assert_eq!(seen.len(), count, "none came out twice");
        }
    }
}
