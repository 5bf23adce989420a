//! Scopes: the run and the trace that a span belongs to, as one number.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use rusqlite::{Connection, params};

use super::at_hand::AtHand;
use super::hex::Hex;
use super::row::SpanRow;
use crate::record::{RunId, TraceId};

/// All of a run's, one of which the run goes by once it has a row.
const FIND: &str = "
    SELECT scope.id, scope.session_id, scope.trace_id = ?2, run.id
    FROM tel_scopes AS scope LEFT JOIN tel_run_rows AS run ON run.id = scope.id
    WHERE scope.run_id = ?1";

const INSERT: &str = "INSERT INTO tel_scopes (run_id, trace_id, session_id) VALUES (?1, ?2, ?3)";

const NAME: &str = "UPDATE tel_scopes SET session_id = ?2 WHERE id = ?1";

/// The scopes that one transaction has met. None outlives it: another process may remove a scope once
/// its last span is gone.
pub(super) struct Scopes<'c> {
    find: AtHand<'c>,
    insert: AtHand<'c>,
    name: AtHand<'c>,
    known: HashMap<(RunId, TraceId), Scope, RandomState>,
    /// Spans of one run come together.
    last: Option<((RunId, TraceId), Scope)>,
}

/// A scope and the session that most of its spans belong to.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    pub(super) id: i64,
    /// The number of the run's row.
    pub(super) run: i64,
    session_id: Option<Box<str>>,
}

impl<'c> Scopes<'c> {
    pub(super) fn new(connection: &'c Connection) -> Self {
        Scopes {
            find: AtHand::new(connection, FIND),
            insert: AtHand::new(connection, INSERT),
            name: AtHand::new(connection, NAME),
            known: HashMap::default(),
            last: None,
        }
    }

    /// The scope of a span, which is stored where it is new.
    pub(super) fn of(&mut self, row: &SpanRow<'_>) -> rusqlite::Result<&Scope> {
        let key = (row.run_id, row.trace_id);
        let is_last = self.last.as_ref().is_some_and(|(last, scope)| {
            *last == key && (scope.session_id.is_some() || row.session_id.is_none())
        });
        if !is_last {
            let mut scope = match self.known.remove(&key) {
                Some(scope) => scope,
                None => self.find_or_insert(row)?,
            };
            if scope.session_id.is_none() && row.session_id.is_some() {
                let named = params![scope.id, row.session_id];
                self.name.get()?.execute(named)?;
                scope.session_id = row.session_id.map(Box::from);
            }
            let former = self.last.replace((key, scope));
            self.known.extend(former);
        }
        self.last
            .as_ref()
            .map(|(_, scope)| scope)
            .ok_or(rusqlite::Error::QueryReturnedNoRows)
    }

    /// What was stored may have been rolled back.
    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.last = None;
    }

    fn find_or_insert(&mut self, row: &SpanRow<'_>) -> rusqlite::Result<Scope> {
        let (run, trace) = (Hex::from(row.run_id), Hex::from(row.trace_id));
        let (mut found, mut found_run) = (None, None);
        let mut scopes = self.find.get()?.query(params![run, trace])?;
        while let Some(scope) = scopes.next()? {
            let session_id: Option<String> = scope.get(1)?;
            if scope.get(2)? {
                found = Some((scope.get(0)?, session_id.map(Box::from)));
            }
            found_run = scope.get::<_, Option<i64>>(3)?.or(found_run);
        }
        drop(scopes);
        let (id, session_id) = if let Some(found) = found {
            found
        } else {
            let id = self
                .insert
                .get()?
                .insert(params![run, trace, row.session_id])?;
            (id, row.session_id.map(Box::from))
        };
        Ok(Scope {
            id,
            run: found_run.unwrap_or(id),
            session_id,
        })
    }
}

impl Scope {
    /// The session of a span where it is not the scope's.
    pub(super) fn own_session<'r>(&self, row: &SpanRow<'r>) -> Option<&'r str> {
        row.session_id
            .filter(|session_id| self.session_id.as_deref() != Some(session_id))
    }
}
