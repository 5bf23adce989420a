//! Reads and writes `baggage` as W3C says: an entry that is wrong is left out, the others stay.

use std::fmt::Write;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use crate::record::{Baggage, BaggageEntry};

/// Limits of the specification (<https://www.w3.org/TR/baggage/>, section 3.3.2).
const MAX_ENTRIES: usize = 64;
const MAX_BYTES: usize = 8192;

/// All that may not stand in a value as it is.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b',')
    .add(b';')
    .add(b'\\')
    .add(b'%');

/// The entries of the headers.
pub(super) fn read<'a>(headers: impl Iterator<Item = &'a str>) -> Baggage {
    let (mut baggage, mut bytes) = (Baggage::default(), 0);
    for member in headers.flat_map(|header| header.split(',')) {
        bytes += member.len() + 1;
        if bytes > MAX_BYTES + 1 || baggage.entries().len() == MAX_ENTRIES {
            break;
        }
        if let Some(entry) = entry(member) {
            baggage.put(entry);
        }
    }
    baggage
}

/// The header that says the same; `None` where there is nothing to say.
pub(super) fn write(baggage: &Baggage) -> Option<String> {
    let mut header = String::new();
    for entry in baggage.entries().iter().take(MAX_ENTRIES) {
        let before = header.len();
        if before > 0 {
            header.push(',');
        }
        let value = utf8_percent_encode(&entry.value, ENCODED);
        let _ = write!(header, "{}={value}{}", entry.key, entry.properties);
        if header.len() > MAX_BYTES {
            header.truncate(before);
        }
    }
    Some(header).filter(|header| !header.is_empty())
}

fn entry(member: &str) -> Option<BaggageEntry> {
    let (pair, properties) = match member.find(';') {
        Some(at) => member.split_at(at),
        None => (member, ""),
    };
    let (key, value) = pair.split_once('=')?;
    let (key, value) = (
        key.trim_matches([' ', '\t']),
        value.trim_matches([' ', '\t']),
    );
    let properties = properties.trim_end_matches([' ', '\t']);
    let is_plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ' || byte == b'\t';
    let is_right = is_token(key) && is_encoded(value) && properties.bytes().all(is_plain);
    is_right.then(|| BaggageEntry {
        key: key.to_owned(),
        value: percent_decode_str(value).decode_utf8_lossy().into_owned(),
        properties: properties.to_owned(),
    })
}

/// A token of HTTP.
pub(super) fn is_token(word: &str) -> bool {
    let is_token_char =
        |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !word.is_empty() && word.bytes().all(is_token_char)
}

/// Whether a value is made of the characters allowed, and every `%` is one of a pair of digits.
fn is_encoded(value: &str) -> bool {
    let bytes = value.as_bytes();
    bytes.iter().enumerate().all(|(at, byte)| match byte {
        b'%' => bytes
            .get(at + 1..at + 3)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)),
        b' ' | b'"' | b',' | b';' | b'\\' => false,
        byte => byte.is_ascii_graphic(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{read, write};
    use crate::record::{Baggage, BaggageEntry};

    fn of(header: &str) -> Baggage {
        read([header].into_iter())
    }

    fn pairs(header: &str) -> Vec<(String, String)> {
        let baggage = of(header);
        let pairs = baggage.iter();
        pairs
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect()
    }

    #[test]
    fn entries_are_read_and_written_again() {
        let header = "a=1, b = two%20words;prop=x;flag ,c=%C3%A9";
        let baggage = of(header);
        assert_eq!(baggage.get("a"), Some("1"));
        assert_eq!(baggage.get("b"), Some("two words"));
        assert_eq!(baggage.get("c"), Some("é"));
        let written = write(&baggage).unwrap();
        assert_eq!(written, "a=1,b=two%20words;prop=x;flag,c=%C3%A9");
        assert_eq!(of(&written), baggage);
        assert_eq!(write(&Baggage::default()), None);
    }

    #[test]
    fn a_wrong_entry_costs_only_itself() {
        for wrong in [
            "b", "=2", "b c=2", "b=%zz", "b=%2", "b=a b", "b=\"q\"", "b=é", "b=1;é", "",
        ] {
            let header = format!("a=1,{wrong},c=3");
            let expected = [("a", "1"), ("c", "3")].map(|(k, v)| (k.to_owned(), v.to_owned()));
            assert_eq!(pairs(&header), expected, "{wrong}");
        }
        assert_eq!(of("a=%FF").get("a"), Some("\u{fffd}"), "no UTF-8");
        assert_eq!(of("a=1,a=2").get("a"), Some("2"));
    }

    #[test]
    fn it_has_its_limits() {
        let many: Vec<_> = (0..70).map(|number| format!("k{number}=v")).collect();
        assert_eq!(of(&many.join(",")).iter().count(), 64);
        let long = format!("a=1,b={}", "x".repeat(9000));
        assert_eq!(pairs(&long).len(), 1);
        let mut baggage = of("a=1");
        baggage.put(BaggageEntry {
            key: "b".to_owned(),
            value: " ".repeat(3000),
            properties: String::new(),
        });
        assert_eq!(write(&baggage).as_deref(), Some("a=1"));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(key in "[a-zA-Z0-9.!#$_-]{1,9}", value in "\\PC{0,20}") {
            let mut baggage = Baggage::default();
            baggage.put(BaggageEntry { key: key.clone(), value: value.clone(), properties: String::new() });
            prop_assert_eq!(of(&write(&baggage).unwrap()), baggage);
        }

        #[test]
        fn nothing_that_comes_in_panics(header in "\\PC{0,80}") {
            let _ = write(&of(&header));
        }
    }
}
