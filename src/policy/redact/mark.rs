//! Marks, which stand where something was: `[secret:ab12]`. The same secret has the same mark in one store.

use std::hash::Hasher;
use std::ops::Range;

use siphasher::sip::SipHasher13;

/// What a mark says was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Secret,
    Email,
    Phone,
    Card,
    Iban,
    Ip,
    Ssn,
    Uuid,
}

impl Kind {
    const ALL: [Kind; 8] = [
        Kind::Secret,
        Kind::Email,
        Kind::Phone,
        Kind::Card,
        Kind::Iban,
        Kind::Ip,
        Kind::Ssn,
        Kind::Uuid,
    ];

    const fn word(self) -> &'static str {
        match self {
            Kind::Secret => "secret",
            Kind::Email => "email",
            Kind::Phone => "phone",
            Kind::Card => "card",
            Kind::Iban => "iban",
            Kind::Ip => "ip",
            Kind::Ssn => "ssn",
            Kind::Uuid => "uuid",
        }
    }
}

/// Digits of the keyed hash in a mark.
const DIGITS: usize = 4;
/// What stands for a text that could not be searched: the raw text never does.
pub(super) const UNAVAILABLE: &str = "[redaction-unavailable]";
/// The longest that stands for something else.
const MOST_BYTES: usize = UNAVAILABLE.len();

/// The mark of a text. Without the key, nobody can try which text it stands for.
pub(super) fn of(key: &[u8; 16], kind: Kind, text: &str) -> String {
    let mut hasher = SipHasher13::new_with_key(key);
    // The same secret is written with more backslashes in JSON inside JSON; its mark stays the same.
    for part in text.split('\\') {
        hasher.write(part.as_bytes());
    }
    format!("[{}:{:04x}]", kind.word(), hasher.finish() & 0xffff)
}

/// The mark that begins at a place, as the place where it ends.
pub(crate) fn at(text: &str, start: usize) -> Option<usize> {
    let rest = text.as_bytes().get(start..)?.strip_prefix(b"[")?;
    Kind::ALL.iter().find_map(|kind| {
        let rest = rest.strip_prefix(kind.word().as_bytes())?;
        let digits = rest.strip_prefix(b":")?.get(..=DIGITS)?;
        let is_mark = digits[DIGITS] == b']'
            && digits[..DIGITS]
                .iter()
                .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        is_mark.then_some(start + 1 + kind.word().len() + 1 + DIGITS + 1)
    })
}

/// The first mark in a text.
pub(super) fn first(text: &str) -> Option<Range<usize>> {
    let brackets = text.match_indices('[');
    brackets
        .into_iter()
        .find_map(|(start, _)| Some(start..at(text, start)?))
}

/// All marks in a text.
pub(super) fn all(text: &str) -> impl Iterator<Item = Range<usize>> {
    let brackets = text.match_indices('[');
    brackets.filter_map(|(start, _)| Some(start..at(text, start)?))
}

/// Whether the text is one mark and nothing else.
pub(super) fn is_whole(text: &str) -> bool {
    at(text, 0) == Some(text.len())
}

/// Where the mark begins that a cut at this place would halve.
pub(crate) fn halved_at(text: &str, cut: usize) -> Option<usize> {
    let nearest = cut.saturating_sub(MOST_BYTES - 1);
    (nearest..cut).rev().find(|start| {
        let is_unavailable = || text.as_bytes()[*start..].starts_with(UNAVAILABLE.as_bytes());
        let end =
            at(text, *start).or_else(|| is_unavailable().then_some(start + UNAVAILABLE.len()));
        end.is_some_and(|end| end > cut)
    })
}

#[cfg(test)]
mod tests {
    use super::{Kind, MOST_BYTES, at, halved_at, is_whole, of};

    #[test]
    fn marks_are_known_for_what_they_are() {
        for kind in Kind::ALL {
            let mark = of(&[7; 16], kind, "x");
            assert!(is_whole(&mark) && mark.len() <= MOST_BYTES, "{mark}");
            assert_eq!(at(&format!("a{mark}"), 1), Some(1 + mark.len()));
            assert_eq!(halved_at(&format!("a{mark}b"), 3), Some(1));
            assert_eq!(halved_at(&format!("a{mark}b"), 1 + mark.len()), None);
        }
        for text in [
            "[secret:AB12]",
            "[secret:ab1]",
            "[secret:ab123]",
            "[word:ab12]",
            "[secret:",
            "",
        ] {
            assert_eq!(at(text, 0), None, "{text}");
        }
        assert_eq!(halved_at("a[redaction-unavailable]", 12), Some(1));
        assert_eq!(halved_at("a[redaction-unavailable]", 24), None);
    }

    #[test]
    fn a_mark_tells_keys_and_texts_apart_and_no_backslashes() {
        assert_eq!(
            of(&[7; 16], Kind::Secret, r"a\\b"),
            of(&[7; 16], Kind::Secret, "ab")
        );
        assert_ne!(
            of(&[7; 16], Kind::Secret, "ab"),
            of(&[8; 16], Kind::Secret, "ab")
        );
        assert_ne!(
            of(&[7; 16], Kind::Secret, "ab"),
            of(&[7; 16], Kind::Secret, "ac")
        );
    }
}
