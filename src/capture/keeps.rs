//! Which content is read of fields at all: looked up once when Hermes is built, asked for every value.

use crate::policy::Policy;
use crate::semconv::Fact;

/// Content that is wanted: to be kept, or to be filtered on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keeps {
    /// A bit for each fact.
    facts: u128,
    /// Fields that no table knows.
    unknown: bool,
}

const _: () = assert!(Fact::ALL.len() <= 128, "every fact needs a bit of its own");

impl Keeps {
    pub(super) const ALL: Keeps = Keeps {
        facts: u128::MAX,
        unknown: true,
    };

    /// What policy lets be kept.
    pub(super) fn of(policy: &Policy) -> Self {
        let wanted = Fact::ALL.iter().filter(|fact| policy.captures(**fact));
        Keeps {
            facts: wanted.fold(0, |facts, fact| facts | (1 << (*fact as u8))),
            unknown: policy.captures_unknown(),
        }
    }

    #[inline]
    pub(super) fn has(&self, fact: Fact) -> bool {
        self.facts & (1 << (fact as u8)) != 0
    }

    #[inline]
    pub(super) fn has_unknown(&self) -> bool {
        self.unknown
    }
}
