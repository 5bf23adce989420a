//! Agents that are programs of their own: goose, codex, Claude Code.

use super::super::Dialect;
use super::super::Habit::{ExcludesCached, FailsSilently, ProviderInTarget};
use super::super::Meaning::{Adds, Attempt, HttpStatus, Is, Milliseconds, Success, Under, Usage};
use crate::semconv::{Fact, Kind};

/// goose: what it states by the conventions, and in its own words before it did.
pub(super) fn goose() -> Vec<Dialect> {
    let texts = |row: Dialect| {
        row.means("trace_input", Is(Fact::InputMessages))
            .means("trace_output", Is(Fact::OutputMessages))
            .means("user_message", Is(Fact::UserMessage))
            .means("session_id", Is(Fact::SessionId))
            .hears("trace_output", Is(Fact::OutputMessages))
    };
    let generation = |row: Dialect| {
        row.means("model_config", Under("model_name", Fact::RequestModel))
            .means("input", Is(Fact::InputMessages))
            .means("output", Is(Fact::OutputMessages))
            .means("input_tokens", Is(Fact::InputTokens))
            .means("output_tokens", Is(Fact::OutputTokens))
            .means("total_tokens", Is(Fact::TotalTokens))
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
        // Before it had the conventions' fields, each provider had a span, and an event in it had the data.
        generation(
            Dialect::new("goose::providers")
                .span("complete")
                .span("complete_with_model")
                .span("stream")
                .declares("model_config")
                .declares("input_tokens")
                .kind(Kind::Chat)
                .habit(ProviderInTarget(2)),
        ),
        Dialect::new("goose::providers")
            .hears("model_config", Under("model_name", Fact::RequestModel))
            .hears("input", Is(Fact::InputMessages))
            .hears("output", Is(Fact::OutputMessages))
            .hears("input_tokens", Is(Fact::InputTokens))
            .hears("output_tokens", Is(Fact::OutputTokens))
            .hears("total_tokens", Is(Fact::TotalTokens)),
        Dialect::new("goose")
            .span("stream_response_from_provider")
            .kind(Kind::Chat)
            .habit(FailsSilently),
    ]
}

/// codex: a turn that sums up, and one small span for each event of a response, of which the last has
/// the usage. Versions before that told the tokens of each response in an event, and do so still.
pub(super) fn codex() -> Vec<Dialect> {
    // Newer ones send each event twice: to logs with its content, to traces without it.
    let tokens = |target: &'static str| {
        Dialect::new(target)
            .hears("input_token_count", Adds(Fact::InputTokens))
            .hears("output_token_count", Adds(Fact::OutputTokens))
            .hears("cached_token_count", Adds(Fact::CacheReadTokens))
            .hears("reasoning_token_count", Adds(Fact::ReasoningTokens))
    };
    let tool_results = |target: &'static str| {
        Dialect::new(target)
            .about_tool("tool_name")
            .hears("arguments", Is(Fact::ToolArguments))
            .hears("output", Is(Fact::ToolResult))
            .hears("success", Success)
    };
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
        Dialect::new("codex_core")
            .span("dispatch_tool_call")
            .span("dispatch_tool_call_with_code_mode_result")
            .span("handle_tool_call")
            .declares("tool_name")
            .declares("call_id")
            .kind(Kind::Tool)
            .means("tool_name", Is(Fact::ToolName))
            .means("call_id", Is(Fact::ToolCallId)),
        tokens("codex_otel"),
        tokens("codex_otel.trace_safe"),
        tool_results("codex_otel"),
        tool_results("codex_otel.log_only"),
    ]
}

/// The names that Claude Code gives its spans' attributes.
pub(super) fn claude_code() -> Vec<Dialect> {
    let row = |name: &'static str, kind| {
        Dialect::new("")
            .span(name)
            .kind(kind)
            .means("success", Success)
    };
    let rows = [
        (
            "interaction.sequence",
            row("claude_code.interaction", Kind::Turn)
                .means("user_prompt", Is(Fact::UserMessage))
                .means("interaction.sequence", Is(Fact::TurnIndex)),
        ),
        (
            "model",
            row("claude_code.llm_request", Kind::Chat)
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
        ),
        (
            "tool_name",
            row("claude_code.tool", Kind::Tool)
                .means("tool_name", Is(Fact::ToolName))
                .means("tool_use_id", Is(Fact::ToolCallId))
                .means("full_command", Is(Fact::ToolArguments))
                .means("subagent_type", Is(Fact::AgentName)),
        ),
        // Part of the tool, which says the rest.
        ("duration_ms", row("claude_code.tool.execution", Kind::Tool)),
        (
            "decision",
            row("claude_code.tool.blocked_on_user", Kind::Approval)
                .means("decision", Is(Fact::ApprovalDecision))
                .means("source", Is(Fact::ApprovalSurface)),
        ),
        ("hook_event", row("claude_code.hook", Kind::Step)),
    ];
    // Every span of its traces has a `span.type`. What is given the same names elsewhere may have none, and has the
    // field that matters.
    let either = |(field, row): (&'static str, Dialect)| {
        [row.clone().declares(field), row.declares("span.type")]
    };
    rows.into_iter().flat_map(either).collect()
}
