//! JSON written straight into a text: no tree of values is built on the way.

use std::fmt::Write as _;

use crate::record::Value;

/// Writes a value.
pub(crate) fn push_value(value: &Value, into: &mut String) {
    match value {
        Value::Bool(truth) => into.push_str(if *truth { "true" } else { "false" }),
        Value::Int(int) => push_int(*int, into),
        // The form for programmers keeps the point of a whole number: `1.0`.
        Value::Double(double) if double.is_finite() => {
            let _ = write!(into, "{double:?}");
        }
        // JSON knows no NaN; it becomes null.
        Value::Double(_) => into.push_str("null"),
        Value::Text(text) => push_text(text, into),
        Value::Texts(texts) => {
            into.push('[');
            for (index, text) in texts.iter().enumerate() {
                if index > 0 {
                    into.push(',');
                }
                push_text(text, into);
            }
            into.push(']');
        }
    }
}

/// Writes a whole number.
pub(crate) fn push_int(int: i64, into: &mut String) {
    let _ = write!(into, "{int}");
}

/// Writes a text with its quotes.
pub(crate) fn push_text(text: &str, into: &mut String) {
    into.push('"');
    let mut done = 0;
    for (index, byte) in text.bytes().enumerate() {
        // What is escaped is ASCII, so these are places between characters.
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        into.push_str(&text[done..index]);
        done = index + 1;
        match byte {
            b'"' => into.push_str("\\\""),
            b'\\' => into.push_str("\\\\"),
            b'\n' => into.push_str("\\n"),
            b'\r' => into.push_str("\\r"),
            b'\t' => into.push_str("\\t"),
            _ => {
                let _ = write!(into, "\\u{byte:04x}");
            }
        }
    }
    into.push_str(&text[done..]);
    into.push('"');
}

/// Writes pairs as the members of an object.
pub(crate) fn push_object<'a>(
    members: impl IntoIterator<Item = (&'a str, &'a Value)>,
    into: &mut String,
) {
    into.push('{');
    for (index, (name, value)) in members.into_iter().enumerate() {
        if index > 0 {
            into.push(',');
        }
        push_text(name, into);
        into.push(':');
        push_value(value, into);
    }
    into.push('}');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Value, push_object, push_value};

    fn written(value: &Value) -> String {
        let mut text = String::new();
        push_value(value, &mut text);
        text
    }

    #[test]
    fn a_number_keeps_its_kind() {
        assert_eq!(written(&Value::Int(-7)), "-7");
        assert_eq!(written(&Value::Double(1.0)), "1.0");
        assert_eq!(written(&Value::Double(1e300)), "1e300");
        assert_eq!(written(&Value::Double(f64::NAN)), "null");
        assert_eq!(written(&Value::Bool(true)), "true");
    }

    proptest! {
        #[test]
        fn what_is_written_is_what_serde_json_reads(text in "(?s).{0,40}", double in proptest::num::f64::NORMAL | proptest::num::f64::ZERO, int: i64) {
            let value = Value::Texts(vec![text.clone(), text.clone()]);
            let read: Vec<String> = serde_json::from_str(&written(&value)).unwrap();
            prop_assert_eq!(read, [text.as_str(), text.as_str()]);
            let written = written(&Value::Double(double));
            prop_assert!(serde_json::from_str::<f64>(&written).is_ok(), "{}", written);
            prop_assert_eq!(written.parse::<f64>().unwrap().to_bits(), double.to_bits());
            let (text, int) = (Value::from(text), Value::Int(int));
            let mut object = String::new();
            push_object([("a", &text), ("b", &int)], &mut object);
            let read: serde_json::Value = serde_json::from_str(&object).unwrap();
            prop_assert_eq!(read["a"].as_str(), text.as_str());
            prop_assert_eq!(read["b"].as_i64(), int.as_int());
        }
    }
}
