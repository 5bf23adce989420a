//! From notes to a record, on the writer's thread: the kind's own facts, what the spans around a span
//! know, how it turned out.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::open::{OpenSpan, State, Tally, seconds};
use super::verdict::verdict;
use crate::record::{
    CostStatus, EndReason, Facts, FinalStatus, ResultClass, SpanRecord, Status, Value,
};
use crate::semconv::{Fact, Kind, entrypoint_of};
use crate::sink::Draft;

impl Draft for OpenSpan {
    fn record(&self) -> Arc<SpanRecord> {
        if let Some(record) = &self.state().record {
            return Arc::clone(record);
        }
        let record = Arc::new(self.finished());
        let mut state = self.state();
        let is_exported = state.ended.as_ref().is_some_and(|end| end.is_exported);
        if is_exported {
            return Arc::clone(state.record.get_or_insert(record));
        }
        record
    }

    fn is_announced(&self) -> bool {
        self.is_announced.load(Ordering::Acquire)
    }

    fn bytes(&self) -> usize {
        self.state().said.bytes()
    }
}

impl OpenSpan {
    /// The span as it is now, still running; `None` if it is not (yet) one of ours.
    pub(super) fn running(&self) -> Option<SpanRecord> {
        let kind = self.kind()?;
        let state = self.state();
        if state.is_left_out || state.ended.is_some() {
            return None;
        }
        let record = self.noted(kind, &state);
        drop(state);
        Some(self.placed(record))
    }

    /// The span as it was.
    fn finished(&self) -> SpanRecord {
        let kind = self.kind().unwrap_or(Kind::Step);
        let state = self.state();
        let mut record = self.noted(kind, &state);
        record.events.clone_from(&state.events);
        record.links.clone_from(&state.links);
        let verdict = verdict(kind, state.outcome.as_ref(), state.class, &record.facts);
        let tally = state.tally.clone();
        let wire_parent = if let Some(end) = &state.ended {
            record.end_ns = Some(end.end_ns);
            record.withdrawn = end.is_withdrawn;
            end.wire_parent
        } else {
            None
        };
        drop(state);

        // The spans around are looked at after this one is unlocked: no two are locked at once.
        let mut record = self.placed(record);
        record.wire_parent_span_id = wire_parent.or(record.wire_parent_span_id);
        record.status = verdict.status;
        record.failure = verdict.failure;
        self.inherit(kind, &mut record.facts);
        complete(&mut record, verdict.result_class, &tally);
        record
    }

    /// What the span itself knows, in the state of one that runs.
    fn noted(&self, kind: Kind, state: &State) -> SpanRecord {
        let (trace_id, span_id) = self.ids();
        SpanRecord {
            trace_id,
            span_id,
            parent_span_id: None,
            wire_parent_span_id: None,
            run: self.origin.run.clone(),
            kind,
            given_name: self.given_name(kind),
            start_ns: self.origin.start_ns,
            end_ns: None,
            status: Status::Running,
            failure: None,
            facts: self.facts(kind, state),
            extra: state.said.extra.clone(),
            events: Vec::new(),
            links: Vec::new(),
            retries: state.retries,
            withdrawn: false,
        }
    }

    fn placed(&self, mut record: SpanRecord) -> SpanRecord {
        record.parent_span_id = self.kept_parent();
        record.wire_parent_span_id = record.parent_span_id;
        record
    }

    /// The facts that were noted, and those that follow from the kind.
    pub(super) fn facts(&self, kind: Kind, state: &State) -> Facts {
        let mut facts = state.said.notes.facts();
        match kind {
            Kind::Chat => facts.set_default(Fact::ApiCallNumber, state.ordinal),
            Kind::Turn => facts.set_default(Fact::TurnIndex, state.ordinal),
            Kind::Tool => {
                if let Some(tool) = Kind::tool_in_span_name(self.metadata().name()) {
                    facts.set_default(Fact::ToolName, Cow::Borrowed(tool));
                }
            }
            _ => {}
        }
        facts.set(Fact::SpanKind, Cow::Borrowed(kind.span_kind()));
        if let Some(operation) = kind.operation() {
            facts.set_default(Fact::Operation, Cow::Borrowed(operation));
        }
        facts
    }

    /// A name of the code's own choosing is kept; ours, and those of other libraries' operations,
    /// are made from the facts.
    fn given_name(&self, kind: Kind) -> Option<Cow<'static, str>> {
        let metadata = self.metadata();
        let is_generic = Kind::of_span_name(metadata.name()).is_some()
            || metadata.name() == "chat"
            || (metadata.fields().field(Fact::SpanKind.name()).is_none() && kind != Kind::Step);
        (!is_generic).then_some(Cow::Borrowed(metadata.name()))
    }

    /// Facts that a span has from those around it.
    fn inherit(&self, kind: Kind, facts: &mut Facts) {
        let wanted: &[Fact] = match kind {
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

/// States what only the end tells.
fn complete(record: &mut SpanRecord, result: Option<ResultClass>, tally: &Tally) {
    let duration_ns = record.duration_ns().unwrap_or(0);
    let status = record.status;
    let facts = &mut record.facts;
    for consumed in [
        Fact::OtelKind,
        Fact::OtelName,
        Fact::OtelStatusCode,
        Fact::OtelStatusDescription,
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
                (seconds(duration_ns) * 1000.0).round() / 1000.0,
            );
            facts.set(Fact::TurnInputTokens, tally.input_tokens);
            facts.set(Fact::TurnOutputTokens, tally.output_tokens);
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
            facts.set(Fact::ToolDurationMs, (duration_ns + 500_000) / 1_000_000);
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
