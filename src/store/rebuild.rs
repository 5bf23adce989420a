//! A store that is made anew from what was logged: built beside its place, and put there when whole.

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, TransactionBehavior};

use super::connect::{self, failure};
use super::liveness;
use super::migrate::beside;
use super::row::Row;
use super::write;
use crate::error::{Error, ErrorKind};
use crate::record::{WriterIdentity, seed};

/// What SQLite keeps beside a database while it is open.
const SIDE_FILES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A store in the making. Dropped before it is finished, it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Rebuild {
    /// `None` once closed.
    connection: Option<Connection>,
    building: PathBuf,
    into: PathBuf,
    /// Those that have their entry.
    writers: HashSet<String>,
}

impl Rebuild {
    /// Begins a store that will be at `into`, where none may be.
    pub(crate) fn begin(into: &Path) -> Result<Rebuild, Error> {
        refuse_existing(into)?;
        let building = beside(into, &format!("-rebuild-{:016x}", seed()));
        let connection = connect::create(&building)?;
        let rebuild = Rebuild {
            connection: Some(connection),
            building,
            into: into.to_owned(),
            writers: HashSet::new(),
        };
        // Nobody sees the file before it is whole, and then it is brought to the disk at once.
        rebuild
            .open()?
            .pragma_update(None, "synchronous", "OFF")
            .map_err(|source| rebuild.failed(source))?;
        Ok(rebuild)
    }

    /// Makes the entry of a writer.
    pub(crate) fn writer(&mut self, identity: &WriterIdentity) -> Result<(), Error> {
        if self.writers.contains(&identity.id) {
            return Ok(());
        }
        write::register(self.open()?, identity).map_err(|source| self.failed(source))?;
        self.writers.insert(identity.id.clone());
        Ok(())
    }

    /// Writes what was one batch; returns how many rows were refused, as the writer's were.
    pub(crate) fn batch(&mut self, writer_id: &str, rows: &[Row<'_>]) -> Result<u64, Error> {
        let first_ns = rows.iter().find_map(Row::latest_ns).unwrap_or_default();
        self.know(writer_id, first_ns)?;
        self.change(|connection| write::write(connection, writer_id, rows))
            .map(|written| written.refused)
    }

    /// Notes that a writer was alive.
    pub(crate) fn seen(&mut self, writer_id: &str, at_ns: i64) -> Result<(), Error> {
        self.know(writer_id, at_ns)?;
        self.change(|connection| write::seen(connection, writer_id, at_ns))
    }

    /// Notes what a writer's process lost.
    pub(crate) fn losses<R: AsRef<str>>(
        &mut self,
        writer_id: &str,
        losses: &[(R, u64)],
    ) -> Result<(), Error> {
        self.change(|connection| write::record_losses(connection, writer_id, losses))
    }

    /// Ends a writer; what it left open is interrupted.
    pub(crate) fn close(&mut self, writer_id: &str) -> Result<(), Error> {
        self.change(|connection| {
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            liveness::interrupt(&transaction, writer_id)?;
            transaction.commit()
        })
    }

    /// Ends the writers of which no end is known, and puts the store in its place; returns how many
    /// spans are in it.
    pub(crate) fn finish(mut self) -> Result<u64, Error> {
        let unclosed = self.change(|connection| liveness::unclosed(connection))?;
        for writer_id in unclosed {
            self.close(&writer_id)?;
        }
        let spans: i64 = self.change(|connection| {
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            connection.query_row("SELECT count(*) FROM tel_spans", [], |row| row.get(0))
        })?;
        if let Some(connection) = self.connection.take() {
            connection
                .close()
                .map_err(|(_, source)| self.failed(source))?;
        }
        refuse_existing(&self.into)?;
        File::open(&self.building)
            .and_then(|file| file.sync_all())
            .and_then(|()| std::fs::rename(&self.building, &self.into))
            .map_err(|source| {
                let what = format!("cannot put the store at {}", self.into.display());
                Error::with_source(ErrorKind::Store, what, source)
            })?;
        Ok(u64::try_from(spans).unwrap_or_default())
    }

    /// A writer whose own line is lost has an entry all the same, or nothing would end what it left
    /// open.
    fn know(&mut self, writer_id: &str, at_ns: i64) -> Result<(), Error> {
        if self.writers.contains(writer_id) {
            return Ok(());
        }
        self.writer(&WriterIdentity::of_id(writer_id, at_ns))
    }

    fn open(&self) -> Result<&Connection, Error> {
        let closed = || Error::new(ErrorKind::Store, "the store is closed");
        self.connection.as_ref().ok_or_else(closed)
    }

    fn change<T>(
        &mut self,
        change: impl FnOnce(&mut Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let Some(connection) = &mut self.connection else {
            return Err(Error::new(ErrorKind::Store, "the store is closed"));
        };
        change(connection).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: rusqlite::Error) -> Error {
        failure("cannot write the store", &self.into, source)
    }
}

impl Drop for Rebuild {
    fn drop(&mut self) {
        drop(self.connection.take());
        for suffix in [""].iter().chain(&SIDE_FILES) {
            let _ = std::fs::remove_file(beside(&self.building, suffix));
        }
    }
}

/// Refuses a place where something is that a new store would hide, or that would spoil it: the log
/// of a database that is gone would be read into the new one.
fn refuse_existing(into: &Path) -> Result<(), Error> {
    for suffix in [""].iter().chain(&SIDE_FILES) {
        let path = beside(into, suffix);
        let is_taken = std::fs::symlink_metadata(&path).is_ok_and(|found| found.len() > 0);
        if is_taken {
            let what = format!(
                "there is something at {} already: rebuild into a new file, then put it in the \
                 store's place",
                path.display()
            );
            return Err(Error::new(ErrorKind::InvalidInput, what));
        }
    }
    Ok(())
}
