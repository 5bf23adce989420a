//! rig's agents: every way in which a run is started, and what comes of tools, streams and failures.

use std::future::IntoFuture;

use futures_util::StreamExt;
use rig::agent::tool::{Tool, ToolContext, ToolExecutionError};
use rig::agent::{Agent, AgentBuilder, MultiTurnStreamItem};
use rig::http_client::ReqwestClient;
use rig::providers::openai::OpenAIConfig;
use serde_json::{Value, json};
use tracing::Instrument;
use tracing::instrument::WithSubscriber;

use crate::model::{Answer, ModelServer, SECRET};
use crate::picture::Watched;

/// An agent with one tool, on a connection of its own.
fn agent(server: &ModelServer) -> Agent {
    builder(server).build()
}

fn builder(server: &ModelServer) -> AgentBuilder<rig::agent::WithBuilderTools> {
    let client = OpenAIConfig::new("key")
        .with_base_url(server.base_url())
        .connect(ReqwestClient::from(reqwest::Client::new()));
    AgentBuilder::new(client.chat("gpt-4o"))
        .name("scout")
        .preamble("Be brief.")
        .default_max_turns(4)
        .tool(Add { fails: false })
}

struct Add {
    fails: bool,
}

impl Tool for Add {
    const NAME: &'static str = "add";
    type Args = Value;
    type Output = String;
    type Error = ToolExecutionError;

    fn description(&self) -> String {
        "Adds two numbers.".to_owned()
    }

    fn parameters(&self) -> Value {
        json!({ "type": "object", "properties": { "a": { "type": "integer" }, "b": { "type": "integer" } } })
    }

    async fn call(&self, _: &mut ToolContext, args: Value) -> Result<String, ToolExecutionError> {
        if self.fails {
            return Err(ToolExecutionError::timeout(format!("too slow, {SECRET}")));
        }
        Ok(look_up(&args))
    }
}

#[hermes::instrument]
fn look_up(args: &Value) -> String {
    (args["a"].as_i64().unwrap() + args["b"].as_i64().unwrap()).to_string()
}

#[test]
fn a_run_without_a_span_around_it_is_a_run_of_its_own() {
    let (server, watched) = (ModelServer::with_tool(), Watched::new());
    let answer = watched.run(async { agent(&server).prompt("2 + 3?").await });
    assert_eq!(answer.unwrap().output(), "The answer is 5.");
    insta::assert_snapshot!(watched.picture(), @r"
    run: 2 model calls, 1 tool calls, 0 errors, 240 in, 68 out
    invoke_agent scout · AGENT INTERNAL
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12
      hermes.tool.add · TOOL INTERNAL · tool add · id call_1 · result ok
        look_up · CHAIN INTERNAL
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12
    ");
}

#[hermes::session(id = "s-1", agent = "caller")]
async fn session(agent: Agent) -> String {
    turn(agent).await
}

#[hermes::turn(user_message = "2 + 3?")]
async fn turn(agent: Agent) -> String {
    agent.prompt("2 + 3?").await.unwrap().output().clone()
}

#[test]
fn a_run_inside_a_turn_of_ours_hangs_its_calls_under_the_turn() {
    let (server, watched) = (ModelServer::with_tool(), Watched::new());
    watched.run(session(agent(&server)));
    insta::assert_snapshot!(watched.picture(), @r"
    run: 2 model calls, 1 tool calls, 0 errors, 240 in, 68 out
    hermes.session · AGENT INTERNAL
      hermes.turn · CHAIN INTERNAL
        chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12
        hermes.tool.add · TOOL INTERNAL · tool add · id call_1 · result ok
          look_up · CHAIN INTERNAL
        chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12
    ");
}

#[test]
fn a_run_started_inside_a_session_stays_in_it_wherever_it_is_polled() {
    let (server, watched) = (ModelServer::with_tool(), Watched::new());
    watched.run(async {
        let session = tracing::info_span!("hermes.session", hermes.session.id = "s-2");
        let run = session.in_scope(|| agent(&server).prompt("2 + 3?").run());
        drop(session);
        tokio::spawn(run).await.unwrap().unwrap();
    });
    insta::assert_snapshot!(watched.picture(), @r"
    run: 2 model calls, 1 tool calls, 0 errors, 240 in, 68 out
    hermes.session · AGENT INTERNAL
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12
      hermes.tool.add · TOOL INTERNAL · tool add · id call_1 · result ok
        look_up · CHAIN INTERNAL
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12
    ");
}

#[test]
fn a_future_built_outside_the_session_is_a_run_of_its_own() {
    let (server, watched) = (ModelServer::with_tool(), Watched::new());
    watched.run(async {
        let session = tracing::info_span!("hermes.session", hermes.session.id = "s-3");
        let prompt = agent(&server).prompt("2 + 3?").into_future();
        prompt.instrument(session).await.unwrap();
    });
    insta::assert_snapshot!(watched.picture(), @r"
    run: 0 model calls, 0 tool calls, 0 errors, 0 in, 0 out
    run: 2 model calls, 1 tool calls, 0 errors, 240 in, 68 out
    hermes.session · AGENT INTERNAL
    invoke_agent scout · AGENT INTERNAL
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12
      hermes.tool.add · TOOL INTERNAL · tool add · id call_1 · result ok
        look_up · CHAIN INTERNAL
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12
    ");
}

#[test]
fn a_task_spawned_without_its_span_is_a_run_of_its_own() {
    let (server, watched) = (ModelServer::with_tool(), Watched::new());
    watched.run(async {
        let session = tracing::info_span!("hermes.session", hermes.session.id = "s-4");
        let agent = agent(&server);
        let task = async { tokio::spawn(async move { agent.prompt("2 + 3?").await }).await };
        task.instrument(session).await.unwrap().unwrap();
    });
    insta::assert_snapshot!(watched.picture(), @r"
    run: 0 model calls, 0 tool calls, 0 errors, 0 in, 0 out
    run: 2 model calls, 1 tool calls, 0 errors, 240 in, 68 out
    hermes.session · AGENT INTERNAL
    invoke_agent scout · AGENT INTERNAL
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12
      hermes.tool.add · TOOL INTERNAL · tool add · id call_1 · result ok
        look_up · CHAIN INTERNAL
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12
    ");
}

#[test]
fn the_chat_of_an_agent_is_no_model_call() {
    let (server, watched) = (ModelServer::with_tool(), Watched::new());
    watched.run(async {
        let mut history = Vec::new();
        agent(&server).chat("2 + 3?", &mut history).await.unwrap();
        assert_eq!(history.len(), 4);
    });
    insta::assert_snapshot!(watched.picture(), @r"
    run: 2 model calls, 1 tool calls, 0 errors, 240 in, 68 out
    invoke_agent scout · AGENT INTERNAL
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12
      hermes.tool.add · TOOL INTERNAL · tool add · id call_1 · result ok
        look_up · CHAIN INTERNAL
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12
    ");
}

#[test]
fn tools_that_are_called_at_once_stand_beside_each_other() {
    let server = ModelServer::answering(&[Answer::AddTwice, Answer::Text]);
    let watched = Watched::new();
    let run = async {
        let prompt = agent(&server).prompt("2 + 3, twice?").tool_concurrency(2);
        prompt.await.unwrap();
    };
    watched.run(run);
    insta::assert_snapshot!(watched.picture(), @r"
    run: 2 model calls, 2 tool calls, 0 errors, 240 in, 68 out
    invoke_agent scout · AGENT INTERNAL
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12
      hermes.tool.add · TOOL INTERNAL · tool add · id call_1 · result ok
        look_up · CHAIN INTERNAL
      hermes.tool.add · TOOL INTERNAL · tool add · id call_2 · result ok
        look_up · CHAIN INTERNAL
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12
    ");
}

#[test]
fn a_tool_that_fails_is_an_error_and_the_run_is_not() {
    let (server, watched) = (ModelServer::with_tool(), Watched::new());
    watched.run(async {
        let client = OpenAIConfig::new("key")
            .with_base_url(server.base_url())
            .connect(ReqwestClient::from(reqwest::Client::new()));
        let agent = AgentBuilder::new(client.chat("gpt-4o")).name("scout");
        let agent = agent.default_max_turns(4).tool(Add { fails: true }).build();
        agent.prompt("2 + 3?").await.unwrap();
    });
    insta::assert_snapshot!(watched.picture(), @r"
    run: 2 model calls, 1 tool calls, 1 errors, 240 in, 68 out
    invoke_agent scout · AGENT INTERNAL
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12
      hermes.tool.add · TOOL INTERNAL · tool add · id call_1 · result timeout · ✗ timeout [error]
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12
    ");
    assert!(!watched.all_text().contains(SECRET));
}

#[test]
fn a_model_that_fails_in_the_second_turn_is_no_success() {
    let server = ModelServer::answering(&[Answer::Add, Answer::Status(500)]);
    let watched = Watched::new();
    watched.run(async { agent(&server).prompt("2 + 3?").await.unwrap_err() });
    insta::assert_snapshot!(watched.picture(), @r"
    run: 2 model calls, 1 tool calls, 1 errors, 120 in, 34 out
    invoke_agent scout · AGENT INTERNAL · ✗ _OTHER [error]
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12
      hermes.tool.add · TOOL INTERNAL · tool add · id call_1 · result ok
        look_up · CHAIN INTERNAL
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · ✗ _OTHER [error]
    ");
    assert!(!watched.all_text().contains(SECRET));
}

#[hermes::turn]
async fn failing_turn(agent: Agent) -> Result<String, rig::completion::PromptError> {
    let response = agent.prompt("2 + 3?").await?;
    Ok(response.output().clone())
}

#[test]
fn what_the_function_around_returns_says_how_the_model_failed() {
    let server = ModelServer::answering(&[Answer::Add, Answer::Status(429)]);
    let watched = Watched::new();
    watched.run(failing_turn(agent(&server))).unwrap_err();
    insta::assert_snapshot!(watched.picture(), @r"
    run: 2 model calls, 1 tool calls, 1 errors, 120 in, 34 out
    hermes.turn · CHAIN INTERNAL · ✗ rate_limit [error]
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12
      hermes.tool.add · TOOL INTERNAL · tool add · id call_1 · result ok
        look_up · CHAIN INTERNAL
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · ✗ rate_limit [error]
    ");
    assert!(!watched.all_text().contains(SECRET));
}

#[test]
fn a_streamed_run_has_the_same_tree() {
    let (server, watched) = (ModelServer::with_tool(), Watched::new());
    let text = watched.run(async {
        let mut stream = agent(&server).prompt("2 + 3?").stream();
        let mut last = None;
        while let Some(item) = stream.next().await {
            if let MultiTurnStreamItem::FinalResponse(response) = item.unwrap() {
                last = Some(response.output().clone());
            }
        }
        last
    });
    assert_eq!(text.unwrap(), "The answer is 5.");
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.body["stream"] == true)
    );
    insta::assert_snapshot!(watched.picture(), @r"
    run: 2 model calls, 1 tool calls, 0 errors, 240 in, 68 out
    invoke_agent scout · AGENT INTERNAL
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12
      hermes.tool.add · TOOL INTERNAL · tool add · id call_1 · result ok
        look_up · CHAIN INTERNAL
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12
    ");
}

#[test]
fn a_streamed_run_that_is_dropped_early_is_no_success() {
    let server = ModelServer::answering(&[Answer::Add, Answer::Stall]);
    let watched = Watched::new();
    watched.run(async {
        let mut stream = agent(&server).prompt("2 + 3?").stream();
        while let Some(item) = stream.next().await {
            // The second call has begun to answer and will say no more.
            let is_text = matches!(item.unwrap(), MultiTurnStreamItem::StreamAssistantItem(item)
                if format!("{item:?}").contains("The answer"));
            if is_text {
                break;
            }
        }
    });
    server.wait_until_left();
    insta::assert_snapshot!(watched.picture(), @r"
    run: 2 model calls, 1 tool calls, 1 errors, 120 in, 34 out
    invoke_agent scout · AGENT INTERNAL · ✗ cancelled [cancelled]
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · answered gpt-4o-2024-08-06 · in 120 · cached 64 · out 34 · reasoned 12
      hermes.tool.add · TOOL INTERNAL · tool add · id call_1 · result ok
        look_up · CHAIN INTERNAL
      chat gpt-4o · LLM CLIENT · openai · asked gpt-4o · ✗ cancelled [cancelled]
    ");
}

#[test]
fn content_that_rig_records_is_kept_only_where_ours_is() {
    let run = |watched: &Watched| {
        let server = ModelServer::with_tool();
        watched.run(async {
            let agent = builder(&server).record_content_telemetry(true).build();
            agent.prompt("What is 2 + 3, for Ada?").await.unwrap();
        });
    };
    let off = Watched::new();
    run(&off);
    for text in ["Ada", "Be brief", "The answer is", "\\\"a\\\""] {
        assert!(!off.all_text().contains(text), "{text} was kept");
    }
    let on = Watched::with(|builder| builder.capture_content(hermes::ContentCapture::On));
    run(&on);
    let chat = on.bench.all_spans();
    let chat = chat.iter().rfind(|span| span.kind == "LLM").unwrap();
    for key in [
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
    ] {
        assert!(chat.attributes.contains_key(key), "{key}: {chat:#?}");
    }
    let sent = on.collector.spans();
    let tool = sent
        .iter()
        .find(|span| span.attributes.contains_key("gen_ai.tool.name"))
        .unwrap();
    assert_eq!(tool.attributes["hermes.tool.args"], "{\"a\":2,\"b\":3}");
    assert_eq!(tool.attributes["hermes.tool.result"], "5");
}

#[test]
fn sixteen_agents_at_once_on_a_runtime_that_steals_work_keep_to_their_sessions() {
    let watched = Watched::new();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let servers: Vec<_> = (0..16).map(|_| ModelServer::with_tool()).collect();
    let tasks: Vec<_> = servers
        .iter()
        .map(|server| {
            let run = session(agent(server)).with_subscriber(watched.bench.dispatch.clone());
            runtime.spawn(run)
        })
        .collect();
    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    watched.bench.run(|| ());
    let runs = watched.bench.runs();
    assert_eq!(runs.len(), 16);
    for run in runs {
        let sums = (
            run.model_call_count,
            run.tool_call_count,
            run.input_tokens,
            run.output_tokens,
        );
        assert_eq!(sums, (2, 1, 240, 68));
        let spans = watched
            .bench
            .telemetry
            .store()
            .unwrap()
            .spans_of_run(run.run_id)
            .unwrap();
        let turn = spans
            .iter()
            .find(|span| span.span_name == "hermes.turn")
            .unwrap();
        let calls = spans
            .iter()
            .filter(|span| ["LLM", "TOOL"].contains(&span.kind.as_str()));
        for call in calls {
            assert_eq!(call.parent_span_id, Some(turn.span_id), "{}", call.name);
        }
    }
}
