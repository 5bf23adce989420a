//! Answers in every provider's wire format: the whole and the stream of it tell the same facts, however it is cut.

use std::fs;
use std::path::{Path, PathBuf};

use hermes::{ErrorClass, ModelOutput, ModelResponse, StreamedResponse, Usage};
use proptest::prelude::*;
use serde_json::{Value, json};

/// What an answer tells.
#[derive(Debug, PartialEq)]
struct Facts {
    model: Option<String>,
    id: Option<String>,
    usage: Option<Usage>,
    finish_reasons: Vec<String>,
    output: ModelOutput,
    messages: Option<Value>,
    error: Option<ErrorClass>,
}

fn facts(answer: &impl ModelResponse) -> Facts {
    Facts {
        model: answer.model().map(Into::into),
        id: answer.id().map(Into::into),
        usage: answer.usage(),
        finish_reasons: answer.finish_reasons(),
        output: answer.output(),
        messages: answer.output_messages(),
        error: answer.error().map(|error| error.class()),
    }
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(folder().join(name)).unwrap()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/wire")
}

fn whole(name: &str) -> Value {
    serde_json::from_slice(&fixture(name)).unwrap()
}

fn streamed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> StreamedResponse {
    let mut answer = StreamedResponse::new();
    pieces
        .into_iter()
        .for_each(|piece| answer.push_bytes(piece));
    answer.end_of_bytes();
    answer
}

fn usage(counts: [i64; 5]) -> Usage {
    let [
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
        reasoning_tokens,
    ] = counts;
    Usage {
        input_tokens,
        output_tokens,
        cache_read_tokens,
        cache_write_tokens,
        reasoning_tokens,
    }
}

/// Whole, its streams, tokens (in, out, cache read, cache write, reasoning), finish reason, characters, tool calls.
type Row = (
    &'static str,
    &'static [&'static str],
    [i64; 5],
    &'static str,
    i64,
    i64,
);

#[rustfmt::skip]
const CHATS: &[Row] = &[
    ("openai_chat.json",      &["openai_chat.sse"],                         [2006, 300, 1920, 0, 64],     "tool_calls", 12, 1),
    ("azure_chat.json",       &["azure_chat.sse"],                          [18, 7, 0, 0, 0],             "stop",       17, 0),
    ("openrouter_chat.json",  &["openrouter_chat.sse"],                     [10, 22, 4, 2, 9],            "stop",        6, 0),
    ("deepseek_chat.json",    &["deepseek_chat.sse"],                       [30, 25, 20, 0, 15],          "stop",       16, 0),
    ("mistral_chat.json",     &["mistral_chat.sse"],                        [16, 34, 0, 0, 0],            "tool_calls", 11, 1),
    ("groq_chat.json",        &["groq_chat.sse"],                           [11, 6, 0, 0, 0],             "stop",       12, 0),
    ("xai_chat.json",         &["xai_chat.sse"],                            [32, 103, 6, 0, 94],          "stop",       13, 0),
    ("openai_responses.json", &["openai_responses.sse"],                    [328, 52, 128, 0, 32],        "completed",  10, 1),
    ("anthropic.json",        &["anthropic.sse", "bedrock_invoke_anthropic.eventstream"], [1209, 393, 1000, 188, 0], "tool_use", 9, 1),
    ("gemini.json",           &["gemini.sse", "gemini_array.stream"],       [100, 50, 40, 0, 30],         "STOP",       11, 1),
    ("ollama_chat.json",      &["ollama_chat.ndjson"],                      [169, 15, 0, 0, 0],           "stop",        7, 1),
    ("ollama_generate.json",  &["ollama_generate.ndjson"],                  [169, 15, 0, 0, 0],           "stop",       16, 0),
    ("bedrock_converse.json", &["bedrock_converse.eventstream"],            [1130, 628, 1000, 100, 0],    "tool_use",    9, 1),
    ("cohere_chat.json",      &["cohere_chat.sse"],                         [215, 42, 0, 0, 0],           "TOOL_CALL",   5, 1),
];

#[test]
fn a_whole_answer_tells_its_facts() {
    for (name, _, tokens, reason, chars, calls) in CHATS {
        let facts = facts(&whole(name));
        assert_eq!(facts.usage, Some(usage(*tokens)), "{name}");
        assert_eq!(facts.finish_reasons, [*reason], "{name}");
        let output = ModelOutput {
            content_chars: Some(*chars),
            tool_call_count: Some(*calls),
        };
        assert_eq!(facts.output, output, "{name}");
        assert_eq!(facts.error, None, "{name}");
        let parts = facts.messages.unwrap()[0]["parts"].clone();
        if *calls > 0 {
            let parts = parts.as_array().unwrap();
            let call = parts.iter().find(|part| part["type"] == "tool_call");
            let call = call.unwrap();
            assert_eq!(call["name"], "get_weather", "{name}");
            assert_eq!(call["arguments"], json!({"location": "Paris"}), "{name}");
        }
    }
}

#[test]
fn a_stream_tells_what_the_whole_tells() {
    for (name, streams, ..) in CHATS {
        for stream in *streams {
            let answer = streamed([&fixture(stream)[..]]);
            assert_eq!(facts(&answer), facts(&whole(name)), "{stream}");
            assert!(answer.is_complete(), "{stream}");
            assert!(answer.time_to_first_chunk().is_some(), "{stream}");
        }
    }
}

#[test]
fn a_whole_answer_can_be_read_as_a_stream_of_one() {
    for (name, ..) in CHATS {
        let bytes = fixture(name);
        let answer = streamed(bytes.chunks(7));
        assert_eq!(facts(&answer), facts(&whole(name)), "{name}");
        assert!(answer.is_complete(), "{name}");
    }
}

#[test]
fn every_byte_may_come_alone() {
    for stream in CHATS.iter().flat_map(|row| row.1) {
        let bytes = fixture(stream);
        let expected = facts(&streamed([&bytes[..]]));
        assert_eq!(facts(&streamed(bytes.chunks(1))), expected, "{stream}");
    }
}

#[test]
fn a_stream_that_breaks_off_tells_what_came_and_that_it_was_cut() {
    for stream in CHATS.iter().flat_map(|row| row.1) {
        let bytes = fixture(stream);
        let answer = streamed([&bytes[..bytes.len() / 3]]);
        assert!(answer.chunk_count() > 0, "{stream}");
        assert!(!answer.is_complete(), "{stream}");
        assert!(
            answer.finish_reasons().is_empty() || stream.contains("responses"),
            "{stream}"
        );
    }
}

#[test]
fn without_content_the_numbers_are_the_same() {
    for (name, streams, ..) in CHATS {
        for stream in *streams {
            let mut lean = StreamedResponse::without_content();
            lean.push_bytes(&fixture(stream));
            lean.end_of_bytes();
            let lean = facts(&lean);
            let full = facts(&whole(name));
            assert_eq!(
                (lean.usage, lean.output, lean.finish_reasons),
                (full.usage, full.output, full.finish_reasons),
                "{stream}"
            );
            let kept = lean.messages.unwrap().to_string();
            assert!(!kept.contains("Paris"), "{kept}");
        }
    }
}

#[test]
fn a_failure_inside_a_stream_is_told() {
    let cases = [
        ("openai_error.sse", ErrorClass::ProviderError, 7),
        ("anthropic_error.sse", ErrorClass::ProviderError, 0),
        ("openrouter_error.sse", ErrorClass::RateLimit, 3),
        ("openai_responses_failed.sse", ErrorClass::RateLimit, 0),
        ("ollama_error.ndjson", ErrorClass::ProviderError, 2),
        ("bedrock_error.eventstream", ErrorClass::RateLimit, 0),
    ];
    for (name, class, chars) in cases {
        let answer = streamed([&fixture(name)[..]]);
        let error = answer.error().unwrap();
        assert_eq!(error.class(), class, "{name}");
        assert!(error.message.is_some(), "{name}");
        assert_eq!(answer.output().content_chars, Some(chars), "{name}");
    }
    let refused = streamed([&fixture("gemini_error.json")[..]]);
    assert_eq!(refused.error().unwrap().class(), ErrorClass::RateLimit);
    assert_eq!(refused.chunk_count(), 0);
}

#[test]
fn a_failure_inside_a_whole_answer_or_an_event_is_told() {
    let error = json!({"code": 429, "message": "slow down"});
    for body in [
        json!({"choices": [{"error": error, "finish_reason": "error", "message": {"content": ""}}]}),
        json!({"type": "response.failed", "response": {"status": "failed", "output": [], "error": error}}),
    ] {
        let class = body.error().map(|error| error.class());
        assert_eq!(class, Some(ErrorClass::RateLimit), "{body}");
    }
}

#[test]
fn embeddings_and_rerankings_tell_their_usage() {
    let cases = [
        ("openai_embeddings.json", Some(8)),
        ("ollama_embed.json", Some(8)),
        ("cohere_embed.json", Some(2)),
        ("cohere_rerank.json", None),
        ("jina_rerank.json", Some(815)),
        ("voyage_rerank.json", Some(26)),
    ];
    for (name, input) in cases {
        let read = |answer: &dyn ModelResponse| answer.usage().map(|usage| usage.input_tokens);
        assert_eq!(read(&whole(name)), input, "{name}");
        assert_eq!(read(&streamed([&fixture(name)[..]])), input, "{name}");
    }
}

#[test]
fn gateways_that_bend_the_format_are_read_as_they_mean_it() {
    let call = |index: Value, id: Value, name: Value, arguments: &str| {
        json!({"choices": [{"index": 0, "delta": {"tool_calls": [
            {"index": index, "id": id, "function": {"name": name, "arguments": arguments}}]}}]})
    };
    let names = |chunks: &[Value]| {
        let mut answer = StreamedResponse::new();
        for chunk in chunks {
            assert!(answer.push(chunk));
        }
        let messages = answer.output_messages().unwrap();
        let parts = messages[0]["parts"].as_array().unwrap().clone();
        let told = |part: &Value| format!("{} {}", part["name"], part["arguments"]);
        parts.iter().map(told).collect::<Vec<_>>()
    };
    // Gemini's imitation gives every call index 0.
    let same_index = [
        call(json!(0), json!("a"), json!("f"), "{\"x\":1}"),
        call(json!(0), json!("b"), json!("g"), "{\"y\""),
        call(json!(0), Value::Null, Value::Null, ":2}"),
    ];
    assert_eq!(names(&same_index), ["\"f\" {\"x\":1}", "\"g\" {\"y\":2}"]);
    // Some servers give none, and repeat id and name in every piece.
    let no_index = [
        call(Value::Null, json!("a"), json!("f"), "{\"x\""),
        call(Value::Null, json!("a"), json!("f"), ":1}"),
        call(Value::Null, json!("b"), json!("f"), "{}"),
    ];
    assert_eq!(names(&no_index), ["\"f\" {\"x\":1}", "\"f\" {}"]);
    // Two calls at once, their pieces mixed.
    let mixed = [
        call(json!(0), json!("a"), json!("f"), ""),
        call(json!(1), json!("b"), json!("g"), ""),
        call(json!(0), json!(""), Value::Null, "{\"x\":1}"),
        call(json!(1), Value::Null, json!(""), "{\"y\":2}"),
    ];
    assert_eq!(names(&mixed), ["\"f\" {\"x\":1}", "\"g\" {\"y\":2}"]);
}

#[test]
fn a_tool_that_the_provider_runs_has_its_input() {
    let input = json!({"query": "rain in Paris"});
    let block = |input: &Value| json!({"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": input});
    let whole = json!({"type": "message", "content": [block(&input)], "stop_reason": "end_turn"});
    let mut answer = StreamedResponse::new();
    answer.push(&json!({"type": "message_start", "message": {"type": "message", "content": []}}));
    answer.push(
        &json!({"type": "content_block_start", "index": 0, "content_block": block(&json!({}))}),
    );
    for piece in ["{\"query\": \"rain", " in Paris\"}"] {
        let delta = json!({"type": "input_json_delta", "partial_json": piece});
        answer.push(&json!({"type": "content_block_delta", "index": 0, "delta": delta}));
    }
    answer.push(&json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}));
    assert_eq!(facts(&answer), facts(&whole));
    // The agent has nothing to run.
    assert_eq!(answer.output().tool_call_count, Some(0));
}

#[test]
fn several_choices_keep_apart() {
    let mut answer = StreamedResponse::new();
    for (index, text, reason) in [
        (1, "b", Value::Null),
        (0, "aa", Value::Null),
        (1, "b", json!("length")),
        (0, "", json!("stop")),
    ] {
        let choice = json!({"index": index, "delta": {"content": text}, "finish_reason": reason});
        assert!(!answer.is_complete());
        answer.push(&json!({ "choices": [choice] }));
    }
    assert!(answer.is_complete());
    assert_eq!(answer.finish_reasons(), ["stop", "length"]);
    let messages = answer.output_messages().unwrap();
    assert_eq!(
        messages[0]["parts"],
        json!([{"type": "text", "content": "aa"}])
    );
    assert_eq!(
        messages[1]["parts"],
        json!([{"type": "text", "content": "bb"}])
    );
}

#[test]
fn a_list_of_chunks_is_one_answer() {
    let chunks = whole("gemini_array.stream");
    assert_eq!(facts(&chunks), facts(&whole("gemini.json")));
    let failed = json!([
        {"candidates": [{"content": {"parts": [{"text": "So"}]}}]},
        {"error": {"code": 503, "status": "UNAVAILABLE", "message": "overloaded"}},
    ]);
    assert_eq!(
        failed.error().map(|error| error.class()),
        Some(ErrorClass::ProviderError)
    );
}

#[test]
fn a_zero_after_a_count_is_a_count_left_out() {
    let mut answer = StreamedResponse::new();
    answer.push(&json!({"type": "message_start", "message": {"content": [],
        "usage": {"input_tokens": 100, "cache_read_input_tokens": 20, "output_tokens": 1}}}));
    answer.push(
        &json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"},
        "usage": {"input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 9}}),
    );
    assert_eq!(answer.usage(), Some(usage([120, 9, 20, 0, 0])));
}

#[test]
fn what_an_answer_cost_is_told_where_the_provider_tells_it() {
    for (told, cost) in [
        (json!({"prompt_tokens": 1, "cost": 0.0125}), Some(0.0125)),
        (
            json!({"prompt_tokens": 1, "cost": {"total_cost": 0.006}}),
            Some(0.006),
        ),
        (
            json!({"prompt_tokens": 1, "cost": 0.25, "is_byok": true,
                "cost_details": {"upstream_inference_cost": 0.5}}),
            Some(0.75),
        ),
        (json!({"prompt_tokens": 1, "cost": -1.0}), None),
        (json!({"prompt_tokens": 1}), None),
    ] {
        let body = json!({"choices": [], "usage": told});
        assert_eq!(body.cost_usd(), cost, "{body}");
        let mut answer = StreamedResponse::new();
        answer.push(&body);
        assert_eq!(answer.cost_usd(), cost, "{body}");
    }
}

#[test]
fn tokens_may_stand_inside_the_last_choice() {
    let mut answer = StreamedResponse::new();
    answer.push(&json!({"choices": [{"index": 0, "delta": {"content": "hi"}}]}));
    answer.push(
        &json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop",
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "cached_tokens": 4}}]}),
    );
    assert_eq!(answer.usage(), Some(usage([9, 2, 4, 0, 0])));
}

#[test]
fn many_calls_that_share_an_index_keep_apart() {
    let mut answer = StreamedResponse::new();
    for call in 0..40 {
        let begun = json!({"index": 0, "id": format!("c{call}"), "function": {"name": "add", "arguments": "{\"a\":"}});
        answer.push(&json!({"choices": [{"delta": {"tool_calls": [begun]}}]}));
        let rest = json!({"index": 0, "function": {"arguments": format!("{call}}}")}});
        answer.push(&json!({"choices": [{"delta": {"tool_calls": [rest]}}]}));
    }
    assert_eq!(answer.output().tool_call_count, Some(40));
    let messages = answer.output_messages().unwrap();
    let last = &messages[0]["parts"][39];
    assert_eq!(
        (&last["id"], &last["arguments"]),
        (&json!("c39"), &json!({"a": 39}))
    );
}

#[test]
fn what_is_spoken_is_told_in_writing() {
    let body = json!({"choices": [{"message": {"role": "assistant", "content": null,
        "audio": {"id": "a", "data": "AAAA", "transcript": "Rainy."}}, "finish_reason": "stop"}]});
    assert_eq!(body.output().content_chars, Some(6));
    let mut answer = StreamedResponse::new();
    for piece in ["Rai", "ny."] {
        answer.push(&json!({"choices": [{"index": 0, "delta": {"audio": {"transcript": piece}}}]}));
    }
    assert_eq!(answer.output().content_chars, Some(6));
}

#[test]
fn what_is_kept_of_an_answer_is_bounded() {
    let long = "x".repeat(1 << 19);
    let mut answer = StreamedResponse::new();
    for index in 0..64 {
        answer.push(&json!({"candidates": [{"content": {"parts": [
            {"functionCall": {"name": long, "args": {"text": long}}},
            {"executableCode": {"code": long}},
        ]}}]}));
        let counts = json!({format!("count_{index}"): index, "detail": long});
        answer.push(&json!({"choices": [], "usage": counts}));
    }
    let kept = answer.output_messages().unwrap().to_string().len();
    assert!(kept < 2 << 20, "{kept}");
    assert!(format!("{answer:?}").len() < 8 << 20);
    assert_eq!(answer.output().tool_call_count, Some(64));
}

#[test]
fn a_frame_that_is_too_long_is_passed_over() {
    let long = "x".repeat(5 << 20);
    let events = format!(
        "data: {{\"choices\":[{{\"delta\":{{\"content\":\"{long}\"}}}}]}}\n\n\
         data: {{\"choices\":[{{\"delta\":{{\"content\":\"hi\"}},\"finish_reason\":\"stop\"}}]}}\n\n"
    );
    let answer = streamed(events.as_bytes().chunks(1 << 16));
    assert_eq!(answer.output().content_chars, Some(2));
    assert_eq!(answer.finish_reasons(), ["stop"]);
    let lines = format!(
        "{{\"model\":\"m\",\"response\":\"{long}\",\"done\":false}}\n\
         {{\"model\":\"m\",\"response\":\"hi\",\"done\":true,\"done_reason\":\"stop\"}}\n"
    );
    let answer = streamed(lines.as_bytes().chunks(1 << 16));
    assert_eq!(answer.output().content_chars, Some(2));
    assert!(answer.is_complete());
}

fn any_stream() -> impl Strategy<Value = &'static str> {
    let streams: Vec<_> = CHATS.iter().flat_map(|row| row.1).copied().collect();
    proptest::sample::select(streams)
}

proptest! {
    #[test]
    fn any_cut_tells_the_same(
        stream in any_stream(),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..24),
    ) {
        let bytes = fixture(stream);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut rest = &bytes[..];
        let mut taken = 0;
        for cut in cuts {
            let (piece, left) = rest.split_at(cut - taken);
            pieces.push(piece);
            rest = left;
            taken = cut;
        }
        pieces.push(rest);
        prop_assert_eq!(facts(&streamed(pieces)), facts(&streamed([&bytes[..]])));
    }

    #[test]
    fn line_ends_of_every_kind_tell_the_same(
        stream in any_stream().prop_filter("events", |name| Path::new(name).extension().is_some_and(|it| it == "sse")),
        end in proptest::sample::select(vec!["\n", "\r\n", "\r"]),
        size in 1_usize..64,
    ) {
        let bytes = fixture(stream);
        let text = String::from_utf8(bytes.clone()).unwrap();
        let other = text.replace("\r\n", "\n").replace('\n', end);
        let cut = streamed(other.as_bytes().chunks(size));
        prop_assert_eq!(facts(&cut), facts(&streamed([&bytes[..]])));
    }

    #[test]
    fn garbage_breaks_nothing(bytes in proptest::collection::vec(any::<u8>(), 0..512), at in any::<proptest::sample::Index>(), stream in any_stream()) {
        let mut mixed = fixture(stream);
        let at = at.index(mixed.len());
        mixed.splice(at..at, bytes.iter().copied());
        let _ = facts(&streamed(mixed.chunks(13)));
        let _ = facts(&streamed([&bytes[..]]));
    }
}
