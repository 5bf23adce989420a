//! async-openai, which has no spans of its own, inside our chat span.

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::types::chat::{
    ChatCompletionRequestUserMessageArgs, CreateChatCompletionRequest,
    CreateChatCompletionRequestArgs,
};
use serde_json::Value;

use crate::model::{Answer, ModelServer, SECRET};
use crate::picture::Watched;

fn client(server: &ModelServer) -> Client<OpenAIConfig> {
    let config = OpenAIConfig::new();
    Client::with_config(config.with_api_base(server.base_url()).with_api_key("key"))
}

/// What every call asks.
pub(crate) fn question() -> CreateChatCompletionRequest {
    let message = ChatCompletionRequestUserMessageArgs::default()
        .content("What is 2 + 3?")
        .build();
    CreateChatCompletionRequestArgs::default()
        .model("gpt-4o")
        .messages([message.unwrap().into()])
        .build()
        .unwrap()
}

#[hermes::session(id = "s-1")]
async fn session(client: Client<OpenAIConfig>) {
    turn(client).await;
}

#[hermes::turn]
async fn turn(client: Client<OpenAIConfig>) -> Option<String> {
    let answer = complete(&client, &question()).await.ok()?;
    Some(answer["choices"][0]["message"]["content"].to_string())
}

#[hermes::chat(model = request.model, provider = "openai", request = request, response)]
async fn complete(
    client: &Client<OpenAIConfig>,
    request: &CreateChatCompletionRequest,
) -> Result<Value, OpenAIError> {
    let response = client.chat().create(request.clone()).await?;
    serde_json::to_value(response)
        .map_err(|error| OpenAIError::JSONDeserialize(error, String::new()))
}

#[test]
fn a_call_in_our_chat_has_what_its_request_and_its_answer_say() {
    let server = ModelServer::answering(&[Answer::Text]);
    let watched = Watched::new();
    watched.run(session(client(&server)));
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 0 errors, 120 in, 34 out
    hermes.session · AGENT INTERNAL
      hermes.turn · CHAIN INTERNAL
        chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12 · finish stop
    ");
}

#[test]
fn what_the_client_prints_of_a_body_it_cannot_read_is_redacted() {
    let server = ModelServer::answering(&[Answer::Garbage]);
    let watched = Watched::new();
    watched.run(session(client(&server)));
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 1 errors, 0 in, 0 out
    hermes.session · AGENT INTERNAL
      hermes.turn · CHAIN INTERNAL
        chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · ✗ async_openai::error::OpenAIError [error]
    ");
    assert!(!watched.all_text().contains(SECRET));
}
