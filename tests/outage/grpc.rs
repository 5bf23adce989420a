//! The same over gRPC: what may be tried again is, and what may not is counted.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::sync::oneshot;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Request, Response, Status};

use crate::agent::{Bench, SESSION, assert_whole, session};
use crate::collector::{SOON, endpoint, free_port};

/// The spans of one session, as they are counted.
const COUNT: u64 = SESSION as u64;

/// What a request is answered with; the next one is taken from the end.
type Replies = Arc<Mutex<Vec<Status>>>;

#[derive(Clone, Default)]
struct Service {
    replies: Replies,
    spans: Arc<Mutex<Vec<Span>>>,
}

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        if let Some(refusal) = self.replies.lock().unwrap().pop() {
            return Err(refusal);
        }
        let resources = request.into_inner().resource_spans.into_iter();
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        let spans = scopes.flat_map(|scope| scope.spans);
        self.spans.lock().unwrap().extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// A collector on gRPC; it stops when this is dropped.
struct Server {
    service: Service,
    port: u16,
    _stop: oneshot::Sender<()>,
}

impl Server {
    fn start_at(port: u16, replies: Vec<Status>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let service = Service {
            replies: Arc::new(Mutex::new(replies)),
            ..Service::default()
        };
        let (stop, is_stopped) = oneshot::channel();
        let served = TraceServiceServer::new(service.clone());
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build();
            runtime.unwrap().block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let stop = async { drop(is_stopped.await) };
                tonic::transport::Server::builder()
                    .serve_with_incoming_shutdown(served, TcpIncoming::from(listener), stop)
                    .await
            })
        });
        Server {
            service,
            port,
            _stop: stop,
        }
    }

    fn wait_for(&self, spans: usize) -> Vec<Span> {
        let begun = Instant::now();
        loop {
            let taken = self.service.spans.lock().unwrap().clone();
            if taken.len() >= spans {
                return taken;
            }
            assert!(begun.elapsed() < SOON, "{} spans came", taken.len());
            thread::yield_now();
        }
    }
}

fn bench(port: u16) -> Bench {
    Bench::with(|builder| builder.exporters("otlp_grpc").otlp_endpoint(endpoint(port)))
}

/// `RESOURCE_EXHAUSTED`, with `google.rpc.RetryInfo` where the collector says when to come again.
fn exhausted(retry: Option<Duration>) -> Status {
    let message = |field: u8, content: &[u8]| {
        let length = u8::try_from(content.len()).unwrap();
        [&[field << 3 | 2, length], content].concat()
    };
    let Some(retry) = retry else {
        return Status::resource_exhausted("full");
    };
    let nanoseconds = {
        let mut number = retry.subsec_nanos();
        let mut bytes = vec![2 << 3];
        while number > 0x7f {
            bytes.push(u8::try_from(number & 0x7f).unwrap() | 0x80);
            number >>= 7;
        }
        bytes.push(u8::try_from(number).unwrap());
        bytes
    };
    let info = message(1, &nanoseconds);
    let name = b"type.googleapis.com/google.rpc.RetryInfo";
    let any = [message(1, name), message(2, &info)].concat();
    let code = [1 << 3, 8];
    let details = [&code[..], &message(3, &any)].concat();
    Status::with_details(Code::ResourceExhausted, "full", details.into())
}

#[test]
fn a_collector_that_is_away_gets_everything_when_it_is_back() {
    let port = free_port();
    let bench = bench(port);
    bench.run(session);
    let stats = bench.stats();
    assert_eq!((stats.exported, stats.export_pending), (0, COUNT));
    let server = Server::start_at(port, Vec::new());
    assert_whole(&server.wait_for(SESSION), &bench.stored());
    bench.wait_until(|stats| stats.exported == COUNT && stats.export_pending == 0);
}

#[test]
fn what_may_be_tried_again_is_tried_until_it_is_taken() {
    let soon = Some(Duration::from_millis(10));
    for refusal in [
        Status::unavailable("no"),
        Status::aborted("no"),
        exhausted(soon),
    ] {
        // More often than the first sending is tried.
        let server = Server::start_at(0, vec![refusal.clone(); 6]);
        let bench = bench(server.port);
        bench.run(session);
        assert_eq!(bench.stats().export_pending, COUNT, "{refusal}");
        assert_whole(&server.wait_for(SESSION), &bench.stored());
        let stats = bench.wait_until(|stats| stats.exported == COUNT);
        assert!(stats.export_dropped.is_empty(), "{refusal}: {stats:?}");
    }
}

#[test]
fn what_is_refused_for_good_is_counted_and_not_sent_again() {
    for refusal in [
        Status::invalid_argument("no"),
        Status::unauthenticated("no"),
        exhausted(None),
    ] {
        let server = Server::start_at(0, vec![refusal.clone()]);
        let bench = bench(server.port);
        bench.run(session);
        let stats = bench.stats();
        assert_eq!(stats.export_dropped["otlp_grpc"], COUNT, "{refusal}");
        assert_eq!(stats.export_pending, 0, "{refusal}");
        bench.run(session);
        assert_eq!(server.wait_for(SESSION).len(), SESSION, "{refusal}");
    }
}
