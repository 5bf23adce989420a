//! The start of a held span: its kind's facts one after the other, then `start`.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use tracing::{Level, Span, level_enabled};

use super::callsite::{self, Fields};
use super::handle::OwnedSpan;
use super::kind::{
    Agent, Approval, Chat, Embedding, Reranker, Retriever, Session, SpanKind, Step, Tool, Turn,
};
use crate::capture::opening_at;
use crate::record::Value;
use crate::semconv::Fact;
use crate::span::call::{Call, Returns};
use crate::span::probe::Field;
use crate::span::url;

/// A span that is about to start.
///
/// Made by [`session`](crate::session()), [`chat`](crate::chat()) and their like, or by the methods of an
/// [`OwnedSpan`]. What a kind takes is what its attribute takes, under the same names. Most facts become
/// fields of a `tracing` span, for every layer to see; those marked *content* never do: they go to the
/// Hermes layer alone, and are not even formatted where content is not captured.
///
/// ```
/// let session = hermes::session("s-1").model("gpt-4o").platform("cli").start();
/// let turn = session.turn().user_message("what is in a.txt?").start();
/// let tool = turn.tool("read_file").call_id("call_1").start();
/// tool.output("three lines of text").end();
/// turn.end();
/// session.end();
/// ```
#[must_use = "a span starts with `start`"]
pub struct Start<'a, K> {
    parent: Option<&'a OwnedSpan>,
    parent_span: Option<Span>,
    fields: Fields<'a>,
    follows: Vec<Span>,
    later: Vec<Later<'a>>,
    began_ns: Option<i64>,
    /// No span is made anywhere, so nothing is kept for one.
    is_off: bool,
    kind: PhantomData<K>,
}

/// What is told once the span is there.
type Later<'a> = Box<dyn FnOnce(&OwnedSpan, &Call) + 'a>;

/// One run of an agent. A session that is dropped before its end is interrupted.
///
/// The session stands under the current span, if there is one; see [`Start::parent`].
///
/// ```
/// let session = hermes::session("s-1").model("gpt-4o").platform("telegram").start();
/// session.end_reason(hermes::EndReason::Completed).end();
/// ```
pub fn session<'a>(id: impl Into<Cow<'a, str>>) -> Start<'a, Session> {
    Start::new(None).text(Fact::SessionId, id)
}

/// The work of a sub-agent inside a session, under the current span.
///
/// ```
/// let researcher = hermes::agent("researcher").model("gpt-4o-mini").start();
/// researcher.end();
/// ```
pub fn agent<'a>(name: impl Into<Cow<'a, str>>) -> Start<'a, Agent> {
    Start::new(None).text(Fact::AgentName, name)
}

/// One user message answered, under the current span.
///
/// ```
/// let turn = hermes::turn().user_message("hello").start();
/// turn.output("hello to you").end();
/// ```
pub fn turn<'a>() -> Start<'a, Turn> {
    Start::new(None)
}

/// Any other piece of work, under the current span.
///
/// ```
/// hermes::step("load_memory").start().in_scope(|| {});
/// ```
pub fn step<'a>(name: impl Into<Cow<'a, str>>) -> Start<'a, Step> {
    Start::new(None).text(Fact::FunctionName, name)
}

/// One model call, under the current span.
///
/// ```
/// let chat = hermes::chat("gpt-4o").provider("openai").start();
/// chat.usage(hermes::Usage { input_tokens: 12, output_tokens: 3, ..Default::default() })
///     .finish_reason("stop")
///     .end();
/// ```
pub fn chat<'a>(model: impl Into<Cow<'a, str>>) -> Start<'a, Chat> {
    Start::new(None).text(Fact::RequestModel, model)
}

/// One tool execution, under the current span.
///
/// ```
/// let tool = hermes::tool("search").call_id("call_7").args(&["rust"]).start();
/// tool.output(r#"{"hits": 3}"#).end();
/// ```
pub fn tool<'a>(name: impl Into<Cow<'a, str>>) -> Start<'a, Tool> {
    Start::new(None).tool_defaults(name)
}

/// One embedding call, under the current span.
///
/// ```
/// hermes::embedding("text-embedding-3-small").dimensions(512).start().end();
/// ```
pub fn embedding<'a>(model: impl Into<Cow<'a, str>>) -> Start<'a, Embedding> {
    Start::new(None).text(Fact::RequestModel, model)
}

/// One retrieval from this source, under the current span.
///
/// ```
/// hermes::retriever("handbook").top_k(5).query("holidays").start().end();
/// ```
pub fn retriever<'a>(source: impl Into<Cow<'a, str>>) -> Start<'a, Retriever> {
    Start::new(None).text(Fact::DataSource, source)
}

/// One reranking call, under the current span.
///
/// ```
/// hermes::reranker("rerank-v3").top_k(3).start().end();
/// ```
pub fn reranker<'a>(model: impl Into<Cow<'a, str>>) -> Start<'a, Reranker> {
    Start::new(None).text(Fact::RequestModel, model)
}

/// Waiting for somebody's leave to do this, under the current span: no work of the agent's.
///
/// ```
/// let tool = hermes::tool("shell").start();
/// let approval = tool.approval("rm -r build").surface("telegram").start();
/// approval.decision("approved").end();
/// ```
pub fn approval<'a>(subject: impl Into<Cow<'a, str>>) -> Start<'a, Approval> {
    Start::new(None).text(Fact::ApprovalSubject, subject)
}

/// What starts under a span that is held. The parent is that span, whichever thread asks and
/// whatever span is current there.
impl OwnedSpan {
    /// A session under this one: it belongs to the same run.
    pub fn session<'a>(&'a self, id: impl Into<Cow<'a, str>>) -> Start<'a, Session> {
        Start::new(Some(self)).text(Fact::SessionId, id)
    }

    /// The work of a sub-agent.
    pub fn agent<'a>(&'a self, name: impl Into<Cow<'a, str>>) -> Start<'a, Agent> {
        Start::new(Some(self)).text(Fact::AgentName, name)
    }

    /// One user message answered.
    pub fn turn(&self) -> Start<'_, Turn> {
        Start::new(Some(self))
    }

    /// Any other piece of work.
    pub fn step<'a>(&'a self, name: impl Into<Cow<'a, str>>) -> Start<'a, Step> {
        Start::new(Some(self)).text(Fact::FunctionName, name)
    }

    /// One model call.
    pub fn chat<'a>(&'a self, model: impl Into<Cow<'a, str>>) -> Start<'a, Chat> {
        Start::new(Some(self)).text(Fact::RequestModel, model)
    }

    /// One tool execution.
    pub fn tool<'a>(&'a self, name: impl Into<Cow<'a, str>>) -> Start<'a, Tool> {
        Start::new(Some(self)).tool_defaults(name)
    }

    /// One embedding call.
    pub fn embedding<'a>(&'a self, model: impl Into<Cow<'a, str>>) -> Start<'a, Embedding> {
        Start::new(Some(self)).text(Fact::RequestModel, model)
    }

    /// One retrieval from this source.
    pub fn retriever<'a>(&'a self, source: impl Into<Cow<'a, str>>) -> Start<'a, Retriever> {
        Start::new(Some(self)).text(Fact::DataSource, source)
    }

    /// One reranking call.
    pub fn reranker<'a>(&'a self, model: impl Into<Cow<'a, str>>) -> Start<'a, Reranker> {
        Start::new(Some(self)).text(Fact::RequestModel, model)
    }

    /// Waiting for somebody's leave under this span.
    pub fn approval<'a>(&'a self, subject: impl Into<Cow<'a, str>>) -> Start<'a, Approval> {
        Start::new(Some(self)).text(Fact::ApprovalSubject, subject)
    }
}

impl<'a> Start<'a, Tool> {
    fn tool_defaults(self, name: impl Into<Cow<'a, str>>) -> Self {
        self.text(Fact::ToolName, name)
            .text(Fact::ToolType, "function")
    }
}

impl<'a, K> Start<'a, K> {
    fn new(parent: Option<&'a OwnedSpan>) -> Self {
        Start {
            parent,
            parent_span: None,
            fields: Fields::default(),
            follows: Vec::new(),
            later: Vec::new(),
            began_ns: None,
            is_off: !level_enabled!(Level::INFO),
            kind: PhantomData,
        }
    }

    /// The span stands under this one instead of the current or the given one.
    pub fn parent(mut self, parent: &Span) -> Self {
        self.parent_span = Some(parent.clone());
        self
    }

    /// The span follows from another that is not its parent; it becomes a link.
    pub fn follows_from(mut self, cause: &Span) -> Self {
        if !self.is_off {
            self.follows.push(cause.clone());
        }
        self
    }

    /// The span began at this time, which may lie in the past. Without it the span begins at `start`.
    ///
    /// What encloses it is not moved. A time before 1970 is taken for 1970.
    pub fn start_at(mut self, time: SystemTime) -> Self {
        self.began_ns = Some(unix_ns(time));
        self
    }

    /// States anything else. A name that Hermes knows finds its fact; any other is content, and kept
    /// only where content is captured.
    pub fn record(self, key: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        if self.is_off {
            return self;
        }
        let (key, value) = (key.into(), value.into());
        self.later(move |span, _| {
            span.record(key, value);
        })
    }

    pub(super) fn text(mut self, fact: Fact, text: impl Into<Cow<'a, str>>) -> Self {
        if !self.is_off {
            let field = match text.into() {
                Cow::Borrowed(text) => Field::Str(text),
                Cow::Owned(text) => Field::Text(text),
            };
            self.fields.set(fact, field);
        }
        self
    }

    pub(super) fn count(mut self, fact: Fact, count: impl TryInto<i64>) -> Self {
        if !self.is_off
            && let Ok(count) = count.try_into()
        {
            self.fields.set(fact, Field::Int(count));
        }
        self
    }

    pub(super) fn url(mut self, base_url: impl Into<Cow<'a, str>>) -> Self {
        if self.is_off {
            return self;
        }
        let base_url = base_url.into();
        if let Some(address) = url::server_address(&base_url) {
            let address = Field::Text(address.to_owned());
            self.fields.set(Fact::ServerAddress, address);
        }
        if let Some(port) = url::server_port(&base_url) {
            self.fields.set(Fact::ServerPort, Field::Int(port));
        }
        self.later(move |_, call| call.base_url(|| base_url.into_owned()))
    }

    pub(super) fn content(self, fact: Fact, value: impl Serialize + 'a) -> Self {
        self.later(move |_, call| call.content(fact, || content_text(&value)))
    }

    pub(super) fn later(mut self, tell: impl FnOnce(&OwnedSpan, &Call) + 'a) -> Self {
        if !self.is_off {
            self.later.push(Box::new(tell));
        }
        self
    }
}

impl<K: SpanKind> Start<'_, K> {
    /// Starts the span.
    ///
    /// Its ids are those that the store and OTLP know it by. Where no layer listens this does nothing,
    /// and so does everything that is called on what it gives.
    #[must_use = "a span that is dropped at once ends at once"]
    pub fn start(self) -> OwnedSpan {
        let parent = match (&self.parent_span, self.parent) {
            (Some(span), _) => Some(span),
            (None, Some(owned)) => Some(owned.as_parent()),
            (None, None) => None,
        };
        let open = || {
            opening_at(self.began_ns, || {
                callsite::open(K::KIND, parent, &self.fields)
            })
        };
        // A span that is held knows its subscriber; the thread that goes on with it may not.
        let span = parent
            .and_then(|parent| {
                parent.with_subscriber(|(_, dispatch)| {
                    tracing::dispatcher::with_default(dispatch, open)
                })
            })
            .unwrap_or_else(open);
        for cause in &self.follows {
            span.follows_from(cause);
        }
        let around = span
            .is_disabled()
            .then(|| parent.cloned().unwrap_or_else(Span::current));
        let returns = Returns {
            result: true,
            response: true,
        };
        let call = Call::new(span, returns);
        call.settle_ids();
        let owned = OwnedSpan::new(call, around);
        for tell in self.later {
            tell(&owned, owned.call());
        }
        owned
    }
}

impl<K: SpanKind> fmt::Debug for Start<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Start")
            .field("kind", &K::KIND)
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

/// Nanoseconds since the Unix epoch; times before it become zero, those after 2262 its end.
pub(super) fn unix_ns(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| {
        i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
    })
}

/// A text as it is, anything else as JSON.
pub(super) fn content_text(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(text)) => text,
        Ok(json) => json.to_string(),
        Err(_) => String::new(),
    }
}
