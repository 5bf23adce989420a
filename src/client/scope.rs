//! Polls a future inside the span of its exchange, so that what happens there finds itself inside.

use std::any::Any;
use std::cell::Cell;
use std::error::Error;
use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tracing::Span;

use crate::record::ErrorClass;
use crate::span::chain;

thread_local! {
    /// The exchange that runs here, by the span that it fills.
    static INSIDE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The exchange around something.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub(super) span: Span,
    /// The address of what describes the exchange: it is held as long as the exchange runs.
    pub(super) key: Option<usize>,
}

impl Scope {
    /// Whether the code runs inside the exchange of this key.
    pub(super) fn is_inside(key: usize) -> bool {
        INSIDE.get() == Some(key)
    }

    pub(super) fn run<T>(&self, body: impl FnOnce() -> T) -> T {
        let before = INSIDE.replace(self.key.or_else(|| INSIDE.get()));
        let _restored = Restore(before);
        self.span.in_scope(body)
    }
}

struct Restore(Option<usize>);

impl Drop for Restore {
    fn drop(&mut self) {
        INSIDE.set(self.0);
    }
}

pin_project_lite::pin_project! {
    /// A future inside a scope.
    #[derive(Debug)]
    pub(super) struct Scoped<F> {
        #[pin]
        future: F,
        scope: Option<Scope>,
    }
}

impl<F> Scoped<F> {
    pub(super) fn new(future: F, scope: Option<Scope>) -> Self {
        Scoped { future, scope }
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        match this.scope {
            Some(scope) => scope.run(|| this.future.poll(context)),
            None => this.future.poll(context),
        }
    }
}

/// What an error of a transport says: its class where its type tells it, and its text with those of its sources.
pub(super) fn told<E: Display + 'static>(error: &E) -> (Option<ErrorClass>, String) {
    let any: &dyn Any = error;
    #[cfg(feature = "reqwest")]
    if let Some(error) = any.downcast_ref::<::reqwest::Error>() {
        return super::reqwest::told(error);
    }
    if let Some(error) = any.downcast_ref::<Box<dyn Error + Send + Sync>>() {
        #[cfg(feature = "reqwest")]
        if let Some(error) = error.downcast_ref::<::reqwest::Error>() {
            return super::reqwest::told(error);
        }
        return (None, chain(&**error));
    }
    if let Some(error) = any.downcast_ref::<std::io::Error>() {
        return (None, chain(error));
    }
    (None, error.to_string())
}
