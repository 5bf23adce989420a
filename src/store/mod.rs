//! The store: the only place with SQL. Written by one [`Writer`] per process, read through [`Store`].

mod column;
mod connect;
mod hex;
mod inherited;
mod liveness;
mod migrate;
mod put;
mod read;
mod rebuild;
mod recorded;
mod row;
mod run;
#[cfg(test)]
mod sample;
mod scope;
mod shape;
mod span_row;
mod step;
mod write;

pub use read::{RunFilter, Store};
pub(crate) use rebuild::Rebuild;
pub use recorded::{ErrorEvent, ModelCall, RecordedSpan, Run, SpanEvent, ToolCall};
pub(crate) use row::{
    Attributes, ModelCallRow, RootRow, Row, SpanRow, StepRow, ToolCallRow, WithdrawnRow,
};
pub(crate) use shape::is_in_column;
pub(crate) use write::{WriteError, Writer};
