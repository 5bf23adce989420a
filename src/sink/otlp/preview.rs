//! Stored spans as they would leave, for whoever wants to see before they do.

use std::fmt;
use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::trace::Status;
use opentelemetry_sdk::trace::SpanData;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::console::{kind, object, parent, unix_ns};
use super::finished::Finished;
use super::rename::Rename;
use super::restore;
use super::scope;
use super::setup::resource;
use crate::config::ExportConfig;
use crate::policy::Policy;
use crate::record::{SpanId, SpanRecord, TraceId};
use crate::semconv::{self, Naming};
use crate::store::RecordedSpan;
use crate::wire;

/// A stored span as a collector would get it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PreviewSpan {
    /// The trace it belongs to.
    pub trace_id: TraceId,
    /// Its id.
    pub span_id: SpanId,
    /// The id of its parent, in hex.
    pub parent_span_id: Option<String>,
    /// What it is called in the profile that is exported.
    pub name: String,
    /// CLIENT or INTERNAL.
    pub kind: &'static str,
    /// When it started, in nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// When it ended, in nanoseconds since the Unix epoch.
    pub end_ns: u64,
    /// The description of its failure; `None`: it did not fail.
    pub error: Option<String>,
    /// What it carries.
    pub attributes: Vec<PreviewAttribute>,
    /// What happened in it.
    pub events: Vec<PreviewEvent>,
    /// The names of attributes that the store could give and that do not leave, each with why.
    pub withheld: Vec<(String, Why)>,
}

/// An attribute that would leave.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PreviewAttribute {
    /// Its name.
    pub name: String,
    /// Its value, redacted and cut.
    pub value: Value,
    /// Why it leaves.
    pub why: Why,
}

/// A span event that would leave.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PreviewEvent {
    /// Its name.
    pub name: String,
    /// When it was, in nanoseconds since the Unix epoch.
    pub time_ns: u64,
    /// What it carries.
    pub attributes: Map<String, Value>,
}

/// Why something would leave, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Why {
    /// It is metadata: a name, a count, a time, an id.
    Metadata,
    /// It is content, or nobody knows what it is, and content is exported.
    ContentIsExported,
    /// It is content, and content is off now, though it was kept when this was recorded.
    ContentIsOff,
    /// It is content, which is kept on this machine alone.
    ContentStays,
    /// It is content, and whoever manages this machine has `trajectories.enabled` off.
    ContentIsManaged,
    /// Content leaves in another place of the span than here.
    NotExported,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Why::Metadata => "metadata",
            Why::ContentIsExported => "content is exported",
            Why::ContentIsOff => "content is off",
            Why::ContentStays => "content stays on this machine",
            Why::ContentIsManaged => "content may not leave a managed machine",
            Why::NotExported => "content leaves elsewhere",
        })
    }
}

/// The spans that have ended, each as it would leave. `withheld`: why content does not.
pub(crate) fn previewed(
    spans: impl IntoIterator<Item = RecordedSpan>,
    policy: Arc<Policy>,
    naming: Naming,
    withheld: Why,
) -> Vec<PreviewSpan> {
    let rename = Rename::new(Arc::new(Finished::new(1)), policy, naming);
    let ended = spans.into_iter().filter(|span| span.end_ns.is_some());
    ended
        .filter_map(restore::record)
        .map(|record| {
            let span = rename.again(record.clone(), true, scope());
            shown(&record, &span, naming, withheld)
        })
        .collect()
}

/// What is said of all spans.
pub(crate) fn previewed_resource(config: &ExportConfig) -> Map<String, Value> {
    match object(resource(config).iter()) {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn shown(record: &SpanRecord, span: &SpanData, naming: Naming, withheld: Why) -> PreviewSpan {
    let plain = wire::attributes_without_content(record, naming);
    let is_plain = |name: &str| plain.iter().any(|(known, _)| known == name);
    let attributes = members(&span.attributes).into_iter().map(|(name, value)| {
        let why = if is_plain(&name) {
            Why::Metadata
        } else {
            Why::ContentIsExported
        };
        PreviewAttribute { name, value, why }
    });
    let attributes: Vec<_> = attributes.collect();
    let events = span.events.iter().map(|event| PreviewEvent {
        name: event.name.to_string(),
        time_ns: unix_ns(event.timestamp),
        attributes: members(&event.attributes),
    });
    let events: Vec<_> = events.collect();
    let leaves = |name: &str| {
        attributes.iter().any(|attribute| attribute.name == name)
            || events.iter().any(|event| {
                event.name == semconv::CONTENT_EVENT && event.attributes.contains_key(name)
            })
    };
    let held = wire::attributes(record, naming).into_iter();
    let held = held.map(|(name, _)| name.into_owned());
    PreviewSpan {
        trace_id: record.trace_id,
        span_id: record.span_id,
        parent_span_id: parent(span.parent_span_id),
        name: span.name.to_string(),
        kind: kind(&span.span_kind),
        start_ns: unix_ns(span.start_time),
        end_ns: unix_ns(span.end_time),
        error: match &span.status {
            Status::Error { description } => Some(description.to_string()),
            Status::Unset | Status::Ok => None,
        },
        withheld: held
            .filter(|name| !leaves(name))
            .map(|name| (name, withheld))
            .collect(),
        attributes,
        events,
    }
}

fn members(attributes: &[KeyValue]) -> Map<String, Value> {
    let attributes = attributes.iter();
    let attributes = attributes.map(|attribute| (&attribute.key, &attribute.value));
    match object(attributes) {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

impl fmt::Display for PreviewSpan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} ({}, {})", self.name, self.kind, self.span_id)?;
        if let Some(error) = &self.error {
            writeln!(f, "  error: {error}")?;
        }
        for attribute in &self.attributes {
            writeln!(
                f,
                "  {} = {}  ({})",
                attribute.name, attribute.value, attribute.why
            )?;
        }
        for event in &self.events {
            writeln!(
                f,
                "  event {} {}",
                event.name,
                Value::Object(event.attributes.clone())
            )?;
        }
        for (name, why) in &self.withheld {
            writeln!(f, "  {name} is withheld  ({why})")?;
        }
        Ok(())
    }
}

impl Serialize for PreviewSpan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let attributes = self.attributes.iter().map(|attribute| {
            let said = json!({ "value": attribute.value, "why": attribute.why.to_string() });
            (attribute.name.clone(), said)
        });
        let events = self.events.iter().map(|event| {
            json!({ "name": event.name, "time_ns": event.time_ns, "attributes": event.attributes })
        });
        let withheld = self.withheld.iter();
        let withheld = withheld.map(|(name, why)| (name.clone(), json!(why.to_string())));
        json!({
            "trace_id": self.trace_id.to_string(),
            "span_id": self.span_id.to_string(),
            "parent_span_id": self.parent_span_id,
            "name": self.name,
            "kind": self.kind,
            "start_ns": self.start_ns,
            "end_ns": self.end_ns,
            "error": self.error,
            "attributes": attributes.collect::<Map<_, _>>(),
            "events": events.collect::<Vec<_>>(),
            "withheld": withheld.collect::<Map<_, _>>(),
        })
        .serialize(serializer)
    }
}
