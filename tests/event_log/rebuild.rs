//! The store out of its log, row for row.

use std::fs;

use hermes::{ContentCapture, ErrorKind, Store};
use serde_json::{Value, json};

use crate::agent::{Place, until};
use crate::script;
use crate::tables::assert_same;

/// What a run can hold: failures, retries, costs that do not add up exactly, texts of all sorts.
fn a_mixed_run() {
    #[hermes::session(id = "mixed", platform = "telegram")]
    fn session() {
        for number in 0..3 {
            turn(number);
        }
    }
    #[hermes::turn(user_message = "zeile\nwith \"quotes\" and \u{2028} käse")]
    fn turn(number: i64) {
        let _ = ask(number == 1);
        let _ = ask(false);
        let _ = read("a\0b");
        tracing::info!(hermes.message_count = number, "an event");
        step(number);
        happen(number);
    }
    fn happen(number: i64) {
        use hermes::event;
        event::gateway("telegram", "inbound", "").attachments(number);
        event::cron("daily", "zeile\nzwei");
        event::skill("used", "sk-abcdefghijklmnopqrstuvwxyz012345");
        event::memory("read", "ok");
        event::feedback("thumbs_up");
        event::error(hermes::ErrorClass::Auth, "gateway", "none");
    }
    #[hermes::chat(model = "m", provider = "p", fields(order.id = 7, share = 0.1 + 0.2))]
    fn ask(fails: bool) -> Result<(), std::io::Error> {
        hermes::current()
            .cost_usd(0.1)
            .usage(hermes::Usage {
                input_tokens: 3,
                output_tokens: 1,
                ..hermes::Usage::default()
            })
            .finish_reason("stop");
        if fails {
            return Err(std::io::Error::other(
                "HTTP 429, key sk-abcdefghijklmnopqrstuvwxyz012345",
            ));
        }
        Ok(())
    }
    #[hermes::tool(args = path, result)]
    fn read(path: &str) -> Value {
        json!({ "error": "no such file", "path": path })
    }
    #[hermes::instrument]
    fn step(number: i64) {
        let _ = number;
    }
    session();
}

#[test]
fn the_store_is_rebuilt_row_for_row() {
    for content in [ContentCapture::Off, ContentCapture::Local] {
        let place = Place::new();
        let agent = place.agent(|builder| {
            builder
                .capture_content(content)
                .capture_filter(r#"info,chat[{gen_ai.response.model="cheap"}]=off"#)
        });
        agent.run(script::session);
        agent.start(|| {
            for _ in 0..200 {
                a_mixed_run();
            }
            a_withdrawn_call(&place);
        });
        agent.run(a_mixed_run);
        agent.telemetry.shutdown(crate::agent::SOON).unwrap();

        let (rebuilt, tables) = place.rebuild();
        let store = place.tables();
        assert!(store["tel_error_events"].len() > 200);
        assert_eq!(store["tel_losses"].len(), 1, "the call that was left out");
        assert_same(&tables, &store);
        assert_eq!((rebuilt.skipped, rebuilt.missing), (0, 0));
        assert_eq!(rebuilt.spans, store["tel_spans"].len() as u64);
        assert_eq!(rebuilt.lines, place.lines().len() as u64);
        assert_eq!(place.lines_of("withdrawn"), 1);
        assert!(place.lines_of("started") >= 2);

        let text = place.lines().concat();
        assert!(!text.contains("sk-abc") && !text.contains("hunter22"));
        assert_eq!(text.contains("käse"), content == ContentCapture::Local);
    }
}

/// A call that the filter takes out when it is known by whom it was answered: after it was announced,
/// and after a tool was stored under it.
fn a_withdrawn_call(place: &Place) {
    #[hermes::session(id = "late")]
    fn session(place: &Place) {
        call(place);
    }
    #[hermes::chat(model = "m")]
    fn call(place: &Place) {
        tool();
        let before = place.lines_of("started");
        until("announced", || place.lines_of("started") >= before.max(2));
        hermes::current().response_model("cheap");
    }
    #[hermes::tool]
    fn tool() {}
    session(place);
}

#[test]
fn never_rotated() {
    let place = Place::new();
    let agent = place.agent(|builder| builder.event_log_max_bytes(20_000));
    for _ in 0..30 {
        agent.run(script::session);
    }
    agent.telemetry.shutdown(crate::agent::SOON).unwrap();
    let files = place.files();
    assert!(files.len() > 5, "{files:?}");
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        assert!(text.len() <= 20_000, "{}", text.len());
        let mut lines = text.lines();
        assert!(lines.next().unwrap().starts_with(r#"{"v":1,"line":"log","#));
        assert!(
            lines
                .next()
                .unwrap()
                .starts_with(r#"{"v":1,"line":"writer","#)
        );
    }
    let (rebuilt, tables) = place.rebuild();
    assert_same(&tables, &place.tables());
    assert_eq!((rebuilt.spans, rebuilt.skipped), (180, 0));
}

#[test]
fn only_so_many_rotated_files_are_kept() {
    let place = Place::new();
    let agent = place.agent(|builder| builder.event_log_max_bytes(20_000).event_log_max_files(2));
    for _ in 0..30 {
        agent.run(script::session);
    }
    agent.telemetry.shutdown(crate::agent::SOON).unwrap();
    assert_eq!(place.files().len(), 3);
    // What is left is enough for what is left, and its last run is whole.
    let (rebuilt, tables) = place.rebuild();
    let store = place.tables();
    assert!(rebuilt.spans < 180 && rebuilt.skipped == 0, "{rebuilt:?}");
    assert_eq!(tables["tel_runs"].last(), store["tel_runs"].last());
    assert_eq!(tables["tel_writers"], store["tel_writers"]);
}

#[test]
fn a_log_is_rebuilt_while_it_is_written() {
    let place = Place::new();
    let agent = place.agent(|builder| builder.event_log_max_bytes(20_000));
    let session = agent.start(|| tracing::info_span!("hermes.session", hermes.session.id = "s"));
    until("announced", || place.lines_of("started") == 1);
    agent.run(script::session);
    let (rebuilt, tables) = place.rebuild();
    assert_eq!(rebuilt.spans, 7);
    let open = tables["tel_runs"].iter().find(|run| run.contains("\"s\""));
    assert!(
        open.unwrap().contains("status=Text(\"interrupted\")"),
        "{open:?}"
    );
    agent.start(|| drop(session));
    agent.telemetry.shutdown(crate::agent::SOON).unwrap();
    assert_same(&place.rebuild().1, &place.tables());
}

#[test]
fn what_is_there_is_not_replaced() {
    let place = Place::new();
    let agent = place.agent(|builder| builder);
    agent.run(script::session);
    agent.telemetry.shutdown(crate::agent::SOON).unwrap();
    let before = fs::read(place.store()).unwrap();
    let error = Store::rebuild(place.log(), place.store()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(
        error.to_string().contains("telemetry.db already"),
        "{error}"
    );
    assert_eq!(fs::read(place.store()).unwrap(), before);

    // The log of a database that is gone would be read into a new one of its name.
    fs::remove_file(place.store()).unwrap();
    let wal = place.folder().join("t/telemetry.db-wal");
    fs::write(&wal, "of another database").unwrap();
    let error = Store::rebuild(place.log(), place.store()).unwrap_err();
    assert!(
        error.to_string().contains("telemetry.db-wal already"),
        "{error}"
    );
    fs::remove_file(&wal).unwrap();
    assert_eq!(Store::rebuild(place.log(), place.store()).unwrap().spans, 6);
    let runs = Store::open(place.store())
        .unwrap()
        .runs(&hermes::RunFilter::default());
    assert_eq!(runs.unwrap().len(), 1);
}

#[test]
fn what_is_no_log_of_ours_is_refused_and_nothing_is_made() {
    let place = Place::new();
    let into = place.folder().join("new.db");
    let log = place.folder().join("log.jsonl");
    let refused = |text: &str| {
        fs::write(&log, text).unwrap();
        let kind = Store::rebuild(&log, &into).unwrap_err().kind();
        let left = fs::read_dir(place.folder()).unwrap().count();
        assert_eq!(left, 1, "only the log itself");
        kind
    };
    assert_eq!(refused(""), ErrorKind::InvalidInput);
    assert_eq!(refused("notes\n{}\n"), ErrorKind::InvalidInput);
    let newer = "{\"v\":2,\"line\":\"log\",\"created_ns\":1,\"version\":\"9\"}\n";
    assert_eq!(refused(newer), ErrorKind::StoreTooNew);
    let missing = Store::rebuild(place.folder().join("none"), &into).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
}
