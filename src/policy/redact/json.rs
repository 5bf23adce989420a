//! Sees to it that JSON stays JSON: where a replaced text is none any more, each text in it is cleaned by itself.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::{Map, Value};

use super::mark;
use super::name::{self, Telling};
use super::value::is_placeholder;

/// Whether the text is JSON and what was made of it is not.
pub(super) fn is_broken(text: &str, clean: &str) -> bool {
    let is_json = |text: &str| serde_json::from_str::<IgnoredAny>(text).is_ok();
    text.trim_start().starts_with(['{', '[', '"']) && !is_json(clean) && is_json(text)
}

/// The JSON with each of its texts cleaned, and what stands under a telling name replaced.
pub(super) fn by_leaf(text: &str, clean: impl Fn(&str) -> Cow<'_, str>, key: &[u8; 16]) -> String {
    match serde_json::from_str(text) {
        Ok(value) => cleaned(value, false, &clean, key).to_string(),
        Err(_) => Value::from(super::UNAVAILABLE).to_string(),
    }
}

fn cleaned(
    value: Value,
    is_secret: bool,
    clean: &impl Fn(&str) -> Cow<'_, str>,
    key: &[u8; 16],
) -> Value {
    match value {
        Value::String(text) if is_secret && !is_placeholder(&text) => {
            Value::from(mark::of(key, mark::Kind::Secret, &text))
        }
        Value::Number(number) if is_secret => {
            Value::from(mark::of(key, mark::Kind::Secret, &number.to_string()))
        }
        Value::String(text) => Value::from(clean(&text).into_owned()),
        Value::Array(items) => items
            .into_iter()
            .map(|item| cleaned(item, is_secret, clean, key))
            .collect(),
        Value::Object(members) => {
            let mut kept = Map::new();
            for (member, value) in members {
                let is_secret = is_secret || name::telling(&member) == Telling::Secret;
                let value = cleaned(value, is_secret, clean, key);
                kept.insert(clean(&member).into_owned(), value);
            }
            Value::Object(kept)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::{by_leaf, is_broken};

    #[test]
    fn texts_are_cleaned_one_by_one() {
        let text = r#"{"password":"a b","n":[1,"x secret y"],"secret":5,"note":null}"#;
        let clean = by_leaf(
            text,
            |leaf| Cow::Owned(leaf.replace("secret", "…")),
            &[7; 16],
        );
        let clean: serde_json::Value = serde_json::from_str(&clean).unwrap();
        assert!(clean["password"].as_str().unwrap().starts_with("[secret:"));
        assert_eq!(clean["n"], serde_json::json!([1, "x … y"]));
        assert!(clean["…"].as_str().unwrap().starts_with("[secret:"));
        assert!(clean["note"].is_null());
    }

    #[test]
    fn what_was_no_json_is_not_broken() {
        assert!(is_broken(r#"{"a":"b"}"#, r#"{"a":"b}"#));
        assert!(!is_broken(r#"{"a":"b"}"#, r#"{"a":"c"}"#));
        assert!(!is_broken(r#"{"a":"b"#, r#"{"a":"#));
    }
}
