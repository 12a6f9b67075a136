//! Why failed attempts were not followed by another one.

use super::{Counter, WorkerCounters};

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
