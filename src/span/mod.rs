//! What user code touches: the handle of an annotated call, late values, and how results are read.

mod call;
mod current;
pub(crate) mod owned;
pub(crate) mod probe;
mod part;
mod request;
mod response;
mod shape;
mod tokens;
mod url;

#[doc(hidden)]
pub use call::{Call, Returns, Watch, response, run, watch};
pub use current::{Current, current};
pub use owned::{
    Cause, OwnedSpan, Start, agent, chat, embedding, kind, reranker, retriever, session, step,
    tool, turn,
};
pub use response::{ModelOutput, ModelResponse};
#[doc(hidden)]
pub use url::{server_address, server_port};
