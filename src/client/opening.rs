//! What is known of a request before it is sent, and the span that begins with it.

use http::header::HOST;
use http::{HeaderMap, Method, Uri};
use tracing::{Span, info_span};

use super::endpoint::Recognized;
use crate::semconv::{Kind, field};
use crate::span::{server_address, server_port};

/// What is known of a request before it is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) method: &'a Method,
    /// Absolute, or the path alone.
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
}

/// Where a request goes.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) host: String,
    pub(super) port: Option<i64>,
    /// Scheme and authority.
    pub(super) base: Option<String>,
}

impl Place {
    pub(super) fn of(head: Head<'_>) -> Self {
        let uri = head.uri;
        // A client on a bare connection sends the path alone, and the host in a header.
        let authority = match uri.authority() {
            Some(authority) => authority.as_str(),
            None => head
                .headers
                .get(HOST)
                .map_or("", |host| host.to_str().unwrap_or("")),
        };
        let url = match uri.scheme_str() {
            Some(scheme) => format!("{scheme}://{authority}"),
            None => authority.to_owned(),
        };
        Place {
            host: server_address(&url).unwrap_or("").to_ascii_lowercase(),
            port: server_port(&url),
            base: uri.scheme_str().map(|_| crate::span::without_secrets(&url)),
        }
    }
}

macro_rules! span_of {
    ($kind:expr, $name:literal, $found:expr, $place:expr $(, $late:ident)*) => {
        info_span!(
            target: "hermes::client",
            $name,
            { field::SPAN_KIND } = $kind.span_kind(),
            { field::OTEL_KIND } = "client",
            { field::OPERATION } = $kind.operation(),
            { field::PROVIDER } = Some(&*$found.provider).filter(|name| !name.is_empty()),
            { field::REQUEST_MODEL } = $found.model.as_deref(),
            { field::SERVER_ADDRESS } = Some(&*$place.host).filter(|host| !host.is_empty()),
            { field::SERVER_PORT } = $place.port,
            { field::RESPONSE_MODEL } = tracing::field::Empty,
            { field::RESPONSE_ID } = tracing::field::Empty,
            { field::INPUT_TOKENS } = tracing::field::Empty,
            $({ field::$late } = tracing::field::Empty,)*
            { field::OTEL_STATUS_CODE } = tracing::field::Empty,
            { field::ERROR_TYPE } = tracing::field::Empty,
        )
    };
}

/// The span of a call that nobody else describes.
pub(super) fn open_span(found: &Recognized, place: &Place) -> Span {
    match found.kind {
        Kind::Embedding => span_of!(Kind::Embedding, "hermes.embedding", found, place),
        Kind::Reranker => span_of!(Kind::Reranker, "hermes.reranker", found, place),
        _ => span_of!(
            Kind::Chat,
            "hermes.chat",
            found,
            place,
            FINISH_REASONS,
            OUTPUT_TOKENS,
            CACHE_READ_TOKENS,
            CACHE_WRITE_TOKENS,
            REASONING_TOKENS,
            TIME_TO_FIRST_CHUNK,
            COST_USD
        ),
    }
}
