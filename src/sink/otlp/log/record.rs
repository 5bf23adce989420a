//! From events to log records, under policy.

use std::borrow::Cow;
use std::sync::Arc;

use opentelemetry::logs::{AnyValue, LogRecord, Logger as _, LoggerProvider as _, Severity};
use opentelemetry::{Key, SpanId, TraceFlags, TraceId};
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger, SdkLoggerProvider};
use tracing::Level;

use super::line::LogLine;
use crate::policy::Policy;
use crate::record::Value;
use crate::semconv::{Fact, Sensitivity};

/// Makes log records.
#[derive(Debug)]
pub(super) struct Records {
    policy: Arc<Policy>,
    /// The SDK gives out empty records by way of a logger alone.
    logger: SdkLogger,
}

impl Records {
    pub(super) fn new(policy: Arc<Policy>) -> Self {
        Records {
            policy,
            logger: SdkLoggerProvider::builder().build().logger("hermes"),
        }
    }

    /// The event as it leaves.
    pub(super) fn of(&self, line: LogLine) -> SdkLogRecord {
        let mut record = self.logger.create_log_record();
        record.set_timestamp(line.time);
        record.set_observed_timestamp(line.time);
        let severity = severity(line.level);
        record.set_severity_number(severity);
        record.set_severity_text(severity.name());
        // One that the `log` crate brought was put together at run time.
        record.set_target(match line.target {
            Cow::Borrowed(target) => Cow::Borrowed(target),
            Cow::Owned(target) => Cow::Owned(self.policy.label(&target)),
        });
        if let Some(name) = line.name {
            record.set_event_name(name);
        }
        if let Some((trace_id, span_id)) = line.ids {
            let flags = if line.is_sampled {
                TraceFlags::SAMPLED
            } else {
                TraceFlags::NOT_SAMPLED
            };
            record.set_trace_context(
                TraceId::from_bytes(trace_id.to_bytes()),
                SpanId::from_bytes(span_id.to_bytes()),
                Some(flags),
            );
        }
        if let Some(message) = &line.message {
            record.set_body(AnyValue::from(self.policy.logged_message(message)));
        }
        for (name, value) in line.fields {
            let value = if line.is_clean {
                Some(value)
            } else {
                self.policy.logged_value(&name, value)
            };
            if let Some(value) = value {
                let value = attribute(&name, value);
                record.add_attribute(name, value);
            }
        }
        record
    }
}

fn severity(level: Level) -> Severity {
    match level {
        Level::ERROR => Severity::Error,
        Level::WARN => Severity::Warn,
        Level::INFO => Severity::Info,
        Level::DEBUG => Severity::Debug,
        Level::TRACE => Severity::Trace,
    }
}

/// Messages and the like travel through `tracing` as JSON text; on log records the conventions want them
/// structured.
fn attribute(name: &str, value: Value) -> AnyValue {
    let is_content =
        Fact::named(name).is_some_and(|fact| fact.sensitivity() == Sensitivity::Content);
    if is_content
        && let Value::Text(text) = &value
        && text.trim_start().starts_with(['{', '['])
        && let Ok(json) = serde_json::from_str(text)
    {
        return structured(json);
    }
    match value {
        Value::Bool(truth) => AnyValue::Boolean(truth),
        Value::Int(int) => AnyValue::Int(int),
        Value::Double(double) => AnyValue::Double(double),
        Value::Text(text) => AnyValue::String(text.into()),
        Value::Texts(texts) => texts.into_iter().collect(),
    }
}

fn structured(json: serde_json::Value) -> AnyValue {
    use serde_json::Value as Json;

    match json {
        // A log record has no word for it.
        Json::Null => AnyValue::String("".into()),
        Json::Bool(truth) => AnyValue::Boolean(truth),
        Json::Number(number) => match number.as_i64() {
            Some(int) => AnyValue::Int(int),
            None => AnyValue::Double(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => AnyValue::from(text),
        Json::Array(items) => items.into_iter().map(structured).collect(),
        Json::Object(members) => {
            let members = members.into_iter();
            let known = members.filter(|(_, member)| !member.is_null());
            known
                .map(|(key, member)| (Key::from(key), structured(member)))
                .collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use opentelemetry::logs::{AnyValue, Severity};
    use tracing::Level;

    use super::{LogLine, Records, severity};
    use crate::config::{Content, Placement};
    use crate::policy::{Extent, Policy, Rules};
    use crate::record::{SpanId, TraceId, Value};

    #[test]
    fn levels_are_severities() {
        let numbers = [
            Level::TRACE,
            Level::DEBUG,
            Level::INFO,
            Level::WARN,
            Level::ERROR,
        ]
        .map(|level| severity(level) as u8);
        assert_eq!(numbers, [1, 5, 9, 13, 17]);
        assert_eq!(severity(Level::WARN).name(), "WARN");
    }

    #[test]
    fn a_record_says_what_its_event_said_and_messages_are_structured() {
        let policy = Policy::new(
            Content::Exported(Placement::ON_SPAN),
            Extent::default(),
            [7; 16],
            Rules::default(),
        );
        let messages = r#"[{"role":"user","parts":[{"type":"text","content":"hi","n":null}]}]"#;
        let record = Records::new(policy.into()).of(LogLine {
            time: UNIX_EPOCH,
            level: Level::INFO,
            target: "agent".into(),
            name: Some("named"),
            ids: TraceId::from_bytes([1; 16]).zip(SpanId::from_bytes([2; 8])),
            is_sampled: true,
            message: Some("done".to_owned()),
            fields: vec![
                ("gen_ai.input.messages".into(), Value::from(messages)),
                ("count".into(), Value::from(3)),
            ],
            is_clean: false,
        });
        assert_eq!(record.event_name(), Some("named"));
        assert_eq!(record.severity_number(), Some(Severity::Info));
        assert_eq!(record.body(), Some(&AnyValue::from("done")));
        let context = record.trace_context().unwrap();
        assert!(context.trace_flags.unwrap().is_sampled());
        let attributes: Vec<_> = record.attributes_iter().collect();
        let AnyValue::ListAny(list) = &attributes[0].1 else {
            panic!("{attributes:?}");
        };
        let AnyValue::Map(message) = &list[0] else {
            panic!("{list:?}");
        };
        assert_eq!(
            message[&opentelemetry::Key::from("role")],
            AnyValue::from("user")
        );
        assert_eq!(attributes[1].1, AnyValue::Int(3));
    }
}
