//! Other libraries' spans stay in the tree, and become ours by what they carry.

use crate::support::collector::Collector;
use crate::support::{Bench, SOON};

#[hermes::session(id = "s")]
fn session() {
    let _http = tracing::info_span!("http.request", http.route = "/v1", body = "private").entered();
    tool();
}

#[hermes::tool]
fn tool() {}

#[test]
fn a_foreign_span_stands_between_ours_on_the_wire_alone() {
    let collector = Collector::start();
    let bench = Bench::with(|builder| builder.otlp_endpoint(collector.endpoint()));
    bench.run(|| {
        let _server = tracing::info_span!("server", otel.kind = "server").entered();
        session();
    });
    assert_eq!(bench.picture(), "hermes.session\n  hermes.tool.tool\n");
    let sent = collector.wait_for(4, SOON);
    let by_name = |name| sent.iter().find(|span| span.name == name).unwrap();
    let (server, session) = (by_name("server"), by_name("hermes.session"));
    let (http, tool) = (by_name("http.request"), by_name("hermes.tool.tool"));
    assert_eq!(server.parent_span_id, None);
    assert_eq!(session.parent_span_id.as_ref(), Some(&server.span_id));
    assert_eq!(http.parent_span_id.as_ref(), Some(&session.span_id));
    assert_eq!(tool.parent_span_id.as_ref(), Some(&http.span_id));
    assert!(sent.iter().all(|span| span.trace_id == server.trace_id));
    assert_eq!(http.attributes["http.route"], "/v1");
    assert!(
        !http.attributes.contains_key("body"),
        "an unknown field is content"
    );

    let stored = bench.span("hermes.tool.tool");
    assert_eq!(stored.parent_span_id.unwrap().to_string(), session.span_id);
    assert_eq!(
        stored.wire_parent_span_id.unwrap().to_string(),
        http.span_id
    );
    let root = bench.span("hermes.session");
    assert_eq!(root.parent_span_id, None);
    assert_eq!(
        root.wire_parent_span_id.unwrap().to_string(),
        server.span_id
    );
}

#[test]
fn an_operation_name_makes_a_span_ours_early_or_late() {
    let bench = Bench::new();
    bench.run(|| {
        let _agent = tracing::info_span!(
            "invoke_agent",
            gen_ai.operation.name = "invoke_agent",
            gen_ai.agent.name = "scout"
        )
        .entered();
        let late = tracing::info_span!(
            "some_name",
            gen_ai.operation.name = tracing::field::Empty,
            gen_ai.request.model = "gpt-9",
            gen_ai.input.messages = "[{\"role\":\"user\"}]"
        );
        late.record("gen_ai.operation.name", "chat");
        drop(late);
        let never = tracing::info_span!("other", gen_ai.operation.name = tracing::field::Empty);
        drop(never);
    });
    assert_eq!(bench.picture(), "invoke_agent scout\n  chat gpt-9\n");
    let chat = bench.span("chat gpt-9");
    assert!(
        !chat.attributes.contains_key("gen_ai.input.messages"),
        "content is off"
    );
    assert_eq!(bench.telemetry.stats().captured, 2);
}

#[test]
fn spans_never_entered_and_held_by_others_have_the_same_ids_on_both_sides() {
    let collector = Collector::start();
    let bench = Bench::with(|builder| builder.otlp_endpoint(collector.endpoint()));
    bench.run(|| {
        let parent = tracing::info_span!("hermes.turn");
        let child = tracing::info_span!(parent: &parent, "hermes.tool", gen_ai.tool.name = "t");
        drop(child);
        drop(parent);
    });
    let sent = collector.wait_for(2, SOON);
    for span in bench.all_spans() {
        let sent = sent
            .iter()
            .find(|sent| sent.span_id == span.span_id.to_string())
            .unwrap();
        assert_eq!(sent.name, span.name);
        assert_eq!(
            sent.parent_span_id,
            span.parent_span_id.map(|id| id.to_string())
        );
    }
    assert_eq!(bench.picture(), "hermes.turn\n  hermes.tool.t\n");
}
