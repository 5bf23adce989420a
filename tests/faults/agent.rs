//! The agent that all this happens to, in this process and in one of its own that takes orders.

#![expect(clippy::print_stdout, reason = "a child tells its parent")]

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use hermes::{Builder, ErrorKind, Stats, Telemetry};
use rusqlite::Connection;
use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt;

/// Longer than anything takes; a test that reaches it has failed.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// What a flush is given that cannot succeed.
pub(crate) const BRIEF: Duration = Duration::from_millis(300);

/// How many spans a session has.
pub(crate) const SPANS: u64 = 4;

#[hermes::session(id = format!("s-{number}"))]
fn session(number: u64) -> u64 {
    turn(number)
}

#[hermes::turn]
fn turn(number: u64) -> u64 {
    chat(number) + tool(number)
}

#[hermes::chat(model = "gpt-4o", provider = "openai")]
fn chat(number: u64) -> u64 {
    number * 2
}

#[hermes::tool(name = "count")]
fn tool(number: u64) -> u64 {
    number + 1
}

/// Runs so many sessions; panics if the agent's results are not what they are without Hermes.
fn sessions(count: u64) {
    for number in 0..count {
        assert_eq!(session(number), number * 3 + 1, "the agent's own result");
    }
}

/// An agent in this process.
pub(crate) struct Agent {
    pub(crate) telemetry: Telemetry,
    pub(crate) dispatch: Dispatch,
}

impl Agent {
    pub(crate) fn at(path: &Path) -> Agent {
        Agent::with(hermes::builder().store_path(path))
    }

    pub(crate) fn with(builder: Builder) -> Agent {
        let (layer, telemetry) = builder.build().unwrap();
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        Agent {
            telemetry,
            dispatch,
        }
    }

    pub(crate) fn work(&self, count: u64) {
        tracing::dispatcher::with_default(&self.dispatch, || sessions(count));
    }

    /// Runs code under the subscriber.
    pub(crate) fn run<T>(&self, code: impl FnOnce() -> T) -> T {
        tracing::dispatcher::with_default(&self.dispatch, code)
    }

    /// Waits until all is committed, and checks that all is.
    pub(crate) fn recovers(&self) {
        self.telemetry.flush(SOON).unwrap();
        let stats = self.stats();
        assert_eq!(stats.written, stats.captured, "{stats:?}");
    }

    /// The counts, which always add up.
    pub(crate) fn stats(&self) -> Stats {
        let stats = self.telemetry.stats();
        let dropped: u64 = stats.dropped.values().sum();
        let sum = stats.written + dropped + stats.in_flight;
        assert_eq!(stats.captured, sum, "{stats:?}");
        stats
    }

    /// Asserts that nothing can be committed at present, and nothing is lost.
    pub(crate) fn waits(&self) {
        let error = self.telemetry.flush(BRIEF).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
        let stats = self.stats();
        assert!(stats.in_flight > 0 && stats.dropped.is_empty(), "{stats:?}");
    }
}

/// One number out of a store.
pub(crate) fn sql(path: &Path, query: &str) -> u64 {
    let number: i64 = Connection::open(path)
        .unwrap()
        .query_row(query, [], |row| row.get(0))
        .unwrap();
    number.try_into().unwrap()
}

pub(crate) fn spans_in(path: &Path) -> u64 {
    sql(path, "SELECT count(*) FROM tel_spans")
}

pub(crate) fn assert_sound(path: &Path) {
    let check: String = Connection::open(path)
        .unwrap()
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
}

/// Waits for an event that must come.
pub(crate) fn await_that(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The first of the orders to a child: where its store is.
const STORE: &str = "HERMES_TEST_STORE";

/// What a child process does: as it is told, line by line. By itself it does nothing.
#[test]
fn child() {
    let Some(path) = std::env::var_os(STORE).map(PathBuf::from) else {
        return;
    };
    let mut agent = None;
    let mut held = None;
    let answer = |what: String| println!("\nanswer: {what}");
    for line in std::io::stdin().lines() {
        let line = line.unwrap();
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            ["build"] => {
                // The same in a process that has no store to name: the environment's.
                let builder = if path.as_os_str().is_empty() {
                    hermes::builder()
                } else {
                    hermes::builder().store_path(&path)
                };
                agent = Some(Agent::with(builder));
                answer("built".to_owned());
            }
            ["work", count] => {
                agent.as_ref().unwrap().work(count.parse().unwrap());
                answer("worked".to_owned());
            }
            ["flush", millis] => {
                let time = Duration::from_millis(millis.parse().unwrap());
                let outcome = agent.as_ref().unwrap().telemetry.flush(time);
                answer(
                    outcome.map_or_else(|error| format!("{:?}", error.kind()), |()| "ok".into()),
                );
            }
            ["stats"] => {
                let stats = agent.as_ref().unwrap().stats();
                let dropped: u64 = stats.dropped.values().sum();
                let numbers = [stats.captured, stats.written, stats.in_flight, dropped];
                answer(format!("{numbers:?} {:?}", stats.dropped));
            }
            ["spans"] => answer(spans_in(&path).to_string()),
            ["hold"] => {
                let connection = Connection::open(&path).unwrap();
                connection.busy_timeout(SOON).unwrap();
                connection.execute_batch("BEGIN EXCLUSIVE").unwrap();
                held = Some(connection);
                answer("held".to_owned());
            }
            ["release"] => {
                held = None;
                answer("released".to_owned());
            }
            ["fill"] => answer(fill(&path.with_file_name("ballast")).to_string()),
            ["unfill"] => {
                std::fs::remove_file(path.with_file_name("ballast")).unwrap();
                answer("empty".to_owned());
            }
            ["limit", resource, bytes] => {
                let value = match bytes {
                    "none" => "unlimited".to_owned(),
                    bytes => (virtual_bytes() + bytes.parse::<u64>().unwrap()).to_string(),
                };
                limit(std::process::id(), resource, &value);
                answer("limited".to_owned());
            }
            _ => panic!("no such order: {line}"),
        }
    }
    assert!(held.is_none(), "whoever holds a lock is told to release it");
}

/// Writes until the disk is full.
fn fill(path: &Path) -> usize {
    let mut file = std::fs::File::create(path).unwrap();
    let block = [7; 4096];
    let mut written = 0;
    while file.write_all(&block).is_ok() {
        written += block.len();
    }
    written
}

/// How much memory the process has mapped.
fn virtual_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmSize:"));
    let kib: u64 = line
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    kib * 1024
}

/// Sets the soft limit of a process.
pub(crate) fn limit(pid: u32, resource: &str, value: &str) {
    let status = Command::new("prlimit")
        .args(["--pid", &pid.to_string(), &format!("--{resource}={value}:")])
        .status()
        .expect("this test needs the command `prlimit` (package util-linux)");
    assert!(status.success(), "prlimit --{resource}={value}");
}

/// An agent in a process of its own.
pub(crate) struct ChildAgent {
    pub(crate) process: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl ChildAgent {
    pub(crate) fn at(path: &Path) -> ChildAgent {
        ChildAgent::behind(&[], path)
    }

    /// Starts the agent by way of another command, which is given its own as arguments.
    pub(crate) fn behind(command: &[&str], path: &Path) -> ChildAgent {
        let program = std::env::current_exe().unwrap();
        let mut words = command.iter().map(PathBuf::from).chain([program]);
        let first = words.next().unwrap();
        let mut process = Command::new(&first)
            .args(words)
            .args(["--exact", "agent::child", "--nocapture"])
            .env_remove("HERMES_HOME")
            .env_remove("HERMES_TELEMETRY_DB")
            .env(STORE, path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("this test needs {}: {error}", first.display()));
        let orders = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().unwrap());
        ChildAgent {
            process,
            orders,
            answers,
        }
    }

    /// Has the child do something, and waits until it has.
    pub(crate) fn does(&mut self, order: &str) -> String {
        writeln!(self.orders.as_mut().unwrap(), "{order}").unwrap();
        let mut line = String::new();
        loop {
            line.clear();
            let read = self.answers.read_line(&mut line).unwrap();
            assert!(
                read > 0,
                "the child ended at {order:?}: {}",
                self.last_words()
            );
            if let Some(answer) = line.strip_prefix("answer: ") {
                return answer.trim_end().to_owned();
            }
        }
    }

    /// Captured, written, in flight, dropped.
    pub(crate) fn stats(&mut self) -> [u64; 4] {
        let answer = self.does("stats");
        let list = answer.split(['[', ']']).nth(1).unwrap();
        let numbers: Vec<_> = list
            .split(", ")
            .map(|number| number.parse().unwrap())
            .collect();
        numbers.try_into().unwrap()
    }

    /// Lets the child end by itself; gives what Hermes said on its stderr.
    pub(crate) fn end(mut self) -> Vec<String> {
        drop(self.orders.take());
        std::io::copy(&mut self.answers, &mut std::io::sink()).unwrap();
        let words = self.last_words();
        let status = self.process.wait().unwrap();
        assert!(status.success(), "{words}");
        words
            .lines()
            .filter(|line| line.starts_with("hermes: "))
            .map(str::to_owned)
            .collect()
    }

    fn last_words(&mut self) -> String {
        let stderr = self.process.stderr.take().unwrap();
        std::io::read_to_string(stderr).unwrap()
    }
}
