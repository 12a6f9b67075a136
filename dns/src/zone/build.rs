//! The zone compiler: records in, the serving tables out.
//!
//! Called when a configuration is prepared, off the query path. Pure. Decides once what is served
//! at all: data below a cut or a DNAME is not, nor is a zone's data at or below the apex of a
//! zone inside it, so that a lookup needs no such question. Zones that are as they were are taken
//! over from the table before.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use conf::RecordType;

use super::arena::Arena;
use super::names::{Found, NO_NODE, NodeIdx, Spot, Tables};
use super::{
    BlobPlace, Node, NodeKind, Private, Referral, RoutedIdx, ServedZone, SetData, SetEntry,
    ZoneData, ZoneTable, Zones,
};
use crate::load::{ParsedRecord, RoutedData, RoutedTarget, ZoneSource};
use crate::metrics::ZoneLabel;
use crate::name::Name;
use crate::wire::Blob;

/// One owner's data in its zone.
#[derive(Debug, Default)]
pub(super) struct Owner<'s> {
    /// Records by type.
    pub(super) records: BTreeMap<RecordType, Vec<&'s ParsedRecord>>,
    pub(super) routed: Vec<(RecordType, RoutedIdx)>,
}

/// A zone's owners.
pub(super) type Owners<'s> = BTreeMap<&'s Name, Owner<'s>>;

/// The lowest TTL of an RRset: all of its records share one (RFC 2181 section 5.2).
pub(super) fn soonest_ttl(records: &[&ParsedRecord]) -> u32 {
    records.iter().map(|record| record.ttl).min().unwrap_or(0)
}

/// Compiles zones, taking over from `previous` what did not change; `label` gives each zone's
/// place among the counters.
pub(crate) fn build(
    zones: &crate::Zones,
    previous: Option<&ZoneTable>,
    mut label: impl FnMut(&str) -> ZoneLabel,
) -> ZoneTable {
    let before: HashMap<&str, &ServedZone> = previous
        .iter()
        .flat_map(|table| table.zones())
        .map(|zone| (&*zone.id, zone))
        .collect();
    let mut inner = inner_apexes(zones);
    let mut first_routed = 0;
    let served = zones.zones.iter().enumerate().map(|(index, zone)| {
        let inner = inner.remove(&index).unwrap_or_default();
        let before = before.get(zone.id.as_str());
        let kept = before.filter(|_| zone.is_part());
        let data = match kept {
            Some(zone) => zone.data.clone(),
            None => {
                let content = content(zone, &inner);
                let same = before.filter(|zone| zone.data.content == content);
                same.map_or_else(
                    || Arc::new(compile(zone, &inner, content)),
                    |zone| zone.data.clone(),
                )
            }
        };
        let served = ServedZone {
            id: zone.id.as_str().into(),
            name: zone.origin.to_string().into(),
            label: label(&zone.id),
            apex_len: zone.origin.as_wire().len(),
            private: !zone.networks.is_empty(),
            state: zone.state,
            serial: kept.map_or(zone.serial, |kept| kept.serial),
            records: kept.map_or_else(
                || zone.records.len() + zone.routed.len(),
                |kept| kept.records,
            ),
            negative: kept.map_or_else(
                || Arc::new(negative_soa(&zone.records)),
                |kept| kept.negative.clone(),
            ),
            data,
            over: None,
            first_routed,
            parent_side: None,
        };
        first_routed += zone.routed.len() as RoutedIdx;
        served
    });
    let table = link(zones, Zones(served.collect()));
    match previous {
        Some(previous) => table.with_layers_of(previous, zones),
        None => table,
    }
}

/// For each public zone the apexes of the public zones just inside it.
fn inner_apexes(zones: &crate::Zones) -> HashMap<usize, Vec<Name>> {
    let public = || {
        let zones = zones.zones.iter().enumerate();
        zones.filter(|(_, zone)| zone.networks.is_empty())
    };
    let apexes: HashMap<&Name, usize> = public()
        .map(|(index, zone)| (&zone.origin, index))
        .collect();
    let mut inner: HashMap<usize, Vec<Name>> = HashMap::new();
    for (_, zone) in public() {
        let mut above = zone.origin.parent();
        while let Some(name) = above {
            if let Some(&outer) = apexes.get(&name) {
                inner.entry(outer).or_default().push(zone.origin.clone());
                break;
            }
            above = name.parent();
        }
    }
    for apexes in inner.values_mut() {
        apexes.sort_unstable();
    }
    inner
}

/// A number for everything a zone is compiled from.
fn content(zone: &ZoneSource, inner: &[Name]) -> u64 {
    let mut hasher = DefaultHasher::new();
    zone.origin.as_wire().hash(&mut hasher);
    for record in &zone.records {
        let ParsedRecord {
            owner,
            rtype,
            ttl,
            rdata,
            span: _,
        } = record;
        (owner.as_wire(), rtype, ttl, rdata).hash(&mut hasher);
    }
    for record in &zone.routed {
        (record.owner.as_wire(), record.rtype).hash(&mut hasher);
    }
    for (name, rtype) in alias_targets(zone) {
        (name.as_wire(), rtype).hash(&mut hasher);
    }
    for apex in inner {
        apex.as_wire().hash(&mut hasher);
    }
    hasher.finish()
}

/// Every record that an alias of the zone names.
pub(crate) fn alias_targets(zone: &ZoneSource) -> impl Iterator<Item = (&Name, RecordType)> {
    zone.routed.iter().flat_map(|record| {
        record.sets.iter().filter_map(|set| match &set.data {
            RoutedData::Alias(alias) => match &alias.target {
                RoutedTarget::Record(name) => Some((name, record.rtype)),
                _ => None,
            },
            RoutedData::Values(_) => None,
        })
    })
}

/// Makes the tables of names, and links every apex to the zone around it.
fn link(sources: &crate::Zones, mut zones: Zones) -> ZoneTable {
    let mut listed = Vec::new();
    for (index, zone) in (0..).zip(&zones.0) {
        if !zone.private {
            listed.extend(zones.listed(index));
        }
    }
    let names = Tables::new(&zones, &listed);
    let sides: Vec<Option<Spot>> = sources
        .zones
        .iter()
        .map(|zone| parent_side(&names, &zones, zone))
        .collect();
    for (zone, side) in zones.0.iter_mut().zip(sides) {
        zone.parent_side = side;
    }
    let mut private = Private::default();
    for (index, zone) in (0..).zip(&sources.zones) {
        if !zone.networks.is_empty() {
            let apex = zone.origin.to_lower_wire();
            private.add(&zones, index, apex, &zone.networks, zone.fallthrough);
        }
    }
    ZoneTable {
        names,
        private,
        configured: zones.0.len(),
        zones,
    }
}

/// The node outside of a public zone that answers for DS at its apex: the outer zone's node of that
/// name, or the cut further up.
fn parent_side(names: &Tables, zones: &Zones, zone: &ZoneSource) -> Option<Spot> {
    if !zone.networks.is_empty() {
        return None;
    }
    let Found::Below(above) = names.find_above(zones, &zone.origin.to_lower_wire()) else {
        return None;
    };
    let outer = &zones.0.get(above.zone as usize)?.data;
    let own = outer.unlisted.iter().find(|(name, _)| *name == zone.origin);
    if let Some(&(_, node)) = own {
        return Some(Spot { node, ..above });
    }
    let kind = outer.nodes.get(above.node as usize)?.kind;
    matches!(kind, NodeKind::Cut(_)).then_some(above)
}

fn compile(zone: &ZoneSource, inner: &[Name], content: u64) -> ZoneData {
    let owners = owners_of(zone);
    let inner: BTreeSet<&Name> = inner.iter().collect();
    let mut builder = Builder::new(zone);
    let names = names_to_serve(zone, &owners, &inner);
    let mut numbers: HashMap<&Name, NodeIdx> = HashMap::with_capacity(names.len());
    for name in &names {
        let listed = !inner.contains(name);
        let node = builder.add_node(&owners, name, listed);
        if listed {
            numbers.insert(name, node);
        }
        builder.link_wildcard(&numbers, name, node);
    }
    builder.finish(content)
}

/// Every name of the zone that is served, empty non-terminals included, parents first.
fn names_to_serve(
    zone: &ZoneSource,
    owners: &Owners<'_>,
    inner: &BTreeSet<&Name>,
) -> BTreeSet<Name> {
    let mut names = BTreeSet::from([zone.origin.clone()]);
    for &name in owners.keys() {
        if is_occluded(name, zone, owners, inner) {
            continue;
        }
        let mut name = Some(name.clone());
        while let Some(next) = name
            && next != zone.origin
        {
            name = next.parent();
            if !names.insert(next) {
                // What is above it is there already.
                break;
            }
        }
    }
    names
}

/// True when something above `name` takes the name out of the zone: a cut, a DNAME, or the
/// apex of another served zone.
pub(super) fn is_occluded(
    name: &Name,
    zone: &ZoneSource,
    owners: &Owners<'_>,
    inner: &BTreeSet<&Name>,
) -> bool {
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
        if is_cut(&next, zone, owner) || inner.contains(&next) {
            return true;
        }
        above = next.parent();
    }
    false
}

pub(super) struct Builder<'s> {
    zone: &'s ZoneSource,
    wanted: BTreeSet<(&'s Name, RecordType)>,
    nodes: Vec<Node>,
    arena: Arena,
    more: Vec<SetEntry>,
    referrals: Vec<Referral>,
    unlisted: Vec<(Name, NodeIdx)>,
    alias_targets: HashMap<(Name, RecordType), SetData>,
}

impl<'s> Builder<'s> {
    pub(super) fn new(zone: &'s ZoneSource) -> Self {
        Self {
            zone,
            wanted: alias_targets(zone).collect(),
            nodes: Vec::new(),
            arena: Arena::default(),
            more: Vec::new(),
            referrals: Vec::new(),
            unlisted: Vec::new(),
            alias_targets: HashMap::new(),
        }
    }

    pub(super) fn finish(mut self, content: u64) -> ZoneData {
        self.arena.shrink();
        ZoneData {
            content,
            nodes: self.nodes.into(),
            arena: self.arena,
            more: self.more.into(),
            referrals: self.referrals.into(),
            unlisted: self.unlisted,
            alias_targets: self.alias_targets,
        }
    }

    /// Says at a wildcard's parent, which is among `numbers`, where it is.
    pub(super) fn link_wildcard(
        &mut self,
        numbers: &HashMap<&Name, NodeIdx>,
        name: &Name,
        node: NodeIdx,
    ) {
        if name.is_wildcard()
            && *name != self.zone.origin
            && let Some(parent) = name.parent()
            && let Some(&parent) = numbers.get(&parent)
            && let Some(parent) = self.nodes.get_mut(parent as usize)
        {
            parent.wildcard = node;
        }
    }

    /// Adds a node that says that its name is not there any more.
    pub(super) fn add_gone(&mut self, name: &Name) {
        let node = self.add_node(&Owners::new(), name, true);
        if let Some(node) = self.nodes.get_mut(node as usize) {
            node.gone = true;
        }
    }

    pub(super) fn add_node(&mut self, owners: &Owners<'_>, name: &Name, listed: bool) -> NodeIdx {
        let owner = owners.get(name);
        let cut = is_cut(name, self.zone, owner);
        let place = self.arena.push_name(&name.to_lower_wire());
        let mut sets = Vec::new();
        let mut dname = false;
        if let Some(owner) = owner {
            for (&rtype, records) in &owner.records {
                if cut && rtype != RecordType::DS {
                    continue;
                }
                let data = self.add_blob(rtype, records);
                dname |= rtype == RecordType::DNAME && !name.is_wildcard();
                sets.push(self.set(name, rtype, SetData::Fixed(data)));
            }
            for &(rtype, routed) in &owner.routed {
                if !cut {
                    sets.push(self.set(name, rtype, SetData::Routed(routed)));
                }
            }
        }
        let kind = match (cut, dname) {
            (true, _) => NodeKind::Cut(self.add_referral(name, owners)),
            (false, true) => NodeKind::Dname,
            (false, false) => NodeKind::Plain,
        };
        let number = self.nodes.len() as NodeIdx;
        if !listed {
            self.unlisted.push((name.clone(), number));
        }
        let mut sets = sets.into_iter();
        let (first, more_start) = (sets.next(), self.more.len() as u32);
        self.more.extend(sets);
        self.nodes.push(Node {
            name: place,
            first,
            more_start,
            more_end: self.more.len() as u32,
            kind,
            wildcard: NO_NODE,
            apex: *name == self.zone.origin,
            listed,
            gone: false,
        });
        number
    }

    fn add_blob(&mut self, rtype: RecordType, records: &[&ParsedRecord]) -> BlobPlace {
        let rdatas = records.iter().map(|record| &*record.rdata);
        self.arena.push_blob(rtype.0, soonest_ttl(records), rdatas)
    }

    fn set(&mut self, name: &Name, rtype: RecordType, data: SetData) -> SetEntry {
        if self.wanted.contains(&(name, rtype)) {
            self.alias_targets.insert((name.clone(), rtype), data);
        }
        SetEntry { rtype, data }
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
}

fn owners_of(zone: &ZoneSource) -> Owners<'_> {
    let mut owners = Owners::new();
    for record in &zone.records {
        let owner = owners.entry(&record.owner).or_default();
        owner.records.entry(record.rtype).or_default().push(record);
    }
    for (index, record) in (0..).zip(&zone.routed) {
        let owner = owners.entry(&record.owner).or_default();
        owner.routed.push((record.rtype, index));
    }
    owners
}

/// True for a delegation. NS at a wildcard delegates nothing (RFC 4592 section 4.2 leaves it
/// open; Route 53 refuses it): it is data.
pub(super) fn is_cut(name: &Name, zone: &ZoneSource, owner: Option<&Owner<'_>>) -> bool {
    *name != zone.origin
        && !name.is_wildcard()
        && owner.is_some_and(|owner| owner.records.contains_key(&RecordType::NS))
}

pub(super) fn negative_soa(records: &[ParsedRecord]) -> Blob {
    let soa = records
        .iter()
        .find(|record| record.rtype == RecordType::SOA);
    let Some(soa) = soa else {
        return Blob::default();
    };
    let minimum = soa.rdata.last_chunk::<4>().copied().map(u32::from_be_bytes);
    let ttl = soa.ttl.min(minimum.unwrap_or(0));
    Blob::new(RecordType::SOA.0, ttl, [&*soa.rdata])
}
