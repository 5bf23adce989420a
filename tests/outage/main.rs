//! Collectors that are away, hang, refuse, ask for patience or answer nonsense: what they miss is sent
//! when they are back, once, as it was; and nothing of it costs the agent anything.

#![expect(clippy::print_stdout, reason = "a child tells its parent")]
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]

mod agent;
mod answers;
mod away;
mod child;
mod collector;
#[cfg(feature = "otlp-grpc")]
mod grpc;
mod restart;
