//! What a record is as a row of the store's tables: texts borrowed, each value once.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use super::known::Known;
use super::provider::Providers;
use crate::policy;
use crate::record::{CostStatus, EndReason, ResultClass, SpanRecord, Status, Value};
use crate::semconv::{Fact, Form, Kind, Profile, Sensitivity, slots};
use crate::store::{
    Attributes, ContentRow, Export, ModelCallRow, RootRow, Row, SpanRow, StepRow, ToolCallRow,
    WithdrawnRow, is_in_column,
};
use crate::wire;

/// What a batch leaves behind at most for the next one to write into.
const KEPT_BYTES: usize = 1024 * 1024;

/// Makes rows of records, batch after batch in the same room.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// The values of a whole batch, one JSON array behind the other, and where each stands.
    values: String,
    places: Vec<Range<usize>>,
    providers: Providers,
}

impl Rows {
    /// The rows of a batch.
    pub(crate) fn of<'a>(&'a mut self, batch: &'a [Arc<SpanRecord>]) -> Vec<Row<'a>> {
        self.values.clear();
        self.values.shrink_to(KEPT_BYTES);
        self.places.clear();
        let mut rows: Vec<_> = batch.iter().map(|record| self.row(record)).collect();
        for (row, place) in rows.iter_mut().zip(&self.places) {
            if let Row::Open(span) | Row::Closed(span) = row {
                let values = self.values.get(place.clone());
                span.attributes.values = values.filter(|values| !values.is_empty());
            }
        }
        rows
    }

    /// The row but for its values: they stand in a text that others are still written into.
    fn row<'a>(&mut self, record: &'a SpanRecord) -> Row<'a> {
        let start = self.values.len();
        let row = if record.withdrawn {
            Row::Withdrawn(withdrawn_row(record))
        } else {
            let known = Known::of(&record.facts);
            let attributes = self.attributes(record, &known);
            let mut span = span_row(record, &known, attributes);
            span.contents = contents(record, &known, &mut span);
            if record.end_ns.is_some() {
                Row::Closed(span)
            } else {
                Row::Open(span)
            }
        };
        self.places.push(start..self.values.len());
        row
    }

    /// Notes which attributes there are, and writes the values that no column has.
    fn attributes(&mut self, record: &SpanRecord, known: &Known<'_>) -> Attributes<'static> {
        let mut attributes = Attributes::default();
        let start = self.values.len();
        for (at, slot) in slots(record.kind).iter().enumerate() {
            let Some(value) = known.get(slot.fact) else {
                continue;
            };
            let stated = value.as_str().unwrap_or_default();
            let formed = match slot.form {
                Form::Raw => None,
                form => match self.providers.formed(form, stated) {
                    Some(formed) if value.as_str().is_some() => Some(formed),
                    _ => continue,
                },
            };
            attributes.known |= 1 << at;
            let is_stated = formed.is_none_or(|formed| formed == stated);
            if is_stated && is_in_column(slot, value, record) {
                attributes.in_column |= 1 << at;
                continue;
            }
            if formed.is_none() && is_content(slot.fact, value) {
                attributes.in_content |= 1 << at;
                continue;
            }
            let is_first = self.values.len() == start;
            self.values.push(if is_first { '[' } else { ',' });
            match formed {
                Some(formed) => wire::push_text(formed, &mut self.values),
                None => wire::push_value(value, &mut self.values),
            }
        }
        if self.values.len() > start {
            self.values.push(']');
        }
        attributes
    }
}

/// Whether a value is content that is stored once for all who say it: lists of words are not worth it.
fn is_content(fact: Fact, value: &Value) -> bool {
    fact.sensitivity() == Sensitivity::Content && matches!(value, Value::Text(_))
}

/// What a span says, taken out of the columns that would have it. Spans without content pay for one look
/// at the bits.
fn contents<'a>(
    record: &'a SpanRecord,
    known: &Known<'a>,
    span: &mut SpanRow<'a>,
) -> Vec<ContentRow<'a>> {
    let mut contents = Vec::new();
    if span.attributes.in_content != 0 {
        let said = slots(record.kind).iter().enumerate();
        let said = said.filter(|(at, _)| span.attributes.in_content & 1 << at != 0);
        let texts = said.filter_map(|(_, slot)| known.get(slot.fact).and_then(Value::as_str));
        contents.extend((0..).zip(texts).map(|(place, text)| ContentRow {
            place,
            text: Cow::Borrowed(text),
        }));
    }
    let mut take = |place, column: &mut Option<String>| {
        if let Some(text) = column.replace(ContentRow::ELSEWHERE.to_owned()) {
            let text = Cow::Owned(text);
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

fn span_row<'a>(
    record: &'a SpanRecord,
    known: &Known<'a>,
    attributes: Attributes<'a>,
) -> SpanRow<'a> {
    let failure = record.failure.as_ref();
    let step = match record.kind {
        Kind::Chat => Some(StepRow::ModelCall(model_call_row(known))),
        Kind::Tool => Some(StepRow::ToolCall(tool_call_row(record.status, known))),
        _ => None,
    };
    SpanRow {
        trace_id: record.trace_id,
        span_id: record.span_id,
        parent_span_id: record.parent_span_id,
        wire_parent_span_id: record.wire_parent_span_id,
        remote_parent_span_id: record.remote_parent_span_id,
        wait_ms: known.int(Fact::WaitMs),
        run_id: record.run.run_id,
        kind: record.kind,
        name: own_name(record, known),
        start_ns: record.start_ns,
        end_ns: record.end_ns,
        status: record.status,
        error_type: failure.map(|failure| failure.error_type.as_ref()),
        error_class: failure.map(|failure| failure.class),
        status_message: failure.and_then(|failure| failure.message.as_deref()),
        session_id: known.text(Fact::SessionId),
        attributes,
        extra_json: wire::extra_json(record),
        events_json: wire::events_json(record),
        contents: Vec::new(),
        links_json: wire::links_json(record),
        retries: record.retries,
        is_failed_step: record.is_failed_step(),
        root: record.run.is_root.then(|| root_row(record)),
        step,
        export: Export::None,
    }
}

/// The exported name, where it is not that of the kind with the model or tool behind it.
fn own_name<'a>(record: &'a SpanRecord, known: &Known<'a>) -> Option<Cow<'a, str>> {
    let (prefix, subject) = record.kind.exported_name(Profile::Hermes);
    let is_usual = record.given_name.is_none()
        && match (record.kind, subject) {
            (Kind::Chat | Kind::Tool, Some(subject)) => known.text(subject).is_some(),
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

fn model_call_row<'a>(facts: &Known<'a>) -> ModelCallRow<'a> {
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

fn tool_call_row<'a>(status: Status, facts: &Known<'a>) -> ToolCallRow<'a> {
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
