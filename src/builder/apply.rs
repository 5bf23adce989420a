//! What is set in code beats the environment.

use super::Builder;
use crate::config::{self, Config, EventLog};
use crate::policy::clean_resource;
use crate::record::Value;

impl Builder {
    /// Takes what is set in code; what is not stays as the environment has it.
    pub(super) fn apply_to(&mut self, config: &mut Config) {
        config.store_path = self.store_path.take().or(config.store_path.take());
        if let Some(path) = self.event_log.take() {
            config.event_log = EventLog::At(path);
        }
        config.retention_days = self.retention_days.or(config.retention_days);
        config.max_bytes = self.max_bytes.or(config.max_bytes);
        config.capture_filter = self.capture_filter.take().or(config.capture_filter.take());
        if let Some(content) = self.content {
            config.content = config.content.set(content);
        }
        config.content_classes.append(&mut self.content_classes);
        let export = &mut config.export;
        if let Some(list) = self.exporters.take() {
            let (exporters, unknown) = config::exporters_named(&list, export.otlp_protocol);
            for word in unknown {
                config.warnings.push(format!(
                    "exporter {word:?} is not one of console, otlp, otlp_grpc, none; ignored"
                ));
            }
            export.exporters = Some(exporters);
        }
        if let Some(endpoint) = self.otlp_endpoint.take() {
            let otlp = export.otlp_protocol;
            export.endpoint = Some(endpoint);
            export.traces_endpoint = None;
            export.logs.endpoint = None;
            let exporters = export.exporters.get_or_insert_default();
            if !exporters.iter().any(|exporter| exporter.is_otlp()) {
                exporters.push(otlp);
            }
        }
        config.export.tail = self.tail_sampling.take();
        if let Some(wish) = self.log_export.take() {
            config.export.logs.set(wish);
        }
        config.read_sampler(self.traces_sampler.take(), self.traces_sampler_arg);
        if let Some(semconv) = self.semconv.take() {
            config.read_naming("semconv", &semconv);
        }
        let export = &mut config.export;
        export.headers.append(&mut self.otlp_headers);
        for (key, value) in self.resource.drain(..) {
            config::set(&mut export.resource, &key, value);
        }
        if let Some(version) = self.service_version.take() {
            config::set(
                &mut export.resource,
                "service.version",
                Value::from(version),
            );
        }
        if let Some(name) = self.service_name.take() {
            config::set(&mut export.resource, "service.name", Value::from(name));
        }
        if !export.resource.iter().any(|(key, _)| key == "service.name") {
            config::set(
                &mut export.resource,
                "service.name",
                Value::from("hermes-agent"),
            );
        }
        clean_resource(&mut export.resource);
    }
}
