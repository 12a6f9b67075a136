//! One hash table for every name of every served zone.
//!
//! Filled by the zone compiler, asked once per query (and once per CNAME followed); the names
//! themselves are the [`Names`] that the caller brings. A name that
//! is not in it costs one probe per label, never a scan of a zone, so that random names (water
//! torture) cost what other names cost.
//! Cost: one keyed hash of the name and, as a rule, one bucket and one comparison; no allocation.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;

/// Index of a node in its table.
pub(super) type NodeIdx = u32;
/// Stands for "no node".
pub(super) const NO_NODE: NodeIdx = u32::MAX;

/// A node of a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    /// The zone's position among the zones.
    pub(super) zone: u32,
    /// The node in it.
    pub(super) node: NodeIdx,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    tag: u32,
    spot: Spot,
}

const EMPTY: Bucket = Bucket {
    tag: 0,
    spot: Spot {
        zone: 0,
        node: NO_NODE,
    },
};

/// What a lookup found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// The name itself.
    Exact(Spot),
    /// The closest name above it that exists.
    Below(Spot),
    /// Neither: no zone here holds the name.
    Nothing,
}

/// The lower-case name of each node.
pub(super) trait Names {
    /// The wire form; empty for no node.
    fn name(&self, spot: Spot) -> &[u8];
}

/// The node of each name.
#[derive(Debug)]
pub(super) struct NameTable {
    keys: [u64; 2],
    buckets: Box<[Bucket]>,
    deepest: usize,
}

impl NameTable {
    /// A table in which `nodes` (no two of one name) can be found.
    pub(super) fn new(names: &impl Names, nodes: &[Spot]) -> Self {
        // Names come from the configuration and are compared in full, so that a client cannot
        // lengthen a chain; the random keys keep the order of buckets from being known at all.
        let random = RandomState::new();
        let keys = [random.hash_one(1_u8), random.hash_one(2_u8) | 1];
        let capacity = (nodes.len() * 2).next_power_of_two().max(8);
        let mut table = Self {
            keys,
            buckets: vec![EMPTY; capacity].into(),
            deepest: 0,
        };
        for &node in nodes {
            let name = names.name(node);
            table.deepest = table.deepest.max(label_count(name));
            table.insert(name, node);
        }
        table
    }

    /// Looks up a lower-case name.
    pub(super) fn find(&self, names: &impl Names, name: &[u8]) -> Found {
        match self.probe(names, name) {
            Some(node) => Found::Exact(node),
            None => self.find_above(names, name),
        }
    }

    /// The closest name strictly above `name`.
    pub(super) fn find_above(&self, names: &impl Names, name: &[u8]) -> Found {
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
            if let Some(node) = self.probe(names, rest) {
                return Found::Below(node);
            }
        }
        Found::Nothing
    }

    fn probe(&self, names: &impl Names, name: &[u8]) -> Option<Spot> {
        let hash = self.hash(name);
        let mask = self.buckets.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let bucket = self.buckets.get(at)?;
            if bucket.spot.node == NO_NODE {
                return None;
            }
            if bucket.tag == tag(hash) && names.name(bucket.spot) == name {
                return Some(bucket.spot);
            }
            at = (at + 1) & mask;
        }
    }

    fn insert(&mut self, name: &[u8], spot: Spot) {
        let hash = self.hash(name);
        let mask = self.buckets.len() - 1;
        let mut at = hash as usize & mask;
        // Half of the buckets stay empty.
        while let Some(bucket) = self.buckets.get_mut(at) {
            if bucket.spot.node == NO_NODE {
                *bucket = Bucket {
                    tag: tag(hash),
                    spot,
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

    struct Listed(Vec<Box<[u8]>>);

    impl Names for Listed {
        fn name(&self, spot: Spot) -> &[u8] {
            &self.0[spot.node as usize]
        }
    }

    fn spot(node: NodeIdx) -> Spot {
        Spot { zone: 0, node }
    }

    fn wire(text: &str) -> Box<[u8]> {
        crate::Name::parse(text, None).unwrap().to_lower_wire()
    }

    #[test]
    fn finds_names_and_the_closest_name_above() {
        let texts = [
            "example.",
            "www.example.",
            "a.b.example.",
            "hidden.example.",
        ];
        let names = Listed(texts.map(wire).into());
        let table = NameTable::new(&names, &[0, 1, 2].map(spot));
        let find = |text| table.find(&names, &wire(text));
        assert_eq!(find("www.example."), Found::Exact(spot(1)));
        assert_eq!(find("x.y.z.a.b.example."), Found::Below(spot(2)));
        assert_eq!(find("x.b.example."), Found::Below(spot(0)));
        assert_eq!(find("hidden.example."), Found::Below(spot(0)));
        assert_eq!(find("example.org."), Found::Nothing);
        assert_eq!(find("."), Found::Nothing);
        let above = table.find_above(&names, &wire("www.example."));
        assert_eq!(above, Found::Below(spot(0)));
    }

    #[test]
    fn the_root_is_above_everything_once_it_is_served() {
        let names = Listed(vec![wire(".")]);
        let table = NameTable::new(&names, &[spot(0)]);
        assert_eq!(table.find(&names, &wire("a.b.c.")), Found::Below(spot(0)));
        assert_eq!(table.find(&names, &wire(".")), Found::Exact(spot(0)));
    }
}
