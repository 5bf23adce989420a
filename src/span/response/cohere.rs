//! Cohere's chat: a message with blocks, streamed as events with hyphens in their names.

use serde_json::Value;

use super::assembled::{AFTER_TEXT, Assembled, REASONING, TEXT};
use super::slot::CallPiece;
use super::whole::{Choice, Said};
use crate::span::part::Part;
use crate::span::shape;

/// What a response says.
pub(super) fn choice(body: &Value) -> Choice<'_> {
    Choice {
        finish_reason: shape::text(body, "finish_reason"),
        said: body.get("message").map_or(Said::Nothing, Said::Message),
    }
}

/// Takes one event of a stream; whether it was one.
pub(super) fn fold(event: &Value, kind: &str, answer: &mut Assembled) -> bool {
    let at = event.get("index").and_then(shape::whole).unwrap_or(0);
    let place = (AFTER_TEXT.saturating_add(at.max(0)), 0);
    match kind {
        "message-start" => {
            answer.set_head(event);
            answer.choice(0);
        }
        "content-start" | "content-delta" => {
            let content = shape::at(event, "delta.message.content");
            if let Some(thought) = content.and_then(|content| shape::text(content, "thinking")) {
                answer.think(0, REASONING, thought);
            } else {
                shape::blocks(content, &mut |part| {
                    if let Part::Text(text) = part {
                        answer.say(0, TEXT, text);
                    }
                });
            }
        }
        "tool-plan-delta" => {
            if let Some(plan) = shape::text(event, "delta.message.tool_plan") {
                answer.think(0, REASONING, plan);
            }
        }
        "tool-call-start" | "tool-call-delta" => {
            if let Some(call) = shape::at(event, "delta.message.tool_calls") {
                let piece = CallPiece {
                    id: shape::text(call, "id"),
                    name: shape::text(call, "function.name"),
                    arguments: shape::at(call, "function.arguments"),
                };
                answer.call(0, place, piece);
            }
        }
        "message-end" => {
            if let Some(end) = event.get("delta") {
                answer.set_usage(end);
                answer.finish(0, shape::text(end, "finish_reason"));
            }
            answer.is_complete = true;
        }
        "content-end" | "tool-call-end" | "citation-start" | "citation-end" => {}
        _ => return false,
    }
    true
}

/// Takes a whole response.
pub(super) fn fold_body(body: &Value, answer: &mut Assembled) {
    answer.set_head(body);
    answer.set_usage(body);
    answer.choice(0);
    if let Some(message) = body.get("message") {
        answer.append(0, message);
    }
    answer.finish(0, shape::text(body, "finish_reason"));
    answer.is_complete = true;
}
