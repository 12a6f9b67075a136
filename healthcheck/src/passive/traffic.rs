//! Counts of what real traffic came to on one target: written by every worker, read by the board.
//!
//! Each worker adds to numbers of its own; failures in a row are one number for the process, which
//! successes only read while it is 0. Nothing is ever reset by the board but that number: it takes
//! differences. Never decides anything.
//!
//! Cost: a success is two relaxed loads and an uncontended load and store; a failure one atomic
//! addition more. No lock, no allocation.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use conf::{TrafficFailure, TrafficFailures};

use super::TrafficOutcome;

/// A value alone on its pair of cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Apart<T>(T);

/// What one worker counted.
#[derive(Debug, Default)]
struct Counts {
    successes: AtomicU64,
    failures: [AtomicU64; TrafficFailure::ALL.len()],
}

/// Sums over all workers, since the counts were made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Requests and flows that went well.
    pub successes: u64,
    /// The others, in the order of [`TrafficFailure::ALL`].
    pub failures: [u64; TrafficFailure::ALL.len()],
}

impl Tally {
    /// What was counted since `before`.
    pub fn since(self, before: Self) -> Self {
        let mut failures = self.failures;
        for (failures, before) in failures.iter_mut().zip(before.failures) {
            *failures = failures.wrapping_sub(before);
        }
        Self {
            successes: self.successes.wrapping_sub(before.successes),
            failures,
        }
    }

    /// Everything.
    pub fn requests(self) -> u64 {
        self.successes + self.failures.iter().sum::<u64>()
    }

    /// The failures of these kinds.
    pub fn failed(self, kinds: TrafficFailures) -> u64 {
        let all = TrafficFailure::ALL.into_iter().zip(self.failures);
        all.filter(|(kind, _)| kinds.contains(*kind))
            .map(|(_, count)| count)
            .sum()
    }
}

/// The counts of one target.
#[derive(Debug)]
pub struct Traffic {
    /// Kinds that count in the upper half, failures in a row that are told in the lower.
    rule: AtomicU64,
    in_a_row: Apart<AtomicU32>,
    workers: Box<[Apart<Counts>]>,
}

impl Traffic {
    /// Zeroes for so many workers.
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            rule: AtomicU64::new(0),
            in_a_row: Apart::default(),
            workers: (0..workers).map(|_| Apart::default()).collect(),
        }
    }

    /// Counts these kinds as failures, and tells of `threshold` in a row; 0 = tells nothing.
    pub(crate) fn set_rule(&self, kinds: TrafficFailures, threshold: u32) {
        let rule = u64::from(kinds.bits()) << 32 | u64::from(threshold);
        self.rule.store(rule, Ordering::Relaxed);
    }

    /// Failures in a row begin anew.
    pub(crate) fn forgive(&self) {
        self.in_a_row.0.store(0, Ordering::Relaxed);
    }

    /// Failures in a row so far.
    pub fn in_a_row(&self) -> u32 {
        self.in_a_row.0.load(Ordering::Relaxed)
    }

    /// Sums over all workers.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for Apart(counts) in &self.workers {
            tally.successes += counts.successes.load(Ordering::Relaxed);
            for (sum, count) in tally.failures.iter_mut().zip(&counts.failures) {
                *sum += count.load(Ordering::Relaxed);
            }
        }
        tally
    }

    /// Counts one outcome, on worker number `worker`; true when so many failures in a row are to
    /// be told to the board. A failure that does not count is an answer like any other.
    pub fn observe(&self, worker: usize, outcome: TrafficOutcome) -> bool {
        let Some(Apart(counts)) = self.workers.get(worker) else {
            return false;
        };
        let counter = match outcome {
            TrafficOutcome::Success => &counts.successes,
            TrafficOutcome::Failure(kind) => &counts.failures[kind as usize],
        };
        // One writer: a load and a store are enough.
        let sum = counter.load(Ordering::Relaxed).wrapping_add(1);
        counter.store(sum, Ordering::Relaxed);
        let rule = self.rule.load(Ordering::Relaxed);
        let counts_as_failure = match outcome {
            TrafficOutcome::Success => false,
            TrafficOutcome::Failure(kind) => rule >> 32 & 1 << kind as u8 != 0,
        };
        if !counts_as_failure {
            if self.in_a_row.0.load(Ordering::Relaxed) != 0 {
                self.in_a_row.0.store(0, Ordering::Relaxed);
            }
            return false;
        }
        let in_a_row = self
            .in_a_row
            .0
            .fetch_add(1, Ordering::Relaxed)
            .wrapping_add(1);
        let threshold = rule as u32;
        // Told again with each further threshold, should the board have refused.
        threshold > 0 && in_a_row.is_multiple_of(threshold)
    }
}

#[cfg(test)]
mod tests {
    use TrafficFailure::{Connect, Gateway, Reset};

    use super::*;

    const BAD: TrafficOutcome = TrafficOutcome::Failure(Gateway);

    fn traffic(threshold: u32) -> Traffic {
        let traffic = Traffic::new(2);
        traffic.set_rule(TrafficFailures::of(&[Gateway, Reset]), threshold);
        traffic
    }

    #[test]
    fn failures_in_a_row_are_told_once_per_threshold_over_all_workers() {
        let traffic = traffic(3);
        let told: Vec<_> = (0..7).map(|n| traffic.observe(n % 2, BAD)).collect();
        assert_eq!(told, [false, false, true, false, false, true, false]);
        traffic.observe(0, TrafficOutcome::Success);
        assert_eq!(traffic.in_a_row(), 0);
        let uncounted = TrafficOutcome::Failure(Connect);
        let outcomes = [BAD, BAD, uncounted, BAD, BAD, BAD];
        let told = outcomes.map(|outcome| traffic.observe(1, outcome));
        assert_eq!(told, [false, false, false, false, false, true]);
    }

    #[test]
    fn sums_are_of_all_workers_and_kinds_are_told_apart() {
        let traffic = traffic(0);
        let before = traffic.tally();
        for worker in [0, 1, 1] {
            assert!(!traffic.observe(worker, TrafficOutcome::Success));
            assert!(!traffic.observe(worker, BAD), "0 tells nothing");
        }
        traffic.observe(0, TrafficOutcome::Failure(Connect));
        assert!(!traffic.observe(2, BAD), "no such worker");
        let tally = traffic.tally().since(before);
        assert_eq!((tally.successes, tally.requests()), (3, 7));
        assert_eq!(tally.failed(TrafficFailures::of(&[Gateway])), 3);
        assert_eq!(tally.failed(TrafficFailures::of(&[Gateway, Connect])), 4);
    }
}
