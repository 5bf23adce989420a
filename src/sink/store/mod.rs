//! The way into the store: batches of records, a sign of life, and what was lost.

mod prepare;
mod provider;
mod row;

use std::sync::Arc;

use super::debts::Debts;
use super::{Backlog, Outcome, Parcel, Sink, SinkError};
use crate::record::Happening;
use crate::store::{LostSpan, Pruner, Row, WriteError, Writer};
pub(crate) use prepare::{Prepared, Preparer};
pub(crate) use row::rows;

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
    /// Whether the file turned out to be broken.
    is_damaged: bool,
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
            is_damaged: false,
        }
    }

    pub(super) fn writer(&mut self) -> Option<&mut Writer> {
        self.writer.as_mut()
    }

    pub(super) fn into_writer(self) -> Option<Writer> {
        self.writer
    }

    pub(super) fn is_damaged(&self) -> bool {
        self.is_damaged
    }

    /// Ends announced spans whose end never comes; whether it is done.
    pub(super) fn mark_lost(&mut self, lost: &[LostSpan]) -> bool {
        let Some(writer) = &mut self.writer else {
            return false;
        };
        match writer.mark_lost(lost) {
            Ok(()) => true,
            Err(error) => {
                self.is_damaged |= error.damaged;
                false
            }
        }
    }

    /// Prunes a little. What fails is tried again with the next look at the ages.
    pub(super) fn prune(&mut self, pruner: &mut Pruner, now_ns: i64) {
        if let Some(writer) = &mut self.writer
            && let Err(error) = writer.prune(pruner, now_ns)
        {
            self.is_damaged |= error.damaged;
        }
    }
}

impl Sink for StoreSink {
    fn keeps(&self) -> bool {
        true
    }

    fn write(&mut self, batch: &Parcel) -> Result<Outcome, SinkError> {
        let Some(writer) = &mut self.writer else {
            return Err(SinkError {
                retryable: false,
                message: "the store is closed".to_owned(),
            });
        };
        let made_now;
        let prepared = if let Some(prepared) = batch.prepared() {
            prepared
        } else {
            made_now = Preparer::default().prepare(batch);
            &made_now
        };
        let mut rows = rows(batch, prepared);
        if let Some(debts) = &mut self.debts {
            debts.listen();
            for (record, row) in batch.iter().zip(&mut rows) {
                if let Row::Open(span) | Row::Closed(span) = row {
                    span.export = debts.export(record);
                }
            }
        }
        let written = writer.write(&rows).map_err(|error| {
            self.is_damaged |= error.damaged;
            SinkError::from(error)
        })?;
        if let Some(debts) = &mut self.debts {
            debts.stored(batch, written.owed);
        }
        Ok(Outcome {
            refused: written.refused,
        })
    }

    fn note(&mut self, events: &[Happening]) -> Result<Outcome, SinkError> {
        let Some(writer) = &mut self.writer else {
            return Err(SinkError {
                retryable: false,
                message: "the store is closed".to_owned(),
            });
        };
        let noted = writer.happened(events);
        noted.map(|()| Outcome::default()).map_err(|error| {
            self.is_damaged |= error.damaged;
            SinkError::from(error)
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::StoreSink;
    use crate::record::{
        EndReason, ErrorClass, EventRecord, Facts, Failure, ResultClass, RunId, RunRecord, SpanId,
        SpanRecord, Status, TraceId, Value,
    };
    use crate::semconv::{Fact, Kind, Naming, Profile};
    use crate::sink::Sink;
    use crate::store::{Store, Writer};
    use crate::wire::FinishedSpan;

    const START: i64 = 1_700_000_000_000_000_000;

    /// A span that ended well after a second.
    fn record(kind: Kind, run: (TraceId, RunId), facts: &[(Fact, Value)]) -> SpanRecord {
        let mut known = Facts::default();
        for (fact, value) in facts {
            known.set(*fact, value.clone());
        }
        SpanRecord {
            trace_id: run.0,
            span_id: SpanId::generate(),
            is_sampled: true,
            parent_span_id: None,
            wire_parent_span_id: None,
            remote_parent_span_id: None,
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
        assert_eq!(sink.write(&open.to_vec().into()).unwrap().refused, 0);
        turn.withdrawn = true;
        let batch = [
            Arc::new(chat),
            Arc::new(tool),
            Arc::new(turn),
            Arc::new(session),
        ];
        assert_eq!(sink.write(&batch.to_vec().into()).unwrap().refused, 0);
        sink.tick(START + 10_000_000_000, &[("queue_full", 4)]);
        sink.tick(START + 10_000_000_001, &[("queue_full", 4)]);
        sink.close();
        assert!(
            !sink.write(&batch.to_vec().into()).unwrap_err().retryable,
            "closed"
        );

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

    /// A value of any kind, those that look like another kind among them.
    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            (-1e9..1e9).prop_map(Value::Double),
            Just(Value::Double(f64::NAN)),
            "[a-z\"\\\\\n é😀-]{0,12}".prop_map(Value::from),
            "(ok|error|known|LLM|chat|OpenAI|azure|12|-3)".prop_map(Value::from),
            prop::collection::vec("[a-z_]{0,8}", 0..3).prop_map(Value::from),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn whatever_is_known_of_a_span_is_read_back_under_the_names_of_the_profile(
            spans in prop::collection::vec(
                (
                    prop::sample::select(&Kind::ALL[..]),
                    prop::collection::vec((prop::sample::select(Fact::ALL), value()), 0..24),
                    prop::collection::vec(("[a-z.]{1,9}", value()), 0..3),
                    any::<bool>(),
                ),
                1..40,
            ),
        ) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("telemetry.db");
            let mut sink = StoreSink::new(Writer::open(&path, START).unwrap(), None);
            let run = (TraceId::generate(START), RunId::generate(START));
            let records: Vec<_> = spans
                .into_iter()
                .map(|(kind, facts, extra, has_failed)| {
                    let mut record = record(kind, run, &facts);
                    record.extra = extra.into_iter().map(|(name, value)| (name.into(), value)).collect();
                    record.extra.sort_by(|one, other| one.0.cmp(&other.0));
                    record.extra.dedup_by(|one, other| one.0 == other.0);
                    record.failure = has_failed.then(|| Failure {
                        error_type: "error".into(),
                        class: ErrorClass::Unknown,
                        message: None,
                    });
                    Arc::new(record)
                })
                .collect();
            sink.write(&records.clone().into()).unwrap();
            sink.close();
            let store = Store::open(&path).unwrap();
            let stored = store.spans_of_run(run.1).unwrap();
            prop_assert_eq!(stored.len(), records.len());
            for record in &records {
                let span = stored.iter().find(|span| span.span_id == record.span_id).unwrap();
                let naming = Naming { profile: Profile::Hermes, openinference: false };
                let told = FinishedSpan::of_record(record, naming);
                prop_assert_eq!(&span.name, &told.name);
                prop_assert_eq!(span.kind.as_str(), record.kind.span_kind());
                prop_assert_eq!(span.span_name.as_str(), record.kind.span_name());
                prop_assert_eq!(span.wire_parent_span_id, record.wire_parent_span_id);
                // An attribute that is null says nothing, and where two are merged it may be missing.
                let said = |attributes: &serde_json::Map<_, serde_json::Value>| {
                    let said = attributes.iter().filter(|(_, value)| !value.is_null());
                    said.map(|(name, value)| (name.clone(), value.clone())).collect::<BTreeMap<_, _>>()
                };
                let (stored, told) = (said(&span.attributes), said(&told.attributes));
                let names = |said: &BTreeMap<String, _>| said.keys().cloned().collect::<Vec<_>>();
                prop_assert_eq!(names(&stored), names(&told));
                for (name, value) in &told {
                    match (value.as_f64(), stored[name].as_f64()) {
                        (Some(one), Some(other)) if value.is_f64() => {
                            prop_assert!((one - other).abs() <= one.abs() * f64::EPSILON, "{}", name);
                        }
                        _ => prop_assert_eq!(value, &stored[name], "{}", name),
                    }
                }
            }
        }
    }
}
