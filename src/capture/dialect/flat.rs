//! Messages and documents that a library records piece by piece, put together again.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use crate::capture::state::State;
use crate::record::Value;
use crate::semconv::{Fact, flat_field};

/// Pieces of lists that are already facts, by list and item: what is said of it, and its value.
type Lists = BTreeMap<Fact, BTreeMap<usize, Vec<(String, Value)>>>;

/// Makes lists of the fields that hold one piece each. They are content, so there are none where that is not kept.
pub(super) fn settle_pieces(state: &mut State) {
    let extra = &mut state.said.extra;
    if extra.iter().all(|(name, _)| flat_field(name).is_none()) {
        return;
    }
    let mut lists = Lists::new();
    extra.retain(|(name, value)| {
        let Some(piece) = flat_field(name) else {
            return true;
        };
        let item = lists.entry(piece.fact).or_default();
        let item = item.entry(piece.index).or_default();
        item.push((piece.path.to_owned(), value.clone()));
        false
    });
    for (fact, items) in lists {
        let items = items.into_values().map(|pieces| match fact {
            Fact::Documents => document(pieces),
            _ => message(fact, pieces),
        });
        let items: Vec<Json> = items.collect();
        state
            .said
            .notes
            .set_default(fact, Json::from(items).to_string());
    }
}

fn document(pieces: Vec<(String, Value)>) -> Json {
    let pieces = pieces.into_iter().map(|(path, value)| (path, json(value)));
    Json::Object(pieces.collect())
}

/// A message in the shape of the conventions.
fn message(fact: Fact, pieces: Vec<(String, Value)>) -> Json {
    let usual = if fact == Fact::OutputMessages {
        "assistant"
    } else {
        "user"
    };
    let (mut role, mut reason, mut answers) = (Cow::Borrowed(usual), None, None);
    let mut texts = Vec::new();
    let mut calls: BTreeMap<usize, Map<String, Json>> = BTreeMap::new();
    for (path, value) in pieces {
        let text = || value.to_text().into_owned();
        match path.as_str() {
            "role" => role = Cow::Owned(text()),
            "finish_reason" => reason = Some(text()),
            "tool_call_id" => answers = Some(text()),
            "content" | "reasoning" => texts.push(text()),
            path if is_text_of_block(path) => texts.push(text()),
            path => {
                if let Some((index, name)) = call_piece(path) {
                    let value = match name {
                        "arguments" => parsed(&value),
                        _ => json(value),
                    };
                    calls.entry(index).or_default().insert(name.into(), value);
                }
            }
        }
    }
    let mut parts: Vec<Json> = match answers {
        Some(id) => {
            vec![json!({"type": "tool_call_response", "id": id, "response": texts.join("\n")})]
        }
        None => texts
            .into_iter()
            .map(|text| json!({"type": "text", "content": text}))
            .collect(),
    };
    parts.extend(calls.into_values().map(|mut call| {
        call.insert("type".into(), "tool_call".into());
        Json::Object(call)
    }));
    let mut message = json!({"role": role, "parts": parts});
    if let Some(reason) = reason {
        message["finish_reason"] = reason.into();
    }
    message
}

/// Whether a path leads to the text of one of several blocks: `contents.0.message_content.text`.
fn is_text_of_block(path: &str) -> bool {
    let block = path.strip_prefix("contents.");
    block.and_then(|block| block.rsplit('.').next()) == Some("text")
}

/// Which tool call a path speaks of, and what of it: `tool_calls.0.tool_call.function.name`.
fn call_piece(path: &str) -> Option<(usize, &str)> {
    let (index, rest) = path.strip_prefix("tool_calls.")?.split_once('.')?;
    let name = rest.rsplit('.').next()?;
    let is_known = matches!(name, "id" | "name" | "arguments");
    Some((index.parse().ok()?, name)).filter(|_| is_known)
}

/// Arguments as the object that they are the text of.
fn parsed(value: &Value) -> Json {
    let text = value.to_text();
    serde_json::from_str(&text).unwrap_or_else(|_| Json::from(text.into_owned()))
}

fn json(value: Value) -> Json {
    match value {
        Value::Bool(truth) => truth.into(),
        Value::Int(int) => int.into(),
        Value::Double(double) => double.into(),
        Value::Text(text) => text.into_owned().into(),
        Value::Texts(texts) => texts.into(),
    }
}
