//! The detector of one group: whose traffic is an outlier, who is ejected, and when each comes back.
//!
//! Sans-io: called by the board with the time, the counts and a random number. An ejected target
//! has one way back, its time; the board may also end an ejection early, when the group has nobody
//! else. Ejections grow with their number, and each `base-ejection-time` without one takes one off
//! it. Never looks at what probes found: that decides what the target is when it is back.

use std::collections::BTreeMap;
use std::time::Duration;

use conf::PassiveHealth;
use tokio::time::Instant;

use super::{Cause, Ejection, Limit, Tally};
use crate::SlotId;

/// A success rate this close to the mean is no outlier, in percent: where all are nearly alike, a
/// deviation from the mean is nearly nothing too, and harmless targets would be ejected.
const LEAST_DIFFERENCE: f64 = 5.0;

/// One group's detector.
#[derive(Debug)]
pub(crate) struct Detector {
    settings: PassiveHealth,
    targets: BTreeMap<SlotId, Tracked>,
    next_look: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Tracked {
    /// The counts when they were last looked at.
    seen: Tally,
    /// What the last whole interval brought.
    last: Tally,
    ejection: Option<Ejection>,
    /// Ejections, those made good by `clean_since` not yet taken off.
    number: u32,
    /// Since when it has not been ejected.
    clean_since: Instant,
    /// When a limit last refused its ejection.
    refused: Option<Instant>,
}

/// What is to be known of a target that is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    /// Its counts.
    pub(crate) tally: Tally,
    /// Failures in a row so far.
    pub(crate) in_a_row: u32,
    /// It takes work, so that what traffic saw is worth something.
    pub(crate) in_use: bool,
}

impl Detector {
    /// A detector that has seen nothing.
    pub(crate) fn new(settings: PassiveHealth, now: Instant) -> Self {
        Self {
            settings,
            targets: BTreeMap::new(),
            next_look: now + settings.interval,
        }
    }

    /// The settings in force.
    pub(crate) fn settings(&self) -> &PassiveHealth {
        &self.settings
    }

    /// Other settings from now on. Ejections that run keep their end.
    pub(crate) fn set(&mut self, settings: PassiveHealth, now: Instant) {
        self.settings = settings;
        self.next_look = self.next_look.min(now + settings.interval);
    }

    /// Watches exactly these targets from now on, new ones from these counts on. Those of the
    /// others that were ejected are returned.
    pub(crate) fn watch(&mut self, members: &[(SlotId, Tally)], now: Instant) -> Vec<SlotId> {
        let mut before = std::mem::take(&mut self.targets);
        for &(slot, seen) in members {
            let new = || Tracked {
                seen,
                last: Tally::default(),
                ejection: None,
                number: 0,
                clean_since: now,
                refused: None,
            };
            let tracked = before.remove(&slot).unwrap_or_else(new);
            self.targets.insert(slot, tracked);
        }
        let ejected = before.into_iter().filter(|(_, t)| t.ejection.is_some());
        ejected.map(|(slot, _)| slot).collect()
    }

    /// When something is to be done next.
    pub(crate) fn due(&self) -> Instant {
        let ends = self.targets.values().filter_map(|t| t.ejection);
        ends.map(|ejection| ejection.until)
            .fold(self.next_look, Instant::min)
    }

    /// A target's running ejection.
    pub(crate) fn ejection(&self, slot: SlotId) -> Option<Ejection> {
        self.targets.get(&slot)?.ejection
    }

    /// Notes that a limit refused a target's ejection.
    pub(crate) fn refuse(&mut self, slot: SlotId, now: Instant) {
        if let Some(tracked) = self.targets.get_mut(&slot) {
            tracked.refused = Some(now);
        }
    }

    /// True when failures in a row on a target may ask for its ejection: it is not ejected, and an
    /// interval has passed since that was refused. Failing traffic asks thousands of times a second.
    pub(crate) fn may_ask(&self, slot: SlotId, now: Instant) -> bool {
        let Some(tracked) = self.targets.get(&slot) else {
            return false;
        };
        let waits = (tracked.refused).is_some_and(|at| now < at + self.settings.interval);
        tracked.ejection.is_none() && !waits
    }

    /// What the last whole interval brought a target.
    pub(crate) fn last_interval(&self, slot: SlotId) -> Option<Tally> {
        Some(self.targets.get(&slot)?.last)
    }

    /// The targets that are ejected.
    pub(crate) fn ejected(&self) -> Vec<SlotId> {
        let all = self.targets.iter();
        let ejected = all.filter(|(_, tracked)| tracked.ejection.is_some());
        ejected.map(|(slot, _)| *slot).collect()
    }

    /// The targets whose ejection has ended by `now`.
    pub(crate) fn over(&self, now: Instant) -> Vec<SlotId> {
        let all = self.targets.iter();
        let over = all.filter(|(_, t)| t.ejection.is_some_and(|ejection| ejection.until <= now));
        over.map(|(slot, _)| *slot).collect()
    }

    /// Ends a target's ejection. What was counted meanwhile is forgotten.
    pub(crate) fn readmit(&mut self, slot: SlotId, tally: Tally, now: Instant) {
        if let Some(tracked) = self.targets.get_mut(&slot) {
            tracked.ejection = None;
            tracked.clean_since = now;
            tracked.seen = tally;
        }
    }

    /// What was counted so far on a target says nothing any more.
    pub(crate) fn look_from(&mut self, slot: SlotId, tally: Tally) {
        if let Some(tracked) = self.targets.get_mut(&slot) {
            tracked.seen = tally;
        }
    }

    /// Looks at the shares when an interval has passed: who is to be ejected, the worst first.
    pub(crate) fn look(
        &mut self,
        now: Instant,
        read: impl Fn(SlotId) -> Option<Look>,
    ) -> Vec<(SlotId, Cause)> {
        if now < self.next_look {
            return Vec::new();
        }
        self.next_look = now + self.settings.interval;
        let mut samples = Vec::new();
        for (slot, tracked) in &mut self.targets {
            let Some(look) = read(*slot) else {
                continue;
            };
            tracked.last = look.tally.since(tracked.seen);
            tracked.seen = look.tally;
            if look.in_use && tracked.ejection.is_none() {
                samples.extend(Sample::new(*slot, tracked.last, &self.settings));
            }
        }
        samples.sort_by(|a, b| a.rate.total_cmp(&b.rate));
        let floor = floor(&samples, &self.settings);
        let judge = |sample: &Sample| Some((sample.slot, sample.cause(floor, &self.settings)?));
        samples.iter().filter_map(judge).collect()
    }

    /// Ejects a target unless too many are. `spread` is a random number from 0 to 1.
    pub(crate) fn eject(
        &mut self,
        slot: SlotId,
        cause: Cause,
        now: Instant,
        spread: f64,
    ) -> Result<Ejection, Limit> {
        let registered = self.targets.len();
        let ejected = self.ejected().len();
        let percentage = usize::from(self.settings.max_ejected_percentage);
        let allowed = (registered * percentage / 100).max(1);
        let limit = Limit::MaxEjected {
            ejected,
            registered,
            allowed,
        };
        if ejected >= allowed {
            return Err(limit);
        }
        let settings = self.settings;
        // One that is not watched is not registered any more.
        let tracked = self.targets.get_mut(&slot).ok_or(limit)?;
        tracked.number = next_number(tracked, &settings, now);
        let lasts = settings.base_ejection_time * tracked.number;
        let lasts = lasts.min(settings.max_ejection_time);
        let ejection = Ejection {
            cause,
            number: tracked.number,
            since: now,
            until: now + lasts + settings.ejection_jitter.mul_f64(spread.clamp(0.0, 1.0)),
        };
        tracked.ejection = Some(ejection);
        Ok(ejection)
    }
}

/// Ejections so far, less one for each base ejection time of clean time, and one more; never more
/// than it takes to reach the longest, so that they are made good in bounded time.
fn next_number(tracked: &Tracked, settings: &PassiveHealth, now: Instant) -> u32 {
    let base = settings.base_ejection_time.max(Duration::from_millis(1));
    let clean = now.saturating_duration_since(tracked.clean_since);
    let made_good = clean.as_nanos() / base.as_nanos();
    let made_good = u32::try_from(made_good).unwrap_or(u32::MAX);
    let most = settings
        .max_ejection_time
        .as_nanos()
        .div_ceil(base.as_nanos());
    let most = u32::try_from(most).unwrap_or(u32::MAX).max(1);
    (tracked.number.saturating_sub(made_good) + 1).min(most)
}

/// One target's interval, when it was long enough to say something.
struct Sample {
    slot: SlotId,
    failures: u64,
    requests: u64,
    /// Success rate in percent.
    rate: f64,
}

impl Sample {
    fn new(slot: SlotId, tally: Tally, settings: &PassiveHealth) -> Option<Self> {
        let requests = tally.requests();
        let failures = tally.failed(settings.failures);
        (requests >= u64::from(settings.minimum_requests.max(1))).then(|| Self {
            slot,
            failures,
            requests,
            rate: 100.0 * (requests - failures) as f64 / requests as f64,
        })
    }

    fn cause(&self, floor: Option<(f64, f64)>, settings: &PassiveHealth) -> Option<Cause> {
        let (failures, requests) = (self.failures, self.requests);
        let percentage = u64::from(settings.failure_percentage);
        if percentage > 0 && failures * 100 >= percentage * requests {
            return Some(Cause::FailurePercentage { failures, requests });
        }
        let (mean, floor) = floor?;
        (self.rate < floor).then_some(Cause::SuccessRate {
            successes: requests - failures,
            requests,
            mean,
            floor,
        })
    }
}

/// The mean of the success rates and the rate below which one is an outlier.
fn floor(samples: &[Sample], settings: &PassiveHealth) -> Option<(f64, f64)> {
    if settings.success_rate_deviation == 0 || samples.len() < settings.minimum_targets as usize {
        return None;
    }
    let count = samples.len() as f64;
    let mean = samples.iter().map(|sample| sample.rate).sum::<f64>() / count;
    let squares = samples.iter().map(|sample| (sample.rate - mean).powi(2));
    let deviation = (squares.sum::<f64>() / count).sqrt();
    let factor = f64::from(settings.success_rate_deviation) / 1000.0;
    Some((mean, mean - (factor * deviation).max(LEAST_DIFFERENCE)))
}
