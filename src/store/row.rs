//! What the writer is handed: the rows of the tables as plain data, ids and words still typed.

use std::borrow::Cow;

use crate::record::{
    CostStatus, EndReason, ErrorClass, ResultClass, RunId, SpanId, Status, TraceId,
};
use crate::semconv::Kind;

/// One change to the store.
#[derive(Clone, Debug)]
pub(crate) enum Row<'a> {
    /// A span that has started: announced, so that running work is visible.
    Open(SpanRow<'a>),
    /// A span that has ended, announced before or not.
    Closed(SpanRow<'a>),
    /// A span that is not to be kept after all; its children move to its parent.
    Withdrawn(WithdrawnRow),
}

/// A row of `tel_spans`, and what its run and its step make of it.
#[derive(Clone, Debug)]
pub(crate) struct SpanRow<'a> {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    pub(crate) parent_span_id: Option<SpanId>,
    pub(crate) wire_parent_span_id: Option<SpanId>,
    /// The nearest ancestor in another process.
    pub(crate) remote_parent_span_id: Option<SpanId>,
    /// How long somebody's leave was waited for.
    pub(crate) wait_ms: Option<i64>,
    pub(crate) run_id: RunId,
    pub(crate) kind: Kind,
    /// The exported name, where it is not that of the kind with the model or tool behind it.
    pub(crate) name: Option<Cow<'a, str>>,
    pub(crate) start_ns: i64,
    pub(crate) end_ns: Option<i64>,
    pub(crate) status: Status,
    pub(crate) error_type: Option<&'a str>,
    pub(crate) error_class: Option<ErrorClass>,
    pub(crate) status_message: Option<&'a str>,
    pub(crate) session_id: Option<&'a str>,
    pub(crate) attributes: Attributes,
    /// The values of those attributes that stand nowhere else, in order, as a JSON array.
    pub(crate) attr_values: Option<&'a str>,
    /// Attributes that no table knows, as a JSON object.
    pub(crate) extra_json: Option<&'a str>,
    pub(crate) events_json: Option<&'a str>,
    /// What of the above is content, and stored once for all who say it.
    pub(crate) contents: Vec<ContentRow<'a>>,
    pub(crate) links_json: Option<&'a str>,
    /// The failed step that this one tries again.
    pub(crate) retries: Option<SpanId>,
    /// Whether the span counts into the errors of its run.
    pub(crate) is_failed_step: bool,
    /// What the span says of its run, where it is the run's root.
    pub(crate) root: Option<RootRow<'a>>,
    pub(crate) step: Option<StepRow<'a>>,
    pub(crate) export: Export,
}

/// A text that is content: redacted, and cut as it is kept.
#[derive(Clone, Debug)]
pub(crate) struct ContentRow<'a> {
    /// The number of the attribute among those of its span that are content, or one of these below.
    pub(crate) place: i64,
    pub(crate) text: &'a str,
}

impl ContentRow<'_> {
    /// In place of `extra_json`.
    pub(crate) const EXTRA: i64 = -1;
    /// In place of `events_json`.
    pub(crate) const EVENTS: i64 = -2;
    /// What the column says then.
    pub(crate) const ELSEWHERE: &'static str = "";
}

/// What a row says of the span's export.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Export {
    /// It is not exported.
    #[default]
    None,
    /// It is delivered, or given up.
    Settled,
    /// Some collector has not taken it yet.
    Owed(Owed),
}

/// By which ways out a span is owed, and on what terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owed {
    pub(crate) exits: u8,
    /// Whether the operator lets content leave.
    pub(crate) may_carry_content: bool,
    pub(crate) stage: Stage,
}

/// How far the export of a span has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The exporter has it in hand.
    UnderWay = 0,
    /// The exporter has given it back, so that it may be sent again.
    Ready = 1,
    /// It is not decided whether its trace leaves.
    Undecided = 2,
}

/// The attributes of a span by the [slots](crate::semconv::slots) of its kind, a bit each.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Attributes {
    /// Those that have a value.
    pub(crate) known: u64,
    /// Of these, those whose value a column has anyway.
    pub(crate) in_column: u64,
    /// Of the others, those whose value is content.
    pub(crate) in_content: u64,
}

/// What only the root of a run knows about it.
#[derive(Clone, Debug)]
pub(crate) struct RootRow<'a> {
    pub(crate) platform: Option<&'a str>,
    pub(crate) entrypoint: Option<&'a str>,
    pub(crate) agent_name: Option<&'a str>,
    pub(crate) model: Option<&'a str>,
    /// The nearest ancestor of the root, in whichever process.
    pub(crate) parent_span_id: Option<SpanId>,
    /// Known once the root has ended.
    pub(crate) end_reason: Option<EndReason>,
}

/// What a step has in its own table.
#[derive(Clone, Debug)]
pub(crate) enum StepRow<'a> {
    ModelCall(ModelCallRow<'a>),
    ToolCall(ToolCallRow<'a>),
}

impl StepRow<'_> {
    /// The number of the kind of step in `tel_span_rows`.
    pub(super) const fn number(&self) -> i64 {
        match self {
            StepRow::ModelCall(_) => 1,
            StepRow::ToolCall(_) => 2,
        }
    }
}

/// The columns of `tel_model_calls` that its span does not give.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelCallRow<'a> {
    pub(crate) provider: Option<&'a str>,
    pub(crate) model: Option<&'a str>,
    pub(crate) base_url: Option<&'a str>,
    pub(crate) response_model: Option<&'a str>,
    pub(crate) response_id: Option<&'a str>,
    pub(crate) finish_reason: Option<Cow<'a, str>>,
    pub(crate) input_tokens: Option<i64>,
    pub(crate) output_tokens: Option<i64>,
    pub(crate) cache_read_tokens: Option<i64>,
    pub(crate) cache_write_tokens: Option<i64>,
    pub(crate) reasoning_tokens: Option<i64>,
    pub(crate) ttft_ms: Option<i64>,
    pub(crate) cost_usd: Option<f64>,
    pub(crate) cost_status: Option<CostStatus>,
    pub(crate) cost_source: Option<&'a str>,
    pub(crate) retry_count: i64,
    pub(crate) api_call_number: Option<i64>,
}

/// The columns of `tel_tool_calls` that its span does not give.
#[derive(Clone, Debug, Default)]
pub(crate) struct ToolCallRow<'a> {
    pub(crate) tool_name: Option<&'a str>,
    pub(crate) backend: Option<&'a str>,
    pub(crate) result_class: Option<ResultClass>,
    pub(crate) retry_count: i64,
    pub(crate) approval: Option<&'a str>,
    pub(crate) call_id: Option<&'a str>,
}

/// A span that goes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WithdrawnRow {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    /// Where its children go.
    pub(crate) parent_span_id: Option<SpanId>,
    /// The run that the span was the root of, and when it ended: a run without spans goes with it.
    pub(crate) root_of: Option<(RunId, i64)>,
}

impl Row<'_> {
    /// The latest time that the row knows of.
    pub(super) fn latest_ns(&self) -> Option<i64> {
        match self {
            Row::Open(span) | Row::Closed(span) => Some(span.end_ns.unwrap_or(span.start_ns)),
            Row::Withdrawn(_) => None,
        }
    }
}

impl ModelCallRow<'_> {
    /// How sure the cost of the call is, for the sum of its run. A failed call that used nothing as
    /// far as anyone knows says nothing: it must not make a run's cost unknown.
    pub(super) fn cost_certainty(&self, status: Status) -> Option<CostStatus> {
        let used = self.input_tokens.unwrap_or(0) > 0 || self.output_tokens.unwrap_or(0) > 0;
        if status != Status::Ok && !used && self.cost_usd.is_none() {
            return None;
        }
        Some(self.cost_status.unwrap_or(CostStatus::Unknown))
    }
}
