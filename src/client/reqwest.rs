//! Requests and answers of reqwest: the Tower layer on its client, and what its middleware shares with that.

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use ::reqwest::{Body, Error, Request, Response, ResponseBuilderExt};
use http::Uri;

use super::MAX_READ;
use super::body::TracedBody;
use super::endpoint::Endpoints;
use super::exchange::Exchange;
use super::opening::Head;
use super::scope::{Scoped, told as told_of};
use crate::record::ErrorClass;
use crate::span::chain;

/// Begins the exchange of a request, if it is a call to a model, and tells the other side of it.
pub(super) fn begin(endpoints: &Endpoints, request: &mut Request) -> Option<Box<Exchange>> {
    let uri = Uri::try_from(request.url().as_str()).ok()?;
    let head = Head {
        method: request.method(),
        uri: &uri,
        headers: request.headers(),
    };
    if !endpoints.may_be_at(head) {
        return None;
    }
    let body = request.body().and_then(Body::as_bytes);
    let body = body.filter(|body| body.len() <= MAX_READ);
    let exchange = Exchange::begin(endpoints, head, body)?;
    exchange.inject(endpoints, request.headers_mut());
    Some(Box::new(exchange))
}

/// The same answer, its body read along.
pub(super) fn answered(answer: Response, mut exchange: Box<Exchange>) -> Response {
    exchange.answered(answer.status().as_u16(), answer.headers());
    // The URL is lost on the way through `http`'s types unless it is handed over.
    let url = http::Response::builder().url(answer.url().clone()).body(());
    let (mut parts, body) = http::Response::<Body>::from(answer).into_parts();
    if let Ok(url) = url {
        parts.extensions.extend(url.into_parts().0.extensions);
    }
    let body = Body::wrap(TracedBody::new(body, Some(exchange)));
    Response::from(http::Response::from_parts(parts, body))
}

/// What an error of reqwest says. Its URL may bear a key.
pub(super) fn told(error: &Error) -> (Option<ErrorClass>, String) {
    let class = match () {
        () if error.is_timeout() => Some(ErrorClass::ProviderTimeout),
        () if error.is_connect() => Some(ErrorClass::Network),
        () => None,
    };
    let mut text = chain(error);
    if let Some(url) = error.url() {
        text = text.replace(url.as_str(), &crate::span::without_secrets(url.as_str()));
    }
    (class, text)
}

impl<S> tower_service::Service<Request> for super::tower::Traced<S>
where
    S: tower_service::Service<Request, Response = Response>,
    S::Error: Display + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = super::TracedAnswer<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let exchange = begin(&self.endpoints, &mut request);
        let scope = exchange.as_ref().map(|exchange| exchange.scope());
        let future = match &scope {
            Some(scope) => scope.run(|| self.inner.call(request)),
            None => self.inner.call(request),
        };
        TracedAnswer {
            future: Scoped::new(future, scope),
            exchange,
        }
    }
}

pin_project_lite::pin_project! {
    /// The answer that [`Traced`](super::Traced) awaits of reqwest.
    ///
    /// Dropped before it is there, the call is `cancelled`.
    #[derive(Debug)]
    pub struct TracedAnswer<F> {
        #[pin]
        future: Scoped<F>,
        exchange: Option<Box<Exchange>>,
    }
}

impl<F, E> Future for TracedAnswer<F>
where
    F: Future<Output = Result<Response, E>>,
    E: Display + 'static,
{
    type Output = Result<Response, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = std::task::ready!(this.future.poll(context));
        let exchange = this.exchange.take();
        Poll::Ready(match (answer, exchange) {
            (Ok(answer), Some(exchange)) => Ok(answered(answer, exchange)),
            (Err(error), Some(mut exchange)) => {
                let (class, message) = told_of(&error);
                exchange.failed(class, message);
                Err(error)
            }
            (answer, None) => answer,
        })
    }
}
