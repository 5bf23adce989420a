//! The facts known of one span: few, small, each once.

use super::Value;
use crate::semconv::Fact;

/// Facts and their values, in the order in which they became known. A fact stated again replaces
/// its former value: some libraries record each number twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Facts(Vec<(Fact, Value)>);

impl Facts {
    /// The value of a fact.
    pub(crate) fn get(&self, fact: Fact) -> Option<&Value> {
        self.0
            .iter()
            .find(|(known, _)| *known == fact)
            .map(|(_, value)| value)
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

    /// States a fact, replacing what was said of it before.
    pub(crate) fn set(&mut self, fact: Fact, value: impl Into<Value>) {
        let value = value.into();
        match self.0.iter_mut().find(|(known, _)| *known == fact) {
            Some(slot) => slot.1 = value,
            None => self.0.push((fact, value)),
        }
    }

    /// States a fact unless it is known already.
    pub(crate) fn set_default(&mut self, fact: Fact, value: impl Into<Value>) {
        if self.get(fact).is_none() {
            self.0.push((fact, value.into()));
        }
    }

    /// Forgets a fact.
    pub(crate) fn remove(&mut self, fact: Fact) -> Option<Value> {
        let index = self.0.iter().position(|(known, _)| *known == fact)?;
        Some(self.0.remove(index).1)
    }

    /// Keeps only the facts that `keep` allows.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(Fact) -> bool) {
        self.0.retain(|(fact, _)| keep(*fact));
    }

    /// Every fact with its value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Fact, &Value)> {
        self.0.iter().map(|(fact, value)| (*fact, value))
    }

    /// Every value, to be rewritten in place.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = (Fact, &mut Value)> {
        self.0.iter_mut().map(|(fact, value)| (*fact, value))
    }
}

#[cfg(test)]
mod tests {
    use super::Facts;
    use crate::semconv::Fact;

    #[test]
    fn a_fact_said_again_replaces_the_former() {
        let mut facts = Facts::default();
        facts.set(Fact::InputTokens, 1);
        facts.set(Fact::InputTokens, 2);
        assert_eq!(facts.int(Fact::InputTokens), Some(2));
        assert_eq!(facts.values_mut().count(), 1);
    }
}
