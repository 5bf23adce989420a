//! What a span looks like from outside: its attributes under the names of a profile, and their JSON.

mod attribute;
#[cfg(all(feature = "sqlite", feature = "otlp"))]
mod facts;
mod json;
mod message;
mod finished;
mod recent;
pub(crate) mod line;

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::Map;

pub(crate) use attribute::{attributes, attributes_without_content, content_attributes};
#[cfg(all(feature = "sqlite", feature = "otlp"))]
pub(crate) use facts::{facts, value};
pub use finished::{FinishedEvent, FinishedSpan};
pub(crate) use json::{push_text, push_value};
pub(crate) use message::single as message_json;
pub use recent::{RecentSpan, RecentTrace};

use crate::record::{SpanRecord, Value};

/// The attributes that no table knows, as a JSON object; `None` where there are none.
pub(crate) fn extra_json(record: &SpanRecord) -> Option<String> {
    if record.extra.is_empty() {
        return None;
    }
    let mut text = String::new();
    json::push_object(members(&record.extra), &mut text);
    Some(text)
}

/// The span's events as a JSON array of `{name, time_ns, attributes}`; `None` where there are none.
pub(crate) fn events_json(record: &SpanRecord) -> Option<String> {
    list_json(&record.events, |event, text| {
        text.push_str("{\"name\":");
        push_text(&event.name, text);
        text.push_str(",\"time_ns\":");
        push_value(&Value::Int(event.time_ns), text);
        text.push_str(",\"attributes\":");
        json::push_object(members(&event.attributes), text);
        text.push('}');
    })
}

/// The span's links as a JSON array of `{trace_id, span_id}`; `None` where there are none.
pub(crate) fn links_json(record: &SpanRecord) -> Option<String> {
    list_json(&record.links, |(trace_id, span_id), text| {
        // Hex needs no escapes.
        let _ = write!(text, r#"{{"trace_id":"{trace_id}","span_id":"{span_id}"}}"#);
    })
}

fn list_json<T>(items: &[T], push: impl Fn(&T, &mut String)) -> Option<String> {
    if items.is_empty() {
        return None;
    }
    let mut text = String::from("[");
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        push(item, &mut text);
    }
    text.push(']');
    Some(text)
}

fn members<'a>(
    attributes: &'a [(Cow<'static, str>, Value)],
) -> impl Iterator<Item = (&'a str, &'a Value)> {
    attributes
        .iter()
        .map(|(name, value)| (name.as_ref(), value))
}

/// Attributes as a JSON object.
pub(crate) fn object(
    attributes: impl IntoIterator<Item = (Cow<'static, str>, Value)>,
) -> serde_json::Value {
    let members = attributes
        .into_iter()
        .map(|(name, value)| (name.into_owned(), json_value(value)));
    serde_json::Value::Object(members.collect::<Map<_, _>>())
}

fn json_value(value: Value) -> serde_json::Value {
    match value {
        Value::Bool(truth) => truth.into(),
        Value::Int(int) => int.into(),
        // JSON knows no NaN; it becomes null.
        Value::Double(double) => double.into(),
        Value::Text(text) => text.into_owned().into(),
        Value::Texts(texts) => texts.into(),
    }
}
