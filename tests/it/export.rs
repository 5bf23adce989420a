//! What the OTLP exporter does beside sending: headers, retries, links, other exporters' failures.

use crate::support::collector::Collector;
use crate::support::{Bench, SOON, script};

#[test]
fn headers_go_with_every_request() {
    let collector = Collector::start();
    let bench = Bench::with(|builder| {
        builder
            .otlp_endpoint(collector.endpoint())
            .otlp_headers([("x-team", "red")])
    });
    bench.run(script::session);
    collector.wait_for(6, SOON);
    assert_eq!(collector.header("x-team").as_deref(), Some("red"));
}

#[test]
fn an_endpoint_that_names_the_signal_is_used_as_it_is() {
    let collector = Collector::start();
    let bench =
        Bench::with(|builder| builder.otlp_endpoint(format!("{}/v1/traces", collector.endpoint())));
    bench.run(script::session);
    assert_eq!(collector.wait_for(6, SOON).len(), 6);
}

#[test]
fn a_collector_that_is_busy_for_a_moment_gets_every_span_once() {
    let collector = Collector::start().fail_first(1, 503);
    let bench = Bench::with(|builder| builder.otlp_endpoint(collector.endpoint()));
    bench.run(script::session);
    collector.wait_for(6, SOON);
    assert_eq!(collector.spans().len(), 6);
    assert!(collector.requests() >= 2);
    assert_eq!(bench.telemetry.stats().exported, 6);
}

#[test]
fn what_a_span_follows_from_is_a_link() {
    let collector = Collector::start();
    let bench = Bench::with(|builder| builder.otlp_endpoint(collector.endpoint()));
    bench.run(|| {
        let cause = tracing::info_span!("hermes.tool", gen_ai.tool.name = "cause");
        let effect = tracing::info_span!("hermes.tool", gen_ai.tool.name = "effect");
        cause.in_scope(|| {});
        effect.follows_from(&cause);
    });
    let sent = collector.wait_for(2, SOON);
    let by_name = |name| sent.iter().find(|span| span.name == name).unwrap();
    assert_eq!(
        by_name("hermes.tool.effect").links,
        [by_name("hermes.tool.cause").span_id.clone()]
    );
    assert_eq!(by_name("hermes.tool.cause").scope, "hermes");
}

#[test]
fn one_dead_exporter_does_not_stop_the_other() {
    let collector = Collector::start();
    let bench = Bench::with(|builder| {
        // gRPC to an HTTP port fails; the console and HTTP do not mind.
        builder
            .otlp_endpoint(collector.endpoint())
            .exporters("otlp_grpc,otlp")
    });
    tracing::dispatcher::with_default(&bench.dispatch, script::session);
    let _ = bench.telemetry.flush(SOON);
    assert_eq!(collector.wait_for(6, SOON).len(), 6);
    assert_eq!(bench.spans().len(), 6);
}

#[test]
fn a_program_with_an_otel_layer_of_its_own_keeps_it() {
    use opentelemetry::trace::TracerProvider;
    use tracing_subscriber::layer::SubscriberExt;
    let collector = Collector::start();
    let folder = tempfile::tempdir().unwrap();
    let provider = opentelemetry_sdk::trace::SdkTracerProvider::builder().build();
    let theirs = tracing_opentelemetry::layer().with_tracer(provider.tracer("theirs"));
    let beneath = tracing_subscriber::registry().with(theirs);
    let (layer, telemetry) = hermes::builder()
        .store_path(folder.path().join("telemetry.db"))
        .otlp_endpoint(collector.endpoint())
        .build()
        .unwrap();
    tracing::subscriber::with_default(beneath.with(layer), script::session);
    telemetry.flush(SOON).unwrap();
    let stats = telemetry.stats();
    assert_eq!((stats.written, stats.exported), (6, 0));
}
