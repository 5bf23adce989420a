//! The event log: every record as a JSON line, enough to make the store anew.
//!
//! What goes wrong here is this sink's own: lines that cannot be written wait, and those that cannot
//! wait any longer are counted. The store and the agent never hear of it.

mod file;
#[cfg(feature = "sqlite")]
mod reader;
mod rotation;

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::io::{Error, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use file::LogFile;
#[cfg(feature = "sqlite")]
pub(crate) use reader::LogReader;
pub(crate) use rotation::LogLimits;

use super::{Outcome, Parcel, Sink, SinkError};
use crate::record::{Happening, SpanId, SpanRecord, TraceId, WriterIdentity, now_ns};
use crate::wire::line::Line;

/// How often a writer with open spans says that it is alive: as often as the store is told.
const HEARTBEAT_NS: i64 = 5_000_000_000;
/// Lines that wait for a log that cannot be written take up to this.
const MAX_WAITING: usize = 16 * 1024 * 1024;
/// The buffer gives back what a burst took beyond this.
const BUFFER: usize = 1024 * 1024;
/// How long a batch waits for other processes.
const PATIENCE: Duration = Duration::from_millis(250);
/// How long a log that failed is left alone, so that its trouble holds up nothing else.
const RETRY: Duration = Duration::from_millis(200);

/// Hears what became of the event log.
pub(crate) trait LogCounter: Send {
    /// Ended spans that are not in the log, and will not be.
    fn lost(&self, spans: u64);

    /// The log cannot be written now.
    fn trouble(&self, message: &str);
}

/// Writes records to the event log.
pub(crate) struct EventLogSink {
    file: LogFile,
    writer: WriterIdentity,
    /// Says who writes, once in every file.
    introduction: Vec<u8>,
    /// Whether there is no store, so that what is in the log counts as written.
    keeps: bool,
    counter: Box<dyn LogCounter>,
    /// Whole lines that are not in the file yet.
    waiting: Vec<u8>,
    /// Ended spans and events among them.
    waiting_spans: u64,
    /// Lost since the log was last told.
    missing: u64,
    retry_at: Option<Instant>,
    batches: u64,
    /// Spans that were announced and have not ended.
    open: HashSet<(TraceId, SpanId)>,
    beaten_ns: i64,
    /// The losses as the log knows them.
    losses: Vec<(&'static str, u64)>,
}

impl EventLogSink {
    /// Opens the log and says who writes. A log that cannot be written is tried again later.
    pub(crate) fn open(
        path: PathBuf,
        limits: LogLimits,
        writer: WriterIdentity,
        keeps: bool,
        counter: Box<dyn LogCounter>,
    ) -> Self {
        let mut introduction = Vec::new();
        // A line of texts and numbers can always be written.
        let _ = Line::Writer(Cow::Borrowed(&writer)).put(&mut introduction);
        let mut sink = EventLogSink {
            file: LogFile::new(path, limits),
            writer,
            introduction,
            keeps,
            counter,
            waiting: Vec::new(),
            waiting_spans: 0,
            missing: 0,
            retry_at: None,
            batches: 0,
            open: HashSet::new(),
            beaten_ns: 0,
            losses: Vec::new(),
        };
        let now_ns = sink.writer.started_ns;
        sink.file.prune(now_ns);
        let _ = sink.append(now_ns, PATIENCE);
        sink
    }

    /// Appends what waits. After a failure the log is left alone for a moment.
    fn send(&mut self, patience: Duration) -> Result<(), Error> {
        if self.waiting.is_empty() && self.missing == 0 {
            return Ok(());
        }
        if self.retry_at.is_some_and(|at| Instant::now() < at) {
            return Err(Error::new(ErrorKind::WouldBlock, "it was just tried"));
        }
        // A log in trouble is not waited for: others' batches come first.
        let patience = match self.retry_at {
            Some(_) if !self.keeps => Duration::ZERO,
            _ => patience,
        };
        let waiting = self.waiting.len();
        if self.missing > 0 {
            self.put(&Line::Missing {
                writer: Cow::Owned(self.writer.id.clone()),
                spans: self.missing,
            });
        }
        let sent = self.append(now_ns(), patience);
        match sent {
            Ok(()) => {
                self.waiting.clear();
                self.waiting.shrink_to(BUFFER);
                self.waiting_spans = 0;
                self.missing = 0;
            }
            Err(_) => self.waiting.truncate(waiting),
        }
        sent
    }

    fn append(&mut self, now_ns: i64, patience: Duration) -> Result<(), Error> {
        let sent = self
            .file
            .append(&self.waiting, &self.introduction, now_ns, patience);
        self.retry_at = None;
        if let Err(error) = &sent {
            self.retry_at = Some(Instant::now() + RETRY);
            let path = self.file.path().display();
            self.counter.trouble(&format!(
                "cannot write the event log at {path}: {error}; trying again"
            ));
        }
        sent
    }

    fn put(&mut self, line: &Line<'_>) -> bool {
        line.put(&mut self.waiting).is_ok()
    }

    /// Adds a batch to what waits; returns its ended spans and how many of its records are no line.
    fn put_batch(&mut self, batch: &[Arc<SpanRecord>]) -> (u64, u64) {
        self.batches += 1;
        let (mut ended, mut refused) = (0, 0);
        for record in batch {
            let span = (record.trace_id, record.span_id);
            if record.withdrawn || record.end_ns.is_some() {
                self.open.remove(&span);
            } else {
                self.open.insert(span);
            }
            let line = Line::Span {
                writer: Cow::Borrowed(&self.writer.id),
                batch: self.batches,
                record: Cow::Borrowed(record),
            };
            let is_counted = record.end_ns.is_some() && !record.withdrawn;
            match line.put(&mut self.waiting) {
                Ok(()) => ended += u64::from(is_counted),
                Err(_) => refused += u64::from(is_counted),
            }
        }
        (ended, refused)
    }

    fn lose(&mut self, spans: u64) {
        self.missing += spans;
        self.counter.lost(spans);
    }
}

impl Sink for EventLogSink {
    fn keeps(&self) -> bool {
        self.keeps
    }

    fn write(&mut self, batch: &Parcel) -> Result<Outcome, SinkError> {
        let (before, spans_before) = (self.waiting.len(), self.waiting_spans);
        let (ended, refused) = self.put_batch(batch);
        self.waiting_spans += ended;
        let sent = self.send(PATIENCE);
        if self.keeps {
            // The pipeline tries again, and counts: what is given back must not wait here as well.
            if let Err(error) = sent {
                self.waiting.truncate(before);
                self.waiting_spans = spans_before;
                return Err(SinkError {
                    retryable: is_passing(&error),
                    message: error.to_string(),
                });
            }
            return Ok(Outcome { refused });
        }
        if refused > 0 {
            self.lose(refused);
        }
        if sent.is_err() && self.waiting.len() > MAX_WAITING {
            self.waiting.truncate(before);
            self.waiting_spans = spans_before;
            self.lose(ended);
        }
        Ok(Outcome::default())
    }

    fn note(&mut self, events: &[Happening]) -> Result<Outcome, SinkError> {
        let writer = self.writer.id.clone();
        let (before, spans_before) = (self.waiting.len(), self.waiting_spans);
        for event in events {
            self.put(&Line::Event {
                writer: Cow::Borrowed(&writer),
                event: Cow::Borrowed(event),
            });
        }
        // One that is lost is missed as a span is.
        self.waiting_spans += events.len() as u64;
        let Err(error) = self.send(PATIENCE) else {
            return Ok(Outcome::default());
        };
        let is_too_much = self.waiting.len() > MAX_WAITING;
        if self.keeps || is_too_much {
            self.waiting.truncate(before);
            self.waiting_spans = spans_before;
        }
        if is_too_much && !self.keeps {
            self.lose(events.len() as u64);
        }
        if self.keeps {
            // The pipeline tries again, and counts.
            return Err(SinkError {
                retryable: is_passing(&error),
                message: error.to_string(),
            });
        }
        Ok(Outcome::default())
    }

    fn tick(&mut self, now_ns: i64, losses: &[(&'static str, u64)]) {
        let writer = self.writer.id.clone();
        if now_ns.saturating_sub(self.beaten_ns) >= HEARTBEAT_NS {
            self.beaten_ns = now_ns;
            // Without open spans nobody asks when the writer was last seen.
            if !self.open.is_empty() && self.waiting.len() <= MAX_WAITING {
                self.put(&Line::Seen {
                    writer: Cow::Borrowed(&writer),
                    at_ns: now_ns,
                });
            }
        }
        let is_news = losses.iter().any(|loss| loss.1 > 0) && losses != self.losses;
        if is_news {
            losses.clone_into(&mut self.losses);
            let known = losses
                .iter()
                .map(|(reason, count)| (Cow::Borrowed(*reason), *count));
            self.put(&Line::Losses {
                writer: Cow::Borrowed(&writer),
                losses: known.collect(),
            });
        }
        // What fails here is tried again by the next batch or tick.
        let _ = self.send(PATIENCE);
    }

    fn close(&mut self) {
        let writer = self.writer.id.clone();
        self.put(&Line::Closed {
            writer: Cow::Owned(writer),
        });
        self.retry_at = None;
        if self.send(2 * PATIENCE).is_err() && self.waiting_spans > 0 {
            self.lose(self.waiting_spans);
        }
    }
}

/// Whether the same lines may be taken later.
fn is_passing(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock
            | ErrorKind::StorageFull
            | ErrorKind::QuotaExceeded
            | ErrorKind::Interrupted
    )
}

impl fmt::Debug for EventLogSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLogSink")
            .field("file", &self.file)
            .field("writer", &self.writer)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{EventLogSink, LogCounter, LogLimits};
    use crate::record::{
        Facts, Happening, RunId, RunRecord, SpanId, SpanRecord, Status, TraceId, What,
        WriterIdentity,
    };
    use crate::semconv::Kind;
    use crate::sink::Sink;

    const START: i64 = 1_700_000_000_000_000_000;

    #[derive(Clone, Default)]
    struct Count(Arc<AtomicU64>);

    impl LogCounter for Count {
        fn lost(&self, spans: u64) {
            self.0.fetch_add(spans, Ordering::Relaxed);
        }

        fn trouble(&self, _message: &str) {}
    }

    fn sink(path: &Path, keeps: bool) -> (EventLogSink, Count) {
        let (writer, count) = (WriterIdentity::of_this_process(START), Count::default());
        let counter = Box::new(count.clone());
        let limits = LogLimits::default();
        let sink = EventLogSink::open(path.to_owned(), limits, writer, keeps, counter);
        (sink, count)
    }

    fn span(end_ns: Option<i64>) -> Arc<SpanRecord> {
        Arc::new(SpanRecord {
            is_sampled: false,
            trace_id: TraceId::from_bytes([1; 16]).unwrap(),
            span_id: SpanId::from_bytes([2; 8]).unwrap(),
            parent_span_id: None,
            wire_parent_span_id: None,
            remote_parent_span_id: None,
            run: RunRecord {
                run_id: RunId::from_bytes([3; 16]).unwrap(),
                is_root: true,
            },
            kind: Kind::Session,
            given_name: None,
            start_ns: START,
            end_ns,
            status: Status::Ok,
            failure: None,
            facts: Facts::default(),
            extra: Vec::new(),
            events: Vec::new(),
            links: Vec::new(),
            retries: None,
            withdrawn: false,
        })
    }

    fn words(path: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(path).unwrap();
        let word = |line: &str| line.split('"').nth(5).unwrap_or_default().to_owned();
        text.lines().map(word).collect()
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn without_a_store_what_the_log_cannot_take_is_given_back() {
        let (mut log, count) = sink(Path::new("/dev/full"), true);
        assert!(log.keeps());
        let error = log.write(&vec![span(Some(START + 1))].into()).unwrap_err();
        assert!(error.retryable, "{error:?}");
        assert!(log.waiting.is_empty(), "the pipeline has it still");
        log.close();
        assert_eq!(count.0.load(Ordering::Relaxed), 0, "the pipeline counts it");

        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let (mut log, _) = sink(&file.join("events.jsonl"), true);
        log.retry_at = None;
        let error = log.write(&vec![span(Some(START + 1))].into()).unwrap_err();
        assert!(!error.retryable, "{error:?}");
    }

    #[test]
    fn a_writer_with_open_spans_says_that_it_is_alive_and_another_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let (mut log, _) = sink(&path, false);
        let second = 1_000_000_000;
        log.tick(START, &[]);
        log.write(&vec![span(None)].into()).unwrap();
        log.tick(START + second, &[]);
        log.tick(START + 6 * second, &[("queue_full", 2)]);
        log.tick(START + 7 * second, &[("queue_full", 2)]);
        log.write(&vec![span(Some(START + 8 * second))].into())
            .unwrap();
        log.tick(START + 20 * second, &[("queue_full", 3)]);
        log.close();
        assert_eq!(
            words(&path),
            [
                "log", "writer", "started", "seen", "losses", "ended", "losses", "closed"
            ]
        );
    }

    #[test]
    fn an_event_that_cannot_be_written_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let kind = "thumbs_up".to_owned();
        let event = Happening {
            ts_ns: START,
            run_id: None,
            what: What::Feedback { kind },
        };
        let (mut log, count) = sink(&file.join("events.jsonl"), false);
        log.note(&[event.clone(), event.clone()]).unwrap();
        log.close();
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        let (mut log, count) = sink(&file.join("events.jsonl"), true);
        log.note(&[event]).unwrap_err();
        log.close();
        assert_eq!(count.0.load(Ordering::Relaxed), 0, "the pipeline counts it");
    }

    #[test]
    fn what_waits_at_the_end_is_lost_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        let (mut log, count) = sink(&file.join("events.jsonl"), false);
        log.write(&vec![span(None), span(Some(START + 1))].into())
            .unwrap();
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        log.close();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }
}
