//! Concurrent sessions never mix: 64 tasks on a work-stealing runtime, and plain threads.
//!
//! Alone in its binary, because spans that end on any thread need the global subscriber.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot set itself up has failed"
)]

#[path = "it/support/collector.rs"]
#[expect(dead_code, reason = "shared with tests that use more of it")]
mod collector;

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use hermes::{RecordedSpan, RunFilter, Telemetry};
use tracing_subscriber::layer::SubscriberExt;

const SESSIONS: usize = 64;
const TURNS: usize = 3;
const SOON: Duration = Duration::from_secs(60);

#[hermes::session(id = id)]
async fn session(id: &str) {
    for number in 0..TURNS {
        turn(id, number).await;
    }
}

#[hermes::turn(fields(hermes.model = id))]
async fn turn(id: &str, _number: usize) {
    tokio::join!(chat(id), tool(id), chat(id));
}

#[hermes::chat(model = id)]
async fn chat(id: &str) {
    tokio::task::yield_now().await;
    tool(id).await;
}

#[hermes::tool(name = id)]
async fn tool(id: &str) {
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}

#[hermes::session(id = id)]
fn threaded(id: &str) {
    #[hermes::tool(name = id, parent = parent)]
    fn on_another_thread(id: &str, parent: &tracing::Span) {}
    let parent = tracing::Span::current();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| on_another_thread(id, &parent));
        }
    });
}

#[test]
fn sessions_never_mix() {
    let folder = tempfile::tempdir().unwrap();
    let collector = collector::Collector::start();
    let (layer, telemetry) = hermes::builder()
        .store_path(folder.path().join("telemetry.db"))
        .otlp_endpoint(collector.endpoint())
        .build()
        .unwrap();
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .build()
        .unwrap();
    let names: Vec<_> = (0..SESSIONS).map(|number| format!("s{number}")).collect();
    runtime.block_on(async {
        let tasks: Vec<_> = names
            .iter()
            .cloned()
            .map(|id| tokio::spawn(async move { session(&id).await }))
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    let threads = Mutex::new(0);
    std::thread::scope(|scope| {
        for number in 0..SESSIONS {
            let threads = &threads;
            scope.spawn(move || {
                threaded(&format!("t{number}"));
                *threads.lock().unwrap() += 1;
            });
        }
    });
    telemetry.flush(SOON).unwrap();

    let spans = stored(&telemetry);
    let sent = collector.wait_for(spans.len(), SOON);
    let per_session = 1 + TURNS * (1 + 2 * 2 + 1);
    assert_eq!(spans.len(), SESSIONS * per_session + SESSIONS * 5);
    assert_eq!(sent.len(), spans.len());
    let by_id: HashMap<_, _> = spans.iter().map(|span| (span.span_id, span)).collect();
    for span in &spans {
        let owner = span.attributes["hermes.session.id"].as_str().unwrap();
        // Every span carries the name of its session; its parent must be of the same one, and of
        // the kind that calls it.
        let subject = ["gen_ai.request.model", "gen_ai.tool.name", "hermes.model"]
            .iter()
            .find_map(|key| span.attributes.get(*key)?.as_str());
        assert!(subject.is_none_or(|subject| subject == owner), "{span:?}");
        let parent = span.parent_span_id.map(|parent| by_id[&parent]);
        assert!(parent.is_none_or(|parent| parent.trace_id == span.trace_id
            && parent.run_id == span.run_id
            && parent.attributes["hermes.session.id"] == owner));
        let expected: &[&str] = match (span.span_name.as_str(), owner.starts_with('s')) {
            ("hermes.session", _) => &[],
            ("hermes.turn", _) | ("hermes.tool", false) => &["hermes.session"],
            ("hermes.chat", _) => &["hermes.turn"],
            _ => &["hermes.chat", "hermes.turn"],
        };
        match parent {
            None => assert!(expected.is_empty(), "{span:?}"),
            Some(parent) => assert!(expected.contains(&parent.span_name.as_str()), "{span:?}"),
        }
    }
    for sent in &sent {
        let span = by_id
            .values()
            .find(|span| span.span_id.to_string() == sent.span_id)
            .unwrap();
        assert_eq!(sent.trace_id, span.trace_id.to_string());
        assert_eq!(
            sent.parent_span_id,
            span.parent_span_id.map(|id| id.to_string())
        );
    }
    let turns = spans.iter().filter(|span| span.span_name == "hermes.turn");
    for turn in turns {
        assert_eq!(turn.attributes["hermes.turn.api_call_count"], 2);
        assert_eq!(turn.attributes["hermes.turn.tool_call_count"], 3);
    }
}

fn stored(telemetry: &Telemetry) -> Vec<RecordedSpan> {
    let store = telemetry.store().unwrap();
    let mut filter = RunFilter::default();
    filter.limit = None;
    let runs = store.runs(&filter).unwrap();
    assert_eq!(runs.len(), 2 * SESSIONS);
    runs.iter()
        .flat_map(|run| store.spans_of_run(run.run_id).unwrap())
        .collect()
}
