//! Slots: dense indices for targets, groups and checks, allocated by identity.
//!
//! The board allocates them when a configuration is prepared; planes resolve names to ids once,
//! at compile time, and index the [`HealthTable`](crate::HealthTable) by them ever after. An id
//! never moves, and is used again only after every [`Plane`] acknowledged a configuration
//! generation without it.

use std::collections::HashMap;
use std::sync::Arc;

use conf::Address;

use crate::Signal;

/// A target's place in the table: identity (group name, address).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SlotId(pub u32);

/// A target group's place in the table: identity is the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub u32);

/// A standalone check's place in the table: identity is the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CheckId(pub u32);

/// Who must acknowledge a configuration generation before a slot is used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Plane {
    /// The load balancer.
    Lb,
    /// The DNS server.
    Dns,
    /// The admin API and its views.
    Admin,
}

/// Where each target, group and check of one configuration generation lives.
#[derive(Debug, Clone, Default)]
pub struct SlotMap {
    /// The configuration generation it was made for.
    pub config_generation: u64,
    targets: HashMap<(String, Address), (SlotId, Arc<Signal>)>,
    groups: HashMap<String, GroupId>,
    checks: HashMap<String, CheckId>,
}

impl SlotMap {
    /// An empty map for a configuration generation.
    pub fn new(config_generation: u64) -> Self {
        Self {
            config_generation,
            ..Self::default()
        }
    }

    /// Places a target.
    pub fn insert_target(
        &mut self,
        group: &str,
        address: impl Into<Address>,
        slot: SlotId,
        signal: Arc<Signal>,
    ) {
        self.targets
            .insert((group.to_owned(), address.into()), (slot, signal));
    }

    /// Places a group.
    pub fn insert_group(&mut self, group: &str, id: GroupId) {
        self.groups.insert(group.to_owned(), id);
    }

    /// Places a check.
    pub fn insert_check(&mut self, check: &str, id: CheckId) {
        self.checks.insert(check.to_owned(), id);
    }

    /// The slot and live signal of a target.
    pub fn target(
        &self,
        group: &str,
        address: impl Into<Address>,
    ) -> Option<(SlotId, &Arc<Signal>)> {
        self.targets
            .get(&(group.to_owned(), address.into()))
            .map(|(slot, signal)| (*slot, signal))
    }

    /// The id of a group.
    pub fn group(&self, name: &str) -> Option<GroupId> {
        self.groups.get(name).copied()
    }

    /// The id of a check.
    pub fn check(&self, name: &str) -> Option<CheckId> {
        self.checks.get(name).copied()
    }
}
