//! The store out of its event log, row for row.

use std::path::Path;
use std::sync::Arc;

use crate::error::{Error, ErrorKind};
use crate::record::SpanRecord;
use crate::sink::{LogReader, Preparer, rows};
use crate::store::{Rebuild, Store};
use crate::wire::line::{Line, Unreadable};

/// Lines of one batch are taken together up to this: more than any writer puts into one.
const BATCH: usize = 1024;

/// What [`Store::rebuild`] made of an event log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rebuilt {
    /// Lines in the log.
    pub lines: u64,
    /// Spans in the store.
    pub spans: u64,
    /// Lines that could not be read, or not be stored: cut off, damaged, or of a later version.
    pub skipped: u64,
    /// Spans and events whose lines could not be written when they ended, as the log's writers say.
    pub missing: u64,
}

impl Store {
    /// Makes the store anew from its event log: the file at `log`, and the files it was before it was
    /// rotated. The new store is at `into`, where none may be; it is put there when it is whole.
    ///
    /// It has the rows that the store had beside which the log was written, with these differences:
    /// it has a redaction key of its own (the log does not hold the key), so secrets that are
    /// redacted into it later get other tokens; what was still waiting to be exported is not sent
    /// again; what the store's retention had deleted is there, as far as the log is. Spans that had
    /// not ended are `interrupted` at the last sign of life of their process, even if it runs still.
    /// Where several processes wrote at once, the surrogate `id`s follow the order of the log.
    ///
    /// ```
    /// # fn main() -> Result<(), hermes::Error> {
    /// # use tracing_subscriber::layer::SubscriberExt;
    /// # let folder = std::env::temp_dir().join(format!("hermes-rebuild-{}", std::process::id()));
    /// let (store, log) = (folder.join("agent.db"), folder.join("events.jsonl"));
    /// let (layer, telemetry) = hermes::builder().store_path(&store).event_log(&log).build()?;
    /// tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
    ///     let _session = tracing::info_span!("hermes.session", hermes.session.id = "s1").entered();
    /// });
    /// telemetry.shutdown(std::time::Duration::from_secs(5))?;
    ///
    /// std::fs::remove_file(&store).ok(); // what a bad day may bring
    /// let rebuilt = hermes::Store::rebuild(&log, &store)?;
    /// assert_eq!((rebuilt.spans, rebuilt.skipped), (1, 0));
    /// # std::fs::remove_dir_all(folder).ok();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) where there is no log,
    /// [`InvalidInput`](ErrorKind::InvalidInput) where the file is no event log or where something is
    /// at `into`, [`StoreTooNew`](ErrorKind::StoreTooNew) where a newer version of Hermes wrote the
    /// log, and [`Store`](ErrorKind::Store) where the log cannot be read or the store not be written.
    pub fn rebuild(log: impl AsRef<Path>, into: impl AsRef<Path>) -> Result<Rebuilt, Error> {
        let log = log.as_ref();
        let mut lines = LogReader::open(log).map_err(|error| unreadable(log, error))?;
        let mut replay = Replay {
            store: Rebuild::begin(into.as_ref())?,
            batch: Batch::default(),
            preparer: Preparer::default(),
            rebuilt: Rebuilt::default(),
        };
        while let Some(line) = lines.next().map_err(|error| unreadable(log, error))? {
            replay.rebuilt.lines += 1;
            match Line::read(line.bytes) {
                Ok(line) => replay.line(line)?,
                Err(Unreadable::Newer) if line.is_first => return Err(newer(log)),
                Err(Unreadable::Newer | Unreadable::Damaged) => replay.rebuilt.skipped += 1,
            }
        }
        if replay.rebuilt.lines == replay.rebuilt.skipped {
            let what = format!("{} is not an event log", log.display());
            return Err(Error::new(ErrorKind::InvalidInput, what));
        }
        replay.finish()
    }
}

/// Lines on their way into a store.
struct Replay {
    store: Rebuild,
    batch: Batch,
    preparer: Preparer,
    rebuilt: Rebuilt,
}

/// The lines of what was one transaction, as far as they were read.
#[derive(Default)]
struct Batch {
    writer: String,
    number: u64,
    records: Vec<Arc<SpanRecord>>,
}

impl Replay {
    fn line(&mut self, line: Line<'static>) -> Result<(), Error> {
        if let Line::Span {
            writer,
            batch,
            record,
        } = line
        {
            let is_same = self.batch.writer == writer && self.batch.number == batch;
            if !is_same || self.batch.records.len() >= BATCH {
                self.write_batch()?;
                self.batch.writer = writer.into_owned();
                self.batch.number = batch;
            }
            self.batch.records.push(Arc::new(record.into_owned()));
            return Ok(());
        }
        self.write_batch()?;
        match line {
            Line::Log { .. } | Line::Span { .. } => Ok(()),
            Line::Writer(identity) => self.store.writer(&identity),
            Line::Event { writer, event } => {
                let refused = self.store.event(&writer, event.as_ref())?;
                self.rebuilt.skipped += u64::from(refused);
                Ok(())
            }
            Line::Seen { writer, at_ns } => self.store.seen(&writer, at_ns),
            Line::Losses { writer, losses } => {
                let losses: Vec<_> = losses
                    .iter()
                    .map(|(reason, count)| (reason.as_ref(), *count))
                    .collect();
                self.store.losses(&writer, &losses)
            }
            Line::Missing { spans, .. } => {
                self.rebuilt.missing += spans;
                Ok(())
            }
            Line::Closed { writer } => self.store.close(&writer),
        }
    }

    /// Writes the same rows together as their writer did: its sums are then the same to the last bit.
    fn write_batch(&mut self) -> Result<(), Error> {
        if self.batch.records.is_empty() {
            return Ok(());
        }
        let prepared = self.preparer.prepare(&self.batch.records);
        let rows = rows(&self.batch.records, &prepared);
        self.rebuilt.skipped += self.store.batch(&self.batch.writer, &rows)?;
        drop(rows);
        self.preparer.reuse(prepared);
        self.batch.records.clear();
        Ok(())
    }

    fn finish(mut self) -> Result<Rebuilt, Error> {
        self.write_batch()?;
        let spans = self.store.finish()?;
        Ok(Rebuilt {
            spans,
            ..self.rebuilt
        })
    }
}

fn unreadable(log: &Path, error: std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::NotFound {
        let what = format!("there is no event log at {}", log.display());
        return Error::new(ErrorKind::NotFound, what);
    }
    let what = format!("cannot read the event log at {}", log.display());
    Error::with_source(ErrorKind::Store, what, error)
}

fn newer(log: &Path) -> Error {
    let what = format!(
        "the event log at {} was written by a newer version of hermes: update hermes",
        log.display()
    );
    Error::new(ErrorKind::StoreTooNew, what)
}
