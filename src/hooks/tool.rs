//! Tool calls: by the id that the model gave them, so that two calls of one tool stay apart.

use std::sync::Arc;
use std::time::SystemTime;

use super::book::{Birth, Place, Whose};
use super::calls::{Finishing, Key, Role, Starting, mark};
use super::held::{Ending, Held, How, carry_out};
use super::{Do, Hooks, MILLISECOND, ToolCall, ToolResult, as_text, duration, spoken, whose};
use crate::record::ResultClass;
use crate::span::{self, OwnedSpan};

/// What a call is known by: its id, else its tool, the call that began first being the first to end.
pub(super) fn key(id: &Option<String>, tool: &Option<String>) -> Key {
    let (id, is_own) = match spoken(id) {
        Some(id) => (id.to_owned(), true),
        None => (spoken(tool).unwrap_or_default().to_owned(), false),
    };
    Key {
        role: Role::Tool,
        id,
        is_own,
    }
}

impl Do<ToolCall> for Hooks {
    fn do_call(&self, told: ToolCall) {
        let key = key(&told.tool_call_id, &told.tool_name);
        let whose = Whose {
            request: spoken(&told.api_request_id),
            ..whose!(told)
        };
        let said = mark((
            &told.tool_name,
            &told.turn_id,
            &told.api_request_id,
            told.started_at,
            told.args.as_ref().map(as_text),
        ));
        let begun = self.book(|book| {
            let mut endings = Vec::new();
            let session = book.session_of(&whose);
            let starting = book
                .calls
                .starting(&key, session.as_deref(), said, &mut endings);
            if matches!(starting, Starting::Known) {
                return None;
            }
            let place = book.place(&whose, birth(told.started_at));
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

pub(super) fn birth(began: Option<SystemTime>) -> Birth {
    Birth {
        began: began.filter(|began| *began < SystemTime::now()),
        ..Birth::default()
    }
}

fn start(told: ToolCall, place: &Place) -> Arc<Held> {
    let (began, now) = (told.started_at, SystemTime::now());
    Held::new(place.parent.clone(), began, move |parent| {
        let name = told.tool_name.unwrap_or_default();
        let mut tool = match parent {
            Some(parent) => parent.tool(name),
            None => span::tool(name),
        };
        tool = tool.start_at(began.unwrap_or(now));
        if let Some(id) = told.tool_call_id {
            tool = tool.call_id(id);
        }
        if let Some(args) = told.args {
            tool = tool.args(args);
        }
        tool.start()
    })
}

impl Do<ToolResult> for Hooks {
    fn do_call(&self, told: ToolResult) {
        let key = key(&told.tool_call_id, &told.tool_name);
        let whose = Whose {
            request: spoken(&told.api_request_id),
            ..whose!(told)
        };
        let said = mark((
            &told.tool_name,
            &told.turn_id,
            &told.api_request_id,
            told.started_at,
            told.ended_at,
            told.duration_ms.map(f64::to_bits),
            told.result.as_ref().map(as_text),
            &told.status,
        ));
        let took = duration(told.duration_ms, MILLISECOND);
        let held = self.book(|book| {
            let session = book.session_of(&whose);
            match book.calls.finishing(&key, session.as_deref(), said, false) {
                Finishing::Known => None,
                Finishing::Open(open) => Some(open.held),
                Finishing::Alone => {
                    let now = told.ended_at.unwrap_or_else(SystemTime::now);
                    let before = took.and_then(|took| now.checked_sub(took));
                    let began = told.started_at.or(before).unwrap_or(now);
                    let place = book.place(&whose, birth(Some(began)));
                    let alone = ToolCall {
                        tool_name: told.tool_name.clone(),
                        tool_call_id: told.tool_call_id.clone(),
                        args: told.args.clone(),
                        started_at: Some(began),
                        ..ToolCall::default()
                    };
                    Some(start(alone, &place))
                }
            }
        });
        let Some(held) = held else { return };
        let how = state_result(held.span(), &told);
        let at = held.end(told.started_at, told.ended_at, took);
        held.tell_end(at.unwrap_or_else(SystemTime::now));
        Ending { held, how, at }.carry_out();
    }
}

/// States what a tool gave, and how it went: a host calls a tool `ok` that did not raise, so what the result says
/// counts as well.
fn state_result(span: &OwnedSpan, told: &ToolResult) -> How {
    if let Some(result) = &told.result {
        span.output(as_text(result));
    }
    let status = spoken(&told.status).map(str::to_ascii_lowercase);
    let says_error = spoken(&told.error_type).is_some() || spoken(&told.error_message).is_some();
    let class = match status.as_deref() {
        Some("cancelled" | "canceled" | "interrupted") => return How::GivenUp,
        Some("blocked" | "denied" | "rejected") => Some(ResultClass::Blocked),
        Some("timeout" | "timed_out") => Some(ResultClass::Timeout),
        Some("error" | "failed" | "failure") => Some(ResultClass::Error),
        _ if says_error => Some(ResultClass::Error),
        _ => None,
    };
    let Some(class) = class else {
        return How::Done;
    };
    span.result_class(class);
    if !says_error {
        return How::Done;
    }
    How::Failed {
        type_name: spoken(&told.error_type).unwrap_or_default().to_owned(),
        message: spoken(&told.error_message).unwrap_or_default().to_owned(),
    }
}
