//! Five visit methods into one: the values of fields, each under its fact.
//!
//! Formatting runs user code, so it happens here, before any lock is taken. A value that may not be
//! kept is not formatted at all.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Debug;
use std::sync::MutexGuard;

use tracing::field::{Field, Visit};

use super::callsite::Shape;
use super::notes::{Noted, Notes};
use super::open::{OpenSpan, State};
use crate::record::Value;
use crate::semconv::Fact;

/// What the fields of a span say.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) notes: Notes,
    /// Fields that no table knows.
    pub(super) extra: Vec<(Cow<'static, str>, Value)>,
}

/// Takes the values of one `new_span`, `record` or `event`.
pub(super) struct Visitor<'a> {
    shape: &'static Shape,
    keeps_content: bool,
    into: Into<'a>,
}

/// Where values go.
enum Into<'a> {
    /// Something that nobody else sees yet.
    Own(&'a mut Said),
    /// A span that others see: locked with the first value, and let go while user code runs.
    Shared {
        open: &'a OpenSpan,
        state: Option<MutexGuard<'a, State>>,
    },
}

impl<'a> Visitor<'a> {
    /// `keeps_content`: whether content and unknown fields are wanted.
    pub(super) fn own(shape: &'static Shape, keeps_content: bool, said: &'a mut Said) -> Self {
        Visitor {
            shape,
            keeps_content,
            into: Into::Own(said),
        }
    }

    /// Adds to what is known of an open span.
    pub(super) fn shared(open: &'a OpenSpan, keeps_content: bool) -> Self {
        Visitor {
            shape: open.origin.shape,
            keeps_content,
            into: Into::Shared { open, state: None },
        }
    }

    fn is_wanted(&self, field: &Field) -> bool {
        self.keeps_content || self.shape.is_plain(field)
    }

    /// Where a fact is noted; `None` where what was said before holds.
    fn notes(&mut self, fact: Fact) -> Option<&mut Notes> {
        match &mut self.into {
            Into::Own(said) => Some(&mut said.notes),
            Into::Shared { open, state } => {
                let state = state.get_or_insert_with(|| open.state());
                // Once the function has returned, these two are our own word to other layers.
                let is_echo = matches!(fact, Fact::OtelStatusCode | Fact::ErrorType)
                    && state.outcome.is_some();
                (!is_echo && state.ended.is_none()).then_some(&mut state.said.notes)
            }
        }
    }

    fn put(&mut self, field: &Field, value: Noted<'_>) {
        if !self.is_wanted(field) {
            return;
        }
        if let Some(fact) = self.shape.fact(field) {
            if let Some(notes) = self.notes(fact) {
                notes.note(fact, value);
            }
            return;
        }
        let name = Cow::Borrowed(field.name());
        let said = match &mut self.into {
            Into::Own(said) => said,
            Into::Shared { open, state } => {
                let state = state.get_or_insert_with(|| open.state());
                if state.ended.is_some() {
                    return;
                }
                &mut state.said
            }
        };
        said.put_extra(name, Value::from(value));
    }

    fn put_value(&mut self, field: &Field, value: &Value) {
        match value {
            Value::Int(int) => self.put(field, Noted::Int(*int)),
            other => self.put(field, Noted::Text(&other.to_text())),
        }
    }

    /// Before user code runs.
    fn let_go(&mut self) {
        if let Into::Shared { state, .. } = &mut self.into {
            *state = None;
        }
    }
}

impl Visit for Visitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if self.is_wanted(field) {
            self.let_go();
            let text = format!("{value:?}");
            let text = if self.shape.fact(field).is_some() {
                undebugged(text)
            } else {
                text
            };
            self.put(field, Noted::Text(&text));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, Noted::Text(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, Noted::Int(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put_value(field, &Value::from(value));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.put_value(field, &Value::from(value));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.put_value(field, &Value::from(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, Noted::Double(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, Noted::Bool(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        if self.is_wanted(field) {
            self.let_go();
            self.put(field, Noted::Text(&value.to_string()));
        }
    }
}

impl Said {
    pub(super) fn put_extra(&mut self, name: Cow<'static, str>, value: Value) {
        match self.extra.iter_mut().find(|(known, _)| *known == name) {
            Some(slot) => slot.1 = value,
            None => self.extra.push((name, value)),
        }
    }

    /// About how much memory the values take.
    pub(super) fn bytes(&self) -> usize {
        let extra = self.extra.iter().map(|(_, value)| match value {
            Value::Text(text) => text.len(),
            _ => 0,
        });
        self.notes.len() + extra.sum::<usize>()
    }

    pub(super) fn clear(&mut self) {
        self.notes.clear();
        self.extra.clear();
    }
}

/// A value in the type of its fact, whatever type the library recorded it with.
pub(crate) fn typed(fact: Fact, value: Value) -> Value {
    if fact.is_int() {
        return value.as_int().map_or(value, Value::Int);
    }
    if fact.is_double() {
        return value.as_double().map_or(value, Value::Double);
    }
    if fact.is_bool() {
        return value.as_bool().map_or(value, Value::Bool);
    }
    if fact.is_list() {
        return list(value);
    }
    value
}

/// Lists travel through `tracing` as JSON text, or as one word.
fn list(value: Value) -> Value {
    match &value {
        Value::Text(text) if text.trim_start().starts_with('[') => {
            serde_json::from_str::<Vec<String>>(text).map_or(value, Value::Texts)
        }
        Value::Text(text) => Value::Texts(vec![text.to_string()]),
        _ => value,
    }
}

/// The text inside a `Debug` form: `Some("gpt-4o")` and `"gpt-4o"` both say gpt-4o.
fn undebugged(text: String) -> String {
    let inner = text
        .strip_prefix("Some(")
        .and_then(|rest| rest.strip_suffix(')'))
        .unwrap_or(&text);
    if inner.len() >= 2 && inner.starts_with('"') && inner.ends_with('"') {
        // The escapes of `Debug` are JSON's, save for those of rare characters.
        if let Ok(plain) = serde_json::from_str::<String>(inner) {
            return plain;
        }
    }
    if inner.len() == text.len() {
        text
    } else {
        inner.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::{typed, undebugged};
    use crate::record::Value;
    use crate::semconv::Fact;

    #[test]
    fn values_take_the_type_of_their_fact() {
        assert_eq!(
            typed(Fact::InputTokens, Value::from("120")),
            Value::Int(120)
        );
        assert_eq!(typed(Fact::CostUsd, Value::from("0.5")), Value::Double(0.5));
        assert_eq!(typed(Fact::Stream, Value::from("true")), Value::Bool(true));
        assert_eq!(
            typed(Fact::FinishReasons, Value::from(r#"["stop","length"]"#)),
            Value::Texts(vec!["stop".into(), "length".into()])
        );
        assert_eq!(
            typed(Fact::FinishReasons, Value::from("stop")),
            Value::Texts(vec!["stop".into()])
        );
    }

    #[test]
    fn debug_forms_are_read_as_what_they_show() {
        for (debug, plain) in [
            ("\"gpt-4o\"", "gpt-4o"),
            ("Some(\"gpt-4o\")", "gpt-4o"),
            ("Some(5)", "5"),
            ("call_1", "call_1"),
            ("\"a \\\"b\\\"\"", "a \"b\""),
        ] {
            assert_eq!(undebugged(debug.to_owned()), plain);
        }
    }
}
