//! Order of choice, exactness over threads, suspects, holds: on groups made by hand.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use conf::{Algorithm, GroupProtocol};
use healthcheck::{Signal, SlotId};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::{Origin, Pick, Picker, Tried};
use crate::snapshot::{Condition, Group, GroupSettings, Member};
use crate::target::{Fate, Target};

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
        group.pick(&mut SmallRng::seed_from_u64(1), &origin(0), &tried),
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
            group.pick(
                &mut SmallRng::seed_from_u64(1),
                &origin(0),
                &Tried::default()
            )
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
    for algorithm in Algorithm::ALL {
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
        .for_each(|member| assert!(member.target.begin()));
    assert_eq!(picked(&group), Some(2));
    assert!(group.members[1].target.begin());
    assert!(group.members[1].target.begin());
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
fn another_zone_s_targets_get_nothing_whatever_their_health() {
    for algorithm in Algorithm::ALL {
        let here = member(1, 1, Condition::Unhealthy);
        let there = member(2, 1, Condition::Elsewhere);
        let group = group(algorithm, vec![here, there], true);
        assert!((0..50).all(|_| picked(&group) == Some(1)), "{algorithm:?}");
        let there = member(2, 1, Condition::Elsewhere);
        let group = self::group(algorithm, vec![there], true);
        let mut rng = SmallRng::seed_from_u64(1);
        let pick = group.pick(&mut rng, &origin(1), &Tried::default());
        assert!(matches!(pick, Pick::None), "nobody to wait for");
    }
}

/// Picks by port of `count` requests, each done before the next; target 3 has `share` of its
/// weight.
fn picks_in_slow_start(algorithm: Algorithm, share: u8, count: usize) -> HashMap<u16, usize> {
    let mut members: Vec<_> = (1..=3)
        .map(|port| member(port, 1, Condition::Healthy))
        .collect();
    members[2].share = share;
    let group = group(algorithm, members, false);
    let mut rng = SmallRng::seed_from_u64(7);
    let mut counts = HashMap::new();
    for client in 0..count as u64 {
        let Pick::Target(target) = group.pick(&mut rng, &origin(client), &Tried::default()) else {
            panic!("there are targets");
        };
        *counts.entry(target.address().port().unwrap()).or_default() += 1;
    }
    counts
}

#[test]
fn a_target_in_slow_start_gets_its_part_of_a_share() {
    let counts = picks_in_slow_start(Algorithm::RoundRobin, 25, 9000);
    assert_eq!(counts, HashMap::from([(1, 4000), (2, 4000), (3, 1000)]));
    for algorithm in [
        Algorithm::WeightedRandom,
        Algorithm::LeastConnections,
        Algorithm::PowerOfTwoChoices,
    ] {
        for share in [1, 25, 75] {
            let new = picks_in_slow_start(algorithm, share, 30_000)[&3];
            // One that leaves turns out gives them to both others; one that weighs less has a
            // part of a smaller whole.
            let share = usize::from(share);
            let (least, most) = (10_000 * share / 100, 30_000 * share / (200 + share));
            assert!(
                (least * 3 / 4..=most * 5 / 4).contains(&new),
                "{algorithm:?} at {share} %: {new} of 30000"
            );
        }
    }
}

#[test]
fn alone_a_target_in_slow_start_gets_everything_and_no_backup_does() {
    for algorithm in [Algorithm::RoundRobin, Algorithm::LeastConnections] {
        let mut members = vec![member(1, 1, Condition::Healthy), backup(2)];
        members[0].share = 1;
        let group = group(algorithm, members, false);
        assert!((0..100).all(|_| picked(&group) == Some(1)));
    }
}

#[test]
fn large_least_connections_group_finds_the_one_usable_target() {
    let members = (1..=500)
        .map(|port| member(port, 1, Condition::Healthy))
        .collect();
    let group = group(Algorithm::LeastConnections, members, false);
    for member in &group.members {
        if member.target.address().port().unwrap() != 321 {
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

#[test]
fn flap_moves_the_dead_target_s_keys_only_and_return_restores_them() {
    for algorithm in HASHING {
        let well = weighted(algorithm, &[1, 2, 3, 1, 1, 1]);
        let down = after(&well, |members| members[2].condition = Condition::Unhealthy);
        let drained = after(&well, |members| members[2].condition = Condition::Draining);
        let before = mapping(&well, 20_000);
        for without in [mapping(&down, 20_000), mapping(&drained, 20_000)] {
            for (was, is) in before.iter().zip(&without) {
                assert!(*is != 3 && (was == is || *was == 3), "{was} {is}");
            }
            for port in [1, 2, 4, 5, 6] {
                let gained = before.iter().zip(&without);
                let gained = gained.filter(|(was, is)| **was == 3 && **is == port);
                assert!(gained.count() > 200, "{algorithm:?} {port}");
            }
        }
        let back = after(&down, |members| members[2].condition = Condition::Healthy);
        assert_eq!(mapping(&back, 20_000), before);
        well.members[2].target.signal().mark();
        assert_eq!(mapping(&well, 20_000), mapping(&down, 20_000));
    }
}

#[test]
fn table_is_built_anew_only_for_other_members_or_weights() {
    let hashed = |group: &Group| match &group.primaries {
        Picker::Hashed(hashed) => hashed.shares_table_with(match &group.last_resort {
            Picker::Hashed(all) => all,
            _ => unreachable!(),
        }),
        _ => false,
    };
    let same = |one: &Group, other: &Group| match (&one.primaries, &other.primaries) {
        (Picker::Hashed(one), Picker::Hashed(other)) => one.shares_table_with(other),
        _ => false,
    };
    let first = weighted(Algorithm::Maglev, &[1, 1, 1]);
    assert!(hashed(&first));
    let flapped = after(&first, |members| {
        members[0].condition = Condition::Unhealthy
    });
    assert!(same(&first, &flapped));
    assert!(!same(
        &first,
        &after(&flapped, |members| members[0].weight = 2)
    ));
    assert!(!same(
        &first,
        &after(&flapped, |members| drop(members.pop()))
    ));
}

#[test]
fn hashing_does_not_depend_on_the_order_of_targets() {
    for algorithm in HASHING {
        let one = weighted(algorithm, &[1, 2, 3, 4]);
        let members = one.members.iter().rev().cloned().collect();
        let other = group(algorithm, members, false);
        assert_eq!(mapping(&one, 5000), mapping(&other, 5000));
    }
}

#[test]
fn two_nodes_agree_however_they_came_to_their_targets() {
    for algorithm in HASHING {
        let node = weighted(algorithm, &[3, 1, 2, 1, 5]);
        // The other one grew by one target at a time, with weights and health that changed, has
        // other slots and has served since.
        let mut other = group(algorithm, Vec::new(), false);
        for (weight, port) in [(5, 5), (1, 4), (2, 3), (1, 2), (3, 1)] {
            other = after(&other, |members| {
                let mut member = member(port, weight + 1, Condition::Initial);
                let slot = SlotId(1000 + u32::from(port));
                let signal = Arc::new(Signal::default());
                let address = member.target.address();
                member.target = Arc::new(Target::new("app".into(), address, slot, signal));
                members.push(member);
            });
            mapping(&other, 10);
            other = after(&other, |members| {
                for member in members {
                    member.condition = Condition::Healthy;
                    if member.target.address().port().unwrap() == port {
                        member.weight = weight;
                    }
                }
            });
        }
        assert_eq!(
            mapping(&node, 10_000),
            mapping(&other, 10_000),
            "{algorithm:?}"
        );
    }
}

#[test]
fn few_usable_targets_of_many_are_found() {
    for algorithm in Algorithm::ALL {
        let group = weighted(algorithm, &[1; 300]);
        for member in &group.members {
            if member.target.address().port().unwrap() != 77 {
                member.target.signal().mark();
            }
        }
        assert_eq!(mapping(&group, 50), [77; 50], "{algorithm:?}");
    }
}

/// Pearson's statistic of `counts` against weights.
fn chi_squared(counts: &HashMap<u16, usize>, weights: &[u16]) -> f64 {
    let drawn: usize = counts.values().sum();
    let total: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
    let term = |(&weight, port): (&u16, u16)| {
        let expected = drawn as f64 * f64::from(weight) / total;
        let seen = counts.get(&port).copied().unwrap_or_default() as f64;
        (seen - expected).powi(2) / expected
    };
    weights.iter().zip(1..).map(term).sum()
}

#[test]
fn random_and_hashed_shares_are_the_weights() {
    // 99.99 % of fair draws stay under it at 5 degrees of freedom.
    const LIMIT: f64 = 25.7;
    let weights = [5, 1, 2, 10, 7, 3];
    for algorithm in HASHING.into_iter().chain([Algorithm::WeightedRandom]) {
        let mut counts = HashMap::new();
        for port in mapping(&weighted(algorithm, &weights), 40_000) {
            *counts.entry(port).or_default() += 1;
        }
        let statistic = chi_squared(&counts, &weights);
        assert!(statistic < LIMIT, "{algorithm:?}: {statistic}");
    }
}

#[test]
fn weighted_random_among_few_usable_ones_keeps_their_weights() {
    let weights = [1000, 1000, 1000, 1000, 3, 1];
    let group = weighted(Algorithm::WeightedRandom, &weights);
    for member in &group.members[..4] {
        member.target.signal().mark();
    }
    let picks = mapping(&group, 20_000);
    let fives = picks.iter().filter(|port| **port == 5).count();
    assert!((fives as f64 / 20_000.0 - 0.75).abs() < 0.02, "{fives}");
    assert!(picks.iter().all(|port| [5, 6].contains(port)));
}

#[test]
fn power_of_two_avoids_the_loaded_target_and_evens_out() {
    let group = weighted(Algorithm::PowerOfTwoChoices, &[1; 10]);
    let mut rng = SmallRng::seed_from_u64(7);
    for _ in 0..10_000 {
        match group.pick(&mut rng, &origin(0), &Tried::default()) {
            Pick::Target(target) => assert!(target.begin()),
            _ => unreachable!(),
        }
    }
    let loads: Vec<_> = group.members.iter().map(|m| m.target.in_flight()).collect();
    let (least, most) = (loads.iter().min().unwrap(), loads.iter().max().unwrap());
    assert!(most - least <= 8, "{loads:?}");
}

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

fn limited(limits: &[u32]) -> Group {
    let members = (1..).zip(limits).map(|(port, limit)| {
        let member = member(port, 1, Condition::Healthy);
        member.target.set_limit(*limit);
        Member {
            backup: port > 2,
            max_in_flight: *limit,
            ..member
        }
    });
    let group = weighted(Algorithm::RoundRobin, &[1]);
    Group::new(group.settings, members.collect(), false, None)
}

#[test]
fn full_targets_are_walked_past_and_waited_for_when_all_of_a_tier_are() {
    let group = limited(&[1, 2, 9]);
    let origin = origin(1);
    let pick = || {
        let rng = &mut SmallRng::seed_from_u64(1);
        match group.pick(rng, &origin, &Tried::default()) {
            Pick::Target(target) => {
                assert!(target.begin());
                target.address().port().unwrap()
            }
            Pick::Full => 0,
            _ => unreachable!(),
        }
    };
    let mut first: Vec<_> = (0..3).map(|_| pick()).collect();
    first.sort_unstable();
    // The backup is not for what overflows.
    assert_eq!((first, pick()), (vec![1, 2, 2], 0));
    assert!(!group.members[0].target.begin());
    group.members[0].target.end();
    assert_eq!((pick(), pick()), (1, 0));
}
