//! What is noted of a span while it is open: facts in one buffer that is used for span after span.
//!
//! A vector of owned values would cost an allocation per text, on the agent's thread. Here a fact is
//! one byte, its type another, and the value follows; a fact noted again comes later and wins. What
//! the bytes mean as a whole ([`Facts`]) is worked out on the reader's thread, for which they are copied
//! in one piece: noted straight into memory that comes back from there, they cost a tenth of a span
//! more, for each lock waits until the lines before it have come.

use std::{fmt, str};

use super::visitor::typed;
use crate::record::{Facts, Usage, Value};
use crate::semconv::Fact;

/// Buffers that grew beyond this are given back to the system with their span: most take a few
/// hundred bytes, and one long text must not be paid for by every span after it.
const KEPT_BYTES: usize = 4096;
/// What a buffer begins with. An annotated model call takes some 250 bytes.
const FIRST_BYTES: usize = 256;

/// Facts and their values, in the order in which they became known.
#[derive(Default)]
pub(crate) struct Notes {
    /// All of it is written, if only with zeros: so a note goes in after a single look at the room.
    bytes: Vec<u8>,
    /// How much of it is notes.
    noted: usize,
    /// A bit for each fact that is noted: most questions are about one that is not.
    known: [u64; 2],
    /// The last numbers of [`Notes::SUMMED`], which every model call is asked for as it ends: looking
    /// for them among the bytes cost as much as writing half of these.
    summed: [Option<i64>; 2],
}

const _: () = {
    assert!(Fact::ALL.len() <= 128, "every fact needs a bit of its own");
    let [first, second] = Notes::SUMMED;
    assert!(
        first as u8 + 1 == second as u8,
        "they are told apart by their distance"
    );
};

/// Notes to be read, wherever their bytes lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct NotesRef<'a> {
    bytes: &'a [u8],
}

/// A value as it was noted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Noted<'a> {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(&'a str),
    Texts(Texts<'a>),
}

/// A list of texts as it was noted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Texts<'a> {
    bytes: &'a [u8],
}

const FALSE: u8 = 0;
const TRUE: u8 = 1;
const INT: u8 = 2;
const DOUBLE: u8 = 3;
const TEXT: u8 = 4;
const TEXTS: u8 = 5;

impl Notes {
    /// What a turn sums up of its model calls.
    const SUMMED: [Fact; 2] = [Fact::InputTokens, Fact::OutputTokens];

    /// The tokens in and out, where they are known.
    #[inline]
    pub(super) fn tokens(&self) -> (i64, i64) {
        let [input, output] = Self::SUMMED;
        let tokens = |fact, last: Option<i64>| {
            // Some libraries record numbers as texts.
            last.or_else(|| self.get(fact)?.as_int()).unwrap_or(0)
        };
        (
            tokens(input, self.summed[0]),
            tokens(output, self.summed[1]),
        )
    }

    #[inline]
    pub(super) fn bool(&mut self, fact: Fact, truth: bool) {
        self.mark(fact);
        self.room(2)
            .copy_from_slice(&[fact as u8, if truth { TRUE } else { FALSE }]);
    }

    #[inline]
    pub(super) fn int(&mut self, fact: Fact, int: i64) {
        // One look for both: they stand beside each other among the facts.
        let place = (fact as u8).wrapping_sub(Self::SUMMED[0] as u8);
        if let Some(summed) = self.summed.get_mut(usize::from(place)) {
            *summed = Some(int);
        }
        self.eight(fact, INT, int.to_le_bytes());
    }

    #[inline]
    pub(super) fn double(&mut self, fact: Fact, double: f64) {
        self.eight(fact, DOUBLE, double.to_le_bytes());
    }

    #[inline]
    pub(super) fn text(&mut self, fact: Fact, text: &str) {
        self.mark(fact);
        let from = self.noted;
        let end = from.wrapping_add(6).wrapping_add(text.len());
        match self.bytes.get_mut(from..end) {
            Some([of, tag, a, b, c, d, room @ ..]) if room.len() == text.len() => {
                (*of, *tag) = (fact as u8, TEXT);
                [*a, *b, *c, *d] = length_bytes(text.len());
                copy(room, text.as_bytes());
                self.noted = end;
            }
            _ => self.text_more(fact, text),
        }
    }

    #[cold]
    #[inline(never)]
    fn text_more(&mut self, fact: Fact, text: &str) {
        self.grow(6 + text.len());
        self.text(fact, text);
    }

    fn texts(&mut self, fact: Fact, texts: &[String]) {
        let length = texts.iter().map(|text| 4 + text.len()).sum();
        let mut room = self.counted(fact, TEXTS, length);
        for text in texts {
            let (counted, rest) = room.split_at_mut(4 + text.len());
            let (count, bytes) = counted.split_at_mut(4);
            count.copy_from_slice(&length_bytes(text.len()));
            bytes.copy_from_slice(text.as_bytes());
            room = rest;
        }
    }

    #[inline]
    fn eight(&mut self, fact: Fact, tag: u8, value: [u8; 8]) {
        self.mark(fact);
        let end = self.noted.wrapping_add(10);
        match self.bytes.get_mut(self.noted..end) {
            Some(note) => {
                note[0] = fact as u8;
                note[1] = tag;
                note[2..].copy_from_slice(&value);
                self.noted = end;
            }
            None => self.eight_more(fact, tag, value),
        }
    }

    #[cold]
    #[inline(never)]
    fn eight_more(&mut self, fact: Fact, tag: u8, value: [u8; 8]) {
        self.grow(10);
        self.eight(fact, tag, value);
    }

    /// Room for so many bytes behind a fact, its type and their number.
    #[inline]
    fn counted(&mut self, fact: Fact, tag: u8, length: usize) -> &mut [u8] {
        self.mark(fact);
        let (head, room) = self.room(6 + length).split_at_mut(6);
        let [a, b, c, d] = length_bytes(length);
        head.copy_from_slice(&[fact as u8, tag, a, b, c, d]);
        room
    }

    /// Room for so many bytes more, which count as noted.
    #[inline]
    fn room(&mut self, length: usize) -> &mut [u8] {
        let from = self.noted;
        if self.bytes.len() - from < length {
            self.grow(length);
        }
        self.noted = from + length;
        &mut self.bytes[from..from + length]
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, length: usize) {
        let wanted = (self.noted + length).max(2 * self.bytes.len());
        self.bytes.resize(wanted.max(FIRST_BYTES), 0);
    }

    /// States a fact with a value of whatever type.
    pub(crate) fn set(&mut self, fact: Fact, value: impl Into<Value>) {
        match value.into() {
            Value::Bool(truth) => self.bool(fact, truth),
            Value::Int(int) => self.int(fact, int),
            Value::Double(double) => self.double(fact, double),
            Value::Text(text) => self.text(fact, &text),
            Value::Texts(texts) => self.texts(fact, &texts),
        }
    }

    /// States a fact unless it is known already.
    pub(crate) fn set_default(&mut self, fact: Fact, value: impl Into<Value>) {
        if !self.has(fact) {
            self.set(fact, value);
        }
    }

    /// States the tokens of a call.
    pub(crate) fn set_usage(&mut self, usage: Usage) {
        self.int(Fact::InputTokens, usage.input_tokens);
        self.int(Fact::OutputTokens, usage.output_tokens);
        self.int(Fact::CacheReadTokens, usage.cache_read_tokens);
        self.int(Fact::CacheWriteTokens, usage.cache_write_tokens);
        self.int(Fact::ReasoningTokens, usage.reasoning_tokens);
    }

    /// Whether anything is noted of a fact.
    #[inline]
    pub(super) fn has(&self, fact: Fact) -> bool {
        self.known[usize::from(fact as u8 >> 6)] & (1 << (fact as u8 & 63)) != 0
    }

    #[inline]
    fn mark(&mut self, fact: Fact) {
        self.known[usize::from(fact as u8 >> 6)] |= 1 << (fact as u8 & 63);
    }

    /// The value of a fact: the last that was noted.
    #[inline]
    pub(super) fn get(&self, fact: Fact) -> Option<Noted<'_>> {
        if !self.has(fact) {
            return None;
        }
        self.read().get(fact)
    }

    /// The text of a fact, where it has one that says something.
    #[inline]
    pub(super) fn text_of(&self, fact: Fact) -> Option<&str> {
        match self.get(fact)? {
            Noted::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    pub(super) fn read(&self) -> NotesRef<'_> {
        NotesRef::of(self.bytes())
    }

    /// The notes as they are kept elsewhere.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.noted]
    }

    /// Forgets everything and keeps the buffer, unless it has grown large.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.known = [0; 2];
        self.summed = [None; 2];
        self.noted = 0;
        if self.bytes.len() > KEPT_BYTES {
            self.give_back();
        }
    }

    #[cold]
    #[inline(never)]
    fn give_back(&mut self) {
        self.bytes = Vec::new();
    }
}

impl fmt::Debug for Notes {
    /// Says nothing of what the buffer held before.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.read().iter()).finish()
    }
}

impl<'a> NotesRef<'a> {
    /// The notes that [`Notes::bytes`] gave.
    pub(super) fn of(bytes: &'a [u8]) -> Self {
        NotesRef { bytes }
    }

    #[cold]
    fn get(self, fact: Fact) -> Option<Noted<'a>> {
        let (mut rest, mut found) = (self.bytes, None);
        while let Some((note, left)) = Note::first(rest) {
            rest = left;
            if note.fact == fact as u8 {
                found = Some(note);
            }
        }
        found.map(Note::value)
    }

    /// Every value in the order in which it was noted.
    pub(super) fn iter(self) -> impl Iterator<Item = (Fact, Noted<'a>)> {
        let mut rest = self.bytes;
        std::iter::from_fn(move || {
            let (note, left) = Note::first(rest)?;
            rest = left;
            Some((*Fact::ALL.get(usize::from(note.fact))?, note.value()))
        })
    }

    /// The facts as they stand, each once and in its own type.
    pub(super) fn facts(self) -> Facts {
        let mut facts = Facts::with_room();
        for (fact, value) in self.iter() {
            facts.set(fact, typed(fact, Value::from(value)));
        }
        facts
    }
}

impl Noted<'_> {
    pub(super) fn as_int(&self) -> Option<i64> {
        match self {
            Noted::Int(int) => Some(*int),
            other => Value::from(*other).as_int(),
        }
    }

    pub(super) fn as_double(&self) -> Option<f64> {
        match self {
            Noted::Double(double) => Some(*double),
            other => Value::from(*other).as_double(),
        }
    }
}

impl From<Noted<'_>> for Value {
    fn from(noted: Noted<'_>) -> Self {
        match noted {
            Noted::Bool(truth) => Value::Bool(truth),
            Noted::Int(int) => Value::Int(int),
            Noted::Double(double) => Value::Double(double),
            Noted::Text(text) => Value::from(text),
            Noted::Texts(texts) => Value::Texts(texts.iter().map(str::to_owned).collect()),
        }
    }
}

impl<'a> Texts<'a> {
    fn iter(self) -> impl Iterator<Item = &'a str> {
        let mut rest = self.bytes;
        std::iter::from_fn(move || {
            let (text, left) = counted(rest)?;
            rest = left;
            Some(readable(text))
        })
    }
}

/// Copies a text, most of which are short: as pieces that overlap, where a call for any length would
/// look for the same first.
#[inline]
fn copy(room: &mut [u8], text: &[u8]) {
    match text.len() {
        4..=8 => ends::<4>(room, text),
        9..=16 => ends::<8>(room, text),
        17..=32 => ends::<16>(room, text),
        _ => room.copy_from_slice(text),
    }
}

/// Copies the first and the last bytes of a text, which are all of it.
#[inline]
fn ends<const HALF: usize>(room: &mut [u8], text: &[u8]) {
    if let (Some(first), Some(last)) = (text.first_chunk::<HALF>(), text.last_chunk::<HALF>()) {
        if let Some(room) = room.first_chunk_mut() {
            *room = *first;
        }
        if let Some(room) = room.last_chunk_mut() {
            *room = *last;
        }
    }
}

/// One note, not yet read.
#[derive(Clone, Copy)]
struct Note<'a> {
    fact: u8,
    tag: u8,
    value: &'a [u8],
}

impl<'a> Note<'a> {
    /// The first note of these bytes, and the bytes behind it.
    fn first(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&[fact, tag], rest) = bytes.split_first_chunk()?;
        let (value, rest) = match tag {
            FALSE | TRUE => rest.split_at(0),
            INT | DOUBLE => rest.split_at_checked(8)?,
            _ => counted(rest)?,
        };
        Some((Note { fact, tag, value }, rest))
    }

    fn value(self) -> Noted<'a> {
        let eight = || self.value.first_chunk().copied().unwrap_or_default();
        match self.tag {
            FALSE => Noted::Bool(false),
            TRUE => Noted::Bool(true),
            INT => Noted::Int(i64::from_le_bytes(eight())),
            DOUBLE => Noted::Double(f64::from_le_bytes(eight())),
            TEXT => Noted::Text(readable(self.value)),
            _ => Noted::Texts(Texts { bytes: self.value }),
        }
    }
}

fn counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)
}

/// The bytes were a text when they were noted.
fn readable(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).unwrap_or_default()
}

/// No value of a span comes near four gigabytes: memory ends before.
fn length_bytes(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{KEPT_BYTES, Noted, Notes, NotesRef};
    use crate::record::{Facts, Value};
    use crate::semconv::Fact;

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            (-1e9..1e9).prop_map(Value::Double),
            ".{0,40}".prop_map(Value::from),
            prop::collection::vec(".{0,8}", 0..4).prop_map(Value::from),
        ]
    }

    proptest! {
        #[test]
        fn what_is_noted_is_read_back(noted in prop::collection::vec((0..Fact::ALL.len(), value()), 0..24)) {
            let (mut notes, mut facts) = (Notes::default(), Facts::default());
            for (fact, value) in noted {
                let fact = Fact::ALL[fact];
                notes.set(fact, value.clone());
                facts.set(fact, super::typed(fact, value));
            }
            prop_assert_eq!(NotesRef::of(notes.bytes()).facts(), facts);
        }
    }

    #[test]
    fn the_last_word_counts() {
        let mut notes = Notes::default();
        notes.text(Fact::RequestModel, "a");
        notes.set_default(Fact::RequestModel, "b");
        assert_eq!(notes.text_of(Fact::RequestModel), Some("a"));
        notes.text(Fact::RequestModel, "c");
        assert_eq!(notes.get(Fact::RequestModel), Some(Noted::Text("c")));
        assert_eq!(notes.get(Fact::InputTokens), None);
        notes.text(Fact::InputTokens, "12");
        assert_eq!(notes.get(Fact::InputTokens).unwrap().as_int(), Some(12));
    }

    #[test]
    fn a_buffer_that_grew_large_is_not_kept() {
        let mut notes = Notes::default();
        notes.text(Fact::UserMessage, &"x".repeat(100_000));
        notes.clear();
        assert!(notes.bytes.capacity() <= KEPT_BYTES);
        assert_eq!(notes.read().iter().count(), 0);
    }
}
