//! How long answers take to follow a change of health: compiled and published.
//!
//! Counted by the control task, which alone writes it; read when metrics are collected.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus::proto::{MetricFamily, MetricType};

use super::{family, histogram};

const FOLLOWS: &str = "pointsman_dns_compile_duration_seconds";

/// Upper bounds in seconds; 5 ms is what one change among ten thousand records may take.
const BOUNDS: [f64; 10] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.1, 0.5,
];

/// Times that answers followed health.
#[derive(Debug, Default)]
pub(crate) struct Follows {
    counts: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

impl Follows {
    /// Counts one change that took so long.
    pub(crate) fn count(&self, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        let place = BOUNDS.partition_point(|bound| *bound < seconds);
        if let Some(count) = self.counts.get(place) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let nanoseconds = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    /// For the exposition.
    pub(crate) fn collect(&self) -> MetricFamily {
        let buckets = self
            .counts
            .each_ref()
            .map(|count| count.load(Ordering::Relaxed));
        let seconds = Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed));
        family(
            FOLLOWS,
            "From a change of health to answers that follow from it.",
            MetricType::HISTOGRAM,
            vec![histogram(&buckets, &BOUNDS, seconds.as_secs_f64())],
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_by_their_bounds() {
        let follows = Follows::default();
        for micros in [50, 100, 101, 700_000] {
            follows.count(Duration::from_micros(micros));
        }
        let family = follows.collect();
        let histogram = family.get_metric()[0].get_histogram();
        let counts: Vec<u64> = histogram
            .get_bucket()
            .iter()
            .map(|b| b.cumulative_count())
            .collect();
        assert_eq!(counts, [2, 3, 3, 3, 3, 3, 3, 3, 3, 3]);
        assert_eq!(histogram.get_sample_count(), 4);
        assert!((histogram.get_sample_sum() - 0.700_251).abs() < 1e-9);
    }
}
