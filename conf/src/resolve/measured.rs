//! `measured-latency` of `[dns]`: the region that this process is in, and when times count.

use super::Names;
use crate::MeasuredLatency;
use crate::document::Kind;
use crate::section::Section;
use crate::tree::{Limit, Reader};

const TITLE: &str = "`measured-latency`";

/// One connection may have been a bad one; more than a hundred would wait for days.
const MIN_SAMPLES: Limit<u64> = Limit {
    default: 5,
    min: 1,
    max: 100,
    why: "fewer would follow a single bad connection, more would hardly ever count",
};

/// Reads the key; `None` when nothing is to be measured.
pub(super) fn resolve(reader: &mut Reader<'_>, names: &mut Names) -> Option<MeasuredLatency> {
    let value = reader.take("measured-latency")?;
    let table = match &value.kind {
        Kind::Table(table) => table,
        Kind::Boolean(false) => return None,
        Kind::String(word) if word == "off" => return None,
        _ => {
            reader.bad_value(
                value.span,
                format!("{TITLE} does not say which region this process is in"),
                "write `measured-latency = { region = \"eu-central-1\" }`, or leave it out to measure nothing",
            );
            return None;
        }
    };
    let mut inner = Reader::new(reader.scope(), table, Section::MeasuredLatency, TITLE);
    inner.missing(
        "region",
        "it would not be known where the times lead to",
        "add `region = \"eu-central-1\"`: the one that this process is in",
    );
    let region = inner.text("region");
    let region = region.and_then(|name| names.regions.find(name, inner.scope()));
    let samples = inner.whole("min-samples", &MIN_SAMPLES);
    inner.finish();
    let samples = samples.map_or(MIN_SAMPLES.default, |samples| samples.value);
    Some(MeasuredLatency {
        region: region?,
        min_samples: u32::try_from(samples).unwrap_or(1),
    })
}
