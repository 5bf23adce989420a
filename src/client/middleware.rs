//! The middleware of reqwest-middleware.

use ::reqwest::{Request, Response};
use async_trait::async_trait;
use http::Extensions;
use reqwest_middleware::{Error, Middleware, Next};

use super::endpoint::Endpoints;
use super::reqwest;
use super::scope::Scoped;
use crate::record::ErrorClass;

/// Makes spans of the model calls that go through a client of reqwest-middleware.
///
/// What it reads, and what becomes of it, is told in [the module's documentation](crate::client). Put before a retrying
/// middleware, one span describes all tries; put before and after, that span counts them.
///
/// ```
/// use hermes::client::TracedMiddleware;
/// use reqwest_middleware::ClientBuilder;
///
/// let client = ClientBuilder::new(reqwest::Client::new())
///     .with(TracedMiddleware::new())
///     .build();
/// # let _ = client;
/// ```
#[derive(Clone, Debug, Default)]
pub struct TracedMiddleware {
    endpoints: Endpoints,
}

impl TracedMiddleware {
    /// A middleware that recognises what every client recognises.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A middleware with paths or a provider of its own.
    #[must_use]
    pub fn for_endpoints(endpoints: Endpoints) -> Self {
        TracedMiddleware { endpoints }
    }
}

#[async_trait]
impl Middleware for TracedMiddleware {
    async fn handle(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response, Error> {
        let Some(mut exchange) = reqwest::begin(&self.endpoints, &mut request) else {
            return next.run(request, extensions).await;
        };
        let scope = exchange.scope();
        let future = scope.run(|| next.run(request, extensions));
        match Scoped::new(future, Some(scope)).await {
            Ok(answer) => Ok(reqwest::answered(answer, exchange)),
            Err(error) => {
                let (class, message) = told(&error);
                exchange.failed(class, message);
                Err(error)
            }
        }
    }
}

fn told(error: &Error) -> (Option<ErrorClass>, String) {
    match error {
        Error::Reqwest(error) => reqwest::told(error),
        // Other middleware hides reqwest's error among its sources.
        Error::Middleware(hidden) => {
            let inner = hidden
                .chain()
                .find_map(|source| source.downcast_ref::<::reqwest::Error>());
            match inner {
                Some(error) => reqwest::told(error),
                None => (None, crate::span::chain(error)),
            }
        }
    }
}
