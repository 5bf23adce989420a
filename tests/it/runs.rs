//! Which run a span belongs to, what a turn and a session sum up, and what reaches which span late.

use hermes::{EndReason, Usage};

use crate::support::Bench;

#[hermes::session(id = id)]
fn session<T>(id: &str, body: impl FnOnce() -> T) -> T {
    body()
}

#[hermes::turn]
fn turn<T>(body: impl FnOnce() -> T) -> T {
    body()
}

#[hermes::agent(name = "helper")]
fn agent<T>(body: impl FnOnce() -> T) -> T {
    body()
}

#[hermes::instrument]
fn step<T>(body: impl FnOnce() -> T) -> T {
    body()
}

#[hermes::chat(model = "m")]
fn chat(tokens: i64) {
    step(|| {
        // Stated in a step inside the call, it lands on the call.
        hermes::current()
            .usage(Usage {
                input_tokens: tokens,
                output_tokens: 1,
                ..Usage::default()
            })
            .response_id("r");
    });
}

#[hermes::tool]
fn work() {}

#[test]
fn two_sessions_in_one_trace_are_two_runs() {
    let bench = Bench::new();
    bench.run(|| {
        let root = tracing::info_span!("hermes.step", code.function.name = "request");
        let _entered = root.entered();
        session("a", work);
        session("b", || session("inner", work));
    });
    let runs = bench.runs();
    let sessions: Vec<_> = runs.iter().map(|run| run.session_id.as_deref()).collect();
    assert_eq!(runs.len(), 3, "the request is a run of its own: {runs:#?}");
    assert!(sessions.contains(&Some("a")) && sessions.contains(&Some("b")));
    assert!(runs.iter().all(|run| run.trace_id == runs[0].trace_id));
    let b = runs
        .iter()
        .find(|run| run.session_id.as_deref() == Some("b"))
        .unwrap();
    assert_eq!(
        b.tool_call_count, 1,
        "a session inside a session is part of its run"
    );
}

#[test]
fn a_session_under_a_foreign_root_is_a_run() {
    let bench = Bench::new();
    bench.run(|| {
        let _http = tracing::info_span!("http.request").entered();
        session("a", work);
    });
    let run = &bench.runs()[0];
    assert_eq!(run.session_id.as_deref(), Some("a"));
    assert_eq!(
        bench.span("hermes.session").parent_span_id,
        None,
        "others' spans are not stored"
    );
}

#[test]
fn with_capture_all_others_spans_are_steps() {
    let bench = Bench::with(|builder| builder.capture_all(true));
    bench.run(|| {
        let _http = tracing::info_span!("http.request").entered();
        session("a", work);
    });
    assert_eq!(
        bench.picture(),
        "http.request\n  hermes.session\n    hermes.tool.work\n"
    );
}

#[test]
fn spans_outside_any_session_belong_to_their_outermost_span() {
    let bench = Bench::new();
    bench.run(|| {
        turn(|| chat(1));
        turn(|| chat(2));
    });
    let runs = bench.runs();
    assert_eq!(runs.len(), 2);
    assert_ne!(runs[0].trace_id, runs[1].trace_id);
    assert!(
        runs.iter()
            .all(|run| run.session_id.is_none() && run.model_call_count == 1)
    );
}

#[test]
fn a_turn_sums_up_what_is_below_it_and_not_below_another_turn() {
    let bench = Bench::new();
    bench.run(|| {
        session("a", || {
            turn(|| {
                chat(100);
                step(work);
                agent(|| {
                    turn(|| chat(1000));
                });
            });
            turn(|| {});
        });
    });
    let turns: Vec<_> = bench
        .spans()
        .into_iter()
        .filter(|span| span.span_name == "hermes.turn")
        .collect();
    let outer = &turns[0].attributes;
    assert_eq!(outer["hermes.turn.api_call_count"], 1);
    assert_eq!(outer["hermes.turn.tool_call_count"], 1);
    assert_eq!(outer["hermes.turn.input_tokens"], 100);
    assert_eq!(outer["hermes.turn.index"], 1);
    assert_eq!(outer["hermes.is_first_turn"], true);
    assert!(
        !outer.contains_key("hermes.turn.cost_usd"),
        "an unknown cost is not zero"
    );
    let last = &turns[2].attributes;
    assert_eq!(last["hermes.turn.index"], 2);
    assert_eq!(last["hermes.is_first_turn"], false);
    assert_eq!(
        bench.span("hermes.session").attributes["hermes.session.total_turns"],
        2
    );
    let run = &bench.runs()[0];
    assert_eq!((run.model_call_count, run.tool_call_count), (2, 1));
    assert_eq!(run.estimated_cost_usd, None);
    assert_eq!(run.cost_status.as_deref(), Some("unknown"));
    assert_eq!(run.input_tokens, 1100);
}

#[test]
fn late_values_reach_the_span_they_are_about() {
    #[hermes::turn]
    fn late() {
        late_tool();
        hermes::current()
            .end_reason("max_iterations")
            .record("order.id", "o-1");
    }
    #[hermes::tool]
    fn late_tool() {
        hermes::current().result_class("blocked");
        // Nothing here takes usage: no call is around it.
        hermes::current().usage(Usage {
            input_tokens: 9,
            ..Usage::default()
        });
    }
    let bench = Bench::new();
    bench.run(|| session("a", late));
    assert_eq!(bench.runs()[0].end_reason, Some(EndReason::MaxIterations));
    let tool = bench.span("hermes.tool.late_tool");
    assert_eq!(tool.error_type.as_deref(), Some("blocked"));
    assert!(!tool.attributes.contains_key("gen_ai.usage.input_tokens"));
    assert!(
        !bench
            .span("hermes.turn")
            .attributes
            .contains_key("order.id"),
        "an unknown field is content, and content is off"
    );
}

#[test]
fn plain_tracing_spans_and_records_work_as_well() {
    let bench = Bench::new();
    bench.run(|| {
        let session = tracing::info_span!("hermes.session", hermes.session.id = "plain").entered();
        let chat = tracing::info_span!(
            "chat",
            gen_ai.request.model = "gpt-9",
            gen_ai.usage.input_tokens = tracing::field::Empty,
            gen_ai.usage.output_tokens = tracing::field::Empty,
        );
        chat.record("gen_ai.usage.input_tokens", 7_u64);
        chat.record("gen_ai.usage.input_tokens", 8_u64);
        chat.record("gen_ai.usage.output_tokens", "9");
        drop(chat);
        tracing::info_span!("hermes.tool.grep").in_scope(|| {});
        drop(session);
    });
    assert_eq!(
        bench.picture(),
        "hermes.session\n  chat gpt-9\n  hermes.tool.grep\n"
    );
    let chat = bench.span("chat gpt-9");
    assert_eq!(
        chat.attributes["gen_ai.usage.input_tokens"], 8,
        "said again, it replaces"
    );
    assert_eq!(chat.attributes["gen_ai.usage.output_tokens"], 9);
    assert_eq!(bench.runs()[0].end_reason, Some(EndReason::Completed));
}

#[test]
fn without_a_layer_everything_is_a_no_op() {
    session("a", || turn(|| chat(1)));
    hermes::current()
        .usage(Usage::default())
        .cost_usd(1.0)
        .end_reason("failed");
}

#[test]
fn events_inside_a_span_become_its_events() {
    let bench = Bench::new();
    bench.run(|| {
        session("a", || {
            tracing::info!(count = 3, "cache missed");
            tracing::info!(target: "some_http_client", "POST body: {{\"prompt\":\"secret plan\"}}");
            tracing::debug!("too fine");
        });
    });
    let span = bench.span("hermes.session");
    let names: Vec<_> = span
        .events
        .iter()
        .map(|event| event.name.as_str())
        .collect();
    assert_eq!(
        names,
        ["cache missed", "event"],
        "what others log may be content"
    );
    assert_eq!(span.events[0].attributes["level"], "INFO");
}

#[test]
fn an_interrupted_session_has_not_failed() {
    #[hermes::turn]
    fn stop() {
        hermes::current().end_reason(EndReason::Interrupted);
    }
    let collector = crate::support::collector::Collector::start();
    let bench = Bench::with(|builder| builder.otlp_endpoint(collector.endpoint()));
    bench.run(|| session("a", stop));
    let span = bench.span("hermes.session");
    assert_eq!(span.status, hermes::Status::Interrupted);
    assert_eq!(span.attributes["hermes.session.interrupted"], true);
    assert_eq!(span.attributes["hermes.session.completed"], false);
    let sent = collector.wait_for(2, crate::support::SOON);
    assert!(sent.iter().all(|span| span.status_code == "UNSET"));
}

#[test]
fn two_layers_in_one_registry_do_not_break_the_agent() {
    use tracing_subscriber::layer::SubscriberExt;
    let folder = tempfile::tempdir().unwrap();
    let path = |name| folder.path().join(name);
    let (first, telemetry) = hermes::builder().store_path(path("a.db")).build().unwrap();
    let (second, other) = hermes::builder().store_path(path("b.db")).build().unwrap();
    let subscriber = tracing_subscriber::registry().with(first).with(second);
    tracing::subscriber::with_default(subscriber, || session("a", work));
    for telemetry in [telemetry, other] {
        let _ = telemetry.flush(crate::support::SOON);
    }
}
