//! Probes: started when due, their results and traffic's events fed to the state machines,
//! transitions logged and counted.
//!
//! A probe whose own thread ran more than 100 ms late is void: this process was slow, not the
//! target. The board notices by its own timer, which beats while probes run.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::{Id, JoinError};
use tokio::time::Instant;

use super::publication::Urgency;
use super::{BATCH, Core};
use crate::log::Line;
use crate::machine::MarkChange;
use crate::probe::ProbePlan;
use crate::schedule::{ProbeKey, Start};
use crate::{
    Observation, Outcome, PassiveEvent, PassiveReport, SlotId, Source, TargetHealth, TargetState,
};

/// How often the board looks at the clock while probes run.
pub(super) const BEAT: Duration = Duration::from_millis(50);
/// A thread later than this behind its own timer makes the running probes void.
const LATE: Duration = Duration::from_millis(100);

/// The probes in flight, and when the thread meant to look at the clock next.
#[derive(Debug, Default)]
pub(super) struct RunningProbes {
    probes: HashMap<Id, RunningProbe>,
    expected: Option<Instant>,
    /// The last probe was void by this process's own fault, and the log says so.
    at_fault: bool,
}

#[derive(Debug)]
pub(super) struct RunningProbe {
    start: Start,
    pub(super) plan: Arc<ProbePlan>,
    void: bool,
}

impl RunningProbes {
    /// The thread will look at the clock at `wake` at the latest.
    pub(super) fn expect_wake(&mut self, wake: Option<Instant>) {
        self.expected = wake;
    }
}

/// What the board hears of an ended probe.
pub(super) type Ended = Result<(Id, Observation), JoinError>;

impl Core {
    /// Makes the running probes void when the thread is late.
    pub(super) fn notice_lateness(&mut self, now: Instant) {
        let late = (self.running.expected).is_some_and(|expected| now > expected + LATE);
        if late && !self.running.probes.is_empty() {
            let probes = self.running.probes.len();
            tracing::warn!(target: "health", probes, "late: running probes are void");
            self.running.probes.values_mut().for_each(|p| p.void = true);
        }
    }

    /// Starts what is due.
    pub(super) fn start_probes(&mut self, now: Instant) {
        while let Some(start) = self.schedule.take_due(now) {
            let plan = match start.key {
                ProbeKey::Target(slot) => self.targets.get(&slot).map(|t| &t.probing.plan),
                ProbeKey::Check(id) => {
                    (self.checks.get(&id.0)).and_then(|check| Some(&check.probed()?.probing.plan))
                }
            };
            let Some(plan) = plan.cloned() else {
                self.schedule.ended(&start, now);
                self.schedule.remove(start.key);
                continue;
            };
            let running = self.prober.probe(plan.clone());
            let id = self.probes.spawn_local(running).id();
            let probe = RunningProbe {
                start,
                plan,
                void: false,
            };
            self.running.probes.insert(id, probe);
            if let ProbeKey::Target(slot) = start.key
                && self
                    .targets
                    .get_mut(&slot)
                    .is_some_and(|entry| entry.machine.probe_began())
            {
                self.change_target(slot, Urgency::Soon, |_| ());
            }
        }
    }

    /// Takes a result and those that are ready with it.
    pub(super) fn probes_ended(&mut self, first: Ended) {
        let now = Instant::now();
        self.notice_lateness(now);
        let mut next = Some(first);
        for _ in 0..BATCH {
            let Some(ended) = next else { return };
            self.probe_ended(ended, now);
            next = self.probes.try_join_next_with_id();
        }
        if let Some(ended) = next {
            self.probe_ended(ended, now);
        }
    }

    fn probe_ended(&mut self, ended: Ended, now: Instant) {
        let id = match &ended {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let Some(probe) = self.running.probes.remove(&id) else {
            return;
        };
        let key = probe.start.key;
        let current = self.schedule.ended(&probe.start, now);
        let mut observation = match ended {
            Ok((_, observation)) => observation,
            Err(error) => {
                tracing::error!(target: "health", %error, "a probe did not end properly");
                return;
            }
        };
        if !current {
            return;
        }
        self.notice_fault(&observation);
        if probe.void {
            observation.outcome = Outcome::Void;
        }
        match key {
            ProbeKey::Target(slot) => self.observe_target(slot, observation, &probe, now),
            ProbeKey::Check(id) => self.observe_check(id, observation, &probe, now),
        }
        // Elsewhere health stays as it is, and more probes would keep a machine busy that is already.
        if probe.void && self.waits_for_first(key) {
            self.schedule.again(key, now);
        }
    }

    /// True for a target of which nothing is known, so that it gets no work.
    fn waits_for_first(&self, key: ProbeKey) -> bool {
        let ProbeKey::Target(slot) = key else {
            return false;
        };
        let entry = self.targets.get(&slot);
        entry.is_some_and(|entry| entry.shown.state == TargetState::Initial)
    }

    /// Logs the first of several probes that this process itself could not make.
    fn notice_fault(&mut self, observation: &Observation) {
        let at_fault = observation.outcome == Outcome::Void;
        if at_fault && !self.running.at_fault {
            let error = &*observation.seen;
            tracing::warn!(target: "health", error, "probes cannot be made: health stays as it is");
        }
        self.running.at_fault = at_fault;
    }

    fn observe_target(
        &mut self,
        slot: SlotId,
        observation: Observation,
        probe: &RunningProbe,
        now: Instant,
    ) {
        let entry = self.targets.get_mut(&slot);
        let Some(entry) = entry.filter(|entry| Arc::ptr_eq(&entry.probing.plan, &probe.plan))
        else {
            return;
        };
        self.metrics
            .observed(entry.probing.plan.protocol, &observation);
        match entry.machine.observe(&observation, probe.start.regular) {
            MarkChange::Cleared => entry.signal.clear(),
            MarkChange::Set => drop(entry.signal.mark()),
            MarkChange::None => {}
        }
        if !entry.machine.wants_hurry() {
            self.schedule.calm(ProbeKey::Target(slot), now);
        }
        let interval = entry.probing.pace.interval(entry.machine.is_unsettled());
        self.schedule
            .set_pace(ProbeKey::Target(slot), interval, now);
        let protocol = entry.probing.plan.protocol;
        entry.probing.remember(observation.clone());
        self.change_target(slot, Urgency::Soon, |_| ());
        if let Some(entry) = self.targets.get(&slot)
            && let Some(group) = self.groups.get(&entry.group)
        {
            let (subject, state) = (|| entry.subject(&group.name), entry.shown.state);
            self.log
                .add(|| Line::probe(subject(), state.as_str(), protocol, &observation));
        }
    }

    /// Takes what traffic saw.
    pub(super) fn passive(&mut self, report: &PassiveReport) {
        match report {
            PassiveReport::Unreached(event) => self.unreached(event),
            PassiveReport::InARow(slot) => self.failed_in_a_row(*slot, Instant::now()),
        }
    }

    fn unreached(&mut self, event: &PassiveEvent) {
        let now = Instant::now();
        let Some(entry) = self.targets.get_mut(&event.slot) else {
            return;
        };
        if !entry.machine.mark(event) {
            entry.signal.clear();
            return;
        }
        // What probes found down already keeps their pace.
        if entry.machine.wants_hurry() {
            self.schedule.hurry(ProbeKey::Target(event.slot), now);
        }
        self.change_target(event.slot, Urgency::Now, |_| ());
    }

    /// Changes a target and notes, logs and counts what that changed to see.
    pub(super) fn change_target(
        &mut self,
        slot: SlotId,
        urgency: Urgency,
        change: impl FnOnce(&mut super::TargetEntry),
    ) {
        let Some(entry) = self.targets.get_mut(&slot) else {
            return;
        };
        change(entry);
        // Entered again for every result meanwhile, which a set does not mind.
        let draining = entry.machine.draining_until();
        self.delays.extend(draining.map(|until| (until, slot)));
        let mut after = entry.health(SystemTime::now());
        if after == entry.shown {
            return;
        }
        let step = (entry.shown.state, after.state);
        if step.0 != step.1 {
            after.slow_start = self.slow_start(slot, step);
        }
        let Some(entry) = self.targets.get_mut(&slot) else {
            return;
        };
        entry.slow_start = after.slow_start;
        let before = std::mem::replace(&mut entry.shown, after);
        let entry = &*entry;
        self.publication.target(slot, entry.group);
        self.publication.request(urgency, Instant::now());
        let Some(group) = self.groups.get(&entry.group) else {
            return;
        };
        if before.state != entry.shown.state {
            let subject = || entry.subject(&group.name);
            self.log
                .add(|| Line::target(subject(), &before, &entry.shown));
            let (state, reason) = (entry.shown.state, entry.shown.reason);
            self.metrics.transition(&group.name, state, reason);
        }
        if is_news(&before, &entry.shown) {
            log_transition(&group.name, entry, &before);
        }
        if before.probed_unhealthy && !entry.shown.probed_unhealthy {
            self.count_anew(slot);
        }
    }

    /// Ends the deregistration delays and draining intervals that have passed, and frees the ids of targets gone for a
    /// while.
    pub(super) fn end_delays(&mut self, now: Instant) {
        let mut free = false;
        while let Some(&(at, slot)) = self.delays.first()
            && at <= now
        {
            self.delays.pop_first();
            let mut kept_until = None;
            self.change_target(slot, Urgency::Now, |entry| kept_until = entry.expire(now));
            match kept_until {
                Some(until) if until > now => drop(self.delays.insert((until, slot))),
                _ => free = true,
            }
        }
        if free {
            self.reclaim();
        }
    }
}

/// True for another state, and when probes confirm what traffic saw: connection termination may
/// follow from that.
fn is_news(before: &TargetHealth, after: &TargetHealth) -> bool {
    before.state != after.state
        || (before.source == Source::Passive && before.probed_unhealthy != after.probed_unhealthy)
}

fn log_transition(group: &str, entry: &super::TargetEntry, before: &TargetHealth) {
    let after = &entry.shown;
    tracing::info!(
        target: "health",
        group,
        target = %entry.address,
        from = before.state.as_str(),
        to = after.state.as_str(),
        reason = after.reason.map(crate::ReasonCode::as_str),
        source = after.source.as_str(),
        description = &*after.description,
        last = entry.probing.last_seen(),
        passes = entry.machine.passes(),
        failures = entry.machine.failures(),
        "target changed"
    );
}
