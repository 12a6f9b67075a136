//! Which targets begin slowly, and when (ELB's slow start).
//!
//! A target whose state becomes healthy from initial or unhealthy begins to grow, if its group has
//! `slow-start` and a healthy target whose share is whole; one that is new only if there was such a
//! target when it was registered, so that those that come together into an empty group have their
//! whole shares at once. The share that follows is the balancer's to work out.

use tokio::time::Instant;

use super::Core;
use crate::{SlotId, TargetState};

impl Core {
    /// When the share of a target began to grow that goes from one state to another now.
    pub(super) fn slow_start(
        &self,
        slot: SlotId,
        (from, to): (TargetState, TargetState),
    ) -> Option<Instant> {
        let entry = self.targets.get(&slot)?;
        let comes = match from {
            TargetState::Unhealthy | TargetState::UnhealthyDraining => true,
            TargetState::Initial => entry.joins,
            _ => false,
        };
        let now = Instant::now();
        let grows = comes && to == TargetState::Healthy && self.has_settled(entry.group, now);
        grows.then_some(now)
    }

    /// True when some target of the group is healthy and has its whole share.
    pub(super) fn has_settled(&self, group: u32, now: Instant) -> bool {
        let Some(group) = self.groups.get(&group) else {
            return false;
        };
        let mut members = group.members.iter();
        members.any(|slot| {
            let shown = self.targets.get(slot).map(|entry| &entry.shown);
            shown.is_some_and(|shown| {
                let whole = shown.grown(group.slow_start, now) == 100;
                shown.state == TargetState::Healthy && whole
            })
        })
    }
}
