//! Names that changed since their zone was compiled, laid over it, so that a change of one name costs
//! what that name costs.
//!
//! Made when a zone is updated, off the query path. A layer holds every name whose records differ, and
//! the names whose existence or wildcard follows from those; whatever it does not hold is as it was
//! compiled. Changes that reach further (a delegation, a DNAME, glue, what an alias names) are not for
//! layers: [`Current::can_change`] says so, and the zone is compiled anew.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use conf::RecordType;

use super::build::{Builder, Owner, Owners, is_occluded, negative_soa};
use super::data::ZoneData;
use super::names::Spot;
use super::{RoutedIdx, ServedZone, ZoneTable, Zones};
use crate::load::ZoneSource;
use crate::name::Name;
use crate::updates::Current;

/// A layer, and what changed of its zone as a whole.
#[derive(Debug)]
pub(crate) struct Laid {
    data: Arc<ZoneData>,
    /// Serial of the SOA.
    pub(crate) serial: u32,
    records: usize,
    negative: Arc<crate::wire::Blob>,
}

/// The layer of a zone's names that changed; of `zone` its records are not looked at.
pub(crate) fn layer(zone: &ZoneSource, current: &Current, serial: u32) -> Laid {
    let mut routed: HashMap<&Name, Vec<(RecordType, RoutedIdx)>> = HashMap::new();
    for (index, record) in (0..).zip(&zone.routed) {
        let at = routed.entry(&record.owner).or_default();
        at.push((record.rtype, index));
    }
    let routed_names: BTreeSet<&Name> = routed.keys().copied().collect();
    let names = names(zone, current, &routed_names);
    let needed = needed(&names, zone, current);
    let mut owners = Owners::new();
    for name in &needed {
        let mut owner = Owner::default();
        for record in current.at(name) {
            owner.records.entry(record.rtype).or_default().push(record);
        }
        owner.routed = routed.get(name).cloned().unwrap_or_default();
        if !owner.records.is_empty() || !owner.routed.is_empty() {
            owners.insert(name, owner);
        }
    }
    let is_there = |name: &Name| {
        *name == zone.origin
            || (!is_occluded(name, zone, &owners, &BTreeSet::new())
                && (owners.contains_key(name)
                    || current.is_above(name)
                    || is_routed(&routed_names, name)))
    };
    let mut builder = Builder::new(zone);
    let mut numbers = HashMap::with_capacity(names.len());
    for name in &names {
        if is_there(name) {
            let node = builder.add_node(&owners, name, true);
            numbers.insert(name, node);
            builder.link_wildcard(&numbers, name, node);
        } else {
            builder.add_gone(name);
        }
    }
    Laid {
        data: Arc::new(builder.finish(0)),
        serial,
        records: current.len() + zone.routed.len(),
        negative: Arc::new(negative_soa(current.at(&zone.origin))),
    }
}

/// The names of a layer, parents first: those that changed, the names above them, whose existence may
/// follow from theirs, and with each the wildcard below it, which its node knows by its place.
fn names(zone: &ZoneSource, current: &Current, routed: &BTreeSet<&Name>) -> BTreeSet<Name> {
    let mut names = BTreeSet::from([zone.origin.clone()]);
    for changed in current.changed() {
        let mut name = Some(changed.clone());
        while let Some(next) = name
            && next != zone.origin
        {
            name = next.parent();
            if !names.insert(next) {
                break;
            }
        }
    }
    let is_star = |name: &Name| {
        !current.at(name).is_empty() || current.is_above(name) || is_routed(routed, name)
    };
    // A wildcard may have one below it in turn.
    let below = |name: &Name| name.prepend(b"*").ok().filter(|star| is_star(star));
    let chain = |name: &Name| std::iter::successors(below(name), below);
    let stars: Vec<Name> = names.iter().flat_map(chain).collect();
    names.extend(stars);
    names
}

/// True when a name, or one below it, has a record with a policy.
fn is_routed(routed: &BTreeSet<&Name>, name: &Name) -> bool {
    let next = routed.range::<Name, _>(name..).next();
    next.is_some_and(|found| found.is_subdomain_of(name))
}

/// The names whose records are looked at: those of the layer, and the name servers of cuts among them.
fn needed(names: &BTreeSet<Name>, zone: &ZoneSource, current: &Current) -> BTreeSet<Name> {
    let mut needed = names.clone();
    for name in names.iter().filter(|name| **name != zone.origin) {
        let servers = current
            .at(name)
            .iter()
            .filter(|r| r.rtype == RecordType::NS);
        needed.extend(servers.filter_map(|record| Name::from_wire(&record.rdata).ok()));
    }
    needed
}

impl ZoneTable {
    /// The same with the layers of `previous` over zones that were taken over from it.
    pub(super) fn with_layers_of(mut self, previous: &Self, sources: &crate::Zones) -> Self {
        let layers = previous.zones.0.iter().filter(|zone| zone.over.is_some());
        for layer in layers {
            let mut zones = sources.zones.iter();
            let found = zones.position(|zone| *zone.id == *layer.id && zone.is_part());
            if let Some(index) = found {
                let laid = Laid {
                    data: layer.data.clone(),
                    serial: layer.serial,
                    records: layer.records,
                    negative: layer.negative.clone(),
                };
                self = self.laid_over(index, laid);
            }
        }
        self
    }

    /// The same with a layer over a zone, in place of the one it had.
    pub(crate) fn laid_over(&self, index: usize, laid: Laid) -> Self {
        let mut table = self.clone();
        let position = index as u32;
        let mut zones = std::mem::take(&mut table.zones).0.into_vec();
        let Some(zone) = zones.get_mut(index) else {
            return self.clone();
        };
        zone.serial = laid.serial;
        zone.records = laid.records;
        zone.negative = laid.negative;
        let layer = ServedZone {
            data: laid.data,
            over: Some(position),
            ..zone.clone()
        };
        let is_private = zone.private;
        match zones.iter_mut().find(|zone| zone.over == Some(position)) {
            Some(before) => *before = layer,
            None => zones.push(layer),
        }
        table.zones = Zones(zones.into());
        let zones = &table.zones;
        let layers = (0..).zip(&zones.0).filter(|(_, zone)| zone.over.is_some());
        if is_private {
            let own = layers.filter(|(_, zone)| zone.over == Some(position));
            let spots: Vec<Spot> = own.flat_map(|(layer, _)| zones.listed(layer)).collect();
            table.private.lay(zones, position, &spots);
        } else {
            let public = layers.filter(|(_, zone)| !zone.private);
            let spots: Vec<Spot> = public.flat_map(|(layer, _)| zones.listed(layer)).collect();
            table.names.lay(zones, &spots);
        }
        table
    }
}

#[cfg(test)]
mod tests;
