//! A start that the code states: for spans that are told of after they have begun.
//!
//! `tracing` has no way to say when a span began, and a field would be seen by every layer. A span is
//! made on the thread that asks for it, so what is stated lies with that thread meanwhile.

use std::cell::Cell;

thread_local! {
    static STATED_NS: Cell<Option<i64>> = const { Cell::new(None) };
}

/// Runs `open`, which makes one span; that span began `start_ns` nanoseconds after the Unix epoch.
pub(crate) fn opening_at<T>(start_ns: Option<i64>, open: impl FnOnce() -> T) -> T {
    let Some(start_ns) = start_ns else {
        return open();
    };
    let _stated = Stated;
    let _ = STATED_NS.try_with(|stated| stated.set(Some(start_ns)));
    open()
}

/// When the span that is being made began, where that was stated. The next span is another one.
#[inline]
pub(super) fn take_stated_start() -> Option<i64> {
    STATED_NS.try_with(Cell::take).ok().flatten()
}

/// Forgets what nobody took, for the span was disabled, and after a panic as well.
struct Stated;

impl Drop for Stated {
    fn drop(&mut self) {
        let _ = STATED_NS.try_with(Cell::take);
    }
}

#[cfg(test)]
mod tests {
    use super::{opening_at, take_stated_start};

    #[test]
    fn what_is_stated_is_taken_once_and_outlives_nothing() {
        assert_eq!(take_stated_start(), None);
        opening_at(Some(5), || {
            assert_eq!(take_stated_start(), Some(5));
            assert_eq!(take_stated_start(), None);
        });
        opening_at(Some(6), || {});
        assert_eq!(take_stated_start(), None);
        let panicked = std::panic::catch_unwind(|| opening_at(Some(7), || panic!("no span")));
        assert!(panicked.is_err());
        assert_eq!(take_stated_start(), None);
    }
}
