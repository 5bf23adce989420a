//! The spans that run at this moment, so that the writer can show those that run for long.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::open::OpenSpan;
use crate::pipeline::Running;
use crate::record::SpanRecord;

/// A span is shown once it has run this long: most end sooner and are written once.
const SHOWN_AFTER_NS: i64 = 300_000_000;

/// Parts of the table: threads that start spans at once seldom meet.
const SHARDS: usize = 16;

/// Every open span of ours, by its number.
#[derive(Debug, Default)]
pub(crate) struct LiveSpans {
    next: AtomicU64,
    shards: [Mutex<HashMap<u64, Arc<OpenSpan>>>; SHARDS],
}

impl LiveSpans {
    /// A number that no other span of this process has.
    pub(super) fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn insert(&self, open: &Arc<OpenSpan>) {
        self.shard(open.number)
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(open.number, Arc::clone(open));
    }

    pub(super) fn remove(&self, open: &OpenSpan) {
        self.shard(open.number)
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&open.number);
    }

    fn shard(&self, number: u64) -> &Mutex<HashMap<u64, Arc<OpenSpan>>> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the rest of a division by 16"
        )]
        &self.shards[(number % SHARDS as u64) as usize]
    }
}

impl Running for LiveSpans {
    fn announce(&self) -> Vec<SpanRecord> {
        let mut overdue = Vec::new();
        for shard in &self.shards {
            // Collected under the lock, looked at after it.
            let open: Vec<_> = {
                let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
                shard
                    .values()
                    .filter(|open| is_overdue(open))
                    .cloned()
                    .collect()
            };
            overdue.extend(open);
        }
        overdue.sort_by_key(|open| open.start_ns);
        overdue
            .into_iter()
            .filter_map(|open| {
                let record = open.snapshot()?;
                open.is_announced.store(true, Ordering::Release);
                Some(record)
            })
            .collect()
    }
}

fn is_overdue(open: &OpenSpan) -> bool {
    open.is_final()
        && !open.is_announced.load(Ordering::Acquire)
        && open.clock.now_ns().saturating_sub(open.start_ns) >= SHOWN_AFTER_NS
}

#[cfg(test)]
mod tests {
    use super::LiveSpans;
    use crate::pipeline::Running;

    #[test]
    fn nothing_runs_at_first() {
        assert!(LiveSpans::default().announce().is_empty());
    }
}
