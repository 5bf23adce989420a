//! adk-rust 2: four spans for a model call, two for a tool call, an empty name, content on by default.

use tracing::field::Empty;
use tracing::{Level, Span, event, info_span, warn};

use super::Seen;
use crate::record_all;

fn execute() -> Span {
    info_span!(
        target: "adk_runner::runner",
        "agent.execute",
        gcp.vertex.agent.invocation_id = "inv",
        gcp.vertex.agent.session_id = "session-7",
        gcp.vertex.agent.event_id = "inv",
        gen_ai.conversation.id = "session-7",
        adk.app_name = "app",
        adk.user_id = "user",
        agent.name = debug("scout"),
    )
}

fn call_llm() -> Span {
    info_span!(
        target: "adk_agent::llm_agent",
        "call_llm",
        gcp.vertex.agent.event_id = debug("e"),
        gcp.vertex.agent.session_id = debug("session-7"),
        gen_ai.conversation.id = debug("session-7"),
        gcp.vertex.agent.llm_request = debug(r#"{"contents":["SECRET QUESTION"]}"#),
        gcp.vertex.agent.llm_response = Empty,
    )
}

fn generate_content(target: bool) -> Span {
    if target {
        info_span!(
            target: "adk_model::openai::client",
            "model.generate_content",
            model.name = debug("gpt-9"),
            stream = debug(true),
            request.contents_count = debug(1),
        )
    } else {
        info_span!(
            target: "adk_model::openai_compatible",
            "model.generate_content",
            model.name = debug("gpt-9"),
            stream = debug(true),
            request.contents_count = debug(1),
        )
    }
}

fn generate() -> Span {
    info_span!(
        target: "adk_telemetry::spans",
        "gen_ai.generate",
        gen_ai.system = display("openai-compatible"),
        gen_ai.request.model = display("gpt-9"),
        gen_ai.request.stream = true,
        otel.kind = "client",
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.usage.total_tokens = Empty,
        gen_ai.usage.cache_read_tokens = Empty,
        gen_ai.usage.cache_creation_tokens = Empty,
        gen_ai.usage.thinking_tokens = Empty,
        gen_ai.usage.audio_input_tokens = Empty,
    )
}

fn tool() -> Span {
    info_span!(
        target: "adk_agent::llm_agent",
        "",
        otel.name = debug("execute_tool add"),
        tool.name = debug("add"),
        gcp.vertex.agent.session_id = debug("session-7"),
        gen_ai.conversation.id = debug("session-7"),
    )
}

/// One model call as the library nests it.
fn call(answer: impl FnOnce(&Span, &Span)) {
    let call_llm = call_llm();
    call_llm.in_scope(|| {
        let outer = generate_content(true);
        outer.in_scope(|| {
            let inner = generate_content(false);
            inner.in_scope(|| {
                let generate = generate();
                answer(&call_llm, &generate);
            });
        });
    });
}

fn usage(call_llm: &Span, generate: &Span) {
    record_all!(
        generate,
        "gen_ai.usage.input_tokens" = 120_i64,
        "gen_ai.usage.output_tokens" = 34_i64,
        "gen_ai.usage.total_tokens" = 154_i64,
        "gen_ai.usage.cache_read_tokens" = 64_i64,
        "gen_ai.usage.thinking_tokens" = 12_i64,
        "gen_ai.usage.audio_input_tokens" = 0_i64,
    );
    call_llm.record(
        "gcp.vertex.agent.llm_response",
        r#"{"role":"model","parts":["SECRET ANSWER"]}"#,
    );
}

fn run_tool() {
    let tool = tool();
    tool.in_scope(|| {
        let execute = info_span!(
            target: "adk_tool::function_tool",
            "execute",
            tool.name = debug("add"),
            tool.description = debug("adds"),
            tool.long_running = debug(false),
            function_call.id = debug("call_1"),
        );
        execute.in_scope(|| {});
    });
}

#[test]
fn a_run_has_one_row_per_call() {
    let seen = Seen::of(|| {
        let agent = execute();
        agent.in_scope(|| {
            // The constructor of the stream, and not the run.
            drop(info_span!(
                target: "adk_agent::llm_agent",
                "run",
                agent.name = debug("scout"),
                session.id = debug("session-7"),
            ));
            call(usage);
            run_tool();
            call(usage);
        });
    });
    assert_eq!(
        seen.picture(),
        "invoke_agent scout\n  chat gpt-9\n  hermes.tool.add\n  chat gpt-9\n"
    );
    assert_eq!(seen.tokens(), (240, 68));
    assert_eq!(
        seen.bench.runs()[0].session_id.as_deref(),
        Some("session-7")
    );
    let call = &seen.model_calls()[0];
    assert_eq!(call.provider.as_deref(), Some("openai-compatible"));
    assert_eq!(
        (call.cache_read_tokens, call.reasoning_tokens),
        (Some(64), Some(12))
    );
    assert_eq!(seen.tool_calls()[0].call_id.as_deref(), Some("call_1"));
    // The parts are no spans of their own at OTLP either.
    for name in [
        "call_llm",
        "model.generate_content",
        "gen_ai.generate",
        "execute",
        "",
    ] {
        assert!(seen.sent.iter().all(|span| span.name != name), "{name}");
    }
    let text = format!("{:?}{:?}", seen.sent, seen.bench.all_spans());
    assert!(!text.contains("SECRET"), "content is off");
}

#[test]
fn content_lies_two_spans_above_the_usage() {
    let seen = Seen::with_content(|| call(usage));
    let chat = seen.sent("chat gpt-9");
    let said = chat.attributes["gen_ai.input.messages"].to_string();
    assert!(said.contains("SECRET QUESTION"), "{said}");
    assert!(
        chat.attributes["gen_ai.output.messages"]
            .to_string()
            .contains("SECRET ANSWER")
    );
    assert_eq!(chat.attributes["gen_ai.usage.input_tokens"], 120);
}

#[test]
fn a_model_without_an_agent_is_one_call_too() {
    let seen = Seen::of(|| {
        let outer = generate_content(false);
        outer.in_scope(|| {
            let generate = generate();
            generate.record("gen_ai.usage.input_tokens", 9_i64);
        });
        drop(outer);
        drop(generate());
    });
    assert_eq!(seen.picture(), "chat gpt-9\nchat gpt-9\n");
    assert_eq!(seen.tokens().0, 9);
}

#[test]
fn what_hangs_under_a_part_hangs_under_the_call() {
    let seen = Seen::of(|| {
        call(|_, generate| {
            generate.in_scope(|| drop(info_span!("hermes.step", code.function.name = "inner")));
        });
    });
    assert_eq!(seen.picture(), "chat gpt-9\n  inner\n");
}

#[test]
fn a_tool_that_failed_is_told_of_beside_it() {
    let seen = Seen::of(|| {
        let agent = execute();
        agent.in_scope(|| {
            let failed = tool();
            failed.in_scope(|| {});
            event!(target: "adk_agent::llm_agent", Level::WARN, tool.name = %"add", error = %"the disk is full", "tool_error");
            drop(failed);
            let slow = tool();
            event!(target: "adk_agent::llm_agent", Level::WARN, tool.name = %"add", timeout_secs = 5_u64, "tool_timeout");
            drop(slow);
            let retried = tool();
            event!(
                target: "adk_agent::llm_agent",
                Level::WARN,
                tool.name = %"add", attempt = 0, error = %"busy",
                "tool execution failed, retrying"
            );
            drop(retried);
        });
    });
    assert_eq!(
        seen.picture(),
        "invoke_agent scout\n  hermes.tool.add [error] ✗ error\n  \
         hermes.tool.add [error] ✗ timeout\n  hermes.tool.add\n"
    );
    let failed: Vec<_> = seen
        .sent
        .iter()
        .filter(|span| span.status_message == "the disk is full")
        .collect();
    assert_eq!(failed.len(), 1);
}

#[test]
fn retries_count_and_a_call_without_usage_failed_with_its_agent() {
    #[hermes::turn]
    fn turn() -> Result<(), std::io::Error> {
        call(|_, _| {
            for attempt in 1..=3_u32 {
                warn!(
                    target: "adk_model::retry",
                    attempt, max_retries = 3_u32, error = %"HTTP 500",
                    "Provider request failed with retryable error; retrying"
                );
            }
        });
        Err(std::io::Error::other("HTTP 500 Internal Server Error"))
    }
    let seen = Seen::of(|| drop(turn()));
    let call = &seen.model_calls()[0];
    assert_eq!(call.retry_count, 3);
    assert!(
        seen.picture()
            .contains("  chat gpt-9 [error] ✗ provider_error\n"),
        "{}",
        seen.picture()
    );
}

#[test]
fn debug_events_carry_arguments_and_results_where_content_is_kept() {
    let work = || {
        let agent = execute();
        agent.in_scope(|| {
            let tool = tool();
            tool.in_scope(|| {
                event!(target: "adk_agent::llm_agent", Level::DEBUG, tool.name = %"add", tool.args = %r#"{"a":1}"#, "tool_call");
            });
            event!(target: "adk_agent::llm_agent", Level::DEBUG, tool.name = %"add", tool.result = %"2", "tool_result");
            drop(tool);
        });
    };
    let on = Seen::with_content(work);
    let tool = on.sent("hermes.tool.add");
    assert_eq!(tool.attributes["hermes.tool.args"], r#"{"a":1}"#);
    assert_eq!(tool.attributes["hermes.tool.result"], "2");
    let off = Seen::of(work);
    assert!(
        !off.sent("hermes.tool.add")
            .attributes
            .contains_key("hermes.tool.args")
    );
}
