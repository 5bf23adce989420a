//! A file that is broken: bytes flipped, its end cut off, emptied.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use hermes::{ErrorKind, Store};
use rusqlite::Connection;

use crate::agent::{Agent, ChildAgent, SPANS, assert_sound, spans_in, sql};

/// A store with so many sessions in it, and in its main file alone.
fn filled(path: &Path, sessions: u64) {
    let agent = Agent::at(path);
    agent.work(sessions);
    agent.recovers();
    drop(agent);
    checkpoint(path);
}

/// Puts the log into the file.
fn checkpoint(path: &Path) {
    let connection = Connection::open(path).unwrap();
    let is_busy: i64 = connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        .unwrap();
    assert_eq!(is_busy, 0);
}

/// Flips the bytes of a page.
fn flip(path: &Path, page: u64) {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap();
    let mut bytes = [0; 4096];
    file.read_exact_at(&mut bytes, page * 4096).unwrap();
    for byte in &mut bytes {
        *byte = !*byte;
    }
    file.write_all_at(&bytes, page * 4096).unwrap();
}

/// The page that a table begins with.
fn root_of(path: &Path, table: &str) -> u64 {
    let query = format!("SELECT rootpage FROM sqlite_schema WHERE name = '{table}'");
    sql(path, &query) - 1
}

/// The files that were moved aside.
fn aside(path: &Path) -> Vec<PathBuf> {
    let is_aside = |file: &PathBuf| {
        let name = file.file_name().unwrap().to_str().unwrap();
        name.starts_with("telemetry.db.corrupt-")
            && !name.ends_with("-wal")
            && !name.ends_with("-shm")
    };
    let entries = fs::read_dir(path.parent().unwrap()).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .filter(is_aside)
        .collect()
}

#[test]
fn a_broken_store_is_moved_aside_and_what_can_be_read_is_in_the_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.db");
    filled(&path, 1000);
    // The index that every new span meets, and one page of spans.
    flip(&path, root_of(&path, "sqlite_autoindex_tel_span_rows_1"));
    let broken = fs::read(&path).unwrap();
    let mut child = ChildAgent::at(&path);
    child.does("build");
    child.does("work 10");
    assert_eq!(child.does("flush 60000"), "ok");
    assert_eq!(child.stats(), [10 * SPANS, 10 * SPANS, 0, 0]);
    let said = child.end();
    assert_eq!(said.len(), 1, "{said:#?}");
    let moved = aside(&path);
    assert_eq!(moved.len(), 1);
    assert!(said[0].contains(path.to_str().unwrap()), "{said:#?}");
    assert!(said[0].contains(moved[0].to_str().unwrap()), "{said:#?}");
    assert_eq!(fs::read(&moved[0]).unwrap(), broken, "kept as it was");
    assert_eq!(spans_in(&path), 1010 * SPANS, "no table was broken");
    assert_sound(&path);
}

#[test]
fn rows_on_whole_pages_of_a_broken_store_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.db");
    filled(&path, 1000);
    let pages = fs::metadata(&path).unwrap().len() / 4096;
    for page in [pages / 4, pages / 2, pages / 2 + 1, pages - 3] {
        flip(&path, page);
    }
    let saved = folder.path().join("saved.db");
    let salvaged = Store::salvage(&path, &saved).unwrap();
    assert!(salvaged.rows > 0);
    assert_sound(&saved);
    let spans = spans_in(&saved);
    // The pages may have been those of an index, or of another table.
    assert!(spans <= 1000 * SPANS, "{salvaged:?}");
    assert!(spans > 900 * SPANS, "{spans} of {}", 1000 * SPANS);
    Store::open(&saved)
        .unwrap()
        .runs(&hermes::RunFilter::default())
        .unwrap();
    let error = Store::salvage(&path, &saved).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
}

#[test]
fn a_store_whose_end_is_cut_off_is_moved_aside_and_read_as_far_as_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.db");
    filled(&path, 1000);
    let whole = fs::metadata(&path).unwrap().len();
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(whole / 2 / 4096 * 4096 + 1000).unwrap();
    drop(file);
    assert_eq!(
        Store::open(&path).unwrap_err().kind(),
        ErrorKind::StoreDamaged
    );
    let agent = Agent::at(&path);
    agent.work(10);
    agent.recovers();
    assert_eq!(aside(&path).len(), 1);
    // What a tree's cut-off branches held stays in the file that was moved, and there alone.
    let runs = sql(&path, "SELECT count(*) FROM tel_runs");
    assert!(runs > 10 + 100, "{runs} are left");
    drop(agent);
    assert_sound(&path);
}

#[test]
fn a_store_without_its_first_page_is_moved_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.db");
    filled(&path, 10);
    flip(&path, 0);
    let agent = Agent::at(&path);
    agent.work(10);
    agent.recovers();
    assert_eq!(spans_in(&path), 10 * SPANS);
    assert_eq!(aside(&path).len(), 1);
    assert_eq!(
        Store::salvage(&aside(&path)[0], folder.path().join("saved.db"))
            .unwrap_err()
            .kind(),
        ErrorKind::StoreDamaged,
        "nothing can be read without it"
    );
}

#[test]
fn a_store_that_is_not_what_its_version_says_is_moved_aside_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.db");
    filled(&path, 10);
    let odd = Connection::open(&path).unwrap();
    odd.execute_batch(
        "ALTER TABLE tel_span_rows RENAME TO tel_rows_of_old;
         PRAGMA user_version = 1;",
    )
    .unwrap();
    drop(odd);
    let agent = Agent::at(&path);
    agent.work(10);
    agent.recovers();
    assert_eq!(spans_in(&path), 10 * SPANS);
    let [kept] = &aside(&path)[..] else {
        panic!("{:?}", aside(&path))
    };
    let rows: u64 = sql(kept, "SELECT count(*) FROM tel_rows_of_old");
    assert_eq!(rows, 10 * SPANS);
    assert_sound(&path);
}

#[test]
fn a_store_that_breaks_while_it_is_used_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.db");
    let agent = Agent::at(&path);
    agent.work(2000);
    agent.recovers();
    checkpoint(&path);
    let pages = fs::metadata(&path).unwrap().len() / 4096;
    for page in (1..pages).filter(|page| page % 2 == 0) {
        flip(&path, page);
    }
    // Not every page is read for every batch.
    for _ in 0..200 {
        agent.work(10);
        agent.recovers();
        if !aside(&path).is_empty() {
            break;
        }
    }
    assert_eq!(aside(&path).len(), 1, "it was noticed");
    agent.work(10);
    agent.recovers();
    drop(agent);
    assert_sound(&path);
}

#[test]
fn a_store_that_is_cut_to_nothing_while_it_is_used_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.db");
    let agent = Agent::at(&path);
    agent.work(10);
    agent.recovers();
    OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(0)
        .unwrap();
    agent.work(10);
    agent.recovers();
    assert_eq!(spans_in(&path), 10 * SPANS);
    drop(agent);
    assert_sound(&path);
}

#[test]
fn of_processes_that_share_a_broken_store_one_moves_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.db");
    filled(&path, 500);
    let whole = fs::metadata(&path).unwrap().len();
    OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(whole / 2)
        .unwrap();
    let mut children = [(); 3].map(|()| ChildAgent::at(&path));
    for child in &mut children {
        child.does("build");
        child.does("work 10");
    }
    for child in &mut children {
        assert_eq!(child.does("flush 60000"), "ok");
        assert_eq!(child.stats(), [10 * SPANS, 10 * SPANS, 0, 0]);
    }
    for child in children {
        child.end();
    }
    assert_eq!(aside(&path).len(), 1);
    let new = "SELECT count(*) FROM tel_runs WHERE writer_id IN
        (SELECT writer_id FROM tel_writers ORDER BY started_ns DESC LIMIT 3)";
    assert_eq!(sql(&path, new), 30);
    assert_sound(&path);
}
