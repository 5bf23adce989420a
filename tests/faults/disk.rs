//! No room: a disk that is full, and a file that may not grow.

use std::process::{Command, Stdio};

use hermes::Store;

use crate::agent::{ChildAgent, SPANS, assert_sound, limit, spans_in};

/// Has the child work while there is no room, then with room again.
fn works_without_room_and_after(child: &mut ChildAgent, make_room: impl FnOnce(&mut ChildAgent)) {
    let before = child.stats()[0];
    child.does("work 2000");
    assert_eq!(child.does("flush 300"), "Timeout");
    let [captured, written, in_flight, dropped] = child.stats();
    assert_eq!(captured, before + 2000 * SPANS);
    assert!(in_flight > 0 && written < captured, "{written} {in_flight}");
    assert_eq!(dropped, 0, "there is room in the queue");
    make_room(child);
    assert_eq!(child.does("flush 60000"), "ok");
    child.does("work 10");
    assert_eq!(child.does("flush 60000"), "ok");
    let captured = captured + 10 * SPANS;
    assert_eq!(child.stats(), [captured, captured, 0, 0]);
    assert_eq!(child.does("spans"), captured.to_string());
}

#[test]
fn a_file_that_may_not_grow_costs_nothing_once_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t/telemetry.db");
    // Without the trap the system would end the process at its first write past the limit.
    let shell = ["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""];
    let mut child = ChildAgent::behind(&shell, &path);
    let pid = child.process.id();
    child.does("build");
    child.does("work 5");
    assert_eq!(child.does("flush 60000"), "ok");
    limit(pid, "fsize", "200000");
    works_without_room_and_after(&mut child, |_| limit(pid, "fsize", "unlimited"));
    let said = child.end();
    assert_eq!(said.len(), 1, "{said:#?}");
    assert_sound(&path);
    assert_eq!(spans_in(&path), 2015 * SPANS);
}

/// Whether a file system can be mounted here, in a namespace of its own.
fn can_mount() -> bool {
    let tried = Command::new("unshare")
        .args(["-rm", "mount", "-t", "tmpfs", "none", "/tmp"])
        .stderr(Stdio::null())
        .status();
    tried.is_ok_and(|status| status.success())
}

#[test]
fn a_full_disk_costs_nothing_once_there_is_room() {
    if !can_mount() {
        // A container that may mount nothing still has limits; the fault differs by its number only.
        return a_file_that_may_not_grow_costs_nothing_once_it_may();
    }
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mount = format!(
        "mount -t tmpfs -o size=48m none {}; exec \"$0\" \"$@\"",
        disk.display()
    );
    let unshare = ["unshare", "-rm", "sh", "-c", &mount];
    let mut child = ChildAgent::behind(&unshare, &disk.join("telemetry.db"));
    child.does("build");
    child.does("work 5");
    assert_eq!(child.does("flush 60000"), "ok");
    child.does("fill");
    works_without_room_and_after(&mut child, |child| {
        child.does("unfill");
    });
    child.end();
}

#[test]
fn a_disk_that_is_full_from_the_first_is_told_and_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t/telemetry.db");
    let shell = ["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""];
    let mut child = ChildAgent::behind(&shell, &path);
    let pid = child.process.id();
    limit(pid, "fsize", "4096");
    child.does("build");
    works_without_room_and_after(&mut child, |_| limit(pid, "fsize", "unlimited"));
    let said = child.end();
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].contains("spans wait for it"), "{said:#?}");
    assert_eq!(Store::open(&path).unwrap().losses().unwrap().len(), 0);
}

#[test]
fn what_a_full_queue_lost_is_in_the_store_for_good() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t/telemetry.db");
    let shell = ["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""];
    let mut child = ChildAgent::behind(&shell, &path);
    let pid = child.process.id();
    child.does("build");
    child.does("work 5");
    assert_eq!(child.does("flush 60000"), "ok");
    limit(pid, "fsize", "100000");
    child.does("work 6000");
    let [captured, _, _, dropped] = child.stats();
    assert_eq!(captured, 6005 * SPANS);
    assert!(dropped > 0, "the queue holds 16,384");
    limit(pid, "fsize", "unlimited");
    assert_eq!(child.does("flush 60000"), "Lost", "and said so");
    let [captured, written, in_flight, lost] = child.stats();
    assert_eq!((in_flight, lost), (0, dropped));
    assert_eq!(captured, written + lost);
    child.end();
    assert_eq!(spans_in(&path), written);
    let losses = Store::open(&path).unwrap().losses().unwrap();
    assert_eq!(losses["queue_full"], lost, "counted in the store too");
}
