//! The end of a span, on the agent's thread: its sums go up to its turn, and it is ready to be written.
//!
//! What takes longer, which is to say everything that turns notes into a record, waits for the
//! writer's thread ([`super::finish`]).

use super::layer::Core;
use super::notes::Noted;
use super::open::{Ended, OpenSpan, State};
use super::verdict;
use crate::pipeline::Loss;
use crate::record::SpanId;
use crate::semconv::{Fact, Kind};

/// What became of a span at its close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// It is to be stored and exported.
    Kept {
        /// About how much memory its values take.
        bytes: usize,
    },
    /// The capture filter took it out; its children hang under its parent.
    Filtered {
        /// Whether children may have been stored under it.
        was_kept: bool,
    },
    /// It never turned out to be one of ours.
    Foreign,
}

impl Core {
    /// Ends a span at `end_ns`. `wire_parent` is its parent on OTLP, where that is not the nearest
    /// stored ancestor.
    pub(super) fn close(
        &self,
        open: &OpenSpan,
        end_ns: i64,
        wire_parent: Option<SpanId>,
    ) -> Closed {
        let Some(kind) = open.kind() else {
            return Closed::Foreign;
        };
        let is_kept = self.filter_keeps(open);
        let mut state = open.state();
        let was_kept = state.was_kept;
        state.is_left_out = !is_kept;
        state.ended = Some(Ended {
            end_ns: end_ns.max(open.origin.start_ns),
            wire_parent,
            is_withdrawn: !is_kept,
            is_exported: self.wire.is_some(),
        });
        let bytes = state.said.bytes();
        let sum = (is_kept && kind == Kind::Chat).then(|| Sum::of(&state));
        drop(state);

        if is_kept {
            if let Some(sum) = sum {
                sum.add_up(open);
            }
            return Closed::Kept { bytes };
        }
        // A span that is left out counts nowhere.
        if let Some(scope) = open.tallied_by(kind)
            && let Some(count) = scope.state().tally.count_of(kind)
        {
            *count -= 1;
        }
        self.health.captured();
        self.health.dropped(Loss::Filtered, 1);
        Closed::Filtered { was_kept }
    }
}

/// What a model call adds to its turn.
struct Sum {
    input_tokens: i64,
    output_tokens: i64,
    cost_usd: Option<f64>,
    has_failed: bool,
}

impl Sum {
    fn of(state: &State) -> Self {
        let mut sum = Sum {
            input_tokens: 0,
            output_tokens: 0,
            cost_usd: None,
            has_failed: verdict::has_failed(state),
        };
        for (fact, value) in state.said.notes.iter() {
            match fact {
                Fact::InputTokens => sum.input_tokens = value.as_int().unwrap_or(0),
                Fact::OutputTokens => sum.output_tokens = value.as_int().unwrap_or(0),
                Fact::CostUsd => sum.cost_usd = Noted::as_double(&value),
                _ => {}
            }
        }
        sum
    }

    fn add_up(&self, open: &OpenSpan) {
        let Some(scope) = open.tallied_by(Kind::Chat) else {
            return;
        };
        let span_id = open.ids().1;
        let mut state = scope.state();
        if state.ended.is_some() {
            return;
        }
        let tally = &mut state.tally;
        tally.input_tokens = tally.input_tokens.saturating_add(self.input_tokens);
        tally.output_tokens = tally.output_tokens.saturating_add(self.output_tokens);
        if let Some(cost) = self.cost_usd {
            *tally.cost_usd.get_or_insert(0.0) += cost;
        }
        tally.failed_call = self.has_failed.then_some(span_id);
    }
}
