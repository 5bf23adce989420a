//! What may be kept and what may leave: asked before a value is formatted, applied before any sink.
//!
//! Two doors, one definition. Capture asks [`Policy::captures_content`] before it formats anything;
//! every sink sees only what [`Policy::keep`] or [`Policy::export`] made of a record. Redaction comes
//! before cutting, so that no half of a secret survives.

mod class;
mod extent;
mod familiar;
mod gate;
mod limit;
#[cfg(feature = "otlp-logs")]
mod log;
mod named;
mod redact;
mod shape;
mod withhold;

use std::borrow::Cow;
use std::sync::Mutex;

use class::Holds;
pub(crate) use extent::Extent;
use extent::{ERROR_CHARS, PLAIN_CHARS};
use familiar::Familiar;
pub use gate::{Decision, Reason};
pub(crate) use gate::{Gate, Permit};
pub(crate) use limit::cut;
pub(crate) use named::{clean_resource, without_secrets};
pub use redact::Redactor;
#[cfg(any(test, fuzzing))]
pub(crate) use redact::mark::halved_at;
pub(crate) use redact::{Custom, Rules};
pub(crate) use shape::cut as cut_value;
pub(crate) use withhold::withhold_content;
use withhold::{left_of, withhold};

use crate::config::{Classes, ContentClass, ContentRules, Placement};
use crate::record::{EventRecord, Facts, SpanRecord, Value};
use crate::semconv::{Fact, Sensitivity, exception, is_plain_of_event};

/// The rules in force, fixed when Hermes is built.
#[derive(Debug)]
pub(crate) struct Policy {
    content: ContentRules,
    extent: Extent,
    redactor: Redactor,
    familiar: Mutex<Familiar>,
}

impl Policy {
    /// `key` makes the same secret get the same mark; the rules are those beside the ones that always hold.
    pub(crate) fn new(
        content: impl Into<ContentRules>,
        extent: Extent,
        key: [u8; 16],
        rules: Rules,
    ) -> Self {
        Policy {
            content: content.into(),
            extent,
            redactor: Redactor::with_key(key, rules),
            familiar: Mutex::default(),
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
        self.clean_facts(&mut record.facts);
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
            let message = failure.message.take().filter(|_| self.extent.error_text);
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

    fn chars(&self, sensitivity: Sensitivity) -> usize {
        match sensitivity {
            Sensitivity::Plain => PLAIN_CHARS,
            Sensitivity::Content => self.extent.chars(),
        }
    }

    /// What may be kept of the text of a value; `None`: all of it. Most are short and clean.
    fn cleaned(&self, text: &str, sensitivity: Sensitivity) -> Option<String> {
        match shape::cut(self.redact(text, sensitivity), self.chars(sensitivity)) {
            Cow::Borrowed(_) => None,
            Cow::Owned(clean) => Some(clean),
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

    /// Most texts of a record are those of the records before it.
    fn clean_facts(&self, facts: &mut Facts) {
        // Who comes second, to clean for an exporter, does not wait.
        let Ok(mut familiar) = self.familiar.try_lock() else {
            for (fact, value) in facts.values_mut() {
                self.clean(value, fact.sensitivity());
            }
            return;
        };
        for (fact, value) in facts.values_mut() {
            let sensitivity = fact.sensitivity();
            let mut cleaned = |text: &str| {
                if familiar.knows(text, sensitivity) {
                    return None;
                }
                let clean = self.cleaned(text, sensitivity);
                if clean.is_none() {
                    familiar.remember(text, sensitivity);
                }
                clean
            };
            match value {
                Value::Text(text) => {
                    if let Some(clean) = cleaned(text) {
                        *text = Cow::Owned(clean);
                    }
                }
                Value::Texts(texts) if sensitivity == Sensitivity::Plain => {
                    for text in texts {
                        if let Some(clean) = cleaned(text) {
                            *text = clean;
                        }
                    }
                }
                value => self.clean(value, sensitivity),
            }
        }
    }

    fn clean(&self, value: &mut Value, sensitivity: Sensitivity) {
        match value {
            Value::Text(text) => {
                if let Some(clean) = self.cleaned(text, sensitivity) {
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
                let chars = self.chars(sensitivity);
                for (text, clean) in texts.iter_mut().zip(clean) {
                    *text = shape::cut(Cow::Owned(clean), chars).into_owned();
                }
            }
            Value::Bool(_) | Value::Int(_) | Value::Double(_) => {}
        }
    }
}

/// A word for people, of what came from outside: its secrets are told apart by nothing.
pub(crate) fn label(text: &str) -> String {
    let policy = Policy::new(
        ContentRules::default(),
        Extent::default(),
        [0; 16],
        Rules::default(),
    );
    policy.label(text)
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
    use super::{Extent, Policy, Rules};
    use crate::config::{Content, ContentCapture, ContentClass, ContentRules, Placement};
    use crate::record::Facts;
    use crate::record::Value;
    use crate::semconv::Fact;

    fn policy(content: Content) -> Policy {
        Policy::new(content, Extent::default(), [7; 16], Rules::default())
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
            Extent::default(),
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
        let policy = Policy::new(local, Extent::default(), [7; 16], Rules::default());
        let leaves = |name| policy.foreign_value(name, Value::from("a")).is_some();
        assert!(leaves("answer.of.nobody") && !leaves("gen_ai.output.messages"));
        assert!(!policy.exports_all_content() && policy.captures_content());
    }

    #[test]
    fn a_text_that_cannot_be_searched_is_not_kept() {
        let mut facts = Facts::default();
        facts.set(Fact::ToolResult, "a".repeat(256 * 1024 * 1024 + 1));
        policy(Content::Local).clean_facts(&mut facts);
        assert_eq!(
            facts.text(Fact::ToolResult),
            Some("[redaction-unavailable]")
        );
    }

    #[test]
    fn a_secret_is_found_however_often_it_comes() {
        let policy = policy(Content::Local);
        for _ in 0..3 {
            let mut facts = Facts::default();
            facts.set(Fact::RequestModel, "gpt-4o");
            facts.set(Fact::ToolResult, "password=hunter2-and-more");
            policy.clean_facts(&mut facts);
            let said = facts.text(Fact::ToolResult).unwrap();
            assert!(said.starts_with("password=[secret:"), "{said}");
            assert_eq!(facts.text(Fact::RequestModel), Some("gpt-4o"));
        }
    }
}
