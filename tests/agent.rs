//! The main job, as a newcomer runs it: `cargo run --example agent`, and one variable more.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]

#[path = "it/support/collector.rs"]
#[expect(dead_code, reason = "shared with tests that use more of it")]
mod collector;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use collector::Collector;
use rusqlite::Connection;

/// The example, which `cargo test` builds beside the tests.
fn example() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let example = tests
        .parent()
        .unwrap()
        .parent()
        .unwrap()
        .join("examples/agent");
    assert!(
        example.exists(),
        "run `cargo build --examples` first: {}",
        example.display()
    );
    example
}

fn run(home: &Path, environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(example());
    command
        .env_remove("OPENAI_BASE_URL")
        .env("HERMES_HOME", home)
        .envs(environment.to_vec());
    command.output().unwrap()
}

#[test]
fn a_session_is_shown_kept_and_sent_with_the_same_ids() {
    let home = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let output = run(
        home.path(),
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint())],
    );
    assert!(output.status.success(), "{output:?}");

    let shown = String::from_utf8(output.stdout).unwrap();
    let lines_with = |what: &str| shown.lines().filter(|line| line.contains(what)).count();
    assert_eq!(lines_with("chat deepseek-chat"), 7, "{shown}");
    assert_eq!(lines_with("hermes.tool.run_command"), 3, "{shown}");
    assert_eq!(lines_with("hermes.tool.read_file"), 2, "{shown}");
    assert_eq!(lines_with("hermes.tool.list_dir"), 1, "{shown}");
    assert_eq!(
        lines_with("✗ error"),
        1,
        "a search that finds nothing exits with 1: {shown}"
    );
    assert!(
        shown.contains("10,194 in (10,048 cached) → 619 out"),
        "{shown}"
    );
    let path = home.path().join("telemetry/telemetry.db");
    assert!(
        shown.contains(path.to_str().unwrap()),
        "where the store is: {shown}"
    );

    let store = Connection::open(&path).unwrap();
    let mut query = store
        .prepare("SELECT trace_id, span_id FROM tel_spans")
        .unwrap();
    let stored: BTreeSet<(String, String)> = query
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let sent = collector.wait_for(15, Duration::from_secs(20));
    let sent: BTreeSet<_> = sent
        .into_iter()
        .map(|span| (span.trace_id, span.span_id))
        .collect();
    assert_eq!(stored.len(), 15);
    assert_eq!(sent, stored);
}

#[test]
fn a_store_and_a_collector_that_cannot_be_had_cost_it_nothing() {
    let home = tempfile::tempdir().unwrap();
    let output = run(
        home.path(),
        &[
            ("HERMES_TELEMETRY_DB", "/dev/null/telemetry.db"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
        ],
    );
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("The patch looks good."));
}
