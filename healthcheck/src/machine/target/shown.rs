//! What a target's machine shows: the truth table of its parent module, row by row.
//!
//! Asked by the board after every event. Reads the machine and changes nothing.

use super::{Machine, Probed, Registration, Shown};
use crate::{AgentState, OperatorState, ReasonCode, Source, TargetState};

impl Machine {
    /// The truth table.
    pub(crate) fn shown(&self) -> Shown {
        use ReasonCode as R;
        use TargetState as S;
        let (state, reason, source, description) = match (self.registration, self.operator) {
            (Registration::Gone, _) => (
                S::Unused,
                R::NotRegistered,
                Source::Registration,
                "Target is not registered",
            ),
            (Registration::NotInUse, _) => (
                S::Unused,
                R::NotInUse,
                Source::Registration,
                "No listener or record uses the target group",
            ),
            (Registration::Deregistering { .. }, _) => (
                S::Draining,
                R::DeregistrationInProgress,
                Source::Registration,
                "Target deregistration is in progress",
            ),
            (Registration::InUse, OperatorState::Drain) => (
                S::Draining,
                R::DeregistrationInProgress,
                Source::Operator,
                "Drained by the operator",
            ),
            (Registration::InUse, OperatorState::Ready) => match self.agent {
                AgentState::Ready => return self.shown_by_health(),
                AgentState::Drain => (
                    S::Draining,
                    R::DeregistrationInProgress,
                    Source::Agent,
                    "Drained by its agent",
                ),
                AgentState::Maintenance => (
                    S::Draining,
                    R::DeregistrationInProgress,
                    Source::Agent,
                    "In maintenance by its agent",
                ),
            },
        };
        Shown {
            state,
            reason: Some(reason),
            source,
            description: description.into(),
        }
    }

    /// The rows of the truth table for targets in use and ready.
    fn shown_by_health(&self) -> Shown {
        let shown = self.shown_by_probes();
        match &self.ejection {
            Some(why) if !self.probed_unhealthy() && shown.state != TargetState::Unhealthy => {
                Shown {
                    state: TargetState::Unhealthy,
                    reason: Some(ReasonCode::Ejected),
                    source: Source::Passive,
                    description: why.clone(),
                }
            }
            _ => shown,
        }
    }

    /// Those of them that no ejection is laid over.
    pub(super) fn shown_by_probes(&self) -> Shown {
        let (state, reason, source, description) = match (self.probed, self.mark) {
            (Probed::Unhealthy, _) => (
                match self.draining_until {
                    Some(_) => TargetState::UnhealthyDraining,
                    None => TargetState::Unhealthy,
                },
                self.verdict_reason,
                Source::Probe,
                self.verdict.clone(),
            ),
            (_, Some(mark)) => (
                TargetState::Unhealthy,
                Some(ReasonCode::FailedHealthChecks),
                Source::Passive,
                format!("Traffic failed: {}", mark.failure.as_str()).into(),
            ),
            (Probed::Healthy, None) => (
                TargetState::Healthy,
                None,
                Source::Probe,
                self.verdict.clone(),
            ),
            (Probed::Undecided, None) => (
                TargetState::Initial,
                Some(ReasonCode::InitialHealthChecking),
                Source::Probe,
                "Initial health checks are in progress".into(),
            ),
            (Probed::Registered, None) => (
                TargetState::Initial,
                Some(ReasonCode::RegistrationInProgress),
                Source::Registration,
                "Target registration is in progress".into(),
            ),
        };
        Shown {
            state,
            reason,
            source,
            description,
        }
    }
}
