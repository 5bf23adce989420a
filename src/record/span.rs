//! One span and one run as they are handed from step to step.

use std::borrow::Cow;

use super::{ErrorClass, Facts, RunId, SpanId, Status, TraceId, Value};
use crate::semconv::{Fact, Kind, Profile};

/// A span: started, and usually ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SpanRecord {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    /// Whether OTel has the span and its sampler took it: else it stays at home.
    pub(crate) is_sampled: bool,
    /// The nearest stored ancestor.
    pub(crate) parent_span_id: Option<SpanId>,
    /// The parent on OTLP, which may be a span of another library.
    pub(crate) wire_parent_span_id: Option<SpanId>,
    /// The nearest ancestor in another process, which may be in the same store.
    pub(crate) remote_parent_span_id: Option<SpanId>,
    pub(crate) run: RunRecord,
    pub(crate) kind: Kind,
    /// The name the code gave the span, where it differs from the kind's own.
    pub(crate) given_name: Option<Cow<'static, str>>,
    /// Nanoseconds since the Unix epoch.
    pub(crate) start_ns: i64,
    /// `None` while the span runs.
    pub(crate) end_ns: Option<i64>,
    pub(crate) status: Status,
    pub(crate) failure: Option<Failure>,
    pub(crate) facts: Facts,
    /// Fields that no table knows.
    pub(crate) extra: Vec<(Cow<'static, str>, Value)>,
    pub(crate) events: Vec<EventRecord>,
    /// Spans this one follows from.
    pub(crate) links: Vec<(TraceId, SpanId)>,
    /// The failed call that this one tries again.
    pub(crate) retries: Option<SpanId>,
    /// A span that the capture filter took out after children had been stored under it: the
    /// children move to the given parent, and the span itself is not kept.
    pub(crate) withdrawn: bool,
}

/// The run a span belongs to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RunRecord {
    pub(crate) run_id: RunId,
    /// Whether the span is the one that makes the run.
    pub(crate) is_root: bool,
}

/// What went wrong in a span.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Failure {
    /// The value of `error.type`: low cardinality, never a message.
    pub(crate) error_type: Cow<'static, str>,
    pub(crate) class: ErrorClass,
    /// The error's own text. Redacted and cut before any sink sees it.
    pub(crate) message: Option<String>,
}

/// Something that happened inside a span.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EventRecord {
    pub(crate) name: Cow<'static, str>,
    pub(crate) time_ns: i64,
    pub(crate) attributes: Vec<(Cow<'static, str>, Value)>,
}

impl SpanRecord {
    /// The duration so far known.
    pub(crate) fn duration_ns(&self) -> Option<i64> {
        self.end_ns
            .map(|end| end.saturating_sub(self.start_ns).max(0))
    }

    /// The name on OTLP and in `tel_spans.name`.
    pub(crate) fn exported_name(&self, profile: Profile) -> Cow<'_, str> {
        if let Some(name) = &self.given_name {
            return Cow::Borrowed(name);
        }
        let (prefix, fact) = self.kind.exported_name(profile);
        match fact.and_then(|fact| self.facts.text(fact)) {
            Some(subject) => Cow::Owned(format!("{prefix}{subject}")),
            None if prefix.is_empty() => Cow::Borrowed(self.kind.span_name()),
            None => Cow::Borrowed(prefix.trim_end_matches([' ', '.'])),
        }
    }

    /// Whether the span counts into the run's errors: a model or tool call that is ERROR on OTLP
    /// because it failed or was given up.
    pub(crate) fn is_failed_step(&self) -> bool {
        matches!(self.kind, Kind::Chat | Kind::Tool)
            && matches!(self.status, Status::Error | Status::Cancelled)
    }

    /// The text of a fact.
    pub(crate) fn text(&self, fact: Fact) -> Option<&str> {
        self.facts.text(fact)
    }
}
