//! Redacts what stands under a name of somebody's choosing by that name as well: of `hunter2`, `db_password` alone tells.

use std::borrow::Cow;

use super::{Policy, Redactor};
use crate::record::Value;
use crate::semconv::Sensitivity;

impl Policy {
    /// Cleans a value that stands under a name.
    pub(super) fn clean_named(&self, name: &str, value: &mut Value, sensitivity: Sensitivity) {
        if Redactor::is_telling(name) {
            match value {
                Value::Text(text) => {
                    if let Cow::Owned(clean) = self.redactor.redact_under(name, text) {
                        *text = Cow::Owned(clean);
                    }
                }
                Value::Texts(texts) => {
                    for text in texts {
                        *text = self.redactor.redact_under(name, text).into_owned();
                    }
                }
                Value::Int(_) | Value::Double(_) => {
                    let number = value.to_text().into_owned();
                    if let Cow::Owned(clean) = self.redactor.redact_under(name, &number) {
                        *value = Value::from(clean);
                    }
                }
                Value::Bool(_) => {}
            }
        }
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

#[cfg(test)]
mod tests {
    use super::{Policy, Value};
    use crate::config::{Content, Placement};
    use crate::policy::{Extent, Rules};

    fn left(name: &str, value: Value) -> Value {
        let exported = Content::Exported(Placement::ON_SPAN);
        let policy = Policy::new(exported, Extent::default(), [7; 16], Rules::default());
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
}
