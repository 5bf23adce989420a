//! Takes out of records what is not to be kept, or not to leave.

use std::borrow::Cow;

use super::class::Holds;
use super::is_kept_of_event;
use crate::config::Classes;
use crate::record::{SpanRecord, Value};
use crate::semconv::Sensitivity;

/// Takes out of a record what is content of other kinds than these.
pub(super) fn withhold(record: &mut SpanRecord, allowed: Classes) {
    if allowed == Classes::ALL {
        return;
    }
    if allowed == Classes::NONE {
        return withhold_content(record);
    }
    let mut withheld = Vec::new();
    for (fact, value) in record.facts.values_mut() {
        let is_content = fact.sensitivity() == Sensitivity::Content;
        if is_content && !is_left(value, Holds::of(fact), allowed) {
            withheld.push(fact);
        }
    }
    record.facts.retain(|fact| !withheld.contains(&fact));
    record
        .extra
        .retain_mut(|(name, value)| is_left(value, Holds::named(name), allowed));
    for event in &mut record.events {
        event.attributes.retain_mut(|(name, value)| {
            is_kept_of_event(name) || is_left(value, Holds::named(name), allowed)
        });
    }
}

/// Leaves of a value what is of these kinds; whether that is anything.
fn is_left(value: &mut Value, holds: Holds, allowed: Classes) -> bool {
    let all = std::mem::replace(value, Value::Bool(false));
    match left_of(all, holds, allowed) {
        Some(left) => {
            *value = left;
            true
        }
        None => false,
    }
}

/// What is left of a value; `None`: nothing.
pub(super) fn left_of(value: Value, holds: Holds, allowed: Classes) -> Option<Value> {
    if !holds.is_any(allowed) {
        return None;
    }
    match value {
        Value::Text(text) => {
            let left = match holds.left_of(&text, allowed)? {
                Cow::Borrowed(_) => None,
                Cow::Owned(left) => Some(left),
            };
            Some(Value::Text(left.map_or(text, Cow::Owned)))
        }
        value => Some(value),
    }
}

/// Takes out of a record what is content.
pub(crate) fn withhold_content(record: &mut SpanRecord) {
    record
        .facts
        .retain(|fact| fact.sensitivity() == Sensitivity::Plain);
    record.extra.clear();
    for event in &mut record.events {
        event.attributes.retain(|(name, _)| is_kept_of_event(name));
    }
}
