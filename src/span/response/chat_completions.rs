//! OpenAI's chat completions, and everything that speaks like it: Azure, `OpenRouter`, `DeepSeek`, Mistral, Groq, xAI, vLLM.

use serde_json::Value;

use super::assembled::{AFTER_TEXT, Assembled, Place, REASONING, REFUSAL, TEXT};
use super::error;
use super::slot::CallPiece;
use super::whole::{Choice, Said};
use crate::span::part::Part;
use crate::span::shape;

/// The choices of a completion, or of a chunk of one.
pub(super) fn choices<'a>(body: &'a Value, each: &mut dyn FnMut(Choice<'a>)) {
    for choice in shape::array(body, "choices") {
        let said = ["message", "delta", "text"]
            .iter()
            .find_map(|key| choice.get(key));
        each(Choice {
            finish_reason: shape::text(choice, "finish_reason"),
            said: said.map_or(Said::Nothing, Said::Message),
        });
    }
}

/// Takes one `chat.completion.chunk`, a chunk of a legacy completion, or a whole completion.
pub(super) fn fold(chunk: &Value, answer: &mut Assembled) {
    answer.set_head(chunk);
    answer.set_usage(chunk);
    for (position, choice) in (0..).zip(shape::array(chunk, "choices")) {
        let index = choice.get("index").and_then(shape::whole);
        let index = index.unwrap_or(position);
        let said = ["delta", "message", "text"]
            .iter()
            .find_map(|key| choice.get(key).filter(|said| !said.is_null()));
        if let Some(said) = said {
            fold_message(said, index, answer);
        }
        answer.finish(index, shape::text(choice, "finish_reason"));
        // Moonshot tells the tokens of a stream inside its last choice.
        answer.set_usage(choice);
        // OpenRouter tells a failure of the provider behind it inside the choice.
        answer.set_error(error::of(choice));
    }
}

fn fold_message(said: &Value, index: i64, answer: &mut Assembled) {
    // A choice that has begun is an answer, if it says nothing at all.
    answer.choice(index);
    if let Some(text) = said.as_str() {
        return answer.say(index, TEXT, text);
    }
    shape::spoken(said, &mut |part| match part {
        Part::Reasoning(text) => answer.think(index, REASONING, text),
        Part::Text(text) => answer.say(index, TEXT, text),
        _ => {}
    });
    if let Some(refusal) = shape::text(said, "refusal") {
        answer.say(index, REFUSAL, refusal);
    }
    for call in shape::array(said, "tool_calls") {
        fold_call(call, index, answer);
    }
    if let Some(call) = said.get("function_call").filter(|call| call.is_object()) {
        let piece = CallPiece {
            id: None,
            name: shape::text(call, "name"),
            arguments: call.get("arguments"),
        };
        answer.call(index, (AFTER_TEXT, 0), piece);
    }
}

fn fold_call(call: &Value, index: i64, answer: &mut Assembled) {
    let (function, arguments) = match call.get("custom") {
        Some(custom) => (custom, "input"),
        None => (call.get("function").unwrap_or(call), "arguments"),
    };
    let piece = CallPiece {
        id: shape::text(call, "id").filter(|id| !id.is_empty()),
        name: shape::text(function, "name").filter(|name| !name.is_empty()),
        arguments: function.get(arguments),
    };
    let place = place_of(call, piece, index, answer);
    answer.call(index, place, piece);
}

/// The index tells which call a piece belongs to. Gemini's and Ollama's imitations give every call the same one, and
/// some servers give none: there the id tells, and a name begins a new call.
fn place_of(call: &Value, piece: CallPiece<'_>, index: i64, answer: &mut Assembled) -> Place {
    let next = |answer: &mut Assembled| {
        let last = answer.last_call(index);
        last.map_or((AFTER_TEXT, 0), |((item, _), _)| (item + 1, 0))
    };
    let Some(told) = call.get("index").and_then(shape::whole) else {
        let goes_on = match answer.last_call(index) {
            Some((place, id)) if piece.name.is_none() || (piece.id.is_some() && piece.id == id) => {
                Some(place)
            }
            _ => None,
        };
        return goes_on.unwrap_or_else(|| next(answer));
    };
    // Calls that share an index stand one behind the other in its place, and a piece without an id belongs to the last.
    answer.call_behind(index, AFTER_TEXT.saturating_add(told.max(0)), piece.id)
}
