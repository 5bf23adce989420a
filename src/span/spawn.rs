//! Work that goes on elsewhere: tasks, threads and pools that stay inside the span they were started in.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tracing::{Dispatch, Span, dispatcher};

use crate::capture::Attachment;
use crate::sink;

/// Where the code runs: its span, its subscriber and the context of another process, to be taken
/// along to other threads.
///
/// ```
/// use hermes::Surroundings;
///
/// #[hermes::tool]
/// fn search(files: &[&str]) -> usize {
///     let here = Surroundings::current();
///     std::thread::scope(|scope| {
///         let threads: Vec<_> =
///             files.iter().map(|file| scope.spawn(|| here.run(|| look_into(file)))).collect();
///         threads.into_iter().map(|thread| thread.join().unwrap_or(0)).sum()
///     })
/// }
///
/// #[hermes::instrument]
/// fn look_into(file: &str) -> usize {
///     file.len()
/// }
/// # assert_eq!(search(&["a.rs", "b.rs"]), 8);
/// ```
#[derive(Clone)]
pub struct Surroundings {
    dispatch: Dispatch,
    span: Span,
    remote: Option<Attachment>,
    wire: sink::Surrounding,
}

impl Surroundings {
    /// Where the code runs now.
    #[must_use]
    pub fn current() -> Self {
        Surroundings {
            dispatch: dispatcher::get_default(Clone::clone),
            span: Span::current(),
            remote: Attachment::current(),
            wire: sink::Surrounding::current(),
        }
    }

    /// Runs code there, on this thread.
    pub fn run<T>(&self, code: impl FnOnce() -> T) -> T {
        dispatcher::with_default(&self.dispatch, || {
            let _entered = self.span.enter();
            // After the span, whose own context OpenTelemetry has just made the current one: what was
            // current when this was taken may have been attached inside of it.
            let _wire = self.wire.hold();
            let _remote = self.remote.as_ref().map(Attachment::hold);
            code()
        })
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Surroundings")
            .field("span", &self.span)
            .finish_non_exhaustive()
    }
}

/// A future that runs where it was made: spans that start in it are children of the current one, on
/// whichever threads it is polled and whatever spawns it.
///
/// ```
/// #[hermes::tool]
/// async fn search() {
///     // Any runtime's `spawn` will do.
///     let task = tokio::spawn(hermes::in_current(look_into("a.rs")));
///     task.await.ok();
/// }
///
/// #[hermes::instrument]
/// async fn look_into(file: &'static str) {
///     println!("{file}");
/// }
/// # tokio::runtime::Runtime::new().unwrap().block_on(search());
/// ```
pub fn in_current<F: Future>(future: F) -> InCurrent<F> {
    InCurrent {
        here: Surroundings::current(),
        future: Some(future),
    }
}

/// A closure that runs where it was made: spans that start in it are children of the current one, on
/// whichever thread it is called.
///
/// ```
/// #[hermes::tool]
/// fn search() {
///     let thread = std::thread::spawn(hermes::in_current_fn(|| look_into("a.rs")));
///     thread.join().ok();
/// }
///
/// #[hermes::instrument]
/// fn look_into(file: &str) -> usize {
///     file.len()
/// }
/// # search();
/// ```
///
/// Where a pool calls one closure many times, take [`Surroundings`] along.
pub fn in_current_fn<F, T>(code: F) -> impl FnOnce() -> T
where
    F: FnOnce() -> T,
{
    let here = Surroundings::current();
    move || here.run(code)
}

pin_project_lite::pin_project! {
    /// The future of [`in_current`].
    #[must_use = "futures do nothing unless polled"]
    pub struct InCurrent<F> {
        here: Surroundings,
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for InCurrent<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            // What the future still holds is dropped where it ran.
            this.here.run(|| this.future.set(None));
        }
    }
}

impl<F: Future> Future for InCurrent<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(future) = this.future.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        let polled = this.here.run(|| future.poll(context));
        if polled.is_ready() {
            // What it holds is let go of where it ran, and the span no longer than it must be held.
            this.here.run(|| this.future.set(None));
        }
        polled
    }
}

impl<F> fmt::Debug for InCurrent<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InCurrent")
            .field("here", &self.here)
            .finish_non_exhaustive()
    }
}
