//! A finished span as subscribers in this process get it.

use serde_json::{Map, Value as Json};

use super::object;
use crate::record::{RunId, SpanId, SpanRecord, Status, TraceId};
use crate::semconv::{Kind, Naming};

/// A span that has ended: redacted, with content only where it is captured.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FinishedSpan {
    /// The trace it is part of.
    pub trace_id: TraceId,
    /// Its id, the same as on OTLP.
    pub span_id: SpanId,
    /// The nearest stored ancestor.
    pub parent_span_id: Option<SpanId>,
    /// The run it belongs to.
    pub run_id: RunId,
    /// The exported name: `chat gpt-4o`, for instance.
    pub name: String,
    /// What it stands for.
    pub kind: Kind,
    /// When it started, in nanoseconds since the Unix epoch.
    pub start_ns: i64,
    /// When it ended, in nanoseconds since the Unix epoch.
    pub end_ns: i64,
    /// How it went.
    pub status: Status,
    /// `error.type`, where it failed.
    pub error_type: Option<String>,
    /// The text of its error, redacted.
    pub status_message: Option<String>,
    /// Its attributes, under the names of profile `hermes`.
    pub attributes: Map<String, Json>,
    /// What happened inside it.
    pub events: Vec<FinishedEvent>,
}

/// Something that happened inside a span.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FinishedEvent {
    /// Its name; a failure's is `exception`.
    pub name: String,
    /// When it happened, in nanoseconds since the Unix epoch.
    pub time_ns: i64,
    /// Its attributes.
    pub attributes: Map<String, Json>,
}

impl FinishedSpan {
    /// The span of a record that policy has cleaned.
    pub(crate) fn of_record(record: &SpanRecord, naming: Naming) -> Self {
        FinishedSpan {
            trace_id: record.trace_id,
            span_id: record.span_id,
            parent_span_id: record.parent_span_id,
            run_id: record.run.run_id,
            name: record.exported_name(naming.profile).into_owned(),
            kind: record.kind,
            start_ns: record.start_ns,
            end_ns: record.end_ns.unwrap_or(record.start_ns),
            status: record.status,
            error_type: record
                .failure
                .as_ref()
                .map(|failure| failure.error_type.to_string()),
            status_message: record
                .failure
                .as_ref()
                .and_then(|failure| failure.message.clone()),
            attributes: members(object(super::attribute::full_attributes(record, naming))),
            events: record
                .events
                .iter()
                .map(|event| FinishedEvent {
                    name: event.name.to_string(),
                    time_ns: event.time_ns,
                    attributes: members(object(event.attributes.iter().cloned())),
                })
                .collect(),
        }
    }
}

fn members(object: Json) -> Map<String, Json> {
    match object {
        Json::Object(members) => members,
        _ => Map::new(),
    }
}
