//! Anthropic's messages: a list of content blocks, streamed block by block.

use serde_json::Value;

use super::assembled::Assembled;
use super::slot::CallPiece;
use super::whole::{Choice, Said};
use crate::span::shape;

/// What a message says.
pub(super) fn choice(body: &Value) -> Choice<'_> {
    let content = body.get("content");
    let is_content = content.is_some_and(|content| content.is_array() || content.is_string());
    Choice {
        finish_reason: shape::text(body, "stop_reason"),
        said: if is_content {
            Said::Message(body)
        } else {
            Said::Nothing
        },
    }
}

/// Takes one event of a stream; whether it was one.
pub(super) fn fold(event: &Value, kind: &str, answer: &mut Assembled) -> bool {
    let at = event.get("index").and_then(shape::whole).unwrap_or(0);
    match kind {
        "message_start" => {
            if let Some(message) = event.get("message") {
                fold_message(message, answer);
            }
        }
        "content_block_start" => {
            if let Some(block) = event.get("content_block") {
                shape::blocks(Some(block), &mut |part| answer.put(0, (at, 0), part));
            }
        }
        "content_block_delta" => {
            let said = |key: &str| shape::text(event, key);
            if let Some(text) = said("delta.text") {
                answer.say(0, (at, 0), text);
            } else if let Some(thought) = said("delta.thinking") {
                answer.think(0, (at, 0), thought);
            } else if let Some(arguments) = shape::at(event, "delta.partial_json") {
                let piece = CallPiece {
                    arguments: Some(arguments),
                    ..CallPiece::default()
                };
                answer.call(0, (at, 0), piece);
            }
        }
        "message_delta" => {
            answer.set_usage(event);
            answer.finish(0, shape::text(event, "delta.stop_reason"));
        }
        "message_stop" => answer.is_complete = true,
        "content_block_stop" => {}
        _ => return false,
    }
    true
}

/// Takes a message, as it begins or whole.
pub(super) fn fold_message(message: &Value, answer: &mut Assembled) {
    answer.set_head(message);
    answer.set_usage(message);
    answer.choice(0);
    answer.append(0, message);
    answer.finish(0, shape::text(message, "stop_reason"));
}
