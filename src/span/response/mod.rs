//! Reads what a model answered: usage, model, id, finish reasons and output, from the wire formats in use.

mod anthropic;
mod assembled;
mod aws;
mod chat_completions;
mod cohere;
mod converse;
mod error;
mod frames;
mod gemini;
mod ollama;
mod responses;
mod slot;
mod streamed;
mod whole;

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use crate::record::Usage;

use super::part;

pub use error::ModelError;
pub use streamed::StreamedResponse;

/// What `response` on a chat reads from the value a model call returned.
///
/// Implemented for [`serde_json::Value`] in the wire shapes of `OpenAI` chat completions, `OpenAI` responses, Anthropic
/// messages, Gemini `generateContent` and Ollama chat, and for references, `Box`, `Arc` and `Option` of anything that
/// has it. Every method has a default that reports nothing, so a type says only what it knows; what is not reported
/// is absent from the span, never zero.
///
/// ```
/// use std::borrow::Cow;
/// use hermes::{ModelResponse, Usage};
///
/// struct Completion { text: String, prompt_tokens: u32, completion_tokens: u32 }
///
/// impl ModelResponse for Completion {
///     fn usage(&self) -> Option<Usage> {
///         Some(Usage {
///             input_tokens: self.prompt_tokens.into(),
///             output_tokens: self.completion_tokens.into(),
///             ..Usage::default()
///         })
///     }
///     fn model(&self) -> Option<Cow<'_, str>> {
///         Some("my-model".into())
///     }
/// }
///
/// let answer = Completion { text: "hi".into(), prompt_tokens: 12, completion_tokens: 3 };
/// assert_eq!(answer.usage().map(|usage| usage.input_tokens), Some(12));
/// assert!(answer.finish_reasons().is_empty());
/// # let _ = answer.text;
/// ```
#[diagnostic::on_unimplemented(
    message = "`response` cannot read `{Self}`",
    label = "is not a model's response",
    note = "implement `hermes::ModelResponse` for it, or return a `serde_json::Value` in a provider's wire shape"
)]
pub trait ModelResponse {
    /// The tokens the provider counted, or `None` when it reported none.
    ///
    /// Cached tokens are part of `input_tokens` and reasoning is part of `output_tokens`; where a provider's own
    /// number leaves them out, the implementation adds them.
    fn usage(&self) -> Option<Usage> {
        None
    }

    /// What the call cost in US dollars, where the answer tells it (`OpenRouter`'s does). Never an estimate: Hermes makes
    /// those itself.
    fn cost_usd(&self) -> Option<f64> {
        None
    }

    /// The model that answered, as the provider names it.
    fn model(&self) -> Option<Cow<'_, str>> {
        None
    }

    /// The provider's id of this response.
    fn id(&self) -> Option<Cow<'_, str>> {
        None
    }

    /// Why the model stopped, one entry per choice, in the provider's words.
    fn finish_reasons(&self) -> Vec<String> {
        Vec::new()
    }

    /// The size of what the model said; never its text.
    fn output(&self) -> ModelOutput {
        ModelOutput::default()
    }

    /// The messages themselves, in the shape of the conventions' output messages.
    ///
    /// Called only where content is captured, so it may cost what it costs.
    fn output_messages(&self) -> Option<Value> {
        None
    }

    /// The failure that the answer tells of, though the call itself succeeded.
    ///
    /// It makes the span an error of that class.
    fn error(&self) -> Option<ModelError> {
        None
    }

    /// What it is as one of many: a part of the wire format, a piece of text, or something that tells of itself.
    #[doc(hidden)]
    fn as_chunk(&self) -> Chunk<'_> {
        Chunk::Itself
    }
}

/// What an answer is as one item of a stream.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub enum Chunk<'a> {
    /// A part in a provider's wire shape.
    Json(&'a Value),
    /// A piece of text.
    Text(&'a str),
    /// It tells of itself.
    Itself,
}

/// The size of a model's answer.
///
/// ```
/// use hermes::ModelOutput;
///
/// let output = ModelOutput { content_chars: Some(42), ..ModelOutput::default() };
/// assert_eq!(output.tool_call_count, None);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ModelOutput {
    /// Characters of the text meant for the reader, over all choices; reasoning is not counted.
    pub content_chars: Option<i64>,
    /// How many tools the model asked the agent to call.
    pub tool_call_count: Option<i64>,
}

macro_rules! through_reference {
    ($($pointer:ty),*) => {$(
        impl<T: ModelResponse + ?Sized> ModelResponse for $pointer {
            fn usage(&self) -> Option<Usage> {
                (**self).usage()
            }
            fn cost_usd(&self) -> Option<f64> {
                (**self).cost_usd()
            }
            fn model(&self) -> Option<Cow<'_, str>> {
                (**self).model()
            }
            fn id(&self) -> Option<Cow<'_, str>> {
                (**self).id()
            }
            fn finish_reasons(&self) -> Vec<String> {
                (**self).finish_reasons()
            }
            fn output(&self) -> ModelOutput {
                (**self).output()
            }
            fn output_messages(&self) -> Option<Value> {
                (**self).output_messages()
            }
            fn error(&self) -> Option<ModelError> {
                (**self).error()
            }
            fn as_chunk(&self) -> Chunk<'_> {
                (**self).as_chunk()
            }
        }
    )*};
}
through_reference!(&T, Box<T>, Arc<T>);

/// A bare text is an answer of which only the words are known.
impl ModelResponse for str {
    fn output(&self) -> ModelOutput {
        ModelOutput {
            content_chars: Some(part::length(self)),
            tool_call_count: None,
        }
    }

    fn output_messages(&self) -> Option<Value> {
        let parts = serde_json::json!([{ "type": "text", "content": self }]);
        Some(serde_json::json!([{ "role": "assistant", "parts": parts }]))
    }

    fn as_chunk(&self) -> Chunk<'_> {
        Chunk::Text(self)
    }
}

impl ModelResponse for String {
    fn output(&self) -> ModelOutput {
        self.as_str().output()
    }

    fn output_messages(&self) -> Option<Value> {
        self.as_str().output_messages()
    }

    fn as_chunk(&self) -> Chunk<'_> {
        Chunk::Text(self)
    }
}

impl<T: ModelResponse> ModelResponse for Option<T> {
    fn usage(&self) -> Option<Usage> {
        self.as_ref()?.usage()
    }
    fn cost_usd(&self) -> Option<f64> {
        self.as_ref()?.cost_usd()
    }
    fn model(&self) -> Option<Cow<'_, str>> {
        self.as_ref()?.model()
    }
    fn id(&self) -> Option<Cow<'_, str>> {
        self.as_ref()?.id()
    }
    fn finish_reasons(&self) -> Vec<String> {
        self.as_ref().map(T::finish_reasons).unwrap_or_default()
    }
    fn output(&self) -> ModelOutput {
        self.as_ref().map(T::output).unwrap_or_default()
    }
    fn output_messages(&self) -> Option<Value> {
        self.as_ref()?.output_messages()
    }
    fn error(&self) -> Option<ModelError> {
        self.as_ref()?.error()
    }
    fn as_chunk(&self) -> Chunk<'_> {
        self.as_ref().map_or(Chunk::Itself, T::as_chunk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn usage(counts: [i64; 5]) -> Usage {
        let [
            input_tokens,
            output_tokens,
            cache_read_tokens,
            cache_write_tokens,
            reasoning_tokens,
        ] = counts;
        Usage {
            input_tokens,
            output_tokens,
            cache_read_tokens,
            cache_write_tokens,
            reasoning_tokens,
        }
    }

    fn chat_completion() -> Value {
        json!({
            "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT", "object": "chat.completion", "created": 1_741_569_952,
            "model": "gpt-4.1-2025-04-14",
            "choices": [{"index": 0, "logprobs": null, "finish_reason": "tool_calls", "message": {
                "role": "assistant", "content": "Let me look.", "refusal": null, "annotations": [],
                "tool_calls": [{"id": "call_abc123", "type": "function",
                    "function": {"name": "get_weather", "arguments": "{\"location\":\"Paris\"}"}}]}}],
            "usage": {"prompt_tokens": 2006, "completion_tokens": 300, "total_tokens": 2306,
                "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 64, "audio_tokens": 0,
                    "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}},
            "service_tier": "default"
        })
    }

    fn responses() -> Value {
        json!({
            "id": "resp_67ccd3a9da748190baa7f1570fe91ac604becb25c45c1d41", "object": "response",
            "created_at": 1_741_476_777, "status": "completed", "error": null, "incomplete_details": null,
            "model": "o4-mini-2025-04-16", "output": [
                {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Weather."}]},
                {"type": "function_call", "id": "fc_1", "call_id": "call_9", "name": "get_weather",
                    "arguments": "{\"location\":\"Paris\"}", "status": "completed"},
                {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
                    "content": [{"type": "output_text", "text": "One moment", "annotations": []}]}],
            "usage": {"input_tokens": 328, "input_tokens_details": {"cached_tokens": 128}, "output_tokens": 52,
                "output_tokens_details": {"reasoning_tokens": 32}, "total_tokens": 380}
        })
    }

    fn anthropic() -> Value {
        json!({
            "id": "msg_01XFDUDYJgAACzvnptvVoYEL", "type": "message", "role": "assistant",
            "model": "claude-sonnet-4-20250514", "stop_reason": "tool_use", "stop_sequence": null,
            "content": [{"type": "thinking", "thinking": "Need weather", "signature": "EqQB"},
                {"type": "text", "text": "Checking."},
                {"type": "tool_use", "id": "toolu_01", "name": "get_weather", "input": {"location": "Paris"}}],
            "usage": {"input_tokens": 21, "cache_creation_input_tokens": 188, "cache_read_input_tokens": 1000,
                "output_tokens": 393, "service_tier": "standard"}
        })
    }

    fn gemini() -> Value {
        json!({
            "candidates": [{"content": {"role": "model", "parts": [
                {"text": "Thinking it over", "thought": true}, {"text": "Rainy"},
                {"functionCall": {"name": "get_weather", "args": {"location": "Paris"}}}]},
                "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 100, "candidatesTokenCount": 20, "thoughtsTokenCount": 30,
                "cachedContentTokenCount": 40, "totalTokenCount": 150},
            "modelVersion": "gemini-2.5-flash", "responseId": "mAitaLmkHPPl7M8P"
        })
    }

    fn ollama() -> Value {
        json!({
            "model": "llama3.2", "created_at": "2025-07-07T20:22:19.184789Z", "message": {"role": "assistant",
                "content": "", "thinking": "Weather tool", "tool_calls": [{"function": {"name": "get_weather",
                    "arguments": {"location": "Paris"}}}]},
            "done_reason": "stop", "done": true, "total_duration": 3_244_883_583_u64, "prompt_eval_count": 169,
            "eval_count": 15
        })
    }

    #[test]
    fn every_wire_shape_is_read_whole() {
        let call =
            json!({"type": "tool_call", "name": "get_weather", "arguments": {"location": "Paris"}});
        let with_id = |id: &str| {
            let mut call = call.clone();
            call["id"] = id.into();
            call
        };
        let text = |text: &str| json!({"type": "text", "content": text});
        let thought = |text: &str| json!({"type": "reasoning", "content": text});
        let cases = [
            (
                chat_completion(),
                [2006, 300, 1920, 0, 64],
                "gpt-4.1-2025-04-14",
                Some("chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT"),
                "tool_calls",
                12,
                json!([text("Let me look."), with_id("call_abc123")]),
            ),
            (
                responses(),
                [328, 52, 128, 0, 32],
                "o4-mini-2025-04-16",
                Some("resp_67ccd3a9da748190baa7f1570fe91ac604becb25c45c1d41"),
                "completed",
                10,
                json!([thought("Weather."), with_id("call_9"), text("One moment")]),
            ),
            (
                anthropic(),
                [1209, 393, 1000, 188, 0],
                "claude-sonnet-4-20250514",
                Some("msg_01XFDUDYJgAACzvnptvVoYEL"),
                "tool_use",
                9,
                json!([
                    thought("Need weather"),
                    text("Checking."),
                    with_id("toolu_01")
                ]),
            ),
            (
                gemini(),
                [100, 50, 40, 0, 30],
                "gemini-2.5-flash",
                Some("mAitaLmkHPPl7M8P"),
                "STOP",
                5,
                json!([thought("Thinking it over"), text("Rainy"), call]),
            ),
            (
                ollama(),
                [169, 15, 0, 0, 0],
                "llama3.2",
                None,
                "stop",
                0,
                json!([thought("Weather tool"), call]),
            ),
        ];
        for (body, tokens, model, id, reason, chars, parts) in cases {
            assert_eq!(body.usage(), Some(usage(tokens)), "{model}");
            assert_eq!(ModelResponse::model(&body).as_deref(), Some(model));
            assert_eq!(ModelResponse::id(&body).as_deref(), id, "{model}");
            assert_eq!(body.finish_reasons(), [reason], "{model}");
            assert_eq!(
                body.output(),
                ModelOutput {
                    content_chars: Some(chars),
                    tool_call_count: Some(1)
                },
                "{model}"
            );
            let word = match reason {
                "tool_calls" | "tool_use" => "tool_call",
                _ => "stop",
            };
            let expected = json!([{"role": "assistant", "parts": parts, "finish_reason": word}]);
            assert_eq!(body.output_messages(), Some(expected), "{model}");
        }
    }

    #[test]
    fn finish_reasons_stand_one_per_choice() {
        let cases = [
            (
                json!({"choices": [{"finish_reason": "stop"}, {"finish_reason": "length"}]}),
                vec!["stop", "length"],
            ),
            (
                json!({"choices": [{"delta": {"content": "a"}, "finish_reason": null}]}),
                vec![],
            ),
            (
                json!({"status": "incomplete", "output": [], "incomplete_details": {"reason": "max_output_tokens"}}),
                vec!["max_output_tokens"],
            ),
            (json!({"status": "in_progress", "output": []}), vec![]),
            (
                json!({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {}}),
                vec!["SAFETY"],
            ),
            (
                json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}),
                vec!["end_turn"],
            ),
            (json!({"status": "ok"}), vec![]),
            (json!("text"), vec![]),
        ];
        for (body, expected) in cases {
            assert_eq!(body.finish_reasons(), expected, "{body}");
        }
    }

    #[test]
    fn what_is_not_a_response_reports_nothing() {
        for body in [
            json!(null),
            json!(1),
            json!("x"),
            json!({}),
            json!({"error": {"message": "no"}}),
            json!({"model": 5, "id": [], "choices": 3}),
        ] {
            assert_eq!(ModelResponse::model(&body), None);
            assert_eq!(ModelResponse::id(&body), None);
            assert_eq!(body.output(), ModelOutput::default(), "{body}");
            assert_eq!(body.output_messages(), None);
        }
    }

    #[test]
    fn pointers_and_options_pass_through() {
        let body = anthropic();
        assert_eq!((&&body).finish_reasons(), ["tool_use"]);
        assert_eq!(Box::new(body.clone()).usage(), body.usage());
        assert_eq!(Arc::new(body.clone()).output(), body.output());
        assert_eq!(
            ModelResponse::model(&Some(&body)),
            ModelResponse::model(&body)
        );
        let boxed: Box<dyn ModelResponse> = Box::new(body.clone());
        assert_eq!(boxed.output_messages(), body.output_messages());
        assert_eq!(None::<Value>.usage(), None);
    }
}
