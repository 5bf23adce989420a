//! What all calls have in common: one hook tells of their start, another of their end, and each counts once.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::Hooks;
use super::book::{Birth, Book, Place, Whose};
use super::calls::{Finishing, Key, Starting, Which};
use super::held::{Ending, Held, How, carry_out};
use crate::span::OwnedSpan;

/// What a hook says of a call, whichever it is.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) which: Which,
    pub(super) whose: Whose<'a>,
    /// The tool call that it belongs to, where it does not belong to the turn.
    pub(super) inside: Option<Key>,
    pub(super) began: Option<SystemTime>,
    /// A short form of all that was said: the same again is told twice.
    pub(super) said: u64,
}

/// What a hook says of the end of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) at: Option<SystemTime>,
    pub(super) took: Option<Duration>,
    pub(super) has_failed: bool,
}

impl Hooks {
    /// A call begins, if that was not told before. `start` makes its span, knowing how often it was tried.
    pub(super) fn begin(&self, call: Call<'_>, start: impl FnOnce(&Place, i64) -> Arc<Held>) {
        let begun = self.book(|book| {
            let mut endings = Vec::new();
            let whose = book.sure(call.whose);
            let session = book.session_of(&whose);
            let session = session.as_deref();
            let key = call.which.key();
            let starting = book.calls.starting(&key, session, call.said, &mut endings);
            let Starting::New { tries } = starting else {
                return None;
            };
            let place = book.place_of(&whose, call.inside.as_ref(), call.began);
            let held = start(&place, tries);
            let began = (held.clone(), endings);
            book.calls.open(call.which, place, held, call.said, tries);
            Some(began)
        });
        if let Some((held, endings)) = begun {
            carry_out(endings);
            held.span();
        }
    }

    /// A call ends, if that was not told before. Where nobody told of its start, `start` makes its span as of
    /// then; `say` states what is known at its end, and how that is.
    pub(super) fn end(
        &self,
        call: &Call<'_>,
        end: End,
        start: impl FnOnce(&Place, SystemTime, i64) -> Arc<Held>,
        say: impl FnOnce(&OwnedSpan) -> How,
    ) {
        let held = self.book(|book| {
            let whose = book.sure(call.whose);
            let session = book.session_of(&whose);
            let session = session.as_deref();
            let finishing = book
                .calls
                .finishing(&call.which, session, call.said, end.has_failed);
            match finishing {
                Finishing::Known => None,
                Finishing::Open(open) => Some(open.held),
                Finishing::Alone { tries } => {
                    let ended = end.at.unwrap_or_else(SystemTime::now);
                    let before = end.took.and_then(|took| ended.checked_sub(took));
                    let began = call.began.or(before).unwrap_or(ended);
                    let place = book.place_of(&whose, call.inside.as_ref(), Some(began));
                    Some(start(&place, began, tries))
                }
            }
        });
        let Some(held) = held else { return };
        let how = say(held.span());
        let at = held.end(call.began, end.at, end.took);
        held.tell_end(at.unwrap_or_else(SystemTime::now));
        Ending { held, how, at }.carry_out();
    }
}

impl Book {
    /// The call that it is inside of, else the turn.
    fn place_of(
        &mut self,
        whose: &Whose<'_>,
        inside: Option<&Key>,
        began: Option<SystemTime>,
    ) -> Place {
        let session = self.session_of(whose);
        let around = inside.and_then(|key| self.calls.find(key, session.as_deref()));
        if let Some(around) = around {
            return Place {
                session: around.session.clone(),
                parent: Some(Arc::clone(&around.held)),
            };
        }
        self.place(whose, birth(began))
    }
}

/// A session that begins with a call does so no later, and not in the future.
pub(super) fn birth(began: Option<SystemTime>) -> Birth {
    Birth {
        began: began.filter(|began| *began < SystemTime::now()),
        ..Birth::default()
    }
}
