//! Puts what is said in files beside what code and the environment say, and the outcome into effect.

use super::{ContentRedaction, Planes, Said, Scope, ScopeFile, Setting, Source, Spoken};
use crate::config::Config;

/// The variable whose headers beat those of the user's file.
const OTLP_HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";

impl Config {
    /// Takes what the files say, in its place among all that is said; `lookup` gives the value of a variable.
    ///
    /// What was read of environment and code stands in `self` already.
    pub(crate) fn settle(
        &mut self,
        user: Option<ScopeFile>,
        managed: ScopeFile,
        spoken: Spoken,
        lookup: impl Fn(&str) -> Option<String>,
    ) {
        let nothing = Scope::default();
        let file = user.as_ref().map_or(&nothing, |user| &user.scope);
        self.planes = self.resolve(file, &managed.scope, spoken);
        for said in [file.redact_secrets, managed.scope.redact_secrets] {
            if said == Said::Is(false) {
                self.warnings.push(
                    "`redact_secrets = false` has no effect: secrets are redacted in any case"
                        .to_owned(),
                );
                break;
            }
        }
        self.retention_days = self.planes.retention_days.said.value();
        self.max_bytes = self.planes.max_bytes.said.value();
        self.content_redaction = match self.planes.content_redaction.said {
            Said::Nothing => ContentRedaction::None,
            Said::Is(redaction) => redaction,
            // Whoever wrote something there wanted more than nothing.
            Said::Invalid => ContentRedaction::Pii,
        };
        self.settle_otlp();
        self.settle_headers(&lookup);
        for file in user.into_iter().chain([managed]) {
            self.warnings.extend(file.told.iter().cloned());
            self.files.push(file);
        }
    }

    fn resolve(&self, file: &Scope, managed: &Scope, spoken: Spoken) -> Planes {
        let export = &self.export;
        let wants_otlp = self.asks_for_otlp();
        let endpoint = export.traces_endpoint.as_ref().or(export.endpoint.as_ref());
        let endpoint = endpoint.map_or(Said::Nothing, |url| Said::Is(url.clone()));
        let endpoint_by = if spoken.endpoint_in_code {
            Source::Builder
        } else {
            Source::Environment
        };
        let said = |holds: bool| {
            if holds {
                Said::Is(wants_otlp)
            } else {
                Said::Nothing
            }
        };
        Planes {
            local: local(file.local, managed.local),
            allow_aggregate: pinned(file.allow_aggregate, managed.allow_aggregate),
            consent_state: pinned(file.consent_state, managed.consent_state),
            install_id: pinned(file.install_id.clone(), managed.install_id.clone()),
            retention_days: harmless(
                file.retention_days,
                managed.retention_days,
                spoken.retention_days,
            ),
            max_bytes: harmless(file.max_bytes, managed.max_bytes, spoken.max_bytes),
            redact_secrets: pinned(file.redact_secrets, managed.redact_secrets),
            content_redaction: pinned(file.content_redaction, managed.content_redaction),
            trajectories: pinned(file.trajectories, managed.trajectories),
            otlp_enabled: Setting::first([
                (managed.otlp_enabled, Source::Managed),
                (said(spoken.otlp_in_code), Source::Builder),
                (said(spoken.otlp_in_environment), Source::Environment),
                (file.otlp_enabled, Source::File),
                (said(wants_otlp), Source::Environment),
            ]),
            otlp_endpoint: Setting::first([
                (managed.otlp_endpoint.clone(), Source::Managed),
                (endpoint, endpoint_by),
                (file.otlp_endpoint.clone(), Source::File),
            ]),
            headers_env: pinned(file.headers_env.clone(), managed.headers_env.clone()),
            otlp_managed: match managed.otlp_endpoint {
                Said::Invalid => Said::Invalid,
                _ => managed.otlp_enabled,
            },
        }
    }

    fn asks_for_otlp(&self) -> bool {
        let exporters = self.export.exporters.iter().flatten();
        exporters.into_iter().any(|exporter| exporter.is_otlp())
    }

    /// What files say is asked for as if it had been said in the environment; what they forbid, the gate
    /// forbids.
    fn settle_otlp(&mut self) {
        let (enabled, endpoint) = (&self.planes.otlp_enabled, &self.planes.otlp_endpoint);
        if enabled.said == Said::Is(true) && !self.asks_for_otlp() {
            let otlp = self.export.otlp_protocol;
            self.export.exporters.get_or_insert_default().push(otlp);
        }
        match (endpoint.said.as_ref(), endpoint.source) {
            (Said::Is(url), Source::Managed) => {
                self.export.endpoint = Some(url.clone());
                self.export.traces_endpoint = None;
                self.export.logs.endpoint = None;
            }
            (Said::Is(url), Source::File) => self.export.endpoint = Some(url.clone()),
            _ => {}
        }
    }

    /// Reads the values of headers, here and now: they are held by the exporters alone. A header without a
    /// value is not sent.
    fn settle_headers(&mut self, lookup: &dyn Fn(&str) -> Option<String>) {
        let Setting { said, source } = self.planes.headers_env.clone();
        let in_environment = lookup(OTLP_HEADERS).unwrap_or_default();
        let is_in_environment = |header: &str| {
            let names = in_environment
                .split(',')
                .filter_map(|pair| pair.split_once('='));
            names
                .into_iter()
                .any(|(name, _)| name.trim().eq_ignore_ascii_case(header))
        };
        for (header, variable) in said.value().unwrap_or_default() {
            let is_managed = source == Source::Managed;
            if !is_managed && (self.export.headers.has(&header) || is_in_environment(&header)) {
                continue;
            }
            let value = lookup(&variable).map(|value| value.trim().to_owned());
            let why = match value {
                None => "is not set",
                Some(value) if value.is_empty() => "is empty",
                Some(value) if http::HeaderValue::from_str(&value).is_err() => {
                    "holds what no header can"
                }
                Some(value) => {
                    self.export.headers.set(&header, value);
                    continue;
                }
            };
            // Never another's value in its place.
            self.export.headers.remove(&header);
            self.warnings.push(format!(
                "export.otlp.headers_env.{header} ({source}): the variable {variable} {why}, so the header \
                 is not sent; set the variable, or take the key out"
            ));
        }
    }
}

/// The managed value, else the file's. What is invalid in the managed file does not give way to the user's.
fn pinned<T>(file: Said<T>, managed: Said<T>) -> Setting<T> {
    Setting::first([(managed, Source::Managed), (file, Source::File)])
}

/// Where the managed value cannot be read, a user's `false` still counts.
fn local(file: Said<bool>, managed: Said<bool>) -> Setting<bool> {
    match (managed, file) {
        (Said::Invalid, Said::Is(false)) => pinned(file, Said::Nothing),
        _ => pinned(file, managed),
    }
}

/// A setting that lets nothing out: what cannot be read of it gives way to whoever speaks next.
fn harmless<T>(file: Said<T>, managed: Said<T>, code: Option<T>) -> Setting<T> {
    let valid = |said: Said<T>| said.value().map_or(Said::Nothing, Said::Is);
    Setting::first([
        (valid(managed), Source::Managed),
        (code.map_or(Said::Nothing, Said::Is), Source::Builder),
        (valid(file), Source::File),
    ])
}
