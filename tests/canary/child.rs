//! What a child process does for a profile: all that agents do, with content on everywhere.

use std::fs;
use std::io::Write;
use std::path::Path;

use hermes::{ContentCapture, RecordedSpan, RunFilter, Store, Telemetry};
use tracing_subscriber::layer::SubscriberExt;

use crate::{PROFILES, SOON, agent, clients, environment, others, outside, secret};

/// How many sessions' spans fit into the queues of the exporters.
const AT_ONCE: usize = 4;

pub(crate) fn run(profile: &str, home: &Path) {
    let live = home.join("outputs/live.txt");
    let mut live = fs::File::create(live).unwrap();
    let secrets = secret::share(PROFILES.iter().position(|name| *name == profile).unwrap());
    let (layer, telemetry) = hermes::builder()
        .event_log(home.join("outputs/events.jsonl"))
        .event_log_max_bytes(1 << 20)
        .event_log_max_files(1000)
        .export_logs("trace")
        .semconv(profile)
        .capture_content(ContentCapture::On)
        .capture_all(true)
        .propagate_session_id(true)
        .recent_traces(100_000)
        .resource([
            ("note", secrets[0].say("resource_in_code")),
            ("admin.password", secrets[0].core.clone()),
        ])
        .subscribe(move |batch| writeln!(live, "{batch:?}").unwrap())
        .build()
        .unwrap();
    environment::feed(&secret::all());
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for some in secrets.chunks(AT_ONCE) {
        for secret in some {
            agent::run(secret);
            others::run(secret);
            outside::run(secret);
            runtime.block_on(clients::run(secret));
        }
        telemetry.flush(SOON).unwrap();
    }
    show(&telemetry, home);
    let stats = telemetry.stats();
    assert!(
        stats.dropped.is_empty() && stats.logs.dropped.is_empty(),
        "{stats:?}"
    );
    // What is written and not yet in the database's own file.
    let log = telemetry.store_path().unwrap().with_extension("db-wal");
    fs::copy(log, home.join("outputs/before.db-wal")).unwrap();
    telemetry.shutdown(SOON).unwrap();
    secret::write_fed(home);
}

/// What can be seen in the process alone, written down as it is shown.
fn show(telemetry: &Telemetry, home: &Path) {
    let show = |name: &str, what: String| fs::write(home.join("outputs").join(name), what).unwrap();
    show("recent.txt", format!("{:?}", telemetry.recent()));
    let privacy = telemetry.privacy();
    let preview = privacy.preview(of_some_runs(&telemetry.store().unwrap()));
    show("preview.txt", format!("{preview} {preview:?}"));
    let status = privacy.status();
    let json = serde_json::to_string(&status).unwrap();
    show("status.txt", format!("{status} {status:?} {json}"));
    show(
        "stats.txt",
        format!("{:?} {telemetry:?}", telemetry.stats()),
    );
}

/// The sessions say much the same: what belongs to a few of them shows all there is to see.
fn of_some_runs(store: &Store) -> Vec<RecordedSpan> {
    let runs = store.runs(&RunFilter::newest(70)).unwrap();
    let spans = runs
        .iter()
        .flat_map(|run| store.spans_of_run(run.run_id).unwrap());
    spans.collect()
}
