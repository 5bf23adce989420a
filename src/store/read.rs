//! The read side: what a store holds, for programs, the command line and the web page.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, ToSql, params};

use super::connect::{self, failure};
use super::hex::Hex;
use super::liveness;
use super::recorded::{ErrorEvent, ModelCall, RecordedSpan, Run, ToolCall};
use crate::error::Error;
use crate::record::{RunId, Status, TraceId, now_ns};

/// A store, opened for reading.
///
/// Opening it brings an older store up to date, and marks what processes that died left open; it
/// changes nothing else.
///
/// ```no_run
/// use hermes::{RunFilter, Store};
///
/// let store = Store::open("telemetry.db")?;
/// for run in store.runs(&RunFilter::newest(10))? {
///     println!("{} {} {} tokens", run.run_id, run.status, run.input_tokens + run.output_tokens);
/// }
/// # Ok::<(), hermes::Error>(())
/// ```
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    path: PathBuf,
}

/// Which runs are wanted; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RunFilter {
    /// Those of this session.
    pub session_id: Option<String>,
    /// Those in this trace.
    pub trace_id: Option<TraceId>,
    /// Those that are doing, or went, like this.
    pub status: Option<Status>,
    /// Those that started at this time or later, in nanoseconds since the Unix epoch.
    pub since_ns: Option<i64>,
    /// At most so many.
    pub limit: Option<usize>,
}

impl RunFilter {
    /// The newest so many runs.
    #[must_use]
    pub fn newest(limit: usize) -> Self {
        RunFilter {
            limit: Some(limit),
            ..RunFilter::default()
        }
    }

    /// The runs of a session.
    #[must_use]
    pub fn session(session_id: impl Into<String>) -> Self {
        RunFilter {
            session_id: Some(session_id.into()),
            ..RunFilter::default()
        }
    }

    /// The runs in a trace.
    #[must_use]
    pub fn trace(trace_id: TraceId) -> Self {
        RunFilter {
            trace_id: Some(trace_id),
            ..RunFilter::default()
        }
    }

    /// The runs that started at this time or later, in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn since(since_ns: i64) -> Self {
        RunFilter {
            since_ns: Some(since_ns),
            ..RunFilter::default()
        }
    }
}

impl Store {
    /// Opens the store in this file.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) where there is none,
    /// [`StoreTooNew`](crate::ErrorKind::StoreTooNew) where a newer version of Hermes wrote it, and
    /// [`Store`](crate::ErrorKind::Store) where it cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Store, Error> {
        let path = path.as_ref();
        let mut connection = connect::existing(path)?;
        // A store that may only be read, or that others keep busy, is shown as it is.
        let _ = liveness::mark_dead(&mut connection, path, now_ns());
        connection
            .pragma_update(None, "query_only", true)
            .map_err(|source| failure("cannot open the store", path, source))?;
        Ok(Store {
            connection,
            path: path.to_owned(),
        })
    }

    /// The file of the store.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The runs that the filter lets through, newest first.
    ///
    /// # Errors
    ///
    /// Where the store cannot be read.
    pub fn runs(&self, filter: &RunFilter) -> Result<Vec<Run>, Error> {
        let trace_id = filter.trace_id.map(Hex::from);
        let status = filter.status.map(Status::as_str);
        let limit = filter
            .limit
            .map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX));
        let wishes: [(&str, Option<&dyn ToSql>); 4] = [
            (
                "session_id = ?",
                filter.session_id.as_ref().map(|id| id as _),
            ),
            ("trace_id = ?", trace_id.as_ref().map(|id| id as _)),
            ("status = ?", status.as_ref().map(|status| status as _)),
            (
                "start_ns >= ?",
                filter.since_ns.as_ref().map(|since| since as _),
            ),
        ];
        let (mut conditions, mut values): (Vec<&str>, Vec<&dyn ToSql>) = wishes
            .into_iter()
            .filter_map(|(condition, value)| Some((condition, value?)))
            .unzip();
        if conditions.is_empty() {
            conditions.push("true");
        }
        values.push(&limit);
        let conditions = conditions.join(" AND ");
        let rest = format!("WHERE {conditions} ORDER BY start_ns DESC, run_id DESC LIMIT ?");
        self.list(&Run::select(&rest), values.as_slice(), Run::from_row)
    }

    /// One run.
    ///
    /// # Errors
    ///
    /// Where the store cannot be read.
    pub fn run(&self, run_id: RunId) -> Result<Option<Run>, Error> {
        let read = || {
            self.connection
                .prepare_cached(&Run::select("WHERE run_id = ?1"))?
                .query_row([Hex::from(run_id)], Run::from_row)
                .optional()
        };
        read().map_err(|source| failure("cannot read the store", &self.path, source))
    }

    /// The spans of a run, in the order in which they started.
    ///
    /// # Errors
    ///
    /// Where the store cannot be read.
    pub fn spans_of_run(&self, run_id: RunId) -> Result<Vec<RecordedSpan>, Error> {
        let sql = RecordedSpan::select("WHERE run_id = ?1 ORDER BY start_ns, span_id");
        self.list(&sql, [Hex::from(run_id)], RecordedSpan::from_row)
    }

    /// The spans of a trace, in the order in which they started.
    ///
    /// # Errors
    ///
    /// Where the store cannot be read.
    pub fn spans_of_trace(&self, trace_id: TraceId) -> Result<Vec<RecordedSpan>, Error> {
        let sql = RecordedSpan::select("WHERE trace_id = ?1 ORDER BY start_ns, span_id");
        self.list(&sql, [Hex::from(trace_id)], RecordedSpan::from_row)
    }

    /// The model calls of a run that have ended, in the order in which they started.
    ///
    /// # Errors
    ///
    /// Where the store cannot be read.
    pub fn model_calls(&self, run_id: RunId) -> Result<Vec<ModelCall>, Error> {
        let sql = ModelCall::select("WHERE run_id = ?1 ORDER BY start_ns, span_id");
        self.list(&sql, [Hex::from(run_id)], ModelCall::from_row)
    }

    /// The tool calls of a run that have ended, in the order in which they started.
    ///
    /// # Errors
    ///
    /// Where the store cannot be read.
    pub fn tool_calls(&self, run_id: RunId) -> Result<Vec<ToolCall>, Error> {
        let sql = ToolCall::select("WHERE run_id = ?1 ORDER BY start_ns, span_id");
        self.list(&sql, [Hex::from(run_id)], ToolCall::from_row)
    }

    /// What failed in a run, in the order in which it happened.
    ///
    /// # Errors
    ///
    /// Where the store cannot be read.
    pub fn error_events(&self, run_id: RunId) -> Result<Vec<ErrorEvent>, Error> {
        let sql = ErrorEvent::select("WHERE run_id = ?1 ORDER BY ts_ns, id");
        self.list(&sql, [Hex::from(run_id)], ErrorEvent::from_row)
    }

    /// What the processes that wrote the store lost on the way, by reason.
    ///
    /// # Errors
    ///
    /// Where the store cannot be read.
    pub fn losses(&self) -> Result<BTreeMap<String, u64>, Error> {
        let sql = "SELECT reason, sum(count) FROM tel_losses GROUP BY reason";
        let read = |row: &rusqlite::Row<'_>| {
            let count: i64 = row.get(1)?;
            Ok((row.get(0)?, u64::try_from(count).unwrap_or(0)))
        };
        self.list(sql, params![], read).map(BTreeMap::from_iter)
    }

    pub(super) fn list<T>(
        &self,
        sql: &str,
        params: impl rusqlite::Params,
        read: impl Fn(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, Error> {
        let rows = || -> rusqlite::Result<Vec<T>> {
            self.connection
                .prepare_cached(sql)?
                .query_map(params, read)?
                .collect()
        };
        rows().map_err(|source| failure("cannot read the store", &self.path, source))
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::{RunFilter, Store};
    use crate::record::{SpanId, Status, TraceId};
    use crate::store::Writer;
    use crate::store::sample::{START, Sample};

    /// The names that queries made for hermes-agent rely on.
    const CONTRACT: [&str; 10] = [
        "SELECT run_id, trace_id, session_id, profile_id, entrypoint, platform, start_ns, end_ns,
            end_reason, model_call_count, tool_call_count, error_count, estimated_cost_usd,
            cost_status, schema_v FROM tel_runs",
        "SELECT span_id, trace_id, run_id, parent_span_id, name, kind, start_ns, end_ns, status,
            attrs_json FROM tel_spans",
        "SELECT span_id, run_id, provider, model, base_url, input_tokens, output_tokens,
            cache_read_tokens, cache_write_tokens, reasoning_tokens, latency_ms, ttft_ms,
            estimated_cost_usd, cost_status, cost_source, end_reason, retry_count
            FROM tel_model_calls",
        "SELECT span_id, run_id, tool_name, backend, duration_ms, result_class, retry_count,
            approval FROM tel_tool_calls",
        "SELECT id, run_id, ts_ns, error_class, subsystem, recovery FROM tel_error_events",
        "SELECT id, run_id, ts_ns, platform, direction, result, voice, attachments
            FROM tel_gateway_events",
        "SELECT id, run_id, ts_ns, kind, result FROM tel_cron_events",
        "SELECT id, run_id, ts_ns, action, skill_name FROM tel_skill_events",
        "SELECT id, run_id, ts_ns, action, result FROM tel_memory_events",
        "SELECT id, run_id, ts_ns, kind FROM tel_feedback_events",
    ];

    #[test]
    fn every_column_of_the_contract_can_be_selected() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        Writer::open(&path, START).unwrap().checkpoint_and_close();
        let connection = Connection::open(&path).unwrap();
        for query in CONTRACT {
            connection
                .prepare(query)
                .unwrap_or_else(|error| panic!("{query}: {error}"));
        }
    }

    /// What people ask of a store, none of which may walk through all of it.
    const QUESTIONS: [&str; 13] = [
        "SELECT * FROM tel_spans WHERE run_id = 'x' ORDER BY start_ns",
        "SELECT * FROM tel_spans WHERE trace_id = 'x' ORDER BY start_ns, span_id",
        "SELECT * FROM tel_spans WHERE trace_id = 'x' AND span_id = 'y'",
        "SELECT * FROM tel_spans WHERE run_id = 'x' AND span_id = 'y'",
        "SELECT * FROM tel_spans WHERE writer_id = 'x' AND end_ns IS NULL",
        "SELECT * FROM tel_model_calls WHERE run_id = 'x' ORDER BY start_ns",
        "SELECT * FROM tel_tool_calls WHERE run_id = 'x'",
        "SELECT * FROM tel_runs WHERE run_id = 'x'",
        "SELECT * FROM tel_runs WHERE trace_id = 'x'",
        "SELECT * FROM tel_runs WHERE session_id = 'x' ORDER BY start_ns DESC",
        "SELECT * FROM tel_runs WHERE start_ns > 5",
        "SELECT * FROM tel_runs JOIN tel_model_calls USING (run_id) WHERE session_id = 'x'",
        "SELECT * FROM tel_model_calls JOIN tel_spans AS span USING (run_id, span_id)
            WHERE span.trace_id = 'x'",
    ];

    /// Whether a step walks through a table; a list of messages is walked from link to link.
    fn is_walk(step: &str) -> bool {
        let of_a_list = ["(subquery", "CONSTANT ROW", "SCAN item"];
        step.starts_with("SCAN") && !of_a_list.iter().any(|known| step.contains(known))
    }

    fn plan(connection: &Connection, query: &str) -> Vec<String> {
        let explain = format!("EXPLAIN QUERY PLAN {query}");
        let mut statement = connection.prepare(&explain).unwrap();
        let steps = statement.query_map([], |row| row.get(3)).unwrap();
        steps.collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn what_is_asked_by_id_session_or_time_is_found_by_an_index() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        Writer::open(&path, START).unwrap().checkpoint_and_close();
        let connection = Connection::open(&path).unwrap();
        for query in QUESTIONS {
            let plan = plan(&connection, query);
            let walks = |step: &&String| is_walk(step);
            assert_eq!(plan.iter().find(walks), None, "{query}: {plan:#?}");
        }
        let newest = "SELECT * FROM tel_runs ORDER BY start_ns DESC LIMIT 1";
        let newest = plan(&connection, newest);
        assert!(newest[0].contains("tel_run_rows_by_start"), "{newest:#?}");
        // A join by the span alone walks once, not once for each span.
        let join = "SELECT * FROM tel_model_calls JOIN tel_spans USING (span_id)";
        let join = plan(&connection, join);
        let walks = join.iter().filter(|step| is_walk(step));
        assert_eq!(walks.count(), 1, "{join:#?}");
    }

    #[test]
    fn runs_are_filtered_and_come_newest_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let mut writer = Writer::open(&path, START).unwrap();
        let samples = [(); 3].map(|()| Sample::new());
        for (at, sample) in samples.iter().enumerate() {
            let mut session = sample.session();
            session.start_ns += i64::try_from(at).unwrap();
            session.session_id = Some(if at == 1 { "other" } else { "s-1" });
            writer
                .write(&[if at == 2 {
                    session.opened()
                } else {
                    session.ended().closed()
                }])
                .unwrap();
        }
        let store = Store::open(&path).unwrap();
        assert_eq!(store.path(), path);
        let found = |filter: &RunFilter| -> Vec<_> {
            store
                .runs(filter)
                .unwrap()
                .iter()
                .map(|run| run.run_id)
                .collect()
        };
        let [oldest, middle, newest] = samples.map(|sample| sample.run_id);
        assert_eq!(found(&RunFilter::default()), [newest, middle, oldest]);
        assert_eq!(found(&RunFilter::newest(1)), [newest]);
        assert_eq!(found(&RunFilter::session("s-1")), [newest, oldest]);
        assert_eq!(found(&RunFilter::trace(samples[1].trace_id)), [middle]);
        assert_eq!(found(&RunFilter::since(START + 1)), [newest, middle]);
        let running = RunFilter {
            status: Some(Status::Running),
            ..RunFilter::session("s-1")
        };
        assert_eq!(found(&running), [newest]);
        assert_eq!(store.run(crate::record::RunId::generate(1)).unwrap(), None);
    }

    #[test]
    fn a_span_is_read_back_whole_and_becomes_json() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let mut writer = Writer::open(&path, START).unwrap();
        let sample = Sample::new();
        let link = (TraceId::generate(1), SpanId::generate());
        let links = format!(r#"[{{"trace_id":"{}","span_id":"{}"}}]"#, link.0, link.1);
        let mut row = sample.chat(0).failed();
        row.extra_json = Some(r#"{"hermes.api_mode":"chat"}"#);
        row.events_json = Some(r#"[{"name":"exception","time_ns":7,"attributes":{"a":1}}]"#);
        row.links_json = Some(&links);
        writer.write(&[row.closed()]).unwrap();
        let store = Store::open(&path).unwrap();
        let spans = store.spans_of_trace(sample.trace_id).unwrap();
        let span = &spans[0];
        assert_eq!((span.span_id, span.run_id), (row.span_id, sample.run_id));
        assert_eq!(
            (span.kind.as_str(), span.span_name.as_str()),
            ("LLM", "hermes.chat")
        );
        assert_eq!(
            (span.otel_kind.as_str(), span.duration_ns()),
            ("CLIENT", Some(1_000_000_000))
        );
        assert_eq!(span.attributes["hermes.api_mode"], "chat");
        assert_eq!(
            (span.events[0].name.as_str(), span.events[0].time_ns),
            ("exception", 7)
        );
        assert_eq!(span.links, [link]);
        let json = serde_json::to_value(span).unwrap();
        assert_eq!(json["span_id"], span.span_id.to_string());
        assert_eq!(json["status"], "error");
        assert_eq!(json["error_class"], "rate_limit");
        assert_eq!(json["parent_span_id"], serde_json::Value::Null);
        assert_eq!(json["attributes"]["hermes.api_mode"], "chat");
        assert_eq!(json["events"][0]["attributes"]["a"], 1);
        assert_eq!(json["links"][0]["trace_id"], link.0.to_string());
        let call = serde_json::to_value(store.model_calls(sample.run_id).unwrap()).unwrap();
        assert_eq!(call[0]["latency_ms"], 1000);
        assert_eq!(call[0]["end_reason"], "failed");
    }
}
