//! When each target and check is probed next. Sans-io: the board passes `now` in and starts what
//! this hands out.
//!
//! Probes go from start to start on a grid of `interval`, each moved by up to 2.5 % either way, so
//! that two starts are within 5 % of the interval and the mean is exact. First probes are spread
//! over min(1 s, interval / 10). A target under suspicion gets additional probes between those of
//! the grid. No probe of one key overlaps another, and at most `capacity` run at once.
//!
//! Each group, and each standalone check, has a lane. A lane may have at most four times as many
//! probes running as there are places free; what it has due beyond that waits in the lane. So one
//! group of black holes takes four fifths of the capacity, and twenty of them leave a place in
//! eighty free: others start when they are due (dynamic thresholds of shared-memory switches:
//! Choudhury and Hahne 1998).
//! Cost: one heap push and pop per probe, two lookups of its lane; one task for all of them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::time::Instant;

use crate::{CheckId, SlotId};

/// The longest time over which first probes are spread.
const MAX_SPREAD: Duration = Duration::from_secs(1);
/// How far one start is moved from the grid, as a share of the interval.
const JITTER: f64 = 0.025;
/// The least time from a start to an additional probe's.
const FIRST_GAP: Duration = Duration::from_millis(50);
/// Gaps between additional probes double up to this: requests are held while a target restarts, so
/// its return must be seen well before the shortest usual hold ends.
const RECOVERY_GAP: Duration = Duration::from_millis(250);
/// Gaps double up to this when suspicion comes back within an interval: a target that passes probes
/// and fails traffic by turns (another port is probed, say) changes its state once a second at most.
const LAST_GAP: Duration = Duration::from_secs(1);

/// Running probes a lane may have for each free place. More would use the capacity better where
/// one lane alone is slow, and leave less to others.
const SHARE: usize = 4;

/// Who shares the capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// The targets of a group.
    Group(u32),
    /// A standalone check.
    Check(CheckId),
}

/// What is probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum ProbeKey {
    /// A group's target.
    Target(SlotId),
    /// A standalone check.
    Check(CheckId),
}

/// A probe to start now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Start {
    pub(crate) key: ProbeKey,
    lane: Lane,
    /// Tells this probe from every other one; a result whose serial is not current is stale.
    pub(crate) serial: u64,
    /// True for a probe of the grid, false for an additional one.
    pub(crate) regular: bool,
}

#[derive(Debug)]
struct Entry {
    lane: Lane,
    interval: Duration,
    /// The grid's next point, and that point moved by jitter.
    grid: Instant,
    regular: Instant,
    last_start: Option<Instant>,
    /// The gap to the next additional probe, while they are wanted.
    gap: Option<Duration>,
    /// When they were last asked for, and the gap they began with.
    hurried: Option<(Instant, Duration)>,
    running: Option<u64>,
    /// The only heap item that counts, and when it is due.
    queued: u64,
    due: Instant,
}

/// A lane with probes running or waiting.
#[derive(Debug, Default)]
struct LaneUse {
    running: usize,
    /// Due and not allowed yet, oldest first, with their number among heap items.
    waiting: VecDeque<(u64, ProbeKey)>,
}

/// The schedule of every probe.
#[derive(Debug)]
pub(crate) struct Schedule {
    entries: HashMap<ProbeKey, Entry>,
    queue: BinaryHeap<Reverse<(Instant, u64, ProbeKey)>>,
    lanes: HashMap<Lane, LaneUse>,
    /// Lanes with something waiting, in the order of their turns.
    turns: VecDeque<Lane>,
    running: usize,
    capacity: usize,
    serial: u64,
    random: SmallRng,
}

impl Schedule {
    /// An empty schedule; at most `capacity` probes run at once.
    pub(crate) fn new(capacity: usize, seed: u64) -> Self {
        Self {
            entries: HashMap::new(),
            queue: BinaryHeap::new(),
            lanes: HashMap::new(),
            turns: VecDeque::new(),
            running: 0,
            capacity,
            serial: 0,
            random: SmallRng::seed_from_u64(seed),
        }
    }

    /// Changes how many probes may run at once, from the next one on.
    pub(crate) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    /// Adds keys with their lanes and intervals; the first is due at once, the others spread behind it.
    pub(crate) fn add(&mut self, batch: &[(ProbeKey, Lane, Duration)], now: Instant) {
        let share = 1.0 / batch.len().max(1) as f64;
        for (place, &(key, lane, interval)) in batch.iter().enumerate() {
            let spread = MAX_SPREAD.min(interval / 10);
            let first = now + spread.mul_f64(share * place as f64);
            let entry = Entry {
                lane,
                interval,
                grid: first,
                regular: first,
                last_start: None,
                gap: None,
                hurried: None,
                running: None,
                queued: 0,
                due: first,
            };
            self.entries.insert(key, entry);
            self.queue(key, now);
        }
    }

    /// Forgets a key; the result of a probe still running will be stale.
    pub(crate) fn remove(&mut self, key: ProbeKey) {
        self.entries.remove(&key);
    }

    /// True when the key is scheduled.
    pub(crate) fn contains(&self, key: ProbeKey) -> bool {
        self.entries.contains_key(&key)
    }

    /// Changes a key's interval, from its next probe on.
    pub(crate) fn set_interval(&mut self, key: ProbeKey, interval: Duration, now: Instant) {
        if let Some(entry) = self.entries.get_mut(&key)
            && entry.interval != interval
        {
            entry.interval = interval;
            entry.grid = entry.grid.min(now + interval);
            entry.regular = entry.grid;
            self.queue(key, now);
        }
    }

    /// Changes a key's interval as its state becomes doubtful or settled: the next probe is due
    /// that long after the last one's start, which is where the grid goes on from.
    pub(crate) fn set_pace(&mut self, key: ProbeKey, interval: Duration, now: Instant) {
        if let Some(entry) = self.entries.get_mut(&key)
            && entry.interval != interval
        {
            entry.interval = interval;
            entry.grid = entry
                .last_start
                .map_or(now, |last| last + interval)
                .max(now);
            entry.regular = entry.grid;
            self.queue(key, now);
        }
    }

    /// Moves the grid of a key whose last probe was void by lateness to a second from now at the latest:
    /// nothing is known after it that was not before, and an interval may be an hour.
    pub(crate) fn again(&mut self, key: ProbeKey, now: Instant) {
        let soon = now + LAST_GAP;
        if let Some(entry) = self.entries.get_mut(&key)
            && entry.regular > soon
        {
            entry.grid = soon;
            entry.regular = soon;
            self.queue(key, now);
        }
    }

    /// Probes the key as soon as may be, and again at growing gaps until [`Schedule::calm`].
    pub(crate) fn hurry(&mut self, key: ProbeKey, now: Instant) {
        if let Some(entry) = self.entries.get_mut(&key) {
            let gap = match entry.hurried {
                Some((last, gap)) if now < last + entry.interval => (gap * 2).min(LAST_GAP),
                _ => FIRST_GAP,
            };
            entry.hurried = Some((now, gap));
            entry.gap = Some(gap);
            self.queue(key, now);
        }
    }

    /// Ends the additional probes.
    pub(crate) fn calm(&mut self, key: ProbeKey, now: Instant) {
        if let Some(entry) = self.entries.get_mut(&key)
            && entry.gap.take().is_some()
        {
            self.queue(key, now);
        }
    }

    /// The next probe that is due, if one may start.
    pub(crate) fn take_due(&mut self, now: Instant) -> Option<Start> {
        if self.running >= self.capacity {
            return None;
        }
        let key = self.take_waiting().or_else(|| self.take_queued(now))?;
        self.serial += 1;
        self.running += 1;
        let serial = self.serial;
        let shift = self.random.random_range(-JITTER..=JITTER);
        let entry = self.entries.get_mut(&key)?;
        let lane = entry.lane;
        self.lanes.entry(lane).or_default().running += 1;
        let regular = entry.start(now, serial, shift);
        Some(Start {
            key,
            lane,
            serial,
            regular,
        })
    }

    /// The first key that is due by the heap and allowed by its lane; the others wait in theirs.
    fn take_queued(&mut self, now: Instant) -> Option<ProbeKey> {
        loop {
            let &Reverse((due, queued, key)) = self.queue.peek()?;
            let lane = self.current_lane(queued, key);
            if lane.is_some() && due > now {
                return None;
            }
            self.queue.pop();
            let Some(lane) = lane else { continue };
            let free = self.capacity.saturating_sub(self.running);
            let used = self.lanes.entry(lane).or_default();
            if used.may_start(free) {
                return Some(key);
            }
            if used.waiting.is_empty() {
                self.turns.push_back(lane);
            }
            used.waiting.push_back((queued, key));
        }
    }

    /// The oldest waiting key of the next lane that may start one.
    fn take_waiting(&mut self) -> Option<ProbeKey> {
        let free = self.capacity.saturating_sub(self.running);
        for _ in 0..self.turns.len() {
            let lane = self.turns.pop_front()?;
            let mut found = None;
            while let Some(used) = self.lanes.get_mut(&lane)
                && used.may_start(free)
                && let Some((queued, key)) = used.waiting.pop_front()
            {
                if self.current_lane(queued, key).is_some() {
                    found = Some(key);
                    break;
                }
            }
            if (self.lanes.get(&lane)).is_some_and(|used| !used.waiting.is_empty()) {
                self.turns.push_back(lane);
            }
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// A started probe ended; true when its result still counts.
    pub(crate) fn ended(&mut self, start: &Start, now: Instant) -> bool {
        self.running -= 1;
        if let Some(used) = self.lanes.get_mut(&start.lane) {
            used.running -= 1;
            if used.running == 0 && used.waiting.is_empty() {
                self.lanes.remove(&start.lane);
            }
        }
        let current = self
            .entries
            .get_mut(&start.key)
            .filter(|entry| entry.running == Some(start.serial));
        let Some(entry) = current else { return false };
        entry.running = None;
        self.queue(start.key, now);
        true
    }

    /// When [`Schedule::take_due`] has something next; `None` while only an ending probe can
    /// change that.
    pub(crate) fn next_wake(&mut self) -> Option<Instant> {
        if self.running >= self.capacity {
            return None;
        }
        while let Some(&Reverse((due, queued, key))) = self.queue.peek() {
            if self.current_lane(queued, key).is_some() {
                return Some(due);
            }
            self.queue.pop();
        }
        None
    }

    /// When a key is probed next; while a probe runs, when the one after it is due by the grid.
    pub(crate) fn next_start(&self, key: ProbeKey) -> Option<Instant> {
        let entry = self.entries.get(&key)?;
        Some(if entry.running.is_some() {
            entry.regular
        } else {
            entry.due
        })
    }

    /// The lane of the key, if this heap item is the one that counts and not a leftover.
    fn current_lane(&self, queued: u64, key: ProbeKey) -> Option<Lane> {
        let entry = self.entries.get(&key)?;
        (entry.queued == queued && entry.running.is_none()).then_some(entry.lane)
    }

    /// Puts the key's next start into the heap, unless a probe of it runs: then its end does.
    fn queue(&mut self, key: ProbeKey, now: Instant) {
        self.serial += 1;
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        if entry.running.is_none() {
            entry.due = entry.next_start(now);
            entry.queued = self.serial;
            self.queue.push(Reverse((entry.due, self.serial, key)));
        }
    }
}

impl LaneUse {
    /// True when another probe may start while so many places are free.
    fn may_start(&self, free: usize) -> bool {
        self.running < free.saturating_mul(SHARE)
    }
}

impl Entry {
    /// The earlier of the grid's next point and the next additional probe.
    fn next_start(&self, now: Instant) -> Instant {
        let additional = self
            .gap
            .map(|gap| self.last_start.map_or(now, |last| last + gap));
        additional.map_or(self.regular, |at| at.min(self.regular))
    }

    /// Notes a start; true when it is one of the grid. Points that were missed are left out.
    fn start(&mut self, now: Instant, serial: u64, shift: f64) -> bool {
        self.running = Some(serial);
        self.last_start = Some(now);
        let regular = now >= self.regular;
        if regular {
            self.grid += self.interval;
            if self.grid <= now {
                self.grid = now + self.interval;
            }
            let early = self.interval.mul_f64(JITTER);
            self.regular = self.grid + self.interval.mul_f64(shift + JITTER) - early;
        } else if let Some(gap) = self.gap {
            self.gap = Some((gap * 2).min(gap.max(RECOVERY_GAP)));
        }
        regular
    }
}

#[cfg(test)]
mod tests;
