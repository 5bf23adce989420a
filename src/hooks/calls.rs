//! The calls that are open, by their ids, and those that ended last, so that what is told twice counts once.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::book::Place;
use super::held::{Ending, Held, How};

/// How many ended calls are remembered: what is told of one of them again is not heard.
const REMEMBERED: usize = 4_096;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Role {
    Request,
    Tool,
    Approval,
}

/// Which call a hook speaks of, as far as it says.
#[derive(Debug)]
pub(super) struct Which {
    pub(super) role: Role,
    /// Its own id.
    pub(super) id: Option<String>,
    /// What it is: the tool, what leave is asked for. Calls without an id are known by it, the one that began
    /// first being the first to end.
    pub(super) what: String,
}

/// What an open call is found by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) role: Role,
    id: String,
    /// Whether the id is the call's own.
    is_own: bool,
}

/// A call that runs.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) held: Arc<Held>,
    what: String,
    pub(super) session: Option<String>,
    /// What it stands in.
    pub(super) place: Option<Arc<Held>>,
    /// What was said of it; the same again is told twice.
    pub(super) mark: u64,
    /// How often it was tried before.
    pub(super) tries: i64,
    seen: (u64, Instant),
}

/// A call that is over.
#[derive(Debug)]
struct Done {
    session: Option<String>,
    /// What its start said; `None`: it was told of its end alone.
    start: Option<u64>,
    /// What its end said; `None`: none was told of.
    end: Option<u64>,
    has_failed: bool,
    tries: i64,
    number: u64,
}

/// What a hook that tells of a start is to do.
#[derive(Debug)]
pub(super) enum Starting {
    /// It was told before.
    Known,
    /// It is a new call, tried so often before.
    New { tries: i64 },
}

/// What a hook that tells of an end is to do.
#[derive(Debug)]
pub(super) enum Finishing {
    /// It was told before.
    Known,
    Open(Open),
    /// Nobody told of its start; it was tried so often before.
    Alone {
        tries: i64,
    },
}

#[derive(Debug, Default)]
pub(super) struct Calls {
    open: HashMap<Key, Vec<Open>>,
    count: usize,
    done: HashMap<Key, Vec<Done>>,
    order: VecDeque<(Key, u64)>,
    heard: u64,
}

/// A short form of what was said, to be compared.
pub(super) fn mark(said: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    said.hash(&mut hasher);
    hasher.finish()
}

/// Whether two hooks may speak of one session: one of them may not know it.
fn is_same(one: Option<&str>, other: Option<&str>) -> bool {
    one.is_none() || other.is_none() || one == other
}

impl Which {
    pub(super) fn key(&self) -> Key {
        Key {
            role: self.role,
            id: self.id.as_ref().unwrap_or(&self.what).clone(),
            is_own: self.id.is_some(),
        }
    }

    /// By what a hook would find it that does not know its id.
    fn key_without_id(&self) -> Key {
        Key {
            role: self.role,
            id: self.what.clone(),
            is_own: false,
        }
    }
}

impl Calls {
    /// A call is about to be made. `again` ends the one of the same id that is still open, if this is
    /// another try of it.
    pub(super) fn starting(
        &mut self,
        key: &Key,
        session: Option<&str>,
        mark: u64,
        endings: &mut Vec<Ending>,
    ) -> Starting {
        if !key.is_own {
            return Starting::New { tries: 0 };
        }
        let open = self.open.get(key).into_iter().flatten();
        let mut of_session = open.filter(|open| is_same(open.session.as_deref(), session));
        if of_session.any(|open| open.mark == mark) {
            return Starting::Known;
        }
        if key.role == Role::Request
            && let Some(before) = self.take(key, session)
        {
            let tries = before.tries + 1;
            endings.push(Ending {
                held: before.held,
                how: How::GivenUp,
                at: None,
            });
            return Starting::New { tries };
        }
        let done = self.done.get_mut(key).into_iter().flatten();
        let mut of_session = done.filter(|done| is_same(done.session.as_deref(), session));
        let Some(last) = of_session.next_back() else {
            return Starting::New { tries: 0 };
        };
        match last.start {
            None if !last.has_failed => {
                last.start = Some(mark);
                Starting::Known
            }
            _ if last.has_failed && key.role == Role::Request => Starting::New {
                tries: last.tries + 1,
            },
            // A tool's id may be used again by a model that counts them from nought for each answer.
            Some(start) if start == mark && key.role == Role::Request => Starting::Known,
            _ => Starting::New { tries: 0 },
        }
    }

    pub(super) fn open(
        &mut self,
        which: Which,
        place: Place,
        held: Arc<Held>,
        mark: u64,
        tries: i64,
    ) {
        self.heard += 1;
        self.count += 1;
        let seen = (self.heard, Instant::now());
        let key = which.key();
        let open = Open {
            held,
            what: which.what,
            session: place.session,
            place: place.parent,
            mark,
            tries,
            seen,
        };
        self.open.entry(key).or_default().push(open);
    }

    /// The call that is over.
    pub(super) fn finishing(
        &mut self,
        which: &Which,
        session: Option<&str>,
        mark: u64,
        has_failed: bool,
    ) -> Finishing {
        let key = which.key();
        let over = |start, tries| Done {
            session: session.map(str::to_owned),
            start,
            end: Some(mark),
            has_failed,
            tries,
            number: 0,
        };
        if let Some(open) = self.take(&key, session) {
            let done = Done {
                session: open.session.clone(),
                ..over(Some(open.mark), open.tries)
            };
            self.remember(&key, done);
            return Finishing::Open(open);
        }
        if !key.is_own {
            let Some((key, open)) = self.take_by_what(which, session) else {
                return Finishing::Alone { tries: 0 };
            };
            // A hook that knows the id may tell of the same end.
            let done = Done {
                end: None,
                ..over(Some(open.mark), open.tries)
            };
            self.remember(&key, done);
            return Finishing::Open(open);
        }
        let done = self.done.get_mut(&key).into_iter().flatten();
        let mut of_session = done.filter(|done| is_same(done.session.as_deref(), session));
        let mut tries = 0;
        let told = of_session.find(|done| {
            let is_tried_again = done.has_failed && key.role == Role::Request;
            tries = if is_tried_again { done.tries + 1 } else { 0 };
            done.end.is_none_or(|end| end == mark)
        });
        if let Some(told) = told {
            told.end = Some(mark);
            return Finishing::Known;
        }
        let began = self.take_exactly(&which.key_without_id(), session);
        let start = began.as_ref().map(|open| open.mark);
        self.remember(&key, over(start, tries));
        began.map_or(Finishing::Alone { tries }, Finishing::Open)
    }

    /// The call of this id that began first.
    pub(super) fn find(&self, key: &Key, session: Option<&str>) -> Option<&Open> {
        let open = self.open.get(key)?;
        let exact = open.iter().find(|open| open.session.as_deref() == session);
        exact.or_else(|| {
            open.iter()
                .find(|open| is_same(open.session.as_deref(), session))
        })
    }

    /// Takes out the call of this key: one of this session, else one of which nobody said whose it is.
    fn take(&mut self, key: &Key, session: Option<&str>) -> Option<Open> {
        self.take_exactly(key, session)
            .or_else(|| self.take_first(key, |open| is_same(open.session.as_deref(), session)))
    }

    fn take_exactly(&mut self, key: &Key, session: Option<&str>) -> Option<Open> {
        self.take_first(key, |open| open.session.as_deref() == session)
    }

    fn take_first(&mut self, key: &Key, is_it: impl Fn(&Open) -> bool) -> Option<Open> {
        let open = self.open.get_mut(key)?;
        let taken = open.remove(open.iter().position(is_it)?);
        if open.is_empty() {
            self.open.remove(key);
        }
        self.count -= 1;
        Some(taken)
    }

    /// Takes out the call of this session that is so and began first, whatever its id.
    fn take_by_what(&mut self, which: &Which, session: Option<&str>) -> Option<(Key, Open)> {
        let is_it = |open: &Open| open.what == which.what && open.session.as_deref() == session;
        let of_role = self.open.iter().filter(|(key, _)| key.role == which.role);
        let fitting = of_role.filter_map(|(key, open)| {
            let first = open.iter().find(|open| is_it(open))?;
            Some((first.seen.0, key))
        });
        let (_, key) = fitting.min_by_key(|(began, _)| *began)?;
        let key = key.clone();
        let open = self.take_first(&key, is_it)?;
        Some((key, open))
    }

    /// Gives up every open call for which this holds.
    pub(super) fn give_up(&mut self, is_over: impl Fn(&Key, &Open) -> bool) -> Vec<Ending> {
        let mut over = Vec::new();
        self.open.retain(|key, open| {
            let (gone, left) = std::mem::take(open)
                .into_iter()
                .partition::<Vec<_>, _>(|open| is_over(key, open));
            over.extend(gone.into_iter().map(|open| (key.clone(), open)));
            *open = left;
            !open.is_empty()
        });
        self.count -= over.len();
        over.sort_by_key(|(_, open)| std::cmp::Reverse(open.seen.0));
        let given_up = over.into_iter().map(|(key, open)| {
            let done = Done {
                session: open.session,
                start: Some(open.mark),
                end: None,
                has_failed: true,
                tries: open.tries,
                number: 0,
            };
            self.remember(&key, done);
            Ending {
                held: open.held,
                how: How::GivenUp,
                at: None,
            }
        });
        given_up.collect()
    }

    /// Gives up what is older than this, and the oldest where there are too many.
    pub(super) fn give_up_old(
        &mut self,
        max_open: usize,
        max_idle: Option<Duration>,
    ) -> Vec<Ending> {
        let mut endings = Vec::new();
        if let Some(max_idle) = max_idle {
            endings = self.give_up(|_, open| open.seen.1.elapsed() > max_idle);
        }
        if self.count > max_open {
            // An eighth at once: looking for the oldest takes a look at all of them.
            let mut seen: Vec<_> = self
                .open
                .values()
                .flatten()
                .map(|open| open.seen.0)
                .collect();
            let surplus = (self.count - max_open + max_open / 8).clamp(1, seen.len());
            let (_, newest_of_them, _) = seen.select_nth_unstable(surplus - 1);
            let last = *newest_of_them;
            endings.extend(self.give_up(|_, open| open.seen.0 <= last));
        }
        endings
    }

    fn remember(&mut self, key: &Key, mut done: Done) {
        if !key.is_own {
            return;
        }
        self.heard += 1;
        done.number = self.heard;
        self.done.entry(key.clone()).or_default().push(done);
        self.order.push_back((key.clone(), self.heard));
        if self.order.len() > REMEMBERED
            && let Some((key, number)) = self.order.pop_front()
            && let Some(done) = self.done.get_mut(&key)
        {
            done.retain(|done| done.number != number);
            if done.is_empty() {
                self.done.remove(&key);
            }
        }
    }
}
