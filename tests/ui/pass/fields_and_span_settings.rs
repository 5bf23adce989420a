//! The arguments that every kind takes.
#![deny(warnings)]

use hermes::instrument;
use tracing::{Level, Span};

const TARGET: &str = "agent::tools";
const QUIET: Level = Level::TRACE;
const NAMED: &str = "my.constant";

#[instrument(
    tool,
    span_name = "my.tool",
    target = "agent",
    level = "debug",
    fields(user.id = id, ?id, "quoted name" = %id, { NAMED } = true, later = tracing::field::Empty),
)]
fn tool(id: u32) -> u32 {
    Span::current().record("later", 1);
    id
}

#[instrument(target = TARGET, level = QUIET)]
fn quiet() {}

#[instrument(level = 1, fields())]
fn numbered() {}

#[instrument(level = tracing::Level::WARN)]
fn loud() {}

#[instrument(turn, parent = parent, level = "ERROR")]
fn under(parent: &Span) {
    let _ = parent;
}

#[instrument(parent = None)]
fn root() {}

#[instrument(follows_from = causes)]
fn after(causes: &[tracing::Id]) -> usize {
    causes.len()
}

#[hermes::chat(model = "m", parent = span.id(), follows_from = [&span], fields(attempt))]
async fn both(span: Span, attempt: u8) {
    let _ = (span, attempt);
}

fn main() {
    assert_eq!(tool(1), 1);
    quiet();
    numbered();
    loud();
    under(&Span::current());
    root();
    assert_eq!(after(&[]), 0);
    drop(both(Span::none(), 1));
}
