//! The built-in dialects: one row per kind of span whose library does not say all by itself.
//!
//! Read from the libraries' sources and from running them. A library that states
//! `gen_ai.operation.name` and has names of its own for nothing needs no row: genai's chats,
//! embeddings and tools, agent-framework's spans, most of goose's.

use std::sync::LazyLock;

use super::Dialect;
use super::Habit::{
    Answers, AnswersWhole, EndsWithReason, ExcludesCached, FailsSilently, ProviderInTarget,
};
use super::Meaning::{After, Attempt, HttpStatus, Is, Milliseconds, Success, Usage};
use crate::semconv::contract::{ADK_CALL, ADK_GENERATE, LANGCHAIN_GENERATE};
use crate::semconv::{Fact, Kind, field};

/// Every built-in dialect. Of several that speak of a span the first counts.
pub(in crate::capture) fn built_in() -> &'static [Dialect] {
    static BUILT_IN: LazyLock<Vec<Dialect>> = LazyLock::new(|| {
        [
            rig(),
            genai(),
            adk(),
            swiftide(),
            goose(),
            codex(),
            langchain(),
            auto_agents(),
            claude_code(),
            langfuse(),
        ]
        .concat()
    });
    &BUILT_IN
}

/// Those that hear events. Few: where another layer's filter is a dynamic one, every event of the
/// process is looked up here.
pub(in crate::capture) fn built_in_for_events() -> &'static [Dialect] {
    static HEARING: LazyLock<Vec<Dialect>> = LazyLock::new(|| {
        let hears = |dialect: &&Dialect| !dialect.events.is_empty() || dialect.about_tool.is_some();
        built_in().iter().filter(hears).cloned().collect()
    });
    &HEARING
}

/// rig states operations by the conventions, and wraps its runs in a span that states none.
fn rig() -> Vec<Dialect> {
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
fn genai() -> Vec<Dialect> {
    vec![
        Dialect::new("genai::otel")
            .span("genai.chat")
            .kind(Kind::Chat)
            .habit(EndsWithReason),
    ]
}

/// adk-rust: four spans for a model call, two for a tool call, and failures that only events tell of.
fn adk() -> Vec<Dialect> {
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
fn swiftide() -> Vec<Dialect> {
    let integrations = || Dialect::new("swiftide_integrations").habit(ProviderInTarget);
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

/// goose: what it states by the conventions, and in its own words before it did.
fn goose() -> Vec<Dialect> {
    let texts = |row: Dialect| {
        row.means("trace_input", Is(Fact::InputMessages))
            .means("trace_output", Is(Fact::OutputMessages))
            .means("user_message", Is(Fact::UserMessage))
            .means("session_id", Is(Fact::SessionId))
            .hears("trace_output", Is(Fact::OutputMessages))
    };
    vec![
        texts(
            Dialect::new("goose")
                .span("reply")
                .span("reply_stream")
                .kind(Kind::Agent),
        ),
        Dialect::new("goose")
            .span("dispatch_tool_call")
            .kind(Kind::Tool)
            .means("tool_call.name", Is(Fact::ToolName))
            .means("tool_name", Is(Fact::ToolName))
            .means("request_id", Is(Fact::ToolCallId))
            .means("input", Is(Fact::ToolArguments))
            .means("output", Is(Fact::ToolResult)),
        Dialect::new("goose::tracing::provider_generation")
            .declares("model")
            .kind(Kind::Chat)
            .means("model", Is(Fact::RequestModel))
            .means("provider", Is(Fact::Provider))
            .means("observation_type", Is(Fact::SpanKind))
            .means("input_json", Is(Fact::InputMessages))
            .means("output_json", Is(Fact::OutputMessages))
            .means("usage_json", Usage),
        Dialect::new("goose")
            .span("stream_response_from_provider")
            .kind(Kind::Chat)
            .habit(FailsSilently),
    ]
}

/// codex: a turn that sums up, and one small span for each event of a response, of which the last has
/// the usage.
fn codex() -> Vec<Dialect> {
    vec![
        Dialect::new("codex_core")
            .span("turn")
            .declares("turn.id")
            .kind(Kind::Turn)
            .means("thread.id", Is(Fact::SessionId))
            .means("model", Is(Fact::Model))
            .means("codex.turn.token_usage.input_tokens", Is(Fact::InputTokens))
            .means(
                "codex.turn.token_usage.cached_input_tokens",
                Is(Fact::CacheReadTokens),
            )
            .means(
                "codex.turn.token_usage.output_tokens",
                Is(Fact::OutputTokens),
            )
            .means(
                "codex.turn.token_usage.reasoning_output_tokens",
                Is(Fact::ReasoningTokens),
            ),
        Dialect::new("codex_core")
            .span("handle_responses")
            .kind(Kind::Chat)
            .once(Fact::InputTokens)
            .means(
                "codex.usage.reasoning_output_tokens",
                Is(Fact::ReasoningTokens),
            )
            .means("codex.usage.total_tokens", Is(Fact::TotalTokens)),
    ]
}

/// langchain-rust.
fn langchain() -> Vec<Dialect> {
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
fn auto_agents() -> Vec<Dialect> {
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

/// The names that Claude Code gives its spans' attributes.
fn claude_code() -> Vec<Dialect> {
    let row = |name: &'static str, field: &'static str, kind| {
        Dialect::new("")
            .span(name)
            .declares(field)
            .kind(kind)
            .means("success", Success)
    };
    let tool = |name| {
        row(name, "tool_name", Kind::Tool)
            .means("tool_name", Is(Fact::ToolName))
            .means("tool_use_id", Is(Fact::ToolCallId))
            .means("full_command", Is(Fact::ToolArguments))
    };
    vec![
        row(
            "claude_code.interaction",
            "interaction.sequence",
            Kind::Turn,
        )
        .means("user_prompt", Is(Fact::UserMessage))
        .means("interaction.sequence", Is(Fact::TurnIndex)),
        row("claude_code.llm_request", "model", Kind::Chat)
            .habit(ExcludesCached)
            .means("model", Is(Fact::RequestModel))
            .means("input_tokens", Is(Fact::InputTokens))
            .means("output_tokens", Is(Fact::OutputTokens))
            .means("cache_read_tokens", Is(Fact::CacheReadTokens))
            .means("cache_creation_tokens", Is(Fact::CacheWriteTokens))
            .means("ttft_ms", Milliseconds(Fact::TimeToFirstChunk))
            .means("attempt", Attempt)
            .means("stop_reason", Is(Fact::FinishReasons))
            .means("status_code", HttpStatus)
            .states_fact(Fact::Provider, "anthropic"),
        tool("claude_code.tool"),
        // Part of the tool, which says the rest.
        Dialect::new("")
            .span("claude_code.tool.execution")
            .declares("duration_ms")
            .kind(Kind::Tool)
            .means("success", Success),
    ]
}

/// Langfuse's events, whoever sends them.
fn langfuse() -> Vec<Dialect> {
    vec![langfuse_events(Dialect::new(""))]
}

fn langfuse_events(row: Dialect) -> Dialect {
    row.hears("langfuse.model", Is(Fact::RequestModel))
        .hears("langfuse.usage", Usage)
        .hears("langfuse.input", Is(Fact::UserMessage))
        .hears("langfuse.output", Is(Fact::AssistantResponse))
        .hears("langfuse.status_message", Is(Fact::ErrorText))
}

impl Dialect {
    fn about_tool(mut self, field: &'static str) -> Self {
        self.about_tool = Some(field);
        self
    }

    fn failure(mut self, message: &'static str, error_type: Option<&'static str>) -> Self {
        self.failures.push((message, error_type));
        self
    }

    fn states_fact(mut self, fact: Fact, value: &'static str) -> Self {
        self.stated.push((fact, value.into()));
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::built_in;

    #[test]
    fn no_row_stands_in_the_shadow_of_another() {
        let mut seen = HashSet::new();
        for row in built_in() {
            for name in &row.names {
                let is_new = seen.insert((&row.target, name, &row.declared));
                assert!(is_new, "{} {name} stands twice", row.target);
            }
        }
    }

    #[test]
    fn no_row_goes_by_a_name_alone() {
        for row in built_in() {
            assert!(
                !row.target.is_empty() || row.names.is_empty() || !row.declared.is_empty(),
                "{:?} of any library",
                row.names
            );
        }
    }
}
