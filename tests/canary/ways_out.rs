//! Everything that a process leaves behind: its files byte by byte, and what is read of them.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use hermes::{EventFilter, Retention, RunFilter, SearchFilter, Store};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use crate::search::{Found, Needles};
use crate::secret::{Fed, Secret};

/// What was found in one way out.
pub(crate) struct WayOut {
    pub(crate) name: String,
    pub(crate) found: Found,
}

/// The ways out of one process, looked through.
pub(crate) struct WaysOut<'n> {
    needles: &'n Needles,
    pub(crate) all: Vec<WayOut>,
}

impl<'n> WaysOut<'n> {
    pub(crate) fn new(needles: &'n Needles) -> Self {
        WaysOut {
            needles,
            all: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, name: impl Into<String>, bytes: &[u8]) {
        let (name, found) = (name.into(), self.needles.search(bytes));
        self.all.push(WayOut { name, found });
    }

    /// Every file of a folder and of those in it.
    pub(crate) fn add_files(&mut self, folder: &Path, when: &str) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.add_files(&path, when);
            } else {
                let name = path.file_name().unwrap().to_string_lossy();
                // What was rotated bears the time of it.
                let name = if name.starts_with("events-") {
                    "events, rotated"
                } else {
                    &name
                };
                self.add(format!("{name}{when}"), &fs::read(&path).unwrap());
            }
        }
    }

    /// All that a store tells who reads it, what it finds, and its files.
    pub(crate) fn add_store(&mut self, name: &str, path: &Path, secrets: &[Secret]) {
        let folder = path.parent().unwrap();
        self.add_files(folder, &format!(" of {name}"));
        self.add(format!("{name}, read"), &rows(path));
        let store = Store::open(path).unwrap();
        self.add(format!("{name}, told"), told(&store).as_bytes());
        let mut said = String::new();
        for words in ["secret", "canary"] {
            let hits = store.search(words, &SearchFilter::best(20)).unwrap();
            writeln!(said, "{hits:?}").unwrap();
        }
        self.add(format!("{name}, found"), said.as_bytes());
        for secret in secrets {
            self.search(name, &store, secret);
        }
    }

    /// The files of a store out of which everything was pruned: what was there lies in free pages, or nowhere.
    pub(crate) fn add_pruned(&mut self, path: &Path) {
        let everything = Retention::default().max_bytes(1);
        let pruned = Store::open(path).unwrap().prune(&everything).unwrap();
        assert!(pruned.spans > 0, "{pruned:?}");
        self.add_files(path.parent().unwrap(), ", pruned");
    }

    /// The markers in the ways out whose names begin so, taken together.
    pub(crate) fn markers(&self, name: &str) -> Fed {
        let mut markers = Fed::new();
        for way in self.all.iter().filter(|way| way.name.starts_with(name)) {
            for (input, numbers) in &way.found.markers {
                markers.entry(input.clone()).or_default().extend(numbers);
            }
        }
        markers
    }

    /// The index of words holds no text that could be looked through: it is asked for the longest word of the secret.
    fn search(&mut self, name: &str, store: &Store, secret: &Secret) {
        let words = secret.core.split(|c: char| !c.is_ascii_alphanumeric());
        let word = words.max_by_key(|word| word.len()).unwrap_or_default();
        if word.len() < 12 {
            return;
        }
        let hits = store.search(word, &SearchFilter::best(1)).unwrap();
        if !hits.is_empty() {
            let mut found = Found::default();
            let leak = (secret.kind.clone(), "search".to_owned());
            found.leaks.insert(leak);
            let name = format!("{name}, index of words");
            self.all.push(WayOut { name, found });
        }
    }
}

/// Every row of every table and view.
fn rows(path: &Path) -> Vec<u8> {
    let database = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    // An index of words alone has no rows to read; the tables behind it have.
    let names = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND sql NOT LIKE 'CREATE VIRTUAL%'";
    let mut names = database.prepare(names).unwrap();
    let names = names.query_map([], |row| row.get(0)).unwrap();
    let names: Vec<String> = names.map(Result::unwrap).collect();
    let mut read = Vec::new();
    for name in names {
        let mut table = database.prepare(&format!("SELECT * FROM {name}")).unwrap();
        let columns = table.column_count();
        let mut rows = table.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            for column in 0..columns {
                if let ValueRef::Text(bytes) | ValueRef::Blob(bytes) = row.get_ref(column).unwrap()
                {
                    read.extend_from_slice(bytes);
                }
                read.push(b'\n');
            }
        }
    }
    read
}

/// What a store tells of itself, and of some of its runs.
fn told(store: &Store) -> String {
    let runs = store.runs(&RunFilter::default()).unwrap();
    let mut told = format!("{runs:?} {:?}", store.losses().unwrap());
    for run in runs.iter().step_by(10) {
        let of_run = (
            store.spans_of_run(run.run_id).unwrap(),
            store.model_calls(run.run_id).unwrap(),
            store.tool_calls(run.run_id).unwrap(),
            store.error_events(run.run_id).unwrap(),
            store.agents(run.run_id).unwrap(),
        );
        write!(told, "{of_run:?}").unwrap();
    }
    let every = EventFilter::default();
    let events = (
        store.gateway_events(&every).unwrap(),
        store.cron_events(&every).unwrap(),
        store.skill_events(&every).unwrap(),
        store.memory_events(&every).unwrap(),
        store.feedback_events(&every).unwrap(),
        store.all_error_events(&every).unwrap(),
    );
    write!(told, "{events:?}").unwrap();
    told
}
