//! Hermes listens to what it captures, and to nothing else.
//!
//! Alone in its binary: where another subscriber listens to a callsite, `tracing` asks all of them each time, and a
//! registry whose layers have filters of their own says yes to whatever it is asked.

use tracing::{Level, dispatcher};
use tracing_subscriber::layer::SubscriberExt;

#[test]
fn hermes_switches_on_no_callsite_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let builder = hermes::builder().store_path(folder.path().join("telemetry.db"));
    let (layer, telemetry) = builder.build().unwrap();
    let dispatch = dispatcher::Dispatch::new(tracing_subscriber::registry().with(layer));
    dispatcher::with_default(&dispatch, || {
        assert!(!tracing::info_span!("hermes.chat").is_disabled());
        assert!(tracing::info_span!("http.request").is_disabled());
        assert!(!tracing::enabled!(target: "h2::frame", Level::TRACE));
    });
    telemetry
        .shutdown(std::time::Duration::from_secs(5))
        .unwrap();
}
