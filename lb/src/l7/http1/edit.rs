//! Heads written for the other side: what came in, less what is hop-by-hop, plus what we add.
//!
//! Called once per request and once per response. Field lines that are kept are copied as they
//! came, name case, order and blanks included, in as few copies as there are runs of them.
//! Cost: no allocation once the output has grown to its working size.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};

use super::fields::{KnownField, line_start};
use super::head::{RequestHead, Version};
use super::refusal::reason_phrase;
use super::response_head::ResponseHead;
use crate::digits::push_number;
use crate::l7::headers::{Edited, ResponseEdits};

/// Bytes of the longest text: brackets, 45 of an address, a colon and a port.
const MAX_ADDRESS: usize = 53;

/// An address as text, made once per connection.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress {
    text: [u8; MAX_ADDRESS],
    length: u8,
}

impl ClientAddress {
    /// The text of `address`; an IPv4-mapped one is written as IPv4.
    pub fn new(address: IpAddr) -> Self {
        Self::of(format_args!("{}", address.to_canonical()))
    }

    /// The text of `address` with its port, an IPv6 one in brackets (as ELB writes it).
    pub fn with_port(address: SocketAddr) -> Self {
        let canonical = SocketAddr::new(address.ip().to_canonical(), address.port());
        Self::of(format_args!("{canonical}"))
    }

    /// Of a client that has none: nothing is said of it.
    pub fn none() -> Self {
        Self::of(format_args!(""))
    }

    fn of(shown: std::fmt::Arguments<'_>) -> Self {
        let mut text = [0; MAX_ADDRESS];
        let room = text.len();
        let mut rest = &mut text[..];
        // Every address fits, so writing cannot fail.
        let written = match rest.write_fmt(shown) {
            Ok(()) => room - rest.len(),
            Err(_) => 0,
        };
        Self {
            text,
            length: u8::try_from(written).unwrap_or_default(),
        }
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        self.text
            .get(..usize::from(self.length))
            .unwrap_or_default()
    }
}

/// What is told to targets about the client's connection.
#[derive(Debug, Clone, Copy)]
pub struct Forwarding<'a> {
    /// Goes to the end of X-Forwarded-For.
    pub client: &'a ClientAddress,
    /// X-Forwarded-Proto.
    pub scheme: &'a str,
    /// The address the client connected to; its port is X-Forwarded-Port, and the whole stands in
    /// for a Host that an HTTP/1.0 client did not send.
    pub local: SocketAddr,
    /// Fields about the client's certificate, each with its line end; empty when it has none.
    pub identity: &'a [u8],
    /// What the listener changes; `None` on the plain path.
    pub edited: Option<Edited<'a>>,
}

/// Appends the head to send to a target: always HTTP/1.1, always persistent.
pub fn write_request(out: &mut Vec<u8>, head: &RequestHead<'_, '_>, forwarding: Forwarding<'_>) {
    out.extend_from_slice(head.method.as_bytes());
    out.push(b' ');
    if head.target.starts_with('?') {
        out.push(b'/');
    }
    out.extend_from_slice(head.target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    match forwarding.edited {
        None => {
            push_plain(out, head, forwarding);
            out.extend_from_slice(forwarding.identity);
        }
        Some(edited) => edited.edits.write(out, head, forwarding, edited),
    }
    match (head.upgrade, head.trailers) {
        (true, true) => out.extend_from_slice(b"TE: trailers\r\nConnection: Upgrade, TE\r\n"),
        (true, false) => out.extend_from_slice(b"Connection: Upgrade\r\n"),
        (false, true) => out.extend_from_slice(b"TE: trailers\r\nConnection: TE\r\n"),
        (false, false) => {}
    }
    out.extend_from_slice(b"\r\n");
}

/// The fields, changed only as forwarding demands.
fn push_plain(out: &mut Vec<u8>, head: &RequestHead<'_, '_>, forwarding: Forwarding<'_>) {
    match head.host {
        Some(host) if head.absolute => push_field(out, "Host", host.as_bytes()),
        Some(_) => {}
        None => {
            out.extend_from_slice(b"Host: ");
            push_display(out, forwarding.local);
            out.extend_from_slice(b"\r\n");
        }
    }
    push_kept(out, head.bytes, head.fields, head.removed);
    push_forwarded(out, head, forwarding);
}

/// The X-Forwarded fields as ELB writes them: For appended to, Proto and Port our own.
fn push_forwarded(out: &mut Vec<u8>, head: &RequestHead<'_, '_>, forwarding: Forwarding<'_>) {
    let begin = out.len();
    out.extend_from_slice(b"X-Forwarded-For: ");
    let first = out.len();
    if head.removed != 0 {
        for field in head.fields {
            if KnownField::of(field.name) == KnownField::ForwardedFor && !field.value.is_empty() {
                out.extend_from_slice(field.value);
                out.extend_from_slice(b", ");
            }
        }
    }
    match forwarding.client.as_bytes() {
        // Who comes over a Unix socket adds nothing: the list ends before its last comma, or is not sent.
        [] if out.len() == first => out.truncate(begin),
        [] => {
            out.truncate(out.len() - 2);
            out.extend_from_slice(b"\r\n");
        }
        client => {
            out.extend_from_slice(client);
            out.extend_from_slice(b"\r\n");
        }
    }
    out.extend_from_slice(b"X-Forwarded-Proto: ");
    out.extend_from_slice(forwarding.scheme.as_bytes());
    out.extend_from_slice(b"\r\nX-Forwarded-Port: ");
    push_number(out, u64::from(forwarding.local.port()));
    out.extend_from_slice(b"\r\n");
}

/// How a response head changes on its way to the client.
#[derive(Debug, Clone, Copy)]
pub struct ResponseEdit<'a> {
    /// What the client speaks.
    pub client: Version,
    /// True when the client's connection ends with this response.
    pub close: bool,
    /// What the listener changes; `None` on the plain path.
    pub edits: Option<&'a ResponseEdits>,
}

/// Appends the head to send to the client: always HTTP/1.1. Chunked coding is not announced to
/// an HTTP/1.0 client.
pub fn write_response(out: &mut Vec<u8>, head: &ResponseHead<'_, '_>, edit: ResponseEdit<'_>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(head.status_line);
    if head.status_line.len() == 3 {
        // The blank after the status is not optional (RFC 9112 section 4).
        out.push(b' ');
    }
    out.extend_from_slice(b"\r\n");
    let removed = match edit.client {
        Version::Http10 => head.removed | head.encoding,
        Version::Http11 => head.removed,
    };
    match edit.edits.filter(|_| !head.is_interim()) {
        None => push_kept(out, head.bytes, head.fields, removed),
        Some(edits) => {
            let edited = removed | edits.removed(head.fields);
            push_kept(out, head.bytes, head.fields, edited);
            edits.write(out, head.fields, removed);
        }
    }
    if head.status == 101 {
        out.extend_from_slice(b"Connection: Upgrade\r\n");
    } else if !head.is_interim() {
        push_connection(out, edit);
    }
    out.extend_from_slice(b"\r\n");
}

fn push_connection(out: &mut Vec<u8>, edit: ResponseEdit<'_>) {
    match (edit.close, edit.client) {
        (true, _) => out.extend_from_slice(b"Connection: close\r\n"),
        (false, Version::Http10) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (false, Version::Http11) => {}
    }
}

/// What the listener puts into every response, our own ones included.
fn push_inserted(out: &mut Vec<u8>, edit: ResponseEdit<'_>) {
    if let Some(edits) = edit.edits {
        edits.write_inserted(out);
    }
}

/// Content-Type of the answers in our own words.
pub(crate) const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// Appends an answer of our own, with whole field lines that `fields` appends; the body is kept back when the
/// request was HEAD.
pub(crate) fn write_answer(
    out: &mut Vec<u8>,
    status: u16,
    fields: impl FnOnce(&mut Vec<u8>),
    (content_type, body): (&str, &[u8]),
    edit: ResponseEdit<'_>,
    to_head: bool,
) {
    out.extend_from_slice(b"HTTP/1.1 ");
    push_number(out, u64::from(status));
    out.push(b' ');
    out.extend_from_slice(reason_phrase(status).as_bytes());
    out.extend_from_slice(b"\r\nContent-Type: ");
    out.extend_from_slice(content_type.as_bytes());
    out.extend_from_slice(b"\r\nContent-Length: ");
    push_number(out, body.len() as u64);
    out.extend_from_slice(b"\r\n");
    fields(out);
    push_inserted(out, edit);
    push_connection(out, edit);
    out.extend_from_slice(b"\r\n");
    if !to_head {
        out.extend_from_slice(body);
    }
}

/// Appends an answer whose head is written but for what belongs to the connection.
pub fn write_prepared(out: &mut Vec<u8>, head: &[&[u8]], body: &[u8], edit: ResponseEdit<'_>) {
    for part in head {
        out.extend_from_slice(part);
    }
    push_inserted(out, edit);
    push_connection(out, edit);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
}

/// Copies the lines of the fields that are not removed.
pub(in crate::l7) fn push_kept(
    out: &mut Vec<u8>,
    head: &[u8],
    fields: &[httparse::Header<'_>],
    removed: u128,
) {
    let Some(first) = fields.first() else {
        return;
    };
    let end = head.len().saturating_sub(2);
    let mut run = line_start(head, first);
    if removed != 0 {
        for (index, field) in fields.iter().enumerate() {
            if removed & (1 << index) == 0 {
                continue;
            }
            let start = line_start(head, field);
            out.extend_from_slice(head.get(run..start).unwrap_or_default());
            run = fields
                .get(index + 1)
                .map_or(end, |next| line_start(head, next));
        }
    }
    out.extend_from_slice(head.get(run..end).unwrap_or_default());
}

pub(in crate::l7) fn push_field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

pub(in crate::l7) fn push_display(out: &mut Vec<u8>, value: impl std::fmt::Display) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{value}");
}
