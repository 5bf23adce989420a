//! Kinds of content: each is kept, and leaves, as said of it, whichever way it came in.

use hermes::{Builder, ContentCapture, ContentClass};
use serde_json::{Value, json};

use crate::support::collector::Collector;
use crate::support::{Bench, SOON};

const CLASSES: [(ContentClass, &str); 7] = [
    (ContentClass::UserMessage, "USERWORD"),
    (ContentClass::System, "SYSTEMWORD"),
    (ContentClass::ToolArguments, "ARGUMENTWORD"),
    (ContentClass::ToolResult, "RESULTWORD"),
    (ContentClass::ModelOutput, "OUTPUTWORD"),
    (ContentClass::Reasoning, "REASONINGWORD"),
    (ContentClass::Other, "OTHERWORD"),
];

fn request() -> Value {
    json!({
        "model": "m",
        "messages": [
            { "role": "system", "content": "SYSTEMWORD" },
            { "role": "user", "content": "USERWORD" },
            { "role": "assistant", "content": "OUTPUTWORD", "reasoning_content": "REASONINGWORD",
              "tool_calls": [{ "id": "c1", "type": "function",
                  "function": { "name": "read", "arguments": "{\"path\":\"ARGUMENTWORD\"}" } }] },
            { "role": "tool", "tool_call_id": "c1", "content": "RESULTWORD" },
        ],
        "tools": [{ "type": "function", "function": { "name": "read", "description": "SYSTEMWORD" } }],
    })
}

fn response() -> Value {
    json!({
        "model": "m",
        "content": [
            { "type": "thinking", "thinking": "REASONINGWORD", "signature": "x" },
            { "type": "text", "text": "OUTPUTWORD" },
            { "type": "tool_use", "id": "c2", "name": "read", "input": { "path": "ARGUMENTWORD" } },
        ],
        "stop_reason": "tool_use",
        "usage": { "input_tokens": 3, "output_tokens": 2 },
    })
}

/// Every way in: macros, late values, held spans, hooks, spans and events of other libraries.
fn everything() {
    #[hermes::session(id = "s-1")]
    fn session() {
        turn("USERWORD");
    }
    #[hermes::turn(user_message = text)]
    fn turn(text: &str) {
        let _ = chat(&request());
        let _ = read("ARGUMENTWORD");
        hermes::current().output("OUTPUTWORD");
        hermes::current().record("note.of.nobody", "OTHERWORD");
        tracing::info!(target: "somebody_else", field_of_nobody = "OTHERWORD", "a line of OTHERWORD");
        held();
        foreign();
    }
    #[hermes::chat(model = "m", request = request, response)]
    fn chat(request: &Value) -> Result<Value, std::io::Error> {
        let _ = request;
        Ok(response())
    }
    #[hermes::tool(name = "read", args = path, result)]
    fn read(path: &str) -> String {
        let _ = path;
        "RESULTWORD".to_owned()
    }
    fn held() {
        let tool = hermes::tool("held").args("ARGUMENTWORD").start();
        tool.output("RESULTWORD");
        tool.end();
    }
    fn foreign() {
        let messages = json!([
            { "role": "user", "parts": [{ "type": "text", "content": "USERWORD" }] },
            { "role": "assistant", "parts": [{ "type": "reasoning", "content": "REASONINGWORD" }] },
        ]);
        let answer = json!([{ "role": "assistant", "parts": [
            { "type": "reasoning", "content": "REASONINGWORD" },
            { "type": "text", "content": "OUTPUTWORD" },
        ] }]);
        let span = tracing::info_span!(
            "chat",
            gen_ai.operation.name = "chat",
            gen_ai.request.model = "m",
            gen_ai.system_instructions = "SYSTEMWORD",
            gen_ai.input.messages = messages.to_string(),
            gen_ai.output.messages = tracing::field::Empty,
            custom.field = "OTHERWORD",
        );
        span.in_scope(|| span.record("gen_ai.output.messages", answer.to_string()));
        // One that no table makes a call of: it is exported and not stored.
        let _entered =
            tracing::info_span!("http", gen_ai.prompt = "USERWORD", body = "OTHERWORD").entered();
    }
    session();
}

/// What is kept, and what has left.
fn kept_and_sent(set_up: impl FnOnce(Builder) -> Builder) -> (String, String) {
    let collector = Collector::start();
    let bench = Bench::with(|builder| set_up(builder.otlp_endpoint(collector.endpoint())));
    bench.run(everything);
    let sent = collector.wait_for(7, SOON);
    assert!(sent.len() >= 7, "{sent:#?}");
    (format!("{:?}", bench.all_spans()), format!("{sent:?}"))
}

#[test]
fn what_is_withheld_is_nowhere_and_all_else_is_there() {
    for (class, _) in CLASSES {
        let (kept, sent) = kept_and_sent(|builder| {
            builder
                .capture_content(ContentCapture::On)
                .capture_class(class, ContentCapture::Off)
        });
        for (other, word) in CLASSES {
            assert_eq!(
                kept.contains(word),
                other != class,
                "{word} kept without {class:?}"
            );
            assert_eq!(
                sent.contains(word),
                other != class,
                "{word} sent without {class:?}"
            );
        }
    }
}

#[test]
fn what_may_be_kept_and_not_leave_is_in_the_store_alone() {
    for (class, _) in CLASSES {
        let (kept, sent) = kept_and_sent(|builder| {
            builder
                .capture_content(ContentCapture::On)
                .capture_class(class, ContentCapture::Local)
        });
        for (other, word) in CLASSES {
            assert!(kept.contains(word), "{word} kept, {class:?} local");
            assert_eq!(
                sent.contains(word),
                other != class,
                "{word} sent, {class:?} local"
            );
        }
    }
}

#[test]
fn one_kind_alone_is_kept_where_the_rest_is_off() {
    for (class, word) in CLASSES {
        let (kept, sent) =
            kept_and_sent(|builder| builder.capture_class(class, ContentCapture::Local));
        assert!(kept.contains(word), "{word}");
        for (other, word) in CLASSES {
            assert_eq!(
                kept.contains(word),
                other == class,
                "{word} kept, {class:?} alone"
            );
            assert!(!sent.contains(word), "{word} sent");
        }
    }
}

#[test]
fn a_value_that_may_not_be_kept_is_not_formatted() {
    struct Loud;
    impl std::fmt::Display for Loud {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("was formatted")
        }
    }
    #[hermes::tool(name = "quiet", args = %arguments)]
    fn quiet(arguments: Loud) {
        let _ = arguments;
    }
    let bench = Bench::with(|builder| {
        builder
            .capture_content(ContentCapture::Local)
            .capture_class(ContentClass::ToolArguments, ContentCapture::Off)
    });
    // A panic in there would be caught, and seen by the hook alone.
    let seen = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let hook = std::panic::take_hook();
    let flag = std::sync::Arc::clone(&seen);
    std::panic::set_hook(Box::new(move |info| {
        let is_ours = info.payload().downcast_ref::<&str>() == Some(&"was formatted");
        flag.fetch_or(is_ours, std::sync::atomic::Ordering::Relaxed);
    }));
    bench.run(|| quiet(Loud));
    std::panic::set_hook(hook);
    assert!(!seen.load(std::sync::atomic::Ordering::Relaxed));
    assert_eq!(bench.all_spans().len(), 1);
}

#[test]
fn a_field_of_a_kind_that_is_not_kept_is_not_formatted() {
    struct Unread;
    impl std::fmt::Debug for Unread {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("formatted")
        }
    }
    let bench = Bench::with(|builder| {
        builder
            .capture_content(ContentCapture::On)
            .capture_class(ContentClass::ToolResult, ContentCapture::Off)
            .capture_class(ContentClass::Other, ContentCapture::Off)
    });
    bench.run(|| {
        let tool = tracing::info_span!(
            "hermes.tool",
            hermes.tool.args = ?"left",
            hermes.tool.result = ?Unread,
            what.nobody.knows = ?Unread
        );
        tool.in_scope(|| tracing::info!(body = ?Unread, "said"));
        tool.record("hermes.tool.result", tracing::field::debug(Unread));
    });
    let kept = format!("{:?}", bench.spans());
    assert!(kept.contains("left"), "{kept}");
}
