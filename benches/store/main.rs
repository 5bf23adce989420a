//! How fast spans reach the store, beside what `SQLite` could do, and what they take there.
//!
//! `cargo bench --bench store` (two minutes), and with `-- --grow` (3 million rows), `-- --soak`
//! (10 million spans), `-- --rows N` another number of spans for the run chosen.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot measure has failed"
)]

mod agent;
mod ceiling;

use std::path::Path;
use std::time::{Duration, Instant};

use agent::Mix;
use ceiling::{Ids, Rows};
use hermes::Telemetry;
use tempfile::TempDir;
use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt;

/// The Python systems' figures, `measured-peers.md` section 2: sustained events of the one on ext4 and on
/// tmpfs, and spans of the other's hooks and SDK alone, nothing stored.
const PYTHON: [(&str, f64); 3] = [
    ("Nous telemetry, SQLite + JSONL, ext4", 6_184.0),
    ("Nous telemetry, SQLite + JSONL, tmpfs", 28_926.0),
    ("hermes-plugin-otel-tracing, no-op exporters", 17_836.0),
];

const ROUNDS: usize = 7;
const SPANS: u64 = 150_000;
const PART: u64 = 500_000;
const GROWN: u64 = 3_000_000;
const SOAK: u64 = 10_000_000;
/// Longer than any flush takes.
const SOON: Duration = Duration::from_secs(120);

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    let rows = arguments
        .iter()
        .position(|argument| argument == "--rows")
        .and_then(|at| arguments.get(at + 1)?.parse().ok());
    println!(
        "cores {}, folder {}",
        std::thread::available_parallelism().unwrap(),
        std::env::temp_dir().display()
    );
    if has("--grow") {
        grow(rows.unwrap_or(GROWN));
    } else if has("--soak") {
        soak(rows.unwrap_or(SOAK));
    } else {
        compare(rows.unwrap_or(SPANS));
        sizes();
    }
}

/// Hermes with a store of its own.
struct Hermes {
    telemetry: Telemetry,
    dispatch: Dispatch,
    folder: TempDir,
}

impl Hermes {
    fn new() -> Self {
        Self::with_queue(None)
    }

    fn with_queue(capacity: Option<usize>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut builder = hermes::builder().store_path(folder.path().join("store.db"));
        if let Some(capacity) = capacity {
            builder = builder.queue_capacity(capacity);
        }
        let (layer, telemetry) = builder.build().unwrap();
        Hermes {
            telemetry,
            dispatch: Dispatch::new(tracing_subscriber::registry().with(layer)),
            folder,
        }
    }

    /// Records so many spans of a kind and waits until they are committed; returns spans per second.
    fn record(&self, mix: Mix, spans: u64) -> f64 {
        let started = Instant::now();
        let recorded = tracing::dispatcher::with_default(&self.dispatch, || {
            agent::record(&self.telemetry, mix, spans)
        });
        self.telemetry.flush(SOON).unwrap();
        rate(recorded, started.elapsed())
    }

    /// Ends it; what is left is the store.
    fn close(self) -> TempDir {
        self.telemetry.shutdown(SOON).unwrap();
        let stats = self.telemetry.stats();
        assert!(stats.dropped.is_empty(), "{stats:?}");
        assert_eq!(stats.written, stats.captured);
        self.folder
    }
}

/// End to end, the writer alone, and the ceiling, round by round in turns.
fn compare(spans: u64) {
    let (mut whole, mut writer, mut ceiling) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let hermes = Hermes::new();
        whole.push(hermes.record(Mix::Sessions, spans));
        let folder = hermes.close();
        let rows = Rows::of(&folder.path().join("store.db"));
        ceiling.push(rows.insert(&folder.path().join("ceiling.db")));
        writer.push(drained(spans));
    }
    let (whole, writer, ceiling) = (Median::of(whole), Median::of(writer), Median::of(ceiling));
    println!("\n{spans} spans, {ROUNDS} rounds, median [lowest - highest], spans per second");
    println!("  capture to commit, producer beside       {whole}");
    println!("  writer alone, queue to commit            {writer}");
    println!("  raw rusqlite, same rows and indexes      {ceiling}");
    println!(
        "  capture to commit / raw                  {:.2}",
        whole.median / ceiling.median
    );
    println!(
        "  writer alone / raw                       {:.2}",
        writer.median / ceiling.median
    );
    for (system, events) in PYTHON {
        println!("  against {system:45} {:.1} x", whole.median / events);
    }
}

/// Spans per second that the writer takes out of a full queue while nothing is put in.
fn drained(spans: u64) -> f64 {
    let hermes = Hermes::with_queue(Some(usize::try_from(spans).unwrap() + 64));
    tracing::dispatcher::with_default(&hermes.dispatch, || {
        agent::record_at_once(Mix::Sessions, spans)
    });
    let started = Instant::now();
    let waiting = hermes.telemetry.stats().in_flight;
    hermes.telemetry.flush(SOON).unwrap();
    let rate = rate(waiting, started.elapsed());
    hermes.close();
    rate
}

/// What a span takes in the file.
fn sizes() {
    println!("\nbytes per span, indexes and all else of the file included");
    for (mix, what) in [
        (
            Mix::Sessions,
            "sessions: 1 session, 2 turns, 6 chats of 18 fields, 6 tools",
        ),
        (Mix::Chats, "chats of 12 fields, 100 in a session"),
        (Mix::LoneChats, "chats of 12 fields, each a run of its own"),
    ] {
        let hermes = Hermes::new();
        hermes.record(mix, 60_000);
        let folder = hermes.close();
        println!(
            "  {:>4}  {what}",
            bytes_per_span(&folder.path().join("store.db"))
        );
    }
}

/// Half a million spans after another.
fn grow(spans: u64) {
    let hermes = Hermes::new();
    let parts = (spans / PART).max(1);
    println!("\n{spans} spans end to end, spans per second for each {PART}");
    let rates: Vec<_> = (0..parts)
        .map(|_| hermes.record(Mix::Sessions, PART))
        .inspect(|rate| println!("  {rate:9.0}"))
        .collect();
    let folder = hermes.close();
    let store = folder.path().join("store.db");
    println!("  last / first {:.2}", rates[rates.len() - 1] / rates[0]);
    println!("  {} bytes per span", bytes_per_span(&store));

    let sample = Hermes::new();
    sample.record(Mix::Sessions, 50_000);
    let sample = sample.close();
    let rows = Rows::of(&sample.path().join("store.db"));
    for ids in [Ids::Ordered, Ids::Random] {
        println!("\n{spans} rows by plain rusqlite, ids: {ids:?}");
        let path = folder.path().join(format!("{ids:?}.db"));
        let parts = usize::try_from(parts).unwrap();
        let rates = rows.grow(&path, parts, usize::try_from(PART).unwrap(), ids);
        for rate in &rates {
            println!("  {rate:9.0}");
        }
        println!("  last / first {:.2}", rates[rates.len() - 1] / rates[0]);
    }
}

/// Memory over a long run at full speed.
fn soak(spans: u64) {
    let hermes = Hermes::new();
    // The queue has been full, the page cache is full, the log has its size.
    hermes.record(Mix::Sessions, PART);
    let start = resident_kib();
    println!("\nresident after the first {PART} spans: {start} KiB");
    let mut most = start;
    let mut left = spans;
    while left > 0 {
        let part = left.min(PART);
        let rate = hermes.record(Mix::Sessions, part);
        left -= part;
        let now = resident_kib();
        most = most.max(now);
        println!(
            "  {:>9} spans, {rate:7.0}/s, resident {now} KiB",
            spans - left
        );
    }
    println!(
        "resident grew by {:.1} MiB over {spans} spans",
        f64::from(most - start) / 1024.0
    );
    hermes.close();
}

fn rate(spans: u64, time: Duration) -> f64 {
    f64::from(u32::try_from(spans).unwrap()) / time.as_secs_f64()
}

fn bytes_per_span(store: &Path) -> i64 {
    let connection = rusqlite::Connection::open(store).unwrap();
    let spans: i64 = connection
        .query_row("SELECT count(*) FROM tel_spans", [], |row| row.get(0))
        .unwrap();
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    connection.query_row(checkpoint, [], |_| Ok(())).unwrap();
    i64::try_from(std::fs::metadata(store).unwrap().len()).unwrap() / spans
}

fn resident_kib() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The middle of some figures, and how far they lie apart.
struct Median {
    median: f64,
    lowest: f64,
    highest: f64,
}

impl Median {
    fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        Median {
            median: figures[figures.len() / 2],
            lowest: figures[0],
            highest: figures[figures.len() - 1],
        }
    }
}

impl std::fmt::Display for Median {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Median {
            median,
            lowest,
            highest,
        } = self;
        write!(f, "{median:9.0} [{lowest:.0} - {highest:.0}]")
    }
}
