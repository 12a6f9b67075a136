//! Aliases: what a listener or a target group answers under the alias's own name, and whether it
//! is healthy.
//!
//! Resolved to slots once per configuration, asked when health changes. Never answers a target
//! that takes no new work, and never answers nothing only because everything is unhealthy: then
//! all may be tried (fail-open), as the balancer does.

use std::net::IpAddr;
use std::sync::Arc;

use conf::{Config, GroupIdx, ListenerIdx, RecordType};
use healthcheck::{GroupId, HealthTable, SlotId, SlotMap, TargetHealth, TargetState};

use super::Outcome;
use super::multivalue::MAX_ANSWERS;
use crate::wire::Blob;

/// An alias to a listener.
#[derive(Debug, Clone)]
pub(super) struct ListenerAlias {
    pub(super) listener: ListenerIdx,
    /// Every group of its actions.
    pub(super) groups: Vec<GroupId>,
    addresses: Outcome,
}

impl ListenerAlias {
    /// `listener`'s advertised addresses of the family that `rtype` asks for.
    pub(super) fn new(
        config: &Config,
        slots: &SlotMap,
        listener: ListenerIdx,
        rtype: RecordType,
        ttl: u32,
    ) -> Self {
        let at = listener;
        let listener = config.listener(at);
        let groups = listener.groups().into_iter();
        let rdatas = distinct(listener.advertise.iter().copied(), rtype);
        Self {
            listener: at,
            groups: groups
                .filter_map(|group| slots.group(&config.group(group).name))
                .collect(),
            addresses: outcome(rtype, ttl, &rdatas),
        }
    }

    /// True when every group meets its `dns-failover`.
    pub(super) fn is_healthy(&self, health: &HealthTable) -> bool {
        self.groups
            .iter()
            .all(|&group| health.group(group).is_some_and(|group| group.dns_healthy))
    }

    /// The addresses.
    pub(super) fn outcome(&self) -> Outcome {
        self.addresses.clone()
    }
}

/// An alias to a target group.
#[derive(Debug, Clone)]
pub(super) struct GroupAlias {
    pub(super) at: GroupIdx,
    /// The group.
    pub(super) group: Option<GroupId>,
    /// Its targets.
    pub(super) targets: Vec<GroupTarget>,
    rtype: RecordType,
    ttl: u32,
}

/// A target of an aliased group.
#[derive(Debug, Clone)]
pub(super) struct GroupTarget {
    /// Its place in the health table.
    pub(super) slot: SlotId,
    address: IpAddr,
    backup: bool,
}

impl GroupAlias {
    /// `group`'s targets' addresses of the family that `rtype` asks for.
    pub(super) fn new(
        config: &Config,
        slots: &SlotMap,
        group: GroupIdx,
        rtype: RecordType,
        ttl: u32,
    ) -> Self {
        let at = group;
        let group = config.group(at);
        let used = group.targets.iter().filter(|target| group.uses(target));
        let targets = used.filter_map(|target| {
            let (slot, _) = slots.target(&group.name, target.address)?;
            Some(GroupTarget {
                slot,
                // A Unix socket has none, and clients elsewhere could not reach it.
                address: target.address.ip()?,
                backup: target.backup,
            })
        });
        Self {
            at,
            group: slots.group(&group.name),
            targets: targets.collect(),
            rtype,
            ttl,
        }
    }

    /// True when the group meets its `dns-failover`.
    pub(super) fn is_healthy(&self, health: &HealthTable) -> bool {
        self.group
            .and_then(|group| health.group(group))
            .is_some_and(|group| group.dns_healthy)
    }

    /// Healthy targets' addresses; without any, healthy backup targets'; without those, all that
    /// may have new work.
    pub(super) fn outcome(&self, health: &HealthTable) -> Outcome {
        outcome(self.rtype, self.ttl, &self.addresses(health))
    }

    /// The same as RDATAs.
    pub(super) fn addresses(&self, health: &HealthTable) -> Vec<Box<[u8]>> {
        let pick = |keep: &dyn Fn(&GroupTarget, &TargetHealth) -> bool| {
            let chosen = self.targets.iter().filter(|target| {
                health
                    .target(target.slot)
                    .is_some_and(|health| takes_new_work(health) && keep(target, health))
            });
            let addresses: Vec<IpAddr> = chosen.map(|target| target.address).collect();
            addresses
        };
        let healthy = |health: &TargetHealth| health.state == TargetState::Healthy;
        let mut addresses = pick(&|target, health| !target.backup && healthy(health));
        if addresses.is_empty() {
            addresses = pick(&|_, health| healthy(health));
        }
        if addresses.is_empty() {
            addresses = pick(&|_, _| true);
        }
        distinct(addresses.into_iter(), self.rtype)
    }
}

fn takes_new_work(health: &TargetHealth) -> bool {
    let draining = matches!(
        health.state,
        TargetState::Draining | TargetState::UnhealthyDraining
    );
    health.registered && !draining && health.weight > 0
}

/// The RDATAs of these addresses as far as `rtype` asks for their family, none twice.
fn distinct(addresses: impl Iterator<Item = IpAddr>, rtype: RecordType) -> Vec<Box<[u8]>> {
    let mut rdatas: Vec<Box<[u8]>> = Vec::new();
    for address in addresses {
        let rdata: Box<[u8]> = match (rtype, address) {
            (RecordType::A, IpAddr::V4(v4)) => v4.octets().into(),
            (RecordType::AAAA, IpAddr::V6(v6)) => v6.octets().into(),
            _ => continue,
        };
        if !rdatas.contains(&rdata) {
            rdatas.push(rdata);
        }
    }
    rdatas
}

/// All of up to eight, eight at random of more.
fn outcome(rtype: RecordType, ttl: u32, rdatas: &[Box<[u8]>]) -> Outcome {
    match rdatas.len() {
        0 => Outcome::Nothing,
        1..=MAX_ANSWERS => Outcome::Values(Arc::new(Blob::new(
            rtype.0,
            ttl,
            rdatas.iter().map(|rdata| &**rdata),
        ))),
        _ => {
            let each = rdatas
                .iter()
                .map(|rdata| Blob::new(rtype.0, ttl, [&**rdata]));
            Outcome::Some(each.collect())
        }
    }
}
