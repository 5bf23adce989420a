//! Real processes: two write one log at once, one is killed, one is told where its log is.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::agent::{Place, SOON, until};
use crate::script;
use crate::tables::{assert_same, without_surrogates};

/// How many sessions a child runs; set for children alone.
const SESSIONS: &str = "HERMES_TEST_SESSIONS";
/// The size at which a child's log is rotated.
const MAX_BYTES: &str = "HERMES_TEST_MAX_BYTES";
/// Whether a child stays until it is killed, with a session open.
const STAYS: &str = "HERMES_TEST_STAYS";

/// What a child process does. Run by the other tests alone: by itself it does nothing.
#[test]
fn child() {
    let Ok(sessions) = std::env::var(SESSIONS) else {
        return;
    };
    let mut builder = hermes::builder();
    if let Ok(bytes) = std::env::var(MAX_BYTES) {
        builder = builder.event_log_max_bytes(bytes.parse().unwrap());
    }
    let telemetry = builder.init().unwrap();
    for _ in 0..sessions.parse().unwrap() {
        script::session();
    }
    if std::env::var_os(STAYS).is_some() {
        #[hermes::tool(name = "endless")]
        fn tool() {
            std::thread::sleep(SOON);
        }
        let _session = tracing::info_span!("hermes.session", hermes.session.id = "open").entered();
        tool();
    }
    telemetry.shutdown(SOON).unwrap();
    println!("stats {:?}", telemetry.stats());
}

fn command(place: &Place, sessions: usize, environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "processes::child", "--nocapture"])
        .env_clear()
        .env("HERMES_TELEMETRY_DB", place.store())
        .env("HERMES_EVENT_LOG", "on")
        .env(SESSIONS, sessions.to_string())
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn finished(child: Child) -> Output {
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output
}

/// The lines that Hermes itself wrote.
fn said(output: &Output) -> Vec<String> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let ours = stderr.lines().filter(|line| line.starts_with("hermes: "));
    ours.map(str::to_owned).collect()
}

#[test]
fn processes_share_one_log_while_it_is_rotated() {
    let place = Place::new();
    let children: Vec<_> = (0..3)
        .map(|_| {
            command(&place, 200, &[(MAX_BYTES, "400000")])
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        assert_eq!(said(&finished(child)), [""; 0], "nothing to complain of");
    }
    assert!(place.files().len() > 2, "{:?}", place.files());
    let (rebuilt, tables) = place.rebuild();
    assert_eq!((rebuilt.spans, rebuilt.skipped), (3 * 200 * 6, 0));
    assert_eq!(rebuilt.missing, 0);
    assert_same(
        &without_surrogates(tables),
        &without_surrogates(place.tables()),
    );
}

#[test]
fn what_a_killed_process_left_open_is_interrupted_in_both() {
    let place = Place::new();
    // Somebody who lives on, so that two writers are in the log.
    let agent = place.agent(|builder| builder);
    let mut child = command(&place, 3, &[(STAYS, "1")]).spawn().unwrap();
    let open = "SELECT count(*) FROM tel_spans WHERE end_ns IS NULL";
    until("both open spans are stored", || {
        let store = rusqlite::Connection::open(place.store()).unwrap();
        store
            .query_row(open, [], |row| row.get::<_, i64>(0))
            .unwrap()
            == 2
    });
    child.kill().unwrap();
    child.wait().unwrap();
    agent.run(script::session);
    agent.telemetry.shutdown(SOON).unwrap();
    let (rebuilt, tables) = place.rebuild();
    assert_eq!((rebuilt.spans, rebuilt.skipped), (3 * 6 + 2 + 6, 0));
    let interrupted = |row: &&String| row.contains("status=Text(\"interrupted\")");
    assert_eq!(tables["tel_spans"].iter().filter(interrupted).count(), 2);
    assert_eq!(tables["tel_runs"].iter().filter(interrupted).count(), 1);
    let mut tools = tables["tel_tool_calls"].iter().filter(interrupted);
    assert!(tools.next().unwrap().contains("endless"));
    assert_same(&tables, &place.tables());
}

#[test]
fn the_environment_says_where_the_log_is() {
    let place = Place::new();
    let elsewhere = place.folder().join("elsewhere/log.jsonl");
    let run = |value: &str| {
        let child = command(&place, 1, &[("HERMES_EVENT_LOG", value)]).spawn();
        assert_eq!(said(&finished(child.unwrap())), [""; 0]);
    };
    run("off");
    assert!(!place.log().exists());
    run("on");
    assert_eq!(place.lines_of("ended"), 6);
    run(elsewhere.to_str().unwrap());
    assert_eq!(place.lines_of("ended"), 6);
    let text = std::fs::read_to_string(&elsewhere).unwrap();
    assert_eq!(text.matches("\"line\":\"ended\"").count(), 6);
}

#[test]
fn a_log_that_cannot_be_written_is_told_once_and_the_store_is_complete() {
    let place = Place::new();
    let file = place.folder().join("file");
    std::fs::write(&file, "").unwrap();
    let log: &Path = &file.join("x/events.jsonl");
    let log = log.to_str().unwrap();
    let child = command(&place, 2, &[("HERMES_EVENT_LOG", log)]).spawn();
    let output = finished(child.unwrap());
    let said = said(&output);
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].contains(log), "{said:?}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    for count in ["captured: 12", "written: 12", "event_log_dropped: 12"] {
        assert!(stdout.contains(count), "{stdout}");
    }
    assert_eq!(place.tables()["tel_spans"].len(), 12);
}
