//! Cuts a JSON list of objects into its objects, so that each can be stored once, and tells the words of a text.

use serde_json::Value;

/// A list with more objects is stored as one text.
const MOST: usize = 16 * 1024;

/// Members whose values are words of the format and not of anybody.
const STRUCTURE: [&str; 8] = [
    "type",
    "role",
    "id",
    "call_id",
    "tool_call_id",
    "finish_reason",
    "mime_type",
    "modality",
];

/// The objects of a list, each with the blanks around it: put together with commas between them and
/// brackets around them, they are the text again, byte for byte. `None` where it is no such list.
pub(super) fn objects(text: &str) -> Option<Vec<&str>> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?;
    let (mut depth, mut start) = (0_usize, 0);
    let (mut is_in_text, mut is_escaped) = (false, false);
    let mut objects = Vec::new();
    for (at, byte) in inner.bytes().enumerate() {
        if is_in_text {
            is_in_text = is_escaped || byte != b'"';
            is_escaped = !is_escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => is_in_text = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.checked_sub(1)?,
            b',' if depth == 0 => {
                objects.push(object(inner.get(start..at)?)?);
                start = at + 1;
                if objects.len() == MOST {
                    return None;
                }
            }
            _ => {}
        }
    }
    objects.push(object(inner.get(start..)?)?);
    (depth == 0 && !is_in_text).then_some(objects)
}

fn object(text: &str) -> Option<&str> {
    let bare = text.trim_ascii();
    (bare.starts_with('{') && bare.ends_with('}')).then_some(text)
}

/// What is said in a text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// Its own words, or those in its JSON.
    pub(super) words: String,
    /// Who says it, where it is a message.
    pub(super) role: Option<String>,
}

impl Said {
    pub(super) fn read(text: &str) -> Said {
        let is_json = text.trim_start().starts_with(['{', '[']);
        let Some(Ok(json)) = is_json.then(|| serde_json::from_str::<Value>(text)) else {
            return Said {
                words: text.to_owned(),
                role: None,
            };
        };
        let mut words = String::with_capacity(text.len());
        gather(&json, &mut words);
        let role = json.get("role").and_then(Value::as_str);
        Said {
            words,
            role: role.map(str::to_owned),
        }
    }
}

fn gather(json: &Value, words: &mut String) {
    match json {
        Value::String(text) => {
            if !words.is_empty() {
                words.push('\n');
            }
            words.push_str(text);
        }
        Value::Array(items) => items.iter().for_each(|item| gather(item, words)),
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| !STRUCTURE.contains(&name.as_str()))
            .for_each(|(_, member)| gather(member, words)),
        Value::Number(number) => gather(&Value::String(number.to_string()), words),
        Value::Null | Value::Bool(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Said, objects};

    #[test]
    fn only_lists_of_objects_are_cut() {
        assert_eq!(
            objects(r#"[{"a":"],}"}, {"b":["\"\\",{}]} ]"#),
            Some(vec![r#"{"a":"],}"}"#, r#" {"b":["\"\\",{}]} "#])
        );
        for text in [
            "",
            "[",
            "[]",
            "[1,2]",
            r#"["{}"]"#,
            "[{},1]",
            "{}",
            "[{}",
            "[{]}",
            " [{}]",
        ] {
            assert_eq!(objects(text), None, "{text}");
        }
    }

    #[test]
    fn the_words_of_json_are_its_texts_without_its_structure() {
        let text = r#"{"role":"user","parts":[{"type":"text","content":"two\nlines"},{"n":7}]}"#;
        let said = Said::read(text);
        assert_eq!(said.words, "two\nlines\n7");
        assert_eq!(said.role.as_deref(), Some("user"));
        assert_eq!(Said::read("{no json").words, "{no json");
    }

    proptest! {
        #[test]
        fn what_is_cut_can_be_put_together_again(text in "\\[[\\[\\]{}\",\\\\ a-c]{0,40}\\]") {
            if let Some(objects) = objects(&text) {
                prop_assert_eq!(format!("[{}]", objects.join(",")), text);
            }
        }
    }
}
