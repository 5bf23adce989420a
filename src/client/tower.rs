//! The Tower layer: any service that takes HTTP requests and gives answers.

use std::fmt::Display;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::header::CONTENT_TYPE;
use http::{Request, Response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use super::body::{RequestBody, TracedBody};
use super::endpoint::Endpoints;
use super::exchange::Exchange;
use super::opening::Head;
use super::scope::{Scoped, told};

/// Makes spans of the model calls that go through a Tower service.
///
/// Works on services of `http::Request` (hyper's clients, axum's, tonic's transports), and, with feature `reqwest`, on
/// services of `reqwest::Request`, as `reqwest::Client` is one and as async-openai's `with_http_service` can be given one.
/// What it reads, and what becomes of it, is told in [the module's documentation](crate::client).
///
/// A service of `http::Request<B>` is given requests of `http::Request<RequestBody<B>>`, for a body cannot be looked at
/// without taking it; hyper's and most other services take any body.
///
/// ```
/// use bytes::Bytes;
/// use hermes::client::{RequestBody, TracedLayer};
/// use http_body_util::Full;
/// use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// // Stands for `hyper_util::client::legacy::Client`, say.
/// let http = service_fn(|_: http::Request<RequestBody<Full<Bytes>>>| async {
///     let body = r#"{"model":"m","choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}"#;
///     Ok::<_, std::convert::Infallible>(http::Response::new(Full::new(Bytes::from(body))))
/// });
/// let mut client = ServiceBuilder::new().layer(TracedLayer::new()).service(http);
///
/// let question = r#"{"model":"m","messages":[{"role":"user","content":"hello"}]}"#;
/// let request = http::Request::post("http://localhost:8080/v1/chat/completions")
///     .header("content-type", "application/json")
///     .body(Full::new(Bytes::from(question)))
///     .unwrap();
/// let answer = client.ready().await.unwrap().call(request).await.unwrap();
/// assert_eq!(answer.status(), 200);
/// # });
/// ```
#[derive(Clone, Debug, Default)]
pub struct TracedLayer {
    endpoints: Arc<Endpoints>,
}

impl TracedLayer {
    /// A layer that recognises what every client recognises.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A layer with paths or a provider of its own.
    #[must_use]
    pub fn for_endpoints(endpoints: Endpoints) -> Self {
        TracedLayer {
            endpoints: Arc::new(endpoints),
        }
    }
}

impl<S> Layer<S> for TracedLayer {
    type Service = Traced<S>;

    fn layer(&self, inner: S) -> Traced<S> {
        Traced {
            inner,
            endpoints: Arc::clone(&self.endpoints),
        }
    }
}

/// A service whose model calls make spans; made by [`TracedLayer`].
#[derive(Clone, Debug)]
pub struct Traced<S> {
    pub(super) inner: S,
    pub(super) endpoints: Arc<Endpoints>,
}

impl<S, B, R> Service<Request<B>> for Traced<S>
where
    S: Service<Request<RequestBody<B>>, Response = Response<R>>,
    S::Error: Display + 'static,
    B: Body,
    R: Body,
{
    type Response = Response<TracedBody<R>>;
    type Error = S::Error;
    type Future = TracedFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        let head = Head {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
        };
        let is_json = parts.headers.get(CONTENT_TYPE).is_none_or(|kind| {
            kind.to_str()
                .is_ok_and(|kind| kind.to_ascii_lowercase().contains("json"))
        });
        let (body, exchange) = if is_json && self.endpoints.may_be_at(head) {
            let (body, bytes) = RequestBody::looked_at(body);
            let exchange = Exchange::begin(&self.endpoints, head, bytes.as_deref());
            (body, exchange.map(Box::new))
        } else {
            (RequestBody::untouched(body), None)
        };
        let scope = exchange.as_ref().map(|exchange| {
            exchange.inject(&self.endpoints, &mut parts.headers);
            exchange.scope()
        });
        let request = Request::from_parts(parts, body);
        let future = match &scope {
            Some(scope) => scope.run(|| self.inner.call(request)),
            None => self.inner.call(request),
        };
        TracedFuture {
            future: Scoped::new(future, scope),
            exchange,
        }
    }
}

pin_project_lite::pin_project! {
    /// The answer of [`Traced`] that is awaited.
    ///
    /// Dropped before it is there, the call is `cancelled`.
    #[derive(Debug)]
    pub struct TracedFuture<F> {
        #[pin]
        future: Scoped<F>,
        exchange: Option<Box<Exchange>>,
    }
}

impl<F, B, E> Future for TracedFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body,
    E: Display + 'static,
{
    type Output = Result<Response<TracedBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.future.poll(context));
        let mut exchange = this.exchange.take();
        Poll::Ready(match answer {
            Ok(answer) => {
                if let Some(exchange) = &mut exchange {
                    exchange.answered(answer.status().as_u16(), answer.headers());
                }
                Ok(answer.map(|body| TracedBody::new(body, exchange)))
            }
            Err(error) => {
                if let Some(exchange) = &mut exchange {
                    let (class, message) = told(&error);
                    exchange.failed(class, message);
                }
                Err(error)
            }
        })
    }
}
