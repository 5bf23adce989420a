//! The log records that the GenAI conventions want of a model call: its details, and how it failed.
//!
//! They are made of the span's record, as the store has it, on the writer's thread.

use std::borrow::Cow;
use std::sync::Arc;

use tracing::Level;

use super::line::LogLine;
use super::queue::LogQueue;
use crate::policy::Policy;
use crate::record::{SpanRecord, Value};
use crate::semconv::{self, Kind, Naming, Profile, exception};
use crate::sink::otlp::bridge::system_time;
use crate::sink::{Outcome, Parcel, Sink, SinkError};
use crate::wire;

/// Makes them.
#[derive(Debug)]
pub(crate) struct Details {
    queue: Arc<LogQueue>,
    policy: Arc<Policy>,
    naming: Naming,
    wanted: Wanted,
}

/// Which of them somebody wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// What every call was asked and answered.
    pub(crate) details: bool,
    /// What went wrong with those that failed.
    pub(crate) failures: bool,
}

impl Details {
    /// The target of what Hermes itself says of a call.
    pub(crate) const TARGET: &'static str = "hermes";
    /// The severities that the conventions name.
    pub(crate) const DETAILS: Level = Level::DEBUG;
    pub(crate) const FAILURE: Level = Level::WARN;

    pub(super) fn new(
        queue: Arc<LogQueue>,
        policy: Arc<Policy>,
        naming: Naming,
        wanted: Wanted,
    ) -> Self {
        let profile = match naming.profile {
            Profile::Hermes | Profile::Classic => Profile::GenAi,
            said => said,
        };
        Details {
            queue,
            policy,
            naming: Naming {
                profile,
                openinference: false,
            },
            wanted,
        }
    }

    fn tell(&self, record: &SpanRecord, end_ns: i64) {
        if self.wanted.details {
            let mut fields = wire::attributes_without_content(record, self.naming);
            if self.policy.content_placement().on_event {
                let leaving = self.policy.leaving(record);
                fields.extend(wire::content_attributes(&leaving, self.naming));
            }
            self.send(
                record,
                end_ns,
                semconv::CONTENT_EVENT,
                Self::DETAILS,
                fields,
            );
        }
        if self.wanted.failures
            && let Some(failure) = &record.failure
        {
            let mut fields = wire::attributes_without_content(record, self.naming);
            let kind = Value::Text(failure.error_type.clone());
            fields.push((Cow::Borrowed(exception::TYPE), kind));
            if let Some(message) = &failure.message {
                let message = Value::from(message.as_str());
                fields.push((Cow::Borrowed(exception::MESSAGE), message));
            }
            self.send(record, end_ns, exception::OF_CALL, Self::FAILURE, fields);
        }
    }

    fn send(
        &self,
        record: &SpanRecord,
        end_ns: i64,
        name: &'static str,
        level: Level,
        fields: Vec<(Cow<'static, str>, Value)>,
    ) {
        if let Some(place) = self.queue.reserve() {
            place.fill(LogLine {
                time: system_time(end_ns),
                level,
                target: Cow::Borrowed(Self::TARGET),
                name: Some(name),
                ids: Some((record.trace_id, record.span_id)),
                is_sampled: record.is_sampled,
                message: None,
                fields,
                is_clean: true,
            });
        }
    }
}

impl Sink for Details {
    fn write(&mut self, batch: &Parcel) -> Result<Outcome, SinkError> {
        let calls = batch
            .iter()
            .filter(|record| record.kind == Kind::Chat && !record.withdrawn);
        for record in calls {
            if let Some(end_ns) = record.end_ns {
                self.tell(record, end_ns);
            }
        }
        Ok(Outcome::default())
    }
}
