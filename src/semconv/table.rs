//! THE table: what each fact is called on the way out, one row per attribute.
//!
//! A profile is a set of rows. The store's `attrs_json` holds the rows of profile `hermes`; OTLP and
//! the console those of the profile the operator chose.

use super::{Fact, Kind, Naming, Profile};

/// One exported attribute.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attribute {
    /// The attribute's key.
    pub(crate) name: &'static str,
    /// The fact that it states.
    pub(crate) fact: Fact,
    /// What becomes of the fact's value.
    pub(crate) form: Form,
    kinds: u16,
    profiles: u8,
}

/// What becomes of a fact's value on its way into an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As it is.
    Raw,
    /// Cut to this many characters.
    Cut(usize),
    /// The conventions' name of a provider.
    Provider,
    /// The provider's value of the former `gen_ai.system`.
    System,
    /// OpenInference's `llm.provider`.
    OpenInferenceProvider,
    /// OpenInference's `llm.system`.
    OpenInferenceSystem,
    /// The first of a list.
    First,
    /// The response model, else the requested one.
    AnyModel,
    /// Input and output tokens together.
    TotalTokens,
    /// Always this text, whether or not the fact is known.
    Const(&'static str),
    /// This text where the fact is known.
    Mime(&'static str),
    /// A JSON object as text; anything else is wrapped in one under this key.
    Object(&'static str),
    /// The text as one message of this role, in the conventions' JSON.
    Message(&'static str),
    /// The request's parameters as one JSON object.
    Parameters,
    /// Messages flattened into `{name}.{i}.message.*`.
    FlatMessages,
}

/// The rows that apply to a span of this kind, named this way.
pub(crate) fn attributes(kind: Kind, naming: Naming) -> impl Iterator<Item = &'static Attribute> {
    let kind = 1 << kind as u16;
    let mut profiles = match naming.profile {
        Profile::Hermes => H,
        Profile::GenAi => G,
        Profile::GenAi141 => G41,
        Profile::GenAi136 => G36,
        Profile::Classic => C,
    };
    if naming.openinference {
        profiles |= O;
    }
    TABLE
        .iter()
        .filter(move |row| row.kinds & kind != 0 && row.profiles & profiles != 0)
}

const H: u8 = 1; // hermes
const G: u8 = 2; // genai, the pinned revision
const G41: u8 = 4; // genai-1.41
const G36: u8 = 8; // genai-1.36
const C: u8 = 16; // hermes-classic
const O: u8 = 32; // openinference, beside any of them
/// The conventions in every version.
const GENAI: u8 = G | G41 | G36;
/// Every profile that speaks the conventions.
const MOST: u8 = H | GENAI;

const SESSION: u16 = 1 << Kind::Session as u16;
const AGENT: u16 = 1 << Kind::Agent as u16;
const TURN: u16 = 1 << Kind::Turn as u16;
const STEP: u16 = 1 << Kind::Step as u16;
const CHAT: u16 = 1 << Kind::Chat as u16;
const TOOL: u16 = 1 << Kind::Tool as u16;
const EMBEDDING: u16 = 1 << Kind::Embedding as u16;
const RETRIEVER: u16 = 1 << Kind::Retriever as u16;
const RERANKER: u16 = 1 << Kind::Reranker as u16;
/// The kinds that may name a model: backends count any span that does as a model call.
const CALL: u16 = CHAT | EMBEDDING | RETRIEVER | RERANKER;
const APPROVAL: u16 = 1 << Kind::Approval as u16;
const ALL: u16 = SESSION | AGENT | TURN | STEP | CALL | TOOL | APPROVAL;

/// Lengths of section 2 of the contract, in characters.
const MESSAGE_CHARS: usize = 500;
const TOOL_CHARS: usize = 2048;

const fn row(name: &'static str, fact: Fact, kinds: u16, profiles: u8, form: Form) -> Attribute {
    Attribute {
        name,
        fact,
        form,
        kinds,
        profiles,
    }
}

#[rustfmt::skip]
const TABLE: &[Attribute] = &[
    // What the span is.
    row("hermes.span.kind",                         Fact::SpanKind,               ALL,                        H | C,       Form::Raw),
    row("openinference.span.kind",                  Fact::SpanKind,               ALL,                        H | O,       Form::Raw),
    row("gen_ai.operation.name",                    Fact::Operation,              AGENT | TURN | TOOL | CALL, MOST,        Form::Raw),
    row("gen_ai.operation.name",                    Fact::Operation,              CHAT,                       C,           Form::Raw),
    row("code.function.name",                       Fact::FunctionName,           STEP,                       H | C,       Form::Raw),
    row("error.type",                               Fact::ErrorType,              ALL,                        MOST,        Form::Raw),

    // Whose it is.
    row("hermes.session.id",                        Fact::SessionId,              ALL,                        H,           Form::Raw),
    row("hermes.session.id",                        Fact::SessionId,              SESSION | TURN | TOOL,      C,           Form::Raw),
    row("gen_ai.conversation.id",                   Fact::SessionId,              ALL,                        MOST,        Form::Raw),
    row("session.id",                               Fact::SessionId,              ALL,                        O,           Form::Raw),
    row("hermes.model",                             Fact::Model,                  SESSION | AGENT | TURN,     H,           Form::Raw),
    row("gen_ai.request.model",                     Fact::Model,                  SESSION | TURN,             C,           Form::Raw),
    row("gen_ai.system",                            Fact::SpanKind,               SESSION | CHAT,             C,           Form::Const("hermes-agent")),
    row("hermes.platform",                          Fact::Platform,               SESSION | TURN,             H | C,       Form::Raw),
    row("hermes.entrypoint",                        Fact::Entrypoint,             SESSION,                    H,           Form::Raw),
    row("gen_ai.agent.name",                        Fact::AgentName,              SESSION | AGENT | TURN | TOOL, MOST,     Form::Raw),
    row("gen_ai.agent.description",                 Fact::AgentDescription,       AGENT,                      MOST,        Form::Raw),
    row("agent.name",                               Fact::AgentName,              SESSION | AGENT | TURN,     O,           Form::Raw),

    row("gen_ai.agent.id",                          Fact::AgentId,                SESSION | AGENT,            H,           Form::Raw),
    row("gen_ai.agent.id",                          Fact::AgentId,                AGENT,                      G41 | G36,   Form::Raw),
    row("hermes.subagent.role",                     Fact::AgentRole,              SESSION | AGENT,            H,           Form::Raw),
    row("hermes.subagent.goal",                     Fact::AgentGoal,              SESSION | AGENT,            H,           Form::Cut(MESSAGE_CHARS)),
    row("hermes.subagent.depth",                    Fact::AgentDepth,             SESSION | AGENT,            H,           Form::Raw),
    row("hermes.subagent.parent_name",              Fact::ParentAgentName,        SESSION | AGENT,            H,           Form::Raw),
    row("hermes.subagent.parent_id",                Fact::ParentAgentId,          SESSION | AGENT,            H,           Form::Raw),
    row("hermes.subagent.parent_span_id",           Fact::ParentAgentSpan,        SESSION | AGENT,            H,           Form::Raw),
    row("hermes.subagent.parent_session_id",        Fact::ParentSessionId,        SESSION | AGENT,            H,           Form::Raw),

    // Human waits.
    row("hermes.approval.subject",                  Fact::ApprovalSubject,        APPROVAL,                   H,           Form::Raw),
    row("hermes.approval.surface",                  Fact::ApprovalSurface,        APPROVAL,                   H,           Form::Raw),
    row("hermes.approval.decision",                 Fact::ApprovalDecision,       APPROVAL,                   H,           Form::Raw),
    row("hermes.approval.request",                  Fact::ApprovalRequest,        APPROVAL,                   H,           Form::Cut(TOOL_CHARS)),
    row("hermes.wait_ms",                           Fact::WaitMs,                 SESSION | AGENT | TURN | STEP | TOOL, H, Form::Raw),

    // Session, at its close.
    row("hermes.session.completed",                 Fact::SessionCompleted,       SESSION,                    H | C,       Form::Raw),
    row("hermes.session.interrupted",               Fact::SessionInterrupted,     SESSION,                    H | C,       Form::Raw),
    row("hermes.session.total_turns",               Fact::TotalTurns,             SESSION,                    H | C,       Form::Raw),
    row("hermes.session.end_reason",                Fact::EndReason,              SESSION,                    H,           Form::Raw),

    // Turn.
    row("hermes.turn.index",                        Fact::TurnIndex,              TURN,                       H | C,       Form::Raw),
    row("hermes.is_first_turn",                     Fact::IsFirstTurn,            TURN,                       H | C,       Form::Raw),
    row("hermes.turn.api_call_count",               Fact::ApiCallCount,           TURN,                       H | C,       Form::Raw),
    row("hermes.turn.tool_call_count",              Fact::ToolCallCount,          TURN,                       H | C,       Form::Raw),
    row("hermes.turn.duration_s",                   Fact::TurnDurationS,          TURN,                       H | C,       Form::Raw),
    row("hermes.turn.input_tokens",                 Fact::TurnInputTokens,        TURN,                       H,           Form::Raw),
    row("hermes.turn.output_tokens",                Fact::TurnOutputTokens,       TURN,                       H,           Form::Raw),
    row("hermes.turn.cost_usd",                     Fact::TurnCostUsd,            TURN,                       H,           Form::Raw),
    row("hermes.turn.final_status",                 Fact::FinalStatus,            TURN,                       H,           Form::Raw),
    row("hermes.turn.user_message",                 Fact::UserMessage,            TURN,                       H | C,       Form::Cut(MESSAGE_CHARS)),
    row("hermes.turn.assistant_response",           Fact::AssistantResponse,      TURN,                       H | C,       Form::Cut(MESSAGE_CHARS)),
    row("gen_ai.input.messages",                    Fact::UserMessage,            TURN,                       G | G41,     Form::Message("user")),
    row("gen_ai.output.messages",                   Fact::AssistantResponse,      TURN,                       G | G41,     Form::Message("assistant")),
    row("input.value",                              Fact::UserMessage,            TURN,                       O,           Form::Cut(MESSAGE_CHARS)),
    row("input.mime_type",                          Fact::UserMessage,            TURN,                       O,           Form::Mime("text/plain")),
    row("output.value",                             Fact::AssistantResponse,      TURN,                       O,           Form::Cut(MESSAGE_CHARS)),
    row("output.mime_type",                         Fact::AssistantResponse,      TURN,                       O,           Form::Mime("text/plain")),

    // What an agent of another library's was told and said, and what went through a step of one's.
    row("gen_ai.input.messages",                    Fact::InputMessages,          AGENT,                      H | G | G41, Form::Raw),
    row("gen_ai.output.messages",                   Fact::OutputMessages,         AGENT,                      H | G | G41, Form::Raw),
    row("gen_ai.system_instructions",               Fact::SystemInstructions,     AGENT,                      H | G | G41, Form::Raw),
    row("input.value",                              Fact::InputMessages,          AGENT,                      O,           Form::Raw),
    row("input.mime_type",                          Fact::InputMessages,          AGENT,                      O,           Form::Mime("application/json")),
    row("output.value",                             Fact::OutputMessages,         AGENT,                      O,           Form::Raw),
    row("output.mime_type",                         Fact::OutputMessages,         AGENT,                      O,           Form::Mime("application/json")),
    row("input.value",                              Fact::UserMessage,            STEP,                       H | O,       Form::Raw),
    row("output.value",                             Fact::AssistantResponse,      STEP,                       H | O,       Form::Raw),

    // Model call: who was asked for what.
    row("gen_ai.provider.name",                     Fact::Provider,               CALL,                       H | G | G41, Form::Provider),
    row("gen_ai.system",                            Fact::Provider,               CALL,                       H | G36,     Form::System),
    row("hermes.provider",                          Fact::Provider,               CALL,                       H,           Form::Raw),
    row("hermes.provider",                          Fact::Provider,               CHAT,                       C,           Form::Raw),
    row("llm.provider",                             Fact::Provider,               CHAT,                       O,           Form::OpenInferenceProvider),
    row("llm.system",                               Fact::Provider,               CHAT,                       O,           Form::OpenInferenceSystem),
    row("gen_ai.request.model",                     Fact::RequestModel,           CALL,                       MOST,        Form::Raw),
    row("gen_ai.request.model",                     Fact::RequestModel,           CHAT,                       C,           Form::Raw),
    row("llm.model_name",                           Fact::RequestModel,           CHAT,                       O,           Form::AnyModel),
    row("llm.request.model_name",                   Fact::RequestModel,           CHAT,                       O,           Form::Raw),
    row("llm.response.model_name",                  Fact::ResponseModel,          CHAT,                       O,           Form::Raw),
    row("embedding.model_name",                     Fact::RequestModel,           EMBEDDING,                  O,           Form::AnyModel),
    row("reranker.model_name",                      Fact::RequestModel,           RERANKER,                   O,           Form::AnyModel),
    row("hermes.api_call_number",                   Fact::ApiCallNumber,          CHAT,                       H | C,       Form::Raw),
    row("hermes.api_mode",                          Fact::ApiMode,                CHAT,                       H | C,       Form::Raw),
    row("hermes.message_count",                     Fact::MessageCount,           CHAT,                       H | C,       Form::Raw),
    row("hermes.tool_count",                        Fact::ToolCount,              CHAT,                       H | C,       Form::Raw),
    row("hermes.approx_input_tokens",               Fact::ApproxInputTokens,      CHAT,                       H | C,       Form::Raw),
    row("hermes.retry_count",                       Fact::RetryCount,             CHAT | TOOL,                H,           Form::Raw),
    row("server.address",                           Fact::ServerAddress,          CALL,                       MOST,        Form::Raw),
    row("server.address",                           Fact::ServerAddress,          CHAT,                       C,           Form::Raw),
    row("server.port",                              Fact::ServerPort,             CALL,                       MOST,        Form::Raw),
    row("gen_ai.request.stream",                    Fact::Stream,                 CHAT,                       H | G | G41, Form::Raw),
    row("gen_ai.request.temperature",               Fact::Temperature,            CHAT,                       MOST,        Form::Raw),
    row("gen_ai.request.top_p",                     Fact::TopP,                   CHAT,                       MOST,        Form::Raw),
    row("gen_ai.request.top_k",                     Fact::RequestTopK,            CHAT,                       MOST,        Form::Raw),
    row("gen_ai.request.max_tokens",                Fact::MaxTokens,              CHAT,                       MOST,        Form::Raw),
    row("gen_ai.request.frequency_penalty",         Fact::FrequencyPenalty,       CHAT,                       MOST,        Form::Raw),
    row("gen_ai.request.presence_penalty",          Fact::PresencePenalty,        CHAT,                       MOST,        Form::Raw),
    row("gen_ai.request.seed",                      Fact::Seed,                   CHAT,                       MOST,        Form::Raw),
    row("gen_ai.request.stop_sequences",            Fact::StopSequences,          CHAT,                       MOST,        Form::Raw),
    row("gen_ai.request.choice.count",              Fact::ChoiceCount,            CHAT,                       MOST,        Form::Raw),
    row("gen_ai.request.reasoning.level",           Fact::ReasoningLevel,         CHAT,                       H | G,       Form::Raw),
    row("gen_ai.request.previous_response.id",      Fact::PreviousResponseId,     CHAT,                       H | G,       Form::Raw),
    row("gen_ai.output.type",                       Fact::OutputType,             CHAT,                       MOST,        Form::Raw),
    row("llm.invocation_parameters",                Fact::Temperature,            CHAT,                       O,           Form::Parameters),

    // Model call: what came back.
    row("gen_ai.response.model",                    Fact::ResponseModel,          CALL,                       MOST,        Form::Raw),
    row("gen_ai.response.model",                    Fact::ResponseModel,          CHAT,                       C,           Form::Raw),
    row("gen_ai.response.id",                       Fact::ResponseId,             CALL,                       MOST,        Form::Raw),
    row("gen_ai.response.finish_reasons",           Fact::FinishReasons,          CHAT,                       MOST | C,    Form::Raw),
    row("llm.finish_reason",                        Fact::FinishReasons,          CHAT,                       O,           Form::First),
    row("gen_ai.response.time_to_first_chunk",      Fact::TimeToFirstChunk,       CHAT,                       H | G | G41, Form::Raw),
    row("gen_ai.response.time_to_first_chunk",      Fact::TimeToFirstChunk,       ALL & !CHAT,                H,           Form::Raw),
    row("hermes.chunk_count",                       Fact::ChunkCount,             ALL,                        H,           Form::Raw),
    row("gen_ai.usage.input_tokens",                Fact::InputTokens,            CALL,                       MOST,        Form::Raw),
    row("gen_ai.usage.input_tokens",                Fact::InputTokens,            CHAT,                       C,           Form::Raw),
    row("gen_ai.usage.output_tokens",               Fact::OutputTokens,           CHAT,                       MOST | C,    Form::Raw),
    row("hermes.cache.read_tokens",                 Fact::CacheReadTokens,        CHAT,                       H | C,       Form::Raw),
    row("gen_ai.usage.cache_read.input_tokens",     Fact::CacheReadTokens,        CHAT,                       H | G | G41, Form::Raw),
    row("hermes.cache.write_tokens",                Fact::CacheWriteTokens,       CHAT,                       H | C,       Form::Raw),
    row("gen_ai.usage.cache_write.input_tokens",    Fact::CacheWriteTokens,       CHAT,                       H | G,       Form::Raw),
    // The name up to v1.44 of the core conventions: Phoenix and the converters read no other.
    row("gen_ai.usage.cache_creation.input_tokens", Fact::CacheWriteTokens,       CHAT,                       H | G41,     Form::Raw),
    row("hermes.reasoning_tokens",                  Fact::ReasoningTokens,        CHAT,                       H | C,       Form::Raw),
    row("gen_ai.usage.reasoning.output_tokens",     Fact::ReasoningTokens,        CHAT,                       H | G | G41, Form::Raw),
    row("llm.token_count.prompt",                   Fact::InputTokens,            CHAT | EMBEDDING,           O,           Form::Raw),
    row("llm.token_count.completion",               Fact::OutputTokens,           CHAT,                       O,           Form::Raw),
    row("llm.token_count.total",                    Fact::InputTokens,            CHAT,                       O,           Form::TotalTokens),
    row("llm.token_count.prompt_details.cache_read", Fact::CacheReadTokens,       CHAT,                       O,           Form::Raw),
    row("llm.token_count.prompt_details.cache_write", Fact::CacheWriteTokens,     CHAT,                       O,           Form::Raw),
    row("llm.token_count.completion_details.reasoning", Fact::ReasoningTokens,    CHAT,                       O,           Form::Raw),
    row("hermes.assistant_content_chars",           Fact::AssistantContentChars,  CHAT,                       H | C,       Form::Raw),
    row("hermes.assistant_tool_call_count",         Fact::AssistantToolCallCount, CHAT,                       H | C,       Form::Raw),
    row("hermes.cost_usd",                          Fact::CostUsd,                CALL,                       H,           Form::Raw),
    row("hermes.cost_status",                       Fact::CostStatus,             CALL,                       H,           Form::Raw),
    row("hermes.cost_source",                       Fact::CostSource,             CALL,                       H,           Form::Raw),
    row("llm.cost.total",                           Fact::CostUsd,                CALL,                       O,           Form::Raw),
    row("gen_ai.system_instructions",               Fact::SystemInstructions,     CHAT,                       H | G | G41, Form::Raw),
    row("gen_ai.input.messages",                    Fact::InputMessages,          CHAT,                       H | G | G41, Form::Raw),
    row("gen_ai.output.messages",                   Fact::OutputMessages,         CHAT,                       H | G | G41, Form::Raw),
    row("gen_ai.tool.definitions",                  Fact::ToolDefinitions,        CHAT,                       H | G | G41, Form::Raw),
    row("llm.input_messages",                       Fact::InputMessages,          CHAT,                       O,           Form::FlatMessages),
    row("llm.output_messages",                      Fact::OutputMessages,         CHAT,                       O,           Form::FlatMessages),
    row("input.value",                              Fact::InputMessages,          CHAT,                       O,           Form::Raw),
    row("input.value",                              Fact::InputMessages,          EMBEDDING,                  H | O,       Form::Raw),
    row("input.mime_type",                          Fact::InputMessages,          CHAT,                       O,           Form::Mime("application/json")),
    row("output.value",                             Fact::OutputMessages,         CHAT,                       O,           Form::Raw),
    row("output.mime_type",                         Fact::OutputMessages,         CHAT,                       O,           Form::Mime("application/json")),

    // Tool.
    row("hermes.tool.name",                         Fact::ToolName,               TOOL,                       H | C,       Form::Raw),
    row("gen_ai.tool.name",                         Fact::ToolName,               TOOL,                       MOST,        Form::Raw),
    row("tool.name",                                Fact::ToolName,               TOOL,                       O,           Form::Raw),
    row("gen_ai.tool.call.id",                      Fact::ToolCallId,             TOOL,                       MOST,        Form::Raw),
    row("tool.id",                                  Fact::ToolCallId,             TOOL,                       O,           Form::Raw),
    row("gen_ai.tool.type",                         Fact::ToolType,               TOOL,                       MOST,        Form::Raw),
    row("gen_ai.tool.description",                  Fact::ToolDescription,        TOOL,                       MOST,        Form::Raw),
    row("tool.description",                         Fact::ToolDescription,        TOOL,                       O,           Form::Raw),
    row("hermes.tool.backend",                      Fact::ToolBackend,            TOOL,                       H,           Form::Raw),
    row("hermes.tool.approval",                     Fact::ToolApproval,           TOOL,                       H,           Form::Raw),
    row("hermes.tool.result_class",                 Fact::ToolResultClass,        TOOL,                       H,           Form::Raw),
    row("hermes.tool.duration_ms",                  Fact::ToolDurationMs,         TOOL,                       H,           Form::Raw),
    row("hermes.tool.args",                         Fact::ToolArguments,          TOOL,                       H | C,       Form::Cut(TOOL_CHARS)),
    row("hermes.tool.result",                       Fact::ToolResult,             TOOL,                       H | C,       Form::Cut(TOOL_CHARS)),
    row("gen_ai.tool.call.arguments",               Fact::ToolArguments,          TOOL,                       G | G41,     Form::Object("input")),
    row("gen_ai.tool.call.result",                  Fact::ToolResult,             TOOL,                       G | G41,     Form::Object("result")),
    row("tool.parameters",                          Fact::ToolArguments,          TOOL,                       O,           Form::Cut(TOOL_CHARS)),
    row("input.value",                              Fact::ToolArguments,          TOOL,                       O,           Form::Cut(TOOL_CHARS)),
    row("output.value",                             Fact::ToolResult,             TOOL,                       O,           Form::Cut(TOOL_CHARS)),

    // Embedding, retriever, reranker.
    row("gen_ai.embeddings.dimension.count",        Fact::EmbeddingDimensions,    EMBEDDING,                  MOST,        Form::Raw),
    row("gen_ai.data_source.id",                    Fact::DataSource,             RETRIEVER,                  MOST,        Form::Raw),
    row("gen_ai.retrieval.top_k",                   Fact::TopK,                   RETRIEVER,                  H | G,       Form::Raw),
    row("gen_ai.request.top_k",                     Fact::TopK,                   RETRIEVER,                  G41 | G36,   Form::Raw),
    row("reranker.top_k",                           Fact::TopK,                   RERANKER,                   H | O,       Form::Raw),
    row("gen_ai.retrieval.query.text",              Fact::Query,                  RETRIEVER,                  H | G | G41, Form::Cut(TOOL_CHARS)),
    row("gen_ai.retrieval.documents",               Fact::Documents,              RETRIEVER | RERANKER,       H | G | G41, Form::Raw),
    row("input.value",                              Fact::Query,                  RETRIEVER | RERANKER,       O,           Form::Cut(TOOL_CHARS)),
    row("reranker.query",                           Fact::Query,                  RERANKER,                   H | O,       Form::Cut(TOOL_CHARS)),
    row("output.value",                             Fact::Documents,              RETRIEVER | RERANKER,       O,           Form::Raw),
];

#[cfg(test)]
mod tests {
    use super::{Form, TABLE, attributes};
    use crate::semconv::{Fact, Kind, Naming, Profile};
    use std::collections::HashSet;

    #[test]
    fn no_span_gets_one_name_twice() {
        for kind in Kind::ALL {
            for profile in Profile::ALL {
                for openinference in [false, true] {
                    let mut seen = HashSet::new();
                    for row in attributes(
                        kind,
                        Naming {
                            profile,
                            openinference,
                        },
                    ) {
                        assert!(
                            seen.insert(row.name),
                            "{} twice on {kind:?} in {profile:?}",
                            row.name
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn every_raw_name_is_read_back_as_its_fact() {
        for row in TABLE {
            if row.form == Form::Raw && row.kinds & super::CALL == 0 && row.profiles & super::H != 0
            {
                assert_eq!(Fact::named(row.name), Some(row.fact), "{}", row.name);
            }
        }
    }

    #[test]
    fn only_calls_name_a_model_outside_classic() {
        for kind in Kind::ALL.into_iter().filter(|kind| !kind.has_model()) {
            for profile in [
                Profile::Hermes,
                Profile::GenAi,
                Profile::GenAi141,
                Profile::GenAi136,
            ] {
                for row in attributes(
                    kind,
                    Naming {
                        profile,
                        openinference: true,
                    },
                ) {
                    assert!(
                        !row.name.contains("request.model") && row.name != "gen_ai.system",
                        "{} on {kind:?}",
                        row.name
                    );
                }
            }
        }
    }
}
