//! Between the exporters and the writer of the store: which spans have come, and which are still owed.
//!
//! The exporters say what became of a span; whoever keeps the store ([`Debts`](super::debts::Debts))
//! notes it there; the resender sends what is noted. Where nobody keeps a store nothing is remembered,
//! and what cannot be delivered is lost to OTLP.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use super::ExportCounter;
use crate::record::SpanId;

/// Word of so many spans may wait for a writer that is held up; more are not remembered.
const MOST_WORD: usize = 128 * 1024;

/// What became of an exported span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was delivered, given up, or never meant to leave.
    Settled,
    /// Its trace leaves, and it with it: the exporter has it in hand.
    Leaves,
    /// It was not delivered by these ways out, and why; it is to be sent again.
    Owed { exits: u8, reason: &'static str },
}

/// What holds for every span that this process exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Terms {
    /// The ways out over OTLP, a bit each.
    pub(crate) exits: u8,
    /// Whether content may leave.
    pub(crate) may_carry_content: bool,
    /// Whether a span leaves only once its trace is decided.
    pub(crate) are_judged: bool,
}

/// Who keeps the store at present.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keeper {
    pub(crate) path: PathBuf,
    /// The number of the writer in the store.
    pub(crate) writer: i64,
    /// The how-manieth store this is: another one may come to be at the same place.
    pub(crate) opening: u64,
}

/// What the two sides tell each other.
#[derive(Debug)]
pub(crate) struct Backlog {
    counter: Arc<dyn ExportCounter>,
    terms: OnceLock<Terms>,
    state: Mutex<State>,
    nudged: Condvar,
    /// Spans that are remembered and not yet delivered.
    pending: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    keeper: Option<Keeper>,
    openings: u64,
    word: Vec<(SpanId, Fate)>,
    /// Spans that the exporters gave up at the end without having heard of them.
    abandoned: u64,
    is_nudged: bool,
}

impl Backlog {
    /// Nothing is owed before [`Backlog::open`]; losses are told to `counter`.
    pub(crate) fn new(counter: Arc<dyn ExportCounter>) -> Self {
        Backlog {
            counter,
            terms: OnceLock::new(),
            state: Mutex::default(),
            nudged: Condvar::new(),
            pending: AtomicU64::new(0),
        }
    }

    /// The exporters are up: from here on spans are owed.
    pub(crate) fn open(&self, terms: Terms) {
        let _ = self.terms.set(terms);
    }

    /// The terms, once exporters are up.
    pub(crate) fn terms(&self) -> Option<Terms> {
        self.terms.get().copied()
    }

    /// Spans that are remembered and not yet delivered.
    pub(crate) fn pending(&self) -> u64 {
        // Whoever sees fewer here sees them delivered or lost as well.
        self.pending.load(Ordering::Acquire)
    }

    /// Who keeps the store; `None`: nothing is remembered.
    pub(crate) fn keeper(&self) -> Option<Keeper> {
        self.state().keeper.clone()
    }

    /// Whether what is not delivered is remembered.
    pub(crate) fn is_kept(&self) -> bool {
        self.terms.get().is_some() && self.state().keeper.is_some()
    }

    /// Whether what is not decided is remembered as such.
    pub(crate) fn keeps_undecided(&self) -> bool {
        self.terms().is_some_and(|terms| terms.are_judged) && self.is_kept()
    }

    // What the exporters say.

    /// Nothing is owed of these spans any more.
    pub(crate) fn settled(&self, spans: &[SpanId]) {
        if spans.is_empty() || self.terms.get().is_none() {
            return;
        }
        let mut state = self.state();
        if state.keeper.is_some() {
            let room = MOST_WORD.saturating_sub(state.word.len());
            let told = spans.iter().take(room);
            state.word.extend(told.map(|span| (*span, Fate::Settled)));
        }
    }

    /// The traces of these spans leave; nobody is to decide that again.
    pub(crate) fn leave_now(&self, spans: impl IntoIterator<Item = SpanId>) {
        if !self.keeps_undecided() {
            return;
        }
        let mut state = self.state();
        let room = MOST_WORD.saturating_sub(state.word.len());
        let told = spans.into_iter().take(room);
        state.word.extend(told.map(|span| (span, Fate::Leaves)));
    }

    /// These spans are to be sent again; gives how many of them are remembered.
    pub(crate) fn owe(&self, spans: &[SpanId], exits: u8, reason: &'static str) -> usize {
        let mut state = self.state();
        if state.keeper.is_none() || self.terms.get().is_none() {
            return 0;
        }
        let room = MOST_WORD.saturating_sub(state.word.len());
        let taken = &spans[..spans.len().min(room)];
        let fate = Fate::Owed { exits, reason };
        state.word.extend(taken.iter().map(|span| (*span, fate)));
        self.more(count(taken.len()));
        taken.len()
    }

    /// The exporters stop, and do not know what became of so many spans. Those that are in the store
    /// are owed; gives how many are lost for want of one.
    pub(crate) fn abandon(&self, spans: u64) -> u64 {
        let mut state = self.state();
        if state.keeper.is_none() || self.terms.get().is_none() {
            return spans;
        }
        state.abandoned += spans;
        0
    }

    // What the keeper of the store says.

    /// A store is open; what was said for another one is of no use to it.
    pub(crate) fn attend(&self, path: PathBuf, writer: i64) {
        let mut state = self.state();
        state.word.clear();
        state.openings += 1;
        state.keeper = Some(Keeper {
            path,
            writer,
            opening: state.openings,
        });
        self.pending.store(0, Ordering::Relaxed);
        drop(state);
        self.nudge();
    }

    /// Takes what the exporters have said since.
    pub(crate) fn collect(&self) -> Vec<(SpanId, Fate)> {
        std::mem::take(&mut self.state().word)
    }

    /// The store is closed, and so many spans were left in it of which nobody had said anything.
    pub(crate) fn leave(&self, left: u64) {
        let abandoned = {
            let mut state = self.state();
            state.keeper = None;
            std::mem::take(&mut state.abandoned)
        };
        self.more(left.min(abandoned));
        if abandoned > left {
            self.counter.lost(NOT_IN_TIME, abandoned - left);
        }
    }

    /// So many more spans are remembered: taken over from the dead.
    pub(crate) fn more(&self, spans: u64) {
        self.pending.fetch_add(spans, Ordering::Relaxed);
    }

    /// Spans that were remembered have been delivered.
    pub(crate) fn delivered(&self, spans: u64) {
        if spans > 0 {
            // In this order no span is ever counted nowhere.
            self.counter.exported(spans);
            self.fewer(spans);
        }
    }

    /// Undecided spans of others turned out to stay at home.
    pub(crate) fn sampled_out(&self, spans: u64) {
        self.counter.sampled_out(spans);
    }

    /// Spans that were remembered will never be delivered.
    pub(crate) fn lost(&self, reason: &'static str, spans: u64) {
        if spans > 0 {
            self.counter.lost(reason, spans);
            self.fewer(spans);
        }
    }

    fn fewer(&self, spans: u64) {
        let fewer = |pending: u64| Some(pending.saturating_sub(spans));
        let _ = self
            .pending
            .fetch_update(Ordering::Release, Ordering::Relaxed, fewer);
    }

    // What the resender waits for.

    /// There may be something to do for the resender.
    pub(crate) fn nudge(&self) {
        self.state().is_nudged = true;
        self.nudged.notify_all();
    }

    /// Waits for a nudge, and no longer than until then.
    pub(crate) fn wait(&self, until: Option<Instant>) {
        let mut state = self.state();
        while !state.is_nudged {
            let Some(until) = until else {
                state = self
                    .nudged
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state = self
                .nudged
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state.is_nudged = false;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why spans are lost that were under way at the end and are not in the store.
pub(crate) const NOT_IN_TIME: &str = "otlp_shutdown";

fn count(spans: usize) -> u64 {
    u64::try_from(spans).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Backlog;
    use crate::sink::ExportCounter;

    #[derive(Debug)]
    struct Deaf;

    impl ExportCounter for Deaf {
        fn exported(&self, _: u64) {}
        fn lost(&self, _: &'static str, _: u64) {}
        fn trouble(&self, _: &'static str, _: &str) {}
    }

    #[test]
    fn a_store_that_comes_to_be_at_the_same_place_is_another_one() {
        let backlog = Backlog::new(Arc::new(Deaf));
        let keeper = || {
            backlog.attend("store".into(), 1);
            backlog.keeper().unwrap()
        };
        assert_ne!(keeper(), keeper());
        assert_eq!(backlog.keeper(), backlog.keeper());
    }
}
