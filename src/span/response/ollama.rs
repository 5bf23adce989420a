//! Ollama's chat and generate: one JSON object a line, the last of which says `done`.

use serde_json::Value;

use super::assembled::Assembled;
use super::whole::{Choice, Said};
use crate::span::part::Part;
use crate::span::shape;

/// What a response says.
pub(super) fn choice(body: &Value) -> Choice<'_> {
    let message = body.get("message").filter(|message| message.is_object());
    let said = match (message, shape::text(body, "response")) {
        (Some(message), _) => Said::Message(message),
        (None, Some(text)) => Said::Generated {
            thought: shape::text(body, "thinking").unwrap_or(""),
            text,
        },
        (None, None) => Said::Nothing,
    };
    Choice {
        finish_reason: shape::text(body, "done_reason"),
        said,
    }
}

/// Takes one line, or a whole response.
pub(super) fn fold(line: &Value, answer: &mut Assembled) {
    answer.set_head(line);
    answer.set_usage(line);
    answer.choice(0);
    if let Some(message) = line.get("message").filter(|message| message.is_object()) {
        answer.append(0, message);
    } else {
        let thought = shape::text(line, "thinking").filter(|thought| !thought.is_empty());
        let said = shape::text(line, "response").filter(|said| !said.is_empty());
        let parts = thought
            .map(Part::Reasoning)
            .into_iter()
            .chain(said.map(Part::Text));
        for part in parts {
            answer.append_part(0, part);
        }
    }
    answer.finish(0, shape::text(line, "done_reason"));
    if line.get("done").and_then(Value::as_bool) == Some(true) {
        answer.is_complete = true;
    }
}
