//! What events tell of the spans they stand in: data that a library puts nowhere else, and failures.

use std::sync::Arc;

use tracing::Level;

use super::{Dialect, Meaning, undebugged};
use crate::capture::callsite::Shape;
use crate::capture::core::Core;
use crate::capture::event::crate_of;
use crate::capture::open::OpenSpan;
use crate::capture::visitor::Said;
use crate::record::Value;
use crate::semconv::{Fact, Kind};

/// The field in which `#[instrument(err)]` and most libraries put an error.
const ERROR: &str = "error";

/// What was heard of a failure inside a span.
#[derive(Clone, Debug, Default)]
pub(in crate::capture) struct Heard {
    pub(super) text: Option<String>,
    pub(super) error_type: Option<&'static str>,
    /// The span failed, whatever else it says; else it may have tried again.
    pub(super) is_final: bool,
    /// Nobody waited for it to succeed.
    pub(super) is_cancelled: bool,
}

impl Core {
    /// Takes down what an event inside `open`, or inside a span of others within it, tells of a span.
    pub(in crate::capture) fn hear(&self, event: &Shape, said: &Said, open: &Arc<OpenSpan>) {
        if *event.metadata.level() == Level::ERROR {
            hear_error(event, said, open);
        }
        let Some(dialect) = event.dialect else {
            return;
        };
        let Some(subject) = dialect.subject(self, said, open) else {
            return;
        };
        // A call says itself what it used; sums are for what stands around calls.
        let sums_up = subject.kind() != Some(Kind::Chat);
        subject.set_all(|notes| {
            for (field, meaning) in &dialect.events {
                if meaning.is_wanted(self.keeps())
                    && (sums_up || !matches!(meaning, Meaning::Adds(_)))
                    && let Some(value) = said.value(field)
                {
                    meaning.note(value, notes);
                }
            }
        });
        if let Some((_, error_type)) = dialect.failure_in(said) {
            subject.state().heard = Some(Box::new(Heard {
                text: said.value(ERROR).map(|text| text.to_text().into_owned()),
                error_type: *error_type,
                is_final: true,
                is_cancelled: false,
            }));
        }
        self.reconsider(&subject);
    }
}

/// An ERROR event with a field `error`, by the crate that made the span: the span failed, unless it
/// went on and brought an answer all the same.
fn hear_error(event: &Shape, said: &Said, open: &OpenSpan) {
    let metadata = event.metadata;
    let is_its_own = !open.origin.shape.is_own
        && crate_of(metadata.target()) == crate_of(open.metadata().target());
    if let Some(text) = is_its_own.then(|| said.value(ERROR)).flatten() {
        open.state().heard = Some(Box::new(Heard {
            text: Some(text.to_text().into_owned()),
            error_type: None,
            // What `#[instrument(err)]` says of the `Err` that a function returned.
            is_final: metadata.fields().len() == 1,
            is_cancelled: false,
        }));
    }
}

impl Dialect {
    /// The span that an event is about.
    fn subject(&self, core: &Core, said: &Said, open: &Arc<OpenSpan>) -> Option<Arc<OpenSpan>> {
        let Some(field) = self.about_tool else {
            let is_meant = |open: &&Arc<OpenSpan>| {
                let kind = open.kind().or(open.origin.shape.likely_kind);
                kind.is_some_and(|kind| kind != Kind::Step)
            };
            return open.chain().find(is_meant).cloned();
        };
        let name = said.value(field)?;
        let name = name.to_text();
        let is_it = |open: &OpenSpan| open.kind() == Some(Kind::Tool) && open.is_tool(&name);
        if let Some(tool) = open.chain().find(|open| is_it(open)) {
            return Some(Arc::clone(tool));
        }
        // Told beside the call, which is still open; of several the first.
        let inside = |tool: &OpenSpan| tool.ancestors().any(|around| Arc::ptr_eq(around, open));
        let tools = core.spans.collect(|tool| is_it(tool) && inside(tool));
        tools.into_iter().min_by_key(|tool| tool.origin.start_ns)
    }

    /// Whether the event tells of a failure, and of which `error.type`.
    fn failure_in(&self, said: &Said) -> Option<&(&'static str, Option<&'static str>)> {
        let message = said
            .value("message")
            .filter(|_| !self.failures.is_empty())?;
        let message = message.to_text();
        let mut failures = self.failures.iter();
        failures.find(|(known, _)| *known == message)
    }
}

impl OpenSpan {
    /// Whether the span runs this tool.
    pub(super) fn is_tool(&self, name: &str) -> bool {
        self.state().said.notes.text_of(Fact::ToolName) == Some(name)
    }
}

impl Said {
    /// The value of an event's field, whether or not a table knows it; `None` also where it is the
    /// `Debug` form of nothing.
    fn value(&self, name: &str) -> Option<Value> {
        let noted = || Some(Value::from(self.notes.get(Fact::named(name)?)?));
        let unknown = self.extra.iter().find(|(known, _)| known == name);
        let value = unknown.map(|(_, value)| value.clone()).or_else(noted)?;
        match value {
            Value::Text(text) if text.is_empty() || text == "None" => None,
            Value::Text(text) if text.starts_with("Some(") => {
                Some(Value::from(undebugged(text.into_owned())))
            }
            other => Some(other),
        }
    }
}
