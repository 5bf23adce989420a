//! An event on its way out: what was read of it where it happened, and whether policy has cleaned it.

use std::borrow::Cow;
use std::mem::size_of;
use std::time::SystemTime;

use tracing::Level;

use crate::record::{SpanId, TraceId, Value};

/// An event that is to leave.
#[derive(Debug)]
pub(crate) struct LogLine {
    pub(crate) time: SystemTime,
    pub(crate) level: Level,
    pub(crate) target: Cow<'static, str>,
    /// The name that its author gave it.
    pub(crate) name: Option<&'static str>,
    /// The span that it belongs to.
    pub(crate) ids: Option<(TraceId, SpanId)>,
    /// Whether that span is exported.
    pub(crate) is_sampled: bool,
    pub(crate) message: Option<String>,
    /// Each name stands once.
    pub(crate) fields: Vec<(Cow<'static, str>, Value)>,
    /// Whether policy has been applied, as it has to what comes from a span's record.
    pub(crate) is_clean: bool,
}

impl LogLine {
    /// About what it takes of memory.
    pub(super) fn bytes(&self) -> usize {
        let texts = |value: &Value| match value {
            Value::Text(text) => text.len(),
            Value::Texts(texts) => texts.iter().map(String::len).sum(),
            Value::Bool(_) | Value::Int(_) | Value::Double(_) => 0,
        };
        let fields = self.fields.iter();
        let fields: usize = fields.map(|(_, value)| 40 + texts(value)).sum();
        size_of::<Self>()
            + self.target.len()
            + self.message.as_ref().map_or(0, String::len)
            + fields
    }
}
