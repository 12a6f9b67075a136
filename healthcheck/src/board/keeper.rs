//! Keeping health across restarts: when the memory is saved, and what is taken from it at the start.
//!
//! Saved at most once a second after a change, at least once a minute or a third of its age, so that
//! a stable process does not forget, and at the end. Only the first configuration recalls: later
//! ones know better.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::Core;
use super::entries::TargetEntry;
use crate::MemorySettings;
use crate::machine::CheckMachine;
use crate::memory::{CheckMemory, MAX_BYTES, Memory, TargetMemory};
use crate::store::{self, Writer};

/// The least time between two saves.
const CALM: Duration = Duration::from_secs(1);
/// The longest.
const REFRESH: Duration = Duration::from_secs(60);

/// What is remembered, and when it is saved next.
#[derive(Debug)]
pub(super) struct Keeper {
    /// Empty once the first configuration has been committed.
    recalled: Memory,
    writer: Writer,
    refresh: Duration,
    /// Something changed since the last save.
    changed: bool,
    /// When the last save was handed over, or this began.
    last: Instant,
}

impl Keeper {
    /// Reads what was saved. Must be made inside a `LocalSet`.
    pub(super) fn start(settings: &MemorySettings, now: Instant) -> Self {
        Self {
            recalled: recall(settings),
            writer: Writer::start(settings.file.clone()),
            refresh: REFRESH.min(settings.age / 3).max(CALM),
            changed: false,
            last: now,
        }
    }

    /// Something changed.
    pub(super) fn notice(&mut self) {
        self.changed = true;
    }

    /// The first configuration has taken what it needs.
    pub(super) fn forget(&mut self) {
        self.recalled = Memory::default();
    }

    /// When the next save is due.
    pub(super) fn due(&self) -> Instant {
        self.last + if self.changed { CALM } else { self.refresh }
    }

    /// Begins a target as it was left.
    pub(super) fn recall_target(&mut self, group: &str, entry: &mut TargetEntry) {
        let Some(before) = self.recalled.take_target(group, entry.address) else {
            return;
        };
        entry.machine.set_operator(before.operator);
        entry.machine.obey_agent(before.agent);
        entry.weight = before.weight;
        if let Some(probed) = before.probed.filter(|_| entry.machine.is_probed()) {
            entry.machine.recall(probed);
        }
    }

    /// Begins a check as it was left.
    pub(super) fn recall_check(&mut self, name: &str, machine: &mut CheckMachine) {
        if let Some(before) = self.recalled.take_check(name) {
            machine.recall(before.healthy, before.description);
        }
    }

    /// Saves a last time.
    pub(super) async fn finish(self, memory: Memory) {
        self.writer.finish(memory.to_bytes(SystemTime::now())).await;
    }
}

fn recall(settings: &MemorySettings) -> Memory {
    let file = settings.file.display();
    let bytes = match store::read(&settings.file, MAX_BYTES) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return Memory::default(),
        Err(error) => {
            tracing::warn!(target: "health", %file, %error, "saved health cannot be read");
            return Memory::default();
        }
    };
    match Memory::from_bytes(&bytes, SystemTime::now(), settings.age) {
        Ok(memory) => {
            let entries = memory.len();
            tracing::info!(target: "health", %file, entries, "begins with the health saved there");
            memory
        }
        Err(why) => {
            tracing::info!(target: "health", %file, why, "saved health is not used");
            Memory::default()
        }
    }
}

impl Core {
    /// Saves if it is time to.
    pub(super) fn save_if_due(&mut self, now: Instant) {
        if self.keeper.as_ref().is_none_or(|keeper| now < keeper.due()) {
            return;
        }
        let bytes = self.memory().to_bytes(SystemTime::now());
        if let Some(keeper) = &mut self.keeper {
            keeper.last = now;
            // While the disk is slow, the next save takes what changed meanwhile.
            keeper.changed = !keeper.writer.offer(bytes);
        }
    }

    /// What would be remembered now.
    pub(super) fn memory(&self) -> Memory {
        let mut memory = Memory::default();
        for entry in self.targets.values() {
            let group = self.groups.get(&entry.group);
            let Some(group) = group.filter(|_| entry.machine.is_registered()) else {
                continue;
            };
            let target = TargetMemory {
                probed: entry.machine.recollection(),
                operator: entry.machine.operator(),
                weight: entry.weight,
                agent: entry.machine.agent(),
            };
            memory.target(&group.name, entry.address, target);
        }
        for entry in self.checks.values() {
            let probed = entry.probed().filter(|probed| probed.machine.has_data());
            if let Some(probed) = probed {
                let check = CheckMemory {
                    healthy: probed.machine.healthy(),
                    description: probed.machine.description(),
                };
                memory.check(&entry.name, check);
            }
        }
        memory
    }

    /// The memory's keeper and a last memory for it, at the end.
    pub(super) fn last_memory(&mut self) -> Option<(Keeper, Memory)> {
        let memory = self.memory();
        Some((self.keeper.take()?, memory))
    }

    /// Begins a new target as it was left before a restart.
    pub(super) fn recall_target(&mut self, group: &str, entry: &mut TargetEntry) {
        if let Some(keeper) = &mut self.keeper {
            keeper.recall_target(group, entry);
            entry.shown = entry.health(SystemTime::now());
        }
    }
}
