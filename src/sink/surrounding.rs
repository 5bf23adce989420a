//! Contexts of other processes in a build without OpenTelemetry: nobody but Hermes is told of them.

use crate::record::TraceContext;

/// What was attached to this thread, until it is dropped: nothing.
#[derive(Debug)]
pub(crate) struct Held;

/// What this thread has attached: nothing.
#[derive(Clone, Debug)]
pub(crate) struct Surrounding;

pub(crate) fn hold(_context: &TraceContext) -> Held {
    Held
}

impl Surrounding {
    pub(crate) fn current() -> Self {
        Surrounding
    }

    #[expect(
        clippy::unused_self,
        reason = "stands in for the twin with OpenTelemetry"
    )]
    pub(crate) fn hold(&self) -> Held {
        Held
    }
}
