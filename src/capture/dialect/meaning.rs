//! What the value of a field of another library's says, where that is not the value as it stands.

use crate::capture::notes::Notes;
use crate::record::Value;
use crate::semconv::{Fact, Sensitivity};

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
}

impl Meaning {
    /// Whether the value may be noted without the operator's consent to content.
    pub(in crate::capture) fn is_plain(&self) -> bool {
        match self {
            Meaning::Is(fact) | Meaning::Milliseconds(fact) | Meaning::After(_, fact) => {
                fact.sensitivity() == Sensitivity::Plain
            }
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
                .try_fold(&usage, |value, key| value.get(key))?
                .as_i64()
        })
    };
    let wanted: [(Fact, &[&str]); 6] = [
        (
            Fact::InputTokens,
            &["prompt_tokens", "input_tokens", "input", "promptTokens"],
        ),
        (
            Fact::OutputTokens,
            &[
                "completion_tokens",
                "output_tokens",
                "output",
                "completionTokens",
            ],
        ),
        (
            Fact::CacheReadTokens,
            &[
                "prompt_tokens_details.cached_tokens",
                "input_tokens_details.cached_tokens",
                "cache_read_input_tokens",
                "input_cached_tokens",
            ],
        ),
        (
            Fact::CacheWriteTokens,
            &["cache_creation_input_tokens", "cache_write_input_tokens"],
        ),
        (
            Fact::ReasoningTokens,
            &[
                "completion_tokens_details.reasoning_tokens",
                "output_tokens_details.reasoning_tokens",
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
}

/// The text inside a `Debug` form: `Some("gpt-4o")` and `"gpt-4o"` both say gpt-4o.
pub(in crate::capture) fn undebugged(text: String) -> String {
    let inner = text
        .strip_prefix("Some(")
        .and_then(|rest| rest.strip_suffix(')'))
        .unwrap_or(&text);
    if inner.len() >= 2 && inner.starts_with('"') && inner.ends_with('"') {
        // The escapes of `Debug` are JSON's, save for those of rare characters.
        if let Ok(plain) = serde_json::from_str::<String>(inner) {
            return plain;
        }
    }
    if inner.len() == text.len() {
        text
    } else {
        inner.to_owned()
    }
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
    }

    #[test]
    fn debug_forms_are_read_as_what_they_show() {
        for (debug, plain) in [
            ("\"gpt-4o\"", "gpt-4o"),
            ("Some(\"gpt-4o\")", "gpt-4o"),
            ("Some(5)", "5"),
            ("call_1", "call_1"),
            ("\"a \\\"b\\\"\"", "a \"b\""),
        ] {
            assert_eq!(undebugged(debug.to_owned()), plain);
        }
    }
}
