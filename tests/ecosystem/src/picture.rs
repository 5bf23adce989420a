//! Hermes between a library and a collector, and what both ends have of it as one readable tree.

use std::collections::HashMap;
use std::fmt::Write;
use std::future::Future;

use hermes::{Builder, RecordedSpan, Status};
use serde_json::{Map, Value};

use crate::support::Bench;
use crate::support::collector::{Collector, ReceivedSpan};

/// Hermes with a store and a collector of its own.
pub(crate) struct Watched {
    pub(crate) bench: Bench,
    pub(crate) collector: Collector,
}

impl Watched {
    /// Hermes as it comes.
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    /// Hermes set up in code.
    pub(crate) fn with(set_up: impl FnOnce(Builder) -> Builder) -> Self {
        let collector = Collector::start();
        let bench = Bench::with(|builder| set_up(builder.otlp_endpoint(collector.endpoint())));
        Watched { bench, collector }
    }

    /// Runs a future to its end on this thread, then waits until what it did is kept and sent.
    pub(crate) fn run<T>(&self, code: impl Future<Output = T>) -> T {
        // Dropped inside, so that no task of a client outlives what is looked at.
        self.bench.run(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(code)
        })
    }

    /// The sums of the runs and the trees under them, which the store and the collector agree on.
    pub(crate) fn picture(&self) -> String {
        let stored: Vec<_> = self.bench.all_spans().iter().map(Node::stored).collect();
        let received = self.collector.spans();
        let sent = kept(&received);
        let (store, wire) = (drawn(&stored), drawn(&sent));
        assert_eq!(store, wire, "the store and the collector disagree");
        for span in self.bench.all_spans() {
            assert_same_at_collector(&span, &received);
        }
        let mut picture = String::new();
        for run in self.bench.runs() {
            writeln!(
                picture,
                "run: {} model calls, {} tool calls, {} errors, {} in, {} out",
                run.model_call_count,
                run.tool_call_count,
                run.error_count,
                run.input_tokens,
                run.output_tokens
            )
            .unwrap();
        }
        picture + &store
    }

    /// Everything that left, and everything that was kept, as text.
    pub(crate) fn all_text(&self) -> String {
        format!("{:?}{:?}", self.collector.spans(), self.bench.all_spans())
    }
}

/// Ids, times and the parent on the wire are the same at both ends.
fn assert_same_at_collector(span: &RecordedSpan, received: &[ReceivedSpan]) {
    let name = &span.name;
    let id = span.span_id.to_string();
    let sent = received.iter().find(|sent| sent.span_id == id);
    let sent = sent.unwrap_or_else(|| panic!("{name} has another id at the collector"));
    assert_eq!(sent.trace_id, span.trace_id.to_string(), "{name}");
    let parent = span.wire_parent_span_id.map(|id| id.to_string());
    assert_eq!(sent.parent_span_id, parent, "the parent of {name}");
    let times = [sent.start_ns, sent.end_ns].map(u64::cast_signed);
    assert_eq!(times, [span.start_ns, span.end_ns.unwrap()], "{name}");
}

struct Node {
    id: String,
    parent: Option<String>,
    start_ns: u64,
    line: String,
}

impl Node {
    fn stored(span: &RecordedSpan) -> Self {
        let status = match span.status {
            Status::Ok => None,
            status => Some(status.to_string()),
        };
        Node {
            id: span.span_id.to_string(),
            parent: span.parent_span_id.map(|id| id.to_string()),
            start_ns: span.start_ns.unsigned_abs(),
            line: line(
                &span.name,
                &span.otel_kind,
                status.as_deref(),
                &span.attributes,
            ),
        }
    }

    fn received(span: &ReceivedSpan) -> Self {
        let status = match (
            span.status_code.as_str(),
            text(&span.attributes, "error.type"),
        ) {
            ("ERROR", Some(kind)) if kind == "cancelled" => Some("cancelled"),
            ("ERROR", _) => Some("error"),
            _ => None,
        };
        Node {
            id: span.span_id.clone(),
            parent: span.parent_span_id.clone(),
            start_ns: span.start_ns,
            line: line(&span.name, &span.kind, status, &span.attributes),
        }
    }
}

/// The spans at the collector that are Hermes's, each under the nearest that is, as in the store.
fn kept(received: &[ReceivedSpan]) -> Vec<Node> {
    let is_kept = |span: &ReceivedSpan| span.attributes.contains_key(KIND);
    let by_id: HashMap<_, _> = received.iter().map(|span| (&span.span_id, span)).collect();
    let nodes = received.iter().filter(|span| is_kept(span)).map(|span| {
        let mut node = Node::received(span);
        while let Some(parent) = node.parent.as_ref().and_then(|id| by_id.get(id)) {
            if is_kept(parent) {
                break;
            }
            node.parent.clone_from(&parent.parent_span_id);
        }
        node
    });
    nodes.collect()
}

/// The attribute that Hermes's spans have and no others.
const KIND: &str = "hermes.span.kind";

/// What is shown of a span's attributes, and how.
const SHOWN: &[(&str, &str)] = &[
    ("gen_ai.provider.name", ""),
    ("gen_ai.request.model", "asked "),
    ("gen_ai.response.model", "answered "),
    ("gen_ai.usage.input_tokens", "in "),
    ("gen_ai.usage.cache_read.input_tokens", "cached "),
    ("gen_ai.usage.output_tokens", "out "),
    ("gen_ai.usage.reasoning.output_tokens", "reasoned "),
    ("gen_ai.response.finish_reasons", "finish "),
    ("gen_ai.tool.name", "tool "),
    ("gen_ai.tool.call.id", "id "),
    ("hermes.tool.result_class", "result "),
    ("hermes.retry_count", "retries "),
    ("error.type", "✗ "),
];

fn line(name: &str, kind: &str, status: Option<&str>, attributes: &Map<String, Value>) -> String {
    let mut line = format!(
        "{name} · {} {kind}",
        text(attributes, KIND).unwrap_or_default()
    );
    for (key, word) in SHOWN {
        if let Some(value) = text(attributes, key) {
            write!(line, " · {word}{value}").unwrap();
        }
    }
    if let Some(status) = status {
        write!(line, " [{status}]").unwrap();
    }
    line
}

/// An attribute as text; a list with commas.
fn text(attributes: &Map<String, Value>, key: &str) -> Option<String> {
    match attributes.get(key)? {
        Value::String(text) => Some(text.clone()),
        Value::Array(values) => {
            let texts = values.iter().filter_map(Value::as_str);
            Some(texts.collect::<Vec<_>>().join(","))
        }
        other => Some(other.to_string()),
    }
}

fn drawn(nodes: &[Node]) -> String {
    let is_root = |node: &&Node| {
        let parent = node.parent.as_ref();
        parent.is_none_or(|parent| nodes.iter().all(|node| node.id != *parent))
    };
    let mut lines = String::new();
    for root in in_order(nodes.iter().filter(is_root)) {
        draw(root, nodes, 0, &mut lines);
    }
    lines
}

fn draw(node: &Node, nodes: &[Node], depth: usize, lines: &mut String) {
    writeln!(lines, "{}{}", "  ".repeat(depth), node.line).unwrap();
    let children = nodes
        .iter()
        .filter(|child| child.parent.as_ref() == Some(&node.id));
    for child in in_order(children) {
        draw(child, nodes, depth + 1, lines);
    }
}

fn in_order<'n>(nodes: impl Iterator<Item = &'n Node>) -> Vec<&'n Node> {
    let mut nodes: Vec<_> = nodes.collect();
    nodes.sort_by_key(|node| (node.start_ns, &node.id));
    nodes
}
