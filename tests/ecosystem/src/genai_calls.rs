//! genai with its `otel` feature: calls, streams, embeddings and tools, whose spans are never entered.

use std::process::Command;

use futures_util::StreamExt;
use genai::adapter::AdapterKind;
use genai::chat::{
    ChatMessage, ChatOptions, ChatRequest, ChatStream, ChatStreamEvent, Tool, ToolResponse,
};
use genai::resolver::{AuthData, Endpoint, ServiceTargetResolver};
use genai::{Client, ModelIden, ServiceTarget};
use serde_json::{Value, json};
use tracing::Instrument;

use crate::model::{Answer, ModelServer, SECRET};
use crate::picture::Watched;

fn client(base_url: &str) -> Client {
    let endpoint = Endpoint::from_owned(format!("{base_url}/"));
    let resolver = ServiceTargetResolver::from_resolver_fn(
        move |target: ServiceTarget| -> Result<ServiceTarget, genai::resolver::Error> {
            Ok(ServiceTarget {
                endpoint: endpoint.clone(),
                auth: AuthData::from_single("key"),
                model: ModelIden::new(AdapterKind::OpenAI, target.model.model_name),
            })
        },
    );
    let client = Client::builder().with_service_target_resolver(resolver);
    client.build().unwrap()
}

fn question() -> ChatRequest {
    ChatRequest::from_user("What is 2 + 3?").with_system("Be brief.")
}

async fn read(mut stream: ChatStream) -> String {
    let mut text = String::new();
    while let Some(event) = stream.next().await {
        if let ChatStreamEvent::Chunk(chunk) = event.unwrap() {
            text += &chunk.content;
        }
    }
    text
}

#[hermes::session(id = "s-1")]
async fn session(client: Client) {
    turn(client).await;
}

#[hermes::turn]
async fn turn(client: Client) {
    let tool = Tool::new("add").with_schema(json!({ "type": "object" }));
    let request = question().with_tools(vec![tool]);
    let response = client
        .exec_chat("gpt-4o", request.clone(), None)
        .await
        .unwrap();
    let calls = response.into_tool_calls();
    let span = genai::otel::agent::execute_tool_span(&calls[0]);
    let sum = add(&calls[0].fn_arguments).instrument(span).await;
    let answer = ToolResponse::new(calls[0].call_id.clone(), sum);
    let request = request.append_message(calls).append_message(answer);
    client.exec_chat("gpt-4o", request, None).await.unwrap();
}

#[hermes::instrument]
async fn add(args: &Value) -> String {
    (args["a"].as_i64().unwrap() + args["b"].as_i64().unwrap()).to_string()
}

#[test]
fn calls_and_tools_stand_under_the_turn_that_made_them() {
    let (server, watched) = (ModelServer::with_tool(), Watched::new());
    watched.run(session(client(&server.base_url())));
    insta::assert_snapshot!(watched.picture(), @r"
    run: 2 model calls, 1 tool calls, 0 errors, 240 in, 68 out
    hermes.session · AGENT INTERNAL
      hermes.turn · CHAIN INTERNAL
        chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12 · finish tool_calls
        hermes.tool.add · TOOL INTERNAL · tool add · id call_1 · result ok
          add · CHAIN INTERNAL
        chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12 · finish stop
    ");
}

#[test]
fn a_tool_that_is_said_to_have_failed_is_an_error() {
    let watched = Watched::new();
    watched.run(async {
        let span = genai::otel::agent::ExecuteToolSpan::new("add")
            .with_call_id("call_9")
            .start();
        genai::otel::agent::set_error(&span, "timeout");
    });
    insta::assert_snapshot!(watched.picture(), @r"
    run: 0 model calls, 1 tool calls, 1 errors, 0 in, 0 out
    hermes.tool.add · TOOL INTERNAL · tool add · id call_9 · result timeout · ✗ timeout [error]
    ");
}

#[test]
fn a_stream_asked_for_its_usage_has_it_and_the_time_to_its_first_chunk() {
    let server = ModelServer::answering(&[Answer::Text]);
    let watched = Watched::new();
    let text = watched.run(async {
        let options = ChatOptions::default()
            .with_capture_usage(true)
            .with_temperature(0.5);
        let client = client(&server.base_url());
        let response = client
            .exec_chat_stream("gpt-4o", question(), Some(&options))
            .await;
        read(response.unwrap().stream).await
    });
    assert_eq!(text, "The answer is 5.");
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 0 errors, 120 in, 34 out
    chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · in 120 · cached 64 · out 34 · reasoned 12 · finish stop
    ");
    let store = watched.bench.telemetry.store().unwrap();
    let run = watched.bench.runs()[0].run_id;
    let call = &store.model_calls(run).unwrap()[0];
    assert!(
        call.ttft_ms.unwrap() <= call.latency_ms.unwrap(),
        "{call:?}"
    );
}

#[test]
fn a_stream_not_asked_for_its_usage_has_none_and_is_complete() {
    let server = ModelServer::answering(&[Answer::Text]);
    let watched = Watched::new();
    watched.run(async {
        let client = client(&server.base_url());
        let response = client.exec_chat_stream("gpt-4o", question(), None).await;
        read(response.unwrap().stream).await
    });
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 0 errors, 0 in, 0 out
    chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · finish stop
    ");
}

#[test]
fn a_stream_that_is_dropped_early_is_no_success() {
    let server = ModelServer::answering(&[Answer::Stall]);
    let watched = Watched::new();
    watched.run(async {
        let client = client(&server.base_url());
        let response = client.exec_chat_stream("gpt-4o", question(), None).await;
        let mut stream = response.unwrap().stream;
        while let Some(event) = stream.next().await {
            if matches!(event.unwrap(), ChatStreamEvent::Chunk(_)) {
                break;
            }
        }
    });
    server.wait_until_left();
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 1 errors, 0 in, 0 out
    chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · ✗ cancelled [cancelled]
    ");
}

#[test]
fn a_stream_that_the_server_cuts_is_no_success_although_genai_says_so() {
    let server = ModelServer::answering(&[Answer::Cut]);
    let watched = Watched::new();
    watched.run(async {
        let client = client(&server.base_url());
        let response = client.exec_chat_stream("gpt-4o", question(), None).await;
        let mut stream = response.unwrap().stream;
        while let Some(Ok(_)) = stream.next().await {}
    });
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 1 errors, 0 in, 0 out
    chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · ✗ web_stream [error]
    ");
}

#[test]
fn failures_are_errors_of_their_class() {
    let watched = Watched::new();
    let chat = async |base_url: &str| {
        let client = client(base_url);
        client
            .exec_chat("gpt-4o", question(), None)
            .await
            .unwrap_err();
    };
    let stream = async |base_url: &str| {
        let client = client(base_url);
        let response = client.exec_chat_stream("gpt-4o", question(), None).await;
        let mut stream = response.unwrap().stream;
        while let Some(Ok(_)) = stream.next().await {}
    };
    let limited = ModelServer::answering(&[Answer::Status(429)]);
    let broken = ModelServer::answering(&[Answer::Status(500)]);
    watched.run(async {
        chat(&limited.base_url()).await;
        chat(&broken.base_url()).await;
        // Nobody listens on the port of discarded packets.
        chat("http://127.0.0.1:9/v1").await;
        stream(&limited.base_url()).await;
        let embedding = client(&broken.base_url());
        embedding
            .embed("text-embedding-3-small", "one", None)
            .await
            .unwrap_err();
    });
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 1 errors, 0 in, 0 out
    run: 1 model calls, 0 tool calls, 1 errors, 0 in, 0 out
    run: 1 model calls, 0 tool calls, 1 errors, 0 in, 0 out
    run: 1 model calls, 0 tool calls, 1 errors, 0 in, 0 out
    run: 0 model calls, 0 tool calls, 0 errors, 0 in, 0 out
    chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · ✗ 429 [error]
    chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · ✗ 500 [error]
    chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · ✗ connect [error]
    chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · ✗ web_stream [error]
    embeddings text-embedding-3-small · EMBEDDING CLIENT · openai · asked text-embedding-3-small · ✗ 500 [error]
    ");
    assert!(!watched.all_text().contains(SECRET));
}

#[test]
fn an_answer_of_another_shape_is_a_call_without_usage() {
    let server = ModelServer::answering(&[Answer::Garbage]);
    let watched = Watched::new();
    watched
        .run(async {
            let client = client(&server.base_url());
            client.exec_chat("gpt-4o", question(), None).await
        })
        .ok();
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 0 errors, 0 in, 0 out
    chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o
    ");
    assert!(!watched.all_text().contains(SECRET));
}

#[test]
fn embeddings_are_one_span_for_a_batch() {
    let server = ModelServer::answering(&[Answer::Text]);
    let watched = Watched::new();
    let inputs = vec!["one".to_owned(), "two".to_owned()];
    watched
        .run(async {
            let client = client(&server.base_url());
            client
                .embed_batch("text-embedding-3-small", inputs, None)
                .await
        })
        .unwrap();
    insta::assert_snapshot!(watched.picture(), @r"
    run: 0 model calls, 0 tool calls, 0 errors, 0 in, 0 out
    embeddings text-embedding-3-small · EMBEDDING CLIENT · openai · asked text-embedding-3-small · answered text-embedding-3-small · in 9
    ");
}

/// genai reads once per process whether it may record content.
const SWITCH: &str = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";

#[test]
fn content_that_genai_records_is_kept_only_where_ours_is() {
    let name = "genai_calls::content_that_genai_records_is_kept_only_where_ours_is";
    if std::env::var_os(SWITCH).is_none() {
        let again = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(SWITCH, "true")
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&again.stdout);
        assert!(again.status.success(), "{printed}");
        assert!(printed.contains("1 passed"), "{printed}");
        return;
    }
    let run = |content| {
        let server = ModelServer::with_tool();
        let watched = Watched::with(|builder| builder.capture_content(content));
        watched.run(session(client(&server.base_url())));
        watched
    };
    let off = run(hermes::ContentCapture::Off).all_text();
    for text in ["What is 2", "Be brief", "The answer is", "\\\"a\\\""] {
        assert!(!off.contains(text), "{text} was kept");
    }
    let on = run(hermes::ContentCapture::On);
    let chat = on.bench.all_spans();
    let chat = chat.iter().rfind(|span| span.kind == "LLM").unwrap();
    for key in [
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
    ] {
        assert!(chat.attributes.contains_key(key), "{key}: {chat:#?}");
    }
    assert_eq!(
        chat.attributes["gen_ai.response.model"],
        "gpt-4o-2024-08-06"
    );
}

#[hermes::chat(model = "gpt-4o", provider = "openai")]
async fn complete(client: Client) -> genai::Result<String> {
    let request = question().append_message(ChatMessage::user("Now."));
    let response = client.exec_chat("gpt-4o", request, None).await?;
    Ok(response.first_text().unwrap_or_default().to_owned())
}

#[test]
fn inside_our_chat_a_call_is_counted_once() {
    let server = ModelServer::answering(&[Answer::Text]);
    let watched = Watched::new();
    watched.run(complete(client(&server.base_url()))).unwrap();
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 0 errors, 120 in, 34 out
    chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12 · finish stop
    ");
}
