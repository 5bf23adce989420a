//! Hands events to the export of log records: whose they are and where they stand, and what policy lets be
//! read of them.
//!
//! Nothing is formatted that may not leave, nothing at all where there is no room, and never under a lock.

mod around;
mod fields;
mod own;

use std::sync::Arc;
use std::time::SystemTime;

use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Context;

use around::Around;
use fields::{Fields, logged_target};
use own::OwnCrates;

use super::event::{crate_of, is_of_program};
use super::installed;
use super::interest::is_of_transport;
use super::{CaptureFilter, Core};
use crate::sink::{LogLine, LogQueue};

/// The layer that events pass on their way out.
#[derive(Debug)]
pub(crate) struct EventCapture {
    core: Arc<Core>,
    queue: Arc<LogQueue>,
    own: Arc<OwnCrates>,
}

/// Which events leave, asked once for each callsite.
#[derive(Clone, Debug)]
pub(crate) struct EventInterests {
    core: Arc<Core>,
    /// What the code asks for; `None`: what `HERMES_CAPTURE` says of events, else INFO and above.
    targets: Option<Targets>,
    own: Arc<OwnCrates>,
}

impl EventCapture {
    pub(crate) fn new(core: Arc<Core>, queue: Arc<LogQueue>) -> Self {
        installed::expect_lines();
        EventCapture {
            core,
            queue,
            own: Arc::default(),
        }
    }

    /// The filter that belongs to the layer.
    pub(crate) fn interests(&self, targets: Option<Targets>) -> EventInterests {
        EventInterests {
            core: Arc::clone(&self.core),
            targets,
            own: Arc::clone(&self.own),
        }
    }

    fn line(&self, event: &Event<'_>, logged: Option<String>) -> LogLine {
        let metadata = event.metadata();
        let target = logged.as_deref().unwrap_or(metadata.target());
        let around = self.core.dispatch();
        let around = around.map(|dispatch| Around::of(event, &dispatch));
        let around = around.unwrap_or_default();
        let is_own = around
            .inside
            .is_some_and(|open| is_of_program(target, &open))
            || self.own.has(crate_of(target));
        let mut fields = Fields::new(&self.core.policy, is_own, logged.is_some());
        event.record(&mut fields);
        LogLine {
            time: SystemTime::now(),
            level: *metadata.level(),
            name: given_name(metadata),
            ids: around.ids,
            is_sampled: around.is_sampled,
            message: fields.message,
            fields: fields.others,
            is_clean: false,
            target: logged.map_or(metadata.target().into(), Into::into),
        }
    }
}

impl EventInterests {
    /// Whether an event of this callsite leaves. Spans tell by passing whose code the program is.
    pub(crate) fn may_leave(&self, metadata: &Metadata<'_>) -> bool {
        if metadata.is_span() {
            self.own.see(metadata);
            return false;
        }
        let (target, level) = (metadata.target(), metadata.level());
        is_wanted(&self.core.filter, self.targets.as_ref(), target, *level)
            && !is_of_transport(target)
    }
}

/// Whether log records are wanted of what has this target and level: as the code asks for it, within what
/// `HERMES_CAPTURE` lets through.
pub(crate) fn is_wanted(
    filter: &CaptureFilter,
    targets: Option<&Targets>,
    target: &str,
    level: Level,
) -> bool {
    let said = filter.level_of_events(target);
    match targets {
        Some(targets) => {
            targets.would_enable(target, &level) && level <= said.unwrap_or(LevelFilter::TRACE)
        }
        None => level <= said.unwrap_or(LevelFilter::INFO),
    }
}

impl<S: Subscriber> Layer<S> for EventCapture {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        if LogQueue::is_suppressed() {
            return;
        }
        if self.core.queue.is_in_fork() {
            self.queue.lose_after_fork();
            return;
        }
        let logged = logged_target(event);
        // The filter has seen the target of an event of the `log` crate only where it was asked for it.
        if logged.as_deref().is_some_and(is_of_transport) {
            return;
        }
        if let Some(place) = self.queue.reserve() {
            place.fill(self.line(event, logged));
        }
    }
}

/// The name that an event's author gave it: the others are made of the place in the code.
fn given_name(metadata: &'static Metadata<'static>) -> Option<&'static str> {
    let name = metadata.name();
    let is_place = name.starts_with("event ")
        && metadata
            .line()
            .is_none_or(|line| name.ends_with(&format!(":{line}")));
    (!is_place && name != fields::LOG_EVENT).then_some(name)
}
