//! Every way out of the process for spans: OTLP over HTTP and gRPC, and the console.
//!
//! Spans go through `tracing-opentelemetry`, which gives them ids and parents that other
//! OpenTelemetry code in the program shares. What a span is called and carries is Hermes's own: capture
//! leaves the record in a side table ([`finished`]), and the exporter ([`exporter`]) rebuilds the span
//! from it on the batch processor's thread ([`rename`]).
//!
//! What a collector did not take is remembered in the store ([`Backlog`]) and sent from there
//! ([`resend`]) by ways out of its own.

mod answer;
mod bridge;
mod closing;
mod console;
mod endpoint;
mod exporter;
mod finished;
mod gate;
#[cfg(feature = "otlp-grpc")]
mod grpc;
mod http;
mod line;
#[cfg(feature = "otlp-logs")]
pub(crate) mod log;
mod partial_success;
#[cfg(feature = "sqlite")]
pub(super) mod preview;
mod reach;
pub(super) mod remote;
mod rename;
#[cfg(feature = "sqlite")]
mod resend;
#[cfg(feature = "sqlite")]
mod restore;
mod setup;
mod signal;
mod tail;
mod tally;
mod transport;
mod unladen;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use opentelemetry::trace::TracerProvider;
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::dispatcher::with_default;
use tracing::{Dispatch, Subscriber};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;

use self::bridge::Bridge;
use self::closing::Closing;
use self::exporter::{FanOut, Shared};
use self::finished::Finished;
use self::gate::{Gate, QueueSize};
use self::line::block_on;
use self::rename::Rename;
#[cfg(feature = "sqlite")]
use self::resend::Resender;
use self::setup::{Setup, sampler};
use self::tail::Tail;
use self::tally::Tally;
pub(crate) use self::unladen::Unladen;
use crate::config::{ExportConfig, TailSampling};
use crate::policy::{Permit, Policy};
use crate::sink::backlog::Terms;
use crate::sink::{Backlog, ExportCounter, Wire};

/// What a flush waits between two tries where the SDK refuses one at once, and a shutdown for a
/// thread.
const RETRY: Duration = Duration::from_millis(5);

/// How often it is looked for traces that have been undecided for too long.
const SHORTEST_LOOK: Duration = Duration::from_millis(20);
const LONGEST_LOOK: Duration = Duration::from_secs(30);

/// How long a shutdown waits for the thread that sends again, whatever its collector does.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The exporters in use and the OpenTelemetry provider that feeds them.
#[derive(Debug)]
pub(crate) struct Outlet {
    provider: SdkTracerProvider,
    finished: Arc<Finished>,
    tally: Arc<Tally>,
    closing: Arc<Closing>,
    backlog: Arc<Backlog>,
    tail: Option<Arc<Tail>>,
    resender: Option<JoinHandle<()>>,
}

impl Outlet {
    /// Sets up every exporter that there is leave for. One that cannot be set up is told to
    /// `counter` and left out; `None` where none is left.
    pub(crate) fn build(
        config: &ExportConfig,
        permits: Vec<Permit>,
        policy: Arc<Policy>,
        counter: &Arc<dyn ExportCounter>,
        backlog: Arc<Backlog>,
    ) -> Option<Outlet> {
        let closing = Arc::new(Closing::default());
        let setup = Setup::read(config, permits, counter.as_ref(), &closing)?;
        let mut lines = setup.lines(counter.as_ref());
        if lines.is_empty() {
            return None;
        }
        let resource = setup.resource();
        for line in &mut lines {
            line.set_resource(&resource);
        }
        let exits = lines.iter().fold(0, |exits, line| exits | line.bit());
        let terms = Terms {
            exits,
            // What is kept and must not leave cannot be told apart in the store if the rules change.
            may_carry_content: policy.exports_all_content(),
            are_judged: config.tail.is_some(),
        };
        let size = QueueSize::from_env();
        // A record waits as long as its span, and a little room keeps those apart that the SDK
        // dropped without a word.
        let finished = Arc::new(Finished::new(size.under_way().saturating_mul(2)));
        let tally = Arc::new(Tally::new(
            Arc::clone(counter),
            Arc::clone(&backlog),
            Arc::clone(&closing),
            size.under_way(),
        ));
        let rename = Arc::new(Rename::new(Arc::clone(&finished), policy, config.naming));
        let tail = config.tail.map(|rules| Arc::new(Tail::new(rules)));
        let fan_out = Arc::new(FanOut::new(
            Arc::clone(&rename),
            lines,
            Arc::clone(&tally),
            Arc::clone(&backlog),
            tail.clone(),
        ));
        let gate = || {
            let exporter = Shared(Arc::clone(&fan_out));
            let (finished, tally) = (Arc::clone(&finished), Arc::clone(&tally));
            Gate::new(exporter, size, finished, tally, tail.clone())
        };
        // The SDK panics where the system gives it no thread.
        let Ok(gate) = catch_unwind(AssertUnwindSafe(gate)) else {
            counter.trouble(
                "otlp_thread",
                "cannot start the export thread; nothing is exported",
            );
            return None;
        };
        let provider = SdkTracerProvider::builder()
            .with_span_processor(gate)
            .with_resource(resource)
            .with_sampler(sampler(config.head))
            .build();
        let mut outlet = Outlet {
            provider,
            finished,
            tally,
            closing,
            backlog,
            tail,
            resender: None,
        };
        if let Some(tail) = &outlet.tail {
            look_after_overdue(fan_out, tail.patience(), Arc::clone(&outlet.closing));
        }
        if exits != 0 {
            outlet.backlog.open(terms);
            outlet.start_resender(&setup, rename, config.tail);
        }
        Some(outlet)
    }

    /// Without the thread what is owed waits for another process.
    #[cfg(feature = "sqlite")]
    fn start_resender(
        &mut self,
        setup: &Setup<'_>,
        rename: Arc<Rename>,
        rules: Option<TailSampling>,
    ) {
        let resender = Resender {
            backlog: Arc::clone(&self.backlog),
            lines: setup.lines_again(),
            rename,
            rules,
            tally: Arc::clone(&self.tally),
            closing: Arc::clone(&self.closing),
            scope: scope(),
        };
        self.resender = resender.start().ok();
    }

    #[cfg(not(feature = "sqlite"))]
    #[expect(
        clippy::needless_pass_by_ref_mut,
        clippy::unused_self,
        reason = "stands in for the twin with a store"
    )]
    fn start_resender(&mut self, _: &Setup<'_>, _: Arc<Rename>, _: Option<TailSampling>) {}

    /// The layer that makes OpenTelemetry spans of tracing spans; stands behind capture.
    pub(crate) fn layer<S>(&self) -> OpenTelemetryLayer<S, SdkTracer>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        // Everything the layer would add by itself is off: the record says what a span carries,
        // and what it says costs time on the caller.
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer_with_scope(scope()))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            .with_level(false)
            .with_error_fields_to_exceptions(false)
            .with_error_records_to_exceptions(false)
            .with_error_events_to_exceptions(false)
            .with_error_events_to_status(false)
    }

    /// What capture asks for ids and tells of ends.
    pub(crate) fn wire(&self) -> Arc<dyn Wire> {
        Arc::new(Bridge::new(
            Arc::clone(&self.finished),
            Arc::clone(&self.tally),
        ))
    }

    /// Sends everything that has ended, and waits for nothing that is to be sent again. `Ok`: every way
    /// out has taken it.
    pub(crate) fn flush(&self, timeout: Duration) -> Result<(), String> {
        let (target, failed) = (self.tally.flush_target(), self.tally.failed());
        if !self.tally.has_reached(target) {
            let deadline = Instant::now().checked_add(timeout);
            let (provider, tally) = (self.provider.clone(), Arc::clone(&self.tally));
            within(timeout, move || {
                // The SDK gives up after five seconds of its own, and sends no more than it had
                // counted when it was asked.
                while !tally.has_reached(target)
                    && !tally.is_closed()
                    && deadline.is_none_or(|deadline| Instant::now() < deadline)
                {
                    if provider.force_flush().is_err() {
                        thread::sleep(RETRY);
                    }
                }
            });
        }
        if !self.tally.has_reached(target) {
            return Err("not all spans were exported in time".to_owned());
        }
        self.outcome(failed)
    }

    /// Spans that are remembered and not yet delivered.
    pub(crate) fn pending(&self) -> u64 {
        self.backlog.pending()
    }

    /// Spans that wait for the decision of their trace.
    pub(crate) fn undecided(&self) -> u64 {
        let undecided = self.tail.as_ref().map_or(0, |tail| tail.undecided());
        u64::try_from(undecided).unwrap_or(u64::MAX)
    }

    /// Sends what has ended and stops. What is not out in time is left to a later process where there
    /// is a store, and else given up and counted.
    pub(crate) fn shutdown(&self, timeout: Duration) -> Result<(), String> {
        let failed = self.tally.failed();
        self.tally.start_closing();
        let provider = self.provider.clone();
        within(timeout, move || provider.shutdown_with_timeout(timeout));
        // It was told to stop when the closing began. What has come by then it may still cross out.
        let deadline = Instant::now() + timeout.min(LAST_WORDS);
        while let Some(resender) = &self.resender
            && !resender.is_finished()
            && Instant::now() < deadline
        {
            thread::sleep(RETRY);
        }
        match self.tally.close() {
            0 => self.outcome(failed),
            spans => Err(format!("{spans} spans were not exported in time")),
        }
    }

    fn outcome(&self, failed_before: u64) -> Result<(), String> {
        match self.tally.failed().saturating_sub(failed_before) {
            0 => Ok(()),
            spans => Err(format!(
                "{spans} spans were not exported: {}",
                self.tally.last_trouble()
            )),
        }
    }
}

/// Starts the thread that decides what has been undecided for too long; it ends when the shutdown begins.
/// Without it this is done whenever a span ends.
fn look_after_overdue(fan_out: Arc<FanOut>, patience: Duration, closing: Arc<Closing>) {
    let _ = thread::Builder::new()
        .name("hermes-otlp-tail".to_owned())
        .spawn(move || {
            let _suppressed = Context::enter_telemetry_suppressed_scope();
            with_default(&Dispatch::none(), || {
                while !closing.is_set() {
                    closing.pause(patience.clamp(SHORTEST_LOOK, LONGEST_LOOK));
                    if !closing.is_set() {
                        block_on(fan_out.judge_overdue());
                    }
                }
            });
        });
}

/// Who makes the spans.
fn scope() -> InstrumentationScope {
    InstrumentationScope::builder("hermes")
        .with_version(env!("CARGO_PKG_VERSION"))
        .build()
}

/// Does work on a thread of its own and waits for it no longer than `timeout`: the SDK's calls wait
/// for a collector that may never answer.
fn within<T: Send + 'static>(timeout: Duration, work: impl FnOnce() -> T + Send + 'static) {
    let (done, is_done) = sync_channel(1);
    let thread = thread::Builder::new()
        .name("hermes-otlp-flush".to_owned())
        .spawn(move || {
            let _suppressed = Context::enter_telemetry_suppressed_scope();
            let _ = done.send(with_default(&Dispatch::none(), work));
        });
    if thread.is_ok() {
        let _ = is_done.recv_timeout(timeout);
    }
}
