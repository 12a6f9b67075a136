//! How long a target's answers take to begin: a moving average that jumps up and sinks slowly.
//!
//! One per target, written by workers for groups that choose by it (`peak-ewma`), read by their
//! picker. Sans-io: `now` is passed in.
//!
//! Cost: a load to read, one compare-and-swap to write.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Time in which a difference shrinks to 1/e (Finagle's and linkerd's value).
const DECAY: Duration = Duration::from_secs(10);

/// A moving average of latencies.
#[derive(Debug)]
pub(crate) struct Latency {
    /// What times are counted from.
    epoch: Instant,
    /// Milliseconds since the epoch of the last sample (upper half), and the average then in
    /// microseconds, at least 1; 0 = no sample yet. One number, so that both are always of one moment.
    state: AtomicU64,
}

impl Latency {
    /// Without a sample.
    pub(crate) fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            state: AtomicU64::new(0),
        }
    }

    /// Takes a sample. One above the average replaces it: a target that has become slow must not be
    /// believed for another ten seconds.
    pub(crate) fn observe(&self, sample: Duration, now: Instant) {
        let sample = u32::try_from(sample.as_micros()).unwrap_or(u32::MAX).max(1);
        let at = self.since_epoch(now);
        let next = |state: u64| {
            let average = match decayed(state, at) {
                None => sample,
                Some(sunk) if f64::from(sample) >= sunk => sample,
                Some(sunk) => {
                    // The share of the past in what is left, by the time since the last sample.
                    let past = kept(state, at);
                    let old = f64::from(state as u32);
                    let mixed = old * past + f64::from(sample) * (1.0 - past);
                    (mixed.max(sunk.min(f64::from(sample))) as u32).max(1)
                }
            };
            Some(u64::from(at) << 32 | u64::from(average))
        };
        let order = Ordering::Relaxed;
        // `next` always gives a number.
        let _ = self.state.fetch_update(order, order, next);
    }

    /// The average at `now` in microseconds, sinking while nothing is heard, so that a target that was
    /// slow is tried again; `None` before the first sample.
    pub(crate) fn micros(&self, now: Instant) -> Option<f64> {
        decayed(self.state.load(Ordering::Relaxed), self.since_epoch(now))
    }

    /// Wraps after 49 days, which makes one answer count as new.
    fn since_epoch(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.epoch).as_millis() as u32
    }
}

/// The part of a past average that is left at `at`.
fn kept(state: u64, at: u32) -> f64 {
    let then = (state >> 32) as u32;
    let passed = at.saturating_sub(then);
    (-f64::from(passed) / DECAY.as_millis() as f64).exp()
}

fn decayed(state: u64, at: u32) -> Option<f64> {
    let average = state as u32;
    (average != 0).then(|| f64::from(average) * kept(state, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_count_at_once_and_sink_within_seconds() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let latency = Latency::new(start);
        assert_eq!(latency.micros(at(0)), None);
        latency.observe(Duration::from_millis(10), at(0));
        assert_eq!(latency.micros(at(0)), Some(10_000.0));
        latency.observe(Duration::from_millis(500), at(1));
        assert_eq!(latency.micros(at(1)), Some(500_000.0));
        // Quick again: each second brings it nearer to what is seen.
        let mut before = 500_000.0;
        for second in 2..60 {
            latency.observe(Duration::from_millis(10), at(second));
            let now = latency.micros(at(second)).unwrap();
            assert!(now <= before, "{now} after {before}");
            before = now;
        }
        assert!((9_000.0..20_000.0).contains(&before), "{before}");
        // Nothing heard: it sinks, and is tried again.
        assert!(latency.micros(at(120)).unwrap() < 100.0);
    }
}
