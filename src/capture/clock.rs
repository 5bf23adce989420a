//! Time that does not run backwards: wall-clock time read once per trace, then a steady clock.
//!
//! The steady clock is the processor's own counter where that is reliable: two readings of the system's
//! clock were a tenth of what a span cost.

use std::sync::LazyLock;

use crate::record::now_ns;

/// Set up once in half a millisecond, when Hermes is built.
static STEADY: LazyLock<quanta::Clock> = LazyLock::new(quanta::Clock::new);

/// A moment on both clocks. The spans of one trace share it, so a wall clock that is set while they
/// run changes neither their order nor their durations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    wall_ns: i64,
    ticks: u64,
}

impl Clock {
    /// Reads both clocks.
    pub(crate) fn read() -> Self {
        let ticks = STEADY.raw();
        let wall_ns = now_ns();
        Clock { wall_ns, ticks }
    }

    /// Nanoseconds since the Unix epoch, now.
    #[inline]
    pub(crate) fn now_ns(&self) -> i64 {
        let elapsed = STEADY.delta_as_nanos(self.ticks, STEADY.raw());
        self.wall_ns
            .saturating_add(i64::try_from(elapsed).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

    use super::Clock;

    #[test]
    fn it_goes_as_the_systems_clock_goes() {
        let clock = Clock::read();
        let first = clock.now_ns();
        let start = Instant::now();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        assert!((i64::try_from(wall.as_nanos()).unwrap() - first).abs() < 1_000_000_000);
        while start.elapsed() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        let passed = clock.now_ns() - first;
        assert!(passed >= 19_000_000, "{passed}");
    }
}
