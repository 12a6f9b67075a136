//! Algorithms that look at load, and targets in slow start.

use super::*;

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
