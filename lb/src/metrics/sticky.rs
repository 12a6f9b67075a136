//! What became of clients' sessions: requests to sticky groups by whether they kept their target,
//! and cookies that did not count.

use super::{Counter, WorkerCounters};

/// What became of a request's session, or of a cookie it sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum StickyOutcome {
    /// It went to the target it had.
    Kept,
    /// It had none, or no cookie that counted.
    New,
    /// The target it had takes no work: another one has the session now.
    Moved,
    /// The cookie was not made here, or was changed.
    Forged,
    /// It is longer than any made here.
    Oversized,
    /// It is another group's.
    Foreign,
    /// Its time has passed.
    Expired,
}

impl StickyOutcome {
    /// Every outcome, in the order of their numbers.
    pub const ALL: [Self; 7] = [
        Self::Kept,
        Self::New,
        Self::Moved,
        Self::Forged,
        Self::Oversized,
        Self::Foreign,
        Self::Expired,
    ];

    /// The name in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::New => "new",
            Self::Moved => "moved",
            Self::Forged => "cookie-forged",
            Self::Oversized => "cookie-oversized",
            Self::Foreign => "cookie-of-another-group",
            Self::Expired => "cookie-expired",
        }
    }
}

/// Counts by outcome.
#[derive(Debug, Default)]
pub(super) struct StickyCounters([Counter; StickyOutcome::ALL.len()]);

impl WorkerCounters {
    /// Counts what became of a session.
    pub(crate) fn sticky(&self, outcome: StickyOutcome) {
        self.sticky.0[outcome as usize].add(1);
    }

    /// How often that was so.
    pub(crate) fn sticky_requests(&self, outcome: StickyOutcome) -> u64 {
        self.sticky.0[outcome as usize].value()
    }
}
