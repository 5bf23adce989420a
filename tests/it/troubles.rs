//! What is wrong around the agent costs it nothing: one line each, and all that can be kept is kept.

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use hermes::{ErrorKind, Store};

use crate::support::collector::Collector;
use crate::support::{Bench, SOON, script};

#[test]
fn a_store_that_cannot_be_written_is_counted_and_the_agent_runs_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "in the way").unwrap();
    let collector = Collector::start();
    let bench = Bench::with(|builder| {
        builder
            .store_path(file.join("telemetry.db"))
            .otlp_endpoint(collector.endpoint())
    });
    tracing::dispatcher::with_default(&bench.dispatch, script::session);
    let error = bench
        .telemetry
        .flush(Duration::from_millis(100))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "the store may come yet");
    assert_eq!(bench.telemetry.stats().in_flight, 6);
    let error = bench.telemetry.shutdown(SOON).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Lost);
    let stats = bench.telemetry.stats();
    assert_eq!(
        (stats.captured, stats.written, stats.dropped["store_error"]),
        (6, 0, 6)
    );
    assert_eq!(
        bench.telemetry.store().unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        collector.wait_for(6, SOON).len(),
        6,
        "what can leave still leaves"
    );
}

#[test]
fn a_newer_store_is_refused_and_left_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.db");
    let newer = rusqlite::Connection::open(&path).unwrap();
    newer
        .execute_batch("CREATE TABLE future (x); PRAGMA user_version = 99;")
        .unwrap();
    drop(newer);
    let before = fs::read(&path).unwrap();

    let error = Store::open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreTooNew);
    assert!(error.to_string().contains("99"), "{error}");
    let bench = Bench::with(|builder| builder.store_path(&path));
    tracing::dispatcher::with_default(&bench.dispatch, script::session);
    bench.telemetry.flush(SOON).unwrap_err();
    drop(bench);
    assert_eq!(fs::read(&path).unwrap(), before, "not a byte is touched");
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "and nothing put beside it"
    );
}

#[test]
fn a_dead_collector_costs_nothing_and_the_store_has_everything() {
    // A port that nobody listens on: bound once, and given back.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let bench = Bench::with(|builder| builder.otlp_endpoint(format!("http://127.0.0.1:{port}")));
    tracing::dispatcher::with_default(&bench.dispatch, script::session);
    bench.telemetry.flush(SOON).unwrap();
    let stats = bench.telemetry.stats();
    assert_eq!((stats.written, stats.exported), (6, 0));
    assert_eq!(stats.export_pending, 6, "sent when it is back");
    assert!(stats.export_dropped.is_empty(), "{stats:?}");
    assert_eq!(bench.spans().len(), 6);
}

#[test]
fn a_hanging_collector_cannot_hold_up_the_end() {
    let collector = Collector::start().hang();
    let bench = Bench::with(|builder| builder.otlp_endpoint(collector.endpoint()));
    tracing::dispatcher::with_default(&bench.dispatch, script::session);
    let begun = Instant::now();
    let timeout = Duration::from_millis(300);
    bench.telemetry.shutdown(timeout).unwrap();
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(bench.spans().len(), 6, "the store comes first");
    bench.telemetry.shutdown(timeout).unwrap();
}

#[test]
fn endpoints_and_filters_that_make_no_sense_stop_nothing() {
    for endpoint in ["not an url", "ftp://127.0.0.1:1", "http://", ""] {
        let bench = Bench::with(|builder| {
            builder
                .otlp_endpoint(endpoint)
                .capture_filter("][,=,hermes.tool=loud")
        });
        tracing::dispatcher::with_default(&bench.dispatch, script::session);
        let _ = bench.telemetry.flush(SOON);
        assert_eq!(bench.spans().len(), 6, "{endpoint}");
    }
}

#[test]
fn what_ends_after_shutdown_is_counted() {
    let bench = Bench::new();
    let late = tracing::dispatcher::with_default(&bench.dispatch, || {
        script::session();
        tracing::info_span!("hermes.tool", gen_ai.tool.name = "late")
    });
    bench.telemetry.shutdown(SOON).unwrap();
    drop(late);
    let stats = bench.telemetry.stats();
    assert_eq!(
        (
            stats.captured,
            stats.written,
            stats.dropped["after_shutdown"]
        ),
        (7, 6, 1)
    );
}

#[test]
fn a_full_queue_loses_records_and_says_how_many() {
    let bench = Bench::with(|builder| builder.queue_capacity(1));
    tracing::dispatcher::with_default(&bench.dispatch, || {
        for _ in 0..200 {
            script::session();
        }
    });
    let _ = bench.telemetry.flush(SOON);
    let stats = bench.telemetry.stats();
    let dropped: u64 = stats.dropped.values().sum();
    assert_eq!(stats.captured, 1200);
    assert_eq!(stats.captured, stats.written + dropped + stats.in_flight);
    assert_eq!(stats.in_flight, 0);
    assert!(stats.dropped["queue_full"] > 0);
    let kept = bench.sql::<i64>("SELECT count(*) FROM tel_spans");
    assert_eq!(u64::try_from(kept).unwrap(), stats.written);
}

#[test]
fn long_work_is_in_the_store_before_it_ends() {
    let bench = Bench::new();
    let _entered = tracing::dispatcher::set_default(&bench.dispatch);
    let session = tracing::info_span!("hermes.session", hermes.session.id = "long").entered();
    let deadline = Instant::now() + SOON;
    let open = "SELECT count(*) FROM tel_spans WHERE end_ns IS NULL AND status = 'running'";
    while bench.sql::<i64>(open) == 0 {
        assert!(Instant::now() < deadline, "never shown");
        std::thread::yield_now();
    }
    assert_eq!(
        bench.sql::<String>("SELECT status FROM tel_runs"),
        "running"
    );
    drop(session);
    bench.telemetry.flush(SOON).unwrap();
    assert_eq!(
        bench.sql::<i64>("SELECT count(*) FROM tel_spans"),
        1,
        "closed in place"
    );
    assert_eq!(
        bench.sql::<String>("SELECT end_reason FROM tel_runs"),
        "completed"
    );
}
