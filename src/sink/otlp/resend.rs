//! Sends from the store what a collector has missed: oldest first, on a thread of its own, in no hurry.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::trace::SpanData;
use tracing::Dispatch;
use tracing::dispatcher::with_default;

use super::closing::Closing;
use super::line::{Line, Patience, Undelivered, Verdict, block_on};
use super::rename::Rename;
use super::restore;
use super::tally::{LATER, NEVER, Tally, reason};
use crate::config::TailSampling;
use crate::error::Error;
use crate::record::{Merit, now_ns};
use crate::sink::Backlog;
use crate::sink::backlog::Keeper;
use crate::store::{Outbox, Waiting};

/// The most spans in one request, and rows taken over at a time.
const MOST: usize = 512;
/// How often is it looked whether other processes have left something behind.
const IDLE: Duration = Duration::from_secs(60);
/// How long the resender stands back while spans that have just ended fill the exporter's queue.
const STAND_BACK: Duration = Duration::from_secs(5);
/// How long it stands back at a time.
const MOMENT: Duration = Duration::from_millis(50);
/// The pause after the store could not be read, and how often that may be before it is told.
const PAUSE: Duration = Duration::from_secs(2);
const WORTH_TELLING: u32 = 5;
/// A span that failed so often where others did not is given up.
const MOST_TRIES: i64 = 3;

/// What the thread works with.
#[derive(Debug)]
pub(super) struct Resender {
    pub(super) backlog: Arc<Backlog>,
    /// Ways out of its own, so that nothing new waits for something old.
    pub(super) lines: Vec<Line>,
    pub(super) rename: Arc<Rename>,
    /// What decides about traces that processes before this one left undecided.
    pub(super) rules: Option<TailSampling>,
    pub(super) tally: Arc<Tally>,
    pub(super) closing: Arc<Closing>,
    pub(super) scope: InstrumentationScope,
}

/// How the backlog of one line is gone through.
#[derive(Debug)]
struct Pace {
    /// Spans in the next request.
    size: usize,
    /// The row after which the next request begins: what failed alone is passed over once.
    after: i64,
    /// How often the collector had answered when a span last failed alone.
    seen: u64,
}

impl Resender {
    /// Starts the thread; it ends when the shutdown begins.
    pub(super) fn start(self) -> std::io::Result<thread::JoinHandle<()>> {
        thread::Builder::new()
            .name("hermes-otlp-resend".to_owned())
            .spawn(move || {
                // Neither `tracing` nor OpenTelemetry is to see what happens here.
                let _suppressed = Context::enter_telemetry_suppressed_scope();
                with_default(&Dispatch::none(), || self.run());
            })
    }

    fn run(self) {
        let mut paces: Vec<_> = self.lines.iter().map(|_| Pace::default()).collect();
        let mut outbox = None;
        let mut failures = 0;
        while !self.closing.is_set() {
            let next = match self.round(&mut outbox, &mut paces) {
                Ok(next) => {
                    failures = 0;
                    next
                }
                Err(error) => {
                    // The store is gone, or others keep it busy for a moment.
                    failures += 1;
                    if failures == WORTH_TELLING {
                        self.tally.trouble("otlp_resend", error.to_string());
                    }
                    outbox = None;
                    Some(Instant::now() + PAUSE)
                }
            };
            if !self.closing.is_set() {
                self.backlog.wait(next);
            }
        }
    }

    /// Goes through what is there by every line, and says when to come again if nobody calls before.
    fn round(
        &self,
        outbox: &mut Option<(Keeper, Outbox)>,
        paces: &mut [Pace],
    ) -> Result<Option<Instant>, Error> {
        let Some(keeper) = self.backlog.keeper() else {
            *outbox = None;
            return Ok(None);
        };
        let (_, outbox) = match outbox.take() {
            Some(open) if open.0 == keeper => outbox.insert(open),
            _ => {
                let open = Outbox::open(&keeper.path, keeper.writer)?;
                outbox.insert((keeper, open))
            }
        };
        outbox.free_the_deads()?;
        self.judge(outbox)?;
        let mut next = Instant::now() + IDLE;
        for (line, pace) in self.lines.iter().zip(paces) {
            if let Some(again) = self.serve(line, pace, outbox)? {
                next = next.min(again);
            }
        }
        Ok(Some(next))
    }

    /// Decides the traces that were left undecided, but for those that still run somewhere.
    fn judge(&self, outbox: &mut Outbox) -> Result<(), Error> {
        let Some(rules) = &self.rules else {
            return outbox.decide_all_leave();
        };
        for (trace, is_running) in outbox.undecided()? {
            let mut merit = Merit::default();
            outbox.look_at(trace, |span| {
                let record = catch_unwind(AssertUnwindSafe(|| restore::record(span)));
                if let Ok(Some(record)) = record {
                    merit.add(Merit::of(&record));
                }
            })?;
            let now_ns = now_ns();
            if is_running {
                let age_ns = now_ns.saturating_sub(merit.start_ns());
                if u128::try_from(age_ns).unwrap_or(0) < rules.patience().as_nanos() {
                    continue;
                }
                merit.runs_at(now_ns);
            }
            let leaves = rules.keeps(trace, &merit);
            let decided = outbox.decide(trace, leaves)?;
            if !leaves {
                self.backlog.sampled_out(decided);
            }
            if self.closing.is_set() {
                break;
            }
        }
        Ok(())
    }

    /// Sends what is owed by one line until there is no more, or it fails; gives when to try again.
    fn serve(
        &self,
        line: &Line,
        pace: &mut Pace,
        outbox: &mut Outbox,
    ) -> Result<Option<Instant>, Error> {
        while !self.closing.is_set() {
            if let Some(next) = line.reach().next_try(Instant::now()) {
                return Ok(Some(next));
            }
            self.stand_back();
            let mut waiting = Vec::new();
            if !line.reach().is_down() {
                self.adopt(outbox)?;
            }
            for _ in 0..2 {
                waiting = outbox.oldest(line.bit(), pace.after, pace.size)?;
                if !waiting.is_empty() || (pace.after == 0 && self.adopt(outbox)? == 0) {
                    break;
                }
                pace.after = 0;
            }
            if waiting.is_empty() {
                return Ok(None);
            }
            let (ids, spans) = self.restored(waiting, outbox)?;
            if !spans.is_empty() {
                let outcome = block_on(line.send(spans, Patience::ONCE));
                self.settle(line, pace, outbox, &ids, outcome)?;
            }
        }
        Ok(None)
    }

    /// What ends now goes first, but what has ended before does not wait for ever.
    fn stand_back(&self) {
        let begun = Instant::now();
        while self.tally.under_way() > MOST
            && begun.elapsed() < STAND_BACK
            && !self.closing.is_set()
        {
            self.closing.pause(MOMENT);
        }
    }

    fn adopt(&self, outbox: &mut Outbox) -> Result<u64, Error> {
        let exits = self.backlog.terms().map_or(0, |terms| terms.exits);
        let adopted = outbox.adopt(exits, MOST)?;
        self.backlog.more(adopted);
        Ok(adopted)
    }

    /// The spans as they leave, and their rows. What is not in the store any more is given up.
    fn restored(
        &self,
        waiting: Vec<Waiting>,
        outbox: &mut Outbox,
    ) -> Result<(Vec<i64>, Vec<SpanData>), Error> {
        let (mut ids, mut spans) = (Vec::new(), Vec::new());
        let (mut gone, mut broken) = (Vec::new(), Vec::new());
        for Waiting {
            id,
            may_carry_content,
            span,
        } in waiting
        {
            let restore = || {
                let record = restore::record(span?)?;
                let scope = self.scope.clone();
                Some(self.rename.again(record, may_carry_content, scope))
            };
            match catch_unwind(AssertUnwindSafe(restore)) {
                Ok(Some(span)) => {
                    ids.push(id);
                    spans.push(span);
                }
                Ok(None) => gone.push(id),
                Err(_) => broken.push(id),
            }
        }
        for (rows, reason) in [(gone, reason::PRUNED), (broken, reason::PANIC)] {
            if !rows.is_empty() {
                self.backlog.lost(reason, outbox.forget(&rows)?);
            }
        }
        Ok((ids, spans))
    }

    fn settle(
        &self,
        line: &Line,
        pace: &mut Pace,
        outbox: &mut Outbox,
        ids: &[i64],
        outcome: Result<(), Undelivered>,
    ) -> Result<(), Error> {
        let Err(failure) = outcome else {
            self.backlog.delivered(outbox.pay(ids, line.bit())?);
            pace.went_well();
            return Ok(());
        };
        self.tally.trouble(
            failure.reason,
            format!(
                "cannot deliver spans to {}: {}; they {}",
                line.destination(),
                self.rename.clean_text(&failure.why),
                if failure.verdict.is_passing() {
                    LATER
                } else {
                    NEVER
                },
            ),
        );
        match failure.verdict {
            Verdict::Away(_) => {}
            Verdict::TooLarge | Verdict::Unclear if ids.len() > 1 => pace.halve(ids.len()),
            Verdict::Unclear => {
                let id = ids[0];
                if pace.failed_alone(id, line.reach().successes())
                    && outbox.suspect(id, MOST_TRIES)?
                {
                    self.backlog.lost(reason::UNDELIVERABLE, 1);
                }
            }
            verdict @ (Verdict::TooLarge | Verdict::Final) => {
                let paid = outbox.pay(ids, line.bit())?;
                let refused = u64::try_from(failure.spans).unwrap_or(u64::MAX).min(paid);
                self.backlog.lost(failure.reason, refused);
                self.backlog.delivered(paid - refused);
                if verdict == Verdict::Final && failure.spans >= ids.len() {
                    // Perhaps it is not the spans that are refused, but whoever sends them: what is
                    // left is not thrown after them.
                    line.reach().down(Instant::now(), None);
                    pace.size = 1;
                }
            }
        }
        Ok(())
    }
}

impl Default for Pace {
    fn default() -> Self {
        Pace {
            size: MOST,
            after: 0,
            seen: 0,
        }
    }
}

impl Pace {
    fn went_well(&mut self) {
        self.size = (self.size * 2).min(MOST);
    }

    /// Perhaps one of them is the trouble.
    fn halve(&mut self, sent: usize) {
        self.size = (sent / 2).max(1);
    }

    /// Passes over a span that failed alone; true where the collector has taken others since one last
    /// did, so that the fault may be the span's.
    fn failed_alone(&mut self, id: i64, successes: u64) -> bool {
        let is_suspect = successes > self.seen;
        self.seen = successes;
        self.after = id;
        self.size = 1;
        is_suspect
    }
}
