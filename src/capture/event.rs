//! What is kept of an event inside a span; what may not be kept is not formatted.

use std::error::Error;
use std::fmt::Debug;
use std::sync::Arc;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};

use super::callsite::{Shape, Statement};
use super::core::Core;
use super::keeps::Keeps;
use super::open::OpenSpan;
use super::visitor::{Said, Visitor};
use crate::policy::is_kept_of_event;
use crate::record::{EventRecord, Value};

/// The field in which `tracing` puts what an event says in words.
const MESSAGE: &str = "message";

impl Core {
    /// Takes down what an event inside `open` says of it and of spans around.
    pub(super) fn happened(&self, event: &Event<'_>, open: &Arc<OpenSpan>) {
        let metadata = event.metadata();
        let shape = self.dialects.shape(metadata);
        let is_own = is_of_program(metadata.target(), open);
        let tells_of_spans = shape.dialect.is_some() || *metadata.level() == Level::ERROR;
        // What is told of below that is data of a span, and no event of its own.
        let is_recorded = *metadata.level() <= Level::INFO;
        let mut said = Said::default();
        if tells_of_spans {
            event.record(&mut Visitor::own(shape, &Keeps::ALL, &mut said));
        } else if is_recorded {
            event.record(&mut Kept {
                shape,
                is_own,
                keeps: self.keeps(),
                visitor: Visitor::own(shape, &Keeps::ALL, &mut said),
            });
        }
        self.hear(shape, &said, open);
        if is_recorded {
            let event = event_record(self, metadata, open, said, is_own);
            open.state().put_event(event);
        }
    }
}

/// Whether an event comes from the program's own code: from a crate of which an annotated function runs
/// around it. A library's event inside the library's own span does not.
pub(super) fn is_of_program(target: &str, open: &Arc<OpenSpan>) -> bool {
    open.chain().any(|around| {
        around.origin.shape.is_own && crate_of(around.metadata().target()) == crate_of(target)
    })
}

/// Reads of an event what is kept of it.
struct Kept<'a> {
    shape: &'static Shape,
    is_own: bool,
    keeps: &'a Keeps,
    visitor: Visitor<'a>,
}

impl Kept<'_> {
    fn keeps(&self, field: &Field) -> bool {
        match self.shape.statement(field) {
            Statement::Plain(_) => true,
            Statement::Content(fact) => self.keeps.has(fact),
            Statement::Dialect(_) => self.keeps.has_unknown(),
            Statement::Unknown if self.keeps.has_unknown() => true,
            Statement::Unknown if field.name() == MESSAGE => self.is_own,
            Statement::Unknown => is_kept_of_event(field.name()),
        }
    }
}

impl Visit for Kept<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if self.keeps(field) {
            self.visitor.record_debug(field, value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        if self.keeps(field) {
            self.visitor.record_error(field, value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if self.keeps(field) {
            self.visitor.record_str(field, value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if self.keeps(field) {
            self.visitor.record_i64(field, value);
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if self.keeps(field) {
            self.visitor.record_u64(field, value);
        }
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        if self.keeps(field) {
            self.visitor.record_i128(field, value);
        }
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        if self.keeps(field) {
            self.visitor.record_u128(field, value);
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if self.keeps(field) {
            self.visitor.record_f64(field, value);
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        if self.keeps(field) {
            self.visitor.record_bool(field, value);
        }
    }
}

fn event_record(
    core: &Core,
    metadata: &'static Metadata<'static>,
    open: &OpenSpan,
    said: Said,
    is_own: bool,
) -> EventRecord {
    let mut attributes = vec![
        ("level".into(), metadata.level().as_str().into()),
        ("target".into(), metadata.target().into()),
    ];
    // Libraries put whole request bodies into their log lines. The program's own lines are its
    // author's words, and stay, redacted, as error texts do.
    let mut name = "event".into();
    for (key, value) in said.extra {
        if key != MESSAGE {
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
