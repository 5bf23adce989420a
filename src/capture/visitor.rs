//! Five visit methods into one: the values of fields, each under its fact.
//!
//! Formatting runs user code, so it happens here, before any lock is taken. A value that may not be
//! kept is not formatted at all.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Debug;
use std::sync::MutexGuard;

use tracing::field::{Field, Visit};

use super::callsite::{Shape, Statement};
use super::dialect::undebugged;
use super::keeps::Keeps;
use super::notes::Notes;
use super::open::{OpenSpan, State, is_echo};
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
    keeps: &'a Keeps,
    /// Whether the function has returned: what comes now of its failure is an echo.
    hears_echo: bool,
    formatting: Formatting,
    into: Into<'a>,
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

/// Takes only the values that are formatted, which a visitor under a lock leaves out.
pub(super) struct Formatted<'a>(pub(super) Visitor<'a>);

/// Where values go.
enum Into<'a> {
    /// What nobody else sees at this time.
    Own(&'a mut Said),
    /// A span that others see.
    Locked(&'a OpenSpan, MutexGuard<'a, State>),
    /// The same while user code runs.
    LetGo(&'a OpenSpan),
}

impl<'a> Visitor<'a> {
    /// `keeps`: which content and unknown fields are wanted.
    pub(super) fn own(shape: &'static Shape, keeps: &'a Keeps, said: &'a mut Said) -> Self {
        Visitor {
            shape,
            keeps,
            hears_echo: false,
            formatting: Formatting::Now,
            into: Into::Own(said),
        }
    }

    /// Adds to what is known of an open span that is held under a lock. What takes user code is left
    /// to a second visit, after the lock.
    #[inline]
    pub(super) fn held(shape: &'static Shape, keeps: &'a Keeps, state: &'a mut State) -> Self {
        Visitor {
            shape,
            keeps,
            hears_echo: state.outcome.is_some(),
            formatting: Formatting::Later,
            into: Into::Own(&mut state.said),
        }
    }

    /// Whether a second visit is needed, by [`Formatted`].
    #[inline]
    pub(super) fn needs_formatting(&self) -> bool {
        self.formatting == Formatting::IsDue
    }

    /// Adds to what is known of an open span, which is locked meanwhile, save while user code runs.
    pub(super) fn shared(open: &'a OpenSpan, keeps: &'a Keeps) -> Self {
        Visitor {
            shape: open.origin.shape,
            keeps,
            hears_echo: false,
            formatting: Formatting::Now,
            into: Into::Locked(open, open.state()),
        }
    }

    /// Where the fact of a field is noted, where that takes no more than a look at it: what most
    /// values are. `None`: look again, with [`Visitor::fact`].
    #[inline]
    fn at_once(&mut self, field: &Field) -> Option<(Fact, &mut Notes)> {
        let fact = self.wanted(field)?;
        match &mut self.into {
            Into::Own(said) => Some((fact, &mut said.notes)),
            Into::Locked(..) | Into::LetGo(_) => None,
        }
    }

    /// Where the fact of a field is noted. `None`: nowhere, or the field states none.
    fn fact(&mut self, field: &Field) -> Option<(Fact, &mut Notes)> {
        let fact = self.wanted(field)?;
        Some((fact, self.into.notes(fact)?))
    }

    /// The fact that a field states, where it is to be noted.
    #[inline]
    fn wanted(&self, field: &Field) -> Option<Fact> {
        let fact = match self.shape.statement(field) {
            Statement::Plain(fact) => fact,
            Statement::Content(fact) if self.keeps.has(fact) => fact,
            Statement::Content(_) | Statement::Dialect(_) | Statement::Unknown => return None,
        };
        (!(self.hears_echo && is_echo(fact))).then_some(fact)
    }

    /// A field that no table knows, or that its library means in a way of its own.
    #[cold]
    fn other(&mut self, field: &Field, value: Value) {
        let meaning = match self.shape.statement(field) {
            Statement::Dialect(number) => self.shape.meaning(number),
            Statement::Unknown => None,
            Statement::Plain(_) | Statement::Content(_) => return,
        };
        if !meaning.map_or(self.keeps.has_unknown(), |meaning| {
            meaning.is_wanted(self.keeps)
        }) {
            return;
        }
        let Some(said) = self.into.said() else { return };
        match meaning {
            Some(meaning) => meaning.note(value, &mut said.notes),
            None => said.put_extra(Cow::Borrowed(field.name()), value),
        }
    }

    // One for each type: called last and with no more than they were given, they cost the way
    // that most values go not even a place on the stack.

    #[cold]
    #[inline(never)]
    fn other_int(&mut self, field: &Field, int: i64) {
        self.put_value(field, Value::Int(int));
    }

    #[cold]
    #[inline(never)]
    fn other_double(&mut self, field: &Field, double: f64) {
        self.put_value(field, Value::Double(double));
    }

    #[cold]
    #[inline(never)]
    fn other_bool(&mut self, field: &Field, truth: bool) {
        self.put_value(field, Value::Bool(truth));
    }

    /// A text is copied only where it is kept.
    #[cold]
    #[inline(never)]
    fn other_text(&mut self, field: &Field, text: &str) {
        if let Some((fact, notes)) = self.fact(field) {
            notes.text(fact, text);
        } else if self.keeps.has_unknown()
            || matches!(self.shape.statement(field), Statement::Dialect(_))
        {
            self.other(field, Value::from(text));
        }
    }

    fn put_value(&mut self, field: &Field, value: Value) {
        match self.fact(field) {
            Some((fact, notes)) => notes.set(fact, value),
            None => self.other(field, value),
        }
    }

    /// Formatting is user code: nothing is locked while it runs, and it runs only where the text is
    /// kept.
    fn put_formatted(&mut self, field: &Field, format: impl FnOnce(Statement) -> String) {
        let statement = self.shape.statement(field);
        let is_wanted = match statement {
            Statement::Plain(_) => true,
            Statement::Content(fact) => self.keeps.has(fact),
            Statement::Unknown => self.keeps.has_unknown(),
            Statement::Dialect(number) => {
                let meaning = self.shape.meaning(number);
                meaning.is_some_and(|meaning| meaning.is_wanted(self.keeps))
            }
        };
        if is_wanted {
            if self.formatting != Formatting::Now {
                self.formatting = Formatting::IsDue;
                return;
            }
            self.into.let_go();
            let text = format(statement);
            self.put_value(field, Value::from(text));
        }
    }
}

impl Into<'_> {
    /// Where a fact of a span that others see is noted, unless it is too late for that.
    #[cold]
    fn notes(&mut self, fact: Fact) -> Option<&mut Notes> {
        self.lock_again();
        match self {
            Into::Own(said) => Some(&mut said.notes),
            Into::Locked(_, state) if !state.has_settled(fact) => Some(&mut state.said.notes),
            Into::Locked(..) | Into::LetGo(_) => None,
        }
    }

    #[cold]
    fn said(&mut self) -> Option<&mut Said> {
        self.lock_again();
        match self {
            Into::Own(said) => Some(said),
            Into::Locked(_, state) if !state.is_over => Some(&mut state.said),
            Into::Locked(..) | Into::LetGo(_) => None,
        }
    }

    /// Before user code runs.
    #[cold]
    fn let_go(&mut self) {
        if let Into::Locked(open, _) = *self {
            *self = Into::LetGo(open);
        }
    }

    /// After user code ran, if any did.
    fn lock_again(&mut self) {
        if let Into::LetGo(open) = *self {
            *self = Into::Locked(open, open.state());
        }
    }
}

impl Visit for Visitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put_formatted(field, |statement| {
            let text = format!("{value:?}");
            match statement {
                Statement::Unknown => text,
                Statement::Plain(_) | Statement::Content(_) | Statement::Dialect(_) => {
                    undebugged(text)
                }
            }
        });
    }

    #[inline]
    fn record_str(&mut self, field: &Field, value: &str) {
        match self.at_once(field) {
            Some((fact, notes)) => notes.text(fact, value),
            None => self.other_text(field, value),
        }
    }

    #[inline]
    fn record_i64(&mut self, field: &Field, value: i64) {
        match self.at_once(field) {
            Some((fact, notes)) => notes.int(fact, value),
            None => self.other_int(field, value),
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put_value(field, Value::from(value));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.put_value(field, Value::from(value));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.put_value(field, Value::from(value));
    }

    #[inline]
    fn record_f64(&mut self, field: &Field, value: f64) {
        match self.at_once(field) {
            Some((fact, notes)) => notes.double(fact, value),
            None => self.other_double(field, value),
        }
    }

    #[inline]
    fn record_bool(&mut self, field: &Field, value: bool) {
        match self.at_once(field) {
            Some((fact, notes)) => notes.bool(fact, value),
            None => self.other_bool(field, value),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.put_formatted(field, |_| value.to_string());
    }
}

impl Visit for Formatted<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.record_debug(field, value);
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.0.record_error(field, value);
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
