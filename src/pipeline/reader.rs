//! Takes drafts out of the queue, makes records of them and cleans them, one batch ahead of the writer.
//!
//! Two threads, for the writer's is the one that `SQLite` keeps busy: making and cleaning records took a
//! third of its time. This one polls; the writer waits for it, so no agent's thread wakes anybody.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::ahead::{Ahead, Work, way};
use super::writer::Writer;
use super::{Health, Loss, Queue};
use crate::diagnostic::Diagnostics;
use crate::policy::Policy;
use crate::record::SpanRecord;
use crate::sink::{Ended, Packer, Recent};

/// Records per transaction: past the knee of `SQLite`'s curve (256 to 1,024), more gains nothing.
const BATCH: usize = 512;
/// How long the thread sleeps when there is nothing to do. At 20 ms it costs about 0.2 % of one core; a
/// blocking receive would cost every caller a futex wake instead.
const POLL: Duration = Duration::from_millis(20);
/// How often the sinks get a tick and running spans are looked through.
const TICK: Duration = Duration::from_millis(250);

/// How long a span that does not say how it went may wait for those around it to tell.
const SETTLING: Duration = Duration::from_millis(250);

/// Drafts that wait for that, and since when.
struct Unsettled<D>(Vec<(Instant, D)>);

impl<D> Default for Unsettled<D> {
    fn default() -> Self {
        Unsettled(Vec::new())
    }
}

/// Where drafts come from.
pub(crate) trait Source: Send + Sync {
    type Draft: Ended;

    /// The spans that have run long enough to be shown and were not shown yet.
    fn announce(&self) -> Vec<SpanRecord>;

    /// Takes a draft back of which a record is made.
    fn reuse(&self, draft: Self::Draft);

    /// Called a few times a second; quiet: there is nothing to write.
    fn tick(&self, is_quiet: bool);
}

/// What the reading thread works with.
pub(crate) struct Reader<S: Source> {
    pub(crate) queue: Arc<Queue<S::Draft>>,
    pub(crate) health: Arc<Health>,
    pub(crate) policy: Arc<Policy>,
    pub(crate) source: Arc<S>,
    pub(crate) diagnostics: Arc<Diagnostics>,
    /// What readers in this process see of the last traces, a moment before the store has it.
    pub(crate) recent: Option<Arc<Recent>>,
}

impl<S: Source + 'static> Reader<S>
where
    S::Draft: 'static,
{
    /// Starts both threads; they end after [`Queue::close`].
    pub(crate) fn start(
        self,
        writer: Writer<S::Draft>,
        packer: Packer,
    ) -> std::io::Result<JoinHandle<()>> {
        let (mut ahead, behind) = way(packer);
        let writing = spawn("hermes-writer", move || writer.run(&behind))?;
        spawn("hermes-reader", move || {
            self.run(&mut ahead);
            // Without more to come, the writer ends.
            drop(ahead);
            let _ = writing.join();
        })
    }

    fn run(self, ahead: &mut Ahead) {
        self.queue.attend(thread::current());
        let (mut last_tick, mut answered) = (Instant::now(), 0);
        let mut unsettled = Unsettled::default();
        loop {
            // Read in this order, all that was queued when somebody asked is among `waiting` and
            // `missed`, and both are first in, first out: once so many are written, the answer is
            // due.
            let (ticket, is_stopping) = (self.queue.asked(), self.queue.is_stopping());
            let (waiting, missed) = (self.queue.depth(), self.queue.missed());
            if last_tick.elapsed() >= TICK {
                last_tick = Instant::now();
                self.announce(ahead);
                self.tick(ahead);
                self.source.tick(waiting == 0);
            }
            let mut read = 0;
            while read < waiting
                && let Some(count) = self.pass_on(ahead, Queue::pop, &mut unsettled)
            {
                read += count;
            }
            // While others keep the queue full, nobody comes to these by themselves.
            let mut read = 0;
            while read < missed
                && let Some(count) = self.pass_on(ahead, Queue::pop_missed, &mut unsettled)
            {
                read += count;
            }
            self.settle(ahead, &mut unsettled, is_stopping || ticket > answered);
            self.pass_events(ahead);
            if ticket > answered {
                // Who asks for a flush finds in the store what was lost until then, too.
                self.tick(ahead);
                ahead.pass(Work::Answer(ticket));
                answered = ticket;
            }
            if is_stopping && waiting == 0 {
                break;
            }
            if waiting == 0 && self.queue.asked() == ticket {
                thread::park_timeout(POLL);
            }
        }
        // A caller that had passed the gate when it closed may have been late by a moment.
        while self.pass_on(ahead, Queue::pop, &mut unsettled).is_some() {}
        self.settle(ahead, &mut unsettled, true);
        self.pass_events(ahead);
        self.queue.end();
        self.tick(ahead);
    }

    /// Makes the next batch; returns how many drafts it took, `None` where there are none.
    fn pass_on(
        &self,
        ahead: &mut Ahead,
        pop: fn(&Queue<S::Draft>) -> Option<S::Draft>,
        unsettled: &mut Unsettled<S::Draft>,
    ) -> Option<usize> {
        ahead.take_back();
        let (mut batch, mut count) = (ahead.room(), 0);
        while batch.len() < BATCH
            && let Some(draft) = pop(&self.queue)
        {
            count += 1;
            if draft.is_settled() {
                batch.extend(self.read(draft));
            } else {
                unsettled.0.push((Instant::now(), draft));
            }
        }
        if !batch.is_empty() {
            self.remember(&batch);
            ahead.write(batch);
        }
        (count > 0).then_some(count)
    }

    /// Passes on what waited to learn how it turned out, once it has or has waited long enough.
    fn settle(&self, ahead: &mut Ahead, unsettled: &mut Unsettled<S::Draft>, everything: bool) {
        if unsettled.0.is_empty() {
            return;
        }
        let is_due = |(since, draft): &mut (Instant, S::Draft)| {
            everything || since.elapsed() >= SETTLING || draft.is_settled()
        };
        let batch: Vec<_> = unsettled
            .0
            .extract_if(.., is_due)
            .filter_map(|(_, draft)| self.read(draft))
            .collect();
        if !batch.is_empty() {
            self.remember(&batch);
            ahead.write(batch);
        }
    }

    /// The record of a draft, cleaned.
    fn read(&self, draft: S::Draft) -> Option<Arc<SpanRecord>> {
        let is_counted = !draft.is_withdrawn();
        let record = caught(|| draft.record());
        self.source.reuse(draft);
        let record = record.and_then(|record| caught(|| self.cleaned(record)));
        if record.is_none() {
            self.cannot_keep(is_counted);
        }
        record
    }

    /// Passes on what happened outside of spans.
    fn pass_events(&self, ahead: &Ahead) {
        let mut events = self.queue.happenings.take();
        if events.is_empty() {
            return;
        }
        for event in &mut events {
            for text in event.what.texts_mut() {
                *text = caught(|| self.policy.label(text)).unwrap_or_default();
            }
        }
        ahead.pass(Work::Note(events));
    }

    /// A record after policy. The exporter may hold it too, and gets it as it was.
    fn cleaned(&self, mut record: Arc<SpanRecord>) -> Arc<SpanRecord> {
        match Arc::get_mut(&mut record) {
            Some(own) => self.policy.clean_in_place(own),
            None => record = Arc::new(self.policy.keep(&record)),
        }
        record
    }

    /// One span that nobody can make a record of costs neither the others nor the thread.
    #[cold]
    fn cannot_keep(&self, is_counted: bool) {
        self.diagnostics
            .error("record", "a span could not be made a record of; it is lost");
        if is_counted {
            self.health.dropped(Loss::StoreError, 1);
        }
    }

    fn announce(&self, ahead: &mut Ahead) {
        let running = caught(|| self.source.announce()).unwrap_or_default();
        let running: Vec<_> = running
            .iter()
            .filter_map(|record| caught(|| Arc::new(self.policy.keep(record))))
            .collect();
        self.remember(&running);
        for chunk in running.chunks(BATCH) {
            ahead.pass(Work::Show(chunk.to_vec().into()));
        }
    }

    fn tick(&self, ahead: &Ahead) {
        let lost = self.queue.take_lost();
        let lost = lost.iter();
        let lost: Vec<_> = lost.filter_map(|draft| caught(|| draft.record())).collect();
        if let Some(recent) = self.recent.as_ref().filter(|_| !lost.is_empty()) {
            let _ = caught(|| recent.lost(&lost));
        }
        ahead.pass(Work::Tick { lost });
    }

    /// Keeps records in sight of readers in this process.
    fn remember(&self, batch: &[Arc<SpanRecord>]) {
        if let Some(recent) = &self.recent {
            let _ = caught(|| recent.put(batch));
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new()
        .name(name.to_owned())
        // Hermes does not observe itself: nothing on these threads reaches a subscriber.
        .spawn(|| tracing::dispatcher::with_default(&tracing::Dispatch::none(), run))
}

/// What code returns; `None` where it panicked.
fn caught<T>(code: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(code)).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use super::{Reader, Source};
    use crate::config::Content;
    use crate::diagnostic::{Diagnostics, Verbosity};
    use crate::pipeline::{Health, Home, Queue, Writer};
    use crate::policy::{Extent, Policy, Rules};
    use crate::record::{Facts, RunId, RunRecord, SpanId, SpanRecord, Status, TraceId};
    use crate::semconv::Kind;
    use crate::sink::{Ended, Outcome, Packer, Parcel, Sink, SinkError};

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
                is_sampled: true,
                parent_span_id: None,
                wire_parent_span_id: None,
                remote_parent_span_id: None,
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

        fn is_missed(&self) -> bool {
            self.0 < 0
        }

        fn is_withdrawn(&self) -> bool {
            false
        }

        fn span_id(&self) -> SpanId {
            SpanId::generate()
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

        fn write(&mut self, batch: &Parcel) -> Result<Outcome, SinkError> {
            let mut kept = self.0.lock().unwrap();
            kept.extend(batch.iter().map(|record| record.start_ns));
            Ok(Outcome::default())
        }
    }

    #[test]
    fn a_flush_covers_what_waits_in_the_second_place_while_others_keep_the_first_one_full() {
        let health = Arc::new(Health::default());
        let diagnostics = Arc::new(Diagnostics::open(Verbosity::Off, None));
        let home = Home::here(Arc::clone(&diagnostics));
        let queue = Arc::new(Queue::new(1_024, Arc::clone(&health), home));
        let kept = Kept::default();
        let reader = Reader {
            queue: Arc::clone(&queue),
            health: Arc::clone(&health),
            policy: Arc::new(Policy::new(
                Content::Off,
                Extent::default(),
                [7; 16],
                Rules::default(),
            )),
            source: Arc::new(Spans::default()),
            diagnostics: Arc::clone(&diagnostics),
            recent: None,
        };
        let writer = Writer {
            queue: Arc::clone(&queue),
            health,
            sinks: vec![Box::new(kept.clone())],
            diagnostics,
            is_storeless: false,
        };
        let thread = reader.start(writer, Packer::new(false)).unwrap();
        let (is_over, mut is_flushed) = (AtomicBool::new(false), true);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while !is_over.load(Ordering::Relaxed) {
                        let _ = queue.push(Item(10));
                    }
                });
            }
            for number in 1..20 {
                // The writer is held up until the queue is full and the second place is used.
                let held = kept.0.lock().unwrap();
                let mut sent = vec![-100_000 * number];
                queue.push(Item(sent[0])).unwrap();
                while queue.missed() == 0 {
                    let missed = sent[sent.len() - 1] - 10;
                    queue.push(Item(missed)).unwrap();
                    sent.push(missed);
                }
                drop(held);
                is_flushed &= queue.flush(SOON);
                let mut kept = kept.0.lock().unwrap();
                is_flushed &= sent.iter().all(|missed| kept.contains(missed));
                kept.clear();
            }
            is_over.store(true, Ordering::Relaxed);
        });
        assert!(is_flushed);
        queue.close();
        thread.join().unwrap();
    }

    #[test]
    fn a_record_that_cannot_be_made_costs_only_itself_and_a_flush_covers_what_was_before_it() {
        let health = Arc::new(Health::default());
        let diagnostics = Arc::new(Diagnostics::open(Verbosity::Off, None));
        let home = Home::here(Arc::clone(&diagnostics));
        let queue = Arc::new(Queue::new(4_096, Arc::clone(&health), home));
        let (source, kept) = (Arc::new(Spans::default()), Kept::default());
        let reader = Reader {
            queue: Arc::clone(&queue),
            health: Arc::clone(&health),
            policy: Arc::new(Policy::new(
                Content::Off,
                Extent::default(),
                [7; 16],
                Rules::default(),
            )),
            source: Arc::clone(&source),
            diagnostics: Arc::clone(&diagnostics),
            recent: None,
        };
        let writer = Writer {
            queue: Arc::clone(&queue),
            health: Arc::clone(&health),
            sinks: vec![Box::new(kept.clone())],
            diagnostics,
            is_storeless: false,
        };
        let thread = reader.start(writer, Packer::new(false)).unwrap();
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
