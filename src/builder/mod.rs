//! What code can set, what it means beside the environment, and the layer and the guard it gets.

mod apply;
mod redaction;
mod settings;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

use crate::assembly::{Wishes, assemble};
use crate::capture::Dialect;
use crate::config::{ClassWishes, ContentCapture, ContentClass, LogExport, TailSampling};
use crate::diagnostic::Diagnostics;
use crate::error::{Error, ErrorKind};
use crate::logs::WithIds;
use crate::privacy::Privacy;
use crate::record::Value;
use crate::sink::{Batch, Callback, LogLimits, RecentLimits};
use crate::telemetry::Telemetry;
use redaction::Redaction;
use settings::Files;

/// Spans that may wait for the writer. Each takes two thirds of a kilobyte, used or not.
const QUEUE_CAPACITY: usize = 8_192;

/// The Hermes layer, ready to be put beside others: capture, its filter, and the OTel layer where
/// spans are exported, in the one order that works.
///
/// It brings its own filters, so it switches on no callsite but those it needs, and other layers'
/// filters do not switch it off, save a global one.
pub type HermesLayer<S> = Box<dyn Layer<S> + Send + Sync + 'static>;

/// Sets Hermes up. What is set here beats the environment.
///
/// ```
/// use tracing_subscriber::layer::SubscriberExt;
///
/// # fn main() -> Result<(), hermes::Error> {
/// let folder = std::env::temp_dir().join(format!("hermes-doc-{}", std::process::id()));
/// let (layer, telemetry) =
///     hermes::builder().service_name("my-agent").store_path(folder.join("agent.db")).build()?;
/// let subscriber = tracing_subscriber::registry().with(layer);
/// tracing::subscriber::with_default(subscriber, || {
///     let _session = tracing::info_span!("hermes.session", hermes.session.id = "s1").entered();
/// });
/// telemetry.shutdown(std::time::Duration::from_secs(5))?;
/// # std::fs::remove_dir_all(folder).ok();
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
#[must_use = "nothing is set up before `build` or `init`"]
pub struct Builder {
    service_name: Option<String>,
    service_version: Option<String>,
    resource: Vec<(String, Value)>,
    store_path: Option<PathBuf>,
    redaction: Redaction,
    event_log: Option<PathBuf>,
    event_log_limits: LogLimits,
    retention_days: Option<u32>,
    max_bytes: Option<u64>,
    otlp_endpoint: Option<String>,
    otlp_headers: Vec<(String, String)>,
    exporters: Option<String>,
    traces_sampler: Option<String>,
    traces_sampler_arg: Option<f64>,
    tail_sampling: Option<TailSampling>,
    log_export: Option<LogExport>,
    semconv: Option<String>,
    content: Option<ContentCapture>,
    content_classes: ClassWishes,
    capture_filter: Option<String>,
    capture_all: bool,
    shares_session: bool,
    dialects: Vec<Dialect>,
    drops_error_text: bool,
    queue_capacity: Option<usize>,
    subscribers: Vec<Callback>,
    recent_traces: Option<usize>,
    files: Files,
}

/// Starts setting Hermes up; see [`Builder`].
pub fn builder() -> Builder {
    Builder::default()
}

/// Sets Hermes up as the environment says and installs the global subscriber: Hermes, and a layer
/// that logs to stderr as `RUST_LOG` says, with the ids of the span around each line.
///
/// Hold the guard for as long as the program runs.
///
/// # Errors
///
/// [`ErrorKind::AlreadyInstalled`] if a global subscriber is installed. Nothing else: a setting that
/// makes no sense, a store or a collector that cannot be reached give a line on stderr each, and the
/// program runs on.
///
/// ```no_run
/// fn main() -> Result<(), hermes::Error> {
///     let telemetry = hermes::init()?;
///     // run the agent
///     telemetry.shutdown(std::time::Duration::from_secs(5))
/// }
/// ```
pub fn init() -> Result<Telemetry, Error> {
    builder().init()
}

impl Builder {
    /// The name of the service, `service.name` on OTLP. Default: `OTEL_SERVICE_NAME`, else
    /// `hermes-agent`.
    pub fn service_name(mut self, name: impl Into<String>) -> Self {
        self.service_name = Some(name.into());
        self
    }

    /// The version of the service, `service.version` on OTLP.
    pub fn service_version(mut self, version: impl Into<String>) -> Self {
        self.service_version = Some(version.into());
        self
    }

    /// Adds resource attributes, beside those of `OTEL_RESOURCE_ATTRIBUTES`. Secrets are taken out of both, names
    /// and values.
    pub fn resource<K: Into<String>, V: Into<Value>>(
        mut self,
        attributes: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let attributes = attributes
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()));
        self.resource.extend(attributes);
        self
    }

    /// Where the store is. Default: `HERMES_TELEMETRY_DB`, else
    /// `$HERMES_HOME/telemetry/telemetry.db`.
    pub fn store_path(mut self, path: impl Into<PathBuf>) -> Self {
        self.store_path = Some(path.into());
        self
    }

    /// Keeps an event log in this file: every span as a JSON line, enough to make the store anew with
    /// [`Store::rebuild`](crate::Store::rebuild). Default: as `HERMES_EVENT_LOG` says, else none.
    ///
    /// The file is rotated by size and age. Any number of processes share one log.
    pub fn event_log(mut self, path: impl Into<PathBuf>) -> Self {
        self.event_log = Some(path.into());
        self
    }

    /// How large a file of the event log may grow before it is rotated. Default: 64 MiB. One batch
    /// of spans stays in one file, however large it is.
    pub fn event_log_max_bytes(mut self, bytes: u64) -> Self {
        self.event_log_limits.max_bytes = bytes;
        self
    }

    /// How old a file of the event log may be before it is rotated. Default: seven days.
    pub fn event_log_max_age(mut self, age: Duration) -> Self {
        self.event_log_limits.max_age = age;
        self
    }

    /// How many rotated files of the event log are kept. Default: 16, and none for longer than 90
    /// days.
    pub fn event_log_max_files(mut self, files: usize) -> Self {
        self.event_log_limits.max_files = files;
        self
    }

    /// How many of the last traces are kept in memory, for [`Telemetry::recent`]; zero: none. Default: 200.
    ///
    /// They are those of which something was heard last, with spans that run. Of one trace 2,000 spans are
    /// kept, and 32 MiB of them all: where they take more, the oldest go.
    ///
    /// ```
    /// let builder = hermes::builder().recent_traces(20);
    /// # drop(builder);
    /// ```
    pub fn recent_traces(mut self, traces: usize) -> Self {
        self.recent_traces = Some(traces);
        self
    }

    /// How many days runs are kept in the store; zero: for ever. Default: 90.
    ///
    /// Traces in which something failed are kept twice as long. What is too old is taken away by the
    /// writer thread, a little at a time, and its room given back to the file system.
    pub fn retention_days(mut self, days: u32) -> Self {
        self.retention_days = Some(days);
        self
    }

    /// How large the store's file and its log may be together; zero: as large as they grow. Default:
    /// 2 GiB.
    ///
    /// Where they are larger, the oldest traces go, those in which something failed after all others,
    /// and never one that runs.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// Exports over OTLP to this base URL; `/v1/traces` is added unless it ends so already.
    /// Default: `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn otlp_endpoint(mut self, url: impl Into<String>) -> Self {
        self.otlp_endpoint = Some(url.into());
        self
    }

    /// Adds headers to every OTLP request, beside those of `OTEL_EXPORTER_OTLP_HEADERS`.
    pub fn otlp_headers<K: Into<String>, V: Into<String>>(
        mut self,
        headers: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.otlp_headers.extend(
            headers
                .into_iter()
                .map(|(key, value)| (key.into(), value.into())),
        );
        self
    }

    /// The exporters, in the words of `HERMES_OTEL_EXPORTER`: a comma list of `console`, `otlp`,
    /// `otlp_grpc`, `none`.
    pub fn exporters(mut self, list: impl Into<String>) -> Self {
        self.exporters = Some(list.into());
        self
    }

    /// Which traces are exported, in the words of `OTEL_TRACES_SAMPLER`: `always_on`, `always_off`,
    /// `traceidratio`, or one of these behind `parentbased_` (a span with a parent goes where its parent
    /// goes). Default: that variable, else `parentbased_always_on`.
    ///
    /// The local store keeps every span, whatever the sampler says, with the ids that it would have
    /// had; [`Stats::export_sampled_out`](crate::Stats::export_sampled_out) counts what stays at home.
    pub fn traces_sampler(mut self, sampler: impl Into<String>) -> Self {
        self.traces_sampler = Some(sampler.into());
        self
    }

    /// The share of traces that the sampler `traceidratio` takes, from 0 to 1. Default:
    /// `OTEL_TRACES_SAMPLER_ARG`, else 1.
    pub fn traces_sampler_arg(mut self, share: f64) -> Self {
        self.traces_sampler_arg = Some(share);
        self
    }

    /// Which traces are exported, decided when they have ended: those that failed, were slow or dear, and
    /// a share of the rest. See [`TailSampling`]. Default: every trace that the sampler let start.
    ///
    /// The local store keeps every span.
    pub fn tail_sampling(mut self, rules: TailSampling) -> Self {
        self.tail_sampling = Some(rules);
        self
    }

    /// Whether events (`tracing::info!` and the like) leave as OpenTelemetry log records, beside the spans:
    /// `true`, or directives like those of `RUST_LOG` (`"warn,my_agent=debug"`). Needs the cargo feature
    /// `otlp-logs`. Default: as `OTEL_LOGS_EXPORTER` says, else nothing; what is at INFO or above.
    ///
    /// Secrets are redacted. Messages of the program's own crates leave; those of others, and fields that
    /// no convention knows, are content, and leave only where [`Builder::capture_content`] lets it. Targets
    /// with levels are all that counts of directives. [`Stats::logs`](crate::Stats::logs) counts.
    ///
    /// ```
    /// let builder = hermes::builder().export_logs(true);
    /// let fewer = hermes::builder().export_logs("info,my_agent::noise=off");
    /// # drop((builder, fewer));
    /// ```
    pub fn export_logs(mut self, what: impl Into<LogExport>) -> Self {
        self.log_export = Some(what.into());
        self
    }

    /// The names that exported spans carry, in the words of `HERMES_OTEL_SEMCONV`: `hermes`,
    /// `genai`, `genai-1.41`, `genai-1.36` or `hermes-classic`, optionally with `,openinference`.
    pub fn semconv(mut self, profile: impl Into<String>) -> Self {
        self.semconv = Some(profile.into());
        self
    }

    /// What is kept of content. Default: `HERMES_OTEL_CAPTURE_CONTENT`, else nothing.
    pub fn capture_content(mut self, content: ContentCapture) -> Self {
        self.content = Some(content);
        self
    }

    /// What is kept of one kind of content, whatever is said of content in general; the last word on
    /// a kind holds. What may not be kept is taken out of the messages that it stands in, and what may
    /// be kept and not leave is taken out of what leaves.
    ///
    /// ```
    /// use hermes::{ContentCapture, ContentClass};
    ///
    /// let builder = hermes::builder()
    ///     .capture_content(ContentCapture::On)
    ///     .capture_class(ContentClass::UserMessage, ContentCapture::Local)
    ///     .capture_class(ContentClass::Reasoning, ContentCapture::Off);
    /// # drop(builder);
    /// ```
    pub fn capture_class(mut self, class: ContentClass, content: ContentCapture) -> Self {
        self.content_classes.push((class, content));
        self
    }

    /// What is captured, in directives like those of `RUST_LOG`. Default: `HERMES_CAPTURE`.
    ///
    /// `info,my_agent::noise=off,hermes.tool[{name="secret"}]=off` captures what is at INFO or above,
    /// but nothing of one module and no call of one tool. Children of a span that is left out hang
    /// under its nearest kept ancestor. Other layers see what they always saw.
    pub fn capture_filter(mut self, directives: impl Into<String>) -> Self {
        self.capture_filter = Some(directives.into());
        self
    }

    /// Whether spans of other libraries are stored too, as steps. Default: no.
    pub fn capture_all(mut self, all: bool) -> Self {
        self.capture_all = all;
        self
    }

    /// Whether [`propagation`](crate::propagation) tells other processes the session's id, as the entry
    /// `hermes.session.id` of the `baggage`. Default: no, for baggage goes to whoever is called.
    ///
    /// What another process sends is taken up in any case: spans that begin there without a session of
    /// their own belong to that one.
    pub fn propagate_session_id(mut self, tell: bool) -> Self {
        self.shares_session = tell;
        self
    }

    /// Teaches Hermes what the spans of a library mean that it does not know; see [`Dialect`].
    ///
    /// Dialects count in the order in which they are given, and before those that are built in.
    pub fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialects.push(dialect);
        self
    }

    /// Whether the texts of errors are kept, redacted and cut to 500 characters. Default: yes.
    pub fn capture_error_text(mut self, keep: bool) -> Self {
        self.drops_error_text = !keep;
        self
    }

    /// How many records may wait for the writer; more are lost, and counted. Default: 8,192.
    pub fn queue_capacity(mut self, records: usize) -> Self {
        self.queue_capacity = Some(records);
        self
    }

    /// Calls back with spans that have ended, in batches, on Hermes's own thread. A callback that
    /// panics is called no more; nothing else comes of it.
    pub fn subscribe(mut self, callback: impl FnMut(&Batch<'_>) + Send + 'static) -> Self {
        self.subscribers.push(Box::new(callback));
        self
    }

    /// Builds the layer, to be put beside others, and the guard.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for a [`redact_pattern`](Self::redact_pattern) that cannot be used.
    /// Nothing else: a setting that makes no sense, a store or a collector that cannot be reached
    /// give a line on stderr each, and the program runs on.
    pub fn build<S>(mut self) -> Result<(HermesLayer<S>, Telemetry), Error>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync + 'static,
    {
        let config = self.configure();
        // Before anything is opened: what was to be redacted and cannot be must not be kept.
        let redaction = self.redaction.rules(config.content_redaction)?;
        let privacy = Privacy::new(&config, !self.drops_error_text, redaction.clone());
        let diagnostics = Arc::new(Diagnostics::open(
            config.verbosity,
            config.log_file.as_deref(),
        ));
        for warning in &config.warnings {
            diagnostics.warn(warning, warning);
        }
        if !config.enabled {
            return Ok((
                tracing_subscriber::layer::Identity::new().boxed(),
                Telemetry::off(privacy),
            ));
        }
        let wishes = Wishes {
            capture_all: self.capture_all,
            shares_session: self.shares_session,
            dialects: self.dialects,
            keeps_error_text: !self.drops_error_text,
            redaction,
            queue_capacity: self.queue_capacity.unwrap_or(QUEUE_CAPACITY),
            event_log_limits: self.event_log_limits,
            recent: recent_limits(self.recent_traces),
            subscribers: self.subscribers,
        };
        Ok(assemble(&config, privacy, wishes, &diagnostics))
    }

    /// Builds, and installs the global subscriber: Hermes, and a layer that logs to stderr as
    /// `RUST_LOG` says.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyInstalled`] if a global subscriber is installed.
    pub fn init(self) -> Result<Telemetry, Error> {
        // Asked before anything is opened: a second `init` leaves no trace.
        if INSTALLED.load(Ordering::Acquire) {
            return Err(already_installed());
        }
        let (layer, telemetry) = self.build()?;
        let log = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .map_event_format(WithIds::new)
            .with_filter(EnvFilter::from_default_env());
        let subscriber = tracing_subscriber::registry().with(layer).with(log);
        tracing::subscriber::set_global_default(subscriber).map_err(|_| already_installed())?;
        INSTALLED.store(true, Ordering::Release);
        Ok(telemetry)
    }
}

/// Whether [`Builder::init`] has installed its subscriber in this process.
static INSTALLED: AtomicBool = AtomicBool::new(false);

/// `None`: nothing is kept in memory.
fn recent_limits(traces: Option<usize>) -> Option<RecentLimits> {
    let limits = RecentLimits::default();
    match traces {
        None => Some(limits),
        Some(0) => None,
        Some(traces) => Some(RecentLimits { traces, ..limits }),
    }
}

fn already_installed() -> Error {
    Error::new(
        ErrorKind::AlreadyInstalled,
        "a global tracing subscriber is installed already: \
         use hermes::builder().build() and put its layer beside the others",
    )
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("service_name", &self.service_name)
            .field("store_path", &self.store_path)
            .finish_non_exhaustive()
    }
}
