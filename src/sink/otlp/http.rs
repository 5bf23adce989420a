//! OTLP over HTTP/protobuf with a blocking client, so that no async runtime is needed or found.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanExporter as _};
use ureq::tls::{PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

use super::endpoint::Endpoint;
use super::exporter::{Exit, Undelivered};
use super::partial_success;
use super::tally::reason;
use super::transport::Transport;
use crate::config::ExportConfig;

/// More of an answer is not read: a collector has little to say.
const MAX_ANSWER: u64 = 64 * 1024;

/// The way out over HTTP.
#[derive(Debug)]
pub(super) struct Http {
    exporter: SpanExporter,
    last: Last,
    endpoint: Endpoint,
}

/// What the client saw last and the SDK's exporter does not pass on.
type Last = Arc<Mutex<Option<Seen>>>;

#[derive(Debug)]
enum Seen {
    Failure(String),
    Rejected { spans: usize, why: String },
}

impl Http {
    /// Makes the exporter; connects to nothing yet.
    pub(super) fn build(config: &ExportConfig, transport: &Transport) -> Result<Self, String> {
        let endpoint = Endpoint::http(config)?;
        let last = Last::default();
        let client = Client {
            agent: agent(transport)?,
            headers: headers(config, &endpoint)?,
            timeout: transport.timeout,
            last: Arc::clone(&last),
        };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&endpoint.url)
            .with_timeout(transport.timeout)
            .with_headers(HashMap::from([("User-Agent".to_owned(), user_agent())]))
            .build()
            .map_err(|error| format!("cannot export to {}: {error}", endpoint.shown))?;
        Ok(Http {
            exporter,
            last,
            endpoint,
        })
    }
}

#[async_trait]
impl Exit for Http {
    async fn send(&self, batch: Vec<SpanData>) -> Result<(), Undelivered> {
        let spans = batch.len();
        locked(&self.last).take();
        let outcome = self.exporter.export(batch).await;
        match (outcome, locked(&self.last).take()) {
            (Ok(()), Some(Seen::Rejected { spans, why })) => Err(Undelivered {
                reason: reason::REJECTED,
                spans,
                why,
            }),
            (Ok(()), _) => Ok(()),
            (Err(_), Some(Seen::Failure(why))) => Err(Undelivered {
                reason: reason::HTTP,
                spans,
                why,
            }),
            (Err(error), _) => Err(Undelivered {
                reason: reason::HTTP,
                spans,
                why: error.to_string(),
            }),
        }
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }

    fn destination(&self) -> String {
        self.endpoint.shown.clone()
    }
}

/// Blocks its thread, which is the batch processor's own: given explicitly, because the client that
/// the SDK picks by itself depends on the features of every crate in the program.
struct Client {
    agent: ureq::Agent,
    headers: Vec<(HeaderName, HeaderValue)>,
    timeout: Duration,
    last: Last,
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (mut parts, body) = request.into_parts();
        for (name, value) in &self.headers {
            parts.headers.insert(name, value.clone());
        }
        let answer = self
            .agent
            .run(Request::from_parts(parts, &body[..]))
            .map_err(|error| {
                let why = explained(&error, self.timeout);
                *locked(&self.last) = Some(Seen::Failure(why.clone()));
                why
            })?;
        let (parts, body) = answer.into_parts();
        // The status has said it all: an answer cut short does not make the batch come again.
        let body = body
            .into_with_config()
            .limit(MAX_ANSWER)
            .read_to_vec()
            .unwrap_or_default();
        *locked(&self.last) = seen(parts.status, &body);
        Ok(Response::from_parts(parts, body.into()))
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

fn seen(status: StatusCode, body: &[u8]) -> Option<Seen> {
    if !status.is_success() {
        return Some(Seen::Failure(format!("the collector answered {status}")));
    }
    let (spans, why) = partial_success::rejected(body)?;
    Some(Seen::Rejected {
        spans,
        why: format!("the collector rejected {spans} of them: {why:?}"),
    })
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

fn locked(last: &Last) -> MutexGuard<'_, Option<Seen>> {
    last.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::{Seen, headers, seen};
    use crate::config::ExportConfig;
    use crate::sink::otlp::endpoint::Endpoint;

    #[test]
    fn a_header_that_cannot_be_sent_is_named_without_its_value() {
        let config = ExportConfig {
            endpoint: Some("http://ada:pw@c".to_owned()),
            headers: vec![("x-key".to_owned(), "hush\n".to_owned())],
            ..Default::default()
        };
        let endpoint = Endpoint::http(&config).unwrap();
        let told = headers(&config, &endpoint).unwrap_err();
        assert!(told.contains("x-key") && !told.contains("hush"), "{told}");
        let fine = ExportConfig {
            headers: vec![("X-Key".into(), "v".into())],
            ..config
        };
        let headers = headers(&fine, &endpoint).unwrap();
        assert_eq!(headers[0].0, "authorization");
        assert_eq!(
            (headers[1].0.as_str(), headers[1].1.is_sensitive()),
            ("x-key", true)
        );
    }

    #[test]
    fn an_answer_is_told_by_its_status() {
        assert!(seen(StatusCode::OK, b"").is_none());
        let refused = seen(StatusCode::UNAUTHORIZED, b"");
        assert!(matches!(refused, Some(Seen::Failure(why)) if why.contains("401 Unauthorized")));
    }
}
