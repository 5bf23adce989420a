//! Counts the bytes that rules look at, in tests alone: that they grow with the text and no faster is one of the laws.

/// So many more bytes were looked at.
#[inline]
pub(super) fn did(bytes: usize) {
    #[cfg(test)]
    DONE.with(|done| done.set(done.get() + bytes));
    #[cfg(not(test))]
    let _ = bytes;
}

#[cfg(test)]
thread_local! {
    static DONE: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// What was looked at since the last time it was asked.
#[cfg(test)]
pub(super) fn done() -> usize {
    DONE.with(std::cell::Cell::take)
}
