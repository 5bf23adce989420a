//! One span that a hook started, to be found and ended by another: made outside of the lock, by whoever needs it first.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use crate::record::EndReason;
use crate::semconv::Fact;
use crate::span::OwnedSpan;

/// How a span is made. Other layers' code runs in it, so never under a lock of ours.
type Start = Box<dyn FnOnce(Option<&OwnedSpan>) -> OwnedSpan + Send>;

/// A span, or the recipe of one.
pub(super) struct Held {
    parent: Option<Arc<Held>>,
    span: OnceLock<OwnedSpan>,
    recipe: Mutex<Option<Start>>,
    /// When the hook came.
    pub(super) told: SystemTime,
    /// When the span began, where the host says so.
    pub(super) began: Option<SystemTime>,
    /// The latest end that was stated inside of it.
    latest: Mutex<Option<SystemTime>>,
}

/// How a span ends.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum How {
    Done,
    GivenUp,
    Interrupted,
    Failed { type_name: String, message: String },
    Session(EndReason),
}

/// The end of a span, to be carried out once no lock is held.
pub(super) struct Ending {
    pub(super) held: Arc<Held>,
    pub(super) how: How,
    pub(super) at: Option<SystemTime>,
}

impl Held {
    pub(super) fn new(
        parent: Option<Arc<Held>>,
        began: Option<SystemTime>,
        start: impl FnOnce(Option<&OwnedSpan>) -> OwnedSpan + Send + 'static,
    ) -> Arc<Self> {
        Arc::new(Held {
            parent,
            span: OnceLock::new(),
            recipe: Mutex::new(Some(Box::new(start))),
            told: SystemTime::now(),
            began,
            latest: Mutex::default(),
        })
    }

    /// When the span starts: what a duration is counted from.
    pub(super) fn start(&self) -> SystemTime {
        self.began.unwrap_or(self.told)
    }

    /// The span, which starts now if it has not.
    pub(super) fn span(&self) -> &OwnedSpan {
        self.span.get_or_init(|| {
            let recipe = lock(&self.recipe).take();
            let parent = self.parent.as_deref().map(Held::span);
            recipe.map_or_else(OwnedSpan::none, |start| start(parent))
        })
    }

    /// When the span ends by what the host says of it; `None`: now.
    ///
    /// A duration counts from a start that was stated, else from when the hook came: a call that took long
    /// may be told of in two hooks that come at once.
    pub(super) fn end(
        &self,
        started: Option<SystemTime>,
        ended: Option<SystemTime>,
        took: Option<Duration>,
    ) -> Option<SystemTime> {
        let between = started
            .zip(ended)
            .and_then(|(start, end)| end.duration_since(start).ok());
        let took = took.or(between);
        let start = self.start();
        let counted = took.and_then(|took| start.checked_add(took));
        if self.began.is_some() {
            ended.or(counted)
        } else {
            counted.or(ended.filter(|end| *end > start))
        }
    }

    /// Those around a span end no earlier than it does.
    pub(super) fn tell_end(&self, at: SystemTime) {
        let mut next = Some(self);
        while let Some(held) = next {
            let mut latest = lock(&held.latest);
            if latest.is_none_or(|known| known < at) {
                *latest = Some(at);
            }
            next = held.parent.as_deref();
        }
    }
}

impl Ending {
    pub(super) fn carry_out(self) {
        let span = self.held.span();
        let latest = *lock(&self.held.latest);
        // The latest end inside may lie in the future by the host's word.
        let now = SystemTime::now();
        let at = match (self.at, latest) {
            (Some(at), latest) => Some(latest.map_or(at, |latest| latest.max(at))),
            (None, Some(latest)) if latest > now => Some(latest),
            (None, _) => None,
        };
        if let Some(at) = at {
            span.end_at(at);
        }
        match self.how {
            How::Done => span.end(),
            How::GivenUp => span.cancel(),
            How::Interrupted => {
                span.record(Fact::FinalStatus.name(), "interrupted");
                span.end();
            }
            How::Failed { type_name, message } => span.fail((type_name, message)),
            How::Session(reason) => span.end_reason(reason).end(),
        }
    }
}

/// Ends them, each before those around it.
pub(super) fn carry_out(endings: Vec<Ending>) {
    for ending in endings {
        ending.carry_out();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("span", &self.span)
            .finish_non_exhaustive()
    }
}
