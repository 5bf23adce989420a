//! One span that is open: what its events say of it, and how it ends.

use std::time::SystemTime;

use serde_json::Value;

use super::event::{Phase, Told};
use crate::record::{EndReason, SpanId, TraceId};
use crate::semconv::Kind;
use crate::span::OwnedSpan;

/// How much of a streamed answer is put together.
const MAX_SAID: usize = 64 * 1024;

pub(super) type Ids = (TraceId, SpanId);

/// A span that is open.
pub(super) struct Running {
    pub(super) kind: Kind,
    pub(super) id: String,
    pub(super) session: Option<String>,
    /// What it stands in.
    pub(super) parent: Option<u64>,
    pub(super) span: OwnedSpan,
    /// The parts of its answer.
    said: String,
    /// The latest end stated inside of it.
    pub(super) latest: Option<SystemTime>,
}

impl Running {
    pub(super) fn new(
        told: &Told<'_>,
        session: Option<String>,
        parent: Option<u64>,
        span: OwnedSpan,
    ) -> Self {
        Running {
            kind: told.kind,
            id: told.id.clone().into_owned(),
            session,
            parent,
            span,
            said: String::new(),
            latest: None,
        }
    }

    pub(super) fn ids(&self) -> Option<Ids> {
        self.span.trace_id().zip(self.span.span_id())
    }

    pub(super) fn hear(&mut self, told: &Told<'_>) {
        if self.kind.has_model() {
            self.span.first_chunk();
        }
        if let Some(part) = &told.content {
            let part = text(part);
            let room = MAX_SAID.saturating_sub(self.said.len());
            let is_whole = |end: &usize| part.is_char_boundary(*end);
            let end = (0..=room.min(part.len())).rev().find(is_whole);
            self.said.push_str(&part[..end.unwrap_or(0)]);
        }
        self.state(told);
    }

    fn state(&self, told: &Told<'_>) {
        if let Some(usage) = told.usage {
            self.span.usage(usage);
        }
        if let Some(reason) = &told.finish_reason {
            self.span.finish_reason(reason.as_ref());
        }
        if let Some(model) = &told.response_model {
            self.span.response_model(model.as_ref());
        }
    }

    pub(super) fn end(mut self, told: &Told<'_>) {
        self.state(told);
        let output = match &told.content {
            Some(content) => text(content),
            None => std::mem::take(&mut self.said),
        };
        if !output.is_empty() {
            self.span.output(output);
        }
        let now = SystemTime::now();
        match (told.at, self.latest) {
            (Some(at), latest) => {
                self.span.end_at(latest.map_or(at, |latest| latest.max(at)));
            }
            (None, Some(latest)) if latest > now => {
                self.span.end_at(latest);
            }
            (None, _) => {}
        }
        match told.phase {
            Phase::Cancel if self.kind == Kind::Session => {
                self.span.end_reason(EndReason::Interrupted).end();
            }
            Phase::Cancel => self.span.cancel(),
            Phase::Error => {
                let of_type = told.error_type.as_deref().unwrap_or_default();
                let message = told.error_message.as_deref().unwrap_or_default();
                self.fail(|span| span.fail((of_type, message)));
            }
            _ => self.span.end(),
        }
    }

    /// Ends it with what happened to the whole stream.
    pub(super) fn fail(self, fail: impl FnOnce(&OwnedSpan)) {
        if self.kind == Kind::Session {
            self.span.end_reason(EndReason::Failed);
        }
        fail(&self.span);
    }

    pub(super) fn give_up(self) {
        if !self.said.is_empty() {
            self.span.output(&self.said);
        }
        // A session that is dropped is interrupted, anything else cancelled.
        drop(self.span);
    }
}

/// A text as it is, anything else as JSON.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
