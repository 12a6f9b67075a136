//! A request head that came over HTTP/2, written as an HTTP/1.1 head for the one codec to judge.
//!
//! Called once per stream. The h2 crate has refused what RFC 9113 calls malformed in names, in the
//! order of pseudo-header fields and in connection-specific fields; what it lets pass and an
//! HTTP/1.1 head cannot say without doubt is written so that the codec refuses it by name: a request
//! is never mended. Cost: one pass over the fields.

use data_encoding::BASE64;
use h2::ext::Protocol;
use http::request::Parts;
use http::{HeaderMap, Method, header};

use super::body_in::Coding;

/// Written for a target that is none of HTTP/2's: the codec takes no fragment.
const BAD_TARGET: &str = "#";
/// Written before a value that is malformed: the codec takes no NUL.
const BAD_VALUE: u8 = 0;

/// The head of HTTP/1.1 that a request over HTTP/2 is judged by, as text. `ended`: there is no body.
pub fn request_text(parts: &Parts, ended: bool) -> Vec<u8> {
    let mut text = Vec::new();
    write_request(&mut text, parts, ended);
    text
}

/// Appends the head; says how the body is to follow. `ended`: there is none.
pub(super) fn write_request(out: &mut Vec<u8>, parts: &Parts, ended: bool) -> Coding {
    let tunnels = is_websocket(parts) && !ended;
    let method = if tunnels {
        "GET"
    } else {
        parts.method.as_str()
    };
    out.extend_from_slice(method.as_bytes());
    out.push(b' ');
    out.extend_from_slice(target(parts).as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    write_host(out, parts);
    for (name, value) in &parts.headers {
        match *name {
            header::HOST | header::COOKIE => {}
            // Of the upgrade to HTTP/2 that nobody may ask for in HTTP/2.
            _ if name == "http2-settings" => {}
            // Of the handshake in HTTP/1.1, which is ours then.
            header::SEC_WEBSOCKET_KEY if tunnels => {}
            _ => write_field(out, name.as_str().as_bytes(), value.as_bytes()),
        }
    }
    write_cookies(out, &parts.headers);
    if tunnels {
        write_upgrade(out);
        out.extend_from_slice(b"\r\n");
        return Coding::Raw;
    }
    let coding = match ended || parts.headers.contains_key(header::CONTENT_LENGTH) {
        true => Coding::Counted,
        false => Coding::Chunked,
    };
    if coding == Coding::Chunked {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    out.extend_from_slice(b"\r\n");
    coding
}

/// True for a WebSocket over HTTP/2: an extended CONNECT (RFC 8441 section 4).
fn is_websocket(parts: &Parts) -> bool {
    let protocol = parts.extensions.get::<Protocol>();
    parts.method == Method::CONNECT && protocol.is_some_and(|p| p.as_str() == "websocket")
}

/// What asks for the same in HTTP/1.1 (RFC 6455 section 4.1). The key is for caches that do not know
/// WebSockets; what the target answers to it nobody waits for.
fn write_upgrade(out: &mut Vec<u8>) {
    let key = BASE64.encode(&rand::random::<[u8; 16]>());
    write_field(out, b"sec-websocket-key", key.as_bytes());
    out.extend_from_slice(b"connection: upgrade\r\nupgrade: websocket\r\n");
}

/// The request target: `:path`, which in HTTP/1.1 could be read as an absolute target (RFC 9113
/// section 8.3.1).
fn target(parts: &Parts) -> &str {
    if parts.method == Method::CONNECT && !is_websocket(parts) {
        let authority = parts.uri.authority();
        return authority.map_or(BAD_TARGET, |authority| authority.as_str());
    }
    let path = parts.uri.path_and_query();
    match path.map(|path| path.as_str()) {
        Some(path) if path.starts_with('/') => path,
        Some("*") => "*",
        _ => BAD_TARGET,
    }
}

/// Host from `:authority`. A Host that says another thing makes a second one, which is refused.
fn write_host(out: &mut Vec<u8>, parts: &Parts) {
    let authority = parts.uri.authority().map(|authority| authority.as_str());
    if let Some(authority) = authority {
        write_field(out, b"host", authority.as_bytes());
    }
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let (first, second) = (hosts.next(), hosts.next());
    for host in first.into_iter().chain(second) {
        let same = authority.is_some_and(|a| host.as_bytes().eq_ignore_ascii_case(a.as_bytes()));
        if !same || second.is_some() {
            write_field(out, b"host", host.as_bytes());
        }
    }
}

/// Joins the crumbs that cookies may come in (RFC 9113 section 8.2.3).
fn write_cookies(out: &mut Vec<u8>, headers: &HeaderMap) {
    let mut crumbs = headers.get_all(header::COOKIE).iter();
    let Some(first) = crumbs.next() else {
        return;
    };
    out.extend_from_slice(b"cookie: ");
    for (place, crumb) in std::iter::once(first).chain(crumbs).enumerate() {
        if place > 0 {
            out.extend_from_slice(b"; ");
        }
        push_value(out, crumb.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

pub(super) fn write_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    push_value(out, value);
    out.extend_from_slice(b"\r\n");
}

/// A value; blanks around it are no part of it in HTTP/1.1 and malformed in HTTP/2 (RFC 9113
/// section 8.2.1).
fn push_value(out: &mut Vec<u8>, value: &[u8]) {
    let blank = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    if blank(value.first()) || blank(value.last()) {
        out.push(BAD_VALUE);
    }
    out.extend_from_slice(value);
}
