//! What the callbacks of the layer work with, shared by every thread.

use std::sync::{Arc, OnceLock};

use tracing::dispatcher::WeakDispatch;
use tracing::{Dispatch, Metadata};

use super::callsite::Dialects;
use super::clock::Clock;
use super::draft::Waiting;
use super::keeps::Keeps;
use super::{CaptureFilter, Spans};
use crate::pipeline::{Health, Loss, Queue};
use crate::policy::Policy;
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
    keeps: Keeps,
    pub(crate) wire: Option<Arc<dyn Wire>>,
    dispatch: OnceLock<WeakDispatch>,
}

/// What the operator and the program wish of capture.
#[derive(Debug)]
pub(crate) struct Ways {
    pub(crate) filter: CaptureFilter,
    pub(crate) captures_all: bool,
    pub(crate) shares_session: bool,
    pub(crate) dialects: Dialects,
}

impl Core {
    pub(crate) fn new(
        policy: Arc<Policy>,
        queue: Arc<Queue<Waiting>>,
        health: Arc<Health>,
        ways: Ways,
        wire: Option<Arc<dyn Wire>>,
    ) -> Self {
        // Sets the clock up now, and not in the agent's first span.
        Clock::read();
        Core {
            keeps: if ways.filter.reads_fields() {
                Keeps::ALL
            } else {
                Keeps::of(&policy)
            },
            policy,
            spans: Arc::new(Spans::new(queue.capacity())),
            queue,
            health,
            filter: Arc::new(ways.filter),
            captures_all: ways.captures_all,
            shares_session: ways.shares_session,
            dialects: Arc::new(ways.dialects),
            wire,
            dispatch: OnceLock::new(),
        }
    }

    /// Which field values are wanted that may be content.
    #[inline]
    pub(super) fn keeps(&self) -> &Keeps {
        &self.keeps
    }

    #[inline]
    pub(super) fn is_suppressed(&self) -> bool {
        self.wire.as_ref().is_some_and(|wire| wire.is_suppressed())
    }

    /// Counts a span that is lost before it has begun.
    #[cold]
    pub(super) fn count_lost(&self, metadata: &Metadata<'_>, loss: Loss) {
        if Kind::of_span_name(metadata.name()).is_some() {
            self.health.captured();
            self.health.dropped(loss, 1);
        }
    }

    /// Takes note of the dispatcher that the layer is part of.
    pub(super) fn join(&self, dispatch: &Dispatch) {
        let _ = self.dispatch.set(dispatch.downgrade());
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
