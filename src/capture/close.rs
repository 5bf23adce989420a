//! The end of a span, on the agent's thread: its sums go up to its turn, and it is ready to be written.
//!
//! What takes longer, which is to say everything that turns notes into a record, waits for the
//! writer's thread ([`super::finish`]).

use std::sync::Arc;

use super::core::Core;
use super::dialect::Hindsight;
use super::draft::{Draft, End, Waiting};
use super::open::OpenSpan;
use super::state::State;
use super::verdict;
use crate::pipeline::Loss;
use crate::record::SpanId;
use crate::semconv::{Fact, Kind};

/// What became of a span at its close.
pub(super) enum Closed {
    /// It is to be stored and exported.
    Kept(Box<Draft>),
    /// The capture filter took it out; its children hang under its parent.
    Filtered {
        span: SpanId,
        parent: Option<SpanId>,
        /// Word to the store, where children may have been stored under it.
        withdrawal: Option<Box<Draft>>,
    },
    /// It described the same call as the span around it, which has taken it in.
    Folded {
        span: SpanId,
        parent: Option<SpanId>,
        /// Word to the store, where children may have been stored under it.
        withdrawal: Option<Box<Draft>>,
    },
    /// It never turned out to be one of ours.
    Foreign,
    /// It was ended before, by its handle.
    Before,
}

impl Core {
    /// Ends a span at `end_ns`, and keeps its object for another. `wire_parent` is its parent on OTLP,
    /// where that is not the nearest stored ancestor.
    #[inline]
    pub(super) fn close(
        &self,
        mut open: Arc<OpenSpan>,
        end_ns: i64,
        wire_parent: Option<SpanId>,
    ) -> Closed {
        // A span without children or handles is nobody else's: it needs no lock, and gives its parent
        // away. How another library's call went may be known later only.
        if open.origin.shape.is_own
            && self.filter_keeps(&open)
            && let Some(own) = Arc::get_mut(&mut open)
            && let Some(kind) = own.plain_kind()
        {
            let draft = self.close_alone(own, kind, end_ns, wire_parent);
            self.spans.pool.put_cleared(open);
            return Closed::Kept(draft);
        }
        self.close_shared(open, end_ns, wire_parent)
    }

    /// Ends a span of ours that nobody shares.
    #[inline]
    fn close_alone(
        &self,
        own: &mut OpenSpan,
        kind: Kind,
        end_ns: i64,
        wire_parent: Option<SpanId>,
    ) -> Box<Draft> {
        let end = End {
            at_ns: end_ns.max(own.origin.start_ns),
            wire_parent,
            is_withdrawn: false,
        };
        // The draft last, in one go: a lock waits until the lines written before it have come.
        own.own_state().take_in_parts();
        if kind == Kind::Chat {
            Sum::of(own.own_state()).add_up(own);
        } else if kind == Kind::Approval {
            own.tell_wait(end.at_ns);
        }
        let mut draft = self.spans.pool.draft(own);
        draft.take_origin(own);
        draft.take_end(own.own_state(), kind, end);
        draft.take_parent(own.origin.parent.take());
        own.clear();
        draft
    }

    /// Ends a span that others hold, that is another library's, or of which the capture filter may not
    /// know enough before its end.
    #[inline(never)]
    fn close_shared(
        &self,
        open: Arc<OpenSpan>,
        end_ns: i64,
        wire_parent: Option<SpanId>,
    ) -> Closed {
        if !open.origin.shape.is_own {
            self.settle_other(&open);
        }
        let Some(kind) = open.kind() else {
            self.spans.pool.put_span(open);
            return Closed::Foreign;
        };
        let is_kept = self.filter_keeps(&open);
        if open.may_be_part()
            && is_kept
            && let Some(whole) = open.whole(kind).cloned()
        {
            return self.fold(open, &whole, kind, end_ns);
        }
        if open.may_be_part() {
            open.stand_alone(kind);
        }
        let mut draft = self.spans.pool.draft(&open);
        let end = End {
            at_ns: end_ns.max(open.origin.start_ns),
            wire_parent,
            is_withdrawn: !is_kept,
        };
        draft.take_origin(&open);
        draft.parent.clone_from(&open.origin.parent);
        let mut state = open.state();
        if state.is_over {
            drop(state);
            return self.ended_before(open, draft);
        }
        state.is_left_out = !is_kept;
        state.take_in_parts();
        state.is_over = true;
        let was_kept = state.was_kept;
        let sum = (is_kept && kind == Kind::Chat).then(|| Sum::of(&state));
        draft.take_end(&mut state, kind, end);
        drop(state);
        if !open.origin.shape.is_own {
            draft.hindsight = Hindsight::of(&open, kind).map(Box::new);
        }

        let closed = if is_kept {
            if let Some(sum) = sum {
                sum.add_up(&open);
            } else if kind == Kind::Approval {
                open.tell_wait(end.at_ns);
            }
            Closed::Kept(draft)
        } else {
            self.leave_out(&open, kind);
            Closed::Filtered {
                span: open.ids().1,
                parent: open.kept_parent(),
                withdrawal: was_kept.then_some(draft),
            }
        };
        self.spans.pool.put_span(open);
        closed
    }

    /// A span whose handle ended it is only taken away.
    #[cold]
    fn ended_before(&self, open: Arc<OpenSpan>, draft: Box<Draft>) -> Closed {
        self.spans.pool.put_draft(Waiting::Own(draft));
        self.spans.pool.put_span(open);
        Closed::Before
    }

    /// A span that describes the same call as the one around it is no row of its own.
    #[cold]
    fn fold(&self, open: Arc<OpenSpan>, whole: &OpenSpan, kind: Kind, end_ns: i64) -> Closed {
        let was_shown = {
            let mut state = open.state();
            if state.is_over {
                drop(state);
                self.spans.pool.put_span(open);
                return Closed::Before;
            }
            !std::mem::replace(&mut state.is_part, true)
        };
        open.fold_into(whole, kind);
        let withdrawal = was_shown.then(|| {
            count_out(&open, kind);
            let mut draft = self.spans.pool.draft(&open);
            let end = End {
                at_ns: end_ns.max(open.origin.start_ns),
                wire_parent: None,
                is_withdrawn: true,
            };
            draft.take_origin(&open);
            draft.parent.clone_from(&open.origin.parent);
            draft.take_end(&mut open.state(), kind, end);
            draft
        });
        let closed = Closed::Folded {
            span: open.ids().1,
            parent: open.kept_parent(),
            withdrawal,
        };
        self.spans.pool.put_span(open);
        closed
    }

    /// A span that is left out counts nowhere.
    #[cold]
    fn leave_out(&self, open: &OpenSpan, kind: Kind) {
        count_out(open, kind);
        self.health.captured();
        self.health.dropped(Loss::Filtered, 1);
    }
}

fn count_out(open: &OpenSpan, kind: Kind) {
    if let Some(scope) = open.tallied_by(kind)
        && let Some(count) = scope.state().tally.count_of(kind)
    {
        *count -= 1;
    }
}

/// What a model call adds to its turn.
struct Sum {
    input_tokens: i64,
    output_tokens: i64,
    cost_usd: Option<f64>,
    has_failed: bool,
}

impl OpenSpan {
    /// The kind of a span of ours that no other describes, and that is not over yet.
    #[inline]
    fn plain_kind(&mut self) -> Option<Kind> {
        let kind = self.origin.shape.kind;
        let is_in_other = self.origin.is_in_other;
        let state = self.own_state();
        let kind = kind.or(state.found_kind);
        kind.filter(|_| !(is_in_other || state.is_over))
    }
}

impl Sum {
    #[inline]
    fn of(state: &State) -> Self {
        let notes = &state.said.notes;
        let (input_tokens, output_tokens) = notes.tokens();
        Sum {
            input_tokens,
            output_tokens,
            cost_usd: notes.get(Fact::CostUsd).and_then(|cost| cost.as_double()),
            has_failed: verdict::has_failed(state),
        }
    }

    #[inline]
    fn add_up(&self, open: &OpenSpan) {
        let Some(scope) = open.tallied_by(Kind::Chat) else {
            return;
        };
        let span_id = open.ids().1;
        let mut state = scope.state();
        if state.is_over {
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
