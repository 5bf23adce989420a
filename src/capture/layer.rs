//! The hot path: every callback runs inside the instrumented program.

use std::fmt;
use std::sync::Arc;

use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::attached;
use super::close::Closed;
use super::core::Core;
use super::draft::Waiting;
use super::installed;
use super::interest::Interests;
use super::open::OpenSpan;
use super::start::{Above, Parent};
use super::state::State;
use super::visitor::{Formatted, Visitor};
use crate::pipeline::Loss;

type Around = fn(&Dispatch, &Id) -> Vec<Id>;

/// The layer itself. Code inside a span finds it by downcasting the dispatcher.
pub(crate) struct Capture {
    core: Arc<Core>,
    /// Finds the spans around a span, of whichever library; set once the subscriber's type is known.
    around: Option<Around>,
    /// Which callsites are its own, where it shares its filter with the exporter.
    shared: Option<Interests>,
}

impl Capture {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Capture {
            core,
            around: None,
            shared: None,
        }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// The filter that belongs to the layer: other libraries' callsites stay switched off.
    pub(crate) fn interests(&self) -> Interests {
        Interests::new(
            Arc::clone(&self.core.filter),
            self.core.captures_all,
            Arc::clone(&self.core.dialects),
        )
    }

    /// The layer behind a filter that lets through what the exporter wants as well.
    #[cfg(feature = "otlp")]
    pub(crate) fn sharing(self, interests: Interests) -> Self {
        Capture {
            shared: Some(interests),
            ..self
        }
    }

    /// Whether the filter let something through that is not for capture.
    #[inline]
    fn is_for_others(&self, metadata: &Metadata<'_>) -> bool {
        let shared = self.shared.as_ref();
        shared.is_some_and(|shared| !shared.captures(metadata))
    }

    /// The open span of a `tracing` id.
    pub(crate) fn find(&self, id: &Id) -> Option<Arc<OpenSpan>> {
        self.core.spans.get(id)
    }

    /// The open span of a `tracing` id, or the nearest one around it.
    pub(crate) fn find_nearest(&self, dispatch: &Dispatch, id: &Id) -> Option<Arc<OpenSpan>> {
        self.find(id).or_else(|| {
            self.around(id, dispatch)
                .iter()
                .find_map(|id| self.find(id))
        })
    }

    pub(super) fn around(&self, id: &Id, dispatch: &Dispatch) -> Vec<Id> {
        self.around
            .map(|around| around(dispatch, id))
            .unwrap_or_default()
    }

    #[inline]
    pub(super) fn conclude(&self, id: &Id, open: Arc<OpenSpan>, stated_end_ns: Option<i64>) {
        let core = &self.core;
        let end_ns = stated_end_ns.unwrap_or_else(|| open.origin.clock.now_ns());
        if core.wire.is_some() {
            return self.conclude_on_wire(id, open, end_ns);
        }
        match core.close(open, end_ns, None) {
            Closed::Kept(draft) => {
                installed::note_end(id, draft.ids);
                if let Err(lost) = core.queue.push(Waiting::Own(draft)) {
                    core.spans.pool.put_draft(lost);
                }
            }
            Closed::Filtered { withdrawal, .. } | Closed::Folded { withdrawal, .. } => {
                if let Some(draft) = withdrawal {
                    core.queue.push_withdrawal(Waiting::Own(draft));
                }
            }
            Closed::Foreign | Closed::Before => {}
        }
    }

    /// The same where spans are exported. A way of its own, so that the other one is short.
    #[inline(never)]
    fn conclude_on_wire(&self, id: &Id, open: Arc<OpenSpan>, end_ns: i64) {
        let core = &self.core;
        let wire = core.wire();
        let mut wire_parent = None;
        if let Some((wire, dispatch)) = &wire {
            self.learn_ids_around(&open, wire.as_ref(), dispatch);
            if !open.is_final() {
                self.learn_ids(&open, wire.as_ref(), dispatch);
            }
            wire_parent = self.wire_parent(&open, wire.as_ref(), dispatch);
        }
        let was_part = open.may_be_part() && open.is_part();
        match core.close(open, end_ns, wire_parent) {
            Closed::Kept(draft) => {
                installed::note_end(id, draft.ids);
                if was_part && let Some((wire, _)) = &wire {
                    wire.reinstate(draft.ids.span_id);
                }
                let draft = match &wire {
                    None => Waiting::Own(draft),
                    Some((wire, dispatch)) => {
                        let draft = core.spans.pool.share(draft);
                        wire.end(id, dispatch, end_ns, Arc::clone(&draft) as _);
                        Waiting::Shared(draft)
                    }
                };
                if let Err(lost) = core.queue.push(draft) {
                    core.spans.pool.put_draft(lost);
                }
            }
            Closed::Filtered {
                span,
                parent,
                withdrawal,
            }
            | Closed::Folded {
                span,
                parent,
                withdrawal,
            } => {
                if let Some((wire, _)) = &wire {
                    wire.withdraw(span, wire_parent.or(parent));
                }
                if let Some(draft) = withdrawal {
                    core.queue.push_withdrawal(Waiting::Own(draft));
                }
            }
            Closed::Foreign | Closed::Before => {}
        }
    }
}

impl<S> Layer<S> for Capture
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_layer(&mut self, _subscriber: &mut S) {
        self.around = Some(around::<S>);
    }

    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.core.join(dispatch);
        installed::note(dispatch);
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if self.is_for_others(attributes.metadata()) {
            return;
        }
        if self.core.is_suppressed() {
            self.core
                .count_lost(attributes.metadata(), Loss::Suppressed);
            return;
        }
        if !attached::is_any()
            && let Some(parent) = self.parent(attributes, id, &context)
        {
            self.core.start(attributes, id, Above::Local(parent));
        } else {
            self.on_outer_span(attributes, id, &context);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _context: Context<'_, S>) {
        let keeps = self.core.keeps();
        // Found and locked as little as can be: the rest of what a record cost was a pointer
        // counted up and down, and two more locks.
        let later = self.core.spans.visit(id, |open| {
            let shape = open.origin.shape;
            let note = |state: &mut State| {
                let mut visitor = Visitor::held(shape, keeps, state);
                values.record(&mut visitor);
                visitor.needs_formatting()
            };
            let needs_formatting = match Arc::get_mut(open) {
                Some(own) => note(own.own_state()),
                None => note(&mut open.state()),
            };
            let is_to_be_looked_at = shape.kind.is_none() || self.core.filter.reads_fields();
            (needs_formatting || is_to_be_looked_at).then(|| Arc::clone(open))
        });
        if let Some(open) = later.flatten() {
            // Where nothing was left to be formatted, this finds nothing.
            values.record(&mut Formatted::of(&open, keeps));
            self.core.reconsider(&open);
        }
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, _context: Context<'_, S>) {
        if let Some(open) = self.find(id)
            && let Some(followed) = self.lasting_ids(follows)
        {
            open.link(followed);
        }
    }

    fn on_enter(&self, id: &Id, _context: Context<'_, S>) {
        // Without OTel the ids are final from the start, and entering tells nothing.
        if self.core.wire.is_none() {
            return;
        }
        if let Some(open) = self.find(id).filter(|open| !open.is_final())
            && let Some((wire, dispatch)) = self.core.wire()
        {
            self.learn_ids(&open, wire.as_ref(), &dispatch);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        if self.is_for_others(event.metadata()) {
            return;
        }
        let Some(open) = context
            .event_span(event)
            .and_then(|span| span.scope().find_map(|span| self.find(&span.id())))
        else {
            return;
        };
        self.core.happened(event, &open);
    }

    fn on_close(&self, id: Id, _context: Context<'_, S>) {
        if let Some(open) = self.core.spans.remove(&id) {
            self.conclude(&id, open, None);
        }
    }
}

impl Capture {
    /// A new span that may be the first of its trace, here or in this process.
    #[cold]
    fn on_outer_span<S>(&self, attributes: &Attributes<'_>, id: &Id, context: &Context<'_, S>)
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let above = self.above(attributes, id, context);
        // Where a trace begins, so that its other spans pay nothing for it.
        if !matches!(above, Above::Local(_)) && self.core.queue.is_in_fork() {
            self.core.count_lost(attributes.metadata(), Loss::AfterFork);
            return;
        }
        self.core.start(attributes, id, above);
    }

    /// What a new span stands below.
    fn above<S>(&self, attributes: &Attributes<'_>, id: &Id, context: &Context<'_, S>) -> Above
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        if attached::is_any() && attributes.is_contextual() {
            return self.above_or_attached(id, context.current_span().id());
        }
        match self.parent(attributes, id, context) {
            Some(parent) => Above::Local(parent),
            None if attributes.is_contextual() => self.above_on_wire(),
            None => Above::Nothing,
        }
    }

    /// The nearest span around a new one that capture sees.
    #[inline]
    fn parent<S>(
        &self,
        attributes: &Attributes<'_>,
        id: &Id,
        context: &Context<'_, S>,
    ) -> Option<Parent>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        if attributes.is_root() {
            return None;
        }
        let current;
        let next = if attributes.is_contextual() {
            current = context.current_span();
            current.id()?
        } else {
            attributes.parent()?
        };
        if let Some(open) = self.find(next) {
            return Some(Parent {
                open,
                is_next: true,
            });
        }
        self.farther(id, context).map(|open| Parent {
            open,
            is_next: false,
        })
    }

    /// The nearest span around another that capture sees, where that is not the next one.
    #[cold]
    fn farther<S>(&self, id: &Id, context: &Context<'_, S>) -> Option<Arc<OpenSpan>>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let mut around = context.span(id)?.scope().skip(1);
        around.find_map(|span| self.find(&span.id()))
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture")
            .field("core", &self.core)
            .finish_non_exhaustive()
    }
}

fn around<S>(dispatch: &Dispatch, id: &Id) -> Vec<Id>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let Some(span) = dispatch
        .downcast_ref::<S>()
        .and_then(|registry| registry.span(id))
    else {
        return Vec::new();
    };
    span.scope().skip(1).map(|span| span.id()).collect()
}
