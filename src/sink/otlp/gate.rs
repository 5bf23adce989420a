//! The entrance to the export queue: every span that does not get in is counted.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor,
};

use super::bridge::span_id;
use super::finished::Finished;
use super::tail::Tail;
use super::tally::{Door, Tally};

/// The SDK's batch processor behind a door of our own.
///
/// The SDK's queue drops silently when it is full. This door knows how many spans are under way and
/// never lets in more than the queue holds, so what is lost is lost here, and counted.
#[derive(Debug)]
pub(super) struct Gate {
    batches: BatchSpanProcessor,
    finished: Arc<Finished>,
    tally: Arc<Tally>,
    tail: Option<Arc<Tail>>,
}

/// Spans that may wait where the environment says nothing. Four times the SDK's default: an agent that
/// replays or fans out ends a session's thousands of spans at once.
const WAITING: usize = 8192;

/// The sizes of the queue, as the environment sets them for every OpenTelemetry SDK.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueueSize {
    waiting: usize,
    batch: usize,
}

impl Gate {
    pub(super) fn new(
        exporter: impl SpanExporter + 'static,
        size: QueueSize,
        finished: Arc<Finished>,
        tally: Arc<Tally>,
        tail: Option<Arc<Tail>>,
    ) -> Self {
        let config = BatchConfigBuilder::default()
            .with_max_queue_size(size.under_way())
            .with_max_export_batch_size(size.batch)
            .build();
        let batches = BatchSpanProcessor::builder(exporter)
            .with_batch_config(config)
            .build();
        Gate {
            batches,
            finished,
            tally,
            tail,
        }
    }
}

impl QueueSize {
    /// Reads `OTEL_BSP_MAX_QUEUE_SIZE` (8,192) and `OTEL_BSP_MAX_EXPORT_BATCH_SIZE` (512).
    pub(super) fn from_env() -> Self {
        let size = |name, default| {
            let set = std::env::var(name)
                .ok()
                .and_then(|value| value.trim().parse().ok());
            set.filter(|size: &usize| *size > 0).unwrap_or(default)
        };
        let waiting = size("OTEL_BSP_MAX_QUEUE_SIZE", WAITING);
        QueueSize {
            waiting,
            batch: size("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512).min(waiting),
        }
    }

    /// How many spans may be between their end and the collector's answer: those that wait, and
    /// the batch being sent.
    pub(super) fn under_way(self) -> usize {
        self.waiting.saturating_add(self.batch)
    }
}

impl SpanProcessor for Gate {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        // The SDK's processor would send spans that are recorded and not sampled.
        if !span.span_context.is_sampled() {
            return;
        }
        match self.tally.admit() {
            Door::Open => self.batches.on_end(span),
            door => {
                let id = span_id(span.span_context.span_id());
                let ended = id.and_then(|id| self.finished.take(id));
                let ours = id.filter(|_| ended.is_some());
                match &self.tail {
                    Some(tail) if door == Door::Full => {
                        let is_kept = self.tally.is_kept();
                        tail.missed_one(&span, ended.filter(|_| is_kept));
                        if ours.is_none() || !is_kept {
                            self.tally.turned_away(door, ours);
                        }
                    }
                    _ => self.tally.turned_away(door, ours),
                }
            }
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

#[cfg(test)]
mod tests {
    use super::QueueSize;

    #[test]
    fn the_batch_being_sent_does_not_take_the_place_of_those_that_wait() {
        let size = QueueSize {
            waiting: 8,
            batch: 4,
        };
        assert_eq!(size.under_way(), 12);
    }
}
