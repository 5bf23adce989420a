//! The start of a span: what it is, whose child, which run, and its number among its siblings.

use std::sync::Arc;

use tracing::span::{Attributes, Id};

use super::attached::RemoteParent;
use super::callsite::Shape;
use super::clock::Clock;
use super::core::Core;
use super::notes::Notes;
use super::open::{Ids, OpenSpan, State};
use super::opening::take_stated_start;
use super::visitor::Visitor;
use crate::record::{RunId, RunRecord, SpanId, TraceId, Value};
use crate::semconv::{Fact, Kind};

/// The nearest enclosing span that capture sees.
pub(super) struct Parent {
    pub(super) open: Arc<OpenSpan>,
    /// Whether no span of others stands between.
    pub(super) is_next: bool,
}

/// What a new span stands below.
#[derive(Default)]
pub(super) enum Above {
    /// Nothing: a trace begins.
    #[default]
    Nothing,
    Local(Parent),
    /// A span of another process.
    Remote(Box<RemoteParent>),
}

impl Core {
    /// Makes the open span of a new `tracing` span.
    pub(super) fn start(&self, attributes: &Attributes<'_>, id: &Id, above: Above) {
        let shape = self.dialects.shape(attributes.metadata());
        let spare = self.spans.pool.span();
        let mut open = spare.unwrap_or_else(|| Arc::new(OpenSpan::vacant(shape, id)));
        if let Some(span) = Arc::get_mut(&mut open) {
            let said = &mut span.own_state().said;
            attributes.record(&mut Visitor::own(shape, self.keeps(), said));
            let kind = kind_of(shape, &said.notes).or(self.captures_all.then_some(Kind::Step));
            self.settle(span, shape, id, above, kind);
        }
        self.spans.insert(id, open);
    }

    /// Gives a new span its place.
    fn settle(
        &self,
        span: &mut OpenSpan,
        shape: &'static Shape,
        id: &Id,
        above: Above,
        kind: Option<Kind>,
    ) {
        let (parent, remote) = match above {
            Above::Nothing => (None, None),
            Above::Local(parent) => (Some(parent), None),
            Above::Remote(remote) => (None, Some(remote)),
        };
        let around = parent.as_ref().map(|parent| &parent.open);
        let clock = around.map_or_else(Clock::read, |around| around.origin.clock);
        let start_ns = take_stated_start().unwrap_or_else(|| clock.now_ns());
        let place = place(around, kind, start_ns);
        let origin = &mut span.origin;
        origin.shape = shape;
        origin.clock = clock;
        origin.start_ns = start_ns;
        origin.tracing_id = id.clone();
        origin.run = place.run;
        origin.is_in_session = place.is_in_session;
        origin.own_ids = Ids {
            trace_id: place.trace_id,
            span_id: SpanId::generate(),
            is_sampled: false,
        };
        origin.is_exported = self.wire.is_some();
        origin.is_next_to_parent = parent.as_ref().is_some_and(|parent| parent.is_next);
        origin.is_in_other = parent.as_ref().is_some_and(|parent| parent.open.is_other());
        origin.parent = parent.map(|parent| parent.open);
        if let Some(remote) = remote {
            span.adopt(remote);
        }
        if let Some(kind) = kind {
            if span.may_be_part() && span.whole(kind).is_some() {
                let state = span.own_state();
                state.found_kind = Some(kind);
                state.is_part = true;
            } else {
                let rank = span.rank(kind);
                rank.give(kind, span.own_state());
            }
        }
        let is_left_out = !self.filter.is_empty() && !self.filter_keeps(span);
        let state = span.own_state();
        state.is_left_out = is_left_out;
        state.was_kept = !is_left_out && !state.is_part;
    }

    /// Looks again at what a span is, after fields were recorded late.
    pub(super) fn reconsider(&self, open: &OpenSpan) {
        if open.origin.shape.kind.is_none() {
            let late_kind = {
                let state = open.state();
                // With `capture_all` a span counts as a step until it says better.
                let is_open_to_more = state.found_kind.is_none()
                    || (self.captures_all && state.found_kind == Some(Kind::Step));
                is_open_to_more
                    .then(|| kind_of(open.origin.shape, &state.said.notes))
                    .flatten()
                    .filter(|kind| state.found_kind != Some(*kind))
            };
            if let Some(kind) = late_kind {
                open.turn_out(kind);
            }
        }
        if self.filter.reads_fields() {
            let is_kept = self.filter_keeps(open);
            let mut state = open.state();
            state.is_left_out = !is_kept;
            state.was_kept |= is_kept && !state.is_part;
        }
    }

    #[inline]
    pub(super) fn filter_keeps(&self, open: &OpenSpan) -> bool {
        if self.filter.is_empty() {
            return true;
        }
        let kind = open.kind();
        let facts = match kind {
            Some(kind) => open.facts(kind),
            None => open.state().said.notes.read().facts(),
        };
        let state = open.state();
        self.filter
            .keeps(open.metadata(), kind, &facts, &state.said.extra)
    }
}

/// What the name and the facts say a span is. A stated operation beats a stated kind, for it tells
/// more; our own span names beat both.
fn kind_of(shape: &Shape, notes: &Notes) -> Option<Kind> {
    shape
        .kind
        .or_else(|| {
            notes
                .text_of(Fact::Operation)
                .and_then(Kind::of_operation)
                .map(|kind| {
                    // Our macros state both: a turn is an `invoke_agent` of kind CHAIN.
                    match (kind, notes.text_of(Fact::SpanKind)) {
                        (Kind::Agent, Some("CHAIN")) => Kind::Turn,
                        _ => kind,
                    }
                })
        })
        .or_else(|| {
            notes
                .text_of(Fact::SpanKind)
                .and_then(Kind::of_span_kind)
                .map(|kind| {
                    let is_session = kind == Kind::Agent
                        && notes.get(Fact::SessionId).is_some()
                        && shape
                            .metadata
                            .fields()
                            .field(Fact::SpanKind.name())
                            .is_some();
                    if is_session { Kind::Session } else { kind }
                })
        })
        .or_else(|| shape.dialect.and_then(|dialect| dialect.kind_with(notes)))
}

/// Where a span stands.
struct Standing {
    trace_id: TraceId,
    run: RunRecord,
    is_in_session: bool,
}

#[inline]
fn place(parent: Option<&Arc<OpenSpan>>, kind: Option<Kind>, now_ns: i64) -> Standing {
    let is_session = kind == Some(Kind::Session);
    let new_run = || RunRecord {
        run_id: RunId::generate(now_ns),
        is_root: true,
    };
    let Some(parent) = parent else {
        return Standing {
            trace_id: TraceId::generate(now_ns),
            run: new_run(),
            is_in_session: is_session,
        };
    };
    // An ancestor that nobody has recognised yet makes no run of its own.
    let above = parent.chain().find(|open| open.kind().is_some());
    let (run, is_in_session) = match above {
        Some(above) if !is_session || above.origin.is_in_session => {
            let run = RunRecord {
                run_id: above.origin.run.run_id,
                is_root: false,
            };
            (run, above.origin.is_in_session)
        }
        _ => (new_run(), is_session),
    };
    Standing {
        trace_id: parent.ids().0,
        run,
        is_in_session,
    }
}

impl OpenSpan {
    /// Makes a span that nobody else sees the child of another process's span.
    #[cold]
    fn adopt(&mut self, remote: Box<RemoteParent>) {
        if let Some(trace_id) = remote.context.trace_id() {
            self.origin.own_ids.trace_id = trace_id;
        }
        let session = remote.context.baggage().get(Fact::SessionId.name());
        if let Some(session) = session.map(|session| Value::from(session.to_owned())) {
            let notes = &mut self.own_state().said.notes;
            notes.set_default(Fact::SessionId, session);
        }
        self.origin.remote = Some(remote);
    }
}

/// A span's place among its siblings.
struct Rank {
    ordinal: i64,
    retries: Option<SpanId>,
}

impl OpenSpan {
    /// Whether the span is another library's, or stands in one that may describe the same call.
    #[inline]
    fn is_other(&self) -> bool {
        let origin = &self.origin;
        // Our own steps say nothing of whose call it is.
        !origin.shape.is_own || (origin.shape.kind == Some(Kind::Step) && origin.is_in_other)
    }

    /// Whether the span may describe the same call as one around it.
    #[inline]
    pub(super) fn may_be_part(&self) -> bool {
        !self.origin.shape.is_own || self.origin.is_in_other
    }

    /// Takes note of what a span turned out to be after it started.
    pub(super) fn turn_out(&self, kind: Kind) {
        if self.whole(kind).is_some() {
            let mut state = self.state();
            state.found_kind = Some(kind);
            state.is_part = true;
            return;
        }
        let rank = self.rank(kind);
        rank.give(kind, &mut self.state());
    }

    /// What looked like a part of the call around it turned out to be another: it counts itself.
    #[cold]
    pub(super) fn stand_alone(&self, kind: Kind) {
        let is_to_count = {
            let mut state = self.state();
            !state.is_over && std::mem::take(&mut state.is_part)
        };
        if is_to_count {
            let rank = self.rank(kind);
            let mut state = self.state();
            rank.give(kind, &mut state);
        }
    }

    /// Tells spans around that nobody has recognised yet that a call stands in them.
    #[cold]
    fn tell_of_call(&self) {
        for open in self.ancestors() {
            match open.kind() {
                None => open.state().has_inner = true,
                Some(Kind::Step) => {}
                Some(_) => return,
            }
        }
    }

    /// Counts a span that has turned out to be ours.
    #[inline]
    fn rank(&self, kind: Kind) -> Rank {
        let mut rank = Rank {
            ordinal: 1,
            retries: None,
        };
        if self.origin.is_in_other {
            self.tell_of_call();
        }
        if let Some(scope) = self.tallied_by(kind) {
            let tally = &mut scope.state().tally;
            rank.retries = tally.failed_call.filter(|_| kind == Kind::Chat);
            if let Some(count) = tally.count_of(kind) {
                *count += 1;
                rank.ordinal = *count;
            }
        }
        rank
    }
}

impl Rank {
    #[inline]
    fn give(self, kind: Kind, state: &mut State) {
        state.found_kind = Some(kind);
        state.ordinal = self.ordinal;
        state.retries = self.retries;
    }
}
