//! Every answer that is no plain yes.

use std::time::Duration;

use crate::agent::{Bench, SESSION, assert_whole, session, tick};
use crate::collector::{Collector, Reply};

/// The spans of one session, as they are counted.
const COUNT: u64 = SESSION as u64;

#[test]
fn a_collector_that_asks_for_patience_is_left_alone_for_so_long() {
    for status in [429, 503] {
        let collector = Collector::start().first([Reply::Later(status, 3)]);
        let bench = Bench::new(&collector.endpoint());
        bench.run(session);
        let stats = bench.stats();
        assert_eq!(
            (stats.exported, stats.export_pending),
            (0, COUNT),
            "{status}"
        );
        // What ends meanwhile is not sent either.
        bench.run(session);
        assert_whole(&collector.wait_for(2 * SESSION), &bench.stored());
        let times = collector.times();
        let pause = times[1] - times[0];
        assert!(pause >= Duration::from_secs(3), "{pause:?} after {status}");
        bench.wait_until(|stats| stats.exported == 2 * COUNT);
    }
}

#[test]
fn a_short_pause_is_waited_for() {
    let collector = Collector::start().first([Reply::Later(429, 1)]);
    let bench = Bench::new(&collector.endpoint());
    bench.run(session);
    assert_eq!(bench.stats().exported, COUNT, "within the flush");
    assert_eq!(collector.seen().len(), 2);
}

#[test]
fn what_may_be_tried_again_is_tried_until_it_is_taken() {
    for reply in [
        Reply::Status(429),
        Reply::Status(502),
        Reply::Status(503),
        Reply::Status(504),
        Reply::Close,
    ] {
        // More often than the first sending is tried.
        let collector = Collector::start().first(std::iter::repeat_n(reply, 5));
        let bench = Bench::new(&collector.endpoint());
        bench.run(session);
        assert_eq!(bench.stats().export_pending, COUNT, "{reply:?}");
        assert_whole(&collector.wait_for(SESSION), &bench.stored());
        // Not the other way round: what is delivered is counted before it is no longer pending.
        let stats = bench.wait_until(|stats| stats.export_pending == 0);
        assert_eq!(stats.exported, COUNT, "{reply:?}");
        assert!(stats.export_dropped.is_empty(), "{reply:?}: {stats:?}");
    }
}

#[test]
fn what_is_refused_for_good_is_counted_and_not_sent_again() {
    for status in [400, 401, 403, 404, 408, 500] {
        let collector = Collector::start().first([Reply::Status(status)]);
        let bench = Bench::new(&collector.endpoint());
        bench.run(session);
        let stats = bench.stats();
        assert_eq!(stats.export_dropped["otlp_http"], COUNT, "{status}");
        assert_eq!(stats.export_pending, 0, "{status}");
        bench.run(session);
        assert_eq!(bench.stats().exported, COUNT);
        assert_eq!(collector.spans().len(), SESSION, "{status}");
        assert_eq!(collector.seen().len(), 2, "{status}");
    }
}

#[test]
fn a_web_page_is_no_delivery() {
    let collector = Collector::start().always(Reply::Page);
    let bench = Bench::new(&collector.endpoint());
    bench.run(session);
    let stats = bench.stats();
    assert_eq!((stats.exported, stats.export_pending), (0, 0));
    assert_eq!(stats.export_dropped["otlp_http"], COUNT);
}

#[test]
fn an_answer_that_cannot_be_read_makes_nothing_come_twice() {
    for reply in [Reply::Garbage, Reply::CutShort] {
        let collector = Collector::start().first([reply]);
        let bench = Bench::new(&collector.endpoint());
        bench.run(session);
        bench.run(session);
        assert_eq!(bench.stats().exported, 2 * COUNT, "{reply:?}");
        assert_whole(&collector.spans(), &bench.stored());
    }
}

#[test]
fn encryption_that_the_other_side_does_not_speak_loses_nothing() {
    let collector = Collector::start();
    let secure = collector.endpoint().replace("http:", "https:");
    let bench = Bench::new(&secure);
    bench.run(session);
    let stats = bench.stats();
    assert_eq!((stats.exported, stats.export_pending), (0, COUNT));
    assert!(stats.export_dropped.is_empty(), "{stats:?}");
    assert!(collector.spans().is_empty());
}

#[test]
fn a_batch_that_is_too_large_comes_in_parts() {
    let collector = Collector::start().always(Reply::AtMost(100));
    let bench = Bench::new(&collector.endpoint());
    bench.run(|| (0..1000).for_each(|_| tick()));
    assert_whole(&collector.wait_for(1000), &bench.stored());
    let stats = bench.wait_until(|stats| stats.exported == 1000);
    assert!(stats.export_dropped.is_empty(), "{stats:?}");
}

#[test]
fn a_span_that_is_too_large_alone_is_given_up() {
    let collector = Collector::start().always(Reply::AtMost(0));
    let bench = Bench::new(&collector.endpoint());
    bench.run(session);
    let stats = bench.wait_until(|stats| stats.export_pending == 0);
    assert_eq!(stats.export_dropped["otlp_http"], COUNT);
}

#[test]
fn a_span_that_breaks_the_collector_does_not_hold_up_the_others() {
    let collector = Collector::start().always(Reply::CloseOn("hermes.tool.clock"));
    let bench = Bench::new(&collector.endpoint());
    bench.run(session);
    assert_eq!(bench.stats().export_pending, COUNT);
    // What ends now is taken: so it is not the collector.
    let stats = bench.wait_until(|stats| {
        let is_done = stats.export_pending == 0;
        if !is_done {
            bench.run(tick);
        }
        is_done
    });
    assert_eq!(stats.export_dropped["otlp_undeliverable"], 1, "{stats:?}");
    let kept = bench.stored();
    let others: Vec<_> = kept
        .into_iter()
        .filter(|span| span.name != "hermes.tool.clock")
        .collect();
    assert_whole(&collector.spans(), &others);
}
