//! What of an event may leave as a log record: asked before a value is formatted, applied before it is sent.

use super::{Holds, PLAIN_CHARS, Policy, is_kept_of_event, left_of};
use crate::record::Value;
use crate::semconv::Sensitivity;

impl Policy {
    /// Whether a message may leave. That of the program's own crates is its author's words, and leaves
    /// redacted, as error texts do; libraries put whole request bodies into theirs.
    pub(crate) fn may_log_message(&self, is_own: bool) -> bool {
        is_own || self.exports_unknown()
    }

    /// Whether a field may leave: one that no table knows is content.
    pub(crate) fn may_log_field(&self, name: &str) -> bool {
        is_kept_of_event(name) || Holds::named(name).is_any(self.content.leaving)
    }

    /// A message as it leaves.
    pub(crate) fn logged_message(&self, message: &str) -> String {
        let chars = if self.exports_unknown() {
            self.extent.chars()
        } else {
            PLAIN_CHARS
        };
        self.text(message, chars, Sensitivity::Content)
    }

    /// A field's value as it leaves; `None`: it does not.
    pub(crate) fn logged_value(&self, name: &str, mut value: Value) -> Option<Value> {
        if !self.may_log_field(name) {
            return None;
        }
        if !is_kept_of_event(name) {
            value = left_of(value, Holds::named(name), self.content.leaving)?;
        }
        let sensitivity = if is_kept_of_event(name) {
            Sensitivity::Plain
        } else {
            Sensitivity::Content
        };
        self.clean_named(name, &mut value, sensitivity);
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Content, Placement};
    use crate::policy::{Extent, Policy, Rules};
    use crate::record::Value;

    fn policy(content: Content) -> Policy {
        Policy::new(content, Extent::default(), [7; 16], Rules::default())
    }

    #[test]
    fn what_no_table_knows_leaves_with_content_alone() {
        for content in [Content::Off, Content::Local] {
            let policy = policy(content);
            assert!(policy.may_log_message(true) && !policy.may_log_message(false));
            assert!(policy.may_log_field("http.route") && !policy.may_log_field("prompt"));
            assert_eq!(policy.logged_value("prompt", Value::from("hi")), None);
        }
        let on_event = Placement {
            on_span: false,
            on_event: true,
        };
        let policy = policy(Content::Exported(on_event));
        assert!(policy.may_log_message(false) && policy.may_log_field("prompt"));
    }

    #[test]
    fn a_secret_is_known_by_its_name_too() {
        let policy = policy(Content::Exported(Placement::ON_SPAN));
        let logged = policy.logged_value("db_password", Value::from("hunter2"));
        let logged = logged.unwrap();
        assert!(!logged.to_text().contains("hunter2"), "{logged:?}");
        assert_eq!(
            policy.logged_value("city", Value::from("Bern")),
            Some(Value::from("Bern"))
        );
    }

    #[test]
    fn what_a_call_said_leaves_as_a_log_record_without_what_stays() {
        use crate::config::{ContentCapture, ContentClass, ContentRules};
        use crate::record::{Facts, RunId, RunRecord, SpanId, SpanRecord, Status, TraceId};
        use crate::semconv::{Fact, Kind};
        let mut facts = Facts::default();
        let parts = r#"[{"type":"reasoning","content":"aside"},{"type":"text","content":"aloud"}]"#;
        let answer = format!(r#"[{{"role":"assistant","parts":{parts}}}]"#);
        facts.set(Fact::OutputMessages, Value::from(answer));
        let record = SpanRecord {
            trace_id: TraceId::generate(1),
            span_id: SpanId::generate(),
            is_sampled: true,
            parent_span_id: None,
            wire_parent_span_id: None,
            remote_parent_span_id: None,
            run: RunRecord {
                run_id: RunId::generate(1),
                is_root: false,
            },
            kind: Kind::Chat,
            given_name: None,
            start_ns: 1,
            end_ns: Some(2),
            status: Status::Ok,
            failure: None,
            facts,
            extra: Vec::new(),
            events: Vec::new(),
            links: Vec::new(),
            retries: None,
            withdrawn: false,
        };
        let exported = Content::Exported(Placement::ON_SPAN);
        let reasoning = |wish| {
            let rules = ContentRules::new(exported, &[(ContentClass::Reasoning, wish)]);
            let policy = Policy::new(rules, Extent::default(), [7; 16], Rules::default());
            let leaving = policy.leaving(&policy.keep(&record)).into_owned();
            let said = leaving.text(Fact::OutputMessages).unwrap().to_owned();
            (said.contains("aside"), said.contains("aloud"))
        };
        assert_eq!(reasoning(ContentCapture::On), (true, true));
        assert_eq!(reasoning(ContentCapture::Local), (false, true));
    }
}
