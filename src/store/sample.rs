//! Rows for the tests of this folder: a run with its spans, one second each.

use std::borrow::Cow;

use super::row::{Attributes, Export, ModelCallRow, RootRow, Row, SpanRow, StepRow, ToolCallRow};
use crate::record::{
    CostStatus, EndReason, ErrorClass, ResultClass, RunId, SpanId, Status, TraceId,
};
use crate::semconv::Kind;

pub(super) const SECOND: i64 = 1_000_000_000;
pub(super) const START: i64 = 1_700_000_000 * SECOND;

/// The ids that the rows of one run share.
#[derive(Clone, Copy)]
pub(super) struct Sample {
    pub(super) trace_id: TraceId,
    pub(super) run_id: RunId,
}

impl Sample {
    pub(super) fn new() -> Self {
        Sample {
            trace_id: TraceId::generate(START),
            run_id: RunId::generate(START),
        }
    }

    /// A span that runs.
    pub(super) fn span(self, kind: Kind, start_s: i64) -> SpanRow<'static> {
        SpanRow {
            trace_id: self.trace_id,
            span_id: SpanId::generate(),
            parent_span_id: None,
            wire_parent_span_id: None,
            remote_parent_span_id: None,
            wait_ms: None,
            run_id: self.run_id,
            kind,
            name: Some(Cow::Borrowed(kind.span_name())),
            start_ns: START + start_s * SECOND,
            end_ns: None,
            status: Status::Running,
            error_type: None,
            error_class: None,
            status_message: None,
            session_id: Some("s-1"),
            attributes: Attributes::default(),
            attr_values: None,
            extra_json: None,
            events_json: None,
            contents: Vec::new(),
            links_json: None,
            retries: None,
            is_failed_step: false,
            root: None,
            step: None,
            export: Export::None,
        }
    }

    /// A session that runs: the root.
    pub(super) fn session(self) -> SpanRow<'static> {
        SpanRow {
            root: Some(RootRow {
                platform: Some("telegram"),
                entrypoint: Some("gateway"),
                agent_name: Some("librarian"),
                model: Some("gpt-4o"),
                parent_span_id: None,
                end_reason: None,
            }),
            ..self.span(Kind::Session, 0)
        }
    }

    /// A model call that runs.
    pub(super) fn chat(self, start_s: i64) -> SpanRow<'static> {
        SpanRow {
            step: Some(StepRow::ModelCall(ModelCallRow {
                provider: Some("openai"),
                model: Some("gpt-4o"),
                base_url: Some("https://api.openai.com/v1"),
                api_call_number: Some(1),
                ..ModelCallRow::default()
            })),
            ..self.span(Kind::Chat, start_s)
        }
    }

    /// A tool call that runs.
    pub(super) fn tool(self, start_s: i64) -> SpanRow<'static> {
        SpanRow {
            step: Some(StepRow::ToolCall(ToolCallRow {
                tool_name: Some("read_file"),
                backend: Some("local"),
                call_id: Some("call_1"),
                ..ToolCallRow::default()
            })),
            ..self.span(Kind::Tool, start_s)
        }
    }
}

impl<'a> SpanRow<'a> {
    pub(super) fn under(mut self, parent: &SpanRow<'_>) -> Self {
        self.parent_span_id = Some(parent.span_id);
        self.wire_parent_span_id = Some(parent.span_id);
        self
    }

    /// The span after a second, done.
    pub(super) fn ended(mut self) -> Self {
        self.end_ns = Some(self.start_ns + SECOND);
        self.status = Status::Ok;
        if let Some(root) = &mut self.root {
            root.end_reason = Some(EndReason::Completed);
        }
        if let Some(StepRow::ToolCall(call)) = &mut self.step {
            call.result_class = Some(ResultClass::Ok);
        }
        self
    }

    /// The span after a second, failed.
    pub(super) fn failed(self) -> Self {
        let mut row = self.ended();
        row.status = Status::Error;
        row.error_type = Some("rate_limit");
        row.error_class = Some(ErrorClass::RateLimit);
        row.status_message = Some("too many requests");
        row.is_failed_step = row.step.is_some();
        if let Some(StepRow::ToolCall(call)) = &mut row.step {
            call.result_class = Some(ResultClass::Error);
        }
        row
    }

    /// The model call with what it used.
    pub(super) fn used(mut self, tokens: [i64; 2], cost: Option<(f64, CostStatus)>) -> Self {
        if let Some(StepRow::ModelCall(call)) = &mut self.step {
            [call.input_tokens, call.output_tokens] = tokens.map(Some);
            call.cost_usd = cost.map(|(usd, _)| usd);
            call.cost_status = cost.map(|(_, status)| status);
        }
        self
    }

    pub(super) fn opened(&self) -> Row<'a> {
        Row::Open(self.clone())
    }

    pub(super) fn closed(&self) -> Row<'a> {
        Row::Closed(self.clone())
    }
}
