//! What changes while a span is open: what is said of it, how it went, and what it sums up.

use std::borrow::Cow;

use super::callsite::is_echo;
use super::dialect::{Folded, Heard};
use super::exchange::Exchanges;
use super::visitor::Said;
use super::wait::Waits;
use crate::record::{ErrorClass, EventRecord, SpanId, TraceId, Verdict};
use crate::semconv::{Fact, Kind};

/// Events kept per span; the SDK's own limit.
pub(super) const MAX_EVENTS: usize = 128;

/// What changes while the span is open.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "answers to questions that have nothing in common"
)]
pub(super) struct State {
    /// What the callsite or the facts say it is. `None`: nothing has said yet that the span is ours.
    pub(super) found_kind: Option<Kind>,
    /// Which of its kind it is among its siblings.
    pub(super) ordinal: i64,
    /// What the capture filter says so far.
    pub(super) is_left_out: bool,
    /// Whether children may have been stored under this span.
    pub(super) was_kept: bool,
    pub(super) said: Said,
    pub(super) events: Vec<EventRecord>,
    pub(super) links: Vec<(TraceId, SpanId)>,
    pub(super) outcome: Option<Outcome>,
    pub(super) class: Option<ErrorClass>,
    pub(super) retries: Option<SpanId>,
    pub(super) tally: Tally,
    pub(super) exchanges: Exchanges,
    /// The span is a part of the call around it, and no row of its own.
    pub(super) is_part: bool,
    /// A call began inside the span before anybody knew what that is.
    pub(super) has_inner: bool,
    /// What its parts said.
    pub(super) folded: Option<Box<Folded>>,
    /// What an event said of its failure.
    pub(super) heard: Option<Box<Heard>>,
    pub(super) waits: Waits,
    /// What is said from here on is not heard.
    pub(super) is_over: bool,
}

/// How an annotated function ended.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// It returned, and not an `Err`; a tool's result may still say that it failed.
    Returned(Option<Verdict>),
    /// It returned an `Err`.
    Failed {
        type_name: Option<Cow<'static, str>>,
        message: Option<String>,
    },
    /// It panicked.
    Panicked { message: Option<String> },
    /// Its future was dropped.
    Cancelled,
}

/// What a turn, session or agent sums up of the spans below it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) api_calls: i64,
    pub(super) tool_calls: i64,
    pub(super) turns: i64,
    pub(super) input_tokens: i64,
    pub(super) output_tokens: i64,
    pub(super) cost_usd: Option<f64>,
    /// The last model call, where it failed: the next one tries again.
    pub(super) failed_call: Option<SpanId>,
}

impl Tally {
    /// The count of spans of this kind.
    pub(super) fn count_of(&mut self, kind: Kind) -> Option<&mut i64> {
        match kind {
            Kind::Chat => Some(&mut self.api_calls),
            Kind::Tool => Some(&mut self.tool_calls),
            Kind::Turn => Some(&mut self.turns),
            _ => None,
        }
    }
}

impl State {
    /// Whether no row is kept of the span: the capture filter took it out, or it is a part of another.
    #[inline]
    pub(super) fn is_hidden(&self) -> bool {
        self.is_left_out || self.is_part
    }

    /// Whether the span sums up others.
    #[inline]
    pub(super) fn is_scope(&self) -> bool {
        matches!(
            self.found_kind,
            Some(Kind::Session | Kind::Agent | Kind::Turn)
        )
    }

    /// Whether there is anything beside notes.
    #[inline]
    pub(super) fn has_rest(&self) -> bool {
        !(self.said.extra.is_empty() && self.events.is_empty() && self.links.is_empty())
    }

    /// Whether what is said now comes too late: the span is over, or its function has returned, and
    /// what the expansion tells other layers of a failure comes back as an echo.
    #[inline]
    pub(super) fn has_settled(&self, fact: Fact) -> bool {
        self.is_over || (self.outcome.is_some() && is_echo(fact))
    }

    /// Forgets everything, so that another span can take its place.
    #[inline]
    pub(super) fn clear(&mut self) {
        // One by one: writing the whole state anew took longer than all that is done at a start.
        self.said.notes.clear();
        let has_heard = self.folded.is_some() || self.heard.is_some();
        let has_more = self.has_rest() || self.outcome.is_some() || !self.waits.is_empty();
        if has_more || has_heard || self.is_scope() {
            self.clear_more();
        }
        self.found_kind = None;
        self.ordinal = 0;
        self.is_left_out = false;
        self.is_part = false;
        self.has_inner = false;
        self.was_kept = false;
        self.class = None;
        self.retries = None;
        self.exchanges = Exchanges::default();
        self.is_over = false;
    }

    /// What most spans have nothing of, out of their way: what a span runs through has to fit the
    /// processor's cache for code.
    #[cold]
    #[inline(never)]
    fn clear_more(&mut self) {
        self.said.extra.clear();
        self.events.clear();
        self.links.clear();
        self.outcome = None;
        self.tally = Tally::default();
        self.waits.clear();
        self.folded = None;
        self.heard = None;
    }

    pub(super) fn put_event(&mut self, event: EventRecord) {
        if self.events.len() < MAX_EVENTS && !self.is_over {
            self.events.push(event);
        }
    }
}
