//! Waiting for somebody's leave is no work: it is in no duration and no count, and its outcome stands with the tool.

use std::time::Duration;

use hermes::{ContentCapture, RecordedSpan};

use crate::support::Bench;
use crate::support::collector::Collector;

/// Longer than anything else that happens here takes.
const WAIT: Duration = Duration::from_millis(400);

#[hermes::session(id = "s")]
fn session<T>(body: impl FnOnce() -> T) -> T {
    body()
}

#[hermes::turn]
fn turn<T>(body: impl FnOnce() -> T) -> T {
    body()
}

#[hermes::tool]
fn shell(decision: &str) {
    may_run("rm -rf /", decision);
}

#[hermes::tool]
fn harmless() {
    hermes::current().approval("not_needed");
}

#[hermes::approval(subject = "shell", surface = "terminal", request = command)]
fn may_run(command: &str, decision: &str) -> bool {
    std::thread::sleep(WAIT);
    hermes::current().approval(decision);
    !command.is_empty()
}

#[hermes::approval]
async fn nobody_answers() {
    std::future::pending::<()>().await;
}

fn int(span: &RecordedSpan, name: &str) -> i64 {
    span.attributes[name].as_i64().unwrap()
}

#[test]
fn the_time_is_in_no_duration_and_the_decision_stands_with_the_tool() {
    let collector = Collector::start();
    let bench = Bench::with(|builder| builder.otlp_endpoint(collector.endpoint()));
    bench.run(|| {
        session(|| {
            turn(|| {
                shell("denied");
                harmless();
            });
        });
    });
    assert_eq!(
        bench.picture(),
        "hermes.session\n  hermes.turn\n    hermes.tool.shell\n      hermes.approval\n    \
         hermes.tool.harmless\n"
    );
    let run = &bench.runs()[0];
    assert_eq!((run.tool_call_count, run.model_call_count), (2, 0));
    let calls = bench
        .telemetry
        .store()
        .unwrap()
        .tool_calls(run.run_id)
        .unwrap();
    let waited = i64::try_from(WAIT.as_millis()).unwrap();
    assert_eq!(calls[0].approval.as_deref(), Some("denied"));
    assert_eq!(calls[1].approval.as_deref(), Some("not_needed"));
    assert!(calls[0].wait_ms.unwrap() >= waited, "{calls:#?}");
    assert_eq!(calls[1].wait_ms, None);
    let (tool, turn) = (bench.span("hermes.tool.shell"), bench.span("hermes.turn"));
    assert!(
        tool.duration_ns().unwrap() >= waited * 1_000_000,
        "the span is as long as it was"
    );
    assert!(calls[0].duration_ms.unwrap() < waited);
    assert_eq!(
        calls[0].duration_ms,
        Some(int(&tool, "hermes.tool.duration_ms"))
    );
    assert!(turn.attributes["hermes.turn.duration_s"].as_f64().unwrap() < WAIT.as_secs_f64());
    assert!(int(&turn, "hermes.wait_ms") >= waited);
    assert_eq!(int(&turn, "hermes.turn.tool_call_count"), 2);
    let approval = bench.span("hermes.approval");
    assert_eq!(
        (approval.kind.as_str(), approval.otel_kind.as_str()),
        ("CHAIN", "INTERNAL")
    );
    for (name, value) in [
        ("decision", "denied"),
        ("subject", "shell"),
        ("surface", "terminal"),
    ] {
        assert_eq!(
            approval.attributes[&format!("hermes.approval.{name}")],
            value
        );
    }
    assert!(
        !approval.attributes.contains_key("hermes.approval.request"),
        "content"
    );
    let sent = collector.wait_for(5, crate::support::SOON);
    let sent = sent
        .iter()
        .find(|span| span.name == "hermes.approval")
        .unwrap();
    assert_eq!(sent.kind, "INTERNAL");
    assert_eq!(sent.attributes["hermes.approval.decision"], "denied");
}

#[test]
fn what_was_asked_is_content() {
    let bench = Bench::with(|builder| builder.capture_content(ContentCapture::Local));
    bench.run(|| shell("approved"));
    let approval = bench.span("hermes.approval");
    assert_eq!(approval.attributes["hermes.approval.request"], "rm -rf /");
}

#[test]
fn an_answer_that_nobody_waits_for_any_more_is_cancelled() {
    let bench = Bench::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    bench.run(|| {
        runtime.block_on(async {
            let mut waiting = Box::pin(nobody_answers());
            std::future::poll_fn(|context| {
                use std::future::Future;
                assert!(waiting.as_mut().poll(context).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
        });
    });
    assert_eq!(
        bench.span("hermes.approval").status,
        hermes::Status::Cancelled
    );
    assert_eq!(bench.runs()[0].error_count, 0, "nothing failed");
}
