//! One piece of a message in the conventions' vocabulary: how long it is, and its JSON where content is captured.

use serde_json::{Map, Value, json};

use super::shape;

/// Longer inline media are replaced by a note: a picture would push the conversation out of what is kept of a value.
const MAX_BLOB_CHARS: usize = 4_096;

/// One piece of a message, in the vocabulary of the conventions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Part<'a> {
    Text(&'a str),
    Reasoning(&'a str),
    ToolCall {
        id: Option<&'a str>,
        name: &'a str,
        arguments: Option<&'a Value>,
    },
    ToolResponse {
        id: Option<&'a str>,
        response: Option<&'a Value>,
    },
    ServerToolCall {
        id: Option<&'a str>,
        name: &'a str,
        body: &'a Value,
    },
    ServerToolResponse {
        id: Option<&'a str>,
        body: &'a Value,
    },
    Media {
        modality: &'static str,
        mime: Option<&'a str>,
        source: Source<'a>,
    },
    Other(&'a Value),
}

/// Where the bytes of a picture, recording or document are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Source<'a> {
    Inline(&'a str),
    Uri(&'a str),
    File(&'a str),
}

impl Part<'_> {
    /// How many characters the model reads here; media count as none, their price is not by length.
    pub(super) fn chars(&self) -> i64 {
        match self {
            Part::Text(text) | Part::Reasoning(text) => length(text),
            Part::ToolCall {
                name, arguments, ..
            } => length(name) + arguments.map_or(0, chars),
            Part::ToolResponse { response, .. } => {
                let mut total = 0;
                shape::blocks(*response, &mut |part| total += part.chars());
                total
            }
            Part::ServerToolCall { body, .. }
            | Part::ServerToolResponse { body, .. }
            | Part::Other(body) => chars(body),
            Part::Media { .. } => 0,
        }
    }

    pub(super) fn to_json(self) -> Value {
        match self {
            Part::Text(text) => json!({"type": "text", "content": text}),
            Part::Reasoning(text) => json!({"type": "reasoning", "content": text}),
            Part::ToolCall {
                id,
                name,
                arguments,
            } => {
                let mut part = typed("tool_call", id);
                part.insert("name".into(), name.into());
                if let Some(arguments) = arguments {
                    part.insert("arguments".into(), unquoted(arguments));
                }
                Value::Object(part)
            }
            Part::ToolResponse { id, response } => {
                let mut part = typed("tool_call_response", id);
                part.insert(
                    "response".into(),
                    response.map_or(Value::Null, plain_response),
                );
                Value::Object(part)
            }
            Part::ServerToolCall { id, name, body } => {
                let mut part = typed("server_tool_call", id);
                part.insert("name".into(), name.into());
                part.insert("server_tool_call".into(), body.clone());
                Value::Object(part)
            }
            Part::ServerToolResponse { id, body } => {
                let mut part = typed("server_tool_call_response", id);
                part.insert("server_tool_call_response".into(), body.clone());
                Value::Object(part)
            }
            Part::Media {
                modality,
                mime,
                source,
            } => media_json(modality, mime, source),
            Part::Other(value) => generic(value),
        }
    }
}
/// A message as the conventions' schema wants it; `fill` hands over its parts.
pub(super) fn message_json<'a>(
    role: &str,
    name: Option<&str>,
    fill: impl FnOnce(&mut dyn FnMut(Part<'a>)),
) -> Value {
    let mut list = Vec::new();
    fill(&mut |part| list.push(part.to_json()));
    let mut message = Map::new();
    message.insert("role".into(), role.into());
    if let Some(name) = name {
        message.insert("name".into(), name.into());
    }
    message.insert("parts".into(), Value::Array(list));
    Value::Object(message)
}

/// How long a value is as compact JSON, roughly (escapes are not counted) and without writing it.
pub(super) fn chars(value: &Value) -> i64 {
    match value {
        Value::Null | Value::Bool(true) => 4,
        Value::Bool(false) => 5,
        Value::Number(number) => length(&number.to_string()),
        Value::String(text) => length(text),
        Value::Array(list) => 2 + list.iter().map(|value| 1 + chars(value)).sum::<i64>(),
        Value::Object(fields) => {
            2 + fields
                .iter()
                .map(|(key, value)| length(key) + 4 + chars(value))
                .sum::<i64>()
        }
    }
}

/// Characters, as the type that facts have.
pub(super) fn length(text: &str) -> i64 {
    i64::try_from(text.chars().count()).unwrap_or(i64::MAX)
}

fn media_json(modality: &str, mime: Option<&str>, source: Source<'_>) -> Value {
    let (kind, key, content, mime) = match source {
        Source::File(id) => ("file", "file_id", id, mime),
        // A data URL carries the bytes themselves.
        Source::Uri(uri) => match uri
            .strip_prefix("data:")
            .and_then(|rest| rest.split_once(";base64,"))
        {
            Some((mime, data)) => ("blob", "content", data, Some(mime)),
            None => ("uri", "uri", uri, mime),
        },
        Source::Inline(data) => ("blob", "content", data, mime),
    };
    let mut part = typed(kind, None);
    part.insert("modality".into(), modality.into());
    if content.len() > MAX_BLOB_CHARS {
        part.insert(key.into(), format!("[{} characters]", content.len()).into());
    } else {
        part.insert(key.into(), content.into());
    }
    if let Some(mime) = mime {
        part.insert("mime_type".into(), mime.into());
    }
    Value::Object(part)
}

/// A part of a kind the conventions do not know keeps its own shape; the schema asks only for a type.
fn generic(value: &Value) -> Value {
    match value {
        Value::Object(fields) if fields.get("type").is_some_and(Value::is_string) => value.clone(),
        Value::Object(fields) => {
            let mut part = fields.clone();
            part.insert("type".into(), "unknown".into());
            Value::Object(part)
        }
        _ => json!({"type": "unknown", "content": value}),
    }
}

fn typed(kind: &str, id: Option<&str>) -> Map<String, Value> {
    let mut part = Map::new();
    part.insert("type".into(), kind.into());
    if let Some(id) = id {
        part.insert("id".into(), id.into());
    }
    part
}

/// `OpenAI` sends arguments as JSON in a string; the conventions want the value itself.
fn unquoted(arguments: &Value) -> Value {
    let parsed = arguments
        .as_str()
        .and_then(|text| serde_json::from_str::<Value>(text).ok());
    parsed
        .filter(|value| value.is_object() || value.is_array())
        .unwrap_or_else(|| arguments.clone())
}

/// A tool's answer that is made of text blocks only is given as that text.
fn plain_response(response: &Value) -> Value {
    let Some(list) = response.as_array().filter(|list| !list.is_empty()) else {
        return response.clone();
    };
    let texts: Option<Vec<&str>> = list
        .iter()
        .map(|block| shape::text(block, "text"))
        .collect();
    texts.map_or_else(|| response.clone(), |texts| Value::String(texts.join("\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_blob_is_only_named() {
        let long = "A".repeat(10_000);
        let part = Part::Media {
            modality: "image",
            mime: None,
            source: Source::Inline(&long),
        };
        assert_eq!(part.to_json()["content"], "[10000 characters]");
        assert_eq!(part.chars(), 0);
    }

    #[test]
    fn length_counts_what_the_model_reads() {
        let arguments = json!({"at": "Paris"});
        let response = json!([{"type": "text", "text": "rainy"}, {"type": "image", "source": {"data": "AAAA"}}]);
        let cases = [
            (Part::Text("añb"), 3),
            (Part::Reasoning("hm"), 2),
            (
                Part::ToolCall {
                    id: None,
                    name: "w",
                    arguments: Some(&arguments),
                },
                1 + 13,
            ),
            (
                Part::ToolResponse {
                    id: Some("long id"),
                    response: Some(&response),
                },
                5,
            ),
        ];
        for (part, expected) in cases {
            assert_eq!(part.chars(), expected, "{part:?}");
        }
    }
}
