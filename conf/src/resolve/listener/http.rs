//! What only listeners that read requests have: limits of heads and connections, and HTTP/2.

use std::time::Duration;

use crate::resolve::defaults::Numbers;
use crate::scalar::Bytes;
use crate::tree::Reader;
use crate::{ListenerProtocol, Span, Spanned};

/// Keys that mean nothing to a listener that reads no requests.
const KEYS: [&str; 6] = [
    "header-timeout",
    "max-header-bytes",
    "max-request-body",
    "http2",
    "client-keep-alive",
    "max-requests",
];

/// The values of these keys.
pub(super) struct HttpLimits {
    pub(super) header_timeout: Duration,
    pub(super) max_header_bytes: usize,
    pub(super) max_request_body: u64,
    /// Where it was said, if it was.
    pub(super) http2: Http2,
    pub(super) client_keep_alive: Duration,
    pub(super) max_requests: MaxRequests,
}

/// `max-requests`, by the version of HTTP.
#[derive(Clone, Copy)]
pub(super) struct MaxRequests {
    pub(super) http1: u32,
    pub(super) http2: u32,
}

/// `http2`.
#[derive(Clone, Copy)]
pub(super) struct Http2 {
    pub(super) value: bool,
    /// Where it stands in the file.
    pub(super) span: Option<Span>,
}

impl HttpLimits {
    pub(super) fn read(
        reader: &mut Reader<'_>,
        protocol: Option<ListenerProtocol>,
        numbers: &Numbers,
    ) -> Self {
        let other = protocol.filter(|protocol| !protocol.is_http());
        if let Some(protocol) = other {
            let why = format!("a {} listener reads no headers", protocol.as_str());
            for key in KEYS {
                reader.misplaced(key, &why, "remove it");
            }
        }
        let mut limits = Self {
            header_timeout: numbers.header_timeout.default,
            max_header_bytes: bytes(numbers.max_header_bytes.default),
            max_request_body: numbers.max_request_body.default.0,
            http2: Http2 {
                value: true,
                span: None,
            },
            client_keep_alive: numbers.client_keep_alive.default,
            max_requests: MaxRequests {
                http1: u32::MAX,
                http2: number(numbers.max_requests.default),
            },
        };
        if other.is_none() {
            limits.header_timeout = reader.duration_or("header-timeout", &numbers.header_timeout);
            if let Some(size) = reader.size("max-header-bytes", &numbers.max_header_bytes) {
                limits.max_header_bytes = bytes(size.value);
            }
            if let Some(size) = reader.size("max-request-body", &numbers.max_request_body) {
                limits.max_request_body = size.value.0;
            }
            if let Some(Spanned { value, span }) = reader.flag("http2") {
                limits.http2 = Http2 {
                    value,
                    span: Some(span),
                };
            }
            let age = reader.duration_or("client-keep-alive", &numbers.client_keep_alive);
            limits.client_keep_alive = age;
            if let Some(Spanned { value, .. }) = reader.whole("max-requests", &numbers.max_requests)
            {
                limits.max_requests = MaxRequests {
                    http1: number(value),
                    http2: number(value),
                };
            }
        }
        limits
    }
}

fn number(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

fn bytes(size: Bytes) -> usize {
    usize::try_from(size.0).unwrap_or(usize::MAX)
}
