//! The sums of a session, read back from the store.

use std::collections::BTreeMap;
use std::fmt;

use hermes::{EndReason, Error, ResultClass, RunId, Status, Store, TraceId};
use serde_json::{Value, json};

use crate::session::Session;

/// What is counted: its name in JSON and in the table.
const COUNTS: [(&str, &str); 9] = [
    ("chat_spans", "calls"),
    ("failed_chat_spans", "failed"),
    ("input_tokens", "input"),
    ("cache_read_tokens", "cached"),
    ("output_tokens", "output"),
    ("reasoning_tokens", "reasoning"),
    ("tool_spans", "tools"),
    ("tool_errors", "errors"),
    ("tool_timeouts", "timeouts"),
];

/// What the store has of a session.
pub(crate) struct Sums {
    session_id: String,
    file: String,
    exit_status: Option<String>,
    ids: Option<(RunId, TraceId)>,
    end_reason: Option<EndReason>,
    counts: [i64; COUNTS.len()],
    cost_usd: f64,
    models: BTreeMap<String, u64>,
    finish_reasons: BTreeMap<String, u64>,
    tools: BTreeMap<String, u64>,
}

impl Sums {
    /// Sums up a run; `None` where the store has none of it.
    pub(crate) fn read(
        store: &Store,
        run_id: RunId,
        session: &Session,
    ) -> Result<Option<Sums>, Error> {
        let Some(run) = store.run(run_id)? else {
            return Ok(None);
        };
        let (calls, tools) = (store.model_calls(run_id)?, store.tool_calls(run_id)?);
        let answered = calls
            .iter()
            .filter(|call| call.status == Status::Ok)
            .count();
        let tokens =
            |read: fn(&hermes::ModelCall) -> Option<i64>| calls.iter().filter_map(read).sum();
        let ended = |class| {
            count(
                tools
                    .iter()
                    .filter(|tool| tool.result_class == Some(class))
                    .count(),
            )
        };
        Ok(Some(Sums {
            session_id: run.session_id.unwrap_or_default(),
            file: session.file.clone(),
            exit_status: session.exit_status.clone(),
            ids: Some((run.run_id, run.trace_id)),
            end_reason: run.end_reason,
            counts: [
                count(answered),
                count(calls.len() - answered),
                tokens(|call| call.input_tokens),
                tokens(|call| call.cache_read_tokens),
                tokens(|call| call.output_tokens),
                tokens(|call| call.reasoning_tokens),
                count(tools.len()),
                ended(ResultClass::Error),
                ended(ResultClass::Timeout),
            ],
            cost_usd: calls
                .iter()
                .filter_map(|call| call.estimated_cost_usd)
                .fold(0.0, std::ops::Add::add),
            models: tally(calls.iter().map(|call| &call.response_model)),
            finish_reasons: tally(calls.iter().map(|call| &call.finish_reason)),
            tools: tally(tools.iter().map(|tool| &tool.tool_name)),
        }))
    }

    /// All sessions together.
    pub(crate) fn total(all: &[Sums]) -> Sums {
        let plural = if all.len() == 1 { "" } else { "s" };
        Sums {
            session_id: format!("{} session{plural}", all.len()),
            file: String::new(),
            exit_status: None,
            ids: None,
            end_reason: None,
            counts: std::array::from_fn(|at| all.iter().map(|sums| sums.counts[at]).sum()),
            cost_usd: all
                .iter()
                .map(|sums| sums.cost_usd)
                .fold(0.0, std::ops::Add::add),
            models: BTreeMap::new(),
            finish_reasons: BTreeMap::new(),
            tools: BTreeMap::new(),
        }
    }

    /// The first line of the table.
    pub(crate) fn header() -> String {
        let counts = COUNTS.map(|(_, name)| format!("{name:>10}")).concat();
        format!("{counts}{:>12}  {:<14}  session", "cost", "end")
    }

    /// One object, with the names that `tests/data/README.md` explains.
    pub(crate) fn to_json(&self) -> Value {
        let mut sums = json!({
            "session_id": self.session_id,
            "run_id": self.ids.map(|(run_id, _)| run_id.to_string()),
            "trace_id": self.ids.map(|(_, trace_id)| trace_id.to_string()),
            "file": self.file,
            "exit_status": self.exit_status,
            "end_reason": self.end_reason.map(EndReason::as_str),
            "cost_usd": dollars(self.cost_usd),
            "models": self.models,
            "finish_reasons": self.finish_reasons,
            "tools": self.tools,
        });
        for ((name, _), count) in COUNTS.iter().zip(self.counts) {
            sums[*name] = count.into();
        }
        sums
    }
}

/// One line of the table.
impl fmt::Display for Sums {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for count in self.counts {
            write!(f, "{count:>10}")?;
        }
        let end = self.end_reason.map_or("", EndReason::as_str);
        write!(
            f,
            "{:>12}  {end:<14}  {}",
            format!("${:.6}", self.cost_usd),
            self.session_id
        )
    }
}

/// Without the last digits of a sum of fractions, which are noise: 0.1 + 0.2 is 0.3.
fn dollars(sum: f64) -> f64 {
    (sum * 1e12).round() / 1e12
}

fn count(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}

fn tally<'a>(words: impl Iterator<Item = &'a Option<String>>) -> BTreeMap<String, u64> {
    let mut tally = BTreeMap::new();
    for word in words.flatten() {
        *tally.entry(word.clone()).or_default() += 1;
    }
    tally
}
