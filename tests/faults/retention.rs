//! A disk that would fill up: an agent keeps its store as old and as large as it was told.

use std::fs;
use std::path::Path;

use hermes::{Retention, Store};
use rusqlite::Connection;

use crate::agent::{Agent, SPANS, assert_sound, await_that, spans_in, sql};

fn bytes(path: &Path) -> u64 {
    let log = path.with_file_name("telemetry.db-wal");
    fs::metadata(path).unwrap().len() + fs::metadata(log).map_or(0, |log| log.len())
}

/// A store with so many sessions in it that ended so many days ago.
fn filled(path: &Path, sessions: u64, days: i64) {
    let agent = Agent::at(path);
    agent.work(sessions);
    agent.recovers();
    drop(agent);
    let back = days * 24 * 60 * 60 * 1_000_000_000;
    let sql = format!(
        "UPDATE tel_run_rows SET start_ns = start_ns - {back}, end_ns = end_ns - {back};
         UPDATE tel_span_rows SET start_ns = start_ns - {back}, end_ns = end_ns - {back};"
    );
    Connection::open(path).unwrap().execute_batch(&sql).unwrap();
}

#[test]
fn an_agent_takes_away_what_is_too_old_and_gives_the_room_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.db");
    filled(&path, 2000, 8);
    let before = bytes(&path);
    let store = Store::open(&path).unwrap();
    let plan = store.prune_plan(&Retention::default().days(7)).unwrap();
    assert_eq!((plan.runs, plan.spans), (2000, 2000 * SPANS));
    let agent = Agent::with(hermes::builder().store_path(&path).retention_days(7));
    let session = agent.run(|| tracing::info_span!("hermes.session", hermes.session.id = "now"));
    agent.work(10);
    await_that("the old runs are gone", || {
        spans_in(&path) <= 10 * SPANS + 1
    });
    await_that("the file is smaller", || bytes(&path) < before / 4);
    agent.run(|| drop(session));
    agent.recovers();
    assert_eq!(spans_in(&path), 10 * SPANS + 1, "what is new is all there");
    drop(agent);
    assert_sound(&path);
}

#[test]
fn an_agent_keeps_its_store_below_a_size() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.db");
    filled(&path, 2000, 1);
    let most = bytes(&path) / 2;
    let agent = Agent::with(hermes::builder().store_path(&path).max_bytes(most));
    agent.work(10);
    await_that("the store is small enough", || bytes(&path) <= most);
    agent.recovers();
    let left = spans_in(&path);
    assert!(left > 200 * SPANS && left < 2000 * SPANS, "{left}");
    let oldest = "SELECT count(*) FROM tel_runs WHERE session_id = 's-0' AND start_ns <
        (SELECT max(start_ns) - 3600000000000 FROM tel_runs)";
    assert_eq!(sql(&path, oldest), 0, "the oldest went first");
    drop(agent);
    assert_sound(&path);
}

#[test]
fn agents_that_live_for_a_moment_prune_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.db");
    filled(&path, 50, 8);
    await_that("the old runs are gone", || {
        drop(Agent::with(
            hermes::builder().store_path(&path).retention_days(7),
        ));
        spans_in(&path) == 0
    });
}

#[test]
fn what_is_kept_for_ever_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.db");
    filled(&path, 10, 10_000);
    let kept = hermes::builder()
        .store_path(&path)
        .retention_days(0)
        .max_bytes(0);
    let agent = Agent::with(kept);
    agent.work(1);
    agent.recovers();
    drop(agent);
    assert_eq!(spans_in(&path), 11 * SPANS);
}
