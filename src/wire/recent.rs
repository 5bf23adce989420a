//! The last traces as trees of plain data, for whoever watches from inside the process.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::finished::{FinishedEvent, FinishedSpan};
use crate::record::{RunId, SpanId, SpanRecord, Status, TraceId};
use crate::semconv::{Kind, Naming};

/// One trace of the last ones, as far as it has come. From
/// [`Telemetry::recent`](crate::Telemetry::recent).
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RecentTrace {
    /// Its id, the same as in the store and on OTLP.
    pub trace_id: TraceId,
    /// When its first span started, in nanoseconds since the Unix epoch.
    pub start_ns: i64,
    /// When its last span ended; `None` while one of them runs.
    pub end_ns: Option<i64>,
    /// How it went: `running` while one of its spans runs, else the status of its first root.
    pub status: Status,
    /// How many spans are in the tree.
    pub span_count: usize,
    /// How many spans were left out, because the trace has more than is kept of one.
    pub omitted: u64,
    /// The spans without a parent among the others, in the order in which they started.
    pub roots: Vec<RecentSpan>,
}

/// A span of a [`RecentTrace`]: redacted, with content only where it is captured.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct RecentSpan {
    /// Its id, the same as in the store and on OTLP.
    pub span_id: SpanId,
    /// The nearest stored ancestor.
    pub parent_span_id: Option<SpanId>,
    /// The run it belongs to.
    pub run_id: RunId,
    /// The exported name: `chat gpt-4o`, for instance.
    pub name: String,
    /// What it stands for.
    pub kind: Kind,
    /// When it started, in nanoseconds since the Unix epoch.
    pub start_ns: i64,
    /// When it ended; `None` while it runs.
    pub end_ns: Option<i64>,
    /// How it went, or that it runs.
    pub status: Status,
    /// `error.type`, where it failed.
    pub error_type: Option<String>,
    /// The text of its error, redacted.
    pub status_message: Option<String>,
    /// Its attributes, under the names of profile `hermes`.
    pub attributes: Map<String, Json>,
    /// What happened inside it.
    pub events: Vec<FinishedEvent>,
    /// Its children, in the order in which they started.
    pub children: Vec<RecentSpan>,
}

impl RecentTrace {
    /// The tree of these spans, which are of one trace.
    pub(crate) fn of_records(
        trace_id: TraceId,
        records: &[Arc<SpanRecord>],
        omitted: u64,
    ) -> Option<Self> {
        let start_ns = records.iter().map(|record| record.start_ns).min()?;
        let end_ns: Option<Vec<i64>> = records.iter().map(|record| record.end_ns).collect();
        let end_ns = end_ns.and_then(|ends| ends.into_iter().max());
        let roots = trees(records);
        Some(RecentTrace {
            trace_id,
            start_ns,
            end_ns,
            status: match (end_ns, roots.first()) {
                (Some(_), Some(root)) => root.status,
                _ => Status::Running,
            },
            span_count: records.len(),
            omitted,
            roots,
        })
    }

    /// Every span, each before its children.
    pub fn spans(&self) -> impl Iterator<Item = &RecentSpan> {
        let mut left: Vec<_> = self.roots.iter().rev().collect();
        std::iter::from_fn(move || {
            let span = left.pop()?;
            left.extend(span.children.iter().rev());
            Some(span)
        })
    }
}

impl RecentSpan {
    fn of_record(record: &SpanRecord) -> Self {
        let span = FinishedSpan::of_record(record, Naming::default());
        RecentSpan {
            span_id: span.span_id,
            parent_span_id: span.parent_span_id,
            run_id: span.run_id,
            name: span.name,
            kind: span.kind,
            start_ns: span.start_ns,
            end_ns: record.end_ns,
            status: span.status,
            error_type: span.error_type,
            status_message: span.status_message,
            attributes: span.attributes,
            events: span.events,
            children: Vec::new(),
        }
    }
}

/// Puts spans under their parents. One whose parent is missing, or whose chain of parents comes back to
/// itself, is a root.
fn trees(records: &[Arc<SpanRecord>]) -> Vec<RecentSpan> {
    let mut order: Vec<_> = records.iter().collect();
    order.sort_by_key(|record| (record.start_ns, record.span_id));
    let place: HashMap<_, _> = order
        .iter()
        .enumerate()
        .map(|(index, record)| (record.span_id, index))
        .collect();
    let mut children = vec![Vec::new(); order.len()];
    let mut roots = Vec::new();
    for (index, record) in order.iter().enumerate() {
        let parent = record
            .parent_span_id
            .and_then(|parent| place.get(&parent).copied());
        match parent {
            // A clock may have gone back between the two, or a start been stated.
            Some(parent) if !comes_back(&order, &place, index) => children[parent].push(index),
            _ => roots.push(index),
        }
    }
    // Every span before its children, so that from the end each is whole when its parent takes it.
    let (mut line, mut next) = (roots.clone(), 0);
    while let Some(&index) = line.get(next) {
        line.extend(&children[index]);
        next += 1;
    }
    let mut spans: Vec<_> = order
        .iter()
        .map(|record| Some(RecentSpan::of_record(record)))
        .collect();
    for &index in line.iter().rev() {
        let below: Vec<_> = children[index]
            .iter()
            .filter_map(|child| spans[*child].take())
            .collect();
        if let Some(span) = &mut spans[index] {
            span.children = below;
        }
    }
    roots
        .iter()
        .filter_map(|root| spans[*root].take())
        .collect()
}

/// Whether a span is its own ancestor, and the first of that circle to start.
fn comes_back(order: &[&Arc<SpanRecord>], place: &HashMap<SpanId, usize>, index: usize) -> bool {
    let above = |index: usize| {
        let parent = order[index].parent_span_id?;
        place.get(&parent).copied()
    };
    // Parents start before their children but for a few, so the walk is over at the first step that
    // goes back in time; only a circle never does.
    let (mut at, mut steps) = (above(index), 0);
    while let Some(here) = at {
        if here < index {
            return false;
        }
        if here == index {
            return true;
        }
        steps += 1;
        if steps > order.len() {
            return false;
        }
        at = above(here);
    }
    false
}
