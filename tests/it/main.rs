//! What a user does with Hermes and what comes of it, in the store and at an OTLP endpoint.
//!
//! Each file is one promise; `support` holds the scripted agent and the collectors. Tests that need
//! a global subscriber or a process of their own stand beside this folder.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]

mod support;

mod accounting;
mod agents;
mod approvals;
mod attributes;
mod clients;
mod collected;
mod content;
mod content_classes;
mod content_store;
mod events;
mod dialects;
mod export;
mod failures;
mod filter;
mod foreign;
mod hooks;
mod links;
mod log_lines;
mod macros;
mod open_spans;
mod other_hosts;
#[cfg(feature = "otlp-logs")]
mod otlp_logs;
mod owned;
mod planes;
mod propagation;
mod recent;
mod redaction;
mod runs;
mod sampling;
mod session;
mod spawn;
mod streams;
mod subscribers;
mod troubles;
mod wire;
