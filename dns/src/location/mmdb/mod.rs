//! MMDB files (MaxMind DB File Format 2.0) compiled to our own table of who is where.
//!
//! Called when zones are loaded and when such a file changed, never by a thread that answers. Takes
//! any file whose records name countries, continents, states or points, whichever of the usual
//! layouts they have. Whatever the file holds it never panics, and takes time and memory in
//! proportion to the file's size.

mod data;
mod record;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use conf::Whereabouts;

use super::levels::Levels;
use super::ranges::Ranges;
use super::{Located, Map};
use data::{Data, Field};

/// What is wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Another kind of file.
    #[error("it is no MMDB file: it has no metadata")]
    NotMmdb,
    /// A format that is not known.
    #[error("it is of an MMDB format that is not known")]
    UnknownFormat,
    /// Damaged.
    #[error("it is damaged: {0}")]
    Broken(&'static str),
    /// More work than a file of its size can need.
    #[error("it is damaged: it leads round in circles")]
    TooMuch,
    /// Well-formed, and of no use.
    #[error("none of its records names a country, a continent or coordinates")]
    NoPlaces,
    /// Well-formed, and of no use for autonomous systems.
    #[error("none of its records has an `autonomous_system_number`")]
    NoAsns,
}

/// What metadata begin with; the last occurrence counts.
const MARKER: &[u8] = b"\xab\xcd\xefMaxMind.com";
/// Metadata are within so many bytes of the end.
const METADATA_WITHIN: usize = 128 << 10;
/// Zero bytes between tree and data.
const SEPARATOR: usize = 16;
/// Fields read for each byte of the file at most: every network may have a record of its own, and
/// those are read without their names in a dozen languages being skipped at no cost.
const STEPS_PER_BYTE: u64 = 32;
/// Visits of a node at most, on average. Files alias their IPv4 part in IPv6 four times, which is
/// not followed.
const VISITS_PER_NODE: usize = 4;

/// Compiles a file; people are told its name and the date it was built.
pub(super) fn compile(file: &[u8], name: &str) -> Result<Located, Fault> {
    let (metadata, tree) = open(file)?;
    let mut records = Records {
        data: Data::new(tree.data, steps(file)),
        by_offset: HashMap::new(),
        by_place: HashMap::from([(Whereabouts::default(), 0)]),
        all: vec![Whereabouts::default()],
    };
    let map = tree.map(&metadata, &mut |record| records.value(record))?;
    if records.all.len() == 1 {
        return Err(Fault::NoPlaces);
    }
    Ok(Located {
        map: Arc::new(map),
        whereabouts: records.all.into(),
        source: metadata.source(name),
        stamp: None,
        asns: None,
    })
}

/// The autonomous system of each address, by a file, 0 for none; and what people are told that it is.
pub(super) fn asns(file: &[u8], name: &str) -> Result<(Map, Arc<str>), Fault> {
    let (metadata, tree) = open(file)?;
    let data = Data::new(tree.data, steps(file));
    let mut by_offset: HashMap<usize, u32> = HashMap::new();
    let map = tree.map(&metadata, &mut |record| {
        let Some(offset) = record else { return Ok(0) };
        if let Some(&number) = by_offset.get(&offset) {
            return Ok(number);
        }
        let number = record::asn(&data, offset)?;
        by_offset.insert(offset, number);
        Ok(number)
    })?;
    match by_offset.values().any(|number| *number > 0) {
        true => Ok((map, metadata.source(name))),
        false => Err(Fault::NoAsns),
    }
}

fn open(file: &[u8]) -> Result<(Metadata, Tree<'_>), Fault> {
    let metadata = Metadata::read(file)?;
    let tree = Tree::new(file, &metadata)?;
    Ok((metadata, tree))
}

fn steps(file: &[u8]) -> u64 {
    (file.len() as u64).saturating_mul(STEPS_PER_BYTE)
}

/// What a file says of itself.
struct Metadata {
    node_count: usize,
    record_size: usize,
    ip_version: u64,
    /// Seconds since 1970.
    build_epoch: u64,
}

impl Metadata {
    fn read(file: &[u8]) -> Result<Self, Fault> {
        let near_end = file.len().saturating_sub(METADATA_WITHIN);
        let end = file.get(near_end..).unwrap_or_default();
        let at = memchr::memmem::rfind(end, MARKER).ok_or(Fault::NotMmdb)?;
        let section = end.get(at + MARKER.len()..).unwrap_or_default();
        let data = Data::new(section, steps(section).saturating_add(64));
        let whole = |key| match data.member(0, key)? {
            Some(Field::Whole(number)) => Ok(number),
            _ => Err(Fault::Broken("its metadata are incomplete")),
        };
        let metadata = Self {
            node_count: usize::try_from(whole("node_count")?).map_err(|_| Fault::TooMuch)?,
            record_size: whole("record_size")? as usize,
            ip_version: whole("ip_version")?,
            build_epoch: whole("build_epoch")?,
        };
        let known = whole("binary_format_major_version")? == 2
            && matches!(metadata.record_size, 24 | 28 | 32)
            && matches!(metadata.ip_version, 4 | 6);
        known.then_some(metadata).ok_or(Fault::UnknownFormat)
    }

    /// What people are told of the file: its name and the day it was built.
    fn source(&self, name: &str) -> Arc<str> {
        format!("{name} of {}", self.date()).into()
    }

    /// The day it was built, YYYY-MM-DD.
    fn date(&self) -> String {
        let built = Duration::from_secs(self.build_epoch.min(u64::from(u32::MAX)));
        let time = healthcheck::rfc3339(SystemTime::UNIX_EPOCH + built);
        time.chars().take("YYYY-MM-DD".len()).collect()
    }
}

/// The search tree and the data behind it.
struct Tree<'f> {
    nodes: &'f [u8],
    node_count: usize,
    record_size: usize,
    data: &'f [u8],
}

/// Nodes and leaves that may still be looked at.
type Budget = usize;

impl<'f> Tree<'f> {
    fn new(file: &'f [u8], metadata: &Metadata) -> Result<Self, Fault> {
        let size = (metadata.record_size / 4).checked_mul(metadata.node_count);
        let cut = || Fault::Broken("it ends in the middle of its tree");
        let (nodes, rest) = size
            .and_then(|size| file.split_at_checked(size))
            .ok_or_else(cut)?;
        Ok(Self {
            nodes,
            node_count: metadata.node_count,
            record_size: metadata.record_size,
            data: rest.get(SEPARATOR..).ok_or_else(cut)?,
        })
    }

    fn budget(&self) -> Budget {
        let visits = self.node_count.saturating_mul(VISITS_PER_NODE);
        visits.saturating_add(1024)
    }

    /// The map of what `value` says of records.
    fn map(
        &self,
        metadata: &Metadata,
        value: &mut dyn FnMut(Option<usize>) -> Result<u32, Fault>,
    ) -> Result<Map, Fault> {
        let budget = &mut self.budget();
        let v4_root = self.v4_root(metadata)?;
        let mut v4 = Ranges::uniform(0);
        self.walk(v4_root, 32, None, budget, &mut |start, record| {
            v4.push(start as u32, value(record)?);
            Ok(())
        })?;
        let mut v6 = Ranges::uniform(0);
        if metadata.ip_version == 6 {
            self.walk(0, 128, Some(v4_root), budget, &mut |start, record| {
                v6.push(start, value(record)?);
                Ok(())
            })?;
        }
        Ok(Map {
            v4: Levels::single(v4.finished()),
            v6: Levels::single(v6.finished()),
        })
    }

    /// Both records of a node.
    fn node(&self, index: usize) -> Result<(usize, usize), Fault> {
        let size = self.record_size / 4;
        let bytes = self.nodes.get(index.saturating_mul(size)..);
        let number = |bytes: &[u8]| bytes.iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
        Ok(match (self.record_size, bytes.unwrap_or_default()) {
            (24, &[a, b, c, d, e, f, ..]) => (number(&[a, b, c]), number(&[d, e, f])),
            (28, &[a, b, c, m, d, e, f, ..]) => {
                (number(&[m >> 4, a, b, c]), number(&[m & 15, d, e, f]))
            }
            (32, &[a, b, c, d, e, f, g, h, ..]) => (number(&[a, b, c, d]), number(&[e, f, g, h])),
            _ => return Err(Fault::Broken("its tree leads outside")),
        })
    }

    /// The record that IPv4 addresses begin at: in a tree of IPv6 below 96 zero bits.
    fn v4_root(&self, metadata: &Metadata) -> Result<usize, Fault> {
        let mut record = 0;
        let zeros = if metadata.ip_version == 6 { 96 } else { 0 };
        for _ in 0..zeros {
            if record >= self.node_count {
                break;
            }
            record = self.node(record)?.0;
        }
        Ok(record)
    }

    /// Calls `leaf` for every leaf below the record `root`, in the order of addresses, with its
    /// first address and the offset of its data, if it has any. What is `apart` (the IPv4 part of
    /// a tree of IPv6, which 6to4, Teredo and others alias) is left empty.
    fn walk(
        &self,
        root: usize,
        bits: u8,
        apart: Option<usize>,
        budget: &mut Budget,
        leaf: &mut dyn FnMut(u128, Option<usize>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut waiting = vec![(root, 0_u128, 0_u8)];
        while let Some((record, start, depth)) = waiting.pop() {
            *budget = budget.checked_sub(1).ok_or(Fault::TooMuch)?;
            let in_v4 = start == 0 && depth == 96;
            let aliased = record < self.node_count && Some(record) == apart && depth > 0;
            if apart.is_some() && (in_v4 || aliased) || record == self.node_count {
                leaf(start, None)?;
            } else if record < self.node_count {
                let rest = bits
                    .checked_sub(depth + 1)
                    .ok_or(Fault::Broken("its tree is deeper than addresses are long"))?;
                let (left, right) = self.node(record)?;
                waiting.push((right, start | 1 << rest, depth + 1));
                waiting.push((left, start, depth + 1));
            } else {
                let offset = (record - self.node_count).checked_sub(SEPARATOR);
                let offset = offset.ok_or(Fault::Broken("its tree leads between tree and data"));
                leaf(start, Some(offset?))?;
            }
        }
        Ok(())
    }
}

/// The whereabouts that records name, each once.
struct Records<'f> {
    data: Data<'f>,
    by_offset: HashMap<usize, u32>,
    by_place: HashMap<Whereabouts, u32>,
    all: Vec<Whereabouts>,
}

impl Records<'_> {
    /// The number of a record's whereabouts.
    fn value(&mut self, record: Option<usize>) -> Result<u32, Fault> {
        let Some(offset) = record else {
            return Ok(0);
        };
        if let Some(&value) = self.by_offset.get(&offset) {
            return Ok(value);
        }
        let there = record::whereabouts(&self.data, offset)?;
        let next = self.all.len() as u32;
        let all = &mut self.all;
        let value = *self.by_place.entry(there).or_insert_with(|| {
            all.push(there);
            next
        });
        self.by_offset.insert(offset, value);
        Ok(value)
    }
}

#[cfg(test)]
mod tests;
