//! Traces that cross a border: headers, messages and environments in and out, with and without OTLP.

use std::collections::HashMap;
use std::process::Command;

use hermes::propagation::{self, Baggage, TraceContext};
use hermes::{SpanId, TraceId};
use http::HeaderMap;
use serde_json::json;

use crate::support::Bench;
use crate::support::collector::Collector;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

#[hermes::session(id = id)]
fn session<T>(id: &str, body: impl FnOnce() -> T) -> T {
    body()
}

#[hermes::session(id = id)]
async fn session_async(id: &str) {
    work_async().await;
}

#[hermes::tool]
async fn work_async() {
    tokio::task::yield_now().await;
}

#[hermes::chat(model = "m")]
fn ask() -> HeaderMap {
    let mut headers = HeaderMap::new();
    propagation::inject(&mut headers);
    headers
}

#[hermes::tool]
fn work() {}

fn headers(traceparent: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("traceparent", traceparent.parse().unwrap());
    headers
}

fn remote() -> HeaderMap {
    let mut headers = headers(&format!("00-{TRACE}-{SPAN}-01"));
    headers.append("tracestate", "rojo=1".parse().unwrap());
    headers.append("tracestate", "congo=2".parse().unwrap());
    headers.insert("baggage", "tenant=blue".parse().unwrap());
    headers
}

fn text(headers: &HeaderMap, name: &str) -> String {
    let value = headers.get(name).map(|value| value.to_str().unwrap());
    value.unwrap_or_default().to_owned()
}

fn trace() -> TraceId {
    TraceId::from_hex(TRACE).unwrap()
}

fn parent() -> Option<SpanId> {
    SpanId::from_hex(SPAN)
}

/// Runs with and without OTLP.
fn each(test: impl Fn(&Bench)) {
    test(&Bench::new());
    let collector = Collector::start();
    test(&Bench::with(|builder| {
        builder.otlp_endpoint(collector.endpoint())
    }));
}

#[test]
fn the_headers_of_a_call_name_its_span() {
    each(|bench| {
        let headers = bench.run(|| session("a", ask));
        let chat = bench.span("chat m");
        let expected = format!("00-{}-{}-01", chat.trace_id, chat.span_id);
        assert_eq!(text(&headers, "traceparent"), expected);
        assert_eq!(headers.len(), 1, "{headers:?}");
    });
}

#[test]
fn an_attached_parent_is_the_parent_of_what_starts_next() {
    each(|bench| {
        let onward = bench.run(|| {
            let attached = propagation::attach(&remote());
            session("a", work);
            let onward = ask();
            drop(attached);
            session("b", work);
            onward
        });
        let runs = bench.runs();
        assert_eq!(runs.len(), 3, "{runs:#?}");
        assert_eq!((runs[0].trace_id, runs[1].trace_id), (trace(), trace()));
        assert_ne!(runs[2].trace_id, trace(), "the guard is gone");
        let spans = bench.all_spans();
        let parents: Vec<_> = spans
            .iter()
            .map(|span| (span.parent_span_id, span.wire_parent_span_id))
            .collect();
        let (session, chat) = (Some(spans[0].span_id), Some(spans[2].span_id));
        assert_eq!(parents[0], (None, parent()));
        assert_eq!(parents[1], (session, session));
        assert_eq!(parents[2], (None, parent()));
        assert_eq!(parents[3], (None, None));
        // What came in goes on.
        let expected = format!("00-{TRACE}-{}-01", chat.unwrap());
        assert_eq!(text(&onward, "traceparent"), expected);
        assert_eq!(text(&onward, "tracestate"), "rojo=1,congo=2");
        assert_eq!(text(&onward, "baggage"), "tenant=blue");
    });
}

#[test]
fn at_otlp_the_parent_is_the_remote_span() {
    let collector = Collector::start();
    let bench = Bench::with(|builder| builder.otlp_endpoint(collector.endpoint()));
    bench.run(|| {
        let _attached = propagation::attach(&remote());
        session("a", work);
    });
    let sent = collector.wait_for(2, crate::support::SOON);
    let session = sent.iter().find(|span| span.name == "hermes.session");
    let session = session.unwrap();
    assert_eq!(session.trace_id, TRACE);
    assert_eq!(session.parent_span_id.as_deref(), Some(SPAN));
    let stored = bench.span("hermes.session");
    assert_eq!(session.span_id, stored.span_id.to_string());
}

#[test]
fn what_was_attached_or_entered_last_is_the_parent() {
    each(|bench| {
        bench.run(|| {
            session("outer", || {
                let _attached = propagation::attach(&remote());
                session("inner", work);
                work();
            });
        });
        let inner = bench.runs().into_iter().find(|run| run.trace_id == trace());
        assert_eq!(inner.unwrap().session_id.as_deref(), Some("inner"));
        let below: Vec<_> = bench
            .all_spans()
            .into_iter()
            .filter(|span| span.wire_parent_span_id == parent())
            .map(|span| span.name)
            .collect();
        assert_eq!(below.len(), 2, "{below:?}");
    });
}

#[test]
fn headers_without_a_context_leave_the_one_before_where_it_is() {
    each(|bench| {
        let (direct, onward) = bench.run(|| {
            session("outer", || {
                let _attached = propagation::attach(&remote());
                let mut more = HeaderMap::new();
                let _nothing = propagation::attach(&more);
                more.insert("baggage", "tenant=red".parse().unwrap());
                let _more = propagation::attach(&more);
                let mut direct = HeaderMap::new();
                propagation::inject(&mut direct);
                (direct, ask())
            })
        });
        assert_eq!(bench.span("chat m").wire_parent_span_id, parent());
        let expected = format!("00-{TRACE}-{SPAN}-01");
        assert_eq!(
            text(&direct, "traceparent"),
            expected,
            "it was attached last"
        );
        for headers in [direct, onward] {
            assert_eq!(text(&headers, "baggage"), "tenant=red");
            assert_eq!(text(&headers, "tracestate"), "rojo=1,congo=2");
        }
    });
}

#[test]
fn a_span_of_another_library_may_stand_between() {
    let collector = Collector::start();
    let bench = Bench::with(|builder| builder.otlp_endpoint(collector.endpoint()));
    bench.run(|| {
        let _attached = propagation::attach(&remote());
        tracing::info_span!("http.request").in_scope(|| session("a", work));
    });
    let sent = collector.wait_for(3, crate::support::SOON);
    let request = sent.iter().find(|span| span.name == "http.request");
    let request = request.unwrap();
    assert_eq!(request.parent_span_id.as_deref(), Some(SPAN));
    let session = bench.span("hermes.session");
    assert_eq!(session.trace_id, trace());
    let wire_parent = session.wire_parent_span_id.unwrap();
    assert_eq!(wire_parent.to_string(), request.span_id);
}

#[test]
fn bad_headers_are_as_good_as_none() {
    each(|bench| {
        bench.run(|| {
            for wrong in [
                "",
                "00-0-0-0",
                &format!("ff-{TRACE}-{SPAN}-01"),
                &format!("00-{}-{SPAN}-01", "0".repeat(32)),
            ] {
                let _attached = propagation::attach(&headers(wrong));
                work();
            }
            let mut twice = remote();
            twice.append("traceparent", "00-1-2-3".parse().unwrap());
            let _attached = propagation::attach(&twice);
            work();
        });
        assert_eq!(bench.runs().len(), 5);
        let spans = bench.all_spans();
        assert!(spans.iter().all(|span| span.trace_id != trace()));
        assert!(spans.iter().all(|span| span.wire_parent_span_id.is_none()));
    });
}

#[test]
fn a_trace_that_nobody_samples_is_kept_and_not_exported() {
    let collector = Collector::start();
    let bench = Bench::with(|builder| builder.otlp_endpoint(collector.endpoint()));
    let onward = bench.run(|| {
        let unsampled = headers(&format!("00-{TRACE}-{SPAN}-00"));
        let attached = propagation::attach(&unsampled);
        let onward = session("a", ask);
        drop(attached);
        work();
        onward
    });
    assert!(text(&onward, "traceparent").ends_with("-00"), "{onward:?}");
    let stored = bench.span("hermes.session");
    assert_eq!(stored.trace_id, trace());
    assert_eq!(stored.wire_parent_span_id, parent());
    let sent = collector.wait_for(1, crate::support::SOON);
    let names: Vec<_> = sent.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["hermes.tool.work"]);
    // Without OTLP the flag is handed on as it came.
    let bench = Bench::new();
    let onward = bench.run(|| {
        let _attached = propagation::attach(&headers(&format!("00-{TRACE}-{SPAN}-00")));
        ask()
    });
    assert!(text(&onward, "traceparent").ends_with("-00"), "{onward:?}");
}

#[test]
fn a_future_has_its_parent_on_every_thread() {
    each(|bench| {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(3).build().unwrap();
        let dispatch = bench.dispatch.clone();
        let tasks: Vec<_> = (0..32_u8)
            .map(|number| {
                use tracing::instrument::WithSubscriber;
                let span = format!("{:016x}", u64::from(number) + 1);
                let headers = headers(&format!("00-{TRACE}-{span}-01"));
                let task = async move {
                    let session = session_async("a");
                    propagation::in_remote(&headers, session).await;
                    work_async().await;
                };
                runtime.spawn(task.with_subscriber(dispatch.clone()))
            })
            .collect();
        for task in tasks {
            runtime.block_on(task).unwrap();
        }
        bench.telemetry.flush(crate::support::SOON).unwrap();
        let spans = bench.all_spans();
        assert_eq!(spans.len(), 96);
        let mut parents: Vec<_> = spans
            .iter()
            .filter(|span| span.span_name == "hermes.session")
            .map(|span| span.wire_parent_span_id.unwrap().to_bytes()[7])
            .collect();
        parents.sort_unstable();
        assert_eq!(parents, (1..=32).collect::<Vec<_>>());
        let roots = |span: &&hermes::RecordedSpan| {
            span.span_name == "hermes.tool" && span.parent_span_id.is_none()
        };
        let after: Vec<_> = spans.iter().filter(roots).collect();
        assert_eq!(after.len(), 32);
        assert!(after.iter().all(|span| span.trace_id != trace()));
    });
}

#[test]
fn the_session_goes_along_only_where_it_may() {
    let quiet = Bench::new().run(|| session("s 1", ask));
    assert_eq!(text(&quiet, "baggage"), "");
    let bench = Bench::with(|builder| builder.propagate_session_id(true));
    let told = bench.run(|| session("s 1", ask));
    assert_eq!(text(&told, "baggage"), "hermes.session.id=s%201");
    // What another process sends is taken up, by spans that have none of their own.
    let bench = Bench::new();
    bench.run(|| {
        let _attached = propagation::attach(&told);
        work();
        session("own", work);
    });
    let sessions: Vec<_> = bench
        .runs()
        .into_iter()
        .map(|run| run.session_id.unwrap())
        .collect();
    assert_eq!(sessions, ["s 1", "own"]);
}

#[test]
fn messages_maps_and_commands_carry_it_too() {
    let bench = Bench::new();
    let (params, map, environment, context) = bench.run(|| {
        session("a", || {
            let mut params = json!({ "name": "search", "_meta": { "progressToken": 1 } });
            propagation::inject_meta(&mut params);
            let mut map = HashMap::new();
            propagation::inject(&mut map);
            let mut command = Command::new("true");
            propagation::inject_env(&mut command);
            let environment: HashMap<String, String> = command
                .get_envs()
                .filter_map(|(name, value)| {
                    Some((name.to_str()?.to_owned(), value?.to_str()?.to_owned()))
                })
                .collect();
            (params, map, environment, propagation::current().unwrap())
        })
    });
    let session = bench.span("hermes.session");
    assert_eq!(context.span_id(), Some(session.span_id));
    assert_eq!(propagation::extract_meta(&params), context);
    assert_eq!(params["_meta"]["progressToken"], 1);
    assert_eq!(propagation::extract(&map), context);
    assert_eq!(propagation::extract(&environment), context, "in any case");
    assert_eq!(environment["TRACEPARENT"], context.traceparent().unwrap());
    for nothing in [json!(null), json!({}), json!({ "_meta": 1 }), json!([1])] {
        assert!(propagation::extract_meta(&nothing).is_empty());
    }
    let mut list = json!([1]);
    session_less(&bench, &mut list);
    assert_eq!(list, json!([1]));
}

fn session_less(bench: &Bench, params: &mut serde_json::Value) {
    bench.run(|| work_with(|| propagation::inject_meta(params)));
}

#[hermes::tool]
fn work_with(body: impl FnOnce()) {
    body();
}

#[test]
fn without_a_span_a_context_is_handed_on() {
    let context = TraceContext::new(trace(), parent().unwrap()).with_baggage(
        Baggage::default()
            .with("tenant", "a b")
            .with("bad key", "x"),
    );
    let mut out = HeaderMap::new();
    propagation::inject(&mut out);
    assert!(out.is_empty());
    {
        let _attached = propagation::attach(&context);
        propagation::inject(&mut out);
    }
    assert_eq!(propagation::extract(&out), context);
    assert_eq!(text(&out, "baggage"), "tenant=a%20b");
    assert_eq!(propagation::current(), None);
}

#[test]
fn baggage_is_handed_on_without_a_trace() {
    let mut alone = HeaderMap::new();
    alone.insert("baggage", "tenant=blue".parse().unwrap());
    let mut onward = HeaderMap::new();
    let _attached = propagation::attach(&alone);
    propagation::inject(&mut onward);
    assert_eq!(text(&onward, "baggage"), "tenant=blue");
    assert_eq!(onward.len(), 1, "{onward:?}");
}

#[test]
fn what_stands_in_a_message_already_is_taken_for_nothing_else() {
    let bench = Bench::new();
    let (null, passed_on) = bench.run(|| {
        session("a", || {
            let mut null = json!({ "name": "search", "_meta": null });
            propagation::inject_meta(&mut null);
            // Of somebody else's trace, on its way through this process.
            let mut passed_on =
                json!({ "_meta": { "traceparent": "00-1-2-3", "tracestate": "theirs=1" } });
            propagation::inject_meta(&mut passed_on);
            (null, passed_on)
        })
    });
    let session = bench.span("hermes.session");
    let context = propagation::extract_meta(&null);
    assert_eq!(context.span_id(), Some(session.span_id));
    assert_eq!(propagation::extract_meta(&passed_on), context);
    let mut outside = json!({ "name": "search" });
    propagation::inject_meta(&mut outside);
    assert_eq!(
        outside,
        json!({ "name": "search" }),
        "there is nothing to say"
    );
}
