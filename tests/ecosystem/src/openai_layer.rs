//! async-openai over our Tower layer, which makes the spans that the library does not.

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use async_openai::middleware::retry::SimpleRetryPolicy;
use async_openai::types::chat::{
    ChatCompletionStreamOptions, CreateChatCompletionRequest, CreateChatCompletionResponse,
};
use async_openai::types::embeddings::CreateEmbeddingRequestArgs;
use futures_util::StreamExt;
use hermes::client::TracedLayer;
use tower::{ServiceBuilder, ServiceExt};

use crate::model::{Answer, ModelServer, SECRET};
use crate::openai_calls::question;
use crate::picture::Watched;

fn client(base_url: &str, retries: usize) -> Client<OpenAIConfig> {
    let http = ServiceBuilder::new()
        .layer(TracedLayer::new())
        .service(reqwest::Client::new());
    let service = ServiceBuilder::new()
        .retry(SimpleRetryPolicy::new(retries))
        .service_fn(move |factory: HttpRequestFactory| {
            let http = http.clone();
            async move {
                let request = factory.build().await?;
                http.oneshot(request).await.map_err(OpenAIError::Reqwest)
            }
        });
    let config = OpenAIConfig::new().with_api_base(base_url);
    Client::with_config(config.with_api_key("key")).with_http_service(service)
}

#[hermes::session(id = "s-1")]
async fn session(client: Client<OpenAIConfig>) -> Result<(), OpenAIError> {
    turn(client).await
}

#[hermes::turn]
async fn turn(client: Client<OpenAIConfig>) -> Result<(), OpenAIError> {
    client.chat().create(question()).await.map(drop)
}

#[test]
fn a_call_is_a_chat_and_the_server_is_told_of_it() {
    let server = ModelServer::answering(&[Answer::Text]);
    let watched = Watched::new();
    watched.run(session(client(&server.base_url(), 0))).unwrap();
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 0 errors, 120 in, 34 out
    hermes.session · AGENT INTERNAL
      hermes.turn · CHAIN INTERNAL
        chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12 · finish stop
    ");
    let chat = watched.bench.span("chat gpt-4o");
    let told = format!("00-{}-{}-01", chat.trace_id, chat.span_id);
    assert_eq!(server.requests()[0].headers["traceparent"], told);
}

fn streamed(includes_usage: bool) -> CreateChatCompletionRequest {
    CreateChatCompletionRequest {
        stream_options: Some(ChatCompletionStreamOptions {
            include_usage: Some(includes_usage),
            include_obfuscation: None,
        }),
        ..question()
    }
}

/// Reads a stream to its end, or to its first words.
async fn read(client: Client<OpenAIConfig>, is_whole: bool) -> Result<String, OpenAIError> {
    let mut stream = client.chat().create_stream(streamed(true)).await?;
    let mut text = String::new();
    while let Some(chunk) = stream.next().await {
        for choice in chunk?.choices {
            text += &choice.delta.content.unwrap_or_default();
        }
        if !is_whole && !text.is_empty() {
            break;
        }
    }
    Ok(text)
}

#[test]
fn a_stream_has_its_usage_and_the_time_to_its_first_chunk() {
    let server = ModelServer::answering(&[Answer::Text]);
    let watched = Watched::new();
    let text = watched.run(read(client(&server.base_url(), 0), true));
    assert_eq!(text.unwrap(), "The answer is 5.");
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 0 errors, 120 in, 34 out
    chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12 · finish stop
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
fn a_stream_that_is_dropped_early_is_cancelled() {
    let server = ModelServer::answering(&[Answer::Stall]);
    let watched = Watched::new();
    let text = watched.run(read(client(&server.base_url(), 0), false));
    assert_eq!(text.unwrap(), "The answer ");
    server.wait_until_left();
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 1 errors, 0 in, 0 out
    chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · ✗ cancelled [cancelled]
    ");
}

#[test]
fn a_stream_that_the_server_cuts_is_an_error() {
    let server = ModelServer::answering(&[Answer::Cut]);
    let watched = Watched::new();
    watched
        .run(read(client(&server.base_url(), 0), true))
        .unwrap_err();
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 1 errors, 0 in, 0 out
    chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · ✗ network [error]
    ");
}

#[test]
fn a_call_that_is_given_up_is_cancelled() {
    let server = ModelServer::answering(&[Answer::Hang]);
    let watched = Watched::new();
    watched.run(async {
        let call = tokio::spawn(turn(client(&server.base_url(), 0)));
        server.asked(1).await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
    });
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 1 errors, 0 in, 0 out
    hermes.turn · CHAIN INTERNAL · ✗ cancelled [cancelled]
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · ✗ cancelled [cancelled]
    ");
}

#[test]
fn embeddings_are_one_span_for_a_batch() {
    let server = ModelServer::answering(&[Answer::Text]);
    let watched = Watched::new();
    let client = client(&server.base_url(), 0);
    let request = CreateEmbeddingRequestArgs::default()
        .model("text-embedding-3-small")
        .input(["one", "two"])
        .build();
    watched
        .run(async { client.embeddings().create(request.unwrap()).await })
        .unwrap();
    insta::assert_snapshot!(watched.picture(), @r"
    run: 0 model calls, 0 tool calls, 0 errors, 0 in, 0 out
    embeddings text-embedding-3-small · EMBEDDING CLIENT · openai · asked text-embedding-3-small · answered text-embedding-3-small · in 9
    ");
}

#[test]
fn failures_are_errors_of_their_class() {
    let watched = Watched::new();
    let answering = |answer| ModelServer::answering(&[answer]);
    let (limited, broken) = (
        answering(Answer::Status(429)),
        answering(Answer::Status(500)),
    );
    let refused = answering(Answer::Status(401));
    watched.run(async {
        for base_url in [limited.base_url(), broken.base_url(), refused.base_url()] {
            turn(client(&base_url, 0)).await.unwrap_err();
        }
        // Nobody listens on the port of discarded packets.
        turn(client("http://127.0.0.1:9/v1", 0)).await.unwrap_err();
    });
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 1 errors, 0 in, 0 out
    run: 1 model calls, 0 tool calls, 1 errors, 0 in, 0 out
    run: 1 model calls, 0 tool calls, 1 errors, 0 in, 0 out
    run: 1 model calls, 0 tool calls, 1 errors, 0 in, 0 out
    hermes.turn · CHAIN INTERNAL · ✗ rate_limit [error]
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · ✗ rate_limit [error]
    hermes.turn · CHAIN INTERNAL · ✗ provider_error [error]
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · ✗ provider_error [error]
    hermes.turn · CHAIN INTERNAL · ✗ auth [error]
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · ✗ auth [error]
    hermes.turn · CHAIN INTERNAL · ✗ network [error]
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · ✗ network [error]
    ");
    assert!(!watched.all_text().contains(SECRET));
}

#[test]
fn a_body_that_the_client_cannot_read_leaves_a_call_without_usage() {
    let server = ModelServer::answering(&[Answer::Garbage]);
    let watched = Watched::new();
    watched
        .run(turn(client(&server.base_url(), 0)))
        .unwrap_err();
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 0 errors, 0 in, 0 out
    hermes.turn · CHAIN INTERNAL · ✗ async_openai::error::OpenAIError [error]
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o
    ");
    assert!(!watched.all_text().contains(SECRET));
}

#[test]
fn each_try_beneath_a_retry_is_a_span_that_says_how_many_went_before() {
    let server = ModelServer::answering(&[Answer::Status(429), Answer::Status(500), Answer::Text]);
    let watched = Watched::new();
    watched.run(session(client(&server.base_url(), 2))).unwrap();
    insta::assert_snapshot!(watched.picture(), @r"
    run: 3 model calls, 0 tool calls, 2 errors, 120 in, 34 out
    hermes.session · AGENT INTERNAL
      hermes.turn · CHAIN INTERNAL
        chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · ✗ rate_limit [error]
        chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · retries 1 · ✗ provider_error [error]
        chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12 · finish stop · retries 2
    ");
}

#[hermes::chat(model = "gpt-4o", provider = "openai")]
async fn complete(
    client: Client<OpenAIConfig>,
) -> Result<CreateChatCompletionResponse, OpenAIError> {
    client.chat().create(question()).await
}

#[test]
fn inside_our_chat_the_layer_fills_our_span_and_counts_the_tries() {
    let server = ModelServer::answering(&[Answer::Status(429), Answer::Status(500), Answer::Text]);
    let watched = Watched::new();
    watched
        .run(complete(client(&server.base_url(), 2)))
        .unwrap();
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 0 errors, 120 in, 34 out
    chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12 · finish stop · retries 2
    ");
}
