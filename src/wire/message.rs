//! Messages in the conventions' JSON, and the flat form that OpenInference wants of them.

use std::borrow::Cow;

use serde_json::{Value as Json, json};

use crate::record::Value;

/// One text as a list of one message.
pub(crate) fn single(role: &str, text: &str) -> String {
    json!([{ "role": role, "parts": [{ "type": "text", "content": text }] }]).to_string()
}

/// A JSON object as it is; anything else under a key, for the conventions want an object.
pub(super) fn object(key: &str, text: &str) -> String {
    match serde_json::from_str::<Json>(text) {
        Ok(Json::Object(_)) => text.to_owned(),
        Ok(other) => json!({ key: other }).to_string(),
        Err(_) => json!({ key: text }).to_string(),
    }
}

/// Writes `{prefix}.{i}.message.role` and so on for each message of a JSON list.
pub(super) fn flatten(prefix: &str, messages: &str, into: &mut Vec<(Cow<'static, str>, Value)>) {
    let Ok(Json::Array(messages)) = serde_json::from_str::<Json>(messages) else {
        return;
    };
    for (index, message) in messages.iter().enumerate() {
        let at = format!("{prefix}.{index}.message");
        let mut put = |name: &str, value: String| {
            into.push((Cow::Owned(format!("{at}.{name}")), Value::from(value)));
        };
        if let Some(role) = message["role"].as_str() {
            put("role", role.to_owned());
        }
        let (mut texts, mut calls) = (Vec::new(), 0);
        for part in message["parts"].as_array().into_iter().flatten() {
            match part["type"].as_str() {
                Some("tool_call") => {
                    let call = format!("tool_calls.{calls}.tool_call");
                    calls += 1;
                    put(&format!("{call}.id"), plain(&part["id"]));
                    put(&format!("{call}.function.name"), plain(&part["name"]));
                    put(
                        &format!("{call}.function.arguments"),
                        plain(&part["arguments"]),
                    );
                }
                Some("tool_call_response") => {
                    put("tool_call_id", plain(&part["id"]));
                    let response = if part["response"].is_null() {
                        &part["result"]
                    } else {
                        &part["response"]
                    };
                    texts.push(plain(response));
                }
                _ => texts.extend(part["content"].as_str().map(str::to_owned)),
            }
        }
        if !texts.is_empty() {
            put("content", texts.join("\n"));
        }
    }
}

/// A string without its quotes, anything else as JSON; nothing for null.
fn plain(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::{flatten, object, single};

    #[test]
    fn a_text_becomes_one_message() {
        let message: serde_json::Value = serde_json::from_str(&single("user", "hi")).unwrap();
        assert_eq!(
            message,
            serde_json::json!([{"role": "user", "parts": [{"type": "text", "content": "hi"}]}])
        );
    }

    #[test]
    fn results_that_are_no_object_are_wrapped() {
        assert_eq!(object("result", r#"{"a":1}"#), r#"{"a":1}"#);
        assert_eq!(object("result", "[1]"), r#"{"result":[1]}"#);
        assert_eq!(object("result", "plain"), r#"{"result":"plain"}"#);
    }

    #[test]
    fn tool_calls_and_texts_are_flattened() {
        let mut flat = Vec::new();
        let messages = r#"[{"role":"assistant","parts":[{"type":"text","content":"let me see"},
            {"type":"tool_call","id":"c1","name":"add","arguments":{"a":1}}]}]"#;
        flatten("llm.output_messages", messages, &mut flat);
        let flat: Vec<_> = flat
            .iter()
            .map(|(name, value)| format!("{name}={}", value.to_text()))
            .collect();
        assert_eq!(
            flat,
            [
                "llm.output_messages.0.message.role=assistant",
                "llm.output_messages.0.message.tool_calls.0.tool_call.id=c1",
                "llm.output_messages.0.message.tool_calls.0.tool_call.function.name=add",
                "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments={\"a\":1}",
                "llm.output_messages.0.message.content=let me see",
            ]
        );
    }
}
