//! What a record is as a row of the store's tables: texts borrowed from the record, and from what was prepared of it.

use std::borrow::Cow;
use std::sync::Arc;

use super::prepare::{Beside, Prepared};
use crate::policy;
use crate::record::{CostStatus, EndReason, Facts, ResultClass, SpanRecord, Status, Value};
use crate::semconv::{Fact, Kind, Profile, slots};
use crate::store::{
    ContentRow, Export, ModelCallRow, RootRow, Row, SpanRow, StepRow, ToolCallRow, WithdrawnRow,
};

/// The rows of a batch.
pub(crate) fn rows<'a>(batch: &'a [Arc<SpanRecord>], prepared: &'a Prepared) -> Vec<Row<'a>> {
    let beside = prepared.spans();
    let rows = batch.iter().zip(beside);
    rows.map(|(record, beside)| row(record, beside)).collect()
}

fn row<'a>(record: &'a SpanRecord, beside: Beside<'a>) -> Row<'a> {
    if record.withdrawn {
        return Row::Withdrawn(withdrawn_row(record));
    }
    let mut span = span_row(record, beside);
    span.contents = contents(record, &mut span);
    if record.end_ns.is_some() {
        Row::Closed(span)
    } else {
        Row::Open(span)
    }
}

/// What a span says, taken out of the columns that would have it. Spans without content pay for one look
/// at the bits.
fn contents<'a>(record: &'a SpanRecord, span: &mut SpanRow<'a>) -> Vec<ContentRow<'a>> {
    let mut contents = Vec::new();
    if span.attributes.in_content != 0 {
        let said = slots(record.kind).iter().enumerate();
        let said = said.filter(|(at, _)| span.attributes.in_content & 1 << at != 0);
        let texts =
            said.filter_map(|(_, slot)| record.facts.get(slot.fact).and_then(Value::as_str));
        contents.extend(
            (0..)
                .zip(texts)
                .map(|(place, text)| ContentRow { place, text }),
        );
    }
    let mut take = |place, column: &mut Option<&'a str>| {
        if let Some(text) = column.replace(ContentRow::ELSEWHERE) {
            contents.push(ContentRow { place, text });
        }
    };
    if span.extra_json.is_some() {
        take(ContentRow::EXTRA, &mut span.extra_json);
    }
    if span.events_json.is_some() && policy::has_content_in_events(record) {
        take(ContentRow::EVENTS, &mut span.events_json);
    }
    contents
}

fn withdrawn_row(record: &SpanRecord) -> WithdrawnRow {
    WithdrawnRow {
        trace_id: record.trace_id,
        span_id: record.span_id,
        parent_span_id: record.parent_span_id,
        root_of: record
            .run
            .is_root
            .then(|| (record.run.run_id, record.end_ns.unwrap_or(record.start_ns))),
    }
}

fn span_row<'a>(record: &'a SpanRecord, beside: Beside<'a>) -> SpanRow<'a> {
    let facts = &record.facts;
    let failure = record.failure.as_ref();
    let step = match record.kind {
        Kind::Chat => Some(StepRow::ModelCall(model_call_row(facts))),
        Kind::Tool => Some(StepRow::ToolCall(tool_call_row(record.status, facts))),
        _ => None,
    };
    SpanRow {
        trace_id: record.trace_id,
        span_id: record.span_id,
        parent_span_id: record.parent_span_id,
        wire_parent_span_id: record.wire_parent_span_id,
        remote_parent_span_id: record.remote_parent_span_id,
        wait_ms: facts.int(Fact::WaitMs),
        run_id: record.run.run_id,
        kind: record.kind,
        name: own_name(record),
        start_ns: record.start_ns,
        end_ns: record.end_ns,
        status: record.status,
        error_type: failure.map(|failure| failure.error_type.as_ref()),
        error_class: failure.map(|failure| failure.class),
        status_message: failure.and_then(|failure| failure.message.as_deref()),
        session_id: facts.text(Fact::SessionId),
        attributes: beside.attributes,
        attr_values: beside.values,
        extra_json: beside.extra_json,
        events_json: beside.events_json,
        contents: Vec::new(),
        links_json: beside.links_json,
        retries: record.retries,
        is_failed_step: record.is_failed_step(),
        root: record.run.is_root.then(|| root_row(record)),
        step,
        export: Export::None,
    }
}

/// The exported name, where it is not that of the kind with the model or tool behind it.
fn own_name(record: &SpanRecord) -> Option<Cow<'_, str>> {
    let (prefix, subject) = record.kind.exported_name(Profile::Hermes);
    let is_usual = record.given_name.is_none()
        && match (record.kind, subject) {
            (Kind::Chat | Kind::Tool, Some(subject)) => record.facts.text(subject).is_some(),
            (_, subject) => subject.is_none() && !prefix.is_empty(),
        };
    (!is_usual).then(|| record.exported_name(Profile::Hermes))
}

fn root_row(record: &SpanRecord) -> RootRow<'_> {
    let stated = record.text(Fact::EndReason).and_then(EndReason::from_name);
    RootRow {
        platform: record.text(Fact::Platform),
        entrypoint: record.text(Fact::Entrypoint),
        agent_name: record.text(Fact::AgentName),
        model: record.text(Fact::Model),
        parent_span_id: record.parent_span_id.or(record.remote_parent_span_id),
        end_reason: stated.or(match record.status {
            Status::Running => None,
            Status::Ok => Some(EndReason::Completed),
            Status::Error => Some(EndReason::Failed),
            Status::Cancelled | Status::Interrupted => Some(EndReason::Interrupted),
        }),
    }
}

fn model_call_row(facts: &Facts) -> ModelCallRow<'_> {
    let cost_usd = facts.double(Fact::CostUsd);
    ModelCallRow {
        provider: facts.text(Fact::Provider),
        model: facts.text(Fact::RequestModel),
        base_url: facts.text(Fact::BaseUrl),
        response_model: facts.text(Fact::ResponseModel),
        response_id: facts.text(Fact::ResponseId),
        finish_reason: facts
            .get(Fact::FinishReasons)
            .map(Value::to_text)
            .filter(|reason| !reason.is_empty()),
        input_tokens: facts.int(Fact::InputTokens),
        output_tokens: facts.int(Fact::OutputTokens),
        cache_read_tokens: facts.int(Fact::CacheReadTokens),
        cache_write_tokens: facts.int(Fact::CacheWriteTokens),
        reasoning_tokens: facts.int(Fact::ReasoningTokens),
        ttft_ms: facts.double(Fact::TimeToFirstChunk).and_then(milliseconds),
        cost_usd,
        // A cost that the code stated without saying more is one that it knows.
        cost_status: facts
            .text(Fact::CostStatus)
            .and_then(CostStatus::from_name)
            .or(cost_usd.map(|_| CostStatus::Known)),
        cost_source: facts.text(Fact::CostSource),
        retry_count: facts.int(Fact::RetryCount).unwrap_or(0),
        api_call_number: facts.int(Fact::ApiCallNumber),
    }
}

fn tool_call_row(status: Status, facts: &Facts) -> ToolCallRow<'_> {
    let stated = facts
        .text(Fact::ToolResultClass)
        .and_then(ResultClass::from_name);
    ToolCallRow {
        tool_name: facts.text(Fact::ToolName),
        backend: facts.text(Fact::ToolBackend),
        // Nothing came back from a tool that runs, or that was given up.
        result_class: stated.or(match status {
            Status::Ok => Some(ResultClass::Ok),
            Status::Error => Some(ResultClass::Error),
            Status::Running | Status::Cancelled | Status::Interrupted => None,
        }),
        retry_count: facts.int(Fact::RetryCount).unwrap_or(0),
        approval: facts.text(Fact::ToolApproval),
        call_id: facts.text(Fact::ToolCallId),
    }
}

fn milliseconds(seconds: f64) -> Option<i64> {
    let milliseconds = (seconds * 1000.0).round();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole, and checked to lie within ±2^53"
    )]
    (milliseconds.abs() < 9e15).then_some(milliseconds as i64)
}
