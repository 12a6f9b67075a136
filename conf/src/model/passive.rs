//! What real traffic may do to a target's health: `[target-group.passive-health]`.

use std::time::Duration;

/// A kind of failure that real traffic sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TrafficFailure {
    /// No connection.
    Connect = 0,
    /// The target reset or closed the connection before its answer was whole, or what it sent is
    /// no answer.
    Reset = 1,
    /// It did not answer within `response-timeout`.
    Timeout = 2,
    /// A status of 502, 503 or 504.
    Gateway = 3,
    /// Any other status of 500 and above.
    ServerError = 4,
}

impl TrafficFailure {
    /// Every kind, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::Connect,
        Self::Reset,
        Self::Timeout,
        Self::Gateway,
        Self::ServerError,
    ];

    /// The name in API, logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Reset => "reset",
            Self::Timeout => "timeout",
            Self::Gateway => "gateway",
            Self::ServerError => "server-error",
        }
    }
}

/// Kinds of failure that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TrafficFailures(u8);

impl TrafficFailures {
    /// These kinds.
    pub fn of(kinds: &[TrafficFailure]) -> Self {
        Self(kinds.iter().fold(0, |bits, kind| bits | 1 << *kind as u8))
    }

    /// As the bits of the kinds' numbers.
    pub fn bits(self) -> u8 {
        self.0
    }

    /// True when the kind counts.
    pub fn contains(self, kind: TrafficFailure) -> bool {
        self.0 & 1 << kind as u8 != 0
    }
}

/// When real traffic ejects a target, and for how long (Envoy's outlier detection).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassiveHealth {
    /// What counts as a failure.
    pub failures: TrafficFailures,
    /// Failures in a row that eject a target; 0 = off.
    pub consecutive_failures: u32,
    /// Share of failures within `interval` that ejects a target, in percent; 0 = off.
    pub failure_percentage: u8,
    /// Thousandths of a standard deviation by which a success rate is below the group's mean
    /// when it ejects the target; 0 = off.
    pub success_rate_deviation: u32,
    /// Requests (or flows) within `interval` below which no share is looked at; at least 1.
    pub minimum_requests: u32,
    /// Targets with so many requests below which success rates are not compared.
    pub minimum_targets: u32,
    /// How often shares are looked at, and over which time.
    pub interval: Duration,
    /// How long the first ejection lasts; the n-th lasts n times as long.
    pub base_ejection_time: Duration,
    /// The longest ejection, jitter not counted.
    pub max_ejection_time: Duration,
    /// Ejections last up to so much longer, at random.
    pub ejection_jitter: Duration,
    /// Share of the registered targets that may be ejected at one time, in percent (1-100); one
    /// target may be in any case.
    pub max_ejected_percentage: u8,
}
