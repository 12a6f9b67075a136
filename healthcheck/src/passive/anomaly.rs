//! Anomalies of one group: whose traffic fails more often than that of the others, and how much of
//! its weight each is left with (ELB's Automatic Target Weights).
//!
//! Sans-io: called by the board with the time and the counts. Halves what an anomalous target has
//! each time it is looked at, doubles it when the target is like the others again, and raises it by
//! small steps while too few requests reach it to tell. Never takes a target out.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use conf::{TrafficFailure, TrafficFailures};
use tokio::time::Instant;

use super::{Look, Tally};
use crate::SlotId;

/// How often targets are looked at (ELB: about every 5 s).
const INTERVAL: Duration = Duration::from_secs(5);
/// Fewer targets in use have no majority to differ from (ELB).
const MINIMUM_TARGETS: usize = 3;
/// Fewer requests within the interval, of the target or of all others, say nothing.
const MINIMUM_REQUESTS: u64 = 10;
/// A share of failures this close to that of the others is none of an anomaly.
const LEAST_DIFFERENCE: f64 = 0.05;
/// Standard errors between two shares of failures that chance does not explain: with three, one
/// look in 700 would be wrong about a healthy target, and the next would right it.
const SIGNIFICANT: f64 = 3.0;
/// What a target is left with at least, in percent: enough to see it recover.
const LEAST_SHARE: u8 = 5;
/// What a target gains while nobody can tell, in percent points.
const STEP: u8 = 10;

/// How a target stands beside the others of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Anomaly {
    /// Its traffic fails more often than theirs.
    pub anomalous: bool,
    /// What of its weight it is left with, in percent; below 100 mitigation is in effect.
    pub share: u8,
}

impl Default for Anomaly {
    fn default() -> Self {
        Self {
            anomalous: false,
            share: 100,
        }
    }
}

impl Anomaly {
    /// ELB's word for the result of detection.
    pub fn as_str(self) -> &'static str {
        match self.anomalous {
            true => "anomalous",
            false => "normal",
        }
    }
}

/// A target's interval beside that of all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Evidence {
    failures: u64,
    requests: u64,
    others_failures: u64,
    others_requests: u64,
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} requests failed, of the others' {} of {}",
            self.failures, self.requests, self.others_failures, self.others_requests
        )
    }
}

impl Evidence {
    /// True when there is enough of it.
    fn tells(&self) -> bool {
        self.requests.min(self.others_requests) >= MINIMUM_REQUESTS
    }

    /// By how much the target fails more often, as a share of its requests.
    fn difference(&self) -> f64 {
        let share = |failures: u64, requests: u64| failures as f64 / requests.max(1) as f64;
        share(self.failures, self.requests) - share(self.others_failures, self.others_requests)
    }

    /// The test for two proportions.
    fn is_anomalous(&self) -> bool {
        let (own, others) = (self.requests as f64, self.others_requests as f64);
        let all = (self.failures + self.others_failures) as f64 / (own + others);
        let error = (all * (1.0 - all) * (1.0 / own + 1.0 / others)).sqrt();
        let difference = self.difference();
        difference >= LEAST_DIFFERENCE && difference > SIGNIFICANT * error
    }
}

/// One target that changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Change {
    pub(crate) slot: SlotId,
    pub(crate) now: Anomaly,
    /// It was as anomalous, or not, before.
    pub(crate) news: bool,
    pub(crate) evidence: Evidence,
}

/// One group's anomalies.
#[derive(Debug)]
pub(crate) struct Anomalies {
    targets: BTreeMap<SlotId, (Tally, Anomaly)>,
    next_look: Instant,
}

impl Anomalies {
    /// Nobody watched.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            targets: BTreeMap::new(),
            next_look: now + INTERVAL,
        }
    }

    /// Watches exactly these targets from now on, new ones from these counts on.
    pub(crate) fn watch(&mut self, members: &[(SlotId, Tally)]) {
        let before = std::mem::take(&mut self.targets);
        let watched = members.iter().map(|&(slot, seen)| {
            let new = (seen, Anomaly::default());
            (slot, before.get(&slot).copied().unwrap_or(new))
        });
        self.targets = watched.collect();
    }

    /// When it is to be asked next.
    pub(crate) fn due(&self) -> Instant {
        self.next_look
    }

    /// Anomalous targets, and those that are left with less than their weight.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let all = || self.targets.values();
        let anomalous = all().filter(|(_, anomaly)| anomaly.anomalous).count();
        (anomalous, all().filter(|(_, a)| a.share < 100).count())
    }

    /// Looks at everybody when an interval has passed: what changed, the worst first.
    pub(crate) fn look(
        &mut self,
        now: Instant,
        read: impl Fn(SlotId) -> Option<Look>,
    ) -> Vec<Change> {
        if now < self.next_look {
            return Vec::new();
        }
        self.next_look = now + INTERVAL;
        let mut samples = Vec::new();
        let kinds = TrafficFailures::of(&TrafficFailure::ALL);
        for (&slot, (seen, _)) in &mut self.targets {
            let look = read(slot);
            let tally = look.map_or(*seen, |look| look.tally);
            let last = tally.since(*seen);
            *seen = tally;
            let in_use = look.is_some_and(|look| look.in_use);
            samples.push((slot, in_use, last.failed(kinds), last.requests()));
        }
        let used = || samples.iter().filter(|(_, in_use, ..)| *in_use);
        let (count, failures) = (used().count(), used().map(|s| s.2).sum::<u64>());
        let requests: u64 = used().map(|s| s.3).sum();
        let mut judged: Vec<_> = (samples.iter())
            .map(|&(slot, in_use, failed, all)| {
                let evidence = Evidence {
                    failures: failed,
                    requests: all,
                    others_failures: failures.saturating_sub(failed),
                    others_requests: requests.saturating_sub(all),
                };
                (slot, in_use && count >= MINIMUM_TARGETS, evidence)
            })
            .collect();
        judged.sort_by(|(.., a), (.., b)| b.difference().total_cmp(&a.difference()));
        // So that what the others have to take stays within what they had.
        let mut room = (count / 2).saturating_sub(self.counts().1);
        let step = |(slot, compared, evidence): (SlotId, bool, Evidence)| {
            let (_, anomaly) = self.targets.get_mut(&slot)?;
            let before = *anomaly;
            *anomaly = match compared {
                true => next(before, &evidence, &mut room),
                false => Anomaly::default(),
            };
            (*anomaly != before).then_some(Change {
                slot,
                now: *anomaly,
                news: anomaly.anomalous != before.anomalous,
                evidence,
            })
        };
        judged.into_iter().filter_map(step).collect()
    }
}

/// What follows from an interval. `room` is for how many more targets something may be taken from.
fn next(before: Anomaly, evidence: &Evidence, room: &mut usize) -> Anomaly {
    let share = match (evidence.tells(), before.share) {
        (false, share) => share.saturating_add(STEP).min(100),
        (true, share) if !evidence.is_anomalous() => share.saturating_mul(2).min(100),
        (true, 100) if *room == 0 => 100,
        (true, share) => {
            *room -= usize::from(share == 100);
            (share / 2).max(LEAST_SHARE)
        }
    };
    let anomalous = match evidence.tells() {
        true => evidence.is_anomalous(),
        false => before.anomalous && share < 100,
    };
    Anomaly { anomalous, share }
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    /// Targets, each with its share of failures in percent, under traffic by their shares.
    struct Play {
        anomalies: Anomalies,
        tallies: Vec<Tally>,
        now: Instant,
        random: SmallRng,
    }

    impl Play {
        fn new(targets: usize, seed: u64) -> Self {
            let now = Instant::now();
            let mut anomalies = Anomalies::new(now);
            let members = (0..targets as u32).map(|n| (SlotId(n), Tally::default()));
            anomalies.watch(&members.collect::<Vec<_>>());
            Self {
                anomalies,
                tallies: vec![Tally::default(); targets],
                now,
                random: SmallRng::seed_from_u64(seed),
            }
        }

        /// An interval of `requests`, of which each target's share fails.
        fn interval(&mut self, requests: u64, failing: &[u64]) -> Vec<Change> {
            let shares: Vec<u64> = self
                .anomalies
                .targets
                .values()
                .map(|(_, a)| a.share.into())
                .collect();
            for _ in 0..requests {
                let mut drawn = self.random.random_range(0..shares.iter().sum());
                let place = shares.iter().position(|share| {
                    let hit = drawn < *share;
                    drawn = drawn.saturating_sub(*share);
                    hit
                });
                let place = place.unwrap();
                match self.random.random_range(0..100) < failing[place] {
                    true => self.tallies[place].failures[4] += 1,
                    false => self.tallies[place].successes += 1,
                }
            }
            self.now += INTERVAL;
            let tallies = &self.tallies;
            self.anomalies.look(self.now, |slot| {
                Some(Look {
                    tally: tallies[slot.0 as usize],
                    in_a_row: 0,
                    in_use: true,
                })
            })
        }

        fn shares(&self) -> Vec<u8> {
            self.anomalies
                .targets
                .values()
                .map(|(_, a)| a.share)
                .collect()
        }
    }

    #[test]
    fn one_that_fails_more_often_loses_its_share_and_gets_it_back() {
        let mut play = Play::new(4, 1);
        let changes = play.interval(800, &[0, 30, 0, 0]);
        assert_eq!(changes.len(), 1);
        assert!(changes[0].news && changes[0].now.anomalous);
        let said = changes[0].evidence.to_string();
        assert!(
            said.ends_with("requests failed, of the others' 0 of 596"),
            "{said}"
        );
        for _ in 0..5 {
            play.interval(800, &[0, 30, 0, 0]);
        }
        assert_eq!(play.shares(), [100, 5, 100, 100]);
        assert_eq!(play.anomalies.counts(), (1, 1));
        for _ in 0..6 {
            play.interval(800, &[0, 0, 0, 0]);
        }
        assert_eq!(play.shares(), [100; 4]);
        assert_eq!(play.anomalies.counts(), (0, 0));
    }

    #[test]
    fn without_requests_to_tell_by_a_share_comes_back_slowly() {
        let mut play = Play::new(3, 2);
        play.interval(300, &[50, 0, 0]);
        assert_eq!(play.shares(), [50, 100, 100]);
        let back: Vec<_> = (0..6)
            .map(|_| (play.interval(0, &[0; 3]), play.shares()[0]).1)
            .collect();
        assert_eq!(back, [60, 70, 80, 90, 100, 100]);
    }

    #[test]
    fn failures_of_all_are_nobodys_anomaly_and_two_have_no_majority() {
        for seed in 0..50 {
            let mut play = Play::new(5, seed);
            for _ in 0..20 {
                play.interval(500, &[40; 5]);
                let mitigated = play.anomalies.counts().1;
                assert!(mitigated <= 2, "seed {seed}: {mitigated} by chance");
            }
            let mut play = Play::new(2, seed);
            assert_eq!(play.interval(500, &[90, 0]), []);
        }
    }

    #[test]
    fn at_most_half_of_the_targets_lose_anything() {
        for seed in 0..50 {
            let mut play = Play::new(6, seed);
            for _ in 0..20 {
                let failing: Vec<u64> = (0..6).map(|_| play.random.random_range(0..100)).collect();
                play.interval(600, &failing);
                assert!(play.anomalies.counts().1 <= 3, "seed {seed}");
                assert!(play.shares().iter().all(|share| (5..=100).contains(share)));
            }
        }
    }
}
