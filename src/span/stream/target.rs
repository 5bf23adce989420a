//! The span of a stream: one that the stream owns and ends, or one of `tracing` that it keeps open.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use tracing::Span;

use crate::span::call::{Call, Returns};
use crate::span::owned::kind::SpanKind;
use crate::span::{OwnedSpan, Start};

/// The span that a stream is traced by.
///
/// Made from an [`OwnedSpan`] (or a [`Start`], which is started), which ends with the stream; or from a
/// [`tracing::Span`], the current one for instance, which the stream keeps open while it lives and of which
/// it says how it ended.
pub struct StreamSpan(Target);

enum Target {
    Owned(Arc<OwnedSpan>),
    Plain(Call),
}

impl StreamSpan {
    pub(super) fn call(&self) -> &Call {
        match &self.0 {
            Target::Owned(span) => span.call(),
            Target::Plain(call) => call,
        }
    }

    /// Says that the stream ended as it should.
    pub(super) fn end(&self) {
        match &self.0 {
            Target::Owned(span) => span.end(),
            Target::Plain(call) => {
                go_on(call);
                call.returned(|| None);
            }
        }
    }

    /// Says that nobody read the stream to its end.
    pub(super) fn cancel(&self) {
        match &self.0 {
            Target::Owned(span) => span.cancel(),
            Target::Plain(call) => {
                go_on(call);
                call.cancelled();
            }
        }
    }

    /// Says that polling the stream panicked.
    pub(super) fn panicked(&self, payload: &(dyn Any + Send)) {
        go_on(self.call());
        self.call().panicked(payload);
        if let Target::Owned(span) = &self.0 {
            span.end();
        }
    }

    /// States a failure, which the end does not take back.
    pub(super) fn fail(&self, state: impl FnOnce(&Call)) {
        if let Target::Plain(call) = &self.0 {
            go_on(call);
        }
        state(self.call());
    }
}

/// The function that made the stream may have returned, and its span have heard that all was well.
fn go_on(call: &Call) {
    if let Some(open) = call.open() {
        open.goes_on();
    }
}

impl From<OwnedSpan> for StreamSpan {
    fn from(span: OwnedSpan) -> Self {
        StreamSpan(Target::Owned(Arc::new(span)))
    }
}

impl From<Arc<OwnedSpan>> for StreamSpan {
    fn from(span: Arc<OwnedSpan>) -> Self {
        StreamSpan(Target::Owned(span))
    }
}

impl<K: SpanKind> From<Start<'_, K>> for StreamSpan {
    fn from(start: Start<'_, K>) -> Self {
        start.start().into()
    }
}

impl From<Call> for StreamSpan {
    fn from(call: Call) -> Self {
        StreamSpan(Target::Plain(call))
    }
}

impl From<Span> for StreamSpan {
    fn from(span: Span) -> Self {
        let returns = Returns {
            result: false,
            response: false,
        };
        Call::new(span, returns).into()
    }
}

impl From<&Span> for StreamSpan {
    fn from(span: &Span) -> Self {
        span.clone().into()
    }
}

impl fmt::Debug for StreamSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StreamSpan")
            .field(self.call().span())
            .finish()
    }
}
