//! Every way out of the process for spans: OTLP over HTTP and gRPC, and the console.
//!
//! Spans go through `tracing-opentelemetry`, which gives them ids and parents that other
//! OpenTelemetry code in the program shares. What a span is called and carries is Hermes's own: capture
//! leaves the record in a side table ([`finished`]), and the exporter ([`exporter`]) rebuilds the span
//! from it on the batch processor's thread ([`rename`]).

mod bridge;
mod console;
mod endpoint;
mod exporter;
mod finished;
mod gate;
#[cfg(feature = "otlp-grpc")]
mod grpc;
mod http;
mod partial_success;
mod rename;
mod tally;
mod transport;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::trace::TracerProvider;
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing::dispatcher::with_default;
use tracing::{Dispatch, Subscriber};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::registry::LookupSpan;

use self::bridge::Bridge;
use self::console::Console;
use self::exporter::{Exit, FanOut};
use self::finished::Finished;
use self::gate::{Gate, QueueSize};
use self::http::Http;
use self::rename::Rename;
use self::tally::Tally;
use self::transport::Transport;
use crate::config::{ExportConfig, Exporter};
use crate::policy::Policy;
use crate::sink::Wire;

/// What a flush waits between two tries where the SDK refuses one at once.
const RETRY: Duration = Duration::from_millis(5);

/// Told what becomes of exported spans.
pub(crate) trait ExportCounter: std::fmt::Debug + Send + Sync {
    /// Spans that every way out took.
    fn exported(&self, spans: u64);

    /// Spans that were not exported, or not everywhere; the reason is a word for counters.
    fn lost(&self, reason: &'static str, spans: u64);

    /// Something the operator can mend, to be said once per kind.
    fn trouble(&self, kind: &'static str, message: &str);
}

/// The exporters in use and the OpenTelemetry provider that feeds them.
#[derive(Debug)]
pub(crate) struct Outlet {
    provider: SdkTracerProvider,
    finished: Arc<Finished>,
    tally: Arc<Tally>,
}

impl Outlet {
    /// Sets up every exporter that the configuration names. One that cannot be set up is told to
    /// `counter` and left out; `None` where none is left.
    pub(crate) fn build(
        config: &ExportConfig,
        policy: Arc<Policy>,
        counter: &Arc<dyn ExportCounter>,
    ) -> Option<Outlet> {
        let exits = exits(config, counter.as_ref());
        if exits.is_empty() {
            return None;
        }
        let size = QueueSize::from_env();
        // A record waits as long as its span, and a little room keeps those apart that the SDK
        // dropped without a word.
        let finished = Arc::new(Finished::new(size.under_way().saturating_mul(2)));
        let tally = Arc::new(Tally::new(Arc::clone(counter), size.under_way()));
        let rename = Rename::new(Arc::clone(&finished), policy, config.naming);
        let fan_out = FanOut::new(rename, exits, Arc::clone(&tally));
        let gate = || Gate::new(fan_out, size, Arc::clone(&finished), Arc::clone(&tally));
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
            .with_resource(resource(config))
            .build();
        Some(Outlet {
            provider,
            finished,
            tally,
        })
    }

    /// The layer that makes OpenTelemetry spans of tracing spans; stands behind capture.
    pub(crate) fn layer<S>(&self) -> OpenTelemetryLayer<S, SdkTracer>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let scope = InstrumentationScope::builder("hermes")
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        // Everything the layer would add by itself is off: the record says what a span carries,
        // and what it says costs time on the caller.
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer_with_scope(scope))
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

    /// Sends everything that has ended. `Ok`: every way out has taken it.
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

    /// Sends what has ended and stops. What is not out in time is given up and counted.
    pub(crate) fn shutdown(&self, timeout: Duration) -> Result<(), String> {
        let failed = self.tally.failed();
        self.tally.start_closing();
        let provider = self.provider.clone();
        within(timeout, move || provider.shutdown_with_timeout(timeout));
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

fn exits(config: &ExportConfig, counter: &dyn ExportCounter) -> Vec<Box<dyn Exit>> {
    let chosen = config.chosen();
    if chosen.is_empty() {
        return Vec::new();
    }
    let transport = Transport::from_env(counter);
    let mut exits = Vec::with_capacity(chosen.len());
    for exporter in chosen {
        let exit: Result<Box<dyn Exit>, String> = match exporter {
            Exporter::Console => Ok(Box::new(Console::default())),
            Exporter::OtlpHttp => Http::build(config, &transport).map(|http| Box::new(http) as _),
            Exporter::OtlpGrpc => grpc_exit(config, &transport),
        };
        match exit {
            Ok(exit) => exits.push(exit),
            Err(why) => counter.trouble("otlp_setup", &format!("{why}; nothing is exported by it")),
        }
    }
    exits
}

#[cfg(feature = "otlp-grpc")]
fn grpc_exit(config: &ExportConfig, transport: &Transport) -> Result<Box<dyn Exit>, String> {
    grpc::Grpc::build(config, transport).map(|grpc| Box::new(grpc) as _)
}

#[cfg(not(feature = "otlp-grpc"))]
fn grpc_exit(_: &ExportConfig, _: &Transport) -> Result<Box<dyn Exit>, String> {
    Err("gRPC export needs the cargo feature `otlp-grpc`".to_owned())
}

fn resource(config: &ExportConfig) -> Resource {
    let said = config
        .resource
        .iter()
        .map(|(key, value)| (key.clone().into(), value.clone()));
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(rename::key_values(said))
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
