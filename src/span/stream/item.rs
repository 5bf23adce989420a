//! What the items of a stream say of the call, for the types that are known to say something.

use std::any::Any;
use std::error::Error;
use std::fmt::Display;

use super::seen::Seen;
use crate::span::ModelResponse;
use crate::span::probe::{chain, innermost_known, plain_type_name};

/// An item of a stream that [`traced`](super::TraceStreamExt::traced) can read.
///
/// Implemented for
///
/// - whatever implements [`ModelResponse`]: usage, model, id and finish reasons are those of the last item that
///   tells them, lengths are summed up. A [`serde_json::Value`] is read as a chunk of a streamed answer in any of
///   the known wire shapes (see [`StreamedResponse`](crate::StreamedResponse));
/// - `String`, `&str`: a piece of what the model says, or of the wire format;
/// - `Vec<u8>`, `&[u8]`: a piece of the body as it comes from the network;
/// - `()`, which says nothing;
/// - `Result<T, E>` of one of them: an `Err` fails the span.
///
/// For a type of your own an empty `impl ModelResponse for Chunk {}` is enough, and items of any type are taken by
/// [`hermes::traced!`](crate::traced!) and [`traced_with`](super::TraceStreamExt::traced_with).
#[diagnostic::on_unimplemented(
    message = "`traced` cannot read items of type `{Self}`",
    label = "is not a stream item that Hermes knows",
    note = "use `hermes::traced!(stream, span)`, which takes items of any type, or `stream.traced_with(span, |item, seen| ..)`",
    note = "for a type of your own, `impl hermes::ModelResponse for {Self} {{}}` is enough"
)]
pub trait StreamItem {
    /// Tells what the item says.
    fn read(&self, seen: &mut Seen<'_>);
}

impl<T: ModelResponse> StreamItem for T {
    fn read(&self, seen: &mut Seen<'_>) {
        seen.response(self);
    }
}

impl StreamItem for Vec<u8> {
    fn read(&self, seen: &mut Seen<'_>) {
        seen.bytes(self);
    }
}

impl StreamItem for &[u8] {
    fn read(&self, seen: &mut Seen<'_>) {
        seen.bytes(self);
    }
}

#[cfg(any(feature = "otlp", feature = "tower"))]
impl StreamItem for bytes::Bytes {
    fn read(&self, seen: &mut Seen<'_>) {
        seen.bytes(self);
    }
}

impl StreamItem for () {
    fn read(&self, _seen: &mut Seen<'_>) {}
}

impl<T: StreamItem, E: Display + 'static> StreamItem for Result<T, E> {
    fn read(&self, seen: &mut Seen<'_>) {
        match self {
            Ok(item) => item.read(seen),
            Err(error) => seen.error_of(|| type_name(error), || Some(message(error))),
        }
    }
}

/// The type of an error; of an erased one, that of the innermost source that is known.
fn type_name<E: Display + 'static>(error: &E) -> Option<&'static str> {
    match erased(error) {
        Some(error) => innermost_known(error),
        None => Some(plain_type_name::<E>()).filter(|name| !is_text(name)),
    }
}

fn message<E: Display + 'static>(error: &E) -> String {
    erased(error).map_or_else(|| error.to_string(), chain)
}

/// A text in the place of an error has no type that tells anything.
fn is_text(name: &str) -> bool {
    matches!(name, "alloc::string::String" | "str")
}

fn erased(error: &dyn Any) -> Option<&(dyn Error + 'static)> {
    if let Some(error) = error.downcast_ref::<Box<dyn Error + Send + Sync>>() {
        return Some(&**error);
    }
    if let Some(error) = error.downcast_ref::<Box<dyn Error + Send>>() {
        return Some(&**error);
    }
    error.downcast_ref::<Box<dyn Error>>().map(|error| &**error)
}
