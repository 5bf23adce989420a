//! Log lines bear the ids under which the store and OTLP know the span around them.

use std::process::{Command, Stdio};

use hermes::Telemetry;
use hermes::logs::WithIds;
use serde_json::Value;
use tempfile::TempDir;
use tracing::Subscriber;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::FmtSpan;
use tracing_subscriber::fmt::{self, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;

use crate::support::SOON;
use crate::support::collector::Collector;
use crate::support::log::Log;

/// Hermes with a store of its own, for subscribers of any shape.
struct Hermes {
    telemetry: Telemetry,
    _folder: TempDir,
}

type HermesLayer<S> = hermes::HermesLayer<S>;

fn hermes<S>(set_up: impl FnOnce(hermes::Builder) -> hermes::Builder) -> (HermesLayer<S>, Hermes)
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync + 'static,
{
    let folder = tempfile::tempdir().unwrap();
    let builder = hermes::builder().store_path(folder.path().join("telemetry.db"));
    let (layer, telemetry) = set_up(builder).build().unwrap();
    let hermes = Hermes {
        telemetry,
        _folder: folder,
    };
    (layer, hermes)
}

fn as_it_is(builder: hermes::Builder) -> hermes::Builder {
    builder
}

impl Hermes {
    /// The ids of a stored span as a line has them.
    fn ids_of(&self, name: &str) -> String {
        self.telemetry.flush(SOON).unwrap();
        let store = self.telemetry.store().unwrap();
        let runs = store.runs(&hermes::RunFilter::default()).unwrap();
        let mut spans = runs
            .iter()
            .flat_map(|run| store.spans_of_run(run.run_id).unwrap());
        let span = spans.find(|span| span.name == name).unwrap();
        format!("trace_id={} span_id={}", span.trace_id, span.span_id)
    }
}

/// A plain layer that writes lines of this format.
fn lines<S, N, E>(log: &Log, layer: fmt::Layer<S, N, E>) -> impl Layer<S> + use<S, N, E>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    E: FormatEvent<S, N> + 'static,
{
    let log = log.clone();
    layer.with_writer(move || log.clone())
}

#[hermes::session(id = "s")]
fn session() {
    tracing::info!(answer = 42, "in the session");
    tool();
}

#[hermes::tool]
fn tool() {
    tracing::warn!("in the tool");
}

fn program() {
    tracing::info!("before");
    session();
    tracing::info!("after");
}

#[test]
fn a_line_inside_a_span_ends_in_its_ids_and_others_stay_as_they_are() {
    let (log, plain) = (Log::default(), Log::default());
    let (layer, hermes) = hermes(as_it_is);
    let with = fmt::layer().with_ansi(false).without_time();
    let without = fmt::layer().with_ansi(false).without_time();
    let subscriber = tracing_subscriber::registry()
        .with(layer)
        .with(lines(&log, with.map_event_format(WithIds::new)))
        .with(lines(&plain, without));
    tracing::subscriber::with_default(subscriber, program);
    let (session, tool) = (
        hermes.ids_of("hermes.session"),
        hermes.ids_of("hermes.tool.tool"),
    );
    let expected: Vec<String> = plain
        .text()
        .lines()
        .map(|line| match line {
            line if line.contains("session answer=42") => format!("{line} {session}"),
            line if line.contains("in the tool") => format!("{line} {tool}"),
            line => line.to_owned(),
        })
        .collect();
    assert_eq!(log.text().lines().collect::<Vec<_>>(), expected);
    assert_eq!(expected.len(), 4);
    assert!(!expected[0].contains("trace_id") && expected[1].contains("trace_id"));
}

#[test]
fn the_order_of_the_layers_and_their_filters_do_not_matter() {
    let (before, after) = (Log::default(), Log::default());
    // Warnings alone: to this layer's eyes there is no span.
    let warnings = fmt::layer().map_event_format(WithIds::new);
    let warnings = lines(&before, warnings).with_filter(LevelFilter::WARN);
    let all = lines(&after, fmt::layer().map_event_format(WithIds::new));
    let subscriber = tracing_subscriber::registry().with(warnings);
    let (layer, hermes) = hermes(as_it_is);
    tracing::subscriber::with_default(subscriber.with(layer).with(all), program);
    let tool = hermes.ids_of("hermes.tool.tool");
    for log in [&before, &after] {
        let text = log.text().replace(['\u{1b}'], "");
        let text = text
            .replace("[3m", "")
            .replace("[2m", "")
            .replace("[0m", "");
        let line = text.lines().find(|line| line.contains("in the tool"));
        assert!(line.unwrap().ends_with(&tool), "{text}");
    }
    assert_eq!(before.text().lines().count(), 1);
}

/// A JSON layer on top of Hermes.
type Shape = fmt::Layer<
    tracing_subscriber::layer::Layered<
        HermesLayer<tracing_subscriber::Registry>,
        tracing_subscriber::Registry,
    >,
    fmt::format::JsonFields,
    fmt::format::Format<fmt::format::Json>,
>;

#[test]
fn json_lines_have_them_at_the_top_level_whatever_else_they_show() {
    let shapes: [fn(Shape) -> Shape; 4] = [
        |layer| layer,
        |layer| layer.flatten_event(true),
        |layer| layer.with_current_span(false).with_span_list(false),
        |layer| layer.flatten_event(true).with_current_span(false),
    ];
    for shape in shapes {
        let log = Log::default();
        let (layer, hermes) = hermes(as_it_is);
        let json = shape(fmt::layer().json()).map_event_format(WithIds::new);
        let subscriber = tracing_subscriber::registry()
            .with(layer)
            .with(lines(&log, json));
        tracing::subscriber::with_default(subscriber, program);
        let text = log.text();
        let parsed: Vec<Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let ids = |line: &Value| {
            let text = |key: &str| line[key].as_str().map(str::to_owned);
            Some((text("trace_id")?, text("span_id")?))
        };
        let seen: Vec<_> = parsed.iter().map(ids).collect();
        let stored = |name| {
            let ids = hermes.ids_of(name);
            let (trace, span) = ids.split_once(' ').unwrap();
            let value = |pair: &str| pair.split_once('=').unwrap().1.to_owned();
            Some((value(trace), value(span)))
        };
        let (session, tool) = (stored("hermes.session"), stored("hermes.tool.tool"));
        assert_eq!(seen, [None, session, tool, None], "{text}");
        assert!(parsed.iter().all(|line| line["level"].is_string()));
    }
}

#[test]
fn compact_and_pretty_lines_have_them_too() {
    let (compact, pretty) = (Log::default(), Log::default());
    let (layer, hermes) = hermes(as_it_is);
    let short = fmt::layer().with_ansi(false).compact();
    let long = fmt::layer().with_ansi(false).pretty();
    let subscriber = tracing_subscriber::registry()
        .with(layer)
        .with(lines(&compact, short.map_event_format(WithIds::new)))
        .with(lines(&pretty, long.map_event_format(WithIds::new)));
    tracing::subscriber::with_default(subscriber, program);
    let tool = hermes.ids_of("hermes.tool.tool");
    let compact = compact.text();
    let line = compact.lines().find(|line| line.contains("in the tool"));
    assert!(line.unwrap().ends_with(&format!(" {tool}")), "{compact}");
    let pretty = pretty.text();
    assert!(pretty.contains(&format!("\n    {tool}\n\n")), "{pretty}");
    assert_eq!(pretty.matches("trace_id").count(), 2, "{pretty}");
}

#[test]
fn colours_stay_where_there_are_colours_and_come_nowhere_else() {
    for is_coloured in [true, false] {
        let log = Log::default();
        let (layer, hermes) = hermes(as_it_is);
        let coloured = fmt::layer().with_ansi(is_coloured).without_time();
        let subscriber = tracing_subscriber::registry()
            .with(layer)
            .with(lines(&log, coloured.map_event_format(WithIds::new)));
        tracing::subscriber::with_default(subscriber, session);
        let text = log.text();
        assert_eq!(text.contains("\u{1b}[32m INFO"), is_coloured, "{text:?}");
        assert_eq!(text.contains('\u{1b}'), is_coloured, "{text:?}");
        let plain = ["\u{1b}[3m", "\u{1b}[2m", "\u{1b}[0m"]
            .iter()
            .fold(text, |text, code| text.replace(code, ""));
        assert!(plain.contains(&hermes.ids_of("hermes.session")), "{plain}");
    }
}

#[test]
fn without_a_hermes_layer_nothing_is_added_and_nothing_panics() {
    let (log, plain) = (Log::default(), Log::default());
    let with = fmt::layer().without_time();
    let subscriber = tracing_subscriber::registry()
        .with(lines(&log, with.map_event_format(WithIds::new)))
        .with(lines(&plain, fmt::layer().without_time()));
    tracing::subscriber::with_default(subscriber, program);
    assert_eq!(log.text(), plain.text());
    assert_eq!(log.text().lines().count(), 4);
}

#[test]
fn a_format_of_the_programs_own_gets_them_as_well() {
    struct Own;
    impl<S: Subscriber + for<'a> LookupSpan<'a>, N: for<'a> FormatFields<'a> + 'static>
        FormatEvent<S, N> for Own
    {
        fn format_event(
            &self,
            context: &fmt::FmtContext<'_, S, N>,
            mut writer: fmt::format::Writer<'_>,
            event: &tracing::Event<'_>,
        ) -> std::fmt::Result {
            context.format_fields(writer.by_ref(), event)?;
            writeln!(writer, "!")
        }
    }
    let log = Log::default();
    let (layer, hermes) = hermes(as_it_is);
    let own = fmt::layer().event_format(WithIds::around(Own));
    let subscriber = tracing_subscriber::registry()
        .with(layer)
        .with(lines(&log, own));
    tracing::subscriber::with_default(subscriber, tool);
    let expected = format!("in the tool! {}\n", hermes.ids_of("hermes.tool.tool"));
    assert_eq!(log.text(), expected);
}

#[test]
fn where_spans_are_exported_other_libraries_spans_count_and_nothing_is_started_early() {
    let collector = Collector::start();
    let log = Log::default();
    let (layer, hermes) = hermes(|builder| builder.otlp_endpoint(collector.endpoint()));
    let subscriber = tracing_subscriber::registry().with(layer).with(lines(
        &log,
        fmt::layer().with_ansi(false).map_event_format(WithIds::new),
    ));
    tracing::subscriber::with_default(subscriber, || {
        let server = tracing::info_span!("server").entered();
        tracing::info!("in the server");
        session();
        tracing::debug_span!("unseen").in_scope(|| tracing::info!("beneath"));
        drop(server);
        for idle in [
            tracing::info_span!("idle"),
            tracing::info_span!("hermes.tool", gen_ai.tool.name = "idle"),
        ] {
            tracing::info!(parent: &idle, "for later");
            let parent = opentelemetry::Context::new();
            idle.set_parent(parent)
                .expect("it was started for a log line");
        }
    });
    let tool = hermes.ids_of("hermes.tool.tool");
    let sent = collector.wait_for(5, SOON);
    let ids = |name: &str| {
        let span = sent.iter().find(|span| span.name == name).unwrap();
        format!("trace_id={} span_id={}", span.trace_id, span.span_id)
    };
    assert_eq!(ids("hermes.tool.tool"), tool);
    let text = log.text();
    let ends = |said: &str| {
        let line = text.lines().find(|line| line.contains(said)).unwrap();
        let from = line.find("trace_id").map_or(line.len(), |at| at);
        line[from..].to_owned()
    };
    assert_eq!(ends("in the server"), ids("server"));
    assert_eq!(ends("beneath"), ids("server"));
    assert_eq!(ends("in the session"), ids("hermes.session"));
    assert_eq!(ends("in the tool"), tool);
    assert_eq!(ends("for later"), "");
}

fn about_spans<S>() -> fmt::Layer<S> {
    fmt::layer()
        .with_ansi(false)
        .with_span_events(FmtSpan::ACTIVE | FmtSpan::CLOSE)
}

#[test]
fn the_layers_own_lines_about_a_span_bear_the_ids_of_that_span() {
    let collector = Collector::start();
    for is_exported in [false, true] {
        let (before, after) = (Log::default(), Log::default());
        let first = lines(&before, about_spans().map_event_format(WithIds::new));
        let last = lines(&after, about_spans().map_event_format(WithIds::new));
        let (layer, hermes) = hermes(|builder| {
            if is_exported {
                builder.otlp_endpoint(collector.endpoint())
            } else {
                builder
            }
        });
        let subscriber = tracing_subscriber::registry().with(first).with(layer);
        tracing::subscriber::with_default(subscriber.with(last), session);
        for (name, lines_of_it) in [("hermes.session", 4), ("hermes.tool.tool", 4)] {
            let ids = hermes.ids_of(name);
            for log in [&before, &after] {
                let text = log.text();
                assert_eq!(text.matches(&ids).count(), lines_of_it, "{name} {text}");
            }
        }
        for said in ["enter", "exit", "close"] {
            let text = after.text();
            let lines = text.lines().filter(|line| line.contains(said));
            assert_eq!(lines.count(), 2, "{text}");
        }
    }
}

#[test]
fn a_span_that_is_left_out_gives_its_place_to_the_one_around_it() {
    let log = Log::default();
    let (layer, hermes) = hermes(|builder| builder.capture_filter("info,hermes.tool=off"));
    let text = fmt::layer().with_ansi(false);
    let subscriber = tracing_subscriber::registry()
        .with(layer)
        .with(lines(&log, text.map_event_format(WithIds::new)));
    tracing::subscriber::with_default(subscriber, session);
    let session = hermes.ids_of("hermes.session");
    let text = log.text();
    assert_eq!(text.matches(&session).count(), 2, "{text}");
}

/// Run by the test below alone.
#[test]
fn child_that_logs() {
    if std::env::var("HERMES_TEST_LOGS").is_err() {
        return;
    }
    let telemetry = hermes::init().unwrap();
    program();
    telemetry.shutdown(SOON).unwrap();
}

#[test]
fn the_logger_that_init_installs_has_them() {
    let home = tempfile::tempdir().unwrap();
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "log_lines::child_that_logs", "--nocapture"])
        .env_clear()
        .env("HERMES_TEST_LOGS", "1")
        .env("RUST_LOG", "info")
        .env("NO_COLOR", "1")
        .env("HERMES_HOME", home.path())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let text = String::from_utf8(child.stderr).unwrap();
    assert!(child.status.success(), "{text}");
    let store = hermes::Store::open(home.path().join("telemetry/telemetry.db")).unwrap();
    let run = &store.runs(&hermes::RunFilter::default()).unwrap()[0];
    for (name, said) in [
        ("hermes.session", "in the session"),
        ("hermes.tool.tool", "in the tool"),
    ] {
        let spans = store.spans_of_run(run.run_id).unwrap();
        let span = spans.iter().find(|span| span.name == name).unwrap();
        let ids = format!(" trace_id={} span_id={}", span.trace_id, span.span_id);
        let line = text.lines().find(|line| line.contains(said)).unwrap();
        assert!(line.ends_with(&ids), "{text}");
    }
    assert_eq!(text.matches("trace_id").count(), 2, "{text}");
}
