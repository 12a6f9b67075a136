//! The zone compiler: records in, the serving table out.
//!
//! Called when a configuration is prepared, off the query path. Pure. Decides once what is served
//! at all: data below a cut or a DNAME is not, nor is a zone's data at or below the apex of a
//! zone inside it, so that a lookup needs no such question.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use conf::RecordType;

use super::names::{NO_NODE, NameTable, NodeIdx};
use super::{
    BlobPlace, Node, NodeKind, Nodes, Referral, RoutedIdx, ServedZone, SetData, SetEntry, ZoneTable,
};
use crate::load::{ParsedRecord, ZoneSource, Zones};
use crate::metrics::ZoneLabel;
use crate::name::Name;
use crate::wire::Blob;

/// Where a zone's record (name, type) went: what an alias to a record resolves by. The first
/// part is the zone's position.
pub(crate) type RecordPlaces = HashMap<(usize, Name, RecordType), SetData>;

/// One owner's data in its zone.
#[derive(Debug, Default)]
pub(super) struct Owner<'s> {
    /// Records by type.
    pub(super) records: BTreeMap<RecordType, Vec<&'s ParsedRecord>>,
    routed: Vec<(RecordType, RoutedIdx)>,
}

/// A zone's owners.
pub(super) type Owners<'s> = BTreeMap<Name, Owner<'s>>;

/// The lowest TTL of an RRset: all of its records share one (RFC 2181 section 5.2).
pub(super) fn soonest_ttl(records: &[&ParsedRecord]) -> u32 {
    records.iter().map(|record| record.ttl).min().unwrap_or(0)
}

/// Compiles zones; `label` gives each zone's place among the counters.
pub(crate) fn build(
    zones: &Zones,
    mut label: impl FnMut(&str) -> ZoneLabel,
) -> (ZoneTable, RecordPlaces) {
    let mut builder = Builder {
        apexes: zones
            .zones
            .iter()
            .enumerate()
            .map(|(index, zone)| (zone.origin.clone(), index))
            .collect(),
        ..Builder::default()
    };
    let mut first_routed = 0;
    for (index, zone) in zones.zones.iter().enumerate() {
        builder.add_zone(index, zone, first_routed, label(&zone.id));
        first_routed += zone.routed.len();
    }
    builder.link_parent_sides();
    builder.finish()
}

#[derive(Default)]
struct Builder {
    apexes: HashMap<Name, usize>,
    nodes: Nodes,
    sets: Vec<SetEntry>,
    referrals: Vec<Referral>,
    zones: Vec<ServedZone>,
    places: RecordPlaces,
    /// Nodes that queries find, by name: no name twice.
    listed: HashMap<Name, NodeIdx>,
    /// Nodes at an inner zone's apex that are the outer zone's, by (outer zone, name).
    outer: HashMap<(usize, Name), NodeIdx>,
}

impl Builder {
    fn add_zone(&mut self, index: usize, zone: &ZoneSource, first_routed: usize, label: ZoneLabel) {
        let owners = owners_of(zone, first_routed);
        for name in self.names_to_serve(zone, &owners) {
            let node = self.add_node(index, zone, &owners, &name);
            if self.zone_of(&name) == Some(index) {
                self.listed.insert(name.clone(), node);
            } else {
                self.outer.insert((index, name.clone()), node);
            }
            if name.is_wildcard()
                && name != zone.origin
                && let Some(parent) = name.parent()
                && let Some(&parent) = self.listed.get(&parent)
                && let Some(parent) = self.nodes.nodes.get_mut(parent as usize)
            {
                parent.wildcard = node;
            }
        }
        self.zones.push(ServedZone {
            id: zone.id.clone(),
            name: zone.origin.to_string(),
            serial: zone.serial,
            records: zone.records.len() + zone.routed.len(),
            label,
            apex_len: zone.origin.as_wire().len(),
            negative: negative_soa(zone),
        });
    }

    /// Every name of the zone that is served, empty non-terminals included, parents first.
    fn names_to_serve(&self, zone: &ZoneSource, owners: &Owners<'_>) -> BTreeSet<Name> {
        let mut names = BTreeSet::from([zone.origin.clone()]);
        for name in owners.keys() {
            if self.is_occluded(name, zone, owners) {
                continue;
            }
            let mut name = Some(name.clone());
            while let Some(next) = name
                && next != zone.origin
            {
                name = next.parent();
                names.insert(next);
            }
        }
        names
    }

    /// True when something above `name` takes the name out of the zone: a cut, a DNAME, or the
    /// apex of another served zone.
    fn is_occluded(&self, name: &Name, zone: &ZoneSource, owners: &Owners<'_>) -> bool {
        if *name == zone.origin {
            return false;
        }
        let mut above = name.parent();
        while let Some(next) = above {
            let owner = owners.get(&next);
            let has = |rtype| owner.is_some_and(|owner| owner.records.contains_key(&rtype));
            if has(RecordType::DNAME) {
                return true;
            }
            if next == zone.origin {
                return false;
            }
            if is_cut(&next, zone, owner) || self.apexes.contains_key(&next) {
                return true;
            }
            above = next.parent();
        }
        false
    }

    fn add_node(
        &mut self,
        index: usize,
        zone: &ZoneSource,
        owners: &Owners<'_>,
        name: &Name,
    ) -> NodeIdx {
        let owner = owners.get(name);
        let cut = is_cut(name, zone, owner);
        let place = self.nodes.arena.push_name(&name.to_lower_wire());
        let sets_start = self.sets.len() as u32;
        let mut dname = None;
        if let Some(owner) = owner {
            for (&rtype, records) in &owner.records {
                if cut && rtype != RecordType::DS {
                    continue;
                }
                let data = self.add_blob(rtype, records);
                if rtype == RecordType::DNAME && !name.is_wildcard() {
                    dname = Some(self.sets.len() as u32);
                }
                self.add_set(index, name, rtype, SetData::Fixed(data));
            }
            for &(rtype, routed) in &owner.routed {
                if !cut {
                    self.add_set(index, name, rtype, SetData::Routed(routed));
                }
            }
        }
        let kind = match (cut, dname) {
            (true, _) => NodeKind::Cut(self.add_referral(name, owners)),
            (false, Some(set)) => NodeKind::Dname(set),
            (false, None) => NodeKind::Plain,
        };
        self.nodes.nodes.push(Node {
            name: place,
            zone: index as u32,
            sets_start,
            sets_end: self.sets.len() as u32,
            kind,
            wildcard: NO_NODE,
            parent_side: NO_NODE,
            apex: *name == zone.origin,
        });
        (self.nodes.nodes.len() - 1) as NodeIdx
    }

    fn add_blob(&mut self, rtype: RecordType, records: &[&ParsedRecord]) -> BlobPlace {
        let rdatas = records.iter().map(|record| &*record.rdata);
        let arena = &mut self.nodes.arena;
        arena.push_blob(rtype.0, soonest_ttl(records), rdatas)
    }

    fn add_set(&mut self, zone: usize, name: &Name, rtype: RecordType, data: SetData) {
        self.sets.push(SetEntry { rtype, data });
        self.places.insert((zone, name.clone(), rtype), data);
    }

    fn add_referral(&mut self, name: &Name, owners: &Owners<'_>) -> u32 {
        let records = owners
            .get(name)
            .and_then(|owner| owner.records.get(&RecordType::NS))
            .map_or(&[][..], Vec::as_slice);
        let targets: Vec<Name> = records
            .iter()
            .filter_map(|record| Name::from_wire(&record.rdata).ok())
            .collect();
        self.referrals
            .push(Referral::new(name, soonest_ttl(records), &targets, owners));
        (self.referrals.len() - 1) as u32
    }

    /// The most specific served zone that holds `name`.
    fn zone_of(&self, name: &Name) -> Option<usize> {
        let mut name = Some(name.clone());
        while let Some(next) = name {
            if let Some(&zone) = self.apexes.get(&next) {
                return Some(zone);
            }
            name = next.parent();
        }
        None
    }

    /// Lets every apex inside another zone know the node of that zone that answers for DS: the
    /// node of its own name, or the cut further up.
    fn link_parent_sides(&mut self) {
        let mut links = Vec::new();
        for apex in self.apexes.keys() {
            let Some(outer) = apex.parent().and_then(|parent| self.zone_of(&parent)) else {
                continue;
            };
            let own = self.outer.get(&(outer, apex.clone())).copied();
            if let (Some(&node), Some(side)) =
                (self.listed.get(apex), own.or_else(|| self.cut_above(apex)))
            {
                links.push((node, side));
            }
        }
        for (node, side) in links {
            if let Some(node) = self.nodes.nodes.get_mut(node as usize) {
                node.parent_side = side;
            }
        }
    }

    /// The closest listed node above `name`, when it is a cut.
    fn cut_above(&self, name: &Name) -> Option<NodeIdx> {
        let mut above = name.parent();
        while let Some(next) = above {
            if let Some(&node) = self.listed.get(&next) {
                let kind = self.nodes.nodes.get(node as usize)?.kind;
                return matches!(kind, NodeKind::Cut(_)).then_some(node);
            }
            above = next.parent();
        }
        None
    }

    fn finish(mut self) -> (ZoneTable, RecordPlaces) {
        let listed: Vec<NodeIdx> = self.listed.into_values().collect();
        self.nodes.arena.shrink();
        self.nodes.nodes.shrink_to_fit();
        let table = ZoneTable {
            names: NameTable::new(&self.nodes, &listed),
            nodes: self.nodes,
            sets: self.sets.into(),
            referrals: self.referrals.into(),
            zones: self.zones.into(),
        };
        (table, self.places)
    }
}

fn owners_of(zone: &ZoneSource, first_routed: usize) -> Owners<'_> {
    let mut owners = Owners::new();
    for record in &zone.records {
        let owner = owners.entry(record.owner.clone()).or_default();
        owner.records.entry(record.rtype).or_default().push(record);
    }
    for (index, record) in zone.routed.iter().enumerate() {
        let owner = owners.entry(record.owner.clone()).or_default();
        owner
            .routed
            .push((record.rtype, (first_routed + index) as RoutedIdx));
    }
    owners
}

/// True for a delegation. NS at a wildcard delegates nothing (RFC 4592 section 4.2 leaves it
/// open; Route 53 refuses it): it is data.
fn is_cut(name: &Name, zone: &ZoneSource, owner: Option<&Owner<'_>>) -> bool {
    *name != zone.origin
        && !name.is_wildcard()
        && owner.is_some_and(|owner| owner.records.contains_key(&RecordType::NS))
}

fn negative_soa(zone: &ZoneSource) -> Blob {
    let soa = zone
        .records
        .iter()
        .find(|record| record.rtype == RecordType::SOA);
    let Some(soa) = soa else {
        return Blob::default();
    };
    let minimum = soa.rdata.last_chunk::<4>().copied().map(u32::from_be_bytes);
    let ttl = soa.ttl.min(minimum.unwrap_or(0));
    Blob::new(RecordType::SOA.0, ttl, [&*soa.rdata])
}
