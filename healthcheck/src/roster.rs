//! Whose health stands where in a table: names for every id in use.
//!
//! Part of each [`HealthTable`](crate::HealthTable), so that names and states are always of the
//! same moment. Read by status views and metrics, never by the data path.

use std::sync::Arc;

use conf::Address;

use crate::{CheckId, GroupHealth, GroupId, SlotId, TargetHealth};

/// The identities behind the ids of one table, each list in the order of names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roster {
    /// Targets, those still draining included.
    pub targets: Vec<(SlotId, Arc<str>, Address)>,
    /// Target groups.
    pub groups: Vec<(GroupId, Arc<str>)>,
    /// Standalone checks.
    pub checks: Vec<(CheckId, Arc<str>)>,
}

/// One group with its targets, for status views.
#[derive(Debug, Clone)]
pub struct GroupStatus {
    /// Its name.
    pub name: Arc<str>,
    /// Its roll-up.
    pub health: GroupHealth,
    /// Its targets in the order of addresses, those still draining included.
    pub targets: Vec<(Address, TargetHealth)>,
}
