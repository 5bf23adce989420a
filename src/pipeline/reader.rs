//! Takes drafts out of the queue, makes records of them and cleans them, one batch ahead of the writer.
//!
//! Two threads, for the writer's is the one that `SQLite` keeps busy: making and cleaning records took a
//! third of its time. This one polls; the writer waits for it, so no agent's thread wakes anybody.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::writer::{Work, Writer};
use super::{Health, Loss, Queue};
use crate::policy::Policy;
use crate::record::SpanRecord;
use crate::sink::Ended;

/// Records per transaction: past the knee of `SQLite`'s curve (256 to 1,024), more gains nothing.
const BATCH: usize = 512;
/// How much work may lie ready for the writer. More would only be more memory.
const AHEAD: usize = 2;
/// How long the thread sleeps when there is nothing to do. At 20 ms it costs about 0.2 % of one core; a
/// blocking receive would cost every caller a futex wake instead.
const POLL: Duration = Duration::from_millis(20);
/// How often the sinks get a tick and running spans are looked through.
const TICK: Duration = Duration::from_millis(250);

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
}

/// The way to the writer, and back.
struct Ahead {
    work: SyncSender<Work>,
    /// Batches that are written. They are freed on the thread that made them, which is cheaper.
    written: Receiver<Vec<Arc<SpanRecord>>>,
}

impl<S: Source + 'static> Reader<S>
where
    S::Draft: 'static,
{
    /// Starts both threads; they end after [`Queue::close`].
    pub(crate) fn start(self, writer: Writer<S::Draft>) -> std::io::Result<JoinHandle<()>> {
        let (work, to_do) = sync_channel(AHEAD);
        let (done, written) = channel();
        let writing = spawn("hermes-writer", move || writer.run(&to_do, &done))?;
        let ahead = Ahead { work, written };
        spawn("hermes-reader", move || {
            self.run(&ahead);
            // Without more to come, the writer ends.
            drop(ahead);
            let _ = writing.join();
        })
    }

    fn run(self, ahead: &Ahead) {
        self.queue.attend(thread::current());
        let mut last_tick = Instant::now();
        loop {
            // Read in this order, all that was queued when somebody asked is among `waiting`, and
            // the queue is first in, first out: once so many are written, the answer is due.
            let (ticket, is_stopping) = (self.queue.asked(), self.queue.is_stopping());
            let waiting = self.queue.depth();
            if last_tick.elapsed() >= TICK {
                last_tick = Instant::now();
                self.announce(ahead);
                self.tick(ahead);
                self.source.tick(waiting == 0);
            }
            let mut read = 0;
            while read < waiting
                && let Some(count) = self.pass_on(ahead)
            {
                read += count;
            }
            if self.queue.is_awaited(ticket) {
                ahead.pass(Work::Answer(ticket));
            }
            if is_stopping && waiting == 0 {
                break;
            }
            if waiting == 0 && self.queue.asked() == ticket {
                thread::park_timeout(POLL);
            }
        }
        // A caller that had passed the gate when it closed may have been late by a moment.
        while self.pass_on(ahead).is_some() {}
        self.tick(ahead);
    }

    /// Makes the next batch; returns how many drafts it took, `None` where there are none.
    fn pass_on(&self, ahead: &Ahead) -> Option<usize> {
        while ahead.written.try_recv().is_ok() {}
        let (mut batch, mut count) = (Vec::with_capacity(BATCH.min(self.queue.depth())), 0);
        while batch.len() < BATCH
            && let Some(draft) = self.queue.pop()
        {
            count += 1;
            // Nothing here is known to panic. If something does, it costs one span and no thread.
            match catch_unwind(AssertUnwindSafe(|| self.clean(draft))) {
                Ok(record) => batch.push(record),
                Err(_) => self.health.dropped(Loss::StoreError, 1),
            }
        }
        if !batch.is_empty() {
            ahead.pass(Work::Write(batch));
        }
        (count > 0).then_some(count)
    }

    fn clean(&self, draft: S::Draft) -> Arc<SpanRecord> {
        let mut record = draft.record();
        self.source.reuse(draft);
        // The exporter may hold the record too, and gets it as it was.
        match Arc::get_mut(&mut record) {
            Some(own) => self.policy.clean_in_place(own),
            None => record = Arc::new(self.policy.keep(&record)),
        }
        record
    }

    fn announce(&self, ahead: &Ahead) {
        let running: Vec<_> = self
            .source
            .announce()
            .iter()
            .map(|record| Arc::new(self.policy.keep(record)))
            .collect();
        for chunk in running.chunks(BATCH) {
            ahead.pass(Work::Show(chunk.to_vec()));
        }
    }

    fn tick(&self, ahead: &Ahead) {
        ahead.pass(Work::Tick {
            losses: self.health.losses(),
            lost: self.queue.take_lost().iter().map(Ended::record).collect(),
        });
    }
}

impl Ahead {
    /// Hands work over, and waits for the writer where it is behind. A writer that is gone takes none.
    fn pass(&self, work: Work) {
        let _ = self.work.send(work);
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    thread::Builder::new()
        .name(name.to_owned())
        // Hermes does not observe itself: nothing on these threads reaches a subscriber.
        .spawn(|| tracing::dispatcher::with_default(&tracing::Dispatch::none(), run))
}
