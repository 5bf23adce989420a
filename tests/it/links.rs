//! `follows_from` as links and `parent` as a parent: spans of this process, of another run, of another process.

use hermes::propagation::TraceContext;
use hermes::{RecordedSpan, SpanId, TraceId};
use tracing::Span;

use crate::support::Bench;
use crate::support::collector::Collector;

#[hermes::session(id = "s")]
fn session<T>(body: impl FnOnce() -> T) -> T {
    body()
}

#[hermes::tool]
fn work() {}

#[hermes::tool(follows_from = causes)]
fn after<'a>(causes: impl IntoIterator<Item = &'a Span>) {
    work();
}

#[hermes::tool(follows_from = [remote, remote])]
fn after_remote(remote: &TraceContext) {
    hermes::current().follows_from(remote);
}

#[hermes::tool(parent = remote)]
fn below_remote(remote: &TraceContext) {
    work();
}

#[hermes::tool(parent = remote.clone())]
async fn below_remote_async(remote: &TraceContext) {
    tokio::task::yield_now().await;
    work();
}

#[hermes::tool(parent = span)]
fn below(span: &Span) {}

#[hermes::tool(parent = span.id())]
fn below_id(span: &Span) {}

#[hermes::tool(parent = None)]
fn alone() {}

#[hermes::tool(parent = hermes::propagation::extract(headers), fields(order = 1))]
fn served(headers: &http::HeaderMap) {}

fn remote() -> TraceContext {
    let trace = TraceId::from_bytes([7; 16]).unwrap();
    TraceContext::new(trace, SpanId::from_bytes([9; 8]).unwrap())
}

fn ids(span: &RecordedSpan) -> (TraceId, SpanId) {
    (span.trace_id, span.span_id)
}

/// Runs with and without OTLP; the second test gets what came there.
fn each(test: impl Fn(&Bench), at_otlp: impl Fn(&Bench, &Collector)) {
    test(&Bench::new());
    let collector = Collector::start();
    let bench = Bench::with(|builder| builder.otlp_endpoint(collector.endpoint()));
    test(&bench);
    at_otlp(&bench, &collector);
}

#[test]
fn a_span_is_linked_to_what_it_follows_from_across_runs_and_traces() {
    each(
        |bench| {
            bench.run(|| {
                // Never entered, and closed only after the other.
                let first = tracing::info_span!("hermes.tool.first");
                let kept = first.clone();
                drop(first);
                session(|| after([&kept]));
            });
            let first = bench.span("hermes.tool.first");
            let after = bench.span("hermes.tool.after");
            assert_ne!(first.trace_id, after.trace_id);
            assert_ne!(first.run_id, after.run_id);
            assert_eq!(after.links, [ids(&first)]);
        },
        |bench, collector| {
            let sent = collector.wait_for(4, crate::support::SOON);
            let after = sent.iter().find(|span| span.name == "hermes.tool.after");
            let first = bench.span("hermes.tool.first").span_id.to_string();
            assert_eq!(after.unwrap().links, [first]);
        },
    );
}

#[test]
fn a_remote_span_is_linked_once() {
    each(
        |bench| {
            bench.run(|| session(|| after_remote(&remote())));
            let after = bench.span("hermes.tool.after_remote");
            assert_eq!(after.links, [remote_ids()]);
        },
        |_, collector| {
            let sent = collector.wait_for(2, crate::support::SOON);
            let after = sent.iter().find(|span| span.name.contains("after"));
            assert_eq!(after.unwrap().links, [remote_ids().1.to_string()]);
        },
    );
}

fn remote_ids() -> (TraceId, SpanId) {
    let remote = remote();
    (remote.trace_id().unwrap(), remote.span_id().unwrap())
}

#[test]
fn a_parent_may_be_a_remote_span() {
    each(
        |bench| {
            let runtime = tokio::runtime::Builder::new_current_thread().build();
            let runtime = runtime.unwrap();
            bench.run(|| {
                session(|| below_remote(&remote()));
                let remote = remote();
                let task = below_remote_async(&remote);
                runtime.block_on(task);
                below_remote(&TraceContext::default());
            });
            let spans = bench.all_spans();
            let (trace, parent) = remote_ids();
            let below: Vec<_> = spans
                .iter()
                .filter(|span| span.wire_parent_span_id == Some(parent))
                .collect();
            assert_eq!(below.len(), 2, "{}", bench.picture());
            for span in below {
                assert_eq!((span.trace_id, span.parent_span_id), (trace, None));
                let child = |child: &&RecordedSpan| child.parent_span_id == Some(span.span_id);
                assert_eq!(spans.iter().filter(child).count(), 1);
            }
        },
        |_, collector| {
            let sent = collector.wait_for(7, crate::support::SOON);
            let parent = Some(remote_ids().1.to_string());
            let below = sent.iter().filter(|span| span.parent_span_id == parent);
            assert_eq!(below.count(), 2);
        },
    );
}

#[test]
fn a_parent_may_be_all_that_it_was() {
    each(
        |bench| {
            bench.run(|| {
                let step = tracing::info_span!("hermes.step", code.function.name = "step");
                session(|| {
                    below(&step);
                    below_id(&step);
                    alone();
                    let mut headers = http::HeaderMap::new();
                    served(&headers);
                    let context = remote();
                    hermes::propagation::inject_context(&context, &mut headers);
                    served(&headers);
                });
            });
            let step = bench.span("step");
            assert_eq!(
                bench.span("hermes.tool.below").parent_span_id,
                Some(step.span_id)
            );
            assert_eq!(
                bench.span("hermes.tool.below_id").parent_span_id,
                Some(step.span_id)
            );
            let alone = bench.span("hermes.tool.alone");
            assert_eq!(alone.parent_span_id, None);
            let session = bench.span("hermes.session");
            assert_ne!(alone.trace_id, session.trace_id);
            let mut served: Vec<_> = bench
                .all_spans()
                .into_iter()
                .filter(|span| span.name == "hermes.tool.served")
                .map(|span| span.wire_parent_span_id.unwrap())
                .collect();
            served.sort();
            let mut expected = [session.span_id, remote_ids().1];
            expected.sort();
            assert_eq!(
                served, expected,
                "without a context the current span is the parent"
            );
        },
        |_, _| {},
    );
}
