//! The last traces in memory, for readers in this process that cannot wait for the store or have none.
//!
//! What is kept are the records that the sinks get, shared and not copied; they are made into
//! trees when somebody asks, on the asker's thread. A reader holds the lock for as long as it takes to
//! count up some pointers, so the writer never waits for one that is slow.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::mem::size_of;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use foldhash::fast::RandomState;

use crate::record::{Facts, SpanId, SpanRecord, TraceId, Value};
use crate::wire::RecentTrace;

/// How much of the past is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecentLimits {
    pub(crate) traces: usize,
    pub(crate) spans_per_trace: usize,
    pub(crate) bytes: usize,
}

impl Default for RecentLimits {
    fn default() -> Self {
        RecentLimits {
            traces: 200,
            spans_per_trace: 2_000,
            bytes: 32 * 1024 * 1024,
        }
    }
}

/// The last traces, as the writer and the readers share them.
pub(crate) struct Recent {
    limits: RecentLimits,
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    traces: HashMap<TraceId, Kept, RandomState>,
    /// The traces by when something was last heard of them.
    order: BTreeMap<u64, TraceId>,
    /// How often another trace than before was heard of.
    heard: u64,
    bytes: usize,
}

/// What is kept of one trace.
struct Kept {
    /// Shared with readers: copied, pointer by pointer, when it changes while one reads.
    spans: Arc<Vec<Arc<SpanRecord>>>,
    place: HashMap<SpanId, usize, RandomState>,
    heard: u64,
    bytes: usize,
    omitted: u64,
}

impl Recent {
    pub(crate) fn new(limits: RecentLimits) -> Self {
        Recent {
            limits,
            ring: Mutex::default(),
        }
    }

    /// The traces, that of which something was heard last coming first.
    pub(crate) fn traces(&self) -> Vec<RecentTrace> {
        let kept: Vec<_> = {
            let ring = self.ring();
            let last_first = ring.order.values().rev();
            last_first
                .filter_map(|id| ring.traces.get_key_value(id))
                .map(|(id, kept)| (*id, Arc::clone(&kept.spans), kept.omitted))
                .collect()
        };
        kept.into_iter()
            .filter_map(|(id, spans, omitted)| RecentTrace::of_records(id, &spans, omitted))
            .collect()
    }

    /// One of the traces, if it is among the last.
    pub(crate) fn trace(&self, id: TraceId) -> Option<RecentTrace> {
        let (spans, omitted) = {
            let ring = self.ring();
            let kept = ring.traces.get(&id)?;
            (Arc::clone(&kept.spans), kept.omitted)
        };
        RecentTrace::of_records(id, &spans, omitted)
    }

    /// Takes records in: ended spans, and running ones. For the thread that makes records: the one that writes them has
    /// more to do.
    pub(crate) fn put(&self, batch: &[Arc<SpanRecord>]) {
        let mut ring = self.ring();
        for record in batch {
            ring.put(record, self.limits);
        }
    }

    /// Takes in that spans which are shown as running are over, although they are lost to the store: else they would
    /// run for ever.
    pub(crate) fn lost(&self, records: &[Arc<SpanRecord>]) {
        let mut ring = self.ring();
        for record in records {
            let is_known = ring
                .traces
                .get(&record.trace_id)
                .is_some_and(|kept| kept.place.contains_key(&record.span_id));
            if is_known {
                ring.put(record, self.limits);
            }
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn put(&mut self, record: &Arc<SpanRecord>, limits: RecentLimits) {
        if record.withdrawn {
            return self.withdraw(record);
        }
        if limits.spans_per_trace == 0 {
            return;
        }
        let trace_id = record.trace_id;
        let kept = self.traces.entry(trace_id).or_insert_with(|| Kept {
            spans: Arc::default(),
            place: HashMap::default(),
            heard: 0,
            bytes: 0,
            omitted: 0,
        });
        // Spans of one trace come together.
        if kept.heard != self.heard || self.heard == 0 {
            self.heard += 1;
            self.order.remove(&kept.heard);
            self.order.insert(self.heard, trace_id);
            kept.heard = self.heard;
        }
        let before = kept.bytes;
        kept.put(record, limits.spans_per_trace);
        self.bytes = self.bytes - before + kept.bytes;
        while self.traces.len() > limits.traces || self.bytes > limits.bytes {
            let Some((_, oldest)) = self.order.pop_first() else {
                break;
            };
            if let Some(gone) = self.traces.remove(&oldest) {
                self.bytes -= gone.bytes;
            }
        }
    }

    /// Takes a span out again; its children stand under its parent.
    fn withdraw(&mut self, record: &SpanRecord) {
        let Some(kept) = self.traces.get_mut(&record.trace_id) else {
            return;
        };
        let spans = Arc::make_mut(&mut kept.spans);
        spans.retain(|span| span.span_id != record.span_id);
        for span in spans.iter_mut() {
            if span.parent_span_id == Some(record.span_id) {
                Arc::make_mut(span).parent_span_id = record.parent_span_id;
            }
        }
        let is_empty = spans.is_empty();
        let places = spans.iter().enumerate();
        kept.place = places.map(|(place, span)| (span.span_id, place)).collect();
        let bytes = spans.iter().map(|span| bytes_of(span)).sum();
        self.bytes = self.bytes - kept.bytes + bytes;
        kept.bytes = bytes;
        if is_empty {
            self.order.remove(&kept.heard);
            self.traces.remove(&record.trace_id);
        }
    }
}

impl Kept {
    fn put(&mut self, record: &Arc<SpanRecord>, max_spans: usize) {
        let bytes = bytes_of(record);
        if let Some(&place) = self.place.get(&record.span_id) {
            let spans = Arc::make_mut(&mut self.spans);
            let old = &mut spans[place];
            // Word that a span runs may be overtaken by its end.
            if old.end_ns.is_some() && record.end_ns.is_none() {
                return;
            }
            self.bytes = self.bytes - bytes_of(old) + bytes;
            *old = Arc::clone(record);
        } else if self.spans.len() < max_spans || record.run.is_root {
            let spans = Arc::make_mut(&mut self.spans);
            self.place.insert(record.span_id, spans.len());
            spans.push(Arc::clone(record));
            self.bytes += bytes;
        } else if record.end_ns.is_some() {
            self.omitted += 1;
        }
    }
}

/// About how much memory a record takes.
fn bytes_of(record: &SpanRecord) -> usize {
    let value = |value: &Value| match value {
        Value::Text(text) => text.len(),
        Value::Texts(texts) => texts.iter().map(|text| text.len() + 24).sum(),
        _ => 0,
    };
    let pair = size_of::<(&str, Value)>() * 2;
    let facts = |facts: &Facts| -> usize { facts.iter().map(|(_, fact)| value(fact) + pair).sum() };
    let named = |named: &[(_, Value)]| -> usize {
        named
            .iter()
            .map(|(name, one): &(std::borrow::Cow<'static, str>, Value)| {
                name.len() + value(one) + pair
            })
            .sum()
    };
    let events = record.events.iter();
    let message = record
        .failure
        .as_ref()
        .and_then(|failure| failure.message.as_ref());
    // The record itself, its place in the list and in the map.
    size_of::<SpanRecord>()
        + 64
        + facts(&record.facts)
        + named(&record.extra)
        + events
            .map(|event| named(&event.attributes) + 64)
            .sum::<usize>()
        + message.map_or(0, String::len)
        + record.links.len() * 24
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
