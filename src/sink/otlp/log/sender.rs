//! The thread that sends log records: batch by batch, again where a collector is away, and within the memory
//! that the queue allows.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::Context;
use tracing::Dispatch;
use tracing::dispatcher::with_default;

use super::exit::{Batch, LogExit};
use super::line::LogLine;
use super::queue::{LogQueue, setting};
use super::record::Records;
use crate::sink::ExportCounter;
use crate::sink::otlp::line::{Patience, Undelivered, Verdict};
use crate::sink::otlp::reach::Reach;
use crate::sink::otlp::tally::reason;

/// A try that failed within this time may be made once more for somebody who waits.
const CHEAP: Duration = Duration::from_secs(1);

/// Takes events out of the queue and sends them.
pub(super) struct Sender {
    queue: Arc<LogQueue>,
    exits: Vec<Destination>,
    records: Records,
    counter: Arc<dyn ExportCounter>,
    /// How long an event waits for others at most.
    delay: Duration,
}

/// A way out, and what is known of the collector at its end.
struct Destination {
    exit: Box<dyn LogExit>,
    reach: Reach,
    /// It failed when there was no time left to try again: why all that comes after is lost as well.
    given_up: Option<&'static str>,
}

/// How many of a batch will never be taken, and why.
type Lost = Option<(&'static str, usize)>;

impl Sender {
    pub(super) fn new(
        queue: Arc<LogQueue>,
        exits: Vec<Box<dyn LogExit>>,
        records: Records,
        counter: Arc<dyn ExportCounter>,
    ) -> Self {
        let delay = setting("OTEL_BLRP_SCHEDULE_DELAY", 1000);
        let exits = exits.into_iter().map(|exit| Destination {
            exit,
            reach: Reach::default(),
            given_up: None,
        });
        Sender {
            queue,
            exits: exits.collect(),
            records,
            counter,
            delay: Duration::from_millis(u64::try_from(delay).unwrap_or(u64::MAX)),
        }
    }

    /// Starts the thread; it ends when the queue is sealed and empty.
    pub(super) fn start(mut self) -> io::Result<()> {
        let thread = thread::Builder::new().name("hermes-otlp-logs".to_owned());
        thread.spawn(move || {
            let _suppressed = Context::enter_telemetry_suppressed_scope();
            with_default(&Dispatch::none(), || self.run());
        })?;
        Ok(())
    }

    fn run(&mut self) {
        loop {
            let is_last = self.queue.is_sealed();
            loop {
                let lines = self.queue.take();
                if lines.is_empty() {
                    break;
                }
                let count = lines.len();
                let sending = AssertUnwindSafe(|| self.deliver(lines));
                let lost = catch_unwind(sending).unwrap_or(Some((reason::PANIC, count)));
                self.queue.settle(count, lost);
                self.tell_of_losses();
            }
            self.tell_of_losses();
            if is_last {
                break;
            }
            self.queue.wait(self.delay);
        }
        self.queue.done();
    }

    fn deliver(&mut self, lines: Vec<LogLine>) -> Lost {
        let records = lines.into_iter().map(|line| self.records.of(line));
        let batch: Batch = Arc::new(records.collect());
        let mut lost: Lost = None;
        for destination in &mut self.exits {
            let here = destination.send(&batch, &self.queue, self.counter.as_ref());
            // What one of them has not taken has not left.
            lost = lost.into_iter().chain(here).max_by_key(|(_, lost)| *lost);
        }
        lost
    }

    fn tell_of_losses(&self) {
        if self.queue.was_full() {
            self.counter.trouble(
                "otlp_logs_queue_full",
                "log records come faster than they are taken (OTEL_BLRP_MAX_QUEUE_SIZE); those that find \
                 no room are lost, and counted",
            );
        }
    }
}

impl Destination {
    /// Sends a batch until it is taken, or never will be.
    fn send(&mut self, batch: &Batch, queue: &LogQueue, counter: &dyn ExportCounter) -> Lost {
        loop {
            if let Some(reason) = self.given_up {
                return Some((reason, batch.len()));
            }
            let is_last = queue.is_sealed();
            let patience = if is_last || self.reach.is_down() {
                Patience::ONCE
            } else {
                Patience::BRIEF
            };
            let begun = Instant::now();
            let Err(failure) = self.exit.send(batch, patience) else {
                self.reach.up();
                return None;
            };
            match failure.verdict {
                Verdict::TooLarge if batch.len() > 1 => {
                    return self.send_in_halves(batch, queue, counter);
                }
                Verdict::TooLarge | Verdict::Final => {
                    let lost = failure.spans.min(batch.len());
                    self.tell("otlp_logs_refused", &failure, lost, counter);
                    return Some((failure.reason, lost));
                }
                Verdict::Away(_) | Verdict::Unclear if is_last => {
                    self.tell("otlp_logs_away", &failure, batch.len(), counter);
                    self.given_up = Some(failure.reason);
                }
                Verdict::Away(_) | Verdict::Unclear => {
                    self.wait_for_it(&failure, begun, queue, counter);
                }
            }
        }
    }

    fn send_in_halves(
        &mut self,
        batch: &Batch,
        queue: &LogQueue,
        counter: &dyn ExportCounter,
    ) -> Lost {
        let (first, second) = batch.split_at(batch.len() / 2);
        let first = self.send(&Arc::new(first.to_vec()), queue, counter);
        let second = self.send(&Arc::new(second.to_vec()), queue, counter);
        let both = [first, second].into_iter().flatten();
        both.reduce(|first, second| (first.0, first.1 + second.1))
    }

    /// Leaves the collector alone for a while.
    fn wait_for_it(
        &self,
        failure: &Undelivered,
        begun: Instant,
        queue: &LogQueue,
        counter: &dyn ExportCounter,
    ) {
        let what = format!(
            "{} does not take log records: {}; as many as find room wait in memory and are sent later",
            self.exit.destination(),
            failure.why
        );
        counter.trouble("otlp_logs_away", &what);
        let asked = match failure.verdict {
            Verdict::Away(asked) => asked,
            _ => None,
        };
        let now = Instant::now();
        self.reach.down(now, asked);
        let next = self.reach.next_try(now).unwrap_or(now);
        let is_cheap = now - begun < CHEAP && self.reach.held(now).is_none();
        queue.rest(next - now, is_cheap);
    }

    fn tell(
        &self,
        kind: &'static str,
        failure: &Undelivered,
        lost: usize,
        counter: &dyn ExportCounter,
    ) {
        let what = format!(
            "{lost} log records are lost: {} answered: {}",
            self.exit.destination(),
            failure.why
        );
        counter.trouble(kind, &what);
    }
}
