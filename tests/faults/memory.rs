//! What the process itself lacks: room for a thread, a home.

use hermes::ErrorKind;

use crate::agent::{Agent, ChildAgent, SPANS, spans_in};

#[test]
fn without_a_thread_all_is_counted_and_with_one_all_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.db");
    let mut child = ChildAgent::at(&path);
    // A thread's stack has no place in one megabyte.
    child.does("limit as 1000000");
    child.does("build");
    child.does("work 50");
    assert_eq!(child.does("flush 300"), "Lost");
    assert_eq!(child.stats(), [50 * SPANS, 0, 0, 50 * SPANS]);
    child.does("limit as none");
    child.does("build");
    child.does("work 50");
    assert_eq!(child.does("flush 60000"), "ok");
    assert_eq!(child.stats(), [50 * SPANS, 50 * SPANS, 0, 0]);
    let said = child.end();
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].contains("writer thread"), "{said:#?}");
    assert_eq!(spans_in(&path), 50 * SPANS);
}

#[test]
fn without_a_home_the_agent_runs_and_is_told() {
    // The system knows the homes of its users as well, so what it knows them from is hidden too.
    let hidden = "mount --bind /dev/null /etc/passwd &&
        mount --bind /dev/null /etc/nsswitch.conf && unset HOME && exec \"$0\" \"$@\"";
    let mut child = ChildAgent::behind(&["unshare", "-rm", "sh", "-c", hidden], "".as_ref());
    child.does("build");
    child.does("work 50");
    assert_eq!(child.does("flush 60000"), "Lost");
    assert_eq!(child.stats(), [50 * SPANS, 0, 0, 50 * SPANS]);
    let said = child.end();
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].contains("HERMES_HOME"), "{said:#?}");
}

#[test]
fn after_the_end_the_agent_runs_on_uncounted_by_none() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("telemetry.db");
    let agent = Agent::at(&path);
    agent.work(1);
    agent.telemetry.shutdown(crate::agent::SOON).unwrap();
    agent.work(10);
    let error = agent.telemetry.flush(crate::agent::SOON).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Lost, "{error}");
    let stats = agent.stats();
    assert_eq!((stats.written, stats.in_flight), (SPANS, 0));
    assert_eq!(stats.dropped["after_shutdown"], 10 * SPANS);
    agent.telemetry.shutdown(crate::agent::SOON).unwrap();
    assert_eq!(spans_in(&path), SPANS);
}
