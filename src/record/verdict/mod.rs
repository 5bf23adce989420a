//! Tells from a tool's result whether the tool did what it was asked, for a failed tool often returns without an error.
//!
//! A result is walked once and never built: the walk remembers the few top-level keys that decide, so a document that
//! was cut off still tells what it said up to there.

mod excerpt;

use std::fmt;
use std::io::Read;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::ResultClass;
use excerpt::{Excerpt, Kind, Name, Walk, first_chars};

/// What became of a tool call, and what the tool said of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) class: ResultClass,
    pub(crate) message: Option<String>,
}

/// Judges a result that is text: `Error: ...`, or a JSON object, also one that was cut off.
pub(crate) fn of_text(text: &str) -> Verdict {
    let text = text.trim_start();
    if let Some(error) = text.strip_prefix("Error:") {
        let message = first_chars(error.trim());
        return Verdict {
            class: ResultClass::Error,
            message: Some(message).filter(|message| !message.is_empty()),
        };
    }
    if !text.starts_with('{') {
        return Verdict {
            class: ResultClass::Ok,
            message: None,
        };
    }
    let mut seen = Seen::default();
    if Document(&mut seen)
        .deserialize(&mut serde_json::Deserializer::from_str(text))
        .is_err()
        && seen.open
    {
        // The text ends inside the value of a key that decides.
        for end in endings(text) {
            seen = Seen::default();
            // The quote and brackets close whatever may be open; what they leave over is never read.
            let closed = text.as_bytes()[..end].chain(&b"\"}]}"[..]);
            let read =
                Document(&mut seen).deserialize(&mut serde_json::Deserializer::from_reader(closed));
            if read.is_ok() || !seen.open {
                break;
            }
        }
    }
    seen.verdict()
}

/// Judges a result that is JSON; a string in it counts as text.
pub(crate) fn of_json(value: &Value) -> Verdict {
    if let Some(text) = value.as_str() {
        return of_text(text);
    }
    let mut seen = Seen::default();
    // Only a text that ends too early can fail to be walked.
    let _ = Document(&mut seen).deserialize(value);
    seen.verdict()
}

/// What the keys said that were met so far.
#[derive(Default)]
struct Seen {
    /// The worst that was said: being blocked outweighs a timeout, and that outweighs an error.
    class: Option<ResultClass>,
    /// An MCP tool's content is its error text; elsewhere content is what the tool produced.
    is_mcp_error: bool,
    error: Option<String>,
    /// Where else a failed tool says why, the best place first: message, stderr, reason, content.
    told: [Option<String>; 4],
    /// A deciding key was met whose value is not read to its end yet.
    open: bool,
}

impl Seen {
    fn take(&mut self, key: Key, value: Excerpt) {
        let yes = value.kind == Kind::Bool && value.truthy;
        match key {
            Key::Error => {
                self.says(ResultClass::Error, value.truthy);
                self.word(&value);
                self.error = Some(value)
                    .filter(|value| value.truthy)
                    .and_then(Excerpt::into_text);
            }
            Key::Told(place) => self.told[place] = value.into_text(),
            Key::Success => self.says(
                ResultClass::Error,
                value.kind == Kind::Bool && !value.truthy,
            ),
            Key::IsError => {
                self.is_mcp_error |= yes;
                self.says(ResultClass::Error, yes);
            }
            Key::ExitCode => self.says(
                ResultClass::Error,
                value.kind == Kind::Number && value.truthy,
            ),
            Key::Blocked => self.says(ResultClass::Blocked, yes),
            Key::TimedOut => self.says(ResultClass::Timeout, yes),
            Key::Status => self.word(&value),
            Key::ResultClass => {
                self.says(ResultClass::Error, value.is_word("error"));
                self.word(&value);
            }
            Key::Other => {}
        }
    }

    fn word(&mut self, value: &Excerpt) {
        self.says(ResultClass::Blocked, value.is_word("blocked"));
        self.says(
            ResultClass::Timeout,
            value.is_word("timeout") || value.is_word("timed_out"),
        );
    }

    fn says(&mut self, class: ResultClass, really: bool) {
        if really {
            self.class = self.class.max(Some(class));
        }
    }

    fn verdict(self) -> Verdict {
        let Some(class) = self.class else {
            return Verdict {
                class: ResultClass::Ok,
                message: None,
            };
        };
        let [message, stderr, reason, content] = self.told;
        let content = content.filter(|_| self.is_mcp_error);
        Verdict {
            class,
            message: self.error.or(message).or(stderr).or(reason).or(content),
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Key {
    Error,
    Told(usize),
    Success,
    IsError,
    ExitCode,
    Blocked,
    TimedOut,
    Status,
    ResultClass,
    Other,
}

impl Key {
    fn named(name: &str) -> Key {
        match name {
            "error" => Key::Error,
            "message" => Key::Told(0),
            "stderr" => Key::Told(1),
            "reason" => Key::Told(2),
            "content" => Key::Told(3),
            "success" => Key::Success,
            "isError" | "is_error" => Key::IsError,
            "exit_code" | "returncode" => Key::ExitCode,
            "blocked" => Key::Blocked,
            "timeout" | "timed_out" => Key::TimedOut,
            "status" => Key::Status,
            "result_class" => Key::ResultClass,
            _ => Key::Other,
        }
    }
}

/// Where the text is cut before it is closed: at its end, or before an escape that was itself cut in two.
fn endings(text: &str) -> impl Iterator<Item = usize> {
    // Two escapes of six bytes make one character beyond the basic plane.
    const LONGEST_ESCAPE: usize = 12;
    let nearest = text.len().saturating_sub(LONGEST_ESCAPE);
    let escapes = (nearest..text.len())
        .rev()
        .filter(|place| text.as_bytes()[*place] == b'\\');
    std::iter::once(text.len()).chain(escapes.take(3))
}

/// Walks the top level of a document.
struct Document<'a>(&'a mut Seen);

impl<'de> DeserializeSeed<'de> for Document<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Document<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Name)? {
            let key = Key::named(&name);
            self.0.open = key != Key::Other;
            if key == Key::Other {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let mut value = Excerpt::default();
            let read = map.next_value_seed(Walk::top(&mut value));
            // What was met before the value broke off counts as well.
            self.0.take(key, value);
            read?;
            self.0.open = false;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ResultClass::{Blocked, Ok as Fine, Timeout};
    use serde_json::json;

    const FAILED: ResultClass = ResultClass::Error;

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table of cases")]
    fn json_results() {
        let cases = [
            (json!({"result": 1}), Fine, None),
            (json!({"error": null}), Fine, None),
            (json!({"error": false}), Fine, None),
            (json!({"error": 0, "a": 1}), Fine, None),
            (json!({"error": 0.0}), Fine, None),
            (json!({"error": ""}), Fine, None),
            (json!({"error": []}), Fine, None),
            (json!({"error": {}}), Fine, None),
            (
                json!({"error": "no such file"}),
                FAILED,
                Some("no such file"),
            ),
            (
                json!({"error": {"code": 5, "message": "no such file"}}),
                FAILED,
                Some("no such file"),
            ),
            (
                json!({"error": {"at": ["x", null, 1.5, true], "code": 5}}),
                FAILED,
                Some(r#"{"at":["x",null,1.5,true],"code":5}"#),
            ),
            (json!({"error": ["a", "b"]}), FAILED, Some(r#"["a","b"]"#)),
            (
                json!({"error": [{"message": "a"}]}),
                FAILED,
                Some(r#"[{"message":"a"}]"#),
            ),
            (
                json!({"error": true, "message": "bad path"}),
                FAILED,
                Some("bad path"),
            ),
            (json!({"error": true}), FAILED, None),
            (json!({"error": 7}), FAILED, Some("7")),
            (json!({"success": false}), FAILED, None),
            (
                json!({"success": false, "error": null, "message": "gone"}),
                FAILED,
                Some("gone"),
            ),
            (json!({"success": true}), Fine, None),
            (json!({"success": null}), Fine, None),
            (json!({"success": 0}), Fine, None),
            (
                json!({"isError": true, "content": [{"type": "text", "text": "Tool broke"}]}),
                FAILED,
                Some("Tool broke"),
            ),
            (
                json!({"content": "kept to itself", "success": false}),
                FAILED,
                None,
            ),
            (json!({"is_error": true}), FAILED, None),
            (json!({"isError": false}), Fine, None),
            (
                json!({"exit_code": 1, "stdout": "x", "stderr": "not found\n"}),
                FAILED,
                Some("not found"),
            ),
            (json!({"exit_code": 0, "stderr": "warning"}), Fine, None),
            (json!({"exit_code": -9}), FAILED, None),
            (json!({"exit_code": null}), Fine, None),
            (json!({"returncode": 2.0}), FAILED, None),
            (json!({"returncode": "2"}), Fine, None),
            (
                json!({"blocked": true, "error": "not allowed"}),
                Blocked,
                Some("not allowed"),
            ),
            (
                json!({"blocked": true, "reason": "policy"}),
                Blocked,
                Some("policy"),
            ),
            (json!({"timeout": true}), Timeout, None),
            (json!({"timed_out": true, "success": false}), Timeout, None),
            (json!({"timeout": 30}), Fine, None),
            (json!({"status": "blocked"}), Blocked, None),
            (json!({"status": "timeout"}), Timeout, None),
            (json!({"status": "ok"}), Fine, None),
            (json!({"error": "timeout"}), Timeout, Some("timeout")),
            (
                json!({"error": "the timeout was hit"}),
                FAILED,
                Some("the timeout was hit"),
            ),
            (json!({"result_class": "blocked"}), Blocked, None),
            (json!({"result_class": "error"}), FAILED, None),
            (json!({"result_class": "ok"}), Fine, None),
            (
                json!({"data": {"error": "nested", "success": false, "exit_code": 1}}),
                Fine,
                None,
            ),
            (json!([{"error": "in a list"}]), Fine, None),
            (json!("Error: said as text"), FAILED, Some("said as text")),
            (
                json!("{\"error\": \"json in text\"}"),
                FAILED,
                Some("json in text"),
            ),
            (json!(null), Fine, None),
            (json!(1), Fine, None),
        ];
        for (value, class, message) in cases {
            let expected = Verdict {
                class,
                message: message.map(str::to_owned),
            };
            assert_eq!(of_json(&value), expected, "{value}");
            if !value.is_string() {
                assert_eq!(of_text(&value.to_string()), expected, "as text: {value}");
                assert_eq!(
                    of_text(&format!(" \n{value:#}")),
                    expected,
                    "pretty: {value}"
                );
            }
        }
    }

    #[test]
    fn text_results() {
        let cases = [
            ("Error: file not found", FAILED, Some("file not found")),
            (" \n\tError: x", FAILED, Some("x")),
            ("Error:", FAILED, None),
            ("Errors: none", Fine, None),
            ("No Error: fine", Fine, None),
            ("", Fine, None),
            ("{", Fine, None),
            ("{}", Fine, None),
            ("{'error': 'not JSON'}", Fine, None),
            ("{not json", Fine, None),
        ];
        for (text, class, message) in cases {
            assert_eq!(
                of_text(text),
                Verdict {
                    class,
                    message: message.map(str::to_owned)
                },
                "{text}"
            );
        }
    }

    #[test]
    fn what_was_cut_off_still_tells() {
        let cases = [
            (
                r#"{"error": "boom", "output": "aaaaaa"#,
                FAILED,
                Some("boom"),
            ),
            (r#"{"exit_code": 1, "output": ["a", {"b": "#, FAILED, None),
            (r#"{"exit_code": 1"#, FAILED, None),
            (r#"{"success": false"#, FAILED, None),
            (r#"{"error": "No such fi"#, FAILED, Some("No such fi")),
            (r#"{"error": "a\"#, FAILED, Some("a")),
            (r#"{"error": "a\\"#, FAILED, Some("a\\")),
            (r#"{"error": "a\u00"#, FAILED, Some("a")),
            (r#"{"error": "a\ud83d"#, FAILED, Some("a")),
            (r#"{"error": "a\ud83d\ude"#, FAILED, Some("a")),
            (
                r#"{"error": {"code": 1, "message": "No su"#,
                FAILED,
                Some("No su"),
            ),
            (r#"{"error": {"code": 1, "#, FAILED, Some(r#"{"code":1,"#)),
            (r#"{"error": ["a", "b"#, FAILED, Some(r#"["a","b","#)),
            (
                r#"{"isError": true, "content": [{"type": "text", "text": "It br"#,
                FAILED,
                Some("It br"),
            ),
            (r#"{"output": "x", "error"#, Fine, None),
            (r#"{"error": "#, Fine, None),
            (r#"{"error": ""#, Fine, None),
            (r#"{"error": nul"#, Fine, None),
            (r#"{"success": fals"#, Fine, None),
            (r#"{"output": "x … [truncated]"#, Fine, None),
        ];
        for (text, class, message) in cases {
            assert_eq!(
                of_text(text),
                Verdict {
                    class,
                    message: message.map(str::to_owned)
                },
                "{text}"
            );
        }
    }

    #[test]
    fn texts_are_kept_to_their_beginning() {
        let long = "x".repeat(10_000);
        for value in [
            json!({"error": long}),
            json!({"error": {"message": long}}),
            json!({"error": vec![1; 5_000]}),
            json!({"error": {"a": {"b": long}}}),
        ] {
            let message = of_json(&value).message.unwrap_or_default();
            assert_eq!(message.chars().count(), 500);
        }
        assert_eq!(
            of_text(&format!("Error: {long}"))
                .message
                .map(|text| text.len()),
            Some(500)
        );
    }

    #[test]
    fn deep_and_odd_documents_do_no_harm() {
        let deep = format!("{{\"error\": {}", "[".repeat(100_000));
        assert_eq!(of_text(&deep).class, FAILED);
        of_text("{\"a\": \u{0}}");
        of_text("{\"\\");
        of_text("{\"é\": \"é\\");
    }

    proptest::proptest! {
        /// A result says the same as text and as JSON, and no text breaks the reader.
        #[test]
        fn text_and_json_agree(
            key in "error|success|isError|exit_code|returncode|blocked|timeout|status|other",
            value in proptest::sample::select(vec!["null", "true", "false", "0", "1", "-3", "2.5", "\"\"", "\"timeout\"", "\"x\"", "[]", "[1]", "{}"]),
            cut in 0_usize..80,
        ) {
            let text = format!("{{\"a\":[1,{{\"error\":1}}],\"{key}\":{value},\"z\":2}}");
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            proptest::prop_assert_eq!(of_text(&text).class, of_json(&json).class);
            let _ = of_text(text.get(..cut.min(text.len())).unwrap_or_default());
        }
    }
}
