//! Every way out of the process, and nothing else: a record leaves only through a file of this folder.

mod backlog;
#[cfg(feature = "sqlite")]
mod debts;
mod event_log;
#[cfg(feature = "sqlite")]
mod keeper;
mod live;
#[cfg(feature = "otlp")]
pub(crate) mod otlp;
mod parcel;
mod recent;
#[cfg(feature = "sqlite")]
mod store;
#[cfg(not(feature = "otlp"))]
mod surrounding;
#[cfg(not(feature = "sqlite"))]
mod unprepared;

use std::fmt;
use std::sync::Arc;

use tracing::{Dispatch, span};

pub(crate) use backlog::Backlog;
#[cfg(feature = "sqlite")]
pub(crate) use event_log::LogReader;
pub(crate) use event_log::{EventLogSink, LogCounter, LogLimits};
#[cfg(feature = "sqlite")]
pub(crate) use keeper::{Keeper, StoreWishes};
pub use live::Batch;
pub(crate) use live::{Callback, LiveSink};
#[cfg(feature = "otlp-logs")]
pub(crate) use otlp::log::{Details, LogCounts, LogLine, LogOutlet, LogQueue, Wanted};
#[cfg(all(feature = "sqlite", feature = "otlp"))]
pub use otlp::preview::{PreviewAttribute, PreviewEvent, PreviewSpan, Why};
#[cfg(all(feature = "sqlite", feature = "otlp"))]
pub(crate) use otlp::preview::{previewed, previewed_resource};
#[cfg(feature = "otlp")]
pub(crate) use otlp::remote::{Held, Surrounding, hold};
pub(crate) use parcel::{Packer, Parcel};
pub(crate) use recent::{Recent, RecentLimits};
#[cfg(feature = "sqlite")]
use store::StoreSink;
#[cfg(feature = "sqlite")]
pub(crate) use store::{Preparer, rows};
#[cfg(not(feature = "otlp"))]
pub(crate) use surrounding::{Held, Surrounding, hold};

use crate::record::{Happening, SpanId, SpanRecord, TraceContext, TraceId};

/// A way out that the writer thread feeds, batch by batch.
pub(crate) trait Sink: Send {
    /// Whether what this sink takes counts as written: the store, where there is one.
    fn keeps(&self) -> bool {
        false
    }

    /// Takes a batch of records.
    fn write(&mut self, batch: &Parcel) -> Result<Outcome, SinkError>;

    /// Takes events that no span makes, cleaned by policy.
    fn note(&mut self, _events: &[Happening]) -> Result<Outcome, SinkError> {
        Ok(Outcome::default())
    }

    /// Told of ended spans that are lost to the queue, of some at least: where one was announced, no
    /// end comes for it.
    fn lost(&mut self, _records: &[Arc<SpanRecord>]) {}

    /// Called about once a second, and when nothing is to be written.
    fn tick(&mut self, _now_ns: i64, _losses: &[(&'static str, u64)]) {}

    /// Called once, after the last batch.
    fn close(&mut self) {}
}

/// What became of a batch that a sink took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    /// Records that could not be taken while the others were.
    pub(crate) refused: u64,
}

/// A span that is over and whose record is yet to be made: making it takes longer than the agent's
/// thread should wait.
pub(crate) trait Ended: Send + Sync + fmt::Debug {
    /// The span as it was.
    fn record(&self) -> Arc<SpanRecord>;

    /// Told by a reader that has the record and wants no more.
    fn release(self: Arc<Self>) {}

    /// The id under which the span is stored.
    fn span_id(&self) -> SpanId;

    /// Whether the store shows the span, or the run that it makes, as running: without its end it would
    /// run there for ever.
    fn is_missed(&self) -> bool;

    /// Whether it is but word that a stored span is to be taken out again.
    fn is_withdrawn(&self) -> bool;

    /// Whether nothing more can be learned of how the span turned out. While it can, the record may
    /// wait for a moment.
    fn is_settled(&self) -> bool {
        true
    }

    /// About how much memory its values take.
    fn bytes(&self) -> usize;
}

/// Why a sink did not take a batch.
#[derive(Clone, Debug)]
pub(crate) struct SinkError {
    /// Whether the same batch may succeed later: a locked file, a full disk.
    pub(crate) retryable: bool,
    pub(crate) message: String,
}

/// Told what becomes of exported spans.
pub(crate) trait ExportCounter: fmt::Debug + Send + Sync {
    /// Spans that every way out took.
    fn exported(&self, spans: u64);

    /// Spans that were not exported, or not everywhere; the reason is a word for counters.
    fn lost(&self, reason: &'static str, spans: u64);

    /// Spans that sampling keeps at home.
    fn sampled_out(&self, _spans: u64) {}

    /// Something the operator can mend, to be said once per kind.
    fn trouble(&self, kind: &'static str, message: &str);
}

/// The OTel side of a span, which runs beside capture on the caller's thread.
///
/// `tracing-opentelemetry` makes the spans; this is how capture learns their ids and ends them.
pub(crate) trait Wire: Send + Sync + fmt::Debug {
    /// The ids of the OTel span, which is started if it was not. `None`: there is no such span.
    fn ids(&self, id: &span::Id, dispatch: &Dispatch) -> Option<WireIds>;

    /// Ends the OTel span as the draft says.
    fn end(&self, id: &span::Id, dispatch: &Dispatch, end_ns: i64, draft: Arc<dyn Ended>);

    /// A span that the capture filter took out: it is not exported, its children move to `parent`.
    fn withdraw(&self, span: SpanId, parent: Option<SpanId>);

    /// What another process is told of a span; `None`: there is no such OTel span.
    fn context(&self, id: &span::Id, dispatch: &Dispatch) -> Option<TraceContext>;

    /// The span of another process that this thread is next to.
    fn remote(&self) -> Option<TraceContext>;

    /// A span that was withdrawn is exported after all.
    fn reinstate(&self, span: SpanId);

    /// Whether this thread runs inside OTel's telemetry-suppressed scope.
    fn is_suppressed(&self) -> bool;
}

/// The ids of an OTel span.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WireIds {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    /// Whether the span is to be exported.
    pub(crate) is_sampled: bool,
}
