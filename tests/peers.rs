//! What was measured to go wrong elsewhere goes right here; each test bears the name of the measurement.
//!
//! Of faults in the event log there is more in `tests/event_log`, where the others of these names are.

#![expect(clippy::print_stderr, reason = "a process tells its parent")]
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use hermes::{ErrorKind, RunFilter, Status, Store, Telemetry};
use rusqlite::Connection;
use tempfile::TempDir;
use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt;

/// How a process ends; set for processes that the tests start.
const ENDS: &str = "HERMES_TEST_PEERS_ENDS";
const STORE: &str = "HERMES_TEST_PEERS_STORE";
/// Longer than anything takes; who waits so long has failed.
const SOON: Duration = Duration::from_secs(60);

#[hermes::session(id = id)]
fn session(id: &str) {
    turn(id);
}

#[hermes::turn]
fn turn(id: &str) {
    chat(id);
    tool(id);
}

#[hermes::chat(model = id, provider = "p")]
fn chat(id: &str) {
    let usage = hermes::Usage {
        input_tokens: 10,
        output_tokens: 1,
        ..Default::default()
    };
    hermes::current().usage(usage);
}

#[hermes::tool(name = id)]
fn tool(id: &str) {
    let _ = id;
}

/// Hermes with a store of its own.
struct Bench {
    telemetry: Telemetry,
    dispatch: Dispatch,
    folder: TempDir,
}

impl Bench {
    fn with(set_up: impl FnOnce(hermes::Builder) -> hermes::Builder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let builder = hermes::builder().store_path(folder.path().join("telemetry.db"));
        let (layer, telemetry) = set_up(builder).build().unwrap();
        Bench {
            telemetry,
            dispatch: Dispatch::new(tracing_subscriber::registry().with(layer)),
            folder,
        }
    }

    fn run<T>(&self, code: impl FnOnce() -> T) -> T {
        tracing::dispatcher::with_default(&self.dispatch, code)
    }

    fn connection(&self) -> Connection {
        Connection::open(self.folder.path().join("telemetry.db")).unwrap()
    }

    fn rows(&self) -> i64 {
        rows(&self.folder.path().join("telemetry.db"))
    }
}

fn rows(store: &Path) -> i64 {
    let connection = Connection::open(store).unwrap();
    let sql = "SELECT count(*) FROM tel_spans WHERE status = 'ok'";
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

// ------------------------------------------------------------------------- how a process may end

static KEPT_FOR_EVER: Mutex<Option<Telemetry>> = Mutex::new(None);

/// A process that ends in some way right after its last span. By itself it does nothing.
#[test]
fn process() {
    let Ok(ends) = std::env::var(ENDS) else {
        return;
    };
    let store = std::env::var_os(STORE).unwrap();
    let telemetry = hermes::builder().store_path(store).init().unwrap();
    let count = if ends.starts_with("many") { 1_000 } else { 1 };
    for _ in 0..count {
        session("s");
    }
    match ends.as_str() {
        "returns" => {}
        "panics" => panic!("as it should"),
        "exits" | "many, exits" => std::process::exit(0),
        "leaks" => std::mem::forget(telemetry),
        "is static" => *KEPT_FOR_EVER.lock().unwrap() = Some(telemetry),
        "hangs" => {
            let _open = tracing::info_span!("hermes.session", hermes.session.id = "open").entered();
            turn("s");
            telemetry.flush(SOON).unwrap();
            eprintln!("flushed");
            std::thread::sleep(SOON);
        }
        _ => panic!("{ends}"),
    }
}

fn start(ends: &str, store: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process", "--nocapture"])
        .env_clear()
        .env(ENDS, ends)
        .env(STORE, store)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

#[test]
fn exit_loses_events() {
    // Measured: 6 events, then the process ends: 0 rows in 10 of 10 processes.
    for (ends, expected) in [
        ("returns", 4),
        ("panics", 4),
        #[cfg(unix)]
        ("exits", 4),
        #[cfg(unix)]
        ("leaks", 4),
        #[cfg(unix)]
        ("is static", 4),
        #[cfg(unix)]
        ("many, exits", 4_000),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("telemetry.db");
        let output = start(ends, &store).wait_with_output().unwrap();
        assert_eq!(output.status.success(), ends != "panics", "{output:?}");
        assert_eq!(rows(&store), expected, "a process that {ends}");
    }
}

#[test]
fn close_loses_events() {
    // Measured: `close()` leaves 4,744 of 5,000 queued, and says that none was dropped.
    let bench = Bench::with(|builder| builder);
    bench.run(|| (0..1_250).for_each(|_| session("s")));
    bench.telemetry.shutdown(SOON).unwrap();
    let stats = bench.telemetry.stats();
    assert_eq!((stats.captured, stats.written), (5_000, 5_000));
    assert_eq!(bench.rows(), 5_000);
}

#[test]
fn crash_hides_run() {
    // Measured: the row of a run is written at its end only, so a crash hides what is there of it.
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("telemetry.db");
    let mut child = start("hangs", &store);
    let said = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(said.map(Result::unwrap).any(|line| line == "flushed"));
    let look = || {
        let runs = Store::open(&store).unwrap().runs(&RunFilter::default());
        let mut runs = runs.unwrap();
        assert_eq!(runs.len(), 2);
        runs.remove(0)
    };
    let run = look();
    assert_eq!((run.status, run.model_call_count), (Status::Running, 1));
    child.kill().unwrap();
    child.wait().unwrap();
    let run = look();
    assert_eq!((run.status, run.model_call_count), (Status::Interrupted, 1));
    assert_eq!((run.tool_call_count, run.input_tokens), (1, 10));
    assert!(run.end_ns.is_some());
}

#[test]
fn runs_mixed_up() {
    // Measured: a session whose start was missed borrows the id of another run, and erases that.
    let bench = Bench::with(|builder| builder);
    bench.run(|| {
        let one = tracing::info_span!("hermes.session", hermes.session.id = "one");
        let two = tracing::info_span!("hermes.session", hermes.session.id = "two");
        for _ in 0..3 {
            one.in_scope(|| turn("one"));
            two.in_scope(|| turn("two"));
            // A turn whose session nobody has opened.
            turn("none");
        }
        // The same session goes on later: another run.
        drop((one, two));
        session("one");
    });
    bench.telemetry.flush(SOON).unwrap();
    let store = bench.telemetry.store().unwrap();
    let mut seen = Vec::new();
    for run in store.runs(&RunFilter::default()).unwrap() {
        let calls = store.model_calls(run.run_id).unwrap();
        assert_eq!(usize::try_from(run.model_call_count).unwrap(), calls.len());
        let owner = run.session_id.unwrap_or_else(|| "none".to_owned());
        for call in &calls {
            assert_eq!(call.model.as_deref(), Some(owner.as_str()));
        }
        seen.push((owner, calls.len()));
    }
    seen.sort();
    let expected = [
        ("none", 1),
        ("none", 1),
        ("none", 1),
        ("one", 1),
        ("one", 3),
        ("two", 3),
    ];
    let expected = expected.map(|(owner, calls)| (owner.to_owned(), calls));
    assert_eq!(seen, expected);
}

#[test]
fn drops_invisible() {
    // Measured: 49,744 dropped; no overview has such a field, and nothing is kept of it.
    let bench = Bench::with(|builder| builder.queue_capacity(1));
    bench.run(|| (0..500).for_each(|_| session("s")));
    let error = bench.telemetry.flush(SOON).unwrap_err();
    let stats = bench.telemetry.stats();
    let lost = stats.dropped["queue_full"];
    assert_eq!(stats.captured, 2_000);
    assert_eq!(stats.written + lost, 2_000);
    assert_eq!(error.kind(), ErrorKind::Lost);
    assert!(error.to_string().contains(&lost.to_string()), "{error}");
    assert!(error.to_string().contains("queue_full"), "{error}");
    let stored = bench.telemetry.store().unwrap().losses().unwrap();
    assert_eq!(stored["queue_full"], lost);
    // And when the process is gone.
    let path = bench.folder.path().join("telemetry.db");
    drop(bench.telemetry);
    let stored = Store::open(path).unwrap().losses().unwrap();
    assert_eq!(stored["queue_full"], lost);
}

#[test]
fn since_ignored() {
    // Measured: data of 400 days ago, a window of one day: no runs, but their calls and errors.
    const DAY_NS: i64 = 86_400_000_000_000;
    let bench = Bench::with(|builder| builder);
    bench.run(|| session("old"));
    bench.telemetry.flush(SOON).unwrap();
    let connection = bench.connection();
    for table in ["tel_run_rows", "tel_span_rows"] {
        let sql = format!("UPDATE {table} SET start_ns = start_ns - ?1, end_ns = end_ns - ?1");
        connection.execute(&sql, [400 * DAY_NS]).unwrap();
    }
    bench.run(|| session("new"));
    bench.telemetry.flush(SOON).unwrap();

    let store = bench.telemetry.store().unwrap();
    let runs = store.runs(&RunFilter::default()).unwrap();
    assert_eq!(runs.len(), 2);
    let since = RunFilter::since(runs[0].start_ns - DAY_NS);
    let windowed = store.runs(&since).unwrap();
    assert_eq!(windowed.len(), 1);
    assert_eq!(windowed[0].session_id.as_deref(), Some("new"));
    // What hangs on a run is asked for by the run, so no window can let it slip through.
    let run = windowed[0].run_id;
    let calls = store.model_calls(run).unwrap();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].model.as_deref(), Some("new"));
    assert_eq!(store.tool_calls(run).unwrap().len(), 1);
    assert_eq!(store.error_events(run).unwrap().len(), 0);
    let spans = store.spans_of_run(run).unwrap();
    assert!(spans.iter().all(|span| span.start_ns >= runs[0].start_ns));
}

#[test]
fn bad_event() {
    // Measured: one value that JSON cannot hold takes the rest of its batch with it.
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("events.jsonl");
    let bench = Bench::with(|builder| {
        builder
            .event_log(&log)
            .capture_content(hermes::ContentCapture::Local)
    });
    let huge = "é".repeat(500_000);
    bench.run(|| {
        let session = tracing::info_span!("hermes.session", hermes.session.id = "bad \0 id");
        let _entered = session.enter();
        for value in [
            f64::NAN,
            f64::INFINITY,
            f64::NEG_INFINITY,
            -0.0,
            f64::MIN_POSITIVE,
        ] {
            tool("before");
            let bad = tracing::info_span!("hermes.tool", gen_ai.tool.name = "bad", value);
            bad.in_scope(|| {
                hermes::current().record("also", value).cost_usd(value);
            });
        }
        for text in [
            "\0",
            "a\0b",
            "\\ud800",
            "\"\\",
            "\u{2028}\u{feff}",
            "'; DROP TABLE",
            &huge,
        ] {
            let bad = tracing::info_span!("hermes.tool", gen_ai.tool.name = text, text);
            bad.in_scope(|| {
                hermes::current().record(text.to_owned(), text.to_owned());
            });
            tool("after");
        }
        let bad = tracing::info_span!("hermes.chat", gen_ai.usage.input_tokens = i64::MAX);
        bad.in_scope(|| {
            hermes::current().record("", i64::MIN);
        });
        chat("m");
    });
    bench.telemetry.flush(SOON).unwrap();
    let stats = bench.telemetry.stats();
    assert_eq!((stats.captured, stats.written), (27, 27), "{stats:?}");
    assert_eq!(stats.event_log_dropped, 0);
    assert_eq!(bench.rows(), 27);
    let store = bench.telemetry.store().unwrap();
    let runs = store.runs(&RunFilter::default()).unwrap();
    assert_eq!(runs.len(), 1);
    let tools = store.tool_calls(runs[0].run_id).unwrap();
    let named = |name| {
        tools
            .iter()
            .filter(|tool| tool.tool_name.as_deref() == Some(name))
            .count()
    };
    assert_eq!((named("before"), named("after"), named("bad")), (5, 7, 5));
    // Each is one line of the log, which can be read back.
    let text = std::fs::read_to_string(&log).unwrap();
    for line in text.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    let rebuilt = Store::rebuild(&log, folder.path().join("rebuilt.db")).unwrap();
    assert_eq!(
        (rebuilt.spans, rebuilt.skipped, rebuilt.missing),
        (27, 0, 0)
    );
}
