//! A span that is open: what is known of it so far, shared by the registry, its children and the writer.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::Metadata;

use super::callsite::Shape;
use super::clock::Clock;
use super::visitor::typed;
use crate::record::{
    ErrorClass, EventRecord, Facts, RunId, RunRecord, SpanId, SpanRecord, Status, TraceId, Value,
    Verdict,
};
use crate::semconv::{Fact, Kind};

/// Events kept per span; the SDK's own limit.
pub(super) const MAX_EVENTS: usize = 128;

/// A captured span, from its start to its close.
#[derive(Debug)]
pub(crate) struct OpenSpan {
    /// Unique in this process; `tracing` reuses its own ids.
    pub(super) number: u64,
    pub(super) shape: Arc<Shape>,
    pub(super) clock: Clock,
    pub(super) start_ns: i64,
    /// The nearest enclosing span that capture sees.
    pub(super) parent: Option<Arc<OpenSpan>>,
    /// Whether the ids are those of the OTel span, or final because there is none.
    pub(super) has_final_ids: AtomicBool,
    /// Whether the store was shown the span while it runs.
    pub(super) is_announced: AtomicBool,
    state: Mutex<State>,
}

/// What changes while the span is open.
#[derive(Debug)]
pub(super) struct State {
    /// `None`: nothing has said yet that the span is ours.
    pub(super) kind: Option<Kind>,
    pub(super) given_name: Option<Cow<'static, str>>,
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    pub(super) run: RunRecord,
    /// Whether the run is that of a session.
    pub(super) is_in_session: bool,
    /// What the capture filter says so far.
    pub(super) is_kept: bool,
    /// Whether children may have been stored under this span.
    pub(super) was_kept: bool,
    pub(super) facts: Facts,
    pub(super) extra: Vec<(Cow<'static, str>, Value)>,
    pub(super) events: Vec<EventRecord>,
    pub(super) links: Vec<(TraceId, SpanId)>,
    pub(super) outcome: Option<Outcome>,
    pub(super) class: Option<ErrorClass>,
    pub(super) retries: Option<SpanId>,
    pub(super) tally: Tally,
}

/// How an annotated function ended.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// It returned, and not an `Err`; a tool's result may still say that it failed.
    Returned(Option<Verdict>),
    /// It returned an `Err`.
    Failed {
        type_name: Option<&'static str>,
        message: Option<String>,
    },
    /// It panicked.
    Panicked { message: Option<String> },
    /// Its future was dropped.
    Cancelled,
}

/// What a turn, session or agent sums up of the spans below it.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    pub(super) api_calls: i64,
    pub(super) tool_calls: i64,
    pub(super) turns: i64,
    pub(super) input_tokens: i64,
    pub(super) output_tokens: i64,
    pub(super) cost_usd: Option<f64>,
    /// The last model call, where it failed: the next one tries again.
    pub(super) failed_call: Option<SpanId>,
}

impl OpenSpan {
    pub(super) fn new(
        number: u64,
        shape: Arc<Shape>,
        clock: Clock,
        parent: Option<Arc<OpenSpan>>,
        state: State,
    ) -> Self {
        OpenSpan {
            number,
            shape,
            clock,
            start_ns: clock.now_ns(),
            parent,
            has_final_ids: AtomicBool::new(false),
            is_announced: AtomicBool::new(false),
            state: Mutex::new(state),
        }
    }

    /// The state, locked. Nothing that runs user code or takes another lock may happen under it.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn metadata(&self) -> &'static Metadata<'static> {
        self.shape.metadata
    }

    /// The kind, once it is known.
    pub(crate) fn kind(&self) -> Option<Kind> {
        self.state().kind
    }

    /// The ids by which the span is known outside.
    pub(crate) fn ids(&self) -> (TraceId, SpanId) {
        let state = self.state();
        (state.trace_id, state.span_id)
    }

    /// The run that the span belongs to.
    pub(crate) fn run_id(&self) -> RunId {
        self.state().run.run_id
    }

    /// This span and those around it, innermost first.
    pub(crate) fn chain(self: &Arc<Self>) -> impl Iterator<Item = &Arc<OpenSpan>> {
        std::iter::successors(Some(self), |open| open.parent.as_ref())
    }

    /// The spans around this one, innermost first.
    pub(super) fn ancestors(&self) -> impl Iterator<Item = &Arc<OpenSpan>> {
        std::iter::successors(self.parent.as_ref(), |open| open.parent.as_ref())
    }

    /// The nearest enclosing span of one of these kinds.
    pub(super) fn scope(&self, kinds: &[Kind]) -> Option<&Arc<OpenSpan>> {
        self.ancestors()
            .find(|open| open.kind().is_some_and(|kind| kinds.contains(&kind)))
    }

    /// The span that sums up spans of this kind: a call's turn, a turn's session or agent.
    pub(super) fn tallied_by(&self, kind: Kind) -> Option<&Arc<OpenSpan>> {
        match kind {
            Kind::Chat | Kind::Tool => self
                .scope(&[Kind::Turn])
                .or_else(|| self.scope(&[Kind::Agent, Kind::Session])),
            Kind::Turn => self.scope(&[Kind::Session, Kind::Agent]),
            _ => None,
        }
    }

    /// States a fact.
    pub(crate) fn set(&self, fact: Fact, value: impl Into<Value>) {
        let value = typed(fact, value.into());
        self.state().facts.set(fact, value);
    }

    /// States several facts at once.
    pub(crate) fn set_all(&self, facts: impl FnOnce(&mut Facts)) {
        facts(&mut self.state().facts);
    }

    /// States a field that no table knows; a known one finds its fact.
    pub(crate) fn set_named(&self, name: Cow<'static, str>, value: Value) {
        match Fact::named(&name) {
            Some(fact) => self.set(fact, value),
            None => self.state().put_extra(name, value),
        }
    }

    /// Says how the annotated function ended. The first word counts.
    pub(crate) fn end_with(&self, outcome: Outcome) {
        self.state().outcome.get_or_insert(outcome);
    }

    /// The error class that the code states.
    pub(crate) fn set_class(&self, class: ErrorClass) {
        self.state().class = Some(class);
    }

    /// Seconds since the span started.
    pub(crate) fn elapsed_s(&self) -> f64 {
        seconds(self.clock.now_ns().saturating_sub(self.start_ns))
    }

    pub(super) fn is_final(&self) -> bool {
        self.has_final_ids.load(Ordering::Acquire)
    }

    /// The span as it is now, still running; `None` if it is not (yet) one of ours.
    pub(super) fn snapshot(&self) -> Option<SpanRecord> {
        // The parent is looked up first: no two spans are locked at once.
        let parent_span_id = self.kept_parent();
        let state = self.state();
        let kind = state.kind.filter(|_| state.is_kept)?;
        Some(SpanRecord {
            trace_id: state.trace_id,
            span_id: state.span_id,
            parent_span_id,
            wire_parent_span_id: parent_span_id,
            run: state.run.clone(),
            kind,
            given_name: state.given_name.clone(),
            start_ns: self.start_ns,
            end_ns: None,
            status: Status::Running,
            failure: None,
            facts: state.facts.clone(),
            extra: state.extra.clone(),
            events: Vec::new(),
            links: Vec::new(),
            retries: state.retries,
            withdrawn: false,
        })
    }

    /// The nearest ancestor that is stored.
    pub(super) fn kept_parent(&self) -> Option<SpanId> {
        self.ancestors().find_map(|open| {
            let state = open.state();
            (state.kind.is_some() && state.is_kept).then_some(state.span_id)
        })
    }
}

impl Tally {
    /// The count of spans of this kind.
    pub(super) fn count_of(&mut self, kind: Kind) -> Option<&mut i64> {
        match kind {
            Kind::Chat => Some(&mut self.api_calls),
            Kind::Tool => Some(&mut self.tool_calls),
            Kind::Turn => Some(&mut self.turns),
            _ => None,
        }
    }
}

impl State {
    pub(super) fn put_extra(&mut self, name: Cow<'static, str>, value: Value) {
        match self.extra.iter_mut().find(|(known, _)| *known == name) {
            Some(slot) => slot.1 = value,
            None => self.extra.push((name, value)),
        }
    }

    pub(super) fn put_event(&mut self, event: EventRecord) {
        if self.events.len() < MAX_EVENTS {
            self.events.push(event);
        }
    }
}

/// Nanoseconds as seconds.
pub(super) fn seconds(nanos: i64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        reason = "2^53 ns are a hundred days, to the nanosecond"
    )]
    let nanos = nanos.max(0) as f64;
    nanos / 1e9
}
