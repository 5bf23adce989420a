//! A trace as a tree: built from its stored spans alone, and printed so that a person can read it.

use std::collections::HashMap;
use std::fmt;

use serde_json::Value;

use crate::error::Error;
use crate::record::{ErrorClass, ResultClass, SpanId, Status, TraceId};
use crate::semconv::{Fact, Kind};
use crate::store::{RecordedSpan, Store};

/// The spans of a trace under their parents.
///
/// Its [`Display`](fmt::Display) form is for people, and depends on the spans alone:
///
/// ```text
/// hermes.session                 12.40 s  s-42
/// └─ hermes.turn                  9.10 s  2 calls, 1 tool
///    ├─ chat gpt-4o               1.24 s  1,204 in (1,000 cached) → 87 out · $0.0042 · tool_calls
///    ├─ hermes.tool.read_file     310 ms
///    └─ chat gpt-4o               2.01 s  ✗ rate_limit: too many requests
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Tree {
    /// The spans without a parent among the others, in the order in which they started.
    pub roots: Vec<TreeNode>,
}

/// A span and what happened in it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TreeNode {
    /// The span.
    pub span: RecordedSpan,
    /// Its children, in the order in which they started.
    pub children: Vec<TreeNode>,
}

impl Store {
    /// The spans of a trace as a tree; an empty one where the store has none of it.
    ///
    /// # Errors
    ///
    /// Where the store cannot be read.
    pub fn tree(&self, trace_id: TraceId) -> Result<Tree, Error> {
        self.spans_of_trace(trace_id).map(Tree::build)
    }
}

impl Tree {
    /// Puts spans under their parents. A span whose parent is missing becomes a root; of spans that
    /// claim to be each other's parents, the first to start does.
    #[must_use]
    pub fn build(mut spans: Vec<RecordedSpan>) -> Tree {
        spans.sort_by_key(|span| (span.start_ns, span.span_id));
        let order = order(&spans);
        // From the last to the first a node meets its parent only after it has all its children.
        let mut nodes: Vec<_> = spans
            .into_iter()
            .map(|span| {
                Some(TreeNode {
                    span,
                    children: Vec::new(),
                })
            })
            .collect();
        let mut roots = Vec::new();
        for &(index, parent) in order.iter().rev() {
            let Some(mut node) = nodes[index].take() else {
                continue;
            };
            node.children.reverse();
            match parent.and_then(|parent| nodes[parent].as_mut()) {
                Some(parent) => parent.children.push(node),
                None => roots.push(node),
            }
        }
        roots.reverse();
        Tree { roots }
    }

    /// How many spans it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.walk().count()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// Every node, each before its children.
    pub fn walk(&self) -> impl Iterator<Item = &TreeNode> {
        let mut next: Vec<&TreeNode> = self.roots.iter().rev().collect();
        std::iter::from_fn(move || {
            let node = next.pop()?;
            next.extend(node.children.iter().rev());
            Some(node)
        })
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = lines(self);
        let width = |part: fn(&Line) -> &str| {
            lines
                .iter()
                .map(|line| part(line).chars().count())
                .max()
                .unwrap_or(0)
        };
        let (names, durations) = (width(|line| &line.name), width(|line| &line.duration));
        for Line {
            name,
            duration,
            details,
        } in &lines
        {
            let line = format!("{name:<names$}  {duration:>durations$}  {details}");
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// The order in which the tree is walked: each span's place in the list, and its parent's.
fn order(spans: &[RecordedSpan]) -> Vec<(usize, Option<usize>)> {
    let places: HashMap<SpanId, usize> = spans
        .iter()
        .enumerate()
        .map(|(place, span)| (span.span_id, place))
        .collect();
    let mut children: Vec<Vec<usize>> = vec![Vec::new(); spans.len()];
    let mut roots = Vec::new();
    for (place, span) in spans.iter().enumerate() {
        match span.parent_span_id.and_then(|parent| places.get(&parent)) {
            Some(&parent) => children[parent].push(place),
            None => roots.push(place),
        }
    }
    let mut order = Vec::with_capacity(spans.len());
    let mut is_placed = vec![false; spans.len()];
    // What no root leads to is a cycle; its first span becomes a root in its turn.
    for root in roots.into_iter().chain(0..spans.len()) {
        let mut next = vec![(root, None)];
        while let Some((place, parent)) = next.pop() {
            if !std::mem::replace(&mut is_placed[place], true) {
                order.push((place, parent));
                next.extend(
                    children[place]
                        .iter()
                        .rev()
                        .map(|&child| (child, Some(place))),
                );
            }
        }
    }
    order
}

/// One line of the printed tree, before its columns are aligned.
struct Line {
    name: String,
    duration: String,
    details: String,
}

fn lines(tree: &Tree) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut next: Vec<_> = tree
        .roots
        .iter()
        .rev()
        .map(|node| (node, String::new(), String::new()))
        .collect();
    while let Some((node, branch, trunk)) = next.pop() {
        let span = &node.span;
        lines.push(Line {
            name: format!("{branch}{}", one_line(&span.name)),
            duration: span.duration_ns().map(duration).unwrap_or_default(),
            details: details(node).join(" · "),
        });
        for (index, child) in node.children.iter().enumerate().rev() {
            let is_last = index + 1 == node.children.len();
            let (branch, below) = if is_last {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            next.push((child, format!("{trunk}{branch}"), format!("{trunk}{below}")));
        }
    }
    lines
}

fn details(node: &TreeNode) -> Vec<String> {
    let span = &node.span;
    let mut details = Vec::new();
    let mark = mark(node);
    match Kind::of_span_name(&span.span_name) {
        Some(Kind::Session) => {
            details.extend(text(span, Fact::SessionId));
            // A failed or interrupted session is marked anyway.
            let unsaid = |reason: &String| {
                reason != "completed"
                    && (mark.is_none() || !matches!(reason.as_str(), "failed" | "interrupted"))
            };
            details.extend(text(span, Fact::EndReason).filter(unsaid));
        }
        Some(Kind::Turn) => {
            let counts: Vec<_> = [(Fact::ApiCallCount, "call"), (Fact::ToolCallCount, "tool")]
                .into_iter()
                .filter_map(|(fact, noun)| Some(counted(int(span, fact)?, noun)))
                .collect();
            details.extend((!counts.is_empty()).then(|| counts.join(", ")));
        }
        _ => {
            details.extend(tokens(span));
            details.extend(
                attribute(span, Fact::CostUsd)
                    .and_then(Value::as_f64)
                    .map(cost),
            );
            details.extend(text(span, Fact::FinishReasons));
        }
    }
    details.extend((span.end_ns.is_none()).then(|| "… running".to_owned()));
    details.extend(mark);
    details
}

/// What went wrong, in a word and in the error's own words.
///
/// An error that travelled up through `?` is told in full where it came from, and in a word above.
fn mark(node: &TreeNode) -> Option<String> {
    let span = &node.span;
    let is_told_below = node
        .children
        .iter()
        .any(|child| child.span.status_message == span.status_message);
    let result_class = text(span, Fact::ToolResultClass)
        .and_then(|class| ResultClass::from_name(&class))
        .filter(|class| *class != ResultClass::Ok);
    let telling_class = span
        .error_class
        .filter(|class| *class != ErrorClass::Unknown)
        .map(|class| class.to_string());
    let word = match span.status {
        Status::Cancelled | Status::Interrupted => span.status.to_string(),
        Status::Running | Status::Ok => result_class?.to_string(),
        Status::Error => result_class
            .filter(|class| *class != ResultClass::Error)
            .map(|class| class.to_string())
            .or(telling_class)
            .or_else(|| span.error_type.as_deref().map(one_line))
            .unwrap_or_else(|| "error".to_owned()),
    };
    Some(match span.status_message.as_deref().map(one_line) {
        Some(message) if !message.is_empty() && !is_told_below => format!("✗ {word}: {message}"),
        _ => format!("✗ {word}"),
    })
}

/// `1,204 in (1,000 cached) → 87 out`
fn tokens(span: &RecordedSpan) -> Option<String> {
    let (input, output) = (int(span, Fact::InputTokens), int(span, Fact::OutputTokens));
    let cached = int(span, Fact::CacheReadTokens).filter(|&cached| cached > 0);
    let cached = cached
        .map(|cached| format!(" ({} cached)", grouped(cached)))
        .unwrap_or_default();
    let input = input.map(|input| format!("{} in{cached}", grouped(input)));
    let output = output.map(|output| format!("{} out", grouped(output)));
    match (input, output) {
        (Some(input), Some(output)) => Some(format!("{input} → {output}")),
        (input, output) => input.or(output),
    }
}

fn attribute(span: &RecordedSpan, fact: Fact) -> Option<&Value> {
    // The store has the names of profile `hermes`, and these facts bear their own names in it.
    span.attributes.get(fact.name())
}

fn int(span: &RecordedSpan, fact: Fact) -> Option<i64> {
    attribute(span, fact).and_then(Value::as_i64)
}

fn text(span: &RecordedSpan, fact: Fact) -> Option<String> {
    let text = match attribute(span, fact)? {
        Value::Array(texts) => texts
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(","),
        value => value.as_str()?.to_owned(),
    };
    Some(one_line(&text)).filter(|text| !text.is_empty())
}

/// A text that cannot break the tree or reach the terminal's controls.
fn one_line(text: &str) -> String {
    let visible: String = text
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `84 µs`, `310 ms`, `1.24 s`, `2 min 05 s`
fn duration(ns: i64) -> String {
    // Each limit is where rounding would reach the next unit.
    if ns < 999_500 {
        format!("{} µs", (ns + 500) / 1_000)
    } else if ns < 999_500_000 {
        format!("{} ms", (ns + 500_000) / 1_000_000)
    } else if ns < 59_995_000_000 {
        let hundredths = (ns + 5_000_000) / 10_000_000;
        format!("{}.{:02} s", hundredths / 100, hundredths % 100)
    } else {
        let seconds = ns.saturating_add(500_000_000) / 1_000_000_000;
        format!("{} min {:02} s", grouped(seconds / 60), seconds % 60)
    }
}

/// `$0.0042`; what is not nothing is not shown as nothing.
fn cost(usd: f64) -> String {
    match usd {
        usd if usd > 0.0 && usd < 0.000_05 => "<$0.0001".to_owned(),
        usd if usd < 1.0 => format!("${usd:.4}"),
        usd => format!("${usd:.2}"),
    }
}

fn counted(count: i64, noun: &str) -> String {
    format!(
        "{} {noun}{}",
        grouped(count),
        if count == 1 { "" } else { "s" }
    )
}

/// `1,204`
fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut grouped = String::from(if number < 0 { "-" } else { "" });
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Tree, cost, duration, grouped};
    use crate::record::{ErrorClass, RunId, SpanId, Status, TraceId};
    use crate::semconv::{Fact, Kind};
    use crate::store::RecordedSpan;

    const MS: i64 = 1_000_000;

    fn id(number: u8) -> SpanId {
        SpanId::from_bytes([0, 0, 0, 0, 0, 0, 0, number]).unwrap()
    }

    /// A span with its number, its parent's, and when it started and ended, in milliseconds.
    fn span(number: u8, parent: u8, kind: Kind, name: &str, times: [i64; 2]) -> RecordedSpan {
        RecordedSpan {
            span_id: id(number),
            trace_id: TraceId::from_bytes([1; 16]).unwrap(),
            run_id: RunId::from_bytes([2; 16]).unwrap(),
            parent_span_id: SpanId::from_bytes([0, 0, 0, 0, 0, 0, 0, parent]),
            wire_parent_span_id: None,
            name: name.to_owned(),
            span_name: kind.span_name().to_owned(),
            kind: kind.span_kind().to_owned(),
            otel_kind: "INTERNAL".to_owned(),
            start_ns: times[0] * MS,
            end_ns: Some(times[1] * MS),
            status: Status::Ok,
            error_type: None,
            error_class: None,
            status_message: None,
            attributes: serde_json::Map::new(),
            events: Vec::new(),
            links: Vec::new(),
            writer_id: None,
        }
    }

    fn with(mut span: RecordedSpan, facts: &[(Fact, Value)]) -> RecordedSpan {
        let facts = facts
            .iter()
            .map(|(fact, value)| (fact.name().to_owned(), value.clone()));
        span.attributes.extend(facts);
        span
    }

    fn failed(mut span: RecordedSpan, class: ErrorClass, message: &str) -> RecordedSpan {
        span.status = Status::Error;
        span.error_class = Some(class);
        span.status_message = Some(message.to_owned());
        span
    }

    fn running(mut span: RecordedSpan) -> RecordedSpan {
        (span.status, span.end_ns) = (Status::Running, None);
        span
    }

    #[test]
    fn a_trace_reads_as_a_tree() {
        let spans = vec![
            with(
                span(1, 0, Kind::Session, "hermes.session", [0, 12_400]),
                &[
                    (Fact::SessionId, json!("s-42")),
                    (Fact::EndReason, json!("max_iterations")),
                ],
            ),
            with(
                span(2, 1, Kind::Turn, "hermes.turn", [100, 9200]),
                &[
                    (Fact::ApiCallCount, json!(2)),
                    (Fact::ToolCallCount, json!(1)),
                ],
            ),
            failed(
                span(3, 2, Kind::Chat, "chat gpt-4o", [200, 510]),
                ErrorClass::RateLimit,
                "too many\nrequests \u{1b}[31m",
            ),
            with(
                span(4, 2, Kind::Chat, "chat gpt-4o", [600, 1840]),
                &[
                    (Fact::InputTokens, json!(1204)),
                    (Fact::CacheReadTokens, json!(1000)),
                    (Fact::OutputTokens, json!(87)),
                    (Fact::CostUsd, json!(0.0042)),
                    (Fact::FinishReasons, json!(["tool_calls"])),
                ],
            ),
            with(
                span(5, 2, Kind::Tool, "hermes.tool.read_file", [2000, 2310]),
                &[(Fact::ToolResultClass, json!("ok"))],
            ),
            with(
                failed(
                    span(6, 5, Kind::Tool, "hermes.tool.stat", [2001, 2001]),
                    ErrorClass::Unknown,
                    "",
                ),
                &[(Fact::ToolResultClass, json!("timeout"))],
            ),
            running(span(7, 1, Kind::Agent, "invoke_agent helper", [9300, 0])),
            running(span(8, 7, Kind::Chat, "chat gpt-4o-mini", [9400, 0])),
            span(9, 99, Kind::Step, "left_over", [9500, 75_000]),
        ];
        let mut shuffled = spans.clone();
        shuffled.reverse();
        let tree = Tree::build(shuffled);
        let expected = "\
hermes.session                  12.40 s  s-42 · max_iterations
├─ hermes.turn                   9.10 s  2 calls, 1 tool
│  ├─ chat gpt-4o                310 ms  ✗ rate_limit: too many requests [31m
│  ├─ chat gpt-4o                1.24 s  1,204 in (1,000 cached) → 87 out · $0.0042 · tool_calls
│  └─ hermes.tool.read_file      310 ms
│     └─ hermes.tool.stat          0 µs  ✗ timeout
└─ invoke_agent helper                   … running
   └─ chat gpt-4o-mini                   … running
left_over                    1 min 06 s
";
        assert_eq!(tree.to_string(), expected, "\n{tree}");
        assert_eq!(tree.to_string(), Tree::build(spans).to_string());
        assert_eq!(tree.len(), 9);
        let walked: Vec<_> = tree.walk().map(|node| node.span.span_id).collect();
        assert_eq!(walked, [1, 2, 3, 4, 5, 6, 7, 8, 9].map(id));
    }

    #[test]
    fn spans_that_are_each_others_parents_do_not_hang_it() {
        let tree = Tree::build(vec![
            span(3, 3, Kind::Step, "itself", [3, 4]),
            span(2, 1, Kind::Step, "b", [2, 3]),
            span(1, 2, Kind::Step, "a", [1, 2]),
            span(4, 2, Kind::Step, "c", [4, 5]),
        ]);
        assert_eq!(
            tree.to_string(),
            "a        1 ms\n└─ b     1 ms\n   └─ c  1 ms\nitself   1 ms\n"
        );
        assert!(Tree::build(Vec::new()).is_empty());
    }

    #[test]
    fn a_long_chain_is_no_trouble() {
        let chain = (0..10_000_i64).map(|number| {
            let mut span = span(1, 0, Kind::Step, "step", [number, number + 1]);
            let id = |number: i64| SpanId::from_bytes(number.to_be_bytes());
            (span.span_id, span.parent_span_id) = (id(number + 1).unwrap(), id(number));
            span
        });
        assert_eq!(Tree::build(chain.collect()).len(), 10_000);
    }

    #[test]
    fn numbers_read_well() {
        let durations = [
            499,
            84_000,
            999_499,
            999_500,
            310 * MS,
            999_500_000,
            1_235_000_000,
        ];
        let expected = [
            "0 µs", "84 µs", "999 µs", "1 ms", "310 ms", "1.00 s", "1.24 s",
        ];
        assert_eq!(durations.map(duration), expected);
        assert_eq!(
            [59_994_999_999, 59_995_000_000, 3_725 * 1000 * MS].map(duration),
            ["59.99 s", "1 min 00 s", "62 min 05 s"]
        );
        assert_eq!(
            [0.0, 0.000_01, 0.0042, 12.345].map(cost),
            ["$0.0000", "<$0.0001", "$0.0042", "$12.35"]
        );
        assert_eq!(
            [7, 999, 1000, 1_234_567, -1000].map(grouped),
            ["7", "999", "1,000", "1,234,567", "-1,000"]
        );
    }
}
