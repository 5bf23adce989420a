//! Log records, in a build without their export: whoever asks for it is told.

use std::sync::Arc;
use std::time::Duration;

use tracing::Subscriber;
use tracing_subscriber::registry::LookupSpan;

use crate::builder::HermesLayer;
use crate::capture::Core;
use crate::config::Config;
use crate::diagnostic::Diagnostics;
use crate::pipeline::{Health, LogStats};
use crate::policy::{Gate, Policy};
use crate::sink::Sink;

/// No way out.
#[derive(Debug)]
pub(crate) struct Logs;

#[expect(clippy::unused_self, reason = "stands in for the exporting twin")]
impl Logs {
    pub(super) fn start(
        config: &Config,
        gate: &Gate,
        _policy: &Arc<Policy>,
        _health: &Arc<Health>,
        diagnostics: &Arc<Diagnostics>,
    ) -> Self {
        if !gate.logs(&config.export).is_empty() {
            diagnostics.warn(
                "otlp-logs-feature",
                "an exporter of log records is asked for, but this build has no cargo feature \
                 `otlp-logs`; none leave",
            );
        }
        Logs
    }

    pub(super) fn sink(
        &self,
        _config: &Config,
        _core: &Core,
        _diagnostics: &Diagnostics,
    ) -> Option<Box<dyn Sink>> {
        None
    }

    pub(super) fn behind<S>(
        &self,
        layers: HermesLayer<S>,
        _core: &Arc<Core>,
        _config: &Config,
        _diagnostics: &Diagnostics,
    ) -> HermesLayer<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync + 'static,
    {
        layers
    }

    pub(crate) fn nudge(&self) {}

    #[expect(clippy::unnecessary_wraps, reason = "stands in for the exporting twin")]
    pub(crate) fn flush(&self, _timeout: Duration) -> Result<(), String> {
        Ok(())
    }

    pub(crate) fn start_closing(&self) {}

    pub(crate) fn shutdown(&self, _timeout: Duration) {}

    pub(crate) fn stats(&self) -> LogStats {
        LogStats::default()
    }

    pub(crate) fn stats_of_fork(&self) -> LogStats {
        LogStats::default()
    }
}
