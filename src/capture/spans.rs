//! The spans that are open at this moment, found by the id that `tracing` gives them.
//!
//! The registry's extensions would cost an allocation and a hash map of types for each span. Here a
//! span's place follows from its id, and only where two ids share a place does one go elsewhere.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use parking_lot::{Mutex, MutexGuard};
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
        let mut taken = place.open.lock();
        if taken.is_none() {
            *taken = Some(open);
            place.id.store(id, Ordering::Release);
            return;
        }
        drop(taken);
        self.insert_elsewhere(id, open);
    }

    #[cold]
    #[inline(never)]
    fn insert_elsewhere(&self, id: u64, open: Arc<OpenSpan>) {
        self.crowd.fetch_add(1, Ordering::AcqRel);
        self.shard(id).insert(id, open);
    }

    #[inline]
    pub(super) fn get(&self, id: &Id) -> Option<Arc<OpenSpan>> {
        let number = id.into_u64();
        let place = self.place(number);
        if place.id.load(Ordering::Acquire) == number {
            // The span may have closed meanwhile, and another one have come.
            let open = place.open.lock();
            return open.as_ref().filter(|open| open.is_called(id)).cloned();
        }
        if self.crowd.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.get_elsewhere(number)
    }

    #[cold]
    #[inline(never)]
    fn get_elsewhere(&self, id: u64) -> Option<Arc<OpenSpan>> {
        self.shard(id).get(&id).cloned()
    }

    /// Whether a span's record is sure to say what the span carries.
    #[cfg(feature = "otlp")]
    #[inline]
    pub(crate) fn knows(&self, id: &Id) -> bool {
        self.visit(id, |open| open.origin.is_known).unwrap_or(false)
    }

    /// Looks at a span where it lies. Its place is locked meanwhile: no user code may run, nor another
    /// place be looked at.
    #[inline]
    pub(super) fn visit<T>(
        &self,
        id: &Id,
        look: impl FnOnce(&mut Arc<OpenSpan>) -> T,
    ) -> Option<T> {
        let number = id.into_u64();
        let place = self.place(number);
        if place.id.load(Ordering::Acquire) == number {
            let mut open = place.open.lock();
            return open.as_mut().filter(|open| open.is_called(id)).map(look);
        }
        if self.crowd.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.shard(number).get_mut(&number).map(look)
    }

    #[inline]
    pub(super) fn remove(&self, id: &Id) -> Option<Arc<OpenSpan>> {
        let number = id.into_u64();
        let place = self.place(number);
        if place.id.load(Ordering::Acquire) == number {
            let mut open = place.open.lock();
            place.id.store(NOBODY, Ordering::Release);
            return open.take();
        }
        if self.crowd.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.remove_elsewhere(number)
    }

    #[cold]
    #[inline(never)]
    fn remove_elsewhere(&self, id: u64) -> Option<Arc<OpenSpan>> {
        let open = self.shard(id).remove(&id);
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
        self.crowded_out[(id % SHARDS as u64) as usize].lock()
    }

    /// Every open span for which `wanted` holds, looked at under one lock after the other.
    pub(super) fn collect(&self, wanted: impl Fn(&OpenSpan) -> bool) -> Vec<Arc<OpenSpan>> {
        let mut found = Vec::new();
        for place in &self.places {
            if place.id.load(Ordering::Relaxed) != NOBODY {
                found.extend(
                    place
                        .open
                        .lock()
                        .iter()
                        .filter(|open| wanted(open))
                        .cloned(),
                );
            }
        }
        if self.crowd.load(Ordering::Acquire) > 0 {
            for shard in &self.crowded_out {
                found.extend(shard.lock().values().filter(|open| wanted(open)).cloned());
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

/// Not with loom: what is atomic here only saves a lock and is looked at again under it, and the spans
/// are found by way of whole locks, `parking_lot`'s, throughout. One step after the other is compared with
/// a map, and threads whose spans share their places do the rest.
#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::thread;

    use proptest::prelude::*;
    use tracing::span::Id;
    use tracing::{Level, Metadata, callsite::DefaultCallsite, metadata};

    use super::{NOBODY, OpenSpan, PLACES, Spans};
    use crate::capture::callsite::Shape;

    fn shape() -> &'static Shape {
        static METADATA: Metadata<'static> = metadata! {
            name: "hermes.tool",
            target: "test",
            level: Level::INFO,
            fields: &[],
            callsite: &CALLSITE,
            kind: tracing::metadata::Kind::SPAN,
        };
        static CALLSITE: DefaultCallsite = DefaultCallsite::new(&METADATA);
        Shape::of(&METADATA)
    }

    fn open(id: u64) -> Arc<OpenSpan> {
        Arc::new(OpenSpan::vacant(shape(), &Id::from_u64(id)))
    }

    /// Ids of which many share a place.
    fn id(thread: u64, round: u64) -> u64 {
        1 + (round % 3) + PLACES as u64 * (1 + thread + 8 * (round / 3))
    }

    fn is_empty(spans: &Spans) -> bool {
        let is_vacant = spans
            .places
            .iter()
            .all(|place| place.id.load(Ordering::Relaxed) == NOBODY && place.open.lock().is_none());
        is_vacant && spans.crowd.load(Ordering::Relaxed) == 0 && spans.collect(|_| true).is_empty()
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Insert(u64),
        Get(u64),
        Remove(u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        (0..3, 0_u64..4, 0_u64..9).prop_map(|(step, thread, round)| match step {
            0 => Step::Insert(id(thread, round)),
            1 => Step::Get(id(thread, round)),
            _ => Step::Remove(id(thread, round)),
        })
    }

    const STEPS: usize = if cfg!(miri) { 20 } else { 200 };

    proptest! {
        #[test]
        fn they_are_found_as_in_a_map(steps in prop::collection::vec(step(), 1..STEPS)) {
            let spans = Spans::new(4);
            let mut model: HashMap<u64, Arc<OpenSpan>> = HashMap::new();
            let pointer = |open: Option<&Arc<OpenSpan>>| open.map(Arc::as_ptr);
            for step in steps {
                match step {
                    // No two open spans have the same id.
                    Step::Insert(id) if !model.contains_key(&id) => {
                        let open = open(id);
                        model.insert(id, Arc::clone(&open));
                        spans.insert(&Id::from_u64(id), open);
                    }
                    Step::Insert(id) | Step::Get(id) => {
                        let found = spans.get(&Id::from_u64(id));
                        prop_assert_eq!(pointer(found.as_ref()), pointer(model.get(&id)));
                    }
                    Step::Remove(id) => {
                        let found = spans.remove(&Id::from_u64(id));
                        prop_assert_eq!(pointer(found.as_ref()), pointer(model.remove(&id).as_ref()));
                    }
                }
                prop_assert_eq!(spans.collect(|_| true).len(), model.len());
            }
            for id in model.keys() {
                prop_assert!(spans.remove(&Id::from_u64(*id)).is_some());
            }
            prop_assert!(is_empty(&spans));
        }
    }

    #[test]
    fn threads_whose_spans_share_places_find_their_own() {
        const ROUNDS: u64 = if cfg!(miri) { 30 } else { 20_000 };
        let spans = Spans::new(4);
        thread::scope(|scope| {
            for thread in 0..4 {
                let spans = &spans;
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let (id, other) = (id(thread, round % 9), id((thread + 1) % 4, round % 9));
                        let (own, others) = (Id::from_u64(id), Id::from_u64(other));
                        let open = open(id);
                        spans.insert(&own, Arc::clone(&open));
                        assert!(Arc::ptr_eq(&spans.get(&own).unwrap(), &open));
                        if let Some(found) = spans.get(&others) {
                            assert!(found.is_called(&others), "another one's span");
                        }
                        if round % 64 == 0 {
                            let own = spans.collect(|found| found.is_called(&own));
                            assert!(Arc::ptr_eq(&own[0], &open) && own.len() == 1);
                        }
                        assert!(Arc::ptr_eq(&spans.remove(&own).unwrap(), &open));
                        assert!(spans.get(&own).is_none());
                    }
                });
            }
        });
        assert!(is_empty(&spans));
    }

    #[test]
    fn a_span_that_is_used_again_knows_nothing_of_the_one_before() {
        use crate::capture::state::{Outcome, State};
        use crate::record::Value;
        use crate::semconv::Fact;
        let spans = Spans::new(4);
        let (parent, mut used) = (open(1), open(2));
        Arc::get_mut(&mut used).unwrap().origin.parent = Some(Arc::clone(&parent));
        used.set(Fact::RequestModel, "m");
        used.set_named("other".into(), Value::from(1));
        used.end_with(Outcome::Cancelled);
        used.set_announced();
        used.state().links.push(parent.ids());
        used.state().is_over = true;
        spans.pool.put_span(used);
        let mut again = spans.pool.span().unwrap();
        let again = Arc::get_mut(&mut again).unwrap();
        assert!(!again.is_announced() && again.origin.parent.is_none());
        let fresh = State::default();
        assert_eq!(format!("{:?}", again.own_state()), format!("{fresh:?}"));
        assert_eq!(Arc::strong_count(&parent), 1);
        // Whoever still holds one keeps it.
        let held = open(3);
        spans.pool.put_span(Arc::clone(&held));
        assert_eq!(Arc::strong_count(&held), 1);
        assert!(spans.pool.span().is_none());
    }
}
