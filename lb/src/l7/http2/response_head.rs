//! A response head of HTTP/1.1 as HTTP/2 has it.
//!
//! Called once per response that goes to a client over HTTP/2. What belongs to a connection stays
//! behind (RFC 9113 section 8.2.2). Cost: one allocation for all values, one for the map.

use std::io;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use crate::l7::http1::{KnownField, ResponseHead};

/// The head as the h2 crate wants it.
///
/// # Errors
/// A name or value that HTTP/2 has no form for.
pub(super) fn response(head: &ResponseHead<'_, '_>) -> io::Result<Response<()>> {
    let invalid = |_| io::Error::from(io::ErrorKind::InvalidData);
    let status = StatusCode::from_u16(head.status).map_err(|_| io::ErrorKind::InvalidData)?;
    let mut response = Response::new(());
    *response.status_mut() = status;
    *response.headers_mut() = fields(head.bytes, head.fields).map_err(invalid)?;
    Ok(response)
}

/// A name or value that HTTP/2 has no form for.
#[derive(Debug)]
pub(super) struct BadField;

/// The fields, whose slices are of `bytes`, less what belongs to a connection.
pub(super) fn fields(bytes: &[u8], fields: &[httparse::Header<'_>]) -> Result<HeaderMap, BadField> {
    let shared = Bytes::copy_from_slice(bytes);
    let mut map = HeaderMap::with_capacity(fields.len());
    for field in fields {
        match KnownField::of(field.name) {
            KnownField::Connection
            | KnownField::KeepAlive
            | KnownField::ProxyConnection
            | KnownField::TransferEncoding
            | KnownField::Upgrade => continue,
            _ => {}
        }
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| BadField)?;
        let start = (field.value.as_ptr() as usize).wrapping_sub(bytes.as_ptr() as usize);
        let value = match start.checked_add(field.value.len()) {
            Some(end) if end <= shared.len() => shared.slice(start..end),
            _ => Bytes::copy_from_slice(field.value),
        };
        let value = HeaderValue::from_maybe_shared(value).map_err(|_| BadField)?;
        map.append(name, value);
    }
    Ok(map)
}
