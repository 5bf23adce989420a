//! Cuts a value so that JSON stays JSON: long texts inside it are shortened, the rest is kept.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use super::limit;

/// Texts are not cut shorter than this; where that is not enough, what comes last goes.
const SHORTEST: usize = 64;

/// What the mark for things left out takes beside the number: `,{"…":"` and `"}`.
const AROUND_SIGN: usize = 10;

/// At most `chars` characters of the text; where it is JSON, what comes back is JSON too: its longest
/// texts are cut first, then what comes last is left out. Each cut place says how much is gone.
pub(crate) fn cut(text: Cow<'_, str>, chars: usize) -> Cow<'_, str> {
    // Bytes are never fewer than characters, so most texts need no counting.
    if text.len() <= chars || text.chars().nth(chars).is_none() {
        return text;
    }
    let json = text.trim_ascii();
    if json.starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(json).is_ok() {
        return Cow::Owned(shortened(json, chars));
    }
    Cow::Owned(limit::cut(&text, chars).into_owned())
}

/// The same JSON with less in it. How short texts are cut is one of a few lengths, so that a history that
/// grows a little is cut like the one before, and what both have can be stored once.
fn shortened(json: &str, chars: usize) -> String {
    let whole = json.chars().count();
    let texts = texts(json);
    let mut longest = chars / 2;
    while longest >= SHORTEST {
        let saved: usize = texts
            .iter()
            .map(|length| length.saturating_sub(longest))
            .sum();
        if whole - saved <= chars {
            return Cutter::new(longest, usize::MAX, whole).cut(json);
        }
        longest /= 2;
    }
    Cutter::new(SHORTEST, chars, whole).cut(json)
}

/// How long the texts of a JSON value are, between their quotes.
fn texts(json: &str) -> Vec<usize> {
    let mut lengths = Vec::new();
    let mut at = 0;
    while let Some(start) = json[at..].find('"').map(|start| at + start) {
        at = end_of_text(json, start);
        // The name of a member is never cut.
        if !json[at..].trim_ascii_start().starts_with(':') {
            lengths.push(json[start + 1..at - 1].chars().count());
        }
    }
    lengths
}

/// Where the text ends that begins here, quotes included.
fn end_of_text(json: &str, start: usize) -> usize {
    let mut is_escaped = false;
    let inner = json.bytes().enumerate().skip(start + 1);
    for (at, byte) in inner {
        if !is_escaped && byte == b'"' {
            return at + 1;
        }
        is_escaped = !is_escaped && byte == b'\\';
    }
    json.len()
}

/// A text of JSON, as it is written there, at most this long; no escape and no pair of them is halved.
fn cut_text(text: &str, longest: usize) -> Cow<'_, str> {
    if text.len() <= longest || text.chars().nth(longest).is_none() {
        return Cow::Borrowed(text);
    }
    let body = limit::body(text);
    let all = signs(&text[..body.end]).count();
    // An escape is one character that takes several places: the longest number has room.
    let number = limit::sign(all + body.lost_before);
    let room = longest.saturating_sub(number.chars().count());
    let mut chars = 0;
    let end = signs(&text[..body.end])
        .find(|(start, length)| {
            chars += text[*start..start + length].chars().count();
            chars > room
        })
        .map_or(body.end, |(start, _)| start);
    let end = limit::whole_mark_before(text, end);
    let lost = all - signs(&text[..end]).count() + body.lost_before;
    Cow::Owned(format!("{}{}", &text[..end], limit::sign(lost)))
}

/// The characters that a text of JSON stands for: where each begins, and how many bytes it takes.
fn signs(text: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let rest = text.get(at..)?;
        // The two halves of one character: \ud83d\ude00.
        let half = |rest: &str| {
            rest.strip_prefix("\\u")
                .and_then(|rest| u16::from_str_radix(rest.get(..4)?, 16).ok())
        };
        let is_pair = half(rest).is_some_and(|high| (0xd800..0xdc00).contains(&high))
            && rest
                .get(6..)
                .and_then(half)
                .is_some_and(|low| (0xdc00..0xe000).contains(&low));
        let length = match rest.as_bytes() {
            [] => return None,
            _ if is_pair => 12,
            [b'\\', b'u', ..] => 6,
            [b'\\', ..] => 2,
            _ => rest.chars().next()?.len_utf8(),
        };
        let start = at;
        at += length;
        Some((start, length))
    })
}

/// Writes JSON anew with less in it.
struct Cutter {
    /// How long texts may be.
    longest: usize,
    room: usize,
    /// What is kept free for the mark that says how much is left out.
    reserve: usize,
    out: String,
    chars: usize,
    /// What closes the lists and objects that are open.
    closers: Vec<char>,
}

impl Cutter {
    fn new(longest: usize, room: usize, whole: usize) -> Self {
        Cutter {
            longest,
            room,
            reserve: limit::sign(whole).chars().count() + AROUND_SIGN,
            out: String::new(),
            chars: 0,
            closers: Vec::new(),
        }
    }

    fn cut(mut self, json: &str) -> String {
        let (mut at, mut has_comma, mut wants_name) = (0, false, false);
        let mut name: Option<(usize, &str)> = None;
        while let Some(sign) = json[at..].chars().next() {
            let mut closer = None;
            let (value, end) = match sign {
                ' ' | '\t' | '\n' | '\r' | ':' => {
                    at += 1;
                    continue;
                }
                ',' => {
                    has_comma = true;
                    wants_name = self.closers.last() == Some(&'}');
                    at += 1;
                    continue;
                }
                ']' | '}' => {
                    self.closers.pop();
                    self.push(sign.encode_utf8(&mut [0; 4]));
                    (has_comma, wants_name) = (false, false);
                    at += 1;
                    continue;
                }
                '"' => {
                    let end = end_of_text(json, at);
                    if wants_name {
                        name = Some((at, &json[at..end]));
                        wants_name = false;
                        at = end;
                        continue;
                    }
                    let short = cut_text(&json[at + 1..end - 1], self.longest);
                    (Cow::Owned(format!("\"{short}\"")), end)
                }
                '{' | '[' => {
                    closer = Some(if sign == '{' { '}' } else { ']' });
                    (Cow::Borrowed(&json[at..=at]), at + 1)
                }
                _ => {
                    let rest = &json[at..];
                    let length = rest.find([',', ']', '}', ' ', '\t', '\n', '\r']);
                    let end = length.map_or(json.len(), |length| at + length);
                    (Cow::Borrowed(&json[at..end]), end)
                }
            };
            let start = name.map_or(at, |(start, _)| start);
            let named = name.take().map_or("", |(_, name)| name);
            if !self.item(has_comma, named, &value, closer) {
                return self.leave_out(has_comma, &json[start..]);
            }
            has_comma = false;
            wants_name = closer == Some('}');
            at = end;
        }
        self.out
    }

    /// Writes a value with what stands before it; whether there was room.
    fn item(&mut self, has_comma: bool, name: &str, value: &str, closer: Option<char>) -> bool {
        let named = if name.is_empty() {
            0
        } else {
            name.chars().count() + 1
        };
        let item = usize::from(has_comma) + named + value.chars().count();
        let open = self.closers.len() + usize::from(closer.is_some());
        if self.chars + item + open + self.reserve > self.room {
            return false;
        }
        if has_comma {
            self.push(",");
        }
        if !name.is_empty() {
            self.push(name);
            self.push(":");
        }
        self.push(value);
        self.closers.extend(closer);
        true
    }

    /// Says how much is left out from here on, and closes what is open.
    fn leave_out(mut self, has_comma: bool, rest: &str) -> String {
        let Some(innermost) = self.closers.last() else {
            // Not even the beginning has room.
            let empty = if rest.starts_with('{') { "{}" } else { "[]" };
            return empty
                .get(..self.room.min(2))
                .filter(|empty| empty.len() == 2)
                .unwrap_or("")
                .to_owned();
        };
        let lost = rest.chars().count().saturating_sub(self.closers.len());
        let sign = limit::sign(lost);
        let mark = if *innermost == '}' {
            format!("\"…\":\"{sign}\"")
        } else if self.out.ends_with('}') {
            // A list of objects stays one.
            format!("{{\"…\":\"{sign}\"}}")
        } else {
            format!("\"{sign}\"")
        };
        if has_comma {
            self.push(",");
        }
        self.push(&mark);
        while let Some(closer) = self.closers.pop() {
            self.out.push(closer);
        }
        self.out
    }

    fn push(&mut self, text: &str) {
        self.out.push_str(text);
        self.chars += text.chars().count();
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use serde_json::Value as Json;

    use super::cut;

    #[test]
    fn json_stays_json() {
        let long = serde_json::json!([{ "role": "user", "content": "x".repeat(5000) }]).to_string();
        let short = cut(Cow::Borrowed(&long), 1000);
        assert!(short.chars().count() <= 1000);
        let json: serde_json::Value = serde_json::from_str(&short).unwrap();
        assert_eq!(json[0]["role"], "user");
    }

    #[test]
    fn the_longest_texts_are_cut_first_and_say_how_much_is_gone() {
        let (short, long) = ("s".repeat(200), "l".repeat(5000));
        let json = serde_json::json!([{ "content": short, "role": "user" }, { "content": long }])
            .to_string();
        let cut: Json = serde_json::from_str(&cut(Cow::Borrowed(&json), 1000)).unwrap();
        assert_eq!(cut[0]["content"], short);
        let text = cut[1]["content"].as_str().unwrap();
        let (kept, gone) = text.split_once("…[+").unwrap();
        let gone: usize = gone.strip_suffix(" chars]").unwrap().parse().unwrap();
        assert_eq!(kept.len() + gone, 5000);
    }

    #[test]
    fn of_too_many_parts_the_last_are_left_out() {
        let long = format!("{{\"last\":2,\"numbers\":[{}1]}}", "1,".repeat(4999));
        let short = cut(Cow::Borrowed(&long), 100);
        assert!(
            short.chars().count() <= 100 && short.chars().count() > 80,
            "{short}"
        );
        let json: Json = serde_json::from_str(&short).unwrap();
        assert_eq!(json["last"], 2);
        assert!(short.ends_with(" chars]\"]}"), "{short}");
        let messages =
            serde_json::json!(vec![serde_json::json!({ "role": "user" }); 500]).to_string();
        let short: Json = serde_json::from_str(&cut(Cow::Borrowed(&messages), 200)).unwrap();
        assert!(
            short.as_array().unwrap().iter().all(Json::is_object),
            "{short}"
        );
    }

    #[test]
    fn deep_json_stays_json() {
        let deep = format!("{}{}", "[{\"a\":".repeat(5000) + "1", "}]".repeat(5000));
        for chars in [0, 1, 2, 30, 100, 1000, 20_000] {
            let short = cut(Cow::Borrowed(&deep), chars);
            assert!(short.chars().count() <= chars, "{chars}: {short}");
            assert!(
                chars < 2 || serde_json::from_str::<serde::de::IgnoredAny>(&short).is_ok(),
                "{chars}: {short}"
            );
        }
    }

    /// What took longer than in proportion would not come to an end here.
    #[test]
    fn megabytes_of_any_shape_are_cut() {
        let shapes = [
            format!("[{}\"\"]", "\"\\u00e9\",".repeat(1 << 19)),
            format!("[\"{}\"]", "\\\"[".repeat(1 << 20)),
            format!("[\"{}\"]", "[secret:ab12]".repeat(1 << 18)),
            format!("{{{}\"z\":0}}", "\"key\":[{}],".repeat(1 << 18)),
            format!("{}{}", "[".repeat(1 << 20), "]".repeat(1 << 20)),
            "[".repeat(1 << 22),
            "…[+1 chars]".repeat(1 << 18),
        ];
        for text in shapes {
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            for chars in [100, 65_536] {
                let short = cut(Cow::Borrowed(&text), chars);
                assert!(short.chars().count() <= chars);
                let is_still = serde_json::from_str::<serde::de::IgnoredAny>(&short).is_ok();
                assert!(is_still || !is_json, "{short:.200}");
            }
        }
    }

    #[test]
    fn escapes_and_their_pairs_stay_whole() {
        let text = format!(r#"["{}"]"#, r"\ud83d\ude00\n\u00e9".repeat(300));
        for chars in 150..200 {
            let short = cut(Cow::Borrowed(&text), chars);
            assert!(short.chars().count() <= chars);
            assert!(serde_json::from_str::<Json>(&short).is_ok(), "{short}");
        }
    }

    #[test]
    fn plain_text_is_cut_and_short_text_left_alone() {
        assert_eq!(cut(Cow::Borrowed("short"), 100), "short");
        assert!(cut(Cow::Borrowed(&"é".repeat(300)), 100).chars().count() <= 100);
    }

    fn json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            ".{0,200}".prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Json::from),
                prop::collection::btree_map("[a-z]{1,6}", inner, 0..8)
                    .prop_map(|members| Json::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_fits_is_left_alone_and_what_is_cut_fits(text in ".{0,400}", chars in 40_usize..200) {
            let short = cut(Cow::Borrowed(&text), chars);
            prop_assert!(short.chars().count() <= chars);
            if text.chars().count() <= chars {
                prop_assert_eq!(short.as_ref(), text.as_str());
            }
        }

        #[test]
        fn json_in_is_json_out_within_the_limit_and_once_is_enough(json in json(), chars in 2_usize..400) {
            let text = json.to_string();
            let short = cut(Cow::Borrowed(&text), chars);
            prop_assert!(short.chars().count() <= chars);
            prop_assert_eq!(cut(Cow::Borrowed(&short), chars), short.as_ref());
            if json.is_object() || json.is_array() {
                prop_assert!(serde_json::from_str::<Json>(&short).is_ok(), "{}", short);
                let shorter = cut(Cow::Borrowed(&short), chars / 2);
                prop_assert!(chars < 4 || serde_json::from_str::<Json>(&shorter).is_ok(), "{}", shorter);
            }
        }

        #[test]
        fn no_mark_is_halved(
            texts in prop::collection::vec(("[a-z\"\\\\é😀]{0,80}", "[0-9a-f]{4}", "[a-z\"]{0,90}"), 1..12),
            chars in 40_usize..900,
        ) {
            let texts: Vec<_> = texts.iter().map(|(before, mark, after)| format!("{before}[secret:{mark}]{after}")).collect();
            let short = cut(Cow::Owned(Json::from(texts).to_string()), chars).into_owned();
            for piece in short.split("[secret:").skip(1) {
                prop_assert_eq!(piece.find(']'), Some(4), "{}", short);
            }
            prop_assert!(!short.replace("[secret:", "").contains("[s"));
        }
    }
}
