//! Who is told when, by a clock of the test's own.

use super::*;
use crate::compile::Kept;
use crate::metrics::ZoneLabels;
use crate::testing::Scene;
use crate::{Compiled, Snapshot};

fn snapshot(serial: u32, peers: &str, before: &Snapshot) -> Snapshot {
    let scene = Scene::new(&format!(
        "[[zone]]\nname = \"a.test\"\nserial = {serial}\nnotify = [{peers}]\n"
    ));
    let mut zones = scene.zones.clone();
    let kept = Kept::new(&scene.config, &mut zones, before, ZoneLabels::default(), 1);
    Compiled::after(kept, &scene.config, &zones, 1, &scene.slots).snapshot(&scene.health, false)
}

fn nothing() -> Snapshot {
    Scene::new("[[zone]]\nname = \"b.test\"\n").snapshot()
}

#[test]
fn peers_are_told_again_until_they_answer_or_are_given_up() {
    let first = nothing();
    let one = snapshot(1, "\"192.0.2.1:53\", \"192.0.2.2:53\"", &first);
    let start = Instant::now();
    let mut pending = Pending::default();
    pending.add(&one.transfers, &first.transfers, start);
    let due = pending.due(start);
    assert_eq!(due.len(), 2);
    assert!(pending.due(start).is_empty());
    let (heard, silent) = (due[0], due[1]);
    let at = pending.told[&heard].to;
    let elsewhere = "192.0.2.9:53".parse().unwrap();
    assert!(
        !pending.answered(heard, elsewhere),
        "anybody could say that"
    );
    assert!(pending.answered(heard, at));
    assert!(!pending.answered(heard, at));
    let mut now = start;
    let mut waits = Vec::new();
    while let Some(next) = pending.next() {
        let due = pending.due(next);
        if !due.is_empty() {
            assert_eq!(due, [silent]);
            waits.push((next - now).as_secs());
            now = next;
        }
    }
    assert_eq!(waits, [2, 4, 8, 16, 32]);
}

#[test]
fn only_a_new_serial_or_a_new_peer_is_told() {
    let first = nothing();
    let one = snapshot(1, "\"192.0.2.1:53\"", &first);
    let same = snapshot(1, "\"192.0.2.1:53\", \"192.0.2.2:53\"", &one);
    let next = snapshot(2, "\"192.0.2.1:53\"", &same);
    let now = Instant::now();
    let mut pending = Pending::default();
    pending.add(&same.transfers, &one.transfers, now);
    let told: Vec<_> = pending
        .told
        .values()
        .map(|told| told.to.to_string())
        .collect();
    assert_eq!(told, ["192.0.2.2:53"]);
    pending.add(&next.transfers, &same.transfers, now);
    assert_eq!(pending.told.len(), 2);
    // The same peer is not told of two serials.
    let later = snapshot(3, "\"192.0.2.1:53\"", &next);
    pending.add(&later.transfers, &next.transfers, now);
    assert_eq!(pending.told.len(), 2);
}
