//! Waits for somebody's leave: in the tool that waits, and no work of its.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::book::{Place, Whose};
use super::call::{Call, End};
use super::calls::{Key, Role, Which, mark};
use super::held::{Held, How};
use super::{
    ApprovalRequest, ApprovalResponse, Do, Hooks, MILLISECOND, as_text, duration, spoken, tool,
    whose,
};
use crate::span;

/// What a wait is known by: the tool call that waits, else what leave is asked for.
fn which(call: &Option<String>, pattern: &Option<String>, command: &Option<Value>) -> Which {
    let pattern = spoken(pattern).unwrap_or_default();
    let command = command.as_ref().map(as_text).unwrap_or_default();
    Which {
        role: Role::Approval,
        id: spoken(call).map(str::to_owned),
        what: format!("{pattern} {command}"),
    }
}

/// The tool call that waits.
fn waiting(call: &Option<String>) -> Option<Key> {
    spoken(call).map(|_| tool::which(call, &None).key())
}

impl Do<ApprovalRequest> for Hooks {
    fn do_call(&self, told: ApprovalRequest) {
        let call = Call {
            which: which(&told.tool_call_id, &told.pattern_key, &told.command),
            whose: whose!(told, key: session_key),
            inside: waiting(&told.tool_call_id),
            began: told.started_at,
            said: mark((
                &told.pattern_key,
                &told.surface,
                told.started_at,
                told.command.as_ref().map(as_text),
            )),
        };
        let starts = told.clone();
        self.begin(call, |place, _| start(starts, place));
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
        let call = Call {
            which: which(&told.tool_call_id, &told.pattern_key, &told.command),
            whose: whose!(told, key: session_key),
            inside: waiting(&told.tool_call_id),
            began: told.started_at,
            said: mark((&told.choice, told.started_at, told.ended_at)),
        };
        let end = End {
            at: told.ended_at,
            took: duration(told.duration_ms, MILLISECOND),
            has_failed: false,
        };
        let alone = |place: &Place, began, _| {
            let wait = ApprovalRequest {
                pattern_key: told.pattern_key.clone(),
                surface: told.surface.clone(),
                command: told.command.clone(),
                description: told.description.clone(),
                started_at: Some(began),
                ..ApprovalRequest::default()
            };
            start(wait, place)
        };
        self.end(&call, end, alone, |span| {
            if let Some(choice) = spoken(&told.choice) {
                span.decision(choice);
            }
            How::Done
        });
    }
}
