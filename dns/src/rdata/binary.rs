//! Bytes as text: hex, base64 and base32hex (RFC 4648), as DNSSEC and TLSA types use them.

use data_encoding::{BASE32HEX_NOPAD, BASE64, HEXUPPER, HEXUPPER_PERMISSIVE};

use super::fields::{Fields, RdataError};

/// Hex to the end of the data, in any number of words, at least one digit pair.
pub(super) fn read_hex(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let first = fields.peek();
    if first.is_none() {
        fields.expect("data in hex digits")?;
    }
    read_hex_words(fields, out)
}

/// Hex to the end of the data, possibly none.
pub(super) fn read_hex_words(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let mut digits = Vec::new();
    let mut last = None;
    while let Some(word) = fields.take() {
        if !word.raw.iter().all(u8::is_ascii_hexdigit) {
            return Err(word.not("hex digits"));
        }
        digits.extend_from_slice(word.raw);
        last = Some(word);
    }
    match (HEXUPPER_PERMISSIVE.decode(&digits), last) {
        (Ok(bytes), _) => out.extend_from_slice(&bytes),
        (Err(_), Some(word)) => return Err(word.not("the end of a whole number of bytes in hex")),
        (Err(_), None) => {}
    }
    Ok(())
}

/// Base64 to the end of the data, in any number of words.
pub(super) fn read_base64(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let first = fields.expect("data in base64")?;
    let mut digits = first.raw.to_vec();
    let mut end = first.range().end;
    while let Some(word) = fields.take() {
        digits.extend_from_slice(word.raw);
        end = word.range().end;
    }
    match BASE64.decode(&digits) {
        Ok(bytes) => out.extend_from_slice(&bytes),
        Err(_) => {
            let range = first.range().start..end;
            return Err(RdataError::new(range, "this is not valid base64")
                .help("base64 has groups of four of A-Z a-z 0-9 + /, the last one filled with ="));
        }
    }
    Ok(())
}

/// NSEC3 salt: hex, or `-` for none; a length byte goes before it.
pub(super) fn read_salt(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let word = fields.expect("a salt in hex, or -")?;
    let salt = match word.raw {
        b"-" => Vec::new(),
        raw => HEXUPPER_PERMISSIVE
            .decode(raw)
            .map_err(|_| word.not("a salt in hex, or -"))?,
    };
    push_counted(out, &salt).ok_or_else(|| word.not("a salt of at most 255 bytes"))
}

/// NSEC3 next hashed owner: base32hex; a length byte goes before it.
pub(super) fn read_hash(fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), RdataError> {
    let word = fields.expect("a hash in base32hex")?;
    let hash = BASE32HEX_NOPAD
        .decode(&word.raw.to_ascii_uppercase())
        .map_err(|_| word.not("a hash in base32hex"))?;
    push_counted(out, &hash).ok_or_else(|| word.not("a hash of at most 255 bytes"))
}

/// Appends a length byte and the bytes; `None` when they are more than 255.
pub(super) fn push_counted(out: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    out.push(u8::try_from(bytes.len()).ok()?);
    out.extend_from_slice(bytes);
    Some(())
}

pub(super) fn show_hex(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| HEXUPPER.encode(bytes))
}

pub(super) fn show_base64(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| BASE64.encode(bytes))
}

pub(super) fn show_salt(bytes: &[u8]) -> String {
    match bytes {
        [] => "-".to_owned(),
        _ => HEXUPPER.encode(bytes),
    }
}

pub(super) fn show_hash(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty()).then(|| BASE32HEX_NOPAD.encode(bytes))
}
