//! Who writes: the telemetry of one process, from its start to its end.

use std::borrow::Cow;

use super::seed;

/// What the store and the event log say of the one who writes them: the same in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WriterIdentity {
    pub(crate) id: String,
    pub(crate) pid: u32,
    pub(crate) host: Option<String>,
    /// Nanoseconds since the Unix epoch.
    pub(crate) started_ns: i64,
    /// The version of Hermes.
    pub(crate) version: Cow<'static, str>,
}

impl WriterIdentity {
    /// A new writer in this process. Pids repeat, so the id has more than that.
    pub(crate) fn of_this_process(now_ns: i64) -> Self {
        let pid = std::process::id();
        WriterIdentity {
            id: format!("{pid}-{:016x}", seed()),
            pid,
            host: host(),
            started_ns: now_ns,
            version: Cow::Borrowed(env!("CARGO_PKG_VERSION")),
        }
    }

    /// A writer of whom only the id is known, and something that it wrote.
    pub(crate) fn of_id(id: &str, started_ns: i64) -> Self {
        let pid = id.split('-').next().and_then(|pid| pid.parse().ok());
        WriterIdentity {
            id: id.to_owned(),
            pid: pid.unwrap_or_default(),
            host: None,
            started_ns,
            version: Cow::Borrowed(""),
        }
    }
}

/// The name of this machine, where it is easily had; only people read it.
fn host() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}
