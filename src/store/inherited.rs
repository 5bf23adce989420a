//! Which stores this process has open for writing, so that a copy of it, made by a fork, keeps off them.
//!
//! `SQLite` notes in the process's memory which locks it holds. A copy inherits the notes and not the
//! locks: a second connection to the same file would then write without them.

use std::path::{Path, PathBuf};
use std::process;
use std::sync::{Mutex, PoisonError};

use crate::error::{Error, ErrorKind};

/// Who opened what. What another process opened was inherited.
static OPENED: Mutex<Vec<(u32, PathBuf)>> = Mutex::new(Vec::new());

/// A store that this process has open, until it is dropped.
#[derive(Debug)]
pub(super) struct Opened {
    pid: u32,
    path: PathBuf,
}

impl Opened {
    /// Notes that this process opens the store, unless it has inherited it.
    pub(super) fn note(path: &Path) -> Result<Opened, Error> {
        let opened = Opened {
            pid: process::id(),
            path: std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()),
        };
        let mut all = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        if all
            .iter()
            .any(|(pid, path)| *pid != opened.pid && *path == opened.path)
        {
            let why = format!(
                "the process was forked while it wrote the store at {}, and SQLite cannot open it again \
                 in the copy: fork first, then build Hermes, or give the child a store of its own",
                path.display()
            );
            return Err(Error::new(ErrorKind::Forked, why));
        }
        all.push((opened.pid, opened.path.clone()));
        Ok(opened)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let mut all = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all
            .iter()
            .position(|(pid, path)| *pid == self.pid && *path == self.path);
        if let Some(own) = own {
            all.swap_remove(own);
        }
    }
}
