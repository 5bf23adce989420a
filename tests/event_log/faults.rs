//! Faults: each costs the agent nothing and the store nothing, and the log no more than it must.

use std::fs;
use std::fs::OpenOptions;
use std::path::Path;
use std::time::{Duration, Instant};

use hermes::ContentCapture;
use serde_json::Value;

use crate::agent::{Place, SOON, until};
use crate::script;
use crate::tables::{Tables, assert_same};

/// The rows of a table that hold a text.
fn with<'t>(tables: &'t Tables, table: &str, text: &str) -> Vec<&'t String> {
    tables[table]
        .iter()
        .filter(|row| row.contains(text))
        .collect()
}

fn cut_off(path: &Path, bytes: u64) {
    let file = OpenOptions::new().write(true).open(path).unwrap();
    let length = file.metadata().unwrap().len();
    file.set_len(length - bytes).unwrap();
}

#[test]
fn bad_event_truncates_jsonl() {
    let place = Place::new();
    let agent = place.agent(|builder| builder.capture_content(ContentCapture::Local));
    agent.run(|| {
        for number in 0..10 {
            let cost = if number == 2 { f64::NAN } else { 0.5 };
            let bad = if number == 2 { f64::NEG_INFINITY } else { 1.0 };
            tracing::info_span!(
                "hermes.chat",
                gen_ai.request.model = "a\nb\u{0}\"\\\u{7f}",
                gen_ai.request.temperature = bad,
                hermes.cost_usd = cost,
                anything = f64::INFINITY,
            )
            .in_scope(|| {});
        }
    });
    agent.telemetry.shutdown(SOON).unwrap();
    assert_eq!(place.lines_of("ended"), 10);
    for line in place.lines() {
        let _: Value = serde_json::from_str(&line).unwrap();
    }
    let (rebuilt, tables) = place.rebuild();
    assert_eq!((rebuilt.spans, rebuilt.skipped), (10, 0));
    assert_same(&tables, &place.tables());
}

#[test]
fn a_torn_last_line_costs_only_itself() {
    let place = Place::new();
    let agent = place.agent(|builder| builder);
    agent.run(script::session);
    // In the middle of the line of the session, the last to end; what comes next is whole.
    cut_off(&place.log(), 100);
    agent.run(script::session);
    agent.telemetry.shutdown(SOON).unwrap();
    // In the middle of the last line of all, which says that the writer has ended.
    cut_off(&place.log(), 10);

    let (rebuilt, tables) = place.rebuild();
    let store = place.tables();
    assert_eq!((rebuilt.spans, rebuilt.skipped), (11, 2));
    let lost: Vec<_> = store["tel_spans"]
        .iter()
        .filter(|row| !tables["tel_spans"].contains(row))
        .map(|row| row.lines().find(|column| column.starts_with("span_id")))
        .collect();
    // The later spans have moved up by one; their own columns are the same.
    let spans = |tables: &Tables| -> Vec<String> {
        let id = |row: &String| {
            row.lines()
                .find(|line| line.starts_with("span_id="))
                .unwrap()
                .to_owned()
        };
        tables["tel_spans"].iter().map(id).collect()
    };
    let mut expected = spans(&store);
    expected.remove(5);
    assert_eq!(spans(&tables), expected, "{lost:?}");
    assert_eq!(tables["tel_writers"], store["tel_writers"]);
    assert_eq!(tables["tel_runs"][1], store["tel_runs"][1]);
}

#[test]
fn a_changed_byte_costs_only_its_line() {
    let place = Place::new();
    let agent = place.agent(|builder| builder);
    agent.run(script::session);
    agent.telemetry.shutdown(SOON).unwrap();
    let mut bytes = fs::read(place.log()).unwrap();
    let number = b"\"start_ns\":";
    let mut starts = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(number));
    // A digit of a time: the line is still JSON, and it is no longer true.
    let at = starts.nth(2).unwrap() + number.len() + 3;
    bytes[at] = if bytes[at] == b'1' { b'2' } else { b'1' };
    fs::write(place.log(), bytes).unwrap();
    let (rebuilt, tables) = place.rebuild();
    assert_eq!((rebuilt.spans, rebuilt.skipped), (5, 1));
    let store = place.tables();
    let first_two = |tables: &Tables| tables["tel_spans"][..2].to_vec();
    assert_eq!(first_two(&tables), first_two(&store));
    assert_eq!(tables["tel_model_calls"].len(), 2);
    assert_eq!(with(&tables, "tel_tool_calls", "search").len(), 0);
}

#[test]
fn a_line_that_says_who_wrote_may_be_lost() {
    let place = Place::new();
    let agent = place.agent(|builder| builder);
    agent.run(script::session);
    agent.telemetry.shutdown(SOON).unwrap();
    let text = fs::read_to_string(place.log()).unwrap();
    fs::write(
        place.log(),
        text.replace("\"line\":\"writer\"", "\"line\":\"wri\""),
    )
    .unwrap();
    let (rebuilt, tables) = place.rebuild();
    assert_eq!((rebuilt.spans, rebuilt.skipped), (6, 1));
    let store = place.tables();
    assert_eq!(tables["tel_spans"], store["tel_spans"]);
    assert_eq!(tables["tel_runs"], store["tel_runs"]);
    assert_eq!(tables["tel_writers"].len(), 1);
}

#[test]
fn a_log_that_was_deleted_or_moved_away_is_begun_anew() {
    let place = Place::new();
    let log = place.folder().join("logs/events.jsonl");
    let agent = place.agent(|builder| builder.event_log(&log));
    agent.run(script::session);
    fs::remove_file(&log).unwrap();
    agent.run(script::session);
    fs::rename(place.folder().join("logs"), place.folder().join("old")).unwrap();
    agent.run(script::session);
    agent.telemetry.shutdown(SOON).unwrap();
    let ended = |path: &Path| {
        fs::read_to_string(path)
            .unwrap()
            .matches("\"ended\"")
            .count()
    };
    assert_eq!(ended(&place.folder().join("old/events.jsonl")), 6);
    assert_eq!(ended(&log), 6);
    assert_eq!(agent.telemetry.stats().event_log_dropped, 0);
    let into = place.folder().join("rebuilt.db");
    assert_eq!(hermes::Store::rebuild(&log, into).unwrap().spans, 6);
    assert_eq!(place.tables()["tel_spans"].len(), 18);
}

#[test]
fn a_file_of_something_else_is_not_written_to() {
    let place = Place::new();
    fs::create_dir(place.folder().join("t")).unwrap();
    fs::write(place.log(), "my notes\n").unwrap();
    let agent = place.agent(|builder| builder);
    agent.run(script::session);
    agent.telemetry.shutdown(SOON).unwrap();
    assert_eq!(agent.telemetry.stats().event_log_dropped, 6);
    assert_eq!(place.tables()["tel_spans"].len(), 6);
    assert_eq!(fs::read_to_string(place.log()).unwrap(), "my notes\n");
    assert_eq!(place.files().len(), 1);
}

#[test]
fn a_log_in_the_place_of_the_store_does_not_keep_the_store_out() {
    let place = Place::new();
    let agent = place.agent(|builder| builder.event_log(place.store()));
    agent.run(script::session);
    agent.telemetry.shutdown(SOON).unwrap();
    assert_eq!(place.tables()["tel_spans"].len(), 6);
}

/// A device that is always full; the log that leads to it is repaired while the agent runs.
#[cfg(target_os = "linux")]
#[test]
fn disk_full() {
    let place = Place::new();
    fs::create_dir(place.folder().join("t")).unwrap();
    std::os::unix::fs::symlink("/dev/full", place.log()).unwrap();
    let agent = place.agent(|builder| builder);
    let (begun, mut sessions) = (Instant::now(), 0);
    // Long enough for several tries.
    while begun.elapsed() < Duration::from_secs(1) {
        agent.run(script::session);
        sessions += 1;
    }
    let stats = agent.telemetry.stats();
    let waiting = (stats.written, stats.event_log_dropped);
    assert_eq!(waiting, (sessions * 6, 0), "stored, and not given up");

    fs::remove_file(place.log()).unwrap();
    until("written after all", || {
        place.lines_of("ended") as u64 == sessions * 6
    });
    agent.run(script::session);
    agent.telemetry.shutdown(SOON).unwrap();
    assert_eq!(agent.telemetry.stats().event_log_dropped, 0);
    let (rebuilt, tables) = place.rebuild();
    assert_eq!((rebuilt.missing, rebuilt.skipped), (0, 0));
    assert_same(&tables, &place.tables());
}

/// "Source of truth" that cannot be written does not count as written: what never got into the log
/// is counted, and the log says so itself once it can.
#[test]
fn lines_that_cannot_wait_any_longer_are_counted() {
    let place = Place::new();
    let in_the_way = place.folder().join("file");
    fs::write(&in_the_way, "").unwrap();
    let log = in_the_way.join("events.jsonl");
    let agent = place.agent(|builder| {
        builder
            .event_log(&log)
            .capture_content(ContentCapture::Local)
    });
    let text = "x".repeat(60_000);
    let tools = || {
        for _ in 0..64 {
            tracing::info_span!("hermes.tool", hermes.tool.args = text.as_str()).in_scope(|| {});
        }
    };
    for _ in 0..8 {
        agent.run(tools);
    }
    let lost = agent.telemetry.stats().event_log_dropped;
    assert!((1..512).contains(&lost), "{lost}");
    assert_eq!(agent.telemetry.stats().written, 512);

    fs::remove_file(&in_the_way).unwrap();
    until("written after all", || log.exists());
    agent.run(tools);
    agent.telemetry.shutdown(SOON).unwrap();
    let rebuilt = hermes::Store::rebuild(&log, place.folder().join("rebuilt.db")).unwrap();
    assert_eq!((rebuilt.missing, rebuilt.spans), (lost, 512 + 64 - lost));
    assert_eq!(place.tables()["tel_spans"].len(), 512 + 64);
}

#[cfg(unix)]
#[test]
fn file_mode() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let log = place.folder().join("a/b/events.jsonl");
    let agent = place.agent(|builder| builder.event_log(&log).event_log_max_bytes(1));
    agent.run(script::session);
    agent.run(script::session);
    agent.telemetry.shutdown(SOON).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&place.folder().join("a")), 0o700);
    let folder = log.parent().unwrap();
    assert_eq!(mode(folder), 0o700);
    let files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    assert!(files.len() > 2, "{files:?}");
    for file in files {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
    let into = place.folder().join("c/rebuilt.db");
    hermes::Store::rebuild(&log, &into).unwrap();
    assert_eq!(mode(into.parent().unwrap()), 0o700);
    assert_eq!(mode(&into), 0o600);
}
