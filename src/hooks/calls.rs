//! The calls that are open, by their ids, and those that ended last, so that what is told twice counts once.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::held::{Ending, Held, How};

/// How many ended calls are remembered: what is told of one of them again is not heard.
const REMEMBERED: usize = 4_096;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Role {
    Request,
    Tool,
    Approval,
}

/// Which call a hook speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) role: Role,
    pub(super) id: String,
    /// Whether the id is the call's own: without one, a call is known by what it is.
    pub(super) is_own: bool,
}

/// A call that runs.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) held: Arc<Held>,
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
    /// Nobody told of its start.
    Alone,
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
        key: Key,
        session: Option<String>,
        place: Option<Arc<Held>>,
        held: Arc<Held>,
        mark: u64,
        tries: i64,
    ) {
        self.heard += 1;
        self.count += 1;
        let seen = (self.heard, Instant::now());
        let open = Open {
            held,
            session,
            place,
            mark,
            tries,
            seen,
        };
        self.open.entry(key).or_default().push(open);
    }

    /// The call that is over.
    pub(super) fn finishing(
        &mut self,
        key: &Key,
        session: Option<&str>,
        mark: u64,
        has_failed: bool,
    ) -> Finishing {
        if let Some(open) = self.take(key, session) {
            let session = open.session.clone();
            self.remember(
                key,
                session,
                Some(open.mark),
                Some(mark),
                has_failed,
                open.tries,
            );
            return Finishing::Open(open);
        }
        if key.is_own {
            let done = self.done.get_mut(key).into_iter().flatten();
            let mut of_session = done.filter(|done| is_same(done.session.as_deref(), session));
            let told = of_session.find(|done| done.end.is_none_or(|end| end == mark));
            if let Some(told) = told {
                told.end = Some(mark);
                return Finishing::Known;
            }
        }
        self.remember(
            key,
            session.map(str::to_owned),
            None,
            Some(mark),
            has_failed,
            0,
        );
        Finishing::Alone
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

    fn take(&mut self, key: &Key, session: Option<&str>) -> Option<Open> {
        let open = self.open.get_mut(key)?;
        let exact = open
            .iter()
            .position(|open| open.session.as_deref() == session);
        let place = exact.or_else(|| {
            open.iter()
                .position(|open| is_same(open.session.as_deref(), session))
        })?;
        let taken = open.remove(place);
        if open.is_empty() {
            self.open.remove(key);
        }
        self.count -= 1;
        Some(taken)
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
            if key.is_own {
                self.remember(&key, open.session, Some(open.mark), None, true, open.tries);
            }
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

    fn remember(
        &mut self,
        key: &Key,
        session: Option<String>,
        start: Option<u64>,
        end: Option<u64>,
        has_failed: bool,
        tries: i64,
    ) {
        if !key.is_own {
            return;
        }
        self.heard += 1;
        let done = Done {
            session,
            start,
            end,
            has_failed,
            tries,
            number: self.heard,
        };
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
