//! Ids and planes: whatever the order of commits, acknowledgements and flips, nobody reads
//! another identity's health through an id; and ids do come back into use.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use tokio::time::sleep;

use super::config::{ConfigText, address};
use super::script::{Running, Script, started};
use crate::{HealthTable, Plane, SlotId, SlotMap, TargetState};

const PORTS: std::ops::Range<u16> = 3000..3012;
const PLANES: [Plane; 3] = [Plane::Lb, Plane::Dns, Plane::Admin];

/// A plane that reads through the ids of the generation it last took over.
struct Reader {
    plane: Plane,
    slots: Arc<SlotMap>,
}

impl Reader {
    /// Weights are ports: a health read through an id tells whose it is.
    fn read(&self, table: &HealthTable) -> HashSet<SlotId> {
        let mut ids = HashSet::new();
        for port in PORTS {
            if let Some((slot, _)) = self.slots.target("app", address(port)) {
                assert!(ids.insert(slot), "two identities share {slot:?}");
                if let Some(health) = table.target(slot) {
                    assert_eq!(health.weight, port, "{:?} reads {slot:?}", self.plane);
                }
            }
        }
        ids
    }

    fn take_over(&mut self, running: &Running, slots: &Arc<SlotMap>) {
        self.slots = slots.clone();
        let generation = slots.config_generation;
        running.handle.acknowledge(self.plane, generation);
    }
}

async fn history(running: &Running, script: &Script, seed: u64) -> bool {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut readers = PLANES.map(|plane| Reader {
        plane,
        slots: Arc::default(),
    });
    let mut owners: Vec<(SlotId, u16)> = Vec::new();
    let mut generation = 0;
    for _ in 0..120 {
        match random.random_range(0..8) {
            0 | 1 => {
                generation += 1;
                let ports: Vec<u16> = PORTS.filter(|_| random.random_bool(0.4)).collect();
                let delay = Duration::from_millis(random.random_range(0..3000));
                let config = ConfigText::group("app", &ports)
                    .weights_by_port()
                    .delay(delay);
                if random.random_bool(0.2) {
                    drop(running.handle.prepare(&config.build(), generation).await);
                } else {
                    running.serve(config, generation).await;
                }
                let slots = running.slots();
                let owned = |port| Some((slots.target("app", address(port))?.0, port));
                owners.extend(PORTS.filter_map(owned));
            }
            2..5 => {
                let slots = running.slots();
                let plane = random.random_range(0..3);
                readers[plane].take_over(running, &slots);
            }
            5 => {
                let ports: Vec<u16> = PORTS.collect();
                let port = *ports.choose(&mut random).unwrap();
                if random.random_bool(0.5) {
                    script.pass(port);
                } else {
                    script.fail(port);
                }
            }
            _ => sleep(Duration::from_millis(random.random_range(0..20_000))).await,
        }
        let table = running.handle.table();
        for reader in &readers {
            reader.read(&table);
        }
        roster_agrees(&table);
    }
    owners.sort();
    owners.dedup();
    owners.windows(2).any(|pair| pair[0].0 == pair[1].0)
}

fn roster_agrees(table: &HealthTable) {
    for (slot, group, target) in &table.roster().targets {
        assert_eq!(&**group, "app");
        let health = table.target(*slot).expect("a name has a health");
        assert_eq!(Some(health.weight), target.port());
    }
}

#[tokio::test(start_paused = true)]
async fn no_plane_reads_another_identity_through_an_old_id() {
    let mut reused = 0;
    for seed in 0..48 {
        started(Script::passing(), async |running, script| {
            reused += u32::from(history(running, script, seed).await);
        })
        .await;
    }
    assert!(
        reused > 10,
        "ids were used again in {reused} histories only"
    );
}

#[tokio::test(start_paused = true)]
async fn a_freed_id_is_used_again_after_every_plane_and_not_before() {
    started(Script::passing(), async |running, _| {
        let serve = async |port, generation| {
            let config = ConfigText::group("app", &[port]).delay(Duration::ZERO);
            running.serve(config, generation).await;
            running.slot("app", port).0
        };
        let first = serve(3000, 1).await;
        assert_ne!(serve(3001, 2).await, first);
        sleep(Duration::from_secs(60)).await;
        running.handle.acknowledge(Plane::Lb, 2);
        running.handle.acknowledge(Plane::Dns, 2);
        assert_ne!(serve(3002, 3).await, first, "one plane may still read it");
        running.handle.acknowledge(Plane::Admin, 2);
        let mut tables = running.handle.subscribe();
        let freed = |table: &Arc<HealthTable>| table.target(first).is_none();
        tables.wait_for(freed).await.unwrap();
        assert_eq!(serve(3003, 4).await, first);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_id_of_a_draining_target_is_kept_until_its_end_was_shown() {
    started(Script::passing(), async |running, _| {
        let serve = async |port, generation| {
            let config = ConfigText::group("app", &[port]);
            running.serve(config, generation).await;
            for plane in PLANES {
                running.handle.acknowledge(plane, generation);
            }
            running.slot("app", port).0
        };
        let first = serve(3000, 1).await;
        assert_ne!(serve(3001, 2).await, first);
        let state = || Some(running.handle.table().target(first)?.state);
        sleep(Duration::from_secs(29)).await;
        assert_eq!(state(), Some(TargetState::Draining));
        assert_ne!(serve(3002, 3).await, first, "its delay of 30 s still runs");
        sleep(Duration::from_secs(2)).await;
        assert_eq!(state(), Some(TargetState::Unused));
        assert_ne!(
            serve(3003, 4).await,
            first,
            "planes have yet to see its end"
        );
        sleep(Duration::from_secs(10)).await;
        assert_eq!(state(), None);
        assert_eq!(serve(3004, 5).await, first);
    })
    .await;
}
