//! Events leave as OpenTelemetry log records for whoever asks: with the ids of their spans, under policy,
//! counted, and never in the agent's way.

use std::collections::HashMap;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use hermes::{Builder, ContentCapture, LogStats};
use serde_json::json;
use tracing::{debug, error, info, trace, warn};

use crate::support::collector::{Collector, ReceivedLog};
use crate::support::{Bench, SOON};

#[hermes::session(id = "s")]
fn session() {
    info!("in the session");
    tool();
}

#[hermes::tool(name = "look")]
fn tool() {
    warn!(http.route = "/chat", "in the tool");
}

/// Hermes with its log records going to a collector.
fn logging(collector: &Collector, set_up: impl FnOnce(Builder) -> Builder) -> Bench {
    Bench::with(|builder| {
        let builder = builder.otlp_endpoint(collector.endpoint());
        set_up(builder.export_logs(true))
    })
}

fn as_it_is(builder: Builder) -> Builder {
    builder
}

/// The log record that says this.
fn saying<'l>(logs: &'l [ReceivedLog], body: &str) -> &'l ReceivedLog {
    let said = |log: &&ReceivedLog| log.body == json!(body);
    logs.iter()
        .find(said)
        .unwrap_or_else(|| panic!("{body}: {logs:#?}"))
}

/// Checks that every event is accounted for.
fn check(stats: &LogStats) {
    let dropped: u64 = stats.dropped.values().sum();
    let known = stats.exported + dropped + stats.in_flight;
    assert_eq!(stats.captured, known, "{stats:?}");
}

#[test]
fn a_log_record_bears_the_ids_of_its_span_in_the_store_and_on_the_wire() {
    let collector = Collector::start();
    let bench = logging(&collector, as_it_is);
    bench.run(|| {
        info!("before");
        session();
    });
    let (logs, sent) = (
        collector.wait_for_logs(3, SOON),
        collector.wait_for(2, SOON),
    );
    for (body, name) in [
        ("in the session", "hermes.session"),
        ("in the tool", "hermes.tool.look"),
    ] {
        let (log, stored) = (saying(&logs, body), bench.span(name));
        let sent = sent.iter().find(|span| span.name == name).unwrap();
        assert_eq!(log.trace_id, stored.trace_id.to_string());
        assert_eq!(log.span_id, stored.span_id.to_string());
        assert_eq!(
            (&log.trace_id, &log.span_id),
            (&sent.trace_id, &sent.span_id)
        );
        assert_eq!(log.flags, 1, "sampled, as the span is");
        assert_eq!(log.resource, sent.resource);
    }
    let before = saying(&logs, "before");
    assert_eq!(
        (before.trace_id.as_str(), before.span_id.as_str()),
        ("", "")
    );
    assert!(before.time_ns > 0);
    let stats = bench.telemetry.stats().logs;
    assert_eq!((stats.captured, stats.exported), (3, 3));
    check(&stats);
}

#[test]
fn over_grpc_it_is_the_same() {
    let collector = Collector::start_grpc();
    let bench = Bench::with(|builder| {
        builder
            .exporters("otlp_grpc")
            .otlp_endpoint(collector.endpoint())
            .otlp_headers([("x-key", "v")])
            .export_logs(true)
    });
    bench.run(session);
    let logs = collector.wait_for_logs(2, SOON);
    let (log, stored) = (saying(&logs, "in the tool"), bench.span("hermes.tool.look"));
    assert_eq!(log.trace_id, stored.trace_id.to_string());
    assert_eq!(log.span_id, stored.span_id.to_string());
    assert_eq!(collector.header("x-key").as_deref(), Some("v"));
    assert_eq!(bench.telemetry.stats().logs.exported, 2);
}

#[test]
fn without_spans_on_the_wire_the_ids_are_those_of_the_store() {
    let collector = Collector::start();
    let bench = Bench::with(|builder| {
        builder
            .otlp_endpoint(collector.endpoint())
            .traces_sampler("always_off")
            .export_logs(true)
    });
    bench.run(session);
    let logs = collector.wait_for_logs(2, SOON);
    let (log, stored) = (saying(&logs, "in the tool"), bench.span("hermes.tool.look"));
    assert_eq!(log.span_id, stored.span_id.to_string());
    assert_eq!(log.flags, 0);
    assert!(collector.spans().is_empty());
}

#[test]
fn levels_are_severities_and_fields_are_attributes() {
    let collector = Collector::start();
    let bench = logging(&collector, |builder| {
        builder
            .export_logs("trace")
            .capture_content(ContentCapture::On)
    });
    bench.run(|| {
        trace!("t");
        debug!("d");
        info!(
            name: "agent.started",
            target: "my_agent::start",
            tries = 3_u64,
            share = 0.5,
            fresh = true,
            who = %"ada",
            list = ?[1, 2],
            "i {}", 1
        );
        warn!("w");
        error!("e");
    });
    let logs = collector.wait_for_logs(5, SOON);
    let severities: HashMap<_, _> = logs
        .iter()
        .map(|log| (log.body.as_str().unwrap(), log.severity.clone()))
        .collect();
    for (body, number, text) in [
        ("t", 1, "TRACE"),
        ("d", 5, "DEBUG"),
        ("i 1", 9, "INFO"),
        ("w", 13, "WARN"),
        ("e", 17, "ERROR"),
    ] {
        assert_eq!(severities[body], (number, text.to_owned()));
    }
    let log = saying(&logs, "i 1");
    assert_eq!(log.event_name, "agent.started");
    assert_eq!(log.scope, "my_agent::start");
    let expected = json!({
        "tries": 3, "share": 0.5, "fresh": true, "who": "ada", "list": "[1, 2]",
    });
    assert_eq!(serde_json::Value::Object(log.attributes.clone()), expected);
    assert_eq!(saying(&logs, "w").event_name, "", "nobody gave it one");
    assert_eq!(saying(&logs, "w").scope, module_path!());
}

const SECRET: &str = "sk-proj-Ab3dEf6hIj9kLm2nOp5qRs8tUv1wXy4z";

/// Formatting it is a mistake.
struct Unread;

impl std::fmt::Debug for Unread {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("it was formatted")
    }
}

#[hermes::tool(name = "gated")]
fn gated() {
    info!(api_key = SECRET, "calling with {SECRET}");
    info!(prompt = "tell me", http.route = "/chat", "own words");
    info!(target: "reqwest_like", db_password = "hunter2", "others' words");
}

#[test]
fn content_leaves_where_it_may_and_secrets_never() {
    for content in [
        ContentCapture::Off,
        ContentCapture::Local,
        ContentCapture::On,
    ] {
        let is_on = content == ContentCapture::On;
        let collector = Collector::start();
        let bench = logging(&collector, |builder| builder.capture_content(content));
        bench.run(gated);
        let logs = collector.wait_for_logs(3, SOON);
        let text = format!("{logs:?}");
        assert!(
            !text.contains(SECRET) && !text.contains("hunter2"),
            "{text}"
        );
        let own = saying(&logs, "own words");
        assert_eq!(own.attributes["http.route"], "/chat");
        assert_eq!(own.attributes.contains_key("prompt"), is_on);
        assert_eq!(text.contains("others' words"), is_on, "{text}");
        assert_eq!(text.contains("api_key"), is_on, "{text}");
        let begun = |log: &ReceivedLog| log.body.as_str().is_some_and(|b| b.starts_with("calling"));
        assert!(logs.iter().any(begun), "{text}");
        assert_eq!(bench.telemetry.stats().logs.dropped.len(), 0);
    }
}

#[test]
fn outside_of_spans_the_programs_own_lines_leave_and_others_are_withheld() {
    let collector = Collector::start();
    let bench = logging(&collector, as_it_is);
    bench.run(|| {
        info!("of the program that is named so");
        info!(target: "stranger", body = ?Unread, "a stranger's {Unread:?}");
        let annotated = tracing::info_span!(target: "my_lib::agent", "hermes.tool");
        drop(annotated);
        info!(target: "my_lib::other", "of the program's library");
    });
    let logs = collector.wait_for_logs(3, SOON);
    saying(&logs, "of the program that is named so");
    saying(&logs, "of the program's library");
    let withheld = logs.iter().find(|log| log.scope == "stranger").unwrap();
    assert_eq!(withheld.body, json!(null));
    assert_eq!(withheld.severity.0, 9);
}

#[test]
fn events_of_the_log_crate_have_their_own_target_and_no_places() {
    let collector = Collector::start();
    let bench = logging(&collector, |builder| {
        builder.export_logs("warn,old::lib=info")
    });
    let log = |target: &str, level: log::Level, said: &str| {
        tracing_log::format_trace(
            &log::Record::builder()
                .args(format_args!("{said}"))
                .target(target)
                .level(level)
                .module_path(Some("it::otlp_logs"))
                .file(Some("/home/ada/lib.rs"))
                .line(Some(7))
                .build(),
        )
        .unwrap();
    };
    #[hermes::tool(name = "logging")]
    fn inside(log: impl Fn()) {
        log();
    }
    bench.run(|| {
        inside(|| {
            log("it::old", log::Level::Warn, "of the program");
            log("old::lib", log::Level::Info, "of a library");
            log("old", log::Level::Info, "not asked for");
            log("ureq::pool", log::Level::Error, "of the export");
        });
    });
    let logs = collector.wait_for_logs(2, SOON);
    let own = saying(&logs, "of the program");
    assert_eq!((own.scope.as_str(), own.severity.0), ("it::old", 13));
    assert_eq!((own.attributes.len(), own.event_name.as_str()), (0, ""));
    assert_eq!(
        own.span_id,
        bench.span("hermes.tool.logging").span_id.to_string()
    );
    let other = logs.iter().find(|log| log.scope == "old::lib").unwrap();
    assert_eq!(other.body, json!(null));
    assert_eq!(bench.telemetry.stats().logs.captured, 2);
}

#[test]
fn events_that_the_conventions_define_leave_by_their_name() {
    let collector = Collector::start();
    let bench = logging(&collector, as_it_is);
    #[hermes::chat(model = "m")]
    fn judged() {
        tracing::event!(
            name: "gen_ai.evaluation.result",
            tracing::Level::INFO,
            gen_ai.evaluation.name = "relevance",
            gen_ai.evaluation.score.value = 0.9,
            gen_ai.evaluation.score.label = "relevant",
            gen_ai.evaluation.explanation = "the user's words",
            gen_ai.response.id = "r-1",
        );
    }
    bench.run(judged);
    let logs = collector.wait_for_logs(1, SOON);
    assert_eq!(logs[0].event_name, "gen_ai.evaluation.result");
    assert_eq!(logs[0].span_id, bench.span("chat m").span_id.to_string());
    let expected = json!({
        "gen_ai.evaluation.name": "relevance",
        "gen_ai.evaluation.score.value": 0.9,
        "gen_ai.evaluation.score.label": "relevant",
        "gen_ai.response.id": "r-1",
    });
    assert_eq!(
        serde_json::Value::Object(logs[0].attributes.clone()),
        expected
    );
}

#[test]
fn nobody_who_did_not_ask_sends_a_log_record() {
    let collector = Collector::start();
    let bench = Bench::with(|builder| builder.otlp_endpoint(collector.endpoint()));
    bench.run(session);
    bench.telemetry.shutdown(SOON).unwrap();
    assert_eq!(collector.log_requests(), 0);
    assert_eq!(bench.telemetry.stats().logs, LogStats::default());
    let refused = logging(&collector, |builder| builder.export_logs(false));
    refused.run(session);
    refused.telemetry.shutdown(SOON).unwrap();
    assert_eq!(collector.log_requests(), 0);
}

#[test]
fn the_capture_filter_and_the_directives_hold_together() {
    let sent = |set_up: &dyn Fn(Builder) -> Builder| {
        let collector = Collector::start();
        let bench = logging(&collector, set_up);
        bench.run(|| {
            debug!("own debug");
            info!("own info");
            warn!("own warn");
            info!(target: "it::noise", "noise");
            error!(target: "opentelemetry_sdk", "of the export");
            error!(target: "opentelemetry-otlp", "of the export");
            error!(target: "h2::codec", "of the export");
        });
        bench.telemetry.shutdown(SOON).unwrap();
        let logs = collector.logs();
        let bodies = logs.iter().map(|log| log.body.as_str().unwrap().to_owned());
        let mut bodies: Vec<_> = bodies.collect();
        bodies.sort();
        bodies.join(",")
    };
    assert_eq!(sent(&as_it_is), "noise,own info,own warn");
    let filtered = |list: &'static str| sent(&move |builder| builder.capture_filter(list));
    assert_eq!(filtered("warn"), "own warn");
    assert_eq!(filtered("warn,hermes.tool=info"), "own warn");
    assert_eq!(filtered("hermes.tool"), "noise,own info,own warn");
    assert_eq!(filtered("it::noise=off"), "own info,own warn");
    assert_eq!(
        filtered("info,it::otlp_logs=debug"),
        "noise,own debug,own info,own warn"
    );
    assert_eq!(
        sent(&|builder| builder.export_logs("debug,it::noise=off")),
        "own debug,own info,own warn"
    );
    assert_eq!(
        sent(&|builder| builder.export_logs("debug").capture_filter("warn")),
        "own warn"
    );
}

#[test]
fn a_collector_that_comes_back_gets_what_waited() {
    let collector = Collector::start().fail_first(5, 503);
    let bench = logging(&collector, as_it_is);
    bench.run(|| info!("waiting"));
    // Four tries in a row, then a pause that a flush cuts short.
    bench.telemetry.flush(SOON).unwrap();
    let logs = collector.wait_for_logs(1, SOON);
    saying(&logs, "waiting");
    bench.telemetry.shutdown(SOON).unwrap();
    let stats = bench.telemetry.stats().logs;
    assert_eq!((stats.exported, stats.dropped.len()), (1, 0), "{stats:?}");
}

#[test]
fn a_batch_that_is_too_large_is_sent_in_parts() {
    let collector = Collector::start().fail_first(2, 413);
    let bench = logging(&collector, as_it_is);
    bench.run(|| (0..9).for_each(|n| info!("line {n}")));
    assert_eq!(collector.wait_for_logs(9, SOON).len(), 9);
    assert_eq!(bench.telemetry.stats().logs.exported, 9);
}

#[test]
fn what_a_collector_refuses_is_lost_and_counted() {
    let collector = Collector::start().fail_first(1, 400);
    let bench = logging(&collector, as_it_is);
    bench.run(|| info!("refused"));
    bench.run(|| info!("taken"));
    bench.telemetry.shutdown(SOON).unwrap();
    let stats = bench.telemetry.stats().logs;
    assert_eq!((stats.captured, stats.exported), (2, 1));
    assert_eq!(stats.dropped["otlp_http"], 1);
    saying(&collector.logs(), "taken");
}

#[test]
fn a_collector_that_is_not_there_costs_the_agent_nothing() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = port.local_addr().unwrap();
    drop(port);
    let bench = Bench::with(|builder| {
        builder
            .otlp_endpoint(format!("http://{address}"))
            .export_logs(true)
    });
    bench.run(|| info!("lost in the end"));
    let stats = bench.telemetry.stats().logs;
    assert_eq!((stats.captured, stats.in_flight), (1, 1), "it waits");
    bench.telemetry.shutdown(SOON).unwrap();
    let stats = bench.telemetry.stats().logs;
    assert_eq!((stats.in_flight, stats.dropped["otlp_http"]), (0, 1));
    tracing::dispatcher::with_default(&bench.dispatch, || info!("too late"));
    let stats = bench.telemetry.stats().logs;
    assert_eq!(stats.dropped["after_shutdown"], 1);
    check(&stats);
}

#[test]
fn a_collector_that_never_answers_holds_nobody_up_and_loses_none_uncounted() {
    const EVENTS: u64 = 5_000;
    let collector = Collector::start().hang();
    let bench = logging(&collector, as_it_is);
    tracing::dispatcher::with_default(&bench.dispatch, || {
        info!("first");
        while bench.telemetry.stats().logs.captured < 1 {}
        for _ in 1..EVENTS {
            info!("more");
        }
    });
    collector.wait_for_log_requests(1, SOON);
    check(&bench.telemetry.stats().logs);
    let begun = Instant::now();
    // The store has nothing to write; what is not out by then is counted.
    let _ = bench.telemetry.shutdown(Duration::from_millis(300));
    assert!(
        begun.elapsed() < Duration::from_secs(9),
        "it waited for an answer"
    );
    let stats = bench.telemetry.stats().logs;
    assert_eq!(
        (stats.captured, stats.in_flight, stats.exported),
        (EVENTS, 0, 0)
    );
    assert!(stats.dropped["not_in_time"] > 0, "{stats:?}");
    assert!(stats.dropped["queue_full"] > 0, "{stats:?}");
    check(&stats);
}

#[test]
fn under_overload_every_event_is_either_sent_or_counted() {
    const THREADS: u64 = 4;
    const EACH: u64 = 5_000;
    let collector = Collector::start().delay(Duration::from_millis(20));
    let bench = logging(&collector, as_it_is);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let dispatch = bench.dispatch.clone();
            scope.spawn(move || {
                tracing::dispatcher::with_default(&dispatch, || {
                    (0..EACH).for_each(|n| info!("{thread} {n}"));
                });
            });
        }
        for _ in 0..100 {
            check(&bench.telemetry.stats().logs);
        }
    });
    bench.telemetry.shutdown(SOON).unwrap();
    let stats = bench.telemetry.stats().logs;
    assert_eq!((stats.captured, stats.in_flight), (THREADS * EACH, 0));
    check(&stats);
    let sent = collector.logs();
    assert_eq!(sent.len() as u64, stats.exported);
    let different: std::collections::HashSet<_> =
        sent.iter().map(|log| log.body.to_string()).collect();
    assert_eq!(different.len(), sent.len(), "none came twice");
}

#[test]
fn an_event_that_is_made_while_another_is_formatted_is_sent_too() {
    struct Chatty;
    impl std::fmt::Display for Chatty {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            // Under a dispatcher that is set for a scope `tracing` itself keeps it from being heard.
            info!("inner");
            f.write_str("outer")
        }
    }
    let collector = Collector::start();
    let bench = logging(&collector, as_it_is);
    bench.run(|| info!("{Chatty}"));
    let logs = collector.wait_for_logs(1, SOON);
    saying(&logs, "outer");
    check(&bench.telemetry.stats().logs);
}

#[test]
fn a_value_that_panics_is_the_programs_affair_and_counted() {
    let collector = Collector::start();
    let bench = logging(&collector, |builder| {
        builder.capture_content(ContentCapture::On)
    });
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        bench.run(|| info!(value = ?Unread, "panics"));
    }));
    assert!(outcome.is_err());
    bench.run(|| info!("goes on"));
    saying(&collector.wait_for_logs(1, SOON), "goes on");
    let stats = bench.telemetry.stats().logs;
    assert_eq!((stats.captured, stats.dropped["panic"]), (2, 1));
    check(&stats);
}

#[hermes::chat(model = "gpt-4o", provider = "openai")]
fn failing() -> Result<(), String> {
    hermes::current().output("the model's own words");
    Err("rate limited".to_owned())
}

#[test]
fn a_model_call_tells_of_its_failure_and_of_its_details_where_they_are_wanted() {
    let collector = Collector::start();
    let bench = logging(&collector, as_it_is);
    bench.run(|| failing().unwrap_err());
    bench.telemetry.shutdown(SOON).unwrap();
    let logs = collector.logs();
    assert_eq!(logs.len(), 1, "{logs:#?}");
    let failure = &logs[0];
    assert_eq!(failure.event_name, "gen_ai.client.operation.exception");
    assert_eq!((failure.severity.0, failure.scope.as_str()), (13, "hermes"));
    assert_eq!(failure.attributes["exception.message"], "rate limited");
    let chat = bench.span("chat gpt-4o");
    assert_eq!(failure.span_id, chat.span_id.to_string());
    assert_eq!(failure.trace_id, chat.trace_id.to_string());

    let collector = Collector::start();
    let bench = logging(&collector, |builder| {
        builder.export_logs("off,hermes=debug")
    });
    bench.run(|| failing().unwrap_err());
    let logs = collector.wait_for_logs(2, SOON);
    let name = "gen_ai.client.inference.operation.details";
    let details = logs.iter().find(|log| log.event_name == name).unwrap();
    assert_eq!((details.severity.0, &details.body), (5, &json!(null)));
    assert_eq!(details.attributes["gen_ai.request.model"], "gpt-4o");
    assert_eq!(details.attributes["gen_ai.operation.name"], "chat");
    assert!(!format!("{logs:?}").contains("own words"), "content is off");
    check(&bench.telemetry.stats().logs);
}
