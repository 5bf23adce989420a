//! The capture filter decides what Hermes captures, and never what other layers see.

use std::sync::{Arc, Mutex};

use tracing::Subscriber;
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, registry::LookupSpan};

use crate::support::collector::Collector;
use crate::support::{Bench, SOON};

#[hermes::session(id = "s")]
fn session() {
    turn();
}

#[hermes::turn]
fn turn() {
    outer();
}

#[hermes::tool(name = "secret")]
fn outer() {
    inner();
    tracing::info_span!("query", db.system = "sqlite").in_scope(|| {});
}

#[hermes::tool(name = "open")]
fn inner() {}

fn filtered(directives: &str) -> (Bench, Collector) {
    let collector = Collector::start();
    let bench = Bench::with(|builder| {
        builder
            .otlp_endpoint(collector.endpoint())
            .capture_filter(directives)
    });
    bench.run(session);
    (bench, collector)
}

#[test]
fn children_of_a_dropped_span_hang_under_the_nearest_kept_one() {
    for directives in [
        r#"info,hermes.tool[{name="secret"}]=off"#,
        "hermes.tool.secret=off",
    ] {
        let (bench, collector) = filtered(directives);
        assert_eq!(
            bench.picture(),
            "hermes.session\n  hermes.turn\n    hermes.tool.open\n"
        );
        let sent = collector.wait_for(4, SOON);
        let names: Vec<_> = sent.iter().map(|span| span.name.as_str()).collect();
        assert!(!names.contains(&"hermes.tool.secret"), "{names:?}");
        let id = |name| {
            let span = sent.iter().find(|span| span.name == name).unwrap();
            (Some(span.span_id.clone()), span.parent_span_id.clone())
        };
        assert_eq!(id("hermes.tool.open").1, id("hermes.turn").0);
        assert_eq!(
            id("query").1,
            id("hermes.turn").0,
            "other libraries' children move too"
        );
        let stats = bench.telemetry.stats();
        assert_eq!(
            (stats.captured, stats.written, stats.dropped["filtered"]),
            (4, 3, 1)
        );
    }
}

#[test]
fn a_span_filtered_by_name_alone_is_not_even_made() {
    let (bench, collector) = filtered("hermes.turn=off");
    assert_eq!(
        bench.picture(),
        "hermes.session\n  hermes.tool.secret\n    hermes.tool.open\n"
    );
    let sent = collector.wait_for(4, SOON);
    let session = sent
        .iter()
        .find(|span| span.name == "hermes.session")
        .unwrap();
    let tool = sent
        .iter()
        .find(|span| span.name == "hermes.tool.secret")
        .unwrap();
    assert_eq!(tool.parent_span_id.as_ref(), Some(&session.span_id));
}

#[test]
fn late_facts_count_as_well() {
    #[hermes::session(id = "s")]
    fn late() {
        #[hermes::chat(model = "m")]
        fn call() {
            inner();
            hermes::current().response_model("cheap");
        }
        call();
    }
    let bench = Bench::with(|builder| {
        builder.capture_filter(r#"chat[{gen_ai.response.model="cheap"}]=off"#)
    });
    bench.run(late);
    assert_eq!(bench.picture(), "hermes.session\n  hermes.tool.open\n");
    assert_eq!(bench.sql::<i64>("SELECT model_call_count FROM tel_runs"), 0);
}

#[test]
fn other_layers_see_what_they_always_saw() {
    #[derive(Clone, Default)]
    struct Names(Arc<Mutex<Vec<&'static str>>>);
    impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Names {
        fn on_new_span(&self, attributes: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
            self.0.lock().unwrap().push(attributes.metadata().name());
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let (layer, telemetry) = hermes::builder()
        .store_path(folder.path().join("telemetry.db"))
        .capture_filter("off")
        .build()
        .unwrap();
    let names = Names::default();
    let subscriber = tracing_subscriber::registry()
        .with(layer)
        .with(names.clone());
    tracing::subscriber::with_default(subscriber, session);
    telemetry.flush(SOON).unwrap();
    assert_eq!(
        *names.0.lock().unwrap(),
        [
            "hermes.session",
            "hermes.turn",
            "hermes.tool",
            "hermes.tool",
            "query"
        ]
    );
    assert_eq!(telemetry.stats().captured, 0);
}

#[test]
fn what_is_left_out_counts_nowhere() {
    let (bench, _collector) = filtered("hermes.tool.secret=off");
    assert_eq!(
        bench.span("hermes.turn").attributes["hermes.turn.tool_call_count"],
        1
    );
    assert_eq!(bench.sql::<i64>("SELECT tool_call_count FROM tel_runs"), 1);
}
