//! Makes the ways out that the configuration names, as often as they are wanted.

use std::sync::Arc;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::Sampler;

use super::closing::Closing;
use super::console::Console;
use super::http::Http;
use super::line::{Exit, Line};
use super::reach::Reach;
use super::rename::key_values;
use super::signal::TRACES;
use super::transport::Transport;
use crate::config::{ExportConfig, Exporter, HeadRule, HeadSampling};
use crate::policy::Permit;
use crate::sink::ExportCounter;

/// What every way out is made from.
pub(super) struct Setup<'c> {
    config: &'c ExportConfig,
    transport: Transport,
    closing: Arc<Closing>,
    /// The exporters in use, by leave of the gate, and what is known of the collector of each.
    exporters: Vec<(Permit, Arc<Reach>)>,
}

impl<'c> Setup<'c> {
    /// `None` where nothing is to be exported.
    pub(super) fn read(
        config: &'c ExportConfig,
        permits: Vec<Permit>,
        counter: &dyn ExportCounter,
        closing: &Arc<Closing>,
    ) -> Option<Self> {
        if permits.is_empty() {
            return None;
        }
        let exporters = permits.into_iter();
        Some(Setup {
            config,
            transport: Transport::from_env(counter, TRACES),
            closing: Arc::clone(closing),
            exporters: exporters.map(|permit| (permit, Arc::default())).collect(),
        })
    }

    /// Every way out. One that cannot be made is told to `counter` and left out.
    pub(super) fn lines(&self, counter: &dyn ExportCounter) -> Vec<Line> {
        let mut lines = Vec::with_capacity(self.exporters.len());
        for (permit, reach) in &self.exporters {
            match self.exit(permit) {
                Ok(exit) => {
                    let closing = Arc::clone(&self.closing);
                    lines.push(Line::new(exit, Arc::clone(reach), closing));
                }
                Err(why) => {
                    counter.trouble("otlp_setup", &format!("{why}; nothing is exported by it"));
                }
            }
        }
        lines
    }

    /// The ways out over OTLP once more, for what is sent again.
    #[cfg(feature = "sqlite")]
    pub(super) fn lines_again(&self) -> Vec<Line> {
        let resource = self.resource();
        let over_otlp = |(permit, reach): &(Permit, Arc<Reach>)| {
            let is_otlp = permit.exporter().is_otlp();
            let exit = is_otlp.then(|| self.exit(permit).ok())??;
            let mut line = Line::new(exit, Arc::clone(reach), Arc::clone(&self.closing));
            line.set_resource(&resource);
            Some(line)
        };
        self.exporters.iter().filter_map(over_otlp).collect()
    }

    /// What all spans of this process are about.
    pub(super) fn resource(&self) -> Resource {
        resource(self.config)
    }

    fn exit(&self, permit: &Permit) -> Result<Box<dyn Exit>, String> {
        match permit.exporter() {
            Exporter::Console => Ok(Box::new(Console::new(permit))),
            Exporter::OtlpHttp => Http::build(permit, self.config, &self.transport, &self.closing)
                .map(|http| Box::new(http) as _),
            Exporter::OtlpGrpc => self.grpc(permit),
        }
    }

    #[cfg(feature = "otlp-grpc")]
    fn grpc(&self, permit: &Permit) -> Result<Box<dyn Exit>, String> {
        type Spans = super::grpc::Grpc<opentelemetry_otlp::SpanExporter>;
        Spans::build(permit, self.config, &self.transport).map(|grpc| Box::new(grpc) as _)
    }

    #[cfg(not(feature = "otlp-grpc"))]
    #[expect(clippy::unused_self, reason = "stands in for the twin with gRPC")]
    fn grpc(&self, _: &Permit) -> Result<Box<dyn Exit>, String> {
        Err("gRPC export needs the cargo feature `otlp-grpc`".to_owned())
    }
}

/// What everything that leaves this process is about.
pub(super) fn resource(config: &ExportConfig) -> Resource {
    let said = config.resource.iter();
    let said = said.map(|(key, value)| (key.clone().into(), value.clone()));
    Resource::builder_empty()
        .with_detector(Box::new(TelemetryResourceDetector))
        .with_attributes(key_values(said))
        .build()
}

/// The sampler that the configuration asks for.
pub(super) fn sampler(head: HeadSampling) -> Sampler {
    let sampler = match head.rule {
        HeadRule::All => Sampler::AlwaysOn,
        HeadRule::None => Sampler::AlwaysOff,
        HeadRule::Ratio(ratio) => Sampler::TraceIdRatioBased(ratio),
    };
    if head.follows_parent {
        Sampler::ParentBased(Box::new(sampler))
    } else {
        sampler
    }
}
