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
use super::row::Export;
use super::write::{WriteError, Writer};
use crate::error::Error;

const PUT: &str = "
    INSERT OR REPLACE INTO tel_outbox (id, exits, may_carry_content, is_ready, writer_id)
    VALUES (?1, ?2, ?3, ?4, ?5)";

const REMOVE: &str = "DELETE FROM tel_outbox WHERE id = ?1";

const RELEASE: &str = "UPDATE tel_outbox SET is_ready = 1, exits = ?2 WHERE id = ?1";

const TRIM: &str = "
    DELETE FROM tel_outbox WHERE id IN
        (SELECT id FROM tel_outbox WHERE writer_id = ?1 AND is_ready ORDER BY id LIMIT ?2)";

/// What a writer that ends leaves to others.
pub(super) const LEAVE: &str =
    "UPDATE tel_outbox SET writer_id = NULL, is_ready = 1 WHERE writer_id = ?1";

const ADOPT: &str = "
    UPDATE tel_outbox SET writer_id = ?1,
        exits = CASE WHEN exits & ?2 THEN exits & ?2 ELSE ?2 END
    WHERE id IN (SELECT id FROM tel_outbox WHERE writer_id IS NULL ORDER BY id LIMIT ?3)";

const OLDEST: &str = "
    SELECT id, may_carry_content FROM tel_outbox
    WHERE writer_id = ?1 AND is_ready AND exits & ?2 AND tries = 0 AND id > ?3
    ORDER BY id LIMIT ?4";

const LEAST_TRIED: &str = "
    SELECT id, may_carry_content FROM tel_outbox
    WHERE writer_id = ?1 AND is_ready AND exits & ?2 AND tries > 0
    ORDER BY tries, id LIMIT ?3";

const PAY: &str = "UPDATE tel_outbox SET exits = exits & ~?2 WHERE id = ?1 AND exits & ~?2";

const SUSPECT: &str = "UPDATE tel_outbox SET tries = tries + 1 WHERE id = ?1 RETURNING tries";

/// How long the resender waits for others that write: it comes again by itself.
const BUSY: Duration = Duration::from_millis(500);

/// Notes what a row that has just landed says of its export, and gives the row where it is owed.
pub(super) fn note(
    connection: &Connection,
    landed: &Landed,
    export: Export,
    writer_id: &str,
) -> rusqlite::Result<Option<i64>> {
    let (Landed::New(id) | Landed::Completed(id) | Landed::Again(id)) = *landed else {
        return Ok(None);
    };
    match export {
        Export::None => Ok(None),
        Export::Settled => {
            // What is new was not owed before.
            if !matches!(landed, Landed::New(_)) {
                connection.prepare_cached(REMOVE)?.execute([id])?;
            }
            Ok(None)
        }
        Export::Owed(owed) => {
            connection.prepare_cached(PUT)?.execute(params![
                id,
                owed.exits,
                owed.may_carry_content,
                owed.is_ready,
                writer_id
            ])?;
            Ok(Some(id))
        }
    }
}

impl Writer {
    /// Crosses out the rows of spans that are settled, makes those ready that are to be sent again,
    /// and drops the oldest `excess` of these; gives the number of the dropped.
    pub(crate) fn settle(
        &mut self,
        settled: &[i64],
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
                    .execute(params![self.id, excess])?;
            }
            transaction.commit()?;
            Ok(count(dropped))
        };
        settle().map_err(|error| WriteError::of(&error, &self.path))
    }

    /// Where the store is, and as whom this writes into it.
    pub(crate) fn identity(&self) -> (&Path, &str) {
        (&self.path, &self.id)
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
    connection: Connection,
    path: PathBuf,
    writer_id: String,
}

impl Outbox {
    /// Opens the outbox of a writer that lives.
    pub(crate) fn open(path: &Path, writer_id: &str) -> Result<Outbox, Error> {
        let connection = connect::existing(path)?;
        connection
            .busy_timeout(BUSY)
            .map_err(|source| failure("cannot open the store", path, source))?;
        Ok(Outbox {
            connection,
            path: path.to_owned(),
            writer_id: writer_id.to_owned(),
        })
    }

    /// Whether this is the outbox of that writer of that store.
    pub(crate) fn is_of(&self, path: &Path, writer_id: &str) -> bool {
        self.path == path && self.writer_id == writer_id
    }

    /// Frees what writers that have died had in hand.
    pub(crate) fn free_the_deads(&mut self) -> Result<(), Error> {
        liveness::mark_dead(&mut self.connection, &self.path).map_err(|error| self.failed(error))
    }

    /// Takes over at most so many of the spans that nobody has in hand, the oldest, and gives their
    /// number. What is owed by a way out that this process has not is owed by all those it has.
    pub(crate) fn adopt(&mut self, exits: u8, most: usize) -> Result<u64, Error> {
        // Most often there are none, and looking takes no lock.
        let look = || {
            self.connection
                .prepare_cached("SELECT 1 FROM tel_outbox WHERE writer_id IS NULL LIMIT 1")?
                .exists([])
        };
        if !look().map_err(|error| self.failed(error))? {
            return Ok(0);
        }
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        let adopt = || {
            let mut statement = self.connection.prepare_cached(ADOPT)?;
            statement.execute(params![self.writer_id, exits, most])
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
                .query_map(params![self.writer_id, exit, after, most], pair)?
                .collect::<rusqlite::Result<_>>()?;
            if rows.is_empty() && after == 0 {
                rows = self
                    .connection
                    .prepare_cached(LEAST_TRIED)?
                    .query_map(params![self.writer_id, exit, most], pair)?
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

    fn failed(&self, source: rusqlite::Error) -> Error {
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

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
