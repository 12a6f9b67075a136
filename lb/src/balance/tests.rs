//! Order of choice, exactness over threads, suspects, holds: on groups made by hand.

mod hashing;
mod load;
mod order;
mod shares;

use super::{Origin, Pick, Picker, Tried};
use crate::snapshot::{Condition, Group, GroupSettings, Member};
use crate::target::{Fate, Target};
use conf::{Algorithm, GroupProtocol};
use healthcheck::{Signal, SlotId};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

pub(super) fn member(port: u16, weight: u16, condition: Condition) -> Member {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let signal = Arc::new(Signal::default());
    Member {
        target: Arc::new(Target::new(
            "app".into(),
            address,
            SlotId(u32::from(port)),
            signal,
        )),
        weight,
        share: 100,
        is_growing: false,
        backup: false,
        max_in_flight: 0,
        server_id: Box::default(),
        condition,
        fate: Fate::Serving,
    }
}

fn backup(port: u16) -> Member {
    let backup = member(port, 1, Condition::Healthy);
    Member {
        backup: true,
        ..backup
    }
}

pub(super) fn group(algorithm: Algorithm, members: Vec<Member>, fail_open: bool) -> Group {
    let settings = GroupSettings {
        name: "app".into(),
        protocol: GroupProtocol::Tcp,
        algorithm,
        hold: Duration::from_secs(5),
        connect_timeout: Duration::from_secs(2),
        response_timeout: Duration::from_secs(60),
        tls: None,
        queue_timeout: Duration::from_secs(5),
        preserve_client_ip: false,
        proxy_out: conf::ProxyOut::default(),
        connection_termination: true,
        unhealthy_flows: conf::UnhealthyFlows::End,
        sticky_by_source: false,
        hash_balance: 0,
        retries: conf::Retries::default(),
        connection_id: None,
    };
    Group::new(settings, members, fail_open, None)
}

fn origin(client: u64) -> Origin {
    let bits = u32::try_from(client).unwrap();
    let client = SocketAddr::from((std::net::Ipv4Addr::from(bits), 1));
    Origin::tcp(client, SocketAddr::from(([127, 0, 0, 1], 80)))
}

fn round_robin(members: Vec<Member>) -> Group {
    group(Algorithm::RoundRobin, members, false)
}

/// Ports in the order they are chosen, each failing, until nothing is left.
fn order(group: &Group, tried: &mut Tried) -> Vec<u16> {
    let mut rng = SmallRng::seed_from_u64(1);
    let mut ports = Vec::new();
    while let Pick::Target(target) = group.pick(&mut rng, &origin(0), tried) {
        ports.push(target.address().port().unwrap());
        tried.add(target);
    }
    ports
}

fn picked(group: &Group) -> Option<u16> {
    match group.pick(
        &mut SmallRng::seed_from_u64(1),
        &origin(0),
        &Tried::default(),
    ) {
        Pick::Target(target) => Some(target.address().port().unwrap()),
        _ => None,
    }
}

/// A group of `weights`, ports from 1 on.
fn weighted(algorithm: Algorithm, weights: &[u16]) -> Group {
    let members = weights.iter().zip(1..);
    let members = members.map(|(&weight, port)| member(port, weight, Condition::Healthy));
    group(algorithm, members.collect(), false)
}

/// The same group at another moment.
fn after(before: &Group, change: impl FnOnce(&mut Vec<Member>)) -> Group {
    let mut members = before.members.clone();
    change(&mut members);
    Group::new(before.settings.clone(), members, false, Some(before))
}

/// The port each of `keys` clients is sent to.
fn mapping(group: &Group, keys: u64) -> Vec<u16> {
    let mut rng = SmallRng::seed_from_u64(1);
    let pick = |client| match group.pick(&mut rng, &origin(client), &Tried::default()) {
        Pick::Target(target) => target.address().port().unwrap(),
        _ => 0,
    };
    (0..keys).map(pick).collect()
}

const HASHING: [Algorithm; 4] = [
    Algorithm::SourceIpHash,
    Algorithm::FlowHash,
    Algorithm::Maglev,
    Algorithm::ConnectionIdHash,
];

proptest! {
    /// Workers that follow different snapshots, and adopt new ones at any time, still take turns
    /// together: no target gets more than its share of any cycle.
    #[test]
    fn workers_take_turns_together(
        weights in prop::collection::vec(1u16..9, 1..7),
        workers in prop::sample::select(vec![2usize, 4]),
        order in prop::collection::vec((0usize..4, any::<bool>()), 120),
    ) {
        let group = weighted(Algorithm::RoundRobin, &weights);
        let mut views: Vec<_> = (0..workers).map(|_| after(&group, |_| {})).collect();
        let cycle: usize = weights.iter().map(|&w| usize::from(w)).sum();
        let mut picks = Vec::new();
        for (worker, adopts) in order {
            let view = &mut views[worker % workers];
            if adopts {
                *view = after(view, |_| {});
            }
            picks.extend(picked(view));
        }
        for window in picks.windows(cycle) {
            for (&weight, port) in weights.iter().zip(1..) {
                let count = window.iter().filter(|&&p| p == port).count();
                prop_assert!(count <= usize::from(weight), "{window:?}");
            }
        }
    }

    /// No target gets more than its share, rounded up, in any window of one cycle.
    #[test]
    fn no_window_of_a_cycle_exceeds_a_share(weights in prop::collection::vec(1u16..9, 1..7)) {
        let weighted = weights.iter().zip(1..);
        let members = weighted.map(|(&w, port)| member(port, w, Condition::Healthy)).collect();
        let group = round_robin(members);
        let cycle: usize = weights.iter().map(|&w| usize::from(w)).sum();
        let picks: Vec<_> = (0..cycle * 3).filter_map(|_| picked(&group)).collect();
        for window in picks.windows(cycle) {
            for (&weight, port) in weights.iter().zip(1..) {
                let count = window.iter().filter(|&&p| p == port).count();
                prop_assert_eq!(count, usize::from(weight));
            }
        }
    }
}
