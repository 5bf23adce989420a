//! Finds what identifies people: addresses and numbers, each by its own rules of form and checksum.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::ops::Range;
use std::sync::LazyLock;

use regex::{Regex, RegexBuilder};

use super::Span;
use super::mark::Kind;

/// What one kind of personal data looks like, and what it has to stand besides.
struct Form {
    kind: Kind,
    pattern: Regex,
    test: fn(&str, Range<usize>) -> bool,
}

/// Numbers that hold others come first: a card is no telephone number.
static FORMS: LazyLock<Option<Vec<Form>>> = LazyLock::new(|| {
    let form = |kind: Kind, pattern: &str, test: fn(&str, Range<usize>) -> bool| {
        let pattern = RegexBuilder::new(pattern).build().ok()?;
        Some(Form {
            kind,
            pattern,
            test,
        })
    };
    Some(vec![
        form(
            Kind::Uuid,
            r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}",
            stands_alone,
        )?,
        form(
            Kind::Iban,
            r"[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,3})?",
            is_iban,
        )?,
        form(Kind::Card, r"[0-9](?:[ -]?[0-9]){12,18}", is_card)?,
        form(Kind::Ssn, r"[0-9]{3}[- ][0-9]{2}[- ][0-9]{4}", is_ssn)?,
        form(Kind::Ip, r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}", is_ipv4)?,
        form(
            Kind::Ip,
            r"(?:[0-9A-Fa-f]{1,4}::?){2,7}[0-9A-Fa-f]{1,4}",
            is_ipv6,
        )?,
        form(
            Kind::Phone,
            r"(?:\+|\b00)[ ]?[1-9](?:[ ./()-]{0,3}[0-9]){6,14}",
            is_international,
        )?,
        form(
            Kind::Phone,
            r"(?:1[ .-])?\(?[2-9][0-9]{2}\)?[ .-]{1,2}[2-9][0-9]{2}[ .-][0-9]{4}",
            is_american,
        )?,
        form(
            Kind::Phone,
            r"[(]?[0-9](?:[ ./()-]{0,2}[0-9]){5,14}",
            is_called,
        )?,
    ])
});

/// `None` where it cannot be searched.
pub(super) fn find(text: &str, spans: &mut Vec<Span<'_>>) -> Option<()> {
    // What is found already, by where it begins: each place is taken once.
    let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
    for place in emails(text) {
        taken.insert(place.start, place.end);
        spans.push(Span {
            start: place.start,
            end: place.end,
            quote: "",
            kind: Kind::Email,
        });
    }
    for form in FORMS.as_ref()? {
        for found in form.pattern.find_iter(text) {
            let place = trimmed(text, found.range());
            let before = taken.range(..place.end).next_back();
            let is_free = before.is_none_or(|(_, end)| *end <= place.start);
            if is_free && !place.is_empty() && (form.test)(text, place.clone()) {
                taken.insert(place.start, place.end);
                spans.push(Span {
                    start: place.start,
                    end: place.end,
                    quote: "",
                    kind: form.kind,
                });
            }
        }
    }
    Some(())
}

/// Without the signs at either end that belong to the sentence.
fn trimmed(text: &str, place: Range<usize>) -> Range<usize> {
    let found = text.get(place.clone()).unwrap_or_default();
    let kept = found.trim_start_matches(['\'', '.', '-', '%']);
    let start = place.end - kept.len();
    start..start + kept.trim_end_matches([' ', '-', '.']).len()
}

fn before(text: &str, place: &Range<usize>) -> Option<char> {
    text.get(..place.start)?.chars().next_back()
}

fn after(text: &str, place: &Range<usize>) -> Option<char> {
    text.get(place.end..)?.chars().next()
}

/// The letters before a place, in lower case.
fn words_before(text: &str, place: &Range<usize>) -> String {
    let before = text.get(..place.start).unwrap_or_default();
    let start = before.char_indices().rev().take(28).last();
    let near = before.get(start.map_or(0, |(start, _)| start)..);
    near.unwrap_or_default().to_lowercase()
}

/// No word and no number goes on at either end.
fn stands_alone(text: &str, place: Range<usize>) -> bool {
    // The letter of an escape is no part of what follows it.
    let escaped = text.get(..place.start).is_some_and(|before| {
        ["\\n", "\\r", "\\t"]
            .iter()
            .any(|escape| before.ends_with(escape))
    });
    let goes_on =
        |sign: Option<char>| sign.is_some_and(|sign| sign.is_alphanumeric() || sign == '_');
    (escaped || !goes_on(before(text, &place))) && !goes_on(after(text, &place))
}

/// The longest part before the sign of an address, and the longest behind it.
const LOCAL: usize = 64;
const DOMAIN: usize = 253;

/// Addresses, each found by its sign: `@`, or `%40` in a query.
fn emails(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let signs = text.match_indices('@').map(|(at, _)| (at, at + 1));
    let codes = text.match_indices("%40").map(|(at, _)| (at, at + 3));
    for (at, behind) in signs.chain(codes) {
        let is_local = |sign: &char| sign.is_alphanumeric() || "._%+'-".contains(*sign);
        let local: usize = text[..at]
            .chars()
            .rev()
            .take(LOCAL)
            .take_while(is_local)
            .map(char::len_utf8)
            .sum();
        let is_domain = |sign: &char| sign.is_alphanumeric() || matches!(sign, '.' | '-');
        let domain: usize = text[behind..]
            .chars()
            .take(DOMAIN)
            .take_while(is_domain)
            .map(char::len_utf8)
            .sum();
        let place = trimmed(text, at - local..behind + domain);
        if place.start < at
            && place.end > behind
            && is_email(text, place.start..at, behind..place.end)
        {
            found.push(place);
        }
    }
    found
}

fn is_email(text: &str, local: Range<usize>, domain: Range<usize>) -> bool {
    let (local, domain) = (&text[local], &text[domain]);
    let mut labels = domain.rsplit('.');
    let ending = labels.next().unwrap_or_default().to_lowercase();
    let is_ending =
        (2..=24).contains(&ending.chars().count()) && ending.chars().all(char::is_alphabetic);
    let has_name = labels.clone().count() > 0 && labels.all(|label| !label.is_empty());
    // `git@host:path` is an address of a machine, `icon@2x.png` a file.
    let is_scaled =
        domain.starts_with(|first: char| first.is_ascii_digit()) && domain.contains('x');
    let is_file = FILES.split('|').any(|file| file == ending);
    is_ending && has_name && local != "git" && !is_file && !is_scaled
}

fn digits(text: &str) -> impl Iterator<Item = u32> + Clone {
    text.chars().filter_map(|sign| sign.to_digit(10))
}

/// The checksum of cards, and a number that a network of cards gives out.
fn is_card(text: &str, place: Range<usize>) -> bool {
    let number: String = text[place.clone()]
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    let begins = |first: u32, last: u32| {
        let digits = first.to_string().len();
        let head = number
            .get(..digits)
            .and_then(|head| head.parse::<u32>().ok());
        head.is_some_and(|head| (first..=last).contains(&head))
    };
    let is_issued = match number.len() {
        13 | 19 => begins(4, 4) || begins(62, 62),
        14 => begins(36, 36) || begins(38, 38) || begins(300, 305),
        15 => begins(34, 34) || begins(37, 37),
        16 => {
            begins(4, 4)
                || begins(51, 55)
                || begins(2221, 2720)
                || begins(6011, 6011)
                || begins(644, 659)
                || begins(3528, 3589)
                || begins(62, 62)
                || begins(60, 60)
        }
        _ => false,
    };
    let sum: u32 = digits(&number)
        .collect::<Vec<_>>()
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match place % 2 {
            0 => *digit,
            _ => digit * 2 / 10 + digit * 2 % 10,
        })
        .sum();
    is_issued && sum.is_multiple_of(10) && is_number_alone(text, &place)
}

/// No digits, points or signs go on at either end, as they do in ids, decimals and versions.
fn is_number_alone(text: &str, place: &Range<usize>) -> bool {
    let goes_on = |sign: Option<char>| {
        sign.is_some_and(|sign| sign.is_alphanumeric() || "_.-+#$".contains(sign))
    };
    let follows = after(text, place);
    let is_end = follows.is_none_or(|sign| !sign.is_alphanumeric() && !"_-".contains(sign))
        && !text[place.end..]
            .strip_prefix('.')
            .is_some_and(|rest| rest.starts_with(|next: char| next.is_ascii_digit()));
    (!goes_on(before(text, place))
        || stands_alone(text, place.clone())
            && before(text, place).is_some_and(char::is_alphabetic))
        && is_end
}

/// Bank account numbers sum to one modulo 97.
fn is_iban(text: &str, place: Range<usize>) -> bool {
    let number: String = text[place.clone()]
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .collect();
    if !(15..=34).contains(&number.len()) {
        return false;
    }
    let (head, body) = number.split_at(4);
    let rest = body
        .chars()
        .chain(head.chars())
        .try_fold(0_u32, |rest, sign| {
            let value = sign.to_digit(36)?;
            Some(
                if value < 10 {
                    rest * 10 + value
                } else {
                    rest * 100 + value
                } % 97,
            )
        });
    rest == Some(1) && stands_alone(text, place)
}

fn is_ssn(text: &str, place: Range<usize>) -> bool {
    let number = &text[place.clone()];
    let parts: Vec<u32> = number
        .split(['-', ' '])
        .filter_map(|part| part.parse().ok())
        .collect();
    let [area, group, serial] = parts[..] else {
        return false;
    };
    let is_issued = area != 0 && area != 666 && area < 900 && group != 0 && serial != 0;
    let context = words_before(text, &place);
    let is_said = context.contains("ssn") || context.contains("social");
    is_issued && (number.matches('-').count() == 2 || is_said) && is_number_alone(text, &place)
}

/// Four octets, and no version. Addresses of this machine, of none and masks tell nothing of anybody.
fn is_ipv4(text: &str, place: Range<usize>) -> bool {
    let octets: Vec<&str> = text[place.clone()].split('.').collect();
    let is_octet = |octet: &&str| {
        octet.parse::<u32>().is_ok_and(|octet| octet < 256)
            && (octet.len() == 1 || !octet.starts_with('0'))
    };
    let context = words_before(text, &place);
    let is_version = context.ends_with('v')
        || [
            "version",
            "version:",
            "version=",
            "==",
            ">=",
            "<=",
            "~=",
            "version\": \"",
            "rev",
        ]
        .iter()
        .any(|word| context.trim_end_matches([' ', '"', '\'']).ends_with(word));
    octets.iter().all(is_octet)
        && !matches!(octets[0], "0" | "127" | "255")
        && !is_version
        && is_number_alone(text, &place)
}

/// Three groups at least: `a::b` is a path in code.
fn is_ipv6(text: &str, place: Range<usize>) -> bool {
    let address = text[place.clone()].trim_end_matches(':');
    let place = place.start..place.start + address.len();
    let groups = address.split(':').filter(|group| !group.is_empty()).count();
    let has_digit = address.bytes().any(|byte| byte.is_ascii_digit());
    groups >= 3 && has_digit && address.parse::<Ipv6Addr>().is_ok() && stands_alone(text, place)
}

/// With its country's code: eight digits or more.
fn is_international(text: &str, place: Range<usize>) -> bool {
    let number = &text[place.clone()];
    let count = digits(number).count();
    let is_plus = number.starts_with('+');
    let before = before(text, &place);
    let is_free = before.is_none_or(|sign| {
        !sign.is_alphanumeric() && !")]_.-+*/'\"".contains(sign) || "\"'-".contains(sign)
    });
    let is_first = !text[..place.start]
        .trim_end()
        .ends_with(|sign: char| sign.is_ascii_digit());
    // Sums and offsets of time have a plus too; they come without groups or are short.
    let has_groups = number.contains([' ', '-', '(', '.', '/']);
    let ends = after(text, &place).is_none_or(|sign| !sign.is_alphanumeric() && sign != '_');
    is_free && is_first && ends && (9..=15).contains(&count) && (is_plus || has_groups)
}

fn is_american(text: &str, place: Range<usize>) -> bool {
    is_number_alone(text, &place)
        || (text[place.clone()].starts_with('(')
            && after(text, &place).is_none_or(|sign| !sign.is_alphanumeric()))
}

/// In the form of one country: where a word says that it is a telephone, or where it begins with a zero and has groups.
fn is_called(text: &str, place: Range<usize>) -> bool {
    let number = &text[place.clone()];
    let count = digits(number).count();
    let context = words_before(text, &place);
    let is_said = PHONES.split('|').any(|word| context.contains(word));
    let groups = number
        .split([' ', '-', '/', '(', ')'])
        .filter(|group| !group.is_empty());
    let is_grouped = number.starts_with(['0', '(']) && (2..=6).contains(&groups.clone().count());
    let is_date = groups.clone().all(|group| group.len() <= 2) && !number.starts_with('0')
        || number.contains('.');
    let is_national =
        is_grouped && (10..=11).contains(&count) && !is_date && !number.contains(['.', '/']);
    (6..=15).contains(&count) && (is_said || is_national) && is_number_alone(text, &place)
}

/// Words before a telephone number.
const PHONES: &str =
    "phone|mobile|tel:|tel.|telephone|telefon|whatsapp|fax|cell|call me|call us|sms to|hotline";

/// Endings of files that look like those of domains.
const FILES: &str = "png|jpg|jpeg|svg|webp|gif|js|css|ts|py|html|json|md|txt|toml|yml|yaml|rs|go|java|so|dll|service|timer|lock|cfg";

#[cfg(test)]
mod tests {
    use super::{Kind, Span, find};

    fn found(text: &str) -> Vec<(Kind, &str)> {
        let mut spans: Vec<Span<'_>> = Vec::new();
        find(text, &mut spans).unwrap();
        spans
            .iter()
            .map(|span| (span.kind, &text[span.start..span.end]))
            .collect()
    }

    #[test]
    fn personal_data_is_found() {
        for (text, kind, expected) in [
            (
                "write to ada.lovelace+x@example.co.uk.",
                Kind::Email,
                "ada.lovelace+x@example.co.uk",
            ),
            (
                r#"{"name":"bob@example.com"}"#,
                Kind::Email,
                "bob@example.com",
            ),
            (
                "?to=eve%40example.org&x=1",
                Kind::Email,
                "eve%40example.org",
            ),
            ("jörg@müller.de", Kind::Email, "jörg@müller.de"),
            (
                "card 4111 1111 1111 1111 ok",
                Kind::Card,
                "4111 1111 1111 1111",
            ),
            ("5555-5555-5555-4444", Kind::Card, "5555-5555-5555-4444"),
            ("amex 378282246310005.", Kind::Card, "378282246310005"),
            (
                "DE89 3704 0044 0532 0130 00",
                Kind::Iban,
                "DE89 3704 0044 0532 0130 00",
            ),
            (
                "iban GB29NWBK60161331926819,",
                Kind::Iban,
                "GB29NWBK60161331926819",
            ),
            ("ssn 219-09-9999", Kind::Ssn, "219-09-9999"),
            ("from 203.0.113.7:443", Kind::Ip, "203.0.113.7"),
            (
                "2001:db8:85a3::8a2e:370:7334 said",
                Kind::Ip,
                "2001:db8:85a3::8a2e:370:7334",
            ),
            ("call +49 30 901820", Kind::Phone, "+49 30 901820"),
            ("+14155550123", Kind::Phone, "+14155550123"),
            ("(415) 555-2671", Kind::Phone, "(415) 555-2671"),
            ("415-555-2671", Kind::Phone, "415-555-2671"),
            ("phone: 5550123", Kind::Phone, "5550123"),
            ("030 12345678", Kind::Phone, "030 12345678"),
            (
                "id 550e8400-e29b-41d4-a716-446655440000",
                Kind::Uuid,
                "550e8400-e29b-41d4-a716-446655440000",
            ),
        ] {
            assert_eq!(found(text), [(kind, expected)], "{text}");
        }
    }

    #[test]
    fn numbers_that_are_nobodys_stay() {
        for text in [
            "built 1234567 rows",
            "at 1700000000",
            "1700000000123456789 ns",
            "commit 1234567",
            "commit 3f2a9c1",
            "2024-05-13 12:30:00",
            "12:34:56.789",
            "version 1.2.3.4",
            "v10.0.19041.1",
            "127.0.0.1:8080 0.0.0.0 255.255.255.0",
            "4111 1111 1111 1112",
            "order 1234567890123456",
            "DE88 3704 0044 0532 0130 00",
            "std::fmt::Display a::b",
            "git@github.com:a/b.git",
            "icon@2x.png @types/node",
            "line 120, column 34, 5551234 bytes",
            "0.1234567890123",
            "port 65535 pid 1234567",
            "aa:bb:cc:dd:ee:ff",
            "000-12-3456 666-12-3456",
            "range 100-200-3000",
            "took 12345.678 ms for 100 000 rows",
            "[1, 2, 3, 1000000, 2000000]",
        ] {
            assert!(found(text).is_empty(), "{text}: {:?}", found(text));
        }
    }
}
