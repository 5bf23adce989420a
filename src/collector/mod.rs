//! Traces out of streams of agent events, which pass through with the ids of their spans filled in.
//!
//! ```
//! use futures_core::Stream;
//! use hermes::collector::{AgentEvent, Phase, TraceCollector};
//! use hermes::Kind;
//!
//! fn observed(events: impl Stream<Item = AgentEvent>) -> impl Stream<Item = AgentEvent> {
//!     TraceCollector::new().wrap_stream(events)
//! }
//! ```

mod event;
mod open;
mod running;
mod start;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream};
use tracing::{Level, Span, level_enabled};

pub use event::{AgentEvent, Phase, Told, TraceEvent};
use open::Open;

use crate::span::quietly;

/// Builds a trace from the events of agents.
///
/// Each event tells of the start, a part, or the end of a session, agent, turn, model call, tool or any
/// other [`Kind`](crate::Kind), by its id; what it belongs to is found by the ids it names, else it is the
/// innermost turn, agent or session that is open. Several sessions may share a stream. What is told twice
/// counts once; an end without a start makes a span of no length; a session of which nobody told begins
/// with its first event.
///
/// At the end of the stream, or when it is dropped, what has no end is given up: `cancelled`, and sessions
/// `interrupted`. Where the stream fails ([`TraceEvent::failure`]) or panics, it fails as well.
#[derive(Clone, Copy, Debug)]
pub struct TraceCollector {
    max_open: usize,
}

impl Default for TraceCollector {
    fn default() -> Self {
        TraceCollector::new()
    }
}

impl TraceCollector {
    /// A collector that holds up to 10,000 open spans for each stream.
    #[must_use]
    pub fn new() -> Self {
        TraceCollector { max_open: 10_000 }
    }

    /// How many spans of one stream may be open; of more, the oldest is given up.
    #[must_use]
    pub fn max_open(mut self, spans: usize) -> Self {
        self.max_open = spans;
        self
    }

    /// Passes a stream through and builds its trace, under the span that is current now.
    pub fn wrap_stream<S>(&self, stream: S) -> Collected<S>
    where
        S: Stream,
        S::Item: TraceEvent,
    {
        Collected {
            open: Open::new(Span::current(), self.max_open),
            stream,
        }
    }

    /// The same for events that come by another way than a stream: each is to be shown to it.
    #[must_use]
    pub fn watch(&self) -> Watching {
        Watching {
            open: Open::new(Span::current(), self.max_open),
        }
    }
}

/// What is open of the events seen so far. Dropped, it gives up what has no end.
///
/// ```
/// use hermes::collector::{AgentEvent, Phase, TraceCollector};
/// use hermes::Kind;
///
/// let mut watching = TraceCollector::new().watch();
/// let mut event = AgentEvent::new(Kind::Session, Phase::Start, "s-1");
/// watching.see(&mut event);
/// ```
#[derive(Debug)]
pub struct Watching {
    open: Open,
}

impl Watching {
    /// Takes note of an event and fills its ids in.
    pub fn see(&mut self, event: &mut impl TraceEvent) {
        see(&mut self.open, event);
    }
}

fn see(open: &mut Open, event: &mut impl TraceEvent) {
    if !level_enabled!(Level::INFO) {
        return;
    }
    // What the event's own code or another layer does wrong is not the agent's trouble.
    let _ = quietly(|| {
        let ids = event.describe().and_then(|told| open.see(&told));
        if let Some((trace_id, span_id)) = ids {
            event.set_ids(trace_id, span_id);
        }
        if let Some(failure) = event.failure() {
            open.fail_all(|span| span.fail(failure.as_str()));
        }
    });
}

pin_project_lite::pin_project! {
    /// A stream whose trace is built while it passes; from [`TraceCollector::wrap_stream`].
    pub struct Collected<S> {
        // Before the stream, whose drop may take its time.
        open: Open,
        #[pin]
        stream: S,
    }
}

impl<S> Stream for Collected<S>
where
    S: Stream,
    S::Item: TraceEvent,
{
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        match catch_unwind(AssertUnwindSafe(|| this.stream.poll_next(context))) {
            Ok(Poll::Ready(Some(mut event))) => {
                see(this.open, &mut event);
                Poll::Ready(Some(event))
            }
            Ok(Poll::Ready(None)) => {
                let _ = quietly(|| this.open.give_up_all());
                Poll::Ready(None)
            }
            Ok(Poll::Pending) => Poll::Pending,
            Err(payload) => {
                let _ = quietly(|| this.open.fail_all(|span| span.panicked(&*payload)));
                resume_unwind(payload)
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}

impl<S> FusedStream for Collected<S>
where
    S: FusedStream,
    S::Item: TraceEvent,
{
    fn is_terminated(&self) -> bool {
        self.stream.is_terminated()
    }
}

impl<S> fmt::Debug for Collected<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collected")
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}
