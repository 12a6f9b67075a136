//! At random, each target as often as its weight says.
//!
//! Built by `compile`, asked by every worker. Needs no cursor, so that several balancers never
//! fall into step. Never looks at health beyond `usable`.
//! Cost: one random number and a binary search; when most targets are unusable, one walk along
//! all of them.

use std::sync::Arc;

use rand::Rng;
use rand::rngs::SmallRng;

use crate::target::Target;

/// Draws before the usable targets are looked at one by one.
const DRAWS: usize = 4;

/// Targets with the sum of weights up to and including each.
#[derive(Debug)]
pub(crate) struct WeightedRandom {
    targets: Vec<(Arc<Target>, u32)>,
    sums: Vec<u64>,
}

impl WeightedRandom {
    /// A picker over `targets` with their weights, none of them 0.
    pub(super) fn new(targets: Vec<(Arc<Target>, u32)>) -> Self {
        let mut sum = 0;
        let add = |(_, weight): &(_, u32)| {
            sum += u64::from(*weight);
            sum
        };
        Self {
            sums: targets.iter().map(add).collect(),
            targets,
        }
    }

    /// A usable target, with the probability of its weight among the usable ones.
    pub(super) fn pick(
        &self,
        rng: &mut SmallRng,
        usable: impl Fn(&Target) -> bool,
    ) -> Option<&Arc<Target>> {
        let total = *self.sums.last()?;
        for _ in 0..DRAWS {
            let drawn = rng.random_range(0..total);
            let place = self.sums.partition_point(|sum| *sum <= drawn);
            let (target, _) = self.targets.get(place)?;
            if usable(target) {
                return Some(target);
            }
        }
        self.among_usable(rng, usable)
    }

    /// One pass: each usable target replaces the one chosen so far with its share of the weight
    /// seen so far, which leaves every one chosen with its share of all.
    fn among_usable(
        &self,
        rng: &mut SmallRng,
        usable: impl Fn(&Target) -> bool,
    ) -> Option<&Arc<Target>> {
        let mut chosen = None;
        let mut seen = 0u64;
        for (target, weight) in self.targets.iter().filter(|(target, _)| usable(target)) {
            seen += u64::from(*weight);
            if rng.random_range(0..seen) < u64::from(*weight) {
                chosen = Some(target);
            }
        }
        chosen
    }
}
