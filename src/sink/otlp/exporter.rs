//! Where a batch leaves: renamed, then handed to every way out, whatever one of them does.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tracing::Dispatch;
use tracing::dispatcher::with_default;

use super::rename::Rename;
use super::tally::{Tally, reason};

/// A way out of the process.
#[async_trait]
pub(super) trait Exit: std::fmt::Debug + Send + Sync {
    /// Sends a batch, and comes back within a time of its own.
    async fn send(&self, batch: Vec<SpanData>) -> Result<(), Undelivered>;

    /// What the spans are about; said once, before the first batch.
    fn set_resource(&mut self, resource: &Resource);

    /// Where it leads, without secrets.
    fn destination(&self) -> String;
}

/// What a way out did not take.
#[derive(Debug)]
pub(super) struct Undelivered {
    pub(super) reason: &'static str,
    pub(super) spans: usize,
    pub(super) why: String,
}

/// The exporter that the SDK's batch processor drives, on its own thread.
#[derive(Debug)]
pub(super) struct FanOut {
    rename: Rename,
    exits: Vec<Box<dyn Exit>>,
    tally: Arc<Tally>,
}

impl FanOut {
    pub(super) fn new(rename: Rename, exits: Vec<Box<dyn Exit>>, tally: Arc<Tally>) -> Self {
        FanOut {
            rename,
            exits,
            tally,
        }
    }

    /// The batch as it leaves. A span that cannot be renamed is lost alone.
    fn renamed(&self, batch: Vec<SpanData>) -> Vec<SpanData> {
        let mut renamed = Vec::with_capacity(batch.len());
        for span in batch {
            match catch_unwind(AssertUnwindSafe(|| self.rename.apply(span))) {
                Ok(Some(span)) => renamed.push(span),
                Ok(None) => self.tally.withdrawn(1),
                Err(_) => {
                    self.tally.lost(reason::PANIC, 1);
                    self.tally.trouble(
                        reason::PANIC,
                        "a span could not be made ready for export (panic); \
                         it stays in the local store"
                            .to_owned(),
                    );
                }
            }
        }
        renamed
    }

    /// Sends the batch by every exit; gives the failure that cost most spans.
    async fn send(&self, batch: Vec<SpanData>) -> Option<Undelivered> {
        let spans = batch.len();
        let mut worst: Option<Undelivered> = None;
        let mut batch = Some(batch);
        let last = self.exits.len().saturating_sub(1);
        for (at, exit) in self.exits.iter().enumerate() {
            let copy = if at == last {
                batch.take()
            } else {
                batch.clone()
            };
            let Some(copy) = copy else { break };
            let failure = match quietly(exit.send(copy)).await {
                Some(Ok(())) => continue,
                Some(Err(failure)) => failure,
                None => Undelivered {
                    reason: reason::PANIC,
                    spans,
                    why: "it panicked".to_owned(),
                },
            };
            self.tally.trouble(
                failure.reason,
                format!(
                    "cannot deliver spans to {}: {}; they stay in the local store",
                    exit.destination(),
                    self.rename.clean_text(&failure.why),
                ),
            );
            if worst
                .as_ref()
                .is_none_or(|worst| worst.spans < failure.spans)
            {
                worst = Some(failure);
            }
        }
        worst
    }
}

impl SpanExporter for FanOut {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        if self.tally.is_closed() {
            // Shut down and counted: nobody waits for these spans any more.
            return Err(OTelSdkError::AlreadyShutdown);
        }
        let batch = with_default(&Dispatch::none(), || self.renamed(batch));
        let spans = batch.len();
        if spans == 0 {
            return Ok(());
        }
        let Some(failure) = self.send(batch).await else {
            self.tally.delivered(spans);
            return Ok(());
        };
        let lost = failure.spans.min(spans);
        self.tally.lost(failure.reason, lost);
        if lost < spans {
            self.tally.delivered(spans - lost);
        }
        Err(OTelSdkError::InternalFailure(self.tally.last_trouble()))
    }

    fn set_resource(&mut self, resource: &Resource) {
        for exit in &mut self.exits {
            exit.set_resource(resource);
        }
    }
}

/// Runs a future without a tracing subscriber, so that the spans of an HTTP client do not come back
/// as spans to export; `None` where it panicked.
async fn quietly<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| {
        let poll = || future.as_mut().poll(context);
        match with_default(&Dispatch::none(), || catch_unwind(AssertUnwindSafe(poll))) {
            Ok(poll) => poll.map(Some),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;
    use opentelemetry::trace::{Span, Tracer, TracerProvider};
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData};

    use super::super::ExportCounter;
    use super::super::finished::Finished;
    use super::{Exit, FanOut, Rename, Tally, Undelivered};
    use crate::config::Content;
    use crate::policy::Policy;
    use crate::semconv::Naming;

    #[derive(Clone, Debug, Default)]
    struct Notes(Arc<Mutex<Vec<String>>>);

    impl Notes {
        fn add(&self, note: String) {
            self.0.lock().unwrap().push(note);
        }
    }

    impl ExportCounter for Notes {
        fn exported(&self, spans: u64) {
            self.add(format!("exported {spans}"));
        }
        fn lost(&self, reason: &'static str, spans: u64) {
            self.add(format!("{reason} lost {spans}"));
        }
        fn trouble(&self, _: &'static str, message: &str) {
            self.add(message.to_owned());
        }
    }

    #[derive(Debug)]
    enum Fake {
        Fails,
        Panics,
        Takes(Notes),
    }

    #[async_trait]
    impl Exit for Fake {
        async fn send(&self, batch: Vec<SpanData>) -> Result<(), Undelivered> {
            match self {
                Fake::Fails => {
                    let why = "it is closed".to_owned();
                    Err(Undelivered {
                        reason: "fake",
                        spans: batch.len(),
                        why,
                    })
                }
                Fake::Panics => panic!("an exit that panics"),
                Fake::Takes(notes) => {
                    for span in &batch {
                        notes.add(format!("took {}", span.name));
                    }
                    Ok(())
                }
            }
        }
        fn set_resource(&mut self, _: &Resource) {}
        fn destination(&self) -> String {
            "nowhere".to_owned()
        }
    }

    fn notes_of(exits: impl FnOnce(Notes) -> Vec<Fake>) -> Vec<String> {
        let notes = Notes::default();
        let tally = Arc::new(Tally::new(Arc::new(notes.clone()), 8));
        let policy = Arc::new(Policy::new(Content::Off, true, [7; 16]));
        let rename = Rename::new(Arc::new(Finished::new(8)), policy, Naming::default());
        let exits = exits(notes.clone())
            .into_iter()
            .map(|exit| Box::new(exit) as _)
            .collect();
        let fan_out = FanOut::new(rename, exits, Arc::clone(&tally));
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(fan_out)
            .build();
        assert!(tally.admit());
        provider.tracer("test").start("work").end();
        let notes = notes.0.lock().unwrap();
        notes.clone()
    }

    #[test]
    fn a_span_that_every_exit_takes_is_exported() {
        let notes = notes_of(|notes| vec![Fake::Takes(notes.clone()), Fake::Takes(notes)]);
        assert_eq!(notes, ["took work", "took work", "exported 1"]);
    }

    #[test]
    fn one_exit_that_fails_does_not_stop_the_others() {
        let notes = notes_of(|notes| vec![Fake::Fails, Fake::Panics, Fake::Takes(notes)]);
        assert_eq!(
            notes,
            [
                "cannot deliver spans to nowhere: it is closed; they stay in the local store",
                "cannot deliver spans to nowhere: it panicked; they stay in the local store",
                "took work",
                "fake lost 1",
            ]
        );
    }
}
