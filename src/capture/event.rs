//! What is kept of an event inside a span.

use tracing::Metadata;

use super::core::Core;
use super::open::OpenSpan;
use super::visitor::Said;
use crate::record::{EventRecord, Value};

pub(super) fn event_record(
    core: &Core,
    metadata: &'static Metadata<'static>,
    open: &OpenSpan,
    said: Said,
) -> EventRecord {
    let mut attributes = vec![
        ("level".into(), metadata.level().as_str().into()),
        ("target".into(), metadata.target().into()),
    ];
    // Libraries put whole request bodies into their log lines. The program's own lines are its
    // author's words, and stay, redacted, as error texts do.
    let is_own = crate_of(metadata.target()) == crate_of(open.metadata().target());
    let mut name = "event".into();
    for (key, value) in said.extra {
        if key != "message" {
            attributes.push((key, value));
        } else if is_own || core.policy.exports_unknown() {
            name = value.to_text().into_owned().into();
        } else if core.policy.captures_unknown() {
            // What must not leave stands where it can be taken out.
            attributes.push((key, value));
        }
    }
    let facts = said
        .notes
        .read()
        .iter()
        .map(|(fact, value)| (fact, Value::from(value)));
    attributes.extend(facts.map(|(fact, value)| (fact.name().into(), value)));
    EventRecord {
        name,
        time_ns: open.origin.clock.now_ns(),
        attributes,
    }
}

pub(super) fn crate_of(target: &str) -> &str {
    target.split("::").next().unwrap_or(target)
}
