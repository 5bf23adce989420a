//! What goes wrong under an agent, made for real: full disks, locks, broken, deleted and moved files.
//!
//! Every test asserts the same: the agent's results are what they are without Hermes, nothing
//! panics, the counts add up to the last span, and once the fault is gone all is recorded again.
//! `agent` holds the agent, in this process and in a process of its own; each other file is a fault.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot set itself up has failed"
)]

mod agent;

mod damage;
mod disk;
mod lock;
mod memory;
mod place;
mod retention;
