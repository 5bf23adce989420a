//! Spans of other libraries, emitted as the libraries emit them, in the store and at an OTLP endpoint.
//!
//! One file a library. Names, targets, fields and their types are those that the libraries' own code
//! has; nothing here is annotated, save where a test says so.

mod adk;
mod agents;
mod claude_code;
mod contract;
mod conventions;
mod errors;
mod genai;
mod nested;
mod rig;
mod swiftide;
mod taught;

use hermes::{Builder, ContentCapture, ModelCall, ToolCall};

use crate::support::collector::{Collector, ReceivedSpan};
use crate::support::{Bench, SOON};

/// What a library's spans became, on both sides.
pub(crate) struct Seen {
    pub(crate) bench: Bench,
    pub(crate) sent: Vec<ReceivedSpan>,
}

impl Seen {
    /// Runs code that emits spans, and waits for everything.
    pub(crate) fn of(code: impl FnOnce()) -> Self {
        Seen::with(|builder| builder, code)
    }

    /// The same with content kept and exported.
    pub(crate) fn with_content(code: impl FnOnce()) -> Self {
        Seen::with(|builder| builder.capture_content(ContentCapture::On), code)
    }

    pub(crate) fn with(set_up: impl FnOnce(Builder) -> Builder, code: impl FnOnce()) -> Self {
        let collector = Collector::start();
        let bench = Bench::with(|builder| set_up(builder.otlp_endpoint(collector.endpoint())));
        bench.run(code);
        let stored = bench.all_spans().len();
        let sent = collector.wait_for(stored, SOON);
        Seen { bench, sent }
    }

    /// The tree in the store, which the tree at OTLP agrees with: each stored span was sent, with
    /// the same name, kind and status, and under the same parent.
    pub(crate) fn picture(&self) -> String {
        let spans = self.bench.all_spans();
        for span in &spans {
            let sent: Vec<_> = self
                .sent
                .iter()
                .filter(|sent| sent.span_id == span.span_id.to_string())
                .collect();
            assert_eq!(sent.len(), 1, "{} was sent {} times", span.name, sent.len());
            let sent = sent[0];
            assert_eq!(sent.name, span.name);
            assert_eq!(sent.trace_id, span.trace_id.to_string());
            assert_eq!(
                sent.parent_span_id,
                span.wire_parent_span_id.map(|id| id.to_string())
            );
            let has_failed = sent.status_code.contains("ERROR");
            assert_eq!(has_failed, span.error_type.is_some(), "{}", span.name);
            let kind = sent.attributes["hermes.span.kind"].as_str().unwrap();
            assert_eq!(Some(kind), span.attributes["hermes.span.kind"].as_str());
        }
        self.bench.picture()
    }

    /// The only span of this name, as it was sent.
    pub(crate) fn sent(&self, name: &str) -> &ReceivedSpan {
        let mut named = self.sent.iter().filter(|span| span.name == name);
        let span = named.next().unwrap_or_else(|| panic!("no {name} was sent"));
        assert!(named.next().is_none(), "{name} was sent more than once");
        span
    }

    pub(crate) fn model_calls(&self) -> Vec<ModelCall> {
        let store = self.bench.telemetry.store().unwrap();
        let runs = self.bench.runs();
        runs.iter()
            .flat_map(|run| store.model_calls(run.run_id).unwrap())
            .collect()
    }

    pub(crate) fn tool_calls(&self) -> Vec<ToolCall> {
        let store = self.bench.telemetry.store().unwrap();
        let runs = self.bench.runs();
        runs.iter()
            .flat_map(|run| store.tool_calls(run.run_id).unwrap())
            .collect()
    }

    /// Input and output tokens of everything.
    pub(crate) fn tokens(&self) -> (i64, i64) {
        let sum = |column: &str| {
            self.bench.sql(&format!(
                "SELECT coalesce(sum({column}), 0) FROM tel_model_calls"
            ))
        };
        (sum("input_tokens"), sum("output_tokens"))
    }
}

/// The usage that the stub server of the observed runs reports, recorded as one library does.
#[macro_export]
macro_rules! record_all {
    ($span:expr, $($name:literal = $value:expr),+ $(,)?) => {
        {
            $($span.record($name, $value);)+
        }
    };
}
