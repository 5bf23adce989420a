//! One session and its turns: which of them a call belongs to, and how they end.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::held::{Ending, Held, How};
use crate::span;

/// How many turns of one session may be open at once.
const MAX_TURNS: usize = 16;

#[derive(Debug)]
pub(super) struct Turn {
    id: Option<String>,
    pub(super) held: Arc<Held>,
    /// When it had its answer.
    pub(super) answered: Option<SystemTime>,
}

#[derive(Debug)]
pub(super) struct Session {
    pub(super) held: Arc<Held>,
    /// The open turns; the last one is the current one.
    pub(super) turns: Vec<Turn>,
    /// The turn that ended last: what is told of it late still belongs to it.
    last: Option<Turn>,
    /// How that went.
    pub(super) went: Option<How>,
    /// The session that a sub-agent works for.
    pub(super) works_for: Option<String>,
    pub(super) is_agent: bool,
    /// When a sub-agent's session was finalized.
    pub(super) finalized: Option<SystemTime>,
    /// What it is found by besides its id.
    pub(super) names: VecDeque<String>,
    /// When it was heard of last.
    pub(super) seen: (u64, Instant),
}

impl Session {
    pub(super) fn new(held: Arc<Held>) -> Self {
        Session {
            held,
            turns: Vec::new(),
            last: None,
            went: None,
            works_for: None,
            is_agent: false,
            finalized: None,
            names: VecDeque::new(),
            seen: (0, Instant::now()),
        }
    }

    /// The turn of this id, else the current one.
    pub(super) fn turn(&mut self, id: Option<&str>) -> Option<&mut Turn> {
        let place = match id {
            Some(id) => self
                .turns
                .iter()
                .position(|turn| turn.id.as_deref() == Some(id)),
            None => None,
        };
        match place {
            Some(place) => self.turns.get_mut(place),
            None => self.turns.last_mut(),
        }
    }

    fn has_turn(&self, id: &str) -> bool {
        self.turns.iter().any(|turn| turn.id.as_deref() == Some(id))
    }

    /// What a call of this turn stands in.
    pub(super) fn place(&mut self, turn: Option<&str>, began: Option<SystemTime>) -> Arc<Held> {
        if let Some(id) = turn {
            let late = self
                .last
                .as_ref()
                .filter(|turn| turn.id.as_deref() == Some(id));
            if let (Some(late), false) = (late, self.has_turn(id)) {
                return Arc::clone(&late.held);
            }
            let is_known = self.has_turn(id) || self.turns.len() >= MAX_TURNS;
            match self.turns.last_mut() {
                _ if is_known => {}
                // The hook that began it did not know how it is called.
                Some(current) if current.id.is_none() => current.id = Some(id.to_owned()),
                // Nobody told of its beginning.
                _ => {
                    self.begin_turn(Some(id.to_owned()), began, |turn| turn);
                }
            }
        }
        let turn = self.turn(turn).map(|turn| Arc::clone(&turn.held));
        turn.unwrap_or_else(|| Arc::clone(&self.held))
    }

    pub(super) fn begin_turn(
        &mut self,
        id: Option<String>,
        began: Option<SystemTime>,
        say: impl for<'a> FnOnce(TurnStart<'a>) -> TurnStart<'a> + Send + 'static,
    ) -> Arc<Held> {
        let held = Held::new(Some(Arc::clone(&self.held)), began, move |session| {
            let turn = session.map_or_else(span::turn, span::OwnedSpan::turn);
            let turn = match began {
                Some(began) => turn.start_at(began),
                None => turn,
            };
            say(turn).start()
        });
        self.turns.push(Turn {
            id,
            held: Arc::clone(&held),
            answered: None,
        });
        held
    }

    /// Takes a turn out, with its end.
    pub(super) fn end_turn(&mut self, place: usize, how: How) -> Ending {
        let turn = self.turns.remove(place);
        let ending = Ending {
            held: Arc::clone(&turn.held),
            at: turn.answered.filter(|_| how == How::Done),
            how: how.clone(),
        };
        self.went = Some(how);
        self.last = Some(turn);
        ending
    }

    /// Ends the turns that nobody ended: those that have an answer are done.
    pub(super) fn end_turns(&mut self, others: &How) -> Vec<Ending> {
        let mut endings = Vec::new();
        while let Some(place) = self.turns.len().checked_sub(1) {
            let how = match self.turns[place].answered {
                Some(_) => How::Done,
                None => others.clone(),
            };
            endings.push(self.end_turn(place, how));
        }
        endings
    }

    /// Where the turn of this id is, or the current one.
    pub(super) fn turn_place(&self, id: Option<&str>) -> Option<usize> {
        let Some(id) = id else {
            return self.turns.len().checked_sub(1);
        };
        let is_it = |turn: &Turn| turn.id.as_deref() == Some(id);
        let unnamed = |turn: &Turn| turn.id.is_none();
        let place = self.turns.iter().position(is_it);
        place.or_else(|| self.turns.iter().rposition(unnamed))
    }
}

pub(super) type TurnStart<'a> = span::Start<'a, span::kind::Turn>;
