//! Fewest in flight per weight.
//!
//! Built by `compile`, asked by every worker. Up to 64 targets are all looked at, above that the
//! best of 8 random ones is taken; ties go to the first from a rotating start, so that an idle
//! group is used in turn. Never looks at health beyond `usable`.
//! Cost: one atomic addition and one relaxed load per target looked at.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::Rng;
use rand::rngs::SmallRng;

use crate::target::Target;

/// Groups up to this size are scanned whole.
const SCAN_ALL: usize = 64;

/// Random targets compared in larger groups.
const SAMPLES: usize = 8;

/// Targets and their weights.
#[derive(Debug)]
pub(crate) struct LeastConnections {
    targets: Vec<(Arc<Target>, u32)>,
}

impl LeastConnections {
    /// A picker over `targets` with their weights, none of them 0.
    pub(crate) fn new(targets: Vec<(Arc<Target>, u32)>) -> Self {
        Self { targets }
    }

    /// The usable target with the lowest load per weight.
    pub(crate) fn pick(
        &self,
        cursor: &AtomicU64,
        rng: &mut SmallRng,
        usable: impl Fn(&Target) -> bool,
    ) -> Option<&Arc<Target>> {
        let count = self.targets.len();
        if count == 0 {
            return None;
        }
        let start = (cursor.fetch_add(1, Ordering::Relaxed) % count as u64) as usize;
        let in_turn = || self.targets[start..].iter().chain(&self.targets[..start]);
        if count <= SCAN_ALL {
            return least_loaded(in_turn(), usable);
        }
        let samples = (0..SAMPLES).map(|_| &self.targets[rng.random_range(0..count)]);
        // With most targets unusable a sample may find none: then the first usable in turn.
        least_loaded(samples, &usable).or_else(|| {
            let mut rest = in_turn().map(|(target, _)| target);
            rest.find(|target| usable(target))
        })
    }
}

/// The first of the lowest in-flight / weight, compared by cross multiplication.
pub(super) fn least_loaded<'a>(
    targets: impl Iterator<Item = &'a (Arc<Target>, u32)>,
    usable: impl Fn(&Target) -> bool,
) -> Option<&'a Arc<Target>> {
    let mut best: Option<(&Arc<Target>, u64, u64)> = None;
    for (target, weight) in targets {
        if !usable(target) {
            continue;
        }
        let (load, weight) = (u64::from(target.in_flight()), u64::from(*weight));
        if best.is_none_or(|(_, least, per)| load * per < least * weight) {
            best = Some((target, load, weight));
        }
    }
    best.map(|(target, _, _)| target)
}
