//! Shows a text as whoever reads it will: `%70assword%3Dx` and `\u0070assword\u003dx` hold the same secret as `password=x`.
//!
//! What is found in the decoded text is replaced where it is written. Only what stands for ASCII is decoded: names,
//! quotes and keys consist of nothing else.

use std::ops::Range;

use super::{Span, work};

/// Percent codes within percent codes: an address in the query of another one's query.
pub(super) const MOST_LAYERS: usize = 3;

/// What is read around an escape: only there does the decoded text say what the written one does not.
const BEFORE: usize = 512;
const BEHIND: usize = 1024;
/// How far before a secret an escape may be a part of its name.
const NAME: usize = 128;

/// A text with its escapes decoded, and where they were.
pub(super) struct Decoded {
    pub(super) text: String,
    /// For each escape: where its letter stands in the decoded text, and by how much the escapes up to it were longer
    /// than their letters.
    escapes: Vec<(usize, usize)>,
}

impl Decoded {
    /// `None` for a text without escapes.
    pub(super) fn of(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        // Most texts have none.
        let mut signs = memchr::memchr2_iter(b'%', b'\\', bytes);
        let first = signs.find(|at| escape_at(bytes, *at).is_some())?;
        let mut decoded = Decoded {
            text: String::with_capacity(text.len()),
            escapes: Vec::new(),
        };
        let (mut done, mut longer) = (0, 0);
        for at in std::iter::once(first).chain(signs) {
            if at < done {
                continue;
            }
            let Some((letter, length)) = escape_at(bytes, at) else {
                continue;
            };
            decoded.text.push_str(text.get(done..at)?);
            longer += length - 1;
            decoded.escapes.push((decoded.text.len(), longer));
            decoded.text.push(char::from(letter));
            done = at + length;
        }
        decoded.text.push_str(text.get(done..)?);
        work::did(text.len());
        Some(decoded)
    }

    /// The parts of the decoded text that are near escapes, in their order; each begins behind a blank, where there is
    /// one.
    pub(super) fn parts(&self) -> Vec<Range<usize>> {
        let mut parts: Vec<Range<usize>> = Vec::new();
        for (letter, _) in &self.escapes {
            let (start, end) = (letter.saturating_sub(BEFORE), letter + 1 + BEHIND);
            match parts.last_mut() {
                Some(last) if start <= last.end => last.end = end,
                _ => parts.push(start..end),
            }
        }
        let is_bound = |place: &usize| self.text.is_char_boundary(*place);
        for part in &mut parts {
            let end = part.end.min(self.text.len());
            part.end = (end..=self.text.len()).find(is_bound).unwrap_or(end);
            let near = self.text.as_bytes().iter().skip(part.start);
            let blank = near
                .take(BEFORE / 2)
                .position(u8::is_ascii_whitespace)
                .filter(|_| part.start > 0);
            let start = part.start + blank.unwrap_or(0);
            part.start = (start..=part.end).find(is_bound).unwrap_or(part.end);
        }
        parts
    }

    /// Whether an escape is a part of the secret or of what names it.
    pub(super) fn concerns(&self, span: &Span<'_>) -> bool {
        let from = span.start.saturating_sub(NAME);
        let next = self.escapes.partition_point(|(letter, _)| *letter < from);
        let next = self.escapes.get(next);
        next.is_some_and(|(letter, _)| *letter <= span.end)
    }

    /// The place in the text as it was written; its quote is lost, for which the text is looked over as JSON afterwards.
    pub(super) fn written<'a>(&self, span: Span<'_>) -> Span<'a> {
        Span {
            start: self.place(span.start),
            end: self.place(span.end),
            quote: "",
            kind: span.kind,
        }
    }

    fn place(&self, place: usize) -> usize {
        let before = self.escapes.partition_point(|(letter, _)| *letter < place);
        let longer = before.checked_sub(1).map_or(0, |last| self.escapes[last].1);
        place + longer
    }
}

/// The letter that the escape at this place stands for, and how long the escape is.
fn escape_at(bytes: &[u8], at: usize) -> Option<(u8, usize)> {
    let rest = bytes.get(at..)?;
    let head = if rest.starts_with(b"%") {
        1
    } else if rest.starts_with(br"\x") {
        2
    } else if rest.starts_with(br"\u00") {
        4
    } else {
        return None;
    };
    let digits = std::str::from_utf8(rest.get(head..head + 2)?).ok()?;
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let letter = u8::from_str_radix(digits, 16).ok()?;
    (is_hex && letter.is_ascii()).then_some((letter, head + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_written_text() {
        let written = r"é%41b\u0043d\x45 100% \u00e9 %zz";
        let decoded = Decoded::of(written).unwrap();
        assert_eq!(decoded.text, r"éAbCdE 100% \u00e9 %zz");
        for (letters, as_written) in [
            ("A", "%41"),
            ("AbC", r"%41b\u0043"),
            ("b", "b"),
            ("dE", r"d\x45"),
            (" 100", " 100"),
        ] {
            let start = decoded.text.find(letters).unwrap();
            let span = decoded.written(Span::secret(start, start + letters.len()));
            assert_eq!(&written[span.start..span.end], as_written);
        }
    }

    #[test]
    fn what_is_far_from_escapes_is_not_read_again() {
        let text = format!("{0} %41 {0} %42%43 {0}", "é word".repeat(1_000));
        let decoded = Decoded::of(&text).unwrap();
        let parts = decoded.parts();
        assert_eq!(parts.len(), 2);
        for (part, letters) in parts.iter().zip([" A ", " BC "]) {
            let text = &decoded.text[part.clone()];
            assert!(text.contains(letters) && text.starts_with(' '), "{text}");
            assert!(text.len() < 2_000, "{}", text.len());
        }
        let place = decoded.text.find("BC").unwrap();
        assert!(decoded.concerns(&Span::secret(place + 20, place + 40)));
        assert!(!decoded.concerns(&Span::secret(place + 400, place + 440)));
    }

    #[test]
    fn a_text_without_escapes_is_not_copied() {
        for text in ["", "100 %", r"C:\new\user", "%", r"\u12", "é%e9", r"\u00e9"] {
            assert!(Decoded::of(text).is_none(), "{text}");
        }
    }
}
