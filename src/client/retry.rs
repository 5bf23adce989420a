//! Tells which request is another try of one that failed, for retries that go on above the client's layer.
//!
//! A retry sends the same request again from the same place, so what failed lately is remembered by both. A request
//! is never held: a hash of it is.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Failed requests that are remembered.
const MAX_FAILED: usize = 256;
/// Nobody waits longer than this between two tries.
const MAX_PAUSE: Duration = Duration::from_secs(600);
/// Of a long body the beginning and the end are looked at: conversations differ in their ends.
const LOOKED_AT: usize = 16 << 10;

static FAILED: Mutex<VecDeque<Failed>> = Mutex::new(VecDeque::new());

struct Failed {
    request: Request,
    attempts: i64,
    at: Instant,
}

/// What makes two requests the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request(u64);

impl Request {
    pub(super) fn new(place: impl Hash, url: impl Hash, body: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        place.hash(&mut hasher);
        url.hash(&mut hasher);
        body.len().hash(&mut hasher);
        let cut = body.len().min(LOOKED_AT);
        body[..cut].hash(&mut hasher);
        body[body.len() - cut..].hash(&mut hasher);
        Request(hasher.finish())
    }

    /// How often the request failed before, without an answer since.
    pub(super) fn attempts(self) -> i64 {
        with_failed(|failed| {
            let known = failed.iter().find(|known| known.request == self);
            known.map_or(0, |known| known.attempts)
        })
    }

    /// The request failed, this often by now.
    pub(super) fn failed(self, attempts: i64) {
        with_failed(|failed| {
            failed.retain(|known| known.request != self);
            if failed.len() == MAX_FAILED {
                failed.pop_front();
            }
            failed.push_back(Failed {
                request: self,
                attempts,
                at: Instant::now(),
            });
        });
    }

    /// The request has its answer.
    pub(super) fn answered(self) {
        with_failed(|failed| failed.retain(|known| known.request != self));
    }
}

fn with_failed<T>(look: impl FnOnce(&mut VecDeque<Failed>) -> T) -> T {
    let mut failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
    while failed
        .front()
        .is_some_and(|oldest| oldest.at.elapsed() > MAX_PAUSE)
    {
        failed.pop_front();
    }
    look(&mut failed)
}
