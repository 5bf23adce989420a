//! The context of another process that is attached to this thread, and what it means for a new span.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tracing::span::Id;

use crate::record::{SpanId, TraceContext};

/// Whether anything was ever attached in this process: most never do, and their spans look no further.
static EVER: AtomicBool = AtomicBool::new(false);

thread_local! {
    static ATTACHED: RefCell<Vec<Attached>> = const { RefCell::new(Vec::new()) };
    static NUMBER: Cell<u64> = const { Cell::new(0) };
}

/// What is attached to a thread.
#[derive(Clone, Debug)]
struct Attached {
    number: u64,
    context: Arc<TraceContext>,
    /// The span that the thread was in: one that it enters later stands below the context.
    under: Option<Id>,
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

/// Attaches a context to this thread; what is returned takes it away again.
pub(crate) fn attach(context: Arc<TraceContext>, under: Option<Id>) -> u64 {
    EVER.store(true, Ordering::Relaxed);
    let number = NUMBER.with(|last| {
        last.set(last.get() + 1);
        last.get()
    });
    // While the thread ends, there is nowhere to attach to.
    let _ = ATTACHED.try_with(|attached| {
        attached.borrow_mut().push(Attached {
            number,
            context,
            under,
        });
    });
    number
}

/// Takes a context away, also where others were attached after it.
pub(crate) fn detach(number: u64) {
    let taken = ATTACHED.try_with(|attached| {
        let mut attached = attached.borrow_mut();
        let at = attached.iter().rposition(|known| known.number == number)?;
        Some(attached.remove(at))
    });
    drop(taken);
}

/// The context attached last.
pub(crate) fn attached() -> Option<Arc<TraceContext>> {
    last().map(|attached| attached.context)
}

/// Whether a context may be attached to this thread.
#[inline]
pub(super) fn may_be_any() -> bool {
    EVER.load(Ordering::Relaxed)
}

/// What stands next around a span whose parent on this thread is the first of `around`: the attached
/// context, or the first span that is `seen`.
#[cold]
pub(super) fn nearer<T>(
    around: impl Iterator<Item = Id>,
    seen: impl Fn(&Id) -> Option<T>,
) -> Option<Nearer<T>> {
    let attached = last().filter(|attached| !attached.context.is_empty());
    let remote = |attached: Attached, is_next| {
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

fn last() -> Option<Attached> {
    if !may_be_any() {
        return None;
    }
    ATTACHED
        .try_with(|attached| attached.borrow().last().cloned())
        .ok()
        .flatten()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tracing::span::Id;

    use super::{Nearer, attach, attached, detach, nearer};
    use crate::record::{SpanId, TraceContext, TraceId};

    fn context(number: u8) -> Arc<TraceContext> {
        let trace = TraceId::from_bytes([7; 16]).unwrap();
        let span = SpanId::from_bytes([number; 8]).unwrap();
        Arc::new(TraceContext::new(trace, span))
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
        detach(one);
        assert_eq!(attached(), Some(context(2)));
        detach(two);
        detach(two);
        assert_eq!((attached(), found(&[3])), (None, Some(Ok(3))));
    }

    #[test]
    fn an_empty_context_is_no_parent() {
        let empty = attach(Arc::default(), Some(Id::from_u64(3)));
        assert_eq!((found(&[]), found(&[3])), (None, Some(Ok(3))));
        detach(empty);
    }
}
