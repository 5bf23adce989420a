//! genai 0.7 with its feature `otel`: spans that are never entered, and say themselves how it went.

use tracing::Span;
use tracing::field::Empty;

use super::Seen;
use crate::record_all;

fn chat(is_stream: bool) -> Span {
    let span = tracing::info_span!(
        target: "genai::otel::span",
        "genai.chat",
        otel.name = "chat gpt-9",
        otel.kind = "client",
        otel.status_code = Empty,
        error.type = Empty,
        gen_ai.operation.name = "chat",
        gen_ai.provider.name = "openai",
        gen_ai.request.model = "gpt-9",
        gen_ai.request.stream = is_stream,
        gen_ai.request.temperature = Empty,
        gen_ai.request.max_tokens = Empty,
        gen_ai.request.stop_sequences = Empty,
        server.address = Empty,
        server.port = Empty,
        gen_ai.response.model = Empty,
        gen_ai.response.id = Empty,
        gen_ai.response.finish_reasons = Empty,
        gen_ai.response.time_to_first_chunk = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        gen_ai.usage.reasoning.output_tokens = Empty,
    );
    record_all!(
        span,
        "server.address" = "127.0.0.1",
        "server.port" = 8080_i64,
        "gen_ai.request.temperature" = 0.5_f64,
        "gen_ai.request.max_tokens" = 64_i64,
    );
    span
}

fn answer(span: &Span) {
    record_all!(
        span,
        "gen_ai.response.model" = "gpt-9-0101",
        "gen_ai.response.finish_reasons" = r#"["stop"]"#,
        "gen_ai.usage.input_tokens" = 120_i64,
        "gen_ai.usage.output_tokens" = 34_i64,
        "gen_ai.usage.cache_read.input_tokens" = 64_i64,
        "gen_ai.usage.reasoning.output_tokens" = 12_i64,
    );
}

#[test]
fn spans_that_are_never_entered_are_whole() {
    #[hermes::turn]
    fn turn() {
        let chat = chat(false);
        answer(&chat);
        drop(chat);
        drop(tracing::info_span!(
            target: "genai::otel::agent",
            "genai.execute_tool",
            otel.name = "execute_tool add",
            otel.kind = "internal",
            gen_ai.operation.name = "execute_tool",
            gen_ai.tool.name = "add",
            gen_ai.tool.call.id = "call_1",
        ));
        let embeddings = tracing::info_span!(
            target: "genai::otel::span",
            "genai.embeddings",
            otel.name = "embeddings embed-3",
            gen_ai.operation.name = "embeddings",
            gen_ai.request.model = "embed-3",
            gen_ai.usage.input_tokens = Empty,
        );
        embeddings.record("gen_ai.usage.input_tokens", 9_i64);
    }
    let seen = Seen::of(turn);
    assert_eq!(
        seen.picture(),
        "hermes.turn\n  chat gpt-9\n  hermes.tool.add\n  embeddings embed-3\n"
    );
    let sent = seen.sent("chat gpt-9");
    assert_eq!(sent.attributes["server.port"], 8080);
    assert_eq!(sent.attributes["gen_ai.request.temperature"], 0.5);
    assert_eq!(sent.attributes["gen_ai.usage.reasoning.output_tokens"], 12);
    assert_eq!(
        sent.attributes["gen_ai.response.finish_reasons"],
        serde_json::json!(["stop"])
    );
    assert!(sent.end_ns >= sent.start_ns);
    assert_eq!(seen.tokens(), (120, 34));
}

#[test]
fn failures_are_what_the_span_says() {
    for (error_type, told, class) in [
        ("429", "429", "rate_limit"),
        ("500", "500", "provider_error"),
        ("connect", "connect", "network"),
        ("web_stream", "web_stream", "unknown"),
    ] {
        let seen = Seen::of(|| {
            let chat = chat(false);
            record_all!(
                chat,
                "otel.status_code" = "error",
                "error.type" = error_type
            );
        });
        assert_eq!(seen.picture(), format!("chat gpt-9 [error] ✗ {told}\n"));
        let found: String = seen.bench.sql("SELECT error_class FROM tel_error_events");
        assert_eq!(found, class, "{error_type}");
    }
}

#[test]
fn a_stream_without_a_finish_reason_was_given_up() {
    let dropped = Seen::of(|| drop(chat(true)));
    assert_eq!(dropped.picture(), "chat gpt-9 [cancelled] ✗ cancelled\n");
    let whole = Seen::of(|| {
        let chat = chat(true);
        // Without usage: the caller did not ask for it.
        record_all!(
            chat,
            "gen_ai.response.time_to_first_chunk" = 0.25_f64,
            "gen_ai.response.finish_reasons" = r#"["tool_calls"]"#,
        );
    });
    assert_eq!(whole.picture(), "chat gpt-9\n");
    assert_eq!(whole.model_calls()[0].ttft_ms, Some(250));
    assert_eq!(whole.model_calls()[0].input_tokens, None);
}

#[test]
fn what_is_no_call_is_a_step_by_its_own_name() {
    let seen = Seen::of(|| {
        let agent = tracing::info_span!(
            target: "genai::otel::agent",
            "genai.agent",
            otel.name = "invoke_agent scout",
            gen_ai.operation.name = "invoke_agent",
            gen_ai.agent.name = "scout",
        );
        agent.in_scope(|| {
            drop(tracing::info_span!(
                target: "genai::otel::agent",
                "genai.plan",
                otel.name = "plan scout",
                gen_ai.operation.name = "plan",
            ));
        });
    });
    assert_eq!(seen.picture(), "invoke_agent scout\n  plan scout\n");
}
