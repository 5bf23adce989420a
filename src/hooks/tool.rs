//! Tool calls: by the id that the model gave them, so that two calls of one tool stay apart.

use std::sync::Arc;
use std::time::SystemTime;

use super::book::{Place, Whose};
use super::call::{Call, End};
use super::calls::{Role, Which, mark};
use super::held::{Held, How};
use super::{Do, Hooks, MILLISECOND, ToolCall, ToolResult, as_text, duration, spoken, whose};
use crate::record::ResultClass;
use crate::span::{self, OwnedSpan};

pub(super) fn which(id: &Option<String>, tool: &Option<String>) -> Which {
    Which {
        role: Role::Tool,
        id: spoken(id).map(str::to_owned),
        what: spoken(tool).unwrap_or_default().to_owned(),
    }
}

impl Do<ToolCall> for Hooks {
    fn do_call(&self, told: ToolCall) {
        let call = Call {
            which: which(&told.tool_call_id, &told.tool_name),
            whose: whose!(told, request: api_request_id),
            inside: None,
            began: told.started_at,
            said: mark((
                &told.tool_name,
                &told.turn_id,
                &told.api_request_id,
                told.started_at,
                told.args.as_ref().map(as_text),
            )),
        };
        let starts = told.clone();
        self.begin(call, |place, _| start(starts, place));
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
        let call = Call {
            which: which(&told.tool_call_id, &told.tool_name),
            whose: whose!(told, request: api_request_id),
            inside: None,
            began: told.started_at,
            said: mark((
                &told.tool_name,
                &told.turn_id,
                &told.api_request_id,
                told.started_at,
                told.ended_at,
                told.duration_ms.map(f64::to_bits),
                told.result.as_ref().map(as_text),
                &told.status,
            )),
        };
        let end = End {
            at: told.ended_at,
            took: duration(told.duration_ms, MILLISECOND),
            has_failed: false,
        };
        let alone = |place: &Place, began, _| {
            let call = ToolCall {
                tool_name: told.tool_name.clone(),
                tool_call_id: told.tool_call_id.clone(),
                args: told.args.clone(),
                started_at: Some(began),
                ..ToolCall::default()
            };
            start(call, place)
        };
        self.end(&call, end, alone, |span| state_result(span, &told));
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
