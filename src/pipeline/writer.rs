//! The one thread that writes: drains the queue, applies policy, feeds each sink, polls.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{Health, Loss, Queue};
use crate::diagnostic::Diagnostics;
use crate::policy::Policy;
use crate::record::SpanRecord;
use crate::sink::{Ended, Outcome, Sink, SinkError};

/// Records per transaction: past the knee of `SQLite`'s curve (256 to 1,024), more gains nothing.
const BATCH: usize = 512;
/// How long the writer sleeps when there is nothing to do. At 20 ms an idle writer costs about
/// 0.2 % of one core; a blocking receive would cost every caller a futex wake instead.
const POLL: Duration = Duration::from_millis(20);
/// How often the sinks get a tick and running spans are looked through.
const TICK: Duration = Duration::from_millis(250);
/// The longest pause between two tries of a batch that the store did not take.
const MAX_BACKOFF: Duration = Duration::from_secs(1);
/// How long a store may refuse a batch before it counts as lost, once shutdown has begun.
const LAST_TRIES: Duration = Duration::from_secs(2);

/// Where drafts come from, as the writer sees it.
pub(crate) trait Source: Send + Sync {
    type Draft: Ended;

    /// The spans that have run long enough to be shown and were not shown yet.
    fn announce(&self) -> Vec<SpanRecord>;

    /// Takes a draft back that is written.
    fn reuse(&self, draft: Self::Draft);

    /// Called a few times a second; quiet: there is nothing to write.
    fn tick(&self, is_quiet: bool);
}

/// What the writer thread works with.
pub(crate) struct Writer<S: Source> {
    pub(crate) queue: Arc<Queue<S::Draft>>,
    pub(crate) health: Arc<Health>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) source: Arc<S>,
    pub(crate) sinks: Vec<Box<dyn Sink>>,
    pub(crate) diagnostics: Arc<Diagnostics>,
    /// A store is wanted and could not be opened: nothing that comes can be kept.
    pub(crate) is_storeless: bool,
}

impl<S: Source + 'static> Writer<S> {
    /// Starts the thread; it ends after [`Queue::close`].
    pub(crate) fn start(self) -> std::io::Result<JoinHandle<()>> {
        thread::Builder::new()
            .name("hermes-writer".to_owned())
            .spawn(move || {
                // Hermes does not observe itself: nothing on this thread reaches a subscriber.
                tracing::dispatcher::with_default(&tracing::Dispatch::none(), || self.run());
            })
    }

    fn run(mut self) {
        self.queue.attend(thread::current());
        let mut last_tick = Instant::now();
        let mut answered = 0;
        loop {
            // Read in this order, all that was queued when somebody asked is among `waiting`, and
            // the queue is first in, first out: once so many are written, the answer is due.
            let (ticket, is_stopping) = (self.queue.asked(), self.queue.is_stopping());
            let waiting = self.queue.depth();
            if last_tick.elapsed() >= TICK {
                last_tick = Instant::now();
                self.announce();
                self.tick();
                self.source.tick(waiting == 0);
            }
            let mut written = 0;
            while written < waiting
                && let Some(batch) = self.drain()
            {
                written += batch.len();
                self.write(&batch);
            }
            if ticket > answered {
                // Who asks for a flush finds in the store what was lost until then, too.
                self.tick();
                answered = ticket;
            }
            self.queue.answer(ticket);
            if is_stopping && waiting == 0 {
                break;
            }
            if waiting == 0 && self.queue.asked() == ticket {
                thread::park_timeout(POLL);
            }
        }
        // A caller that had passed the gate when it closed may have been late by a moment.
        while let Some(batch) = self.drain() {
            self.write(&batch);
        }
        self.queue.end();
        self.tick();
        for sink in &mut self.sinks {
            let _ = catch_unwind(AssertUnwindSafe(|| sink.close()));
        }
        self.queue.answer(u64::MAX);
    }

    fn drain(&self) -> Option<Vec<Arc<SpanRecord>>> {
        let mut batch = Vec::new();
        while batch.len() < BATCH
            && let Some(draft) = self.queue.pop()
        {
            let is_counted = !draft.is_withdrawn();
            let record = caught(|| draft.record());
            self.source.reuse(draft);
            match record.and_then(|record| caught(|| self.cleaned(record))) {
                Some(record) => batch.push(record),
                None => self.cannot_keep(is_counted),
            }
        }
        (!batch.is_empty()).then_some(batch)
    }

    /// A record after policy. The exporter may hold it too, and gets it as it was.
    fn cleaned(&self, mut record: Arc<SpanRecord>) -> Arc<SpanRecord> {
        match Arc::get_mut(&mut record) {
            Some(own) => self.policy.clean_in_place(own),
            None => record = Arc::new(self.policy.keep(&record)),
        }
        record
    }

    /// One span that nobody can make a record of costs neither the others nor the writer.
    #[cold]
    fn cannot_keep(&self, is_counted: bool) {
        self.diagnostics
            .error("record", "a span could not be made a record of; it is lost");
        if is_counted {
            self.health.dropped(Loss::StoreError, 1);
        }
    }

    fn announce(&mut self) {
        let running = caught(|| self.source.announce()).unwrap_or_default();
        let running: Vec<_> = running
            .iter()
            .filter_map(|record| caught(|| Arc::new(self.policy.keep(record))))
            .collect();
        for chunk in running.chunks(BATCH) {
            for sink in &mut self.sinks {
                // What is announced is not captured yet: a failure here loses nothing.
                let _ = guarded(sink.as_mut(), chunk);
            }
        }
    }

    fn tick(&mut self) {
        // One moment for all of them: the store and the event log say the same.
        let (now_ns, losses) = (now_ns(), self.health.losses());
        for sink in &mut self.sinks {
            let _ = catch_unwind(AssertUnwindSafe(|| sink.tick(now_ns, &losses)));
        }
    }

    fn write(&mut self, batch: &[Arc<SpanRecord>]) {
        let counted = batch.iter().filter(|record| !record.withdrawn).count() as u64;
        let mut kept = if self.is_storeless {
            Err(counted)
        } else {
            Ok(counted)
        };
        for sink in &mut self.sinks {
            let written = persistently(sink.as_mut(), batch, &self.queue, &self.diagnostics);
            if sink.keeps() {
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

/// Tries until the sink takes the batch, or says that it never will, or time runs out at shutdown.
fn persistently<D: Ended>(
    sink: &mut dyn Sink,
    batch: &[Arc<SpanRecord>],
    queue: &Queue<D>,
    diagnostics: &Diagnostics,
) -> Result<Outcome, SinkError> {
    let mut backoff = Duration::from_millis(10);
    let mut last_chance: Option<Instant> = None;
    loop {
        let error = match guarded(sink, batch) {
            Ok(outcome) => {
                if outcome.refused > 0 {
                    diagnostics.error("refused", "the store refused some spans; they are lost");
                }
                return Ok(outcome);
            }
            Err(error) => error,
        };
        let is_out_of_time = queue.is_stopping()
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
fn guarded(sink: &mut dyn Sink, batch: &[Arc<SpanRecord>]) -> Result<Outcome, SinkError> {
    catch_unwind(AssertUnwindSafe(|| sink.write(batch))).unwrap_or_else(|_| {
        Err(SinkError {
            retryable: false,
            message: "a sink panicked".to_owned(),
        })
    })
}

/// What code returns; `None` where it panicked.
fn caught<T>(code: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(code)).ok()
}

fn now_ns() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_nanos()).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::{Source, Writer};
    use crate::config::Content;
    use crate::diagnostic::{Diagnostics, Verbosity};
    use crate::pipeline::{Health, Home, Queue};
    use crate::policy::Policy;
    use crate::record::{Facts, RunId, RunRecord, SpanId, SpanRecord, Status, TraceId};
    use crate::semconv::Kind;
    use crate::sink::{Ended, Outcome, Sink, SinkError};

    const SOON: Duration = Duration::from_secs(60);

    /// A span by its start time; of some no record can be made.
    #[derive(Debug)]
    struct Item(i64);

    impl Ended for Item {
        fn record(&self) -> Arc<SpanRecord> {
            assert!(self.0 % 10 != 3, "as it should");
            Arc::new(SpanRecord {
                trace_id: TraceId::generate(self.0),
                span_id: SpanId::generate(),
                parent_span_id: None,
                wire_parent_span_id: None,
                run: RunRecord {
                    run_id: RunId::generate(self.0),
                    is_root: false,
                },
                kind: Kind::Tool,
                given_name: None,
                start_ns: self.0,
                end_ns: Some(self.0),
                status: Status::Ok,
                failure: None,
                facts: Facts::default(),
                extra: Vec::new(),
                events: Vec::new(),
                links: Vec::new(),
                retries: None,
                withdrawn: false,
            })
        }

        fn is_announced(&self) -> bool {
            false
        }

        fn is_withdrawn(&self) -> bool {
            false
        }

        fn bytes(&self) -> usize {
            0
        }
    }

    #[derive(Debug, Default)]
    struct Spans(AtomicU64);

    impl Source for Spans {
        type Draft = Item;

        fn announce(&self) -> Vec<SpanRecord> {
            panic!("as it should");
        }

        fn reuse(&self, _draft: Item) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn tick(&self, _is_quiet: bool) {}
    }

    /// Keeps the start times.
    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<i64>>>);

    impl Sink for Kept {
        fn keeps(&self) -> bool {
            true
        }

        fn write(&mut self, batch: &[Arc<SpanRecord>]) -> Result<Outcome, SinkError> {
            let mut kept = self.0.lock().unwrap();
            kept.extend(batch.iter().map(|record| record.start_ns));
            Ok(Outcome::default())
        }
    }

    #[test]
    fn a_record_that_cannot_be_made_costs_only_itself_and_a_flush_covers_what_was_before_it() {
        let health = Arc::new(Health::default());
        let diagnostics = Arc::new(Diagnostics::open(Verbosity::Off, None));
        let home = Home::here(Arc::clone(&diagnostics));
        let queue = Arc::new(Queue::new(4_096, Arc::clone(&health), home));
        let (source, kept) = (Arc::new(Spans::default()), Kept::default());
        let writer = Writer {
            queue: Arc::clone(&queue),
            health: Arc::clone(&health),
            policy: Arc::new(Policy::new(Content::Off, true, [7; 16])),
            source: Arc::clone(&source),
            sinks: vec![Box::new(kept.clone())],
            diagnostics,
            is_storeless: false,
        };
        let thread = writer.start().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..3_i64 {
                let (queue, kept) = (&queue, &kept);
                scope.spawn(move || {
                    for round in 0..40 {
                        let mine: Vec<_> =
                            (0..25).map(|n| thread << 40 | round << 20 | n).collect();
                        for number in &mine {
                            queue.push(Item(*number)).unwrap();
                        }
                        assert!(queue.flush(SOON));
                        let kept = kept.0.lock().unwrap();
                        for number in mine.iter().filter(|number| *number % 10 != 3) {
                            assert!(kept.contains(number), "{number} was flushed");
                        }
                    }
                });
            }
        });
        queue.close();
        assert!(queue.flush(SOON));
        thread.join().unwrap();
        let stats = health.stats(queue.depth());
        let lost = stats.dropped["store_error"];
        assert_eq!((stats.captured, stats.in_flight), (3_000, 0), "{stats:?}");
        assert_eq!(stats.written + lost, 3_000);
        assert_eq!(kept.0.lock().unwrap().len() as u64, stats.written);
        assert!(lost > 200, "{lost}");
        assert_eq!(source.0.load(Ordering::Relaxed), 3_000);
    }
}
