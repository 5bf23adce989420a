//! Short texts that were found to be clean, remembered: an agent says the same few over and over.
//!
//! Models, tools, addresses, states: to search them again for every span took a third of the time that a record takes.

use std::fmt;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use crate::semconv::Sensitivity;

/// What an agent repeats is short; longer texts are looked at each time.
const MOST_BYTES: usize = 128;
/// More than an agent has words for; a power of two.
const PLACES: usize = 512;

/// Clean texts, each in the one place that its hash gives.
#[derive(Default)]
pub(super) struct Familiar {
    hasher: RandomState,
    /// None before the first text comes.
    places: Vec<Place>,
}

#[derive(Clone, Default)]
struct Place {
    text: String,
    is_content: bool,
    /// Met again since another text wanted the place: ids that come but once shall not drive out what comes all the
    /// time.
    is_used: bool,
}

impl Familiar {
    /// Whether the text is known to be clean.
    pub(super) fn knows(&mut self, text: &str, sensitivity: Sensitivity) -> bool {
        let is_known = |place: &&mut Place| place.is_of(text, sensitivity);
        match self.place(text).filter(is_known) {
            Some(place) => {
                place.is_used = true;
                true
            }
            None => false,
        }
    }

    /// Remembers that a text is clean, for as long as its place is not another's.
    pub(super) fn remember(&mut self, text: &str, sensitivity: Sensitivity) {
        if self.places.is_empty() {
            self.places = vec![Place::default(); PLACES];
        }
        let Some(place) = self.place(text) else {
            return;
        };
        if std::mem::take(&mut place.is_used) {
            return;
        }
        place.text.clear();
        place.text.push_str(text);
        place.is_content = sensitivity == Sensitivity::Content;
    }

    fn place(&mut self, text: &str) -> Option<&mut Place> {
        if text.len() > MOST_BYTES {
            return None;
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the lower bits alone are wanted"
        )]
        let at = self.hasher.hash_one(text) as usize % PLACES;
        self.places.get_mut(at)
    }
}

impl Place {
    fn is_of(&self, text: &str, sensitivity: Sensitivity) -> bool {
        self.text == text && self.is_content == (sensitivity == Sensitivity::Content)
    }
}

impl fmt::Debug for Familiar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Familiar").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Familiar, MOST_BYTES, PLACES};
    use crate::semconv::Sensitivity::{Content, Plain};

    #[test]
    fn a_text_is_known_as_what_it_was_clean() {
        let mut familiar = Familiar::default();
        assert!(!familiar.knows("gpt-4o", Plain));
        familiar.remember("gpt-4o", Plain);
        assert!(familiar.knows("gpt-4o", Plain));
        // What identifies people is looked for in content alone.
        assert!(!familiar.knows("gpt-4o", Content));
        assert!(!familiar.knows("gpt-4", Plain) && !familiar.knows("", Content));
    }

    #[test]
    fn long_texts_are_looked_at_each_time() {
        let mut familiar = Familiar::default();
        let long = "a".repeat(MOST_BYTES + 1);
        familiar.remember(&long, Content);
        assert!(!familiar.knows(&long, Content));
    }

    #[test]
    fn what_comes_all_the_time_stays_known_among_what_comes_once() {
        let mut familiar = Familiar::default();
        familiar.remember("read_file", Plain);
        for id in 0..PLACES * 8 {
            familiar.remember(&format!("call_{id}"), Plain);
            assert!(familiar.knows("read_file", Plain), "{id}");
        }
    }
}
