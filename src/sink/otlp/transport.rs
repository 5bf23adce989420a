//! What the operator's `OTEL_EXPORTER_OTLP_*` variables say about the connection to the collector.

use std::time::Duration;

use super::signal::Signal;
use crate::sink::ExportCounter;

/// OpenTelemetry's default time for one batch.
const TIMEOUT: Duration = Duration::from_secs(10);
const KIND: &str = "otlp_environment";

/// The connection as the environment wants it.
#[derive(Clone, Debug)]
pub(super) struct Transport {
    /// The time one request may take, and about the time one batch may take with its retries.
    pub(super) timeout: Duration,
    /// The certificates to trust instead of the built-in ones, as PEM.
    pub(super) trusted: Option<Vec<u8>>,
}

impl Transport {
    /// Reads the environment; what cannot be used is told and left out.
    pub(super) fn from_env(counter: &dyn ExportCounter, signal: Signal) -> Self {
        let get = |name: &str| std::env::var(name).ok();
        let setting = |setting| variable(signal, setting, &get);
        if let Some((name, value)) = setting("COMPRESSION")
            && !["none", "gzip"]
                .iter()
                .any(|known| value.eq_ignore_ascii_case(known))
        {
            counter.trouble(
                KIND,
                &format!("{name}={value:?} is not gzip or none; using none"),
            );
        }
        for unsupported in ["CLIENT_KEY", "CLIENT_CERTIFICATE"] {
            if let Some((name, _)) = setting(unsupported) {
                let message = format!("{name} is set, but client certificates are not supported");
                counter.trouble(KIND, &message);
            }
        }
        Transport {
            timeout: setting("TIMEOUT").map_or(TIMEOUT, |(name, value)| {
                milliseconds(&value).unwrap_or_else(|| {
                    let message =
                        format!("{name}={value:?} is not a number of milliseconds; using 10000");
                    counter.trouble(KIND, &message);
                    TIMEOUT
                })
            }),
            trusted: setting("CERTIFICATE").and_then(|(name, path)| {
                std::fs::read(&path)
                    .inspect_err(|error| {
                        let message = format!(
                            "{name}={path:?} cannot be read ({error}); using the built-in certificates"
                        );
                        counter.trouble(KIND, &message);
                    })
                    .ok()
            }),
        }
    }
}

/// A setting for one signal, else the one for every signal; an empty value counts as unset.
fn variable(
    signal: Signal,
    setting: &str,
    get: &dyn Fn(&str) -> Option<String>,
) -> Option<(String, String)> {
    let own = format!("OTEL_EXPORTER_OTLP_{}_{setting}", signal.word);
    [own, format!("OTEL_EXPORTER_OTLP_{setting}")]
        .into_iter()
        .find_map(|name| {
            let value = get(&name)?.trim().to_owned();
            (!value.is_empty()).then_some((name, value))
        })
}

fn milliseconds(value: &str) -> Option<Duration> {
    // Zero would mean that nothing is ever delivered.
    value
        .parse()
        .ok()
        .filter(|ms| *ms > 0)
        .map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{milliseconds, variable};
    use crate::sink::otlp::signal::TRACES;

    #[test]
    fn what_is_said_for_traces_counts_first() {
        let get = |name: &str| match name {
            "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT" => Some("250".to_owned()),
            "OTEL_EXPORTER_OTLP_TIMEOUT" | "OTEL_EXPORTER_OTLP_COMPRESSION" => Some("x".to_owned()),
            "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION" => Some(" ".to_owned()),
            _ => None,
        };
        assert_eq!(variable(TRACES, "TIMEOUT", &get).unwrap().1, "250");
        assert_eq!(
            variable(TRACES, "COMPRESSION", &get).unwrap().0,
            "OTEL_EXPORTER_OTLP_COMPRESSION"
        );
        assert_eq!(variable(TRACES, "CERTIFICATE", &get), None);
    }

    #[test]
    fn a_timeout_is_a_positive_number_of_milliseconds() {
        assert_eq!(milliseconds("250"), Some(Duration::from_millis(250)));
        assert_eq!(milliseconds("0"), None);
        assert_eq!(milliseconds("10s"), None);
    }
}
