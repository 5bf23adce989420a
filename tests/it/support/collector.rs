//! An OTLP collector for tests: takes spans and log records over HTTP or gRPC, decodes them, and fails when
//! asked to.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::{
    self as collect_logs, ExportLogsServiceRequest as LogBatch,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    self as collect, ExportTraceServiceRequest as Batch,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use prost::Message;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tonic::codec::CompressionEncoding;
use tonic::transport::server::TcpIncoming;

/// Longer than any test waits.
const FOREVER: Duration = Duration::from_secs(100);

/// A collector on a free port of this machine; stops listening when dropped.
pub(crate) struct Collector {
    endpoint: String,
    shared: Arc<Shared>,
    /// Ends the gRPC server by being dropped.
    _server: Option<oneshot::Sender<()>>,
}

/// A span as it came in.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedSpan {
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
    pub(crate) parent_span_id: Option<String>,
    pub(crate) name: String,
    /// `INTERNAL`, `CLIENT` ...
    pub(crate) kind: String,
    pub(crate) start_ns: u64,
    pub(crate) end_ns: u64,
    /// `UNSET`, `OK` or `ERROR`.
    pub(crate) status_code: String,
    pub(crate) status_message: String,
    pub(crate) attributes: Map<String, Value>,
    pub(crate) events: Vec<(String, Map<String, Value>)>,
    /// The span ids of the links.
    pub(crate) links: Vec<String>,
    pub(crate) resource: Map<String, Value>,
    pub(crate) scope: String,
}

/// A log record as it came in.
#[derive(Clone, Debug)]
pub(crate) struct ReceivedLog {
    pub(crate) time_ns: u64,
    pub(crate) severity: (i32, String),
    pub(crate) event_name: String,
    pub(crate) body: Value,
    pub(crate) attributes: Map<String, Value>,
    pub(crate) trace_id: String,
    pub(crate) span_id: String,
    pub(crate) flags: u32,
    pub(crate) scope: String,
    pub(crate) resource: Map<String, Value>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    spans: Vec<ReceivedSpan>,
    logs: Vec<ReceivedLog>,
    log_requests: usize,
    headers: HashMap<String, String>,
    requests: usize,
    failures_left: usize,
    failure: u16,
    delay: Duration,
    is_stopped: bool,
}

impl Collector {
    /// A collector that takes protobuf, gzipped or not, over HTTP.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let collector = Self::at(listener.local_addr().unwrap(), None);
        let shared = Arc::clone(&collector.shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if shared.state().is_stopped {
                    break;
                }
                let shared = Arc::clone(&shared);
                thread::spawn(move || while answer(&stream, &shared).is_some() {});
            }
        });
        collector
    }

    /// A collector that takes gRPC, on a runtime of its own.
    pub(crate) fn start_grpc() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let (server, is_dropped) = oneshot::channel();
        let collector = Self::at(listener.local_addr().unwrap(), Some(server));
        let service = collect::trace_service_server::TraceServiceServer::new(Grpc(Arc::clone(
            &collector.shared,
        )))
        .accept_compressed(CompressionEncoding::Gzip);
        let logs = collect_logs::logs_service_server::LogsServiceServer::new(Grpc(Arc::clone(
            &collector.shared,
        )))
        .accept_compressed(CompressionEncoding::Gzip);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        thread::spawn(move || {
            runtime.unwrap().block_on(async {
                let incoming =
                    TcpIncoming::from(tokio::net::TcpListener::from_std(listener).unwrap());
                let stop = async { drop(is_dropped.await) };
                // One server for both: what tells them apart is the path.
                let both = tower::service_fn(move |request: http::Request<tonic::body::Body>| {
                    if request.uri().path().contains("LogsService") {
                        tower::Service::call(&mut logs.clone(), request)
                    } else {
                        tower::Service::call(&mut service.clone(), request)
                    }
                });
                let server = tonic::transport::Server::builder();
                server
                    .serve_with_incoming_shutdown(both, incoming, stop)
                    .await
            })
        });
        collector
    }

    fn at(address: impl std::fmt::Display, server: Option<oneshot::Sender<()>>) -> Self {
        let endpoint = format!("http://{address}");
        Collector {
            endpoint,
            shared: Arc::default(),
            _server: server,
        }
    }

    /// The base URL.
    pub(crate) fn endpoint(&self) -> String {
        self.endpoint.clone()
    }

    /// Answers the next `n` requests with this HTTP status, over gRPC with UNAVAILABLE.
    pub(crate) fn fail_first(self, n: usize, status: u16) -> Self {
        self.shared.state().failures_left = n;
        self.shared.state().failure = status;
        self
    }

    /// Takes this long over each answer.
    pub(crate) fn delay(self, delay: Duration) -> Self {
        self.shared.state().delay = delay;
        self
    }

    /// Takes requests and never answers.
    pub(crate) fn hang(self) -> Self {
        self.delay(FOREVER)
    }

    /// The spans so far.
    pub(crate) fn spans(&self) -> Vec<ReceivedSpan> {
        self.shared.state().spans.clone()
    }

    /// Waits until there are at least `n` spans, and no longer than `timeout`.
    pub(crate) fn wait_for(&self, n: usize, timeout: Duration) -> Vec<ReceivedSpan> {
        self.shared
            .wait(timeout, |state| state.spans.len() >= n)
            .spans
            .clone()
    }

    /// The log records so far.
    pub(crate) fn logs(&self) -> Vec<ReceivedLog> {
        self.shared.state().logs.clone()
    }

    /// Waits until there are at least `n` log records, and no longer than `timeout`.
    pub(crate) fn wait_for_logs(&self, n: usize, timeout: Duration) -> Vec<ReceivedLog> {
        let state = self.shared.wait(timeout, |state| state.logs.len() >= n);
        state.logs.clone()
    }

    /// How many requests with log records have come in, answered or not.
    pub(crate) fn log_requests(&self) -> usize {
        self.shared.state().log_requests
    }

    /// Waits until that many have come in.
    pub(crate) fn wait_for_log_requests(&self, n: usize, timeout: Duration) {
        let state = self.shared.wait(timeout, |state| state.log_requests >= n);
        assert!(state.log_requests >= n, "{} requests", state.log_requests);
    }

    /// How many requests have come in, answered or not.
    pub(crate) fn requests(&self) -> usize {
        self.shared.state().requests
    }

    /// A header of the last request by its lower-case name; over HTTP `:path` is its path.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.shared.state().headers.get(name).cloned()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.shared.state().is_stopped = true;
        self.shared.changed.notify_all();
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(self.endpoint.trim_start_matches("http://"));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn wait(&self, timeout: Duration, done: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let wait = self
            .changed
            .wait_timeout_while(self.state(), timeout, |state| !done(state));
        wait.unwrap().0
    }

    /// Notes a request and says how long its answer takes, and how it fails if it does.
    fn arrived(&self, headers: HashMap<String, String>) -> (Duration, Option<u16>) {
        let mut state = self.state();
        state.requests += 1;
        let path = headers.get(":path").map(String::as_str);
        state.log_requests += usize::from(path.is_some_and(|path| path.ends_with("/v1/logs")));
        state.headers = headers;
        self.changed.notify_all();
        let failure = (state.failures_left > 0).then_some(state.failure);
        state.failures_left = state.failures_left.saturating_sub(1);
        (state.delay, failure)
    }

    fn keep(&self, request: Batch) {
        let spans = decoded(request);
        self.state().spans.extend(spans);
        self.changed.notify_all();
    }

    fn keep_logs(&self, request: LogBatch) {
        let logs = decoded_logs(request);
        self.state().logs.extend(logs);
        self.changed.notify_all();
    }
}

/// Answers one HTTP request; `None` ends the connection.
fn answer(stream: &TcpStream, shared: &Shared) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = HashMap::from([(":path".to_owned(), path)]);
    loop {
        line.clear();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    if headers
        .get("content-encoding")
        .is_some_and(|encoding| encoding == "gzip")
    {
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&body[..])
            .read_to_end(&mut plain)
            .ok()?;
        body = plain;
    }
    let is_logs = headers[":path"].ends_with("/v1/logs");
    let found = if is_logs || headers[":path"].ends_with("/v1/traces") {
        200
    } else {
        404
    };
    let (delay, failure) = shared.arrived(headers);
    drop(shared.wait(delay, |state| state.is_stopped));
    let status = failure.unwrap_or(found);
    if status == 200 && is_logs {
        shared.keep_logs(LogBatch::decode(&body[..]).ok()?);
    } else if status == 200 {
        shared.keep(Batch::decode(&body[..]).ok()?);
    }
    write!(
        &mut &*stream,
        "HTTP/1.1 {status} -\r\ncontent-length: 0\r\n\r\n"
    )
    .ok()
}

struct Grpc(Arc<Shared>);

#[tonic::async_trait]
impl collect::trace_service_server::TraceService for Grpc {
    async fn export(
        &self,
        request: tonic::Request<Batch>,
    ) -> Result<tonic::Response<collect::ExportTraceServiceResponse>, tonic::Status> {
        self.0.admit(&request, "/v1/traces").await?;
        self.0.keep(request.into_inner());
        Ok(tonic::Response::new(
            collect::ExportTraceServiceResponse::default(),
        ))
    }
}

#[tonic::async_trait]
impl collect_logs::logs_service_server::LogsService for Grpc {
    async fn export(
        &self,
        request: tonic::Request<LogBatch>,
    ) -> Result<tonic::Response<collect_logs::ExportLogsServiceResponse>, tonic::Status> {
        self.0.admit(&request, "/v1/logs").await?;
        self.0.keep_logs(request.into_inner());
        Ok(tonic::Response::new(
            collect_logs::ExportLogsServiceResponse::default(),
        ))
    }
}

impl Shared {
    /// Notes a request over gRPC, by the path that it would have over HTTP, and fails it if told to.
    async fn admit<T>(&self, request: &tonic::Request<T>, path: &str) -> Result<(), tonic::Status> {
        let headers = request.metadata().clone().into_headers();
        let headers = headers
            .iter()
            .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())));
        let path = (":path".to_owned(), path.to_owned());
        let (delay, failure) = self.arrived(headers.chain([path]).collect());
        tokio::time::sleep(delay).await;
        if failure.is_some() {
            return Err(tonic::Status::unavailable("told to fail"));
        }
        Ok(())
    }
}

fn decoded_logs(request: LogBatch) -> Vec<ReceivedLog> {
    let mut logs = Vec::new();
    for group in request.resource_logs {
        let resource = attributes(group.resource.unwrap_or_default().attributes);
        for scoped in group.scope_logs {
            let scope = scoped.scope.unwrap_or_default().name;
            logs.extend(scoped.log_records.into_iter().map(|log| ReceivedLog {
                time_ns: log.time_unix_nano,
                severity: (log.severity_number, log.severity_text),
                event_name: log.event_name,
                body: json_of(log.body.unwrap_or_default()),
                attributes: attributes(log.attributes),
                trace_id: hex(&log.trace_id),
                span_id: hex(&log.span_id),
                flags: log.flags,
                scope: scope.clone(),
                resource: resource.clone(),
            }));
        }
    }
    logs
}

fn decoded(request: Batch) -> Vec<ReceivedSpan> {
    let mut spans = Vec::new();
    for group in request.resource_spans {
        let resource = attributes(group.resource.unwrap_or_default().attributes);
        for scoped in group.scope_spans {
            let scope = scoped.scope.unwrap_or_default().name;
            spans.extend(
                scoped
                    .spans
                    .into_iter()
                    .map(|span| received(span, &resource, &scope)),
            );
        }
    }
    spans
}

fn received(span: Span, resource: &Map<String, Value>, scope: &str) -> ReceivedSpan {
    let kind = SpanKind::try_from(span.kind).unwrap().as_str_name();
    let status = span.status.unwrap_or_default();
    let code = StatusCode::try_from(status.code).unwrap().as_str_name();
    let events = span
        .events
        .into_iter()
        .map(|event| (event.name, attributes(event.attributes)));
    ReceivedSpan {
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_span_id: Some(hex(&span.parent_span_id)).filter(|id| !id.is_empty()),
        name: span.name,
        kind: kind.trim_start_matches("SPAN_KIND_").to_owned(),
        start_ns: span.start_time_unix_nano,
        end_ns: span.end_time_unix_nano,
        status_code: code.trim_start_matches("STATUS_CODE_").to_owned(),
        status_message: status.message,
        attributes: attributes(span.attributes),
        events: events.collect(),
        links: span.links.iter().map(|link| hex(&link.span_id)).collect(),
        resource: resource.clone(),
        scope: scope.to_owned(),
    }
}

/// Attributes by key; a key that came twice is a mistake that a test should see.
fn attributes(pairs: Vec<KeyValue>) -> Map<String, Value> {
    let mut map = Map::new();
    for KeyValue { key, value, .. } in pairs {
        let former = map.insert(key.clone(), json_of(value.unwrap_or_default()));
        assert!(former.is_none(), "attribute {key} came twice");
    }
    map
}

fn json_of(value: AnyValue) -> Value {
    match value.value {
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::BoolValue(truth)) => json!(truth),
        Some(Any::IntValue(int)) => json!(int),
        Some(Any::DoubleValue(double)) => json!(double),
        Some(Any::ArrayValue(list)) => list.values.into_iter().map(json_of).collect(),
        Some(Any::KvlistValue(map)) => Value::Object(attributes(map.values)),
        _ => Value::Null,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"))
}
