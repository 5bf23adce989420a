//! Pruning, in steps so small that no other process waits for long and no queue overflows meanwhile.
//!
//! A trace goes in two moves: its runs leave `tel_runs` and are noted in `tel_pruning`, at once; then
//! their spans go, so many a step. A process that dies between leaves the note to whoever comes next.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use super::connect::{self, is_busy};
use super::content;
use super::liveness;
use super::place::PlaceLock;
use super::retention::{Cutoff, Fill, Retention, candidates};

/// How long a step may hold the store, about.
pub(super) const STEP: Duration = Duration::from_millis(20);

/// How long a step waits for others.
const WAIT: Duration = Duration::from_millis(20);

/// How often ages are looked at.
const EVERY: Duration = Duration::from_secs(600);

/// How often the size is looked at.
const SIZE_EVERY: Duration = Duration::from_secs(5);

/// How many traces are chosen, spans deleted, other rows deleted and pages given back at a time.
const TRACES: i64 = 64;
const SPANS: i64 = 64;
const ROWS: i64 = 256;
const PAGES: i64 = 64;
const LINKS: usize = 256;

/// How often the log is asked to shrink while readers hold it.
const LOG_TRIES: u32 = 40;

const CHOOSE: &str = "
    INSERT OR IGNORE INTO tel_pruning (run_id) SELECT run_id FROM tel_runs
    WHERE trace_id = ?1 AND NOT EXISTS
        (SELECT 1 FROM tel_runs WHERE trace_id = ?1 AND (end_ns IS NULL OR end_ns >= ?2))";

const HIDE: &str = "
    DELETE FROM tel_run_rows WHERE id IN
        (SELECT scope.id FROM tel_pruning JOIN tel_scopes AS scope USING (run_id))";

const NEXT: &str = "SELECT run_id FROM tel_pruning LIMIT 1";

/// The spans of a run.
const TAKE: &str = "
    DELETE FROM tel_span_rows WHERE id IN
        (SELECT span.id FROM tel_scopes AS scope JOIN tel_span_rows AS span ON span.scope = scope.id
         WHERE scope.run_id = ?1 LIMIT ?2)";

/// What else a run had, once its spans are gone.
const FORGET: [&str; 3] = [
    "DELETE FROM tel_error_events WHERE run_id = ?1",
    "DELETE FROM tel_scopes WHERE run_id = ?1
        AND NOT EXISTS (SELECT 1 FROM tel_span_rows WHERE scope = tel_scopes.id)
        AND NOT EXISTS (SELECT 1 FROM tel_run_rows AS run WHERE run.id = tel_scopes.id)",
    "DELETE FROM tel_pruning WHERE run_id = ?1",
];

/// Events are kept as long as runs with errors are, whatever became of theirs.
const EVENTS: [&str; 6] = [
    "DELETE FROM tel_error_events WHERE id IN
        (SELECT id FROM tel_error_events WHERE ts_ns < ?1 ORDER BY id LIMIT ?2)",
    "DELETE FROM tel_gateway_events WHERE id IN
        (SELECT id FROM tel_gateway_events WHERE ts_ns < ?1 ORDER BY id LIMIT ?2)",
    "DELETE FROM tel_cron_events WHERE id IN
        (SELECT id FROM tel_cron_events WHERE ts_ns < ?1 ORDER BY id LIMIT ?2)",
    "DELETE FROM tel_skill_events WHERE id IN
        (SELECT id FROM tel_skill_events WHERE ts_ns < ?1 ORDER BY id LIMIT ?2)",
    "DELETE FROM tel_memory_events WHERE id IN
        (SELECT id FROM tel_memory_events WHERE ts_ns < ?1 ORDER BY id LIMIT ?2)",
    "DELETE FROM tel_feedback_events WHERE id IN
        (SELECT id FROM tel_feedback_events WHERE ts_ns < ?1 ORDER BY id LIMIT ?2)",
];

/// What writers lost stays, added up under one name, when the writers go.
const WRITERS: [&str; 3] = [
    "INSERT INTO tel_losses (writer_id, reason, count)
        SELECT 'pruned', reason, sum(count) FROM tel_losses WHERE writer_id IN
            (SELECT writer_id FROM tel_writers WHERE closed_ns < ?1 ORDER BY writer_id LIMIT ?2)
        GROUP BY reason
     ON CONFLICT (writer_id, reason) DO UPDATE SET count = count + excluded.count",
    "DELETE FROM tel_losses WHERE writer_id IN
        (SELECT writer_id FROM tel_writers WHERE closed_ns < ?1 ORDER BY writer_id LIMIT ?2)",
    "DELETE FROM tel_writers WHERE writer_id IN
        (SELECT writer_id FROM tel_writers WHERE closed_ns < ?1 ORDER BY writer_id LIMIT ?2)",
];

/// Whether there is more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    More,
    /// More, and others keep the store at present.
    Kept,
    Done,
}

/// Prunes one store, step by step.
#[derive(Debug)]
pub(crate) struct Pruner {
    retention: Retention,
    stage: Stage,
    aged: Option<Instant>,
    sized: Option<Instant>,
    runs: u64,
    spans: u64,
}

/// What is done at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    /// What dead processes left open is closed first: only what has ended can go.
    Dead,
    /// The rest of runs that somebody began to prune, then those that are too old.
    Age,
    /// As many traces as it takes; the number says which of them are looked at.
    Size(usize),
    Events,
    Pages,
    Log(u32),
}

impl Pruner {
    pub(crate) fn new(retention: Retention) -> Self {
        Pruner {
            retention,
            stage: Stage::Idle,
            aged: None,
            sized: None,
            runs: 0,
            spans: 0,
        }
    }

    /// Begins at the beginning.
    pub(super) fn begin(&mut self) {
        self.aged = Some(Instant::now());
        self.stage = Stage::Dead;
    }

    /// Whether something is to be done: what was begun, or a look at the ages or the size.
    pub(crate) fn is_due(&mut self, path: &Path) -> bool {
        let is_past = |last: Option<Instant>, every| last.is_none_or(|at| at.elapsed() >= every);
        if self.stage == Stage::Idle && is_past(self.aged, EVERY) {
            self.begin();
        }
        if self.stage == Stage::Idle && is_past(self.sized, SIZE_EVERY) {
            self.sized = Some(Instant::now());
            if self.is_too_large(path) {
                self.begin();
            }
        }
        self.stage != Stage::Idle
    }

    /// Runs and spans taken away so far.
    pub(super) fn taken(&self) -> (u64, u64) {
        (self.runs, self.spans)
    }

    /// Does a little. While another process prunes, it does nothing.
    pub(crate) fn step(
        &mut self,
        connection: &mut Connection,
        path: &Path,
        now_ns: i64,
    ) -> rusqlite::Result<Step> {
        if self.stage == Stage::Idle {
            return Ok(Step::Done);
        }
        let Ok(_lock) = PlaceLock::take(path, Duration::ZERO) else {
            return Ok(Step::Kept);
        };
        connection.busy_timeout(WAIT)?;
        let stage = self.advance(connection, path, now_ns);
        connection.busy_timeout(connect::BUSY)?;
        match stage {
            Ok(stage) => self.stage = stage,
            // The same again, later.
            Err(error) if is_busy(&error) => return Ok(Step::Kept),
            Err(error) => {
                self.stage = Stage::Idle;
                return Err(error);
            }
        }
        Ok(if self.stage == Stage::Idle {
            Step::Done
        } else {
            Step::More
        })
    }

    /// Does what the stage asks for, and says which one follows.
    fn advance(
        &mut self,
        connection: &mut Connection,
        path: &Path,
        now_ns: i64,
    ) -> rusqlite::Result<Stage> {
        let age = self.retention.by_age(now_ns);
        Ok(match self.stage {
            Stage::Idle => Stage::Idle,
            Stage::Dead => {
                liveness::mark_dead(connection, path, now_ns)?;
                Stage::Age
            }
            Stage::Age => {
                if self.take_chosen(connection)? || self.choose(connection, age)? {
                    Stage::Age
                } else if self.is_too_large(path) {
                    connect::shrink_log(connection)?;
                    Stage::Size(0)
                } else {
                    Stage::Events
                }
            }
            Stage::Size(at) => self.take_for_room(connection, at, now_ns)?,
            Stage::Events => match age {
                Some(age) if take_events(connection, age)? => Stage::Events,
                _ => Stage::Pages,
            },
            Stage::Pages => {
                if self.give_back(connection, path)? {
                    Stage::Pages
                } else if self.runs > 0 || self.is_too_large(path) {
                    Stage::Log(LOG_TRIES)
                } else {
                    Stage::Idle
                }
            }
            Stage::Log(tries) => {
                if connect::shrink_log(connection)? || tries == 0 {
                    Stage::Idle
                } else {
                    Stage::Log(tries - 1)
                }
            }
        })
    }

    /// Takes one trace after the other while the store is too full.
    fn take_for_room(
        &mut self,
        connection: &mut Connection,
        at: usize,
        now_ns: i64,
    ) -> rusqlite::Result<Stage> {
        let cutoff = Retention::by_size(now_ns).get(at).copied();
        let begun = Instant::now();
        while begun.elapsed() < STEP {
            if self.take_chosen(connection)? {
                continue;
            }
            if cutoff.is_none() || !self.is_too_full(connection)? {
                return Ok(Stage::Events);
            }
            if !self.choose(connection, cutoff)? {
                return Ok(Stage::Size(at + 1));
            }
        }
        Ok(Stage::Size(at))
    }

    fn is_too_large(&self, path: &Path) -> bool {
        let most = self.retention.max_bytes;
        most.is_some_and(|most| connect::bytes(path) > most)
    }

    fn is_too_full(&self, connection: &Connection) -> rusqlite::Result<bool> {
        let target = self.retention.target_bytes();
        let used = Fill::of(connection)?.used_bytes;
        Ok(target.is_some_and(|target| used > target))
    }

    /// Chooses the next traces to go; false where there are none.
    fn choose(
        &mut self,
        connection: &mut Connection,
        cutoff: Option<Cutoff>,
    ) -> rusqlite::Result<bool> {
        let Some(cutoff) = cutoff else {
            return Ok(false);
        };
        // Where the size decides, one at a time: how much it gives is known when it is gone.
        let limit = if matches!(self.stage, Stage::Size(_)) {
            1
        } else {
            TRACES
        };
        // Looked for before the store is held: this is what may take long.
        let chosen = candidates(connection, cutoff, limit)?;
        if chosen.is_empty() {
            return Ok(false);
        }
        let transaction = immediate(connection)?;
        let mut runs = 0;
        for candidate in &chosen {
            let ids = params![candidate.trace_id, cutoff.fine_ns];
            runs += transaction.prepare_cached(CHOOSE)?.execute(ids)?;
        }
        transaction.prepare_cached(HIDE)?.execute([])?;
        transaction.commit()?;
        self.runs += runs as u64;
        // What could not be chosen has come to life again meanwhile, and is no candidate next time.
        Ok(true)
    }

    /// Takes the next spans of runs that are to go, and what they alone said; false where there is none
    /// left.
    fn take_chosen(&mut self, connection: &mut Connection) -> rusqlite::Result<bool> {
        if next_run(connection)?.is_none() && !content::is_loose(connection)? {
            return Ok(false);
        }
        let transaction = immediate(connection)?;
        let begun = Instant::now();
        let mut spans = 0;
        // First what nobody says any more since the last step.
        while begun.elapsed() < STEP && content::collect(&transaction, LINKS)? {}
        while begun.elapsed() < STEP
            && let Some(run_id) = next_run(&transaction)?
        {
            let taken = transaction
                .prepare_cached(TAKE)?
                .execute(params![run_id, SPANS])?;
            if taken == 0 {
                for sql in FORGET {
                    transaction.prepare_cached(sql)?.execute([&run_id])?;
                }
            }
            spans += taken as u64;
        }
        transaction.commit()?;
        self.spans += spans;
        Ok(true)
    }

    /// Gives free pages back to the file system; false where there is nothing to give.
    fn give_back(&self, connection: &Connection, path: &Path) -> rusqlite::Result<bool> {
        // Room that the next rows need anyway is left, unless it was pruned or is too much.
        if self.runs == 0 && !self.is_too_large(path) {
            return Ok(false);
        }
        let before = Fill::of(connection)?.free_pages;
        let begun = Instant::now();
        while begun.elapsed() < STEP && Fill::of(connection)?.free_pages > 0 {
            // A row for each page: only who reads them all gives them all back.
            connection.pragma(None, "incremental_vacuum", PAGES, |_| Ok(()))?;
        }
        // A store that somebody made without this keeps its pages.
        Ok(Fill::of(connection)?.free_pages < before)
    }
}

fn immediate(connection: &mut Connection) -> rusqlite::Result<Transaction<'_>> {
    connection.transaction_with_behavior(TransactionBehavior::Immediate)
}

fn next_run(connection: &Connection) -> rusqlite::Result<Option<String>> {
    connection
        .prepare_cached(NEXT)?
        .query_map([], |row| row.get(0))?
        .next()
        .transpose()
}

/// Takes events and writers that are too old; false where there are none.
fn take_events(connection: &mut Connection, age: Cutoff) -> rusqlite::Result<bool> {
    let transaction = immediate(connection)?;
    let mut taken = 0;
    for sql in EVENTS.iter().chain(&WRITERS) {
        let limits = params![age.failed_ns, ROWS];
        taken += transaction.prepare_cached(sql)?.execute(limits)?;
    }
    transaction.commit()?;
    Ok(taken > 0)
}
