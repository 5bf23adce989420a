//! A collector that can be away, slow, rude or broken, and remembers what it was sent.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

/// Longer than anything here takes; a test that reaches it has failed.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// How a request is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    /// As a collector should.
    Take,
    /// After this long.
    Slowly(Duration),
    /// With this status; nothing is taken.
    Status(u16),
    /// With this status and the wish to be left alone for so many seconds.
    Later(u16, u64),
    /// Never.
    Hang,
    /// Not at all: the connection ends.
    Close,
    /// With a web page and status 200.
    Page,
    /// With bytes that are no protobuf, and status 200; the spans are taken.
    Garbage,
    /// With half an answer, and status 200; the spans are taken.
    CutShort,
    /// As it should, unless there are more spans than this: then with 413.
    AtMost(usize),
    /// As it should, unless a span has this name: then the connection ends.
    CloseOn(&'static str),
}

/// A request that came in.
pub(crate) struct Request {
    pub(crate) at: Instant,
    pub(crate) spans: Vec<Span>,
    pub(crate) is_taken: bool,
}

/// Listens while it lives.
pub(crate) struct Collector {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    replies: VecDeque<Reply>,
    usual: Option<Reply>,
    requests: Vec<Request>,
    is_stopped: bool,
}

/// A port that nobody listens on: bound once, and given back.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// A door to that port which speaks TLS, with a certificate that signed itself; gives its own port.
pub(crate) fn behind_tls(port: u16) -> u16 {
    let certificate = include_bytes!("certificate/collector.der").as_slice();
    let key = include_bytes!("certificate/collector.key.der").as_slice();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], key.try_into().unwrap())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let door = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let stream = rustls::StreamOwned::new(connection, stream);
            thread::spawn(move || pass_on(stream, port));
        }
    });
    door
}

/// Passes one request on, and its answer back.
fn pass_on(
    mut outer: rustls::StreamOwned<rustls::ServerConnection, TcpStream>,
    port: u16,
) -> Option<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        outer.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let text = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))?
        .trim();
    let mut body = vec![0; length.parse().ok()?];
    outer.read_exact(&mut body).ok()?;
    let mut inner = TcpStream::connect(("127.0.0.1", port)).ok()?;
    inner.write_all(&head).ok()?;
    inner.write_all(&body).ok()?;
    let mut answer = vec![0; 4096];
    let read = inner.read(&mut answer).ok()?;
    outer.write_all(&answer[..read]).ok()?;
    outer.conn.send_close_notify();
    outer.flush().ok()
}

pub(crate) fn endpoint(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

impl Collector {
    pub(crate) fn start() -> Self {
        Self::start_at(0)
    }

    /// One that comes (back) at this port.
    pub(crate) fn start_at(port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let collector = Collector {
            port: listener.local_addr().unwrap().port(),
            shared: Arc::default(),
        };
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

    /// Answers every request so, from now on.
    pub(crate) fn always(self, reply: Reply) -> Self {
        self.shared.state().usual = Some(reply);
        self
    }

    /// Answers the next requests so.
    pub(crate) fn first(self, replies: impl IntoIterator<Item = Reply>) -> Self {
        self.shared.state().replies.extend(replies);
        self
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn endpoint(&self) -> String {
        endpoint(self.port)
    }

    /// Every span that was taken, in the order of its coming.
    pub(crate) fn spans(&self) -> Vec<Span> {
        spans(&self.shared.state())
    }

    /// Every span of every request, taken or not.
    pub(crate) fn seen(&self) -> Vec<Vec<Span>> {
        let state = self.shared.state();
        let requests = state.requests.iter();
        requests.map(|request| request.spans.clone()).collect()
    }

    /// When the requests came.
    pub(crate) fn times(&self) -> Vec<Instant> {
        let state = self.shared.state();
        state.requests.iter().map(|request| request.at).collect()
    }

    /// Waits until so many spans were taken.
    pub(crate) fn wait_for(&self, spans: usize) -> Vec<Span> {
        self.wait(|state| self::spans(state).len() >= spans);
        self.spans()
    }

    fn wait(&self, is_done: impl Fn(&State) -> bool) {
        let state = self.shared.state();
        let waited = self
            .shared
            .changed
            .wait_timeout_while(state, SOON, |state| !is_done(state));
        drop(waited.unwrap());
    }
}

fn spans(state: &State) -> Vec<Span> {
    let taken = state.requests.iter().filter(|request| request.is_taken);
    taken.flat_map(|request| request.spans.clone()).collect()
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.shared.state().is_stopped = true;
        self.shared.changed.notify_all();
        // Wakes the thread that listens.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn pause(&self, length: Duration) {
        let state = self.state();
        let waited = self
            .changed
            .wait_timeout_while(state, length, |state| !state.is_stopped);
        drop(waited.unwrap());
    }
}

/// Answers one request; `None` ends the connection.
fn answer(stream: &TcpStream, shared: &Shared) -> Option<()> {
    let spans = read(stream)?;
    let reply = {
        let mut state = shared.state();
        if state.is_stopped {
            return None;
        }
        let usual = state.usual.unwrap_or(Reply::Take);
        state.replies.pop_front().unwrap_or(usual)
    };
    if let Reply::Slowly(length) = reply {
        shared.pause(length);
    }
    let is_taken = match reply {
        Reply::Take | Reply::Slowly(_) | Reply::Garbage | Reply::CutShort => true,
        Reply::AtMost(most) => spans.len() <= most,
        Reply::CloseOn(name) => spans.iter().all(|span| span.name != name),
        _ => false,
    };
    shared.state().requests.push(Request {
        at: Instant::now(),
        spans,
        is_taken,
    });
    shared.changed.notify_all();
    let (status, headers, body) = match reply {
        Reply::Hang => {
            shared.pause(SOON);
            return None;
        }
        Reply::Close => return None,
        Reply::CloseOn(_) if !is_taken => return None,
        Reply::Status(status) => (status, String::new(), &b""[..]),
        Reply::Later(status, seconds) => (status, format!("retry-after: {seconds}\r\n"), &b""[..]),
        Reply::Page => (
            200,
            "content-type: text/html\r\n".to_owned(),
            &b"<html>"[..],
        ),
        Reply::Garbage => (200, String::new(), &[0xff; 12][..]),
        Reply::AtMost(_) if !is_taken => (413, String::new(), &b""[..]),
        Reply::CutShort => {
            let head = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf";
            let _ = (&mut &*stream).write_all(head.as_bytes());
            return None;
        }
        _ => (200, String::new(), &b""[..]),
    };
    let length = body.len();
    let head = format!("HTTP/1.1 {status} -\r\n{headers}content-length: {length}\r\n\r\n");
    let mut stream = stream;
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()
}

/// Reads one request to its end.
fn read(stream: &TcpStream) -> Option<Vec<Span>> {
    let mut reader = BufReader::new(stream);
    let mut headers = HashMap::new();
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
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
    let request = ExportTraceServiceRequest::decode(&body[..]).ok()?;
    let scopes = request
        .resource_spans
        .into_iter()
        .flat_map(|resource| resource.scope_spans);
    Some(scopes.flat_map(|scope| scope.spans).collect())
}
