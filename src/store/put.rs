//! One row after another into the tables of an open transaction; its runs at the end.

use std::collections::BTreeMap;

use rusqlite::{CachedStatement, Connection, OptionalExtension, ToSql, params};

use super::hex::Hex;
use super::outbox;
use super::row::{Row, SpanRow, WithdrawnRow};
use super::run::{self, Tally};
use super::step;
use crate::record::{ErrorClass, RunId, SpanId};

const INSERT: &str = "
    INSERT INTO tel_spans (trace_id, span_id, run_id, wire_parent_span_id, start_ns, end_ns, status,
        kind, otel_kind, span_name, name, error_type, error_class, status_message, writer_id,
        links_json, attrs_json, events_json, parent_span_id)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19)
    ON CONFLICT (trace_id, span_id) DO NOTHING";

/// Leaves the parent as it is: a withdrawal may have given the row another one meanwhile.
macro_rules! update_where {
    ($condition:literal) => {
        concat!(
            "UPDATE tel_spans SET run_id = ?3, wire_parent_span_id = ?4, start_ns = ?5, end_ns = ?6,
                status = ?7, kind = ?8, otel_kind = ?9, span_name = ?10, name = ?11, error_type = ?12,
                error_class = ?13, status_message = ?14, writer_id = ?15, links_json = ?16,
                attrs_json = ?17, events_json = ?18
            WHERE trace_id = ?1 AND span_id = ?2 AND ",
            $condition,
            " RETURNING id"
        )
    };
}

const COMPLETE: &str = update_where!("end_ns IS NULL");
const REPLACE: &str = update_where!("end_ns IS NOT NULL");

const RETRIED: &str =
    "UPDATE tel_error_events SET recovery = 'retried' WHERE run_id = ?1 AND span_id = ?2";

const MOVE_CHILDREN: &str =
    "UPDATE tel_spans SET parent_span_id = ?3 WHERE trace_id = ?1 AND parent_span_id = ?2";

const REMOVE: &str =
    "DELETE FROM tel_spans WHERE trace_id = ?1 AND span_id = ?2 RETURNING id, run_id, end_ns";

/// The rows of one transaction on their way into the tables.
pub(super) struct Put<'t, 'r> {
    connection: &'t Connection,
    writer_id: &'t str,
    /// Kept at hand: looking up the one statement that every row needs would cost a tenth of it.
    insert: CachedStatement<'t>,
    runs: BTreeMap<RunId, Tally<'r>>,
    retried: Vec<(RunId, SpanId)>,
    withdrawn: Vec<&'r WithdrawnRow>,
    /// Runs that lost a span which was counted.
    miscounted: Vec<String>,
    /// Spans that are owed to a collector from here on, and their rows.
    owed: Vec<(SpanId, i64)>,
}

/// Where a span met its row.
pub(super) enum Landed {
    /// There was none.
    New(i64),
    /// It was there, open.
    Completed(i64),
    /// It was there, ended already.
    Again(i64),
    /// An announcement that comes after the end.
    TooLate,
}

impl<'t, 'r> Put<'t, 'r> {
    pub(super) fn new(connection: &'t Connection, writer_id: &'t str) -> rusqlite::Result<Self> {
        Ok(Put {
            connection,
            writer_id,
            insert: connection.prepare_cached(INSERT)?,
            runs: BTreeMap::new(),
            retried: Vec::new(),
            withdrawn: Vec::new(),
            miscounted: Vec::new(),
            owed: Vec::new(),
        })
    }

    /// Writes one row. What it means for its run is noted only when all of it is written.
    pub(super) fn row(&mut self, row: &'r Row<'r>) -> rusqlite::Result<()> {
        match row {
            Row::Open(span) => self.open(span),
            Row::Closed(span) => self.close(span),
            Row::Withdrawn(span) => self.withdraw(span),
        }
    }

    /// Writes what the rows add up to, and gives the spans that are owed to a collector.
    pub(super) fn finish(self) -> rusqlite::Result<Vec<(SpanId, i64)>> {
        for (&run_id, tally) in &self.runs {
            tally.write(run_id, self.connection, self.writer_id)?;
        }
        for (run_id, span_id) in self.retried {
            let ids = params![Hex::from(run_id), Hex::from(span_id)];
            self.connection.prepare_cached(RETRIED)?.execute(ids)?;
        }
        for run_id in self.miscounted {
            run::recount(self.connection, run_id)?;
        }
        for row in self.withdrawn {
            run::withdraw(self.connection, row)?;
        }
        Ok(self.owed)
    }

    fn open(&mut self, row: &'r SpanRow<'r>) -> rusqlite::Result<()> {
        let landed = self.span(row, false)?;
        match landed {
            Landed::New(id) | Landed::Completed(id) => step::announce(self.connection, id, row)?,
            Landed::Again(_) | Landed::TooLate => return Ok(()),
        }
        outbox::note(self.connection, &landed, row.export, self.writer_id)?;
        self.note(row);
        Ok(())
    }

    fn close(&mut self, row: &'r SpanRow<'r>) -> rusqlite::Result<()> {
        let landed = self.span(row, true)?;
        match landed {
            Landed::New(id) => step::put(self.connection, id, row)?,
            Landed::Completed(id) | Landed::Again(id) => {
                step::remove(self.connection, id, row)?;
                step::put(self.connection, id, row)?;
            }
            Landed::TooLate => return Ok(()),
        }
        if let Some(id) = outbox::note(self.connection, &landed, row.export, self.writer_id)? {
            self.owed.push((row.span_id, id));
        }
        let tally = self.note(row);
        match landed {
            Landed::Again(_) => tally.count_anew(),
            _ => tally.count(row),
        }
        Ok(())
    }

    fn withdraw(&mut self, row: &'r WithdrawnRow) -> rusqlite::Result<()> {
        let (trace, span) = (Hex::from(row.trace_id), Hex::from(row.span_id));
        let parent = row.parent_span_id.map(Hex::from);
        self.connection
            .prepare_cached(MOVE_CHILDREN)?
            .execute(params![trace, span, parent])?;
        let removed = self
            .connection
            .prepare_cached(REMOVE)?
            .query_row(params![trace, span], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, String>(1)?,
                    row.get::<_, Option<i64>>(2)?,
                ))
            })
            .optional()?;
        if let Some((id, run_id, end_ns)) = removed {
            step::withdraw(self.connection, id, &run_id, span)?;
            // Not now: what this batch counted is not yet added to its runs.
            self.miscounted.extend(end_ns.map(|_| run_id));
        }
        self.withdrawn.push(row);
        Ok(())
    }

    fn note(&mut self, row: &'r SpanRow<'r>) -> &mut Tally<'r> {
        self.retried
            .extend(row.retries.map(|span_id| (row.run_id, span_id)));
        let tally = self
            .runs
            .entry(row.run_id)
            .or_insert_with(|| Tally::new(row));
        tally.see(row);
        tally
    }

    fn span(&mut self, row: &SpanRow<'_>, has_ended: bool) -> rusqlite::Result<Landed> {
        let (trace, span) = (Hex::from(row.trace_id), Hex::from(row.span_id));
        let otel_kind = if row.kind.is_client() {
            "CLIENT"
        } else {
            "INTERNAL"
        };
        let parent = row.parent_span_id.map(Hex::from);
        let error_class = row.error_class.map(ErrorClass::as_str);
        // A row of an ended span always has its end, or nobody would know it from an open one.
        let end_ns = has_ended.then_some(row.end_ns.unwrap_or(row.start_ns));
        let known = params![
            trace,
            span,
            Hex::from(row.run_id),
            row.wire_parent_span_id.map(Hex::from),
            row.start_ns,
            end_ns,
            row.status.as_str(),
            row.kind.span_kind(),
            otel_kind,
            row.kind.span_name(),
            row.name,
            row.error_type,
            error_class,
            row.status_message,
            self.writer_id,
            row.links_json,
            row.attrs_json,
            row.events_json,
        ];
        let insert = known.iter().copied().chain([&parent as &dyn ToSql]);
        if self.insert.execute(rusqlite::params_from_iter(insert))? == 1 {
            return Ok(Landed::New(self.connection.last_insert_rowid()));
        }
        let complete = |statement| -> rusqlite::Result<Option<i64>> {
            self.connection
                .prepare_cached(statement)?
                .query_row(known, |row| row.get(0))
                .optional()
        };
        match complete(COMPLETE)? {
            Some(id) => Ok(Landed::Completed(id)),
            None if has_ended => Ok(complete(REPLACE)?.map_or(Landed::TooLate, Landed::Again)),
            None => Ok(Landed::TooLate),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::record::Status;
    use crate::semconv::Kind;
    use crate::store::sample::{SECOND, START, Sample};
    use crate::store::{Row, RunFilter, Store, WithdrawnRow, Writer};

    #[test]
    fn the_children_of_a_withdrawn_span_move_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let mut writer = Writer::open(&path, START).unwrap();
        let sample = Sample::new();
        let session = sample.session();
        let step = sample.span(Kind::Step, 1).under(&session);
        let (done, running) = (
            sample.chat(2).under(&step).ended(),
            sample.chat(3).under(&step),
        );
        writer
            .write(&[
                session.opened(),
                step.opened(),
                done.closed(),
                running.opened(),
            ])
            .unwrap();
        let withdrawn = WithdrawnRow {
            trace_id: sample.trace_id,
            span_id: step.span_id,
            parent_span_id: step.parent_span_id,
            root_of: None,
        };
        writer
            .write(&[Row::Withdrawn(withdrawn), running.clone().ended().closed()])
            .unwrap();
        let store = Store::open(&path).unwrap();
        let spans = store.spans_of_run(sample.run_id).unwrap();
        let ids: Vec<_> = spans
            .iter()
            .map(|span| (span.span_id, span.parent_span_id))
            .collect();
        let parent = Some(session.span_id);
        assert_eq!(
            ids,
            [
                (session.span_id, None),
                (done.span_id, parent),
                (running.span_id, parent)
            ]
        );
        assert_eq!(
            store.run(sample.run_id).unwrap().unwrap().model_call_count,
            2
        );
    }

    #[test]
    fn a_withdrawn_call_is_not_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let mut writer = Writer::open(&path, START).unwrap();
        let sample = Sample::new();
        let (kept, gone) = (sample.chat(1).ended(), sample.chat(2).failed());
        let withdrawn = WithdrawnRow {
            trace_id: sample.trace_id,
            span_id: gone.span_id,
            parent_span_id: None,
            root_of: None,
        };
        writer
            .write(&[kept.closed(), gone.closed(), Row::Withdrawn(withdrawn)])
            .unwrap();
        let store = Store::open(&path).unwrap();
        let run = store.run(sample.run_id).unwrap().unwrap();
        assert_eq!((run.model_call_count, run.error_count), (1, 0));
        assert!(store.error_events(sample.run_id).unwrap().is_empty());
        assert_eq!(store.model_calls(sample.run_id).unwrap().len(), 1);
    }

    #[test]
    fn a_run_ends_or_goes_with_its_withdrawn_root() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let mut writer = Writer::open(&path, START).unwrap();
        let (empty, used) = (Sample::new(), Sample::new());
        let (empty_root, used_root) = (empty.session(), used.session());
        let child = used.chat(1).under(&used_root).ended();
        writer
            .write(&[empty_root.opened(), used_root.opened(), child.closed()])
            .unwrap();
        let withdrawn = [(empty, &empty_root), (used, &used_root)].map(|(sample, root)| {
            Row::Withdrawn(WithdrawnRow {
                trace_id: sample.trace_id,
                span_id: root.span_id,
                parent_span_id: None,
                root_of: Some((sample.run_id, START + 5 * SECOND)),
            })
        });
        writer.write(&withdrawn).unwrap();
        let runs = Store::open(&path)
            .unwrap()
            .runs(&RunFilter::default())
            .unwrap();
        assert_eq!(runs.len(), 1);
        assert_eq!(
            (runs[0].run_id, runs[0].end_ns),
            (used.run_id, Some(START + 5 * SECOND))
        );
    }

    #[test]
    fn a_span_that_ends_differently_after_all_is_counted_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let mut writer = Writer::open(&path, START).unwrap();
        let sample = Sample::new();
        let chat = sample.chat(1);
        writer
            .write(&[
                chat.clone().failed().closed(),
                sample.chat(2).failed().closed(),
            ])
            .unwrap();
        writer
            .write(&[chat.ended().used([5, 1], None).closed()])
            .unwrap();
        let store = Store::open(&path).unwrap();
        let run = store.run(sample.run_id).unwrap().unwrap();
        assert_eq!(
            (run.model_call_count, run.error_count, run.input_tokens),
            (2, 1, 5)
        );
        assert_eq!(run.cost_status.as_deref(), Some("unknown"));
        assert_eq!(store.error_events(sample.run_id).unwrap().len(), 1);
        assert_eq!(
            store.spans_of_run(sample.run_id).unwrap()[0].status,
            Status::Ok
        );
    }
}
