//! From the store back to the record that a span was, to be sent as it would have been at its end.

use std::borrow::Cow;

use crate::record::{ErrorClass, EventRecord, Failure, RunRecord, SpanRecord};
use crate::semconv::{Kind, Naming, Profile, exception};
use crate::store::RecordedSpan;
use crate::wire;

/// How the store names attributes, whatever OTLP speaks.
const STORED: Naming = Naming {
    profile: Profile::Hermes,
    openinference: false,
};

/// The record of a stored span; `None` where this build does not know its kind.
pub(super) fn record(span: RecordedSpan) -> Option<SpanRecord> {
    let kind = Kind::of_span_name(&span.span_name)?;
    let (facts, extra) = wire::facts(kind, &span.attributes, STORED);
    let failure = span.error_type.map(|error_type| Failure {
        error_type: Cow::Owned(error_type),
        class: span.error_class.unwrap_or(ErrorClass::Unknown),
        message: span.status_message,
    });
    // Policy makes the event of the error anew where the text of errors may leave, and only there.
    let has_text = failure
        .as_ref()
        .is_some_and(|failure| failure.message.is_some());
    let is_the_errors =
        |name: &str, time_ns| has_text && name == exception::EVENT && Some(time_ns) == span.end_ns;
    let events = span
        .events
        .into_iter()
        .filter(|event| !is_the_errors(&event.name, event.time_ns));
    let mut record = SpanRecord {
        trace_id: span.trace_id,
        span_id: span.span_id,
        is_sampled: true,
        parent_span_id: span.parent_span_id,
        wire_parent_span_id: span.wire_parent_span_id,
        remote_parent_span_id: None,
        run: RunRecord {
            run_id: span.run_id,
            is_root: false,
        },
        kind,
        given_name: None,
        start_ns: span.start_ns,
        end_ns: span.end_ns,
        status: span.status,
        failure,
        facts,
        extra,
        events: events
            .map(|event| EventRecord {
                name: Cow::Owned(event.name),
                time_ns: event.time_ns,
                attributes: event
                    .attributes
                    .into_iter()
                    .filter_map(|(name, json)| Some((Cow::Owned(name), wire::value(&json)?)))
                    .collect(),
            })
            .collect(),
        links: span.links,
        retries: None,
        withdrawn: false,
    };
    if record.exported_name(STORED.profile) != span.name {
        record.given_name = Some(Cow::Owned(span.name));
    }
    Some(record)
}
