//! Record data: presentation text to uncompressed wire form, and back.
//!
//! Called by the zone-file reader and the loader; `names` and `show` also by the zone compiler and
//! by status pages. Every type is a row of [`schema`]: a list of fields, each of which can be read
//! from text, walked over in wire form, and shown. No type has code of its own, so a type that is
//! missing is one line. Never trusts wire data: every walk is bounded by the RDATA's length.

mod address;
mod binary;
mod fields;
mod generic;
mod location;
mod number;
mod schema;
mod service;
mod strings;
mod types;
mod wire;

pub(crate) use number::seconds;
pub use schema::{is_meta, type_by_name};
pub(crate) use schema::{is_text, similar_type};
pub(crate) use wire::expand;
pub use wire::{NameField, is_valid, names, show};

pub(crate) use fields::Fields;
pub use fields::{Note, RdataError};

use conf::RecordType;

use crate::name::Name;
use crate::zonefile::scanner;
use schema::schema;

/// Longest RDATA in bytes: its length is 16 bits on the wire (RFC 1035 section 3.2.1).
pub const MAX_RDATA: usize = 65_535;

/// Reads the presentation text of one record's data, as in a zone file after the type; names
/// without a final dot are below `origin`.
///
/// # Errors
/// What is wrong, which part of `text` it is about, and often how to mend it.
pub fn parse(
    rtype: RecordType,
    text: &[u8],
    origin: &Name,
) -> Result<(Box<[u8]>, Vec<Note>), RdataError> {
    let tokens = scanner::scan_value(text)?;
    read(rtype, Fields::new(text, &tokens, 0..text.len(), origin))
}

/// Reads the data of one record from its tokens.
pub(crate) fn read(
    rtype: RecordType,
    mut fields: Fields<'_>,
) -> Result<(Box<[u8]>, Vec<Note>), RdataError> {
    let mut out = Vec::new();
    if generic::is_generic(&fields) {
        generic::read(rtype, &mut fields, &mut out)?;
    } else {
        let Some(schema) = schema(rtype) else {
            return Err(generic::needed(rtype, &fields));
        };
        for field in schema {
            field.read(&mut fields, &mut out)?;
        }
    }
    fields.finish(rtype)?;
    if out.len() > MAX_RDATA {
        return Err(RdataError::new(
            fields.whole(),
            format!(
                "the data takes {} bytes and may take {MAX_RDATA}",
                out.len()
            ),
        ));
    }
    schema::check(rtype, &out, &mut fields);
    Ok((out.into_boxed_slice(), fields.into_notes()))
}

#[cfg(test)]
mod tests;
