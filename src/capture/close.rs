//! The end of a span: its facts are completed, its sums go up to its turn, its record goes out.

use std::borrow::Cow;
use std::sync::Arc;

use super::layer::Core;
use super::open::{OpenSpan, Outcome, State, seconds};
use crate::pipeline::Loss;
use crate::record::{
    CostStatus, EndReason, ErrorClass, Failure, FinalStatus, ResultClass, SpanId, SpanRecord,
    Status, Value, classify,
};
use crate::semconv::{ERROR_TYPE_OTHER, Fact, Kind, entrypoint_of};

/// What became of a span at its close.
pub(super) enum Closed {
    /// It is stored and exported.
    Kept(Arc<SpanRecord>),
    /// The capture filter took it out; its children hang under the given parent.
    Filtered {
        span_id: SpanId,
        parent: Option<SpanId>,
        withdrawal: Option<Arc<SpanRecord>>,
    },
    /// It never turned out to be one of ours.
    Foreign,
}

impl Core {
    /// Makes the record of a span that ends at `end_ns`.
    pub(super) fn close(
        &self,
        open: &OpenSpan,
        end_ns: i64,
        wire_parent: Option<SpanId>,
    ) -> Closed {
        self.live.remove(open);
        let Some(kind) = open.kind() else {
            return Closed::Foreign;
        };
        let parent_span_id = open.kept_parent();
        inherit(open, kind);
        let is_kept = self.filter_keeps(open);

        let mut state = open.state();
        let was_kept = state.was_kept;
        state.is_kept = is_kept;
        let facts = std::mem::take(&mut state.facts);
        let verdict = verdict(kind, &state, &facts);
        let mut record = SpanRecord {
            trace_id: state.trace_id,
            span_id: state.span_id,
            parent_span_id,
            wire_parent_span_id: wire_parent.or(parent_span_id),
            run: state.run.clone(),
            kind,
            given_name: state.given_name.take(),
            start_ns: open.start_ns,
            end_ns: Some(end_ns.max(open.start_ns)),
            status: verdict.status,
            failure: verdict.failure,
            facts,
            extra: std::mem::take(&mut state.extra),
            events: std::mem::take(&mut state.events),
            links: std::mem::take(&mut state.links),
            retries: state.retries,
            withdrawn: false,
        };
        let tally = std::mem::take(&mut state.tally);
        drop(state);

        complete(&mut record, verdict.result_class, &tally);
        roll_up(open, &record, is_kept);
        if is_kept {
            return Closed::Kept(Arc::new(record));
        }
        self.health.dropped(Loss::Filtered, 1);
        self.health.captured();
        let span_id = record.span_id;
        let withdrawal = was_kept.then(|| {
            record.withdrawn = true;
            Arc::new(record)
        });
        Closed::Filtered {
            span_id,
            parent: parent_span_id,
            withdrawal,
        }
    }
}

impl OpenSpan {
    /// The `error.type` of the span if it ended now; `None` if it has not failed.
    pub(crate) fn failure_type(&self) -> Option<Cow<'static, str>> {
        let state = self.state();
        verdict(state.kind?, &state, &state.facts)
            .failure
            .map(|failure| failure.error_type)
    }
}

/// Facts that a span has from those around it.
fn inherit(open: &OpenSpan, kind: Kind) {
    let wanted: &[(Fact, Fact)] = match kind {
        Kind::Turn => &[
            (Fact::SessionId, Fact::SessionId),
            (Fact::Platform, Fact::Platform),
            (Fact::Model, Fact::Model),
            (Fact::AgentName, Fact::AgentName),
        ],
        Kind::Tool | Kind::Agent => &[
            (Fact::SessionId, Fact::SessionId),
            (Fact::AgentName, Fact::AgentName),
        ],
        _ => &[(Fact::SessionId, Fact::SessionId)],
    };
    for &(own, theirs) in wanted {
        if open.state().facts.get(own).is_some() {
            continue;
        }
        let inherited = open
            .ancestors()
            .find_map(|open| open.state().facts.get(theirs).cloned());
        if let Some(value) = inherited {
            open.state().facts.set(own, value);
        }
    }
}

/// How a span turned out.
struct Verdict {
    status: Status,
    failure: Option<Failure>,
    result_class: Option<ResultClass>,
}

fn verdict(kind: Kind, state: &State, facts: &crate::record::Facts) -> Verdict {
    let stated_result = facts
        .text(Fact::ToolResultClass)
        .and_then(ResultClass::from_name);
    let stated_end = facts.text(Fact::EndReason).and_then(EndReason::from_name);
    let stated_type = facts.text(Fact::ErrorType);
    let stated_error = stated_type.is_some()
        || facts
            .text(Fact::OtelStatusCode)
            .is_some_and(|code| code.eq_ignore_ascii_case("error"));
    let mut message = facts.text(Fact::OtelStatusDescription).map(str::to_owned);
    let mut type_name: Option<&'static str> = None;
    let mut result_class = None;

    let mut status = match &state.outcome {
        Some(Outcome::Cancelled) => Status::Cancelled,
        Some(Outcome::Failed {
            type_name: name,
            message: text,
        }) => {
            type_name = *name;
            message = text.clone().or(message);
            Status::Error
        }
        Some(Outcome::Panicked { message: text }) => {
            type_name = Some("panic");
            message = text.clone().or(message);
            Status::Error
        }
        Some(Outcome::Returned(Some(found))) => {
            result_class = Some(found.class);
            message = found.message.clone().or(message);
            if found.class == ResultClass::Ok {
                Status::Ok
            } else {
                Status::Error
            }
        }
        Some(Outcome::Returned(None)) | None => Status::Ok,
    };
    if let Some(stated) = stated_result {
        // What the code states beats what the result looks like.
        result_class = Some(stated);
        if matches!(state.outcome, None | Some(Outcome::Returned(_))) {
            status = if stated == ResultClass::Ok {
                Status::Ok
            } else {
                Status::Error
            };
        }
    }
    let is_stated_failure = stated_error || state.class.is_some();
    if status == Status::Ok
        && (is_stated_failure || (kind == Kind::Session && stated_end == Some(EndReason::Failed)))
    {
        status = Status::Error;
    }
    if kind == Kind::Session && stated_end == Some(EndReason::Interrupted) && status == Status::Ok {
        status = Status::Interrupted;
    }
    if !status.is_failure() {
        return Verdict {
            status,
            failure: None,
            result_class,
        };
    }

    let class = match (state.class, status) {
        (Some(class), _) => class,
        (None, Status::Cancelled) => ErrorClass::Cancelled,
        _ => stated_type
            .and_then(ErrorClass::from_name)
            .unwrap_or_else(|| {
                classify(
                    None,
                    stated_type.or(type_name),
                    message.as_deref().unwrap_or_default(),
                )
            }),
    };
    if kind == Kind::Tool && result_class.is_none() {
        result_class = Some(match class {
            ErrorClass::ProviderTimeout => ResultClass::Timeout,
            _ => ResultClass::Error,
        });
    }
    let error_type = error_type(stated_type, state.class, result_class, class, type_name);
    Verdict {
        status,
        failure: Some(Failure {
            error_type,
            class,
            message,
        }),
        result_class,
    }
}

/// `error.type`: what the code set, the class, the error's type, else `_OTHER` (SPEC section 2). A
/// tool's timeout and block are classes of their own.
fn error_type(
    stated: Option<&str>,
    stated_class: Option<ErrorClass>,
    result: Option<ResultClass>,
    class: ErrorClass,
    type_name: Option<&'static str>,
) -> Cow<'static, str> {
    if let Some(stated) = stated {
        return Cow::Owned(stated.to_owned());
    }
    if let Some(class) = stated_class {
        return Cow::Borrowed(class.as_str());
    }
    match (result, class, type_name) {
        (Some(result @ (ResultClass::Timeout | ResultClass::Blocked)), _, _) => {
            Cow::Borrowed(result.as_str())
        }
        (_, class, _) if class != ErrorClass::Unknown => Cow::Borrowed(class.as_str()),
        (_, _, Some(name)) => Cow::Borrowed(name),
        (Some(result), _, None) => Cow::Borrowed(result.as_str()),
        _ => Cow::Borrowed(ERROR_TYPE_OTHER),
    }
}

/// States what only the end tells.
fn complete(record: &mut SpanRecord, result: Option<ResultClass>, tally: &super::open::Tally) {
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

/// Adds a model call to the turn it belongs to. A span that is left out counts nowhere.
fn roll_up(open: &OpenSpan, record: &SpanRecord, is_kept: bool) {
    let Some(scope) = open.tallied_by(record.kind) else {
        return;
    };
    let tally = &mut scope.state().tally;
    if !is_kept {
        if let Some(count) = tally.count_of(record.kind) {
            *count -= 1;
        }
        return;
    }
    if record.kind != Kind::Chat {
        return;
    }
    let facts = &record.facts;
    let tokens = |fact| facts.int(fact).unwrap_or(0);
    tally.input_tokens = tally.input_tokens.saturating_add(tokens(Fact::InputTokens));
    tally.output_tokens = tally
        .output_tokens
        .saturating_add(tokens(Fact::OutputTokens));
    if let Some(cost) = facts.get(Fact::CostUsd).and_then(Value::as_double) {
        *tally.cost_usd.get_or_insert(0.0) += cost;
    }
    tally.failed_call = record.is_failed_step().then_some(record.span_id);
}
