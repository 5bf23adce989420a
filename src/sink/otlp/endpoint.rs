//! Where a collector is: its URL taken apart, so that no secret in it is ever printed.

use base64::Engine;
use base64::prelude::BASE64_STANDARD as STANDARD;
use http::Uri;
use percent_encoding::percent_decode_str;

use super::signal::{Signal, TRACES};
use crate::config::ExportConfig;

const HTTP_DEFAULT: &str = "http://localhost:4318";
#[cfg(feature = "otlp-grpc")]
const GRPC_DEFAULT: &str = "http://localhost:4317";

/// The address of a collector.
#[derive(Clone)]
pub(super) struct Endpoint {
    /// The URL to send to, without userinfo.
    pub(super) url: String,
    /// The value of the `Authorization` header that stands for the URL's userinfo.
    pub(super) authorization: Option<String>,
    /// The URL without userinfo and query, for people.
    pub(super) shown: String,
}

impl Endpoint {
    /// The headers that go with every request: what the URL says of who asks, then the configuration's.
    pub(super) fn headers<'a>(
        &'a self,
        config: &'a ExportConfig,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let from_url = self.authorization.as_deref();
        let said = config.headers.iter();
        from_url
            .map(|value| ("authorization", value))
            .into_iter()
            .chain(said)
    }

    /// Where OTLP over HTTP goes. A base URL gets the path of the signal; the URL that was said for
    /// the signal alone is used as it is.
    pub(super) fn http(config: &ExportConfig, signal: Signal) -> Result<Self, String> {
        let (said, path) = match (signal.own_endpoint)(config) {
            Some(url) => (url, ""),
            None => (
                config.endpoint.as_deref().unwrap_or(HTTP_DEFAULT),
                signal.path,
            ),
        };
        Self::parse(said, path)
            .filter(|endpoint| {
                ["http://", "https://"]
                    .iter()
                    .any(|s| endpoint.url.starts_with(s))
            })
            .ok_or_else(|| unusable(said, HTTP_DEFAULT))
    }

    /// Where OTLP over gRPC goes. Without a scheme the SDK takes https, or http where
    /// `OTEL_EXPORTER_OTLP_INSECURE` says so.
    #[cfg(feature = "otlp-grpc")]
    pub(super) fn grpc(config: &ExportConfig, signal: Signal) -> Result<Self, String> {
        let said = (signal.own_endpoint)(config).or(config.endpoint.as_deref());
        let said = said.unwrap_or(GRPC_DEFAULT);
        Self::parse(said, "").ok_or_else(|| unusable(said, GRPC_DEFAULT))
    }

    fn parse(text: &str, path: &str) -> Option<Self> {
        let uri: Uri = text.trim().parse().ok()?;
        let authority = uri.authority()?.as_str();
        let (userinfo, host) = match authority.rsplit_once('@') {
            Some((userinfo, host)) => (Some(userinfo), host),
            None => (None, authority),
        };
        if host.is_empty() || host.starts_with(':') {
            return None;
        }
        let scheme = uri
            .scheme_str()
            .map_or_else(String::new, |scheme| format!("{scheme}://"));
        let mut full_path = uri.path().to_owned();
        // The SDK adds no slash to a lone host, and a base URL may end in any number of them.
        if full_path == "/" || !path.is_empty() {
            full_path.truncate(full_path.trim_end_matches('/').len());
        }
        if !full_path.ends_with(path) {
            // Whoever says where traces go has said the base of the others too.
            if let Some(base) = full_path.strip_suffix(TRACES.path) {
                full_path.truncate(base.len());
            }
            full_path.push_str(path);
        }
        let shown = format!("{scheme}{host}{full_path}");
        let query = uri
            .query()
            .map_or_else(String::new, |query| format!("?{query}"));
        let authorization = userinfo.map(basic);
        Some(Endpoint {
            url: format!("{shown}{query}"),
            authorization,
            shown,
        })
    }
}

/// Userinfo may be a password, and the query may hold a key.
impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("shown", &self.shown)
            .finish_non_exhaustive()
    }
}

fn unusable(said: &str, example: &str) -> String {
    format!(
        "{:?} is not an OTLP endpoint such as {example}",
        shown(said.trim())
    )
}

/// What can be said of a text that should have been a URL: nothing before an `@`, no query.
fn shown(text: &str) -> String {
    let without_query = text.split(['?', '#']).next().unwrap_or_default();
    match without_query.rsplit_once('@') {
        Some((_, rest)) => format!("…@{rest}"),
        None => without_query.to_owned(),
    }
}

/// HTTP's basic authentication from the `user:password` of a URL, where `%40` stands for `@`.
fn basic(userinfo: &str) -> String {
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let credentials: Vec<u8> = percent_decode_str(user)
        .chain(std::iter::once(b':'))
        .chain(percent_decode_str(password))
        .collect();
    format!("Basic {}", STANDARD.encode(credentials))
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, TRACES, basic};
    use crate::config::ExportConfig;

    fn http(base: &str) -> Result<Endpoint, String> {
        let config = ExportConfig {
            endpoint: Some(base.to_owned()),
            ..Default::default()
        };
        Endpoint::http(&config, TRACES)
    }

    #[test]
    fn a_base_url_gets_the_path_of_traces() {
        for (base, url) in [
            ("http://localhost:4318", "http://localhost:4318/v1/traces"),
            ("http://localhost:4318/", "http://localhost:4318/v1/traces"),
            (
                "https://c.example/otlp//",
                "https://c.example/otlp/v1/traces",
            ),
            ("http://c:4318/v1/traces", "http://c:4318/v1/traces"),
            ("http://c:4318/v1/traces/", "http://c:4318/v1/traces"),
            ("http://[::1]:4318", "http://[::1]:4318/v1/traces"),
            ("https://c/?key=abc", "https://c/v1/traces?key=abc"),
        ] {
            assert_eq!(http(base).unwrap().url, url, "{base}");
        }
        assert_eq!(
            Endpoint::http(&ExportConfig::default(), TRACES)
                .unwrap()
                .url,
            "http://localhost:4318/v1/traces"
        );
    }

    #[cfg(feature = "otlp-logs")]
    #[test]
    fn log_records_go_beside_traces_or_where_they_are_sent_alone() {
        use crate::sink::otlp::signal::LOGS;

        for (base, url) in [
            ("http://c:4318", "http://c:4318/v1/logs"),
            ("http://c:4318/v1/traces/", "http://c:4318/v1/logs"),
            ("http://c:4318/v1/logs", "http://c:4318/v1/logs"),
            ("https://c/otlp/v1/traces?k=v", "https://c/otlp/v1/logs?k=v"),
        ] {
            let mut config = ExportConfig {
                endpoint: Some(base.to_owned()),
                traces_endpoint: Some("http://d:1/spans".to_owned()),
                ..Default::default()
            };
            assert_eq!(Endpoint::http(&config, LOGS).unwrap().url, url, "{base}");
            config.logs.endpoint = Some("http://e:2/v1/traces".to_owned());
            let own = Endpoint::http(&config, LOGS).unwrap().url;
            assert_eq!(own, "http://e:2/v1/traces", "as it is");
        }
    }

    #[test]
    fn the_url_said_for_traces_is_used_as_it_is() {
        let config = ExportConfig {
            endpoint: Some("http://c:1".to_owned()),
            traces_endpoint: Some("http://d:2/ingest".to_owned()),
            ..Default::default()
        };
        assert_eq!(
            Endpoint::http(&config, TRACES).unwrap().url,
            "http://d:2/ingest"
        );
    }

    #[test]
    fn secrets_in_a_url_are_not_shown() {
        let endpoint = http("https://ada:p%40ss@c.example:4318?token=hush").unwrap();
        assert_eq!(endpoint.shown, "https://c.example:4318/v1/traces");
        assert!(endpoint.url.ends_with("/v1/traces?token=hush"));
        assert_eq!(
            endpoint.authorization.as_deref(),
            Some("Basic YWRhOnBAc3M=")
        );
        assert!(!format!("{endpoint:?}").contains("hush"));
        for wrong in [
            "ftp://ada:hush@c",
            "http//ada:hush@c?hush",
            "ada:hush@c",
            "http://ada:hush@",
        ] {
            let told = http(wrong).unwrap_err();
            assert!(!told.contains("hush"), "{told}");
        }
        assert!(http("localhost:4318").is_err());
    }

    #[test]
    fn base64_pads_to_fours() {
        assert_eq!(basic("a"), "Basic YTo=");
        assert_eq!(basic("user:pass"), "Basic dXNlcjpwYXNz");
        assert_eq!(basic("ab:c"), "Basic YWI6Yw==");
    }
}
