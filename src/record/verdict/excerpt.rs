//! Reads the beginning of a JSON value without building it, and as much of it as came before a cut.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// The longest error text that is kept.
const MESSAGE_CHARS: usize = 500;

/// The beginning of a key: as much of it as is ever looked at.
pub(super) struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<String, E> {
        Ok(first_chars(name))
    }
}

/// The beginning of a value, as compact JSON, or as it is where it is text.
#[derive(Default)]
pub(super) struct Excerpt {
    pub(super) kind: Kind,
    pub(super) truthy: bool,
    text: String,
    /// The `message` of an object, or the first `text` of a list of blocks.
    named: Option<String>,
}

#[derive(Default, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    #[default]
    Nothing,
    Bool,
    Number,
    Text,
    Tree,
}

impl Excerpt {
    pub(super) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Text && self.text.eq_ignore_ascii_case(word)
    }

    pub(super) fn into_text(self) -> Option<String> {
        let text = match self.kind {
            Kind::Nothing | Kind::Bool => return None,
            Kind::Number | Kind::Text => self.text,
            Kind::Tree => self.named.unwrap_or(self.text),
        };
        Some(first_chars(text.trim())).filter(|text| !text.is_empty())
    }

    fn comma(&mut self) {
        if !self.is_full() {
            self.text.push(',');
        }
    }

    fn is_full(&self) -> bool {
        self.text.chars().nth(MESSAGE_CHARS).is_some()
    }
}

/// Writes what it meets into an excerpt until that is full, and walks on without it.
pub(super) struct Walk<'a> {
    into: &'a mut Excerpt,
    place: Place,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Top,
    Item,
    /// The value whose text says it better than the whole tree does.
    Named,
    Deep,
}

impl<'a> Walk<'a> {
    /// Walks a value from its top.
    pub(super) fn top(into: &'a mut Excerpt) -> Self {
        Walk {
            into,
            place: Place::Top,
        }
    }
}

impl Walk<'_> {
    fn scalar(self, kind: Kind, truthy: bool, json: &str) {
        if self.place == Place::Top {
            self.into.kind = kind;
            self.into.truthy = truthy;
        }
        self.into.text.push_str(json);
    }

    fn within(&mut self, place: Place) -> Walk<'_> {
        Walk {
            into: self.into,
            place,
        }
    }

    fn enter(&mut self, bracket: char) {
        if self.place == Place::Top {
            self.into.kind = Kind::Tree;
        }
        self.into.text.push(bracket);
    }

    /// Every member left a comma behind; the last one's gives way.
    fn leave(&mut self, bracket: char) {
        if self.into.text.ends_with(',') {
            self.into.text.pop();
        }
        self.into.text.push(bracket);
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.place != Place::Top {
            // Anything inside makes what is around it more than nothing.
            self.into.truthy = true;
        }
        if self.into.is_full() {
            return deserializer.deserialize_ignored_any(IgnoredAny).map(|_| ());
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.scalar(Kind::Bool, value, if value { "true" } else { "false" });
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.scalar(Kind::Number, value != 0, &value.to_string());
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.scalar(Kind::Number, value != 0, &value.to_string());
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.scalar(Kind::Number, value != 0.0, &value.to_string());
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.scalar(Kind::Nothing, false, "null");
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        let text = first_chars(value);
        if self.place == Place::Top {
            self.scalar(Kind::Text, !value.is_empty(), &text);
            return Ok(());
        }
        self.into
            .text
            .push_str(&Value::from(text.as_str()).to_string());
        if self.place == Place::Named && !text.is_empty() {
            self.into.named.get_or_insert(text);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        let item = if self.place == Place::Top {
            Place::Item
        } else {
            Place::Deep
        };
        self.enter('[');
        while list.next_element_seed(self.within(item))?.is_some() {
            self.into.comma();
        }
        self.leave(']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.enter('{');
        while let Some(name) = map.next_key_seed(Name)? {
            let place = match (self.place, name.as_str()) {
                (Place::Top, "message") | (Place::Item, "text") => Place::Named,
                _ => Place::Deep,
            };
            if !self.into.is_full() {
                self.into.text.push_str(&Value::from(name).to_string());
                self.into.text.push(':');
            }
            map.next_value_seed(self.within(place))?;
            self.into.comma();
        }
        self.leave('}');
        Ok(())
    }
}

/// The text, or as much of it as is kept.
pub(super) fn first_chars(text: &str) -> String {
    text.chars().take(MESSAGE_CHARS).collect()
}
