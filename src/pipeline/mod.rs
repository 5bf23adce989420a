//! Off the caller's thread: a bounded queue, two threads in a row, and the count of what was lost.
//!
//! A full queue loses the newest record and counts it: the caller neither waits nor allocates for
//! a record that has no place. Control (flush, shutdown) travels apart from the data.

mod ahead;
mod happenings;
mod health;
mod home;
mod queue;
mod reader;
mod writer;

pub use health::{EventStats, LogStats, Stats};
pub(crate) use health::{Health, Loss};
pub(crate) use home::Home;
pub(crate) use queue::Queue;
pub(crate) use reader::{Reader, Source};
pub(crate) use writer::Writer;
