//! The `tracing` spans under the held ones: one callsite for each kind and way to name the parent.
//!
//! They declare the fields that the macros declare, so that every layer sees the same span whichever
//! way it was made.

use tracing::field::Empty;
use tracing::{Level, Span, span};

use crate::semconv::{Fact, Kind};
use crate::span::probe::Field;

/// The target of every held span: its callsite is Hermes's own.
const TARGET: &str = "hermes";

/// The fields that are known at the start.
#[derive(Debug, Default)]
pub(super) struct Fields<'a>(Vec<(Fact, Field<'a>)>);

impl<'a> Fields<'a> {
    /// States a field; stated again, the later word counts.
    pub(super) fn set(&mut self, fact: Fact, value: Field<'a>) {
        match self.0.iter_mut().find(|(known, _)| *known == fact) {
            Some(slot) => slot.1 = value,
            None => self.0.push((fact, value)),
        }
    }

    fn value(&self, fact: Fact) -> &dyn tracing::Value {
        let stated = self.0.iter().find(|(known, _)| *known == fact);
        stated.map_or(&Empty, |(_, value)| value.as_value())
    }
}

macro_rules! callsites {
    ($($kind:ident { $($fact:ident)* })*) => {
        /// Makes a span of this kind: a child of `parent`, or of the current span.
        pub(super) fn open(kind: Kind, parent: Option<&Span>, fields: &Fields<'_>) -> Span {
            match (kind, parent) {
                $(
                    (Kind::$kind, None) => span!(
                        target: TARGET,
                        Level::INFO,
                        { Kind::$kind.span_name() },
                        { Fact::SpanKind.name() } = Kind::$kind.span_kind(),
                        { Fact::OtelKind.name() } = otel_kind(Kind::$kind),
                        { Fact::Operation.name() } = Kind::$kind.operation(),
                        $({ Fact::$fact.name() } = fields.value(Fact::$fact),)*
                        { Fact::OtelStatusCode.name() } = Empty,
                        { Fact::ErrorType.name() } = Empty,
                    ),
                    (Kind::$kind, Some(parent)) => span!(
                        target: TARGET,
                        parent: parent,
                        Level::INFO,
                        { Kind::$kind.span_name() },
                        { Fact::SpanKind.name() } = Kind::$kind.span_kind(),
                        { Fact::OtelKind.name() } = otel_kind(Kind::$kind),
                        { Fact::Operation.name() } = Kind::$kind.operation(),
                        $({ Fact::$fact.name() } = fields.value(Fact::$fact),)*
                        { Fact::OtelStatusCode.name() } = Empty,
                        { Fact::ErrorType.name() } = Empty,
                    ),
                )*
            }
        }
    };
}

callsites! {
    Session   { SessionId Model Platform Entrypoint AgentName AgentRole EndReason }
    Agent     { AgentName AgentDescription AgentId AgentRole Model }
    Turn      { TurnIndex Model Platform }
    Step      { FunctionName }
    Chat      {
        RequestModel Provider ServerAddress ServerPort ApiMode MessageCount ToolCount
        ApproxInputTokens RetryCount ResponseModel ResponseId FinishReasons InputTokens OutputTokens
        CacheReadTokens CacheWriteTokens ReasoningTokens TimeToFirstChunk CostUsd
    }
    Tool      { ToolName ToolCallId ToolType ToolDescription ToolBackend ToolResultClass }
    Embedding {
        RequestModel Provider ServerAddress ServerPort EmbeddingDimensions ResponseModel ResponseId
        InputTokens
    }
    Retriever { DataSource RequestModel Provider ServerAddress ServerPort TopK }
    Reranker  { RequestModel Provider ServerAddress ServerPort TopK }
    Approval  { ApprovalSubject ApprovalSurface ApprovalDecision }
}

fn otel_kind(kind: Kind) -> &'static str {
    if kind.is_client() {
        "client"
    } else {
        "internal"
    }
}
