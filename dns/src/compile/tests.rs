//! Incremental compilation gives what compilation from scratch gives.

use std::fmt::Write;

use proptest::prelude::*;

use crate::policy::{Decisions, Under};
use crate::testing::Scene;

const GROUPS: usize = 3;
const TARGETS: usize = 3;
const CHECKS: usize = 4;

/// A configuration with records of every policy over checks, groups, listeners and each other.
fn config() -> String {
    let mut text = String::new();
    for group in 0..GROUPS {
        let targets: Vec<String> = (0..TARGETS)
            .map(|target| format!("\"127.0.{group}.{target}:80\""))
            .collect();
        let targets = targets.join(", ");
        write!(
            text,
            "[[target-group]]\nname = \"g{group}\"\nprotocol = \"tcp\"\ntargets = [{targets}]\n\
             [[listener]]\nname = \"l{group}\"\nbind = \"127.0.0.1:808{group}\"\n\
             protocol = \"tcp\"\nforward = \"g{group}\"\n"
        )
        .unwrap();
    }
    for check in 0..CHECKS {
        write!(
            text,
            "[[health-check]]\nname = \"c{check}\"\ntype = \"tcp\"\naddress = \"127.0.0.1:9\"\n"
        )
        .unwrap();
    }
    text + r#"
[dns]
geo-database = false
[[network]]
name = "us"
cidrs = ["10.1.0.0/16"]
country = "US"
[[network]]
name = "ca"
cidrs = ["10.2.0.0/16", "2001:db8::/32"]
country = "CA"
[[cidr-collection]]
name = "sites"
locations = [
  { name = "a", cidrs = ["10.0.0.0/8"] },
  { name = "b", cidrs = ["10.1.128.0/17", "10.2.0.0/16"] },
]
[[zone]]
name = "example.test"
[[zone.record]]
name = "weighted"
type = "A"
policy = "weighted"
sets = [
  { id = "a", weight = 1, values = ["192.0.2.1"], health-check = "c0" },
  { id = "b", weight = 0, values = ["192.0.2.2"], health-check = "c1" },
  { id = "c", weight = 2, alias = { listener = "l0" } },
]
[[zone.record]]
name = "failover"
type = "A"
policy = "failover"
sets = [
  { id = "p", failover = "primary", alias = { record = "weighted" } },
  { id = "s", failover = "secondary", alias = { target-group = "g1" }, health-check = "c2" },
]
[[zone.record]]
name = "multivalue"
type = "A"
policy = "multivalue"
sets = [
  { id = "a", values = ["192.0.2.1"], health-check = "c0" },
  { id = "b", values = ["192.0.2.2"], health-check = "c1" },
]
[[zone.record]]
name = "group"
type = "A"
alias = { target-group = "g2" }
[[zone.record]]
name = "top"
type = "A"
policy = "weighted"
sets = [
  { id = "a", weight = 1, alias = { record = "failover" } },
  { id = "b", weight = 2, alias = { record = "group" } },
  { id = "c", weight = 3, alias = { record = "multivalue" , evaluate-target-health = false} },
]
[[zone.record]]
name = "places"
type = "A"
policy = "geolocation"
sets = [
  { id = "us", location = { country = "US" }, alias = { record = "failover" } },
  { id = "na", location = { continent = "NA" }, values = ["192.0.2.1"], health-check = "c0" },
  { id = "all", location = "default", alias = { target-group = "g1" } },
]
[[zone.record]]
name = "networks"
type = "A"
policy = "ip-based"
cidr-collection = "sites"
sets = [
  { id = "a", cidr-location = "a", alias = { record = "places" }, health-check = "c1" },
  { id = "b", cidr-location = "b", values = ["192.0.2.2"], health-check = "c3" },
  { id = "all", cidr-location = "*", alias = { record = "weighted" } },
]
[[zone.record]]
name = "regions"
type = "A"
policy = "latency"
sets = [
  { id = "us", region = "us-east-1", alias = { record = "failover" } },
  { id = "eu", region = "eu-west-1", values = ["192.0.2.2"], health-check = "c3" },
]
[[zone.record]]
name = "nearest"
type = "A"
policy = "geoproximity"
sets = [
  { id = "us", region = "us-east-1", alias = { record = "regions" } },
  { id = "eu", coordinates = [50, 8], bias = 20, alias = { record = "networks" } },
]
[[zone.record]]
name = "joined"
type = "A"
policy = "failover"
sets = [
  { id = "p", failover = "primary", alias = { record = "networks" } },
  { id = "s", failover = "secondary", alias = { record = "places" } },
]
[[zone.record]]
name = "apex"
type = "A"
alias = { record = "top" }
"#
}

fn under(scene: &Scene, withdrawn: bool) -> Under<'_> {
    Under {
        health: &scene.health,
        withdrawn,
        now: 0,
    }
}

type Said = Vec<(String, &'static str)>;

/// What one publication says; what it leaves out is healthy.
fn publication() -> impl Strategy<Value = Said> {
    let target = (0..GROUPS, 0..TARGETS);
    let states = prop::sample::select(vec!["unhealthy", "draining", "initial", "weight-0"]);
    let targets = prop::collection::vec((target, states), 0..6);
    let checks = prop::collection::vec(0..CHECKS, 0..3);
    (targets, checks).prop_map(|(targets, checks)| {
        let target =
            |((group, target), state)| (format!("g{group}/127.0.{group}.{target}:80"), state);
        let check = |check| (format!("c{check}"), "down");
        let targets = targets.into_iter().map(target);
        targets.chain(checks.into_iter().map(check)).collect()
    })
}

proptest! {
    #[test]
    fn incremental_is_from_scratch(
        publications in prop::collection::vec((publication(), any::<bool>()), 1..12),
        withdrawn: bool,
    ) {
        let mut scene = Scene::new(&config());
        let mut current = scene.compiled.snapshot(&scene.health, withdrawn);
        let mut since = scene.health.generation();
        for (said, seen) in publications {
            let said: Vec<(&str, &str)> = said.iter().map(|(n, w)| (&**n, *w)).collect();
            scene.set(&said);
            if !seen {
                // The control task was busy and sees two publications at once.
                continue;
            }
            let next = scene.compiled.next_snapshot(&current, since, under(&scene, withdrawn));
            let scratch = scene.compiled.snapshot(&scene.health, withdrawn);
            match next {
                Some(next) => {
                    prop_assert_eq!(&next.decisions, &scratch.decisions);
                    prop_assert_ne!(&next.decisions, &current.decisions);
                    current = next;
                }
                None => prop_assert_eq!(&current.decisions, &scratch.decisions),
            }
            since = scene.health.generation();
        }
    }
}

#[test]
fn another_generation_knows_what_was_healthy_last_by_set_id() {
    const RECORD: &str = "
[[zone.record]]
name = \"w\"
type = \"A\"
policy = \"weighted\"
all-down = \"last-known\"
sets = [";
    let set = |id: &str, check: usize| {
        format!(
            "{{ id = \"{id}\", weight = 1, values = [\"192.0.2.{check}\"], health-check = \"c{check}\" }}, "
        )
    };
    let scene = |sets: [String; 3]| Scene::new(&format!("{}{RECORD}{}]", config(), sets.concat()));
    let mut first = scene([set("a", 0), set("b", 1), set("c", 2)]);
    first.set(&[("c0", "down")]);
    let then = first.compiled.snapshot(&first.health, false);
    // The order of the sets is another one.
    let mut second = scene([set("c", 2), set("a", 0), set("b", 1)]);
    second.set(&[("c0", "down"), ("c1", "down"), ("c2", "down")]);
    let all_down = under(&second, false);
    let routes = &first.compiled.routes;
    let inherited = second.compiled.inherit(routes, &then.decisions);
    let knowing = second.compiled.snapshot_after(Some(&inherited), all_down);
    let unknowing = second.compiled.snapshot(&second.health, false);
    let record = (0..)
        .take_while(|at| knowing.decisions.get(*at).is_some())
        .last()
        .unwrap();
    let weights = |decisions: &Decisions| decisions.get(record).unwrap().weights(0);
    assert_eq!(weights(&knowing.decisions), Some(2));
    assert_eq!(weights(&unknowing.decisions), Some(3));
}

#[test]
fn a_table_too_far_ahead_is_compiled_from_scratch() {
    let mut scene = Scene::new(&config());
    let first = scene.compiled.snapshot(&scene.health, false);
    let since = scene.health.generation();
    for _ in 0..50 {
        scene.set(&[("c0", "down")]);
        scene.set(&[]);
    }
    scene.set(&[("c0", "down")]);
    assert!(scene.health.changes_since(since).is_none());
    let next = scene
        .compiled
        .next_snapshot(&first, since, under(&scene, false))
        .unwrap();
    assert_eq!(next.decisions, scene.snapshot().decisions);
    assert_ne!(next.decisions, first.decisions);
    assert_eq!(next.health_generation(), scene.health.generation());
}

#[test]
fn what_a_change_does_not_touch_is_shared() {
    let mut scene = Scene::new(&config());
    let first = scene.snapshot();
    let since = scene.health.generation();
    scene.set(&[("c2", "down")]);
    let next = scene
        .compiled
        .next_snapshot(&first, since, under(&scene, false));
    // c2 is the secondary's only: nothing answers differently.
    assert!(next.is_none());
    scene.set(&[("g2/127.0.2.0:80", "draining")]);
    let next = scene
        .compiled
        .next_snapshot(&first, since, under(&scene, false))
        .unwrap();
    let same: Vec<bool> = (0..11)
        .map(|record| {
            let (a, b) = (first.decisions.get(record), next.decisions.get(record));
            std::ptr::eq(a.unwrap(), b.unwrap())
        })
        .collect();
    assert_eq!(
        same,
        [
            true, true, true, false, true, true, true, true, true, true, true
        ]
    );
}
