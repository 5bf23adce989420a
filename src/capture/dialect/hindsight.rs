//! A model call that ended without an answer and without a word why: what its surroundings tell afterwards.
//!
//! rig's span of a failed call is bare, and so is one whose stream was dropped. The function around it
//! returns the error a moment later. So such a call is looked at when its record is made, which waits
//! for that moment, and where the function around then failed with nothing done in between, the call did.

use std::sync::Arc;

use super::settle::{has_answer, is_streamed};
use super::{Habit, Heard};
use crate::capture::event::crate_of;
use crate::capture::open::OpenSpan;
use crate::capture::state::{Outcome, State, Tally};
use crate::capture::verdict;
use crate::semconv::{Fact, Kind};

/// How things stood when a call ended that nobody knows the outcome of.
#[derive(Clone, Debug)]
pub(in crate::capture) struct Hindsight {
    /// What sums the call up, and the steps that it had seen.
    scope: Option<(Arc<OpenSpan>, i64)>,
    /// How the call turned out where nobody around tells.
    otherwise: Option<Outcome>,
}

impl Hindsight {
    /// `None`: the span says itself how it went.
    pub(in crate::capture) fn of(open: &OpenSpan, kind: Kind) -> Option<Self> {
        if kind != Kind::Chat {
            return None;
        }
        if !open.may_fail_silently() {
            open.tell_agent(None);
            return None;
        }
        let scope = open.tallied_by(kind).cloned();
        let otherwise = open.without_answer();
        open.tell_agent(otherwise.as_ref());
        Some(Hindsight {
            otherwise,
            scope: scope.map(|scope| {
                let steps = steps(&scope.state().tally);
                (scope, steps)
            }),
        })
    }

    /// How the call turned out, by how the nearest span around it did that says so.
    pub(in crate::capture) fn outcome<'a>(
        &self,
        mut around: impl Iterator<Item = &'a Arc<OpenSpan>>,
    ) -> Option<Outcome> {
        let is_last = |(scope, seen): &(Arc<OpenSpan>, i64)| steps(&scope.state().tally) == *seen;
        let is_last = self.scope.as_ref().is_none_or(is_last);
        let word = is_last.then(|| around.find_map(|open| open.word()));
        match word.flatten() {
            None | Some(Outcome::Returned(_)) => self.otherwise.clone(),
            failure => failure,
        }
    }

    /// Whether nothing more will be learned.
    pub(in crate::capture) fn is_over<'a>(
        around: &(impl Iterator<Item = &'a Arc<OpenSpan>> + Clone),
    ) -> bool {
        // Where nobody is around, nobody will tell.
        around.clone().all(|open| open.state().is_over)
            || around.clone().any(|open| open.word().is_some())
    }
}

fn steps(tally: &Tally) -> i64 {
    tally.api_calls + tally.tool_calls
}

impl OpenSpan {
    /// Whether a call of another library's, or one of ours that a library filled, ended as a failed
    /// one would.
    fn may_fail_silently(&self) -> bool {
        let shape = self.origin.shape;
        if shape.is_own {
            return false;
        }
        let is_silent = shape
            .dialect
            .is_some_and(|dialect| dialect.has(Habit::FailsSilently));
        let state = self.state();
        (is_silent || shape.declares_response())
            && !has_answer(&state.said.notes)
            && state.outcome.is_none()
            && !verdict::has_failed(&state)
    }

    /// What it means that a call of this library brought nothing back. Of a stream that is most often
    /// that nobody wanted to hear more.
    fn without_answer(&self) -> Option<Outcome> {
        let dialect = self.origin.shape.dialect?;
        let is_stream = is_streamed(&self.state().said.notes);
        let tells = dialect.has(Habit::Answers) || dialect.has(Habit::AnswersWhole) && !is_stream;
        tells.then_some(if is_stream {
            Outcome::Cancelled
        } else {
            Outcome::Failed {
                type_name: None,
                message: None,
            }
        })
    }

    /// The library's agent around a call without an answer has none either, unless it goes on and
    /// gets one.
    fn tell_agent(&self, outcome: Option<&Outcome>) {
        let dialect = self.origin.shape.dialect;
        if !dialect.is_some_and(|dialect| dialect.has(Habit::Answers)) {
            return;
        }
        let library = crate_of(self.metadata().target());
        let mut around = self.ancestors();
        let agent = around.find(|around| around.kind() == Some(Kind::Agent));
        if let Some(agent) = agent
            && !agent.origin.shape.is_own
            && agent.metadata().target().starts_with(library)
        {
            agent.state().heard = outcome.map(|outcome| {
                Box::new(Heard {
                    is_cancelled: matches!(outcome, Outcome::Cancelled),
                    ..Heard::default()
                })
            });
        }
    }

    /// How the span turned out, once it says so.
    fn word(&self) -> Option<Outcome> {
        let state = self.state();
        if state.outcome.is_some() {
            return state.outcome.clone();
        }
        // A failure would have stayed behind.
        let returned = state.is_over && self.origin.shape.is_own;
        returned
            .then_some(Outcome::Returned(None))
            .or_else(|| stated_failure(&state))
    }
}

/// What another library's span says of its own failure.
fn stated_failure(state: &State) -> Option<Outcome> {
    let kind = state.found_kind?;
    let facts = state.is_over.then(|| state.said.notes.read().facts())?;
    let failure = verdict::verdict(kind, None, state.class, &facts).failure?;
    let message = failure
        .message
        .or_else(|| facts.text(Fact::ErrorType).map(str::to_owned));
    Some(Outcome::Failed {
        type_name: None,
        message,
    })
}
