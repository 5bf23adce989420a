//! Which callsites the layers are asked about: ours, and for OTel those around them.
//!
//! A layer without a filter switches on every TRACE callsite of the process; these answer once per
//! callsite, and others' callsites stay as they are.

use std::sync::Arc;

use tracing::subscriber::Interest;
use tracing::{Level, Metadata};
use tracing_subscriber::layer::{Context, Filter};

use super::CaptureFilter;
use super::callsite::Shape;
#[cfg(feature = "otlp")]
use super::layer::crate_of;

/// Lets capture see what may be ours, and switches on nothing else.
#[derive(Clone, Debug)]
pub(crate) struct OursFilter {
    filter: Arc<CaptureFilter>,
    captures_all: bool,
}

impl OursFilter {
    pub(super) fn new(filter: Arc<CaptureFilter>, captures_all: bool) -> Self {
        OursFilter {
            filter,
            captures_all,
        }
    }

    fn is_wanted(&self, metadata: &Metadata<'_>) -> bool {
        let may_be_ours = if metadata.is_event() {
            *metadata.level() <= Level::INFO
        } else {
            Shape::may_be_ours(metadata) || (self.captures_all && *metadata.level() <= Level::INFO)
        };
        may_be_ours && self.filter.may_keep(metadata)
    }
}

impl<S> Filter<S> for OursFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _context: &Context<'_, S>) -> bool {
        self.is_wanted(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.is_wanted(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }
}

/// Lets OTel see our spans and those of other libraries around them, down to INFO.
#[cfg(feature = "otlp")]
#[derive(Clone, Debug)]
pub(crate) struct ExportFilter(pub(crate) OursFilter);

#[cfg(feature = "otlp")]
impl ExportFilter {
    /// Targets that an export itself may pass through: exporting them would never end.
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

    fn is_wanted(&self, metadata: &Metadata<'_>) -> bool {
        // Events come from capture's own records; on other libraries' spans OTel keeps them.
        if Self::TRANSPORT.contains(&crate_of(metadata.target())) {
            return false;
        }
        let is_plain = *metadata.level() <= Level::INFO && self.0.filter.may_keep(metadata);
        is_plain || (metadata.is_span() && self.0.is_wanted(metadata))
    }
}

#[cfg(feature = "otlp")]
impl<S> Filter<S> for ExportFilter {
    fn enabled(&self, metadata: &Metadata<'_>, _context: &Context<'_, S>) -> bool {
        self.is_wanted(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.is_wanted(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }
}
