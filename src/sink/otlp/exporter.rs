//! Where a batch leaves: renamed, then handed to every way out, whatever one of them does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tracing::Dispatch;
use tracing::dispatcher::with_default;

use super::bridge::span_id;
use super::line::{Line, Undelivered, Verdict};
use super::rename::{Rename, Renamed};
use super::tally::{LATER, NEVER, Tally, reason};
use crate::record::SpanId;
use crate::sink::Backlog;

/// The exporter that the SDK's batch processor drives, on its own thread.
#[derive(Debug)]
pub(super) struct FanOut {
    rename: Arc<Rename>,
    lines: Vec<Line>,
    tally: Arc<Tally>,
    backlog: Arc<Backlog>,
}

/// A batch as it leaves, and which of it the store may hold.
#[derive(Default)]
struct Ready {
    spans: Vec<SpanData>,
    ours: Vec<SpanId>,
}

/// What became of a batch, every way out taken together.
enum Sent {
    Everywhere,
    /// Some way out may take it later.
    Owed {
        exits: u8,
        reason: &'static str,
    },
    /// Some way out took less than all of it, and will not take more.
    Lost {
        spans: usize,
        reason: &'static str,
    },
}

impl FanOut {
    pub(super) fn new(
        rename: Arc<Rename>,
        lines: Vec<Line>,
        tally: Arc<Tally>,
        backlog: Arc<Backlog>,
    ) -> Self {
        FanOut {
            rename,
            lines,
            tally,
            backlog,
        }
    }

    /// The batch as it leaves. A span that cannot be renamed is lost alone.
    fn renamed(&self, batch: Vec<SpanData>) -> Ready {
        let mut ready = Ready::default();
        ready.spans.reserve_exact(batch.len());
        for span in batch {
            let id = span_id(span.span_context.span_id());
            match catch_unwind(AssertUnwindSafe(|| self.rename.apply(span))) {
                Ok(Renamed::Ours(span)) => {
                    ready.spans.push(span);
                    ready.ours.extend(id);
                }
                Ok(Renamed::Foreign(span)) => ready.spans.push(span),
                Ok(Renamed::Withdrawn) => self.tally.withdrawn(1),
                Err(_) => {
                    self.tally.lost(1, id.as_slice(), reason::PANIC, 1);
                    self.tally.trouble(
                        reason::PANIC,
                        "a span could not be made ready for export (panic); \
                         it stays in the local store"
                            .to_owned(),
                    );
                }
            }
        }
        ready
    }

    /// Sends the batch by every line; gives the failure that cost most spans.
    async fn send(&self, batch: Vec<SpanData>) -> Sent {
        let spans = batch.len();
        let is_kept = self.tally.is_kept();
        let mut owed = 0;
        let mut worst: Option<Undelivered> = None;
        let mut batch = Some(batch);
        let last = self.lines.len().saturating_sub(1);
        for (at, line) in self.lines.iter().enumerate() {
            let copy = if at == last {
                batch.take()
            } else {
                batch.clone()
            };
            let Some(copy) = copy else { break };
            let was_down = line.reach().is_down();
            let Err(failure) = line.send_live(copy, is_kept).await else {
                if was_down || self.backlog.pending() > 0 {
                    // The time has come for what the collector has missed.
                    self.backlog.nudge();
                }
                continue;
            };
            // A batch that is too large is sent again in parts; of one span there are none.
            let is_owed = is_kept
                && line.bit() != 0
                && failure.verdict.is_passing()
                && !(failure.verdict == Verdict::TooLarge && spans == 1);
            owed |= if is_owed { line.bit() } else { 0 };
            self.tell(line, &failure, is_owed);
            if worst
                .as_ref()
                .is_none_or(|worst| worst.spans < failure.spans)
            {
                worst = Some(failure);
            }
        }
        match worst {
            None => Sent::Everywhere,
            Some(Undelivered { reason, .. }) if owed != 0 => Sent::Owed {
                exits: owed,
                reason,
            },
            Some(Undelivered { reason, spans, .. }) => Sent::Lost { spans, reason },
        }
    }

    fn tell(&self, line: &Line, failure: &Undelivered, is_owed: bool) {
        if failure.reason == reason::AWAY {
            // What is wrong was told when it began.
            return;
        }
        self.tally.trouble(
            failure.reason,
            format!(
                "cannot deliver spans to {}: {}; they {}",
                line.destination(),
                self.rename.clean_text(&failure.why),
                if is_owed { LATER } else { NEVER },
            ),
        );
    }
}

impl SpanExporter for FanOut {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        if self.tally.is_closed() {
            // Shut down and counted: nobody waits for these spans any more.
            return Err(OTelSdkError::AlreadyShutdown);
        }
        let Ready { spans: batch, ours } = with_default(&Dispatch::none(), || self.renamed(batch));
        let spans = batch.len();
        if spans == 0 {
            return Ok(());
        }
        match self.send(batch).await {
            Sent::Everywhere => {
                self.tally.delivered(spans, &ours);
                return Ok(());
            }
            Sent::Owed { exits, reason } => self.tally.owed(spans, &ours, exits, reason),
            Sent::Lost {
                spans: lost,
                reason,
            } => self.tally.lost(spans, &ours, reason, lost),
        }
        Err(OTelSdkError::InternalFailure(self.tally.last_trouble()))
    }

    fn set_resource(&mut self, resource: &Resource) {
        for line in &mut self.lines {
            line.set_resource(resource);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;
    use opentelemetry::trace::{Span, Tracer, TracerProvider};
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData};

    use super::super::closing::Closing;
    use super::super::finished::Finished;
    use super::super::line::{Exit, Line, Patience};
    use super::super::tally::Door;
    use super::{FanOut, Rename, Tally, Undelivered, Verdict};
    use crate::config::Content;
    use crate::policy::Policy;
    use crate::semconv::Naming;
    use crate::sink::{Backlog, ExportCounter};

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
        async fn send(&self, batch: Vec<SpanData>, _: Patience) -> Result<(), Undelivered> {
            match self {
                Fake::Fails => {
                    let why = "it is closed".to_owned();
                    Err(Undelivered {
                        reason: "fake",
                        spans: batch.len(),
                        why,
                        verdict: Verdict::Away(None),
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
        let counter: Arc<dyn ExportCounter> = Arc::new(notes.clone());
        let backlog = Arc::new(Backlog::new(Arc::clone(&counter)));
        let closing = Arc::new(Closing::default());
        let kept = Arc::clone(&backlog);
        let tally = Arc::new(Tally::new(counter, kept, Arc::clone(&closing), 8));
        let policy = Arc::new(Policy::new(Content::Off, true, [7; 16]));
        let rename = Rename::new(Arc::new(Finished::new(8)), policy, Naming::default());
        let lines = exits(notes.clone())
            .into_iter()
            .map(|exit| Line::new(Box::new(exit), Arc::default(), Arc::clone(&closing)))
            .collect();
        let fan_out = FanOut::new(Arc::new(rename), lines, Arc::clone(&tally), backlog);
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(fan_out)
            .build();
        assert_eq!(tally.admit(), Door::Open);
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
                "cannot deliver spans to nowhere: it is closed; they are not exported, they stay in the local store",
                "cannot deliver spans to nowhere: it panicked; they are not exported, they stay in the local store",
                "took work",
                "fake lost 1",
            ]
        );
    }
}
