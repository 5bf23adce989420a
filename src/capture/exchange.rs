//! The exchanges over the wire that one span describes: a call that a client tries again is still one call.

use super::open::OpenSpan;
use crate::record::ErrorClass;
use crate::semconv::Fact;

/// What a span knows of the requests sent for it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Exchanges {
    attempts: i64,
    is_running: bool,
    /// Whether the first request inside the running exchange is still to come: it is that exchange.
    awaits_inner: bool,
    failure: Option<ErrorClass>,
}

impl Exchanges {
    /// Why the last exchange failed, if it did: where the span fails, that is why.
    pub(super) fn failure(&self) -> Option<ErrorClass> {
        self.failure
    }
}

impl OpenSpan {
    /// Begins an exchange that this span describes, and tells how many went before it.
    ///
    /// `None` where the span has its answer, is over, or describes another exchange that is running, unless the new
    /// one `is_inside` that.
    pub(crate) fn begin_exchange(&self, is_inside: bool) -> Option<i64> {
        let answer = [Fact::FinishReasons, Fact::ResponseId, Fact::OutputTokens];
        let mut state = self.state();
        let has_answer = answer
            .iter()
            .any(|fact| state.said.notes.get(*fact).is_some());
        let exchanges = &mut state.exchanges;
        let is_first_inside = is_inside && std::mem::take(&mut exchanges.awaits_inner);
        let is_taken = has_answer || (exchanges.is_running && !is_inside);
        if is_taken || state.is_over {
            return None;
        }
        let exchanges = &mut state.exchanges;
        if !is_first_inside {
            exchanges.attempts += 1;
        }
        exchanges.awaits_inner = !is_inside;
        exchanges.is_running = true;
        exchanges.failure = None;
        Some(exchanges.attempts - 1)
    }

    /// Ends an exchange. One inside another leaves that running.
    pub(crate) fn end_exchange(&self, is_inside: bool, failure: Option<ErrorClass>) {
        let mut state = self.state();
        state.exchanges.failure = failure;
        if !is_inside {
            state.exchanges.is_running = false;
        }
    }
}
