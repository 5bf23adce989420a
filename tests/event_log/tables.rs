//! Every table of a store as text, so that two stores can be compared row for row.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::Value;

/// The rows of every table, each row as text, in the order of its key.
pub(crate) type Tables = BTreeMap<String, Vec<String>>;

/// What two stores need not have in common: the key of their redaction tokens.
const OF_ONE_STORE: &str = "tel_redaction";

/// The tables of the store in this file.
pub(crate) fn tables(path: &Path) -> Tables {
    let connection = Connection::open(path).unwrap();
    let check: String = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(check, "ok");
    let mut names = connection
        .prepare(
            "SELECT name FROM sqlite_master
             WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' ORDER BY name",
        )
        .unwrap();
    let names: Vec<String> = names
        .query_map([], |row| row.get(0))
        .unwrap()
        .map(Result::unwrap)
        .filter(|name| name != OF_ONE_STORE)
        .collect();
    assert!(names.contains(&"tel_spans".to_owned()), "{names:?}");
    let rows = |name: &String| (name.clone(), rows(&connection, name));
    names.iter().map(rows).collect()
}

fn rows(connection: &Connection, table: &str) -> Vec<String> {
    let mut statement = connection
        .prepare(&format!("SELECT * FROM {table} ORDER BY 1, 2"))
        .unwrap();
    let columns: Vec<_> = statement.column_names().map(str::to_owned).collect();
    let rows = statement.query_map([], |row| {
        let mut text = String::new();
        for (index, column) in columns.iter().enumerate() {
            // In full: a sum that differs in its last bit differs.
            writeln!(text, "{column}={:?}", row.get::<_, Value>(index)?).unwrap();
        }
        Ok(text)
    });
    rows.unwrap().map(Result::unwrap).collect()
}

/// The same rows without the numbers that follow the order in which several processes wrote.
pub(crate) fn without_surrogates(tables: Tables) -> Tables {
    let without = |row: &String| -> String {
        let columns = row.lines().filter(|column| !column.starts_with("id="));
        columns.fold(String::new(), |text, column| text + column + "\n")
    };
    let of_table = |(name, rows): (String, Vec<String>)| {
        let mut rows: Vec<_> = rows.iter().map(without).collect();
        rows.sort();
        (name, rows)
    };
    tables.into_iter().map(of_table).collect()
}
