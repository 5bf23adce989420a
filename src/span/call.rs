//! One call of an annotated function: its span, what it was asked and answered, and how it ended.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tracing::Span;

use super::request;
use super::{ModelError, ModelResponse};
use crate::capture::{Capture, Core, OpenSpan, Outcome};
use crate::record::{Value, Verdict};
use crate::semconv::{ERROR_TYPE_OTHER, Fact, Kind};

/// The flags given to the attribute: what is read from the returned value.
#[derive(Clone, Copy, Debug)]
pub struct Returns {
    /// `result`.
    pub result: bool,
    /// `response`.
    pub response: bool,
}

/// An annotated call that runs.
///
/// What is plain is recorded as fields of the span, for every layer to see. Content goes to the
/// Hermes layer alone, which is found through the span's own dispatcher, and is not even formatted
/// where there is no such layer or content is off.
pub struct Call {
    /// Let go before the span, whose close then finds the object in no other hand.
    open: Option<(Arc<Core>, Arc<OpenSpan>)>,
    span: Span,
    returns: Returns,
}

impl Call {
    /// A call in this span.
    #[must_use]
    pub fn new(span: Span, returns: Returns) -> Self {
        let open = span
            .with_subscriber(|(id, dispatch)| {
                let capture = dispatch.downcast_ref::<Capture>()?;
                Some((Arc::clone(capture.core()), capture.find(id)?))
            })
            .flatten();
        Call {
            open,
            span,
            returns,
        }
    }

    /// A second hand on the same call: what the function returned goes on with it.
    #[must_use]
    pub fn again(&self) -> Self {
        Call {
            open: self.open.clone(),
            span: self.span.clone(),
            returns: self.returns,
        }
    }

    /// A call that a span describes which others opened and end: late values of it, and no more.
    pub(crate) fn filling(core: Arc<Core>, open: Arc<OpenSpan>) -> Self {
        Call {
            open: Some((core, open)),
            span: Span::none(),
            returns: Returns {
                result: false,
                response: false,
            },
        }
    }

    /// The span as Hermes knows it; `None` where nobody listens.
    pub(crate) fn open(&self) -> Option<&Arc<OpenSpan>> {
        self.open.as_ref().map(|(_, open)| open)
    }

    /// The span as `tracing` knows it.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// Whether the returned value is to be kept as content.
    #[must_use]
    pub fn wants_result(&self) -> bool {
        self.returns.result && self.keeps_content()
    }

    /// States content; `text` is called only where content is kept.
    pub fn content(&self, fact: Fact, text: impl FnOnce() -> String) {
        if let Some((core, open)) = &self.open
            && core.policy.captures(fact)
            && let Some(text) = quietly(text)
        {
            open.set(fact, text);
        }
    }

    /// States messages, without what may not be kept of them.
    fn messages(&self, fact: Fact, messages: serde_json::Value) {
        if let Some((core, open)) = &self.open
            && let Some(kept) = core.policy.keeps_of(fact, messages)
        {
            open.set(fact, kept.to_string());
        }
    }

    /// States where the call goes. Userinfo, query and fragment are cut off before it is kept.
    pub fn base_url(&self, url: impl FnOnce() -> String) {
        if let Some((_, open)) = &self.open
            && let Some(url) = quietly(url)
        {
            open.set(Fact::BaseUrl, super::url::without_secrets(&url));
        }
    }

    /// Reads a request in a provider's wire shape: its parameters, and its messages where content
    /// is kept.
    pub fn request(&self, json: impl FnOnce() -> Option<serde_json::Value>) {
        let Some((core, open)) = &self.open else {
            return;
        };
        let Some(json) = quietly(json).flatten() else {
            return;
        };
        let read = request::read(&json);
        open.set_all(|facts| read.state(facts));
        if core.policy.captures_content() {
            if let Some(query) = request::query(&json)
                && open.kind() == Some(Kind::Reranker)
                && core.policy.captures(Fact::Query)
            {
                open.set(Fact::Query, query);
            }
            for (fact, content) in [
                (Fact::InputMessages, request::messages(&json)),
                (
                    Fact::SystemInstructions,
                    request::system_instructions(&json),
                ),
                (Fact::ToolDefinitions, request::tool_definitions(&json)),
            ] {
                if let Some(content) =
                    content.and_then(|content| core.policy.keeps_of(fact, content))
                {
                    open.set(fact, content.to_string());
                }
            }
        }
    }

    /// The function returned, and not an `Err`. `verdict` tells whether a tool's result says that
    /// it failed.
    pub fn returned(&self, verdict: impl FnOnce() -> Option<Said>) {
        if let Some((_, open)) = &self.open {
            let verdict = quietly(verdict).flatten();
            open.end_with(Outcome::Returned(verdict.map(|said| said.0)));
            self.tell_failure(None);
        }
    }

    /// The function returned an `Err`.
    pub fn failed(
        &self,
        type_name: impl FnOnce() -> Option<&'static str>,
        message: impl FnOnce() -> Option<String>,
    ) {
        let type_name = quietly(type_name).flatten().map(Cow::Borrowed);
        self.fail(type_name, message);
    }

    /// The same, by a name that the program worked out.
    pub(super) fn fail(
        &self,
        type_name: Option<Cow<'static, str>>,
        message: impl FnOnce() -> Option<String>,
    ) {
        if let Some((_, open)) = &self.open {
            let message = quietly(message).flatten();
            let type_name = type_name.clone();
            open.end_with(Outcome::Failed { type_name, message });
        }
        self.tell_failure(Some(&type_name.unwrap_or(Cow::Borrowed(ERROR_TYPE_OTHER))));
    }

    pub(super) fn panicked(&self, payload: &(dyn Any + Send)) {
        let text = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned());
        self.panicked_with(text);
    }

    pub(super) fn panicked_with(&self, message: Option<String>) {
        if let Some((_, open)) = &self.open {
            open.end_with(Outcome::Panicked { message });
        }
        self.tell_failure(Some("panic"));
    }

    pub(crate) fn cancelled(&self) {
        if let Some((_, open)) = &self.open {
            open.end_with(Outcome::Cancelled);
        }
        self.tell_failure(Some("cancelled"));
    }

    /// What Hermes knows of the span, and the layer's own side, where there is one.
    pub(super) fn known(&self) -> Option<&(Arc<Core>, Arc<OpenSpan>)> {
        self.open.as_ref()
    }

    /// Asks for the ids of a span that is not entered at once.
    pub(super) fn settle_ids(&self) {
        self.with_capture(|capture, open| capture.settle_ids(open));
    }

    /// Ends the span at the stated time or now, before `tracing` closes it.
    pub(super) fn end(&self, end_ns: Option<i64>) {
        self.with_capture(|capture, open| capture.end(open, end_ns));
    }

    fn with_capture(&self, act: impl FnOnce(&Capture, &Arc<OpenSpan>)) {
        let Some((_, open)) = &self.open else { return };
        self.span.with_subscriber(|(_, dispatch)| {
            if let Some(capture) = dispatch.downcast_ref::<Capture>() {
                act(capture, open);
            }
        });
    }

    /// Tells layers other than ours, by the names that they know, that the call failed and of what
    /// type; ours knows, and says which type that is where it listens. Never a text: it is content.
    fn tell_failure(&self, type_name: Option<&str>) {
        let found = self.open.as_ref().and_then(|(_, open)| open.failure_type());
        if let Some(error_type) = found.as_deref().or(type_name) {
            self.span.record(Fact::OtelStatusCode.name(), "ERROR");
            self.span.record(Fact::ErrorType.name(), error_type);
        }
    }

    pub(crate) fn keeps_content(&self) -> bool {
        self.open
            .as_ref()
            .is_some_and(|(core, _)| core.policy.captures_content())
    }

    /// States a fact as a field where the span declares one, so that every layer sees it.
    pub(crate) fn note(&self, fact: Fact, value: Value) {
        let is_declared = self
            .span
            .metadata()
            .is_some_and(|metadata| metadata.fields().field(fact.name()).is_some());
        if is_declared {
            match value {
                Value::Bool(truth) => self.span.record(fact.name(), truth),
                Value::Int(int) => self.span.record(fact.name(), int),
                Value::Double(double) => self.span.record(fact.name(), double),
                Value::Text(text) => self.span.record(fact.name(), text.as_ref()),
                Value::Texts(texts) => self.span.record(
                    fact.name(),
                    serde_json::Value::from(texts).to_string().as_str(),
                ),
            };
        } else if let Some((_, open)) = &self.open {
            open.set(fact, value);
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("span", &self.span)
            .finish_non_exhaustive()
    }
}

/// What a tool's result says of the tool.
#[derive(Debug)]
pub struct Said(pub(super) Verdict);

/// Reads a model's answer: usage, model, id, finish reasons; its messages where content is kept. An answer that tells
/// of a failure is one.
pub fn response<T: ModelResponse + ?Sized>(call: &Call, response: &T) {
    if call.open.is_some()
        && let Some(error) = quietly(|| response.error()).flatten()
    {
        fail_by_answer(call, error);
    }
    state_response(call, response);
}

/// States the failure that an answer tells of.
pub(super) fn fail_by_answer(call: &Call, error: ModelError) {
    if let Some((_, open)) = &call.open {
        open.set_found_class(error.class());
        open.end_with(Outcome::Failed {
            type_name: None,
            message: error.message,
        });
    }
}

/// States what an answer says, without a verdict on the call.
pub(crate) fn state_response<T: ModelResponse + ?Sized>(call: &Call, response: &T) {
    if call.span.is_disabled() && call.open.is_none() {
        return;
    }
    let _ = quietly(|| {
        if let Some(usage) = response.usage() {
            for (fact, tokens) in [
                (Fact::InputTokens, usage.input_tokens),
                (Fact::OutputTokens, usage.output_tokens),
                (Fact::CacheReadTokens, usage.cache_read_tokens),
                (Fact::CacheWriteTokens, usage.cache_write_tokens),
                (Fact::ReasoningTokens, usage.reasoning_tokens),
            ] {
                call.note(fact, Value::Int(tokens));
            }
        }
        if let (Some(cost), Some((_, open))) = (response.cost_usd(), &call.open) {
            // The program may know better what it pays.
            open.set_all(|notes| notes.set_default(Fact::CostUsd, cost));
        }
        for (fact, text) in [
            (Fact::ResponseModel, response.model()),
            (Fact::ResponseId, response.id()),
        ] {
            if let Some(text) = text {
                call.note(fact, Value::Text(Cow::Owned(text.into_owned())));
            }
        }
        let reasons = response.finish_reasons();
        if !reasons.is_empty() {
            call.note(Fact::FinishReasons, Value::Texts(reasons));
        }
        let output = response.output();
        for (fact, count) in [
            (Fact::AssistantContentChars, output.content_chars),
            (Fact::AssistantToolCallCount, output.tool_call_count),
        ] {
            if let Some(count) = count {
                call.note(fact, Value::Int(count));
            }
        }
        if call.keeps_content()
            && let Some(messages) = response.output_messages()
        {
            call.messages(Fact::OutputMessages, messages);
        }
    });
}

/// Runs what the user's types do (`Display`, `Serialize`, ...) for the sake of telemetry alone: a
/// panic there must not become the agent's.
pub(crate) fn quietly<T>(format: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(format)).ok()
}
