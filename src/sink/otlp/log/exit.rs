//! The ways out for log records: as those for spans, over the same client and the same gRPC thread.

use std::fmt::Debug;
use std::sync::Arc;

use opentelemetry::InstrumentationScope;
use opentelemetry_otlp::LogExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter as _, SdkLogRecord};

use super::console::Console;
use crate::config::{ExportConfig, Exporter};
use crate::policy::Permit;
use crate::sink::otlp::closing::Closing;
use crate::sink::otlp::http::Post;
use crate::sink::otlp::line::{Patience, Undelivered, block_on};
use crate::sink::otlp::signal::LOGS;
use crate::sink::otlp::transport::Transport;

/// Log records that leave together; shared, for they may have to be sent again.
pub(super) type Batch = Arc<Vec<SdkLogRecord>>;

/// A way out of the process for log records.
pub(super) trait LogExit: Debug + Send {
    /// Sends a batch, and comes back within a time of its own.
    fn send(&self, batch: &Batch, patience: Patience) -> Result<(), Undelivered>;

    /// Where it leads, without secrets.
    fn destination(&self) -> String;
}

/// Makes a way out; connects to nothing yet.
pub(super) fn build(
    permit: &Permit,
    config: &ExportConfig,
    transport: &Transport,
    closing: &Arc<Closing>,
    resource: &Resource,
) -> Result<Box<dyn LogExit>, String> {
    match permit.exporter() {
        Exporter::Console => Ok(Box::new(Console::new(permit, resource))),
        Exporter::OtlpHttp => {
            let builder = LogExporter::builder().with_http();
            let (builder, post) = Post::set_up(permit, builder, LOGS, config, transport, closing)?;
            let mut exporter = builder.build().map_err(|error| post.told(&error))?;
            exporter.set_resource(resource);
            Ok(Box::new(Http { exporter, post }))
        }
        Exporter::OtlpGrpc => grpc::build(permit, config, transport, resource),
    }
}

/// The way out over HTTP.
#[derive(Debug)]
struct Http {
    exporter: LogExporter,
    post: Post,
}

impl LogExit for Http {
    fn send(&self, batch: &Batch, patience: Patience) -> Result<(), Undelivered> {
        self.post.begin(patience);
        let outcome = block_on(export(&self.exporter, batch));
        self.post.outcome(outcome, batch.len())
    }

    fn destination(&self) -> String {
        self.post.destination()
    }
}

/// Each record's own target stands for the scope, so this one has nothing to say but the rest.
async fn export(exporter: &LogExporter, batch: &Batch) -> OTelSdkResult {
    let scope = InstrumentationScope::default();
    let records: Vec<_> = batch.iter().map(|record| (record, &scope)).collect();
    exporter.export(LogBatch::new(&records)).await
}

#[cfg(feature = "otlp-grpc")]
mod grpc {
    //! The way out over gRPC.

    use std::sync::Arc;

    use opentelemetry_otlp::{ExporterBuildError, LogExporter};
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::error::OTelSdkResult;

    use super::{Batch, LogExit, export};
    use crate::config::ExportConfig;
    use crate::policy::Permit;
    use crate::sink::otlp::grpc::{Courier, Grpc, Setup};
    use crate::sink::otlp::line::{Patience, Undelivered, block_on};
    use crate::sink::otlp::signal::{LOGS, Signal};
    use crate::sink::otlp::transport::Transport;

    pub(super) fn build(
        permit: &Permit,
        config: &ExportConfig,
        transport: &Transport,
        resource: &Resource,
    ) -> Result<Box<dyn LogExit>, String> {
        let grpc = Grpc::<LogExporter>::build(permit, config, transport)?;
        grpc.tell(resource);
        Ok(Box::new(grpc))
    }

    impl Courier for LogExporter {
        type Batch = Batch;

        const SIGNAL: Signal = LOGS;

        fn build(setup: Setup<'_>) -> Result<Self, ExporterBuildError> {
            setup
                .applied_to(LogExporter::builder().with_tonic())
                .build()
        }

        fn set_resource(&mut self, resource: &Resource) {
            opentelemetry_sdk::logs::LogExporter::set_resource(self, resource);
        }

        async fn carry(&self, batch: Batch) -> OTelSdkResult {
            export(self, &batch).await
        }
    }

    impl LogExit for Grpc<LogExporter> {
        fn send(&self, batch: &Batch, _: Patience) -> Result<(), Undelivered> {
            block_on(self.pass_on(Arc::clone(batch), batch.len()))
        }

        fn destination(&self) -> String {
            self.shown().to_owned()
        }
    }
}

#[cfg(not(feature = "otlp-grpc"))]
mod grpc {
    //! Stands in for the twin with gRPC.

    use opentelemetry_sdk::Resource;

    use super::LogExit;
    use crate::config::ExportConfig;
    use crate::policy::Permit;
    use crate::sink::otlp::transport::Transport;

    pub(super) fn build(
        _: &Permit,
        _: &ExportConfig,
        _: &Transport,
        _: &Resource,
    ) -> Result<Box<dyn LogExit>, String> {
        Err("gRPC export needs the cargo feature `otlp-grpc`".to_owned())
    }
}
