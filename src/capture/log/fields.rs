//! Reads the fields of an event that may leave, and formats no other.

use std::borrow::Cow;
use std::error::Error;
use std::fmt::Debug;

use tracing::Event;
use tracing::field::{Field, Visit};

use crate::policy::Policy;
use crate::record::Value;

/// The name of every event that comes from the `log` crate, and of the field that holds its true target.
pub(super) const LOG_EVENT: &str = "log event";
const LOG_TARGET: &str = "log.target";

/// What an event says.
pub(super) struct Fields<'p> {
    policy: &'p Policy,
    /// Whether the event comes from the program's own code.
    is_own: bool,
    /// Whether it comes from the `log` crate, whose places in the code are no fields.
    is_logged: bool,
    pub(super) message: Option<String>,
    /// Each name stands once.
    pub(super) others: Vec<(Cow<'static, str>, Value)>,
}

impl<'p> Fields<'p> {
    pub(super) fn new(policy: &'p Policy, is_own: bool, is_logged: bool) -> Self {
        Fields {
            policy,
            is_own,
            is_logged,
            message: None,
            others: Vec::new(),
        }
    }

    fn put(&mut self, field: &Field, value: impl FnOnce() -> Value) {
        let name = field.name();
        if name == "message" {
            if self.policy.may_log_message(self.is_own) {
                self.message = Some(value().to_text().into_owned());
            }
            return;
        }
        if (self.is_logged && name.starts_with("log.")) || !self.policy.may_log_field(name) {
            return;
        }
        let value = value();
        match self.others.iter_mut().find(|(known, _)| *known == name) {
            Some(slot) => slot.1 = value,
            None => self.others.push((Cow::Borrowed(name), value)),
        }
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, || Value::from(format!("{value:?}")));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.put(field, || Value::from(value.to_string()));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, || Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, || Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, || Value::from(value));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.put(field, || Value::from(value));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.put(field, || Value::from(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, || Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, || Value::from(value));
    }
}

/// The true target of an event that comes from the `log` crate; `None`: it does not.
pub(super) fn logged_target(event: &Event<'_>) -> Option<String> {
    struct Target(Option<String>);
    impl Visit for Target {
        fn record_str(&mut self, field: &Field, value: &str) {
            if field.name() == LOG_TARGET {
                self.0 = Some(value.to_owned());
            }
        }
        fn record_debug(&mut self, _: &Field, _: &dyn Debug) {}
    }

    if event.metadata().name() != LOG_EVENT {
        return None;
    }
    let mut target = Target(None);
    event.record(&mut target);
    target.0
}
