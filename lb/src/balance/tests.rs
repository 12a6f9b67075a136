//! Order of choice, exactness over threads, suspects, holds: on groups made by hand.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use conf::{Algorithm, GroupProtocol};
use healthcheck::{Signal, SlotId};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::{Pick, Tried};
use crate::snapshot::{Condition, Group, GroupSettings, Member};
use crate::target::{Fate, Padded, Target};

fn member(port: u16, weight: u16, condition: Condition) -> Member {
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
        backup: false,
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

fn group(algorithm: Algorithm, members: Vec<Member>, fail_open: bool) -> Group {
    let settings = GroupSettings {
        name: "app".into(),
        protocol: GroupProtocol::Tcp,
        algorithm,
        hold: Duration::from_secs(5),
        connect_timeout: Duration::from_secs(2),
        response_timeout: Duration::from_secs(60),
        connection_termination: true,
    };
    Group::new(
        settings,
        members,
        fail_open,
        Arc::new(Padded(AtomicU64::new(0))),
    )
}

fn round_robin(members: Vec<Member>) -> Group {
    group(Algorithm::RoundRobin, members, false)
}

/// Ports in the order they are chosen, each failing, until nothing is left.
fn order(group: &Group, tried: &mut Tried) -> Vec<u16> {
    let mut rng = SmallRng::seed_from_u64(1);
    let mut ports = Vec::new();
    while let Pick::Target(target) = group.pick(&mut rng, tried) {
        ports.push(target.address().port());
        tried.add(target);
    }
    ports
}

fn picked(group: &Group) -> Option<u16> {
    match group.pick(&mut SmallRng::seed_from_u64(1), &Tried::default()) {
        Pick::Target(target) => Some(target.address().port()),
        _ => None,
    }
}

#[test]
fn healthy_then_backups_then_everything_each_once() {
    let healthy = |port| member(port, 1, Condition::Healthy);
    let group = round_robin(vec![
        member(9, 1, Condition::Unhealthy),
        backup(3),
        healthy(1),
        healthy(2),
        member(7, 1, Condition::Draining),
        member(8, 0, Condition::Healthy),
        member(6, 1, Condition::Initial),
    ]);
    let mut tried = Tried::default();
    let order = order(&group, &mut tried);
    assert!([[1, 2, 3, 9], [2, 1, 3, 9]].contains(&order.as_slice().try_into().unwrap()));
    assert!(matches!(
        group.pick(&mut SmallRng::seed_from_u64(1), &tried),
        Pick::Hold
    ));
}

#[test]
fn after_a_hold_only_healthy_targets_are_tried_again() {
    let members = vec![
        member(1, 1, Condition::Healthy),
        member(9, 1, Condition::Unhealthy),
    ];
    let group = round_robin(members);
    let mut tried = Tried::default();
    assert_eq!(order(&group, &mut tried), [1, 9]);
    tried.held();
    assert_eq!(order(&group, &mut tried), [1]);
}

#[test]
fn failing_open_uses_all_registered_targets_alike() {
    let members = [
        Condition::Unhealthy,
        Condition::Unhealthy,
        Condition::Healthy,
    ];
    let members = members
        .into_iter()
        .zip(1..)
        .map(|(condition, port)| member(port, 1, condition));
    let group = group(Algorithm::RoundRobin, members.collect(), true);
    let mut picks: Vec<_> = (0..3).filter_map(|_| picked(&group)).collect();
    picks.sort_unstable();
    assert_eq!(picks, [1, 2, 3]);
}

#[test]
fn empty_group_refuses_and_initial_one_holds() {
    let pick = |group: &Group| {
        format!(
            "{:?}",
            group.pick(&mut SmallRng::seed_from_u64(1), &Tried::default())
        )
    };
    assert_eq!(pick(&round_robin(Vec::new())), "None");
    assert_eq!(
        pick(&round_robin(vec![member(1, 1, Condition::Initial)])),
        "Hold"
    );
    assert_eq!(
        pick(&round_robin(vec![member(1, 1, Condition::Draining)])),
        "Hold"
    );
    assert_eq!(
        pick(&round_robin(vec![member(1, 0, Condition::Healthy)])),
        "Hold"
    );
}

#[test]
fn suspects_are_walked_past_until_nothing_else_is_left() {
    for algorithm in [Algorithm::RoundRobin, Algorithm::LeastConnections] {
        let members: Vec<_> = (1..=3)
            .map(|port| member(port, 1, Condition::Healthy))
            .collect();
        let group = group(algorithm, members, false);
        group.members[0].target.signal().mark();
        for _ in 0..20 {
            assert_ne!(picked(&group), Some(1));
        }
        group.members[1].target.signal().mark();
        group.members[2].target.signal().mark();
        assert!(picked(&group).is_some());
    }
}

#[test]
fn least_connections_takes_the_lowest_load_per_weight() {
    let members = vec![
        member(1, 1, Condition::Healthy),
        member(2, 2, Condition::Healthy),
    ];
    let group = group(Algorithm::LeastConnections, members, false);
    group
        .members
        .iter()
        .for_each(|member| member.target.begin());
    assert_eq!(picked(&group), Some(2));
    group.members[1].target.begin();
    group.members[1].target.begin();
    assert_eq!(picked(&group), Some(1));
}

#[test]
fn least_connections_uses_an_idle_group_in_turn() {
    let members = (1..=3)
        .map(|port| member(port, 1, Condition::Healthy))
        .collect();
    let group = group(Algorithm::LeastConnections, members, false);
    let picks: Vec<_> = (0..6).filter_map(|_| picked(&group)).collect();
    assert_eq!(picks, [1, 2, 3, 1, 2, 3]);
}

#[test]
fn large_least_connections_group_finds_the_one_usable_target() {
    let members = (1..=500)
        .map(|port| member(port, 1, Condition::Healthy))
        .collect();
    let group = group(Algorithm::LeastConnections, members, false);
    for member in &group.members {
        if member.target.address().port() != 321 {
            member.target.signal().mark();
        }
    }
    assert_eq!(picked(&group), Some(321));
}

/// Counts by port of `cycles` whole cycles taken by `threads` threads at once.
fn shared_walk(weights: &[u16], threads: usize, cycles: usize) -> HashMap<u16, usize> {
    let weighted = weights.iter().zip(1..);
    let members = weighted.map(|(&weight, port)| member(port, weight, Condition::Healthy));
    let group = Arc::new(round_robin(members.collect()));
    let cycle: usize = weights.iter().map(|&w| usize::from(w)).sum();
    let walk = |_| {
        let group = group.clone();
        std::thread::spawn(move || {
            (0..cycle * cycles / threads)
                .filter_map(|_| picked(&group))
                .collect::<Vec<_>>()
        })
    };
    let walkers: Vec<_> = (0..threads).map(walk).collect();
    let mut counts = HashMap::new();
    for port in walkers
        .into_iter()
        .flat_map(|walker| walker.join().unwrap())
    {
        *counts.entry(port).or_default() += 1;
    }
    counts
}

#[test]
fn round_robin_is_exact_with_two_and_four_threads() {
    for threads in [2, 4] {
        let counts = shared_walk(&[5, 2, 1], threads, 1000);
        assert_eq!(counts, HashMap::from([(1, 5000), (2, 2000), (3, 1000)]));
    }
}

proptest! {
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
