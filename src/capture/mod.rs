//! From `tracing` to records: runs inside the user's program, on the user's threads.
//!
//! The rules of this folder: no user code (a `Debug` impl, say) under a lock (visit, then lock;
//! take, then finish); nothing blocks or does I/O; nothing emits a `tracing` event; a lock is held
//! for one span at a time, never for two.

#[cfg(feature = "otlp")]
mod answers;
mod attached;
mod callsite;
mod clock;
mod close;
mod core;
mod dialect;
mod draft;
mod event;
mod exchange;
mod filter;
mod finish;
mod held;
mod installed;
mod interest;
mod keeps;
mod layer;
#[cfg(feature = "otlp-logs")]
mod log;
mod notes;
mod open;
mod opening;
mod pool;
mod remote;
mod spans;
mod start;
mod state;
mod verdict;
mod visitor;
mod wait;
mod wire_ids;

pub(crate) use attached::{Attachment, Detach};
pub(crate) use callsite::Dialects;
pub(crate) use core::{Core, Ways};
pub use dialect::Dialect;
pub(crate) use draft::Waiting;
pub(crate) use filter::CaptureFilter;
pub(crate) use installed::{expect_lines, ids_around};
#[cfg(feature = "otlp")]
pub(crate) use interest::Interests;
pub(crate) use layer::Capture;
#[cfg(feature = "otlp-logs")]
pub(crate) use log::{EventCapture, is_wanted};
pub(crate) use notes::Notes;
pub(crate) use open::OpenSpan;
pub(crate) use opening::opening_at;
pub(crate) use spans::Spans;
pub(crate) use state::Outcome;
