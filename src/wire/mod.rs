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

/// Appends the attributes that no table knows as a JSON object; nothing where there are none.
pub(crate) fn push_extra(record: &SpanRecord, text: &mut String) {
    if !record.extra.is_empty() {
        json::push_object(members(&record.extra), text);
    }
}

/// Appends the span's events as a JSON array of `{name, time_ns, attributes}`; nothing where there are none.
pub(crate) fn push_events(record: &SpanRecord, text: &mut String) {
    push_list(&record.events, text, |event, text| {
        text.push_str("{\"name\":");
        push_text(&event.name, text);
        text.push_str(",\"time_ns\":");
        push_value(&Value::Int(event.time_ns), text);
        text.push_str(",\"attributes\":");
        json::push_object(members(&event.attributes), text);
        text.push('}');
    });
}

/// Appends the span's links as a JSON array of `{trace_id, span_id}`; nothing where there are none.
pub(crate) fn push_links(record: &SpanRecord, text: &mut String) {
    push_list(&record.links, text, |(trace_id, span_id), text| {
        // Hex needs no escapes.
        let _ = write!(text, r#"{{"trace_id":"{trace_id}","span_id":"{span_id}"}}"#);
    });
}

fn push_list<T>(items: &[T], text: &mut String, push: impl Fn(&T, &mut String)) {
    if items.is_empty() {
        return;
    }
    text.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        push(item, text);
    }
    text.push(']');
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
