//! The start of a span: what it is, whose child, which run, and its number among its siblings.

use std::borrow::Cow;
use std::sync::Arc;

use super::callsite::Shape;
use super::clock::Clock;
use super::layer::Core;
use super::open::{OpenSpan, State, Tally};
use super::visitor::Visited;
use crate::record::{Facts, RunId, RunRecord, SpanId, TraceId, Value};
use crate::semconv::{Fact, Kind};

impl Core {
    /// Makes the open span of a new `tracing` span.
    pub(super) fn start(
        &self,
        shape: Arc<Shape>,
        parent: Option<Arc<OpenSpan>>,
        facts: Vec<(Fact, Value)>,
        extra: Vec<(Cow<'static, str>, Value)>,
    ) -> Arc<OpenSpan> {
        let clock = parent
            .as_ref()
            .map_or_else(Clock::read, |parent| parent.clock);
        let mut known = Facts::default();
        for (fact, value) in facts {
            known.set(fact, value);
        }
        let kind = kind_of(&shape, &known).or(self.captures_all.then_some(Kind::Step));
        let (trace_id, run, is_in_session) = place(parent.as_ref(), kind, clock.now_ns());
        let state = State {
            kind: None,
            given_name: None,
            trace_id,
            span_id: SpanId::generate(),
            run,
            is_in_session,
            is_kept: true,
            was_kept: true,
            facts: known,
            extra,
            events: Vec::new(),
            links: Vec::new(),
            outcome: None,
            class: None,
            retries: None,
            tally: Tally::default(),
        };
        let open = Arc::new(OpenSpan::new(
            self.live.number(),
            shape,
            clock,
            parent,
            state,
        ));
        if let Some(kind) = kind {
            adopt(&open, kind);
        }
        let is_kept = self.filter_keeps(&open);
        let mut state = open.state();
        state.is_kept = is_kept;
        state.was_kept = is_kept;
        drop(state);
        open
    }

    /// Takes in fields recorded later.
    pub(super) fn record(&self, open: &Arc<OpenSpan>, visited: Visited<'_>) {
        let (facts, extra) = (visited.facts, visited.extra);
        let late_kind = {
            let mut state = open.state();
            // Once the function has returned, these two are our own word to other layers.
            let has_returned = state.outcome.is_some();
            for (fact, value) in facts {
                if !(has_returned && matches!(fact, Fact::OtelStatusCode | Fact::ErrorType)) {
                    state.facts.set(fact, value);
                }
            }
            for (name, value) in extra {
                state.put_extra(name, value);
            }
            // With `capture_all` a span counts as a step until it says better.
            let is_settled = state.kind.is_some_and(|kind| {
                !self.captures_all || kind != Kind::Step || open.shape.kind.is_some()
            });
            if is_settled {
                None
            } else {
                kind_of(&open.shape, &state.facts)
            }
        };
        if let Some(kind) = late_kind.filter(|kind| open.kind() != Some(*kind)) {
            adopt(open, kind);
        }
        if self.filter.reads_fields() {
            let is_kept = self.filter_keeps(open);
            let mut state = open.state();
            state.is_kept = is_kept;
            state.was_kept |= is_kept;
        }
    }

    pub(super) fn filter_keeps(&self, open: &OpenSpan) -> bool {
        if self.filter.is_empty() {
            return true;
        }
        let state = open.state();
        self.filter
            .keeps(open.metadata(), state.kind, &state.facts, &state.extra)
    }
}

/// What the name and the facts say a span is. A stated operation beats a stated kind, for it tells
/// more; our own span names beat both.
fn kind_of(shape: &Shape, facts: &Facts) -> Option<Kind> {
    shape
        .kind
        .or_else(|| {
            facts
                .text(Fact::Operation)
                .and_then(Kind::of_operation)
                .map(|kind| {
                    // Our macros state both: a turn is an `invoke_agent` of kind CHAIN.
                    match (kind, facts.text(Fact::SpanKind)) {
                        (Kind::Agent, Some("CHAIN")) => Kind::Turn,
                        _ => kind,
                    }
                })
        })
        .or_else(|| {
            facts
                .text(Fact::SpanKind)
                .and_then(Kind::of_span_kind)
                .map(|kind| {
                    let is_session = kind == Kind::Agent
                        && facts.get(Fact::SessionId).is_some()
                        && shape
                            .metadata
                            .fields()
                            .field(Fact::SpanKind.name())
                            .is_some();
                    if is_session { Kind::Session } else { kind }
                })
        })
}

/// The trace, the run, and whether the run is a session's.
fn place(
    parent: Option<&Arc<OpenSpan>>,
    kind: Option<Kind>,
    now_ns: i64,
) -> (TraceId, RunRecord, bool) {
    let is_session = kind == Some(Kind::Session);
    let new_run = || RunRecord {
        run_id: RunId::generate(now_ns),
        is_root: true,
    };
    let Some(parent) = parent else {
        return (TraceId::generate(now_ns), new_run(), is_session);
    };
    // An ancestor that nobody has recognised yet makes no run of its own.
    let above = parent.chain().find(|open| open.kind().is_some());
    let trace_id = parent.state().trace_id;
    match above {
        None => (trace_id, new_run(), is_session),
        Some(above) => {
            let above = above.state();
            if is_session && !above.is_in_session {
                drop(above);
                (trace_id, new_run(), true)
            } else {
                let run = RunRecord {
                    run_id: above.run.run_id,
                    is_root: false,
                };
                (trace_id, run, above.is_in_session)
            }
        }
    }
}

/// A span has turned out to be ours: it takes its place among its siblings.
fn adopt(open: &OpenSpan, kind: Kind) {
    let mut retries = None;
    let mut number = 1;
    if let Some(scope) = open.tallied_by(kind) {
        let tally = &mut scope.state().tally;
        retries = tally.failed_call.filter(|_| kind == Kind::Chat);
        if let Some(count) = tally.count_of(kind) {
            *count += 1;
            number = *count;
        }
    }
    let metadata = open.metadata();
    let mut state = open.state();
    state.kind = Some(kind);
    state.retries = retries;
    match kind {
        Kind::Chat => state.facts.set_default(Fact::ApiCallNumber, number),
        Kind::Turn => state.facts.set_default(Fact::TurnIndex, number),
        Kind::Tool => {
            if let Some(tool) = Kind::tool_in_span_name(metadata.name()) {
                state.facts.set_default(Fact::ToolName, Cow::Borrowed(tool));
            }
        }
        _ => {}
    }
    state
        .facts
        .set(Fact::SpanKind, Cow::Borrowed(kind.span_kind()));
    if let Some(operation) = kind.operation() {
        state
            .facts
            .set_default(Fact::Operation, Cow::Borrowed(operation));
    }
    // A name of the code's own choosing is kept; ours, and those of other libraries' operations,
    // are made from the facts.
    let is_generic = Kind::of_span_name(metadata.name()).is_some()
        || metadata.name() == "chat"
        || (metadata.fields().field(Fact::SpanKind.name()).is_none() && kind != Kind::Step);
    if !is_generic {
        state.given_name = Some(Cow::Borrowed(metadata.name()));
    }
}
