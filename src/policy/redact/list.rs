//! Lists of words, written as one text and asked for whole words.

use std::collections::HashSet;
use std::sync::OnceLock;

/// The longest word of a list.
const MOST_BYTES: usize = 24;

/// A list of words in lower case, parted by `|`.
pub(super) struct List {
    words: &'static str,
    found: OnceLock<HashSet<&'static str>>,
}

impl List {
    pub(super) const fn of(words: &'static str) -> Self {
        List {
            words,
            found: OnceLock::new(),
        }
    }

    /// Whether the word is one of the list, in lower case.
    pub(super) fn has(&self, word: &str) -> bool {
        word.len() <= MOST_BYTES
            && self
                .found
                .get_or_init(|| self.words.split('|').collect())
                .contains(word)
    }

    /// The same in whatever case.
    pub(super) fn has_any_case(&self, word: &str) -> bool {
        word.len() <= MOST_BYTES && self.has(&word.to_ascii_lowercase())
    }
}
