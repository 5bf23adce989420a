//! What a callsite is, found once: which kind of span, and which fact each of its fields states.

use std::collections::HashMap;
use std::ptr;
use std::sync::{OnceLock, PoisonError, RwLock};

use tracing::callsite::Identifier;
use tracing::{Metadata, field::Field};

use crate::semconv::{Fact, Kind, Sensitivity};

/// What is known of a callsite before any value is.
#[derive(Debug)]
pub(crate) struct Shape {
    /// The kind that the span's name states.
    pub(crate) kind: Option<Kind>,
    /// What each field states, by the field's index.
    fields: Box<[Statement]>,
    pub(crate) metadata: &'static Metadata<'static>,
}

/// What a field states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    /// A fact that may be kept always.
    Plain(Fact),
    /// A fact that is kept only where content is.
    Content(Fact),
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
        let facts: Box<[_]> = metadata
            .fields()
            .iter()
            .map(|field| Fact::named(field.name()))
            .collect();
        let fields = facts.iter().map(|fact| match *fact {
            None => Statement::Unknown,
            Some(fact) => match fact.sensitivity() {
                Sensitivity::Plain => Statement::Plain(fact),
                Sensitivity::Content => Statement::Content(fact),
            },
        });
        let kind = metadata
            .is_span()
            .then(|| Kind::of_callsite(metadata.name(), &facts))
            .flatten();
        Shape {
            kind,
            fields: fields.collect(),
            metadata,
        }
    }

    /// What a field states.
    #[inline]
    pub(super) fn statement(&self, field: &Field) -> Statement {
        self.fields
            .get(field.index())
            .copied()
            .unwrap_or(Statement::Unknown)
    }

    /// Whether a span of this callsite is ours, or may turn out to be once its fields are known.
    pub(crate) fn may_be_ours(metadata: &Metadata<'_>) -> bool {
        metadata.is_span()
            && (Kind::of_span_name(metadata.name()).is_some()
                || metadata.fields().iter().any(|field| {
                    matches!(
                        Fact::named(field.name()),
                        Some(Fact::Operation | Fact::SpanKind)
                    )
                })
                || {
                    let facts: Vec<_> = metadata
                        .fields()
                        .iter()
                        .map(|field| Fact::named(field.name()))
                        .collect();
                    Kind::of_callsite(metadata.name(), &facts).is_some()
                })
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

    use super::{Shape, Statement, elsewhere};
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
    fn a_callsite_without_a_place_of_its_own_has_one_shape_too() {
        let shape = elsewhere(callsite());
        assert_eq!(shape.kind, Some(Kind::Chat));
        assert!(ptr::eq(shape, elsewhere(callsite())));
    }
}
