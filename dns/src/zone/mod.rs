//! Every served zone, compiled: one table of names, answers ready to copy.
//!
//! Built from [`Zones`](crate::Zones) once per configuration generation and shared by all
//! snapshots of it; read by the answer path. Holds no health: what depends on health is a number
//! into the decisions.
//! Cost of a lookup: one hash and one bucket for names that exist, one probe per label for others.

mod arena;
mod build;
mod names;
mod referral;

use conf::RecordType;

pub(crate) use arena::BlobPlace;
use arena::{Arena, NamePlace};
pub(crate) use build::{RecordPlaces, build};
use names::{Found, NameTable, Names, NodeIdx};
pub(crate) use referral::Referral;

use crate::metrics::ZoneLabel;
use crate::wire::{Blob, BlobView};

/// Number of a routed record: its index among the decisions.
pub(crate) type RoutedIdx = u32;

/// A zone as it is served.
#[derive(Debug)]
pub(crate) struct ServedZone {
    /// Its id.
    pub(crate) id: String,
    /// Its apex, as text.
    pub(crate) name: String,
    /// Serial of its SOA.
    pub(crate) serial: u32,
    /// Records it was built from; a routed record counts once.
    pub(crate) records: usize,
    /// The place of its counters.
    pub(crate) label: ZoneLabel,
    /// Length of the apex in wire form.
    pub(crate) apex_len: usize,
    /// SOA at the negative TTL: min(SOA TTL, SOA.MINIMUM) (RFC 2308 section 5).
    pub(crate) negative: Blob,
}

/// An RRset of a node.
#[derive(Debug, Clone, Copy)]
struct SetEntry {
    rtype: RecordType,
    data: SetData,
}

/// Where an RRset's answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetData {
    /// The same for every client and all the time.
    Fixed(BlobPlace),
    /// Decided.
    Routed(RoutedIdx),
}

/// What a node does to names below it, and at a cut to its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NodeKind {
    /// Nothing.
    Plain,
    /// A zone cut: everything but DS is a referral, number given.
    Cut(u32),
    /// A DNAME: names below it are renamed. The number of its RRset.
    Dname(u32),
}

#[derive(Debug)]
struct Node {
    name: NamePlace,
    zone: u32,
    sets_start: u32,
    sets_end: u32,
    kind: NodeKind,
    /// The child `*`, when there is one.
    wildcard: NodeIdx,
    /// At an apex below another served zone: the node of that zone that answers for DS.
    parent_side: NodeIdx,
    apex: bool,
}

/// What is at a name.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'z> {
    /// No zone here holds the name.
    Elsewhere,
    /// The name exists, or a wildcard stands in for it.
    At(NodeRef<'z>),
    /// Delegated: number of the referral, length of the cut's name.
    Delegated(NodeRef<'z>, u32, usize),
    /// Below a DNAME: where it is, length of the owner's name.
    Renamed(NodeRef<'z>, BlobPlace, usize),
    /// The name does not exist.
    Missing(NodeRef<'z>),
}

/// A node of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodeRef<'z> {
    table: &'z ZoneTable,
    node: &'z Node,
}

impl<'z> NodeRef<'z> {
    /// The RRset of a type.
    pub(crate) fn set(self, rtype: RecordType) -> Option<SetData> {
        self.sets()
            .iter()
            .find(|set| set.rtype == rtype)
            .map(|set| set.data)
    }

    /// True for an empty non-terminal.
    pub(crate) fn is_empty(self) -> bool {
        self.sets().is_empty()
    }

    /// The zone the node is of.
    pub(crate) fn zone(self) -> Option<&'z ServedZone> {
        self.table.zones.get(self.node.zone as usize)
    }

    fn sets(self) -> &'z [SetEntry] {
        let range = self.node.sets_start as usize..self.node.sets_end as usize;
        self.table.sets.get(range).unwrap_or_default()
    }
}

/// Nodes with the bytes of their names and answers.
#[derive(Debug, Default)]
struct Nodes {
    nodes: Vec<Node>,
    arena: Arena,
}

impl Names for Nodes {
    fn name(&self, node: NodeIdx) -> &[u8] {
        match self.nodes.get(node as usize) {
            Some(node) => self.arena.name(node.name),
            None => &[],
        }
    }
}

/// Every served zone.
#[derive(Debug)]
pub(crate) struct ZoneTable {
    names: NameTable,
    nodes: Nodes,
    sets: Box<[SetEntry]>,
    referrals: Box<[Referral]>,
    zones: Box<[ServedZone]>,
}

impl ZoneTable {
    /// The zones, in the order of the configuration.
    pub(crate) fn zones(&self) -> &[ServedZone] {
        &self.zones
    }

    /// An RRset that is the same all the time.
    pub(crate) fn blob(&self, place: BlobPlace) -> BlobView<'_> {
        self.nodes.arena.blob(place)
    }

    /// A referral.
    pub(crate) fn referral(&self, index: u32) -> Option<&Referral> {
        self.referrals.get(index as usize)
    }

    /// What is at `name` (lower case) for a question of `qtype`.
    pub(crate) fn look_up(&self, name: &[u8], qtype: RecordType) -> Place<'_> {
        match self.names.find(&self.nodes, name) {
            Found::Nothing => Place::Elsewhere,
            Found::Exact(index) => {
                let Some(node) = self.node(index) else {
                    return Place::Elsewhere;
                };
                if qtype == RecordType::DS && node.node.apex {
                    self.parent_side(node, name)
                } else {
                    self.at(node, name.len(), qtype)
                }
            }
            Found::Below(index) => match self.node(index) {
                Some(node) => self.below(node),
                None => Place::Elsewhere,
            },
        }
    }

    /// DS belongs to the parent's side of a cut (RFC 4035 section 3.1.4.1).
    fn parent_side<'z>(&'z self, apex: NodeRef<'z>, name: &[u8]) -> Place<'z> {
        let Some(node) = self.node(apex.node.parent_side) else {
            return Place::At(apex);
        };
        let owner_len = node.node.name.len();
        match node.node.kind {
            NodeKind::Cut(referral) if owner_len != name.len() => {
                Place::Delegated(node, referral, owner_len)
            }
            _ => Place::At(node),
        }
    }

    fn at<'z>(&'z self, node: NodeRef<'z>, name_len: usize, qtype: RecordType) -> Place<'z> {
        match node.node.kind {
            NodeKind::Cut(referral) if qtype != RecordType::DS => {
                Place::Delegated(node, referral, name_len)
            }
            _ => Place::At(node),
        }
    }

    /// Wildcards stand in at the closest encloser only (RFC 4592 section 3.3.1).
    fn below<'z>(&'z self, encloser: NodeRef<'z>) -> Place<'z> {
        let owner_len = encloser.node.name.len();
        let dname = match encloser.node.kind {
            NodeKind::Cut(referral) => return Place::Delegated(encloser, referral, owner_len),
            NodeKind::Dname(set) => self.sets.get(set as usize).map(|set| set.data),
            NodeKind::Plain => None,
        };
        match dname {
            Some(SetData::Fixed(blob)) => Place::Renamed(encloser, blob, owner_len),
            _ => match self.node(encloser.node.wildcard) {
                Some(wildcard) => Place::At(wildcard),
                None => Place::Missing(encloser),
            },
        }
    }

    fn node(&self, index: NodeIdx) -> Option<NodeRef<'_>> {
        let node = self.nodes.nodes.get(index as usize)?;
        Some(NodeRef { table: self, node })
    }
}
