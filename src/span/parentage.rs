//! What `parent` and `follows_from` may be: a span of this process or one of another.

use std::cell::Cell;
use std::fmt;

use tracing::Span;
use tracing::span::Id;

use crate::propagation::{self, Attached};
use crate::record::TraceContext;

/// Where a span stands, as an attribute states it.
#[derive(Debug)]
pub enum Parent {
    /// Below a span of this process; `None`: a trace begins.
    Local(Option<Id>),
    /// Below a span of another one.
    Remote(TraceContext),
}

/// A value given for `parent` or `follows_from`, asked by method lookup for what it is.
pub struct Parentage<T>(Cell<Option<T>>);

impl<T> Parentage<T> {
    /// Of this value.
    pub fn new(value: T) -> Self {
        Parentage(Cell::new(Some(value)))
    }
}

/// What `tracing` takes for a parent.
pub trait LocalParent {
    /// Where it leads.
    fn hermes_parent(&self) -> Parent;
}

/// What comes from another process. Behind one reference more than the other, it is found first.
pub trait RemoteParent {
    /// Where it leads.
    fn hermes_parent(&self) -> Parent;
}

impl<T: Into<Option<Id>>> LocalParent for Parentage<T> {
    fn hermes_parent(&self) -> Parent {
        Parent::Local(self.0.take().and_then(Into::into))
    }
}

impl RemoteParent for &Parentage<TraceContext> {
    fn hermes_parent(&self) -> Parent {
        Parent::Remote(self.0.take().unwrap_or_default())
    }
}

impl RemoteParent for &Parentage<&TraceContext> {
    fn hermes_parent(&self) -> Parent {
        Parent::Remote(self.0.take().cloned().unwrap_or_default())
    }
}

/// Attaches a remote parent while the span is made.
#[must_use]
pub fn below(remote: &TraceContext) -> Attached {
    propagation::attach(remote)
}

/// Links a span to what it follows from.
pub fn follow(span: &Span, cause: Parent) {
    match cause {
        Parent::Local(id) => drop(span.follows_from(id)),
        Parent::Remote(context) => context.link_to(span),
    }
}

impl<T> fmt::Debug for Parentage<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parentage").finish_non_exhaustive()
    }
}
