//! `hints` of a record: whose addresses SVCB and HTTPS records name beside their values.

use super::Names;
use crate::section::Section;
use crate::tree::Reader;
use crate::{Diagnostic, GroupIdx, RecordSet, RecordType, SetData, Spanned};

/// Reads the key; `types` and `sets` are the record's.
pub(super) fn resolve(
    reader: &mut Reader<'_>,
    types: &[Spanned<RecordType>],
    sets: &[RecordSet],
    names: &mut Names,
) -> Option<GroupIdx> {
    let span = reader.key_span("hints")?;
    let table = reader.table("hints")?;
    let title = format!("`hints` of {}", reader.title());
    let mut inner = Reader::new(reader.scope(), table, Section::Hints, title);
    inner.missing(
        "target-group",
        "it would not be known whose addresses to name",
        "write `hints = { target-group = \"app\" }`",
    );
    let group = inner.text("target-group");
    let group = group.and_then(|name| names.groups.find(name, inner.scope()));
    inner.finish();
    let hinting = [RecordType::SVCB, RecordType::HTTPS];
    let is_hinting = types.iter().all(|found| hinting.contains(&found.value));
    let has_values = sets
        .iter()
        .all(|set| matches!(set.data, SetData::Values(_)));
    if is_hinting && has_values {
        return group;
    }
    let message = format!("`hints` of {} have no values to be in", reader.title());
    reader.scope().report(
        Diagnostic::error("hints", span, message)
            .consequence("no answer could name the addresses")
            .help("give them to a record of type HTTPS or SVCB whose sets have values: `values = [\"1 . alpn=h2\"]`"),
    );
    None
}
