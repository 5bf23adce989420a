//! What a callsite is, found once: which kind of span, and which fact each of its fields states.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use tracing::callsite::Identifier;
use tracing::{Metadata, field::Field};

use crate::semconv::{Fact, Kind};

/// What is known of a callsite before any value is.
#[derive(Debug)]
pub(crate) struct Shape {
    /// The kind that the span's name states.
    pub(crate) kind: Option<Kind>,
    /// The fact of each field, by the field's index; `None`: no table knows the field.
    facts: Box<[Option<Fact>]>,
    pub(crate) metadata: &'static Metadata<'static>,
}

impl Shape {
    fn of(metadata: &'static Metadata<'static>) -> Self {
        let facts: Box<[_]> = metadata
            .fields()
            .iter()
            .map(|field| Fact::named(field.name()))
            .collect();
        let kind = metadata
            .is_span()
            .then(|| Kind::of_callsite(metadata.name(), &facts))
            .flatten();
        Shape {
            kind,
            facts,
            metadata,
        }
    }

    /// The fact that a field states.
    pub(crate) fn fact(&self, field: &Field) -> Option<Fact> {
        self.facts.get(field.index()).copied().flatten()
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

/// The shapes of the callsites seen so far; a program has a few hundred.
#[derive(Debug, Default)]
pub(crate) struct Shapes(RwLock<HashMap<Identifier, Arc<Shape>>>);

impl Shapes {
    /// The shape of a callsite.
    pub(crate) fn of(&self, metadata: &'static Metadata<'static>) -> Arc<Shape> {
        let id = metadata.callsite();
        if let Some(shape) = self
            .0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
        {
            return Arc::clone(shape);
        }
        let shape = Arc::new(Shape::of(metadata));
        let mut shapes = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(shapes.entry(id).or_insert(shape))
    }
}
