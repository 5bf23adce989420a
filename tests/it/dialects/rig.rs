//! rig 0.44, and 0.42 where it differs: its agent, its model calls, its traps.

use tracing::field::Empty;
use tracing::{Span, info_span};

use super::Seen;
use crate::record_all;

/// The agent's turn, adopted by the provider layer: one span per model call.
macro_rules! agent_chat {
    () => {
        agent_chat!("rig::agent_chat")
    };
    ($target:literal) => {
        info_span!(
            target: $target,
            "chat",
            rig.completion_parent = true,
            gen_ai.operation.name = "chat",
            gen_ai.agent.name = "scout",
            gen_ai.system_instructions = Empty,
            gen_ai.provider.name = Empty,
            gen_ai.request.model = Empty,
            gen_ai.request.stream = Empty,
            rig.provider_request_id = Empty,
            gen_ai.response.id = Empty,
            gen_ai.response.model = Empty,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            gen_ai.usage.cache_read.input_tokens = Empty,
            gen_ai.usage.cache_creation.input_tokens = Empty,
            gen_ai.usage.tool_use_prompt_tokens = Empty,
            gen_ai.usage.reasoning_tokens = Empty,
            gen_ai.input.messages = Empty,
            gen_ai.output.messages = Empty,
        )
    };
}

macro_rules! invoke_agent {
    () => {
        info_span!(
            target: "rig_agent::agent::telemetry",
            parent: None,
            "invoke_agent",
            gen_ai.operation.name = "invoke_agent",
            gen_ai.agent.name = "scout",
            gen_ai.system_instructions = Empty,
            gen_ai.prompt = Empty,
            gen_ai.completion = Empty,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            gen_ai.usage.cache_read.input_tokens = Empty,
            gen_ai.usage.cache_creation.input_tokens = Empty,
            gen_ai.usage.tool_use_prompt_tokens = Empty,
            gen_ai.usage.reasoning_tokens = Empty,
        )
    };
}

macro_rules! execute_tool {
    ($name:literal) => {{
        let span = info_span!(
            target: "rig_agent::agent::telemetry",
            "execute_tool",
            gen_ai.operation.name = "execute_tool",
            gen_ai.tool.type = "function",
            gen_ai.tool.name = Empty,
            gen_ai.tool.call.id = Empty,
            gen_ai.tool.call.arguments = Empty,
            gen_ai.tool.call.outcome = Empty,
            gen_ai.tool.error.type = Empty,
            gen_ai.tool.call.result = Empty,
        );
        span.record("gen_ai.tool.name", $name);
        span.record("gen_ai.tool.call.id", tracing::field::display("call_1"));
        span
    }};
}

fn ask(span: &Span) {
    // Entered many times, as a future is that is polled.
    for _ in 0..3 {
        span.in_scope(|| {});
    }
    record_all!(
        span,
        "gen_ai.operation.name" = "chat",
        "gen_ai.provider.name" = "openai",
        "gen_ai.request.model" = "gpt-9",
        "gen_ai.request.stream" = false,
    );
}

fn answer(span: &Span) {
    record_all!(
        span,
        "rig.provider_request_id" = "req_1",
        "gen_ai.response.id" = "resp_1",
        "gen_ai.response.model" = "gpt-9-0101",
    );
    // A stream records them twice.
    for _ in 0..2 {
        record_all!(
            span,
            "gen_ai.usage.input_tokens" = 120_u64,
            "gen_ai.usage.output_tokens" = 34_u64,
            "gen_ai.usage.cache_read.input_tokens" = 64_u64,
            "gen_ai.usage.reasoning_tokens" = 12_u64,
        );
    }
}

fn call() {
    let chat = agent_chat!();
    ask(&chat);
    answer(&chat);
}

fn sum_up(agent: &Span) {
    record_all!(
        agent,
        "gen_ai.usage.input_tokens" = 240_u64,
        "gen_ai.usage.output_tokens" = 68_u64,
        "gen_ai.usage.cache_read.input_tokens" = 128_u64,
        "gen_ai.usage.reasoning_tokens" = 24_u64,
    );
}

#[test]
fn an_agents_run_is_a_tree_whose_sum_is_counted_once() {
    let seen = Seen::of(|| {
        let agent = invoke_agent!();
        agent.in_scope(|| {
            call();
            let tool = execute_tool!("add");
            tool.in_scope(|| {});
            tool.record("gen_ai.tool.call.outcome", "success");
            drop(tool);
            call();
        });
        sum_up(&agent);
    });
    assert_eq!(
        seen.picture(),
        "invoke_agent scout\n  chat gpt-9\n  hermes.tool.add\n  chat gpt-9\n"
    );
    assert_eq!(seen.tokens(), (240, 68));
    let runs = seen.bench.runs();
    assert_eq!((runs[0].model_call_count, runs[0].tool_call_count), (2, 1));
    assert_eq!((runs[0].input_tokens, runs[0].output_tokens), (240, 68));
    let agent = seen.sent("invoke_agent scout");
    assert!(!agent.attributes.contains_key("gen_ai.usage.input_tokens"));

    let call = &seen.model_calls()[0];
    assert_eq!(call.provider.as_deref(), Some("openai"));
    assert_eq!(call.response_model.as_deref(), Some("gpt-9-0101"));
    assert_eq!(call.response_id.as_deref(), Some("resp_1"));
    assert_eq!(call.input_tokens, Some(120));
    assert_eq!(call.cache_read_tokens, Some(64));
    assert_eq!(call.reasoning_tokens, Some(12));
    let tool = &seen.tool_calls()[0];
    assert_eq!(tool.call_id.as_deref(), Some("call_1"));
    assert_eq!(tool.result_class, Some(hermes::ResultClass::Ok));

    let chat = seen
        .sent
        .iter()
        .find(|span| span.name == "chat gpt-9")
        .unwrap();
    assert_eq!(chat.attributes["gen_ai.usage.input_tokens"], 120);
    assert_eq!(chat.attributes["gen_ai.usage.reasoning.output_tokens"], 12);
    assert!(chat.kind.contains("CLIENT"));
    assert!(!chat.attributes.keys().any(|key| key.starts_with("rig.")));
}

#[test]
fn a_failed_tool_says_what_failed() {
    for (outcome, error_type, class, told) in [
        (
            "error",
            Some("invalid_args"),
            hermes::ResultClass::Error,
            "invalid_args",
        ),
        (
            "error",
            Some("timeout"),
            hermes::ResultClass::Timeout,
            "timeout",
        ),
        ("error", Some("other"), hermes::ResultClass::Error, "other"),
        ("denied", None, hermes::ResultClass::Blocked, "blocked"),
        ("skipped", None, hermes::ResultClass::Blocked, "blocked"),
    ] {
        let seen = Seen::of(|| {
            let tool = execute_tool!("add");
            tool.record("gen_ai.tool.call.outcome", outcome);
            if let Some(error_type) = error_type {
                tool.record("gen_ai.tool.error.type", error_type);
            }
        });
        assert_eq!(
            seen.picture(),
            format!("hermes.tool.add [error] ✗ {told}\n")
        );
        assert_eq!(seen.tool_calls()[0].result_class, Some(class), "{outcome}");
    }
}

#[test]
fn a_call_that_left_no_answer_failed_as_the_function_around_it_did() {
    #[derive(Debug)]
    struct ApiError;
    impl std::fmt::Display for ApiError {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("HTTP 429 Too Many Requests")
        }
    }
    impl std::error::Error for ApiError {}

    #[hermes::turn]
    fn turn() -> Result<(), ApiError> {
        let bare = agent_chat!();
        ask(&bare);
        bare.record("rig.provider_request_id", "req_1");
        drop(bare);
        Err(ApiError)
    }
    #[hermes::session(id = "s")]
    fn session() {
        let _ = turn();
    }
    let seen = Seen::of(session);
    assert_eq!(
        seen.picture(),
        "hermes.session\n  hermes.turn [error] ✗ rate_limit\n    chat gpt-9 [error] ✗ rate_limit\n"
    );
    assert_eq!(seen.bench.runs()[0].error_count, 1);
}

#[test]
fn a_bare_call_before_others_is_not_what_failed() {
    #[hermes::turn]
    fn turn() -> Result<(), std::io::Error> {
        // `Model::stream` read to its end without `finish` leaves no answer either.
        let bare = agent_chat!("rig::completions");
        ask(&bare);
        bare.record("gen_ai.request.stream", true);
        drop(bare);
        let tool = execute_tool!("add");
        tool.record("gen_ai.tool.call.outcome", "success");
        drop(tool);
        Err(std::io::Error::other("the disk is full"))
    }
    let seen = Seen::of(|| drop(turn()));
    let calls = seen.bench.span("chat gpt-9");
    assert_eq!(calls.status, hermes::Status::Ok);
}

#[test]
fn a_call_in_a_dropped_future_was_cancelled() {
    #[hermes::turn]
    async fn turn() {
        let bare = agent_chat!();
        ask(&bare);
        std::future::pending::<()>().await;
        drop(bare);
    }
    let seen = Seen::of(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = turn() => {}
                () = std::future::ready(()) => {}
            }
        });
    });
    assert_eq!(
        seen.picture(),
        "hermes.turn [cancelled] ✗ cancelled\n  chat gpt-9 [cancelled] ✗ cancelled\n"
    );
}

#[test]
fn under_a_span_of_the_programs_the_sum_comes_from_the_calls() {
    #[hermes::turn(user_message = "hi")]
    fn turn() {
        call();
        call();
    }
    let seen = Seen::of(turn);
    assert_eq!(seen.picture(), "hermes.turn\n  chat gpt-9\n  chat gpt-9\n");
    let turn = seen.bench.span("hermes.turn");
    assert_eq!(turn.attributes["hermes.turn.input_tokens"], 240);
    assert_eq!(turn.attributes["hermes.turn.api_call_count"], 2);
}

#[test]
fn agent_chat_is_the_agents_call_and_not_the_models() {
    for target in 0..2 {
        let seen = Seen::of(|| {
            let outer = if target == 0 {
                info_span!(target: "rig_agent::agent::completion", "chat", agent_name = "scout")
            } else {
                info_span!(target: "rig::agent::completion", "chat", agent_name = "scout")
            };
            outer.in_scope(call);
        });
        assert_eq!(seen.picture(), "invoke_agent scout\n  chat gpt-9\n");
        assert_eq!(seen.model_calls().len(), 1);
    }
}

#[test]
fn operations_of_older_versions_are_model_calls() {
    for name in [
        "chat_streaming",
        "generate_content",
        "interactions",
        "interactions_streaming",
    ] {
        let seen = Seen::of(|| {
            let span = info_span!(
                target: "rig::completions",
                "chat_streaming",
                gen_ai.operation.name = name,
                gen_ai.provider.name = "gemini",
                gen_ai.request.model = "gemini-9",
                gen_ai.usage.output_tokens = Empty,
                gen_ai.usage.input_tokens = Empty,
            );
            span.record("gen_ai.usage.input_tokens", 7_u64);
        });
        assert_eq!(seen.picture(), "chat gemini-9\n", "{name}");
        let operation = &seen.sent("chat gemini-9").attributes["gen_ai.operation.name"];
        let usual = if name == "generate_content" {
            name
        } else {
            "chat"
        };
        assert_eq!(operation, usual);
    }
}

#[test]
fn modalities_go_by_their_operation() {
    let seen = Seen::of(|| {
        let span = info_span!(
            target: "rig::modalities",
            "embeddings",
            gen_ai.operation.name = "embeddings",
            gen_ai.provider.name = "openai",
            gen_ai.request.model = "embed-3",
            gen_ai.response.model = Empty,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
        );
        record_all!(
            span,
            "gen_ai.response.model" = "embed-3",
            "gen_ai.usage.input_tokens" = 9_u64,
            "gen_ai.usage.output_tokens" = 0_u64,
        );
        drop(span);
        drop(info_span!(
            target: "rig::modalities",
            "transcription",
            gen_ai.operation.name = "transcription",
            gen_ai.request.model = "whisper-9",
        ));
    });
    let picture = seen.picture();
    assert!(picture.contains("embeddings embed-3\n"), "{picture}");
    assert!(picture.contains("transcription whisper-9\n"), "{picture}");
    assert_eq!(
        seen.sent("embeddings embed-3").attributes["gen_ai.usage.input_tokens"],
        9
    );
}

#[test]
fn messages_are_kept_only_where_content_is() {
    let talk = || {
        let chat = agent_chat!();
        ask(&chat);
        chat.record("gen_ai.input.messages", r#"[{"role":"user","parts":[]}]"#);
        answer(&chat);
        chat.record(
            "gen_ai.output.messages",
            r#"[{"role":"assistant","parts":[]}]"#,
        );
        drop(chat);
        let tool = execute_tool!("add");
        tool.record("gen_ai.tool.call.arguments", r#"{"a":1}"#);
        tool.record("gen_ai.tool.call.result", "2");
        tool.record("gen_ai.tool.call.outcome", "success");
    };
    let off = Seen::of(talk);
    let text = format!("{:?}", off.sent) + &format!("{:?}", off.bench.all_spans());
    assert!(!text.contains("assistant") && !text.contains(r#"\"a\""#));
    let on = Seen::with_content(talk);
    assert!(
        on.sent("chat gpt-9")
            .attributes
            .contains_key("gen_ai.output.messages")
    );
    assert_eq!(
        on.sent("hermes.tool.add").attributes["hermes.tool.args"],
        r#"{"a":1}"#
    );
}

#[test]
fn a_prompt_outside_of_any_span_is_a_run_of_its_own() {
    #[hermes::session(id = "s")]
    fn session() {
        let agent = invoke_agent!();
        agent.in_scope(call);
    }
    let seen = Seen::of(session);
    assert_eq!(seen.bench.runs().len(), 2);
    let picture = seen.picture();
    assert!(
        picture.contains("invoke_agent scout\n  chat gpt-9\n"),
        "{picture}"
    );
}
