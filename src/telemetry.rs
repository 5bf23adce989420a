//! The guard: flush, stats, the store to read, and a bounded shutdown.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::assembly::{Export, Logs};
use crate::at_exit;
use crate::capture::Waiting;
use crate::error::{Error, ErrorKind};
use crate::pipeline::{Health, Queue, Stats};
use crate::privacy::Privacy;
use crate::record::TraceId;
use crate::sink::Recent;
#[cfg(feature = "sqlite")]
use crate::store::Store;
use crate::wire::RecentTrace;

/// How long dropping the guard may take.
const DROP_TIMEOUT: Duration = Duration::from_secs(5);

/// The part of a shutdown's time that is left to closing the store when a collector takes all it gets.
const CLOSING: u32 = 8;

/// The longest wait that is honoured: a `Duration::MAX` has no deadline that a clock could show.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Keeps telemetry running; hold it for as long as the program runs.
///
/// Dropping it does what [`Telemetry::shutdown`] does, with five seconds to do it in. Bound to `_`
/// it would be dropped at once: give it a name.
///
/// A program that ends without dropping it (it is in a static, or `std::process::exit` is called) has what
/// ended until then written all the same, on Unix, where the thread that built Hermes ends the program.
/// Where another thread does, what ended in the last 20 milliseconds may be lost.
#[must_use = "telemetry ends when this is dropped: bind it to a name that lives as long as the program"]
pub struct Telemetry {
    running: Option<Parts>,
    store_path: Option<PathBuf>,
    /// In a place of its own, for guards are moved about.
    privacy: Box<Privacy>,
}

/// What runs behind the guard.
pub(crate) struct Parts {
    pub(crate) queue: Arc<Queue<Waiting>>,
    pub(crate) health: Arc<Health>,
    pub(crate) writer: Mutex<Option<JoinHandle<()>>>,
    pub(crate) export: Export,
    pub(crate) logs: Logs,
    pub(crate) recent: Option<Arc<Recent>>,
}

impl Telemetry {
    pub(crate) fn new(parts: Parts, store_path: Option<PathBuf>, privacy: Privacy) -> Self {
        at_exit::write(&parts.queue, DROP_TIMEOUT);
        Telemetry {
            running: Some(parts),
            store_path,
            privacy: Box::new(privacy),
        }
    }

    /// Telemetry that is switched off.
    pub(crate) fn off(privacy: Privacy) -> Self {
        Telemetry {
            running: None,
            store_path: None,
            privacy: Box::new(privacy),
        }
    }

    /// Waits until every span that has ended is committed to the store, and gives the exporters what
    /// is left of the time to send what they hold.
    ///
    /// `Ok` means: committed. A collector that cannot be reached is no error of the agent's: what it
    /// did not get is told on stderr, counted in [`Stats::export_pending`], and sent from the store
    /// when the collector is back, which is not waited for. Spans still open are not waited for.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Timeout`] if it was not done in time; [`ErrorKind::Lost`] if spans were lost to
    /// the store, ever and not just since the last flush; [`ErrorKind::Forked`], at once, in a process
    /// that was forked after Hermes was built.
    pub fn flush(&self, timeout: Duration) -> Result<(), Error> {
        let Some(parts) = &self.running else {
            return Ok(());
        };
        parts.is_at_home()?;
        let timeout = timeout.min(LONGEST);
        let deadline = Instant::now() + timeout;
        let left = || deadline.saturating_duration_since(Instant::now());
        // They are under way while the spans are.
        parts.logs.nudge();
        if !parts.queue.flush(timeout) {
            return Err(not_in_time(timeout));
        }
        // Not the agent's trouble: told and counted where it happens.
        let _ = parts.export.flush(left());
        let _ = parts.logs.flush(left());
        parts.nothing_lost()
    }

    /// Ends telemetry: flushes, then stops the exporters and the writer. Spans that end later are
    /// counted as `after_shutdown`. What a collector has not taken by then is sent by the next process
    /// that exports from the same store. A second call does nothing.
    ///
    /// # Errors
    ///
    /// As [`Telemetry::flush`].
    pub fn shutdown(&self, timeout: Duration) -> Result<(), Error> {
        let Some(parts) = &self.running else {
            return Ok(());
        };
        parts.is_at_home()?;
        let Some(writer) = parts
            .writer
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
        else {
            return Ok(());
        };
        let timeout = timeout.min(LONGEST);
        let deadline = Instant::now() + timeout;
        let left = || deadline.saturating_duration_since(Instant::now());
        parts.queue.seal();
        parts.logs.nudge();
        // The store comes first. It closes last: what the exporters do not get rid of is left there.
        let is_written = parts.queue.flush(left());
        // Of what was written a log record may have been made; they leave while the spans do.
        parts.logs.start_closing();
        let _ = parts
            .export
            .shutdown(left().saturating_sub(timeout / CLOSING));
        parts
            .logs
            .shutdown(left().saturating_sub(timeout / CLOSING));
        parts.queue.close();
        // The writer answers its last flush when it has closed its sinks, so this waits for it, and
        // no longer than it may.
        let is_closed = parts.queue.flush(left());
        if is_closed {
            let _ = writer.join();
        }
        if !(is_written && is_closed) {
            return Err(not_in_time(timeout));
        }
        parts.nothing_lost()
    }

    /// What came in, what was kept, what was lost and why, at this moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let Some(parts) = &self.running else {
            return Stats::default();
        };
        if parts.queue.is_in_fork() {
            return Stats {
                events: parts.queue.happenings.stats_of_fork(),
                logs: parts.logs.stats_of_fork(),
                ..parts.health.stats_of_fork()
            };
        }
        Stats {
            export_pending: parts.export.pending(),
            export_undecided: parts.export.undecided(),
            events: parts.queue.happenings.stats(),
            logs: parts.logs.stats(),
            ..parts.health.stats(parts.queue.depth())
        }
    }

    /// The last traces, as far as they have come: that of which something was heard last comes first.
    ///
    /// What has ended is here after a few dozen milliseconds, what runs after a few hundred; they are read
    /// from memory, without a store, and in a program whose store cannot be written as well. How many there
    /// are says [`Builder::recent_traces`](crate::Builder::recent_traces). The agent does not notice readers.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let builder = hermes::builder().store_path(folder.path().join("t.db"));
    /// # use tracing_subscriber::layer::SubscriberExt;
    /// # let (layer, telemetry) = builder.build()?;
    /// # tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
    /// let session = hermes::session("s-1").start();
    /// session.chat("gpt-4o").start().end();
    /// session.end();
    /// # });
    ///
    /// telemetry.flush(Duration::from_secs(5))?;
    /// let trace = &telemetry.recent()[0];
    /// assert_eq!(trace.roots[0].name, "hermes.session");
    /// assert_eq!(trace.roots[0].children[0].name, "chat gpt-4o");
    /// # Ok::<(), hermes::Error>(())
    /// ```
    #[must_use]
    pub fn recent(&self) -> Vec<RecentTrace> {
        self.ring().map(Recent::traces).unwrap_or_default()
    }

    /// One of the last traces; `None` where it is not among them.
    #[must_use]
    pub fn recent_trace(&self, trace_id: TraceId) -> Option<RecentTrace> {
        self.ring()?.trace(trace_id)
    }

    fn ring(&self) -> Option<&Recent> {
        self.running.as_ref()?.recent.as_deref()
    }

    /// The local store, to read from. [`Telemetry::flush`] first to see all that has ended.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] where telemetry is off or keeps no store, else as [`Store::open`].
    #[cfg(feature = "sqlite")]
    pub fn store(&self) -> Result<Store, Error> {
        match &self.store_path {
            Some(path) => Store::open(path),
            None => Err(Error::new(
                ErrorKind::NotFound,
                "telemetry is off or keeps no store",
            )),
        }
    }

    /// The settings of planes and consent that are obeyed, as they were when Hermes was built.
    #[must_use]
    pub fn privacy(&self) -> &Privacy {
        &self.privacy
    }

    /// Where the store is; `None` where there is none.
    #[must_use]
    pub fn store_path(&self) -> Option<&std::path::Path> {
        self.store_path.as_deref()
    }
}

impl Parts {
    /// Whether this is the process that has the writer and the exporters: nobody must wait for them
    /// in another.
    fn is_at_home(&self) -> Result<(), Error> {
        if self.queue.is_in_fork() {
            return Err(Error::new(
                ErrorKind::Forked,
                "the process was forked after Hermes was built, and the copy has none of its threads: \
                 fork first, then build Hermes in the child",
            ));
        }
        Ok(())
    }

    fn nothing_lost(&self) -> Result<(), Error> {
        match self.health.unwanted_losses() {
            0 => {}
            lost => {
                let reasons = self.health.losses();
                let what = format!("{lost} spans are lost to the store: {reasons:?}");
                return Err(Error::new(ErrorKind::Lost, what));
            }
        }
        match self.queue.happenings.lost() {
            0 => Ok(()),
            lost => {
                let what = format!("{lost} events are lost to the store");
                Err(Error::new(ErrorKind::Lost, what))
            }
        }
    }
}

fn not_in_time(timeout: Duration) -> Error {
    Error::new(
        ErrorKind::Timeout,
        format!("not all spans were written within {timeout:?}"),
    )
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if self
            .running
            .as_ref()
            .is_some_and(|parts| parts.queue.is_in_fork())
        {
            // The exporters, dropped, would wait for threads that only the other process has.
            std::mem::forget(self.running.take());
            return;
        }
        // Nobody is left to tell; the losses are counted and said on stderr.
        let _ = self.shutdown(DROP_TIMEOUT);
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry")
            .field("store_path", &self.store_path)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
