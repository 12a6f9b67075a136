//! The immutable health table: what every plane reads.
//!
//! Published by the board as one `Arc` per generation; never changed afterwards. Dense: an id is an
//! index. Cost of a read: one bounds check, no hashing, no lock. Cost of a publication: one `Arc`
//! clone per slot.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use conf::GroupProtocol;
use tokio::time::Instant;

use crate::{
    Anomaly, CheckId, GroupId, OperatorState, ReasonCode, Roster, SlotId, Source, TargetState,
};

/// Publications a table remembers the changes of; a reader that missed more compiles anew.
const REMEMBERED_PUBLICATIONS: usize = 64;

/// One target's health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetHealth {
    /// ELB state, operator and registration taken into account.
    pub state: TargetState,
    /// ELB reason code; `None` when healthy.
    pub reason: Option<ReasonCode>,
    /// Who brought the state about.
    pub source: Source,
    /// What the operator wants.
    pub operator: OperatorState,
    /// The operator's weight, else the configured one.
    pub weight: u16,
    /// False once deregistered: then `state` is draining until the delay has passed, then unused.
    pub registered: bool,
    /// True while probes, by the unhealthy threshold, find it down. A mark by traffic alone does
    /// not set it: connection termination acts on this, not on `state`.
    pub probed_unhealthy: bool,
    /// When the deregistration delay ends; `None` unless `state` is draining by deregistration.
    pub deadline: Option<Instant>,
    /// Why, for people: `Health checks failed: connection refused`, or what a passed probe saw.
    pub description: Arc<str>,
    /// When `state` was entered.
    pub since: SystemTime,
    /// When it began to take work again after a time without, if its share is to grow from then
    /// on (`slow-start`); kept when the whole share is reached.
    pub slow_start: Option<Instant>,
    /// How its traffic stands beside that of the others; `None` without `anomaly-mitigation`.
    pub anomaly: Option<Anomaly>,
    /// Work its agent wants it to have at a time; 0 = any.
    pub agent_limit: u32,
}

impl TargetHealth {
    /// Work it may have at a time: the smaller of what the configuration says, which is
    /// `configured`, and what its agent wants; 0 = any, of either. Flows of datagrams do not wait for
    /// a place, so that agents do not limit them.
    pub fn max_in_flight(&self, protocol: GroupProtocol, configured: u32) -> u32 {
        match (configured, self.agent_limit) {
            _ if protocol.takes_datagrams() => configured,
            (0, limit) | (limit, 0) => limit,
            (one, other) => one.min(other),
        }
    }

    /// The share of its weight that is due at `now`, in percent: what slow start and anomaly
    /// mitigation leave of it; never 0.
    pub fn share(&self, slow_start: Duration, now: Instant) -> u8 {
        let left = self.anomaly.unwrap_or_default().share;
        let share = u16::from(self.grown(slow_start, now)) * u16::from(left) / 100;
        share.max(1) as u8
    }

    /// How far it is in its group's `slow-start` at `now`, in percent: grows linearly, never 0.
    pub fn grown(&self, slow_start: Duration, now: Instant) -> u8 {
        let Some(began) = self.slow_start.filter(|_| !slow_start.is_zero()) else {
            return 100;
        };
        let passed = now.saturating_duration_since(began).as_nanos();
        let percent = (passed * 100 / slow_start.as_nanos()).clamp(1, 100);
        percent as u8
    }
}

/// One group's roll-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GroupHealth {
    /// Registered targets that this process uses, drained ones included.
    pub registered: u32,
    /// Healthy targets that take new work (not draining).
    pub healthy: u32,
    /// Targets whose first probe has not decided yet.
    pub initial: u32,
    /// True when `healthy` is below `unhealthy-state-routing` and at least one target is
    /// unhealthy: all registered, not draining targets are used. False while every target that
    /// is not healthy is initial: the balancer holds for those.
    pub fail_open: bool,
    /// True when `dns-failover` is met and at least one target is registered.
    pub dns_healthy: bool,
}

/// One standalone check's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckHealth {
    /// Healthy; a new check is (Route 53).
    pub healthy: bool,
    /// What was last seen.
    pub description: Arc<str>,
    /// When `healthy` last changed.
    pub since: SystemTime,
}

impl CheckHealth {
    /// The state's name.
    pub fn as_str(&self) -> &'static str {
        match self.healthy {
            true => "healthy",
            false => "unhealthy",
        }
    }
}

/// What one publication changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Targets whose health differs.
    pub targets: Vec<SlotId>,
    /// Groups whose roll-up differs.
    pub groups: Vec<GroupId>,
    /// Checks whose result differs.
    pub checks: Vec<CheckId>,
}

/// Every target's, group's and check's health at one generation.
#[derive(Debug, Clone, Default)]
pub struct HealthTable {
    generation: u64,
    config_generation: u64,
    targets: Vec<Option<Arc<TargetHealth>>>,
    groups: Vec<Option<GroupHealth>>,
    checks: Vec<Option<Arc<CheckHealth>>>,
    history: VecDeque<Arc<Changes>>,
    roster: Arc<Roster>,
}

impl HealthTable {
    /// The number of this publication; grows by one each time.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The configuration generation whose targets it holds (with those still draining out).
    pub fn config_generation(&self) -> u64 {
        self.config_generation
    }

    /// A target's health; `None` for a slot not in use.
    pub fn target(&self, slot: SlotId) -> Option<&TargetHealth> {
        self.targets.get(slot.0 as usize)?.as_deref()
    }

    /// A group's roll-up; `None` for a slot not in use.
    pub fn group(&self, group: GroupId) -> Option<GroupHealth> {
        *self.groups.get(group.0 as usize)?
    }

    /// A check's result; `None` for a slot not in use.
    pub fn check(&self, check: CheckId) -> Option<&CheckHealth> {
        self.checks.get(check.0 as usize)?.as_deref()
    }

    /// The names behind the ids, as of this table.
    pub fn roster(&self) -> &Arc<Roster> {
        &self.roster
    }

    /// What changed after publication `since`, oldest first; `None` when that is too long ago
    /// (or ahead of this table): then compile from scratch.
    pub fn changes_since(&self, since: u64) -> Option<impl Iterator<Item = &Changes>> {
        let missed = usize::try_from(self.generation.checked_sub(since)?).ok()?;
        let skip = self.history.len().checked_sub(missed)?;
        Some(self.history.iter().skip(skip).map(|changes| &**changes))
    }

    /// A builder for the next publication.
    pub fn next(&self) -> TableBuilder {
        TableBuilder {
            table: self.clone(),
            changes: Changes::default(),
        }
    }
}

/// Makes the next [`HealthTable`] from the last one. Used by the board, and by the tests of the
/// planes to play health.
#[derive(Debug)]
pub struct TableBuilder {
    table: HealthTable,
    changes: Changes,
}

impl TableBuilder {
    /// Sets the configuration generation.
    pub fn config_generation(&mut self, generation: u64) {
        self.table.config_generation = generation;
    }

    /// Sets (or frees) a target's slot; counts as a change only when it differs.
    pub fn target(&mut self, slot: SlotId, health: Option<TargetHealth>) {
        let place = place(&mut self.table.targets, slot.0);
        if place.as_deref() != health.as_ref() {
            *place = health.map(Arc::new);
            self.changes.targets.push(slot);
        }
    }

    /// Sets (or frees) a group's roll-up; counts as a change only when it differs.
    pub fn group(&mut self, group: GroupId, health: Option<GroupHealth>) {
        let place = place(&mut self.table.groups, group.0);
        if *place != health {
            *place = health;
            self.changes.groups.push(group);
        }
    }

    /// Sets (or frees) a check's result; counts as a change only when it differs.
    pub fn check(&mut self, check: CheckId, health: Option<CheckHealth>) {
        let place = place(&mut self.table.checks, check.0);
        if place.as_deref() != health.as_ref() {
            *place = health.map(Arc::new);
            self.changes.checks.push(check);
        }
    }

    /// Sets the names behind the ids. Not a change by itself: names come and go with their ids.
    pub fn roster(&mut self, roster: Arc<Roster>) {
        self.table.roster = roster;
    }

    /// True when nothing differs from the table it began with.
    pub fn is_unchanged(&self) -> bool {
        self.changes == Changes::default()
    }

    /// The next publication.
    pub fn publish(mut self) -> Arc<HealthTable> {
        self.table.generation += 1;
        if self.table.history.len() == REMEMBERED_PUBLICATIONS {
            self.table.history.pop_front();
        }
        self.table.history.push_back(Arc::new(self.changes));
        Arc::new(self.table)
    }
}

/// The place of `index`, made when it is not there yet.
fn place<T>(slots: &mut Vec<Option<T>>, index: u32) -> &mut Option<T> {
    let index = index as usize;
    if slots.len() <= index {
        slots.resize_with(index + 1, || None);
    }
    &mut slots[index]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_since_tells_what_was_missed_or_that_too_much_was() {
        let mut table = Arc::new(HealthTable::default());
        for n in 0..70 {
            let mut next = table.next();
            next.group(GroupId(n), Some(GroupHealth::default()));
            next.group(GroupId(n), Some(GroupHealth::default()));
            table = next.publish();
        }
        let missed: Vec<_> = table
            .changes_since(68)
            .unwrap()
            .flat_map(|c| c.groups.clone())
            .collect();
        assert_eq!(missed, [GroupId(68), GroupId(69)]);
        assert!(table.changes_since(70).unwrap().next().is_none());
        assert!(table.changes_since(1).is_none());
        assert!(table.changes_since(71).is_none());
    }
}
