//! A store that another process locks.

use crate::agent::{Agent, ChildAgent, SPANS, assert_sound, await_that, spans_in, sql};

#[test]
fn a_store_locked_at_the_start_holds_up_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.db");
    drop(Agent::at(&path));
    let mut other = ChildAgent::at(&path);
    other.does("hold");
    // Set up while the lock is held: it is let go only below.
    let agent = Agent::at(&path);
    agent.work(100);
    agent.waits();
    other.does("release");
    agent.recovers();
    agent.work(1);
    agent.recovers();
    assert_eq!(spans_in(&path), 101 * SPANS);
    other.end();
}

#[test]
fn a_store_locked_while_the_agent_works_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.db");
    let agent = Agent::at(&path);
    agent.work(10);
    agent.recovers();
    let mut other = ChildAgent::at(&path);
    other.does("hold");
    agent.work(100);
    agent.waits();
    other.does("release");
    agent.recovers();
    assert_eq!(spans_in(&path), 110 * SPANS);
    assert_sound(&path);
    other.end();
}

#[test]
fn what_the_queue_cannot_hold_is_lost_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.db");
    let agent = Agent::with(hermes::builder().store_path(&path).queue_capacity(100));
    agent.work(1);
    agent.recovers();
    let mut other = ChildAgent::at(&path);
    other.does("hold");
    agent.work(1000);
    other.does("release");
    agent.telemetry.flush(crate::agent::SOON).unwrap_err();
    let stats = agent.stats();
    assert_eq!(stats.in_flight, 0);
    let lost = stats.dropped["queue_full"];
    assert!(lost > 0);
    assert_eq!(stats.written, 1001 * SPANS - lost);
    assert_eq!(spans_in(&path), stats.written);
    drop(agent);
    let losses = hermes::Store::open(&path).unwrap().losses().unwrap();
    assert_eq!(losses["queue_full"], lost);
    other.end();
}

#[test]
fn shutting_down_under_a_lock_counts_what_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.db");
    let agent = Agent::at(&path);
    agent.work(1);
    agent.recovers();
    let mut other = ChildAgent::at(&path);
    other.does("hold");
    agent.work(2000);
    let error = agent.telemetry.shutdown(crate::agent::SOON).unwrap_err();
    assert_eq!(error.kind(), hermes::ErrorKind::Lost, "{error}");
    let stats = agent.stats();
    assert_eq!((stats.written, stats.in_flight), (SPANS, 0));
    assert_eq!(stats.dropped["store_error"], 2000 * SPANS);
    other.does("release");
    assert_eq!(spans_in(&path), SPANS);
    other.end();
}

#[test]
fn the_end_of_a_span_that_is_shown_as_running_is_not_lost_to_a_full_queue() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.db");
    let agent = Agent::with(hermes::builder().store_path(&path).queue_capacity(2));
    let session = agent.run(|| tracing::info_span!("hermes.session", hermes.session.id = "long"));
    let running = "SELECT count(*) FROM tel_spans WHERE status = 'running'";
    await_that("the session is shown", || sql(&path, running) == 1);
    let mut other = ChildAgent::at(&path);
    other.does("hold");
    // One batch is on its way, two records fill the queue, and then the session ends.
    let is_full = || agent.stats().dropped.contains_key("queue_full");
    await_that("the queue is full", || {
        agent.work(1);
        is_full()
    });
    agent.run(|| drop(session));
    other.does("release");
    await_that("it runs no longer", || sql(&path, running) == 0);
    let store = hermes::Store::open(&path).unwrap();
    let run = &store.runs(&hermes::RunFilter::session("long")).unwrap()[0];
    assert_eq!(run.status, hermes::Status::Ok);
    other.end();
}
