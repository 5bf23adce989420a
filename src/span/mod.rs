//! What user code touches: the handle of an annotated call, late values, and how results are read.

mod call;
mod current;
pub(crate) mod probe;
mod part;
mod request;
mod response;
mod shape;
mod tokens;
mod url;

#[cfg(any(feature = "reqwest", feature = "tower"))]
pub(crate) use call::state_response;
#[doc(hidden)]
pub use call::{Call, Returns, Watch, response, run, watch};
pub use current::{Current, current};
pub use response::{ModelError, ModelOutput, ModelResponse, StreamedResponse};
#[doc(hidden)]
pub use url::{server_address, server_port};
#[cfg(any(feature = "reqwest", feature = "tower"))]
pub(crate) use {probe::chain, url::without_secrets};
