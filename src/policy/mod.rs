//! What may be kept and what may leave: asked before a value is formatted, applied before any sink.
//!
//! Two doors, one definition. Capture asks [`Policy::captures_content`] before it formats anything;
//! every sink sees only what [`Policy::keep`] or [`Policy::export`] made of a record. Redaction comes
//! before cutting, so that no half of a secret survives.

mod gate;
mod limit;
#[cfg(feature = "otlp-logs")]
mod log;
mod patterns;
mod redact;
mod shape;

use std::borrow::Cow;

pub use gate::{Decision, Reason};
pub(crate) use gate::{Gate, Permit};
pub(crate) use limit::cut;
use redact::Redactor;

use crate::config::{Content, ContentRedaction, Placement};
use crate::record::{EventRecord, SpanRecord, Value};
use crate::semconv::{Fact, Sensitivity, exception, is_plain_of_event};

/// The longest value the store keeps, in characters (the contract's 64 KiB).
const KEPT_CHARS: usize = 64 * 1024;
/// The longest identifier, name or other plain value.
const PLAIN_CHARS: usize = 1024;
/// The longest error text, kept even with content off.
const ERROR_CHARS: usize = 500;

/// The rules in force, fixed when Hermes is built.
#[derive(Debug)]
pub(crate) struct Policy {
    content: Content,
    content_redaction: ContentRedaction,
    error_text: bool,
    redactor: Redactor,
}

impl Policy {
    /// `key` makes the same secret get the same token.
    pub(crate) fn new(content: Content, error_text: bool, key: [u8; 16]) -> Self {
        Policy {
            content,
            content_redaction: ContentRedaction::None,
            error_text,
            redactor: Redactor::new(key),
        }
    }

    /// What is taken out beside secrets.
    pub(crate) fn content_redaction(mut self, redaction: ContentRedaction) -> Self {
        self.content_redaction = redaction;
        self
    }

    /// Whether content is captured at all.
    pub(crate) fn captures_content(&self) -> bool {
        self.content != Content::Off
    }

    /// Where content stands on exported spans.
    pub(crate) fn content_placement(&self) -> Placement {
        match self.content {
            Content::Exported(placement) => placement,
            Content::Off | Content::Local => Placement::NOWHERE,
        }
    }

    /// The record as it may be kept on this machine.
    pub(crate) fn keep(&self, record: &SpanRecord) -> SpanRecord {
        let mut kept = record.clone();
        self.clean_in_place(&mut kept);
        kept
    }

    /// Makes of a record what may be kept on this machine.
    pub(crate) fn clean_in_place(&self, record: &mut SpanRecord) {
        if !self.captures_content() {
            withhold_content(record);
        }
        for (fact, value) in record.facts.values_mut() {
            self.clean(value, fact.sensitivity());
        }
        for (_, value) in &mut record.extra {
            self.clean(value, Sensitivity::Content);
        }
        for event in &mut record.events {
            self.clean_text(&mut event.name, ERROR_CHARS);
            for (_, value) in &mut event.attributes {
                self.clean(value, Sensitivity::Content);
            }
        }
        if let Some(name) = &mut record.given_name {
            self.clean_text(name, PLAIN_CHARS);
        }
        if let Some(failure) = &mut record.failure {
            self.clean_text(&mut failure.error_type, PLAIN_CHARS);
            let message = failure.message.take().filter(|_| self.error_text);
            failure.message = message.map(|message| self.text(&message, ERROR_CHARS));
        }
        if let Some(exception) = exception(record) {
            record.events.push(exception);
        }
    }

    /// The record as it may leave this machine.
    pub(crate) fn export(&self, record: &SpanRecord) -> SpanRecord {
        let mut kept = self.keep(record);
        if self.content_placement() == Placement::NOWHERE {
            withhold_content(&mut kept);
        }
        kept
    }

    /// The value of an attribute that another library put on its own span; `None`: not exported.
    ///
    /// A field that no table knows is content, save those of OpenTelemetry's stable namespaces.
    pub(crate) fn foreign_value(&self, key: &str, mut value: Value) -> Option<Value> {
        let sensitivity = match Fact::named(key) {
            Some(fact) => fact.sensitivity(),
            None if is_well_known(key) => Sensitivity::Plain,
            None => Sensitivity::Content,
        };
        if sensitivity == Sensitivity::Content && !self.content_placement().on_span {
            return None;
        }
        self.clean(&mut value, sensitivity);
        Some(value)
    }

    /// A status description or a name of another library's span.
    pub(crate) fn foreign_text(&self, text: &str) -> String {
        self.text(text, ERROR_CHARS)
    }

    /// A word that names something, as it may be kept.
    pub(crate) fn label(&self, text: &str) -> String {
        self.text(text, PLAIN_CHARS)
    }

    fn text(&self, text: &str, chars: usize) -> String {
        cut(&self.redactor.redact(text), chars).into_owned()
    }

    /// Most texts are short and clean: they stay where they are.
    fn clean_text(&self, text: &mut Cow<'static, str>, chars: usize) {
        let clean = match self.redactor.redact(text) {
            Cow::Borrowed(clean) => match cut(clean, chars) {
                Cow::Borrowed(_) => return,
                Cow::Owned(short) => short,
            },
            Cow::Owned(clean) => cut(&clean, chars).into_owned(),
        };
        *text = Cow::Owned(clean);
    }

    fn clean(&self, value: &mut Value, sensitivity: Sensitivity) {
        let chars = match sensitivity {
            Sensitivity::Plain => PLAIN_CHARS,
            Sensitivity::Content => KEPT_CHARS,
        };
        match value {
            // Most values are short and clean: they stay where they are.
            Value::Text(text) => {
                let clean = shape::cut(self.redactor.redact(text), chars);
                if let Cow::Owned(clean) = clean {
                    *text = Cow::Owned(clean);
                }
            }
            Value::Texts(texts) => {
                for text in texts {
                    if let Cow::Owned(clean) = shape::cut(self.redactor.redact(text), chars) {
                        *text = clean;
                    }
                }
            }
            Value::Bool(_) | Value::Int(_) | Value::Double(_) => {}
        }
    }
}

/// A word for people, of what came from outside: its secrets are told apart by nothing.
pub(crate) fn label(text: &str) -> String {
    Policy::new(Content::Off, false, [0; 16]).label(text)
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

/// The span event that carries the error of a failed span, from what is left of its text.
fn exception(record: &SpanRecord) -> Option<EventRecord> {
    let failure = record.failure.as_ref()?;
    let message = failure.message.clone()?;
    Some(EventRecord {
        name: Cow::Borrowed(exception::EVENT),
        time_ns: record.end_ns?,
        attributes: vec![
            (
                Cow::Borrowed(exception::TYPE),
                Value::Text(failure.error_type.clone()),
            ),
            (Cow::Borrowed(exception::MESSAGE), Value::from(message)),
        ],
    })
}

/// What an event tells without content: facts that tables know.
fn is_kept_of_event(name: &str) -> bool {
    is_well_known(name)
        || is_plain_of_event(name)
        || Fact::named(name).is_some_and(|fact| fact.sensitivity() == Sensitivity::Plain)
}

/// Whether a key belongs to a namespace whose values are protocol facts, not people's words.
fn is_well_known(key: &str) -> bool {
    const NAMES: [&str; 4] = ["level", "target", "busy_ns", "idle_ns"];
    const SPACES: [&str; 19] = [
        "client.",
        "cloud.",
        "code.",
        "container.",
        "db.",
        "error.",
        "exception.",
        "faas.",
        "host.",
        "http.",
        "k8s.",
        "messaging.",
        "net.",
        "network.",
        "otel.",
        "process.",
        "rpc.",
        "server.",
        "url.",
    ];
    const WORDS_OF_PEOPLE: [&str; 12] = [
        "db.query.text",
        "db.query.parameter",
        "db.operation.parameter",
        "db.statement",
        "http.request.body",
        "http.response.body",
        "http.request.header",
        "http.response.header",
        "process.command",
        "process.environment",
        "url.query",
        "exception.stacktrace",
    ];
    NAMES.contains(&key)
        || (SPACES.iter().any(|space| key.starts_with(space))
            && !WORDS_OF_PEOPLE.iter().any(|words| key.starts_with(words)))
}

#[cfg(test)]
mod tests {
    use super::Policy;
    use crate::config::{Content, Placement};
    use crate::record::Value;

    fn policy(content: Content) -> Policy {
        Policy::new(content, true, [7; 16])
    }

    #[test]
    fn unknown_fields_of_others_are_content() {
        let off = policy(Content::Off);
        assert_eq!(off.foreign_value("prompt_text", Value::from("hi")), None);
        assert_eq!(
            off.foreign_value("gen_ai.input.messages", Value::from("[]")),
            None
        );
        assert!(
            off.foreign_value("http.route", Value::from("/chat"))
                .is_some()
        );
        assert!(
            off.foreign_value("gen_ai.request.model", Value::from("gpt-4o"))
                .is_some()
        );
        assert_eq!(
            off.foreign_value("db.statement", Value::from("select 1")),
            None
        );
        let on = policy(Content::Exported(Placement::ON_SPAN));
        assert!(on.foreign_value("prompt_text", Value::from("hi")).is_some());
    }
}
