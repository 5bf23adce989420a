//! Samplers and tail rules decide what leaves; the store stays whole, and every span is counted once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use hermes::{Builder, RecordedSpan, Stats, TailSampling, Telemetry};
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceFlags, TraceState};
use tracing::Dispatch;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;

use crate::support::collector::{Collector, ReceivedSpan};
use crate::support::{SOON, script};

/// What one process would be: Hermes on a store that others had before and will have after it.
struct Process {
    telemetry: Telemetry,
    dispatch: Dispatch,
}

impl Process {
    fn start(home: &Path, set_up: impl FnOnce(Builder) -> Builder) -> Self {
        let builder = hermes::builder().store_path(home.join("telemetry.db"));
        let (layer, telemetry) = set_up(builder).build().unwrap();
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer));
        Process {
            telemetry,
            dispatch,
        }
    }

    /// Runs code, then waits until what it did is stored and what leaves has left.
    fn run<T>(&self, code: impl FnOnce() -> T) -> T {
        let value = tracing::dispatcher::with_default(&self.dispatch, code);
        let _ = self.telemetry.flush(SOON);
        value
    }

    fn stats(&self) -> Stats {
        self.telemetry.stats()
    }

    fn wait_until(&self, holds: impl Fn(&Stats) -> bool) -> Stats {
        let begun = Instant::now();
        loop {
            let stats = self.stats();
            if holds(&stats) {
                return stats;
            }
            assert!(begun.elapsed() < SOON, "{stats:?}");
            std::thread::yield_now();
        }
    }

    fn end(self) {
        let _ = self.telemetry.shutdown(SOON);
    }
}

fn stored(home: &Path) -> Vec<RecordedSpan> {
    let store = hermes::Store::open(home.join("telemetry.db")).unwrap();
    let runs = store.runs(&hermes::RunFilter::default()).unwrap();
    runs.iter()
        .flat_map(|run| store.spans_of_run(run.run_id).unwrap())
        .collect()
}

/// The names of spans by trace.
fn names(spans: &[ReceivedSpan]) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut traces: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for span in spans {
        traces.entry(&span.trace_id).or_default().insert(&span.name);
    }
    traces
}

fn sorted(spans: &[ReceivedSpan]) -> Vec<&str> {
    let mut names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    names.sort_unstable();
    names
}

/// A session with a step and a tool, and what is said of it in a model call.
#[hermes::session(id = id)]
fn session(id: &str, say: impl FnOnce()) {
    let _request = tracing::info_span!("http.request").entered();
    look_up();
    call(say);
}

#[hermes::tool]
fn look_up() {}

#[hermes::chat(model = "m")]
fn call(say: impl FnOnce()) {
    say();
}

/// The spans of such a session: one of them is another library's.
const SESSION: usize = 4;

fn dull() {}

fn fail() {
    hermes::current().error_class(hermes::ErrorClass::RateLimit);
}

fn cost(usd: f64) -> impl FnOnce() {
    move || {
        hermes::current().cost_usd(usd);
    }
}

fn use_tokens(tokens: i64) -> impl FnOnce() {
    move || {
        let usage = hermes::Usage {
            input_tokens: tokens,
            output_tokens: 1,
            ..Default::default()
        };
        hermes::current().usage(usage);
    }
}

#[test]
fn what_a_sampler_leaves_out_is_stored_under_the_ids_it_would_have_had_and_never_arrives() {
    let home = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let off = Process::start(home.path(), |builder| {
        let builder = builder.otlp_endpoint(collector.endpoint());
        builder.traces_sampler("always_off")
    });
    let seen = off.run(|| {
        let _server = tracing::info_span!("server").entered();
        let mut seen = None;
        session("s", || {
            let context = opentelemetry::Context::current();
            let context = context.span().span_context().clone();
            let ours = hermes::current();
            seen = Some((
                ours.trace_id().unwrap().to_string() == context.trace_id().to_string(),
                ours.span_id().unwrap().to_string() == context.span_id().to_string(),
                context.is_sampled(),
            ));
        });
        seen
    });
    assert_eq!(seen, Some((true, true, false)));
    off.run(script::session);
    let stats = off.stats();
    assert_eq!((stats.exported, stats.export_pending), (0, 0));
    assert_eq!(stats.export_sampled_out, 3 + 6);
    assert!(stats.export_dropped.is_empty(), "{stats:?}");
    off.end();
    let kept = stored(home.path());
    assert_eq!(kept.len(), 3 + 6);
    let call = kept.iter().find(|span| span.name == "chat m").unwrap();
    assert!(call.wire_parent_span_id.is_some() && call.wire_parent_span_id != call.parent_span_id);

    let on = Process::start(home.path(), |builder| {
        builder.otlp_endpoint(collector.endpoint())
    });
    on.run(|| session("s", dull));
    let sent = collector.wait_for(SESSION, SOON);
    on.wait_until(|stats| stats.exported == SESSION as u64 && stats.export_pending == 0);
    on.end();
    assert_eq!(names(&sent).len(), 1);
    assert_eq!(collector.spans().len(), SESSION);
}

#[test]
fn a_share_of_the_traces_leaves_and_each_of_them_whole() {
    let home = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let process = Process::start(home.path(), |builder| {
        builder
            .otlp_endpoint(collector.endpoint())
            .traces_sampler("parentbased_traceidratio")
            .traces_sampler_arg(0.5)
    });
    process.run(|| (0..100).for_each(|_| session("s", dull)));
    let stats = process.stats();
    let sent = collector.spans();
    let traces = names(&sent);
    assert!((20..80).contains(&traces.len()), "{}", traces.len());
    assert!(traces.values().all(|names| names.len() == SESSION));
    assert_eq!(stats.exported, (traces.len() * SESSION) as u64);
    assert_eq!(stats.export_sampled_out, 300 - (traces.len() * 3) as u64);
    assert_eq!((stats.written, stats.export_pending), (300, 0));
    process.end();
}

#[test]
fn a_remote_parent_decides_where_the_sampler_follows_it() {
    for (sampler, is_sampled, leaves) in [
        ("parentbased_always_off", true, true),
        ("parentbased_always_on", false, false),
        ("always_on", false, true),
        ("always_off", true, false),
    ] {
        let home = tempfile::tempdir().unwrap();
        let collector = Collector::start();
        let process = Process::start(home.path(), |builder| {
            let builder = builder.otlp_endpoint(collector.endpoint());
            builder.traces_sampler(sampler)
        });
        let flags = TraceFlags::default().with_sampled(is_sampled);
        let remote = SpanContext::new(7.into(), 8.into(), flags, true, TraceState::NONE);
        process.run(|| {
            let span = tracing::info_span!("hermes.session", hermes.session.id = "s");
            let parent = opentelemetry::Context::new().with_remote_span_context(remote);
            span.set_parent(parent).unwrap();
            span.in_scope(look_up);
        });
        let arrived = if leaves { 2 } else { 0 };
        assert_eq!(collector.spans().len(), arrived, "{sampler}");
        assert_eq!(process.stats().export_sampled_out, 2 - arrived as u64);
        process.end();
        let stored = stored(home.path());
        assert_eq!(stored.len(), 2);
        let trace = format!("{:032x}", 7);
        assert!(stored.iter().all(|span| span.trace_id.to_string() == trace));
    }
}

/// Run by the test below alone.
#[test]
fn child_with_an_environment() {
    if std::env::var("HERMES_TEST_SAMPLING").is_err() {
        return;
    }
    let telemetry = hermes::init().unwrap();
    session("s", dull);
    telemetry.shutdown(SOON).unwrap();
    let stats = telemetry.stats();
    let counts = (stats.exported, stats.export_sampled_out);
    std::fs::write(
        std::env::var("HERMES_TEST_SAMPLING").unwrap(),
        format!("{counts:?}"),
    )
    .unwrap();
}

#[test]
fn the_environment_names_the_sampler_and_nonsense_is_named() {
    for (sampler, arg, counts, told) in [
        ("always_off", "", "(0, 3)", None),
        ("traceidratio", "0", "(0, 3)", None),
        ("parentbased_traceidratio", "1", "(4, 0)", None),
        (
            "traceidratio",
            "half",
            "(4, 0)",
            Some("OTEL_TRACES_SAMPLER_ARG=\"half\" is not a number from 0 to 1; using 1"),
        ),
        (
            "sometimes",
            "",
            "(4, 0)",
            Some("OTEL_TRACES_SAMPLER=\"sometimes\" is not one of always_on, "),
        ),
    ] {
        let home = tempfile::tempdir().unwrap();
        let collector = Collector::start();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "sampling::child_with_an_environment"])
            .env_clear()
            .env("HERMES_TEST_SAMPLING", home.path().join("counts"))
            .env("HERMES_HOME", home.path())
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint())
            .env("OTEL_TRACES_SAMPLER", sampler)
            .env("OTEL_TRACES_SAMPLER_ARG", arg)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        let said = String::from_utf8(child.stderr).unwrap();
        assert!(child.status.success(), "{said}");
        let counted = std::fs::read_to_string(home.path().join("counts")).unwrap();
        assert_eq!(counted, counts, "{sampler} {arg}");
        match told {
            Some(told) => assert!(said.contains(told), "{said}"),
            None => assert!(!said.contains("OTEL_TRACES_SAMPLER"), "{said}"),
        }
    }
}

#[test]
fn each_rule_takes_its_traces_whole_and_the_rest_stay() {
    let none = TailSampling::new();
    let dear: fn() = || cost(0.6)();
    for (rules, reason) in [
        (none.errors(), fail as fn()),
        (none.costlier_than(0.5), dear),
        (none.more_tokens_than(1_000), || use_tokens(1_000)()),
        (none.slower_than(Duration::from_millis(20)), || {
            std::thread::sleep(Duration::from_millis(25));
        }),
    ] {
        let home = tempfile::tempdir().unwrap();
        let collector = Collector::start();
        let process = Process::start(home.path(), |builder| {
            let builder = builder.otlp_endpoint(collector.endpoint());
            builder.tail_sampling(rules)
        });
        let bounds = || {
            cost(0.5)();
            use_tokens(999)();
        };
        process.run(|| session("dull", bounds));
        process.run(|| session("special", reason));
        process.run(|| session("dull", dull));
        let sent = collector.spans();
        let expected = [
            "chat m",
            "hermes.session",
            "hermes.tool.look_up",
            "http.request",
        ];
        assert_eq!(sorted(&sent), expected, "{rules:?}");
        let stats = process.stats();
        assert_eq!(
            (stats.exported, stats.export_sampled_out),
            (4, 8),
            "{rules:?}"
        );
        assert_eq!((stats.export_pending, stats.export_undecided), (0, 0));
        assert!(stats.export_dropped.is_empty(), "{stats:?}");
        process.end();
        assert_eq!(stored(home.path()).len(), 9);
        assert_eq!(owed(home.path()), 0);
    }
}

/// Rows of the outbox.
fn owed(home: &Path) -> i64 {
    let store = rusqlite::Connection::open(home.join("telemetry.db")).unwrap();
    let sql = "SELECT count(*) FROM tel_outbox";
    store.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn a_share_of_the_rest_is_chosen_by_the_trace_and_chosen_again_the_same() {
    let home = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let start = || {
        Process::start(home.path(), |builder| {
            builder
                .otlp_endpoint(collector.endpoint())
                .tail_sampling(TailSampling::new().rest_at(0.5))
        })
    };
    let process = start();
    process.run(|| (0..100).for_each(|_| session("s", dull)));
    let first = collector.spans();
    let traces: Vec<_> = names(&first).into_keys().collect();
    assert!((20..80).contains(&traces.len()), "{}", traces.len());
    assert_eq!(first.len(), traces.len() * SESSION);
    process.end();
    // Another process has a part in every one of these traces.
    let other = start();
    other.run(|| {
        for trace in all_traces(home.path()) {
            let flags = TraceFlags::SAMPLED;
            let remote = SpanContext::new(trace.into(), 8.into(), flags, true, TraceState::NONE);
            let span = tracing::info_span!("hermes.session", hermes.session.id = "other");
            let parent = opentelemetry::Context::new().with_remote_span_context(remote);
            span.set_parent(parent).unwrap();
            span.in_scope(|| {});
        }
    });
    other.end();
    let all = collector.spans();
    assert_eq!(names(&all).into_keys().collect::<Vec<_>>(), traces);
    assert_eq!(all.len(), traces.len() * (SESSION + 1));
}

fn all_traces(home: &Path) -> BTreeSet<u128> {
    let spans = stored(home);
    let traces = spans
        .iter()
        .map(|span| u128::from_be_bytes(span.trace_id.to_bytes()));
    traces.collect()
}

#[test]
fn what_comes_late_goes_where_its_trace_went() {
    let home = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let process = Process::start(home.path(), |builder| {
        let builder = builder.otlp_endpoint(collector.endpoint());
        builder.tail_sampling(TailSampling::new().errors())
    });
    for says in [dull as fn(), fail] {
        let late = process.run(|| {
            let root = tracing::info_span!("hermes.session", hermes.session.id = "s");
            let late = tracing::info_span!(parent: &root, "hermes.tool", gen_ai.tool.name = "late");
            let other = tracing::info_span!(parent: &root, "late");
            root.in_scope(|| call(says));
            late.in_scope(|| {});
            other.in_scope(|| {});
            (late, other)
        });
        // The session's span is kept open by its children, as `tracing` has it: both end together.
        process.run(|| drop(late));
    }
    // Its root is another process's, and ends there: a second outermost span in a trace.
    process.run(|| {
        let remote = |id: u64| {
            let flags = TraceFlags::SAMPLED;
            let context = SpanContext::new(9.into(), id.into(), flags, true, TraceState::NONE);
            opentelemetry::Context::new().with_remote_span_context(context)
        };
        for says in [dull as fn(), fail] {
            let root = tracing::info_span!("hermes.session", hermes.session.id = "remote");
            root.set_parent(remote(1)).unwrap();
            root.in_scope(|| call(says));
            drop(root);
            let _ = process.telemetry.flush(SOON);
        }
    });
    let sent = collector.spans();
    let expected = ["chat m", "hermes.session", "hermes.tool.late", "late"];
    assert_eq!(sorted(&sent), expected);
    let stats = process.stats();
    assert_eq!((stats.exported, stats.export_sampled_out), (4, 4 + 4));
    assert_eq!(stats.export_undecided, 0);
    process.end();
}

#[test]
fn a_trace_that_does_not_end_is_decided_by_what_is_known_of_it() {
    let home = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let process = Process::start(home.path(), |builder| {
        let rules = TailSampling::new().errors();
        builder
            .otlp_endpoint(collector.endpoint())
            .tail_sampling(rules.decide_after(Duration::from_millis(200)))
    });
    let root = process.run(|| {
        let root = tracing::info_span!("hermes.session", hermes.session.id = "long");
        root.in_scope(|| call(fail));
        root
    });
    // Nothing else happens.
    assert_eq!(sorted(&collector.wait_for(1, SOON)), ["chat m"]);
    let dull_root = process.run(|| {
        let root = tracing::info_span!("hermes.session", hermes.session.id = "long");
        root.in_scope(|| call(dull));
        root
    });
    process.wait_until(|stats| stats.export_sampled_out == 1);
    process.run(|| drop((root, dull_root)));
    assert_eq!(
        sorted(&collector.wait_for(2, SOON)),
        ["chat m", "hermes.session"]
    );
    assert_eq!(process.stats().export_sampled_out, 2);
    process.end();
}

#[test]
fn a_trace_larger_than_memory_is_decided_at_its_end_all_the_same() {
    const TOOLS: usize = 6_000;
    for (says, leaves) in [(fail as fn(), true), (dull, false)] {
        let home = tempfile::tempdir().unwrap();
        let collector = Collector::start();
        let process = Process::start(home.path(), |builder| {
            builder
                .otlp_endpoint(collector.endpoint())
                .queue_capacity(2 * TOOLS)
                .tail_sampling(TailSampling::new().errors())
        });
        process.run(|| {
            let root = tracing::info_span!("hermes.session", hermes.session.id = "large");
            root.in_scope(|| {
                for tenth in 0..10 {
                    (0..TOOLS / 10).for_each(|_| look_up());
                    let _ = process.telemetry.flush(SOON);
                    if tenth == 9 {
                        call(says);
                    }
                }
            });
            let stats = process.stats();
            assert_eq!((stats.exported, stats.export_sampled_out), (0, 0));
            assert_eq!(stats.export_undecided, TOOLS as u64);
            assert_eq!(stats.export_pending, 0);
        });
        let all = TOOLS as u64 + 2;
        let counted = process.wait_until(|stats| {
            stats.exported + stats.export_sampled_out == all && stats.export_pending == 0
        });
        assert_eq!(counted.exported, if leaves { all } else { 0 });
        assert_eq!((counted.export_pending, counted.export_undecided), (0, 0));
        assert!(counted.export_dropped.is_empty(), "{counted:?}");
        let sent: BTreeSet<_> = collector
            .spans()
            .into_iter()
            .map(|span| span.span_id)
            .collect();
        assert_eq!(sent.len() as u64, counted.exported);
        process.end();
        assert_eq!(owed(home.path()), 0);
        assert_eq!(stored(home.path()).len() as u64, all);
    }
}

#[test]
fn without_a_store_traces_are_decided_the_same_and_at_the_end_by_what_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let in_the_way = folder.path().join("file");
    std::fs::write(&in_the_way, "").unwrap();
    let collector = Collector::start();
    let process = Process::start(&in_the_way, |builder| {
        let builder = builder.otlp_endpoint(collector.endpoint());
        builder.tail_sampling(TailSampling::new().errors())
    });
    let open = tracing::dispatcher::with_default(&process.dispatch, || {
        session("dull", dull);
        session("fails", fail);
        let open = ["open", "dull"]
            .map(|id| tracing::info_span!("hermes.session", hermes.session.id = id));
        open[0].in_scope(|| call(fail));
        open[1].in_scope(|| call(dull));
        open
    });
    let _ = process.telemetry.shutdown(Duration::from_secs(5));
    let stats = process.stats();
    assert_eq!(stats.export_sampled_out, SESSION as u64 + 1, "{stats:?}");
    assert_eq!(stats.exported, SESSION as u64 + 1, "{stats:?}");
    assert_eq!(names(&collector.spans()).len(), 2);
    drop(open);
}

#[test]
fn what_is_undecided_when_a_process_ends_is_decided_by_the_next() {
    let home = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let rules = TailSampling::new().costlier_than(0.5);
    let start = |rules: Option<TailSampling>| {
        Process::start(home.path(), |builder| {
            let builder = builder.otlp_endpoint(collector.endpoint());
            match rules {
                Some(rules) => builder.tail_sampling(rules),
                None => builder,
            }
        })
    };
    let leave = |process: Process, says: &dyn Fn()| {
        let open = process.run(|| {
            let root = tracing::info_span!("hermes.session", hermes.session.id = "open");
            root.in_scope(|| call(says));
            root
        });
        assert_eq!(process.stats().export_undecided, 1);
        process.end();
        drop(open);
    };
    leave(start(Some(rules)), &|| cost(0.6)());
    leave(start(Some(rules)), &dull);
    // A session that was shown as running is left as well, as one that was interrupted.
    assert!(sorted(&collector.wait_for(1, SOON)).contains(&"chat m"));
    let process = start(Some(rules));
    let stats = process.wait_until(|stats| stats.export_sampled_out >= 1);
    assert_eq!((stats.export_pending, stats.export_undecided), (0, 0));
    process.end();
    assert_eq!(owed(home.path()), 0);
    assert_eq!(names(&collector.spans()).len(), 1);

    leave(start(Some(rules)), &dull);
    let without_rules = start(None);
    without_rules.wait_until(|stats| stats.exported >= 1);
    without_rules.end();
    let all = collector.spans();
    assert_eq!(names(&all).len(), 2, "then everything leaves");
}

#[test]
fn what_was_decided_to_leave_is_not_decided_again() {
    let home = tempfile::tempdir().unwrap();
    let start = |endpoint: String| {
        Process::start(home.path(), |builder| {
            let builder = builder.otlp_endpoint(endpoint);
            builder.tail_sampling(TailSampling::new().errors())
        })
    };
    // It never answers: what is under way when the process ends is neither delivered nor refused.
    let hangs = Collector::start().hang();
    let first = start(hangs.endpoint());
    tracing::dispatcher::with_default(&first.dispatch, || {
        // What speaks for the trace is in no store.
        let _server = tracing::info_span!("server", otel.status_code = "ERROR").entered();
        session("dull", dull);
    });
    let begun = Instant::now();
    while hangs.requests() == 0 {
        let _ = first.telemetry.flush(Duration::from_millis(50));
        assert!(begun.elapsed() < SOON);
    }
    let _ = first.telemetry.shutdown(Duration::from_secs(1));
    assert_eq!(first.stats().export_pending, 3);
    drop((first, hangs));
    let collector = Collector::start();
    let next = start(collector.endpoint());
    let stats = next.wait_until(|stats| stats.exported == 3);
    assert_eq!(stats.export_sampled_out, 0);
    next.end();
    let expected = ["chat m", "hermes.session", "hermes.tool.look_up"];
    assert_eq!(sorted(&collector.spans()), expected);
}

/// Run by the test below alone.
#[test]
fn child_that_is_killed() {
    let (Ok(home), Ok(endpoint)) = (
        std::env::var("HERMES_TEST_KILLED"),
        std::env::var("HERMES_TEST_ENDPOINT"),
    ) else {
        return;
    };
    let process = Process::start(home.as_ref(), |builder| {
        let rules = TailSampling::new().costlier_than(0.5);
        builder.otlp_endpoint(endpoint).tail_sampling(rules)
    });
    process.run(|| {
        session("dear", cost(0.6));
        session("dull", dull);
        let root = tracing::info_span!("hermes.session", hermes.session.id = "killed").entered();
        call(cost(0.6));
        let cheap =
            tracing::info_span!(parent: None, "hermes.session", hermes.session.id = "killed");
        cheap.in_scope(|| call(cost(0.1)));
        let _ = process.telemetry.flush(SOON);
        std::fs::write(Path::new(&home).join("ready"), "").unwrap();
        std::thread::sleep(SOON);
        drop((root, cheap));
    });
}

#[test]
fn what_a_killed_process_left_is_decided_and_what_was_to_stay_never_leaves() {
    let home = tempfile::tempdir().unwrap();
    // Nobody listens there: nothing is delivered before the process dies.
    let nowhere = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sampling::child_that_is_killed"])
        .env("HERMES_TEST_KILLED", home.path())
        .env("HERMES_TEST_ENDPOINT", format!("http://{nowhere}"))
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !home.path().join("ready").exists() {
        assert!(begun.elapsed() < SOON);
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();

    let collector = Collector::start();
    let next = Process::start(home.path(), |builder| {
        let rules = TailSampling::new().costlier_than(0.5);
        builder
            .otlp_endpoint(collector.endpoint())
            .tail_sampling(rules)
    });
    // The dear session without the other library's span, and the dear call of the one that was killed.
    let stats = next.wait_until(|stats| stats.exported >= 4 && stats.export_pending == 0);
    let sent = collector.spans();
    let sent_names = sorted(&sent);
    let mut expected = vec!["chat m", "chat m", "hermes.session", "hermes.tool.look_up"];
    // Its session may have been shown as running before it was killed, and then leaves too.
    if sent_names.len() == 5 {
        expected.insert(2, "hermes.session");
    }
    assert_eq!(sent_names, expected);
    assert_eq!(names(&sent).len(), 2);
    assert!(stats.export_dropped.is_empty(), "{stats:?}");
    next.end();
    assert_eq!(owed(home.path()), 0);
}

#[test]
fn an_outage_is_made_good_for_what_leaves_and_for_nothing_else() {
    let home = tempfile::tempdir().unwrap();
    let collector = Collector::start().fail_first(3, 503);
    let process = Process::start(home.path(), |builder| {
        let builder = builder.otlp_endpoint(collector.endpoint());
        builder.tail_sampling(TailSampling::new().errors())
    });
    process.run(|| session("dull", dull));
    process.run(|| session("fails", fail));
    process.run(|| session("dull", dull));
    process.wait_until(|stats| stats.exported >= 3 && stats.export_pending == 0);
    let sent = collector.spans();
    assert_eq!(names(&sent).len(), 1);
    assert_eq!(process.stats().export_sampled_out, 2 * SESSION as u64);
    process.end();
    assert_eq!(owed(home.path()), 0);
}
