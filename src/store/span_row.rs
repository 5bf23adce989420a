//! The row of a span in `tel_span_rows`: its columns and what is bound to them, in one list.

use std::sync::LazyLock;

use rusqlite::{Connection, Statement, params};

use super::at_hand::AtHand;
use super::hex::Hex;
use super::row::{ModelCallRow, SpanRow, StepRow, ToolCallRow};
use super::scope::Scope;
use crate::record::{CostStatus, ErrorClass, ResultClass};

const FIND: &str = "SELECT id FROM tel_span_rows WHERE scope = ?1 AND span_id = ?2";

/// What a row has beside its span.
#[derive(Clone, Copy)]
pub(super) struct Context<'c> {
    pub(super) scope: &'c Scope,
    pub(super) shape: i64,
    pub(super) writer: i64,
    pub(super) has_ended: bool,
}

/// Which rows say something in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Always,
    ByModelCalls,
    ByToolCalls,
    /// By spans that failed, and by those with something unusual to tell.
    Seldom,
}

/// The columns that a row has something to say in: to bind forty, most of them NULL, takes as long as to
/// insert the row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Variant {
    step: Option<Said>,
    is_unusual: bool,
}

/// Declares the columns with their values: the statements and the binding are made of the one list.
macro_rules! columns {
    (|$row:ident, $context:ident, $model_call:ident, $tool_call:ident|
        $($said:ident $column:ident: $value:expr,)*
    ) => {
        const COLUMNS: &[(Said, &str)] = &[$((Said::$said, stringify!($column))),*];

        /// Binds the columns of a variant; those of all where there is none.
        fn bind(
            statement: &mut Statement<'_>,
            variant: Option<Variant>,
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
                if variant.is_none_or(|variant| variant.has(Said::$said)) {
                    index += 1;
                    statement.raw_bind_parameter(index, $value)?;
                }
            )*
            Ok(())
        }
    };
}

columns! {
    |row, context, model_call, tool_call|
    // The first four say which row it is; an update leaves them alone.
    Always scope: context.scope.id,
    Always span_id: Hex::from(row.span_id),
    Always parent_span_id: row.parent_span_id.map(Hex::from),
    Always wire_parent: row.wire_parent_span_id.map(Hex::from),
    Always start_ns: row.start_ns,
    // A row of an ended span always has its end, or nobody would know it from an open one.
    Always end_ns: context.has_ended.then_some(row.end_ns.unwrap_or(row.start_ns)),
    Always status: row.status.as_str(),
    Always step: row.step.as_ref().map(StepRow::number),
    Always shape: context.shape,
    Always writer: context.writer,
    ByModelCalls input_tokens: model_call.and_then(|call| call.input_tokens),
    ByModelCalls output_tokens: model_call.and_then(|call| call.output_tokens),
    ByModelCalls cache_read_tokens: model_call.and_then(|call| call.cache_read_tokens),
    ByModelCalls cache_write_tokens: model_call.and_then(|call| call.cache_write_tokens),
    ByModelCalls reasoning_tokens: model_call.and_then(|call| call.reasoning_tokens),
    ByModelCalls ttft_ms: model_call.and_then(|call| call.ttft_ms),
    Always retry_count: retry_count(model_call, tool_call),
    ByModelCalls api_call_number: model_call.and_then(|call| call.api_call_number),
    ByModelCalls cost_usd: model_call.and_then(|call| call.cost_usd),
    ByModelCalls cost_status: model_call.and_then(|call| cost_status(row, call, context.has_ended)),
    ByModelCalls cost_source: model_call.and_then(|call| call.cost_source),
    ByModelCalls provider: model_call.and_then(|call| call.provider),
    ByModelCalls model: model_call.and_then(|call| call.model),
    ByModelCalls response_model: model_call.and_then(|call| call.response_model),
    ByModelCalls finish_reason: model_call.and_then(|call| call.finish_reason.as_deref()),
    ByToolCalls tool_name: tool_call.and_then(|call| call.tool_name),
    ByToolCalls result_class: tool_call.and_then(|call| call.result_class).map(ResultClass::as_str),
    ByToolCalls backend: tool_call.and_then(|call| call.backend),
    ByToolCalls approval: tool_call.and_then(|call| call.approval),
    Seldom error_class: row.error_class.map(ErrorClass::as_str),
    Seldom error_type: row.error_type,
    ByModelCalls response_id: model_call.and_then(|call| call.response_id),
    ByToolCalls call_id: tool_call.and_then(|call| call.call_id),
    ByModelCalls base_url: model_call.and_then(|call| call.base_url),
    Seldom name: row.name.as_deref(),
    Seldom session_id: context.scope.own_session(row),
    Seldom status_message: row.status_message,
    Always attr_values: row.attr_values,
    Seldom extra_json: row.extra_json,
    Seldom links_json: row.links_json,
    Seldom events_json: row.events_json,
    Seldom remote_parent: row.remote_parent_span_id.map(Hex::from),
    Seldom wait_ms: row.wait_ms,
}

/// How many of the columns an update leaves alone. The parent is among them: a withdrawal may have
/// given the row another one meanwhile.
const FIXED: usize = 4;

/// The statements that insert a row, one for each variant; no row where there is one already.
static INSERTS: LazyLock<[String; Variant::ALL.len()]> = LazyLock::new(|| {
    Variant::ALL.map(|variant| {
        let columns: Vec<_> = COLUMNS
            .iter()
            .filter(|(said, _)| variant.has(*said))
            .map(|(_, column)| *column)
            .collect();
        let values: Vec<_> = (1..=columns.len())
            .map(|index| format!("?{index}"))
            .collect();
        let values = values.join(", ").replacen("?4", &wire_parent("?3"), 1);
        format!(
            "INSERT INTO tel_span_rows ({}) VALUES ({values}) ON CONFLICT (scope, span_id) DO NOTHING",
            columns.join(", "),
        )
    })
});

/// The statements that say all of a row anew: of one that is open, of one that has ended.
static UPDATES: LazyLock<[String; 2]> = LazyLock::new(|| {
    let set: Vec<_> = (1..)
        .zip(COLUMNS)
        .skip(FIXED)
        .map(|(index, (_, column))| format!("{column} = ?{index}"))
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

impl Variant {
    const ALL: [Variant; 6] = [
        Variant::new(None, false),
        Variant::new(None, true),
        Variant::new(Some(Said::ByModelCalls), false),
        Variant::new(Some(Said::ByModelCalls), true),
        Variant::new(Some(Said::ByToolCalls), false),
        Variant::new(Some(Said::ByToolCalls), true),
    ];

    const fn new(step: Option<Said>, is_unusual: bool) -> Self {
        Variant { step, is_unusual }
    }

    fn of(row: &SpanRow<'_>, scope: &Scope) -> Self {
        Variant {
            step: row.step.as_ref().map(|step| match step {
                StepRow::ModelCall(_) => Said::ByModelCalls,
                StepRow::ToolCall(_) => Said::ByToolCalls,
            }),
            is_unusual: row.error_class.is_some()
                || row.error_type.is_some()
                || row.status_message.is_some()
                || row.name.is_some()
                || row.extra_json.is_some()
                || row.links_json.is_some()
                || row.events_json.is_some()
                || row.remote_parent_span_id.is_some()
                || row.wait_ms.is_some()
                || scope.own_session(row).is_some(),
        }
    }

    fn has(self, said: Said) -> bool {
        match said {
            Said::Always => true,
            Said::Seldom => self.is_unusual,
            of_steps => self.step == Some(of_steps),
        }
    }

    fn number(self) -> usize {
        let step = match self.step {
            Some(Said::ByModelCalls) => 2,
            Some(Said::ByToolCalls) => 4,
            _ => 0,
        };
        step + usize::from(self.is_unusual)
    }
}

/// The parent on OTLP beside this one: most are the same, and need no second place.
fn wire_parent(parent: &str) -> String {
    format!("CASE WHEN ?4 IS {parent} THEN NULL ELSE coalesce(?4, '') END")
}

/// The statements that insert.
pub(super) struct Inserts<'c>([AtHand<'c>; Variant::ALL.len()]);

impl<'c> Inserts<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Inserts(std::array::from_fn(|number| {
            AtHand::new(connection, &INSERTS[number])
        }))
    }

    /// Inserts a row; whether there was none.
    pub(super) fn insert(
        &mut self,
        row: &SpanRow<'_>,
        context: Context<'_>,
    ) -> rusqlite::Result<bool> {
        let variant = Variant::of(row, context.scope);
        let statement = self.0[variant.number()].get()?;
        bind(statement, Some(variant), row, context)?;
        Ok(statement.raw_execute()? == 1)
    }
}

/// Says all of an open row anew; whether there was one.
pub(super) fn complete(
    connection: &Connection,
    row: &SpanRow<'_>,
    context: Context<'_>,
) -> rusqlite::Result<bool> {
    update(connection, &UPDATES[0], row, context)
}

/// Says all of an ended row anew; whether there was one.
pub(super) fn replace(
    connection: &Connection,
    row: &SpanRow<'_>,
    context: Context<'_>,
) -> rusqlite::Result<bool> {
    update(connection, &UPDATES[1], row, context)
}

/// The number of the row.
pub(super) fn id(
    connection: &Connection,
    row: &SpanRow<'_>,
    context: Context<'_>,
) -> rusqlite::Result<i64> {
    connection
        .prepare_cached(FIND)?
        .query_row(params![context.scope.id, Hex::from(row.span_id)], |row| {
            row.get(0)
        })
}

fn update(
    connection: &Connection,
    sql: &str,
    row: &SpanRow<'_>,
    context: Context<'_>,
) -> rusqlite::Result<bool> {
    let mut statement = connection.prepare_cached(sql)?;
    bind(&mut statement, None, row, context)?;
    Ok(statement.raw_execute()? == 1)
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

#[cfg(test)]
mod tests {
    use super::Variant;

    #[test]
    fn every_variant_has_its_own_number() {
        for (number, variant) in Variant::ALL.into_iter().enumerate() {
            assert_eq!(variant.number(), number);
        }
    }
}
