//! The end of another library's span: what it said in its own way becomes what Hermes means by it.

use serde_json::json;

use super::flat::settle_pieces;
use super::nonsense::forget_nonsense;
use super::{Dialect, Habit};
use crate::capture::callsite::Shape;
use crate::capture::notes::Notes;
use crate::capture::open::OpenSpan;
use crate::capture::state::{Outcome, State};
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
    forget_nonsense(&mut state.said.notes);
    for (fact, value) in dialect.map_or(&[][..], |dialect| &dialect.stated) {
        state.said.notes.set_default(*fact, value.clone());
    }
    if let Some(part) = dialect.and_then(Dialect::provider_part)
        && let Some(provider) = shape.metadata.target().split("::").nth(part)
    {
        state.said.notes.set_default(Fact::Provider, provider);
    }
    settle_pieces(state);
    settle_subject(kind, &mut state.said.notes);
    settle_usage(&mut state.said.notes, has(Habit::ExcludesCached));
    settle_reasons(&mut state.said.notes);
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
        Kind::Chat | Kind::Embedding | Kind::Agent => (Fact::InputMessages, Fact::OutputMessages),
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
    if matches!(kind, Kind::Chat | Kind::Agent) {
        for (fact, role) in [
            (Fact::InputMessages, "user"),
            (Fact::OutputMessages, "assistant"),
        ] {
            settle_messages(fact, role, notes);
        }
    }
}

/// A plain text is one message of it: whoever reads messages reads JSON.
fn settle_messages(fact: Fact, role: &str, notes: &mut Notes) {
    let Some(text) = notes.text_of(fact) else {
        return;
    };
    if text.trim_start().starts_with(['[', '{']) {
        return;
    }
    let parts = json!([{"type": "text", "content": text}]);
    let messages = json!([{"role": role, "parts": parts}]);
    notes.text(fact, &messages.to_string());
}

/// Input tokens include those of the cache, whether the library counted them in or beside.
fn settle_usage(notes: &mut Notes, excludes_cached: bool) {
    let int = |notes: &Notes, fact| notes.get(fact).and_then(|noted| noted.as_int());
    let cached = [Fact::CacheReadTokens, Fact::CacheWriteTokens]
        .into_iter()
        .filter_map(|fact| int(notes, fact))
        .fold(0, i64::saturating_add);
    let total = int(notes, Fact::TotalTokens);
    let sums_up_to_total = |parts: [i64; 3]| {
        let sum = parts.into_iter().fold(0, i64::saturating_add);
        total == Some(sum)
    };
    let output = int(notes, Fact::OutputTokens);
    if let Some(input) = int(notes, Fact::InputTokens)
        && cached > 0
        // A part that is greater than the whole is none, and a total has no part twice.
        && (excludes_cached
            || cached > input
            || output.is_some_and(|output| sums_up_to_total([input, cached, output])))
    {
        notes.int(Fact::InputTokens, input.saturating_add(cached));
    }
    let input = int(notes, Fact::InputTokens);
    if let (Some(output), Some(reasoning)) = (output, int(notes, Fact::ReasoningTokens))
        && reasoning > 0
        && (reasoning > output || sums_up_to_total([input.unwrap_or(0), output, reasoning]))
    {
        notes.int(Fact::OutputTokens, output.saturating_add(reasoning));
    }
    if let Some(total) = total {
        match (input, output) {
            (Some(known), None) if known <= total => {
                notes.int(Fact::OutputTokens, total - known);
            }
            (None, Some(known)) if known <= total => notes.int(Fact::InputTokens, total - known),
            _ => {}
        }
    }
}

/// A list that was printed for people, as `[Stop, Length]`, is one all the same.
fn settle_reasons(notes: &mut Notes) {
    let Some(text) = notes.text_of(Fact::FinishReasons) else {
        return;
    };
    let Some(printed) = text.trim().strip_prefix('[') else {
        return;
    };
    if serde_json::from_str::<Vec<String>>(text).is_ok() {
        return;
    }
    let words = printed.trim_end_matches(']').split(',').map(|word| {
        let word = word.trim();
        let word = word.strip_prefix("Some(").unwrap_or(word);
        word.trim_end_matches(')').trim_matches('"')
    });
    let words = words.filter(|word| !matches!(*word, "" | "None" | "null"));
    let words: Vec<String> = words.map(str::to_owned).collect();
    notes.set(Fact::FinishReasons, words);
}

/// How it went, in the words of any library.
fn settle_result(notes: &mut Notes) {
    if let Some(word) = notes.text_of(Fact::ToolResultClass) {
        let is_timeout = notes.text_of(Fact::ErrorType) == Some(ResultClass::Timeout.as_str());
        let class = match word.to_ascii_lowercase().as_str() {
            "denied" | "skipped" | "rejected" | "blocked" | "forbidden" => ResultClass::Blocked,
            "timeout" | "timed_out" | "timedout" => ResultClass::Timeout,
            _ if is_timeout => ResultClass::Timeout,
            "error" | "errored" | "failed" | "failure" | "fail" | "exception" | "false"
            | "cancelled" | "canceled" | "aborted" => ResultClass::Error,
            // A word that nobody knows is no failure; what failed says so elsewhere as well.
            _ if notes.text_of(Fact::ErrorType).is_some() => ResultClass::Error,
            _ => ResultClass::Ok,
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

    /// The part of the target that names the provider.
    fn provider_part(&self) -> Option<usize> {
        self.habits.iter().find_map(|habit| match habit {
            Habit::ProviderInTarget(part) => Some(*part),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{settle_reasons, settle_result, settle_usage};
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
    fn a_total_tells_what_is_counted_beside() {
        let settled = |said: &[(Fact, i64)]| {
            let mut notes = Notes::default();
            for (fact, tokens) in said {
                notes.int(*fact, *tokens);
            }
            settle_usage(&mut notes, false);
            notes.tokens()
        };
        let (input, output) = (Fact::InputTokens, Fact::OutputTokens);
        let (cached, thought) = (Fact::CacheReadTokens, Fact::ReasoningTokens);
        let total = Fact::TotalTokens;
        for (said, expected) in [
            (
                &[(input, 100), (output, 30), (cached, 50), (total, 180)][..],
                (150, 30),
            ),
            (
                &[(input, 100), (output, 30), (cached, 50), (total, 130)],
                (100, 30),
            ),
            (
                &[(input, 100), (output, 30), (thought, 12), (total, 142)],
                (100, 42),
            ),
            (
                &[(input, 100), (output, 30), (thought, 12), (total, 130)],
                (100, 30),
            ),
            (&[(input, 100), (output, 9), (thought, 94)], (100, 103)),
        ] {
            assert_eq!(settled(said), expected, "{said:?}");
        }
    }

    #[test]
    fn lists_of_reasons_are_read_however_they_are_printed() {
        for (said, words) in [
            ("[Stop]", &["Stop"][..]),
            ("[Some(\"stop\"), None]", &["stop"]),
            ("[\"stop\", null, \"length\"]", &["stop", "length"]),
            ("[\"stop\"]", &["stop"]),
            ("stop", &["stop"]),
        ] {
            let mut notes = Notes::default();
            notes.text(Fact::FinishReasons, said);
            settle_reasons(&mut notes);
            let facts = notes.read().facts();
            assert_eq!(
                facts.get(Fact::FinishReasons),
                Some(&words.into()),
                "{said}"
            );
        }
    }

    #[test]
    fn a_tools_outcome_is_read_in_any_librarys_words() {
        for (word, class) in [
            ("Success", "ok"),
            ("completed", "ok"),
            ("FAILED", "error"),
            ("skipped", "blocked"),
            ("timed_out", "timeout"),
        ] {
            let mut notes = Notes::default();
            notes.text(Fact::ToolResultClass, word);
            settle_result(&mut notes);
            assert_eq!(notes.text_of(Fact::ToolResultClass), Some(class), "{word}");
        }
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
