//! At any moment and after any fault: captured = written + dropped + in flight, exactly.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use hermes::{ErrorKind, Stats};
use opentelemetry::Context;

use crate::support::collector::Collector;
use crate::support::{Bench, SOON, script};

#[hermes::session(id = "busy")]
fn session() {
    for number in 0..4 {
        turn(number);
    }
}

#[hermes::turn]
fn turn(number: u32) {
    let _ = number;
    for name in ["open", "secret"] {
        tool(name);
    }
}

#[hermes::tool(name = name)]
fn tool(name: &str) {
    let _ = name;
}

fn lost(stats: &Stats) -> u64 {
    stats.dropped.values().sum()
}

/// The equation, and that no count goes back.
fn check(now: &Stats, before: &Stats) {
    assert_eq!(
        now.captured,
        now.written + lost(now) + now.in_flight,
        "{now:?}"
    );
    assert!(now.captured >= before.captured, "{before:?} {now:?}");
    assert!(now.written >= before.written, "{before:?} {now:?}");
    for (reason, count) in &before.dropped {
        assert!(now.dropped[reason] >= *count, "{before:?} {now:?}");
    }
}

/// What the store says was lost.
fn losses_in_the_store(bench: &Bench) -> BTreeMap<String, u64> {
    bench.telemetry.store().unwrap().losses().unwrap()
}

/// Spans that were written with their end. One that was shown while it ran, and whose end was lost, has a
/// row too, and counts as lost.
fn rows(bench: &Bench) -> u64 {
    let rows = bench.sql::<i64>(
        "SELECT count(*) FROM tel_spans WHERE end_ns IS NOT NULL AND status <> 'interrupted'",
    );
    u64::try_from(rows).unwrap()
}

#[test]
fn the_counts_add_up_at_every_moment_while_spans_are_lost_filtered_and_suppressed() {
    let collector = Collector::start();
    let bench = Bench::with(|builder| {
        builder
            .queue_capacity(16)
            .otlp_endpoint(collector.endpoint())
            .capture_filter("info,hermes.tool[{name=\"secret\"}]=off")
    });
    let is_over = AtomicBool::new(false);
    let samples = thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let (mut before, mut samples) = (Stats::default(), 0_u64);
            while !is_over.load(Ordering::Relaxed) {
                let now = bench.telemetry.stats();
                check(&now, &before);
                (before, samples) = (now, samples + 1);
            }
            samples
        });
        let producers: Vec<_> = (0..4)
            .map(|number| {
                let dispatch = bench.dispatch.clone();
                scope.spawn(move || {
                    let _entered = tracing::dispatcher::set_default(&dispatch);
                    for _ in 0..300 {
                        session();
                    }
                    let _suppressed = Context::enter_telemetry_suppressed_scope();
                    for _ in 0..=number {
                        session();
                    }
                })
            })
            .collect();
        for producer in producers {
            producer.join().unwrap();
        }
        let error = bench.telemetry.flush(SOON).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Lost);
        is_over.store(true, Ordering::Relaxed);
        sampler.join().unwrap()
    });
    assert!(samples > 100, "{samples}");
    let stats = bench.telemetry.stats();
    check(&stats, &Stats::default());
    assert_eq!(stats.in_flight, 0, "{stats:?}");
    assert_eq!(stats.captured, (4 * 300 + 1 + 2 + 3 + 4) * 13);
    assert_eq!(stats.dropped["filtered"], 4 * 300 * 4);
    assert_eq!(stats.dropped["suppressed"], (1 + 2 + 3 + 4) * 13);
    assert!(stats.dropped["queue_full"] > 0, "{stats:?}");
    assert_eq!(rows(&bench), stats.written);
    assert_eq!(losses_in_the_store(&bench), stats.dropped);
}

#[test]
fn what_ends_while_shutdown_runs_is_written_or_counted() {
    for round in 0..60_u64 {
        let bench = Bench::with(|builder| builder.queue_capacity(64));
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..3 {
                let (dispatch, is_over) = (bench.dispatch.clone(), &is_over);
                scope.spawn(move || {
                    let _entered = tracing::dispatcher::set_default(&dispatch);
                    while !is_over.load(Ordering::Relaxed) {
                        session();
                    }
                });
            }
            while bench.telemetry.stats().captured < 200 * (round % 4) {
                thread::yield_now();
            }
            let _ = bench.telemetry.shutdown(SOON);
            is_over.store(true, Ordering::Relaxed);
        });
        let stats = bench.telemetry.stats();
        check(&stats, &Stats::default());
        assert_eq!(stats.in_flight, 0, "{stats:?}");
        assert_eq!(rows(&bench), stats.written, "{stats:?}");
        let stored = losses_in_the_store(&bench);
        assert_eq!(stored.get("queue_full"), stats.dropped.get("queue_full"));
    }
}

#[test]
fn what_a_flush_finds_lost_is_in_the_store_when_it_returns() {
    let bench = Bench::with(|builder| builder.queue_capacity(1));
    tracing::dispatcher::with_default(&bench.dispatch, || {
        while bench.telemetry.stats().dropped.is_empty() {
            script::session();
        }
    });
    bench.telemetry.flush(SOON).unwrap_err();
    let stats = bench.telemetry.stats();
    assert_eq!(losses_in_the_store(&bench), stats.dropped);
}

#[test]
fn a_second_shutdown_and_a_flush_after_it_wait_for_nothing() {
    let bench = Bench::new();
    bench.run(script::session);
    bench.telemetry.shutdown(SOON).unwrap();
    bench.telemetry.shutdown(Duration::ZERO).unwrap();
    bench.telemetry.flush(Duration::ZERO).unwrap();
    assert_eq!(bench.telemetry.stats().written, 6);
}
