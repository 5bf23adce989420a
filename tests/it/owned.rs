//! Spans that are started in one callback and ended in another.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hermes::{EndReason, OwnedSpan, Status, Usage};
use serde_json::json;

use crate::support::collector::Collector;
use crate::support::{Bench, SOON};

/// A session as a framework's hooks would tell of it.
fn session() {
    let session = hermes::session("s-1")
        .model("gpt-4o")
        .platform("telegram")
        .agent("helper")
        .start();
    let turn = session.turn().user_message("what is in a.txt?").start();
    let chat = turn
        .chat("gpt-4o")
        .provider("openai")
        .base_url("https://key@api.example.com/v1?secret=1")
        .request(json!({"messages": [{"role": "user", "content": "hi"}], "temperature": 0.5}))
        .start();
    chat.first_chunk();
    chat.usage(Usage {
        input_tokens: 100,
        output_tokens: 20,
        ..Usage::default()
    })
    .response_model("gpt-4o-2024-08-06")
    .response_id("chatcmpl-1")
    .finish_reason("tool_calls")
    .cost_usd(0.5)
    .end();
    let tool = turn
        .tool("read_file")
        .call_id("call_1")
        .args(json!({"path": "a.txt"}))
        .start();
    tool.output("three lines").end();
    turn.output("three lines of text").end();
    let agent = session.agent("researcher").start();
    agent.embedding("embed-1").dimensions(512).start().end();
    agent.retriever("handbook").top_k(5).start().end();
    agent.reranker("rerank-1").top_k(3).start().end();
    agent.step("load_memory").start().end();
    agent.end();
    session.end();
}

const PICTURE: &str = "\
hermes.session
  hermes.turn
    chat gpt-4o
    hermes.tool.read_file
  invoke_agent researcher
    embeddings embed-1
    retrieval handbook
    rerank rerank-1
    load_memory
";

#[test]
fn a_session_of_held_spans_is_one_run_with_its_facts() {
    let collector = Collector::start();
    let bench = Bench::with(|builder| builder.otlp_endpoint(collector.endpoint()));
    bench.run(session);
    assert_eq!(bench.picture(), PICTURE);
    let run = &bench.runs()[0];
    assert_eq!(run.session_id.as_deref(), Some("s-1"));
    assert_eq!(run.entrypoint.as_deref(), Some("gateway"));
    assert_eq!((run.model_call_count, run.tool_call_count), (1, 1));

    let chat = bench.span("chat gpt-4o").attributes;
    assert_eq!(chat["gen_ai.provider.name"], "openai");
    assert_eq!(chat["server.address"], "api.example.com");
    assert_eq!(chat["server.port"], 443);
    assert_eq!(chat["hermes.message_count"], 1);
    assert_eq!(chat["gen_ai.request.temperature"], 0.5);
    assert_eq!(chat["gen_ai.usage.input_tokens"], 100);
    assert_eq!(chat["gen_ai.response.model"], "gpt-4o-2024-08-06");
    assert_eq!(
        chat["gen_ai.response.finish_reasons"],
        json!(["tool_calls"])
    );
    assert!(chat["gen_ai.response.time_to_first_chunk"].as_f64() > Some(0.0));
    assert!(!json!(chat).to_string().contains("secret"));
    let turn = bench.span("hermes.turn").attributes;
    assert_eq!(turn["hermes.turn.input_tokens"], 100);
    assert_eq!(turn["hermes.turn.cost_usd"], 0.5);
    assert_eq!(turn["hermes.platform"], "telegram");
    assert!(!turn.contains_key("hermes.turn.user_message"));
    let tool = bench.span("hermes.tool.read_file").attributes;
    assert_eq!(tool["gen_ai.tool.call.id"], "call_1");
    assert_eq!(tool["gen_ai.agent.name"], "helper");

    let stored = bench.all_spans();
    let sent = collector.wait_for(stored.len(), SOON);
    assert_eq!(sent.len(), stored.len());
    for sent in sent {
        let is_it = |span: &&hermes::RecordedSpan| span.span_id.to_string() == sent.span_id;
        let span = stored.iter().find(is_it).unwrap();
        assert_eq!(sent.trace_id, span.trace_id.to_string());
        assert_eq!(
            sent.parent_span_id,
            span.parent_span_id.map(|id| id.to_string())
        );
        assert_eq!(i128::from(sent.start_ns), i128::from(span.start_ns));
        assert_eq!(i128::from(sent.end_ns), i128::from(span.end_ns.unwrap()));
    }
}

#[test]
fn content_is_kept_where_it_is_wanted() {
    let bench = Bench::with(|builder| builder.capture_content(hermes::ContentCapture::On));
    bench.run(session);
    let turn = bench.span("hermes.turn").attributes;
    assert_eq!(turn["hermes.turn.user_message"], "what is in a.txt?");
    assert_eq!(
        turn["hermes.turn.assistant_response"],
        "three lines of text"
    );
    let tool = bench.span("hermes.tool.read_file").attributes;
    assert_eq!(tool["hermes.tool.args"], r#"{"path":"a.txt"}"#);
    assert_eq!(tool["hermes.tool.result"], "three lines");
}

#[test]
fn the_ids_are_known_from_the_start() {
    let collector = Collector::start();
    let bench = Bench::with(|builder| builder.otlp_endpoint(collector.endpoint()));
    let told = bench.run(|| {
        let session = hermes::session("s").start();
        let chat = session.chat("m").start();
        let told = (chat.trace_id().unwrap(), chat.span_id().unwrap());
        assert_eq!(session.trace_id(), Some(told.0));
        assert_eq!(session.run_id(), chat.run_id());
        chat.end();
        session.end();
        told
    });
    let sent = collector.wait_for(2, SOON);
    let chat = sent.iter().find(|span| span.name == "chat m").unwrap();
    assert_eq!(chat.trace_id, told.0.to_string());
    assert_eq!(chat.span_id, told.1.to_string());
    assert_eq!(bench.span("chat m").span_id, told.1);
}

#[test]
fn an_end_is_an_end_whoever_still_holds_the_handle() {
    let collector = Collector::start();
    let bench = Bench::with(|builder| builder.otlp_endpoint(collector.endpoint()));
    tracing::dispatcher::with_default(&bench.dispatch, || {
        let session = hermes::session("s").start();
        let late = session.tool("late").start();
        let clone = session.span().clone();
        session.end();
        bench.telemetry.flush(SOON).unwrap();
        let stored = bench.span("hermes.session");
        assert_eq!(stored.status, Status::Ok);
        assert_eq!(collector.wait_for(1, SOON).len(), 1);
        // What is said now is not heard, and spans are still placed.
        session.end_reason(EndReason::Failed).fail("too late");
        let after = session.tool("after").start();
        assert_eq!(after.run_id(), session.run_id());
        after.end();
        late.end();
        drop((session, clone));
    });
    bench.telemetry.flush(SOON).unwrap();
    assert_eq!(bench.runs().len(), 1);
    assert_eq!(
        bench.picture(),
        "hermes.session\n  hermes.tool.late\n  hermes.tool.after\n"
    );
    let stored = bench.span("hermes.session");
    assert_eq!(stored.attributes["hermes.session.end_reason"], "completed");
    assert_eq!(collector.wait_for(3, SOON).len(), 3);
    assert_eq!(bench.telemetry.stats().captured, 3);
}

#[test]
fn spans_that_nobody_ends_say_so() {
    let bench = Bench::new();
    bench.run(|| {
        let session = hermes::session("s").start();
        let turn = session.turn().start();
        drop(turn.chat("dropped").start());
        drop(turn.tool("dropped").start());
        let failed = turn.chat("failed").start();
        failed.error(("RateLimitError", "slow down"));
        drop(failed);
        turn.tool("given_up").start().cancel();
        turn.tool("failed").start().fail("no such file");
        drop(turn);
        drop(session);
    });
    let expected = "\
hermes.session [interrupted]
  hermes.turn [cancelled] ✗ cancelled
    chat dropped [cancelled] ✗ cancelled
    hermes.tool.dropped [cancelled] ✗ cancelled
    chat failed [error] ✗ rate_limit
    hermes.tool.given_up [cancelled] ✗ cancelled
    hermes.tool.failed [error] ✗ error
";
    assert_eq!(bench.picture(), expected);
    let session = bench.span("hermes.session").attributes;
    assert_eq!(session["hermes.session.end_reason"], "interrupted");
    assert_eq!(session["hermes.session.interrupted"], true);
}

#[test]
fn a_panic_is_told_from_a_drop() {
    let bench = Bench::new();
    bench.run(|| {
        let session = hermes::session("s").start();
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _tool = session.tool("t").start();
            panic!("oh");
        }));
        assert!(caught.is_err());
        session.end();
    });
    let tool = bench.span("hermes.tool.t");
    assert_eq!(tool.status, Status::Error);
    assert_eq!(tool.error_type.as_deref(), Some("panic"));
    assert_eq!(bench.span("hermes.session").status, Status::Ok);
}

#[test]
fn failures_are_named_as_those_of_annotated_functions() {
    #[derive(Debug)]
    struct Broken;
    impl std::fmt::Display for Broken {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("it broke")
        }
    }
    impl std::error::Error for Broken {}
    let bench = Bench::new();
    bench.run(|| {
        hermes::chat("own").start().fail(&Broken);
        let erased: Box<dyn std::error::Error> = Box::new(std::io::Error::other("closed"));
        hermes::chat("erased").start().fail(&*erased);
        let sent: Box<dyn std::error::Error + Send + Sync> = "a text".into();
        hermes::chat("text").start().fail(&*sent);
        let chat = hermes::chat("stated").start();
        chat.error_class("auth").fail(&Broken);
        let tool = hermes::tool("t").start();
        tool.output(r#"{"error": "no such file"}"#).end();
    });
    let error_type = |name| bench.span(name).error_type.unwrap();
    assert!(error_type("chat own").ends_with("::Broken"));
    assert_eq!(
        bench.span("chat own").status_message.as_deref(),
        Some("it broke")
    );
    assert_eq!(error_type("chat erased"), "std::io::error::Error");
    assert_eq!(error_type("chat text"), "_OTHER");
    assert_eq!(error_type("chat stated"), "auth");
    assert_eq!(bench.span("hermes.tool.t").status, Status::Error);
}

#[test]
fn stated_times_hold_in_the_store_and_on_otlp() {
    let collector = Collector::start();
    let bench = Bench::with(|builder| builder.otlp_endpoint(collector.endpoint()));
    // An hour ago: retention takes what is much older.
    let today = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let start = UNIX_EPOCH + Duration::from_secs(today.as_secs() - 3600);
    let end = start + Duration::from_millis(1500);
    bench.run(|| {
        let session = hermes::session("s").start_at(start).start();
        let tool = session.tool("t").start_at(start).start();
        tool.end_at(end).end();
        // An end before the start is the start.
        let odd = session.tool("odd").start_at(end).start();
        odd.end_at(start).end();
        let now = session.tool("now").start();
        now.end();
        session.end_at(end).end();
    });
    let tool = bench.span("hermes.tool.t");
    let start_ns = i64::try_from(today.as_secs() - 3600).unwrap() * 1_000_000_000;
    assert_eq!(tool.start_ns, start_ns);
    assert_eq!(tool.end_ns, Some(start_ns + 1_500_000_000));
    assert_eq!(tool.attributes["hermes.tool.duration_ms"], 1500);
    let odd = bench.span("hermes.tool.odd");
    assert_eq!(odd.end_ns, Some(odd.start_ns));
    assert!(bench.span("hermes.tool.now").start_ns > start_ns + 3_000_000_000_000);
    let run = &bench.runs()[0];
    assert_eq!(run.end_ns.unwrap() - run.start_ns, 1_500_000_000);
    for sent in collector.wait_for(4, SOON) {
        let stored = bench.span(&sent.name);
        assert_eq!(i128::from(sent.start_ns), i128::from(stored.start_ns));
        assert_eq!(i128::from(sent.end_ns), i128::from(stored.end_ns.unwrap()));
    }
}

#[test]
fn what_runs_inside_becomes_a_child() {
    #[hermes::tool]
    fn search() {
        hermes::current().record("hermes.tool.backend", "web");
    }
    #[hermes::chat(model = "m")]
    async fn complete() {
        tokio::task::yield_now().await;
        // The free functions take the current span as their parent.
        hermes::step("inner").start().end();
    }
    let bench = Bench::new();
    bench.run(|| {
        let turn = hermes::turn().start();
        turn.in_scope(search);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(turn.instrument(complete()));
        turn.in_scope(|| hermes::tool("beside").parent(turn.span()).start().end());
        turn.end();
    });
    let expected = "\
hermes.turn
  hermes.tool.search
  chat m
    inner
  hermes.tool.beside
";
    assert_eq!(bench.picture(), expected);
}

#[test]
fn a_handle_goes_from_thread_to_thread() {
    fn is_shared<T: Send + Sync + 'static>(value: T) -> T {
        value
    }
    let bench = Bench::new();
    bench.run(|| {
        let session: Arc<OwnedSpan> = Arc::new(is_shared(hermes::session("s").start()));
        let turn = Arc::new(session.turn().start());
        let threads: Vec<_> = (0..4)
            .map(|number| {
                let turn = Arc::clone(&turn);
                // No subscriber is set on these threads.
                thread::spawn(move || {
                    let tool = turn.tool(format!("t{number}")).start();
                    tool.output("done");
                    tool.end();
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        let ended = Arc::clone(&turn);
        thread::spawn(move || ended.end()).join().unwrap();
        session.end();
    });
    let turn = bench.span("hermes.turn");
    assert_eq!(turn.attributes["hermes.turn.tool_call_count"], 4);
    let tools = bench.all_spans();
    let tools = tools.iter().filter(|span| span.span_name == "hermes.tool");
    assert!(
        tools
            .clone()
            .all(|tool| tool.parent_span_id == Some(turn.span_id))
    );
    assert_eq!(tools.count(), 4);
}

#[test]
fn without_a_layer_nothing_happens() {
    session();
    let chat = hermes::chat("m").start();
    assert_eq!(
        (chat.trace_id(), chat.span_id(), chat.kind()),
        (None, None, None)
    );
    chat.usage(Usage::default()).fail("nobody hears it");
}

#[test]
fn children_of_a_span_that_is_left_out_hang_under_what_is_around_it() {
    let bench = Bench::with(|builder| builder.capture_filter("info,hermes.turn=off"));
    bench.run(|| {
        let session = hermes::session("s").start();
        let turn = session.turn().start();
        turn.tool("t").start().end();
        turn.end();
        session.end();
    });
    assert_eq!(bench.picture(), "hermes.session\n  hermes.tool.t\n");
}
