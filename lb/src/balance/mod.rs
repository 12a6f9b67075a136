//! Choosing a target: the order of tiers, what was tried, and one picker per algorithm.
//!
//! Called for every exchange and flow, by every worker, on an immutable [`Group`]. A picker sees
//! its tier, the shared cursor, a random number generator and what was tried; nothing else.
//! Cost: no allocation, no lock; one atomic addition on the group's cursor per attempt.

mod least_connections;
mod round_robin;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use conf::Algorithm;
use healthcheck::SlotId;
use rand::rngs::SmallRng;

use crate::snapshot::{Condition, Group, GroupSettings, Member};
use crate::target::{Padded, Target};
use least_connections::LeastConnections;
use round_robin::RoundRobin;

/// Attempts one request or flow may make at most, over all targets and holds. "Each target once"
/// ends here, so that a huge dead group costs a bounded number of connects.
pub const MAX_ATTEMPTS: usize = 32;

/// What choosing gave.
#[derive(Debug)]
pub enum Pick<'a> {
    /// Use this target.
    Target(&'a Arc<Target>),
    /// Nothing can be used now, but targets are registered: wait for a change
    /// ([`WorkerContext::wait_for_change`](crate::WorkerContext::wait_for_change)), for at most
    /// the group's `hold`, then refuse with 503.
    Hold,
    /// No target is registered: refuse with 503 at once.
    None,
}

/// The targets one request or flow has tried. Starts empty; lives on the stack.
#[derive(Debug, Clone)]
pub struct Tried {
    slots: [SlotId; MAX_ATTEMPTS],
    count: usize,
    /// Attempts made before the last hold: healthy targets among them may be tried again.
    before_hold: usize,
}

impl Default for Tried {
    fn default() -> Self {
        Self {
            slots: [SlotId(0); MAX_ATTEMPTS],
            count: 0,
            before_hold: 0,
        }
    }
}

impl Tried {
    /// Remembers a target that failed.
    pub fn add(&mut self, target: &Target) {
        if let Some(place) = self.slots.get_mut(self.count) {
            *place = target.slot();
            self.count += 1;
        }
    }

    /// Attempts that failed.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Tells that the request waited: a target that recovered meanwhile may be tried again.
    pub fn held(&mut self) {
        self.before_hold = self.count;
    }

    fn is_full(&self) -> bool {
        self.count == MAX_ATTEMPTS
    }

    fn contains(&self, target: &Target) -> bool {
        self.slots[..self.count].contains(&target.slot())
    }

    fn contains_since_hold(&self, target: &Target) -> bool {
        self.slots[self.before_hold..self.count].contains(&target.slot())
    }
}

/// One tier's targets in the form its algorithm needs.
#[derive(Debug)]
pub(crate) enum Picker {
    RoundRobin(RoundRobin),
    LeastConnections(LeastConnections),
}

impl Picker {
    /// A picker over `targets`, each with its weight, which must not be 0.
    fn new(algorithm: Algorithm, targets: Vec<(Arc<Target>, u16)>) -> Self {
        match algorithm {
            Algorithm::RoundRobin => Self::RoundRobin(RoundRobin::new(targets)),
            Algorithm::LeastConnections => Self::LeastConnections(LeastConnections::new(targets)),
        }
    }

    fn pick(
        &self,
        cursor: &AtomicU64,
        rng: &mut SmallRng,
        usable: impl Fn(&Target) -> bool,
    ) -> Option<&Arc<Target>> {
        match self {
            Self::RoundRobin(picker) => picker.pick(cursor, usable),
            Self::LeastConnections(picker) => picker.pick(cursor, rng, usable),
        }
    }
}

impl Group {
    /// Compiles the tiers.
    pub(crate) fn new(
        settings: GroupSettings,
        members: Vec<Member>,
        fail_open: bool,
        cursor: Arc<Padded<AtomicU64>>,
    ) -> Self {
        let tier = |wanted: &dyn Fn(&Member) -> bool| {
            let targets = members.iter().filter(|m| m.weight > 0 && wanted(m));
            Picker::new(
                settings.algorithm,
                targets.map(|m| (m.target.clone(), m.weight)).collect(),
            )
        };
        let healthy = |m: &Member| m.condition == Condition::Healthy;
        Self {
            primaries: tier(&|m| healthy(m) && !m.backup),
            backups: tier(&|m| healthy(m) && m.backup),
            last_resort: tier(&|m| healthy(m) || m.condition == Condition::Unhealthy),
            settings,
            members,
            fail_open,
            cursor,
        }
    }

    /// Chooses a target: healthy ones, then healthy backups, then (fail-open) every registered
    /// one that takes work, each tried once; suspects are walked past except as the last resort.
    /// When the group fails open, all of them come first. After a hold only healthy targets may
    /// be tried again. The caller counts the work with [`WorkerContext::begin`](
    /// crate::WorkerContext::begin) and, when the target fails, calls [`Tried::add`].
    pub fn pick<'a>(&'a self, rng: &mut SmallRng, tried: &Tried) -> Pick<'a> {
        if self.members.is_empty() {
            return Pick::None;
        }
        if tried.is_full() {
            return Pick::Hold;
        }
        let cursor = &self.cursor.0;
        let sound = |t: &Target| !t.is_suspect() && !tried.contains_since_hold(t);
        let untried_sound = |t: &Target| !t.is_suspect() && !tried.contains(t);
        let untried = |t: &Target| !tried.contains(t);
        let mut choose =
            |tier: &'a Picker, usable: &dyn Fn(&Target) -> bool| tier.pick(cursor, rng, usable);
        let all_first = if self.fail_open {
            choose(&self.last_resort, &untried_sound)
        } else {
            None
        };
        all_first
            .or_else(|| choose(&self.primaries, &sound))
            .or_else(|| choose(&self.backups, &sound))
            .or_else(|| choose(&self.last_resort, &untried_sound))
            .or_else(|| choose(&self.last_resort, &untried))
            .map_or(Pick::Hold, Pick::Target)
    }
}
