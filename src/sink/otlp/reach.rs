//! What is known of a collector: whether it can be reached, and when to try again.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::record::seed;

/// The pause after the first failure; it doubles with each that follows.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(60);
/// A collector that asks to be left alone for longer than this is not obeyed further.
const LONGEST_ASKED: Duration = Duration::from_secs(10 * 60);

/// Shared by all that send to one collector, so that the one learns from the other.
#[derive(Debug, Default)]
pub(super) struct Reach(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    next_try: Option<Instant>,
    /// The collector asked not to be asked before.
    held_until: Option<Instant>,
    successes: u64,
}

impl Reach {
    /// The collector has answered; true where it had not before.
    pub(super) fn up(&self) -> bool {
        let mut state = self.state();
        let was_down = state.failures > 0;
        *state = State {
            successes: state.successes + 1,
            ..State::default()
        };
        was_down
    }

    /// The collector could not be reached, or asked to wait. Failures that come while everybody waits
    /// in any case make nobody wait longer.
    pub(super) fn down(&self, now: Instant, asked: Option<Duration>) {
        let mut state = self.state();
        if state.next_try.is_none_or(|next| next <= now) {
            state.failures = state.failures.saturating_add(1);
            state.next_try = Some(now + jittered(pause(state.failures)));
        }
        if let Some(asked) = asked {
            let until = now + asked.min(LONGEST_ASKED);
            state.held_until = state.held_until.max(Some(until));
            state.next_try = state.next_try.max(Some(until));
        }
    }

    /// Whether the last that was heard of the collector was a failure.
    pub(super) fn is_down(&self) -> bool {
        self.state().failures > 0
    }

    /// When to try again; `None`: now.
    pub(super) fn next_try(&self, now: Instant) -> Option<Instant> {
        self.state().next_try.filter(|next| *next > now)
    }

    /// How long the collector wants to be left alone yet.
    pub(super) fn held(&self, now: Instant) -> Option<Duration> {
        let until = self.state().held_until.filter(|until| *until > now)?;
        Some(until - now)
    }

    /// How often the collector has answered.
    pub(super) fn successes(&self) -> u64 {
        self.state().successes
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn pause(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    FIRST.saturating_mul(1 << doublings).min(LONGEST)
}

/// A quarter more or less, so that agents that failed together do not come back together.
fn jittered(pause: Duration) -> Duration {
    let percent = u32::try_from(75 + seed() % 51).unwrap_or(100);
    pause * percent / 100
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{LONGEST, LONGEST_ASKED, Reach};

    /// The pause that is left, in seconds.
    fn left(reach: &Reach, now: Instant) -> f64 {
        reach
            .next_try(now)
            .map_or(0.0, |next| (next - now).as_secs_f64())
    }

    #[test]
    fn the_pause_doubles_up_to_a_minute_and_ends_with_an_answer() {
        let (reach, mut now) = (Reach::default(), Instant::now());
        for expected in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
            reach.down(now, None);
            let pause = left(&reach, now);
            assert!(
                (0.75 * expected..=1.26 * expected).contains(&pause),
                "{pause} instead of about {expected}"
            );
            // Others fail as well meanwhile.
            reach.down(now + Duration::from_millis(1), None);
            assert!((left(&reach, now) - pause).abs() < 1e-9);
            now += LONGEST * 2;
        }
        assert!(reach.up() && !reach.up());
        assert_eq!(reach.next_try(now), None);
        reach.down(now, None);
        assert!(left(&reach, now) < 2.0, "it begins anew");
    }

    #[test]
    fn a_collector_is_left_alone_for_as_long_as_it_asks_and_not_for_ever() {
        let (reach, now) = (Reach::default(), Instant::now());
        let asked = Duration::from_secs(30);
        reach.down(now, Some(asked));
        assert_eq!(reach.held(now), Some(asked));
        assert!(left(&reach, now) >= 30.0);
        assert_eq!(reach.held(now + asked), None);
        reach.down(now, Some(Duration::from_secs(1_000_000)));
        assert_eq!(reach.held(now), Some(LONGEST_ASKED));
        reach.up();
        assert_eq!(reach.held(now), None);
    }
}
