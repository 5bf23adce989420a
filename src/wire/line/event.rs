//! The lines of events: which table each belongs to, and its columns.

use serde::ser::SerializeMap;

use super::tree::{Members, Tree};
use super::write::{Shown, put_some};
use crate::record::{ErrorClass, Happening, RunId, What};

/// Writes the members of an event, under the names of its table's columns.
pub(super) fn put<M: SerializeMap>(line: &mut M, event: &Happening) -> Result<(), M::Error> {
    line.serialize_entry("table", word(&event.what))?;
    line.serialize_entry("ts_ns", &event.ts_ns)?;
    put_some(line, "run_id", event.run_id.map(Shown))?;
    match &event.what {
        What::Gateway {
            platform,
            direction,
            result,
            voice,
            attachments,
        } => {
            line.serialize_entry("platform", platform)?;
            line.serialize_entry("direction", direction)?;
            line.serialize_entry("result", result)?;
            line.serialize_entry("voice", voice)?;
            line.serialize_entry("attachments", attachments)
        }
        What::Cron { kind, result } => {
            line.serialize_entry("kind", kind)?;
            line.serialize_entry("result", result)
        }
        What::Skill { action, skill_name } => {
            line.serialize_entry("action", action)?;
            line.serialize_entry("skill_name", skill_name)
        }
        What::Memory { action, result } => {
            line.serialize_entry("action", action)?;
            line.serialize_entry("result", result)
        }
        What::Feedback { kind } => line.serialize_entry("kind", kind),
        What::Error {
            class,
            subsystem,
            recovery,
        } => {
            line.serialize_entry("error_class", class.as_str())?;
            line.serialize_entry("subsystem", subsystem)?;
            line.serialize_entry("recovery", recovery)
        }
    }
}

/// Reads them back.
pub(super) fn read(members: &mut Members) -> Option<Happening> {
    let table = members.text("table")?;
    let ts_ns = members.int("ts_ns")?;
    let run_id = match members.text("run_id") {
        Some(run_id) => Some(RunId::from_hex(&run_id)?),
        None => None,
    };
    let mut text = |name| members.text(name);
    let what = match table.as_str() {
        "gateway" => What::Gateway {
            platform: text("platform")?,
            direction: text("direction")?,
            result: text("result")?,
            voice: members.take("voice") == Some(Tree::Bool(true)),
            attachments: members.int("attachments")?,
        },
        "cron" => What::Cron {
            kind: text("kind")?,
            result: text("result")?,
        },
        "skill" => What::Skill {
            action: text("action")?,
            skill_name: text("skill_name")?,
        },
        "memory" => What::Memory {
            action: text("action")?,
            result: text("result")?,
        },
        "feedback" => What::Feedback {
            kind: text("kind")?,
        },
        "error" => What::Error {
            class: ErrorClass::from_name(&text("error_class")?)?,
            subsystem: text("subsystem")?,
            recovery: text("recovery")?,
        },
        _ => return None,
    };
    Some(Happening {
        ts_ns,
        run_id,
        what,
    })
}

fn word(what: &What) -> &'static str {
    match what {
        What::Gateway { .. } => "gateway",
        What::Cron { .. } => "cron",
        What::Skill { .. } => "skill",
        What::Memory { .. } => "memory",
        What::Feedback { .. } => "feedback",
        What::Error { .. } => "error",
    }
}
