//! Subscribers in this process: finished spans in batches, one subscriber's failure its own.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Outcome, Parcel, Sink, SinkError};
use crate::semconv::Naming;
use crate::wire::FinishedSpan;

/// Called with finished spans.
pub(crate) type Callback = Box<dyn FnMut(&Batch<'_>) + Send>;

/// Spans that have just ended, as a subscriber gets them: redacted, content only where it is on.
#[derive(Debug)]
pub struct Batch<'a> {
    spans: &'a [FinishedSpan],
}

impl Batch<'_> {
    /// The spans, in the order in which they ended.
    #[must_use]
    pub fn spans(&self) -> &[FinishedSpan] {
        self.spans
    }
}

/// Hands finished spans to the callbacks given to the builder.
pub(crate) struct LiveSink {
    callbacks: Vec<Option<Callback>>,
    trouble: Box<dyn Fn(&str) + Send>,
}

impl LiveSink {
    /// `trouble` hears of a callback that panicked; it is called no more.
    pub(crate) fn new(callbacks: Vec<Callback>, trouble: impl Fn(&str) + Send + 'static) -> Self {
        LiveSink {
            callbacks: callbacks.into_iter().map(Some).collect(),
            trouble: Box::new(trouble),
        }
    }
}

impl Sink for LiveSink {
    fn write(&mut self, batch: &Parcel) -> Result<Outcome, SinkError> {
        let spans: Vec<_> = batch
            .iter()
            .filter(|record| record.end_ns.is_some() && !record.withdrawn)
            .map(|record| FinishedSpan::of_record(record, Naming::default()))
            .collect();
        if spans.is_empty() {
            return Ok(Outcome::default());
        }
        let batch = Batch { spans: &spans };
        for slot in &mut self.callbacks {
            let Some(callback) = slot else { continue };
            if catch_unwind(AssertUnwindSafe(|| callback(&batch))).is_err() {
                (self.trouble)("a subscriber panicked; it gets no further spans");
                *slot = None;
            }
        }
        Ok(Outcome::default())
    }
}
