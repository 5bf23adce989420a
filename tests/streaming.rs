//! Streaming sessions never mix: 64 of them on a work-stealing runtime, their streams handed from task to task.
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
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures_util::stream::{self, BoxStream, Stream, StreamExt};
use hermes::{OwnedSpan, RecordedSpan, RunFilter, SpanId, Status, Telemetry, TraceStreamExt};
use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt;

const SESSIONS: usize = 64;
const CHUNKS: usize = 5;
const SOON: Duration = Duration::from_secs(60);

/// What becomes of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Whole,
    DroppedEarly,
    NeverPolled,
    Failed,
}

const FATES: [Fate; 4] = [
    Fate::Whole,
    Fate::DroppedEarly,
    Fate::NeverPolled,
    Fate::Failed,
];

#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HTTP status 429")
    }
}

/// What a provider streams.
type Chunks = BoxStream<'static, Result<Value, Refused>>;

/// What the consumer of a stream saw: moments before and after things happened.
#[derive(Clone, Copy, Debug)]
struct Observed {
    fate: Fate,
    start: [Instant; 2],
    first: Option<[Instant; 2]>,
    end: [Instant; 2],
}

static OBSERVED: Mutex<Vec<(SpanId, Observed)>> = Mutex::new(Vec::new());

#[hermes::tool(name = id)]
async fn work(id: &str) {
    tokio::task::yield_now().await;
}

/// A provider's stream, which lets others run between its chunks and runs tools of its own.
fn provider(id: &str, fate: Fate) -> Chunks {
    let id = id.to_owned();
    let next = move |number: usize| {
        let id = id.clone();
        async move {
            work(&id).await;
            let chunk = match number {
                CHUNKS => return None,
                _ if number == CHUNKS - 1 && fate == Fate::Failed => Err(Refused),
                _ => Ok(
                    json!({"model": id, "usage": {"prompt_tokens": 10, "completion_tokens": number},
                    "choices": [{"index": 0, "delta": {"content": "x"}}]}),
                ),
            };
            Some((chunk, number + 1))
        }
    };
    stream::unfold(0, next).boxed()
}

/// A stream by way of the attribute, which tells under which span it runs.
#[hermes::chat(model = id, stream)]
async fn complete(
    id: &str,
    fate: Fate,
    told: &mut Option<SpanId>,
) -> Result<impl Stream<Item = Result<Value, Refused>> + Send + 'static, Refused> {
    *told = hermes::current().span_id();
    work(id).await;
    Ok(provider(id, fate))
}

async fn session(id: String) {
    let session = hermes::session(&*id).start();
    let turns = (0..3).map(|number| turn(&session, &id, number));
    futures_util::future::join_all(turns).await;
    session.end();
}

async fn turn(session: &OwnedSpan, id: &str, number: usize) {
    let turn = session.turn().start();
    let mut tasks = Vec::new();
    for (index, fate) in FATES.into_iter().enumerate() {
        let begun = Instant::now();
        let id = id.to_owned();
        let (span_id, stream): (_, Chunks) = if (index + number).is_multiple_of(2) {
            let chat = turn.chat(&*id).start();
            (chat.span_id(), Box::pin(provider(&id, fate).traced(chat)))
        } else {
            let mut told = None;
            let stream = turn.instrument(complete(&id, fate, &mut told)).await;
            (told, Box::pin(stream.ok().unwrap()))
        };
        let start = [begun, Instant::now()];
        // The stream goes on in a task of its own, in no span at all.
        tasks.push(tokio::spawn(async move {
            let observed = consume(stream, fate, start).await;
            OBSERVED.lock().unwrap().push((span_id.unwrap(), observed));
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    turn.end();
}

async fn consume(
    stream: impl Stream<Item = Result<Value, Refused>>,
    fate: Fate,
    start: [Instant; 2],
) -> Observed {
    let mut first = None;
    let mut read = 0;
    let mut last_poll = [Instant::now(); 2];
    let mut stream = Box::pin(stream);
    while fate != Fate::NeverPolled && !(fate == Fate::DroppedEarly && read == 2) {
        let mut times = [Instant::now(); 2];
        let item = poll_fn(|context| {
            times[0] = Instant::now();
            let polled = pin!(&mut stream).poll_next(context);
            times[1] = Instant::now();
            polled
        })
        .await;
        last_poll = times;
        if item.is_none() {
            break;
        }
        read += 1;
        first.get_or_insert(times);
        tokio::task::yield_now().await;
    }
    let mut end = last_poll;
    if matches!(fate, Fate::NeverPolled | Fate::DroppedEarly) {
        end[0] = Instant::now();
        drop(stream);
        end[1] = Instant::now();
    }
    Observed {
        fate,
        start,
        first,
        end,
    }
}

#[test]
fn streaming_sessions_never_mix() {
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
    runtime.block_on(async {
        let sessions = (0..SESSIONS).map(|number| tokio::spawn(session(format!("s{number}"))));
        for session in sessions.collect::<Vec<_>>() {
            session.await.unwrap();
        }
    });
    telemetry.flush(SOON).unwrap();

    let spans = stored(&telemetry);
    let by_id: HashMap<_, _> = spans.iter().map(|span| (span.span_id, span)).collect();
    assert!(spans.iter().all(|span| span.status != Status::Running));
    for span in &spans {
        stands_where_it_belongs(span, &by_id);
    }
    let observed = OBSERVED.lock().unwrap();
    assert_eq!(observed.len(), SESSIONS * 3 * FATES.len());
    for (span_id, observed) in &*observed {
        ended_as_it_was_seen(by_id[span_id], observed);
    }

    let sent = collector.wait_for(spans.len(), SOON);
    assert_eq!(sent.len(), spans.len());
    let sent: HashMap<_, _> = sent.iter().map(|span| (&*span.span_id, span)).collect();
    for span in &spans {
        let sent = sent[&*span.span_id.to_string()];
        assert_eq!(sent.trace_id, span.trace_id.to_string());
        let parent = span.parent_span_id.map(|id| id.to_string());
        assert_eq!(sent.parent_span_id, parent);
        assert_eq!(i128::from(sent.start_ns), i128::from(span.start_ns));
        assert_eq!(i128::from(sent.end_ns), i128::from(span.end_ns.unwrap()));
        let failed = matches!(span.status, Status::Error | Status::Cancelled);
        assert_eq!(sent.status_code == "ERROR", failed, "{span:?}");
    }
}

/// Every span carries the name of its session; its parent must be of the same one, and of the kind that calls it.
fn stands_where_it_belongs(span: &RecordedSpan, by_id: &HashMap<SpanId, &RecordedSpan>) {
    let owner = span.attributes["hermes.session.id"].as_str().unwrap();
    let subject = ["gen_ai.request.model", "gen_ai.tool.name"]
        .iter()
        .find_map(|key| span.attributes.get(*key)?.as_str());
    assert!(subject.is_none_or(|subject| subject == owner), "{span:?}");
    let parent = span.parent_span_id.map(|parent| by_id[&parent]);
    let expected = match span.span_name.as_str() {
        "hermes.session" => None,
        "hermes.turn" => Some("hermes.session"),
        "hermes.chat" => Some("hermes.turn"),
        _ => Some("hermes.chat"),
    };
    assert_eq!(
        parent.map(|parent| &*parent.span_name),
        expected,
        "{span:?}"
    );
    assert!(parent.is_none_or(|parent| parent.trace_id == span.trace_id
        && parent.run_id == span.run_id
        && parent.attributes["hermes.session.id"] == owner));
}

fn ended_as_it_was_seen(span: &RecordedSpan, observed: &Observed) {
    let told = &span.attributes;
    let (status, chunks) = match observed.fate {
        Fate::Whole => (Status::Ok, CHUNKS),
        Fate::DroppedEarly => (Status::Cancelled, 2),
        Fate::NeverPolled => (Status::Cancelled, 0),
        Fate::Failed => (Status::Error, CHUNKS - 1),
    };
    assert_eq!(span.status, status, "{observed:?} {span:?}");
    assert_eq!(told["hermes.chunk_count"], chunks, "{observed:?}");
    if status == Status::Error {
        assert_eq!(span.error_type.as_deref(), Some("rate_limit"));
    }
    let last = chunks.checked_sub(1).map(|last| json!(last));
    assert_eq!(told.get("gen_ai.usage.output_tokens"), last.as_ref());
    let duration_ns = span.end_ns.unwrap() - span.start_ns;
    lies_between(
        Duration::from_nanos(duration_ns.try_into().unwrap()),
        observed.start,
        observed.end,
    );
    let first = told.get("gen_ai.response.time_to_first_chunk");
    assert_eq!(first.is_some(), observed.first.is_some());
    if let (Some(first), Some(seen)) = (first, observed.first) {
        lies_between(
            Duration::from_secs_f64(first.as_f64().unwrap()),
            observed.start,
            seen,
        );
    }
}

/// Whether a time is no shorter than the consumer saw it at least, and no longer than it saw it at most. Both clocks are
/// steady ones; a thousandth is for their not going alike.
fn lies_between(time: Duration, from: [Instant; 2], to: [Instant; 2]) {
    let (least, most) = (to[0].saturating_duration_since(from[1]), to[1] - from[0]);
    let slack = most / 1000 + Duration::from_micros(50);
    assert!(
        time + slack >= least && time <= most + slack,
        "{time:?} is not between {least:?} and {most:?}"
    );
}

fn stored(telemetry: &Telemetry) -> Vec<RecordedSpan> {
    let store = telemetry.store().unwrap();
    let mut filter = RunFilter::default();
    filter.limit = None;
    let runs = store.runs(&filter).unwrap();
    assert_eq!(runs.len(), SESSIONS);
    runs.iter()
        .flat_map(|run| store.spans_of_run(run.run_id).unwrap())
        .collect()
}
