//! One zone, compiled by itself: it knows of other zones only where they cut it.
//!
//! Made by the zone compiler, shared from one configuration generation to the next while its
//! content stays the same; read through [`NodeRef`](super::NodeRef).

use std::collections::HashMap;

use conf::RecordType;

use super::arena::{Arena, NamePlace};
use super::names::NodeIdx;
use super::{Referral, SetData};
use crate::name::Name;

/// An RRset of a node.
#[derive(Debug, Clone, Copy)]
pub(super) struct SetEntry {
    pub(super) rtype: RecordType,
    pub(super) data: SetData,
}

/// What a node does to names below it, and at a cut to its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NodeKind {
    /// Nothing.
    Plain,
    /// A zone cut: everything but DS is a referral, number given.
    Cut(u32),
    /// A DNAME: names below it are renamed.
    Dname,
}

/// A name of the zone, with its first RRset: most have one only, and a query reads one cache line.
#[derive(Debug)]
#[repr(align(64))]
pub(super) struct Node {
    pub(super) name: NamePlace,
    pub(super) first: Option<SetEntry>,
    /// The others, among all of the zone.
    pub(super) more_start: u32,
    pub(super) more_end: u32,
    pub(super) kind: NodeKind,
    /// The child `*`, when there is one.
    pub(super) wildcard: NodeIdx,
    pub(super) apex: bool,
    /// False at the apex of a zone inside this one: that zone answers for the name, but for DS.
    pub(super) listed: bool,
    /// Of a layer: the name is not there any more.
    pub(super) gone: bool,
}

/// A zone's nodes with the bytes of their names and answers. Numbers inside are the zone's own.
#[derive(Debug, Default)]
pub(super) struct ZoneData {
    /// What it was made from.
    pub(super) content: u64,
    pub(super) nodes: Box<[Node]>,
    pub(super) arena: Arena,
    /// RRsets of nodes that have several, but for the first of each.
    pub(super) more: Box<[SetEntry]>,
    pub(super) referrals: Box<[Referral]>,
    /// Nodes that are not listed, by name.
    pub(super) unlisted: Vec<(Name, NodeIdx)>,
    /// Records that an alias of the zone names, and where they went.
    pub(super) alias_targets: HashMap<(Name, RecordType), SetData>,
}

impl ZoneData {
    /// The lower-case name of a node; empty for no node.
    pub(super) fn name(&self, node: NodeIdx) -> &[u8] {
        match self.nodes.get(node as usize) {
            Some(node) => self.arena.name(node.name),
            None => &[],
        }
    }

    /// A node's RRset of a type.
    pub(super) fn set_of(&self, node: &Node, rtype: RecordType) -> Option<SetData> {
        let is_it = |set: &&SetEntry| set.rtype == rtype;
        let more = || {
            let range = node.more_start as usize..node.more_end as usize;
            self.more.get(range).unwrap_or_default()
        };
        let found = node.first.as_ref().filter(is_it);
        let found = found.or_else(|| more().iter().find(is_it));
        found.map(|set| set.data)
    }

    /// Numbers of the nodes that queries find.
    pub(super) fn listed(&self) -> impl Iterator<Item = NodeIdx> + '_ {
        let nodes = (0..).zip(&self.nodes);
        nodes
            .filter(|(_, node)| node.listed)
            .map(|(index, _)| index)
    }
}
