//! One hash table for every name of every served zone.
//!
//! Filled by the zone compiler, asked once per query (and once per CNAME followed); the names
//! themselves are the [`Names`] that the caller brings. A name that
//! is not in it costs one probe per label, never a scan of a zone, so that random names (water
//! torture) cost what other names cost.
//! Cost: one keyed hash of the name and, as a rule, one bucket and one comparison; no allocation.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::Arc;

use crate::server::batch::prefetch;

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

/// Whole cache lines hold whole buckets. The name's place is here so that the name is read beside the
/// node and not after it.
#[derive(Debug, Clone, Copy)]
#[repr(align(16))]
struct Bucket {
    tag: u32,
    spot: Spot,
    name: u32,
}

const EMPTY: Bucket = Bucket {
    tag: 0,
    spot: Spot {
        zone: 0,
        node: NO_NODE,
    },
    name: 0,
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
    /// Where in its zone's bytes the name begins.
    fn start(&self, spot: Spot) -> u32;
    /// True for a node that says that its name is not there any more.
    fn is_gone(&self, spot: Spot) -> bool;
    /// So many bytes of a zone from there on; none when there are fewer.
    fn bytes(&self, zone: u32, start: u32, len: usize) -> &[u8];
}

/// The node of each name.
#[derive(Debug)]
struct NameTable {
    keys: [u64; 2],
    buckets: Box<[Bucket]>,
    deepest: usize,
}

/// The table of the names that were compiled, and perhaps one of names that changed since, which is
/// asked first.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    compiled: Arc<NameTable>,
    layer: Option<Arc<NameTable>>,
}

impl Tables {
    /// Without a layer.
    pub(super) fn new(names: &impl Names, nodes: &[Spot]) -> Self {
        Self {
            compiled: Arc::new(NameTable::new(names, nodes)),
            layer: None,
        }
    }

    /// Asks for these first from now on, instead of for those of the layer before.
    pub(super) fn lay(&mut self, names: &impl Names, nodes: &[Spot]) {
        let layer = || Arc::new(NameTable::new(names, nodes));
        self.layer = (!nodes.is_empty()).then(layer);
    }

    /// Looks up a lower-case name, with its hash if [`Tables::foresee`] told it.
    pub(super) fn find(&self, names: &impl Names, name: &[u8], hash: Option<u64>) -> Found {
        match &self.layer {
            None => self.compiled.find(names, name, hash),
            Some(layer) => self.find_over(layer, names, name),
        }
    }

    /// Has the memory that a look-up of `name` begins with fetched; the name's hash, for
    /// [`Tables::foresee_node`].
    pub(super) fn foresee(&self, name: &[u8]) -> u64 {
        let hash = self.compiled.hash(name);
        if let Some(bucket) = self.compiled.first_bucket(hash) {
            prefetch(bucket);
        }
        hash
    }

    /// The node that a name of this hash has, as far as its first bucket tells, and where the name is.
    pub(super) fn foresee_node(&self, hash: u64) -> Option<(Spot, u32)> {
        let bucket = self.compiled.first_bucket(hash)?;
        let found = bucket.tag == tag(hash) && bucket.spot.node != NO_NODE;
        found.then_some((bucket.spot, bucket.name))
    }

    /// The closest name strictly above `name`, of those that were compiled.
    pub(super) fn find_above(&self, names: &impl Names, name: &[u8]) -> Found {
        self.compiled.find_above(names, name)
    }

    #[cold]
    fn find_over(&self, layer: &NameTable, names: &impl Names, name: &[u8]) -> Found {
        let probe = |name: &[u8]| match layer.probe(names, name) {
            Some(spot) => (!names.is_gone(spot)).then_some(spot),
            None => self.compiled.probe(names, name),
        };
        match probe(name) {
            Some(spot) => Found::Exact(spot),
            None => above(name, self.compiled.deepest.max(layer.deepest), probe),
        }
    }
}

impl NameTable {
    /// A table in which `nodes` (no two of one name) can be found.
    fn new(names: &impl Names, nodes: &[Spot]) -> Self {
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
            table.insert(name, node, names.start(node));
        }
        table
    }

    fn find(&self, names: &impl Names, name: &[u8], hash: Option<u64>) -> Found {
        let hash = hash.unwrap_or_else(|| self.hash(name));
        match self.probe_hashed(names, name, hash) {
            Some(node) => Found::Exact(node),
            None => self.find_above(names, name),
        }
    }

    fn find_above(&self, names: &impl Names, name: &[u8]) -> Found {
        above(name, self.deepest, |name| self.probe(names, name))
    }

    fn first_bucket(&self, hash: u64) -> Option<&Bucket> {
        self.buckets.get(hash as usize & (self.buckets.len() - 1))
    }

    fn probe(&self, names: &impl Names, name: &[u8]) -> Option<Spot> {
        self.probe_hashed(names, name, self.hash(name))
    }

    fn probe_hashed(&self, names: &impl Names, name: &[u8], hash: u64) -> Option<Spot> {
        let mask = self.buckets.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            let bucket = self.buckets.get(at)?;
            if bucket.spot.node == NO_NODE {
                return None;
            }
            // A name tells its own end, so that its bytes are those of no other.
            if bucket.tag == tag(hash)
                && names.bytes(bucket.spot.zone, bucket.name, name.len()) == name
            {
                return Some(bucket.spot);
            }
            at = (at + 1) & mask;
        }
    }

    fn insert(&mut self, name: &[u8], spot: Spot, start: u32) {
        let hash = self.hash(name);
        let mask = self.buckets.len() - 1;
        let mut at = hash as usize & mask;
        // Half of the buckets stay empty.
        while let Some(bucket) = self.buckets.get_mut(at) {
            if bucket.spot.node == NO_NODE {
                *bucket = Bucket {
                    tag: tag(hash),
                    spot,
                    name: start,
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

/// The closest name strictly above `name` that `probe` finds; it finds none of more labels than `deepest`.
fn above(name: &[u8], deepest: usize, probe: impl Fn(&[u8]) -> Option<Spot>) -> Found {
    let mut rest = name;
    let mut left = label_count(name);
    while let Some((&length, after)) = rest.split_first() {
        if length == 0 {
            break;
        }
        rest = after.get(usize::from(length)..).unwrap_or_default();
        left = left.saturating_sub(1);
        if left > deepest {
            continue;
        }
        if let Some(node) = probe(rest) {
            return Found::Below(node);
        }
    }
    Found::Nothing
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

        fn start(&self, spot: Spot) -> u32 {
            spot.node
        }

        fn is_gone(&self, spot: Spot) -> bool {
            self.0[spot.node as usize].starts_with(b"\x04gone")
        }

        fn bytes(&self, _: u32, start: u32, len: usize) -> &[u8] {
            self.0[start as usize].get(..len).unwrap_or_default()
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
        let find = |text| table.find(&names, &wire(text), None);
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
    fn what_a_layer_has_is_asked_for_first() {
        let texts = ["example.", "gone.example.", "b.example.", "new.b.example."];
        let names = Listed(texts.map(wire).into());
        let mut tables = Tables::new(&names, &[0, 1, 2].map(spot));
        let find = |tables: &Tables, text| tables.find(&names, &wire(text), None);
        assert_eq!(find(&tables, "gone.example."), Found::Exact(spot(1)));
        tables.lay(&names, &[1, 3].map(spot));
        assert_eq!(find(&tables, "gone.example."), Found::Below(spot(0)));
        assert_eq!(find(&tables, "x.gone.example."), Found::Below(spot(0)));
        assert_eq!(find(&tables, "b.example."), Found::Exact(spot(2)));
        assert_eq!(find(&tables, "x.new.b.example."), Found::Below(spot(3)));
        tables.lay(&names, &[]);
        assert_eq!(find(&tables, "gone.example."), Found::Exact(spot(1)));
    }

    #[test]
    fn the_root_is_above_everything_once_it_is_served() {
        let names = Listed(vec![wire(".")]);
        let table = NameTable::new(&names, &[spot(0)]);
        assert_eq!(
            table.find(&names, &wire("a.b.c."), None),
            Found::Below(spot(0))
        );
        assert_eq!(table.find(&names, &wire("."), None), Found::Exact(spot(0)));
    }
}
