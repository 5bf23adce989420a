//! Five visit methods into one: the values of fields, each under its fact.
//!
//! Formatting runs user code, so no lock is held meanwhile. A value that may not be kept is not
//! formatted at all.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Debug;

use tracing::field::{Field, Visit};

use super::callsite::{Plain, Shape, Statement, is_echo};
use super::dialect::{Meaning, undebugged};
use super::keeps::Keeps;
use super::notes::Notes;
use super::open::OpenSpan;
use super::state::State;
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
    /// What most values need to be known of, at hand.
    plain: Plain,
    said: &'a mut Said,
    fields: Fields<'a>,
    /// Whether the function has returned: what comes now of its failure is an echo.
    hears_echo: bool,
    formatting: Formatting,
}

/// What is done with values whose formatting is user code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Formatting {
    Now,
    /// A lock is held: they are left to a second visit.
    Later,
    /// There were some.
    IsDue,
}

/// Takes only the values that are formatted, which a visitor under a lock leaves out: each is formatted
/// without a lock, and noted under one.
pub(super) struct Formatted<'a> {
    open: &'a OpenSpan,
    fields: Fields<'a>,
}

/// The fields of a callsite, and which of them are wanted.
#[derive(Clone, Copy)]
struct Fields<'a> {
    shape: &'static Shape,
    /// Which content and unknown fields are wanted.
    keeps: &'a Keeps,
}

/// What the value of a field is noted as.
#[derive(Clone, Copy)]
enum Wanted {
    Fact(Fact),
    /// What its library says in a way of its own.
    Meant(&'static Meaning),
    /// A field that no table knows, under its own name.
    Extra,
}

impl<'a> Visitor<'a> {
    /// Adds to what is said of something that nobody else sees at this time.
    #[inline]
    pub(super) fn own(shape: &'static Shape, keeps: &'a Keeps, said: &'a mut Said) -> Self {
        Visitor {
            plain: shape.plain(),
            said,
            fields: Fields { shape, keeps },
            hears_echo: false,
            formatting: Formatting::Now,
        }
    }

    /// Adds to what is known of an open span that is held under a lock. What takes user code is left
    /// to a second visit, after the lock.
    #[inline]
    pub(super) fn held(shape: &'static Shape, keeps: &'a Keeps, state: &'a mut State) -> Self {
        Visitor {
            plain: shape.plain(),
            hears_echo: state.outcome.is_some(),
            said: &mut state.said,
            fields: Fields { shape, keeps },
            formatting: Formatting::Later,
        }
    }

    /// Whether a second visit is needed, by [`Formatted`].
    #[inline]
    pub(super) fn needs_formatting(&self) -> bool {
        self.formatting == Formatting::IsDue
    }

    // One for each type: called last and with no more than they were given, they cost the way
    // that most values go not even a place on the stack.

    #[cold]
    #[inline(never)]
    fn other_int(&mut self, field: &Field, int: i64) {
        self.put(field, Value::Int(int));
    }

    #[cold]
    #[inline(never)]
    fn other_double(&mut self, field: &Field, double: f64) {
        self.put(field, Value::Double(double));
    }

    #[cold]
    #[inline(never)]
    fn other_bool(&mut self, field: &Field, truth: bool) {
        self.put(field, Value::Bool(truth));
    }

    /// A text is copied only where it is kept.
    #[cold]
    #[inline(never)]
    fn other_text(&mut self, field: &Field, text: &str) {
        match self.wanted(field) {
            Some(Wanted::Fact(fact)) => self.said.notes.text(fact, text),
            Some(wanted) => self.said.put(wanted, field, Value::from(text)),
            None => {}
        }
    }

    fn put(&mut self, field: &Field, value: Value) {
        if let Some(wanted) = self.wanted(field) {
            self.said.put(wanted, field, value);
        }
    }

    /// What a value is noted as; `None`: it is not wanted, or an echo.
    fn wanted(&self, field: &Field) -> Option<Wanted> {
        let wanted = self.fields.wanted(field)?;
        (!(self.hears_echo && wanted.is_echo())).then_some(wanted)
    }

    fn put_formatted(&mut self, field: &Field, format: impl FnOnce(&Fields<'_>) -> String) {
        if self.fields.wanted(field).is_none() {
            return;
        }
        if self.formatting == Formatting::Now {
            let text = format(&self.fields);
            self.put(field, Value::from(text));
        } else {
            self.formatting = Formatting::IsDue;
        }
    }
}

impl<'a> Formatted<'a> {
    /// `keeps`: which content and unknown fields are wanted.
    pub(super) fn of(open: &'a OpenSpan, keeps: &'a Keeps) -> Self {
        let shape = open.origin.shape;
        Formatted {
            open,
            fields: Fields { shape, keeps },
        }
    }

    fn put(&self, field: &Field, format: impl FnOnce() -> String) {
        let Some(wanted) = self.fields.wanted(field) else {
            return;
        };
        let value = Value::from(format());
        let mut state = self.open.state();
        let is_too_late = match wanted {
            Wanted::Fact(fact) => state.has_settled(fact),
            Wanted::Meant(_) | Wanted::Extra => state.is_over,
        };
        if !is_too_late {
            state.said.put(wanted, field, value);
        }
    }
}

impl Fields<'_> {
    fn wanted(&self, field: &Field) -> Option<Wanted> {
        match self.shape.statement(field) {
            Statement::Plain(fact) => Some(Wanted::Fact(fact)),
            Statement::Content(fact) => self.keeps.has(fact).then_some(Wanted::Fact(fact)),
            Statement::Dialect(number) => {
                let meaning = self.shape.meaning(number)?;
                let is_wanted = meaning.is_wanted(self.keeps);
                is_wanted.then_some(Wanted::Meant(meaning))
            }
            Statement::Unknown => self.keeps.has_unknown().then_some(Wanted::Extra),
        }
    }

    /// What `Debug` makes of a value, without what it adds to texts where the field is a known one.
    fn debugged(&self, field: &Field, value: &dyn Debug) -> String {
        let text = format!("{value:?}");
        match self.shape.statement(field) {
            Statement::Unknown => text,
            Statement::Plain(_) | Statement::Content(_) | Statement::Dialect(_) => undebugged(text),
        }
    }
}

impl Wanted {
    fn is_echo(self) -> bool {
        matches!(self, Wanted::Fact(fact) if is_echo(fact))
    }
}

impl Visit for Visitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put_formatted(field, |fields| fields.debugged(field, value));
    }

    #[inline]
    fn record_str(&mut self, field: &Field, value: &str) {
        match self.plain.fact(field) {
            Some(fact) => self.said.notes.text(fact, value),
            None => self.other_text(field, value),
        }
    }

    #[inline]
    fn record_i64(&mut self, field: &Field, value: i64) {
        match self.plain.fact(field) {
            Some(fact) => self.said.notes.int(fact, value),
            None => self.other_int(field, value),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, Value::from(value));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.put(field, Value::from(value));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.put(field, Value::from(value));
    }

    #[inline]
    fn record_f64(&mut self, field: &Field, value: f64) {
        match self.plain.fact(field) {
            Some(fact) => self.said.notes.double(fact, value),
            None => self.other_double(field, value),
        }
    }

    #[inline]
    fn record_bool(&mut self, field: &Field, value: bool) {
        match self.plain.fact(field) {
            Some(fact) => self.said.notes.bool(fact, value),
            None => self.other_bool(field, value),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.put_formatted(field, |_| value.to_string());
    }
}

impl Visit for Formatted<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, || self.fields.debugged(field, value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.put(field, || value.to_string());
    }

    fn record_str(&mut self, _: &Field, _: &str) {}
    fn record_i64(&mut self, _: &Field, _: i64) {}
    fn record_u64(&mut self, _: &Field, _: u64) {}
    fn record_i128(&mut self, _: &Field, _: i128) {}
    fn record_u128(&mut self, _: &Field, _: u128) {}
    fn record_f64(&mut self, _: &Field, _: f64) {}
    fn record_bool(&mut self, _: &Field, _: bool) {}
}

impl Said {
    fn put(&mut self, wanted: Wanted, field: &Field, value: Value) {
        match wanted {
            Wanted::Fact(fact) => self.notes.set(fact, value),
            Wanted::Meant(meaning) => meaning.note(value, &mut self.notes),
            Wanted::Extra => self.put_extra(Cow::Borrowed(field.name()), value),
        }
    }

    pub(super) fn put_extra(&mut self, name: Cow<'static, str>, value: Value) {
        match self.extra.iter_mut().find(|(known, _)| *known == name) {
            Some(slot) => slot.1 = value,
            None => self.extra.push((name, value)),
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

#[cfg(test)]
mod tests {
    use super::typed;
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
}
