//! Zone files (RFC 1035 section 5, RFC 2308 section 4, RFC 3597): text to records, with every
//! problem reported at its own line.
//!
//! Called by the loader, once per zone that has a file. Reads the file and what it includes,
//! nothing else. Does not judge the zone as a whole: that is the loader's, once the records of the
//! config file are known too.
//!
//! **A problem is an error only where BIND, NSD and Knot all refuse it**; what one of them loads
//! is a warning here, and either kept or left out, as the warning says.

mod directive;
mod generate;
mod input;
pub(crate) mod problems;
mod reader;
mod record;
pub(crate) mod scanner;

use std::path::Path;

use conf::{Sources, Span};

use crate::load::ParsedRecord;
use crate::name::Name;
pub(crate) use problems::Problems;
use reader::Reader;

/// TTL of records in files that never give one, in seconds (as NSD and Knot).
const FALLBACK_TTL: u32 = 3_600;

/// What a zone file holds, includes and generated records among them, in the order of the text.
#[derive(Debug)]
pub(crate) struct ZoneText {
    /// The records; owners may be outside of the zone.
    pub(crate) records: Vec<ParsedRecord>,
    /// The last `$TTL`, or what stood in for one.
    pub(crate) default_ttl: Option<u32>,
}

/// Reads the file at `path`, named at `span`; relative names are below `origin` until the file
/// says otherwise. `None` when it cannot be read at all.
pub(crate) fn read(
    path: &Path,
    span: Span,
    origin: &Name,
    sources: &mut Sources,
    problems: &mut Problems,
) -> Option<ZoneText> {
    let mut reader = Reader::new(sources, problems);
    reader
        .read_root(path, span, origin)
        .then(|| reader.finish())
}

#[cfg(test)]
mod tests;
