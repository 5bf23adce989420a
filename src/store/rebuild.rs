//! A store that is made anew from what was logged: built beside its place, and put there when whole.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use super::connect::{Opening, failure};
use super::liveness::Lock;
use super::migrate::beside;
use super::row::Row;
use super::write::{self, WriteError, Writer};
use crate::error::{Error, ErrorKind};
use crate::record::{Happening, WriterIdentity, seed};

/// What `SQLite` keeps beside a database while it is open.
const SIDE_FILES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// A store in the making. Dropped before it is finished, it leaves nothing behind.
#[derive(Debug)]
pub(crate) struct Rebuild {
    /// Writes in the name of those who wrote the log; `None` once closed.
    writer: Option<Writer>,
    building: Building,
    into: PathBuf,
    /// Those that have their entry.
    writers: HashMap<String, Known>,
}

/// What is known of somebody who wrote.
#[derive(Clone, Copy, Debug)]
struct Known {
    number: i64,
    has_ended: bool,
}

impl Rebuild {
    /// Begins a store that will be at `into`, where none may be.
    pub(crate) fn begin(into: &Path) -> Result<Rebuild, Error> {
        refuse_existing(into)?;
        let building = Building(beside(into, &format!("-rebuild-{:016x}", seed())));
        let ourselves = WriterIdentity::of_this_process(0);
        let lock = Lock::new(&building.0, ourselves);
        let writer = Writer::open_as(&lock, &building.0, 0, Opening::default())?;
        // We are none of those who wrote. Nobody sees the file before it is whole, and then it is
        // brought to the disk at once.
        writer
            .connection
            .execute("DELETE FROM tel_writers", [])
            .and_then(|_| writer.connection.pragma_update(None, "synchronous", "OFF"))
            .map_err(|source| failure("cannot write the store", into, source))?;
        Ok(Rebuild {
            writer: Some(writer),
            building,
            into: into.to_owned(),
            writers: HashMap::new(),
        })
    }

    /// Makes the entry of a writer.
    pub(crate) fn writer(&mut self, identity: &WriterIdentity) -> Result<(), Error> {
        if !self.writers.contains_key(&identity.id) {
            let number = self.change(|writer| write::register(&writer.connection, identity))?;
            let known = Known {
                number,
                has_ended: false,
            };
            self.writers.insert(identity.id.clone(), known);
        }
        Ok(())
    }

    /// Writes what was one batch; returns how many rows were refused, as the writer's were.
    pub(crate) fn batch(&mut self, writer_id: &str, rows: &[Row<'_>]) -> Result<u64, Error> {
        let first_ns = rows.iter().find_map(Row::latest_ns).unwrap_or_default();
        let written = self.of(writer_id, first_ns)?.write(rows);
        Ok(written.map_err(unwritten)?.refused)
    }

    /// Writes an event; whether it was refused.
    pub(crate) fn event(&mut self, writer_id: &str, event: &Happening) -> Result<bool, Error> {
        let writer = self.of(writer_id, event.ts_ns)?;
        Ok(writer.happened(std::slice::from_ref(event)).is_err())
    }

    /// Notes that a writer was alive.
    pub(crate) fn seen(&mut self, writer_id: &str, at_ns: i64) -> Result<(), Error> {
        let beaten = self.of(writer_id, at_ns)?.heartbeat(at_ns);
        beaten.map_err(unwritten)
    }

    /// Notes what a writer's process lost.
    pub(crate) fn losses(&mut self, writer_id: &str, losses: &[(&str, u64)]) -> Result<(), Error> {
        let recorded = self.of(writer_id, 0)?.record_losses(losses);
        recorded.map_err(unwritten)
    }

    /// Ends a writer; what it left open is interrupted.
    pub(crate) fn close(&mut self, writer_id: &str) -> Result<(), Error> {
        self.of(writer_id, 0)?;
        self.change(Writer::end)?;
        if let Some(known) = self.writers.get_mut(writer_id) {
            known.has_ended = true;
        }
        Ok(())
    }

    /// Ends the writers of which no end is known, and puts the store in its place; returns how many
    /// spans are in it.
    pub(crate) fn finish(mut self) -> Result<u64, Error> {
        let unclosed = self.writers.iter().filter(|(_, known)| !known.has_ended);
        let unclosed: Vec<_> = unclosed.map(|(writer_id, _)| writer_id.clone()).collect();
        for writer_id in unclosed {
            self.close(&writer_id)?;
        }
        let spans: i64 = self.change(|writer| {
            let (connection, all) = (&writer.connection, "SELECT count(*) FROM tel_spans");
            connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
            connection.query_row(all, [], |row| row.get(0))
        })?;
        // The last connection to close takes the log away with it.
        if let Some(writer) = self.writer.take() {
            writer.checkpoint_and_close();
        }
        refuse_existing(&self.into)?;
        File::open(&self.building.0)
            .and_then(|file| file.sync_all())
            .and_then(|()| std::fs::rename(&self.building.0, &self.into))
            .map_err(|source| {
                let what = format!("cannot put the store at {}", self.into.display());
                Error::with_source(ErrorKind::Store, what, source)
            })?;
        Ok(u64::try_from(spans).unwrap_or_default())
    }

    /// The writer, in the name of another. One whose own line is lost gets an entry all the same, or
    /// nothing would end what it left open.
    fn of(&mut self, writer_id: &str, at_ns: i64) -> Result<&mut Writer, Error> {
        if !self.writers.contains_key(writer_id) {
            self.writer(&WriterIdentity::of_id(writer_id, at_ns))?;
        }
        let writer = self.writer.as_mut().ok_or_else(closed)?;
        if let Some(known) = self.writers.get(writer_id)
            && writer.identity.name != writer_id
        {
            writer_id.clone_into(&mut writer.identity.name);
            writer.identity.number = known.number;
        }
        Ok(writer)
    }

    fn change<T>(
        &mut self,
        change: impl FnOnce(&mut Writer) -> rusqlite::Result<T>,
    ) -> Result<T, Error> {
        let changed = change(self.writer.as_mut().ok_or_else(closed)?);
        changed.map_err(|source| failure("cannot write the store", &self.into, source))
    }
}

/// The file while it is built. What is left of it when it goes is removed.
#[derive(Debug)]
struct Building(PathBuf);

impl Drop for Building {
    fn drop(&mut self) {
        for suffix in [""].iter().chain(&SIDE_FILES) {
            let _ = std::fs::remove_file(beside(&self.0, suffix));
        }
        let _ = std::fs::remove_dir_all(beside(&self.0, "-writers"));
    }
}

fn unwritten(error: WriteError) -> Error {
    Error::new(ErrorKind::Store, error.message)
}

fn closed() -> Error {
    Error::new(ErrorKind::Store, "the store is closed")
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
