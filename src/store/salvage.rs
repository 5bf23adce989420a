//! What can still be read of a broken store, copied into a new one: row by row, around what is not.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, params_from_iter};

use super::connect::{self, Opening, failure, is_damage};
use super::content;
use super::migrate::beside;
use super::place::{PlaceLock, SIDE_FILES};
use super::read::Store;
use crate::error::{Error, ErrorKind};
use crate::semconv::Kind;

/// The tables of a store, those made by its indexes left out, and the index of words, which is made anew.
const TABLES: &str = "SELECT name FROM sqlite_schema
    WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE 'tel_search%'";

const COLUMNS: &str = "SELECT name FROM pragma_table_info(?1) ORDER BY cid";

const NAMELESS_SCOPES: &str = "
    INSERT INTO tel_scopes (id, run_id, trace_id)
    SELECT scope, lower(hex(randomblob(16))), lower(hex(randomblob(16)))
    FROM (SELECT scope FROM tel_span_rows UNION SELECT id FROM tel_run_rows)
    WHERE scope NOT IN (SELECT id FROM tel_scopes)";

const NAMELESS_SHAPES: &str = "
    INSERT INTO tel_shapes (id, span_name, kind, otel_kind, name, attributes)
    SELECT DISTINCT shape, ?1, ?2, ?3, ?1, 'lost ' || shape FROM tel_span_rows
    WHERE shape NOT IN (SELECT id FROM tel_shapes)";

/// How many rows are committed at once, so that memory stays small.
const ROWS: u64 = 4096;

/// How often a way around what is broken in one table is looked for: some for each row of it.
const DETOURS: u32 = 20_000;

/// How long a writer may copy while what is recorded waits in the queue.
const TIME: Duration = Duration::from_secs(2);

/// How much of a writer's time may go into looking for a way around what is broken in one table.
const DETOUR_TIME: Duration = Duration::from_millis(100);

/// How long another process may be busy with the place of the store.
const WAIT: Duration = Duration::from_secs(1);

/// What was copied out of a broken store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Salvaged {
    /// Rows of all tables.
    pub rows: u64,
    /// Whether every table could be read to its end.
    pub is_complete: bool,
}

impl Store {
    /// Copies what can be read of a broken store into a new one, and changes nothing in the broken
    /// one. Rows on broken pages are left out, all others are copied as they are.
    ///
    /// Agents move a broken store aside by themselves, as `telemetry.db.corrupt-<time>`, and copy
    /// what they can into the new one if that is done quickly; this does it for any file, in any time.
    ///
    /// ```no_run
    /// use hermes::Store;
    ///
    /// let saved = Store::salvage("telemetry.db.corrupt-20260131T120000Z", "saved.db")?;
    /// println!("{} rows were saved", saved.rows);
    /// # Ok::<(), hermes::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if there is a file at `new`;
    /// [`StoreDamaged`](crate::ErrorKind::StoreDamaged) if nothing can be read of the broken store;
    /// [`Store`](crate::ErrorKind::Store) if the new one cannot be written.
    pub fn salvage(broken: impl AsRef<Path>, new: impl AsRef<Path>) -> Result<Salvaged, Error> {
        let new = new.as_ref();
        if new.exists() {
            let what = format!("there is a file at {}: name another one", new.display());
            return Err(Error::new(ErrorKind::InvalidInput, what));
        }
        let salvaged = copy(broken.as_ref(), new, Opening::default(), None);
        if salvaged.is_err() {
            remove(new);
        }
        salvaged
    }
}

/// Copies what can be read of a store that was moved aside to where it was, if that can be done within
/// this time and nobody has made a new one there meanwhile.
fn restore(aside: &Path, path: &Path, opening: Opening, time: Duration) -> Result<Salvaged, Error> {
    let saved = beside(aside, ".saved");
    remove(&saved);
    let salvaged = copy(aside, &saved, opening, Some(Instant::now() + time))
        .and_then(|salvaged| put_in_place(&saved, path).map(|()| salvaged));
    remove(&saved);
    salvaged
}

/// Gives a new store the name that is free.
fn put_in_place(saved: &Path, path: &Path) -> Result<(), Error> {
    let put = || {
        let _lock = PlaceLock::take(path, WAIT)?;
        if path.exists() {
            return Err(std::io::ErrorKind::AlreadyExists.into());
        }
        std::fs::rename(saved, path)
    };
    put().map_err(|error: std::io::Error| {
        let what = format!("cannot put a new store at {}", path.display());
        Error::with_source(ErrorKind::Store, what, error)
    })
}

fn copy(
    broken: &Path,
    new: &Path,
    opening: Opening,
    deadline: Option<Instant>,
) -> Result<Salvaged, Error> {
    let unreadable = |source| failure("nothing can be read of the store", broken, source);
    let from = open_broken(broken).map_err(unreadable)?;
    let found = texts(&from, TABLES, []).map_err(unreadable)?;
    let (to, _) = connect::create(new, opening)?;
    let failed = |source| failure("cannot write the store", new, source);
    let mut copy = Copy {
        from,
        to,
        deadline,
        salvaged: Salvaged {
            rows: 0,
            is_complete: true,
        },
    };
    for table in texts(&copy.to, TABLES, []).map_err(failed)? {
        if found.contains(&table) {
            copy.table(&table).map_err(|trouble| match trouble {
                Trouble::Late => Error::new(
                    ErrorKind::Timeout,
                    format!("the store at {} takes too long to read", broken.display()),
                ),
                Trouble::Unwritable(source) => failed(source),
            })?;
        }
    }
    mend(&copy.to).map_err(failed)?;
    content::index(&copy.to).map_err(failed)?;
    connect::shrink_log(&copy.to).map_err(failed)?;
    Ok(copy.salvaged)
}

/// Gives spans whose trace or names are lost others, so that what else they say can be read.
fn mend(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute(NAMELESS_SCOPES, [])?;
    let step = [Kind::Step.span_name(), Kind::Step.span_kind(), "INTERNAL"];
    connection.execute(NAMELESS_SHAPES, step)?;
    Ok(())
}

/// Opens a broken store, however little of it is there, and in a way that leaves it as it is.
fn open_broken(path: &Path) -> rusqlite::Result<Connection> {
    if std::fs::metadata(path).is_ok_and(|file| file.len() == 0) {
        // SQLite would take it for a new one and throw its log away.
        return Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_NOTADB),
            Some("the file is empty".to_owned()),
        ));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // SQLite then reads a file that is shorter than it should be as far as it goes.
    connection.pragma_update(None, "writable_schema", true)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn remove(store: &Path) {
    let _ = std::fs::remove_file(store);
    for suffix in SIDE_FILES {
        let _ = std::fs::remove_file(beside(store, suffix));
    }
    let _ = std::fs::remove_dir(beside(store, "-writers"));
}

/// Why copying ended.
enum Trouble {
    Late,
    Unwritable(rusqlite::Error),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Trouble::Unwritable(error)
    }
}

/// A copy under way.
struct Copy {
    from: Connection,
    to: Connection,
    deadline: Option<Instant>,
    salvaged: Salvaged,
}

impl fmt::Debug for Copy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Copy").field(&self.salvaged).finish()
    }
}

/// The statements that copy one table.
struct Statements {
    up: String,
    down: String,
    insert: String,
    columns: usize,
}

impl Copy {
    fn table(&mut self, table: &str) -> Result<(), Trouble> {
        let known = texts(&self.to, COLUMNS, [table])?;
        let Ok(had) = texts(&self.from, COLUMNS, [table]) else {
            self.salvaged.is_complete = false;
            return Ok(());
        };
        let shared: Vec<_> = known
            .into_iter()
            .filter(|name| had.contains(name))
            .collect();
        let names = shared.join(", ");
        let marks = vec!["?"; shared.len()].join(", ");
        // Only the table's own tree is walked: an index may be broken where the table is not.
        let walk = |order| {
            format!(
                "SELECT rowid, {names} FROM {table} NOT INDEXED
                 WHERE rowid BETWEEN ?1 AND ?2 ORDER BY rowid {order}"
            )
        };
        let mut statements = Statements {
            up: walk("ASC"),
            down: walk("DESC"),
            insert: format!("INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})"),
            columns: shared.len(),
        };
        if self.from.prepare(&statements.up).is_err() {
            // Rows without numbers can be read in one way only, up to the first broken page.
            statements.up = format!("SELECT 0, {names} FROM {table} WHERE ?1 <= ?2");
            statements.down.clone_from(&statements.up);
        }
        self.to.execute_batch("BEGIN")?;
        let mut open = vec![(0, i64::MAX)];
        let mut detours = 0;
        let mut enough = None;
        while let Some((low, high)) = open.pop() {
            let is_late = enough.is_some_and(|enough| Instant::now() > enough);
            if detours > DETOURS || is_late {
                break;
            }
            // From both ends towards what is broken; what lies between is halved, and its lower
            // half comes first, for nobody knows where the numbers end.
            let Some(last) = self.walk(&statements, &statements.up, low, high)? else {
                continue;
            };
            detours += 1;
            if self.deadline.is_some() {
                enough.get_or_insert_with(|| Instant::now() + DETOUR_TIME);
            }
            self.salvaged.is_complete = false;
            let begin = last.map_or(low, |row| row.saturating_add(1));
            let Some(first) = self.walk(&statements, &statements.down, begin, high)? else {
                continue;
            };
            let end = first.map_or(high, |row| row.saturating_sub(1));
            if begin < end {
                let middle = begin + (end - begin) / 2;
                open.extend([(middle + 1, end), (begin, middle)]);
            }
        }
        self.to.execute_batch("COMMIT")?;
        Ok(())
    }

    /// Copies rows until one cannot be read: then the last that could be, if any. `None`: all could.
    #[expect(clippy::option_option, reason = "an error, and a row before it")]
    fn walk(
        &mut self,
        statements: &Statements,
        select: &str,
        low: i64,
        high: i64,
    ) -> Result<Option<Option<i64>>, Trouble> {
        if self.is_late() {
            return Err(Trouble::Late);
        }
        let mut last = None;
        let Ok(mut select) = self.from.prepare_cached(select) else {
            return Ok(Some(None));
        };
        let Ok(mut rows) = select.query([low, high]) else {
            return Ok(Some(None));
        };
        let mut insert = self.to.prepare_cached(&statements.insert)?;
        loop {
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => return Ok(None),
                Err(_) => return Ok(Some(last)),
            };
            let Ok(number) = row.get::<_, i64>(0) else {
                return Ok(Some(last));
            };
            let values: rusqlite::Result<Vec<_>> = (1..=statements.columns)
                .map(|at| row.get::<_, rusqlite::types::Value>(at))
                .collect();
            match values.map(|values| insert.execute(params_from_iter(values))) {
                Ok(Ok(_)) => self.salvaged.rows += 1,
                // A row that the new store does not take is no row, and a broken text is none.
                Ok(Err(error)) if connect::is_passing(&error) || is_damage(&error) => {
                    return Err(error.into());
                }
                Ok(Err(_)) | Err(_) => self.salvaged.is_complete = false,
            }
            last = Some(number);
            if self.salvaged.rows.is_multiple_of(ROWS) {
                if self.is_late() {
                    return Err(Trouble::Late);
                }
                self.to.execute_batch("COMMIT; BEGIN")?;
            }
        }
    }

    fn is_late(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() > deadline)
    }
}

fn texts(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare(sql)?
        .query_map(params, |row| row.get(0))?
        .collect()
}

/// Where a broken store went, and what became of its rows.
#[derive(Debug)]
pub(crate) struct Rescue {
    aside: PathBuf,
    /// `None`: they are in the file that was moved, and only there.
    salvaged: Option<Salvaged>,
}

impl Rescue {
    /// What a writer can do for a store that it had to move aside: it has little time.
    pub(super) fn of(aside: PathBuf, path: &Path, opening: Opening) -> Rescue {
        let salvaged = restore(&aside, path, opening, TIME).ok();
        Rescue { aside, salvaged }
    }
}

impl fmt::Display for Rescue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "was moved to {}", self.aside.display())?;
        match self.salvaged {
            Some(Salvaged { rows, .. }) => {
                write!(f, "; a new one has the {rows} rows that could be read")
            }
            None => f.write_str("; a new one begins, and `Store::salvage` reads the old one"),
        }
    }
}
