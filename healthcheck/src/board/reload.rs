//! Configurations: preparing (ids are reserved), committing (targets come, stay or drain), and
//! freeing the ids that nobody can read any more.
//!
//! A target that stays keeps its state, counters, operator state and weight; a target that comes
//! back while it drains too. Targets of groups that no listener and no record uses are not probed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use conf::{AliasTarget, Config, GroupIdx, SetData, Target, TargetGroup, UnhealthyFlows};
use tokio::time::Instant;

use super::checks::groups_looked_at;
use super::entries::{GroupEntry, Pace, Probing, TargetEntry, health};
use super::publication::Urgency;
use super::{Core, Prepared};
use crate::allocation::Ticket;
use crate::machine::{Machine, Thresholds};
use crate::probe::ProbePlan;
use crate::rollup::{Floors, roll_up};
use crate::schedule::{Lane, ProbeKey};
use crate::{CheckId, GroupId, HealthTable, Signal, SlotId, SlotMap};

/// Keys to be probed from a commit on, with their lanes and intervals.
type Batch = Vec<(ProbeKey, Lane, Duration)>;

impl Core {
    /// Reserves ids for everything `config` names. What is freed on the way is out of the
    /// published table before anybody can be given its id.
    pub(super) fn prepare(&mut self, config: Arc<Config>, generation: u64) -> Prepared {
        self.reclaim();
        let ticket = Arc::new(Ticket);
        let mut slots = SlotMap::new(generation);
        for group in &config.target_groups {
            let id = self.group_places.reserve(&group.name, &ticket);
            slots.insert_group(&group.name, GroupId(id));
            for target in &group.targets {
                let key = (group.name.clone(), target.address);
                let slot = SlotId(self.target_places.reserve(&key, &ticket));
                let known = self.targets.get(&slot).map(|entry| entry.signal.clone());
                slots.insert_target(&group.name, target.address, slot, known.unwrap_or_default());
            }
        }
        for check in &config.health_checks {
            let id = self.check_places.reserve(&check.name, &ticket);
            slots.insert_check(&check.name, CheckId(id));
        }
        Prepared {
            config,
            slots: Arc::new(slots),
            _ticket: ticket,
        }
    }

    /// Makes a prepared configuration the one that is served and publishes it at once.
    pub(super) fn commit(&mut self, prepared: &Prepared) -> Arc<HealthTable> {
        let now = Instant::now();
        let config = &prepared.config;
        let in_use = groups_in_use(config);
        let mut batch = Batch::new();
        for (index, group) in config.target_groups.iter().enumerate() {
            let in_use = in_use.contains(&GroupIdx(index));
            self.commit_group(group, in_use, prepared, now, &mut batch);
        }
        self.log.set(&config.logs.health);
        self.commit_controls(config);
        for check in &config.health_checks {
            batch.extend(self.commit_check(check, prepared, now));
        }
        if let Some(keeper) = &mut self.keeper {
            keeper.forget();
        }
        self.retire(config, prepared.generation(), now);
        self.schedule.set_capacity(config.runtime.max_probes);
        self.schedule.add(&batch, now);
        let mut next = self.publication.table().next();
        next.config_generation(prepared.generation());
        next.roster(self.roster());
        self.publish_always(next, now);
        self.publication.table()
    }

    fn commit_group(
        &mut self,
        group: &TargetGroup,
        in_use: bool,
        prepared: &Prepared,
        now: Instant,
        batch: &mut Batch,
    ) {
        let Some(GroupId(id)) = prepared.slots.group(&group.name) else {
            return;
        };
        let floors = Floors {
            routing: group.unhealthy_state_routing,
            dns: group.dns_failover,
        };
        let entry = self.groups.entry(id).or_insert_with(|| GroupEntry {
            name: group.name.as_str().into(),
            floors,
            deregistration_delay: group.deregistration_delay,
            members: Vec::new(),
            slow_start: group.slow_start,
            detector: None,
            anomalies: None,
            health: roll_up(floors, std::iter::empty()),
        });
        entry.floors = floors;
        entry.deregistration_delay = group.deregistration_delay;
        entry.slow_start = group.slow_start;
        let joins = self.has_settled(id, now);
        let Some(entry) = self.groups.get_mut(&id) else {
            return;
        };
        entry.members.clear();
        self.publication.group(id);
        for target in &group.targets {
            let found = prepared.slots.target(&group.name, target.address);
            let Some((slot, signal)) = found else {
                continue;
            };
            // Another zone's targets are probed and shown; they count for nothing here.
            if let Some(entry) = self.groups.get_mut(&id).filter(|_| group.uses(target)) {
                entry.members.push(slot);
            }
            if !self.keep_target(slot, group, target, (in_use, joins), now) {
                let mut entry = new_target(id, group, target, in_use, signal.clone());
                entry.joins = joins;
                self.recall_target(&group.name, &mut entry);
                self.targets.insert(slot, entry);
                self.publication.target(slot, id);
            }
            let key = ProbeKey::Target(slot);
            if !in_use {
                self.schedule.remove(key);
            } else if !self.schedule.contains(key) {
                // Nothing is decided yet.
                batch.push((key, Lane::Group(id), Pace::of(&group.health_check).fast));
            }
        }
        self.commit_detector(id, group.passive_health, now);
        self.commit_anomalies(id, group.anomaly_mitigation, now);
    }

    /// Brings a known target in line with the configuration; false when it is not known.
    fn keep_target(
        &mut self,
        slot: SlotId,
        group: &TargetGroup,
        target: &Target,
        (in_use, joins): (bool, bool),
        now: Instant,
    ) -> bool {
        if !self.targets.contains_key(&slot) {
            return false;
        }
        let pace = Pace::of(&group.health_check);
        let unsettled = (self.targets.get(&slot)).is_some_and(|entry| entry.machine.is_unsettled());
        self.schedule
            .set_interval(ProbeKey::Target(slot), pace.interval(unsettled), now);
        let plan = ProbePlan::for_target(&group.health_check, target.address);
        self.change_target(slot, Urgency::Now, |entry| {
            entry.configured_weight = target.weight;
            entry.kept_until = None;
            entry.machine.set_thresholds(thresholds(group));
            entry
                .machine
                .set_draining_interval(draining_interval(group));
            if entry.machine.register(in_use) {
                entry.joins = joins;
                entry.signal.clear();
            }
            if entry.probing.set(plan, pace) {
                entry.machine.restart_counts();
            }
        });
        true
    }

    /// Lets go of everything the configuration does not name any more.
    fn retire(&mut self, config: &Config, generation: u64, now: Instant) {
        let named = Named::new(config);
        let left = self.target_places.commit(generation, |(group, address)| {
            named.targets.contains(&(group.as_str(), *address))
        });
        let left_groups =
            (self.group_places).commit(generation, |name| named.groups.contains(name.as_str()));
        let left_checks =
            (self.check_places).commit(generation, |name| named.checks.contains(name.as_str()));
        for slot in left.into_iter().map(SlotId) {
            self.deregister(slot, now);
        }
        for group in left_groups {
            if let Some(entry) = self.groups.get_mut(&group) {
                entry.members.clear();
                self.publication.group(group);
            }
            self.commit_detector(group, None, now);
            self.commit_anomalies(group, false, now);
        }
        for check in left_checks {
            self.schedule.remove(ProbeKey::Check(CheckId(check)));
        }
    }

    fn deregister(&mut self, slot: SlotId, now: Instant) {
        self.schedule.remove(ProbeKey::Target(slot));
        let group = self.targets.get(&slot).map(|entry| entry.group);
        let group = group.and_then(|group| self.groups.get(&group));
        let delay = group.map_or(Duration::ZERO, |group| group.deregistration_delay);
        let mut ends = now;
        self.change_target(slot, Urgency::Now, |entry| {
            entry.machine.deregister(now + delay);
            ends = entry.machine.deadline().unwrap_or(now);
        });
        self.delays.insert((ends, slot));
    }

    /// Frees the ids that no plane can read and that do not drain, and publishes the table
    /// without them.
    pub(super) fn reclaim(&mut self) {
        let oldest = self.acknowledgements.oldest();
        let now = Instant::now();
        let targets = &self.targets;
        let draining = |slot| {
            let entry = targets.get(&SlotId(slot));
            entry.is_some_and(|entry| entry.kept_until.is_none_or(|until| now < until))
        };
        let freed = self.target_places.reclaim(oldest, draining);
        // A group's name is needed while its targets drain.
        let needed: HashSet<u32> = (self.targets.iter())
            .filter(|(slot, _)| !freed.contains(&slot.0))
            .map(|(_, entry)| entry.group)
            .collect();
        let freed_groups = (self.group_places).reclaim(oldest, |id| needed.contains(&id));
        let freed_checks = self.check_places.reclaim(oldest, |_| false);
        if freed.is_empty() && freed_groups.is_empty() && freed_checks.is_empty() {
            return;
        }
        for slot in freed.into_iter().map(SlotId) {
            if let Some(entry) = self.targets.remove(&slot) {
                self.publication.target(slot, entry.group);
            }
        }
        for id in freed_groups {
            if let Some(group) = self.groups.remove(&id) {
                self.metrics.forget_group(&group.name);
            }
            self.publication.group(id);
        }
        for id in freed_checks {
            if let Some(check) = self.checks.remove(&id) {
                self.metrics.forget_latency(&check.name);
            }
            self.publication.check(id);
        }
        let mut next = self.publication.table().next();
        next.roster(self.roster());
        self.publish(next, now);
    }
}

/// The identities a configuration names.
struct Named<'a> {
    targets: HashSet<(&'a str, conf::Address)>,
    groups: HashSet<&'a str>,
    checks: HashSet<&'a str>,
}

impl<'a> Named<'a> {
    fn new(config: &'a Config) -> Self {
        let target = |group: &'a TargetGroup| {
            let targets = group.targets.iter();
            targets.map(|target| (group.name.as_str(), target.address))
        };
        Self {
            targets: config.target_groups.iter().flat_map(target).collect(),
            groups: (config.target_groups.iter())
                .map(|group| group.name.as_str())
                .collect(),
            checks: (config.health_checks.iter())
                .map(|check| check.name.as_str())
                .collect(),
        }
    }
}

fn thresholds(group: &TargetGroup) -> Thresholds {
    Thresholds {
        healthy: group.health_check.healthy_threshold,
        unhealthy: group.health_check.unhealthy_threshold,
    }
}

fn new_target(
    id: u32,
    group: &TargetGroup,
    target: &Target,
    in_use: bool,
    signal: Arc<Signal>,
) -> TargetEntry {
    let mut machine = Machine::new(thresholds(group), in_use);
    machine.set_draining_interval(draining_interval(group));
    let now = SystemTime::now();
    let shown = health(&machine, target.weight, |_| now);
    let plan = ProbePlan::for_target(&group.health_check, target.address);
    TargetEntry {
        group: id,
        address: target.address,
        machine,
        signal,
        configured_weight: target.weight,
        weight: None,
        probing: Probing::new(plan, Pace::of(&group.health_check)),
        kept_until: None,
        joins: false,
        anomaly: None,
        slow_start: None,
        shown,
    }
}

fn draining_interval(group: &TargetGroup) -> Duration {
    match group.unhealthy_flows {
        UnhealthyFlows::EndAfter(interval) => interval,
        UnhealthyFlows::End | UnhealthyFlows::Keep => Duration::ZERO,
    }
}

/// The groups that listeners forward to, records answer with, or checks look at.
fn groups_in_use(config: &Config) -> HashSet<GroupIdx> {
    let listeners = config.listeners.iter().flat_map(conf::Listener::groups);
    let zones = config.dns.iter().flat_map(|dns| &dns.zones);
    let sets = zones
        .flat_map(|zone| &zone.records)
        .flat_map(|record| &record.sets);
    let aliases = sets.filter_map(|set| match &set.data {
        SetData::Alias(alias) => match alias.target {
            AliasTarget::TargetGroup(group) => Some(group),
            AliasTarget::Listener(_) | AliasTarget::Record(_) => None,
        },
        SetData::Values(_) => None,
    });
    listeners
        .chain(aliases)
        .chain(groups_looked_at(config))
        .collect()
}
