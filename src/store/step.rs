//! The failures of steps: one row for each model or tool call that failed.

use rusqlite::{Connection, params};

use super::hex::Hex;
use super::row::{SpanRow, StepRow};
use crate::record::{ErrorClass, Status};

const ERROR_EVENT: &str = "
    INSERT INTO tel_error_events (run_id, span_id, ts_ns, error_class, subsystem, recovery)
    VALUES (?1, ?2, ?3, ?4, ?5, 'none')
    ON CONFLICT (run_id, span_id) DO UPDATE SET
        ts_ns = excluded.ts_ns, error_class = excluded.error_class";

const REMOVE: &str = "DELETE FROM tel_error_events WHERE run_id = ?1 AND span_id = ?2";

/// Notes the failure of a step that has ended; takes the note back where the step did not fail after all.
pub(super) fn put(
    connection: &Connection,
    row: &SpanRow<'_>,
    is_new: bool,
) -> rusqlite::Result<()> {
    let subsystem = match &row.step {
        Some(StepRow::ModelCall(_)) => "model_api",
        Some(StepRow::ToolCall(_)) => "tool",
        None => return Ok(()),
    };
    if !row.is_failed_step {
        return if is_new {
            Ok(())
        } else {
            remove(connection, &Hex::from(row.run_id), Hex::from(row.span_id))
        };
    }
    let given_up = (row.status == Status::Cancelled).then_some(ErrorClass::Cancelled);
    let class = row.error_class.or(given_up).unwrap_or(ErrorClass::Unknown);
    connection.prepare_cached(ERROR_EVENT)?.execute(params![
        Hex::from(row.run_id),
        Hex::from(row.span_id),
        row.end_ns.unwrap_or(row.start_ns),
        class.as_str(),
        subsystem,
    ])?;
    Ok(())
}

/// Removes the failure of a span, if it had one.
pub(super) fn remove(
    connection: &Connection,
    run_id: &dyn rusqlite::ToSql,
    span: Hex,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(REMOVE)?
        .execute(params![run_id, span])?;
    Ok(())
}
