//! The same client, the same target: `source-ip-hash`, `flow-hash` and `maglev` over one table.
//!
//! Built by `compile`, asked by every worker. The table names every registered target; a hit on
//! one that cannot be used now is hashed again, so that a target that fails gives away its own
//! keys only, spread over all others, and gets exactly those back when it recovers.
//!
//! Cost: one hash and one load; each unusable target hit costs one more of both, 16 at most, then
//! a walk along the targets. With bounded loads one look at every target more.

use std::sync::Arc;

use conf::{Algorithm, GroupProtocol};

use super::maglev::{Entry, Table};
use super::origin::{Origin, mix};
use crate::snapshot::Member;
use crate::target::Target;

/// Hits on unusable targets before walking.
const REHASHES: u64 = 16;

/// What the key is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    /// The client's IP address.
    Source,
    /// The 5-tuple.
    Flow,
    /// The QUIC connection ID, or the part of requests that `request-hash` goes by.
    Connection,
}

impl Key {
    /// The key of a hashing algorithm; `None` for the others. `maglev` takes what identifies a
    /// client to the protocol: the flow on layer 4, as the paper has it; for HTTP, where one
    /// client opens many connections, the address.
    pub(super) fn of(algorithm: Algorithm, protocol: GroupProtocol) -> Option<Self> {
        match (algorithm, protocol) {
            (Algorithm::SourceIpHash, _) => Some(Self::Source),
            (Algorithm::Maglev, protocol) if protocol.is_http() => Some(Self::Source),
            (Algorithm::ConnectionIdHash | Algorithm::RequestHash, _) => Some(Self::Connection),
            (Algorithm::FlowHash | Algorithm::Maglev, _) => Some(Self::Flow),
            _ => None,
        }
    }
}

/// What targets may have in hand.
struct Bounds {
    /// All work, times the factor.
    work: u64,
    /// All weights, times 100.
    weights: u64,
}

impl Bounds {
    /// True while the target has less than its share of the work times the factor, rounded up.
    fn hold(&self, target: &Target, weight: u16) -> bool {
        let most = (self.work * u64::from(weight)).div_ceil(self.weights.max(1));
        u64::from(target.in_flight()) < most
    }
}

/// One tier's targets behind the table of its role.
#[derive(Debug)]
pub(crate) struct Hashed {
    key: Key,
    /// What a target may have, in percent of its share; 0 = any number.
    balance: u32,
    table: Arc<Table>,
    /// The tier's targets by the table's entries; `None` = registered, but not of this tier now.
    targets: Vec<Option<Arc<Target>>>,
    is_empty: bool,
}

impl Hashed {
    /// A picker whose table covers `registered`, all of weight above 0, and which chooses those
    /// that are `eligible`. Takes over the table of one of `known` that was built from the same.
    pub(super) fn new(
        (key, balance): (Key, u32),
        registered: Vec<&Member>,
        eligible: impl Fn(&Member) -> bool,
        known: &[&Hashed],
    ) -> Self {
        let mut members = registered;
        members.sort_by_key(|member| member.target.address());
        let entries: Vec<Entry> = members
            .iter()
            .map(|member| (member.target.address(), member.weight))
            .collect();
        let same = known.iter().find(|other| other.table.entries() == entries);
        let table = match same {
            Some(same) => same.table.clone(),
            None => Arc::new(Table::new(entries)),
        };
        let target = |member: &&Member| eligible(member).then(|| member.target.clone());
        let targets: Vec<_> = members.iter().map(target).collect();
        Self {
            key,
            balance,
            table,
            is_empty: targets.iter().all(Option::is_none),
            targets,
        }
    }

    /// The usable target of this origin.
    pub(super) fn pick(
        &self,
        origin: &Origin,
        usable: impl Fn(&Target) -> bool,
    ) -> Option<&Arc<Target>> {
        if self.is_empty {
            return None;
        }
        let hash = match self.key {
            Key::Source => origin.source_hash(),
            Key::Flow => origin.flow_hash(),
            Key::Connection => origin.connection_hash(),
        };
        if self.balance > 0 {
            let bounds = self.bounds(&usable);
            let roomy = |target: &Target, weight| usable(target) && bounds.hold(target, weight);
            let found = self.find(hash, roomy);
            if found.is_some() {
                return found;
            }
        }
        self.find(hash, |target, _| usable(target))
    }

    fn find(&self, hash: u64, usable: impl Fn(&Target, u16) -> bool) -> Option<&Arc<Target>> {
        let at = |place: usize| {
            let target = self.targets.get(place)?.as_ref()?;
            let (_, weight) = self.table.entries().get(place)?;
            usable(target, *weight).then_some(target)
        };
        let hit = |again: u64| at(self.table.at(mix(hash.wrapping_add(again)))?);
        (0..REHASHES).find_map(hit).or_else(|| {
            let count = self.targets.len();
            let start = (hash % count as u64) as usize;
            (start..count).chain(0..start).find_map(at)
        })
    }

    /// The bounds of this moment: with bounded loads (Mirrokni, Thorup, Zadimoghaddam 2016) a key
    /// whose target has much more than its share goes on to another one, and only for so long.
    fn bounds(&self, usable: impl Fn(&Target) -> bool) -> Bounds {
        let targets = self.targets.iter().zip(self.table.entries());
        let usable = targets.filter_map(|(target, (_, weight))| {
            let target = target.as_ref().filter(|target| usable(target))?;
            Some((u64::from(target.in_flight()), u64::from(*weight)))
        });
        let (in_flight, weights) = usable.fold((0, 0), |(in_flight, weights), (more, weight)| {
            (in_flight + more, weights + weight)
        });
        Bounds {
            // The one that is placed now counts.
            work: (in_flight + 1) * u64::from(self.balance),
            weights: weights * 100,
        }
    }

    #[cfg(test)]
    pub(super) fn shares_table_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.table, &other.table)
    }
}

#[cfg(test)]
mod tests {
    use healthcheck::{Signal, SlotId};
    use proptest::prelude::*;

    use super::*;
    use crate::snapshot::Condition;
    use crate::target::Fate;

    fn member(port: u16, weight: u16) -> Member {
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], port));
        let signal = Arc::new(Signal::default());
        let slot = SlotId(u32::from(port));
        Member {
            target: Arc::new(Target::new("app".into(), address, slot, signal)),
            weight,
            share: 100,
            is_growing: false,
            backup: false,
            max_in_flight: 0,
            server_id: Box::default(),
            condition: Condition::Healthy,
            fate: Fate::Serving,
        }
    }

    fn key(n: u64) -> Origin {
        let none = ([127, 0, 0, 1], 1).into();
        Origin::tcp(none, none).with_hash(mix(n))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// However skewed the keys are, nobody has more than its share times the factor.
        #[test]
        fn loads_stay_within_bounds(
            weights in prop::collection::vec(1u16..5, 2..8),
            keys in prop::collection::vec(0u64..6, 1..200),
        ) {
            let members: Vec<Member> = (1000..).zip(&weights).map(|(p, w)| member(p, *w)).collect();
            let hashed = Hashed::new((Key::Connection, 125), members.iter().collect(), |_| true, &[]);
            for (before, key_of) in keys.iter().enumerate() {
                let target = hashed.pick(&key(*key_of), |_| true).unwrap();
                prop_assert!(target.begin());
                let weight = members.iter().find(|m| Arc::ptr_eq(&m.target, target)).unwrap().weight;
                let all: u64 = weights.iter().map(|w| u64::from(*w)).sum();
                let share = (before as u64 + 1) * 125 * u64::from(weight);
                prop_assert!(u64::from(target.in_flight()) <= share.div_ceil(all * 100));
            }
        }
    }

    #[test]
    fn a_key_keeps_its_target_until_that_has_more_than_its_share() {
        let members: Vec<Member> = (1000..1004).map(|port| member(port, 1)).collect();
        let hashed = Hashed::new(
            (Key::Connection, 125),
            members.iter().collect(),
            |_| true,
            &[],
        );
        let home = hashed.pick(&key(1), |_| true).unwrap().clone();
        for n in 0..40 {
            assert!(
                hashed
                    .pick(&key(1), |_| true)
                    .is_some_and(|t| Arc::ptr_eq(t, &home)),
                "{n}"
            );
            // Other work keeps all alike.
            members
                .iter()
                .for_each(|member| assert!(member.target.begin()));
        }
        for _ in 0..20 {
            assert!(home.begin());
        }
        let elsewhere = hashed.pick(&key(1), |_| true).unwrap();
        assert!(!Arc::ptr_eq(elsewhere, &home));
        // The same key goes on to the same one, and without others that can, home it is.
        assert!(
            hashed
                .pick(&key(1), |_| true)
                .is_some_and(|t| Arc::ptr_eq(t, elsewhere))
        );
        let only = hashed.pick(&key(1), |target| std::ptr::eq(target, &*home));
        assert!(only.is_some());
    }
}
