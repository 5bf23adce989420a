//! Waits for somebody's leave: in the tool that waits, and no work of its.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::json;

use super::book::{Place, Whose};
use super::calls::{Finishing, Key, Role, Starting, mark};
use super::held::{Ending, Held, How, carry_out};
use super::{
    ApprovalRequest, ApprovalResponse, Book, Do, Hooks, MILLISECOND, as_text, duration, spoken,
    tool, whose,
};
use crate::span;

/// What a wait is known by: the tool call that waits, else what leave is asked for.
fn key(
    call: &Option<String>,
    pattern: &Option<String>,
    command: Option<&serde_json::Value>,
) -> Key {
    let command = || command.map(as_text).unwrap_or_default();
    let asked = || format!("{} {}", spoken(pattern).unwrap_or_default(), command());
    let own = spoken(call).map(str::to_owned);
    let is_own = own.is_some();
    let id = own.unwrap_or_else(asked);
    Key {
        role: Role::Approval,
        id,
        is_own,
    }
}

impl Book {
    /// The session that an approval is about: its key is the host's name for a conversation, and may be no
    /// session's id.
    fn about<'a>(&self, mut whose: Whose<'a>, session_key: &'a Option<String>) -> Whose<'a> {
        let known = spoken(session_key).filter(|key| self.sessions.contains_key(*key));
        whose.session = whose.session.or(known);
        whose
    }

    /// The tool that waits, else the turn.
    fn waiting(
        &mut self,
        whose: &Whose<'_>,
        call: &Option<String>,
        began: Option<SystemTime>,
    ) -> Place {
        let call_key = spoken(call).map(|_| tool::key(call, &None));
        let session = self.session_of(whose);
        let tool = call_key.and_then(|key| self.calls.find(&key, session.as_deref()));
        if let Some(tool) = tool {
            return Place {
                session: tool.session.clone(),
                parent: Some(Arc::clone(&tool.held)),
            };
        }
        if session.is_none() && whose.session.is_none() {
            return Place::default();
        }
        self.place(whose, tool::birth(began))
    }
}

impl Do<ApprovalRequest> for Hooks {
    fn do_call(&self, told: ApprovalRequest) {
        let key = key(&told.tool_call_id, &told.pattern_key, told.command.as_ref());
        let said = mark((
            &told.pattern_key,
            &told.surface,
            told.started_at,
            told.command.as_ref().map(as_text),
        ));
        let begun = self.book(|book| {
            let whose = book.about(whose!(told), &told.session_key);
            let mut endings = Vec::new();
            let session = book.session_of(&whose);
            let starting = book
                .calls
                .starting(&key, session.as_deref(), said, &mut endings);
            if matches!(starting, Starting::Known) {
                return None;
            }
            let place = book.waiting(&whose, &told.tool_call_id, told.started_at);
            let held = start(told.clone(), &place);
            book.calls
                .open(key, place.session, place.parent, held.clone(), said, 0);
            Some((held, endings))
        });
        if let Some((held, endings)) = begun {
            carry_out(endings);
            held.span();
        }
    }
}

fn start(told: ApprovalRequest, place: &Place) -> Arc<Held> {
    let (began, now) = (told.started_at, SystemTime::now());
    Held::new(place.parent.clone(), began, move |parent| {
        let subject = told.pattern_key.unwrap_or_default();
        let mut wait = match parent {
            Some(parent) => parent.approval(subject),
            None => span::approval(subject),
        };
        wait = wait.start_at(began.unwrap_or(now));
        if let Some(surface) = told.surface {
            wait = wait.surface(surface);
        }
        match (told.command, told.description) {
            (Some(command), Some(why)) => {
                wait = wait.request(json!({ "command": command, "description": why }));
            }
            (Some(asked), None) | (None, Some(asked)) => wait = wait.request(asked),
            (None, None) => {}
        }
        wait.start()
    })
}

impl Do<ApprovalResponse> for Hooks {
    fn do_call(&self, told: ApprovalResponse) {
        let key = key(&told.tool_call_id, &told.pattern_key, told.command.as_ref());
        let said = mark((&told.choice, told.started_at, told.ended_at));
        let took = duration(told.duration_ms, MILLISECOND);
        let held = self.book(|book| {
            let whose = book.about(whose!(told), &told.session_key);
            let session = book.session_of(&whose);
            match book.calls.finishing(&key, session.as_deref(), said, false) {
                Finishing::Known => None,
                Finishing::Open(open) => Some(open.held),
                Finishing::Alone => {
                    let now = told.ended_at.unwrap_or_else(SystemTime::now);
                    let before = took.and_then(|took| now.checked_sub(took));
                    let began = told.started_at.or(before).unwrap_or(now);
                    let place = book.waiting(&whose, &told.tool_call_id, Some(began));
                    let alone = ApprovalRequest {
                        pattern_key: told.pattern_key.clone(),
                        surface: told.surface.clone(),
                        command: told.command.clone(),
                        description: told.description.clone(),
                        started_at: Some(began),
                        ..ApprovalRequest::default()
                    };
                    Some(start(alone, &place))
                }
            }
        });
        let Some(held) = held else { return };
        let span = held.span();
        if let Some(choice) = spoken(&told.choice) {
            span.decision(choice);
        }
        let at = held.end(told.started_at, told.ended_at, took);
        held.tell_end(at.unwrap_or_else(SystemTime::now));
        let how = How::Done;
        Ending { held, how, at }.carry_out();
    }
}
