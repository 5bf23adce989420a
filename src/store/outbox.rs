//! Spans that are still owed to a collector: noted with the span itself, crossed out when it has come.
//!
//! The writer notes a span in the transaction that stores it, so that a process which dies at any
//! moment leaves behind what it had not delivered. Whatever is crossed out is crossed out by its row.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior, params};

use super::connect::{self, failure};
use super::liveness;
use super::put::Landed;
use super::recorded::RecordedSpan;
use super::row::{Export, SpanRow};
use super::span_row::{self, Context};
use super::write::{WriteError, Writer};
use crate::error::Error;
use crate::record::now_ns;

const PUT: &str = "
    INSERT OR REPLACE INTO tel_outbox (id, exits, may_carry_content, is_ready, writer)
    VALUES (?1, ?2, ?3, ?4, ?5)";

const REMOVE: &str = "DELETE FROM tel_outbox WHERE id = ?1";

const RELEASE: &str = "UPDATE tel_outbox SET is_ready = 1, exits = ?2 WHERE id = ?1";

const DECIDED: &str = "UPDATE tel_outbox SET is_ready = 0 WHERE id = ?1 AND is_ready = 2";

const TRIM: &str = "
    DELETE FROM tel_outbox WHERE id IN
        (SELECT id FROM tel_outbox WHERE writer = ?1 AND is_ready = 1 ORDER BY id LIMIT ?2)";

/// What a writer that ends leaves to others: to be sent, or to be decided first.
pub(super) const LEAVE: &str = "
    UPDATE tel_outbox SET writer = NULL, is_ready = max(is_ready, 1)
    WHERE writer = (SELECT id FROM tel_writers WHERE writer_id = ?1)";

const ADOPT: &str = "
    UPDATE tel_outbox SET writer = ?1,
        exits = CASE WHEN exits & ?2 THEN exits & ?2 ELSE ?2 END
    WHERE id IN (SELECT id FROM tel_outbox WHERE writer IS NULL AND is_ready = 1 ORDER BY id LIMIT ?3)";

const OLDEST: &str = "
    SELECT id, may_carry_content FROM tel_outbox
    WHERE writer = ?1 AND is_ready = 1 AND exits & ?2 AND tries = 0 AND id > ?3
    ORDER BY id LIMIT ?4";

const LEAST_TRIED: &str = "
    SELECT id, may_carry_content FROM tel_outbox
    WHERE writer = ?1 AND is_ready = 1 AND exits & ?2 AND tries > 0
    ORDER BY tries, id LIMIT ?3";

const PAY: &str = "UPDATE tel_outbox SET exits = exits & ~?2 WHERE id = ?1 AND exits & ~?2";

const SUSPECT: &str = "UPDATE tel_outbox SET tries = tries + 1 WHERE id = ?1 RETURNING tries";

/// How long the resender waits for others that write: it comes again by itself.
const BUSY: Duration = Duration::from_millis(500);

/// Notes what a row that has just landed says of its export, and gives its number where it is owed.
pub(super) fn note(
    connection: &Connection,
    landed: &Landed,
    export: Export,
    row: &SpanRow<'_>,
    context: Context<'_>,
) -> rusqlite::Result<Option<i64>> {
    let id = || match landed {
        // The contents of a row come after it, and have numbers of their own.
        Landed::New if row.contents.is_empty() => Ok(connection.last_insert_rowid()),
        _ => span_row::id(connection, row, context),
    };
    match export {
        // What is new was not owed before.
        Export::Settled if !matches!(landed, Landed::New) => {
            remove(connection, id()?)?;
            Ok(None)
        }
        Export::None | Export::Settled => Ok(None),
        Export::Owed(owed) => {
            let id = id()?;
            connection.prepare_cached(PUT)?.execute(params![
                id,
                owed.exits,
                owed.may_carry_content,
                owed.stage as i64,
                context.writer
            ])?;
            Ok(Some(id))
        }
    }
}

/// Nothing is owed of a row any more.
pub(super) fn remove(connection: &Connection, id: i64) -> rusqlite::Result<()> {
    connection.prepare_cached(REMOVE)?.execute([id])?;
    Ok(())
}

impl Writer {
    /// Crosses out the rows of spans that are settled, notes which leave, makes those ready that are to be sent again,
    /// and drops the oldest `excess` of these; gives the number of the dropped.
    pub(crate) fn settle(
        &mut self,
        settled: &[i64],
        decided: &[i64],
        ready: &[(i64, u8)],
        excess: u64,
    ) -> Result<u64, WriteError> {
        let mut settle = || {
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            for id in settled {
                transaction.prepare_cached(REMOVE)?.execute([id])?;
            }
            for id in decided {
                transaction.prepare_cached(DECIDED)?.execute([id])?;
            }
            for (id, exits) in ready {
                transaction
                    .prepare_cached(RELEASE)?
                    .execute(params![id, exits])?;
            }
            let mut dropped = 0;
            if excess > 0 {
                let excess = i64::try_from(excess).unwrap_or(i64::MAX);
                dropped = transaction
                    .prepare_cached(TRIM)?
                    .execute(params![self.identity.number, excess])?;
            }
            transaction.commit()?;
            Ok(count(dropped))
        };
        settle().map_err(|error| WriteError::of(&error, &self.path))
    }

    /// Where the store is, and the number of this writer in it.
    pub(crate) fn place(&self) -> (&Path, i64) {
        (&self.path, self.identity.number)
    }
}

/// A span that waits to be sent again.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// Its row.
    pub(crate) id: i64,
    /// Whether the operator let its content leave when it was recorded.
    pub(crate) may_carry_content: bool,
    /// `None` where it is no longer in the store, or cannot be read.
    pub(crate) span: Option<RecordedSpan>,
}

/// The spans that one writer owes, on a connection of their own.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(super) connection: Connection,
    path: PathBuf,
    writer: i64,
}

impl Outbox {
    /// Opens the outbox of a writer that lives.
    pub(crate) fn open(path: &Path, writer: i64) -> Result<Outbox, Error> {
        let connection = connect::existing(path)?;
        connection
            .busy_timeout(BUSY)
            .map_err(|source| failure("cannot open the store", path, source))?;
        Ok(Outbox {
            connection,
            path: path.to_owned(),
            writer,
        })
    }

    /// Frees what writers that have died had in hand.
    pub(crate) fn free_the_deads(&mut self) -> Result<(), Error> {
        liveness::mark_dead(&mut self.connection, &self.path, now_ns())
            .map_err(|error| self.failed(error))
    }

    /// Takes over at most so many of the spans that nobody has in hand, the oldest, and gives their
    /// number. What is owed by a way out that this process has not is owed by all those it has.
    pub(crate) fn adopt(&mut self, exits: u8, most: usize) -> Result<u64, Error> {
        // Most often there are none, and looking takes no lock.
        let look = || {
            self.connection
                .prepare_cached(
                    "SELECT 1 FROM tel_outbox WHERE writer IS NULL AND is_ready = 1 LIMIT 1",
                )?
                .exists([])
        };
        if !look().map_err(|error| self.failed(error))? {
            return Ok(0);
        }
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let adopt = || {
            let mut statement = self.connection.prepare_cached(ADOPT)?;
            statement.execute(params![self.writer, exits, most])
        };
        adopt().map(count).map_err(|error| self.failed(error))
    }

    /// The oldest spans owed by this way out, from the row after `after` on; those that were found to
    /// be trouble come last.
    pub(crate) fn oldest(&self, exit: u8, after: i64, most: usize) -> Result<Vec<Waiting>, Error> {
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let read = || -> rusqlite::Result<Vec<Waiting>> {
            let pair = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
            let mut rows: Vec<(i64, bool)> = self
                .connection
                .prepare_cached(OLDEST)?
                .query_map(params![self.writer, exit, after, most], pair)?
                .collect::<rusqlite::Result<_>>()?;
            if rows.is_empty() && after == 0 {
                rows = self
                    .connection
                    .prepare_cached(LEAST_TRIED)?
                    .query_map(params![self.writer, exit, most], pair)?
                    .collect::<rusqlite::Result<_>>()?;
            }
            let sql = RecordedSpan::select("WHERE id = ?1 AND end_ns IS NOT NULL");
            let mut span = self.connection.prepare_cached(&sql)?;
            let waiting = rows.into_iter().map(|(id, may_carry_content)| {
                let span = match span.query_row([id], RecordedSpan::from_row) {
                    Ok(span) => Some(span),
                    Err(error) if is_the_rows_fault(&error) => None,
                    Err(error) => return Err(error),
                };
                Ok(Waiting {
                    id,
                    may_carry_content,
                    span,
                })
            });
            waiting.collect()
        };
        read().map_err(|error| self.failed(error))
    }

    /// Crosses out what a way out has taken, and gives the number of those that no other owes.
    pub(crate) fn pay(&mut self, ids: &[i64], exit: u8) -> Result<u64, Error> {
        self.for_each(ids, |connection, id| {
            if connection.prepare_cached(PAY)?.execute(params![id, exit])? > 0 {
                return Ok(0);
            }
            connection.prepare_cached(REMOVE)?.execute([id])
        })
    }

    /// Forgets spans that will never be delivered, and gives their number.
    pub(crate) fn forget(&mut self, ids: &[i64]) -> Result<u64, Error> {
        self.for_each(ids, |connection, id| {
            connection.prepare_cached(REMOVE)?.execute([id])
        })
    }

    /// Notes that a span failed where others did not. After so many tries it is forgotten: true.
    pub(crate) fn suspect(&mut self, id: i64, most_tries: i64) -> Result<bool, Error> {
        let forgotten = self.for_each(&[id], |connection, id| {
            let tries: i64 = connection
                .prepare_cached(SUSPECT)?
                .query_row([id], |row| row.get(0))?;
            if tries < most_tries {
                return Ok(0);
            }
            connection.prepare_cached(REMOVE)?.execute([id])
        })?;
        Ok(forgotten > 0)
    }

    fn for_each(
        &mut self,
        ids: &[i64],
        change: impl Fn(&Connection, i64) -> rusqlite::Result<usize>,
    ) -> Result<u64, Error> {
        let mut run = || {
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut changed = 0;
            for &id in ids {
                changed += change(&transaction, id)?;
            }
            transaction.commit()?;
            Ok(count(changed))
        };
        run().map_err(|error| self.failed(error))
    }

    pub(super) fn failed(&self, source: rusqlite::Error) -> Error {
        failure("cannot send what is left", &self.path, source)
    }
}

/// Whether one row cannot be had, and others can.
fn is_the_rows_fault(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::QueryReturnedNoRows | rusqlite::Error::FromSqlConversionFailure(..)
    )
}

pub(super) fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{Outbox, Waiting};
    use crate::store::row::{Export, Owed, Row, SpanRow, Stage};
    use crate::store::sample::{SECOND, START, Sample};
    use crate::store::{Store, Writer};

    fn owed(exits: u8, is_ready: bool) -> Export {
        Export::Owed(Owed {
            exits,
            may_carry_content: false,
            stage: if is_ready {
                Stage::Ready
            } else {
                Stage::UnderWay
            },
        })
    }

    fn closed(sample: Sample, at: i64, export: Export) -> Row<'static> {
        Row::Closed(SpanRow {
            export,
            ..sample.chat(at).ended()
        })
    }

    fn place() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        (folder, path)
    }

    fn outbox(path: &Path, writer: &Writer) -> Outbox {
        Outbox::open(path, writer.place().1).unwrap()
    }

    fn ids(waiting: &[Waiting]) -> Vec<i64> {
        waiting.iter().map(|waiting| waiting.id).collect()
    }

    #[test]
    fn what_is_with_the_exporter_waits_until_it_is_given_back() {
        let (_folder, path) = place();
        let mut writer = Writer::open(&path, START).unwrap();
        let sample = Sample::new();
        let rows = [
            closed(sample, 1, owed(1, false)),
            closed(sample, 2, owed(1, true)),
            closed(sample, 3, Export::Settled),
            closed(sample, 4, Export::None),
            closed(sample, 5, owed(1, false)),
        ];
        let written = writer.write(&rows).unwrap();
        let rows: Vec<i64> = written.owed.iter().map(|(_, row)| *row).collect();
        assert_eq!(rows.len(), 3);
        let mut outbox = outbox(&path, &writer);
        let waiting = outbox.oldest(1, 0, 10).unwrap();
        assert_eq!(ids(&waiting), [rows[1]]);
        let span = waiting[0].span.as_ref().unwrap();
        assert_eq!(span.start_ns, START + 2 * SECOND);
        assert_eq!(
            writer.settle(&[rows[0]], &[], &[(rows[2], 1)], 0).unwrap(),
            0
        );
        assert_eq!(ids(&outbox.oldest(1, 0, 10).unwrap()), rows[1..]);
        assert_eq!(ids(&outbox.oldest(1, rows[1], 10).unwrap()), rows[2..]);
        assert_eq!(outbox.pay(&rows, 1).unwrap(), 2, "one was settled");
        assert!(outbox.oldest(1, 0, 10).unwrap().is_empty());
    }

    #[test]
    fn each_way_out_pays_its_own_debts() {
        let (_folder, path) = place();
        let mut writer = Writer::open(&path, START).unwrap();
        let row = closed(Sample::new(), 1, owed(3, true));
        let id = writer.write(&[row]).unwrap().owed[0].1;
        let mut outbox = outbox(&path, &writer);
        assert_eq!(outbox.pay(&[id], 1).unwrap(), 0);
        assert!(outbox.oldest(1, 0, 10).unwrap().is_empty());
        assert_eq!(ids(&outbox.oldest(2, 0, 10).unwrap()), [id]);
        assert_eq!(outbox.pay(&[id], 2).unwrap(), 1);
    }

    #[test]
    fn the_oldest_of_too_many_go() {
        let (_folder, path) = place();
        let mut writer = Writer::open(&path, START).unwrap();
        let sample = Sample::new();
        let rows: Vec<_> = (1..=5)
            .map(|at| closed(sample, at, owed(1, at > 1)))
            .collect();
        let written = writer.write(&rows).unwrap();
        assert_eq!(writer.settle(&[], &[], &[], 2).unwrap(), 2);
        let left = outbox(&path, &writer).oldest(1, 0, 10).unwrap();
        let expected: Vec<_> = written.owed[3..].iter().map(|(_, row)| *row).collect();
        assert_eq!(ids(&left), expected, "the first is with the exporter");
    }

    #[test]
    fn what_a_writer_leaves_another_one_takes_over() {
        let (_folder, path) = place();
        let sample = Sample::new();
        let mut closing = Writer::open(&path, START).unwrap();
        let mut living = Writer::open(&path, START).unwrap();
        let mut dying = Writer::open(&path, START).unwrap();
        closing.write(&[closed(sample, 1, owed(1, false))]).unwrap();
        living.write(&[closed(sample, 2, owed(1, true))]).unwrap();
        let open = SpanRow {
            export: owed(2, false),
            ..sample.chat(3)
        };
        let written = dying.write(&[Row::Open(open)]).unwrap();
        assert!(written.owed.is_empty(), "it has not ended");
        closing.checkpoint_and_close();

        let mut outbox = outbox(&path, &living);
        outbox.free_the_deads().unwrap();
        assert_eq!(outbox.adopt(1, 10).unwrap(), 1);
        assert_eq!(outbox.oldest(1, 0, 10).unwrap().len(), 2);
        drop(dying);
        outbox.free_the_deads().unwrap();
        assert_eq!(
            outbox.adopt(1, 10).unwrap(),
            1,
            "by a way out that is known"
        );
        assert_eq!(outbox.adopt(1, 10).unwrap(), 0);
        let waiting = outbox.oldest(1, 0, 10).unwrap();
        let interrupted = waiting[2].span.as_ref().unwrap();
        assert_eq!(interrupted.status, crate::record::Status::Interrupted);
    }

    #[test]
    fn a_span_that_ends_settled_is_owed_no_more_and_one_withdrawn_neither() {
        let (_folder, path) = place();
        let mut writer = Writer::open(&path, START).unwrap();
        let sample = Sample::new();
        let open = |at| SpanRow {
            export: owed(1, false),
            ..sample.chat(at)
        };
        let (one, other) = (open(1), open(2));
        writer.write(&[one.opened(), other.opened()]).unwrap();
        let settled = SpanRow {
            export: Export::Settled,
            ..one.ended()
        };
        let withdrawn = Row::Withdrawn(crate::store::WithdrawnRow {
            trace_id: sample.trace_id,
            span_id: other.span_id,
            parent_span_id: None,
            root_of: None,
        });
        writer.write(&[Row::Closed(settled), withdrawn]).unwrap();
        writer.checkpoint_and_close();
        drop(Store::open(&path).unwrap());
        let writer = Writer::open(&path, START).unwrap();
        assert_eq!(outbox(&path, &writer).adopt(1, 10).unwrap(), 0);
    }

    #[test]
    fn a_row_that_is_refused_owes_nothing() {
        let (_folder, path) = place();
        let mut writer = Writer::open(&path, START).unwrap();
        rusqlite::Connection::open(&path)
            .unwrap()
            .execute_batch(
                "CREATE TRIGGER bad BEFORE INSERT ON tel_error_events
                 BEGIN SELECT raise(ABORT, 'bad row'); END",
            )
            .unwrap();
        let sample = Sample::new();
        let bad = SpanRow {
            export: owed(1, true),
            ..sample.chat(1).failed()
        };
        let good = closed(sample, 2, owed(1, true));
        let written = writer.write(&[Row::Closed(bad), good]).unwrap();
        assert_eq!((written.rows, written.refused), (1, 1));
        // It may have the number that the other one had for a moment.
        let rows: Vec<_> = written.owed.iter().map(|(_, row)| *row).collect();
        assert_eq!(rows.len(), 1);
        assert_eq!(ids(&outbox(&path, &writer).oldest(1, 0, 10).unwrap()), rows);
    }

    #[test]
    fn a_suspect_comes_last_and_is_forgotten_in_the_end() {
        let (_folder, path) = place();
        let mut writer = Writer::open(&path, START).unwrap();
        let sample = Sample::new();
        let rows = [1, 2].map(|at| closed(sample, at, owed(1, true)));
        let written = writer.write(&rows).unwrap();
        let [first, second] = [0, 1].map(|at: usize| written.owed[at].1);
        let mut outbox = outbox(&path, &writer);
        assert!(!outbox.suspect(first, 2).unwrap());
        assert_eq!(ids(&outbox.oldest(1, 0, 10).unwrap()), [second]);
        outbox.forget(&[second]).unwrap();
        assert_eq!(ids(&outbox.oldest(1, 0, 10).unwrap()), [first]);
        assert!(outbox.suspect(first, 2).unwrap());
        assert!(outbox.oldest(1, 0, 10).unwrap().is_empty());
    }
}
