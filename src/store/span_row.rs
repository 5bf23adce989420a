//! The row of a span in `tel_span_rows`: its columns and what is bound to them, in one list.

use std::sync::LazyLock;

use rusqlite::{CachedStatement, Connection, Statement};

use super::hex::Hex;
use super::row::{ModelCallRow, SpanRow, StepRow, ToolCallRow};
use super::scope::Scope;
use crate::record::{CostStatus, ErrorClass, ResultClass};

/// What a row has beside its span.
#[derive(Clone, Copy)]
pub(super) struct Context<'c> {
    pub(super) scope: &'c Scope,
    pub(super) shape: i64,
    pub(super) writer: i64,
    pub(super) has_ended: bool,
}

/// Declares the columns with their values: the statements and the binding are made of the one list.
macro_rules! columns {
    (|$row:ident, $context:ident, $model_call:ident, $tool_call:ident| $($column:ident: $value:expr,)*) => {
        const COLUMNS: &[&str] = &[$(stringify!($column)),*];

        fn bind(
            statement: &mut Statement<'_>,
            $row: &SpanRow<'_>,
            $context: Context<'_>,
        ) -> rusqlite::Result<()> {
            let $model_call = match &$row.step {
                Some(StepRow::ModelCall(call)) => Some(call),
                _ => None,
            };
            let $tool_call = match &$row.step {
                Some(StepRow::ToolCall(call)) => Some(call),
                _ => None,
            };
            let mut index = 0;
            $(
                index += 1;
                statement.raw_bind_parameter(index, $value)?;
            )*
            Ok(())
        }
    };
}

columns! {
    |row, context, model_call, tool_call|
    // The first four say which row it is; an update leaves them alone.
    scope: context.scope.id,
    span_id: Hex::from(row.span_id),
    parent_span_id: row.parent_span_id.map(Hex::from),
    wire_parent: row.wire_parent_span_id.map(Hex::from),
    start_ns: row.start_ns,
    // A row of an ended span always has its end, or nobody would know it from an open one.
    end_ns: context.has_ended.then_some(row.end_ns.unwrap_or(row.start_ns)),
    status: row.status.as_str(),
    step: row.step.as_ref().map(StepRow::number),
    shape: context.shape,
    writer: context.writer,
    input_tokens: model_call.and_then(|call| call.input_tokens),
    output_tokens: model_call.and_then(|call| call.output_tokens),
    cache_read_tokens: model_call.and_then(|call| call.cache_read_tokens),
    cache_write_tokens: model_call.and_then(|call| call.cache_write_tokens),
    reasoning_tokens: model_call.and_then(|call| call.reasoning_tokens),
    ttft_ms: model_call.and_then(|call| call.ttft_ms),
    retry_count: retry_count(model_call, tool_call),
    api_call_number: model_call.and_then(|call| call.api_call_number),
    cost_usd: model_call.and_then(|call| call.cost_usd),
    cost_status: model_call.and_then(|call| cost_status(row, call, context.has_ended)),
    cost_source: model_call.and_then(|call| call.cost_source),
    provider: model_call.and_then(|call| call.provider),
    model: model_call.and_then(|call| call.model),
    response_model: model_call.and_then(|call| call.response_model),
    finish_reason: model_call.and_then(|call| call.finish_reason.as_deref()),
    tool_name: tool_call.and_then(|call| call.tool_name),
    result_class: tool_call.and_then(|call| call.result_class).map(ResultClass::as_str),
    backend: tool_call.and_then(|call| call.backend),
    approval: tool_call.and_then(|call| call.approval),
    error_class: row.error_class.map(ErrorClass::as_str),
    error_type: row.error_type,
    response_id: model_call.and_then(|call| call.response_id),
    call_id: tool_call.and_then(|call| call.call_id),
    base_url: model_call.and_then(|call| call.base_url),
    name: row.name.as_deref(),
    session_id: context.scope.own_session(row),
    status_message: row.status_message,
    attr_values: row.attributes.values,
    extra_json: row.extra_json.as_deref(),
    links_json: row.links_json.as_deref(),
    events_json: row.events_json.as_deref(),
}

/// How many of the columns an update leaves alone. The parent is among them: a withdrawal may have
/// given the row another one meanwhile.
const FIXED: usize = 4;

/// The statement that inserts a row; no row where there is one already.
static INSERT: LazyLock<String> = LazyLock::new(|| {
    let values: Vec<_> = (1..=COLUMNS.len())
        .map(|index| format!("?{index}"))
        .collect();
    let values = values.join(", ").replacen("?4", &wire_parent("?3"), 1);
    format!(
        "INSERT INTO tel_span_rows ({}) VALUES ({values}) ON CONFLICT (scope, span_id) DO NOTHING",
        COLUMNS.join(", "),
    )
});

/// The statements that say all of a row anew: of one that is open, of one that has ended.
static UPDATES: LazyLock<[String; 2]> = LazyLock::new(|| {
    let set: Vec<_> = (1..)
        .zip(COLUMNS)
        .skip(FIXED)
        .map(|(index, column)| format!("{column} = ?{index}"))
        .collect();
    ["NULL", "NOT NULL"].map(|end| {
        format!(
            "UPDATE tel_span_rows SET {}, wire_parent = {} \
             WHERE scope = ?1 AND span_id = ?2 AND end_ns IS {end}",
            set.join(", "),
            wire_parent("parent_span_id"),
        )
    })
});

/// The parent on OTLP beside this one: most are the same, and need no second place.
fn wire_parent(parent: &str) -> String {
    format!("CASE WHEN ?4 IS {parent} THEN NULL ELSE coalesce(?4, '') END")
}

/// The statement that every span needs.
pub(super) fn insert(connection: &Connection) -> rusqlite::Result<CachedStatement<'_>> {
    connection.prepare_cached(&INSERT)
}

/// Executes one of the statements; whether it wrote the row.
pub(super) fn write_with(
    statement: &mut Statement<'_>,
    row: &SpanRow<'_>,
    context: Context<'_>,
) -> rusqlite::Result<bool> {
    bind(statement, row, context)?;
    Ok(statement.raw_execute()? == 1)
}

/// Says all of an open row anew; whether there was one.
pub(super) fn complete(
    connection: &Connection,
    row: &SpanRow<'_>,
    context: Context<'_>,
) -> rusqlite::Result<bool> {
    write_with(&mut *connection.prepare_cached(&UPDATES[0])?, row, context)
}

/// Says all of an ended row anew; whether there was one.
pub(super) fn replace(
    connection: &Connection,
    row: &SpanRow<'_>,
    context: Context<'_>,
) -> rusqlite::Result<bool> {
    write_with(&mut *connection.prepare_cached(&UPDATES[1])?, row, context)
}

fn retry_count(
    model_call: Option<&ModelCallRow<'_>>,
    tool_call: Option<&ToolCallRow<'_>>,
) -> Option<i64> {
    let model_call = model_call.map(|call| call.retry_count);
    model_call.or(tool_call.map(|call| call.retry_count))
}

fn cost_status(
    row: &SpanRow<'_>,
    call: &ModelCallRow<'_>,
    has_ended: bool,
) -> Option<&'static str> {
    let certainty = || call.cost_certainty(row.status).filter(|_| has_ended);
    call.cost_status.or_else(certainty).map(CostStatus::as_str)
}
