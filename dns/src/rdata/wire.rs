//! Record data in wire form: where names stand in it, whether it is well-formed, how it reads.
//!
//! Called by the zone compiler (relocations), status pages, tests, and by the RFC 3597 reader.
//! Every step is bounds-checked; data that does not fit its type is shown in RFC 3597 form.

use std::fmt::Display;
use std::fmt::Write;

use conf::RecordType;

use super::schema::{Field, is_compressible, schema};
use super::{generic, strings};
use crate::name::Name;

/// A domain name inside record data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameField {
    /// Offset of its first byte.
    pub start: usize,
    /// One past its final zero.
    pub end: usize,
    /// True when it may be compressed on the wire (RFC 3597 section 4: types of RFC 1035 only).
    pub compressible: bool,
}

/// The names inside uncompressed, valid `rdata`, in order; empty for types without names.
pub fn names(rtype: RecordType, rdata: &[u8]) -> Vec<NameField> {
    let mut found = Vec::new();
    let Some(fields) = schema(rtype) else {
        return found;
    };
    let Some(last) = fields.iter().rposition(|&field| field == Field::Name) else {
        return found;
    };
    let mut wire = Cursor::new(rdata);
    let mut scratch = Shown::default();
    for &field in fields.iter().take(last + 1) {
        let start = wire.at;
        if field.show(&mut wire, &mut scratch).is_none() {
            break;
        }
        if field == Field::Name {
            found.push(NameField {
                start,
                end: wire.at,
                compressible: is_compressible(rtype),
            });
        }
    }
    found
}

/// The data of a record that stands in a message from `at` to `end`, its names made whole by
/// `name`, which gives the name that begins at a place and where it ends. `None` for data that are
/// not of their type.
///
/// Pointers are followed in every type that is known here, although senders should compress those
/// of RFC 1035 only (RFC 3597 section 4 has receivers accept more).
pub(crate) fn expand(
    rtype: RecordType,
    message: &[u8],
    (at, end): (usize, usize),
    name: impl Fn(&[u8], usize) -> Option<(Name, usize)>,
) -> Option<Box<[u8]>> {
    let message = message.get(..end)?;
    let mut out = Vec::with_capacity(end.checked_sub(at)?);
    let mut at = at;
    let fields = schema(rtype).unwrap_or_default();
    let mut scratch = Shown::default();
    for &field in fields {
        if field == Field::Name {
            let (whole, after) = name(message, at)?;
            out.extend_from_slice(whole.as_wire());
            at = after;
        } else {
            let mut wire = Cursor::new(message.get(at..)?);
            field.show(&mut wire, &mut scratch)?;
            out.extend_from_slice(message.get(at..at + wire.at)?);
            at += wire.at;
        }
    }
    out.extend_from_slice(message.get(at..)?);
    is_valid(rtype, &out).then(|| out.into_boxed_slice())
}

/// True when `rdata` is well-formed, uncompressed data of its type (any bytes of a type that is
/// known by number only).
pub fn is_valid(rtype: RecordType, rdata: &[u8]) -> bool {
    schema(rtype).is_none_or(|fields| shown(fields, rdata).is_some())
}

/// The presentation text of `rdata`: the type's own, else RFC 3597's. Names are absolute.
pub fn show(rtype: RecordType, rdata: &[u8]) -> String {
    schema(rtype)
        .and_then(|fields| shown(fields, rdata))
        .unwrap_or_else(|| generic::show(rdata))
}

fn shown(fields: &[Field], rdata: &[u8]) -> Option<String> {
    let mut wire = Cursor::new(rdata);
    let mut text = Shown::default();
    for field in fields {
        field.show(&mut wire, &mut text)?;
    }
    wire.is_at_end().then_some(text.text)
}

/// Text in the making: words with one blank between them.
#[derive(Debug, Default)]
pub(super) struct Shown {
    text: String,
}

impl Shown {
    /// Appends a word; an empty one leaves no trace.
    pub(super) fn word(&mut self, word: impl Display) {
        let before = self.text.len();
        if before > 0 {
            self.text.push(' ');
        }
        let start = self.text.len();
        // Writing to a String cannot fail.
        let _ = write!(self.text, "{word}");
        if self.text.len() == start {
            self.text.truncate(before);
        }
    }

    /// Appends a quoted string with escapes.
    pub(super) fn quoted(&mut self, bytes: &[u8]) {
        self.word(format_args!("\"{}\"", strings::Escaped(bytes)));
    }
}

/// A reader of wire bytes; every step is `None` when too few are left.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A length byte and that many bytes.
    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.take(usize::from(length))
    }

    pub(super) fn name(&mut self) -> Option<Name> {
        let name = Name::read_wire(self.bytes.get(self.at..)?).ok()?;
        self.at += name.as_wire().len();
        Some(name)
    }

    /// Everything left.
    pub(super) fn rest(&mut self) -> &'a [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        self.at = self.bytes.len();
        rest
    }
}
