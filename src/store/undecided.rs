//! Spans that were left behind before it was decided whether their trace leaves; whoever exports next decides.

use rusqlite::{OptionalExtension, params};

use super::Outbox;
use super::hex::Hex;
use super::recorded::RecordedSpan;
use crate::error::Error;
use crate::record::TraceId;

/// Of the dead alone: the living decide what is theirs.
const ANY: &str = "SELECT 1 FROM tel_outbox WHERE writer IS NULL AND is_ready = 2 LIMIT 1";

const TRACES: &str = "
    SELECT DISTINCT scope.trace_id FROM tel_outbox AS owed
    JOIN tel_span_rows AS span ON span.id = owed.id
    JOIN tel_scopes AS scope ON scope.id = span.scope
    WHERE owed.writer IS NULL AND owed.is_ready = 2";

/// A span in a process that lives. What the dead left open has been ended by now.
const RUNS: &str = "
    SELECT 1 FROM tel_span_rows WHERE end_ns IS NULL
        AND scope IN (SELECT id FROM tel_scopes WHERE trace_id = ?1) LIMIT 1";

const RELEASE: &str = "
    UPDATE tel_outbox SET is_ready = 1 WHERE writer IS NULL AND is_ready = 2 AND id IN
        (SELECT id FROM tel_span_rows WHERE scope IN (SELECT id FROM tel_scopes WHERE trace_id = ?1))";

const DROP: &str = "
    DELETE FROM tel_outbox WHERE writer IS NULL AND is_ready = 2 AND id IN
        (SELECT id FROM tel_span_rows WHERE scope IN (SELECT id FROM tel_scopes WHERE trace_id = ?1))";

const RELEASE_ALL: &str =
    "UPDATE tel_outbox SET is_ready = 1 WHERE writer IS NULL AND is_ready = 2";

/// Whoever sends them finds that they are gone, and counts them as lost.
const RELEASE_THE_PRUNED: &str = "
    UPDATE tel_outbox SET is_ready = 1 WHERE writer IS NULL AND is_ready = 2
        AND NOT EXISTS (SELECT 1 FROM tel_span_rows AS span WHERE span.id = tel_outbox.id)";

impl Outbox {
    /// The traces that nobody who lives will decide, each with whether a span of it still runs.
    pub(crate) fn undecided(&mut self) -> Result<Vec<(TraceId, bool)>, Error> {
        let find = || -> rusqlite::Result<Vec<(TraceId, bool)>> {
            if !self.connection.prepare_cached(ANY)?.exists([])? {
                return Ok(Vec::new());
            }
            self.connection
                .prepare_cached(RELEASE_THE_PRUNED)?
                .execute([])?;
            let mut traces = self.connection.prepare_cached(TRACES)?;
            let mut runs = self.connection.prepare_cached(RUNS)?;
            let traces = traces.query_map([], |row| row.get::<_, String>(0))?;
            let mut found = Vec::new();
            for trace in traces {
                let trace = trace?;
                let is_running = runs.exists([&trace])?;
                found.extend(TraceId::from_hex(&trace).map(|trace| (trace, is_running)));
            }
            Ok(found)
        };
        find().map_err(|error| self.failed(error))
    }

    /// Looks at every span of a trace; one that cannot be read is passed over.
    pub(crate) fn look_at(
        &self,
        trace: TraceId,
        mut look: impl FnMut(RecordedSpan),
    ) -> Result<(), Error> {
        let mut read = || -> rusqlite::Result<()> {
            let sql = RecordedSpan::select("WHERE trace_id = ?1");
            let mut spans = self.connection.prepare_cached(&sql)?;
            let mut rows = spans.query([Hex::from(trace)])?;
            while let Some(row) = rows.next()? {
                RecordedSpan::from_row(row).map(&mut look).ok();
            }
            Ok(())
        };
        read().map_err(|error| self.failed(error))
    }

    /// Notes what was decided of a trace, and gives the number of its spans that nobody had decided before.
    pub(crate) fn decide(&mut self, trace: TraceId, leaves: bool) -> Result<u64, Error> {
        let sql = if leaves { RELEASE } else { DROP };
        let decide = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            statement.execute(params![Hex::from(trace)])
        };
        decide()
            .map(super::outbox::count)
            .map_err(|error| self.failed(error))
    }

    /// Everything that was left behind undecided leaves: there are no rules any more.
    pub(crate) fn decide_all_leave(&mut self) -> Result<(), Error> {
        let release = || {
            let any = self
                .connection
                .prepare_cached(ANY)?
                .query_row([], |_| Ok(()));
            if any.optional()?.is_some() {
                self.connection.prepare_cached(RELEASE_ALL)?.execute([])?;
            }
            Ok(())
        };
        release().map_err(|error| self.failed(error))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::store::row::{Export, Owed, Row, SpanRow, Stage};
    use crate::store::sample::{START, Sample};
    use crate::store::{Outbox, Writer};

    fn held(sample: Sample, at: i64) -> Row<'static> {
        Row::Closed(SpanRow {
            export: Export::Owed(Owed {
                exits: 1,
                may_carry_content: false,
                stage: Stage::Undecided,
            }),
            ..sample.chat(at).ended()
        })
    }

    fn outbox(path: &Path, writer: &Writer) -> Outbox {
        Outbox::open(path, writer.place().1).unwrap()
    }

    #[test]
    fn what_the_dead_left_undecided_is_decided_trace_by_trace() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let (leaves, stays) = (Sample::new(), Sample::new());
        let mut dead = Writer::open(&path, START).unwrap();
        dead.write(&[held(leaves, 1), held(leaves, 2), held(stays, 3)])
            .unwrap();
        let mut living = Writer::open(&path, START).unwrap();
        let mine = Sample::new();
        living.write(&[held(mine, 4)]).unwrap();
        let mut outbox = outbox(&path, &living);
        assert!(outbox.undecided().unwrap().is_empty(), "all live");
        dead.checkpoint_and_close();
        let mut undecided = outbox.undecided().unwrap();
        undecided.sort();
        let mut expected = [(leaves.trace_id, false), (stays.trace_id, false)];
        expected.sort();
        assert_eq!(undecided, expected);
        assert_eq!(outbox.adopt(1, 10).unwrap(), 0, "nothing undecided is sent");
        let mut seen = 0;
        outbox.look_at(leaves.trace_id, |_| seen += 1).unwrap();
        assert_eq!(seen, 2);
        assert_eq!(outbox.decide(leaves.trace_id, true).unwrap(), 2);
        assert_eq!(outbox.decide(stays.trace_id, false).unwrap(), 1);
        assert_eq!(outbox.decide(mine.trace_id, false).unwrap(), 0, "not mine");
        assert!(outbox.undecided().unwrap().is_empty());
        assert_eq!(outbox.adopt(1, 10).unwrap(), 2);
        assert_eq!(outbox.oldest(1, 0, 10).unwrap().len(), 2);
    }

    #[test]
    fn a_trace_that_still_runs_somewhere_is_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let sample = Sample::new();
        let mut dead = Writer::open(&path, START).unwrap();
        dead.write(&[held(sample, 1)]).unwrap();
        let mut living = Writer::open(&path, START).unwrap();
        living.write(&[sample.session().opened()]).unwrap();
        dead.checkpoint_and_close();
        let mut outbox = outbox(&path, &living);
        assert_eq!(outbox.undecided().unwrap(), [(sample.trace_id, true)]);
        outbox.decide_all_leave().unwrap();
        assert!(outbox.undecided().unwrap().is_empty());
        assert_eq!(outbox.adopt(1, 10).unwrap(), 1);
    }
}
