//! Shapes: what spans that say the same things have in common, stored once and known by a number.

use std::collections::HashMap;
use std::fmt::Write as _;

use foldhash::fast::RandomState;
use rusqlite::{Connection, OptionalExtension, params};

use super::row::SpanRow;
use crate::record::{CostStatus, ResultClass, SpanRecord, Value};
use crate::semconv::{Fact, Kind, Profile, Slot, slots};

/// Shapes that a writer remembers. A program has some dozens; one that makes up more pays for looking
/// them up again.
const MOST: usize = 4096;

const FIND: &str = "SELECT id FROM tel_shapes WHERE span_name = ?1 AND attributes = ?2";

const INSERT: &str = "
    INSERT INTO tel_shapes (span_name, attributes, kind, otel_kind, operation, name)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6)";

const INSERT_ATTRIBUTE: &str =
    "INSERT INTO tel_attributes (shape, name, source, place) VALUES (?1, ?2, ?3, ?4)";

/// The shapes of a store, as far as one writer has met them.
#[derive(Debug, Default)]
pub(super) struct Shapes(HashMap<Key, i64, RandomState>);

/// Which slots of a kind have a value, which of these have it in a column of their own, and which among
/// the contents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    kind: Kind,
    known: u64,
    in_column: u64,
    in_content: u64,
}

impl Shapes {
    /// The number of the row's shape, which is stored where it is new.
    pub(super) fn id(
        &mut self,
        connection: &Connection,
        row: &SpanRow<'_>,
    ) -> rusqlite::Result<i64> {
        let key = Key {
            kind: row.kind,
            known: row.attributes.known,
            in_column: row.attributes.in_column,
            in_content: row.attributes.in_content,
        };
        if let Some(&id) = self.0.get(&key) {
            return Ok(id);
        }
        let id = key.find_or_insert(connection)?;
        if self.0.len() == MOST {
            self.0.clear();
        }
        self.0.insert(key, id);
        Ok(id)
    }

    /// What was stored may have been rolled back.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

impl Key {
    fn find_or_insert(self, connection: &Connection) -> rusqlite::Result<i64> {
        let attributes = self.attributes();
        let mut signature = String::new();
        for (name, source, _) in &attributes {
            let _ = writeln!(signature, "{name} {source}");
        }
        let span_name = self.kind.span_name();
        let found = connection
            .prepare_cached(FIND)?
            .query_row(params![span_name, signature], |row| row.get(0))
            .optional()?;
        if let Some(id) = found {
            return Ok(id);
        }
        connection.prepare_cached(INSERT)?.execute(params![
            span_name,
            signature,
            self.kind.span_kind(),
            if self.kind.is_client() {
                "CLIENT"
            } else {
                "INTERNAL"
            },
            self.kind.operation(),
            self.kind.exported_name(Profile::Hermes).0,
        ])?;
        let id = connection.last_insert_rowid();
        let mut insert = connection.prepare_cached(INSERT_ATTRIBUTE)?;
        for (name, source, place) in attributes {
            insert.execute(params![id, name, source, place])?;
        }
        Ok(id)
    }

    /// Each attribute with the column that has its value, and its place there.
    fn attributes(self) -> Vec<(&'static str, &'static str, Option<i64>)> {
        let mut attributes = Vec::new();
        let (mut places, mut content_places) = (0.., 0..);
        for (at, slot) in slots(self.kind).iter().enumerate() {
            if self.known & 1 << at == 0 {
                continue;
            }
            let (source, place) = if self.in_column & 1 << at != 0 {
                (column(slot.fact).unwrap_or("value"), None)
            } else if self.in_content & 1 << at != 0 {
                ("content", content_places.next())
            } else {
                ("value", places.next())
            };
            attributes.extend(slot.names.iter().map(|&name| (name, source, place)));
        }
        attributes
    }
}

/// Whether a column of the span's row, scope or shape gives back this value exactly, so that it need
/// not stand among the attributes' own.
pub(crate) fn is_in_column(slot: &Slot, value: &Value, record: &SpanRecord) -> bool {
    let is_step = matches!(record.kind, Kind::Chat | Kind::Tool);
    let text = value.as_str().filter(|text| !text.is_empty());
    match slot.fact {
        Fact::SessionId => text.is_some(),
        Fact::SpanKind => text == Some(record.kind.span_kind()),
        Fact::Operation => text.is_some() && text == record.kind.operation(),
        Fact::ErrorType => {
            let failure = record.failure.as_ref();
            text.is_some() && text == failure.map(|failure| failure.error_type.as_ref())
        }
        _ if !is_step || column(slot.fact).is_none() => false,
        Fact::CostUsd => matches!(value, Value::Double(cost) if cost.is_finite()),
        Fact::CostStatus => text.is_some_and(|text| CostStatus::from_name(text).is_some()),
        Fact::ToolResultClass => text.is_some_and(|text| ResultClass::from_name(text).is_some()),
        Fact::FinishReasons => match value {
            Value::Texts(reasons) => reasons.len() == 1 && !reasons[0].is_empty(),
            _ => false,
        },
        fact if fact.is_int() => matches!(value, Value::Int(_)),
        _ => text.is_some(),
    }
}

/// The word for the column that a fact has: `tel_spans` knows it.
fn column(fact: Fact) -> Option<&'static str> {
    Some(match fact {
        Fact::SessionId => "session",
        Fact::SpanKind => "kind",
        Fact::Operation => "operation",
        Fact::ErrorType => "error_type",
        Fact::Provider => "provider",
        Fact::RequestModel => "model",
        Fact::ResponseModel => "response_model",
        Fact::ResponseId => "response_id",
        Fact::FinishReasons => "finish_reason",
        Fact::InputTokens => "input_tokens",
        Fact::OutputTokens => "output_tokens",
        Fact::CacheReadTokens => "cache_read_tokens",
        Fact::CacheWriteTokens => "cache_write_tokens",
        Fact::ReasoningTokens => "reasoning_tokens",
        Fact::RetryCount => "retry_count",
        Fact::ApiCallNumber => "api_call_number",
        Fact::CostUsd => "cost_usd",
        Fact::CostStatus => "cost_status",
        Fact::CostSource => "cost_source",
        Fact::ToolName => "tool_name",
        Fact::ToolBackend => "backend",
        Fact::ToolApproval => "approval",
        Fact::ToolCallId => "call_id",
        Fact::ToolResultClass => "result_class",
        _ => return None,
    })
}
