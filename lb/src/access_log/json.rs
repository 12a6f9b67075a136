//! One JSON object written field by field into a byte buffer.
//!
//! Names and `word` values are ours and need no escaping; `text` values come from the network and
//! are escaped, with bytes that are not UTF-8 replaced by U+FFFD.

use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use super::time::write_rfc3339;

/// Longest value of one text field, in bytes; the rest is cut and marked.
const MAX_TEXT: usize = 4096;

/// A line under way. Finish it with [`Line::end`].
pub(super) struct Line<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> Line<'a> {
    pub(super) fn begin(out: &'a mut Vec<u8>) -> Self {
        out.clear();
        out.push(b'{');
        Self { out, first: true }
    }

    pub(super) fn end(self) {
        self.out.extend_from_slice(b"}\n");
    }

    fn name(&mut self, name: &str) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    /// A value of ours: nothing in it needs escaping.
    pub(super) fn word(&mut self, name: &str, value: &str) {
        self.name(name);
        self.out.push(b'"');
        self.out.extend_from_slice(value.as_bytes());
        self.out.push(b'"');
    }

    /// A value from outside.
    pub(super) fn text(&mut self, name: &str, value: &[u8]) {
        self.name(name);
        self.out.push(b'"');
        let shown = value.get(..MAX_TEXT).unwrap_or(value);
        for chunk in shown.utf8_chunks() {
            escape(self.out, chunk.valid());
            if !chunk.invalid().is_empty() {
                self.out.extend_from_slice("\u{fffd}".as_bytes());
            }
        }
        if shown.len() < value.len() {
            self.out.extend_from_slice("\u{2026}".as_bytes());
        }
        self.out.push(b'"');
    }

    pub(super) fn number(&mut self, name: &str, value: u64) {
        self.name(name);
        push(self.out, format_args!("{value}"));
    }

    pub(super) fn seconds(&mut self, name: &str, value: Duration) {
        self.name(name);
        push(
            self.out,
            format_args!("{}.{:06}", value.as_secs(), value.subsec_micros()),
        );
    }

    pub(super) fn optional_seconds(&mut self, name: &str, value: Option<Duration>) {
        if let Some(value) = value {
            self.seconds(name, value);
        }
    }

    pub(super) fn address(&mut self, name: &str, value: SocketAddr) {
        self.name(name);
        push(self.out, format_args!("\"{value}\""));
    }

    pub(super) fn time(&mut self, name: &str, value: SystemTime) {
        self.name(name);
        self.out.push(b'"');
        write_rfc3339(self.out, value);
        self.out.push(b'"');
    }
}

/// Writing to a vector cannot fail.
fn push(out: &mut Vec<u8>, arguments: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(arguments);
}

fn escape(out: &mut Vec<u8>, text: &str) {
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 | 0x7f => push(out, format_args!("\\u{byte:04x}")),
            _ => out.push(byte),
        }
    }
}
