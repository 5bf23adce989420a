//! The last traces, read from memory.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hermes::{ContentCapture, RecentTrace, Status};
use tracing_subscriber::layer::SubscriberExt;

use crate::support::{Bench, SOON, script};

fn picture(trace: &RecentTrace) -> String {
    fn draw(span: &hermes::RecentSpan, depth: usize, lines: &mut String) {
        writeln!(lines, "{:depth$}{}", "", span.name).unwrap();
        for child in &span.children {
            draw(child, depth + 2, lines);
        }
    }
    let mut lines = String::new();
    for root in &trace.roots {
        draw(root, 0, &mut lines);
    }
    lines
}

#[test]
fn the_last_traces_are_the_trees_that_the_store_has() {
    let bench = Bench::new();
    bench.run(script::session);
    let recent = bench.telemetry.recent();
    assert_eq!(recent.len(), 1);
    let trace = &recent[0];
    assert_eq!(picture(trace), bench.picture());
    let stored = bench.spans();
    assert_eq!((trace.span_count, trace.omitted), (stored.len(), 0));
    assert_eq!(trace.trace_id, stored[0].trace_id);
    assert_eq!(
        trace.end_ns,
        stored.iter().filter_map(|span| span.end_ns).max()
    );
    for span in trace.spans() {
        let same = stored.iter().find(|one| one.span_id == span.span_id);
        let same = same.unwrap();
        assert_eq!((span.start_ns, span.end_ns), (same.start_ns, same.end_ns));
        assert_eq!(
            (span.status, span.kind.span_name()),
            (same.status, same.span_name.as_str())
        );
        assert_eq!(span.parent_span_id, same.parent_span_id);
    }
    assert_eq!(
        bench.telemetry.recent_trace(trace.trace_id).as_ref(),
        Some(trace)
    );
}

#[test]
fn what_runs_is_among_them_and_ends_there() {
    let bench = Bench::new();
    let (session, chat) = tracing::dispatcher::with_default(&bench.dispatch, || {
        let session = hermes::session("s-1").start();
        let chat = session.chat("gpt-4o").start();
        (session, chat)
    });
    let deadline = Instant::now() + SOON;
    let trace = loop {
        let seen = bench.telemetry.recent();
        if let Some(trace) = seen.into_iter().find(|trace| trace.span_count == 2) {
            break trace;
        }
        assert!(Instant::now() < deadline, "what runs was never shown");
        thread::sleep(Duration::from_millis(5));
    };
    assert_eq!((trace.status, trace.end_ns), (Status::Running, None));
    assert_eq!(picture(&trace), "hermes.session\n  chat gpt-4o\n");
    chat.fail("connection reset");
    session.end();
    bench.telemetry.flush(SOON).unwrap();
    let trace = &bench.telemetry.recent()[0];
    assert_eq!((trace.status, trace.span_count), (Status::Ok, 2));
    let chat = &trace.roots[0].children[0];
    assert_eq!(chat.status, Status::Error);
    assert_eq!(chat.error_type.as_deref(), Some("network"));
}

#[test]
fn no_more_traces_are_kept_than_were_asked_for() {
    let bench = Bench::with(|builder| builder.recent_traces(3));
    bench.run(|| {
        for number in 0..10 {
            hermes::session(format!("s-{number}")).start().end();
        }
    });
    let recent = bench.telemetry.recent();
    let ids: Vec<_> = recent
        .iter()
        .map(|trace| trace.roots[0].attributes["hermes.session.id"].clone())
        .collect();
    assert_eq!(ids, ["s-9", "s-8", "s-7"]);
    assert_eq!(bench.runs().len(), 10, "the store has them all");

    let none = Bench::with(|builder| builder.recent_traces(0));
    none.run(script::session);
    assert!(none.telemetry.recent().is_empty());
}

#[test]
fn two_hundred_are_kept_where_nothing_is_said() {
    let bench = Bench::new();
    bench.run(|| (0..230).for_each(|_| hermes::session("s").start().end()));
    assert_eq!(bench.telemetry.recent().len(), 200);
}

#[test]
fn a_trace_of_many_spans_says_how_many_it_leaves_out() {
    let bench = Bench::with(|builder| builder.queue_capacity(10_000));
    bench.run(|| {
        let session = hermes::session("s").start();
        for _ in 0..2_500 {
            session.tool("read_file").start().end();
        }
        session.end();
    });
    let trace = &bench.telemetry.recent()[0];
    assert_eq!(trace.spans().count(), trace.span_count);
    assert_eq!(trace.span_count as u64 + trace.omitted, 2_501);
    assert!((2_000..=2_001).contains(&trace.span_count));
    assert_eq!(trace.roots.len(), 1, "the root is always there");
}

#[test]
fn memory_is_bounded_whatever_the_spans_hold() {
    let bench = Bench::with(|builder| builder.capture_content(ContentCapture::Local));
    let text = "word ".repeat(12_000);
    bench.run(|| {
        for _ in 0..80 {
            let session = hermes::session("s").start();
            for _ in 0..8 {
                session.tool("read").start().output(&text).end();
            }
            session.end();
        }
    });
    let recent = bench.telemetry.recent();
    let held: usize = recent
        .iter()
        .flat_map(RecentTrace::spans)
        .map(|span| serde_json::to_string(&span.attributes).unwrap().len())
        .sum();
    assert!(recent.len() < 80, "{}", recent.len());
    assert!(!recent.is_empty());
    assert!(held <= 32 * 1024 * 1024, "{held}");
}

#[test]
fn policy_comes_first() {
    let bench = Bench::with(|builder| builder.capture_content(ContentCapture::Local));
    bench.run(|| {
        let tool = hermes::tool("curl")
            .args("Authorization: Bearer abcdefghijklmnopqrstuvwxyz0123")
            .start();
        tool.end();
    });
    let trace = &bench.telemetry.recent()[0];
    let args = trace.roots[0].attributes["hermes.tool.args"].to_string();
    assert!(!args.contains("abcdefghijklmnop"), "{args}");
    let bench = Bench::new();
    bench.run(|| hermes::tool("curl").args("private").start().end());
    let trace = format!("{:?}", bench.telemetry.recent());
    assert!(!trace.contains("private"));
}

#[test]
fn readers_and_the_writer_do_not_lose_each_other() {
    let bench = Bench::new();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    for trace in bench.telemetry.recent() {
                        assert_eq!(trace.spans().count(), trace.span_count);
                    }
                }
            });
        }
        bench.run(|| (0..300).for_each(|_| script::session()));
        is_over.store(true, Ordering::Relaxed);
    });
    assert_eq!(bench.telemetry.recent().len(), 200);
    assert_eq!(bench.telemetry.stats().written, 1_800);
}

#[test]
fn what_the_filter_takes_out_late_is_taken_out_here() {
    let bench = Bench::with(|builder| {
        builder.capture_filter("hermes.tool[{hermes.tool.result_class=\"blocked\"}]=off")
    });
    bench.run(|| {
        let session = hermes::session("s").start();
        let tool = session.tool("search").start();
        tool.step("inside").start().end();
        tool.result_class("blocked").end();
        session.end();
    });
    let trace = &bench.telemetry.recent()[0];
    assert_eq!(picture(trace), bench.picture());
}

#[test]
fn telemetry_that_is_off_or_shut_down_says_what_it_knows() {
    let folder = tempfile::tempdir().unwrap();
    let builder = hermes::builder().store_path(folder.path().join("t.db"));
    let (layer, telemetry) = builder.build().unwrap();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, script::session);
    telemetry.shutdown(SOON).unwrap();
    assert_eq!(telemetry.recent().len(), 1);
}
