//! Content: off by default, never a tracing field, kept and exported as asked, redacted always.

use hermes::ContentCapture;
use tracing_subscriber::layer::SubscriberExt;

use crate::support::collector::Collector;
use crate::support::log::Log;
use crate::support::{Bench, SOON, script};

const CONTENT: [&str; 5] = [
    "what is in the file?",
    "notes.txt",
    "needle",
    "You read files.",
    "hunter22",
];

#[test]
fn off_it_is_nowhere() {
    let collector = Collector::start();
    let bench = Bench::with(|builder| builder.otlp_endpoint(collector.endpoint()));
    bench.run(script::session);
    let sent = format!("{:?}", collector.wait_for(6, SOON));
    let kept = format!("{:?}", bench.spans());
    for text in CONTENT {
        assert!(!sent.contains(text), "{text} was sent");
        assert!(!kept.contains(text), "{text} was kept");
    }
}

#[test]
fn local_it_is_kept_and_not_sent() {
    let collector = Collector::start();
    let bench = Bench::with(|builder| {
        builder
            .otlp_endpoint(collector.endpoint())
            .capture_content(ContentCapture::Local)
    });
    bench.run(script::session);
    let sent = format!("{:?}", collector.wait_for(6, SOON));
    assert!(CONTENT.iter().all(|text| !sent.contains(text)), "{sent}");
    let turn = bench.span("hermes.turn");
    assert_eq!(
        turn.attributes["hermes.turn.user_message"],
        "what is in the file?"
    );
    let tool = bench.span("hermes.tool.read_file");
    assert_eq!(tool.attributes["hermes.tool.args"], "notes.txt");
    assert_eq!(tool.attributes["hermes.tool.result"], "notes.txt: a needle");
}

#[test]
fn on_the_store_keeps_more_than_the_wire_carries() {
    #[hermes::turn(user_message = text)]
    fn turn(text: &str) {
        let _ = text;
    }
    let collector = Collector::start();
    let bench = Bench::with(|builder| {
        builder
            .otlp_endpoint(collector.endpoint())
            .capture_content(ContentCapture::On)
    });
    let long = "word ".repeat(1000);
    bench.run(|| turn(&long));
    assert_eq!(
        bench.span("hermes.turn").attributes["hermes.turn.user_message"],
        long.as_str()
    );
    let sent = &collector.wait_for(1, SOON)[0].attributes["hermes.turn.user_message"];
    assert_eq!(sent.as_str().unwrap().chars().count(), 500);
}

#[test]
fn how_much_of_a_value_is_kept_is_said_in_code() {
    #[hermes::turn(user_message = text)]
    fn turn(text: &str) {
        let _ = text;
    }
    let long = "word ".repeat(20_000);
    let kept_of = |chars: Option<usize>| {
        let bench = Bench::with(|builder| {
            let builder = builder.capture_content(ContentCapture::Local);
            match chars {
                Some(chars) => builder.capture_max_chars(chars),
                None => builder,
            }
        });
        bench.run(|| turn(&long));
        let span = bench.span("hermes.turn");
        let kept = span.attributes["hermes.turn.user_message"].as_str();
        kept.unwrap().to_owned()
    };
    assert_eq!(kept_of(None).chars().count(), 65_536);
    assert_eq!(kept_of(Some(5_000)).chars().count(), 5_000);
    assert_eq!(kept_of(Some(0)).chars().count(), 1_024);
    assert_eq!(kept_of(Some(200_000)), long);
}

#[test]
fn secrets_are_redacted_before_anything_is_kept() {
    #[hermes::tool(args = arguments, result)]
    fn fetch(arguments: &str) -> String {
        format!("{{\"password\":\"correct-horse-battery\",\"echo\":{arguments:?}}}")
    }
    let bench = Bench::with(|builder| builder.capture_content(ContentCapture::On));
    let token = concat!("gh", "p_abcdefghijklmnopqrstuvwxyzABCDEF0123");
    bench.run(|| {
        fetch(token);
        fetch(token);
    });
    let spans = format!("{:?}", bench.all_spans());
    assert!(
        !spans.contains(token) && !spans.contains("correct-horse-battery"),
        "{spans}"
    );
    let arguments: Vec<_> = bench
        .all_spans()
        .iter()
        .map(|span| span.attributes["hermes.tool.args"].clone())
        .collect();
    assert!(
        arguments[0].as_str().unwrap().starts_with("[secret:"),
        "{arguments:?}"
    );
    assert_eq!(
        arguments[0], arguments[1],
        "the same secret gets the same token"
    );
}

#[test]
fn a_stock_fmt_layer_prints_no_content() {
    #[hermes::chat(model = "m")]
    fn fails() -> Result<(), String> {
        tracing::info!("asking");
        Err("the answer was: private words".to_owned())
    }
    let folder = tempfile::tempdir().unwrap();
    let (layer, telemetry) = hermes::builder()
        .store_path(folder.path().join("telemetry.db"))
        .capture_content(ContentCapture::On)
        .build()
        .unwrap();
    let log = Log::default();
    tracing::subscriber::with_default(
        tracing_subscriber::registry().with(layer).with(log.layer()),
        || {
            script::session();
            fails().unwrap_err();
        },
    );
    telemetry.flush(SOON).unwrap();
    let log = log.text();
    assert!(
        log.contains("gen_ai.request.model") && log.contains("gpt-4o"),
        "facts are fields: {log}"
    );
    assert!(
        log.contains("gen_ai.usage.input_tokens=1200"),
        "late ones too: {log}"
    );
    assert!(
        log.contains("error.type=\"alloc::string::String\""),
        "failures too: {log}"
    );
    for text in CONTENT.into_iter().chain(["private words"]) {
        assert!(!log.contains(text), "{text} was printed: {log}");
    }
}

#[test]
fn what_formatting_costs_or_breaks_is_not_the_agents() {
    struct Fragile;
    impl std::fmt::Display for Fragile {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("not even formatted where content is off");
        }
    }
    #[hermes::tool(args = %fragile)]
    fn tool(fragile: Fragile) -> u8 {
        let _ = fragile;
        7
    }
    let off = Bench::new();
    assert_eq!(off.run(|| tool(Fragile)), 7);
    let on = Bench::with(|builder| builder.capture_content(ContentCapture::On));
    assert_eq!(
        on.run(|| tool(Fragile)),
        7,
        "a panic in a Display is not the tool's"
    );
    assert_eq!(on.span("hermes.tool.tool").status, hermes::Status::Ok);
}

#[test]
fn a_librarys_lines_are_withheld_unread_and_the_programs_stay() {
    /// What nobody may keep, nobody formats.
    struct Unread;
    impl std::fmt::Debug for Unread {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("formatted")
        }
    }
    #[hermes::tool(name = "look")]
    fn look() {
        tracing::info!(prompt = ?Unread, "looked around");
    }
    let bench = Bench::with(|builder| builder);
    bench.run(|| {
        let call = tracing::info_span!(
            target: "llm_client::chat",
            "call",
            gen_ai.operation.name = "chat",
            gen_ai.request.model = "m"
        );
        call.in_scope(|| {
            tracing::info!(target: "llm_client::http", body = ?Unread, "sending {Unread:?}");
            tracing::debug!(target: "llm_client::http", body = ?Unread, "sent {Unread:?}");
            tracing::info!(target: "llm_client::http", "sending the prompt");
            look();
        });
    });
    let kept = format!("{:?}", bench.spans());
    assert!(!kept.contains("sending the prompt"), "{kept}");
    assert!(kept.contains("looked around"), "{kept}");
}

#[test]
fn what_is_embedded_is_kept_where_content_is() {
    #[hermes::embedding(model = "e", input = texts)]
    fn embed(texts: &[&str]) {
        let _ = texts;
    }
    let bench = Bench::with(|builder| builder.capture_content(ContentCapture::Local));
    bench.run(|| embed(&["the first text", "the second"]));
    let kept = format!("{:?}", bench.span("embeddings e").attributes);
    assert!(
        kept.contains("the first text") && kept.contains("the second"),
        "{kept}"
    );
}
