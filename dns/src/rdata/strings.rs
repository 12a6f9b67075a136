//! Text and names in record data: character-strings (RFC 1035 section 3.3), CAA tags and values
//! (RFC 8659), URI targets (RFC 7553), domain names.

use std::fmt::{self, Write};

use super::binary::push_counted;
use super::fields::{Fields, RdataError};
use super::wire::{Cursor, Shown};
use crate::name::{Name, NameError};

/// Longest character-string in bytes (RFC 1035 section 3.3).
const MAX_TEXT: usize = 255;

pub(super) fn read_name(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let word = fields.expect("a domain name")?;
    let name = Name::parse(word.raw, Some(fields.origin())).map_err(|why| {
        let error = word.not(&format!("a domain name: {why}"));
        match why {
            NameError::BadEscape => error.tolerated(),
            _ => error,
        }
    })?;
    out.extend_from_slice(name.as_wire());
    Ok(())
}

pub(super) fn read_text(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let word = fields.expect("a character-string")?;
    push_counted(out, &word.bytes()?)
        .ok_or_else(|| word.not("a character-string of at most 255 bytes"))
}

pub(super) fn read_texts(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    if fields.peek().is_none() {
        fields.expect("a character-string")?;
    }
    read_more_texts(fields, out)
}

/// Strings to the end of the data; one over 255 bytes becomes several (as Knot does; a reader of
/// TXT data joins them without a blank, RFC 7208 section 3.3).
pub(super) fn read_more_texts(
    fields: &mut Fields<'_>,
    out: &mut Vec<u8>,
) -> Result<(), RdataError> {
    while let Some(word) = fields.take() {
        let bytes = word.bytes()?;
        if bytes.is_empty() {
            out.push(0);
        }
        for part in bytes.chunks(MAX_TEXT) {
            push_counted(out, part);
        }
    }
    Ok(())
}

pub(super) fn show_texts(wire: &mut Cursor<'_>, shown: &mut Shown, least: usize) -> Option<()> {
    let mut count = 0;
    while !wire.is_at_end() {
        shown.quoted(wire.text()?);
        count += 1;
    }
    (count >= least).then_some(())
}

pub(super) fn read_tag(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let word = fields.expect("a tag such as issue")?;
    let tag = word.bytes()?;
    if tag.is_empty() {
        return Err(word
            .not("a tag such as issue, issuewild or iodef")
            .tolerated());
    }
    if !tag.iter().all(u8::is_ascii_alphanumeric) {
        let message = format!(
            "the tag {} has more than letters and digits",
            word.display()
        );
        fields.note(word.range(), message);
    }
    push_counted(out, &tag).ok_or_else(|| word.not("a tag of at most 255 bytes"))
}

pub(super) fn show_tag(wire: &mut Cursor<'_>, shown: &mut Shown) -> Option<()> {
    let tag = wire.text()?;
    if tag.is_empty() {
        return None;
    }
    match tag.iter().all(u8::is_ascii_alphanumeric) {
        true => shown.word(Escaped(tag)),
        false => shown.quoted(tag),
    }
    Some(())
}

pub(super) fn read_value(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let word = fields.expect("a value")?;
    out.extend_from_slice(&word.bytes()?);
    Ok(())
}

/// Bytes with the escapes that presentation format asks for inside quotes.
pub(super) struct Escaped<'a>(pub(super) &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in self.0 {
            match byte {
                b'"' | b'\\' => write!(f, "\\{}", char::from(byte))?,
                0x20..=0x7e => f.write_char(char::from(byte))?,
                _ => write!(f, "\\{byte:03}")?,
            }
        }
        Ok(())
    }
}
