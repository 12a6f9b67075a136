//! The time of day at moments of the runtime's clock, which are there anyway: told from both clocks as
//! they were read together lately, so that a request reads one of them only.
//!
//! One per worker; for logs and for what expires by the second. Steps of the system's clock show within
//! a second.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// How far from a moment both clocks may have been read.
const FRESH: Duration = Duration::from_secs(1);

/// Both clocks, as they were read together.
#[derive(Debug, Default)]
pub(crate) struct WallClock(Cell<Option<(Instant, SystemTime)>>);

impl WallClock {
    /// The time of day at `moment`.
    pub(crate) fn at(&self, moment: Instant) -> SystemTime {
        let known = self.0.get().and_then(|both| told(both, moment));
        known.unwrap_or_else(|| {
            let (now, time) = (Instant::now(), SystemTime::now());
            self.0.set(Some((now, time)));
            time.checked_sub(now - moment).unwrap_or(time)
        })
    }
}

/// The time at `moment`, unless it is too far away.
fn told((read, time): (Instant, SystemTime), moment: Instant) -> Option<SystemTime> {
    match moment.checked_duration_since(read) {
        Some(after) => (after < FRESH).then(|| time + after),
        None => {
            let before = read - moment;
            time.checked_sub(before).filter(|_| before < FRESH)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn moments_have_the_time_of_the_system_by_a_reading_within_a_second() {
        let clock = WallClock::default();
        let start = Instant::now();
        let ms = Duration::from_millis;
        let first = clock.at(start);
        assert_eq!(clock.at(start + ms(999)), first + ms(999));
        assert_eq!(clock.at(start - ms(999)), first - ms(999));
        // The runtime's clock is paused, the system's is not.
        assert_eq!(clock.0.get(), Some((start, first)));
        tokio::time::advance(ms(1500)).await;
        let before = SystemTime::now();
        let later = clock.at(start + ms(1500));
        assert!(before <= later && later <= SystemTime::now());
        assert_eq!(clock.at(start + ms(1000)), later - ms(500));
        assert_eq!(clock.0.get(), Some((start + ms(1500), later)));
    }
}
