//! Private zones: for clients of some networks only, by the packet's source (never by ECS).
//!
//! As in Route 53 the most specific zone around the name answers, and when it does not have the
//! record that is the answer, unless its `fallthrough` says who is asked next.
//! Cost: a comparison of names for each private zone, and of networks for those that match.

use std::net::IpAddr;
use std::sync::Arc;

use conf::{Fallthrough, RecordType};
use ipnet::IpNet;

use super::names::{Spot, Tables};
use super::{Place, ZoneTable, Zones};
use crate::load::ZoneState;

/// The private zones, deepest apex first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Private(Vec<PrivateZone>);

#[derive(Debug, Clone)]
struct PrivateZone {
    /// Its position among the zones.
    index: u32,
    networks: Arc<[IpNet]>,
    apex: Arc<[u8]>,
    fallthrough: Fallthrough,
    names: Tables,
}

impl Private {
    /// True when every zone is for everybody.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the zone at this position, whose lower-case apex is given.
    pub(super) fn add(
        &mut self,
        zones: &Zones,
        index: u32,
        apex: Box<[u8]>,
        networks: &[IpNet],
        fallthrough: Fallthrough,
    ) {
        let listed: Vec<Spot> = zones.listed(index).collect();
        self.0.push(PrivateZone {
            index,
            networks: networks.into(),
            apex: apex.into(),
            fallthrough,
            names: Tables::new(zones, &listed),
        });
        self.0
            .sort_by_key(|zone| std::cmp::Reverse(zone.apex.len()));
    }

    /// Looks for names in `layer` first, which lies over the zone at this position.
    pub(super) fn lay(&mut self, zones: &Zones, index: u32, layer: &[Spot]) {
        for zone in self.0.iter_mut().filter(|zone| zone.index == index) {
            zone.names.lay(zones, layer);
        }
    }

    /// What `source` finds at `name`.
    pub(super) fn look_up<'z>(
        &'z self,
        table: &'z ZoneTable,
        source: IpAddr,
        name: &[u8],
        qtype: RecordType,
    ) -> Place<'z> {
        let source = source.to_canonical();
        let mut refused = None;
        let mut depth = usize::MAX;
        loop {
            let Some(zone) = self.around(name, source, depth) else {
                // Nobody further has it: the first zone's "no" stands.
                return refused.unwrap_or_else(|| table.look_up(name, qtype));
            };
            let place = table.look_up_in(&zone.names, name, None, qtype);
            if !lacks(place, qtype) {
                return place;
            }
            let first = *refused.get_or_insert(place);
            match zone.fallthrough {
                Fallthrough::None => return first,
                Fallthrough::Parent => depth = zone.apex.len(),
                Fallthrough::Public => {
                    return match table.look_up(name, qtype) {
                        Place::Elsewhere => first,
                        place => place,
                    };
                }
            }
        }
    }

    /// The most specific zone around `name` that `source` gets, of an apex shorter than `below`
    /// bytes; among those of one name the one of the longest network.
    fn around(&self, name: &[u8], source: IpAddr, below: usize) -> Option<&PrivateZone> {
        let mut best: Option<(&PrivateZone, u8)> = None;
        for zone in &self.0 {
            if best.is_some_and(|(best, _)| best.apex.len() != zone.apex.len()) {
                break;
            }
            if zone.apex.len() >= below || !is_within(name, &zone.apex) {
                continue;
            }
            let holds = zone
                .networks
                .iter()
                .filter(|network| network.contains(&source));
            let longest = holds.map(IpNet::prefix_len).max();
            if let Some(length) = longest
                && best.is_none_or(|(_, best)| length > best)
            {
                best = Some((zone, length));
            }
        }
        best.map(|(zone, _)| zone)
    }
}

/// True when a zone does not have the record: no such name, or no data of the type there.
fn lacks(place: Place<'_>, qtype: RecordType) -> bool {
    match place {
        Place::Elsewhere => true,
        // What it would have is not known.
        Place::Missing(node) | Place::At(node) if node.zone().state != ZoneState::Good => false,
        Place::Missing(_) => true,
        Place::At(node) => {
            let has = |rtype| node.set(rtype).is_some();
            let any = qtype == RecordType::ANY && !node.is_empty();
            !(any || has(qtype) || has(RecordType::CNAME))
        }
        Place::Delegated(..) | Place::Renamed(..) => false,
    }
}

/// True when `name` is `apex` or below it; both lower-case wire form.
pub(crate) fn is_within(name: &[u8], apex: &[u8]) -> bool {
    let Some(head) = name.len().checked_sub(apex.len()) else {
        return false;
    };
    if name.get(head..) != Some(apex) {
        return false;
    }
    let mut at = 0;
    while at < head {
        at += usize::from(name.get(at).copied().unwrap_or(0)) + 1;
    }
    at == head
}

#[cfg(test)]
mod tests;
