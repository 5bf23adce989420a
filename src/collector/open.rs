//! The spans of one stream that are open: which of them an event is about, and where a new one stands.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;

use tracing::Span;

use super::event::{Phase, Told};
use super::running::{Ids, Running};
use super::start::start;
use crate::semconv::Kind;
use crate::span::{OwnedSpan, quietly};

/// How many spans that are over are remembered, for what is told of them late.
const REMEMBERED: usize = 1_024;

/// All that are open, by the order in which they began.
pub(super) struct Open {
    around: Span,
    limit: usize,
    running: BTreeMap<u64, Running>,
    /// By their ids, of whichever kind.
    named: HashMap<String, Vec<u64>>,
    members: HashMap<Option<String>, Members>,
    sessions: BTreeSet<u64>,
    over: VecDeque<Over>,
    begun: u64,
}

/// The spans of one session, itself among them.
#[derive(Default)]
struct Members {
    all: BTreeSet<u64>,
    /// Those that others stand in though nobody says so: few, where calls may be many.
    around: BTreeSet<u64>,
}

/// A span that has ended.
struct Over {
    kind: Kind,
    id: String,
    session: Option<String>,
    ids: Option<Ids>,
}

impl Open {
    pub(super) fn new(around: Span, max_open: usize) -> Self {
        Open {
            around,
            limit: max_open.max(1),
            running: BTreeMap::new(),
            named: HashMap::new(),
            members: HashMap::new(),
            sessions: BTreeSet::new(),
            over: VecDeque::new(),
            begun: 0,
        }
    }

    /// Takes note of an event; gives the ids of its span.
    pub(super) fn see(&mut self, told: &Told<'_>) -> Option<Ids> {
        let known = self.find(told);
        if known.is_none() && told.phase != Phase::Start {
            let late = self.over.iter().rev().find(|over| {
                over.kind == told.kind
                    && over.id == told.id
                    && (told.session.is_none()
                        || over.session.as_deref() == told.session.as_deref())
            });
            if let Some(late) = late {
                return late.ids;
            }
        }
        let number = known.unwrap_or_else(|| self.begin(told));
        let running = self.running.get_mut(&number)?;
        let ids = running.ids();
        match told.phase {
            Phase::Start => {}
            Phase::Delta => running.hear(told),
            Phase::End | Phase::Error | Phase::Cancel => self.end(number, told),
        }
        ids
    }

    /// Fails all that is open, the innermost first.
    pub(super) fn fail_all(&mut self, fail: impl Fn(&OwnedSpan)) {
        for running in self.take_all() {
            running.fail(&fail);
        }
    }

    /// Gives up all that is open, the innermost first.
    pub(super) fn give_up_all(&mut self) {
        for running in self.take_all() {
            running.give_up();
        }
    }

    fn take_all(&mut self) -> Vec<Running> {
        self.named.clear();
        self.members.clear();
        self.sessions.clear();
        let running = std::mem::take(&mut self.running);
        running.into_values().rev().collect()
    }

    /// The spans of this id, of whichever kind, the last one first.
    fn named(&self, id: &str) -> impl Iterator<Item = (u64, &Running)> {
        let numbers = self.named.get(id).into_iter().flatten().rev();
        numbers.filter_map(|number| Some((*number, self.running.get(number)?)))
    }

    fn find(&self, told: &Told<'_>) -> Option<u64> {
        let session = match told.kind {
            Kind::Session => None,
            _ => told.session.as_deref(),
        };
        let is_it = |one: &Running| {
            one.kind == told.kind && (session.is_none() || one.session.as_deref() == session)
        };
        let found = self.named(&told.id).find(|(_, one)| is_it(one));
        found.map(|(number, _)| number)
    }

    /// The session that an event is about.
    fn session_of(&self, told: &Told<'_>) -> Option<String> {
        if told.kind == Kind::Session {
            return Some(told.id.clone().into_owned());
        }
        if let Some(session) = &told.session {
            return Some(session.clone().into_owned());
        }
        let parent = told.parent.as_ref().and_then(|id| self.named(id).next());
        if let Some((_, parent)) = parent {
            return parent.session.clone();
        }
        let last = self.sessions.last()?;
        self.running.get(last).map(|session| session.id.clone())
    }

    /// What a new span stands in: what it names, else the innermost span that others stand in.
    #[expect(clippy::ref_option, reason = "it is the key of a map")]
    fn parent_of(&self, told: &Told<'_>, session: &Option<String>) -> Option<u64> {
        if let Some(parent) = &told.parent {
            let mut of_session = self
                .named(parent)
                .filter(|(_, one)| one.session == *session);
            if let Some((number, _)) = of_session.next().or_else(|| self.named(parent).next()) {
                return Some(number);
            }
        }
        if told.kind == Kind::Session {
            return None;
        }
        let members = self.members.get(session)?;
        let candidates = match told.kind {
            Kind::Approval => &members.all,
            _ => &members.around,
        };
        let holds = |kind: Kind| match told.kind {
            Kind::Turn => matches!(kind, Kind::Session | Kind::Agent),
            Kind::Approval => matches!(kind, Kind::Session | Kind::Agent | Kind::Turn | Kind::Tool),
            _ => true,
        };
        let mut last_first = candidates.iter().rev().copied();
        last_first.find(|number| self.running.get(number).is_some_and(|one| holds(one.kind)))
    }

    fn begin(&mut self, told: &Told<'_>) -> u64 {
        let session = self.session_of(told);
        if let (Some(id), true) = (&session, told.kind != Kind::Session)
            && !self.named(id).any(|(_, one)| one.kind == Kind::Session)
        {
            // Nobody told of its beginning.
            let mut begins = Told::new(Kind::Session, Phase::Start, id.clone());
            begins.at = told.at;
            self.begin(&begins);
        }
        let parent = self.parent_of(told, &session);
        let around = parent.and_then(|number| self.running.get(&number));
        let span = start(told, around.map(|parent| &parent.span), &self.around);
        self.begun += 1;
        let number = self.begun;
        let running = Running::new(told, session, parent, span);
        self.named
            .entry(running.id.clone())
            .or_default()
            .push(number);
        let members = self.members.entry(running.session.clone()).or_default();
        members.all.insert(number);
        if matches!(
            told.kind,
            Kind::Session | Kind::Agent | Kind::Turn | Kind::Step
        ) {
            members.around.insert(number);
        }
        if told.kind == Kind::Session {
            self.sessions.insert(number);
        }
        self.running.insert(number, running);
        self.make_room();
        number
    }

    /// Gives up the oldest span where there are too many, a session last.
    fn make_room(&mut self) {
        if self.running.len() <= self.limit {
            return;
        }
        let mut oldest_first = self.running.keys();
        let oldest = oldest_first.find(|number| !self.sessions.contains(number));
        let oldest = oldest.or(self.running.keys().next()).copied();
        if let Some(oldest) = oldest.and_then(|oldest| self.take(oldest)) {
            oldest.give_up();
        }
    }

    fn end(&mut self, number: u64, told: &Told<'_>) {
        let Some(running) = self.take(number) else {
            return;
        };
        if running.kind == Kind::Session {
            let inside = self.members.remove(&running.session).unwrap_or_default();
            for inner in inside.all.into_iter().rev() {
                if let Some(inner) = self.take(inner) {
                    inner.give_up();
                }
            }
        }
        let mut around = running.parent;
        while let Some(at) = told.at
            && let Some(one) = around.and_then(|number| self.running.get_mut(&number))
        {
            // It ends no earlier, by its own word or not.
            one.latest = one.latest.max(Some(at));
            around = one.parent;
        }
        running.end(told);
    }

    fn take(&mut self, number: u64) -> Option<Running> {
        let running = self.running.remove(&number)?;
        if let Some(named) = self.named.get_mut(&running.id) {
            named.retain(|one| *one != number);
            if named.is_empty() {
                self.named.remove(&running.id);
            }
        }
        if let Some(members) = self.members.get_mut(&running.session) {
            members.all.remove(&number);
            members.around.remove(&number);
            if members.all.is_empty() {
                self.members.remove(&running.session);
            }
        }
        self.sessions.remove(&number);
        self.over.push_back(Over {
            kind: running.kind,
            id: running.id.clone(),
            session: running.session.clone(),
            ids: running.ids(),
        });
        if self.over.len() > REMEMBERED {
            self.over.pop_front();
        }
        Some(running)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // It may be a panic that drops this: another one, of some layer's, would end the process.
        let _ = quietly(|| self.give_up_all());
    }
}

impl fmt::Debug for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Open")
            .field("running", &self.running.len())
            .finish_non_exhaustive()
    }
}
