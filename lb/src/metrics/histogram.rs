//! A duration histogram that one worker writes and anybody reads.
//!
//! Cost: an observation is a search of 14 bounds and two relaxed adds.

use std::time::Duration;

use super::Counter;

/// Upper bounds in microseconds; the last bucket has none.
pub(super) const BOUNDS_MICROS: [u64; 14] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 10_000_000,
];

/// Counts of durations by bucket, and their sum.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [Counter; BOUNDS_MICROS.len() + 1],
    sum_micros: Counter,
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_MICROS.partition_point(|&bound| bound < micros);
        self.buckets[bucket].add(1);
        self.sum_micros.add(micros);
    }

    /// The count of one bucket, not cumulative; the last one is past all bounds.
    pub(super) fn bucket(&self, place: usize) -> u64 {
        self.buckets.get(place).map_or(0, Counter::value)
    }

    /// The sum of all durations, in microseconds.
    pub(super) fn sum_micros(&self) -> u64 {
        self.sum_micros.value()
    }
}
