//! HTTP clients without spans of their own: what goes over the wire becomes spans, and nothing else changes.

use std::fs;
use std::future::Future;
use std::path::Path;

use bytes::Bytes;
use hermes::client::{Endpoints, TracedLayer, TracedMiddleware};
use hermes::{ContentCapture, Kind, RecordedSpan, Status};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;
use serde_json::{Value, json};
use tower::{Layer, ServiceExt};

use crate::support::collector::Collector;
use crate::support::model::{Answer, Model};
use crate::support::{Bench, SOON};

const EVENTS: &str = "text/event-stream; charset=utf-8";

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/wire");
    fs::read(folder.join(name)).unwrap()
}

fn run<T>(bench: &Bench, code: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    bench.run(|| runtime.block_on(code))
}

/// A client of reqwest with the middleware.
fn client() -> ClientWithMiddleware {
    ClientBuilder::new(reqwest::Client::new())
        .with(TracedMiddleware::new())
        .build()
}

/// What is sent to each API: path, body.
fn question(api: &str) -> (&'static str, Value) {
    let messages = json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Weather?"}]);
    match api {
        "responses" => (
            "/v1/responses",
            json!({"model": "o4-mini", "input": "Weather?", "stream": true}),
        ),
        "anthropic" => (
            "/v1/messages",
            json!({"model": "claude-sonnet-4-0", "max_tokens": 64, "stream": true,
                "messages": [{"role": "user", "content": "Weather?"}], "tools": [{"name": "get_weather", "input_schema": {}}]}),
        ),
        "gemini" => (
            "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse&key=AIzaSyA-not-a-real-key-0123456789abc",
            json!({"contents": [{"role": "user", "parts": [{"text": "Weather?"}]}]}),
        ),
        "ollama" => (
            "/api/chat",
            json!({"model": "llama3.2", "messages": messages}),
        ),
        "bedrock" => (
            "/model/anthropic.claude-3%3A0/converse-stream",
            json!({"messages": [{"role": "user", "content": [{"text": "Weather?"}]}], "inferenceConfig": {"maxTokens": 64, "temperature": 0.5}}),
        ),
        _ => (
            "/v1/chat/completions",
            json!({"model": "gpt-4.1", "messages": messages, "temperature": 0.5, "stream": api == "stream",
                "tools": [{"type": "function", "function": {"name": "get_weather"}}]}),
        ),
    }
}

async fn ask(
    client: &ClientWithMiddleware,
    model: &Model,
    api: &str,
) -> reqwest_middleware::Result<reqwest::Response> {
    let (path, body) = question(api);
    client
        .post(format!("{}{path}", model.url))
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await
}

fn int(span: &RecordedSpan, key: &str) -> Option<i64> {
    span.attributes.get(key).and_then(Value::as_i64)
}

fn text<'a>(span: &'a RecordedSpan, key: &str) -> &'a str {
    span.attributes
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or("")
}

#[test]
fn a_call_becomes_a_span_in_the_store_and_on_otlp() {
    let collector = Collector::start();
    let bench = Bench::with(|builder| builder.otlp_endpoint(collector.endpoint()));
    let model = Model::answering([Answer::json(fixture("openai_chat.json"))]);
    let answer = run(&bench, async {
        let answer = ask(&client(), &model, "whole").await.unwrap();
        assert_eq!(answer.url().path(), "/v1/chat/completions");
        answer.bytes().await.unwrap()
    });
    assert_eq!(answer, fixture("openai_chat.json"));
    let span = bench.span("chat gpt-4.1");
    assert_eq!((&*span.kind, span.status), ("LLM", Status::Ok));
    assert_eq!(text(&span, "gen_ai.request.model"), "gpt-4.1");
    assert_eq!(text(&span, "gen_ai.provider.name"), "openai");
    assert_eq!(text(&span, "gen_ai.response.model"), "gpt-4.1-2025-04-14");
    assert_eq!(text(&span, "server.address"), "127.0.0.1");
    assert!(
        model
            .url
            .ends_with(&format!(":{}", int(&span, "server.port").unwrap()))
    );
    assert_eq!(int(&span, "gen_ai.usage.input_tokens"), Some(2006));
    assert_eq!(int(&span, "hermes.cache.read_tokens"), Some(1920));
    assert_eq!(int(&span, "hermes.message_count"), Some(2));
    assert_eq!(int(&span, "hermes.tool_count"), Some(1));
    assert_eq!(
        span.attributes["gen_ai.response.finish_reasons"],
        json!(["tool_calls"])
    );
    assert_eq!(span.attributes["gen_ai.request.temperature"], json!(0.5));
    assert!(
        !span
            .attributes
            .contains_key("gen_ai.response.time_to_first_chunk")
    );

    let sent = collector.wait_for(1, SOON).remove(0);
    assert_eq!((&*sent.name, &*sent.kind), ("chat gpt-4.1", "CLIENT"));
    assert_eq!(sent.attributes["gen_ai.usage.output_tokens"], 300);
    // The server was told of the span that is in the store and on OTLP.
    let asked = &model.requests()[0];
    let traceparent = format!("00-{}-{}-01", span.trace_id, span.span_id);
    assert_eq!(asked.header("traceparent"), Some(&*traceparent));
    assert_eq!(
        (sent.trace_id, sent.span_id),
        (span.trace_id.to_string(), span.span_id.to_string())
    );
    assert_eq!(asked.json(), question("whole").1);
}

#[test]
fn every_api_streams_into_its_span() {
    let cases = [
        (
            "stream",
            "openai_chat.sse",
            EVENTS,
            "gpt-4.1",
            "openai",
            (2006, 300),
        ),
        (
            "responses",
            "openai_responses.sse",
            EVENTS,
            "o4-mini",
            "openai",
            (328, 52),
        ),
        (
            "anthropic",
            "anthropic.sse",
            EVENTS,
            "claude-sonnet-4-0",
            "anthropic",
            (1209, 393),
        ),
        (
            "gemini",
            "gemini.sse",
            EVENTS,
            "gemini-2.5-flash",
            "gcp.gemini",
            (100, 50),
        ),
        (
            "ollama",
            "ollama_chat.ndjson",
            "application/x-ndjson",
            "llama3.2",
            "ollama",
            (169, 15),
        ),
        (
            "bedrock",
            "bedrock_converse.eventstream",
            "application/vnd.amazon.eventstream",
            "anthropic.claude-3:0",
            "aws.bedrock",
            (1130, 628),
        ),
    ];
    for (api, name, kind, asked, provider, tokens) in cases {
        for size in [1, 17, 1 << 20] {
            let bench = Bench::new();
            let model = Model::answering([Answer::stream(kind, &fixture(name), size)]);
            let answer = run(&bench, async {
                ask(&client(), &model, api)
                    .await
                    .unwrap()
                    .bytes()
                    .await
                    .unwrap()
            });
            assert_eq!(answer, fixture(name), "{api}");
            let span = bench.span(&format!("chat {asked}"));
            assert_eq!(span.status, Status::Ok, "{api}");
            assert_eq!(text(&span, "gen_ai.provider.name"), provider, "{api}");
            let counted =
                ["input", "output"].map(|way| int(&span, &format!("gen_ai.usage.{way}_tokens")));
            assert_eq!(counted, [Some(tokens.0), Some(tokens.1)], "{api}");
            assert_eq!(
                span.attributes["gen_ai.request.stream"],
                json!(true),
                "{api}"
            );
            let first = span.attributes["gen_ai.response.time_to_first_chunk"].as_f64();
            assert!(first.is_some_and(|first| first > 0.0), "{api}");
            assert_eq!(
                int(&span, "hermes.assistant_tool_call_count"),
                Some(1),
                "{api}"
            );
            assert!(!format!("{span:?}").contains("AIza"), "{api}");
        }
    }
}

#[test]
fn the_span_is_open_as_long_as_the_stream() {
    let bench = Bench::new();
    let events = fixture("openai_chat.sse");
    let model = Model::answering([Answer::stream(EVENTS, &events[..900], 900).open()]);
    run(&bench, async {
        let mut answer = ask(&client(), &model, "stream").await.unwrap();
        assert!(answer.chunk().await.unwrap().is_some());
        // A span that is open is shown within a second.
        while bench.runs().is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(bench.span("chat gpt-4.1").status, Status::Running);
        drop(answer);
    });
    model.wait_until_left();
    let span = bench.span("chat gpt-4.1");
    assert_eq!(span.status, Status::Cancelled);
    assert!(
        span.attributes
            .contains_key("gen_ai.response.time_to_first_chunk")
    );
    assert_eq!(text(&span, "gen_ai.response.model"), "gpt-4.1-2025-04-14");
}

#[test]
fn who_stops_reading_at_the_last_event_has_the_whole_answer() {
    let bench = Bench::new();
    let events = fixture("openai_chat.sse");
    let model = Model::answering([Answer::stream(EVENTS, &events, events.len()).open()]);
    run(&bench, async {
        let mut answer = ask(&client(), &model, "stream").await.unwrap();
        let mut read = 0;
        while read < events.len() {
            read += answer.chunk().await.unwrap().unwrap().len();
        }
    });
    assert_eq!(bench.span("chat gpt-4.1").status, Status::Ok);
}

#[test]
fn failures_have_their_class_and_the_client_sees_them_as_they_are() {
    let body = |text: &str| Answer::json(text.as_bytes().to_vec());
    let half = fixture("openai_chat.sse")[..900].to_vec();
    let cases = [
        (body(r#"{"error":{"message":"Rate limit reached","type":"requests","code":"rate_limit_exceeded"}}"#).status(429), "rate_limit"),
        (body(r#"{"error":{"message":"Incorrect API key provided: sk-abcdefghijklmnopqrstuvwx","code":"invalid_api_key"}}"#).status(401), "auth"),
        (body("forbidden").status(403), "auth"),
        (body(r#"{"error":{"message":"too long","code":"context_length_exceeded"}}"#).status(400), "context_overflow"),
        (body("<html>Bad Gateway</html>").status(502), "provider_error"),
        (body("").status(504), "provider_timeout"),
        (body(r#"{"error":{"message":"no such model","type":"invalid_request_error"}}"#).status(404), "provider_error"),
        // A bare message, as AWS, Cohere and proxies send it, or no JSON at all.
        (body(r#"{"message":"Input is too long for requested model."}"#).status(400), "context_overflow"),
        (body(r#"{"detail":"rate limit exceeded, try again later"}"#).status(418), "rate_limit"),
        (body("prompt is too long: 210000 tokens > 200000 maximum").status(400), "context_overflow"),
        // Inside a 200.
        (body(r#"{"error":{"message":"Overloaded","type":"overloaded_error"}}"#), "provider_error"),
        (Answer::stream(EVENTS, &fixture("openai_error.sse"), 40), "provider_error"),
        (Answer::stream(EVENTS, &fixture("openrouter_error.sse"), 40), "rate_limit"),
        // Broken off, and ended too early.
        (Answer::stream(EVENTS, &half, 100).broken(), "network"),
        (Answer::stream(EVENTS, &half, 100), "network"),
    ];
    for (answer, class) in cases {
        let bench = Bench::new();
        let model = Model::answering([answer]);
        run(&bench, async {
            let answer = ask(&client(), &model, "stream").await.unwrap();
            let _ = answer.bytes().await;
        });
        let span = bench.span("chat gpt-4.1");
        assert_eq!(
            (span.status, span.error_type.as_deref()),
            (Status::Error, Some(class)),
            "{span:#?}"
        );
        assert!(!format!("{span:?}").contains("sk-abcdef"));
        let called: String = bench.sql("SELECT error_class FROM tel_model_calls");
        assert_eq!(called, class);
    }
}

#[test]
fn a_compressed_request_is_known_by_its_path() {
    let bench = Bench::new();
    let model = Model::answering([Answer::json(fixture("openrouter_chat.json"))]);
    run(&bench, async {
        let request = client()
            .post(format!("{}/v1/chat/completions", model.url))
            .header("content-type", "application/json")
            .header("content-encoding", "zstd")
            .body(vec![0x28, 0xb5, 0x2f, 0xfd, 0]);
        request.send().await.unwrap().bytes().await.unwrap();
    });
    let span = bench.span("chat");
    assert_eq!(span.status, Status::Ok);
    assert_eq!(int(&span, "gen_ai.usage.input_tokens"), Some(10));
}

#[test]
fn a_cost_that_the_provider_tells_is_the_cost() {
    let bench = Bench::new();
    let body = json!({"model": "m", "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 2, "cost": 0.0125}});
    let model = Model::answering([Answer::json(body.to_string())]);
    run(&bench, async {
        let answer = ask(&client(), &model, "whole").await.unwrap();
        answer.bytes().await.unwrap();
    });
    let span = bench.span("chat gpt-4.1");
    assert_eq!(span.attributes["hermes.cost_usd"], json!(0.0125));
    assert_eq!(text(&span, "hermes.cost_status"), "known");
}

#[test]
fn a_status_counts_though_nobody_reads_the_body() {
    let bench = Bench::new();
    let model = Model::answering([Answer::json("slow down").status(429)]);
    run(&bench, async {
        let answer = ask(&client(), &model, "whole").await.unwrap();
        assert!(answer.error_for_status().unwrap_err().url().is_some());
    });
    assert_eq!(
        bench.span("chat gpt-4.1").error_type.as_deref(),
        Some("rate_limit")
    );
}

#[test]
fn transport_errors_and_timeouts_are_errors() {
    // Nobody listens on a port that was just given back.
    let gone = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let bench = Bench::new();
    run(&bench, async {
        let url = format!("http://user:hunter2@{gone}/v1/chat/completions?key=topsecret");
        let body = question("whole").1.to_string();
        let asked = client()
            .post(url)
            .header("content-type", "application/json")
            .body(body);
        assert!(asked.send().await.is_err());
    });
    let span = bench.span("chat gpt-4.1");
    assert_eq!(span.error_type.as_deref(), Some("network"));
    let kept = format!("{span:?}");
    assert!(
        !kept.contains("hunter2") && !kept.contains("topsecret"),
        "{kept}"
    );

    let bench = Bench::new();
    let model =
        Model::answering([Answer::stream(EVENTS, &fixture("openai_chat.sse")[..900], 900).open()]);
    run(&bench, async {
        let client = reqwest::Client::builder().read_timeout(std::time::Duration::from_millis(50));
        let client = ClientBuilder::new(client.build().unwrap())
            .with(TracedMiddleware::new())
            .build();
        let answer = ask(&client, &model, "stream").await.unwrap();
        assert!(answer.bytes().await.unwrap_err().is_timeout());
    });
    assert_eq!(
        bench.span("chat gpt-4.1").error_type.as_deref(),
        Some("provider_timeout")
    );
}

#[test]
fn a_call_that_is_given_up_is_cancelled() {
    let bench = Bench::new();
    let model = Model::answering([Answer::json("").open()]);
    run(&bench, async {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!(
            "http://{}/v1/chat/completions",
            silent.local_addr().unwrap()
        );
        let client = client();
        let asked = client
            .post(url)
            .body(question("whole").1.to_string())
            .send();
        tokio::select! {
            _ = asked => panic!("nobody answers"),
            () = tokio::task::yield_now() => {}
        }
    });
    drop(model);
    assert_eq!(bench.span("chat gpt-4.1").status, Status::Cancelled);
}

#[test]
fn what_is_no_model_call_passes_untouched() {
    let bench = Bench::new();
    let model = Model::answering([Answer::json(r#"{"ok":true}"#)]);
    run(&bench, async {
        let client = client();
        let other = client
            .post(format!("{}/v1/messages", model.url))
            .body(r#"{"messages":["hi"]}"#);
        other.send().await.unwrap();
        let list = client.get(format!("{}/v1/chat/completions", model.url));
        list.send().await.unwrap();
        let file = client
            .post(format!("{}/v1/chat/completions", model.url))
            .header("content-type", "application/octet-stream")
            .body("x");
        file.send().await.unwrap();
    });
    assert!(bench.runs().is_empty());
    assert!(
        model
            .requests()
            .iter()
            .all(|asked| asked.header("traceparent").is_none())
    );
}

#[test]
fn the_user_names_paths_and_providers() {
    let bench = Bench::new();
    let model = Model::answering([Answer::json(fixture("anthropic.json"))]);
    run(&bench, async {
        let endpoints = Endpoints::new()
            .provider("gateway")
            .path("/llm/ask", Kind::Chat)
            .without_traceparent();
        let client = ClientBuilder::new(reqwest::Client::new())
            .with(TracedMiddleware::for_endpoints(endpoints))
            .build();
        let asked = client
            .post(format!("{}/llm/ask", model.url))
            .body(r#"{"model":"m1"}"#);
        asked.send().await.unwrap().bytes().await.unwrap();
    });
    let span = bench.span("chat m1");
    assert_eq!(text(&span, "gen_ai.provider.name"), "gateway");
    assert_eq!(int(&span, "gen_ai.usage.input_tokens"), Some(1209));
    let asked = model.requests();
    assert_eq!(
        (&*asked[0].path, asked[0].header("traceparent")),
        ("/llm/ask", None)
    );
}

#[test]
fn embeddings_and_rerankings_have_their_own_kinds() {
    let bench = Bench::new();
    let model = Model::answering([
        Answer::json(fixture("openai_embeddings.json")),
        Answer::json(fixture("jina_rerank.json")),
    ]);
    run(&bench, async {
        let client = client();
        for (path, body) in [
            (
                "/v1/embeddings",
                r#"{"model":"text-embedding-3-small","input":"hi"}"#,
            ),
            (
                "/v1/rerank",
                r#"{"model":"jina-reranker-v2","query":"q","documents":["d"]}"#,
            ),
        ] {
            let asked = client.post(format!("{}{path}", model.url)).body(body);
            asked.send().await.unwrap().bytes().await.unwrap();
        }
    });
    let embedding = bench.span("embeddings text-embedding-3-small");
    assert_eq!(
        (&*embedding.kind, embedding.status),
        ("EMBEDDING", Status::Ok)
    );
    assert_eq!(int(&embedding, "gen_ai.usage.input_tokens"), Some(8));
    let rerank = bench.span("rerank jina-reranker-v2");
    assert_eq!((&*rerank.kind, rerank.status), ("RERANKER", Status::Ok));
}

#[test]
fn messages_are_kept_where_content_is_and_redacted() {
    let events = String::from_utf8(fixture("openai_chat.sse")).unwrap();
    let events = events.replace(
        " look.",
        " look: sk-abcdefghijklmnopqrstuvwxyz0123456789abcd",
    );
    for (capture, is_kept) in [(ContentCapture::Off, false), (ContentCapture::Local, true)] {
        let bench = Bench::with(|builder| builder.capture_content(capture));
        let model = Model::answering([Answer::stream(EVENTS, events.as_bytes(), 10)]);
        run(&bench, async {
            ask(&client(), &model, "stream")
                .await
                .unwrap()
                .bytes()
                .await
                .unwrap();
        });
        let span = bench.span("chat gpt-4.1");
        let kept = format!("{span:?}");
        assert_eq!(kept.contains("Weather?"), is_kept, "{kept}");
        assert_eq!(kept.contains("Let me look"), is_kept, "{kept}");
        assert!(!kept.contains("sk-abcdef"), "{kept}");
        if is_kept {
            assert!(
                text(&span, "gen_ai.output.messages").contains("get_weather"),
                "{kept}"
            );
        }
    }
}

#[hermes::chat(model = "gpt-4.1", provider = "azure")]
async fn complete(
    client: ClientWithMiddleware,
    model: &Model,
    tries: usize,
) -> Result<Vec<u8>, String> {
    let mut last = String::new();
    for _ in 0..tries {
        let answer = ask(&client, model, "stream")
            .await
            .map_err(|error| error.to_string())?;
        if answer.status().is_success() {
            return Ok(answer
                .bytes()
                .await
                .map_err(|error| error.to_string())?
                .to_vec());
        }
        last = String::from("the call did not work");
    }
    Err(last)
}

#[test]
fn inside_an_annotated_call_that_span_is_filled() {
    let bench = Bench::new();
    let model = Model::answering([Answer::stream(EVENTS, &fixture("openai_chat.sse"), 64)]);
    run(&bench, complete(client(), &model, 1)).unwrap();
    assert_eq!(bench.picture(), "chat gpt-4.1\n");
    let span = bench.span("chat gpt-4.1");
    assert_eq!(int(&span, "gen_ai.usage.output_tokens"), Some(300));
    // What the attribute states stays.
    assert_eq!(text(&span, "gen_ai.provider.name"), "azure.ai.openai");
    assert!(
        span.attributes
            .contains_key("gen_ai.response.time_to_first_chunk")
    );
    assert!(!span.attributes.contains_key("hermes.retry_count"));
    let calls: i64 = bench.sql("SELECT model_call_count FROM tel_runs");
    assert_eq!(calls, 1);
    let traceparent = format!("00-{}-{}-01", span.trace_id, span.span_id);
    assert_eq!(
        model.requests()[0].header("traceparent"),
        Some(&*traceparent)
    );
}

#[test]
fn retries_inside_an_annotated_call_count_on_it() {
    let bench = Bench::new();
    let busy = Answer::json("busy").status(429);
    let model = Model::answering([
        busy.clone(),
        busy.clone(),
        Answer::stream(EVENTS, &fixture("openai_chat.sse"), 64),
    ]);
    run(&bench, complete(client(), &model, 3)).unwrap();
    assert_eq!(bench.picture(), "chat gpt-4.1\n");
    assert_eq!(
        int(&bench.span("chat gpt-4.1"), "hermes.retry_count"),
        Some(2)
    );

    // The function fails: why, the wire knows better than its error.
    let bench = Bench::new();
    let model = Model::answering([busy]);
    run(&bench, complete(client(), &model, 2)).unwrap_err();
    assert_eq!(bench.picture(), "chat gpt-4.1 [error] ✗ rate_limit\n");
    assert_eq!(
        int(&bench.span("chat gpt-4.1"), "hermes.retry_count"),
        Some(1)
    );
}

#[hermes::session(id = "s")]
async fn session(asked: impl Future<Output = ()>) {
    asked.await;
}

#[test]
fn two_calls_inside_one_annotated_function_are_two() {
    #[hermes::chat(model = "both")]
    async fn both(model: &Model) {
        let client = client();
        let (one, two) = tokio::join!(ask(&client, model, "stream"), ask(&client, model, "stream"));
        one.unwrap().bytes().await.unwrap();
        two.unwrap().bytes().await.unwrap();
        ask(&client, model, "stream")
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap();
    }
    let bench = Bench::new();
    let model = Model::answering([Answer::stream(EVENTS, &fixture("openai_chat.sse"), 64)]);
    run(&bench, both(&model));
    assert_eq!(
        bench.picture(),
        "chat both\n  chat gpt-4.1\n  chat gpt-4.1\n"
    );
}

fn retrying(policy_times: u32, layers: &str) -> ClientWithMiddleware {
    let policy = ExponentialBackoff::builder()
        .retry_bounds(
            std::time::Duration::from_millis(1),
            std::time::Duration::from_millis(2),
        )
        .build_with_max_retries(policy_times);
    let mut builder = ClientBuilder::new(reqwest::Client::new());
    for layer in layers.chars() {
        builder = match layer {
            'h' => builder.with(TracedMiddleware::new()),
            _ => builder.with(RetryTransientMiddleware::new_with_policy(policy)),
        };
    }
    builder.build()
}

#[test]
fn retries_above_beneath_and_around() {
    let busy = Answer::json("busy").status(503);
    let answers = || {
        [
            busy.clone(),
            busy.clone(),
            Answer::json(fixture("openai_chat.json")),
        ]
    };
    let asked = |layers: &'static str| {
        let bench = Bench::new();
        let model = Model::answering(answers());
        run(
            &bench,
            session(async {
                ask(&retrying(3, layers), &model, "whole")
                    .await
                    .unwrap()
                    .bytes()
                    .await
                    .unwrap();
            }),
        );
        assert_eq!(model.requests().len(), 3);
        bench
    };
    // The middleware above the retries: one call. Around them: one that counts.
    let above = asked("hr");
    assert_eq!(above.picture(), "hermes.session\n  chat gpt-4.1\n");
    let around = asked("hrh");
    assert_eq!(around.picture(), "hermes.session\n  chat gpt-4.1\n");
    assert_eq!(
        int(&around.span("chat gpt-4.1"), "hermes.retry_count"),
        Some(2)
    );
    // Beneath: each try is a call.
    let beneath = asked("rh");
    assert_eq!(
        beneath.picture(),
        "hermes.session\n  chat gpt-4.1 [error] ✗ provider_error\n  chat gpt-4.1 [error] ✗ provider_error\n  chat gpt-4.1\n"
    );
    let counts: Vec<_> = beneath
        .all_spans()
        .iter()
        .map(|span| int(span, "hermes.retry_count"))
        .collect();
    assert_eq!(counts, [None, None, Some(1), Some(2)]);
    let recovered: i64 =
        beneath.sql("SELECT count(*) FROM tel_error_events WHERE recovery = 'retried'");
    assert_eq!(recovered, 2);
}

#[test]
fn a_tower_client_over_hyper_is_traced() {
    let bench = Bench::new();
    let model = Model::answering([
        Answer::stream(EVENTS, &fixture("anthropic.sse"), 50),
        Answer::json("busy").status(529),
    ]);
    run(&bench, async {
        let http = TracedLayer::new().layer(Client::builder(TokioExecutor::new()).build_http());
        let (path, body) = question("anthropic");
        for _ in 0..2 {
            let request = http::Request::post(format!("{}{path}", model.url))
                .header("content-type", "application/json")
                .body(Full::new(Bytes::from(body.to_string())))
                .unwrap();
            let answer = http.clone().oneshot(request).await.unwrap();
            answer.into_body().collect().await.unwrap();
        }
        let other = http::Request::get(&model.url)
            .body(Full::new(Bytes::new()))
            .unwrap();
        http.oneshot(other).await.unwrap();
    });
    let spans = bench.all_spans();
    let told: Vec<_> = spans
        .iter()
        .map(|span| {
            (
                span.status,
                int(span, "gen_ai.usage.input_tokens"),
                text(span, "gen_ai.request.model"),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (Status::Ok, Some(1209), "claude-sonnet-4-0"),
            (Status::Error, None, "claude-sonnet-4-0")
        ]
    );
    let asked = &model.requests()[0];
    assert_eq!(asked.json(), question("anthropic").1);
    // The length of a body that was looked at is still known.
    assert!(asked.header("content-length").is_some());
}

#[test]
fn a_request_body_that_is_made_while_it_is_sent_is_not_waited_for() {
    let bench = Bench::new();
    let model = Model::answering([Answer::json(fixture("openai_chat.json"))]);
    run(&bench, async {
        let http = TracedLayer::new().layer(Client::builder(TokioExecutor::new()).build_http());
        let (path, body) = question("whole");
        let (head, tail) = body.to_string().split_at(10).to_owned_pair();
        let (send, receive) = tokio::sync::oneshot::channel();
        let frames = async_stream(head, receive);
        let request = http::Request::post(format!("{}{path}", model.url))
            .body(StreamBody::new(frames))
            .unwrap();
        let answer = tokio::spawn(http.oneshot(request));
        tokio::task::yield_now().await;
        send.send(tail).unwrap();
        answer
            .await
            .unwrap()
            .unwrap()
            .into_body()
            .collect()
            .await
            .unwrap();
        assert_eq!(model.requests()[0].json(), body);
    });
    // The path alone told what it was; who answered, the answer.
    let spans = bench.all_spans();
    assert_eq!(spans.len(), 1);
    assert_eq!(
        text(&spans[0], "gen_ai.response.model"),
        "gpt-4.1-2025-04-14"
    );
    assert_eq!(int(&spans[0], "gen_ai.usage.input_tokens"), Some(2006));
}

trait ToOwnedPair {
    fn to_owned_pair(&self) -> (String, String);
}

impl ToOwnedPair for (&str, &str) {
    fn to_owned_pair(&self) -> (String, String) {
        (self.0.to_owned(), self.1.to_owned())
    }
}

type Frames = std::pin::Pin<
    Box<
        dyn futures_util::Stream<Item = Result<http_body::Frame<Bytes>, std::convert::Infallible>>
            + Send,
    >,
>;

fn async_stream(head: String, tail: tokio::sync::oneshot::Receiver<String>) -> Frames {
    use futures_util::StreamExt;
    let head = futures_util::stream::iter([head]);
    let tail = futures_util::stream::once(async move { tail.await.unwrap() });
    Box::pin(
        head.chain(tail)
            .map(|text| Ok(http_body::Frame::data(Bytes::from(text)))),
    )
}

#[test]
fn reqwests_client_is_a_tower_service() {
    let bench = Bench::new();
    let model = Model::answering([Answer::json(fixture("openai_chat.json"))]);
    run(&bench, async {
        let http = TracedLayer::new().layer(reqwest::Client::new());
        let (path, body) = question("whole");
        let request = reqwest::Client::new()
            .post(format!("{}{path}", model.url))
            .json(&body)
            .build()
            .unwrap();
        let answer = http.oneshot(request).await.unwrap();
        assert_eq!(answer.url().path(), path);
        answer.json::<Value>().await.unwrap();
    });
    assert_eq!(
        int(&bench.span("chat gpt-4.1"), "gen_ai.usage.input_tokens"),
        Some(2006)
    );
}

#[test]
fn without_hermes_the_answer_is_the_same() {
    let model = Model::answering([Answer::stream(EVENTS, &fixture("openai_chat.sse"), 9)]);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let answer = runtime.block_on(async {
        ask(&client(), &model, "stream")
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap()
    });
    assert_eq!(answer, fixture("openai_chat.sse"));
    assert_eq!(model.requests()[0].header("traceparent"), None);
}

fn openai(url: &str) -> async_openai::Client<async_openai::config::OpenAIConfig> {
    use async_openai::error::OpenAIError;
    use async_openai::middleware::{HttpRequestFactory, retry::OpenAIRetryLayer};
    let http = TracedLayer::new().layer(reqwest::Client::new());
    let service = tower::service_fn(move |request: HttpRequestFactory| {
        let http = http.clone();
        async move {
            let request = request.build().await?;
            http.oneshot(request).await.map_err(OpenAIError::Reqwest)
        }
    });
    let service = tower::ServiceBuilder::new()
        .layer(OpenAIRetryLayer::default())
        .service(service);
    let config = async_openai::config::OpenAIConfig::new()
        .with_api_base(format!("{url}/v1"))
        .with_api_key("sk-of-nobody");
    async_openai::Client::with_config(config).with_http_service(service)
}

#[test]
fn async_openai_is_traced_with_its_retries_and_streams() {
    use async_openai::types::chat::CreateChatCompletionRequest;
    use futures_util::StreamExt;
    let request: CreateChatCompletionRequest = serde_json::from_value(
        json!({"model": "gpt-4.1", "messages": [{"role": "user", "content": "Weather?"}]}),
    )
    .unwrap();
    let bench = Bench::new();
    let model = Model::answering([
        Answer::json(r#"{"error":{"message":"slow down","type":"requests","code":"rate_limit_exceeded","param":null}}"#).status(429),
        Answer::json(fixture("openai_chat.json")),
        Answer::stream(EVENTS, &fixture("azure_chat.sse"), 30),
    ]);
    run(
        &bench,
        session(async {
            let client = openai(&model.url);
            client.chat().create(request.clone()).await.unwrap();
            let mut stream = client.chat().create_stream(request).await.unwrap();
            while let Some(chunk) = stream.next().await {
                chunk.unwrap();
            }
        }),
    );
    assert_eq!(
        bench.picture(),
        "hermes.session\n  chat gpt-4.1 [error] ✗ rate_limit\n  chat gpt-4.1\n  chat gpt-4.1\n"
    );
    let told: Vec<_> = bench
        .all_spans()
        .iter()
        .skip(1)
        .map(|span| {
            let streams = span
                .attributes
                .contains_key("gen_ai.response.time_to_first_chunk");
            (
                int(span, "hermes.retry_count"),
                int(span, "gen_ai.usage.input_tokens"),
                streams,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (None, None, false),
            (Some(1), Some(2006), false),
            (None, Some(18), true)
        ]
    );
}
