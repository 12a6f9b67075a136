//! Who is asked, and after whom: tiers, fail-open, holds, full targets.

use super::*;

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
