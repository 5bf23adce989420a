//! One trace through real processes: an agent calls an HTTP service, and that starts a child process.

#![expect(clippy::print_stdout, reason = "a process tells its port")]
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]
#![expect(dead_code, reason = "not all that the collector can do is needed here")]

#[path = "it/support/collector.rs"]
mod collector;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hermes::propagation;
use hermes::{RecordedSpan, RunFilter, Store, Tree};
use http::{HeaderMap, HeaderName, HeaderValue};

use collector::Collector;

const SOON: Duration = Duration::from_secs(60);
/// Which of the processes this one is; set for them alone.
const ROLE: &str = "HERMES_TEST_ROLE";
const SERVICE: &str = "HERMES_TEST_SERVICE";
/// Where the child keeps its spans, if not with the others.
const CHILD_HOME: &str = "HERMES_TEST_CHILD_HOME";

#[hermes::session(id = "agent")]
fn agent(service: &str) {
    turn(service);
}

#[hermes::turn]
fn turn(service: &str) {
    call(service);
}

/// A client that writes its request by itself.
#[hermes::tool]
fn call(service: &str) {
    let mut headers = HeaderMap::new();
    propagation::inject(&mut headers);
    let mut stream = TcpStream::connect(service).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nHost: {service}\r\n").unwrap();
    for (name, value) in &headers {
        write!(stream, "{name}: {}\r\n", value.to_str().unwrap()).unwrap();
    }
    write!(stream, "\r\n").unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    assert!(answer.contains("204"), "{answer}");
}

fn serve(listener: &TcpListener) {
    let (stream, _) = listener.accept().unwrap();
    let mut headers = HeaderMap::new();
    for line in BufReader::new(&stream).lines().map(Result::unwrap).skip(1) {
        let Some((name, value)) = line.split_once(": ") else {
            break;
        };
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    {
        let _remote = propagation::attach(&headers);
        // As a web framework has it, a span of its own stands between.
        let _request = tracing::info_span!("http.request").entered();
        answer();
    }
    write!(&stream, "HTTP/1.1 204 No Content\r\n\r\n").unwrap();
}

#[hermes::session(id = "service")]
fn answer() {
    run_child();
}

#[hermes::tool]
fn run_child() {
    let mut command = command("child");
    if let Ok(home) = std::env::var(CHILD_HOME) {
        command.env("HERMES_HOME", home);
    }
    propagation::inject_env(&mut command);
    assert!(command.status().unwrap().success());
}

#[hermes::session(id = "child")]
fn child() {
    work();
}

#[hermes::chat(model = "m")]
fn work() {}

/// What the processes do. Run by the tests alone: by itself it does nothing.
#[test]
fn process() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let telemetry = hermes::init().unwrap();
    match role.as_str() {
        "agent" => agent(&std::env::var(SERVICE).unwrap()),
        "service" => {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            println!("\nserving at {}", listener.local_addr().unwrap());
            serve(&listener);
        }
        "child" => {
            let remote = propagation::extract_env();
            let _parent = propagation::attach(&remote);
            child();
        }
        role => panic!("{role} is no role"),
    }
    telemetry.shutdown(SOON).unwrap();
}

fn command(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "process", "--nocapture"])
        .env(ROLE, role)
        .stdin(Stdio::null());
    command
}

fn start(role: &str, home: &Path, environment: &[(&str, &str)]) -> Child {
    let mut command = command(role);
    command
        .env_clear()
        .env(ROLE, role)
        .env("HERMES_HOME", home)
        .envs(environment.iter().copied());
    command.stdout(Stdio::piped()).spawn().unwrap()
}

/// Runs all of them.
fn run(home: &Path, environment: &[(&str, &str)]) {
    let mut service = start("service", home, environment);
    let mut said = BufReader::new(service.stdout.take().unwrap()).lines();
    let address = said
        .find_map(|line| Some(line.unwrap().strip_prefix("serving at ")?.to_owned()))
        .unwrap();
    let drain = std::thread::spawn(move || said.for_each(drop));
    let mut environment = environment.to_vec();
    environment.push((SERVICE, &address));
    let agent = start("agent", home, &environment).wait_with_output();
    assert!(agent.unwrap().status.success());
    assert!(service.wait().unwrap().success());
    drain.join().unwrap();
}

fn store(home: &Path) -> Store {
    Store::open(home.join("telemetry/telemetry.db")).unwrap()
}

fn spans(store: &Store) -> Vec<RecordedSpan> {
    let runs = store.runs(&RunFilter::default()).unwrap();
    store.spans_of_trace(runs[0].trace_id).unwrap()
}

/// The names from the root down, where every span has one child.
fn names(spans: &[RecordedSpan]) -> Vec<String> {
    let child_of = |parent| {
        let mut children = spans.iter().filter(|span| span.parent_span_id == parent);
        let child = children.next();
        assert!(children.next().is_none(), "{}", Tree::build(spans.to_vec()));
        child
    };
    let line = std::iter::successors(child_of(None), |span| child_of(Some(span.span_id)));
    line.map(|span| span.name.clone()).collect()
}

fn assert_one_trace(home: &Path) {
    let store = store(home);
    let line = names(&spans(&store));
    let expected = [
        "hermes.session",
        "hermes.turn",
        "hermes.tool.call",
        "hermes.session",
        "hermes.tool.run_child",
        "hermes.session",
        "chat m",
    ];
    assert_eq!(line, expected);
    let runs = store.runs(&RunFilter::default()).unwrap();
    let run = |session: &str| {
        let found = runs
            .iter()
            .find(|run| run.session_id.as_deref() == Some(session));
        found.unwrap()
    };
    assert_eq!(runs.len(), 3, "each process's session is a run of its own");
    assert!(runs.iter().all(|run| run.trace_id == runs[0].trace_id));
    assert_eq!(run("agent").parent_run_id, None);
    assert_eq!(run("service").parent_run_id, Some(run("agent").run_id));
    assert_eq!(run("child").parent_run_id, Some(run("service").run_id));
    let writers: std::collections::HashSet<_> =
        runs.iter().map(|run| run.writer_id.clone()).collect();
    assert_eq!(writers.len(), 3);
}

#[test]
fn a_process_tree_is_one_trace_in_one_store() {
    let home = tempfile::tempdir().unwrap();
    run(home.path(), &[]);
    assert_one_trace(home.path());
    let store = store(home.path());
    for span in spans(&store) {
        assert_eq!(span.wire_parent_span_id, span.parent_span_id);
    }
}

#[test]
fn a_process_tree_is_one_trace_at_otlp_and_in_the_store() {
    let collector = Collector::start();
    let home = tempfile::tempdir().unwrap();
    let endpoint = collector.endpoint();
    run(home.path(), &[("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)]);
    assert_one_trace(home.path());
    // Seven of ours, and the one of the web framework.
    let sent = collector.wait_for(8, SOON);
    assert_eq!(sent.len(), 8);
    assert!(sent.iter().all(|span| span.trace_id == sent[0].trace_id));
    let sent: HashMap<_, _> = sent
        .iter()
        .map(|span| (span.span_id.clone(), span))
        .collect();
    for span in spans(&store(home.path())) {
        let at_otlp = sent[&span.span_id.to_string()];
        let parent = span.wire_parent_span_id.map(|id| id.to_string());
        assert_eq!(at_otlp.trace_id, span.trace_id.to_string());
        assert_eq!(at_otlp.parent_span_id, parent, "{}", span.name);
    }
    let roots = sent.values().filter(|span| span.parent_span_id.is_none());
    assert_eq!(roots.count(), 1);
}

#[test]
fn a_parent_that_is_kept_elsewhere_is_no_stored_parent() {
    let (home, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let elsewhere = other.path().to_str().unwrap();
    run(home.path(), &[(CHILD_HOME, elsewhere)]);
    let child = spans(&store(other.path()));
    let tool = spans(&store(home.path()));
    let tool = tool
        .iter()
        .find(|span| span.name == "hermes.tool.run_child")
        .unwrap();
    assert_eq!(child.len(), 2);
    assert_eq!(child[0].trace_id, tool.trace_id);
    assert_eq!(child[0].parent_span_id, None);
    assert_eq!(child[0].wire_parent_span_id, Some(tool.span_id));
    let run = &store(other.path()).runs(&RunFilter::default()).unwrap()[0];
    assert_eq!(
        (run.parent_run_id, run.parent_span_id),
        (None, Some(tool.span_id))
    );
}
