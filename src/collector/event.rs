//! What happens in an agent as one event after the other: what a collector has to know of each.

use std::borrow::Cow;
use std::time::SystemTime;

use serde_json::Value;

use crate::record::{SpanId, TraceId, Usage};
use crate::semconv::Kind;

/// Which part of a span's life an event tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// It begins.
    Start,
    /// A part of a streamed answer, or any sign of life.
    Delta,
    /// It did what it should.
    End,
    /// It failed.
    Error,
    /// Somebody gave it up.
    Cancel,
}

/// What an event says, borrowed from it. Made by [`Told::new`] and its setters.
///
/// ```
/// use hermes::collector::{Phase, Told};
/// use hermes::Kind;
///
/// let told = Told::new(Kind::Tool, Phase::Start, "call_1").session("s-1").name("search");
/// assert_eq!(told.id, "call_1");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Told<'a> {
    /// What it is that begins, goes on or ends.
    pub kind: Kind,
    /// Which of these.
    pub phase: Phase,
    /// Which one of its kind: the id of the session, the turn, the call. May be empty where there is one
    /// at a time.
    pub id: Cow<'a, str>,
    /// The session it is part of; the one that began last where it is not said.
    pub session: Option<Cow<'a, str>>,
    /// The id of what it stands in, of whichever kind; else the innermost turn, agent or session.
    pub parent: Option<Cow<'a, str>>,
    /// The model of a call, the name of a tool or agent.
    pub name: Option<Cow<'a, str>>,
    /// When it happened; now, where it is not said.
    pub at: Option<SystemTime>,
    /// What goes in, at the start; a part of the answer, in between; what comes out, at the end. *Content.*
    pub content: Option<Cow<'a, Value>>,
    /// What a model call used.
    pub usage: Option<Usage>,
    /// Why a model stopped.
    pub finish_reason: Option<Cow<'a, str>>,
    /// The model that answered.
    pub response_model: Option<Cow<'a, str>>,
    /// The provider of a model.
    pub provider: Option<Cow<'a, str>>,
    /// Where the user of a session is.
    pub platform: Option<Cow<'a, str>>,
    /// The type of an error.
    pub error_type: Option<Cow<'a, str>>,
    /// The text of an error. Redacted and cut before it is kept.
    pub error_message: Option<Cow<'a, str>>,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $field:ident: $type:ty,)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $field(mut self, $field: impl Into<$type>) -> Self {
            self.$field = Some($field.into());
            self
        }
    )*};
}

impl<'a> Told<'a> {
    /// One moment in the life of this.
    #[must_use]
    pub fn new(kind: Kind, phase: Phase, id: impl Into<Cow<'a, str>>) -> Self {
        Told {
            kind,
            phase,
            id: id.into(),
            session: None,
            parent: None,
            name: None,
            at: None,
            content: None,
            usage: None,
            finish_reason: None,
            response_model: None,
            provider: None,
            platform: None,
            error_type: None,
            error_message: None,
        }
    }

    setters! {
        /// The session it is part of.
        session: Cow<'a, str>,
        /// The id of what it stands in.
        parent: Cow<'a, str>,
        /// The model of a call, the name of a tool or agent.
        name: Cow<'a, str>,
        /// When it happened.
        at: SystemTime,
        /// What a model call used.
        usage: Usage,
        /// Why a model stopped.
        finish_reason: Cow<'a, str>,
        /// The model that answered.
        response_model: Cow<'a, str>,
        /// The provider of a model.
        provider: Cow<'a, str>,
        /// Where the user of a session is.
        platform: Cow<'a, str>,
        /// The type of an error.
        error_type: Cow<'a, str>,
        /// The text of an error.
        error_message: Cow<'a, str>,
    }

    /// What goes in, goes on or comes out. *Content.*
    #[must_use]
    pub fn content(mut self, content: &'a Value) -> Self {
        self.content = Some(Cow::Borrowed(content));
        self
    }
}

/// An event out of which a trace can be built; for events of one's own.
///
/// ```
/// use hermes::collector::{Phase, Told, TraceEvent};
/// use hermes::{Kind, SpanId, TraceId};
///
/// enum Mine {
///     Asked { call: u64, model: &'static str, ids: Option<(TraceId, SpanId)> },
///     Answered { call: u64 },
///     Heartbeat,
/// }
///
/// impl TraceEvent for Mine {
///     fn describe(&self) -> Option<Told<'_>> {
///         match self {
///             Mine::Asked { call, model, .. } => {
///                 Some(Told::new(Kind::Chat, Phase::Start, call.to_string()).name(*model))
///             }
///             Mine::Answered { call } => Some(Told::new(Kind::Chat, Phase::End, call.to_string())),
///             Mine::Heartbeat => None,
///         }
///     }
///
///     fn set_ids(&mut self, trace_id: TraceId, span_id: SpanId) {
///         if let Mine::Asked { ids, .. } = self {
///             *ids = Some((trace_id, span_id));
///         }
///     }
/// }
/// ```
pub trait TraceEvent {
    /// What the event tells of; `None` where it is nothing for a trace.
    fn describe(&self) -> Option<Told<'_>>;

    /// Told the ids of the span that the event is about. Not called without a Hermes layer.
    fn set_ids(&mut self, trace_id: TraceId, span_id: SpanId);

    /// Why the stream itself failed, if this says that it did: what is still open fails with it.
    fn failure(&self) -> Option<String> {
        None
    }
}

/// A stream of results tells of what is `Ok`; an `Err` fails what is open.
impl<T: TraceEvent, E: std::fmt::Display> TraceEvent for Result<T, E> {
    fn describe(&self) -> Option<Told<'_>> {
        self.as_ref().ok()?.describe()
    }

    fn set_ids(&mut self, trace_id: TraceId, span_id: SpanId) {
        if let Ok(event) = self {
            event.set_ids(trace_id, span_id);
        }
    }

    fn failure(&self) -> Option<String> {
        match self {
            Ok(event) => event.failure(),
            Err(error) => Some(error.to_string()),
        }
    }
}

/// An event of an agent's life, for programs that have no type of their own for it.
///
/// ```
/// use hermes::collector::{AgentEvent, Phase};
/// use hermes::Kind;
///
/// let event = AgentEvent::new(Kind::Chat, Phase::Start, "call-1").session("s-1").name("gpt-4o");
/// assert_eq!(event.trace_id, None, "a collector fills it in");
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct AgentEvent {
    /// What is told.
    pub told: Told<'static>,
    /// The trace, once a collector has seen the event.
    pub trace_id: Option<TraceId>,
    /// The span, once a collector has seen the event.
    pub span_id: Option<SpanId>,
}

macro_rules! owned_setters {
    ($($(#[$doc:meta])* $field:ident: $type:ty,)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $field(mut self, $field: impl Into<$type>) -> Self {
            self.told.$field = Some(Cow::Owned($field.into()));
            self
        }
    )*};
}

impl AgentEvent {
    /// One moment in the life of this.
    #[must_use]
    pub fn new(kind: Kind, phase: Phase, id: impl Into<String>) -> Self {
        AgentEvent {
            told: Told::new(kind, phase, id.into()),
            trace_id: None,
            span_id: None,
        }
    }

    owned_setters! {
        /// The session it is part of.
        session: String,
        /// The id of what it stands in.
        parent: String,
        /// The model of a call, the name of a tool or agent.
        name: String,
        /// What goes in, goes on or comes out. *Content.*
        content: Value,
        /// Why a model stopped.
        finish_reason: String,
        /// The model that answered.
        response_model: String,
        /// The provider of a model.
        provider: String,
        /// Where the user of a session is.
        platform: String,
        /// The type of an error.
        error_type: String,
        /// The text of an error.
        error_message: String,
    }

    /// When it happened.
    #[must_use]
    pub fn at(mut self, at: SystemTime) -> Self {
        self.told.at = Some(at);
        self
    }

    /// What a model call used.
    #[must_use]
    pub fn usage(mut self, usage: Usage) -> Self {
        self.told.usage = Some(usage);
        self
    }
}

impl TraceEvent for AgentEvent {
    fn describe(&self) -> Option<Told<'_>> {
        Some(self.told.clone())
    }

    fn set_ids(&mut self, trace_id: TraceId, span_id: SpanId) {
        self.trace_id = Some(trace_id);
        self.span_id = Some(span_id);
    }
}
