//! Records of one zone put in order: those outside left out, RRsets without duplicates and with
//! one TTL, one SOA.

use std::collections::{HashMap, HashSet};

use conf::{Diagnostic, RecordType};

use super::ParsedRecord;
use crate::name::Name;
use crate::rdata;
use crate::zonefile::Problems;
use crate::zonefile::problems::LEFT_OUT;

/// Records at or below `origin`, SOA records at `origin` only and not two different ones.
pub(super) fn keep_inside(
    records: Vec<ParsedRecord>,
    origin: &Name,
    problems: &mut Problems,
) -> Vec<ParsedRecord> {
    let mut soa: Option<ParsedRecord> = None;
    let mut kept = Vec::with_capacity(records.len());
    for record in records {
        let warning = |code, message: String| {
            Diagnostic::warning(code, record.span, message).consequence(LEFT_OUT)
        };
        if !record.owner.is_subdomain_of(origin) {
            let message = format!("{} is not in the zone {origin}", record.owner);
            let help = "a name without a final dot is below the current $ORIGIN";
            problems.push(warning("out-of-zone", message).help(help));
            continue;
        }
        if record.rtype == RecordType::SOA {
            if record.owner != *origin {
                let message = format!("the SOA record is at {}, not at {origin}", record.owner);
                problems.push(warning("misplaced-soa", message));
                continue;
            }
            match &soa {
                None => soa = Some(record.clone()),
                Some(first) if canonical(&record) != canonical(first) => {
                    let message = "the zone has two different SOA records".to_owned();
                    let diagnostic = warning("several-soa", message)
                        .help("keep one of them; BIND and NSD would refuse the zone");
                    problems.push(diagnostic.related(first.span, "the one that is served"));
                    continue;
                }
                Some(_) => {}
            }
        }
        kept.push(record);
    }
    kept
}

/// Leaves one of equal records, and gives the records of an RRset its lowest TTL (RFC 2181 section
/// 5.2).
pub(super) fn settle(records: &mut Vec<ParsedRecord>, problems: &mut Problems) {
    let mut sets: HashMap<(&Name, RecordType), Vec<usize>> = HashMap::new();
    for (index, record) in records.iter().enumerate() {
        sets.entry((&record.owner, record.rtype))
            .or_default()
            .push(index);
    }
    let mut several: Vec<Vec<usize>> = sets.into_values().filter(|set| set.len() > 1).collect();
    several.sort_unstable();
    let mut dropped = HashSet::new();
    for set in several {
        drop_equal(records, &set, &mut dropped, problems);
        level_ttls(records, &set, problems);
    }
    let mut index = 0;
    records.retain(|_| {
        index += 1;
        !dropped.contains(&(index - 1))
    });
}

fn drop_equal(
    records: &[ParsedRecord],
    set: &[usize],
    dropped: &mut HashSet<usize>,
    problems: &mut Problems,
) {
    let mut seen: HashMap<Box<[u8]>, usize> = HashMap::with_capacity(set.len());
    for &index in set {
        let Some(record) = records.get(index) else {
            continue;
        };
        let Some(&first) = seen.get(&canonical(record)) else {
            seen.insert(canonical(record), index);
            continue;
        };
        dropped.insert(index);
        let message = format!(
            "{} {} is given twice with the same data",
            record.owner, record.rtype
        );
        let mut diagnostic = Diagnostic::warning("duplicate-record", record.span, message)
            .consequence("it is served once");
        if let Some(first) = records.get(first) {
            diagnostic = diagnostic.related(first.span, "first given here");
        }
        problems.push(diagnostic);
    }
}

fn level_ttls(records: &mut [ParsedRecord], set: &[usize], problems: &mut Problems) {
    let ttls = set.iter().filter_map(|&index| records.get(index));
    let Some(lowest) = ttls.map(|record| record.ttl).min() else {
        return;
    };
    let first = set.first().and_then(|&index| records.get(index));
    let first_ttl = first.map_or(lowest, |record| record.ttl);
    let mut warned = false;
    for &index in set {
        let Some(record) = records.get_mut(index) else {
            continue;
        };
        // Signatures of several RRsets share one (name, type), each with its RRset's TTL.
        if record.rtype == RecordType::RRSIG {
            return;
        }
        if record.ttl != first_ttl && !warned {
            warned = true;
            let message = format!(
                "{} {} has records with different TTLs",
                record.owner, record.rtype
            );
            problems.push(
                Diagnostic::warning("ttl-mismatch", record.span, message)
                    .consequence(format!("all of them get the lowest, {lowest} seconds")),
            );
        }
        record.ttl = lowest;
    }
}

/// The data with its names in lower case: what makes two records the same.
fn canonical(record: &ParsedRecord) -> Box<[u8]> {
    let mut data = record.rdata.clone();
    for name in rdata::names(record.rtype, &record.rdata) {
        if let Some(bytes) = data.get_mut(name.start..name.end) {
            bytes.make_ascii_lowercase();
        }
    }
    data
}

/// The serial of the SOA record.
pub(super) fn serial(records: &[ParsedRecord]) -> Option<u32> {
    let soa = records
        .iter()
        .find(|record| record.rtype == RecordType::SOA)?;
    // Five numbers of 32 bits end the data; the serial is the first of them.
    let numbers = soa.rdata.last_chunk::<20>()?;
    numbers
        .first_chunk()
        .map(|bytes| u32::from_be_bytes(*bytes))
}
