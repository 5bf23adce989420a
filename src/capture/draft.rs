//! A span that is over, as it waits for the writer: a copy of what was noted of it, in one piece.
//!
//! The object of an open span is used again at once, while the agent's core has it at hand. Drafts
//! travel to the writer's core and back, and are only ever written to here, one line of memory after
//! the other: that waits for nothing, where reading them would.

use std::borrow::Cow;
use std::mem;
use std::sync::{Arc, OnceLock, Weak};

use super::callsite::Shape;
use super::dialect::Hindsight;
use super::notes::NotesRef;
use super::open::{Ids, OpenSpan};
use super::pool::Sheets;
use super::state::{Outcome, State, Tally};
use crate::record::{ErrorClass, EventRecord, RunRecord, SpanId, SpanRecord, TraceId, Value};
use crate::semconv::Kind;
use crate::sink::Ended;

/// Notes that lie in the draft itself; longer ones get memory of their own. An annotated model call
/// takes some 250 bytes.
const INLINE_NOTES: usize = 320;

/// A span that is over, or one that runs, as it is at a moment.
///
/// Laid out by hand: what every span writes comes first and lies together. A draft has been to another
/// core since it was last used, and each of its lines that is touched is one to wait for.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Draft {
    pub(super) ids: Ids,
    pub(super) run: RunRecord,
    pub(super) shape: &'static Shape,
    pub(super) start_ns: i64,
    /// `None`: it runs.
    pub(super) end: Option<End>,
    pub(super) ordinal: i64,
    pub(super) retries: Option<SpanId>,
    pub(super) parent: Option<Arc<OpenSpan>>,
    noted: usize,
    /// What its texts take, at hand: to look for it at the far end of the draft was to wait for one line
    /// of memory more.
    bytes: usize,
    pub(super) class: Option<ErrorClass>,
    pub(super) kind: Kind,
    is_announced: bool,
    notes: [u8; INLINE_NOTES],
    /// What may be learned of the call's end after it.
    pub(super) hindsight: Option<Box<Hindsight>>,
    /// What few spans have.
    pub(super) rest: Option<Box<Rest>>,
    pub(super) outcome: Option<Outcome>,
    pub(super) tally: Tally,
    /// The record, where two readers want it: the writer and the exporter.
    record: Option<OnceLock<Arc<SpanRecord>>>,
    /// Where it goes back to from whichever of two readers is the last.
    home: Weak<Sheets>,
}

/// How a span left the program.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) at_ns: i64,
    /// The parent on OTLP, where it is not the nearest stored ancestor.
    pub(super) wire_parent: Option<SpanId>,
    /// The capture filter took it out after children may have been stored under it.
    pub(super) is_withdrawn: bool,
}

/// What few spans have: fields that no table knows, events, links, long notes.
#[derive(Clone, Debug, Default)]
pub(super) struct Rest {
    pub(super) notes: Vec<u8>,
    pub(super) extra: Vec<(Cow<'static, str>, Value)>,
    pub(super) events: Vec<EventRecord>,
    pub(super) links: Vec<(TraceId, SpanId)>,
    /// The parent in another process.
    pub(super) remote: Option<SpanId>,
}

/// A draft in the queue: the writer's own, or one that the exporter reads as well.
#[derive(Debug)]
pub(crate) enum Waiting {
    Own(Box<Draft>),
    Shared(Arc<Draft>),
}

impl Draft {
    /// A draft of nothing, to be filled.
    #[cold]
    pub(super) fn blank(open: &OpenSpan) -> Self {
        let origin = &open.origin;
        Draft::blank_with(origin.shape, origin.own_ids, origin.run.clone())
    }

    /// Tells the processor which lines of memory a span's end is going to write. Only told, it goes on:
    /// to read or to write them early is to wait for them, at the next lock if not before.
    #[inline]
    pub(super) fn send_for(&self) {
        #[cfg(target_arch = "x86_64")]
        {
            use safe_arch::prefetch_t0;
            prefetch_t0(&self.ids);
            prefetch_t0(&self.start_ns);
            prefetch_t0(&self.noted);
            // As far as an annotated model call gets.
            prefetch_t0(&self.notes[64]);
            prefetch_t0(&self.notes[128]);
            prefetch_t0(&self.notes[192]);
        }
    }

    /// One more, as blank.
    pub(super) fn another(&self) -> Self {
        Draft::blank_with(self.shape, self.ids, self.run.clone())
    }

    fn blank_with(shape: &'static Shape, ids: Ids, run: RunRecord) -> Self {
        Draft {
            kind: Kind::Step,
            shape,
            ids,
            run,
            start_ns: 0,
            end: None,
            ordinal: 0,
            retries: None,
            class: None,
            tally: Tally::default(),
            is_announced: false,
            parent: None,
            outcome: None,
            hindsight: None,
            rest: None,
            record: None,
            home: Weak::new(),
            noted: 0,
            bytes: 0,
            notes: [0; INLINE_NOTES],
        }
    }

    /// Takes the parent of a span that is its own last holder. The draft is a blank one: to look whether
    /// there is a parent to be dropped would be to wait for the memory.
    #[inline]
    pub(super) fn take_parent(&mut self, parent: Option<Arc<OpenSpan>>) {
        let none = mem::replace(&mut self.parent, parent);
        debug_assert!(none.is_none(), "a spare draft is blank");
        mem::forget(none);
    }

    /// Takes down how a span ended. What children may still ask its object for stays there.
    #[inline]
    pub(super) fn take_end(&mut self, state: &mut State, kind: Kind, end: End) {
        self.end = Some(end);
        self.take_state(state, kind);
    }

    #[inline]
    fn take_state(&mut self, state: &mut State, kind: Kind) {
        self.copy(state, kind);
        if state.outcome.is_some() || state.has_rest() {
            self.take_more(state);
        }
    }

    #[inline(never)]
    fn take_more(&mut self, state: &mut State) {
        if let Some(outcome) = state.outcome.take() {
            // A call inside may want to know why.
            if !matches!(outcome, Outcome::Returned(_)) {
                state.outcome = Some(outcome.clone());
            }
            self.outcome = Some(outcome);
        }
        if state.has_rest() {
            let rest = self.rest.get_or_insert_default();
            rest.extra = std::mem::take(&mut state.said.extra);
            rest.events = std::mem::take(&mut state.events);
            rest.links = std::mem::take(&mut state.links);
            self.bytes += rest.bytes();
        }
    }

    /// How a running span stands.
    pub(super) fn of_running(open: &OpenSpan, state: &State, kind: Kind) -> Self {
        let mut draft = Draft::blank(open);
        draft.take_origin(open);
        draft.parent.clone_from(&open.origin.parent);
        draft.copy(state, kind);
        draft
            .rest
            .get_or_insert_default()
            .extra
            .clone_from(&state.said.extra);
        draft
    }

    /// Takes down what is known of a span outside of its lock, save for its parent.
    #[inline]
    pub(super) fn take_origin(&mut self, open: &OpenSpan) {
        self.shape = open.origin.shape;
        self.ids = open.known_ids();
        self.run.clone_from(&open.origin.run);
        self.start_ns = open.origin.start_ns;
        self.is_announced = open.is_announced();
        if let Some(remote) = &open.origin.remote {
            self.rest().remote = remote.span_id();
        }
    }

    #[inline]
    fn copy(&mut self, state: &State, kind: Kind) {
        self.kind = kind;
        self.ordinal = state.ordinal;
        self.retries = state.retries;
        self.class = state.class;
        if state.is_scope() {
            self.tally = state.tally;
        }
        let notes = state.said.notes.bytes();
        self.noted = notes.len();
        self.bytes = notes.len();
        if let Some(inline) = self.notes.get_mut(..notes.len()) {
            inline.copy_from_slice(notes);
        } else {
            self.rest().notes = notes.to_vec();
        }
    }

    #[cold]
    #[inline(never)]
    fn rest(&mut self) -> &mut Rest {
        self.rest.get_or_insert_default()
    }

    /// Forgets the span, and gives back its parent.
    pub(super) fn clear(&mut self) -> Option<Arc<OpenSpan>> {
        if self.outcome.is_some() {
            self.outcome = None;
        }
        if self.rest.is_some() {
            self.rest = None;
        }
        if self.hindsight.is_some() {
            self.hindsight = None;
        }
        self.parent.take()
    }

    pub(super) fn notes(&self) -> NotesRef<'_> {
        let inline = self.notes.get(..self.noted);
        let long = || self.rest.as_ref().map_or(&[][..], |rest| &rest.notes);
        NotesRef::of(inline.unwrap_or_else(long))
    }

    /// A sheet for drafts that have two readers.
    #[cold]
    pub(super) fn sheet(&self, home: Weak<Sheets>) -> Arc<Self> {
        let mut sheet = self.another();
        sheet.home = home;
        Arc::new(sheet)
    }

    /// Puts another draft on this sheet for two readers, and leaves that one blank.
    #[inline]
    pub(super) fn take_over(&mut self, draft: &mut Draft) {
        mem::swap(self, draft);
        mem::swap(&mut self.home, &mut draft.home);
        self.record = Some(OnceLock::new());
    }

    /// Puts a sheet that nobody else reads any more where it is used again; gives back the parent.
    pub(super) fn put_back(mut self: Arc<Self>) -> Option<Arc<OpenSpan>> {
        let draft = Arc::get_mut(&mut self)?;
        let parent = draft.clear();
        draft.record = None;
        if let Some(home) = draft.home.upgrade() {
            let _ = home.push(self);
        }
        parent
    }
}

impl Ended for Draft {
    fn record(&self) -> Arc<SpanRecord> {
        match &self.record {
            Some(record) => Arc::clone(record.get_or_init(|| Arc::new(self.to_record()))),
            None => Arc::new(self.to_record()),
        }
    }

    fn release(self: Arc<Self>) {
        drop(self.put_back());
    }

    #[inline]
    fn is_missed(&self) -> bool {
        self.is_announced || self.run.is_root
    }

    #[inline]
    fn span_id(&self) -> SpanId {
        self.ids.span_id
    }

    fn is_withdrawn(&self) -> bool {
        self.end.is_some_and(|end| end.is_withdrawn)
    }

    fn is_settled(&self) -> bool {
        self.hindsight.is_none() || Hindsight::is_over(&self.ancestors())
    }

    #[inline]
    fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Rest {
    fn bytes(&self) -> usize {
        let texts = self.extra.iter().filter_map(|(_, value)| value.as_str());
        texts.map(str::len).sum()
    }
}

impl Waiting {
    #[inline]
    fn draft(&self) -> &Draft {
        match self {
            Waiting::Own(draft) => draft,
            Waiting::Shared(draft) => draft,
        }
    }
}

impl Ended for Waiting {
    fn record(&self) -> Arc<SpanRecord> {
        self.draft().record()
    }

    #[inline]
    fn is_missed(&self) -> bool {
        self.draft().is_missed()
    }

    #[inline]
    fn span_id(&self) -> SpanId {
        self.draft().ids.span_id
    }

    fn is_withdrawn(&self) -> bool {
        self.draft().is_withdrawn()
    }

    #[inline]
    fn is_settled(&self) -> bool {
        self.draft().is_settled()
    }

    #[inline]
    fn bytes(&self) -> usize {
        self.draft().bytes()
    }
}
