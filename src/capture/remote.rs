//! Spans of other processes: as parents of ours, and ours as theirs.

use std::sync::Arc;

use tracing::Dispatch;
use tracing::span::Id;

use super::attached::{self, Attachment, Nearer, RemoteParent};
use super::layer::Capture;
use super::open::OpenSpan;
use super::start::{Above, Parent};
use crate::record::{BaggageEntry, SpanId, TraceContext, TraceId, Value};
use crate::semconv::Fact;
use crate::sink::Wire;

impl Capture {
    /// What a new span stands below, where the context of another process may be attached.
    #[cold]
    pub(super) fn above_or_attached(&self, id: &Id, current: Option<&Id>) -> Above {
        // Nearly always the span was entered after the context was attached.
        if let Some(current) = current
            && !attached::is_under(current)
            && let Some(open) = self.find(current)
        {
            return Above::Local(Parent {
                open,
                is_next: true,
            });
        }
        // The layer's own view leaves out the spans of others, and one of these may have been around
        // when the context was attached.
        let around = self.core().dispatch();
        let around = around.map_or_else(Vec::new, |dispatch| self.around(id, &dispatch));
        let nearer = attached::nearer(around.into_iter(), |id| self.find(id));
        match nearer {
            Some(Nearer::Remote(remote)) => Above::Remote(Box::new(remote)),
            Some(Nearer::Local(open)) => Above::Local(Parent {
                is_next: current.is_some_and(|current| open.is_called(current)),
                open,
            }),
            None => self.above_on_wire(),
        }
    }

    /// A remote parent that the program stated to OpenTelemetry alone.
    #[inline]
    pub(super) fn above_on_wire(&self) -> Above {
        let stated = self.core().wire.as_ref().and_then(|wire| wire.remote());
        stated.map_or(Above::Nothing, |context| {
            Above::Remote(Box::new(RemoteParent {
                context: Arc::new(context),
                under: None,
                is_next: true,
            }))
        })
    }

    /// The parent on OTLP where it is in another process, or of a span of others that stands between.
    #[cold]
    pub(super) fn parent_below(
        &self,
        remote: &RemoteParent,
        open: &OpenSpan,
        wire: &dyn Wire,
        dispatch: &Dispatch,
    ) -> Option<SpanId> {
        if remote.is_next {
            return remote.span_id();
        }
        let around = self.around(&open.origin.tracing_id, dispatch);
        let mut between = around
            .iter()
            .take_while(|id| remote.under.as_ref() != Some(*id));
        let next = between.find_map(|id| wire.ids(id, dispatch));
        next.map(|ids| ids.span_id).or(remote.span_id())
    }

    /// The ids of a span that will not change any more: of one of ours, or one that OTLP has.
    #[cold]
    pub(super) fn lasting_ids(&self, id: &Id) -> Option<(TraceId, SpanId)> {
        let wire = self.core().wire();
        let Some(open) = self.find(id) else {
            let (wire, dispatch) = wire.as_ref()?;
            let ids = wire.ids(id, dispatch)?;
            return Some((ids.trace_id, ids.span_id));
        };
        if let Some((wire, dispatch)) = wire.as_ref().filter(|_| !open.is_final()) {
            self.learn_ids(&open, wire.as_ref(), dispatch);
        }
        Some(open.ids())
    }

    /// What another process is told of a span, or of the nearest around it that is kept.
    #[cold]
    pub(crate) fn context(&self, dispatch: &Dispatch, id: &Id) -> Option<TraceContext> {
        let wire = self.core().wire();
        let is_ours = self.find(id).is_some();
        // A span of others is the parent where OTLP has it.
        let of_others = || {
            let (wire, dispatch) = wire.as_ref().filter(|_| !is_ours)?;
            wire.context(id, dispatch)
        };
        let nearest = self.find_nearest(dispatch, id);
        let kept = nearest
            .as_ref()
            .and_then(|open| open.chain().find(|open| open.is_kept()));
        let of_ours = || {
            let open = kept?;
            if let Some((wire, dispatch)) = &wire {
                if !open.is_final() {
                    self.learn_ids(open, wire.as_ref(), dispatch);
                }
                if let Some(context) = wire.context(&open.origin.tracing_id, dispatch) {
                    return Some(context);
                }
            }
            let (trace_id, span_id) = open.ids();
            Some(TraceContext::new(trace_id, span_id))
        };
        let context = of_others().or_else(of_ours)?;
        let above = nearest.as_ref().and_then(|open| remote_above(open));
        let mut context = match above {
            // Without OpenTelemetry nobody else hands it on.
            Some(above) if wire.is_none() => context
                .sampled(above.is_sampled())
                .with_trace_state(above.trace_state().to_owned()),
            _ => context,
        };
        let attached = Attachment::current();
        let attached = attached
            .as_ref()
            .map(|attached| attached.context().as_ref());
        if let Some(carried) = attached.or(above) {
            context = context.with_baggage(carried.baggage().clone());
        }
        if let Some(open) = nearest.filter(|_| self.core().shares_session) {
            put_session(&open, &mut context);
        }
        Some(context)
    }
}

/// The context of another process that a span stands below.
fn remote_above(open: &Arc<OpenSpan>) -> Option<&TraceContext> {
    open.chain()
        .find_map(|open| open.origin.remote.as_ref())
        .map(|remote| remote.context.as_ref())
}

/// The session goes along, so that what the other process does is found under it.
fn put_session(open: &Arc<OpenSpan>, context: &mut TraceContext) {
    let session = open.chain().find_map(|open| {
        let state = open.state();
        state.said.notes.get(Fact::SessionId).map(Value::from)
    });
    if let Some(session) = session {
        context.baggage_mut().put(BaggageEntry {
            key: Fact::SessionId.name().to_owned(),
            value: session.to_text().into_owned(),
            properties: String::new(),
        });
    }
}
