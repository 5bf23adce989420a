//! Notices that the process was forked: the copy has no writer thread, and must not wait for one.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::diagnostic::Diagnostics;

const FORKED: &str = "the process was forked after Hermes was built, and the copy has none of its threads: \
                      its spans are not kept. Fork first, then build Hermes in the child";

/// The process that Hermes was built in.
#[derive(Debug)]
pub(crate) struct Home {
    pid: u32,
    is_left: AtomicBool,
    diagnostics: Arc<Diagnostics>,
}

impl Home {
    /// This process.
    pub(crate) fn here(diagnostics: Arc<Diagnostics>) -> Self {
        Home {
            pid: process::id(),
            is_left: AtomicBool::new(false),
            diagnostics,
        }
    }

    /// Whether this is another process, and says so once. It asks the system, which takes as long
    /// as a span does: not to be asked for each.
    pub(super) fn is_left(&self) -> bool {
        if self.is_left.load(Ordering::Relaxed) {
            return true;
        }
        if process::id() == self.pid {
            return false;
        }
        if !self.is_left.swap(true, Ordering::Relaxed) {
            self.diagnostics.error("fork", FORKED);
        }
        true
    }

    /// Whether it was noticed that this is another process.
    pub(super) fn is_known_to_be_left(&self) -> bool {
        self.is_left.load(Ordering::Relaxed)
    }
}
