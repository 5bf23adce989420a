//! rig's contract with a span that wants to be filled: inside `#[hermes::chat]` no second span is made.

use tracing::Span;

use super::Seen;
use crate::record_all;

/// What rig 0.44 looks for in the current span before it makes one of its own.
const REQUIRED: [&str; 14] = [
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.system_instructions",
    "gen_ai.response.id",
    "gen_ai.response.model",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.tool_use_prompt_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.input.messages",
    "gen_ai.output.messages",
];

/// Records as rig does: into the current span where it keeps the contract, else into one of its own.
fn rig_completes() -> bool {
    let span = Span::current();
    let declares = |name: &str| {
        let metadata = span.metadata();
        metadata.is_some_and(|metadata| metadata.fields().field(name).is_some())
    };
    if !declares("rig.completion_parent") || !REQUIRED.iter().all(|name| declares(name)) {
        return false;
    }
    record_all!(
        span,
        "gen_ai.operation.name" = "chat",
        "gen_ai.provider.name" = "openai",
        "gen_ai.request.model" = "gpt-9",
        "gen_ai.request.stream" = true,
        "rig.provider_request_id" = "req_1",
        "gen_ai.response.id" = "resp_1",
        "gen_ai.response.model" = "gpt-9-0101",
        "gen_ai.usage.input_tokens" = 120_u64,
        "gen_ai.usage.output_tokens" = 34_u64,
        "gen_ai.usage.cache_read.input_tokens" = 64_u64,
        "gen_ai.usage.cache_creation.input_tokens" = 8_u64,
        "gen_ai.usage.reasoning_tokens" = 12_u64,
        "gen_ai.input.messages" = "SECRET QUESTION",
        "gen_ai.output.messages" = "SECRET ANSWER",
    );
    true
}

#[hermes::chat]
fn complete() -> bool {
    rig_completes()
}

#[test]
fn a_chat_is_filled_by_what_runs_inside() {
    let seen = Seen::of(|| assert!(complete(), "rig would make a span of its own"));
    assert_eq!(seen.picture(), "chat gpt-9\n");
    let call = &seen.model_calls()[0];
    assert_eq!(call.provider.as_deref(), Some("openai"));
    assert_eq!(call.response_id.as_deref(), Some("resp_1"));
    assert_eq!(
        (call.input_tokens, call.output_tokens),
        (Some(120), Some(34))
    );
    assert_eq!(
        (call.cache_read_tokens, call.cache_write_tokens),
        (Some(64), Some(8))
    );
    assert_eq!(call.reasoning_tokens, Some(12));
    let sent = seen.sent("chat gpt-9");
    assert_eq!(sent.attributes["gen_ai.request.stream"], true);
    assert!(!sent.attributes.keys().any(|key| key.starts_with("rig.")));
    assert!(!format!("{:?}{:?}", seen.sent, seen.bench.all_spans()).contains("SECRET"));
}

#[test]
fn a_failed_one_is_what_the_function_says() {
    #[hermes::chat(model = "gpt-9")]
    fn fails() -> Result<(), std::io::Error> {
        record_all!(Span::current(), "gen_ai.provider.name" = "openai");
        Err(std::io::Error::other("HTTP 503 Service Unavailable"))
    }
    let seen = Seen::of(|| drop(fails()));
    assert_eq!(seen.picture(), "chat gpt-9 [error] ✗ provider_error\n");
}

#[test]
fn no_other_kind_wants_to_be_filled() {
    #[hermes::turn]
    fn turn() -> bool {
        rig_completes()
    }
    #[hermes::tool]
    fn tool() -> bool {
        rig_completes()
    }
    let seen = Seen::of(|| assert!(!turn() && !tool()));
    assert!(seen.model_calls().is_empty());
}

#[test]
fn a_stock_fmt_layer_prints_no_content_of_ours() {
    use std::io::Write;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::filter::filter_fn;
    use tracing_subscriber::fmt::format::FmtSpan;
    use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);
    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[hermes::chat(model = "gpt-9", request = request, response)]
    fn ask(request: &serde_json::Value) -> serde_json::Value {
        serde_json::json!({"choices": [{"message": {"role": "assistant", "content": "SECRET ANSWER"}}],
            "usage": {"prompt_tokens": 5, "completion_tokens": 6}, "id": request["user"]})
    }
    let page = Page::default();
    let writer = page.clone();
    let layer = tracing_subscriber::fmt::layer()
        .with_span_events(FmtSpan::FULL)
        .with_writer(move || writer.clone())
        // What is switched on here is switched on for every test of this process.
        .with_filter(filter_fn(|metadata| metadata.target() == module_path!()));
    let folder = tempfile::tempdir().unwrap();
    let (hermes, telemetry) = hermes::builder()
        .store_path(folder.path().join("t.db"))
        .capture_content(hermes::ContentCapture::On)
        .build()
        .unwrap();
    let subscriber = tracing_subscriber::registry().with(hermes).with(layer);
    tracing::subscriber::with_default(subscriber, || {
        ask(
            &serde_json::json!({"messages": [{"role": "user", "content": "SECRET QUESTION"}], "user": "u"}),
        );
    });
    telemetry.flush(crate::support::SOON).unwrap();
    let printed = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
    assert!(
        printed.contains("gpt-9") && !printed.contains("SECRET"),
        "{printed}"
    );
    assert!(!printed.contains("rig."), "{printed}");
}
