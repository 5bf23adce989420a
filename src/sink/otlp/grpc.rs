//! OTLP over gRPC on a runtime and a thread of its own, whatever runtime the program has or has not.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::Context;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::sync::{mpsc, oneshot};
use tonic::metadata::{Ascii, MetadataKey, MetadataValue};
use tracing::Dispatch;

use super::endpoint::Endpoint;
use super::line::{Exit, OVER_GRPC, Patience, Undelivered, Verdict};
use super::signal::{Signal, TRACES};
use super::tally::reason;
use super::transport::Transport;
use crate::config::ExportConfig;
use crate::policy::Permit;

/// How long the thread may take to come up.
const START: Duration = Duration::from_secs(5);
/// What is left to tonic's own timeouts before a batch is given up. Connecting has none.
const GRACE: Duration = Duration::from_millis(500);
/// The time that the SDK's exporter is given for a batch: more than we wait for it. So it comes back
/// early only with what it will not try again.
const SDK_TIMEOUT: Duration = Duration::from_secs(3600);

type Metadata = Vec<(MetadataKey<Ascii>, MetadataValue<Ascii>)>;

/// The way out over gRPC: a line to the thread that drives it. The thread ends with this value.
#[derive(Debug)]
pub(super) struct Grpc<C: Courier> {
    jobs: mpsc::UnboundedSender<Job<C::Batch>>,
    endpoint: Endpoint,
}

/// An exporter of the SDK's over gRPC, for one signal.
pub(super) trait Courier: Sized {
    /// What it sends at once.
    type Batch: std::fmt::Debug + Send + 'static;

    const SIGNAL: Signal;

    /// Makes the exporter, inside the runtime.
    fn build(setup: Setup<'_>) -> Result<Self, ExporterBuildError>;

    fn set_resource(&mut self, resource: &Resource);

    fn carry(&self, batch: Self::Batch) -> impl Future<Output = OTelSdkResult>;
}

impl Courier for SpanExporter {
    type Batch = Vec<SpanData>;

    const SIGNAL: Signal = TRACES;

    fn build(setup: Setup<'_>) -> Result<Self, ExporterBuildError> {
        setup
            .applied_to(SpanExporter::builder().with_tonic())
            .build()
    }

    fn set_resource(&mut self, resource: &Resource) {
        opentelemetry_sdk::trace::SpanExporter::set_resource(self, resource);
    }

    fn carry(&self, batch: Vec<SpanData>) -> impl Future<Output = OTelSdkResult> {
        self.export(batch)
    }
}

#[derive(Debug)]
enum Job<B> {
    SetResource(Resource),
    Send(B, oneshot::Sender<Result<(), Failure>>),
}

/// Why a batch was not taken, and what that means.
type Failure = (String, Verdict);

impl<C: Courier> Grpc<C> {
    /// Starts the thread; connects to nothing yet.
    pub(super) fn build(
        _: &Permit,
        config: &ExportConfig,
        transport: &Transport,
    ) -> Result<Self, String> {
        let endpoint = Endpoint::grpc(config, C::SIGNAL)?;
        let worker = Worker {
            url: endpoint.url.clone(),
            metadata: metadata(config, &endpoint)?,
            transport: transport.clone(),
        };
        let (jobs, inbox) = mpsc::unbounded_channel();
        let (ready, is_ready) = sync_channel(1);
        thread::Builder::new()
            .name("hermes-otlp-grpc".to_owned())
            .spawn(move || worker.run::<C>(inbox, &ready))
            .map_err(|error| format!("cannot start the thread for gRPC export: {error}"))?;
        match is_ready.recv_timeout(START) {
            Ok(Ok(())) => Ok(Grpc { jobs, endpoint }),
            Ok(Err(why)) => Err(format!("cannot export to {}: {why}", endpoint.shown)),
            Err(_) => Err("the thread for gRPC export does not come up".to_owned()),
        }
    }

    /// Has a batch of so many sent. How often it is tried is up to the SDK: about a second at most where
    /// nobody answers.
    pub(super) async fn pass_on(&self, batch: C::Batch, items: usize) -> Result<(), Undelivered> {
        let (answer, outcome) = oneshot::channel();
        // Where the thread is gone the answer's other end goes with the job.
        let _ = self.jobs.send(Job::Send(batch, answer));
        outcome
            .await
            .unwrap_or_else(|_| Err(ended()))
            .map_err(|(why, verdict)| Undelivered {
                reason: reason::GRPC,
                spans: items,
                why,
                verdict,
            })
    }

    /// Says what it all is about, before the first batch.
    pub(super) fn tell(&self, resource: &Resource) {
        let _ = self.jobs.send(Job::SetResource(resource.clone()));
    }

    /// Where it leads, without secrets.
    pub(super) fn shown(&self) -> &str {
        &self.endpoint.shown
    }
}

#[async_trait]
impl Exit for Grpc<SpanExporter> {
    async fn send(&self, batch: Vec<SpanData>, _: Patience) -> Result<(), Undelivered> {
        let spans = batch.len();
        self.pass_on(batch, spans).await
    }

    fn bit(&self) -> u8 {
        OVER_GRPC
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.tell(resource);
    }

    fn destination(&self) -> String {
        self.shown().to_owned()
    }
}

/// What the thread needs to begin.
struct Worker {
    url: String,
    metadata: Metadata,
    transport: Transport,
}

impl Worker {
    /// Drives the exporter until nobody can send it anything any more.
    fn run<C: Courier>(
        self,
        inbox: mpsc::UnboundedReceiver<Job<C::Batch>>,
        ready: &SyncSender<Result<(), String>>,
    ) {
        // The connection's own tasks run here too, between two batches as well: neither `tracing`
        // nor OpenTelemetry is to see them.
        let _untraced = tracing::dispatcher::set_default(&Dispatch::none());
        let _suppressed = Context::enter_telemetry_suppressed_scope();
        let runtime = match tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
        {
            Ok(runtime) => runtime,
            Err(error) => {
                let _ = ready.send(Err(error.to_string()));
                return;
            }
        };
        let limit = self.transport.timeout + GRACE;
        let attempts = Arc::new(AtomicU32::new(0));
        runtime.block_on(async {
            // Inside the runtime: the channel spawns its tasks when it is made.
            let setup = Setup {
                worker: self,
                attempts: &attempts,
            };
            match C::build(setup) {
                Ok(exporter) => {
                    let _ = ready.send(Ok(()));
                    serve(exporter, inbox, limit, &attempts).await;
                }
                Err(why) => drop(ready.send(Err(why.to_string()))),
            }
        });
        // A name lookup that hangs is not waited for.
        runtime.shutdown_background();
    }
}

/// What an exporter is made with.
pub(super) struct Setup<'a> {
    worker: Worker,
    attempts: &'a Arc<AtomicU32>,
}

impl Setup<'_> {
    pub(super) fn applied_to<B: WithExportConfig + WithTonicConfig>(self, builder: B) -> B {
        let tls = match &self.worker.transport.trusted {
            Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
            // tonic trusts nobody unless told to, whatever roots are built in.
            None => ClientTlsConfig::new().with_webpki_roots(),
        };
        let metadata = self.worker.metadata;
        let attempts = Arc::clone(self.attempts);
        builder
            .with_endpoint(self.worker.url)
            .with_timeout(SDK_TIMEOUT)
            .with_tls_config(tls)
            // An interceptor comes after the headers of the environment, and what the
            // configuration says counts before them.
            .with_interceptor(move |mut request: tonic::Request<()>| {
                attempts.fetch_add(1, Ordering::Relaxed);
                for (key, value) in &metadata {
                    request.metadata_mut().insert(key.clone(), value.clone());
                }
                Ok(request)
            })
    }
}

async fn serve<C: Courier>(
    mut exporter: C,
    mut inbox: mpsc::UnboundedReceiver<Job<C::Batch>>,
    limit: Duration,
    attempts: &AtomicU32,
) {
    while let Some(job) = inbox.recv().await {
        match job {
            Job::SetResource(resource) => exporter.set_resource(&resource),
            Job::Send(batch, answer) => {
                attempts.store(0, Ordering::Relaxed);
                let outcome = match tokio::time::timeout(limit, exporter.carry(batch)).await {
                    Ok(outcome) => explained(outcome, attempts.load(Ordering::Relaxed) > 1),
                    Err(_) => Err((format!("no answer within {limit:?}"), Verdict::Unclear)),
                };
                let _ = answer.send(outcome);
            }
        }
    }
}

fn explained(outcome: OTelSdkResult, was_tried_again: bool) -> Result<(), Failure> {
    // After the name of the SDK's client, which differs by signal.
    const SAID: &str = " export failed with gRPC code: ";
    match outcome {
        Ok(()) => Ok(()),
        Err(OTelSdkError::InternalFailure(why)) => match why.split_once(SAID) {
            Some((_, status)) => {
                let verdict = verdict(status, was_tried_again);
                Err((format!("gRPC status {status}"), verdict))
            }
            None => Err((why, Verdict::Final)),
        },
        Err(error) => Err((error.to_string(), Verdict::Final)),
    }
}

/// What the OTLP specification makes of a status. The SDK tries `RESOURCE_EXHAUSTED` again where the
/// collector says when, and not otherwise, which is how the two are told apart here.
fn verdict(status: &str, was_tried_again: bool) -> Verdict {
    let code = status.split(':').next().unwrap_or_default();
    match code {
        "Unavailable" => Verdict::Away(None),
        "ResourceExhausted" if was_tried_again => Verdict::Away(None),
        "Cancelled" | "DeadlineExceeded" | "Aborted" | "OutOfRange" | "DataLoss" => {
            Verdict::Unclear
        }
        _ => Verdict::Final,
    }
}

fn ended() -> Failure {
    let why = "the thread for gRPC export has ended";
    (why.to_owned(), Verdict::Unclear)
}

/// The headers of the configuration as gRPC metadata.
fn metadata(config: &ExportConfig, endpoint: &Endpoint) -> Result<Metadata, String> {
    endpoint
        .headers(config)
        .map(|(name, value)| {
            let key = MetadataKey::from_bytes(name.trim().to_ascii_lowercase().as_bytes());
            match (key, MetadataValue::try_from(value)) {
                (Ok(key), Ok(mut value)) => {
                    value.set_sensitive(true);
                    Ok((key, value))
                }
                // The value may be a key: only the name is said.
                _ => Err(format!(
                    "the header {name:?} cannot be sent as gRPC metadata"
                )),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use opentelemetry_sdk::error::OTelSdkError;

    use super::explained;
    use crate::sink::otlp::line::Verdict;

    fn told(said: &str, was_tried_again: bool) -> (String, Verdict) {
        let failure = format!("TonicTracesClient export failed with gRPC code: {said}");
        explained(Err(OTelSdkError::InternalFailure(failure)), was_tried_again).unwrap_err()
    }

    #[test]
    fn a_failure_is_told_by_its_status() {
        let (why, verdict) = told("Unavailable: no route", true);
        assert_eq!(why, "gRPC status Unavailable: no route");
        assert_eq!(verdict, Verdict::Away(None));
    }

    #[test]
    fn what_the_specification_lets_be_tried_again_is_tried_again() {
        for code in [
            "Cancelled",
            "DeadlineExceeded",
            "Aborted",
            "OutOfRange",
            "DataLoss",
        ] {
            assert_eq!(told(code, true).1, Verdict::Unclear, "{code}");
        }
        for code in [
            "InvalidArgument",
            "Unauthenticated",
            "Internal",
            "Unimplemented",
        ] {
            assert_eq!(told(code, true).1, Verdict::Final, "{code}");
        }
        assert_eq!(told("ResourceExhausted", true).1, Verdict::Away(None));
        assert_eq!(told("ResourceExhausted", false).1, Verdict::Final);
    }
}
