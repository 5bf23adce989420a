//! Bodies that pass through as they are while their exchange reads along.

use std::collections::VecDeque;
use std::fmt::Display;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Buf;
use http_body::{Body, Frame, SizeHint};

use super::MAX_READ;
use super::exchange::Exchange;

/// A body in more frames than this is not looked at to its end: some of them may be empty.
const MAX_FRAMES: usize = 4_096;

pin_project_lite::pin_project! {
    /// The body of an answer. It passes the frames on untouched and ends the span when it ends, or when
    /// it is dropped.
    #[derive(Debug)]
    pub struct TracedBody<B: Body> {
        #[pin]
        body: B,
        exchange: Option<Box<Exchange>>,
    }

    impl<B: Body> PinnedDrop for TracedBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            // Who knows the length reads no further than that.
            if this.body.is_end_stream() && let Some(mut exchange) = this.exchange.take() {
                exchange.ended();
            }
        }
    }
}

impl<B: Body> TracedBody<B> {
    /// `exchange` is `None` for a body that is nobody's answer.
    pub(super) fn new(body: B, exchange: Option<Box<Exchange>>) -> Self {
        TracedBody { body, exchange }
    }
}

impl<B> Body for TracedBody<B>
where
    B: Body,
    B::Error: Display + 'static,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let polled = this.body.as_mut().poll_frame(context);
        let Some(exchange) = this.exchange else {
            return polled;
        };
        match &polled {
            Poll::Pending => return polled,
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    each_piece(data, |piece| exchange.read(piece));
                }
                return polled;
            }
            Poll::Ready(Some(Err(error))) => {
                let (class, message) = super::scope::told(error);
                exchange.failed(class, message);
            }
            Poll::Ready(None) => exchange.ended(),
        }
        *this.exchange = None;
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

pin_project_lite::pin_project! {
    /// The body of a request. Where it was looked at, it is sent from what was seen.
    #[project = RequestBodyProjection]
    #[derive(Debug)]
    pub struct RequestBody<B: Body> {
        seen: VecDeque<Result<Frame<B::Data>, B::Error>>,
        #[pin]
        rest: Rest<B>,
    }
}

pin_project_lite::pin_project! {
    /// What was not looked at.
    #[project = RestProjection]
    #[derive(Debug)]
    enum Rest<B> {
        Untouched { #[pin] body: B },
        Begun { body: Pin<Box<B>> },
        Ended,
    }
}

impl<B: Body> RequestBody<B> {
    /// A body that nobody looks at.
    pub(super) fn untouched(body: B) -> Self {
        RequestBody {
            seen: VecDeque::new(),
            rest: Rest::Untouched { body },
        }
    }

    /// Looks at a body as far as it is there, and says what it is if that is all of it and not too long.
    ///
    /// A body that is made while it is sent is not waited for.
    pub(super) fn looked_at(body: B) -> (Self, Option<Vec<u8>>) {
        let most = u64::try_from(MAX_READ).unwrap_or(u64::MAX);
        if body.size_hint().lower() > most {
            return (Self::untouched(body), None);
        }
        let mut body = Box::pin(body);
        let mut context = Context::from_waker(Waker::noop());
        let (mut seen, mut bytes) = (VecDeque::new(), Vec::new());
        let is_whole = loop {
            match body.as_mut().poll_frame(&mut context) {
                Poll::Ready(None) => break true,
                Poll::Pending => break false,
                Poll::Ready(Some(frame)) => {
                    let is_broken = frame.is_err();
                    if let Some(data) = frame.as_ref().ok().and_then(Frame::data_ref) {
                        each_piece(data, |piece| bytes.extend_from_slice(piece));
                    }
                    seen.push_back(frame);
                    if is_broken || bytes.len() > MAX_READ || seen.len() > MAX_FRAMES {
                        break false;
                    }
                }
            }
        };
        let rest = if is_whole {
            Rest::Ended
        } else {
            Rest::Begun { body }
        };
        (RequestBody { seen, rest }, is_whole.then_some(bytes))
    }
}

impl<B: Body> Body for RequestBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        if let Some(frame) = this.seen.pop_front() {
            return Poll::Ready(Some(frame));
        }
        match this.rest.project() {
            RestProjection::Untouched { body } => body.poll_frame(context),
            RestProjection::Begun { body } => body.as_mut().poll_frame(context),
            RestProjection::Ended => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.seen.is_empty()
            && match &self.rest {
                Rest::Untouched { body } => body.is_end_stream(),
                Rest::Begun { body } => body.is_end_stream(),
                Rest::Ended => true,
            }
    }

    fn size_hint(&self) -> SizeHint {
        let rest = match &self.rest {
            Rest::Untouched { body } => body.size_hint(),
            Rest::Begun { body } => body.size_hint(),
            Rest::Ended => SizeHint::with_exact(0),
        };
        let frames = self.seen.iter().filter_map(|frame| frame.as_ref().ok());
        let seen = frames
            .filter_map(Frame::data_ref)
            .map(|data| u64::try_from(data.remaining()).unwrap_or(u64::MAX))
            .fold(0_u64, u64::saturating_add);
        let mut hint = SizeHint::new();
        // In this order: the lower bound may not pass the upper one at any time.
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(seen));
        }
        hint.set_lower(rest.lower().saturating_add(seen));
        hint
    }
}

/// The bytes of a frame, without taking them.
fn each_piece(data: &impl Buf, mut each: impl FnMut(&[u8])) {
    if data.chunk().len() == data.remaining() {
        return each(data.chunk());
    }
    let mut pieces = [IoSlice::new(&[]); 64];
    let count = data.chunks_vectored(&mut pieces);
    pieces[..count].iter().for_each(|piece| each(piece));
}
