//! Latencies counted in log-linear buckets, for percentiles without keeping samples.
//!
//! The load generators record into one; `percentile` is read once at the end. Each power of two
//! is cut into 32 buckets, so a percentile is at most 3.2 % above the true value.
//!
//! Cost: one add per sample, no allocation after construction.

use std::time::Duration;

const SUB_BITS: u32 = 5;
const SUB_BUCKETS: usize = 1 << SUB_BITS;
const BUCKETS: usize = (64 - SUB_BITS as usize + 1) * SUB_BUCKETS;

/// Counts of latencies by magnitude.
#[derive(Debug, Clone)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: vec![0; BUCKETS],
            total: 0,
        }
    }
}

impl Histogram {
    /// Counts one latency.
    pub fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get_mut(bucket(nanos)) {
            *count += 1;
            self.total += 1;
        }
    }

    /// How many latencies were counted.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The upper bound of the bucket that holds the given share (0.0 to 1.0) of the samples;
    /// zero without samples.
    pub fn percentile(&self, share: f64) -> Duration {
        let wanted = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(upper_bound(index));
            }
        }
        Duration::ZERO
    }
}

fn bucket(nanos: u64) -> usize {
    let magnitude = (u64::BITS - nanos.leading_zeros()).saturating_sub(SUB_BITS + 1);
    let sub = (nanos >> magnitude) as usize;
    magnitude as usize * SUB_BUCKETS + sub
}

fn upper_bound(index: usize) -> u64 {
    let magnitude = (index / SUB_BUCKETS).saturating_sub(1) as u32;
    let sub = (index - magnitude as usize * SUB_BUCKETS) as u64;
    (sub << magnitude) | ((1 << magnitude) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_a_bucket_whose_bound_is_close_above_it() {
        for shift in 0..64 {
            for value in [1_u64 << shift, (1 << shift) | ((1 << shift) >> 1)] {
                let bound = upper_bound(bucket(value));
                assert!(bound >= value, "{value} is above {bound}");
                assert!(
                    bound - value <= value / 32 + 1,
                    "{value} is far from {bound}"
                );
            }
        }
    }

    #[test]
    fn percentiles_of_a_ramp() {
        let mut histogram = Histogram::default();
        for micros in 1..=1000 {
            histogram.record(Duration::from_micros(micros));
        }
        assert_eq!(histogram.total(), 1000);
        for (share, micros) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let found = histogram.percentile(share).as_secs_f64() * 1e6;
            assert!(
                found >= micros && found <= micros * 1.033,
                "{share}: {found}"
            );
        }
    }

    #[test]
    fn without_samples_a_percentile_is_zero() {
        assert_eq!(Histogram::default().percentile(0.99), Duration::ZERO);
    }
}
