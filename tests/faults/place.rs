//! The file or its folder is not where it was, or cannot be written.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use hermes::{EndReason, RunFilter, Status, Store};

use crate::agent::{Agent, ChildAgent, SPANS, assert_sound, await_that, spans_in, sql};

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[test]
fn a_folder_that_may_not_be_written_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), Permissions::from_mode(0o555)).unwrap();
    let is_privileged = fs::write(folder.path().join("x"), "").is_ok();
    // An administrator may write everywhere, unless the right to do so is given up.
    let command: &[&str] = if is_privileged {
        &["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    } else {
        &[]
    };
    let path = folder.path().join("t/telemetry.db");
    let mut child = ChildAgent::behind(command, &path);
    child.does("build");
    child.does("work 50");
    assert_eq!(child.does("flush 300"), "Timeout");
    assert_eq!(child.stats(), [50 * SPANS, 0, 50 * SPANS, 0]);
    assert!(!path.exists());
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    assert_eq!(child.does("flush 60000"), "ok");
    assert_eq!(child.stats(), [50 * SPANS, 50 * SPANS, 0, 0]);
    let said = child.end();
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].contains(path.to_str().unwrap()), "{said:#?}");
    assert_eq!(spans_in(&path), 50 * SPANS);
}

#[test]
fn a_file_in_the_place_of_the_folder_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let in_the_way = folder.path().join("t");
    fs::write(&in_the_way, "in the way").unwrap();
    let path = in_the_way.join("telemetry.db");
    let agent = Agent::at(&path);
    agent.work(50);
    agent.waits();
    fs::remove_file(&in_the_way).unwrap();
    agent.recovers();
    assert_eq!(spans_in(&path), 50 * SPANS);
}

#[test]
fn a_deleted_store_is_begun_anew_and_what_runs_goes_on_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t/telemetry.db");
    let agent = Agent::at(&path);
    agent.work(10);
    let session = agent.run(|| tracing::info_span!("hermes.session", hermes.session.id = "long"));
    let running = "SELECT count(*) FROM tel_spans WHERE end_ns IS NULL";
    await_that("the session is shown", || sql(&path, running) == 1);
    for suffix in ["", "-wal", "-shm"] {
        fs::remove_file(beside(&path, suffix)).unwrap();
    }
    agent.run(|| session.in_scope(|| drop(tracing::info_span!("hermes.tool"))));
    agent.recovers();
    assert_eq!(
        sql(&path, running),
        1,
        "the session is shown in the new file"
    );
    agent.work(1);
    agent.run(|| drop(session));
    agent.recovers();
    let store = Store::open(&path).unwrap();
    let run = &store.runs(&RunFilter::session("long")).unwrap()[0];
    assert_eq!(
        (run.status, run.end_reason),
        (Status::Ok, Some(EndReason::Completed))
    );
    assert_eq!(run.tool_call_count, 1);
    assert_eq!(
        spans_in(&path),
        2 + SPANS,
        "what was committed before is gone with its file"
    );
    assert_sound(&path);
}

#[test]
fn a_store_whose_side_files_outlive_it_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.db");
    let (one, other) = (Agent::at(&path), Agent::at(&path));
    for agent in [&one, &other] {
        agent.work(10);
        agent.recovers();
    }
    fs::remove_file(&path).unwrap();
    for _ in 0..5 {
        for agent in [&one, &other] {
            agent.work(10);
            agent.recovers();
        }
    }
    assert_eq!(spans_in(&path), 2 * 50 * SPANS);
    assert_sound(&path);
}

#[test]
fn a_store_that_is_moved_away_has_all_and_another_takes_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.db");
    let (old, backup) = (
        folder.path().join("old.db"),
        folder.path().join("backup.db"),
    );
    let restored = Agent::at(&backup);
    restored.work(7);
    drop(restored);
    let agent = Agent::at(&path);
    agent.work(10);
    agent.recovers();
    // The log stays where it was, beside a file that it does not belong to.
    fs::rename(&path, &old).unwrap();
    fs::rename(&backup, &path).unwrap();
    agent.work(5);
    agent.recovers();
    assert_eq!(spans_in(&path), 12 * SPANS);
    assert_sound(&path);
    assert_eq!(spans_in(&old), 10 * SPANS);
    assert_sound(&old);
}

#[test]
fn a_log_that_is_deleted_costs_nothing() {
    for gone in [&["-wal", "-shm"][..], &["-wal"], &["-shm"]] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("telemetry.db");
        let agent = Agent::at(&path);
        agent.work(10);
        agent.recovers();
        for suffix in gone {
            fs::remove_file(beside(&path, suffix)).unwrap();
        }
        agent.work(10);
        agent.recovers();
        // Another one now finds the log that all are to write to.
        let other = Agent::at(&path);
        for agent in [&other, &agent] {
            agent.work(10);
            agent.recovers();
        }
        drop((agent, other));
        assert_eq!(spans_in(&path), 40 * SPANS, "{gone:?}");
        assert_sound(&path);
    }
}

#[test]
fn a_folder_that_is_renamed_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t/telemetry.db");
    let agent = Agent::at(&path);
    agent.work(10);
    agent.recovers();
    fs::rename(folder.path().join("t"), folder.path().join("old")).unwrap();
    agent.work(5);
    agent.recovers();
    assert_eq!(spans_in(&path), 5 * SPANS);
    let old = folder.path().join("old/telemetry.db");
    assert_eq!(
        spans_in(&old),
        10 * SPANS,
        "all that was committed is there"
    );
    assert_sound(&old);
    // And put back: the newer file gives way.
    fs::rename(folder.path().join("t"), folder.path().join("newer")).unwrap();
    fs::rename(folder.path().join("old"), folder.path().join("t")).unwrap();
    agent.work(1);
    agent.recovers();
    assert_eq!(spans_in(&path), 11 * SPANS);
}

#[test]
fn processes_that_share_a_deleted_store_share_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t/telemetry.db");
    let agent = Agent::at(&path);
    let mut other = ChildAgent::at(&path);
    other.does("build");
    other.does("work 10");
    assert_eq!(other.does("flush 60000"), "ok");
    agent.work(10);
    agent.recovers();
    fs::remove_dir_all(folder.path().join("t")).unwrap();
    for _ in 0..3 {
        other.does("work 10");
        agent.work(10);
        agent.recovers();
        assert_eq!(other.does("flush 60000"), "ok");
    }
    assert_eq!(spans_in(&path), 60 * SPANS);
    assert_eq!(
        sql(&path, "SELECT count(DISTINCT writer_id) FROM tel_runs"),
        2
    );
    other.end();
    drop(agent);
    assert_sound(&path);
}

#[test]
fn two_agents_of_one_process_share_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.db");
    let agents = [Agent::at(&path), Agent::at(&path)];
    std::thread::scope(|scope| {
        for agent in &agents {
            scope.spawn(|| agent.work(200));
        }
    });
    for agent in &agents {
        agent.recovers();
        assert_eq!(agent.stats().captured, 200 * SPANS, "each counts its own");
    }
    drop(agents);
    assert_eq!(spans_in(&path), 400 * SPANS);
    assert_sound(&path);
}
