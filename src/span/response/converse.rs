//! Amazon Bedrock's Converse: Anthropic's blocks with keys instead of types; each event of a stream is an only key.

use serde_json::Value;

use super::assembled::Assembled;
use super::slot::CallPiece;
use super::whole::{Choice, Said};
use crate::span::shape;

const EVENTS: [&str; 6] = [
    "messageStart",
    "contentBlockStart",
    "contentBlockDelta",
    "contentBlockStop",
    "messageStop",
    "metadata",
];

/// What a response says.
pub(super) fn choice(body: &Value) -> Choice<'_> {
    Choice {
        finish_reason: shape::text(body, "stopReason"),
        said: shape::at(body, "output.message").map_or(Said::Nothing, Said::Message),
    }
}

/// Takes one event of a stream, `{"contentBlockDelta": {…}}`; whether it was one.
pub(super) fn fold(event: &Value, answer: &mut Assembled) -> bool {
    let Some((kind, event)) = EVENTS
        .iter()
        .find_map(|key| event.get(key).map(|event| (*key, event)))
    else {
        return false;
    };
    let at = event.get("contentBlockIndex").and_then(shape::whole);
    let at = at.unwrap_or(0);
    match kind {
        "messageStart" => {
            answer.choice(0);
        }
        "contentBlockStart" => {
            if let Some(call) = shape::at(event, "start.toolUse") {
                let piece = CallPiece {
                    id: shape::text(call, "toolUseId"),
                    name: shape::text(call, "name"),
                    arguments: None,
                };
                answer.call(0, (at, 0), piece);
            }
        }
        "contentBlockDelta" => {
            if let Some(text) = shape::text(event, "delta.text") {
                answer.say(0, (at, 0), text);
            } else if let Some(thought) = shape::text(event, "delta.reasoningContent.text") {
                answer.think(0, (at, 0), thought);
            } else if let Some(arguments) = shape::at(event, "delta.toolUse.input") {
                let piece = CallPiece {
                    arguments: Some(arguments),
                    ..CallPiece::default()
                };
                answer.call(0, (at, 0), piece);
            }
        }
        "messageStop" => answer.finish(0, shape::text(event, "stopReason")),
        "metadata" => {
            answer.set_usage(event);
            answer.is_complete = true;
        }
        _ => {}
    }
    true
}

/// Takes a whole response.
pub(super) fn fold_body(body: &Value, answer: &mut Assembled) {
    answer.set_usage(body);
    answer.choice(0);
    if let Some(message) = shape::at(body, "output.message") {
        answer.append(0, message);
    }
    answer.finish(0, shape::text(body, "stopReason"));
    answer.is_complete = true;
}
