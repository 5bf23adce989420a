//! A way out with what is known of its other end: whether to try, how patiently, and what a failure means.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use tracing::Dispatch;
use tracing::dispatcher::with_default;

use super::closing::Closing;
use super::reach::Reach;
use super::tally::reason;

/// A way out of the process.
#[async_trait]
pub(super) trait Exit: std::fmt::Debug + Send + Sync {
    /// Sends a batch, and comes back within a time of its own.
    async fn send(&self, batch: Vec<SpanData>, patience: Patience) -> Result<(), Undelivered>;

    /// What the spans are about; said once, before the first batch.
    fn set_resource(&mut self, resource: &Resource);

    /// Where it leads, without secrets.
    fn destination(&self) -> String;

    /// The bit by which the store knows it; zero: what it does not take is not sent again.
    fn bit(&self) -> u8 {
        0
    }
}

/// The ways out by which a span can be owed. The store holds these numbers.
pub(super) const OVER_HTTP: u8 = 1;
#[cfg(feature = "otlp-grpc")]
pub(super) const OVER_GRPC: u8 = 2;

/// What a way out did not take.
#[derive(Debug)]
pub(super) struct Undelivered {
    pub(super) reason: &'static str,
    pub(super) spans: usize,
    pub(super) why: String,
    pub(super) verdict: Verdict,
}

/// What a failure means for the spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The collector cannot be reached, or wants to be left alone for so long.
    Away(Option<Duration>),
    /// There was no proper answer: nobody knows whether it has the spans.
    Unclear,
    /// The batch is too much for it; parts of it may not be.
    TooLarge,
    /// It refuses the spans, and would again.
    Final,
}

impl Verdict {
    /// Whether the same spans may be taken later.
    pub(super) fn is_passing(self) -> bool {
        self != Verdict::Final
    }
}

/// How hard a batch is tried before it is given back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Patience {
    /// Tries after the first.
    pub(super) retries: u32,
    /// A longer pause than this is not made.
    pub(super) longest_pause: Duration,
}

impl Patience {
    /// Where a failure is made good later.
    pub(super) const BRIEF: Patience = Patience {
        retries: 3,
        longest_pause: Duration::from_secs(2),
    };
    /// Where what is not delivered now is lost: as patient as the time for a batch allows.
    const LONG: Patience = Patience {
        retries: 3,
        longest_pause: Duration::MAX,
    };
    pub(super) const ONCE: Patience = Patience {
        retries: 0,
        longest_pause: Duration::ZERO,
    };
}

/// A way out, and what is known of the collector at its end.
#[derive(Debug)]
pub(super) struct Line {
    exit: Box<dyn Exit>,
    reach: Arc<Reach>,
    closing: Arc<Closing>,
}

impl Line {
    pub(super) fn new(exit: Box<dyn Exit>, reach: Arc<Reach>, closing: Arc<Closing>) -> Self {
        Line {
            exit,
            reach,
            closing,
        }
    }

    pub(super) fn bit(&self) -> u8 {
        self.exit.bit()
    }

    pub(super) fn reach(&self) -> &Reach {
        &self.reach
    }

    pub(super) fn destination(&self) -> String {
        self.exit.destination()
    }

    pub(super) fn set_resource(&mut self, resource: &Resource) {
        self.exit.set_resource(resource);
    }

    /// Sends what has just ended. `is_kept`: what is not delivered is sent again later.
    pub(super) async fn send_live(
        &self,
        batch: Vec<SpanData>,
        is_kept: bool,
    ) -> Result<(), Undelivered> {
        if self.bit() == 0 || !is_kept {
            return self.send(batch, Patience::LONG).await;
        }
        if let Some(held) = self.reach.held(Instant::now()) {
            if held > Patience::BRIEF.longest_pause {
                return Err(not_now(batch.len()));
            }
            self.closing.pause(held);
        }
        if self.closing.is_set() && self.reach.is_down() {
            return Err(not_now(batch.len()));
        }
        let patience = if self.closing.is_set() || self.reach.is_down() {
            Patience::ONCE
        } else {
            Patience::BRIEF
        };
        self.send(batch, patience).await
    }

    /// Sends a batch and learns from what comes of it.
    pub(super) async fn send(
        &self,
        batch: Vec<SpanData>,
        patience: Patience,
    ) -> Result<(), Undelivered> {
        let spans = batch.len();
        let outcome = quietly(self.exit.send(batch, patience)).await;
        let outcome = outcome.unwrap_or_else(|| {
            Err(Undelivered {
                reason: reason::PANIC,
                spans,
                why: "it panicked".to_owned(),
                verdict: Verdict::Unclear,
            })
        });
        let is_partial = |failure: &Undelivered| failure.spans < spans;
        match outcome.as_ref().map_err(|failure| failure.verdict) {
            Err(_) if outcome.as_ref().is_err_and(is_partial) => drop(self.reach.up()),
            Err(Verdict::Away(asked)) => self.reach.down(Instant::now(), asked),
            Err(Verdict::Unclear) => self.reach.down(Instant::now(), None),
            Ok(()) => drop(self.reach.up()),
            // It is there, whatever it says.
            Err(Verdict::TooLarge | Verdict::Final) => {}
        }
        outcome
    }
}

fn not_now(spans: usize) -> Undelivered {
    Undelivered {
        reason: reason::AWAY,
        spans,
        why: "the collector is not asked before it is time".to_owned(),
        verdict: Verdict::Away(None),
    }
}

/// Runs a future without a tracing subscriber, so that the spans of an HTTP client do not come back
/// as spans to export; `None` where it panicked.
async fn quietly<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| {
        let poll = || future.as_mut().poll(context);
        match with_default(&Dispatch::none(), || catch_unwind(AssertUnwindSafe(poll))) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

/// Waits on this thread for a future.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}
