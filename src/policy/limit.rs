//! Cuts a text to a length, after redaction, so that no character and no mark is halved, and says how much is gone.

use std::borrow::Cow;

use super::redact::mark;

/// What stands where a text was cut: `…[+1234 chars]`.
const CUT: &str = "…[+";
const CUT_END: &str = " chars]";

/// At most `max_chars` characters of the text, what says that it was cut among them.
///
/// A redaction mark that does not fit is left out whole: half a mark would look like text that leaked.
/// Where a text is cut that was cut before, the number says what is gone altogether. Where there is no
/// room for the number, `…` stands alone.
pub(crate) fn cut(text: &str, max_chars: usize) -> Cow<'_, str> {
    // A text never has more characters than bytes, so most need no counting.
    if text.len() <= max_chars {
        return Cow::Borrowed(text);
    }
    let chars = text.chars().count();
    if chars <= max_chars {
        return Cow::Borrowed(text);
    }
    let body = body(text);
    let lost = Lost {
        chars: text[..body.end].chars().count(),
        before: body.lost_before,
    };
    let Some(room) = room(max_chars, lost.chars + lost.before).filter(|room| *room > 0) else {
        return Cow::Borrowed(if max_chars > 0 { "…" } else { "" });
    };
    let end = text
        .char_indices()
        .nth(room)
        .map_or(text.len(), |(end, _)| end)
        .min(body.end);
    let end = whole_mark_before(text, end);
    let kept_chars = text[..end].chars().count();
    let mut kept = text[..end].to_owned();
    kept.push_str(&sign(lost.chars - kept_chars + lost.before));
    Cow::Owned(kept)
}

/// How many of so many characters are left beside the number of those that are not.
fn room(max_chars: usize, all: usize) -> Option<usize> {
    let beside = |lost: usize| max_chars.checked_sub(sign(lost).chars().count());
    // What is left makes the number smaller, and perhaps shorter, than if nothing were.
    beside(all.saturating_sub(beside(all)?))
}

/// What says that so many characters are gone.
pub(super) fn sign(chars: usize) -> String {
    format!("{CUT}{chars}{CUT_END}")
}

/// Where a text may end that must not go beyond `end`, so that no mark is halved.
pub(super) fn whole_mark_before(text: &str, end: usize) -> usize {
    mark::halved_at(text, end).unwrap_or(end)
}

/// How many characters are gone.
struct Lost {
    chars: usize,
    before: usize,
}

/// A text without what says that it was cut before.
pub(super) struct Body {
    pub(super) end: usize,
    pub(super) lost_before: usize,
}

/// Reads what stands at the end of a text that was cut.
pub(super) fn body(text: &str) -> Body {
    let whole = Body {
        end: text.len(),
        lost_before: 0,
    };
    let Some(rest) = text.strip_suffix(CUT_END) else {
        return whole;
    };
    let digits = rest.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (rest, digits) = rest.split_at(rest.len() - digits);
    match (rest.strip_suffix(CUT), digits.parse()) {
        (Some(body), Ok(lost_before)) => Body {
            end: body.len(),
            lost_before,
        },
        _ => whole,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_cut_at_characters_and_say_how_much_is_gone() {
        let long = "a".repeat(100);
        let cases = [
            ("", 0, ""),
            ("", 5, ""),
            ("abc", 0, ""),
            ("abc", 1, "…"),
            ("abc", 2, "…"),
            ("abc", 3, "abc"),
            ("äöü", 3, "äöü"),
            ("äöüß", 3, "…"),
            (&long, 20, "aaaaaaaa…[+92 chars]"),
            (&"😀".repeat(50), 20, "😀😀😀😀😀😀😀😀…[+42 chars]"),
            (
                "a key [secret:ab12] and more words",
                25,
                "a key …[+28 chars]",
            ),
            (
                "a key [secret:ab12] and more words of it",
                31,
                "a key [secret:ab12]…[+21 chars]",
            ),
            (
                "it is [redaction-unavailable] here, and on and on",
                30,
                "it is …[+43 chars]",
            ),
        ];
        for (text, max_chars, expected) in cases {
            let kept = cut(text, max_chars);
            assert!(kept.chars().count() <= max_chars, "{kept}");
            assert_eq!(kept, expected, "{text} to {max_chars}");
        }
    }

    #[test]
    fn what_is_cut_twice_says_what_is_gone_altogether() {
        let text = "word ".repeat(1000);
        let twice = cut(&cut(&text, 500), 100).into_owned();
        assert_eq!(twice, cut(&text, 100));
        assert!(twice.ends_with("…[+4914 chars]"), "{twice}");
    }

    #[test]
    fn short_texts_are_not_copied() {
        assert!(matches!(cut("short", 500), Cow::Borrowed("short")));
        assert!(matches!(cut("äöü", 3), Cow::Borrowed(_)));
    }

    proptest! {
        #[test]
        fn no_mark_is_halved(
            parts in prop::collection::vec("([a-zé😀 ]{0,9}|\\[secret:[0-9a-f]{4}\\]|\\[email:[0-9a-f]{4}\\])", 0..20),
            max in 0_usize..120,
        ) {
            let text = parts.concat();
            let kept = cut(&text, max);
            prop_assert!(kept.chars().count() <= max);
            prop_assert_eq!(cut(&kept, max), kept.as_ref());
            let body = &kept[..body(&kept).end];
            let whole = body.matches("[secret:").count() + body.matches("[email:").count();
            prop_assert_eq!(body.matches('[').count(), whole);
            prop_assert_eq!(body.matches(']').count(), whole, "{}", kept);
        }
    }
}
