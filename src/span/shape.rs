//! Reads the messages of every provider's wire format as one stream of parts, for requests and responses alike.
//!
//! The formats name their blocks differently but never use one name for two things, so a single reader that goes by
//! the block's own name serves all of them. Nothing is copied while reading: counting is cheap enough to be done for
//! every call, and the JSON of a part is built only when content is captured.

use serde_json::Value;

use super::part::{Part, Source};

/// Hands every part of a message (or of a Responses item) to `each`, in the order the model saw or said them.
pub(super) fn parts<'a>(message: &'a Value, each: &mut dyn FnMut(Part<'a>)) {
    let Some(fields) = message.as_object() else {
        return block(message, each);
    };
    if text(message, "type").is_some_and(|kind| kind != "message") {
        return block(message, each);
    }
    if matches!(text(message, "role"), Some("tool" | "function")) && !fields.contains_key("parts") {
        let id = text(message, "tool_call_id")
            .or_else(|| text(message, "tool_name"))
            .or_else(|| text(message, "name"));
        return each(Part::ToolResponse {
            id,
            response: message.get("content"),
        });
    }
    spoken(message, each);
    blocks(message.get("parts"), each);
    if let Some(refusal) = text(message, "refusal") {
        said(refusal, Part::Text, each);
    }
    for image in array(message, "images").iter().filter_map(Value::as_str) {
        each(Part::Media {
            modality: "image",
            mime: None,
            source: Source::Inline(image),
        });
    }
    for call in array(message, "tool_calls") {
        block(call, each);
    }
    if let Some(call) = message.get("function_call").filter(|call| call.is_object()) {
        tool_call(None, call, "arguments", each);
    }
}

/// Hands over what a message thinks and says, without its refusal and its calls.
pub(super) fn spoken<'a>(message: &'a Value, each: &mut dyn FnMut(Part<'a>)) {
    // One of these at most is filled: DeepSeek and vLLM say the first, OpenRouter the second, Ollama the third, Cohere
    // the last.
    if let Some(thought) = ["reasoning_content", "reasoning", "thinking", "tool_plan"]
        .iter()
        .find_map(|key| text(message, key))
    {
        said(thought, Part::Reasoning, each);
    }
    blocks(message.get("content"), each);
    // What was spoken aloud is told in writing beside the recording.
    if let Some(transcript) = text(message, "audio.transcript") {
        said(transcript, Part::Text, each);
    }
}

/// The role in the conventions' words; Gemini calls the assistant `model`.
pub(super) fn role(message: &Value) -> &str {
    match text(message, "role") {
        Some("model") => "assistant",
        Some("function") => "tool",
        Some(role) => role,
        None => match text(message, "type") {
            Some("function_call_output" | "custom_tool_call_output") => "tool",
            Some(kind) if kind == "reasoning" || kind.ends_with("_call") => "assistant",
            _ => "user",
        },
    }
}

/// The parts of a `content`: a bare text, one block, or a list of blocks.
pub(super) fn blocks<'a>(content: Option<&'a Value>, each: &mut dyn FnMut(Part<'a>)) {
    match content {
        None | Some(Value::Null) => {}
        Some(Value::Array(list)) => list.iter().for_each(|value| block(value, each)),
        Some(one) => block(one, each),
    }
}

/// The value behind a dotted path.
pub(super) fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, key| value.get(key))
}

/// The text behind a dotted path.
pub(super) fn text<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    at(value, path)?.as_str()
}

/// The list under a key, empty when there is none.
pub(super) fn array<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    at(value, path)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// A whole number, also where it is written as a float.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the range is checked, and a count's fraction means nothing"
)]
pub(super) fn whole(value: &Value) -> Option<i64> {
    // Beyond 2^53 a float no longer holds every whole number, so such a value is not a count.
    const LIMIT: f64 = 9_007_199_254_740_992.0;
    value.as_i64().or_else(|| {
        value
            .as_f64()
            .filter(|number| !value.is_u64() && number.abs() < LIMIT)
            .map(|number| number as i64)
    })
}

fn block<'a>(value: &'a Value, each: &mut dyn FnMut(Part<'a>)) {
    if let Some(bare) = value.as_str() {
        return said(bare, Part::Text, each);
    }
    let id = || text(value, "call_id").or_else(|| text(value, "id"));
    match text(value, "type") {
        Some("text" | "input_text" | "output_text") => {
            said(text(value, "text").unwrap_or(""), Part::Text, each);
        }
        Some("refusal") => said(text(value, "refusal").unwrap_or(""), Part::Text, each),
        Some("thinking") => match value.get("thinking") {
            // Mistral's thoughts are blocks of text.
            Some(Value::Array(steps)) => steps
                .iter()
                .filter_map(|step| text(step, "text"))
                .for_each(|step| said(step, Part::Reasoning, each)),
            thought => {
                let thought = thought.and_then(Value::as_str);
                said(thought.unwrap_or(""), Part::Reasoning, each);
            }
        },
        Some("summary_text" | "reasoning_text") => {
            said(text(value, "text").unwrap_or(""), Part::Reasoning, each);
        }
        Some("reasoning") => array(value, "summary")
            .iter()
            .chain(array(value, "content"))
            .for_each(|step| block(step, each)),
        Some("message") => blocks(value.get("content"), each),
        Some("tool_use" | "custom_tool_call") => tool_call(id(), value, "input", each),
        Some("function_call") => tool_call(id(), value, "arguments", each),
        Some("custom") if value.get("custom").is_some() => {
            tool_call(id(), &value["custom"], "input", each);
        }
        Some("function") | None if value.get("function").is_some() => {
            tool_call(id(), &value["function"], "arguments", each);
        }
        Some("tool_result") => each(Part::ToolResponse {
            id: text(value, "tool_use_id"),
            response: value.get("content"),
        }),
        Some("function_call_output" | "custom_tool_call_output") => {
            each(Part::ToolResponse {
                id: id(),
                response: value.get("output"),
            });
        }
        Some("server_tool_use" | "mcp_tool_use") => {
            each(Part::ServerToolCall {
                id: id(),
                name: text(value, "name").unwrap_or(""),
                body: value,
            });
        }
        Some(kind) if kind.ends_with("_tool_result") => {
            each(Part::ServerToolResponse {
                id: text(value, "tool_use_id"),
                body: value,
            });
        }
        Some(kind) if kind.ends_with("_call") => {
            let name = text(value, "name").unwrap_or_else(|| kind.trim_end_matches("_call"));
            each(Part::ServerToolCall {
                id: id(),
                name,
                body: value,
            });
        }
        Some(kind) => each(media(kind, value).unwrap_or(Part::Other(value))),
        None => bare(value, each),
    }
}

/// The parts of Gemini and Bedrock have no type: the key says what they are.
fn bare<'a>(value: &'a Value, each: &mut dyn FnMut(Part<'a>)) {
    if let Some(call) = value.get("toolUse") {
        tool_call(text(call, "toolUseId"), call, "input", each);
    } else if let Some(answer) = value.get("toolResult") {
        each(Part::ToolResponse {
            id: text(answer, "toolUseId"),
            response: answer.get("content"),
        });
    } else if let Some(thought) = text(value, "reasoningContent.reasoningText.text") {
        said(thought, Part::Reasoning, each);
    } else {
        gemini(value, each);
    }
}

fn gemini<'a>(value: &'a Value, each: &mut dyn FnMut(Part<'a>)) {
    if let Some(spoken) = text(value, "text") {
        let thought = value.get("thought").and_then(Value::as_bool) == Some(true);
        said(
            spoken,
            if thought { Part::Reasoning } else { Part::Text },
            each,
        );
    } else if let Some(call) = value.get("functionCall") {
        tool_call(text(call, "id"), call, "args", each);
    } else if let Some(answer) = value.get("functionResponse") {
        let id = text(answer, "id").or_else(|| text(answer, "name"));
        each(Part::ToolResponse {
            id,
            response: answer.get("response"),
        });
    } else if let Some(data) = value.get("inlineData") {
        let mime = text(data, "mimeType");
        each(Part::Media {
            modality: modality(mime),
            mime,
            source: Source::Inline(text(data, "data").unwrap_or("")),
        });
    } else if let Some(data) = value.get("fileData") {
        let mime = text(data, "mimeType");
        each(Part::Media {
            modality: modality(mime),
            mime,
            source: Source::Uri(text(data, "fileUri").unwrap_or("")),
        });
    } else if let Some(list) = value.get("parts") {
        blocks(Some(list), each);
    } else if value.as_object().is_some_and(|fields| !fields.is_empty()) {
        each(Part::Other(value));
    }
}

/// Empty texts are left out: every streamed chunk carries some.
fn said<'a>(text: &'a str, part: fn(&'a str) -> Part<'a>, each: &mut dyn FnMut(Part<'a>)) {
    if !text.is_empty() {
        each(part(text));
    }
}

/// A call without a name is the continuation of one in a stream, which was counted at its beginning.
fn tool_call<'a>(
    id: Option<&'a str>,
    call: &'a Value,
    arguments: &str,
    each: &mut dyn FnMut(Part<'a>),
) {
    if let Some(name) = text(call, "name").filter(|name| !name.is_empty()) {
        each(Part::ToolCall {
            id,
            name,
            arguments: call.get(arguments),
        });
    }
}

fn media<'a>(kind: &str, value: &'a Value) -> Option<Part<'a>> {
    let (modality, mime, source) = match kind {
        "image_url" | "input_image" => {
            let source = text(value, "image_url")
                .or_else(|| text(value, "image_url.url"))
                .map(Source::Uri);
            (
                "image",
                None,
                source.or_else(|| text(value, "file_id").map(Source::File))?,
            )
        }
        "input_audio" => (
            "audio",
            text(value, "input_audio.format"),
            Source::Inline(text(value, "input_audio.data")?),
        ),
        "file" | "input_file" => {
            let file = value.get("file").unwrap_or(value);
            let source = text(file, "file_id")
                .map(Source::File)
                .or_else(|| text(file, "file_url").map(Source::Uri));
            (
                "document",
                None,
                source.or_else(|| text(file, "file_data").map(Source::Uri))?,
            )
        }
        "image" | "document" => {
            let source = value.get("source")?;
            let place = text(source, "url")
                .map(Source::Uri)
                .or_else(|| text(source, "file_id").map(Source::File));
            let modality = if kind == "image" { "image" } else { "document" };
            (
                modality,
                text(source, "media_type"),
                place.or_else(|| text(source, "data").map(Source::Inline))?,
            )
        }
        _ => return None,
    };
    Some(Part::Media {
        modality,
        mime,
        source,
    })
}

fn modality(mime: Option<&str>) -> &'static str {
    match mime.and_then(|mime| mime.split('/').next()) {
        Some("image") => "image",
        Some("audio") => "audio",
        Some("video") => "video",
        _ => "document",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(message: &Value) -> Vec<Value> {
        let mut list = Vec::new();
        parts(message, &mut |part| list.push(part.to_json()));
        list
    }

    #[test]
    fn every_block_has_its_part() {
        let cases = [
            (
                json!({"role": "user", "content": "hi"}),
                json!([{"type": "text", "content": "hi"}]),
            ),
            (json!("bare"), json!([{"type": "text", "content": "bare"}])),
            (
                json!({"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "https://x/y.png"}}]}),
                json!([{"type": "text", "content": "a"}, {"type": "uri", "modality": "image", "uri": "https://x/y.png"}]),
            ),
            (
                json!({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}),
                json!([{"type": "blob", "modality": "image", "content": "AAAA", "mime_type": "image/png"}]),
            ),
            (
                json!({"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}]}),
                json!([{"type": "tool_call", "id": "c1", "name": "f", "arguments": {"a": 1}}]),
            ),
            (
                json!({"role": "tool", "tool_call_id": "c1", "content": "rainy"}),
                json!([{"type": "tool_call_response", "id": "c1", "response": "rainy"}]),
            ),
            (
                json!({"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]}),
                json!([{"type": "tool_call_response", "id": "t1", "response": "a\nb"}]),
            ),
            (
                json!({"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "x"}, {"type": "tool_use", "id": "t", "name": "g", "input": {}}]}),
                json!([{"type": "reasoning", "content": "hm"}, {"type": "tool_call", "id": "t", "name": "g", "arguments": {}}]),
            ),
            (
                json!({"role": "model", "parts": [{"text": "so", "thought": true}, {"text": "yes"}, {"functionCall": {"name": "h", "args": {"x": 1}}}]}),
                json!([{"type": "reasoning", "content": "so"}, {"type": "text", "content": "yes"}, {"type": "tool_call", "name": "h", "arguments": {"x": 1}}]),
            ),
            (
                json!({"role": "user", "parts": [{"functionResponse": {"name": "h", "response": {"ok": true}}}, {"inlineData": {"mimeType": "audio/wav", "data": "QQ=="}}]}),
                json!([{"type": "tool_call_response", "id": "h", "response": {"ok": true}}, {"type": "blob", "modality": "audio", "content": "QQ==", "mime_type": "audio/wav"}]),
            ),
            (
                json!({"type": "web_search_call", "id": "ws", "status": "completed"}),
                json!([{"type": "server_tool_call", "id": "ws", "name": "web_search", "server_tool_call": {"type": "web_search_call", "id": "ws", "status": "completed"}}]),
            ),
            (
                json!({"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "first"}]}),
                json!([{"type": "reasoning", "content": "first"}]),
            ),
            (
                json!({"role": "user", "content": "look", "images": ["QUJD"]}),
                json!([{"type": "text", "content": "look"}, {"type": "blob", "modality": "image", "content": "QUJD"}]),
            ),
            (
                json!({"role": "user", "content": [{"type": "novelty", "x": 1}]}),
                json!([{"type": "novelty", "x": 1}]),
            ),
            (
                json!({"role": "user", "parts": [{"executableCode": {"code": "1"}}]}),
                json!([{"type": "unknown", "executableCode": {"code": "1"}}]),
            ),
        ];
        for (message, expected) in cases {
            assert_eq!(Value::Array(read(&message)), expected, "{message}");
        }
    }

    #[test]
    fn nonsense_is_read_as_little_or_nothing() {
        for message in [
            json!(null),
            json!(7),
            json!([]),
            json!({}),
            json!({"content": 7}),
            json!({"type": 5}),
            json!({"tool_calls": "x"}),
            json!({"content": [null, [], 3]}),
        ] {
            read(&message);
        }
        assert!(read(&json!({})).is_empty());
        assert!(
            read(&json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"a"}}]}))
                .is_empty(),
            "a continued call"
        );
    }

    #[test]
    fn whole_numbers() {
        let cases = [
            (json!(3), Some(3)),
            (json!(-3), Some(-3)),
            (json!(3.0), Some(3)),
            (json!(3.9), Some(3)),
            (json!(1e300), None),
            (json!(u64::MAX), None),
            (json!("3"), None),
            (json!(null), None),
        ];
        for (value, expected) in cases {
            assert_eq!(whole(&value), expected, "{value}");
        }
    }
}
