//! Who is alive: each writer holds a lock file, and what a dead one left open is marked interrupted.

use std::collections::BTreeSet;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::connect::{create_file, create_folder};
use super::hex::Hex;
use super::migrate::beside;
use super::place::FileId;
use super::{outbox, run};
use crate::error::{Error, ErrorKind};
use crate::record::{EndReason, RunId, SpanId, Status, TraceId, WriterIdentity};

const UNCLOSED: &str = "SELECT writer_id, last_seen_ns FROM tel_writers WHERE closed_ns IS NULL";

const LAST_SEEN: &str =
    "SELECT last_seen_ns FROM tel_writers WHERE writer_id = ?1 AND closed_ns IS NULL";

const CLOSE: &str = "UPDATE tel_writers SET closed_ns = last_seen_ns WHERE writer_id = ?1";

const OPEN_SPANS: &str = "SELECT id, run_id FROM tel_spans WHERE writer_id = ?1 AND end_ns IS NULL";

const OPEN_SPAN: &str = "
    SELECT id, run_id FROM tel_spans WHERE trace_id = ?1 AND span_id = ?2 AND end_ns IS NULL";

const SPAN: &str = "UPDATE tel_span_rows SET status = ?3, end_ns = max(start_ns, ?2) WHERE id = ?1";

const RUNS: &str = "
    UPDATE tel_run_rows SET status = ?3, end_reason = ?4, end_ns = max(start_ns, ?2)
    WHERE writer = (SELECT id FROM tel_writers WHERE writer_id = ?1) AND end_ns IS NULL";

const RUN: &str = "
    UPDATE tel_run_rows SET status = ?3, end_reason = ?4, end_ns = max(start_ns, ?2)
    WHERE id IN (SELECT id FROM tel_scopes WHERE run_id = ?1) AND end_ns IS NULL";

/// A writer without a lock file that was seen so recently is taken for alive: somebody removed the
/// folder of locks, and a writer that lives makes a new one with its next sign of life.
const GRACE_NS: i64 = 30_000_000_000;
/// A lock file of this age that nobody holds, and no entry asks for, is one of a process that died
/// before it made its entry, or after it closed it. A younger one may not be locked yet.
const ABANDONED_AFTER: Duration = Duration::from_secs(60 * 60);

/// The sign of life of one writer: the operating system lets go of the lock when the process ends,
/// however it ends. So it needs no process ids, which repeat and mean nothing in another container.
///
/// A writer keeps one for as long as it writes, whichever file it writes to.
#[derive(Clone, Debug)]
pub(crate) struct Lock(Arc<Held>);

#[derive(Debug)]
struct Held {
    writer: WriterIdentity,
    path: PathBuf,
    /// `None` until the first store is opened.
    file: Mutex<Option<File>>,
}

impl Lock {
    /// The lock of a new writer, not yet held.
    pub(crate) fn new(store: &Path, writer: WriterIdentity) -> Lock {
        Lock(Arc::new(Held {
            path: lock_path(store, &writer.id),
            writer,
            file: Mutex::new(None),
        }))
    }

    /// Whom the lock shows to be alive.
    pub(super) fn writer(&self) -> &WriterIdentity {
        &self.0.writer
    }

    /// Takes the lock, and takes it anew where its file is gone, with its folder or without.
    pub(super) fn hold(&self) -> Result<(), Error> {
        let mut held = self.0.file.lock().unwrap_or_else(PoisonError::into_inner);
        let file = held.as_ref().and_then(|file| file.metadata().ok());
        let has = file.map(|held| FileId::from(&held));
        if has.is_none() || FileId::of(&self.0.path) != has {
            *held = Some(locked(&self.0.path)?);
        }
        Ok(())
    }

    /// Removes the lock file: its writer ends as it should.
    pub(super) fn release(&self) {
        remove(&self.0.path);
    }
}

fn locked(path: &Path) -> Result<File, Error> {
    let made = path
        .parent()
        .map_or(Ok(()), create_folder)
        .and_then(|()| create_file(path));
    let held = made.map_err(|error| {
        let message = format!("cannot make the lock file {}", path.display());
        Error::with_source(ErrorKind::Store, message, error)
    })?;
    // The name is new, so nobody else holds it. Where the file system knows no locks, whoever
    // asks gets an error as well, and takes us for alive.
    let _ = held.try_lock();
    Ok(held)
}

/// A span that was announced and whose end never reaches the store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LostSpan {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    pub(crate) end_ns: i64,
    /// The run that it is the root of: it ends with it.
    pub(crate) root_of: Option<RunId>,
}

/// Marks what dead writers left open. Where two come at once, one marks.
pub(super) fn mark_dead(
    connection: &mut Connection,
    store: &Path,
    now_ns: i64,
) -> rusqlite::Result<()> {
    let unclosed: Vec<(String, i64)> = connection
        .prepare_cached(UNCLOSED)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let dead: Vec<_> = unclosed
        .iter()
        .filter_map(|(writer_id, seen_ns)| {
            let silence_ns = now_ns.saturating_sub(*seen_ns);
            let lock = lock_path(store, writer_id);
            Some((writer_id, Evidence::of_death(&lock, silence_ns)?))
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
    let unclosed: Vec<String> = connection
        .prepare_cached(UNCLOSED)?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for file in files.flatten() {
        let is_old = file
            .metadata()
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|at| at.elapsed().is_ok_and(|age| age > ABANDONED_AFTER));
        let name = file.file_name();
        let is_asked_for = unclosed.iter().any(|writer_id| name == writer_id.as_str());
        if is_old
            && !is_asked_for
            && let Some(Evidence::Lock(_held)) = Evidence::of_death(&file.path(), 0)
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
    let at_ns = at_ns?;
    let open = spans(transaction, OPEN_SPANS, [writer_id])?;
    end(transaction, &open, at_ns)?;
    let (status, reason) = (
        Status::Interrupted.as_str(),
        EndReason::Interrupted.as_str(),
    );
    transaction
        .prepare_cached(RUNS)?
        .execute(params![writer_id, at_ns, status, reason])?;
    recount(transaction, &open)?;
    transaction
        .prepare_cached(outbox::LEAVE)?
        .execute([writer_id])?;
    transaction.prepare_cached(CLOSE)?.execute([writer_id])?;
    Ok(())
}

/// Ends spans whose own end was lost on the way here, as interrupted, and the runs that end with them.
pub(super) fn mark_lost(transaction: &Transaction<'_>, lost: &[LostSpan]) -> rusqlite::Result<()> {
    for span in lost {
        let ids = params![Hex::from(span.trace_id), Hex::from(span.span_id)];
        let open = spans(transaction, OPEN_SPAN, ids)?;
        end(transaction, &open, span.end_ns)?;
        if let Some(run_id) = span.root_of {
            let (status, reason) = (
                Status::Interrupted.as_str(),
                EndReason::Interrupted.as_str(),
            );
            transaction.prepare_cached(RUN)?.execute(params![
                Hex::from(run_id),
                span.end_ns,
                status,
                reason
            ])?;
        }
        recount(transaction, &open)?;
    }
    Ok(())
}

/// Ends open spans.
fn end(transaction: &Transaction<'_>, open: &[(i64, String)], at_ns: i64) -> rusqlite::Result<()> {
    let status = Status::Interrupted.as_str();
    let mut change = transaction.prepare_cached(SPAN)?;
    for (id, _) in open {
        change.execute(params![id, at_ns, status])?;
    }
    Ok(())
}

/// Counts the runs of these spans anew.
fn recount(transaction: &Transaction<'_>, ended: &[(i64, String)]) -> rusqlite::Result<()> {
    let runs: BTreeSet<_> = ended.iter().map(|(_, run_id)| run_id).collect();
    runs.into_iter()
        .try_for_each(|run_id| run::recount(transaction, run_id))
}

/// Why a writer is taken for dead.
enum Evidence {
    /// Its lock file is gone, and nobody has heard of it for some time.
    Silence,
    /// Its lock could be had. Held until its spans are marked, so that others leave them to us.
    Lock(File),
}

impl Evidence {
    /// Looks whether a writer is dead; in doubt it is not.
    ///
    /// A process that was forked off and lives on holds its parent's lock as well: what the parent
    /// left open is then marked when both are gone.
    fn of_death(lock: &Path, silence_ns: i64) -> Option<Evidence> {
        let options = File::options().read(true).write(true).open(lock);
        let file = match options {
            Ok(file) => file,
            Err(error) => {
                // A clock that was set back, or another machine's, may make it seen in the future.
                let is_silent = silence_ns.saturating_abs() > GRACE_NS;
                let is_gone = error.kind() == std::io::ErrorKind::NotFound;
                return (is_gone && is_silent).then_some(Evidence::Silence);
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

/// The row numbers and runs of spans.
fn spans(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> rusqlite::Result<Vec<(i64, String)>> {
    connection
        .prepare_cached(sql)?
        .query_map(params, |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use rusqlite::Connection;

    use super::{LostSpan, mark_dead};
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
    fn a_writer_whose_lock_file_was_removed_is_alive_while_it_is_heard_of() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let now = crate::record::now_ns();
        let mut writer = Writer::open(&path, now).unwrap();
        let sample = Sample::new();
        let mut session = sample.session();
        session.start_ns = now;
        writer.write(&[session.opened()]).unwrap();
        let locks = beside(&path, "-writers");
        std::fs::remove_dir_all(&locks).unwrap();
        let status = || {
            let store = Store::open(&path).unwrap();
            store.run(sample.run_id).unwrap().unwrap().status
        };
        assert_eq!(status(), Status::Running, "it was heard of just now");
        writer.heartbeat(now + SECOND).unwrap();
        assert_eq!(std::fs::read_dir(&locks).unwrap().count(), 1, "made anew");
        let mut connection = Connection::open(&path).unwrap();
        let later = now + 3600 * SECOND;
        mark_dead(&mut connection, &path, later).unwrap();
        assert_eq!(status(), Status::Running, "its lock says so");
        std::fs::remove_dir_all(&locks).unwrap();
        // A clock that is an hour behind makes no difference to one that is an hour ahead.
        mark_dead(&mut connection, &path, now - 3600 * SECOND).unwrap();
        assert_eq!(status(), Status::Interrupted, "nobody has heard of it");
    }

    #[test]
    fn ends_that_come_before_their_starts_are_no_ends_before_their_starts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let sample = Sample::new();
        let mut writer = Writer::open(&path, START).unwrap();
        leave_open(&mut writer, sample);
        // The clock is set back by an hour while the agent runs, and then it dies.
        writer.heartbeat(START - 3600 * SECOND).unwrap();
        let mut late = sample.tool(9).ended();
        (late.start_ns, late.end_ns) = (START - 3600 * SECOND, Some(START - 3599 * SECOND));
        writer.write(&[late.closed()]).unwrap();
        drop(writer);
        let store = Store::open(&path).unwrap();
        let spans = store.spans_of_run(sample.run_id).unwrap();
        assert_eq!(spans.len(), 6);
        for span in spans {
            assert!(
                span.end_ns.is_some_and(|end_ns| end_ns >= span.start_ns),
                "{span:?}"
            );
        }
        let run = store.run(sample.run_id).unwrap().unwrap();
        assert!(run.end_ns.unwrap() >= run.start_ns, "{run:?}");
        for call in store.model_calls(sample.run_id).unwrap() {
            assert!(
                call.latency_ms.is_none_or(|latency_ms| latency_ms >= 0),
                "{call:?}"
            );
        }
    }

    #[test]
    fn a_span_whose_end_was_lost_runs_no_longer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let (sample, other) = (Sample::new(), Sample::new());
        let mut writer = Writer::open(&path, START).unwrap();
        let (session, chat) = (sample.session(), sample.chat(1));
        writer
            .write(&[session.opened(), chat.opened(), other.tool(1).opened()])
            .unwrap();
        // A child of a run whose root was never shown and never came.
        let headless = Sample::new();
        writer.write(&[headless.tool(1).ended().closed()]).unwrap();
        let lost = |span: &SpanRow<'_>, root_of| LostSpan {
            trace_id: span.trace_id,
            span_id: span.span_id,
            end_ns: START + 7 * SECOND,
            root_of,
        };
        writer
            .mark_lost(&[
                lost(&chat, None),
                lost(&session, Some(sample.run_id)),
                lost(&headless.session(), Some(headless.run_id)),
            ])
            .unwrap();
        let store = Store::open(&path).unwrap();
        for span in store.spans_of_run(sample.run_id).unwrap() {
            assert_eq!(
                (span.status, span.end_ns),
                (Status::Interrupted, Some(START + 7 * SECOND))
            );
        }
        for sample in [sample, headless] {
            let run = store.run(sample.run_id).unwrap().unwrap();
            assert_eq!(run.end_reason, Some(EndReason::Interrupted));
        }
        assert_eq!(
            store.run(sample.run_id).unwrap().unwrap().model_call_count,
            1
        );
        assert_eq!(
            store.model_calls(sample.run_id).unwrap()[0].latency_ms,
            Some(6000)
        );
        let run = store.run(other.run_id).unwrap().unwrap();
        assert_eq!(run.status, Status::Running, "others run on");
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
