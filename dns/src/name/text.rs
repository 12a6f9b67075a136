//! Domain names as text: presentation format in and out (RFC 1035 section 5.1, RFC 4343).
//!
//! Called by [`Name::parse`](super::Name::parse) and its `Display`. Never looks at the network,
//! never folds case.

use std::fmt;

use super::{MAX_LABEL, MAX_NAME, Name, NameError};

pub(super) fn parse(text: &[u8], origin: Option<&Name>) -> Result<Name, NameError> {
    match text {
        b"" => return Err(NameError::Empty),
        b"." => return Ok(Name::root()),
        b"@" => return origin.cloned().ok_or(NameError::NoOrigin),
        _ => {}
    }
    let mut labels = WireWriter::default();
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        match byte {
            b'.' => {
                labels.end_label()?;
                rest = after;
            }
            b'\\' => {
                let (byte, after) = unescape(after).ok_or(NameError::BadEscape)?;
                labels.push(byte)?;
                rest = after;
            }
            _ => {
                labels.push(byte)?;
                rest = after;
            }
        }
    }
    labels.finish(origin)
}

/// What follows a backslash: the byte it stands for, and the rest.
pub(crate) fn unescape(text: &[u8]) -> Option<(u8, &[u8])> {
    let (&first, after) = text.split_first()?;
    if !first.is_ascii_digit() {
        return Some((first, after));
    }
    let (digits, after) = text.split_at_checked(3)?;
    let mut value = 0_u16;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u16::from(digit - b'0');
    }
    Some((u8::try_from(value).ok()?, after))
}

/// Wire form in the making: finished labels, and the one being filled.
#[derive(Default)]
struct WireWriter {
    wire: Vec<u8>,
    label: Vec<u8>,
}

impl WireWriter {
    fn push(&mut self, byte: u8) -> Result<(), NameError> {
        if self.label.len() == MAX_LABEL {
            return Err(NameError::LabelTooLong);
        }
        self.label.push(byte);
        Ok(())
    }

    fn end_label(&mut self) -> Result<(), NameError> {
        let length = match u8::try_from(self.label.len()) {
            Ok(0) | Err(_) => return Err(NameError::EmptyLabel),
            Ok(length) => length,
        };
        self.wire.push(length);
        self.wire.append(&mut self.label);
        if self.wire.len() >= MAX_NAME {
            return Err(NameError::TooLong);
        }
        Ok(())
    }

    fn finish(mut self, origin: Option<&Name>) -> Result<Name, NameError> {
        if self.label.is_empty() {
            return Name::joined(&[&self.wire, &[0]]);
        }
        self.end_label()?;
        let origin = origin.ok_or(NameError::NoOrigin)?;
        Name::joined(&[&self.wire, origin.as_wire()])
    }
}

pub(super) fn write(f: &mut fmt::Formatter<'_>, name: &Name) -> fmt::Result {
    if name.is_root() {
        return f.write_str(".");
    }
    for label in name.labels() {
        for &byte in label {
            match byte {
                b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
                    write!(f, "\\{}", char::from(byte))?;
                }
                0x21..=0x7e => write!(f, "{}", char::from(byte))?,
                _ => write!(f, "\\{byte:03}")?,
            }
        }
        f.write_str(".")?;
    }
    Ok(())
}
