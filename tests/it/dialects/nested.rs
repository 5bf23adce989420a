//! A call that two nested spans describe is one call, in the store and at OTLP.

use tracing::field::Empty;
use tracing::info_span;

use super::Seen;
use crate::record_all;

fn client_span(usage: Option<i64>) {
    let span = info_span!(
        target: "genai::otel::span",
        "genai.chat",
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = "openai",
        gen_ai.request.model = "gpt-9",
        gen_ai.response.id = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        otel.status_code = Empty,
        error.type = Empty,
    );
    if let Some(tokens) = usage {
        record_all!(
            span,
            "gen_ai.response.id" = "resp_1",
            "gen_ai.usage.input_tokens" = tokens,
            "gen_ai.usage.output_tokens" = 4_i64,
        );
    } else {
        record_all!(span, "otel.status_code" = "error", "error.type" = "503");
    }
}

#[hermes::chat(model = "gpt-9")]
fn annotated(attempts: &[Option<i64>]) {
    for usage in attempts {
        client_span(*usage);
    }
}

fn in_turn(attempts: &[Option<i64>]) -> Seen {
    #[hermes::turn]
    fn turn(attempts: &[Option<i64>]) {
        annotated(attempts);
    }
    Seen::of(|| turn(attempts))
}

#[test]
fn an_annotated_call_takes_in_the_clients_own_span() {
    let seen = in_turn(&[Some(10)]);
    assert_eq!(seen.picture(), "hermes.turn\n  chat gpt-9\n");
    assert_eq!(seen.sent.len(), 2);
    assert_eq!(seen.tokens(), (10, 4));
    let call = &seen.model_calls()[0];
    assert_eq!(call.provider.as_deref(), Some("openai"));
    assert_eq!(call.response_id.as_deref(), Some("resp_1"));
    let turn = seen.bench.span("hermes.turn");
    assert_eq!(turn.attributes["hermes.turn.api_call_count"], 1);
    assert_eq!(turn.attributes["hermes.turn.input_tokens"], 10);
}

#[test]
fn tries_are_retries_and_their_tokens_add_up() {
    let seen = in_turn(&[None, Some(10), Some(20)]);
    assert_eq!(seen.picture(), "hermes.turn\n  chat gpt-9\n");
    assert_eq!(seen.tokens(), (30, 8));
    assert_eq!(seen.model_calls()[0].retry_count, 1);
}

#[test]
fn tokens_that_the_function_states_are_not_added_to() {
    #[hermes::chat(model = "gpt-9")]
    fn states() {
        client_span(Some(10));
        hermes::current().usage(hermes::Usage {
            input_tokens: 10,
            output_tokens: 4,
            ..Default::default()
        });
    }
    let seen = Seen::of(states);
    assert_eq!(seen.tokens(), (10, 4));
}

#[test]
fn two_annotated_calls_are_two() {
    #[hermes::chat(model = "outer")]
    fn outer() {
        inner();
    }
    #[hermes::chat(model = "inner")]
    fn inner() {}
    let seen = Seen::of(outer);
    assert_eq!(seen.picture(), "chat outer\n  chat inner\n");
}

#[test]
fn a_tool_that_its_framework_has_a_span_for_is_one_tool() {
    #[hermes::tool(name = "add", result)]
    fn add(fails: bool) -> Result<String, std::io::Error> {
        if fails {
            return Err(std::io::Error::other("the disk is full"));
        }
        Ok("2".to_owned())
    }
    for fails in [false, true] {
        let seen = Seen::of(|| {
            let outer = info_span!(
                target: "rig_agent::agent::telemetry",
                "execute_tool",
                gen_ai.operation.name = "execute_tool",
                gen_ai.tool.name = "add",
                gen_ai.tool.call.id = "call_1",
                gen_ai.tool.call.outcome = Empty,
                gen_ai.tool.error.type = Empty,
            );
            outer.in_scope(|| drop(add(fails)));
            if fails {
                record_all!(
                    outer,
                    "gen_ai.tool.call.outcome" = "error",
                    "gen_ai.tool.error.type" = "other",
                );
            } else {
                outer.record("gen_ai.tool.call.outcome", "success");
            }
        });
        assert_eq!(seen.tool_calls().len(), 1);
        assert_eq!(seen.sent.len(), 1);
        assert_eq!(seen.tool_calls()[0].call_id.as_deref(), Some("call_1"));
        let sent = seen.sent("hermes.tool.add");
        if fails {
            assert_eq!(sent.status_message, "the disk is full");
            assert_ne!(sent.attributes["error.type"], "other");
        } else {
            assert_eq!(seen.picture(), "hermes.tool.add\n");
        }
    }
}

#[test]
fn a_tool_that_runs_another_one_is_two_tools() {
    #[hermes::tool(name = "lookup")]
    fn lookup() {}
    let seen = Seen::of(|| {
        let outer = info_span!(
            "execute_tool",
            gen_ai.operation.name = "execute_tool",
            gen_ai.tool.name = "research"
        );
        outer.in_scope(lookup);
    });
    assert_eq!(
        seen.picture(),
        "hermes.tool.research\n  hermes.tool.lookup\n"
    );
}

#[test]
fn an_agent_inside_a_tool_inside_a_call_has_calls_of_its_own() {
    let seen = Seen::of(|| {
        let chat = info_span!(
            "c",
            gen_ai.operation.name = "chat",
            gen_ai.request.model = "outer"
        );
        chat.in_scope(|| {
            let tool = info_span!(
                "t",
                gen_ai.operation.name = "execute_tool",
                gen_ai.tool.name = "ask"
            );
            tool.in_scope(|| {
                drop(info_span!(
                    "c",
                    gen_ai.operation.name = "chat",
                    gen_ai.request.model = "inner"
                ));
            });
        });
    });
    assert_eq!(
        seen.picture(),
        "chat outer\n  hermes.tool.ask\n    chat inner\n"
    );
}

#[test]
fn a_tool_whose_name_comes_late_is_told_from_the_one_inside() {
    #[hermes::turn]
    fn turn() {
        let outer = info_span!(
            "t",
            gen_ai.operation.name = "execute_tool",
            gen_ai.tool.name = Empty
        );
        outer.in_scope(|| {
            let inner = info_span!(
                "t",
                gen_ai.operation.name = "execute_tool",
                gen_ai.tool.name = "lookup"
            );
            inner.in_scope(|| outer.record("gen_ai.tool.name", "research"));
        });
    }
    let seen = Seen::of(turn);
    assert_eq!(
        seen.picture(),
        "hermes.turn\n  hermes.tool.research\n    hermes.tool.lookup\n"
    );
    let turn = seen.bench.span("hermes.turn");
    assert_eq!(turn.attributes["hermes.turn.tool_call_count"], 2);
}

#[test]
fn a_call_whose_handle_is_dropped_first_still_takes_its_part_in() {
    let seen = Seen::of(|| {
        let outer = info_span!(
            "c",
            gen_ai.operation.name = "chat",
            gen_ai.request.model = "m"
        );
        let inner = outer.in_scope(|| {
            info_span!(
                "c",
                gen_ai.operation.name = "chat",
                gen_ai.usage.input_tokens = Empty
            )
        });
        drop(outer);
        inner.record("gen_ai.usage.input_tokens", 5_i64);
    });
    assert_eq!(seen.picture(), "chat m\n");
    assert_eq!(seen.tokens().0, 5);
}

#[test]
fn a_span_that_says_late_what_it_is_is_taken_in_as_well() {
    let seen = Seen::of(|| {
        let outer = info_span!(
            "c",
            gen_ai.operation.name = Empty,
            gen_ai.request.model = "m"
        );
        outer.in_scope(|| {
            let inner = info_span!(
                "d",
                gen_ai.operation.name = "chat",
                gen_ai.usage.input_tokens = 5_i64
            );
            inner.in_scope(|| drop(info_span!("hermes.step", code.function.name = "inner")));
            outer.record("gen_ai.operation.name", "chat");
            drop(inner);
        });
    });
    // The parent at OTLP was noted before anybody knew; it moves on its way out.
    assert_eq!(seen.bench.picture(), "chat m\n  inner\n");
    let outer = &seen.sent("chat m").span_id;
    assert_eq!(seen.sent("inner").parent_span_id.as_ref(), Some(outer));
    assert_eq!(seen.sent.len(), 2);
    assert_eq!(seen.tokens().0, 5);
    assert_eq!(
        seen.bench.telemetry.stats().dropped.values().sum::<u64>(),
        0
    );
}
