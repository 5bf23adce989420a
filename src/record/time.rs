//! The wall clock, in the unit of every record.

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since the Unix epoch; zero on a clock that is set before it.
pub(crate) fn now_ns() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_nanos()).ok())
        .unwrap_or(0)
}
