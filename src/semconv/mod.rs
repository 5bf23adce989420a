//! The conventions: names and numbers as data, imported by everything and importing nothing.
//!
//! Pinned revision: `open-telemetry/semantic-conventions-genai` at
//! `6fd0d763a092db245a54104fc1124031eb3c51d2` (2026-10-09), a repository without releases. To
//! follow a newer one, change rows of [`table`]; nothing that is stored needs a migration.

pub(crate) mod contract;
mod fact;
mod flat;
mod operation;
mod provider;
#[cfg(feature = "sqlite")]
mod slot;
mod table;

#[doc(hidden)]
pub use fact::{Fact, field};
pub(crate) use flat::flat_field;
pub use operation::Kind;
pub(crate) use operation::entrypoint_of;
pub(crate) use provider::{
    normalized as provider_name, openinference_provider, openinference_system,
    system as provider_system,
};
#[cfg(feature = "sqlite")]
pub(crate) use slot::{Slot, slots};
pub(crate) use table::{Attribute, Form, attributes};

/// What may be known of a fact without leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sensitivity {
    /// Kept always, redacted.
    Plain,
    /// Kept only where content is captured.
    Content,
}

/// Which set of names an exported span carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Profile {
    /// `hermes.*` and the current `gen_ai.*` names together.
    #[default]
    Hermes,
    /// The current conventions alone.
    GenAi,
    /// The conventions as of v1.41.
    GenAi141,
    /// The conventions as of v1.36, with `gen_ai.system`.
    GenAi136,
    /// The names of the Python plugin `hermes-plugin-otel-tracing` 0.1.1.
    Classic,
}

impl Profile {
    /// The base profiles by the name an operator gives them.
    const NAMES: [(&'static str, Profile); 5] = [
        ("hermes", Profile::Hermes),
        ("genai", Profile::GenAi),
        ("genai-1.41", Profile::GenAi141),
        ("genai-1.36", Profile::GenAi136),
        ("hermes-classic", Profile::Classic),
    ];

    /// The profile of this name.
    pub(crate) fn named(name: &str) -> Option<Profile> {
        Profile::NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|&(_, profile)| profile)
    }

    /// Every base profile.
    #[cfg(test)]
    pub(crate) const ALL: [Profile; 5] = [
        Profile::Hermes,
        Profile::GenAi,
        Profile::GenAi141,
        Profile::GenAi136,
        Profile::Classic,
    ];
}

/// A profile and whether the OpenInference names are added to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Naming {
    /// The base set of names.
    pub(crate) profile: Profile,
    /// Adds `llm.*`, `input.value` and the rest of OpenInference.
    pub(crate) openinference: bool,
}

/// The span event that carries an error: its name and its attributes.
pub(crate) mod exception {
    pub(crate) const EVENT: &str = "exception";
    pub(crate) const TYPE: &str = "exception.type";
    pub(crate) const MESSAGE: &str = "exception.message";
    /// The log record that tells of a model call's failure.
    #[cfg(feature = "otlp-logs")]
    pub(crate) const OF_CALL: &str = "gen_ai.client.operation.exception";
}

/// The event that carries content, on the span or as a log record, where the operator asked for events.
pub(crate) const CONTENT_EVENT: &str = "gen_ai.client.inference.operation.details";

/// `error.type` where nothing better is known.
pub(crate) const ERROR_TYPE_OTHER: &str = "_OTHER";

/// Attributes of events that the conventions define and spans have not, as far as they are nobody's words:
/// the explanation of an evaluation is.
const PLAIN_OF_EVENTS: [&str; 3] = [
    "gen_ai.evaluation.name",
    "gen_ai.evaluation.score.label",
    "gen_ai.evaluation.score.value",
];

/// Whether an attribute of an event may be known without leave, though no span has it.
pub(crate) fn is_plain_of_event(name: &str) -> bool {
    PLAIN_OF_EVENTS.contains(&name)
}
