//! Which kinds of content are in a value, and what is left of it where some of them are withheld.

use std::borrow::Cow;

use serde_json::{Map, Value as Json};

use crate::config::{Classes, ContentClass};
use crate::semconv::Fact;

/// What messages are made of.
const OF_MESSAGES: Classes = Classes::of(&[
    ContentClass::UserMessage,
    ContentClass::System,
    ContentClass::ToolArguments,
    ContentClass::ToolResult,
    ContentClass::ModelOutput,
    ContentClass::Reasoning,
]);

const OF_ANSWERS: Classes = Classes::of(&[
    ContentClass::ToolArguments,
    ContentClass::ToolResult,
    ContentClass::ModelOutput,
    ContentClass::Reasoning,
]);

/// Members of a message or a part that say what it is, and nothing of what is in it.
const STRUCTURE: [&str; 11] = [
    "type",
    "role",
    "name",
    "id",
    "call_id",
    "tool_call_id",
    "tool_use_id",
    "finish_reason",
    "index",
    "mime_type",
    "modality",
];

/// A longer one is no word of the format.
const STRUCTURE_CHARS: usize = 128;

/// The kinds of content that a value may hold, and the one that it is where nothing else can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Holds {
    pub(super) all: Classes,
    pub(super) mainly: ContentClass,
}

impl Holds {
    /// What a field holds that no table knows.
    pub(super) const UNKNOWN: Holds = Holds {
        all: Classes::ALL,
        mainly: ContentClass::Other,
    };

    /// What a fact holds that is content.
    pub(super) fn of(fact: Fact) -> Holds {
        let (all, mainly) = match fact {
            Fact::InputMessages | Fact::UserMessage => (OF_MESSAGES, ContentClass::UserMessage),
            Fact::OutputMessages | Fact::AssistantResponse => {
                (OF_ANSWERS, ContentClass::ModelOutput)
            }
            fact => {
                let one = match fact {
                    Fact::Query => ContentClass::UserMessage,
                    Fact::SystemInstructions | Fact::ToolDefinitions | Fact::StopSequences => {
                        ContentClass::System
                    }
                    Fact::ToolArguments => ContentClass::ToolArguments,
                    Fact::ToolResult | Fact::Documents => ContentClass::ToolResult,
                    _ => ContentClass::Other,
                };
                (Classes::of(&[one]), one)
            }
        };
        Holds { all, mainly }
    }

    /// What an attribute holds that is content.
    pub(super) fn named(name: &str) -> Holds {
        Fact::named(name).map_or(Holds::UNKNOWN, Holds::of)
    }

    /// Whether anything of it may be there at all. A field that no table knows is a kind of its own,
    /// whatever is in it.
    pub(super) fn is_any(self, allowed: Classes) -> bool {
        if self.mainly == ContentClass::Other {
            allowed.has(ContentClass::Other)
        } else {
            allowed.has_any(self.all)
        }
    }

    /// What is left of a text; `None`: nothing.
    pub(super) fn left_of(self, text: &str, allowed: Classes) -> Option<Cow<'_, str>> {
        if allowed.has_all(self.all) {
            return Some(Cow::Borrowed(text));
        }
        if !self.is_any(allowed) {
            return None;
        }
        let is_json =
            self.all != Classes::of(&[self.mainly]) && text.trim_start().starts_with(['{', '[']);
        if !is_json {
            return allowed.has(self.mainly).then_some(Cow::Borrowed(text));
        }
        // What looks like messages and cannot be read may hold any of them.
        let json = serde_json::from_str(text).ok()?;
        let left = self.left_of_json(json, allowed)?;
        Some(Cow::Owned(left.to_string()))
    }

    /// What is left of JSON that is still apart; `None`: nothing.
    pub(super) fn left_of_json(self, json: Json, allowed: Classes) -> Option<Json> {
        if allowed.has_all(self.all) {
            return Some(json);
        }
        left(json, self.mainly, allowed)
    }
}

/// What is left of a value that is of this kind but for what says to be of another.
fn left(json: Json, class: ContentClass, allowed: Classes) -> Option<Json> {
    match json {
        Json::Object(members) => left_of_object(members, class, allowed),
        Json::Array(items) => {
            let was_empty = items.is_empty();
            let items: Vec<_> = items
                .into_iter()
                .filter_map(|item| left(item, class, allowed))
                .collect();
            (was_empty || !items.is_empty()).then_some(Json::Array(items))
        }
        Json::String(_) | Json::Number(_) => allowed.has(class).then_some(json),
        Json::Null | Json::Bool(_) => Some(json),
    }
}

fn left_of_object(
    members: Map<String, Json>,
    class: ContentClass,
    allowed: Classes,
) -> Option<Json> {
    let class = class_of(&members, class);
    if class == ContentClass::Reasoning {
        let is_allowed = allowed.has(class);
        return is_allowed.then_some(Json::Object(members));
    }
    let is_message = members.contains_key("role");
    let is_call = matches!(
        class,
        ContentClass::ToolArguments | ContentClass::ToolResult
    );
    let is_format = is_message || is_call || members.contains_key("type");
    let mut kept = Map::new();
    let mut says_something = members.is_empty();
    for (name, member) in members {
        if is_format && is_structure(&name, &member) {
            kept.insert(name, member);
            continue;
        }
        let of_member = class_of_member(&name, class);
        let is_payload = is_call && !is_message && name != "function" && of_member == class;
        let member = if is_payload {
            // Whatever it looks like, it is what the tool was given or gave.
            allowed.has(class).then_some(member)
        } else if is_message && member.is_array() {
            Some(left(member, of_member, allowed).unwrap_or_else(|| Json::Array(Vec::new())))
        } else {
            left(member, of_member, allowed)
        };
        if let Some(member) = member {
            says_something = true;
            kept.insert(name, member);
        }
    }
    (says_something || is_message || is_call).then_some(Json::Object(kept))
}

fn is_structure(name: &str, member: &Json) -> bool {
    STRUCTURE.contains(&name)
        && match member {
            Json::String(text) => text.len() <= STRUCTURE_CHARS,
            Json::Number(_) => true,
            _ => false,
        }
}

/// The kind of content of an object, by what it says of itself.
fn class_of(members: &Map<String, Json>, class: ContentClass) -> ContentClass {
    if class == ContentClass::Reasoning {
        return class;
    }
    let word = |name| {
        members
            .get(name)
            .and_then(Json::as_str)
            .map(str::to_ascii_lowercase)
    };
    if let Some(kind) = word("type") {
        if is_of_reasoning(&kind) {
            return ContentClass::Reasoning;
        }
        let ends = |endings: &[&str]| endings.iter().any(|ending| kind.ends_with(ending));
        if ends(&[
            "_response",
            "_result",
            "_output",
            "toolresult",
            "tool-result",
        ]) {
            // `output_text` is an answer, `function_call_output` is not.
            return ContentClass::ToolResult;
        }
        if ends(&["_call", "_use", "toolcall", "tool-call", "tooluse"]) {
            return ContentClass::ToolArguments;
        }
    }
    if members.get("thought") == Some(&Json::Bool(true)) {
        return ContentClass::Reasoning;
    }
    match word("role").as_deref() {
        Some("system" | "developer") => ContentClass::System,
        Some("user" | "human") => ContentClass::UserMessage,
        Some("assistant" | "model" | "ai" | "bot") => ContentClass::ModelOutput,
        Some("tool" | "function") => ContentClass::ToolResult,
        _ => class,
    }
}

/// The kind of content of a member, by its name.
fn class_of_member(name: &str, class: ContentClass) -> ContentClass {
    let name = name.to_ascii_lowercase();
    if class == ContentClass::Reasoning || is_of_reasoning(&name) {
        return ContentClass::Reasoning;
    }
    match name.as_str() {
        "arguments" | "args" | "tool_calls" | "toolcalls" | "function_call" | "functioncall"
        | "tool_call" | "toolcall" | "tool_use" | "tooluse" => ContentClass::ToolArguments,
        "functionresponse" | "function_response" | "toolresult" | "tool_result"
        | "tool_results" => ContentClass::ToolResult,
        "system"
        | "system_instruction"
        | "systeminstruction"
        | "system_instructions"
        | "instructions"
        | "tools"
        | "tool_definitions" => ContentClass::System,
        _ => class,
    }
}

fn is_of_reasoning(name: &str) -> bool {
    ["reasoning", "thinking", "thought"]
        .iter()
        .any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Classes, ContentClass, Fact, Holds};

    fn left(fact: Fact, text: &str, withheld: ContentClass) -> Option<String> {
        let all = [
            ContentClass::UserMessage,
            ContentClass::System,
            ContentClass::ToolArguments,
            ContentClass::ToolResult,
            ContentClass::ModelOutput,
            ContentClass::Reasoning,
            ContentClass::Other,
        ];
        let allowed: Vec<_> = all.into_iter().filter(|class| *class != withheld).collect();
        let left = Holds::of(fact).left_of(text, Classes::of(&allowed));
        left.map(std::borrow::Cow::into_owned)
    }

    /// One history in the shapes that are around; each kind of content says its own name.
    fn histories() -> [serde_json::Value; 4] {
        [
            json!([
                { "role": "system", "parts": [{ "type": "text", "content": "SYSTEM" }] },
                { "role": "user", "parts": [{ "type": "text", "content": "USER" }] },
                { "role": "assistant", "parts": [
                    { "type": "reasoning", "content": "REASONING" },
                    { "type": "text", "content": "OUTPUT" },
                    { "type": "tool_call", "id": "c1", "name": "read", "arguments": { "type": "x", "name": "ARGUMENTS" } },
                ] },
                { "role": "tool", "parts": [{ "type": "tool_call_response", "id": "c1", "response": { "role": "RESULT" } }] },
            ]),
            json!([
                { "role": "developer", "content": "SYSTEM" },
                { "role": "user", "content": [{ "type": "text", "text": "USER" }] },
                { "role": "assistant", "content": "OUTPUT", "reasoning_content": "REASONING", "tool_calls": [
                    { "id": "c1", "type": "function", "function": { "name": "read", "arguments": "{\"name\":\"ARGUMENTS\"}" } },
                ] },
                { "role": "tool", "tool_call_id": "c1", "content": "RESULT" },
            ]),
            json!([
                { "role": "user", "content": "USER" },
                { "role": "assistant", "content": [
                    { "type": "thinking", "thinking": "REASONING", "signature": "REASONING" },
                    { "type": "text", "text": "OUTPUT" },
                    { "type": "tool_use", "id": "c1", "name": "read", "input": { "name": "ARGUMENTS" } },
                ] },
                { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "c1", "content": [{ "type": "text", "text": "RESULT" }] }] },
            ]),
            json!({ "systemInstruction": { "parts": [{ "text": "SYSTEM" }] }, "contents": [
                { "role": "user", "parts": [{ "text": "USER" }, { "functionResponse": { "name": "read", "response": { "x": "RESULT" } } }] },
                { "role": "model", "parts": [
                    { "thought": true, "text": "REASONING" },
                    { "text": "OUTPUT" },
                    { "functionCall": { "name": "read", "args": { "name": "ARGUMENTS" } } },
                ] },
            ] }),
        ]
    }

    #[test]
    fn what_is_withheld_is_gone_and_the_rest_is_there() {
        let words = [
            ("SYSTEM", ContentClass::System),
            ("USER", ContentClass::UserMessage),
            ("ARGUMENTS", ContentClass::ToolArguments),
            ("RESULT", ContentClass::ToolResult),
            ("OUTPUT", ContentClass::ModelOutput),
            ("REASONING", ContentClass::Reasoning),
        ];
        for history in histories() {
            let text = history.to_string();
            for (_, withheld) in words {
                let left = left(Fact::InputMessages, &text, withheld).unwrap();
                for (word, class) in words {
                    let is_left = left.contains(word);
                    let is_wanted = class != withheld && text.contains(word);
                    assert_eq!(is_left, is_wanted, "{word} without {withheld:?}: {left}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_read_is_withheld_with_any_of_its_kinds() {
        let cut = r#"[{"role":"assistant","parts":[{"type":"reasoning","con"#;
        let without_reasoning = |text| left(Fact::OutputMessages, text, ContentClass::Reasoning);
        assert_eq!(without_reasoning(cut), None);
        assert_eq!(without_reasoning("hello"), Some("hello".to_owned()));
        assert_eq!(
            left(Fact::OutputMessages, cut, ContentClass::UserMessage),
            Some(cut.to_owned())
        );
        assert_eq!(left(Fact::ToolResult, "{}", ContentClass::ToolResult), None);
    }

    #[test]
    fn messages_keep_their_shape() {
        let text = histories()[0].to_string();
        let left = left(Fact::InputMessages, &text, ContentClass::UserMessage).unwrap();
        let left: serde_json::Value = serde_json::from_str(&left).unwrap();
        assert_eq!(left[1], json!({ "role": "user", "parts": [] }));
        assert_eq!(left.as_array().unwrap().len(), 4);
    }
}
