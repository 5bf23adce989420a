//! The context of another process that is attached to this thread, and what it means for a new span.

use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::dispatcher;
use tracing::span::Id;

use crate::record::{SpanId, TraceContext};

/// Whether anything was ever attached in this process: most never do, and their spans look no further.
static EVER: AtomicBool = AtomicBool::new(false);

thread_local! {
    static ATTACHED: RefCell<Vec<(u64, Attachment)>> = const { RefCell::new(Vec::new()) };
    static NUMBER: Cell<u64> = const { Cell::new(0) };
}

/// The parent of a span in another process.
#[derive(Clone, Debug)]
pub(super) struct RemoteParent {
    pub(super) context: Arc<TraceContext>,
    /// The span around it when it was attached, which stands beside the parent and not below it.
    pub(super) under: Option<Id>,
    /// Whether no span of others stands between.
    pub(super) is_next: bool,
}

/// A remote parent or a span that capture sees, whichever is nearer.
pub(super) enum Nearer<T> {
    Remote(RemoteParent),
    Local(T),
}

impl RemoteParent {
    pub(super) fn span_id(&self) -> Option<SpanId> {
        self.context.span_id()
    }
}

/// A context and where it was attached, to be taken along to other threads.
#[derive(Clone, Debug)]
pub(crate) struct Attachment {
    context: Arc<TraceContext>,
    /// The span that the thread was in: one that it enters later stands below the context.
    under: Option<Id>,
}

/// Takes what was attached away again, on the thread that it belongs to.
#[derive(Debug)]
pub(crate) struct Detach {
    number: u64,
    _thread: PhantomData<*const ()>,
}

impl Attachment {
    /// A context for what starts on this thread outside of spans that are entered later. One that
    /// names no span leaves the one attached before where it is, and has but its baggage.
    pub(crate) fn here(context: Arc<TraceContext>) -> Self {
        if context.is_empty()
            && let Some(mut before) = Attachment::current()
        {
            if !context.baggage().is_empty() {
                let named = before.context.as_ref().clone();
                before.context = Arc::new(named.with_baggage(context.baggage().clone()));
            }
            return before;
        }
        let under = dispatcher::get_default(|dispatch| dispatch.current_span().id().cloned());
        Attachment { context, under }
    }

    /// What was attached last.
    pub(crate) fn current() -> Option<Self> {
        if !is_any() {
            return None;
        }
        ATTACHED
            .try_with(|attached| attached.borrow().last().map(|(_, last)| last.clone()))
            .ok()
            .flatten()
    }

    /// Attaches it to this thread.
    pub(crate) fn hold(&self) -> Detach {
        EVER.store(true, Ordering::Relaxed);
        let number = NUMBER.with(|last| {
            last.set(last.get() + 1);
            last.get()
        });
        // While the thread ends, there is nowhere to attach to.
        let _ = ATTACHED.try_with(|attached| attached.borrow_mut().push((number, self.clone())));
        Detach {
            number,
            _thread: PhantomData,
        }
    }

    /// The context, where it is nearer than this span, which the thread is in.
    pub(crate) fn below(self, current: Option<&Id>) -> Option<Arc<TraceContext>> {
        let is_below = self.under.as_ref() == current && !self.context.is_empty();
        is_below.then_some(self.context)
    }

    pub(crate) fn context(&self) -> &Arc<TraceContext> {
        &self.context
    }
}

impl Drop for Detach {
    /// Also where others were attached after it.
    fn drop(&mut self) {
        let taken = ATTACHED.try_with(|attached| {
            let mut attached = attached.borrow_mut();
            let at = attached
                .iter()
                .rposition(|(number, _)| *number == self.number)?;
            Some(attached.remove(at))
        });
        drop(taken);
    }
}

/// Whether a context is attached to this thread.
#[inline]
pub(super) fn is_any() -> bool {
    EVER.load(Ordering::Relaxed)
        && ATTACHED
            .try_with(|attached| !attached.borrow().is_empty())
            .unwrap_or(false)
}

/// Whether the last context was attached inside of this span.
pub(super) fn is_under(current: &Id) -> bool {
    let is_last = |attached: &RefCell<Vec<(u64, Attachment)>>| {
        let attached = attached.borrow();
        let under = attached.last().and_then(|(_, last)| last.under.as_ref());
        under == Some(current)
    };
    ATTACHED.try_with(is_last).unwrap_or(false)
}

/// What stands next around a span whose parent on this thread is the first of `around`: the attached
/// context, or the first span that is `seen`.
#[cold]
pub(super) fn nearer<T>(
    around: impl Iterator<Item = Id>,
    seen: impl Fn(&Id) -> Option<T>,
) -> Option<Nearer<T>> {
    let attached = Attachment::current().filter(|attached| !attached.context.is_empty());
    let remote = |attached: Attachment, is_next| {
        Nearer::Remote(RemoteParent {
            context: attached.context,
            under: attached.under,
            is_next,
        })
    };
    let mut is_next = true;
    for id in around {
        if let Some(attached) = &attached
            && attached.under.as_ref() == Some(&id)
        {
            return Some(remote(attached.clone(), is_next));
        }
        if let Some(local) = seen(&id) {
            return Some(Nearer::Local(local));
        }
        is_next = false;
    }
    attached.map(|attached| remote(attached, is_next))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracing::span::Id;

    use super::{Attachment, Detach, Nearer, nearer};
    use crate::record::{SpanId, TraceContext, TraceId};

    fn context(number: u8) -> Arc<TraceContext> {
        let trace = TraceId::from_bytes([7; 16]).unwrap();
        let span = SpanId::from_bytes([number; 8]).unwrap();
        Arc::new(TraceContext::new(trace, span))
    }

    fn attach(context: Arc<TraceContext>, under: Option<Id>) -> Detach {
        Attachment { context, under }.hold()
    }

    fn attached() -> Option<Arc<TraceContext>> {
        Attachment::current().map(|attached| attached.context)
    }

    /// Of the ids, the odd ones are seen.
    fn found(around: &[u64]) -> Option<Result<u64, (u8, bool)>> {
        let around = around.iter().map(|id| Id::from_u64(*id));
        let seen = |id: &Id| (id.into_u64() % 2 == 1).then(|| id.into_u64());
        nearer(around, seen).map(|nearer| match nearer {
            Nearer::Local(id) => Ok(id),
            Nearer::Remote(remote) => {
                Err((remote.span_id().unwrap().to_bytes()[0], remote.is_next))
            }
        })
    }

    #[test]
    fn what_was_entered_or_attached_last_is_nearest() {
        assert_eq!(found(&[]), None);
        let one = attach(context(1), None);
        assert_eq!(found(&[]), Some(Err((1, true))));
        assert_eq!(found(&[2]), Some(Err((1, false))), "one of others' between");
        assert_eq!(found(&[2, 3]), Some(Ok(3)));
        let two = attach(context(2), Some(Id::from_u64(3)));
        assert_eq!(found(&[3]), Some(Err((2, true))));
        assert_eq!(found(&[4, 3]), Some(Err((2, false))));
        assert_eq!(found(&[5, 4, 3]), Some(Ok(5)));
        drop(one);
        assert_eq!(attached(), Some(context(2)));
        drop(two);
        assert_eq!((attached(), found(&[3])), (None, Some(Ok(3))));
    }

    #[test]
    fn an_empty_context_is_no_parent() {
        let empty = attach(Arc::default(), Some(Id::from_u64(3)));
        assert_eq!((found(&[]), found(&[3])), (None, Some(Ok(3))));
        drop(empty);
    }
}
