//! The model: what a span was, as plain data. Knows neither `tracing` nor SQL nor HTTP.

mod facts;
mod failure;
mod happening;
mod id;
#[cfg(feature = "otlp")]
mod merit;
mod span;
mod status;
mod time;
mod trace_context;
mod usage;
mod value;
mod verdict;
mod writer;

pub(crate) use facts::Facts;
pub(crate) use failure::classify;
pub(crate) use happening::{Happening, What};
pub(crate) use id::seed;
pub use id::{RunId, SpanId, TraceId};
#[cfg(feature = "otlp")]
pub(crate) use merit::Merit;
pub(crate) use span::{EventRecord, Failure, RunRecord, SpanRecord};
pub(crate) use status::{CostStatus, FinalStatus};
pub use status::{EndReason, ErrorClass, ResultClass, Status};
pub(crate) use time::now_ns;
pub(crate) use trace_context::BaggageEntry;
pub use trace_context::{Baggage, TraceContext};
pub use usage::Usage;
pub use value::Value;
pub(crate) use verdict::Verdict;
pub(crate) use writer::WriterIdentity;
pub(crate) mod tool_result {
    pub(crate) use super::verdict::{of_json, of_text};
}
