//! A model server on loopback that speaks OpenAI's chat completions and embeddings, whole and streamed,
//! and fails in the ways that providers fail.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

/// Longer than any test waits.
const FOREVER: Duration = Duration::from_secs(100);

/// What stands in the bodies of failures, and may be found nowhere else.
pub(crate) const SECRET: &str = "sk-proj-0123456789abcdefABCDEF0123456789";

/// What the server does with a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Answer {
    /// The model says something.
    Text,
    /// The model asks for the tool `add` with 2 and 3.
    Add,
    /// The model asks for `add` twice at once.
    AddTwice,
    /// This HTTP status, with a body that has a secret in it.
    Status(u16),
    /// 200, and JSON of another shape.
    Garbage,
    /// The first words of a stream, then a closed connection.
    Cut,
    /// The first words of a stream, then silence until the caller goes away.
    Stall,
    /// Silence from the start, until the caller goes away.
    Hang,
}

/// A request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// By lower-case names.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Value,
}

/// A server on a free port of this machine; stops listening when dropped.
pub(crate) struct ModelServer {
    address: String,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    answers: VecDeque<Answer>,
    requests: Vec<Request>,
    /// Callers that went away while they were made to wait.
    gone: usize,
    is_stopped: bool,
}

impl ModelServer {
    /// Answers one request after another so, and every further one like the last.
    pub(crate) fn answering(answers: &[Answer]) -> Self {
        assert!(!answers.is_empty(), "a server has an answer");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = State {
            answers: answers.iter().copied().collect(),
            requests: Vec::new(),
            gone: 0,
            is_stopped: false,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let accepted = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if accepted.state().is_stopped {
                    break;
                }
                let shared = Arc::clone(&accepted);
                thread::spawn(move || while serve(&stream, &shared).is_some() {});
            }
        });
        ModelServer { address, shared }
    }

    /// A server that asks for a tool first and answers then.
    pub(crate) fn with_tool() -> Self {
        Self::answering(&[Answer::Add, Answer::Text])
    }

    /// The base URL as OpenAI's clients want it, without a slash at its end.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// What has been asked so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.shared.state().requests.clone()
    }

    /// Returns once this many requests have come in.
    pub(crate) async fn asked(&self, count: usize) {
        let shared = Arc::clone(&self.shared);
        let wait = move || shared.wait(|state| state.requests.len() >= count);
        tokio::task::spawn_blocking(wait).await.unwrap();
    }

    /// Waits until a caller that was made to wait has gone away.
    pub(crate) fn wait_until_left(&self) {
        self.shared.wait(|state| state.gone > 0);
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        self.shared.state().is_stopped = true;
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(&self.address);
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn wait(&self, done: impl Fn(&State) -> bool) {
        let (_state, wait) = self
            .changed
            .wait_timeout_while(self.state(), FOREVER, |state| !done(state))
            .unwrap();
        assert!(!wait.timed_out(), "what was waited for never came");
    }

    /// Notes a request; its number, and what is to be done with it.
    fn arrived(&self, request: Request) -> (usize, Answer) {
        let mut state = self.state();
        state.requests.push(request);
        let answer = match state.answers.len() {
            1 => state.answers[0],
            _ => state.answers.pop_front().unwrap(),
        };
        let number = state.requests.len();
        drop(state);
        self.changed.notify_all();
        (number, answer)
    }

    /// Waits until the caller closes the connection.
    fn outlast(&self, mut stream: &TcpStream) {
        let mut rest = [0; 64];
        while stream.read(&mut rest).is_ok_and(|read| read > 0) {}
        self.state().gone += 1;
        self.changed.notify_all();
    }
}

/// Answers one request; `None` ends the connection.
fn serve(stream: &TcpStream, shared: &Shared) -> Option<()> {
    let request = read(stream)?;
    let path = request.path.clone();
    let asked = request.body.clone();
    let (number, answer) = shared.arrived(request);
    let is_streamed = asked["stream"] == true;
    match answer {
        Answer::Hang => {
            shared.outlast(stream);
            None
        }
        Answer::Status(status) => {
            let message = format!("no, {SECRET}");
            let body = json!({ "error": { "message": message, "type": "refused", "code": null, "param": null } });
            whole(stream, number, status, &body)
        }
        Answer::Garbage => {
            let body = json!({ "unexpected": SECRET });
            whole(stream, number, 200, &body)
        }
        _ if path.ends_with("/embeddings") => whole(stream, number, 200, &embeddings(&asked)),
        Answer::Text | Answer::Add | Answer::AddTwice if !is_streamed => {
            whole(stream, number, 200, &completion(number, &asked, answer))
        }
        _ => streamed(stream, shared, number, &asked, answer),
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = HashMap::new();
    loop {
        line.clear();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let Some((name, value)) = line.trim().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(Request {
        path,
        headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    })
}

fn whole(mut stream: &TcpStream, number: usize, status: u16, body: &Value) -> Option<()> {
    let body = body.to_string();
    write!(
        stream,
        "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\nx-request-id: req-{number}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    )
    .ok()
}

/// A body in chunks, each one an event.
fn streamed(
    mut stream: &TcpStream,
    shared: &Shared,
    number: usize,
    asked: &Value,
    answer: Answer,
) -> Option<()> {
    write!(
        stream,
        "HTTP/1.1 200 -\r\ncontent-type: text/event-stream\r\nx-request-id: req-{number}\r\n\
         transfer-encoding: chunked\r\n\r\n"
    )
    .ok()?;
    let mut send = |text: &str| {
        let event = format!("data: {text}\n\n");
        write!(stream, "{:x}\r\n{event}\r\n", event.len()).ok()
    };
    let chunk = |choices: Value, usage: Option<Value>| {
        let mut chunk = json!({
            "id": format!("chatcmpl-{number}"), "object": "chat.completion.chunk", "created": 1_700_000_000,
            "model": answering(asked), "choices": choices,
        });
        if let Some(usage) = usage {
            chunk["usage"] = usage;
        }
        chunk.to_string()
    };
    let delta = |delta: Value, finish: Option<&str>| {
        chunk(
            json!([{ "index": 0, "delta": delta, "finish_reason": finish }]),
            None,
        )
    };
    let calls: &[&str] = match answer {
        Answer::Add => &["call_1"],
        Answer::AddTwice => &["call_1", "call_2"],
        _ => &[],
    };
    send(&delta(json!({ "role": "assistant", "content": "" }), None))?;
    for (index, id) in calls.iter().enumerate() {
        let start = json!({ "tool_calls": [{ "index": index, "id": id, "type": "function",
            "function": { "name": "add", "arguments": "{\"a\":2," } }] });
        let rest =
            json!({ "tool_calls": [{ "index": index, "function": { "arguments": "\"b\":3}" } }] });
        send(&delta(start, None))?;
        send(&delta(rest, None))?;
    }
    if calls.is_empty() {
        send(&delta(json!({ "content": "The answer " }), None))?;
    }
    match answer {
        Answer::Cut => return None,
        Answer::Stall => {
            shared.outlast(stream);
            return None;
        }
        _ => {}
    }
    if calls.is_empty() {
        send(&delta(json!({ "content": "is 5." }), None))?;
    }
    send(&delta(json!({}), Some(finish(answer))))?;
    if asked["stream_options"]["include_usage"] == true {
        send(&chunk(json!([]), Some(usage())))?;
    }
    send("[DONE]")?;
    write!(stream, "0\r\n\r\n").ok()
}

fn completion(number: usize, asked: &Value, answer: Answer) -> Value {
    let call = |id| {
        let function = json!({ "name": "add", "arguments": "{\"a\":2,\"b\":3}" });
        json!({ "id": id, "type": "function", "function": function })
    };
    let message = match answer {
        Answer::Add => {
            json!({ "role": "assistant", "content": null, "tool_calls": [call("call_1")] })
        }
        Answer::AddTwice => {
            let calls = [call("call_1"), call("call_2")];
            json!({ "role": "assistant", "content": null, "tool_calls": calls })
        }
        _ => json!({ "role": "assistant", "content": "The answer is 5." }),
    };
    json!({
        "id": format!("chatcmpl-{number}"), "object": "chat.completion", "created": 1_700_000_000,
        "model": answering(asked),
        "choices": [{ "index": 0, "message": message, "finish_reason": finish(answer), "logprobs": null }],
        "usage": usage(),
    })
}

/// The dated name under which a model answers.
fn answering(asked: &Value) -> String {
    format!("{}-2024-08-06", asked["model"].as_str().unwrap_or_default())
}

fn finish(answer: Answer) -> &'static str {
    match answer {
        Answer::Add | Answer::AddTwice => "tool_calls",
        _ => "stop",
    }
}

fn usage() -> Value {
    json!({
        "prompt_tokens": 120, "completion_tokens": 34, "total_tokens": 154,
        "prompt_tokens_details": { "cached_tokens": 64 },
        "completion_tokens_details": { "reasoning_tokens": 12 },
    })
}

fn embeddings(asked: &Value) -> Value {
    let inputs = asked["input"].as_array().map_or(1, Vec::len);
    let vectors = (0..inputs).map(
        |index| json!({ "object": "embedding", "index": index, "embedding": [0.5, 0.25, 0.125] }),
    );
    json!({
        "object": "list", "data": vectors.collect::<Vec<_>>(), "model": asked["model"],
        "usage": { "prompt_tokens": 9, "total_tokens": 9 },
    })
}
