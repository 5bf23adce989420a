//! Where a batch leaves: renamed, then handed to every way out, whatever one of them does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use tracing::Dispatch;
use tracing::dispatcher::with_default;

use super::bridge::span_id;
use super::line::{Line, Undelivered, Verdict, block_on};
use super::rename::{Rename, Renamed};
use super::tail::{self, Body, Candidate, Judged, Tail};
use super::tally::{LATER, NEVER, Tally, reason};
use crate::record::{Merit, SpanId, SpanRecord, TraceId};
use crate::sink::Backlog;

/// The exporter that the SDK's batch processor drives, on its own thread.
#[derive(Debug)]
pub(super) struct FanOut {
    rename: Arc<Rename>,
    lines: Vec<Line>,
    tally: Arc<Tally>,
    backlog: Arc<Backlog>,
    /// What waits for the decision of its trace, where there are rules for that.
    tail: Option<Arc<Tail>>,
}

/// The most spans in one request.
const MOST: usize = 512;

/// The same as the SDK takes it: the thread that looks after overdue traces shares it.
#[derive(Debug)]
pub(super) struct Shared(pub(super) Arc<FanOut>);

/// A batch as it leaves, and which of it the store may hold.
#[derive(Default)]
struct Ready {
    spans: Vec<SpanData>,
    ours: Vec<SpanId>,
}

/// A span that is ready to leave.
struct Leaving {
    /// `None`: it was taken out.
    span: Option<SpanData>,
    /// What is known of it, where it is ours.
    record: Option<Arc<SpanRecord>>,
    trace: Option<TraceId>,
    ends_trace: bool,
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
        tail: Option<Arc<Tail>>,
    ) -> Self {
        FanOut {
            rename,
            lines,
            tally,
            backlog,
            tail,
        }
    }

    /// Lets go, or not, of traces that have been undecided for too long.
    pub(super) async fn judge_overdue(&self) {
        if let Some(tail) = &self.tail {
            let judged = tail.judge(Vec::new(), self.may_forget());
            let _ = self.carry_out(judged).await;
        }
    }

    /// Whether what is ours may wait in the store alone: then it leaves from there, over OTLP.
    fn may_forget(&self) -> bool {
        self.tally.is_kept() && self.lines.iter().all(|line| line.bit() != 0)
    }

    /// The batch as it leaves. A span that cannot be renamed is lost alone.
    fn renamed(&self, batch: Vec<SpanData>) -> Vec<Leaving> {
        let mut leaving = Vec::with_capacity(batch.len());
        for span in batch {
            let id = span_id(span.span_context.span_id());
            let (trace, ends_trace) = (tail::trace_of(&span), tail::ends_trace(&span));
            let (span, record) = match catch_unwind(AssertUnwindSafe(|| self.rename.apply(span))) {
                Ok(Renamed::Ours(span, record)) => (Some(span), Some(record)),
                Ok(Renamed::Foreign(span)) => (Some(span), None),
                Ok(Renamed::Withdrawn) => {
                    self.tally.withdrawn(1);
                    (None, None)
                }
                Err(_) => {
                    self.tally.lost(1, id.as_slice(), reason::PANIC, 1);
                    self.tally.trouble(
                        reason::PANIC,
                        "a span could not be made ready for export (panic); \
                         it stays in the local store"
                            .to_owned(),
                    );
                    (None, None)
                }
            };
            leaving.push(Leaving {
                span,
                record,
                trace,
                ends_trace,
            });
        }
        leaving
    }

    /// Does what was decided.
    async fn carry_out(&self, judged: Judged) -> OTelSdkResult {
        // In this order a flush that waits for the outermost span waits for all that leaves with it.
        self.tally.let_in(judged.had_waited);
        self.tally.held_back(judged.held_back);
        self.tally.stays_at_home(judged.staying, &judged.settled);
        self.tally.leaves_from_store(&judged.owed);
        let leaving = judged.leaving.iter().filter_map(|(_, ours)| *ours);
        self.tally.leave_now(leaving);
        let mut outcome = Ok(());
        let mut leaving = judged.leaving.into_iter().peekable();
        while leaving.peek().is_some() {
            let mut ready = Ready::default();
            for (mut span, ours) in leaving.by_ref().take(MOST) {
                self.rename.move_to_parent_left(&mut span);
                ready.spans.push(span);
                ready.ours.extend(ours);
            }
            outcome = outcome.and(self.deliver(ready).await);
        }
        outcome
    }

    async fn deliver(&self, ready: Ready) -> OTelSdkResult {
        let Ready { spans: batch, ours } = ready;
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

impl SpanExporter for Shared {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let all = &self.0;
        if all.tally.is_closed() {
            // Shut down and counted: nobody waits for these spans any more.
            return Err(OTelSdkError::AlreadyShutdown);
        }
        let batch = with_default(&Dispatch::none(), || all.renamed(batch));
        match &all.tail {
            None => all.deliver(batch.into_iter().collect()).await,
            Some(tail) => {
                let candidates = batch.into_iter().filter_map(Leaving::candidate);
                let judged = tail.judge(candidates.collect(), all.may_forget());
                all.carry_out(judged).await
            }
        }
    }

    /// What is undecided by now is left to the store, or decided by what is known of it.
    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        let all = &self.0;
        match &all.tail {
            Some(tail) if !all.may_forget() => block_on(all.carry_out(tail.judge_all())),
            _ => Ok(()),
        }
    }
}

impl FromIterator<Leaving> for Ready {
    fn from_iter<I: IntoIterator<Item = Leaving>>(batch: I) -> Self {
        let mut ready = Ready::default();
        for leaving in batch {
            ready
                .ours
                .extend(leaving.record.map(|record| record.span_id));
            ready.spans.extend(leaving.span);
        }
        ready
    }
}

impl Leaving {
    fn candidate(self) -> Option<Candidate> {
        let merit = match (&self.record, &self.span) {
            (Some(record), _) => Merit::of(record),
            (None, Some(span)) => tail::merit_of(span),
            (None, None) => Merit::default(),
        };
        let ours = self.record.map(|record| record.span_id);
        Some(Candidate {
            trace: self.trace?,
            ends_trace: self.ends_trace,
            merit,
            body: self
                .span
                .map_or(Body::Nothing, |span| Body::Whole(Box::new(span), ours)),
        })
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
    use super::{FanOut, Rename, Shared, Tally, Undelivered, Verdict};
    use crate::config::Content;
    use crate::policy::{Extent, Policy, Rules};
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
        let policy = Arc::new(Policy::new(
            Content::Off,
            Extent::default(),
            [7; 16],
            Rules::default(),
        ));
        let rename = Rename::new(Arc::new(Finished::new(8)), policy, Naming::default());
        let lines = exits(notes.clone())
            .into_iter()
            .map(|exit| Line::new(Box::new(exit), Arc::default(), Arc::clone(&closing)))
            .collect();
        let fan_out = FanOut::new(Arc::new(rename), lines, Arc::clone(&tally), backlog, None);
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(Shared(Arc::new(fan_out)))
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
