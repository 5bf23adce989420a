//! Finds the Hermes layer from inside another layer's callback, and the ids that a log line there bears.
//!
//! While a subscriber runs, `tracing` gives out no dispatcher that was set for a scope, so a formatter
//! cannot ask for the current one. Every dispatcher that has a Hermes layer is noted here instead.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{PoisonError, RwLock};

use tracing::dispatcher::{self, WeakDispatch};
use tracing::span::Id;
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Event};

use super::Capture;
use super::open::Ids;
use crate::record::{SpanId, TraceId};

/// The dispatchers with a Hermes layer; in nearly every program there is one.
static INSTALLED: RwLock<Vec<WeakDispatch>> = RwLock::new(Vec::new());

/// Whether anybody asks for the ids of log lines.
static IS_ASKED: AtomicBool = AtomicBool::new(false);

thread_local! {
    /// The span that was closed last on this thread: layers behind this one still write a line about it.
    static CLOSED: Cell<Option<(u64, Ids)>> = const { Cell::new(None) };
}

/// From here on the ids of log lines are asked for.
pub(crate) fn expect_lines() {
    IS_ASKED.store(true, Ordering::Relaxed);
}

/// Notes the ids of a span that closes, for lines about its end.
#[inline]
pub(super) fn note_end(id: &Id, ids: Ids) {
    if IS_ASKED.load(Ordering::Relaxed) {
        CLOSED.set(Some((id.into_u64(), ids)));
    }
}

fn closed(id: &Id) -> Option<Ids> {
    let (number, ids) = CLOSED.get()?;
    (number == id.into_u64()).then_some(ids)
}

/// Notes a dispatcher that has a Hermes layer.
pub(super) fn note(dispatch: &Dispatch) {
    // Let go of after the lock: whoever held them may have let go meanwhile, and what is dropped with a
    // subscriber is anybody's code.
    let mut alive = Vec::new();
    let mut installed = INSTALLED.write().unwrap_or_else(PoisonError::into_inner);
    installed.retain(|known| {
        let before = alive.len();
        alive.extend(known.upgrade());
        alive.len() > before
    });
    installed.push(dispatch.downgrade());
    drop(installed);
    drop(alive);
}

/// The trace and the span that an event belongs to, as the store and OTLP have them.
///
/// `visible` is the nearest span that the caller itself sees around the event, by which it is told
/// which of several subscribers the event went to.
pub(crate) fn ids_around(event: &Event<'_>, visible: Option<&Id>) -> Option<(TraceId, SpanId)> {
    if event.is_root() {
        return None;
    }
    let direct = dispatcher::get_default(|dispatch| {
        // What a subscriber gets to see of itself while it runs, where one is set for a scope.
        if dispatch.is::<NoSubscriber>() {
            return None;
        }
        let capture = dispatch.downcast_ref::<Capture>();
        Some(capture.and_then(|capture| capture.ids_of_line(dispatch, event.parent())))
    });
    let outside = |ids: Ids| (ids.trace_id, ids.span_id);
    if let Some(ids) = direct {
        return ids.map(outside);
    }
    // The one that was set up last stands innermost, where several are in use on one thread.
    let installed: Vec<Dispatch> = {
        let installed = INSTALLED.read().unwrap_or_else(PoisonError::into_inner);
        let alive = installed.iter().rev().filter_map(WeakDispatch::upgrade);
        alive.collect()
    };
    installed.iter().find_map(|dispatch| {
        let capture = dispatch.downcast_ref::<Capture>()?;
        if visible.is_some_and(|visible| !capture.stands_in(dispatch, event.parent(), visible)) {
            return None;
        }
        capture.ids_of_line(dispatch, event.parent()).map(outside)
    })
}

impl Capture {
    /// The ids of the nearest span that leaves a trace outside: one of ours that is kept, or one of
    /// OTel's.
    pub(super) fn ids_of_line(&self, dispatch: &Dispatch, parent: Option<&Id>) -> Option<Ids> {
        let current = dispatch.current_span();
        let next = parent.or(current.id())?;
        // OTel has started what runs here and all around it. Asking for any other span would start
        // it, and from then on it could not be named or given a parent.
        let mut started = self.with_ancestors(dispatch, current.id());
        let around = match parent {
            Some(_) => self.with_ancestors(dispatch, Some(next)),
            None => std::mem::take(&mut started),
        };
        let has_started = |id: &Id| parent.is_none() || started.contains(id);
        around.iter().find_map(|id| match self.find(id) {
            Some(open) if open.is_left_out() => None,
            Some(open) if open.is_kept() && open.is_final() => Some(open.known_ids()),
            _ if has_started(id) => {
                let wire = self.core().wire.as_ref()?;
                let ids = wire.ids(id, dispatch)?;
                Some(Ids {
                    trace_id: ids.trace_id,
                    span_id: ids.span_id,
                    is_sampled: ids.is_sampled,
                })
            }
            Some(_) => None,
            None => closed(id),
        })
    }

    /// Whether a span is among those around an event in this subscriber.
    fn stands_in(&self, dispatch: &Dispatch, parent: Option<&Id>, span: &Id) -> bool {
        let current = dispatch.current_span();
        self.with_ancestors(dispatch, parent.or(current.id()))
            .contains(span)
    }

    pub(super) fn with_ancestors(&self, dispatch: &Dispatch, id: Option<&Id>) -> Vec<Id> {
        let Some(id) = id else { return Vec::new() };
        let mut spans = vec![id.clone()];
        spans.extend(self.around(id, dispatch));
        spans
    }
}
