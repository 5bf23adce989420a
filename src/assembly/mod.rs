//! Puts the parts together, in the one order that works: store, policy, exporters, queue, writer,
//! capture.

#[cfg_attr(feature = "otlp", path = "exporting.rs")]
#[cfg_attr(not(feature = "otlp"), path = "silent.rs")]
mod export;
#[cfg_attr(feature = "otlp-logs", path = "logging.rs")]
#[cfg_attr(not(feature = "otlp-logs"), path = "logless.rs")]
mod logs;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tracing::Subscriber;
use tracing_subscriber::registry::LookupSpan;

pub(crate) use export::Export;
pub(crate) use logs::Logs;

use crate::builder::HermesLayer;
use crate::capture::{Capture, CaptureFilter, Core, Dialect, Dialects, Ways};
use crate::config::{Config, ContentRules, EventLog};
use crate::diagnostic::Diagnostics;
use crate::pipeline::{Health, Home, Queue, Reader, Writer};
use crate::policy::{Extent, Gate, Policy, Rules};
use crate::privacy::Privacy;
use crate::record::{WriterIdentity, now_ns, seed};
use crate::sink::{
    Backlog, Callback, EventLogSink, LiveSink, LogCounter, LogLimits, Packer, Recent, RecentLimits,
    Sink,
};
#[cfg(feature = "sqlite")]
use crate::sink::{Keeper, StoreWishes};
use crate::telemetry::{Parts, Telemetry};

/// What code alone can set, beside what it can set in place of the environment.
pub(crate) struct Wishes {
    pub(crate) capture_all: bool,
    pub(crate) shares_session: bool,
    pub(crate) dialects: Vec<Dialect>,
    pub(crate) extent: Extent,
    /// What is redacted beside secrets.
    pub(crate) redaction: Rules,
    pub(crate) queue_capacity: usize,
    pub(crate) event_log_limits: LogLimits,
    pub(crate) subscribers: Vec<Callback>,
    pub(crate) recent: Option<RecentLimits>,
}

/// Starts everything. What cannot be had is told and done without.
pub(crate) fn assemble<S>(
    config: &Config,
    privacy: Privacy,
    wishes: Wishes,
    diagnostics: &Arc<Diagnostics>,
) -> (HermesLayer<S>, Telemetry)
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync + 'static,
{
    let gate = Gate::of(config);
    for refusal in gate.refusals(&config.export) {
        diagnostics.warn(&refusal, &refusal);
    }
    let health = Arc::new(Health::default());
    let home = Home::here(Arc::clone(diagnostics));
    let queue = Arc::new(Queue::new(wishes.queue_capacity, Arc::clone(&health), home));
    let identity = WriterIdentity::of_this_process(now_ns());
    let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
    let recent = wishes.recent.map(|limits| Arc::new(Recent::new(limits)));
    // Before the store: what is found in the store is then found in the log as well.
    let event_log = open_event_log(config, &gate, &wishes, &identity, &health, diagnostics);
    sinks.extend(event_log.map(|sink| Box::new(sink) as Box<dyn Sink>));
    let backlog = export::backlog(config, &gate, &health, diagnostics);
    let store = open_store(
        config,
        &gate,
        &identity,
        diagnostics,
        &mut sinks,
        backlog.as_ref(),
    );
    let wanted = ContentRules::new(config.content, &config.content_classes);
    let policy = Arc::new(Policy::new(
        gate.content(wanted),
        wishes.extent,
        store.redaction_key,
        wishes.redaction,
    ));
    if !wishes.subscribers.is_empty() {
        let diagnostics = Arc::clone(diagnostics);
        let trouble = move |message: &str| diagnostics.error("subscriber", message);
        sinks.push(Box::new(LiveSink::new(wishes.subscribers, trouble)));
    }
    for trouble in wishes.dialects.iter().flat_map(Dialect::troubles) {
        diagnostics.warn(&trouble, &trouble);
    }
    let export = Export::start::<S>(config, &gate, &policy, &health, diagnostics, backlog);
    let logs = Logs::start(config, &gate, &policy, &health, diagnostics);
    let core = Arc::new(Core::new(
        Arc::clone(&policy),
        Arc::clone(&queue),
        Arc::clone(&health),
        Ways {
            filter: read_filter(config, diagnostics),
            captures_all: wishes.capture_all,
            shares_session: wishes.shares_session,
            dialects: Dialects::new(wishes.dialects),
        },
        export.wire(),
    ));
    sinks.extend(logs.sink(config, &core, diagnostics));
    let reader = Reader {
        queue: Arc::clone(&queue),
        health: Arc::clone(&health),
        policy,
        source: Arc::clone(&core.spans),
        diagnostics: Arc::clone(diagnostics),
        recent: recent.clone(),
    };
    let packer = Packer::new(sinks.iter().any(|sink| sink.keeps()));
    let writer = Writer {
        queue: Arc::clone(&queue),
        health: Arc::clone(&health),
        sinks,
        diagnostics: Arc::clone(diagnostics),
        is_storeless: store.is_missing,
    };
    let writer = match reader.start(writer, packer) {
        Ok(thread) => Some(thread),
        Err(error) => {
            let why = format!("cannot start the writer thread: {error}; no spans are kept");
            diagnostics.error("thread", &why);
            queue.abandon();
            None
        }
    };
    let layer = export.layer(Capture::new(Arc::clone(&core)));
    let layer = logs.behind(layer, &core, config, diagnostics);
    let parts = Parts {
        queue,
        health,
        writer: Mutex::new(writer),
        export,
        logs,
        recent,
    };
    (layer, Telemetry::new(parts, store.path, privacy))
}

fn open_event_log(
    config: &Config,
    gate: &Gate,
    wishes: &Wishes,
    identity: &WriterIdentity,
    health: &Arc<Health>,
    diagnostics: &Arc<Diagnostics>,
) -> Option<EventLogSink> {
    if !gate.keeps() {
        return None;
    }
    let counter = Box::new(LogWitness {
        health: Arc::clone(health),
        diagnostics: Arc::clone(diagnostics),
    });
    let Some(path) = config.event_log_path() else {
        if config.event_log != EventLog::Off {
            counter.trouble("there is no folder to keep the event log in: set HERMES_HOME");
        }
        return None;
    };
    if config.store_path.as_ref() == Some(&path) {
        counter
            .trouble("the event log is to be in the store's file: choose another HERMES_EVENT_LOG");
        return None;
    }
    diagnostics.info(
        "event-log-path",
        &format!("events are logged in {}", path.display()),
    );
    let keeps = cfg!(not(feature = "sqlite"));
    let limits = wishes.event_log_limits;
    Some(EventLogSink::open(
        path,
        limits,
        identity.clone(),
        keeps,
        counter,
    ))
}

/// Hears from the event log what became of spans. Whatever happens to it is told once.
#[derive(Debug)]
struct LogWitness {
    health: Arc<Health>,
    diagnostics: Arc<Diagnostics>,
}

impl LogCounter for LogWitness {
    fn lost(&self, spans: u64) {
        self.health.not_logged(spans);
        let what = format!("{spans} spans could not be written to the event log");
        self.diagnostics.error("event-log", &what);
    }

    fn trouble(&self, message: &str) {
        self.diagnostics.warn("event-log", message);
    }
}

/// What became of the wish for a store.
struct OpenedStore {
    path: Option<PathBuf>,
    /// A store is wanted and cannot be had.
    is_missing: bool,
    /// Makes the same secret get the same token in one store.
    redaction_key: [u8; 16],
}

#[cfg(feature = "sqlite")]
fn open_store(
    config: &Config,
    gate: &Gate,
    identity: &WriterIdentity,
    diagnostics: &Arc<Diagnostics>,
    sinks: &mut Vec<Box<dyn Sink>>,
    backlog: Option<&Arc<Backlog>>,
) -> OpenedStore {
    let missing = OpenedStore {
        path: None,
        is_missing: gate.keeps(),
        redaction_key: fresh_key(),
    };
    if !gate.keeps() {
        return missing;
    }
    let Some(path) = &config.store_path else {
        diagnostics.error(
            "store",
            "there is no home folder to keep the store in: set HERMES_HOME or HERMES_TELEMETRY_DB",
        );
        return missing;
    };
    let retention = crate::store::Retention::default();
    let retention = config
        .retention_days
        .map_or(retention, |days| retention.days(days));
    let retention = config
        .max_bytes
        .map_or(retention, |bytes| retention.max_bytes(bytes));
    let wishes = StoreWishes {
        path: path.clone(),
        writer: identity.clone(),
        key: fresh_key(),
        retention,
        backlog: backlog.cloned(),
    };
    match Keeper::open(wishes, Arc::clone(diagnostics)) {
        Ok(keeper) => {
            if keeper.is_open() {
                let what = format!("spans are kept in {}", path.display());
                diagnostics.info("store-path", &what);
            }
            let redaction_key = keeper.redaction_key();
            sinks.push(Box::new(keeper));
            OpenedStore {
                path: Some(path.clone()),
                is_missing: false,
                redaction_key,
            }
        }
        Err(error) => {
            diagnostics.error("store", &format!("{error}; spans are not kept"));
            missing
        }
    }
}

#[cfg(not(feature = "sqlite"))]
fn open_store(
    _config: &Config,
    _gate: &Gate,
    _identity: &WriterIdentity,
    _diagnostics: &Arc<Diagnostics>,
    _sinks: &mut Vec<Box<dyn Sink>>,
    _backlog: Option<&Arc<Backlog>>,
) -> OpenedStore {
    OpenedStore {
        path: None,
        is_missing: false,
        redaction_key: fresh_key(),
    }
}

fn fresh_key() -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&seed().to_le_bytes());
    key[8..].copy_from_slice(&seed().to_le_bytes());
    key
}

fn read_filter(config: &Config, diagnostics: &Diagnostics) -> CaptureFilter {
    let Some(directives) = &config.capture_filter else {
        return CaptureFilter::default();
    };
    let (filter, troubles) = CaptureFilter::parse(directives);
    for trouble in troubles {
        let what = format!("HERMES_CAPTURE: the directive {trouble}; using the other directives");
        diagnostics.warn(&trouble, &what);
    }
    filter
}
