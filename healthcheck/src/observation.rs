//! What one probe found.
//!
//! Made by the probers, read by the state machines and shown in details. Pure data.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::ReasonCode;

/// How a probe ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As asked for.
    Passed,
    /// A response with a status that does not count as success.
    CodeMismatch(u16),
    /// No answer in time.
    TimedOut,
    /// No connection, or no HTTP response on it.
    Failed,
    /// There is no data to judge by (a metric), and the state is to stay as it is.
    NoData,
    /// This process was at fault (no descriptor or port left, its thread ran late): says nothing
    /// about the target.
    Void,
}

impl Outcome {
    /// The word for details and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::CodeMismatch(_) | Self::TimedOut | Self::Failed => "failed",
            Self::NoData => "no-data",
            Self::Void => "void",
        }
    }
}

/// How long the phases of a probe took; `None` for a phase it did not get to, or does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Phases {
    /// From the start until the connection stood.
    pub connect: Option<Duration>,
    /// From the connection until TLS was agreed on.
    pub tls: Option<Duration>,
    /// From then until the first byte of the response.
    pub first_byte: Option<Duration>,
    /// From the same moment until the response head (or the whole answer) was there.
    pub response: Option<Duration>,
}

/// What an agent wants for its target (HAProxy's agent-check).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AgentReport {
    /// `ready`, `drain` or `maint`; `None` = as before.
    pub state: Option<AgentState>,
    /// Share of the weight, in percent; `None` = as before.
    pub percent: Option<u16>,
    /// Work it may have at a time (`maxconn`), 0 = any; `None` = as before.
    pub max_in_flight: Option<u32>,
}

/// What an agent wants of its target, apart from its health.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AgentState {
    /// Used by its health. The default.
    #[default]
    Ready,
    /// No new work.
    Drain,
    /// No new work, because somebody works on it.
    Maintenance,
}

/// The result of one probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// How it ended.
    pub outcome: Outcome,
    /// The response's first line, else the error, for people.
    pub seen: Arc<str>,
    /// How long its phases took.
    pub phases: Phases,
    /// What an agent said besides up or down.
    pub agent: Option<AgentReport>,
    /// When it began.
    pub started: Instant,
    /// When it ended.
    pub ended: Instant,
}

impl Observation {
    /// True when the probe passed.
    pub fn passed(&self) -> bool {
        self.outcome == Outcome::Passed
    }

    /// ELB's reason code for a probe that failed.
    pub fn reason(&self) -> Option<ReasonCode> {
        match self.outcome {
            Outcome::Passed | Outcome::NoData | Outcome::Void => None,
            Outcome::CodeMismatch(_) => Some(ReasonCode::ResponseCodeMismatch),
            Outcome::TimedOut => Some(ReasonCode::Timeout),
            Outcome::Failed => Some(ReasonCode::FailedHealthChecks),
        }
    }

    /// The description that goes with [`Observation::reason`], in ELB's words; what was seen when
    /// the probe passed.
    pub fn explanation(&self) -> Arc<str> {
        match self.outcome {
            Outcome::Passed | Outcome::NoData | Outcome::Void => self.seen.clone(),
            Outcome::CodeMismatch(code) => {
                format!("Health checks failed with these codes: [{code}]").into()
            }
            Outcome::TimedOut => "Request timed out".into(),
            Outcome::Failed => format!("Health checks failed: {}", self.seen).into(),
        }
    }
}
