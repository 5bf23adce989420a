//! How much of a text is kept.

/// The longest value the store keeps unless it is said otherwise, in characters (the contract's 64 KiB).
pub(super) const KEPT_CHARS: usize = 64 * 1024;
/// The longest identifier, name or other plain value.
pub(super) const PLAIN_CHARS: usize = 1024;
/// The longest error text, kept even with content off.
pub(super) const ERROR_CHARS: usize = 500;

/// How much is kept of texts that may be kept at all.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Extent {
    pub(crate) error_text: bool,
    chars: usize,
}

impl Default for Extent {
    fn default() -> Self {
        Extent {
            error_text: true,
            chars: KEPT_CHARS,
        }
    }
}

impl Extent {
    /// The longest value of content; within bounds, so that a mistake neither fills the disk nor leaves no room for what
    /// says that something was cut.
    pub(crate) fn set_chars(&mut self, chars: usize) {
        self.chars = chars.clamp(PLAIN_CHARS, 16 * KEPT_CHARS);
    }

    pub(super) const fn chars(self) -> usize {
        self.chars
    }
}
