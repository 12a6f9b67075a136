//! A target's state: registration x operator x probes, and the mark that traffic leaves.
//!
//! | registration  | operator | probes and mark | state: reason (source)                      |
//! |---------------|----------|-----------------|---------------------------------------------|
//! | in use        | ready    | no probe begun  | initial: RegistrationInProgress (registration) |
//! | in use        | ready    | none decided    | initial: InitialHealthChecking (probe)      |
//! | in use        | ready    | passed          | healthy (probe)                             |
//! | in use        | ready    | mark, not failed | unhealthy: FailedHealthChecks (passive)    |
//! | in use        | ready    | ejected, neither of these | unhealthy: Ejected (passive)      |
//! | in use        | ready    | failed          | unhealthy: the last failed probe's (probe)  |
//! | in use        | ready    | failed, draining interval runs | unhealthy.draining: the same |
//! | in use        | drain    | any             | draining: DeregistrationInProgress (operator) |
//! | in use        | ready    | agent wants no work | draining: DeregistrationInProgress (agent) |
//! | not in use    | any      | not probed      | unused: NotInUse (registration)             |
//! | deregistering | any      | not probed      | draining: DeregistrationInProgress (registration) |
//! | gone          | any      | not probed      | unused: NotRegistered (registration)        |
//!
//! (What the operator says goes before what an agent says, and that before health. ELB prefixes the
//! reasons of `initial` with `Elb.`, the others with `Target.`.)
//! A new target needs one passed probe, or `unhealthy` failed ones; afterwards thresholds apply. A
//! failure of traffic that proves little (a connect that timed out) is a doubt: it changes nothing
//! but asks for a probe, and becomes the mark when that probe fails too. A target that went down
//! through the mark comes back on the first passed probe begun after it, also when failed probes
//! found it unhealthy meanwhile: nothing but the mark said it was ill at first. An ejection is laid
//! over what probes find: they neither end it nor count less meanwhile, and when it ends the target is
//! what they say.

mod shown;

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::{
    AgentReport, AgentState, Observation, OperatorState, Outcome, PassiveEvent, PassiveFailure,
};
use crate::{ReasonCode, Source, TargetState};

/// The highest weight a target can have.
const MAX_WEIGHT: u16 = 1000;

/// Probe results in a row that change a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Thresholds {
    /// Passed ones that make an unhealthy target healthy; at least 1.
    pub(crate) healthy: u32,
    /// Failed ones that make a target unhealthy; at least 1.
    pub(crate) unhealthy: u32,
}

/// What everybody sees of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) state: TargetState,
    pub(crate) reason: Option<ReasonCode>,
    pub(crate) source: Source,
    pub(crate) description: Arc<str>,
}

/// Where a target stands between registration and its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Registration {
    InUse,
    NotInUse,
    Deregistering { deadline: Instant },
    Gone,
}

/// What probes alone found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Probed {
    Registered,
    Undecided,
    Healthy,
    Unhealthy,
}

/// A failure that traffic saw and no later probe has refuted.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: Instant,
    failure: PassiveFailure,
}

/// What a probe's result did to traffic's mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MarkChange {
    /// Nothing.
    None,
    /// The mark, or the doubt, is gone.
    Cleared,
    /// The probe confirmed the doubt.
    Set,
}

/// One target's state machine.
#[derive(Debug)]
pub(crate) struct Machine {
    thresholds: Thresholds,
    registration: Registration,
    operator: OperatorState,
    agent: AgentState,
    /// Share of the weight that the agent wants, in percent.
    percent: u16,
    /// Work the agent wants it to have at a time; 0 = any.
    agent_limit: u32,
    probed: Probed,
    mark: Option<Mark>,
    /// A failure that proves little: it becomes the mark when a later probe fails too.
    doubt: Option<Mark>,
    /// Traffic, not probes, took the target down.
    down_by_mark: bool,
    /// When the last passed probe began: an older failure says nothing any more.
    passed_at: Option<Instant>,
    passes: u32,
    failures: u32,
    verdict_reason: Option<ReasonCode>,
    verdict: Arc<str>,
    /// Traffic was an outlier, and this is why; the board says when that is over.
    ejection: Option<Arc<str>>,
    /// How long flows go on once probes find the target unhealthy; 0 = whatever else is said.
    draining_interval: Duration,
    /// Until when, while they do.
    draining_until: Option<Instant>,
    /// What the state follows from is remembered from before a restart; no probe has ended since.
    recalled: bool,
}

/// What survives a restart of this process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recollection {
    /// What probes had found, and traffic not contradicted.
    pub(crate) healthy: bool,
    /// The first passed probe was to bring it back: traffic, not probes, took it down.
    pub(crate) at_once: bool,
    /// Why not.
    pub(crate) reason: Option<ReasonCode>,
    /// Why, for people.
    pub(crate) description: Arc<str>,
}

impl Machine {
    /// A newly registered target.
    pub(crate) fn new(thresholds: Thresholds, in_use: bool) -> Self {
        Self {
            thresholds,
            registration: if in_use {
                Registration::InUse
            } else {
                Registration::NotInUse
            },
            operator: OperatorState::Ready,
            agent: AgentState::Ready,
            percent: 100,
            agent_limit: 0,
            probed: Probed::Registered,
            mark: None,
            doubt: None,
            down_by_mark: false,
            passed_at: None,
            passes: 0,
            failures: 0,
            verdict_reason: None,
            verdict: Arc::from(""),
            ejection: None,
            draining_interval: Duration::ZERO,
            draining_until: None,
            recalled: false,
        }
    }

    /// Out of use by what traffic saw, until [`Machine::readmit`]; means nothing to a target that
    /// is not in use.
    pub(crate) fn eject(&mut self, why: Arc<str>) {
        self.ejection = self.is_probed().then_some(why);
    }

    /// The ejection is over.
    pub(crate) fn readmit(&mut self) {
        self.ejection = None;
    }

    /// True while it is ejected.
    pub(crate) fn is_ejected(&self) -> bool {
        self.ejection.is_some()
    }

    /// Begins as it was left before a restart, instead of as a new one.
    pub(crate) fn recall(&mut self, before: Recollection) {
        self.probed = match before.healthy {
            true => Probed::Healthy,
            false => Probed::Unhealthy,
        };
        self.down_by_mark = before.at_once;
        self.verdict_reason = before.reason;
        self.verdict = before.description;
        self.recalled = true;
    }

    /// What shall survive a restart: what probes found and traffic does not contradict. `None` for
    /// what is not decided, or not probed.
    pub(crate) fn recollection(&self) -> Option<Recollection> {
        let decided = !self.is_undecided() && self.is_probed();
        decided.then(|| {
            let shown = self.shown_by_probes();
            let healthy = shown.state == TargetState::Healthy;
            Recollection {
                healthy,
                at_once: !healthy && self.recovers_at_once(),
                reason: shown.reason,
                description: shown.description,
            }
        })
    }

    /// What its agent wants, to survive a restart too.
    pub(crate) fn agent(&self) -> AgentReport {
        AgentReport {
            state: Some(self.agent),
            percent: Some(self.percent),
            max_in_flight: Some(self.agent_limit),
        }
    }

    /// The agent wants this.
    pub(crate) fn obey_agent(&mut self, report: AgentReport) {
        self.agent = report.state.unwrap_or(self.agent);
        self.percent = report.percent.unwrap_or(self.percent);
        self.agent_limit = report.max_in_flight.unwrap_or(self.agent_limit);
    }

    /// Registers the target again, or tells it whether its group is in use now. Cancels a
    /// deregistration; a target that was gone or not probed until now starts as a new one: true
    /// then, as what traffic marked is forgotten too.
    pub(crate) fn register(&mut self, in_use: bool) -> bool {
        let fresh = match self.registration {
            Registration::Gone => true,
            Registration::NotInUse => in_use,
            Registration::InUse | Registration::Deregistering { .. } => !in_use,
        };
        if fresh {
            let operator = match self.registration {
                Registration::Gone => OperatorState::Ready,
                _ => self.operator,
            };
            *self = Self::new(self.thresholds, in_use);
            self.operator = operator;
        } else if in_use {
            self.registration = Registration::InUse;
        }
        fresh
    }

    /// Begins the deregistration delay. A target whose group is not in use has no work to finish
    /// and is gone at once.
    pub(crate) fn deregister(&mut self, deadline: Instant) {
        self.ejection = None;
        self.registration = match self.registration {
            Registration::InUse => Registration::Deregistering { deadline },
            Registration::NotInUse => Registration::Gone,
            other => other,
        };
    }

    /// Ends the deregistration delay when it has passed; true when the target is gone.
    pub(crate) fn expire(&mut self, now: Instant) -> bool {
        if self.deadline().is_some_and(|deadline| deadline <= now) {
            self.registration = Registration::Gone;
        }
        self.registration == Registration::Gone
    }

    /// How long flows go on after the target has turned unhealthy, the next time it does.
    pub(crate) fn set_draining_interval(&mut self, interval: Duration) {
        self.draining_interval = interval;
        if interval.is_zero() {
            self.draining_until = None;
        }
    }

    /// When the flows of an unhealthy target end, while they go on.
    pub(crate) fn draining_until(&self) -> Option<Instant> {
        self.draining_until
    }

    /// Ends the draining interval when it has passed.
    pub(crate) fn end_draining(&mut self, now: Instant) {
        if self.draining_until.is_some_and(|until| until <= now) {
            self.draining_until = None;
        }
    }

    /// New thresholds, for the results to come.
    pub(crate) fn set_thresholds(&mut self, thresholds: Thresholds) {
        self.thresholds = thresholds;
    }

    /// Another probe is made from now on: results in a row start anew, and what an agent said is
    /// forgotten.
    pub(crate) fn restart_counts(&mut self) {
        self.agent = AgentState::Ready;
        self.percent = 100;
        self.agent_limit = 0;
        self.passes = 0;
        self.failures = 0;
    }

    /// What the operator wants.
    pub(crate) fn set_operator(&mut self, operator: OperatorState) {
        self.operator = operator;
    }

    /// A probe of the target began; true when it was the first one.
    pub(crate) fn probe_began(&mut self) -> bool {
        let first = self.probed == Probed::Registered;
        if first {
            self.probed = Probed::Undecided;
        }
        first
    }

    /// Takes a probe's result. `counted` is false for the additional probes a mark asks for: they
    /// can clear the mark, or confirm a doubt, but their failures must not hasten what thresholds
    /// and the interval say (connection termination follows from it).
    pub(crate) fn observe(&mut self, observation: &Observation, counted: bool) -> MarkChange {
        if let Some(report) = observation.agent {
            self.obey_agent(report);
        }
        match observation.outcome {
            Outcome::NoData | Outcome::Void => MarkChange::None,
            Outcome::Passed => self.observe_pass(observation),
            _ => {
                if counted {
                    self.observe_failure(observation);
                }
                self.confirm_doubt(observation)
            }
        }
    }

    /// Makes the doubt a mark when the probe began after it.
    fn confirm_doubt(&mut self, observation: &Observation) -> MarkChange {
        match self.doubt {
            Some(doubt) if observation.started >= doubt.at => {
                self.doubt = None;
                self.mark = Some(doubt);
                self.down_by_mark |= self.probed != Probed::Unhealthy;
                MarkChange::Set
            }
            _ => MarkChange::None,
        }
    }

    fn observe_pass(&mut self, observation: &Observation) -> MarkChange {
        if self.mark.is_some_and(|mark| observation.started < mark.at) {
            return MarkChange::None;
        }
        let marked = self.mark.take().is_some();
        let doubted = (self.doubt.take_if(|doubt| observation.started >= doubt.at)).is_some();
        self.passed_at = self.passed_at.max(Some(observation.started));
        self.failures = 0;
        self.passes = self.passes.saturating_add(1);
        let recalled = std::mem::take(&mut self.recalled);
        let was_healthy = self.probed == Probed::Healthy && !marked && !recalled;
        let at_once = self.probed != Probed::Unhealthy || self.down_by_mark;
        if !was_healthy && (at_once || self.passes >= self.thresholds.healthy) {
            self.probed = Probed::Healthy;
            self.draining_until = None;
            self.down_by_mark = false;
            self.verdict_reason = None;
            self.verdict = observation.explanation();
        }
        match marked || doubted {
            true => MarkChange::Cleared,
            false => MarkChange::None,
        }
    }

    fn observe_failure(&mut self, observation: &Observation) {
        self.recalled = false;
        self.passes = 0;
        self.failures = self.failures.saturating_add(1);
        if self.probed == Probed::Unhealthy || self.failures >= self.thresholds.unhealthy {
            if self.probed != Probed::Unhealthy && !self.draining_interval.is_zero() {
                self.draining_until = Some(observation.ended + self.draining_interval);
            }
            self.probed = Probed::Unhealthy;
            self.verdict_reason = observation.reason();
            self.verdict = observation.explanation();
        }
    }

    /// Takes a failure that traffic saw; false when a probe begun later has refuted it already.
    pub(crate) fn mark(&mut self, event: &PassiveEvent) -> bool {
        if self.passed_at.is_some_and(|started| started >= event.at) {
            return false;
        }
        let mark = Mark {
            at: event.at,
            failure: event.failure,
        };
        if !event.failure.is_proof() && self.mark.is_none() {
            self.doubt = Some(mark);
            return true;
        }
        if self.mark.is_none_or(|mark| mark.at < event.at) {
            self.mark = Some(mark);
        }
        self.down_by_mark |= self.probed != Probed::Unhealthy;
        true
    }

    /// True while additional probes are worth their cost: only traffic says the target is down.
    pub(crate) fn wants_hurry(&self) -> bool {
        let doubtful = self.is_suspect() || self.doubt.is_some();
        self.is_probed() && doubtful && !self.probed_unhealthy()
    }

    /// True while the target is to be probed.
    pub(crate) fn is_probed(&self) -> bool {
        self.registration == Registration::InUse
    }

    /// True until the target is deregistered.
    pub(crate) fn is_registered(&self) -> bool {
        matches!(
            self.registration,
            Registration::InUse | Registration::NotInUse
        )
    }

    /// True while traffic's mark stands.
    pub(crate) fn is_suspect(&self) -> bool {
        self.mark.is_some()
    }

    /// True when the next passed probe makes the target healthy, whatever the threshold.
    pub(crate) fn recovers_at_once(&self) -> bool {
        self.probed != Probed::Unhealthy || self.down_by_mark
    }

    /// True until probes decided for the first time.
    pub(crate) fn is_undecided(&self) -> bool {
        matches!(self.probed, Probed::Registered | Probed::Undecided)
    }

    /// True while the last results differ from the state, or none is decided: what comes next
    /// matters more than at other times.
    pub(crate) fn is_unsettled(&self) -> bool {
        match self.probed {
            Probed::Registered | Probed::Undecided => true,
            Probed::Healthy => self.failures > 0 || self.recalled,
            Probed::Unhealthy => self.passes > 0 || self.recalled,
        }
    }

    /// True while probes, by the unhealthy threshold, find the target down.
    pub(crate) fn probed_unhealthy(&self) -> bool {
        self.probed == Probed::Unhealthy
    }

    /// When the deregistration delay ends, while it runs.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.registration {
            Registration::Deregistering { deadline } => Some(deadline),
            _ => None,
        }
    }

    /// What the operator wants.
    pub(crate) fn operator(&self) -> OperatorState {
        self.operator
    }

    /// `weight` as the agent wants it: its share, rounded up, so that only 0 % ends new work
    /// (HAProxy).
    pub(crate) fn weighed(&self, weight: u16) -> u16 {
        let share = (u32::from(weight) * u32::from(self.percent)).div_ceil(100);
        let most = MAX_WEIGHT.max(weight);
        u16::try_from(share).unwrap_or(most).min(most)
    }

    /// Work its agent wants it to have at a time; 0 = any.
    pub(crate) fn agent_limit(&self) -> u32 {
        self.agent_limit
    }

    /// The thresholds in force.
    pub(crate) fn thresholds(&self) -> Thresholds {
        self.thresholds
    }

    /// Passed probes in a row.
    pub(crate) fn passes(&self) -> u32 {
        self.passes
    }

    /// Failed, counted probes in a row.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}
