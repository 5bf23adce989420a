//! Cuts a text to a length, after redaction, so that neither a character nor the mark of a secret is halved.

use std::borrow::Cow;

use super::redact::mark;

/// What stands where a text was cut.
const CUT: char = '…';

/// At most `max_chars` characters of the text, the mark of the cut among them.
///
/// A mark of a redaction that does not fit is left out whole: half of one would look like text that leaked.
pub(crate) fn cut(text: &str, max_chars: usize) -> Cow<'_, str> {
    // A text never has more characters than bytes, so most need no counting.
    if text.len() <= max_chars {
        return Cow::Borrowed(text);
    }
    let Some(room) = max_chars.checked_sub(1) else {
        return Cow::Borrowed("");
    };
    let mut places = text.char_indices().map(|(place, _)| place).skip(room);
    let Some(end) = places.next() else {
        return Cow::Borrowed(text);
    };
    if places.next().is_none() {
        return Cow::Borrowed(text);
    }
    let end = mark::halved_at(text, end).unwrap_or(end);
    let mut kept = String::with_capacity(end + CUT.len_utf8());
    kept.push_str(&text[..end]);
    kept.push(CUT);
    Cow::Owned(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_at_characters() {
        let cases = [
            ("", 0, ""),
            ("", 5, ""),
            ("abc", 0, ""),
            ("abc", 1, "…"),
            ("abc", 2, "a…"),
            ("abc", 3, "abc"),
            ("äöü", 3, "äöü"),
            ("äöüß", 3, "äö…"),
            ("😀😀😀", 2, "😀…"),
            ("key [secret:ab12]", 17, "key [secret:ab12]"),
            ("key [secret:ab12]!", 18, "key [secret:ab12]!"),
            ("key [secret:ab12]!!", 18, "key [secret:ab12]…"),
            ("key [secret:ab12]!", 17, "key …"),
            ("key [secret:ab12]!", 6, "key …"),
            ("key [secret:ab12]!", 5, "key …"),
            ("key [secret:ab12]!", 4, "key…"),
            ("[secret:ab12][secret:cd34]", 20, "[secret:ab12]…"),
            ("[secret: is a word", 10, "[secret: …"),
        ];
        for (text, max_chars, expected) in cases {
            let kept = cut(text, max_chars);
            assert_eq!(kept, expected, "{text} to {max_chars}");
            assert!(kept.chars().count() <= max_chars);
        }
    }

    #[test]
    fn short_texts_are_not_copied() {
        assert!(matches!(cut("short", 500), Cow::Borrowed("short")));
        assert!(matches!(cut("äöü", 3), Cow::Borrowed(_)));
    }
}
