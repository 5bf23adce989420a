//! Traces built from streams of agent events, which pass through untouched but for their ids.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use futures_util::{StreamExt as _, stream};
use hermes::collector::{AgentEvent, Phase, Told, TraceCollector, TraceEvent};
use hermes::{ContentCapture, Kind, SpanId, Status, TraceId, Usage};
use serde_json::json;

use crate::support::collector::Collector;
use crate::support::{Bench, SOON};

fn event(kind: Kind, phase: Phase, id: &str) -> AgentEvent {
    AgentEvent::new(kind, phase, id)
}

/// A session as an agent would tell of it: two tools at once, a streamed answer.
fn session(name: &str) -> Vec<AgentEvent> {
    let of = |kind, phase, id: &str| event(kind, phase, id).session(name);
    let usage = Usage {
        input_tokens: 100,
        output_tokens: 20,
        ..Usage::default()
    };
    vec![
        event(Kind::Session, Phase::Start, name)
            .name("gpt-4o")
            .platform("cli"),
        of(Kind::Turn, Phase::Start, "t").content(json!("question")),
        of(Kind::Chat, Phase::Start, "c")
            .name("gpt-4o")
            .provider("openai")
            .content(json!([{"role": "user", "content": "q"}])),
        of(Kind::Chat, Phase::Delta, "c").content(json!("Hello ")),
        of(Kind::Chat, Phase::Delta, "c").content(json!("world")),
        of(Kind::Chat, Phase::End, "c")
            .usage(usage)
            .finish_reason("tool_calls"),
        of(Kind::Tool, Phase::Start, "x")
            .name("search")
            .content(json!({"q": "x"})),
        of(Kind::Tool, Phase::Start, "y")
            .name("search")
            .content(json!({"q": "y"})),
        of(Kind::Tool, Phase::End, "x").content(json!("x")),
        of(Kind::Agent, Phase::Start, "a").name("critic"),
        of(Kind::Turn, Phase::Start, "t2"),
        of(Kind::Chat, Phase::Start, "c2")
            .name("gpt-4o-mini")
            .parent("t2"),
        of(Kind::Tool, Phase::Error, "y")
            .error_type("TimeoutError")
            .error_message("timed out"),
        of(Kind::Chat, Phase::End, "c2"),
        of(Kind::Turn, Phase::End, "t2"),
        of(Kind::Agent, Phase::End, "a"),
        of(Kind::Turn, Phase::End, "t").content(json!("answer")),
        event(Kind::Session, Phase::End, name),
    ]
}

const PICTURE: &str = "\
hermes.session
  hermes.turn
    chat gpt-4o
    hermes.tool.search
    hermes.tool.search: provider_timeout
    invoke_agent critic
      hermes.turn
        chat gpt-4o-mini
";

fn passed(events: Vec<AgentEvent>) -> Vec<AgentEvent> {
    let stream = TraceCollector::new().wrap_stream(stream::iter(events));
    tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(stream.collect())
}

#[test]
fn a_stream_passes_with_its_ids_filled_in_and_is_a_trace() {
    let collector = Collector::start();
    let bench = Bench::with(|builder| {
        builder
            .otlp_endpoint(collector.endpoint())
            .capture_content(ContentCapture::Local)
    });
    let (told, seen) = bench.run(|| {
        let told = session("s-1");
        (
            told.clone(),
            tracing::dispatcher::with_default(&bench.dispatch, || passed(told)),
        )
    });
    assert!(
        told.iter()
            .zip(&seen)
            .all(|(told, seen)| told.told == seen.told)
    );
    let spans = bench.spans();
    let names = |picture: &str| {
        picture
            .lines()
            .map(|line| line.split([':', '[']).next().unwrap().trim_end().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(&bench.picture()),
        names(PICTURE),
        "{}",
        bench.picture()
    );
    for event in &seen {
        let span = spans
            .iter()
            .find(|span| Some(span.span_id) == event.span_id)
            .unwrap();
        assert_eq!(Some(span.trace_id), event.trace_id);
        assert_eq!(span.kind(), event.told.kind);
    }
    let chat = bench.span("chat gpt-4o").attributes;
    assert_eq!(chat["gen_ai.usage.input_tokens"], 100);
    assert_eq!(chat["hermes.assistant_content_chars"], 11);
    assert!(
        chat["gen_ai.response.time_to_first_chunk"]
            .as_f64()
            .is_some()
    );
    assert_eq!(chat["hermes.message_count"], 1);
    let tools: Vec<_> = spans
        .iter()
        .filter(|span| span.name == "hermes.tool.search")
        .collect();
    assert_eq!(tools[0].attributes["hermes.tool.result"], "x");
    assert_eq!(tools[0].attributes["hermes.tool.args"], r#"{"q":"x"}"#);
    assert_eq!(
        (
            tools[1].status,
            tools[1].attributes["hermes.tool.args"].as_str()
        ),
        (Status::Error, Some(r#"{"q":"y"}"#))
    );
    assert_eq!(collector.wait_for(spans.len(), SOON).len(), spans.len());
}

trait KindOf {
    fn kind(&self) -> Kind;
}

impl KindOf for hermes::RecordedSpan {
    fn kind(&self) -> Kind {
        match self.span_name.as_str() {
            "hermes.session" => Kind::Session,
            "hermes.turn" => Kind::Turn,
            "hermes.agent" => Kind::Agent,
            "hermes.chat" => Kind::Chat,
            _ => Kind::Tool,
        }
    }
}

#[test]
fn a_stream_that_is_dropped_early_is_cancelled() {
    let bench = Bench::new();
    bench.run(|| {
        let events = session("s-1");
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let mut stream = TraceCollector::new().wrap_stream(stream::iter(events));
        for _ in 0..8 {
            runtime.block_on(stream.next()).unwrap();
        }
        drop(stream);
    });
    let spans = bench.spans();
    let status = |name: &str| spans.iter().find(|span| span.name == name).unwrap().status;
    assert_eq!(status("hermes.session"), Status::Interrupted);
    assert_eq!(status("hermes.turn"), Status::Cancelled);
    assert_eq!(status("hermes.tool.search"), Status::Cancelled);
    assert_eq!(status("chat gpt-4o"), Status::Ok);
    assert!(spans.iter().all(|span| span.end_ns.is_some()));
}

#[test]
fn missing_ends_end_with_the_stream_and_an_error_fails_what_is_open() {
    let bench = Bench::new();
    bench.run(|| {
        passed(vec![
            event(Kind::Session, Phase::Start, "a"),
            event(Kind::Chat, Phase::Start, "c").name("open"),
        ]);
        let broken = vec![
            Ok(event(Kind::Session, Phase::Start, "b")),
            Ok(event(Kind::Chat, Phase::Start, "c").name("broken")),
            Err(std::io::Error::other("connection reset by peer")),
        ];
        let stream = TraceCollector::new().wrap_stream(stream::iter(broken));
        let seen: Vec<_> = tokio::runtime::Runtime::new()
            .unwrap()
            .block_on(stream.collect());
        assert!(seen[2].is_err());
    });
    assert_eq!(bench.span("chat open").status, Status::Cancelled);
    let broken = bench.span("chat broken");
    assert_eq!(
        (broken.status, broken.error_type.as_deref()),
        (Status::Error, Some("network"))
    );
    let runs = bench.runs();
    let reasons: Vec<_> = runs
        .iter()
        .map(|run| run.end_reason.unwrap().as_str())
        .collect();
    assert_eq!(reasons, ["interrupted", "failed"]);
}

#[test]
fn several_sessions_in_one_stream_stay_apart() {
    let bench = Bench::new();
    bench.run(|| {
        let (one, two) = (session("one"), session("two"));
        let mixed = one
            .into_iter()
            .zip(two)
            .flat_map(|(one, two)| [one, two])
            .collect();
        passed(mixed);
    });
    let runs = bench.runs();
    assert_eq!(runs.len(), 2);
    for run in &runs {
        let spans = bench
            .telemetry
            .store()
            .unwrap()
            .spans_of_run(run.run_id)
            .unwrap();
        assert_eq!(spans.len(), 8);
        let session = json!(run.session_id);
        assert!(
            spans
                .iter()
                .all(|span| span.attributes["hermes.session.id"] == session)
        );
        assert_eq!((run.model_call_count, run.tool_call_count), (2, 2));
    }
}

#[test]
fn what_is_told_twice_or_in_part_does_no_harm() {
    let bench = Bench::new();
    let seen = bench.run(|| {
        passed(vec![
            event(Kind::Tool, Phase::Start, "x")
                .session("s")
                .name("search"),
            event(Kind::Tool, Phase::Start, "x")
                .session("s")
                .name("search"),
            event(Kind::Tool, Phase::End, "x").session("s"),
            event(Kind::Tool, Phase::End, "x").session("s"),
            event(Kind::Chat, Phase::End, "never-began")
                .session("s")
                .name("m"),
            event(Kind::Turn, Phase::Cancel, "").session("s"),
            event(Kind::Session, Phase::End, "s"),
            event(Kind::Session, Phase::End, "s"),
        ])
    });
    let names: Vec<_> = bench.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(
        names,
        [
            "hermes.session",
            "hermes.tool.search",
            "chat m",
            "hermes.turn"
        ]
    );
    assert!(
        seen[..4]
            .iter()
            .all(|event| event.span_id == seen[0].span_id && event.span_id.is_some())
    );
    assert_eq!(bench.runs().len(), 1);
}

#[test]
fn stated_times_are_the_spans_times() {
    let bench = Bench::new();
    bench.run(|| {
        let past = SystemTime::now() - Duration::from_secs(10_000);
        let at = |seconds: u64| past + Duration::from_secs(seconds);
        passed(vec![
            event(Kind::Session, Phase::Start, "s").at(at(0)),
            event(Kind::Chat, Phase::Start, "c").name("m").at(at(1)),
            event(Kind::Chat, Phase::End, "c").at(at(43)),
            event(Kind::Session, Phase::End, "s").at(at(44)),
        ]);
    });
    let chat = bench.span("chat m");
    assert_eq!((chat.end_ns.unwrap() - chat.start_ns) / 1_000_000_000, 42);
    let session = bench.span("hermes.session");
    assert_eq!(
        (session.end_ns.unwrap() - session.start_ns) / 1_000_000_000,
        44
    );
}

struct Mine(Option<(TraceId, SpanId)>, bool);

impl TraceEvent for Mine {
    fn describe(&self) -> Option<Told<'_>> {
        assert!(!self.1, "my own fault");
        Some(Told::new(Kind::Tool, Phase::Start, "x").name("mine"))
    }

    fn set_ids(&mut self, trace_id: TraceId, span_id: SpanId) {
        self.0 = Some((trace_id, span_id));
    }
}

#[test]
fn events_of_ones_own_pass_whatever_they_do_and_stand_under_the_current_span() {
    let bench = Bench::new();
    bench.run(|| {
        let turn = hermes::turn().start();
        let stream = turn.in_scope(|| {
            TraceCollector::new().wrap_stream(stream::iter([Mine(None, true), Mine(None, false)]))
        });
        let seen: Vec<_> = tokio::runtime::Runtime::new()
            .unwrap()
            .block_on(stream.collect());
        assert!(seen[0].0.is_none() && seen[1].0.is_some());
        turn.end();
    });
    assert_eq!(bench.picture().lines().next(), Some("hermes.turn"));
    assert_eq!(
        bench.span("hermes.tool.mine").parent_span_id,
        Some(bench.span("hermes.turn").span_id)
    );
}

#[test]
fn what_never_ends_is_bounded_and_without_a_layer_nothing_is_done() {
    let bench = Bench::new();
    bench.run(|| {
        let mut watching = TraceCollector::new().max_open(10).watch();
        for number in 0..100 {
            watching.see(
                &mut event(Kind::Tool, Phase::Start, &number.to_string())
                    .session("s")
                    .name("t"),
            );
        }
        std::mem::forget(watching);
    });
    let ended = bench
        .all_spans()
        .iter()
        .filter(|span| span.status == Status::Cancelled)
        .count();
    assert!((90..=91).contains(&ended), "{ended}");

    let mut watching = TraceCollector::new().watch();
    let mut alone = Ok::<_, Infallible>(event(Kind::Tool, Phase::Start, "x"));
    watching.see(&mut alone);
    assert_eq!(alone.unwrap().span_id, None);
}

#[test]
fn agents_side_by_side_end_when_they_say() {
    let bench = Bench::new();
    bench.run(|| {
        let past = SystemTime::now() - Duration::from_secs(10_000);
        let at = |seconds: u64| past + Duration::from_secs(seconds);
        passed(vec![
            event(Kind::Session, Phase::Start, "s").at(at(0)),
            event(Kind::Agent, Phase::Start, "a").name("slow").at(at(1)),
            event(Kind::Agent, Phase::Start, "b")
                .name("quick")
                .parent("s")
                .at(at(1)),
            event(Kind::Tool, Phase::Start, "x")
                .name("t")
                .parent("a")
                .at(at(2)),
            event(Kind::Tool, Phase::End, "x").at(at(90)),
            event(Kind::Agent, Phase::End, "b").at(at(11)),
            event(Kind::Agent, Phase::End, "a").at(at(80)),
            event(Kind::Session, Phase::End, "s").at(at(70)),
        ]);
    });
    let seconds = |name: &str| {
        let span = bench.span(name);
        (span.end_ns.unwrap() - span.start_ns) / 1_000_000_000
    };
    assert_eq!(
        seconds("invoke_agent quick"),
        10,
        "a tool of the other one is none of its"
    );
    assert_eq!(
        seconds("invoke_agent slow"),
        89,
        "it ends no earlier than its tool"
    );
    assert_eq!(seconds("hermes.session"), 90);
}

#[test]
fn a_stream_that_panics_fails_what_is_open() {
    let bench = Bench::new();
    bench.run(|| {
        let mut events = session("s-1").into_iter().take(3);
        let broken = stream::poll_fn(move |_| match events.next() {
            Some(event) => std::task::Poll::Ready(Some(event)),
            None => panic!("out of events"),
        });
        let mut stream = Box::pin(TraceCollector::new().wrap_stream(broken));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        for _ in 0..3 {
            runtime.block_on(stream.next()).unwrap();
        }
        let next = std::panic::AssertUnwindSafe(|| runtime.block_on(stream.next()));
        let payload = std::panic::catch_unwind(next).unwrap_err();
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"out of events"));
    });
    for span in bench.spans() {
        let failure = (span.error_type.as_deref(), span.status_message.as_deref());
        assert_eq!(
            failure,
            (Some("panic"), Some("out of events")),
            "{}",
            span.name
        );
    }
    assert_eq!(bench.runs()[0].end_reason.unwrap().as_str(), "failed");
}

#[test]
fn what_is_wrapped_is_fused_where_the_stream_is() {
    use futures_core::FusedStream;
    let mut stream = TraceCollector::new().wrap_stream(stream::iter(session("s")).fuse());
    assert!(!stream.is_terminated());
    while futures_util::FutureExt::now_or_never(stream.next())
        .unwrap()
        .is_some()
    {}
    assert!(stream.is_terminated());
}
