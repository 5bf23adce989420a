//! What tail rules look at in the spans of a trace: failures, how long it took, tokens and cost.

use super::{SpanRecord, Status};
use crate::semconv::Fact;

/// What is known of the spans of one trace together. It only ever grows: what makes a trace worth
/// exporting stays so, whichever spans come later.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Merit {
    pub(crate) has_failed: bool,
    /// From the first start to the last end; the first after the last where there are no spans.
    extent_ns: (i64, i64),
    pub(crate) tokens: i64,
    pub(crate) cost_usd: f64,
}

impl Default for Merit {
    fn default() -> Self {
        Merit {
            has_failed: false,
            extent_ns: (i64::MAX, i64::MIN),
            tokens: 0,
            cost_usd: 0.0,
        }
    }
}

impl Merit {
    /// That of one of our spans. Only calls of models count tokens and cost: what stands on the spans
    /// around them are sums of theirs.
    pub(crate) fn of(record: &SpanRecord) -> Self {
        let is_call = record.kind.has_model();
        let int = |fact| record.facts.int(fact).filter(|_| is_call).unwrap_or(0);
        let cost = record
            .facts
            .get(Fact::CostUsd)
            .filter(|_| is_call)
            .and_then(super::Value::as_double);
        Merit {
            has_failed: record.status.is_failure() || record.status == Status::Interrupted,
            extent_ns: (record.start_ns, record.end_ns.unwrap_or(record.start_ns)),
            tokens: int(Fact::InputTokens).saturating_add(int(Fact::OutputTokens)),
            cost_usd: cost.filter(|cost| cost.is_finite()).unwrap_or(0.0),
        }
    }

    /// That of another library's span.
    pub(crate) fn of_other(has_failed: bool, extent_ns: (i64, i64)) -> Self {
        Merit {
            has_failed,
            extent_ns,
            ..Merit::default()
        }
    }

    /// Adds another span of the trace.
    pub(crate) fn add(&mut self, other: Merit) {
        self.has_failed |= other.has_failed;
        self.extent_ns.0 = self.extent_ns.0.min(other.extent_ns.0);
        self.extent_ns.1 = self.extent_ns.1.max(other.extent_ns.1);
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.cost_usd += other.cost_usd;
    }

    /// The trace goes on at this time.
    pub(crate) fn runs_at(&mut self, now_ns: i64) {
        self.extent_ns.1 = self.extent_ns.1.max(now_ns);
    }

    pub(crate) fn duration_ns(&self) -> i64 {
        self.extent_ns.1.saturating_sub(self.extent_ns.0).max(0)
    }

    /// When the first of its spans started.
    pub(crate) fn start_ns(&self) -> i64 {
        self.extent_ns.0
    }
}
