//! The kinds of spans Hermes knows: one row per kind, with what each convention calls it.

use super::{Fact, Profile};

/// What a span stands for.
///
/// The string forms ([`Kind::span_kind`]) are those of `hermes.span.kind` and of
/// OpenInference's `openinference.span.kind`; two kinds may share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// One run of an agent.
    Session,
    /// A sub-agent inside a session.
    Agent,
    /// One user message answered.
    Turn,
    /// Any other annotated function.
    Step,
    /// One model call.
    Chat,
    /// One tool execution.
    Tool,
    /// One embedding call.
    Embedding,
    /// One retrieval.
    Retriever,
    /// One reranking call.
    Reranker,
    /// One wait for somebody's leave: no work, and counted as none.
    Approval,
}

/// One row of [`OPERATIONS`].
struct Operation {
    kind: Kind,
    /// The tracing name.
    span_name: &'static str,
    span_kind: &'static str,
    /// The OTel span kind: CLIENT or INTERNAL.
    is_client: bool,
    /// `gen_ai.operation.name`; a session and a plain step have none.
    genai_word: Option<&'static str>,
    /// Exported name in the profiles `hermes` and `hermes-classic`: prefix, and the fact that follows it.
    hermes_name: (&'static str, Option<Fact>),
    /// Exported name in the `genai` profiles.
    genai_name: (&'static str, Option<Fact>),
}

#[rustfmt::skip]
const OPERATIONS: [Operation; 10] = [
    Operation { kind: Kind::Session,   span_name: "hermes.session",   span_kind: "AGENT",     is_client: false, genai_word: None,                 hermes_name: ("hermes.session", None),                        genai_name: ("hermes.session", None) },
    Operation { kind: Kind::Agent,     span_name: "hermes.agent",     span_kind: "AGENT",     is_client: false, genai_word: Some("invoke_agent"), hermes_name: ("invoke_agent ", Some(Fact::AgentName)),        genai_name: ("invoke_agent ", Some(Fact::AgentName)) },
    Operation { kind: Kind::Turn,      span_name: "hermes.turn",      span_kind: "CHAIN",     is_client: false, genai_word: Some("invoke_agent"), hermes_name: ("hermes.turn", None),                           genai_name: ("invoke_agent ", Some(Fact::AgentName)) },
    Operation { kind: Kind::Step,      span_name: "hermes.step",      span_kind: "CHAIN",     is_client: false, genai_word: None,                 hermes_name: ("", Some(Fact::FunctionName)),                  genai_name: ("", Some(Fact::FunctionName)) },
    Operation { kind: Kind::Chat,      span_name: "hermes.chat",      span_kind: "LLM",       is_client: true,  genai_word: Some("chat"),         hermes_name: ("chat ", Some(Fact::RequestModel)),             genai_name: ("chat ", Some(Fact::RequestModel)) },
    Operation { kind: Kind::Tool,      span_name: "hermes.tool",      span_kind: "TOOL",      is_client: false, genai_word: Some("execute_tool"), hermes_name: ("hermes.tool.", Some(Fact::ToolName)),          genai_name: ("execute_tool ", Some(Fact::ToolName)) },
    Operation { kind: Kind::Embedding, span_name: "hermes.embedding", span_kind: "EMBEDDING", is_client: true,  genai_word: Some("embeddings"),   hermes_name: ("embeddings ", Some(Fact::RequestModel)),       genai_name: ("embeddings ", Some(Fact::RequestModel)) },
    Operation { kind: Kind::Retriever, span_name: "hermes.retriever", span_kind: "RETRIEVER", is_client: true,  genai_word: Some("retrieval"),    hermes_name: ("retrieval ", Some(Fact::DataSource)),          genai_name: ("retrieval ", Some(Fact::DataSource)) },
    Operation { kind: Kind::Reranker,  span_name: "hermes.reranker",  span_kind: "RERANKER",  is_client: true,  genai_word: Some("rerank"),       hermes_name: ("rerank ", Some(Fact::RequestModel)),           genai_name: ("rerank ", Some(Fact::RequestModel)) },
    Operation { kind: Kind::Approval,  span_name: "hermes.approval",  span_kind: "CHAIN",     is_client: false, genai_word: None,                 hermes_name: ("hermes.approval", None),                       genai_name: ("hermes.approval", None) },
];

/// Values of `gen_ai.operation.name` and of what stands for it.
#[rustfmt::skip]
const OPERATION_WORDS: [(&[&str], Kind); 8] = [
    (&["chat", "generate_content", "text_completion", "fetch_response",
       // rig's, of several versions.
       "chat_streaming", "interactions", "interactions_streaming", "transcription", "image_generation", "audio_generation",
       // OpenLLMetry's `llm.request.type`.
       "completion",
       // The `ai.operationId` of Vercel's SDK: the outer span sums up, the inner one calls.
       "ai.generateText.doGenerate", "ai.streamText.doStream", "ai.generateObject.doGenerate", "ai.streamObject.doStream"], Kind::Chat),
    (&["embeddings", "embedding", "ai.embed.doEmbed", "ai.embedMany.doEmbed"], Kind::Embedding),
    (&["retrieval"], Kind::Retriever),
    (&["rerank", "ai.rerank.doRerank"], Kind::Reranker),
    (&["execute_tool", "ai.toolCall"], Kind::Tool),
    (&["invoke_agent", "ai.generateText", "ai.streamText", "ai.generateObject", "ai.streamObject"], Kind::Agent),
    (&["handle_conversation_turn"], Kind::Turn),
    (&["create_agent", "invoke_workflow", "plan", "ai.embed", "ai.embedMany", "ai.rerank"], Kind::Step),
];

/// Values of `hermes.span.kind`, `openinference.span.kind`, `traceloop.span.kind` and
/// `langfuse.observation.type`, in whatever case they are written.
const SPAN_KIND_WORDS: [(&str, Kind); 15] = [
    ("AGENT", Kind::Agent),
    ("CHAIN", Kind::Step),
    ("LLM", Kind::Chat),
    ("TOOL", Kind::Tool),
    ("EMBEDDING", Kind::Embedding),
    ("RETRIEVER", Kind::Retriever),
    ("RERANKER", Kind::Reranker),
    ("GENERATION", Kind::Chat),
    ("WORKFLOW", Kind::Step),
    ("TASK", Kind::Step),
    ("GUARDRAIL", Kind::Step),
    ("EVALUATOR", Kind::Step),
    ("SPAN", Kind::Step),
    ("EVENT", Kind::Step),
    ("PROMPT", Kind::Step),
];

/// The prefix of a tool span that carries the tool in its name: `hermes.tool.{name}`.
const NAMED_TOOL: &str = "hermes.tool.";

impl Kind {
    /// Every kind, in table order.
    pub(crate) const ALL: [Kind; 10] = [
        Kind::Session,
        Kind::Agent,
        Kind::Turn,
        Kind::Step,
        Kind::Chat,
        Kind::Tool,
        Kind::Embedding,
        Kind::Retriever,
        Kind::Reranker,
        Kind::Approval,
    ];

    const fn row(self) -> &'static Operation {
        &OPERATIONS[self as usize]
    }

    /// The value of `hermes.span.kind`: AGENT, CHAIN, LLM, TOOL, EMBEDDING, RETRIEVER or RERANKER.
    #[must_use]
    pub const fn span_kind(self) -> &'static str {
        self.row().span_kind
    }

    /// The name of the `tracing` span: `hermes.chat`, for instance.
    #[must_use]
    pub const fn span_name(self) -> &'static str {
        self.row().span_name
    }

    /// Whether the OTel span kind is CLIENT (a call to a model or a data source); else INTERNAL.
    #[must_use]
    pub const fn is_client(self) -> bool {
        self.row().is_client
    }

    /// The usual `gen_ai.operation.name`.
    pub(crate) const fn operation(self) -> Option<&'static str> {
        self.row().genai_word
    }

    /// What a span's `tracing` name alone says.
    ///
    /// The alias `chat` counts only with one of our fields or a `gen_ai.*` field beside it (see
    /// [`Kind::of_callsite`]).
    pub(crate) fn of_span_name(name: &str) -> Option<Kind> {
        if name.starts_with(NAMED_TOOL) {
            return Some(Kind::Tool);
        }
        OPERATIONS
            .iter()
            .find(|row| row.span_name == name)
            .map(|row| row.kind)
    }

    /// The tool that a span named `hermes.tool.{name}` runs.
    pub(crate) fn tool_in_span_name(name: &str) -> Option<&str> {
        name.strip_prefix(NAMED_TOOL)
            .filter(|tool| !tool.is_empty())
    }

    /// What a callsite's name and field names say, before any value is known.
    ///
    /// `chat` is a common word in other libraries, and what every function of that name is called
    /// under `#[instrument]`: it is our alias only where the span states something of a model's call
    /// and leaves its operation unsaid.
    pub(crate) fn of_callsite(name: &str, fields: &[Option<Fact>]) -> Option<Kind> {
        Kind::of_span_name(name).or_else(|| {
            let is_alias = name == "chat"
                && !fields.contains(&Some(Fact::Operation))
                && fields.iter().flatten().any(|fact| is_of_call(*fact));
            is_alias.then_some(Kind::Chat)
        })
    }

    /// The kind that a value of `gen_ai.operation.name` stands for, in the words of the conventions
    /// and of the libraries that have others.
    pub(crate) fn of_operation(operation: &str) -> Option<Kind> {
        OPERATION_WORDS
            .iter()
            .find(|(words, _)| words.contains(&operation))
            .map(|&(_, kind)| kind)
    }

    /// An operation as the conventions spell it, where they know it by another word.
    pub(crate) fn usual_operation(self, operation: &str) -> Option<&'static str> {
        match operation {
            "chat_streaming" | "interactions" | "interactions_streaming" => Some("chat"),
            "completion" => Some("text_completion"),
            "embedding" => Some("embeddings"),
            other if other.starts_with("ai.") => self.operation(),
            _ => None,
        }
    }

    /// Whether a model call is named after its operation: what it makes is no chat.
    pub(crate) fn is_named_by_operation(operation: &str) -> bool {
        matches!(
            operation,
            "transcription" | "image_generation" | "audio_generation"
        )
    }

    /// The kind that a value of `hermes.span.kind`, `openinference.span.kind`,
    /// `traceloop.span.kind` or `langfuse.observation.type` stands for.
    pub(crate) fn of_span_kind(span_kind: &str) -> Option<Kind> {
        SPAN_KIND_WORDS
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(span_kind.trim()))
            .map(|&(_, kind)| kind)
    }

    /// The exported name: prefix, and the fact that completes it.
    pub(crate) const fn exported_name(self, profile: Profile) -> (&'static str, Option<Fact>) {
        match profile {
            Profile::Hermes | Profile::Classic => self.row().hermes_name,
            Profile::GenAi | Profile::GenAi141 | Profile::GenAi136 => self.row().genai_name,
        }
    }

    /// Whether the span is a call that carries a model: the only kinds that may name one.
    pub(crate) const fn has_model(self) -> bool {
        self.row().is_client
    }
}

/// Whether only a call to a model states the fact.
const fn is_of_call(fact: Fact) -> bool {
    fact.is_of_response()
        || matches!(
            fact,
            Fact::RequestModel
                | Fact::Model
                | Fact::Provider
                | Fact::InputMessages
                | Fact::OutputMessages
                | Fact::Temperature
                | Fact::MaxTokens
                | Fact::Stream
                | Fact::BaseUrl
                | Fact::ApiMode
                | Fact::MessageCount
        )
}

/// The entrypoint that a platform belongs to (SPEC section 2).
pub(crate) fn entrypoint_of(platform: &str) -> &'static str {
    match platform.trim().to_ascii_lowercase().as_str() {
        "telegram" | "discord" | "slack" | "whatsapp" | "signal" | "matrix" | "email" | "sms"
        | "teams" | "feishu" | "wecom" | "line" | "google_chat" | "gateway" => "gateway",
        "tui" => "tui",
        "api" | "api_server" | "openai_api" => "api",
        "cron" => "cron",
        "batch" => "batch",
        "acp" => "acp",
        _ => "cli",
    }
}

#[cfg(test)]
mod tests {
    use super::{Fact, Kind, OPERATIONS, entrypoint_of};

    #[test]
    fn rows_stand_in_the_order_of_the_enum() {
        for (kind, row) in Kind::ALL.into_iter().zip(&OPERATIONS) {
            assert_eq!(kind, row.kind);
            assert_eq!(Kind::of_span_name(row.span_name), Some(kind));
        }
    }

    #[test]
    fn a_tool_may_carry_its_name_in_the_span_name() {
        assert_eq!(
            Kind::of_span_name("hermes.tool.read_file"),
            Some(Kind::Tool)
        );
        assert_eq!(
            Kind::tool_in_span_name("hermes.tool.read_file"),
            Some("read_file")
        );
        assert_eq!(Kind::tool_in_span_name("hermes.tool"), None);
    }

    #[test]
    fn the_word_chat_alone_says_nothing() {
        assert_eq!(Kind::of_callsite("chat", &[None]), None);
        assert_eq!(Kind::of_callsite("chat", &[Some(Fact::Operation)]), None);
        assert_eq!(
            Kind::of_callsite("chat", &[None, Some(Fact::RequestModel)]),
            Some(Kind::Chat)
        );
        assert_eq!(Kind::of_callsite("chat", &[]), None);
        assert_eq!(Kind::of_callsite("chat", &[Some(Fact::SessionId)]), None);
    }

    #[test]
    fn platforms_lead_to_entrypoints() {
        for (platform, entrypoint) in [
            ("", "cli"),
            ("desktop", "cli"),
            ("Telegram", "gateway"),
            ("google_chat", "gateway"),
            ("tui", "tui"),
            ("api_server", "api"),
            ("cron", "cron"),
            ("something else", "cli"),
        ] {
            assert_eq!(entrypoint_of(platform), entrypoint, "{platform}");
        }
    }
}
