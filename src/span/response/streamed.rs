//! A streamed answer, read chunk by chunk into what the whole answer would have said.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::assembled::Assembled;
use super::frames::{Frame, Frames};
use super::{ModelError, ModelOutput, ModelResponse};
use super::{
    anthropic, chat_completions, cohere, converse, error, gemini, ollama, responses, whole,
};
use crate::record::Usage;
use crate::span::{shape, tokens};

/// Puts the chunks of a streamed answer together.
///
/// Takes chunks as JSON values, or the bytes of the body as they come from the network (server-sent events, one JSON
/// object a line, a JSON array that is streamed, the event stream of AWS, or a whole body), of every wire shape that
/// [`ModelResponse`] reads; it finds out which by itself. At each moment it says what a whole answer with
/// the same content would say: usage as told last (`OpenAI` with `include_usage`, Anthropic's `message_start` and
/// `message_delta`, Gemini's last `usageMetadata`, Ollama's last line, `response.completed`), finish reasons, and
/// tool calls put together of their pieces.
///
/// One mebibyte of text is kept, the rest is counted only; a frame larger than four mebibytes is passed over.
///
/// ```
/// use hermes::{ModelResponse, StreamedResponse};
///
/// let mut answer = StreamedResponse::new();
/// answer.push_bytes(b"data: {\"model\":\"gpt-4o\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}]}\n\nda");
/// answer.push_bytes(b"ta: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"lo\"},\"finish_reason\":\"stop\"}]}\n\n");
/// answer.push_bytes(b"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n");
///
/// assert_eq!(answer.finish_reasons(), ["stop"]);
/// assert_eq!(answer.output().content_chars, Some(5));
/// assert_eq!(answer.usage().map(|usage| usage.input_tokens), Some(9));
/// assert!(answer.is_complete());
/// ```
#[derive(Clone, Debug)]
pub struct StreamedResponse {
    answer: Assembled,
    frames: Frames,
    chunks: u64,
    since: Instant,
    first: Option<Duration>,
    /// The beginning of a body whose status says that it tells of a failure.
    refusal: Option<Vec<u8>>,
}

/// As much of a refusal as is read where it is plain text.
const MAX_REFUSAL: usize = 2_048;

impl StreamedResponse {
    /// An answer of which nothing has come yet. The time to its first chunk is counted from here.
    #[must_use]
    pub fn new() -> Self {
        StreamedResponse {
            answer: Assembled::default(),
            frames: Frames::default(),
            chunks: 0,
            since: Instant::now(),
            first: None,
            refusal: None,
        }
    }

    /// An answer whose texts are counted and not kept: [`ModelResponse::output_messages`] has the names of tools, and
    /// no word of what was said.
    #[must_use]
    pub fn without_content() -> Self {
        let mut answer = Self::new();
        answer.answer.is_lean = true;
        answer
    }

    /// Takes one chunk in any of the wire shapes, and tells whether it was part of an answer: pings and what
    /// nobody knows are not.
    pub fn push(&mut self, chunk: &Value) -> bool {
        // Gemini streams an array of chunks where it is not asked for events.
        if let Some(list) = chunk.as_array() {
            let known = list.iter().filter(|chunk| self.push(chunk)).count();
            return known > 0;
        }
        let is_known = fold(chunk, &mut self.answer);
        if is_known {
            self.chunks += 1;
            self.first.get_or_insert_with(|| self.since.elapsed());
        }
        is_known
    }

    /// Says that the status is one of a failure: whatever the body says is about that.
    pub(crate) fn is_refused(&mut self) {
        self.answer.is_refusal = true;
        self.refusal = Some(Vec::new());
    }

    /// Takes the next bytes of the body, cut wherever the network cut them.
    pub fn push_bytes(&mut self, bytes: &[u8]) {
        if let Some(refusal) = &mut self.refusal {
            let room = MAX_REFUSAL.saturating_sub(refusal.len());
            refusal.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        let mut frames = std::mem::take(&mut self.frames);
        frames.push(bytes, &mut |frame| self.take(frame));
        self.frames = frames;
    }

    /// Says that no more bytes will come: a last event without its empty line still counts.
    pub fn end_of_bytes(&mut self) {
        let frames = std::mem::take(&mut self.frames);
        frames.end(&mut |frame| self.take(frame));
        if let Some(refusal) = self.refusal.take() {
            self.answer.set_error(said_plainly(&refusal));
        }
    }

    fn take(&mut self, frame: Frame) {
        match frame {
            Frame::Json(value) => {
                self.push(&value);
            }
            Frame::Done => self.answer.is_complete = true,
            Frame::Failed(message) => self.answer.set_error(Some(ModelError {
                message: Some(message),
                ..ModelError::default()
            })),
        }
    }

    /// How many chunks were part of the answer.
    #[must_use]
    pub fn chunk_count(&self) -> u64 {
        self.chunks
    }

    /// How long after [`StreamedResponse::new`] the first chunk came.
    #[must_use]
    pub fn time_to_first_chunk(&self) -> Option<Duration> {
        self.first
    }

    /// Whether the provider said that this was all: `[DONE]`, `message_stop`, `response.completed`, `done`, or a
    /// finish reason for every choice. A stream that ends without was cut.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let choices = &self.answer.choices;
        let has_finished = |choices: &[_]| {
            let mut reasons = choices
                .iter()
                .map(|choice: &super::assembled::Choice| &choice.finish_reason);
            !choices.is_empty() && reasons.all(Option::is_some)
        };
        self.answer.is_complete || self.answer.refused.is_some() || has_finished(choices)
    }
}

impl Default for StreamedResponse {
    fn default() -> Self {
        Self::new()
    }
}

impl ModelResponse for StreamedResponse {
    fn usage(&self) -> Option<Usage> {
        tokens::usage(&self.answer.usage)
    }

    fn cost_usd(&self) -> Option<f64> {
        tokens::cost_usd(&self.answer.usage)
    }

    fn model(&self) -> Option<Cow<'_, str>> {
        self.answer.model.as_deref().map(Cow::Borrowed)
    }

    fn id(&self) -> Option<Cow<'_, str>> {
        self.answer.id.as_deref().map(Cow::Borrowed)
    }

    fn finish_reasons(&self) -> Vec<String> {
        let choices = &self.answer.choices;
        let reasons = choices
            .iter()
            .filter_map(|choice| choice.finish_reason.clone());
        let reasons: Vec<String> = reasons.collect();
        match &self.answer.refused {
            Some(reason) if reasons.is_empty() => vec![reason.clone()],
            _ => reasons,
        }
    }

    fn output(&self) -> ModelOutput {
        let choices = &self.answer.choices;
        if choices.is_empty() {
            return ModelOutput::default();
        }
        let (mut chars, mut calls) = (0_i64, 0);
        for (said, asked) in choices.iter().map(super::assembled::Choice::size) {
            chars = chars.saturating_add(said);
            calls += asked;
        }
        ModelOutput {
            content_chars: Some(chars),
            tool_call_count: Some(calls),
        }
    }

    fn output_messages(&self) -> Option<Value> {
        let messages = self.answer.choices.iter().map(|choice| {
            let reason = choice.finish_reason.as_deref();
            whole::message(&choice.parts(), reason)
        });
        let messages: Vec<Value> = messages.collect();
        (!messages.is_empty()).then_some(Value::Array(messages))
    }

    fn error(&self) -> Option<ModelError> {
        self.answer.error.clone()
    }
}

/// The text of a refusal that is neither JSON nor a page of a web server.
fn said_plainly(body: &[u8]) -> Option<ModelError> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    let is_plain = !text.is_empty() && !text.starts_with(['<', '{', '[']);
    is_plain.then(|| ModelError {
        message: Some(text.to_owned()),
        ..ModelError::default()
    })
}

/// Takes one chunk by what it looks like; whether it was part of an answer.
fn fold(chunk: &Value, answer: &mut Assembled) -> bool {
    if !chunk.is_object() {
        return false;
    }
    let has = |key: &str| chunk.get(key).is_some_and(|value| !value.is_null());
    let error = if answer.is_refusal {
        error::of_refusal(chunk)
    } else {
        error::of(chunk)
    };
    let has_failed = error.is_some();
    answer.set_error(error);
    if let Some(kind) = shape::text(chunk, "type") {
        if kind.starts_with("response.") {
            responses::fold(chunk, kind, answer);
            return true;
        }
        if kind == "message" && has("content") {
            anthropic::fold_message(chunk, answer);
            return true;
        }
        if anthropic::fold(chunk, kind, answer) || cohere::fold(chunk, kind, answer) {
            return true;
        }
    }
    let is_object = |key: &str| chunk.get(key).is_some_and(Value::is_object);
    if chunk.get("choices").is_some_and(Value::is_array) {
        chat_completions::fold(chunk, answer);
    } else if has("candidates") || has("promptFeedback") || has("usageMetadata") {
        gemini::fold(chunk, answer);
    } else if is_object("response") {
        return chunk
            .get("response")
            .is_some_and(|chunk| fold(chunk, answer));
    } else if chunk.get("output").is_some_and(Value::is_array) {
        responses::fold_body(chunk, answer);
    } else if is_object("output") {
        converse::fold_body(chunk, answer);
    } else if has("done") {
        ollama::fold(chunk, answer);
    } else if is_object("message") {
        cohere::fold_body(chunk, answer);
    } else if !converse::fold(chunk, answer) {
        // An embedding, a reranking, or the usage alone.
        answer.set_head(chunk);
        answer.set_usage(chunk);
        return !has_failed && tokens::usage(chunk).is_some();
    }
    true
}
