//! Frameworks and clients, whose crates a program depends on.

use super::super::Dialect;
use super::super::Habit::{Answers, AnswersWhole, EndsWithReason, FailsSilently, ProviderInTarget};
use super::super::Meaning::{After, Is, Usage};
use super::langfuse_events;
use crate::semconv::contract::{ADK_CALL, ADK_GENERATE, LANGCHAIN_GENERATE};
use crate::semconv::{Fact, Kind, field};

/// rig states operations by the conventions, and wraps its runs in a span that states none.
pub(super) fn rig() -> Vec<Dialect> {
    // `Agent::chat`, an instrumented function: the agent's call, and never the model's.
    let agents = ["rig_agent::agent", "rig_core::agent", "rig::agent"].map(|target| {
        Dialect::new(target)
            .span("chat")
            .declares("agent_name")
            .kind(Kind::Agent)
            .means("agent_name", Is(Fact::AgentName))
    });
    // A stream that nobody finishes looks like a failed one, but for those of agents, which they finish.
    let call = |target: &'static str| {
        Dialect::new(target)
            .span("chat")
            .span("generate_content")
            .declares(field::STREAM)
            .kind(Kind::Chat)
    };
    let calls = [
        call("rig::agent_chat").habit(Answers),
        call("rig::completions").habit(AnswersWhole),
    ];
    agents.into_iter().chain(calls).collect()
}

/// genai: a stream that was read to its end has a finish reason, one that was dropped or cut has none.
pub(super) fn genai() -> Vec<Dialect> {
    vec![
        Dialect::new("genai::otel")
            .span("genai.chat")
            .kind(Kind::Chat)
            .habit(EndsWithReason),
    ]
}

/// adk-rust: four spans for a model call, two for a tool call, and failures that only events tell of.
pub(super) fn adk() -> Vec<Dialect> {
    let session = |row: Dialect| row.means("gcp.vertex.agent.session_id", Is(Fact::SessionId));
    let call = |target: &'static str, name: &'static str| {
        Dialect::new(target)
            .span(name)
            .kind(Kind::Chat)
            .habit(FailsSilently)
            .means("model.name", Is(Fact::RequestModel))
            .means("stream", Is(Fact::Stream))
    };
    let tool = |target: &'static str, name: &'static str| {
        session(Dialect::new(target).span(name).kind(Kind::Tool))
            .declares("tool.name")
            .means("function_call.id", Is(Fact::ToolCallId))
    };
    let agent = |target: &'static str, name: &'static str| {
        session(Dialect::new(target).span(name).kind(Kind::Agent)).declares("agent.name")
    };
    vec![
        agent("adk_runner", "agent.execute"),
        agent("adk_telemetry", "agent.execute"),
        agent("adk_telemetry", "agent.run"),
        session(
            Dialect::new("adk_telemetry")
                .span("team.run")
                .span("team.member.run")
                .declares("team.name")
                .kind(Kind::Step),
        ),
        session(call("adk_agent", "call_llm"))
            .means("gcp.vertex.agent.llm_request", Is(Fact::InputMessages))
            .means("gcp.vertex.agent.llm_response", Is(Fact::OutputMessages)),
        call("adk_model", "model.generate_content"),
        call("adk_gemini", "model.generate_content"),
        call("adk_telemetry", "model.call"),
        call("adk_telemetry", ADK_GENERATE),
        call("adk_telemetry", ADK_CALL),
        tool("adk_agent", "").declares("otel.name"),
        tool("adk_tool", "execute"),
        tool("adk_telemetry", "tool.execute"),
        session(
            Dialect::new("adk_telemetry")
                .span("execute_tool")
                .kind(Kind::Tool),
        ),
        // The model's client says that it tries again, within the spans of the call.
        Dialect::new("adk_model::retry").hears("attempt", Is(Fact::RetryCount)),
        // What became of a tool is said beside its span, which is still open then.
        Dialect::new("adk_agent")
            .about_tool("tool.name")
            .hears("tool.args", Is(Fact::ToolArguments))
            .hears("tool.result", Is(Fact::ToolResult))
            .failure("tool_error", None)
            .failure("tool_timeout", Some("timeout")),
    ]
}

/// swiftide: spans without fields, and the data in events.
pub(super) fn swiftide() -> Vec<Dialect> {
    let integrations = || Dialect::new("swiftide_integrations").habit(ProviderInTarget(1));
    let agents = || Dialect::new("swiftide_agents");
    vec![
        integrations()
            .span("complete")
            .span("prompt")
            .span("structured_prompt_dyn")
            .kind(Kind::Chat),
        // Of a failed stream only the step and the agent around it tell.
        integrations()
            .span("complete_stream")
            .span("stream")
            .span("responses_stream")
            .kind(Kind::Chat)
            .habit(FailsSilently),
        integrations()
            .span("embed")
            .span("sparse_embed")
            .kind(Kind::Embedding),
        agents()
            .span("agent.query")
            .span("agent.query_once")
            .span("agent.run")
            .span("agent.run_once")
            .kind(Kind::Agent),
        agents().span("step").kind(Kind::Step),
        agents()
            .span("tool")
            .declares("otel.name")
            .kind(Kind::Tool)
            .means("otel.name", After("tool.", Fact::ToolName)),
        langfuse_events(
            agents()
                .hears("tool_name", Is(Fact::ToolName))
                .hears("args", Is(Fact::ToolArguments))
                .hears("output", Is(Fact::ToolResult)),
        ),
    ]
}

/// langchain-rust.
pub(super) fn langchain() -> Vec<Dialect> {
    let row = |name: &'static str, kind| {
        Dialect::new("langchain_rust")
            .span(name)
            .kind(kind)
            .means("provider", Is(Fact::Provider))
            .means("model", Is(Fact::RequestModel))
            .means("model_name", Is(Fact::RequestModel))
            .means("prompt_tokens", Is(Fact::InputTokens))
            .means("input_tokens", Is(Fact::InputTokens))
            .means("completion_tokens", Is(Fact::OutputTokens))
            .means("output_tokens", Is(Fact::OutputTokens))
            .means("total_tokens", Is(Fact::TotalTokens))
            .means("token_usage", Usage)
            .means("usage", Usage)
            .means("tool_call_count", Is(Fact::AssistantToolCallCount))
            .means("tool_calls", Is(Fact::AssistantToolCallCount))
    };
    let tool = row("tool.call", Kind::Tool)
        .means("tool", Is(Fact::ToolName))
        .means("tool_name", Is(Fact::ToolName))
        .means("name", Is(Fact::ToolName))
        .means("input", Is(Fact::ToolArguments))
        .means("output", Is(Fact::ToolResult));
    let agent = row("agent.run", Kind::Agent)
        .means("agent", Is(Fact::AgentName))
        .means("agent_name", Is(Fact::AgentName));
    vec![
        row(LANGCHAIN_GENERATE, Kind::Chat),
        row("embed.documents", Kind::Embedding),
        row("embed.query", Kind::Embedding),
        row("chain.call", Kind::Step),
        row("agent.plan", Kind::Step),
        agent,
        tool,
    ]
}

/// `AutoAgents`: a task, its turns, its tools.
pub(super) fn auto_agents() -> Vec<Dialect> {
    let row = |name: &'static str, kind| {
        Dialect::new("")
            .span(name)
            .declares("submission_id")
            .kind(kind)
    };
    vec![
        row("autoagents.task", Kind::Agent).means("agent_name", Is(Fact::AgentName)),
        row("autoagents.turn", Kind::Turn).means("turn_number", Is(Fact::TurnIndex)),
        row("autoagents.tool_call", Kind::Tool)
            .means("tool_name", Is(Fact::ToolName))
            .means("tool_call_id", Is(Fact::ToolCallId)),
    ]
}
