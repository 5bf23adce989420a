//! The classic session: six spans, one trace, right parents, in the store and at every OTLP way out.

use std::collections::BTreeMap;

use hermes::Status;

use crate::support::collector::{Collector, ReceivedSpan};
use crate::support::{Bench, SOON, script};

const PICTURE: &str = "\
hermes.session
  hermes.turn
    chat gpt-4o
    hermes.tool.read_file
    hermes.tool.search
    chat gpt-4o
";

#[test]
fn six_spans_stand_in_the_store() {
    let bench = Bench::new();
    bench.run(script::session);

    assert_eq!(bench.picture(), PICTURE);
    let run = &bench.runs()[0];
    assert_eq!(run.session_id.as_deref(), Some("s-42"));
    assert_eq!(run.entrypoint.as_deref(), Some("gateway"));
    assert_eq!(run.status, Status::Ok);
    assert_eq!(
        (run.model_call_count, run.tool_call_count, run.error_count),
        (2, 2, 0)
    );
    assert_eq!(run.estimated_cost_usd, Some(0.025));
    assert_eq!(run.cost_status.as_deref(), Some("known"));
    assert!(run.end_ns.unwrap() >= run.start_ns);
    let spans = bench.spans();
    assert!(spans.iter().all(|span| span.trace_id == run.trace_id));
    assert!(
        spans
            .iter()
            .all(|span| span.wire_parent_span_id == span.parent_span_id)
    );
    let stats = bench.telemetry.stats();
    assert_eq!((stats.captured, stats.written, stats.in_flight), (6, 6, 0));
}

#[test]
fn sql_finds_what_the_calls_used() {
    let bench = Bench::new();
    bench.run(script::session);
    assert_eq!(
        bench.sql::<i64>("SELECT sum(input_tokens) FROM tel_model_calls"),
        2400
    );
    assert_eq!(
        bench.sql::<i64>("SELECT sum(cache_read_tokens) FROM tel_model_calls"),
        2000
    );
    assert_eq!(
        bench.sql::<i64>("SELECT sum(reasoning_tokens) FROM tel_model_calls"),
        32
    );
    assert_eq!(
        bench.sql::<String>("SELECT DISTINCT base_url FROM tel_model_calls"),
        "https://api.openai.com/v1",
    );
    assert_eq!(
        bench.sql::<String>("SELECT group_concat(tool_name) FROM tel_tool_calls"),
        "read_file,search"
    );
    assert_eq!(bench.sql::<String>("PRAGMA integrity_check"), "ok");
}

#[test]
fn the_same_six_spans_arrive_over_http() {
    arrive(&Collector::start(), "otlp");
}

#[cfg(feature = "otlp-grpc")]
#[test]
fn the_same_six_spans_arrive_over_grpc() {
    arrive(&Collector::start_grpc(), "otlp_grpc");
}

fn arrive(collector: &Collector, exporter: &str) {
    let bench = Bench::with(|builder| {
        builder
            .otlp_endpoint(collector.endpoint())
            .exporters(exporter)
            .service_name("six")
    });
    bench.run(script::session);
    let received = collector.wait_for(6, SOON);
    assert_eq!(received.len(), 6);

    let received: BTreeMap<_, _> = received
        .into_iter()
        .map(|span| (span.span_id.clone(), span))
        .collect();
    for span in bench.spans() {
        let sent: &ReceivedSpan = &received[&span.span_id.to_string()];
        assert_eq!(sent.trace_id, span.trace_id.to_string());
        assert_eq!(sent.name, span.name);
        assert_eq!(sent.kind, span.otel_kind);
        assert_eq!(
            sent.parent_span_id,
            span.parent_span_id.map(|id| id.to_string())
        );
        assert_eq!(i64::try_from(sent.start_ns).unwrap(), span.start_ns);
        assert_eq!(i64::try_from(sent.end_ns).unwrap(), span.end_ns.unwrap());
        assert_eq!(sent.status_code, "UNSET");
        assert_eq!(sent.resource["service.name"], "six");
        assert_eq!(sent.attributes["hermes.span.kind"], span.kind);
    }
    let chat = received
        .values()
        .find(|span| span.kind == "CLIENT")
        .unwrap();
    assert_eq!(
        chat.attributes["gen_ai.usage.input_tokens"], 1200,
        "an integer, not a text"
    );
    assert_eq!(
        chat.attributes["gen_ai.response.finish_reasons"],
        serde_json::json!(["tool_calls"]),
        "an array, not a text"
    );
    let stats = bench.telemetry.stats();
    assert_eq!((stats.exported, stats.written), (6, 6));
}
