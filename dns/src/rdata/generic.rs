//! RFC 3597: `\# LENGTH HEX` for any type, and what to say of types known by number only.

use std::fmt::Write;

use conf::RecordType;

use super::fields::{Fields, RdataError};
use super::{binary, is_valid};

/// True when the data is written in RFC 3597 form.
pub(super) fn is_generic(fields: &Fields<'_>) -> bool {
    fields
        .peek()
        .is_some_and(|word| word.raw == b"\\#" && !word.token.quoted)
}

pub(super) fn read(
    rtype: RecordType,
    fields: &mut Fields<'_>,
    out: &mut Vec<u8>,
) -> Result<(), RdataError> {
    fields.take();
    let length_word = fields.expect("the length after \\#")?;
    let Ok(length) = length_word.text().parse::<usize>() else {
        return Err(length_word.not("a length in bytes"));
    };
    let start = length_word.range().start;
    binary::read_hex_words(fields, out)?;
    let range = start..fields.whole().end.max(start);
    if out.len() != length {
        let message = format!("{} bytes follow where {length} are announced", out.len());
        return Err(RdataError::new(range, message).tolerated());
    }
    if !is_valid(rtype, out) {
        let message = format!("these bytes are not the data of a {rtype} record");
        return Err(RdataError::new(range, message).tolerated());
    }
    Ok(())
}

/// The error for plain text of a type that is known by number only.
pub(super) fn needed(rtype: RecordType, fields: &Fields<'_>) -> RdataError {
    let error = RdataError::new(
        fields.whole(),
        format!("the data of {rtype} records can be read in RFC 3597 form only"),
    )
    .help(format!(
        "write it as TYPE{} \\# LENGTH HEX, with the length in bytes",
        rtype.0
    ));
    // Other servers know the syntax of some of these types, none knows that of a bare number.
    match super::schema::is_number_only(rtype) {
        true => error.tolerated(),
        false => error,
    }
}

pub(super) fn show(rdata: &[u8]) -> String {
    let mut text = format!("\\# {}", rdata.len());
    if !rdata.is_empty() {
        let _ = write!(text, " {}", data_encoding::HEXUPPER.encode(rdata));
    }
    text
}
