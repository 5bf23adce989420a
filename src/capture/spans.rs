//! The spans that are open at this moment, found by the id that `tracing` gives them.
//!
//! The registry's extensions would cost an allocation and a hash map of types for each span. Here a
//! span's place follows from its id, and only where two ids share a place does one go elsewhere.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::span::Id;

use super::draft::Waiting;
use super::open::OpenSpan;
use super::pool::Pool;
use crate::pipeline::Source;
use crate::record::SpanRecord;

/// A span is shown once it has run this long: most end sooner and are written once.
const SHOWN_AFTER_NS: i64 = 300_000_000;

/// Places that an id leads to. A busy agent has a few hundred spans open at once.
const PLACES: usize = 4096;

/// Parts of what is kept elsewhere: threads that start spans at once seldom meet.
const SHARDS: usize = 16;

/// Every open span of ours, and the spare ones.
#[derive(Debug)]
pub(crate) struct Spans {
    places: Box<[Place]>,
    crowded_out: [Mutex<HashMap<u64, Arc<OpenSpan>>>; SHARDS],
    /// How many were crowded out: while there are none, nobody looks for them.
    crowd: AtomicUsize,
    pub(super) pool: Pool,
}

/// Where one span lies. The id beside the lock only tells whether locking is worth it.
#[derive(Debug, Default)]
struct Place {
    id: AtomicU64,
    open: Mutex<Option<Arc<OpenSpan>>>,
}

/// No span has this id: `tracing` gives none that is zero.
const NOBODY: u64 = 0;

impl Spans {
    /// `spare`: how many spans that are over may be kept for others.
    pub(crate) fn new(spare: usize) -> Self {
        Spans {
            places: (0..PLACES).map(|_| Place::default()).collect(),
            crowded_out: Default::default(),
            crowd: AtomicUsize::new(0),
            pool: Pool::new(spare),
        }
    }

    #[inline]
    pub(super) fn insert(&self, id: &Id, open: Arc<OpenSpan>) {
        let id = id.into_u64();
        let place = self.place(id);
        let mut taken = locked(&place.open);
        if taken.is_none() {
            *taken = Some(open);
            place.id.store(id, Ordering::Release);
            return;
        }
        drop(taken);
        self.crowd.fetch_add(1, Ordering::AcqRel);
        self.shard(id).insert(id, open);
    }

    #[inline]
    pub(super) fn get(&self, id: &Id) -> Option<Arc<OpenSpan>> {
        let number = id.into_u64();
        let place = self.place(number);
        if place.id.load(Ordering::Acquire) == number {
            // The span may have closed meanwhile, and another one have come.
            let open = locked(&place.open);
            return open.as_ref().filter(|open| open.is_called(id)).cloned();
        }
        if self.crowd.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.shard(number).get(&number).cloned()
    }

    #[inline]
    pub(super) fn remove(&self, id: &Id) -> Option<Arc<OpenSpan>> {
        let number = id.into_u64();
        let place = self.place(number);
        if place.id.load(Ordering::Acquire) == number {
            let mut open = locked(&place.open);
            place.id.store(NOBODY, Ordering::Release);
            return open.take();
        }
        if self.crowd.load(Ordering::Acquire) == 0 {
            return None;
        }
        let open = self.shard(number).remove(&number);
        if open.is_some() {
            self.crowd.fetch_sub(1, Ordering::AcqRel);
        }
        open
    }

    /// The registry counts its ids up from zero for each thread, whose number stands above.
    #[inline]
    fn place(&self, id: u64) -> &Place {
        let mixed = id ^ (id >> 38).wrapping_mul(0x1f3);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the rest of a division by 4,096"
        )]
        &self.places[(mixed % PLACES as u64) as usize]
    }

    fn shard(&self, id: u64) -> MutexGuard<'_, HashMap<u64, Arc<OpenSpan>>> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the rest of a division by 16"
        )]
        locked(&self.crowded_out[(id % SHARDS as u64) as usize])
    }

    /// Every open span for which `wanted` holds, looked at under one lock after the other.
    fn collect(&self, wanted: impl Fn(&OpenSpan) -> bool) -> Vec<Arc<OpenSpan>> {
        let mut found = Vec::new();
        for place in &self.places {
            if place.id.load(Ordering::Relaxed) != NOBODY {
                found.extend(
                    locked(&place.open)
                        .iter()
                        .filter(|open| wanted(open))
                        .cloned(),
                );
            }
        }
        if self.crowd.load(Ordering::Acquire) > 0 {
            for shard in &self.crowded_out {
                found.extend(locked(shard).values().filter(|open| wanted(open)).cloned());
            }
        }
        found
    }
}

impl Source for Spans {
    type Draft = Waiting;

    fn announce(&self) -> Vec<SpanRecord> {
        let mut overdue = self.collect(is_overdue);
        overdue.sort_by_key(|open| open.origin.start_ns);
        overdue
            .into_iter()
            .filter_map(|open| {
                let record = open.running()?;
                open.set_announced();
                Some(record)
            })
            .collect()
    }

    fn reuse(&self, draft: Waiting) {
        self.pool.put_draft(draft);
    }

    fn tick(&self, is_quiet: bool) {
        self.pool.tick(is_quiet);
    }
}

fn is_overdue(open: &OpenSpan) -> bool {
    open.is_final()
        && !open.is_announced()
        && open
            .origin
            .clock
            .now_ns()
            .saturating_sub(open.origin.start_ns)
            >= SHOWN_AFTER_NS
}

#[inline]
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
