//! A tool that fails, a call that returns `Err`, a dropped future, a panic: status, class and counts.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use hermes::{ErrorClass, Status};
use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt;

use crate::support::collector::Collector;
use crate::support::log::Log;
use crate::support::{Bench, SOON};

#[derive(Debug)]
struct ApiError {
    text: &'static str,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl Error for ApiError {}

#[hermes::session(id = "s")]
fn session<T>(body: impl FnOnce() -> T) -> T {
    body()
}

#[hermes::turn]
fn turn<T>(body: impl FnOnce() -> T) -> T {
    body()
}

#[hermes::chat(model = "gpt-4o", provider = "openai")]
fn chat(text: &'static str) -> Result<(), ApiError> {
    if text.is_empty() {
        Ok(())
    } else {
        Err(ApiError { text })
    }
}

#[hermes::tool(name = "probe")]
fn tool<T>(result: T) -> T {
    result
}

#[hermes::tool(name = "text")]
fn text_tool(result: &str) -> Result<String, ApiError> {
    Ok(result.to_owned())
}

#[hermes::tool(name = "json")]
fn json_tool(result: Value) -> Value {
    result
}

#[test]
fn a_call_that_returns_err_is_an_error_with_its_class() {
    let bench = Bench::new();
    bench.run(|| session(|| turn(|| chat("HTTP 429: too many requests").unwrap_err())));

    let chat = bench.span("chat gpt-4o");
    assert_eq!(chat.status, Status::Error);
    assert_eq!(chat.error_type.as_deref(), Some("rate_limit"));
    assert_eq!(chat.error_class, Some(ErrorClass::RateLimit));
    assert_eq!(
        chat.status_message.as_deref(),
        Some("HTTP 429: too many requests")
    );
    assert_eq!(chat.events.len(), 1);
    assert_eq!(chat.events[0].name, "exception");
    let run = &bench.runs()[0];
    assert_eq!(
        (run.model_call_count, run.error_count),
        (1, 1),
        "a failed call is a call"
    );
    assert_eq!(
        bench.sql::<String>("SELECT end_reason FROM tel_model_calls"),
        "failed"
    );
    assert_eq!(
        bench.sql::<String>(
            "SELECT error_class || ' ' || subsystem || ' ' || recovery FROM tel_error_events"
        ),
        "rate_limit model_api none"
    );
    let turn = bench.span("hermes.turn");
    assert_eq!(turn.status, Status::Ok, "the turn handled it");
    assert_eq!(turn.attributes["hermes.turn.api_call_count"], 1);
}

#[test]
fn an_error_of_no_class_goes_by_its_type() {
    let bench = Bench::new();
    bench.run(|| session(|| chat("the cat sat on it").unwrap_err()));
    let error_type = bench.span("chat gpt-4o").error_type.unwrap();
    assert_eq!(error_type, std::any::type_name::<ApiError>());
}

#[test]
fn an_erased_error_goes_by_its_innermost_known_source() {
    #[hermes::turn]
    fn read() -> Result<(), Box<dyn Error + Send + Sync>> {
        Err("x".parse::<u8>()?.to_string().into())
    }
    #[hermes::turn]
    fn odd() -> Result<(), Box<dyn Error>> {
        Err(Box::new(ApiError { text: "odd" }))
    }
    let bench = Bench::new();
    bench.run(|| {
        session(|| {
            read().unwrap_err();
            odd().unwrap_err();
        });
    });
    let types: Vec<_> = bench
        .spans()
        .iter()
        .filter_map(|span| span.error_type.clone())
        .collect();
    assert_eq!(
        types,
        [std::any::type_name::<std::num::ParseIntError>(), "_OTHER"]
    );
}

#[test]
fn what_the_code_states_beats_what_is_found() {
    #[hermes::chat(model = "m")]
    fn stated() -> Result<(), ApiError> {
        hermes::current().error_class("context_overflow");
        Err(ApiError { text: "HTTP 429" })
    }
    let bench = Bench::new();
    bench.run(|| session(|| stated().unwrap_err()));
    assert_eq!(
        bench.span("chat m").error_type.as_deref(),
        Some("context_overflow")
    );
}

#[test]
fn a_call_tried_again_marks_the_failed_one_as_retried() {
    let bench = Bench::new();
    bench.run(|| {
        session(|| {
            turn(|| {
                chat("HTTP 503").unwrap_err();
                chat("").unwrap();
            });
        });
    });
    assert_eq!(
        bench.sql::<String>("SELECT recovery FROM tel_error_events"),
        "retried"
    );
}

#[test]
fn a_tools_result_tells_whether_it_failed() {
    let cases: [(Value, &str, Option<&str>); 12] = [
        (json!({ "matches": 3 }), "ok", None),
        (json!({ "error": null, "data": 1 }), "ok", None),
        (json!({ "error": "no such file" }), "error", Some("error")),
        (json!({ "success": false }), "error", Some("error")),
        (json!({ "success": true }), "ok", None),
        (
            json!({ "isError": true, "content": [] }),
            "error",
            Some("error"),
        ),
        (
            json!({ "exit_code": 2, "stderr": "x" }),
            "error",
            Some("error"),
        ),
        (json!({ "exit_code": 0 }), "ok", None),
        (json!({ "returncode": 1 }), "error", Some("error")),
        (json!({ "blocked": true }), "blocked", Some("blocked")),
        (json!({ "timeout": true }), "timeout", Some("timeout")),
        (json!({ "status": "timeout" }), "timeout", Some("timeout")),
    ];
    for (result, class, error_type) in cases {
        for as_text in [false, true] {
            let bench = Bench::new();
            let shown = result.to_string();
            bench.run(|| {
                session(|| {
                    if as_text {
                        text_tool(&shown).unwrap();
                    } else {
                        json_tool(result.clone());
                    }
                });
            });
            let span = bench.span(if as_text {
                "hermes.tool.text"
            } else {
                "hermes.tool.json"
            });
            assert_eq!(
                span.attributes["hermes.tool.result_class"], class,
                "{shown}"
            );
            assert_eq!(span.error_type.as_deref(), error_type, "{shown}");
            assert_eq!(
                span.status == Status::Error,
                error_type.is_some(),
                "{shown}"
            );
            assert_eq!(
                bench.runs()[0].error_count,
                i64::from(error_type.is_some()),
                "{shown}"
            );
        }
    }
}

#[test]
fn a_text_that_begins_with_error_is_one() {
    let bench = Bench::new();
    bench.run(|| {
        session(|| {
            text_tool("Error: no such file").unwrap();
            tool(5_u8);
        });
    });
    assert_eq!(bench.span("hermes.tool.text").status, Status::Error);
    assert_eq!(bench.span("hermes.tool.probe").status, Status::Ok);
}

#[test]
fn a_tool_that_times_out_has_that_class() {
    #[hermes::tool]
    fn wait() -> std::io::Result<()> {
        Err(std::io::Error::new(
            std::io::ErrorKind::TimedOut,
            "timed out after 30 s",
        ))
    }
    let bench = Bench::new();
    bench.run(|| session(|| wait().unwrap_err()));
    let span = bench.span("hermes.tool.wait");
    assert_eq!(span.error_type.as_deref(), Some("timeout"));
    assert_eq!(
        bench.sql::<String>("SELECT result_class FROM tel_tool_calls"),
        "timeout"
    );
}

#[test]
fn a_dropped_future_is_cancelled() {
    #[hermes::session(id = "s")]
    async fn session() {
        turn().await;
    }
    #[hermes::turn]
    async fn turn() {
        call().await;
    }
    #[hermes::chat(model = "m")]
    async fn call() {
        std::future::pending::<()>().await;
    }

    let collector = Collector::start();
    let bench = Bench::with(|builder| builder.otlp_endpoint(collector.endpoint()));
    bench.run(|| {
        let mut future = pin!(session());
        let polled = future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()));
        assert_eq!(polled, Poll::Pending);
        // `pin!` drops it at the end of the scope.
    });

    assert_eq!(
        bench.picture(),
        "hermes.session [cancelled] ✗ cancelled\n  hermes.turn [cancelled] ✗ cancelled\n    \
         chat m [cancelled] ✗ cancelled\n"
    );
    assert_eq!(
        bench.span("hermes.turn").attributes["hermes.turn.final_status"],
        "cancelled"
    );
    let session = bench.span("hermes.session");
    assert_eq!(
        session.attributes["hermes.session.end_reason"],
        "interrupted"
    );
    assert_eq!(session.attributes["hermes.session.interrupted"], true);
    assert_eq!(
        bench.sql::<String>("SELECT end_reason FROM tel_model_calls"),
        "cancelled"
    );
    assert_eq!(
        bench.sql::<String>("SELECT error_class FROM tel_error_events"),
        "cancelled"
    );
    for span in collector.wait_for(3, SOON) {
        assert_eq!(span.status_code, "ERROR", "{}", span.name);
        assert_eq!(span.attributes["error.type"], "cancelled");
    }
}

#[test]
fn a_panic_is_recorded_and_goes_on() {
    #[hermes::tool]
    fn fragile() {
        panic!("the disk is gone");
    }
    #[hermes::turn]
    async fn fragile_turn() {
        panic!("the turn too");
    }
    let collector = Collector::start();
    let bench = Bench::with(|builder| builder.otlp_endpoint(collector.endpoint()));
    let payload = bench.run(|| {
        session(|| {
            let payload = catch_unwind(fragile).unwrap_err();
            let mut future = pin!(fragile_turn());
            let poll = || {
                future
                    .as_mut()
                    .poll(&mut Context::from_waker(Waker::noop()))
            };
            catch_unwind(AssertUnwindSafe(poll)).unwrap_err();
            payload
        })
    });
    assert_eq!(payload.downcast_ref::<&str>(), Some(&"the disk is gone"));
    let span = bench.span("hermes.tool.fragile");
    assert_eq!(span.status, Status::Error);
    assert_eq!(span.error_type.as_deref(), Some("panic"));
    assert_eq!(span.status_message.as_deref(), Some("the disk is gone"));
    assert_eq!(
        bench.span("hermes.turn").attributes["hermes.turn.final_status"],
        "failed"
    );
    let sent = collector.wait_for(3, SOON);
    let tool = sent
        .iter()
        .find(|span| span.name == "hermes.tool.fragile")
        .unwrap();
    assert_eq!(
        (tool.status_code.as_str(), tool.status_message.as_str()),
        ("ERROR", "the disk is gone")
    );
    let (name, attributes) = &tool.events[0];
    assert_eq!(name, "exception");
    assert_eq!(attributes["exception.type"], "panic");
    assert_eq!(attributes["exception.message"], "the disk is gone");
}

#[test]
fn error_texts_are_redacted_and_cut_and_can_be_left_out() {
    const TEXT: &str = "cannot reach https://ada:hunter22@host/v1 with sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEF";
    let long = TEXT.to_owned() + &" and so on".repeat(100);
    let text: &'static str = Box::leak(long.into_boxed_str());
    let bench = Bench::new();
    bench.run(|| session(|| chat(text).unwrap_err()));
    let message = bench.span("chat gpt-4o").status_message.unwrap();
    assert!(
        !message.contains("hunter22") && !message.contains("abcdefghijkl"),
        "{message}"
    );
    assert!(message.chars().count() <= 500);

    let silent = Bench::with(|builder| builder.capture_error_text(false));
    silent.run(|| session(|| chat(text).unwrap_err()));
    let span = silent.span("chat gpt-4o");
    assert_eq!(span.status_message, None);
    assert!(span.events.is_empty());
}

#[test]
fn other_layers_learn_of_a_failure_with_hermes_and_without() {
    let shown = |with_hermes: bool| {
        let log = Log::default();
        let folder = tempfile::tempdir().unwrap();
        let (layer, _telemetry) = hermes::builder()
            .store_path(folder.path().join("t.db"))
            .build()
            .unwrap();
        let subscriber = tracing_subscriber::registry()
            .with(with_hermes.then_some(layer))
            .with(log.layer());
        tracing::subscriber::with_default(subscriber, || {
            chat("HTTP 429: too many").unwrap_err();
            json_tool(json!({ "error": "no" }));
        });
        log.text()
    };
    let alone = shown(false);
    assert!(
        alone.contains("otel.status_code=\"ERROR\"") && alone.contains("ApiError"),
        "{alone}"
    );
    let beside = shown(true);
    assert!(beside.contains("error.type=\"rate_limit\""), "{beside}");
    assert!(beside.contains("error.type=\"error\""), "{beside}");
    assert!(
        !alone.contains("too many") && !beside.contains("too many"),
        "never the text: {beside}"
    );
}
