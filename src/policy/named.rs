//! Redacts what stands under a name of somebody's choosing by that name as well: of `hunter2`, `db_password` alone tells.

use std::borrow::Cow;

use super::{Policy, Redactor, Rules};
use crate::record::Value;
use crate::semconv::Sensitivity;

impl Policy {
    /// Cleans a value that stands under a name.
    pub(super) fn clean_named(&self, name: &str, value: &mut Value, sensitivity: Sensitivity) {
        redact_by_name(&self.redactor, name, value);
        self.clean(value, sensitivity);
    }

    /// Cleans the attributes of a span or an event that no table knows: their values, and their names where those were
    /// put together at run time.
    pub(super) fn clean_attributes(&self, attributes: &mut [(Cow<'static, str>, Value)]) {
        for (name, value) in attributes {
            self.clean_named(name, value, Sensitivity::Content);
            if let Cow::Owned(text) = name
                && let Cow::Owned(clean) = self.redactor.redact_name(text)
            {
                *name = Cow::Owned(clean);
            }
        }
    }
}

/// Takes secrets out of what is said of the process, values and names: this goes to every collector, with all that is
/// sent. They are told apart by nothing, for there is no store yet that has a key.
pub(crate) fn clean_resource(attributes: &mut [(String, Value)]) {
    let redactor = Redactor::with_key([0; 16], Rules::default());
    for (name, value) in attributes {
        redact_by_name(&redactor, name, value);
        match value {
            Value::Text(text) => {
                if let Cow::Owned(clean) = redactor.redact_name(text) {
                    *text = Cow::Owned(clean);
                }
            }
            Value::Texts(texts) => {
                for text in texts {
                    *text = redactor.redact_name(text).into_owned();
                }
            }
            Value::Bool(_) | Value::Int(_) | Value::Double(_) => {}
        }
        if let Cow::Owned(clean) = redactor.redact_name(name) {
            *name = clean;
        }
    }
}

/// A text with its secrets taken out, told apart by nothing: for what is said of a list, before it is split and its
/// words have lost the names beside them.
pub(crate) fn without_secrets(text: &str) -> String {
    let redactor = Redactor::with_key([0; 16], Rules::default());
    redactor.redact_name(text).into_owned()
}

/// Redacts what the name alone tells.
fn redact_by_name(redactor: &Redactor, name: &str, value: &mut Value) {
    if !Redactor::is_telling(name) {
        return;
    }
    match value {
        Value::Text(text) => {
            if let Cow::Owned(clean) = redactor.redact_under(name, text) {
                *text = Cow::Owned(clean);
            }
        }
        Value::Texts(texts) => {
            for text in texts {
                *text = redactor.redact_under(name, text).into_owned();
            }
        }
        Value::Int(_) | Value::Double(_) => {
            let number = value.to_text().into_owned();
            if let Cow::Owned(clean) = redactor.redact_under(name, &number) {
                *value = Value::from(clean);
            }
        }
        Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{Policy, Value, clean_resource};
    use crate::config::{Content, Placement};
    use crate::policy::Rules;

    fn left(name: &str, value: Value) -> Value {
        let exported = Content::Exported(Placement::ON_SPAN);
        let policy = Policy::new(exported, true, [7; 16], Rules::default());
        policy.foreign_value(name, value).unwrap()
    }

    #[test]
    fn a_telling_name_is_enough() {
        for name in ["db_password", "client.secret", "x-api-key", "db.password"] {
            for secret in ["hunter22", "two words!", "\"quoted\" 7x", "line\nbreak9"] {
                let clean = left(name, Value::from(secret));
                assert!(!clean.to_text().contains(secret), "{name}: {clean:?}");
            }
        }
        let number = left("password", Value::from(48_151_623_i64));
        assert!(number.to_text().starts_with("[secret:"), "{number:?}");
        let texts = left("passwords", Value::Texts(vec!["hunter22".to_owned()]));
        assert!(!texts.to_text().contains("hunter22"), "{texts:?}");
    }

    #[test]
    fn what_only_sounds_like_one_stays() {
        for (name, value) in [
            ("max_tokens", Value::from(512_i64)),
            ("password_file", Value::from("/run/pass.txt")),
            ("city", Value::from("Bern")),
            ("public_key", Value::from("abc")),
        ] {
            assert_eq!(left(name, value.clone()), value, "{name}");
        }
    }

    #[test]
    fn of_the_process_everything_is_told_but_secrets() {
        let key = format!("ghp_{}", "a1B2".repeat(9));
        let mut secrets = [
            ("note".to_owned(), Value::from(format!("by {key}"))),
            ("db.password".to_owned(), Value::from("hunter22")),
            (key.clone(), Value::from("x")),
            ("notes".to_owned(), Value::Texts(vec![key.clone()])),
        ];
        clean_resource(&mut secrets);
        let told = format!("{secrets:?}");
        assert!(!told.contains(&key) && !told.contains("hunter22"), "{told}");

        let long = "a word and another, ".repeat(200);
        let harmless = [
            ("service.name", "my-agent"),
            (
                "service.instance.id",
                "627cc493-f310-47de-96bd-71410b7dec09",
            ),
            ("host.id", "fdbf79e8af94cb7f9e8df36789187052"),
            ("host.arch", "amd64"),
            (
                "container.id",
                "a3bf90e006b2a3bf90e006b2a3bf90e006b2a3bf90e006b2a3bf90e006b2dead",
            ),
            ("k8s.pod.name", "agent-7d9f8b6c5d-x2x4q"),
            ("k8s.pod.uid", "275ecb36-5aa8-4c2a-9c47-d8bb681b9aff"),
            (
                "cloud.resource_id",
                "arn:aws:lambda:eu-west-1:123456789012:function:my-agent-function",
            ),
            ("telemetry.sdk.name", "opentelemetry"),
            ("deployment.environment.name", "production"),
            ("note", long.as_str()),
        ];
        for (name, value) in harmless {
            let mut attribute = [(name.to_owned(), Value::from(value.to_owned()))];
            clean_resource(&mut attribute);
            assert_eq!(attribute[0].1, Value::from(value.to_owned()), "{name}");
        }
    }
}
