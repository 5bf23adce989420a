//! The processor time of a thread, as Linux counts it: it stays the same on a busy machine.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// The time that this thread has used; `None` where the system does not tell.
pub(crate) fn of_this_thread() -> Option<Duration> {
    used(Path::new("/proc/thread-self"))
}

/// The time that the thread of this name has used.
pub(crate) fn of_thread(name: &str) -> Option<Duration> {
    fs::read_dir("/proc/self/task")
        .ok()?
        .flatten()
        .map(|task| task.path())
        .find(|task| fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim() == name))
        .and_then(|task| used(&task))
}

fn used(task: &Path) -> Option<Duration> {
    let counts = fs::read_to_string(task.join("schedstat")).ok()?;
    let nanos = counts.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}
