//! What the board knows of each target, group and check.
//!
//! Pure data and what can be read from it; made by `reload`, changed by the other files here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use conf::Address;
use tokio::time::Instant;

use crate::TargetState;
use crate::details::ObservationDetails;
use crate::log::Subject;
use crate::machine::{CheckMachine, Machine};
use crate::passive::{Anomalies, Detector};
use crate::probe::ProbePlan;
use crate::rollup::Floors;
use crate::{
    Anomaly, CheckHealth, GroupHealth, Observation, OperatorState, Signal, SlotId, TargetHealth,
};

/// Observations kept for details.
const KEPT_OBSERVATIONS: usize = 5;

/// How long a target that is gone stays in the table: a plane that ends flows with the delay
/// must see `unused` there, not an empty or reused place.
const KEPT_WHEN_GONE: Duration = Duration::from_secs(10);

/// A target's identity.
pub(super) type TargetKey = (String, Address);

/// From one probe's start to the next one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pace {
    /// While results agree with the state.
    pub(super) calm: Duration,
    /// While they do not, or none is decided.
    pub(super) fast: Duration,
}

impl Pace {
    /// One pace for both.
    pub(super) fn steady(interval: Duration) -> Self {
        Self {
            calm: interval,
            fast: interval,
        }
    }

    /// A group's.
    pub(super) fn of(check: &conf::TargetHealthCheck) -> Self {
        Self {
            calm: check.interval,
            fast: check.fast_interval,
        }
    }

    /// The interval in force.
    pub(super) fn interval(self, unsettled: bool) -> Duration {
        match unsettled {
            true => self.fast,
            false => self.calm,
        }
    }
}

/// How something is probed, and what the last probes found.
#[derive(Debug)]
pub(super) struct Probing {
    pub(super) plan: Arc<ProbePlan>,
    pub(super) pace: Pace,
    history: VecDeque<Observation>,
}

impl Probing {
    pub(super) fn new(plan: ProbePlan, pace: Pace) -> Self {
        Self {
            plan: Arc::new(plan),
            pace,
            history: VecDeque::with_capacity(KEPT_OBSERVATIONS),
        }
    }

    /// Probes as `plan` says from now on; true when that is something else than before.
    pub(super) fn set(&mut self, plan: ProbePlan, pace: Pace) -> bool {
        self.pace = pace;
        let differs = *self.plan != plan;
        if differs {
            self.plan = Arc::new(plan);
        }
        differs
    }

    /// Remembers a result.
    pub(super) fn remember(&mut self, observation: Observation) {
        if self.history.len() == KEPT_OBSERVATIONS {
            self.history.pop_back();
        }
        self.history.push_front(observation);
    }

    /// A probe ended that says something.
    pub(super) fn has_result(&self) -> bool {
        let mut results = self.history.iter();
        results.any(|seen| seen.outcome != crate::Outcome::Void)
    }

    /// What the last probe saw; empty before the first.
    pub(super) fn last_seen(&self) -> &str {
        self.history.front().map_or("", |last| &last.seen)
    }

    /// The last results, newest first.
    pub(super) fn details(&self, now: Instant) -> Vec<ObservationDetails> {
        let detail = |observation| ObservationDetails::new(observation, now);
        self.history.iter().map(detail).collect()
    }
}

/// One target.
#[derive(Debug)]
pub(super) struct TargetEntry {
    pub(super) group: u32,
    pub(super) address: Address,
    pub(super) machine: Machine,
    pub(super) signal: Arc<Signal>,
    pub(super) configured_weight: u16,
    /// The operator's weight.
    pub(super) weight: Option<u16>,
    pub(super) probing: Probing,
    /// When a target that is gone may lose its id, for want of a generation that names it.
    pub(super) kept_until: Option<Instant>,
    /// Its group had a settled healthy target when it was registered: it is to begin slowly.
    pub(super) joins: bool,
    /// How its traffic stands beside that of the others, if its group watches that.
    pub(super) anomaly: Option<Anomaly>,
    /// When its share began to grow; while it is healthy.
    pub(super) slow_start: Option<Instant>,
    /// As it was last made ready for publication.
    pub(super) shown: TargetHealth,
}

impl TargetEntry {
    /// Whom lines of the health check log are about.
    pub(super) fn subject(&self, group: &str) -> Subject {
        Subject::Target {
            target_group: group.to_string(),
            target: self.address.to_string(),
        }
    }

    /// Ends the draining interval and the deregistration delay if they have passed; the operator's
    /// wishes end with the delay. The
    /// time from which the id may be freed, if so.
    pub(super) fn expire(&mut self, now: Instant) -> Option<Instant> {
        self.machine.end_draining(now);
        if !self.machine.expire(now) {
            return None;
        }
        self.machine.set_operator(OperatorState::Ready);
        self.weight = None;
        Some(*self.kept_until.get_or_insert(now + KEPT_WHEN_GONE))
    }

    /// What the table shall hold, entered at `now` if the state differs from what it held.
    pub(super) fn health(&self, now: SystemTime) -> TargetHealth {
        let weight = self.weight.unwrap_or(self.configured_weight);
        let since = |state| match state == self.shown.state {
            true => self.shown.since,
            false => now,
        };
        TargetHealth {
            slow_start: self.slow_start,
            anomaly: self.anomaly,
            ..health(&self.machine, weight, since)
        }
    }
}

/// A machine's state as the table holds it; `since` is told the state.
pub(super) fn health(
    machine: &Machine,
    weight: u16,
    since: impl FnOnce(crate::TargetState) -> SystemTime,
) -> TargetHealth {
    let shown = machine.shown();
    TargetHealth {
        state: shown.state,
        reason: shown.reason,
        source: shown.source,
        operator: machine.operator(),
        weight: machine.weighed(weight),
        registered: machine.is_registered(),
        probed_unhealthy: machine.probed_unhealthy(),
        deadline: match shown.state {
            TargetState::UnhealthyDraining => machine.draining_until(),
            _ => machine.deadline(),
        },
        description: shown.description,
        since: since(shown.state),
        slow_start: None,
        anomaly: None,
        agent_limit: machine.agent_limit(),
    }
}

/// One target group.
#[derive(Debug)]
pub(super) struct GroupEntry {
    pub(super) name: Arc<str>,
    pub(super) floors: Floors,
    pub(super) deregistration_delay: Duration,
    /// Its registered targets that this process uses.
    pub(super) members: Vec<SlotId>,
    /// How long a share takes to grow to its whole; 0 = it has it at once.
    pub(super) slow_start: Duration,
    /// What traffic comes to, if `passive-health` wants to know.
    pub(super) detector: Option<Detector>,
    /// Whose traffic fails more than that of the others, if the group wants to know.
    pub(super) anomalies: Option<Anomalies>,
    /// As it was last published.
    pub(super) health: GroupHealth,
}

/// One standalone check.
#[derive(Debug)]
pub(super) struct CheckEntry {
    pub(super) name: Arc<str>,
    pub(super) basis: Basis,
    /// Counts as healthy, whatever it would find.
    pub(super) disabled: bool,
    /// The other way round, last of all.
    pub(super) inverted: bool,
    /// As it was last made ready for publication.
    pub(super) shown: CheckHealth,
}

/// What a check's health follows from.
#[derive(Debug)]
pub(super) enum Basis {
    /// Probes of its own.
    Probed(ProbedCheck),
    /// Other checks: healthy when at least `threshold` of them are.
    Children { ids: Vec<u32>, threshold: usize },
    /// A target group's roll-up.
    Group(u32),
    /// A routing control: healthy while it is on.
    Control(Arc<str>),
}

/// A check with probes of its own.
#[derive(Debug)]
pub(super) struct ProbedCheck {
    pub(super) machine: CheckMachine,
    pub(super) probing: Probing,
    /// Keeps histograms of its probes' phases.
    pub(super) measure_latency: bool,
}

impl CheckEntry {
    /// Whom lines of the health check log are about.
    pub(super) fn subject(&self) -> Subject {
        Subject::Check {
            health_check: self.name.to_string(),
        }
    }

    /// The probed part, if it has one.
    pub(super) fn probed(&self) -> Option<&ProbedCheck> {
        match &self.basis {
            Basis::Probed(probed) => Some(probed),
            Basis::Children { .. } | Basis::Group(_) | Basis::Control(_) => None,
        }
    }

    /// The probed part, if it has one.
    pub(super) fn probed_mut(&mut self) -> Option<&mut ProbedCheck> {
        match &mut self.basis {
            Basis::Probed(probed) => Some(probed),
            Basis::Children { .. } | Basis::Group(_) | Basis::Control(_) => None,
        }
    }

    /// What the table shall hold when the basis says `found`: Route 53's order, disabled before
    /// inverted.
    pub(super) fn health(&self, found: (bool, Arc<str>), now: SystemTime) -> CheckHealth {
        let (basis, description) = match self.disabled {
            true => (true, "disabled: counts as healthy".into()),
            false => found,
        };
        let healthy = basis != self.inverted;
        CheckHealth {
            healthy,
            description: match self.inverted {
                true => format!("inverted: {description}").into(),
                false => description,
            },
            since: if healthy == self.shown.healthy {
                self.shown.since
            } else {
                now
            },
        }
    }
}
