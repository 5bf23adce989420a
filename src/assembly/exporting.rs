//! Export, in a build that can: the outlet, and the OTel layer behind capture.

use std::sync::Arc;
use std::time::Duration;

use tracing::subscriber::Interest;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

use crate::builder::HermesLayer;
use crate::capture::{Capture, Interests};
use crate::config::Config;
use crate::diagnostic::Diagnostics;
use crate::pipeline::Health;
use crate::policy::{Gate, Policy};
use crate::sink::otlp::{Outlet, Unladen};
use crate::sink::{Backlog, ExportCounter, Wire};

/// What is owed to collectors, where spans go to any; the store keeps it.
pub(super) fn backlog(
    config: &Config,
    gate: &Gate,
    health: &Arc<Health>,
    diagnostics: &Arc<Diagnostics>,
) -> Option<Arc<Backlog>> {
    let mut permits = gate.spans(&config.export).into_iter();
    permits
        .any(|permit| permit.exporter().is_otlp())
        .then(|| Arc::new(Backlog::new(counter(health, diagnostics))))
}

/// Hears from whatever exports.
pub(super) fn counter(
    health: &Arc<Health>,
    diagnostics: &Arc<Diagnostics>,
) -> Arc<dyn ExportCounter> {
    Arc::new(Counter {
        health: Arc::clone(health),
        diagnostics: Arc::clone(diagnostics),
    })
}

/// The ways out in use, if any.
#[derive(Debug)]
pub(crate) struct Export(Option<Outlet>);

impl Export {
    /// Starts the exporters for a layer on top of `S`.
    pub(super) fn start<S>(
        config: &Config,
        gate: &Gate,
        policy: &Arc<Policy>,
        health: &Arc<Health>,
        diagnostics: &Arc<Diagnostics>,
        backlog: Option<Arc<Backlog>>,
    ) -> Self {
        let permits = gate.spans(&config.export);
        if has_otel_layer::<S>() && !permits.is_empty() {
            diagnostics.warn(
                "otel-layer",
                "the program has a tracing-opentelemetry layer of its own, and a registry takes but \
                 one: Hermes exports nothing and keeps the store",
            );
            return Export(None);
        }
        let counter = counter(health, diagnostics);
        let backlog = backlog.unwrap_or_else(|| Arc::new(Backlog::new(Arc::clone(&counter))));
        let policy = Arc::clone(policy);
        Export(Outlet::build(
            &config.export,
            permits,
            policy,
            &counter,
            backlog,
        ))
    }

    pub(super) fn wire(&self) -> Option<Arc<dyn Wire>> {
        self.0.as_ref().map(Outlet::wire)
    }

    /// Capture, and behind it the OTel layer: so capture sees a span before OTel ends it.
    pub(super) fn layer<S>(&self, capture: Capture) -> HermesLayer<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync + 'static,
    {
        let interests = capture.interests();
        let Some(outlet) = &self.0 else {
            let ours = filter_fn(move |metadata| interests.is_captured(metadata));
            return capture.with_filter(ours).boxed();
        };
        let spans = Arc::clone(&capture.core().spans);
        let (wanted, shared) = (interests.clone(), interests.clone());
        let exporter = Unladen::new(
            outlet.layer(),
            move |metadata| wanted.exports(metadata),
            move |id| spans.knows(id),
        );
        // One filter for both: each looks every span up at every callback.
        capture
            .sharing(shared)
            .and_then(exporter)
            .with_filter(Seen(interests))
            .and_then(outlet.layer().with_filter(Nothing))
            .boxed()
    }

    /// Spans that are remembered and not yet delivered.
    pub(crate) fn pending(&self) -> u64 {
        self.0.as_ref().map_or(0, Outlet::pending)
    }

    /// Spans that wait for the decision of their trace.
    pub(crate) fn undecided(&self) -> u64 {
        self.0.as_ref().map_or(0, Outlet::undecided)
    }

    pub(crate) fn flush(&self, timeout: Duration) -> Result<(), String> {
        self.0
            .as_ref()
            .map_or(Ok(()), |outlet| outlet.flush(timeout))
    }

    pub(crate) fn shutdown(&self, timeout: Duration) -> Result<(), String> {
        self.0
            .as_ref()
            .map_or(Ok(()), |outlet| outlet.shutdown(timeout))
    }
}

/// Lets through what capture or the exporter wants.
#[derive(Debug)]
struct Seen(Interests);

impl<S> Filter<S> for Seen {
    fn enabled(&self, metadata: &Metadata<'_>, _context: &Context<'_, S>) -> bool {
        self.0.is_seen(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.0.meet(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }
}

/// Lets nothing through. `tracing-opentelemetry` finds its layer in the dispatcher by its type, which a
/// layer around it cannot pass on without unsafe code; so its like stands where it is found, and hears
/// nothing.
#[derive(Debug)]
struct Nothing;

impl<S> Filter<S> for Nothing {
    fn enabled(&self, _metadata: &Metadata<'_>, _context: &Context<'_, S>) -> bool {
        false
    }

    fn callsite_enabled(&self, _metadata: &'static Metadata<'static>) -> Interest {
        Interest::never()
    }
}

/// Whether the subscriber beneath has a layer of tracing-opentelemetry: two of them in one registry
/// panic at the first span. Seen by the type's name, for the type itself has parameters that only the
/// program knows; a boxed layer, or one put on top of ours, cannot be seen.
fn has_otel_layer<S>() -> bool {
    std::any::type_name::<S>().contains("OpenTelemetryLayer<")
}

/// Hears from the exporters what became of spans.
#[derive(Debug)]
struct Counter {
    health: Arc<Health>,
    diagnostics: Arc<Diagnostics>,
}

impl ExportCounter for Counter {
    fn exported(&self, spans: u64) {
        self.health.exported(spans);
    }

    fn lost(&self, reason: &'static str, spans: u64) {
        self.health.not_exported(reason, spans);
    }

    fn sampled_out(&self, spans: u64) {
        self.health.sampled_out(spans);
    }

    fn trouble(&self, kind: &'static str, message: &str) {
        self.diagnostics.warn(kind, message);
    }
}
