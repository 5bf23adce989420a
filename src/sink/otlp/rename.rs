//! From records to exported spans: names, kinds, times, attributes, status and events, under policy.

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::Arc;

use opentelemetry::trace::{
    Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Array, InstrumentationScope, Key, KeyValue, StringValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::bridge::{span_id, system_time};
use super::finished::Finished;
use crate::policy::{Policy, withhold_content};
use crate::record::{EventRecord, SpanRecord, Value};
use crate::semconv::{self, Naming};
use crate::wire;

type Named = (Cow<'static, str>, Value);

/// Says what each span that leaves is called and what it carries.
#[derive(Debug)]
pub(super) struct Rename {
    finished: Arc<Finished>,
    policy: Arc<Policy>,
    naming: Naming,
}

/// What a span has become.
#[derive(Debug)]
pub(super) enum Renamed {
    /// One of ours: what leaves is what the store holds.
    Ours(SpanData, Arc<SpanRecord>),
    /// One of another library.
    Foreign(SpanData),
    /// It was taken out.
    Withdrawn,
}

impl Rename {
    pub(super) fn new(finished: Arc<Finished>, policy: Arc<Policy>, naming: Naming) -> Self {
        Rename {
            finished,
            policy,
            naming,
        }
    }

    /// The span as it leaves.
    pub(super) fn apply(&self, mut span: SpanData) -> Renamed {
        let id = span_id(span.span_context.span_id());
        if id.is_some_and(|id| self.finished.is_withdrawn(id)) {
            return Renamed::Withdrawn;
        }
        self.move_to_parent_left(&mut span);
        self.clean_states(&mut span);
        if let Some(draft) = id.and_then(|id| self.finished.take(id)) {
            let record = draft.record();
            draft.release();
            self.rebuild(&record, &mut span);
            Renamed::Ours(span, record)
        } else {
            self.clean(&mut span);
            Renamed::Foreign(span)
        }
    }

    /// The span of a record that comes from the store, as it would have left when it ended.
    /// `may_carry_content`: the operator let content leave when the span was recorded.
    pub(super) fn again(
        &self,
        mut record: SpanRecord,
        may_carry_content: bool,
        scope: InstrumentationScope,
    ) -> SpanData {
        if !may_carry_content {
            withhold_content(&mut record);
        }
        let parent = record.wire_parent_span_id.or(record.parent_span_id);
        let mut span = SpanData {
            span_context: SpanContext::new(
                TraceId::from_bytes(record.trace_id.to_bytes()),
                SpanId::from_bytes(record.span_id.to_bytes()),
                TraceFlags::SAMPLED,
                false,
                TraceState::NONE,
            ),
            parent_span_id: parent.map_or(SpanId::INVALID, |id| SpanId::from_bytes(id.to_bytes())),
            parent_span_is_remote: false,
            span_kind: SpanKind::Internal,
            name: Cow::Borrowed(""),
            start_time: system_time(record.start_ns),
            end_time: system_time(record.end_ns.unwrap_or(record.start_ns)),
            attributes: Vec::new(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: Status::Unset,
            instrumentation_scope: scope,
        };
        self.move_to_parent_left(&mut span);
        self.rebuild(&record, &mut span);
        span
    }

    /// A text that came from outside, fit to be printed.
    pub(super) fn clean_text(&self, text: &str) -> String {
        self.policy.foreign_text(text)
    }

    /// A parent that was taken out since gives its place to the one around it.
    pub(super) fn move_to_parent_left(&self, span: &mut SpanData) {
        let Some(parent) = span_id(span.parent_span_id) else {
            return;
        };
        let left = self.finished.parent_left(parent);
        if left != Some(parent) {
            span.parent_span_id =
                left.map_or(SpanId::INVALID, |left| SpanId::from_bytes(left.to_bytes()));
            span.parent_span_is_remote = false;
        }
    }

    /// Everything the record knows better than OpenTelemetry does, which is all but the ids.
    fn rebuild(&self, record: &SpanRecord, span: &mut SpanData) {
        let record = self.policy.export(record);
        let placement = self.policy.content_placement();
        span.name = Cow::Owned(record.exported_name(self.naming.profile).into_owned());
        span.span_kind = if record.kind.is_client() {
            SpanKind::Client
        } else {
            SpanKind::Internal
        };
        span.start_time = system_time(record.start_ns);
        if let Some(end_ns) = record.end_ns {
            span.end_time = system_time(end_ns);
        }
        span.attributes = key_values(if placement.on_span {
            wire::attributes(&record, self.naming)
        } else {
            wire::attributes_without_content(&record, self.naming)
        });
        span.dropped_attributes_count = 0;
        span.status = status(&record);
        let mut events = SpanEvents::default();
        if placement.on_event {
            let content = wire::content_attributes(&record, self.naming);
            if !content.is_empty() {
                let attributes = key_values(content);
                events.events.push(Event::new(
                    semconv::CONTENT_EVENT,
                    span.end_time,
                    attributes,
                    0,
                ));
            }
        }
        add_links(&record, span);
        events.events.extend(record.events.into_iter().map(event));
        events.events.sort_by_key(|event| event.timestamp);
        span.events = events;
    }

    /// A span of another library, or one whose record is gone: nothing leaves that policy does not
    /// let through.
    fn clean(&self, span: &mut SpanData) {
        self.clean_name(&mut span.name);
        self.clean_attributes(&mut span.attributes);
        for event in &mut span.events.events {
            self.clean_name(&mut event.name);
            event
                .attributes
                .retain(|attribute| !is_log_metadata(attribute.key.as_str()));
            self.clean_attributes(&mut event.attributes);
        }
        for link in &mut span.links.links {
            self.clean_attributes(&mut link.attributes);
        }
        if let Status::Error { description } = &mut span.status {
            self.clean_name(description);
        }
    }

    /// What other systems hand on with a trace leaves as it came, but for secrets.
    fn clean_states(&self, span: &mut SpanData) {
        let of_links = span.links.links.iter_mut();
        let of_links = of_links.map(|link| &mut link.span_context);
        for context in of_links.chain([&mut span.span_context]) {
            let state = context.trace_state().header();
            if let Cow::Owned(clean) = self.policy.without_secrets(&state) {
                *context = SpanContext::new(
                    context.trace_id(),
                    context.span_id(),
                    context.trace_flags(),
                    context.is_remote(),
                    TraceState::from_str(&clean).unwrap_or_default(),
                );
            }
        }
    }

    fn clean_name(&self, name: &mut Cow<'static, str>) {
        let clean = self.policy.foreign_text(name);
        if clean != **name {
            *name = Cow::Owned(clean);
        }
    }

    fn clean_attributes(&self, attributes: &mut Vec<KeyValue>) {
        let mut kept: Vec<KeyValue> = Vec::with_capacity(attributes.len());
        for KeyValue { key, value, .. } in attributes.drain(..) {
            let Some(value) = self.clean_value(key.as_str(), value) else {
                continue;
            };
            // Names may be put together at run time, and of anything.
            let key = match self.policy.without_secrets(key.as_str()) {
                Cow::Owned(clean) => Key::from(clean),
                Cow::Borrowed(_) => key,
            };
            // A field that was recorded twice came twice; the later value is the one that holds.
            match kept.iter_mut().find(|known| known.key == key) {
                Some(known) => known.value = value,
                None => kept.push(KeyValue::new(key, value)),
            }
        }
        *attributes = kept;
    }

    fn clean_value(&self, key: &str, value: opentelemetry::Value) -> Option<opentelemetry::Value> {
        match from_otel(&value) {
            Some(ours) => self.policy.foreign_value(key, ours).map(to_otel),
            // Lists of numbers hold no secret, only the key decides.
            None => self
                .policy
                .foreign_value(key, Value::Texts(Vec::new()))
                .map(|_| value),
        }
    }
}

/// Attributes as OpenTelemetry holds them.
pub(super) fn key_values(attributes: impl IntoIterator<Item = Named>) -> Vec<KeyValue> {
    attributes
        .into_iter()
        .map(|(key, value)| KeyValue::new(Key::from(key), to_otel(value)))
        .collect()
}

/// A value as OpenTelemetry holds it.
pub(super) fn to_otel(value: Value) -> opentelemetry::Value {
    match value {
        Value::Bool(truth) => opentelemetry::Value::Bool(truth),
        Value::Int(int) => opentelemetry::Value::I64(int),
        Value::Double(double) => opentelemetry::Value::F64(double),
        Value::Text(text) => opentelemetry::Value::String(StringValue::from(text)),
        Value::Texts(texts) => opentelemetry::Value::Array(Array::String(
            texts.into_iter().map(StringValue::from).collect(),
        )),
    }
}

/// A value of OpenTelemetry as ours; `None` for lists of numbers, which ours has not.
pub(super) fn from_otel(value: &opentelemetry::Value) -> Option<Value> {
    Some(match value {
        opentelemetry::Value::Bool(truth) => Value::Bool(*truth),
        opentelemetry::Value::I64(int) => Value::Int(*int),
        opentelemetry::Value::F64(double) => Value::Double(*double),
        opentelemetry::Value::String(text) => Value::from(text.as_str()),
        opentelemetry::Value::Array(Array::String(texts)) => {
            Value::Texts(texts.iter().map(|text| text.as_str().to_owned()).collect())
        }
        opentelemetry::Value::Array(Array::Bool(_) | Array::I64(_) | Array::F64(_)) => return None,
        // A kind of value this version does not know: its text is cleaned as a text.
        other => Value::from(other.as_str().into_owned()),
    })
}

fn status(record: &SpanRecord) -> Status {
    if !record.status.is_failure() {
        return Status::Unset;
    }
    let message = record
        .failure
        .as_ref()
        .and_then(|failure| failure.message.clone());
    Status::error(message.unwrap_or_default())
}

/// Links stated to Hermes alone join those that OpenTelemetry saw.
fn add_links(record: &SpanRecord, span: &mut SpanData) {
    for (trace_id, linked) in &record.links {
        let linked = SpanId::from_bytes(linked.to_bytes());
        let trace = TraceId::from_bytes(trace_id.to_bytes());
        let links = &mut span.links.links;
        if !links.iter().any(|known| {
            let known = &known.span_context;
            known.span_id() == linked && known.trace_id() == trace
        }) {
            links.push(Link::with_context(SpanContext::new(
                trace,
                linked,
                TraceFlags::SAMPLED,
                false,
                TraceState::NONE,
            )));
        }
    }
}

fn event(event: EventRecord) -> Event {
    Event::new(
        event.name,
        system_time(event.time_ns),
        key_values(event.attributes),
        0,
    )
}

/// What a `log` record carries of its own place, which is not the program's data.
fn is_log_metadata(key: &str) -> bool {
    matches!(
        key,
        "log.target" | "log.module_path" | "log.file" | "log.line"
    )
}

#[cfg(test)]
mod tests {
    use opentelemetry::{Array, StringValue};

    use super::*;
    use crate::config::Content;
    use crate::policy::{Extent, Rules};

    #[test]
    fn what_is_handed_on_with_a_trace_leaves_without_secrets() {
        let state = |text: &str| TraceState::from_str(text).unwrap();
        let key = format!("ghp_{}", "a1B2".repeat(9));
        let context = |text: &str| {
            let (trace, span) = (TraceId::from(7), SpanId::from(8));
            SpanContext::new(trace, span, TraceFlags::SAMPLED, true, state(text))
        };
        let policy = Policy::new(Content::Off, Extent::default(), [7; 16], Rules::default());
        let finished = Arc::new(Finished::new(8));
        let rename = Rename::new(finished, Arc::new(policy), Naming::default());
        let left = |text: &str| {
            let mut span = SpanData {
                span_context: context(text),
                parent_span_id: SpanId::INVALID,
                parent_span_is_remote: false,
                span_kind: SpanKind::Internal,
                name: Cow::Borrowed("x"),
                start_time: system_time(1),
                end_time: system_time(2),
                attributes: Vec::new(),
                dropped_attributes_count: 0,
                events: SpanEvents::default(),
                links: SpanLinks::default(),
                status: Status::Unset,
                instrumentation_scope: InstrumentationScope::default(),
            };
            span.links.links.push(Link::with_context(context(text)));
            let Renamed::Foreign(span) = rename.apply(span) else {
                unreachable!("nobody knows it");
            };
            let contexts = [&span.span_context, &span.links.links[0].span_context];
            assert!(
                contexts
                    .iter()
                    .all(|left| left.span_id() == SpanId::from(8))
            );
            contexts.map(|left| left.trace_state().header())
        };
        let common = "dd=s:2;o:rum;t.tid:640cfd8d00000000,rojo=00f067aa0ba902b7";
        assert_eq!(left(common), [common, common]);
        for header in left(&format!("rojo=1,congo={key}")) {
            assert!(header.starts_with("rojo=1,congo=[secret:"), "{header}");
        }
    }

    #[test]
    fn names_of_attributes_leave_without_secrets() {
        let key = format!("ghp_{}", "a1B2".repeat(9));
        let exported = Content::Exported(crate::config::Placement::ON_SPAN);
        let policy = Policy::new(exported, Extent::default(), [7; 16], Rules::default());
        let rename = Rename::new(
            Arc::new(Finished::new(8)),
            Arc::new(policy),
            Naming::default(),
        );
        let mut attributes = vec![
            KeyValue::new(format!("seen.{key}"), 1),
            KeyValue::new("http.route", "/"),
        ];
        rename.clean_attributes(&mut attributes);
        let names: Vec<_> = attributes
            .iter()
            .map(|attribute| attribute.key.as_str())
            .collect();
        assert!(
            names[0].starts_with("seen.[secret:") && names[1] == "http.route",
            "{names:?}"
        );
    }

    #[test]
    fn values_come_back_as_they_went() {
        for value in [
            Value::Bool(true),
            Value::Int(-3),
            Value::Double(0.5),
            Value::from("text"),
            Value::from(vec!["stop", "length"]),
        ] {
            assert_eq!(from_otel(&to_otel(value.clone())), Some(value));
        }
        assert_eq!(
            from_otel(&opentelemetry::Value::Array(Array::I64(vec![1]))),
            None
        );
        let texts = Array::String(vec![StringValue::from("a")]);
        let expected = Some(Value::from(vec!["a"]));
        assert_eq!(from_otel(&opentelemetry::Value::Array(texts)), expected);
    }
}
