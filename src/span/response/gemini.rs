//! Gemini's `generateContent`, on Google AI and Vertex AI: candidates with parts; a stream repeats the whole shape.

use serde_json::Value;

use super::assembled::{Assembled, short};
use super::whole::{Choice, Said};
use crate::span::shape;

/// The candidates of a response, or of a chunk of one.
pub(super) fn choices<'a>(body: &'a Value, each: &mut dyn FnMut(Choice<'a>)) {
    for candidate in shape::array(body, "candidates") {
        let content = candidate.get("content");
        each(Choice {
            finish_reason: shape::text(candidate, "finishReason"),
            said: content.map_or(Said::Nothing, Said::Message),
        });
    }
}

/// Takes one chunk, or a whole response.
pub(super) fn fold(chunk: &Value, answer: &mut Assembled) {
    answer.set_head(chunk);
    answer.set_usage(chunk);
    for (position, candidate) in (0..).zip(shape::array(chunk, "candidates")) {
        let index = candidate.get("index").and_then(shape::whole);
        let index = index.unwrap_or(position);
        if let Some(content) = candidate.get("content") {
            answer.choice(index);
            answer.append(index, content);
        }
        answer.finish(index, shape::text(candidate, "finishReason"));
    }
    if let Some(reason) = shape::text(chunk, "promptFeedback.blockReason") {
        answer.refused = Some(short(reason).to_owned());
    }
}
