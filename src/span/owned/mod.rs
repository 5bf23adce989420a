//! Spans that are held: for frameworks that tell of a start in one callback and of the end in another.

mod callsite;
mod cause;
mod facts;
mod handle;
pub mod kind;
mod start;

pub use cause::Cause;
pub use handle::OwnedSpan;
pub(super) use handle::state_failure;
pub use start::{
    Start, agent, approval, chat, embedding, reranker, retriever, session, step, tool, turn,
};
