//! Time that does not run backwards: wall-clock time read once per trace, then a steady clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A moment on both clocks. The spans of one trace share it, so a wall clock that is set while they
/// run changes neither their order nor their durations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    wall_ns: i64,
    steady: Instant,
}

impl Clock {
    /// Reads both clocks.
    pub(crate) fn read() -> Self {
        let wall_ns = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .ok()
            .and_then(|since| i64::try_from(since.as_nanos()).ok())
            .unwrap_or(0);
        Clock {
            wall_ns,
            steady: Instant::now(),
        }
    }

    /// Nanoseconds since the Unix epoch, now.
    pub(crate) fn now_ns(&self) -> i64 {
        let elapsed = i64::try_from(self.steady.elapsed().as_nanos()).unwrap_or(i64::MAX);
        self.wall_ns.saturating_add(elapsed)
    }
}
