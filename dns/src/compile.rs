//! From configuration, zones and health to a snapshot. Pure.
//!
//! Called when a configuration is prepared and committed, and whenever health changes. What does
//! not depend on health is compiled once per configuration generation and shared.

use std::sync::Arc;

use conf::Config;
use healthcheck::{HealthTable, SlotMap};

use crate::guard::Guard;
use crate::load::Zones;
use crate::metrics::ZoneLabels;
use crate::policy::Routes;
use crate::snapshot::Snapshot;
use crate::zone::{self, ZoneTable};

/// One configuration generation's zones and routes, before health.
#[derive(Debug, Clone)]
pub struct Compiled {
    pub(crate) config_generation: u64,
    pub(crate) zones: Arc<ZoneTable>,
    pub(crate) routes: Arc<Routes>,
    pub(crate) guard: Arc<Guard>,
}

impl Compiled {
    /// Compiles zones that loaded without an error. `slots` are those of the same configuration.
    pub fn new(config: &Config, zones: &Zones, generation: u64, slots: &SlotMap) -> Self {
        let guard = Guard::new(config, None);
        Self::labelled(
            config,
            zones,
            generation,
            slots,
            ZoneLabels::default(),
            guard,
            None,
        )
    }

    /// The same, with the places of counters that zones have already, and zones that did not change
    /// shared with `previous`.
    pub(crate) fn labelled(
        config: &Config,
        zones: &Zones,
        generation: u64,
        slots: &SlotMap,
        mut labels: ZoneLabels,
        guard: Guard,
        previous: Option<&ZoneTable>,
    ) -> Self {
        let table = zone::build(zones, previous, |id| labels.label(id));
        let routes = Routes::new(config, zones, slots, &table);
        Self {
            config_generation: generation,
            zones: Arc::new(table),
            routes: Arc::new(routes),
            guard: Arc::new(guard),
        }
    }

    /// Nothing: every query is refused.
    pub(crate) fn empty() -> Self {
        let table = zone::build(&Zones::default(), None, |_| crate::metrics::ZoneLabel::NONE);
        Self {
            config_generation: 0,
            zones: Arc::new(table),
            routes: Arc::default(),
            guard: Arc::new(Guard::nothing()),
        }
    }

    /// The snapshot under `health`. `withdrawn`: the own listeners have left DNS.
    pub fn snapshot(&self, health: &HealthTable, withdrawn: bool) -> Snapshot {
        Snapshot {
            zones: self.zones.clone(),
            decisions: self.routes.decide_all(health, withdrawn),
            guard: self.guard.clone(),
            config_generation: self.config_generation,
            health_generation: health.generation(),
        }
    }

    /// The snapshot under `health`, made from `previous` (of the same compilation and the same
    /// `withdrawn`); `None` when it would answer just as that does.
    pub fn next_snapshot(
        &self,
        previous: &Snapshot,
        since: u64,
        health: &HealthTable,
        withdrawn: bool,
    ) -> Option<Snapshot> {
        let decisions = match health.changes_since(since) {
            Some(changes) => {
                self.routes
                    .decide_changed(&previous.decisions, health, changes, withdrawn)?
            }
            None => self.routes.decide_all(health, withdrawn),
        };
        Some(Snapshot {
            zones: self.zones.clone(),
            decisions,
            guard: self.guard.clone(),
            config_generation: self.config_generation,
            health_generation: health.generation(),
        })
    }
}

#[cfg(test)]
mod tests;
