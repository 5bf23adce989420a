//! What a streamed answer has said so far, put together part by part, whichever wire format brings it.

use serde_json::{Map, Value};

use super::slot::{CallPiece, Slot, ToolCall};
use super::{ModelError, whole};
use crate::span::part::{self, Part};
use crate::span::shape;

/// Text kept of one answer. The store keeps less of a value, and a stream has no end that one could rely on.
const MAX_KEPT: usize = 1 << 20;
/// Parts kept of one answer.
const MAX_PARTS: usize = 1_024;
/// Names and ids are short; what is longer is none that anybody looks for.
const MAX_NAME: usize = 1_024;
/// Fields of a usage, and how long one of them may be.
const MAX_COUNTS: usize = 64;
const MAX_COUNT: i64 = 4_096;

/// An answer as far as it is known.
#[derive(Clone, Debug, Default)]
pub(super) struct Assembled {
    pub(super) id: Option<String>,
    pub(super) model: Option<String>,
    /// The fields of a body that tell the usage, the newest of each.
    pub(super) usage: Value,
    /// Why there is no answer at all: a blocked prompt.
    pub(super) refused: Option<String>,
    pub(super) error: Option<ModelError>,
    /// Whether the provider said that this was all.
    pub(super) is_complete: bool,
    pub(super) choices: Vec<Choice>,
    /// Whether texts are counted only.
    pub(super) is_lean: bool,
    /// Whether the status says that the body tells of a failure.
    pub(super) is_refusal: bool,
    kept: usize,
    part_count: usize,
}

/// One of the answers asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Choice {
    index: i64,
    pub(super) finish_reason: Option<String>,
    slots: Vec<(Place, Slot)>,
}

/// Where a part stands among those of its message.
pub(super) type Place = (i64, i64);

/// Places of a message that has no list of blocks, in the order in which a whole one is read.
pub(super) const REASONING: Place = (0, 0);
pub(super) const TEXT: Place = (1, 0);
pub(super) const REFUSAL: Place = (2, 0);
/// The first of the places for what comes after the text.
pub(super) const AFTER_TEXT: i64 = 3;

impl Assembled {
    /// Notes who answers, where the event says so.
    pub(super) fn set_head(&mut self, body: &Value) {
        let text = |keys: &[&str]| {
            let found = keys.iter().find_map(|key| shape::text(body, key));
            let found = found.filter(|text| !text.is_empty());
            found.map(|text| short(text).to_owned())
        };
        if let Some(model) = text(whole::MODEL) {
            self.model = Some(model);
        }
        if let Some(id) = text(whole::ID) {
            self.id = Some(id);
        }
    }

    /// Notes what the event says of usage. Providers repeat it, each time with the totals so far, and some tell its
    /// parts in different events.
    pub(super) fn set_usage(&mut self, body: &Value) {
        if self.usage.is_null() {
            self.usage = Map::new().into();
        }
        let Some(usage) = self.usage.as_object_mut() else {
            return;
        };
        for key in ["usage", "usageMetadata", "usage_metadata", "meta"] {
            if let Some(told) = body.get(key).and_then(Value::as_object) {
                let kept = usage.entry(key).or_insert_with(|| Map::new().into());
                if let Some(kept) = kept.as_object_mut() {
                    told.iter()
                        .for_each(|(key, value)| keep_count(kept, key, value));
                }
            }
        }
        if let Some(told) = shape::at(body, "x_groq.usage").filter(|usage| usage.is_object()) {
            usage.insert("usage".into(), told.clone());
        }
        for key in ["prompt_eval_count", "eval_count"] {
            if let Some(count) = body.get(key).filter(|count| count.is_number()) {
                usage.insert(key.into(), count.clone());
            }
        }
    }

    /// The first error stays: what comes after it is its echo.
    pub(super) fn set_error(&mut self, error: Option<ModelError>) {
        if self.error.is_none() {
            self.error = error;
        }
    }

    /// The choice of this index, made where it is new.
    pub(super) fn choice(&mut self, index: i64) -> &mut Choice {
        let at = match self
            .choices
            .binary_search_by_key(&index, |choice| choice.index)
        {
            Ok(at) => at,
            // What a broken stream may cost is bounded: choices beyond any that were asked for share the last one.
            Err(at) if self.choices.len() >= MAX_PARTS => at.min(self.choices.len() - 1),
            Err(at) => {
                let choice = Choice {
                    index,
                    ..Choice::default()
                };
                self.choices.insert(at, choice);
                at
            }
        };
        &mut self.choices[at]
    }

    /// Notes why a choice ended.
    pub(super) fn finish(&mut self, index: i64, reason: Option<&str>) {
        if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
            self.choice(index).finish_reason = Some(short(reason).to_owned());
        }
    }

    /// Forgets the parts of a choice: the whole is about to be told again.
    pub(super) fn start_over(&mut self, index: i64) {
        self.choice(index).slots.clear();
        self.kept = 0;
        self.part_count = 0;
    }

    /// Forgets the parts that stand in these places, for one that is told as a whole.
    pub(super) fn forget(&mut self, index: i64, item: i64) {
        let (mut kept, mut parts) = (0, 0);
        self.choice(index).slots.retain(|((place, _), slot)| {
            let stays = *place != item;
            if !stays {
                kept += slot.kept();
                parts += 1;
            }
            stays
        });
        self.kept -= kept.min(self.kept);
        self.part_count -= parts.min(self.part_count);
    }

    /// Adds text to the part in this place.
    pub(super) fn say(&mut self, index: i64, place: Place, text: &str) {
        self.speak(index, place, text, false);
    }

    /// Adds reasoning to the part in this place.
    pub(super) fn think(&mut self, index: i64, place: Place, text: &str) {
        self.speak(index, place, text, true);
    }

    fn speak(&mut self, index: i64, place: Place, text: &str, is_thought: bool) {
        if text.is_empty() {
            return;
        }
        let kept = self.room_for(text);
        let new = || {
            if is_thought {
                Slot::Reasoning(String::new())
            } else {
                Slot::Text {
                    text: String::new(),
                    chars: 0,
                }
            }
        };
        match self.slot(index, place, new) {
            Some(Slot::Text {
                text: so_far,
                chars,
            }) => {
                *chars = chars.saturating_add(part::length(text));
                so_far.push_str(kept);
            }
            Some(Slot::Reasoning(so_far)) => so_far.push_str(kept),
            _ => {}
        }
    }

    /// Adds to the tool call in this place.
    pub(super) fn call(&mut self, index: i64, place: Place, piece: CallPiece<'_>) {
        let text = piece.arguments.and_then(Value::as_str);
        let kept = text.map(|text| self.room_for(text));
        let whole = piece.arguments.filter(|whole| !whole.is_string());
        let piece = CallPiece {
            id: piece.id.map(short),
            name: piece.name.map(short),
            arguments: whole.filter(|whole| self.has_room_for(part::chars(whole))),
        };
        let slot = self.slot(index, place, || Slot::ToolCall(ToolCall::default()));
        match slot {
            Some(Slot::ToolCall(call)) => call.add(piece, kept),
            Some(Slot::Other { pieces, .. }) => pieces.push_str(kept.unwrap_or("")),
            _ => {}
        }
    }

    /// Takes a part that is told as a whole; texts and thoughts go on where the last part is one.
    pub(super) fn put(&mut self, index: i64, place: Place, part: Part<'_>) {
        match part {
            Part::Text(text) => self.say(index, place, text),
            Part::Reasoning(text) => self.think(index, place, text),
            Part::ToolCall {
                id,
                name,
                arguments,
            } => {
                let name = Some(name);
                let piece = CallPiece {
                    id,
                    name,
                    arguments,
                };
                self.call(index, place, piece);
            }
            other => {
                if self.has_room_for(other.chars()) {
                    self.slot(index, place, || Slot::other(&other));
                }
            }
        }
    }

    /// Takes the parts of a message that go behind those so far; a text goes on where the last part is one.
    pub(super) fn append(&mut self, index: i64, message: &Value) {
        shape::parts(message, &mut |part| self.append_part(index, part));
    }

    /// Takes a part that goes behind those so far; a text goes on where the last part is one.
    pub(super) fn append_part(&mut self, index: i64, part: Part<'_>) {
        let last = self.choice(index).slots.last();
        let goes_on = matches!(
            (last, &part),
            (Some((_, Slot::Text { .. })), Part::Text(_))
                | (Some((_, Slot::Reasoning(_))), Part::Reasoning(_))
        );
        let item = last.map_or(0, |((item, _), _)| item + i64::from(!goes_on));
        self.put(index, (item, 0), part);
    }

    /// The place of the last tool call of a choice, and the id it has.
    pub(super) fn last_call(&mut self, index: i64) -> Option<(Place, Option<&str>)> {
        let slots = &self.choice(index).slots;
        slots.iter().rev().find_map(|(place, slot)| match slot {
            Slot::ToolCall(call) => Some((*place, call.id.as_deref())),
            _ => None,
        })
    }

    /// The place of the tool call of this id among those that stand behind one another as one item; without an id the
    /// last, and where there is none yet the one behind them all.
    pub(super) fn call_behind(&mut self, index: i64, item: i64, id: Option<&str>) -> Place {
        let slots = &self.choice(index).slots;
        let first = slots.partition_point(|((at, _), _)| *at < item);
        let mut next = (item, 0);
        let mut last = None;
        for (place, slot) in &slots[first..] {
            let Slot::ToolCall(call) = slot else { break };
            if place.0 != item {
                break;
            }
            if id.is_some() && (call.id.is_none() || call.id.as_deref() == id.map(short)) {
                return *place;
            }
            last = Some(*place);
            next = (item, place.1 + 1);
        }
        last.filter(|_| id.is_none()).unwrap_or(next)
    }

    fn slot(&mut self, index: i64, place: Place, new: impl FnOnce() -> Slot) -> Option<&mut Slot> {
        let is_full = self.part_count >= MAX_PARTS;
        let slots = &mut self.choice(index).slots;
        // A stream speaks of its newest part, so the search begins there.
        let behind = slots.iter().rposition(|(at, _)| *at <= place);
        let at = match behind {
            Some(at) if slots[at].0 == place => at,
            _ if is_full => return None,
            before => {
                let at = before.map_or(0, |at| at + 1);
                slots.insert(at, (place, new()));
                self.part_count += 1;
                at
            }
        };
        self.choice(index).slots.get_mut(at).map(|(_, slot)| slot)
    }

    /// Whether a value of this length is kept; it counts as kept then.
    fn has_room_for(&mut self, chars: i64) -> bool {
        let length = usize::try_from(chars).unwrap_or(usize::MAX);
        let is_kept = !self.is_lean && length <= MAX_KEPT.saturating_sub(self.kept);
        if is_kept {
            self.kept += length;
        }
        is_kept
    }

    fn room_for<'t>(&mut self, text: &'t str) -> &'t str {
        if self.is_lean {
            return "";
        }
        let kept = cut(text, MAX_KEPT.saturating_sub(self.kept));
        self.kept += kept.len();
        kept
    }
}

/// Keeps one field of a usage. A zero after a count is a count left out: some servers tell the tokens once, and zeros
/// beside the rest in their last event.
fn keep_count(kept: &mut Map<String, Value>, key: &str, told: &Value) {
    let is_left_out = told.as_f64() == Some(0.0) && kept.contains_key(key);
    let has_room = kept.len() < MAX_COUNTS || kept.contains_key(key);
    if !told.is_null() && !is_left_out && has_room && part::chars(told) <= MAX_COUNT {
        kept.insert(short(key).to_owned(), told.clone());
    }
}

/// As much of a name as is kept.
pub(super) fn short(text: &str) -> &str {
    cut(text, MAX_NAME)
}

fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

impl Choice {
    /// Characters said for the reader, and tools asked for.
    pub(super) fn size(&self) -> (i64, i64) {
        let (mut chars, mut calls) = (0_i64, 0);
        for (_, slot) in &self.slots {
            match slot {
                Slot::Text { chars: said, .. } => chars = chars.saturating_add(*said),
                Slot::ToolCall(call) if !call.name.is_empty() => calls += 1,
                _ => {}
            }
        }
        (chars, calls)
    }

    /// The parts in the conventions' shape.
    pub(super) fn parts(&self) -> Vec<Value> {
        let parts = self.slots.iter().filter_map(|(_, slot)| slot.to_json());
        parts.collect()
    }
}
