//! The write side: one connection per process that takes batches, all of a batch or nothing.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, TransactionBehavior, params};

use super::connect::{self, BUSY, Opening, failure, is_damage, is_passing};
use super::content::Contents;
use super::inherited::Opened;
use super::liveness::{self, Lock};
use super::place::Footprint;
use super::put::Put;
use super::row::Row;
use super::shape::Shapes;
use crate::error::Error;
use crate::record::{SpanId, WriterIdentity};

const REGISTER: &str = "
    INSERT INTO tel_writers (writer_id, pid, host, started_ns, last_seen_ns, version)
    VALUES (?1, ?2, ?3, ?4, ?4, ?5)
    ON CONFLICT (writer_id) DO UPDATE SET closed_ns = NULL,
        last_seen_ns = max(last_seen_ns, excluded.last_seen_ns)";

const SEEN: &str = "
    UPDATE tel_writers SET last_seen_ns = ?2 WHERE writer_id = ?1 AND last_seen_ns < ?2";

/// Without open spans nobody asks when the writer was last seen, and an idle process writes nothing.
const HEARTBEAT: &str = "
    UPDATE tel_writers SET last_seen_ns = ?2 WHERE writer_id = ?1 AND last_seen_ns < ?2
        AND EXISTS (SELECT 1 FROM tel_span_rows AS span
            WHERE span.writer = tel_writers.id AND span.end_ns IS NULL)";

const LOSSES: &str = "
    INSERT INTO tel_losses (writer_id, reason, count) VALUES (?1, ?2, ?3)
    ON CONFLICT (writer_id, reason) DO UPDATE SET count = excluded.count";

/// How long a process that wants to end waits for others.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// The writer of a store. A process has one; any number of processes share a store.
///
/// Dropped without [`Writer::checkpoint_and_close`] it counts as dead, and whoever opens the store
/// next marks what it left open.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    pub(super) identity: Identity,
    pub(super) shapes: Shapes,
    contents: Contents,
    pub(super) lock: Lock,
    /// The files that the connection works on.
    pub(super) footprint: Footprint,
    /// Let go of after the connection.
    _opened: Opened,
}

/// Who writes.
#[derive(Debug)]
pub(super) struct Identity {
    /// The name of its lock file.
    pub(super) name: String,
    /// Its number in the store.
    pub(super) number: i64,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    /// Rows in the store.
    pub(crate) rows: u64,
    /// Rows that the store would not take, alone or with others.
    pub(crate) refused: u64,
    /// The spans that are owed to a collector from here on, and their rows.
    pub(crate) owed: Vec<(SpanId, i64)>,
}

/// Why a batch is not in the store, not in part either.
#[derive(Clone, Debug)]
pub(crate) struct WriteError {
    /// Whether the same batch may succeed later: the store was busy, or the disk full.
    pub(crate) retryable: bool,
    /// Whether the file itself is broken: nothing can be written to it any more.
    pub(crate) damaged: bool,
    pub(crate) message: String,
}

impl Writer {
    /// Opens the store, makes or migrates it as needed, and marks what dead writers left open.
    ///
    /// The writer that the lock stands for may have written to another file before, and goes on
    /// under the same name.
    pub(crate) fn open_as(
        lock: &Lock,
        path: &Path,
        now_ns: i64,
        opening: Opening,
    ) -> Result<Writer, Error> {
        let opened = Opened::note(path)?;
        let (mut connection, file) = connect::create(path, opening)?;
        let failed = |source| failure("cannot write to the store", path, source);
        // First the lock, then the entry: whoever finds the entry finds the lock held.
        lock.hold()?;
        match liveness::mark_dead(&mut connection, path, now_ns) {
            Err(source) if is_damage(&source) => return Err(failed(source)),
            // A store that cannot tell the dead from the living still takes what is written now.
            _ => {}
        }
        let _ = liveness::sweep(&connection, path);
        let number = register(&connection, lock.writer()).map_err(failed)?;
        let contents = Contents::of(&connection).map_err(failed)?;
        // The pipeline tries again by itself, and must hear of a shutdown meanwhile.
        connection.busy_timeout(BUSY).map_err(failed)?;
        Ok(Writer {
            connection,
            path: path.to_owned(),
            identity: Identity {
                name: lock.writer().id.clone(),
                number,
            },
            shapes: Shapes::default(),
            contents,
            lock: lock.clone(),
            footprint: Footprint::of(path, file)?,
            _opened: opened,
        })
    }

    /// Opens the store for a writer that nobody else knows.
    #[cfg(test)]
    pub(crate) fn open(path: &Path, now_ns: i64) -> Result<Writer, Error> {
        let lock = Lock::new(path, WriterIdentity::of_this_process(now_ns));
        Self::open_as(&lock, path, now_ns, Opening::default())
    }

    /// The key by which this store's redaction tokens are made.
    pub(crate) fn redaction_key(&self) -> Option<[u8; 16]> {
        self.connection
            .query_row("SELECT key FROM tel_redaction", [], |row| row.get(0))
            .ok()
    }

    /// Writes a batch in one transaction. A row that the store refuses costs only itself.
    pub(crate) fn write(&mut self, rows: &[Row<'_>]) -> Result<Written, WriteError> {
        if rows.is_empty() {
            return Ok(Written::default());
        }
        let mut written = self.transact(rows, How::Together);
        if written.as_ref().is_err_and(is_refusal) {
            self.shapes.forget();
            written = self.transact(rows, How::Apart);
        }
        if written.is_err() {
            self.shapes.forget();
        }
        written.map_err(|error| WriteError::of(&error, &self.path))
    }

    /// Says that the writer is alive, for the end time of what it would leave open.
    pub(crate) fn heartbeat(&mut self, now_ns: i64) -> Result<(), WriteError> {
        // Somebody may have removed the lock file; where no new one can be made, we are taken for
        // alive all the same for as long as others hear of us.
        let _ = self.lock.hold();
        let beat = || {
            let mut statement = self.connection.prepare_cached(HEARTBEAT)?;
            statement
                .execute(params![self.identity.name, now_ns])
                .map(|_| ())
        };
        beat().map_err(|error| WriteError::of(&error, &self.path))
    }

    /// Notes what this writer's process lost since it started, by reason.
    pub(crate) fn record_losses(&mut self, losses: &[(&str, u64)]) -> Result<(), WriteError> {
        let mut record = || {
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            for &(reason, count) in losses.iter().filter(|loss| loss.1 > 0) {
                let count = i64::try_from(count).unwrap_or(i64::MAX);
                transaction.prepare_cached(LOSSES)?.execute(params![
                    self.identity.name,
                    reason,
                    count
                ])?;
            }
            transaction.commit()
        };
        record().map_err(|error| WriteError::of(&error, &self.path))
    }

    /// Ends the writer: what is still open will get no end any more and is marked interrupted.
    pub(crate) fn checkpoint_and_close(mut self) {
        let mut close = || {
            self.connection.busy_timeout(CLOSE_TIMEOUT)?;
            self.end()?;
            self.connection
                .query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
        };
        // What fails here is made good by whoever opens the store next: the lock is gone then.
        let _: rusqlite::Result<()> = close();
        drop(self.connection);
        self.lock.release();
    }

    /// Marks as interrupted what is still open: it will get no end any more.
    pub(super) fn end(&mut self) -> rusqlite::Result<()> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        liveness::interrupt(&transaction, &self.identity.name)?;
        transaction.commit()
    }

    fn transact(&mut self, rows: &[Row<'_>], how: How) -> rusqlite::Result<Written> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut put = Put::new(
            &transaction,
            &self.identity,
            &mut self.shapes,
            &mut self.contents,
        );
        let mut refused = 0;
        for row in rows {
            match how {
                How::Together => put.row(row)?,
                How::Apart => {
                    let is_taken = is_taken(&transaction, || put.row(row))?;
                    if !is_taken {
                        put.forget();
                    }
                    refused += u64::from(!is_taken);
                }
            }
        }
        let owed = put.finish()?;
        let latest_ns = rows.iter().filter_map(Row::latest_ns).max();
        transaction
            .prepare_cached(SEEN)?
            .execute(params![self.identity.name, latest_ns])?;
        transaction.commit()?;
        let all = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        Ok(Written {
            rows: all - refused,
            refused,
            owed,
        })
    }
}

impl WriteError {
    pub(super) fn of(error: &rusqlite::Error, path: &Path) -> WriteError {
        WriteError {
            retryable: is_passing(error),
            damaged: is_damage(error),
            message: format!("cannot write to the store at {}: {error}", path.display()),
        }
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// How the rows of a batch depend on each other.
#[derive(Clone, Copy)]
enum How {
    /// A row that is refused ends the batch: fast.
    Together,
    /// A row that is refused is left out.
    Apart,
}

/// Whether a row was written; one that was refused leaves nothing behind.
fn is_taken(
    connection: &Connection,
    put: impl FnOnce() -> rusqlite::Result<()>,
) -> rusqlite::Result<bool> {
    let run = |sql| connection.prepare_cached(sql)?.execute([]).map(|_| ());
    run("SAVEPOINT one_row")?;
    let outcome = put();
    match &outcome {
        Ok(()) => {}
        Err(error) if is_refusal(error) => run("ROLLBACK TO one_row")?,
        Err(_) => return outcome.map(|()| false),
    }
    run("RELEASE one_row")?;
    Ok(outcome.is_ok())
}

/// Whether the fault is the row's: the same row would be refused again, others would not.
fn is_refusal(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch)
    )
}

/// Makes the entry of a writer; returns its number.
pub(super) fn register(
    connection: &Connection,
    identity: &WriterIdentity,
) -> rusqlite::Result<i64> {
    let entry = params![
        identity.id,
        identity.pid,
        identity.host,
        identity.started_ns,
        identity.version
    ];
    connection.execute(REGISTER, entry)?;
    Ok(connection.last_insert_rowid())
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::{Writer, Written};
    use crate::record::{CostStatus, EndReason, ErrorClass, Status};
    use crate::semconv::Kind;
    use crate::store::sample::{SECOND, START, Sample};
    use crate::store::{RunFilter, Store};

    #[test]
    fn a_store_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/telemetry.db");
        let sample = Sample::new();
        let mut writer = Writer::open(&path, START).unwrap();
        assert_eq!(writer.path, path);
        writer.write(&[sample.session().ended().closed()]).unwrap();
        writer.checkpoint_and_close();
        let left: Vec<_> = std::fs::read_dir(path.parent().unwrap()).unwrap().collect();
        assert_eq!(
            left.len(),
            2,
            "the store and the empty folder of locks: {left:?}"
        );

        let writer = Writer::open(&path, START + SECOND).unwrap();
        let store = Store::open(&path).unwrap();
        assert_eq!(store.runs(&RunFilter::default()).unwrap().len(), 1);
        writer.checkpoint_and_close();
        let locks = std::fs::read_dir(folder.path().join("new/telemetry.db-writers")).unwrap();
        assert_eq!(locks.count(), 0);
    }

    #[test]
    fn a_run_counts_what_happens_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let mut writer = Writer::open(&path, START).unwrap();
        let store = Store::open(&path).unwrap();
        let sample = Sample::new();
        let session = sample.session();
        let run = || store.run(sample.run_id).unwrap().unwrap();

        // Children end before their root: the run is there with the first of them.
        let known = Some((0.5, CostStatus::Known));
        let first = sample
            .chat(2)
            .under(&session)
            .ended()
            .used([100, 10], known);
        writer.write(&[first.closed()]).unwrap();
        let seen = run();
        assert_eq!(
            (seen.status, seen.end_ns, seen.start_ns),
            (Status::Running, None, first.start_ns)
        );
        assert_eq!(seen.session_id.as_deref(), Some("s-1"));
        assert_eq!(
            (seen.estimated_cost_usd, seen.cost_status.as_deref()),
            (Some(0.5), Some("known"))
        );

        let estimated = Some((0.25, CostStatus::Estimated));
        let failed = sample.chat(1).under(&session).failed();
        writer
            .write(&[
                session.opened(),
                failed.closed(),
                sample
                    .chat(3)
                    .under(&session)
                    .ended()
                    .used([200, 20], estimated)
                    .closed(),
                sample.tool(4).under(&session).failed().closed(),
                sample.tool(5).under(&session).opened(),
                sample.span(Kind::Turn, 1).under(&session).ended().closed(),
            ])
            .unwrap();
        let seen = run();
        assert_eq!(
            (seen.model_call_count, seen.tool_call_count, seen.turn_count),
            (3, 1, 1)
        );
        assert_eq!(
            (seen.error_count, seen.input_tokens, seen.output_tokens),
            (2, 300, 30)
        );
        // The failed call says nothing of costs.
        assert_eq!(
            (seen.estimated_cost_usd, seen.cost_status.as_deref()),
            (Some(0.75), Some("estimated"))
        );
        assert_eq!(
            (seen.start_ns, seen.platform.as_deref()),
            (START, Some("telegram"))
        );
        assert_eq!(
            (seen.status, seen.end_reason, seen.schema_v),
            (Status::Running, None, 1)
        );

        writer
            .write(&[sample
                .chat(6)
                .under(&session)
                .ended()
                .used([1, 1], None)
                .closed()])
            .unwrap();
        writer.write(&[session.ended().closed()]).unwrap();
        let seen = run();
        assert_eq!(
            (seen.estimated_cost_usd, seen.cost_status.as_deref()),
            (Some(0.75), Some("unknown"))
        );
        assert_eq!(
            (seen.status, seen.end_reason),
            (Status::Ok, Some(EndReason::Completed))
        );
        assert_eq!(seen.end_ns, Some(START + SECOND));
        let identity = (
            seen.entrypoint.as_deref(),
            seen.agent_name.as_deref(),
            seen.model.as_deref(),
        );
        assert_eq!(
            identity,
            (Some("gateway"), Some("librarian"), Some("gpt-4o"))
        );
    }

    #[test]
    fn a_span_that_is_announced_and_ends_counts_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let mut writer = Writer::open(&path, START).unwrap();
        let sample = Sample::new();
        let chat = sample.chat(1);
        let ended = chat.clone().ended().used([10, 1], None);
        writer.write(&[chat.opened(), chat.opened()]).unwrap();
        let store = Store::open(&path).unwrap();
        assert_eq!(
            store.spans_of_run(sample.run_id).unwrap()[0].status,
            Status::Running
        );
        assert!(store.model_calls(sample.run_id).unwrap().is_empty());
        // Closed, announced late, closed again: as when a batch is written once more.
        writer.write(&[ended.closed()]).unwrap();
        writer.write(&[chat.opened(), ended.closed()]).unwrap();
        let run = store.run(sample.run_id).unwrap().unwrap();
        assert_eq!((run.model_call_count, run.input_tokens), (1, 10));
        let spans = store.spans_of_run(sample.run_id).unwrap();
        assert_eq!((spans.len(), spans[0].status), (1, Status::Ok));
        assert_eq!(store.model_calls(sample.run_id).unwrap().len(), 1);
    }

    #[test]
    fn a_row_that_is_refused_costs_only_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let mut writer = Writer::open(&path, START).unwrap();
        // The span of the bad row is taken, its failure is not: nothing of it may stay.
        Connection::open(&path)
            .unwrap()
            .execute_batch(
                "CREATE TRIGGER bad BEFORE INSERT ON tel_error_events WHEN new.error_class = 'auth'
                 BEGIN SELECT raise(ABORT, 'bad row'); END",
            )
            .unwrap();
        let sample = Sample::new();
        let mut bad = sample.chat(2).failed();
        bad.error_class = Some(ErrorClass::Auth);
        let rows = [
            sample.chat(1).ended().closed(),
            bad.closed(),
            sample.chat(3).ended().closed(),
        ];
        assert_eq!(
            writer.write(&rows).unwrap(),
            Written {
                rows: 2,
                refused: 1,
                ..Written::default()
            }
        );
        let store = Store::open(&path).unwrap();
        assert_eq!(store.spans_of_run(sample.run_id).unwrap().len(), 2);
        assert_eq!(
            store.run(sample.run_id).unwrap().unwrap().model_call_count,
            2
        );
        assert_eq!(
            writer.write(&[bad.closed()]).unwrap(),
            Written {
                rows: 0,
                refused: 1,
                ..Written::default()
            }
        );
    }

    #[test]
    fn a_batch_that_meets_a_lock_can_be_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let mut writer = Writer::open(&path, START).unwrap();
        writer
            .connection
            .busy_timeout(std::time::Duration::from_millis(1))
            .unwrap();
        let other = Connection::open(&path).unwrap();
        other.execute_batch("BEGIN IMMEDIATE").unwrap();
        let rows = [Sample::new().chat(1).ended().closed()];
        let error = writer.write(&rows).unwrap_err();
        assert!(error.retryable);
        assert!(
            error
                .to_string()
                .starts_with("cannot write to the store at "),
            "{error}"
        );
        other.execute_batch("ROLLBACK").unwrap();
        assert_eq!(writer.write(&rows).unwrap().rows, 1);
    }

    #[test]
    fn a_failure_that_is_tried_again_is_recovered() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let mut writer = Writer::open(&path, START).unwrap();
        let sample = Sample::new();
        let (failed, lost) = (sample.chat(1).failed(), sample.tool(2).failed());
        let mut retry = sample.chat(3).ended();
        retry.retries = Some(failed.span_id);
        writer.write(&[failed.closed(), lost.closed()]).unwrap();
        writer.write(&[retry.closed()]).unwrap();
        let events = Store::open(&path)
            .unwrap()
            .error_events(sample.run_id)
            .unwrap();
        let told: Vec<_> = events
            .iter()
            .map(|event| {
                (
                    event.subsystem.as_deref().unwrap(),
                    event.recovery.as_deref().unwrap(),
                )
            })
            .collect();
        assert_eq!(told, [("model_api", "retried"), ("tool", "none")]);
        assert_eq!(events[0].span_id, Some(failed.span_id));
        assert_eq!(events[0].ts_ns, failed.end_ns.unwrap());
    }

    #[test]
    fn losses_are_kept_as_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let mut first = Writer::open(&path, START).unwrap();
        let mut second = Writer::open(&path, START).unwrap();
        first
            .record_losses(&[("queue_full", 2), ("store_error", 0)])
            .unwrap();
        first.record_losses(&[("queue_full", 5)]).unwrap();
        second
            .record_losses(&[("queue_full", 1), ("oversized", 3)])
            .unwrap();
        let losses = Store::open(&path).unwrap().losses().unwrap();
        let losses: Vec<_> = losses
            .iter()
            .map(|(reason, count)| (reason.as_str(), *count))
            .collect();
        assert_eq!(losses, [("oversized", 3), ("queue_full", 6)]);
    }

    #[test]
    fn writers_that_come_at_once_all_get_their_turn() {
        for _ in 0..10 {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("made/by/all/telemetry.db");
            let samples = [(); 4].map(|()| Sample::new());
            std::thread::scope(|scope| {
                for sample in samples {
                    let path = &path;
                    scope.spawn(move || {
                        let mut writer = Writer::open(path, START).unwrap();
                        for batch in 0..5 {
                            let rows: Vec<_> = (0..20)
                                .map(|at| sample.chat(batch * 20 + at).ended().closed())
                                .collect();
                            assert_eq!(writer.write(&rows).unwrap().rows, 20);
                        }
                        writer.checkpoint_and_close();
                    });
                }
            });
            let store = Store::open(&path).unwrap();
            for sample in samples {
                assert_eq!(
                    store.run(sample.run_id).unwrap().unwrap().model_call_count,
                    100
                );
            }
            let check: String = Connection::open(&path)
                .unwrap()
                .query_row("PRAGMA integrity_check", [], |row| row.get(0))
                .unwrap();
            assert_eq!(check, "ok");
        }
    }
}
