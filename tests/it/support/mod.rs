//! A temporary store, a way to run code under Hermes, and the scripted agent.

pub(crate) mod collector;
pub(crate) mod log;
pub(crate) mod model;
pub(crate) mod script;

use std::fmt::Write;
use std::time::Duration;

use hermes::{Builder, RecordedSpan, Run, Telemetry};
use tempfile::TempDir;
use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt;

/// Longer than any flush takes; a test that reaches it has failed.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// Hermes with a store of its own, and a subscriber that has its layer.
pub(crate) struct Bench {
    pub(crate) telemetry: Telemetry,
    pub(crate) dispatch: Dispatch,
    /// Deleted when the bench is dropped.
    _folder: TempDir,
}

impl Bench {
    /// Hermes as it comes.
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    /// Hermes set up in code.
    pub(crate) fn with(set_up: impl FnOnce(Builder) -> Builder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let builder = hermes::builder().store_path(folder.path().join("t/telemetry.db"));
        let (layer, telemetry) = set_up(builder).build().unwrap();
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        Bench {
            telemetry,
            dispatch,
            _folder: folder,
        }
    }

    /// Runs code under the subscriber, then waits until what it did is committed.
    pub(crate) fn run<T>(&self, code: impl FnOnce() -> T) -> T {
        let value = tracing::dispatcher::with_default(&self.dispatch, code);
        self.telemetry.flush(SOON).unwrap();
        value
    }

    /// Every run, oldest first.
    pub(crate) fn runs(&self) -> Vec<Run> {
        let mut runs = self
            .telemetry
            .store()
            .unwrap()
            .runs(&hermes::RunFilter::default())
            .unwrap();
        runs.reverse();
        runs
    }

    /// The spans of the only run.
    pub(crate) fn spans(&self) -> Vec<RecordedSpan> {
        let runs = self.runs();
        assert_eq!(runs.len(), 1, "{runs:#?}");
        self.telemetry
            .store()
            .unwrap()
            .spans_of_run(runs[0].run_id)
            .unwrap()
    }

    /// The only span of this name.
    pub(crate) fn span(&self, name: &str) -> RecordedSpan {
        let mut named = self.all_spans();
        named.retain(|span| span.name == name);
        assert_eq!(named.len(), 1, "{name}: {named:#?}");
        named.remove(0)
    }

    /// The spans of every run.
    pub(crate) fn all_spans(&self) -> Vec<RecordedSpan> {
        let store = self.telemetry.store().unwrap();
        let spans = self
            .runs()
            .into_iter()
            .map(|run| store.spans_of_run(run.run_id).unwrap());
        spans.flatten().collect()
    }

    /// The traces as indented names, with what went wrong: a picture a reader can read.
    pub(crate) fn picture(&self) -> String {
        let spans = self.all_spans();
        let mut lines = String::new();
        let is_root = |span: &&RecordedSpan| {
            span.parent_span_id
                .is_none_or(|parent| spans.iter().all(|span| span.span_id != parent))
        };
        for root in spans.iter().filter(is_root) {
            draw(root, &spans, 0, &mut lines);
        }
        lines
    }

    /// One number out of SQL.
    pub(crate) fn sql<T: rusqlite::types::FromSql>(&self, query: &str) -> T {
        let path = self.telemetry.store_path().unwrap();
        let connection = rusqlite::Connection::open(path).unwrap();
        connection.query_row(query, [], |row| row.get(0)).unwrap()
    }
}

fn draw(span: &RecordedSpan, spans: &[RecordedSpan], depth: usize, lines: &mut String) {
    let error = span
        .error_type
        .as_ref()
        .map(|kind| format!(" ✗ {kind}"))
        .unwrap_or_default();
    let status = match span.status {
        hermes::Status::Ok => String::new(),
        status => format!(" [{status}]"),
    };
    let indent = "  ".repeat(depth);
    writeln!(lines, "{indent}{}{status}{error}", span.name).unwrap();
    for child in spans
        .iter()
        .filter(|child| child.parent_span_id == Some(span.span_id))
    {
        draw(child, spans, depth + 1, lines);
    }
}
