//! What a record is as a row of the store's tables.

use crate::record::{CostStatus, EndReason, ResultClass, SpanRecord, Status, Value};
use crate::semconv::{Fact, Kind, Naming, Profile};
use crate::store::{ModelCallRow, RootRow, Row, SpanRow, StepRow, ToolCallRow, WithdrawnRow};
use crate::wire;

/// The names in the store: those of profile `hermes`, whatever OTLP speaks.
const NAMING: Naming = Naming {
    profile: Profile::Hermes,
    openinference: false,
};

/// A record as a row, its texts borrowed.
pub(super) fn row(record: &SpanRecord) -> Row<'_> {
    if record.withdrawn {
        return Row::Withdrawn(WithdrawnRow {
            trace_id: record.trace_id,
            span_id: record.span_id,
            parent_span_id: record.parent_span_id,
            root_of: record
                .run
                .is_root
                .then(|| (record.run.run_id, record.end_ns.unwrap_or(record.start_ns))),
        });
    }
    let span = span_row(record);
    if record.end_ns.is_some() {
        Row::Closed(span)
    } else {
        Row::Open(span)
    }
}

fn span_row(record: &SpanRecord) -> SpanRow<'_> {
    let failure = record.failure.as_ref();
    SpanRow {
        trace_id: record.trace_id,
        span_id: record.span_id,
        parent_span_id: record.parent_span_id,
        wire_parent_span_id: record.wire_parent_span_id,
        run_id: record.run.run_id,
        kind: record.kind,
        name: record.exported_name(Profile::Hermes),
        start_ns: record.start_ns,
        end_ns: record.end_ns,
        status: record.status,
        error_type: failure.map(|failure| failure.error_type.as_ref()),
        error_class: failure.map(|failure| failure.class),
        status_message: failure.and_then(|failure| failure.message.as_deref()),
        session_id: record.text(Fact::SessionId),
        attrs_json: wire::attributes_json(record, NAMING),
        events_json: wire::events_json(record),
        links_json: links_json(record),
        retries: record.retries,
        is_failed_step: record.is_failed_step(),
        root: record.run.is_root.then(|| root_row(record)),
        step: match record.kind {
            Kind::Chat => Some(StepRow::ModelCall(model_call_row(record))),
            Kind::Tool => Some(StepRow::ToolCall(tool_call_row(record))),
            _ => None,
        },
    }
}

fn root_row(record: &SpanRecord) -> RootRow<'_> {
    let stated = record.text(Fact::EndReason).and_then(EndReason::from_name);
    RootRow {
        platform: record.text(Fact::Platform),
        entrypoint: record.text(Fact::Entrypoint),
        agent_name: record.text(Fact::AgentName),
        model: record.text(Fact::Model),
        end_reason: stated.or(match record.status {
            Status::Running => None,
            Status::Ok => Some(EndReason::Completed),
            Status::Error => Some(EndReason::Failed),
            Status::Cancelled | Status::Interrupted => Some(EndReason::Interrupted),
        }),
    }
}

fn model_call_row(record: &SpanRecord) -> ModelCallRow<'_> {
    let facts = &record.facts;
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

fn tool_call_row(record: &SpanRecord) -> ToolCallRow<'_> {
    let facts = &record.facts;
    let stated = facts
        .text(Fact::ToolResultClass)
        .and_then(ResultClass::from_name);
    ToolCallRow {
        tool_name: facts.text(Fact::ToolName),
        backend: facts.text(Fact::ToolBackend),
        // Nothing came back from a tool that runs, or that was given up.
        result_class: stated.or(match record.status {
            Status::Ok => Some(ResultClass::Ok),
            Status::Error => Some(ResultClass::Error),
            Status::Running | Status::Cancelled | Status::Interrupted => None,
        }),
        retry_count: facts.int(Fact::RetryCount).unwrap_or(0),
        approval: facts.text(Fact::ToolApproval),
        call_id: facts.text(Fact::ToolCallId),
    }
}

/// The links as a JSON array of `{trace_id, span_id}`; `None` where there are none.
fn links_json(record: &SpanRecord) -> Option<String> {
    if record.links.is_empty() {
        return None;
    }
    let links = record.links.iter().map(|(trace_id, span_id)| {
        serde_json::json!({"trace_id": trace_id.to_string(), "span_id": span_id.to_string()})
    });
    Some(serde_json::Value::Array(links.collect()).to_string())
}

fn milliseconds(seconds: f64) -> Option<i64> {
    let milliseconds = (seconds * 1000.0).round();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole, and checked to lie within ±2^53"
    )]
    (milliseconds.abs() < 9e15).then_some(milliseconds as i64)
}
