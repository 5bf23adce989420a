//! Keeps a store under the writer thread: opens it when it can be had, and again when it was deleted,
//! moved or broken.
//!
//! The agent runs on meanwhile: what it records waits in the queue, and what has no place there is
//! counted. Nothing here is done on the agent's threads but the first try.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Backlog, Outcome, Parcel, Sink, SinkError, StoreSink};
use crate::diagnostic::Diagnostics;
use crate::error::{Error, ErrorKind};
use crate::record::{Happening, SpanId, SpanRecord, TraceId, WriterIdentity, now_ns};
use crate::store::{Lock, LostSpan, Opening, Pruner, Retention, Writer};

/// How long the agent's set-up waits for other processes at each of the few things that opening does.
const AT_SET_UP: Duration = Duration::from_millis(100);

/// How long the writer thread does.
const LATER: Duration = Duration::from_millis(500);

/// The pauses between two tries.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Running spans that are shown again in a new file; of more than these, their ends are seen.
const SHOWN_AGAIN: usize = 4096;

/// A disk that breaks so many stores in the life of one process is given no more of them.
const MOST_RESCUES: u32 = 8;

/// What store a process wants.
#[derive(Debug)]
pub(crate) struct StoreWishes {
    pub(crate) path: PathBuf,
    pub(crate) writer: WriterIdentity,
    /// The key of the redaction tokens of a store that is made.
    pub(crate) key: [u8; 16],
    pub(crate) retention: Retention,
    /// Where exporters say what became of spans.
    pub(crate) backlog: Option<Arc<Backlog>>,
}

/// The store of a process, whether it is there or not.
#[derive(Debug)]
pub(crate) struct Keeper {
    path: PathBuf,
    backlog: Option<Arc<Backlog>>,
    /// The sign of life, the same for every file that is written.
    lock: Lock,
    /// The key of this process's redaction tokens, for stores that it makes.
    key: [u8; 16],
    /// `None` while it cannot be had.
    store: Option<StoreSink>,
    /// Why there is none, and whether there ever will be.
    trouble: SinkError,
    next_try: Instant,
    pause: Duration,
    rescues: u32,
    pruner: Pruner,
    /// The running spans that were announced, for a file that does not know them.
    running: HashMap<(TraceId, SpanId), Arc<SpanRecord>>,
    /// Whether the file may lack some of them.
    is_behind: bool,
    /// Announced spans and roots whose ends were lost on the way here, to be ended in the store.
    lost: Vec<LostSpan>,
    diagnostics: Arc<Diagnostics>,
}

impl Keeper {
    /// Tries to open the store once, quickly; where that fails the writer thread goes on trying.
    ///
    /// The key is for a store that is made by this. One that is there has its own, and gives it if it
    /// can be opened now; later it is too late, for texts were redacted with ours: then the same
    /// secret has two tokens in that store, one of them for what this process wrote.
    ///
    /// # Errors
    ///
    /// Where trying again is no use: the file is another program's, or a newer version's.
    pub(crate) fn open(
        wishes: StoreWishes,
        diagnostics: Arc<Diagnostics>,
    ) -> Result<Keeper, Error> {
        let StoreWishes { path, key, .. } = wishes;
        let mut keeper = Keeper {
            lock: Lock::new(&path, wishes.writer),
            path,
            backlog: wishes.backlog,
            key,
            store: None,
            trouble: SinkError {
                retryable: true,
                message: String::new(),
            },
            next_try: Instant::now(),
            pause: FIRST_PAUSE,
            rescues: 0,
            pruner: Pruner::new(wishes.retention),
            running: HashMap::new(),
            is_behind: false,
            lost: Vec::new(),
            diagnostics,
        };
        match keeper.writer(AT_SET_UP) {
            Ok(writer) => {
                keeper.key = writer.redaction_key().unwrap_or(key);
                keeper.store = Some(StoreSink::new(writer, keeper.backlog.clone()));
            }
            Err(error) if is_for_good(&error) => return Err(error),
            Err(error) => {
                // The writer thread would tell the same under this name.
                let what = format!("{error}; spans wait for it");
                keeper.diagnostics.warn("sink-retry", &what);
                keeper.trouble.message = error.to_string();
            }
        }
        Ok(keeper)
    }

    /// The key that tokens are made with.
    pub(crate) fn redaction_key(&self) -> [u8; 16] {
        self.key
    }

    /// Whether the store is open now.
    pub(crate) fn is_open(&self) -> bool {
        self.store.is_some()
    }

    fn opening(&self, wait: Duration) -> Opening {
        Opening {
            wait,
            key: Some(self.key),
        }
    }

    fn writer(&self, wait: Duration) -> Result<Writer, Error> {
        Writer::open_as(&self.lock, &self.path, now_ns(), self.opening(wait))
    }

    /// The open store. Where there is none, it is opened if it is time to try.
    fn store(&mut self) -> Result<&mut StoreSink, SinkError> {
        self.leave_if_displaced();
        if self.store.is_none() {
            if Instant::now() < self.next_try || !self.trouble.retryable {
                return Err(self.trouble.clone());
            }
            match self.reopen() {
                Ok(writer) => {
                    self.store = Some(StoreSink::new(writer, self.backlog.clone()));
                    self.pause = FIRST_PAUSE;
                    self.is_behind = !self.running.is_empty();
                    let what = format!("spans are kept in {}", self.path.display());
                    self.diagnostics.info("store-path", &what);
                }
                Err(error) => {
                    self.trouble = SinkError {
                        retryable: !is_for_good(&error),
                        message: error.to_string(),
                    };
                    self.next_try = Instant::now() + self.pause;
                    self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
        self.store.as_mut().ok_or_else(|| self.trouble.clone())
    }

    fn reopen(&mut self) -> Result<Writer, Error> {
        match self.writer(LATER) {
            Err(error) if error.kind() == ErrorKind::StoreDamaged => {
                self.count_rescue(&error)?;
                let rescue = Writer::rescue_unopened(&self.path, self.opening(LATER), now_ns())?;
                self.tell_rescue(rescue, &error.to_string());
                self.writer(LATER)
            }
            outcome => outcome,
        }
    }

    /// Lets go of a file that is no longer the one at the path.
    fn leave_if_displaced(&mut self) {
        let Some(writer) = self.store.as_mut().and_then(StoreSink::writer) else {
            return;
        };
        let Some(why) = writer.displaced() else {
            return;
        };
        let what = format!(
            "the store at {} was deleted, moved or emptied while in use; going on in the one that \
             is there now, or a new one",
            self.path.display()
        );
        self.diagnostics.warn("store-displaced", &what);
        if let Some(writer) = self.store.take().and_then(StoreSink::into_writer) {
            writer.leave(why);
        }
        self.next_try = Instant::now();
    }

    /// Moves a store aside that turned out to be broken.
    fn rescue_if_damaged(&mut self) {
        let Some(store) = self.store.take_if(|store| store.is_damaged()) else {
            return;
        };
        self.next_try = Instant::now();
        let Some(writer) = store.into_writer() else {
            return;
        };
        let what = format!("the store at {} is damaged", self.path.display());
        let rescue = self
            .count_rescue(&Error::new(ErrorKind::StoreDamaged, what.as_str()))
            .and_then(|()| writer.rescue(self.opening(LATER), now_ns()));
        match rescue {
            Ok(rescue) => self.tell_rescue(rescue, &what),
            Err(error) => {
                let retryable = !is_for_good(&error);
                let message = error.to_string();
                self.trouble = SinkError { retryable, message };
            }
        }
    }

    fn count_rescue(&mut self, damage: &Error) -> Result<(), Error> {
        self.rescues += 1;
        if self.rescues <= MOST_RESCUES {
            return Ok(());
        }
        let what = format!("{damage}, as {MOST_RESCUES} others before it; giving up");
        Err(Error::new(ErrorKind::NotAStore, what))
    }

    fn tell_rescue(&self, rescue: Option<impl std::fmt::Display>, what: &str) {
        if let Some(rescue) = rescue {
            self.diagnostics
                .error("store-damaged", &format!("{what}; it {rescue}"));
        }
    }

    /// Takes note of what runs and what has ended.
    fn follow(&mut self, batch: &[Arc<SpanRecord>]) {
        for record in batch {
            let id = (record.trace_id, record.span_id);
            if record.withdrawn || record.end_ns.is_some() {
                if !self.running.is_empty() {
                    self.running.remove(&id);
                }
            } else if self.running.len() < SHOWN_AGAIN {
                self.running.insert(id, Arc::clone(record));
            }
        }
    }

    /// Shows what runs in a file that does not know it.
    fn catch_up(&mut self) {
        let Some(store) = self.store.as_mut().filter(|_| self.is_behind) else {
            return;
        };
        let running: Vec<_> = self.running.values().cloned().collect();
        self.is_behind = store.write(&running.into()).is_err();
    }

    /// Writes to the store; where that turns out to be broken, to the one that takes its place.
    fn put(
        &mut self,
        write: impl Fn(&mut StoreSink) -> Result<Outcome, SinkError>,
    ) -> Result<Outcome, SinkError> {
        self.store()?;
        self.catch_up();
        let written = write(self.store()?);
        if self.store.as_ref().is_some_and(StoreSink::is_damaged) {
            self.rescue_if_damaged();
            self.store()?;
            self.catch_up();
            return write(self.store()?);
        }
        written
    }
}

impl Sink for Keeper {
    fn keeps(&self) -> bool {
        true
    }

    fn write(&mut self, batch: &Parcel) -> Result<Outcome, SinkError> {
        self.follow(batch);
        let written = self.put(|store| store.write(batch));
        if written.is_err() && batch.iter().any(|record| record.end_ns.is_none()) {
            self.is_behind = true;
        }
        written
    }

    fn note(&mut self, events: &[Happening]) -> Result<Outcome, SinkError> {
        self.put(|store| store.note(events))
    }

    fn lost(&mut self, records: &[Arc<SpanRecord>]) {
        for record in records {
            let id = (record.trace_id, record.span_id);
            let was_announced = self.running.remove(&id).is_some();
            if (was_announced || record.run.is_root) && self.lost.len() < SHOWN_AGAIN {
                self.lost.push(LostSpan {
                    trace_id: record.trace_id,
                    span_id: record.span_id,
                    end_ns: record.end_ns.unwrap_or(record.start_ns),
                    root_of: record.run.is_root.then_some(record.run.run_id),
                });
            }
        }
    }

    fn tick(&mut self, now_ns: i64, losses: &[(&'static str, u64)]) {
        if self.store().is_err() {
            return;
        }
        self.catch_up();
        if let Some(store) = &mut self.store {
            store.tick(now_ns, losses);
            if !self.lost.is_empty() && store.mark_lost(&self.lost) {
                self.lost.clear();
            }
            store.prune(&mut self.pruner, now_ns);
        }
        self.rescue_if_damaged();
    }

    fn close(&mut self) {
        if let Some(mut store) = self.store.take() {
            store.close();
        }
    }
}

/// Whether trying again is no use.
fn is_for_good(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::StoreTooNew | ErrorKind::NotAStore | ErrorKind::Forked
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::{Keeper, StoreWishes};
    use crate::diagnostic::{Diagnostics, Verbosity};
    use crate::error::ErrorKind;
    use crate::record::WriterIdentity;
    use crate::sink::Sink;
    use crate::store::{Retention, Store};

    fn keeper(path: &Path, key: u8) -> Keeper {
        let quiet = Arc::new(Diagnostics::open(Verbosity::Off, None));
        let writer = WriterIdentity::of_this_process(1);
        let wishes = StoreWishes {
            path: path.to_owned(),
            writer,
            key: [key; 16],
            retention: Retention::FOREVER,
            backlog: None,
        };
        Keeper::open(wishes, quiet).unwrap()
    }

    #[test]
    fn a_store_that_is_made_late_gets_the_key_that_texts_were_redacted_with() {
        let folder = tempfile::tempdir().unwrap();
        let in_the_way = folder.path().join("t");
        std::fs::write(&in_the_way, "").unwrap();
        let path = in_the_way.join("telemetry.db");
        let mut late = keeper(&path, 1);
        assert!(!late.is_open());
        assert!(late.write(&Vec::new().into()).unwrap_err().retryable);
        std::fs::remove_file(&in_the_way).unwrap();
        while !late.is_open() {
            late.tick(1, &[]);
        }
        assert_eq!(late.redaction_key(), [1; 16]);
        let mut next = keeper(&path, 2);
        assert_eq!(
            next.redaction_key(),
            [1; 16],
            "the store has its key by now"
        );
        // The file is deleted: the next one has the same key.
        std::fs::remove_dir_all(&in_the_way).unwrap();
        late.tick(2, &[]);
        assert_eq!(keeper(&path, 3).redaction_key(), [1; 16]);
        late.close();
        next.close();
    }

    #[test]
    fn a_file_that_is_no_store_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let mut keeper = keeper(&path, 1);
        let foreign = folder.path().join("notes.db");
        rusqlite::Connection::open(&foreign)
            .unwrap()
            .execute_batch("CREATE TABLE notes (id)")
            .unwrap();
        let before = std::fs::read(&foreign).unwrap();
        std::fs::rename(&foreign, &path).unwrap();
        let error = keeper.write(&Vec::new().into()).unwrap_err();
        assert!(!error.retryable && error.message.contains("is not a hermes store"));
        assert!(
            !keeper.write(&Vec::new().into()).unwrap_err().retryable,
            "now or later"
        );
        assert!(std::fs::read(&path).unwrap() == before, "it was left alone");
        assert_eq!(Store::open(&path).unwrap_err().kind(), ErrorKind::NotAStore);
    }
}
