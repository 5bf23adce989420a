//! A model server on loopback: answers each request as it was told to, and remembers what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

const FOREVER: Duration = Duration::from_secs(100);

/// The server; its thread ends with the process.
pub(crate) struct Model {
    pub(crate) url: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    requests: Mutex<Vec<Request>>,
    changed: Condvar,
}

/// A request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// Whether the client went away before it had the whole answer.
    pub(crate) was_left: bool,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// What the server answers.
#[derive(Clone)]
pub(crate) struct Answer {
    status: u16,
    kind: &'static str,
    pieces: Vec<Vec<u8>>,
    end: End,
}

#[derive(Clone, Copy, PartialEq)]
enum End {
    Whole,
    /// The connection is closed in the middle of the body.
    Broken,
    /// No end comes; the server waits until the client leaves.
    Open,
}

impl Answer {
    pub(crate) fn json(body: impl Into<Vec<u8>>) -> Self {
        Answer {
            status: 200,
            kind: "application/json",
            pieces: vec![body.into()],
            end: End::Whole,
        }
    }

    /// A stream that is cut into pieces of this size.
    pub(crate) fn stream(kind: &'static str, body: &[u8], size: usize) -> Self {
        Answer {
            status: 200,
            kind,
            pieces: body.chunks(size).map(<[u8]>::to_vec).collect(),
            end: End::Whole,
        }
    }

    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn broken(mut self) -> Self {
        self.end = End::Broken;
        self
    }

    pub(crate) fn open(mut self) -> Self {
        self.end = End::Open;
        self
    }
}

impl Model {
    /// Gives these answers in turn, the last one again and again.
    pub(crate) fn answering(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared::default());
        let mut answers: Vec<_> = answers.into_iter().collect();
        let server = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let answer = match answers.len() {
                    1 => answers[0].clone(),
                    _ => answers.remove(0),
                };
                let shared = Arc::clone(&server);
                thread::spawn(move || serve(stream, &answer, &shared));
            }
        });
        Model { url, shared }
    }

    /// What was asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// Waits until the client has left in the middle of an answer.
    pub(crate) fn wait_until_left(&self) {
        let requests = self.shared.requests.lock().unwrap();
        let is_left = |requests: &mut Vec<Request>| !requests.iter().any(|it| it.was_left);
        let waited = self
            .shared
            .changed
            .wait_timeout_while(requests, FOREVER, is_left)
            .unwrap();
        assert!(!waited.1.timed_out(), "nobody left");
    }
}

fn serve(stream: TcpStream, answer: &Answer, shared: &Shared) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let Some(request) = read(&mut reader) else {
        return;
    };
    let place = {
        let mut requests = shared.requests.lock().unwrap();
        requests.push(request);
        requests.len() - 1
    };
    if write(stream, answer).is_err() || answer.end == End::Open {
        // Reading ends when the other side closes.
        let _ = reader.read(&mut [0]);
        shared.requests.lock().unwrap()[place].was_left = true;
        shared.changed.notify_all();
    }
}

fn read(reader: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let find = |name: &str| headers.iter().find(|(key, _)| key == name);
    let mut body = Vec::new();
    if let Some((_, length)) = find("content-length") {
        body.resize(length.parse().ok()?, 0);
        reader.read_exact(&mut body).ok()?;
    } else if find("transfer-encoding").is_some() {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size).ok()?;
            let size = usize::from_str_radix(size.trim_end(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            reader.read_exact(&mut chunk).ok()?;
            if size == 0 {
                break;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }
    Some(Request {
        path,
        headers,
        body,
        was_left: false,
    })
}

fn write(mut stream: TcpStream, answer: &Answer) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    write!(
        stream,
        "HTTP/1.1 {} X\r\ncontent-type: {}\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n",
        answer.status, answer.kind
    )?;
    for piece in &answer.pieces {
        write!(stream, "{:x}\r\n", piece.len())?;
        stream.write_all(piece)?;
        stream.write_all(b"\r\n")?;
        stream.flush()?;
    }
    match answer.end {
        End::Whole => stream.write_all(b"0\r\n\r\n"),
        End::Broken | End::Open => Ok(()),
    }
}
