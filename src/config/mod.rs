//! Settings as plain values; the environment is read here and nowhere else, save for what the OTLP
//! exporters read for themselves (`OTEL_BSP_*`, timeouts, certificates), as OpenTelemetry's own do.
//!
//! Names and defaults are those of the contract's section 4. A value that cannot be read gives a
//! warning that names the variable, the value and what is used instead; it never stops the agent.

mod class;
mod content;
mod environment;
mod headers;
mod log_export;
mod planes;
mod sampling;
mod tail;

use std::path::PathBuf;

pub use class::ContentClass;
pub(crate) use class::{ClassWishes, Classes, ContentRules};
pub use content::ContentCapture;
pub(crate) use content::{Content, Placement};
use environment::Environment;
use headers::Headers;
pub(crate) use log_export::LogConfig;
pub use log_export::LogExport;
pub(crate) use planes::scope as read_scope;
pub use planes::{ConsentState, Source};
pub(crate) use planes::{
    ContentRedaction, FILE, MANAGED, Planes, Said, Scope, ScopeFile, ScopeState, Setting, Spoken,
};
pub(crate) use sampling::{HeadRule, HeadSampling, SamplerWords};
pub use tail::TailSampling;

use crate::diagnostic::Verbosity;
use crate::policy::without_secrets;
use crate::record::Value;
use crate::semconv::{Naming, Profile};

/// Everything the environment says.
#[derive(Debug)]
pub(crate) struct Config {
    /// False turns everything off, the store too.
    pub(crate) enabled: bool,
    pub(crate) content: Content,
    /// What code says of single kinds of content.
    pub(crate) content_classes: ClassWishes,
    /// What is taken out beside secrets.
    pub(crate) content_redaction: ContentRedaction,
    pub(crate) capture_filter: Option<String>,
    /// The folder of what Hermes keeps, `HERMES_HOME`; `None`: there is none.
    pub(crate) home: Option<PathBuf>,
    pub(crate) store_path: Option<PathBuf>,
    pub(crate) event_log: EventLog,
    /// How many days runs are kept; `None`: not said.
    pub(crate) retention_days: Option<u32>,
    /// How large the store may be; `None`: not said.
    pub(crate) max_bytes: Option<u64>,
    pub(crate) verbosity: Verbosity,
    pub(crate) log_file: Option<PathBuf>,
    pub(crate) export: ExportConfig,
    /// What is said of planes and consent, and by whom.
    pub(crate) planes: Planes,
    /// The file of settings that the user may change; `None`: there is no place for it.
    pub(crate) user_file: Option<PathBuf>,
    /// The files that were read for it.
    pub(crate) files: Vec<ScopeFile>,
    /// What could not be read, to be said once diagnostics are up.
    pub(crate) warnings: Vec<String>,
}

/// Where the event log is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum EventLog {
    /// There is none.
    #[default]
    Off,
    /// `events.jsonl` in the folder of the store.
    BesideStore,
    /// In this file.
    At(PathBuf),
}

/// What leaves the process, and where to.
#[derive(Clone, Debug, Default)]
pub(crate) struct ExportConfig {
    /// `OTEL_SDK_DISABLED`: nothing leaves, whatever else is said.
    pub(crate) disabled: bool,
    /// `None`: not said; OTLP where an endpoint is known, else nothing.
    pub(crate) exporters: Option<Vec<Exporter>>,
    /// Whether `HERMES_OTEL_EXPORTER` says which.
    pub(crate) is_said: bool,
    /// What the word `otlp` means: HTTP, or gRPC where `OTEL_EXPORTER_OTLP_PROTOCOL` says so.
    pub(crate) otlp_protocol: Exporter,
    /// A base URL, to which `/v1/traces` is added.
    pub(crate) endpoint: Option<String>,
    /// An URL that is used as it is.
    pub(crate) traces_endpoint: Option<String>,
    pub(crate) headers: Headers,
    pub(crate) naming: Naming,
    pub(crate) head: HeadSampling,
    pub(crate) sampler: SamplerWords,
    /// `None`: what a sampler let start, leaves.
    pub(crate) tail: Option<TailSampling>,
    pub(crate) resource: Vec<(String, Value)>,
    pub(crate) logs: LogConfig,
}

/// A way out of the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Exporter {
    /// One JSON line a span on stderr.
    Console,
    /// OTLP over HTTP/protobuf.
    #[default]
    OtlpHttp,
    /// OTLP over gRPC.
    OtlpGrpc,
}

impl Config {
    /// Reads the environment of this process.
    pub(crate) fn from_env() -> Self {
        Self::read(variable)
    }

    /// Reads an environment; `lookup` gives the value of a variable.
    pub(crate) fn read(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let mut env = Environment {
            lookup,
            warnings: Vec::new(),
        };
        let verbosity = env
            .parsed("HERMES_LOG_LEVEL", "warn", Verbosity::named)
            .unwrap_or_default();
        let enabled = env.flag("HERMES_OTEL_ENABLED", true);
        let content = env.content();
        let otlp_protocol = env
            .otlp_protocol("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
            .unwrap_or_default();
        let sampler = SamplerWords {
            name: env.get("OTEL_TRACES_SAMPLER"),
            share: env.get("OTEL_TRACES_SAMPLER_ARG"),
        };
        let export = ExportConfig {
            disabled: env.flag("OTEL_SDK_DISABLED", false),
            exporters: env.exporters(otlp_protocol),
            is_said: env.get("HERMES_OTEL_EXPORTER").is_some(),
            otlp_protocol,
            endpoint: env.get("OTEL_EXPORTER_OTLP_ENDPOINT"),
            traces_endpoint: env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"),
            headers: Headers::default(),
            naming: env.naming(),
            head: sampler.read(
                ["OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"],
                &mut env.warnings,
            ),
            sampler,
            tail: None,
            resource: env.resource(),
            logs: env.logs(),
        };
        Config {
            enabled,
            content,
            content_classes: ClassWishes::new(),
            content_redaction: ContentRedaction::default(),
            capture_filter: env.get("HERMES_CAPTURE"),
            home: env.home(),
            store_path: env.store_path(),
            event_log: env.event_log(),
            retention_days: None,
            max_bytes: None,
            verbosity,
            log_file: env.get("HERMES_OTEL_LOG_FILE").map(PathBuf::from),
            export,
            planes: Planes::default(),
            user_file: None,
            files: Vec::new(),
            warnings: env.warnings,
        }
    }
}

impl Config {
    /// The file of the event log, where one is wanted and there is a place for it.
    pub(crate) fn event_log_path(&self) -> Option<PathBuf> {
        match &self.event_log {
            EventLog::Off => None,
            EventLog::BesideStore => {
                let store = self.store_path.as_ref()?;
                Some(store.with_file_name("events.jsonl"))
            }
            EventLog::At(path) => Some(path.clone()),
        }
    }

    /// Takes the sampler from code, as far as it is stated there.
    pub(crate) fn read_sampler(&mut self, name: Option<String>, share: Option<f64>) {
        if name.is_none() && share.is_none() {
            return;
        }
        let words = &mut self.export.sampler;
        words.name = name.or(words.name.take());
        words.share = share.map(|share| share.to_string()).or(words.share.take());
        let called = ["traces_sampler", "traces_sampler_arg"];
        self.export.head = words.read(called, &mut self.warnings);
    }

    /// Takes the profile from code.
    pub(crate) fn read_naming(&mut self, name: &str, list: &str) {
        self.export.naming = naming_of(name, list, &mut self.warnings);
    }
}

/// The value of a variable of this process.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

impl ExportConfig {
    /// The ways out that are asked for; which of them are open, the gate says.
    pub(crate) fn chosen(&self) -> Vec<Exporter> {
        if self.disabled {
            return Vec::new();
        }
        match &self.exporters {
            Some(exporters) => exporters.clone(),
            None => Vec::new(),
        }
    }
}

impl Exporter {
    pub(crate) const fn is_otlp(self) -> bool {
        matches!(self, Exporter::OtlpHttp | Exporter::OtlpGrpc)
    }
}

/// Reads the words of `HERMES_OTEL_EXPORTER`; the second part lists those that are unknown.
pub(crate) fn exporters_named(list: &str, otlp: Exporter) -> (Vec<Exporter>, Vec<String>) {
    let (mut exporters, mut unknown) = (Vec::new(), Vec::new());
    let list = without_secrets(list);
    for word in list
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
    {
        let exporter = match word.to_ascii_lowercase().as_str() {
            "none" => continue,
            "console" => Exporter::Console,
            "otlp" => otlp,
            "otlp_http" | "otlp_proto_http" => Exporter::OtlpHttp,
            "otlp_grpc" | "otlp_proto_grpc" | "grpc" => Exporter::OtlpGrpc,
            _ => {
                unknown.push(word.to_owned());
                continue;
            }
        };
        if !exporters.contains(&exporter) {
            exporters.push(exporter);
        }
    }
    (exporters, unknown)
}

/// Reads a list of profiles; `name` is what the list is called in warnings.
fn naming_of(name: &str, list: &str, warnings: &mut Vec<String>) -> Naming {
    let mut naming = Naming::default();
    let mut base: Option<Profile> = None;
    let list = without_secrets(list);
    for word in list
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
    {
        let lower = word.to_ascii_lowercase();
        if lower == "openinference" {
            naming.openinference = true;
        } else if let Some(profile) = Profile::named(&lower) {
            match base {
                Some(first) if first != profile => warnings.push(format!(
                    "{name}={list:?} names two base profiles; using the first one"
                )),
                _ => base = Some(profile),
            }
        } else {
            warnings.push(format!(
                "{name}={word:?} is not one of hermes, genai, genai-1.41, genai-1.36, \
                 hermes-classic, openinference; using the others, or hermes"
            ));
        }
    }
    naming.profile = base.unwrap_or_default();
    naming
}

/// Sets a resource attribute, replacing what it was.
pub(crate) fn set(resource: &mut Vec<(String, Value)>, key: &str, value: Value) {
    match resource.iter_mut().find(|(known, _)| known == key) {
        Some(slot) => slot.1 = value,
        None => resource.push((key.to_owned(), value)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Config, Content, Exporter, LogExport, Placement};
    use crate::record::Value;
    use crate::semconv::Profile;

    fn config(pairs: &[(&str, &str)]) -> Config {
        Config::read(|name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn an_empty_environment_keeps_a_store_and_sends_nothing() {
        let config = config(&[("HOME", "/home/ada")]);
        assert!(config.enabled);
        assert_eq!(config.content, Content::Off);
        assert!(config.export.chosen().is_empty());
        let path = config.store_path.unwrap();
        assert_eq!(
            path,
            std::path::Path::new("/home/ada/.hermes/telemetry/telemetry.db")
        );
        assert!(config.warnings.is_empty());
    }

    #[test]
    fn an_endpoint_alone_turns_otlp_on() {
        let with = |pairs| config(pairs).export.chosen();
        assert_eq!(
            with(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318")]),
            [Exporter::OtlpHttp]
        );
        assert_eq!(
            with(&[
                ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4317"),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ]),
            [Exporter::OtlpGrpc]
        );
        assert_eq!(
            with(&[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"),
                ("HERMES_OTEL_EXPORTER", "none")
            ]),
            []
        );
        assert_eq!(
            with(&[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"),
                ("OTEL_SDK_DISABLED", "true")
            ]),
            []
        );
        assert_eq!(
            with(&[("HERMES_OTEL_EXPORTER", "console, otlp_grpc")]),
            [Exporter::Console, Exporter::OtlpGrpc]
        );
    }

    #[test]
    fn log_records_leave_only_where_they_are_asked_for() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318");
        let with = |pairs: &[_]| config(pairs).export.chosen_for_logs();
        assert_eq!(with(&[endpoint]), []);
        let asked = ("OTEL_LOGS_EXPORTER", "otlp,Console");
        let http = [Exporter::Console, Exporter::OtlpHttp];
        assert_eq!(with(&[endpoint, asked]), http);
        let grpc = [Exporter::Console, Exporter::OtlpGrpc];
        let said = ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "grpc");
        assert_eq!(with(&[asked, said]), grpc);
        let spans = ("HERMES_OTEL_EXPORTER", "otlp_grpc");
        assert_eq!(with(&[asked, spans]), grpc, "as spans go");
        assert_eq!(with(&[asked, ("OTEL_SDK_DISABLED", "true")]), []);
        assert_eq!(with(&[("OTEL_LOGS_EXPORTER", "none")]), []);
        let mut export = config(&[]).export;
        export.logs.set(LogExport::from(true));
        assert_eq!(export.chosen_for_logs(), [Exporter::OtlpHttp]);
        export.logs.set(LogExport::from(false));
        assert_eq!(export.chosen_for_logs(), []);
    }

    #[test]
    fn the_two_content_variables_decide_together() {
        let content = |ours: &str, otel: &str| {
            config(&[
                ("HERMES_OTEL_CAPTURE_CONTENT", ours),
                ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", otel),
            ])
            .content
        };
        let both = Placement {
            on_span: true,
            on_event: true,
        };
        assert_eq!(content("", ""), Content::Off);
        assert_eq!(content("true", ""), Content::Exported(Placement::ON_SPAN));
        assert_eq!(content("local", "SPAN_ONLY"), Content::Local);
        assert_eq!(content("false", "SPAN_ONLY"), Content::Off);
        assert_eq!(content("", "span_and_event"), Content::Exported(both));
        assert_eq!(content("true", "SPAN_AND_EVENT"), Content::Exported(both));
        assert_eq!(content("true", "NO_CONTENT"), Content::Local);
        assert_eq!(content("", "NO_CONTENT"), Content::Off);
    }

    #[test]
    fn the_event_log_is_off_beside_the_store_or_where_it_is_said_to_be() {
        let path = |value: &str| {
            let config = config(&[("HERMES_HOME", "/h"), ("HERMES_EVENT_LOG", value)]);
            assert!(config.warnings.is_empty());
            config.event_log_path()
        };
        assert_eq!(path(""), None);
        assert_eq!(path("off"), None);
        assert_eq!(path("On"), Some("/h/telemetry/events.jsonl".into()));
        assert_eq!(
            path("/var/log/agent.jsonl"),
            Some("/var/log/agent.jsonl".into())
        );
        let moved = config(&[
            ("HERMES_TELEMETRY_DB", "agent.db"),
            ("HERMES_EVENT_LOG", "1"),
        ]);
        assert_eq!(moved.event_log_path(), Some("events.jsonl".into()));
    }

    #[test]
    fn two_base_profiles_leave_the_first_and_a_warning() {
        let config = config(&[("HERMES_OTEL_SEMCONV", "genai,openinference,hermes")]);
        assert_eq!(config.export.naming.profile, Profile::GenAi);
        assert!(config.export.naming.openinference);
        assert_eq!(config.warnings.len(), 1);
    }

    #[test]
    fn every_unreadable_value_is_named_with_what_is_used_instead() {
        let config = config(&[
            ("HERMES_OTEL_ENABLED", "maybe"),
            ("HERMES_OTEL_CAPTURE_CONTENT", "some"),
            ("HERMES_OTEL_SEMCONV", "latest"),
            ("HERMES_OTEL_EXPORTER", "zipkin"),
            ("HERMES_LOG_LEVEL", "loud"),
            ("OTEL_RESOURCE_ATTRIBUTES", "broken"),
            ("OTEL_LOGS_EXPORTER", "syslog"),
        ]);
        assert!(config.enabled);
        assert_eq!(config.warnings.len(), 7, "{:?}", config.warnings);
        assert!(
            config.warnings.iter().any(|warning| warning
                == "HERMES_OTEL_ENABLED=\"maybe\" is not true or false; using true")
        );
    }

    #[test]
    fn a_secret_that_its_list_tells_of_is_not_told_when_the_list_is_split() {
        let pairs = r#"[{"name": "password", "value": "hunter22"}, {"name": "b"}]"#;
        for name in [
            "HERMES_OTEL_EXPORTER",
            "HERMES_OTEL_SEMCONV",
            "OTEL_LOGS_EXPORTER",
            "OTEL_RESOURCE_ATTRIBUTES",
        ] {
            let told = config(&[(name, pairs)]).warnings;
            assert!(!told.is_empty(), "{name}");
            assert!(!format!("{told:?}").contains("hunter22"), "{told:?}");
        }
    }

    #[test]
    fn resource_attributes_are_decoded_and_the_service_name_wins() {
        let config = config(&[
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "service.name=a,team=red%20blue,share=100%",
            ),
            ("OTEL_SERVICE_NAME", "b"),
        ]);
        assert_eq!(
            config.export.resource,
            [
                ("service.name".to_owned(), Value::from("b")),
                ("team".to_owned(), Value::from("red blue")),
                ("share".to_owned(), Value::from("100%")),
            ]
        );
    }
}
