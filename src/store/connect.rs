//! Opens the database file: makes it readable by its owner alone, and sets how `SQLite` treats it.

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::migrate::{self, beside};
use super::place::{FileId, PlaceLock, SIDE_FILES};
use crate::error::{Error, ErrorKind};
pub(super) use crate::owner_only::{create_file, create_folder};

/// How long another process may hold the store before a reader gives up.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Pages in the log before they are moved into the store, 32 MiB of them: moving costs two calls of
/// `fsync`, and a page that was written often is moved once.
const CHECKPOINT_PAGES: i64 = 8192;
/// How long one try of the writer waits for other processes.
pub(super) const BUSY: Duration = Duration::from_millis(500);

/// How a store is opened for writing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    /// How long other processes may hold it meanwhile.
    pub(crate) wait: Duration,
    /// The key of the redaction tokens of a store that is made by this; `None`: any.
    pub(crate) key: Option<[u8; 16]>,
}

impl Default for Opening {
    fn default() -> Self {
        Opening {
            wait: BUSY_TIMEOUT,
            key: None,
        }
    }
}

/// The log is cut back to this size after a burst.
const LOG_BYTES: i64 = 64 * 1024 * 1024;

/// Opens the store for writing, and makes it where there is none. The file is the one that the path
/// led to just before.
pub(super) fn create(path: &Path, opening: Opening) -> Result<(Connection, FileId), Error> {
    let parent = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let made = parent.map_or(Ok(()), create_folder);
    // SQLite gives its side files the mode of the file they belong to, so the file is made here.
    let file = made
        .and_then(|()| refuse_folder(path))
        .and_then(|()| make(path, opening.wait))
        .and_then(|()| FileId::of(path).ok_or(std::io::ErrorKind::NotFound.into()))
        .map_err(|error| {
            Error::with_source(
                ErrorKind::Store,
                format!(
                    "cannot create the store at {}: make it a writable place or choose another \
                 HERMES_TELEMETRY_DB",
                    path.display(),
                ),
                error,
            )
        })?;
    let connection = open(path, opening)?;
    if connection.is_readonly("main").unwrap_or(false) {
        return Err(Error::new(
            ErrorKind::Store,
            format!(
                "the store at {} cannot be written: change its permissions or choose another \
                 HERMES_TELEMETRY_DB",
                path.display(),
            ),
        ));
    }
    Ok((connection, file))
}

/// Opens a store that is there.
pub(super) fn existing(path: &Path) -> Result<Connection, Error> {
    match std::fs::metadata(path) {
        Ok(_) => refuse_folder(path).map_err(|error| {
            Error::with_source(
                ErrorKind::Store,
                format!("cannot read the store at {}", path.display()),
                error,
            )
        })?,
        Err(_) => {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!(
                    "there is no store at {}: run an agent first, or name another place with \
                     HERMES_TELEMETRY_DB",
                    path.display(),
                ),
            ));
        }
    }
    open(path, Opening::default())
}

/// Makes the file where there is none, while nobody else makes it or moves it away.
fn make(path: &Path, wait: Duration) -> std::io::Result<()> {
    if !path.exists() {
        let _lock = PlaceLock::take(path, wait)?;
        if !path.exists() {
            // What is left of a file that was deleted belongs to no other: a new one that found its
            // log would be told what the old one held, and share memory with whoever has it open.
            for suffix in SIDE_FILES {
                remove_if_there(&beside(path, suffix))?;
            }
        }
        create_file(path)?;
    }
    Ok(())
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// How many bytes the store takes: its file and its log.
pub(super) fn bytes(path: &Path) -> u64 {
    let of = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    of(path) + of(&beside(path, "-wal"))
}

/// Puts the log into the file and cuts it to nothing, if nobody reads from it; waits for nobody.
pub(super) fn shrink_log(connection: &Connection) -> rusqlite::Result<bool> {
    let checkpoint = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    // First what keeps nobody from writing, so that little is left for what does.
    checkpoint("PRAGMA wal_checkpoint(PASSIVE)")?;
    connection.busy_timeout(Duration::ZERO)?;
    let is_busy = checkpoint("PRAGMA wal_checkpoint(TRUNCATE)");
    connection.busy_timeout(BUSY)?;
    Ok(is_busy? == 0)
}

/// Whether another process holds what we need at this moment.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

/// Whether trying again later may help: another process holds the store, the disk is full, a limit is
/// reached, the folder cannot be written, the disk gives errors.
pub(super) fn is_passing(error: &rusqlite::Error) -> bool {
    is_busy(error)
        || matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::DiskFull
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::ReadOnly
                    | ErrorCode::CannotOpen
                    | ErrorCode::PermissionDenied
                    | ErrorCode::FileLockingProtocolFailed
                    | ErrorCode::OutOfMemory
            )
        )
}

/// Whether the file itself is broken.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase)
    )
}

/// An error of the store: what could not be done, where, and why.
pub(super) fn failure(what: &str, path: &Path, source: rusqlite::Error) -> Error {
    let kind = if is_damage(&source) {
        ErrorKind::StoreDamaged
    } else {
        ErrorKind::Store
    };
    Error::with_source(kind, format!("{what} at {}", path.display()), source)
}

fn open(path: &Path, opening: Opening) -> Result<Connection, Error> {
    // Before anything that writes: a store from the future is to stay as it is.
    migrate::check(path, opening.wait)?;
    let failed = |source| failure("cannot open the store", path, source);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(opening.wait).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Else a statement that might use a partial index is prepared anew for every value bound to it.
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map_err(failed)?;
    let version = migrate::version(&connection).map_err(failed)?;
    if version == migrate::newest() && connection.is_readonly("main").map_err(failed)? {
        return Ok(connection);
    }
    configure(&connection, version == 0, opening.wait).map_err(failed)?;
    migrate::upgrade(&mut connection, path, opening.key)?;
    Ok(connection)
}

/// The first pragmas need the file alone for a moment, and `SQLite` does not wait for that by itself.
fn configure(connection: &Connection, is_new: bool, wait: Duration) -> rusqlite::Result<()> {
    let deadline = Instant::now() + wait;
    loop {
        match set_layout(connection, is_new) {
            Err(error) if is_busy(&error) && Instant::now() < deadline => {
                sleep(Duration::from_millis(5));
            }
            Err(error) => return Err(error),
            Ok(()) => break,
        }
    }
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update_and_check(None, "wal_autocheckpoint", CHECKPOINT_PAGES, |_| Ok(()))?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_BYTES, |_| Ok(()))
}

fn set_layout(connection: &Connection, is_new: bool) -> rusqlite::Result<()> {
    if is_new {
        // Lets a prune give its space back; can be chosen only before the first table.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    // A file system without shared memory keeps the old mode, which is slower and works.
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
}

fn refuse_folder(path: &Path) -> std::io::Result<()> {
    if path.is_dir() {
        return Err(std::io::Error::new(
            std::io::ErrorKind::IsADirectory,
            "it is a folder, and the store is a file",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::error::ErrorKind;
    use crate::store::migrate::beside;
    use crate::store::{Store, Writer};

    #[cfg(unix)]
    fn mode(path: &Path) -> u32 {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_what_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let shared = folder.path().join("shared");
        std::fs::create_dir(&shared).unwrap();
        let shared_mode = mode(&shared);
        let path = shared.join("hermes/telemetry/telemetry.db");
        let writer = Writer::open(&path, 1).unwrap();
        for made in [
            "hermes",
            "hermes/telemetry",
            "hermes/telemetry/telemetry.db-writers",
        ] {
            assert_eq!(mode(&shared.join(made)), 0o700, "{made}");
        }
        for suffix in ["", "-wal", "-shm"] {
            assert_eq!(mode(&beside(&path, suffix)), 0o600, "{suffix}");
        }
        let locks = std::fs::read_dir(beside(&path, "-writers")).unwrap();
        for lock in locks {
            assert_eq!(mode(&lock.unwrap().path()), 0o600);
        }
        assert_eq!(
            mode(&shared),
            shared_mode,
            "a folder that was there was changed"
        );
        writer.checkpoint_and_close();
    }

    #[test]
    fn an_unusable_place_gives_one_clear_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = Writer::open(folder.path(), 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Store);
        assert!(
            error
                .to_string()
                .contains("it is a folder, and the store is a file"),
            "{error}"
        );
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let error = Writer::open(&file.join("telemetry.db"), 1).unwrap_err();
        assert!(
            error
                .to_string()
                .contains("choose another HERMES_TELEMETRY_DB"),
            "{error}"
        );
        assert_eq!(
            Store::open(folder.path()).unwrap_err().kind(),
            ErrorKind::Store
        );
    }

    #[test]
    fn a_reader_makes_no_store() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let error = Store::open(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(
            error.to_string().starts_with("there is no store at "),
            "{error}"
        );
        assert!(!path.exists());
    }
}
