//! Puts hundreds of different secrets into every way in, and looks for them in every way out: raw, encoded, byte by byte.
//!
//! A child process does what agents do, with content on everywhere, once for each profile. Beside each secret stands a
//! harmless marker, `canary-tool_args-017`: a way in counts only where its markers are found in the ways out, so that
//! "no secret was found" never means "nothing was recorded".

#![expect(clippy::print_stderr, reason = "a child tells its parent")]
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]

#[path = "canary/agent.rs"]
mod agent;
#[path = "../examples/redaction/carrier.rs"]
#[expect(dead_code, reason = "shared with a measurement that uses more of it")]
mod carrier;
#[path = "canary/clients.rs"]
mod clients;
#[path = "../examples/redaction/draw.rs"]
mod draw;
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
#[path = "canary/wire.rs"]
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use hermes::{ContentCapture, EventFilter, Retention, RunFilter, SearchFilter, Store, Telemetry};
use search::Needles;
use secret::Secret;
use serde_json::json;
use tracing_subscriber::layer::SubscriberExt;

/// The profile of a child; set for children alone.
const PROFILE: &str = "HERMES_TEST_CANARY";
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

/// Ways in, and the ways out in which the markers of all their secrets are found: `s`tore, `l`og of events, `o`tlp,
/// `r`ecords of events over OTLP, `c`onsole. A capital: in some profiles, for not each has a name for it. What is kept as a
/// word of a closed list, such as a class of errors, is in none: its text goes nowhere.
#[rustfmt::skip]
const INPUTS: &[(&str, &str)] = &[
    ("address", "slorc"), ("agent", "slOC"), ("answer_id", "slOrc"), ("answer_model", "slorc"), ("approval", "slOC"),
    ("asked_args", "slOC"), ("broken_question", "slOC"), ("broken_system", "slOC"), ("call_id", "slOC"), ("carried", "sloc"),
    ("cause", "slorc"), ("chat_answer", "slOC"), ("chat_error", "slorc"), ("collected_answer", "slOC"), ("collected_args", "slOC"),
    ("collected_error", "sloc"), ("collected_message", "slOC"), ("collected_model", "slorc"), ("collected_piece", "slOC"),
    ("collected_question", "slOC"), ("collected_tool", "sloc"), ("cron", "sl"), ("cron_result", "sl"), ("decision", "slOC"),
    ("embedded", "lOC"), ("error", "sloc"), ("event", "slorc"), ("event_debug", "slorc"), ("event_display", "slorc"),
    ("event_error", "slorc"), ("event_field", "slorc"), ("event_messages", "slorc"), ("event_named", "slorc"), ("event_outside", "rc"),
    ("feedback", "sl"), ("field_outside", "rc"), ("gateway", "sl"), ("gateway_result", "sl"), ("gateway_way", "sl"),
    ("genai_event", "slorc"), ("genai_named", "sloc"), ("genai_unknown", "sloc"), ("goal", "slOC"), ("happened", "sl"),
    ("happened_recovery", "sl"), ("held_answer", "slOC"), ("held_args", "slOC"), ("held_error", "sloc"), ("held_id", "slOrc"),
    ("held_message", "slOC"), ("held_model", "slorc"), ("held_named", "sloc"), ("held_provider", "slorc"), ("held_run", "slorc"),
    ("held_step", "sloc"), ("held_tool", "sloc"), ("held_value", "sloc"), ("helper", "sloc"), ("helper_description", "slOC"),
    ("history_args", "slOC"), ("history_result", "slOC"), ("hook_answer", "slOC"), ("hook_answered", "slorc"), ("hook_approval", "slOC"),
    ("hook_args", "slOC"), ("hook_command", "slOC"), ("hook_error", "sloc"), ("hook_message", "slOC"), ("hook_model", "slorc"),
    ("hook_platform", "slOC"), ("hook_refused", "slorc"), ("hook_result", "slOC"), ("hook_tool", "sloc"), ("instrumented", "sloc"),
    ("instrumented_error", "slorc"), ("instrumented_named", "sloc"), ("json_args", "slOC"), ("json_result", "slOC"), ("late_name", "sloc"),
    ("late_named", "sloc"), ("late_output", "slOC"), ("late_value", "sloc"), ("memory", "sl"), ("memory_result", "sl"), ("model", "slorc"),
    ("mute_error", "sloc"), ("panic", "sloc"), ("plain_event", "slorc"), ("plain_field", "sloc"), ("plain_message", "slorc"),
    ("plain_name", "sloc"), ("plain_named", "sloc"), ("plain_route", "sloc"), ("plain_status", "sloc"), ("platform", "slOC"),
    ("query", "slOC"), ("reasoning", "slOC"), ("refused_question", "slOC"), ("refused_system", "slOC"), ("rig_agent", "sloc"),
    ("rig_args", "slOC"), ("rig_completion", "slOC"), ("rig_id", "slOrc"), ("rig_input", "slOC"), ("rig_model", "slorc"),
    ("rig_output", "slOC"), ("rig_prompt", "slOC"), ("rig_result", "slOC"), ("rig_system", "slOC"), ("rig_tool", "sloc"),
    ("run_id", "slorc"), ("skill", "sl"), ("skill_action", "sl"), ("source", "sloc"), ("stop", "slOC"), ("stream_error", "sloc"),
    ("streamed", "slOC"), ("streamed_chat", "slOC"), ("subject", "slOC"), ("system", "slOC"), ("tool_args", "slOC"),
    ("tool_definition", "slOC"), ("tool_description", "slOC"), ("tool_name", "sloc"), ("tool_result", "slOC"), ("turn_answer", "slOC"),
    ("user_message", "slOC"), ("user_part", "slOC"), ("wire_answer", "slOC"), ("wire_failure", "slorc"), ("wire_id", "slOrc"),
    ("wire_model", "slorc"), ("wire_question", "slOC"), ("wire_refusal", "slorc"), ("wire_system", "slOC"),
];

/// What the children do. By itself it does nothing.
#[test]
fn child() {
    let Ok(profile) = std::env::var(PROFILE) else {
        return;
    };
    let home = std::env::var("HERMES_HOME").unwrap();
    let home = Path::new(&home);
    // What a panic prints is the standard library's word, and the program's.
    std::panic::set_hook(Box::new(|panic| {
        let told = panic.to_string();
        if !told.contains("canary-panic") {
            eprintln!("{told}");
        }
    }));
    let live = home.join("outputs/live.txt");
    let mut live = fs::File::create(live).unwrap();
    let (layer, telemetry) = hermes::builder()
        .event_log(home.join("outputs/events.jsonl"))
        .event_log_max_bytes(1 << 20)
        .export_logs("trace")
        .semconv(&profile)
        .capture_content(ContentCapture::On)
        .capture_all(true)
        .propagate_session_id(true)
        .recent_traces(100_000)
        .subscribe(move |batch| writeln!(live, "{batch:?}").unwrap())
        .build()
        .unwrap();
    let number = PROFILES.iter().position(|name| *name == profile);
    let secrets = secret::share(number.unwrap());
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for secret in &secrets {
        agent::run(secret);
        others::run(secret);
        outside::run(secret);
        runtime.block_on(clients::run(secret));
        telemetry.flush(SOON).unwrap();
    }
    settings::run(&secrets, home);
    read(&telemetry, &secrets, home);
    let stats = telemetry.stats();
    assert!(stats.dropped.is_empty(), "{stats:?}");
    telemetry.shutdown(SOON).unwrap();
}

/// Everything that can be read, written down as it is shown.
fn read(telemetry: &Telemetry, secrets: &[Secret], home: &Path) {
    let file = |name: &str| fs::File::create(home.join("outputs").join(name)).unwrap();
    writeln!(file("recent.txt"), "{:?}", telemetry.recent()).unwrap();
    let store = telemetry.store().unwrap();
    let mut read = file("read.txt");
    let mut all = Vec::new();
    for run in store.runs(&RunFilter::default()).unwrap() {
        let spans = store.spans_of_run(run.run_id).unwrap();
        let of_run = (
            store.model_calls(run.run_id).unwrap(),
            store.tool_calls(run.run_id).unwrap(),
            store.error_events(run.run_id).unwrap(),
            store.agents(run.run_id).unwrap(),
        );
        writeln!(read, "{run:?} {spans:?} {of_run:?}").unwrap();
        all.extend(spans);
    }
    let every = EventFilter::default();
    let events = (
        store.gateway_events(&every).unwrap(),
        store.cron_events(&every).unwrap(),
        store.skill_events(&every).unwrap(),
        store.memory_events(&every).unwrap(),
        store.feedback_events(&every).unwrap(),
        store.all_error_events(&every).unwrap(),
    );
    writeln!(read, "{events:?}").unwrap();
    let mut found = file("search.txt");
    for secret in secrets {
        for words in ["secret", "canary", &secret.core] {
            let hits = store.search(words, &SearchFilter::best(50)).unwrap();
            // What is looked for is not in what is found.
            writeln!(found, "{hits:?}").unwrap();
        }
    }
    let privacy = telemetry.privacy();
    // Each session said much the same: a part of them shows all there is to see.
    all.truncate(all.len() / 5);
    let preview = privacy.preview(all);
    writeln!(file("preview.txt"), "{preview} {preview:?}").unwrap();
    let status = privacy.status();
    writeln!(file("status.txt"), "{status} {status:?}").unwrap();
    writeln!(file("stats.txt"), "{:?} {telemetry:?}", telemetry.stats()).unwrap();
}

fn child_of(home: &Path, profile: &str, collector: &wire::Wire, secrets: &[Secret]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let userinfo = search::percent_encoded(&secrets[3].core);
    let endpoint = format!("http://operator:{userinfo}@{}", collector.address());
    let core = |number: usize| &secrets[number].core;
    assert!(
        secrets[..20]
            .iter()
            .all(|secret| secret.core == secret.text)
    );
    command
        .args(["child", "--exact", "--nocapture"])
        .env_clear()
        .env(PROFILE, profile)
        .env("HERMES_HOME", home)
        .env("HERMES_OTEL_LOG_FILE", home.join("outputs/hermes.log"))
        .env("HERMES_LOG_LEVEL", "debug")
        .env("HERMES_OTEL_EXPORTER", "otlp,console")
        .env("OTEL_LOGS_EXPORTER", "otlp,console")
        .env(
            "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT",
            "SPAN_AND_EVENT",
        )
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
        .env("OTEL_EXPORTER_OTLP_HEADERS", {
            let key = search::percent_encoded(core(4));
            format!("x-operator={key},x-canary=canary-header-004")
        })
        .env("TRACEPARENT", core(5))
        .env("OTEL_TRACES_SAMPLER", format!("parentbased_{}", core(6)))
        .env("OTEL_TRACES_SAMPLER_ARG", core(7))
        .env("HERMES_CAPTURE", format!("a=b={}", core(8)))
        .env("OTEL_EXPORTER_OTLP_COMPRESSION", core(9))
        .env("OTEL_BSP_MAX_QUEUE_SIZE", core(10))
        .env("OTEL_EXPORTER_OTLP_TIMEOUT", core(11))
        .env("HERMES_OTEL_CAPTURE_CONTENT", core(12))
        .env("HERMES_OTEL_SEMCONV", core(13))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[test]
fn no_secret_that_goes_in_comes_out() {
    let secrets = secret::all();
    let needles = Needles::of(&secrets);
    let (mut leaks, mut missing) = (BTreeMap::new(), BTreeSet::new());
    let mut arrived = BTreeSet::new();
    let children = PROFILES.map(|profile| {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("outputs")).unwrap();
        let collector = wire::Wire::start();
        let child = child_of(home.path(), profile, &collector, &secrets);
        (profile, home, collector, thread::spawn(|| output_of(child)))
    });
    for (number, (profile, home, collector, child)) in children.into_iter().enumerate() {
        let output = child.join().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(
            output.status.success(),
            "{profile}: {}",
            String::from_utf8_lossy(&said[said.len().saturating_sub(4000)..])
        );
        let outputs = home.path().join("outputs");
        let fed = secret::share(number).len();
        let db = home.path().join("telemetry/telemetry.db");
        let stored = fs::read(outputs.join("read.txt")).unwrap();
        let mut ways_out = vec![
            ("console".to_owned(), said),
            ("OTLP spans".to_owned(), collector.spans()),
            ("OTLP logs".to_owned(), collector.logs()),
        ];
        ways_out.extend(files(&outputs));
        ways_out.extend(files(db.parent().unwrap()));
        // What was pruned lies in free pages, or nowhere.
        let everything = Retention::default().max_bytes(1);
        Store::open(&db).unwrap().prune(&everything).unwrap();
        let pruned = files(db.parent().unwrap());
        ways_out.extend(pruned.map(|(name, bytes)| (format!("{name}, pruned"), bytes)));

        assert_eq!(collector.header("x-canary"), "canary-header-004");
        let sent = collector.header("x-operator");
        assert!(sent.contains(&secrets[4].core), "{sent}");
        for (way_out, bytes) in &ways_out {
            for leak in needles.found_in(bytes) {
                let leak = format!("{} in {way_out} {}", leak.kind, leak.around);
                *leaks.entry(leak).or_insert(0) += 1;
            }
        }
        let of = |name: &str| {
            let bytes = ways_out.iter().filter(|(way, _)| way.starts_with(name));
            search::markers(bytes.flat_map(|(_, bytes)| bytes.iter().copied()))
        };
        let seen = BTreeMap::from([
            ('s', search::markers(stored.iter().copied())),
            ('l', of("events")),
            ('o', of("OTLP spans")),
            ('r', of("OTLP logs")),
            ('c', of("console")),
        ]);
        for (input, places) in INPUTS {
            for place in places.chars() {
                let seen = &seen[&place.to_ascii_lowercase()];
                let count = seen.get(*input).map_or(0, BTreeSet::len);
                if count == fed {
                    arrived.insert((*input, place));
                } else if place.is_ascii_lowercase() || count > 0 {
                    missing.insert(format!("{profile}: {input}: {count} of {fed} in {place}"));
                }
            }
        }
        // The other way round: every way in is in the table.
        for (place, markers) in &seen {
            for input in markers.keys() {
                let row = INPUTS.iter().find(|(name, _)| name == input);
                let is_in = |places: &str| places.to_ascii_lowercase().contains(*place);
                if !row.is_some_and(|(_, places)| is_in(places)) {
                    missing.insert(format!(
                        "{profile}: {input} is in {place} and not in the table"
                    ));
                }
            }
        }
    }
    for (input, places) in INPUTS {
        for place in places
            .chars()
            .filter(|place| !arrived.contains(&(*input, *place)))
        {
            missing.insert(format!("{input}: in {place} of no profile"));
        }
    }
    assert!(secrets.len() >= 100);
    assert!(
        leaks.is_empty() && missing.is_empty(),
        "leaked: {leaks:#?}\nmissing: {missing:#?}"
    );
}

/// What is looked for would be found: a search that finds nothing anywhere proves nothing.
#[test]
fn a_secret_is_found_however_it_is_written() {
    use base64::Engine;
    let secrets = secret::all();
    let needles = Needles::of(&secrets);
    for secret in &secrets {
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
            let found = needles.found_in(format!("canary-here-000 {text} and on").as_bytes());
            let is_found = found.iter().any(|leak| leak.kind.starts_with(&secret.kind));
            assert!(is_found, "{}: {text}", secret.kind);
        }
    }
}

/// Runs a child to its end, one at a time: each is as busy as a machine may be.
fn output_of(mut child: Command) -> Output {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap();
    child.output().unwrap()
}

/// Every file of a folder, byte by byte.
fn files(folder: &Path) -> impl Iterator<Item = (String, Vec<u8>)> + use<> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(self::files(&path));
        } else {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            files.push((name, fs::read(&path).unwrap()));
        }
    }
    files.into_iter()
}
