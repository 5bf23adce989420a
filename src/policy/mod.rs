//! What may be kept and what may leave: asked before a value is formatted, applied before any sink.
//!
//! Two doors, one definition. Capture asks [`Policy::captures_content`] before it formats anything;
//! every sink sees only what [`Policy::keep`] or [`Policy::export`] made of a record. Redaction comes
//! before cutting, so that no half of a secret survives.

mod class;
mod gate;
mod limit;
#[cfg(feature = "otlp-logs")]
mod log;
mod named;
mod redact;
mod shape;

use std::borrow::Cow;

use class::Holds;
pub use gate::{Decision, Reason};
pub(crate) use gate::{Gate, Permit};
pub(crate) use limit::cut;
pub(crate) use named::{clean_resource, without_secrets};
pub use redact::Redactor;
#[cfg(any(test, fuzzing))]
pub(crate) use redact::mark::halved_at;
pub(crate) use redact::{Custom, Rules};
pub(crate) use shape::cut as cut_value;

use crate::config::{Classes, ContentClass, ContentRules, Placement};
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
    content: ContentRules,
    error_text: bool,
    redactor: Redactor,
}

impl Policy {
    /// `key` makes the same secret get the same mark; the rules are those beside the ones that always hold.
    pub(crate) fn new(
        content: impl Into<ContentRules>,
        error_text: bool,
        key: [u8; 16],
        rules: Rules,
    ) -> Self {
        Policy {
            content: content.into(),
            error_text,
            redactor: Redactor::with_key(key, rules),
        }
    }

    /// Whether content is captured at all.
    pub(crate) fn captures_content(&self) -> bool {
        self.content.kept != Classes::NONE
    }

    /// Whether anything of a fact is kept, where it is content.
    pub(crate) fn captures(&self, fact: Fact) -> bool {
        fact.sensitivity() == Sensitivity::Plain || Holds::of(fact).is_any(self.content.kept)
    }

    /// What may be kept of a fact that is JSON, before it becomes text.
    pub(crate) fn keeps_of(
        &self,
        fact: Fact,
        json: serde_json::Value,
    ) -> Option<serde_json::Value> {
        Holds::of(fact).left_of_json(json, self.content.kept)
    }

    /// Whether fields are kept that no table knows.
    pub(crate) fn captures_unknown(&self) -> bool {
        self.content.kept.has(ContentClass::Other)
    }

    /// Whether fields leave that no table knows.
    pub(crate) fn exports_unknown(&self) -> bool {
        self.content.leaving.has(ContentClass::Other)
    }

    /// Whether whatever content is kept may leave as well.
    pub(crate) fn exports_all_content(&self) -> bool {
        self.captures_content() && self.content.leaving == self.content.kept
    }

    /// Where content stands on exported spans.
    pub(crate) fn content_placement(&self) -> Placement {
        self.content.placement
    }

    /// The record as it may be kept on this machine.
    pub(crate) fn keep(&self, record: &SpanRecord) -> SpanRecord {
        let mut kept = record.clone();
        self.clean_in_place(&mut kept);
        kept
    }

    /// Makes of a record what may be kept on this machine.
    pub(crate) fn clean_in_place(&self, record: &mut SpanRecord) {
        withhold(record, self.content.kept);
        for (fact, value) in record.facts.values_mut() {
            self.clean(value, fact.sensitivity());
        }
        self.clean_attributes(&mut record.extra);
        for event in &mut record.events {
            self.clean_text(&mut event.name, ERROR_CHARS, Sensitivity::Content);
            self.clean_attributes(&mut event.attributes);
        }
        if let Some(name) = &mut record.given_name {
            self.clean_text(name, PLAIN_CHARS, Sensitivity::Plain);
        }
        if let Some(failure) = &mut record.failure {
            self.clean_text(&mut failure.error_type, PLAIN_CHARS, Sensitivity::Plain);
            let message = failure.message.take().filter(|_| self.error_text);
            failure.message =
                message.map(|message| self.text(&message, ERROR_CHARS, Sensitivity::Content));
        }
        if let Some(exception) = exception(record) {
            record.events.push(exception);
        }
    }

    /// The record as it may leave this machine.
    pub(crate) fn export(&self, record: &SpanRecord) -> SpanRecord {
        let mut kept = self.keep(record);
        withhold(&mut kept, self.content.leaving);
        kept
    }

    /// A record that is kept, without what must not leave.
    #[cfg(feature = "otlp-logs")]
    pub(crate) fn leaving<'r>(&self, kept: &'r SpanRecord) -> Cow<'r, SpanRecord> {
        if self.exports_all_content() {
            return Cow::Borrowed(kept);
        }
        let mut leaving = kept.clone();
        withhold(&mut leaving, self.content.leaving);
        Cow::Owned(leaving)
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
        if sensitivity == Sensitivity::Content {
            if !self.content_placement().on_span {
                return None;
            }
            value = left_of(value, Holds::named(key), self.content.leaving)?;
        }
        self.clean_named(key, &mut value, sensitivity);
        Some(value)
    }

    /// A status description or a name of another library's span.
    pub(crate) fn foreign_text(&self, text: &str) -> String {
        self.text(text, ERROR_CHARS, Sensitivity::Content)
    }

    /// A word that names something, as it may be kept.
    pub(crate) fn label(&self, text: &str) -> String {
        self.text(text, PLAIN_CHARS, Sensitivity::Plain)
    }

    /// A text that is no content, as long as it is.
    #[cfg(feature = "otlp")]
    pub(crate) fn without_secrets<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.redact(text, Sensitivity::Plain)
    }

    fn text(&self, text: &str, chars: usize, sensitivity: Sensitivity) -> String {
        cut(&self.redact(text, sensitivity), chars).into_owned()
    }

    /// What identifies people goes from their words alone: a session's id, which may be a UUID, leads from span to span.
    fn redact<'a>(&self, text: &'a str, sensitivity: Sensitivity) -> Cow<'a, str> {
        match sensitivity {
            Sensitivity::Content => self.redactor.redact(text),
            Sensitivity::Plain => self.redactor.redact_name(text),
        }
    }

    /// Most texts are short and clean: they stay where they are.
    fn clean_text(&self, text: &mut Cow<'static, str>, chars: usize, sensitivity: Sensitivity) {
        let clean = match self.redact(text, sensitivity) {
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
                let clean = shape::cut(self.redact(text, sensitivity), chars);
                if let Cow::Owned(clean) = clean {
                    *text = Cow::Owned(clean);
                }
            }
            Value::Texts(texts) => {
                // What was split over neighbours is seen as one.
                let pieces: Vec<&str> = texts.iter().map(String::as_str).collect();
                let clean = match sensitivity {
                    Sensitivity::Content => self.redactor.redact_pieces(&pieces),
                    Sensitivity::Plain => {
                        let names = pieces.iter().map(|name| self.redact(name, sensitivity));
                        names.map(Cow::into_owned).collect()
                    }
                };
                for (text, clean) in texts.iter_mut().zip(clean) {
                    *text = shape::cut(Cow::Owned(clean), chars).into_owned();
                }
            }
            Value::Bool(_) | Value::Int(_) | Value::Double(_) => {}
        }
    }
}

/// Takes out of a record what is content of other kinds than these.
fn withhold(record: &mut SpanRecord, allowed: Classes) {
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
fn left_of(value: Value, holds: Holds, allowed: Classes) -> Option<Value> {
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

/// A word for people, of what came from outside: its secrets are told apart by nothing.
pub(crate) fn label(text: &str) -> String {
    let policy = Policy::new(ContentRules::default(), false, [0; 16], Rules::default());
    policy.label(text)
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

/// Whether events of a record, as it may be kept, carry content.
#[cfg(feature = "sqlite")]
pub(crate) fn has_content_in_events(record: &SpanRecord) -> bool {
    let mut names = record.events.iter().flat_map(|event| &event.attributes);
    names.any(|(name, _)| !is_kept_of_event(name))
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
pub(crate) fn is_kept_of_event(name: &str) -> bool {
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
    use super::{Policy, Rules};
    use crate::config::{Content, ContentCapture, ContentClass, ContentRules, Placement};
    use crate::record::Value;

    fn policy(content: Content) -> Policy {
        Policy::new(content, true, [7; 16], Rules::default())
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

    #[test]
    fn foreign_values_leave_kind_by_kind() {
        let exported = Content::Exported(Placement::ON_SPAN);
        let without_reasoning = [(ContentClass::Reasoning, ContentCapture::Local)];
        let policy = Policy::new(
            ContentRules::new(exported, &without_reasoning),
            true,
            [7; 16],
            Rules::default(),
        );
        let answer = r#"[{"role":"assistant","parts":[{"type":"thinking","content":"a"},{"type":"text","content":"b"}]}]"#;
        for name in ["gen_ai.output.messages", "answer.of.nobody"] {
            let left = policy.foreign_value(name, Value::from(answer)).unwrap();
            let left = left.to_text().into_owned();
            assert!(
                !left.contains("thinking") && left.contains("\"b\""),
                "{left}"
            );
        }
        let local = ContentRules::new(Content::Local, &[(ContentClass::Other, ContentCapture::On)]);
        let policy = Policy::new(local, true, [7; 16], Rules::default());
        let leaves = |name| policy.foreign_value(name, Value::from("a")).is_some();
        assert!(leaves("answer.of.nobody") && !leaves("gen_ai.output.messages"));
        assert!(!policy.exports_all_content() && policy.captures_content());
    }
}
