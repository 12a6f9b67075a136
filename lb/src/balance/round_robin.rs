//! Smooth weighted round robin, compiled to a sequence that one shared cursor walks.
//!
//! Built by `compile`, walked by every worker. The sequence is the one nginx's smooth algorithm
//! gives (interleaved, never in bursts), so n picks in a row give each target its exact share of
//! any whole cycle, over all workers together. Never looks at health beyond `usable`.
//! Cost: one atomic addition; each unusable target met costs one more, 64 at most.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::target::Target;

/// Longest sequence: weights whose sum (divided by their common divisor) is larger are scaled
/// down, keeping each target's share within 1/4096 of a cycle. More targets than this get one
/// turn each per cycle.
const MAX_SEQUENCE: u64 = 4096;

/// Steps that the smooth algorithm may take to make a sequence; a large group whose targets come
/// into their shares has one made four times a second.
const MAX_STEPS: u64 = 1 << 22;

/// Turns taken from the shared cursor past unusable targets before looking along the sequence.
const MAX_TURNS: usize = 64;

/// A compiled rotation.
#[derive(Debug)]
pub(crate) struct RoundRobin {
    targets: Vec<Arc<Target>>,
    /// Indices into `targets`, one whole cycle.
    sequence: Vec<u32>,
}

impl RoundRobin {
    /// A rotation over `targets` with their weights, none of them 0.
    pub(crate) fn new(targets: Vec<(Arc<Target>, u32)>) -> Self {
        let weights: Vec<u64> = targets
            .iter()
            .map(|(_, weight)| u64::from(*weight))
            .collect();
        Self {
            targets: targets.into_iter().map(|(target, _)| target).collect(),
            sequence: sequence(&bounded(&weights)),
        }
    }

    /// The next usable target, taking turns from the cursor.
    pub(crate) fn pick(
        &self,
        cursor: &AtomicU64,
        usable: impl Fn(&Target) -> bool,
    ) -> Option<&Arc<Target>> {
        if self.sequence.is_empty() {
            return None;
        }
        let length = self.sequence.len();
        let mut at = 0;
        for _ in 0..MAX_TURNS.min(length) {
            at = (cursor.fetch_add(1, Ordering::Relaxed) % length as u64) as usize;
            let target = self.at(at)?;
            if usable(target) {
                return Some(target);
            }
        }
        // Other workers' turns may have been the usable ones: look along one whole cycle.
        (1..=length)
            .filter_map(|ahead| self.at((at + ahead) % length))
            .find(|target| usable(target))
    }

    fn at(&self, place: usize) -> Option<&Arc<Target>> {
        self.targets.get(*self.sequence.get(place)? as usize)
    }
}

/// One cycle for few weights, as long as it must be for every share to be exact.
pub(crate) fn exact_sequence(weights: &[u64]) -> Vec<u32> {
    sequence(&reduced(weights))
}

/// Weights divided by their greatest common divisor.
fn reduced(weights: &[u64]) -> Vec<u64> {
    let divisor = weights
        .iter()
        .copied()
        .fold(0, greatest_common_divisor)
        .max(1);
    weights.iter().map(|w| w / divisor).collect()
}

/// Reduced weights, scaled down to [`MAX_SEQUENCE`].
fn bounded(weights: &[u64]) -> Vec<u64> {
    let reduced = reduced(weights);
    let sum: u64 = reduced.iter().sum();
    if sum <= MAX_SEQUENCE {
        return reduced;
    }
    let scale = |w: &u64| (w * MAX_SEQUENCE / sum).max(1);
    reduced.iter().map(scale).collect()
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

/// One cycle of smooth weighted round robin: at each turn every target gains its weight, the
/// richest is chosen and pays the sum.
fn sequence(weights: &[u64]) -> Vec<u32> {
    if weights.iter().all(|&w| w == 1) {
        return (0..weights.len() as u32).collect();
    }
    let sum: u64 = weights.iter().sum();
    if sum * weights.len() as u64 > MAX_STEPS {
        return by_deadline(weights);
    }
    let mut credit = vec![0i64; weights.len()];
    let turn = |_| {
        let mut richest = 0;
        for (i, &weight) in weights.iter().enumerate() {
            credit[i] += weight.cast_signed();
            if credit[i] > credit[richest] {
                richest = i;
            }
        }
        credit[richest] -= sum.cast_signed();
        richest as u32
    };
    (0..sum).map(turn).collect()
}

/// One cycle in which the k-th turn of a target is due after k - 1/2 parts of it: nearly as smooth,
/// in n log n.
fn by_deadline(weights: &[u64]) -> Vec<u32> {
    let turns = |(target, &weight): (usize, &u64)| {
        // Fixed point, so that equal times are equal; the target breaks ties.
        (0..weight).map(move |turn| ((((2 * turn + 1) << 32) / (2 * weight)), target as u32))
    };
    let mut turns: Vec<(u64, u32)> = weights.iter().enumerate().flat_map(turns).collect();
    turns.sort_unstable();
    turns.into_iter().map(|(_, target)| target).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_is_nginx_s() {
        assert_eq!(sequence(&[5, 1, 1]), [0, 0, 1, 0, 2, 0, 0]);
    }

    #[test]
    fn large_weights_keep_their_share_in_a_bounded_cycle() {
        let weights = bounded(&[1000, 999, 998, 997, 996, 7]);
        let cycle = sequence(&weights);
        assert!(cycle.len() as u64 <= MAX_SEQUENCE + 6);
        let share = cycle.iter().filter(|&&i| i == 0).count() as f64 / cycle.len() as f64;
        assert!((share - 1000.0 / 4997.0).abs() < 0.001, "{share}");
        assert!(cycle.contains(&5));
    }

    #[test]
    fn large_groups_get_every_turn_spread_over_the_cycle() {
        let weights: Vec<u64> = (0..3000).map(|n| 1 + n % 3).collect();
        let cycle = sequence(&weights);
        assert_eq!(cycle.len() as u64, weights.iter().sum::<u64>());
        let places = |target| {
            let all = cycle.iter().enumerate();
            all.filter(move |(_, t)| **t == target)
                .map(|(place, _)| place * 3 / cycle.len())
        };
        assert_eq!(places(2).collect::<Vec<_>>(), [0, 1, 2], "of weight 3");
        assert_eq!(places(3).collect::<Vec<_>>(), [1], "of weight 1");
    }

    #[test]
    fn common_divisor_shortens_the_cycle() {
        assert_eq!(bounded(&[500, 250, 250]), [2, 1, 1]);
    }
}
