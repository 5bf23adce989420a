//! Model calls: by the id of the request, each try a call of its own.

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Value, json};

use super::book::{Place, Whose};
use super::call::{Call, End};
use super::calls::{Role, Which, mark};
use super::held::{Held, How};
use super::{
    ApiAnswer, ApiError, ApiRequest, Do, Hooks, SECOND, as_text, duration, spoken, usage, whose,
};
use crate::record::{ErrorClass, classify};
use crate::semconv::Fact;
use crate::span::{self, OwnedSpan};

/// What a call is known by: the id of the request, else its number in the turn.
fn which(request: &Option<String>, turn: &Option<String>, number: Option<i64>) -> Which {
    let of_turn = || Some(format!("{} {}", spoken(turn)?, number?));
    Which {
        role: Role::Request,
        id: spoken(request).map(str::to_owned).or_else(of_turn),
        what: String::new(),
    }
}

impl Do<ApiRequest> for Hooks {
    fn do_call(&self, told: ApiRequest) {
        let call = Call {
            which: which(&told.api_request_id, &told.turn_id, told.api_call_count),
            whose: whose!(told, request: api_request_id),
            inside: None,
            began: told.started_at,
            said: mark((
                // Some hosts count anew in every turn.
                &told.turn_id,
                told.started_at,
                told.retry_count,
                told.api_call_count,
                told.message_count,
                told.request_char_count,
                told.approx_input_tokens,
            )),
        };
        let starts = told.clone();
        self.begin(call, |place, tries| start(starts, place, tries));
    }
}

fn start(told: ApiRequest, place: &Place, tries: i64) -> Arc<Held> {
    let (began, now) = (told.started_at, SystemTime::now());
    Held::new(place.parent.clone(), began, move |parent| {
        let model = told.model.unwrap_or_default();
        let mut chat = match parent {
            Some(parent) => parent.chat(model),
            None => span::chat(model),
        };
        chat = chat.start_at(began.unwrap_or(now));
        if let Some(provider) = told.provider {
            chat = chat.provider(provider);
        }
        if let Some(url) = told.base_url {
            chat = chat.base_url(url);
        }
        if let Some(mode) = told.api_mode {
            chat = chat.api_mode(mode);
        }
        if let Some(count) = told.message_count {
            chat = chat.message_count(count);
        }
        if let Some(count) = told.tool_count {
            chat = chat.tool_count(count);
        }
        let estimate = told.request_char_count.map(|chars| chars / 4);
        if let Some(tokens) = told.approx_input_tokens.or(estimate) {
            chat = chat.approx_input_tokens(tokens);
        }
        if let Some(count) = told.retry_count.or((tries > 0).then_some(tries)) {
            chat = chat.retry_count(count);
        }
        if let Some(tokens) = told.max_tokens {
            chat = chat.record(Fact::MaxTokens.name(), tokens);
        }
        let messages = told
            .request_messages
            .map(|messages| json!({ "messages": messages }));
        if let Some(request) = told.request.filter(Value::is_object).or(messages) {
            chat = chat.request(request);
        }
        chat.start()
    })
}

impl Do<ApiAnswer> for Hooks {
    fn do_call(&self, told: ApiAnswer) {
        let call = Call {
            which: which(&told.api_request_id, &told.turn_id, told.api_call_count),
            whose: whose!(told, request: api_request_id),
            inside: None,
            began: told.started_at,
            said: mark((
                "answer",
                &told.turn_id,
                told.started_at,
                told.ended_at,
                told.api_duration.map(f64::to_bits),
                told.retry_count,
            )),
        };
        let end = End {
            at: told.ended_at,
            took: duration(told.api_duration, SECOND),
            has_failed: false,
        };
        let alone = |place: &Place, began, tries| {
            let call = ApiRequest {
                model: told.model.clone(),
                provider: told.provider.clone(),
                base_url: told.base_url.clone(),
                api_mode: told.api_mode.clone(),
                message_count: told.message_count,
                tool_count: told.tool_count,
                retry_count: told.retry_count,
                started_at: Some(began),
                ..ApiRequest::default()
            };
            start(call, place, tries)
        };
        self.end(&call, end, alone, |span| {
            state_answer(span, &told);
            How::Done
        });
    }
}

fn state_answer(span: &OwnedSpan, told: &ApiAnswer) {
    if let Some(response) = &told.response {
        span.response(response);
    }
    if let Some(usage) = told.usage.as_ref().and_then(usage::read) {
        span.usage(usage);
    }
    if let Some(model) = spoken(&told.response_model) {
        span.response_model(model);
    }
    if let Some(id) = spoken(&told.response_id) {
        span.response_id(id);
    }
    if let Some(reason) = spoken(&told.finish_reason) {
        span.finish_reason(reason);
    }
    match &told.assistant_message {
        Some(Value::Object(message)) => {
            let whole =
                json!({ "choices": [{ "message": message, "finish_reason": told.finish_reason }] });
            if told.response.is_none() {
                span.response(&whole);
            }
        }
        Some(message) => {
            span.output(as_text(message));
        }
        None => {}
    }
    for (fact, count) in [
        (Fact::AssistantContentChars, told.assistant_content_chars),
        (Fact::AssistantToolCallCount, told.assistant_tool_call_count),
    ] {
        if let Some(count) = count {
            span.record(fact.name(), count);
        }
    }
    if let Some(cost) = told.cost_usd {
        span.cost_usd(cost);
    }
    if let Some(count) = told.retry_count.and_then(|count| u32::try_from(count).ok()) {
        span.retry_count(count);
    }
}

impl Do<ApiError> for Hooks {
    fn do_call(&self, told: ApiError) {
        let failure = Failure::of(&told);
        let call = Call {
            which: which(&told.api_request_id, &told.turn_id, told.api_call_count),
            whose: whose!(told, request: api_request_id),
            inside: None,
            began: told.started_at,
            said: mark((
                "error",
                &told.turn_id,
                told.started_at,
                told.ended_at,
                told.retry_count,
                told.status_code,
                &failure.type_name,
                &failure.message,
            )),
        };
        let end = End {
            at: told.ended_at,
            took: duration(told.api_duration, SECOND),
            has_failed: true,
        };
        let alone = |place: &Place, began, tries| {
            let call = ApiRequest {
                model: told.model.clone(),
                provider: told.provider.clone(),
                base_url: told.base_url.clone(),
                api_mode: told.api_mode.clone(),
                retry_count: told.retry_count,
                started_at: Some(began),
                ..ApiRequest::default()
            };
            start(call, place, tries)
        };
        self.end(&call, end, alone, |span| {
            if let Some(count) = told.retry_count.and_then(|count| u32::try_from(count).ok()) {
                span.retry_count(count);
            }
            let class = failure.class(told.status_code, spoken(&told.reason));
            if class == ErrorClass::Cancelled {
                return How::GivenUp;
            }
            if class != ErrorClass::Unknown {
                span.error_class(class);
            }
            How::Failed {
                type_name: failure.type_name,
                message: failure.message,
            }
        });
    }
}

/// What a hook says of an error.
struct Failure {
    type_name: String,
    message: String,
}

impl Failure {
    fn of(told: &ApiError) -> Self {
        let error = told.error.as_ref();
        let field = |name: &str| {
            error?
                .get(name)
                .filter(|value| !value.is_null())
                .map(as_text)
        };
        let whole = error.filter(|error| error.is_string()).map(as_text);
        Failure {
            type_name: field("type")
                .or_else(|| spoken(&told.error_type).map(str::to_owned))
                .unwrap_or_default(),
            message: field("message")
                .or_else(|| spoken(&told.error_message).map(str::to_owned))
                .or(whole)
                .unwrap_or_default(),
        }
    }

    /// By the status, the type, the text, and the host's own word, in this order: its word may be no more
    /// than `unknown`.
    fn class(&self, status: Option<i64>, reason: Option<&str>) -> ErrorClass {
        let status = status.and_then(|status| u16::try_from(status).ok());
        let type_name = Some(self.type_name.as_str()).filter(|name| !name.is_empty());
        let found = classify(status, type_name, &self.message);
        match (found, reason) {
            (ErrorClass::Unknown | ErrorClass::ProviderError, Some(reason)) => {
                match classify(None, Some(reason), reason) {
                    ErrorClass::Unknown => found,
                    class => class,
                }
            }
            _ => found,
        }
    }
}
