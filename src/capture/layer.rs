//! The hot path: every callback runs inside the instrumented program.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use tracing::dispatcher::WeakDispatch;
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::callsite::Shapes;
use super::close::Closed;
use super::interest::Interests;
use super::open::OpenSpan;
use super::visitor::Visited;
use super::{CaptureFilter, LiveSpans};
use crate::pipeline::{Health, Loss, Queue};
use crate::policy::Policy;
use crate::record::{EventRecord, SpanId};
use crate::semconv::Kind;
use crate::sink::Wire;

/// What the callbacks work with; shared with the guard and the writer.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) policy: Arc<Policy>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) health: Arc<Health>,
    pub(crate) live: Arc<LiveSpans>,
    pub(crate) filter: Arc<CaptureFilter>,
    /// Spans of other libraries are stored as steps.
    pub(crate) captures_all: bool,
    pub(crate) wire: Option<Arc<dyn Wire>>,
    pub(super) shapes: Shapes,
    dispatch: OnceLock<WeakDispatch>,
}

type Find = fn(&Dispatch, &Id) -> Option<Arc<OpenSpan>>;
type Around = fn(&Dispatch, &Id) -> Vec<(Id, Option<Arc<OpenSpan>>)>;

/// The layer itself. Code inside a span finds it by downcasting the dispatcher.
pub(crate) struct Capture {
    core: Arc<Core>,
    /// Finds the open span of an id; set once the subscriber's type is known.
    find: Option<Find>,
    /// Finds the spans around a span, of whichever library.
    around: Option<Around>,
}

impl Core {
    pub(crate) fn new(
        policy: Arc<Policy>,
        queue: Arc<Queue>,
        health: Arc<Health>,
        filter: CaptureFilter,
        captures_all: bool,
        wire: Option<Arc<dyn Wire>>,
    ) -> Self {
        Core {
            policy,
            queue,
            health,
            live: Arc::default(),
            filter: Arc::new(filter),
            captures_all,
            wire,
            shapes: Shapes::default(),
            dispatch: OnceLock::new(),
        }
    }

    /// Whether field values are wanted that may be content: to be kept, or to be filtered on.
    fn visits_content(&self) -> bool {
        self.policy.captures_content() || self.filter.reads_fields()
    }

    fn is_suppressed(&self) -> bool {
        self.wire.as_ref().is_some_and(|wire| wire.is_suppressed())
    }

    fn count_suppressed(&self, metadata: &Metadata<'_>) {
        if Kind::of_span_name(metadata.name()).is_some() {
            self.health.captured();
            self.health.dropped(Loss::Suppressed, 1);
        }
    }
}

impl Capture {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Capture {
            core,
            find: None,
            around: None,
        }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// The filter that belongs to the layer: other libraries' callsites stay switched off.
    pub(crate) fn interests(&self) -> Interests {
        Interests::new(Arc::clone(&self.core.filter), self.core.captures_all)
    }

    /// The open span of a `tracing` id.
    pub(crate) fn find(&self, dispatch: &Dispatch, id: &Id) -> Option<Arc<OpenSpan>> {
        self.find.and_then(|find| find(dispatch, id))
    }

    /// The open span of a `tracing` id, or the nearest one around it.
    pub(crate) fn find_nearest(&self, dispatch: &Dispatch, id: &Id) -> Option<Arc<OpenSpan>> {
        self.find(dispatch, id).or_else(|| {
            self.around(id, dispatch)
                .into_iter()
                .find_map(|(_, open)| open)
        })
    }

    /// Learns the OTel ids of a span; without OTel the span's own are final.
    ///
    /// Two threads may do it at once and learn the same.
    fn learn_ids(&self, id: &Id, open: &OpenSpan) {
        let Some(wire) = &self.core.wire else { return };
        let Some(dispatch) = self.core.dispatch.get().and_then(WeakDispatch::upgrade) else {
            return;
        };
        let ids = wire.ids(id, &dispatch);
        let trace_of_parent = open.parent.as_ref().map(|parent| parent.ids().0);
        let mut state = open.state();
        match ids {
            Some(ids) => (state.trace_id, state.span_id) = (ids.trace_id, ids.span_id),
            // Not on OTLP: the span keeps an id of its own, in the trace of its parent.
            None => state.trace_id = trace_of_parent.unwrap_or(state.trace_id),
        }
        let (is_kept, span_id) = (state.is_kept, state.span_id);
        drop(state);
        open.has_final_ids.store(true, Ordering::Release);
        if !is_kept {
            wire.withdraw(
                span_id,
                self.wire_parent(id, &dispatch).or(open.kept_parent()),
            );
        }
    }

    /// A parent that was never entered learns its ids when its first child ends.
    fn learn_ids_around(&self, id: &Id, open: &OpenSpan, dispatch: &Dispatch) {
        if open.ancestors().all(|ancestor| ancestor.is_final()) {
            return;
        }
        // Outermost first: a span that OTel does not have takes the trace of its parent.
        for (id, open) in self.around(id, dispatch).into_iter().rev() {
            if let Some(open) = open.filter(|open| !open.is_final()) {
                self.learn_ids(&id, &open);
            }
        }
    }

    fn around(&self, id: &Id, dispatch: &Dispatch) -> Vec<(Id, Option<Arc<OpenSpan>>)> {
        self.around
            .map(|around| around(dispatch, id))
            .unwrap_or_default()
    }

    /// The parent on OTLP: the nearest span around this one that OTel has, whoever made it.
    fn wire_parent(&self, id: &Id, dispatch: &Dispatch) -> Option<SpanId> {
        let wire = self.core.wire.as_ref()?;
        let around = self.around(id, dispatch);
        around
            .iter()
            .find_map(|(id, _)| wire.ids(id, dispatch))
            .map(|ids| ids.span_id)
    }

    fn finish(&self, id: &Id, open: &OpenSpan) {
        let end_ns = open.clock.now_ns();
        let dispatch = self.core.dispatch.get().and_then(WeakDispatch::upgrade);
        let wire = self.core.wire.as_ref().zip(dispatch);
        if let Some((_, dispatch)) = &wire {
            self.learn_ids_around(id, open, dispatch);
            self.learn_ids(id, open);
        }
        let wire_parent = wire
            .as_ref()
            .and_then(|(_, dispatch)| self.wire_parent(id, dispatch));
        match self.core.close(open, end_ns, wire_parent) {
            Closed::Kept(record) => {
                if let Some((wire, dispatch)) = &wire {
                    wire.end(id, dispatch, &record);
                }
                self.core.queue.push(record);
            }
            Closed::Filtered {
                span_id,
                parent,
                withdrawal,
            } => {
                if let Some((wire, _)) = &wire {
                    wire.withdraw(span_id, wire_parent.or(parent));
                }
                if let Some(record) = withdrawal {
                    self.core.queue.push_withdrawal(record);
                }
            }
            Closed::Foreign => {}
        }
    }
}

impl<S> Layer<S> for Capture
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fn on_layer(&mut self, _subscriber: &mut S) {
        self.find = Some(find::<S>);
        self.around = Some(around::<S>);
    }

    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        let _ = self.core.dispatch.set(dispatch.downgrade());
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if self.core.is_suppressed() {
            self.core.count_suppressed(attributes.metadata());
            return;
        }
        let shape = self.core.shapes.of(attributes.metadata());
        let mut visited = Visited::new(&shape, self.core.visits_content());
        attributes.record(&mut visited);
        let (facts, extra) = (visited.facts, visited.extra);
        let Some(span) = context.span(id) else { return };
        let parent = span.scope().skip(1).find_map(|span| of_extensions(&span));
        let open = self.core.start(shape, parent, facts, extra);
        self.core.live.insert(&open);
        if self.core.wire.is_none() {
            open.has_final_ids.store(true, Ordering::Release);
        }
        // Not `insert`, which panics where a second Hermes layer stands in the same registry.
        span.extensions_mut().replace(open);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(open) = context.span(id).and_then(|span| of_extensions(&span)) else {
            return;
        };
        let mut visited = Visited::new(&open.shape, self.core.visits_content());
        values.record(&mut visited);
        self.core.record(&open, visited);
    }

    fn on_follows_from(&self, id: &Id, follows: &Id, context: Context<'_, S>) {
        let open = |id| context.span(id).and_then(|span| of_extensions(&span));
        if let (Some(open), Some(followed)) = (open(id), open(follows)) {
            let ids = followed.ids();
            open.state().links.push(ids);
        }
    }

    fn on_enter(&self, id: &Id, context: Context<'_, S>) {
        // Without OTel the ids are final from the start, and entering tells nothing.
        if self.core.wire.is_none() {
            return;
        }
        if let Some(open) = context.span(id).and_then(|span| of_extensions(&span))
            && !open.is_final()
        {
            self.learn_ids(id, &open);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(open) = context
            .event_span(event)
            .and_then(|span| span.scope().find_map(|span| of_extensions(&span)))
        else {
            return;
        };
        let shape = self.core.shapes.of(event.metadata());
        let mut visited = Visited::new(&shape, true);
        event.record(&mut visited);
        let event = event_record(&self.core, event.metadata(), &open, visited);
        open.state().put_event(event);
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else {
            return;
        };
        let open = span.extensions_mut().remove::<Arc<OpenSpan>>();
        if let Some(open) = open {
            self.finish(&id, &open);
        }
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
    visited: Visited<'_>,
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
    for (key, value) in visited.extra {
        if key != "message" {
            attributes.push((key, value));
        } else if keeps_content || is_own {
            name = value.to_text().into_owned().into();
        }
    }
    for (fact, value) in visited.facts {
        attributes.push((fact.name().into(), value));
    }
    EventRecord {
        name,
        time_ns: open.clock.now_ns(),
        attributes,
    }
}

pub(super) fn crate_of(target: &str) -> &str {
    target.split("::").next().unwrap_or(target)
}

fn of_extensions<'a, R>(
    span: &tracing_subscriber::registry::SpanRef<'a, R>,
) -> Option<Arc<OpenSpan>>
where
    R: LookupSpan<'a>,
{
    span.extensions().get::<Arc<OpenSpan>>().cloned()
}

fn find<S>(dispatch: &Dispatch, id: &Id) -> Option<Arc<OpenSpan>>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    dispatch
        .downcast_ref::<S>()?
        .span(id)
        .and_then(|span| of_extensions(&span))
}

fn around<S>(dispatch: &Dispatch, id: &Id) -> Vec<(Id, Option<Arc<OpenSpan>>)>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let Some(span) = dispatch
        .downcast_ref::<S>()
        .and_then(|registry| registry.span(id))
    else {
        return Vec::new();
    };
    span.scope()
        .skip(1)
        .map(|span| (span.id(), of_extensions(&span)))
        .collect()
}
