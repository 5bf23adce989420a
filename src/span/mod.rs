//! What user code touches: the handle of an annotated call, late values, and how results are read.

mod call;
mod current;
pub(crate) mod probe;
mod parentage;
mod part;
mod request;
mod response;
mod shape;
mod spawn;
#[cfg(feature = "tokio")]
mod spawn_tokio;
mod tokens;
mod url;

#[doc(hidden)]
pub use call::{Call, Returns, Watch, response, run, watch};
pub use current::{Current, current};
#[doc(hidden)]
pub use parentage::{LocalParent, Parent, Parentage, RemoteParent, below, follow};
pub use response::{ModelOutput, ModelResponse};
pub use spawn::{InCurrent, Surroundings, in_current, in_current_fn};
#[cfg(feature = "tokio")]
pub use spawn_tokio::{spawn, spawn_blocking};
#[doc(hidden)]
pub use url::{server_address, server_port};
