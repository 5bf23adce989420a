//! What `telemetry.toml` and its managed twin say, and which of all that is said about a key holds.
//!
//! Managed beats code, code beats the environment, the environment beats the user's file (the contract's
//! sections 4 and 7). What cannot be read is neither true nor false: it is [`Said::Invalid`], and the gate
//! decides what that means.

mod file;
mod parse;
mod settle;

use std::fmt;

pub(crate) use file::{FILE, MANAGED, ScopeFile, ScopeState};
pub(crate) use parse::scope;

/// What one place says about one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Said<T> {
    /// Nothing.
    #[default]
    Nothing,
    /// This.
    Is(T),
    /// Something that makes no sense.
    Invalid,
}

impl<T> Said<T> {
    pub(crate) fn value(self) -> Option<T> {
        match self {
            Said::Is(value) => Some(value),
            Said::Nothing | Said::Invalid => None,
        }
    }

    pub(crate) fn as_ref(&self) -> Said<&T> {
        match self {
            Said::Nothing => Said::Nothing,
            Said::Is(value) => Said::Is(value),
            Said::Invalid => Said::Invalid,
        }
    }

    fn is_nothing(&self) -> bool {
        matches!(self, Said::Nothing)
    }
}

/// Who a value of a setting comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// Nobody said anything.
    #[default]
    Default,
    /// The user's `telemetry.toml`.
    File,
    /// A variable of the environment.
    Environment,
    /// The program's code.
    Builder,
    /// The machine's `/etc/hermes/telemetry.toml`, which nothing beats.
    Managed,
}

impl Source {
    /// Its name in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Source::Default => "default",
            Source::File => "file",
            Source::Environment => "environment",
            Source::Builder => "builder",
            Source::Managed => "managed",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What holds for one key, and who said so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    pub(crate) said: Said<T>,
    pub(crate) source: Source,
}

impl<T> Setting<T> {
    /// The first that says anything, in this order.
    fn first(said: impl IntoIterator<Item = (Said<T>, Source)>) -> Self {
        let mut said = said.into_iter().filter(|(said, _)| !said.is_nothing());
        match said.next() {
            Some((said, source)) => Setting { said, source },
            None => Setting {
                said: Said::Nothing,
                source: Source::Default,
            },
        }
    }
}

/// How far the user lets telemetry go, by the key `consent_state`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConsentState {
    /// Nobody was asked, or the answer cannot be read. Nothing leaves the machine by it.
    #[default]
    Unknown,
    /// Telemetry stays on this machine.
    Local,
    /// Metadata, and never content, may go into aggregates.
    Aggregate,
}

impl ConsentState {
    /// Its name in `telemetry.toml`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            ConsentState::Unknown => "unknown",
            ConsentState::Local => "local",
            ConsentState::Aggregate => "aggregate",
        }
    }

    /// The state of this name; no other spelling is one.
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Unknown, Self::Local, Self::Aggregate]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

impl fmt::Display for ConsentState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What is taken out of content beside secrets, by the key `content_redaction`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ContentRedaction {
    /// Secrets alone, which always go.
    #[default]
    None,
    /// What identifies people as well.
    Pii,
}

impl ContentRedaction {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            ContentRedaction::None => "none",
            ContentRedaction::Pii => "pii",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::None, Self::Pii]
            .into_iter()
            .find(|redaction| redaction.as_str() == name)
    }
}

/// Names of headers, each with the name of the variable that holds its value.
pub(crate) type HeadersEnv = Vec<(String, String)>;

/// Everything that can be said in `telemetry.toml`.
///
/// The keys that the gate and the set-up read, and nothing of their values' origin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) local: Said<bool>,
    pub(crate) allow_aggregate: Said<bool>,
    pub(crate) consent_state: Said<ConsentState>,
    pub(crate) install_id: Said<String>,
    pub(crate) retention_days: Said<u32>,
    pub(crate) max_bytes: Said<u64>,
    pub(crate) redact_secrets: Said<bool>,
    pub(crate) content_redaction: Said<ContentRedaction>,
    pub(crate) trajectories: Said<bool>,
    pub(crate) otlp_enabled: Said<bool>,
    pub(crate) otlp_endpoint: Said<String>,
    pub(crate) headers_env: Said<HeadersEnv>,
}

impl Scope {
    /// A file that cannot be read: nobody knows what it forbids.
    pub(crate) fn unreadable() -> Self {
        Scope {
            local: Said::Invalid,
            allow_aggregate: Said::Invalid,
            consent_state: Said::Invalid,
            install_id: Said::Invalid,
            retention_days: Said::Invalid,
            max_bytes: Said::Invalid,
            redact_secrets: Said::Invalid,
            content_redaction: Said::Invalid,
            trajectories: Said::Invalid,
            otlp_enabled: Said::Invalid,
            otlp_endpoint: Said::Invalid,
            headers_env: Said::Invalid,
        }
    }
}

/// What code and the environment say of the same matters.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Spoken {
    pub(crate) retention_days: Option<u32>,
    pub(crate) max_bytes: Option<u64>,
    /// Whether code says whether spans leave over OTLP.
    pub(crate) otlp_in_code: bool,
    /// Whether `HERMES_OTEL_EXPORTER` says so. An endpoint alone does not: it is where, and not whether.
    pub(crate) otlp_in_environment: bool,
    pub(crate) endpoint_in_code: bool,
}

/// What holds for each key, and who said so.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Planes {
    pub(crate) local: Setting<bool>,
    pub(crate) allow_aggregate: Setting<bool>,
    pub(crate) consent_state: Setting<ConsentState>,
    pub(crate) install_id: Setting<String>,
    pub(crate) retention_days: Setting<u32>,
    pub(crate) max_bytes: Setting<u64>,
    pub(crate) redact_secrets: Setting<bool>,
    pub(crate) content_redaction: Setting<ContentRedaction>,
    pub(crate) trajectories: Setting<bool>,
    pub(crate) otlp_enabled: Setting<bool>,
    pub(crate) otlp_endpoint: Setting<String>,
    pub(crate) headers_env: Setting<HeadersEnv>,
    /// What the managed file says of OTLP, which log records obey too.
    pub(crate) otlp_managed: Said<bool>,
}
