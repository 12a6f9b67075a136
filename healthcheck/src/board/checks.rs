//! Standalone checks: brought in line with a configuration, fed with results, and the ones that
//! follow from others worked out before each publication.
//!
//! Order matters: group roll-ups first, then checks of groups and of controls, then calculated ones, whose children
//! are never calculated themselves. All of it happens within one publication, so that no reader
//! sees a parent disagree with its children.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use conf::{CheckIdx, Config, GroupIdx, HealthCheck, HealthCheckKind};
use tokio::time::Instant;

use super::entries::{Basis, CheckEntry, Pace, ProbedCheck, Probing};
use super::probing::RunningProbe;
use super::publication::Urgency;
use super::{Core, Prepared};
use crate::log::Line;
use crate::machine::CheckMachine;
use crate::probe::ProbePlan;
use crate::schedule::{Lane, ProbeKey};
use crate::{CheckHealth, CheckId, Observation};

impl Core {
    /// Brings a check in line with the configuration; the key, lane and interval to be scheduled, if it
    /// is to be probed and is not yet. What follows from others is worked out with the publication.
    pub(super) fn commit_check(
        &mut self,
        check: &HealthCheck,
        prepared: &Prepared,
        now: Instant,
    ) -> Option<(ProbeKey, Lane, Duration)> {
        let id = prepared.slots.check(&check.name)?;
        let key = ProbeKey::Check(id);
        let before = self.checks.remove(&id.0);
        let (before, shown) =
            before.map_or((None, None), |entry| (Some(entry.basis), Some(entry.shown)));
        let is_new = before.is_none();
        let mut entry = CheckEntry {
            name: check.name.as_str().into(),
            basis: basis(check, before, prepared),
            disabled: check.disabled,
            inverted: check.inverted,
            shown: shown.unwrap_or_else(unknown),
        };
        if let (true, Some(keeper), Some(probed)) = (is_new, &mut self.keeper, entry.probed_mut()) {
            keeper.recall_check(&check.name, &mut probed.machine);
        }
        if entry.probed().is_some() {
            let found = self.found(&entry);
            entry.shown = entry.health(found, SystemTime::now());
        }
        self.publication.check(id.0);
        let interval = entry.probed().map(|probed| probed.probing.pace.calm);
        if !entry.probed().is_some_and(|probed| probed.measure_latency) {
            self.metrics.forget_latency(&entry.name);
        }
        self.checks.insert(id.0, entry);
        let Some(interval) = interval.filter(|_| !check.disabled) else {
            self.schedule.remove(key);
            return None;
        };
        self.schedule.set_interval(key, interval, now);
        (!self.schedule.contains(key)).then_some((key, Lane::Check(id), interval))
    }

    /// Takes a probe's result.
    pub(super) fn observe_check(
        &mut self,
        id: CheckId,
        observation: Observation,
        probe: &RunningProbe,
        now: Instant,
    ) {
        let Some(entry) = self.checks.get_mut(&id.0) else {
            return;
        };
        let name = entry.name.clone();
        let Some(probed) = entry
            .probed_mut()
            .filter(|probed| Arc::ptr_eq(&probed.probing.plan, &probe.plan))
        else {
            return;
        };
        self.metrics
            .observed(probed.probing.plan.protocol, &observation);
        if probed.measure_latency {
            self.metrics.measured(&name, &observation);
        }
        probed.machine.observe(&observation);
        let protocol = probed.probing.plan.protocol;
        probed.probing.remember(observation.clone());
        if let Some(entry) = self.checks.get(&id.0) {
            // As the table will show it: inverted last of all.
            let healthy = entry.health(self.found(entry), SystemTime::now());
            let subject = || entry.subject();
            self.log
                .add(|| Line::probe(subject(), healthy.as_str(), protocol, &observation));
        }
        if self.refresh_check(id.0) {
            self.publication.request(Urgency::Soon, now);
        }
    }

    /// Works a check's health out anew; true when that differs from what was shown.
    fn refresh_check(&mut self, id: u32) -> bool {
        let Some(entry) = self.checks.get(&id) else {
            return false;
        };
        let after = entry.health(self.found(entry), SystemTime::now());
        if after == entry.shown {
            return false;
        }
        if after.healthy != entry.shown.healthy {
            let to = after.as_str();
            let (subject, before) = (|| entry.subject(), &entry.shown);
            self.log.add(|| Line::check(subject(), before, &after));
            let last = &*after.description;
            tracing::info!(target: "health", check = &*entry.name, to, %last, "check changed");
        }
        if let Some(entry) = self.checks.get_mut(&id) {
            entry.shown = after;
        }
        self.publication.check(id);
        true
    }

    /// Works out every check that follows from groups and from other checks.
    pub(super) fn refresh_derived_checks(&mut self) {
        let ids = |wanted: fn(&Basis) -> bool| -> Vec<u32> {
            let all = self.checks.iter();
            all.filter(|(_, entry)| wanted(&entry.basis))
                .map(|(&id, _)| id)
                .collect()
        };
        let leaves = ids(|basis| matches!(basis, Basis::Group(_) | Basis::Control(_)));
        let parents = ids(|basis| matches!(basis, Basis::Children { .. }));
        for id in leaves.into_iter().chain(parents) {
            self.refresh_check(id);
        }
    }

    /// What the basis alone says, and why.
    fn found(&self, entry: &CheckEntry) -> (bool, Arc<str>) {
        match &entry.basis {
            Basis::Probed(probed) => (probed.machine.healthy(), probed.machine.description()),
            Basis::Children { ids, threshold } => {
                let children = ids.iter().filter_map(|id| self.checks.get(id));
                let healthy = children.filter(|child| child.shown.healthy).count();
                let all = ids.len();
                let description =
                    format!("{healthy} of {all} children healthy, {threshold} needed");
                (healthy >= *threshold, description.into())
            }
            Basis::Group(group) => match self.groups.get(group) {
                Some(group) => {
                    let health = group.health;
                    let description = format!(
                        "{} of {} registered targets healthy",
                        health.healthy, health.registered
                    );
                    (health.dns_healthy, description.into())
                }
                None => (false, "no target group".into()),
            },
            Basis::Control(control) => {
                let on = self.controls.is_on(control);
                let state = if on { "on" } else { "off" };
                (on, format!("routing control `{control}` is {state}").into())
            }
        }
    }
}

/// The basis that a check's kind asks for; what the old one learned is kept where it is the same
/// kind of basis.
fn basis(check: &HealthCheck, before: Option<Basis>, prepared: &Prepared) -> Basis {
    match &check.kind {
        HealthCheckKind::Endpoint(endpoint) => Basis::Probed(probed(
            check,
            before,
            ProbePlan::for_endpoint(endpoint),
            endpoint.interval,
            (endpoint.failure_threshold, endpoint.measure_latency),
        )),
        HealthCheckKind::Metric(metric) => Basis::Probed(probed(
            check,
            before,
            ProbePlan::for_metric(metric),
            metric.interval,
            (metric.failure_threshold, false),
        )),
        HealthCheckKind::Calculated {
            children,
            health_threshold,
        } => Basis::Children {
            ids: children
                .iter()
                .filter_map(|child| child_id(&prepared.config, *child, prepared))
                .collect(),
            threshold: *health_threshold as usize,
        },
        HealthCheckKind::TargetGroup(group) => {
            let name = &prepared.config.group(*group).name;
            // Every group of a prepared configuration has an id.
            Basis::Group(prepared.slots.group(name).map_or(u32::MAX, |id| id.0))
        }
        HealthCheckKind::RoutingControl(control) => {
            let name = &prepared.config.routing_control(*control).name;
            Basis::Control(name.as_str().into())
        }
    }
}

/// A check with probes of its own; `(threshold, measure_latency)`.
fn probed(
    check: &HealthCheck,
    before: Option<Basis>,
    plan: ProbePlan,
    interval: Duration,
    (threshold, measure_latency): (u32, bool),
) -> ProbedCheck {
    let pace = Pace::steady(interval);
    let mut probed = match before {
        Some(Basis::Probed(probed)) => probed,
        _ => ProbedCheck {
            machine: CheckMachine::new(threshold),
            probing: Probing::new(plan.clone(), pace),
            measure_latency: false,
        },
    };
    probed.machine.set_threshold(threshold);
    if probed.probing.set(plan, pace) || check.disabled {
        probed.machine.restart_counts();
    }
    probed.measure_latency = measure_latency;
    probed
}

fn child_id(config: &Config, child: CheckIdx, prepared: &Prepared) -> Option<u32> {
    let name = &config.health_check(child).name;
    prepared.slots.check(name).map(|id| id.0)
}

/// A new check: healthy until data says otherwise.
fn unknown() -> CheckHealth {
    CheckHealth {
        healthy: true,
        description: "no data yet".into(),
        since: SystemTime::now(),
    }
}

/// The groups that standalone checks look at.
pub(super) fn groups_looked_at(config: &Config) -> impl Iterator<Item = GroupIdx> + '_ {
    let looking = config.health_checks.iter().filter(|check| !check.disabled);
    looking.filter_map(|check| match check.kind {
        HealthCheckKind::TargetGroup(group) => Some(group),
        HealthCheckKind::Endpoint(_)
        | HealthCheckKind::Calculated { .. }
        | HealthCheckKind::RoutingControl(_)
        | HealthCheckKind::Metric(_) => None,
    })
}
