//! Finds secrets in a text and puts marks in their place, the same mark for the same secret.
//!
//! One walk over the text says where a closer look is worth it: at vendors' literals, at words of telling
//! names, at the heads of private keys. A second walk, in steps, finds long words that were drawn by chance. What is found
//! is collected first and replaced at once, so rules neither see nor spoil each other's work, and a value keeps its quotes.

mod anchors;
mod assignment;
mod chance;
mod chosen;
mod custom;
mod decoded;
mod json;
mod kinds;
mod letters;
mod list;
pub(crate) mod mark;
mod matcher;
mod name;
mod pair;
mod personal;
mod pieces;
mod private_key;
mod sign;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
mod tree;
mod value;
mod work;
mod written;

use std::borrow::Cow;
use std::cmp::Reverse;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};

use anchors::{ANCHORS, Looker};
use assignment::Progress;
pub(crate) use custom::Custom;
use decoded::Decoded;
use mark::UNAVAILABLE;
use matcher::Found;

/// A text that is not clean after these is withheld. Each one but the last leaves less to be found; most texts take one,
/// and hardly any takes three.
const MOST_PASSES: usize = 6;
/// A longer text is withheld: it would keep the thread busy for seconds, and no more than some of it would be kept.
const MOST_BYTES: usize = 256 * 1024 * 1024;

/// Takes secrets out of texts: what Hermes does to everything before it is kept or sent.
///
/// A secret is replaced by a mark, `[secret:ab12]`. The mark is made with the key of the redactor: under one key the same
/// secret has the same mark, so that one sees where it turns up, and under another key another one, so that marks of two
/// stores tell nothing. JSON stays JSON, a text that was redacted is left as it is when it is redacted again, and the time
/// it takes grows with the length of the text and no faster.
///
/// Hermes has one of its own with the key of its store; this type is for texts of your own, and to try rules.
///
/// ```
/// let redactor = hermes::Redactor::new();
/// let clean = redactor.redact("PGPASSWORD=correct-horse psql -h db");
/// assert!(clean.starts_with("PGPASSWORD=[secret:") && clean.ends_with("] psql -h db"));
/// assert_eq!(redactor.redact("nothing to hide"), "nothing to hide");
/// ```
pub struct Redactor {
    key: [u8; 16],
    rules: Rules,
}

/// What is redacted beside secrets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rules {
    /// What identifies people: addresses, numbers.
    pub(crate) personal: bool,
    /// The user's own patterns.
    pub(crate) custom: Vec<Custom>,
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

impl Default for Redactor {
    fn default() -> Self {
        Self::new()
    }
}

impl Redactor {
    /// With a key that was drawn by chance: its marks are comparable with each other, and with no others.
    #[must_use]
    pub fn new() -> Self {
        let mut key = [0; 16];
        for half in key.chunks_mut(8) {
            // Keyed anew by the standard library for each state.
            let drawn = RandomState::new().build_hasher().finish();
            half.copy_from_slice(&drawn.to_le_bytes()[..half.len()]);
        }
        Self::with_key(key, Rules::default())
    }

    /// What identifies people goes as well: e-mail addresses, telephone numbers, cards, IBANs, IP addresses, social
    /// security numbers and UUIDs, each with a mark of its own kind, `[email:ab12]`.
    #[must_use]
    pub fn personal_data(mut self) -> Self {
        self.rules.personal = true;
        self
    }

    /// A pattern of your own, in the syntax of the `regex` crate. Where it has groups, the first one is the secret.
    ///
    /// ```
    /// # fn main() -> Result<(), hermes::Error> {
    /// let redactor = hermes::Redactor::new().pattern(r"\bACME-(\d{6})\b")?;
    /// assert!(redactor.redact("badge ACME-123456").starts_with("badge ACME-[secret:"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput), and why, for a pattern that cannot be read, grows too
    /// large, or matches nothing at all everywhere.
    pub fn pattern(mut self, pattern: &str) -> Result<Self, crate::Error> {
        self.rules.custom.push(Custom::new(pattern)?);
        Ok(self)
    }

    /// The names of the kinds of secrets that are known by their form, vendor by vendor.
    ///
    /// ```
    /// assert!(hermes::Redactor::known_kinds().any(|kind| kind == "github-personal"));
    /// ```
    pub fn known_kinds() -> impl Iterator<Item = &'static str> {
        kinds::all().map(|kind| kind.id)
    }

    pub(crate) fn with_key(key: [u8; 16], rules: Rules) -> Self {
        Self { key, rules }
    }

    /// The text with a mark in place of each secret; borrowed where it stays as it is. Cut it afterwards, never before.
    ///
    /// What cannot be searched comes back as `[redaction-unavailable]`.
    #[must_use]
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.clean(text, self.rules.personal)
    }

    /// The text as [`redact`](Self::redact) makes it, with what identifies people left: for names and ids.
    pub(crate) fn redact_name<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.clean(text, false)
    }

    /// Whether a name may tell that its value is a secret.
    pub(crate) fn is_telling(name: &str) -> bool {
        name.len() <= name::MOST_BYTES
            && (name::telling(name) != name::Telling::Nothing || name::is_credential_header(name))
    }

    /// The text as [`redact`](Self::redact) makes it of one that stands under this name in JSON: all of it is the value.
    pub(crate) fn redact_under<'a>(&self, name: &str, text: &'a str) -> Cow<'a, str> {
        // What stands behind a header of this name is one by itself, but for words such as `granted`.
        let is_word = text.bytes().all(|byte| byte.is_ascii_alphabetic());
        let name = if name::is_credential_header(name) && !is_word {
            "secret"
        } else {
            name
        };
        let written = serde_json::json!({ name: text }).to_string();
        let Cow::Owned(clean) = self.redact(&written) else {
            // Words with spaces are prose about a secret elsewhere; here all of it is the value.
            let is_phrase = name::telling(name) == name::Telling::Secret
                && text.contains(char::is_whitespace)
                && !value::is_placeholder(text);
            return if is_phrase {
                Cow::Owned(mark::of(&self.key, mark::Kind::Secret, text))
            } else {
                Cow::Borrowed(text)
            };
        };
        let clean = serde_json::from_str::<serde_json::Value>(&clean).ok();
        match clean.as_ref().and_then(|clean| clean.get(name)) {
            Some(serde_json::Value::String(clean)) => Cow::Owned(clean.clone()),
            Some(clean) => Cow::Owned(clean.to_string()),
            None => unavailable(),
        }
    }

    fn clean<'a>(&self, text: &'a str, personal: bool) -> Cow<'a, str> {
        let flat = self.flat(text, personal);
        match flat {
            // Nothing was found, or JSON was not asked for.
            Cow::Owned(clean) if json::is_broken(text, &clean) => Cow::Owned(json::by_leaf(
                text,
                |leaf| self.flat(leaf, personal),
                &self.key,
            )),
            flat => flat,
        }
    }

    fn flat<'a>(&self, text: &'a str, personal: bool) -> Cow<'a, str> {
        if text.len() > MOST_BYTES {
            return unavailable();
        }
        let mut clean = Cow::Borrowed(text);
        // A mark may stand where a space kept two values apart; the passes after the first see to that, and to it that
        // redacting twice is redacting once.
        for _ in 0..MOST_PASSES {
            let Some(spans) = self.search(&clean, personal) else {
                return unavailable();
            };
            if spans.is_empty() {
                return clean;
            }
            match self.replace(&clean, spans) {
                Some(Replaced::Same) => return clean,
                Some(Replaced::Text(text)) => clean = Cow::Owned(text),
                None => return unavailable(),
            }
        }
        unavailable()
    }

    /// Every place to be replaced, in no order; `None` where it cannot be searched.
    fn search<'a>(&self, text: &'a str, personal: bool) -> Option<Vec<Span<'a>>> {
        let mut spans = self.search_written(text, personal)?;
        let mut layers: Vec<Decoded> = Vec::new();
        for _ in 0..decoded::MOST_LAYERS {
            let outer = layers.last().map_or(text, |layer| &layer.text);
            let Some(layer) = Decoded::of(outer) else {
                break;
            };
            layers.push(layer);
        }
        while let Some(layer) = layers.pop() {
            for span in self.search_decoded(&layer, personal)? {
                let outer = layers.iter().rev();
                spans.push(outer.fold(layer.written(span), |span, layer| layer.written(span)));
            }
        }
        Some(spans)
    }

    /// What is to be replaced in a decoded text, and would not be found in the written one.
    fn search_decoded<'a>(&self, layer: &'a Decoded, personal: bool) -> Option<Vec<Span<'a>>> {
        let mut spans = Vec::new();
        for part in layer.parts() {
            let text = layer.text.get(part.clone())?;
            let before = spans.len();
            for span in self.search_written(text, personal)? {
                let (start, end) = (part.start + span.start, part.start + span.end);
                spans.push(Span { start, end, ..span });
            }
            let is_cut = |span: &Span<'_>| span.end == part.end && part.end < layer.text.len();
            if spans.iter().skip(before).any(is_cut) {
                // It may go on behind the part.
                spans = self.search_written(&layer.text, personal)?;
                break;
            }
        }
        spans.retain(|span| layer.concerns(span));
        Some(spans)
    }

    /// What is to be replaced in a text as it is written.
    fn search_written<'a>(&self, text: &'a str, personal: bool) -> Option<Vec<Span<'a>>> {
        let anchors = ANCHORS.as_ref()?;
        let mut spans = Vec::new();
        let mut progress = Progress::default();
        let mut keys_done = 0;
        // Up to where each kind is done; made when the first kind is met.
        let mut kinds_done: Vec<usize> = Vec::new();
        anchors.hits(text, |start, end, lookers| {
            for looker in lookers {
                match *looker {
                    Looker::Name if start >= progress.done => {
                        assignment::look(text, start, end, &mut spans, &mut progress);
                    }
                    Looker::PrivateKey if start >= keys_done => {
                        keys_done = private_key::look(text, start, end, &mut spans);
                    }
                    Looker::Kind(number) => {
                        if kinds_done.get(number).is_some_and(|done| start < *done) {
                            continue;
                        }
                        let done = match matcher::look(text, anchors.rule(number)?, start, end) {
                            Found::Nothing => continue,
                            Found::Failed => return None,
                            Found::Passed(done) => done,
                            Found::Secret(first, last) => {
                                spans.push(Span::secret(first, last));
                                last
                            }
                        };
                        kinds_done.resize(anchors.rules().len(), 0);
                        kinds_done[number] = done;
                    }
                    Looker::Name | Looker::PrivateKey => {}
                }
            }
            Some(())
        })?;
        chance::find(text, &mut spans);
        for custom in &self.rules.custom {
            custom.find(text, &mut spans);
        }
        if personal {
            personal::find(text, &mut spans)?;
        }
        Some(spans)
    }

    fn replace<'a>(&self, text: &'a str, mut spans: Vec<Span<'a>>) -> Option<Replaced> {
        // The marks of an earlier pass stay, unless they are a part of something larger.
        spans.extend(mark::all(text).map(|mark| Span::secret(mark.start, mark.end)));
        let (mut clean, mut done, mut is_same) = (String::with_capacity(text.len()), 0, true);
        for span in merged(spans) {
            let secret = text.get(span.start..span.end)?;
            clean.push_str(text.get(done..span.start)?);
            if mark::is_whole(secret) {
                clean.push_str(secret);
            } else {
                clean.push_str(span.quote);
                clean.push_str(&mark::of(&self.key, span.kind, secret));
                clean.push_str(span.quote);
                is_same = false;
            }
            done = span.end;
        }
        clean.push_str(text.get(done..)?);
        Some(if is_same {
            Replaced::Same
        } else {
            Replaced::Text(clean)
        })
    }
}

/// In place of a text that cannot be searched: not borrowed, for then it would pass for the text itself.
fn unavailable<'a>() -> Cow<'a, str> {
    Cow::Owned(UNAVAILABLE.to_owned())
}

/// What replacing came to.
enum Replaced {
    /// All that was found were marks.
    Same,
    Text(String),
}

/// A place to be replaced; the quotes are those that a bare JSON number needs when a mark takes its place.
#[derive(Clone, Copy, Debug)]
struct Span<'a> {
    start: usize,
    end: usize,
    quote: &'a str,
    kind: mark::Kind,
}

impl Span<'_> {
    const fn secret(start: usize, end: usize) -> Self {
        Span {
            start,
            end,
            quote: "",
            kind: mark::Kind::Secret,
        }
    }
}

/// The places in their order, those that overlap made one. Of two kinds, a secret is the graver.
fn merged(mut spans: Vec<Span<'_>>) -> impl Iterator<Item = Span<'_>> {
    spans.sort_unstable_by_key(|span| (span.start, Reverse(span.end)));
    let mut spans = spans.into_iter().peekable();
    std::iter::from_fn(move || {
        let mut span = spans.next()?;
        while let Some(next) = spans.next_if(|next| next.start < span.end) {
            span.end = span.end.max(next.end);
            if next.kind == mark::Kind::Secret {
                span.kind = mark::Kind::Secret;
            }
        }
        Some(span)
    })
}
