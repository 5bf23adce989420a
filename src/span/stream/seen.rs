//! What a stream has shown so far: chunks are counted, and what they say is put together for its end.

use std::borrow::Cow;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

use super::target::StreamSpan;
use crate::record::Usage;
use crate::semconv::{Fact, Kind};
use crate::span::call::{self, quietly};
use crate::span::current::Current;
use crate::span::owned::{Cause, state_failure};
use crate::span::response::Chunk;
use crate::span::{ModelOutput, ModelResponse, StreamedResponse};

/// More of what a model says is counted, and not kept.
const MAX_TEXT_BYTES: usize = 1 << 20;

/// What a stream has shown of the call it belongs to, and where the reader of an item says more.
///
/// Handed to the closure of [`traced_with`](super::TraceStreamExt::traced_with) with each item.
pub struct Seen<'a> {
    state: &'a mut State,
    span: &'a StreamSpan,
    has_failed: bool,
}

/// Lives as long as the stream.
#[derive(Default)]
pub(super) struct State {
    chunks: i64,
    /// What came in a wire shape.
    wire: Option<Box<StreamedResponse>>,
    /// Whether texts are pieces of the wire format; the first one tells.
    is_wire_text: Option<bool>,
    said: Said,
}

/// What came in no wire shape.
#[derive(Default)]
struct Said {
    is_any: bool,
    usage: Option<Usage>,
    cost_usd: Option<f64>,
    model: Option<String>,
    id: Option<String>,
    finish_reasons: Vec<String>,
    chars: Option<i64>,
    tool_calls: Option<i64>,
    text: String,
    messages: Vec<Value>,
}

impl Seen<'_> {
    /// Reads an answer, or a part of one that tells of itself. What it tells stands until a later one tells it anew;
    /// lengths and tool calls are summed up.
    pub fn response(&mut self, response: &(impl ModelResponse + ?Sized)) {
        match response.as_chunk() {
            Chunk::Json(json) => return self.json(json),
            Chunk::Text(text) => return self.text(text),
            Chunk::Itself => {}
        }
        let keeps_content = self.span.call().keeps_content();
        let said = &mut self.state.said;
        said.is_any = true;
        said.usage = response.usage().or(said.usage);
        said.cost_usd = response.cost_usd().or(said.cost_usd);
        if let Some(model) = response.model() {
            said.model = Some(model.into_owned());
        }
        if let Some(id) = response.id() {
            said.id = Some(id.into_owned());
        }
        let reasons = response.finish_reasons();
        if !reasons.is_empty() {
            said.finish_reasons = reasons;
        }
        let output = response.output();
        add(&mut said.chars, output.content_chars);
        add(&mut said.tool_calls, output.tool_call_count);
        if let Some(error) = response.error() {
            self.has_failed = true;
            self.span.fail(|call| call::fail_by_answer(call, error));
        }
        if keeps_content && let Some(messages) = response.output_messages() {
            self.state.said.join(messages);
        }
    }

    /// Reads a chunk in a provider's wire shape, or anything else as JSON, which says nothing.
    pub fn json(&mut self, chunk: &Value) {
        self.wire().push(chunk);
    }

    /// Reads what serialises to a chunk in a provider's wire shape, as the types of provider crates do.
    pub fn serialized(&mut self, chunk: &(impl Serialize + ?Sized)) {
        if let Ok(json) = serde_json::to_value(chunk) {
            self.json(&json);
        }
    }

    /// Reads a piece of the body as it comes from the network, cut wherever the network cut it.
    pub fn bytes(&mut self, piece: &[u8]) {
        self.wire().push_bytes(piece);
    }

    /// Reads a piece of what the model says; or, where the first of them looks like it, of the wire format
    /// (server-sent events or JSON lines). Its length is kept always, itself only where content is captured.
    pub fn text(&mut self, piece: &str) {
        let is_wire = match self.state.is_wire_text {
            Some(is_wire) => is_wire,
            None if piece.trim().is_empty() => false,
            None => *self.state.is_wire_text.insert(is_wire_format(piece)),
        };
        if is_wire {
            return self.bytes(piece.as_bytes());
        }
        let keeps_content = self.span.call().keeps_content();
        let said = &mut self.state.said;
        said.is_any = true;
        let chars = i64::try_from(piece.chars().count()).unwrap_or(i64::MAX);
        add(&mut said.chars, Some(chars));
        if keeps_content && said.text.len() < MAX_TEXT_BYTES {
            said.text.push_str(piece);
        }
    }

    /// The tokens used so far, as the provider counts them; the last word holds.
    pub fn usage(&mut self, usage: Usage) {
        self.state.said.is_any = true;
        self.state.said.usage = Some(usage);
    }

    /// The model that answers.
    pub fn model(&mut self, model: impl Into<String>) {
        self.state.said.is_any = true;
        self.state.said.model = Some(model.into());
    }

    /// Why the model stopped, in the provider's word.
    pub fn finish_reason(&mut self, reason: impl Into<String>) {
        self.state.said.is_any = true;
        self.state.said.finish_reasons = vec![reason.into()];
    }

    /// The item says that the call failed. The stream may go on; its span has failed.
    pub fn error(&mut self, cause: impl Cause) {
        self.has_failed = true;
        self.span.fail(|call| state_failure(call, cause));
    }

    /// The same for an error of which little is known.
    #[doc(hidden)]
    pub fn error_of(
        &mut self,
        type_name: impl FnOnce() -> Option<&'static str>,
        message: impl FnOnce() -> Option<String>,
    ) {
        self.has_failed = true;
        self.span.fail(|call| call.failed(type_name, message));
    }

    fn wire(&mut self) -> &mut StreamedResponse {
        let keeps_content = self.span.call().keeps_content();
        self.state.wire.get_or_insert_with(|| {
            Box::new(if keeps_content {
                StreamedResponse::new()
            } else {
                StreamedResponse::without_content()
            })
        })
    }
}

impl State {
    /// Takes down an item: whatever reads it is user code, and must not harm the stream.
    pub(super) fn see(&mut self, span: &StreamSpan, read: impl FnOnce(&mut Seen<'_>)) {
        let call = span.call();
        if call.span().is_disabled() && call.open().is_none() {
            return;
        }
        let mut seen = Seen {
            state: self,
            span,
            has_failed: false,
        };
        let _ = quietly(|| read(&mut seen));
        if seen.has_failed {
            return;
        }
        self.chunks += 1;
        if self.chunks == 1
            && let Some(open) = call.open()
        {
            let elapsed = open.elapsed_s();
            open.set_all(|facts| {
                facts.set(Fact::Stream, true);
                facts.set_default(Fact::TimeToFirstChunk, elapsed);
            });
        }
    }

    /// Whether the provider said that the answer is whole, though the stream may have more to say.
    pub(super) fn is_complete(&self) -> bool {
        self.wire.as_ref().is_some_and(|wire| wire.is_complete())
    }

    /// States what all chunks together say.
    pub(super) fn tell(&mut self, span: &StreamSpan) {
        let call = span.call();
        let Some(open) = call.open() else { return };
        open.set(Fact::ChunkCount, self.chunks);
        if let Some(mut wire) = self.wire.take() {
            wire.end_of_bytes();
            if let Some(error) = wire.error() {
                span.fail(|call| call::fail_by_answer(call, error));
            }
            if wire.chunk_count() > 0 {
                call::state_response(call, &*wire);
            }
        }
        if !self.said.is_any {
            return;
        }
        let text = std::mem::take(&mut self.said.text);
        call::state_response(call, &self.said);
        // A tool or a turn keeps what it said as its result.
        let speaks = matches!(open.kind(), Some(Kind::Chat | Kind::Tool | Kind::Turn));
        if !text.is_empty() && speaks && self.said.messages.is_empty() {
            let chars = self.said.chars;
            Current::at(call.known()).output(text);
            if open.kind() == Some(Kind::Chat)
                && let Some(chars) = chars
            {
                open.set(Fact::AssistantContentChars, chars);
            }
        }
    }
}

impl Said {
    /// Puts messages behind those that are here; a text goes on where the one before it ended.
    fn join(&mut self, messages: Value) {
        let Value::Array(messages) = messages else {
            return;
        };
        for mut message in messages {
            if self.text.len() >= MAX_TEXT_BYTES {
                return;
            }
            let last = self.messages.last_mut();
            match last.and_then(|last| end_of(last, &message["role"])) {
                Some(text) if only_text(&message).is_some() => {
                    text.push_str(only_text(&message).unwrap_or_default());
                }
                _ => self.messages.push(message.take()),
            }
        }
    }
}

impl ModelResponse for Said {
    fn usage(&self) -> Option<Usage> {
        self.usage
    }

    fn cost_usd(&self) -> Option<f64> {
        self.cost_usd
    }

    fn model(&self) -> Option<Cow<'_, str>> {
        self.model.as_deref().map(Cow::Borrowed)
    }

    fn id(&self) -> Option<Cow<'_, str>> {
        self.id.as_deref().map(Cow::Borrowed)
    }

    fn finish_reasons(&self) -> Vec<String> {
        self.finish_reasons.clone()
    }

    fn output(&self) -> ModelOutput {
        ModelOutput {
            content_chars: self.chars,
            tool_call_count: self.tool_calls,
        }
    }

    fn output_messages(&self) -> Option<Value> {
        (!self.messages.is_empty()).then(|| Value::Array(self.messages.clone()))
    }
}

impl fmt::Debug for Seen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seen")
            .field("chunks", &self.state.chunks)
            .finish_non_exhaustive()
    }
}

/// Whether a text is a piece of a provider's answer and not of what its model says.
fn is_wire_format(text: &str) -> bool {
    let text = text.trim_start();
    let is_event = ["data:", "event:", "id:", "retry:"]
        .iter()
        .any(|field| text.starts_with(field));
    let is_json = || {
        let json = serde_json::from_str::<Value>(text);
        json.is_ok_and(|json| StreamedResponse::without_content().push(&json))
    };
    is_event || (text.starts_with(['{', '[']) && is_json())
}

/// The text at the end of a message of this role, to be gone on with.
fn end_of<'a>(message: &'a mut Value, role: &Value) -> Option<&'a mut String> {
    if message["role"] != *role {
        return None;
    }
    let part = message["parts"].as_array_mut()?.last_mut()?;
    if part["type"] != "text" {
        return None;
    }
    match part.get_mut("content")? {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// The text of a message that is nothing but one.
fn only_text(message: &Value) -> Option<&str> {
    match message["parts"].as_array()?.as_slice() {
        [part] if part["type"] == "text" => part["content"].as_str(),
        _ => None,
    }
}

fn add(sum: &mut Option<i64>, more: Option<i64>) {
    if let Some(more) = more {
        *sum = Some(sum.unwrap_or(0).saturating_add(more));
    }
}
