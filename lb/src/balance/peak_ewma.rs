//! The target whose answers will begin soonest: latency times work in hand (Finagle's peak EWMA).
//!
//! Built by `compile`, asked by every worker. Groups of up to 64 targets are looked at whole, of
//! larger ones the best of 8 random ones is taken. A target that never answered gets one request to
//! show what it can. Never looks at health beyond `usable`.
//! Cost: two relaxed loads and one exponential per target looked at.

use std::sync::Arc;

use rand::Rng;
use rand::rngs::SmallRng;
use tokio::time::Instant;

use crate::target::Target;

/// Groups up to this size are scanned whole.
const SCAN_ALL: usize = 64;

/// Random targets compared in larger groups.
const SAMPLES: usize = 8;

/// Targets and their weights.
#[derive(Debug)]
pub(crate) struct PeakEwma {
    targets: Vec<(Arc<Target>, u32)>,
}

impl PeakEwma {
    /// A picker over `targets` with their weights, none of them 0.
    pub(super) fn new(targets: Vec<(Arc<Target>, u32)>) -> Self {
        Self { targets }
    }

    /// The usable target with the lowest cost per weight; the first of equals from a random start.
    pub(super) fn pick(
        &self,
        rng: &mut SmallRng,
        now: Instant,
        usable: impl Fn(&Target) -> bool,
    ) -> Option<&Arc<Target>> {
        let count = self.targets.len();
        if count == 0 {
            return None;
        }
        let start = rng.random_range(0..count);
        let in_turn = || self.targets[start..].iter().chain(&self.targets[..start]);
        if count <= SCAN_ALL {
            return cheapest(in_turn(), now, usable);
        }
        let samples = (0..SAMPLES).map(|_| &self.targets[rng.random_range(0..count)]);
        cheapest(samples, now, &usable).or_else(|| {
            let mut rest = in_turn().map(|(target, _)| target);
            rest.find(|target| usable(target))
        })
    }
}

fn cheapest<'a>(
    targets: impl Iterator<Item = &'a (Arc<Target>, u32)>,
    now: Instant,
    usable: impl Fn(&Target) -> bool,
) -> Option<&'a Arc<Target>> {
    let mut best: Option<(&Arc<Target>, f64)> = None;
    for (target, weight) in targets.filter(|(target, _)| usable(target)) {
        let cost = cost(target, now) / f64::from(*weight);
        if best.is_none_or(|(_, least)| cost < least) {
            best = Some((target, cost));
        }
    }
    best.map(|(target, _)| target)
}

/// How long a request more would wait, about.
fn cost(target: &Target, now: Instant) -> f64 {
    let in_flight = target.in_flight();
    match target.latency().micros(now) {
        Some(micros) => micros * (f64::from(in_flight) + 1.0),
        None if in_flight == 0 => 0.0,
        // The last choice until it has answered; of several such ones the least busy.
        None => 1e15 * f64::from(in_flight),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use healthcheck::{Signal, SlotId};
    use rand::SeedableRng;

    use super::*;

    fn targets(count: u32) -> Vec<(Arc<Target>, u32)> {
        let target = |n: u32| {
            let address = std::net::SocketAddr::from(([127, 0, 0, 1], 1000 + n as u16));
            let signal = Arc::new(Signal::default());
            (
                Arc::new(Target::new("app".into(), address, SlotId(n), signal)),
                1,
            )
        };
        (0..count).map(target).collect()
    }

    /// Requests that each target got of `count` when they take `micros` each, one at a time.
    fn shares(picker: &PeakEwma, micros: &[u64], start: Instant, count: u64) -> Vec<u64> {
        let mut rng = SmallRng::seed_from_u64(1);
        let mut shares = vec![0; micros.len()];
        for n in 0..count {
            let now = start + Duration::from_millis(n);
            let target = picker.pick(&mut rng, now, |_| true).unwrap();
            let place = target.slot().0 as usize;
            shares[place] += 1;
            target
                .latency()
                .observe(Duration::from_micros(micros[place]), now);
        }
        shares
    }

    #[test]
    fn a_slow_target_gets_little_and_equals_share() {
        let start = Instant::now();
        let picker = PeakEwma::new(targets(4));
        let shares = shares(&picker, &[1000, 1000, 1000, 50_000], start, 4000);
        assert!(shares[..3].iter().all(|share| *share > 800), "{shares:?}");
        assert!((1..40).contains(&shares[3]), "{shares:?}");
    }

    #[test]
    fn a_target_that_becomes_slow_is_left_and_comes_back() {
        let start = Instant::now();
        let picker = PeakEwma::new(targets(2));
        shares(&picker, &[1000, 1000], start, 1000);
        let later = start + Duration::from_secs(1);
        let slow = shares(&picker, &[1000, 100_000], later, 1000);
        assert!(slow[1] < 50, "{slow:?}");
        // Quick again: within a minute it has its share.
        let minutes = later + Duration::from_secs(90);
        shares(&picker, &[1000, 1000], minutes, 20_000);
        let again = shares(
            &picker,
            &[1000, 1000],
            minutes + Duration::from_secs(20),
            1000,
        );
        assert!(again[1] > 200, "{again:?}");
    }

    #[test]
    fn unknown_targets_are_tried_once_each_and_weights_and_work_count() {
        let now = Instant::now();
        let mut targets = targets(3);
        targets[2].1 = 2;
        let picker = PeakEwma::new(targets.clone());
        let mut rng = SmallRng::seed_from_u64(1);
        let mut seen: Vec<u32> = (0..3)
            .map(|_| {
                let target = picker.pick(&mut rng, now, |_| true).unwrap();
                assert!(target.begin());
                target.slot().0
            })
            .collect();
        seen.sort_unstable();
        assert_eq!(seen, [0, 1, 2]);
        for (target, _) in &targets {
            target.latency().observe(Duration::from_millis(1), now);
        }
        let next = picker.pick(&mut rng, now, |_| true).unwrap();
        assert_eq!(next.slot().0, 2, "equal but for its weight");
        let only = picker.pick(&mut rng, now, |target| target.slot().0 == 1);
        assert_eq!(only.unwrap().slot().0, 1);
    }
}
