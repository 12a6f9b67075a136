//! Tables that hash: what moves and what comes back, and the same table anywhere.

use super::*;

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
