//! Spans for people at a terminal: one JSON line each on stderr, as they leave.

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry::{Array, Key, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SpanData;
use serde::Serializer;
use serde::ser::SerializeMap;
use serde_json::{Map, Value, json};

use super::line::{Exit, Patience, Undelivered};
use crate::policy::Permit;

/// The way out onto the terminal.
#[derive(Debug)]
pub(super) struct Console {
    resource: Value,
}

impl Console {
    pub(super) fn new(_: &Permit) -> Self {
        Console {
            resource: Value::Null,
        }
    }
}

#[async_trait]
impl Exit for Console {
    async fn send(&self, batch: Vec<SpanData>, _: Patience) -> Result<(), Undelivered> {
        let mut lines = Vec::with_capacity(batch.len() * 512);
        for span in &batch {
            // Nothing fails here: keys are texts and the writer is memory.
            let _ = write_line(span, &self.resource, &mut lines);
        }
        // One write a batch keeps lines whole among those of others. A terminal that is gone is
        // nothing to tell anybody.
        let _ = std::io::stderr().lock().write_all(&lines);
        Ok(())
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = object(resource.iter());
    }

    fn destination(&self) -> String {
        "the console".to_owned()
    }
}

/// Writes one line, the keys in the order in which one reads a span.
fn write_line(span: &SpanData, resource: &Value, lines: &mut Vec<u8>) -> serde_json::Result<()> {
    let start = unix_ns(span.start_time);
    let end = unix_ns(span.end_time);
    let mut serializer = serde_json::Serializer::new(&mut *lines);
    let mut line = serializer.serialize_map(None)?;
    line.serialize_entry("trace_id", &span.span_context.trace_id().to_string())?;
    line.serialize_entry("span_id", &span.span_context.span_id().to_string())?;
    line.serialize_entry("parent_span_id", &parent(span.parent_span_id))?;
    line.serialize_entry("name", &span.name)?;
    line.serialize_entry("kind", kind(&span.span_kind))?;
    line.serialize_entry("start_time_unix_nano", &start)?;
    line.serialize_entry("end_time_unix_nano", &end)?;
    line.serialize_entry("duration_ms", &milliseconds(end.saturating_sub(start)))?;
    line.serialize_entry("status", &status(&span.status))?;
    line.serialize_entry("attributes", &attributes(&span.attributes))?;
    let events = span.events.iter().map(|event| {
        json!({
            "name": event.name,
            "time_unix_nano": unix_ns(event.timestamp),
            "attributes": attributes(&event.attributes),
        })
    });
    line.serialize_entry("events", &events.collect::<Vec<_>>())?;
    line.serialize_entry("resource", resource)?;
    line.end()?;
    lines.push(b'\n');
    Ok(())
}

pub(super) fn unix_ns(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "microseconds of a span lie far below 2^53"
)]
fn milliseconds(duration_ns: u64) -> f64 {
    (duration_ns / 1_000) as f64 / 1_000.0
}

pub(super) fn parent(id: SpanId) -> Option<String> {
    (id != SpanId::INVALID).then(|| id.to_string())
}

pub(super) fn kind(kind: &SpanKind) -> &'static str {
    match kind {
        SpanKind::Client => "CLIENT",
        SpanKind::Server => "SERVER",
        SpanKind::Producer => "PRODUCER",
        SpanKind::Consumer => "CONSUMER",
        SpanKind::Internal => "INTERNAL",
    }
}

fn status(status: &Status) -> Value {
    let (code, message) = match status {
        Status::Unset => ("UNSET", ""),
        Status::Ok => ("OK", ""),
        Status::Error { description } => ("ERROR", &**description),
    };
    json!({ "code": code, "message": message })
}

fn attributes(attributes: &[KeyValue]) -> Value {
    object(
        attributes
            .iter()
            .map(|attribute| (&attribute.key, &attribute.value)),
    )
}

pub(super) fn object<'a>(
    members: impl Iterator<Item = (&'a Key, &'a opentelemetry::Value)>,
) -> Value {
    let members = members.map(|(key, value)| (key.as_str().to_owned(), to_json(value)));
    Value::Object(members.collect::<Map<_, _>>())
}

fn to_json(value: &opentelemetry::Value) -> Value {
    match value {
        opentelemetry::Value::Bool(truth) => json!(truth),
        opentelemetry::Value::I64(int) => json!(int),
        opentelemetry::Value::F64(double) => json!(double),
        opentelemetry::Value::Array(Array::Bool(truths)) => json!(truths),
        opentelemetry::Value::Array(Array::I64(ints)) => json!(ints),
        opentelemetry::Value::Array(Array::F64(doubles)) => json!(doubles),
        opentelemetry::Value::Array(Array::String(texts)) => {
            texts.iter().map(|text| json!(text.as_str())).collect()
        }
        other => json!(other.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use opentelemetry::trace::{
        SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
    };
    use opentelemetry::{InstrumentationScope, KeyValue};
    use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
    use serde_json::json;

    use super::write_line;

    #[test]
    fn a_span_is_one_line_in_reading_order() {
        let span = SpanData {
            span_context: SpanContext::new(
                TraceId::from(1_u128),
                SpanId::from(2_u64),
                TraceFlags::SAMPLED,
                false,
                TraceState::NONE,
            ),
            parent_span_id: SpanId::INVALID,
            parent_span_is_remote: false,
            span_kind: SpanKind::Client,
            name: "chat\ngpt".into(),
            start_time: UNIX_EPOCH + Duration::from_nanos(5),
            end_time: UNIX_EPOCH + Duration::from_nanos(1_500_005),
            attributes: vec![KeyValue::new("tokens", 3)],
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::error("no"),
            instrumentation_scope: InstrumentationScope::default(),
        };
        let mut lines = Vec::new();
        write_line(&span, &json!({"service.name": "a"}), &mut lines).unwrap();
        assert_eq!(
            String::from_utf8(lines).unwrap(),
            "{\"trace_id\":\"00000000000000000000000000000001\",\"span_id\":\"0000000000000002\",\
             \"parent_span_id\":null,\"name\":\"chat\\ngpt\",\"kind\":\"CLIENT\",\
             \"start_time_unix_nano\":5,\"end_time_unix_nano\":1500005,\"duration_ms\":1.5,\
             \"status\":{\"code\":\"ERROR\",\"message\":\"no\"},\"attributes\":{\"tokens\":3},\
             \"events\":[],\"resource\":{\"service.name\":\"a\"}}\n"
        );
    }
}
