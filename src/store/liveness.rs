//! Who is alive: each writer holds a lock file, and what a dead one left open is marked interrupted.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::connect::{create_file, create_folder};
use super::migrate::beside;
use super::run;
use crate::error::{Error, ErrorKind};
use crate::record::{EndReason, Status};

const UNCLOSED: &str = "SELECT writer_id FROM tel_writers WHERE closed_ns IS NULL";

const LAST_SEEN: &str =
    "SELECT last_seen_ns FROM tel_writers WHERE writer_id = ?1 AND closed_ns IS NULL";

const CLOSE: &str = "UPDATE tel_writers SET closed_ns = last_seen_ns WHERE writer_id = ?1";

const OPEN_RUNS: &str =
    "SELECT DISTINCT run_id FROM tel_spans WHERE writer_id = ?1 AND end_ns IS NULL";

const SPANS: &str = "
    UPDATE tel_span_rows SET status = ?3, end_ns = max(start_ns, ?2)
    WHERE writer = (SELECT id FROM tel_writers WHERE writer_id = ?1) AND end_ns IS NULL";

const RUNS: &str = "
    UPDATE tel_run_rows SET status = ?3, end_reason = ?4, end_ns = max(start_ns, ?2)
    WHERE writer = (SELECT id FROM tel_writers WHERE writer_id = ?1) AND end_ns IS NULL";

/// A lock file of this age that nobody holds, and no entry asks for, is one of a process that died
/// before it made its entry, or after it closed it. A younger one may not be locked yet.
const ABANDONED_AFTER: Duration = Duration::from_secs(60 * 60);

/// The sign of life of one writer: the operating system lets go of the lock when the process ends,
/// however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    _held: File,
}

impl Lock {
    /// Takes the lock of a new writer.
    pub(super) fn take(store: &Path, writer_id: &str) -> Result<Lock, Error> {
        let path = lock_path(store, writer_id);
        let made = path
            .parent()
            .map_or(Ok(()), create_folder)
            .and_then(|()| create_file(&path));
        let held = made.map_err(|error| {
            let message = format!("cannot make the lock file {}", path.display());
            Error::with_source(ErrorKind::Store, message, error)
        })?;
        // The name is new, so nobody else holds it. Where the file system knows no locks, whoever
        // asks gets an error as well, and takes us for alive.
        let _ = held.try_lock();
        Ok(Lock { path, _held: held })
    }

    /// Removes the lock file: its writer ends as it should.
    pub(super) fn release(self) {
        remove(&self.path);
    }
}

/// Marks what dead writers left open. Where two come at once, one marks.
pub(super) fn mark_dead(connection: &mut Connection, store: &Path) -> rusqlite::Result<()> {
    let unclosed = texts(connection, UNCLOSED, params![])?;
    let dead: Vec<_> = unclosed
        .iter()
        .filter_map(|writer_id| {
            Some((writer_id, Evidence::of_death(&lock_path(store, writer_id))?))
        })
        .collect();
    if dead.is_empty() {
        return Ok(());
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (writer_id, _) in &dead {
        interrupt(&transaction, writer_id)?;
    }
    transaction.commit()?;
    for (writer_id, _) in &dead {
        remove(&lock_path(store, writer_id));
    }
    Ok(())
}

/// Removes the lock files that nobody will ask for again.
pub(super) fn sweep(connection: &Connection, store: &Path) -> rusqlite::Result<()> {
    let Ok(files) = std::fs::read_dir(beside(store, "-writers")) else {
        return Ok(());
    };
    let unclosed = texts(connection, UNCLOSED, params![])?;
    for file in files.flatten() {
        let is_old = file
            .metadata()
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|at| at.elapsed().is_ok_and(|age| age > ABANDONED_AFTER));
        let name = file.file_name();
        let is_asked_for = unclosed.iter().any(|writer_id| name == writer_id.as_str());
        if is_old
            && !is_asked_for
            && let Some(Evidence::Lock(_held)) = Evidence::of_death(&file.path())
        {
            remove(&file.path());
        }
    }
    Ok(())
}

/// Ends what a writer left open, at the time when it was last seen, and the writer itself.
pub(super) fn interrupt(transaction: &Transaction<'_>, writer_id: &str) -> rusqlite::Result<()> {
    let mut last_seen = transaction.prepare_cached(LAST_SEEN)?;
    let Some(at_ns) = last_seen
        .query_map([writer_id], |row| row.get::<_, i64>(0))?
        .next()
    else {
        return Ok(()); // Somebody else was faster.
    };
    let (at_ns, status) = (at_ns?, Status::Interrupted.as_str());
    let runs = texts(transaction, OPEN_RUNS, [writer_id])?;
    let change = |sql, params: &[&dyn rusqlite::ToSql]| {
        transaction.prepare_cached(sql)?.execute(params).map(|_| ())
    };
    change(SPANS, params![writer_id, at_ns, status])?;
    change(
        RUNS,
        params![writer_id, at_ns, status, EndReason::Interrupted.as_str()],
    )?;
    for run_id in runs {
        run::recount(transaction, run_id)?;
    }
    change(CLOSE, params![writer_id])
}

/// Why a writer is taken for dead.
enum Evidence {
    /// Its lock file is gone: it ended, or never had one.
    NoFile,
    /// Its lock could be had. Held until its spans are marked, so that others leave them to us.
    Lock(File),
}

impl Evidence {
    /// Looks whether a writer is dead; in doubt it is not.
    fn of_death(lock: &Path) -> Option<Evidence> {
        let options = File::options().read(true).write(true).open(lock);
        let file = match options {
            Ok(file) => file,
            Err(error) => {
                let is_gone = error.kind() == std::io::ErrorKind::NotFound;
                return is_gone.then_some(Evidence::NoFile);
            }
        };
        match file.try_lock() {
            Ok(()) => Some(Evidence::Lock(file)),
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => None,
        }
    }
}

fn lock_path(store: &Path, writer_id: &str) -> PathBuf {
    beside(store, "-writers").join(writer_id)
}

/// Removes a lock file. One that stays behind does no harm: nobody asks for it again, and one day it
/// is swept up.
fn remove(path: &Path) {
    let _ = std::fs::remove_file(path);
}

fn texts(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached(sql)?
        .query_map(params, |row| row.get(0))?
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use crate::record::{EndReason, ResultClass, Status};
    use crate::semconv::Kind;
    use crate::store::migrate::beside;
    use crate::store::row::SpanRow;
    use crate::store::sample::{SECOND, START, Sample};
    use crate::store::{RunFilter, Store, Writer};

    /// A session with a turn, and in it a model call and a tool call, all running.
    fn leave_open(writer: &mut Writer, sample: Sample) {
        let session = sample.session();
        let turn = sample.span(Kind::Turn, 1).under(&session);
        let (chat, tool) = (sample.chat(2).under(&turn), sample.tool(3).under(&turn));
        let done = sample.chat(1).under(&turn).ended();
        let rows = [&session, &turn, &chat, &tool].map(SpanRow::opened);
        writer.write(&rows).unwrap();
        writer.write(&[done.closed()]).unwrap();
    }

    #[test]
    fn what_a_dead_writer_left_open_is_interrupted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let (dead, alive) = (Sample::new(), Sample::new());
        let mut living = Writer::open(&path, START).unwrap();
        leave_open(&mut living, alive);
        let mut dying = Writer::open(&path, START).unwrap();
        leave_open(&mut dying, dead);
        dying.heartbeat(START + 10 * SECOND).unwrap();
        drop(dying);

        let store = Store::open(&path).unwrap();
        let last_seen = Some(START + 10 * SECOND);
        for span in store.spans_of_run(dead.run_id).unwrap() {
            if span.status != Status::Ok {
                assert_eq!((span.status, span.end_ns), (Status::Interrupted, last_seen));
            }
        }
        let run = store.run(dead.run_id).unwrap().unwrap();
        assert_eq!((run.status, run.end_ns), (Status::Interrupted, last_seen));
        assert_eq!(run.end_reason, Some(EndReason::Interrupted));
        assert_eq!(
            (run.model_call_count, run.tool_call_count, run.turn_count),
            (2, 1, 1)
        );
        assert_eq!(run.error_count, 0);
        let calls = store.model_calls(dead.run_id).unwrap();
        let call = &calls[1];
        assert_eq!(
            (call.end_reason.as_str(), call.latency_ms),
            ("interrupted", Some(8000))
        );
        assert_eq!(
            (call.provider.as_deref(), call.model.as_deref()),
            (Some("openai"), Some("gpt-4o"))
        );
        let tool = &store.tool_calls(dead.run_id).unwrap()[0];
        assert_eq!(
            (tool.tool_name.as_deref(), tool.result_class),
            (Some("read_file"), None)
        );

        let run = store.run(alive.run_id).unwrap().unwrap();
        assert_eq!((run.status, run.end_ns), (Status::Running, None));
        assert_eq!(
            std::fs::read_dir(beside(&path, "-writers"))
                .unwrap()
                .count(),
            1
        );
        living.checkpoint_and_close();
        let run = store.run(alive.run_id).unwrap().unwrap();
        assert_eq!(
            run.status,
            Status::Interrupted,
            "closed for good with spans still open"
        );
    }

    #[test]
    fn an_end_that_comes_after_all_replaces_the_mark() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let sample = Sample::new();
        let mut writer = Writer::open(&path, START).unwrap();
        let (session, tool) = (sample.session(), sample.tool(1));
        writer.write(&[session.opened(), tool.opened()]).unwrap();
        // Somebody tidied up: the writer lives, and nobody can know.
        std::fs::remove_dir_all(beside(&path, "-writers")).unwrap();
        let store = Store::open(&path).unwrap();
        assert_eq!(
            store.run(sample.run_id).unwrap().unwrap().status,
            Status::Interrupted
        );
        writer
            .write(&[tool.ended().closed(), session.ended().closed()])
            .unwrap();
        let run = store.run(sample.run_id).unwrap().unwrap();
        assert_eq!(
            (run.status, run.end_reason),
            (Status::Ok, Some(EndReason::Completed))
        );
        assert_eq!(run.tool_call_count, 1);
        let tool = &store.tool_calls(sample.run_id).unwrap()[0];
        assert_eq!(
            (tool.status, tool.result_class),
            (Status::Ok, Some(ResultClass::Ok))
        );
    }

    #[test]
    fn of_two_that_open_at_once_one_marks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let samples: Vec<_> = (0..8).map(|_| Sample::new()).collect();
        for &sample in &samples {
            leave_open(&mut Writer::open(&path, START).unwrap(), sample);
        }
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| Writer::open(&path, START).unwrap().checkpoint_and_close());
            }
        });
        let store = Store::open(&path).unwrap();
        for sample in samples {
            let run = store.run(sample.run_id).unwrap().unwrap();
            assert_eq!((run.status, run.model_call_count), (Status::Interrupted, 2));
        }
    }

    #[test]
    fn a_lock_file_that_nobody_asks_for_is_swept_up_once_it_is_old() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let living = Writer::open(&path, START).unwrap();
        let locks = beside(&path, "-writers");
        let long_ago = std::time::SystemTime::now() - Duration::from_secs(7200);
        for (name, is_old) in [("1-old", true), ("2-new", false), ("3-held", true)] {
            let file = std::fs::File::create(locks.join(name)).unwrap();
            if is_old {
                file.set_modified(long_ago).unwrap();
            }
        }
        let held = std::fs::File::open(locks.join("3-held")).unwrap();
        held.lock().unwrap();
        let own = std::fs::read_dir(&locks).unwrap().flatten();
        let own = own.map(|file| file.path()).find(|file| {
            !["1-old", "2-new", "3-held"]
                .iter()
                .any(|name| file.ends_with(name))
        });
        std::fs::File::options()
            .write(true)
            .open(own.unwrap())
            .unwrap()
            .set_modified(long_ago)
            .unwrap();
        Writer::open(&path, START).unwrap().checkpoint_and_close();
        let mut left: Vec<_> = std::fs::read_dir(&locks)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        left.retain(|name| *name != living.identity.name);
        left.sort();
        assert_eq!(left, ["2-new", "3-held"]);
        assert!(locks.join(&living.identity.name).exists());
        living.checkpoint_and_close();
    }

    const STORE: &str = "HERMES_TEST_STORE_OF_CHILD";

    /// The child of the test below; by itself it does nothing.
    #[test]
    fn child() {
        let Some(path) = std::env::var_os(STORE) else {
            return;
        };
        let mut writer = Writer::open(Path::new(&path), START).unwrap();
        leave_open(&mut writer, Sample::new());
        std::thread::sleep(Duration::from_secs(60));
    }

    #[test]
    fn a_process_that_is_killed_is_dead_and_before_that_it_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        // A writer that stays: the child then is not the only one to keep the log alive.
        let writer = Writer::open(&path, START).unwrap();
        let name = concat!(module_path!(), "::child");
        let name = name.split_once("::").unwrap().1;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name])
            .env(STORE, &path)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        let run = loop {
            let runs = Store::open(&path)
                .unwrap()
                .runs(&RunFilter::default())
                .unwrap();
            match runs
                .into_iter()
                .next()
                .filter(|run| run.model_call_count == 1)
            {
                Some(run) => break run,
                None => assert!(Instant::now() < deadline, "the child does not write"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!((run.status, run.end_ns), (Status::Running, None));
        child.kill().unwrap();
        child.wait().unwrap();
        let run = Store::open(&path)
            .unwrap()
            .run(run.run_id)
            .unwrap()
            .unwrap();
        assert_eq!((run.status, run.model_call_count), (Status::Interrupted, 2));
        writer.checkpoint_and_close();
    }
}
