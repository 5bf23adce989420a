//! The side table: what Hermes knows of spans that have ended and wait for their export.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crossbeam_queue::ArrayQueue;
use foldhash::fast::RandomState;

use crate::record::SpanId;
use crate::sink::Ended;

/// How many withdrawn spans are remembered for children that are exported after them.
const WITHDRAWN: usize = 4096;
/// How many spans may arrive before somebody files them: what arrives beyond that is filed by whoever brings it.
const ARRIVING: usize = 8192;
/// How far a chain of withdrawn spans is followed.
const MAX_HOPS: usize = 64;

/// Records of ended spans by the id of their exported span, and the spans that are not exported.
///
/// Bounded both ways: the oldest goes first. A span whose record is gone is exported by its name,
/// its times and its parent: OTel was told no more ([`super::unladen`]).
#[derive(Debug)]
pub(super) struct Finished {
    /// What comes from the agent's threads, which so neither wait for the export thread nor hash.
    arriving: ArrayQueue<(SpanId, Arc<dyn Ended>)>,
    records: Mutex<Bounded<Arc<dyn Ended>>>,
    /// Each withdrawn span with the parent that its children move to.
    withdrawn: Mutex<Bounded<Option<SpanId>>>,
}

impl Finished {
    /// Holds the records of at most `capacity` spans.
    pub(super) fn new(capacity: usize) -> Self {
        Finished {
            arriving: ArrayQueue::new(capacity.clamp(1, ARRIVING)),
            records: Mutex::new(Bounded::new(capacity)),
            withdrawn: Mutex::new(Bounded::new(WITHDRAWN)),
        }
    }

    /// Keeps a record until the span comes by.
    pub(super) fn put(&self, span: SpanId, draft: Arc<dyn Ended>) {
        if let Err((span, draft)) = self.arriving.push((span, draft)) {
            let mut records = locked(&self.records);
            let mut evicted = self.take_in(&mut records);
            evicted.extend(records.insert(span, draft));
            // What falls out is dropped after the lock: freeing a record takes time.
            drop(records);
        }
    }

    /// Files what has arrived; returns what that pushes out.
    fn take_in(&self, records: &mut Bounded<Arc<dyn Ended>>) -> Vec<Arc<dyn Ended>> {
        // No more than there was at the beginning, lest whoever files it goes on for ever.
        let arrived = (0..self.arriving.len()).map_while(|_| self.arriving.pop());
        arrived
            .filter_map(|(span, draft)| records.insert(span, draft))
            .collect()
    }

    /// The record of a span, which leaves the table.
    pub(super) fn take(&self, span: SpanId) -> Option<Arc<dyn Ended>> {
        let mut records = locked(&self.records);
        if let Some(draft) = records.remove(span) {
            return Some(draft);
        }
        let evicted = self.take_in(&mut records);
        let found = records.remove(span);
        drop(records);
        drop(evicted);
        found
    }

    /// Takes a span out of the export; its children move to `parent`.
    pub(super) fn withdraw(&self, span: SpanId, parent: Option<SpanId>) {
        locked(&self.withdrawn).insert(span, parent);
        drop(self.take(span));
    }

    /// A span that was taken out is exported after all, and keeps its children.
    pub(super) fn reinstate(&self, span: SpanId) {
        let _ = locked(&self.withdrawn).remove(span);
    }

    /// Whether a span was taken out.
    pub(super) fn is_withdrawn(&self, span: SpanId) -> bool {
        locked(&self.withdrawn).get(span).is_some()
    }

    /// The parent that is left where `parent` was: itself, or the nearest that was not withdrawn.
    pub(super) fn parent_left(&self, parent: SpanId) -> Option<SpanId> {
        let withdrawn = locked(&self.withdrawn);
        let mut left = parent;
        for _ in 0..MAX_HOPS {
            match withdrawn.get(left) {
                Some(Some(next)) => left = *next,
                Some(None) => return None,
                None => return Some(left),
            }
        }
        None
    }
}

/// A map that forgets what came first once it is full.
#[derive(Debug)]
struct Bounded<T> {
    capacity: usize,
    /// With a quick hasher, for the agent's thread is here: the standard one took longer than the table.
    entries: HashMap<SpanId, T, RandomState>,
    /// Every id in the order of its coming; ids taken since then are passed over.
    order: VecDeque<SpanId>,
}

impl<T> Bounded<T> {
    fn new(capacity: usize) -> Self {
        Bounded {
            capacity: capacity.max(1),
            entries: HashMap::default(),
            order: VecDeque::new(),
        }
    }

    fn get(&self, id: SpanId) -> Option<&T> {
        self.entries.get(&id)
    }

    /// Adds an entry and gives back what it pushed out.
    ///
    /// Spans leave in the order in which they came, so what is the oldest of too many will not be
    /// asked for. Ids that were taken push nothing out: while a collector hangs, the spans for which
    /// there is no room come and go, and those that wait must stay.
    fn insert(&mut self, id: SpanId, value: T) -> Option<T> {
        if let Some(former) = self.entries.insert(id, value) {
            return Some(former);
        }
        while let Some(head) = self.order.front()
            && !self.entries.contains_key(head)
        {
            self.order.pop_front();
        }
        self.order.push_back(id);
        if self.order.len() > self.capacity.saturating_mul(4) {
            let entries = &self.entries;
            self.order.retain(|id| entries.contains_key(id));
        }
        if self.entries.len() <= self.capacity {
            return None;
        }
        self.order
            .pop_front()
            .and_then(|oldest| self.entries.remove(&oldest))
    }

    fn remove(&mut self, id: SpanId) -> Option<T> {
        // What comes and goes at once.
        if self.order.back() == Some(&id) {
            self.order.pop_back();
        }
        self.entries.remove(&id)
    }
}

/// A panic elsewhere leaves these tables whole: every change is one call on a map.
fn locked<T>(table: &Mutex<T>) -> MutexGuard<'_, T> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::{Bounded, Finished};
    use crate::record::{SpanId, SpanRecord};
    use crate::sink::Ended;

    /// A span that is over and has no more to it than its id.
    #[derive(Debug)]
    struct Over(SpanId);

    impl Ended for Over {
        fn record(&self) -> Arc<SpanRecord> {
            unreachable!("nobody asks for it")
        }

        fn span_id(&self) -> SpanId {
            self.0
        }

        fn is_missed(&self) -> bool {
            false
        }

        fn is_withdrawn(&self) -> bool {
            false
        }

        fn bytes(&self) -> usize {
            0
        }
    }

    fn id(n: u8) -> SpanId {
        SpanId::from_bytes([0, 0, 0, 0, 0, 0, 1, n]).unwrap()
    }

    #[test]
    fn the_oldest_entry_goes_first() {
        let mut table = Bounded::new(2);
        assert_eq!(table.insert(id(1), 'a'), None);
        assert_eq!(table.insert(id(2), 'b'), None);
        assert_eq!(table.insert(id(3), 'c'), Some('a'));
        assert_eq!(table.remove(id(2)), Some('b'));
        assert_eq!(table.insert(id(4), 'd'), None);
        assert_eq!(table.insert(id(5), 'e'), Some('c'));
        assert_eq!((table.entries.len(), table.order.len()), (2, 2));
    }

    #[test]
    fn what_comes_and_goes_pushes_nothing_out() {
        let mut table = Bounded::new(3);
        table.insert(id(1), 'a');
        for n in 2..200 {
            table.insert(id(n), 'x');
            // Another one came between.
            table.insert(id(n + 1), 'y');
            table.remove(id(n));
            table.remove(id(n + 1));
        }
        assert!(table.order.len() <= 13, "{}", table.order.len());
        assert_eq!(table.remove(id(1)), Some('a'));
    }

    #[test]
    fn what_is_put_is_found_and_the_oldest_of_too_many_is_not() {
        let finished = Finished::new(4);
        let put = |n| finished.put(id(n), Arc::new(Over(id(n))));
        let take = |n| finished.take(id(n)).map(|over| over.span_id());
        (1..=3).for_each(put);
        assert_eq!((take(2), take(2)), (Some(id(2)), None));
        // More than arrive before anybody looks, and then more than there is room for.
        (4..=20).for_each(put);
        assert_eq!((take(1), take(3)), (None, None));
        for n in 17..=20 {
            assert_eq!(take(n), Some(id(n)));
        }
    }

    #[test]
    fn threads_that_put_and_take_lose_nothing() {
        let finished = Finished::new(64);
        thread::scope(|scope| {
            for thread in 1..=4_u8 {
                let finished = &finished;
                scope.spawn(move || {
                    for round in 0..20_000_u32 {
                        let [a, b, c, d] = round.to_be_bytes();
                        let id = SpanId::from_bytes([0, 0, 0, thread, a, b, c, d]).unwrap();
                        finished.put(id, Arc::new(Over(id)));
                        assert_eq!(finished.take(id).map(|over| over.span_id()), Some(id));
                    }
                });
            }
        });
    }

    #[test]
    fn children_move_past_every_withdrawn_ancestor() {
        let finished = Finished::new(4);
        finished.withdraw(id(3), Some(id(2)));
        finished.withdraw(id(2), Some(id(1)));
        assert_eq!(finished.parent_left(id(3)), Some(id(1)));
        assert_eq!(finished.parent_left(id(1)), Some(id(1)));
        finished.withdraw(id(1), None);
        assert_eq!(finished.parent_left(id(3)), None);
        assert!(finished.is_withdrawn(id(2)) && !finished.is_withdrawn(id(9)));
    }

    #[test]
    fn a_circle_of_withdrawn_spans_ends() {
        let finished = Finished::new(4);
        finished.withdraw(id(1), Some(id(2)));
        finished.withdraw(id(2), Some(id(1)));
        assert_eq!(finished.parent_left(id(1)), None);
    }
}
