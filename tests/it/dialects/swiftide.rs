//! swiftide 0.32: spans without fields, data and failures in events.

use tracing::{Level, Span, debug, error, event, info_span};

use super::Seen;

fn query() -> Span {
    info_span!(target: "swiftide_agents::agent", "agent.query")
}

fn step(number: u64) -> Span {
    let span = info_span!(
        target: "swiftide_agents::agent",
        "step",
        step_count = number,
        otel.name = tracing::field::Empty,
    );
    span.record("otel.name", format!("step-{number}"));
    span
}

fn tool() -> Span {
    info_span!(target: "swiftide_agents::agent", "tool", otel.name = "tool.add".to_string())
}

#[test]
fn without_data_a_call_is_a_name_and_a_duration() {
    let seen = Seen::of(|| {
        query().in_scope(|| {
            step(0).in_scope(|| {
                info_span!(target: "swiftide_integrations::openai::chat_completion", "complete")
                    .in_scope(|| {});
                drop(info_span!(target: "swiftide_agents::agent", "add_message", message = "PRIVATE"));
                tool().in_scope(|| {});
            });
            step(1).in_scope(|| {
                let outer = info_span!(target: "swiftide_integrations::openai::chat_completion", "complete_stream");
                outer.in_scope(|| {
                    drop(info_span!(target: "swiftide_integrations::openai::chat_completion", "stream"));
                });
            });
        });
    });
    assert_eq!(
        seen.picture(),
        "invoke_agent\n  step-0\n    chat\n    hermes.tool.add\n  step-1\n    chat\n"
    );
    assert_eq!(seen.model_calls().len(), 2);
    assert_eq!(seen.model_calls()[0].provider.as_deref(), Some("openai"));
    let text = format!("{:?}{:?}", seen.sent, seen.bench.all_spans());
    assert!(!text.contains("PRIVATE"));
}

fn with_langfuse() {
    query().in_scope(|| {
        event!(target: "swiftide_agents::agent", Level::DEBUG, langfuse.input = "SECRET QUESTION");
        let complete = info_span!(
            target: "swiftide_integrations::openai::chat_completion",
            "complete",
            langfuse.type = "GENERATION",
        );
        complete.in_scope(|| {
            event!(
                target: "swiftide_integrations::openai::chat_completion",
                Level::DEBUG,
                langfuse.model = "gpt-9",
                langfuse.input = r#"[{"role":"user","content":"SECRET QUESTION"}]"#,
                langfuse.output = r#"{"content":"SECRET ANSWER"}"#,
                langfuse.usage = r#"{"prompt_tokens":120,"completion_tokens":34,"total_tokens":154}"#,
            );
        });
        tool().in_scope(|| {
            event!(
                target: "swiftide_agents::agent",
                Level::DEBUG,
                langfuse.output = %"SECRET 2",
                langfuse.input = Some(r#"{"SECRET":1}"#),
                tool_name = "add",
            );
        });
    });
}

#[test]
fn langfuse_events_fill_the_call_that_they_stand_in() {
    let seen = Seen::of(with_langfuse);
    assert_eq!(
        seen.picture(),
        "invoke_agent\n  chat gpt-9\n  hermes.tool.add\n"
    );
    assert_eq!(seen.tokens(), (120, 34));
    let text = format!("{:?}{:?}", seen.sent, seen.bench.all_spans());
    assert!(!text.contains("SECRET"), "content is off");

    let seen = Seen::with_content(with_langfuse);
    let chat = seen.sent("chat gpt-9");
    assert!(
        chat.attributes["gen_ai.output.messages"]
            .to_string()
            .contains("SECRET ANSWER")
    );
    let tool = seen.sent("hermes.tool.add");
    assert_eq!(tool.attributes["hermes.tool.args"], r#"{"SECRET":1}"#);
    assert_eq!(tool.attributes["hermes.tool.result"], "SECRET 2");
}

#[test]
fn without_the_feature_a_tools_texts_are_in_debug_events() {
    let seen = Seen::with_content(|| {
        tool().in_scope(|| {
            debug!(
                target: "swiftide_agents::agent",
                output = "2", args = ?Some(r#"{"a":1}"#), tool_name = "add",
                "Completed tool call"
            );
        });
    });
    let tool = seen.sent("hermes.tool.add");
    assert_eq!(tool.attributes["hermes.tool.args"], r#"{"a":1}"#);
    assert_eq!(tool.attributes["hermes.tool.result"], "2");
}

#[test]
fn an_error_event_is_the_failure_of_the_span_it_stands_in() {
    let seen = Seen::of(|| {
        let query = query();
        let step = query.in_scope(|| step(0));
        let complete = step.in_scope(
            || info_span!(target: "swiftide_integrations::openai::chat_completion", "complete"),
        );
        complete.in_scope(|| {
            error!(target: "swiftide_integrations::openai::chat_completion", error = %"HTTP 429 Too Many Requests");
        });
        drop(complete);
        step.in_scope(
            || error!(target: "swiftide_agents::agent", error = %"HTTP 429 Too Many Requests"),
        );
        drop(step);
        for _ in 0..2 {
            query.in_scope(
                || error!(target: "swiftide_agents::agent", error = ?"HTTP 429 Too Many Requests"),
            );
        }
    });
    assert_eq!(
        seen.picture(),
        "invoke_agent [error] ✗ rate_limit\n  step-0 [error] ✗ rate_limit\n    chat [error] ✗ rate_limit\n"
    );
    assert_eq!(
        seen.bench.runs()[0].error_count,
        1,
        "four reports of one failure"
    );
}

#[test]
fn a_stream_that_failed_without_a_word_fails_with_its_step() {
    let seen = Seen::of(|| {
        let step = step(0);
        step.in_scope(|| {
            let outer = info_span!(target: "swiftide_integrations::openai::chat_completion", "complete_stream");
            outer.in_scope(|| {
                drop(info_span!(target: "swiftide_integrations::openai::chat_completion", "stream"));
            });
        });
        step.in_scope(|| error!(target: "swiftide_agents::agent", error = %"connection refused"));
    });
    assert_eq!(
        seen.picture(),
        "step-0 [error] ✗ network\n  chat [error] ✗ network\n"
    );
}

#[test]
fn names_alone_are_nobodys() {
    let seen = Seen::of(|| {
        for name in 0..4 {
            drop(match name {
                0 => info_span!("complete"),
                1 => info_span!("stream"),
                2 => info_span!("tool", otel.name = "tool.add"),
                _ => info_span!("step"),
            });
        }
    });
    assert_eq!(seen.picture(), "");
}
