//! From what happened to a line of JSON, appended to a buffer.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::Write as _;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::{Line, SUM, VERSION, sum};
use crate::record::{EventRecord, Facts, Failure, SpanId, SpanRecord, TraceId, Value};

impl Line<'_> {
    /// Appends the line; a line that cannot be written leaves the buffer as it was.
    pub(crate) fn put(&self, buffer: &mut Vec<u8>) -> serde_json::Result<()> {
        let start = buffer.len();
        if let Err(error) = serde_json::to_writer(&mut *buffer, self) {
            buffer.truncate(start);
            return Err(error);
        }
        buffer.pop();
        let sum = sum(&buffer[start..]);
        buffer.extend_from_slice(SUM);
        writeln!(buffer, "{sum:016x}\"}}").map_err(serde_json::Error::io)
    }
}

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut line = serializer.serialize_map(None)?;
        line.serialize_entry("v", &VERSION)?;
        line.serialize_entry("line", self.word())?;
        match self {
            Line::Log {
                created_ns,
                version,
            } => {
                line.serialize_entry("created_ns", created_ns)?;
                line.serialize_entry("version", version)?;
            }
            Line::Writer(identity) => {
                line.serialize_entry("writer", &identity.id)?;
                line.serialize_entry("pid", &identity.pid)?;
                put_some(&mut line, "host", identity.host.as_ref())?;
                line.serialize_entry("started_ns", &identity.started_ns)?;
                line.serialize_entry("version", &identity.version)?;
            }
            Line::Span {
                writer,
                batch,
                record,
            } => {
                line.serialize_entry("writer", writer)?;
                line.serialize_entry("batch", batch)?;
                put_span(&mut line, record)?;
            }
            Line::Event { writer, event } => {
                line.serialize_entry("writer", writer)?;
                super::event::put(&mut line, event)?;
            }
            Line::Seen { writer, at_ns } => {
                line.serialize_entry("writer", writer)?;
                line.serialize_entry("at_ns", at_ns)?;
            }
            Line::Losses { writer, losses } => {
                line.serialize_entry("writer", writer)?;
                line.serialize_entry("losses", &Counts(losses))?;
            }
            Line::Missing { writer, spans } => {
                line.serialize_entry("writer", writer)?;
                line.serialize_entry("spans", spans)?;
            }
            Line::Closed { writer } => line.serialize_entry("writer", writer)?,
        }
        line.end()
    }
}

impl Line<'_> {
    fn word(&self) -> &'static str {
        match self {
            Line::Log { .. } => "log",
            Line::Writer(_) => "writer",
            Line::Span { record, .. } if record.withdrawn => "withdrawn",
            Line::Span { record, .. } if record.end_ns.is_some() => "ended",
            Line::Span { .. } => "started",
            Line::Event { .. } => "event",
            Line::Seen { .. } => "seen",
            Line::Losses { .. } => "losses",
            Line::Missing { .. } => "missing",
            Line::Closed { .. } => "closed",
        }
    }
}

fn put_span<M: SerializeMap>(line: &mut M, record: &SpanRecord) -> Result<(), M::Error> {
    line.serialize_entry("trace_id", &Shown(record.trace_id))?;
    line.serialize_entry("span_id", &Shown(record.span_id))?;
    put_some(line, "parent_span_id", record.parent_span_id.map(Shown))?;
    put_some(
        line,
        "wire_parent_span_id",
        record.wire_parent_span_id.map(Shown),
    )?;
    put_some(
        line,
        "remote_parent_span_id",
        record.remote_parent_span_id.map(Shown),
    )?;
    line.serialize_entry("run_id", &Shown(record.run.run_id))?;
    line.serialize_entry("is_root", &record.run.is_root)?;
    line.serialize_entry("kind", record.kind.span_name())?;
    line.serialize_entry("start_ns", &record.start_ns)?;
    put_some(line, "end_ns", record.end_ns)?;
    line.serialize_entry("status", record.status.as_str())?;
    if record.withdrawn {
        // The capture filter took the span out: of what it held nothing is kept.
        return Ok(());
    }
    put_some(line, "name", record.given_name.as_deref())?;
    put_some(line, "retries", record.retries.map(Shown))?;
    put_some(line, "failure", record.failure.as_ref().map(FailureOf))?;
    line.serialize_entry("facts", &FactsOf(&record.facts))?;
    if !record.extra.is_empty() {
        line.serialize_entry("extra", &Attributes(&record.extra))?;
    }
    if !record.events.is_empty() {
        line.serialize_entry("events", &Events(&record.events))?;
    }
    if !record.links.is_empty() {
        line.serialize_entry("links", &Links(&record.links))?;
    }
    Ok(())
}

pub(super) fn put_some<M: SerializeMap>(
    map: &mut M,
    name: &'static str,
    value: Option<impl Serialize>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| map.serialize_entry(name, &value))
}

/// What has a text form: ids.
pub(super) struct Shown<T>(pub(super) T);

impl<T: Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A value in the JSON that gives it back: JSON has no word for a fraction that is no number.
struct Typed<'a>(&'a Value);

impl Serialize for Typed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Bool(truth) => serializer.serialize_bool(*truth),
            Value::Int(int) => serializer.serialize_i64(*int),
            Value::Double(double) if double.is_finite() => serializer.serialize_f64(*double),
            Value::Double(double) => {
                let mut object = serializer.serialize_map(Some(1))?;
                object.serialize_entry("double", &Shown(double))?;
                object.end()
            }
            Value::Text(text) => serializer.serialize_str(text),
            Value::Texts(texts) => texts.serialize(serializer),
        }
    }
}

struct FactsOf<'a>(&'a Facts);

impl Serialize for FactsOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let facts = self.0.iter();
        serializer.collect_map(facts.map(|(fact, value)| (fact.name(), Typed(value))))
    }
}

struct Attributes<'a>(&'a [(Cow<'static, str>, Value)]);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, Typed(value))))
    }
}

struct Counts<'a>(&'a [(Cow<'a, str>, u64)]);

impl Serialize for Counts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(reason, count)| (reason, count)))
    }
}

struct FailureOf<'a>(&'a Failure);

impl Serialize for FailureOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut failure = serializer.serialize_map(None)?;
        failure.serialize_entry("type", &self.0.error_type)?;
        failure.serialize_entry("class", self.0.class.as_str())?;
        put_some(&mut failure, "message", self.0.message.as_ref())?;
        failure.end()
    }
}

struct Events<'a>(&'a [EventRecord]);

impl Serialize for Events<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(EventOf))
    }
}

struct EventOf<'a>(&'a EventRecord);

impl Serialize for EventOf<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut event = serializer.serialize_map(None)?;
        event.serialize_entry("name", &self.0.name)?;
        event.serialize_entry("time_ns", &self.0.time_ns)?;
        event.serialize_entry("attributes", &Attributes(&self.0.attributes))?;
        event.end()
    }
}

struct Links<'a>(&'a [(TraceId, SpanId)]);

impl Serialize for Links<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut links = serializer.serialize_seq(Some(self.0.len()))?;
        for (trace_id, span_id) in self.0 {
            links.serialize_element(&LinkOf(*trace_id, *span_id))?;
        }
        links.end()
    }
}

struct LinkOf(TraceId, SpanId);

impl Serialize for LinkOf {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut link = serializer.serialize_map(Some(2))?;
        link.serialize_entry("trace_id", &Shown(self.0))?;
        link.serialize_entry("span_id", &Shown(self.1))?;
        link.end()
    }
}
