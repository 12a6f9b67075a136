//! The pure step from configuration and health to a snapshot.
//!
//! Called by the control task alone, for every configuration and every health table. Groups whose
//! inputs did not change are shared with the previous snapshot by `Arc`; after a transition only
//! the groups that name a changed target are looked at (with one pointer copy per group). Touches
//! nothing outside: what must happen to targets is returned, not done.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use conf::{Address, TargetGroup, UnhealthyFlows};
use healthcheck::{HealthTable, TargetHealth, TargetState};
use tokio::time::Instant;

use crate::snapshot::{Condition, Departing, Group, GroupSettings, Member, Plan, Snapshot};
use crate::target::{Fate, Target};
use crate::tls::TargetTls;

/// A snapshot, and what its publication does to work in hand.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) snapshot: Snapshot,
    /// Targets whose fate is another than before.
    pub(crate) fates: Vec<(Arc<Target>, Fate)>,
}

/// Compiles `plan` at `health` and `now`, sharing with `previous` what did not change.
pub(crate) fn compile(
    plan: &Arc<Plan>,
    health: &HealthTable,
    previous: Option<&Snapshot>,
    now: Instant,
) -> Compiled {
    let health = Moment { health, now };
    let same_plan = previous.filter(|snapshot| Arc::ptr_eq(&snapshot.plan, plan));
    let compiled = same_plan.and_then(|snapshot| after_transitions(snapshot, health));
    compiled.unwrap_or_else(|| from_scratch(plan, health, previous))
}

/// A health table, and the time it is compiled for.
#[derive(Debug, Clone, Copy)]
struct Moment<'h> {
    health: &'h HealthTable,
    now: Instant,
}

/// Compiles anew what `health` changed since `previous`; `None` when it no longer tells.
fn after_transitions(previous: &Snapshot, moment: Moment<'_>) -> Option<Compiled> {
    let plan = &previous.plan;
    let growing = previous.groups.iter().enumerate();
    let growing = growing.filter(|(_, group)| group.is_growing());
    let mut touched: BTreeSet<usize> = growing.map(|(index, _)| index).collect();
    let health = moment.health;
    for changes in health.changes_since(previous.health_generation)? {
        let by_slot = changes
            .targets
            .iter()
            .filter_map(|slot| plan.groups_by_slot.get(slot));
        let by_id = changes
            .groups
            .iter()
            .filter_map(|id| plan.groups_by_id.get(id));
        touched.extend(by_slot.chain(by_id).copied());
    }
    let mut groups = previous.groups.clone();
    let mut fates = Vec::new();
    for index in touched {
        let (Some(place), Some(config)) = (groups.get_mut(index), plan.groups.get(index)) else {
            continue;
        };
        let known: HashMap<_, _> = place
            .members
            .iter()
            .map(|m| (m.target.address(), &m.target))
            .collect();
        let group = compile_group(plan, moment, config, Some(place), &|address| {
            known.get(&address).copied()
        });
        note_fates(&mut fates, &group);
        *place = group;
    }
    let departing = still_departing(&previous.departing, health, &mut fates);
    let fate_epoch = previous.fate_epoch + u64::from(!fates.is_empty());
    let snapshot = Snapshot {
        plan: plan.clone(),
        health_generation: health.generation(),
        groups,
        departing,
        fate_epoch,
    };
    Some(Compiled { snapshot, fates })
}

/// Compiles every group, reusing targets, rotations and unchanged groups by name.
fn from_scratch(plan: &Arc<Plan>, moment: Moment<'_>, previous: Option<&Snapshot>) -> Compiled {
    let health = moment.health;
    let known = known_targets(previous);
    let mut fates = Vec::new();
    let mut groups = Vec::with_capacity(plan.groups.len());
    for config in &plan.groups {
        let before = previous.and_then(|snapshot| snapshot.group_named(&config.name));
        let group = compile_group(plan, moment, config, before, &|address| {
            known
                .get(&(config.name.as_str(), address))
                .map(|known| &known.target)
        });
        note_fates(&mut fates, &group);
        groups.push(group);
    }
    let kept = groups
        .iter()
        .flat_map(|group| &group.members)
        .map(|m| Arc::as_ptr(&m.target));
    let kept: HashSet<_> = kept.collect();
    let left = known
        .into_values()
        .filter(|known| !kept.contains(&Arc::as_ptr(&known.target)));
    let left: Vec<_> = left.collect();
    let departing = still_departing(&left, health, &mut fates);
    let fate_epoch = previous.map_or(0, |snapshot| snapshot.fate_epoch);
    let snapshot = Snapshot {
        plan: plan.clone(),
        health_generation: health.generation(),
        groups,
        departing,
        fate_epoch: fate_epoch + u64::from(!fates.is_empty()),
    };
    Compiled { snapshot, fates }
}

/// Every target the previous snapshot knew, by identity.
fn known_targets(previous: Option<&Snapshot>) -> HashMap<(&str, Address), Departing> {
    let registered = previous
        .iter()
        .flat_map(|snapshot| &snapshot.groups)
        .flat_map(|group| {
            group.members.iter().map(|member| {
                let departing = Departing {
                    target: member.target.clone(),
                    connection_termination: group.settings.connection_termination,
                };
                ((&**group.name(), member.target.address()), departing)
            })
        });
    let departing = previous
        .iter()
        .flat_map(|snapshot| &snapshot.departing)
        .map(|departing| {
            let identity = (&**departing.target.group(), departing.target.address());
            (identity, departing.clone())
        });
    departing.chain(registered).collect()
}

/// One group at `health`; `before` itself when nothing differs.
fn compile_group<'a>(
    plan: &Plan,
    Moment { health, now }: Moment<'_>,
    config: &TargetGroup,
    before: Option<&Arc<Group>>,
    known: &dyn Fn(Address) -> Option<&'a Arc<Target>>,
) -> Arc<Group> {
    let settings = settings(config, before);
    let roll_up = plan
        .slots
        .group(&config.name)
        .and_then(|id| health.group(id));
    let fail_open = roll_up.is_some_and(|group| group.fail_open);
    let queue = before.map_or_else(Arc::default, |group| group.queue.clone());
    let mut members = Vec::with_capacity(config.targets.len());
    for target in &config.targets {
        let Some((slot, signal)) = plan.slots.target(&config.name, target.address) else {
            // The board makes the map from the same configuration; a target it does not know has
            // no health, so nothing may be sent there.
            continue;
        };
        let live = known(target.address)
            .filter(|live| live.slot() == slot && Arc::ptr_eq(live.signal(), signal));
        let live = live.cloned().unwrap_or_else(|| {
            let name = settings.name.clone();
            let target = Target::new(name, target.address, slot, signal.clone());
            Arc::new(target.with_queue(queue.clone()))
        });
        let state = health.target(slot);
        members.push(Member {
            target: live,
            weight: state.map_or(target.weight, |state| state.weight),
            share: state.map_or(100, |state| state.share(config.slow_start, now)),
            is_growing: state.is_some_and(|state| state.grown(config.slow_start, now) < 100),
            backup: target.backup,
            max_in_flight: state.map_or(0, |state| {
                state.max_in_flight(config.protocol, config.max_in_flight_of(target))
            }),
            server_id: target.server_id.clone(),
            condition: match state {
                _ if !config.uses(target) => Condition::Elsewhere,
                Some(state) => condition(state),
                None => Condition::Initial,
            },
            fate: state.map_or(Fate::Serving, |state| fate(state, &settings, fail_open)),
        });
    }
    match before {
        Some(before)
            if before.settings == settings
                && before.fail_open == fail_open
                && before.members == members =>
        {
            before.clone()
        }
        _ => {
            let before = before.map(AsRef::as_ref);
            let mut group = Group::new(settings, members, fail_open, before);
            group.queue = queue;
            Arc::new(group)
        }
    }
}

fn settings(config: &TargetGroup, before: Option<&Arc<Group>>) -> GroupSettings {
    let name = match before {
        Some(group) => group.settings.name.clone(),
        None => config.name.as_str().into(),
    };
    GroupSettings {
        name,
        protocol: config.protocol,
        algorithm: config.algorithm,
        hold: config.hold,
        connect_timeout: config.connect_timeout,
        response_timeout: config.response_timeout,
        tls: config.tls.as_ref().map(|check| {
            let before = before.and_then(|group| group.settings.tls.as_ref());
            TargetTls::new(check, config.protocol, before)
        }),
        hash_balance: config.request_hash.as_ref().map_or(0, |hash| hash.balance),
        retries: config.retries,
        queue_timeout: config.queue_timeout,
        preserve_client_ip: config.preserve_client_ip,
        proxy_out: config.proxy_out,
        connection_termination: config.connection_termination,
        unhealthy_flows: config.unhealthy_flows,
        sticky_by_source: config.sticky_by_source,
        connection_id: config.connection_id.clone(),
    }
}

fn condition(health: &TargetHealth) -> Condition {
    if !health.registered {
        return Condition::Draining;
    }
    match health.state {
        TargetState::Healthy => Condition::Healthy,
        TargetState::Unhealthy | TargetState::UnhealthyDraining | TargetState::Unavailable => {
            Condition::Unhealthy
        }
        TargetState::Draining => Condition::Draining,
        // A group becomes used by the very configuration that is compiled here.
        TargetState::Initial | TargetState::Unused => Condition::Initial,
    }
}

/// Probed unhealthiness ends flows, except while the group fails open (as NLB).
fn fate(health: &TargetHealth, settings: &GroupSettings, fail_open: bool) -> Fate {
    let ends = match settings.unhealthy_flows {
        UnhealthyFlows::End => true,
        UnhealthyFlows::EndAfter(_) => health.state == TargetState::Unhealthy,
        UnhealthyFlows::Keep => false,
    };
    if ends && health.probed_unhealthy && !fail_open {
        Fate::Unhealthy
    } else {
        Fate::Serving
    }
}

/// Those of `departing` whose deregistration delay still runs; the others' fate is noted.
fn still_departing(
    departing: &[Departing],
    health: &HealthTable,
    fates: &mut Vec<(Arc<Target>, Fate)>,
) -> Vec<Departing> {
    let runs = |departing: &&Departing| {
        let state = health.target(departing.target.slot());
        state.is_some_and(|s| !s.registered && s.state == TargetState::Draining)
    };
    let (staying, gone): (Vec<_>, Vec<_>) = departing.iter().partition(runs);
    fates.extend(gone.into_iter().map(|departing| {
        let fate = if departing.connection_termination {
            Fate::Deregistered
        } else {
            Fate::DeregisteredKeepingFlows
        };
        (departing.target.clone(), fate)
    }));
    staying.into_iter().cloned().collect()
}

/// Notes the members whose fate is another than the one they were last told.
fn note_fates(fates: &mut Vec<(Arc<Target>, Fate)>, group: &Group) {
    let changed = group
        .members
        .iter()
        .filter(|member| member.target.fate() != member.fate);
    fates.extend(changed.map(|member| (member.target.clone(), member.fate)));
}

#[cfg(test)]
mod tests;
