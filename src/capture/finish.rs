//! From notes to a record, on the writer's thread: the kind's own facts, what the spans around a span
//! know, how it turned out.

use std::borrow::Cow;
use std::sync::Arc;

use tracing::Metadata;

use super::draft::Draft;
use super::open::{OpenSpan, seconds};
use super::state::Tally;
use super::verdict::verdict;
use crate::record::{
    CostStatus, EndReason, Facts, FinalStatus, ResultClass, SpanId, SpanRecord, Status, Value,
};
use crate::semconv::{Fact, Kind, entrypoint_of};

impl OpenSpan {
    /// The span as it is now, still running; `None` if it is not (yet) one of ours.
    pub(super) fn running(&self) -> Option<SpanRecord> {
        let kind = self.kind()?;
        let state = self.state();
        if state.is_hidden() || state.is_over {
            return None;
        }
        let draft = Draft::of_running(self, &state, kind);
        drop(state);
        Some(draft.to_record())
    }

    /// The facts that hold now.
    pub(super) fn facts(&self, kind: Kind) -> Facts {
        let state = self.state();
        let mut facts = state.said.notes.read().facts();
        let ordinal = state.ordinal;
        drop(state);
        state_kind(&mut facts, kind, ordinal, self.metadata());
        facts
    }
}

impl Draft {
    /// The span as it was.
    pub(super) fn to_record(&self) -> SpanRecord {
        let mut facts = self.notes().facts();
        state_kind(&mut facts, self.kind, self.ordinal, self.shape.metadata);
        let parent_span_id = self.kept_parent();
        let rest = self.rest.as_deref().cloned().unwrap_or_default();
        let mut record = SpanRecord {
            trace_id: self.ids.trace_id,
            span_id: self.ids.span_id,
            is_sampled: self.ids.is_sampled,
            parent_span_id,
            wire_parent_span_id: parent_span_id.or(rest.remote),
            remote_parent_span_id: rest.remote,
            run: self.run.clone(),
            kind: self.kind,
            given_name: self.given_name(&facts),
            start_ns: self.start_ns,
            end_ns: None,
            status: Status::Running,
            failure: None,
            facts,
            extra: rest.extra,
            events: rest.events,
            links: rest.links,
            retries: self.retries,
            withdrawn: false,
        };
        let Some(end) = self.end else { return record };
        let told = self
            .hindsight
            .as_ref()
            .and_then(|hindsight| hindsight.outcome(self.ancestors()));
        let outcome = self.outcome.as_ref().or(told.as_ref());
        let verdict = verdict(self.kind, outcome, self.class, &record.facts);
        record.end_ns = Some(end.at_ns);
        record.withdrawn = end.is_withdrawn;
        record.wire_parent_span_id = end.wire_parent.or(record.wire_parent_span_id);
        record.status = verdict.status;
        record.failure = verdict.failure;
        self.inherit(&mut record.facts);
        if matches!(self.kind, Kind::Agent | Kind::Session) {
            self.descend(&mut record.facts);
        }
        complete(&mut record, verdict.result_class, &self.tally);
        record
    }

    /// A name of the code's own choosing is kept; ours, and those of other libraries' operations, are
    /// made from the facts.
    fn given_name(&self, facts: &Facts) -> Option<Cow<'static, str>> {
        let name = self.shape.metadata.name();
        if self.shape.is_own || name == "chat" {
            let is_ours = Kind::of_span_name(name).is_some() || name == "chat";
            return (!is_ours).then_some(Cow::Borrowed(name));
        }
        if self.kind == Kind::Step {
            let stated = facts.text(Fact::OtelName).or(facts.text(Fact::EntityName));
            let stated = stated.map(|name| Cow::Owned(name.to_owned()));
            return stated.or((!name.is_empty()).then_some(Cow::Borrowed(name)));
        }
        let operation = facts
            .text(Fact::Operation)
            .filter(|_| self.kind == Kind::Chat)?;
        Kind::is_named_by_operation(operation).then(|| {
            let model = facts.text(Fact::RequestModel).unwrap_or_default();
            Cow::Owned(format!("{operation} {model}").trim_end().to_owned())
        })
    }

    pub(super) fn ancestors(&self) -> impl Iterator<Item = &Arc<OpenSpan>> + Clone {
        std::iter::successors(self.parent.as_ref(), |open| open.origin.parent.as_ref())
    }

    /// The nearest ancestor that is stored.
    fn kept_parent(&self) -> Option<SpanId> {
        self.ancestors()
            .find(|open| open.is_kept())
            .map(|open| open.ids().1)
    }

    /// What an agent inside of another is told of where it comes from.
    fn descend(&self, facts: &mut Facts) {
        let is_agent = |open: &&Arc<OpenSpan>| {
            matches!(open.kind(), Some(Kind::Agent | Kind::Session)) && open.is_kept()
        };
        let Some(above) = self.ancestors().find(is_agent) else {
            return;
        };
        let depth = self.ancestors().filter(is_agent).count();
        facts.set(Fact::AgentDepth, i64::try_from(depth).unwrap_or(i64::MAX));
        facts.set_default(Fact::ParentAgentSpan, above.ids().1.to_string());
        let state = above.state();
        let said = |fact| state.said.notes.get(fact).map(Value::from);
        for (fact, of_parent) in [
            (Fact::ParentAgentName, Fact::AgentName),
            (Fact::ParentAgentId, Fact::AgentId),
        ] {
            if let Some(value) = said(of_parent) {
                facts.set_default(fact, value);
            }
        }
        drop(state);
        let session = above.chain().find_map(|open| {
            let state = open.state();
            state.said.notes.get(Fact::SessionId).map(Value::from)
        });
        // A sub-agent's own session, or none: then it is the parent's, and needs no second name.
        if let Some(session) = session.filter(|session| facts.get(Fact::SessionId) != Some(session))
        {
            facts.set_default(Fact::ParentSessionId, session);
        }
    }

    /// Facts that a span has from those around it.
    fn inherit(&self, facts: &mut Facts) {
        let wanted: &[Fact] = match self.kind {
            Kind::Turn => &[
                Fact::SessionId,
                Fact::Platform,
                Fact::Model,
                Fact::AgentName,
            ],
            Kind::Tool | Kind::Agent => &[Fact::SessionId, Fact::AgentName],
            _ => &[Fact::SessionId],
        };
        for &fact in wanted {
            if facts.get(fact).is_some() {
                continue;
            }
            let inherited = self.ancestors().find_map(|open| {
                let state = open.state();
                state.said.notes.get(fact).map(Value::from)
            });
            if let Some(value) = inherited {
                facts.set(fact, value);
            }
        }
    }
}

/// States what follows from the kind.
fn state_kind(facts: &mut Facts, kind: Kind, ordinal: i64, metadata: &'static Metadata<'static>) {
    match kind {
        Kind::Chat => facts.set_default(Fact::ApiCallNumber, ordinal),
        Kind::Turn => facts.set_default(Fact::TurnIndex, ordinal),
        Kind::Tool => {
            if let Some(tool) = Kind::tool_in_span_name(metadata.name()) {
                facts.set_default(Fact::ToolName, Cow::Borrowed(tool));
            }
        }
        _ => {}
    }
    facts.set(Fact::SpanKind, Cow::Borrowed(kind.span_kind()));
    let usual = facts
        .text(Fact::Operation)
        .and_then(|operation| kind.usual_operation(operation));
    if let Some(usual) = usual {
        facts.set(Fact::Operation, Cow::Borrowed(usual));
    }
    if let Some(operation) = kind.operation() {
        facts.set_default(Fact::Operation, Cow::Borrowed(operation));
    }
}

/// States what only the end tells.
fn complete(record: &mut SpanRecord, result: Option<ResultClass>, tally: &Tally) {
    // Waiting for leave is no work.
    let waited_ms = record.facts.int(Fact::WaitMs).unwrap_or(0);
    let duration_ns = record.duration_ns().unwrap_or(0);
    let work_ns = duration_ns
        .saturating_sub(waited_ms.saturating_mul(1_000_000))
        .max(0);
    let status = record.status;
    let facts = &mut record.facts;
    for consumed in [
        Fact::OtelKind,
        Fact::OtelName,
        Fact::OtelStatusCode,
        Fact::OtelStatusDescription,
        Fact::ErrorText,
        Fact::EntityName,
        Fact::TotalTokens,
    ] {
        facts.remove(consumed);
    }
    match &record.failure {
        Some(failure) => facts.set(Fact::ErrorType, failure.error_type.clone()),
        None => drop(facts.remove(Fact::ErrorType)),
    }
    match record.kind {
        Kind::Session => {
            let end = facts
                .text(Fact::EndReason)
                .and_then(EndReason::from_name)
                .unwrap_or(match status {
                    Status::Error => EndReason::Failed,
                    Status::Cancelled | Status::Interrupted => EndReason::Interrupted,
                    Status::Ok | Status::Running => EndReason::Completed,
                });
            facts.set(Fact::EndReason, Cow::Borrowed(end.as_str()));
            facts.set(Fact::SessionCompleted, end == EndReason::Completed);
            facts.set(Fact::SessionInterrupted, end == EndReason::Interrupted);
            facts.set(Fact::TotalTurns, tally.turns);
            let entrypoint = entrypoint_of(facts.text(Fact::Platform).unwrap_or_default());
            facts.set_default(Fact::Entrypoint, Cow::Borrowed(entrypoint));
        }
        Kind::Turn => {
            facts.set(Fact::IsFirstTurn, facts.int(Fact::TurnIndex) == Some(1));
            facts.set(Fact::ApiCallCount, tally.api_calls);
            facts.set(Fact::ToolCallCount, tally.tool_calls);
            facts.set(
                Fact::TurnDurationS,
                (seconds(work_ns) * 1000.0).round() / 1000.0,
            );
            // A turn's own sum counts only where none of its calls is known: it is theirs.
            let own = |fact| (tally.api_calls == 0).then(|| facts.int(fact)).flatten();
            let (input, output) = (own(Fact::InputTokens), own(Fact::OutputTokens));
            facts.set(Fact::TurnInputTokens, input.unwrap_or(tally.input_tokens));
            facts.set(
                Fact::TurnOutputTokens,
                output.unwrap_or(tally.output_tokens),
            );
            if let Some(cost) = tally.cost_usd {
                facts.set(Fact::TurnCostUsd, cost);
            }
            let stated = facts
                .text(Fact::FinalStatus)
                .and_then(FinalStatus::from_name);
            let end = stated.unwrap_or(status.final_status());
            facts.set(Fact::FinalStatus, Cow::Borrowed(end.as_str()));
        }
        Kind::Tool => {
            let class = result.unwrap_or(match status {
                Status::Ok | Status::Running => ResultClass::Ok,
                _ => ResultClass::Error,
            });
            facts.set(Fact::ToolResultClass, Cow::Borrowed(class.as_str()));
            facts.set_default(Fact::ToolType, Cow::Borrowed("function"));
            let took_ms = (duration_ns + 500_000) / 1_000_000;
            facts.set(Fact::ToolDurationMs, (took_ms - waited_ms).max(0));
        }
        kind if kind.has_model() => {
            if facts.get(Fact::CostUsd).is_some() {
                facts.set_default(Fact::CostStatus, Cow::Borrowed(CostStatus::Known.as_str()));
                facts.set_default(Fact::CostSource, Cow::Borrowed("reported"));
            } else {
                facts.set_default(
                    Fact::CostStatus,
                    Cow::Borrowed(CostStatus::Unknown.as_str()),
                );
            }
        }
        _ => {}
    }
}
