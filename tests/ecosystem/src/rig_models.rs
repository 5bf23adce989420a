//! rig's models called without an agent, alone and inside our own chat span, which rig then fills.

use futures_util::StreamExt;
use hermes::client::TracedMiddleware;
use rig::completion::{CompletionRequest, CompletionResponse};
use rig::http_client::ReqwestClient;
use rig::prelude::ProviderError;
use rig::providers::openai::{OpenAI, OpenAIConfig};
use rig::rig_reqwest::ReqwestMiddlewareClient;

use crate::model::{Answer, ModelServer, SECRET};
use crate::picture::Watched;

fn client(server: &ModelServer) -> OpenAI {
    OpenAIConfig::new("key")
        .with_base_url(server.base_url())
        .connect(ReqwestClient::from(reqwest::Client::new()))
}

#[test]
fn a_call_is_a_chat() {
    let server = ModelServer::answering(&[Answer::Text]);
    let watched = Watched::new();
    let model = client(&server).chat("gpt-4o");
    watched
        .run(model.call(CompletionRequest::new("2 + 3?")))
        .unwrap();
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 0 errors, 120 in, 34 out
    chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12
    ");
}

#[test]
fn a_stream_that_is_finished_has_its_usage() {
    let server = ModelServer::answering(&[Answer::Text]);
    let watched = Watched::new();
    watched.run(async {
        let model = client(&server).chat("gpt-4o");
        let mut stream = model.stream(CompletionRequest::new("2 + 3?")).unwrap();
        stream.next().await.unwrap().unwrap();
        stream.finish().await.unwrap();
    });
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 0 errors, 120 in, 34 out
    chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12
    ");
}

#[test]
fn a_stream_that_is_read_to_its_end_but_not_finished_has_no_usage() {
    let server = ModelServer::answering(&[Answer::Text]);
    let watched = Watched::new();
    watched.run(async {
        let model = client(&server).chat("gpt-4o");
        let mut stream = model.stream(CompletionRequest::new("2 + 3?")).unwrap();
        while let Some(item) = stream.next().await {
            item.unwrap();
        }
    });
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 0 errors, 0 in, 0 out
    chat gpt-4o · LLM CLIENT · openai · asked gpt-4o
    ");
}

#[test]
fn embeddings_are_one_span_for_a_batch() {
    let server = ModelServer::answering(&[Answer::Text]);
    let watched = Watched::new();
    let model = client(&server).embedding("text-embedding-3-small", None);
    let inputs = vec!["one".to_owned(), "two".to_owned()];
    watched.run(model.call(inputs)).unwrap();
    insta::assert_snapshot!(watched.picture(), @r"
    run: 0 model calls, 0 tool calls, 0 errors, 0 in, 0 out
    embeddings text-embedding-3-small · EMBEDDING CLIENT · openai · asked text-embedding-3-small · answered text-embedding-3-small · in 9
    ");
}

/// What rig says of a failure is that nothing came back: which failure it was, it does not tell.
fn a_failed_call(answer: Answer) -> Watched {
    let server = ModelServer::answering(&[answer]);
    let watched = Watched::new();
    let model = client(&server).chat("gpt-4o");
    watched
        .run(model.call(CompletionRequest::new("2 + 3?")))
        .unwrap_err();
    assert!(!watched.all_text().contains(SECRET));
    watched
}

#[test]
fn a_call_that_fails_is_no_success() {
    let picture = a_failed_call(Answer::Status(500)).picture();
    insta::assert_snapshot!(picture, @r"
    run: 1 model calls, 0 tool calls, 1 errors, 0 in, 0 out
    chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · ✗ _OTHER [error]
    ");
    for answer in [Answer::Status(429), Answer::Garbage, Answer::Cut] {
        assert_eq!(a_failed_call(answer).picture(), picture, "{answer:?}");
    }
}

#[test]
fn a_call_that_is_given_up_is_no_success() {
    let server = ModelServer::answering(&[Answer::Hang]);
    let watched = Watched::new();
    watched.run(async {
        let model = client(&server).chat("gpt-4o");
        let call = tokio::spawn(model.call(CompletionRequest::new("2 + 3?")));
        server.asked(1).await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
    });
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 1 errors, 0 in, 0 out
    chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · ✗ _OTHER [error]
    ");
}

#[hermes::turn]
async fn turn(client: OpenAI) -> Result<String, ProviderError> {
    complete(&client).await.map(|response| response.text())
}

#[hermes::chat(model = "gpt-4o", provider = "openai")]
async fn complete(client: &OpenAI) -> Result<CompletionResponse, ProviderError> {
    client
        .chat("gpt-4o")
        .call(CompletionRequest::new("2 + 3?"))
        .await
}

#[test]
fn inside_our_chat_rig_fills_our_span_and_adds_none() {
    let server = ModelServer::answering(&[Answer::Text]);
    let watched = Watched::new();
    watched.run(turn(client(&server))).unwrap();
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 0 errors, 120 in, 34 out
    hermes.turn · CHAIN INTERNAL
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12
    ");
    let names: Vec<_> = watched
        .collector
        .spans()
        .iter()
        .map(|span| span.name.clone())
        .collect();
    assert_eq!(
        names,
        ["chat gpt-4o", "hermes.turn"],
        "rig adds none at the collector either"
    );
}

#[test]
fn inside_our_chat_a_failure_is_the_one_that_the_function_returns() {
    let server = ModelServer::answering(&[Answer::Status(429)]);
    let watched = Watched::new();
    watched.run(turn(client(&server))).unwrap_err();
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 1 errors, 0 in, 0 out
    hermes.turn · CHAIN INTERNAL · ✗ rate_limit [error]
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · ✗ rate_limit [error]
    ");
}

#[hermes::chat]
async fn complete_stream(client: &OpenAI) -> Result<CompletionResponse, ProviderError> {
    let model = client.chat("gpt-4o");
    let stream = model.stream(CompletionRequest::new("2 + 3?"))?;
    stream.finish().await
}

#[test]
fn inside_our_chat_a_stream_fills_our_span_too() {
    let server = ModelServer::answering(&[Answer::Text]);
    let watched = Watched::new();
    watched.run(complete_stream(&client(&server))).unwrap();
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 0 errors, 120 in, 34 out
    chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12
    ");
}

#[hermes::chat(model = "gpt-4o", provider = "openai")]
async fn complete_with_retrieval(client: &OpenAI) -> Result<CompletionResponse, ProviderError> {
    let embedding = client.embedding("text-embedding-3-small", None);
    embedding.call(vec!["2 + 3?".to_owned()]).await?;
    complete_plainly(client).await
}

#[hermes::instrument]
async fn complete_plainly(client: &OpenAI) -> Result<CompletionResponse, ProviderError> {
    let model = client.chat("gpt-4o");
    model.call(CompletionRequest::new("2 + 3?")).await
}

#[test]
fn inside_our_chat_an_embedding_is_a_child_and_a_call_below_a_step_is_counted_once() {
    let server = ModelServer::answering(&[Answer::Text]);
    let watched = Watched::new();
    watched
        .run(complete_with_retrieval(&client(&server)))
        .unwrap();
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 0 errors, 120 in, 34 out
    chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12
      embeddings text-embedding-3-small · EMBEDDING CLIENT · openai · asked text-embedding-3-small · answered text-embedding-3-small · in 9
      complete_plainly · CHAIN INTERNAL
    ");
}

#[test]
fn over_our_middleware_rigs_span_is_still_the_only_one_and_the_server_is_told_of_it() {
    let server = ModelServer::answering(&[Answer::Text]);
    let watched = Watched::new();
    let http = reqwest_middleware::ClientBuilder::new(reqwest::Client::new())
        .with(TracedMiddleware::new())
        .build();
    let client = OpenAIConfig::new("key")
        .with_base_url(server.base_url())
        .connect(ReqwestMiddlewareClient::from(http));
    let model = client.chat("gpt-4o");
    watched
        .run(model.call(CompletionRequest::new("2 + 3?")))
        .unwrap();
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 0 errors, 120 in, 34 out
    chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12 · finish stop
    ");
    let chat = watched.bench.span("chat gpt-4o");
    let told = format!("00-{}-{}-01", chat.trace_id, chat.span_id);
    assert_eq!(server.requests()[0].headers["traceparent"], told);
}
