//! What of a row takes the longest to make: made on the thread that makes records, for the one that writes has more to do.

use std::ops::Range;
use std::sync::Arc;

use super::provider::Providers;
use crate::record::{SpanRecord, Value};
use crate::semconv::{Fact, Form, Sensitivity, slots};
use crate::store::{Attributes, is_in_column};
use crate::wire;

/// What a batch leaves behind at most for a later one to write into.
const KEPT_BYTES: usize = 256 * 1024;
/// Batches on their way at any time, whose room is used again.
const SPARE: usize = 4;

/// Prepares batch after batch.
#[derive(Debug, Default)]
pub(crate) struct Preparer {
    providers: Providers,
    spare: Vec<Prepared>,
}

/// The JSON of a batch's rows, in the order of its records.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    /// All JSON texts of the batch, one behind the other.
    text: String,
    spans: Vec<Span>,
}

/// Where the JSON of one span stands; nothing where there is none.
#[derive(Debug)]
struct Span {
    attributes: Attributes,
    values: Range<usize>,
    extra: Range<usize>,
    events: Range<usize>,
    links: Range<usize>,
}

/// What is prepared of one row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beside<'p> {
    pub(super) attributes: Attributes,
    pub(super) values: Option<&'p str>,
    pub(super) extra_json: Option<&'p str>,
    pub(super) events_json: Option<&'p str>,
    pub(super) links_json: Option<&'p str>,
}

impl Preparer {
    /// One, where there is a store that it prepares for.
    pub(in crate::sink) fn where_wanted(has_store: bool) -> Option<Self> {
        has_store.then(Preparer::default)
    }

    /// What can be made of a batch before it is written.
    pub(crate) fn prepare(&mut self, batch: &[Arc<SpanRecord>]) -> Prepared {
        let mut prepared = self.spare.pop().unwrap_or_default();
        for record in batch {
            let span = self.span(record, &mut prepared.text);
            prepared.spans.push(span);
        }
        prepared
    }

    /// Takes back what has served, for its room.
    pub(crate) fn reuse(&mut self, mut prepared: Prepared) {
        if self.spare.len() < SPARE {
            prepared.spans.clear();
            prepared.text.clear();
            prepared.text.shrink_to(KEPT_BYTES);
            self.spare.push(prepared);
        }
    }

    fn span(&mut self, record: &SpanRecord, text: &mut String) -> Span {
        if record.withdrawn {
            return Span {
                attributes: Attributes::default(),
                values: 0..0,
                extra: 0..0,
                events: 0..0,
                links: 0..0,
            };
        }
        let start = text.len();
        let attributes = self.attributes(record, text);
        let values = start..text.len();
        let mut put = |push: fn(&SpanRecord, &mut String)| {
            let start = text.len();
            push(record, text);
            start..text.len()
        };
        Span {
            attributes,
            values,
            extra: put(wire::push_extra),
            events: put(wire::push_events),
            links: put(wire::push_links),
        }
    }

    /// Notes which attributes there are, and writes the values that no column has.
    fn attributes(&mut self, record: &SpanRecord, text: &mut String) -> Attributes {
        let mut attributes = Attributes::default();
        let start = text.len();
        for (at, slot) in slots(record.kind).iter().enumerate() {
            let Some(value) = record.facts.get(slot.fact) else {
                continue;
            };
            let stated = value.as_str().unwrap_or_default();
            let formed = match slot.form {
                Form::Raw => None,
                form => match self.providers.formed(form, stated) {
                    Some(formed) if value.as_str().is_some() => Some(formed),
                    _ => continue,
                },
            };
            attributes.known |= 1 << at;
            let is_stated = formed.is_none_or(|formed| formed == stated);
            if is_stated && is_in_column(slot, value, record) {
                attributes.in_column |= 1 << at;
                continue;
            }
            if formed.is_none() && is_content(slot.fact, value) {
                attributes.in_content |= 1 << at;
                continue;
            }
            let is_first = text.len() == start;
            text.push(if is_first { '[' } else { ',' });
            match formed {
                Some(formed) => wire::push_text(formed, text),
                None => wire::push_value(value, text),
            }
        }
        if text.len() > start {
            text.push(']');
        }
        attributes
    }
}

impl Prepared {
    /// What was prepared of the records, in their order.
    pub(super) fn spans(&self) -> impl Iterator<Item = Beside<'_>> {
        self.spans.iter().map(|span| Beside {
            attributes: span.attributes,
            values: self.text(&span.values),
            extra_json: self.text(&span.extra),
            events_json: self.text(&span.events),
            links_json: self.text(&span.links),
        })
    }

    fn text(&self, place: &Range<usize>) -> Option<&str> {
        let text = self.text.get(place.clone());
        text.filter(|text| !text.is_empty())
    }
}

/// Whether a value is content that is stored once for all who say it: lists of words are not worth it.
fn is_content(fact: Fact, value: &Value) -> bool {
    fact.sensitivity() == Sensitivity::Content && matches!(value, Value::Text(_))
}
