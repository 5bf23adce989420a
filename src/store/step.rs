//! The rows that a model call or a tool call has beside its span.

use rusqlite::{Connection, params};

use super::hex::Hex;
use super::row::{ModelCallRow, SpanRow, StepRow, ToolCallRow};
use crate::record::{CostStatus, ErrorClass, ResultClass, Status};

const MODEL_CALL: &str = "
    INSERT OR REPLACE INTO tel_model_calls (id, span_id, run_id, start_ns, provider, model, base_url,
        input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, reasoning_tokens,
        latency_ms, ttft_ms, estimated_cost_usd, cost_status, cost_source, end_reason, retry_count,
        response_model, response_id, finish_reason, status, error_class, api_call_number)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
        ?20, ?21, ?22, ?23, ?24, ?25)";

const TOOL_CALL: &str = "
    INSERT OR REPLACE INTO tel_tool_calls (id, span_id, run_id, start_ns, tool_name, backend,
        duration_ms, result_class, retry_count, approval, status, error_class, call_id)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";

const OPEN_CALL: &str = "
    INSERT OR REPLACE INTO tel_open_calls (id, provider, model, base_url, api_call_number, tool_name,
        backend, call_id, retry_count)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";

const ERROR_EVENT: &str = "
    INSERT INTO tel_error_events (run_id, span_id, ts_ns, error_class, subsystem, recovery)
    VALUES (?1, ?2, ?3, ?4, ?5, 'none')
    ON CONFLICT (run_id, span_id) DO UPDATE SET
        ts_ns = excluded.ts_ns, error_class = excluded.error_class";

const REMOVE: [&str; 4] = [
    "DELETE FROM tel_open_calls WHERE id = ?1",
    "DELETE FROM tel_model_calls WHERE id = ?1",
    "DELETE FROM tel_tool_calls WHERE id = ?1",
    "DELETE FROM tel_outbox WHERE id = ?1",
];

const REMOVE_ERROR_EVENT: &str = "DELETE FROM tel_error_events WHERE run_id = ?1 AND span_id = ?2";

/// Writes the rows of a step that has ended.
pub(super) fn put(connection: &Connection, id: i64, row: &SpanRow<'_>) -> rusqlite::Result<()> {
    let subsystem = match &row.step {
        Some(StepRow::ModelCall(call)) => {
            put_model_call(connection, id, row, call)?;
            "model_api"
        }
        Some(StepRow::ToolCall(call)) => {
            put_tool_call(connection, id, row, call)?;
            "tool"
        }
        None => return Ok(()),
    };
    if !row.is_failed_step {
        return Ok(());
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

/// Keeps what the row of a call would say: whoever finds its process dead has only the store.
pub(super) fn announce(
    connection: &Connection,
    id: i64,
    row: &SpanRow<'_>,
) -> rusqlite::Result<()> {
    let mut model_call = &ModelCallRow::default();
    let mut tool_call = &ToolCallRow::default();
    match &row.step {
        Some(StepRow::ModelCall(call)) => model_call = call,
        Some(StepRow::ToolCall(call)) => tool_call = call,
        None => return Ok(()),
    }
    connection.prepare_cached(OPEN_CALL)?.execute(params![
        id,
        model_call.provider,
        model_call.model,
        model_call.base_url,
        model_call.api_call_number,
        tool_call.tool_name,
        tool_call.backend,
        tool_call.call_id,
        model_call.retry_count + tool_call.retry_count,
    ])?;
    Ok(())
}

/// Removes what no longer holds of a step that is about to be written again.
pub(super) fn remove(connection: &Connection, id: i64, row: &SpanRow<'_>) -> rusqlite::Result<()> {
    if row.step.is_none() {
        return Ok(());
    }
    let [remove_open, ..] = REMOVE;
    connection.prepare_cached(remove_open)?.execute([id])?;
    if !row.is_failed_step {
        let ids = params![Hex::from(row.run_id), Hex::from(row.span_id)];
        connection
            .prepare_cached(REMOVE_ERROR_EVENT)?
            .execute(ids)?;
    }
    Ok(())
}

/// Removes every row of a step whose span is gone.
pub(super) fn withdraw(
    connection: &Connection,
    id: i64,
    run_id: &str,
    span: Hex,
) -> rusqlite::Result<()> {
    for statement in REMOVE {
        connection.prepare_cached(statement)?.execute([id])?;
    }
    connection
        .prepare_cached(REMOVE_ERROR_EVENT)?
        .execute(params![run_id, span])?;
    Ok(())
}

fn put_model_call(
    connection: &Connection,
    id: i64,
    row: &SpanRow<'_>,
    call: &ModelCallRow<'_>,
) -> rusqlite::Result<()> {
    let cost_status = call.cost_status.or_else(|| call.cost_certainty(row.status));
    connection.prepare_cached(MODEL_CALL)?.execute(params![
        id,
        Hex::from(row.span_id),
        Hex::from(row.run_id),
        row.start_ns,
        call.provider,
        call.model,
        call.base_url,
        call.input_tokens,
        call.output_tokens,
        call.cache_read_tokens,
        call.cache_write_tokens,
        call.reasoning_tokens,
        row.duration_ms(),
        call.ttft_ms,
        call.cost_usd,
        cost_status.map(CostStatus::as_str),
        call.cost_source,
        row.status.final_status().as_str(),
        call.retry_count,
        call.response_model,
        call.response_id,
        call.finish_reason,
        row.status.as_str(),
        row.error_class.map(ErrorClass::as_str),
        call.api_call_number,
    ])?;
    Ok(())
}

fn put_tool_call(
    connection: &Connection,
    id: i64,
    row: &SpanRow<'_>,
    call: &ToolCallRow<'_>,
) -> rusqlite::Result<()> {
    connection.prepare_cached(TOOL_CALL)?.execute(params![
        id,
        Hex::from(row.span_id),
        Hex::from(row.run_id),
        row.start_ns,
        call.tool_name,
        call.backend,
        row.duration_ms(),
        call.result_class.map(ResultClass::as_str),
        call.retry_count,
        call.approval,
        row.status.as_str(),
        row.error_class.map(ErrorClass::as_str),
        call.call_id,
    ])?;
    Ok(())
}
