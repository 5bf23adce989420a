//! Which callsites the layers are asked about: ours, and for OTel those around them.
//!
//! A layer without a filter switches on every TRACE callsite of the process. These answer from what a
//! callsite declares alone, so `tracing` asks once per callsite and others' stay as they are.

use std::sync::Arc;

use tracing::{Level, Metadata};

use super::CaptureFilter;
#[cfg(feature = "otlp")]
use super::answers::{Answer, Answers};
use super::callsite::Dialects;
#[cfg(feature = "otlp")]
use super::event::crate_of;

/// What is asked of each callsite.
#[derive(Clone, Debug)]
pub(crate) struct Interests {
    filter: Arc<CaptureFilter>,
    captures_all: bool,
    dialects: Arc<Dialects>,
    #[cfg(feature = "otlp")]
    answers: Arc<Answers>,
}

impl Interests {
    pub(super) fn new(
        filter: Arc<CaptureFilter>,
        captures_all: bool,
        dialects: Arc<Dialects>,
    ) -> Self {
        Interests {
            filter,
            captures_all,
            dialects,
            #[cfg(feature = "otlp")]
            answers: Arc::default(),
        }
    }

    /// Whether capture is to see it: a span that may be ours, or an event that may stand in one.
    pub(crate) fn is_captured(&self, metadata: &Metadata<'_>) -> bool {
        let is_plain = *metadata.level() <= Level::INFO;
        let may_be_ours = if metadata.is_event() {
            is_plain || self.dialects.speak_of(metadata)
        } else {
            self.dialects.speak_of(metadata) || (self.captures_all && is_plain)
        };
        may_be_ours && self.filter.may_keep(metadata)
    }

    /// What holds for a callsite, asked when it is met first; later it is found again.
    #[cfg(feature = "otlp")]
    pub(crate) fn meet(&self, metadata: &'static Metadata<'static>) -> bool {
        let answer = self.ask(metadata);
        self.answers.put(metadata, answer);
        answer.is_captured || answer.is_exported
    }

    /// Whether capture or OTel is to see it.
    #[cfg(feature = "otlp")]
    pub(crate) fn is_seen(&self, metadata: &Metadata<'_>) -> bool {
        let answer = self.answer(metadata);
        answer.is_captured || answer.is_exported
    }

    /// The same as [`Interests::is_captured`], for whoever asks at every span.
    #[cfg(feature = "otlp")]
    #[inline]
    pub(super) fn captures(&self, metadata: &Metadata<'_>) -> bool {
        self.answer(metadata).is_captured
    }

    /// Whether OTel is to see it, for whoever asks at every span.
    #[cfg(feature = "otlp")]
    #[inline]
    pub(crate) fn exports(&self, metadata: &Metadata<'_>) -> bool {
        self.answer(metadata).is_exported
    }

    #[cfg(not(feature = "otlp"))]
    pub(super) fn captures(&self, metadata: &Metadata<'_>) -> bool {
        self.is_captured(metadata)
    }

    #[cfg(feature = "otlp")]
    #[inline]
    fn answer(&self, metadata: &Metadata<'_>) -> Answer {
        self.answers
            .get(metadata)
            .unwrap_or_else(|| self.ask(metadata))
    }

    #[cfg(feature = "otlp")]
    #[cold]
    fn ask(&self, metadata: &Metadata<'_>) -> Answer {
        Answer {
            is_captured: self.is_captured(metadata),
            is_exported: self.is_exported(metadata),
        }
    }

    /// Whether OTel is to see it: our spans, and those of other libraries around them down to INFO.
    #[cfg(feature = "otlp")]
    fn is_exported(&self, metadata: &Metadata<'_>) -> bool {
        if is_of_transport(metadata.target()) {
            return false;
        }
        let is_plain = *metadata.level() <= Level::INFO && self.filter.may_keep(metadata);
        is_plain || (metadata.is_span() && self.is_captured(metadata))
    }
}

/// Whether a target is one that an export itself may pass through. OpenTelemetry's crates call theirs by
/// the names of packages.
#[cfg(feature = "otlp")]
pub(crate) fn is_of_transport(target: &str) -> bool {
    let name = crate_of(target);
    TRANSPORT.contains(&name)
        || name.starts_with("opentelemetry-")
        || name == "tracing-opentelemetry"
}

/// Targets that an export itself may pass through: exporting them would never end.
#[cfg(feature = "otlp")]
const TRANSPORT: [&str; 9] = [
    "h2",
    "hyper",
    "hyper_util",
    "opentelemetry",
    "opentelemetry_otlp",
    "opentelemetry_sdk",
    "rustls",
    "tonic",
    "ureq",
];
