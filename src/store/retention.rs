//! How long rows are kept: what a retention says, and what it would take away from a store.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use super::connect::{self, BUSY_TIMEOUT, Opening, failure};
use super::prune::{Pruner, Step};
use super::read::Store;
use crate::error::{Error, ErrorKind};
use crate::record::now_ns;

const DAY_NS: i64 = 24 * 60 * 60 * 1_000_000_000;

/// Traces with errors are kept so many times as long as others.
const ERRORS_LONGER: i64 = 2;

/// What ended so recently is not taken for the size's sake: stragglers of it may be on their way.
const SETTLED_NS: i64 = 5_000_000_000;

/// How long runs are kept, and how large the store may be.
///
/// Traces go as a whole, oldest first, and never while something in them runs. A trace in which
/// something failed is kept twice as many days as others, and where room is short it goes after all
/// others. The default is 90 days and 2 GiB.
///
/// ```
/// use hermes::Retention;
///
/// let kept = Retention::default().days(30).max_bytes(500_000_000);
/// assert_eq!((kept.days, kept.max_bytes), (Some(30), Some(500_000_000)));
/// // Zero means: without a limit.
/// assert_eq!(kept.days(0).max_bytes(0), Retention::FOREVER);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Retention {
    /// Runs that ended so many days ago go; `None`: they stay.
    pub days: Option<u32>,
    /// The file and its log together may have so many bytes; `None`: any number.
    pub max_bytes: Option<u64>,
}

/// What pruning a store would take away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PrunePlan {
    /// Runs.
    pub runs: u64,
    /// Their spans.
    pub spans: u64,
    /// The room that they take, about: what a span takes on average, times the spans.
    pub bytes: u64,
    /// When the oldest of them started, in nanoseconds since the Unix epoch.
    pub oldest_ns: Option<i64>,
    /// When the newest of them started.
    pub newest_ns: Option<i64>,
}

/// What pruning a store took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pruned {
    /// Runs.
    pub runs: u64,
    /// Their spans.
    pub spans: u64,
    /// By how many bytes the files of the store are smaller than before.
    pub bytes: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Retention {
            days: Some(90),
            max_bytes: Some(2 << 30),
        }
    }
}

impl Retention {
    /// Nothing ever goes.
    pub const FOREVER: Retention = Retention {
        days: None,
        max_bytes: None,
    };

    /// Keeps runs for so many days; zero: for ever.
    #[must_use]
    pub fn days(mut self, days: u32) -> Self {
        self.days = (days > 0).then_some(days);
        self
    }

    /// Keeps the store below so many bytes; zero: as large as it grows.
    #[must_use]
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = (bytes > 0).then_some(bytes);
        self
    }

    /// What ended before this time goes; what failed stays longer.
    pub(super) fn by_age(&self, now_ns: i64) -> Option<Cutoff> {
        let kept_ns = i64::from(self.days?).saturating_mul(DAY_NS);
        Some(Cutoff {
            fine_ns: now_ns.saturating_sub(kept_ns),
            failed_ns: now_ns.saturating_sub(kept_ns.saturating_mul(ERRORS_LONGER)),
        })
    }

    /// What may go where room is short: traces without failures, and when none is left all others.
    pub(super) fn by_size(now_ns: i64) -> [Cutoff; 2] {
        let settled_ns = now_ns.saturating_sub(SETTLED_NS);
        [i64::MIN, settled_ns].map(|failed_ns| Cutoff {
            fine_ns: settled_ns,
            failed_ns,
        })
    }

    /// A store that is too large is made so much smaller than it may be that it is not so again soon.
    pub(super) fn target_bytes(&self) -> Option<u64> {
        self.max_bytes.map(|bytes| bytes - bytes / 10)
    }
}

/// Which traces go: those that ended before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cutoff {
    pub(super) fine_ns: i64,
    pub(super) failed_ns: i64,
}

/// A trace that may go.
pub(super) struct Candidate {
    pub(super) trace_id: String,
    start_ns: i64,
}

/// Walks the runs by their start and stops at the limit: a large store is not looked through.
const CANDIDATES: &str = "
    SELECT trace_id, start_ns FROM tel_runs AS old
    WHERE start_ns < ?1
        AND NOT EXISTS (SELECT 1 FROM tel_runs AS run WHERE run.trace_id = old.trace_id
            AND (run.end_ns IS NULL OR run.end_ns >= ?1 OR (run.end_ns >= ?2
                AND EXISTS (SELECT 1 FROM tel_runs AS bad WHERE bad.trace_id = old.trace_id
                    AND (bad.error_count > 0 OR bad.status = 'error')))))
        AND trace_id NOT IN (SELECT trace_id FROM tel_spans WHERE end_ns IS NULL)
    ORDER BY start_ns LIMIT ?3";

const COUNTS: &str = "
    SELECT count(*), (SELECT count(*) FROM tel_spans
        WHERE run_id IN (SELECT run_id FROM tel_runs WHERE trace_id = ?1))
    FROM tel_runs WHERE trace_id = ?1";

/// The traces that may go, oldest first. One with several runs may be named several times.
pub(super) fn candidates(
    connection: &Connection,
    cutoff: Cutoff,
    limit: i64,
) -> rusqlite::Result<Vec<Candidate>> {
    let read = |row: &rusqlite::Row<'_>| {
        Ok(Candidate {
            trace_id: row.get(0)?,
            start_ns: row.get(1)?,
        })
    };
    connection
        .prepare_cached(CANDIDATES)?
        .query_map(params![cutoff.fine_ns, cutoff.failed_ns, limit], read)?
        .collect()
}

/// How full the file is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill {
    pub(super) used_bytes: u64,
    pub(super) free_pages: u64,
}

impl Fill {
    pub(super) fn of(connection: &Connection) -> rusqlite::Result<Fill> {
        let number = |pragma| -> rusqlite::Result<u64> {
            let number: i64 = connection.pragma_query_value(None, pragma, |row| row.get(0))?;
            Ok(u64::try_from(number).unwrap_or(0))
        };
        let (pages, free_pages) = (number("page_count")?, number("freelist_count")?);
        Ok(Fill {
            used_bytes: pages.saturating_sub(free_pages) * number("page_size")?,
            free_pages,
        })
    }
}

impl PrunePlan {
    fn of(
        connection: &Connection,
        retention: &Retention,
        file_bytes: u64,
        now_ns: i64,
    ) -> rusqlite::Result<PrunePlan> {
        let used_bytes = Fill::of(connection)?.used_bytes;
        let all: i64 =
            connection.query_row("SELECT count(*) FROM tel_span_rows", [], |row| row.get(0))?;
        let bytes_each = used_bytes / u64::try_from(all).unwrap_or(0).max(1);
        let mut plan = PrunePlan::default();
        let mut gone = BTreeSet::new();
        if let Some(cutoff) = retention.by_age(now_ns) {
            for candidate in candidates(connection, cutoff, -1)? {
                if gone.insert(candidate.trace_id.clone()) {
                    plan.add(connection, &candidate, bytes_each)?;
                }
            }
        }
        let is_too_large = retention.max_bytes.is_some_and(|most| file_bytes > most);
        let Some(target) = retention.target_bytes().filter(|_| is_too_large) else {
            return Ok(plan);
        };
        for cutoff in Retention::by_size(now_ns) {
            for candidate in candidates(connection, cutoff, -1)? {
                if used_bytes.saturating_sub(plan.bytes) <= target {
                    return Ok(plan);
                }
                if gone.insert(candidate.trace_id.clone()) {
                    plan.add(connection, &candidate, bytes_each)?;
                }
            }
        }
        Ok(plan)
    }

    fn add(
        &mut self,
        connection: &Connection,
        candidate: &Candidate,
        bytes_each: u64,
    ) -> rusqlite::Result<()> {
        let (runs, spans): (i64, i64) = connection
            .prepare_cached(COUNTS)?
            .query_row([&candidate.trace_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let spans = u64::try_from(spans).unwrap_or(0);
        self.runs += u64::try_from(runs).unwrap_or(0);
        self.spans += spans;
        self.bytes += spans * bytes_each;
        let start_ns = candidate.start_ns;
        self.oldest_ns = Some(
            self.oldest_ns
                .map_or(start_ns, |oldest| oldest.min(start_ns)),
        );
        self.newest_ns = Some(
            self.newest_ns
                .map_or(start_ns, |newest| newest.max(start_ns)),
        );
        Ok(())
    }
}

impl Store {
    /// What [`Store::prune`] would take away now.
    ///
    /// ```no_run
    /// use hermes::{Retention, Store};
    ///
    /// let plan = Store::open("telemetry.db")?.prune_plan(&Retention::default().days(30))?;
    /// println!("{} runs with {} spans would go, about {} bytes", plan.runs, plan.spans, plan.bytes);
    /// # Ok::<(), hermes::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Where the store cannot be read.
    pub fn prune_plan(&self, retention: &Retention) -> Result<PrunePlan, Error> {
        self.prune_plan_at(retention, now_ns())
    }

    /// Takes away what is older or more than the retention says, and gives its room back to the
    /// file system.
    ///
    /// Agents do so by themselves, as their builder says. It is done in steps of a few milliseconds,
    /// between which others write; readers see each run whole or not at all in `tel_runs`.
    ///
    /// ```no_run
    /// use hermes::{Retention, Store};
    ///
    /// let pruned = Store::open("telemetry.db")?.prune(&Retention::default().days(30))?;
    /// println!("{} runs are gone, the file is {} bytes smaller", pruned.runs, pruned.bytes);
    /// # Ok::<(), hermes::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Where the store cannot be written, or others keep it busy.
    pub fn prune(&self, retention: &Retention) -> Result<Pruned, Error> {
        self.prune_at(retention, now_ns())
    }

    pub(super) fn prune_plan_at(
        &self,
        retention: &Retention,
        now_ns: i64,
    ) -> Result<PrunePlan, Error> {
        let bytes = connect::bytes(self.path());
        PrunePlan::of(self.connection(), retention, bytes, now_ns)
            .map_err(|source| failure("cannot read the store", self.path(), source))
    }

    pub(super) fn prune_at(&self, retention: &Retention, now_ns: i64) -> Result<Pruned, Error> {
        let path = self.path();
        let failed = |source| failure("cannot prune the store", path, source);
        let (mut connection, _) = connect::create(path, Opening::default())?;
        let before = connect::bytes(path);
        let mut pruner = Pruner::new(*retention);
        pruner.begin();
        let mut last_done = Instant::now();
        loop {
            let begun = Instant::now();
            match pruner.step(&mut connection, path, now_ns).map_err(failed)? {
                Step::Done => break,
                // As long as it took: whoever waits for the lock gets it meanwhile.
                Step::More => {
                    std::thread::sleep(begun.elapsed());
                    last_done = Instant::now();
                }
                Step::Kept if last_done.elapsed() > BUSY_TIMEOUT => {
                    let what = format!("the store at {} is kept busy by others", path.display());
                    return Err(Error::new(ErrorKind::Store, what));
                }
                Step::Kept => std::thread::sleep(Duration::from_millis(5)),
            }
        }
        let (runs, spans) = pruner.taken();
        let bytes = before.saturating_sub(connect::bytes(path));
        Ok(Pruned { runs, spans, bytes })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use rusqlite::Connection;

    use super::{DAY_NS, PrunePlan, Retention};
    use crate::store::sample::{SECOND, START, Sample};
    use crate::store::{RunFilter, Store, Writer, connect};

    const EVERY_TABLE: [&str; 6] = [
        "tel_runs",
        "tel_spans",
        "tel_model_calls",
        "tel_tool_calls",
        "tel_error_events",
        "tel_pruning",
    ];

    fn count(path: &std::path::Path, table: &str) -> i64 {
        Connection::open(path)
            .unwrap()
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                row.get(0)
            })
            .unwrap()
    }

    /// A run that began so many seconds after the start, with calls that have this much to say.
    fn run(writer: &mut Writer, start_s: i64, calls: i64, fails: bool, attributes: &str) -> Sample {
        let sample = Sample::new();
        let mut session = sample.session();
        session.start_ns += start_s * SECOND;
        let calls: Vec<_> = (0..calls)
            .map(|at| {
                let mut call = sample.chat(start_s + at).under(&session);
                call.extra_json = Some(attributes);
                if fails { call.failed() } else { call.ended() }
            })
            .chain([
                session.clone().ended(),
                sample.tool(start_s).under(&session).ended(),
            ])
            .map(|row| row.closed())
            .collect();
        for batch in calls.chunks(256) {
            writer.write(batch).unwrap();
        }
        sample
    }

    #[test]
    fn what_is_too_old_goes_and_failures_stay_twice_as_long() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let mut writer = Writer::open(&path, START).unwrap();
        let fine = run(&mut writer, 0, 3, false, "{}");
        run(&mut writer, 10, 2, true, "{}");
        let running = Sample::new();
        writer
            .write(&[running.session().opened(), running.chat(1).ended().closed()])
            .unwrap();
        let half_running = Sample::new();
        writer
            .write(&[
                half_running.session().ended().closed(),
                half_running.tool(1).opened(),
            ])
            .unwrap();
        run(&mut writer, 5 * 86_400, 1, false, "{}");
        let store = Store::open(&path).unwrap();
        let kept = Retention::default().days(10).max_bytes(0);
        let left = || -> Vec<_> {
            let runs = store.runs(&RunFilter::default()).unwrap();
            runs.iter().map(|run| run.run_id).collect()
        };
        let all = left();

        let now = START + 9 * DAY_NS;
        assert_eq!(
            store.prune_plan_at(&kept, now).unwrap(),
            PrunePlan::default()
        );
        assert_eq!(store.prune_at(&kept, now).unwrap().runs, 0);
        assert_eq!(left(), all);

        let now = START + 11 * DAY_NS;
        let plan = store.prune_plan_at(&kept, now).unwrap();
        assert_eq!((plan.runs, plan.spans), (1, 5));
        assert_eq!((plan.oldest_ns, plan.newest_ns), (Some(START), Some(START)));
        assert!(plan.bytes > 0);
        let pruned = store.prune_at(&kept, now).unwrap();
        assert_eq!((pruned.runs, pruned.spans), (plan.runs, plan.spans));
        assert!(!left().contains(&fine.run_id));
        assert_eq!(left().len(), all.len() - 1);
        assert!(store.spans_of_trace(fine.trace_id).unwrap().is_empty());
        assert!(store.model_calls(fine.run_id).unwrap().is_empty());

        let now = START + 21 * DAY_NS;
        assert_eq!(store.prune_plan_at(&kept, now).unwrap().runs, 2);
        assert_eq!(store.prune_at(&kept, now).unwrap().runs, 2);
        let mut expected = [running.run_id, half_running.run_id];
        expected.sort_unstable();
        let mut found = left();
        found.sort_unstable();
        assert_eq!(found, expected, "what runs stays, and nothing else");
        assert_eq!(count(&path, "tel_error_events"), 0);
        assert_eq!(
            count(&path, "tel_spans"),
            4,
            "of what stays, nothing is gone"
        );
    }

    #[test]
    fn a_store_that_is_too_large_shrinks_oldest_first_and_failures_last() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let mut writer = Writer::open(&path, START).unwrap();
        let text = format!("{{\"k\":\"{}\"}}", "x".repeat(2000));
        let failed = run(&mut writer, 0, 100, true, &text);
        let runs: Vec<_> = (1..20)
            .map(|at| run(&mut writer, at * 1000, 100, false, &text))
            .collect();
        let store = Store::open(&path).unwrap();
        let before = connect::bytes(&path);
        let most = before / 2;
        let kept = Retention::FOREVER.max_bytes(most);
        let now = START + DAY_NS;
        let plan = store.prune_plan_at(&kept, now).unwrap();
        let pruned = store.prune_at(&kept, now).unwrap();
        let after = connect::bytes(&path);
        assert!(after <= most, "{before} bytes became {after}, not {most}");
        assert!(after > most / 2, "{after} bytes are left: too much went");
        assert_eq!(pruned.bytes, before - after);
        assert!(pruned.runs.abs_diff(plan.runs) <= 2, "{plan:?} {pruned:?}");
        let left = |sample: &Sample| store.run(sample.run_id).unwrap().is_some();
        assert!(left(&failed), "what failed goes last");
        let gone = usize::try_from(pruned.runs).unwrap();
        for (at, sample) in runs.iter().enumerate() {
            assert_eq!(left(sample), at >= gone, "{at} of {gone}");
        }
        assert_eq!(
            store.prune_at(&kept, now).unwrap().runs,
            0,
            "once is enough"
        );
        let nothing = Retention::FOREVER.max_bytes(1);
        store.prune_at(&nothing, now).unwrap();
        for table in EVERY_TABLE {
            assert_eq!(count(&path, table), 0, "{table}");
        }
        let check: String = Connection::open(&path)
            .unwrap()
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(check, "ok");
        assert!(connect::bytes(&path) < before / 4);
        writer.checkpoint_and_close();
    }

    #[test]
    fn others_write_while_much_is_pruned() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let mut writer = Writer::open(&path, START).unwrap();
        run(
            &mut writer,
            0,
            20_000,
            false,
            "{\"k\":\"some text of a span\"}",
        );
        let store = Store::open(&path).unwrap();
        let is_done = AtomicBool::new(false);
        let batches = std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                let mut other = Writer::open(&path, START).unwrap();
                let mut batches = 0;
                while !is_done.load(Ordering::Acquire) {
                    let sample = Sample::new();
                    let rows: Vec<_> = (0..20).map(|at| sample.chat(at).ended().closed()).collect();
                    // Waits for half a second at most, and then fails.
                    other.write(&rows).unwrap();
                    batches += 1;
                }
                other.checkpoint_and_close();
                batches
            });
            let kept = Retention::default().days(1).max_bytes(0);
            let pruned = store.prune_at(&kept, START + 30 * DAY_NS).unwrap();
            is_done.store(true, Ordering::Release);
            assert_eq!(pruned.spans, 20_002);
            other.join().unwrap()
        });
        assert!(batches > 1, "{batches} batches were written meanwhile");
        writer.checkpoint_and_close();
    }

    #[test]
    fn what_a_dead_process_began_to_prune_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let mut writer = Writer::open(&path, START).unwrap();
        let half = run(&mut writer, 0, 5, true, "{}");
        let whole = run(&mut writer, 0, 5, false, "{}");
        Connection::open(&path)
            .unwrap()
            .execute_batch(&format!(
                "INSERT INTO tel_pruning VALUES ('{0}');
                 DELETE FROM tel_run_rows WHERE id IN
                     (SELECT id FROM tel_scopes WHERE run_id = '{0}')",
                half.run_id
            ))
            .unwrap();
        let store = Store::open(&path).unwrap();
        let pruned = store.prune_at(&Retention::FOREVER, START).unwrap();
        assert_eq!((pruned.runs, pruned.spans), (0, 7));
        assert!(store.spans_of_run(half.run_id).unwrap().is_empty());
        assert_eq!(store.spans_of_run(whole.run_id).unwrap().len(), 7);
    }

    #[test]
    fn losses_outlive_the_writers_that_counted_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let total = || Store::open(&path).unwrap().losses().unwrap();
        for count in [2, 3] {
            let mut writer = Writer::open(&path, START).unwrap();
            writer.record_losses(&[("queue_full", count)]).unwrap();
            writer.checkpoint_and_close();
            Store::open(&path)
                .unwrap()
                .prune_at(&Retention::default().days(1), START + 10 * DAY_NS)
                .unwrap();
        }
        let mut living = Writer::open(&path, START).unwrap();
        living.record_losses(&[("queue_full", 7)]).unwrap();
        Store::open(&path)
            .unwrap()
            .prune_at(&Retention::default().days(1), START + 10 * DAY_NS)
            .unwrap();
        assert_eq!(total()["queue_full"], 12);
        assert_eq!(count(&path, "tel_writers"), 1);
        assert_eq!(count(&path, "tel_losses"), 2);
        living.record_losses(&[("queue_full", 8)]).unwrap();
        assert_eq!(total()["queue_full"], 13);
    }
}
