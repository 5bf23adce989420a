//! The laws of the redactor, tried on texts put together by chance: no input secret in the output, JSON stays JSON, twice is
//! once, no mark is cut in two, and no text takes longer than its length.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::Value;

use super::anchors::ANCHORS;
use super::{Redactor, Rules, mark, work};
use crate::policy::{limit, shape};

fn redactor() -> Redactor {
    Redactor::with_key([7; 16], Rules::default())
}

/// A key of one of several vendors, put together so that no scanner takes this file for a leak.
fn secret() -> impl Strategy<Value = String> {
    let letters = "[a-zA-Z0-9]{40}";
    let heads = [
        "gh|p_",
        "gl|pat-",
        "sk-|ant-api03-",
        "hf|_",
        "np|m_",
        "xo|xb-123456789012-",
        "dop|_v1_",
        "sk_|live_",
    ];
    (prop::sample::select(heads.to_vec()), letters)
        .prop_map(|(head, body)| format!("{}{body}", head.replace('|', "")))
}

/// What texts of agents are made of, in no sensible order.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[ -~]{0,12}",
        1 => "\\PC{0,6}",
        3 => prop::sample::select(vec![
            "password", "\"", "\\\"", "\\\\\\\"", "'", "=", ": ", ":", "{", "}", "[", "]", ",", "\n", "\\n", " ", "token", "api_key", "secrets",
            "://", "@", "%3D", "Bearer ", "Authorization: ", "Cookie: ", "--", "-u ", "%22", "%25", "%70", "\\u0070", "\\x3d", "?", "&", "curl ", "-----BEGIN PRIVATE KEY-----", "-----END ",
            "[secret:ab12]", "name", "value", "Some(", ")", "<password>", "</", "é", "😀", "\\u003d", "eyJ", "AKIA", "…", "\u{1b}[31m", "export ",
        ]).prop_map(str::to_owned),
    ]
}

fn soup() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..24).prop_map(|pieces| pieces.concat())
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        soup().prop_map(Value::from),
        secret().prop_map(Value::from),
    ];
    let name = prop_oneof![
        prop::sample::select(vec![
            "password",
            "api_key",
            "secrets",
            "tokens",
            "name",
            "value",
            "content",
            "Authorization"
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,8}",
    ];
    leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner.clone(), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
            inner.prop_map(|value| Value::from(value.to_string())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn no_secret_that_went_in_comes_out(before in soup(), secret in secret(), after in soup()) {
        let text = format!("{before} {secret} {after}");
        let clean = redactor().redact(&text).into_owned();
        prop_assert!(!clean.contains(&secret), "{}", clean);
    }

    #[test]
    fn redacting_twice_is_redacting_once(text in soup()) {
        let redactor = redactor();
        let clean = redactor.redact(&text).into_owned();
        prop_assert_eq!(redactor.redact(&clean).into_owned(), clean.clone(), "{:?}", text);
    }

    #[test]
    fn json_stays_json_whatever_is_in_it(json in json()) {
        let text = json.to_string();
        let clean = redactor().redact(&text).into_owned();
        prop_assert!(serde_json::from_str::<Value>(&clean).is_ok(), "{}\n{}", text, clean);
    }

    #[test]
    fn no_mark_is_cut_in_two(text in soup(), secret in secret(), chars in 1_usize..200) {
        let clean = redactor().redact(&format!("{text} {secret} {text}")).into_owned();
        let marks: Vec<&str> = mark::all(&clean).map(|mark| &clean[mark]).collect();
        for short in [limit::cut(&clean, chars), shape::cut(clean.as_str().into(), chars.max(40))] {
            let whole: usize = mark::all(&short).count();
            let begun = short.matches("[secret:").count();
            // What only looks like the beginning of a mark was there before.
            let others = clean.matches("[secret:").count() - marks.len();
            prop_assert!(begun <= whole + others, "{} of {}", short, clean);
        }
    }

    #[test]
    fn pieces_are_cleaned_as_one(before in soup(), secret in secret(), after in soup(), cuts in prop::collection::vec(0_usize..400, 1..5)) {
        let text = format!("{before} {secret} {after}");
        let mut bounds: Vec<usize> = cuts.into_iter().map(|cut| cut % (text.len() + 1)).filter(|cut| text.is_char_boundary(*cut)).collect();
        bounds.extend([0, text.len()]);
        bounds.sort_unstable();
        let pieces: Vec<&str> = bounds.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
        let clean = redactor().redact_pieces(&pieces);
        prop_assert_eq!(clean.len(), pieces.len());
        prop_assert!(!clean.concat().contains(&secret), "{:?}", clean);
    }
}

/// Every literal, many times over and with everything between that parts words, and lists within lists.
#[test]
fn work_grows_with_the_text_and_no_faster() {
    let anchors = ANCHORS.as_ref().unwrap();
    let mut seeds: Vec<String> = Vec::new();
    for rule in anchors.rules() {
        seeds.extend(rule.kind.anchors.iter().map(|anchor| (*anchor).to_owned()));
    }
    seeds.extend(
        super::name::ANCHORS
            .iter()
            .chain(super::private_key::ANCHORS)
            .map(|anchor| (*anchor).to_owned()),
    );
    seeds.extend(
        [
            "{\"secrets\":",
            "{\"tokens\":[",
            "secrets:\n ",
            "\"password\":\"",
            "<password a",
            "name: password\nvalue: ",
            "a",
            "A1b",
            "%20",
            "%2525",
            "\\u0022",
            "\\",
            "\"",
            "://a:",
            "-----BEGIN PRIVATE KEY-----\n",
            "[",
            "{",
            "\n",
            "é",
        ]
        .map(str::to_owned),
    );
    let redactor = redactor();
    let spent = |text: &str| {
        work::done();
        let _ = redactor.search(text, false);
        work::done()
    };
    for seed in &seeds {
        for between in [
            "", "-", " ", "=", ": ", "\"", "\": \"", "\n", "/", "_", ".", "\\n", "x9",
        ] {
            let unit = format!("{seed}{between}");
            let short = unit.repeat(1_000 / unit.len() + 1);
            let long = unit.repeat(4_000 / unit.len() + 1);
            let (little, much) = (spent(&short), spent(&long));
            assert!(
                much <= 6 * little + 40_000,
                "{unit:?}: {little} for 1,000, {much} for 4,000"
            );
            // And no text is looked at more than so often.
            assert!(
                much <= 700 * long.len(),
                "{unit:?}: {much} for {}",
                long.len()
            );
        }
    }
}

#[test]
fn a_text_of_every_length_is_no_deeper_than_the_stack() {
    for open in ["[", "{\"password\":", "\\", "(", "Some("] {
        let text = format!("password={}", open.repeat(100_000));
        let _ = redactor().redact(&text);
    }
    let mut nested = String::from("x");
    for _ in 0..12 {
        nested = serde_json::json!({ "password": nested }).to_string();
    }
    let mut clean = String::new();
    let _ = write!(clean, "{}", redactor().redact(&nested));
    assert!(serde_json::from_str::<Value>(&clean).is_ok(), "{clean}");
}
