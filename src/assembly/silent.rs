//! Export, in a build without it: whoever asks for it is told.

use std::sync::Arc;
use std::time::Duration;

use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

use crate::builder::HermesLayer;
use crate::capture::Capture;
use crate::config::Config;
use crate::diagnostic::Diagnostics;
use crate::pipeline::Health;
use crate::policy::{Gate, Policy};
use crate::sink::{Backlog, Wire};

/// Nothing is owed to anybody.
pub(super) fn backlog(
    _config: &Config,
    _gate: &Gate,
    _health: &Arc<Health>,
    _diagnostics: &Arc<Diagnostics>,
) -> Option<Arc<Backlog>> {
    None
}

/// No way out.
#[derive(Debug)]
pub(crate) struct Export;

impl Export {
    #[expect(
        clippy::extra_unused_type_parameters,
        reason = "stands in for the exporting twin"
    )]
    pub(super) fn start<S>(
        config: &Config,
        gate: &Gate,
        _policy: &Arc<Policy>,
        _health: &Arc<Health>,
        diagnostics: &Arc<Diagnostics>,
        _backlog: Option<Arc<Backlog>>,
    ) -> Self {
        if !gate.spans(&config.export).is_empty() {
            diagnostics.warn(
                "otlp-feature",
                "an exporter is asked for, but this build has no cargo feature `otlp`; \
                 spans stay in the store",
            );
        }
        Export
    }

    #[expect(clippy::unused_self, reason = "stands in for the exporting twin")]
    pub(super) fn wire(&self) -> Option<Arc<dyn Wire>> {
        None
    }

    #[expect(clippy::unused_self, reason = "stands in for the exporting twin")]
    pub(super) fn layer<S>(&self, capture: Capture) -> HermesLayer<S>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync + 'static,
    {
        let ours = capture.interests();
        capture
            .with_filter(filter_fn(move |metadata| ours.is_captured(metadata)))
            .boxed()
    }

    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "stands in for the exporting twin"
    )]
    pub(crate) fn flush(&self, _timeout: Duration) -> Result<(), String> {
        Ok(())
    }

    #[expect(clippy::unused_self, reason = "stands in for the exporting twin")]
    pub(crate) fn pending(&self) -> u64 {
        0
    }

    #[expect(clippy::unused_self, reason = "stands in for the exporting twin")]
    pub(crate) fn undecided(&self) -> u64 {
        0
    }

    pub(crate) fn shutdown(&self, timeout: Duration) -> Result<(), String> {
        self.flush(timeout)
    }
}
