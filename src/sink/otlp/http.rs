//! OTLP over HTTP/protobuf with a blocking client, so that no async runtime is needed or found.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, RetryPolicy, SpanExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use ureq::tls::{PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

use super::answer::{Answer, retry_after};
use super::closing::Closing;
use super::endpoint::Endpoint;
use super::line::{Exit, OVER_HTTP, Patience, Undelivered, Verdict};
use super::signal::{Signal, TRACES};
use super::tally::reason;
use super::transport::Transport;
use crate::config::ExportConfig;
use crate::policy::Permit;

/// More of an answer is not read: a collector has little to say.
const MAX_ANSWER: u64 = 64 * 1024;
/// The pause before the first retry; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The way out over HTTP.
#[derive(Debug)]
pub(super) struct Http {
    exporter: SpanExporter,
    post: Post,
}

/// What every exporter over HTTP has beside itself, whatever it sends.
#[derive(Debug)]
pub(super) struct Post {
    call: Call,
    endpoint: Endpoint,
}

/// What the SDK's exporter passes neither to the client nor from it.
type Call = Arc<Mutex<Said>>;

#[derive(Debug, Default)]
struct Said {
    patience: Patience,
    answer: Option<Answer>,
}

impl Http {
    /// Makes the exporter; connects to nothing yet.
    pub(super) fn build(
        permit: &Permit,
        config: &ExportConfig,
        transport: &Transport,
        closing: &Arc<Closing>,
    ) -> Result<Self, String> {
        let builder = SpanExporter::builder().with_http();
        let (builder, post) = Post::set_up(permit, builder, TRACES, config, transport, closing)?;
        let exporter = builder.build().map_err(|error| post.told(&error))?;
        Ok(Http { exporter, post })
    }
}

#[async_trait]
impl Exit for Http {
    async fn send(&self, batch: Vec<SpanData>, patience: Patience) -> Result<(), Undelivered> {
        let spans = batch.len();
        self.post.begin(patience);
        let outcome = self.exporter.export(batch).await;
        self.post.outcome(outcome, spans)
    }

    fn bit(&self) -> u8 {
        OVER_HTTP
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }

    fn destination(&self) -> String {
        self.post.destination()
    }
}

impl Post {
    /// Gives an exporter's builder our client and all that the client needs.
    pub(super) fn set_up<B: WithExportConfig + WithHttpConfig>(
        _: &Permit,
        builder: B,
        signal: Signal,
        config: &ExportConfig,
        transport: &Transport,
        closing: &Arc<Closing>,
    ) -> Result<(B, Self), String> {
        let endpoint = Endpoint::http(config, signal)?;
        let call = Call::default();
        let client = Client {
            agent: agent(transport)?,
            headers: headers(config, &endpoint)?,
            timeout: transport.timeout,
            call: Arc::clone(&call),
            closing: Arc::clone(closing),
        };
        let builder = builder
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&endpoint.url)
            .with_timeout(transport.timeout)
            // The client tries again by itself: it knows what it was answered, and who waits for it.
            .with_retry_policy(RetryPolicy::disabled())
            .with_headers(HashMap::from([("User-Agent".to_owned(), user_agent())]));
        Ok((builder, Post { call, endpoint }))
    }

    /// Before a batch is sent.
    pub(super) fn begin(&self, patience: Patience) {
        *locked(&self.call) = Said {
            patience,
            answer: None,
        };
    }

    /// What came of a batch of so many, by what the exporter and the collector said.
    pub(super) fn outcome(&self, outcome: OTelSdkResult, sent: usize) -> Result<(), Undelivered> {
        let answer = locked(&self.call).answer.take();
        let (reason, refused, why, verdict) = match (outcome, answer) {
            (Ok(()), None | Some(Answer::Taken)) => return Ok(()),
            (_, Some(Answer::Rejected { spans, why })) => {
                (reason::REJECTED, spans, why, Verdict::Final)
            }
            (_, Some(Answer::Failed { why, verdict })) => (reason::HTTP, sent, why, verdict),
            // It came no further than the SDK: a batch too large for it, say.
            (Err(error), _) => (reason::HTTP, sent, error.to_string(), Verdict::TooLarge),
        };
        Err(Undelivered {
            reason,
            spans: refused,
            why,
            verdict,
        })
    }

    /// Why an exporter cannot be made.
    pub(super) fn told(&self, error: &ExporterBuildError) -> String {
        format!("cannot export to {}: {error}", self.endpoint.shown)
    }

    pub(super) fn destination(&self) -> String {
        self.endpoint.shown.clone()
    }
}

/// Blocks its thread, which is the exporter's own: given explicitly, because the client that the SDK
/// picks by itself depends on the features of every crate in the program.
struct Client {
    agent: ureq::Agent,
    headers: Vec<(HeaderName, HeaderValue)>,
    timeout: Duration,
    call: Call,
    closing: Arc<Closing>,
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (mut parts, body) = request.into_parts();
        for (name, value) in &self.headers {
            parts.headers.insert(name, value.clone());
        }
        let patience = locked(&self.call).patience;
        let begun = Instant::now();
        let mut pause = FIRST_PAUSE;
        let mut retries = patience.retries;
        loop {
            let left = self.timeout.saturating_sub(begun.elapsed());
            let (answer, response) = self.ask(&parts, &body, left);
            if let Some(longer) = answer.passes_after(pause)
                && retries > 0
                && !self.closing.is_set()
                && longer <= patience.longest_pause
                && begun.elapsed() + longer < self.timeout
            {
                self.closing.pause(longer);
                pause *= 2;
                retries -= 1;
                continue;
            }
            locked(&self.call).answer = Some(answer);
            return response.ok_or_else(|| "there was no answer".into());
        }
    }
}

impl Client {
    /// One request: what it came to, and the answer where there was one.
    fn ask(
        &self,
        parts: &http::request::Parts,
        body: &Bytes,
        left: Duration,
    ) -> (Answer, Option<Response<Bytes>>) {
        let request = Request::from_parts(parts.clone(), &body[..]);
        let request = self
            .agent
            .configure_request(request)
            .timeout_global(Some(left))
            .build();
        let answer = match self.agent.run(request) {
            Ok(answer) => answer,
            Err(error) => {
                let verdict = if never_arrived(&error) {
                    Verdict::Away(None)
                } else {
                    Verdict::Unclear
                };
                let why = explained(&error, self.timeout);
                return (Answer::Failed { why, verdict }, None);
            }
        };
        let (parts, body) = answer.into_parts();
        // The status has said it all: an answer cut short does not make the batch come again.
        let body = body
            .into_with_config()
            .limit(MAX_ANSWER)
            .read_to_vec()
            .unwrap_or_default();
        let asked = retry_after(&parts.headers, SystemTime::now());
        let answer = Answer::of(parts.status, &parts.headers, &body, asked);
        (answer, Some(Response::from_parts(parts, body.into())))
    }
}

/// The headers may hold credentials.
impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

fn agent(transport: &Transport) -> Result<ureq::Agent, String> {
    let mut roots = RootCerts::WebPki;
    if let Some(pem) = &transport.trusted {
        let mut certificates = Vec::new();
        for item in parse_pem(pem) {
            match item {
                Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
                Ok(_) => {}
                Err(error) => return Err(format!("OTEL_EXPORTER_OTLP_CERTIFICATE: {error}")),
            }
        }
        if certificates.is_empty() {
            return Err("OTEL_EXPORTER_OTLP_CERTIFICATE holds no certificate".to_owned());
        }
        roots = RootCerts::from(certificates);
    }
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .root_certs(roots)
        .build();
    Ok(ureq::Agent::config_builder()
        .http_status_as_error(false)
        // A redirected request would carry its credentials along.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(transport.timeout))
        .tls_config(tls)
        .build()
        .into())
}

/// The headers of the configuration, which count before those of the environment that the SDK's
/// exporter adds.
fn headers(
    config: &ExportConfig,
    endpoint: &Endpoint,
) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    endpoint
        .headers(config)
        .map(|(name, value)| {
            let header = HeaderName::from_bytes(name.trim().as_bytes());
            match (header, HeaderValue::from_str(value)) {
                (Ok(header), Ok(mut value)) => {
                    value.set_sensitive(true);
                    Ok((header, value))
                }
                // The value may be a key: only the name is said.
                _ => Err(format!("the header {name:?} cannot be sent")),
            }
        })
        .collect()
}

fn user_agent() -> String {
    format!("hermes/{} (opentelemetry-otlp)", env!("CARGO_PKG_VERSION"))
}

/// Whether a request failed before the collector can have taken it.
fn never_arrived(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Io(error) => matches!(
            error.kind(),
            ErrorKind::ConnectionRefused
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable
                | ErrorKind::AddrNotAvailable
                // How rustls tells of a certificate it does not trust, or of no TLS at all.
                | ErrorKind::InvalidData
        ),
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve)
        | ureq::Error::HostNotFound
        | ureq::Error::Tls(_)
        | ureq::Error::Rustls(_)
        | ureq::Error::ConnectionFailed => true,
        _ => false,
    }
}

/// The failure in a reader's words.
fn explained(error: &ureq::Error, timeout: Duration) -> String {
    match error {
        ureq::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
            "connection refused".to_owned()
        }
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::Timeout(_) => format!("no answer within {timeout:?}"),
        ureq::Error::HostNotFound => "host not found".to_owned(),
        other => other.to_string(),
    }
}

fn locked(call: &Call) -> MutexGuard<'_, Said> {
    call.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{TRACES, headers};
    use crate::config::ExportConfig;
    use crate::sink::otlp::endpoint::Endpoint;

    #[test]
    fn a_header_that_cannot_be_sent_is_named_without_its_value() {
        let config = ExportConfig {
            endpoint: Some("http://ada:pw@c".to_owned()),
            headers: vec![("x-key".to_owned(), "hush\n".to_owned())].into(),
            ..Default::default()
        };
        let endpoint = Endpoint::http(&config, TRACES).unwrap();
        let told = headers(&config, &endpoint).unwrap_err();
        assert!(told.contains("x-key") && !told.contains("hush"), "{told}");
        let fine = ExportConfig {
            headers: vec![("X-Key".to_owned(), "v".to_owned())].into(),
            ..config
        };
        let headers = headers(&fine, &endpoint).unwrap();
        assert_eq!(headers[0].0, "authorization");
        assert_eq!(
            (headers[1].0.as_str(), headers[1].1.is_sensitive()),
            ("x-key", true)
        );
    }
}
