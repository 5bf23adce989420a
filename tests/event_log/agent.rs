//! An agent with a store and an event log beside it, in a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hermes::{Builder, Rebuilt, Store, Telemetry};
use tempfile::TempDir;
use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt;

use crate::tables::{Tables, tables};

/// Longer than anything takes; a test that reaches it has failed.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A folder with a store and its log.
pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Place { folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.folder().join("t/telemetry.db")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder().join("t/events.jsonl")
    }

    /// A process's telemetry in this place.
    pub(crate) fn agent(&self, set_up: impl FnOnce(Builder) -> Builder) -> Agent {
        let builder = hermes::builder()
            .store_path(self.store())
            .event_log(self.log());
        let (layer, telemetry) = set_up(builder).build().unwrap();
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        Agent {
            telemetry,
            dispatch,
        }
    }

    /// The files of the log, oldest first.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.log().parent().unwrap()).unwrap();
        let mut files: Vec<_> = entries
            .map(|entry| entry.unwrap().path())
            .filter(|file| file.extension().is_some_and(|kind| kind == "jsonl"))
            .filter(|file| *file != self.log())
            .collect();
        files.sort();
        files.extend(Some(self.log()).filter(|log| log.exists()));
        files
    }

    /// Every line of the log.
    pub(crate) fn lines(&self) -> Vec<String> {
        let files = self.files();
        let texts = files.iter().map(|file| fs::read_to_string(file).unwrap());
        texts
            .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
            .collect()
    }

    /// Lines of one kind.
    pub(crate) fn lines_of(&self, kind: &str) -> usize {
        let word = format!("{{\"v\":1,\"line\":\"{kind}\",");
        self.lines()
            .iter()
            .filter(|line| line.starts_with(&word))
            .count()
    }

    /// What is made of the log, and its tables.
    pub(crate) fn rebuild(&self) -> (Rebuilt, Tables) {
        let into = self.folder().join("rebuilt/telemetry.db");
        let rebuilt = Store::rebuild(self.log(), &into).unwrap();
        let tables = tables(&into);
        fs::remove_file(&into).unwrap();
        let left = fs::read_dir(into.parent().unwrap()).unwrap();
        assert_eq!(left.count(), 0, "a rebuild leaves the store alone behind");
        (rebuilt, tables)
    }

    /// The tables of the store itself.
    pub(crate) fn tables(&self) -> Tables {
        // Marks what dead writers left open, as any reader does.
        Store::open(self.store()).unwrap();
        tables(&self.store())
    }
}

/// One process's telemetry.
pub(crate) struct Agent {
    pub(crate) telemetry: Telemetry,
    pub(crate) dispatch: Dispatch,
}

impl Agent {
    /// Runs code, then waits until what it did is committed.
    pub(crate) fn run<T>(&self, code: impl FnOnce() -> T) -> T {
        let value = self.start(code);
        self.telemetry.flush(SOON).unwrap();
        value
    }

    /// Runs code.
    pub(crate) fn start<T>(&self, code: impl FnOnce() -> T) -> T {
        tracing::dispatcher::with_default(&self.dispatch, code)
    }
}

/// Waits for something to become true.
pub(crate) fn until(what: &str, is_true: impl Fn() -> bool) {
    let deadline = Instant::now() + SOON;
    while !is_true() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
