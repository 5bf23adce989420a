//! The end of another library's span: what it said in its own way becomes what Hermes means by it.

use super::{Dialect, Habit};
use crate::capture::callsite::Shape;
use crate::capture::notes::Notes;
use crate::capture::open::{OpenSpan, Outcome, State};
use crate::capture::{core::Core, verdict};
use crate::record::{ResultClass, Value};
use crate::semconv::{Fact, Kind};

impl Core {
    /// Looks a last time at what a span of another library is, and reads what it said.
    pub(in crate::capture) fn settle_other(&self, open: &OpenSpan) {
        let found = open.kind();
        let is_open_to_more = found.is_none() || (self.captures_all && found == Some(Kind::Step));
        if is_open_to_more && let Some(kind) = open.likely_kind_at_end() {
            open.turn_out(kind);
        }
        let Some(kind) = open.kind() else { return };
        let model = (kind == Kind::Chat).then(|| open.model_around()).flatten();
        let mut state = open.state();
        if let Some(model) = model {
            state.said.notes.set_default(Fact::RequestModel, model);
        }
        settle(open.origin.shape, kind, &mut state);
    }
}

impl OpenSpan {
    /// What the span is, where it never said: a span with a model and tokens that no other call
    /// stands in is a call itself.
    fn likely_kind_at_end(&self) -> Option<Kind> {
        let kind = self.origin.shape.likely_kind?;
        let state = self.state();
        let is_said = Fact::ALL.iter().any(|fact| {
            let tells = match kind {
                Kind::Tool => *fact == Fact::ToolName,
                _ => *fact == Fact::RequestModel || fact.is_of_response(),
            };
            tells && state.said.notes.has(*fact)
        });
        (is_said && !state.has_inner).then_some(kind)
    }

    /// The model that a session, an agent or a turn around names, for calls that name none.
    fn model_around(&self) -> Option<Value> {
        if self.state().said.notes.has(Fact::RequestModel) {
            return None;
        }
        self.ancestors().find_map(|open| {
            let state = open.state();
            state.said.notes.get(Fact::Model).map(Value::from)
        })
    }
}

fn settle(shape: &Shape, kind: Kind, state: &mut State) {
    let dialect = shape.dialect;
    let has = |habit| dialect.is_some_and(|dialect| dialect.has(habit));
    for (fact, value) in dialect.map_or(&[][..], |dialect| &dialect.stated) {
        state.said.notes.set_default(*fact, value.clone());
    }
    if has(Habit::ProviderInTarget)
        && let Some(provider) = shape.metadata.target().split("::").nth(1)
    {
        state.said.notes.set_default(Fact::Provider, provider);
    }
    settle_subject(kind, &mut state.said.notes);
    settle_usage(&mut state.said.notes, has(Habit::ExcludesCached));
    settle_result(&mut state.said.notes);
    if let Some(heard) = state.heard.take()
        && (heard.is_final || !has_answer(&state.said.notes))
    {
        if let Some(error_type) = heard.error_type {
            state.said.notes.set_default(Fact::ErrorType, error_type);
        }
        state.outcome.get_or_insert(if heard.is_cancelled {
            Outcome::Cancelled
        } else {
            Outcome::Failed {
                type_name: None,
                message: heard.text,
            }
        });
    }
    let notes = &state.said.notes;
    if has(Habit::EndsWithReason)
        && is_streamed(notes)
        && !notes.has(Fact::FinishReasons)
        && !verdict::has_failed(state)
    {
        state.outcome.get_or_insert(Outcome::Cancelled);
    }
}

/// Texts and names that mean another thing on each kind.
fn settle_subject(kind: Kind, notes: &mut Notes) {
    let (said, answered) = match kind {
        Kind::Chat | Kind::Embedding => (Fact::InputMessages, Fact::OutputMessages),
        Kind::Tool => (Fact::ToolArguments, Fact::ToolResult),
        Kind::Retriever | Kind::Reranker => (Fact::Query, Fact::Documents),
        _ => (Fact::UserMessage, Fact::AssistantResponse),
    };
    let named = match kind {
        Kind::Tool => Fact::ToolName,
        Kind::Agent => Fact::AgentName,
        _ => Fact::EntityName,
    };
    for (from, to) in [
        (Fact::UserMessage, said),
        (Fact::AssistantResponse, answered),
        (Fact::EntityName, named),
    ] {
        if from != to
            && let Some(value) = notes.get(from).map(Value::from)
        {
            notes.set_default(to, value);
        }
    }
}

/// Input tokens include those of the cache, whether the library counted them in or beside.
fn settle_usage(notes: &mut Notes, excludes_cached: bool) {
    let int = |notes: &Notes, fact| notes.get(fact).and_then(|noted| noted.as_int());
    let cached = [Fact::CacheReadTokens, Fact::CacheWriteTokens]
        .into_iter()
        .filter_map(|fact| int(notes, fact))
        .fold(0, i64::saturating_add);
    if let Some(input) = int(notes, Fact::InputTokens)
        && cached > 0
        // A part that is greater than the whole is none.
        && (excludes_cached || cached > input)
    {
        notes.int(Fact::InputTokens, input.saturating_add(cached));
    }
    if let Some(total) = int(notes, Fact::TotalTokens) {
        let (input, output) = (
            int(notes, Fact::InputTokens),
            int(notes, Fact::OutputTokens),
        );
        match (input, output) {
            (Some(known), None) if known <= total => {
                notes.int(Fact::OutputTokens, total - known);
            }
            (None, Some(known)) if known <= total => notes.int(Fact::InputTokens, total - known),
            _ => {}
        }
    }
}

/// How it went, in the words of any library.
fn settle_result(notes: &mut Notes) {
    if let Some(word) = notes.text_of(Fact::ToolResultClass) {
        let is_timeout = notes.text_of(Fact::ErrorType) == Some(ResultClass::Timeout.as_str());
        let class = match word {
            "success" | "succeeded" | "ok" => ResultClass::Ok,
            "denied" | "skipped" | "rejected" | "blocked" => ResultClass::Blocked,
            "timeout" | "timed_out" => ResultClass::Timeout,
            _ if is_timeout => ResultClass::Timeout,
            _ => ResultClass::Error,
        };
        notes.text(Fact::ToolResultClass, class.as_str());
    }
    // `error = false`, `error = None`: there was none.
    let text = match notes.get(Fact::ErrorText).map(Value::from) {
        None | Some(Value::Bool(false)) => return,
        Some(value) => value.to_text().into_owned(),
    };
    if matches!(text.as_str(), "" | "None" | "false" | "0") {
        return;
    }
    notes.text(Fact::OtelStatusCode, "error");
    if text != "true" {
        notes.set_default(Fact::OtelStatusDescription, text);
    }
}

/// Whether a call was to be answered piece by piece.
pub(super) fn is_streamed(notes: &Notes) -> bool {
    let stream = notes.get(Fact::Stream).map(Value::from);
    stream.and_then(|value| value.as_bool()) == Some(true)
}

/// Whether a call brought something back.
pub(super) fn has_answer(notes: &Notes) -> bool {
    let mut facts = Fact::ALL.iter();
    facts.any(|fact| (fact.is_of_response() || *fact == Fact::ToolResult) && notes.has(*fact))
}

impl Dialect {
    /// The kind of a span that does not say itself what it is, with what is known of it so far.
    pub(in crate::capture) fn kind_with(&self, notes: &Notes) -> Option<Kind> {
        self.kind
            .filter(|_| self.needs.is_none_or(|fact| notes.has(fact)))
    }
}

#[cfg(test)]
mod tests {
    use super::{settle_result, settle_usage};
    use crate::capture::notes::Notes;
    use crate::semconv::Fact;

    fn input(tokens: [i64; 3], excludes_cached: bool) -> Option<i64> {
        let mut notes = Notes::default();
        for (fact, tokens) in [
            Fact::InputTokens,
            Fact::CacheReadTokens,
            Fact::CacheWriteTokens,
        ]
        .into_iter()
        .zip(tokens)
        {
            notes.int(fact, tokens);
        }
        settle_usage(&mut notes, excludes_cached);
        notes.read().facts().int(Fact::InputTokens)
    }

    #[test]
    fn input_includes_what_was_cached() {
        assert_eq!(input([120, 64, 0], false), Some(120));
        assert_eq!(input([120, 64, 0], true), Some(184));
        assert_eq!(input([2, 84_562, 7_096], false), Some(91_660));
        assert_eq!(input([120, 0, 0], true), Some(120));
    }

    #[test]
    fn a_total_tells_what_was_left_out() {
        let mut notes = Notes::default();
        notes.int(Fact::InputTokens, 100);
        notes.text(Fact::TotalTokens, "130");
        settle_usage(&mut notes, false);
        assert_eq!(notes.read().facts().int(Fact::OutputTokens), Some(30));
    }

    #[test]
    fn no_error_is_no_error() {
        for (said, failed) in [("None", false), ("", false), ("boom", true)] {
            let mut notes = Notes::default();
            notes.text(Fact::ErrorText, said);
            settle_result(&mut notes);
            assert_eq!(
                notes.text_of(Fact::OtelStatusCode).is_some(),
                failed,
                "{said}"
            );
        }
    }
}
