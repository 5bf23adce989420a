//! Log records, in a build that can export them: the outlet, and the layer that feeds it.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::registry::LookupSpan;

use super::export::counter;
use crate::builder::HermesLayer;
use crate::capture::{Core, EventCapture, is_wanted};
use crate::config::Config;
use crate::diagnostic::Diagnostics;
use crate::pipeline::{Health, LogStats};
use crate::policy::{Gate, Policy};
use crate::sink::{Details, LogCounts, LogOutlet, Sink, Wanted};

/// The ways out for log records, if any.
#[derive(Debug)]
pub(crate) struct Logs(Option<LogOutlet>);

impl Logs {
    pub(super) fn start(
        config: &Config,
        gate: &Gate,
        policy: &Arc<Policy>,
        health: &Arc<Health>,
        diagnostics: &Arc<Diagnostics>,
    ) -> Self {
        let counter = counter(health, diagnostics);
        let policy = Arc::clone(policy);
        Logs(LogOutlet::build(
            &config.export,
            gate.logs(&config.export),
            policy,
            &counter,
        ))
    }

    /// The sink that tells of model calls, where somebody wants that.
    pub(super) fn sink(
        &self,
        config: &Config,
        core: &Core,
        diagnostics: &Diagnostics,
    ) -> Option<Box<dyn Sink>> {
        let outlet = self.0.as_ref()?;
        let targets = targets(config, diagnostics);
        let wants = |level| is_wanted(&core.filter, targets.as_ref(), Details::TARGET, level);
        let wanted = Wanted {
            details: wants(Details::DETAILS),
            failures: wants(Details::FAILURE),
        };
        let sink = outlet.details(Arc::clone(&core.policy), config.export.naming, wanted);
        Some(Box::new(sink))
    }

    /// Puts the layer for events behind the others.
    pub(super) fn behind<S>(
        &self,
        layers: HermesLayer<S>,
        core: &Arc<Core>,
        config: &Config,
        diagnostics: &Diagnostics,
    ) -> HermesLayer<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync + 'static,
    {
        let Some(outlet) = &self.0 else {
            return layers;
        };
        let events = EventCapture::new(Arc::clone(core), outlet.queue());
        let interests = events.interests(targets(config, diagnostics));
        let wanted = filter_fn(move |metadata| interests.may_leave(metadata));
        layers.and_then(events.with_filter(wanted)).boxed()
    }

    pub(crate) fn nudge(&self) {
        if let Some(outlet) = &self.0 {
            outlet.nudge();
        }
    }

    pub(crate) fn flush(&self, timeout: Duration) -> Result<(), String> {
        let outlet = self.0.as_ref();
        outlet.map_or(Ok(()), |outlet| outlet.flush(timeout))
    }

    pub(crate) fn start_closing(&self) {
        if let Some(outlet) = &self.0 {
            outlet.start_closing();
        }
    }

    pub(crate) fn shutdown(&self, timeout: Duration) {
        if let Some(outlet) = &self.0 {
            outlet.shutdown(timeout);
        }
    }

    pub(crate) fn stats(&self) -> LogStats {
        let counts = self.0.as_ref().map(LogOutlet::counts);
        counts.map(stats).unwrap_or_default()
    }

    /// The counts as a copy of the process has them.
    pub(crate) fn stats_of_fork(&self) -> LogStats {
        let counts = self.0.as_ref().map(LogOutlet::counts_of_fork);
        counts.map(stats).unwrap_or_default()
    }
}

/// What the code asks for, where it names more than a switch.
fn targets(config: &Config, diagnostics: &Diagnostics) -> Option<Targets> {
    let said = config.export.logs.directives.as_deref()?;
    let told = |error| {
        let what = format!("export_logs({said:?}): {error}; using \"info\"");
        diagnostics.warn("export-logs", &what);
    };
    Targets::from_str(said).map_err(told).ok()
}

fn stats(counts: LogCounts) -> LogStats {
    let dropped = counts.dropped.into_iter();
    LogStats {
        captured: counts.captured,
        in_flight: counts.in_flight,
        exported: counts.exported,
        dropped: dropped
            .map(|(reason, count)| (reason.to_owned(), count))
            .collect(),
    }
}
