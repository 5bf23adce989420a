//! The one gate: decides which planes and ways out are open, and gives out the permits without which no
//! exporter can be made.

use std::fmt;

use crate::config::{
    Classes, Config, ConsentState, ContentRules, ExportConfig, Exporter, Placement, Planes, Said,
    Setting, Source,
};

/// Whether something is open, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// It is open.
    Open(Reason),
    /// It is closed.
    Closed(Reason),
}

/// Why something is open or closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Nobody said anything, and so it is by default.
    ByDefault,
    /// The value of this key says so.
    Said(&'static str, Source),
    /// The value of this key cannot be read, so nothing is opened by it.
    Invalid(&'static str, Source),
    /// Nobody consented.
    NotAsked,
    /// Consent is to the local plane alone.
    LocalOnly(Source),
    /// Somebody consented.
    Consented(Source),
    /// The local plane is off, so there is nothing to leave.
    LocalIsOff,
    /// `HERMES_OTEL_ENABLED` turns all telemetry off.
    TelemetryIsOff,
    /// `OTEL_SDK_DISABLED` turns off all that leaves.
    SdkIsDisabled,
}

impl Decision {
    /// Whether it is open.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Decision::Open(_))
    }

    /// Why it is as it is.
    #[must_use]
    pub const fn reason(self) -> Reason {
        match self {
            Decision::Open(reason) | Decision::Closed(reason) => reason,
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_open() { "on" } else { "off" };
        write!(f, "{word} ({})", self.reason())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::ByDefault => f.write_str("the default"),
            Reason::Said(key, source) => write!(f, "`{key}`, {source}"),
            Reason::Invalid(key, source) => write!(f, "`{key}` cannot be read, {source}"),
            Reason::NotAsked => f.write_str("`consent_state` is unknown"),
            Reason::LocalOnly(source) => write!(f, "`consent_state` is local, {source}"),
            Reason::Consented(source) => write!(f, "`consent_state` is aggregate, {source}"),
            Reason::LocalIsOff => f.write_str("the local plane is off"),
            Reason::TelemetryIsOff => f.write_str("`HERMES_OTEL_ENABLED` is false"),
            Reason::SdkIsDisabled => f.write_str("`OTEL_SDK_DISABLED` is true"),
        }
    }
}

/// What is decided for each plane and each way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decisions {
    /// The store and the event log.
    pub(crate) local: Decision,
    /// Metadata for aggregates. Nothing uploads any.
    pub(crate) aggregate: Decision,
    /// Content, in bulk.
    pub(crate) trajectories: Decision,
    /// Spans over OTLP: what has just ended, and what is owed from before.
    pub(crate) otlp: Decision,
    /// Log records over OTLP.
    pub(crate) otlp_logs: Decision,
    /// The terminal.
    pub(crate) console: Decision,
    /// Content on spans and log records that leave one by one.
    pub(crate) live_content: Decision,
}

/// All that is asked of the gate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    /// `HERMES_OTEL_ENABLED`.
    pub(crate) is_on: bool,
    /// `OTEL_SDK_DISABLED`.
    pub(crate) is_sdk_disabled: bool,
    pub(crate) planes: &'a Planes,
}

/// Decides. Nothing else does, and it knows nothing but what it is asked.
pub(crate) fn decide(asked: Asked<'_>) -> Decisions {
    use Decision::{Closed, Open};
    let planes = asked.planes;
    let local = by_key("local", planes.local, true);
    let trajectories = by_key("trajectories.enabled", planes.trajectories, false);
    let off = (!asked.is_on).then_some(Closed(Reason::TelemetryIsOff));
    let disabled = asked
        .is_sdk_disabled
        .then_some(Closed(Reason::SdkIsDisabled));
    let shut = off.or(disabled);
    Decisions {
        local: off.unwrap_or(local),
        aggregate: shut.unwrap_or_else(|| aggregate(planes, local)),
        trajectories: off.unwrap_or(trajectories),
        otlp: shut.unwrap_or_else(|| otlp(planes)),
        otlp_logs: shut.unwrap_or(match planes.otlp_managed {
            Said::Invalid => Closed(Reason::Invalid("export.otlp", Source::Managed)),
            Said::Is(false) => Closed(Reason::Said("export.otlp.enabled", Source::Managed)),
            Said::Is(true) | Said::Nothing => Open(Reason::ByDefault),
        }),
        console: shut.unwrap_or(Open(Reason::ByDefault)),
        live_content: shut.unwrap_or(match planes.trajectories.source {
            // Who manages the machine and says that content stays there means all content.
            Source::Managed => trajectories,
            _ => Open(Reason::ByDefault),
        }),
    }
}

/// What a key says for itself. What cannot be read opens nothing, but does not close what is open by default
/// and stays on this machine.
fn by_key(key: &'static str, setting: Setting<bool>, default: bool) -> Decision {
    let (is_open, reason) = match setting.said {
        Said::Nothing => (default, Reason::ByDefault),
        Said::Is(value) => (value, Reason::Said(key, setting.source)),
        Said::Invalid => (default, Reason::Invalid(key, setting.source)),
    };
    if is_open {
        Decision::Open(reason)
    } else {
        Decision::Closed(reason)
    }
}

fn aggregate(planes: &Planes, local: Decision) -> Decision {
    use Decision::{Closed, Open};
    let (allowed, consent) = (planes.allow_aggregate, planes.consent_state);
    if let Reason::Invalid(..) = local.reason() {
        return Closed(local.reason());
    }
    if !local.is_open() {
        return Closed(Reason::LocalIsOff);
    }
    match allowed.said {
        Said::Invalid => return Closed(Reason::Invalid("allow_aggregate", allowed.source)),
        Said::Is(false) => return Closed(Reason::Said("allow_aggregate", allowed.source)),
        Said::Is(true) | Said::Nothing => {}
    }
    match consent.said {
        Said::Invalid => Closed(Reason::Invalid("consent_state", consent.source)),
        Said::Nothing | Said::Is(ConsentState::Unknown) => Closed(Reason::NotAsked),
        Said::Is(ConsentState::Local) => Closed(Reason::LocalOnly(consent.source)),
        Said::Is(ConsentState::Aggregate) => Open(Reason::Consented(consent.source)),
    }
}

/// An export to a collector that the operator names is the operator's: it asks for no consent.
fn otlp(planes: &Planes) -> Decision {
    let endpoint = planes.otlp_endpoint.source;
    match (planes.otlp_enabled.said, planes.otlp_endpoint.said.as_ref()) {
        // Where it should go is not known, and elsewhere is wrong.
        (Said::Is(true), Said::Invalid) => {
            Decision::Closed(Reason::Invalid("export.otlp.endpoint", endpoint))
        }
        _ => by_key("export.otlp.enabled", planes.otlp_enabled, false),
    }
}

/// Stands where things leave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gate {
    decisions: Decisions,
}

/// The leave to make one exporter of spans or of log records; only [`Gate`] gives it out.
#[derive(Debug)]
pub(crate) struct Permit {
    exporter: Exporter,
    /// Keeps others from writing one down.
    _from_the_gate: (),
}

impl Permit {
    pub(crate) fn exporter(&self) -> Exporter {
        self.exporter
    }
}

impl Gate {
    pub(crate) fn of(config: &Config) -> Self {
        Gate {
            decisions: decide(Asked {
                is_on: config.enabled,
                is_sdk_disabled: config.export.disabled,
                planes: &config.planes,
            }),
        }
    }

    pub(crate) fn decisions(&self) -> &Decisions {
        &self.decisions
    }

    /// Whether anything is kept on this machine.
    pub(crate) fn keeps(&self) -> bool {
        self.decisions.local.is_open()
    }

    /// What of content is kept, and where it may go.
    pub(crate) fn content(&self, wanted: ContentRules) -> ContentRules {
        if self.decisions.live_content.is_open() {
            return wanted;
        }
        ContentRules {
            leaving: Classes::NONE,
            placement: Placement::NOWHERE,
            ..wanted
        }
    }

    /// The ways out for spans that are asked for and open, as they end and when they are sent again.
    pub(crate) fn spans(&self, config: &ExportConfig) -> Vec<Permit> {
        self.permits(config.chosen(), self.decisions.otlp)
    }

    /// The ways out for log records that are asked for and open.
    pub(crate) fn logs(&self, config: &ExportConfig) -> Vec<Permit> {
        self.permits(config.chosen_for_logs(), self.decisions.otlp_logs)
    }

    /// What is asked for and closed, for whoever waits for it; switches of the environment need no word.
    pub(crate) fn refusals(&self, config: &ExportConfig) -> Vec<String> {
        let decisions = &self.decisions;
        let asked = [
            ("spans", config.chosen(), decisions.otlp),
            ("log records", config.chosen_for_logs(), decisions.otlp_logs),
        ];
        let closed = asked.into_iter().filter(|(_, exporters, otlp)| {
            !otlp.is_open() && exporters.iter().any(|exporter| exporter.is_otlp())
        });
        closed
            .map(|(what, _, otlp)| format!("{what} do not leave over OTLP: {}", otlp.reason()))
            .collect()
    }

    fn permits(&self, asked: Vec<Exporter>, otlp: Decision) -> Vec<Permit> {
        let is_open = |exporter: &Exporter| match exporter {
            Exporter::Console => self.decisions.console.is_open(),
            Exporter::OtlpHttp | Exporter::OtlpGrpc => otlp.is_open(),
        };
        let open = asked.into_iter().filter(is_open);
        open.map(|exporter| Permit {
            exporter,
            _from_the_gate: (),
        })
        .collect()
    }
}

#[cfg(test)]
mod tests;
