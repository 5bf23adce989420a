//! Events on their way to the writer: few, so they wait behind a lock, and are counted apart from spans.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{EventStats, Loss};
use crate::record::Happening;

/// More than ever wait: the reader comes by fifty times a second.
const CAPACITY: usize = 4096;

/// Those that wait, and the count of all.
#[derive(Debug, Default)]
pub(crate) struct Happenings {
    state: Mutex<State>,
    /// Whether any wait: the reader asks often, and seldom are there any.
    is_any: AtomicBool,
    /// Those of a copy of the process, where a thread that is not there may hold the lock for ever.
    after_fork: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Happening>,
    captured: u64,
    written: u64,
    dropped: BTreeMap<&'static str, u64>,
    /// Nobody takes any more.
    is_over: bool,
}

impl Happenings {
    /// Hands over what happened; `closed`: why it is not taken.
    pub(super) fn push(&self, happening: Happening, closed: Option<Loss>) {
        if closed == Some(Loss::AfterFork) {
            self.after_fork.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut state = self.state();
        state.captured += 1;
        let loss = if state.is_over {
            Some(closed.unwrap_or(Loss::AfterShutdown))
        } else if state.waiting.len() >= CAPACITY {
            Some(Loss::QueueFull)
        } else {
            closed
        };
        if let Some(loss) = loss {
            state.lose(loss, 1);
        } else {
            state.waiting.push_back(happening);
            self.is_any.store(true, Ordering::Release);
        }
    }

    /// All that wait.
    pub(super) fn take(&self) -> Vec<Happening> {
        if !self.is_any.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        self.state().waiting.drain(..).collect()
    }

    /// Nobody takes any more; what waits still is lost.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.is_over = true;
        let left = state.waiting.len();
        state.waiting.clear();
        state.lose(Loss::AfterShutdown, left);
    }

    pub(super) fn written(&self, count: usize) {
        self.state().written += count as u64;
    }

    pub(super) fn dropped(&self, loss: Loss, count: usize) {
        self.state().lose(loss, count);
    }

    /// Losses that nobody asked for.
    pub(crate) fn lost(&self) -> u64 {
        self.state().dropped.values().sum()
    }

    /// The counts at this moment.
    pub(crate) fn stats(&self) -> EventStats {
        let state = self.state();
        let dropped: u64 = state.dropped.values().sum();
        let named = state.dropped.iter();
        EventStats {
            captured: state.captured,
            in_flight: state.captured - state.written - dropped,
            written: state.written,
            dropped: named
                .map(|(reason, count)| ((*reason).to_owned(), *count))
                .collect(),
        }
    }

    /// The counts as a copy of the process has them.
    pub(crate) fn stats_of_fork(&self) -> EventStats {
        let captured = self.after_fork.load(Ordering::Relaxed);
        let lost = (Loss::AfterFork.reason().to_owned(), captured);
        EventStats {
            captured,
            dropped: BTreeMap::from_iter((captured > 0).then_some(lost)),
            ..EventStats::default()
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn lose(&mut self, loss: Loss, count: usize) {
        if count > 0 {
            *self.dropped.entry(loss.reason()).or_default() += count as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CAPACITY, Happenings};
    use crate::pipeline::Loss;
    use crate::record::{Happening, What};

    fn one() -> Happening {
        let kind = "thumbs_up".to_owned();
        Happening {
            ts_ns: 1,
            run_id: None,
            what: What::Feedback { kind },
        }
    }

    #[test]
    fn each_is_counted_once_whatever_becomes_of_it() {
        let happenings = Happenings::default();
        for _ in 0..=CAPACITY {
            happenings.push(one(), None);
        }
        happenings.push(one(), Some(Loss::AfterFork));
        let taken = happenings.take();
        assert_eq!(taken.len(), CAPACITY);
        assert!(happenings.take().is_empty());
        let stats = happenings.stats();
        assert_eq!((stats.captured, stats.in_flight), (4097, 4096));
        let copy = happenings.stats_of_fork();
        assert_eq!((copy.captured, copy.dropped["after_fork"]), (1, 1));
        happenings.written(taken.len() - 6);
        happenings.dropped(Loss::StoreError, 6);
        happenings.push(one(), None);
        happenings.end();
        happenings.push(one(), None);
        let stats = happenings.stats();
        assert_eq!(
            (stats.captured, stats.in_flight, stats.written),
            (4099, 0, 4090)
        );
        let reasons: Vec<_> = stats.dropped.into_iter().collect();
        let expected = [("after_shutdown", 2), ("queue_full", 1), ("store_error", 6)];
        assert_eq!(
            reasons,
            expected.map(|(reason, count)| (reason.to_owned(), count))
        );
        assert_eq!(happenings.lost(), 9);
    }
}
