//! From a line of JSON back to what happened.

use std::borrow::Cow;

use super::tree::{Members, Tree};
use super::{Line, SUM, Unreadable, VERSION, sum};
use crate::record::{
    ErrorClass, EventRecord, Facts, Failure, RunId, RunRecord, SpanId, SpanRecord, Status, TraceId,
    Value, WriterIdentity,
};
use crate::semconv::{Fact, Kind};

type Named = (Cow<'static, str>, Value);

impl Line<'static> {
    /// Reads a line, with or without the newline at its end.
    pub(crate) fn read(line: &[u8]) -> Result<Self, Unreadable> {
        let line = line.trim_ascii_end();
        if is_changed(line) {
            return Err(Unreadable::Damaged);
        }
        let Ok(Tree::Object(mut members)) = serde_json::from_slice(line) else {
            return Err(Unreadable::Damaged);
        };
        match members.int("v") {
            Some(VERSION) => of_members(&mut members).ok_or(Unreadable::Damaged),
            Some(version) if version > VERSION => Err(Unreadable::Newer),
            _ => Err(Unreadable::Damaged),
        }
    }
}

/// Whether the line differs from what its sum was made of. One without a sum is taken as it is:
/// other programs may write lines too.
fn is_changed(line: &[u8]) -> bool {
    let Some((start, digits)) = line
        .len()
        .checked_sub(SUM.len() + 18)
        .map(|at| line.split_at(at))
    else {
        return false;
    };
    digits.starts_with(SUM) && digits[SUM.len()..] != *format!("{:016x}\"}}", sum(start)).as_bytes()
}

fn of_members(members: &mut Members) -> Option<Line<'static>> {
    let word = members.text("line")?;
    if word == "log" {
        return Some(Line::Log {
            created_ns: members.int("created_ns")?,
            version: Cow::Owned(members.text("version")?),
        });
    }
    let writer = members.text("writer")?;
    Some(match word.as_str() {
        "writer" => Line::Writer(Cow::Owned(WriterIdentity {
            id: writer,
            pid: members
                .count("pid")
                .and_then(|pid| u32::try_from(pid).ok())?,
            host: members.text("host"),
            started_ns: members.int("started_ns")?,
            version: Cow::Owned(members.text("version")?),
        })),
        "started" | "ended" | "withdrawn" => Line::Span {
            writer: Cow::Owned(writer),
            batch: members.count("batch").unwrap_or_default(),
            record: Cow::Owned(span(members, word == "withdrawn")?),
        },
        "event" => Line::Event {
            writer: Cow::Owned(writer),
            event: Cow::Owned(super::event::read(members)?),
        },
        "seen" => Line::Seen {
            writer: Cow::Owned(writer),
            at_ns: members.int("at_ns")?,
        },
        "losses" => Line::Losses {
            writer: Cow::Owned(writer),
            losses: counts(members.object("losses")),
        },
        "missing" => Line::Missing {
            writer: Cow::Owned(writer),
            spans: members.count("spans")?,
        },
        "closed" => Line::Closed {
            writer: Cow::Owned(writer),
        },
        _ => return None,
    })
}

fn span(members: &mut Members, withdrawn: bool) -> Option<SpanRecord> {
    // A fact that this version does not know keeps its name and its value.
    let (facts, unknown) = facts(members.object("facts"));
    let mut extra = attributes(members.object("extra"));
    extra.extend(unknown);
    Some(SpanRecord {
        is_sampled: false,
        trace_id: TraceId::from_hex(&members.text("trace_id")?)?,
        span_id: SpanId::from_hex(&members.text("span_id")?)?,
        parent_span_id: span_id(members, "parent_span_id"),
        wire_parent_span_id: span_id(members, "wire_parent_span_id"),
        remote_parent_span_id: span_id(members, "remote_parent_span_id"),
        run: RunRecord {
            run_id: RunId::from_hex(&members.text("run_id")?)?,
            is_root: members.take("is_root") == Some(Tree::Bool(true)),
        },
        kind: Kind::of_span_name(&members.text("kind")?)?,
        given_name: members.text("name").map(Cow::Owned),
        start_ns: members.int("start_ns")?,
        end_ns: members.int("end_ns"),
        status: Status::from_name(&members.text("status")?)?,
        failure: failure(members.object("failure")),
        facts,
        extra,
        events: members
            .list("events")
            .into_iter()
            .filter_map(event)
            .collect(),
        links: members.list("links").into_iter().filter_map(link).collect(),
        retries: span_id(members, "retries"),
        withdrawn,
    })
}

fn span_id(members: &mut Members, name: &str) -> Option<SpanId> {
    SpanId::from_hex(&members.text(name)?)
}

fn facts(members: Members) -> (Facts, Vec<Named>) {
    let (mut facts, mut unknown) = (Facts::default(), Vec::new());
    for (name, value) in attributes(members) {
        match Fact::named(&name) {
            Some(fact) => facts.set(fact, value),
            None => unknown.push((name, value)),
        }
    }
    (facts, unknown)
}

fn attributes(members: Members) -> Vec<Named> {
    let attributes = members.0.into_iter();
    attributes
        .filter_map(|(name, tree)| Some((Cow::Owned(name), value(tree)?)))
        .collect()
}

fn value(tree: Tree) -> Option<Value> {
    Some(match tree {
        Tree::Null => return None,
        Tree::Bool(truth) => Value::Bool(truth),
        Tree::Int(int) => Value::Int(int),
        Tree::Double(double) => Value::Double(double),
        Tree::Text(text) => Value::from(text),
        Tree::List(items) => Value::Texts(
            items
                .into_iter()
                .filter_map(|item| match item {
                    Tree::Text(text) => Some(text),
                    _ => None,
                })
                .collect(),
        ),
        Tree::Object(mut members) => Value::Double(members.text("double")?.parse().ok()?),
    })
}

fn failure(mut members: Members) -> Option<Failure> {
    Some(Failure {
        error_type: Cow::Owned(members.text("type")?),
        class: ErrorClass::from_name(&members.text("class")?)?,
        message: members.text("message"),
    })
}

fn event(tree: Tree) -> Option<EventRecord> {
    let Tree::Object(mut members) = tree else {
        return None;
    };
    Some(EventRecord {
        name: Cow::Owned(members.text("name")?),
        time_ns: members.int("time_ns")?,
        attributes: attributes(members.object("attributes")),
    })
}

fn link(tree: Tree) -> Option<(TraceId, SpanId)> {
    let Tree::Object(mut members) = tree else {
        return None;
    };
    Some((
        TraceId::from_hex(&members.text("trace_id")?)?,
        SpanId::from_hex(&members.text("span_id")?)?,
    ))
}

fn counts(members: Members) -> Vec<(Cow<'static, str>, u64)> {
    let counts = members.0.into_iter();
    counts
        .filter_map(|(reason, count)| match count {
            Tree::Int(count) => Some((Cow::Owned(reason), u64::try_from(count).ok()?)),
            _ => None,
        })
        .collect()
}
