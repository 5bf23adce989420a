//! What happens to an agent outside of its spans, as plain data: messages, timers, skills, memory, feedback.

use super::{ErrorClass, RunId};

/// One such event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Happening {
    /// Nanoseconds since the Unix epoch.
    pub(crate) ts_ns: i64,
    /// The run that it happened in.
    pub(crate) run_id: Option<RunId>,
    pub(crate) what: What,
}

/// What happened. An empty text is one that nobody said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A message came or went through a platform.
    Gateway {
        platform: String,
        direction: String,
        result: String,
        voice: bool,
        attachments: i64,
    },
    /// A timed job did something.
    Cron { kind: String, result: String },
    /// A skill was used, made or changed.
    Skill { action: String, skill_name: String },
    /// The memory was read or written.
    Memory { action: String, result: String },
    /// The user said how it was.
    Feedback { kind: String },
    /// Something failed that no span tells of.
    Error {
        class: ErrorClass,
        subsystem: String,
        recovery: String,
    },
}

impl What {
    /// Every text, to be cleaned in place.
    pub(crate) fn texts_mut(&mut self) -> Vec<&mut String> {
        match self {
            What::Gateway {
                platform,
                direction,
                result,
                ..
            } => vec![platform, direction, result],
            What::Cron { kind, result } => vec![kind, result],
            What::Skill { action, skill_name } => vec![action, skill_name],
            What::Memory { action, result } => vec![action, result],
            What::Feedback { kind } => vec![kind],
            What::Error {
                subsystem,
                recovery,
                ..
            } => vec![subsystem, recovery],
        }
    }
}
