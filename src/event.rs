//! What happens to an agent outside of its spans, in one line each: messages, timers, skills, memory, feedback, errors.
//!
//! Each event is a row of its own table in the store, with the run that the code is part of. Without a
//! Hermes layer nothing is done, and nothing ever fails: what is lost is counted in
//! [`Stats::events`](crate::Stats::events). Secrets are redacted.
//!
//! ```
//! use hermes::event;
//!
//! event::gateway("telegram", "inbound", "ok").voice(true).attachments(2);
//! event::cron("daily_report", "ok");
//! event::skill("used", "spreadsheets");
//! event::memory("write", "ok");
//! event::feedback("thumbs_up");
//! event::error(hermes::ErrorClass::Network, "gateway", "retried");
//! ```
//!
//! What a function returns is recorded when it is dropped, which is at the end of the line, so that
//! what is seldom known can be added to it.

use std::sync::Arc;

use tracing::dispatcher;

use crate::capture::{Capture, Core};
use crate::record::{ErrorClass, Happening, RunId, What, now_ns};

/// A message came in or went out through a platform (`tel_gateway_events`): `telegram`, `slack`; `inbound`
/// or `outbound`; what came of it.
pub fn gateway(
    platform: impl AsRef<str>,
    direction: impl AsRef<str>,
    result: impl AsRef<str>,
) -> Gateway {
    Gateway(Event::new(|| What::Gateway {
        platform: platform.as_ref().to_owned(),
        direction: direction.as_ref().to_owned(),
        result: result.as_ref().to_owned(),
        voice: false,
        attachments: 0,
    }))
}

/// A timed job did something (`tel_cron_events`): which, and what came of it.
pub fn cron(kind: impl AsRef<str>, result: impl AsRef<str>) -> Event {
    Event::new(|| What::Cron {
        kind: kind.as_ref().to_owned(),
        result: result.as_ref().to_owned(),
    })
}

/// A skill was used, made or changed (`tel_skill_events`): what was done, and with which.
pub fn skill(action: impl AsRef<str>, skill_name: impl AsRef<str>) -> Event {
    Event::new(|| What::Skill {
        action: action.as_ref().to_owned(),
        skill_name: skill_name.as_ref().to_owned(),
    })
}

/// The memory was read or written (`tel_memory_events`): what was done, and what came of it.
pub fn memory(action: impl AsRef<str>, result: impl AsRef<str>) -> Event {
    Event::new(|| What::Memory {
        action: action.as_ref().to_owned(),
        result: result.as_ref().to_owned(),
    })
}

/// The user said how it was (`tel_feedback_events`): `thumbs_up`, `thumbs_down`, `rating_4`.
pub fn feedback(kind: impl AsRef<str>) -> Event {
    Event::new(|| What::Feedback {
        kind: kind.as_ref().to_owned(),
    })
}

/// Something failed that no span tells of (`tel_error_events`): why, where (`gateway`, `memory`), and what
/// was done about it (`retried`, `none`). Model and tool calls that fail tell of themselves.
pub fn error(
    class: impl Into<ErrorClass>,
    subsystem: impl AsRef<str>,
    recovery: impl AsRef<str>,
) -> Event {
    Event::new(|| What::Error {
        class: class.into(),
        subsystem: subsystem.as_ref().to_owned(),
        recovery: recovery.as_ref().to_owned(),
    })
}

/// An event, recorded when it is dropped.
#[derive(Debug)]
pub struct Event {
    /// `None`: nobody listens.
    happening: Option<(Arc<Core>, Happening)>,
}

/// An event of [`gateway`], recorded when it is dropped.
#[derive(Debug)]
pub struct Gateway(Event);

#[expect(
    clippy::must_use_candidate,
    reason = "it is recorded when it is dropped"
)]
#[expect(
    clippy::return_self_not_must_use,
    reason = "it is recorded when it is dropped"
)]
impl Event {
    fn new(what: impl FnOnce() -> What) -> Self {
        let happening = dispatcher::get_default(|dispatch| {
            let capture = dispatch.downcast_ref::<Capture>()?;
            let current = dispatch.current_span();
            let open = current
                .id()
                .and_then(|id| capture.find_nearest(dispatch, id));
            Some((Arc::clone(capture.core()), open.map(|open| open.run_id())))
        });
        Event {
            happening: happening.map(|(core, run_id)| {
                let happening = Happening {
                    ts_ns: now_ns(),
                    run_id,
                    what: what(),
                };
                (core, happening)
            }),
        }
    }

    /// When it happened, in nanoseconds since the Unix epoch, where that is not now.
    pub fn at_ns(mut self, ts_ns: i64) -> Self {
        if let Some((_, happening)) = &mut self.happening {
            happening.ts_ns = ts_ns;
        }
        self
    }

    /// The run that it belongs to, where that is not the current one.
    pub fn run_id(mut self, run_id: RunId) -> Self {
        if let Some((_, happening)) = &mut self.happening {
            happening.run_id = Some(run_id);
        }
        self
    }
}

#[expect(
    clippy::must_use_candidate,
    reason = "it is recorded when it is dropped"
)]
#[expect(
    clippy::return_self_not_must_use,
    reason = "it is recorded when it is dropped"
)]
impl Gateway {
    /// Whether the message was spoken. Default: no.
    pub fn voice(mut self, is_spoken: bool) -> Self {
        if let Some((_, happening)) = &mut self.0.happening
            && let What::Gateway { voice, .. } = &mut happening.what
        {
            *voice = is_spoken;
        }
        self
    }

    /// How many files came with it. Default: none.
    pub fn attachments(mut self, count: i64) -> Self {
        if let Some((_, happening)) = &mut self.0.happening
            && let What::Gateway { attachments, .. } = &mut happening.what
        {
            *attachments = count;
        }
        self
    }

    /// As [`Event::at_ns`].
    pub fn at_ns(self, ts_ns: i64) -> Self {
        Gateway(self.0.at_ns(ts_ns))
    }

    /// As [`Event::run_id`].
    pub fn run_id(self, run_id: RunId) -> Self {
        Gateway(self.0.run_id(run_id))
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        if let Some((core, happening)) = self.happening.take() {
            core.queue.happened(happening);
        }
    }
}
