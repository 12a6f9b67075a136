//! gRPC's statuses: what a target says of a call, and what is said to a client whose call failed.
//!
//! Statuses are those of gRPC's documentation (statuscodes.md), their relation to HTTP's is that of
//! its http-grpc-status-mapping.md.

use std::io::Write;

use http::{HeaderMap, HeaderValue};

/// True for the content types of gRPC calls.
pub(super) fn is_call(content_type: Option<&HeaderValue>) -> bool {
    let rest = content_type.and_then(|value| value.as_bytes().strip_prefix(b"application/grpc"));
    matches!(rest, Some([] | [b'+' | b';', ..]))
}

/// `grpc-status` in a head or trailers.
pub(super) fn status(fields: &HeaderMap) -> Option<u16> {
    fields.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// The HTTP status that says of a target what a gRPC status does: failures of the service itself
/// are 5xx, all else is an answer as good as another.
pub(crate) fn as_http(status: u16) -> u16 {
    match status {
        // UNKNOWN, INTERNAL, DATA_LOSS
        2 | 13 | 15 => 500,
        // UNAVAILABLE
        14 => 503,
        // DEADLINE_EXCEEDED
        4 => 504,
        _ => 200,
    }
}

/// Appends an answer of our own to a call: a response that is trailers only, by HTTP status 200 as
/// gRPC has all its answers.
pub(crate) fn write_answer(out: &mut Vec<u8>, status: u16, text: &str) {
    let code = match status {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => 2,
    };
    // Writing to a vector cannot fail.
    let _ = write!(
        out,
        "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\ngrpc-status: {code}\r\n\
         grpc-message: {text}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_told_by_their_content_type() {
        let value = |text: &'static str| HeaderValue::from_static(text);
        for call in [
            "application/grpc",
            "application/grpc+proto",
            "application/grpc;x=y",
        ] {
            assert!(is_call(Some(&value(call))), "{call}");
        }
        for other in ["application/grpc-web", "application/json", ""] {
            assert!(!is_call(Some(&value(other))), "{other}");
        }
        assert!(!is_call(None));
    }

    #[test]
    fn statuses_of_failing_services_are_server_errors() {
        let failing: Vec<u16> = (0..=17).filter(|&code| as_http(code) >= 500).collect();
        assert_eq!(failing, [2, 4, 13, 14, 15]);
    }
}
