//! What the value of a field of another library's says, where that is not the value as it stands.

use crate::capture::keeps::Keeps;
use crate::capture::notes::Notes;
use crate::record::Value;
use crate::semconv::Fact;

/// What a field says.
#[derive(Clone, Debug)]
pub(in crate::capture) enum Meaning {
    /// The fact as it stands.
    Is(Fact),
    /// A fact that is told in seconds, in milliseconds.
    Milliseconds(Fact),
    /// Which attempt this is, from 1: the retries are one less.
    Attempt,
    /// Whether it went well.
    Success,
    /// The status of an HTTP answer, which tells of a failure from 400 on.
    HttpStatus,
    /// Tokens as a provider's JSON object.
    Usage,
    /// The fact stands behind these words; a value that begins otherwise says nothing.
    After(&'static str, Fact),
    /// The fact stands under this key of a JSON object.
    Under(&'static str, Fact),
    /// A number that is added to those said before: each event tells its own.
    Adds(Fact),
}

impl Meaning {
    /// Whether what it means is to be kept.
    pub(in crate::capture) fn is_wanted(&self, keeps: &Keeps) -> bool {
        match self {
            Meaning::Is(fact)
            | Meaning::Milliseconds(fact)
            | Meaning::After(_, fact)
            | Meaning::Under(_, fact)
            | Meaning::Adds(fact) => keeps.has(*fact),
            Meaning::Attempt | Meaning::Success | Meaning::HttpStatus | Meaning::Usage => true,
        }
    }

    /// Notes what the value says.
    pub(in crate::capture) fn note(&self, value: Value, notes: &mut Notes) {
        match self {
            Meaning::Is(fact) => notes.set(*fact, value),
            Meaning::Milliseconds(fact) => {
                if let Some(milliseconds) = value.as_double() {
                    notes.double(*fact, milliseconds / 1000.0);
                }
            }
            Meaning::Attempt => {
                if let Some(attempt) = value.as_int().filter(|attempt| *attempt > 1) {
                    notes.int(Fact::RetryCount, attempt - 1);
                }
            }
            Meaning::Success => {
                if value.as_bool() == Some(false) {
                    notes.text(Fact::OtelStatusCode, "error");
                }
            }
            Meaning::HttpStatus => {
                if let Some(status) = value.as_int().filter(|status| *status >= 400) {
                    notes.set(Fact::ErrorType, status.to_string());
                }
            }
            Meaning::Usage => note_usage(&value.to_text(), notes),
            Meaning::After(words, fact) => {
                let text = value.to_text();
                if let Some(rest) = text.strip_prefix(words).filter(|rest| !rest.is_empty()) {
                    notes.text(*fact, rest);
                }
            }
            Meaning::Under(key, fact) => {
                let json = serde_json::from_str::<serde_json::Value>(&value.to_text());
                if let Some(found) = json
                    .ok()
                    .and_then(|mut json| Some(json.get_mut(key)?.take()))
                    && !found.is_null()
                {
                    notes.set(*fact, found);
                }
            }
            Meaning::Adds(fact) => {
                if let Some(more) = value.as_int() {
                    let so_far = notes.get(*fact).and_then(|noted| noted.as_int());
                    notes.int(*fact, so_far.unwrap_or(0).saturating_add(more));
                }
            }
        }
    }
}

/// The tokens in a JSON object, by the names of any provider.
fn note_usage(json: &str, notes: &mut Notes) {
    let Ok(usage) = serde_json::from_str::<serde_json::Value>(json) else {
        return;
    };
    let find = |paths: &[&str]| {
        paths.iter().find_map(|path| {
            path.split('.')
                .try_fold(&usage, |value, key| value.get(key))
                .and_then(|count| Value::from(count.clone()).as_int())
        })
    };
    let wanted: [(Fact, &[&str]); 6] = [
        (
            Fact::InputTokens,
            &[
                "prompt_tokens",
                "input_tokens",
                "input",
                "promptTokens",
                "inputTokens",
            ],
        ),
        (
            Fact::OutputTokens,
            &[
                "completion_tokens",
                "output_tokens",
                "output",
                "completionTokens",
                "outputTokens",
            ],
        ),
        (
            Fact::CacheReadTokens,
            &[
                "prompt_tokens_details.cached_tokens",
                "input_tokens_details.cached_tokens",
                "cache_read_input_tokens",
                "input_cached_tokens",
                "cached_tokens",
                "cacheReadInputTokens",
            ],
        ),
        (
            Fact::CacheWriteTokens,
            &[
                "cache_creation_input_tokens",
                "cache_write_input_tokens",
                "cacheWriteInputTokens",
            ],
        ),
        (
            Fact::ReasoningTokens,
            &[
                "completion_tokens_details.reasoning_tokens",
                "output_tokens_details.reasoning_tokens",
                "output_reasoning_tokens",
                "reasoning_tokens",
            ],
        ),
        (Fact::TotalTokens, &["total_tokens", "total", "totalTokens"]),
    ];
    for (fact, paths) in wanted {
        if let Some(tokens) = find(paths) {
            notes.int(fact, tokens);
        }
    }
    // Anthropic and Bedrock count the cached tokens beside the input, and nobody else calls both so.
    for (input, cached) in [
        (
            "input_tokens",
            ["cache_read_input_tokens", "cache_creation_input_tokens"],
        ),
        (
            "inputTokens",
            ["cacheReadInputTokens", "cacheWriteInputTokens"],
        ),
    ] {
        let input = find(&[input]).filter(|_| usage.get("prompt_tokens").is_none());
        let cached = cached.iter().filter_map(|key| find(&[key]));
        if let Some(input) = input {
            notes.int(Fact::InputTokens, cached.fold(input, i64::saturating_add));
        }
    }
}

/// The text inside a `Debug` form: `Some("gpt-4o")` and `"gpt-4o"` both say gpt-4o, and `None` says nothing.
pub(in crate::capture) fn undebugged(text: String) -> String {
    if text == "None" {
        return String::new();
    }
    let inner = text
        .strip_prefix("Some(")
        .and_then(|rest| rest.strip_suffix(')'))
        .unwrap_or(&text);
    let quoted = inner
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    if let Some(plain) = quoted.and_then(unescaped) {
        return plain;
    }
    if inner.len() == text.len() {
        text
    } else {
        inner.to_owned()
    }
}

/// A text less the escapes of `Debug`; `None` where it has others, and is no such form.
fn unescaped(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            plain.push(letter);
            continue;
        }
        plain.push(match letters.next()? {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            '0' => '\0',
            'u' => {
                let (code, rest) = letters.as_str().strip_prefix('{')?.split_once('}')?;
                letters = rest.chars();
                char::from_u32(u32::from_str_radix(code, 16).ok()?)?
            }
            same @ ('"' | '\'' | '\\') => same,
            _ => return None,
        });
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::{Meaning, undebugged};
    use crate::capture::notes::Notes;
    use crate::record::Value;
    use crate::semconv::Fact;

    fn noted(meaning: &Meaning, value: impl Into<Value>) -> crate::record::Facts {
        let mut notes = Notes::default();
        meaning.note(value.into(), &mut notes);
        notes.read().facts()
    }

    #[test]
    fn values_are_read_as_their_library_means_them() {
        let first_chunk = noted(&Meaning::Milliseconds(Fact::TimeToFirstChunk), "250");
        assert_eq!(
            first_chunk.get(Fact::TimeToFirstChunk),
            Some(&Value::Double(0.25))
        );
        assert_eq!(noted(&Meaning::Attempt, 3).int(Fact::RetryCount), Some(2));
        assert_eq!(noted(&Meaning::Attempt, 1).int(Fact::RetryCount), None);
        assert_eq!(
            noted(&Meaning::Success, false).text(Fact::OtelStatusCode),
            Some("error")
        );
        assert_eq!(
            noted(&Meaning::Success, true).text(Fact::OtelStatusCode),
            None
        );
        let tool = Meaning::After("tool.", Fact::ToolName);
        assert_eq!(noted(&tool, "tool.add").text(Fact::ToolName), Some("add"));
        assert_eq!(noted(&tool, "step-0").text(Fact::ToolName), None);
    }

    #[test]
    fn usage_is_read_by_any_providers_names() {
        let usage = r#"{"prompt_tokens":120,"completion_tokens":34,"total_tokens":154,
            "prompt_tokens_details":{"cached_tokens":64}}"#;
        let facts = noted(&Meaning::Usage, usage);
        assert_eq!(facts.int(Fact::InputTokens), Some(120));
        assert_eq!(facts.int(Fact::OutputTokens), Some(34));
        assert_eq!(facts.int(Fact::CacheReadTokens), Some(64));
        assert_eq!(noted(&Meaning::Usage, "not json").iter().count(), 0);
        for (usage, input) in [
            (
                r#"{"input_tokens":100,"cache_read_input_tokens":50,"output_tokens":1}"#,
                150,
            ),
            (
                r#"{"inputTokens":100,"cacheReadInputTokens":50,"cacheWriteInputTokens":5}"#,
                155,
            ),
            (
                r#"{"prompt_tokens":120,"input_tokens":120,"cache_read_input_tokens":64}"#,
                120,
            ),
            (r#"{"input":"100","output":2.0}"#, 100),
        ] {
            let facts = noted(&Meaning::Usage, usage);
            assert_eq!(facts.int(Fact::InputTokens), Some(input), "{usage}");
        }
    }

    #[test]
    fn a_fact_may_stand_inside_an_object_or_be_told_in_parts() {
        let model = Meaning::Under("model_name", Fact::RequestModel);
        let facts = noted(&model, r#"{"model_name":"gpt-9","temperature":null}"#);
        assert_eq!(facts.text(Fact::RequestModel), Some("gpt-9"));
        assert_eq!(noted(&model, "gpt-9").iter().count(), 0);
        let mut notes = Notes::default();
        for tokens in ["120", "30"] {
            Meaning::Adds(Fact::InputTokens).note(tokens.into(), &mut notes);
        }
        assert_eq!(notes.tokens(), (150, 0));
    }

    #[test]
    fn debug_forms_are_read_as_what_they_show() {
        for (debug, plain) in [
            ("\"gpt-4o\"", "gpt-4o"),
            ("Some(\"gpt-4o\")", "gpt-4o"),
            ("Some(5)", "5"),
            ("None", ""),
            ("call_1", "call_1"),
            ("\"a \\\"b\\\"\"", "a \"b\""),
            ("\"\\u{1b}[1m \\0 it's\\n\"", "\u{1b}[1m \0 it's\n"),
            ("\"no \\x escape\"", "\"no \\x escape\""),
        ] {
            assert_eq!(undebugged(debug.to_owned()), plain);
        }
    }
}
