//! Puts hundreds of different secrets into every way in, and looks for them in every way out: raw, encoded, byte by byte.
//!
//! Child processes do what agents do, with content on everywhere, once for each profile, and one that crashes. Beside
//! each secret stands a harmless marker, `canary-tool_args-017`: a way in counts only where its markers are found in the
//! ways out, so that "no secret was found" never means "nothing was recorded".

#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a child tells its parent"
)]
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]

#[path = "canary/agent.rs"]
mod agent;
#[path = "../examples/redaction/carrier.rs"]
#[expect(dead_code, reason = "shared with a measurement that uses more of it")]
mod carrier;
#[path = "canary/child.rs"]
mod child;
#[path = "canary/clients.rs"]
mod clients;
#[path = "canary/crash.rs"]
mod crash;
#[path = "../examples/redaction/draw.rs"]
mod draw;
#[path = "canary/environment.rs"]
mod environment;
#[path = "canary/expected.rs"]
mod expected;
#[path = "../examples/redaction/key.rs"]
mod key;
#[path = "../examples/redaction/named.rs"]
mod named;
#[path = "canary/others.rs"]
mod others;
#[path = "canary/outside.rs"]
mod outside;
#[path = "canary/search.rs"]
mod search;
#[path = "canary/secret.rs"]
mod secret;
#[path = "canary/settings.rs"]
mod settings;
#[path = "../examples/redaction/vendor.rs"]
mod vendor;
#[path = "canary/ways_out.rs"]
mod ways_out;
#[path = "canary/wire.rs"]
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex};
use std::thread;
use std::time::Duration;

use expected::Missing;
use hermes::Store;
use search::Needles;
use secret::Secret;
use serde_json::json;
use tempfile::TempDir;
use ways_out::WaysOut;
use wire::Wire;

/// What a child does; set for children alone.
const ROLE: &str = "HERMES_TEST_CANARY";
const PROFILES: [&str; 6] = [
    "hermes",
    "hermes,openinference",
    "genai",
    "genai-1.41",
    "genai-1.36",
    "hermes-classic",
];
/// Longer than any flush takes; a test that reaches it has failed.
const SOON: Duration = Duration::from_secs(120);

/// Each is as busy as a processor may be, but for the time in which it waits for collectors.
const CHILDREN_AT_ONCE: usize = 3;

static SECRETS: LazyLock<Vec<Secret>> = LazyLock::new(secret::all);
static NEEDLES: LazyLock<Needles> = LazyLock::new(|| Needles::of(&SECRETS));

/// What the children do. By itself it does nothing.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let home = std::env::var("HERMES_HOME").unwrap();
    let home = Path::new(&home);
    // What a panic prints is the standard library's word, and the program's.
    std::panic::set_hook(Box::new(|panic| {
        let told = panic.to_string();
        if !told.contains("canary-") {
            eprintln!("{told}");
        }
    }));
    match role.as_str() {
        "mistaken" => environment::run_mistaken(),
        "crash" => crash::run(home),
        "after" => crash::run_after(home),
        profile => child::run(profile, home),
    }
}

fn child_as(role: &str, home: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["child", "--exact", "--nocapture"])
        .env_clear()
        .env(ROLE, role)
        .env("HERMES_HOME", home)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn said_by(output: &Output) -> Vec<u8> {
    [&output.stdout[..], &output.stderr].concat()
}

#[track_caller]
fn succeeds(output: &Output) {
    let said = said_by(output);
    let last = String::from_utf8_lossy(&said[said.len().saturating_sub(4000)..]);
    assert!(output.status.success(), "{last}");
}

fn home() -> TempDir {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("outputs")).unwrap();
    home
}

/// A line for each way out that leaks: what was found behind the markers of which ways in.
fn leaks<'w>(ways_out: impl IntoIterator<Item = &'w WaysOut<'w>>) -> Vec<String> {
    let mut leaks: BTreeMap<&str, BTreeMap<&str, BTreeSet<&str>>> = BTreeMap::new();
    for way in ways_out.into_iter().flat_map(|ways_out| &ways_out.all) {
        for (kind, around) in &way.found.leaks {
            let by = leaks.entry(&way.name).or_default().entry(around);
            by.or_default().insert(kind);
        }
    }
    let lines = leaks.into_iter().map(|(way, by)| {
        let by = by.into_iter().map(|(input, kinds)| {
            let example = kinds.first().copied().unwrap_or_default();
            format!("{} by {input}, such as {example:?}", kinds.len())
        });
        format!("{way}: {}", by.collect::<Vec<_>>().join("; "))
    });
    lines.collect()
}

/// The ways out of the child of a profile, and what should have come out of them and did not.
fn ways_out_of(number: usize) -> (WaysOut<'static>, Missing) {
    let home = home();
    let collector = Wire::start();
    let mut child = child_as(PROFILES[number], home.path());
    child.env(
        "HERMES_OTEL_LOG_FILE",
        home.path().join("outputs/hermes.log"),
    );
    environment::set(&mut child, number, &collector, &SECRETS);
    let output = child.output().unwrap();
    succeeds(&output);
    // What the operator has sent along is sent.
    assert_eq!(collector.header("x-canary"), "canary-header-004");
    let sent = collector.header("x-operator");
    assert!(sent.contains(&SECRETS[4].core), "{sent}");

    let secrets = secret::share(number);
    let mut ways_out = WaysOut::new(&NEEDLES);
    ways_out.add("console", &said_by(&output));
    for way in wire::WAYS {
        ways_out.add(way, &collector.bodies(way));
    }
    let outputs = home.path().join("outputs");
    ways_out.add_files(&outputs, "");
    let rebuilt = home.path().join("rebuilt/telemetry.db");
    fs::create_dir(rebuilt.parent().unwrap()).unwrap();
    Store::rebuild(outputs.join("events.jsonl"), &rebuilt).unwrap();
    ways_out.add_store("rebuilt store", &rebuilt, &[]);
    let store = home.path().join("telemetry/telemetry.db");
    ways_out.add_store("store", &store, &secrets);
    // Whatever the profile, the same is stored.
    if number == 0 {
        ways_out.add_pruned(&store);
    }
    let fed = secret::read_fed(home.path());
    let missing = expected::missing(PROFILES[number], &fed, &ways_out);
    (ways_out, missing)
}

#[test]
fn no_secret_that_goes_in_comes_out() {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..CHILDREN_AT_ONCE {
            scope.spawn(|| {
                while let number = next.fetch_add(1, Ordering::Relaxed)
                    && number < PROFILES.len()
                {
                    let of_child = ways_out_of(number);
                    done.lock().unwrap().push(of_child);
                }
            });
        }
    });
    let done = done.into_inner().unwrap();
    assert_eq!(done.len(), PROFILES.len());
    let leaks = leaks(done.iter().map(|(ways_out, _)| ways_out));
    let missing = expected::missing_everywhere(done.iter().map(|(_, missing)| missing));
    assert!(
        leaks.is_empty() && missing.is_empty(),
        "leaked: {leaks:#?}\nmissing: {missing:#?}"
    );
}

#[cfg(unix)]
#[test]
fn no_secret_is_in_what_a_crash_leaves_behind_nor_in_what_is_made_of_it() {
    use std::os::unix::process::ExitStatusExt;

    const SIGABRT: i32 = 6;

    let home = home();
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let mut child = child_as("crash", home.path());
    child.env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{nobody}"));
    let output = child.output().unwrap();
    assert_eq!(output.status.signal(), Some(SIGABRT), "{output:?}");
    let fed = secret::read_fed(home.path());
    let telemetry = home.path().join("telemetry");
    let mut left = WaysOut::new(&NEEDLES);
    left.add("what was said", &said_by(&output));
    left.add_files(&telemetry, "");

    let collector = Wire::start();
    let mut child = child_as("after", home.path());
    child.env(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        format!("http://{}", collector.address()),
    );
    let output = child.output().unwrap();
    succeeds(&output);
    let mut after = WaysOut::new(&NEEDLES);
    after.add("what was said", &said_by(&output));
    after.add("resent", &collector.bodies(wire::SPANS_OVER_HTTP));
    let salvaged = home.path().join("salvaged/telemetry.db");
    fs::create_dir(salvaged.parent().unwrap()).unwrap();
    Store::salvage(telemetry.join("telemetry.db"), &salvaged).unwrap();
    let secrets = secret::share(0);
    after.add_store("salvaged store", &salvaged, &[]);
    after.add_store("store", &telemetry.join("telemetry.db"), &secrets);

    let mut missing = BTreeSet::new();
    for (ways_out, way, inputs) in [
        (&left, "telemetry.db-wal", &expected::OPEN[..]),
        (&left, "telemetry.db-wal", &expected::CRASHED),
        (&left, "events.jsonl", &expected::CRASHED),
        (&after, "store, read", &expected::OPEN),
        (&after, "store, read", &expected::CRASHED),
        (&after, "salvaged store, read", &expected::CRASHED),
        (&after, "resent", &expected::CRASHED),
    ] {
        for input in inputs {
            let markers = ways_out.markers(way);
            if markers.get(*input) != fed.get(*input) || fed[*input].len() < 100 {
                let count = markers.get(*input).map_or(0, BTreeSet::len);
                missing.insert(format!("{input}: {count} in {way}"));
            }
        }
    }
    let leaks = leaks([&left, &after]);
    assert!(
        leaks.is_empty() && missing.is_empty(),
        "leaked: {leaks:#?}\nmissing: {missing:#?}"
    );
}

#[test]
fn no_secret_is_told_of_variables_that_hold_one_by_mistake() {
    let home = home();
    let mut ways_out = WaysOut::new(&NEEDLES);
    for (mut child, told) in environment::mistaken(&SECRETS, home.path()) {
        let output = child.output().unwrap();
        succeeds(&output);
        let said = String::from_utf8_lossy(&output.stderr);
        for name in told {
            assert!(said.contains(name), "{name} is not told of: {said}");
        }
        ways_out.add("what was said", &said_by(&output));
    }
    ways_out.add_files(home.path(), "");
    let leaks = leaks([&ways_out]);
    assert!(leaks.is_empty(), "leaked: {leaks:#?}");
}

#[test]
fn no_secret_is_told_of_files_of_settings() {
    let home = home();
    let mut ways_out = WaysOut::new(&NEEDLES);
    for secret in &*SECRETS {
        ways_out.add("status", settings::told_of(secret, home.path()).as_bytes());
    }
    let leaks = leaks([&ways_out]);
    assert!(leaks.is_empty(), "leaked: {leaks:#?}");
}

/// What is looked for would be found: a search that finds nothing anywhere proves nothing.
#[test]
fn a_secret_is_found_however_it_is_written() {
    use base64::Engine;
    for secret in &*SECRETS {
        let core = secret.core.as_str();
        let base64 = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        let url_safe = |text: &str| base64::engine::general_purpose::URL_SAFE.encode(text);
        let hex = core.bytes().map(|byte| format!("{byte:02X}"));
        let mut texts = vec![
            core.to_owned(),
            format!("{:?}", json!({ "a": json!({ "b": core }).to_string() })),
            search::percent_encoded(core),
            hex.collect::<String>(),
        ];
        for before in ["", "x", "bob:"] {
            texts.push(base64(&format!("{before}{core}@")));
            texts.push(url_safe(&format!("{before}{core}@")));
        }
        for text in texts {
            let found = NEEDLES.search(format!("canary-here-000 {text} and on").as_bytes());
            let is_found = found
                .leaks
                .iter()
                .any(|(kind, around)| kind.starts_with(&secret.kind) && around == "here");
            assert!(is_found, "{}: {text}", secret.kind);
        }
    }
}
