//! The subscribers that are compared, each installed for a whole process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{BatchSpanProcessor, SdkTracerProvider, SpanData, SpanExporter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Registry, registry};

/// Records that wait for Hermes's writer; a burst must fit.
pub(crate) const QUEUE: usize = 16_384;

/// How long the threads behind a subscriber may take to finish what a sample gave them.
const SETTLING: Duration = Duration::from_secs(30);

/// What listens to the spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    Nothing,
    Registry,
    Fmt,
    OtelTrimmed,
    OtelDefault,
    HermesLocal,
    HermesBusy,
    HermesOtlp,
    HermesFull,
}

impl Scenario {
    pub(crate) const ALL: [Scenario; 9] = [
        Scenario::Nothing,
        Scenario::Registry,
        Scenario::Fmt,
        Scenario::OtelTrimmed,
        Scenario::OtelDefault,
        Scenario::HermesLocal,
        Scenario::HermesBusy,
        Scenario::HermesOtlp,
        Scenario::HermesFull,
    ];

    /// The word for it on the command line.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Scenario::Nothing => "nothing",
            Scenario::Registry => "registry",
            Scenario::Fmt => "fmt",
            Scenario::OtelTrimmed => "otel-trimmed",
            Scenario::OtelDefault => "otel-default",
            Scenario::HermesLocal => "hermes-local",
            Scenario::HermesBusy => "hermes-busy",
            Scenario::HermesOtlp => "hermes-otlp",
            Scenario::HermesFull => "hermes-full",
        }
    }

    /// What the tables call it.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Scenario::Nothing => "no subscriber",
            Scenario::Registry => "Registry",
            Scenario::Fmt => "fmt to a sink",
            Scenario::OtelTrimmed => "tracing-opentelemetry, trimmed",
            Scenario::OtelDefault => "tracing-opentelemetry, default",
            Scenario::HermesLocal => "Hermes local",
            Scenario::HermesBusy => "Hermes local, writer busy",
            Scenario::HermesOtlp => "Hermes local + OTLP",
            Scenario::HermesFull => "Hermes, queue full",
        }
    }

    pub(crate) fn of_word(word: &str) -> Option<Scenario> {
        Scenario::ALL
            .into_iter()
            .find(|scenario| scenario.word() == word)
    }

    /// Installs the subscriber in this process. `collector` is where OTLP goes.
    pub(crate) fn install(self, collector: &str) -> Installed {
        match self {
            Scenario::Nothing => Installed::Plain,
            Scenario::Registry => {
                install(registry());
                Installed::Plain
            }
            Scenario::Fmt => {
                let layer = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
                install(registry().with(layer));
                Installed::Plain
            }
            Scenario::OtelTrimmed | Scenario::OtelDefault => self.install_otel(),
            _ => self.install_hermes(collector),
        }
    }

    fn install_otel(self) -> Installed {
        let exporter = Nowhere::default();
        let delivered = Arc::clone(&exporter.0);
        let provider = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::builder(exporter).build())
            .build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("bench"));
        let layer = if self == Scenario::OtelTrimmed {
            layer
                .with_location(false)
                .with_threads(false)
                .with_tracked_inactivity(false)
                .with_target(false)
        } else {
            layer
        };
        install(registry().with(layer));
        Installed::Otel {
            provider,
            delivered,
        }
    }

    fn install_hermes(self, collector: &str) -> Installed {
        let folder = tempfile::tempdir().unwrap();
        let builder = hermes::builder()
            .store_path(folder.path().join("bench.db"))
            .capture_content(hermes::ContentCapture::Off)
            .queue_capacity(QUEUE);
        let builder = match self {
            Scenario::HermesOtlp => builder.otlp_endpoint(collector),
            Scenario::HermesFull => builder.queue_capacity(16).exporters("none"),
            _ => builder.exporters("none"),
        };
        let (layer, telemetry) = builder.build::<Registry>().unwrap();
        install(registry().with(layer));
        Installed::Hermes {
            telemetry,
            folder,
            exports: self == Scenario::HermesOtlp,
        }
    }
}

fn install(subscriber: impl tracing::Subscriber + Send + Sync) {
    tracing::subscriber::set_global_default(subscriber).unwrap();
}

/// A subscriber at work, and what is behind it.
pub(crate) enum Installed {
    Plain,
    Otel {
        provider: SdkTracerProvider,
        delivered: Arc<AtomicU64>,
    },
    Hermes {
        telemetry: hermes::Telemetry,
        folder: tempfile::TempDir,
        exports: bool,
    },
}

impl Installed {
    /// Waits until the threads behind the subscriber have nothing left to do.
    pub(crate) fn settle(&self) {
        match self {
            Installed::Plain => {}
            Installed::Otel { provider, .. } => provider.force_flush().unwrap(),
            // With a full queue it says that spans are lost, and so they are meant to be.
            Installed::Hermes { telemetry, .. } => drop(telemetry.flush(SETTLING)),
        }
    }

    /// Ends what is behind the subscriber, and says what became of the spans.
    pub(crate) fn finish(self) -> Fate {
        self.settle();
        match self {
            Installed::Plain => Fate::default(),
            Installed::Otel { delivered, .. } => Fate {
                kept: None,
                sent: Some(delivered.load(Ordering::Relaxed)),
            },
            Installed::Hermes {
                telemetry,
                folder,
                exports,
            } => {
                let stats = telemetry.stats();
                drop(telemetry);
                drop(folder);
                Fate {
                    kept: Some(stats.written),
                    sent: exports.then_some(stats.exported),
                }
            }
        }
    }
}

/// How many spans were kept, and how many sent, where that is done at all.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Fate {
    pub(crate) kept: Option<u64>,
    pub(crate) sent: Option<u64>,
}

/// An exporter that counts and drops.
#[derive(Debug, Default)]
struct Nowhere(Arc<AtomicU64>);

impl SpanExporter for Nowhere {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}
