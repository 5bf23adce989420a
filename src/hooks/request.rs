//! Model calls: by the id of the request, each try a call of its own.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::book::{Birth, Place, Whose};
use super::calls::{Finishing, Key, Role, Starting, mark};
use super::held::{Ending, Held, How, carry_out};
use super::{
    ApiAnswer, ApiError, ApiRequest, Do, Hooks, SECOND, as_text, duration, spoken, usage, whose,
};
use crate::record::{ErrorClass, classify};
use crate::semconv::Fact;
use crate::span::{self, OwnedSpan};

/// What a call is known by: the id of the request, else its number in the turn.
fn key(request: &Option<String>, turn: &Option<String>, number: Option<i64>) -> Key {
    let (id, is_own) = match (spoken(request), spoken(turn), number) {
        (Some(id), _, _) => (id.to_owned(), true),
        (None, Some(turn), Some(number)) => (format!("{turn} {number}"), true),
        _ => (String::new(), false),
    };
    Key {
        role: Role::Request,
        id,
        is_own,
    }
}

impl Do<ApiRequest> for Hooks {
    fn do_call(&self, told: ApiRequest) {
        let key = key(&told.api_request_id, &told.turn_id, told.api_call_count);
        let whose = Whose {
            request: spoken(&told.api_request_id),
            ..whose!(told)
        };
        let said = mark((
            told.started_at,
            told.retry_count,
            told.api_call_count,
            told.message_count,
            told.request_char_count,
            told.approx_input_tokens,
        ));
        let begun = self.book(|book| {
            let mut endings = Vec::new();
            let session = book.session_of(&whose);
            let tries = match book
                .calls
                .starting(&key, session.as_deref(), said, &mut endings)
            {
                Starting::Known => return None,
                Starting::New { tries } => tries,
            };
            let place = book.place(&whose, birth(&told));
            let held = start(&told, &place, tries);
            book.calls
                .open(key, place.session, place.parent, held.clone(), said, tries);
            Some((held, endings))
        });
        if let Some((held, endings)) = begun {
            carry_out(endings);
            held.span();
        }
    }
}

fn birth(told: &ApiRequest) -> Birth {
    Birth {
        model: None,
        platform: None,
        began: told.started_at.filter(|began| *began < SystemTime::now()),
    }
}

fn start(told: &ApiRequest, place: &Place, tries: i64) -> std::sync::Arc<Held> {
    let told = told.clone();
    let began = told.started_at;
    let now = SystemTime::now();
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

/// What the two ends of a call have in common.
struct End<'a> {
    key: Key,
    whose: Whose<'a>,
    started: Option<SystemTime>,
    ended: Option<SystemTime>,
    took: Option<f64>,
    has_failed: bool,
    mark: u64,
    /// The call, if nobody told of its start.
    alone: ApiRequest,
}

impl Hooks {
    fn end_request(&self, end: End<'_>, say: impl FnOnce(&OwnedSpan) -> How) {
        let took = duration(end.took, SECOND);
        let held = self.book(|book| {
            let session = book.session_of(&end.whose);
            match book
                .calls
                .finishing(&end.key, session.as_deref(), end.mark, end.has_failed)
            {
                Finishing::Known => None,
                Finishing::Open(open) => Some(open.held),
                Finishing::Alone => {
                    let now = end.ended.unwrap_or_else(SystemTime::now);
                    let before = took.and_then(|took| now.checked_sub(took));
                    let told = end.alone.started_at(end.started.or(before).unwrap_or(now));
                    let place = book.place(&end.whose, birth(&told));
                    Some(start(&told, &place, 0))
                }
            }
        });
        let Some(held) = held else { return };
        let how = say(held.span());
        let at = held.end(end.started, end.ended, took);
        held.tell_end(at.unwrap_or_else(SystemTime::now));
        Ending { held, how, at }.carry_out();
    }
}

impl Do<ApiAnswer> for Hooks {
    fn do_call(&self, told: ApiAnswer) {
        let end = End {
            key: key(&told.api_request_id, &told.turn_id, told.api_call_count),
            whose: Whose {
                request: spoken(&told.api_request_id),
                ..whose!(told)
            },
            started: told.started_at,
            ended: told.ended_at,
            took: told.api_duration,
            has_failed: false,
            mark: mark(("answer", told.started_at, told.retry_count)),
            alone: ApiRequest {
                model: told.model.clone(),
                provider: told.provider.clone(),
                base_url: told.base_url.clone(),
                api_mode: told.api_mode.clone(),
                message_count: told.message_count,
                tool_count: told.tool_count,
                retry_count: told.retry_count,
                ..ApiRequest::default()
            },
        };
        self.end_request(end, |span| {
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
        let end = End {
            key: key(&told.api_request_id, &told.turn_id, told.api_call_count),
            whose: Whose {
                request: spoken(&told.api_request_id),
                ..whose!(told)
            },
            started: told.started_at,
            ended: told.ended_at,
            took: told.api_duration,
            has_failed: true,
            mark: mark((
                "error",
                told.started_at,
                told.retry_count,
                told.status_code,
                &failure.type_name,
                &failure.message,
            )),
            alone: ApiRequest {
                model: told.model.clone(),
                provider: told.provider.clone(),
                base_url: told.base_url.clone(),
                api_mode: told.api_mode.clone(),
                retry_count: told.retry_count,
                ..ApiRequest::default()
            },
        };
        self.end_request(end, |span| {
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
