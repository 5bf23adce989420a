//! Hosts that are like hermes-agent and not the same: ids left out, used again or told by one hook alone, clocks of their own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hermes::hooks::Hooks;
use hermes::{RecordedSpan, Status};
use serde_json::{Value, json};

use crate::support::Bench;

const SECOND: i64 = 1_000_000_000;

/// Calls hooks by name, as a host that speaks JSON.
fn call(hooks: &Hooks, calls: &[(&str, Value)]) {
    for (hook, arguments) in calls {
        assert!(hooks.call(hook, arguments), "{hook}");
    }
}

fn told(calls: &[(&str, Value)]) -> Bench {
    let bench = Bench::new();
    bench.run(|| call(&Hooks::new(), calls));
    bench
}

fn seconds(span: &RecordedSpan) -> i64 {
    (span.end_ns.unwrap() - span.start_ns) / SECOND
}

#[test]
fn request_ids_may_begin_anew_with_every_turn() {
    let mut calls = Vec::new();
    for turn in ["t1", "t2"] {
        let about =
            json!({"session_id": "s", "turn_id": turn, "api_request_id": "1", "model": "m"});
        for hook in [
            "pre_llm_call",
            "pre_api_request",
            "post_api_request",
            "on_session_end",
        ] {
            calls.push((hook, about.clone()));
        }
        // Of this one the end alone is told.
        let about =
            json!({"session_id": "s", "turn_id": turn, "api_request_id": "2", "model": "m"});
        calls.push(("post_api_request", about));
    }
    calls.push(("on_session_finalize", json!({"session_id": "s"})));
    let bench = told(&calls);
    let chats = bench.spans();
    let chats = chats.iter().filter(|span| span.name == "chat m");
    assert_eq!(chats.filter(|chat| chat.status == Status::Ok).count(), 4);
}

#[test]
fn an_id_that_one_of_two_hooks_leaves_out_is_found_by_what_the_call_is() {
    let bench = told(&[
        ("pre_llm_call", json!({"session_id": "s", "turn_id": "t"})),
        (
            "pre_api_request",
            json!({"session_id": "s", "turn_id": "t", "model": "late"}),
        ),
        (
            "post_api_request",
            json!({"session_id": "s", "turn_id": "t", "api_request_id": "r1"}),
        ),
        (
            "pre_api_request",
            json!({"session_id": "s", "turn_id": "t", "model": "early", "api_request_id": "r2"}),
        ),
        (
            "post_api_request",
            json!({"session_id": "s", "turn_id": "t"}),
        ),
        (
            "pre_tool_call",
            json!({"session_id": "s", "tool_name": "late"}),
        ),
        (
            "post_tool_call",
            json!({"session_id": "s", "tool_name": "late", "tool_call_id": "c1", "result": "x"}),
        ),
        (
            "pre_tool_call",
            json!({"session_id": "s", "tool_name": "early", "tool_call_id": "c2"}),
        ),
        (
            "post_tool_call",
            json!({"session_id": "s", "tool_name": "early", "result": "x"}),
        ),
        // Of another session, and of another name: no end of these.
        (
            "pre_tool_call",
            json!({"session_id": "other", "tool_name": "early", "tool_call_id": "c3"}),
        ),
        (
            "pre_tool_call",
            json!({"session_id": "s", "tool_name": "still", "tool_call_id": "c4"}),
        ),
        (
            "pre_approval_request",
            json!({"session_id": "s", "tool_call_id": "c4", "pattern_key": "rm", "command": "rm a"}),
        ),
        (
            "post_approval_response",
            json!({"session_id": "s", "pattern_key": "rm", "command": "rm a", "choice": "once"}),
        ),
        (
            "post_tool_call",
            json!({"session_id": "s", "tool_call_id": "c4", "tool_name": "still", "result": "x"}),
        ),
        (
            "on_session_end",
            json!({"session_id": "s", "turn_id": "t", "completed": true}),
        ),
        ("on_session_finalize", json!({"session_id": "s"})),
        ("on_session_finalize", json!({"session_id": "other"})),
    ]);
    assert_eq!(
        bench.picture(),
        "hermes.session\n  hermes.turn\n    chat late\n    chat early\n    hermes.tool.late\n    \
         hermes.tool.early\n    hermes.tool.still\n      hermes.approval\nhermes.session\n  \
         hermes.tool.early [cancelled] ✗ cancelled\n"
    );
}

#[test]
fn a_host_without_any_ids_has_one_session() {
    let bench = told(&[
        ("on_session_start", json!({"model": "m", "platform": "cli"})),
        ("pre_llm_call", json!({"user_message": "hi"})),
        ("pre_api_request", json!({"model": "m"})),
        ("post_api_request", json!({"model": "m", "api_duration": 2})),
        ("pre_tool_call", json!({"tool_name": "t"})),
        ("post_tool_call", json!({"tool_name": "t", "result": "x"})),
        ("post_llm_call", json!({"assistant_response": "ho"})),
        ("on_session_end", json!({"completed": true})),
        ("on_session_finalize", json!({"reason": "shutdown"})),
        ("pre_llm_call", json!({})),
        ("on_session_end", json!({"completed": true})),
        ("on_session_finalize", json!({})),
    ]);
    assert_eq!(bench.runs().len(), 2);
    assert_eq!(
        bench.picture(),
        "hermes.session\n  hermes.turn\n    chat m\n    hermes.tool.t\nhermes.session\n  hermes.turn\n"
    );
    let run = &bench.runs()[0];
    assert_eq!((run.session_id.as_deref(), run.turn_count), (None, 1));
    assert_eq!(run.end_reason.unwrap().as_str(), "completed");
}

#[test]
fn of_a_clock_that_nobody_knows_the_difference_counts() {
    let bench = told(&[
        ("pre_llm_call", json!({"session_id": "s"})),
        (
            "pre_api_request",
            json!({"session_id": "s", "api_request_id": "1", "model": "monotonic", "started_at": 100.25}),
        ),
        (
            "post_api_request",
            json!({"session_id": "s", "api_request_id": "1", "started_at": 100.25, "ended_at": 142.75}),
        ),
        (
            "post_api_request",
            json!({"session_id": "s", "api_request_id": "2", "model": "naive",
            "started_at": "2026-11-21T10:00:00", "ended_at": "2026-11-21 10:00:42.5"}),
        ),
        (
            "post_tool_call",
            json!({"session_id": "s", "tool_call_id": "3", "tool_name": "t", "started_at": 7, "ended_at": 49}),
        ),
        (
            "on_session_end",
            json!({"session_id": "s", "completed": true}),
        ),
        ("on_session_finalize", json!({"session_id": "s"})),
    ]);
    for name in ["chat monotonic", "chat naive", "hermes.tool.t"] {
        assert_eq!(seconds(&bench.span(name)), 42, "{name}");
    }
}

#[test]
fn times_that_cannot_be_do_not_make_a_session_last_for_ever() {
    let bench = told(&[
        ("pre_llm_call", json!({"session_id": "s"})),
        // Nanoseconds since the host's machine was started.
        (
            "post_tool_call",
            json!({"session_id": "s", "tool_call_id": "1", "tool_name": "t",
            "started_at": 50_000_000_000_000_i64, "ended_at": 50_042_000_000_000_i64}),
        ),
        (
            "post_tool_call",
            json!({"session_id": "s", "tool_call_id": "2", "tool_name": "t", "ended_at": "9999-12-31T23:59:59Z"}),
        ),
        (
            "post_tool_call",
            json!({"session_id": "s", "tool_call_id": "3", "tool_name": "t", "ended_at": "2026-02-31T00:00:00Z"}),
        ),
        (
            "on_session_end",
            json!({"session_id": "s", "completed": true}),
        ),
        ("on_session_finalize", json!({"session_id": "s"})),
    ]);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let soon = (now + Duration::from_secs(60)).as_nanos();
    for span in bench.spans() {
        assert!(
            u128::try_from(span.end_ns.unwrap()).unwrap() < soon,
            "{}",
            span.name
        );
        assert!(seconds(&span) < 60, "{}", span.name);
    }
}

#[test]
fn a_session_is_known_by_its_task_however_many_calls_it_makes() {
    let mut calls = vec![
        ("on_session_start", json!({"session_id": "other"})),
        (
            "pre_llm_call",
            json!({"session_id": "s", "task_id": "task-1"}),
        ),
    ];
    for number in 0..200 {
        let about =
            json!({"session_id": "s", "api_request_id": format!("r{number}"), "model": "m"});
        calls.push(("pre_api_request", about.clone()));
        calls.push(("post_api_request", about));
    }
    calls.push((
        "post_tool_call",
        json!({"task_id": "task-1", "tool_name": "t", "tool_call_id": "c"}),
    ));
    calls.push(("on_session_finalize", json!({"session_id": "s"})));
    let bench = told(&calls);
    let tool = bench.span("hermes.tool.t");
    assert_eq!(tool.attributes["hermes.session.id"], "s");
}

#[test]
fn a_host_that_tries_again_by_itself_tells_of_each_failure() {
    let about = |more: Value| {
        let mut all = json!({"session_id": "s", "api_request_id": "r", "model": "m"});
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        all
    };
    let bench = told(&[
        ("pre_api_request", about(json!({}))),
        (
            "api_request_error",
            about(json!({"status_code": 429, "error": "slow down"})),
        ),
        (
            "api_request_error",
            about(json!({"status_code": 503, "error": "overloaded"})),
        ),
        ("post_api_request", about(json!({"finish_reason": "stop"}))),
        ("on_session_finalize", json!({"session_id": "s"})),
    ]);
    let chats = bench.spans();
    let chats: Vec<_> = chats
        .iter()
        .filter(|span| span.name == "chat m")
        .map(|chat| {
            (
                chat.status,
                chat.attributes.get("hermes.retry_count").cloned(),
            )
        })
        .collect();
    assert_eq!(
        chats,
        [
            (Status::Error, None),
            (Status::Error, Some(json!(1))),
            (Status::Ok, Some(json!(2)))
        ]
    );
}
