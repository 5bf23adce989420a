//! Draws keys of a form by chance, the same ones for the same seed.

/// A generator of numbers (`SplitMix64`): small, and good enough to draw letters.
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) const fn new(seed: u64) -> Self {
        Draw(seed)
    }

    pub(crate) fn number(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed >> 11).unwrap_or(0) % below.max(1)
    }

    pub(crate) fn one_of<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.number(words.len())]
    }

    pub(crate) fn letters(&mut self, alphabet: &str, count: usize) -> String {
        let letters = alphabet.as_bytes();
        (0..count)
            .map(|_| char::from(letters[self.number(letters.len())]))
            .collect()
    }

    /// The form with each `{class count}` drawn: `ghp_{a36}` is the prefix and 36 letters and digits.
    pub(crate) fn form(&mut self, form: &str) -> String {
        let mut drawn = String::new();
        let mut rest = form;
        while let Some((before, behind)) = rest.split_once('{') {
            let Some((class, after)) = behind.split_once('}') else {
                break;
            };
            drawn.push_str(before);
            let (class, count) = class.split_at(1);
            let count = count.parse().unwrap_or(1);
            drawn.push_str(&self.letters(alphabet(class), count));
            rest = after;
        }
        drawn.push_str(rest);
        drawn
    }
}

fn alphabet(class: &str) -> &'static str {
    match class {
        "d" => "0123456789",
        "h" => "0123456789abcdef",
        "H" => "0123456789ABCDEF",
        "l" => "abcdefghijklmnopqrstuvwxyz",
        "n" => "abcdefghijklmnopqrstuvwxyz0123456789",
        "U" => "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
        "3" => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
        "w" => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-",
        "b" => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        "q" => "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
        _ => "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
    }
}
