//! The rows of the event tables, which no span makes.

use rusqlite::{Connection, TransactionBehavior, params};

use super::hex::Hex;
use super::write::{WriteError, Writer};
use crate::record::{Happening, What};

const GATEWAY: &str = "
    INSERT INTO tel_gateway_events (run_id, ts_ns, platform, direction, result, voice, attachments)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
const CRON: &str =
    "INSERT INTO tel_cron_events (run_id, ts_ns, kind, result) VALUES (?1, ?2, ?3, ?4)";
const SKILL: &str =
    "INSERT INTO tel_skill_events (run_id, ts_ns, action, skill_name) VALUES (?1, ?2, ?3, ?4)";
const MEMORY: &str =
    "INSERT INTO tel_memory_events (run_id, ts_ns, action, result) VALUES (?1, ?2, ?3, ?4)";
const FEEDBACK: &str = "INSERT INTO tel_feedback_events (run_id, ts_ns, kind) VALUES (?1, ?2, ?3)";
const ERROR: &str = "
    INSERT INTO tel_error_events (run_id, ts_ns, error_class, subsystem, recovery)
    VALUES (?1, ?2, ?3, ?4, ?5)";

impl Writer {
    /// Writes events, all of them or none.
    pub(crate) fn happened(&mut self, events: &[Happening]) -> Result<(), WriteError> {
        let mut write = || {
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            for event in events {
                insert(&transaction, event)?;
            }
            transaction.commit()
        };
        write().map_err(|error| WriteError::of(&error, &self.path))
    }
}

fn insert(connection: &Connection, event: &Happening) -> rusqlite::Result<()> {
    let (run_id, ts_ns) = (event.run_id.map(Hex::from), event.ts_ns);
    match &event.what {
        What::Gateway {
            platform,
            direction,
            result,
            voice,
            attachments,
        } => connection.prepare_cached(GATEWAY)?.execute(params![
            run_id,
            ts_ns,
            said(platform),
            said(direction),
            said(result),
            voice,
            attachments
        ]),
        What::Cron { kind, result } => {
            let row = params![run_id, ts_ns, said(kind), said(result)];
            connection.prepare_cached(CRON)?.execute(row)
        }
        What::Skill { action, skill_name } => {
            let row = params![run_id, ts_ns, said(action), said(skill_name)];
            connection.prepare_cached(SKILL)?.execute(row)
        }
        What::Memory { action, result } => {
            let row = params![run_id, ts_ns, said(action), said(result)];
            connection.prepare_cached(MEMORY)?.execute(row)
        }
        What::Feedback { kind } => {
            let row = params![run_id, ts_ns, said(kind)];
            connection.prepare_cached(FEEDBACK)?.execute(row)
        }
        What::Error {
            class,
            subsystem,
            recovery,
        } => {
            let row = params![
                run_id,
                ts_ns,
                class.as_str(),
                said(subsystem),
                said(recovery)
            ];
            connection.prepare_cached(ERROR)?.execute(row)
        }
    }
    .map(|_| ())
}

/// What nobody said is unknown.
fn said(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
