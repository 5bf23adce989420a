//! What may be said of an endpoint: its host and port, never its userinfo or query.

/// The host of an URL, without brackets around an IPv6 address.
#[must_use]
pub fn server_address(url: &str) -> Option<&str> {
    let (host, _) = host_and_port(url)?;
    (!host.is_empty()).then_some(host)
}

/// The port of an URL, or the usual one of its scheme.
#[must_use]
pub fn server_port(url: &str) -> Option<i64> {
    let (_, port) = host_and_port(url)?;
    match port {
        Some(port) => port.parse::<u16>().ok().map(i64::from),
        None => match url.split_once("://")?.0.to_ascii_lowercase().as_str() {
            "https" | "wss" => Some(443),
            "http" | "ws" => Some(80),
            _ => None,
        },
    }
}

/// The URL less its userinfo, query and fragment.
pub(crate) fn without_secrets(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    let url = &url[..end];
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.to_owned();
    };
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

fn host_and_port(url: &str) -> Option<(&str, Option<&str>)> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    if let Some(inside) = host.strip_prefix('[') {
        let (address, after) = inside.split_once(']')?;
        return Some((address, after.strip_prefix(':')));
    }
    Some(match host.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (host, None),
    })
}

#[cfg(test)]
mod tests {
    use super::{server_address, server_port, without_secrets};

    #[test]
    fn hosts_and_ports_are_found() {
        for (url, address, port) in [
            (
                "https://api.openai.com/v1",
                Some("api.openai.com"),
                Some(443),
            ),
            (
                "http://user:pass@localhost:8080/v1?key=abc",
                Some("localhost"),
                Some(8080),
            ),
            ("http://[::1]:4318", Some("::1"), Some(4318)),
            ("https://[2001:db8::1]/x", Some("2001:db8::1"), Some(443)),
            ("localhost:11434", Some("localhost"), Some(11434)),
            ("https://", None, Some(443)),
            ("http://host:notaport/", Some("host"), None),
        ] {
            assert_eq!(server_address(url), address, "{url}");
            assert_eq!(server_port(url), port, "{url}");
        }
    }

    #[test]
    fn secrets_are_cut_off() {
        assert_eq!(
            without_secrets("https://user:pass@host:8080/v1?key=abc#x"),
            "https://host:8080/v1"
        );
        assert_eq!(without_secrets("host/v1?key=abc"), "host/v1");
    }
}
