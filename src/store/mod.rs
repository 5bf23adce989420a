//! The store: the only place with SQL. Written by one [`Writer`] per process, read through [`Store`].

mod aside;
mod at_hand;
mod column;
mod connect;
mod content;
mod event;
mod hex;
mod inherited;
mod liveness;
mod migrate;
#[cfg_attr(
    not(feature = "otlp"),
    expect(dead_code, reason = "only exporters owe")
)]
mod outbox;
mod place;
mod prune;
mod put;
mod read;
mod read_event;
mod rebuild;
mod recorded;
mod retention;
mod row;
mod run;
mod salvage;
#[cfg(test)]
mod sample;
mod scope;
mod search;
mod shape;
mod span_row;
mod split;
mod step;
#[cfg_attr(
    not(feature = "otlp"),
    expect(dead_code, reason = "only exporters decide")
)]
mod undecided;
mod upkeep;
mod write;

pub(crate) use connect::Opening;
pub(crate) use liveness::{Lock, LostSpan};
pub(crate) use outbox::{Outbox, Waiting};
pub(crate) use prune::Pruner;
pub use read::{RunFilter, Store};
pub use read_event::EventFilter;
pub(crate) use rebuild::Rebuild;
pub use recorded::{
    Agent, CronEvent, ErrorEvent, FeedbackEvent, GatewayEvent, MemoryEvent, ModelCall,
    RecordedSpan, Run, SkillEvent, SpanEvent, ToolCall,
};
pub use retention::{PrunePlan, Pruned, Retention};
pub(crate) use row::{
    Attributes, ContentRow, Export, ModelCallRow, Owed, RootRow, Row, SpanRow, Stage, StepRow,
    ToolCallRow, WithdrawnRow,
};
pub use salvage::Salvaged;
pub use search::{SearchFilter, SearchHit};
pub(crate) use shape::is_in_column;
pub(crate) use write::{WriteError, Writer};
