//! A collector that keeps what it is sent as it comes, over HTTP and over gRPC, and says that all is well.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use futures_util::stream;
use opentelemetry_proto::tonic::collector::logs::v1 as collect_logs;
use opentelemetry_proto::tonic::collector::trace::v1 as collect;
use prost::Message;
use tokio::sync::mpsc;
use tonic::codec::CompressionEncoding;
use tonic::{Request, Response, Status};

/// The collector; its threads end with the process.
pub(crate) struct Wire {
    address: SocketAddr,
    received: Shared,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Received>>);

/// What came in, each with its way: protocol and signal.
#[derive(Default)]
struct Received {
    bodies: HashMap<&'static str, Vec<u8>>,
    headers: HashMap<String, String>,
}

pub(crate) const SPANS_OVER_HTTP: &str = "spans over HTTP";
pub(crate) const SPANS_OVER_GRPC: &str = "spans over gRPC";
pub(crate) const LOGS_OVER_HTTP: &str = "log records over HTTP";
pub(crate) const LOGS_OVER_GRPC: &str = "log records over gRPC";
/// All ways.
pub(crate) const WAYS: [&str; 4] = [
    SPANS_OVER_HTTP,
    SPANS_OVER_GRPC,
    LOGS_OVER_HTTP,
    LOGS_OVER_GRPC,
];

impl Wire {
    /// One address for both protocols, for one variable says where both go.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let received = Shared::default();
        let shared = received.clone();
        let over_grpc = serve_grpc(received.clone());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (shared, over_grpc) = (shared.clone(), over_grpc.clone());
                thread::spawn(move || take(stream, &shared, &over_grpc));
            }
        });
        Wire { address, received }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// All that came in one way.
    pub(crate) fn bodies(&self, way: &'static str) -> Vec<u8> {
        let received = self.received.0.lock().unwrap();
        received.bodies.get(way).cloned().unwrap_or_default()
    }

    /// A header of the last request that had it.
    pub(crate) fn header(&self, name: &str) -> String {
        let received = self.received.0.lock().unwrap();
        received.headers.get(name).cloned().unwrap_or_default()
    }
}

impl Shared {
    fn keep(
        &self,
        way: &'static str,
        headers: impl IntoIterator<Item = (String, String)>,
        mut body: Vec<u8>,
    ) {
        let mut received = self.0.lock().unwrap();
        received.headers.extend(headers);
        received.bodies.entry(way).or_default().append(&mut body);
    }
}

/// Who speaks HTTP/2 begins with a word that HTTP/1 has not.
fn take(stream: TcpStream, shared: &Shared, over_grpc: &mpsc::UnboundedSender<TcpStream>) {
    let mut head = [0; 3];
    while stream
        .peek(&mut head)
        .is_ok_and(|read| read > 0 && read < 3)
    {}
    if head == *b"PRI" {
        let _ = over_grpc.send(stream);
    } else {
        while answer(&stream, shared).is_some() {}
    }
}

/// Answers one request; `None` ends the connection.
fn answer(stream: &TcpStream, shared: &Shared) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let way = if line.contains("/v1/logs") {
        LOGS_OVER_HTTP
    } else {
        SPANS_OVER_HTTP
    };
    let mut headers = HashMap::new();
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
        .is_some_and(|how| how == "gzip")
    {
        let mut plain = Vec::new();
        let mut unpacked = flate2::read::GzDecoder::new(&body[..]);
        unpacked.read_to_end(&mut plain).ok()?;
        body = plain;
    }
    shared.keep(way, headers, body);
    write!(&mut &*stream, "HTTP/1.1 200 -\r\ncontent-length: 0\r\n\r\n").ok()
}

/// Serves the connections that are sent here.
fn serve_grpc(shared: Shared) -> mpsc::UnboundedSender<TcpStream> {
    let (sender, inbox) = mpsc::unbounded_channel::<TcpStream>();
    let spans = collect::trace_service_server::TraceServiceServer::new(shared.clone());
    let spans = spans.accept_compressed(CompressionEncoding::Gzip);
    let logs = collect_logs::logs_service_server::LogsServiceServer::new(shared);
    let logs = logs.accept_compressed(CompressionEncoding::Gzip);
    let connections = stream::unfold(inbox, |mut inbox| async {
        let stream = inbox.recv().await?;
        let stream = stream
            .set_nonblocking(true)
            .and_then(|()| tokio::net::TcpStream::from_std(stream));
        Some((stream, inbox))
    });
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let both = tower::service_fn(move |request: http::Request<tonic::body::Body>| {
            if request.uri().path().contains("LogsService") {
                tower::Service::call(&mut logs.clone(), request)
            } else {
                tower::Service::call(&mut spans.clone(), request)
            }
        });
        let builder = tonic::transport::Server::builder();
        let serving = builder.serve_with_incoming(both, connections);
        runtime.unwrap().block_on(serving)
    });
    sender
}

fn metadata<T>(request: &Request<T>) -> Vec<(String, String)> {
    let headers = request.metadata().clone().into_headers();
    let headers = headers.iter();
    headers
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect()
}

#[tonic::async_trait]
impl collect::trace_service_server::TraceService for Shared {
    async fn export(
        &self,
        request: Request<collect::ExportTraceServiceRequest>,
    ) -> Result<Response<collect::ExportTraceServiceResponse>, Status> {
        let headers = metadata(&request);
        self.keep(
            SPANS_OVER_GRPC,
            headers,
            request.into_inner().encode_to_vec(),
        );
        Ok(Response::new(collect::ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl collect_logs::logs_service_server::LogsService for Shared {
    async fn export(
        &self,
        request: Request<collect_logs::ExportLogsServiceRequest>,
    ) -> Result<Response<collect_logs::ExportLogsServiceResponse>, Status> {
        let headers = metadata(&request);
        self.keep(
            LOGS_OVER_GRPC,
            headers,
            request.into_inner().encode_to_vec(),
        );
        Ok(Response::new(
            collect_logs::ExportLogsServiceResponse::default(),
        ))
    }
}
