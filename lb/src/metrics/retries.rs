//! Failed attempts: why another target was tried, and why not.

use super::{Counter, WorkerCounters};

/// Why another target was tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RetryReason {
    /// The connection was refused.
    Refused,
    /// No route, or the network is down.
    Unreachable,
    /// The connect timed out.
    ConnectTimeout,
    /// A kept connection was closed before the request was on it.
    StaleConnection,
    /// The target closed a new connection before it answered.
    TargetClosed,
    /// Something local (no port, no descriptor).
    Local,
    /// No TLS could be agreed on with the target.
    TlsHandshake,
}

impl RetryReason {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Refused,
        Self::Unreachable,
        Self::ConnectTimeout,
        Self::StaleConnection,
        Self::TargetClosed,
        Self::Local,
        Self::TlsHandshake,
    ];

    /// The name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::ConnectTimeout => "connect-timeout",
            Self::StaleConnection => "stale-connection",
            Self::TargetClosed => "target-closed",
            Self::Local => "local",
            Self::TlsHandshake => "tls-handshake",
        }
    }
}

/// Why a request was not tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RetryRefusal {
    /// It had all its `retries`.
    Limit,
    /// The group's `retry-budget` is used up.
    Budget,
    /// The group has `max-retries` running.
    AtATime,
}

impl RetryRefusal {
    /// Every reason, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Limit, Self::Budget, Self::AtATime];

    /// The name in metrics: the key that says so.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Limit => "retries",
            Self::Budget => "retry-budget",
            Self::AtATime => "max-retries",
        }
    }
}

/// Counts by reason.
#[derive(Debug, Default)]
pub(super) struct RefusedRetries([Counter; RetryRefusal::ALL.len()]);

impl WorkerCounters {
    /// Counts a request that was not tried again.
    pub(crate) fn refuse_retry(&self, reason: RetryRefusal) {
        self.refused_retries.0[reason as usize].add(1);
    }

    /// How many there were.
    pub(crate) fn refused_retries(&self, reason: RetryRefusal) -> u64 {
        self.refused_retries.0[reason as usize].value()
    }
}
