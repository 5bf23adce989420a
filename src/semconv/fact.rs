//! Every fact Hermes knows about a span, and every name it is read by: one row each.
//!
//! Capture reads this table: a field's name gives the fact. What a fact is called on the way out
//! stands in [`super::table`]. No other file spells these names.

use super::Sensitivity;

macro_rules! facts {
    ($($fact:ident $constant:ident $sensitivity:ident $name:literal [$($alias:literal),*])*) => {
        /// Something that can be known about a span.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[doc(hidden)]
        #[repr(u8)]
        pub enum Fact {
            $(#[doc = concat!("`", $name, "`.")] $fact,)*
        }

        impl Fact {
            /// Every fact, in table order.
            pub(crate) const ALL: &'static [Fact] = &[$(Fact::$fact),*];

            /// The name the macros record the fact under.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Fact::$fact => $name,)* }
            }

            /// Every name the fact is read by, its own first.
            #[cfg(test)]
            pub(crate) const fn names(self) -> &'static [&'static str] {
                match self { $(Fact::$fact => &[$name $(, $alias)*],)* }
            }

            /// Whether the fact may be kept without the operator's consent to content.
            pub(crate) const fn sensitivity(self) -> Sensitivity {
                match self { $(Fact::$fact => Sensitivity::$sensitivity,)* }
            }

            /// The fact that a field of this name states.
            pub(crate) fn named(name: &str) -> Option<Fact> {
                match name {
                    $($name $(| $alias)* => Some(Fact::$fact),)*
                    _ => None,
                }
            }
        }

        /// Field names for macro expansions, which spell none of their own.
        #[doc(hidden)]
        pub mod field {
            pub use crate::semconv::contract::{
                RIG_CACHE_CREATION_TOKENS, RIG_COMPLETION_PARENT, RIG_REASONING_TOKENS,
                RIG_TOOL_USE_PROMPT_TOKENS,
            };
            $(#[doc = concat!("`", $name, "`.")] pub const $constant: &str = $name;)*
        }
    };
}

#[rustfmt::skip]
facts! {
//  fact                    constant                  sensitivity  name                                       also read as

    // What the span is.
    SpanKind                SPAN_KIND                 Plain        "hermes.span.kind"                         ["openinference.span.kind", "traceloop.span.kind", "langfuse.type", "langfuse.observation.type"]
    Operation               OPERATION                 Plain        "gen_ai.operation.name"                    ["llm.request.type", "ai.operationId"]
    FunctionName            FUNCTION_NAME             Plain        "code.function.name"                       []
    OtelKind                OTEL_KIND                 Plain        "otel.kind"                                []
    OtelName                OTEL_NAME                 Plain        "otel.name"                                []
    OtelStatusCode          OTEL_STATUS_CODE          Plain        "otel.status_code"                         []
    OtelStatusDescription   OTEL_STATUS_DESCRIPTION   Plain        "otel.status_description"                  []
    ErrorType               ERROR_TYPE                Plain        "error.type"                               ["gen_ai.tool.error.type"]
    ErrorText               ERROR_TEXT                Plain        "error.message"                            []
    EntityName              ENTITY_NAME               Plain        "traceloop.entity.name"                    []

    // Whose it is.
    SessionId               SESSION_ID                Plain        "hermes.session.id"                        ["gen_ai.conversation.id", "session.id", "langfuse.session.id", "traceloop.association.properties.session_id"]
    Model                   MODEL                     Plain        "hermes.model"                             []
    Platform                PLATFORM                  Plain        "hermes.platform"                          []
    Entrypoint              ENTRYPOINT                Plain        "hermes.entrypoint"                        []
    AgentName               AGENT_NAME                Plain        "gen_ai.agent.name"                        ["agent.name"]
    AgentDescription        AGENT_DESCRIPTION         Plain        "gen_ai.agent.description"                 []

    // Sub-agents, and where they come from.
    AgentId                 AGENT_ID                  Plain        "gen_ai.agent.id"                          ["agent.id"]
    AgentRole               AGENT_ROLE                Plain        "hermes.subagent.role"                     []
    AgentGoal               AGENT_GOAL                Content      "hermes.subagent.goal"                     []
    AgentDepth              AGENT_DEPTH               Plain        "hermes.subagent.depth"                    []
    ParentAgentName         PARENT_AGENT_NAME         Plain        "hermes.subagent.parent_name"              []
    ParentAgentId           PARENT_AGENT_ID           Plain        "hermes.subagent.parent_id"                []
    ParentAgentSpan         PARENT_AGENT_SPAN         Plain        "hermes.subagent.parent_span_id"           []
    ParentSessionId         PARENT_SESSION_ID         Plain        "hermes.subagent.parent_session_id"        []

    // Human waits.
    ApprovalSubject         APPROVAL_SUBJECT          Plain        "hermes.approval.subject"                  []
    ApprovalSurface         APPROVAL_SURFACE          Plain        "hermes.approval.surface"                  []
    ApprovalDecision        APPROVAL_DECISION         Plain        "hermes.approval.decision"                 []
    ApprovalRequest         APPROVAL_REQUEST          Content      "hermes.approval.request"                  []
    WaitMs                  WAIT_MS                   Plain        "hermes.wait_ms"                           []

    // Session, at its close.
    SessionCompleted        SESSION_COMPLETED         Plain        "hermes.session.completed"                 []
    SessionInterrupted      SESSION_INTERRUPTED       Plain        "hermes.session.interrupted"               []
    TotalTurns              TOTAL_TURNS               Plain        "hermes.session.total_turns"               []
    EndReason               END_REASON                Plain        "hermes.session.end_reason"                []

    // Turn.
    TurnIndex               TURN_INDEX                Plain        "hermes.turn.index"                        []
    IsFirstTurn             IS_FIRST_TURN             Plain        "hermes.is_first_turn"                     []
    ApiCallCount            API_CALL_COUNT            Plain        "hermes.turn.api_call_count"               []
    ToolCallCount           TOOL_CALL_COUNT           Plain        "hermes.turn.tool_call_count"              []
    TurnDurationS           TURN_DURATION_S           Plain        "hermes.turn.duration_s"                   []
    TurnInputTokens         TURN_INPUT_TOKENS         Plain        "hermes.turn.input_tokens"                 []
    TurnOutputTokens        TURN_OUTPUT_TOKENS        Plain        "hermes.turn.output_tokens"                []
    TurnCostUsd             TURN_COST_USD             Plain        "hermes.turn.cost_usd"                     []
    FinalStatus             FINAL_STATUS              Plain        "hermes.turn.final_status"                 []
    UserMessage             USER_MESSAGE              Content      "hermes.turn.user_message"                 ["input.value", "traceloop.entity.input", "langfuse.observation.input"]
    AssistantResponse       ASSISTANT_RESPONSE        Content      "hermes.turn.assistant_response"           ["output.value", "traceloop.entity.output", "langfuse.observation.output"]

    // Model call: who was asked for what.
    Provider                PROVIDER                  Plain        "gen_ai.provider.name"                     ["gen_ai.system", "hermes.provider", "llm.provider", "llm.system", "llm.vendor", "ai.model.provider"]
    RequestModel            REQUEST_MODEL             Plain        "gen_ai.request.model"                     ["llm.request.model_name", "llm.model_name", "embedding.model_name", "reranker.model_name", "ai.model.id", "langfuse.observation.model.name"]
    ApiCallNumber           API_CALL_NUMBER           Plain        "hermes.api_call_number"                   []
    ApiMode                 API_MODE                  Plain        "hermes.api_mode"                          []
    MessageCount            MESSAGE_COUNT             Plain        "hermes.message_count"                     []
    ToolCount               TOOL_COUNT                Plain        "hermes.tool_count"                        []
    ApproxInputTokens       APPROX_INPUT_TOKENS       Plain        "hermes.approx_input_tokens"               []
    RetryCount              RETRY_COUNT               Plain        "hermes.retry_count"                       []
    ServerAddress           SERVER_ADDRESS            Plain        "server.address"                           []
    ServerPort              SERVER_PORT               Plain        "server.port"                              []
    BaseUrl                 BASE_URL                  Plain        "hermes.base_url"                          []
    Stream                  STREAM                    Plain        "gen_ai.request.stream"                    ["llm.is_streaming"]
    Temperature             TEMPERATURE               Plain        "gen_ai.request.temperature"               ["llm.temperature", "ai.settings.temperature"]
    TopP                    TOP_P                     Plain        "gen_ai.request.top_p"                     ["llm.top_p", "ai.settings.topP"]
    RequestTopK             REQUEST_TOP_K             Plain        "gen_ai.request.top_k"                     ["ai.settings.topK"]
    MaxTokens               MAX_TOKENS                Plain        "gen_ai.request.max_tokens"                ["llm.max_tokens", "ai.settings.maxTokens", "ai.settings.maxOutputTokens"]
    FrequencyPenalty        FREQUENCY_PENALTY         Plain        "gen_ai.request.frequency_penalty"         []
    PresencePenalty         PRESENCE_PENALTY          Plain        "gen_ai.request.presence_penalty"          []
    Seed                    SEED                      Plain        "gen_ai.request.seed"                      []
    StopSequences           STOP_SEQUENCES            Content      "gen_ai.request.stop_sequences"            []
    ChoiceCount             CHOICE_COUNT              Plain        "gen_ai.request.choice.count"              []
    ReasoningLevel          REASONING_LEVEL           Plain        "gen_ai.request.reasoning.level"           []
    PreviousResponseId      PREVIOUS_RESPONSE_ID      Plain        "gen_ai.request.previous_response.id"      []
    OutputType              OUTPUT_TYPE               Plain        "gen_ai.output.type"                       []

    // Model call: what came back.
    ResponseModel           RESPONSE_MODEL            Plain        "gen_ai.response.model"                    ["llm.response.model_name", "ai.response.model"]
    ResponseId              RESPONSE_ID               Plain        "gen_ai.response.id"                       ["ai.response.id", "llm.response.id"]
    FinishReasons           FINISH_REASONS            Plain        "gen_ai.response.finish_reasons"           ["llm.finish_reason", "gen_ai.response.finish_reason", "llm.response.finish_reason", "llm.response.stop_reason", "ai.response.finishReason", "gen_ai.completion.0.finish_reason", "gen_ai.response.stop_reason"]
    TimeToFirstChunk        TIME_TO_FIRST_CHUNK       Plain        "gen_ai.response.time_to_first_chunk"      ["gen_ai.response.time_to_first_token", "gen_ai.server.time_to_first_token"]
    ChunkCount              CHUNK_COUNT               Plain        "hermes.chunk_count"                       []
    InputTokens             INPUT_TOKENS              Plain        "gen_ai.usage.input_tokens"                ["gen_ai.usage.prompt_tokens", "llm.token_count.prompt", "llm.usage.prompt_tokens", "llm.usage.input_tokens", "ai.usage.promptTokens", "ai.usage.inputTokens", "ai.usage.tokens"]
    OutputTokens            OUTPUT_TOKENS             Plain        "gen_ai.usage.output_tokens"               ["gen_ai.usage.completion_tokens", "llm.token_count.completion", "llm.usage.completion_tokens", "llm.usage.output_tokens", "ai.usage.completionTokens", "ai.usage.outputTokens"]
    CacheReadTokens         CACHE_READ_TOKENS         Plain        "gen_ai.usage.cache_read.input_tokens"     ["hermes.cache.read_tokens", "gen_ai.usage.cache_read_tokens", "llm.token_count.prompt_details.cache_read", "gen_ai.usage.cache_read_input_tokens", "gen_ai.usage.cached_tokens", "gen_ai.usage.cached_input_tokens", "llm.usage.cache_read_input_tokens", "ai.usage.cachedInputTokens", "gen_ai.usage.cache_read", "gen_ai.usage.input_tokens.cached", "gen_ai.usage.details.cache_read_tokens", "gen_ai.usage.details.cache_read_input_tokens", "gen_ai.usage.details.cached_tokens", "gen_ai.usage.input_tokens_details.cached_tokens", "gen_ai.usage.prompt_tokens_details.cached_tokens", "llm.token_count.prompt_details.cache_input", "ai.usage.inputTokenDetails.cacheReadTokens"]
    CacheWriteTokens        CACHE_WRITE_TOKENS        Plain        "gen_ai.usage.cache_write.input_tokens"    ["hermes.cache.write_tokens", "gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_creation_tokens", "llm.token_count.prompt_details.cache_write", "gen_ai.usage.cache_creation_input_tokens", "gen_ai.usage.cache_write_tokens", "gen_ai.usage.cache_write_input_tokens", "llm.usage.cache_creation_input_tokens", "gen_ai.usage.cache_creation", "gen_ai.usage.cache_write", "gen_ai.usage.details.cache_write_tokens", "gen_ai.usage.details.cache_creation_tokens", "gen_ai.usage.details.cache_creation_input_tokens", "ai.usage.inputTokenDetails.cacheWriteTokens"]
    ReasoningTokens         REASONING_TOKENS          Plain        "gen_ai.usage.reasoning.output_tokens"     ["hermes.reasoning_tokens", "gen_ai.usage.reasoning_tokens", "gen_ai.usage.thinking_tokens", "llm.token_count.completion_details.reasoning", "gen_ai.usage.reasoning_output_tokens", "llm.usage.reasoning_tokens", "ai.usage.reasoningTokens", "gen_ai.usage.output_tokens.reasoning", "gen_ai.usage.details.reasoning_tokens", "gen_ai.usage.output_tokens_details.reasoning_tokens", "gen_ai.usage.completion_tokens_details.reasoning_tokens", "gen_ai.usage.thoughts_tokens", "ai.usage.outputTokenDetails.reasoningTokens"]
    TotalTokens             TOTAL_TOKENS              Plain        "gen_ai.usage.total_tokens"                ["llm.usage.total_tokens", "llm.token_count.total", "ai.usage.totalTokens"]
    AssistantContentChars   ASSISTANT_CONTENT_CHARS   Plain        "hermes.assistant_content_chars"           []
    AssistantToolCallCount  ASSISTANT_TOOL_CALL_COUNT Plain        "hermes.assistant_tool_call_count"         []
    CostUsd                 COST_USD                  Plain        "hermes.cost_usd"                          ["llm.cost.total", "gen_ai.usage.cost", "gen_ai.usage.total_cost", "gen_ai.usage.cost_usd", "llm.usage.total_cost"]
    CostStatus              COST_STATUS               Plain        "hermes.cost_status"                       []
    CostSource              COST_SOURCE               Plain        "hermes.cost_source"                       []
    InputMessages           INPUT_MESSAGES            Content      "gen_ai.input.messages"                    ["gen_ai.prompt", "llm.input_messages", "llm.prompts", "ai.prompt", "ai.prompt.messages"]
    OutputMessages          OUTPUT_MESSAGES           Content      "gen_ai.output.messages"                   ["gen_ai.completion", "llm.output_messages", "llm.completions", "ai.response.text"]
    SystemInstructions      SYSTEM_INSTRUCTIONS       Content      "gen_ai.system_instructions"               []
    ToolDefinitions         TOOL_DEFINITIONS          Content      "gen_ai.tool.definitions"                  []

    // Tool.
    ToolName                TOOL_NAME                 Plain        "gen_ai.tool.name"                         ["hermes.tool.name", "tool.name", "ai.toolCall.name", "tool_call.function.name"]
    ToolCallId              TOOL_CALL_ID              Plain        "gen_ai.tool.call.id"                      ["tool.id", "gen_ai.tool.call_id", "ai.toolCall.id", "tool_call.id"]
    ToolType                TOOL_TYPE                 Plain        "gen_ai.tool.type"                         []
    ToolDescription         TOOL_DESCRIPTION          Plain        "gen_ai.tool.description"                  ["tool.description"]
    ToolBackend             TOOL_BACKEND              Plain        "hermes.tool.backend"                      []
    ToolApproval            TOOL_APPROVAL             Plain        "hermes.tool.approval"                     []
    ToolResultClass         TOOL_RESULT_CLASS         Plain        "hermes.tool.result_class"                 ["gen_ai.tool.call.outcome"]
    ToolDurationMs          TOOL_DURATION_MS          Plain        "hermes.tool.duration_ms"                  []
    ToolArguments           TOOL_ARGUMENTS            Content      "hermes.tool.args"                         ["gen_ai.tool.call.arguments", "tool.parameters", "gen_ai.tool.arguments", "ai.toolCall.args", "ai.toolCall.input", "tool_call.function.arguments", "tool.arguments"]
    ToolResult              TOOL_RESULT               Content      "hermes.tool.result"                       ["gen_ai.tool.call.result", "gen_ai.tool.result", "ai.toolCall.result", "ai.toolCall.output", "tool.result"]

    // Embedding, retriever, reranker.
    EmbeddingDimensions     EMBEDDING_DIMENSIONS      Plain        "gen_ai.embeddings.dimension.count"        []
    DataSource              DATA_SOURCE               Plain        "gen_ai.data_source.id"                    []
    TopK                    TOP_K                     Plain        "gen_ai.retrieval.top_k"                   []
    Query                   QUERY                     Content      "gen_ai.retrieval.query.text"              ["reranker.query"]
    Documents               DOCUMENTS                 Content      "gen_ai.retrieval.documents"               ["retrieval.documents", "reranker.output_documents"]
}

impl Fact {
    /// The fact that a field states on a span of another library. On an event, and on our own spans,
    /// the same words may tell of something else.
    pub(crate) fn named_by_others(name: &str) -> Option<Fact> {
        match name {
            "error" | "exception.message" => Some(Fact::ErrorText),
            "exception.type" => Some(Fact::ErrorType),
            _ => Fact::named(name),
        }
    }

    /// Whether the fact tells something of a model's answer.
    pub(crate) const fn is_of_response(self) -> bool {
        matches!(
            self,
            Fact::ResponseModel
                | Fact::ResponseId
                | Fact::FinishReasons
                | Fact::TimeToFirstChunk
                | Fact::InputTokens
                | Fact::OutputTokens
                | Fact::TotalTokens
        )
    }

    /// Whether the fact is a whole number.
    pub(crate) const fn is_int(self) -> bool {
        matches!(
            self,
            Fact::TotalTurns
                | Fact::AgentDepth
                | Fact::WaitMs
                | Fact::TurnIndex
                | Fact::ApiCallCount
                | Fact::ToolCallCount
                | Fact::TurnInputTokens
                | Fact::TurnOutputTokens
                | Fact::ApiCallNumber
                | Fact::MessageCount
                | Fact::ToolCount
                | Fact::ApproxInputTokens
                | Fact::RetryCount
                | Fact::ToolDurationMs
                | Fact::ServerPort
                | Fact::RequestTopK
                | Fact::MaxTokens
                | Fact::Seed
                | Fact::ChoiceCount
                | Fact::InputTokens
                | Fact::OutputTokens
                | Fact::CacheReadTokens
                | Fact::CacheWriteTokens
                | Fact::ReasoningTokens
                | Fact::TotalTokens
                | Fact::AssistantContentChars
                | Fact::ChunkCount
                | Fact::AssistantToolCallCount
                | Fact::EmbeddingDimensions
                | Fact::TopK
        )
    }

    /// Whether the fact is a number of tokens, which is never below nothing.
    pub(crate) const fn is_count(self) -> bool {
        matches!(
            self,
            Fact::InputTokens
                | Fact::OutputTokens
                | Fact::CacheReadTokens
                | Fact::CacheWriteTokens
                | Fact::ReasoningTokens
                | Fact::TotalTokens
        )
    }

    /// Whether the fact is an amount.
    pub(crate) const fn is_double(self) -> bool {
        matches!(
            self,
            Fact::TurnDurationS
                | Fact::TurnCostUsd
                | Fact::Temperature
                | Fact::TopP
                | Fact::FrequencyPenalty
                | Fact::PresencePenalty
                | Fact::TimeToFirstChunk
                | Fact::CostUsd
        )
    }

    /// Whether the fact is a truth value.
    pub(crate) const fn is_bool(self) -> bool {
        matches!(
            self,
            Fact::SessionCompleted | Fact::SessionInterrupted | Fact::IsFirstTurn | Fact::Stream
        )
    }

    /// Whether the fact is a list of words.
    pub(crate) const fn is_list(self) -> bool {
        matches!(self, Fact::FinishReasons | Fact::StopSequences)
    }
}

#[cfg(test)]
mod tests {
    use super::Fact;

    #[test]
    fn every_name_leads_back_to_its_fact() {
        for &fact in Fact::ALL {
            for name in fact.names() {
                assert_eq!(Fact::named(name), Some(fact), "{name}");
            }
        }
        assert_eq!(Fact::named("order.id"), None);
    }
}
