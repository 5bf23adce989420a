//! The event log: what is in it, what no fault can do to it, and the store that is made of it.
//!
//! `agent` is the scripted agent with a store and a log; `tables` compares stores row for row.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]
#![expect(clippy::print_stdout, reason = "a child tells its parent")]

mod agent;
#[path = "../it/support/script.rs"]
mod script;
mod tables;

mod faults;
mod processes;
mod rebuild;
