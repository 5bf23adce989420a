//! Every table of a store as text, so that two stores can be compared row for row.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use rusqlite::Connection;
use rusqlite::types::Value;

/// The rows of every table, each row as text, in the order of its key.
pub(crate) type Tables = BTreeMap<String, Vec<String>>;

/// What two stores need not have in common: the key of their redaction tokens, what is owed to
/// collectors, and what is to go.
const OF_ONE_STORE: [&str; 3] = ["tel_redaction", "tel_outbox", "tel_pruning"];

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
        .filter(|name: &String| !OF_ONE_STORE.contains(&name.as_str()))
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

/// Fails with the first row that two stores do not have in common.
pub(crate) fn assert_same(rebuilt: &Tables, store: &Tables) {
    let names = |tables: &Tables| tables.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(rebuilt), names(store));
    for (name, rows) in store {
        let rebuilt = &rebuilt[name];
        for (row, rebuilt) in rows.iter().zip(rebuilt) {
            assert_eq!(rebuilt, row, "{name}");
        }
        assert_eq!(rebuilt.len(), rows.len(), "{name}");
    }
}

/// What everybody reads, without the numbers that follow the order in which several processes wrote.
pub(crate) fn without_surrogates(mut tables: Tables) -> Tables {
    const READ: [&str; 7] = [
        "tel_runs",
        "tel_spans",
        "tel_model_calls",
        "tel_tool_calls",
        "tel_error_events",
        "tel_writers",
        "tel_losses",
    ];
    tables.retain(|name, _| READ.contains(&name.as_str()));
    assert_eq!(tables.len(), READ.len());
    for rows in tables.values_mut() {
        for row in rows.iter_mut() {
            let columns = row.lines().filter(|column| !column.starts_with("id="));
            *row = columns.fold(String::new(), |text, column| text + column + "\n");
        }
        rows.sort();
    }
    tables
}
