//! The detector against a plain model, over seeded histories; and its numbers one by one.
//!
//! The model keeps everything that happened and works each answer out anew from the words of
//! `passive-health`'s documentation: nothing is carried over but the history.

use std::collections::BTreeMap;
use std::time::Duration;

use conf::{PassiveHealth, TrafficFailure, TrafficFailures};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;

use super::*;
use crate::SlotId;

const HISTORIES: u64 = 3000;
const STEPS: usize = 40;

fn settings() -> PassiveHealth {
    PassiveHealth {
        failures: TrafficFailures::of(&TrafficFailure::ALL),
        consecutive_failures: 5,
        failure_percentage: 85,
        success_rate_deviation: 1900,
        minimum_requests: 50,
        minimum_targets: 5,
        interval: Duration::from_secs(10),
        base_ejection_time: Duration::from_secs(30),
        max_ejection_time: Duration::from_secs(300),
        ejection_jitter: Duration::ZERO,
        max_ejected_percentage: 100,
    }
}

fn tally(successes: u64, failures: u64) -> Tally {
    let mut tally = Tally {
        successes,
        ..Tally::default()
    };
    tally.failures[TrafficFailure::ServerError as usize] = failures;
    tally
}

fn look(tally: Tally) -> Option<Look> {
    Some(Look {
        tally,
        in_a_row: 0,
        in_use: true,
    })
}

/// A detector of so many targets and what a first interval of (successes, failures) comes to.
fn judged(settings: PassiveHealth, traffic: &[(u64, u64)]) -> Vec<(u32, &'static str)> {
    let now = Instant::now();
    let mut detector = Detector::new(settings, now);
    let members: Vec<_> = (0..traffic.len() as u32)
        .map(|slot| (SlotId(slot), Tally::default()))
        .collect();
    detector.watch(&members, now);
    let read = |slot: SlotId| {
        let (successes, failures) = traffic[slot.0 as usize];
        look(tally(successes, failures))
    };
    assert!(detector.look(now, read).is_empty(), "before the interval");
    let outliers = detector.look(now + settings.interval, read);
    let name = |(slot, cause): (SlotId, Cause)| (slot.0, cause.as_str());
    outliers.into_iter().map(name).collect()
}

#[test]
fn shares_are_judged_with_enough_requests_and_the_worst_comes_first() {
    let failures = |traffic: &[(u64, u64)]| judged(settings(), traffic);
    assert_eq!(failures(&[(0, 49), (100, 0)]), []);
    assert_eq!(failures(&[(8, 42), (100, 0)]), []);
    let share = "failure-percentage";
    assert_eq!(
        failures(&[(7, 43), (100, 0), (0, 60)]),
        [(2, share), (0, share)]
    );
}

#[test]
fn a_success_rate_is_an_outlier_only_among_enough_targets_and_well_below_the_mean() {
    let rate = "success-rate-deviation";
    let mut traffic = vec![(100, 0); 4];
    traffic.push((60, 40));
    assert_eq!(judged(settings(), &traffic), [(4, rate)]);
    assert_eq!(judged(settings(), &traffic[1..]), [], "four are too few");
    traffic[4] = (96, 4);
    assert_eq!(judged(settings(), &traffic), [], "4 % from the others");
    let off = PassiveHealth {
        success_rate_deviation: 0,
        failure_percentage: 0,
        ..settings()
    };
    traffic[4] = (0, 100);
    assert_eq!(judged(off, &traffic), []);
}

#[test]
fn ejections_grow_to_the_longest_and_clean_time_makes_them_good() {
    let start = Instant::now();
    let mut detector = Detector::new(settings(), start);
    detector.watch(&[(SlotId(0), Tally::default())], start);
    let cause = Cause::Consecutive { failures: 5 };
    let mut now = start;
    let mut eject = |after: u64| {
        now += Duration::from_secs(after);
        let ejection = detector.eject(SlotId(0), cause, now, 0.0).unwrap();
        assert_eq!(
            detector.due(),
            ejection.until.min(start + settings().interval)
        );
        now = ejection.until;
        assert_eq!(detector.over(now - Duration::from_millis(1)), []);
        assert_eq!(detector.over(now), [SlotId(0)]);
        detector.readmit(SlotId(0), Tally::default(), now);
        ejection.duration().as_secs()
    };
    let grown: Vec<_> = (0..12).map(|_| eject(1)).collect();
    assert_eq!(
        grown,
        [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]
    );
    assert_eq!(eject(65), 270, "two base times made two good");
    assert_eq!(eject(24 * 3600), 30);
}

#[test]
fn jitter_lengthens_and_one_target_may_be_ejected_in_any_case() {
    let now = Instant::now();
    let few = PassiveHealth {
        max_ejected_percentage: 10,
        ejection_jitter: Duration::from_secs(4),
        ..settings()
    };
    let mut detector = Detector::new(few, now);
    let members = [0, 1, 2].map(|slot| (SlotId(slot), Tally::default()));
    detector.watch(&members, now);
    let cause = Cause::Consecutive { failures: 5 };
    let ejection = detector.eject(SlotId(0), cause, now, 0.5).unwrap();
    assert_eq!(ejection.duration(), Duration::from_secs(32));
    assert_eq!(
        ejection.to_string(),
        "Ejected for 32.0 s (ejection 1): 5 failures in a row"
    );
    let limit = detector.eject(SlotId(1), cause, now, 0.5).unwrap_err();
    assert_eq!(
        limit.to_string(),
        "1 of 3 are ejected already, and max-ejected-percentage allows 1"
    );
}

/// Everything that happened to one target.
#[derive(Debug, Default, Clone)]
struct Past {
    /// What each moment brought: (when, successes, failures).
    traffic: Vec<(Instant, u64, u64)>,
    /// Ejections: (from, planned end, real end).
    ejections: Vec<(Instant, Instant, Option<Instant>)>,
}

/// The plain model.
struct Model {
    settings: PassiveHealth,
    born: Instant,
    looks: Vec<Instant>,
    targets: BTreeMap<u32, Past>,
}

impl Model {
    fn is_ejected(&self, target: u32) -> bool {
        let last = self.targets[&target].ejections.last();
        last.is_some_and(|(_, _, end)| end.is_none())
    }

    /// Requests and failures since the last look, or the end of the last ejection after it.
    fn window(&self, target: u32) -> (u64, u64) {
        let past = &self.targets[&target];
        let looked = self.looks.last().copied().unwrap_or(self.born);
        let readmitted = past.ejections.last().and_then(|(_, _, end)| *end);
        let from = readmitted.map_or(looked, |end| end.max(looked));
        let window = past.traffic.iter().filter(|(at, ..)| *at > from);
        window.fold((0, 0), |(requests, failed), (_, s, f)| {
            (requests + s + f, failed + f)
        })
    }

    fn outliers(&self) -> BTreeMap<u32, &'static str> {
        let settings = &self.settings;
        let windows = self.targets.keys().filter(|t| !self.is_ejected(**t));
        let windows = windows.map(|target| (*target, self.window(*target)));
        let windows = windows.filter(|(_, (n, _))| *n >= u64::from(settings.minimum_requests));
        let windows: Vec<_> = windows.collect();
        let rate = |(requests, failed): (u64, u64)| 1.0 - failed as f64 / requests as f64;
        let count = windows.len() as f64;
        let mean = windows.iter().map(|(_, w)| rate(*w)).sum::<f64>() / count;
        let variance = windows.iter().map(|(_, w)| (rate(*w) - mean).powi(2));
        let deviation = (variance.sum::<f64>() / count).sqrt();
        let allowed = f64::from(settings.success_rate_deviation) / 1000.0 * deviation;
        let mut outliers = BTreeMap::new();
        for (target, window) in &windows {
            let (requests, failed) = *window;
            let below = mean - rate(*window);
            if settings.failure_percentage > 0
                && failed as f64 / requests as f64 >= f64::from(settings.failure_percentage) / 100.0
            {
                outliers.insert(*target, "failure-percentage");
            } else if settings.success_rate_deviation > 0
                && windows.len() >= settings.minimum_targets as usize
                && below > allowed
                && below > 0.05
            {
                outliers.insert(*target, "success-rate-deviation");
            }
        }
        outliers
    }

    /// How long the next ejection lasts, jitter left out.
    fn lasts(&self, target: u32, now: Instant) -> Duration {
        let (base, most) = (
            self.settings.base_ejection_time,
            self.settings.max_ejection_time,
        );
        let mut lasts = Duration::ZERO;
        let mut clean_since = self.born;
        let ejections = self.targets[&target].ejections.iter();
        let ends = ejections.map(|(from, _, end)| (*from, end.unwrap_or(now)));
        for (from, end) in ends.chain([(now, now)]) {
            let mut clean = from - clean_since;
            while clean >= base && !lasts.is_zero() {
                clean -= base;
                lasts = lasts.saturating_sub(base);
            }
            // The longest is reached when whole steps are over it.
            if lasts < most {
                lasts += base;
            }
            clean_since = end;
        }
        lasts.min(most)
    }
}

#[test]
fn seeded_histories_go_as_the_plain_model_says() {
    let mut ejections = 0;
    for seed in 0..HISTORIES {
        let mut random = SmallRng::seed_from_u64(seed);
        ejections += play(&mut random, seed);
    }
    assert!(ejections > 10_000, "only {ejections} ejections");
}

fn random_settings(random: &mut SmallRng) -> PassiveHealth {
    let base = random.random_range(1..40);
    PassiveHealth {
        failure_percentage: [0, 30, 50, 85, 100][random.random_range(0..5)],
        success_rate_deviation: [0, 500, 1000, 1900][random.random_range(0..4)],
        minimum_requests: random.random_range(1..60),
        minimum_targets: random.random_range(3..6),
        interval: Duration::from_secs(random.random_range(1..15)),
        base_ejection_time: Duration::from_secs(base),
        max_ejection_time: Duration::from_secs(base * random.random_range(1..6) + 1),
        ejection_jitter: Duration::from_secs(random.random_range(0..5)),
        max_ejected_percentage: random.random_range(1..=100),
        ..settings()
    }
}

/// Plays one history on both and returns how many ejections it had.
fn play(random: &mut SmallRng, seed: u64) -> usize {
    let settings = random_settings(random);
    let count = random.random_range(1..9u32);
    let born = Instant::now();
    let mut now = born;
    let mut detector = Detector::new(settings, now);
    let members: Vec<_> = (0..count).map(|n| (SlotId(n), Tally::default())).collect();
    detector.watch(&members, now);
    let mut model = Model {
        settings,
        born,
        looks: Vec::new(),
        targets: (0..count).map(|n| (n, Past::default())).collect(),
    };
    let mut sums = vec![Tally::default(); count as usize];
    for _ in 0..STEPS {
        now += Duration::from_millis(random.random_range(1..12_000));
        for (target, sum) in sums.iter_mut().enumerate() {
            let requests = random.random_range(0..80u64);
            let failures = match random.random_range(0..4) {
                0 => random.random_range(0..=requests),
                1 => requests,
                _ => requests / 50,
            };
            sum.successes += requests - failures;
            sum.failures[random.random_range(0..5)] += failures;
            let past = model.targets.get_mut(&(target as u32)).unwrap();
            past.traffic.push((now, requests - failures, failures));
        }
        for slot in detector.over(now) {
            let past = model.targets.get_mut(&slot.0).unwrap();
            let last = past.ejections.last_mut().unwrap();
            assert!(last.1 <= now && last.2.is_none(), "seed {seed}");
            last.2 = Some(now);
            detector.readmit(slot, sums[slot.0 as usize], now);
        }
        let late = model.targets.values().flat_map(|past| &past.ejections);
        let late = late.filter(|(_, until, end)| end.is_none() && *until <= now);
        assert_eq!(late.count(), 0, "seed {seed}: over, and not told");
        let last_look = model.looks.last().copied().unwrap_or(born);
        let due = now >= last_look + settings.interval;
        let expected = match due {
            true => model.outliers(),
            false => BTreeMap::new(),
        };
        let found = detector.look(now, |slot| look(sums[slot.0 as usize]));
        let names: BTreeMap<_, _> = found.iter().map(|(s, c)| (s.0, c.as_str())).collect();
        assert_eq!(names, expected, "seed {seed}: {settings:?}");
        if due {
            model.looks.push(now);
        }
        let streak = SlotId(random.random_range(0..count));
        let streak = (random.random_ratio(1, 8) && detector.ejection(streak).is_none())
            .then_some((streak, Cause::Consecutive { failures: 5 }));
        for (slot, cause) in found.into_iter().chain(streak) {
            if detector.ejection(slot).is_none() {
                eject(&mut detector, &mut model, slot, cause, now, random, seed);
            }
        }
    }
    model
        .targets
        .values()
        .map(|past| past.ejections.len())
        .sum()
}

fn eject(
    detector: &mut Detector,
    model: &mut Model,
    slot: SlotId,
    cause: Cause,
    now: Instant,
    random: &mut SmallRng,
    seed: u64,
) {
    let spread = random.random_range(0.0..=1.0);
    let share = usize::from(model.settings.max_ejected_percentage);
    let out = model
        .targets
        .keys()
        .filter(|t| model.is_ejected(**t))
        .count();
    let may = out == 0 || (out + 1) * 100 <= share * model.targets.len();
    let lasts = model.lasts(slot.0, now);
    let ejected = detector.eject(slot, cause, now, spread);
    assert_eq!(ejected.is_ok(), may, "seed {seed}: {out} are out");
    let Ok(ejection) = ejected else { return };
    let jitter = ejection.duration() - lasts;
    assert!(jitter <= model.settings.ejection_jitter, "seed {seed}");
    assert!(ejection.duration() >= lasts, "seed {seed}");
    let past = model.targets.get_mut(&slot.0).unwrap();
    past.ejections.push((now, ejection.until, None));
}
