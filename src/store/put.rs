//! One row after another into the tables of an open transaction; its runs at the end.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::content::Contents;
use super::hex::Hex;
use super::outbox;
use super::row::{Export, Row, SpanRow, WithdrawnRow};
use super::run::{self, Tally};
use super::scope::Scopes;
use super::shape::Shapes;
use super::span_row::{self, Context, Inserts};
use super::step;
use super::write::Identity;
use crate::record::{RunId, SpanId};

const RETRIED: &str =
    "UPDATE tel_error_events SET recovery = 'retried' WHERE run_id = ?1 AND span_id = ?2";

/// What OTLP was told stays: the parent there is kept in its own column once it differs.
const MOVE_CHILDREN: &str = "
    UPDATE tel_span_rows SET wire_parent = coalesce(wire_parent, parent_span_id), parent_span_id = ?3
    WHERE scope IN (SELECT id FROM tel_scopes WHERE trace_id = ?1) AND parent_span_id = ?2";

const REMOVE: &str = "
    DELETE FROM tel_span_rows
    WHERE scope IN (SELECT id FROM tel_scopes WHERE trace_id = ?1) AND span_id = ?2
    RETURNING (SELECT run_id FROM tel_scopes WHERE id = scope), end_ns, id";

/// The rows of one transaction on their way into the tables.
pub(super) struct Put<'t, 'r> {
    connection: &'t Connection,
    writer: &'t Identity,
    inserts: Inserts<'t>,
    shapes: &'t mut Shapes,
    contents: &'t mut Contents,
    scopes: Scopes<'t>,
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
    New,
    /// It was there, open.
    Completed,
    /// It was there, ended already.
    Again,
    /// An announcement that comes after the end.
    TooLate,
}

impl<'t, 'r> Put<'t, 'r> {
    pub(super) fn new(
        connection: &'t Connection,
        writer: &'t Identity,
        shapes: &'t mut Shapes,
        contents: &'t mut Contents,
    ) -> Self {
        Put {
            connection,
            writer,
            inserts: Inserts::new(connection),
            shapes,
            contents,
            scopes: Scopes::new(connection),
            runs: BTreeMap::new(),
            retried: Vec::new(),
            withdrawn: Vec::new(),
            miscounted: Vec::new(),
            owed: Vec::new(),
        }
    }

    /// A row was taken back: what it brought with it may be gone too.
    pub(super) fn forget(&mut self) {
        self.shapes.forget();
        self.scopes.forget();
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
        let mut insert = run::inserting(self.connection);
        for (&run_id, tally) in &self.runs {
            tally.write(run_id, self.connection, &mut insert, self.writer.number)?;
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
        self.contents.settle(self.connection)?;
        Ok(self.owed)
    }

    fn open(&mut self, row: &'r SpanRow<'r>) -> rusqlite::Result<()> {
        if let (Landed::New | Landed::Completed, _) = self.span(row, false)? {
            self.note(row)?;
        }
        Ok(())
    }

    fn close(&mut self, row: &'r SpanRow<'r>) -> rusqlite::Result<()> {
        let (landed, owed) = self.span(row, true)?;
        if let Landed::TooLate = landed {
            return Ok(());
        }
        step::put(self.connection, row, matches!(landed, Landed::New))?;
        let tally = self.note(row)?;
        match landed {
            Landed::Again => tally.count_anew(),
            _ => tally.count(row),
        }
        self.owed.extend(owed.map(|id| (row.span_id, id)));
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
                let end_ns: Option<i64> = row.get(1)?;
                Ok((row.get::<_, String>(0)?, end_ns, row.get(2)?))
            })
            .optional()?;
        if let Some((run_id, end_ns, id)) = removed {
            step::remove(self.connection, &run_id, span)?;
            outbox::remove(self.connection, id)?;
            self.contents.loosened();
            // Not now: what this batch counted is not yet added to its runs.
            self.miscounted.extend(end_ns.map(|_| run_id));
        }
        self.withdrawn.push(row);
        Ok(())
    }

    fn note(&mut self, row: &'r SpanRow<'r>) -> rusqlite::Result<&mut Tally<'r>> {
        self.retried
            .extend(row.retries.map(|span_id| (row.run_id, span_id)));
        let scope = self.scopes.of(row)?;
        let tally = self
            .runs
            .entry(row.run_id)
            .or_insert_with(|| Tally::new(row, scope.run));
        tally.see(row, scope.id);
        Ok(tally)
    }

    /// Writes the row of a span; gives its number where it is owed to a collector from here on.
    fn span(
        &mut self,
        row: &SpanRow<'_>,
        has_ended: bool,
    ) -> rusqlite::Result<(Landed, Option<i64>)> {
        let context = Context {
            shape: self.shapes.id(self.connection, row)?,
            scope: self.scopes.of(row)?,
            writer: self.writer.number,
            has_ended,
        };
        let landed = if self.inserts.insert(row, context)? {
            Landed::New
        } else if span_row::complete(self.connection, row, context)? {
            Landed::Completed
        } else if has_ended && span_row::replace(self.connection, row, context)? {
            Landed::Again
        } else {
            return Ok((Landed::TooLate, None));
        };
        say(self.connection, self.contents, &landed, row, context)?;
        // Most stores owe nothing to anybody.
        let owed = match row.export {
            Export::None => None,
            export => outbox::note(self.connection, &landed, export, row, context)?,
        };
        Ok((landed, owed))
    }
}

/// Notes what a span says. Most stores hold no content, and are asked nothing here.
fn say(
    connection: &Connection,
    contents: &mut Contents,
    landed: &Landed,
    row: &SpanRow<'_>,
    context: Context<'_>,
) -> rusqlite::Result<()> {
    let is_new = matches!(landed, Landed::New);
    if row.contents.is_empty() && (is_new || !contents.is_any()) {
        return Ok(());
    }
    let id = if is_new {
        connection.last_insert_rowid()
    } else {
        let id = span_row::id(connection, row, context)?;
        contents.clear(connection, id)?;
        id
    };
    contents.put(connection, id, &row.contents)
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
