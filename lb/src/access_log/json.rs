//! One JSON object written field by field into a byte buffer.
//!
//! Names and `word` values are ours, or such as a configuration may give, and need no escaping; `text`
//! values come from the network and are escaped, with bytes that are not UTF-8 replaced by U+FFFD.
//!
//! Cost: copies of a few bytes; names are constants with all that stands around them, so that no call
//! is made for them. Texts of visible ASCII are copied in one piece.

use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use super::time::LastSecond;
use crate::digits::{push_address, push_number, push_seconds};
use crate::sockets::is_nowhere;

/// Longest value of one text field, in bytes; the rest is cut and marked.
const MAX_TEXT: usize = 4096;

/// The name of a field as it stands before a number.
macro_rules! name {
    ($name:literal) => {
        concat!(",\"", $name, "\":")
    };
}

/// The name of a field as it stands before a text.
macro_rules! quoted {
    ($name:literal) => {
        concat!(",\"", $name, "\":\"")
    };
}

pub(super) use {name, quoted};

/// A line under way. Finish it with [`Line::end`].
pub(super) struct Line<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Line<'a> {
    /// One of what happened at `time`.
    pub(super) fn begin(out: &'a mut Vec<u8>, second: &mut LastSecond, time: SystemTime) -> Self {
        out.clear();
        out.extend_from_slice(b"{\"time\":\"");
        second.write_rfc3339(out, time);
        out.push(b'"');
        Self { out }
    }

    pub(super) fn end(self) {
        self.out.extend_from_slice(b"}\n");
    }

    /// A value of ours: nothing in it needs escaping.
    #[inline(always)]
    pub(super) fn word(&mut self, quoted: &'static str, value: &str) {
        self.out.extend_from_slice(quoted.as_bytes());
        self.out.extend_from_slice(value.as_bytes());
        self.out.push(b'"');
    }

    /// A value from outside.
    #[inline(always)]
    pub(super) fn text(&mut self, quoted: &'static str, value: &[u8]) {
        self.out.extend_from_slice(quoted.as_bytes());
        push_text(self.out, value);
    }

    #[inline(always)]
    pub(super) fn number(&mut self, name: &'static str, value: u64) {
        self.out.extend_from_slice(name.as_bytes());
        push_number(self.out, value);
    }

    #[inline(always)]
    pub(super) fn seconds(&mut self, name: &'static str, value: Duration) {
        self.out.extend_from_slice(name.as_bytes());
        push_seconds(self.out, value);
    }

    /// What is ours and shown as text: nothing in it needs escaping.
    pub(super) fn display(&mut self, quoted: &'static str, value: impl std::fmt::Display) {
        self.out.extend_from_slice(quoted.as_bytes());
        // Writing to a vector cannot fail.
        let _ = write!(self.out, "{value}\"");
    }

    #[inline(always)]
    pub(super) fn optional_seconds(&mut self, name: &'static str, value: Option<Duration>) {
        if let Some(value) = value {
            self.seconds(name, value);
        }
    }

    /// Both ends of a client's connection; at a Unix socket neither has an address.
    pub(super) fn ends(&mut self, client: SocketAddr, local: SocketAddr) {
        self.address(quoted!("client"), client);
        self.address(
            quoted!("local"),
            if is_nowhere(client) { client } else { local },
        );
    }

    #[inline(always)]
    pub(super) fn address(&mut self, quoted: &'static str, value: SocketAddr) {
        self.out.extend_from_slice(quoted.as_bytes());
        match is_nowhere(value) {
            true => self.out.extend_from_slice(b"unix:"),
            false => push_address(self.out, value),
        }
        self.out.push(b'"');
    }
}

/// A text, and the quotes after it.
fn push_text(out: &mut Vec<u8>, value: &[u8]) {
    match value.len() <= MAX_TEXT && is_plain(value) {
        true => out.extend_from_slice(value),
        false => push_escaped(out, value),
    }
    out.push(b'"');
}

/// True when nothing in it needs escaping. Looks at every byte, so that many are looked at at once.
fn is_plain(value: &[u8]) -> bool {
    let odd = |byte: u8| !matches!(byte, b' '..=b'~') | (byte == b'"') | (byte == b'\\');
    !value.iter().fold(false, |any, byte| any | odd(*byte))
}

#[cold]
fn push_escaped(out: &mut Vec<u8>, value: &[u8]) {
    let shown = value.get(..MAX_TEXT).unwrap_or(value);
    for chunk in shown.utf8_chunks() {
        escape(out, chunk.valid());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    if shown.len() < value.len() {
        out.extend_from_slice("\u{2026}".as_bytes());
    }
}

fn escape(out: &mut Vec<u8>, text: &str) {
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            // Writing to a vector cannot fail.
            0..0x20 | 0x7f => drop(write!(out, "\\u{byte:04x}")),
            _ => out.push(byte),
        }
    }
}
