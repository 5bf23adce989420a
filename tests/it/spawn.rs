//! Work on other threads and tasks stays below the span that started it.

use hermes::propagation::{self, TraceContext};
use hermes::{RecordedSpan, SpanId, Surroundings, TraceId};
use rayon::prelude::*;

use crate::support::Bench;
use crate::support::collector::Collector;

#[hermes::session(id = "s")]
fn session<T>(body: impl FnOnce() -> T) -> T {
    body()
}

#[hermes::tool(name = name)]
fn work(name: &str) {
    hermes::current().record("order", name.to_owned());
}

#[hermes::tool]
async fn wait() {
    tokio::task::yield_now().await;
    later().await;
}

#[hermes::instrument]
async fn later() {
    tokio::task::yield_now().await;
}

/// Runs with and without OTLP.
fn each(test: impl Fn(&Bench)) {
    test(&Bench::new());
    let collector = Collector::start();
    test(&Bench::with(|builder| {
        builder.otlp_endpoint(collector.endpoint())
    }));
}

fn below_session(spans: &[RecordedSpan]) -> usize {
    let session = spans
        .iter()
        .find(|span| span.span_name == "hermes.session")
        .unwrap();
    let parent = Some(session.span_id);
    let children = spans.iter().filter(|span| span.parent_span_id == parent);
    children
        .filter(|span| span.wire_parent_span_id == parent && span.trace_id == session.trace_id)
        .count()
}

#[test]
fn threads_stay_in_the_span() {
    each(|bench| {
        bench.run(|| {
            session(|| {
                let thread = std::thread::spawn(hermes::in_current_fn(|| work("a")));
                thread.join().unwrap();
                let here = Surroundings::current();
                std::thread::scope(|scope| {
                    scope.spawn(|| here.run(|| work("b")));
                    scope.spawn(|| here.run(|| work("c")));
                });
                work("d");
            });
        });
        assert_eq!(below_session(&bench.spans()), 4);
    });
}

#[test]
fn a_pool_stays_in_the_span() {
    each(|bench| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build();
        let pool = pool.unwrap();
        bench.run(|| {
            session(|| {
                let here = Surroundings::current();
                pool.install(|| {
                    (0..100).into_par_iter().for_each(|number: i32| {
                        here.run(|| work(&number.to_string()));
                    });
                });
                pool.join(
                    hermes::in_current_fn(|| work("left")),
                    hermes::in_current_fn(|| work("right")),
                );
            });
        });
        assert_eq!(below_session(&bench.spans()), 102);
    });
}

#[test]
fn tasks_stay_in_the_span() {
    each(|bench| {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(3).build().unwrap();
        bench.run(|| {
            session(|| {
                let mut tasks = Vec::new();
                let entered = runtime.enter();
                for number in 0..20 {
                    tasks.push(runtime.spawn(hermes::in_current(wait())));
                    tasks.push(hermes::spawn(wait()));
                    let name = number.to_string();
                    tasks.push(hermes::spawn_blocking(move || work(&name)));
                }
                drop(entered);
                for task in tasks {
                    runtime.block_on(task).unwrap();
                }
                // Dropped unfinished, it is dropped where it ran.
                drop(hermes::in_current(wait()));
            });
        });
        let spans = bench.spans();
        assert_eq!(below_session(&spans), 60, "{}", bench.picture());
        let steps = spans.iter().filter(|span| span.name == "later");
        let tools: Vec<_> = spans
            .iter()
            .filter(|span| span.name == "hermes.tool.wait")
            .map(|span| Some(span.span_id))
            .collect();
        assert_eq!(
            steps
                .filter(|step| tools.contains(&step.parent_span_id))
                .count(),
            40
        );
    });
}

#[test]
fn the_context_of_another_process_goes_along() {
    let trace = TraceId::from_bytes([7; 16]).unwrap();
    let parent = SpanId::from_bytes([9; 8]).unwrap();
    each(|bench| {
        bench.run(|| {
            let elsewhere = |code: fn()| {
                let thread = std::thread::spawn(hermes::in_current_fn(code));
                thread.join().unwrap();
            };
            let remote = TraceContext::new(trace, parent);
            {
                let _attached = propagation::attach(&remote);
                elsewhere(|| session(|| work("below the remote one")));
            }
            session(|| {
                let _attached = propagation::attach(&remote);
                elsewhere(|| work("below the remote one as well"));
            });
        });
        let mut below: Vec<_> = bench
            .all_spans()
            .into_iter()
            .filter(|span| span.wire_parent_span_id == Some(parent))
            .map(|span| (span.trace_id == trace, span.name))
            .collect();
        below.sort();
        let tool = "hermes.tool.below the remote one as well".to_owned();
        assert_eq!(below, [(true, "hermes.session".to_owned()), (true, tool)]);
    });
}
