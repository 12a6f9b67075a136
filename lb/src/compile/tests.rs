//! Incremental compilation equals compilation from scratch, and shares what did not change.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use conf::Config;
use healthcheck::{TargetHealth, TargetState};
use proptest::prelude::*;
use tokio::time::Instant;

use super::{Compiled, compile};
use crate::metrics::Registry;
use crate::plan::Names;
use crate::snapshot::{Plan, Snapshot};
use crate::target::Fate;
use crate::testing::{PlayedBoard, health, load};

const GROUPS: [&str; 3] = ["a", "b", "c"];
const TARGETS: u16 = 4;

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Three groups with the targets whose bit is set, on ports from 1.
fn config(present: [u8; 3]) -> Arc<Config> {
    let mut text = String::new();
    for (name, present) in GROUPS.iter().zip(present) {
        let targets = (1..=TARGETS).filter(|port| present & (1 << (port - 1)) != 0);
        let targets: Vec<_> = targets
            .map(|port| format!("\"127.0.0.1:{port}\""))
            .collect();
        text += &format!(
            "[[target-group]]\nname = \"{name}\"\nprotocol = \"tcp\"\nslow-start = \"10s\"\n\
             targets = [{}]\n",
            targets.join(", ")
        );
        text += &format!(
            "[[listener]]\nname = \"{name}\"\nbind = \"127.0.0.1:0\"\nprotocol = \"tcp\"\nforward = \"{name}\"\n"
        );
    }
    load(&text)
}

struct Bench {
    board: PlayedBoard,
    names: Names,
    generation: u64,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self {
            board: PlayedBoard::new(),
            names: Names::new(Registry::new(1)),
            generation: 0,
            now: Instant::now(),
        }
    }

    fn plan(&mut self, config: &Config) -> Arc<Plan> {
        self.generation += 1;
        let slots = self.board.slots(config, self.generation);
        let bound = Default::default();
        Arc::new(Plan::new(
            config,
            self.generation,
            slots,
            &bound,
            &mut self.names,
            &Default::default(),
        ))
    }

    fn compile(&self, plan: &Arc<Plan>, previous: Option<&Snapshot>) -> Snapshot {
        let Compiled { snapshot, fates } = compile(plan, &self.board.table(), previous, self.now);
        fates
            .into_iter()
            .for_each(|(target, fate)| target.set_fate(fate));
        snapshot
    }
}

/// What a snapshot says, without identities of shared parts.
fn view(snapshot: &Snapshot) -> impl PartialEq + std::fmt::Debug + use<> {
    let group = |group: &Arc<crate::Group>| {
        let members = group.members.iter().map(|m| {
            (
                m.target.address(),
                (m.weight, m.share),
                m.backup,
                m.condition,
                m.fate,
            )
        });
        (
            group.settings.clone(),
            group.fail_open,
            members.collect::<Vec<_>>(),
        )
    };
    let groups: Vec<_> = snapshot.groups.iter().map(group).collect();
    (
        snapshot.health_generation,
        snapshot.config_generation(),
        groups,
    )
}

fn any_health() -> impl Strategy<Value = TargetHealth> {
    let states = prop::sample::select(vec![
        TargetState::Initial,
        TargetState::Healthy,
        TargetState::Unhealthy,
        TargetState::Draining,
    ]);
    (states, 0u16..3, prop::option::of(0u64..10)).prop_map(|(state, weight, began)| {
        let began = began.map(|ago| Instant::now() - Duration::from_secs(ago));
        TargetHealth {
            weight,
            slow_start: began.filter(|_| state == TargetState::Healthy),
            ..health(state)
        }
    })
}

/// A step: a transition of one group's target, or a reload.
#[derive(Debug, Clone)]
enum Step {
    Transition(usize, u16, TargetHealth),
    Reload([u8; 3]),
    /// So many seconds.
    Pass(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0usize..3, 1..=TARGETS, any_health()).prop_map(|(g, t, h)| Step::Transition(g, t, h)),
        1 => prop::array::uniform3(0u8..16).prop_map(Step::Reload),
        3 => (0u64..4).prop_map(Step::Pass),
    ]
}

proptest! {
    #[test]
    fn incremental_equals_from_scratch(
        steps in prop::collection::vec(any_step(), 1..40),
        seen in prop::collection::vec(any::<bool>(), 40),
    ) {
        let mut bench = Bench::new();
        // All targets get slots, so that transitions of absent ones happen too.
        bench.plan(&config([15; 3]));
        let mut plan = bench.plan(&config([7; 3]));
        let mut snapshot = bench.compile(&plan, None);
        for (step, seen) in steps.into_iter().zip(seen) {
            match step {
                Step::Transition(group, target, health) => {
                    bench.board.publish(GROUPS[group], &[(address(target), health)]);
                }
                Step::Reload(present) => plan = bench.plan(&config(present)),
                Step::Pass(seconds) => bench.now += Duration::from_secs(seconds),
            }
            if seen {
                snapshot = bench.compile(&plan, Some(&snapshot));
                let table = bench.board.table();
                let scratch = compile(&plan, &table, None, bench.now).snapshot;
                prop_assert_eq!(view(&snapshot), view(&scratch));
            }
        }
    }
}

#[test]
fn a_transition_touches_only_the_group_that_names_the_target() {
    let mut bench = Bench::new();
    let plan = bench.plan(&config([3; 3]));
    let before = bench.compile(&plan, None);
    bench
        .board
        .publish("b", &[(address(1), health(TargetState::Healthy))]);
    let after = bench.compile(&plan, Some(&before));
    let shared = |place: usize| Arc::ptr_eq(&before.groups[place], &after.groups[place]);
    assert_eq!([shared(0), shared(1), shared(2)], [true, false, true]);
}

#[test]
fn a_reload_keeps_unchanged_groups_targets_and_rotations() {
    let mut bench = Bench::new();
    let plan = bench.plan(&config([3, 3, 0]));
    let before = bench.compile(&plan, None);
    let plan = bench.plan(&config([3, 7, 1]));
    let after = bench.compile(&plan, Some(&before));
    assert!(Arc::ptr_eq(&before.groups[0], &after.groups[0]));
    assert!(!Arc::ptr_eq(&before.groups[1], &after.groups[1]));
    let target = |snapshot: &Snapshot| snapshot.groups[1].members[0].target.clone();
    assert!(Arc::ptr_eq(&target(&before), &target(&after)));
    assert!(Arc::ptr_eq(
        &before.groups[1].cursor,
        &after.groups[1].cursor
    ));
}

#[test]
fn a_removed_target_departs_until_its_delay_is_over() {
    let mut bench = Bench::new();
    let plan = bench.plan(&config([3; 3]));
    let before = bench.compile(&plan, None);
    let target = before.groups[0].members[1].target.clone();
    let draining = TargetHealth {
        registered: false,
        ..health(TargetState::Draining)
    };
    bench.board.publish("a", &[(address(2), draining)]);
    let plan = bench.plan(&config([1, 3, 3]));
    let during = bench.compile(&plan, Some(&before));
    assert!(Arc::ptr_eq(
        during.target("a", address(2)).unwrap(),
        &target
    ));
    assert_eq!(
        (target.fate(), during.fate_epoch),
        (Fate::Serving, before.fate_epoch)
    );
    let unused = TargetHealth {
        registered: false,
        ..health(TargetState::Unused)
    };
    bench.board.publish("a", &[(address(2), unused)]);
    let after = bench.compile(&plan, Some(&during));
    assert!(after.target("a", address(2)).is_none());
    assert_eq!(target.fate(), Fate::Deregistered);
    assert_ne!(after.fate_epoch, during.fate_epoch);
}

#[test]
fn adding_a_departing_target_back_cancels_its_departure() {
    let mut bench = Bench::new();
    let both = bench.plan(&config([3; 3]));
    let before = bench.compile(&both, None);
    let draining = TargetHealth {
        registered: false,
        ..health(TargetState::Draining)
    };
    bench.board.publish("a", &[(address(2), draining)]);
    let plan = bench.plan(&config([1, 3, 3]));
    let during = bench.compile(&plan, Some(&before));
    bench
        .board
        .publish("a", &[(address(2), health(TargetState::Healthy))]);
    let plan = bench.plan(&config([3; 3]));
    let after = bench.compile(&plan, Some(&during));
    let target = |snapshot: &Snapshot| snapshot.target("a", address(2)).unwrap().clone();
    assert!(Arc::ptr_eq(&target(&before), &target(&after)));
    assert_eq!(target(&after).fate(), Fate::Serving);
    assert!(after.departing.is_empty());
}

#[test]
fn probed_unhealthiness_ends_flows_unless_the_group_fails_open() {
    let mut bench = Bench::new();
    let plan = bench.plan(&config([3; 3]));
    let one = (address(1), health(TargetState::Unhealthy));
    let two = |state| (address(2), health(state));
    bench
        .board
        .publish("a", &[one.clone(), two(TargetState::Healthy)]);
    let snapshot = bench.compile(&plan, None);
    let target = snapshot.target("a", address(1)).unwrap().clone();
    assert_eq!(target.fate(), Fate::Unhealthy);
    bench
        .board
        .publish("a", &[one, two(TargetState::Unhealthy)]);
    bench.compile(&plan, Some(&snapshot));
    assert_eq!(target.fate(), Fate::Serving);
}

#[test]
fn a_table_too_far_ahead_is_compiled_from_scratch() {
    let mut bench = Bench::new();
    let plan = bench.plan(&config([3; 3]));
    let before = bench.compile(&plan, None);
    bench
        .board
        .publish("c", &[(address(1), health(TargetState::Healthy))]);
    for _ in 0..100 {
        bench.board.publish_unrelated();
    }
    let after = bench.compile(&plan, Some(&before));
    let condition = after.groups[2].members[0].condition;
    assert_eq!(condition, crate::Condition::Healthy);
    assert!(Arc::ptr_eq(&before.groups[0], &after.groups[0]));
}
