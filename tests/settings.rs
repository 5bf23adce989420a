//! Settings in real processes: the environment and the files of a home, and many that change consent at once.

#![expect(clippy::print_stdout, reason = "a child tells its parent")]
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use hermes::privacy::{ConsentState, Origin};

/// What a child does; set for children alone.
const TASK: &str = "HERMES_TEST_TASK";

/// Not a test of its own: what children run.
#[test]
fn child() {
    match std::env::var(TASK).as_deref() {
        Ok("status") => {
            let status = hermes::builder().privacy().status();
            println!("STATUS{}", serde_json::to_string(&status).unwrap());
        }
        Ok("consent") => {
            for round in 0..10 {
                let state = if round % 2 == 0 {
                    ConsentState::Aggregate
                } else {
                    ConsentState::Local
                };
                hermes::builder().privacy().set_consent(state).unwrap();
            }
        }
        Ok("run") => {
            let telemetry = hermes::init().unwrap();
            hermes::session("s").start().end();
            drop(telemetry);
        }
        _ => {}
    }
}

fn child_of(home: &Path, task: &str, environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["child", "--exact", "--nocapture"])
        .env_clear()
        .env("HERMES_HOME", home)
        .env(TASK, task)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn status(home: &Path, environment: &[(&str, &str)]) -> serde_json::Value {
    let output = child_of(home, "status", environment).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let json = text.split_once("STATUS").unwrap().1.lines().next().unwrap();
    serde_json::from_str(json).unwrap()
}

#[test]
fn the_file_of_the_home_is_read_and_the_environment_beats_it() {
    let home = tempfile::tempdir().unwrap();
    let text = "[export.otlp]\nenabled = true\nendpoint = \"http://file.example:1\"\n";
    fs::write(home.path().join("telemetry.toml"), text).unwrap();
    let by_file = status(home.path(), &[]);
    let settings = &by_file["settings"];
    assert_eq!(
        settings["export.otlp.endpoint"]["value"],
        "http://file.example:1"
    );
    assert_eq!(settings["export.otlp.endpoint"]["source"], "file");
    assert_eq!(by_file["planes"]["otlp"]["is_open"], true);
    assert_eq!(by_file["planes"]["local"]["reason"], "the default");

    let environment = [
        ("HERMES_OTEL_EXPORTER", "none"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://env.example:2"),
    ];
    let by_environment = status(home.path(), &environment);
    let settings = &by_environment["settings"];
    assert_eq!(
        settings["export.otlp.endpoint"]["value"],
        "http://env.example:2"
    );
    assert_eq!(settings["export.otlp.enabled"]["source"], "environment");
    assert_eq!(by_environment["planes"]["otlp"]["is_open"], false);
}

#[test]
fn no_variable_moves_the_managed_file() {
    let home = tempfile::tempdir().unwrap();
    let elsewhere = home.path().join("elsewhere.toml");
    fs::write(&elsewhere, "consent_state = \"aggregate\"\n").unwrap();
    let elsewhere = elsewhere.to_str().unwrap();
    let names = [
        "HERMES_MANAGED",
        "HERMES_MANAGED_FILE",
        "HERMES_MANAGED_PATH",
        "HERMES_MANAGED_CONFIG",
        "HERMES_CONFIG",
        "HERMES_SETTINGS_FILE",
        "XDG_CONFIG_DIRS",
    ];
    let status = status(home.path(), &names.map(|name| (name, elsewhere)));
    let files = status["files"].as_array().unwrap();
    assert_eq!(files.len(), 2);
    assert_eq!(files[1]["path"], "/etc/hermes/telemetry.toml");
    assert_eq!(status["settings"]["consent_state"]["value"], "unknown");
}

#[test]
fn what_is_wrong_is_one_line_on_stderr_and_the_agent_runs() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("telemetry.toml");
    fs::write(&file, "local = true\nconsent_state = yes\n").unwrap();
    let Output { status, stderr, .. } = child_of(home.path(), "run", &[]).output().unwrap();
    assert!(status.success());
    let stderr = String::from_utf8(stderr).unwrap();
    let lines: Vec<_> = stderr
        .lines()
        .filter(|line| line.starts_with("hermes: "))
        .collect();
    assert_eq!(lines.len(), 1, "{stderr}");
    let expected = format!("hermes: {}: line 2: it is not TOML (", file.display());
    assert!(lines[0].starts_with(&expected), "{stderr}");
    assert!(home.path().join("telemetry/telemetry.db").exists());
}

#[test]
fn whoever_waits_for_spans_that_may_not_leave_is_told_why() {
    let home = tempfile::tempdir().unwrap();
    let text = "export.otlp.enabled = false\n";
    fs::write(home.path().join("telemetry.toml"), text).unwrap();
    let environment = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://ada:hush@127.0.0.1:9")];
    let output = child_of(home.path(), "run", &environment).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    let expected = "hermes: spans do not leave over OTLP: `export.otlp.enabled`, file\n";
    assert!(stderr.contains(expected), "{stderr}");
    assert!(!stderr.contains("hush"), "{stderr}");
}

#[test]
fn processes_that_change_consent_at_once_lose_no_change_and_spoil_no_file() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("telemetry.toml");
    fs::write(&file, "# mine\nmax_bytes = 7 # few\n").unwrap();
    let children: Vec<_> = (0..6)
        .map(|_| child_of(home.path(), "consent", &[]).spawn().unwrap())
        .collect();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    let privacy = hermes::builder().settings_file(&file).privacy();
    let history = privacy.consent_history().unwrap();
    assert_eq!(history.len(), 60);
    let mut held = ConsentState::Unknown;
    for (number, change) in (1..).zip(&history) {
        assert_eq!((change.seq, change.from), (number, held));
        assert_eq!(change.origin, Origin::Set);
        held = change.to;
    }
    assert_eq!(privacy.consent(), held);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("# mine\nmax_bytes = 7 # few\n"), "{text}");
    assert_eq!(text.matches("install_id").count(), 1);
    let left: Vec<_> = fs::read_dir(home.path()).unwrap().collect();
    assert_eq!(left.len(), 2, "{left:?}");
}
