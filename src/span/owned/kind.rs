//! The kinds as types, so that a start takes the facts of its own kind and no others.

use crate::semconv::Kind;

mod sealed {
    pub trait Sealed {}
}

/// What a span is in the life of an agent, as a type.
///
/// Implemented for the types of [`hermes::kind`](crate::kind) and for no others.
pub trait SpanKind: sealed::Sealed {
    /// The kind as a value.
    const KIND: Kind;
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        #[non_exhaustive]
        pub struct $kind;

        impl sealed::Sealed for $kind {}

        impl SpanKind for $kind {
            const KIND: Kind = Kind::$kind;
        }
    )*};
}

kinds! {
    /// One run of an agent.
    Session
    /// A sub-agent inside a session.
    Agent
    /// One user message answered.
    Turn
    /// Any other piece of work.
    Step
    /// One model call.
    Chat
    /// One tool execution.
    Tool
    /// One embedding call.
    Embedding
    /// One retrieval.
    Retriever
    /// One reranking call.
    Reranker
    /// Waiting for somebody's leave.
    Approval
}
