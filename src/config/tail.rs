//! Tail rules: which traces leave, decided when they have ended and it is known what they were.

use std::time::Duration;

#[cfg(feature = "otlp")]
use siphasher::sip::SipHasher13;
#[cfg(feature = "otlp")]
use std::hash::Hasher;

#[cfg(feature = "otlp")]
use crate::record::{Merit, TraceId};

/// Which traces are exported, decided when they have ended: a trace leaves whole, or not at all.
///
/// A trace leaves if one of the rules holds for it, or if it is in the share that [`rest_at`] takes; without
/// any rule and share nothing leaves. The local store keeps every span, whatever the rules say, and
/// [`Stats::export_sampled_out`](crate::Stats::export_sampled_out) counts what stays there.
///
/// A trace is decided when its outermost span of this process ends. What ends later goes where the
/// trace went, other libraries' spans too. A trace whose outermost span does not end is decided after
/// [`decide_after`], by what is known of it by then. What is undecided when the process ends or dies is decided
/// from the store by the next process that exports from it.
///
/// ```
/// use std::time::Duration;
/// use hermes::TailSampling;
///
/// let rules = TailSampling::new()
///     .errors()
///     .slower_than(Duration::from_secs(30))
///     .costlier_than(0.50)
///     .rest_at(0.1);
/// let builder = hermes::builder().tail_sampling(rules);
/// # drop(builder);
/// ```
///
/// [`rest_at`]: TailSampling::rest_at
/// [`decide_after`]: TailSampling::decide_after
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use = "rules do nothing before they are given to the builder"]
pub struct TailSampling {
    errors: bool,
    slower_than: Option<Duration>,
    costlier_than_usd: Option<f64>,
    more_tokens_than: Option<u64>,
    rest: f64,
    decide_after: Duration,
}

/// A session may take its time, and its end is what tells most of it.
const DECIDE_AFTER: Duration = Duration::from_secs(60 * 60);

impl Default for TailSampling {
    fn default() -> Self {
        Self::new()
    }
}

impl TailSampling {
    /// No rule, and none of the rest.
    pub const fn new() -> Self {
        TailSampling {
            errors: false,
            slower_than: None,
            costlier_than_usd: None,
            more_tokens_than: None,
            rest: 0.0,
            decide_after: DECIDE_AFTER,
        }
    }

    /// Every trace in which a span failed, was cancelled or was interrupted.
    pub const fn errors(mut self) -> Self {
        self.errors = true;
        self
    }

    /// Every trace that took longer than this, from the start of its first span to the end of its last.
    pub const fn slower_than(mut self, duration: Duration) -> Self {
        self.slower_than = Some(duration);
        self
    }

    /// Every trace whose model calls cost more than this together, in US dollars. A call whose cost is not
    /// known adds nothing.
    pub const fn costlier_than(mut self, usd: f64) -> Self {
        self.costlier_than_usd = Some(usd);
        self
    }

    /// Every trace whose model calls used more tokens than this together, input and output.
    pub const fn more_tokens_than(mut self, tokens: u64) -> Self {
        self.more_tokens_than = Some(tokens);
        self
    }

    /// This share of all other traces, from 0 (none) to 1 (all).
    ///
    /// Which ones is decided by the trace id alone, so that every process decides the same of a trace.
    /// The choice is independent of that of the sampler `traceidratio`: a tenth of a tenth is a hundredth.
    pub const fn rest_at(mut self, share: f64) -> Self {
        self.rest = share;
        self
    }

    /// How long a trace may stay undecided. Default: an hour.
    pub const fn decide_after(mut self, duration: Duration) -> Self {
        self.decide_after = duration;
        self
    }
}

#[cfg(feature = "otlp")]
impl TailSampling {
    /// Whether a trace leaves.
    pub(crate) fn keeps(&self, trace: TraceId, merit: &Merit) -> bool {
        let duration = Duration::from_nanos(u64::try_from(merit.duration_ns()).unwrap_or(0));
        let tokens = u64::try_from(merit.tokens).unwrap_or(0);
        (self.errors && merit.has_failed)
            || self.slower_than.is_some_and(|bound| duration > bound)
            || self
                .costlier_than_usd
                .is_some_and(|bound| merit.cost_usd > bound)
            || self.more_tokens_than.is_some_and(|bound| tokens > bound)
            || place_of(trace) < self.rest
    }

    /// How long a trace may stay undecided.
    pub(crate) fn patience(&self) -> Duration {
        self.decide_after
    }
}

/// Where between 0 and 1 a trace stands: anywhere, and everywhere the same. Not the bits of the id
/// themselves, by which `traceidratio` chooses.
#[cfg(feature = "otlp")]
fn place_of(trace: TraceId) -> f64 {
    let mut hasher = SipHasher13::new_with_keys(0, 0);
    hasher.write(&trace.to_bytes());
    #[expect(clippy::cast_precision_loss, reason = "53 bits have a place in it")]
    let place = (hasher.finish() >> 11) as f64;
    place / 9_007_199_254_740_992.0
}

#[cfg(all(test, feature = "otlp"))]
mod tests {
    use std::time::Duration;

    use super::{TailSampling, place_of};
    use crate::record::{Merit, TraceId};

    fn merit() -> Merit {
        Merit::of_other(false, (1_000, 2_000))
    }

    #[test]
    fn a_trace_leaves_for_one_reason_or_none() {
        let trace = TraceId::generate(1);
        let holds = |rules: TailSampling, merit: Merit| rules.keeps(trace, &merit);
        let none = TailSampling::new();
        assert!(!holds(none, merit()));
        assert!(holds(none.rest_at(1.0), merit()));
        let failed = Merit::of_other(true, (1, 2));
        assert!(holds(none.errors(), failed) && !holds(none.errors(), merit()));
        assert!(!holds(none.slower_than(Duration::from_secs(1)), failed));
        assert!(holds(none.slower_than(Duration::from_nanos(999)), merit()));
        assert!(!holds(none.slower_than(Duration::from_micros(1)), merit()));
        let mut dear = merit();
        dear.cost_usd = 0.5;
        dear.tokens = 10;
        assert!(holds(none.costlier_than(0.4), dear) && !holds(none.costlier_than(0.5), dear));
        assert!(holds(none.more_tokens_than(9), dear));
        assert!(!holds(none.more_tokens_than(10), dear));
        assert!(!holds(none.costlier_than(f64::NAN).rest_at(f64::NAN), dear));
    }

    #[test]
    fn the_share_is_kept_and_is_the_same_everywhere() {
        let known = TraceId::from_hex("4bf92f3577b34da6a3ce929d0e0e4736").unwrap();
        assert!((place_of(known) - place_of(known)).abs() < f64::EPSILON);
        let traces: Vec<_> = (0..20_000).map(|_| TraceId::generate(1)).collect();
        for share in [0.1, 0.5, 0.9] {
            let rules = TailSampling::new().rest_at(share);
            let kept = traces.iter().filter(|trace| rules.keeps(**trace, &merit()));
            #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
            let kept = kept.count() as f64 / 20_000.0;
            assert!((kept - share).abs() < 0.02, "{kept} of {share}");
        }
    }
}
