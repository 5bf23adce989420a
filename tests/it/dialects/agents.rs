//! goose, codex, langchain-rust and `AutoAgents`: agents and frameworks with words of their own.

use tracing::field::{Empty, display};
use tracing::{info, info_span};

use super::Seen;
use crate::record_all;

#[test]
fn goose_states_operations() {
    let seen = Seen::of(|| {
        let reply = info_span!(
            target: "goose::agents::agent",
            "reply",
            user_message = Empty,
            trace_input = Empty,
            trace_output = Empty,
            session.id = "s-1",
            gen_ai.operation.name = "invoke_agent",
            gen_ai.agent.name = "goose",
            gen_ai.usage.input_tokens = Empty,
        );
        reply.in_scope(|| {
            let call = info_span!(
                target: "goose::agents::reply_parts",
                "stream_response_from_provider",
                gen_ai.conversation.id = "s-1",
                gen_ai.operation.name = "chat",
                gen_ai.provider.name = "anthropic",
                gen_ai.request.model = "claude-9",
                gen_ai.request.stream = true,
                gen_ai.usage.input_tokens = Empty,
                gen_ai.usage.output_tokens = Empty,
                gen_ai.usage.cache_read.input_tokens = Empty,
                gen_ai.usage.cache_creation.input_tokens = Empty,
                gen_ai.response.finish_reasons = Empty,
            );
            record_all!(
                call,
                "gen_ai.usage.input_tokens" = 2_i64,
                "gen_ai.usage.output_tokens" = 1_200_i64,
                "gen_ai.usage.cache_read.input_tokens" = 84_562_i64,
                "gen_ai.usage.cache_creation.input_tokens" = 7_096_i64,
                "gen_ai.response.finish_reasons" = "stop",
            );
            drop(call);
            let tool = info_span!(
                target: "goose::agents::agent",
                "dispatch_tool_call",
                gen_ai.operation.name = "execute_tool",
                gen_ai.tool.name = "shell",
                gen_ai.tool.call.id = "c1",
                error.type = Empty,
                input = Empty,
                output = Empty,
            );
            tool.record("error.type", "permission_denied");
        });
        reply.record("gen_ai.usage.input_tokens", 91_660_i64);
    });
    assert_eq!(
        seen.picture(),
        "invoke_agent goose\n  chat claude-9\n  hermes.tool.shell [error] ✗ permission_denied\n"
    );
    // What the provider did not count in is counted in.
    assert_eq!(seen.tokens(), (91_660, 1_200));
    assert_eq!(seen.bench.runs()[0].session_id.as_deref(), Some("s-1"));
}

#[test]
fn an_older_goose_has_its_own_words() {
    let seen = Seen::with_content(|| {
        let reply = info_span!(
            target: "goose::agents::agent",
            "reply",
            user_message = "hello",
            trace_input = Empty,
        );
        reply.in_scope(|| {
            info!(target: "goose::agents::agent", trace_output = "done");
            let tool = info_span!(
                target: "goose::agents::agent",
                "dispatch_tool_call",
                input = r#"{"cmd":"ls"}"#,
                tool_call.name = "shell",
                output = Empty,
            );
            tool.record("output", "a b c");
            drop(tool);
            drop(info_span!(
                target: "goose::tracing::provider_generation",
                "provider_generation",
                observation_type = "GENERATION",
                observation_id = "o1",
                provider = "openai",
                model = "gpt-9",
                usage_json = r#"{"input_tokens":5,"output_tokens":6}"#,
            ));
        });
    });
    assert_eq!(
        seen.picture(),
        "invoke_agent\n  hermes.tool.shell\n  chat gpt-9\n"
    );
    assert_eq!(seen.tokens(), (5, 6));
    assert_eq!(
        seen.sent("hermes.tool.shell").attributes["hermes.tool.result"],
        "a b c"
    );
}

#[test]
fn of_codexs_spans_the_one_with_usage_is_the_call() {
    let seen = Seen::of(|| {
        let turn = info_span!(
            target: "codex_core::tasks",
            "turn",
            otel.name = "session_task.turn",
            thread.id = %"thread-1",
            turn.id = %"turn-1",
            model = %"gpt-9-codex",
            codex.turn.token_usage.input_tokens = Empty,
            codex.turn.token_usage.output_tokens = Empty,
        );
        turn.in_scope(|| {
            for last in [false, true] {
                let span = tracing::trace_span!(
                    target: "codex_core::codex",
                    "handle_responses",
                    otel.name = Empty,
                    tool_name = Empty,
                    from = Empty,
                    gen_ai.usage.input_tokens = Empty,
                    gen_ai.usage.cache_read.input_tokens = Empty,
                    gen_ai.usage.output_tokens = Empty,
                    codex.usage.reasoning_output_tokens = Empty,
                    codex.usage.total_tokens = Empty,
                );
                span.record("otel.name", "response.completed");
                if last {
                    record_all!(
                        span,
                        "gen_ai.usage.input_tokens" = 120_i64,
                        "gen_ai.usage.cache_read.input_tokens" = 64_i64,
                        "gen_ai.usage.output_tokens" = 34_i64,
                        "codex.usage.reasoning_output_tokens" = 12_i64,
                        "codex.usage.total_tokens" = 154_i64,
                    );
                }
            }
        });
        record_all!(
            turn,
            "codex.turn.token_usage.input_tokens" = 120_i64,
            "codex.turn.token_usage.output_tokens" = 34_i64,
        );
    });
    assert_eq!(seen.picture(), "hermes.turn\n  chat gpt-9-codex\n");
    assert_eq!(seen.tokens(), (120, 34));
    assert_eq!(seen.model_calls()[0].reasoning_tokens, Some(12));
    let turn = seen.bench.span("hermes.turn");
    assert_eq!(
        turn.attributes["hermes.turn.input_tokens"], 120,
        "not twice"
    );
    assert_eq!(turn.attributes["hermes.session.id"], "thread-1");
}

#[test]
fn a_turn_whose_calls_nobody_saw_counts_its_own_sum() {
    let seen = Seen::of(|| {
        let turn = info_span!(
            target: "codex_core::tasks",
            "turn",
            turn.id = "turn-1",
            codex.turn.token_usage.input_tokens = 120_i64,
            codex.turn.token_usage.output_tokens = 34_i64,
        );
        drop(turn);
    });
    assert_eq!(seen.picture(), "hermes.turn\n");
    assert_eq!(
        seen.bench.span("hermes.turn").attributes["hermes.turn.input_tokens"],
        120
    );
}

#[test]
fn langchain_rust_names_its_spans_plainly() {
    let seen = Seen::of(|| {
        let agent = info_span!(target: "langchain_rust::agent", "agent.run", agent = "scout");
        agent.in_scope(|| {
            info_span!(target: "langchain_rust::chain", "chain.call").in_scope(|| {
                let call = info_span!(
                    target: "langchain_rust::language_models",
                    "llm.generate",
                    provider = "openai",
                    model = "gpt-9",
                    prompt_tokens = Empty,
                    completion_tokens = Empty,
                    total_tokens = Empty,
                    error = Empty,
                );
                record_all!(
                    call,
                    "prompt_tokens" = 120_u64,
                    "completion_tokens" = 34_u64,
                    "total_tokens" = 154_u64,
                );
            });
            let tool = info_span!(
                target: "langchain_rust::tools",
                "tool.call",
                tool_name = "add",
                error = Empty,
            );
            tool.record("error", display("operation timed out"));
        });
    });
    let picture = seen.picture();
    assert!(
        picture.starts_with(
            "invoke_agent scout\n  chain.call\n    chat gpt-9\n  hermes.tool.add [error]"
        ),
        "{picture}"
    );
    assert_eq!(seen.tokens(), (120, 34));
    assert_eq!(
        seen.sent("hermes.tool.add").status_message,
        "operation timed out"
    );
}

#[test]
fn auto_agents_has_tasks_turns_and_tools() {
    let seen = Seen::of(|| {
        let task = info_span!(
            target: "autoagents_telemetry",
            "autoagents.task",
            submission_id = %"s",
            actor_id = %"a",
            agent_name = %"scout",
        );
        let turn = info_span!(
            target: "autoagents_telemetry",
            parent: &task,
            "autoagents.turn",
            submission_id = %"s",
            actor_id = %"a",
        );
        drop(info_span!(
            target: "autoagents_telemetry",
            parent: &turn,
            "autoagents.tool_call",
            submission_id = %"s",
            actor_id = %"a",
            tool_call_id = %"c1",
            tool_name = %"add",
        ));
    });
    assert_eq!(
        seen.picture(),
        "invoke_agent scout\n  hermes.turn\n    hermes.tool.add\n"
    );
    assert_eq!(seen.tool_calls()[0].call_id.as_deref(), Some("c1"));
}

#[test]
fn gooses_providers_tell_their_tokens_in_an_event() {
    let seen = Seen::with_content(|| {
        let reply = info_span!(target: "goose::agents::agent", "reply", user_message = "hello");
        reply.in_scope(|| {
            let call = info_span!(
                target: "goose::providers::anthropic",
                "complete",
                model_config = Empty,
                input = Empty,
                output = Empty,
                input_tokens = Empty,
                output_tokens = Empty,
                total_tokens = Empty,
            );
            call.in_scope(|| {
                tracing::debug!(
                    target: "goose::providers::utils",
                    model_config = %r#"{"model_name":"claude-9","temperature":null}"#,
                    input = %r#"{"messages":[]}"#,
                    output = %r#"{"content":[]}"#,
                    input_tokens = ?120,
                    output_tokens = ?34,
                    total_tokens = ?154,
                );
            });
        });
    });
    assert_eq!(seen.picture(), "invoke_agent\n  chat claude-9\n");
    assert_eq!(seen.tokens(), (120, 34));
    let call = seen.sent("chat claude-9");
    assert_eq!(call.attributes["gen_ai.provider.name"], "anthropic");
    assert_eq!(
        call.attributes["gen_ai.output.messages"],
        r#"{"content":[]}"#
    );
}

/// What codex says in an event when a response is complete; newer versions say it twice.
fn codex_tells_tokens(input: i64, output: i64) {
    macro_rules! tell {
        ($target:literal) => {
            tracing::event!(
                target: $target,
                tracing::Level::INFO,
                event.name = "codex.sse_event",
                event.kind = %"response.completed",
                model = %"gpt-9-codex",
                input_token_count = %input,
                output_token_count = %output,
                cached_token_count = Some(64_i64),
                reasoning_token_count = Some(12_i64),
                tool_token_count = %0,
            )
        };
    }
    tell!("codex_otel.log_only");
    tell!("codex_otel.trace_safe");
}

#[test]
fn codexs_events_tell_the_tokens_that_its_spans_do_not() {
    let seen = Seen::of(|| {
        let turn = info_span!(
            target: "codex_core::tasks",
            "turn",
            thread.id = %"thread-1",
            turn.id = %"turn-1",
            model = %"gpt-9-codex",
        );
        turn.in_scope(|| {
            codex_tells_tokens(120, 34);
            codex_tells_tokens(30, 6);
        });
    });
    let turn = seen.bench.span("hermes.turn");
    assert_eq!(turn.attributes["hermes.turn.input_tokens"], 150);
    assert_eq!(turn.attributes["hermes.turn.output_tokens"], 40);
}

#[test]
fn what_a_response_used_is_not_added_to_what_its_span_says() {
    let seen = Seen::of(|| {
        let turn = info_span!(target: "codex_core::tasks", "turn", turn.id = %"turn-1");
        turn.in_scope(|| {
            let call = tracing::trace_span!(
                target: "codex_core::codex",
                "handle_responses",
                gen_ai.usage.input_tokens = 120_i64,
                gen_ai.usage.output_tokens = 34_i64,
            );
            call.in_scope(|| codex_tells_tokens(120, 34));
        });
    });
    assert_eq!(seen.tokens(), (120, 34));
    let turn = seen.bench.span("hermes.turn");
    assert_eq!(turn.attributes["hermes.turn.input_tokens"], 120);
}

#[test]
fn codexs_tools_are_spans_and_an_event_tells_what_came_of_them() {
    let work = || {
        let turn = info_span!(target: "codex_core::tasks", "turn", turn.id = %"turn-1");
        turn.in_scope(|| {
            for (tool, success) in [("shell", true), ("apply_patch", false)] {
                let call = tracing::trace_span!(
                    target: "codex_core::tools::parallel",
                    "dispatch_tool_call",
                    otel.name = tool,
                    tool_name = tool,
                    call_id = "c1",
                    aborted = false,
                );
                call.in_scope(|| {
                    tracing::event!(
                        target: "codex_otel.log_only",
                        tracing::Level::INFO,
                        event.name = "codex.tool_result",
                        tool_name = %tool,
                        call_id = %"c1",
                        arguments = %"SECRET ARGS",
                        duration_ms = %3,
                        success = %success,
                        output = %"SECRET OUTPUT",
                    );
                });
            }
        });
    };
    let seen = Seen::of(work);
    assert_eq!(
        seen.picture(),
        "hermes.turn\n  hermes.tool.shell\n  hermes.tool.apply_patch [error] ✗ error\n"
    );
    assert_eq!(seen.tool_calls()[0].call_id.as_deref(), Some("c1"));
    assert!(!format!("{:?}{:?}", seen.sent, seen.bench.all_spans()).contains("SECRET"));
    let seen = Seen::with_content(work);
    let shell = seen.sent("hermes.tool.shell");
    assert_eq!(shell.attributes["hermes.tool.args"], "SECRET ARGS");
    assert_eq!(shell.attributes["hermes.tool.result"], "SECRET OUTPUT");
}
