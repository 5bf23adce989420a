//! swiftide's agents, whose spans have almost no fields: the data is in events, by its feature `langfuse`.

use std::borrow::Cow;

use async_trait::async_trait;
use serde_json::Value;
use swiftide_agents::Agent;
use swiftide_core::AgentContext;
use swiftide_core::chat_completion::errors::ToolError;
use swiftide_core::chat_completion::{Tool, ToolCall, ToolOutput, ToolSpec};
use swiftide_integrations::openai::{OpenAI, OpenAIConfig};

use crate::model::{Answer, ModelServer, SECRET};
use crate::picture::Watched;

#[derive(Clone)]
struct Add {
    fails: bool,
}

#[async_trait]
impl Tool for Add {
    async fn invoke(&self, _: &dyn AgentContext, call: &ToolCall) -> Result<ToolOutput, ToolError> {
        if self.fails {
            return Err(ToolError::missing_arguments(SECRET));
        }
        let args: Value = serde_json::from_str(call.args().unwrap())?;
        Ok(ToolOutput::text(look_up(&args)))
    }

    fn name(&self) -> Cow<'_, str> {
        "add".into()
    }

    fn tool_spec(&self) -> ToolSpec {
        let spec = ToolSpec::builder().name("add").description("Adds.").build();
        spec.unwrap()
    }
}

#[hermes::instrument]
fn look_up(args: &Value) -> String {
    (args["a"].as_i64().unwrap() + args["b"].as_i64().unwrap()).to_string()
}

fn model(server: &ModelServer) -> OpenAI {
    let config = OpenAIConfig::new().with_api_base(server.base_url());
    let client = async_openai::Client::with_config(config.with_api_key("key"));
    let model = OpenAI::builder()
        .client(client)
        .default_prompt_model("gpt-4o")
        .default_embed_model("text-embedding-3-small")
        .build();
    model.unwrap()
}

fn agent(server: &ModelServer, is_streaming: bool, tool: Add) -> Agent {
    let agent = Agent::builder()
        .llm(&model(server))
        .add_tool(tool)
        .no_system_prompt()
        .streaming(is_streaming)
        .name("scout")
        .build();
    agent.unwrap()
}

#[test]
fn a_query_alone_is_a_run_of_its_own() {
    let (server, watched) = (ModelServer::with_tool(), Watched::new());
    let mut agent = agent(&server, false, Add { fails: false });
    watched.run(agent.query("2 + 3?")).unwrap();
    insta::assert_snapshot!(watched.picture(), @r"
    run: 2 model calls, 1 tool calls, 0 errors, 240 in, 68 out
    invoke_agent · AGENT INTERNAL
      step-0 · CHAIN INTERNAL
        chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · in 120 · out 34
        hermes.tool.add · TOOL INTERNAL · tool add · result ok
          look_up · CHAIN INTERNAL
      step-1 · CHAIN INTERNAL
        chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · in 120 · out 34
    ");
}

#[hermes::session(id = "s-1")]
async fn session(agent: &mut Agent) {
    turn(agent).await;
}

#[hermes::turn]
async fn turn(agent: &mut Agent) {
    agent.query("2 + 3?").await.unwrap();
}

#[test]
fn a_query_inside_a_turn_of_ours_hangs_under_it() {
    let (server, watched) = (ModelServer::with_tool(), Watched::new());
    watched.run(session(&mut agent(&server, false, Add { fails: false })));
    insta::assert_snapshot!(watched.picture(), @r"
    run: 2 model calls, 1 tool calls, 0 errors, 240 in, 68 out
    hermes.session · AGENT INTERNAL
      hermes.turn · CHAIN INTERNAL
        invoke_agent · AGENT INTERNAL
          step-0 · CHAIN INTERNAL
            chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · in 120 · out 34
            hermes.tool.add · TOOL INTERNAL · tool add · result ok
              look_up · CHAIN INTERNAL
          step-1 · CHAIN INTERNAL
            chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · in 120 · out 34
    ");
}

#[test]
fn a_streamed_call_is_counted_once() {
    let (server, watched) = (ModelServer::with_tool(), Watched::new());
    watched.run(session(&mut agent(&server, true, Add { fails: false })));
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.body["stream"] == true)
    );
    insta::assert_snapshot!(watched.picture(), @r"
    run: 2 model calls, 1 tool calls, 0 errors, 240 in, 68 out
    hermes.session · AGENT INTERNAL
      hermes.turn · CHAIN INTERNAL
        invoke_agent · AGENT INTERNAL
          step-0 · CHAIN INTERNAL
            chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · in 120 · out 34
            hermes.tool.add · TOOL INTERNAL · tool add · result ok
              look_up · CHAIN INTERNAL
          step-1 · CHAIN INTERNAL
            chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · in 120 · out 34
    ");
}

/// The tool's span bears no mark of its failure: the step tells of it once the tool is over.
#[test]
fn a_tool_that_fails_leaves_the_run_going() {
    let (server, watched) = (ModelServer::with_tool(), Watched::new());
    watched.run(session(&mut agent(&server, false, Add { fails: true })));
    insta::assert_snapshot!(watched.picture(), @r"
    run: 2 model calls, 1 tool calls, 0 errors, 240 in, 68 out
    hermes.session · AGENT INTERNAL
      hermes.turn · CHAIN INTERNAL
        invoke_agent · AGENT INTERNAL
          step-0 · CHAIN INTERNAL
            chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · in 120 · out 34
            hermes.tool.add · TOOL INTERNAL · tool add · result ok
          step-1 · CHAIN INTERNAL
            chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · in 120 · out 34
    ");
    assert!(!watched.all_text().contains(SECRET));
}

#[test]
fn a_failed_call_is_one_error_however_often_it_is_reported() {
    let server = ModelServer::answering(&[Answer::Status(400)]);
    let watched = Watched::new();
    let mut agent = agent(&server, false, Add { fails: false });
    watched.run(agent.query("2 + 3?")).unwrap_err();
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 1 errors, 0 in, 0 out
    invoke_agent · AGENT INTERNAL · ✗ _OTHER [error]
      step-0 · CHAIN INTERNAL · ✗ _OTHER [error]
        chat · LLM CLIENT · openai · ✗ _OTHER [error]
    ");
    assert!(!watched.all_text().contains(SECRET));
}

#[test]
fn a_stream_that_cannot_start_is_no_success() {
    let server = ModelServer::answering(&[Answer::Status(400)]);
    let watched = Watched::new();
    let mut agent = agent(&server, true, Add { fails: false });
    watched.run(agent.query("2 + 3?")).unwrap_err();
    insta::assert_snapshot!(watched.picture(), @r"
    run: 1 model calls, 0 tool calls, 1 errors, 0 in, 0 out
    invoke_agent · AGENT INTERNAL · ✗ _OTHER [error]
      step-0 · CHAIN INTERNAL · ✗ _OTHER [error]
        chat · LLM CLIENT · openai · ✗ _OTHER [error]
    ");
    assert!(!watched.all_text().contains(SECRET));
}

#[test]
fn messages_are_content_and_kept_only_where_content_is() {
    let run = |watched: &Watched| {
        let server = ModelServer::with_tool();
        let mut agent = agent(&server, false, Add { fails: false });
        watched.run(agent.query("2 + 3, for Ada?")).unwrap();
    };
    let off = Watched::new();
    run(&off);
    for text in ["Ada", "The answer is", "\\\"a\\\""] {
        assert!(!off.all_text().contains(text), "{text} was kept");
    }
    let on = Watched::with(|builder| builder.capture_content(hermes::ContentCapture::On));
    run(&on);
    for text in ["Ada", "The answer is 5."] {
        assert!(on.all_text().contains(text), "{text} was not kept");
    }
}
