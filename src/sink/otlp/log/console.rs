//! Log records for people at a terminal: one JSON line each on stderr, as they leave.

use std::io::Write;

use opentelemetry::logs::AnyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLogRecord;
use serde::Serializer;
use serde::ser::SerializeMap;
use serde_json::{Map, Value, json};

use super::exit::{Batch, LogExit};
use crate::policy::Permit;
use crate::sink::otlp::console::{object, unix_ns};
use crate::sink::otlp::line::{Patience, Undelivered};

/// The way out onto the terminal.
#[derive(Debug)]
pub(super) struct Console {
    resource: Value,
}

impl Console {
    pub(super) fn new(_: &Permit, resource: &Resource) -> Self {
        Console {
            resource: object(resource.iter()),
        }
    }
}

impl LogExit for Console {
    fn send(&self, batch: &Batch, _: Patience) -> Result<(), Undelivered> {
        let mut lines = Vec::with_capacity(batch.len() * 256);
        for record in batch.iter() {
            // Nothing fails here: keys are texts and the writer is memory.
            let _ = write_line(record, &self.resource, &mut lines);
        }
        // One write a batch keeps lines whole among those of others. A terminal that is gone is
        // nothing to tell anybody.
        let _ = std::io::stderr().lock().write_all(&lines);
        Ok(())
    }

    fn destination(&self) -> String {
        "the console".to_owned()
    }
}

/// Writes one line, the keys in the order in which one reads a log record.
fn write_line(
    record: &SdkLogRecord,
    resource: &Value,
    lines: &mut Vec<u8>,
) -> serde_json::Result<()> {
    let context = record.trace_context();
    let mut serializer = serde_json::Serializer::new(&mut *lines);
    let mut line = serializer.serialize_map(None)?;
    line.serialize_entry("time_unix_nano", &record.timestamp().map(unix_ns))?;
    line.serialize_entry("severity", &record.severity_text())?;
    line.serialize_entry("target", &record.target())?;
    line.serialize_entry("event_name", &record.event_name())?;
    line.serialize_entry("body", &record.body().map(to_json))?;
    line.serialize_entry("trace_id", &context.map(|ids| ids.trace_id.to_string()))?;
    line.serialize_entry("span_id", &context.map(|ids| ids.span_id.to_string()))?;
    let attributes = record.attributes_iter();
    let attributes = attributes.map(|(key, value)| (key.as_str().to_owned(), to_json(value)));
    line.serialize_entry("attributes", &attributes.collect::<Map<_, _>>())?;
    line.serialize_entry("resource", resource)?;
    line.end()?;
    lines.push(b'\n');
    Ok(())
}

fn to_json(value: &AnyValue) -> Value {
    match value {
        AnyValue::Int(int) => json!(int),
        AnyValue::Double(double) => json!(double),
        AnyValue::String(text) => json!(text.as_str()),
        AnyValue::Boolean(truth) => json!(truth),
        AnyValue::ListAny(items) => items.iter().map(to_json).collect(),
        AnyValue::Map(members) => {
            let members = members.iter();
            let members = members.map(|(key, value)| (key.as_str().to_owned(), to_json(value)));
            Value::Object(members.collect())
        }
        // Bytes, and what a later version may know.
        other => json!(format!("{other:?}")),
    }
}
