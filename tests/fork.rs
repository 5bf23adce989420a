//! A process that forks after Hermes was built: the copy waits for nobody and says what it loses, and
//! neither the parent nor the store notice.

#![cfg(unix)]
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use fork::Fork;
use hermes::{ErrorKind, Telemetry};
use rusqlite::Connection;
use tempfile::TempDir;

/// What a process does; set for processes that the tests start.
const SCENE: &str = "HERMES_TEST_FORK_SCENE";
/// Where it does it.
const FOLDER: &str = "HERMES_TEST_FORK_FOLDER";
/// Longer than anything takes; who waits so long has failed.
const SOON: Duration = Duration::from_secs(60);

#[hermes::session(id = id)]
fn session(id: &str) {
    tool();
    tool();
}

#[hermes::tool(name = "look")]
fn tool() {}

/// What a process does that one of the tests starts. By itself it does nothing.
#[test]
fn process() {
    let Ok(scene) = std::env::var(SCENE) else {
        return;
    };
    let folder = PathBuf::from(std::env::var_os(FOLDER).unwrap());
    match scene.as_str() {
        "between" => fork_between_sessions(&folder),
        "exporting" => fork_with_an_exporter(&folder),
        "logging" => fork_with_log_records(&folder),
        "within" => fork_within_a_session(&folder),
        "first" => fork_first(&folder),
        "again" => build_again(&folder),
        _ => panic!("{scene}"),
    }
}

/// Runs code in a copy of this process, which then ends, and waits for that.
fn in_a_fork(code: impl FnOnce()) {
    match fork::fork().unwrap() {
        Fork::Child => {
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(code));
            std::process::exit(i32::from(outcome.is_err()));
        }
        Fork::Parent(pid) => assert_eq!(fork::waitpid(pid).unwrap(), 0, "the child failed"),
    }
}

fn init(folder: &Path) -> Telemetry {
    hermes::builder()
        .store_path(folder.join("telemetry.db"))
        .init()
        .unwrap()
}

/// What holds of telemetry in a copy, however it came to be.
fn check_the_copy(telemetry: Telemetry, before: u64, captured: u64) {
    assert_eq!(telemetry.flush(SOON).unwrap_err().kind(), ErrorKind::Forked);
    let error = telemetry.shutdown(SOON).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forked);
    assert!(error.to_string().contains("fork first"), "{error}");
    let stats = telemetry.stats();
    assert_eq!((stats.written, stats.in_flight), (before, 0), "{stats:?}");
    assert_eq!(stats.captured, before + captured, "{stats:?}");
    assert_eq!(stats.dropped["after_fork"], captured, "{stats:?}");
    assert_eq!(stats.dropped.len(), 1, "{stats:?}");
    // It would wait five seconds for a thread that is not there.
    let begun = Instant::now();
    drop(telemetry);
    assert!(begun.elapsed() < Duration::from_secs(4));
}

fn fork_between_sessions(folder: &Path) {
    let mut telemetry = Some(init(folder));
    session("before");
    telemetry.as_ref().unwrap().flush(SOON).unwrap();
    in_a_fork(|| {
        for _ in 0..100 {
            session("child");
        }
        check_the_copy(telemetry.take().unwrap(), 3, 300);
        // And afterwards as before.
        session("child");
    });
    session("after");
    telemetry.as_ref().unwrap().shutdown(SOON).unwrap();
    let stats = telemetry.unwrap().stats();
    assert_eq!((stats.captured, stats.written), (6, 6));
}

fn fork_with_an_exporter(folder: &Path) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut telemetry = hermes::builder()
        .store_path(folder.join("telemetry.db"))
        .otlp_endpoint(format!("http://{}", port.local_addr().unwrap()))
        .init()
        .ok();
    drop(port);
    in_a_fork(|| {
        session("child");
        check_the_copy(telemetry.take().unwrap(), 0, 3);
    });
    session("parent");
    telemetry.unwrap().shutdown(SOON).unwrap();
}

/// Log records that wait for a collector that is not there belong to the parent.
fn fork_with_log_records(folder: &Path) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut telemetry = hermes::builder()
        .store_path(folder.join("telemetry.db"))
        .otlp_endpoint(format!("http://{}", port.local_addr().unwrap()))
        .export_logs(true)
        .init()
        .ok();
    drop(port);
    let is_built_in = cfg!(feature = "otlp-logs");
    tracing::info!("the parent's");
    in_a_fork(|| {
        (0..3).for_each(|_| tracing::info!("the child's"));
        let logs = telemetry.as_ref().unwrap().stats().logs;
        assert_eq!(logs.captured, if is_built_in { 3 } else { 0 }, "{logs:?}");
        assert_eq!(logs.in_flight, 0);
        assert_eq!(
            logs.dropped.values().sum::<u64>(),
            logs.captured,
            "{logs:?}"
        );
        assert_eq!(logs.dropped.contains_key("after_fork"), is_built_in);
        let begun = Instant::now();
        let told = telemetry.as_ref().unwrap().flush(SOON).unwrap_err();
        assert_eq!(told.kind(), ErrorKind::Forked);
        drop(telemetry.take());
        assert!(begun.elapsed() < Duration::from_secs(4));
    });
    let telemetry = telemetry.unwrap();
    telemetry.shutdown(SOON).unwrap();
    let logs = telemetry.stats().logs;
    assert_eq!(logs.captured, u64::from(is_built_in), "{logs:?}");
}

fn fork_within_a_session(folder: &Path) {
    let mut telemetry = Some(init(folder));
    let outer = tracing::info_span!("hermes.session", hermes.session.id = "outer");
    let mut outer = Some(outer.entered());
    in_a_fork(|| {
        tool();
        tool();
        // The copy ends its own session, and the parent another one.
        drop(outer.take());
        check_the_copy(telemetry.take().unwrap(), 0, 3);
    });
    tool();
    drop(outer.take());
    telemetry.unwrap().shutdown(SOON).unwrap();
}

fn fork_first(folder: &Path) {
    in_a_fork(|| {
        let telemetry = init(folder);
        session("child");
        telemetry.shutdown(SOON).unwrap();
        assert_eq!(telemetry.stats().written, 3);
    });
    let telemetry = init(folder);
    session("parent");
    telemetry.shutdown(SOON).unwrap();
}

fn build_again(folder: &Path) {
    use tracing_subscriber::layer::SubscriberExt;
    let telemetry = init(folder);
    session("parent");
    telemetry.flush(SOON).unwrap();
    let run = |store: &str| {
        let builder = hermes::builder().store_path(folder.join(store));
        let (layer, telemetry) = builder.build().unwrap();
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || session("child"));
        let ended = telemetry.shutdown(SOON);
        (telemetry.stats(), ended)
    };
    in_a_fork(|| {
        let (stats, ended) = run("telemetry.db");
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::Lost);
        assert_eq!((stats.written, stats.dropped["store_error"]), (0, 3));
        let (stats, ended) = run("child.db");
        ended.unwrap();
        assert_eq!((stats.written, stats.captured), (3, 3));
    });
    session("parent");
    telemetry.shutdown(SOON).unwrap();
}

/// Plays a scene in a process of its own.
fn play(scene: &str) -> (TempDir, Output) {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process", "--nocapture"])
        .env_clear()
        .env(SCENE, scene)
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    (folder, output)
}

/// The sessions of the spans in the store, which is sound.
fn stored(folder: &TempDir, store: &str) -> Vec<String> {
    let connection = Connection::open(folder.path().join(store)).unwrap();
    let check = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0));
    assert_eq!(check, Ok("ok".to_owned()));
    let mut sessions = connection
        .prepare("SELECT session_id FROM tel_spans WHERE status = 'ok' ORDER BY start_ns, id")
        .unwrap();
    let sessions = sessions.query_map([], |row| row.get(0)).unwrap();
    sessions.map(Result::unwrap).collect()
}

/// The lines that Hermes wrote.
fn said(output: &Output) -> Vec<String> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let ours = stderr.lines().filter(|line| line.starts_with("hermes: "));
    ours.map(str::to_owned).collect()
}

#[test]
fn a_copy_says_once_what_it_loses_and_the_parent_loses_nothing() {
    let (folder, output) = play("between");
    let sessions = ["before", "before", "before", "after", "after", "after"];
    assert_eq!(stored(&folder, "telemetry.db"), sessions);
    let said = said(&output);
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(
        said[0].contains("forked after Hermes was built"),
        "{said:?}"
    );
    let locks = folder.path().join("telemetry.db-writers");
    assert_eq!(fs::read_dir(locks).unwrap().count(), 0);
}

#[test]
fn a_copy_with_an_exporter_waits_for_no_thread_of_it() {
    let (folder, _) = play("exporting");
    assert_eq!(stored(&folder, "telemetry.db"), ["parent"; 3]);
}

#[test]
fn a_copy_counts_its_own_events_and_sends_no_log_record() {
    let (_, output) = play("logging");
    let forked = said(&output);
    let forked = forked.iter().filter(|line| line.contains("forked"));
    assert_eq!(forked.count(), usize::from(cfg!(feature = "otlp-logs")));
}

#[test]
fn a_fork_within_a_session_leaves_the_session_to_the_parent() {
    let (folder, output) = play("within");
    assert_eq!(stored(&folder, "telemetry.db"), ["outer"; 2]);
    assert_eq!(said(&output).len(), 1);
}

#[test]
fn who_forks_first_and_then_builds_hermes_loses_nothing() {
    let (folder, output) = play("first");
    assert_eq!(said(&output), [""; 0]);
    let sessions = ["child", "child", "child", "parent", "parent", "parent"];
    assert_eq!(stored(&folder, "telemetry.db"), sessions);
}

#[test]
fn a_copy_keeps_off_the_store_that_it_inherited_open() {
    let (folder, output) = play("again");
    assert_eq!(stored(&folder, "telemetry.db"), ["parent"; 6]);
    assert_eq!(stored(&folder, "child.db"), ["child"; 3]);
    let said = said(&output);
    assert!(
        said.iter()
            .any(|line| line.contains("give the child a store of its own")),
        "{said:?}"
    );
}
