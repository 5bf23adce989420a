//! What one process could not deliver another one does: real processes, ended well or killed.

use std::time::Instant;

use crate::agent::{SESSION, assert_whole, stored};
use crate::child::{Process, store_of};
use crate::collector::{Collector, Reply, SOON, behind_tls, endpoint, free_port};

#[test]
fn otlp_collector_down_over_restarts_every_span_arrives_once_and_the_tree_is_whole() {
    let home = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut ended = 0;
    for sessions in [5, 200, 1] {
        let told = Process::start(home.path(), &endpoint(port), sessions, "exit", &[]).end();
        ended += sessions * SESSION;
        assert_eq!(told.of("exported"), 0);
        assert_eq!(told.dropped(), 0, "{told:?}");
    }
    let collector = Collector::start_at(port);
    let last = Process::start(home.path(), &endpoint(port), 1, "deliver", &[]);
    let sent = collector.wait_for(ended + SESSION);
    let told = last.end();
    assert_whole(&sent, &stored(&store_of(home.path())));
    assert_eq!(told.of("exported"), (ended + SESSION) as u64);
    assert_eq!((told.of("pending"), told.dropped()), (0, 0), "{told:?}");
    // Nothing is left for a next one.
    let told = Process::start(home.path(), &endpoint(port), 1, "exit", &[]).end();
    assert_eq!(told.of("exported"), SESSION as u64);
    assert_whole(&collector.spans(), &stored(&store_of(home.path())));
}

#[test]
fn what_a_killed_process_had_not_delivered_is_sent_and_what_it_left_open_is_its_frame() {
    let home = tempfile::tempdir().unwrap();
    let port = free_port();
    let mut killed = Process::start(home.path(), &endpoint(port), 2, "hang", &[]);
    killed.wait_for_line("hanging");
    // Shown as running, and its children stored: all that a kill can leave.
    let all = 4 * SESSION + 2;
    wait_until_stored(home.path(), all);
    killed.kill();

    let collector = Collector::start_at(port);
    let last = Process::start(home.path(), &endpoint(port), 1, "deliver", &[]);
    let sent = collector.wait_for(all + SESSION);
    last.end();
    let kept = stored(&store_of(home.path()));
    assert_whole(&sent, &kept);
    let roots = sent.iter().filter(|span| span.parent_span_id.is_empty());
    assert_eq!(roots.count(), 2 + 1 + 1, "and no span without its parent");
}

#[test]
fn processes_that_share_a_store_send_nothing_twice() {
    let home = tempfile::tempdir().unwrap();
    let port = free_port();
    for _ in 0..3 {
        Process::start(home.path(), &endpoint(port), 100, "exit", &[]).end();
    }
    let collector = Collector::start_at(port);
    let start = || Process::start(home.path(), &endpoint(port), 100, "deliver", &[]);
    let processes: Vec<_> = (0..3).map(|_| start()).collect();
    let sent = collector.wait_for(6 * 100 * SESSION);
    let exported: u64 = processes
        .into_iter()
        .map(|process| process.end().of("exported"))
        .sum();
    assert_whole(&sent, &stored(&store_of(home.path())));
    assert_eq!(exported, sent.len() as u64);
    assert_eq!(collector.spans().len(), sent.len());
}

#[test]
fn another_endpoint_gets_what_the_former_missed() {
    let home = tempfile::tempdir().unwrap();
    Process::start(home.path(), &endpoint(free_port()), 3, "exit", &[]).end();
    let collector = Collector::start();
    let last = Process::start(home.path(), &collector.endpoint(), 0, "deliver", &[]);
    let sent = collector.wait_for(3 * SESSION);
    last.end();
    assert_whole(&sent, &stored(&store_of(home.path())));
}

#[test]
fn content_that_was_kept_local_never_leaves_whatever_is_said_later() {
    const CONTENT: &str = "HERMES_OTEL_CAPTURE_CONTENT";
    for (then, now, leaves) in [
        ("local", "true", false),
        ("true", "local", false),
        ("true", "true", true),
    ] {
        let home = tempfile::tempdir().unwrap();
        let down = endpoint(free_port());
        Process::start(home.path(), &down, 1, "exit", &[(CONTENT, then)]).end();
        let collector = Collector::start();
        let up = collector.endpoint();
        let last = Process::start(home.path(), &up, 0, "deliver", &[(CONTENT, now)]);
        let sent = collector.wait_for(SESSION);
        last.end();
        let said = format!("{sent:?}").contains("what time is it");
        assert_eq!(said, leaves, "{then}, then {now}");
        assert!(format!("{:?}", stored(&store_of(home.path()))).contains("what time is it"));
    }
}

#[test]
fn a_collector_that_hangs_holds_up_nothing_but_its_own_thread() {
    let home = tempfile::tempdir().unwrap();
    let collector = Collector::start().first([Reply::Hang, Reply::Hang]);
    let environment = [("OTEL_EXPORTER_OTLP_TIMEOUT", "300")];
    let up = collector.endpoint();
    let process = Process::start(home.path(), &up, 2, "deliver", &environment);
    let sent = collector.wait_for(2 * SESSION);
    let told = process.end();
    assert_whole(&sent, &stored(&store_of(home.path())));
    assert_eq!(told.of("exported"), sent.len() as u64);
    assert_eq!((told.of("pending"), told.dropped()), (0, 0), "{told:?}");
}

#[test]
fn a_certificate_that_nobody_knows_loses_nothing_and_is_mended_by_naming_it() {
    let home = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let secure = format!("https://127.0.0.1:{}", behind_tls(collector.port()));
    let told = Process::start(home.path(), &secure, 2, "exit", &[]).end();
    assert_eq!(told.of("pending"), 2 * SESSION as u64);
    assert_eq!(told.dropped(), 0, "{told:?}");
    assert!(collector.spans().is_empty());

    let certificate = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/outage/certificate/collector.pem"
    );
    let environment = [("OTEL_EXPORTER_OTLP_CERTIFICATE", certificate)];
    let last = Process::start(home.path(), &secure, 0, "deliver", &environment);
    let sent = collector.wait_for(2 * SESSION);
    last.end();
    assert_whole(&sent, &stored(&store_of(home.path())));
}

#[test]
fn what_is_not_sampled_is_not_owed() {
    let home = tempfile::tempdir().unwrap();
    let down = endpoint(free_port());
    let environment = [("OTEL_TRACES_SAMPLER", "always_off")];
    let told = Process::start(home.path(), &down, 3, "exit", &environment).end();
    assert_eq!((told.of("pending"), told.dropped()), (0, 0), "{told:?}");
    let collector = Collector::start();
    let up = collector.endpoint();
    let told = Process::start(home.path(), &up, 1, "exit", &[]).end();
    assert_eq!(told.of("exported"), SESSION as u64);
    assert_eq!(collector.spans().len(), SESSION);
    assert_eq!(stored(&store_of(home.path())).len(), 4 * SESSION);
}

#[test]
fn collector_down_exit_of_a_whole_process_is_quick() {
    let home = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let down = endpoint(free_port());
    let told = Process::start(home.path(), &down, 20, "exit", &[]).end();
    let took = begun.elapsed();
    assert_eq!(told.of("pending"), 20 * SESSION as u64);
    assert!(took.as_secs_f64() < 6.5, "{took:?}, start and all");
}

#[test]
fn a_queue_that_is_too_small_is_made_good_from_the_store() {
    let home = tempfile::tempdir().unwrap();
    let slowly = Reply::Slowly(std::time::Duration::from_millis(20));
    let collector = Collector::start().always(slowly);
    let environment = [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "16"),
        ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "8"),
    ];
    let up = collector.endpoint();
    let process = Process::start(home.path(), &up, 200, "deliver", &environment);
    let sent = collector.wait_for(200 * SESSION);
    let told = process.end();
    assert_whole(&sent, &stored(&store_of(home.path())));
    assert_eq!(told.of("exported"), sent.len() as u64);
    assert_eq!(told.dropped(), 0, "{told:?}");
}

fn wait_until_stored(home: &std::path::Path, spans: usize) {
    let begun = Instant::now();
    let count = || {
        let store = rusqlite::Connection::open(store_of(home)).ok()?;
        let sql = "SELECT count(*) FROM tel_spans";
        store.query_row(sql, [], |row| row.get::<_, i64>(0)).ok()
    };
    while count() != i64::try_from(spans).ok() {
        assert!(begun.elapsed() < SOON, "{:?} spans stored", count());
        std::thread::yield_now();
    }
}
