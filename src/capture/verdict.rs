//! How a span turned out: its status, its failure, the class of a tool's result.

use std::borrow::Cow;

use super::notes::Notes;
use super::open::OpenSpan;
use super::state::{Outcome, State};
use crate::record::{EndReason, ErrorClass, Facts, Failure, ResultClass, Status, classify};
use crate::semconv::{ERROR_TYPE_OTHER, Fact, Kind};

/// How a span turned out.
pub(super) struct Verdict {
    pub(super) status: Status,
    pub(super) failure: Option<Failure>,
    pub(super) result_class: Option<ResultClass>,
}

/// What a span states in words, noted or worked out.
trait Stated {
    fn word(&self, fact: Fact) -> Option<&str>;
}

impl Stated for Facts {
    fn word(&self, fact: Fact) -> Option<&str> {
        self.text(fact)
    }
}

impl Stated for Notes {
    #[inline]
    fn word(&self, fact: Fact) -> Option<&str> {
        self.text_of(fact)
    }
}

impl OpenSpan {
    /// The `error.type` of the span if it ended now; `None` if it has not failed.
    pub(crate) fn failure_type(&self) -> Option<Cow<'static, str>> {
        let kind = self.kind()?;
        let state = self.state();
        verdict(
            kind,
            state.outcome.as_ref(),
            state.class,
            &state.said.notes.read().facts(),
        )
        .failure
        .map(|failure| failure.error_type)
    }
}

/// Whether a model call failed, so that the next one tries again.
#[inline]
pub(super) fn has_failed(state: &State) -> bool {
    let outcome = state.outcome.as_ref();
    status(Kind::Chat, outcome, state.class, &state.said.notes).is_failure()
}

pub(super) fn verdict(
    kind: Kind,
    outcome: Option<&Outcome>,
    stated_class: Option<ErrorClass>,
    facts: &Facts,
) -> Verdict {
    let status = status(kind, outcome, stated_class, facts);
    let stated_result = stated_result(facts);
    let found = match outcome {
        Some(Outcome::Returned(Some(found))) => Some(found),
        _ => None,
    };
    // What the code states beats what the result looks like.
    let mut result_class = stated_result.or(found.map(|found| found.class));
    if !status.is_failure() {
        return Verdict {
            status,
            failure: None,
            result_class,
        };
    }

    let stated_type = facts.text(Fact::ErrorType);
    let (type_name, text) = match outcome {
        Some(Outcome::Failed { type_name, message }) => (type_name.clone(), message.as_ref()),
        Some(Outcome::Panicked { message }) => (Some(Cow::Borrowed("panic")), message.as_ref()),
        _ => (None, found.and_then(|found| found.message.as_ref())),
    };
    let message = text
        .cloned()
        .or_else(|| facts.text(Fact::OtelStatusDescription).map(str::to_owned));
    let class = match (stated_class, status) {
        (Some(class), _) => class,
        (None, Status::Cancelled) => ErrorClass::Cancelled,
        _ => stated_type
            .and_then(ErrorClass::from_name)
            .unwrap_or_else(|| {
                classify(
                    None,
                    stated_type.or(type_name.as_deref()),
                    message.as_deref().unwrap_or_default(),
                )
            }),
    };
    if kind == Kind::Tool && result_class.is_none() {
        result_class = Some(match class {
            ErrorClass::ProviderTimeout => ResultClass::Timeout,
            _ => ResultClass::Error,
        });
    }
    let error_type = error_type(stated_type, stated_class, result_class, class, type_name);
    Verdict {
        status,
        failure: Some(Failure {
            error_type,
            class,
            message,
        }),
        result_class,
    }
}

#[inline]
fn status(
    kind: Kind,
    outcome: Option<&Outcome>,
    stated_class: Option<ErrorClass>,
    stated: &impl Stated,
) -> Status {
    let of_class = |class| match class {
        ResultClass::Ok => Status::Ok,
        _ => Status::Error,
    };
    let status = match outcome {
        Some(Outcome::Cancelled) => Status::Cancelled,
        Some(Outcome::Failed { .. } | Outcome::Panicked { .. }) => Status::Error,
        Some(Outcome::Returned(found)) => {
            let found = found.as_ref().map(|found| found.class);
            stated_result(stated).or(found).map_or(Status::Ok, of_class)
        }
        None => stated_result(stated).map_or(Status::Ok, of_class),
    };
    if status != Status::Ok {
        return status;
    }
    let end = match kind {
        Kind::Session => stated.word(Fact::EndReason).and_then(EndReason::from_name),
        Kind::Turn => stated
            .word(Fact::FinalStatus)
            .filter(|word| *word == EndReason::Interrupted.as_str())
            .and_then(EndReason::from_name),
        _ => None,
    };
    let is_stated_failure = stated_class.is_some()
        || stated.word(Fact::ErrorType).is_some()
        || stated
            .word(Fact::OtelStatusCode)
            .is_some_and(|code| code.eq_ignore_ascii_case("error"));
    match end {
        Some(EndReason::Failed) => Status::Error,
        _ if is_stated_failure => Status::Error,
        Some(EndReason::Interrupted) => Status::Interrupted,
        _ => Status::Ok,
    }
}

fn stated_result(stated: &impl Stated) -> Option<ResultClass> {
    stated
        .word(Fact::ToolResultClass)
        .and_then(ResultClass::from_name)
}

/// `error.type`: what the code set, the class, the error's type, else `_OTHER` (SPEC section 2). A
/// tool's timeout and block are classes of their own.
fn error_type(
    stated: Option<&str>,
    stated_class: Option<ErrorClass>,
    result: Option<ResultClass>,
    class: ErrorClass,
    type_name: Option<Cow<'static, str>>,
) -> Cow<'static, str> {
    if let Some(stated) = stated {
        return Cow::Owned(stated.to_owned());
    }
    if let Some(class) = stated_class {
        return Cow::Borrowed(class.as_str());
    }
    match (result, class, type_name) {
        (Some(result @ (ResultClass::Timeout | ResultClass::Blocked)), _, _) => {
            Cow::Borrowed(result.as_str())
        }
        (_, class, _) if class != ErrorClass::Unknown => Cow::Borrowed(class.as_str()),
        (_, _, Some(name)) => name,
        (Some(result), _, None) => Cow::Borrowed(result.as_str()),
        _ => Cow::Borrowed(ERROR_TYPE_OTHER),
    }
}
