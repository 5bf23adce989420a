//! However spans are held (many at once, deeply nested, never entered, across threads), each is stored
//! once, under its parent.

use std::collections::{HashMap, HashSet};
use std::thread;

use hermes::{RecordedSpan, SpanId};
use tracing::{Instrument, Span};

use crate::support::Bench;

/// The spans of the store by their ids.
fn by_id(bench: &Bench) -> HashMap<SpanId, RecordedSpan> {
    let spans = bench.all_spans();
    let count = spans.len();
    let by_id: HashMap<_, _> = spans.into_iter().map(|span| (span.span_id, span)).collect();
    assert_eq!(by_id.len(), count, "no id is there twice");
    by_id
}

#[test]
fn a_hundred_thousand_spans_are_open_at_once() {
    const SESSIONS: usize = 1_000;
    const TOOLS: usize = 99;
    let bench = Bench::with(|builder| builder.queue_capacity(100_000));
    let _entered = tracing::dispatcher::set_default(&bench.dispatch);
    let mut sessions = Vec::new();
    let mut tools = Vec::new();
    for number in 0..SESSIONS {
        let session = tracing::info_span!("hermes.session", hermes.session.id = number);
        for tool in 0..TOOLS {
            let name = format!("{number}-{tool}");
            tools.push(
                tracing::info_span!(parent: &session, "hermes.tool", gen_ai.tool.name = name),
            );
        }
        sessions.push(session);
    }
    // What is shown of them meanwhile fits in no queue, and needs none.
    let sample = tools[SESSIONS * TOOLS / 2].in_scope(|| hermes::current().span_id().unwrap());
    drop(tools);
    drop(sessions);
    bench.telemetry.flush(crate::support::SOON * 6).unwrap();
    let spans = by_id(&bench);
    assert_eq!(spans.len(), SESSIONS * (1 + TOOLS));
    for span in spans.values() {
        assert!(span.end_ns.is_some());
        let Some(name) = span.attributes.get("gen_ai.tool.name") else {
            assert_eq!(span.parent_span_id, None);
            continue;
        };
        let parent = &spans[&span.parent_span_id.unwrap()];
        let owner = name.as_str().unwrap().split('-').next().unwrap();
        let session = parent.attributes["hermes.session.id"].to_string();
        assert_eq!(session.trim_matches('"'), owner);
        assert_eq!(span.run_id, parent.run_id);
    }
    assert!(spans.contains_key(&sample));
    let stats = bench.telemetry.stats();
    assert_eq!((stats.written, stats.in_flight), (100_000, 0));
}

/// Nests spans, and gives back the outermost first.
fn nest(depth: usize) -> Vec<Span> {
    let mut spans = vec![tracing::info_span!(
        "hermes.session",
        hermes.session.id = "deep"
    )];
    for _ in 1..depth {
        let parent = spans.last().unwrap();
        let child = tracing::info_span!(parent: parent, "hermes.tool", gen_ai.tool.name = "t");
        spans.push(child);
    }
    spans
}

fn assert_one_chain(bench: &Bench, depth: usize) {
    let spans = by_id(bench);
    assert_eq!(spans.len(), depth);
    let parents: HashSet<_> = spans.values().map(|span| span.parent_span_id).collect();
    assert_eq!(parents.len(), depth, "each is the parent of one at most");
    let roots = spans.values().filter(|span| span.parent_span_id.is_none());
    assert_eq!(roots.count(), 1);
}

#[test]
fn two_thousand_nested_spans_end_from_the_innermost_out() {
    let bench = Bench::with(|builder| builder.queue_capacity(4_000));
    let _entered = tracing::dispatcher::set_default(&bench.dispatch);
    let mut spans = nest(2_000);
    while let Some(innermost) = spans.pop() {
        drop(innermost);
    }
    bench.telemetry.flush(crate::support::SOON * 6).unwrap();
    assert_one_chain(&bench, 2_000);
}

#[test]
fn ten_thousand_nested_spans_whose_handles_are_dropped_from_the_outermost_in() {
    // The registry itself closes the parents of the last child in as many nested calls, with or without
    // Hermes: hence the stack. Hermes lets go of its own chain one by one, and its writer, which has
    // no such stack, drops drafts of all of them.
    let bench = Bench::with(|builder| builder.queue_capacity(20_000));
    let dispatch = bench.dispatch.clone();
    let closing = thread::Builder::new().stack_size(256 * 1024 * 1024);
    closing
        .spawn(move || {
            let _entered = tracing::dispatcher::set_default(&dispatch);
            nest(10_000).into_iter().for_each(drop);
        })
        .unwrap()
        .join()
        .unwrap();
    bench.telemetry.flush(crate::support::SOON * 6).unwrap();
    assert_one_chain(&bench, 10_000);
}

#[test]
fn a_span_that_is_never_entered_is_stored() {
    let bench = Bench::new();
    bench.run(|| {
        let session = tracing::info_span!("hermes.session", hermes.session.id = "s");
        let tool = tracing::info_span!(parent: &session, "hermes.tool", gen_ai.tool.name = "t");
        drop(session);
        drop(tool);
    });
    assert_eq!(bench.picture(), "hermes.session\n  hermes.tool.t\n");
}

#[test]
fn spans_held_across_awaits_keep_their_own_parents() {
    let bench = Bench::new();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .build()
        .unwrap();
    let tasks: Vec<_> = (0..32)
        .map(|number| {
            let dispatch = bench.dispatch.clone();
            let task = async move {
                let id = number.to_string();
                let session = tracing::info_span!("hermes.session", hermes.session.id = id);
                let tool =
                    tracing::info_span!(parent: &session, "hermes.tool", gen_ai.tool.name = id);
                for _ in 0..20 {
                    tokio::task::yield_now().instrument(tool.clone()).await;
                    tokio::task::yield_now().instrument(session.clone()).await;
                }
            };
            runtime.spawn(tracing::instrument::WithSubscriber::with_subscriber(
                task, dispatch,
            ))
        })
        .collect();
    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    bench.run(|| ());
    let spans = by_id(&bench);
    assert_eq!(spans.len(), 64);
    for span in spans.values() {
        let Some(parent) = span.parent_span_id else {
            continue;
        };
        let session = &spans[&parent].attributes["hermes.session.id"];
        assert_eq!(session, &span.attributes["gen_ai.tool.name"]);
    }
}

#[test]
fn an_entered_guard_that_is_held_across_an_await_costs_only_its_own_place() {
    // A mistake in the agent's code that `tracing` warns of: what runs meanwhile is taken for a child.
    // Nothing is lost or stored twice, and the spans end.
    let bench = Bench::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    bench.run(|| {
        runtime.block_on(async {
            let held = |name: &'static str| async move {
                let span = tracing::info_span!("hermes.tool", gen_ai.tool.name = name);
                let _guard = span.enter();
                tokio::task::yield_now().await;
            };
            tokio::join!(held("a"), held("b"));
        });
    });
    assert_eq!(by_id(&bench).len(), 2);
    let stats = bench.telemetry.stats();
    assert_eq!((stats.captured, stats.written, stats.in_flight), (2, 2, 0));
}

#[test]
fn a_span_closed_on_another_thread_is_stored_under_its_parent() {
    let bench = Bench::new();
    let (session, tools) = bench.run(|| {
        let session = tracing::info_span!("hermes.session", hermes.session.id = "s");
        let tools: Vec<_> = (0..8)
            .map(|number| {
                let name = number.to_string();
                tracing::info_span!(parent: &session, "hermes.tool", gen_ai.tool.name = name)
            })
            .collect();
        (session, tools)
    });
    // The registry closes a parent by way of the thread's own subscriber.
    let elsewhere = |code: &mut (dyn FnMut() + Send)| {
        thread::scope(|scope| {
            let dispatch = bench.dispatch.clone();
            scope.spawn(move || tracing::dispatcher::with_default(&dispatch, code));
        });
    };
    drop(session);
    for tool in tools {
        let mut tool = Some(tool);
        elsewhere(&mut || {
            let tool = tool.take().unwrap();
            tool.in_scope(|| {
                hermes::current().record("seen", "elsewhere");
            });
        });
    }
    bench.run(|| ());
    let spans = by_id(&bench);
    assert_eq!(spans.len(), 9);
    let roots: Vec<_> = spans
        .values()
        .filter(|span| span.parent_span_id.is_none())
        .collect();
    assert_eq!(roots.len(), 1);
    for span in spans.values().filter(|span| span.parent_span_id.is_some()) {
        assert_eq!(span.parent_span_id, Some(roots[0].span_id));
    }
}

/// Its text is made by code that uses the very span that it is recorded on.
struct Chatty(Span);

impl std::fmt::Debug for Chatty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.record("gen_ai.usage.output_tokens", 7);
        drop(tracing::info_span!(parent: &self.0, "hermes.tool", gen_ai.tool.name = "inner"));
        f.write_str("gpt-4o-2024-08-06")
    }
}

#[test]
fn a_late_value_that_runs_code_of_its_own_is_kept_beside_the_others() {
    use tracing::field::Empty;
    for is_shared in [false, true] {
        let bench = Bench::with(|builder| builder);
        let _entered = tracing::dispatcher::set_default(&bench.dispatch);
        let span = tracing::info_span!(
            "hermes.chat",
            gen_ai.request.model = "gpt-4o",
            gen_ai.response.model = Empty,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty
        );
        let child = is_shared
            .then(|| tracing::info_span!(parent: &span, "hermes.tool", gen_ai.tool.name = "outer"));
        tracing::record_all!(
            span,
            gen_ai.usage.input_tokens = 12,
            gen_ai.response.model = ?Chatty(span.clone())
        );
        drop(span);
        drop(child);
        bench.telemetry.flush(crate::support::SOON).unwrap();
        let spans = bench.all_spans();
        let chat = spans
            .iter()
            .find(|span| span.attributes.contains_key("gen_ai.request.model"))
            .unwrap();
        assert_eq!(
            chat.attributes["gen_ai.response.model"],
            "gpt-4o-2024-08-06"
        );
        assert_eq!(chat.attributes["gen_ai.usage.input_tokens"], 12);
        assert_eq!(chat.attributes["gen_ai.usage.output_tokens"], 7);
        let tools = spans
            .iter()
            .filter(|span| span.parent_span_id == Some(chat.span_id));
        assert_eq!(tools.count(), 1 + usize::from(is_shared));
    }
}
