//! The facts known of one span: few, small, each once.

use super::Value;
use crate::semconv::Fact;

/// How many facts there may be: a byte tells where each stands.
const PLACES: usize = 128;
const _: () = assert!(Fact::ALL.len() <= PLACES, "every fact has a place");
/// What a model call with its usage says, and what is added at its end.
const USUAL: usize = 24;

/// Facts and their values, in the order in which they became known. A fact stated again replaces
/// its former value: some libraries record each number twice.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    /// Where each fact stands in the list, counted from one; 0: nowhere. Some fifty are asked for on the way of a
    /// span into the store, most of which it has not.
    places: [u8; PLACES],
    list: Vec<(Fact, Value)>,
}

impl Default for Facts {
    fn default() -> Self {
        Facts {
            places: [0; PLACES],
            list: Vec::new(),
        }
    }
}

impl PartialEq for Facts {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl Facts {
    /// None yet, with room for those of most spans.
    pub(crate) fn with_room() -> Self {
        Facts {
            places: [0; PLACES],
            list: Vec::with_capacity(USUAL),
        }
    }

    /// The value of a fact.
    pub(crate) fn get(&self, fact: Fact) -> Option<&Value> {
        let at = self.place(fact)?;
        self.list.get(at).map(|(_, value)| value)
    }

    /// The text of a fact, where it has one that says something.
    pub(crate) fn text(&self, fact: Fact) -> Option<&str> {
        self.get(fact)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
    }

    /// The whole number of a fact.
    pub(crate) fn int(&self, fact: Fact) -> Option<i64> {
        self.get(fact).and_then(Value::as_int)
    }

    /// The amount of a fact.
    pub(crate) fn double(&self, fact: Fact) -> Option<f64> {
        self.get(fact).and_then(Value::as_double)
    }

    /// States a fact, replacing what was said of it before.
    pub(crate) fn set(&mut self, fact: Fact, value: impl Into<Value>) {
        let known = self.place(fact).and_then(|at| self.list.get_mut(at));
        match known {
            Some(slot) => slot.1 = value.into(),
            None => self.add(fact, value.into()),
        }
    }

    /// States a fact unless it is known already.
    pub(crate) fn set_default(&mut self, fact: Fact, value: impl Into<Value>) {
        if self.place(fact).is_none() {
            self.add(fact, value.into());
        }
    }

    /// Forgets a fact.
    pub(crate) fn remove(&mut self, fact: Fact) -> Option<Value> {
        let at = self.place(fact)?;
        let (_, value) = (at < self.list.len()).then(|| self.list.remove(at))?;
        self.find_places();
        Some(value)
    }

    /// Keeps only the facts that `keep` allows.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(Fact) -> bool) {
        let before = self.list.len();
        self.list.retain(|(fact, _)| keep(*fact));
        if self.list.len() < before {
            self.find_places();
        }
    }

    /// Every fact with its value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Fact, &Value)> {
        self.list.iter().map(|(fact, value)| (*fact, value))
    }

    /// Every value, to be rewritten in place.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = (Fact, &mut Value)> {
        self.list.iter_mut().map(|(fact, value)| (*fact, value))
    }

    fn place(&self, fact: Fact) -> Option<usize> {
        let place = self.places.get(fact as usize).copied().unwrap_or(0);
        usize::from(place).checked_sub(1)
    }

    fn add(&mut self, fact: Fact, value: Value) {
        self.list.push((fact, value));
        // There are no more facts than a byte counts, and each stands here once.
        let place = u8::try_from(self.list.len()).unwrap_or(0);
        if let Some(slot) = self.places.get_mut(fact as usize) {
            *slot = place;
        }
    }

    fn find_places(&mut self) {
        self.places = [0; PLACES];
        for (place, (fact, _)) in (1..).zip(&self.list) {
            if let Some(slot) = self.places.get_mut(*fact as usize) {
                *slot = place;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Facts, Value};
    use crate::semconv::Fact;

    #[test]
    fn a_fact_said_again_replaces_the_former() {
        let mut facts = Facts::default();
        facts.set(Fact::InputTokens, 1);
        facts.set(Fact::InputTokens, 2);
        assert_eq!(facts.int(Fact::InputTokens), Some(2));
        assert_eq!(facts.values_mut().count(), 1);
    }

    #[test]
    fn every_fact_is_found_where_it_stands_whatever_goes() {
        let mut facts = Facts::default();
        for (number, &fact) in (0_i64..).zip(Fact::ALL) {
            facts.set(fact, number);
        }
        let is_known = |facts: &Facts, number: usize| {
            facts.int(Fact::ALL[number]) == i64::try_from(number).ok()
        };
        assert!((0..Fact::ALL.len()).all(|number| is_known(&facts, number)));
        assert_eq!(facts.remove(Fact::ALL[3]), Some(Value::Int(3)));
        assert_eq!(facts.remove(Fact::ALL[3]), None);
        facts.retain(|fact| fact as usize % 2 == 1);
        for number in 0..Fact::ALL.len() {
            assert_eq!(is_known(&facts, number), number % 2 == 1 && number != 3);
        }
        facts.set_default(Fact::ALL[3], 3);
        assert!(is_known(&facts, 3));
        assert_eq!(facts.iter().count(), Fact::ALL.len() / 2);
    }
}
