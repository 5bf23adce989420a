//! A process of its own: it runs sessions as its environment says, and tells what it counted.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::agent::session;
use crate::collector::SOON;

/// How many sessions a child runs; set for children alone.
const SESSIONS: &str = "HERMES_TEST_SESSIONS";
/// What it does then: `exit`, `deliver` (wait until nothing is owed), or `hang` in an open session.
const THEN: &str = "HERMES_TEST_THEN";

/// What a child counted.
#[derive(Debug)]
pub(crate) struct Told(BTreeMap<String, u64>);

impl Told {
    pub(crate) fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    /// Spans that it gave up.
    pub(crate) fn dropped(&self) -> u64 {
        let reasons = self.0.iter().filter(|(what, _)| what.starts_with("otlp_"));
        reasons.map(|(_, count)| count).sum()
    }
}

/// What a child process does. Run by the other tests alone: by itself it does nothing.
#[test]
fn child() {
    let Ok(sessions) = std::env::var(SESSIONS) else {
        return;
    };
    let telemetry = hermes::init().unwrap();
    for _ in 0..sessions.parse().unwrap() {
        session();
    }
    telemetry.flush(SOON).unwrap();
    match std::env::var(THEN).unwrap().as_str() {
        "hang" => hang(),
        "deliver" => {
            // It may not have taken over yet what others left: the parent says what to wait for.
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).unwrap();
            let begun = Instant::now();
            while telemetry.stats().export_pending > 0 {
                assert!(begun.elapsed() < SOON, "{:?}", telemetry.stats());
                std::thread::yield_now();
            }
        }
        _ => {}
    }
    telemetry.shutdown(SOON).unwrap();
    let stats = telemetry.stats();
    println!("exported {}", stats.exported);
    println!("pending {}", stats.export_pending);
    for (reason, count) in &stats.export_dropped {
        println!("{reason} {count}");
    }
}

/// A session that nothing but the end of its process ends.
#[hermes::session(id = "killed")]
fn hang() {
    session();
    hang_in_turn();
}

#[hermes::turn]
fn hang_in_turn() {
    session();
    println!("hanging");
    std::thread::sleep(SOON);
}

/// A child, and the store that it shares with those before and after it.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    /// Starts a child that runs so many sessions and then does something.
    pub(crate) fn start(
        home: &Path,
        endpoint: &str,
        sessions: usize,
        then: &str,
        environment: &[(&str, &str)],
    ) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "child::child", "--nocapture"])
            .env_clear()
            .env("HERMES_HOME", home)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .env(SESSIONS, sessions.to_string())
            .env(THEN, then)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit());
        Process {
            child: command.spawn().unwrap(),
        }
    }

    /// Waits for the end of the child, which may wait for us to say so.
    pub(crate) fn end(mut self) -> Told {
        drop(self.child.stdin.take());
        let mut out = String::new();
        let mut stdout = self.child.stdout.take().unwrap();
        stdout.read_to_string(&mut out).unwrap();
        assert!(self.child.wait().unwrap().success(), "{out}");
        let counts = out.lines().filter_map(|line| {
            let (what, count) = line.split_once(' ')?;
            Some((what.to_owned(), count.parse().ok()?))
        });
        Told(counts.collect())
    }

    /// Waits until the child says this line.
    pub(crate) fn wait_for_line(&mut self, wanted: &str) {
        let mut lines = BufReader::new(self.child.stdout.as_mut().unwrap()).lines();
        let found = lines.any(|line| line.unwrap().ends_with(wanted));
        assert!(found, "the child never said {wanted:?}");
    }

    /// Kills the child as nothing can be prepared for.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

pub(crate) fn store_of(home: &Path) -> PathBuf {
    home.join("telemetry/telemetry.db")
}
