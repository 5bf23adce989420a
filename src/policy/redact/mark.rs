//! Two letters decide most texts: without one of these pairs no needle can be in it, and nothing is searched.
//!
//! Identifiers, model names and numbers as text are what nearly every value is. They cost a table look-up per byte.

/// Pairs of letters, of which each text that a needle matches holds one. Chosen to be rare in identifiers.
const MARKS: &str = "\
    sk k_ xa hf g_ r8 vl lx nv fw tg ji sv b_ fc m0 fy za q. ya /0 px bi cc bs q~ _v ku da hv dp pu sb gh gl pm yg ci \
    kr sq sg nf sn hx n_ xo ks sc :a wh hp tn gd t3 tb fp aa pa yj au ws e= be ba ki db cu wg cl ie yp ss hr wd \
    pw cr ke si jw hm nn mn -- nr";

/// Before this one there is a blank, which parts the others.
const BLANK_MARK: [u8; 2] = *b" l";

/// Behind any letter, it is one: the needles of URLs want it.
const SECOND_MARK: u8 = b'@';

/// Bytes looked at before it is asked what was found.
const PIECE: usize = 64;

/// Seven bits of either byte make a place, and each place is one bit.
const PLACES: usize = 1 << 14;

static IS_MARK: [u64; PLACES / 64] = table();

/// Whether a pair stands in the text. A letter is the same in upper and in lower case.
pub(super) fn is_in(text: &str) -> bool {
    let (mut pair, mut found) = (0, 0);
    // No branch but at the end of a piece: identifiers are shorter than one.
    for piece in text.as_bytes().chunks(PIECE) {
        for &byte in piece {
            pair = (pair << 7 | fold(byte)) % PLACES;
            found |= IS_MARK[pair / 64] >> (pair % 64);
        }
        if found & 1 != 0 {
            return true;
        }
    }
    false
}

/// Letters of both cases and a few signs fall together, which finds too much rather than too little.
const fn fold(byte: u8) -> usize {
    (byte | 0x20) as usize & 0x7f
}

const fn place(first: u8, second: u8) -> usize {
    fold(first) << 7 | fold(second)
}

const fn table() -> [u64; PLACES / 64] {
    let mut table = [0; PLACES / 64];
    let marks = MARKS.as_bytes();
    let mut at = 0;
    while at + 1 < marks.len() {
        let place = place(marks[at], marks[at + 1]);
        table[place / 64] |= 1 << (place % 64);
        at += 3;
    }
    let blank = place(BLANK_MARK[0], BLANK_MARK[1]);
    table[blank / 64] |= 1 << (blank % 64);
    let mut first = 0;
    while first < 128 {
        let place = place(first, SECOND_MARK);
        table[place / 64] |= 1 << (place % 64);
        first += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::string::bytes_regex;
    use proptest::test_runner::TestRunner;

    use super::super::{NEEDLES, Redactor, name, private_key};
    use super::{MARKS, is_in};
    use crate::policy::patterns::SHAPES;

    #[test]
    fn the_marks_are_pairs() {
        assert!(MARKS.split(' ').all(|mark| mark.len() == 2), "{MARKS}");
    }

    /// What the needles match is made of the needles, many times over, so that every branch of each is met.
    #[test]
    fn whatever_a_needle_matches_holds_a_mark() {
        let needles = SHAPES.iter().map(|shape| shape.needle);
        for needle in needles.chain([name::NEEDLE, private_key::NEEDLE]) {
            let matched = bytes_regex(&format!("(?-u){needle}")).unwrap();
            TestRunner::default()
                .run(&matched, |bytes| {
                    let text = String::from_utf8_lossy(&bytes);
                    prop_assert!(is_in(&text), "{needle}: {text:?}");
                    Ok(())
                })
                .unwrap_or_else(|error| panic!("{needle}: {error}"));
        }
    }

    proptest! {
        #[test]
        fn a_text_without_a_mark_has_no_needle(text in "(?s).{0,60}|[ -~]{0,60}|[a-z0-9_.:/@-]{0,40}") {
            prop_assert!(is_in(&text) || !NEEDLES.as_ref().unwrap().is_match(&text), "{}", text);
        }

        #[test]
        fn the_short_way_and_the_long_way_come_to_the_same(
            text in "([a-zA-Z_-]{0,8}(sk-|ghp_|password|api_key|://|@|Bearer | ?[=:] ?|[a-zA-Z0-9]{0,40})){0,5}",
        ) {
            let redactor = Redactor::new([7; 16]);
            prop_assert_eq!(redactor.redact(&text), redactor.search(&text));
        }
    }
}
