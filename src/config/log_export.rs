//! Which events leave as OpenTelemetry log records, and where to.

use super::{ExportConfig, Exporter};

/// Which events leave as log records; see [`Builder::export_logs`](crate::Builder::export_logs).
///
/// ```
/// use hermes::LogExport;
///
/// let all_at_info = LogExport::from(true);
/// let fewer = LogExport::from("warn,my_agent=debug");
/// assert_ne!(all_at_info, fewer);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogExport {
    is_on: bool,
    directives: Option<String>,
}

/// `true`: what is at INFO or above; `false`: nothing, whatever the environment says.
impl From<bool> for LogExport {
    fn from(is_on: bool) -> Self {
        LogExport {
            is_on,
            directives: None,
        }
    }
}

/// Levels and targets in the words of `RUST_LOG`, such as `info,my_agent::noise=off`.
impl From<&str> for LogExport {
    fn from(directives: &str) -> Self {
        LogExport::from(directives.to_owned())
    }
}

/// Levels and targets in the words of `RUST_LOG`, such as `info,my_agent::noise=off`.
impl From<String> for LogExport {
    fn from(directives: String) -> Self {
        LogExport {
            is_on: true,
            directives: Some(directives),
        }
    }
}

/// What the environment and the code together say of log records.
#[derive(Clone, Debug, Default)]
pub(crate) struct LogConfig {
    pub(super) to_otlp: bool,
    pub(super) to_console: bool,
    /// What is said of the protocol, for log records or for all signals; `None`: it is that of spans.
    pub(super) protocol: Option<Exporter>,
    /// An URL that is used as it is.
    pub(crate) endpoint: Option<String>,
    /// `None`: what is at INFO or above.
    pub(crate) directives: Option<String>,
}

impl LogConfig {
    /// Takes what code wants.
    pub(crate) fn set(&mut self, wish: LogExport) {
        if !wish.is_on {
            (self.to_otlp, self.to_console) = (false, false);
        } else if !self.to_console {
            self.to_otlp = true;
        }
        self.directives = wish.directives;
    }
}

impl ExportConfig {
    /// The ways out that are asked for, for log records; without any, no event leaves. The console, which
    /// never fails, comes first.
    pub(crate) fn chosen_for_logs(&self) -> Vec<Exporter> {
        if self.disabled {
            return Vec::new();
        }
        let logs = &self.logs;
        let console = logs.to_console.then_some(Exporter::Console);
        let otlp = logs
            .to_otlp
            .then(|| logs.protocol.unwrap_or_else(|| self.protocol_of_spans()));
        console.into_iter().chain(otlp).collect()
    }

    fn protocol_of_spans(&self) -> Exporter {
        let over_otlp = self
            .chosen()
            .into_iter()
            .find(|exporter| exporter.is_otlp());
        over_otlp.unwrap_or(self.otlp_protocol)
    }
}
