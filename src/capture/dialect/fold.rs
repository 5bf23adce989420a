//! One call that two nested spans describe: the outer one is its row, and the inner one is taken into it.
//!
//! A library opens a span, and the client that it calls another one; a program annotates a tool that
//! its framework has a span for. The outer span ends last, so whatever the inner one learned can be
//! carried over. What hung under the inner span hangs under the outer one.

use std::sync::Arc;

use crate::capture::open::OpenSpan;
use crate::capture::state::State;
use crate::capture::verdict::verdict;
use crate::record::{EventRecord, Facts, Failure, ResultClass, SpanId, Status, TraceId, Value};
use crate::semconv::{Fact, Kind};

/// What the parts of a call said, for the call to take where it says less itself.
#[derive(Clone, Debug, Default)]
pub(in crate::capture) struct Folded {
    /// Sums over the parts, in the order of [`SUMMED`].
    sums: [Option<i64>; SUMMED.len()],
    cost_usd: Option<f64>,
    /// How the last part failed, if it did.
    failure: Option<(Failure, Status, Option<ResultClass>)>,
    failed: i64,
}

/// What adds up where one call had several parts, as one that was tried again.
const SUMMED: [Fact; 6] = [
    Fact::InputTokens,
    Fact::OutputTokens,
    Fact::CacheReadTokens,
    Fact::CacheWriteTokens,
    Fact::ReasoningTokens,
    Fact::TotalTokens,
];

/// What a part hands over.
struct Part {
    facts: Facts,
    extra: Vec<(std::borrow::Cow<'static, str>, Value)>,
    events: Vec<EventRecord>,
    links: Vec<(TraceId, SpanId)>,
    failure: Option<(Failure, Status, Option<ResultClass>)>,
}

impl OpenSpan {
    /// The span of which this one, of this kind, is a part: the same call, seen from further out.
    ///
    /// Two spans of Hermes's own are two calls, for somebody annotated both.
    pub(in crate::capture) fn whole(&self, kind: Kind) -> Option<&Arc<OpenSpan>> {
        if !(kind.has_model() || kind == Kind::Tool) {
            return None;
        }
        for open in self.ancestors() {
            match open.kind() {
                None | Some(Kind::Step) => {}
                Some(found) if found == kind => {
                    if open.is_part() {
                        continue;
                    }
                    let is_same = !(self.origin.shape.is_own && open.origin.shape.is_own)
                        && (kind != Kind::Tool || self.is_same_tool_call(open));
                    return is_same.then_some(open);
                }
                Some(_) => return None,
            }
        }
        None
    }

    /// A tool that runs another one makes two calls; one that is called twice by name has one id each.
    fn is_same_tool_call(&self, outer: &OpenSpan) -> bool {
        let said = |open: &OpenSpan| {
            let state = open.state();
            let text = |fact| state.said.notes.text_of(fact).map(str::to_owned);
            let in_name = Kind::tool_in_span_name(open.metadata().name());
            let name = text(Fact::ToolName).or_else(|| in_name.map(str::to_owned));
            (name, text(Fact::ToolCallId))
        };
        let ((name, id), (outer_name, outer_id)) = (said(self), said(outer));
        let agree = |one: Option<String>, other: Option<String>| {
            one.zip(other).is_none_or(|(one, other)| one == other)
        };
        agree(name, outer_name) && agree(id, outer_id)
    }

    /// Hands over everything to the span that it is a part of, which is open: the registry closes no
    /// span before those inside it.
    pub(in crate::capture) fn fold_into(&self, whole: &OpenSpan, kind: Kind) {
        let part = Part::take(&mut self.state(), kind);
        part.give(&mut whole.state());
    }
}

impl State {
    /// Takes in what the parts of the call said, as it ends.
    #[inline]
    pub(in crate::capture) fn take_in_parts(&mut self) {
        if self.folded.is_some() {
            self.take_in();
        }
    }

    #[cold]
    fn take_in(&mut self) {
        if let Some(folded) = self.folded.take() {
            folded.apply(self);
        }
    }
}

impl Part {
    fn take(state: &mut State, kind: Kind) -> Self {
        state.is_over = true;
        if let Some(folded) = state.folded.take() {
            folded.apply(state);
        }
        let facts = state.said.notes.read().facts();
        let end = verdict(kind, state.outcome.as_ref(), state.class, &facts);
        let class = end.result_class;
        Part {
            failure: end.failure.map(|failure| (failure, end.status, class)),
            facts,
            extra: std::mem::take(&mut state.said.extra),
            events: std::mem::take(&mut state.events),
            links: std::mem::take(&mut state.links),
        }
    }

    fn give(self, whole: &mut State) {
        let folded = whole.folded.get_or_insert_default();
        for (sum, fact) in folded.sums.iter_mut().zip(SUMMED) {
            if let Some(tokens) = self.facts.int(fact) {
                *sum = Some(sum.unwrap_or(0).saturating_add(tokens));
            }
        }
        if let Some(cost) = self.facts.get(Fact::CostUsd).and_then(Value::as_double) {
            folded.cost_usd = Some(folded.cost_usd.unwrap_or(0.0) + cost);
        }
        folded.failed += i64::from(self.failure.is_some());
        folded.failure = self.failure;
        for (fact, value) in self.facts.iter().filter(|(fact, _)| !is_its_own(*fact)) {
            whole.said.notes.set_default(fact, value.clone());
        }
        for (name, value) in self.extra {
            if whole.said.extra.iter().all(|(known, _)| *known != name) {
                whole.said.put_extra(name, value);
            }
        }
        for event in self.events {
            whole.put_event(event);
        }
        whole.links.extend(self.links);
    }
}

/// Whether a fact is about the part alone, or is carried over in another way.
fn is_its_own(fact: Fact) -> bool {
    SUMMED.contains(&fact)
        || matches!(
            fact,
            Fact::SpanKind
                | Fact::Operation
                | Fact::FunctionName
                | Fact::OtelKind
                | Fact::OtelName
                | Fact::OtelStatusCode
                | Fact::OtelStatusDescription
                | Fact::ErrorType
                | Fact::ErrorText
                | Fact::EntityName
                | Fact::CostUsd
                | Fact::ApiCallNumber
                | Fact::ToolResultClass
        )
}

impl Folded {
    /// States what the parts said, where the call says less itself: its own tokens are not added to
    /// those of its parts.
    pub(in crate::capture) fn apply(&self, state: &mut State) {
        let notes = &mut state.said.notes;
        let states_usage = [Fact::InputTokens, Fact::OutputTokens, Fact::TotalTokens];
        if !states_usage.into_iter().any(|fact| notes.has(fact)) {
            for (sum, fact) in self.sums.iter().zip(SUMMED) {
                if let Some(tokens) = sum {
                    notes.set_default(fact, *tokens);
                }
            }
        }
        if let Some(cost) = self.cost_usd {
            notes.set_default(Fact::CostUsd, cost);
        }
        // The last part is what the call ended with; those before it were tried again.
        let retries = self.failed - i64::from(self.failure.is_some());
        if retries > 0 {
            notes.set_default(Fact::RetryCount, retries);
        }
        let Some((failure, status, class)) = &self.failure else {
            return;
        };
        // A function of the program's that returned says itself how it went.
        if state.outcome.is_some() {
            return;
        }
        if *status == Status::Cancelled {
            state.outcome = Some(crate::capture::state::Outcome::Cancelled);
            return;
        }
        if notes
            .text_of(Fact::ErrorType)
            .is_none_or(|known| known == VAGUE)
        {
            notes.set(Fact::ErrorType, failure.error_type.clone());
        }
        if let Some(class) = class {
            notes.text(Fact::ToolResultClass, class.as_str());
        }
        if let Some(message) = &failure.message {
            notes.set_default(Fact::OtelStatusDescription, message.clone());
        }
        state.class.get_or_insert(failure.class);
    }
}

/// rig's `error.type` of a tool error that it knows no better.
const VAGUE: &str = "other";
