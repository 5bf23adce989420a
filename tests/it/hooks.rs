//! Hooks as hermes-agent's plugins have them, called as the host calls them; the tests are named after what
//! a plugin of its own got wrong.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hermes::hooks::{self, Hooks, Limits, SessionStart, ToolCall, ToolResult};
use hermes::{ContentCapture, RecordedSpan, Status};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::collector::Collector;
use crate::support::{Bench, SOON};

const MS: i64 = 1_000_000;
/// Some moment in the past, as the host's clock has it; not so long ago that the store would let it go.
static PAST: LazyLock<f64> = LazyLock::new(|| {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Duration::from_secs(now.as_secs() - 10_000).as_secs_f64()
});

fn millis(span: &RecordedSpan) -> i64 {
    (span.end_ns.unwrap() - span.start_ns) / MS
}

/// Calls hooks by name, as a host that speaks JSON.
fn call(hooks: &Hooks, calls: &[(&str, Value)]) {
    for (hook, arguments) in calls {
        assert!(hooks.call(hook, arguments), "{hook}");
    }
}

/// What the real host calls in a session of one turn: two model calls, two tools.
fn turn(number: u32) -> Vec<(&'static str, Value)> {
    let (turn, first, second) = (
        format!("t{number}"),
        format!("r{number}-1"),
        format!("r{number}-2"),
    );
    let about = |more: Value| {
        let mut all = json!({"session_id": "s-1", "task_id": "s-1", "turn_id": turn, "platform": "telegram",
            "model": "gpt-4o", "provider": "openai", "base_url": "https://user:pw@api.example.com/v1?api_key=k"});
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        all
    };
    vec![
        (
            "pre_llm_call",
            about(
                json!({"user_message": "private question", "conversation_history": [], "is_first_turn": number == 1}),
            ),
        ),
        (
            "pre_api_request",
            about(
                json!({"api_request_id": first, "api_call_count": 1, "message_count": 2,
            "tool_count": 3, "approx_input_tokens": 50, "started_at": *PAST}),
            ),
        ),
        (
            "post_api_request",
            about(
                json!({"api_request_id": first, "api_call_count": 1, "started_at": *PAST,
            "ended_at": *PAST + 1.5, "api_duration": 1.5, "finish_reason": "tool_calls", "response_model": "gpt-4o-2024",
            "usage": {"prompt_tokens": 100, "input_tokens": 40, "cache_read_tokens": 60, "output_tokens": 20, "total_tokens": 120},
            "assistant_content_chars": 0, "assistant_tool_call_count": 1}),
            ),
        ),
        (
            "pre_tool_call",
            about(
                json!({"tool_name": "read_file", "tool_call_id": format!("c{number}"), "args": {"path": "private.txt"},
            "api_request_id": first}),
            ),
        ),
        (
            "post_tool_call",
            about(
                json!({"tool_name": "read_file", "tool_call_id": format!("c{number}"), "args": {"path": "private.txt"},
            "api_request_id": first, "result": "private words", "duration_ms": 250, "status": "ok"}),
            ),
        ),
        (
            "pre_api_request",
            about(
                json!({"api_request_id": second, "api_call_count": 2, "started_at": *PAST + 2.0}),
            ),
        ),
        (
            "post_api_request",
            about(
                json!({"api_request_id": second, "api_call_count": 2, "started_at": *PAST + 2.0,
            "ended_at": *PAST + 4.0, "finish_reason": "stop", "usage": {"prompt_tokens": 150, "completion_tokens": 30}}),
            ),
        ),
        (
            "post_llm_call",
            about(json!({"assistant_response": "private answer"})),
        ),
        (
            "on_session_end",
            about(json!({"completed": true, "interrupted": false})),
        ),
    ]
}

fn start() -> (&'static str, Value) {
    (
        "on_session_start",
        json!({"session_id": "s-1", "model": "gpt-4o", "platform": "telegram"}),
    )
}

fn finalize() -> (&'static str, Value) {
    (
        "on_session_finalize",
        json!({"session_id": "s-1", "platform": "telegram", "reason": "shutdown"}),
    )
}

#[test]
fn a_session_of_the_real_host_is_one_tree_in_the_store_and_on_otlp() {
    let collector = Collector::start();
    let bench = Bench::with(|builder| builder.otlp_endpoint(collector.endpoint()));
    bench.run(|| {
        let hooks = Hooks::new();
        call(&hooks, &[start()]);
        call(&hooks, &turn(1));
        call(&hooks, &[finalize()]);
    });
    assert_eq!(
        bench.picture(),
        "hermes.session\n  hermes.turn\n    chat gpt-4o\n    chat gpt-4o\n    hermes.tool.read_file\n"
    );
    let run = &bench.runs()[0];
    assert_eq!(run.session_id.as_deref(), Some("s-1"));
    assert_eq!(run.entrypoint.as_deref(), Some("gateway"));
    assert_eq!(run.end_reason.unwrap().as_str(), "completed");
    assert_eq!(
        (run.model_call_count, run.tool_call_count, run.error_count),
        (2, 1, 0)
    );
    assert_eq!((run.input_tokens, run.output_tokens), (250, 50));
    let spans = bench.spans();
    let chat = spans
        .iter()
        .find(|span| span.attributes.contains_key("hermes.message_count"))
        .unwrap();
    assert_eq!(chat.attributes["gen_ai.usage.input_tokens"], 100);
    assert_eq!(chat.attributes["hermes.cache.read_tokens"], 60);
    assert_eq!(chat.attributes["gen_ai.response.model"], "gpt-4o-2024");
    assert_eq!(
        chat.attributes["gen_ai.response.finish_reasons"],
        json!(["tool_calls"])
    );
    assert_eq!(chat.attributes["server.address"], "api.example.com");
    assert_eq!(chat.attributes["hermes.assistant_tool_call_count"], 1);
    let everything = format!("{spans:?}");
    assert!(
        !everything.contains("private")
            && !everything.contains("api_key")
            && !everything.contains("pw@")
    );
    let sent = collector.wait_for(spans.len(), SOON);
    for sent in sent {
        let span = spans
            .iter()
            .find(|span| span.span_id.to_string() == sent.span_id)
            .unwrap();
        assert_eq!(sent.trace_id, span.trace_id.to_string());
        assert_eq!(
            sent.parent_span_id,
            span.parent_span_id.map(|id| id.to_string())
        );
        assert_eq!(i128::from(sent.start_ns), i128::from(span.start_ns));
        assert_eq!(i128::from(sent.end_ns), i128::from(span.end_ns.unwrap()));
    }
}

#[test]
fn content_captured_by_default() {
    let bench = Bench::with(|builder| builder.capture_content(ContentCapture::Local));
    bench.run(|| {
        let hooks = Hooks::new();
        call(&hooks, &turn(1));
        call(&hooks, &[finalize()]);
    });
    let turn = bench.span("hermes.turn").attributes;
    assert_eq!(turn["hermes.turn.user_message"], "private question");
    assert_eq!(turn["hermes.turn.assistant_response"], "private answer");
    let tool = bench.span("hermes.tool.read_file").attributes;
    assert_eq!(tool["hermes.tool.args"], r#"{"path":"private.txt"}"#);
    assert_eq!(tool["hermes.tool.result"], "private words");
}

#[test]
fn turn_two_loses_its_session() {
    let bench = Bench::new();
    bench.run(|| {
        let hooks = Hooks::new();
        call(&hooks, &[start()]);
        (1..=3).for_each(|number| call(&hooks, &turn(number)));
        call(&hooks, &[finalize()]);
    });
    let run = &bench.runs()[0];
    assert_eq!((bench.runs().len(), run.turn_count), (1, 3));
    let spans = bench.spans();
    let session = spans
        .iter()
        .find(|span| span.name == "hermes.session")
        .unwrap();
    let turns: Vec<_> = spans
        .iter()
        .filter(|span| span.name == "hermes.turn")
        .collect();
    let indexes: Vec<_> = turns
        .iter()
        .map(|turn| turn.attributes["hermes.turn.index"].clone())
        .collect();
    assert_eq!(indexes, [1, 2, 3]);
    assert!(
        turns
            .iter()
            .all(|turn| turn.parent_span_id == Some(session.span_id))
    );
    assert!(
        turns
            .iter()
            .all(|turn| turn.attributes["hermes.turn.final_status"] == "completed")
    );
}

#[test]
fn failed_call_is_lost() {
    let bench = Bench::new();
    bench.run(|| {
        let hooks = Hooks::new();
        let request = |more: Value| {
            let mut all = json!({"session_id": "s", "turn_id": "t", "api_request_id": "t:api:1", "model": "m"});
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            all
        };
        call(&hooks, &[
            ("pre_llm_call", json!({"session_id": "s", "turn_id": "t"})),
            ("pre_api_request", request(json!({"started_at": *PAST}))),
            ("api_request_error", request(json!({"started_at": *PAST, "ended_at": *PAST + 1.0, "status_code": 429, "retry_count": 0,
                "max_retries": 3, "retryable": true, "reason": "rate_limit",
                "error": {"type": "RateLimitError", "message": "slow down"}}))),
            // The next try is overwritten by the one after it: nobody tells of its end.
            ("pre_api_request", request(json!({"started_at": *PAST + 2.0}))),
            ("pre_api_request", request(json!({"started_at": *PAST + 4.0}))),
            ("post_api_request", request(json!({"started_at": *PAST + 4.0, "ended_at": *PAST + 5.0}))),
            ("on_session_end", json!({"session_id": "s", "turn_id": "t", "completed": true})),
            ("on_session_finalize", json!({"session_id": "s"})),
        ]);
    });
    let mut chats = bench.spans();
    chats.retain(|span| span.name == "chat m");
    chats.sort_by_key(|span| span.start_ns);
    let statuses: Vec<_> = chats.iter().map(|chat| chat.status).collect();
    assert_eq!(statuses, [Status::Error, Status::Cancelled, Status::Ok]);
    assert_eq!(chats[0].error_type.as_deref(), Some("rate_limit"));
    assert_eq!(chats[0].status_message.as_deref(), Some("slow down"));
    assert_eq!(millis(&chats[0]), 1_000);
    let tries: Vec<_> = chats
        .iter()
        .map(|chat| chat.attributes.get("hermes.retry_count").cloned())
        .collect();
    assert_eq!(tries, [Some(json!(0)), Some(json!(1)), Some(json!(2))]);
    assert_eq!(bench.runs()[0].model_call_count, 3);
}

#[test]
fn subagent_tools_detached() {
    let bench = Bench::new();
    bench.run(|| {
        let hooks = Hooks::new();
        call(&hooks, &[
            start(),
            ("pre_llm_call", json!({"session_id": "s-1", "turn_id": "t1"})),
            ("pre_tool_call", json!({"session_id": "s-1", "tool_name": "delegate", "tool_call_id": "d"})),
            ("subagent_start", json!({"parent_session_id": "s-1", "parent_turn_id": "t1", "parent_subagent_id": null,
                "child_session_id": "s-2", "child_subagent_id": "sa-0", "child_role": "leaf", "child_goal": "private goal"})),
            ("on_session_start", json!({"session_id": "s-2", "model": "m", "platform": "cli"})),
            ("pre_llm_call", json!({"session_id": "s-2", "turn_id": "t2", "task_id": "task-9"})),
            ("pre_tool_call", json!({"session_id": "s-2", "task_id": "task-9", "tool_name": "search", "tool_call_id": "x"})),
            // A hook that knows the task alone.
            ("post_tool_call", json!({"task_id": "task-9", "tool_name": "search", "tool_call_id": "x", "result": "{}"})),
            ("subagent_start", json!({"parent_session_id": "s-2", "parent_subagent_id": "sa-0", "child_session_id": "s-3",
                "child_subagent_id": "sa-1", "child_role": "critic"})),
            ("pre_tool_call", json!({"session_id": "s-3", "tool_name": "judge", "tool_call_id": "y"})),
            ("post_tool_call", json!({"session_id": "s-3", "tool_name": "judge", "tool_call_id": "y", "result": "fine"})),
            ("subagent_stop", json!({"parent_session_id": "s-2", "child_session_id": "s-3", "child_status": "completed", "duration_ms": 700})),
            ("on_session_end", json!({"session_id": "s-2", "turn_id": "t2", "completed": true})),
            ("on_session_finalize", json!({"session_id": "s-2"})),
            ("subagent_stop", json!({"parent_session_id": "s-1", "child_session_id": "s-2", "child_status": "completed", "duration_ms": 900})),
            ("post_tool_call", json!({"session_id": "s-1", "tool_name": "delegate", "tool_call_id": "d", "result": "done"})),
            ("on_session_end", json!({"session_id": "s-1", "turn_id": "t1", "completed": true})),
            finalize(),
        ]);
    });
    assert_eq!(
        bench.picture(),
        "hermes.session\n  hermes.turn\n    hermes.tool.delegate\n    invoke_agent leaf\n      hermes.turn\n        \
         hermes.tool.search\n        invoke_agent critic\n          hermes.tool.judge\n"
    );
    let search = bench.span("hermes.tool.search");
    assert_eq!(search.attributes["hermes.session.id"], "s-2");
    let critic = bench.span("invoke_agent critic");
    assert_eq!((critic.status, millis(&critic)), (Status::Ok, 700));
    assert!(!format!("{:?}", bench.spans()).contains("private goal"));
}

#[test]
fn parallel_tools_swapped() {
    let bench = Bench::with(|builder| builder.capture_content(ContentCapture::Local));
    bench.run(|| {
        let hooks = Hooks::new();
        let of = |id: &str, more: Value| {
            let mut all = json!({"session_id": "s", "tool_name": "fetch", "tool_call_id": id});
            all.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            all
        };
        call(
            &hooks,
            &[
                ("pre_tool_call", of("a", json!({"args": {"n": "a"}}))),
                ("pre_tool_call", of("b", json!({"args": {"n": "b"}}))),
                (
                    "post_tool_call",
                    of("a", json!({"result": "a", "duration_ms": 10})),
                ),
                (
                    "post_tool_call",
                    of("b", json!({"result": "b", "duration_ms": 20})),
                ),
                // Without ids, the one that began first is the first to end.
                ("pre_tool_call", of("", json!({"args": {"n": "c"}}))),
                ("pre_tool_call", of("", json!({"args": {"n": "d"}}))),
                ("post_tool_call", of("", json!({"result": "c"}))),
                ("post_tool_call", of("", json!({"result": "d"}))),
                ("on_session_finalize", json!({"session_id": "s"})),
            ],
        );
    });
    let mut tools = bench.spans();
    tools.retain(|span| span.name == "hermes.tool.fetch");
    assert_eq!(tools.len(), 4);
    for tool in &tools {
        let args: Value =
            serde_json::from_str(tool.attributes["hermes.tool.args"].as_str().unwrap()).unwrap();
        assert_eq!(args["n"], tool.attributes["hermes.tool.result"]);
    }
}

#[test]
fn timing_of_api_span() {
    let bench = Bench::new();
    bench.run(|| {
        let hooks = Hooks::new();
        let request = |id: &str, more: Value| {
            let mut all = json!({"session_id": "s", "api_request_id": id, "model": id});
            all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            all
        };
        call(&hooks, &[
            ("pre_api_request", request("stated", json!({"started_at": *PAST}))),
            ("post_api_request", request("stated", json!({"started_at": *PAST, "ended_at": *PAST + 42.0}))),
            ("pre_api_request", request("began", json!({"started_at": *PAST}))),
            ("post_api_request", request("began", json!({"api_duration": 42.0}))),
            ("pre_api_request", request("took", json!({}))),
            ("post_api_request", request("took", json!({"api_duration": 42.0}))),
            ("post_api_request", request("alone", json!({"started_at": *PAST, "ended_at": *PAST + 42.0}))),
            ("post_api_request", request("alone-took", json!({"api_duration": 42.0}))),
            ("pre_tool_call", json!({"session_id": "s", "tool_name": "slow", "tool_call_id": "c"})),
            ("post_tool_call", json!({"session_id": "s", "tool_name": "slow", "tool_call_id": "c", "duration_ms": 42_000.0})),
            ("on_session_finalize", json!({"session_id": "s"})),
        ]);
    });
    for name in [
        "chat stated",
        "chat began",
        "chat took",
        "chat alone",
        "chat alone-took",
        "hermes.tool.slow",
    ] {
        assert_eq!(millis(&bench.span(name)), 42_000, "{name}");
    }
    let stated = bench.span("chat stated");
    assert_eq!(
        (stated.start_ns / (1_000 * MS)).to_string(),
        PAST.to_string()
    );
    let session = bench.span("hermes.session");
    assert!(
        session.end_ns >= bench.span("hermes.tool.slow").end_ns,
        "a session ends no earlier than what is in it"
    );
}

#[test]
fn error_null_is_error() {
    let bench = Bench::new();
    bench.run(|| {
        let hooks = Hooks::new();
        for (id, more) in [
            ("null", json!({"result": "{\"error\": null}"})),
            ("object", json!({"result": {"error": null, "ok": true}})),
            (
                "text",
                json!({"result": "Error: no such file", "status": "ok"}),
            ),
            ("code", json!({"result": "{\"exit_code\": 1}"})),
            (
                "blocked",
                json!({"status": "blocked", "error_type": "policy", "error_message": "no"}),
            ),
            ("timeout", json!({"status": "timeout"})),
            (
                "raised",
                json!({"status": "error", "error_type": "ValueError", "error_message": "bad"}),
            ),
        ] {
            let mut end = json!({"session_id": "s", "tool_name": id, "tool_call_id": id});
            hooks.call("pre_tool_call", &end);
            end.as_object_mut()
                .unwrap()
                .extend(more.as_object().unwrap().clone());
            hooks.call("post_tool_call", &end);
        }
        call(
            &hooks,
            &[("on_session_finalize", json!({"session_id": "s"}))],
        );
    });
    for (id, class) in [
        ("null", "ok"),
        ("object", "ok"),
        ("text", "error"),
        ("code", "error"),
        ("blocked", "blocked"),
        ("timeout", "timeout"),
        ("raised", "error"),
    ] {
        let tool = bench.span(&format!("hermes.tool.{id}"));
        assert_eq!(tool.attributes["hermes.tool.result_class"], class, "{id}");
        assert_eq!(tool.status == Status::Ok, class == "ok", "{id}");
    }
    assert_eq!(
        bench.span("hermes.tool.raised").status_message.as_deref(),
        Some("bad")
    );
}

#[test]
fn detach_error() {
    let bench = Bench::new();
    bench.run(|| {
        let hooks = Hooks::new();
        let mut calls = vec![start()];
        calls.extend(turn(1));
        calls.push(finalize());
        for one in calls {
            let dispatch = &bench.dispatch;
            thread::scope(|scope| {
                scope
                    .spawn(|| tracing::dispatcher::with_default(dispatch, || call(&hooks, &[one])));
            });
        }
    });
    assert_eq!(
        bench.picture(),
        "hermes.session\n  hermes.turn\n    chat gpt-4o\n    chat gpt-4o\n    hermes.tool.read_file\n"
    );
}

#[test]
fn tool_without_task_id() {
    let bench = Bench::new();
    bench.run(|| {
        let hooks = Hooks::new();
        call(
            &hooks,
            &[
                start(),
                (
                    "pre_tool_call",
                    json!({"tool_name": "one", "tool_call_id": "1", "task_id": ""}),
                ),
                (
                    "post_tool_call",
                    json!({"tool_name": "one", "tool_call_id": "1", "result": "x"}),
                ),
                finalize(),
            ],
        );
    });
    let tool = bench.span("hermes.tool.one");
    assert_eq!(tool.attributes["hermes.session.id"], "s-1");
    assert_eq!(
        tool.parent_span_id,
        Some(bench.span("hermes.session").span_id)
    );
}

#[test]
fn an_interrupted_turn_says_so_and_has_no_answer() {
    let bench = Bench::new();
    bench.run(|| {
        let hooks = Hooks::new();
        call(&hooks, &[
            start(),
            ("pre_llm_call", json!({"session_id": "s-1", "turn_id": "t1"})),
            ("pre_api_request", json!({"session_id": "s-1", "turn_id": "t1", "api_request_id": "r", "model": "m"})),
            ("on_session_end", json!({"session_id": "s-1", "turn_id": "t1", "completed": false, "interrupted": true})),
            // Of this one nobody tells how it ended; the next one begins.
            ("pre_llm_call", json!({"session_id": "s-1", "turn_id": "t2"})),
            ("pre_llm_call", json!({"session_id": "s-1", "turn_id": "t3"})),
            ("post_llm_call", json!({"session_id": "s-1", "turn_id": "t3", "assistant_response": "hi"})),
            ("pre_llm_call", json!({"session_id": "s-1", "turn_id": "t4"})),
            ("on_session_end", json!({"session_id": "s-1", "turn_id": "t4", "completed": false, "interrupted": false})),
            ("on_session_finalize", json!({"session_id": "s-1", "reason": "session_expired"})),
        ]);
    });
    let spans = bench.spans();
    let statuses: Vec<_> = spans
        .iter()
        .filter(|span| span.name == "hermes.turn")
        .map(|turn| turn.attributes["hermes.turn.final_status"].clone())
        .collect();
    assert_eq!(
        statuses,
        ["interrupted", "interrupted", "completed", "failed"]
    );
    let turn = spans
        .iter()
        .find(|span| span.name == "hermes.turn")
        .unwrap();
    assert_eq!(turn.status, Status::Interrupted);
    assert_eq!(bench.span("chat m").status, Status::Cancelled);
    assert_eq!(bench.runs()[0].end_reason.unwrap().as_str(), "timeout");
}

#[test]
fn waiting_for_leave_is_no_work() {
    let bench = Bench::new();
    bench.run(|| {
        let hooks = Hooks::new();
        call(&hooks, &[
            start(),
            ("pre_tool_call", json!({"session_id": "s-1", "tool_name": "terminal", "tool_call_id": "c"})),
            ("pre_approval_request", json!({"session_key": "telegram:1", "turn_id": "t", "tool_call_id": "c", "surface": "gateway",
                "pattern_key": "git_push", "command": "git push private", "description": "pushes"})),
            ("post_approval_response", json!({"session_key": "telegram:1", "tool_call_id": "c", "surface": "gateway",
                "pattern_key": "git_push", "command": "git push private", "choice": "once", "duration_ms": 60_000})),
            ("post_tool_call", json!({"session_id": "s-1", "tool_name": "terminal", "tool_call_id": "c", "result": "done", "duration_ms": 61_000})),
            finalize(),
        ]);
    });
    assert_eq!(
        bench.picture(),
        "hermes.session\n  hermes.tool.terminal\n    hermes.approval\n"
    );
    let wait = bench.span("hermes.approval");
    assert_eq!(
        (
            wait.attributes["hermes.approval.decision"].as_str(),
            millis(&wait)
        ),
        (Some("once"), 60_000)
    );
    assert_eq!(wait.attributes["hermes.approval.surface"], "gateway");
    let run = &bench.runs()[0];
    let tool = &bench
        .telemetry
        .store()
        .unwrap()
        .tool_calls(run.run_id)
        .unwrap()[0];
    assert_eq!(
        (tool.duration_ms, tool.wait_ms),
        (Some(1_000), Some(60_000))
    );
    assert!(!format!("{:?}", bench.spans()).contains("private"));
}

#[test]
fn what_is_told_twice_counts_once() {
    let bench = Bench::new();
    bench.run(|| {
        let hooks = Hooks::new();
        let mut calls = vec![start()];
        calls.extend(turn(1));
        calls.push(finalize());
        for one in calls {
            call(&hooks, &[one.clone(), one]);
        }
    });
    assert_eq!(bench.runs().len(), 1);
    assert_eq!(bench.spans().len(), 5);
    assert!(bench.spans().iter().all(|span| span.status == Status::Ok));
}

#[test]
fn an_end_without_a_start_is_a_span_and_a_late_start_changes_nothing() {
    let bench = Bench::new();
    bench.run(|| {
        let hooks = Hooks::new();
        call(&hooks, &[
            ("post_tool_call", json!({"session_id": "s", "tool_name": "a", "tool_call_id": "1", "duration_ms": 30, "result": "x"})),
            ("pre_tool_call", json!({"session_id": "s", "tool_name": "a", "tool_call_id": "1"})),
            ("post_api_request", json!({"session_id": "s", "api_request_id": "r", "model": "m", "api_duration": 2.0})),
            ("subagent_stop", json!({"parent_session_id": "s", "child_session_id": "s-9", "child_role": "leaf",
                "child_status": "failed", "duration_ms": 50})),
            ("post_approval_response", json!({"session_id": "s", "pattern_key": "p", "choice": "deny", "duration_ms": 10})),
            ("on_session_finalize", json!({"session_id": "s"})),
        ]);
    });
    let mut found: Vec<_> = bench
        .spans()
        .iter()
        .map(|span| (span.name.clone(), millis(span)))
        .collect();
    found.retain(|(name, _)| name != "hermes.session");
    found.sort();
    let names = [
        "chat m",
        "hermes.approval",
        "hermes.tool.a",
        "invoke_agent leaf",
    ];
    assert_eq!(
        found,
        names
            .map(str::to_owned)
            .into_iter()
            .zip([2_000, 10, 30, 50])
            .collect::<Vec<_>>()
    );
    assert_eq!(bench.span("invoke_agent leaf").status, Status::Error);
}

#[test]
fn what_never_ends_is_bounded() {
    let bench = Bench::with(|builder| builder.queue_capacity(10_000));
    let mut limits = Limits::default();
    limits.max_open_calls = 64;
    limits.max_sessions = 8;
    let hooks = Hooks::with_limits(limits);
    bench.run(|| {
        for number in 0..1_000 {
            hooks.call(
                "pre_tool_call",
                &json!({"session_id": "s", "tool_name": "t", "tool_call_id": format!("c{number}")}),
            );
        }
        for number in 0..100 {
            hooks.on_session_start(SessionStart::new().session_id(format!("n{number}")));
        }
    });
    let spans = bench.all_spans();
    let cancelled = spans
        .iter()
        .filter(|span| span.name == "hermes.tool.t" && span.status == Status::Cancelled);
    assert!(cancelled.count() >= 1_000 - 64);
    let interrupted = spans
        .iter()
        .filter(|span| span.name == "hermes.session" && span.status == Status::Interrupted);
    assert!(interrupted.count() >= 101 - 9);
    bench.run(|| drop(hooks));
    let open = bench
        .all_spans()
        .iter()
        .filter(|span| span.end_ns.is_none())
        .count();
    assert_eq!(open, 0, "what is left ends with the hooks");
}

#[test]
fn nonsense_does_no_harm() {
    let bench = Bench::new();
    bench.run(|| {
        let hooks = Hooks::new();
        assert!(!hooks.call("on_nothing", &json!({})));
        for name in hooks::NAMES {
            for arguments in [json!(null), json!([1]), json!("x"), json!({}), json!({"session_id": 5, "duration_ms": "many",
                "started_at": -4, "ended_at": 1e300, "usage": [], "error": 3, "tool_call_id": ["x"], "status_code": 1e12})] {
                assert!(hooks.call(name, &arguments), "{name}");
            }
        }
    });
    // Where nobody listens.
    let hooks = Hooks::new();
    call(&hooks, &turn(1));
    assert_eq!(bench.telemetry.stats().dropped.values().sum::<u64>(), 0);
}

#[test]
fn two_sessions_that_use_the_same_call_ids_stay_apart() {
    let bench = Bench::new();
    bench.run(|| {
        let hooks = Hooks::new();
        for session in ["a", "b"] {
            hooks.pre_tool_call(
                ToolCall::new()
                    .session_id(session)
                    .tool_call_id("call_0")
                    .tool_name(session),
            );
        }
        for session in ["a", "b"] {
            let result = ToolResult::new()
                .session_id(session)
                .tool_call_id("call_0")
                .tool_name(session);
            hooks.post_tool_call(result.result("x"));
        }
        for session in ["a", "b"] {
            hooks.call("on_session_finalize", &json!({"session_id": session}));
        }
    });
    for session in ["a", "b"] {
        let tool = bench.span(&format!("hermes.tool.{session}"));
        assert_eq!(
            (tool.status, tool.attributes["hermes.session.id"].as_str()),
            (Status::Ok, Some(session))
        );
    }
}

#[test]
fn the_functions_of_the_module_share_one_set_of_hooks() {
    let bench = Bench::new();
    bench.run(|| {
        hooks::on_session_start(SessionStart::new().session_id("shared"));
        hooks::pre_tool_call(
            ToolCall::new()
                .session_id("shared")
                .tool_name("t")
                .tool_call_id("1"),
        );
        assert!(hooks::call(
            "post_tool_call",
            &json!({"session_id": "shared", "tool_name": "t", "tool_call_id": "1"})
        ));
        hooks::call("on_session_finalize", &json!({"session_id": "shared"}));
    });
    assert_eq!(bench.picture(), "hermes.session\n  hermes.tool.t\n");
}

#[derive(Clone, Copy, Debug)]
struct Called {
    session: usize,
    turn: bool,
    is_tool: bool,
    before: u8,
    after: u8,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Whatever the order in which the hooks of many calls come, every call is one span with its own
    /// arguments, result and parent.
    #[test]
    fn every_pre_finds_its_post(
        calls in prop::collection::vec((0..3_usize, any::<bool>(), any::<bool>(), any::<u8>(), any::<u8>())
            .prop_map(|(session, turn, is_tool, before, after)| Called { session, turn, is_tool, before, after }), 1..24),
        threads in any::<bool>(),
    ) {
        let bench = Bench::with(|builder| builder.capture_content(ContentCapture::Local));
        let hooks = Hooks::new();
        let mut plan: Vec<(u16, usize, bool)> = Vec::new();
        for (number, one) in calls.iter().enumerate() {
            let before = u16::from(one.before);
            plan.push((before, number, true));
            plan.push((before + 1 + u16::from(one.after), number, false));
        }
        plan.sort_unstable();
        let step = |number: usize, is_start: bool| {
            let one = calls[number];
            let turn = one.turn.then(|| format!("turn-{}", one.session));
            let about = json!({"session_id": format!("s{}", one.session), "turn_id": turn, "tool_name": "same", "model": format!("m{number}"),
                "tool_call_id": format!("c{number}"), "api_request_id": if one.is_tool { json!(null) } else { json!(format!("r{number}")) },
                "args": {"n": number.to_string()}, "result": number.to_string(), "duration_ms": number, "api_duration": number});
            let hook = match (one.is_tool, is_start) {
                (true, true) => "pre_tool_call",
                (true, false) => "post_tool_call",
                (false, true) => "pre_api_request",
                (false, false) => "post_api_request",
            };
            hooks.call(hook, &about);
        };
        bench.run(|| {
            for session in 0..3 {
                let about = json!({"session_id": format!("s{session}"), "turn_id": format!("turn-{session}")});
                hooks.call("on_session_start", &about);
                hooks.call("pre_llm_call", &about);
            }
            if threads {
                // All the starts, then all the ends, each on threads of their own.
                for is_start in [true, false] {
                    thread::scope(|scope| {
                        for half in 0..2 {
                            let (plan, step, dispatch) = (&plan, &step, &bench.dispatch);
                            scope.spawn(move || tracing::dispatcher::with_default(dispatch, || {
                                for (_, number, starts) in plan.iter().filter(|(_, number, _)| number % 2 == half) {
                                    if *starts == is_start { step(*number, is_start); }
                                }
                            }));
                        }
                    });
                }
            } else {
                for (_, number, is_start) in &plan {
                    step(*number, *is_start);
                }
            }
            for session in 0..3 {
                let about = json!({"session_id": format!("s{session}"), "turn_id": format!("turn-{session}"), "completed": true});
                hooks.call("on_session_end", &about);
                hooks.call("on_session_finalize", &about);
            }
        });
        let spans = bench.all_spans();
        let by_id: HashMap<_, _> = spans.iter().map(|span| (span.span_id, span)).collect();
        prop_assert_eq!(spans.len(), calls.len() + 6);
        for (number, one) in calls.iter().enumerate() {
            let call = json!(format!("c{number}"));
            let is_it = |span: &&RecordedSpan| {
                if one.is_tool {
                    span.attributes.get("gen_ai.tool.call.id") == Some(&call)
                } else {
                    span.name == format!("chat m{number}")
                }
            };
            let found: Vec<_> = spans.iter().filter(is_it).collect();
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(found[0].status, Status::Ok);
            let unit = if one.is_tool { 1 } else { 1_000 };
            prop_assert_eq!(millis(found[0]), i64::try_from(number).unwrap() * unit);
            let parent = by_id[&found[0].parent_span_id.unwrap()];
            prop_assert_eq!(&parent.name, "hermes.turn");
            prop_assert_eq!(&parent.attributes["hermes.session.id"], &json!(format!("s{}", one.session)));
            if one.is_tool {
                prop_assert_eq!(&found[0].attributes["hermes.tool.result"], &json!(number.to_string()));
                prop_assert_eq!(&found[0].attributes["hermes.tool.args"], &json!(format!("{{\"n\":\"{number}\"}}")));
            }
        }
    }
}
