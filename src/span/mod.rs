//! What user code touches: the handle of an annotated call, late values, and how results are read.

mod call;
mod current;
pub(crate) mod owned;
pub(crate) mod probe;
mod parentage;
mod part;
mod request;
mod response;
mod shape;
mod spawn;
#[cfg(feature = "tokio")]
mod spawn_tokio;
pub(crate) mod stream;
mod tokens;
mod url;
mod watch;

pub(crate) use call::quietly;
#[cfg(feature = "tower")]
pub(crate) use call::state_response;
#[doc(hidden)]
pub use call::{Call, Returns, response};
pub use current::{Current, current};
pub use owned::{
    Cause, OwnedSpan, Start, agent, approval, chat, embedding, kind, reranker, retriever, session,
    step, tool, turn,
};
#[doc(hidden)]
pub use parentage::{LocalParent, Parent, Parentage, RemoteParent, below, follow};
pub use response::{ModelError, ModelOutput, ModelResponse, StreamedResponse};
pub use spawn::{InCurrent, Surroundings, in_current, in_current_fn};
#[cfg(feature = "tokio")]
pub use spawn_tokio::{spawn, spawn_blocking};
pub use stream::{Seen, StreamItem, StreamSpan, TraceStreamExt, Traced};
#[doc(hidden)]
pub use url::{server_address, server_port};
#[doc(hidden)]
pub use watch::{Watch, run, watch};
#[cfg(feature = "tower")]
pub(crate) use {probe::chain, url::without_secrets};
