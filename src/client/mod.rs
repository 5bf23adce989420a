//! Model calls of HTTP clients that make no spans of their own: a Tower layer and a reqwest middleware.
//!
//! Both read along what goes over the wire, in the wire shapes that [`ModelResponse`](crate::ModelResponse) knows:
//! a request that is a call to a model ([`Endpoints`] says which) becomes a chat span (an embedding or a reranker span where it is
//! one) with the model, the parameters, the counts of messages and tools, usage, id, finish reasons and the time to the first
//! chunk; everything else passes untouched. Messages are kept where content is captured, and redacted as all
//! content is.
//!
//! - **Bodies** pass through as they are, frame by frame. A request's body is looked at before it is sent where it is
//!   there as a whole and no larger than four mebibytes; a response's while the client reads it, and of
//!   larger JSON bodies and events only that they were there is known. The span stays open until the body has
//!   ended: a body that is dropped before is `cancelled`, unless the provider had already said that it was all.
//! - **Failures**: a status of 400 or more is an error of the class that status and body tell; so is an error inside a
//!   200, a body that breaks off, and a transport's error. The client sees exactly what it would have seen.
//! - **Inside a model call** that is already described, by `#[hermes::chat]`, say, that span is filled in and no child
//!   is added; what the attribute states stays. How it ended is for the function to say.
//! - **Retries**: of a layer that stands above the retries, one span describes them all; put beneath as well, it counts them as
//!   `hermes.retry_count`. Beneath alone, each try is a span, and each but the first says how many went before.
//! - **`traceparent`** of the span is sent along, where the request has none.
//!
//! A body that the transport has not decompressed cannot be read: put the layer above the decompression (reqwest
//! decompresses beneath its middleware).

mod body;
mod endpoint;
mod exchange;
#[cfg(feature = "reqwest-middleware")]
mod middleware;
mod opening;
#[cfg(feature = "reqwest")]
mod reqwest;
mod retry;
mod scope;
mod tower;

pub use body::{RequestBody, TracedBody};
pub use endpoint::Endpoints;
#[cfg(feature = "reqwest-middleware")]
pub use middleware::TracedMiddleware;
#[cfg(feature = "reqwest")]
pub use reqwest::TracedAnswer;
pub use tower::{Traced, TracedFuture, TracedLayer};

/// Longer bodies and frames are not looked at.
const MAX_READ: usize = 4 << 20;
