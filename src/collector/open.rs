//! The spans of one stream that are open, and how each event changes them.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::time::SystemTime;

use serde_json::Value;
use tracing::Span;

use super::event::{Phase, Told};
use crate::record::{EndReason, SpanId, TraceId};
use crate::semconv::Kind;
use crate::span::{self, OwnedSpan, Start, kind};

/// How much of a streamed answer is put together.
const MAX_SAID: usize = 64 * 1024;
/// How many spans that are over are remembered, for what is told of them late.
const REMEMBERED: usize = 1_024;

type Ids = (TraceId, SpanId);

/// A span that is open.
struct Running {
    kind: Kind,
    id: String,
    session: Option<String>,
    span: OwnedSpan,
    /// The parts of its answer.
    said: String,
    /// The latest end stated inside of it.
    latest: Option<SystemTime>,
}

/// All of them, by the order in which they began.
pub(super) struct Open {
    around: Span,
    limit: usize,
    running: BTreeMap<u64, Running>,
    places: HashMap<(Kind, String), Vec<u64>>,
    sessions: HashMap<Option<String>, Vec<u64>>,
    over: VecDeque<(Kind, String, Option<String>, Option<Ids>)>,
    begun: u64,
}

impl Open {
    pub(super) fn new(around: Span, max_open: usize) -> Self {
        Open {
            around,
            limit: max_open.max(1),
            running: BTreeMap::new(),
            places: HashMap::new(),
            sessions: HashMap::new(),
            over: VecDeque::new(),
            begun: 0,
        }
    }

    /// Takes note of an event; gives the ids of its span.
    pub(super) fn see(&mut self, told: &Told<'_>) -> Option<Ids> {
        let known = self.find(told);
        if known.is_none() && told.phase != Phase::Start {
            let late = self.over.iter().rev().find(|(kind, id, session, _)| {
                *kind == told.kind
                    && *id == told.id
                    && (told.session.is_none() || session.as_deref() == told.session.as_deref())
            });
            if let Some((.., ids)) = late {
                return *ids;
            }
        }
        let number = known.unwrap_or_else(|| self.begin(told));
        let running = self.running.get_mut(&number)?;
        let ids = running.span.trace_id().zip(running.span.span_id());
        match told.phase {
            Phase::Start => {}
            Phase::Delta => running.hear(told),
            Phase::End | Phase::Error | Phase::Cancel => self.end(number, told),
        }
        ids
    }

    /// Fails all that is open, the innermost first.
    pub(super) fn fail_all(&mut self, failure: &str) {
        for running in self.take_all() {
            if running.kind == Kind::Session {
                running.span.end_reason(EndReason::Failed);
            }
            running.span.fail(failure);
        }
    }

    /// Gives up all that is open, the innermost first.
    pub(super) fn give_up_all(&mut self) {
        for running in self.take_all() {
            running.give_up();
        }
    }

    fn take_all(&mut self) -> Vec<Running> {
        self.places.clear();
        self.sessions.clear();
        let running = std::mem::take(&mut self.running);
        running.into_values().rev().collect()
    }

    fn find(&self, told: &Told<'_>) -> Option<u64> {
        let places = self
            .places
            .get(&(told.kind, told.id.clone().into_owned()))?;
        let session = match told.kind {
            Kind::Session => None,
            _ => told.session.as_deref(),
        };
        let mut places = places.iter().rev().copied();
        places.find(|number| {
            session.is_none()
                || self
                    .running
                    .get(number)
                    .is_some_and(|running| running.session.as_deref() == session)
        })
    }

    /// The session that an event is about.
    fn session_of(&self, told: &Told<'_>) -> Option<String> {
        if told.kind == Kind::Session {
            return Some(told.id.clone().into_owned());
        }
        if let Some(session) = &told.session {
            return Some(session.clone().into_owned());
        }
        let mut last_first = self.running.values().rev();
        let parent = told.parent.as_ref().and_then(|parent| {
            let parent = last_first.find(|running| running.id == *parent);
            parent.map(|parent| parent.session.clone())
        });
        parent.unwrap_or_else(|| {
            let mut last_first = self.running.values().rev();
            let session = last_first.find(|running| running.kind == Kind::Session);
            session.map(|session| session.id.clone())
        })
    }

    /// What a new span stands in: what it names, else the innermost span that others stand in.
    #[expect(clippy::ref_option, reason = "it is the key of a map")]
    fn parent_of(&self, told: &Told<'_>, session: &Option<String>) -> Option<u64> {
        let of_session = self.sessions.get(session).into_iter().flatten().rev();
        if let Some(parent) = &told.parent {
            let named = |number: &&u64| {
                self.running
                    .get(number)
                    .is_some_and(|one| one.id == *parent)
            };
            let mut inside = of_session.clone();
            let everywhere = || {
                let mut last_first = self.running.iter().rev();
                last_first
                    .find(|(_, one)| one.id == *parent)
                    .map(|(number, _)| *number)
            };
            if let Some(parent) = inside.find(named).copied().or_else(everywhere) {
                return Some(parent);
            }
        }
        if told.kind == Kind::Session {
            return None;
        }
        let holds = |kind: Kind| match told.kind {
            Kind::Turn => matches!(kind, Kind::Session | Kind::Agent),
            Kind::Approval => matches!(kind, Kind::Session | Kind::Agent | Kind::Turn | Kind::Tool),
            _ => matches!(kind, Kind::Session | Kind::Agent | Kind::Turn | Kind::Step),
        };
        let mut of_session = of_session.copied();
        of_session.find(|number| self.running.get(number).is_some_and(|one| holds(one.kind)))
    }

    fn begin(&mut self, told: &Told<'_>) -> u64 {
        let session = self.session_of(told);
        if let (Some(id), true) = (&session, told.kind != Kind::Session)
            && !self.places.contains_key(&(Kind::Session, id.clone()))
        {
            // Nobody told of its beginning.
            let mut begins = Told::new(Kind::Session, Phase::Start, id.clone());
            begins.at = told.at;
            self.begin(&begins);
        }
        let parent = self.parent_of(told, &session);
        let parent = parent.and_then(|number| self.running.get(&number));
        let span = start(told, parent.map(|parent| &parent.span), &self.around);
        self.begun += 1;
        let number = self.begun;
        let id = told.id.clone().into_owned();
        self.places
            .entry((told.kind, id.clone()))
            .or_default()
            .push(number);
        self.sessions
            .entry(session.clone())
            .or_default()
            .push(number);
        let running = Running {
            kind: told.kind,
            id,
            session,
            span,
            said: String::new(),
            latest: None,
        };
        self.running.insert(number, running);
        if self.running.len() > self.limit {
            let oldest = self
                .running
                .iter()
                .find(|(_, one)| one.kind != Kind::Session);
            let oldest = oldest
                .or(self.running.iter().next())
                .map(|(number, _)| *number);
            if let Some(oldest) = oldest.and_then(|oldest| self.take(oldest)) {
                oldest.give_up();
            }
        }
        number
    }

    fn end(&mut self, number: u64, told: &Told<'_>) {
        let Some(running) = self.take(number) else {
            return;
        };
        let inside = match running.kind {
            Kind::Session => self.sessions.remove(&running.session).unwrap_or_default(),
            _ => Vec::new(),
        };
        for inner in inside.into_iter().rev() {
            if let Some(inner) = self.take(inner) {
                inner.give_up();
            }
        }
        if let (Some(at), Some(around)) = (told.at, self.sessions.get(&running.session)) {
            // What is around ends no earlier, by its own word or not.
            for number in around {
                if *number < self.begun
                    && let Some(one) = self.running.get_mut(number)
                    && matches!(one.kind, Kind::Session | Kind::Agent | Kind::Turn)
                {
                    one.latest = one.latest.max(Some(at));
                }
            }
        }
        running.end(told);
    }

    fn take(&mut self, number: u64) -> Option<Running> {
        let running = self.running.remove(&number)?;
        let key = (running.kind, running.id.clone());
        if let Some(places) = self.places.get_mut(&key) {
            places.retain(|place| *place != number);
            if places.is_empty() {
                self.places.remove(&key);
            }
        }
        if let Some(places) = self.sessions.get_mut(&running.session) {
            places.retain(|place| *place != number);
            if places.is_empty() {
                self.sessions.remove(&running.session);
            }
        }
        let ids = running.span.trace_id().zip(running.span.span_id());
        let (kind, id) = key;
        self.over
            .push_back((kind, id, running.session.clone(), ids));
        if self.over.len() > REMEMBERED {
            self.over.pop_front();
        }
        Some(running)
    }
}

impl Running {
    fn hear(&mut self, told: &Told<'_>) {
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

    fn end(self, told: &Told<'_>) {
        self.state(told);
        let output = match &told.content {
            Some(content) => text(content),
            None => self.said,
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
                if self.kind == Kind::Session {
                    self.span.end_reason(EndReason::Failed);
                }
                let of_type = told.error_type.as_deref().unwrap_or_default();
                self.span
                    .fail((of_type, told.error_message.as_deref().unwrap_or_default()));
            }
            _ => self.span.end(),
        }
    }

    fn give_up(self) {
        if !self.said.is_empty() {
            self.span.output(&self.said);
        }
        // A session that is dropped is interrupted, anything else cancelled.
        drop(self.span);
    }
}

/// Starts the span of an event.
fn start(told: &Told<'_>, parent: Option<&OwnedSpan>, around: &Span) -> OwnedSpan {
    let name = told.name.as_deref().unwrap_or_default();
    macro_rules! begin {
        ($method:ident($($argument:expr)?)) => {
            match parent {
                Some(parent) => parent.$method($($argument)?),
                None => span::$method($($argument)?).parent_of(around),
            }
        };
    }
    let content = told.content.as_deref();
    let provider = told.provider.as_deref();
    match told.kind {
        Kind::Session => {
            let session = span::session(told.id.as_ref()).parent_of(around);
            let session = with(session, told.name.as_deref(), |session, model| {
                session.model(model)
            });
            with(session, told.platform.as_deref(), |session, at| {
                session.platform(at)
            })
            .begin(told)
        }
        Kind::Agent => with(begin!(agent(name)), content, Start::<kind::Agent>::goal).begin(told),
        Kind::Turn => {
            let turn = with(begin!(turn()), told.name.as_deref(), |turn, model| {
                turn.model(model)
            });
            with(turn, content, Start::<kind::Turn>::user_message).begin(told)
        }
        Kind::Chat => {
            let chat = with(begin!(chat(name)), provider, |chat, provider| {
                chat.provider(provider)
            });
            let request = content.map(|content| match content {
                Value::Array(_) => serde_json::json!({ "messages": content }),
                other => other.clone(),
            });
            with(chat, request, Start::<kind::Chat>::request).begin(told)
        }
        Kind::Tool => {
            let tool = begin!(tool(name)).call_id(told.id.as_ref());
            with(tool, content, Start::<kind::Tool>::args).begin(told)
        }
        Kind::Embedding => with(begin!(embedding(name)), provider, |one, provider| {
            one.provider(provider)
        })
        .begin(told),
        Kind::Retriever => with(
            begin!(retriever(name)),
            content,
            Start::<kind::Retriever>::query,
        )
        .begin(told),
        Kind::Reranker => with(
            begin!(reranker(name)),
            content,
            Start::<kind::Reranker>::query,
        )
        .begin(told),
        Kind::Approval => with(
            begin!(approval(name)),
            content,
            Start::<kind::Approval>::request,
        )
        .begin(told),
        Kind::Step => begin!(step(name)).begin(told),
    }
}

/// States a fact if there is one.
fn with<S, T>(start: S, fact: Option<T>, state: impl FnOnce(S, T) -> S) -> S {
    match fact {
        Some(fact) => state(start, fact),
        None => start,
    }
}

trait Begin {
    fn parent_of(self, around: &Span) -> Self;
    fn begin(self, told: &Told<'_>) -> OwnedSpan;
}

impl<K: span::kind::SpanKind> Begin for Start<'_, K> {
    /// The span around the stream; where there is none, none is looked for either.
    fn parent_of(self, around: &Span) -> Self {
        if around.is_none() {
            self
        } else {
            self.parent(around)
        }
    }

    fn begin(self, told: &Told<'_>) -> OwnedSpan {
        with(self, told.at, Start::start_at).start()
    }
}

/// A text as it is, anything else as JSON.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.give_up_all();
        }
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open")
            .field("running", &self.running.len())
            .finish_non_exhaustive()
    }
}
