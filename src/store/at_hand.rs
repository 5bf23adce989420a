//! Statements that are kept at hand for the length of a batch: looking one up costs a tenth of a row.

use rusqlite::{CachedStatement, Connection};

/// A statement that is looked up when it is first wanted.
pub(super) struct AtHand<'c> {
    connection: &'c Connection,
    sql: &'static str,
    prepared: Option<CachedStatement<'c>>,
}

impl<'c> AtHand<'c> {
    pub(super) fn new(connection: &'c Connection, sql: &'static str) -> Self {
        AtHand {
            connection,
            sql,
            prepared: None,
        }
    }

    pub(super) fn get(&mut self) -> rusqlite::Result<&mut CachedStatement<'c>> {
        match &mut self.prepared {
            Some(statement) => Ok(statement),
            none => Ok(none.insert(self.connection.prepare_cached(self.sql)?)),
        }
    }
}
