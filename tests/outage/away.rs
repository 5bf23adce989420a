//! A collector that is not there, is slow, or comes back while the process lives.

use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::trace::v1::Span;

use crate::agent::{Bench, SESSION, assert_whole, session, stored, tick};
use crate::collector::{Collector, Reply, SOON, endpoint, free_port};

#[test]
fn otlp_silent_loss_is_none_of_twenty_thousand_spans_at_full_speed() {
    let collector = Collector::start();
    let bench = Bench::new(&collector.endpoint());
    bench.run(|| (0..20_000).for_each(|_| tick()));
    let stats = bench.wait_until(|stats| stats.exported == 20_000 && stats.export_pending == 0);
    assert!(stats.export_dropped.is_empty(), "{stats:?}");
    assert_whole(&collector.wait_for(20_000), &bench.stored());
}

#[test]
fn slow_collector_loss_is_none() {
    // The queue holds fewer than these, and the collector takes its time over each request.
    let slowly = Reply::Slowly(Duration::from_millis(40));
    let collector = Collector::start().always(slowly);
    let bench = Bench::new(&collector.endpoint());
    bench.run(|| (0..10_000).for_each(|_| tick()));
    let stats = bench.wait_until(|stats| stats.exported == 10_000);
    assert!(stats.export_dropped.is_empty(), "{stats:?}");
    assert_whole(&collector.wait_for(10_000), &bench.stored());
}

#[test]
fn otlp_collector_down_is_made_good_when_it_is_back() {
    let port = free_port();
    let bench = Bench::new(&endpoint(port));
    for _ in 0..3 {
        bench.run(session);
    }
    let stats = bench.stats();
    let pending = u64::try_from(3 * SESSION).unwrap();
    assert_eq!((stats.exported, stats.export_pending), (0, pending));
    assert!(stats.export_dropped.is_empty(), "{stats:?}");

    let collector = Collector::start_at(port);
    let sent = collector.wait_for(3 * SESSION);
    assert_whole(&sent, &bench.stored());
    let is_oldest_first = |spans: &[Span]| {
        let ends = spans.iter().map(|span| span.end_time_unix_nano);
        ends.is_sorted()
    };
    assert!(is_oldest_first(&sent));
    let stats = bench.wait_until(|stats| stats.export_pending == 0);
    assert_eq!(stats.exported, pending);
    bench.run(session);
    assert_whole(&collector.wait_for(4 * SESSION), &bench.stored());
}

#[test]
fn what_ends_now_tells_that_the_collector_is_back() {
    let port = free_port();
    let bench = Bench::new(&endpoint(port));
    bench.run(session);
    let collector = Collector::start_at(port);
    bench.run(session);
    assert_whole(&collector.wait_for(2 * SESSION), &bench.stored());
    bench.wait_until(|stats| stats.export_pending == 0);
}

#[test]
fn otlp_no_tree_is_no_more_for_what_is_sent_again_is_what_was_sent_first() {
    // It reads the spans, and refuses them: so both can be seen.
    let busy = std::iter::repeat_n(Reply::Status(503), 4);
    let collector = Collector::start().first(busy);
    let bench = Bench::with(|builder| {
        builder
            .otlp_endpoint(collector.endpoint())
            .semconv("hermes,openinference")
            .capture_content(hermes::ContentCapture::On)
    });
    bench.run(|| {
        session();
        let cause = tracing::info_span!("hermes.tool", gen_ai.tool.name = "cause");
        cause.in_scope(|| {});
        let effect = tracing::info_span!("hermes.tool", gen_ai.tool.name = "effect");
        effect.follows_from(&cause);
    });
    let sent = collector.wait_for(SESSION + 2);
    assert_whole(&sent, &bench.stored());
    let sorted = |spans: &[Span]| {
        let mut spans = spans.to_vec();
        spans.sort_by(|one, other| one.span_id.cmp(&other.span_id));
        for span in &mut spans {
            span.attributes
                .sort_by(|one, other| one.key.cmp(&other.key));
        }
        spans
    };
    let first = &collector.seen()[0];
    for (first, again) in sorted(first).iter().zip(&sorted(&sent)) {
        assert_eq!(first, again);
    }
    assert_eq!(first.len(), sent.len());
}

#[test]
fn collector_down_exit_is_quick() {
    let bench = Bench::new(&endpoint(free_port()));
    tracing::dispatcher::with_default(&bench.dispatch, || (0..5_000).for_each(|_| tick()));
    let begun = Instant::now();
    bench.telemetry.shutdown(SOON).unwrap();
    let took = begun.elapsed();
    // The SDK's own patience is a second for each of ten batches.
    assert!(took < Duration::from_secs(5), "{took:?}");
    assert_eq!(bench.stats().export_pending, 5_000);
}

#[test]
fn without_a_store_nothing_is_remembered_and_all_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let bench = Bench::with(|builder| {
        builder
            .store_path(file.join("telemetry.db"))
            .otlp_endpoint(endpoint(free_port()))
    });
    tracing::dispatcher::with_default(&bench.dispatch, session);
    bench.telemetry.flush(SOON).unwrap_err();
    let stats = bench.stats();
    assert_eq!(stats.export_pending, 0);
    let lost = u64::try_from(SESSION).unwrap();
    assert_eq!(stats.export_dropped["otlp_http"], lost);
}

#[test]
fn what_was_pruned_meanwhile_is_counted_as_lost() {
    let port = free_port();
    let bench = Bench::new(&endpoint(port));
    bench.run(session);
    bench.wait_until(|stats| stats.export_pending == 4);
    bench.sql("DELETE FROM tel_span_rows WHERE step = 1");
    let collector = Collector::start_at(port);
    let stats = bench.wait_until(|stats| stats.export_pending == 0);
    assert_eq!(stats.export_dropped["otlp_pruned"], 1);
    assert_eq!(stats.exported, 3);
    assert_whole(&collector.spans(), &bench.stored());
}

#[test]
fn a_store_that_is_rebuilt_owes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (log, rebuilt) = (
        folder.path().join("events.jsonl"),
        folder.path().join("rebuilt.db"),
    );
    let bench = Bench::with(|builder| builder.otlp_endpoint(endpoint(free_port())).event_log(&log));
    bench.run(session);
    bench.telemetry.shutdown(SOON).unwrap();
    let owed = |path: &std::path::Path| -> i64 {
        let connection = rusqlite::Connection::open(path).unwrap();
        let sql = "SELECT count(*) FROM tel_outbox";
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert_eq!(owed(bench.path()), i64::try_from(SESSION).unwrap());
    hermes::Store::rebuild(&log, &rebuilt).unwrap();
    assert_eq!(stored(&rebuilt).len(), SESSION);
    assert_eq!(owed(&rebuilt), 0);
}
