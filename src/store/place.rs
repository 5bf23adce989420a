//! The place of a store: which file its path leads to, and the lock under which one is made or moved.

use std::fs::{File, TryLockError};
use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::connect::create_folder;
use super::migrate::beside;
use crate::error::{Error, ErrorKind};

/// How often a lock that somebody else holds is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(5);

/// The files that belong to a database, by what their names add to its own.
pub(super) const SIDE_FILES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Which file it is, whatever its name: tells a file from another one that took its place.
///
/// The number of a file that is still open is given to no other, so a file whose connection we hold
/// cannot be mistaken. Where the system has no such numbers, all files are taken for the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    number: u64,
}

impl FileId {
    /// The file at this path; `None` where there is none. Opens nothing: closing a database file
    /// that `SQLite` has open in this process as well would take its locks away.
    pub(super) fn of(path: &Path) -> Option<FileId> {
        std::fs::metadata(path)
            .ok()
            .map(|metadata| Self::from(&metadata))
    }
}

#[cfg(unix)]
impl From<&std::fs::Metadata> for FileId {
    fn from(metadata: &std::fs::Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        FileId {
            device: metadata.dev(),
            number: metadata.ino(),
        }
    }
}

#[cfg(not(unix))]
impl From<&std::fs::Metadata> for FileId {
    fn from(_metadata: &std::fs::Metadata) -> Self {
        FileId {
            device: 0,
            number: 0,
        }
    }
}

/// The files that an open connection works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Footprint {
    main: FileId,
    /// `None` where the file system has no shared memory, and the store no log.
    log: Option<FileId>,
}

/// What is wrong with the place of an open store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Displaced {
    /// The file was deleted or moved, or its folder was.
    Gone,
    /// The file is there and its log is not: others would begin a second one beside it.
    LogGone,
    /// The file is there and another log than ours beside it: ours must not reach the file any more.
    LogReplaced,
    /// Somebody cut the file to nothing.
    Emptied,
}

impl Footprint {
    /// The files of a connection that has just written, and that was opened when the path led to
    /// this file. Where it leads to another one by now, nobody knows which of them was opened.
    pub(super) fn of(path: &Path, opened: FileId) -> Result<Footprint, Error> {
        if FileId::of(path) != Some(opened) {
            let what = format!("the store at {} was replaced just now", path.display());
            return Err(Error::new(ErrorKind::Store, what));
        }
        Ok(Footprint {
            main: opened,
            log: FileId::of(&beside(path, "-wal")),
        })
    }

    /// The file itself.
    pub(super) fn main(&self) -> FileId {
        self.main
    }

    /// Whether this is the log.
    pub(super) fn has_log(&self, file: &Path) -> bool {
        self.log.is_some() && self.log == FileId::of(file)
    }

    /// Whether a connection that began on these files still works on what the path leads to.
    pub(super) fn displaced(&self, path: &Path) -> Option<Displaced> {
        let metadata = match std::fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => {
                // A folder that may not be looked into says nothing of what is in it.
                let kind = error.kind();
                let is_gone =
                    matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory);
                return is_gone.then_some(Displaced::Gone);
            }
        };
        if FileId::from(&metadata) != self.main {
            return Some(Displaced::Gone);
        }
        if metadata.len() == 0 {
            return Some(Displaced::Emptied);
        }
        let log = self.log?;
        match FileId::of(&beside(path, "-wal")) {
            None => Some(Displaced::LogGone),
            Some(found) if found != log => Some(Displaced::LogReplaced),
            Some(_) => None,
        }
    }
}

/// Held while the file of a store is made or moved away, and while its old rows are pruned: by one
/// process at a time.
#[derive(Debug)]
pub(super) struct PlaceLock {
    /// `None` where the file system knows no locks.
    _held: Option<File>,
}

impl PlaceLock {
    /// Waits for the lock, but no longer than this. [`io::ErrorKind::WouldBlock`]: somebody holds it.
    pub(super) fn take(store: &Path, wait: Duration) -> io::Result<PlaceLock> {
        let folder = beside(store, "-writers");
        create_folder(&folder)?;
        // The folder itself is locked, so that no file is left behind that nobody dares to remove.
        let Ok(file) = File::open(&folder) else {
            return Ok(PlaceLock { _held: None });
        };
        let deadline = Instant::now() + wait;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(PlaceLock { _held: Some(file) }),
                Err(TryLockError::Error(_)) => return Ok(PlaceLock { _held: None }),
                Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Err(TryLockError::WouldBlock) => sleep(ASK_AGAIN),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::time::Duration;

    use super::{Displaced, FileId, Footprint, PlaceLock};
    use crate::store::migrate::beside;

    #[test]
    fn one_process_at_a_time_has_the_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let held = PlaceLock::take(&path, Duration::ZERO).unwrap();
        let refused = PlaceLock::take(&path, Duration::ZERO).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::WouldBlock);
        drop(held);
        PlaceLock::take(&path, Duration::ZERO).unwrap();
        let left = std::fs::read_dir(beside(&path, "-writers")).unwrap();
        assert_eq!(left.count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_in_the_place_of_another_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let log = beside(&path, "-wal");
        assert_eq!(FileId::of(&path), None);
        std::fs::write(&path, "1").unwrap();
        std::fs::write(&log, "1").unwrap();
        let begun = Footprint::of(&path, FileId::of(&path).unwrap()).unwrap();
        assert_eq!(begun.displaced(&path), None);
        // Open files keep their numbers to themselves, as those of a connection do.
        let _held = (
            std::fs::File::open(&path).unwrap(),
            std::fs::File::open(&log).unwrap(),
        );
        std::fs::remove_file(&log).unwrap();
        assert_eq!(begun.displaced(&path), Some(Displaced::LogGone));
        std::fs::write(&log, "1").unwrap();
        assert_eq!(begun.displaced(&path), Some(Displaced::LogReplaced));
        std::fs::write(&path, "").unwrap();
        assert_eq!(begun.displaced(&path), Some(Displaced::Emptied));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(begun.displaced(&path), Some(Displaced::Gone));
        std::fs::write(&path, "1").unwrap();
        assert_eq!(begun.displaced(&path), Some(Displaced::Gone));
    }
}
