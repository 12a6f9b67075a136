//! Record types in record data: the covered type of an RRSIG, and type bitmaps (RFC 4034 section
//! 4.1.2).

use std::collections::BTreeSet;

use conf::RecordType;

use super::fields::{Fields, RdataError, Word};
use super::schema::type_by_name;
use super::wire::{Cursor, Shown};

fn record_type(word: &Word<'_>) -> Result<RecordType, RdataError> {
    type_by_name(&word.text()).ok_or_else(|| word.not("a record type"))
}

pub(super) fn read_type(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let word = fields.expect("a record type")?;
    out.extend_from_slice(&record_type(&word)?.0.to_be_bytes());
    Ok(())
}

/// Types to the end of the data, as windows of 256.
pub(super) fn read_types(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let mut types = BTreeSet::new();
    while let Some(word) = fields.take() {
        types.insert(record_type(&word)?.0);
    }
    let mut window: Option<(u8, Vec<u8>)> = None;
    for number in types {
        let [high, low] = number.to_be_bytes();
        if window.as_ref().is_none_or(|(current, _)| *current != high) {
            push_window(window.take(), out);
            window = Some((high, Vec::new()));
        }
        if let Some((_, bits)) = &mut window {
            let byte = usize::from(low / 8);
            bits.resize(byte + 1, 0);
            bits[byte] |= 0x80 >> (low % 8);
        }
    }
    push_window(window, out);
    Ok(())
}

fn push_window(window: Option<(u8, Vec<u8>)>, out: &mut Vec<u8>) {
    if let Some((number, bits)) = window {
        out.push(number);
        // At most 32 bytes: 256 types.
        out.push(u8::try_from(bits.len()).unwrap_or(u8::MAX));
        out.extend_from_slice(&bits);
    }
}

pub(super) fn show_types(wire: &mut Cursor<'_>, shown: &mut Shown) -> Option<()> {
    let mut previous: Option<u8> = None;
    while !wire.is_at_end() {
        let window = wire.u8()?;
        let bits = wire.text()?;
        let ascending = previous.is_none_or(|before| before < window);
        if !ascending || bits.is_empty() || bits.len() > 32 || bits.last() == Some(&0) {
            return None;
        }
        previous = Some(window);
        for (index, low) in (0..=u8::MAX).take(bits.len() * 8).enumerate() {
            if bits[index / 8] & (0x80 >> (index % 8)) != 0 {
                shown.word(RecordType(u16::from_be_bytes([window, low])));
            }
        }
    }
    Some(())
}
