//! What a span looks like from outside: its attributes under the names of a profile, and their JSON.

mod attribute;
#[cfg(all(feature = "sqlite", feature = "otlp"))]
mod facts;
mod message;
mod finished;

use std::borrow::Cow;

use serde_json::Map;

pub(crate) use attribute::{attributes, attributes_without_content, content_attributes};
#[cfg(all(feature = "sqlite", feature = "otlp"))]
pub(crate) use facts::{facts, value};
pub use finished::{FinishedEvent, FinishedSpan};
pub(crate) use message::single as message_json;

use crate::record::{SpanRecord, Value};
use crate::semconv::Naming;

/// The attributes as one JSON object, at full length.
pub(crate) fn attributes_json(record: &SpanRecord, naming: Naming) -> String {
    object(attribute::full_attributes(record, naming)).to_string()
}

/// The span's events as a JSON array of `{name, time_ns, attributes}`; `None` where there are none.
pub(crate) fn events_json(record: &SpanRecord) -> Option<String> {
    if record.events.is_empty() {
        return None;
    }
    let events = record.events.iter().map(|event| {
        serde_json::json!({
            "name": event.name,
            "time_ns": event.time_ns,
            "attributes": object(event.attributes.iter().cloned()),
        })
    });
    Some(serde_json::Value::Array(events.collect()).to_string())
}

/// Attributes as a JSON object.
pub(crate) fn object(
    attributes: impl IntoIterator<Item = (Cow<'static, str>, Value)>,
) -> serde_json::Value {
    let members = attributes
        .into_iter()
        .map(|(name, value)| (name.into_owned(), json(value)));
    serde_json::Value::Object(members.collect::<Map<_, _>>())
}

fn json(value: Value) -> serde_json::Value {
    match value {
        Value::Bool(truth) => truth.into(),
        Value::Int(int) => int.into(),
        // JSON knows no NaN; it becomes null.
        Value::Double(double) => double.into(),
        Value::Text(text) => text.into_owned().into(),
        Value::Texts(texts) => texts.into(),
    }
}
