//! The start of a span: what it is, whose child, which run, and its number among its siblings.

use std::sync::Arc;

use tracing::span::{Attributes, Id};

use super::attached::RemoteParent;
use super::callsite::Shape;
use super::clock::Clock;
use super::core::Core;
use super::notes::Notes;
use super::open::{OpenSpan, Origin};
use super::opening::take_stated_start;
use super::state::State;
use super::visitor::Visitor;
use crate::record::{RunId, SpanId, TraceId, Value};
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
    #[inline]
    pub(super) fn start(&self, attributes: &Attributes<'_>, id: &Id, above: Above) {
        let shape = self.dialects.shape(attributes.metadata());
        let spare = self.spans.pool.span();
        let mut open = spare.unwrap_or_else(|| Arc::new(OpenSpan::vacant(shape, id)));
        if let Some(span) = Arc::get_mut(&mut open) {
            self.spans.pool.send_for_draft();
            let said = &mut span.own_state().said;
            attributes.record(&mut Visitor::own(shape, self.keeps(), said));
            let kind = kind_of(shape, &said.notes).or(self.captures_all.then_some(Kind::Step));
            span.origin.shape = shape;
            span.origin.tracing_id = id.clone();
            span.origin.is_exported = self.wire.is_some();
            span.origin.is_known = kind.is_some();
            span.place(kind, above);
            if let Some(kind) = kind {
                span.begin_as(kind);
            }
            let is_left_out = !self.filter.is_empty() && !self.filter_keeps(span);
            let state = span.own_state();
            state.is_left_out = is_left_out;
            state.was_kept = !is_left_out && !state.is_part;
        }
        self.spans.insert(id, open);
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
        self.filter.is_empty() || self.filter_lets_through(open)
    }

    #[inline(never)]
    fn filter_lets_through(&self, open: &OpenSpan) -> bool {
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

impl OpenSpan {
    /// Gives a new span its place, its start and its ids.
    #[inline]
    fn place(&mut self, kind: Option<Kind>, above: Above) {
        match above {
            Above::Local(parent) => self.place_in(kind, parent),
            Above::Nothing => self.place_outermost(kind),
            Above::Remote(remote) => {
                self.place_outermost(kind);
                self.adopt(remote);
            }
        }
    }

    // Field by field, here and below: what is put together first and then copied waits for its parts
    // to get to memory.
    #[inline]
    fn place_in(&mut self, kind: Option<Kind>, parent: Parent) {
        let Parent { open, is_next } = parent;
        let origin = &mut self.origin;
        origin.clock = open.origin.clock;
        origin.start_ns = take_stated_start().unwrap_or_else(|| origin.clock.now_ns());
        origin.own_ids.trace_id = open.trace_id();
        origin.own_ids.span_id = SpanId::generate();
        origin.is_next_to_parent = is_next;
        origin.is_in_other = open.is_other();
        // An ancestor that nobody has recognised yet makes no run of its own.
        let above = open.chain().find(|open| open.kind().is_some());
        let is_session = kind == Some(Kind::Session);
        match above {
            Some(above) if !is_session || above.origin.is_in_session => {
                origin.run.run_id = above.origin.run.run_id;
                origin.run.is_root = false;
                origin.is_in_session = above.origin.is_in_session;
            }
            _ => origin.begin_run(is_session),
        }
        origin.parent = Some(open);
    }

    #[cold]
    fn place_outermost(&mut self, kind: Option<Kind>) {
        let origin = &mut self.origin;
        origin.clock = Clock::read();
        origin.start_ns = take_stated_start().unwrap_or_else(|| origin.clock.now_ns());
        origin.own_ids.trace_id = TraceId::generate(origin.start_ns);
        origin.own_ids.span_id = SpanId::generate();
        origin.is_next_to_parent = false;
        origin.is_in_other = false;
        origin.begin_run(kind == Some(Kind::Session));
    }

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

    /// Takes note of what a new span is.
    #[inline]
    fn begin_as(&mut self, kind: Kind) {
        if self.may_be_part() && self.whole(kind).is_some() {
            let state = self.own_state();
            state.found_kind = Some(kind);
            state.is_part = true;
        } else {
            let rank = self.rank(kind);
            rank.give(kind, self.own_state());
        }
    }
}

impl Origin {
    #[cold]
    fn begin_run(&mut self, is_session: bool) {
        self.run.run_id = RunId::generate(self.start_ns);
        self.run.is_root = true;
        self.is_in_session = is_session;
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
