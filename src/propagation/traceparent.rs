//! Reads `traceparent` and `tracestate` as W3C says: what is wrong is as good as not there.

use crate::record::{SpanId, TraceContext, TraceId};

/// The length of a `traceparent` of version 00.
const LENGTH: usize = 55;

/// More members than this make a `tracestate` worthless.
const MAX_MEMBERS: usize = 32;
/// A `tracestate` may be cut to this many characters, by whole members.
const MAX_CHARS: usize = 512;
/// The members that go first are longer than this.
const LONG_CHARS: usize = 128;

/// The context that a `traceparent` states (<https://www.w3.org/TR/trace-context/>, section 3.2).
///
/// A later version is read as far as this one knows it.
pub(super) fn read(header: &str) -> Option<TraceContext> {
    let header = header.trim_matches([' ', '\t']);
    let bytes = header.as_bytes();
    let known = bytes.get(..LENGTH).filter(|known| known.is_ascii())?;
    let has_dashes = [2, 35, 52].iter().all(|&at| known[at] == b'-');
    let version = hex_byte(&known[..2])?;
    let has_end = match version {
        0 => bytes.len() == LENGTH,
        0xff => false,
        _ => bytes.len() == LENGTH || bytes[LENGTH] == b'-',
    };
    if !(has_dashes && has_end) {
        return None;
    }
    let trace_id = TraceId::from_hex(header.get(3..35)?)?;
    let span_id = SpanId::from_hex(header.get(36..52)?)?;
    let flags = hex_byte(&known[53..55])?;
    Some(TraceContext::new(trace_id, span_id).sampled(flags & 1 == 1))
}

/// A `tracestate` fit to be handed on; empty where it is not (section 3.3).
pub(super) fn read_state<'a>(headers: impl Iterator<Item = &'a str>) -> String {
    let mut members: Vec<&str> = Vec::new();
    for member in headers.flat_map(|header| header.split(',')) {
        let member = member.trim_matches([' ', '\t']);
        if member.is_empty() {
            continue;
        }
        let key = member.split('=').next().unwrap_or_default();
        let is_again = members
            .iter()
            .any(|known| known.split('=').next() == Some(key));
        if is_again || !is_member(member) || members.len() == MAX_MEMBERS {
            return String::new();
        }
        members.push(member);
    }
    shorten(&mut members);
    members.join(",")
}

/// Lets go of whole members until the rest is short enough: long ones first, then from the end.
fn shorten(members: &mut Vec<&str>) {
    let length = |members: &[&str]| members.iter().map(|member| member.len() + 1).sum::<usize>();
    while length(members) > MAX_CHARS + 1 {
        match members.iter().rposition(|member| member.len() > LONG_CHARS) {
            Some(long) => drop(members.remove(long)),
            None => drop(members.pop()),
        }
    }
}

fn is_member(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else {
        return false;
    };
    let is_key_char =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/".contains(&byte);
    let is_word = |word: &str, longest: usize| {
        word.len() <= longest
            && word.bytes().all(is_key_char)
            && word
                .bytes()
                .next()
                .is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit())
    };
    let is_key = match key.split_once('@') {
        Some((tenant, system)) => is_word(tenant, 241) && is_word(system, 14),
        None => is_word(key, 256),
    };
    let is_value_char = |byte: u8| (0x20..=0x7e).contains(&byte) && byte != b',' && byte != b'=';
    is_key && value.len() <= 256 && !value.is_empty() && value.bytes().all(is_value_char)
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let nibble = |digit: &u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    match digits {
        [high, low] => Some(nibble(high)? << 4 | nibble(low)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{read, read_state};

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    fn state(header: &str) -> String {
        read_state([header].into_iter())
    }

    #[test]
    fn a_traceparent_is_read() {
        let context = read(&format!("00-{TRACE}-{SPAN}-01")).unwrap();
        assert_eq!(context.trace_id().unwrap().to_string(), TRACE);
        assert_eq!(context.span_id().unwrap().to_string(), SPAN);
        assert!(context.is_sampled());
        for (flags, is_sampled) in [("00", false), ("02", false), ("03", true), ("ff", true)] {
            let context = read(&format!(" 00-{TRACE}-{SPAN}-{flags}\t")).unwrap();
            assert_eq!(context.is_sampled(), is_sampled, "{flags}");
        }
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        for header in [
            format!("cc-{TRACE}-{SPAN}-01"),
            format!("cc-{TRACE}-{SPAN}-01-what-the-future-brings"),
        ] {
            assert!(read(&header).is_some(), "{header}");
        }
        assert_eq!(read(&format!("cc-{TRACE}-{SPAN}-01.more")), None);
    }

    #[test]
    fn what_is_wrong_is_not_there() {
        for header in [
            String::new(),
            "00".to_owned(),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-0g"),
            format!("0x-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", "0".repeat(32)),
            format!("00-{TRACE}-{}-01", "0".repeat(16)),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{}-01", SPAN.to_uppercase()),
            format!("00-{TRACE}_{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{}é-{SPAN}-01", &TRACE[..30]),
        ] {
            assert_eq!(read(&header), None, "{header}");
        }
    }

    #[test]
    fn a_tracestate_is_handed_on() {
        assert_eq!(
            state("rojo=00f067, congo=t61rc ,,"),
            "rojo=00f067,congo=t61rc"
        );
        assert_eq!(state("fw529a3039@dt=x y"), "fw529a3039@dt=x y");
        let two = ["a=1", "b=2"].into_iter();
        assert_eq!(read_state(two), "a=1,b=2");
        for wrong in [
            "a=1,b",
            "a=1,A=2",
            "a=1,b=",
            "a=1,b=\u{e9}",
            "a=1,b=2=3",
            "a=1,a=2",
            "a@b@c=1",
        ] {
            assert_eq!(state(wrong), "", "{wrong}");
        }
    }

    #[test]
    fn a_tracestate_has_its_limits() {
        let members = |count: usize| {
            let members: Vec<_> = (0..count).map(|number| format!("k{number}=v")).collect();
            members.join(",")
        };
        assert_eq!(state(&members(32)), members(32));
        assert_eq!(state(&members(33)), "");
        let long = format!("a=1,b={},c=3", "x".repeat(256));
        assert_eq!(state(&long), long, "it is short enough as a whole");
        let longer = format!("{long},d={}", "y".repeat(250));
        assert_eq!(state(&longer), long, "the last of the long ones goes first");
        assert_eq!(state(&format!("a={}", "x".repeat(257))), "");
    }

    proptest! {
        #[test]
        fn nothing_that_comes_in_panics(header in "\\PC{0,80}", hex in "[0-9a-f-]{50,60}") {
            let _ = (read(&header), read(&hex), state(&header));
        }
    }
}
