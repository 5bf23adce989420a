//! Runs an annotated function inside its span, to its end: a value, a panic, or a future that was dropped.

use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::call::Call;

/// Runs the body of a function inside its span.
pub fn run<T>(call: Call, body: impl FnOnce() -> T, observe: impl FnOnce(&Call, &T)) -> T {
    let entered = call.span().enter();
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => {
            observe(&call, &value);
            value
        }
        Err(payload) => {
            call.panicked(&*payload);
            drop(entered);
            drop(call);
            resume_unwind(payload)
        }
    }
}

/// Polls a future inside its span.
pub fn watch<F, O>(call: Call, future: F, observe: O) -> Watch<F, O>
where
    F: Future,
    O: FnOnce(&Call, &F::Output),
{
    Watch {
        running: Some((call, observe)),
        future: Some(future),
    }
}

pin_project_lite::pin_project! {
    /// The future of an annotated function.
    ///
    /// Dropped before it is done, it says that the call was cancelled.
    pub struct Watch<F, O> {
        running: Option<(Call, O)>,
        #[pin]
        future: Option<F>,
    }

    impl<F, O> PinnedDrop for Watch<F, O> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some((call, _)) = this.running.take() {
                call.cancelled();
                // What the future still holds is dropped inside its span.
                let _entered = call.span().enter();
                this.future.set(None);
            }
        }
    }
}

impl<F, O> Future for Watch<F, O>
where
    F: Future,
    O: FnOnce(&Call, &F::Output),
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (Some(future), Some((call, _))) = (this.future.as_mut().as_pin_mut(), &*this.running)
        else {
            // The contract of `Future` allows anything but unsoundness here; waiting is the mildest.
            return Poll::Pending;
        };
        let entered = call.span().enter();
        let polled = catch_unwind(AssertUnwindSafe(|| future.poll(context)));
        drop(entered);
        if let Ok(Poll::Pending) = polled {
            return Poll::Pending;
        }
        let Some((call, observe)) = this.running.take() else {
            return Poll::Pending;
        };
        let entered = call.span().enter();
        let outcome = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(value)) => {
                observe(&call, &value);
                Ok(value)
            }
            Err(payload) => {
                call.panicked(&*payload);
                Err(payload)
            }
        };
        this.future.set(None);
        drop(entered);
        drop(call);
        outcome.map_or_else(|payload| resume_unwind(payload), Poll::Ready)
    }
}

impl<F, O> fmt::Debug for Watch<F, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}
