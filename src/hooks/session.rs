//! Sessions and their turns.

use std::time::SystemTime;

use super::book::{Birth, Whose};
use super::held::{Ending, How, carry_out};
use super::turns::Session;
use super::{
    Do, Hooks, LlmAnswer, LlmCall, SessionEnd, SessionFinalize, SessionStart, as_text, spoken,
    whose,
};
use crate::record::EndReason;
use crate::semconv::Fact;

impl Do<SessionStart> for Hooks {
    fn do_call(&self, told: SessionStart) {
        let whose = Whose {
            session: spoken(&told.session_id),
            task: spoken(&told.task_id),
            ..Whose::default()
        };
        let (held, is_known) = self.book(|book| {
            // A host that names none has one at a time.
            let id = book.session_of(&whose).unwrap_or_default();
            let is_known = book.sessions.contains_key(&id);
            let session = book.session(&id, &whose, birth(&told.model, &told.platform));
            (session.held.clone(), is_known)
        });
        let span = held.span();
        if !is_known {
            return;
        }
        // Something else was heard of it first, or it is told of again: what is new is said late.
        for (fact, word) in [(Fact::Model, &told.model), (Fact::Platform, &told.platform)] {
            if let Some(word) = spoken(word) {
                span.record(fact.name(), word.to_owned());
            }
        }
    }
}

impl Do<SessionEnd> for Hooks {
    fn do_call(&self, told: SessionEnd) {
        let whose = whose!(told);
        let endings = self.book(|book| {
            let id = book.session_of(&whose)?;
            let session = book.sessions.get_mut(&id)?;
            let place = session.turn_place(whose.turn)?;
            let how = how_it_went(&told, session.turns[place].answered.is_some());
            let ending = session.end_turn(place, how);
            // A model call does not outlive its turn. A tool may: its end is told of later.
            let turn = ending.held.clone();
            let mut endings = book.calls.give_up(|key, open| {
                let is_in_it = open
                    .place
                    .as_ref()
                    .is_some_and(|place| std::sync::Arc::ptr_eq(place, &turn));
                is_in_it && key.role == super::calls::Role::Request
            });
            endings.push(ending);
            Some(endings)
        });
        carry_out(endings.unwrap_or_default());
    }
}

/// How a turn went by what the host says at its end.
fn how_it_went(told: &SessionEnd, is_answered: bool) -> How {
    match (told.completed, told.interrupted) {
        (_, Some(true)) => How::Interrupted,
        (Some(false), _) => How::Failed {
            type_name: spoken(&told.reason).unwrap_or("incomplete").to_owned(),
            message: "the turn did not do what it was asked".to_owned(),
        },
        (None, None) if !is_answered => How::Interrupted,
        _ => How::Done,
    }
}

impl Do<SessionFinalize> for Hooks {
    fn do_call(&self, told: SessionFinalize) {
        let whose = Whose {
            session: spoken(&told.session_id),
            task: spoken(&told.task_id),
            ..Whose::default()
        };
        let endings = self.book(|book| {
            let id = book.session_of(&whose)?;
            let session = book.sessions.get_mut(&id)?;
            if session.is_agent {
                // How it went is told when the sub-agent stops.
                session.finalized = Some(SystemTime::now());
                return Some(session.end_turns(&How::Interrupted));
            }
            let reason = spoken(&told.reason);
            let ends = |session: &Session| {
                (
                    How::Session(end_reason(reason, session.went.as_ref())),
                    None,
                )
            };
            Some(book.end_session(&id, &How::Interrupted, ends))
        });
        carry_out(endings.unwrap_or_default());
    }
}

/// Why a session ends: by the host's word, else by how its last turn went.
fn end_reason(reason: Option<&str>, went: Option<&How>) -> EndReason {
    let word = reason.unwrap_or_default().to_ascii_lowercase();
    if let Some(reason) = EndReason::from_name(&word) {
        return reason;
    }
    let says = |words: &[&str]| words.iter().any(|known| word.contains(known));
    if says(&["expire", "timeout", "timed_out", "timed out", "idle"]) {
        return EndReason::Timeout;
    }
    if says(&["max_iter", "max_turn", "budget"]) {
        return EndReason::MaxIterations;
    }
    if says(&["interrupt", "cancel", "abort", "kill", "sigint", "sigterm"]) {
        return EndReason::Interrupted;
    }
    if says(&["error", "fail", "crash"]) {
        return EndReason::Failed;
    }
    match went {
        Some(How::Interrupted | How::GivenUp) => EndReason::Interrupted,
        Some(How::Failed { .. }) => EndReason::Failed,
        _ => EndReason::Completed,
    }
}

impl Do<LlmCall> for Hooks {
    fn do_call(&self, told: LlmCall) {
        let whose = whose!(told);
        let (held, endings, is_known) = self.book(|book| {
            let id = book.session_of(&whose).unwrap_or_default();
            let session = book.session(&id, &whose, birth(&told.model, &told.platform));
            if let Some(id) = whose.turn
                && session
                    .turn_place(Some(id))
                    .is_some_and(|place| session.turns[place].answered.is_none())
                && let Some(turn) = session.turn(Some(id))
            {
                // Told before, or something of the turn was told before it.
                return (turn.held.clone(), Vec::new(), true);
            }
            // The host answers one message at a time: the turn before is over, told or not.
            let endings = session.end_turns(&How::Interrupted);
            let (model, platform) = (told.model.clone(), told.platform.clone());
            let message = told.user_message.clone();
            let id = whose.turn.map(str::to_owned);
            let held = session.begin_turn(id, None, move |mut turn| {
                if let Some(model) = model {
                    turn = turn.model(model);
                }
                if let Some(platform) = platform {
                    turn = turn.platform(platform);
                }
                if let Some(message) = message {
                    turn = turn.user_message(message);
                }
                turn
            });
            (held, endings, false)
        });
        carry_out(endings);
        let span = held.span();
        if is_known && let Some(message) = &told.user_message {
            span.record(Fact::UserMessage.name(), as_text(message));
        }
    }
}

impl Do<LlmAnswer> for Hooks {
    fn do_call(&self, told: LlmAnswer) {
        let whose = whose!(told);
        let turn = self.book(|book| {
            let id = book.session_of(&whose)?;
            let session = book.sessions.get_mut(&id)?;
            let place = session.turn_place(whose.turn)?;
            let turn = session.turns.get_mut(place)?;
            turn.answered = Some(SystemTime::now());
            Some(turn.held.clone())
        });
        if let (Some(turn), Some(answer)) = (turn, &told.assistant_response) {
            turn.span().output(as_text(answer));
        }
    }
}

pub(super) fn birth(model: &Option<String>, platform: &Option<String>) -> Birth {
    Birth {
        model: spoken(model).map(str::to_owned),
        platform: spoken(platform).map(str::to_owned),
        began: None,
    }
}

impl super::Book {
    /// Ends everything: nobody will tell of it any more.
    pub(super) fn end_all(&mut self) -> Vec<Ending> {
        let ids: Vec<_> = self.sessions.keys().cloned().collect();
        let mut endings = self.calls.give_up(|_, _| true);
        for id in ids {
            let interrupted = |session: &Session| {
                let interrupted = How::Session(EndReason::Interrupted);
                let how = if session.is_agent {
                    How::GivenUp
                } else {
                    interrupted
                };
                (how, None)
            };
            endings.extend(self.end_session(&id, &How::Interrupted, interrupted));
        }
        endings
    }
}
