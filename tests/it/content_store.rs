//! What is kept of long conversations: each message once, read back as it was, found by its words.

use hermes::{ContentCapture, Retention, SearchFilter, Store};
use serde_json::{Value, json};

use crate::support::Bench;

/// A history of so many messages, each a text of its own.
fn history(length: usize) -> Vec<Value> {
    let text = |at: usize| {
        format!(
            "message number{at} \u{e9}\u{1f600} \"quoted\" {}",
            "lorem ".repeat(20)
        )
    };
    let message = |at: usize| json!({ "role": if at.is_multiple_of(2) { "user" } else { "assistant" }, "content": text(at) });
    (0..length).map(message).collect()
}

#[hermes::chat(model = "m", request = request)]
fn chat(request: &Value) {
    let _ = request;
}

#[hermes::session(id = id)]
fn session(id: &str, turns: usize) {
    for turn in 1..=turns {
        chat(&json!({ "model": "m", "messages": history(turn * 2) }));
    }
}

fn bench() -> Bench {
    Bench::with(|builder| builder.capture_content(ContentCapture::Local))
}

#[test]
fn a_history_is_stored_once_and_read_back_whole() {
    let bench = bench();
    bench.run(|| session("s-1", 30));
    let mut lengths: Vec<_> = bench
        .spans()
        .iter()
        .filter_map(|span| span.attributes.get("gen_ai.input.messages"))
        .map(|messages| {
            let messages: Value = serde_json::from_str(messages.as_str().unwrap()).unwrap();
            let messages = messages.as_array().unwrap();
            for (at, message) in messages.iter().enumerate() {
                let text = message["parts"][0]["content"].as_str().unwrap();
                assert!(
                    text.starts_with(&format!("message number{at} \u{e9}")),
                    "{text}"
                );
            }
            messages.len()
        })
        .collect();
    lengths.sort_unstable();
    assert_eq!(lengths, (1..=30).map(|turn| turn * 2).collect::<Vec<_>>());
    assert_eq!(bench.sql::<i64>("SELECT count(*) FROM tel_texts"), 60);
    assert_eq!(bench.sql::<i64>("SELECT count(*) FROM tel_links"), 60);
    assert_eq!(
        bench.sql::<i64>("SELECT count(*) FROM tel_contents WHERE is_list"),
        30
    );
}

#[test]
fn a_store_grows_with_the_turns_and_not_with_their_square() {
    let bytes = |turns| {
        let bench = bench();
        bench.run(|| session("s-1", turns));
        bench.sql::<i64>("SELECT sum(pgsize) FROM dbstat")
            - bench.sql::<i64>("SELECT sum(pgsize) FROM dbstat WHERE name LIKE 'tel_search%'")
    };
    let (empty, some, twice) = (bytes(0), bytes(60), bytes(120));
    let growth = (twice - empty) * 100 / (some - empty);
    assert!(growth < 240, "twice the turns take {growth} % of the room");
}

#[test]
fn what_was_said_is_found_once_in_the_first_span_that_said_it() {
    let bench = bench();
    bench.run(|| session("s-1", 5));
    bench.run(|| session("s-2", 2));
    let store = bench.telemetry.store().unwrap();
    let hits = store.search("number3", &SearchFilter::default()).unwrap();
    assert_eq!(hits.len(), 1, "{hits:#?}");
    let spans = bench.all_spans();
    let first = spans
        .iter()
        .find(|span| span.span_id == hits[0].span_id)
        .unwrap();
    let with_it = spans.iter().filter(|span| {
        let messages = span.attributes.get("gen_ai.input.messages");
        messages.is_some_and(|messages| messages.as_str().unwrap().contains("number3 "))
    });
    assert_eq!(with_it.clone().count(), 4 + 1);
    assert_eq!(
        with_it.map(|span| span.start_ns).min(),
        Some(first.start_ns)
    );
    assert!(hits[0].snippet.contains("number3"), "{}", hits[0].snippet);
    assert_eq!(
        (hits[0].name.as_str(), hits[0].kind.as_str()),
        ("chat m", "LLM")
    );
    assert_eq!(hits[0].trace_id, first.trace_id);

    let found = |words: &str, filter: SearchFilter| store.search(words, &filter).unwrap().len();
    let all = SearchFilter::default;
    assert_eq!(found("NUMBER3", all()), 1);
    assert_eq!(found("message number3", all()), 1);
    assert_eq!(found("number3 number4", all()), 0);
    assert_eq!(found("\"message number3\"", all()), 1);
    assert_eq!(found("\"number3 message\"", all()), 0);
    assert_eq!(found("number*", all()), 10);
    assert_eq!(found("number*", SearchFilter::best(4)), 4);
    assert_eq!(found("number*", all().session("s-2")), 4);
    assert_eq!(found("number*", all().session("s-3")), 0);
    assert_eq!(found("number*", all().role("user")), 5);
    assert_eq!(found("number*", all().role("\" OR")), 0);
    assert_eq!(found("user", all()), 0);
    assert_eq!(found("number*", all().kind("llm")), 10);
    assert_eq!(found("number*", all().kind("TOOL")), 0);
    let second = spans.iter().map(|span| span.start_ns).max().unwrap();
    assert_eq!(found("number*", all().since(second)), 4);
    assert_eq!(found("number*", all().until(spans[0].start_ns)), 0);
}

#[test]
fn no_words_of_a_user_are_a_mistake_in_a_search() {
    let bench = bench();
    bench.run(|| session("s-1", 1));
    let store = bench.telemetry.store().unwrap();
    for words in [
        "",
        " ",
        "\"",
        "\"\"",
        "*",
        "**",
        "AND",
        "OR",
        "NOT",
        "a AND",
        "NEAR(a b",
        "words:",
        "-a",
        "^a",
        "a*b",
        "\"a",
        "a\"b\"c",
        "(",
        "{}",
        "';--",
        "%",
        "\0",
        "a\0b",
        "\u{200b}",
        "\u{1f600}",
        "+",
        "a+b",
        "col : x",
        "\u{300}",
        "\u{b2}",
    ] {
        store
            .search(words, &SearchFilter::best(5))
            .unwrap_or_else(|error| panic!("{words:?}: {error}"));
    }
    assert!(
        store
            .search("AND", &SearchFilter::default())
            .unwrap()
            .is_empty()
    );
}

#[test]
fn every_input_is_found_and_no_secret_is() {
    #[hermes::tool(name = "fetch", args = arguments, result)]
    fn fetch(arguments: &str) -> String {
        hermes::current().record("note.of.nobody", "extraword");
        tracing::info!(field_of_nobody = "eventword", "a line");
        format!("resultword with the key sk-abcdefghijklmnopqrstuvwxyz012345 of {arguments}")
    }
    let bench = bench();
    bench.run(|| fetch("{\"path\":\"argument\\nword\"}"));
    let store = bench.telemetry.store().unwrap();
    for words in [
        "resultword",
        "argument word",
        "word",
        "extraword",
        "eventword",
    ] {
        assert!(
            !store
                .search(words, &SearchFilter::default())
                .unwrap()
                .is_empty(),
            "{words}"
        );
    }
    let secret = "abcdefghijklmnopqrstuvwxyz012345";
    for words in [secret, "sk-abcdefghijklmnopqrstuvwxyz012345", "abcdefghij*"] {
        assert_eq!(
            store.search(words, &SearchFilter::default()).unwrap(),
            [],
            "{words}"
        );
    }
    let bytes = std::fs::read(store.path()).unwrap();
    assert!(
        !bytes
            .windows(secret.len())
            .any(|bytes| bytes == secret.as_bytes())
    );
    let found = store
        .search("resultword", &SearchFilter::default())
        .unwrap();
    assert!(
        found[0].snippet.contains("[secret:"),
        "{}",
        found[0].snippet
    );
}

#[test]
fn a_salvaged_store_is_searched_as_well() {
    let bench = bench();
    bench.run(|| session("s-1", 4));
    let store = bench.telemetry.store().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let saved = folder.path().join("saved.db");
    assert!(Store::salvage(store.path(), &saved).unwrap().is_complete);
    let saved = Store::open(&saved).unwrap();
    let all = SearchFilter::default();
    assert_eq!(
        saved.search("number3", &all).unwrap(),
        store.search("number3", &all).unwrap()
    );
    let run = bench.runs()[0].run_id;
    assert_eq!(
        saved.spans_of_run(run).unwrap(),
        store.spans_of_run(run).unwrap()
    );
}

#[test]
fn what_was_withdrawn_is_not_found() {
    #[hermes::session(id = "s-1")]
    fn session() {
        let outer = tracing::info_span!(
            "chat",
            gen_ai.operation.name = "chat",
            gen_ai.request.model = "m",
        );
        let _outer = outer.enter();
        // The same call, told by the library below: it is withdrawn when both are over.
        let inner = tracing::info_span!(
            "chat",
            gen_ai.operation.name = "chat",
            gen_ai.request.model = "m",
            custom.field = "innerword",
        );
        inner.in_scope(|| ());
    }
    let bench = bench();
    bench.run(session);
    let store = bench.telemetry.store().unwrap();
    let spans = bench.all_spans();
    let hits = store.search("innerword", &SearchFilter::default()).unwrap();
    let says_it = format!("{spans:?}").contains("innerword");
    assert_eq!(hits.len(), usize::from(says_it), "{spans:#?}");
    assert_eq!(bench.sql::<i64>("SELECT count(*) FROM tel_loose_links"), 0);
    assert_eq!(
        bench.sql::<i64>("SELECT count(*) FROM tel_texts"),
        bench.sql::<i64>("SELECT count(DISTINCT text) FROM tel_links")
    );
}

#[test]
fn what_is_pruned_is_gone_with_its_texts_and_what_others_say_stays() {
    let bench = bench();
    bench.run(|| session("old", 20));
    bench.run(|| session("new", 3));
    let runs = bench.runs();
    let connection = rusqlite::Connection::open(bench.telemetry.store().unwrap().path()).unwrap();
    let year = 365 * 24 * 3600 * 1_000_000_000_i64;
    connection
        .execute(
            "UPDATE tel_run_rows SET start_ns = start_ns - ?1, end_ns = end_ns - ?1 WHERE session_id = 'old'",
            [year],
        )
        .unwrap();
    let store = bench.telemetry.store().unwrap();
    let pruned = store.prune(&Retention::default().days(30)).unwrap();
    assert_eq!(pruned.runs, 1);
    assert_eq!(bench.sql::<i64>("SELECT count(*) FROM tel_texts"), 6);
    assert_eq!(bench.sql::<i64>("SELECT count(*) FROM tel_links"), 6);
    assert_eq!(bench.sql::<i64>("SELECT count(*) FROM tel_loose_links"), 0);
    assert_eq!(
        store.search("number7", &SearchFilter::default()).unwrap(),
        []
    );
    assert_eq!(
        store
            .search("number5", &SearchFilter::default())
            .unwrap()
            .len(),
        1
    );
    let spans = store.spans_of_run(runs[1].run_id).unwrap();
    let last = spans.last().unwrap().attributes["gen_ai.input.messages"]
        .as_str()
        .unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(last)
            .unwrap()
            .as_array()
            .unwrap()
            .len(),
        6
    );
    store.prune(&Retention::FOREVER.max_bytes(1)).unwrap();
    let _ = Store::open(store.path()).unwrap();
}
