//! Sub-agents keep their lineage: agents in agents, sessions in sessions, many agents in one chat.

use std::sync::Arc;

use hermes::RecordedSpan;
use serde_json::json;

use crate::support::Bench;
use crate::support::collector::Collector;

#[hermes::session(id = id, agent = "lead", role = role)]
fn session<T>(id: &str, role: &str, body: impl FnOnce() -> T) -> T {
    body()
}

#[hermes::agent(name = name, id = id, role = "critic", goal = "find the flaw")]
fn agent<T>(name: &str, id: &str, body: impl FnOnce() -> T) -> T {
    body()
}

#[hermes::turn]
fn turn<T>(body: impl FnOnce() -> T) -> T {
    body()
}

#[hermes::chat(model = "m")]
fn chat() {}

#[hermes::tool]
fn work() {}

fn said(span: &RecordedSpan, name: &str) -> serde_json::Value {
    span.attributes.get(name).cloned().unwrap_or_default()
}

#[test]
fn an_agent_knows_its_parents_and_its_depth() {
    let bench = Bench::new();
    bench.run(|| {
        session("s", "", || {
            turn(|| {
                agent("planner", "a-1", || {
                    turn(|| agent("searcher", "a-2", || turn(chat)));
                });
            });
        });
    });
    let session = bench.span("hermes.session");
    let planner = bench.span("invoke_agent planner");
    let searcher = bench.span("invoke_agent searcher");
    assert_eq!(said(&session, "hermes.subagent.depth"), json!(null));
    for (span, depth, parent, name, id) in [
        (&planner, 1, &session, json!("lead"), json!(null)),
        (&searcher, 2, &planner, json!("planner"), json!("a-1")),
    ] {
        assert_eq!(said(span, "hermes.subagent.depth"), depth);
        assert_eq!(said(span, "hermes.subagent.parent_name"), name);
        assert_eq!(said(span, "hermes.subagent.parent_id"), id);
        assert_eq!(said(span, "hermes.subagent.role"), "critic");
        let parent = parent.span_id.to_string();
        assert_eq!(
            said(span, "hermes.subagent.parent_span_id"),
            parent.as_str()
        );
        assert_eq!(said(span, "hermes.session.id"), "s");
        assert_eq!(said(span, "hermes.subagent.parent_session_id"), json!(null));
        assert_eq!(said(span, "hermes.subagent.goal"), json!(null), "content");
    }
    // What happens in an agent bears its name.
    let turns: Vec<_> = bench
        .spans()
        .iter()
        .filter(|span| span.span_name == "hermes.turn")
        .map(|span| said(span, "gen_ai.agent.name"))
        .collect();
    assert_eq!(turns, ["lead", "planner", "searcher"]);
    let lineage: String = bench.sql(
        "SELECT group_concat(agent_name || ' ' || depth || ' ' || coalesce(parent_name, '-'), ', ')
         FROM (SELECT * FROM tel_agents ORDER BY start_ns)",
    );
    assert_eq!(lineage, "lead 0 -, planner 1 lead, searcher 2 planner");
}

#[test]
fn a_session_in_a_session_is_a_sub_agent_of_its_run() {
    let collector = Collector::start();
    let bench = Bench::with(|builder| builder.otlp_endpoint(collector.endpoint()));
    bench.run(|| {
        session("outer", "", || {
            session("inner", "researcher", || turn(chat));
        });
    });
    let runs = bench.runs();
    assert_eq!(runs.len(), 1, "a run is one outermost session");
    assert_eq!(runs[0].session_id.as_deref(), Some("outer"));
    assert_eq!(runs[0].model_call_count, 1);
    let spans = bench.spans();
    let inner = &spans[1];
    assert_eq!(said(inner, "hermes.session.id"), "inner");
    assert_eq!(said(inner, "hermes.subagent.parent_session_id"), "outer");
    assert_eq!(said(inner, "hermes.subagent.depth"), 1);
    assert_eq!(said(inner, "hermes.subagent.role"), "researcher");
    assert_eq!(
        said(&spans[3], "hermes.session.id"),
        "inner",
        "its calls are its own"
    );
    let sent = collector.wait_for(4, crate::support::SOON);
    let sent = sent.iter().find(|span| {
        span.attributes.get("hermes.subagent.parent_session_id") == Some(&json!("outer"))
    });
    assert_eq!(sent.unwrap().span_id, inner.span_id.to_string());
}

#[test]
fn two_sessions_below_one_request_have_it_as_their_parent_run() {
    let bench = Bench::new();
    bench.run(|| {
        let _request = tracing::info_span!("hermes.step", code.function.name = "r").entered();
        session("a", "", work);
        session("b", "", work);
    });
    let runs = bench.runs();
    let parents: Vec<_> = runs.iter().map(|run| run.parent_run_id).collect();
    assert_eq!(parents, [None, Some(runs[0].run_id), Some(runs[0].run_id)]);
    assert!(runs[1].parent_span_id.is_some());
}

/// Takes turns with others: one step at a time, as it is polled.
#[hermes::agent(name = name, id = name)]
async fn member(name: String, rounds: usize, floor: Arc<tokio::sync::Semaphore>) {
    for _ in 0..rounds {
        speak(&floor).await;
    }
}

#[hermes::turn]
async fn speak(floor: &tokio::sync::Semaphore) {
    tokio::task::yield_now().await;
    let permit = floor.acquire().await;
    think().await;
    drop(permit);
    use_tool().await;
}

#[hermes::chat(model = "m")]
async fn think() {
    tokio::task::yield_now().await;
    hermes::current().usage(hermes::Usage {
        input_tokens: 10,
        ..hermes::Usage::default()
    });
}

#[hermes::tool]
async fn use_tool() {
    tokio::task::yield_now().await;
}

#[hermes::session(id = "group")]
async fn group(agents: usize, spawned: bool) {
    let floor = Arc::new(tokio::sync::Semaphore::new(2));
    let members = (0..agents).map(|number| member(format!("a-{number}"), 5, Arc::clone(&floor)));
    if spawned {
        let tasks: Vec<_> = members
            .map(|member| tokio::spawn(hermes::in_current(member)))
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    } else {
        let local = tokio::task::LocalSet::new();
        let tasks = members.map(|member| local.spawn_local(hermes::in_current(member)));
        let tasks: Vec<_> = tasks.collect();
        local.await;
        for task in tasks {
            task.await.unwrap();
        }
    }
}

fn assert_nobody_is_mixed_up(bench: &Bench, agents: usize) {
    let spans = bench.spans();
    assert_eq!(spans.len(), 1 + agents + agents * 5 * 3);
    let by_id = |id| spans.iter().find(|span| Some(span.span_id) == id).unwrap();
    for span in &spans {
        let agent = match span.span_name.as_str() {
            "hermes.turn" => by_id(span.parent_span_id),
            "hermes.chat" | "hermes.tool" => {
                let turn = by_id(span.parent_span_id);
                assert_eq!(turn.span_name, "hermes.turn");
                by_id(turn.parent_span_id)
            }
            _ => continue,
        };
        assert_eq!(agent.span_name, "hermes.agent");
        if span.span_name != "hermes.chat" {
            let name = said(agent, "gen_ai.agent.name");
            assert_eq!(said(span, "gen_ai.agent.name"), name);
        }
    }
    for turn in spans.iter().filter(|span| span.span_name == "hermes.turn") {
        assert_eq!(said(turn, "hermes.turn.api_call_count"), 1);
        assert_eq!(said(turn, "hermes.turn.tool_call_count"), 1);
        assert_eq!(said(turn, "hermes.turn.input_tokens"), 10);
    }
    let indices: i64 = bench.sql(
        "SELECT count(DISTINCT parent_span_id || (attrs_json ->> '$.\"hermes.turn.index\"'))
         FROM tel_spans WHERE span_name = 'hermes.turn'",
    );
    assert_eq!(
        usize::try_from(indices).unwrap(),
        agents * 5,
        "each counts its own turns"
    );
}

#[test]
fn many_agents_take_turns_on_one_thread() {
    let bench = Bench::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    bench.run(|| runtime.block_on(group(8, false)));
    assert_nobody_is_mixed_up(&bench, 8);
}

#[test]
fn many_agents_take_turns_on_many_threads() {
    let bench = Bench::new();
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(4).build().unwrap();
    bench.run(|| runtime.block_on(group(16, true)));
    assert_nobody_is_mixed_up(&bench, 16);
}
