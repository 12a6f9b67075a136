//! From configuration, zones and health to a snapshot. Pure.
//!
//! Called when a configuration is prepared and committed, and whenever health changes. What does
//! not depend on health is compiled once per configuration generation and shared.

use std::collections::HashMap;
use std::sync::Arc;

use conf::Config;
use healthcheck::{HealthTable, SlotMap};

use crate::forward::Rules;
use crate::guard::Guard;
use crate::load::{ZoneSource, Zones};
use crate::location::{Located, Measured};
use crate::metrics::{ZoneLabel, ZoneLabels};
use crate::policy::{Decisions, Routes, Under};
use crate::snapshot::Snapshot;
use crate::transfer::Outgoing;
use crate::updates::delta::Step;
use crate::zone::{self, Laid, ZoneTable};

/// One configuration generation's zones and routes, before health.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// What it was made from; `None` for nothing.
    pub(crate) config: Option<Arc<Config>>,
    pub(crate) config_generation: u64,
    pub(crate) zones: Arc<ZoneTable>,
    pub(crate) routes: Arc<Routes>,
    pub(crate) guard: Arc<Guard>,
    pub(crate) transfers: Arc<Outgoing>,
    /// Names that other servers are asked about.
    pub(crate) rules: Arc<Rules>,
    /// Who is where; `None` for the table that is built in.
    pub(crate) located: Option<Located>,
}

/// The routes of a generation with clients in other places, or at other distances.
#[derive(Debug)]
pub(crate) struct Relocated {
    /// What they were made from: they replace nothing else.
    pub(crate) from: Arc<Routes>,
    pub(crate) routes: Arc<Routes>,
    pub(crate) located: Option<Located>,
}

/// What one generation takes over from the one before.
#[derive(Debug)]
pub(crate) struct Kept<'p> {
    /// The places of counters that zones have already.
    labels: ZoneLabels,
    /// Secrets and the table of the rate limiter.
    guard: Guard,
    /// Serials and changes.
    transfers: Outgoing,
    /// Rules, which go on counting.
    rules: Rules,
    /// Round-trip times of clients.
    measured: Measured,
    /// Zones that did not change are shared with these.
    previous: &'p ZoneTable,
}

impl<'p> Kept<'p> {
    /// What `config` takes over from what `before` answers from; serials are written into `zones`.
    /// `now` in seconds since 1970.
    pub(crate) fn new(
        config: &Config,
        zones: &mut Zones,
        before: &'p Snapshot,
        labels: ZoneLabels,
        now: u32,
    ) -> Self {
        Self {
            labels,
            guard: Guard::new(config, Some(&before.guard)),
            transfers: Outgoing::new(config, zones, &before.transfers, now),
            rules: Rules::new(config, &before.rules),
            measured: Measured::default(),
            previous: &before.zones,
        }
    }
}

impl Kept<'_> {
    /// The same with round-trip times of clients.
    pub(crate) fn with_measured(self, measured: Measured) -> Self {
        Self { measured, ..self }
    }
}

impl Compiled {
    /// Compiles zones that loaded without an error. `slots` are those of the same configuration.
    pub fn new(config: &Config, zones: &Zones, generation: u64, slots: &SlotMap) -> Self {
        let nothing = Self::empty();
        let mut zones = zones.clone();
        let labels = ZoneLabels::default();
        let before = nothing.snapshot(&HealthTable::default(), false);
        let kept = Kept::new(config, &mut zones, &before, labels, 0);
        Self::after(kept, &Arc::new(config.clone()), &zones, generation, slots)
    }

    /// The same, with what goes on from the generation before.
    pub(crate) fn after(
        kept: Kept<'_>,
        config: &Arc<Config>,
        zones: &Zones,
        generation: u64,
        slots: &SlotMap,
    ) -> Self {
        let Kept {
            mut labels,
            guard,
            transfers,
            rules,
            measured,
            previous,
        } = kept;
        let table = zone::build(zones, Some(previous), |id| labels.label(id));
        let routes = Routes::new(config, zones, slots, &table, measured);
        Self {
            config: Some(config.clone()),
            config_generation: generation,
            zones: Arc::new(table),
            routes: Arc::new(routes),
            guard: Arc::new(guard),
            transfers: Arc::new(transfers),
            rules: Arc::new(rules),
            located: zones.located.clone(),
        }
    }

    /// Its routes with clients where `located` says; `None` for nothing.
    pub(crate) fn relocated(&self, located: Located) -> Option<Relocated> {
        let config = self.config.as_deref()?;
        Some(Relocated {
            from: self.routes.clone(),
            routes: Arc::new(self.routes.relocated(config, &located)),
            located: Some(located),
        })
    }

    /// Its routes with clients as far away as `measured` says; `None` when nothing goes by that.
    pub(crate) fn remeasured(&self, measured: Measured) -> Option<Relocated> {
        let config = self.config.as_deref()?;
        let located = self.located.as_ref();
        self.routes.go_by_latency().then(|| Relocated {
            from: self.routes.clone(),
            routes: Arc::new(self.routes.remeasured(config, located, measured)),
            located: self.located.clone(),
        })
    }

    /// Nothing: every query is refused.
    pub(crate) fn empty() -> Self {
        let table = zone::build(&Zones::default(), None, |_| crate::metrics::ZoneLabel::NONE);
        Self {
            config: None,
            config_generation: 0,
            zones: Arc::new(table),
            routes: Arc::default(),
            guard: Arc::new(Guard::nothing()),
            transfers: Arc::default(),
            rules: Arc::default(),
            located: None,
        }
    }

    /// The snapshot under `health`, with nothing known of what was before. `withdrawn`: the own
    /// listeners have left DNS.
    pub fn snapshot(&self, health: &HealthTable, withdrawn: bool) -> Snapshot {
        let under = Under {
            health,
            withdrawn,
            now: 0,
        };
        self.snapshot_after(None, under)
    }

    /// The snapshot that follows what was decided before, all of it decided anew.
    pub(crate) fn snapshot_after(&self, before: Option<&Decisions>, under: Under<'_>) -> Snapshot {
        self.deciding(self.routes.decide_all(before, under), under.health)
    }

    /// What `previous`, of another generation, remembers of records that are here too.
    pub(crate) fn inherit(&self, from: &Routes, decided: &Decisions) -> Decisions {
        self.routes.inherit(from, decided)
    }

    /// The snapshot after some time without a change of health; `None` when time changes nothing.
    pub(crate) fn grown(&self, previous: &Snapshot, under: Under<'_>) -> Option<Snapshot> {
        let decisions = self.routes.decide_growing(&previous.decisions, under)?;
        Some(self.deciding(decisions, under.health))
    }

    fn deciding(&self, decisions: Decisions, health: &HealthTable) -> Snapshot {
        Snapshot {
            zones: self.zones.clone(),
            decisions,
            guard: self.guard.clone(),
            transfers: self.transfers.clone(),
            rules: self.rules.clone(),
            config_generation: self.config_generation,
            health_generation: health.generation(),
        }
    }

    /// The snapshot made from `previous` (of the same compilation and the same `withdrawn`); `None`
    /// when it would answer just as that does.
    pub(crate) fn next_snapshot(
        &self,
        previous: &Snapshot,
        since: u64,
        under: Under<'_>,
    ) -> Option<Snapshot> {
        let before = &previous.decisions;
        let decisions = match under.health.changes_since(since) {
            Some(changes) => self.routes.decide_changed(before, changes, under)?,
            None => self.routes.decide_all(Some(before), under),
        };
        Some(self.deciding(decisions, under.health))
    }
}

/// What a generation was compiled from, kept where a zone of it may have to be put in anew.
/// Records that cannot change are let go: the serving tables have them.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    zones: Zones,
    slots: Arc<SlotMap>,
}

impl Parts {
    /// Those of `compiled`, if any zone of it may change by itself.
    pub(crate) fn new(mut zones: Zones, slots: &Arc<SlotMap>, compiled: &Compiled) -> Self {
        let settings = compiled.config.iter().flat_map(|config| &config.dns);
        let changes = |zone: &conf::Zone| {
            zone.transfer.is_secondary() || !zone.transfer.allow_update.is_empty()
        };
        if !settings.flat_map(|dns| &dns.zones).any(changes) {
            return Self::default();
        }
        for zone in &mut zones.zones {
            zone.records = Vec::new();
        }
        Self {
            zones,
            slots: slots.clone(),
        }
    }

    /// Every zone.
    pub(crate) fn zones(&self) -> &[ZoneSource] {
        &self.zones.zones
    }

    /// A zone has another serial.
    pub(crate) fn set_serial(&mut self, id: &str, serial: u32) {
        let mut zones = self.zones.zones.iter_mut();
        if let Some(zone) = zones.find(|zone| zone.id == id) {
            zone.serial = serial;
        }
    }

    /// The zone of this id.
    pub(crate) fn zone(&self, id: &str) -> Option<&ZoneSource> {
        self.zones.zones.iter().find(|zone| zone.id == id)
    }
}

impl Compiled {
    /// The same with a layer over one zone; `None` when what follows from it is not known.
    pub(crate) fn laying(&self, id: &str, laid: Laid, step: &Step) -> Option<Self> {
        let index = self.zones.zones().iter().position(|zone| &*zone.id == id)?;
        let transfers = Outgoing::after(&self.transfers, id, step, laid.serial)?;
        Some(Self {
            zones: Arc::new(self.zones.laid_over(index, laid)),
            transfers,
            ..self.clone()
        })
    }

    /// The same with another content of one zone, whose records and state are given.
    pub(crate) fn replacing(&self, parts: &mut Parts, zone: ZoneSource) -> Self {
        let (Some(config), Some(place)) = (
            &self.config,
            parts.zones.zones.iter_mut().find(|old| old.id == zone.id),
        ) else {
            return self.clone();
        };
        let transfers = Outgoing::replacing(&self.transfers, &zone, config);
        let id = zone.id.clone();
        *place = zone;
        let labels: HashMap<&str, ZoneLabel> = self
            .zones
            .zones()
            .iter()
            .map(|zone| (&*zone.id, zone.label))
            .collect();
        let label = |id: &str| labels.get(id).copied().unwrap_or(ZoneLabel::NONE);
        let table = zone::build(&parts.zones, Some(&self.zones), label);
        let routed = parts.zone(&id).is_some_and(|zone| !zone.routed.is_empty());
        let routes = match routed {
            true => {
                let measured = self.routes.measured.clone();
                let (zones, slots) = (&parts.zones, &parts.slots);
                Arc::new(Routes::new(config, zones, slots, &table, measured))
            }
            // None of them leads into the zone.
            false => self.routes.clone(),
        };
        if let Some(zone) = parts.zones.zones.iter_mut().find(|zone| zone.id == id) {
            zone.records = Vec::new();
        }
        Self {
            config: self.config.clone(),
            config_generation: self.config_generation,
            zones: Arc::new(table),
            routes,
            guard: self.guard.clone(),
            transfers,
            rules: self.rules.clone(),
            located: self.located.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
