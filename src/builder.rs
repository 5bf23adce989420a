//! The composition root: wires capture, policy, pipeline and sinks, and hands out layer and guard.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tracing::Subscriber;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

#[cfg(feature = "otlp")]
use crate::capture::ExportFilter;
use crate::capture::{Capture, CaptureFilter, Core};
use crate::config::{self, Config, Content, Placement};
use crate::diagnostic::Diagnostics;
use crate::error::{Error, ErrorKind};
use crate::pipeline::{Health, Queue, Writer};
use crate::policy::Policy;
use crate::record::{Value, seed};
#[cfg(feature = "sqlite")]
use crate::sink::StoreSink;
#[cfg(not(feature = "otlp"))]
use crate::sink::Wire;
#[cfg(feature = "otlp")]
use crate::sink::otlp::{ExportCounter, Outlet};
use crate::sink::{Batch, LiveSink, Sink};
use crate::telemetry::{Parts, Telemetry};

/// Records that may wait for the writer. A span's record takes one to two kilobytes.
const QUEUE_CAPACITY: usize = 16_384;

/// The Hermes layer, ready to be put beside others: capture, its filter, and the OTel layer where
/// spans are exported, in the one order that works.
///
/// It brings its own filters, so it switches on no callsite but those it needs, and other layers'
/// filters do not switch it off, save a global one.
pub type HermesLayer<S> = Box<dyn Layer<S> + Send + Sync + 'static>;

type Callback = Box<dyn FnMut(&Batch<'_>) + Send>;

/// What is kept of prompts, arguments, results and answers.
///
/// The default is [`ContentCapture::Off`]. Secrets are redacted in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContentCapture {
    /// Nothing; what the code writes as content is not even formatted.
    #[default]
    Off,
    /// Kept in the store of this machine, never exported.
    Local,
    /// Kept in the store, and on exported spans.
    On,
}

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
    otlp_endpoint: Option<String>,
    otlp_headers: Vec<(String, String)>,
    exporters: Option<String>,
    semconv: Option<String>,
    content: Option<ContentCapture>,
    capture_filter: Option<String>,
    capture_all: bool,
    drops_error_text: bool,
    queue_capacity: Option<usize>,
    subscribers: Vec<Callback>,
}

/// Starts setting Hermes up; see [`Builder`].
pub fn builder() -> Builder {
    Builder::default()
}

/// Sets Hermes up as the environment says and installs the global subscriber: Hermes, and a layer
/// that logs to stderr as `RUST_LOG` says.
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

    /// Adds resource attributes, beside those of `OTEL_RESOURCE_ATTRIBUTES`.
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

    /// Whether the texts of errors are kept, redacted and cut to 500 characters. Default: yes.
    pub fn capture_error_text(mut self, keep: bool) -> Self {
        self.drops_error_text = !keep;
        self
    }

    /// How many records may wait for the writer; more are lost, and counted. Default: 16,384.
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
    /// None at present: a setting that makes no sense, a store or a collector that cannot be
    /// reached give a line on stderr each, and the program runs on.
    pub fn build<S>(mut self) -> Result<(HermesLayer<S>, Telemetry), Error>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync + 'static,
    {
        let mut config = Config::from_env();
        self.apply_to(&mut config);
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
                Telemetry::off(),
            ));
        }
        Ok(self.assemble(&config, &diagnostics))
    }

    /// Builds, and installs the global subscriber: Hermes, and a layer that logs to stderr as
    /// `RUST_LOG` says.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::AlreadyInstalled`] if a global subscriber is installed.
    pub fn init(self) -> Result<Telemetry, Error> {
        let (layer, telemetry) = self.build()?;
        let log = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_filter(EnvFilter::from_default_env());
        let subscriber = tracing_subscriber::registry().with(layer).with(log);
        tracing::subscriber::set_global_default(subscriber).map_err(|_| {
            Error::new(
                ErrorKind::AlreadyInstalled,
                "a global tracing subscriber is installed already: \
                 use hermes::builder().build() and put its layer beside the others",
            )
        })?;
        Ok(telemetry)
    }

    /// What is set in code beats the environment.
    fn apply_to(&mut self, config: &mut Config) {
        config.store_path = self.store_path.take().or(config.store_path.take());
        config.capture_filter = self.capture_filter.take().or(config.capture_filter.take());
        if let Some(content) = self.content {
            config.content = match (content, config.content) {
                (ContentCapture::Off, _) => Content::Off,
                (ContentCapture::Local, _) => Content::Local,
                (ContentCapture::On, placed @ Content::Exported(_)) => placed,
                (ContentCapture::On, _) => Content::Exported(Placement::ON_SPAN),
            };
        }
        let export = &mut config.export;
        if let Some(list) = self.exporters.take() {
            let (exporters, unknown) = config::exporters_named(&list, export.otlp_protocol);
            for word in unknown {
                config.warnings.push(format!(
                    "exporter {word:?} is not one of console, otlp, otlp_grpc, none; ignored"
                ));
            }
            export.exporters = Some(exporters);
        }
        if let Some(endpoint) = self.otlp_endpoint.take() {
            let otlp = export.otlp_protocol;
            export.endpoint = Some(endpoint);
            export.traces_endpoint = None;
            let exporters = export.exporters.get_or_insert_default();
            if !exporters.iter().any(|exporter| exporter.is_otlp()) {
                exporters.push(otlp);
            }
        }
        if let Some(semconv) = self.semconv.take() {
            config.read_naming("semconv", &semconv);
        }
        let export = &mut config.export;
        export.headers.append(&mut self.otlp_headers);
        for (key, value) in self.resource.drain(..) {
            config::set(&mut export.resource, &key, value);
        }
        if let Some(version) = self.service_version.take() {
            config::set(
                &mut export.resource,
                "service.version",
                Value::from(version),
            );
        }
        if let Some(name) = self.service_name.take() {
            config::set(&mut export.resource, "service.name", Value::from(name));
        }
        if !export.resource.iter().any(|(key, _)| key == "service.name") {
            config::set(
                &mut export.resource,
                "service.name",
                Value::from("hermes-agent"),
            );
        }
    }

    fn assemble<S>(
        self,
        config: &Config,
        diagnostics: &Arc<Diagnostics>,
    ) -> (HermesLayer<S>, Telemetry)
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync + 'static,
    {
        let health = Arc::new(Health::default());
        let queue = Arc::new(Queue::new(
            self.queue_capacity.unwrap_or(QUEUE_CAPACITY),
            Arc::clone(&health),
        ));
        let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
        let store = open_store(config, diagnostics, &mut sinks);
        let policy = Arc::new(Policy::new(
            config.content,
            !self.drops_error_text,
            store.redaction_key,
        ));
        if !self.subscribers.is_empty() {
            let diagnostics = Arc::clone(diagnostics);
            let trouble = move |message: &str| diagnostics.error("subscriber", message);
            sinks.push(Box::new(LiveSink::new(self.subscribers, trouble)));
        }

        #[cfg(feature = "otlp")]
        let (outlet, wire) = {
            let counter: Arc<dyn ExportCounter> = Arc::new(Counter {
                health: Arc::clone(&health),
                diagnostics: Arc::clone(diagnostics),
            });
            let outlet = Outlet::build(&config.export, Arc::clone(&policy), &counter);
            let wire = outlet.as_ref().map(Outlet::wire);
            (outlet, wire)
        };
        #[cfg(not(feature = "otlp"))]
        let wire: Option<Arc<dyn Wire>> = {
            if !config.export.chosen().is_empty() {
                diagnostics.warn(
                    "otlp-feature",
                    "an exporter is asked for, but this build has no cargo feature `otlp`; \
                     spans stay in the store",
                );
            }
            None
        };

        let filter = read_filter(config, diagnostics);
        let core = Arc::new(Core::new(
            Arc::clone(&policy),
            Arc::clone(&queue),
            Arc::clone(&health),
            filter,
            self.capture_all,
            wire,
        ));
        let writer = Writer {
            queue: Arc::clone(&queue),
            health: Arc::clone(&health),
            policy,
            running: Arc::clone(&core.live) as _,
            sinks,
            diagnostics: Arc::clone(diagnostics),
            is_storeless: store.is_missing,
        };
        let writer = match writer.start() {
            Ok(thread) => Some(thread),
            Err(error) => {
                diagnostics.error(
                    "thread",
                    &format!("cannot start the writer thread: {error}; no spans are kept"),
                );
                queue.close();
                None
            }
        };

        let capture = Capture::new(core);
        let ours = capture.filter();
        #[cfg(feature = "otlp")]
        let layer = match &outlet {
            Some(outlet) => capture
                .with_filter(ours.clone())
                .and_then(outlet.layer().with_filter(ExportFilter(ours)))
                .boxed(),
            None => capture.with_filter(ours).boxed(),
        };
        #[cfg(not(feature = "otlp"))]
        let layer = capture.with_filter(ours).boxed();
        let parts = Parts {
            queue,
            health,
            writer: Mutex::new(writer),
            #[cfg(feature = "otlp")]
            outlet,
        };
        (layer, Telemetry::new(parts, store.path))
    }
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("service_name", &self.service_name)
            .field("store_path", &self.store_path)
            .finish_non_exhaustive()
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
    diagnostics: &Diagnostics,
    sinks: &mut Vec<Box<dyn Sink>>,
) -> OpenedStore {
    use std::time::{SystemTime, UNIX_EPOCH};

    let missing = OpenedStore {
        path: None,
        is_missing: true,
        redaction_key: fresh_key(),
    };
    let Some(path) = &config.store_path else {
        diagnostics.error(
            "store",
            "there is no home folder to keep the store in: set HERMES_HOME or HERMES_TELEMETRY_DB",
        );
        return missing;
    };
    let now_ns = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_nanos()).ok())
        .unwrap_or(0);
    match crate::store::Writer::open(path, now_ns) {
        Ok(writer) => {
            diagnostics.info(
                "store-path",
                &format!("spans are kept in {}", path.display()),
            );
            let redaction_key = writer.redaction_key().unwrap_or_else(fresh_key);
            sinks.push(Box::new(StoreSink::new(writer)));
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
    _diagnostics: &Diagnostics,
    _sinks: &mut Vec<Box<dyn Sink>>,
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
        diagnostics.warn(
            &trouble,
            &format!("HERMES_CAPTURE: the directive {trouble}; using the other directives"),
        );
    }
    filter
}

/// Hears from the exporters what became of spans.
#[cfg(feature = "otlp")]
#[derive(Debug)]
struct Counter {
    health: Arc<Health>,
    diagnostics: Arc<Diagnostics>,
}

#[cfg(feature = "otlp")]
impl ExportCounter for Counter {
    fn exported(&self, spans: u64) {
        self.health.exported(spans);
    }

    fn lost(&self, reason: &'static str, spans: u64) {
        self.health.not_exported(reason, spans);
    }

    fn trouble(&self, kind: &'static str, message: &str) {
        self.diagnostics.warn(kind, message);
    }
}
