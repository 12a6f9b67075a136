//! The same client, the same target: `source-ip-hash`, `flow-hash` and `maglev` over one table.
//!
//! Built by `compile`, asked by every worker. The table names every registered target; a hit on
//! one that cannot be used now is hashed again, so that a target that fails gives away its own
//! keys only, spread over all others, and gets exactly those back when it recovers.
//!
//! Cost: one hash and one load; each unusable target hit costs one more of both, 16 at most, then
//! a walk along the targets.

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
    /// The QUIC connection ID.
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
            (Algorithm::ConnectionIdHash, _) => Some(Self::Connection),
            (Algorithm::FlowHash | Algorithm::Maglev, _) => Some(Self::Flow),
            _ => None,
        }
    }
}

/// One tier's targets behind the table of its role.
#[derive(Debug)]
pub(crate) struct Hashed {
    key: Key,
    table: Arc<Table>,
    /// The tier's targets by the table's entries; `None` = registered, but not of this tier now.
    targets: Vec<Option<Arc<Target>>>,
    is_empty: bool,
}

impl Hashed {
    /// A picker whose table covers `registered`, all of weight above 0, and which chooses those
    /// that are `eligible`. Takes over the table of one of `known` that was built from the same.
    pub(super) fn new(
        key: Key,
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
        let at = |place: usize| {
            let target = self.targets.get(place)?.as_ref()?;
            usable(target).then_some(target)
        };
        let hit = |again: u64| at(self.table.at(mix(hash.wrapping_add(again)))?);
        (0..REHASHES).find_map(hit).or_else(|| {
            let count = self.targets.len();
            let start = (hash % count as u64) as usize;
            (start..count).chain(0..start).find_map(at)
        })
    }

    #[cfg(test)]
    pub(super) fn shares_table_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.table, &other.table)
    }
}
