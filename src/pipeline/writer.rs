//! The one thread that writes: feeds each sink what was made ready, tries again, counts.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::ahead::{Behind, Work};
use super::{Health, Loss, Queue};
use crate::diagnostic::Diagnostics;
use crate::record::{Happening, SpanRecord, now_ns};
use crate::sink::{Ended, Outcome, Parcel, Sink, SinkError};

/// The longest pause between two tries of a batch that the store did not take.
const MAX_BACKOFF: Duration = Duration::from_secs(1);
/// How long a store may refuse a batch before it counts as lost, once shutdown has begun.
const LAST_TRIES: Duration = Duration::from_secs(2);

/// What the writing thread works with.
pub(crate) struct Writer<D> {
    pub(crate) queue: Arc<Queue<D>>,
    pub(crate) health: Arc<Health>,
    pub(crate) sinks: Vec<Box<dyn Sink>>,
    pub(crate) diagnostics: Arc<Diagnostics>,
    /// A store is wanted and could not be opened: nothing that comes can be kept.
    pub(crate) is_storeless: bool,
}

impl<D: Ended> Writer<D> {
    /// Works until nobody has anything to do any more.
    pub(super) fn run(mut self, ahead: &Behind) {
        let mut last_chance = None;
        while let Some(work) = ahead.next() {
            match work {
                Work::Write(batch) => {
                    self.write(&batch, &mut last_chance);
                    ahead.give_back(batch);
                }
                Work::Show(running) => {
                    for sink in &mut self.sinks {
                        // What is announced is not captured yet: a failure here loses nothing.
                        let _ = guarded(|| sink.write(&running));
                    }
                }
                Work::Note(events) => self.note(&events, &mut last_chance),
                Work::Tick { lost } => self.tick(&lost),
                Work::Answer(ticket) => self.queue.answer(ticket),
            }
        }
        self.tell_time(&self.health.settle());
        for sink in &mut self.sinks {
            let _ = catch_unwind(AssertUnwindSafe(|| sink.close()));
        }
        self.queue.answer(u64::MAX);
    }

    fn tick(&mut self, lost: &[Arc<SpanRecord>]) {
        for sink in self.sinks.iter_mut().filter(|_| !lost.is_empty()) {
            let _ = catch_unwind(AssertUnwindSafe(|| sink.lost(lost)));
        }
        self.tell_time(&self.health.losses());
    }

    fn tell_time(&mut self, losses: &[(&'static str, u64)]) {
        // One moment for all of them: the store and the event log say the same.
        let now_ns = now_ns();
        for sink in &mut self.sinks {
            let _ = catch_unwind(AssertUnwindSafe(|| sink.tick(now_ns, losses)));
        }
    }

    /// Writes events, which are counted apart from spans.
    fn note(&mut self, events: &[Happening], last_chance: &mut Option<Instant>) {
        let mut is_kept = !self.is_storeless;
        for sink in &mut self.sinks {
            let keeps = sink.keeps();
            let mut no_wait = None;
            let wait = if keeps {
                &mut *last_chance
            } else {
                &mut no_wait
            };
            let note = || guarded(|| sink.note(events));
            let noted = persistently(note, &self.queue, &self.diagnostics, wait);
            if keeps {
                is_kept = noted.is_ok_and(|outcome| outcome.refused == 0);
            }
        }
        let happenings = &self.queue.happenings;
        if is_kept {
            happenings.written(events.len());
        } else {
            happenings.dropped(Loss::StoreError, events.len());
        }
    }

    fn write(&mut self, batch: &Parcel, last_chance: &mut Option<Instant>) {
        let counted = batch.iter().filter(|record| !record.withdrawn).count() as u64;
        let mut kept = if self.is_storeless {
            Err(counted)
        } else {
            Ok(counted)
        };
        for sink in &mut self.sinks {
            // Only a store is waited for in the end; what others take says nothing of it.
            let mut no_wait = None;
            let wait = if sink.keeps() {
                &mut *last_chance
            } else {
                &mut no_wait
            };
            let keeps = sink.keeps();
            let write = || guarded(|| sink.write(batch));
            let written = persistently(write, &self.queue, &self.diagnostics, wait);
            if keeps {
                kept = match written {
                    Ok(outcome) if outcome.refused == 0 => Ok(counted),
                    Ok(outcome) => {
                        let refused = outcome.refused.min(counted);
                        self.health.written(counted - refused);
                        Err(refused)
                    }
                    Err(_) => Err(counted),
                };
            }
        }
        match kept {
            Ok(count) => self.health.written(count),
            Err(count) => self.health.dropped(Loss::StoreError, count),
        }
    }
}

/// Tries until the sink takes the batch, or says that it never will, or time runs out at shutdown:
/// the time since `last_chance`, for all batches together.
fn persistently<D: Ended>(
    mut write: impl FnMut() -> Result<Outcome, SinkError>,
    queue: &Queue<D>,
    diagnostics: &Diagnostics,
    last_chance: &mut Option<Instant>,
) -> Result<Outcome, SinkError> {
    let mut backoff = Duration::from_millis(10);
    if last_chance.is_some_and(|since| since.elapsed() >= LAST_TRIES) {
        // An earlier batch waited for all of them.
        return Err(SinkError {
            retryable: false,
            message: "the store was not to be had before the end".to_owned(),
        });
    }
    loop {
        let error = match write() {
            Ok(outcome) => {
                *last_chance = None;
                if outcome.refused > 0 {
                    diagnostics.error("refused", "the store refused some spans; they are lost");
                }
                return Ok(outcome);
            }
            Err(error) => error,
        };
        let is_out_of_time = queue.is_sealed()
            && last_chance.get_or_insert_with(Instant::now).elapsed() >= LAST_TRIES;
        if !error.retryable || is_out_of_time {
            diagnostics.error("sink", &format!("cannot keep spans: {}", error.message));
            return Err(error);
        }
        diagnostics.warn(
            "sink-retry",
            &format!("the store is busy, trying again: {}", error.message),
        );
        thread::sleep(backoff);
        backoff = (backoff * 2).min(MAX_BACKOFF);
    }
}

/// One try; a panic in a sink is that sink's failure and nobody else's.
fn guarded(write: impl FnOnce() -> Result<Outcome, SinkError>) -> Result<Outcome, SinkError> {
    catch_unwind(AssertUnwindSafe(write)).unwrap_or_else(|_| {
        Err(SinkError {
            retryable: false,
            message: "a sink panicked".to_owned(),
        })
    })
}
