//! A span that is held: late values, the ways it can end, and what runs inside it.

use std::any::Any;
use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tracing::Span;
use tracing::instrument::{Instrument as _, Instrumented};

use super::cause::Cause;
use super::start::unix_ns;
use crate::record::{
    EndReason, ErrorClass, ResultClass, RunId, SpanId, TraceId, Usage, Value, tool_result,
};
use crate::semconv::{Fact, Kind};
use crate::span::ModelResponse;
use crate::span::call::{self, Call, Returns, Said, quietly};
use crate::span::current::Current;

/// A span that was started by hand and is ended by hand, from whichever thread and task.
///
/// Made by [`Start::start`](crate::Start::start). The first word on how it ends counts: [`end`](Self::end),
/// [`fail`](Self::fail) or [`cancel`](Self::cancel); what is said afterwards is not heard, though spans may
/// still be started under it. Its end is in the store as soon as anything else is, whoever still holds the
/// handle.
///
/// Dropped without an end, a session is `interrupted` (unless an end reason was stated), and any other span
/// is what a future that is dropped would be, `cancelled`; one that stated a failure has failed, and one
/// that is dropped by a panic says so.
///
/// Setters reach the nearest span whose kind takes the fact, this one first, then those around it, as those
/// of [`hermes::current`](crate::current()) do. Without a Hermes layer all of this does nothing.
///
/// ```
/// use std::sync::Arc;
///
/// let chat = Arc::new(hermes::chat("gpt-4o").provider("openai").start());
/// let elsewhere = Arc::clone(&chat);
/// std::thread::spawn(move || {
///     elsewhere.first_chunk();
/// });
/// chat.fail("the connection was closed");
/// ```
pub struct OwnedSpan {
    call: Call,
    /// What stands in this span's place as a parent, where it is disabled itself.
    around: Option<Span>,
    ending: Mutex<Ending>,
}

/// What is known of the end before it comes.
#[derive(Debug, Default)]
struct Ending {
    at_ns: Option<i64>,
    /// What a tool's result says of it.
    verdict: Option<Said>,
    is_over: bool,
}

impl OwnedSpan {
    pub(super) fn new(call: Call, around: Option<Span>) -> Self {
        OwnedSpan {
            call,
            around,
            ending: Mutex::default(),
        }
    }

    /// No span at all.
    pub(crate) fn none() -> Self {
        let returns = Returns {
            result: false,
            response: false,
        };
        OwnedSpan::new(Call::new(Span::none(), returns), None)
    }

    pub(crate) fn call(&self) -> &Call {
        &self.call
    }

    /// The span under which its children stand.
    pub(super) fn as_parent(&self) -> &Span {
        self.around.as_ref().unwrap_or_else(|| self.call.span())
    }

    /// The span as `tracing` knows it: to be a `parent`, or to be instrumented with.
    #[must_use]
    pub fn span(&self) -> &Span {
        self.call.span()
    }

    /// Runs code inside the span: macro spans and those of other libraries become its children.
    ///
    /// ```
    /// #[hermes::tool]
    /// fn search() {}
    ///
    /// let turn = hermes::turn().start();
    /// turn.in_scope(search);
    /// turn.end();
    /// ```
    pub fn in_scope<T>(&self, code: impl FnOnce() -> T) -> T {
        self.call.span().in_scope(code)
    }

    /// Polls a future inside the span. The future does not end it.
    pub fn instrument<F: Future>(&self, future: F) -> Instrumented<F> {
        future.instrument(self.call.span().clone())
    }

    /// Ends the span: it did what it should, unless it stated a failure.
    ///
    /// A tool is judged by its [`output`](Self::output) as an annotated one is by its result.
    pub fn end(&self) {
        self.close(|verdict| self.call.returned(|| verdict));
    }

    /// Ends the span: it failed.
    ///
    /// ```
    /// let chat = hermes::chat("gpt-4o").start();
    /// chat.fail(&std::io::Error::other("connection reset"));
    /// ```
    pub fn fail(&self, cause: impl Cause) {
        self.close(|_| state_failure(&self.call, cause));
    }

    /// Ends the span: the code that it stands for panicked.
    pub(crate) fn panicked(&self, payload: &(dyn Any + Send)) {
        self.close(|_| self.call.panicked(payload));
    }

    /// Ends the span: somebody gave it up.
    pub fn cancel(&self) {
        self.close(|_| self.call.cancelled());
    }

    /// The end is at this time, whenever one of the methods that end it is called. A time before the
    /// start becomes the start.
    pub fn end_at(&self, time: SystemTime) -> &Self {
        self.ending().at_ns = Some(unix_ns(time));
        self
    }

    /// States why the span fails without ending it.
    pub fn error(&self, cause: impl Cause) -> &Self {
        if !self.ending().is_over {
            state_failure(&self.call, cause);
        }
        self
    }

    /// Reads a model's answer: usage, model, id, finish reasons; its messages where content is captured.
    ///
    /// ```
    /// # use serde_json::json;
    /// let chat = hermes::chat("gpt-4o").start();
    /// let answer = json!({"id": "chatcmpl-1", "model": "gpt-4o-2024-08-06",
    ///     "choices": [{"finish_reason": "stop", "message": {"content": "hi"}}],
    ///     "usage": {"prompt_tokens": 12, "completion_tokens": 1}});
    /// chat.response(&answer).end();
    /// ```
    pub fn response(&self, response: &(impl ModelResponse + ?Sized)) -> &Self {
        call::response(&self.call, response);
        self
    }

    /// The tokens that the model call used.
    pub fn usage(&self, usage: Usage) -> &Self {
        self.state(|late| late.usage(usage))
    }

    /// The model that answered.
    pub fn response_model(&self, model: impl Into<String>) -> &Self {
        self.state(|late| late.response_model(model))
    }

    /// The provider's id of the answer.
    pub fn response_id(&self, id: impl Into<String>) -> &Self {
        self.state(|late| late.response_id(id))
    }

    /// Why the model stopped, in the provider's word.
    pub fn finish_reason(&self, reason: impl Into<String>) -> &Self {
        self.state(|late| late.finish_reason(reason))
    }

    /// The first part of a streamed answer is here; said again, it counts no more.
    pub fn first_chunk(&self) -> &Self {
        self.state(|late| late.first_chunk())
    }

    /// What the model, tool or turn said. Content: kept only where content is captured. Of a model's
    /// answer its length is kept always, and of a tool's result whether it says that the tool failed.
    pub fn output(&self, text: impl AsRef<str>) -> &Self {
        let text = text.as_ref();
        if self.kind() == Some(Kind::Tool) {
            self.ending().verdict = Some(Said(tool_result::of_text(text)));
        }
        self.state(|late| late.output(text))
    }

    /// What became of the tool call. Said so, it beats what the result looks like.
    pub fn result_class(&self, class: impl Into<ResultClass>) -> &Self {
        self.state(|late| late.result_class(class))
    }

    /// Why the call failed. Said so, it is the span's `error.type`, and the span is an error.
    pub fn error_class(&self, class: impl Into<ErrorClass>) -> &Self {
        self.state(|late| late.error_class(class))
    }

    /// What was decided where leave was asked: `approved`, `denied`, `timeout`, or the program's own word.
    /// Of a tool it says whether it was let.
    pub fn decision(&self, decision: impl Into<String>) -> &Self {
        self.state(|late| late.approval(decision))
    }

    /// How often the call was tried again.
    pub fn retry_count(&self, count: u32) -> &Self {
        self.state(|late| late.retry_count(count))
    }

    /// What the call cost, in US dollars, where the provider or the code knows.
    pub fn cost_usd(&self, cost: f64) -> &Self {
        self.state(|late| late.cost_usd(cost))
    }

    /// Why the session ends.
    pub fn end_reason(&self, reason: impl Into<EndReason>) -> &Self {
        self.state(|late| late.end_reason(reason))
    }

    /// States anything else on this span. A name that Hermes knows finds its fact; any other is content,
    /// and kept only where content is captured.
    pub fn record(&self, key: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> &Self {
        self.state(|late| late.record(key, value))
    }

    /// The trace that the span is part of: the id by which it is found in the store and on OTLP. `None`
    /// without a Hermes layer.
    #[must_use]
    pub fn trace_id(&self) -> Option<TraceId> {
        self.call.open().map(|open| open.ids().0)
    }

    /// The span's own id.
    #[must_use]
    pub fn span_id(&self) -> Option<SpanId> {
        self.call.open().map(|open| open.ids().1)
    }

    /// The run that the span is part of.
    #[must_use]
    pub fn run_id(&self) -> Option<RunId> {
        self.call.open().map(|open| open.run_id())
    }

    /// What the span is. `None` without a Hermes layer.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        self.call.open().and_then(|open| open.kind())
    }

    fn state(&self, fact: impl for<'c> FnOnce(&'c Current) -> &'c Current) -> &Self {
        fact(&Current::at(self.call.known()));
        self
    }

    fn ending(&self) -> MutexGuard<'_, Ending> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says how the span ended and ends it, once.
    fn close(&self, say: impl FnOnce(Option<Said>)) {
        let mut ending = self.ending();
        if std::mem::replace(&mut ending.is_over, true) {
            return;
        }
        let (at_ns, verdict) = (ending.at_ns, ending.verdict.take());
        drop(ending);
        say(verdict);
        self.call.end(at_ns);
    }

    /// The end of a span that nobody ended.
    fn abandon(&self) {
        let Some(open) = self.call.open() else {
            return;
        };
        if std::thread::panicking() {
            self.call.panicked_with(None);
        } else if open.failure_type().is_some() {
            self.call.returned(|| None);
        } else if open.kind() != Some(Kind::Session) {
            self.call.cancelled();
        } else {
            open.set_all(|facts| {
                facts.set_default(Fact::EndReason, EndReason::Interrupted.as_str());
            });
        }
    }
}

/// States on a span why it fails.
pub(crate) fn state_failure(call: &Call, cause: impl Cause) {
    let type_name = quietly(|| cause.type_name()).flatten();
    call.fail(type_name, || Some(cause.into_message()));
}

impl Drop for OwnedSpan {
    fn drop(&mut self) {
        self.close(|_| self.abandon());
    }
}

impl fmt::Debug for OwnedSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedSpan")
            .field("span", self.call.span())
            .finish_non_exhaustive()
    }
}
