//! The kinds of spans and the one table of their arguments, by which they are read, refused and expanded.
//!
//! What an argument may be called, where it is allowed, what it becomes and what stands in its place
//! when it is not given is written in [`KEYWORDS`] alone.

use syn::Ident;

/// What the annotated function is in the life of an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Session,
    Agent,
    Turn,
    Step,
    Chat,
    Tool,
    Embedding,
    Retriever,
    Reranker,
    Approval,
}

/// What every span of a kind says about itself.
pub(crate) struct Profile {
    pub(crate) kind: Kind,
    /// As the attribute is spelled; the span is named `hermes.` and this.
    pub(crate) word: &'static str,
    pub(crate) span_kind: &'static str,
    pub(crate) otel_kind: &'static str,
    pub(crate) operation: Option<&'static str>,
    /// Fields that become known while the span runs and have no keyword.
    pub(crate) late: &'static [&'static str],
}

/// One argument: its name, the kinds that take it, what it becomes, and what happens without it.
pub(crate) struct Keyword {
    pub(crate) name: &'static str,
    pub(crate) kinds: &'static [Kind],
    pub(crate) becomes: Becomes,
    pub(crate) absent: Absent,
}

/// How an argument is lowered. Strings are the names of constants and variants in the library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Becomes {
    /// A field of the span.
    Field(&'static str),
    /// Content: handed to the hermes layer, never a field, because other layers print fields.
    Content(&'static str),
    /// The fields for host and port; the whole URL goes the way of content.
    Url,
    /// The request of a model call, read as JSON.
    Request,
    /// A bare word that asks for the returned value.
    Flag,
    /// A bare word: the returned stream carries the span on.
    Stream,
    SpanName,
    Target,
    Level,
    Fields,
    Parent,
    FollowsFrom,
    Crate,
}

/// What stands in the place of an argument that is not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    Nothing,
    /// The field is declared empty, so that it can be recorded later.
    Late,
    FunctionName,
    Literal(&'static str),
    Required,
}

#[rustfmt::skip]
pub(crate) const PROFILES: &[Profile] = {
    use Kind::{Agent, Approval, Chat, Embedding, Reranker, Retriever, Session, Step, Tool, Turn};
    &[
        Profile { kind: Session,   word: "session",   span_kind: "AGENT",     otel_kind: "internal", operation: None,                 late: &["END_REASON"] },
        Profile { kind: Agent,     word: "agent",     span_kind: "AGENT",     otel_kind: "internal", operation: Some("invoke_agent"), late: &[] },
        Profile { kind: Turn,      word: "turn",      span_kind: "CHAIN",     otel_kind: "internal", operation: Some("invoke_agent"), late: &[] },
        Profile { kind: Step,      word: "step",      span_kind: "CHAIN",     otel_kind: "internal", operation: None,                 late: &[] },
        Profile { kind: Chat,      word: "chat",      span_kind: "LLM",       otel_kind: "client",   operation: Some("chat"),         late: CHAT_LATE },
        Profile { kind: Tool,      word: "tool",      span_kind: "TOOL",      otel_kind: "internal", operation: Some("execute_tool"), late: &["TOOL_RESULT_CLASS"] },
        Profile { kind: Embedding, word: "embedding", span_kind: "EMBEDDING", otel_kind: "client",   operation: Some("embeddings"),   late: &["RESPONSE_MODEL", "RESPONSE_ID", "INPUT_TOKENS"] },
        Profile { kind: Retriever, word: "retriever", span_kind: "RETRIEVER", otel_kind: "client",   operation: Some("retrieval"),    late: &[] },
        Profile { kind: Reranker,  word: "reranker",  span_kind: "RERANKER",  otel_kind: "client",   operation: Some("rerank"),       late: &[] },
        Profile { kind: Approval,  word: "approval",  span_kind: "CHAIN",     otel_kind: "internal", operation: None,                 late: &["APPROVAL_DECISION"] },
    ]
};

const CHAT_LATE: &[&str] = &[
    "RESPONSE_MODEL",
    "RESPONSE_ID",
    "FINISH_REASONS",
    "INPUT_TOKENS",
    "OUTPUT_TOKENS",
    "CACHE_READ_TOKENS",
    "CACHE_WRITE_TOKENS",
    "REASONING_TOKENS",
    "TIME_TO_FIRST_CHUNK",
    "COST_USD",
    // rig fills a span that declares these and does not make one of its own: its contract with
    // whoever opens the span of a model call, in its own spelling where that differs from ours.
    "RIG_COMPLETION_PARENT",
    "RIG_CACHE_CREATION_TOKENS",
    "RIG_REASONING_TOKENS",
    "RIG_TOOL_USE_PROMPT_TOKENS",
    "SYSTEM_INSTRUCTIONS",
    "INPUT_MESSAGES",
    "OUTPUT_MESSAGES",
    // It fills this one where it is there.
    "STREAM",
];

#[rustfmt::skip]
pub(crate) const KEYWORDS: &[Keyword] = {
    use Absent::{FunctionName, Late, Literal, Nothing, Required};
    use Becomes::{Content, Crate, Field, Fields, Flag, FollowsFrom, Level, Parent, Request, SpanName, Stream, Target, Url};
    use Kind::{Agent, Approval, Chat, Embedding, Reranker, Retriever, Session, Step, Tool, Turn};
    const EVERY: &[Kind] = &[Session, Agent, Turn, Step, Chat, Tool, Embedding, Retriever, Reranker, Approval];
    const STREAMING: &[Kind] = &[Session, Agent, Turn, Step, Chat, Tool, Retriever];
    &[
        keyword("id",                  &[Session],                               Field("SESSION_ID"),           Required),
        keyword("name",                &[Agent],                                 Field("AGENT_NAME"),           FunctionName),
        keyword("name",                &[Tool],                                  Field("TOOL_NAME"),            FunctionName),
        keyword("id",                  &[Agent],                                 Field("AGENT_ID"),             Late),
        keyword("role",                &[Session, Agent],                        Field("AGENT_ROLE"),           Late),
        keyword("subject",             &[Approval],                              Field("APPROVAL_SUBJECT"),     Late),
        keyword("surface",             &[Approval],                              Field("APPROVAL_SURFACE"),     Late),
        keyword("source",              &[Retriever],                             Field("DATA_SOURCE"),          Late),
        keyword("index",               &[Turn],                                  Field("TURN_INDEX"),           Late),
        keyword("model",               &[Session, Agent, Turn],                  Field("MODEL"),                Late),
        keyword("model",               &[Chat, Embedding, Retriever, Reranker],  Field("REQUEST_MODEL"),        Late),
        keyword("provider",            &[Chat, Embedding, Retriever, Reranker],  Field("PROVIDER"),             Late),
        keyword("base_url",            &[Chat, Embedding, Retriever, Reranker],  Url,                           Late),
        keyword("platform",            &[Session, Turn],                         Field("PLATFORM"),             Late),
        keyword("entrypoint",          &[Session],                               Field("ENTRYPOINT"),           Late),
        keyword("agent",               &[Session],                               Field("AGENT_NAME"),           Late),
        keyword("description",         &[Agent],                                 Field("AGENT_DESCRIPTION"),    Late),
        keyword("api_mode",            &[Chat],                                  Field("API_MODE"),             Late),
        keyword("message_count",       &[Chat],                                  Field("MESSAGE_COUNT"),        Late),
        keyword("tool_count",          &[Chat],                                  Field("TOOL_COUNT"),           Late),
        keyword("approx_input_tokens", &[Chat],                                  Field("APPROX_INPUT_TOKENS"),  Late),
        keyword("retry_count",         &[Chat],                                  Field("RETRY_COUNT"),          Late),
        keyword("dimensions",          &[Embedding],                             Field("EMBEDDING_DIMENSIONS"), Late),
        keyword("top_k",               &[Retriever, Reranker],                   Field("TOP_K"),                Late),
        keyword("call_id",             &[Tool],                                  Field("TOOL_CALL_ID"),         Late),
        keyword("tool_type",           &[Tool],                                  Field("TOOL_TYPE"),            Literal("function")),
        keyword("description",         &[Tool],                                  Field("TOOL_DESCRIPTION"),     Late),
        keyword("backend",             &[Tool],                                  Field("TOOL_BACKEND"),         Late),
        keyword("user_message",        &[Turn],                                  Content("UserMessage"),        Nothing),
        keyword("args",                &[Tool],                                  Content("ToolArguments"),      Nothing),
        keyword("input",               &[Embedding],                             Content("InputMessages"),      Nothing),
        keyword("query",               &[Retriever, Reranker],                   Content("Query"),              Nothing),
        keyword("request",             &[Chat],                                  Request,                       Nothing),
        keyword("request",             &[Approval],                              Content("ApprovalRequest"),    Nothing),
        keyword("goal",                &[Agent],                                 Content("AgentGoal"),          Nothing),
        keyword("result",              &[Tool, Retriever, Reranker],             Flag,                          Nothing),
        keyword("response",            &[Turn, Chat, Embedding],                 Flag,                          Nothing),
        keyword("stream",              STREAMING,                                Stream,                        Nothing),
        keyword("span_name",           EVERY,                                    SpanName,                      Nothing),
        keyword("target",              EVERY,                                    Target,                        Nothing),
        keyword("level",               EVERY,                                    Level,                         Nothing),
        keyword("fields",              EVERY,                                    Fields,                        Nothing),
        keyword("parent",              EVERY,                                    Parent,                        Nothing),
        keyword("follows_from",        EVERY,                                    FollowsFrom,                   Nothing),
        keyword("crate",               EVERY,                                    Crate,                         Nothing),
    ]
};

const fn keyword(
    name: &'static str,
    kinds: &'static [Kind],
    becomes: Becomes,
    absent: Absent,
) -> Keyword {
    Keyword {
        name,
        kinds,
        becomes,
        absent,
    }
}

impl Kind {
    pub(crate) fn profile(self) -> &'static Profile {
        // The rows stand in the order of the enum; a test below holds them to it.
        &PROFILES[self as usize]
    }

    pub(crate) fn named(word: &Ident) -> Option<Kind> {
        let found = PROFILES.iter().find(|profile| word == profile.word);
        found.map(|profile| profile.kind)
    }

    /// The arguments this kind takes, its own first.
    pub(crate) fn keywords(self) -> impl Iterator<Item = &'static Keyword> {
        KEYWORDS.iter().filter(move |row| row.kinds.contains(&self))
    }
}

impl Keyword {
    /// Whether every kind takes it: such an argument is about the span, not about the agent.
    pub(crate) fn is_common(&self) -> bool {
        self.kinds.len() == PROFILES.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn profiles_stand_in_the_order_of_the_kinds() {
        for (index, profile) in PROFILES.iter().enumerate() {
            assert_eq!(profile.kind as usize, index, "{}", profile.word);
            assert_eq!(profile.kind.profile().word, profile.word);
        }
    }

    #[test]
    fn a_kind_has_each_keyword_once() {
        for Profile { kind, word, .. } in PROFILES {
            let names: Vec<_> = kind.keywords().map(|row| row.name).collect();
            for (index, name) in names.iter().enumerate() {
                assert!(!names[..index].contains(name), "`{name}` twice on {word}");
            }
        }
    }

    // Tracing accepts a field that is declared twice and then records into the first alone.
    #[test]
    fn a_kind_has_each_field_once() {
        for Profile {
            kind, word, late, ..
        } in PROFILES
        {
            let mut fields = late.to_vec();
            for row in kind.keywords() {
                match row.becomes {
                    Becomes::Field(constant) => fields.push(constant),
                    Becomes::Url => fields.extend(["SERVER_ADDRESS", "SERVER_PORT"]),
                    _ => {}
                }
            }
            for (index, field) in fields.iter().enumerate() {
                assert!(!fields[..index].contains(field), "{field} twice on {word}");
            }
        }
    }

    #[test]
    fn only_fields_have_a_place_to_keep() {
        for row in KEYWORDS {
            let is_field = matches!(row.becomes, Becomes::Field(_) | Becomes::Url);
            assert_eq!(is_field, row.absent != Absent::Nothing, "{}", row.name);
        }
    }
}
