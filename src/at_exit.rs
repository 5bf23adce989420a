//! What has ended when the process ends is written, even if nobody shut Hermes down.
//!
//! `std::process::exit`, and a `main` that returns while the guard is leaked or in a static, drop
//! nothing; but the thread that ends the process drops its thread-local values first. That holds for
//! the systems of the Unix family with their usual C libraries. Elsewhere the other threads are gone by
//! then, and nobody could be waited for.

use std::cell::RefCell;
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::capture::Waiting;
use crate::pipeline::Queue;

thread_local! {
    static LAST_WISHES: RefCell<Vec<LastWish>> = const { RefCell::new(Vec::new()) };
}

/// A queue that is to be written when this thread ends, and so when it ends the process.
struct LastWish {
    queue: Weak<Queue<Waiting>>,
    timeout: Duration,
}

/// Has what is in the queue written when this thread ends the process, for so long at most.
pub(crate) fn write(queue: &Arc<Queue<Waiting>>, timeout: Duration) {
    if !cfg!(unix) {
        return;
    }
    let wish = LastWish {
        queue: Arc::downgrade(queue),
        timeout,
    };
    // A thread that is on its way out takes no more wishes.
    let _ = LAST_WISHES.try_with(|wishes| {
        if let Ok(mut wishes) = wishes.try_borrow_mut() {
            wishes.retain(|wish| wish.queue.strong_count() > 0);
            wishes.push(wish);
        }
    });
}

impl Drop for LastWish {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.upgrade().filter(|queue| !queue.is_in_fork()) {
            queue.flush(self.timeout);
        }
    }
}
