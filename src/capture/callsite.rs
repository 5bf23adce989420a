//! What a callsite is, found once: which kind of span, and which fact each of its fields states.

use std::collections::HashMap;
use std::ptr;
use std::sync::{OnceLock, PoisonError, RwLock};

use tracing::callsite::Identifier;
use tracing::{Metadata, field::Field};

use super::dialect::{Dialect, Meaning, built_in, built_in_for_events};
use crate::semconv::{Fact, Kind, Sensitivity};

/// What is known of a callsite before any value is.
#[derive(Debug)]
pub(crate) struct Shape {
    /// The kind that the span's name states.
    pub(crate) kind: Option<Kind>,
    /// Whether the span is Hermes's own, by its name or as our macros mark it; else it is another
    /// library's, whatever it turns out to be.
    pub(super) is_own: bool,
    /// What its library's spans and events mean, where that is known.
    pub(super) dialect: Option<&'static Dialect>,
    /// The kind that the span turns out to be where it ends and nothing has said better.
    pub(super) likely_kind: Option<Kind>,
    /// What each field states, by the field's index.
    fields: Box<[Statement]>,
    /// The same for those whose values are noted as they come.
    plain: Box<[Option<Fact>]>,
    pub(crate) metadata: &'static Metadata<'static>,
}

/// The facts that a callsite's fields state and that are kept always, by the field's index.
#[derive(Clone, Copy)]
pub(super) struct Plain(&'static [Option<Fact>]);

/// What a field states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    /// A fact that may be kept always.
    Plain(Fact),
    /// A fact that is kept only where content is.
    Content(Fact),
    /// Something that its library says in a way of its own: the number of its meaning there.
    Dialect(u8),
    /// Something that no table knows, which is content.
    Unknown,
}

impl Shape {
    /// The shape of a callsite. Depends on nothing but the callsite, so the whole process shares it.
    #[inline]
    pub(crate) fn of(metadata: &'static Metadata<'static>) -> &'static Shape {
        let first = place_of(metadata);
        for at in first..first + NEAR {
            let shape = PLACES[at % PLACES.len()].get_or_init(|| Shape::new(metadata));
            if ptr::eq(shape.metadata, metadata) {
                return shape;
            }
        }
        elsewhere(metadata)
    }

    fn new(metadata: &'static Metadata<'static>) -> Self {
        let is_own = metadata.is_span() && is_own(metadata);
        let dialect = (!is_own).then(|| built_in_for(metadata)).flatten();
        Shape::in_dialect(metadata, is_own, dialect)
    }

    /// The shape of a callsite whose library speaks this dialect.
    pub(super) fn in_dialect(
        metadata: &'static Metadata<'static>,
        is_own: bool,
        dialect: Option<&'static Dialect>,
    ) -> Self {
        let fields = metadata.fields().iter().map(|field| {
            if !metadata.is_span() || is_own {
                return Statement::of(Fact::named(field.name()));
            }
            match dialect.and_then(|dialect| dialect.meaning_of(field.name())) {
                Some((_, Meaning::Is(fact))) => Statement::of(Some(*fact)),
                Some((number, _)) => Statement::Dialect(number),
                None => Statement::of(Fact::named_by_others(field.name())),
            }
        });
        let fields: Box<[_]> = fields.collect();
        let mut shape = Shape {
            kind: None,
            is_own,
            dialect,
            likely_kind: None,
            plain: fields.iter().map(|said| said.plain()).collect(),
            fields,
            metadata,
        };
        if metadata.is_span() {
            shape.kind = shape.stated_kind();
            shape.likely_kind = shape.likely_kind();
        }
        shape
    }

    fn stated_kind(&self) -> Option<Kind> {
        if self.has_dialect_kind() {
            return None;
        }
        let own = Kind::of_span_name(self.metadata.name());
        own.or_else(|| is_alias(self.metadata).then_some(Kind::Chat))
    }

    fn likely_kind(&self) -> Option<Kind> {
        let is_open = !self.is_own && self.kind.is_none() && !self.has_dialect_kind();
        let has = |facts: &[Fact]| facts.iter().any(|fact| self.declares(*fact));
        is_open.then(|| likely_kind(has)).flatten()
    }

    fn has_dialect_kind(&self) -> bool {
        self.dialect.is_some_and(|dialect| dialect.kind.is_some())
    }

    /// Whether a field of the callsite states this fact.
    pub(super) fn declares(&self, fact: Fact) -> bool {
        self.fields.iter().any(
            |said| matches!(said, Statement::Plain(known) | Statement::Content(known) if *known == fact),
        )
    }

    /// Whether the callsite declares a fact that tells of a model's answer.
    pub(super) fn declares_response(&self) -> bool {
        self.fields
            .iter()
            .any(|said| matches!(said, Statement::Plain(known) if known.is_of_response()))
    }

    /// What a field says in the way of its library.
    pub(super) fn meaning(&self, number: u8) -> Option<&'static Meaning> {
        self.dialect?.meaning(number)
    }

    /// The fields whose values need no more than a look.
    #[inline]
    pub(super) fn plain(&'static self) -> Plain {
        Plain(&self.plain)
    }

    /// What a field states.
    #[inline]
    pub(super) fn statement(&self, field: &Field) -> Statement {
        self.fields
            .get(field.index())
            .copied()
            .unwrap_or(Statement::Unknown)
    }
}

impl Plain {
    /// The fact of a field. `None`: look again, with [`Shape::statement`].
    #[inline]
    pub(super) fn fact(self, field: &Field) -> Option<Fact> {
        *self.0.get(field.index())?
    }
}

impl Statement {
    /// The fact, where a value is noted whatever policy says and however the span has gone so far.
    fn plain(self) -> Option<Fact> {
        match self {
            Statement::Plain(fact) if !is_echo(fact) => Some(fact),
            _ => None,
        }
    }

    fn of(fact: Option<Fact>) -> Self {
        match fact.map(|fact| (fact, fact.sensitivity())) {
            Some((fact, Sensitivity::Plain)) => Statement::Plain(fact),
            Some((fact, Sensitivity::Content)) => Statement::Content(fact),
            None => Statement::Unknown,
        }
    }
}

/// What the expansion of an annotation tells other layers of a failure.
pub(super) fn is_echo(fact: Fact) -> bool {
    matches!(fact, Fact::OtelStatusCode | Fact::ErrorType)
}

/// Whether a span is one of Hermes's own: so named, or so marked by our macros under another name.
fn is_own(metadata: &Metadata<'_>) -> bool {
    Kind::of_span_name(metadata.name()).is_some()
        || metadata.fields().field(Fact::SpanKind.name()).is_some()
}

/// The dialects in force: those that the program taught Hermes, and the built-in ones behind them.
#[derive(Debug, Default)]
pub(crate) struct Dialects {
    taught: &'static [Dialect],
    /// The shapes of callsites that a taught dialect speaks of; others have theirs in [`PLACES`].
    shapes: RwLock<HashMap<Identifier, Option<&'static Shape>>>,
}

impl Dialects {
    /// Takes the program's own dialects in; they are as static as the callsites they speak of.
    pub(crate) fn new(taught: Vec<Dialect>) -> Self {
        Dialects {
            taught: if taught.is_empty() {
                &[]
            } else {
                Box::leak(taught.into_boxed_slice())
            },
            shapes: RwLock::default(),
        }
    }

    /// The shape of a callsite.
    #[inline]
    pub(super) fn shape(&self, metadata: &'static Metadata<'static>) -> &'static Shape {
        let shape = Shape::of(metadata);
        if self.taught.is_empty() || shape.is_own {
            return shape;
        }
        self.taught_shape(metadata).unwrap_or(shape)
    }

    #[cold]
    fn taught_shape(&self, metadata: &'static Metadata<'static>) -> Option<&'static Shape> {
        let id = metadata.callsite();
        let known = self.shapes.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(shape) = known.get(&id) {
            return *shape;
        }
        drop(known);
        let dialect = self.taught(metadata);
        let mut shapes = self.shapes.write().unwrap_or_else(PoisonError::into_inner);
        *shapes.entry(id).or_insert_with(|| {
            let shape = Shape::in_dialect(metadata, false, Some(dialect?));
            Some(Box::leak(Box::new(shape)))
        })
    }

    fn taught(&self, metadata: &Metadata<'_>) -> Option<&'static Dialect> {
        let mut dialects = self.taught.iter();
        dialects.find(|dialect| dialect.speaks_of(metadata))
    }

    /// Whether a span of this callsite may turn out to be ours, or an event tells something of one.
    ///
    /// Asked once per callsite, or for every span where another layer's filter is a dynamic one: so
    /// nothing is kept or allocated here.
    pub(super) fn speak_of(&self, metadata: &Metadata<'_>) -> bool {
        if metadata.is_span() && is_own(metadata) {
            return true;
        }
        let dialect = self.taught(metadata).or_else(|| built_in_for(metadata));
        if let Some(dialect) = dialect
            && (metadata.is_event() || dialect.kind.is_some())
        {
            return true;
        }
        metadata.is_span() && (says_what_it_is(metadata) || is_alias(metadata))
    }
}

fn built_in_for(metadata: &Metadata<'_>) -> Option<&'static Dialect> {
    let dialects = if metadata.is_event() {
        built_in_for_events()
    } else {
        built_in()
    };
    dialects.iter().find(|dialect| dialect.speaks_of(metadata))
}

/// Whether the fields of a callsite tell that it is a span of an agent's, or may be.
fn says_what_it_is(metadata: &Metadata<'_>) -> bool {
    let facts = || {
        metadata
            .fields()
            .iter()
            .map(|field| Fact::named(field.name()))
    };
    let has = |wanted: &[Fact]| facts().flatten().any(|fact| wanted.contains(&fact));
    has(&[Fact::Operation, Fact::SpanKind]) || likely_kind(has).is_some()
}

/// A span with a model and its tokens is a model call, whoever made it; one with a tool and what
/// goes in or out of it, a tool call.
fn likely_kind(has: impl Fn(&[Fact]) -> bool) -> Option<Kind> {
    if has(&[Fact::RequestModel, Fact::ResponseModel])
        && has(&[Fact::InputTokens, Fact::OutputTokens])
    {
        return Some(Kind::Chat);
    }
    let is_tool =
        has(&[Fact::ToolName]) && has(&[Fact::ToolCallId, Fact::ToolArguments, Fact::ToolResult]);
    is_tool.then_some(Kind::Tool)
}

fn is_alias(metadata: &Metadata<'_>) -> bool {
    metadata.name() == "chat" && {
        let names = metadata.fields().iter();
        let facts: Vec<_> = names.map(|field| Fact::named(field.name())).collect();
        Kind::of_callsite(metadata.name(), &facts).is_some()
    }
}

/// The shapes of the callsites seen so far, by where their metadata lies: a program has a few
/// hundred, and a read takes no lock. A hash map under a lock cost 40 ns a span.
static PLACES: [OnceLock<Shape>; 2048] = [const { OnceLock::new() }; 2048];

/// How many places are tried before the callsite is looked for elsewhere.
const NEAR: usize = 8;

#[inline]
fn place_of(metadata: &'static Metadata<'static>) -> usize {
    // Fibonacci hashing: neighbours in memory come to lie apart.
    let mixed = (ptr::from_ref(metadata).addr() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 53) as usize
}

/// Callsites whose places are taken.
fn elsewhere(metadata: &'static Metadata<'static>) -> &'static Shape {
    static SHAPES: OnceLock<RwLock<HashMap<Identifier, &'static Shape>>> = OnceLock::new();
    let shapes = SHAPES.get_or_init(RwLock::default);
    let id = metadata.callsite();
    if let Some(shape) = shapes
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .get(&id)
    {
        return shape;
    }
    let mut shapes = shapes.write().unwrap_or_else(PoisonError::into_inner);
    // As static as the callsite that it tells of, of which there is one.
    shapes
        .entry(id)
        .or_insert_with(|| Box::leak(Box::new(Shape::new(metadata))))
}

#[cfg(test)]
mod tests {
    use std::ptr;

    use tracing::{Level, Metadata, callsite::DefaultCallsite, metadata};

    use super::{Dialect, Dialects, Shape, Statement, elsewhere};
    use crate::semconv::{Fact, Kind};

    fn callsite() -> &'static Metadata<'static> {
        static METADATA: Metadata<'static> = metadata! {
            name: "hermes.chat",
            target: "test",
            level: Level::INFO,
            fields: &["gen_ai.request.model", "other"],
            callsite: &CALLSITE,
            kind: tracing::metadata::Kind::SPAN,
        };
        static CALLSITE: DefaultCallsite = DefaultCallsite::new(&METADATA);
        &METADATA
    }

    #[test]
    fn a_callsite_has_one_shape() {
        let shape = Shape::of(callsite());
        assert_eq!(shape.kind, Some(Kind::Chat));
        assert!(ptr::eq(shape, Shape::of(callsite())));
        let field = |name| callsite().fields().field(name).unwrap();
        let model = Statement::Plain(Fact::RequestModel);
        assert_eq!(shape.statement(&field("gen_ai.request.model")), model);
        assert_eq!(shape.statement(&field("other")), Statement::Unknown);
    }

    #[test]
    fn only_what_a_dialect_speaks_of_is_switched_on() {
        macro_rules! speaks {
            ($dialects:expr, $target:literal, $name:literal, $kind:ident, [$($field:literal),*]) => {{
                static METADATA: Metadata<'static> = metadata! {
                    name: $name,
                    target: $target,
                    level: Level::DEBUG,
                    fields: &[$($field),*],
                    callsite: &CALLSITE,
                    kind: tracing::metadata::Kind::$kind,
                };
                static CALLSITE: DefaultCallsite = DefaultCallsite::new(&METADATA);
                $dialects.speak_of(&METADATA)
            }};
        }
        let dialect = Dialect::new("yoagent")
            .span("llm_stream")
            .declares("tokens_in")
            .kind(Kind::Chat)
            .event("first_token_id", "gen_ai.response.id");
        let taught = Dialects::new(vec![dialect]);
        assert!(speaks!(
            taught,
            "yoagent::x",
            "llm_stream",
            SPAN,
            ["tokens_in"]
        ));
        assert!(!speaks!(taught, "yoagent::x", "llm_stream", SPAN, []));
        assert!(!speaks!(taught, "yoagent::x", "other", SPAN, ["tokens_in"]));
        assert!(!speaks!(
            taught,
            "yoagents",
            "llm_stream",
            SPAN,
            ["tokens_in"]
        ));
        assert!(speaks!(
            taught,
            "yoagent",
            "e",
            EVENT,
            ["message", "first_token_id"]
        ));
        assert!(!speaks!(taught, "yoagent", "e", EVENT, ["message"]));
        assert!(!speaks!(taught, "other", "e", EVENT, ["first_token_id"]));
        let built_in = Dialects::default();
        assert!(!speaks!(
            built_in,
            "yoagent::x",
            "llm_stream",
            SPAN,
            ["tokens_in"]
        ));
        assert!(speaks!(
            built_in,
            "swiftide_agents::agent",
            "tool",
            SPAN,
            ["otel.name"]
        ));
        assert!(!speaks!(built_in, "my_app", "tool", SPAN, ["otel.name"]));
        assert!(!speaks!(
            built_in,
            "h2::frame",
            "message",
            SPAN,
            ["error", "stream"]
        ));
        assert!(speaks!(
            built_in,
            "any",
            "x",
            SPAN,
            ["gen_ai.request.model", "gen_ai.usage.input_tokens"]
        ));
        assert!(!speaks!(
            built_in,
            "any",
            "x",
            SPAN,
            ["gen_ai.request.model"]
        ));
        assert!(!speaks!(
            built_in,
            "any",
            "e",
            EVENT,
            ["gen_ai.operation.name", "error"]
        ));
        assert!(speaks!(built_in, "any", "e", EVENT, ["langfuse.usage"]));
    }

    #[test]
    fn a_callsite_without_a_place_of_its_own_has_one_shape_too() {
        let shape = elsewhere(callsite());
        assert_eq!(shape.kind, Some(Kind::Chat));
        assert!(ptr::eq(shape, elsewhere(callsite())));
    }
}
