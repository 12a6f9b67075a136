//! What the next table must hold, and when it is published.
//!
//! At once when the last publication is 50 ms old or the news is urgent (passive events, the
//! operator, configurations); else 50 ms after the last one. Cost of a publication: a clone of the
//! table's vectors, and each touched group's roll-up.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::Core;
use crate::log::Line;
use crate::rollup::{fail_open_change, roll_up};
use crate::{CheckId, GroupId, HealthTable, Roster, SlotId, TableBuilder};

/// The least time between two publications that are not urgent, and the longest delay of any news.
const PERIOD: Duration = Duration::from_millis(50);

/// How soon news must be out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Urgency {
    /// With the next publication.
    Soon,
    /// Before anything else is done.
    Now,
}

/// The published table, and what the next one must show.
#[derive(Debug)]
pub(super) struct Publication {
    sender: watch::Sender<Arc<HealthTable>>,
    targets: BTreeSet<SlotId>,
    groups: BTreeSet<u32>,
    checks: BTreeSet<u32>,
    due: Option<Instant>,
    last: Option<Instant>,
}

impl Publication {
    pub(super) fn new(sender: watch::Sender<Arc<HealthTable>>) -> Self {
        Self {
            sender,
            targets: BTreeSet::new(),
            groups: BTreeSet::new(),
            checks: BTreeSet::new(),
            due: None,
            last: None,
        }
    }

    /// A target's health, and so its group's, may differ from the table.
    pub(super) fn target(&mut self, slot: SlotId, group: u32) {
        self.targets.insert(slot);
        self.groups.insert(group);
    }

    /// A group's roll-up may differ from the table.
    pub(super) fn group(&mut self, group: u32) {
        self.groups.insert(group);
    }

    /// The groups whose roll-up may differ from the table.
    pub(super) fn touched_groups(&self) -> Vec<u32> {
        self.groups.iter().copied().collect()
    }

    /// A check's health may differ from the table.
    pub(super) fn check(&mut self, check: u32) {
        self.checks.insert(check);
    }

    /// Asks for a publication.
    pub(super) fn request(&mut self, urgency: Urgency, now: Instant) {
        let due = match (urgency, self.last) {
            (Urgency::Soon, Some(last)) => now.max(last + PERIOD),
            (Urgency::Now, _) | (Urgency::Soon, None) => now,
        };
        self.due = Some(self.due.map_or(due, |earlier| earlier.min(due)));
    }

    /// When the next publication is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// The latest table.
    pub(super) fn table(&self) -> Arc<HealthTable> {
        self.sender.borrow().clone()
    }
}

impl Core {
    /// Publishes if it is time to.
    pub(super) fn publish_if_due(&mut self, now: Instant) {
        if self.publication.due.is_some_and(|due| due <= now) {
            let next = self.publication.table().next();
            self.publish(next, now);
        }
    }

    /// Publishes everything noted, on top of what `next` holds; nothing when that is no change.
    pub(super) fn publish(&mut self, mut next: TableBuilder, now: Instant) {
        self.fill(&mut next);
        if !next.is_unchanged() {
            self.send(next, now);
        }
    }

    /// As [`Core::publish`], also when nothing but the configuration generation is new.
    pub(super) fn publish_always(&mut self, mut next: TableBuilder, now: Instant) {
        self.fill(&mut next);
        self.send(next, now);
    }

    fn send(&mut self, next: TableBuilder, now: Instant) {
        self.publication.last = Some(now);
        if let Some(keeper) = &mut self.keeper {
            keeper.notice();
        }
        self.publication.sender.send_replace(next.publish());
    }

    /// Moves everything noted into the next table.
    fn fill(&mut self, next: &mut TableBuilder) {
        self.relieve_groups();
        self.publication.due = None;
        for slot in std::mem::take(&mut self.publication.targets) {
            let health = self.targets.get(&slot).map(|entry| entry.shown.clone());
            next.target(slot, health);
        }
        for group in std::mem::take(&mut self.publication.groups) {
            self.roll_up(group);
            let health = self.groups.get(&group).map(|entry| entry.health);
            next.group(GroupId(group), health);
        }
        self.refresh_derived_checks();
        for check in std::mem::take(&mut self.publication.checks) {
            let health = self.checks.get(&check).map(|entry| entry.shown.clone());
            next.check(CheckId(check), health);
        }
    }

    /// Brings a group's roll-up up to date and logs fail-open.
    fn roll_up(&mut self, group: u32) {
        let Some(entry) = self.groups.get_mut(&group) else {
            return;
        };
        let members = entry.members.iter();
        let states = members.filter_map(|slot| Some(self.targets.get(slot)?.shown.state));
        let after = roll_up(entry.floors, states);
        if let Some(line) = fail_open_change(&entry.name, entry.floors, entry.health, after) {
            match after.fail_open {
                true => tracing::warn!(target: "health", "{line}"),
                false => tracing::info!(target: "health", "{line}"),
            }
            self.log
                .add(|| Line::group(&entry.name, entry.health, after, line));
        }
        let began = after.fail_open && !entry.health.fail_open;
        self.metrics.fail_open(&entry.name, after.fail_open, began);
        entry.health = after;
    }

    /// The names behind every id in use.
    pub(super) fn roster(&self) -> Arc<Roster> {
        let target = |(slot, entry): (&SlotId, &super::TargetEntry)| {
            let group = self.groups.get(&entry.group)?;
            Some((*slot, group.name.clone(), entry.address))
        };
        let mut roster = Roster {
            targets: self.targets.iter().filter_map(target).collect(),
            groups: (self.groups.iter())
                .map(|(&id, group)| (GroupId(id), group.name.clone()))
                .collect(),
            checks: (self.checks.iter())
                .map(|(&id, check)| (CheckId(id), check.name.clone()))
                .collect(),
        };
        roster
            .targets
            .sort_by(|(_, a, x), (_, b, y)| (a, x).cmp(&(b, y)));
        roster.groups.sort_by(|(_, a), (_, b)| a.cmp(b));
        roster.checks.sort_by(|(_, a), (_, b)| a.cmp(b));
        Arc::new(roster)
    }
}
