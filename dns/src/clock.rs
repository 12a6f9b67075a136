//! The time that answers bear and limits are counted by.
//!
//! Read once for a batch by the threads that answer; the answer path itself looks at no clock.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::answer::Moment;

/// One for the process: limits are counted by several threads in one table.
static START: OnceLock<Instant> = OnceLock::new();

/// Two clocks in one reading.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    start: Instant,
}

impl Clock {
    /// The process's clock.
    pub(crate) fn new() -> Self {
        Self {
            start: *START.get_or_init(Instant::now),
        }
    }

    /// The moment that `instant`, which was read just now, stands for.
    pub(crate) fn at(&self, instant: Instant) -> Moment {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH);
        let age = instant.saturating_duration_since(self.start);
        let unix = unix.unwrap_or_default();
        Moment {
            unix: unix.as_secs() as u32,
            unix_micros: u64::try_from(unix.as_micros()).unwrap_or(u64::MAX),
            micros: u64::try_from(age.as_micros()).unwrap_or(u64::MAX),
        }
    }
}
