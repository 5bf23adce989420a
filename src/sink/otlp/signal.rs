//! What tells traces and log records apart on their way: the path they go to, and the settings of their own.

use crate::config::ExportConfig;

/// One kind of telemetry.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signal {
    /// What is added to a base URL.
    pub(super) path: &'static str,
    /// What stands in the names of its own variables.
    pub(super) word: &'static str,
    /// The URL that was said for it alone.
    pub(super) own_endpoint: fn(&ExportConfig) -> Option<&str>,
}

pub(super) const TRACES: Signal = Signal {
    path: "/v1/traces",
    word: "TRACES",
    own_endpoint: |config| config.traces_endpoint.as_deref(),
};

#[cfg(feature = "otlp-logs")]
pub(super) const LOGS: Signal = Signal {
    path: "/v1/logs",
    word: "LOGS",
    own_endpoint: |config| config.logs.endpoint.as_deref(),
};
