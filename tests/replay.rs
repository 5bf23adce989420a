//! Replays real sessions through the example and compares the store and the wire with the truth.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use collector::{Collector, ReceivedSpan};
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

#[expect(
    dead_code,
    reason = "it is written for another test binary, which uses more of it"
)]
#[path = "it/support/collector.rs"]
mod collector;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");

#[test]
fn every_side_tells_the_truth_about_real_sessions() {
    let (truth, files) = truth();
    let collector = Collector::start();
    let folder = tempfile::tempdir().unwrap();
    let output = replay(&folder)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
        .arg("--json")
        .args(&files)
        .output()
        .unwrap();
    assert_eq!(text(&output.stderr), "");
    assert!(output.status.success());

    let told: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let store = Connection::open(store_path(&folder)).unwrap();
    let spans = collector.wait_for(
        count(&store, "SELECT count(*) FROM tel_spans"),
        Duration::from_secs(10),
    );
    assert_eq!(told.len(), truth.len());
    for (told, truth) in told.iter().zip(&truth) {
        let trace_id = told["trace_id"].as_str().unwrap();
        assert_eq!(without_ids(told), *truth, "as printed");
        assert_eq!(summed_by_sql(&store, told), summable(truth), "in the store");
        let wire: Vec<_> = spans
            .iter()
            .filter(|span| span.trace_id == trace_id)
            .collect();
        assert_eq!(summed_on_wire(&wire), summable(truth), "on the wire");
    }
    assert_eq!(ids_in_store(&store), ids_on_wire(&spans));
    assert!(!ids_in_store(&store).is_empty());
}

#[test]
fn the_exception_that_ends_a_session_is_told_with_its_name() {
    let (truth, files) = truth();
    let folder = tempfile::tempdir().unwrap();
    assert!(
        replay(&folder)
            .args(&files)
            .output()
            .unwrap()
            .status
            .success()
    );
    let store = Connection::open(store_path(&folder)).unwrap();
    for session in truth
        .iter()
        .filter(|session| session["failed_chat_spans"] == 1)
    {
        let id = session["file"]
            .as_str()
            .unwrap()
            .trim_end_matches(".traj.json");
        let (error_type, class, end): (String, String, String) = store
            .query_row(
                "SELECT s.error_type, m.error_class, m.end_reason FROM tel_model_calls m
                 JOIN tel_spans s USING (span_id) JOIN tel_runs r ON r.run_id = m.run_id
                 WHERE r.session_id = ? AND m.status = 'error'",
                [id],
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )
            .unwrap();
        assert_eq!(error_type, session["exit_status"].as_str().unwrap());
        let timed_out = session["end_reason"] == "timeout";
        assert_eq!(
            class,
            if timed_out {
                "provider_timeout"
            } else {
                "provider_error"
            }
        );
        assert_eq!(end, "failed");
    }
}

#[test]
fn content_is_kept_where_it_is_asked_for_and_nowhere_else() {
    let (_, files) = truth();
    let kept = |setting: &str| {
        let folder = tempfile::tempdir().unwrap();
        let output = replay(&folder)
            .env("HERMES_OTEL_CAPTURE_CONTENT", setting)
            .args(&files)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let store = Connection::open(store_path(&folder)).unwrap();
        ["patch.txt", "<returncode>", "pr_description"].map(|said| {
            let sql = format!("SELECT count(*) FROM tel_spans WHERE attrs_json LIKE '%{said}%'");
            count(&store, &sql) > 0
        })
    };
    assert_eq!(kept("false"), [false; 3]);
    assert_eq!(kept("local"), [true; 3]);
}

#[test]
fn a_table_ends_with_the_sum_of_all_sessions() {
    let (truth, files) = truth();
    let folder = tempfile::tempdir().unwrap();
    let output = replay(&folder).args(&files).output().unwrap();
    let table = text(&output.stdout);
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), truth.len() + 2, "{table}");
    let calls: i64 = truth
        .iter()
        .filter_map(|session| session["chat_spans"].as_i64())
        .sum();
    let total: Vec<_> = lines[lines.len() - 1].split_whitespace().collect();
    assert_eq!(total[0], calls.to_string());
    assert_eq!(total[total.len() - 2..], ["3", "sessions"]);
}

#[test]
fn a_bad_file_costs_one_line_and_the_others_are_replayed() {
    let (truth, files) = truth();
    let folder = tempfile::tempdir().unwrap();
    let bad = |name: &str, content: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let missing = folder.path().join("missing.traj.json");
    let broken = bad("broken.traj.json", "{\n  \"messages\": [1, 2\n}");
    let other = bad("other.traj.json", "{\"spans\": []}");
    let output = replay(&folder)
        .arg("--json")
        .args([&missing, &broken, &files[0], &other])
        .output()
        .unwrap();

    assert_eq!(output.status.code(), Some(1));
    let complaints = text(&output.stderr);
    let lines: Vec<_> = complaints.lines().collect();
    assert_eq!(lines.len(), 3, "{complaints}");
    for (line, (path, why)) in lines.iter().zip([
        (&missing, "cannot be read"),
        (&broken, "line 3 column 1"),
        (&other, "not a trajectory"),
    ]) {
        assert!(
            line.contains(&path.display().to_string()) && line.contains(why),
            "{line}"
        );
    }
    let told: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told.iter().map(without_ids).collect::<Vec<_>>(), truth[..1]);
}

#[test]
fn a_session_may_lack_anything_but_its_messages() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("odd.traj.json");
    let call = |id: &str| json!({ "id": id, "function": { "name": "bash", "arguments": "{}" } });
    let session = json!({ "messages": [
        { "role": "system", "content": "be brief" },
        { "role": "user", "content": [{ "type": "text", "text": "hello" }] },
        { "role": "assistant", "content": "no record, no tools" },
        { "role": "assistant", "tool_calls": [call("a"), call("b"), call("c")], "extra": {
            "response": { "model": "m-1", "choices": [{ "finish_reason": "tool_calls" }], "usage": null }
        } },
        { "role": "tool", "tool_call_id": "b", "content": "", "extra": { "returncode": 1 } },
        { "role": "tool", "tool_call_id": "a", "content": "no extra" },
        { "role": "tool", "tool_call_id": "c", "content": "", "extra": {
            "returncode": -1, "exception_info": "action was not executed"
        } },
        { "role": "assistant", "content": "```ls```", "extra": {
            "response": { "choices": [{ "finish_reason": "stop" }], "usage": { "prompt_tokens": 7 } },
            "actions": [{ "command": "sleep 99" }], "cost": 0.25
        } },
        { "role": "user", "content": "", "extra": {
            "returncode": -1, "exception_info": "Command 'sleep 99' Timed Out after 60 seconds"
        } },
        { "object": "response", "id": "r-3", "model": "m-2", "status": "completed",
          "usage": { "input_tokens": 10, "output_tokens": 2, "output_tokens_details": { "reasoning_tokens": 1 } },
          "output": [{ "type": "function_call", "name": "bash", "call_id": "d", "arguments": "{}" }],
          "extra": { "cost": 0.5 } },
        { "type": "function_call_output", "call_id": "d", "output": "", "extra": { "returncode": 0 } },
        null,
        { "role": "exit", "content": "LimitsExceeded", "extra": { "exit_status": "LimitsExceeded" } }
    ] });
    std::fs::write(&path, session.to_string()).unwrap();
    let output = replay(&folder).arg("--json").arg(&path).output().unwrap();
    assert_eq!(text(&output.stderr), "");
    let told: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let expected = json!({
        "session_id": "odd", "file": "odd.traj.json", "exit_status": "LimitsExceeded",
        "end_reason": "max_iterations", "chat_spans": 3, "failed_chat_spans": 0,
        "input_tokens": 17, "output_tokens": 2, "cache_read_tokens": 0, "reasoning_tokens": 1,
        "tool_spans": 5, "tool_errors": 2, "tool_timeouts": 1, "cost_usd": 0.75,
        "models": { "m-1": 1, "m-2": 1 },
        "finish_reasons": { "tool_calls": 1, "stop": 1, "completed": 1 }, "tools": { "bash": 5 }
    });
    let mut found = told[0].clone();
    for id in ["run_id", "trace_id"] {
        assert!(found.as_object_mut().unwrap().remove(id).is_some());
    }
    assert_eq!(found, expected);
}

#[test]
fn wrong_usage_is_told_with_the_right_one() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [
        &[][..],
        &["--fast", "a"],
        &["a", "--speed"],
        &["a", "--speed", "0"],
        &["a", "--speed=x"],
    ] {
        let output = replay(&folder).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            text(&output.stderr).contains("usage: replay FILE..."),
            "{arguments:?}"
        );
        assert_eq!(text(&output.stdout), "");
    }
    assert!(!store_path(&folder).exists());
}

/// The example, to run with a store in this folder and an environment that says nothing else.
fn replay(folder: &TempDir) -> Command {
    let test = std::env::current_exe().unwrap();
    let built = test.ancestors().nth(2).unwrap().join("examples");
    let example = built.join(format!("replay{}", std::env::consts::EXE_SUFFIX));
    assert!(
        example.is_file(),
        "build {} first: cargo build --example replay",
        example.display()
    );
    let mut command = Command::new(example);
    for (name, _) in std::env::vars_os() {
        let is_ours = ["HERMES_", "OTEL_", "RUST_LOG"]
            .iter()
            .any(|prefix| name.to_string_lossy().starts_with(prefix));
        if is_ours {
            command.env_remove(name);
        }
    }
    command
        .env("HERMES_HOME", folder.path())
        .env("HERMES_TELEMETRY_DB", store_path(folder));
    command
}

fn store_path(folder: &TempDir) -> PathBuf {
    folder.path().join("telemetry.db")
}

/// What is true of each session, and their files in the same order.
fn truth() -> (Vec<Value>, Vec<PathBuf>) {
    let data = Path::new(DATA);
    let mut truth: Value =
        serde_json::from_slice(&std::fs::read(data.join("TRUTH.json")).unwrap()).unwrap();
    let sessions = std::mem::take(truth["sessions"].as_array_mut().unwrap());
    let files = sessions
        .iter()
        .map(|session| data.join(session["file"].as_str().unwrap()));
    let files = files.collect();
    (sessions, files)
}

fn without_ids(told: &Value) -> Value {
    let mut told = told.clone();
    for key in ["session_id", "run_id", "trace_id"] {
        assert!(
            told.as_object_mut()
                .unwrap()
                .remove(key)
                .is_some_and(|id| id.is_string()),
            "{key}"
        );
    }
    told
}

/// The part of the truth that spans alone tell.
fn summable(truth: &Value) -> Value {
    let mut truth = truth.clone();
    for key in ["file", "exit_status"] {
        truth.as_object_mut().unwrap().remove(key);
    }
    truth
}

fn summed_by_sql(store: &Connection, told: &Value) -> Value {
    let run = told["run_id"].as_str().unwrap();
    let calls = |what: &str| {
        let sql = format!("SELECT {what} FROM tel_model_calls WHERE run_id = ?");
        store
            .query_row(&sql, [run], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    let tokens = |name: &str| calls(&format!("coalesce(sum({name}), 0)"));
    let tools = |condition: &str| {
        let sql = format!("SELECT count(*) FROM tel_tool_calls WHERE run_id = ? AND {condition}");
        store
            .query_row(&sql, [run], |row| row.get::<_, i64>(0))
            .unwrap()
    };
    let tally = |table: &str, column: &str| -> BTreeMap<String, i64> {
        let sql = format!(
            "SELECT {column}, count(*) FROM {table} WHERE run_id = ? AND {column} IS NOT NULL GROUP BY 1"
        );
        let mut statement = store.prepare(&sql).unwrap();
        let rows = statement
            .query_map([run], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        rows.map(Result::unwrap).collect()
    };
    let cost =
        "SELECT coalesce(sum(estimated_cost_usd), 0.0) FROM tel_model_calls WHERE run_id = ?";
    let cost: f64 = store.query_row(cost, [run], |row| row.get(0)).unwrap();
    let (end, totals): (String, [i64; 4]) = store
        .query_row(
            "SELECT end_reason, model_call_count, tool_call_count, input_tokens, output_tokens
             FROM tel_runs WHERE run_id = ?",
            [run],
            |row| {
                Ok((
                    row.get(0)?,
                    [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?],
                ))
            },
        )
        .unwrap();
    let [input, output] = ["input_tokens", "output_tokens"].map(tokens);
    assert_eq!(
        totals,
        [calls("count(*)"), tools("true"), input, output],
        "the run's own sums"
    );
    json!({
        "chat_spans": calls("count(*) FILTER (WHERE end_reason = 'completed')"),
        "failed_chat_spans": calls("count(*) FILTER (WHERE end_reason = 'failed')"),
        "input_tokens": input,
        "output_tokens": output,
        "cache_read_tokens": tokens("cache_read_tokens"),
        "reasoning_tokens": tokens("reasoning_tokens"),
        "tool_spans": tools("true"),
        "tool_errors": tools("result_class = 'error'"),
        "tool_timeouts": tools("result_class = 'timeout'"),
        "end_reason": end,
        "cost_usd": rounded(cost),
        "models": tally("tel_model_calls", "response_model"),
        "finish_reasons": tally("tel_model_calls", "finish_reason"),
        "tools": tally("tel_tool_calls", "tool_name"),
    })
}

fn summed_on_wire(spans: &[&ReceivedSpan]) -> Value {
    let of_kind = |kind: &str| -> Vec<&ReceivedSpan> {
        spans
            .iter()
            .copied()
            .filter(|span| span.attributes["hermes.span.kind"] == kind)
            .collect()
    };
    let (calls, tools) = (of_kind("LLM"), of_kind("TOOL"));
    let failed = calls
        .iter()
        .filter(|span| span.status_code == "ERROR")
        .count();
    let tokens = |key: &str| -> i64 {
        calls
            .iter()
            .filter_map(|span| span.attributes.get(key)?.as_i64())
            .sum()
    };
    let cost = |span: &&ReceivedSpan| span.attributes.get("hermes.cost_usd")?.as_f64();
    let ended = |class: &str| {
        let of_class = |span: &&&ReceivedSpan| span.attributes["hermes.tool.result_class"] == class;
        tools.iter().filter(of_class).count()
    };
    let sessions = spans.iter().filter(|span| span.name == "hermes.session");
    let ends: Vec<_> = sessions
        .map(|span| &span.attributes["hermes.session.end_reason"])
        .collect();
    assert_eq!(ends.len(), 1);
    json!({
        "chat_spans": calls.len() - failed,
        "failed_chat_spans": failed,
        "input_tokens": tokens("gen_ai.usage.input_tokens"),
        "output_tokens": tokens("gen_ai.usage.output_tokens"),
        "cache_read_tokens": tokens("hermes.cache.read_tokens"),
        "reasoning_tokens": tokens("hermes.reasoning_tokens"),
        "tool_spans": tools.len(),
        "tool_errors": ended("error"),
        "tool_timeouts": ended("timeout"),
        "end_reason": ends[0],
        "cost_usd": rounded(calls.iter().filter_map(cost).sum()),
        "models": tally(&calls, "gen_ai.response.model"),
        "finish_reasons": tally(&calls, "gen_ai.response.finish_reasons"),
        "tools": tally(&tools, "gen_ai.tool.name"),
    })
}

fn tally(spans: &[&ReceivedSpan], key: &str) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for value in spans.iter().filter_map(|span| span.attributes.get(key)) {
        let word = value.get(0).unwrap_or(value).as_str().unwrap();
        *tally.entry(word.to_owned()).or_default() += 1;
    }
    tally
}

type Ids = BTreeSet<(String, String, Option<String>)>;

fn ids_in_store(store: &Connection) -> Ids {
    let sql = "SELECT trace_id, span_id, parent_span_id FROM tel_spans";
    let mut statement = store.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    rows.unwrap().map(Result::unwrap).collect()
}

fn ids_on_wire(spans: &[ReceivedSpan]) -> Ids {
    let ids = |span: &ReceivedSpan| {
        (
            span.trace_id.clone(),
            span.span_id.clone(),
            span.parent_span_id.clone(),
        )
    };
    spans.iter().map(ids).collect()
}

/// To nine digits: sums of fractions are exact to that.
fn rounded(cost: f64) -> f64 {
    (cost * 1e9).round() / 1e9
}

fn count(store: &Connection, sql: &str) -> usize {
    let rows: i64 = store.query_row(sql, [], |row| row.get(0)).unwrap();
    usize::try_from(rows).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
