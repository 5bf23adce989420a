//! Reads what a model was asked: parameters, counts and messages, from the same wire formats as the responses.

use serde_json::{Map, Value, json};

use super::part::{self, Part};
use super::shape;
use crate::capture::Notes;
use crate::record::Value as Stated;
use crate::semconv::Fact;

/// What a request says about itself, without a word of its content.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct RequestFacts {
    pub(crate) model: Option<String>,
    pub(crate) message_count: Option<i64>,
    pub(crate) tool_count: Option<i64>,
    pub(crate) stream: Option<bool>,
    pub(crate) temperature: Option<f64>,
    pub(crate) top_p: Option<f64>,
    pub(crate) top_k: Option<i64>,
    pub(crate) max_tokens: Option<i64>,
    pub(crate) frequency_penalty: Option<f64>,
    pub(crate) presence_penalty: Option<f64>,
    pub(crate) seed: Option<i64>,
    pub(crate) stop_sequences: Vec<String>,
    /// Known only where it is not one.
    pub(crate) choice_count: Option<i64>,
    pub(crate) reasoning_level: Option<String>,
    pub(crate) output_type: Option<&'static str>,
    /// Everything the model reads: instructions, messages and tool definitions.
    pub(crate) approx_input_chars: Option<i64>,
    pub(crate) previous_response_id: Option<String>,
    /// Of an embedding.
    pub(crate) dimensions: Option<i64>,
    /// How many documents a reranker is to give back.
    pub(crate) most_documents: Option<i64>,
}

impl RequestFacts {
    /// States what the request says; what was stated already stands.
    pub(crate) fn state(self, facts: &mut Notes) {
        let mut state = |fact, value: Option<Stated>| {
            if let Some(value) = value {
                facts.set_default(fact, value);
            }
        };
        state(Fact::RequestModel, self.model.map(Stated::from));
        state(Fact::MessageCount, self.message_count.map(Stated::from));
        state(Fact::ToolCount, self.tool_count.map(Stated::from));
        // Four characters a token: the usual rule of thumb, good to a third or so.
        state(
            Fact::ApproxInputTokens,
            self.approx_input_chars.map(|chars| Stated::from(chars / 4)),
        );
        state(
            Fact::Stream,
            self.stream.filter(|stream| *stream).map(Stated::from),
        );
        state(Fact::Temperature, self.temperature.map(Stated::from));
        state(Fact::TopP, self.top_p.map(Stated::from));
        state(Fact::RequestTopK, self.top_k.map(Stated::from));
        state(Fact::MaxTokens, self.max_tokens.map(Stated::from));
        state(
            Fact::FrequencyPenalty,
            self.frequency_penalty.map(Stated::from),
        );
        state(
            Fact::PresencePenalty,
            self.presence_penalty.map(Stated::from),
        );
        state(Fact::Seed, self.seed.map(Stated::from));
        let has_stops = !self.stop_sequences.is_empty();
        state(
            Fact::StopSequences,
            has_stops.then(|| Stated::from(self.stop_sequences)),
        );
        state(Fact::ChoiceCount, self.choice_count.map(Stated::from));
        state(Fact::ReasoningLevel, self.reasoning_level.map(Stated::from));
        state(Fact::OutputType, self.output_type.map(Stated::from));
        state(
            Fact::PreviousResponseId,
            self.previous_response_id.map(Stated::from),
        );
        state(Fact::EmbeddingDimensions, self.dimensions.map(Stated::from));
        state(Fact::TopK, self.most_documents.map(Stated::from));
    }
}

/// Reads the facts of a request; what it does not say stays `None`.
pub(crate) fn read(request: &Value) -> RequestFacts {
    let named = find(request, &["model"], |value| {
        value.as_str().map(str::to_owned)
    });
    let request = inner(request);
    let number =
        |paths: &[&str]| find(request, paths, Value::as_f64).filter(|number| number.is_finite());
    let whole = |paths: &[&str]| find(request, paths, shape::whole);
    let words = |paths: &[&str]| find(request, paths, |value| value.as_str().map(str::to_owned));
    let messages = sent(request);
    RequestFacts {
        // Gemini's resource name and its model id are the same thing in two spellings.
        model: named.or_else(|| words(&["model"])).map(|model| {
            model
                .strip_prefix("models/")
                .map(str::to_owned)
                .unwrap_or(model)
        }),
        message_count: messages.as_ref().map(|list| count(list.len())),
        tool_count: tool_count(request),
        stream: find(request, &["stream"], Value::as_bool),
        temperature: number(&[
            "temperature",
            "generationConfig.temperature",
            "options.temperature",
            "inferenceConfig.temperature",
        ]),
        top_p: number(&TOP_P),
        top_k: whole(&["top_k", "generationConfig.topK", "options.top_k", "k"]),
        max_tokens: whole(&MAX_TOKENS).filter(|most| *most >= 0),
        frequency_penalty: number(&[
            "frequency_penalty",
            "generationConfig.frequencyPenalty",
            "options.frequency_penalty",
        ]),
        presence_penalty: number(&[
            "presence_penalty",
            "generationConfig.presencePenalty",
            "options.presence_penalty",
        ]),
        seed: whole(&[
            "seed",
            "generationConfig.seed",
            "options.seed",
            "random_seed",
        ]),
        stop_sequences: stop_sequences(request),
        choice_count: whole(&["n", "generationConfig.candidateCount"])
            .filter(|choices| *choices > 1),
        reasoning_level: words(&REASONING),
        output_type: output_type(request),
        approx_input_chars: messages.map(|list| input_chars(request, &list)),
        previous_response_id: words(&["previous_response_id"]),
        dimensions: whole(&["dimensions", "outputDimensionality", "output_dimension"]),
        most_documents: whole(&["top_n"]),
    }
}

/// The messages sent, in the shape of the conventions' input messages.
pub(crate) fn messages(request: &Value) -> Option<Value> {
    let list = sent(inner(request))?;
    let said = |message: &&Value| {
        let role = shape::role(message);
        // On a tool's message the name is the tool's, not a speaker's.
        let name =
            shape::text(message, "name").filter(|_| !message_is_call(message) && role != "tool");
        part::message_json(role, name, |each| shape::parts(message, each))
    };
    Some(Value::Array(list.iter().map(said).collect()))
}

/// The instructions that the API takes apart from the messages, as a list of parts.
pub(crate) fn system_instructions(request: &Value) -> Option<Value> {
    let mut parts = Vec::new();
    shape::blocks(system(inner(request)), &mut |part| {
        parts.push(part.to_json());
    });
    (!parts.is_empty()).then_some(Value::Array(parts))
}

/// The tools offered to the model: type, name, description and parameters.
pub(crate) fn tool_definitions(request: &Value) -> Option<Value> {
    let mut list = Vec::new();
    for tool in tools(inner(request)) {
        let declared = shape::array(tool, "functionDeclarations");
        list.extend(
            declared
                .iter()
                .map(|function| definition("function", function)),
        );
        if !declared.is_empty() {
            continue;
        }
        let kind = shape::text(tool, "type")
            .filter(|kind| *kind != "custom" || tool.get("input_schema").is_none());
        let function = tool.get("function").or_else(|| tool.get("toolSpec"));
        match function.filter(|function| function.is_object()) {
            Some(function) => list.push(definition("function", function)),
            None if tool.get("name").is_some() => {
                list.push(definition(kind.unwrap_or("function"), tool));
            }
            None => list.extend(built_in(kind, tool)),
        }
    }
    (!list.is_empty()).then_some(Value::Array(list))
}

/// What a reranker is asked, and what for.
pub(crate) fn query(request: &Value) -> Option<&str> {
    shape::text(request, "query")
}

const TOP_P: [&str; 5] = [
    "top_p",
    "generationConfig.topP",
    "options.top_p",
    "inferenceConfig.topP",
    "p",
];
const MAX_TOKENS: [&str; 6] = [
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens",
    "generationConfig.maxOutputTokens",
    "options.num_predict",
    "inferenceConfig.maxTokens",
];
const REASONING: [&str; 5] = [
    "reasoning_effort",
    "reasoning.effort",
    "output_config.effort",
    "generationConfig.thinkingConfig.thinkingLevel",
    "think",
];

/// The request itself, out of the one that encloses it where Gemini is called for an account.
fn inner(request: &Value) -> &Value {
    let inner = request.get("request");
    inner
        .filter(|inner| inner.get("contents").is_some())
        .unwrap_or(request)
}

/// The messages of the request, whatever its API calls them.
fn sent(request: &Value) -> Option<Vec<&Value>> {
    let list = ["messages", "input", "contents", "prompt", "message"]
        .iter()
        .find_map(|key| request.get(key))?;
    match list {
        Value::Array(list) => Some(list.iter().collect()),
        Value::String(_) | Value::Object(_) => Some(vec![list]),
        _ => None,
    }
}

/// Responses items that are calls carry the tool's name where a message carries the speaker's.
fn message_is_call(message: &Value) -> bool {
    shape::text(message, "type").is_some_and(|kind| kind != "message")
}

fn system(request: &Value) -> Option<&Value> {
    [
        "system",
        "instructions",
        "systemInstruction",
        "system_instruction",
    ]
    .iter()
    .find_map(|key| request.get(key))
}

fn tools(request: &Value) -> impl Iterator<Item = &Value> {
    shape::array(request, "tools")
        .iter()
        .chain(shape::array(request, "functions"))
        .chain(shape::array(request, "toolConfig.tools"))
}

fn tool_count(request: &Value) -> Option<i64> {
    ["tools", "functions", "toolConfig.tools"]
        .iter()
        .find_map(|path| shape::at(request, path))
        .filter(|tools| tools.is_array())?;
    let functions = |tool: &Value| count(shape::array(tool, "functionDeclarations").len()).max(1);
    Some(tools(request).map(functions).sum())
}

fn definition(kind: &str, function: &Value) -> Value {
    let mut definition = Map::new();
    definition.insert("type".into(), kind.into());
    let first = |keys: &[&str]| {
        keys.iter()
            .find_map(|key| shape::at(function, key))
            .filter(|value| !value.is_null())
            .cloned()
    };
    for (key, keys) in [
        ("name", &["name"][..]),
        ("description", &["description"]),
        (
            "parameters",
            &[
                "parameters",
                "input_schema",
                "parametersJsonSchema",
                "inputSchema.json",
            ],
        ),
    ] {
        if let Some(value) = first(keys) {
            definition.insert(key.into(), value);
        }
    }
    Value::Object(definition)
}

/// A tool of the provider's own has no name but its type (`OpenAI`) or its only key (Gemini's `googleSearch`).
fn built_in(kind: Option<&str>, tool: &Value) -> Option<Value> {
    let kind = kind.or_else(|| tool.as_object()?.keys().next().map(String::as_str))?;
    Some(json!({"type": kind, "name": kind}))
}

fn stop_sequences(request: &Value) -> Vec<String> {
    let paths = [
        "stop",
        "stop_sequences",
        "generationConfig.stopSequences",
        "options.stop",
        "inferenceConfig.stopSequences",
    ];
    match paths
        .iter()
        .find_map(|path| shape::at(request, path).filter(|stop| !stop.is_null()))
    {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

fn output_type(request: &Value) -> Option<&'static str> {
    let asked = [
        "response_format.type",
        "text.format.type",
        "output_config.format.type",
        "output_format.type",
        "format",
    ];
    let asked = asked.iter().find_map(|path| shape::text(request, path));
    match asked.or_else(|| shape::text(request, "generationConfig.responseMimeType")) {
        Some("json_object" | "json_schema" | "json" | "application/json") => return Some("json"),
        Some("text" | "text/plain") => return Some("text"),
        _ => {}
    }
    // Ollama takes the schema itself.
    if request.get("format").is_some_and(Value::is_object) {
        return Some("json");
    }
    let modality = |name: &str| {
        let list = shape::array(request, "generationConfig.responseModalities");
        list.iter()
            .filter_map(Value::as_str)
            .any(|asked| asked.eq_ignore_ascii_case(name))
    };
    [("image", "image"), ("audio", "speech")]
        .iter()
        .find(|(name, _)| modality(name))
        .map(|(_, kind)| *kind)
}

fn input_chars(request: &Value, messages: &[&Value]) -> i64 {
    let mut total = tools(request).map(part::chars).sum::<i64>();
    let mut add = |part: Part<'_>| total += part.chars();
    shape::blocks(system(request), &mut add);
    for message in messages {
        shape::parts(message, &mut add);
    }
    total
}

/// The first of these paths whose value is of the wanted kind.
fn find<T>(request: &Value, paths: &[&str], read: impl Fn(&Value) -> Option<T>) -> Option<T> {
    paths
        .iter()
        .find_map(|path| shape::at(request, path).and_then(&read))
}

fn count(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat() -> Value {
        json!({
            "model": "gpt-4o", "stream": true, "temperature": 0.2, "top_p": 1, "max_completion_tokens": 256, "n": 3,
            "frequency_penalty": 0.1, "presence_penalty": -0.5, "seed": 7, "stop": ["END", "\n\n"],
            "reasoning_effort": "high", "response_format": {"type": "json_schema", "json_schema": {"name": "x"}},
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "name": "ann", "content": "Weather?"},
                {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "w", "arguments": "{\"at\":\"Paris\"}"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "rainy"}],
            "tools": [{"type": "function", "function": {"name": "w", "description": "Weather", "parameters": {"type": "object"}}}]
        })
    }

    #[test]
    fn chat_completions() {
        let expected = RequestFacts {
            model: Some("gpt-4o".into()),
            message_count: Some(4),
            tool_count: Some(1),
            stream: Some(true),
            temperature: Some(0.2),
            top_p: Some(1.0),
            top_k: None,
            max_tokens: Some(256),
            frequency_penalty: Some(0.1),
            presence_penalty: Some(-0.5),
            seed: Some(7),
            stop_sequences: vec!["END".into(), "\n\n".into()],
            choice_count: Some(3),
            reasoning_level: Some("high".into()),
            output_type: Some("json"),
            approx_input_chars: Some(9 + 8 + 15 + 5 + part::chars(&chat()["tools"][0])),
            previous_response_id: None,
            dimensions: None,
            most_documents: None,
        };
        assert_eq!(read(&chat()), expected);
        assert_eq!(
            messages(&chat()),
            Some(json!([
                {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
                {"role": "user", "name": "ann", "parts": [{"type": "text", "content": "Weather?"}]},
                {"role": "assistant", "parts": [{"type": "tool_call", "id": "c1", "name": "w", "arguments": {"at": "Paris"}}]},
                {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "rainy"}]}
            ]))
        );
        assert_eq!(system_instructions(&chat()), None);
        assert_eq!(
            tool_definitions(&chat()),
            Some(
                json!([{"type": "function", "name": "w", "description": "Weather", "parameters": {"type": "object"}}])
            )
        );
    }

    #[test]
    fn responses() {
        let request = json!({
            "model": "o4-mini", "instructions": "Be kind.", "previous_response_id": "resp_1", "max_output_tokens": 64,
            "reasoning": {"effort": "low"}, "text": {"format": {"type": "json_object"}},
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": "3"}],
            "tools": [{"type": "function", "name": "f", "parameters": {}}, {"type": "web_search_preview"}]
        });
        let facts = read(&request);
        assert_eq!(
            (facts.message_count, facts.tool_count, facts.max_tokens),
            (Some(3), Some(2), Some(64))
        );
        assert_eq!(
            (facts.reasoning_level.as_deref(), facts.output_type),
            (Some("low"), Some("json"))
        );
        assert_eq!(facts.previous_response_id.as_deref(), Some("resp_1"));
        assert_eq!(
            system_instructions(&request),
            Some(json!([{"type": "text", "content": "Be kind."}]))
        );
        assert_eq!(
            messages(&request),
            Some(json!([
                {"role": "user", "parts": [{"type": "text", "content": "hi"}]},
                {"role": "assistant", "parts": [{"type": "tool_call", "id": "c", "name": "f", "arguments": {}}]},
                {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c", "response": "3"}]}
            ]))
        );
        assert_eq!(
            tool_definitions(&request),
            Some(
                json!([{"type": "function", "name": "f", "parameters": {}}, {"type": "web_search_preview", "name": "web_search_preview"}])
            )
        );
        let plain = json!({"model": "gpt-4o", "input": "hello"});
        assert_eq!(read(&plain).message_count, Some(1));
        assert_eq!(read(&plain).approx_input_chars, Some(5));
        assert_eq!(
            messages(&plain),
            Some(json!([{"role": "user", "parts": [{"type": "text", "content": "hello"}]}]))
        );
    }

    #[test]
    fn anthropic() {
        let request = json!({
            "model": "claude-sonnet-4", "max_tokens": 1024, "top_k": 5, "stop_sequences": ["X"], "n": 1,
            "system": [{"type": "text", "text": "You are.", "cache_control": {"type": "ephemeral"}}],
            "output_config": {"effort": "medium"},
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}]}],
            "tools": [{"name": "f", "input_schema": {"type": "object"}}, {"type": "web_search_20250305", "name": "web_search"}]
        });
        let facts = read(&request);
        assert_eq!(
            (
                facts.max_tokens,
                facts.top_k,
                facts.choice_count,
                facts.stream
            ),
            (Some(1024), Some(5), None, None)
        );
        assert_eq!(
            (facts.stop_sequences, facts.reasoning_level.as_deref()),
            (vec!["X".to_owned()], Some("medium"))
        );
        assert_eq!(
            system_instructions(&request),
            Some(json!([{"type": "text", "content": "You are."}]))
        );
        assert_eq!(
            messages(&request),
            Some(
                json!([{"role": "user", "parts": [{"type": "text", "content": "hi"}, {"type": "blob", "modality": "image", "content": "AAAA", "mime_type": "image/png"}]}])
            )
        );
        assert_eq!(
            tool_definitions(&request),
            Some(
                json!([{"type": "function", "name": "f", "parameters": {"type": "object"}}, {"type": "web_search_20250305", "name": "web_search"}])
            )
        );
    }

    #[test]
    fn gemini_and_ollama() {
        let request = json!({
            "model": "models/gemini-2.5-flash", "systemInstruction": {"parts": [{"text": "Sys"}]},
            "contents": [{"role": "user", "parts": [{"text": "hi"}]}, {"role": "model", "parts": [{"text": "yo"}]}],
            "tools": [{"functionDeclarations": [{"name": "a"}, {"name": "b"}]}, {"googleSearch": {}}],
            "generationConfig": {"temperature": 1, "topK": 40.0, "maxOutputTokens": 9, "candidateCount": 2,
                "stopSequences": ["."], "responseMimeType": "application/json", "thinkingConfig": {"thinkingLevel": "low"}}
        });
        let facts = read(&request);
        assert_eq!(
            (
                facts.model.as_deref(),
                facts.message_count,
                facts.tool_count
            ),
            (Some("gemini-2.5-flash"), Some(2), Some(3))
        );
        assert_eq!(
            (facts.top_k, facts.max_tokens, facts.choice_count),
            (Some(40), Some(9), Some(2))
        );
        assert_eq!(
            (facts.output_type, facts.reasoning_level.as_deref()),
            (Some("json"), Some("low"))
        );
        assert_eq!(
            messages(&request).map(|list| list[1]["role"].clone()),
            Some(json!("assistant"))
        );
        assert_eq!(
            system_instructions(&request),
            Some(json!([{"type": "text", "content": "Sys"}]))
        );
        assert_eq!(
            tool_definitions(&request),
            Some(
                json!([{"type": "function", "name": "a"}, {"type": "function", "name": "b"}, {"type": "googleSearch", "name": "googleSearch"}])
            )
        );

        let request = json!({"model": "llama3.2", "stream": false, "format": {"type": "object"}, "think": true,
            "options": {"num_predict": -1, "temperature": 0.5, "seed": -3, "stop": "###"},
            "messages": [{"role": "user", "content": "look", "images": ["QQ=="]}, {"role": "tool", "tool_name": "f", "content": "x"}]});
        let facts = read(&request);
        assert_eq!(
            (facts.max_tokens, facts.seed, facts.stream),
            (None, Some(-3), Some(false))
        );
        assert_eq!(
            (
                facts.output_type,
                facts.reasoning_level,
                facts.stop_sequences
            ),
            (Some("json"), None, vec!["###".to_owned()])
        );
    }

    #[test]
    fn bedrock_and_what_is_no_chat() {
        let request = json!({
            "messages": [{"role": "user", "content": [{"text": "hi"}]},
                {"role": "assistant", "content": [{"toolUse": {"toolUseId": "t", "name": "f", "input": {"a": 1}}}]},
                {"role": "user", "content": [{"toolResult": {"toolUseId": "t", "content": [{"text": "ok"}]}}]}],
            "system": [{"text": "Sys"}], "inferenceConfig": {"maxTokens": 9, "temperature": 0.5, "topP": 0.9, "stopSequences": ["."]},
            "toolConfig": {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]}
        });
        let facts = read(&request);
        assert_eq!(
            (facts.message_count, facts.tool_count, facts.max_tokens),
            (Some(3), Some(1), Some(9))
        );
        assert_eq!((facts.temperature, facts.top_p), (Some(0.5), Some(0.9)));
        let sent = messages(&request).unwrap();
        assert_eq!(
            sent[1]["parts"],
            json!([{"type": "tool_call", "id": "t", "name": "f", "arguments": {"a": 1}}])
        );
        assert_eq!(
            sent[2]["parts"],
            json!([{"type": "tool_call_response", "id": "t", "response": "ok"}])
        );
        assert_eq!(
            tool_definitions(&request),
            Some(json!([{"type": "function", "name": "f", "parameters": {"type": "object"}}]))
        );
        let enclosed = json!({"model": "gemini-2.5-pro", "project": "p", "request": {"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {"temperature": 0}}});
        let facts = read(&enclosed);
        assert_eq!(
            (
                facts.model.as_deref(),
                facts.message_count,
                facts.temperature
            ),
            (Some("gemini-2.5-pro"), Some(1), Some(0.0))
        );
        assert_eq!(read(&json!({"dimensions": 256})).dimensions, Some(256));
        let ranked = json!({"query": "q", "documents": ["d"], "top_n": 3});
        assert_eq!(
            (query(&ranked), read(&ranked).most_documents),
            (Some("q"), Some(3))
        );
    }

    #[test]
    fn what_is_not_a_request_says_nothing() {
        for request in [
            json!(null),
            json!("x"),
            json!([1]),
            json!({}),
            json!({"messages": 3, "tools": "f", "stop": 4, "n": "2"}),
        ] {
            assert_eq!(read(&request), RequestFacts::default(), "{request}");
            assert_eq!(
                (
                    messages(&request),
                    system_instructions(&request),
                    tool_definitions(&request)
                ),
                (None, None, None)
            );
        }
    }
}
