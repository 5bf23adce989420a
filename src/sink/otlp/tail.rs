//! Holds back what has ended until its trace is decided: then all of it leaves, or none.
//!
//! This runs where batches leave, on Hermes's own threads; the agent's knows nothing of it. Spans wait here
//! as they will leave. When there are too many, those that the store has are forgotten but for their
//! ids: it has noted them as undecided, and sends them if their trace leaves.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::trace::Status;
use opentelemetry_sdk::trace::SpanData;

use super::bridge::unix_ns;
use crate::config::TailSampling;
use crate::record::{Merit, SpanId, TraceId, now_ns};
use crate::sink::Ended;

/// The most spans that wait here as they are, and about how much memory they may take.
const MOST_SPANS: usize = 4_096;
const MOST_BYTES: usize = 32 * 1024 * 1024;
/// The most ids of spans that wait in the store, and the most traces.
const MOST_IDS: usize = 100_000;
/// How many decisions are remembered for what comes late, and how many spans that found the export queue full.
const MOST_DECIDED: usize = 16_384;

/// The spans of undecided traces, and what was decided of others.
#[derive(Debug)]
pub(super) struct Tail {
    rules: TailSampling,
    state: Mutex<State>,
    /// Spans that found the export queue full, noted by the agent's threads: never under the other lock.
    missed: Mutex<Vec<Missed>>,
}

#[derive(Debug, Default)]
struct State {
    undecided: HashMap<TraceId, Undecided>,
    /// Undecided traces in the order of their coming; those decided since are passed over.
    order: VecDeque<TraceId>,
    decided: HashMap<TraceId, bool>,
    decided_order: VecDeque<TraceId>,
    spans: usize,
    bytes: usize,
    ids: usize,
}

#[derive(Debug)]
struct Undecided {
    merit: Merit,
    since: Instant,
    spans: Vec<Held>,
    /// Spans of ours that the store has, and this no more.
    stored: Vec<SpanId>,
}

#[derive(Debug)]
struct Held {
    span: SpanData,
    bytes: usize,
    /// The id of a span that is ours.
    ours: Option<SpanId>,
    /// Whether it came with the batch in hand.
    is_new: bool,
}

#[derive(Debug)]
struct Missed {
    trace: TraceId,
    ends_trace: bool,
    merit: Merit,
    ended: Option<Arc<dyn Ended>>,
}

/// A span that comes to be judged.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) trace: TraceId,
    /// Whether it is the outermost one of its trace in this process.
    pub(super) ends_trace: bool,
    pub(super) merit: Merit,
    pub(super) body: Body,
}

/// What there is of a span.
#[derive(Debug)]
pub(super) enum Body {
    /// The span as it leaves, and its id where it is ours.
    Whole(Box<SpanData>, Option<SpanId>),
    /// It is in the store.
    Stored(SpanId),
    /// It was taken out, or is lost.
    Nothing,
}

/// What is to be done.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// Spans that leave now, and the ids of those that are ours.
    pub(super) leaving: Vec<(SpanData, Option<SpanId>)>,
    /// How many of these had waited here.
    pub(super) had_waited: usize,
    /// Spans that leave from the store.
    pub(super) owed: Vec<SpanId>,
    /// How many spans stay at home, and those of them that the store holds to be undecided.
    pub(super) staying: usize,
    pub(super) settled: Vec<SpanId>,
    /// How many spans of the batch do not leave now.
    pub(super) held_back: usize,
}

impl Tail {
    pub(super) fn new(rules: TailSampling) -> Self {
        Tail {
            rules,
            state: Mutex::default(),
            missed: Mutex::default(),
        }
    }

    /// Takes a batch in, and judges the traces that it ends. `may_forget`: the store has what is ours.
    pub(super) fn judge(&self, batch: Vec<Candidate>, may_forget: bool) -> Judged {
        let whole = |candidate: &Candidate| matches!(candidate.body, Body::Whole(..));
        let new = batch.iter().filter(|candidate| whole(candidate)).count();
        let mut state = locked(&self.state);
        let mut judged = Judged::default();
        let mut ended = Vec::new();
        for candidate in self.missed().into_iter().chain(batch) {
            if let Some(&leaves) = state.decided.get(&candidate.trace) {
                judged.add(candidate.body, leaves);
                continue;
            }
            if candidate.ends_trace {
                ended.push(candidate.trace);
            }
            state.hold(candidate);
        }
        // Only now: what ended in another thread a moment after the outermost span is in the same batch.
        for trace in ended {
            state.decide(trace, &self.rules, &mut judged);
        }
        state.decide_overdue(&self.rules, &mut judged);
        state.make_room(may_forget, &self.rules, &mut judged);
        for held in state.undecided.values_mut().flat_map(|it| &mut it.spans) {
            held.is_new = false;
        }
        drop(state);
        judged.held_back = new - (judged.leaving.len() - judged.had_waited);
        judged
    }

    /// Judges every trace that is undecided, by what is known of it.
    pub(super) fn judge_all(&self) -> Judged {
        let mut judged = self.judge(Vec::new(), false);
        let mut state = locked(&self.state);
        while let Some(trace) = state.oldest() {
            state.decide_running(trace, &self.rules, &mut judged);
        }
        judged
    }

    /// Notes a span that finds the export queue full. Called on the agent's threads.
    pub(super) fn missed_one(&self, span: &SpanData, ended: Option<Arc<dyn Ended>>) {
        let Some(trace) = trace_of(span) else { return };
        let missed = Missed {
            trace,
            ends_trace: ends_trace(span),
            merit: merit_of(span),
            ended,
        };
        let mut all = locked(&self.missed);
        // Of more than these, the store knows that they are undecided, and so they stay.
        if all.len() < MOST_DECIDED {
            all.push(missed);
        }
    }

    /// How many spans wait for the decision of their trace, as far as this process knows.
    pub(super) fn undecided(&self) -> usize {
        let state = locked(&self.state);
        state.spans + state.ids
    }

    /// The longest pause between two looks at the clock.
    pub(super) fn patience(&self) -> Duration {
        self.rules.patience()
    }

    fn missed(&self) -> Vec<Candidate> {
        let missed = std::mem::take(&mut *locked(&self.missed));
        let candidates = missed.into_iter().map(|missed| {
            // Making a record runs through what the agent said; whatever it is, the others go on.
            let record = missed
                .ended
                .and_then(|ended| catch_unwind(AssertUnwindSafe(|| ended.record())).ok());
            Candidate {
                trace: missed.trace,
                ends_trace: missed.ends_trace,
                merit: record
                    .as_ref()
                    .map_or(missed.merit, |record| Merit::of(record)),
                body: record.map_or(Body::Nothing, |record| Body::Stored(record.span_id)),
            }
        });
        candidates.collect()
    }
}

impl State {
    fn hold(&mut self, candidate: Candidate) {
        let trace = candidate.trace;
        let undecided = self.undecided.entry(trace).or_insert_with(|| {
            self.order.push_back(trace);
            Undecided {
                merit: Merit::default(),
                since: Instant::now(),
                spans: Vec::new(),
                stored: Vec::new(),
            }
        });
        undecided.merit.add(candidate.merit);
        match candidate.body {
            Body::Whole(span, ours) => {
                let held = Held {
                    bytes: weight(&span),
                    span: *span,
                    ours,
                    is_new: true,
                };
                self.spans += 1;
                self.bytes += held.bytes;
                undecided.spans.push(held);
            }
            Body::Stored(id) => {
                self.ids += 1;
                undecided.stored.push(id);
            }
            Body::Nothing => {}
        }
    }

    fn decide(&mut self, trace: TraceId, rules: &TailSampling, judged: &mut Judged) {
        // It may have had two outermost spans.
        let Some(undecided) = self.undecided.remove(&trace) else {
            return;
        };
        let leaves = rules.keeps(trace, &undecided.merit);
        self.remember(trace, leaves);
        self.spans -= undecided.spans.len();
        self.ids -= undecided.stored.len();
        for held in undecided.spans {
            self.bytes -= held.bytes;
            judged.had_waited += usize::from(leaves && !held.is_new);
            judged.add(Body::Whole(Box::new(held.span), held.ours), leaves);
        }
        for id in undecided.stored {
            judged.add(Body::Stored(id), leaves);
        }
    }

    /// Decides a trace whose outermost span has not ended.
    fn decide_running(&mut self, trace: TraceId, rules: &TailSampling, judged: &mut Judged) {
        if let Some(undecided) = self.undecided.get_mut(&trace) {
            undecided.merit.runs_at(now_ns());
        }
        self.decide(trace, rules, judged);
    }

    fn decide_overdue(&mut self, rules: &TailSampling, judged: &mut Judged) {
        while let Some(trace) = self.oldest()
            && let Some(undecided) = self.undecided.get(&trace)
            && undecided.since.elapsed() >= rules.patience()
        {
            self.decide_running(trace, rules, judged);
        }
    }

    fn oldest(&mut self) -> Option<TraceId> {
        while let Some(trace) = self.order.front() {
            if self.undecided.contains_key(trace) {
                return Some(*trace);
            }
            self.order.pop_front();
        }
        None
    }

    fn make_room(&mut self, may_forget: bool, rules: &TailSampling, judged: &mut Judged) {
        while self.spans > MOST_SPANS
            || self.bytes > MOST_BYTES
            || self.ids > MOST_IDS
            || self.undecided.len() > MOST_IDS
        {
            let has_places = self.ids <= MOST_IDS && self.undecided.len() <= MOST_IDS;
            let is_in_the_store = has_places && may_forget;
            if is_in_the_store && self.forget_oldest() {
                continue;
            }
            let Some(trace) = self.oldest() else { break };
            self.decide_running(trace, rules, judged);
        }
        // Traces that are decided as they come leave their places behind.
        if self.order.len() > 2 * self.undecided.len() + MOST_DECIDED {
            let undecided = &self.undecided;
            self.order.retain(|trace| undecided.contains_key(trace));
        }
    }

    /// Forgets what is ours of the oldest traces that have any here, until there is room; false where none
    /// has. All in one walk: those before them may be many that have been forgotten already.
    fn forget_oldest(&mut self) -> bool {
        let mut has_forgotten = false;
        for trace in &self.order {
            if self.spans <= MOST_SPANS && self.bytes <= MOST_BYTES {
                break;
            }
            let Some(undecided) = self.undecided.get_mut(trace) else {
                continue;
            };
            let before = undecided.spans.len();
            let (stored, bytes) = (&mut undecided.stored, &mut self.bytes);
            undecided.spans.retain(|held| {
                if let Some(id) = held.ours {
                    stored.push(id);
                    *bytes -= held.bytes;
                }
                held.ours.is_none()
            });
            let forgotten = before - undecided.spans.len();
            self.spans -= forgotten;
            self.ids += forgotten;
            has_forgotten |= forgotten > 0;
        }
        has_forgotten
    }

    fn remember(&mut self, trace: TraceId, leaves: bool) {
        self.decided.insert(trace, leaves);
        self.decided_order.push_back(trace);
        if self.decided_order.len() > MOST_DECIDED
            && let Some(oldest) = self.decided_order.pop_front()
        {
            self.decided.remove(&oldest);
        }
    }
}

impl Judged {
    fn add(&mut self, body: Body, leaves: bool) {
        match body {
            Body::Whole(span, ours) if leaves => self.leaving.push((*span, ours)),
            Body::Stored(id) if leaves => self.owed.push(id),
            Body::Whole(_, ours) => {
                self.staying += 1;
                self.settled.extend(ours);
            }
            Body::Stored(id) => {
                self.staying += 1;
                self.settled.push(id);
            }
            Body::Nothing => {}
        }
    }
}

/// The trace of a span; `None` where it has none, which the SDK does not let happen.
pub(super) fn trace_of(span: &SpanData) -> Option<TraceId> {
    TraceId::from_bytes(span.span_context.trace_id().to_bytes())
}

/// Whether no span of this process stands around the span.
pub(super) fn ends_trace(span: &SpanData) -> bool {
    span.parent_span_is_remote || span.parent_span_id == opentelemetry::trace::SpanId::INVALID
}

/// What the span itself says, where there is no record of it.
pub(super) fn merit_of(span: &SpanData) -> Merit {
    let has_failed = matches!(span.status, Status::Error { .. });
    Merit::of_other(
        has_failed,
        (unix_ns(span.start_time), unix_ns(span.end_time)),
    )
}

/// About how much memory a span takes.
fn weight(span: &SpanData) -> usize {
    const OF_ITSELF: usize = 512;
    const OF_AN_ATTRIBUTE: usize = 64;
    let events = span.events.iter().flat_map(|event| &event.attributes);
    let texts = span
        .attributes
        .iter()
        .chain(events)
        .map(|attribute| OF_AN_ATTRIBUTE + attribute.value.as_str().len());
    OF_ITSELF + texts.sum::<usize>()
}

fn locked<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use opentelemetry::trace::{SpanContext, SpanKind, Status, TraceFlags, TraceState};
    use opentelemetry::{InstrumentationScope, KeyValue};
    use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

    use super::{
        Body, Candidate, Judged, MOST_BYTES, MOST_DECIDED, MOST_IDS, MOST_SPANS, Tail, ends_trace,
        locked, merit_of, trace_of,
    };
    use crate::config::TailSampling;
    use crate::record::SpanId;

    /// A span of this trace; its parent is 1, and 1 has none.
    fn span(trace: u128, id: u64) -> SpanData {
        let flags = TraceFlags::SAMPLED;
        let at = |nanos| UNIX_EPOCH + Duration::from_nanos(nanos);
        SpanData {
            span_context: SpanContext::new(trace.into(), id.into(), flags, false, TraceState::NONE),
            parent_span_id: u64::from(id != 1).into(),
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: "span".into(),
            start_time: at(id),
            end_time: at(id + 1),
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: InstrumentationScope::default(),
        }
    }

    fn failed(mut span: SpanData) -> SpanData {
        span.status = Status::error("");
        span
    }

    fn candidate(span: SpanData, is_ours: bool) -> Candidate {
        let id = SpanId::from_bytes(span.span_context.span_id().to_bytes());
        Candidate {
            trace: trace_of(&span).unwrap(),
            ends_trace: ends_trace(&span),
            merit: merit_of(&span),
            body: Body::Whole(Box::new(span), id.filter(|_| is_ours)),
        }
    }

    fn errors() -> Tail {
        Tail::new(TailSampling::new().errors())
    }

    fn judge(tail: &Tail, spans: impl IntoIterator<Item = SpanData>, has_store: bool) -> Judged {
        let batch = spans.into_iter().map(|span| candidate(span, has_store));
        tail.judge(batch.collect(), has_store)
    }

    #[test]
    fn what_ends_beside_the_outermost_span_is_judged_with_it() {
        let tail = errors();
        let judged = judge(&tail, [span(7, 2), span(7, 1), failed(span(7, 3))], true);
        assert_eq!((judged.leaving.len(), judged.had_waited), (3, 0));
        assert_eq!((judged.held_back, judged.staying), (0, 0));
        let judged = judge(&tail, [span(8, 2)], true);
        assert_eq!((judged.leaving.len(), judged.held_back), (0, 1));
        let judged = judge(&tail, [failed(span(8, 1)), span(9, 1)], true);
        assert_eq!((judged.leaving.len(), judged.had_waited), (2, 1));
        assert_eq!((judged.held_back, judged.staying), (1, 1));
        assert_eq!(tail.undecided(), 0);
    }

    #[test]
    fn of_too_many_ours_are_left_to_the_store_and_others_wait_on() {
        let tail = errors();
        let many = u64::try_from(MOST_SPANS).unwrap() + 2;
        let others = [candidate(span(7, 1_000_000), false)];
        tail.judge(others.into(), true);
        let judged = judge(&tail, (2..many).map(|id| span(7, id)), true);
        assert_eq!(judged.held_back, MOST_SPANS);
        assert_eq!(tail.undecided(), MOST_SPANS + 1);
        assert_eq!(locked(&tail.state).spans, 1);
        let judged = judge(&tail, [failed(span(7, 1))], true);
        assert_eq!((judged.owed.len(), judged.leaving.len()), (MOST_SPANS, 2));
        assert_eq!((judged.had_waited, judged.held_back), (1, 0));
        assert_eq!((tail.undecided(), locked(&tail.state).bytes), (0, 0));
    }

    #[test]
    fn of_too_many_without_a_store_the_oldest_trace_is_decided_early() {
        let tail = errors();
        let half = u64::try_from(MOST_SPANS / 2).unwrap() + 2;
        judge(&tail, (2..half).map(|id| failed(span(7, id))), false);
        judge(&tail, (2..half).map(|id| span(8, id)), false);
        assert_eq!(tail.undecided(), MOST_SPANS);
        let judged = judge(&tail, [span(9, 2)], false);
        assert_eq!(
            (judged.leaving.len(), judged.held_back),
            (MOST_SPANS / 2, 1)
        );
        let judged = judge(&tail, [span(7, 1)], false);
        assert_eq!(judged.leaving.len(), 1, "late, and follows");
        let judged = tail.judge_all();
        assert_eq!(
            (judged.leaving.len(), judged.staying),
            (0, MOST_SPANS / 2 + 1)
        );
    }

    #[test]
    fn neither_long_texts_nor_ids_nor_decisions_pile_up() {
        let tail = errors();
        let long = |id| {
            let mut span = span(7, id);
            let text = "x".repeat(MOST_BYTES / 8);
            span.attributes.push(KeyValue::new("text", text));
            span
        };
        judge(&tail, (2..12).map(long), true);
        assert!(locked(&tail.state).bytes <= MOST_BYTES);
        assert_eq!(tail.undecided(), 10);
        let most = u64::try_from(MOST_IDS).unwrap();
        for from in (2..most + 10_000).step_by(5_000) {
            judge(&tail, (from..from + 5_000).map(|id| span(10, id)), true);
        }
        let state = locked(&tail.state);
        assert!(state.ids <= MOST_IDS && state.spans <= MOST_SPANS);
        assert!(state.decided.values().all(|leaves| !leaves));
        drop(state);
        for trace in 100..100 + MOST_DECIDED as u128 + 50 {
            judge(&tail, [span(trace, 1)], true);
        }
        let state = locked(&tail.state);
        assert_eq!(state.decided.len(), MOST_DECIDED);
        assert_eq!(state.decided_order.len(), MOST_DECIDED);
        assert!(state.order.len() <= MOST_DECIDED + 2);
    }

    #[test]
    fn traces_of_which_nothing_is_left_do_not_pile_up() {
        let tail = errors();
        // What the capture filter took out of traces whose outermost span runs on.
        let nothing = |trace: u64| Candidate {
            body: Body::Nothing,
            ..candidate(span(trace.into(), 2), false)
        };
        let most = u64::try_from(MOST_IDS).unwrap();
        tail.judge((1..most + 100).map(nothing).collect(), true);
        assert!(locked(&tail.state).undecided.len() <= MOST_IDS);
    }

    #[test]
    fn a_span_that_found_the_queue_full_still_has_a_say() {
        let tail = errors();
        judge(&tail, [span(7, 2)], true);
        tail.missed_one(&failed(span(7, 1)), None);
        let judged = judge(&tail, [], true);
        assert_eq!((judged.leaving.len(), judged.had_waited), (1, 1));
    }
}
