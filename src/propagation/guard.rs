//! A context attached to a thread or to a future: what starts there is a child of the other process's.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{Extract, extract};
use crate::capture::{Attachment, Detach};
use crate::record::TraceContext;
use crate::sink::{self, Held};

/// Makes the span that a carrier names the parent of what starts on this thread, until the guard is
/// dropped.
///
/// A span that is entered while the guard lives stands below it, and is the parent of what starts in
/// it; an explicit parent beats both. A carrier without a context attaches nothing but its baggage.
///
/// The guard belongs to its thread, so it cannot be held across the `.await` of a task that moves
/// between threads: [`in_remote`] is for those, and so is `parent = ` of the attributes.
///
/// ```
/// use hermes::propagation;
///
/// fn serve(headers: &http::HeaderMap) {
///     let _remote = propagation::attach(headers);
///     answer();
/// }
///
/// #[hermes::session(id = "s-1")]
/// fn answer() {}
/// # serve(&http::HeaderMap::new());
/// ```
#[must_use = "the context is attached until this is dropped: bind it to a name"]
pub fn attach(carrier: &(impl Extract + ?Sized)) -> Attached {
    Attached::new(&Arc::new(extract(carrier)))
}

/// Runs a future with the span that a carrier names as the parent of what starts in it, on whichever
/// threads it is polled.
///
/// ```
/// use hermes::propagation;
///
/// async fn serve(headers: http::HeaderMap) {
///     propagation::in_remote(&headers, answer()).await;
/// }
///
/// #[hermes::session(id = "s-1")]
/// async fn answer() {}
/// ```
pub fn in_remote<F: Future>(carrier: &(impl Extract + ?Sized), future: F) -> InRemote<F> {
    InRemote {
        context: Arc::new(extract(carrier)),
        future: Some(future),
    }
}

/// A context attached to a thread; see [`attach`].
pub struct Attached {
    _ours: Detach,
    _held: Held,
}

impl Attached {
    fn new(context: &Arc<TraceContext>) -> Self {
        Attached {
            _ours: Attachment::here(Arc::clone(context)).hold(),
            _held: sink::hold(context),
        }
    }
}

impl fmt::Debug for Attached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attached").finish_non_exhaustive()
    }
}

pin_project_lite::pin_project! {
    /// The future of [`in_remote`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct InRemote<F> {
        context: Arc<TraceContext>,
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for InRemote<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            // What the future still holds is dropped where it ran.
            let _attached = Attached::new(this.context);
            this.future.set(None);
        }
    }
}

impl<F: Future> Future for InRemote<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let _attached = Attached::new(this.context);
        match this.future.as_pin_mut() {
            Some(future) => future.poll(context),
            // Only the destructor takes it away.
            None => Poll::Pending,
        }
    }
}
