//! Every attribute of the contract, under the names of every profile.

use std::collections::BTreeMap;
use std::fmt::Write;

use hermes::ContentCapture;
use serde_json::Value;

use crate::support::collector::{Collector, ReceivedSpan};
use crate::support::{Bench, SOON, script};

fn sent_as(semconv: &str) -> String {
    let collector = Collector::start();
    let bench = Bench::with(|builder| {
        builder
            .otlp_endpoint(collector.endpoint())
            .semconv(semconv)
            .capture_content(ContentCapture::On)
    });
    bench.run(script::session);
    let mut spans = collector.wait_for(6, SOON);
    spans.sort_by_key(|span| span.start_ns);
    // The second model call and the second tool say nothing new.
    spans.remove(5);
    spans.iter().map(shown).collect()
}

/// JSON inside of texts, with its keys in order: a crate beside this one may have asked `serde_json` for another.
fn in_order(value: &Value) -> Value {
    match value {
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(json @ (Value::Array(_) | Value::Object(_))) => in_order(&json).to_string().into(),
            _ => value.clone(),
        },
        Value::Array(items) => items.iter().map(in_order).collect(),
        Value::Object(fields) => {
            let sorted: BTreeMap<_, _> = fields.iter().collect();
            let sorted = sorted.into_iter();
            sorted
                .map(|(key, value)| (key.clone(), in_order(value)))
                .collect()
        }
        _ => value.clone(),
    }
}

/// A span's attributes, one a line, those that differ from run to run left out.
fn shown(span: &ReceivedSpan) -> String {
    let mut text = format!("{} ({})\n", span.name, span.kind);
    for (key, value) in span.attributes.iter().collect::<BTreeMap<_, _>>() {
        let is_time = key.ends_with("duration_s")
            || key.ends_with("duration_ms")
            || key.ends_with("time_to_first_chunk");
        let value = if is_time {
            "<time>".to_owned()
        } else {
            in_order(value).to_string()
        };
        writeln!(text, "  {key} = {value}").unwrap();
    }
    text
}

#[test]
fn hermes() {
    insta::assert_snapshot!(sent_as("hermes"));
}

#[test]
fn genai() {
    insta::assert_snapshot!(sent_as("genai"));
}

#[test]
fn genai_1_41() {
    insta::assert_snapshot!(sent_as("genai-1.41"));
}

#[test]
fn genai_1_36() {
    insta::assert_snapshot!(sent_as("genai-1.36"));
}

#[test]
fn hermes_classic() {
    insta::assert_snapshot!(sent_as("hermes-classic"));
}

#[test]
fn genai_with_openinference() {
    insta::assert_snapshot!(sent_as("genai,openinference"));
}

#[test]
fn only_model_calls_look_like_model_calls() {
    // Backends count any span with a model or a system as a call.
    for semconv in [
        "hermes",
        "genai",
        "genai-1.41",
        "genai-1.36",
        "hermes,openinference",
    ] {
        let collector = Collector::start();
        let bench =
            Bench::with(|builder| builder.otlp_endpoint(collector.endpoint()).semconv(semconv));
        bench.run(script::session);
        for span in collector.wait_for(6, SOON) {
            let is_call = span.kind == "CLIENT";
            for key in [
                "gen_ai.request.model",
                "gen_ai.response.model",
                "gen_ai.usage.input_tokens",
            ] {
                assert_eq!(
                    span.attributes.contains_key(key),
                    is_call,
                    "{key} on {}",
                    span.name
                );
            }
            assert!(
                is_call || !span.attributes.contains_key("gen_ai.system"),
                "{}",
                span.name
            );
        }
    }
}
