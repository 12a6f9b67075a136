//! Redirects compiled: the Location of each answer from the request and the file's placeholders.
//!
//! What comes from the request is written so that it cannot leave its part of the URL: bytes that
//! no URL holds are percent-encoded, what is encoded already stays as it is.

use std::io::Write;
use std::net::SocketAddr;

use conf::{Piece, Placeholder, Scheme, Template};

use super::action::status_line;
use super::{host_name, path_and_query};
use crate::l7::http1::RequestHead;

/// Longest Location, in bytes; over it the answer is 507 (ELB).
pub(crate) const MAX_LOCATION: usize = 8 * 1024;

/// A compiled redirect.
#[derive(Debug)]
pub(crate) struct Redirect {
    /// 301 or 302.
    pub(crate) status: u16,
    /// The head up to the Location's value.
    pub(crate) head: Box<[u8]>,
    parts: conf::Redirect,
    /// What the listener's own URLs begin with.
    scheme: Scheme,
}

/// What placeholders stand for.
struct Asked<'r> {
    scheme: Scheme,
    host: &'r str,
    port: u16,
    /// Without its first `/`.
    path: &'r str,
    query: &'r str,
}

impl Redirect {
    /// The configured redirect, of a listener with this scheme.
    pub(crate) fn new(redirect: &conf::Redirect, scheme: Scheme) -> Self {
        let status_line = status_line(redirect.status);
        let head = format!("{status_line}Content-Length: 0\r\nLocation: ");
        Self {
            status: redirect.status,
            head: head.into_bytes().into(),
            parts: redirect.clone(),
            scheme,
        }
    }

    /// Appends the Location for a request that came in at `local`.
    pub(crate) fn write_location(
        &self,
        out: &mut Vec<u8>,
        head: &RequestHead<'_, '_>,
        local: SocketAddr,
    ) {
        let (path, query) = path_and_query(head.target);
        let mut own_address = [0; 64];
        let asked = Asked {
            scheme: self.scheme,
            host: match head.host {
                Some(host) => host_name(host),
                None => address(local, &mut own_address),
            },
            port: local.port(),
            path: path.strip_prefix('/').unwrap_or(path),
            query: query.unwrap_or_default(),
        };
        let scheme = self.parts.protocol.unwrap_or(self.scheme);
        let port = self.parts.port.unwrap_or(asked.port);
        out.extend_from_slice(scheme.as_str().as_bytes());
        out.extend_from_slice(b"://");
        asked.fill(out, &self.parts.host);
        if port != scheme.default_port() {
            push_display(out, format_args!(":{port}"));
        }
        asked.fill(out, &self.parts.path);
        out.push(b'?');
        let before = out.len();
        asked.fill(out, &self.parts.query);
        if out.len() == before {
            out.pop();
        }
    }
}

impl Asked<'_> {
    fn fill(&self, out: &mut Vec<u8>, template: &Template) {
        for piece in template.pieces() {
            match piece {
                Piece::Text(text) => push_encoded(out, text),
                Piece::Placeholder(Placeholder::Protocol) => {
                    out.extend_from_slice(self.scheme.as_str().as_bytes());
                }
                // Checked by the codec: a name or an address.
                Piece::Placeholder(Placeholder::Host) => {
                    out.extend_from_slice(self.host.as_bytes());
                }
                Piece::Placeholder(Placeholder::Port) => {
                    push_display(out, format_args!("{}", self.port));
                }
                Piece::Placeholder(Placeholder::Path) => push_encoded(out, self.path),
                Piece::Placeholder(Placeholder::Query) => push_encoded(out, self.query),
            }
        }
    }
}

/// The address as a URL has it, written into `room`; for requests that name no host.
fn address(local: SocketAddr, room: &mut [u8; 64]) -> &str {
    let size = room.len();
    let mut rest = &mut room[..];
    // 64 bytes hold every address, so writing cannot fail.
    let written = match local {
        SocketAddr::V4(v4) => write!(rest, "{}", v4.ip()),
        SocketAddr::V6(v6) => write!(rest, "[{}]", v6.ip()),
    };
    let length = written.map_or(0, |()| size - rest.len());
    let text = room.get(..length).unwrap_or_default();
    std::str::from_utf8(text).unwrap_or_default()
}

/// Appends `text` with the bytes that RFC 3986 allows in a path or query, others encoded.
fn push_encoded(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    for (at, &byte) in bytes.iter().enumerate() {
        let stays = match byte {
            b'%' => bytes
                .get(at + 1..at + 3)
                .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)),
            _ => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?".contains(&byte),
        };
        match stays {
            true => out.push(byte),
            false => push_display(out, format_args!("%{byte:02X}")),
        }
    }
}

fn push_display(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a Vec cannot fail.
    let _ = out.write_fmt(text);
}
