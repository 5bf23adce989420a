//! Values that say nothing: the form that nothing has in print, and counts that are none.

use crate::capture::notes::{Noted, Notes};
use crate::record::Value;
use crate::semconv::{Fact, Sensitivity};

/// No call has more tokens than this, and sums of a thousand such still fit.
const MOST: i64 = 1 << 50;

/// Forgets what says nothing, so that what was said before it stands, and what nobody said is absent, not zero.
pub(super) fn forget_nonsense(notes: &mut Notes) {
    if notes.read().iter().all(|(fact, value)| says(fact, value)) {
        return;
    }
    let sensible = notes
        .read()
        .iter()
        .filter(|(fact, value)| says(*fact, *value));
    let sensible: Vec<(Fact, Value)> = sensible
        .map(|(fact, value)| (fact, Value::from(value)))
        .collect();
    notes.clear();
    for (fact, value) in sensible {
        notes.set(fact, value);
    }
}

fn says(fact: Fact, value: Noted<'_>) -> bool {
    if fact.is_count() {
        let count = value.as_int();
        return count.is_some_and(|count| (0..=MOST).contains(&count));
    }
    if fact == Fact::CostUsd {
        let cost = value.as_double();
        return cost.is_some_and(|cost| cost.is_finite() && cost >= 0.0);
    }
    // `field = ?option`, or Python's `str(None)`. Of content that may be what was really said.
    let is_nothing = matches!(value, Noted::Text("None" | ""));
    !is_nothing || fact.sensitivity() == Sensitivity::Content
}

#[cfg(test)]
mod tests {
    use super::forget_nonsense;
    use crate::capture::notes::Notes;
    use crate::record::Value;
    use crate::semconv::Fact;

    #[test]
    fn what_says_nothing_leaves_what_was_said_before() {
        for nonsense in [
            Value::Int(-1),
            Value::Int(i64::MAX),
            Value::from(u64::MAX),
            Value::Double(0.5),
            Value::Double(f64::NAN),
            Value::from("many"),
            Value::from("None"),
        ] {
            let mut notes = Notes::default();
            notes.int(Fact::InputTokens, 120);
            notes.set(Fact::InputTokens, nonsense.clone());
            notes.set(Fact::OutputTokens, nonsense.clone());
            forget_nonsense(&mut notes);
            let facts = notes.read().facts();
            assert_eq!(facts.int(Fact::InputTokens), Some(120), "{nonsense:?}");
            assert_eq!(facts.get(Fact::OutputTokens), None, "{nonsense:?}");
            assert_eq!(notes.tokens(), (120, 0), "{nonsense:?}");
        }
    }

    #[test]
    fn an_error_type_of_nothing_is_none() {
        let mut notes = Notes::default();
        notes.text(Fact::ErrorType, "None");
        notes.text(Fact::ToolResult, "None");
        notes.double(Fact::CostUsd, f64::NAN);
        forget_nonsense(&mut notes);
        assert!(!notes.has(Fact::ErrorType) && !notes.has(Fact::CostUsd));
        assert!(notes.has(Fact::ToolResult), "a tool may say it");
    }

    #[test]
    fn counts_are_read_in_any_type() {
        let mut notes = Notes::default();
        notes.double(Fact::InputTokens, 120.0);
        notes.text(Fact::OutputTokens, "34.0");
        forget_nonsense(&mut notes);
        assert_eq!(notes.tokens(), (120, 34));
    }
}
