//! A process that panics with secrets in its hands and is then killed by its own abort, and the one that comes after it.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use hermes::{Builder, ContentCapture, OwnedSpan, RunFilter, Telemetry};
use tracing_subscriber::layer::SubscriberExt;

use crate::SOON;
use crate::secret::{self, Secret};

fn start(home: &Path, more: impl FnOnce(Builder) -> Builder) -> Telemetry {
    let builder = hermes::builder()
        .event_log(home.join("telemetry/events.jsonl"))
        .exporters("otlp")
        .capture_content(ContentCapture::On);
    let (layer, telemetry) = more(builder).build().unwrap();
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    telemetry
}

/// Ends by SIGABRT, with spans open, with others that no collector has taken, and with nothing closed.
pub(crate) fn run(home: &Path) {
    let telemetry = start(home, |builder| builder);
    let secrets = secret::share(0);
    let mut open = Vec::new();
    for secret in &secrets {
        open.push(begin(secret));
        let said = secret.clone();
        thread::spawn(move || panics(&said)).join().unwrap_err();
    }
    wait_until(|| {
        let store = telemetry.store().unwrap();
        let running = RunFilter::default();
        let runs = store.runs(&running).unwrap();
        runs.iter().filter(|run| run.end_ns.is_none()).count() == secrets.len()
    });
    telemetry.flush(SOON).unwrap();
    secret::write_fed(home);
    std::process::abort();
}

/// A session that goes on when the process ends.
fn begin(secret: &Secret) -> OwnedSpan {
    let session = hermes::session(secret.say("open_run")).start();
    session.record("note", secret.say("open_value"));
    session.record("db_password", secret.core.clone());
    session
}

#[hermes::session(id = secret.say("crash_run"))]
fn panics(secret: &Secret) {
    panics_in_tool(secret, &secret.say("crash_args"));
}

#[hermes::tool(name = "panics", args = args)]
fn panics_in_tool(secret: &Secret, args: &str) {
    let _ = args;
    panic!("{}", secret.say("crash_panic"));
}

/// Finds what the other has left behind, and sends what that one owed.
pub(crate) fn run_after(home: &Path) {
    let telemetry = start(home, |builder| builder);
    hermes::session("after").start().end();
    telemetry.flush(SOON).unwrap();
    wait_until(|| telemetry.stats().export_pending == 0);
    telemetry.shutdown(SOON).unwrap();
}

fn wait_until(is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < SOON, "it never came to that");
        thread::sleep(Duration::from_millis(10));
    }
}
