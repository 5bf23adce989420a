//! Five visit methods into one: the values of fields, each under its fact.
//!
//! Formatting runs user code, so it happens here, before any lock is taken. A value that may not be
//! kept is not formatted at all.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Debug;

use tracing::field::{Field, Visit};

use super::callsite::Shape;
use crate::record::Value;
use crate::semconv::{Fact, Sensitivity};

/// The values of one `new_span`, `record` or `event`.
#[derive(Debug)]
pub(crate) struct Visited<'a> {
    shape: &'a Shape,
    keeps_content: bool,
    pub(crate) facts: Vec<(Fact, Value)>,
    /// Fields that no table knows.
    pub(crate) extra: Vec<(Cow<'static, str>, Value)>,
}

impl<'a> Visited<'a> {
    /// `keeps_content`: whether content and unknown fields are wanted.
    pub(crate) fn new(shape: &'a Shape, keeps_content: bool) -> Self {
        Visited {
            shape,
            keeps_content,
            facts: Vec::new(),
            extra: Vec::new(),
        }
    }

    fn is_wanted(&self, field: &Field) -> bool {
        self.keeps_content
            || self
                .shape
                .fact(field)
                .is_some_and(|fact| fact.sensitivity() == Sensitivity::Plain)
    }

    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        if !self.is_wanted(field) {
            return;
        }
        match self.shape.fact(field) {
            Some(fact) => self.facts.push((fact, typed(fact, value.into()))),
            None => self.extra.push((Cow::Borrowed(field.name()), value.into())),
        }
    }
}

impl Visit for Visited<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if self.is_wanted(field) {
            let text = format!("{value:?}");
            let text = if self.shape.fact(field).is_some() {
                undebugged(text)
            } else {
                text
            };
            self.put(field, text);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.put(field, value);
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        if self.is_wanted(field) {
            self.put(field, value.to_string());
        }
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
