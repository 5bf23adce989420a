//! A span that is open: what is known of it so far, shared by its children, handles and the writer.
//!
//! An object lives longer than its span: once that is over it is used for another
//! ([`super::pool`]). What never changes while a span is open stands outside the lock.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::{Mutex, MutexGuard};
use tracing::Metadata;
use tracing::span::Id;

use super::attached::RemoteParent;
use super::callsite::Shape;
use super::clock::Clock;
use super::notes::Notes;
use super::state::{Outcome, State};
use crate::record::{ErrorClass, RunId, RunRecord, SpanId, TraceId, Value};
use crate::semconv::{Fact, Kind};

/// Links kept per span; the SDK's own limit.
const MAX_LINKS: usize = 128;

/// A captured span, from its start to its record.
#[derive(Debug)]
pub(crate) struct OpenSpan {
    pub(super) origin: Origin,
    /// The ids that hold where spans are exported: those of the OTel span, if there is one.
    pub(super) final_ids: OnceLock<Ids>,
    is_announced: AtomicBool,
    state: Mutex<State>,
}

/// What is known of a span at its start and never changes.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "answers to questions that have nothing in common"
)]
pub(super) struct Origin {
    pub(super) shape: &'static Shape,
    pub(super) clock: Clock,
    pub(super) start_ns: i64,
    /// What `tracing` calls the span; it says so of another one once this one is closed.
    pub(super) tracing_id: Id,
    /// The nearest enclosing span that capture sees.
    pub(super) parent: Option<Arc<OpenSpan>>,
    /// Whether no span of others stands between this one and its parent.
    pub(super) is_next_to_parent: bool,
    /// The parent in another process, where there is none in this one.
    pub(super) remote: Option<Box<RemoteParent>>,
    /// Whether another library's span may describe the same call.
    pub(super) is_in_other: bool,
    pub(super) run: RunRecord,
    /// Whether the run is that of a session.
    pub(super) is_in_session: bool,
    /// The ids given by Hermes.
    pub(super) own_ids: Ids,
    /// Whether OTel may give it others.
    pub(super) is_exported: bool,
    /// Whether the record is sure to say what the span carries, whatever OTel was told.
    pub(super) is_known: bool,
}

/// By what a span is known outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    /// Whether OTel exports the span.
    pub(super) is_sampled: bool,
}

impl OpenSpan {
    /// An object without a span.
    #[cold]
    pub(super) fn vacant(shape: &'static Shape, id: &Id) -> Self {
        OpenSpan {
            origin: Origin {
                shape,
                clock: Clock::read(),
                start_ns: 0,
                tracing_id: id.clone(),
                parent: None,
                is_next_to_parent: false,
                remote: None,
                is_in_other: false,
                run: RunRecord {
                    run_id: RunId::generate(0),
                    is_root: false,
                },
                is_in_session: false,
                own_ids: Ids {
                    trace_id: TraceId::generate(0),
                    span_id: SpanId::generate(),
                    is_sampled: false,
                },
                is_exported: false,
                is_known: false,
            },
            final_ids: OnceLock::new(),
            is_announced: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    /// The state of a span that nobody else sees.
    #[inline]
    pub(super) fn own_state(&mut self) -> &mut State {
        self.state.get_mut()
    }

    /// The state, locked. Nothing that runs user code or takes another lock may happen under it.
    #[inline]
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(super) fn metadata(&self) -> &'static Metadata<'static> {
        self.origin.shape.metadata
    }

    /// Whether `tracing` calls the span by this id.
    pub(super) fn is_called(&self, id: &Id) -> bool {
        self.origin.tracing_id == *id
    }

    /// The kind, once it is known.
    #[inline]
    pub(crate) fn kind(&self) -> Option<Kind> {
        self.origin.shape.kind.or_else(|| self.state().found_kind)
    }

    #[inline]
    pub(super) fn trace_id(&self) -> TraceId {
        self.final_ids
            .get()
            .unwrap_or(&self.origin.own_ids)
            .trace_id
    }

    /// The ids by which the span is known outside.
    pub(crate) fn ids(&self) -> (TraceId, SpanId) {
        let ids = self.known_ids();
        (ids.trace_id, ids.span_id)
    }

    #[inline]
    pub(super) fn known_ids(&self) -> Ids {
        *self.final_ids.get().unwrap_or(&self.origin.own_ids)
    }

    /// Whether the store was shown the span while it runs.
    #[inline]
    pub(super) fn is_announced(&self) -> bool {
        self.is_announced.load(Ordering::Acquire)
    }

    /// From here on the store shows the span.
    pub(super) fn set_announced(&self) {
        self.is_announced.store(true, Ordering::Release);
    }

    /// The run that the span belongs to.
    pub(crate) fn run_id(&self) -> RunId {
        self.origin.run.run_id
    }

    /// Whether the ids will not change any more.
    #[inline]
    pub(super) fn is_final(&self) -> bool {
        !self.origin.is_exported || self.final_ids.get().is_some()
    }

    /// This span and those around it, innermost first.
    pub(crate) fn chain(self: &Arc<Self>) -> impl Iterator<Item = &Arc<OpenSpan>> {
        std::iter::successors(Some(self), |open| open.origin.parent.as_ref())
    }

    /// The spans around this one, innermost first.
    pub(super) fn ancestors(&self) -> impl Iterator<Item = &Arc<OpenSpan>> {
        std::iter::successors(self.origin.parent.as_ref(), |open| {
            open.origin.parent.as_ref()
        })
    }

    /// The span that sums up spans of this kind: a call's turn, a turn's session or agent.
    #[inline]
    pub(super) fn tallied_by(&self, kind: Kind) -> Option<&Arc<OpenSpan>> {
        let is_inner = match kind {
            Kind::Chat | Kind::Tool => true,
            Kind::Turn => false,
            _ => return None,
        };
        // Where nearly all calls stand.
        let next = self.origin.parent.as_ref();
        if is_inner && next.is_some_and(|next| next.origin.shape.kind == Some(Kind::Turn)) {
            return next;
        }
        self.tallied_by_one_of(is_inner)
    }

    fn tallied_by_one_of(&self, is_inner: bool) -> Option<&Arc<OpenSpan>> {
        let mut outer = None;
        for open in self.ancestors() {
            match open.kind() {
                Some(Kind::Turn) if is_inner => return Some(open),
                Some(Kind::Agent | Kind::Session) if !is_inner => return Some(open),
                Some(Kind::Agent | Kind::Session) if outer.is_none() => outer = Some(open),
                _ => {}
            }
        }
        outer
    }

    /// Whether the span is stored, as far as is known.
    pub(super) fn is_kept(&self) -> bool {
        self.kind().is_some() && !self.state().is_hidden()
    }

    /// Whether the span is a part of the call around it.
    pub(super) fn is_part(&self) -> bool {
        self.state().is_part
    }

    /// Whether the capture filter takes the span out, as far as is known.
    pub(super) fn is_left_out(&self) -> bool {
        self.state().is_left_out
    }

    /// The nearest ancestor that is stored.
    pub(super) fn kept_parent(&self) -> Option<SpanId> {
        self.ancestors()
            .find(|open| open.is_kept())
            .map(|open| open.ids().1)
    }

    /// States a fact.
    pub(crate) fn set(&self, fact: Fact, value: impl Into<Value>) {
        let value = value.into();
        self.set_all(|notes| notes.set(fact, value));
    }

    /// States several facts at once.
    pub(crate) fn set_all(&self, facts: impl FnOnce(&mut Notes)) {
        let mut state = self.state();
        if !state.is_over {
            facts(&mut state.said.notes);
        }
    }

    /// Notes a span that this one follows from.
    pub(crate) fn link(&self, linked: (TraceId, SpanId)) {
        let mut state = self.state();
        let is_known = state.links.contains(&linked);
        if !(state.is_over || is_known) && state.links.len() < MAX_LINKS {
            state.links.push(linked);
        }
    }

    /// States a field that no table knows; a known one finds its fact.
    pub(crate) fn set_named(&self, name: Cow<'static, str>, value: Value) {
        if let Some(fact) = Fact::named(&name) {
            return self.set(fact, value);
        }
        let mut state = self.state();
        if !state.is_over {
            state.said.put_extra(name, value);
        }
    }

    /// Says how the annotated function ended. The first word counts.
    pub(crate) fn end_with(&self, outcome: Outcome) {
        let mut state = self.state();
        if let Outcome::Failed { .. } = outcome {
            state.class = state.class.or(state.exchanges.failure());
        }
        state.outcome.get_or_insert(outcome);
    }

    /// Takes back that the function returned: what it returned goes on, and will say how that ended.
    pub(crate) fn goes_on(&self) {
        let mut state = self.state();
        if let Some(Outcome::Returned(_)) = state.outcome {
            state.outcome = None;
        }
    }

    /// The error class that the code states.
    pub(crate) fn set_class(&self, class: ErrorClass) {
        self.state().class = Some(class);
    }

    /// The error class that is found, where the code states none.
    pub(crate) fn set_found_class(&self, class: ErrorClass) {
        self.state().class.get_or_insert(class);
    }

    /// Seconds since the span started.
    pub(crate) fn elapsed_s(&self) -> f64 {
        seconds(
            self.origin
                .clock
                .now_ns()
                .saturating_sub(self.origin.start_ns),
        )
    }

    /// Forgets the span, so that another can take its place.
    #[inline]
    pub(super) fn clear(&mut self) {
        if self.origin.parent.is_some() {
            self.let_go_of_parents();
        }
        if self.origin.remote.is_some() {
            self.origin.remote = None;
        }
        if self.origin.is_exported {
            self.final_ids.take();
        }
        *self.is_announced.get_mut() = false;
        self.own_state().clear();
    }

    /// Lets go of the spans around it one by one: dropped as a chain, the last child of many nested
    /// spans would take as many stack frames.
    #[inline(never)]
    fn let_go_of_parents(&mut self) {
        let mut parent = self.origin.parent.take();
        while let Some(mut open) = parent {
            // Most have other children, and the count alone tells so.
            parent = (Arc::strong_count(&open) == 1)
                .then(|| Arc::get_mut(&mut open)?.origin.parent.take())
                .flatten();
        }
    }
}

impl Drop for OpenSpan {
    fn drop(&mut self) {
        self.let_go_of_parents();
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
