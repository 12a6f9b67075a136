//! Anomaly mitigation at the board: groups are looked at, targets told what they are left with.

use tokio::time::Instant;

use super::Core;
use super::ejections::look;
use super::publication::Urgency;
use crate::passive::{Anomalies, Change};
use crate::{Anomaly, SlotId};

impl Core {
    /// Brings a group's anomalies in line with the configuration. Its members are in place.
    pub(super) fn commit_anomalies(&mut self, group: u32, on: bool, now: Instant) {
        let Some(entry) = self.groups.get_mut(&group) else {
            return;
        };
        self.detection = None;
        let members = entry.members.clone();
        if !on {
            if entry.anomalies.take().is_some() {
                self.metrics.anomalies(&entry.name, None);
                self.watched_no_more(group);
            }
            return;
        }
        let counted = |slot: SlotId| {
            let signal = self.targets.get(&slot).map(|target| &target.signal);
            let traffic = signal.map(|signal| signal.count_traffic(self.workers));
            (
                slot,
                traffic.map_or_else(Default::default, |traffic| traffic.tally()),
            )
        };
        let members: Vec<_> = members.into_iter().map(counted).collect();
        let anomalies = entry.anomalies.get_or_insert_with(|| Anomalies::new(now));
        anomalies.watch(&members);
        self.metrics
            .anomalies(&entry.name, Some(anomalies.counts()));
        for (slot, _) in members {
            self.change_target(slot, Urgency::Soon, |entry| {
                entry.anomaly.get_or_insert_default();
            });
        }
    }

    /// No target of the group is watched any more.
    fn watched_no_more(&mut self, group: u32) {
        let watched = |entry: &super::TargetEntry| entry.group == group && entry.anomaly.is_some();
        let slots: Vec<SlotId> = (self.targets.iter())
            .filter(|(_, entry)| watched(entry))
            .map(|(slot, _)| *slot)
            .collect();
        for slot in slots {
            self.change_target(slot, Urgency::Soon, |entry| entry.anomaly = None);
        }
    }

    /// Looks at a group's targets if it is time to.
    pub(super) fn look_for_anomalies(&mut self, group: u32, now: Instant) {
        let Some(entry) = self.groups.get_mut(&group) else {
            return;
        };
        let Some(anomalies) = &mut entry.anomalies else {
            return;
        };
        let changes = anomalies.look(now, |slot| look(self.targets.get(&slot)?));
        self.metrics
            .anomalies(&entry.name, Some(anomalies.counts()));
        for change in changes {
            self.left_with(group, change);
        }
    }

    fn left_with(&mut self, group: u32, change: Change) {
        let Change { slot, now, .. } = change;
        if change.news
            && let Some(name) = self.groups.get(&group).map(|group| &group.name)
            && let Some(target) = self.targets.get(&slot).map(|target| target.address)
        {
            let Anomaly { share, .. } = now;
            let (word, evidence) = (now.as_str(), change.evidence);
            tracing::info!(
                target: "health",
                "group {name}: {target} is {word}: {evidence}; it is left with {share} % of its weight"
            );
        }
        self.change_target(slot, Urgency::Soon, |entry| entry.anomaly = Some(now));
    }
}
