//! Killed at any moment, a process loses nothing that a flush had covered, and leaves a sound store.
//!
//! Children run an agent's load and are killed with SIGKILL at random times, 200 of them. A longer run:
//! `HERMES_CRASH_KILLS=5000 cargo test --test crash`. What failed is run again with the seed that it
//! told: `HERMES_CRASH_SEED=…` (the times of the kills are then the same, the scheduling is not).

#![expect(clippy::print_stderr, reason = "what a long run does is told")]
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]

use std::cell::RefCell;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use hermes::{Status, Store, Telemetry};
use rusqlite::{Connection, OpenFlags, Row, params};
use tempfile::TempDir;
use tracing_subscriber::layer::SubscriberExt;

/// Where a child writes; set for children alone.
const STORE: &str = "HERMES_TEST_CRASH_STORE";
/// Where a child says what its flushes covered.
const COVERED: &str = "HERMES_TEST_CRASH_COVERED";
/// What a child does at random.
const CHILD_SEED: &str = "HERMES_TEST_CRASH_CHILD_SEED";
/// A child with so short a queue that it loses spans.
const LOSES: &str = "HERMES_TEST_CRASH_LOSES";

/// Longer than anything takes; a test that reaches it has failed.
const SOON: Duration = Duration::from_secs(60);

/// Numbers by chance, the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }
}

fn number_of(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

// ------------------------------------------------------------------------------------------ the child

thread_local! {
    /// The spans that this thread has opened since it last asked.
    static OPENED: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Notes the span that the code runs in.
fn note() {
    let current = hermes::current();
    let (trace, span) = (current.trace_id().unwrap(), current.span_id().unwrap());
    OPENED.with_borrow_mut(|opened| opened.push(format!("{trace}:{span}")));
}

#[hermes::session(id = id, platform = "cli")]
fn session(id: &str, chance: &mut Chance, pace: Duration) {
    note();
    for _ in 0..=chance.below(3) {
        turn(chance, pace);
    }
}

#[hermes::turn(user_message = "what is there?")]
fn turn(chance: &mut Chance, pace: Duration) {
    note();
    for number in 0..=chance.below(3) {
        let _ = chat(number, pace);
        let _ = tool(chance.one_in(4), pace);
    }
    if chance.one_in(8) {
        // Longer than it takes to be shown as running: these are written twice.
        let _ = chat(9, Duration::from_millis(350));
    }
}

#[hermes::chat(model = "m", provider = "p")]
fn chat(number: u64, pace: Duration) -> Result<(), String> {
    note();
    hermes::current().usage(hermes::Usage {
        input_tokens: 100,
        output_tokens: 10,
        ..Default::default()
    });
    thread::sleep(pace);
    if number == 2 {
        return Err("429 too many requests".to_owned());
    }
    Ok(())
}

#[hermes::tool(name = "look")]
fn tool(has_failed: bool, pace: Duration) -> Result<(), String> {
    note();
    thread::sleep(pace);
    if has_failed {
        return Err("no such file".to_owned());
    }
    Ok(())
}

/// What a child process does until it is killed. By itself it does nothing.
#[test]
fn child() {
    let Some(store) = std::env::var_os(STORE) else {
        return;
    };
    let covered = std::env::var_os(COVERED).unwrap();
    let mut covered = OpenOptions::new().append(true).open(covered).unwrap();
    let seed = number_of(CHILD_SEED).unwrap();
    let loses = std::env::var_os(LOSES).is_some();
    let mut builder = hermes::builder().store_path(store);
    if loses {
        builder = builder.queue_capacity(8);
    }
    let telemetry = builder.init().unwrap();
    let ended = Mutex::new(Vec::new());
    let over = Instant::now() + SOON;
    thread::scope(|scope| {
        for number in 0..3 {
            let ended = &ended;
            scope.spawn(move || {
                let mut chance = Chance(seed + number);
                let pace = Duration::from_millis(u64::from(!loses));
                while Instant::now() < over {
                    session(&format!("{seed}-{number}"), &mut chance, pace);
                    let spans = OPENED.take();
                    ended.lock().unwrap().extend(spans);
                }
            });
        }
        scope.spawn(|| session("long", &mut Chance(1), SOON));
        while Instant::now() < over {
            tell_after_a_flush(&telemetry, &ended, &mut covered);
        }
    });
}

/// Flushes, and writes down what that covered.
fn tell_after_a_flush(telemetry: &Telemetry, ended: &Mutex<Vec<String>>, covered: &mut File) {
    let spans = std::mem::take(&mut *ended.lock().unwrap());
    let before = telemetry.stats();
    let lost: u64 = before.dropped.values().sum();
    let is_complete = telemetry.flush(SOON).is_ok();
    let mut lines = format!("counts {} {lost}\n", before.written + before.in_flight);
    if is_complete {
        for span in &spans {
            lines.push_str("span ");
            lines.push_str(span);
            lines.push('\n');
        }
    }
    covered.write_all(lines.as_bytes()).unwrap();
}

// ----------------------------------------------------------------------------------------- the parent

/// A folder with a store that children write.
struct Place {
    folder: TempDir,
    started: u64,
}

/// A child that runs.
struct Running {
    child: Child,
    said: PathBuf,
    loses: bool,
}

/// What a child said before it was killed.
#[derive(Default)]
struct Said {
    spans: Vec<(String, String)>,
    /// How many spans were written or lost at least.
    settled: i64,
    lost: i64,
}

impl Place {
    fn new() -> Self {
        Place {
            folder: tempfile::tempdir().unwrap(),
            started: 0,
        }
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("t/telemetry.db")
    }

    fn start_child(&mut self, chance: &mut Chance) -> Running {
        self.started += 1;
        let said = self.folder.path().join(format!("said-{}", self.started));
        File::create(&said).unwrap();
        let loses = chance.one_in(5);
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "child", "--nocapture"])
            .env_clear()
            .env(STORE, self.store())
            .env(COVERED, &said)
            .env(CHILD_SEED, (chance.below(1 << 40)).to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if loses {
            command.env(LOSES, "1");
        }
        Running {
            child: command.spawn().unwrap(),
            said,
            loses,
        }
    }

    /// The store as another program would read it; `None` where no child came so far as to make it.
    fn read(&self) -> Option<Connection> {
        let path = self.store();
        if !path.exists() {
            return None;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let connection = Connection::open_with_flags(path, flags).unwrap();
        connection.busy_timeout(SOON).unwrap();
        assert_eq!(text(&connection, "PRAGMA integrity_check"), "ok");
        let tables = "SELECT count(*) FROM sqlite_master WHERE name = 'tel_spans'";
        (count(&connection, tables, []) == 1).then_some(connection)
    }

    /// Opens the store as the next process to write it does, and writes to it.
    fn write(&self) {
        let (layer, telemetry) = hermes::builder().store_path(self.store()).build().unwrap();
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            session("after", &mut Chance(7), Duration::ZERO);
        });
        OPENED.take();
        telemetry.shutdown(SOON).unwrap();
        assert_eq!(telemetry.stats().captured, telemetry.stats().written);
    }
}

impl Running {
    fn pid(&self) -> u32 {
        self.child.id()
    }

    fn kill(&mut self) -> Said {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let text = fs::read_to_string(&self.said).unwrap();
        fs::remove_file(&self.said).unwrap();
        let mut said = Said::default();
        // It may have been killed in the middle of a line.
        for line in text.split_inclusive('\n') {
            let Some(line) = line.strip_suffix('\n') else {
                continue;
            };
            let words: Vec<_> = line.split(' ').collect();
            match words[..] {
                ["span", ids] => {
                    let (trace, span) = ids.split_once(':').unwrap();
                    said.spans.push((trace.to_owned(), span.to_owned()));
                }
                ["counts", settled, lost] => {
                    said.settled = settled.parse().unwrap();
                    said.lost = lost.parse().unwrap();
                }
                _ => panic!("{line}"),
            }
        }
        said
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn text(connection: &Connection, sql: &str) -> String {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

fn count(connection: &Connection, sql: &str, params: impl rusqlite::Params) -> i64 {
    connection.query_row(sql, params, |row| row.get(0)).unwrap()
}

/// The number of the last writer that had this pid.
fn writer_of(connection: &Connection, pid: u32) -> Option<String> {
    let sql = "SELECT writer_id FROM tel_writers WHERE pid = ?1 ORDER BY id DESC LIMIT 1";
    let found: Result<String, _> = connection.query_row(sql, [pid], |row| row.get(0));
    found.ok()
}

/// What was covered is there, once, and nothing is there twice.
fn check_what_is_kept(connection: &Connection, pid: u32, said: &Said) {
    let sql = "SELECT count(*) FROM tel_spans WHERE trace_id = ?1 AND span_id = ?2
        AND end_ns IS NOT NULL AND status IN ('ok', 'error')";
    let mut once = connection.prepare(sql).unwrap();
    for (trace, span) in &said.spans {
        let rows: i64 = once.query_row([trace, span], |row| row.get(0)).unwrap();
        assert_eq!(rows, 1, "{trace}:{span} was covered by a flush");
    }
    let Some(writer) = writer_of(connection, pid) else {
        assert_eq!((said.spans.len(), said.settled), (0, 0));
        return;
    };
    let twice = "SELECT count(*) FROM (SELECT 1 FROM tel_spans WHERE writer_id = ?1
        GROUP BY trace_id, span_id HAVING count(*) > 1)";
    assert_eq!(count(connection, twice, [&writer]), 0, "stored twice");
    // Both counts were taken before the flush, which covered them.
    let rows = "SELECT count(*) FROM tel_spans WHERE writer_id = ?1 AND status IN ('ok', 'error')";
    let lost = "SELECT coalesce(sum(count), 0) FROM tel_losses WHERE writer_id = ?1";
    let (rows, lost) = (
        count(connection, rows, [&writer]),
        count(connection, lost, [&writer]),
    );
    assert!(lost >= said.lost, "{lost} losses of {}", said.lost);
    assert!(
        rows + lost >= said.settled + said.lost,
        "{rows} + {lost} of {} + {}",
        said.settled,
        said.lost
    );
}

/// What a dead writer left open is marked, and its runs count what they hold.
fn check_what_was_open(connection: &Connection, pid: u32) {
    let Some(writer) = writer_of(connection, pid) else {
        return;
    };
    let open = "SELECT count(*) FROM tel_spans WHERE writer_id = ?1
        AND (end_ns IS NULL OR status = 'running' OR end_ns < start_ns)";
    assert_eq!(count(connection, open, [&writer]), 0, "still open");
    let alive = "SELECT count(*) FROM tel_writers WHERE writer_id = ?1 AND closed_ns IS NULL";
    assert_eq!(count(connection, alive, [&writer]), 0, "taken for alive");
    let running = "SELECT count(*) FROM tel_runs WHERE (end_ns IS NULL OR status = 'running')
        AND run_id IN (SELECT run_id FROM tel_spans WHERE writer_id = ?1)";
    assert_eq!(count(connection, running, [&writer]), 0, "runs still open");
    let miscounted = "
        SELECT run_id, model_call_count, tool_call_count, turn_count, error_count, input_tokens,
            (SELECT count(*) FROM tel_model_calls AS call WHERE call.run_id = run.run_id),
            (SELECT count(*) FROM tel_tool_calls AS call WHERE call.run_id = run.run_id),
            (SELECT count(*) FROM tel_spans AS span
                WHERE span.run_id = run.run_id AND span_name = 'hermes.turn'),
            (SELECT count(*) FROM tel_error_events AS error WHERE error.run_id = run.run_id),
            (SELECT coalesce(sum(input_tokens), 0) FROM tel_model_calls AS call
                WHERE call.run_id = run.run_id)
        FROM tel_runs AS run
        WHERE run_id IN (SELECT run_id FROM tel_spans WHERE writer_id = ?1)";
    let mut runs = connection.prepare(miscounted).unwrap();
    let counts = |row: &Row<'_>, first: usize| -> Vec<i64> {
        (first..first + 5)
            .map(|column| row.get(column).unwrap())
            .collect()
    };
    let mut rows = runs.query([&writer]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let run_id: String = row.get(0).unwrap();
        assert_eq!(counts(row, 1), counts(row, 6), "run {run_id}");
    }
}

/// A process that lives is left alone by those who mark what the dead left open.
fn check_that_it_lives(connection: &Connection, running: &Running) {
    let Some(writer) = writer_of(connection, running.pid()) else {
        return;
    };
    let marked = "SELECT count(*) FROM tel_spans WHERE writer_id = ?1 AND status = 'interrupted'";
    // One that loses the end of a span which it has shown as running marks that by itself.
    if !running.loses {
        assert_eq!(count(connection, marked, [&writer]), 0, "it runs");
    }
    let closed = "SELECT count(*) FROM tel_writers WHERE writer_id = ?1 AND closed_ns IS NOT NULL";
    assert_eq!(count(connection, closed, [&writer]), 0, "it is not closed");
}

/// Nothing in the whole store is there twice, and nobody's lock is left.
fn check_at_last(place: &Place) {
    let connection = place.read().unwrap();
    let twice = "SELECT count(*) FROM (SELECT 1 FROM tel_spans
        GROUP BY trace_id, span_id HAVING count(*) > 1)";
    assert_eq!(count(&connection, twice, []), 0);
    let open = "SELECT count(*) FROM tel_spans WHERE end_ns IS NULL";
    assert_eq!(count(&connection, open, []), 0);
    let interrupted = "SELECT count(*) FROM tel_spans WHERE status = 'interrupted'";
    let lost = "SELECT coalesce(sum(count), 0) FROM tel_losses WHERE reason = ?1";
    eprintln!(
        "{} spans, {} interrupted, {} counted as lost",
        count(&connection, "SELECT count(*) FROM tel_spans", []),
        count(&connection, interrupted, []),
        count(&connection, lost, params!["queue_full"]),
    );
    let store = Store::open(place.store()).unwrap();
    for run in store.runs(&hermes::RunFilter::default()).unwrap() {
        assert_ne!(run.status, Status::Running);
    }
    // Those of processes that died before they had an entry are removed once they are old.
    let mut locks = place.store().into_os_string();
    locks.push("-writers");
    for lock in fs::read_dir(&locks).unwrap() {
        let lock = File::options()
            .write(true)
            .open(lock.unwrap().path())
            .unwrap();
        lock.set_modified(SystemTime::now() - Duration::from_secs(86_400))
            .unwrap();
    }
    place.write();
    assert_eq!(
        fs::read_dir(&locks).unwrap().count(),
        0,
        "locks of the dead"
    );
}

/// How long a child lives: most die young, some after their long spans were shown.
fn life(chance: &mut Chance) -> Duration {
    let millis = if chance.one_in(4) {
        450 + chance.below(450)
    } else {
        chance.below(200)
    };
    Duration::from_millis(millis)
}

/// Half of the kills for each of the two tests, and the seed, told.
fn wishes() -> (u64, Chance) {
    let kills = number_of("HERMES_CRASH_KILLS").unwrap_or(200);
    let seed = number_of("HERMES_CRASH_SEED").unwrap_or_else(|| {
        let now = SystemTime::now();
        let now = now.duration_since(std::time::UNIX_EPOCH).unwrap();
        u64::from(now.subsec_nanos()) + now.as_secs()
    });
    eprintln!("HERMES_CRASH_SEED={seed}");
    (kills.div_ceil(2), Chance(seed))
}

#[test]
fn a_process_killed_alone_leaves_a_sound_store_with_all_that_was_flushed() {
    let (kills, mut chance) = wishes();
    let mut place = Place::new();
    let mut covered = 0;
    for kill in 0..kills {
        let mut running = place.start_child(&mut chance);
        thread::sleep(life(&mut chance));
        let said = running.kill();
        let what = format!("kill {kill}, loses: {}", running.loses);
        eprintln!("{what}: {} covered", said.spans.len());
        covered += said.spans.len();
        // Nobody has the store open now: who comes first finds the log as the dead one left it.
        match place.read() {
            Some(connection) => check_what_is_kept(&connection, running.pid(), &said),
            None => assert_eq!(said.spans.len(), 0),
        }
        place.write();
        check_what_was_open(&place.read().unwrap(), running.pid());
    }
    assert!(covered > 0);
    check_at_last(&place);
}

#[test]
fn a_process_killed_beside_others_costs_them_nothing() {
    let (kills, mut chance) = wishes();
    let mut place = Place::new();
    let mut covered = 0;
    let mut children = [
        place.start_child(&mut chance),
        place.start_child(&mut chance),
    ];
    for kill in 0..kills {
        thread::sleep(life(&mut chance));
        let victim = usize::from(chance.one_in(2));
        let said = children[victim].kill();
        let (dead, alive) = (children[victim].pid(), &children[1 - victim]);
        eprintln!("kill {kill}: {} covered", said.spans.len());
        covered += said.spans.len();
        if let Some(connection) = place.read() {
            check_what_is_kept(&connection, dead, &said);
        }
        place.write();
        let connection = place.read().unwrap();
        check_what_was_open(&connection, dead);
        check_that_it_lives(&connection, alive);
        children[victim] = place.start_child(&mut chance);
    }
    assert!(covered > 0);
    drop(children);
    place.write();
    check_at_last(&place);
}
