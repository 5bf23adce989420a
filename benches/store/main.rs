//! How fast spans reach the store, beside what `SQLite` could do, and what they take there.
//!
//! `cargo bench --bench store` (two minutes), and with `-- --grow` (3 million rows), `-- --soak`
//! (10 million spans), `-- --rows N` another number of spans for the run chosen; `-- --content` what
//! recorded conversations take with content on.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that cannot measure has failed"
)]

mod agent;
mod ceiling;
mod conversation;
mod cpu;

use std::path::Path;
use std::time::{Duration, Instant};

use agent::Mix;
use ceiling::{Ids, Rows};
use hermes::{Builder, Telemetry};
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

/// The names of Hermes's own threads.
const READER: &str = "hermes-reader";
const WRITER: &str = "hermes-writer";

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
    } else if has("--content") {
        conversation::print();
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
        Self::set_up(|builder| match capacity {
            Some(capacity) => builder.queue_capacity(capacity),
            None => builder,
        })
    }

    fn set_up(set_up: impl FnOnce(Builder) -> Builder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let builder = hermes::builder().store_path(folder.path().join("store.db"));
        let (layer, telemetry) = set_up(builder).build().unwrap();
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
    let (mut writer_us, mut alone_us, mut ceiling_us) = (Vec::new(), Vec::new(), Vec::new());
    let mut reader_us = Vec::new();
    for _ in 0..ROUNDS {
        let hermes = Hermes::new();
        whole.push(hermes.record(Mix::Sessions, spans));
        writer_us.extend(cpu::of_thread(WRITER).map(|used| micros(used, spans)));
        reader_us.extend(cpu::of_thread(READER).map(|used| micros(used, spans)));
        let folder = hermes.close();
        let rows = Rows::of(&folder.path().join("store.db"));
        let before = cpu::of_this_thread();
        ceiling.push(rows.insert(&folder.path().join("ceiling.db")));
        let used = cpu::of_this_thread().and_then(|after| after.checked_sub(before?));
        ceiling_us.extend(used.map(|used| micros(used, spans)));
        let (rate, used) = drained(spans);
        writer.push(rate);
        alone_us.extend(used);
    }
    let (whole, writer, ceiling) = (Median::of(whole), Median::of(writer), Median::of(ceiling));
    println!("\n{spans} spans, {ROUNDS} rounds, median [lowest - highest], spans per second");
    println!("  capture to commit, producer beside       {whole:9.0}");
    println!("  writer alone, queue to commit            {writer:9.0}");
    println!("  raw rusqlite, same rows and indexes      {ceiling:9.0}");
    println!(
        "  capture to commit / raw                  {:.2}",
        whole.middle / ceiling.middle
    );
    println!(
        "  writer alone / raw                       {:.2}",
        writer.middle / ceiling.middle
    );
    if !writer_us.is_empty() && !ceiling_us.is_empty() {
        let (beside, alone) = (Median::of(writer_us), Median::of(alone_us));
        let (reader, ceiling) = (Median::of(reader_us), Median::of(ceiling_us));
        println!("  processor time, microseconds per span, whatever else the machine does:");
        println!("    writer thread, producer beside         {beside:9.2}");
        println!("    reader thread, producer beside         {reader:9.2}");
        println!("    writer thread alone                    {alone:9.2}");
        println!("    raw rusqlite                           {ceiling:9.2}");
        println!(
            "    raw / writer alone                     {:.2}",
            ceiling.middle / alone.middle
        );
    }
    for (system, events) in PYTHON {
        println!("  against {system:45} {:.1} x", whole.middle / events);
    }
}

/// Spans per second that the writer takes out of a full queue while nothing is put in.
fn drained(spans: u64) -> (f64, Option<f64>) {
    let hermes = Hermes::with_queue(Some(usize::try_from(spans).unwrap() + 64));
    tracing::dispatcher::with_default(&hermes.dispatch, || {
        agent::record_at_once(Mix::Sessions, spans)
    });
    let before = cpu::of_thread(WRITER);
    let started = Instant::now();
    let waiting = hermes.telemetry.stats().in_flight;
    hermes.telemetry.flush(SOON).unwrap();
    let rate = rate(waiting, started.elapsed());
    let used = cpu::of_thread(WRITER).and_then(|after| after.checked_sub(before?));
    hermes.close();
    (rate, used.map(|used| micros(used, waiting)))
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
    println!("\n{spans} spans end to end: for each {PART}, spans per second and microseconds of");
    println!("processor time that the writer thread spent on one");
    let mut before = Duration::ZERO;
    let rates = (0..parts).map(|_| {
        let rate = hermes.record(Mix::Sessions, PART);
        let after = cpu::of_thread(WRITER).unwrap_or_default();
        let used = after.saturating_sub(std::mem::replace(&mut before, after));
        (rate, micros(used, PART))
    });
    show_growth(rates);
    let folder = hermes.close();
    let store = folder.path().join("store.db");
    println!("  {} bytes per span", bytes_per_span(&store));

    let sample = Hermes::new();
    sample.record(Mix::Sessions, 50_000);
    let sample = sample.close();
    let rows = Rows::of(&sample.path().join("store.db"));
    for ids in [Ids::Ordered, Ids::Random] {
        println!("\n{spans} rows by plain rusqlite, ids: {ids:?}");
        let mut growing = rows.grow(&folder.path().join(format!("{ids:?}.db")), ids);
        show_growth((0..parts).map(|_| {
            let before = cpu::of_this_thread().unwrap_or_default();
            let rate = growing.by(usize::try_from(PART).unwrap());
            let after = cpu::of_this_thread().unwrap_or_default();
            (rate, micros(after.saturating_sub(before), PART))
        }));
    }
}

fn show_growth(parts: impl Iterator<Item = (f64, f64)>) {
    let parts: Vec<_> = parts
        .inspect(|(rate, used)| println!("  {rate:9.0} {used:9.2}"))
        .collect();
    let (first, last) = (parts[0], parts[parts.len() - 1]);
    println!(
        "  last / first: {:.2} by the clock, {:.2} by processor time",
        last.0 / first.0,
        first.1 / last.1
    );
}

/// Memory over a long run at full speed.
fn soak(spans: u64) {
    let hermes = Hermes::new();
    // After this the queue and the page cache have been full once, and the log has its size.
    hermes.record(Mix::Sessions, PART);
    let start = kib_of("VmRSS:");
    println!("\nresident after the first {PART} spans: {start} KiB");
    let mut left = spans;
    while left > 0 {
        let part = left.min(PART);
        let rate = hermes.record(Mix::Sessions, part);
        left -= part;
        let now = kib_of("VmRSS:");
        println!(
            "  {:>9} spans, {rate:7.0}/s, resident {now} KiB",
            spans - left
        );
    }
    let grown = f64::from(kib_of("VmHWM:").saturating_sub(start)) / 1024.0;
    println!("the most that was ever resident is {grown:.1} MiB above that, over {spans} spans");
    hermes.close();
}

fn rate(spans: u64, time: Duration) -> f64 {
    f64::from(u32::try_from(spans).unwrap()) / time.as_secs_f64()
}

fn micros(time: Duration, spans: u64) -> f64 {
    time.as_secs_f64() * 1e6 / f64::from(u32::try_from(spans).unwrap())
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

/// A line of what Linux says of this process's memory.
fn kib_of(name: &str) -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The middle of some figures, and how far they lie apart.
struct Median {
    middle: f64,
    lowest: f64,
    highest: f64,
}

impl Median {
    fn of(mut figures: Vec<f64>) -> Self {
        figures.sort_by(f64::total_cmp);
        Median {
            middle: figures[figures.len() / 2],
            lowest: figures[0],
            highest: figures[figures.len() - 1],
        }
    }
}

impl std::fmt::Display for Median {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = f.precision().unwrap_or(0);
        let Median {
            middle,
            lowest,
            highest,
        } = self;
        write!(
            f,
            "{middle:9.digits$} [{lowest:.digits$} - {highest:.digits$}]"
        )
    }
}
