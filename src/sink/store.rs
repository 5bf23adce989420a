//! The way into the store: what a record is as rows of its tables.

use std::sync::Arc;

use super::debts::Debts;
use super::{Backlog, Outcome, Sink, SinkError};
use crate::record::{CostStatus, EndReason, ResultClass, SpanRecord, Status, Value};
use crate::semconv::{Fact, Kind, Naming, Profile};
use crate::store::{
    Export, ModelCallRow, RootRow, Row, SpanRow, StepRow, ToolCallRow, WithdrawnRow, WriteError,
    Writer,
};
use crate::wire;

/// The names in the store: those of profile `hermes`, whatever OTLP speaks.
const NAMING: Naming = Naming {
    profile: Profile::Hermes,
    openinference: false,
};

/// How often the writer says that it is alive.
const HEARTBEAT_NS: i64 = 5_000_000_000;

/// Writes records to the store.
#[derive(Debug)]
pub(crate) struct StoreSink {
    /// `None` once closed.
    writer: Option<Writer>,
    beaten_ns: i64,
    /// The losses as the store knows them.
    losses: Vec<(&'static str, u64)>,
    /// What is owed to a collector, where spans are exported over OTLP.
    debts: Option<Debts>,
}

impl StoreSink {
    pub(crate) fn new(writer: Writer, backlog: Option<Arc<Backlog>>) -> Self {
        StoreSink {
            debts: backlog.map(|backlog| Debts::of(&writer, backlog)),
            writer: Some(writer),
            beaten_ns: 0,
            losses: Vec::new(),
        }
    }
}

impl Sink for StoreSink {
    fn keeps(&self) -> bool {
        true
    }

    fn write(&mut self, batch: &[Arc<SpanRecord>]) -> Result<Outcome, SinkError> {
        let Some(writer) = &mut self.writer else {
            return Err(SinkError {
                retryable: false,
                message: "the store is closed".to_owned(),
            });
        };
        let mut rows: Vec<_> = batch.iter().map(|record| row(record)).collect();
        if let Some(debts) = &mut self.debts {
            debts.listen();
            for (record, row) in batch.iter().zip(&mut rows) {
                if let Row::Open(span) | Row::Closed(span) = row {
                    span.export = debts.export(record);
                }
            }
        }
        let written = writer.write(&rows).map_err(SinkError::from)?;
        if let Some(debts) = &mut self.debts {
            debts.stored(batch, written.owed);
        }
        Ok(Outcome {
            refused: written.refused,
        })
    }

    fn tick(&mut self, now_ns: i64, losses: &[(&'static str, u64)]) {
        let Some(writer) = &mut self.writer else {
            return;
        };
        // A tick that fails is made good by the next one; trouble that lasts shows when writing.
        if now_ns.saturating_sub(self.beaten_ns) >= HEARTBEAT_NS && writer.heartbeat(now_ns).is_ok()
        {
            self.beaten_ns = now_ns;
        }
        if let Some(debts) = &mut self.debts {
            debts.tick(writer);
        }
        let is_news = losses.iter().any(|loss| loss.1 > 0) && losses != self.losses;
        if is_news && writer.record_losses(losses).is_ok() {
            losses.clone_into(&mut self.losses);
        }
    }

    fn close(&mut self) {
        if let Some(mut writer) = self.writer.take() {
            if let Some(debts) = self.debts.take() {
                debts.close(&mut writer);
            }
            writer.checkpoint_and_close();
        }
    }
}

impl From<WriteError> for SinkError {
    fn from(error: WriteError) -> Self {
        SinkError {
            retryable: error.retryable,
            message: error.message,
        }
    }
}

/// A record as a row, its texts borrowed.
pub(crate) fn row(record: &SpanRecord) -> Row<'_> {
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
        export: Export::None,
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::StoreSink;
    use crate::record::{
        EndReason, ErrorClass, EventRecord, Facts, Failure, ResultClass, RunId, RunRecord, SpanId,
        SpanRecord, Status, TraceId,
    };
    use crate::semconv::{Fact, Kind};
    use crate::sink::Sink;
    use crate::store::{Store, Writer};

    const START: i64 = 1_700_000_000_000_000_000;

    /// A span that ended well after a second.
    fn record(
        kind: Kind,
        run: (TraceId, RunId),
        facts: &[(Fact, crate::record::Value)],
    ) -> SpanRecord {
        let mut known = Facts::default();
        for (fact, value) in facts {
            known.set(*fact, value.clone());
        }
        SpanRecord {
            trace_id: run.0,
            span_id: SpanId::generate(),
            parent_span_id: None,
            wire_parent_span_id: None,
            run: RunRecord {
                run_id: run.1,
                is_root: kind == Kind::Session,
            },
            kind,
            given_name: None,
            start_ns: START,
            end_ns: Some(START + 1_000_000_000),
            status: Status::Ok,
            failure: None,
            facts: known,
            extra: Vec::new(),
            events: Vec::new(),
            links: Vec::new(),
            retries: None,
            withdrawn: false,
        }
    }

    #[test]
    fn records_become_rows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let mut sink = StoreSink::new(Writer::open(&path, START).unwrap(), None);
        let run = (TraceId::generate(START), RunId::generate(START));
        let session = record(
            Kind::Session,
            run,
            &[
                (Fact::SessionId, "s-1".into()),
                (Fact::Platform, "telegram".into()),
                (Fact::EndReason, "max_iterations".into()),
            ],
        );
        let chat = record(
            Kind::Chat,
            run,
            &[
                (Fact::Provider, "openai".into()),
                (Fact::RequestModel, "gpt-4o".into()),
                (Fact::FinishReasons, vec!["stop"].into()),
                (Fact::InputTokens, 1200.into()),
                (Fact::TimeToFirstChunk, 0.2506.into()),
                (Fact::CostUsd, 0.01.into()),
            ],
        );
        let mut tool = record(Kind::Tool, run, &[(Fact::ToolName, "read_file".into())]);
        tool.status = Status::Error;
        tool.failure = Some(Failure {
            error_type: "io::Error".into(),
            class: ErrorClass::Unknown,
            message: Some("no such file".to_owned()),
        });
        tool.events.push(EventRecord {
            name: "exception".into(),
            time_ns: START,
            attributes: vec![("k".into(), "v".into())],
        });
        tool.links.push((run.0, chat.span_id));
        let mut turn = record(Kind::Turn, run, &[]);
        let mut announced = session.clone();
        (announced.end_ns, announced.status) = (None, Status::Running);
        let open = [Arc::new(announced), Arc::new(turn.clone())];
        assert!(sink.keeps());
        assert_eq!(sink.write(&open).unwrap().refused, 0);
        turn.withdrawn = true;
        let batch = [
            Arc::new(chat),
            Arc::new(tool),
            Arc::new(turn),
            Arc::new(session),
        ];
        assert_eq!(sink.write(&batch).unwrap().refused, 0);
        sink.tick(START + 10_000_000_000, &[("queue_full", 4)]);
        sink.tick(START + 10_000_000_001, &[("queue_full", 4)]);
        sink.close();
        assert!(!sink.write(&batch).unwrap_err().retryable, "closed");

        let store = Store::open(&path).unwrap();
        let seen = store.run(run.1).unwrap().unwrap();
        assert_eq!(
            (
                seen.model_call_count,
                seen.tool_call_count,
                seen.error_count
            ),
            (1, 1, 1)
        );
        assert_eq!(
            (seen.session_id.as_deref(), seen.platform.as_deref()),
            (Some("s-1"), Some("telegram"))
        );
        assert_eq!(
            (seen.end_reason, seen.turn_count),
            (Some(EndReason::MaxIterations), 0)
        );
        let call = &store.model_calls(run.1).unwrap()[0];
        assert_eq!((call.ttft_ms, call.latency_ms), (Some(251), Some(1000)));
        assert_eq!(
            (call.finish_reason.as_deref(), call.cost_status.as_deref()),
            (Some("stop"), Some("known"))
        );
        assert_eq!(
            store.tool_calls(run.1).unwrap()[0].result_class,
            Some(ResultClass::Error)
        );
        let spans = store.spans_of_run(run.1).unwrap();
        assert_eq!(spans.len(), 3);
        let tool = spans.iter().find(|span| span.kind == "TOOL").unwrap();
        assert_eq!(
            (tool.name.as_str(), tool.status_message.as_deref()),
            ("hermes.tool.read_file", Some("no such file"))
        );
        assert_eq!((tool.events.len(), tool.links.len()), (1, 1));
        let chat = spans.iter().find(|span| span.kind == "LLM").unwrap();
        assert_eq!(chat.attributes[Fact::RequestModel.name()], "gpt-4o");
        assert_eq!(store.losses().unwrap()["queue_full"], 4);
    }
}
