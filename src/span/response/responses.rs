//! OpenAI's Responses: a body with a list of output items, streamed as events with names of their own.

use serde_json::Value;

use super::assembled::Assembled;
use super::error;
use super::slot::CallPiece;
use super::whole::{Choice, Said};
use crate::span::shape;

/// What a response says.
pub(super) fn choice(body: &Value) -> Choice<'_> {
    Choice {
        finish_reason: finish_reason(body),
        said: Said::Items(shape::array(body, "output")),
    }
}

/// Takes one `response.…` event.
pub(super) fn fold(event: &Value, kind: &str, answer: &mut Assembled) {
    let index = |key: &str| event.get(key).and_then(shape::whole).unwrap_or(0);
    let (item, inner) = (index("output_index"), index("content_index"));
    // A summary stands before what it sums up.
    let summary = index("summary_index").saturating_sub(1 << 20);
    let delta = shape::text(event, "delta").unwrap_or("");
    match kind {
        "response.output_text.delta" | "response.refusal.delta" => {
            answer.say(0, (item, inner), delta);
        }
        "response.reasoning_text.delta" => answer.think(0, (item, inner), delta),
        "response.reasoning_summary_text.delta" => answer.think(0, (item, summary), delta),
        "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
            let arguments = event.get("delta");
            let piece = CallPiece {
                arguments,
                ..CallPiece::default()
            };
            answer.call(0, (item, 0), piece);
        }
        "response.output_item.added" => {
            if let Some(added) = event.get("item") {
                begin(added, item, answer);
            }
        }
        "response.output_item.done" => {
            if let Some(done) = event.get("item") {
                answer.forget(0, item);
                fold_item(done, item, answer);
            }
        }
        _ => {
            if let Some(body) = event.get("response").filter(|body| body.is_object()) {
                fold_body(body, answer);
            }
        }
    }
    if matches!(
        kind,
        "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled"
    ) {
        answer.is_complete = true;
    }
}

/// Takes a whole response.
pub(super) fn fold_body(body: &Value, answer: &mut Assembled) {
    answer.set_head(body);
    answer.set_usage(body);
    answer.set_error(error::of(body));
    answer.choice(0);
    let items = shape::array(body, "output");
    // Some servers leave the output out of the last event; then the items told one by one are what there is.
    if !items.is_empty() {
        answer.start_over(0);
        for (at, item) in (0..).zip(items) {
            fold_item(item, at, answer);
        }
    }
    answer.finish(0, finish_reason(body));
}

/// A response has no finish reason of its own: what ended it is the reason it is incomplete, or its status.
pub(super) fn finish_reason(body: &Value) -> Option<&str> {
    let status =
        shape::text(body, "status").filter(|status| !matches!(*status, "in_progress" | "queued"));
    shape::text(body, "incomplete_details.reason").or(status)
}

fn begin(item: &Value, at: i64, answer: &mut Assembled) {
    if let Some("function_call" | "custom_tool_call") = shape::text(item, "type") {
        let piece = CallPiece {
            id: shape::text(item, "call_id").or_else(|| shape::text(item, "id")),
            name: shape::text(item, "name"),
            arguments: None,
        };
        answer.call(0, (at, 0), piece);
    }
}

fn fold_item(item: &Value, at: i64, answer: &mut Assembled) {
    let mut inner = 0;
    shape::parts(item, &mut |part| {
        answer.put(0, (at, inner), part);
        inner += 1;
    });
}
