//! Events that no span makes: a row each in its own table, counted, redacted, and nothing without a layer.

use hermes::{ErrorClass, ErrorKind, EventFilter, RunId, event};

use crate::support::Bench;

#[hermes::session(id = "s")]
fn session<T>(body: impl FnOnce() -> T) -> T {
    body()
}

#[hermes::tool]
fn work() {
    event::memory("write", "ok");
    tracing::info_span!("somebody.elses").in_scope(|| event::skill("used", "sheets"));
}

/// The same whenever it is asked for.
fn an_hour_ago() -> i64 {
    static NOW: std::sync::OnceLock<i64> = std::sync::OnceLock::new();
    let now = || std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    *NOW.get_or_init(|| i64::try_from(now()).unwrap() - 3_600_000_000_000)
}

fn every_one() {
    event::gateway("telegram", "inbound", "ok")
        .voice(true)
        .attachments(2);
    event::gateway("slack", "outbound", "");
    event::cron("daily_report", "ok").at_ns(an_hour_ago());
    event::feedback("thumbs_up");
    event::error(ErrorClass::Network, "gateway", "retried");
}

#[test]
fn each_is_a_row_of_its_table_with_its_run() {
    let bench = Bench::new();
    let hour = an_hour_ago();
    bench.run(|| {
        session(|| {
            work();
            every_one();
        });
        event::feedback("from outside");
    });
    let store = bench.telemetry.store().unwrap();
    let run = bench.runs()[0].run_id;
    let filter = EventFilter::run(run);
    let gateway = store.gateway_events(&filter).unwrap();
    assert_eq!(gateway.len(), 2);
    assert_eq!(
        (
            gateway[0].platform.as_deref(),
            gateway[0].direction.as_deref()
        ),
        (Some("telegram"), Some("inbound"))
    );
    assert_eq!((gateway[0].voice, gateway[0].attachments), (true, 2));
    assert_eq!((gateway[1].voice, gateway[1].attachments), (false, 0));
    assert_eq!(gateway[1].result, None, "what nobody said is unknown");
    let cron = &store.cron_events(&filter).unwrap()[0];
    assert_eq!(
        (cron.kind.as_deref(), cron.ts_ns),
        (Some("daily_report"), hour)
    );
    let skill = &store.skill_events(&filter).unwrap()[0];
    assert_eq!(skill.skill_name.as_deref(), Some("sheets"));
    assert_eq!(skill.action.as_deref(), Some("used"));
    let memory = &store.memory_events(&filter).unwrap()[0];
    assert_eq!(
        (memory.action.as_deref(), memory.run_id),
        (Some("write"), Some(run))
    );
    let error = &store.error_events(run).unwrap()[0];
    assert_eq!(error.error_class, Some(ErrorClass::Network));
    assert_eq!(
        (
            error.subsystem.as_deref(),
            error.recovery.as_deref(),
            error.span_id
        ),
        (Some("gateway"), Some("retried"), None)
    );
    assert_eq!(store.all_error_events(&filter).unwrap().len(), 1);
    let all = store.feedback_events(&EventFilter::default()).unwrap();
    let kinds: Vec<_> = all
        .iter()
        .map(|event| event.kind.as_deref().unwrap())
        .collect();
    assert_eq!(kinds, ["thumbs_up", "from outside"]);
    assert_eq!(all[1].run_id, None);
    let newest = EventFilter::since(all[1].ts_ns);
    assert_eq!(store.feedback_events(&newest).unwrap().len(), 1);
    let json = serde_json::to_value(&gateway[0]).unwrap();
    assert_eq!(json["voice"], true);
    assert_eq!(
        bench.runs()[0].error_count,
        0,
        "no model or tool call failed"
    );
    let stats = bench.telemetry.stats();
    assert_eq!((stats.events.captured, stats.events.written), (8, 8));
    assert_eq!(stats.captured, 2, "spans are counted apart");
}

#[test]
fn secrets_are_redacted_and_a_run_may_be_named() {
    let bench = Bench::new();
    let run = RunId::from_bytes([7; 16]).unwrap();
    bench.run(|| {
        event::skill("used", "key sk-abcdefghijklmnopqrstuvwxyz012345").run_id(run);
        event::memory("x".repeat(9000), "ok");
    });
    let store = bench.telemetry.store().unwrap();
    let skill = &store.skill_events(&EventFilter::run(run)).unwrap()[0];
    let name = skill.skill_name.as_deref().unwrap();
    assert!(
        name.contains("[secret:") && !name.contains("sk-abc"),
        "{name}"
    );
    let memory = &store.memory_events(&EventFilter::default()).unwrap()[0];
    assert!(memory.action.as_deref().unwrap().chars().count() <= 1024);
}

#[test]
fn without_a_layer_nothing_is_done() {
    every_one();
    work();
}

#[test]
fn what_comes_too_late_or_cannot_be_kept_is_counted() {
    let bench = Bench::new();
    bench.run(every_one);
    bench.telemetry.shutdown(crate::support::SOON).unwrap();
    tracing::dispatcher::with_default(&bench.dispatch, every_one);
    let events = bench.telemetry.stats().events;
    assert_eq!(
        (events.captured, events.written, events.in_flight),
        (10, 5, 0)
    );
    assert_eq!(events.dropped["after_shutdown"], 5);

    let folder = tempfile::tempdir().unwrap();
    let newer = folder.path().join("telemetry.db");
    let store = rusqlite::Connection::open(&newer).unwrap();
    store.pragma_update(None, "user_version", 99).unwrap();
    drop(store);
    let bench = Bench::with(|builder| builder.store_path(&newer));
    tracing::dispatcher::with_default(&bench.dispatch, every_one);
    let error = bench.telemetry.flush(crate::support::SOON).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Lost);
    let events = bench.telemetry.stats().events;
    assert_eq!((events.captured, events.in_flight), (5, 0));
    assert_eq!(events.dropped["store_error"], 5);
}

#[test]
fn many_threads_lose_none_of_them() {
    let bench = Bench::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                tracing::dispatcher::with_default(&bench.dispatch, || {
                    for _ in 0..250 {
                        event::feedback("thumbs_up");
                    }
                });
            });
        }
    });
    bench.telemetry.flush(crate::support::SOON).unwrap();
    let count: i64 = bench.sql("SELECT count(*) FROM tel_feedback_events");
    assert_eq!(count, 1000);
}
