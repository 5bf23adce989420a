//! The keeper's side of the backlog: what the exporters said of spans, carried into the store.
//!
//! A span is owed from the moment it is stored. The word that it was delivered may come earlier than
//! the span itself, for the exporters do not wait for the store; it is kept until the span comes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backlog::{Backlog, Fate};
use crate::record::{SpanId, SpanRecord};
use crate::store::{Export, Owed, Stage, Writer};

/// The most spans that are remembered; the oldest go first.
const MOST: u64 = 100_000;
/// How long word waits for a span that does not come, in ticks: it was lost on its way to the store.
const PATIENCE: u8 = 16;
/// An exporter that has not answered for this long has lost the span: no queue is as long as that.
const LOST_SIGHT: Duration = Duration::from_secs(10 * 60);
const FULL: &str = "otlp_backlog_full";

/// The spans of one writer that the exporters have in hand.
#[derive(Debug)]
pub(super) struct Debts {
    backlog: Arc<Backlog>,
    /// Spans in the store that are with the exporters, their rows, and since when.
    under_way: HashMap<SpanId, (i64, Instant)>,
    /// Word of spans that are not in the store yet, and how many ticks it has waited.
    early: HashMap<SpanId, (Fate, u8)>,
    /// Rows to be crossed out.
    settled: Vec<i64>,
    /// Rows that are not undecided any more.
    decided: Vec<i64>,
    /// Rows to be sent again, and by which ways out.
    ready: Vec<(i64, u8)>,
}

impl Debts {
    /// Begins to keep the debts of this writer.
    pub(super) fn of(writer: &Writer, backlog: Arc<Backlog>) -> Self {
        let (path, number) = writer.place();
        backlog.attend(path.to_owned(), number);
        Debts {
            backlog,
            under_way: HashMap::new(),
            early: HashMap::new(),
            settled: Vec::new(),
            decided: Vec::new(),
            ready: Vec::new(),
        }
    }

    /// Hears what the exporters have said by now.
    pub(super) fn listen(&mut self) {
        for (span, fate) in self.backlog.collect() {
            let Some((row, since)) = self.under_way.remove(&span) else {
                self.early.insert(span, (fate, 0));
                continue;
            };
            match fate {
                Fate::Leaves => {
                    self.decided.push(row);
                    self.under_way.insert(span, (row, since));
                }
                Fate::Settled => self.settled.push(row),
                Fate::Owed { exits, .. } => self.ready.push((row, exits)),
            }
        }
    }

    /// What the row of a record says of its export.
    pub(super) fn export(&self, record: &SpanRecord) -> Export {
        let Some(terms) = self.backlog.terms() else {
            return Export::None;
        };
        let owed = |exits, stage| {
            Export::Owed(Owed {
                exits,
                may_carry_content: terms.may_carry_content,
                stage,
            })
        };
        let first = if terms.are_judged {
            Stage::Undecided
        } else {
            Stage::UnderWay
        };
        if !record.is_sampled {
            // By the record and not by word, which may be lost: what is sampled out never leaves.
            return Export::Settled;
        }
        if record.end_ns.is_none() {
            // Should its process die, the span ends there: its children are not to be orphans.
            return owed(terms.exits, first);
        }
        match self.early.get(&record.span_id) {
            Some((Fate::Settled, _)) => Export::Settled,
            Some((Fate::Leaves, _)) => owed(terms.exits, Stage::UnderWay),
            Some((Fate::Owed { exits, .. }, _)) => owed(*exits, Stage::Ready),
            None => owed(terms.exits, first),
        }
    }

    /// Records are in the store; `owed` are those that some collector has not taken, and their rows.
    pub(super) fn stored(&mut self, records: &[Arc<SpanRecord>], owed: Vec<(SpanId, i64)>) {
        let now = Instant::now();
        let mut is_ready = false;
        for (span, row) in owed {
            match self.early.remove(&span) {
                Some((Fate::Owed { .. }, _)) => is_ready = true,
                _ => drop(self.under_way.insert(span, (row, now))),
            }
        }
        if !self.early.is_empty() {
            for record in records.iter().filter(|record| record.end_ns.is_some()) {
                if let Some((Fate::Settled, _)) = self.early.get(&record.span_id) {
                    self.early.remove(&record.span_id);
                }
            }
        }
        if is_ready {
            self.backlog.nudge();
        }
    }

    /// Carries into the store what was heard. What fails is made good by the next tick.
    pub(super) fn tick(&mut self, writer: &mut Writer) {
        self.listen();
        self.grow_old();
        self.find_lost(Instant::now());
        self.carry_over(writer);
    }

    /// Carries over what was heard to the last, and leaves the rest to the resender of another process.
    pub(super) fn close(mut self, writer: &mut Writer) {
        self.listen();
        self.carry_over(writer);
        for (_, (fate, _)) in std::mem::take(&mut self.early) {
            self.give_up(fate);
        }
        self.backlog
            .leave(u64::try_from(self.under_way.len()).unwrap_or(u64::MAX));
    }

    fn carry_over(&mut self, writer: &mut Writer) {
        let excess = self.backlog.pending().saturating_sub(MOST);
        let Debts {
            settled,
            decided,
            ready,
            ..
        } = &*self;
        if settled.is_empty() && decided.is_empty() && ready.is_empty() && excess == 0 {
            return;
        }
        let Ok(dropped) = writer.settle(settled, decided, ready, excess) else {
            return;
        };
        self.backlog.lost(FULL, dropped);
        self.settled.clear();
        self.decided.clear();
        if !self.ready.is_empty() {
            self.ready.clear();
            self.backlog.nudge();
        }
    }

    /// Word of a span that does not come is forgotten: the queue to the store was full, or it failed.
    fn grow_old(&mut self) {
        let mut forgotten = Vec::new();
        self.early.retain(|_, (fate, ticks)| {
            *ticks += 1;
            if *ticks > PATIENCE {
                forgotten.push(*fate);
            }
            *ticks <= PATIENCE
        });
        for fate in forgotten {
            self.give_up(fate);
        }
    }

    /// A span that is not in the store cannot be sent from there.
    fn give_up(&self, fate: Fate) {
        if let Fate::Owed { reason, .. } = fate {
            self.backlog.lost(reason, 1);
        }
    }

    /// What the SDK dropped without a word is sent from the store.
    fn find_lost(&mut self, now: Instant) {
        // A span that waits for the decision of its trace is not lost, however long it waits.
        let Some(terms) = self.backlog.terms().filter(|terms| !terms.are_judged) else {
            return;
        };
        let ready = &mut self.ready;
        let before = ready.len();
        self.under_way.retain(|_, (row, since)| {
            let is_lost = now.saturating_duration_since(*since) > LOST_SIGHT;
            if is_lost {
                ready.push((*row, terms.exits));
            }
            !is_lost
        });
        self.backlog
            .more(u64::try_from(ready.len() - before).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    use super::{Debts, LOST_SIGHT, PATIENCE};
    use crate::record::{Facts, RunId, RunRecord, SpanId, SpanRecord, Status, TraceId};
    use crate::semconv::Kind;
    use crate::sink::backlog::{Backlog, Terms};
    use crate::sink::{ExportCounter, Sink, StoreSink};
    use crate::store::{Export, Outbox, Stage, Writer};

    #[derive(Debug, Default)]
    struct Counted(Mutex<BTreeMap<&'static str, u64>>);

    impl ExportCounter for Counted {
        fn exported(&self, spans: u64) {
            self.lost("exported", spans);
        }
        fn lost(&self, reason: &'static str, spans: u64) {
            *self.0.lock().unwrap().entry(reason).or_default() += spans;
        }
        fn trouble(&self, _: &'static str, _: &str) {}
    }

    fn record() -> SpanRecord {
        SpanRecord {
            trace_id: TraceId::generate(1),
            span_id: SpanId::generate(),
            is_sampled: true,
            parent_span_id: None,
            wire_parent_span_id: None,
            remote_parent_span_id: None,
            run: RunRecord {
                run_id: RunId::generate(1),
                is_root: false,
            },
            kind: Kind::Step,
            given_name: None,
            start_ns: 1,
            end_ns: Some(2),
            status: Status::Ok,
            failure: None,
            facts: Facts::default(),
            extra: Vec::new(),
            events: Vec::new(),
            links: Vec::new(),
            retries: None,
            withdrawn: false,
        }
    }

    struct Bench {
        counted: Arc<Counted>,
        backlog: Arc<Backlog>,
        folder: tempfile::TempDir,
    }

    impl Bench {
        fn new() -> Self {
            let counted = Arc::new(Counted::default());
            let backlog = Arc::new(Backlog::new(Arc::clone(&counted) as _));
            backlog.open(Terms {
                exits: 1,
                may_carry_content: false,
                are_judged: false,
            });
            let folder = tempfile::tempdir().unwrap();
            Bench {
                counted,
                backlog,
                folder,
            }
        }

        fn writer(&self) -> Writer {
            Writer::open(&self.folder.path().join("t.db"), 1).unwrap()
        }

        fn sink(&self) -> StoreSink {
            StoreSink::new(self.writer(), Some(Arc::clone(&self.backlog)))
        }

        /// How many spans the store says are owed, with the exporter or not.
        fn noted(&self) -> u64 {
            let path: &Path = &self.folder.path().join("t.db");
            let writer = Writer::open(path, 1).unwrap();
            let mut outbox = Outbox::open(path, writer.place().1).unwrap();
            outbox.adopt(1, 1000).unwrap()
        }

        fn counted(&self) -> BTreeMap<&'static str, u64> {
            self.counted.0.lock().unwrap().clone()
        }
    }

    #[test]
    fn word_that_comes_before_the_span_or_after_it_is_the_same() {
        let bench = Bench::new();
        let mut sink = bench.sink();
        let records: Vec<_> = (0..4).map(|_| Arc::new(record())).collect();
        let [early, late, owed, unknown] = [0, 1, 2, 3].map(|at: usize| records[at].span_id);
        bench.backlog.settled(&[early]);
        bench.backlog.owe(&[owed], 1, "away");
        sink.write(&records.clone().into()).unwrap();
        bench.backlog.settled(&[late]);
        sink.tick(1, &[]);
        assert_eq!(bench.backlog.pending(), 1);
        bench.backlog.abandon(1);
        sink.close();
        assert_eq!(bench.backlog.pending(), 2, "{unknown} is left as well");
        assert!(bench.counted().is_empty());
        assert_eq!(bench.noted(), 2);
    }

    #[test]
    fn what_is_undecided_stays_so_until_it_leaves_or_is_settled() {
        let bench = Bench::new();
        let backlog = Arc::new(Backlog::new(Arc::clone(&bench.counted) as _));
        backlog.open(Terms {
            exits: 1,
            may_carry_content: false,
            are_judged: true,
        });
        let mut sink = StoreSink::new(bench.writer(), Some(Arc::clone(&backlog)));
        let mut unsampled = record();
        unsampled.is_sampled = false;
        let mut records: Vec<_> = (0..4).map(|_| Arc::new(record())).collect();
        let [early, late, stays, undecided] = [0, 1, 2, 3].map(|at: usize| records[at].span_id);
        records.push(Arc::new(unsampled));
        backlog.leave_now([early]);
        sink.write(&records.clone().into()).unwrap();
        backlog.leave_now([late]);
        backlog.settled(&[stays]);
        sink.tick(1, &[]);
        sink.close();
        let path = bench.folder.path().join("t.db");
        let writer = Writer::open(&path, 1).unwrap();
        let mut outbox = Outbox::open(&path, writer.place().1).unwrap();
        assert_eq!(outbox.adopt(1, 10).unwrap(), 2, "{early} and {late}");
        outbox.decide_all_leave().unwrap();
        assert_eq!(outbox.adopt(1, 10).unwrap(), 1, "{undecided}");
        assert!(bench.counted().is_empty());
    }

    #[test]
    fn what_never_comes_to_the_store_is_lost_to_the_collector_too() {
        let bench = Bench::new();
        let mut sink = bench.sink();
        let ghosts = [SpanId::generate(), SpanId::generate()];
        bench.backlog.owe(&ghosts[..1], 1, "away");
        bench.backlog.settled(&ghosts[1..]);
        for _ in 0..PATIENCE {
            sink.tick(1, &[]);
        }
        assert_eq!(bench.backlog.pending(), 1, "it may come yet");
        sink.tick(1, &[]);
        assert_eq!(bench.backlog.pending(), 0);
        assert_eq!(bench.counted(), BTreeMap::from([("away", 1)]));
        sink.close();
        assert_eq!(bench.backlog.owe(&ghosts, 1, "late"), 0, "nobody keeps it");
    }

    #[test]
    fn what_the_sdk_drops_without_a_word_is_sent_from_the_store() {
        let bench = Bench::new();
        let mut writer = bench.writer();
        let mut debts = Debts::of(&writer, Arc::clone(&bench.backlog));
        let record = Arc::new(record());
        assert!(
            matches!(debts.export(&record), Export::Owed(owed) if owed.stage == Stage::UnderWay)
        );
        debts.stored(&[Arc::clone(&record)], vec![(record.span_id, 7)]);
        debts.find_lost(Instant::now() + LOST_SIGHT / 2);
        assert_eq!(bench.backlog.pending(), 0);
        debts.find_lost(Instant::now() + LOST_SIGHT + Duration::from_secs(1));
        assert_eq!(bench.backlog.pending(), 1);
        assert_eq!(debts.ready, [(7, 1)]);
        debts.close(&mut writer);
    }

    #[test]
    fn too_many_are_dropped_oldest_first_and_counted() {
        let bench = Bench::new();
        let mut sink = bench.sink();
        let records: Vec<_> = (0..3).map(|_| Arc::new(record())).collect();
        let ids: Vec<_> = records.iter().map(|record| record.span_id).collect();
        bench.backlog.owe(&ids, 1, "away");
        sink.write(&records.clone().into()).unwrap();
        // As if so many had been taken over from others.
        bench.backlog.more(super::MOST - 1);
        sink.tick(1, &[]);
        assert_eq!(bench.counted(), BTreeMap::from([(super::FULL, 2)]));
        assert_eq!(bench.backlog.pending(), super::MOST);
        sink.close();
        assert_eq!(bench.noted(), 1);
    }
}
