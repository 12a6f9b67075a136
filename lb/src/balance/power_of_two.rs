//! The less loaded of two targets drawn at random (Mitzenmacher 2001).
//!
//! Built by `compile`, asked by every worker. Nearly as even as looking at all of them, at a cost
//! that does not grow with the group, and without the rush on the least loaded one when several
//! balancers see the same loads. Never looks at health beyond `usable`.
//! Cost: two random numbers and two relaxed loads; up to four pairs while targets are unusable.

use std::sync::Arc;

use rand::Rng;
use rand::rngs::SmallRng;

use super::least_connections::least_loaded;
use crate::target::Target;

/// Pairs drawn before the first usable target from a random start is taken.
const PAIRS: usize = 4;

/// Targets and their weights.
#[derive(Debug)]
pub(crate) struct PowerOfTwo {
    targets: Vec<(Arc<Target>, u32)>,
}

impl PowerOfTwo {
    /// A picker over `targets` with their weights, none of them 0.
    pub(super) fn new(targets: Vec<(Arc<Target>, u32)>) -> Self {
        Self { targets }
    }

    /// The usable one of two with the lower load per weight.
    pub(super) fn pick(
        &self,
        rng: &mut SmallRng,
        usable: impl Fn(&Target) -> bool,
    ) -> Option<&Arc<Target>> {
        let count = self.targets.len();
        if count == 0 {
            return None;
        }
        let start = rng.random_range(0..count);
        if count > 1 {
            for _ in 0..PAIRS {
                let first = rng.random_range(0..count);
                let other = (first + rng.random_range(1..count)) % count;
                let pair = [first, other].into_iter();
                let pair = pair.filter_map(|place| self.targets.get(place));
                let better = least_loaded(pair, &usable);
                if better.is_some() {
                    return better;
                }
            }
        }
        let mut in_turn = self.targets[start..].iter().chain(&self.targets[..start]);
        let found = in_turn.find(|(target, _)| usable(target));
        found.map(|(target, _)| target)
    }
}
