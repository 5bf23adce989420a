//! Late values: what becomes known inside a span, stated from wherever it becomes known.

use std::borrow::Cow;
use std::sync::Arc;

use tracing::dispatcher;

use crate::capture::{Capture, Core, OpenSpan};
use crate::record::{
    EndReason, ErrorClass, ResultClass, RunId, SpanId, TraceContext, TraceId, Usage, Value,
};
use crate::semconv::{Fact, Kind};

/// The spans around the code that runs, to state facts on.
///
/// Each setter reaches the nearest enclosing span whose kind takes that fact: usage stated in a
/// helper step inside a model call lands on the model call. Without a Hermes layer, or outside of
/// any span, every setter does nothing.
#[derive(Clone, Debug)]
pub struct Current {
    spans: Option<(Arc<Core>, Arc<OpenSpan>)>,
}

/// The spans around the code that runs.
///
/// ```
/// #[hermes::chat(model = "gpt-4o", provider = "openai")]
/// fn complete(prompt: &str) -> String {
///     let answer = prompt.to_uppercase();
///     hermes::current()
///         .usage(hermes::Usage { input_tokens: 12, output_tokens: 3, ..Default::default() })
///         .finish_reason("stop");
///     answer
/// }
/// # complete("hi");
/// ```
#[must_use]
pub fn current() -> Current {
    let spans = dispatcher::get_default(|dispatch| {
        let capture = dispatch.downcast_ref::<Capture>()?;
        let current = dispatch.current_span();
        let open = capture.find_nearest(dispatch, current.id()?)?;
        Some((Arc::clone(capture.core()), open))
    });
    Current { spans }
}

impl Current {
    /// The spans around this one, itself the innermost.
    pub(super) fn at(open: Option<&(Arc<Core>, Arc<OpenSpan>)>) -> Self {
        Current {
            spans: open.cloned(),
        }
    }
}

/// The kinds that carry a model.
const CALLS: &[Kind] = &[Kind::Chat, Kind::Embedding, Kind::Retriever, Kind::Reranker];
/// The kinds that fail for a reason of their own.
const STEPS: &[Kind] = &[
    Kind::Chat,
    Kind::Tool,
    Kind::Embedding,
    Kind::Retriever,
    Kind::Reranker,
];

/// The kinds that have something to say at their end.
const SPEAKERS: &[Kind] = &[
    Kind::Chat,
    Kind::Tool,
    Kind::Turn,
    Kind::Retriever,
    Kind::Reranker,
];

#[expect(
    clippy::must_use_candidate,
    reason = "setters are called for what they set"
)]
impl Current {
    /// The tokens that the model call used.
    pub fn usage(&self, usage: Usage) -> &Self {
        if let Some(open) = self.nearest(CALLS) {
            open.set_all(|facts| facts.set_usage(usage));
        }
        self
    }

    /// The model that answered.
    pub fn response_model(&self, model: impl Into<String>) -> &Self {
        self.set(CALLS, Fact::ResponseModel, model.into())
    }

    /// The provider's id of the answer.
    pub fn response_id(&self, id: impl Into<String>) -> &Self {
        self.set(CALLS, Fact::ResponseId, id.into())
    }

    /// Why the model stopped, in the provider's word.
    pub fn finish_reason(&self, reason: impl Into<String>) -> &Self {
        self.set(
            CALLS,
            Fact::FinishReasons,
            Value::Texts(vec![reason.into()]),
        )
    }

    /// The first part of a streamed answer is here; said again, it counts no more.
    pub fn first_chunk(&self) -> &Self {
        if let Some(open) = self.nearest(CALLS) {
            let elapsed = open.elapsed_s();
            open.set_all(|facts| {
                facts.set(Fact::Stream, true);
                facts.set_default(Fact::TimeToFirstChunk, elapsed);
            });
        }
        self
    }

    /// What the model, tool or turn said, or the retriever found. Content: kept only where content is
    /// captured; of a model's answer its length is kept always.
    pub fn output(&self, text: impl AsRef<str>) -> &Self {
        let text = text.as_ref();
        let Some(open) = self.nearest(SPEAKERS) else {
            return self;
        };
        let keeps = |fact| self.keeps(fact);
        match open.kind() {
            Some(Kind::Chat) => {
                let chars = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
                open.set(Fact::AssistantContentChars, chars);
                if keeps(Fact::OutputMessages) {
                    open.set(
                        Fact::OutputMessages,
                        crate::wire::message_json("assistant", text),
                    );
                }
            }
            Some(Kind::Tool) if keeps(Fact::ToolResult) => open.set(Fact::ToolResult, text),
            Some(Kind::Turn) if keeps(Fact::AssistantResponse) => {
                open.set(Fact::AssistantResponse, text);
            }
            Some(Kind::Retriever | Kind::Reranker) if keeps(Fact::Documents) => {
                open.set(Fact::Documents, text);
            }
            _ => {}
        }
        self
    }

    /// What became of the tool call. Said so, it beats what the result looks like.
    pub fn result_class(&self, class: impl Into<ResultClass>) -> &Self {
        self.set(&[Kind::Tool], Fact::ToolResultClass, class.into().as_str())
    }

    /// Why the call failed. Said so, it is the span's `error.type`, and the span is an error.
    pub fn error_class(&self, class: impl Into<ErrorClass>) -> &Self {
        let class = class.into();
        if let Some(open) = self.nearest(STEPS).or_else(|| self.nearest(&Kind::ALL)) {
            open.set_class(class);
        }
        self
    }

    /// What was decided when somebody was asked for leave: `approved`, `denied`, `timeout`, or the
    /// program's own word. Said inside an approval it is the approval's, and reaches the tool around it
    /// when that ends; said in a tool it is the tool's.
    pub fn approval(&self, decision: impl Into<String>) -> &Self {
        if let Some(open) = self.nearest(&[Kind::Approval, Kind::Tool]) {
            let fact = match open.kind() {
                Some(Kind::Approval) => Fact::ApprovalDecision,
                _ => Fact::ToolApproval,
            };
            open.set(fact, decision.into());
        }
        self
    }

    /// How often the call was tried again.
    pub fn retry_count(&self, count: u32) -> &Self {
        self.set(STEPS, Fact::RetryCount, count)
    }

    /// What the call cost, in US dollars, where the provider or the code knows.
    pub fn cost_usd(&self, cost: f64) -> &Self {
        self.set(CALLS, Fact::CostUsd, cost)
    }

    /// Why the session ends.
    pub fn end_reason(&self, reason: impl Into<EndReason>) -> &Self {
        self.set(&[Kind::Session], Fact::EndReason, reason.into().as_str())
    }

    /// States anything else on the innermost span. A name that Hermes knows finds its fact; any
    /// other is content, and kept only where content is captured.
    pub fn record(&self, key: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> &Self {
        if let Some(open) = self.nearest(&Kind::ALL) {
            open.set_named(key.into(), value.into());
        }
        self
    }

    /// The innermost span follows from one of another process, or of another run: a link, in the store
    /// and on OTLP.
    pub fn follows_from(&self, context: &TraceContext) -> &Self {
        if let (Some((_, open)), Some(linked)) = (&self.spans, context.span()) {
            open.link(linked);
        }
        self
    }

    /// The trace that the code runs in: the id by which it is found in the store and on OTLP.
    pub fn trace_id(&self) -> Option<TraceId> {
        self.spans.as_ref().map(|(_, open)| open.ids().0)
    }

    /// The innermost span.
    pub fn span_id(&self) -> Option<SpanId> {
        self.spans.as_ref().map(|(_, open)| open.ids().1)
    }

    /// The run that the code is part of.
    pub fn run_id(&self) -> Option<RunId> {
        self.spans.as_ref().map(|(_, open)| open.run_id())
    }

    fn set(&self, kinds: &[Kind], fact: Fact, value: impl Into<Value>) -> &Self {
        if let Some(open) = self.nearest(kinds) {
            open.set(fact, value);
        }
        self
    }

    fn nearest(&self, kinds: &[Kind]) -> Option<&Arc<OpenSpan>> {
        let (_, open) = self.spans.as_ref()?;
        open.chain()
            .find(|open| open.kind().is_some_and(|kind| kinds.contains(&kind)))
    }

    fn keeps(&self, fact: Fact) -> bool {
        self.spans
            .as_ref()
            .is_some_and(|(core, _)| core.policy.captures(fact))
    }
}
