//! Every served zone, compiled: tables of names, answers ready to copy.
//!
//! Built from [`Zones`](crate::Zones) once per configuration generation and shared by all
//! snapshots of it; read by the answer path. Zones whose content did not change are shared with the
//! generation before. Holds no health: what depends on health is a number into the decisions.
//! Cost of a lookup: one hash and one bucket for names that exist, one probe per label for others.

mod arena;
mod build;
mod data;
mod layer;
mod names;
mod private;
mod referral;

use std::net::IpAddr;
use std::sync::Arc;

use conf::RecordType;

pub(crate) use arena::BlobPlace;
pub(crate) use build::{alias_targets, build};
use data::{Node, NodeKind, SetEntry, ZoneData};
pub(crate) use layer::{Laid, layer};
use names::{Found, Names, Spot, Tables};
pub(crate) use private::{Private, is_within};
pub(crate) use referral::Referral;

use crate::load::ZoneState;
use crate::metrics::ZoneLabel;
use crate::name::Name;
use crate::server::batch::prefetch;
use crate::wire::{Blob, BlobView};

/// Bytes of a record with an address, without its name.
const RECORD_LEN: usize = 16;

/// Number of a routed record: its index among the decisions.
pub(crate) type RoutedIdx = u32;

/// Where an RRset's answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetData {
    /// The same for every client and all the time.
    Fixed(BlobPlace),
    /// Decided.
    Routed(RoutedIdx),
}

/// A zone as it is served.
#[derive(Debug, Clone)]
pub(crate) struct ServedZone {
    /// Its id.
    pub(crate) id: Arc<str>,
    /// Its apex, as text.
    pub(crate) name: Arc<str>,
    /// The place of its counters.
    pub(crate) label: ZoneLabel,
    /// Length of the apex in wire form.
    pub(crate) apex_len: usize,
    /// True when only clients of some networks get it.
    pub(crate) private: bool,
    /// Whether it is answered from.
    pub(crate) state: ZoneState,
    /// Serial of its SOA.
    pub(crate) serial: u32,
    /// Records it was built from; a routed record counts once.
    pub(crate) records: usize,
    /// SOA at the negative TTL: min(SOA TTL, SOA.MINIMUM) (RFC 2308 section 5).
    pub(crate) negative: Arc<Blob>,
    data: Arc<ZoneData>,
    /// Of a layer: the position of the zone that it lies over.
    over: Option<u32>,
    /// The number of its first routed record.
    first_routed: RoutedIdx,
    /// For an apex below another zone: the node of that zone that answers for DS.
    parent_side: Option<Spot>,
}

impl ServedZone {
    /// A number for everything it was compiled from, layers left out.
    pub(crate) fn content(&self) -> u64 {
        self.data.content
    }
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
    zone: &'z ServedZone,
    index: u32,
    node: &'z Node,
}

impl<'z> NodeRef<'z> {
    /// The RRset of a type.
    pub(crate) fn set(self, rtype: RecordType) -> Option<SetData> {
        let found = self.zone.data.set_of(self.node, rtype);
        found.map(|data| self.outward(data))
    }

    /// True for an empty non-terminal.
    pub(crate) fn is_empty(self) -> bool {
        self.node.first.is_none()
    }

    /// The zone the node is of.
    pub(crate) fn zone(self) -> &'z ServedZone {
        self.zone
    }

    /// A referral of the zone.
    pub(crate) fn referral(self, number: u32) -> Option<&'z Referral> {
        self.zone.data.referrals.get(number as usize)
    }

    /// Numbers of the zone's own as numbers among all zones.
    fn outward(self, data: SetData) -> SetData {
        outward(self.index, self.zone.first_routed, data)
    }
}

fn outward(zone: u32, first_routed: RoutedIdx, data: SetData) -> SetData {
    match data {
        SetData::Fixed(place) => SetData::Fixed(place.of_zone(zone)),
        SetData::Routed(local) => SetData::Routed(first_routed + local),
    }
}

/// Every served zone.
#[derive(Debug, Clone)]
pub(crate) struct ZoneTable {
    /// Names of the zones that everybody gets.
    names: Tables,
    private: Private,
    zones: Zones,
    /// So many of them are the configuration's; behind them are layers.
    configured: usize,
}

/// Zones, and by them the names of their nodes.
#[derive(Debug, Clone, Default)]
struct Zones(Box<[ServedZone]>);

impl Names for Zones {
    fn name(&self, spot: Spot) -> &[u8] {
        match self.0.get(spot.zone as usize) {
            Some(zone) => zone.data.name(spot.node),
            None => &[],
        }
    }

    fn start(&self, spot: Spot) -> u32 {
        let zone = self.0.get(spot.zone as usize);
        let node = zone.and_then(|zone| zone.data.nodes.get(spot.node as usize));
        node.map_or(0, |node| node.name.start())
    }

    fn is_gone(&self, spot: Spot) -> bool {
        let zone = self.0.get(spot.zone as usize);
        let node = zone.and_then(|zone| zone.data.nodes.get(spot.node as usize));
        node.is_some_and(|node| node.gone)
    }

    fn bytes(&self, zone: u32, start: u32, len: usize) -> &[u8] {
        match self.0.get(zone as usize) {
            Some(zone) => zone.data.arena.bytes(start, len),
            None => &[],
        }
    }
}

impl Zones {
    /// Spots of the nodes that a zone's queries find.
    fn listed(&self, zone: u32) -> impl Iterator<Item = Spot> + '_ {
        let data = self.0.get(zone as usize).map(|zone| &zone.data);
        let nodes = data.into_iter().flat_map(|data| data.listed());
        nodes.map(move |node| Spot { zone, node })
    }

    fn node(&self, spot: Spot) -> Option<NodeRef<'_>> {
        let zone = self.0.get(spot.zone as usize)?;
        let node = zone.data.nodes.get(spot.node as usize)?;
        Some(NodeRef {
            zone,
            index: spot.zone,
            node,
        })
    }
}

impl ZoneTable {
    /// The zones, in the order of the configuration.
    pub(crate) fn zones(&self) -> &[ServedZone] {
        self.zones.0.get(..self.configured).unwrap_or_default()
    }

    /// The zone with an id.
    pub(crate) fn zone(&self, id: &str) -> Option<&ServedZone> {
        self.zones().iter().find(|zone| &*zone.id == id)
    }

    /// An RRset that is the same all the time.
    pub(crate) fn blob(&self, place: BlobPlace) -> BlobView<'_> {
        match self.zones.0.get(place.zone as usize) {
            Some(zone) => zone.data.arena.blob(place),
            None => BlobView {
                bytes: &[],
                starts: &[],
            },
        }
    }

    /// Where the record of a zone went, when an alias of the zone names it.
    pub(crate) fn alias_target(
        &self,
        zone: usize,
        name: &Name,
        rtype: RecordType,
    ) -> Option<SetData> {
        let served = self.zones.0.get(zone)?;
        let targets = &served.data.alias_targets;
        let found = targets.get(&(name.clone(), rtype))?;
        Some(outward(zone as u32, served.first_routed, *found))
    }

    /// What is at `name` (lower case) for a question of `qtype` by `source`; `hash` is what
    /// [`ZoneTable::foresee`] said of the name, if it was asked.
    pub(crate) fn look_up_for(
        &self,
        source: IpAddr,
        name: &[u8],
        hash: Option<u64>,
        qtype: RecordType,
    ) -> Place<'_> {
        if self.private.is_empty() {
            return self.look_up_in(&self.names, name, hash, qtype);
        }
        self.private.look_up(self, source, name, qtype)
    }

    /// The same for somebody who gets no private zone.
    pub(crate) fn look_up(&self, name: &[u8], qtype: RecordType) -> Place<'_> {
        self.look_up_in(&self.names, name, None, qtype)
    }

    /// Has the memory that a look-up of `name` begins with fetched; its hash, which
    /// [`ZoneTable::foresee_node`] goes on by once that is there, and a look-up in these zones.
    pub(crate) fn foresee(&self, name: &[u8]) -> u64 {
        self.names.foresee(name)
    }

    /// Has fetched what a look-up goes on with, of a name of `len` bytes.
    pub(crate) fn foresee_node(&self, hash: u64, len: usize) {
        let found = self.names.foresee_node(hash);
        if let Some((spot, start)) = found
            && let Some(zone) = self.zones.0.get(spot.zone as usize)
            && let Some(node) = zone.data.nodes.get(spot.node as usize)
        {
            prefetch(node);
            // An address behind it may be in the next line.
            if let [first, .., last] = zone.data.arena.bytes(start, len + RECORD_LEN) {
                prefetch(first);
                prefetch(last);
            }
        }
    }

    fn look_up_in(
        &self,
        names: &Tables,
        name: &[u8],
        hash: Option<u64>,
        qtype: RecordType,
    ) -> Place<'_> {
        match names.find(&self.zones, name, hash) {
            Found::Nothing => Place::Elsewhere,
            Found::Exact(spot) => {
                let Some(node) = self.zones.node(spot) else {
                    return Place::Elsewhere;
                };
                if qtype == RecordType::DS && node.node.apex {
                    self.parent_side(node, name)
                } else {
                    at(node, name.len(), qtype)
                }
            }
            Found::Below(spot) => match self.zones.node(spot) {
                Some(node) => self.below(node, spot),
                None => Place::Elsewhere,
            },
        }
    }

    /// DS belongs to the parent's side of a cut (RFC 4035 section 3.1.4.1).
    fn parent_side<'z>(&'z self, apex: NodeRef<'z>, name: &[u8]) -> Place<'z> {
        let side = apex.zone.parent_side;
        let Some(node) = side.and_then(|spot| self.zones.node(spot)) else {
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

    /// Wildcards stand in at the closest encloser only (RFC 4592 section 3.3.1).
    fn below<'z>(&'z self, encloser: NodeRef<'z>, spot: Spot) -> Place<'z> {
        let owner_len = encloser.node.name.len();
        let dname = match encloser.node.kind {
            NodeKind::Cut(referral) => return Place::Delegated(encloser, referral, owner_len),
            NodeKind::Dname => encloser.set(RecordType::DNAME),
            NodeKind::Plain => None,
        };
        if let Some(SetData::Fixed(blob)) = dname {
            return Place::Renamed(encloser, blob, owner_len);
        }
        let wildcard = Spot {
            node: encloser.node.wildcard,
            ..spot
        };
        match self.zones.node(wildcard) {
            Some(wildcard) => Place::At(wildcard),
            None => Place::Missing(encloser),
        }
    }
}

fn at(node: NodeRef<'_>, name_len: usize, qtype: RecordType) -> Place<'_> {
    match node.node.kind {
        NodeKind::Cut(referral) if qtype != RecordType::DS => {
            Place::Delegated(node, referral, name_len)
        }
        _ => Place::At(node),
    }
}
