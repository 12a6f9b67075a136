//! Commands: the operator's wishes, questions for details; preparing and committing is `reload`.
//!
//! Every command is answered before the next one is taken. A caller that went away loses its
//! answer, nothing else.

use tokio::time::Instant;

use super::Core;
use super::entries::Basis;
use super::handle::{Command, FirstRound, TargetName};
use super::publication::Urgency;
use crate::details::{check_outlook, control_outlook, milliseconds, target_outlook};
use crate::schedule::ProbeKey;
use crate::{CheckDetails, CheckId, SlotId, TargetDetails};

impl Core {
    /// Does what a handle asks. An answer nobody waits for any more is dropped.
    pub(super) fn command(&mut self, command: Command) {
        match command {
            Command::Prepare(config, generation, reply) => {
                let _unheard = reply.send(self.prepare(config, generation));
            }
            Command::Commit(prepared, reply) => {
                let _unheard = reply.send(self.commit(&prepared));
            }
            Command::Operator(name, state, reply) => {
                let shown = self.order(&name, |entry| entry.machine.set_operator(state));
                let _unheard = reply.send(shown);
            }
            Command::Weight(name, weight, reply) => {
                let shown = self.order(&name, |entry| entry.weight = weight);
                let _unheard = reply.send(shown);
            }
            Command::Target(name, reply) => {
                let _unheard = reply.send(self.target_details(&name));
            }
            Command::Check(name, reply) => {
                let _unheard = reply.send(self.check_details(&name));
            }
            Command::Turn(change, reply) => {
                let _unheard = reply.send(self.turn(&change));
            }
            Command::Controls(reply) => {
                let _unheard = reply.send(self.controls.status());
            }
            Command::FirstRound(reply) => {
                let _unheard = reply.send(self.first_round());
            }
            Command::Shutdown(reply) => drop(reply),
        }
    }

    /// Changes a registered target by the operator's word and publishes it; the generation that
    /// shows it.
    fn order(
        &mut self,
        name: &TargetName,
        change: impl FnOnce(&mut super::TargetEntry),
    ) -> Option<u64> {
        let slot = SlotId(self.target_places.find(name)?);
        let registered = self.targets.get(&slot)?.machine.is_registered();
        if !registered {
            return None;
        }
        self.change_target(slot, Urgency::Now, change);
        self.publish_if_due(Instant::now());
        Some(self.publication.table().generation())
    }

    /// How the first round goes; once it is over, its results are in the table.
    fn first_round(&mut self) -> FirstRound {
        let targets = self.targets.iter().filter(|(slot, entry)| {
            self.schedule.contains(ProbeKey::Target(**slot)) && !entry.probing.has_result()
        });
        let checks = self.checks.iter().filter(|(id, entry)| {
            let unprobed = |probed: &super::entries::ProbedCheck| !probed.probing.has_result();
            self.schedule.contains(ProbeKey::Check(CheckId(**id)))
                && entry.probed().is_some_and(unprobed)
        });
        let left = targets.count() + checks.count();
        let now = Instant::now();
        if left == 0 && self.publication.due().is_some() {
            self.publication.request(Urgency::Now, now);
            self.publish_if_due(now);
        }
        FirstRound {
            left,
            generation: self.publication.table().generation(),
        }
    }

    fn target_details(&self, name: &TargetName) -> Option<TargetDetails> {
        let slot = SlotId(self.target_places.find(name)?);
        let entry = self.targets.get(&slot)?;
        let now = Instant::now();
        let machine = &entry.machine;
        let shown = entry.shown.clone();
        let passive = self.passive_details(slot, now);
        Some(TargetDetails {
            group: name.0.clone(),
            target: name.1,
            state: shown.state,
            reason: shown.reason,
            source: shown.source,
            description: shown.description.to_string(),
            since: shown.since,
            operator: shown.operator,
            weight: shown.weight,
            configured_weight: entry.configured_weight,
            registered: shown.registered,
            probed_unhealthy: shown.probed_unhealthy,
            suspect: machine.is_suspect(),
            interval_ms: milliseconds(entry.probing.pace.calm),
            fast_interval_ms: milliseconds(entry.probing.pace.fast),
            healthy_threshold: machine.thresholds().healthy,
            unhealthy_threshold: machine.thresholds().unhealthy,
            passes: machine.passes(),
            failures: machine.failures(),
            observations: entry.probing.details(now),
            next: target_outlook(machine, passive.as_ref()),
            passive,
            next_probe_ms: self.next_probe(ProbeKey::Target(slot), now),
            delay_left_ms: (shown.deadline)
                .map(|at| milliseconds(at.saturating_duration_since(now))),
        })
    }

    fn check_details(&self, name: &String) -> Option<CheckDetails> {
        let id = self.check_places.find(name)?;
        let entry = self.checks.get(&id)?;
        let now = Instant::now();
        let probed = entry.probed();
        let health = &entry.shown;
        Some(CheckDetails {
            name: name.clone(),
            address: probed.map(|probed| probed.probing.plan.destination()),
            healthy: health.healthy,
            description: health.description.to_string(),
            since: health.since,
            interval_ms: probed.map(|probed| milliseconds(probed.probing.pace.calm)),
            failure_threshold: probed.map(|probed| probed.machine.threshold()),
            contrary: probed.map(|probed| probed.machine.contrary()),
            observations: probed.map_or_else(Vec::new, |probed| probed.probing.details(now)),
            next_probe_ms: self.next_probe(ProbeKey::Check(CheckId(id)), now),
            next: match &entry.basis {
                Basis::Control(control) if !entry.disabled => {
                    control_outlook(control, self.controls.is_on(control), entry.inverted)
                }
                _ => check_outlook(
                    probed.map(|probed| &probed.machine),
                    entry.disabled,
                    entry.inverted,
                ),
            },
        })
    }

    fn next_probe(&self, key: ProbeKey, now: Instant) -> Option<u64> {
        let at = self.schedule.next_start(key)?;
        Some(milliseconds(at.saturating_duration_since(now)))
    }
}
