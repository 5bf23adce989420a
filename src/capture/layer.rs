//! The hot path: every callback runs inside the instrumented program.

use std::fmt;
use std::sync::{Arc, OnceLock};

use tracing::dispatcher::WeakDispatch;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::attached;
use super::callsite::Dialects;
use super::clock::Clock;
use super::close::Closed;
use super::draft::Waiting;
use super::installed;
use super::interest::Interests;
use super::open::{Ids, OpenSpan};
use super::start::{Above, Parent};
use super::visitor::{Formatted, Said, Visitor};
use super::{CaptureFilter, Spans};
use crate::pipeline::{Health, Loss, Queue};
use crate::policy::Policy;
use crate::record::{EventRecord, SpanId, Value};
use crate::semconv::Kind;
use crate::sink::Wire;

/// What the callbacks work with; shared with the guard and the writer.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) policy: Arc<Policy>,
    pub(crate) queue: Arc<Queue<Waiting>>,
    pub(crate) health: Arc<Health>,
    pub(crate) spans: Arc<Spans>,
    pub(crate) filter: Arc<CaptureFilter>,
    /// Spans of other libraries are stored as steps.
    pub(crate) captures_all: bool,
    /// The session's id is told to other processes.
    pub(crate) shares_session: bool,
    /// How other libraries' spans are read.
    pub(super) dialects: Arc<Dialects>,
    visits_content: bool,
    pub(crate) wire: Option<Arc<dyn Wire>>,
    dispatch: OnceLock<WeakDispatch>,
}

type Around = fn(&Dispatch, &Id) -> Vec<Id>;

/// The layer itself. Code inside a span finds it by downcasting the dispatcher.
pub(crate) struct Capture {
    core: Arc<Core>,
    /// Finds the spans around a span, of whichever library; set once the subscriber's type is known.
    around: Option<Around>,
}

impl Core {
    pub(crate) fn new(
        policy: Arc<Policy>,
        queue: Arc<Queue<Waiting>>,
        health: Arc<Health>,
        filter: CaptureFilter,
        captures_all: bool,
        shares_session: bool,
        dialects: Dialects,
        wire: Option<Arc<dyn Wire>>,
    ) -> Self {
        // Sets the clock up now, and not in the agent's first span.
        Clock::read();
        Core {
            visits_content: policy.captures_content() || filter.reads_fields(),
            policy,
            spans: Arc::new(Spans::new(queue.capacity())),
            queue,
            health,
            filter: Arc::new(filter),
            captures_all,
            shares_session,
            dialects: Arc::new(dialects),
            wire,
            dispatch: OnceLock::new(),
        }
    }

    /// Whether field values are wanted that may be content: to be kept, or to be filtered on.
    #[inline]
    pub(super) fn visits_content(&self) -> bool {
        self.visits_content
    }

    fn is_suppressed(&self) -> bool {
        self.wire.as_ref().is_some_and(|wire| wire.is_suppressed())
    }

    /// Counts a span that is lost before it has begun.
    #[cold]
    fn count_lost(&self, metadata: &Metadata<'_>, loss: Loss) {
        if Kind::of_span_name(metadata.name()).is_some() {
            self.health.captured();
            self.health.dropped(loss, 1);
        }
    }

    /// The dispatcher that the layer is part of.
    pub(super) fn dispatch(&self) -> Option<Dispatch> {
        self.dispatch.get()?.upgrade()
    }

    /// The OTel side and the dispatcher by which it finds its spans, where spans are exported.
    pub(super) fn wire(&self) -> Option<(&Arc<dyn Wire>, Dispatch)> {
        let wire = self.wire.as_ref()?;
        Some((wire, self.dispatch()?))
    }
}

impl Capture {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Capture { core, around: None }
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

    /// Learns the OTel ids of a span; without OTel the span's own are final.
    ///
    /// Two threads may do it at once and learn the same.
    pub(super) fn learn_ids(&self, open: &OpenSpan, wire: &dyn Wire, dispatch: &Dispatch) {
        let own = open.origin.own_ids;
        let ids = match wire.ids(&open.origin.tracing_id, dispatch) {
            Some(ids) => Ids {
                trace_id: ids.trace_id,
                span_id: ids.span_id,
                is_sampled: ids.is_sampled,
            },
            // Not on OTLP: the span keeps an id of its own, in the trace of its parent.
            None => Ids {
                trace_id: open
                    .origin
                    .parent
                    .as_ref()
                    .map_or(own.trace_id, |parent| parent.ids().0),
                ..own
            },
        };
        let _ = open.final_ids.set(ids);
        if open.state().is_hidden() {
            let parent = self.wire_parent(open, wire, dispatch);
            wire.withdraw(ids.span_id, parent.or(open.kept_parent()));
        }
    }

    /// A parent that was never entered learns its ids when its first child ends.
    pub(super) fn learn_ids_around(&self, open: &OpenSpan, wire: &dyn Wire, dispatch: &Dispatch) {
        if open.ancestors().all(|ancestor| ancestor.is_final()) {
            return;
        }
        let around: Vec<_> = open.ancestors().cloned().collect();
        // Outermost first: a span that OTel does not have takes the trace of its parent.
        for open in around.iter().rev().filter(|open| !open.is_final()) {
            self.learn_ids(open, wire, dispatch);
        }
    }

    pub(super) fn around(&self, id: &Id, dispatch: &Dispatch) -> Vec<Id> {
        self.around
            .map(|around| around(dispatch, id))
            .unwrap_or_default()
    }

    /// The parent on OTLP: the nearest span around this one that OTel has, whoever made it.
    fn wire_parent(&self, open: &OpenSpan, wire: &dyn Wire, dispatch: &Dispatch) -> Option<SpanId> {
        if open.origin.is_next_to_parent
            && let Some(parent) = &open.origin.parent
            && let Some(ids) = parent.final_ids.get()
            // Hermes's own id: OTel does not have the parent.
            && ids.span_id != parent.origin.own_ids.span_id
        {
            return Some(ids.span_id);
        }
        if let Some(remote) = &open.origin.remote {
            return self.parent_below(remote, open, wire, dispatch);
        }
        self.around(&open.origin.tracing_id, dispatch)
            .iter()
            .find_map(|id| wire.ids(id, dispatch))
            .map(|ids| ids.span_id)
    }

    pub(super) fn conclude(&self, id: &Id, open: Arc<OpenSpan>, stated_end_ns: Option<i64>) {
        let core = &self.core;
        let end_ns = stated_end_ns.unwrap_or_else(|| open.origin.clock.now_ns());
        let wire = core.wire();
        let mut wire_parent = None;
        if let Some((wire, dispatch)) = &wire {
            self.learn_ids_around(&open, wire.as_ref(), dispatch);
            if !open.is_final() {
                self.learn_ids(&open, wire.as_ref(), dispatch);
            }
            wire_parent = self.wire_parent(&open, wire.as_ref(), dispatch);
        }
        match core.close(open, end_ns, wire_parent) {
            Closed::Kept(draft) => {
                let draft = match &wire {
                    None => Waiting::Own(draft),
                    Some((wire, dispatch)) => {
                        let draft = draft.shared();
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
            } => {
                if let Some((wire, _)) = &wire {
                    wire.withdraw(span, wire_parent.or(parent));
                }
                if let Some(draft) = withdrawal {
                    core.queue.push_withdrawal(Waiting::Own(draft));
                }
            }
            Closed::Folded {
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
        let _ = self.core.dispatch.set(dispatch.downgrade());
        installed::note(dispatch);
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if self.core.is_suppressed() {
            self.core
                .count_lost(attributes.metadata(), Loss::Suppressed);
            return;
        }
        let above = self.above(attributes, id, &context);
        // Where a trace begins, so that its other spans pay nothing for it.
        if !matches!(above, Above::Local(_)) && self.core.queue.is_in_fork() {
            self.core.count_lost(attributes.metadata(), Loss::AfterFork);
            return;
        }
        self.core.start(attributes, id, above);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _context: Context<'_, S>) {
        let keeps_content = self.core.visits_content();
        // Found and locked as little as can be: the rest of what a record cost was a pointer
        // counted up and down, and two more locks.
        let later = self.core.spans.visit(id, |open| {
            let shape = open.origin.shape;
            let needs_formatting = match Arc::get_mut(open) {
                Some(own) => {
                    let mut visitor = Visitor::held(shape, keeps_content, own.own_state());
                    values.record(&mut visitor);
                    visitor.needs_formatting()
                }
                None => {
                    let mut state = open.state();
                    let mut visitor = Visitor::held(shape, keeps_content, &mut state);
                    values.record(&mut visitor);
                    visitor.needs_formatting()
                }
            };
            let is_to_be_looked_at = shape.kind.is_none() || self.core.filter.reads_fields();
            (needs_formatting || is_to_be_looked_at).then(|| (Arc::clone(open), needs_formatting))
        });
        let Some((open, needs_formatting)) = later.flatten() else {
            return;
        };
        if needs_formatting {
            let visitor = Visitor::shared(&open, keeps_content);
            values.record(&mut Formatted(visitor));
        }
        self.core.reconsider(&open);
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
        let Some(open) = context
            .event_span(event)
            .and_then(|span| span.scope().find_map(|span| self.find(&span.id())))
        else {
            return;
        };
        let mut said = Said::default();
        let shape = self.core.dialects.shape(event.metadata());
        event.record(&mut Visitor::own(shape, true, &mut said));
        self.core.hear(shape, &said, &open);
        // What is heard of below that is data of a span, and no event of its own.
        if *event.metadata().level() <= Level::INFO {
            let event = event_record(&self.core, event.metadata(), &open, said);
            open.state().put_event(event);
        }
    }

    fn on_close(&self, id: Id, _context: Context<'_, S>) {
        if let Some(open) = self.core.spans.remove(&id) {
            self.conclude(&id, open, None);
        }
    }
}

impl Capture {
    /// What a new span stands below.
    fn above<S>(&self, attributes: &Attributes<'_>, id: &Id, context: &Context<'_, S>) -> Above
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        if attached::may_be_any() && attributes.is_contextual() {
            return self.above_or_attached(id);
        }
        match self.parent(attributes, id, context) {
            Some(parent) => Above::Local(parent),
            None if attributes.is_contextual() => self.above_on_wire(),
            None => Above::Nothing,
        }
    }

    /// The nearest span around a new one that capture sees.
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
        let open = context
            .span(id)?
            .scope()
            .skip(1)
            .find_map(|span| self.find(&span.id()))?;
        Some(Parent {
            open,
            is_next: false,
        })
    }
}

impl fmt::Debug for Capture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Capture")
            .field("core", &self.core)
            .finish_non_exhaustive()
    }
}

fn event_record(
    core: &Core,
    metadata: &'static Metadata<'static>,
    open: &OpenSpan,
    said: Said,
) -> EventRecord {
    let mut attributes = vec![
        ("level".into(), metadata.level().as_str().into()),
        ("target".into(), metadata.target().into()),
    ];
    let keeps_content = core.policy.captures_content();
    // Libraries put whole request bodies into their log lines. The program's own lines are its
    // author's words, and stay, redacted, as error texts do.
    let is_own = crate_of(metadata.target()) == crate_of(open.metadata().target());
    let mut name = "event".into();
    for (key, value) in said.extra {
        if key != "message" {
            attributes.push((key, value));
        } else if keeps_content || is_own {
            name = value.to_text().into_owned().into();
        }
    }
    let facts = said
        .notes
        .read()
        .iter()
        .map(|(fact, value)| (fact, Value::from(value)));
    attributes.extend(facts.map(|(fact, value)| (fact.name().into(), value)));
    EventRecord {
        name,
        time_ns: open.origin.clock.now_ns(),
        attributes,
    }
}

pub(super) fn crate_of(target: &str) -> &str {
    target.split("::").next().unwrap_or(target)
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
