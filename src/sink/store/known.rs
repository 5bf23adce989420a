//! The facts of a span, each found at once: its row asks for some fifty of them.

use crate::record::{Facts, Value};
use crate::semconv::Fact;

/// More than there are facts.
const ROOM: usize = 128;

/// The facts of a span by their number.
pub(super) struct Known<'r>([Option<&'r Value>; ROOM]);

impl<'r> Known<'r> {
    pub(super) fn of(facts: &'r Facts) -> Self {
        let mut known = [None; ROOM];
        for (fact, value) in facts.iter() {
            if let Some(place) = known.get_mut(fact as usize) {
                *place = Some(value);
            }
        }
        Known(known)
    }

    /// The value of a fact.
    pub(super) fn get(&self, fact: Fact) -> Option<&'r Value> {
        self.0.get(fact as usize).copied().flatten()
    }

    /// The text of a fact, where it has one that says something.
    pub(super) fn text(&self, fact: Fact) -> Option<&'r str> {
        self.get(fact)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    }

    /// The whole number of a fact.
    pub(super) fn int(&self, fact: Fact) -> Option<i64> {
        self.get(fact).and_then(Value::as_int)
    }

    /// The amount of a fact.
    pub(super) fn double(&self, fact: Fact) -> Option<f64> {
        self.get(fact).and_then(Value::as_double)
    }
}

#[cfg(test)]
mod tests {
    use super::{Known, ROOM};
    use crate::record::{Facts, Value};
    use crate::semconv::Fact;

    #[test]
    fn every_fact_has_a_place() {
        assert!(Fact::ALL.len() <= ROOM);
        for &fact in Fact::ALL {
            let mut facts = Facts::default();
            facts.set(fact, 7);
            assert_eq!(
                Known::of(&facts).get(fact),
                Some(&Value::Int(7)),
                "{fact:?}"
            );
        }
    }
}
