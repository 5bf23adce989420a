//! Real processes: two write one store at once, the environment is obeyed, and bad values are told.

#![expect(clippy::print_stdout, reason = "a child tells its parent")]
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]

#[path = "it/support/collector.rs"]
#[expect(dead_code, reason = "shared with tests that use more of it")]
mod collector;

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

#[cfg(feature = "otlp-logs")]
use collector::Collector;
use hermes::ErrorKind;
use rusqlite::Connection;
use serde_json::Value;

/// How many sessions a child runs; set for children alone.
const SESSIONS: &str = "HERMES_TEST_SESSIONS";
const SOON: Duration = Duration::from_secs(60);

#[hermes::session(id = "child")]
fn session() {
    turn("what time is it");
}

#[hermes::turn(user_message = question)]
fn turn(question: &str) {
    let _ = question;
    chat();
    tool();
}

#[hermes::chat(model = "m", provider = "p")]
fn chat() {
    tracing::info!("asking");
    hermes::current().output("noon");
}

#[hermes::tool]
fn tool() {}

/// What a child process does. Run by the other tests alone: by itself it does nothing.
#[test]
fn child() {
    let Ok(sessions) = std::env::var(SESSIONS) else {
        return;
    };
    let telemetry = hermes::init().unwrap();
    assert_eq!(
        hermes::init().unwrap_err().kind(),
        ErrorKind::AlreadyInstalled
    );
    for _ in 0..sessions.parse().unwrap() {
        session();
    }
    // A store that cannot be had is told on stderr; the agent goes on.
    telemetry.shutdown(SOON).ok();
    println!("stats {:?}", telemetry.stats());
}

fn command(home: &Path, sessions: usize, environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "child", "--nocapture"])
        .env_clear()
        .env("HERMES_HOME", home)
        .env(SESSIONS, sessions.to_string())
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(home: &Path, environment: &[(&str, &str)]) -> Output {
    let output = command(home, 1, environment).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output
}

/// The lines that Hermes itself wrote.
fn said(output: &Output) -> Vec<String> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    stderr
        .lines()
        .filter(|line| line.starts_with("hermes: "))
        .map(str::to_owned)
        .collect()
}

fn count(home: &Path) -> i64 {
    let path = home.join("telemetry/telemetry.db");
    let Ok(store) = Connection::open(path) else {
        return 0;
    };
    store
        .query_row("SELECT count(*) FROM tel_spans", [], |row| row.get(0))
        .unwrap_or(0)
}

#[test]
fn two_processes_write_one_store_at_once() {
    let home = tempfile::tempdir().unwrap();
    let children: Vec<_> = (0..2)
        .map(|_| command(home.path(), 500, &[]).spawn().unwrap())
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(said(&output), [""; 0], "nothing to complain of");
    }
    assert_eq!(count(home.path()), 2 * 500 * 4);
    let store = Connection::open(home.path().join("telemetry/telemetry.db")).unwrap();
    let check: String = store
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
    let runs: i64 = store
        .query_row(
            "SELECT count(*) FROM tel_runs WHERE model_call_count = 1",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(runs, 1000);
}

#[test]
fn a_quiet_environment_prints_nothing_and_sends_nothing() {
    let home = tempfile::tempdir().unwrap();
    let output = run(home.path(), &[]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(count(home.path()), 4);
}

#[test]
fn the_console_prints_the_stored_ids_one_json_line_a_span() {
    let home = tempfile::tempdir().unwrap();
    let output = run(
        home.path(),
        &[
            ("HERMES_OTEL_EXPORTER", "console"),
            ("OTEL_SERVICE_NAME", "shell"),
            ("RUST_LOG", "off"),
        ],
    );
    let stderr = String::from_utf8(output.stderr).unwrap();
    let spans: Vec<Value> = stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(spans.len(), 4, "{stderr}");
    let store = Connection::open(home.path().join("telemetry/telemetry.db")).unwrap();
    let mut query = store
        .prepare("SELECT span_id, trace_id, name, ifnull(parent_span_id, '') FROM tel_spans")
        .unwrap();
    let stored: HashMap<String, [String; 3]> = query
        .query_map([], |row| {
            Ok((row.get(0)?, [row.get(1)?, row.get(2)?, row.get(3)?]))
        })
        .unwrap()
        .map(Result::unwrap)
        .collect();
    for span in &spans {
        let [trace, name, parent] = &stored[span["span_id"].as_str().unwrap()];
        assert_eq!(span["trace_id"], trace.as_str());
        assert_eq!(span["name"], name.as_str());
        assert_eq!(span["parent_span_id"].as_str().unwrap_or_default(), parent);
        assert_eq!(span["resource"]["service.name"], "shell");
        assert!(span["attributes"]["hermes.span.kind"].is_string());
    }
}

#[test]
fn the_otel_variable_says_where_content_stands() {
    let places = |placement: &str| {
        let home = tempfile::tempdir().unwrap();
        let output = run(
            home.path(),
            &[
                ("HERMES_OTEL_EXPORTER", "console"),
                ("HERMES_OTEL_CAPTURE_CONTENT", "true"),
                (
                    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
                    placement,
                ),
                ("RUST_LOG", "off"),
            ],
        );
        let stderr = String::from_utf8(output.stderr).unwrap();
        let line = stderr
            .lines()
            .find(|line| line.contains("\"hermes.turn\""))
            .unwrap();
        let turn: Value = serde_json::from_str(line).unwrap();
        let on_span = turn["attributes"].get("hermes.turn.user_message").is_some();
        (
            on_span,
            turn["events"].to_string().contains("what time is it"),
        )
    };
    assert_eq!(places("SPAN_ONLY"), (true, false));
    assert_eq!(places("EVENT_ONLY"), (false, true));
    assert_eq!(places("SPAN_AND_EVENT"), (true, true));
    assert_eq!(places("NO_CONTENT"), (false, false));
}

#[test]
fn switched_off_nothing_is_kept() {
    let home = tempfile::tempdir().unwrap();
    let output = run(home.path(), &[("HERMES_OTEL_ENABLED", "false")]);
    assert_eq!(said(&output), [""; 0]);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    // The SDK's own switch turns off only what leaves.
    let console = [
        ("OTEL_SDK_DISABLED", "true"),
        ("HERMES_OTEL_EXPORTER", "console"),
    ];
    let output = run(home.path(), &console);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(count(home.path()), 4);
}

#[test]
fn bad_values_are_told_once_each_and_the_agent_runs_on() {
    let home = tempfile::tempdir().unwrap();
    let output = run(
        home.path(),
        &[
            ("HERMES_CAPTURE", "info,hermes.tool=loud"),
            ("HERMES_OTEL_CAPTURE_CONTENT", "perhaps"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "not an url"),
            ("HERMES_OTEL_SEMCONV", "genai,hermes"),
        ],
    );
    let said = said(&output);
    let about = |what: &str| said.iter().filter(|line| line.contains(what)).count();
    assert_eq!(about("HERMES_CAPTURE"), 1, "{said:#?}");
    assert_eq!(
        about("HERMES_OTEL_CAPTURE_CONTENT=\"perhaps\""),
        1,
        "{said:#?}"
    );
    assert_eq!(about("not an url"), 1, "{said:#?}");
    assert_eq!(about("HERMES_OTEL_SEMCONV"), 1, "{said:#?}");
    assert_eq!(said.len(), 4, "{said:#?}");
    assert_eq!(count(home.path()), 4, "what can be kept is kept");
}

#[test]
fn an_unwritable_store_is_told_and_in_the_end_what_it_cost() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    let path = file.join("x/telemetry.db");
    let output = run(
        home.path(),
        &[("HERMES_TELEMETRY_DB", path.to_str().unwrap())],
    );
    let said = said(&output);
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(said[0].contains(file.to_str().unwrap()), "{said:?}");
    assert!(said[1].contains("cannot keep spans"), "{said:?}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        stdout.contains("captured: 4") && stdout.contains("\"store_error\": 4"),
        "{stdout}"
    );
}

#[test]
fn the_log_goes_to_stderr_as_rust_log_says() {
    let home = tempfile::tempdir().unwrap();
    let output = run(home.path(), &[("RUST_LOG", "info")]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("asking"));
    let log = home.path().join("hermes.log");
    let output = run(
        home.path(),
        &[
            ("HERMES_CAPTURE", "x=y"),
            ("HERMES_OTEL_LOG_FILE", log.to_str().unwrap()),
        ],
    );
    assert_eq!(said(&output), [""; 0]);
    assert!(
        std::fs::read_to_string(log)
            .unwrap()
            .starts_with("hermes: HERMES_CAPTURE")
    );
}

#[cfg(feature = "otlp-logs")]
#[test]
fn the_environment_sends_log_records_where_it_says() {
    let home = tempfile::tempdir().unwrap();
    let (spans, logs) = (Collector::start(), Collector::start());
    let traces = ("OTEL_EXPORTER_OTLP_ENDPOINT", spans.endpoint());
    let here = format!("{}/custom/v1/logs", logs.endpoint());
    let with = |pairs: &[(&str, &str)]| {
        let pairs: Vec<_> = [(traces.0, traces.1.as_str()), ("RUST_LOG", "off")]
            .into_iter()
            .chain(pairs.iter().copied())
            .collect();
        said(&run(home.path(), &pairs))
    };
    assert_eq!(with(&[]), [""; 0]);
    assert_eq!(with(&[("OTEL_LOGS_EXPORTER", "none")]), [""; 0]);
    assert_eq!((spans.log_requests(), logs.log_requests()), (0, 0));

    let otlp = ("OTEL_LOGS_EXPORTER", "otlp");
    assert_eq!(with(&[otlp]), [""; 0]);
    assert_eq!(spans.logs().len(), 1, "by the base URL");
    assert_eq!(spans.logs()[0].body, "asking");

    let own = [
        otlp,
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &here),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "x-key=of%20logs"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-team=all"),
        ("OTEL_SERVICE_NAME", "shell"),
    ];
    assert_eq!(with(&own), [""; 0]);
    let sent = logs.logs();
    assert_eq!((sent.len(), spans.logs().len()), (1, 1));
    assert_eq!(sent[0].resource["service.name"], "shell");
    assert_eq!(logs.header("x-key").as_deref(), Some("of logs"));
    assert_eq!(logs.header(":path").as_deref(), Some("/custom/v1/logs"));

    let disabled = [otlp, ("OTEL_SDK_DISABLED", "true")];
    assert_eq!(with(&disabled), [""; 0]);
    assert_eq!((logs.logs().len(), spans.logs().len()), (1, 1));

    let grpc = Collector::start_grpc();
    let grpc_endpoint = grpc.endpoint();
    let by_grpc = [
        otlp,
        ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &grpc_endpoint),
        ("OTEL_EXPORTER_OTLP_LOGS_HEADERS", "x-key=of-logs"),
    ];
    assert_eq!(with(&by_grpc), [""; 0]);
    assert_eq!(grpc.logs().len(), 1);
    assert_eq!(grpc.header("x-key").as_deref(), Some("of-logs"));
}

#[cfg(feature = "otlp-logs")]
#[test]
fn the_details_of_a_model_call_leave_where_they_are_asked_for() {
    let details = |placement: &str| {
        let home = tempfile::tempdir().unwrap();
        let output = run(
            home.path(),
            &[
                ("OTEL_LOGS_EXPORTER", "console"),
                ("HERMES_CAPTURE", "info,hermes=debug"),
                ("HERMES_OTEL_CAPTURE_CONTENT", "true"),
                (
                    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
                    placement,
                ),
                ("RUST_LOG", "off"),
            ],
        );
        let stderr = String::from_utf8(output.stderr).unwrap();
        let mut lines = stderr
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let name = "gen_ai.client.inference.operation.details";
        let details = lines.find(|line| line["event_name"] == name).unwrap();
        assert_eq!(details["attributes"]["gen_ai.request.model"], "m");
        assert_eq!(details["severity"], "DEBUG");
        details["attributes"]["gen_ai.output.messages"].clone()
    };
    assert_eq!(details("SPAN_ONLY"), Value::Null);
    let said = details("EVENT_ONLY");
    assert!(
        said.is_array() && said.to_string().contains("noon"),
        "{said}"
    );
}

#[cfg(feature = "otlp-logs")]
#[test]
fn words_about_log_records_that_make_no_sense_are_told_once() {
    let home = tempfile::tempdir().unwrap();
    let collector = Collector::start().hang();
    let endpoint = collector.endpoint();
    let output = run(
        home.path(),
        &[
            ("OTEL_LOGS_EXPORTER", "syslog,otlp"),
            ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", &endpoint),
            // Nobody answers, and a try takes no longer than this.
            ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "50"),
            ("RUST_LOG", "off"),
        ],
    );
    let said = said(&output);
    assert_eq!(said.len(), 2, "{said:#?}");
    let word =
        "hermes: OTEL_LOGS_EXPORTER=\"syslog\" is not one of otlp, console, none; using the others";
    assert_eq!(said[0], word);
    assert!(said[1].contains("no answer within 50ms"), "{said:#?}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("{\"otlp_http\": 1}"), "{stdout}");
}

#[cfg(feature = "otlp-logs")]
#[test]
fn the_console_prints_log_records_one_json_line_each() {
    let home = tempfile::tempdir().unwrap();
    let output = run(
        home.path(),
        &[("OTEL_LOGS_EXPORTER", "console"), ("RUST_LOG", "off")],
    );
    let stderr = String::from_utf8(output.stderr).unwrap();
    let line: Value = serde_json::from_str(stderr.trim()).unwrap();
    assert_eq!(
        (&line["body"], &line["severity"]),
        (&"asking".into(), &"INFO".into())
    );
    let store = Connection::open(home.path().join("telemetry/telemetry.db")).unwrap();
    let query = "SELECT span_id FROM tel_spans WHERE name = 'chat m'";
    let span: String = store.query_row(query, [], |row| row.get(0)).unwrap();
    assert_eq!(line["span_id"], span.as_str());
    assert_eq!(line["target"], "processes");
    assert_eq!(line["resource"]["service.name"], "hermes-agent");
}

#[cfg(unix)]
#[test]
fn the_stores_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    run(home.path(), &[]);
    let folder = home.path().join("telemetry");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for file in std::fs::read_dir(&folder)
        .unwrap()
        .map(|file| file.unwrap().path())
    {
        assert_eq!(
            mode(&file),
            if file.is_dir() { 0o700 } else { 0o600 },
            "{}",
            file.display()
        );
    }
}
