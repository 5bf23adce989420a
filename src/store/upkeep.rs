//! What keeps an open store usable: a look at its place, a way out of a broken one, pruning, and the
//! ends that were lost on the way to it.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::TransactionBehavior;
use rusqlite::config::DbConfig;

use super::aside;
use super::connect::Opening;
use super::liveness::{self, LostSpan};
use super::migrate::beside;
use super::place::{Displaced, PlaceLock, SIDE_FILES};
use super::prune::{Pruner, STEP, Step};
use super::salvage::Rescue;
use super::write::{WriteError, Writer};
use crate::error::Error;

/// How long somebody else may be busy with the place of the store.
const WAIT: Duration = Duration::from_millis(250);

impl Writer {
    /// Whether what is written would not reach the file that the path leads to. Three looks at the
    /// file system, a few microseconds.
    pub(crate) fn displaced(&self) -> Option<Displaced> {
        self.footprint.displaced(&self.path)
    }

    /// Gives up a store that is no longer where it was; the writer goes on in another one.
    ///
    /// What was committed to a deleted file is lost with it, as its owner wished. A file that was
    /// moved has all of it, and where only the log was deleted, what was in it is saved too.
    pub(crate) fn leave(self, why: Displaced) {
        if let Ok(_lock) = PlaceLock::take(&self.path, WAIT)
            && self.displaced() == Some(why)
        {
            self.clear_place(why);
        }
        self.let_go();
    }

    /// Saves what the log has, and leaves no side file to a file that it does not belong to.
    fn clear_place(&self, why: Displaced) {
        let save = || {
            let sql = "PRAGMA wal_checkpoint(PASSIVE)";
            // What cannot be saved is lost with the log; nobody is there to tell how much it was.
            let _: rusqlite::Result<()> = self.connection.query_row(sql, [], |_| Ok(()));
        };
        let [log, index, _] = SIDE_FILES.map(|suffix| beside(&self.path, suffix));
        let is_left = match why {
            Displaced::Gone => {
                save();
                self.footprint.has_log(&log)
            }
            Displaced::LogGone => {
                save();
                !log.exists()
            }
            Displaced::LogReplaced | Displaced::Emptied => false,
        };
        if is_left {
            for file in [log, index] {
                let _ = std::fs::remove_file(file);
            }
        }
    }

    /// Gives up a broken store: it is moved aside, and what can be read of it copied into a new one
    /// if that is done soon. `None`: another process has done so.
    pub(crate) fn rescue(self, opening: Opening, now_ns: i64) -> Result<Option<Rescue>, Error> {
        let (path, broken) = (self.path.clone(), self.footprint.main());
        self.let_go();
        let aside = aside::move_aside(&path, broken, now_ns)?;
        Ok(aside.map(|aside| Rescue::of(aside, &path, opening)))
    }

    /// As [`Writer::rescue`], for a store that is found broken when it is opened.
    pub(crate) fn rescue_unopened(
        path: &Path,
        opening: Opening,
        now_ns: i64,
    ) -> Result<Option<Rescue>, Error> {
        let aside = aside::move_unopened(path, now_ns)?;
        Ok(aside.map(|aside| Rescue::of(aside, path, opening)))
    }

    /// Ends announced spans whose end never arrives: they are interrupted.
    pub(crate) fn mark_lost(&mut self, lost: &[LostSpan]) -> Result<(), WriteError> {
        let mut mark = || {
            let transaction = self
                .connection
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            liveness::mark_lost(&transaction, lost)?;
            transaction.commit()
        };
        mark().map_err(|error| WriteError::of(&error, &self.path))
    }

    /// Prunes a little, if it is time for it. A process that lives but for a moment does its part.
    pub(crate) fn prune(&mut self, pruner: &mut Pruner, now_ns: i64) -> Result<(), WriteError> {
        if !pruner.is_due(&self.path) {
            return Ok(());
        }
        let begun = Instant::now();
        let mut next = Step::More;
        while next == Step::More && begun.elapsed() < STEP {
            next = pruner
                .step(&mut self.connection, &self.path, now_ns)
                .map_err(|error| WriteError::of(&error, &self.path))?;
        }
        Ok(())
    }

    /// Closes the connection and changes nothing: what lies there now may be somebody else's.
    fn let_go(self) {
        let _ = self
            .connection
            .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
    }
}
