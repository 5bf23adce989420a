//! Reads variables: each by its own rule, and with a warning where a value makes no sense.

use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use super::{Content, EventLog, Exporter, LogConfig, Placement, exporters_named, naming_of, set};
use crate::policy::without_secrets;
use crate::record::Value;
use crate::semconv::Naming;

/// The environment, and what could not be read of it.
pub(super) struct Environment<L> {
    pub(super) lookup: L,
    pub(super) warnings: Vec<String>,
}

impl<L: Fn(&str) -> Option<String>> Environment<L> {
    /// The value of a variable; an empty one counts as unset, as OpenTelemetry has it.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        (self.lookup)(name)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty())
    }

    fn warn(&mut self, name: &str, value: &str, expected: &str, used: &str) {
        self.warnings
            .push(format!("{name}={value:?} is not {expected}; using {used}"));
    }

    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        default: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.get(name)?;
        let parsed = parse(&value);
        if parsed.is_none() {
            self.warn(name, &value, "a value of this variable", default);
        }
        parsed
    }

    pub(super) fn flag(&mut self, name: &str, default: bool) -> bool {
        let Some(value) = self.get(name) else {
            return default;
        };
        if is_yes(&value) {
            true
        } else if is_no(&value) {
            false
        } else {
            self.warn(
                name,
                &value,
                "true or false",
                if default { "true" } else { "false" },
            );
            default
        }
    }

    pub(super) fn content(&mut self) -> Content {
        const OURS: &str = "HERMES_OTEL_CAPTURE_CONTENT";
        let placement = self.placement();
        match self.get(OURS) {
            // The OTel variable alone opens content too: whoever sets it asks for content.
            None => match placement {
                Some(placement) if placement != Placement::NOWHERE => Content::Exported(placement),
                _ => Content::Off,
            },
            Some(value) if is_yes(&value) => match placement {
                Some(Placement::NOWHERE) => Content::Local,
                placement => Content::Exported(placement.unwrap_or(Placement::ON_SPAN)),
            },
            Some(value) if value.eq_ignore_ascii_case("local") => Content::Local,
            Some(value) => {
                if !is_no(&value) {
                    self.warn(OURS, &value, "true, false or local", "false");
                }
                Content::Off
            }
        }
    }

    fn placement(&mut self) -> Option<Placement> {
        const NAME: &str = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
        let value = self.get(NAME)?;
        Some(match value.to_ascii_lowercase().as_str() {
            "span_only" => Placement::ON_SPAN,
            "event_only" => Placement {
                on_span: false,
                on_event: true,
            },
            "span_and_event" => Placement {
                on_span: true,
                on_event: true,
            },
            "no_content" => Placement::NOWHERE,
            other if is_yes(other) => Placement::ON_SPAN,
            other if is_no(other) => Placement::NOWHERE,
            _ => {
                self.warn(
                    NAME,
                    &value,
                    "NO_CONTENT, SPAN_ONLY, EVENT_ONLY or SPAN_AND_EVENT",
                    "NO_CONTENT",
                );
                Placement::NOWHERE
            }
        })
    }

    pub(super) fn exporters(&mut self, otlp: Exporter) -> Option<Vec<Exporter>> {
        const NAME: &str = "HERMES_OTEL_EXPORTER";
        let Some(value) = self.get(NAME) else {
            // Not said: OTLP where an endpoint is, by the protocol asked for.
            let has_endpoint = self.get("OTEL_EXPORTER_OTLP_ENDPOINT").is_some()
                || self.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT").is_some();
            return has_endpoint.then(|| vec![otlp]);
        };
        let (exporters, unknown) = exporters_named(&value, otlp);
        for word in &unknown {
            let used = if exporters.is_empty() {
                "none"
            } else {
                "the others"
            };
            self.warn(NAME, word, "one of console, otlp, otlp_grpc, none", used);
        }
        Some(exporters)
    }

    /// What is said of log records, which leave only where somebody asks for it.
    pub(super) fn logs(&mut self) -> LogConfig {
        const NAME: &str = "OTEL_LOGS_EXPORTER";
        let mut logs = LogConfig {
            protocol: self.otlp_protocol("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL"),
            endpoint: self.get("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"),
            ..LogConfig::default()
        };
        let list = without_secrets(&self.get(NAME).unwrap_or_default());
        let words = list.split(',').map(str::trim);
        let mut unknown = Vec::new();
        for word in words.filter(|word| !word.is_empty()) {
            match word.to_ascii_lowercase().as_str() {
                "otlp" => logs.to_otlp = true,
                "console" => logs.to_console = true,
                "none" => {}
                _ => unknown.push(word),
            }
        }
        let is_any = logs.to_otlp || logs.to_console;
        let used = if is_any { "the others" } else { "none" };
        for word in unknown {
            self.warn(NAME, word, "one of otlp, console, none", used);
        }
        logs
    }

    /// The protocol for one signal, by its own variable or by that for all of them; `None`: neither says.
    pub(super) fn otlp_protocol(&mut self, own: &str) -> Option<Exporter> {
        for name in [own, "OTEL_EXPORTER_OTLP_PROTOCOL"] {
            let Some(value) = self.get(name) else {
                continue;
            };
            match value.to_ascii_lowercase().as_str() {
                "grpc" => return Some(Exporter::OtlpGrpc),
                "http/protobuf" => return Some(Exporter::OtlpHttp),
                _ => {
                    self.warn(name, &value, "http/protobuf or grpc", "http/protobuf");
                    return Some(Exporter::OtlpHttp);
                }
            }
        }
        None
    }

    pub(super) fn naming(&mut self) -> Naming {
        const NAME: &str = "HERMES_OTEL_SEMCONV";
        let Some(value) = self.get(NAME) else {
            return Naming::default();
        };
        naming_of(NAME, &value, &mut self.warnings)
    }

    pub(super) fn resource(&mut self) -> Vec<(String, Value)> {
        const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
        let mut resource: Vec<(String, Value)> = Vec::new();
        if let Some(list) = self.get(NAME) {
            for (key, value) in list.split(',').filter_map(pair) {
                let text = percent_decode_str(value).decode_utf8_lossy().into_owned();
                set(&mut resource, key, Value::from(text));
            }
            // What tells of a secret may stand in the words beside it.
            let is_clean = without_secrets(&list) == list;
            for word in list.split(',') {
                if pair(word).is_none() && !word.trim().is_empty() {
                    let word = if is_clean { word } else { "…" };
                    self.warn(NAME, word, "key=value", "the other pairs");
                }
            }
        }
        if let Some(name) = self.get("OTEL_SERVICE_NAME") {
            set(&mut resource, "service.name", Value::from(name));
        }
        resource
    }

    pub(super) fn event_log(&self) -> EventLog {
        match self.get("HERMES_EVENT_LOG") {
            None => EventLog::Off,
            Some(value) if is_no(&value) => EventLog::Off,
            Some(value) if is_yes(&value) => EventLog::BesideStore,
            Some(path) => EventLog::At(PathBuf::from(path)),
        }
    }

    /// The folder of what Hermes keeps.
    pub(super) fn home(&self) -> Option<PathBuf> {
        if let Some(home) = self.get("HERMES_HOME") {
            return Some(PathBuf::from(home));
        }
        let home = self.get("HOME").map(PathBuf::from);
        Some(home.or_else(std::env::home_dir)?.join(".hermes"))
    }

    pub(super) fn store_path(&self) -> Option<PathBuf> {
        if let Some(path) = self.get("HERMES_TELEMETRY_DB") {
            return Some(PathBuf::from(path));
        }
        let home = self.home()?;
        Some(home.join("telemetry").join("telemetry.db"))
    }
}

/// A key and its value.
fn pair(text: &str) -> Option<(&str, &str)> {
    let (key, value) = text.split_once('=')?;
    let (key, value) = (key.trim(), value.trim());
    (!key.is_empty()).then_some((key, value))
}

/// Words for true.
fn is_yes(value: &str) -> bool {
    ["true", "1", "yes", "on"]
        .iter()
        .any(|word| value.eq_ignore_ascii_case(word))
}

/// Words for false.
fn is_no(value: &str) -> bool {
    ["false", "0", "no", "off"]
        .iter()
        .any(|word| value.eq_ignore_ascii_case(word))
}
