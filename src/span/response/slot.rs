//! One part of an answer that is put together: a text, a thought, a tool call, or whatever else was said.

use serde_json::Value;

use crate::span::part::{self, Part};

#[derive(Clone, Debug)]
pub(super) enum Slot {
    Text {
        text: String,
        chars: i64,
    },
    Reasoning(String),
    ToolCall(ToolCall),
    /// A part that is kept as it is; a tool that the provider itself runs gets its input in pieces.
    Other {
        part: Value,
        pieces: String,
    },
}

#[derive(Clone, Debug, Default)]
pub(super) struct ToolCall {
    pub(super) id: Option<String>,
    pub(super) name: String,
    /// As the call began; pieces take its place.
    whole: Option<Value>,
    pieces: String,
}

/// What one event says of a tool call.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CallPiece<'a> {
    pub(super) id: Option<&'a str>,
    pub(super) name: Option<&'a str>,
    pub(super) arguments: Option<&'a Value>,
}

impl ToolCall {
    /// Adds what an event says; `kept` is what is kept of arguments that come as text.
    pub(super) fn add(&mut self, piece: CallPiece<'_>, kept: Option<&str>) {
        let given = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        if self.name.is_empty() {
            self.name = given(piece.name).unwrap_or_default();
        }
        self.id = self.id.take().or_else(|| given(piece.id));
        match (kept, piece.arguments) {
            (Some(kept), _) => self.pieces.push_str(kept),
            (None, Some(whole)) if !whole.is_null() => self.whole = Some(whole.clone()),
            _ => {}
        }
    }
}

fn size(value: &Value) -> usize {
    usize::try_from(part::chars(value)).unwrap_or(usize::MAX)
}

impl Slot {
    pub(super) fn other(part: &Part<'_>) -> Self {
        Slot::Other {
            part: part.to_json(),
            pieces: String::new(),
        }
    }

    /// How much of what is kept stands here, roughly.
    pub(super) fn kept(&self) -> usize {
        match self {
            Slot::Text { text, .. } | Slot::Reasoning(text) => text.len(),
            Slot::ToolCall(call) => call.pieces.len() + call.whole.as_ref().map_or(0, size),
            Slot::Other { part, pieces } => size(part) + pieces.len(),
        }
    }

    /// The part in the conventions' shape; a call without a name is none.
    pub(super) fn to_json(&self) -> Option<Value> {
        Some(match self {
            Slot::Text { text, .. } => Part::Text(text).to_json(),
            Slot::Reasoning(text) => Part::Reasoning(text).to_json(),
            Slot::ToolCall(call) if call.name.is_empty() => return None,
            Slot::ToolCall(call) => {
                let pieces = Value::from(call.pieces.as_str());
                let arguments = match &call.whole {
                    _ if !call.pieces.is_empty() => Some(&pieces),
                    Some(whole) => Some(whole),
                    None => None,
                };
                let part = Part::ToolCall {
                    id: call.id.as_deref(),
                    name: &call.name,
                    arguments,
                };
                part.to_json()
            }
            Slot::Other { part, pieces } => {
                let mut part = part.clone();
                if let Ok(input) = serde_json::from_str::<Value>(pieces)
                    && let Some(body) = part.get_mut("server_tool_call")
                {
                    body["input"] = input;
                }
                part
            }
        })
    }
}
