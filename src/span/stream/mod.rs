//! Streams that carry their span: it is entered at each poll, and open exactly as long as they live.

mod item;
mod seen;
mod target;
mod traced;

pub use item::StreamItem;
pub use seen::Seen;
pub use target::StreamSpan;
pub use traced::{TraceStreamExt, Traced, traced};
