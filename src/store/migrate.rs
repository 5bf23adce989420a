//! Brings an older store up to date, and keeps away from a newer one and from other programs' files.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use super::connect::{failure, is_damage};
use crate::error::{Error, ErrorKind};

/// The schema's changes, oldest first. `PRAGMA user_version` counts how many a store has seen.
const MIGRATIONS: [&str; 3] = [
    include_str!("schema/0001.sql"),
    include_str!("schema/0002.sql"),
    include_str!("schema/0003.sql"),
];

/// `PRAGMA application_id` of our stores.
const APPLICATION_ID: i32 = 1_213_353_299;

const KEY: &str = "UPDATE tel_redaction SET key = ?1";

/// What a database says of itself.
struct Identity {
    version: i32,
    application_id: i32,
    /// Changes with every table made; zero where there is none yet.
    schema_cookie: i32,
}

/// Refuses a store that is newer than this build and a database that is not a store, touching nothing.
pub(super) fn check(path: &Path, wait: Duration) -> Result<(), Error> {
    match identify(path, wait)? {
        Some(identity) => identity.check(path),
        None => Ok(()),
    }
}

/// Applies the migrations that the store has not seen, all of them or none. One that is made by this
/// gets the key, if one is given. A store whose tables are not those of its version is a broken one.
pub(super) fn upgrade(
    connection: &mut Connection,
    path: &Path,
    key: Option<[u8; 16]>,
) -> Result<(), Error> {
    let failed = |source| failure("cannot bring the store up to date", path, source);
    if version(connection).map_err(failed)? == newest() {
        return Ok(());
    }
    // Several processes may open a new store at once: only who holds the write lock knows its version.
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    Identity::ask(&transaction).map_err(failed)?.check(path)?;
    let seen = usize::try_from(version(&transaction).map_err(failed)?).unwrap_or(0);
    for migration in MIGRATIONS.iter().skip(seen) {
        transaction.execute_batch(migration).map_err(|source| {
            match source.sqlite_error_code() {
                // A statement that cannot be carried out there: a table or a column is missing or too many.
                Some(ErrorCode::Unknown) => {
                    damaged(path, &format!("it is not what its version says: {source}"))
                }
                _ => failed(source),
            }
        })?;
    }
    transaction
        .pragma_update(None, "user_version", newest())
        .map_err(failed)?;
    if let Some(key) = key.filter(|_| seen == 0) {
        transaction.execute(KEY, [key]).map_err(failed)?;
    }
    transaction.commit().map_err(failed)
}

/// The version of the schema that this build writes.
pub(super) fn newest() -> i32 {
    i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX)
}

/// The version of the schema that the store has.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Reads what the file says of itself; `None` where it is empty or not there.
fn identify(path: &Path, wait: Duration) -> Result<Option<Identity>, Error> {
    let log = std::fs::metadata(beside(path, "-wal")).map_or(0, |log| log.len());
    let main = std::fs::metadata(path).map(|main| main.len());
    if log > 0 && main.is_ok_and(|bytes| bytes == 0) {
        // A new store is a page long before it has a log.
        return Err(damaged(
            path,
            "the file was cut to nothing and its log was not",
        ));
    }
    // Even a connection that only reads makes the two side files of a WAL database, so SQLite is
    // asked only where they are there already. Then the newest header may be in the log, and a
    // connection of this process may be open, whose locks would go if we closed the file ourselves.
    if log > 0 || beside(path, "-shm").exists() {
        let ask = || {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(wait)?;
            Identity::ask(&connection)
        };
        match ask() {
            Ok(identity) => return Ok(Some(identity)),
            // What it is can still be told from its first bytes.
            Err(source) if is_damage(&source) => {}
            Err(source) => return Err(failure("cannot read the store", path, source)),
        }
    }
    let mut header = Vec::with_capacity(100);
    match File::open(path).and_then(|file| file.take(100).read_to_end(&mut header)) {
        Ok(0) => Ok(None),
        Ok(_) => match Identity::of_header(&header) {
            Some(identity) => Ok(Some(identity)),
            // Only a store of ours has a folder of locks.
            None if beside(path, "-writers").is_dir() => {
                Err(damaged(path, "its first bytes are not those of a database"))
            }
            None => Err(not_a_store(path)),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::with_source(
            ErrorKind::Store,
            format!("cannot read the store at {}", path.display()),
            error,
        )),
    }
}

impl Identity {
    /// Reads the header of a `SQLite` file (<https://www.sqlite.org/fileformat.html>, section 1.3).
    fn of_header(header: &[u8]) -> Option<Identity> {
        let number = |offset: usize| {
            let bytes = header.get(offset..offset + 4)?;
            Some(i32::from_be_bytes(bytes.try_into().ok()?))
        };
        header.starts_with(b"SQLite format 3\0").then_some(())?;
        Some(Identity {
            version: number(60)?,
            application_id: number(68)?,
            schema_cookie: number(40)?,
        })
    }

    fn ask(connection: &Connection) -> rusqlite::Result<Identity> {
        let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get(0));
        Ok(Identity {
            version: number("user_version")?,
            application_id: number("application_id")?,
            schema_cookie: number("schema_version")?,
        })
    }

    fn check(&self, path: &Path) -> Result<(), Error> {
        if self.version > newest() {
            return Err(Error::new(
                ErrorKind::StoreTooNew,
                format!(
                    "the store at {} has schema version {}, this build knows up to {}: update \
                     hermes or choose another HERMES_TELEMETRY_DB",
                    path.display(),
                    self.version,
                    newest(),
                ),
            ));
        }
        if self.application_id != APPLICATION_ID && self.schema_cookie != 0 {
            return Err(not_a_store(path));
        }
        Ok(())
    }
}

fn damaged(path: &Path, why: &str) -> Error {
    Error::new(
        ErrorKind::StoreDamaged,
        format!("the store at {} is damaged: {why}", path.display()),
    )
}

fn not_a_store(path: &Path) -> Error {
    Error::new(
        ErrorKind::NotAStore,
        format!(
            "the file at {} is not a hermes store: choose another HERMES_TELEMETRY_DB",
            path.display(),
        ),
    )
}

/// A file that lies beside the store and bears its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::time::Duration;

    use rusqlite::Connection;

    use super::{APPLICATION_ID, beside, check, newest, version};
    use crate::error::ErrorKind;
    use crate::store::{Store, Writer};

    fn files(folder: &Path) -> BTreeMap<std::ffi::OsString, Vec<u8>> {
        let entries = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap());
        entries
            .map(|file| (file.file_name(), std::fs::read(file.path()).unwrap()))
            .collect()
    }

    #[test]
    fn a_newer_store_is_refused_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        Writer::open(&path, 1).unwrap().checkpoint_and_close();
        std::fs::remove_dir(beside(&path, "-writers")).unwrap();
        Connection::open(&path)
            .unwrap()
            .pragma_update(None, "user_version", 7)
            .unwrap();
        let before = files(folder.path());
        assert_eq!(before.len(), 1, "{:?}", before.keys());

        for error in [
            Writer::open(&path, 2).unwrap_err(),
            Store::open(&path).unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::StoreTooNew);
            assert_eq!(
                error.to_string(),
                format!(
                    "the store at {} has schema version 7, this build knows up to 3: update hermes \
                     or choose another HERMES_TELEMETRY_DB",
                    path.display()
                )
            );
        }
        assert!(files(folder.path()) == before, "something was written");
    }

    #[test]
    fn an_older_store_is_brought_up_to_date_with_what_is_in_it() {
        use crate::store::RunFilter;
        use crate::store::sample::{START, Sample};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let older = Connection::open(&path).unwrap();
        older.execute_batch(super::MIGRATIONS[0]).unwrap();
        older.pragma_update(None, "user_version", 1).unwrap();
        older
            .execute_batch(
                "INSERT INTO tel_scopes VALUES (1, '0102030405060708090a0b0c0d0e0f10',
                    '1112131415161718191a1b1c1d1e1f20', 'old');
                 INSERT INTO tel_run_rows (id, start_ns, end_ns, status, session_id)
                    VALUES (1, 5, 6, 'ok', 'old');",
            )
            .unwrap();
        drop(older);
        let mut writer = Writer::open(&path, START).unwrap();
        let sample = Sample::new();
        writer.write(&[sample.session().ended().closed()]).unwrap();
        writer.checkpoint_and_close();
        assert_eq!(
            version(&Connection::open(&path).unwrap()).unwrap(),
            newest()
        );
        let runs = Store::open(&path)
            .unwrap()
            .runs(&RunFilter::default())
            .unwrap();
        let sessions: Vec<_> = runs.iter().map(|run| run.session_id.as_deref()).collect();
        assert_eq!(sessions.last(), Some(&Some("old")));
        assert_eq!((runs.len(), runs[1].parent_run_id), (2, None));
    }

    #[test]
    fn the_content_of_older_stores_stays_readable() {
        use crate::store::RunFilter;
        let folder = tempfile::tempdir().unwrap();
        for version in [1, 2] {
            let path = folder.path().join(format!("{version}.db"));
            let older = Connection::open(&path).unwrap();
            for migration in &super::MIGRATIONS[..version] {
                older.execute_batch(migration).unwrap();
            }
            older
                .pragma_update(None, "user_version", i32::try_from(version).unwrap())
                .unwrap();
            older
                .execute_batch(
                    r#"INSERT INTO tel_scopes VALUES (1, '0102030405060708090a0b0c0d0e0f10',
                        '1112131415161718191a1b1c1d1e1f20', 'old');
                    INSERT INTO tel_run_rows (id, start_ns, end_ns, status) VALUES (1, 5, 6, 'ok');
                    INSERT INTO tel_shapes VALUES (1, 'hermes.chat', 'LLM', 'CLIENT', 'chat', 'chat ', 'x');
                    INSERT INTO tel_attributes VALUES (1, 'gen_ai.input.messages', 'value', 0);
                    INSERT INTO tel_span_rows (id, scope, span_id, start_ns, end_ns, status, step, shape,
                        attr_values, extra_json, events_json)
                    VALUES (1, 1, '0102030405060708', 5, 6, 'ok', 1, 1, '["[{\"role\":\"user\"}]"]',
                        '{"order.id":7}', '[{"name":"hello","time_ns":5,"attributes":{"a":"b"}}]');"#,
                )
                .unwrap();
            drop(older);
            let store = Store::open(&path).unwrap();
            let run = &store.runs(&RunFilter::default()).unwrap()[0];
            let span = &store.spans_of_run(run.run_id).unwrap()[0];
            assert_eq!(
                span.attributes["gen_ai.input.messages"],
                r#"[{"role":"user"}]"#
            );
            assert_eq!(span.attributes["order.id"], 7);
            assert_eq!(span.events[0].attributes["a"], "b");
            assert_eq!(
                super::version(&Connection::open(&path).unwrap()).unwrap(),
                newest()
            );
        }
    }

    #[test]
    fn a_store_that_is_not_what_its_version_says_is_a_broken_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let odd = Connection::open(&path).unwrap();
        odd.execute_batch("CREATE TABLE tel_spans (name); INSERT INTO tel_spans VALUES ('kept')")
            .unwrap();
        odd.pragma_update(None, "application_id", APPLICATION_ID)
            .unwrap();
        odd.pragma_update(None, "user_version", 1).unwrap();
        drop(odd);
        let error = Writer::open(&path, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StoreDamaged);
        assert_eq!(
            error.to_string(),
            format!(
                "the store at {} is damaged: it is not what its version says: no such table: \
                 tel_span_rows",
                path.display()
            )
        );
        let kept = Connection::open(&path).unwrap();
        let row = |sql| kept.query_row(sql, [], |row| row.get::<_, String>(0));
        assert_eq!(row("SELECT name FROM tel_spans").unwrap(), "kept");
        assert_eq!(version(&kept).unwrap(), 1);
    }

    #[test]
    fn a_newer_version_in_the_log_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        Writer::open(&path, 1).unwrap().checkpoint_and_close();
        let newer = Connection::open(&path).unwrap();
        newer.pragma_update(None, "user_version", 7).unwrap();
        let (main, log) = (
            std::fs::read(&path).unwrap(),
            std::fs::read(beside(&path, "-wal")).unwrap(),
        );
        assert_eq!(
            Writer::open(&path, 2).unwrap_err().kind(),
            ErrorKind::StoreTooNew
        );
        assert!(main == std::fs::read(&path).unwrap());
        assert!(log == std::fs::read(beside(&path, "-wal")).unwrap());
        drop(newer);
    }

    #[test]
    fn another_programs_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let foreign = folder.path().join("state.db");
        Connection::open(&foreign)
            .unwrap()
            .execute_batch("CREATE TABLE notes (id)")
            .unwrap();
        let text = folder.path().join("notes.txt");
        std::fs::write(&text, "not a database").unwrap();
        let before = files(folder.path());
        for path in [&foreign, &text] {
            let error = Writer::open(path, 1).unwrap_err();
            assert!(
                error.to_string().contains("is not a hermes store"),
                "{error}"
            );
        }
        assert!(files(folder.path()) == before);
    }

    #[test]
    fn an_empty_file_becomes_a_store() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        std::fs::write(&path, "").unwrap();
        check(&path, Duration::ZERO).unwrap();
        Store::open(&path).unwrap();
        let connection = Connection::open(&path).unwrap();
        assert_eq!(version(&connection).unwrap(), newest());
        let number = |pragma| {
            connection
                .pragma_query_value(None, pragma, |row| row.get(0))
                .unwrap()
        };
        let (application_id, auto_vacuum): (i32, i32) =
            (number("application_id"), number("auto_vacuum"));
        assert_eq!((application_id, auto_vacuum), (APPLICATION_ID, 2));
    }
}
