//! A request that only a lenient reader takes, written again so that every reader takes it alike.
//!
//! Transfer-Encoding wins over Content-Length, folds are joined, one Host stays; lines that are no
//! field and fields that could mean one thing here and another there are left out. What comes out
//! goes through the strict parser like any other head: what cannot be framed is refused there.

use super::lengths::{coding, number};
use super::reading::RequestLine;
use super::similarity::{Similarity, similarity};
use super::{Verdict, is_value_byte, trim};
use crate::l7::http1::{is_token_byte, push_display, push_field};

/// Where the head ends as a lenient reader has it: after the first empty line that follows another.
pub fn head_length(bytes: &[u8]) -> Option<usize> {
    let (mut start, mut begun) = (0, false);
    for end in memchr::memchr_iter(b'\n', bytes) {
        let line = bytes.get(start..end).unwrap_or_default();
        start = end + 1;
        let is_empty = matches!(line, [] | [b'\r']);
        if is_empty && begun {
            return Some(start);
        }
        begun |= !is_empty;
    }
    None
}

/// Appends the head that `bytes` come to; true when the client speaks HTTP/1.0.
pub fn normalise(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let mut ignored = Verdict::COMPLIANT;
    let bytes = start_of(bytes);
    let (line, rest) = RequestLine::read(bytes, &mut ignored);
    let version = trim(line.version);
    out.extend_from_slice(line.method);
    out.push(b' ');
    push_uri(out, line.uri);
    out.push(b' ');
    let fields = joined(rest.unwrap_or_default());
    out.extend_from_slice(match version {
        // It has no Transfer-Encoding, which wins here.
        b"HTTP/1.0" if of(&fields, b"transfer-encoding").next().is_none() => b"HTTP/1.0",
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0'..=b'9'] => b"HTTP/1.1",
        _ => version,
    });
    out.extend_from_slice(b"\r\n");
    push_fields(out, &fields);
    push_lengths(out, &fields);
    out.extend_from_slice(b"\r\n");
    version == b"HTTP/1.0"
}

/// Without the empty lines before it (RFC 9112 section 2.2).
pub(super) fn start_of(mut bytes: &[u8]) -> &[u8] {
    while let [b'\r', b'\n', rest @ ..] | [b'\n', rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}

/// No blank, control or byte beyond ASCII stays in a request target.
fn push_uri(out: &mut Vec<u8>, uri: &[u8]) {
    for &byte in uri {
        match byte.is_ascii_graphic() {
            true => out.push(byte),
            false => push_display(out, format_args!("%{byte:02X}")),
        }
    }
}

/// A field with its folds joined.
struct Joined<'b> {
    name: &'b [u8],
    value: Vec<u8>,
}

/// The fields, without lines that have no colon. Blanks around names and values are gone.
fn joined(bytes: &[u8]) -> Vec<Joined<'_>> {
    let mut fields: Vec<Joined<'_>> = Vec::new();
    let mut goes_on = false;
    for line in bytes.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        if matches!(line, [b' ' | b'\t', ..]) {
            if let Some(last) = fields.last_mut().filter(|_| goes_on) {
                last.value.push(b' ');
                last.value.extend_from_slice(trim(line));
            }
            continue;
        }
        let colon = memchr::memchr(b':', line);
        goes_on = colon.is_some();
        if let Some((name, value)) = colon.and_then(|at| line.split_at_checked(at)) {
            fields.push(Joined {
                name: trim(name),
                value: trim(value.get(1..).unwrap_or_default()).to_vec(),
            });
        }
    }
    fields
}

/// Every field that all readers take alike and that frames nothing; the first Host only.
fn push_fields(out: &mut Vec<u8>, fields: &[Joined<'_>]) {
    let mut has_host = false;
    for field in fields {
        let resembles = |known: &[u8]| similarity(known, field.name) != Similarity::Distant;
        let is_token = !field.name.is_empty() && field.name.iter().copied().all(is_token_byte);
        let is_plain = is_token && field.value.iter().copied().all(is_value_byte);
        let is_host = field.name.eq_ignore_ascii_case(b"host");
        if !is_plain
            || resembles(b"transfer-encoding")
            || resembles(b"content-length")
            || (is_host && has_host)
        {
            continue;
        }
        has_host |= is_host;
        push_field(
            out,
            std::str::from_utf8(field.name).unwrap_or_default(),
            &field.value,
        );
    }
}

/// One length field at most: chunked when it is named, else the first length that is a number.
/// Others are written as they are, for the strict parser to refuse.
fn push_lengths(out: &mut Vec<u8>, fields: &[Joined<'_>]) {
    let items = || of(fields, b"transfer-encoding").flat_map(|value| value.split(|&b| b == b','));
    let compresses = |item: &[u8]| matches!(coding(item), Some(b"gzip" | b"deflate" | b"compress"));
    let is = |name: &'static [u8]| move |item: &[u8]| coding(item) == Some(name);
    if let Some(item) = items().find(|item| compresses(item)) {
        return push_field(out, "Transfer-Encoding", trim(item));
    }
    if items().any(is(b"chunked")) {
        return push_field(out, "Transfer-Encoding", b"chunked");
    }
    if let Some(item) = items().find(|item| !is(b"identity")(item)) {
        let shown = if item.is_empty() { b"?" } else { item };
        return push_field(out, "Transfer-Encoding", shown);
    }
    let lengths = || of(fields, b"content-length");
    match (lengths().find_map(number), lengths().next()) {
        (Some(number), _) => push_display(out, format_args!("Content-Length: {number}\r\n")),
        (None, Some(_)) => push_field(out, "Content-Length", b"?"),
        (None, None) => {}
    }
}

/// The values of one field.
fn of<'f>(fields: &'f [Joined<'_>], known: &'static [u8]) -> impl Iterator<Item = &'f [u8]> {
    let fields = fields
        .iter()
        .filter(move |field| field.name.eq_ignore_ascii_case(known));
    fields.map(|field| field.value.as_slice())
}
