//! What plain rusqlite does with the same rows: same tables and indexes, same settings, same batches.

use std::path::Path;
use std::time::Instant;

use rusqlite::types::Value;
use rusqlite::{CachedStatement, Connection, Transaction, TransactionBehavior};

/// Spans in one transaction of Hermes's writer.
const BATCH: usize = 512;

/// The column of a run's session.
const SESSION: usize = 14;

/// The rows of a store, in the order in which they were written.
pub(crate) struct Rows {
    schema: Vec<String>,
    page_bytes: i64,
    runs: Vec<Vec<Value>>,
    scopes: Vec<Vec<Value>>,
    pub(crate) spans: Vec<Vec<Value>>,
}

/// Time-ordered ids as Hermes makes them, or ids of chance as OpenTelemetry does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ids {
    Ordered,
    Random,
}

impl Rows {
    /// Reads the rows of a store.
    pub(crate) fn of(store: &Path) -> Rows {
        let connection = Connection::open(store).unwrap();
        let rows = |table: &str, order: &str| {
            let sql = format!("SELECT * FROM {table} ORDER BY {order}");
            let mut statement = connection.prepare(&sql).unwrap();
            let columns = statement.column_count();
            let read = |row: &rusqlite::Row<'_>| (0..columns).map(|at| row.get(at)).collect();
            let rows = statement.query_map([], read).unwrap();
            rows.collect::<Result<Vec<_>, _>>().unwrap()
        };
        let schema = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL
            AND name NOT LIKE 'tel_search%' ORDER BY rowid";
        let mut statement = connection.prepare(schema).unwrap();
        let schema = statement.query_map([], |row| row.get(0)).unwrap();
        Rows {
            schema: schema.collect::<Result<_, _>>().unwrap(),
            page_bytes: connection
                .pragma_query_value(None, "page_size", |row| row.get(0))
                .unwrap(),
            runs: rows("tel_run_rows", "id"),
            scopes: rows("tel_scopes", "id"),
            spans: rows("tel_span_rows", "id"),
        }
    }

    /// A fresh database with the tables, indexes and settings of a store.
    pub(crate) fn create(&self, path: &Path) -> Connection {
        let connection = Connection::open(path).unwrap();
        let set = |pragma: &str, value: &dyn rusqlite::ToSql| {
            connection
                .pragma_update_and_check(None, pragma, value, |_| Ok(()))
                .or_else(|error| match error {
                    rusqlite::Error::QueryReturnedNoRows => Ok(()),
                    error => Err(error),
                })
                .unwrap();
        };
        set("page_size", &self.page_bytes);
        set("auto_vacuum", &"INCREMENTAL");
        set("journal_mode", &"WAL");
        set("synchronous", &"NORMAL");
        set("wal_autocheckpoint", &8192);
        for statement in &self.schema {
            connection.execute_batch(statement).unwrap();
        }
        connection
    }

    /// Inserts all rows; returns rows of spans per second.
    pub(crate) fn insert(&self, path: &Path) -> f64 {
        let mut connection = self.create(path);
        let started = Instant::now();
        let mut written = Written::default();
        for batch in self.spans.chunks(BATCH) {
            let transaction = connection
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .unwrap();
            self.insert_batch(&transaction, batch, &mut written);
            transaction.commit().unwrap();
        }
        per_second(self.spans.len(), started)
    }

    /// A fresh database that the rows are inserted into over and over, under new ids.
    pub(crate) fn grow(&self, path: &Path, ids: Ids) -> Growing<'_> {
        Growing {
            rows: self,
            connection: self.create(path),
            maker: Maker {
                ids,
                state: 0x9e37_79b9_7f4a_7c15,
            },
            spans: 0,
            scopes: 0,
        }
    }

    /// The same rows as those of other spans.
    fn renumbered(&self, first_span: usize, first_scope: usize, maker: &mut Maker) -> Rows {
        let number = |value: &Value, first: usize| match value {
            Value::Integer(id) => Value::Integer(id + i64::try_from(first).unwrap()),
            other => other.clone(),
        };
        let mut copy = Rows {
            schema: Vec::new(),
            page_bytes: self.page_bytes,
            runs: self.runs.clone(),
            scopes: self.scopes.clone(),
            spans: self.spans.clone(),
        };
        for (scope, run) in copy.scopes.iter_mut().zip(&mut copy.runs) {
            scope[0] = number(&scope[0], first_scope);
            scope[1] = maker.run_id();
            scope[2] = maker.trace_id();
            run[0] = scope[0].clone();
            scope[3] = maker.trace_id();
            run[SESSION].clone_from(&scope[3]);
        }
        for span in &mut copy.spans {
            span[0] = number(&span[0], first_span);
            span[1] = number(&span[1], first_scope);
            span[2] = maker.span_id();
        }
        copy
    }

    /// Inserts spans, and the runs and scopes that come with them.
    fn insert_batch(
        &self,
        transaction: &Transaction<'_>,
        spans: &[Vec<Value>],
        done: &mut Written,
    ) {
        let Some(Value::Integer(last)) = spans.last().map(|span| &span[1]) else {
            return;
        };
        let new = self.scopes[done.scopes..]
            .iter()
            .take_while(|scope| matches!(&scope[0], Value::Integer(id) if id <= last))
            .count();
        insert_all(
            transaction,
            "tel_scopes",
            &self.scopes[done.scopes..][..new],
        );
        let runs = self.runs.get(done.scopes..done.scopes + new);
        insert_all(transaction, "tel_run_rows", runs.unwrap_or_default());
        done.scopes += new;
        insert_all(transaction, "tel_span_rows", spans);
    }
}

/// A database that grows.
pub(crate) struct Growing<'r> {
    rows: &'r Rows,
    connection: Connection,
    maker: Maker,
    spans: usize,
    scopes: usize,
}

impl Growing<'_> {
    /// Inserts so many rows; returns rows per second.
    pub(crate) fn by(&mut self, spans: usize) -> f64 {
        let started = Instant::now();
        let mut inserted = 0;
        while inserted < spans {
            let mut copy = self
                .rows
                .renumbered(self.spans, self.scopes, &mut self.maker);
            self.spans += copy.spans.len();
            self.scopes += copy.scopes.len();
            copy.spans.truncate(spans - inserted);
            inserted += copy.spans.len();
            let mut written = Written::default();
            for batch in copy.spans.chunks(BATCH) {
                let transaction = self.connection.transaction().unwrap();
                copy.insert_batch(&transaction, batch, &mut written);
                transaction.commit().unwrap();
            }
        }
        per_second(spans, started)
    }
}

/// How far the tables beside that of the spans are written.
#[derive(Default)]
struct Written {
    scopes: usize,
}

fn insert_all(transaction: &Transaction<'_>, table: &str, rows: &[Vec<Value>]) {
    let Some(first) = rows.first() else {
        return;
    };
    let places = vec!["?"; first.len()].join(", ");
    let mut statement: CachedStatement<'_> = transaction
        .prepare_cached(&format!("INSERT INTO {table} VALUES ({places})"))
        .unwrap();
    for row in rows {
        for (at, value) in (1..).zip(row) {
            statement.raw_bind_parameter(at, value).unwrap();
        }
        statement.raw_execute().unwrap();
    }
}

fn per_second(rows: usize, started: Instant) -> f64 {
    f64::from(u32::try_from(rows).unwrap()) / started.elapsed().as_secs_f64()
}

/// Makes ids.
struct Maker {
    ids: Ids,
    state: u64,
}

impl Maker {
    fn random(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    /// Runs are always Hermes's own.
    fn run_id(&mut self) -> Value {
        let id = format!("{:016x}{:016x}", ordered(), self.random());
        Value::Text(id)
    }

    fn trace_id(&mut self) -> Value {
        match self.ids {
            Ids::Ordered => self.run_id(),
            Ids::Random => Value::Text(format!("{:016x}{:016x}", self.random(), self.random())),
        }
    }

    fn span_id(&mut self) -> Value {
        let id = match self.ids {
            Ids::Ordered => ordered(),
            Ids::Random => self.random(),
        };
        Value::Text(format!("{id:016x}"))
    }
}

/// The next of a sequence.
fn ordered() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0x5a5d_0000_0000_0000);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
