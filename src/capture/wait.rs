//! Waiting for somebody's leave: how long the spans around it stood still, and what was decided.

use super::open::OpenSpan;
use crate::record::Value;
use crate::semconv::{Fact, Kind};

/// When a span waited: spans of time that do not meet, in order.
#[derive(Debug, Default)]
pub(super) struct Waits(Vec<(i64, i64)>);

impl Waits {
    /// Adds a wait that ended later than those before; several at once count once.
    fn add(&mut self, start_ns: i64, end_ns: i64) {
        let mut start_ns = start_ns;
        while let Some(&(before, until)) = self.0.last()
            && until >= start_ns
        {
            start_ns = start_ns.min(before);
            self.0.pop();
        }
        self.0.push((start_ns, end_ns.max(start_ns)));
    }

    fn total_ms(&self) -> i64 {
        let waits = self.0.iter();
        let total_ns: i64 = waits.map(|(start, end)| end.saturating_sub(*start)).sum();
        (total_ns + 500_000) / 1_000_000
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl OpenSpan {
    /// Tells the spans around an approval that is over how long it took, and the tool what came of it.
    #[cold]
    pub(super) fn tell_wait(&self, end_ns: i64) {
        let decision = {
            let state = self.state();
            state
                .said
                .notes
                .get(Fact::ApprovalDecision)
                .map(Value::from)
        };
        let (mut is_told, start_ns) = (decision.is_none(), self.origin.start_ns);
        for open in self.ancestors() {
            let kind = open.kind();
            let mut state = open.state();
            if kind.is_none() || state.is_over {
                continue;
            }
            state.waits.add(start_ns, end_ns);
            let waited = state.waits.total_ms();
            let notes = &mut state.said.notes;
            notes.set(Fact::WaitMs, waited);
            if kind == Some(Kind::Tool) && !is_told {
                is_told = true;
                if let Some(decision) = &decision {
                    notes.set_default(Fact::ToolApproval, decision.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Waits;

    #[test]
    fn what_was_waited_for_at_once_counts_once() {
        const MS: i64 = 1_000_000;
        let mut waits = Waits::default();
        let mut total = |start, end| {
            waits.add(start * MS, end * MS);
            waits.total_ms()
        };
        assert_eq!(total(10, 20), 10);
        assert_eq!(total(30, 40), 20);
        assert_eq!(total(35, 45), 25, "a part of it");
        assert_eq!(total(15, 50), 40, "around all that was after the first");
        assert_eq!(total(60, 60), 40);
        assert_eq!(total(0, 100), 100);
    }
}
