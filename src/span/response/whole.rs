//! A whole answer as JSON, read in place: which wire shape it has, and what every shape tells in the same way.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::{Chunk, ModelError, ModelOutput, ModelResponse, StreamedResponse};
use super::{anthropic, chat_completions, cohere, converse, error, gemini, ollama, responses};
use crate::record::Usage;
use crate::span::part::{self, Part};
use crate::span::{shape, tokens};

/// The fields of a body that name the model.
pub(super) const MODEL: &[&str] = &["model", "modelVersion", "model_version", "model_id"];
/// The fields of a body that identify it.
pub(super) const ID: &[&str] = &["id", "responseId", "response_id"];

/// One of the answers asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice<'a> {
    pub(super) finish_reason: Option<&'a str>,
    pub(super) said: Said<'a>,
}

/// What an answer says.
#[derive(Clone, Copy, Debug)]
pub(super) enum Said<'a> {
    Nothing,
    Message(&'a Value),
    Items(&'a [Value]),
    Generated { thought: &'a str, text: &'a str },
}

/// A list of chunks is one answer, as Gemini streams it to those who ask for no events.
impl ModelResponse for Value {
    fn usage(&self) -> Option<Usage> {
        match streamed(self) {
            Some(answer) => answer.usage(),
            None => tokens::usage(body(self)),
        }
    }

    fn cost_usd(&self) -> Option<f64> {
        match streamed(self) {
            Some(answer) => answer.cost_usd(),
            None => tokens::cost_usd(body(self)),
        }
    }

    fn model(&self) -> Option<Cow<'_, str>> {
        if let Some(answer) = streamed(self) {
            return Some(Cow::Owned(answer.model()?.into_owned()));
        }
        let body = body(self);
        let model = MODEL.iter().find_map(|key| shape::text(body, key));
        model.filter(|model| !model.is_empty()).map(Cow::Borrowed)
    }

    fn id(&self) -> Option<Cow<'_, str>> {
        if let Some(answer) = streamed(self) {
            return Some(Cow::Owned(answer.id()?.into_owned()));
        }
        let body = body(self);
        let id = ID.iter().find_map(|key| shape::text(body, key));
        id.filter(|id| !id.is_empty()).map(Cow::Borrowed)
    }

    fn finish_reasons(&self) -> Vec<String> {
        if let Some(answer) = streamed(self) {
            return answer.finish_reasons();
        }
        let body = body(self);
        let mut reasons = Vec::new();
        choices(body, &mut |choice| {
            reasons.extend(choice.finish_reason.map(str::to_owned));
        });
        if reasons.is_empty() {
            // A prompt that was blocked has no answer, and the end of a stream says no word of its own.
            let reason = ["promptFeedback.blockReason", "delta.stop_reason"];
            let reason = reason.iter().find_map(|path| shape::text(body, path));
            reasons.extend(reason.map(str::to_owned));
        }
        reasons
    }

    fn output(&self) -> ModelOutput {
        if let Some(answer) = streamed(self) {
            return answer.output();
        }
        let (mut chars, mut calls, mut answered) = (0, 0, false);
        choices(body(self), &mut |choice| {
            answered |= !matches!(choice.said, Said::Nothing);
            choice.parts(&mut |part| match part {
                Part::Text(text) => chars += part::length(text),
                Part::ToolCall { .. } => calls += 1,
                _ => {}
            });
        });
        ModelOutput {
            content_chars: answered.then_some(chars),
            tool_call_count: answered.then_some(calls),
        }
    }

    fn output_messages(&self) -> Option<Value> {
        if let Some(answer) = streamed(self) {
            return answer.output_messages();
        }
        let mut messages = Vec::new();
        choices(body(self), &mut |choice| {
            if let Said::Nothing = choice.said {
                return;
            }
            let mut parts = Vec::new();
            choice.parts(&mut |part| parts.push(part.to_json()));
            messages.push(message(&parts, choice.finish_reason));
        });
        (!messages.is_empty()).then_some(Value::Array(messages))
    }

    fn error(&self) -> Option<ModelError> {
        let told = streamed(self).and_then(|answer| answer.error());
        let body = body(self);
        told.or_else(|| error::of(self))
            .or_else(|| error::of(body))
            // OpenRouter tells a failure of the provider behind it inside the choice.
            .or_else(|| shape::array(body, "choices").iter().find_map(error::of))
    }

    fn as_chunk(&self) -> Chunk<'_> {
        Chunk::Json(self)
    }
}

/// A message of the answer, in the shape of the conventions, and with their word for why it ended.
pub(super) fn message(parts: &[Value], finish_reason: Option<&str>) -> Value {
    let mut message = json!({ "role": "assistant", "parts": parts });
    if let (Some(reason), Some(fields)) = (finish_reason, message.as_object_mut()) {
        fields.insert("finish_reason".into(), conventional(reason).into());
    }
    message
}

/// The conventions' word for a provider's, where they have one.
fn conventional(reason: &str) -> &str {
    match reason.to_ascii_lowercase().as_str() {
        "stop" | "end_turn" | "stop_sequence" | "completed" | "complete" | "eos" => "stop",
        "length"
        | "max_tokens"
        | "max_output_tokens"
        | "model_length"
        | "model_context_window_exceeded" => "length",
        "tool_calls" | "tool_call" | "tool_use" | "function_call" => "tool_call",
        "content_filter"
        | "content_filtered"
        | "guardrail_intervened"
        | "refusal"
        | "safety"
        | "recitation"
        | "blocklist"
        | "prohibited_content"
        | "spii"
        | "image_safety"
        | "error_toxic" => "content_filter",
        "error" | "failed" | "malformed_function_call" | "unexpected_tool_call" => "error",
        _ => reason,
    }
}

/// A list of chunks, put together.
fn streamed(value: &Value) -> Option<StreamedResponse> {
    value.as_array().filter(|list| !list.is_empty())?;
    let mut answer = StreamedResponse::new();
    answer.push(value).then_some(answer)
}

/// The response itself, out of the stream event that may enclose it (`response.completed`, `message_start`).
fn body(value: &Value) -> &Value {
    let inner = match shape::text(value, "type") {
        Some("message_start") => value.get("message"),
        _ => value.get("response"),
    };
    inner.filter(|inner| inner.is_object()).unwrap_or(value)
}

impl<'a> Choice<'a> {
    fn parts(&self, each: &mut dyn FnMut(Part<'a>)) {
        match self.said {
            Said::Nothing => {}
            Said::Message(message) => shape::parts(message, each),
            Said::Items(items) => items.iter().for_each(|item| shape::parts(item, each)),
            Said::Generated { thought, text } => {
                let parts = [Part::Reasoning(thought), Part::Text(text)];
                let said = [thought, text];
                let parts = parts
                    .into_iter()
                    .zip(said)
                    .filter(|(_, said)| !said.is_empty());
                parts.for_each(|(part, _)| each(part));
            }
        }
    }
}

/// Every shape has a field of its own.
fn choices<'a>(body: &'a Value, each: &mut dyn FnMut(Choice<'a>)) {
    let has = |key: &str| body.get(key).is_some();
    if has("choices") {
        chat_completions::choices(body, each);
    } else if has("candidates") {
        gemini::choices(body, each);
    } else if body.get("output").is_some_and(Value::is_array) {
        each(responses::choice(body));
    } else if has("stopReason") || shape::at(body, "output.message").is_some() {
        each(converse::choice(body));
    } else if has("content") || has("stop_reason") {
        each(anthropic::choice(body));
    } else if has("message") && has("finish_reason") {
        each(cohere::choice(body));
    } else if has("message") || has("response") || has("done_reason") {
        each(ollama::choice(body));
    }
}
