//! The stream itself: passes items through untouched, and tells its span of each.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::{FusedStream, Stream};

use super::item::StreamItem;
use super::seen::{Seen, State};
use super::target::StreamSpan;

/// Streams that carry their span.
///
/// The span is entered at each poll, on whichever thread that is, and open exactly as long as the stream lives:
/// until it has ended, or is dropped. Recorded are the time to the first item, how many there were, what they say
/// of the call (see [`StreamItem`]), and how it ended:
///
/// | what happens | status |
/// |---|---|
/// | the stream ends | ok |
/// | an item is an `Err`, or tells of a failure | error, with its class; the stream goes on as it likes |
/// | it is dropped before its end | cancelled, unless the provider had said that the answer was whole |
/// | polling it panics | error, of type `panic`; the panic goes on |
pub trait TraceStreamExt: Stream + Sized {
    /// Traces the stream by this span: an [`OwnedSpan`](crate::OwnedSpan), a [`Start`](crate::Start), or a
    /// [`tracing::Span`] such as the current one.
    ///
    /// ```
    /// use futures_core::Stream;
    /// use hermes::TraceStreamExt;
    /// use serde_json::Value;
    ///
    /// fn complete(chunks: impl Stream<Item = Result<Value, std::io::Error>>)
    /// -> impl Stream<Item = Result<Value, std::io::Error>> {
    ///     chunks.traced(hermes::chat("gpt-4o").provider("openai"))
    /// }
    /// ```
    fn traced(self, span: impl Into<StreamSpan>) -> Traced<Self>
    where
        Self::Item: StreamItem,
    {
        Traced::new(self, span.into(), ByItem)
    }

    /// The same for items of any type: `read` tells what an item says. It runs inside the span; its panics are
    /// nobody's.
    ///
    /// ```
    /// use futures_core::Stream;
    /// use hermes::TraceStreamExt;
    ///
    /// enum Event { Text(String), Done { prompt: u32, completion: u32 } }
    ///
    /// fn watched(events: impl Stream<Item = Event>) -> impl Stream<Item = Event> {
    ///     events.traced_with(hermes::chat("local"), |event, seen| match event {
    ///         Event::Text(text) => seen.text(text),
    ///         Event::Done { prompt, completion } => seen.usage(hermes::Usage {
    ///             input_tokens: (*prompt).into(),
    ///             output_tokens: (*completion).into(),
    ///             ..Default::default()
    ///         }),
    ///     })
    /// }
    /// ```
    fn traced_with<R>(self, span: impl Into<StreamSpan>, read: R) -> Traced<Self, R>
    where
        R: FnMut(&Self::Item, &mut Seen<'_>),
    {
        Traced::new(self, span.into(), read)
    }
}

impl<S: Stream> TraceStreamExt for S {}

/// Traces a stream of items of any type by a span, and reads of each item what its type allows.
///
/// Like [`TraceStreamExt::traced`], which it needs no import of; beyond what that reads, it takes items of any type,
/// reads those that serialise as chunks of a provider's wire format (as the types of provider crates are), and
/// tells an error with its sources.
///
/// ```
/// use futures_core::Stream;
///
/// struct Chunk(String);
/// struct Failure;
///
/// fn complete(chunks: impl Stream<Item = Result<Chunk, Failure>>) -> impl Stream<Item = Result<Chunk, Failure>> {
///     hermes::traced!(chunks, hermes::chat("gpt-4o"))
/// }
/// ```
#[macro_export]
macro_rules! traced {
    ($stream:expr, $span:expr $(,)?) => {
        $crate::TraceStreamExt::traced_with($stream, $span, |item, seen| {
            use $crate::__private::probe::*;
            match (&&$crate::__private::Probe(item)).hermes_split() {
                ::core::result::Result::Ok(item) => {
                    (&&&&&$crate::__private::Probe(item)).hermes_read_into(seen);
                }
                ::core::result::Result::Err(error) => seen.error_of(
                    || (&&&&$crate::__private::Probe(error)).hermes_type_name(),
                    || (&&&&&&$crate::__private::Probe(error)).hermes_message(),
                ),
            }
        })
    };
}

/// The stream of an annotated function, whose span goes on with it.
#[doc(hidden)]
pub fn traced<S, R>(span: impl Into<StreamSpan>, stream: S, read: R) -> Traced<S, R>
where
    S: Stream,
    R: FnMut(&S::Item, &mut Seen<'_>),
{
    Traced::new(stream, span.into(), read)
}

/// Reads the items of a stream.
#[doc(hidden)]
pub trait ReadItem<T> {
    /// Tells what an item says.
    fn read_item(&mut self, item: &T, seen: &mut Seen<'_>);
}

/// Items that tell of themselves.
#[derive(Clone, Copy, Debug)]
pub struct ByItem;

impl<T: StreamItem> ReadItem<T> for ByItem {
    fn read_item(&mut self, item: &T, seen: &mut Seen<'_>) {
        item.read(seen);
    }
}

impl<T, R: FnMut(&T, &mut Seen<'_>)> ReadItem<T> for R {
    fn read_item(&mut self, item: &T, seen: &mut Seen<'_>) {
        self(item, seen);
    }
}

pin_project_lite::pin_project! {
    /// A stream that carries its span. Made by [`TraceStreamExt`] and [`hermes::traced!`](crate::traced!).
    ///
    /// Polled after its end, it does what the stream inside does, without a span.
    #[must_use = "a stream does nothing unless it is polled"]
    pub struct Traced<S, R = ByItem> {
        #[pin]
        stream: Option<S>,
        read: R,
        // `None`: the stream has ended.
        running: Option<Running>,
    }

    impl<S, R> PinnedDrop for Traced<S, R> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(running) = this.running.take() {
                // What the stream still holds is dropped inside its span.
                let entered = running.span.call().span().clone().entered();
                this.stream.set(None);
                drop(entered);
                running.dropped();
            }
        }
    }
}

/// What a stream has while it runs.
struct Running {
    span: StreamSpan,
    state: State,
}

impl Running {
    fn ended(mut self) {
        self.state.tell(&self.span);
        self.span.end();
    }

    fn dropped(mut self) {
        let is_complete = self.state.is_complete();
        self.state.tell(&self.span);
        if is_complete {
            self.span.end();
        } else {
            self.span.cancel();
        }
    }
}

impl<S: Stream, R> Traced<S, R> {
    fn new(stream: S, span: StreamSpan, read: R) -> Self {
        Traced {
            stream: Some(stream),
            read,
            running: Some(Running {
                span,
                state: State::default(),
            }),
        }
    }
}

impl<S: Stream, R: ReadItem<S::Item>> Stream for Traced<S, R> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        let Some(stream) = this.stream.as_pin_mut() else {
            return Poll::Ready(None);
        };
        let Some(running) = this.running else {
            return stream.poll_next(context);
        };
        let entered = running.span.call().span().enter();
        let polled = catch_unwind(AssertUnwindSafe(|| stream.poll_next(context)));
        if let Ok(Poll::Ready(Some(item))) = &polled {
            let read = this.read;
            running
                .state
                .see(&running.span, |seen| read.read_item(item, seen));
        }
        drop(entered);
        match polled {
            Ok(Poll::Ready(None)) => {
                if let Some(running) = this.running.take() {
                    running.ended();
                }
                Poll::Ready(None)
            }
            Ok(polled) => polled,
            Err(payload) => {
                if let Some(mut running) = this.running.take() {
                    running.state.tell(&running.span);
                    running.span.panicked(&*payload);
                }
                resume_unwind(payload)
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.as_ref().map_or((0, Some(0)), S::size_hint)
    }
}

impl<S: FusedStream, R: ReadItem<S::Item>> FusedStream for Traced<S, R> {
    fn is_terminated(&self) -> bool {
        self.stream.as_ref().is_none_or(S::is_terminated)
    }
}

impl<S, R> fmt::Debug for Traced<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = self.running.as_ref().map(|running| &running.span);
        f.debug_struct("Traced")
            .field("span", &span)
            .finish_non_exhaustive()
    }
}
