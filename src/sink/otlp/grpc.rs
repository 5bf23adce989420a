//! OTLP over gRPC on a runtime and a thread of its own, whatever runtime the program has or has not.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry::Context;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use tokio::sync::{mpsc, oneshot};
use tonic::metadata::{Ascii, MetadataKey, MetadataValue};
use tracing::Dispatch;

use super::endpoint::Endpoint;
use super::exporter::{Exit, Undelivered};
use super::tally::reason;
use super::transport::Transport;
use crate::config::ExportConfig;

/// How long the thread may take to come up.
const START: Duration = Duration::from_secs(5);
/// What is left to tonic's own timeouts before a batch is given up. Connecting has none.
const GRACE: Duration = Duration::from_millis(500);

type Metadata = Vec<(MetadataKey<Ascii>, MetadataValue<Ascii>)>;

/// The way out over gRPC: a line to the thread that drives it. The thread ends with this value.
#[derive(Debug)]
pub(super) struct Grpc {
    jobs: mpsc::UnboundedSender<Job>,
    endpoint: Endpoint,
}

#[derive(Debug)]
enum Job {
    SetResource(Resource),
    Send(Vec<SpanData>, oneshot::Sender<Result<(), String>>),
}

impl Grpc {
    /// Starts the thread; connects to nothing yet.
    pub(super) fn build(config: &ExportConfig, transport: &Transport) -> Result<Self, String> {
        let endpoint = Endpoint::grpc(config)?;
        let worker = Worker {
            url: endpoint.url.clone(),
            metadata: metadata(config, &endpoint)?,
            transport: transport.clone(),
        };
        let (jobs, inbox) = mpsc::unbounded_channel();
        let (ready, is_ready) = sync_channel(1);
        thread::Builder::new()
            .name("hermes-otlp-grpc".to_owned())
            .spawn(move || worker.run(inbox, &ready))
            .map_err(|error| format!("cannot start the thread for gRPC export: {error}"))?;
        match is_ready.recv_timeout(START) {
            Ok(Ok(())) => Ok(Grpc { jobs, endpoint }),
            Ok(Err(why)) => Err(format!("cannot export to {}: {why}", endpoint.shown)),
            Err(_) => Err("the thread for gRPC export does not come up".to_owned()),
        }
    }
}

#[async_trait]
impl Exit for Grpc {
    async fn send(&self, batch: Vec<SpanData>) -> Result<(), Undelivered> {
        let spans = batch.len();
        let (answer, outcome) = oneshot::channel();
        // Where the thread is gone the answer's other end goes with the job.
        let _ = self.jobs.send(Job::Send(batch, answer));
        outcome
            .await
            .unwrap_or_else(|_| Err("the thread for gRPC export has ended".to_owned()))
            .map_err(|why| Undelivered {
                reason: reason::GRPC,
                spans,
                why,
            })
    }

    fn set_resource(&mut self, resource: &Resource) {
        let _ = self.jobs.send(Job::SetResource(resource.clone()));
    }

    fn destination(&self) -> String {
        self.endpoint.shown.clone()
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
    fn run(self, inbox: mpsc::UnboundedReceiver<Job>, ready: &SyncSender<Result<(), String>>) {
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
        runtime.block_on(async {
            // Inside the runtime: the channel spawns its tasks when it is made.
            match self.exporter() {
                Ok(exporter) => {
                    let _ = ready.send(Ok(()));
                    serve(exporter, inbox, limit).await;
                }
                Err(why) => drop(ready.send(Err(why))),
            }
        });
        // A name lookup that hangs is not waited for.
        runtime.shutdown_background();
    }

    fn exporter(self) -> Result<SpanExporter, String> {
        let tls = match &self.transport.trusted {
            Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
            // tonic trusts nobody unless told to, whatever roots are built in.
            None => ClientTlsConfig::new().with_webpki_roots(),
        };
        let metadata = self.metadata;
        SpanExporter::builder()
            .with_tonic()
            .with_endpoint(self.url)
            .with_timeout(self.transport.timeout)
            .with_tls_config(tls)
            // An interceptor comes after the headers of the environment, and what the
            // configuration says counts before them.
            .with_interceptor(move |mut request: tonic::Request<()>| {
                for (key, value) in &metadata {
                    request.metadata_mut().insert(key.clone(), value.clone());
                }
                Ok(request)
            })
            .build()
            .map_err(|error| error.to_string())
    }
}

async fn serve(
    mut exporter: SpanExporter,
    mut inbox: mpsc::UnboundedReceiver<Job>,
    limit: Duration,
) {
    while let Some(job) = inbox.recv().await {
        match job {
            Job::SetResource(resource) => exporter.set_resource(&resource),
            Job::Send(batch, answer) => {
                let outcome = match tokio::time::timeout(limit, exporter.export(batch)).await {
                    Ok(outcome) => explained(outcome),
                    Err(_) => Err(format!("no answer within {limit:?}")),
                };
                let _ = answer.send(outcome);
            }
        }
    }
}

fn explained(outcome: OTelSdkResult) -> Result<(), String> {
    match outcome {
        Ok(()) => Ok(()),
        Err(OTelSdkError::InternalFailure(why)) => Err(why.replace(
            "TonicTracesClient export failed with gRPC code: ",
            "gRPC status ",
        )),
        Err(error) => Err(error.to_string()),
    }
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

    #[test]
    fn a_failure_is_told_by_its_status() {
        let failure = "TonicTracesClient export failed with gRPC code: Unavailable: no route";
        let told = explained(Err(OTelSdkError::InternalFailure(failure.to_owned()))).unwrap_err();
        assert_eq!(told, "gRPC status Unavailable: no route");
    }
}
