//! One hash table for every name of every served zone.
//!
//! Filled by the zone compiler, asked once per query (and once per CNAME followed). A name that
//! is not in it costs one probe per label, never a scan of a zone, so that random names (water
//! torture) cost what other names cost.
//! Cost: one keyed hash of the name and, as a rule, one bucket and one comparison; no allocation.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// Index of a node in its table.
pub(super) type NodeIdx = u32;
/// Stands for "no node".
pub(super) const NO_NODE: NodeIdx = u32::MAX;

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tag: u32,
    node: NodeIdx,
}

const EMPTY: Bucket = Bucket {
    tag: 0,
    node: NO_NODE,
};

/// What a lookup found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// The name itself.
    Exact(NodeIdx),
    /// The closest name above it that exists.
    Below(NodeIdx),
    /// Neither: no zone here holds the name.
    Nothing,
}

/// Names in lower-case wire form, and the node of each.
#[derive(Debug)]
pub(super) struct NameTable {
    keys: [u64; 2],
    buckets: Box<[Bucket]>,
    bytes: Box<[u8]>,
    /// Where each node's name ends in `bytes`; it begins where the one before ends.
    ends: Box<[u32]>,
    deepest: usize,
}

impl NameTable {
    /// A table of `names` (lower case, no two equal; the node's index is the position), of which
    /// those that `listed` picks can be found.
    pub(super) fn new(names: &[Box<[u8]>], listed: impl Fn(NodeIdx) -> bool) -> Self {
        // Names come from the configuration and are compared in full, so that a client cannot
        // lengthen a chain; the random keys keep the order of buckets from being known at all.
        let random = RandomState::new();
        let keys = [random.hash_one(1_u8), random.hash_one(2_u8) | 1];
        let capacity = (names.len() * 2).next_power_of_two().max(8);
        let mut table = Self {
            keys,
            buckets: vec![EMPTY; capacity].into(),
            bytes: names.concat().into(),
            ends: ends_of(names),
            deepest: 0,
        };
        for (index, name) in names.iter().enumerate() {
            let node = index as NodeIdx;
            if listed(node) {
                table.deepest = table.deepest.max(label_count(name));
                table.insert(name, node);
            }
        }
        table
    }

    /// A node's name.
    pub(super) fn name(&self, node: NodeIdx) -> &[u8] {
        let index = node as usize;
        let start = match index.checked_sub(1) {
            Some(before) => self.ends.get(before).map_or(0, |&end| end as usize),
            None => 0,
        };
        let end = self.ends.get(index).map_or(start, |&end| end as usize);
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// Looks up a lower-case name.
    pub(super) fn find(&self, name: &[u8]) -> Found {
        match self.probe(name) {
            Some(node) => Found::Exact(node),
            None => self.find_above(name),
        }
    }

    /// The closest name strictly above `name`.
    pub(super) fn find_above(&self, name: &[u8]) -> Found {
        let mut rest = name;
        // Names deeper than any listed one need no probe.
        let mut left = label_count(name);
        while let Some((&length, after)) = rest.split_first() {
            if length == 0 {
                break;
            }
            rest = after.get(usize::from(length)..).unwrap_or_default();
            left = left.saturating_sub(1);
            if left > self.deepest {
                continue;
            }
            if let Some(node) = self.probe(rest) {
                return Found::Below(node);
            }
        }
        Found::Nothing
    }

    fn probe(&self, name: &[u8]) -> Option<NodeIdx> {
        let hash = self.hash(name);
        let mask = self.buckets.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let bucket = self.buckets.get(at)?;
            if bucket.node == NO_NODE {
                return None;
            }
            if bucket.tag == tag(hash) && self.name(bucket.node) == name {
                return Some(bucket.node);
            }
            at = (at + 1) & mask;
        }
    }

    fn insert(&mut self, name: &[u8], node: NodeIdx) {
        let hash = self.hash(name);
        let mask = self.buckets.len() - 1;
        let mut at = hash as usize & mask;
        // Half of the buckets stay empty.
        while let Some(bucket) = self.buckets.get_mut(at) {
            if bucket.node == NO_NODE {
                *bucket = Bucket {
                    tag: tag(hash),
                    node,
                };
                return;
            }
            at = (at + 1) & mask;
        }
    }

    fn hash(&self, name: &[u8]) -> u64 {
        let [first, second] = self.keys;
        let mut hash = first ^ name.len() as u64;
        let (words, tail) = name.as_chunks::<8>();
        for word in words {
            hash = fold(hash ^ u64::from_le_bytes(*word), second);
        }
        let mut last = [0; 8];
        for (place, byte) in last.iter_mut().zip(tail) {
            *place = *byte;
        }
        fold(hash ^ u64::from_le_bytes(last), second)
    }
}

/// The high half of the hash; the low half chooses the bucket.
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
}

fn ends_of(names: &[Box<[u8]>]) -> Box<[u32]> {
    let mut end = 0_usize;
    names
        .iter()
        .map(|name| {
            end += name.len();
            u32::try_from(end).unwrap_or(u32::MAX)
        })
        .collect()
}

/// Labels of a well-formed wire name, the root label left out.
pub(super) fn label_count(name: &[u8]) -> usize {
    let (mut at, mut count) = (0, 0);
    while let Some(&length) = name.get(at)
        && length != 0
    {
        at += usize::from(length) + 1;
        count += 1;
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wire(text: &str) -> Box<[u8]> {
        crate::Name::parse(text, None).unwrap().to_lower_wire()
    }

    #[test]
    fn finds_names_and_the_closest_name_above() {
        let names = [
            "example.",
            "www.example.",
            "a.b.example.",
            "hidden.example.",
        ]
        .map(wire);
        let table = NameTable::new(&names, |node| node != 3);
        assert_eq!(table.find(&wire("www.example.")), Found::Exact(1));
        assert_eq!(table.find(&wire("x.y.z.a.b.example.")), Found::Below(2));
        assert_eq!(table.find(&wire("x.b.example.")), Found::Below(0));
        assert_eq!(table.find(&wire("hidden.example.")), Found::Below(0));
        assert_eq!(table.find_above(&wire("www.example.")), Found::Below(0));
        assert_eq!(table.find(&wire("example.org.")), Found::Nothing);
        assert_eq!(table.find(&wire(".")), Found::Nothing);
        assert_eq!(&*wire("a.b.example."), table.name(2));
    }

    #[test]
    fn the_root_is_above_everything_once_it_is_served() {
        let table = NameTable::new(&[wire(".")], |_| true);
        assert_eq!(table.find(&wire("a.b.c.")), Found::Below(0));
        assert_eq!(table.find(&wire(".")), Found::Exact(0));
    }
}
