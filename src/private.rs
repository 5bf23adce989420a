//! What macro expansions name, and nobody else may: it changes without notice.

pub use std::format;

pub use tracing;

pub use crate::semconv::{Fact, field};
pub use crate::span::probe::Probe;
pub use crate::span::stream::traced;
pub use crate::span::{
    Call, Parent, Parentage, Returns, Watch, below, follow, response, run, server_address,
    server_port, watch,
};

/// Reads bytes as a file of settings, and gives how many lines it would tell about: for fuzzers.
#[must_use]
pub fn settings_told(bytes: &[u8]) -> usize {
    std::str::from_utf8(bytes).map_or(0, |text| crate::config::read_scope(text).1.len())
}

/// The text of anything that is one.
pub fn text<T: AsRef<str> + ?Sized>(text: &T) -> &str {
    text.as_ref()
}

/// A stream of these items: what is not told of a type inside a body, the signature tells.
pub fn stream_of<S: futures_core::Stream<Item = T>, T>(stream: S) -> S {
    stream
}

/// A future of this output.
pub fn future_of<F: Future<Output = T>, T>(future: F) -> F {
    future
}

/// The traits that a [`Parentage`] is asked through.
pub mod parentage {
    pub use crate::span::{LocalParent as _, RemoteParent as _};
}

/// The traits that a [`Probe`] is asked through; anonymous, so that they hide no name of the user's.
pub mod probe {
    pub use crate::span::probe::{
        AsField as _, ContentDebug as _, ContentDisplay as _, ContentJson as _, ContentText as _,
        FieldByItself as _, FieldByReference as _, FieldOfReference as _, JsonOf as _,
        JsonText as _, MessageOfDebug as _, MessageOfDisplay as _, MessageOfErased as _,
        MessageOfErasedSend as _, MessageOfError as _, NameOfErased as _, NameOfErasedSend as _,
        NameOfType as _, NoMessage as _, NoVerdict as _, ReadBytes as _, ReadNothing as _,
        ReadResponse as _, ReadSerialized as _, ReadText as _, SplitOther as _, SplitResult as _,
        VerdictOfJson as _, VerdictOfText as _,
    };
}
