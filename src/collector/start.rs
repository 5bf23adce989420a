//! How an event begins a span: each kind with the facts that the event tells of it.

use serde_json::Value;
use tracing::Span;

use super::event::Told;
use crate::semconv::Kind;
use crate::span::{self, OwnedSpan, Start, kind};

/// Starts the span of an event.
pub(super) fn start(told: &Told<'_>, parent: Option<&OwnedSpan>, around: &Span) -> OwnedSpan {
    let name = told.name.as_deref().unwrap_or_default();
    macro_rules! begin {
        ($method:ident($($argument:expr)?)) => {
            match parent {
                Some(parent) => parent.$method($($argument)?),
                None => span::$method($($argument)?).parent_of(around),
            }
        };
    }
    let content = told.content.as_deref();
    let provider = told.provider.as_deref();
    match told.kind {
        Kind::Session => {
            let session = span::session(told.id.as_ref()).parent_of(around);
            let session = with(session, told.name.as_deref(), |session, model| {
                session.model(model)
            });
            with(session, told.platform.as_deref(), |session, at| {
                session.platform(at)
            })
            .begin(told)
        }
        Kind::Agent => with(begin!(agent(name)), content, Start::<kind::Agent>::goal).begin(told),
        Kind::Turn => {
            let turn = with(begin!(turn()), told.name.as_deref(), |turn, model| {
                turn.model(model)
            });
            with(turn, content, Start::<kind::Turn>::user_message).begin(told)
        }
        Kind::Chat => {
            let chat = with(begin!(chat(name)), provider, |chat, provider| {
                chat.provider(provider)
            });
            let request = content.map(|content| match content {
                Value::Array(_) => serde_json::json!({ "messages": content }),
                other => other.clone(),
            });
            with(chat, request, Start::<kind::Chat>::request).begin(told)
        }
        Kind::Tool => {
            let tool = begin!(tool(name)).call_id(told.id.as_ref());
            with(tool, content, Start::<kind::Tool>::args).begin(told)
        }
        Kind::Embedding => with(begin!(embedding(name)), provider, |one, provider| {
            one.provider(provider)
        })
        .begin(told),
        Kind::Retriever => with(
            begin!(retriever(name)),
            content,
            Start::<kind::Retriever>::query,
        )
        .begin(told),
        Kind::Reranker => with(
            begin!(reranker(name)),
            content,
            Start::<kind::Reranker>::query,
        )
        .begin(told),
        Kind::Approval => with(
            begin!(approval(name)),
            content,
            Start::<kind::Approval>::request,
        )
        .begin(told),
        Kind::Step => begin!(step(name)).begin(told),
    }
}

/// States a fact if there is one.
fn with<S, T>(start: S, fact: Option<T>, state: impl FnOnce(S, T) -> S) -> S {
    match fact {
        Some(fact) => state(start, fact),
        None => start,
    }
}

trait Begin {
    fn parent_of(self, around: &Span) -> Self;
    fn begin(self, told: &Told<'_>) -> OwnedSpan;
}

impl<K: span::kind::SpanKind> Begin for Start<'_, K> {
    /// The span around the stream; where there is none, none is looked for either.
    fn parent_of(self, around: &Span) -> Self {
        if around.is_none() {
            self
        } else {
            self.parent(around)
        }
    }

    fn begin(self, told: &Told<'_>) -> OwnedSpan {
        with(self, told.at, Start::start_at).start()
    }
}
