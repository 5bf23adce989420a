//! Whether the exporters are to stop: asked for free, and able to cut a pause short.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Set once, when the shutdown begins.
#[derive(Debug, Default)]
pub(super) struct Closing {
    is_set: AtomicBool,
    guard: Mutex<()>,
    changed: Condvar,
}

impl Closing {
    /// From here on nobody pauses.
    pub(super) fn set(&self) {
        let _guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        self.is_set.store(true, Ordering::Release);
        self.changed.notify_all();
    }

    /// Whether the shutdown has begun.
    pub(super) fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Acquire)
    }

    /// Pauses, and no longer than until the shutdown begins.
    pub(super) fn pause(&self, length: Duration) {
        let end = Instant::now() + length;
        let mut guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.is_set() {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let waited = self.changed.wait_timeout(guard, left);
            guard = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
