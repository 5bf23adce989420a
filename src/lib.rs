#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
// A build without one of the ways out, or without clients to watch, leaves unused what that alone asks for.
#![cfg_attr(
    not(all(feature = "sqlite", feature = "otlp", feature = "tower")),
    expect(dead_code, reason = "what is missing would use it")
)]
#![cfg_attr(
    not(feature = "otlp"),
    expect(unused_imports, reason = "exporters alone use them")
)]

#[cfg(feature = "tower")]
pub mod client;
pub mod collector;
pub mod hooks;
mod span;
pub mod event;
pub mod propagation;
mod capture;
mod semconv;
mod record;
mod policy;
mod pipeline;
mod sink;
mod wire;
#[cfg(feature = "sqlite")]
mod store;
#[cfg(feature = "sqlite")]
mod insight;
#[cfg(feature = "sqlite")]
mod rebuild;

pub mod logs;

mod assembly;
mod at_exit;
mod builder;
mod config;
mod diagnostic;
mod error;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(doctest)]
mod integrations;
mod owner_only;
pub mod privacy;
mod telemetry;

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use builder::{Builder, HermesLayer, builder, init};
pub use capture::Dialect;
pub use config::{ContentCapture, ContentClass, LogExport, TailSampling};
pub use error::{Error, ErrorKind};
pub use hermes_macros::{
    agent, approval, chat, embedding, instrument, reranker, retriever, session, tool, turn,
};
#[cfg(feature = "sqlite")]
pub use insight::{Tree, TreeNode};
pub use pipeline::{EventStats, LogStats, Stats};
pub use policy::Redactor;
#[cfg(feature = "sqlite")]
pub use rebuild::Rebuilt;
pub use record::{
    EndReason, ErrorClass, ResultClass, RunId, SpanId, Status, TraceId, Usage, Value,
};
pub use semconv::Kind;
pub use sink::Batch;
pub use span::{
    Cause, Current, InCurrent, ModelError, ModelOutput, ModelResponse, OwnedSpan, Seen, Start,
    StreamItem, StreamSpan, StreamedResponse, Surroundings, TraceStreamExt, Traced, agent,
    approval, chat, current, embedding, in_current, in_current_fn, kind, reranker, retriever,
    session, step, tool, turn,
};
#[cfg(feature = "tokio")]
pub use span::{spawn, spawn_blocking};
#[cfg(feature = "sqlite")]
pub use store::{
    Agent, CronEvent, ErrorEvent, EventFilter, FeedbackEvent, GatewayEvent, MemoryEvent, ModelCall,
    PrunePlan, Pruned, RecordedSpan, Retention, Run, RunFilter, Salvaged, SearchFilter, SearchHit,
    SkillEvent, SpanEvent, Store, ToolCall,
};
pub use telemetry::Telemetry;
pub use wire::{FinishedEvent, FinishedSpan, RecentSpan, RecentTrace};
