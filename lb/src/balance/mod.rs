//! Choosing a target: the order of tiers, what was tried, and one picker per algorithm.
//!
//! Called for every exchange and flow, by every worker, on an immutable [`Group`]. A picker sees
//! its tier, the shared cursor, a random number generator, the origin and what was tried; nothing
//! else.
//! Cost: no allocation, no lock; one atomic addition on the group's cursor per attempt; `peak-ewma` alone
//! reads the clock.

mod hashed;
mod kept;
mod least_connections;
mod maglev;
mod origin;
mod peak_ewma;
mod power_of_two;
mod round_robin;
#[cfg(test)]
mod tests;
mod weighted_random;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use conf::Algorithm;
use healthcheck::SlotId;
use rand::Rng;
use rand::rngs::SmallRng;
use tokio::time::Instant;

use crate::l4::ConnectionIds;
use crate::snapshot::{Condition, Group, GroupSettings, Member};
use crate::target::Target;
use hashed::{Hashed, Key};
use least_connections::LeastConnections;
pub use origin::Origin;
pub(crate) use origin::hash_of;
use origin::mix;
use peak_ewma::PeakEwma;
use power_of_two::PowerOfTwo;
use round_robin::RoundRobin;
pub(crate) use round_robin::exact_sequence;
use weighted_random::WeightedRandom;

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
    /// The targets to be used have as much work as they may have: wait for a place, for at most
    /// the group's `queue_timeout`.
    Full,
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
    PowerOfTwo(PowerOfTwo),
    PeakEwma(PeakEwma),
    WeightedRandom(WeightedRandom),
    Hashed(Hashed),
}

/// Which targets of a tier may be used.
type Usable<'a> = &'a dyn Fn(&Target) -> bool;

/// What a tier is made of.
struct Tier<'a> {
    settings: &'a GroupSettings,
    members: &'a [Member],
    /// The members this tier is for, whatever their health.
    role: fn(&Member) -> bool,
    /// Those of them it chooses from.
    eligible: fn(&Member) -> bool,
}

impl Tier<'_> {
    /// What the picker is to take for a member's weight.
    fn weight(&self, member: &Member) -> u32 {
        let weight = u32::from(member.weight);
        match is_thinned(self.settings.algorithm) {
            true => weight,
            false => weight * u32::from(member.share),
        }
    }

    /// The tier's picker. Hashing ones take over a table from `known`.
    fn picker(&self, known: &[Option<&Picker>]) -> Picker {
        let here = |m: &Member| m.condition != Condition::Elsewhere;
        let role = |m: &&Member| m.weight > 0 && here(m) && (self.role)(m);
        let registered = self.members.iter().filter(role);
        let sticky = self.settings.sticky_by_source.then_some(Key::Source);
        let key = Key::of(self.settings.algorithm, self.settings.protocol);
        if let Some(key) = sticky.or(key) {
            let known = known.iter().flatten().filter_map(|picker| match picker {
                Picker::Hashed(hashed) => Some(hashed),
                _ => None,
            });
            let known: Vec<_> = known.collect();
            return Picker::Hashed(Hashed::new(
                (key, self.settings.hash_balance),
                registered.collect(),
                self.eligible,
                &known,
            ));
        }
        let eligible = registered.filter(|m| (self.eligible)(m));
        let weighed = |m: &Member| (m.target.clone(), self.weight(m));
        let targets = eligible.map(weighed).collect();
        match self.settings.algorithm {
            Algorithm::LeastConnections | Algorithm::LeastOutstandingRequests => {
                Picker::LeastConnections(LeastConnections::new(targets))
            }
            Algorithm::PeakEwma => Picker::PeakEwma(PeakEwma::new(targets)),
            Algorithm::PowerOfTwoChoices => Picker::PowerOfTwo(PowerOfTwo::new(targets)),
            Algorithm::WeightedRandom => Picker::WeightedRandom(WeightedRandom::new(targets)),
            Algorithm::RoundRobin
            | Algorithm::SourceIpHash
            | Algorithm::FlowHash
            | Algorithm::RequestHash
            | Algorithm::ConnectionIdHash
            | Algorithm::Maglev => Picker::RoundRobin(RoundRobin::new(targets)),
        }
    }
}

impl Picker {
    fn pick(
        &self,
        cursor: &AtomicU64,
        rng: &mut SmallRng,
        origin: &Origin,
        usable: impl Fn(&Target) -> bool,
    ) -> Option<&Arc<Target>> {
        match self {
            Self::RoundRobin(picker) => picker.pick(cursor, usable),
            Self::LeastConnections(picker) => picker.pick(cursor, rng, usable),
            Self::PowerOfTwo(picker) => picker.pick(rng, usable),
            Self::PeakEwma(picker) => picker.pick(rng, Instant::now(), usable),
            Self::WeightedRandom(picker) => picker.pick(rng, usable),
            Self::Hashed(picker) => picker.pick(origin, usable),
        }
    }
}

/// True for algorithms that look at the load: targets in slow start then leave turns out, where
/// with the others they weigh less.
fn is_thinned(algorithm: Algorithm) -> bool {
    algorithm.is_by_load()
}

impl Group {
    /// Compiles the tiers. Takes over from `before`, the group at an earlier moment, its place in
    /// the rotation and the tables that would come out the same.
    pub(crate) fn new(
        settings: GroupSettings,
        members: Vec<Member>,
        fail_open: bool,
        before: Option<&Self>,
    ) -> Self {
        let tier = |role, eligible| Tier {
            settings: &settings,
            members: &members,
            role,
            eligible,
        };
        let healthy = |m: &Member| m.condition == Condition::Healthy;
        let takes_work =
            |m: &Member| matches!(m.condition, Condition::Healthy | Condition::Unhealthy);
        let primaries = tier(|m| !m.backup, healthy).picker(&[before.map(|g| &g.primaries)]);
        let backups = tier(|m| m.backup, healthy).picker(&[before.map(|g| &g.backups)]);
        let last_resort =
            tier(|_| true, takes_work).picker(&[Some(&primaries), before.map(|g| &g.last_resort)]);
        let thinned = members.iter().filter(|m| m.share < 100);
        let thinned = thinned.map(|m| (m.target.slot(), m.share));
        Self {
            thinned: match is_thinned(settings.algorithm) {
                true => thinned.collect(),
                false => Vec::new(),
            },
            primaries,
            backups,
            last_resort,
            cursor: before.map_or_else(Arc::default, |before| before.cursor.clone()),
            is_limited: members.iter().any(|member| member.max_in_flight > 0),
            queue: before.map_or_else(Arc::default, |before| before.queue.clone()),
            retries: before.map_or_else(Arc::default, |before| before.retries.clone()),
            connection_ids: ConnectionIds::new(&settings, &members, before),
            is_empty: (members.iter()).all(|m| m.condition == Condition::Elsewhere),
            settings,
            members,
            fail_open,
        }
    }

    /// Chooses a target: healthy ones, then healthy backups, then (fail-open) every registered
    /// one that takes work, each tried once; suspects are walked past except as the last resort.
    /// When the group fails open, all of them come first. After a hold only healthy targets may
    /// be tried again. Full targets are waited for. The caller counts the work with [`WorkerContext::begin`](
    /// crate::WorkerContext::begin) and, when the target fails, calls [`Tried::add`].
    pub fn pick<'a>(&'a self, rng: &mut SmallRng, origin: &Origin, tried: &Tried) -> Pick<'a> {
        self.pick_by(&self.cursor.0, rng, origin, tried)
    }

    /// The same by another cursor.
    pub(crate) fn pick_by<'a>(
        &'a self,
        cursor: &AtomicU64,
        rng: &mut SmallRng,
        origin: &Origin,
        tried: &Tried,
    ) -> Pick<'a> {
        if self.is_empty {
            return Pick::None;
        }
        if tried.is_full() {
            return Pick::Hold;
        }
        if let Some(pick) = origin.kept().and_then(|kept| self.keep(kept, tried)) {
            return pick;
        }
        let dice = match self.thinned.is_empty() {
            true => 0,
            false => rng.random(),
        };
        let sound = |t: &Target| !t.is_suspect() && !tried.contains_since_hold(t);
        let untried_sound = |t: &Target| !t.is_suspect() && !tried.contains(t);
        let untried = |t: &Target| !tried.contains(t);
        let limited = self.is_limited;
        let takes_turn = |t: &Target| sound(t) && self.takes_turn(t, dice);
        if !self.thinned.is_empty() && !self.fail_open {
            let in_turn = |t: &Target| takes_turn(t) && !(limited && t.is_full());
            if let Some(target) = self.primaries.pick(cursor, rng, origin, in_turn) {
                return Pick::Target(target);
            }
        }
        let order: [(bool, &Picker, Usable<'_>); 5] = [
            (self.fail_open, &self.last_resort, &untried_sound),
            (true, &self.primaries, &sound),
            (true, &self.backups, &sound),
            (true, &self.last_resort, &untried_sound),
            (true, &self.last_resort, &untried),
        ];
        for (_, tier, usable) in order.into_iter().filter(|(applies, ..)| *applies) {
            let has_room = |t: &Target| usable(t) && !(limited && t.is_full());
            if let Some(target) = tier.pick(cursor, rng, origin, has_room) {
                return Pick::Target(target);
            }
            // Full targets are waited for: a backup is no overflow.
            if limited && tier.pick(cursor, rng, origin, usable).is_some() {
                return Pick::Full;
            }
        }
        Pick::Hold
    }

    /// False when a target in slow start leaves this turn out.
    fn takes_turn(&self, target: &Target, dice: u64) -> bool {
        let slot = target.slot();
        let mut thinned = self.thinned.iter().filter(|(thinned, _)| *thinned == slot);
        thinned.all(|(_, share)| mix(dice ^ u64::from(slot.0)) % 100 < u64::from(*share))
    }
}
