//! How the spans of other libraries are read: a table of what they carry and what it means.
//!
//! A span says best itself what it is, by `gen_ai.operation.name` or `openinference.span.kind`. What
//! says neither, or says more in words of its own, is read by a row of this table: the built-in rows
//! ([`library`]), and those that the program adds. Nothing goes by a span's name alone.

mod event;
mod flat;
mod fold;
mod hindsight;
mod library;
mod meaning;
mod nonsense;
mod settle;

use std::borrow::Cow;

use tracing::Metadata;

pub(super) use event::Heard;
pub(super) use fold::Folded;
pub(super) use hindsight::Hindsight;
pub(super) use library::{built_in, built_in_for_events};
pub(super) use meaning::{Meaning, undebugged};

use crate::record::Value;
use crate::semconv::{Fact, Kind};

/// What one kind of span of a library means: which spans these are, what they stand for, and what
/// their fields and events say.
///
/// Hermes knows the spans of many libraries, and reads those of any other by what they carry
/// (`gen_ai.operation.name`, `openinference.span.kind`). A dialect teaches it the spans of one that
/// has names of its own. One that the program adds with
/// [`Builder::dialect`](crate::Builder::dialect) comes before the built-in ones, and of several
/// that speak of a span the first counts.
///
/// Attributes are named as in the conventions (`gen_ai.request.model`) or in OpenInference. What
/// is content there (messages, arguments, results) is kept only where content is.
///
/// ```
/// use hermes::{Dialect, Kind};
///
/// // A library whose model calls are `llm_stream{model, tokens_in, tokens_out, cost_usd}`.
/// let calls = Dialect::new("yoagent")
///     .span("llm_stream")
///     .declares("tokens_in")
///     .kind(Kind::Chat)
///     .field("model", "gen_ai.request.model")
///     .field("tokens_in", "gen_ai.usage.input_tokens")
///     .field("tokens_out", "gen_ai.usage.output_tokens")
///     .field("cost_usd", "hermes.cost_usd");
/// let tools = Dialect::new("yoagent")
///     .span("tool")
///     .declares("tool_call_id")
///     .kind(Kind::Tool)
///     .field("tool", "gen_ai.tool.name")
///     .field("tool_call_id", "gen_ai.tool.call.id");
/// let builder = hermes::builder().dialect(calls).dialect(tools);
/// # drop(builder);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a dialect does nothing before it is given to the builder"]
pub struct Dialect {
    target: Cow<'static, str>,
    names: Vec<Cow<'static, str>>,
    declared: Vec<Cow<'static, str>>,
    /// What the spans stand for, where they do not say better.
    pub(super) kind: Option<Kind>,
    /// The fact that must be known before the kind holds.
    needs: Option<Fact>,
    fields: Vec<(Cow<'static, str>, Meaning)>,
    events: Vec<(Cow<'static, str>, Meaning)>,
    /// The event field that names the open tool call which the event is about.
    about_tool: Option<&'static str>,
    /// Events that tell of a failure, by their message, and the `error.type` that they stand for.
    failures: Vec<(&'static str, Option<&'static str>)>,
    stated: Vec<(Fact, Value)>,
    habits: Vec<Habit>,
    unknown: Vec<String>,
}

/// What is peculiar to the spans of a library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Habit {
    /// The input tokens do not include those of the cache.
    ExcludesCached,
    /// A failed call leaves no word in the span.
    FailsSilently,
    /// What succeeded says what the answer was: a call without an answer did not succeed.
    Answers,
    /// The same of calls that are not streamed.
    AnswersWhole,
    /// A stream that was read to its end has a finish reason.
    EndsWithReason,
    /// The provider is this part of the target, from 0: the second of `library::openai::chat`.
    ProviderInTarget(usize),
}

impl Dialect {
    /// Spans of this target and of the modules below it, as in `RUST_LOG`: `yoagent` means
    /// `yoagent` and `yoagent::agent`, not `yoagent_tools`. An empty target means every one.
    pub fn new(target: impl Into<Cow<'static, str>>) -> Self {
        Dialect {
            target: target.into(),
            names: Vec::new(),
            declared: Vec::new(),
            kind: None,
            needs: None,
            fields: Vec::new(),
            events: Vec::new(),
            about_tool: None,
            failures: Vec::new(),
            stated: Vec::new(),
            habits: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// Only spans of this name. Said several times: of any of these names.
    pub fn span(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.names.push(name.into());
        self
    }

    /// Only spans that declare this field, with a value or `Empty`. Said several times: all of
    /// these fields.
    pub fn declares(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.declared.push(field.into());
        self
    }

    /// What the spans stand for, where they do not say so themselves.
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// What a field says, in the name of an attribute that Hermes knows.
    ///
    /// A name that it does not know gives a line on stderr when Hermes is built, and the field stays
    /// what it was: content under its own name.
    pub fn field(self, field: impl Into<Cow<'static, str>>, attribute: &str) -> Self {
        match Fact::named(attribute) {
            Some(fact) => self.means(field, Meaning::Is(fact)),
            None => self.not_known(attribute),
        }
    }

    /// What a field of an event inside such a span says of the span, in the name of an attribute
    /// that Hermes knows.
    ///
    /// Events of the dialect's target that declare the field are heard at whatever level they are,
    /// and tell something of the nearest span of an agent around them.
    pub fn event(self, field: impl Into<Cow<'static, str>>, attribute: &str) -> Self {
        match Fact::named(attribute) {
            Some(fact) => self.hears(field, Meaning::Is(fact)),
            None => self.not_known(attribute),
        }
    }

    /// What holds for every such span: a provider that the spans do not name, for instance. What a
    /// span says itself counts more.
    pub fn states(mut self, attribute: &str, value: impl Into<Value>) -> Self {
        match Fact::named(attribute) {
            Some(fact) => {
                self.stated.push((fact, value.into()));
                self
            }
            None => self.not_known(attribute),
        }
    }

    /// The input tokens of these spans do not include those read from the cache or written to it, as in
    /// Anthropic's own numbers: they are added.
    pub fn excludes_cached_tokens(self) -> Self {
        self.habit(Habit::ExcludesCached)
    }

    fn not_known(mut self, attribute: &str) -> Self {
        self.unknown.push(attribute.to_owned());
        self
    }

    fn means(mut self, field: impl Into<Cow<'static, str>>, meaning: Meaning) -> Self {
        self.fields.push((field.into(), meaning));
        self
    }

    fn hears(mut self, field: impl Into<Cow<'static, str>>, meaning: Meaning) -> Self {
        self.events.push((field.into(), meaning));
        self
    }

    fn habit(mut self, habit: Habit) -> Self {
        self.habits.push(habit);
        self
    }

    /// The kind holds only once this fact is known.
    fn once(mut self, fact: Fact) -> Self {
        self.needs = Some(fact);
        self
    }

    /// Names of attributes that Hermes does not know, and whose dialect they stand in.
    pub(crate) fn troubles(&self) -> impl Iterator<Item = String> {
        self.unknown.iter().map(|attribute| {
            format!(
                "a dialect of {:?} names {attribute:?}, which Hermes does not know; the field keeps its name",
                self.target
            )
        })
    }

    /// Whether the dialect tells anything of this callsite.
    pub(super) fn speaks_of(&self, metadata: &Metadata<'_>) -> bool {
        if !self.is_target(metadata.target()) {
            return false;
        }
        let declares = |field: &str| metadata.fields().field(field).is_some();
        if metadata.is_event() {
            return self.events.iter().any(|(field, _)| declares(field))
                || self.about_tool.is_some_and(declares);
        }
        let is_named =
            self.names.is_empty() || self.names.iter().any(|name| name == metadata.name());
        let has_word = self.kind.is_some() || !self.fields.is_empty();
        has_word && is_named && self.declared.iter().all(|field| declares(field))
    }

    fn is_target(&self, target: &str) -> bool {
        self.target.is_empty()
            || target
                .strip_prefix(&*self.target)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    }

    /// What a field means, and the number by which [`Dialect::meaning`] finds it again.
    pub(super) fn meaning_of(&self, name: &str) -> Option<(u8, &Meaning)> {
        let mut fields = (0..=u8::MAX).zip(&self.fields);
        let (number, (_, meaning)) = fields.find(|(_, (field, _))| field == name)?;
        Some((number, meaning))
    }

    pub(super) fn meaning(&self, number: u8) -> Option<&Meaning> {
        Some(&self.fields.get(usize::from(number))?.1)
    }

    pub(super) fn has(&self, habit: Habit) -> bool {
        self.habits.contains(&habit)
    }
}
