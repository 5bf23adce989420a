//! Subscribers in this process: finished spans in batches, one's failure its own.

use std::sync::{Arc, Mutex};

use crate::support::{Bench, script};

#[test]
fn a_subscriber_gets_every_finished_span() {
    let names = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&names);
    let bench = Bench::with(|builder| {
        builder
            .subscribe(|_| panic!("my own fault"))
            .subscribe(move |batch| {
                seen.lock()
                    .unwrap()
                    .extend(batch.spans().iter().map(|span| span.name.clone()));
            })
    });
    bench.run(script::session);
    bench.run(script::session);
    let names = names.lock().unwrap();
    assert_eq!(names.len(), 12);
    assert_eq!(names[0], "chat gpt-4o");
    assert_eq!(names[5], "hermes.session");
    assert_eq!(
        bench.telemetry.stats().written,
        12,
        "the store goes on beside a broken subscriber"
    );
}
