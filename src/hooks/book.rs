//! Which sessions are open, and under which of them a call belongs.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::calls::Calls;
use super::held::{Ending, Held, How};
use super::turns::Session;
use crate::record::EndReason;
use crate::span;

/// By how many names (tasks, turns) a session is found.
const MAX_NAMES: usize = 64;
/// What stands before the name of a model call.
const CALL: &str = "call";
/// How many sessions that are over are remembered, for what is told of them late.
const MAX_PAST: usize = 64;

/// Whom a hook speaks of, as far as it says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Whose<'a> {
    pub(super) session: Option<&'a str>,
    pub(super) task: Option<&'a str>,
    pub(super) turn: Option<&'a str>,
    /// The model call that a tool was asked for by.
    pub(super) request: Option<&'a str>,
    /// The host's name for a conversation, which may be no session's id.
    pub(super) key: Option<&'a str>,
}

/// Where a call belongs.
#[derive(Debug, Default)]
pub(super) struct Place {
    pub(super) session: Option<String>,
    pub(super) parent: Option<Arc<Held>>,
}

#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) calls: Calls,
    pub(super) sessions: HashMap<String, Session>,
    /// Tasks, turns and model calls, and the sessions they are part of.
    names: HashMap<String, String>,
    past: VecDeque<(String, Arc<Held>)>,
    heard: u64,
    swept: Option<Instant>,
}

/// What is known of a session when it is first heard of.
#[derive(Debug, Default)]
pub(super) struct Birth {
    pub(super) model: Option<String>,
    pub(super) platform: Option<String>,
    pub(super) began: Option<SystemTime>,
}

impl Whose<'_> {
    fn names(&self) -> impl Iterator<Item = String> {
        let names = [
            ("task", self.task),
            ("turn", self.turn),
            (CALL, self.request),
        ];
        names
            .into_iter()
            .filter_map(|(what, name)| Some(format!("{what} {}", name?)))
    }
}

impl Book {
    /// The session that a hook speaks of: by its id, else by what it is known by besides, else the only
    /// one there is.
    pub(super) fn session_of(&self, whose: &Whose<'_>) -> Option<String> {
        if let Some(id) = whose.session {
            return Some(id.to_owned());
        }
        let known = whose
            .names()
            .find_map(|name| self.names.get(&name).cloned());
        let nameless = || self.sessions.contains_key("").then(String::new);
        let task = || {
            let task = whose.task?;
            self.sessions.contains_key(task).then(|| task.to_owned())
        };
        let only = || match self.sessions.len() {
            1 => self.sessions.keys().next().cloned(),
            _ => None,
        };
        known.or_else(task).or_else(nameless).or_else(only)
    }

    /// Whom a hook speaks of, if what it says is the id of a session.
    pub(super) fn sure<'a>(&self, mut whose: Whose<'a>) -> Whose<'a> {
        let known = whose.key.filter(|key| self.sessions.contains_key(*key));
        whose.session = whose.session.or(known);
        whose
    }

    /// Where a call belongs: sessions and turns of which nobody told begin with it.
    pub(super) fn place(&mut self, whose: &Whose<'_>, birth: Birth) -> Place {
        let Some(id) = self.session_of(whose) else {
            return Place::default();
        };
        if !self.sessions.contains_key(&id)
            && let Some((_, past)) = self.past.iter().rev().find(|(past, _)| *past == id)
        {
            return Place {
                parent: Some(Arc::clone(past)),
                session: Some(id),
            };
        }
        let began = birth.began;
        let session = self.session(&id, whose, birth);
        Place {
            parent: Some(session.place(whose.turn, began)),
            session: Some(id),
        }
    }

    /// The session of this id, which begins now if it is not open.
    pub(super) fn session(&mut self, id: &str, whose: &Whose<'_>, birth: Birth) -> &mut Session {
        self.heard += 1;
        let seen = (self.heard, Instant::now());
        let session = self.sessions.entry(id.to_owned()).or_insert_with(|| {
            let id = id.to_owned();
            Session::new(Held::new(None, birth.began, move |_| {
                let mut session = span::session(id);
                if let Some(model) = birth.model {
                    session = session.model(model);
                }
                if let Some(platform) = birth.platform {
                    session = session.platform(platform);
                }
                if let Some(began) = birth.began {
                    session = session.start_at(began);
                }
                session.start()
            }))
        });
        session.seen = seen;
        for name in whose.names() {
            let known = self.names.insert(name.clone(), id.to_owned());
            if known.as_deref() != Some(id) {
                session.names.push_back(name);
            }
            if session.names.len() > MAX_NAMES {
                // There are many calls in a task, and few tasks and turns.
                let is_call = |name: &String| name.starts_with(CALL);
                let oldest = session.names.iter().position(is_call).unwrap_or(0);
                if let Some(oldest) = session.names.remove(oldest) {
                    self.names.remove(&oldest);
                }
            }
        }
        session
    }

    /// A sub-agent's session, which is the sub-agent.
    pub(super) fn begin_agent(
        &mut self,
        id: String,
        held: Arc<Held>,
        works_for: Option<String>,
        names: &[String],
    ) {
        self.heard += 1;
        let mut session = Session::new(held);
        session.seen.0 = self.heard;
        session.works_for = works_for;
        session.is_agent = true;
        for name in names {
            self.names.insert(name.clone(), id.clone());
            session.names.push_back(name.clone());
        }
        self.sessions.insert(id, session);
    }

    /// Whether a session has ended not long ago.
    pub(super) fn is_past(&self, id: &str) -> bool {
        self.past.iter().any(|(past, _)| past == id)
    }

    pub(super) fn session_named(&self, name: &str) -> Option<&String> {
        self.names.get(name)
    }

    /// Takes a session out, with the ends of all that is open in it, innermost first. `how` is told how
    /// its last turn went.
    pub(super) fn end_session(
        &mut self,
        id: &str,
        turns: &How,
        how: impl FnOnce(&Session) -> (How, Option<SystemTime>),
    ) -> Vec<Ending> {
        let Some(mut session) = self.sessions.remove(id) else {
            return Vec::new();
        };
        let mut endings = self
            .calls
            .give_up(|_, open| open.session.as_deref() == Some(id));
        let works_for_it = |one: &Session| one.works_for.as_deref() == Some(id);
        let agents: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, one)| works_for_it(one))
            .map(|(id, _)| id.clone())
            .collect();
        for agent in agents {
            endings.extend(self.end_session(&agent, turns, end_of_agent));
        }
        endings.extend(session.end_turns(turns));
        let (how, at) = how(&session);
        endings.push(Ending {
            held: Arc::clone(&session.held),
            how,
            at,
        });
        for name in &session.names {
            if self.names.get(name).is_some_and(|known| known == id) {
                self.names.remove(name);
            }
        }
        self.past.push_back((id.to_owned(), session.held));
        if self.past.len() > MAX_PAST {
            self.past.pop_front();
        }
        endings
    }

    /// Ends what nobody has spoken of for long, and the oldest where there is too much.
    pub(super) fn sweep(&mut self, limits: &super::Limits) -> Vec<Ending> {
        let is_due = self
            .swept
            .is_none_or(|swept| swept.elapsed() > Duration::from_secs(60));
        if is_due {
            self.swept = Some(Instant::now());
        }
        let max_idle = is_due.then_some(limits.max_idle);
        let mut endings = self.calls.give_up_old(limits.max_open_calls, max_idle);
        let mut old: Vec<(u64, String)> = Vec::new();
        if self.sessions.len() > limits.max_sessions || is_due {
            let is_idle = |session: &Session| is_due && session.seen.1.elapsed() > limits.max_idle;
            old.extend(
                self.sessions
                    .iter()
                    .filter(|(_, one)| is_idle(one))
                    .map(|(id, one)| (one.seen.0, id.clone())),
            );
        }
        if self.sessions.len() > limits.max_sessions {
            let surplus = self.sessions.len() - limits.max_sessions + limits.max_sessions / 8;
            let mut all: Vec<_> = self
                .sessions
                .iter()
                .map(|(id, one)| (one.seen.0, id.clone()))
                .collect();
            all.sort_unstable();
            // The newest is the one that is spoken of now.
            all.truncate(surplus.min(all.len() - 1));
            old.extend(all);
        }
        for (_, id) in old {
            let interrupted = |session: &Session| {
                if session.is_agent {
                    end_of_agent(session)
                } else {
                    (How::Session(EndReason::Interrupted), None)
                }
            };
            endings.extend(self.end_session(&id, &How::Interrupted, interrupted));
        }
        endings
    }
}

/// How a sub-agent ends of whose end nobody told.
fn end_of_agent(session: &Session) -> (How, Option<SystemTime>) {
    match (session.finalized, &session.went) {
        (Some(at), None | Some(How::Done)) => (How::Done, Some(at)),
        _ => (How::GivenUp, None),
    }
}
