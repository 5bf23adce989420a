//! What came in, what was kept, what was lost and why: counted at every door.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Counts since Hermes was built, at one moment.
///
/// `captured` = `written` + everything in `dropped` + `in_flight`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Hermes spans that ended.
    pub captured: u64,
    /// Of these, on their way: queued, or in the batch being written.
    pub in_flight: u64,
    /// Of these, committed to the store; in a build without one, written to the event log or, where
    /// there is none either, handed to the subscribers.
    pub written: u64,
    /// Spans that an exporter delivered, other libraries' spans among them, and those that an outage
    /// held up, in this process or an earlier one.
    pub exported: u64,
    /// Captured spans that are lost to the store, by reason: `queue_full`, `after_shutdown`,
    /// `after_fork`, `store_error`, `filtered`, `suppressed`, `too_large`.
    pub dropped: BTreeMap<String, u64>,
    /// Spans that no exporter will deliver any more, by reason. They are in the store.
    pub export_dropped: BTreeMap<String, u64>,
    /// Spans that could not be delivered yet: remembered in the store, and sent when the collector is
    /// back, by this process or a later one. Those that earlier processes left behind count from the
    /// moment in which this one takes them over.
    pub export_pending: u64,
    /// Spans that wait until it is decided whether their trace leaves
    /// ([`TailSampling`](crate::TailSampling)).
    pub export_undecided: u64,
    /// Spans that sampling keeps from leaving; they are in the store, where they are ours. Those of other
    /// libraries count where tail rules decide; a sampler at the start of a trace does not make them.
    pub export_sampled_out: u64,
    /// Captured spans and events whose lines could not be written to the event log. They are in the
    /// store.
    pub event_log_dropped: u64,
    /// Records waiting in the queue.
    pub queue_depth: usize,
    /// The events of [`event`](crate::event), which are no spans and counted apart.
    pub events: EventStats,
    /// The events of `tracing` that leave as log records, where that is asked for
    /// ([`Builder::export_logs`](crate::Builder::export_logs)).
    pub logs: LogStats,
}

/// Counts of log records since Hermes was built.
///
/// `captured` = `exported` + everything in `dropped` + `in_flight`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogStats {
    /// Events that were to leave.
    pub captured: u64,
    /// Of these, on their way.
    pub in_flight: u64,
    /// Of these, taken by every exporter of log records.
    pub exported: u64,
    /// Log records that are lost, by reason: `queue_full`, `too_large`, `after_shutdown`, `after_fork`,
    /// `not_in_time`, `panic`, or how the collector refused them (`otlp_http`, `otlp_grpc`,
    /// `otlp_rejected`). They are kept nowhere else.
    pub dropped: BTreeMap<String, u64>,
}

/// Counts of the events of [`event`](crate::event) since Hermes was built.
///
/// `captured` = `written` + everything in `dropped` + `in_flight`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventStats {
    /// Events that happened.
    pub captured: u64,
    /// Of these, on their way.
    pub in_flight: u64,
    /// Of these, committed to the store; in a build without one, written to the event log.
    pub written: u64,
    /// Events that are lost, by reason: `queue_full`, `after_shutdown`, `after_fork`, `store_error`.
    pub dropped: BTreeMap<String, u64>,
}

/// Why a captured span is not in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The writer could not keep up.
    QueueFull,
    /// It ended after `shutdown`.
    AfterShutdown,
    /// It ran in a process that was forked after Hermes was built.
    AfterFork,
    /// The store refused it, or there is no store although one is wanted.
    StoreError,
    /// The capture filter took it out.
    Filtered,
    /// It ran inside OTel's telemetry-suppressed scope.
    Suppressed,
    /// With what waited already, its content took more memory than is meant for it.
    TooLarge,
}

impl Loss {
    const ALL: [Loss; 7] = [
        Loss::QueueFull,
        Loss::AfterShutdown,
        Loss::AfterFork,
        Loss::StoreError,
        Loss::Filtered,
        Loss::Suppressed,
        Loss::TooLarge,
    ];

    pub(super) const fn reason(self) -> &'static str {
        match self {
            Loss::QueueFull => "queue_full",
            Loss::AfterShutdown => "after_shutdown",
            Loss::AfterFork => "after_fork",
            Loss::StoreError => "store_error",
            Loss::Filtered => "filtered",
            Loss::Suppressed => "suppressed",
            Loss::TooLarge => "too_large",
        }
    }

    /// Whether somebody asked for the loss.
    const fn is_wanted(self) -> bool {
        matches!(self, Loss::Filtered | Loss::Suppressed)
    }

    /// Whether a thread that found the queue at its limit may count it when the writer is gone.
    const fn may_be_late(self) -> bool {
        matches!(self, Loss::QueueFull | Loss::TooLarge)
    }
}

/// A count for each reason.
type Losses = [u64; Loss::ALL.len()];

/// The counters themselves, shared by every thread.
///
/// A span is counted as captured before it can be counted as written or lost, and whoever sees the
/// later count sees the earlier one too: the later is added with `Release` by a thread that has the
/// span from the former, and [`Health::stats`] reads it first, with `Acquire`. So the equation holds
/// at any moment, on every processor.
#[derive(Debug, Default)]
pub(crate) struct Health {
    captured: AtomicU64,
    written: AtomicU64,
    dropped: [AtomicU64; Loss::ALL.len()],
    /// What the store was told last, once nobody is left to tell it more.
    settled: Mutex<Option<Losses>>,
    exported: AtomicU64,
    event_log_dropped: AtomicU64,
    sampled_out: AtomicU64,
    export_dropped: Mutex<BTreeMap<&'static str, u64>>,
}

impl Health {
    /// A span of ours ended.
    #[inline]
    pub(crate) fn captured(&self) {
        self.captured.fetch_add(1, Ordering::Relaxed);
    }

    /// Spans were committed.
    pub(crate) fn written(&self, count: u64) {
        self.written.fetch_add(count, Ordering::Release);
    }

    /// Spans are lost.
    pub(crate) fn dropped(&self, loss: Loss, count: u64) {
        self.dropped[loss as usize].fetch_add(count, Ordering::Release);
    }

    /// Spans were delivered by an exporter.
    pub(crate) fn exported(&self, count: u64) {
        self.exported.fetch_add(count, Ordering::Relaxed);
    }

    /// Spans could not be delivered by an exporter.
    pub(crate) fn not_exported(&self, reason: &'static str, count: u64) {
        let mut dropped = locked(&self.export_dropped);
        *dropped.entry(reason).or_default() += count;
    }

    /// Spans are not exported, as sampling has it.
    pub(crate) fn sampled_out(&self, count: u64) {
        self.sampled_out.fetch_add(count, Ordering::Relaxed);
    }

    /// Spans are not in the event log.
    pub(crate) fn not_logged(&self, count: u64) {
        self.event_log_dropped.fetch_add(count, Ordering::Relaxed);
    }

    /// Losses that nobody asked for, so far.
    pub(crate) fn unwanted_losses(&self) -> u64 {
        let lost = self.lost();
        Loss::ALL
            .iter()
            .filter(|loss| !loss.is_wanted())
            .map(|loss| lost[*loss as usize])
            .sum()
    }

    /// Every loss so far, by reason, for the last time that anybody writes it down. A thread that was
    /// late to count what it found no place for counts it as ended after the shutdown from now on: so
    /// what was written down stays true.
    pub(crate) fn settle(&self) -> Vec<(&'static str, u64)> {
        let mut settled = locked(&self.settled);
        let lost = self.lost_since(*settled);
        *settled = Some(lost);
        named(lost)
    }

    /// Every loss so far, by reason.
    pub(crate) fn losses(&self) -> Vec<(&'static str, u64)> {
        named(self.lost())
    }

    /// All counts at this moment.
    pub(crate) fn stats(&self, queue_depth: usize) -> Stats {
        // What is settled is read before what came in: a span may be seen as in flight a moment too
        // long, but never is more settled than came in.
        let written = self.written.load(Ordering::Acquire);
        let losses = self.losses();
        let dropped: u64 = losses.iter().map(|(_, count)| count).sum();
        let captured = self.captured.load(Ordering::Acquire);
        let export_dropped = locked(&self.export_dropped);
        Stats {
            captured,
            in_flight: captured.saturating_sub(written + dropped),
            written,
            exported: self.exported.load(Ordering::Relaxed),
            dropped: losses
                .into_iter()
                .map(|(reason, count)| (reason.to_owned(), count))
                .collect(),
            export_dropped: export_dropped
                .iter()
                .map(|(reason, count)| ((*reason).to_owned(), *count))
                .collect(),
            export_pending: 0,
            export_undecided: 0,
            export_sampled_out: self.sampled_out.load(Ordering::Relaxed),
            event_log_dropped: self.event_log_dropped.load(Ordering::Relaxed),
            queue_depth,
            events: EventStats::default(),
            logs: LogStats::default(),
        }
    }

    /// The counts as a copy of the process has them: what was on its way has nobody who writes it.
    pub(crate) fn stats_of_fork(&self) -> Stats {
        let mut stats = self.stats(0);
        let lost = std::mem::take(&mut stats.in_flight);
        if lost > 0 {
            let reason = Loss::AfterFork.reason().to_owned();
            *stats.dropped.entry(reason).or_default() += lost;
        }
        stats
    }

    fn lost(&self) -> Losses {
        // Held while the counts are read, or one of them could be seen to go back.
        let settled = locked(&self.settled);
        self.lost_since(*settled)
    }

    fn lost_since(&self, settled: Option<Losses>) -> Losses {
        let mut lost = Loss::ALL.map(|loss| self.dropped[loss as usize].load(Ordering::Acquire));
        if let Some(settled) = settled {
            for loss in Loss::ALL.into_iter().filter(|loss| loss.may_be_late()) {
                let late = lost[loss as usize] - settled[loss as usize];
                lost[loss as usize] -= late;
                lost[Loss::AfterShutdown as usize] += late;
            }
        }
        lost
    }
}

fn named(lost: Losses) -> Vec<(&'static str, u64)> {
    Loss::ALL
        .into_iter()
        .map(|loss| (loss.reason(), lost[loss as usize]))
        .filter(|(_, count)| *count > 0)
        .collect()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{Health, Loss};

    #[test]
    fn what_is_counted_late_ended_after_the_shutdown() {
        let health = Health::default();
        health.dropped(Loss::QueueFull, 2);
        health.dropped(Loss::Filtered, 1);
        assert_eq!(health.settle(), [("queue_full", 2), ("filtered", 1)]);
        health.dropped(Loss::QueueFull, 1);
        health.dropped(Loss::Filtered, 1);
        assert_eq!(
            health.losses(),
            [("queue_full", 2), ("after_shutdown", 1), ("filtered", 2)]
        );
        assert_eq!(health.unwanted_losses(), 3);
    }
}
