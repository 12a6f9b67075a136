//! The words of health: states, reason codes, sources, operator states, with ELB's names.
//!
//! Used by the board, both planes, the API, logs and metrics. Pure data; serialized as their names.

use serde::{Serialize, Serializer};

macro_rules! serialized_by_name {
    ($($word:ident),*) => {$(
        impl Serialize for $word {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    )*};
}

serialized_by_name!(TargetState, ReasonCode, Source, OperatorState);

/// What a target is, in ELB's words (`TargetHealthStateEnum`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TargetState {
    /// Registered; the first probe has not passed or failed the threshold yet.
    Initial,
    /// Probes pass.
    Healthy,
    /// Probes fail, or traffic could not reach it.
    Unhealthy,
    /// Unhealthy, its flows ending.
    UnhealthyDraining,
    /// No new work: deregistered with its delay running, or drained by the operator.
    Draining,
    /// Registered, but no listener or record uses its group; or gone.
    Unused,
    /// Its health cannot be known.
    Unavailable,
}

impl TargetState {
    /// Every state, in the order metrics list them.
    pub const ALL: [Self; 7] = [
        Self::Initial,
        Self::Healthy,
        Self::Unhealthy,
        Self::UnhealthyDraining,
        Self::Draining,
        Self::Unused,
        Self::Unavailable,
    ];

    /// The name in API, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::UnhealthyDraining => "unhealthy.draining",
            Self::Draining => "draining",
            Self::Unused => "unused",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Why a target is in its state, in ELB's words (`TargetHealthReasonEnum`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReasonCode {
    /// `Elb.RegistrationInProgress`
    RegistrationInProgress,
    /// `Elb.InitialHealthChecking`
    InitialHealthChecking,
    /// `Elb.InternalError`
    InternalError,
    /// `Target.ResponseCodeMismatch`
    ResponseCodeMismatch,
    /// `Target.Timeout`
    Timeout,
    /// `Target.FailedHealthChecks`
    FailedHealthChecks,
    /// `Target.NotRegistered`
    NotRegistered,
    /// `Target.NotInUse`
    NotInUse,
    /// `Target.DeregistrationInProgress`
    DeregistrationInProgress,
    /// `Target.HealthCheckDisabled`
    HealthCheckDisabled,
    /// `Target.Ejected`: real traffic was an outlier. Not ELB's.
    Ejected,
}

impl ReasonCode {
    /// Every reason code.
    pub const ALL: [Self; 11] = [
        Self::RegistrationInProgress,
        Self::InitialHealthChecking,
        Self::InternalError,
        Self::ResponseCodeMismatch,
        Self::Timeout,
        Self::FailedHealthChecks,
        Self::NotRegistered,
        Self::NotInUse,
        Self::DeregistrationInProgress,
        Self::HealthCheckDisabled,
        Self::Ejected,
    ];

    /// The name in API, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RegistrationInProgress => "Elb.RegistrationInProgress",
            Self::InitialHealthChecking => "Elb.InitialHealthChecking",
            Self::InternalError => "Elb.InternalError",
            Self::ResponseCodeMismatch => "Target.ResponseCodeMismatch",
            Self::Timeout => "Target.Timeout",
            Self::FailedHealthChecks => "Target.FailedHealthChecks",
            Self::NotRegistered => "Target.NotRegistered",
            Self::NotInUse => "Target.NotInUse",
            Self::DeregistrationInProgress => "Target.DeregistrationInProgress",
            Self::HealthCheckDisabled => "Target.HealthCheckDisabled",
            Self::Ejected => "Target.Ejected",
        }
    }
}

/// Who brought a state about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// Probes, by thresholds.
    Probe,
    /// Real traffic: a connect that failed, or an ejection.
    Passive,
    /// The operator.
    Operator,
    /// The target's agent.
    Agent,
    /// Registration or deregistration.
    Registration,
}

impl Source {
    /// The name in API and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Passive => "passive",
            Self::Operator => "operator",
            Self::Agent => "agent",
            Self::Registration => "registration",
        }
    }
}

/// What the operator wants of a target, apart from what probes find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OperatorState {
    /// Used by its health. The default.
    #[default]
    Ready,
    /// No new work; work in hand goes on without an end.
    Drain,
}

impl OperatorState {
    /// The name in API and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
        }
    }
}
