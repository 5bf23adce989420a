//! The agent under test, a bench to run it on, and what its store says of it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use hermes::{Builder, RecordedSpan, Stats, Store, Telemetry};
use opentelemetry_proto::tonic::trace::v1::Span;
use tempfile::TempDir;
use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt;

use crate::collector::SOON;

/// The spans of one session.
pub(crate) const SESSION: usize = 4;

/// A session with a turn, a model call and a tool call that fails.
#[hermes::session(id = "s-1", platform = "cli", model = "m-1")]
pub(crate) fn session() {
    turn("what time is it");
}

#[hermes::turn(user_message = question)]
fn turn(question: &str) {
    let _ = question;
    chat();
    let _ = tool();
}

#[hermes::chat(model = "m-1", provider = "OpenAI", fields(order.id = 7, order.name = "x"))]
fn chat() {
    hermes::current().usage(hermes::Usage {
        input_tokens: 12,
        output_tokens: 3,
        ..Default::default()
    });
    hermes::current().finish_reason("stop");
    hermes::current().cost_usd(0.25);
}

#[hermes::tool(name = "clock", call_id = "c-1")]
fn tool() -> Result<(), String> {
    Err("the clock stands still".to_owned())
}

/// A call of a tool and nothing more: one span.
#[hermes::tool(name = "tick")]
pub(crate) fn tick() {}

/// Hermes with a store of its own that exports to one place.
pub(crate) struct Bench {
    pub(crate) telemetry: Telemetry,
    pub(crate) dispatch: Dispatch,
    _folder: TempDir,
}

impl Bench {
    pub(crate) fn new(endpoint: &str) -> Self {
        Self::with(|builder| builder.otlp_endpoint(endpoint))
    }

    pub(crate) fn with(set_up: impl FnOnce(Builder) -> Builder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let builder = hermes::builder()
            .store_path(folder.path().join("telemetry.db"))
            .queue_capacity(64 * 1024);
        let (layer, telemetry) = set_up(builder).build().unwrap();
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        Bench {
            telemetry,
            dispatch,
            _folder: folder,
        }
    }

    /// Runs code under Hermes, and waits until what it did is stored and was tried to be sent.
    pub(crate) fn run(&self, code: impl FnOnce()) {
        tracing::dispatcher::with_default(&self.dispatch, code);
        self.telemetry.flush(SOON).unwrap();
    }

    pub(crate) fn stats(&self) -> Stats {
        self.telemetry.stats()
    }

    /// Waits until the counts are as they should be.
    pub(crate) fn wait_until(&self, is_so: impl Fn(&Stats) -> bool) -> Stats {
        let begun = Instant::now();
        loop {
            let stats = self.stats();
            if is_so(&stats) {
                return stats;
            }
            assert!(begun.elapsed() < SOON, "it never came to that: {stats:?}");
            std::thread::yield_now();
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.telemetry.store_path().unwrap()
    }

    pub(crate) fn stored(&self) -> Vec<RecordedSpan> {
        stored(self.path())
    }

    /// Runs SQL on the store.
    pub(crate) fn sql(&self, sql: &str) {
        let connection = rusqlite::Connection::open(self.path()).unwrap();
        connection.busy_timeout(SOON).unwrap();
        connection.execute_batch(sql).unwrap();
    }
}

/// Every span of a store that has ended.
pub(crate) fn stored(path: &Path) -> Vec<RecordedSpan> {
    let store = Store::open(path).unwrap();
    let runs = store.runs(&hermes::RunFilter::default()).unwrap();
    let spans = runs
        .into_iter()
        .flat_map(|run| store.spans_of_run(run.run_id).unwrap());
    spans.filter(|span| span.end_ns.is_some()).collect()
}

/// Nothing is missing, nothing came twice, and ids, times and parents are the store's.
#[track_caller]
pub(crate) fn assert_whole(sent: &[Span], stored: &[RecordedSpan]) {
    let by_id: BTreeMap<String, &Span> =
        sent.iter().map(|span| (hex(&span.span_id), span)).collect();
    assert_eq!(by_id.len(), sent.len(), "some span came twice");
    assert_eq!(by_id.len(), stored.len(), "spans sent and stored");
    for kept in stored {
        let span = by_id
            .get(&kept.span_id.to_string())
            .unwrap_or_else(|| panic!("{} is missing", kept.name));
        assert_eq!(hex(&span.trace_id), kept.trace_id.to_string());
        let parent = kept.parent_span_id.map(|id| id.to_string());
        assert_eq!(hex(&span.parent_span_id), parent.unwrap_or_default());
        assert_eq!(span.name, kept.name);
        let times = [kept.start_ns, kept.end_ns.unwrap()];
        let sent = [span.start_time_unix_nano, span.end_time_unix_nano];
        assert_eq!(sent, times.map(|time| u64::try_from(time).unwrap()));
        let is_error = matches!(kept.status, hermes::Status::Error);
        let code = span.status.clone().unwrap_or_default().code;
        assert_eq!(code == 2, is_error, "{}", kept.name);
        let kind = if kept.otel_kind == "CLIENT" { 3 } else { 1 };
        assert_eq!(span.kind, kind, "{}", kept.name);
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}
