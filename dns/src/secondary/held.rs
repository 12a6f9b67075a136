//! Copies put into the zones of a configuration that is prepared: those of this process, else what an
//! earlier one stored.
//!
//! Called by preparation, which may wait for files.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use conf::Config;

use super::copy::ZoneCopy;
use super::{Settings, store};
use crate::load::{ZoneSource, ZoneState, Zones};

/// A copy and whether it is served.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) copy: Arc<ZoneCopy>,
    pub(crate) state: ZoneState,
}

impl Held {
    /// Puts the copy into the zone that a configuration has for it.
    pub(crate) fn fill(&self, zone: &mut ZoneSource) {
        zone.state = self.state;
        match self.state {
            ZoneState::Good => self.copy.fill(zone),
            // Answered by an error, it needs no records.
            ZoneState::Awaited | ZoneState::Expired => {
                zone.serial = self.copy.serial;
                zone.records = Vec::new();
            }
        }
    }
}

/// Fills the secondary zones of a configuration that is prepared with the copies `held` by this
/// process or stored by one before. Reads files.
pub(crate) fn prepare(
    config: &Config,
    zones: &mut Zones,
    held: &HashMap<String, Held>,
) -> Vec<Settings> {
    let configured = config.dns.iter().flat_map(|dns| &dns.zones);
    let secondary: HashMap<&str, &conf::Zone> = configured
        .filter(|zone| zone.transfer.is_secondary())
        .map(|zone| (zone.id.as_str(), zone))
        .collect();
    let mut settings = Vec::with_capacity(secondary.len());
    for zone in &mut zones.zones {
        let Some(configured) = secondary.get(zone.id.as_str()) else {
            continue;
        };
        let mut setting = Settings {
            id: zone.id.clone(),
            origin: zone.origin.clone(),
            primaries: configured.transfer.primaries.clone(),
            file: store::path(&config.state_dir, &zone.id),
            stored: None,
        };
        match held
            .get(&zone.id)
            .filter(|held| held.copy.origin == zone.origin)
        {
            Some(held) => held.fill(zone),
            None => setting.stored = stored(&setting, zone),
        }
        settings.push(setting);
    }
    settings
}

/// The copy that an earlier process left, put into the zone if it is not too old.
fn stored(setting: &Settings, zone: &mut ZoneSource) -> Option<(Arc<ZoneCopy>, SystemTime)> {
    let read = store::read(&setting.file, &setting.origin);
    let (copy, good) = read
        .inspect_err(|error| {
            let (zone, file) = (&setting.id, setting.file.display());
            tracing::warn!(zone, %file, %error, "the stored copy of the zone cannot be used");
        })
        .ok()??;
    let age = SystemTime::now()
        .duration_since(good)
        .unwrap_or(Duration::ZERO);
    let fresh = age < Duration::from_secs(copy.timers.expire.into());
    let state = if fresh {
        ZoneState::Good
    } else {
        ZoneState::Expired
    };
    let copy = Arc::new(copy);
    let held = Held {
        copy: copy.clone(),
        state,
    };
    held.fill(zone);
    Some((copy, good))
}
