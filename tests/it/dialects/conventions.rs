//! Spans that go by a convention and not by a library: OpenInference, `OpenLLMetry`, Vercel's, and plain
//! `#[tracing::instrument]` with fields of the conventions.

use tracing::field::Empty;
use tracing::info_span;

use super::Seen;
use crate::record_all;

#[test]
fn openinference_names_are_read() {
    let work = || {
        let agent = info_span!(
            "my_agent",
            openinference.span.kind = "AGENT",
            agent.name = "scout",
            session.id = "s-1"
        );
        agent.in_scope(|| {
            drop(info_span!(
                "completion",
                openinference.span.kind = "LLM",
                llm.provider = "openai",
                llm.model_name = "gpt-9",
                llm.token_count.prompt = 120_i64,
                llm.token_count.completion = 34_i64,
                llm.token_count.total = 154_i64,
                llm.token_count.prompt_details.cache_read = 64_i64,
                llm.token_count.completion_details.reasoning = 12_i64,
                input.value = "SECRET QUESTION",
                output.value = "SECRET ANSWER",
            ));
            drop(info_span!(
                "lookup",
                openinference.span.kind = "TOOL",
                tool.name = "add",
                tool_call.id = "c1",
                input.value = "SECRET ARGS",
                output.value = "SECRET RESULT",
            ));
            drop(info_span!(
                "embed",
                openinference.span.kind = "EMBEDDING",
                embedding.model_name = "embed-3"
            ));
            drop(info_span!("chain", openinference.span.kind = "CHAIN"));
            drop(info_span!(
                "rerank",
                openinference.span.kind = "RERANKER",
                reranker.model_name = "rr-1"
            ));
            drop(info_span!("search", openinference.span.kind = "RETRIEVER"));
        });
    };
    let seen = Seen::of(work);
    assert_eq!(
        seen.picture(),
        "invoke_agent scout\n  chat gpt-9\n  hermes.tool.add\n  embeddings embed-3\n  chain\n  rerank rr-1\n  retrieval\n"
    );
    assert_eq!(seen.tokens(), (120, 34));
    let call = &seen.model_calls()[0];
    assert_eq!(
        (call.cache_read_tokens, call.reasoning_tokens),
        (Some(64), Some(12))
    );
    assert!(!format!("{:?}{:?}", seen.sent, seen.bench.all_spans()).contains("SECRET"));
    let seen = Seen::with_content(work);
    let chat = seen.sent("chat gpt-9");
    assert!(
        chat.attributes["gen_ai.input.messages"]
            .to_string()
            .contains("SECRET QUESTION")
    );
    let tool = seen.sent("hermes.tool.add");
    assert_eq!(tool.attributes["hermes.tool.args"], "SECRET ARGS");
    assert_eq!(tool.attributes["hermes.tool.result"], "SECRET RESULT");
}

#[test]
fn openllmetry_names_are_read() {
    let seen = Seen::of(|| {
        let workflow = info_span!(
            "flow.workflow",
            traceloop.span.kind = "workflow",
            traceloop.entity.name = "flow"
        );
        workflow.in_scope(|| {
            drop(info_span!(
                "openai.chat",
                llm.request.type = "chat",
                gen_ai.system = "OpenAI",
                gen_ai.request.model = "gpt-9",
                gen_ai.usage.prompt_tokens = 120_i64,
                gen_ai.usage.completion_tokens = "34",
                llm.usage.total_tokens = 154_i64,
            ));
            drop(info_span!(
                "anthropic.completion",
                llm.request.type = "completion",
                gen_ai.request.model = "claude-9",
                gen_ai.usage.prompt_tokens = 100_f64,
                llm.usage.total_tokens = 130_i64,
            ));
            drop(info_span!(
                "add.tool",
                traceloop.span.kind = "tool",
                traceloop.entity.name = "add"
            ));
        });
    });
    assert_eq!(
        seen.picture(),
        "flow\n  chat gpt-9\n  chat claude-9\n  hermes.tool.add\n"
    );
    // What one of them left out, its total tells.
    assert_eq!(seen.tokens(), (220, 64));
    let sent = seen.sent("chat claude-9");
    assert_eq!(sent.attributes["gen_ai.operation.name"], "text_completion");
    assert_eq!(
        seen.sent("chat gpt-9").attributes["gen_ai.provider.name"],
        "openai"
    );
}

#[test]
fn vercels_inner_span_is_the_call() {
    let seen = Seen::of(|| {
        let outer = info_span!(
            "ai.generateText",
            ai.operationId = "ai.generateText",
            ai.model.id = "gpt-9",
            ai.usage.promptTokens = 120_i64,
            ai.usage.completionTokens = 34_i64,
        );
        outer.in_scope(|| {
            drop(info_span!(
                "ai.generateText.doGenerate",
                ai.operationId = "ai.generateText.doGenerate",
                ai.model.id = "gpt-9",
                ai.model.provider = "openai",
                ai.usage.promptTokens = 120_i64,
                ai.usage.completionTokens = 34_i64,
                ai.response.finishReason = "stop",
            ));
            drop(info_span!(
                "ai.toolCall",
                ai.operationId = "ai.toolCall",
                ai.toolCall.name = "add",
                ai.toolCall.id = "c1",
            ));
        });
    });
    assert_eq!(
        seen.picture(),
        "invoke_agent\n  chat gpt-9\n  hermes.tool.add\n"
    );
    assert_eq!(seen.tokens(), (120, 34));
}

#[tracing::instrument(
    skip_all,
    fields(
        gen_ai.operation.name = "chat",
        gen_ai.request.model = "gpt-9",
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
    )
)]
fn chat_completions() {
    let span = tracing::Span::current();
    record_all!(
        span,
        "gen_ai.usage.input_tokens" = 120_u64,
        "gen_ai.usage.output_tokens" = 34_u32
    );
}

#[tracing::instrument(
    skip_all,
    fields(gen_ai.request.model = "gpt-9", gen_ai.usage.input_tokens = Empty, gen_ai.system = "openai")
)]
fn llm_round() {
    tracing::Span::current().record("gen_ai.usage.input_tokens", 7_u64);
}

#[tracing::instrument(skip_all, fields(gen_ai.tool.name = "add", gen_ai.tool.call.id = "c1"))]
fn run_tool() {}

/// Sums up the rounds inside it, and is none itself.
#[tracing::instrument(
    skip_all,
    fields(gen_ai.request.model = "gpt-9", gen_ai.usage.input_tokens = Empty)
)]
fn agent_loop() {
    chat_completions();
    chat_completions();
    tracing::Span::current().record("gen_ai.usage.input_tokens", 240_u64);
}

#[test]
fn plain_instrument_with_fields_of_the_conventions_is_enough() {
    #[hermes::turn]
    fn turn() {
        chat_completions();
        llm_round();
        run_tool();
    }
    let seen = Seen::of(turn);
    assert_eq!(
        seen.picture(),
        "hermes.turn\n  chat gpt-9\n  chat gpt-9\n  hermes.tool.add\n"
    );
    assert_eq!(seen.tokens(), (127, 34));
    let turn = seen.bench.span("hermes.turn");
    assert_eq!(turn.attributes["hermes.turn.api_call_count"], 2);
    assert_eq!(turn.attributes["hermes.turn.tool_call_count"], 1);
}

#[test]
fn a_span_that_sums_up_calls_is_not_one() {
    #[hermes::turn]
    fn turn() {
        agent_loop();
    }
    let seen = Seen::of(turn);
    assert_eq!(seen.picture(), "hermes.turn\n  chat gpt-9\n  chat gpt-9\n");
    assert_eq!(seen.tokens(), (240, 68));
}

#[test]
fn a_model_alone_makes_no_call() {
    let seen = Seen::of(|| drop(info_span!("http.request", gen_ai.request.model = "gpt-9")));
    assert_eq!(seen.picture(), "");
}

#[test]
fn every_alias_of_usage_and_every_type_is_read() {
    for alias in 0..8 {
        let seen = Seen::of(|| {
            macro_rules! call {
                ($($field:tt)+) => {
                    drop(info_span!("c", gen_ai.operation.name = "chat", gen_ai.request.model = "m", gen_ai.usage.input_tokens = 100_u64, $($field)+))
                };
            }
            match alias {
                0 => call!(gen_ai.usage.cache_read.input_tokens = 7_u64),
                1 => call!(gen_ai.usage.cache_read_input_tokens = 7_i64),
                2 => call!(gen_ai.usage.cache_read_tokens = 7.0_f64),
                3 => call!(gen_ai.usage.cached_tokens = "7"),
                4 => call!(gen_ai.usage.cache_read_tokens = ?7),
                5 => call!(gen_ai.usage.cache_read_tokens = ?Some(7)),
                6 => call!(gen_ai.usage.cache_read_tokens = %7),
                _ => call!(llm.token_count.prompt_details.cache_read = 7_u8),
            }
        });
        assert_eq!(seen.model_calls()[0].cache_read_tokens, Some(7), "{alias}");
    }
}

#[test]
fn lists_that_are_recorded_piece_by_piece_are_put_together() {
    let work = || {
        drop(info_span!(
            "completion",
            openinference.span.kind = "LLM",
            llm.model_name = "gpt-9",
            "llm.input_messages.0.message.role" = "system",
            "llm.input_messages.0.message.content" = "Be brief.",
            "llm.input_messages.1.message.role" = "user",
            "llm.input_messages.1.message.content" = "SECRET QUESTION",
            "llm.output_messages.0.message.role" = "assistant",
            "llm.output_messages.0.message.tool_calls.0.tool_call.id" = "c1",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.name" = "add",
            "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments" =
                r#"{"a":1}"#,
        ));
        drop(info_span!(
            "openai.chat",
            llm.request.type = "chat",
            gen_ai.request.model = "claude-9",
            "gen_ai.prompt.0.role" = "user",
            "gen_ai.prompt.0.content" = "SECRET QUESTION",
            "gen_ai.completion.0.content" = "SECRET ANSWER",
            "gen_ai.completion.0.finish_reason" = "stop",
        ));
        drop(info_span!(
            "search",
            openinference.span.kind = "RETRIEVER",
            "retrieval.documents.0.document.id" = "d1",
            "retrieval.documents.0.document.content" = "SECRET PAGE",
            "retrieval.documents.0.document.score" = 0.5,
        ));
    };
    let seen = Seen::with_content(work);
    let json = |name: &str, attribute: &str| -> serde_json::Value {
        let text = &seen.sent(name).attributes[attribute];
        serde_json::from_str(text.as_str().unwrap()).unwrap()
    };
    let asked = json("chat gpt-9", "gen_ai.input.messages");
    assert_eq!(asked[0]["role"], "system");
    assert_eq!(
        asked[1]["parts"],
        serde_json::json!([{"type": "text", "content": "SECRET QUESTION"}])
    );
    let answered = json("chat gpt-9", "gen_ai.output.messages");
    assert_eq!(
        answered[0]["parts"],
        serde_json::json!([{"type": "tool_call", "id": "c1", "name": "add", "arguments": {"a": 1}}])
    );
    let answered = json("chat claude-9", "gen_ai.output.messages");
    assert_eq!(answered[0]["parts"][0]["content"], "SECRET ANSWER");
    let found = json("retrieval", "gen_ai.retrieval.documents");
    assert_eq!(
        found,
        serde_json::json!([{"id": "d1", "content": "SECRET PAGE", "score": 0.5}])
    );
    let seen = Seen::of(work);
    assert!(!format!("{:?}{:?}", seen.sent, seen.bench.all_spans()).contains("SECRET"));
    let calls = seen.model_calls();
    assert_eq!(calls[1].finish_reason.as_deref(), Some("stop"));
}

#[test]
fn numbers_that_count_nothing_are_not_counted() {
    #[hermes::turn]
    fn turn() {
        for nonsense in [-1_i64, i64::MAX] {
            drop(info_span!(
                "c",
                gen_ai.operation.name = "chat",
                gen_ai.request.model = "m",
                gen_ai.usage.input_tokens = nonsense,
                gen_ai.usage.output_tokens = "34.0",
                gen_ai.usage.cache_read_tokens = u64::MAX,
                gen_ai.usage.cost = f64::NAN,
            ));
        }
    }
    let seen = Seen::of(turn);
    assert_eq!(seen.tokens(), (0, 68));
    for call in seen.model_calls() {
        assert_eq!((call.input_tokens, call.cache_read_tokens), (None, None));
    }
    let turn = seen.bench.span("hermes.turn");
    assert_eq!(turn.attributes["hermes.turn.input_tokens"], 0);
    assert_eq!(turn.attributes["hermes.turn.output_tokens"], 68);
}

#[test]
fn what_is_printed_of_nothing_is_nothing() {
    let seen = Seen::of(|| {
        let nothing: Option<String> = None;
        drop(info_span!(
            "c",
            gen_ai.operation.name = "chat",
            gen_ai.request.model = ?nothing,
            gen_ai.response.id = "None",
            gen_ai.usage.input_tokens = ?Some(3),
            error.type = ?nothing,
            error = ?nothing,
        ));
    });
    assert_eq!(seen.picture(), "chat\n");
    let span = &seen.bench.all_spans()[0];
    assert!(!span.attributes.contains_key("gen_ai.request.model"));
    assert!(!span.attributes.contains_key("gen_ai.response.id"));
    assert_eq!(seen.tokens().0, 3);
}

#[tracing::instrument(skip_all)]
fn chat() {
    chat_completions();
    run_tool();
    chat_completions();
}

#[tracing::instrument(name = "chat", skip_all, fields(session.id = "web-1"))]
fn chat_handler() {
    chat();
}

#[test]
fn a_function_that_is_called_chat_is_no_model_call() {
    #[hermes::turn]
    fn turn() {
        chat_handler();
    }
    let seen = Seen::of(turn);
    assert_eq!(
        seen.picture(),
        "hermes.turn\n  chat gpt-9\n  hermes.tool.add\n  chat gpt-9\n"
    );
    assert_eq!(seen.tokens(), (240, 68));
}

#[test]
fn what_an_agent_was_told_and_said_is_kept_where_content_is() {
    let work = || {
        let agent = info_span!(
            "invoke_agent",
            gen_ai.operation.name = "invoke_agent",
            gen_ai.agent.name = "scout",
            gen_ai.prompt = "SECRET QUESTION",
            gen_ai.completion = "SECRET ANSWER",
        );
        agent.in_scope(|| {
            drop(info_span!(
                "chain",
                openinference.span.kind = "CHAIN",
                input.value = "SECRET INPUT"
            ));
        });
    };
    let seen = Seen::with_content(work);
    let agent = seen.sent("invoke_agent scout");
    let said: serde_json::Value =
        serde_json::from_str(agent.attributes["gen_ai.output.messages"].as_str().unwrap()).unwrap();
    assert_eq!(
        said,
        serde_json::json!([{"role": "assistant", "parts": [{"type": "text", "content": "SECRET ANSWER"}]}])
    );
    assert_eq!(seen.sent("chain").attributes["input.value"], "SECRET INPUT");
    let seen = Seen::of(work);
    assert!(!format!("{:?}{:?}", seen.sent, seen.bench.all_spans()).contains("SECRET"));
}

#[test]
fn vercels_providers_times_and_token_details_are_read() {
    let seen = Seen::of(|| {
        drop(info_span!(
            "ai.streamText.doStream",
            ai.operationId = "ai.streamText.doStream",
            ai.model.id = "claude-9",
            ai.model.provider = "anthropic.messages",
            ai.usage.inputTokens = 120_i64,
            ai.usage.inputTokenDetails.cacheReadTokens = 64_i64,
            ai.usage.outputTokenDetails.reasoningTokens = 12_i64,
            ai.usage.outputTokens = 34_i64,
            ai.response.msToFirstChunk = 250.0,
        ));
    });
    let call = &seen.model_calls()[0];
    assert_eq!(
        (call.cache_read_tokens, call.reasoning_tokens, call.ttft_ms),
        (Some(64), Some(12), Some(250))
    );
    let sent = seen.sent("chat claude-9");
    assert_eq!(sent.attributes["gen_ai.provider.name"], "anthropic");
}

#[test]
fn langfuses_attributes_are_read() {
    let seen = Seen::of(|| {
        drop(info_span!(
            "generation",
            langfuse.observation.type = "generation",
            langfuse.observation.model.name = "gpt-9",
            langfuse.observation.usage_details = r#"{"input":120,"output":34,"total":154}"#,
            langfuse.observation.input = "PRIVATE",
        ));
    });
    assert_eq!(seen.picture(), "chat gpt-9\n");
    assert_eq!(seen.tokens(), (120, 34));
    assert!(!format!("{:?}{:?}", seen.sent, seen.bench.all_spans()).contains("PRIVATE"));
}
