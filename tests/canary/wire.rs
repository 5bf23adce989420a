//! A collector that keeps what it is sent as it comes, and says that all is well.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// The collector; its threads end with the process.
pub(crate) struct Wire {
    address: SocketAddr,
    received: Arc<Mutex<Received>>,
}

#[derive(Default)]
struct Received {
    spans: Vec<u8>,
    logs: Vec<u8>,
    headers: HashMap<String, String>,
}

impl Wire {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Received::default()));
        let shared = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                thread::spawn(move || while answer(&stream, &shared).is_some() {});
            }
        });
        Wire { address, received }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn spans(&self) -> Vec<u8> {
        self.received.lock().unwrap().spans.clone()
    }

    pub(crate) fn logs(&self) -> Vec<u8> {
        self.received.lock().unwrap().logs.clone()
    }

    pub(crate) fn header(&self, name: &str) -> String {
        let received = self.received.lock().unwrap();
        received.headers.get(name).cloned().unwrap_or_default()
    }
}

/// Answers one request; `None` ends the connection.
fn answer(stream: &TcpStream, shared: &Mutex<Received>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let is_logs = line.contains("/v1/logs");
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
    let mut received = shared.lock().ok()?;
    received.headers = headers;
    if is_logs {
        received.logs.append(&mut body);
    } else {
        received.spans.append(&mut body);
    }
    drop(received);
    write!(&mut &*stream, "HTTP/1.1 200 -\r\ncontent-length: 0\r\n\r\n").ok()
}
