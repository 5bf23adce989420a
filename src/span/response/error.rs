//! What a body says of a failure: a provider may answer 200 and still have failed, in the middle of a stream above all.

use serde_json::Value;

use crate::record::{ErrorClass, classify};
use crate::span::shape;

/// The failure that a model's answer tells of, in the provider's words.
///
/// ```
/// use hermes::{ErrorClass, ModelResponse};
/// use serde_json::json;
///
/// let body = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
/// let error = body.error().expect("the body tells of one");
/// assert_eq!(error.error_type.as_deref(), Some("overloaded_error"));
/// assert_eq!(error.class(), ErrorClass::ProviderError);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelError {
    /// What the provider calls it: its code where that is a word, else its type.
    pub error_type: Option<String>,
    /// The HTTP status that it would have answered with, where the body says so.
    pub status: Option<u16>,
    /// The text for the reader. Kept redacted and cut, as every error text is.
    pub message: Option<String>,
}

impl ModelError {
    /// The class of the failure: from the status, then the type, then the message.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        let error_type = self.error_type.as_deref();
        let message = self.message.as_deref().unwrap_or_default();
        match classify(self.status, error_type, message) {
            // Whatever it was, the provider was there to say so.
            ErrorClass::Unknown | ErrorClass::Network => ErrorClass::ProviderError,
            class => class,
        }
    }
}

/// The failure that a body, an event or a choice tells of.
pub(super) fn of(body: &Value) -> Option<ModelError> {
    if let Some(list) = body.as_array() {
        // Gemini answers a call for a stream with a list, whatever it says.
        return list.first().and_then(of);
    }
    let is_event = shape::text(body, "type") == Some("error");
    let is_object = shape::text(body, "object") == Some("error");
    match body.get("error") {
        Some(Value::String(text)) if !text.is_empty() => Some(ModelError {
            error_type: word(body, &["error_type", "code"]),
            status: status(body),
            message: Some(text.clone()),
        }),
        Some(error @ Value::Object(fields)) if fields.values().any(says_something) => {
            Some(read(error, &["type"]))
        }
        // OpenAI's Responses and vLLM tell it flat; there `type` says only that it is an error.
        _ if is_event => Some(read(body, &[])),
        _ if is_object => Some(read(body, &["type"])),
        _ => None,
    }
}

/// The failure that a body tells of whose status says already that it is one: there a bare message is enough, as AWS,
/// Cohere and many a proxy send it.
pub(super) fn of_refusal(body: &Value) -> Option<ModelError> {
    of(body).or_else(|| {
        let error = read(body, &["__type", "type"]);
        error.message.is_some().then_some(error)
    })
}

/// Some servers send the fields of an error with every answer, and nothing in them.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

fn read(error: &Value, kinds: &[&str]) -> ModelError {
    let message = ["message", "Message", "msg", "detail", "details"]
        .iter()
        .find_map(|key| error.get(key).filter(|message| !message.is_null()));
    ModelError {
        error_type: word(error, &["code"])
            .or_else(|| word(error, kinds))
            .or_else(|| word(error, &["status"])),
        status: status(error),
        message: message.map(|message| match message {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }),
    }
}

/// The first of these that is a word and no number.
fn word(error: &Value, keys: &[&str]) -> Option<String> {
    let words = keys.iter().filter_map(|key| shape::text(error, key));
    words
        .filter(|word| !word.is_empty() && word.parse::<i64>().is_err())
        // AWS puts the name of the service before that of the error.
        .map(|word| word.rsplit('#').next().unwrap_or(word).to_owned())
        .next()
}

fn status(error: &Value) -> Option<u16> {
    ["status_code", "code", "status"].iter().find_map(|key| {
        let value = error.get(key)?;
        let number = value
            .as_u64()
            .or_else(|| value.as_str().and_then(|text| text.parse().ok()))?;
        u16::try_from(number)
            .ok()
            .filter(|status| (400..600).contains(status))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ErrorClass::{Auth, ContextOverflow, ProviderError, RateLimit};
    use serde_json::json;

    #[test]
    fn every_providers_error_is_found_in_its_body() {
        let cases = [
            (
                json!({"error": {"message": "too long", "type": "invalid_request_error", "param": "messages", "code": "context_length_exceeded"}}),
                Some("context_length_exceeded"),
                None,
                ContextOverflow,
            ),
            (
                json!({"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}),
                Some("rate_limit_error"),
                None,
                RateLimit,
            ),
            (
                json!({"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED"}}),
                Some("PERMISSION_DENIED"),
                Some(403),
                Auth,
            ),
            (
                json!({"error": "model 'x' not found"}),
                None,
                None,
                ProviderError,
            ),
            (
                json!({"type": "error", "code": "rate_limit_exceeded", "message": "m", "sequence_number": 3}),
                Some("rate_limit_exceeded"),
                None,
                RateLimit,
            ),
            (
                json!({"object": "error", "message": "bad", "type": "BadRequestError", "code": 400}),
                Some("BadRequestError"),
                Some(400),
                ProviderError,
            ),
            (
                json!({"error": {"code": "429", "message": "Requests exceed the limit."}}),
                None,
                Some(429),
                RateLimit,
            ),
        ];
        for (body, error_type, status, class) in cases {
            let error = of(&body).unwrap();
            assert_eq!(error.error_type.as_deref(), error_type, "{body}");
            assert_eq!(error.status, status, "{body}");
            assert_eq!(error.class(), class, "{body}");
            assert!(error.message.is_some(), "{body}");
        }
        for fine in [
            json!({"error": null}),
            json!({"error": {}}),
            json!({"error": {"code": 0, "message": "", "type": null}}),
            json!({"error": ""}),
            json!({"type": "message"}),
            json!([]),
            json!({"message": "said in an answer"}),
        ] {
            assert_eq!(of(&fine), None, "{fine}");
        }
    }

    #[test]
    fn where_the_status_tells_of_a_failure_a_bare_message_is_its_text() {
        let cases = [
            (
                json!({"message": "Input is too long for requested model."}),
                ContextOverflow,
                None,
            ),
            (
                json!({"__type": "com.amazon.coral.service#ThrottlingException", "Message": "Rate exceeded"}),
                RateLimit,
                Some("ThrottlingException"),
            ),
            (json!({"detail": "Not authenticated"}), Auth, None),
        ];
        for (body, class, error_type) in cases {
            let error = of_refusal(&body).unwrap();
            assert_eq!(error.class(), class, "{body}");
            assert_eq!(error.error_type.as_deref(), error_type, "{body}");
        }
        assert_eq!(of_refusal(&json!({"object": "list"})), None);
    }
}
