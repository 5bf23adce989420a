//! Streams that carry their span: how long it lives, what their items say, how they end.

use std::convert::Infallible;
use std::fmt::Write;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use futures_util::{FutureExt, Stream, StreamExt, stream};
use hermes::{ModelResponse, Seen, Status, TraceStreamExt, Usage};
use serde::Serialize;
use serde_json::{Value, json};

use crate::support::collector::Collector;
use crate::support::{Bench, SOON};

/// What an OpenAI-compatible provider streams.
fn chunks() -> Vec<Value> {
    let chunk = |delta: Value, reason: Value| {
        json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-4o-2024-08-06",
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
    };
    vec![
        chunk(json!({"role": "assistant", "content": "Hel"}), json!(null)),
        chunk(json!({"content": "lo"}), json!(null)),
        chunk(json!({}), json!("stop")),
        json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "gpt-4o-2024-08-06",
            "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}),
    ]
}

/// Polls a stream that never waits to its end.
fn drain<S: Stream>(stream: S) -> Vec<S::Item> {
    stream.collect::<Vec<_>>().now_or_never().unwrap()
}

fn poll<S: Stream + Unpin>(stream: &mut S) -> Poll<Option<S::Item>> {
    stream.poll_next_unpin(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn chunks_pass_untouched_and_tell_of_the_call() {
    let collector = Collector::start();
    let bench = Bench::with(|builder| builder.otlp_endpoint(collector.endpoint()));
    bench.run(|| {
        let chat = hermes::chat("gpt-4o").provider("openai");
        let traced = stream::iter(chunks()).traced(chat);
        assert_eq!(traced.size_hint(), (4, Some(4)));
        assert_eq!(drain(traced), chunks());
    });
    let chat = bench.span("chat gpt-4o");
    assert_eq!(chat.status, Status::Ok);
    let attributes = &chat.attributes;
    assert_eq!(attributes["hermes.chunk_count"], 4);
    assert_eq!(attributes["gen_ai.request.stream"], true);
    assert_eq!(attributes["gen_ai.usage.input_tokens"], 9);
    assert_eq!(attributes["gen_ai.usage.output_tokens"], 2);
    assert_eq!(attributes["gen_ai.response.model"], "gpt-4o-2024-08-06");
    assert_eq!(attributes["gen_ai.response.id"], "chatcmpl-1");
    assert_eq!(
        attributes["gen_ai.response.finish_reasons"],
        json!(["stop"])
    );
    assert_eq!(attributes["hermes.assistant_content_chars"], 5);
    assert!(attributes["gen_ai.response.time_to_first_chunk"].as_f64() > Some(0.0));
    let sent = &collector.wait_for(1, SOON)[0];
    assert_eq!(i128::from(sent.end_ns), i128::from(chat.end_ns.unwrap()));
    assert_eq!(sent.attributes["hermes.chunk_count"], 4);
}

#[test]
fn content_is_put_together_where_it_is_wanted() {
    let bench = Bench::with(|builder| builder.capture_content(hermes::ContentCapture::On));
    bench.run(|| {
        drain(stream::iter(chunks()).traced(hermes::chat("json")));
        drain(stream::iter(["Hel", "lo"]).traced(hermes::chat("text")));
        drain(stream::iter(["3 ", "lines"]).traced(hermes::tool("t")));
        drain(stream::iter(["It has", " three."]).traced(hermes::turn()));
    });
    for name in ["chat json", "chat text"] {
        let said = bench.span(name).attributes;
        let messages = said["gen_ai.output.messages"].as_str().unwrap();
        assert!(messages.contains("Hello"), "{name}: {messages}");
        assert_eq!(said["hermes.assistant_content_chars"], 5, "{name}");
    }
    let tool = bench.span("hermes.tool.t").attributes;
    assert_eq!(tool["hermes.tool.result"], "3 lines");
    let turn = bench.span("hermes.turn").attributes;
    assert_eq!(turn["hermes.turn.assistant_response"], "It has three.");
    assert_eq!(turn["hermes.chunk_count"], 2);
}

#[test]
fn texts_and_bytes_may_be_the_wire_itself() {
    let mut body = String::new();
    for chunk in chunks() {
        write!(body, "data: {chunk}\n\n").unwrap();
    }
    let (first, rest) = body.split_at(30);
    let bench = Bench::new();
    bench.run(|| {
        drain(stream::iter([first, rest]).traced(hermes::chat("texts")));
        let bytes =
            [first, rest].map(|piece| Ok::<_, io::Error>(bytes::Bytes::from(piece.to_owned())));
        drain(stream::iter(bytes).traced(hermes::chat("bytes")));
        let lines = chunks().into_iter().map(|chunk| chunk.to_string());
        drain(stream::iter(lines.map(|line| line + "\n")).traced(hermes::chat("lines")));
        drain(stream::iter([r#"{"a""#, ": 1}"]).traced(hermes::chat("said")));
    });
    for name in ["chat texts", "chat bytes", "chat lines"] {
        let said = bench.span(name).attributes;
        assert_eq!(said["gen_ai.usage.input_tokens"], 9, "{name}");
        assert_eq!(said["hermes.assistant_content_chars"], 5, "{name}");
    }
    let said = bench.span("chat said").attributes;
    assert_eq!(said["hermes.assistant_content_chars"], 8);
}

#[derive(Debug)]
struct ApiError(&'static str);

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for ApiError {}

#[test]
fn an_err_fails_the_span_and_the_stream_goes_on() {
    let bench = Bench::new();
    bench.run(|| {
        let mut items: Vec<Result<Value, ApiError>> = chunks().into_iter().map(Ok).collect();
        items.insert(2, Err(ApiError("HTTP status 429: slow down")));
        assert_eq!(
            drain(stream::iter(items).traced(hermes::chat("own"))).len(),
            5
        );
        let erased: Vec<Result<(), Box<dyn std::error::Error + Send + Sync>>> = vec![Err(
            Box::new(io::Error::new(io::ErrorKind::TimedOut, "timed out")),
        )];
        drain(stream::iter(erased).traced(hermes::chat("erased")));
        let texts: Vec<Result<(), String>> = vec![Err("it broke".into())];
        drain(stream::iter(texts).traced(hermes::chat("text")));
        let named: Vec<Result<(), ApiError>> = vec![Err(ApiError("it broke"))];
        drain(hermes::traced!(stream::iter(named), hermes::chat("named")));
        let body = vec![json!({"error": {"type": "overloaded_error", "message": "Overloaded"}})];
        drain(stream::iter(body).traced(hermes::chat("body")));
    });
    let failure = |name| {
        let span = bench.span(name);
        assert_eq!(span.status, Status::Error, "{name}");
        span.error_type.unwrap()
    };
    assert_eq!(failure("chat own"), "rate_limit");
    // What came after it still counts.
    let own = bench.span("chat own").attributes;
    assert_eq!(own["gen_ai.usage.input_tokens"], 9);
    assert_eq!(own["hermes.chunk_count"], 4);
    assert_eq!(failure("chat erased"), "provider_timeout");
    assert_eq!(failure("chat text"), "_OTHER");
    assert!(failure("chat named").ends_with("::ApiError"));
    assert_eq!(failure("chat body"), "provider_error");
}

#[test]
fn a_stream_that_is_dropped_early_is_cancelled() {
    let bench = Bench::new();
    bench.run(|| {
        let mut early = stream::iter(chunks()).traced(hermes::chat("early"));
        assert!(poll(&mut early).is_ready());
        drop(early);
        drop(stream::iter(chunks()).traced(hermes::chat("never_polled")));
        let mut failed =
            stream::iter([Err::<(), _>(ApiError("no"))]).traced(hermes::chat("failed"));
        assert!(poll(&mut failed).is_ready());
        drop(failed);
        // The provider said that this was all, and the consumer believed it.
        let mut whole = stream::iter(chunks()).traced(hermes::chat("whole"));
        for _ in 0..4 {
            assert!(poll(&mut whole).is_ready());
        }
        drop(whole);
    });
    let early = bench.span("chat early");
    assert_eq!(early.status, Status::Cancelled);
    assert_eq!(early.attributes["hermes.chunk_count"], 1);
    let never = bench.span("chat never_polled");
    assert_eq!(never.status, Status::Cancelled);
    assert_eq!(never.attributes["hermes.chunk_count"], 0);
    assert!(
        !never
            .attributes
            .contains_key("gen_ai.response.time_to_first_chunk")
    );
    assert_eq!(bench.span("chat failed").status, Status::Error);
    assert_eq!(bench.span("chat whole").status, Status::Ok);
}

/// Makes a span whenever it is polled and when it is dropped.
struct Busy {
    left: usize,
}

impl Stream for Busy {
    type Item = ();

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<()>> {
        assert!(self.left != 13, "unlucky");
        hermes::step("polled").start().end();
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        Poll::Ready(Some(()))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        hermes::step("dropped").start().end();
    }
}

#[test]
fn the_span_is_entered_at_each_poll_and_at_the_drop() {
    let bench = Bench::new();
    bench.run(|| {
        let session = hermes::session("s").start();
        let mut traced = Busy { left: 5 }.traced(session.chat("m"));
        assert!(poll(&mut traced).is_ready());
        // Dropped inside another span, it still belongs to its own.
        session.turn().start().in_scope(|| drop(traced));
        session.end();
    });
    let expected = "\
hermes.session
  chat m [cancelled] ✗ cancelled
    polled
    dropped
  hermes.turn [cancelled] ✗ cancelled
";
    assert_eq!(bench.picture(), expected);
}

#[test]
fn polled_after_its_end_it_does_what_the_stream_does() {
    struct Restarts(bool);
    impl Stream for Restarts {
        type Item = u8;
        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<u8>> {
            self.0 = !self.0;
            Poll::Ready(self.0.then_some(7))
        }
    }
    let bench = Bench::new();
    bench.run(|| {
        let mut traced = hermes::traced!(Restarts(false), hermes::chat("m"));
        let seen: Vec<_> = (0..4).map(|_| poll(&mut traced)).collect();
        let (item, end) = (Poll::Ready(Some(7)), Poll::Ready(None));
        assert_eq!(seen, [item, end, item, end]);
    });
    let chat = bench.span("chat m");
    assert_eq!(
        (chat.status, &chat.attributes["hermes.chunk_count"]),
        (Status::Ok, &json!(1))
    );
}

#[test]
fn a_panic_while_polling_is_recorded_and_goes_on() {
    let bench = Bench::new();
    bench.run(|| {
        let mut traced = Busy { left: 14 }.traced(hermes::chat("m"));
        assert!(poll(&mut traced).is_ready());
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll(&mut traced)));
        let payload = caught.unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"unlucky"));
    });
    let chat = bench.span("chat m");
    assert_eq!(chat.status, Status::Error);
    assert_eq!(chat.error_type.as_deref(), Some("panic"));
    assert_eq!(chat.status_message.as_deref(), Some("unlucky"));
}

#[test]
fn a_reader_that_panics_harms_nobody() {
    struct Rude;
    impl ModelResponse for Rude {
        fn usage(&self) -> Option<Usage> {
            panic!("not today")
        }
    }
    let bench = Bench::new();
    bench.run(|| {
        assert_eq!(
            drain(stream::iter([Rude, Rude]).traced(hermes::chat("m"))).len(),
            2
        );
    });
    assert_eq!(bench.span("chat m").attributes["hermes.chunk_count"], 2);
}

#[test]
fn items_of_any_type_are_taken() {
    /// A provider crate's type.
    struct Typed(Value);
    impl Serialize for Typed {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            self.0.serialize(serializer)
        }
    }
    /// Nothing is known of it.
    struct Opaque;
    /// One that tells of itself.
    struct Own(i64);
    impl ModelResponse for Own {
        fn usage(&self) -> Option<Usage> {
            Some(Usage {
                input_tokens: 5,
                output_tokens: self.0,
                ..Usage::default()
            })
        }
        fn output(&self) -> hermes::ModelOutput {
            hermes::ModelOutput {
                content_chars: Some(3),
                tool_call_count: Some(1),
            }
        }
    }
    let bench = Bench::new();
    bench.run(|| {
        let typed = chunks()
            .into_iter()
            .map(|chunk| Ok::<_, Opaque>(Typed(chunk)));
        drain(hermes::traced!(stream::iter(typed), hermes::chat("typed")));
        let opaque = [Ok(Opaque), Err(Opaque)];
        drain(hermes::traced!(
            stream::iter(opaque),
            hermes::chat("opaque")
        ));
        let own = [1, 2, 3].map(|tokens| Ok::<_, Infallible>(Own(tokens)));
        drain(stream::iter(own).traced(hermes::chat("own")));
        let text = String::from("borrowed");
        drain(hermes::traced!(
            stream::iter([text.as_str()]),
            hermes::chat("borrowed")
        ));
        let read = |item: &(u8, &str), seen: &mut Seen<'_>| {
            seen.text(item.1);
            seen.usage(Usage {
                input_tokens: item.0.into(),
                ..Usage::default()
            });
            seen.model("m-1");
            seen.finish_reason("stop");
            if item.0 == 2 {
                seen.error("refused");
            }
        };
        drain(stream::iter([(1, "ab"), (2, "c")]).traced_with(hermes::chat("read"), read));
    });
    let typed = bench.span("chat typed").attributes;
    assert_eq!(typed["gen_ai.usage.input_tokens"], 9);
    let opaque = bench.span("chat opaque");
    assert_eq!(opaque.attributes["hermes.chunk_count"], 1);
    assert!(opaque.error_type.unwrap().ends_with("::Opaque"));
    let own = bench.span("chat own").attributes;
    assert_eq!(own["gen_ai.usage.output_tokens"], 3);
    assert_eq!(own["hermes.assistant_content_chars"], 9);
    assert_eq!(own["hermes.assistant_tool_call_count"], 3);
    let borrowed = bench.span("chat borrowed").attributes;
    assert_eq!(borrowed["hermes.assistant_content_chars"], 8);
    let read = bench.span("chat read");
    assert_eq!(read.status, Status::Error);
    assert_eq!(read.attributes["gen_ai.response.model"], "m-1");
    assert_eq!(read.attributes["gen_ai.usage.input_tokens"], 2);
}

#[test]
fn a_span_of_tracing_lives_as_long_as_its_stream() {
    #[hermes::chat(model = "m")]
    fn complete(items: Vec<Result<u8, ApiError>>) -> impl Stream<Item = Result<u8, ApiError>> {
        hermes::traced!(stream::iter(items), tracing::Span::current())
    }
    let bench = Bench::new();
    bench.run(|| {
        let span = tracing::info_span!("hermes.chat", gen_ai.request.model = "plain");
        drain(stream::iter(["a"]).traced(span));
        // The function has returned and said that all is well; its stream says otherwise.
        drain(complete(vec![Ok(1), Err(ApiError("HTTP status 500"))]));
        drop(complete(vec![Ok(1)]));
    });
    assert_eq!(bench.span("chat plain").status, Status::Ok);
    let spans = bench.all_spans();
    let ends: Vec<_> = spans
        .iter()
        .filter(|span| span.name == "chat m")
        .map(|span| span.status)
        .collect();
    assert_eq!(ends, [Status::Error, Status::Cancelled]);
}

#[test]
fn a_stream_goes_from_thread_to_thread() {
    let collector = Collector::start();
    let bench = Bench::with(|builder| builder.otlp_endpoint(collector.endpoint()));
    let dispatch = bench.dispatch.clone();
    let is_done = Arc::new(AtomicBool::new(false));
    bench.run(|| {
        let session = hermes::session("s").start();
        let mut traced = Busy { left: 3 }.traced(session.chat("m"));
        for _ in 0..4 {
            let dispatch = dispatch.clone();
            let is_done = Arc::clone(&is_done);
            traced = std::thread::spawn(move || {
                tracing::dispatcher::with_default(&dispatch, || {
                    is_done.store(poll(&mut traced) == Poll::Ready(None), Ordering::Relaxed);
                    traced
                })
            })
            .join()
            .unwrap();
        }
        assert!(is_done.load(Ordering::Relaxed));
        // It has ended, though it is still here.
        bench.telemetry.flush(SOON).unwrap();
        assert_eq!(bench.span("chat m").status, Status::Ok);
        drop(traced);
        session.end();
    });
    let chat = bench.span("chat m");
    let polled = bench.all_spans();
    let polled: Vec<_> = polled.iter().filter(|span| span.name == "polled").collect();
    assert_eq!(polled.len(), 4);
    assert!(
        polled
            .iter()
            .all(|span| span.parent_span_id == Some(chat.span_id))
    );
    let sent = collector.wait_for(7, SOON);
    let sent = sent.iter().find(|span| span.name == "chat m").unwrap();
    assert_eq!(i128::from(sent.end_ns), i128::from(chat.end_ns.unwrap()));
}

#[test]
fn an_annotated_function_leaves_its_span_to_the_stream() {
    type Chunks = Pin<Box<dyn Stream<Item = Value>>>;
    #[hermes::chat(model = model, stream)]
    fn complete(model: &str, is_up: bool) -> Result<impl Stream<Item = Value> + use<>, ApiError> {
        if !is_up {
            return Err(ApiError("HTTP status 401"));
        }
        Ok(stream::iter(chunks()))
    }
    #[hermes::chat(model = model, stream)]
    fn boxed(model: &str) -> Pin<Box<dyn Future<Output = Chunks>>> {
        Box::pin(async {
            std::future::pending::<()>().await;
            Box::pin(stream::iter(chunks())) as Chunks
        })
    }
    let bench = Bench::new();
    bench.run(|| {
        let held = complete("held", true).ok().unwrap();
        bench.telemetry.flush(SOON).unwrap();
        // The function has returned, its call goes on.
        let spans = bench.all_spans();
        assert!(spans.iter().all(|span| span.status == Status::Running));
        assert_eq!(drain(held).len(), 4);
        drop(complete("dropped", true));
        assert!(complete("refused", false).is_err());
        let mut begun = boxed("begun");
        assert!(begun.as_mut().now_or_never().is_none());
        drop(begun);
        drop(boxed("not_begun"));
    });
    let status = |name| {
        let span = bench.span(name);
        (span.status, span.error_type)
    };
    let cancelled = (Status::Cancelled, Some("cancelled".to_owned()));
    assert_eq!(status("chat held"), (Status::Ok, None));
    assert_eq!(
        bench.span("chat held").attributes["gen_ai.usage.input_tokens"],
        9
    );
    assert_eq!(status("chat dropped"), cancelled);
    assert_eq!(
        status("chat refused"),
        (Status::Error, Some("auth".to_owned()))
    );
    assert_eq!(status("chat begun"), cancelled);
    assert_eq!(status("chat not_begun"), cancelled);
}
