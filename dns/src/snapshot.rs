//! What the server answers from: zones of one configuration generation, decisions of one health
//! table.
//!
//! Made by [`crate::compile`], published by one swap, read by every thread. Immutable; holds no
//! sockets, tasks or slots.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use conf::RecordType;
use rand::rngs::SmallRng;

use crate::forward::Rules;
use crate::guard::Guard;
use crate::name::Name;
use crate::policy::{self, Asking, Decisions, Plan, Witness};
use crate::transfer::Outgoing;
use crate::wire::{Full, Response};
use crate::zone::{Place, RoutedIdx, SetData, ZoneTable};

/// Everything answers come from at one moment.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub(crate) zones: Arc<ZoneTable>,
    pub(crate) decisions: Decisions,
    /// Identity, cookies, limits, who is believed.
    pub(crate) guard: Arc<Guard>,
    /// Zones that others may copy, and the keys of signed messages.
    pub(crate) transfers: Arc<Outgoing>,
    /// Names that other servers are asked about.
    pub(crate) rules: Arc<Rules>,
    /// The configuration generation of the zones.
    pub(crate) config_generation: u64,
    /// The health table the decisions were made from.
    pub(crate) health_generation: u64,
}

impl Snapshot {
    /// The configuration generation whose zones it serves.
    pub fn config_generation(&self) -> u64 {
        self.config_generation
    }

    /// The generation of the health table its decisions were made from.
    pub fn health_generation(&self) -> u64 {
        self.health_generation
    }

    /// True when this sender's client subnet options count.
    pub(crate) fn believes(&self, sender: IpAddr) -> bool {
        self.guard
            .believed
            .iter()
            .any(|network| network.contains(&sender))
    }

    /// A client of each kind that the record at `name` tells apart; one address when it tells none
    /// apart.
    pub fn sample_clients(&self, name: &Name, rtype: RecordType) -> Vec<IpAddr> {
        let name = name.to_lower();
        let everyone = vec![IpAddr::from(Ipv4Addr::LOCALHOST)];
        let Place::At(node) = self.zones.look_up(name.as_wire(), rtype) else {
            return everyone;
        };
        let decision = match node.set(rtype) {
            Some(SetData::Routed(record)) => self.decisions.get(record),
            _ => None,
        };
        decision
            .and_then(|decision| decision.plan.as_deref())
            .map_or(everyone, Plan::samples)
    }

    /// Decides a routed record for a class of its clients and writes what it answers; nothing is written when there is
    /// nothing to answer.
    pub(crate) fn write(
        &self,
        (record, class): (RoutedIdx, u32),
        response: &mut Response<'_>,
        owner: usize,
        (asking, draw): (Asking, &mut SmallRng),
        witness: &mut impl Witness,
    ) -> Result<(), Full> {
        let mut writer = policy::Writer {
            zones: &self.zones,
            decisions: &self.decisions,
            response,
            owner,
            asking,
            draw,
            witness,
        };
        writer.record(record, class, 0)
    }
}
