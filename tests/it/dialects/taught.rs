//! Dialects that a program teaches Hermes.

use hermes::{Dialect, Kind};
use tracing::field::Empty;
use tracing::{debug, info_span};

use super::Seen;
use crate::record_all;

fn calls() -> Dialect {
    Dialect::new("yoagent")
        .span("llm_stream")
        .declares("tokens_in")
        .kind(Kind::Chat)
        .field("model", "gen_ai.request.model")
        .field("tokens_in", "gen_ai.usage.input_tokens")
        .field("tokens_out", "gen_ai.usage.output_tokens")
        .field("tokens_cached", "gen_ai.usage.cache_read.input_tokens")
        .field("cost_usd", "hermes.cost_usd")
        .field("prompt", "gen_ai.input.messages")
        .states("gen_ai.provider.name", "openai")
        .event("first_token_id", "gen_ai.response.id")
        .excludes_cached_tokens()
}

fn work() {
    let call = info_span!(
        target: "yoagent::stream",
        "llm_stream",
        turn = 1,
        model = "gpt-9",
        tokens_in = Empty,
        tokens_out = Empty,
        tokens_cached = Empty,
        cost_usd = Empty,
        prompt = "SECRET",
    );
    call.in_scope(|| debug!(target: "yoagent::stream", first_token_id = "resp_1"));
    record_all!(
        call,
        "tokens_in" = 120_u64,
        "tokens_out" = 34_u64,
        "tokens_cached" = 64_u64,
        "cost_usd" = 0.5_f64
    );
}

#[test]
fn a_taught_dialect_reads_the_spans_of_a_library() {
    let seen = Seen::with(|builder| builder.dialect(calls()), work);
    assert_eq!(seen.picture(), "chat gpt-9\n");
    assert_eq!(seen.tokens(), (184, 34));
    let call = &seen.model_calls()[0];
    assert_eq!(call.provider.as_deref(), Some("openai"));
    assert_eq!(call.response_id.as_deref(), Some("resp_1"));
    assert_eq!(call.estimated_cost_usd, Some(0.5));
    assert!(!format!("{:?}{:?}", seen.sent, seen.bench.all_spans()).contains("SECRET"));
    assert_eq!(Seen::of(work).picture(), "", "nobody else knows it");
}

#[test]
fn a_taught_dialect_beats_a_built_in_one() {
    let dialect = Dialect::new("swiftide_agents")
        .span("step")
        .kind(Kind::Turn);
    let seen = Seen::with(
        |builder| builder.dialect(dialect),
        || drop(info_span!(target: "swiftide_agents::agent", "step")),
    );
    assert_eq!(seen.picture(), "hermes.turn\n");
}

#[test]
fn what_a_span_says_of_itself_beats_every_dialect() {
    let dialect = Dialect::new("lib").kind(Kind::Step);
    let seen = Seen::with(
        |builder| builder.dialect(dialect),
        || {
            drop(info_span!(
                target: "lib",
                "x",
                gen_ai.operation.name = "execute_tool",
                gen_ai.tool.name = "add"
            ));
        },
    );
    assert_eq!(seen.picture(), "hermes.tool.add\n");
}
