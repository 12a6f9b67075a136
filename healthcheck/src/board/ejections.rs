//! Passive health at the board: detectors are asked, targets ejected and readmitted.
//!
//! The detector knows outliers and times; here stands what depends on the others' state: an
//! ejection that would leave the group without enough healthy targets is refused, and when the
//! group comes to that by other means, every ejection of it ends. Every one that is refused is
//! logged and counted with its numbers, as the change of state is where it is not.

use conf::PassiveHealth;
use rand::Rng;
use tokio::time::Instant;

use super::Core;
use super::entries::{GroupEntry, TargetEntry};
use super::publication::Urgency;
use crate::details::PassiveDetails;
use crate::passive::{Anomalies, Cause, Detector, Limit, Look};
use crate::rollup::roll_up;
use crate::{GroupHealth, OperatorState, SlotId, Tally, TargetState};

impl Core {
    /// Brings a group's detector in line with the configuration. Its members are in place.
    pub(super) fn commit_detector(
        &mut self,
        group: u32,
        settings: Option<PassiveHealth>,
        now: Instant,
    ) {
        let Some(entry) = self.groups.get_mut(&group) else {
            return;
        };
        let members = entry.members.clone();
        self.detection = None;
        let Some(settings) = settings else {
            let before = entry.detector.take();
            self.metrics.ejected(&entry.name, None);
            self.stop_counting(&members);
            let ejected = before.map_or_else(Vec::new, |before| before.ejected());
            ejected.into_iter().for_each(|slot| self.readmit(slot));
            return;
        };
        let counts: Vec<_> = (members.iter())
            .map(|&slot| (slot, self.count(slot, &settings)))
            .collect();
        let Some(entry) = self.groups.get_mut(&group) else {
            return;
        };
        let detector = entry
            .detector
            .get_or_insert_with(|| Detector::new(settings, now));
        detector.set(settings, now);
        let gone = detector.watch(&counts, now);
        let ejected = detector.ejected();
        self.metrics.ejected(&entry.name, Some(ejected.len()));
        gone.into_iter().for_each(|slot| self.readmit(slot));
        // One that was deregistered or unused meanwhile is a new target to its machine.
        for slot in ejected {
            let machine = self.targets.get(&slot).map(|entry| &entry.machine);
            if machine.is_some_and(|machine| !machine.is_ejected()) {
                self.end_ejection(slot, now);
            }
        }
    }

    /// Has a target's outcomes counted; what they come to so far.
    fn count(&self, slot: SlotId, settings: &PassiveHealth) -> Tally {
        let Some(entry) = self.targets.get(&slot) else {
            return Tally::default();
        };
        let traffic = entry.signal.count_traffic(self.workers);
        traffic.set_rule(settings.failures, settings.consecutive_failures);
        traffic.tally()
    }

    /// Nothing is told of these targets' outcomes any more.
    fn stop_counting(&self, members: &[SlotId]) {
        for slot in members {
            let entry = self.targets.get(slot);
            if let Some(traffic) = entry.and_then(|entry| entry.signal.traffic()) {
                traffic.set_rule(conf::TrafficFailures::default(), 0);
            }
        }
    }

    /// Does what is due by the detectors' word; when something will be.
    pub(super) fn detect(&mut self, now: Instant) -> Option<Instant> {
        if self.next_detection().is_none_or(|at| at > now) {
            return self.next_detection();
        }
        let groups: Vec<u32> = (self.groups.iter())
            .filter(|(_, entry)| due(entry).is_some_and(|at| at <= now))
            .map(|(&id, _)| id)
            .collect();
        for group in groups {
            self.detect_in(group, now);
            self.look_for_anomalies(group, now);
        }
        self.detection = None;
        self.next_detection()
    }

    fn next_detection(&mut self) -> Option<Instant> {
        let groups = &self.groups;
        *self
            .detection
            .get_or_insert_with(|| groups.values().filter_map(due).min())
    }

    fn detect_in(&mut self, group: u32, now: Instant) {
        let Some(entry) = self.groups.get_mut(&group) else {
            return;
        };
        let Some(detector) = &mut entry.detector else {
            return;
        };
        let over = detector.over(now);
        let outliers = detector.look(now, |slot| look(self.targets.get(&slot)?));
        over.into_iter()
            .for_each(|slot| self.end_ejection(slot, now));
        for (slot, cause) in outliers {
            self.eject(slot, cause, now);
        }
    }

    /// A worker saw enough failures in a row.
    pub(super) fn failed_in_a_row(&mut self, slot: SlotId, now: Instant) {
        let Some(entry) = self.targets.get(&slot) else {
            return;
        };
        let Some(look) = look(entry).filter(|look| look.in_use) else {
            return;
        };
        let group = self.groups.get(&entry.group);
        let detector = group.and_then(|group| group.detector.as_ref());
        if !detector.is_some_and(|detector| detector.may_ask(slot, now)) {
            return;
        }
        let failures = look.in_a_row;
        self.eject(slot, Cause::Consecutive { failures }, now);
    }

    /// Ejects a target if nothing is against it.
    fn eject(&mut self, slot: SlotId, cause: Cause, now: Instant) {
        let Some(entry) = self.targets.get(&slot) else {
            return;
        };
        let (group, address) = (entry.group, entry.address);
        let left = self.without(group, |other| other == slot);
        let Some(entry) = self.groups.get_mut(&group) else {
            return;
        };
        let (name, Some(detector)) = (entry.name.clone(), &mut entry.detector) else {
            return;
        };
        let spread = self.random.random_range(0.0..=1.0);
        let ejected = match left {
            left if is_too_few(left) => Err(Limit::TooFewLeft {
                left: left.healthy,
                registered: left.registered,
            }),
            _ => detector.eject(slot, cause, now, spread),
        };
        let ejection = match ejected {
            Ok(ejection) => ejection,
            Err(limit) => {
                detector.refuse(slot, now);
                self.metrics.ejection_refused(&name, limit);
                tracing::warn!(
                    target: "health",
                    "group {name}: {address} is not ejected: {cause}, but {limit}"
                );
                return;
            }
        };
        self.detection = None;
        self.metrics.ejected(&name, Some(detector.ejected().len()));
        self.metrics.ejection(&name, &cause);
        let why = ejection.to_string().into();
        self.change_target(slot, Urgency::Now, |entry| entry.machine.eject(why));
    }

    /// Ends an ejection; the target is what probes say.
    fn end_ejection(&mut self, slot: SlotId, now: Instant) {
        let Some(entry) = self.targets.get(&slot) else {
            return;
        };
        let tally = forgive(entry);
        if let Some(group) = self.groups.get_mut(&entry.group)
            && let Some(detector) = &mut group.detector
        {
            detector.readmit(slot, tally, now);
            self.detection = None;
            let ejected = detector.ejected().len();
            self.metrics.ejected(&group.name, Some(ejected));
        }
        self.readmit(slot);
    }

    fn readmit(&mut self, slot: SlotId) {
        self.change_target(slot, Urgency::Now, |entry| entry.machine.readmit());
    }

    /// What traffic came to so far says nothing any more: probes found the target well again.
    pub(super) fn count_anew(&mut self, slot: SlotId) {
        let Some(entry) = self.targets.get(&slot) else {
            return;
        };
        let tally = forgive(entry);
        let group = self.groups.get_mut(&entry.group);
        if let Some(detector) = group.and_then(|group| group.detector.as_mut()) {
            detector.look_from(slot, tally);
        }
    }

    /// Ends the ejections of every group that is about to be published and that would do better
    /// with those targets.
    pub(super) fn relieve_groups(&mut self) {
        for group in self.publication.touched_groups() {
            let ejected = match self.groups.get(&group).map(|entry| &entry.detector) {
                Some(Some(detector)) => detector.ejected(),
                _ => continue,
            };
            if ejected.is_empty() || !is_too_few(self.without(group, |_| false)) {
                continue;
            }
            let now = Instant::now();
            let name = self.groups.get(&group).map(|entry| entry.name.clone());
            tracing::warn!(
                target: "health",
                "group {}: its {} ejected targets come back: too few others are healthy",
                name.unwrap_or_default(),
                ejected.len()
            );
            ejected
                .into_iter()
                .for_each(|slot| self.end_ejection(slot, now));
        }
    }

    /// A group's roll-up, of the targets that take work, were some of them unhealthy.
    fn without(&self, group: u32, is_unhealthy: impl Fn(SlotId) -> bool) -> GroupHealth {
        let Some(entry) = self.groups.get(&group) else {
            return GroupHealth::default();
        };
        let state = |slot: &SlotId| {
            let target = self.targets.get(slot)?;
            let state = target.shown.state;
            let works = target.shown.weight > 0 && !is_unhealthy(*slot);
            Some(match state {
                TargetState::Healthy if !works => TargetState::Unhealthy,
                _ => state,
            })
        };
        roll_up(entry.floors, entry.members.iter().filter_map(state))
    }

    /// What traffic came to on a target, for people.
    pub(super) fn passive_details(&self, slot: SlotId, now: Instant) -> Option<PassiveDetails> {
        let entry = self.targets.get(&slot)?;
        let group: &GroupEntry = self.groups.get(&entry.group)?;
        let detector = group.detector.as_ref()?;
        Some(PassiveDetails::new(
            detector.settings(),
            entry.signal.traffic()?.in_a_row(),
            detector.last_interval(slot)?,
            detector.ejection(slot),
            now,
        ))
    }
}

/// When a group's traffic is to be looked at next.
fn due(group: &GroupEntry) -> Option<Instant> {
    let ejections = group.detector.as_ref().map(Detector::due);
    let anomalies = group.anomalies.as_ref().map(Anomalies::due);
    [ejections, anomalies].into_iter().flatten().min()
}

/// No healthy target, or too few of them.
fn is_too_few(health: GroupHealth) -> bool {
    health.healthy == 0 || health.fail_open
}

/// What is to be known of a target that is looked at.
pub(super) fn look(entry: &TargetEntry) -> Option<Look> {
    let machine = &entry.machine;
    let traffic = entry.signal.traffic()?;
    let ready = machine.is_probed() && machine.operator() == OperatorState::Ready;
    Some(Look {
        tally: traffic.tally(),
        in_a_row: traffic.in_a_row(),
        in_use: ready && !machine.probed_unhealthy(),
    })
}

/// Failures in a row begin anew; the counts so far.
fn forgive(entry: &TargetEntry) -> Tally {
    let traffic = entry.signal.traffic();
    traffic.inspect(|traffic| traffic.forgive());
    traffic.map_or_else(Tally::default, |traffic| traffic.tally())
}
