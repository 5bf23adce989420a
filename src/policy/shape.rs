//! Cuts a value so that JSON stays JSON: long texts inside it are shortened, the rest is kept.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::limit;

/// At most `chars` characters of the text; where it is JSON, what comes back is JSON too.
pub(super) fn cut(text: Cow<'_, str>, chars: usize) -> Cow<'_, str> {
    // Bytes are never fewer than characters, so most texts need no counting.
    if text.len() <= chars || text.chars().nth(chars).is_none() {
        return text;
    }
    let is_json = text.trim_start().starts_with(['{', '[']);
    if let Some(json) = is_json.then(|| serde_json::from_str(&text).ok()).flatten() {
        return Cow::Owned(shortened(json, chars));
    }
    Cow::Owned(limit::cut(&text, chars).into_owned())
}

/// The same of a text that stays where it is.
#[cfg(any(test, fuzzing))]
pub(crate) fn cut_borrowed(text: &str, chars: usize) -> Cow<'_, str> {
    cut(Cow::Borrowed(text), chars)
}

/// Shortens the texts of a JSON value, then its lists, until it fits.
fn shortened(mut json: Json, chars: usize) -> String {
    let mut leaf = chars / 2;
    while leaf >= 16 {
        shorten_texts(&mut json, leaf);
        let text = json.to_string();
        if text.chars().nth(chars).is_none() {
            return text;
        }
        leaf /= 4;
    }
    // Too many parts rather than too long ones: say so instead of keeping an arbitrary few.
    serde_json::json!({ "truncated": true, "chars": json.to_string().chars().count() }).to_string()
}

fn shorten_texts(json: &mut Json, leaf: usize) {
    match json {
        Json::String(text) => {
            if let Cow::Owned(short) = limit::cut(text, leaf) {
                *text = short;
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| shorten_texts(item, leaf)),
        Json::Object(members) => {
            members
                .values_mut()
                .for_each(|member| shorten_texts(member, leaf));
        }
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use super::{Json, cut};

    #[test]
    fn json_stays_json() {
        let long = serde_json::json!([{ "role": "user", "content": "x".repeat(5000) }]).to_string();
        let short = cut(Cow::Borrowed(&long), 1000);
        assert!(short.chars().count() <= 1000);
        let json: serde_json::Value = serde_json::from_str(&short).unwrap();
        assert_eq!(json[0]["role"], "user");
    }

    #[test]
    fn many_parts_are_counted_instead_of_kept() {
        let long = serde_json::json!(vec![1; 5000]).to_string();
        let short = cut(Cow::Borrowed(&long), 100);
        let short: serde_json::Value = serde_json::from_str(&short).unwrap();
        assert_eq!(
            short,
            serde_json::json!({"chars": 10_001, "truncated": true})
        );
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
        fn json_in_is_json_out(json in json(), chars in 64_usize..400) {
            let text = json.to_string();
            let short = cut(Cow::Borrowed(&text), chars);
            prop_assert!(short.chars().count() <= chars.max(64));
            if json.is_object() || json.is_array() {
                prop_assert!(serde_json::from_str::<Json>(&short).is_ok(), "{}", short);
            }
        }
    }
}
