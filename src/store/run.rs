//! What a batch adds to its runs: one change per run, counted while its spans are written.

use rusqlite::{Connection, params};

use super::at_hand::AtHand;
use super::hex::Hex;
use super::row::{ModelCallRow, RootRow, SpanRow, StepRow, WithdrawnRow};
use crate::record::{CostStatus, EndReason, RunId, Status};
use crate::semconv::Kind;

/// Makes the run with its first spans, and its root where that is among them.
const INSERT: &str = "
    INSERT INTO tel_run_rows (id, start_ns, session_id, model_call_count, tool_call_count, error_count,
        estimated_cost_usd, cost_status, turn_count, input_tokens, output_tokens, writer, status,
        platform, entrypoint, agent_name, model, end_ns, end_reason, parent_span_id)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)
    ON CONFLICT (id) DO NOTHING";

/// Adds what the batch counted to a run that is there.
///
/// The order of the words in `cost_status` is that of [`CostStatus`]: the least sure wins.
const ADD: &str = "
    UPDATE tel_run_rows SET
        model_call_count = model_call_count + ?2,
        tool_call_count = tool_call_count + ?3,
        error_count = error_count + ?4,
        estimated_cost_usd = coalesce(estimated_cost_usd + ?5, estimated_cost_usd, ?5),
        cost_status = CASE
            WHEN 'unknown' IN (cost_status, ?6) THEN 'unknown'
            WHEN 'estimated' IN (cost_status, ?6) THEN 'estimated'
            WHEN 'included' IN (cost_status, ?6) THEN 'included'
            WHEN 'known' IN (cost_status, ?6) THEN 'known'
        END,
        turn_count = turn_count + ?7,
        input_tokens = input_tokens + ?8,
        output_tokens = output_tokens + ?9
    WHERE id = ?1";

/// What the spans say of the run itself: apart from the sums, for indexes hang on it and it hardly
/// ever changes.
const PLACE: &str = "
    UPDATE tel_run_rows SET
        start_ns = min(start_ns, ?2), session_id = coalesce(session_id, ?3)
    WHERE id = ?1 AND (start_ns > ?2 OR (session_id IS NULL AND ?3 IS NOT NULL))";

/// What the root says, which beats what its children said. A root that has ended stays ended.
const ROOT: &str = "
    UPDATE tel_run_rows SET session_id = coalesce(?2, session_id),
        platform = coalesce(?3, platform), entrypoint = coalesce(?4, entrypoint),
        agent_name = coalesce(?5, agent_name), model = coalesce(?6, model),
        end_ns = ?7, end_reason = ?8, status = ?9, writer = ?10,
        parent_span_id = coalesce(?11, parent_span_id)
    WHERE id = ?1 AND (?7 IS NOT NULL OR end_ns IS NULL)";

/// The run goes by the scope of its root, where that is another one than its first span's.
const MOVE: &str = "UPDATE OR IGNORE tel_run_rows SET id = ?2 WHERE id = ?1";

/// Counts a run anew from its rows, where adding up would count something twice.
const RECOUNT: &str = "
    UPDATE tel_run_rows SET
        model_call_count = (SELECT count(*) FROM tel_model_calls WHERE run_id = ?1),
        tool_call_count = (SELECT count(*) FROM tel_tool_calls WHERE run_id = ?1),
        error_count = (SELECT count(span_id) FROM tel_error_events WHERE run_id = ?1),
        turn_count = (SELECT count(*) FROM tel_spans
            WHERE run_id = ?1 AND span_name = ?2 AND end_ns IS NOT NULL),
        input_tokens = (SELECT coalesce(sum(input_tokens), 0) FROM tel_model_calls WHERE run_id = ?1),
        output_tokens = (SELECT coalesce(sum(output_tokens), 0) FROM tel_model_calls WHERE run_id = ?1),
        estimated_cost_usd = (SELECT sum(estimated_cost_usd) FROM tel_model_calls WHERE run_id = ?1),
        cost_status = (SELECT coalesce(cost_status, 'unknown') FROM tel_model_calls
            WHERE run_id = ?1 AND (status = 'ok' OR estimated_cost_usd IS NOT NULL
                OR coalesce(input_tokens, 0) > 0 OR coalesce(output_tokens, 0) > 0)
            ORDER BY CASE cost_status WHEN 'known' THEN 1 WHEN 'included' THEN 2
                WHEN 'estimated' THEN 3 ELSE 4 END DESC LIMIT 1)
    WHERE id IN (SELECT id FROM tel_scopes WHERE run_id = ?1)";

/// A run whose root was withdrawn ends with it, and goes where nothing else is in it.
const END: &str = "
    UPDATE tel_run_rows SET end_ns = max(start_ns, ?2), status = 'ok', end_reason = 'completed'
    WHERE id IN (SELECT id FROM tel_scopes WHERE run_id = ?1) AND end_ns IS NULL";
const REMOVE: [&str; 2] = [
    "DELETE FROM tel_run_rows WHERE id IN (SELECT id FROM tel_scopes WHERE run_id = ?1)
        AND NOT EXISTS (SELECT 1 FROM tel_spans WHERE run_id = ?1)",
    "DELETE FROM tel_scopes WHERE run_id = ?1
        AND NOT EXISTS (SELECT 1 FROM tel_span_rows WHERE scope = tel_scopes.id)
        AND NOT EXISTS (SELECT 1 FROM tel_run_rows AS run WHERE run.id = tel_scopes.id)",
];

/// What one batch adds to one run.
#[derive(Debug)]
pub(super) struct Tally<'r> {
    /// The number of the run's row.
    id: i64,
    start_ns: i64,
    session_id: Option<&'r str>,
    model_calls: i64,
    tool_calls: i64,
    errors: i64,
    turns: i64,
    input_tokens: i64,
    output_tokens: i64,
    cost_usd: Option<f64>,
    cost_status: Option<CostStatus>,
    root: Option<Root<'r>>,
    is_miscounted: bool,
}

/// The span that makes a run, and its scope.
#[derive(Clone, Copy, Debug)]
struct Root<'r> {
    span: &'r SpanRow<'r>,
    says: &'r RootRow<'r>,
    scope: i64,
}

impl<'r> Tally<'r> {
    pub(super) fn new(row: &'r SpanRow<'r>, id: i64) -> Self {
        Tally {
            id,
            start_ns: row.start_ns,
            session_id: row.session_id,
            model_calls: 0,
            tool_calls: 0,
            errors: 0,
            turns: 0,
            input_tokens: 0,
            output_tokens: 0,
            cost_usd: None,
            cost_status: None,
            root: None,
            is_miscounted: false,
        }
    }

    /// Takes note of a span, whatever its state.
    pub(super) fn see(&mut self, row: &'r SpanRow<'r>, scope: i64) {
        self.start_ns = self.start_ns.min(row.start_ns);
        self.session_id = self.session_id.or(row.session_id);
        let is_news =
            row.end_ns.is_some() || self.root.is_none_or(|root| root.span.end_ns.is_none());
        if let Some(says) = row.root.as_ref().filter(|_| is_news) {
            self.root = Some(Root {
                span: row,
                says,
                scope,
            });
        }
    }

    /// Counts a span that has ended and was not counted before.
    pub(super) fn count(&mut self, row: &SpanRow<'_>) {
        self.turns += i64::from(row.kind == Kind::Turn);
        self.errors += i64::from(row.is_failed_step);
        match &row.step {
            Some(StepRow::ModelCall(call)) => self.count_model_call(call, row.status),
            Some(StepRow::ToolCall(_)) => self.tool_calls += 1,
            None => {}
        }
    }

    /// A span of the run was counted before, as something else: the run is to be counted anew.
    pub(super) fn count_anew(&mut self) {
        self.is_miscounted = true;
    }

    pub(super) fn write(
        &self,
        run_id: RunId,
        connection: &Connection,
        insert: &mut AtHand<'_>,
        writer: i64,
    ) -> rusqlite::Result<()> {
        if !self.insert(insert, writer)? {
            self.add(connection, writer)?;
        }
        if let Some(root) = self.root.filter(|root| root.scope != self.id) {
            connection
                .prepare_cached(MOVE)?
                .execute([self.id, root.scope])?;
        }
        if self.is_miscounted {
            recount(connection, Hex::from(run_id))?;
        }
        Ok(())
    }

    /// Makes the run; whether there was none.
    fn insert(&self, insert: &mut AtHand<'_>, writer: i64) -> rusqlite::Result<bool> {
        let (span, says) = self.root.map(|root| (root.span, root.says)).unzip();
        let inserted = insert.get()?.execute(params![
            self.id,
            self.start_ns,
            span.and_then(|span| span.session_id).or(self.session_id),
            self.model_calls,
            self.tool_calls,
            self.errors,
            self.cost_usd,
            self.cost_status.map(CostStatus::as_str),
            self.turns,
            self.input_tokens,
            self.output_tokens,
            writer,
            span.map_or(Status::Running, |span| span.status).as_str(),
            says.and_then(|says| says.platform),
            says.and_then(|says| says.entrypoint),
            says.and_then(|says| says.agent_name),
            says.and_then(|says| says.model),
            span.and_then(|span| span.end_ns),
            says.and_then(|says| says.end_reason).map(EndReason::as_str),
            says.and_then(|says| says.parent_span_id).map(Hex::from),
        ])?;
        Ok(inserted == 1)
    }

    fn add(&self, connection: &Connection, writer: i64) -> rusqlite::Result<()> {
        connection.prepare_cached(ADD)?.execute(params![
            self.id,
            self.model_calls,
            self.tool_calls,
            self.errors,
            self.cost_usd,
            self.cost_status.map(CostStatus::as_str),
            self.turns,
            self.input_tokens,
            self.output_tokens,
        ])?;
        connection.prepare_cached(PLACE)?.execute(params![
            self.id,
            self.start_ns,
            self.session_id
        ])?;
        if let Some(Root { span, says, .. }) = self.root {
            connection.prepare_cached(ROOT)?.execute(params![
                self.id,
                span.session_id,
                says.platform,
                says.entrypoint,
                says.agent_name,
                says.model,
                span.end_ns,
                says.end_reason.map(EndReason::as_str),
                span.status.as_str(),
                writer,
                says.parent_span_id.map(Hex::from),
            ])?;
        }
        Ok(())
    }

    fn count_model_call(&mut self, call: &ModelCallRow<'_>, status: Status) {
        self.model_calls += 1;
        self.input_tokens = self
            .input_tokens
            .saturating_add(call.input_tokens.unwrap_or(0));
        self.output_tokens = self
            .output_tokens
            .saturating_add(call.output_tokens.unwrap_or(0));
        if let Some(cost_usd) = call.cost_usd {
            self.cost_usd = Some(self.cost_usd.unwrap_or(0.0) + cost_usd);
        }
        self.cost_status = self.cost_status.max(call.cost_certainty(status));
    }
}

/// The statement that makes runs, for [`Tally::write`].
pub(super) fn inserting(connection: &Connection) -> AtHand<'_> {
    AtHand::new(connection, INSERT)
}

/// Counts a run anew from its rows.
pub(super) fn recount(connection: &Connection, run: impl rusqlite::ToSql) -> rusqlite::Result<()> {
    connection
        .prepare_cached(RECOUNT)?
        .execute(params![run, Kind::Turn.span_name()])?;
    Ok(())
}

/// Ends or removes the run that a withdrawn span was the root of.
pub(super) fn withdraw(connection: &Connection, row: &WithdrawnRow) -> rusqlite::Result<()> {
    let Some((run_id, end_ns)) = row.root_of else {
        return Ok(());
    };
    for statement in REMOVE {
        connection
            .prepare_cached(statement)?
            .execute([Hex::from(run_id)])?;
    }
    connection
        .prepare_cached(END)?
        .execute(params![Hex::from(run_id), end_ns])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use crate::record::CostStatus;
    use crate::store::sample::{START, Sample};
    use crate::store::{Store, Writer};

    const ALL: [CostStatus; 4] = [
        CostStatus::Known,
        CostStatus::Included,
        CostStatus::Estimated,
        CostStatus::Unknown,
    ];

    #[test]
    fn the_least_sure_cost_decides_however_the_run_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let mut writer = Writer::open(&path, START).unwrap();
        let store = Store::open(&path).unwrap();
        for one in ALL {
            for other in ALL {
                let sample = Sample::new();
                let least_sure = Some(one.max(other).as_str());
                let told = || store.run(sample.run_id).unwrap().unwrap().cost_status;
                let calls = [one, other]
                    .map(|status| sample.chat(1).ended().used([1, 1], Some((0.1, status))));
                for call in &calls {
                    writer.write(&[call.closed()]).unwrap();
                }
                assert_eq!(told().as_deref(), least_sure, "added up");
                writer.write(&[calls[0].closed()]).unwrap();
                assert_eq!(told().as_deref(), least_sure, "counted anew");
            }
        }
    }

    #[test]
    fn a_run_without_known_costs_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let mut writer = Writer::open(&path, START).unwrap();
        let sample = Sample::new();
        let call = sample.chat(1).ended().used([1, 1], None);
        let store = Store::open(&path).unwrap();
        for _ in 0..2 {
            writer.write(&[call.closed()]).unwrap();
            let run = store.run(sample.run_id).unwrap().unwrap();
            assert_eq!(
                (run.estimated_cost_usd, run.cost_status.as_deref()),
                (None, Some("unknown"))
            );
        }
    }
}
